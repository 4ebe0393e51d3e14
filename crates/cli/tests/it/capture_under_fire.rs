//! A hundred thousand row changes of a real PostgreSQL reach five webhooks, one of them dead throughout, while
//! the engine is killed twenty times: complete, in order per subject, repeats only under the same id.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use writ_testkit::postgres::{Cluster, Options};

use crate::oracle::{Oracle, Owed};
use crate::receivers::{Behaviour, Delivery, Receiver};
use crate::stage::{Stage, cluster, until, within};
use crate::workload::{self, Workload};

/// Row changes, rows of the first snapshot included.
const CHANGES: usize = 100_000;
/// Rows that are there before the engine first looks.
const SEED_ROWS: usize = 2_000;
/// Kills, unless `WRIT_KILLS` says otherwise.
const KILLS: usize = 20;
/// Events that the workload may be ahead of the slowest live receiver.
const LEAD: usize = 12_000;
/// Most resident memory of the engine, in MiB, over all its runs (`VmHWM`). Runs measured 240 to 334, by how much of
/// the backlog a restart meets; what each bound of the configuration covers is in `docs/reference/configuration.md`.
const RESIDENT_MIB_MAX: u64 = 448;
/// The whole run, and what of it comes after the last change.
const LONGEST: Duration = Duration::from_secs(600);
const CATCH_UP: Duration = Duration::from_secs(120);

const LIVE: [&str; 4] = ["ads", "crm", "esp", "loyalty"];
/// The live receiver that takes one event per request, whose `webhook-id` is therefore the delivery id.
const SINGLE: &str = "crm";
const DEAD: &str = "warehouse";

const MAPPING: &str = "sources:
  shop:
    kind: postgres
    url: env:WRIT_SHOP_URL
    slot: writ
    tables:
      public.customer:
        entity: customer
        key: [id]
        changes:
          email: [email]
          phone: [phone]
          address: [street, city, postal_code]
          preference: {value: likes}
";

struct Theatre {
    cluster: Cluster,
    receivers: BTreeMap<&'static str, Receiver>,
    workload: RefCell<Workload>,
    /// Row changes that are committed in the database.
    written: Cell<usize>,
    /// What the killer saw of the slot, and of the engine's memory.
    confirmed: RefCell<Vec<u64>>,
    resident_kib: Cell<u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_changes_reach_every_live_webhook_through_twenty_kills() {
    let started = Instant::now();
    let Some(cluster) = cluster(&Options::default()) else { return };
    let kills = number("WRIT_KILLS").unwrap_or(KILLS);
    let theatre = Theatre::set(cluster, number("WRIT_FIRST_KILL").unwrap_or_default()).await;
    let mut stage = Stage::new(theatre.config()).await;
    stage.environment("WRIT_SHOP_URL", &theatre.cluster.url());
    stage.environment("RUST_LOG", "warn");
    stage.start().await;
    stage.streams().await;

    let run = async { tokio::join!(theatre.write(), theatre.kill(&mut stage, kills)) };
    tokio::time::timeout(LONGEST, run).await.expect("the workload ends in time");
    let wrote = started.elapsed();
    theatre.all_arrived(&stage).await;
    let arrived = started.elapsed();
    theatre.slot_is_confirmed().await;
    let dead = stage.lane(DEAD).await.expect("the engine answers");
    theatre.look_at_memory(&stage);
    assert!(stage.terminate().await.success(), "SIGTERM drains: {}", stage.log());
    let audit = stage.verify().await;

    let oracle = &theatre.workload.borrow().oracle;
    let all: BTreeMap<&str, Vec<Delivery>> =
        LIVE.iter().map(|name| (*name, theatre.receivers[name].deliveries())).collect();
    all.iter().for_each(|(name, deliveries)| check(name, deliveries, &oracle.owed));
    ids_are_stable(&all);
    assert_eq!((dead["dead_letters"].as_u64(), dead["state"].as_str()), (Some(0), Some("running")), "{dead}");
    assert_eq!(theatre.receivers[DEAD].events(), 0, "the dead webhook receives nothing");
    assert!(
        moved(&theatre.confirmed.borrow()),
        "the slot moves while {DEAD} is dead: {:?}",
        theatre.confirmed
    );
    let resident_mib = theatre.resident_kib.get() / 1024;
    report(&all, oracle, kills, resident_mib, [wrote, arrived, started.elapsed()], &audit.out);
    assert!(resident_mib <= RESIDENT_MIB_MAX, "{resident_mib} MiB resident, bound {RESIDENT_MIB_MAX}");
    assert_eq!(audit.code, Some(0), "{audit:?}");
}

impl Theatre {
    /// Every batch of kills has a workload of its own.
    async fn set(cluster: Cluster, batch: usize) -> Self {
        let mut receivers = BTreeMap::new();
        for name in LIVE {
            let behaviour =
                if name == "esp" { Behaviour::Slow(Duration::from_millis(5)) } else { Behaviour::Healthy };
            receivers.insert(name, Receiver::start(behaviour).await);
        }
        receivers.insert(DEAD, Receiver::dead().await);
        let mut workload = Workload::new(20_261_121 + batch as u64);
        cluster.psql(workload::SCHEMA).await;
        cluster.psql(&workload.seed(SEED_ROWS)).await;
        let written = Cell::new(workload.oracle.changes);
        Self {
            cluster,
            receivers,
            workload: RefCell::new(workload),
            written,
            confirmed: RefCell::default(),
            resident_kib: Cell::default(),
        }
    }

    fn config(&self) -> String {
        let webhook = |(name, receiver): (&&str, &Receiver)| {
            let (mode, batch) =
                if *name == SINGLE { ("structured", 1) } else { ("batch\n    batch_max: 100", 100) };
            format!(
                "  {name}:\n    kind: webhook\n    url: {}\n    mode: {mode}\n    allow_addresses: [127.0.0.0/8]\n    \
                 delivery: {{ in_flight_max: 16, batch_max: {batch}, retry_first: 20ms, retry_longest: 500ms, \
                 breaker_open: 200ms, attempts_max: 100000 }}\n",
                receiver.url()
            )
        };
        let subscribers: String = self.receivers.iter().map(webhook).collect();
        format!(
            "tenant: acme\nstore:\n  path: data\n  segment_mib: 16\napi:\n  listen: 127.0.0.1:@PORT@\nattest:\n  \
             checkpoint_every: 1s\n  settle_within: 60s\n{MAPPING}subscribers:\n{subscribers}"
        )
    }

    /// Runs the workload, never far ahead of the slowest live receiver. One transaction stays open from a
    /// quarter to three quarters of the way; another table is written to all the time.
    async fn write(&self) {
        let (client, holder, noise) =
            (self.cluster.connect().await, self.cluster.connect().await, self.cluster.connect().await);
        let (mut is_held, mut was_held) = (false, false);
        while self.written.get() < CHANGES {
            let (sql, owed) = {
                let mut workload = self.workload.borrow_mut();
                (workload.next(self.cluster.folder()), workload.oracle.events)
            };
            client.batch_execute(&sql).await.expect("the workload's statement");
            noise
                .batch_execute("INSERT INTO noise (word) SELECT 'word' FROM generate_series(1, 100)")
                .await
                .expect("write to the table that nobody maps");
            self.written.set(self.workload.borrow().oracle.changes);
            if !is_held && !was_held && self.written.get() > CHANGES / 4 {
                holder.batch_execute(&Workload::hold()).await.expect("begin the long transaction");
                is_held = true;
            }
            if is_held && self.written.get() > CHANGES * 3 / 4 {
                holder.batch_execute("COMMIT").await.expect("commit the long transaction");
                self.workload.borrow_mut().held_committed();
                (is_held, was_held) = (false, true);
            }
            let in_reach = async || (self.slowest() + LEAD >= owed).then_some(());
            within(LONGEST, "the receivers follow the workload", in_reach).await;
        }
        self.written.set(CHANGES.max(self.written.get()));
    }

    /// Kills the engine at even distances of the workload and starts it again; now and then a second time at
    /// once, while it recovers.
    async fn kill(&self, stage: &mut Stage, kills: usize) {
        const AT_ONCE_EVERY: usize = 5;
        for kill in 0..kills {
            let at = SEED_ROWS + (CHANGES - SEED_ROWS) * (kill + 1) / (kills + 1);
            if kill % AT_ONCE_EVERY != AT_ONCE_EVERY - 1 {
                let due = async || (self.written.get() >= at).then_some(());
                within(LONGEST, "the workload goes on", due).await;
            }
            self.look_at_slot().await;
            self.look_at_memory(stage);
            stage.kill().await;
            let killed = Instant::now();
            stage.start().await;
            eprintln!(
                "kill {:>2}: {:>6} changes written, {:>6} events arrived everywhere, up again after {:?}",
                kill + 1,
                self.written.get(),
                self.slowest(),
                killed.elapsed()
            );
        }
    }

    fn slowest(&self) -> usize {
        LIVE.iter().map(|name| self.receivers[name].events()).min().unwrap_or_default()
    }

    async fn all_arrived(&self, stage: &Stage) {
        let owed = self.workload.borrow().oracle.events;
        let started = Instant::now();
        until_or(CATCH_UP, async || self.slowest() >= owed).await;
        if self.slowest() < owed {
            let counts: Vec<_> = LIVE.iter().map(|name| (*name, self.receivers[name].events())).collect();
            let status = stage.status().await.unwrap_or_default();
            eprintln!("after {:?}: owed {owed}, arrived {counts:?}\n{status:#}", started.elapsed());
        }
    }

    async fn look_at_slot(&self) {
        let confirmed = self.confirmed().await;
        self.confirmed.borrow_mut().push(confirmed);
    }

    /// `confirmed_flush_lsn` as a number.
    async fn confirmed(&self) -> u64 {
        let sql = "SELECT pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint FROM pg_replication_slots";
        self.cluster.value(sql).await.parse().expect("a position")
    }

    /// Everything that was committed is confirmed, although a subscriber is dead.
    async fn slot_is_confirmed(&self) {
        let end = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
        let end: u64 = self.cluster.value(end).await.parse().expect("a position");
        until("the slot is confirmed to the end", async || (self.confirmed().await >= end).then_some(()))
            .await;
    }

    fn look_at_memory(&self, stage: &Stage) {
        let text = std::fs::read_to_string(format!("/proc/{}/status", stage.pid())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
        self.resident_kib.set(self.resident_kib.get().max(kib.unwrap_or_default()));
    }
}

/// A number from the environment.
fn number(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Waits until `holds`, at most `longest`; the caller looks at what came of it.
async fn until_or(longest: Duration, holds: impl AsyncFn() -> bool) {
    let wait = within(longest * 2, "a bounded wait", async || holds().await.then_some(()));
    drop(tokio::time::timeout(longest, wait).await);
}

/// Later looks saw larger positions, in most cases: a kill at once after another may see none.
fn moved(confirmed: &[u64]) -> bool {
    let steps = confirmed.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let backwards = confirmed.windows(2).any(|pair| pair[1] < pair[0]);
    !backwards && steps * 2 >= confirmed.len().saturating_sub(1)
}

/// Complete and in order: without the repeats, each subject's changes of each type are exactly those owed.
fn check(name: &str, deliveries: &[Delivery], owed: &Owed) {
    let mut first = BTreeMap::new();
    let mut got = Owed::new();
    let mut sequences: BTreeMap<&str, &str> = BTreeMap::new();
    for one in deliveries {
        if let Some(earlier) = first.get(&one.event_id) {
            let earlier: &&Delivery = earlier;
            let is_same = (&earlier.subject, &earlier.sequence, &earlier.after)
                == (&one.subject, &one.sequence, &one.after);
            assert!(is_same, "{name}: event {} came again with other content", one.event_id);
            continue;
        }
        first.insert(one.event_id.clone(), one);
        let last = sequences.insert(&one.partition_key, &one.sequence);
        assert!(
            last.is_none_or(|last| last < one.sequence.as_str()),
            "{name}: {} is out of order",
            one.event_id
        );
        got.entry((one.subject.clone(), one.event_type.clone())).or_default().push(one.after.clone());
    }
    let places: BTreeSet<_> = owed.keys().chain(got.keys()).collect();
    let wrong: Vec<_> = places.into_iter().filter(|place| owed.get(*place) != got.get(*place)).collect();
    let shown = wrong
        .iter()
        .take(3)
        .map(|place| format!("{place:?}\n  owed {:?}\n  got  {:?}", owed.get(*place), got.get(*place)));
    assert!(
        wrong.is_empty(),
        "{name}: {} of {} differ:\n{}",
        wrong.len(),
        owed.len(),
        shown.collect::<Vec<_>>().join("\n")
    );
}

/// One event has one delivery id at a subscriber and one id everywhere; a batch's id names its content.
fn ids_are_stable(all: &BTreeMap<&str, Vec<Delivery>>) {
    let mut by_event = BTreeMap::new();
    let mut by_delivery = BTreeMap::new();
    for one in &all[SINGLE] {
        let delivery = by_event.entry(&one.event_id).or_insert(&one.webhook_id);
        assert_eq!(*delivery, &one.webhook_id, "event {} has two delivery ids", one.event_id);
        let event = by_delivery.entry(&one.webhook_id).or_insert(&one.event_id);
        assert_eq!(*event, &one.event_id, "delivery id {} is of two events", one.webhook_id);
    }
    let content = |one: &Delivery| (one.event_id.clone(), one.sequence.clone());
    let events = |name: &&str| all[*name].iter().map(content).collect::<BTreeSet<_>>();
    let reference = events(&LIVE[0]);
    for name in &LIVE[1..] {
        assert!(events(name) == reference, "{name} and {} were sent different events", LIVE[0]);
    }
}

fn report(
    all: &BTreeMap<&str, Vec<Delivery>>,
    oracle: &Oracle,
    kills: usize,
    resident_mib: u64,
    [wrote, arrived, verified]: [Duration; 3],
    audit: &str,
) {
    let deliveries: usize = all.values().map(Vec::len).sum();
    let repeats = deliveries - oracle.events * all.len();
    eprintln!(
        "{} row changes, {} events, {deliveries} deliveries to {} webhooks ({repeats} repeats), {kills} kills, \
         {resident_mib} MiB resident at most; written after {:.0} s, arrived after {:.0} s, verified after {:.0} s\n{audit}",
        oracle.changes,
        oracle.events,
        all.len(),
        wrote.as_secs_f64(),
        arrived.as_secs_f64(),
        verified.as_secs_f64(),
    );
}
