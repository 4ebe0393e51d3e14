//! May this segment of the log go? A pure function over what is known of each segment and of who still needs
//! it, so that every crash point lies between two calls.
//!
//! The log is shortened from its beginning, whole segments at a time: the first one that must stay keeps all
//! that follow. A segment lives as long as the longest class in it. Open events, dead letters, running replays and
//! legal holds are never passed, nor is what state, vault and audit log have not made durable. A cursor is not
//! passed either: one that is waited for too long is moved, by its lane, and told of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use writ_model::id::{Offset, SubjectId};
use writ_model::replay::Selection;
use writ_model::retention::Hold;
use writ_model::taxonomy::{ChangeType, PriorityClass};
use writ_model::time::Timestamp;

/// How long the events of one class are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Names the class.
    pub name: String,
    /// From when the event was recorded.
    pub keep: Duration,
    /// Events of these change types; of all when empty.
    pub change_types: BTreeSet<ChangeType>,
    /// Events of this priority class; of both when `None`.
    pub priority: Option<PriorityClass>,
}

impl Class {
    fn holds(&self, (change_type, priority): Kind) -> bool {
        (self.change_types.is_empty() || self.change_types.contains(&change_type))
            && self.priority.is_none_or(|class| class == priority)
    }
}

/// What decides about an event's class.
pub type Kind = (ChangeType, PriorityClass);

/// What is known of one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// The offset of its first record.
    pub from: Offset,
    /// The first offset after it.
    pub to: Offset,
    /// Records are still appended to it.
    pub is_open: bool,
    /// When the oldest and the newest event of each kind in it were recorded.
    pub kinds: BTreeMap<Kind, (Timestamp, Timestamp)>,
}

/// Who still needs the log, and from where on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Everything below is in derived state, vault and audit log, and would survive a power cut.
    pub durable: Offset,
    /// The first event without a final leaf.
    pub open_event: Option<Offset>,
    /// Each subscriber's watermark.
    pub cursors: BTreeMap<String, Offset>,
    /// Each subscriber's first dead letter.
    pub dead_letters: BTreeMap<String, Offset>,
    /// Where each replay that is not done goes on.
    pub replays: BTreeMap<String, Offset>,
}

/// Why a segment stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is the last one.
    Open,
    /// State, vault or audit log do not have all of it yet.
    NotDurable,
    /// Events of this change type in it are in no class.
    Unclassed(ChangeType),
    /// This class keeps it until then.
    Class(String, Timestamp),
    /// An event in it has no final leaf yet.
    OpenEvent,
    /// A subscriber has not settled all of it; where the operator set a bound, it is waited for until then.
    Cursor(String, Option<Timestamp>),
    /// A subscriber's dead letters are in it.
    DeadLetters(String),
    /// A replay reads it.
    Replay(String),
    /// A legal hold is on it.
    Hold(String),
    /// An earlier segment stays.
    Earlier,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("it is still written to"),
            Self::NotDurable => f.write_str("state, vault or audit log do not have all of it yet"),
            Self::Unclassed(change_type) => write!(f, "{change_type} events are in no retention class"),
            Self::Class(name, until) => write!(f, "class {name} keeps it until {until}"),
            Self::OpenEvent => f.write_str("an event in it has no final leaf yet"),
            Self::Cursor(name, None) => write!(f, "subscriber {name} has not settled all of it"),
            Self::Cursor(name, Some(until)) => {
                write!(f, "subscriber {name} has not settled all of it; it is waited for until {until}")
            }
            Self::DeadLetters(name) => write!(f, "dead letters of subscriber {name} are in it"),
            Self::Replay(id) => write!(f, "replay {id} reads it"),
            Self::Hold(id) => write!(f, "legal hold {id} is on it"),
            Self::Earlier => f.write_str("an earlier segment stays"),
        }
    }
}

/// How long events are kept, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Classes; an event in none is kept for ever.
    pub classes: Vec<Class>,
    /// How much longer a segment waits for subscribers that have not settled it; for ever without it. Holds, open
    /// events, dead letters and replays are waited for in any case.
    pub cursors_wait: Option<Duration>,
}

/// Why the segment itself has to stay; nothing when it may go. `holds` are those that cover it.
pub fn reasons(
    terms: &Terms,
    segment: &Segment,
    needs: &Needs,
    holds: &[String],
    now: Timestamp,
) -> Vec<Why> {
    let to = segment.to;
    let below = |offset: &Offset| *offset < to;
    let named = |of: &BTreeMap<String, Offset>, why: &dyn Fn(String) -> Why| -> Vec<Why> {
        of.iter().filter(|(_, offset)| below(offset)).map(|(name, _)| why(name.clone())).collect()
    };
    let mut reasons = Vec::new();
    reasons.extend(segment.is_open.then_some(Why::Open));
    reasons.extend(below(&needs.durable).then_some(Why::NotDurable));
    let classes = &terms.classes;
    reasons.extend(segment.kinds.iter().filter_map(|(kind, (_, newest))| kept(classes, *kind, *newest, now)));
    reasons.extend(needs.open_event.filter(below).map(|_| Why::OpenEvent));
    let until = waited_until(terms, segment);
    reasons.extend(named(&needs.cursors, &|name| Why::Cursor(name, until)));
    reasons.extend(named(&needs.dead_letters, &Why::DeadLetters));
    reasons.extend(named(&needs.replays, &Why::Replay));
    reasons.extend(holds.iter().cloned().map(Why::Hold));
    reasons
}

/// Why events of a kind are kept, the newest of which was recorded then. The longest class counts.
fn kept(classes: &[Class], kind: Kind, newest: Timestamp, now: Timestamp) -> Option<Why> {
    let class = classes.iter().filter(|class| class.holds(kind)).max_by_key(|class| class.keep);
    let Some(class) = class else { return Some(Why::Unclassed(kind.0)) };
    let until = newest.after(class.keep);
    (now < until).then(|| Why::Class(class.name.clone(), until))
}

/// Until when a segment waits for subscribers: as long again as the operator says after its last event could have
/// gone. `None`: for ever.
fn waited_until(terms: &Terms, segment: &Segment) -> Option<Timestamp> {
    let wait = terms.cursors_wait?;
    let keep = |(kind, (_, newest)): (&Kind, &(Timestamp, Timestamp))| {
        let class = terms.classes.iter().filter(|class| class.holds(*kind)).max_by_key(|class| class.keep);
        class.map(|class| newest.after(class.keep))
    };
    let ends: Option<Vec<Timestamp>> = segment.kinds.iter().map(keep).collect();
    Some(ends?.into_iter().max()?.after(wait))
}

/// The subscribers that the log waits for no longer, and the offset before which each of them loses what it has not
/// settled: nothing but their cursors keeps the segments up to there, oldest first, and their time is over.
pub fn behind<'a>(
    judged: impl IntoIterator<Item = (&'a Segment, &'a [Why])>,
    now: Timestamp,
) -> BTreeMap<String, Offset> {
    let mut behind = BTreeMap::new();
    let late = |why: &'a Why| match why {
        Why::Earlier => Some(None),
        Why::Cursor(name, Some(until)) if *until <= now => Some(Some(name)),
        _ => None,
    };
    for (segment, why) in judged {
        let Some(names) = why.iter().map(late).collect::<Option<Vec<_>>>() else { break };
        behind.extend(names.into_iter().flatten().map(|name| (name.clone(), segment.to)));
    }
    behind
}

/// Where the log may begin: behind the longest run of segments, oldest first, that may all go. `None`: nothing
/// goes.
pub fn truncation<'a>(judged: impl IntoIterator<Item = (&'a Segment, &'a [Why])>) -> Option<Offset> {
    judged.into_iter().take_while(|(_, why)| why.is_empty()).last().map(|(segment, _)| segment.to)
}

/// Whether a legal hold is on a segment: it may have an event that the hold's whole scope covers. Errs on the
/// side of keeping. `has_subject` says whether an event of a subject is in the segment.
pub fn covers(hold: &Hold, segment: &Segment, mut has_subject: impl FnMut(SubjectId) -> bool) -> bool {
    let Selection { subjects, change_types, from_time, to_time, .. } = &hold.scope;
    let in_scope = |(kind, (oldest, newest)): (&Kind, &(Timestamp, Timestamp))| {
        (change_types.is_empty() || change_types.contains(&kind.0))
            && from_time.is_none_or(|from| from <= *newest)
            && to_time.is_none_or(|to| *oldest < to)
    };
    segment.kinds.iter().any(in_scope)
        && (subjects.is_empty() || subjects.iter().any(|subject| has_subject(*subject)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMAIL: Kind = (ChangeType::Email, PriorityClass::Standard);
    const CONSENT: Kind = (ChangeType::Consent, PriorityClass::Express);

    fn class(name: &str, keep: u64, change_types: &[ChangeType], priority: Option<PriorityClass>) -> Class {
        let change_types = change_types.iter().copied().collect();
        Class { name: name.to_owned(), keep: Duration::from_micros(keep), change_types, priority }
    }

    /// E-mail is kept for 10, what is express for 100.
    fn classes() -> Vec<Class> {
        vec![
            class("mail", 10, &[ChangeType::Email], None),
            class("legal", 100, &[], Some(PriorityClass::Express)),
        ]
    }

    fn segment(from: u64, to: u64, kinds: &[(Kind, i64)]) -> Segment {
        let kinds = kinds.iter().map(|(kind, at)| (*kind, (Timestamp(*at), Timestamp(*at)))).collect();
        Segment { from: Offset(from), to: Offset(to), is_open: false, kinds }
    }

    fn free() -> Needs {
        Needs { durable: Offset(1_000), ..Needs::default() }
    }

    fn terms() -> Terms {
        Terms { classes: classes(), cursors_wait: None }
    }

    fn at(segment: &Segment, needs: &Needs, now: i64) -> Vec<Why> {
        reasons(&terms(), segment, needs, &[], Timestamp(now))
    }

    fn waiting(segments: &[Segment], needs: &Needs, holds: &[String], now: i64) -> BTreeMap<String, Offset> {
        let terms = Terms { cursors_wait: Some(Duration::from_micros(50)), ..terms() };
        let why: Vec<Vec<Why>> =
            segments.iter().map(|segment| reasons(&terms, segment, needs, holds, Timestamp(now))).collect();
        behind(segments.iter().zip(why.iter().map(Vec::as_slice)), Timestamp(now))
    }

    #[test]
    fn a_subscriber_is_waited_for_until_the_operator_s_bound_and_no_longer() {
        let segments = [segment(0, 10, &[(EMAIL, 5)]), segment(10, 20, &[(EMAIL, 7)])];
        let cursors = [("crm".to_owned(), Offset(3)), ("erp".to_owned(), Offset(12))].into();
        let needs = Needs { cursors, ..free() };
        let crm = |to| BTreeMap::from([("crm".to_owned(), Offset(to))]);
        assert!(waiting(&segments, &needs, &[], 64).is_empty());
        assert_eq!(waiting(&segments, &needs, &[], 65), crm(10));
        let both = [("crm".to_owned(), Offset(20)), ("erp".to_owned(), Offset(20))].into();
        assert_eq!(waiting(&segments, &needs, &[], 67), both);
    }

    #[test]
    fn nothing_but_a_cursor_ever_yields() {
        let segments = [segment(0, 10, &[(EMAIL, 5)]), segment(10, 20, &[(EMAIL, 7)])];
        let cursors: BTreeMap<String, Offset> = [("crm".to_owned(), Offset(3))].into();
        let behind = |needs: Needs, holds: &[String]| waiting(&segments, &needs, holds, 1_000);
        let only = |needs: Needs| Needs { cursors: cursors.clone(), ..needs };
        assert!(behind(only(free()), &["hold-1".to_owned()]).is_empty());
        assert!(behind(only(Needs { open_event: Some(Offset(2)), ..free() }), &[]).is_empty());
        let letters = [("erp".to_owned(), Offset(2))].into();
        assert!(behind(only(Needs { dead_letters: letters, ..free() }), &[]).is_empty());
        let replays = [("replay-1".to_owned(), Offset(2))].into();
        assert!(behind(only(Needs { replays, ..free() }), &[]).is_empty());
        assert!(behind(only(Needs { durable: Offset(9), ..free() }), &[]).is_empty());
        let later = [("erp".to_owned(), Offset(12))].into();
        let first = behind(only(Needs { dead_letters: later, ..free() }), &[]);
        assert_eq!(first, [("crm".to_owned(), Offset(10))].into(), "up to what stays for another reason");
    }

    #[test]
    fn events_in_no_class_are_waited_for_for_ever() {
        let address = (ChangeType::Address, PriorityClass::Standard);
        let segments = [segment(0, 10, &[(EMAIL, 5), (address, 5)])];
        let needs = Needs { cursors: [("crm".to_owned(), Offset(3))].into(), ..free() };
        assert!(waiting(&segments, &needs, &[], i64::MAX / 2).is_empty());
    }

    #[test]
    fn a_segment_lives_as_long_as_its_longest_class() {
        let mixed = segment(0, 10, &[(EMAIL, 5), (CONSENT, 3)]);
        assert_eq!(
            at(&mixed, &free(), 14),
            [Why::Class("mail".into(), Timestamp(15)), Why::Class("legal".into(), Timestamp(103))]
        );
        assert_eq!(at(&mixed, &free(), 102), [Why::Class("legal".into(), Timestamp(103))]);
        assert!(at(&mixed, &free(), 103).is_empty());
    }

    #[test]
    fn of_two_classes_that_hold_an_event_the_longer_one_counts() {
        let both = [class("short", 1, &[], None), class("long", 50, &[ChangeType::Email], None)];
        let why = reasons(
            &Terms { classes: both.into(), cursors_wait: None },
            &segment(0, 10, &[(EMAIL, 0)]),
            &free(),
            &[],
            Timestamp(20),
        );
        assert_eq!(why, [Why::Class("long".into(), Timestamp(50))]);
    }

    #[test]
    fn an_event_in_no_class_keeps_its_segment_for_ever() {
        let phone = (ChangeType::Phone, PriorityClass::Standard);
        assert_eq!(
            at(&segment(0, 10, &[(phone, 0)]), &free(), i64::MAX),
            [Why::Unclassed(ChangeType::Phone)]
        );
        assert!(at(&segment(0, 10, &[]), &free(), 0).is_empty(), "facts and leaves alone keep nothing");
    }

    #[test]
    fn whoever_still_needs_a_segment_keeps_it_and_is_named() {
        let old = segment(0, 10, &[(EMAIL, 0)]);
        let map = |name: &str, offset| BTreeMap::from([(name.to_owned(), Offset(offset))]);
        for (needs, why) in [
            (Needs { durable: Offset(9), ..free() }, Why::NotDurable),
            (Needs { open_event: Some(Offset(9)), ..free() }, Why::OpenEvent),
            (Needs { cursors: map("crm", 9), ..free() }, Why::Cursor("crm".into(), None)),
            (Needs { dead_letters: map("crm", 9), ..free() }, Why::DeadLetters("crm".into())),
            (Needs { replays: map("replay-1", 9), ..free() }, Why::Replay("replay-1".into())),
        ] {
            assert_eq!(at(&old, &needs, 1_000), [why]);
        }
        let past = Needs {
            durable: Offset(10),
            open_event: Some(Offset(10)),
            cursors: map("crm", 10),
            dead_letters: map("crm", 10),
            replays: map("replay-1", 10),
        };
        assert!(at(&old, &past, 1_000).is_empty());
        let open = Segment { is_open: true, ..old.clone() };
        assert_eq!(at(&open, &free(), 1_000), [Why::Open]);
        let held = reasons(&terms(), &old, &free(), &["hold-1".to_owned()], Timestamp(1_000));
        assert_eq!(held, [Why::Hold("hold-1".into())]);
    }

    fn hold(scope: Selection) -> Hold {
        let text = |text: &str| text.to_owned();
        Hold {
            id: text("h"),
            matter: text("m"),
            reason: text("r"),
            scope,
            actor: text("a"),
            at: Timestamp(0),
        }
    }

    #[test]
    fn a_hold_covers_the_segments_that_may_have_an_event_of_its_scope() {
        let mixed = segment(0, 10, &[(EMAIL, 5), (CONSENT, 30)]);
        let covered = |scope| covers(&hold(scope), &mixed, |subject| subject == SubjectId([1; 16]));
        let of = |subject, change_types: &[ChangeType]| Selection {
            subjects: vec![SubjectId([subject; 16])],
            change_types: change_types.to_vec(),
            ..Selection::default()
        };
        let times = |from, to, change_types: &[ChangeType]| Selection {
            from_time: Some(Timestamp(from)),
            to_time: Some(Timestamp(to)),
            change_types: change_types.to_vec(),
            ..Selection::default()
        };
        assert!(covered(Selection::default()) && covered(of(1, &[])) && !covered(of(2, &[])));
        assert!(covered(of(1, &[ChangeType::Email])) && !covered(of(1, &[ChangeType::Phone])));
        assert!(covered(times(5, 6, &[])) && covered(times(6, 31, &[])) && !covered(times(31, 99, &[])));
        assert!(!covered(times(0, 5, &[])), "the end of a range is not in it");
        assert!(!covered(times(6, 99, &[ChangeType::Email])), "the kind that is in scope is too old");
    }

    #[test]
    fn the_first_segment_that_stays_keeps_all_that_follow() {
        let segments = [segment(0, 10, &[]), segment(10, 20, &[]), segment(20, 30, &[])];
        let judge = |stays: &[bool]| {
            let why: Vec<Vec<Why>> =
                stays.iter().map(|stays| if *stays { vec![Why::OpenEvent] } else { vec![] }).collect();
            truncation(segments.iter().zip(why.iter().map(Vec::as_slice)))
        };
        assert_eq!(judge(&[true, false, false]), None);
        assert_eq!(judge(&[false, true, false]), Some(Offset(10)));
        assert_eq!(judge(&[false, false, false]), Some(Offset(30)));
    }

    proptest! {
        #[test]
        fn nothing_that_somebody_needs_is_ever_dropped(
            ends in proptest::collection::btree_set(1_u64..200, 1..12),
            cursor in 0_u64..200,
            open in proptest::option::of(0_u64..200),
            durable in 0_u64..200,
            now in 0_i64..400,
        ) {
            let mut from = 0;
            let mut segments = Vec::new();
            for end in ends {
                segments.push(segment(from, end, &[(EMAIL, end as i64)]));
                from = end;
            }
            let needs = Needs {
                durable: Offset(durable),
                open_event: open.map(Offset),
                cursors: BTreeMap::from([("crm".to_owned(), Offset(cursor))]),
                ..Needs::default()
            };
            let judged: Vec<Vec<Why>> = segments.iter().map(|one| at(one, &needs, now)).collect();
            let goes = truncation(segments.iter().zip(judged.iter().map(Vec::as_slice)));
            if let Some(before) = goes {
                prop_assert!(before.0 <= cursor && before.0 <= durable);
                prop_assert!(open.is_none_or(|open| before.0 <= open));
                let newest = segments.iter().filter(|one| one.to <= before).map(|one| one.to.0).max();
                prop_assert!(newest.is_some_and(|newest| newest as i64 + 10 <= now));
            }
        }
    }
}
