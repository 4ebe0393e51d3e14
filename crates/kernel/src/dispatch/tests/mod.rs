//! Lanes, fact by fact: a bench that plays the shell, and one file per concern.

mod absence;
mod ahead;
mod batching;
mod catching_up;
mod express;
mod modes;
mod once;
mod order;
mod outlived;
mod parking;
mod probe;
mod rates;
mod recovery;
mod replaying;
mod throttling;
mod two_phase;
mod voiding;

use std::collections::BTreeMap;
use std::time::Duration;

use writ_model::control::{ControlFact, Cursor};
use writ_model::delivery::{Answer, Fault, HttpAnswer, Objection, Word};
use writ_model::id::{Epoch, Generation, Offset, Slot, SourceName, SubjectId, SubscriberName};
use writ_model::taxonomy::{ChangeType, Operation, PriorityClass};
use writ_model::time::{Moment, Timestamp};
use writ_model::verdict::{Decision, PolicyVersion};

use super::attempt::DeliveryKey;
use super::lane::{Config, Recovered};
use super::*;
use crate::gate::permit;
use crate::machine::{Machine, Now};

const LANE: LaneId = LaneId(0);

/// One lane without jitter surprises: it is started, closed and reads from offset 0.
struct Bench {
    dispatch: Dispatch,
    now: Moment,
    effects: Vec<Effect>,
}

fn config() -> Config {
    let name = SubscriberName::new("crm").expect("a name");
    Config {
        retry: retry::Policy { attempts_max: 3, cap: Duration::from_secs(4), ..retry::Policy::default() },
        breaker: breaker::Policy {
            failures_in_a_row: 1000,
            share_of: 0,
            probes_max: 100,
            ..Default::default()
        },
        ..Config::new(name)
    }
}

fn settings(bytes_max: usize) -> Settings {
    Settings { seed: 1, key: DeliveryKey::new([7; 32]), bytes_max, epoch: Epoch(1) }
}

fn bench(config: Config) -> Bench {
    recovered(config, Recovered::default())
}

fn recovered(config: Config, recovered: Recovered) -> Bench {
    let dispatch = Dispatch::new(vec![config], settings(1 << 30));
    let mut bench = Bench { dispatch, now: Moment(0), effects: Vec::new() };
    bench.dispatch.start(bench.clock(), BTreeMap::from([(LANE, recovered)]), &mut bench.effects);
    bench
}

pub(super) fn subject(n: u8) -> SubjectId {
    SubjectId([n; 16])
}

pub(super) fn item(offset: u64, of: u8) -> Item {
    let policy = PolicyVersion("p@sha256:00".into());
    let decision = Decision {
        class: PriorityClass::Standard,
        policy,
        schema: String::new(),
        deny_subscribers: Vec::new(),
        withhold: Vec::new(),
    };
    Item {
        offset: Offset(offset),
        event_id: format!("019a0000-0000-7000-8000-{offset:012x}").parse().expect("an id"),
        source: SourceName::new("shop").expect("a name"),
        subject_id: subject(of),
        slot: Slot::new(u16::from(of) / 4),
        generation: Generation::FIRST,
        change_type: ChangeType::Email,
        operation: Operation::Insert,
        class: PriorityClass::Standard,
        recorded_at: Timestamp(0),
        bytes: 100,
        permit: permit::ask(Offset(offset), &decision, "crm"),
    }
}

fn express(offset: u64, of: u8) -> Item {
    Item { class: PriorityClass::Express, ..item(offset, of) }
}

fn http(status: u16) -> Answer {
    Answer::Http(HttpAnswer { status, ..HttpAnswer::default() })
}

impl Bench {
    fn clock(&self) -> Now {
        Now { moment: self.now, wall: Timestamp(self.now.0 as i64) }
    }

    fn tell(&mut self, fact: Fact) {
        let now = self.clock();
        self.dispatch.on(now, fact, &mut self.effects);
    }

    fn offer(&mut self, items: Vec<Item>) {
        let next = items.last().map_or(Offset(1), |item| item.offset.next());
        self.tell(Fact::Offered(LANE, items, next));
    }

    fn pass(&mut self, wait: Duration) {
        let end = self.now.after(wait);
        // One deadline at a time, as the shell does; a machine that loops at one moment never gets through.
        for _ in 0..10_000 {
            let Some(due) = self.dispatch.next_deadline().filter(|due| *due <= end) else { break };
            assert!(due > self.now || self.effects.len() < 100_000, "the lane spins");
            self.now = self.now.max(due);
            let now = self.clock();
            self.dispatch.on_time(now, &mut self.effects);
        }
        self.now = end;
    }

    /// Attempts since the last call, each with its offsets.
    fn sent(&mut self) -> Vec<(AttemptId, Vec<u64>)> {
        let effects = std::mem::take(&mut self.effects);
        let sent = effects.iter().filter_map(|effect| match effect {
            Effect::Send(attempt) => {
                Some((attempt.id, attempt.deliveries.iter().map(|d| d.offset().0).collect()))
            }
            _ => None,
        });
        let sent = sent.collect();
        self.effects = effects.into_iter().filter(|effect| !matches!(effect, Effect::Send(_))).collect();
        sent
    }

    fn offsets(&mut self) -> Vec<Vec<u64>> {
        self.sent().into_iter().map(|(_, offsets)| offsets).collect()
    }

    /// Gives the same answer to everything that is sent, until nothing more is, and what was sent.
    fn answer_all(&mut self, answer: &Answer) -> Vec<Vec<u64>> {
        let mut all = Vec::new();
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return all;
            }
            for (id, offsets) in sent {
                all.push(offsets);
                self.tell(Fact::Answered(id, answer.clone()));
            }
        }
    }

    fn journal(&self) -> Vec<ControlFact> {
        let facts = self.effects.iter().filter_map(|effect| match effect {
            Effect::Journal(fact) => Some(fact.clone()),
            Effect::Settled(_, batch) => Some(ControlFact::Settled(batch.clone())),
            _ => None,
        });
        facts.collect()
    }

    fn dead(&self) -> Vec<(u64, String)> {
        let letters = self.journal().into_iter().filter_map(|fact| match fact {
            ControlFact::DeadLettered(letter) => Some((letter.offset.0, letter.cause)),
            _ => None,
        });
        letters.collect()
    }

    fn cursor(&mut self) -> Cursor {
        let now = self.clock();
        self.dispatch.flush(now, &mut self.effects);
        let mut cursors = self.journal().into_iter().filter_map(|fact| match fact {
            ControlFact::Cursor(cursor) => Some(cursor),
            _ => None,
        });
        cursors.next_back().expect("a cursor was written")
    }
}

fn failed() -> Answer {
    Answer::Failed(Fault::Connect)
}
