//! Writes what follows from other files: from the connector folders their `mod` lines and the registry's array, from
//! the statutes' folder the list of files that are linked in, and their reference page. Ordinary committed text, so that
//! rustfmt, grep and a reader see it; a test regenerates the Rust in memory, the statutes' own tests the page.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::tree::{Tree, root};

/// The two sides, in the order of the registry.
const SIDES: &[&str] = &["sources", "subscribers"];
const CONNECTORS: &str = "crates/connectors/src/";
const REGISTRY: &str = "crates/connectors/src/registry.rs";

/// The item of the registry that is written here; the rest of that file is written by hand.
const ARRAY: &str = "pub const ALL: &[&Descriptor] =";

/// The statutes' files, where they are listed, and the page that is made of them.
const STATUTES: &str = "statutes/";
const EMBEDDED: &str = "crates/statutes/src/embedded.rs";
const STATUTES_PAGE: &str = "docs/reference/statutes.md";

/// The item of that list.
const FILES: &str = "pub(crate) const FILES: &[(&str, &str)] =";

/// Writes the files that differ.
pub(crate) fn write() -> crate::Answer {
    let tree = Tree::of_repository()?;
    for (path, text) in generated(&tree)? {
        replace(&tree, &path, &text)?;
    }
    replace(&tree, STATUTES_PAGE, &statutes_page()?)
}

fn replace(tree: &Tree, path: &str, text: &str) -> crate::Answer {
    if tree.text(path) != Some(text) {
        std::fs::write(root().join(path), text).map_err(|error| format!("write {path}: {error}"))?;
        println!("codegen: wrote {path}");
    }
    Ok(())
}

/// The crate that reads the statutes writes their page.
fn statutes_page() -> Result<String, String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--package", "writ-statutes", "--example", "reference"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("the statutes cannot be read:\n{text}")) }
}

/// Fails when a file is not what would be written.
pub(crate) fn check() -> crate::Answer {
    let tree = Tree::of_repository()?;
    let generated = generated(&tree)?.into_iter();
    let stale: Vec<String> = generated
        .filter(|(path, text)| tree.text(path) != Some(text.as_str()))
        .map(|(path, _)| path)
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("codegen: {} out of date; run `cargo xtask codegen`", stale.join(", ")))
}

fn generated(tree: &Tree) -> Result<Vec<(String, String)>, String> {
    let mut files = Vec::new();
    for side in SIDES {
        let path = format!("{CONNECTORS}{side}/mod.rs");
        let text = modules(tree.text(&path).unwrap_or_default(), &connectors(tree, side));
        files.push((path, format(&text)?));
    }
    let registry = tree.text(REGISTRY).ok_or_else(|| format!("{REGISTRY} is missing"))?;
    let names: Vec<String> = SIDES.iter().flat_map(|side| entries(tree, side)).collect();
    let text = array(registry, &names).ok_or_else(|| format!("{REGISTRY} has no item `{ARRAY} …;`"))?;
    files.push((REGISTRY.to_owned(), format(&text)?));
    let embedded = tree.text(EMBEDDED).ok_or_else(|| format!("{EMBEDDED} is missing"))?;
    let text = listed(embedded, tree).ok_or_else(|| format!("{EMBEDDED} has no item `{FILES} …;`"))?;
    files.push((EMBEDDED.to_owned(), format(&text)?));
    Ok(files)
}

/// The list with every file of the statutes in it.
fn listed(embedded: &str, tree: &Tree) -> Option<String> {
    let (before, _) = embedded.split_once(FILES)?;
    let files = tree.below(STATUTES).map(|(path, _)| path).filter(|path| path.ends_with(".yaml"));
    let entry = |path: &str| {
        let within = &path[STATUTES.len()..];
        format!("(\"{within}\", include_str!(\"../../../{path}\")),")
    };
    let entries: String = files.map(entry).collect();
    Some(format!("{before}{FILES} &[{entries}];\n"))
}

fn entries(tree: &Tree, side: &str) -> Vec<String> {
    connectors(tree, side).iter().map(|name| format!("&{side}::{name}::DESCRIPTOR")).collect()
}

/// Folders of one side that declare a descriptor.
fn connectors(tree: &Tree, side: &str) -> Vec<String> {
    let folder = format!("{CONNECTORS}{side}/");
    let declares = |name: &String| {
        let text = tree.text(&format!("{folder}{name}/mod.rs"));
        text.is_some_and(|text| text.contains("pub const DESCRIPTOR: Descriptor"))
    };
    tree.folders_in(&folder).into_iter().filter(declares).collect()
}

/// The module list with one `pub mod` line for each connector; other lines stay.
fn modules(text: &str, connectors: &[String]) -> String {
    let is_connector_line = |line: &&str| line.starts_with("pub mod ");
    let kept: Vec<&str> = text.lines().filter(|line| !is_connector_line(line)).collect();
    let lines: String = connectors.iter().map(|name| format!("pub mod {name};\n")).collect();
    format!("{}\n{lines}", kept.join("\n"))
}

/// The registry with these entries in its array.
fn array(registry: &str, entries: &[String]) -> Option<String> {
    let (before, after) = registry.split_once(ARRAY)?;
    let (_, after) = after.split_once(';')?;
    Some(format!("{before}{ARRAY} &[{}];{after}", entries.join(", ")))
}

/// What rustfmt makes of a text, under the repository's settings.
fn format(text: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("rustfmt: {error}");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(root().join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    rustfmt.stdin.take().expect("stdin is piped").write_all(text.as_bytes()).map_err(failed)?;
    let output = rustfmt.wait_with_output().map_err(failed)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err("rustfmt refused".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARES: &str = "pub const DESCRIPTOR: Descriptor = Descriptor {};";

    #[test]
    fn the_registry_is_what_would_be_written() {
        check().expect("generated files are fresh");
    }

    #[test]
    fn a_folder_with_a_descriptor_is_listed_and_a_removed_one_is_not() {
        let tree = Tree::of(&[
            ("crates/connectors/src/sources/mod.rs", "//! One folder each.\n\nmod image;\npub mod gone;\n"),
            ("crates/connectors/src/sources/orders/mod.rs", DECLARES),
            ("crates/connectors/src/sources/unfinished/codec.rs", ""),
            ("crates/connectors/src/subscribers/hook/mod.rs", DECLARES),
            (REGISTRY, "//! All.\n\npub const ALL: &[&Descriptor] = &[];\n\nfn find() {}\n"),
            (EMBEDDED, "//! Files.\n\npub(crate) const FILES: &[(&str, &str)] = &[];\n"),
            ("statutes/laws/gdpr.yaml", "law: gdpr\n"),
            ("statutes/README.md", "# Statutes\n"),
        ]);
        let files = generated(&tree).expect("rustfmt is installed");
        let text = |suffix: &str| {
            files.iter().find(|(path, _)| path.ends_with(suffix)).map(|(_, text)| text.as_str())
        };
        assert_eq!(text("sources/mod.rs"), Some("//! One folder each.\n\nmod image;\npub mod orders;\n"));
        let registry = text("registry.rs").expect("it is generated");
        assert!(
            registry.contains("&[&sources::orders::DESCRIPTOR, &subscribers::hook::DESCRIPTOR];"),
            "{registry}"
        );
        assert!(registry.ends_with("fn find() {}\n"));
        let embedded = text("embedded.rs").expect("it is generated");
        assert!(
            embedded.contains("(\"laws/gdpr.yaml\", include_str!(\"../../../statutes/laws/gdpr.yaml\"))")
        );
        assert!(!embedded.contains("README"));
    }
}
