//! The keys of the derived state. Numbers are big-endian, so that byte order is number order.
//!
//! ```text
//! control   "a"                              applied offset
//!           "s" source                       SourceProgress
//!           "c" source                       Covered
//!           "k" source                       Accounted
//!           "u" subscriber                   Cursor
//!           "l" subscriber                   LaneChange
//!           "n" subscriber                   number of dead letters
//!           "r" replay id                    ReplayProgress, until it ends
//!           "e" replay number                ReplayProgress, of the last that ended
//!           "q" replay id                    ReplayOrder
//!           "y" request                      replay id
//!           "m"                              number of the last replay
//!           "h" hold id                      Hold, until it is released
//!           "g" saga id                      Saga
//!           "j" case id                      Case
//!           "z" subject                      Disclosed: whom data of the subject went to, of events that left the log
//!           "x"                              offset before which the log is dropped
//!           "b" subscriber, 0, epoch, attempt  Branch
//!           "f" subscriber, 0, kind          Finding
//!           "t"                              the latest second that has a time row
//! events    "i" event id                     offset
//!           "s" subject, offset              -
//!           "t" second                       offset of its first event
//!           "p" causation id                 IntakeSeen
//!           "v" source, 0, time, causation id  -; by when a pushed change is forgotten
//! settling  "o" offset                       OpenRow
//!           "a" page, offset of the fact     SettledRuns: events of this page that one subscriber settled
//! parked    "d" subscriber, 0, subject, offset  DeadLetter
//!           "w" offset of the fact           Withheld
//!           "i" event id                     offset of its Withheld
//! ```

use writ_model::delivery::Branch;
use writ_model::finding::FindingKind;
use writ_model::id::{EventId, Offset, SubjectId, SubscriberName};
use writ_model::time::Timestamp;

use crate::pairs::Area;

/// Names of the areas on disk, in the order of their numbers.
pub(super) const AREAS: &[&str] = &["control", "events", "settling", "parked"];
/// Few, small, often rewritten values.
pub(super) const CONTROL: Area = Area(0);
/// Where events are.
pub(super) const EVENTS: Area = Area(1);
/// What is open and how it settled.
pub(super) const SETTLING: Area = Area(2);
/// Dead letters and withheld events.
pub(super) const PARKED: Area = Area(3);

/// Key of the applied offset.
pub(super) const APPLIED: &[u8] = b"a";
/// Key of the latest second that has a time row.
pub(super) const LATEST_SECOND: &[u8] = b"t";
/// Prefix of the replays.
pub(super) const REPLAYS: &[u8] = b"r";
/// Prefix of the findings.
pub(super) const FINDINGS: &[u8] = b"f";
/// Prefix of the ended replays.
pub(super) const ENDED: &[u8] = b"e";
/// Key of the last replay's number.
pub(super) const REPLAY_NUMBER: &[u8] = b"m";
/// Prefix of the legal holds.
pub(super) const HOLDS: &[u8] = b"h";
/// Prefix of the sagas.
pub(super) const SAGAS: &[u8] = b"g";
/// Prefix of the privacy cases.
pub(super) const CASES: &[u8] = b"j";
/// Key of the offset before which the log is dropped.
pub(super) const TRUNCATED: &[u8] = b"x";
/// Prefix of the open events.
pub(super) const OPEN: &[u8] = b"o";
/// Prefix of the withheld events.
pub(super) const WITHHELD: &[u8] = b"w";
/// Prefix of the time rows.
pub(super) const SECONDS: &[u8] = b"t";

pub(super) fn source(name: &str) -> Vec<u8> {
    tagged(b's', name.as_bytes())
}

pub(super) fn covered(name: &str) -> Vec<u8> {
    tagged(b'c', name.as_bytes())
}

pub(super) fn accounted(name: &str) -> Vec<u8> {
    tagged(b'k', name.as_bytes())
}

pub(super) fn cursor(subscriber: &SubscriberName) -> Vec<u8> {
    tagged(b'u', subscriber.as_str().as_bytes())
}

pub(super) fn lane(subscriber: &SubscriberName) -> Vec<u8> {
    tagged(b'l', subscriber.as_str().as_bytes())
}

pub(super) fn letter_count(subscriber: &SubscriberName) -> Vec<u8> {
    tagged(b'n', subscriber.as_str().as_bytes())
}

pub(super) fn replay(id: &str) -> Vec<u8> {
    tagged(b'r', id.as_bytes())
}

pub(super) fn finding(subscriber: &SubscriberName, kind: FindingKind) -> Vec<u8> {
    [FINDINGS, subscriber.as_str().as_bytes(), &[0], kind.as_str().as_bytes()].concat()
}

/// Prefix of a subscriber's decided branches. No name holds a zero byte.
pub(super) fn branches(subscriber: &SubscriberName) -> Vec<u8> {
    let mut key = tagged(b'b', subscriber.as_str().as_bytes());
    key.push(0);
    key
}

pub(super) fn branch(subscriber: &SubscriberName, branch: Branch) -> Vec<u8> {
    let mut key = branches(subscriber);
    key.extend_from_slice(&branch.epoch.0.to_be_bytes());
    key.extend_from_slice(&branch.attempt.0.to_be_bytes());
    key
}

pub(super) fn ended(number: u32) -> Vec<u8> {
    tagged(b'e', &number.to_be_bytes())
}

pub(super) fn replay_order(id: &str) -> Vec<u8> {
    tagged(b'q', id.as_bytes())
}

pub(super) fn request(request: &str) -> Vec<u8> {
    tagged(b'y', request.as_bytes())
}

pub(super) fn saga(id: &str) -> Vec<u8> {
    tagged(b'g', id.as_bytes())
}

pub(super) fn case(id: &str) -> Vec<u8> {
    tagged(b'j', id.as_bytes())
}

pub(super) fn disclosed(subject: SubjectId) -> Vec<u8> {
    tagged(b'z', &subject.0)
}

pub(super) fn hold(id: &str) -> Vec<u8> {
    tagged(b'h', id.as_bytes())
}

pub(super) fn event(id: EventId) -> Vec<u8> {
    tagged(b'i', id.0.as_bytes())
}

pub(super) fn intake(causation: EventId) -> Vec<u8> {
    tagged(b'p', causation.0.as_bytes())
}

/// Prefix of a source's pushed changes in the order in which they were taken. No name holds a zero byte.
pub(super) fn taken(source: &str) -> Vec<u8> {
    [b"v", source.as_bytes(), &[0]].concat()
}

/// Microseconds since the epoch, shifted so that times before it sort first.
pub(super) fn taken_at(source: &str, at: Timestamp, causation: EventId) -> Vec<u8> {
    let at = (at.0.cast_unsigned() ^ (1 << 63)).to_be_bytes();
    [taken(source).as_slice(), &at, causation.0.as_bytes()].concat()
}

/// The time and the causation id that such a key ends in.
pub(super) fn taken_of(key: &[u8]) -> Option<(Timestamp, EventId)> {
    let (rest, id) = key.split_last_chunk::<16>()?;
    let at = u64::from_be_bytes(*rest.last_chunk()?) ^ (1 << 63);
    Some((Timestamp(at.cast_signed()), EventId(uuid::Uuid::from_bytes(*id))))
}

pub(super) fn subject(subject: SubjectId) -> Vec<u8> {
    tagged(b's', &subject.0)
}

pub(super) fn subject_event(subject: SubjectId, offset: Offset) -> Vec<u8> {
    [b"s", &subject.0[..], &offset_bytes(offset)].concat()
}

/// Seconds since the epoch, shifted so that times before it sort first.
pub(super) fn second(second: i64) -> Vec<u8> {
    tagged(b't', &(second.cast_unsigned() ^ (1 << 63)).to_be_bytes())
}

pub(super) fn open(offset: Offset) -> Vec<u8> {
    tagged(b'o', &offset_bytes(offset))
}

/// Offsets whose acknowledgements lie together: a page. A lane tells its settlements by the hundred, so a row
/// holds many of them, and an event's are found by reading its page.
pub(super) const PAGE_OFFSETS: u64 = 4096;

pub(super) fn page(offset: Offset) -> u64 {
    offset.0 / PAGE_OFFSETS
}

pub(super) fn acknowledgements(page: u64) -> Vec<u8> {
    tagged(b'a', &page.to_be_bytes())
}

pub(super) fn acknowledgements_of(page: u64, fact: Offset) -> Vec<u8> {
    [b"a", &page.to_be_bytes()[..], &offset_bytes(fact)].concat()
}

pub(super) fn letters(subscriber: &SubscriberName) -> Vec<u8> {
    [b"d", subscriber.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn letters_of(subscriber: &SubscriberName, subject: SubjectId) -> Vec<u8> {
    [letters(subscriber), subject.0.to_vec()].concat()
}

pub(super) fn letter(subscriber: &SubscriberName, subject: SubjectId, offset: Offset) -> Vec<u8> {
    [letters_of(subscriber, subject), offset_bytes(offset).to_vec()].concat()
}

pub(super) fn withheld(at: Offset) -> Vec<u8> {
    tagged(b'w', &offset_bytes(at))
}

pub(super) fn withheld_at(event: EventId) -> Vec<u8> {
    tagged(b'i', event.0.as_bytes())
}

/// The offset that a key ends in.
pub(super) fn offset_at_end(key: &[u8]) -> Option<Offset> {
    key.last_chunk().map(|bytes| Offset(u64::from_be_bytes(*bytes)))
}

pub(super) fn offset_bytes(offset: Offset) -> [u8; 8] {
    offset.0.to_be_bytes()
}

fn tagged(tag: u8, rest: &[u8]) -> Vec<u8> {
    [&[tag], rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_before_the_epoch_sort_first() {
        assert!(second(i64::MIN) < second(-1) && second(-1) < second(0) && second(0) < second(1));
    }

    #[test]
    fn a_subscriber_whose_name_begins_another_has_its_own_letters() {
        let (short, long) = (SubscriberName::new("crm").unwrap(), SubscriberName::new("crm-eu").unwrap());
        assert!(!letters(&long).starts_with(&letters(&short)));
    }
}
