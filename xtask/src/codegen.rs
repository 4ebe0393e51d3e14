//! Writes what follows from the connector folders: the `mod` lines and the registry. Ordinary committed
//! Rust, so that rustfmt, grep and a reader see it; a test regenerates it in memory.

use crate::tree::{Tree, root};

const SOURCES: &str = "crates/connectors/src/sources/";
const SUBSCRIBERS: &str = "crates/connectors/src/subscribers/";
const REGISTRY: &str = "crates/connectors/src/registry.rs";

/// Writes the files that differ.
pub(crate) fn write() -> crate::Answer {
    let tree = Tree::of_repository()?;
    for (path, text) in generated(&tree) {
        if tree.text(path) != Some(text.as_str()) {
            std::fs::write(root().join(path), text).map_err(|error| format!("write {path}: {error}"))?;
            println!("codegen: wrote {path}");
        }
    }
    Ok(())
}

/// Fails when a file is not what would be written.
pub(crate) fn check() -> crate::Answer {
    let stale = stale(&Tree::of_repository()?);
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!("codegen: {stale:?} are stale; run `cargo xtask codegen`"))
    }
}

fn stale(tree: &Tree) -> Vec<&'static str> {
    let generated = generated(tree).into_iter();
    generated.filter(|(path, text)| tree.text(path) != Some(text.as_str())).map(|(path, _)| path).collect()
}

fn generated(tree: &Tree) -> Vec<(&'static str, String)> {
    vec![(REGISTRY, registry(&tree.folders_in(SOURCES), &tree.folders_in(SUBSCRIBERS)))]
}

fn registry(_sources: &[String], _subscribers: &[String]) -> String {
    String::new()
}
