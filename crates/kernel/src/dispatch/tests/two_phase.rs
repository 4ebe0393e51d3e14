//! Two-phase commit, fact by fact; then a small world in which the engine dies before and after every step.

use std::collections::{BTreeSet, VecDeque};

use writ_model::delivery::{Branch, Resolution, Verdict};

use super::*;

fn two_phase() -> Config {
    Config { is_two_phase: true, in_flight_max: 2, ..config() }
}

fn branch(attempt: AttemptId) -> Branch {
    Branch { epoch: Epoch(1), attempt }
}

/// A lane whose receiver holds nothing.
fn swept(recovered: Recovered) -> Bench {
    let mut bench = super::recovered(two_phase(), recovered);
    assert!(bench.effects.contains(&Effect::ListBranches(LANE)));
    bench.tell(Fact::Branches(LANE, Ok(Vec::new())));
    bench
}

fn prepared(bench: &mut Bench) -> Vec<AttemptId> {
    let attempts = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Prepare(attempt) => Some(attempt.id),
        _ => None,
    });
    let attempts = attempts.collect();
    bench.effects.retain(|effect| !matches!(effect, Effect::Prepare(_)));
    attempts
}

fn resolves(bench: &Bench) -> Vec<(u64, Verdict)> {
    let resolves = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Resolve(_, branch, verdict) => Some((branch.attempt.0, *verdict)),
        _ => None,
    });
    resolves.collect()
}

#[test]
fn the_decision_is_durable_before_the_receiver_is_told_to_commit() {
    let mut bench = swept(Recovered::default());
    bench.offer(vec![item(1, 1)]);
    let [id] = prepared(&mut bench)[..] else { panic!("one attempt") };
    bench.tell(Fact::Answered(id, Answer::Durable));
    let decided = |effect: &Effect| matches!(effect, Effect::Journal(ControlFact::BranchDecided(_)));
    let place = bench.effects.iter().position(decided).expect("journaled");
    assert_eq!(bench.effects[place + 1], Effect::Confirm(id));
    assert_eq!(resolves(&bench), []);
    bench.tell(Fact::Durable(id));
    bench.tell(Fact::Durable(id));
    assert_eq!(resolves(&bench), [(id.0, Verdict::Commit)]);
    bench.tell(Fact::Resolved(LANE, branch(id), Resolution::Done));
    bench.tell(Fact::Resolved(LANE, branch(id), Resolution::Done));
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.cursor().watermark, Offset(2));
}

#[test]
fn before_anything_is_sent_decided_branches_are_committed_and_others_rolled_back() {
    let (old, older) = (Branch { epoch: Epoch(0), attempt: AttemptId(7) }, AttemptId(9));
    let decided = Recovered { decided: vec![old], ..Recovered::default() };
    let mut bench = super::recovered(two_phase(), decided);
    bench.offer(vec![item(1, 1)]);
    assert_eq!(prepared(&mut bench), [], "nothing before the sweep");
    bench.tell(Fact::Branches(LANE, Ok(vec![old, Branch { epoch: Epoch(0), attempt: older }])));
    assert_eq!(resolves(&bench), [(7, Verdict::Commit), (9, Verdict::RollBack)]);
    bench.tell(Fact::Resolved(LANE, old, Resolution::Done));
    assert_eq!(prepared(&mut bench), [], "one is left");
    bench.tell(Fact::Resolved(LANE, Branch { epoch: Epoch(0), attempt: older }, Resolution::Unknown));
    assert_eq!(prepared(&mut bench).len(), 1);
}

#[test]
fn a_receiver_that_cannot_be_listed_is_asked_again_and_nothing_is_sent_meanwhile() {
    let mut bench = super::recovered(two_phase(), Recovered::default());
    bench.offer(vec![item(1, 1)]);
    for _ in 0..5 {
        bench.tell(Fact::Branches(LANE, Err(Fault::Connect)));
        bench.effects.clear();
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.effects.iter().filter(|e| **e == Effect::ListBranches(LANE)).count(), 1);
    }
    bench.tell(Fact::Branches(LANE, Ok(Vec::new())));
    assert_eq!(prepared(&mut bench).len(), 1);
}

#[test]
fn an_attempt_whose_end_is_not_known_is_swept_before_the_next_one() {
    let mut bench = swept(Recovered::default());
    bench.offer(vec![item(1, 1)]);
    let [id] = prepared(&mut bench)[..] else { panic!("one attempt") };
    bench.effects.clear();
    bench.tell(Fact::Answered(id, Answer::Failed(Fault::Timeout)));
    assert!(bench.effects.contains(&Effect::ListBranches(LANE)));
    bench.pass(Duration::from_secs(3600));
    assert_eq!(prepared(&mut bench), []);
    bench.tell(Fact::Branches(LANE, Ok(vec![branch(id)])));
    assert_eq!(resolves(&bench), [(id.0, Verdict::RollBack)]);
    bench.tell(Fact::Resolved(LANE, branch(id), Resolution::Done));
    assert_eq!(prepared(&mut bench).len(), 1);
}

#[test]
fn a_sweep_leaves_the_branches_of_attempts_that_are_being_decided() {
    let mut bench = swept(Recovered::default());
    bench.offer(vec![item(1, 1), item(2, 2)]);
    let [first, second] = prepared(&mut bench)[..] else { panic!("two attempts") };
    bench.tell(Fact::Answered(first, Answer::Durable));
    bench.tell(Fact::Answered(second, Answer::Failed(Fault::AnswerBroken)));
    bench.tell(Fact::Branches(LANE, Ok(vec![branch(first), branch(second)])));
    assert_eq!(resolves(&bench), [(second.0, Verdict::RollBack)]);
}

#[test]
fn a_former_owner_leaves_the_branches_of_a_later_one_alone() {
    let mut bench = super::recovered(two_phase(), Recovered::default());
    let of = |epoch| Branch { epoch: Epoch(epoch), attempt: AttemptId(4) };
    bench.tell(Fact::Branches(LANE, Ok(vec![of(0), of(2)])));
    let resolved = bench.effects.iter().filter(|effect| matches!(effect, Effect::Resolve(..)));
    let resolved: Vec<&Effect> = resolved.collect();
    assert_eq!(resolved, [&Effect::Resolve(LANE, of(0), Verdict::RollBack)]);
}

#[test]
fn what_becomes_unknown_during_a_sweep_is_swept_after_it() {
    let mut bench = swept(Recovered::default());
    bench.offer(vec![item(1, 1), item(2, 2)]);
    let [first, second] = prepared(&mut bench)[..] else { panic!("two attempts") };
    bench.tell(Fact::Answered(first, Answer::Failed(Fault::Timeout)));
    bench.tell(Fact::Answered(second, Answer::Failed(Fault::Timeout)));
    bench.effects.clear();
    bench.tell(Fact::Branches(LANE, Ok(vec![branch(first)])));
    bench.tell(Fact::Resolved(LANE, branch(first), Resolution::Done));
    assert!(bench.effects.contains(&Effect::ListBranches(LANE)), "the second may have come after the list");
}

/// What survives everything: the receiver, the journal, and the log of two subjects.
#[derive(Debug, Clone, Default)]
struct Outside {
    effects: Vec<u64>,
    inbox: BTreeSet<u64>,
    prepared: BTreeMap<Branch, Vec<u64>>,
    journal: Vec<ControlFact>,
    epoch: u64,
}

/// What dies with the engine.
struct Inside {
    dispatch: Dispatch,
    now: Moment,
    queue: VecDeque<Effect>,
    unwritten: Vec<ControlFact>,
}

/// What goes wrong at the receiver.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    /// So many calls of a hundred, drawn from this seed.
    percent: u64,
    seed: u64,
    /// The receiver did it, and the answer is lost; else it did nothing.
    is_done: bool,
}

struct World {
    outside: Outside,
    inside: Inside,
    trouble: Trouble,
    chance: retry::Jitter,
    /// A planted bug: a decision is called durable before it is written.
    is_hasty: bool,
}

const LAST: u64 = 6;

impl World {
    fn new(trouble: Trouble) -> Self {
        let outside = Outside::default();
        let inside = Inside::start(&outside);
        Self { outside, inside, trouble, chance: retry::Jitter::new(trouble.seed), is_hasty: false }
    }

    /// Dies and starts again: only what is outside is left.
    fn crash(&mut self) {
        self.outside.epoch += 1;
        self.inside = Inside::start(&self.outside);
    }

    /// One effect, or the next deadline; `false` at rest.
    fn step(&mut self) -> bool {
        if let Some(effect) = self.inside.queue.pop_front() {
            self.carry_out(effect);
            return true;
        }
        if !self.inside.unwritten.is_empty() {
            self.outside.journal.append(&mut self.inside.unwritten);
            return true;
        }
        let Some(due) = self.inside.dispatch.next_deadline() else { return false };
        self.inside.now = self.inside.now.max(due);
        let (now, mut effects) = (self.inside.clock(), Vec::new());
        self.inside.dispatch.on_time(now, &mut effects);
        self.inside.queue.extend(effects);
        true
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Journal(fact) => self.inside.unwritten.push(fact),
            Effect::Confirm(id) if self.is_hasty => self.inside.tell(Fact::Durable(id)),
            Effect::Confirm(id) => {
                self.outside.journal.append(&mut self.inside.unwritten);
                self.inside.tell(Fact::Durable(id));
            }
            Effect::Read { from, .. } => {
                let items = (from.0.max(1)..=LAST).map(|n| item(n, (n % 2) as u8)).collect::<Vec<_>>();
                if !items.is_empty() {
                    self.inside.tell(Fact::Offered(LANE, items, Offset(LAST + 1)));
                }
            }
            Effect::Prepare(attempt) => {
                let offsets = attempt.deliveries.iter().map(|one| one.offset().0).collect();
                let branch = Branch { epoch: Epoch(self.outside.epoch), attempt: attempt.id };
                let answer = self.prepare(branch, offsets);
                self.inside.tell(Fact::Answered(attempt.id, answer));
            }
            Effect::Resolve(lane, branch, verdict) => {
                let resolution = self.resolve(branch, verdict);
                self.inside.tell(Fact::Resolved(lane, branch, resolution));
            }
            Effect::ListBranches(lane) => {
                let listed = match self.is_in_trouble() {
                    true => Err(Fault::Connect),
                    false => Ok(self.outside.prepared.keys().copied().collect()),
                };
                self.inside.tell(Fact::Branches(lane, listed));
            }
            Effect::Settled(_, batch) => self.inside.unwritten.push(ControlFact::Settled(batch)),
            Effect::Note(..) => {}
            Effect::Send(_) | Effect::Probe(_) | Effect::ReadDeadLetters(..) | Effect::ReadExpress { .. } => {
                panic!("{effect:?}")
            }
        }
    }

    fn is_in_trouble(&mut self) -> bool {
        self.chance.below(Duration::from_micros(99)) < Duration::from_micros(self.trouble.percent)
    }

    fn prepare(&mut self, branch: Branch, offsets: Vec<u64>) -> Answer {
        let is_troubled = self.is_in_trouble();
        if is_troubled && !self.trouble.is_done {
            return Answer::Failed(Fault::SendBroken);
        }
        // An inbox row of another branch is locked until that ends.
        let locked: Vec<u64> = self.outside.prepared.values().flatten().copied().collect();
        if offsets.iter().any(|offset| locked.contains(offset)) {
            return Answer::Failed(Fault::Conflict);
        }
        let fresh = offsets.into_iter().filter(|offset| !self.outside.inbox.contains(offset)).collect();
        self.outside.prepared.insert(branch, fresh);
        if is_troubled { Answer::Failed(Fault::AnswerBroken) } else { Answer::Durable }
    }

    fn resolve(&mut self, branch: Branch, verdict: Verdict) -> Resolution {
        let is_troubled = self.is_in_trouble();
        if is_troubled && !self.trouble.is_done {
            return Resolution::Failed(Fault::Connect);
        }
        let Some(offsets) = self.outside.prepared.remove(&branch) else { return Resolution::Unknown };
        if verdict == Verdict::Commit {
            let is_decided =
                self.outside.journal.iter().any(
                    |fact| matches!(fact, ControlFact::BranchDecided(decided) if decided.branch == branch),
                );
            assert!(is_decided, "{branch:?} is committed and the journal has not decided it");
            self.outside.inbox.extend(&offsets);
            self.outside.effects.extend(offsets);
        }
        if is_troubled { Resolution::Failed(Fault::AnswerBroken) } else { Resolution::Done }
    }

    /// Every event once, each subject's in order, nothing left behind.
    fn check(&self) {
        let Outside { effects, prepared, .. } = &self.outside;
        assert_eq!(effects.iter().copied().collect::<BTreeSet<_>>(), (1..=LAST).collect(), "{effects:?}");
        assert_eq!(effects.len() as u64, LAST, "{effects:?}");
        for of in [0, 1] {
            let mine: Vec<u64> = effects.iter().copied().filter(|n| n % 2 == of).collect();
            assert!(mine.is_sorted(), "{effects:?}");
        }
        assert!(prepared.is_empty(), "{prepared:?}");
        assert_eq!(self.outside.decided(), [], "every decided branch is concluded");
    }
}

impl Outside {
    fn decided(&self) -> Vec<Branch> {
        let mut decided = BTreeSet::new();
        for fact in &self.journal {
            match fact {
                ControlFact::BranchDecided(fact) => drop(decided.insert(fact.branch)),
                ControlFact::BranchConcluded(fact) => drop(decided.remove(&fact.branch)),
                _ => {}
            }
        }
        decided.into_iter().collect()
    }

    fn recovered(&self) -> Recovered {
        let cursor = self.journal.iter().rev().find_map(|fact| match fact {
            ControlFact::Cursor(cursor) => Some(cursor.clone()),
            _ => None,
        });
        Recovered { cursor, decided: self.decided(), ..Recovered::default() }
    }
}

impl Inside {
    fn start(outside: &Outside) -> Self {
        let settings = Settings { epoch: Epoch(outside.epoch), ..settings(1 << 30) };
        let config = Config {
            retry: retry::Policy { attempts_max: 1000, ..retry::Policy::default() },
            batching: lane::Batching { items_max: 3, ..lane::Batching::default() },
            ..two_phase()
        };
        let mut inside = Self {
            dispatch: Dispatch::new(vec![config], settings),
            now: Moment(0),
            queue: VecDeque::new(),
            unwritten: Vec::new(),
        };
        let (now, mut effects) = (inside.clock(), Vec::new());
        inside.dispatch.start(now, BTreeMap::from([(LANE, outside.recovered())]), &mut effects);
        inside.queue.extend(effects);
        inside
    }

    fn clock(&self) -> Now {
        Now { moment: self.now, wall: Timestamp(self.now.0 as i64) }
    }

    fn tell(&mut self, fact: Fact) {
        let (now, mut effects) = (self.clock(), Vec::new());
        self.dispatch.on(now, fact, &mut effects);
        self.queue.extend(effects);
    }
}

/// A world that takes more steps than this does not come to rest.
const STEPS_MAX: usize = 5_000;

fn rest(world: &mut World) -> usize {
    for steps in 0..STEPS_MAX {
        if !world.step() {
            return steps;
        }
    }
    panic!("no rest after {STEPS_MAX} steps");
}

#[test]
fn a_crash_before_every_step_leaves_one_effect_of_each_event_and_no_branch() {
    let troubles =
        [(0, 1, false), (30, 1, false), (30, 2, true), (30, 3, true), (50, 4, true), (10, 5, true)];
    for (percent, seed, is_done) in troubles {
        let trouble = Trouble { percent, seed, is_done };
        let steps = rest(&mut World::new(trouble));
        assert!(steps > 20, "a world in which nothing happens proves nothing");
        for crash in 0..=steps {
            for second in [None, Some(3), Some(10), Some(17)] {
                let mut world = World::new(trouble);
                for _ in 0..crash {
                    world.step();
                }
                world.crash();
                if let Some(later) = second {
                    for _ in 0..later {
                        world.step();
                    }
                    world.crash();
                }
                rest(&mut world);
                world.check();
            }
        }
    }
}

#[test]
#[should_panic(expected = "the journal has not decided it")]
fn a_decision_that_is_called_durable_before_it_is_written_is_caught() {
    let mut world = World::new(Trouble { percent: 0, seed: 1, is_done: false });
    world.is_hasty = true;
    rest(&mut world);
}
