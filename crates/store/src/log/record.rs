//! The payload of a frame: a dictionary of words, then the records, each with its length before it (a varint).
//! Events and facts are protobuf messages (`message`), leaves are their canonical bytes as they are.
//!
//! Names, policy and schema versions repeat on every event; a commit holds each once and events refer to it.
//! Offsets, leaf indices and kinds follow from the frame's header and a record's place, so none is stored.

mod message;

use std::collections::BTreeMap;

use prost::Message;
use writ_model::control::ControlFact;
use writ_model::id::{Offset, Sequence, Slot};

use super::frame::{Counts, Fault};
use super::{Commit, StoredEvent};
use message::{EventMessage, FactMessage, PlaceMessage, WordsMessage};

/// The words of one commit, by number.
#[derive(Default)]
pub(super) struct Words(Vec<String>);

impl Words {
    fn get(&self, number: u32) -> Result<&str, Fault> {
        self.0.get(number as usize).map(String::as_str).ok_or(Fault::Record)
    }
}

/// Numbers words as they come up.
#[derive(Default)]
struct Interner {
    numbers: BTreeMap<String, u32>,
    words: Vec<String>,
}

impl Interner {
    fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.words.len() as u32;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }
}

/// Appends a commit's payload to `into`.
pub(super) fn encode(commit: Commit, into: &mut Vec<u8>) -> Counts {
    let Commit { events, facts, leaves } = commit;
    let mut interner = Interner::default();
    let mut intents = Vec::with_capacity(events.len());
    let mut messages = Vec::with_capacity(events.len());
    for event in events {
        let (message, intent) = EventMessage::new(event, &mut interner);
        messages.push(message);
        intents.push(intent);
    }
    let counts = Counts {
        events: count(messages.len()),
        leaves: count(intents.len() + leaves.len()),
        facts: count(facts.len()),
    };
    push(&WordsMessage { words: interner.words }, into);
    messages.iter().for_each(|message| push(message, into));
    for leaf in intents.iter().chain(&leaves) {
        // A `Vec` grows as needed, so neither encoding can run out of room.
        prost::encode_length_delimiter(leaf.len(), into).expect("a vec grows");
        into.extend_from_slice(leaf);
    }
    facts.iter().for_each(|fact| push(&FactMessage::new(fact), into));
    counts
}

fn push(message: &impl Message, into: &mut Vec<u8>) {
    message.encode_length_delimited(into).expect("a vec grows");
}

fn count(items: usize) -> u32 {
    u32::try_from(items).expect("a commit in memory has fewer than 2^32 records")
}

/// A place in a payload, moving from record to record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

impl Place {
    /// The record here, without moving on.
    pub(super) fn peek(self, payload: &[u8]) -> Result<(&[u8], Self), Fault> {
        let mut rest = payload.get(self.0..).ok_or(Fault::Record)?;
        let length = prost::decode_length_delimiter(&mut rest).map_err(|_| Fault::Record)?;
        let record = rest.get(..length).ok_or(Fault::Record)?;
        Ok((record, Self(payload.len() - rest.len() + length)))
    }

    /// Whether the payload ends here.
    pub(super) fn is_end(self, payload: &[u8]) -> bool {
        self.0 == payload.len()
    }
}

/// The words of a payload, and where its first record begins.
pub(super) fn words(payload: &[u8]) -> Result<(Words, Place), Fault> {
    if payload.is_empty() {
        return Ok((Words::default(), Place(0)));
    }
    let (bytes, place) = Place(0).peek(payload)?;
    let message = WordsMessage::decode(bytes).map_err(|_| Fault::Record)?;
    Ok((Words(message.words), place))
}

/// An event from its record.
pub(super) fn event(
    bytes: &[u8],
    words: &Words,
    offset: Offset,
    intent_index: u64,
) -> Result<StoredEvent, Fault> {
    let message = EventMessage::decode(bytes).map_err(|_| Fault::Record)?;
    message.into_event(words, offset, intent_index, bytes.len() as u32)
}

/// What recovery needs of an event: its slot and number, without the rest being taken apart.
pub(super) fn slot_and_sequence(bytes: &[u8]) -> Result<(Slot, Sequence), Fault> {
    PlaceMessage::decode(bytes).map_err(|_| Fault::Record)?.into_slot_and_sequence()
}

/// A fact from its record.
pub(super) fn fact(bytes: &[u8]) -> Result<ControlFact, Fault> {
    FactMessage::decode(bytes).map_err(|_| Fault::Record)?.into_fact()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;
    use writ_model::control::{Cursor, SettledBatch};
    use writ_model::delivery::{Acknowledgement, SettledAs};
    use writ_model::id::{AnswerDigest, Epoch, SubscriberName};
    use writ_model::time::Timestamp;

    fn round_trip(fact: &ControlFact) -> (ControlFact, usize) {
        let mut payload = Vec::new();
        encode(Commit { facts: vec![fact.clone()], ..Commit::default() }, &mut payload);
        let (_, place) = words(&payload).expect("words");
        let (bytes, place) = place.peek(&payload).expect("a record");
        assert!(place.is_end(&payload));
        (super::fact(bytes).expect("a fact"), bytes.len())
    }

    fn settled(answer_sha256: Option<AnswerDigest>) -> ControlFact {
        let ends = [
            SettledAs::Acknowledged,
            SettledAs::DeadLettered,
            SettledAs::Withheld,
            SettledAs::Pending,
            SettledAs::Attempted,
        ];
        let item = |(at, settled)| {
            let ack = Acknowledgement {
                settled,
                at: Timestamp(1_764_000_000_000_000 - at as i64),
                attempts: 2,
                answer_sha256,
            };
            (Offset(at as u64), ack)
        };
        let items = ends.into_iter().enumerate().map(item).collect();
        ControlFact::Settled(SettledBatch { subscriber: SubscriberName::new("erp").unwrap(), items })
    }

    #[test]
    fn an_event_reads_back_with_everything_it_had() {
        let mut payload = Vec::new();
        let new = sample::event(Slot::new(5), 3, 77, 100);
        let sealed = new.sealed.clone();
        let counts = encode(Commit { events: vec![new], ..Commit::default() }, &mut payload);
        assert_eq!(counts, Counts { events: 1, leaves: 1, facts: 0 });
        let (words, place) = words(&payload).expect("words");
        let (bytes, place) = place.peek(&payload).expect("an event");
        let stored = event(bytes, &words, Offset(9), 4).expect("an event");
        assert_eq!((&stored.header, &stored.decision), (sealed.header(), sealed.decision()));
        assert_eq!(stored.parts, sealed.parts());
        assert_eq!((stored.sequence.0, stored.intent_index, stored.offset), (3, 4, Offset(9)));
        let (leaf, place) = place.peek(&payload).expect("a leaf");
        assert_eq!(leaf, b"intent 77");
        assert!(place.is_end(&payload));
    }

    #[test]
    fn an_event_reads_back_with_its_numbers_and_its_lineage() {
        let mut payload = Vec::new();
        let new = sample::event(Slot::new(5), 3, sample::YOUNG, 100);
        let (sealed, ordinals) = (new.sealed.clone(), new.ordinals);
        encode(Commit { events: vec![new], ..Commit::default() }, &mut payload);
        let (words, place) = words(&payload).expect("words");
        let (bytes, _) = place.peek(&payload).expect("an event");
        let stored = event(bytes, &words, Offset(9), 4).expect("an event");
        assert_eq!((stored.ordinals, &stored.header), (ordinals, sealed.header()));
        assert!(stored.header.lineage.is_some() && ordinals.subject.0 > 0 && ordinals.lamport.0 > 0);
    }

    #[test]
    fn a_word_is_stored_once_per_commit() {
        let commit = |events: u64| {
            let events = (1..=events).map(|n| sample::event(Slot::new(0), n, n, 10)).collect();
            let mut payload = Vec::new();
            encode(Commit { events, ..Commit::default() }, &mut payload);
            payload.windows(18).filter(|w| w == b"email.v1+sha256:11").count()
        };
        assert_eq!((commit(1), commit(50)), (1, 1));
    }

    #[test]
    fn settled_facts_read_back() {
        for answer in [None, Some(AnswerDigest([0xab; 32]))] {
            assert_eq!(round_trip(&settled(answer)).0, settled(answer));
        }
    }

    #[test]
    fn cursors_read_back() {
        let fact = ControlFact::Cursor(Cursor {
            subscriber: SubscriberName::new("erp").unwrap(),
            epoch: Epoch(3),
            watermark: Offset(100),
            done: vec![(Offset(105), Offset(107)), (Offset(200), Offset(200))],
        });
        assert_eq!(round_trip(&fact).0, fact);
    }

    #[test]
    fn every_other_fact_reads_back() {
        assert_eq!(round_trip(&sample::fact(12)).0, sample::fact(12));
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        assert_eq!(fact(b"\xff\xff").err(), Some(Fault::Record));
        assert_eq!(fact(b"").err(), Some(Fault::Record));
        assert!(event(b"", &Words::default(), Offset(0), 0).is_err());
        assert!(Place(0).peek(&[200, 1, 0]).is_err());
        assert!(Place(9).peek(&[0]).is_err());
    }
}
