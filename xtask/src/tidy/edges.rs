//! Which crate may depend on which: the table of ARCHITECTURE.md as data, and what no pure crate may reach.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata};

use super::Finding;
use crate::tree::Tree;

/// A crate and the crates of this repository that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("writ-model", &[]),
    ("writ-attest", &[]),
    ("writ-schema", &["writ-model"]),
    ("writ-kernel", &["writ-model"]),
    ("writ-policy", &["writ-model"]),
    ("writ-statutes", &[]),
    ("writ-report", &["writ-model"]),
    ("writ-store", &["writ-model", "writ-kernel", "writ-attest"]),
    ("writ-connectors", &["writ-model", "writ-schema"]),
    ("writ-engine", ENGINE),
    ("writ-api", &["writ-engine", "writ-model", "writ-attest", "writ-store", "writ-schema"]),
    ("writ-cli", CLI),
    ("writ-sim", &["writ-model", "writ-kernel", "writ-schema", "writ-store", "writ-attest"]),
    ("writ-receiver", &[]),
    ("writ-testkit", &["writ-model"]),
    ("xtask", &[]),
];

const ENGINE: &[&str] = &[
    "writ-model",
    "writ-schema",
    "writ-kernel",
    "writ-attest",
    "writ-policy",
    "writ-statutes",
    "writ-store",
    "writ-connectors",
];

const CLI: &[&str] = &[
    "writ-model",
    "writ-schema",
    "writ-kernel",
    "writ-attest",
    "writ-policy",
    "writ-statutes",
    "writ-report",
    "writ-store",
    "writ-connectors",
    "writ-engine",
    "writ-api",
];

/// Crates that only the tests of these crates may use.
const DEV_ONLY: &[(&str, &[&str])] = &[
    (
        "writ-testkit",
        &["writ-store", "writ-connectors", "writ-engine", "writ-api", "writ-cli", "writ-policy"],
    ),
    ("writ-sim", &[]),
    // The receiver is for subscribers' own use: only its tests meet an engine.
    ("writ-engine", &["writ-receiver"]),
    ("writ-api", &["writ-receiver"]),
];

/// Crates that decide: no clock, no socket, no file, no async runtime.
pub(super) const PURE: &[&str] =
    &["writ-model", "writ-schema", "writ-kernel", "writ-attest", "writ-statutes", "writ-report"];

/// What no pure crate may reach, however indirectly.
const IMPURE: &[&str] =
    &["tokio", "async-std", "smol", "hyper", "reqwest", "mio", "socket2", "rusqlite", "fjall", "tempfile"];

/// A crate of the workspace and its direct dependencies inside it.
#[derive(Debug, Default)]
struct Member {
    name: String,
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

/// Package names by the normal dependencies they have, over the whole graph.
type Graph = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(_tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let members = members(metadata);
    let graph = graph(metadata);
    let edges = members.iter().flat_map(edge_problems);
    let reach = PURE.iter().flat_map(|pure| reach_problems(pure, &graph));
    edges.chain(reach).map(|what| Finding::in_file("Cargo.toml", what)).collect()
}

fn edge_problems(member: &Member) -> Vec<String> {
    let name = member.name.as_str();
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
        return vec![format!(
            "crate {name} is in no table: add its edges to tidy and ARCHITECTURE.md, with an ADR"
        )];
    };
    let is_dev_only = |to: &str| DEV_ONLY.iter().any(|(dev, users)| *dev == to && users.contains(&name));
    let normal = member.normal.iter().filter(|to| !allowed.contains(&to.as_str()));
    let dev = member.dev.iter().filter(|to| !allowed.contains(&to.as_str()) && !is_dev_only(to));
    let normal = normal.map(|to| format!("{name} must not depend on {to}"));
    normal.chain(dev.map(|to| format!("the tests of {name} must not depend on {to}"))).collect()
}

fn reach_problems(pure: &str, graph: &Graph) -> Vec<String> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![pure];
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(graph.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    let reached = IMPURE.iter().filter(|impure| seen.contains(**impure));
    reached
        .map(|impure| format!("{pure} is pure, but reaches {impure}; see `cargo tree -p {pure} -i {impure}`"))
        .collect()
}

fn members(metadata: &Metadata) -> Vec<Member> {
    let packages = metadata.workspace_packages();
    let member = |package: &&cargo_metadata::Package| {
        let mut member = Member { name: package.name.to_string(), ..Member::default() };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            match dependency.kind {
                DependencyKind::Development => member.dev.insert(dependency.name.clone()),
                _ => member.normal.insert(dependency.name.clone()),
            };
        }
        member
    };
    packages.iter().map(member).collect()
}

fn graph(metadata: &Metadata) -> Graph {
    let name = |id: &cargo_metadata::PackageId| metadata[id].name.to_string();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let is_normal =
        |dep: &&cargo_metadata::NodeDep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
    let mut graph = Graph::new();
    for node in nodes {
        let targets = node.deps.iter().filter(is_normal).map(|dep| name(&dep.pkg));
        graph.entry(name(&node.id)).or_default().extend(targets);
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, normal: &[&str], dev: &[&str]) -> Member {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Member { name: name.to_owned(), normal: set(normal), dev: set(dev) }
    }

    #[test]
    fn edges_of_the_table_pass() {
        assert!(
            edge_problems(&member("writ-store", &["writ-model", "writ-kernel"], &["writ-testkit"]))
                .is_empty()
        );
    }

    #[test]
    fn other_edges_are_found() {
        assert_eq!(edge_problems(&member("writ-kernel", &["writ-store"], &[])).len(), 1);
        assert_eq!(edge_problems(&member("writ-engine", &["writ-sim"], &["writ-sim"])).len(), 2);
        assert_eq!(edge_problems(&member("writ-kernel", &[], &["writ-testkit"])).len(), 1);
        assert_eq!(edge_problems(&member("writ-novel", &[], &[])).len(), 1);
    }

    #[test]
    fn a_runtime_behind_a_dependency_is_found() {
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        let mut graph = Graph::from([("writ-kernel".to_owned(), set("innocent"))]);
        assert!(reach_problems("writ-kernel", &graph).is_empty());
        graph.insert("innocent".to_owned(), set("tokio"));
        assert_eq!(reach_problems("writ-kernel", &graph).len(), 1);
    }
}
