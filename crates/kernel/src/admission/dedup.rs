//! Was this change taken before?

use std::time::Duration;

use writ_model::change::Change;
use writ_model::control::{Covered, IntakeSeen, SourceProgress};
use writ_model::time::Timestamp;

/// The answer for a change that a source read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Take it.
    New,
    /// Its events are in the log already; the source went back after a restart.
    Duplicate,
}

/// Compares a change's position with the last one that the log covers. Positions of another incarnation say
/// nothing about this one: whether the source may go on there is the source's identity check.
pub fn read(covered: Option<&Covered>, change: &Change) -> Read {
    match covered {
        Some(covered) if covered.incarnation == change.incarnation && change.position <= covered.position => {
            Read::Duplicate
        }
        Some(_) | None => Read::New,
    }
}

/// Whether a source's progress goes on from the durable one. One that goes back, because the source reads again what is
/// in the log, is not written down: what the source was told stands.
pub fn advances(durable: Option<&SourceProgress>, next: &SourceProgress) -> bool {
    durable.is_none_or(|durable| {
        let is_same = durable.incarnation == next.incarnation && durable.snapshot == next.snapshot;
        !is_same || durable.position <= next.position
    })
}

/// The answer for a change that a producer pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Take it.
    Accepted,
    /// Taken before, with the same content.
    Duplicate,
    /// The id was used for other content: a matter for the producer (`WRIT-3006`).
    Conflict,
}

/// What was taken under an id still counts: it was taken within the source's declared window. A clock that went
/// back makes it no older.
pub fn is_remembered(seen: &IntakeSeen, now: Timestamp, window: Duration) -> bool {
    now < seen.at.after(window)
}

/// Compares a pushed change with what was taken under its id, where that [counts](is_remembered). `content_hash` is from
/// [`crate::identity::content_hash`]; `None` when the content key is destroyed: what was said can then no
/// longer be compared, and the id alone makes it a duplicate.
pub fn pushed(seen: Option<&IntakeSeen>, content_hash: Option<&str>) -> Pushed {
    match (seen, content_hash) {
        (None, _) => Pushed::Accepted,
        (Some(seen), Some(hash)) if seen.content_hash != hash => Pushed::Conflict,
        (Some(_), _) => Pushed::Duplicate,
    }
}

#[cfg(test)]
mod tests {
    use writ_model::change::RowChange;
    use writ_model::id::{EventId, Incarnation, Position, RecordKey, SourceName};
    use writ_model::lineage::Claim;

    use super::*;

    fn source() -> SourceName {
        SourceName::new("crm").expect("a name")
    }

    #[test]
    fn progress_goes_back_only_into_another_life_or_phase_of_its_source() {
        let at = |incarnation: &str, commit, snapshot: Option<&str>| SourceProgress {
            source: source(),
            incarnation: Incarnation(incarnation.into()),
            position: Position { commit, ordinal: 0 },
            snapshot: snapshot.map(str::to_owned),
        };
        let durable = at("one", 5, None);
        assert!(advances(None, &at("one", 1, None)));
        assert!(
            advances(Some(&durable), &at("one", 5, None)) && advances(Some(&durable), &at("one", 6, None))
        );
        assert!(!advances(Some(&durable), &at("one", 4, None)));
        assert!(advances(Some(&durable), &at("two", 1, None)));
        assert!(
            advances(Some(&durable), &at("one", 4, Some("customer 17"))),
            "it is read anew from its beginning"
        );
    }

    fn change(commit: u64, ordinal: u64) -> Change {
        Change {
            source: source(),
            incarnation: Incarnation("one".into()),
            position: Position { commit, ordinal },
            committed_at: Timestamp(0),
            transaction: None,
            producer_id: None,
            table: "t".into(),
            row: RowChange::Insert,
            declared: None,
            key: RecordKey(vec!["1".into()]),
            old_key: None,
            before: None,
            after: None,
            claim: Claim::default(),
        }
    }

    #[test]
    fn what_the_log_covers_is_a_duplicate() {
        let covered = |life: &str| Covered {
            source: source(),
            incarnation: Incarnation(life.into()),
            position: Position { commit: 5, ordinal: 3 },
        };
        let check = |commit, ordinal| read(Some(&covered("one")), &change(commit, ordinal));
        assert_eq!((check(5, 3), check(4, 9)), (Read::Duplicate, Read::Duplicate));
        assert_eq!((check(5, 4), check(6, 0)), (Read::New, Read::New));
        assert_eq!(read(Some(&covered("two")), &change(1, 0)), Read::New);
        assert_eq!(read(None, &change(0, 0)), Read::New);
    }

    #[test]
    fn an_id_is_remembered_for_the_declared_window_and_not_longer() {
        let seen = |at| IntakeSeen {
            causation_id: "0196f000-0000-8000-8000-000000000000".parse::<EventId>().expect("an id"),
            source: source(),
            content_hash: String::new(),
            events: 1,
            at: Timestamp(at),
        };
        let window = Duration::from_micros(10);
        assert!(is_remembered(&seen(100), Timestamp(109), window));
        assert!(!is_remembered(&seen(100), Timestamp(110), window));
        assert!(is_remembered(&seen(100), Timestamp(50), window), "the clock went back");
    }

    #[test]
    fn the_same_id_is_a_duplicate_or_a_conflict_by_its_content() {
        let seen = IntakeSeen {
            causation_id: "0196f000-0000-8000-8000-000000000000".parse::<EventId>().expect("an id"),
            source: source(),
            content_hash: "aa".into(),
            events: 1,
            at: Timestamp(0),
        };
        assert_eq!(pushed(None, Some("aa")), Pushed::Accepted);
        assert_eq!(pushed(Some(&seen), Some("aa")), Pushed::Duplicate);
        assert_eq!(pushed(Some(&seen), Some("bb")), Pushed::Conflict);
        assert_eq!(pushed(Some(&seen), None), Pushed::Duplicate);
    }
}
