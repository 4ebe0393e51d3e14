//! What the writer hands on, as memory counts it.

use super::*;
use crate::payload::Event;

/// The events of these changes, as the hub gets them.
fn handed_on(changes: Vec<Change>) -> Vec<Arc<Event>> {
    let mut bench = bench();
    let (committed, mut told) = mpsc::channel(8);
    bench.writer.committed = committed;
    bench.submit(changes, 1).expect("taken");
    std::iter::from_fn(|| told.try_recv().ok()).flat_map(|commit| commit.events).collect()
}

/// Its fixed parts, the text that it names, and its encoding: all that can be counted without an allocator's help.
fn held(event: &Event) -> usize {
    let facts = event.intent.as_ref().expect("the writer's own");
    let named =
        [&facts.change_type, &facts.source, &facts.schema_version, &facts.policy_version, &facts.shard];
    let named: usize = named.map(String::len).iter().sum();
    let decided = event.decision.policy.0.len() + event.decision.schema.len();
    let view = event.view().expect("its key is there");
    size_of::<Event>() + named + decided + view.structured().len()
}

#[test]
fn an_event_is_charged_what_it_takes_whether_it_is_small_or_large() {
    for length in [1, 100, 1_000] {
        let events = handed_on(vec![email(1, &"1".repeat(length), "a@b.example")]);
        let cost = events[0].cost();
        let held = held(&events[0]);
        assert!((held..2 * held).contains(&cost), "{cost} charged, {held} held, key of {length}");
    }
}
