//! What an append costs beside the least it could cost: a plain write and sync of the same bytes, and beside
//! a durable batch of the key-value engine that holds state, in turns. Prints JSON. Run with
//! `cargo bench -p writ-store --bench append`.
//!
//! The portable figures are the ratio to the floor, syncs per commit and bytes per byte; events per second
//! are this disk's.

#![allow(clippy::print_stdout, reason = "the result is the output")]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use writ_kernel::gate::machine::{Config, Effect, Fact, Gate, Ticket};
use writ_kernel::gate::{Cleared, Decided};
use writ_kernel::machine::{Machine, Now};
use writ_model::envelope::{ClearHeader, Envelope, EventData, PrivatePart};
use writ_model::id::{
    Generation, Incarnation, Position, RecordKey, Sequence, Slot, SourceName, SubjectId, TenantId,
};
use writ_model::lineage::Ordinals;
use writ_model::taxonomy::{ChangeType, Entity, Operation};
use writ_model::time::{Hlc, Timestamp};
use writ_model::value::Value;
use writ_model::verdict::{Checked, PolicyAnswer, PolicyVerdict, PolicyVersion, SchemaVerdict};
use writ_store::disk::{Disk, DiskFile, DiskLock, RealDisk};
use writ_store::log::{Commit, Log, NewEvent, Options, SegmentLog};
use writ_store::seal::seal;
use writ_store::vault::SubjectKey;

/// Measured rounds of each group size; the floor and the log take turns.
const ROUNDS: usize = 5;

/// Events of a commit, and how many commits a round has.
const GROUPS: [(u64, u64); 3] = [(1, 1000), (64, 150), (512, 40)];

/// Bytes of the text in an event; sealed, an event is about 1 KiB.
const TEXT_BYTES: usize = 700;

/// Bytes of an intent leaf.
const LEAF_BYTES: usize = 300;

fn main() {
    let rows: Vec<String> = GROUPS.iter().map(|(group, commits)| measure(*group, *commits)).collect();
    println!("[\n  {}\n]", rows.join(",\n  "));
}

/// One round of one form.
struct Round {
    took: Duration,
    syncs: u64,
    bytes: u64,
}

fn measure(group: u64, commits: u64) -> String {
    let cleared = cleared(1);
    let mut rounds = Vec::new();
    let mut payload = 0;
    for _ in 0..ROUNDS {
        let work = work(&cleared, group, commits);
        payload = work.iter().flat_map(|commit| &commit.events).map(given_bytes).sum::<u64>();
        let log = log_round(work);
        let floor = floor_round(commits, log.bytes / commits);
        let engine = engine_round(group, commits, log.bytes / commits / group);
        rounds.push((log, floor, engine));
    }
    let events = (group * commits) as f64;
    let rate = spread(rounds.iter().map(|(log, ..)| events / log.took.as_secs_f64()));
    let floor = spread(rounds.iter().map(|(_, floor, _)| events / floor.as_secs_f64()));
    let ratio = spread(rounds.iter().map(|(log, floor, _)| log.took.as_secs_f64() / floor.as_secs_f64()));
    let engine = spread(rounds.iter().map(|(_, floor, engine)| engine.as_secs_f64() / floor.as_secs_f64()));
    let (last, ..) = rounds.last().expect("there are rounds");
    format!(
        "{{\"group\": {group}, \"commits\": {commits}, \"events_per_s\": {rate}, \"floor_events_per_s\": {floor}, \
         \"time_to_floor\": {ratio}, \"engine_time_to_floor\": {engine}, \"syncs_per_commit\": {:.2}, \"bytes_per_byte\": {:.3}}}",
        last.syncs as f64 / commits as f64,
        last.bytes as f64 / payload as f64,
    )
}

/// Minimum, median and maximum, as JSON.
fn spread(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (min, median, max) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("{{\"min\": {min:.2}, \"median\": {median:.2}, \"max\": {max:.2}}}")
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory beside the build")
}

fn log_round(work: Vec<Commit>) -> Round {
    let dir = scratch();
    let disk = Arc::new(Counting::default());
    let opened = SegmentLog::open(disk.clone(), dir.path(), Options::default()).expect("opens");
    let mut log = opened.log;
    let epoch = log.epoch();
    let (syncs, bytes) = disk.counts();
    let start = Instant::now();
    for commit in work {
        log.append(epoch, commit).expect("appends");
    }
    let took = start.elapsed();
    let (syncs_after, bytes_after) = disk.counts();
    Round { took, syncs: syncs_after - syncs, bytes: bytes_after - bytes }
}

/// The same number of writes and syncs of the same bytes, into a file of the same reserved length.
fn floor_round(commits: u64, bytes: u64) -> Duration {
    let dir = scratch();
    let file = RealDisk.create(&dir.path().join("floor")).expect("creates");
    file.set_len(Options::default().segment_bytes).expect("reserves");
    file.sync_data().expect("syncs");
    let block = vec![0x5a; bytes as usize];
    let start = Instant::now();
    for number in 0..commits {
        file.write_at(&block, number * bytes).expect("writes");
        file.sync_data().expect("syncs");
    }
    start.elapsed()
}

/// The same bytes as one synced batch per commit in fjall, one pair per event.
fn engine_round(group: u64, commits: u64, bytes: u64) -> Duration {
    let dir = scratch();
    let database = fjall::Database::builder(dir.path()).open().expect("opens");
    let events = database.keyspace("events", fjall::KeyspaceCreateOptions::default).expect("opens");
    let value = vec![0x5a; bytes as usize];
    let start = Instant::now();
    for commit in 0..commits {
        let mut batch = database.batch().durability(Some(fjall::PersistMode::SyncData));
        for number in 0..group {
            batch.insert(&events, (commit * group + number).to_be_bytes(), value.as_slice());
        }
        batch.commit().expect("commits");
    }
    start.elapsed()
}

fn given_bytes(event: &NewEvent) -> u64 {
    let parts: usize = event.sealed.parts().iter().map(|part| part.ciphertext.len()).sum();
    (parts + event.intent.len()) as u64
}

/// Commits of sealed events, made before the clock runs.
fn work(cleared: &Cleared, group: u64, commits: u64) -> Vec<Commit> {
    let key = SubjectKey([7; 32]);
    let event = |sequence: u64| {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&sequence.to_be_bytes());
        NewEvent {
            sealed: seal(cleared.clone(), &key, nonce).expect("seals"),
            sequence: Sequence(sequence),
            ordinals: Ordinals::default(),
            settle_by: Timestamp(1_764_000_600_000_000),
            intent: vec![b'x'; LEAF_BYTES],
        }
    };
    let commit = |number| {
        let first = number * group + 1;
        Commit { events: (first..first + group).map(event).collect(), ..Commit::default() }
    };
    (0..commits).map(commit).collect()
}

/// An event that the gate let through; there is no other way to one.
fn cleared(number: u64) -> Cleared {
    let version = PolicyVersion(format!("default@sha256:{}", "0".repeat(64)).into());
    let mut gate = Gate::new(Config {
        policy_version: version.clone(),
        ask_timeout: Duration::from_secs(1),
        card_hash_key: [1; 32],
    });
    let checked = Checked {
        envelope: envelope(number),
        schema: SchemaVerdict::Valid { version: format!("email.v1+sha256:{}", "1".repeat(64)) },
    };
    let verdict = PolicyVerdict {
        answer: PolicyAnswer::Clear,
        class: None,
        deny_subscribers: Vec::new(),
        withhold: Vec::new(),
        version,
    };
    let mut effects = Vec::new();
    gate.on(Now::default(), Fact::Submit(Ticket(1), Box::new(checked)), &mut effects);
    gate.on(Now::default(), Fact::Verdict(Ticket(1), verdict), &mut effects);
    let decided = effects.into_iter().find_map(|effect| match effect {
        Effect::Decided(_, Decided::Cleared(cleared)) => Some(cleared),
        Effect::Decided(_, Decided::Kept(_)) | Effect::Ask(..) => None,
    });
    decided.expect("the gate clears it")
}

fn envelope(number: u64) -> Envelope {
    let event_id = format!("019aa400-0000-7000-8000-{number:012x}").parse().expect("a UUID");
    let header = ClearHeader {
        event_id,
        tenant: TenantId::new("shop").expect("a name"),
        source: SourceName::new("crm").expect("a name"),
        change_type: ChangeType::Email,
        operation: Operation::Update,
        entity: Entity::Customer,
        subject_id: SubjectId([3; 16]),
        generation: Generation::FIRST,
        slot: Slot::new(5),
        hlc: Hlc { millis: 1_764_000_000_000, counter: 0, node: 1 },
        time: Timestamp(1_764_000_000_000_000),
        recorded_at: Timestamp(1_764_000_000_000_000),
        schema_major: 1,
        location: None,
        locale: None,
        lineage: None,
    };
    let text = Value::Text("ada".repeat(TEXT_BYTES / 3));
    let private = PrivatePart {
        key: RecordKey(vec!["17".to_owned()]),
        old_key: None,
        table: "customer".to_owned(),
        incarnation: Incarnation("pg-7".to_owned()),
        position: Position { commit: 9, ordinal: 1 },
        transaction: None,
        producer_id: None,
        causation_id: event_id,
        correlation_id: None,
        version: None,
        data: EventData {
            key: vec!["17".to_owned()],
            before: None,
            after: Some([("email".to_owned(), text)].into()),
            unseen: Vec::new(),
        },
    };
    Envelope { header, private }
}

/// The file system, with its syncs and written bytes counted.
#[derive(Default)]
struct Counting {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    syncs: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    fn counts(&self) -> (u64, u64) {
        (self.counts.syncs.load(Ordering::Relaxed), self.counts.bytes.load(Ordering::Relaxed))
    }

    fn counted(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountedFile { file, counts: self.counts.clone() })
    }
}

struct CountedFile {
    file: Arc<dyn DiskFile>,
    counts: Arc<Counts>,
}

impl Disk for Counting {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.create(path).map(|file| self.counted(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path).map(|file| self.counted(file))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        RealDisk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        RealDisk.lock(path)
    }
}

impl DiskFile for CountedFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_at(bytes, at)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }
}
