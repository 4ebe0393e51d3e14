//! Changes that arrive late, twice, from elsewhere, or from a clock that is wrong.

use writ_attest::acks;
use writ_attest::leaf::Leaf;
use writ_model::lineage::{Lamport, Ordinals, SourceVersion, Standing};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Hlc;

use super::*;

/// A pushed change of record 1, made by its producer at a time.
fn pushed(id: &str, address: &str, at: i64) -> Change {
    Change {
        producer_id: Some(id.to_owned()),
        claim: Claim { version: Some(SourceVersion::Time(Timestamp(at))), ..Claim::default() },
        ..email(0, "1", address)
    }
}

/// The same as a producer that knows the change type sends it.
fn declared(id: &str, change_type: ChangeType, at: i64) -> Change {
    Change { table: "customer".to_owned(), declared: Some(change_type), ..pushed(id, "x", at) }
}

fn with_rule(rule: StaleRule) -> Bench {
    let mut bench = bench();
    bench.writer.terms.get_mut(&source()).expect("the source is configured").stale = rule;
    bench
}

fn known(bench: &Bench) -> Vec<(Option<Value>, Option<Value>)> {
    let vault = bench.writer.vault();
    let opened = bench.events().into_iter().map(|event| {
        let key =
            vault.key(event.header.subject_id, event.header.generation, writ_store::vault::Purpose::Content);
        let key = key.expect("the vault reads").expect("a key");
        seal::open(&event.parts[0], &event.header, &key).expect("it opens").data
    });
    let email = |side: Option<writ_model::value::Attributes>| side.and_then(|mut side| side.remove("email"));
    opened.map(|data| (email(data.before), email(data.after))).collect()
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn standings(bench: &Bench) -> Vec<Option<Standing>> {
    let standing = |event: StoredEvent| event.header.lineage.and_then(|lineage| lineage.standing);
    bench.events().into_iter().map(standing).collect()
}

#[test]
fn a_change_older_than_what_was_applied_is_dropped_counted_and_journaled() {
    let mut bench = bench();
    assert!(matches!(bench.push(pushed("a", "new@b.example", 5)), Admitted::Accepted(_)));
    assert_eq!(bench.push(pushed("b", "old@b.example", 3)), Admitted::Stale);
    assert_eq!(bench.push(pushed("b", "old@b.example", 3)), Admitted::Duplicate);
    assert_eq!(bench.events().len(), 1);
    let dropped = |record: &Record| matches!(record, Record::Fact(_, ControlFact::Stale(_)));
    assert_eq!(bench.records().iter().filter(|record| dropped(record)).count(), 1);
    let counted = bench.records().into_iter().filter_map(|record| match record {
        Record::Leaf(_, _, bytes) => match Leaf::parse(acks::split(&bytes).0).expect("a leaf") {
            Leaf::Accounting(leaf) => Some((leaf.covered, leaf.stale)),
            _ => None,
        },
        Record::Event(_) | Record::Fact(..) => None,
    });
    assert_eq!(counted.collect::<Vec<_>>(), [(1, 0), (1, 1), (1, 0)]);
}

#[test]
fn a_flagged_change_is_shown_and_the_next_one_follows_what_was_applied() {
    let mut bench = with_rule(StaleRule::Flag);
    bench.push(pushed("a", "one@b.example", 5));
    assert!(matches!(bench.push(pushed("b", "old@b.example", 3)), Admitted::Accepted(_)));
    bench.push(pushed("c", "two@b.example", 7));
    assert_eq!(standings(&bench), [None, Some(Standing::Stale), None]);
    assert_eq!(known(&bench)[2], (text("one@b.example"), text("two@b.example")));
}

#[test]
fn a_forwarded_change_counts_as_the_latest_and_still_makes_nothing_older_new() {
    let mut bench = with_rule(StaleRule::Forward);
    bench.push(pushed("a", "one@b.example", 5));
    bench.push(pushed("b", "old@b.example", 3));
    bench.writer.terms.get_mut(&source()).expect("configured").stale = StaleRule::Drop;
    assert_eq!(bench.push(pushed("c", "older@b.example", 4)), Admitted::Stale);
    bench.push(pushed("d", "two@b.example", 7));
    assert_eq!(standings(&bench), [None, None, None]);
    assert_eq!(known(&bench)[2], (text("old@b.example"), text("two@b.example")));
}

#[test]
fn an_opt_out_that_comes_late_is_never_dropped() {
    let mut bench = bench();
    bench.push(declared("a", ChangeType::Suppression, 5));
    assert!(matches!(bench.push(declared("b", ChangeType::Suppression, 3)), Admitted::Accepted(_)));
    assert_eq!(standings(&bench), [None, Some(Standing::Stale)]);
}

#[test]
fn the_events_of_a_subject_are_numbered_without_gaps_and_the_logical_clock_passes_the_producer_s() {
    let mut bench = bench();
    bench.push(pushed("a", "one@b.example", 5));
    bench.is_full.store(true, Ordering::Relaxed);
    let (reply, _answer) = oneshot::channel();
    let changes = vec![pushed("b", "two@b.example", 6)];
    bench.work(Work::Changes(
        Submission { source: source(), changes, progress: None, reply: Some(reply) },
        None,
    ));
    bench.is_full.store(false, Ordering::Relaxed);
    let mut claimed = pushed("b", "two@b.example", 6);
    claimed.claim.lamport = Some(Lamport(40));
    bench.push(claimed);
    bench.submit(vec![email(1, "2", "a@b.example")], 1).expect("taken");
    let ordinals: Vec<Ordinals> = bench.events().iter().map(|event| event.ordinals).collect();
    assert_eq!(ordinals.iter().map(|one| one.subject.0).collect::<Vec<_>>(), [1, 2, 1]);
    assert!(ordinals[0].lamport < ordinals[1].lamport && ordinals[1].lamport == Lamport(41));
    assert_eq!(ordinals[2].lamport, Lamport(42));
}

#[test]
fn what_is_read_again_after_a_restart_says_how_new_it_is() {
    let mut bench = bench();
    bench.push(pushed("a", "one@b.example", 5));
    let event = bench.events().remove(0);
    let found = |bench: &Bench| {
        let vault = bench.writer.vault();
        let at = vault.locate(event.header.subject_id).expect("the vault reads").expect("it is there");
        vault.find(at).expect("the vault reads").expect("it is there")
    };
    let before = found(&bench);
    assert_eq!((before.sequence.0, before.versions.groups.len()), (1, 1));
    // The same rules make the same of the log's record.
    let key = before.content.clone().expect("a key");
    let private = seal::open(&event.parts[0], &event.header, &key).expect("it opens");
    let said = (private.data.after, private.version);
    let hash = bench.writer.vault().locate(event.header.subject_id).expect("reads").expect("there");
    let again =
        writ_store::vault::Remember::of_event(&event.header, event.ordinals.subject, said, hash, None);
    let mut anew = writ_store::vault::Subject {
        versions: writ_model::lineage::Versions::default(),
        last_known: BTreeMap::new(),
        sequence: writ_model::lineage::SubjectSequence::default(),
        ..before.clone()
    };
    again.put_into(&mut anew);
    assert_eq!((&anew.versions, anew.sequence), (&before.versions, before.sequence));
    assert_eq!(anew.last_known, before.last_known);
}

#[test]
fn a_producer_whose_clock_is_far_ahead_is_refused_and_the_clock_stays() {
    let mut bench = bench();
    let far = u64::try_from(clock::wall().as_millis()).expect("after 1970") + 3_600_000;
    let mut ahead = pushed("a", "one@b.example", 5);
    ahead.claim.hlc = Some(Hlc { millis: far, counter: 0, node: 9 });
    assert!(matches!(bench.push(ahead.clone()), Admitted::Ahead(3_500_000..)));
    assert!(bench.events().is_empty());
    ahead.claim.hlc = Some(Hlc { millis: far - 3_600_000, counter: 7, node: 9 });
    assert!(matches!(bench.push(ahead.clone()), Admitted::Accepted(_)), "sent again, it is not a duplicate");
    assert!(bench.events()[0].header.hlc > ahead.claim.hlc.expect("claimed"));
}

#[test]
fn an_id_that_is_used_again_after_its_window_is_a_new_change() {
    let mut bench = bench();
    bench.writer.terms.get_mut(&source()).expect("configured").dedup_window = Duration::ZERO;
    assert!(matches!(bench.push(pushed("a", "one@b.example", 5)), Admitted::Accepted(_)));
    assert!(matches!(bench.push(pushed("a", "two@b.example", 6)), Admitted::Accepted(_)));
    bench.writer.terms.get_mut(&source()).expect("configured").dedup_window = Duration::from_secs(60);
    assert_eq!(bench.push(pushed("a", "two@b.example", 6)), Admitted::Duplicate);
    assert_eq!(bench.push(pushed("a", "three@b.example", 6)), Admitted::Conflict);
}

#[test]
fn an_id_of_a_change_that_gave_no_event_is_in_conflict_when_it_comes_for_another_record() {
    let mut bench = bench();
    assert!(matches!(bench.push(pushed("a", "one@b.example", 5)), Admitted::Accepted(_)));
    assert_eq!(bench.push(pushed("b", "one@b.example", 6)), Admitted::Unchanged);
    let other = Change { key: RecordKey(vec!["2".into()]), ..pushed("b", "two@b.example", 7) };
    assert_eq!(bench.push(other), Admitted::Conflict);
    assert_eq!(bench.push(pushed("b", "one@b.example", 6)), Admitted::Duplicate);
}

#[test]
fn regions_that_exchange_events_tell_old_from_concurrent_ones() {
    let mut bench = bench();
    bench.writer.region = Some(writ_model::id::Region::new("us").expect("a name"));
    let seen = |id: &str, address: &str, vector: Option<&str>| {
        let vector = vector.map(|vector| vector.parse().expect("a vector"));
        Change { claim: Claim { vector, ..Claim::default() }, ..pushed(id, address, 0) }
    };
    bench.push(seen("a", "one@b.example", Some("eu=1")));
    bench.push(seen("b", "two@b.example", None));
    bench.push(seen("c", "three@b.example", Some("eu=2")));
    assert_eq!(bench.push(seen("d", "four@b.example", Some("eu=1"))), Admitted::Stale);
    let vector = |event: StoredEvent| event.header.lineage.expect("a region is set").vector.to_string();
    let vectors: Vec<String> = bench.events().into_iter().map(vector).collect();
    assert_eq!(vectors, ["eu=1,us=1", "eu=1,us=2", "eu=2,us=3"]);
    assert_eq!(standings(&bench), [None, None, Some(Standing::Concurrent)]);
}
