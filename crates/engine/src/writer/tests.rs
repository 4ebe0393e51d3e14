//! The writer without its thread: work in, records in the log out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use serde_json::json;
use writ_kernel::route::Router;
use writ_kernel::settle::Finished;
use writ_model::change::RowChange;
use writ_model::control::{Cursor, SettledBatch};
use writ_model::delivery::{Acknowledgement, SettledAs};
use writ_model::id::{Epoch, Incarnation, Position, RecordKey, Sequence, Slot, SubscriberName};
use writ_model::lineage::Claim;
use writ_model::time::Timestamp;
use writ_model::value::{Field, Image, Value};
use writ_policy::Bundle;
use writ_schema::registry::Registry;
use writ_store::error::AppendError;
use writ_store::log::{Appended, Commit, Log, LogReader, MemoryLog, Record, StoredEvent};

mod memory;
mod standing;

use super::batch::Batch;
use super::*;
use crate::clock;
use crate::config::Config;
use crate::follower::Wake;
use crate::launch::{Judges, Parts, wires};
use crate::{opened, recovery};

/// A writer on a store of its own, and a disk that can be full.
struct Bench {
    writer: Writer,
    wakes: Receiver<Wake>,
    is_full: Arc<AtomicBool>,
    _dir: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

struct Disk {
    log: Box<dyn Log>,
    is_full: Arc<AtomicBool>,
}

impl Log for Disk {
    fn append(&mut self, epoch: Epoch, commit: Commit) -> Result<Appended, AppendError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(AppendError::Full { path: "log".into(), bytes: 1 });
        }
        self.log.append(epoch, commit)
    }
    fn reader(&self) -> Box<dyn LogReader> {
        self.log.reader()
    }
    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }
    fn start(&self) -> Offset {
        self.log.start()
    }
    fn end(&self) -> Offset {
        self.log.end()
    }
    fn tail(&self, slot: Slot) -> Sequence {
        self.log.tail(slot)
    }
    fn leaf_count(&self) -> u64 {
        self.log.leaf_count()
    }
    fn truncate_before(&mut self, keep_from: Offset) -> Result<Offset, AppendError> {
        self.log.truncate_before(keep_from)
    }
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let sources = json!({ "crm": { "kind": "cloudevents" } });
    let store = json!({ "path": dir.path(), "segment_mib": 1 });
    let config = json!({ "tenant": "acme", "store": store, "sources": sources });
    let config: Config = serde_json::from_value(config).expect("a configuration");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (wires, work) = wires();
    let store = opened::open(&config).expect("a store");
    let (parts, log, _audit) =
        Parts::new(&config, store, (Arc::new(Router::new(Vec::new())), Bundle::none().engine()), work);
    let tables =
        json!({ "customers": { "entity": "customer", "key": ["id"], "changes": { "email": ["email"] } } });
    let judges = Judges {
        policy: Bundle::none().engine(),
        registry: Arc::new(Registry::from_files(Vec::<(String, Vec<u8>)>::new()).expect("schemas")),
        mappings: BTreeMap::from([(source(), serde_json::from_value(tables).expect("a mapping"))]),
    };
    let entered = runtime.enter();
    let mut writer = parts.writer(log, judges, wires.wake, wires.committed).expect("a writer");
    drop(entered);
    let is_full = Arc::new(AtomicBool::new(false));
    let log = std::mem::replace(&mut writer.log, Box::new(MemoryLog::default()));
    writer.log = Box::new(Disk { log, is_full: Arc::clone(&is_full) });
    Bench { writer, wakes: wires.wakes, is_full, _dir: dir, _runtime: runtime }
}

fn source() -> SourceName {
    SourceName::new("crm").expect("a name")
}

fn progress(commit: u64) -> SourceProgress {
    let position = Position { commit, ordinal: 0 };
    SourceProgress { source: source(), incarnation: Incarnation("one".into()), position, snapshot: None }
}

/// An e-mail address was written at (5, ordinal).
fn email(ordinal: u64, key: &str, address: &str) -> Change {
    let field = Field::Seen(Value::Text(address.into()));
    Change {
        source: source(),
        incarnation: Incarnation("one".into()),
        position: Position { commit: 5, ordinal },
        committed_at: Timestamp(1_000_000),
        transaction: None,
        producer_id: None,
        table: "customers".into(),
        row: RowChange::Upsert,
        declared: None,
        key: RecordKey(vec![key.into()]),
        old_key: None,
        before: None,
        after: Some(Image(BTreeMap::from([("email".to_owned(), field)]).into_iter().collect())),
        claim: Claim::default(),
    }
}

impl Bench {
    fn submit(&mut self, changes: Vec<Change>, run: u64) -> Result<(), EngineError> {
        let (done, mut answers) = mpsc::unbounded_channel();
        let run = Run { source: source(), number: run, done };
        let submission = Submission { source: source(), changes, progress: Some(progress(4)), reply: None };
        self.work(Work::Changes(submission, Some(run)));
        answers.try_recv().unwrap_or_else(|_| Ok(progress(0))).map(drop)
    }

    /// Pushes one change and gives what became of it.
    fn push(&mut self, change: Change) -> Admitted {
        let (reply, mut answer) = oneshot::channel();
        let submission =
            Submission { source: source(), changes: vec![change], progress: None, reply: Some(reply) };
        self.work(Work::Changes(submission, None));
        let mut stored = answer.try_recv().expect("an answer").expect("stored");
        stored.admitted.remove(0)
    }

    fn work(&mut self, work: Work) {
        let mut batch = Batch::default();
        self.writer.take(&mut batch, work).expect("the writer goes on");
        self.writer.commit(batch).expect("the writer goes on");
    }

    fn records(&self) -> Vec<Record> {
        self.writer.log.reader().read(Offset(0), usize::MAX).expect("the log reads")
    }

    fn events(&self) -> Vec<StoredEvent> {
        let events = self.records().into_iter().filter_map(|record| match record {
            Record::Event(event) => Some(*event),
            Record::Fact(..) | Record::Leaf(..) => None,
        });
        events.collect()
    }
}

#[test]
fn a_transaction_that_is_read_again_gives_no_event_twice() {
    let mut bench = bench();
    let flips: Vec<Change> = [(1, "a@b.example"), (2, "c@d.example"), (3, "a@b.example"), (4, "e@f.example")]
        .map(|(ordinal, address)| email(ordinal, "1", address))
        .into();
    bench.submit(flips[..3].to_vec(), 1).expect("taken");
    bench.submit(flips, 2).expect("taken");
    let mut ids: Vec<EventId> = bench.events().iter().map(|event| event.header.event_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((bench.events().len(), ids.len()), (4, 4));
}

#[test]
fn a_record_under_a_key_that_its_batch_gave_away_is_another_subject() {
    let mut bench = bench();
    bench.submit(vec![email(1, "1", "a@b.example")], 1).expect("taken");
    let rekey = Change { old_key: Some(RecordKey(vec!["1".into()])), ..email(2, "2", "a@b.example") };
    bench.submit(vec![rekey, email(3, "1", "c@d.example"), email(4, "2", "e@f.example")], 1).expect("taken");
    let subjects: Vec<SubjectId> = bench.events().iter().map(|event| event.header.subject_id).collect();
    assert_eq!(subjects.len(), 4);
    assert!(subjects[0] == subjects[1] && subjects[1] != subjects[2] && subjects[3] == subjects[0]);
}

fn rekey(ordinal: u64, old: &str, new: &str) -> Change {
    Change { old_key: Some(RecordKey(vec![old.into()])), ..email(ordinal, new, CARD) }
}

/// A published test number: the gate keeps its event out of the stream.
const CARD: &str = "4111 1111 1111 1111";

#[test]
fn a_record_whose_rekey_gave_no_event_in_the_stream_is_the_same_subject_under_its_new_key() {
    let mut bench = bench();
    bench.submit(vec![email(1, "1", "a@b.example")], 1).expect("taken");
    bench.submit(vec![rekey(2, "1", "2")], 1).expect("taken");
    bench.submit(vec![email(3, "2", "c@d.example")], 1).expect("taken");
    let subjects: Vec<SubjectId> = bench.events().iter().map(|event| event.header.subject_id).collect();
    assert_eq!(subjects.len(), 2, "the rekey's own event is in quarantine");
    assert_eq!(subjects[0], subjects[1]);
}

#[test]
fn a_rekey_without_an_event_is_known_after_a_crash_that_lost_the_vault_s_last_writes() {
    let mut bench = bench();
    bench.submit(vec![email(1, "1", "a@b.example")], 1).expect("taken");
    bench.submit(vec![rekey(2, "1", "2")], 1).expect("taken");
    let fact = bench.records().into_iter().find_map(|record| match record {
        Record::Fact(_, ControlFact::Rekeyed(fact)) => Some(fact),
        Record::Fact(..) | Record::Event(_) | Record::Leaf(..) => None,
    });
    let vault = bench.writer.vault();
    let moved =
        recovery::moved(vault.as_ref(), &fact.expect("journaled")).expect("opens").expect("its key is there");
    assert_eq!(vault.locate(bench.events()[0].header.subject_id).expect("reads"), Some(moved.key_hash));
    assert!(moved.old_key_hash.is_some_and(|old| old != moved.key_hash));
}

#[test]
fn events_of_a_record_that_a_fact_moved_come_in_a_later_commit_than_the_fact() {
    let mut bench = bench();
    bench.submit(vec![email(1, "1", "a@b.example")], 1).expect("taken");
    bench.submit(vec![rekey(2, "1", "2"), email(3, "2", "c@d.example")], 1).expect("taken");
    let moved = bench.records().into_iter().find_map(|record| match record {
        Record::Fact(offset, ControlFact::Rekeyed(_)) => Some(offset),
        Record::Fact(..) | Record::Event(_) | Record::Leaf(..) => None,
    });
    let events = bench.events();
    assert_eq!(events.len(), 2);
    assert!(events[1].offset > moved.expect("journaled"), "a restart reads them in this order");
    assert_eq!(events[0].header.subject_id, events[1].header.subject_id);
}

#[test]
fn a_change_that_does_not_fit_its_mapping_ends_the_run_and_comes_again() {
    let mut bench = bench();
    let unfit = Change { key: RecordKey(vec!["1".into(), "2".into()]), ..email(2, "1", "c@d.example") };
    let changes = vec![email(1, "1", "a@b.example"), unfit, email(3, "1", "e@f.example")];
    let error = bench.submit(changes, 1).expect_err("refused");
    assert_eq!(error.code, writ_model::code::MAPPING_UNFIT, "{error}");
    assert_eq!(bench.events().len(), 1, "what came before it is stored");
    bench.submit(vec![email(3, "1", "e@f.example")], 1).expect("no answer");
    assert_eq!(bench.events().len(), 1, "what the run sent behind it is not");
    let again =
        vec![email(1, "1", "a@b.example"), email(2, "1", "c@d.example"), email(3, "1", "e@f.example")];
    bench.submit(again, 2).expect("taken");
    assert_eq!(bench.events().len(), 3);
}

#[test]
fn a_source_that_reads_again_what_is_in_the_log_takes_its_progress_back_in_no_journal() {
    let mut bench = bench();
    let submit = |bench: &mut Bench, commit| {
        let (done, _answers) = mpsc::unbounded_channel();
        let run = Run { source: source(), number: commit, done };
        let submission = Submission {
            source: source(),
            changes: Vec::new(),
            progress: Some(progress(commit)),
            reply: None,
        };
        bench.work(Work::Changes(submission, Some(run)));
    };
    for commit in [4, 6, 5, 7] {
        submit(&mut bench, commit);
    }
    let told = bench.records().into_iter().filter_map(|record| match record {
        Record::Fact(_, ControlFact::SourceProgress(progress)) => Some(progress.position.commit),
        Record::Fact(..) | Record::Event(_) | Record::Leaf(..) => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [4, 6, 7]);
}

#[test]
fn what_the_hub_asked_for_outlives_a_refused_commit_and_keeps_its_order() {
    let mut bench = bench();
    let cursor = |watermark| {
        let subscriber = SubscriberName::new("crm").expect("a name");
        ControlFact::Cursor(Cursor {
            subscriber,
            epoch: Epoch(1),
            watermark: Offset(watermark),
            done: Vec::new(),
        })
    };
    bench.is_full.store(true, Ordering::Relaxed);
    bench.work(Work::Facts(vec![cursor(1)]));
    bench.work(Work::Load { from: Offset(0), limit: 7 });
    bench.work(Work::Facts(vec![cursor(2)]));
    assert!(bench.wakes.try_iter().all(|wake| matches!(wake, Wake::Grown)), "told before it was committed");
    bench.is_full.store(false, Ordering::Relaxed);
    bench.work(Work::Facts(Vec::new()));
    assert!(bench.wakes.try_iter().any(|wake| matches!(wake, Wake::Load { limit: 7, .. })));
    let facts = bench.records().into_iter().filter_map(|record| match record {
        Record::Fact(_, fact) => Some(fact),
        Record::Event(_) | Record::Leaf(..) => None,
    });
    assert_eq!(facts.collect::<Vec<_>>(), [cursor(1), cursor(2)]);
}

#[test]
fn what_a_run_sent_behind_a_refused_commit_is_not_taken_and_the_next_run_is() {
    let mut bench = bench();
    bench.is_full.store(true, Ordering::Relaxed);
    assert!(bench.submit(vec![email(1, "1", "a@b.example")], 1).is_err());
    bench.is_full.store(false, Ordering::Relaxed);
    bench.submit(vec![email(2, "1", "c@d.example")], 1).expect("no answer");
    assert_eq!(bench.events(), []);
    bench.submit(vec![email(1, "1", "a@b.example"), email(2, "1", "c@d.example")], 2).expect("taken");
    assert_eq!(bench.events().len(), 2);
}

#[test]
fn a_wall_clock_that_went_back_does_not_take_the_audit_log_s_times_back() {
    let mut bench = bench();
    let later = Timestamp(clock::wall().0 + 3_600_000_000);
    bench.writer.latest = later;
    bench.submit(vec![email(1, "1", "a@b.example")], 1).expect("taken");
    let times = bench.records().into_iter().filter_map(|record| match record {
        Record::Leaf(_, _, bytes) => writ_attest::leaf::Leaf::parse(&bytes).ok().map(|leaf| leaf.timestamp()),
        Record::Event(_) | Record::Fact(..) => None,
    });
    let times: Vec<i64> = times.map(|time| time.micros()).collect();
    assert_eq!(times.len(), 2, "an intent and an accounting leaf");
    assert!(times.iter().all(|time| *time >= later.0 / 1000 * 1000));
    let floor = recovery::clock_floor(bench.writer.log.as_ref()).expect("the log reads");
    assert!(floor.latest.0 >= later.0 / 1000 * 1000, "a restart goes on from there");
}

#[test]
fn a_log_that_all_events_have_left_still_tells_where_the_clocks_go_on() {
    let mut bench = bench();
    bench.submit(vec![email(1, "1", "a@b.example"), email(2, "2", "c@d.example")], 1).expect("taken");
    let [.., last] = &bench.events()[..] else { panic!("two events") };
    let (hlc, lamport) = (last.header.hlc, last.ordinals.lamport);
    let end = bench.writer.log.end();
    bench.work(Work::Retire { before: end, as_of: end });
    bench.work(Work::Truncate(end));
    // A log drops whole segments; here it is as if each record were one.
    let facts = bench.records().into_iter().filter(|record| matches!(record, Record::Fact(..)));
    let mut left = MemoryLog::default();
    let facts = facts.filter_map(|record| match record {
        Record::Fact(_, fact @ ControlFact::Truncated(_)) => Some(fact),
        _ => None,
    });
    let commit = Commit { facts: facts.collect(), ..Commit::default() };
    let epoch = left.epoch();
    left.append(epoch, commit).expect("room");
    let floor = recovery::clock_floor(&left).expect("the log reads");
    assert!(floor.clocks.hlc_millis >= hlc.millis, "{:?} {hlc:?}", floor.clocks);
    assert_eq!(floor.clocks.lamport, lamport);
}

#[test]
fn what_a_final_leaf_repeats_is_found_when_the_beginning_of_the_log_is_gone() {
    let mut bench = bench();
    for round in 0..10 {
        let email = |n: u64| email(round * 100 + n, &format!("{round}-{n}"), "a@b.example");
        bench.submit((1..=100).map(email).collect(), round + 1).expect("taken");
    }
    let events = bench.events();
    bench.work(Work::Truncate(bench.writer.log.end()));
    let start = bench.writer.log.start();
    let first = events.iter().find(|event| event.offset >= start).expect("an event is left").offset;
    assert!(start > events[0].offset, "a segment is gone");
    assert!(bench.writer.sweep.intent(first).expect("the log reads").is_some());
    assert!(bench.writer.sweep.intent(events[0].offset).expect("it is known to be gone").is_none());
}

#[test]
fn a_final_leaf_names_a_subscriber_that_settled_the_event_and_is_not_configured_any_more() {
    let mut bench = bench();
    bench.submit(vec![email(1, "1", "a@b.example")], 1).expect("taken");
    let [event] = bench.events().try_into().expect("one event");
    let how = Acknowledgement {
        settled: SettledAs::Acknowledged,
        at: Timestamp(2_000_000),
        attempts: 1,
        answer_sha256: None,
    };
    let subscriber = SubscriberName::new("gone").expect("a name");
    let items = vec![(event.offset, how)];
    bench.work(Work::Facts(vec![ControlFact::Settled(SettledBatch { subscriber, items })]));
    let end = bench.writer.log.end();
    bench.writer.state.apply(&bench.records(), end).expect("state takes it");
    bench.writer.began = end;
    let (offset, event_id, intent_index) = (event.offset, event.header.event_id, event.intent_index);
    let finished = Finished { offset, event_id, intent_index, acknowledgements: Vec::new() };
    bench.work(Work::Finals(vec![Due { finished, known: None }]));
    let acks = bench.records().into_iter().filter_map(|record| match record {
        Record::Leaf(_, _, bytes) => Some(writ_attest::acks::split(&bytes).1.concat()),
        Record::Event(_) | Record::Fact(..) => None,
    });
    let acks: Vec<String> = acks.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
    assert!(acks.iter().any(|ack| ack.contains("\"gone\"") && ack.contains("acknowledged")), "{acks:?}");
}
