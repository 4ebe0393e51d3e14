//! The reference page lists every route with its scope, and no other.

use writ_api::{Access, ROUTES};
use writ_engine::config::Scope;

const PAGE: &str = include_str!("../../../../docs/reference/http-api.md");

fn scope(access: Access) -> &'static str {
    match access {
        Access::Open => "none",
        Access::Source => "ingest, or the source's signature",
        Access::Scope(Scope::Ingest) => "ingest",
        Access::Scope(Scope::Read) => "read",
        Access::Scope(Scope::Operate) => "operate",
        Access::Scope(Scope::Consume) | Access::Consumer => "consume, for this subscriber",
    }
}

#[test]
fn the_page_lists_the_routes_as_they_are() {
    let row = |line: &str| {
        let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).skip(1);
        [cells.next(), cells.next(), cells.next()].map(Option::unwrap_or_default)
    };
    let methods = ["| GET ", "| POST ", "| DELETE "];
    let rows = PAGE.lines().filter(|line| methods.iter().any(|method| line.starts_with(method)));
    let documented: Vec<[String; 3]> = rows.map(row).collect();
    let routes = ROUTES.iter().map(|one| [one.method, one.path, scope(one.access)].map(str::to_owned));
    assert_eq!(documented, routes.collect::<Vec<_>>());
}
