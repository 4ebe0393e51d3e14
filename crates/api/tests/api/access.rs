//! Who may ask what: every route against every token.

use hyper::StatusCode;
use writ_api::{Access, ROUTES};
use writ_engine::config::Scope;

use crate::rig::{DESK, INGEST, OPERATE, READ, Rig, TILL};

/// What each route must ask for. A route that is not here fails the first test.
const EXPECTED: &[(&str, &str, Access)] = &[
    ("GET", "/healthz", Access::Open),
    ("GET", "/readyz", Access::Open),
    ("GET", "/metrics", Access::Scope(Scope::Read)),
    ("POST", "/v1/intake/{source}", Access::Source),
    ("GET", "/v1/status", Access::Scope(Scope::Read)),
    ("GET", "/v1/events/{id}", Access::Scope(Scope::Read)),
    ("GET", "/v1/causality/{token}", Access::Scope(Scope::Read)),
    ("GET", "/v1/subjects/{id}/events", Access::Scope(Scope::Read)),
    ("GET", "/v1/withheld", Access::Scope(Scope::Read)),
    ("GET", "/v1/findings", Access::Scope(Scope::Read)),
    ("GET", "/v1/replays", Access::Scope(Scope::Read)),
    ("POST", "/v1/replays", Access::Scope(Scope::Operate)),
    ("GET", "/v1/replays/{id}", Access::Scope(Scope::Read)),
    ("DELETE", "/v1/replays/{id}", Access::Scope(Scope::Operate)),
    ("POST", "/v1/replays/{id}/pause", Access::Scope(Scope::Operate)),
    ("POST", "/v1/replays/{id}/resume", Access::Scope(Scope::Operate)),
    ("POST", "/v1/replays/{id}/rate", Access::Scope(Scope::Operate)),
    ("GET", "/v1/retention", Access::Scope(Scope::Read)),
    ("GET", "/v1/holds", Access::Scope(Scope::Read)),
    ("POST", "/v1/holds", Access::Scope(Scope::Operate)),
    ("POST", "/v1/holds/{id}/release", Access::Scope(Scope::Operate)),
    ("GET", "/v1/sagas", Access::Scope(Scope::Read)),
    ("POST", "/v1/sagas", Access::Scope(Scope::Operate)),
    ("GET", "/v1/sagas/{id}", Access::Scope(Scope::Read)),
    ("POST", "/v1/sagas/{id}/except", Access::Scope(Scope::Operate)),
    ("POST", "/v1/sagas/{id}/compensate", Access::Scope(Scope::Operate)),
    ("GET", "/v1/cases", Access::Scope(Scope::Read)),
    ("POST", "/v1/cases", Access::Scope(Scope::Operate)),
    ("GET", "/v1/cases/{id}", Access::Scope(Scope::Read)),
    ("POST", "/v1/cases/{id}/acts", Access::Scope(Scope::Operate)),
    ("GET", "/v1/cases/{id}/recipients/{name}/statement", Access::Scope(Scope::Read)),
    ("POST", "/v1/cases/{id}/recipients/{name}/reports", Access::Scope(Scope::Operate)),
    ("POST", "/v1/cases/{id}/recipients/{name}/exception", Access::Scope(Scope::Operate)),
    ("POST", "/v1/cases/{id}/recipients/{name}/exception/approve", Access::Scope(Scope::Operate)),
    ("GET", "/v1/subjects/{id}/recipients", Access::Scope(Scope::Read)),
    ("POST", "/v1/subjects/{id}/readmit", Access::Scope(Scope::Operate)),
    ("GET", "/v1/subscribers/{name}/dead-letters", Access::Scope(Scope::Read)),
    ("POST", "/v1/subscribers/{name}/dead-letters/{subject}/redrive", Access::Scope(Scope::Operate)),
    ("POST", "/v1/subscribers/{name}/dead-letters/{subject}/discard", Access::Scope(Scope::Operate)),
    ("POST", "/v1/subscribers/{name}/pause", Access::Scope(Scope::Operate)),
    ("POST", "/v1/subscribers/{name}/resume", Access::Scope(Scope::Operate)),
    ("POST", "/v1/subscribers/{name}/cases/{id}/report", Access::Consumer),
    ("GET", "/v1/subscribers/{name}/events", Access::Consumer),
    ("POST", "/v1/subscribers/{name}/leases/{lease}", Access::Consumer),
    ("POST", "/v1/subscribers/{name}/leases/{lease}/extend", Access::Consumer),
];

const TOKENS: &[(&str, Scope)] = &[
    (INGEST, Scope::Ingest),
    (READ, Scope::Read),
    (OPERATE, Scope::Operate),
    (TILL, Scope::Consume),
    (DESK, Scope::Consume),
];

/// The path with something in the place of every parameter.
fn filled(path: &str) -> String {
    let path = path
        .replace("{source}", "events")
        .replace("{subject}", "00")
        .replace("{id}", "00")
        .replace("{token}", "w1");
    if path.ends_with("/events") || path.contains("/leases/") || path.ends_with("/report") {
        let path = path.replace("{name}", "till").replace("{lease}", "1.1");
        return if path.ends_with("/events") { path + "?wait=0s" } else { path };
    }
    path.replace("{name}", "archive")
}

#[test]
fn every_route_has_its_row_here() {
    let routes: Vec<_> = ROUTES.iter().map(|route| (route.method, route.path, route.access)).collect();
    assert_eq!(routes, EXPECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_or_with_a_wrong_one_nothing_but_health_is_answered() {
    let rig = Rig::start_pulled().await;
    for (method, path, access) in EXPECTED {
        for authorization in [None, Some("Bearer wrong"), Some("Basic dG9rZW4="), Some("Bearer ")] {
            let ask = rig.ask(method, &filled(path));
            let answer = match authorization {
                Some(value) => ask.header("authorization", value).send().await,
                None => ask.send().await,
            };
            match access {
                Access::Open => assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text),
                Access::Scope(_) | Access::Consumer | Access::Source => {
                    answer.expect_problem(StatusCode::UNAUTHORIZED, "WRIT-3001");
                    assert_eq!(answer.headers["www-authenticate"], "Bearer");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_routes_of_its_scope_and_no_other() {
    let rig = Rig::start_pulled().await;
    for (method, path, access) in EXPECTED {
        let wanted = match access {
            Access::Open => continue,
            Access::Scope(scope) => *scope,
            Access::Source => Scope::Ingest,
            Access::Consumer => Scope::Consume,
        };
        for (token, scope) in TOKENS {
            let answer = rig.ask(method, &filled(path)).token(token).send().await;
            let is_theirs = *scope != Scope::Consume || *token == TILL;
            if *scope == wanted && is_theirs {
                assert!(!matches!(answer.status, 401 | 403), "{method} {path}: {}", answer.text);
            } else {
                answer.expect_problem(StatusCode::FORBIDDEN, "WRIT-3001");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_source_asks_for_no_token_and_takes_none_for_a_signature() {
    let rig = Rig::start().await;
    let signed = rig.shopify("customers/update", r#"{"id": 7, "email": "ada@example.org"}"#).await;
    assert_eq!(signed.status, 202, "{}", signed.text);
    let unsigned = rig.intake("shop", "application/json", b"{}").await;
    unsigned.expect_problem(StatusCode::UNAUTHORIZED, "WRIT-3002");
}

#[tokio::test]
async fn a_listener_beyond_loopback_wants_tokens() {
    let refused = writ_api::bind("0.0.0.0:0", false).await.expect_err("open to everybody");
    assert!(refused.to_string().contains("WRIT-1004"), "{refused}");
    assert!(writ_api::bind("0.0.0.0:0", true).await.is_ok());
    assert!(writ_api::bind("127.0.0.1:0", false).await.is_ok());
}

#[tokio::test]
async fn a_taken_address_is_told_as_such() {
    let first = writ_api::bind("127.0.0.1:0", false).await.unwrap();
    let address = first.address().unwrap().to_string();
    let refused = writ_api::bind(&address, false).await.expect_err("taken");
    assert!(refused.to_string().contains("WRIT-8001") && refused.to_string().contains(&address), "{refused}");
}
