//! Lines on disk: whole, synced, repaired, rotated, and undone when the disk fails.

use std::path::Path;

use writ_model::cloudevent::CloudEvent;
use writ_model::id::{DeliveryId, Epoch, Offset, StoreId, SubjectId, TenantId};
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;
use writ_schema::cloudevents::View;

use super::*;
use crate::secret::Secrets;
use crate::subscriber::{ParcelItem, Sender};

fn parcel(ids: &[&str]) -> Parcel {
    let item = |id: &&str| ParcelItem {
        view: Arc::new(View::new(&CloudEvent {
            id: (*id).to_owned(),
            source: "/s".into(),
            event_type: "t".into(),
            subject: None,
            time: None,
            data_content_type: None,
            data_schema: None,
            extensions: Default::default(),
            data: Some(serde_json::json!({"text": "two\nlines"})),
            is_base64: false,
        })),
        delivery_id: DeliveryId([0; 16]),
        attempt: 1,
        offset: Offset::ZERO,
        subject_id: SubjectId([0; 16]),
    };
    let sender = Sender { store: StoreId([0; 8]), epoch: Epoch(1) };
    Parcel { items: ids.iter().map(item).collect(), at: Timestamp(0), sender, settled_below: Offset::ZERO }
}

fn subscriber(folder: &Path, config: serde_json::Value) -> Box<dyn Subscriber> {
    let tenant = TenantId::new("t").expect("name");
    let secrets = Secrets { base: folder.to_owned() };
    let context = Context { tenant: &tenant, name: "out", tables: &Tables::new(), secrets: &secrets };
    build(&context, config).expect("builds")
}

fn ids(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("read");
    assert!(text.is_empty() || text.ends_with('\n'));
    let id = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).expect("json")["id"].as_str().map(str::to_owned)
    };
    text.lines().map(|line| id(line).expect("an id")).collect()
}

#[tokio::test]
async fn each_event_is_one_line_and_a_torn_line_is_cut_off_at_the_next_open() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("out.jsonl");
    let first = subscriber(folder.path(), serde_json::json!({"path": "out.jsonl"}));
    assert_eq!(first.deliver(parcel(&["a", "b"])).await, Answer::Durable);
    drop(first);
    let mut torn = std::fs::read(&path).expect("read");
    torn.extend(vec![b'x'; 200_000]);
    std::fs::write(&path, torn).expect("write");
    let second = subscriber(folder.path(), serde_json::json!({"path": "out.jsonl"}));
    assert_eq!(second.deliver(parcel(&["c"])).await, Answer::Durable);
    assert_eq!(ids(&path), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_full_disk_is_a_failed_local_sink() {
    let full = subscriber(Path::new("/"), serde_json::json!({"path": "/dev/full"}));
    assert_eq!(full.deliver(parcel(&["a"])).await, Answer::Failed(Fault::LocalSink));
    let absent = subscriber(Path::new("/"), serde_json::json!({"path": "/nowhere/at/all/out.jsonl"}));
    assert_eq!(absent.deliver(parcel(&["a"])).await, Answer::Failed(Fault::LocalSink));
    assert!(absent.check().await.is_err());
}

#[tokio::test]
async fn a_file_that_another_writer_holds_is_not_written() {
    let folder = tempfile::tempdir().expect("folder");
    let one = subscriber(folder.path(), serde_json::json!({"path": "out.jsonl"}));
    one.check().await.expect("opens");
    let other = subscriber(folder.path(), serde_json::json!({"path": "out.jsonl"}));
    assert_eq!(other.deliver(parcel(&["a"])).await, Answer::Failed(Fault::LocalSink));
}

#[tokio::test]
async fn a_file_that_would_grow_too_large_is_renamed_first() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("out.jsonl.7"), "").expect("write");
    let big = "x".repeat(40_000);
    let config = serde_json::json!({"path": "out.jsonl", "rotate_bytes": 65_536});
    let rotating = subscriber(folder.path(), config);
    for _ in 0..3 {
        assert_eq!(rotating.deliver(parcel(&[&big])).await, Answer::Durable);
    }
    for name in ["out.jsonl", "out.jsonl.8", "out.jsonl.9"] {
        assert_eq!(ids(&folder.path().join(name)).len(), 1, "{name}");
    }
}

#[tokio::test]
async fn concurrent_parcels_never_interleave() {
    let folder = tempfile::tempdir().expect("folder");
    let out: Arc<dyn Subscriber> = subscriber(folder.path(), serde_json::json!({"path": "out.jsonl"})).into();
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..20 {
        let out = Arc::clone(&out);
        writes.spawn(async move { out.deliver(parcel(&[&format!("{n}a"), &format!("{n}b")])).await });
    }
    while let Some(done) = writes.join_next().await {
        assert_eq!(done.expect("joins"), Answer::Durable);
    }
    let ids = ids(&folder.path().join("out.jsonl"));
    assert_eq!(ids.len(), 40);
    assert!(ids.chunks(2).all(|pair| pair[0].trim_end_matches('a') == pair[1].trim_end_matches('b')));
}
