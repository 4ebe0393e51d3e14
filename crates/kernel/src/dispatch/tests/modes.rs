//! What each order promises: per subject, per slot, none. Slots hold four subjects here.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::dispatch::lane::Batching;
use crate::dispatch::line::{Line, Order};
use crate::dispatch::overtake::may_overtake;

fn ordered(order: Order) -> Config {
    Config { order, ..config() }
}

fn closed(bench: &Bench) -> Vec<(Option<u64>, u64)> {
    let closed = bench.journal().into_iter().filter_map(|fact| match fact {
        ControlFact::DeadLetterClosed(closed) => Some((closed.from.map(|from| from.0), closed.through.0)),
        _ => None,
    });
    closed.collect()
}

/// Answers what was sent: these offsets are refused, the others taken.
fn refuse(bench: &mut Bench, refused: &[u64]) -> Vec<Vec<u64>> {
    let mut all = Vec::new();
    loop {
        let sent = bench.sent();
        if sent.is_empty() {
            return all;
        }
        for (id, offsets) in sent {
            let is_refused = offsets.iter().any(|offset| refused.contains(offset));
            bench.tell(Fact::Answered(id, if is_refused { http(422) } else { http(200) }));
            all.push(offsets);
        }
    }
}

#[test]
fn without_order_every_event_goes_at_once_and_a_poison_one_parks_itself_alone() {
    let mut bench = bench(ordered(Order::Unordered));
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 1)]);
    assert_eq!(refuse(&mut bench, &[2]), [[1], [2], [3]]);
    assert_eq!(bench.dead(), [(2, "http_422".to_owned())]);
    bench.tell(Fact::Offered(LANE, vec![item(4, 1)], Offset(5)));
    assert_eq!(bench.answer_all(&http(200)), [[4]], "its later events do not wait for it");
    assert_eq!(bench.cursor().watermark, Offset(5));
}

#[test]
fn per_partition_a_failing_event_holds_up_its_slot_and_parks_only_its_subject() {
    let mut bench = bench(ordered(Order::Partition));
    bench.offer(vec![item(1, 1), item(2, 2), item(3, 1), item(4, 3), item(5, 9)]);
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|(_, o)| o.clone()).collect::<Vec<_>>(), [[1], [5]], "one of each slot");
    bench.tell(Fact::Answered(sent[0].0, http(422)));
    assert_eq!(bench.answer_all(&http(200)), [[2], [4]]);
    assert_eq!(bench.dead(), [(1, "http_422".to_owned()), (3, "behind".to_owned())]);
}

#[test]
fn a_redrive_without_order_closes_exactly_what_it_delivered() {
    let mut bench = bench(ordered(Order::Unordered));
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 1)]);
    let flying = bench.sent();
    bench.tell(Fact::Answered(flying[2].0, http(422)));
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(3, 1)]));
    // While event 3 is redriven, event 1 of the same subject is refused too.
    bench.tell(Fact::Answered(flying[0].0, http(422)));
    let redriven = bench.sent();
    bench.tell(Fact::Answered(redriven[0].0, http(200)));
    assert_eq!(closed(&bench), [(Some(3), 3)], "event 1 is still in the dead letters");
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1)]));
    assert_eq!(bench.answer_all(&http(200)), [[1]], "and is redriven in the next round");
    assert_eq!(closed(&bench), [(Some(3), 3), (Some(1), 1)]);
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), Vec::new()));
    assert_eq!(bench.dispatch.lane(LANE).map(lane::Lane::parked_subjects), Some(0));
}

#[test]
fn an_event_parked_alone_is_told_together_with_a_cursor_that_passes_it() {
    let mut bench = bench(ordered(Order::Unordered));
    bench.offer(vec![item(1, 1), item(2, 1)]);
    let sent = bench.sent();
    bench.tell(Fact::Answered(sent[1].0, http(422)));
    let journal = bench.journal();
    let Some(ControlFact::Cursor(cursor)) = journal.last() else { panic!("{journal:?}") };
    assert!(cursor.done.contains(&(Offset(2), Offset(2))), "{cursor:?}");
}

#[test]
fn a_lane_that_is_given_an_order_loses_nothing_between_dead_letters_that_were_parked_alone() {
    let parked = vec![(subject(1), Offset(3))];
    let scattered = BTreeSet::from([subject(1)]);
    let mut bench = recovered(config(), Recovered { parked, scattered, ..Recovered::default() });
    bench.offer(vec![item(1, 1), item(2, 2)]);
    assert_eq!(bench.dead(), [(1, "behind".to_owned())], "it was open, and is a dead letter now");
}

#[derive(Debug, Clone)]
enum Step {
    Offer(Vec<u8>),
    Answer(u8, u8),
    Pass(u64),
    Redrive(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => proptest::collection::vec(1_u8..9, 1..6).prop_map(Step::Offer),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(which, kind)| Step::Answer(which, kind)),
        2 => (0_u64..3_000).prop_map(Step::Pass),
        1 => (1_u8..9).prop_map(Step::Redrive),
    ];
    proptest::collection::vec(step, 1..80)
}

/// What the world sees of one lane: who is in flight, who was taken, who is in the dead letters.
struct World {
    bench: Bench,
    order: Order,
    items: Vec<Item>,
    flying: Vec<(AttemptId, Vec<u64>)>,
    taken: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    /// In the dead letters at some time: their order is a redrive's.
    redriven: BTreeSet<u64>,
}

impl World {
    fn new(order: Order, batch: usize) -> Self {
        let batching = Batching { items_max: batch, ..Batching::default() };
        let bench = bench(Config { order, batching, ..config() });
        let (items, flying, taken) = (Vec::new(), Vec::new(), BTreeSet::new());
        let (dead, redriven) = (BTreeSet::new(), BTreeSet::new());
        Self { bench, order, items, flying, taken, dead, redriven }
    }

    fn of(&self, offset: u64) -> &Item {
        &self.items[offset as usize - 1]
    }

    fn offer(&mut self, subjects: &[u8]) {
        let first = self.items.len() as u64 + 1;
        let items: Vec<Item> = (first..).zip(subjects).map(|(n, of)| mixed(n, *of)).collect();
        self.items.extend(items.clone());
        self.bench.tell(Fact::Offered(LANE, items, Offset(self.items.len() as u64 + 1)));
    }

    fn answer(&mut self, which: u8, kind: u8) {
        if self.flying.is_empty() {
            return;
        }
        let (id, offsets) = self.flying.swap_remove(usize::from(which) % self.flying.len());
        let answers: Vec<u16> = offsets.iter().map(|n| status(kind, *n)).collect();
        let all = answers.iter().all(|status| *status == answers[0]);
        let answer = match kind % 3 {
            0 if all => http(answers[0]),
            _ => Answer::PerItem(answers.iter().map(|status| http(*status)).collect()),
        };
        offsets.iter().zip(&answers).filter(|(_, status)| **status == 200).for_each(|(n, _)| self.take(*n));
        self.bench.tell(Fact::Answered(id, answer));
    }

    /// The subscriber took an event: the first time in the order of its line.
    fn take(&mut self, offset: u64) {
        if !self.taken.insert(offset) || self.redriven.contains(&offset) {
            return;
        }
        let line = self.order.line(self.of(offset));
        let earlier = self.taken.iter().filter(|taken| **taken > offset && !self.redriven.contains(taken));
        for taken in earlier.filter(|taken| self.order.line(self.of(**taken)) == line) {
            let may = self.order == Order::Subject && may_overtake(self.of(*taken), self.of(offset));
            assert!(may, "{line:?}: {offset} after {taken}");
        }
    }

    /// Carries out what the lane asked for, until it asks for nothing.
    fn follow(&mut self) {
        loop {
            let sent = self.bench.sent();
            let effects = std::mem::take(&mut self.bench.effects);
            let is_quiet = sent.is_empty() && effects.is_empty();
            sent.into_iter().for_each(|(id, offsets)| self.fly(id, offsets));
            for effect in effects {
                self.effect(effect);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn fly(&mut self, id: AttemptId, offsets: Vec<u64>) {
        let lines = |offsets: &[u64]| -> BTreeSet<Line> {
            let live = offsets.iter().filter(|offset| !self.redriven.contains(offset));
            live.map(|offset| self.order.line(self.of(*offset))).collect()
        };
        let mine = lines(&offsets);
        for (_, others) in &self.flying {
            assert!(lines(others).is_disjoint(&mine), "two attempts at once: {others:?} and {offsets:?}");
        }
        self.flying.push((id, offsets));
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Journal(ControlFact::DeadLettered(letter)) => {
                self.dead.insert(letter.offset.0);
                self.redriven.insert(letter.offset.0);
            }
            Effect::Journal(ControlFact::DeadLetterClosed(closed)) => {
                let from = closed.from.unwrap_or_default();
                let items = &self.items;
                self.dead.retain(|offset| {
                    let is_his = items[*offset as usize - 1].subject_id == closed.subject_id;
                    !is_his || *offset < from.0 || *offset > closed.through.0
                });
            }
            Effect::ReadDeadLetters(_, of) => {
                let mine = self.dead.iter().filter(|offset| self.of(**offset).subject_id == of);
                let items = mine.map(|offset| self.of(*offset).clone()).collect();
                self.bench.tell(Fact::DeadLettersRead(LANE, of, items));
            }
            _ => {}
        }
    }

    /// Every event was taken, or waits in the dead letters, or the lane still has it.
    fn is_nothing_lost(&self) -> bool {
        let watermark = self.bench.dispatch.lane(LANE).map_or(0, |lane| lane.watermark().0);
        (1..watermark).all(|offset| self.taken.contains(&offset) || self.dead.contains(&offset))
    }
}

/// Standard events, and express ones that may overtake some of them.
fn mixed(offset: u64, subject: u8) -> Item {
    let (change_type, class) = match offset % 5 {
        0 => (ChangeType::Consent, PriorityClass::Express),
        1 | 3 => (ChangeType::Tier, PriorityClass::Standard),
        _ => (ChangeType::Email, PriorityClass::Standard),
    };
    Item { change_type, class, operation: Operation::Update, ..item(offset, subject) }
}

/// What the subscriber says to one event: the same one is refused every time until the end.
fn status(kind: u8, offset: u64) -> u16 {
    match (kind, offset % 7) {
        (0..=199, 3) => 422,
        (0..=49, _) => 503,
        _ => 200,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn each_order_keeps_its_promise_under_late_answers_retries_batches_and_redrives(
        order in prop_oneof![Just(Order::Subject), Just(Order::Partition), Just(Order::Unordered)],
        batch in 1_usize..4,
        steps in steps(),
    ) {
        let mut world = World::new(order, batch);
        world.follow();
        for step in steps {
            match step {
                Step::Offer(subjects) => world.offer(&subjects),
                Step::Answer(which, kind) => world.answer(which, kind),
                Step::Pass(millis) => world.bench.pass(Duration::from_millis(millis)),
                Step::Redrive(of) => {
                    world.bench.tell(Fact::Redrive(LANE, subject(of), "ada".into()));
                }
            }
            world.follow();
            prop_assert!(world.is_nothing_lost());
        }
        // The subscriber takes everything now, and an operator redrives what is left.
        for _ in 0..200 {
            while !world.flying.is_empty() {
                world.answer(0, 250);
                world.follow();
            }
            for of in 1..9 {
                world.bench.tell(Fact::Redrive(LANE, subject(of), "ada".into()));
            }
            world.bench.pass(Duration::from_secs(60));
            world.follow();
        }
        prop_assert_eq!(world.taken.len(), world.items.len(), "some event never arrived");
        prop_assert!(world.dead.is_empty(), "dead letters are left: {:?}", world.dead);
        prop_assert_eq!(world.bench.dispatch.lane(LANE).map(lane::Lane::parked_subjects), Some(0));
    }
}
