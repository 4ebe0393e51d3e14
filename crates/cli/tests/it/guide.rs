//! The first page of the guide is run as it stands: all its `sh` blocks, in order, in one shell. What its
//! `text` blocks promise must be in the output of the block before; `…` stands for anything.

use std::process::Command;
use std::time::{Duration, Instant};

use writ_testkit::postgres::Options;

use crate::stage::{Stage, cluster, free_port};

const PAGE: &str = include_str!("../../../../docs/guide/first-change.md");

/// What stands on the page for what its reader has.
const URL: &str = "postgres://postgres:secret@127.0.0.1:5432/shop";
const RECEIVER: &str = "9000";
const API: &str = "8780";

/// What the page promises its reader, thinking and typing included.
const PROMISED: Duration = Duration::from_secs(300);

#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    language: &'a str,
    text: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => open = Some(Block { language, text: String::new() }),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// The pieces between `…` occur in this order in one line of the output.
fn shows(output: &str, promised: &str) -> bool {
    output.lines().any(|line| {
        let mut rest = line;
        promised.split('…').map(str::trim).all(|piece| match rest.find(piece) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    })
}

/// Says what ends each block's output.
fn mark(at: usize) -> String {
    format!("--- end of block {at} ---")
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// `psql`, `curl` and `python3`, which the page asks of its reader.
fn reader_has_what_the_page_needs() -> bool {
    let missing: Vec<_> =
        ["psql", "curl", "python3"].into_iter().filter(|program| !is_installed(program)).collect();
    let demanded = std::env::var("WRIT_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(missing.is_empty() || !demanded, "WRIT_REQUIRE_SERVICES=1, but {missing:?} are not installed");
    if !missing.is_empty() {
        eprintln!("SKIPPED, NOTHING PROVEN: {missing:?} are not installed");
    }
    missing.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_page_of_the_guide_works_as_it_stands() {
    if !reader_has_what_the_page_needs() {
        return;
    }
    let Some(cluster) = cluster(&Options::default()) else { return };
    let (receiver, api) = (free_port().await.to_string(), free_port().await.to_string());
    let stage = Stage::new("").await;
    let page = PAGE.replace(URL, &cluster.url()).replace(RECEIVER, &receiver).replace(API, &api);
    let blocks = blocks(&page);
    let scripts = blocks.iter().enumerate().filter(|(_, block)| block.language == "sh");
    // What the page starts in the background must not outlive a block that fails.
    let script = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT; exec 2>&1\n".to_owned();
    let script =
        scripts.fold(script, |script, (at, block)| script + &format!("{}echo '{}'\n", block.text, mark(at)));
    let started = Instant::now();
    let ran = stage.shell(&script).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    let took = started.elapsed();
    assert!(took < PROMISED / 5, "the machine's part of the page took {took:?}");
    for (at, promised) in blocks.iter().enumerate().filter(|(_, block)| block.language == "text") {
        let end = ran.out.find(&mark(at - 1)).expect("every block ends with its mark");
        let begin = ran.out[..end].rfind("--- end of block").unwrap_or_default();
        let output = &ran.out[begin..end];
        for line in promised.text.lines() {
            assert!(shows(output, line), "the page promises {line:?}; the block gave\n{output}");
        }
    }
}

#[test]
fn a_promise_with_gaps_must_hold_within_one_line_and_in_order() {
    assert!(shows("a\nshop   postgres   streaming\n", "shop … streaming"));
    assert!(!shows("streaming shop\n", "shop … streaming"));
    assert!(!shows("shop\nstreaming\n", "shop … streaming"));
}
