//! What an operator may state of a receiver, and what that proves.

use writ_model::guarantee::{Mechanism, Proof};
use writ_model::taxonomy::ChangeType;

use super::tests::try_build;

#[test]
fn a_probe_proves_exactly_once_only_where_fencing_and_reading_own_writes_are_documented() {
    let built = |probe: serde_json::Value| {
        try_build(serde_json::json!({"url": "https://example.org/", "probe": probe}), &[])
    };
    let path = "/seen/{delivery_id}";
    let proofs = |probe| built(probe).expect("builds").proofs();
    assert!(proofs(serde_json::json!({"path": path, "fenced": true})).is_empty());
    let both =
        serde_json::json!({"path": path, "fenced": true, "reads_own_writes": true, "source": "a page"});
    assert_eq!(proofs(both), [Proof::of_all(Mechanism::Probe, None)]);
    let unsourced = serde_json::json!({"path": path, "fenced": true, "reads_own_writes": true});
    assert_eq!(built(unsourced).err().expect("refused").key, "probe.source");
    assert_eq!(built(serde_json::json!({"path": "/seen"})).err().expect("refused").key, "probe.path");
}

#[test]
fn a_receiver_that_may_be_asked_again_proves_it_for_what_ends_the_same_and_with_its_source() {
    let built = |stated: serde_json::Value| {
        try_build(
            serde_json::json!({"url": "https://example.org/", "mode": "batch", "idempotent": stated}),
            &[],
        )
    };
    let stated = |types: &[&str], guarded: bool, source: &str| serde_json::json!({"change_types": types, "generation_guarded": guarded, "source": source});
    let proven = Proof {
        change_types: vec![ChangeType::Erasure],
        ..Proof::of_all(Mechanism::IdempotentOperation, None)
    };
    assert_eq!(built(stated(&["erasure"], true, "a page")).expect("builds").proofs(), [proven]);
    let refused = |stated| built(stated).err().expect("refused").key;
    assert_eq!(refused(stated(&["tier"], true, "a page")), "idempotent.change_types");
    assert_eq!(refused(stated(&[], true, "a page")), "idempotent.change_types");
    assert_eq!(refused(stated(&["erasure"], false, "a page")), "idempotent.generation_guarded");
    assert_eq!(refused(stated(&["erasure"], true, " ")), "idempotent.source");
}
