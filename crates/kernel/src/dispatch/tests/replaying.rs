//! Replays: beside the live lane, over restarts, under an operator's acts, under the same ids or new ones.

use writ_model::control::ReplayProgress;
use writ_model::guarantee::{Guarantee, Mechanism, Promise};
use writ_model::replay::{DeliveryIds, ReplayOrder, Selection, Shredded};

use super::*;
use crate::dispatch::replay::{Act, Order, REPLAYS_MAX, Refused, check_ids};
use crate::gate::permit::{Cause, Denial, PermitVerdict};
use crate::guarantee::Promises;

pub(super) fn given(id: &str, from: u64, to: u64) -> ReplayOrder {
    ReplayOrder {
        id: id.to_owned(),
        number: 3,
        subscriber: SubscriberName::new("crm").expect("a name"),
        from: Offset(from),
        to: Offset(to),
        selection: Selection::default(),
        ids: DeliveryIds::SameId,
        shredded: Shredded::Tombstone,
        rate_per_second: None,
        forced: None,
        request: String::new(),
        asked: String::new(),
        actor: "ada".to_owned(),
        at: Timestamp(0),
    }
}

pub(super) fn order(id: &str, from: u64, to: u64) -> Order {
    Order::new(given(id, from, to))
}

pub(super) fn denied(offset: u64, of: u8, cause: Cause) -> Item {
    let policy = PolicyVersion("today@sha256:11".into());
    Item { permit: PermitVerdict::Denied(Denial { cause, policy }), ..item(offset, of) }
}

impl Bench {
    fn replay(&mut self, order: Order) -> LaneId {
        let now = self.clock();
        self.dispatch.replay(now, LANE, order, &mut self.effects).expect("starts")
    }

    fn act(&mut self, lane: LaneId, act: Act) {
        self.tell(Fact::Act(lane, act, "ada".to_owned()));
    }

    fn progress(&self) -> ReplayProgress {
        let mut told = self.journal().into_iter().filter_map(|fact| match fact {
            ControlFact::Replay(progress) => Some(progress),
            _ => None,
        });
        told.next_back().expect("the replay told how far it came")
    }

    fn ids(&self) -> Vec<DeliveryId> {
        let attempts = self.effects.iter().filter_map(|effect| match effect {
            Effect::Send(attempt) => Some(attempt.deliveries.iter().map(attempt::Delivery::delivery_id)),
            _ => None,
        });
        attempts.flatten().collect()
    }
}

#[test]
fn a_replay_runs_beside_the_live_lane_under_the_same_ids_and_never_moves_its_cursor() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 2)]);
    let live_ids = bench.ids();
    bench.answer_all(&http(200));
    let live = bench.cursor();
    let lane = bench.replay(order("again", 1, 3));
    bench.effects.clear();
    bench.tell(Fact::Offered(lane, vec![item(1, 1), item(2, 2), item(3, 3)], Offset(4)));
    assert_eq!(bench.ids(), live_ids);
    let mut sent = bench.answer_all(&http(200));
    sent.sort();
    assert_eq!(sent, [[1], [2]]);
    let progress = bench.progress();
    assert_eq!((progress.state.as_str(), progress.delivered, progress.next), ("done", 2, Offset(3)));
    assert!(bench.journal().iter().all(|fact| matches!(fact, ControlFact::Replay(_))));
    assert_eq!(bench.dispatch.lane(LANE).map(lane::Lane::watermark), Some(live.watermark));
    assert!(bench.dispatch.lane(lane).is_none());
}

#[test]
fn what_was_ordered_is_journaled_once_and_before_how_far_it_came() {
    let mut bench = bench(config());
    let lane = bench.replay(order("again", 1, 9));
    bench.tell(Fact::Offered(lane, vec![item(1, 1)], Offset(9)));
    bench.answer_all(&http(200));
    let facts = bench.journal();
    let ordered = |fact: &ControlFact| matches!(fact, ControlFact::ReplayOrdered(_));
    assert!(ordered(&facts[0]) && matches!(facts[1], ControlFact::Replay(_)), "{facts:?}");
    assert_eq!(facts.iter().filter(|fact| ordered(fact)).count(), 1);
    let mut after = super::bench(config());
    after.replay(Order::resumed(Some(given("again", 1, 9)), bench.progress_of("running")));
    assert!(!after.journal().iter().any(ordered), "it is written down already");
}

impl Bench {
    fn progress_of(&self, state: &str) -> ReplayProgress {
        ReplayProgress { state: state.to_owned(), next: Offset(2), ..self.progress() }
    }
}

#[test]
fn replays_are_bounded_cancelled_and_taken_up_where_they_were() {
    let mut bench = bench(config());
    for n in 0..REPLAYS_MAX {
        bench.replay(order(&format!("r{n}"), 0, 9));
    }
    let now = bench.clock();
    let more = order("more", 0, 9);
    assert_eq!(bench.dispatch.replay(now, LANE, more.clone(), &mut Vec::new()), Err(Refused::TooMany));
    bench.act(LaneId(1), Act::Cancel);
    assert_eq!(bench.progress().state, "cancelled");
    let progress = ReplayProgress { next: Offset(5), ..more.progress };
    bench.effects.clear();
    let lane = bench.replay(Order::resumed(Some(more.given), progress));
    let reads = bench
        .effects
        .iter()
        .any(|e| matches!(e, Effect::Read { lane: l, from: Offset(5), .. } if *l == lane));
    assert!(reads);
}

#[test]
fn after_a_crash_a_replay_keeps_its_rate_its_pause_and_what_it_settled_out_of_order() {
    let mut before = bench(config());
    let lane = before.replay(order("again", 1, 9));
    before.act(lane, Act::Rate(Some(2)));
    before.tell(Fact::Offered(lane, (1..=2).map(|n| item(n, n as u8)).collect(), Offset(3)));
    before.pass(Duration::from_secs(1));
    for (id, offsets) in before.sent() {
        if offsets == [2] {
            before.tell(Fact::Answered(id, http(200)));
        }
    }
    before.act(lane, Act::Pause);
    let progress = before.progress();
    assert_eq!((progress.next, progress.rate_per_second), (Offset(1), Some(2)));
    assert_eq!(progress.done, [(Offset(2), Offset(2))]);
    let mut after = bench(config());
    let lane = after.replay(Order::resumed(Some(given("again", 1, 9)), progress));
    assert_eq!(after.dispatch.lane(lane).map(lane::Lane::state), Some(lane::State::Paused));
    after.act(lane, Act::Resume);
    after.tell(Fact::Offered(lane, (1..=4).map(|n| item(n, n as u8)).collect(), Offset(9)));
    assert_eq!(after.offsets(), [[1]], "two a second, and the second was delivered before");
    after.pass(Duration::from_millis(499));
    assert!(after.offsets().is_empty());
    after.pass(Duration::from_millis(1));
    assert_eq!(after.offsets(), [[3]]);
}

#[test]
fn every_act_on_a_replay_is_journaled_with_its_actor_and_a_live_lane_ignores_it() {
    let mut bench = bench(config());
    let lane = bench.replay(order("again", 1, 9));
    for act in [Act::Pause, Act::Resume, Act::Rate(Some(7)), Act::Cancel] {
        bench.act(LANE, act);
        bench.act(lane, act);
    }
    let acts = bench.journal().into_iter().filter_map(|fact| match fact {
        ControlFact::ReplayActed(act) => Some((act.id, act.act, act.rate_per_second, act.actor)),
        _ => None,
    });
    let of = |act: &str, rate| ("again".to_owned(), act.to_owned(), rate, "ada".to_owned());
    let expected = [of("paused", None), of("resumed", None), of("rate", Some(7)), of("cancelled", None)];
    assert_eq!(acts.collect::<Vec<_>>(), expected);
    assert_eq!(bench.dispatch.lane(LANE).map(lane::Lane::state), Some(lane::State::Running));
}

#[test]
fn a_slower_rate_does_not_shorten_a_wait_that_the_subscriber_asked_for() {
    let mut bench = bench(config());
    let lane = bench.replay(order("again", 1, 9));
    bench.tell(Fact::Offered(lane, vec![item(1, 1)], Offset(9)));
    let throttled = HttpAnswer { status: 429, retry_after: Some("60".into()), ..HttpAnswer::default() };
    let (id, _) = bench.sent().remove(0);
    bench.tell(Fact::Answered(id, Answer::Http(throttled)));
    bench.act(lane, Act::Rate(Some(100)));
    bench.pass(Duration::from_secs(59));
    assert!(bench.offsets().is_empty());
}

#[test]
fn what_todays_gate_keeps_back_is_settled_counted_and_journaled_with_its_cause() {
    let mut bench = bench(config());
    let lane = bench.replay(order("again", 1, 4));
    let items = vec![denied(1, 1, Cause::PolicySubscriber), item(2, 1), denied(3, 2, Cause::StaleGeneration)];
    bench.tell(Fact::Offered(lane, items, Offset(4)));
    assert_eq!(bench.answer_all(&http(200)), [[2]]);
    let progress = bench.progress();
    assert_eq!((progress.state.as_str(), progress.delivered, progress.withheld), ("done", 1, 2));
    let kept = bench.journal().into_iter().find_map(|fact| match fact {
        ControlFact::ReplayWithheld(kept) => Some((kept.policy.0.to_string(), kept.items)),
        _ => None,
    });
    let items = vec![(Offset(1), "policy_subscriber".to_owned()), (Offset(3), "stale_generation".to_owned())];
    assert_eq!(kept, Some(("today@sha256:11".to_owned(), items)));
}

#[test]
fn an_event_that_fails_for_good_is_counted_and_passed_over() {
    let mut bench = bench(config());
    let lane = bench.replay(order("again", 1, 3));
    bench.tell(Fact::Offered(lane, vec![item(1, 1), item(2, 1)], Offset(3)));
    assert_eq!(bench.answer_all(&http(422)), [[1], [2]]);
    assert_eq!((bench.progress().failed, bench.dead()), (2, Vec::new()));
}

#[test]
fn new_ids_are_the_same_on_every_retry_and_after_a_restart_and_no_others() {
    let with = |ids| Order::new(ReplayOrder { ids, ..given("again", 1, 9) });
    let ids = |order: Order| {
        let mut bench = bench(config());
        let lane = bench.replay(order);
        bench.tell(Fact::Offered(lane, vec![item(1, 1)], Offset(9)));
        let first = bench.ids();
        let (id, _) = bench.sent().remove(0);
        bench.tell(Fact::Answered(id, failed()));
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.ids(), first, "the retry");
        first
    };
    let (same, new) = (ids(with(DeliveryIds::SameId)), ids(with(DeliveryIds::NewId)));
    assert_ne!(same, new);
    let again = with(DeliveryIds::NewId);
    assert_eq!(ids(Order::resumed(Some(again.given), again.progress)), new);
    let other = ReplayOrder { number: 4, ids: DeliveryIds::NewId, ..given("again", 1, 9) };
    assert_ne!(ids(Order::new(other)), new, "another replay");
}

#[test]
fn new_ids_are_refused_for_an_exactly_once_pair_unless_forced() {
    let once = Promise { guarantee: Guarantee::ExactlyOnce, mechanism: Some(Mechanism::Transactional) };
    let promises = Promises::default().with(ChangeType::Consent, once);
    let with = |change_types: &[ChangeType], forced: Option<&str>, ids| {
        let selection = Selection { change_types: change_types.to_vec(), ..Selection::default() };
        let forced = forced.map(str::to_owned);
        check_ids(&ReplayOrder { selection, forced, ids, ..given("again", 1, 9) }, &promises)
    };
    let refused = Err(Refused::ExactlyOnce(ChangeType::Consent));
    assert_eq!(with(&[], None, DeliveryIds::NewId), refused, "nothing selected is everything");
    assert_eq!(with(&[ChangeType::Consent], None, DeliveryIds::NewId), refused);
    assert_eq!(with(&[ChangeType::Email], None, DeliveryIds::NewId), Ok(()));
    assert_eq!(with(&[], Some("case 7"), DeliveryIds::NewId), Ok(()));
    assert_eq!(with(&[], None, DeliveryIds::SameId), Ok(()));
}
