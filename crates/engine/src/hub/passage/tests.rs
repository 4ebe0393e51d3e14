//! Passages of a log that has an event at every second offset.

use std::cell::Cell;
use std::convert::Infallible;

use writ_model::id::{Generation, Slot, SourceName, SubjectId, TenantId};
use writ_model::taxonomy::{ChangeType, Entity, Operation};
use writ_model::time::{Hlc, Timestamp};
use writ_model::verdict::PolicyVersion;

use super::*;

const CRM: LaneId = LaneId(0);
const MAIL: LaneId = LaneId(1);

fn header() -> ClearHeader {
    ClearHeader {
        event_id: "019aa000-0000-7000-8000-000000000001".parse().expect("an id"),
        tenant: TenantId::new("shop").expect("a name"),
        source: SourceName::new("crm").expect("a name"),
        change_type: ChangeType::Email,
        operation: Operation::Update,
        entity: Entity::Customer,
        subject_id: SubjectId([1; 16]),
        generation: Generation::FIRST,
        slot: Slot::new(1),
        hlc: Hlc::default(),
        time: Timestamp(1_000_000),
        recorded_at: Timestamp(1_000_000),
        schema_major: 1,
        location: None,
        locale: None,
        lineage: None,
    }
}

fn passed(offset: u64, lanes: &[LaneId], class: PriorityClass) -> Passed {
    let decision = Decision {
        class,
        policy: PolicyVersion("none".into()),
        schema: "email.v1".into(),
        deny_subscribers: Vec::new(),
        withhold: Vec::new(),
    };
    Passed { header: header(), decision, offset: Offset(offset), bytes: 100, lanes: lanes.to_vec() }
}

/// Ten events of CRM, at 10, 12, 14, to 28, of which those at 14 and 20 are express; mail takes that at 20 alone.
fn passage() -> Passage {
    let event = |offset| match offset {
        14 => passed(14, &[CRM], PriorityClass::Express),
        20 => passed(20, &[CRM, MAIL], PriorityClass::Express),
        offset => passed(offset, &[CRM], PriorityClass::Standard),
    };
    let events = (10..30).step_by(2).map(event).collect();
    Passage { from: Offset(10), through: Offset(30), events }
}

fn offered(lane: LaneId, from: u64, (items_max, bytes_max): (usize, usize), shown: u64) -> (Vec<u64>, u64) {
    let stretch = Stretch { from: Offset(from), items_max, bytes_max };
    let (items, next) = passage().offer((lane, "crm"), stretch, Offset(shown));
    (items.iter().map(|item| item.offset.0).collect(), next.0)
}

#[test]
fn a_lane_goes_on_inside_a_passage_and_takes_what_it_has_room_for() {
    assert_eq!(offered(CRM, 10, (3, 1 << 20), 100), (vec![10, 12, 14], 16));
    assert_eq!(offered(CRM, 16, (100, 250), 100), (vec![16, 18], 20));
    assert_eq!(offered(CRM, 19, (100, 1 << 20), 100), (vec![20, 22, 24, 26, 28], 30));
    assert_eq!(offered(CRM, 16, (100, 10), 100), (vec![16], 18), "one that alone is too large");
}

#[test]
fn a_lane_that_wants_little_of_a_passage_is_done_with_all_of_it() {
    assert_eq!(offered(MAIL, 10, (100, 1 << 20), 100), (vec![20], 30));
    assert_eq!(offered(MAIL, 21, (100, 1 << 20), 100), (vec![], 30));
}

#[test]
fn nothing_is_offered_that_the_hub_does_not_know_of_yet() {
    assert_eq!(offered(CRM, 10, (100, 1 << 20), 13), (vec![10, 12], 13));
}

#[test]
fn a_search_for_express_events_stops_at_its_limit() {
    let found = |from, limit, shown| {
        let (sights, next) = passage().express(CRM, Offset(from), limit, Offset(shown));
        (sights.iter().map(|(offset, _)| offset.0).collect::<Vec<u64>>(), next.0)
    };
    assert_eq!(found(10, 10, 100), (vec![14, 20], 30));
    assert_eq!(found(10, 1, 100), (vec![14], 20));
    assert_eq!(found(10, 10, 15), (vec![14], 15));
}

#[test]
fn thirty_lanes_that_are_behind_by_the_same_read_the_log_once() {
    let (mut passages, reads) = (Passages::default(), Cell::new(0));
    for _ in 0..30 {
        for from in [10, 16, 29] {
            let read = || {
                reads.set(reads.get() + 1);
                Ok::<_, Infallible>(passage())
            };
            passages.holding(Offset(from), read).expect("cannot fail");
        }
    }
    assert_eq!(reads.get(), 1);
}

#[test]
fn what_is_kept_of_the_log_has_a_bound_in_events_and_in_passages() {
    let mut passages = Passages::default();
    for (events, passages_read) in [(0, 1000), (3000, 20)] {
        for number in 0..passages_read {
            let from = Offset(events * 1_000_000 + number * 10_000);
            let read = || {
                let event = |index| passed(from.0 + index, &[CRM], PriorityClass::Standard);
                let events = (0..events).map(event).collect();
                Ok::<_, Infallible>(Passage { from, through: Offset(from.0 + 10_000), events })
            };
            passages.holding(from, read).expect("cannot fail");
        }
        let held: usize = passages.kept.iter().map(|passage| passage.events.len()).sum();
        assert_eq!(held, passages.events);
        assert!(held <= EVENTS_MAX && passages.kept.len() <= PASSAGES_MAX, "{held}");
    }
    assert_eq!(passages.kept.len(), 2, "of 3,000 events each");
}
