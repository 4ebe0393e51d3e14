//! What an auditor sees when somebody changed one byte after the run.

use std::fs;
use std::path::{Path, PathBuf};

use writ_testkit::postgres::{Cluster, Options};

use crate::first_change::{HEAD, TABLE, source, webhook};
use crate::receivers::{Behaviour, Receiver};
use crate::stage::{Ran, Stage, cluster, until};

/// Enough leaves for a full entry bundle and its tile: each row gives two events, each with two leaves.
const ROWS: usize = 200;

/// A stopped engine's folder with an audit log of more than one bundle, and its source.
async fn after_a_run() -> Option<(Stage, Cluster)> {
    let cluster = cluster(&Options::default())?;
    cluster.psql(TABLE).await;
    let rows = format!(
        "INSERT INTO customer SELECT n, 'c' || n || '@example.org', NULL, 'Graz' FROM generate_series(1, {ROWS}) n"
    );
    cluster.psql(&rows).await;
    let crm = Receiver::start(Behaviour::Healthy).await;
    let mut stage = Stage::new(format!("{HEAD}{}subscribers:\n{}", source(), webhook("crm", &crm))).await;
    stage.environment("WRIT_SHOP_URL", &cluster.url());
    stage.start().await;
    until("all events arrive", async || (crm.events() == 2 * ROWS).then_some(())).await;
    assert!(stage.terminate().await.success(), "{}", stage.log());
    Some((stage, cluster))
}

/// The first file below a folder, in name order, whose path satisfies `is_it`.
fn find(folder: &Path, is_it: impl Fn(&str) -> bool) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("read the audit folder") {
            let path = entry.expect("read an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if is_it(&path.display().to_string()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.into_iter().next().expect("the audit log has such a file")
}

/// Verifies with one byte of a file flipped, and puts it back.
async fn with_a_flipped_byte(stage: &Stage, path: &Path, at: impl Fn(&[u8]) -> usize) -> Ran {
    let sound = fs::read(path).expect("read the file");
    let mut bytes = sound.clone();
    let at = at(&bytes);
    bytes[at] ^= 1;
    fs::write(path, &bytes).expect("write the file");
    let ran = stage.verify().await;
    fs::write(path, &sound).expect("write the file back");
    ran
}

fn find_text(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("the text is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flipped_byte_anywhere_fails_verification_with_the_code_of_its_class() {
    let Some((stage, _cluster)) = after_a_run().await else { return };
    let audit = stage.path("data/audit");
    let sound = stage.verify().await;
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.out.contains("self-attested, not witnessed"), "{sound:?}");

    let entries = find(&audit, |path| path.contains("tile/entries/") && !path.contains(".p/"));
    let in_a_leaf = with_a_flipped_byte(&stage, &entries, |bytes| find_text(bytes, "\"email\"") + 1).await;
    assert_eq!(in_a_leaf.code, Some(11), "{in_a_leaf:?}");

    let acks = find(&audit, |path| path.contains("acks/") && !path.contains(".p/"));
    let in_a_record = with_a_flipped_byte(&stage, &acks, |bytes| find_text(bytes, "acknowledged")).await;
    assert_eq!(in_a_record.code, Some(15), "{in_a_record:?}");

    let tile = find(&audit, |path| path.contains("tile/0/") && !path.contains(".p/"));
    let in_a_tile = with_a_flipped_byte(&stage, &tile, |bytes| bytes.len() / 2).await;
    assert_eq!(in_a_tile.code, Some(11), "{in_a_tile:?}");

    let checkpoint = audit.join("checkpoint");
    let in_the_root = with_a_flipped_byte(&stage, &checkpoint, |bytes| find_text(bytes, "\n") + 1).await;
    assert_eq!(in_the_root.code, Some(10), "{in_the_root:?}");

    fs::rename(&tile, tile.with_extension("away")).expect("take the tile away");
    let missing = stage.verify().await;
    assert_eq!(missing.code, Some(14), "{missing:?}");
    fs::rename(tile.with_extension("away"), &tile).expect("put the tile back");
    assert_eq!(stage.verify().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_log_cut_back_to_an_older_checkpoint_is_a_rollback() {
    let Some((mut stage, cluster)) = after_a_run().await else { return };
    let checkpoint = stage.path("data/audit/checkpoint");
    let old = fs::read(&checkpoint).expect("read the checkpoint");
    stage.start().await;
    cluster.psql("UPDATE customer SET city = 'Linz'").await;
    let grown = async || (fs::read(&checkpoint).ok()? != old).then_some(());
    until("a later checkpoint is signed", grown).await;
    assert!(stage.terminate().await.success(), "{}", stage.log());
    let kept = stage.path("kept");
    fs::copy(&checkpoint, &kept).expect("keep the later checkpoint");
    let since = ["audit", "verify", "data/audit", "--since", "kept"];
    assert_eq!(stage.writ(&since).await.code, Some(0));
    fs::write(&checkpoint, &old).expect("put the older checkpoint in place");
    let rolled_back = stage.writ(&since).await;
    assert_eq!(rolled_back.code, Some(13), "{rolled_back:?}");
}
