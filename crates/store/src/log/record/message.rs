//! The protobuf messages of the log, and their translation from and to the model. Field numbers are promises
//! to the disk: fields are added, never renumbered or reused. Field list in `docs/reference/log-format.md`.

use writ_model::control::{ControlFact, Cursor, SettledBatch};
use writ_model::envelope::ClearHeader;
use writ_model::id::{
    Epoch, EventId, Generation, Offset, Region, Sequence, Slot, SourceName, SubjectId, SubscriberName,
    TenantId,
};
use writ_model::lineage::{Lamport, Lineage, Ordinals, Standing, SubjectSequence, VersionVector};
use writ_model::time::{Hlc, Timestamp};
use writ_model::verdict::{Decision, PolicyVersion};

use super::super::frame::Fault;
use super::super::{NewEvent, StoredEvent};
use super::{Interner, Words};
use crate::seal::{SealedPart, purpose_number};
use crate::settled::SettledRuns;
use crate::vault::Purpose;

/// The dictionary of a commit.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WordsMessage {
    #[prost(string, repeated, tag = "1")]
    pub(super) words: Vec<String>,
}

/// An event. Fields that say "word" hold a number into the commit's dictionary.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EventMessage {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(int64, tag = "2")]
    settle_by: i64,
    #[prost(bytes = "vec", tag = "3")]
    event_id: Vec<u8>,
    /// Word.
    #[prost(uint32, tag = "4")]
    tenant: u32,
    /// Word.
    #[prost(uint32, tag = "5")]
    source: u32,
    /// Word.
    #[prost(uint32, tag = "6")]
    change_type: u32,
    /// Word.
    #[prost(uint32, tag = "7")]
    operation: u32,
    /// Word.
    #[prost(uint32, tag = "8")]
    entity: u32,
    #[prost(bytes = "vec", tag = "9")]
    subject_id: Vec<u8>,
    #[prost(uint32, tag = "10")]
    generation: u32,
    #[prost(uint32, tag = "11")]
    slot: u32,
    #[prost(uint64, tag = "12")]
    hlc_millis: u64,
    #[prost(uint32, tag = "13")]
    hlc_counter: u32,
    #[prost(uint32, tag = "14")]
    hlc_node: u32,
    #[prost(int64, tag = "15")]
    time: i64,
    #[prost(int64, tag = "16")]
    recorded_at: i64,
    #[prost(uint32, tag = "17")]
    schema_major: u32,
    /// Word.
    #[prost(uint32, optional, tag = "18")]
    location: Option<u32>,
    /// Word.
    #[prost(uint32, optional, tag = "19")]
    locale: Option<u32>,
    /// Word.
    #[prost(uint32, tag = "20")]
    class: u32,
    /// Word.
    #[prost(uint32, tag = "21")]
    policy: u32,
    /// Word.
    #[prost(uint32, tag = "22")]
    schema: u32,
    /// Words.
    #[prost(uint32, repeated, tag = "23")]
    deny_subscribers: Vec<u32>,
    /// Words.
    #[prost(uint32, repeated, tag = "24")]
    withhold: Vec<u32>,
    #[prost(message, repeated, tag = "25")]
    parts: Vec<PartMessage>,
    #[prost(uint64, tag = "26")]
    subject_sequence: u64,
    #[prost(uint64, tag = "27")]
    lamport: u64,
    /// Present where the header has one.
    #[prost(message, optional, tag = "28")]
    lineage: Option<LineageMessage>,
}

/// An event's lineage.
#[derive(Clone, PartialEq, prost::Message)]
struct LineageMessage {
    /// Absent when it is newer than what it follows; 1 stale, 2 concurrent.
    #[prost(uint32, tag = "1")]
    standing: u32,
    /// Words: the regions of the vector, in name order.
    #[prost(uint32, repeated, tag = "2")]
    regions: Vec<u32>,
    /// What is counted of each.
    #[prost(uint64, repeated, tag = "3")]
    counts: Vec<u64>,
}

impl LineageMessage {
    fn new(lineage: &Lineage, words: &mut Interner) -> Self {
        let Lineage { standing, vector } = lineage;
        Self {
            standing: match standing {
                None => 0,
                Some(Standing::Stale) => 1,
                Some(Standing::Concurrent) => 2,
            },
            regions: vector.0.keys().map(|region| words.number(region.as_str())).collect(),
            counts: vector.0.values().copied().collect(),
        }
    }

    fn lineage(&self, words: &Words) -> Result<Lineage, Fault> {
        if self.regions.len() != self.counts.len() {
            return Err(Fault::Record);
        }
        let standing = match self.standing {
            0 => None,
            1 => Some(Standing::Stale),
            2 => Some(Standing::Concurrent),
            _ => return Err(Fault::Record),
        };
        let region = |number: &u32| Region::new(words.get(*number)?).map_err(|_| Fault::Record);
        let pairs = self.regions.iter().zip(&self.counts);
        let vector =
            pairs.map(|(number, count)| Ok((region(number)?, *count))).collect::<Result<_, Fault>>()?;
        Ok(Lineage { standing, vector: VersionVector(vector) })
    }
}

/// The fields of an [`EventMessage`] that recovery reads; the decoder skips the others.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PlaceMessage {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint32, tag = "11")]
    slot: u32,
}

impl PlaceMessage {
    pub(super) fn into_slot_and_sequence(self) -> Result<(Slot, Sequence), Fault> {
        Ok((slot(self.slot)?, Sequence(self.sequence)))
    }
}

/// A sealed part.
#[derive(Clone, PartialEq, prost::Message)]
struct PartMessage {
    #[prost(bytes = "vec", tag = "1")]
    subject_id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    generation: u32,
    #[prost(uint32, tag = "3")]
    purpose: u32,
    #[prost(bytes = "vec", tag = "4")]
    nonce: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    ciphertext: Vec<u8>,
}

impl EventMessage {
    /// An event as it is stored, and its intent leaf.
    pub(super) fn new(event: NewEvent, words: &mut Interner) -> (Self, Vec<u8>) {
        let NewEvent { sealed, sequence, ordinals, settle_by, intent } = event;
        let (header, decision, parts) = sealed.into_parts();
        let all = |texts: &[String], words: &mut Interner| -> Vec<u32> {
            texts.iter().map(|text| words.number(text)).collect()
        };
        let message = Self {
            sequence: sequence.0,
            settle_by: settle_by.0,
            event_id: header.event_id.0.as_bytes().to_vec(),
            tenant: words.number(header.tenant.as_str()),
            source: words.number(header.source.as_str()),
            change_type: words.number(header.change_type.as_str()),
            operation: words.number(header.operation.as_str()),
            entity: words.number(header.entity.as_str()),
            subject_id: header.subject_id.0.to_vec(),
            generation: header.generation.0,
            slot: u32::from(header.slot.number()),
            hlc_millis: header.hlc.millis,
            hlc_counter: header.hlc.counter,
            hlc_node: u32::from(header.hlc.node),
            time: header.time.0,
            recorded_at: header.recorded_at.0,
            schema_major: header.schema_major,
            location: header.location.map(|text| words.number(&text)),
            locale: header.locale.map(|text| words.number(&text)),
            class: words.number(decision.class.as_str()),
            policy: words.number(&decision.policy.0),
            schema: words.number(&decision.schema),
            deny_subscribers: all(&decision.deny_subscribers, words),
            withhold: all(&decision.withhold, words),
            parts: parts.into_iter().map(PartMessage::new).collect(),
            subject_sequence: ordinals.subject.0,
            lamport: ordinals.lamport.0,
            lineage: header.lineage.map(|lineage| LineageMessage::new(&lineage, words)),
        };
        (message, intent)
    }

    pub(super) fn into_event(
        self,
        words: &Words,
        offset: Offset,
        intent_index: u64,
        bytes: u32,
    ) -> Result<StoredEvent, Fault> {
        let header = self.header(words)?;
        let decision = self.decision(words)?;
        let parts = self.parts.into_iter().map(PartMessage::into_part).collect::<Result<_, _>>()?;
        let ordinals =
            Ordinals { subject: SubjectSequence(self.subject_sequence), lamport: Lamport(self.lamport) };
        let (sequence, settle_by) = (Sequence(self.sequence), Timestamp(self.settle_by));
        Ok(StoredEvent {
            offset,
            sequence,
            ordinals,
            header,
            decision,
            parts,
            intent_index,
            settle_by,
            bytes,
        })
    }

    fn header(&self, words: &Words) -> Result<ClearHeader, Fault> {
        Ok(ClearHeader {
            event_id: EventId(uuid::Uuid::from_bytes(array(&self.event_id)?)),
            tenant: TenantId::new(words.get(self.tenant)?).map_err(|_| Fault::Record)?,
            source: SourceName::new(words.get(self.source)?).map_err(|_| Fault::Record)?,
            change_type: word(words, self.change_type)?,
            operation: word(words, self.operation)?,
            entity: word(words, self.entity)?,
            subject_id: SubjectId(array(&self.subject_id)?),
            generation: Generation(self.generation),
            slot: slot(self.slot)?,
            hlc: Hlc {
                millis: self.hlc_millis,
                counter: self.hlc_counter,
                node: u16::try_from(self.hlc_node).map_err(|_| Fault::Record)?,
            },
            time: Timestamp(self.time),
            recorded_at: Timestamp(self.recorded_at),
            schema_major: self.schema_major,
            location: text(words, self.location)?,
            locale: text(words, self.locale)?,
            lineage: self.lineage.as_ref().map(|lineage| lineage.lineage(words)).transpose()?,
        })
    }

    fn decision(&self, words: &Words) -> Result<Decision, Fault> {
        let all = |numbers: &[u32]| -> Result<Vec<String>, Fault> {
            numbers.iter().map(|number| words.get(*number).map(str::to_owned)).collect()
        };
        Ok(Decision {
            class: word(words, self.class)?,
            policy: PolicyVersion(words.get(self.policy)?.into()),
            schema: words.get(self.schema)?.to_owned(),
            deny_subscribers: all(&self.deny_subscribers)?,
            withhold: all(&self.withhold)?,
        })
    }
}

impl PartMessage {
    fn new(part: SealedPart) -> Self {
        Self {
            subject_id: part.subject_id.0.to_vec(),
            generation: part.generation.0,
            purpose: u32::from(purpose_number(part.purpose)),
            nonce: part.nonce.to_vec(),
            ciphertext: part.ciphertext,
        }
    }

    fn into_part(self) -> Result<SealedPart, Fault> {
        let purpose = match self.purpose {
            1 => Purpose::Content,
            2 => Purpose::Evidence,
            3 => Purpose::Suppression,
            4 => Purpose::Case,
            _ => return Err(Fault::Record),
        };
        Ok(SealedPart {
            subject_id: SubjectId(array(&self.subject_id)?),
            generation: Generation(self.generation),
            purpose,
            nonce: array(&self.nonce)?,
            ciphertext: self.ciphertext,
        })
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| Fault::Record)
}

fn slot(number: u32) -> Result<Slot, Fault> {
    let number = u16::try_from(number).ok().filter(|number| *number < Slot::COUNT);
    number.map(Slot::new).ok_or(Fault::Record)
}

fn word<T: std::str::FromStr>(words: &Words, number: u32) -> Result<T, Fault> {
    words.get(number)?.parse().map_err(|_| Fault::Record)
}

fn text(words: &Words, number: Option<u32>) -> Result<Option<String>, Fault> {
    number.map(|number| words.get(number).map(str::to_owned)).transpose()
}

/// A control fact: those written with every delivery have fields of their own, the others are JSON.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FactMessage {
    #[prost(oneof = "Fact", tags = "2, 3, 15")]
    fact: Option<Fact>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Fact {
    #[prost(message, tag = "2")]
    Cursor(CursorMessage),
    #[prost(message, tag = "3")]
    Settled(SettledRuns),
    #[prost(bytes, tag = "15")]
    Json(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct CursorMessage {
    #[prost(string, tag = "1")]
    subscriber: String,
    #[prost(uint64, tag = "2")]
    epoch: u64,
    #[prost(uint64, tag = "3")]
    watermark: u64,
    /// First and last of each range, one after the other.
    #[prost(uint64, repeated, tag = "4")]
    done: Vec<u64>,
}

impl FactMessage {
    pub(super) fn new(fact: &ControlFact) -> Self {
        let fact = match fact {
            ControlFact::Settled(batch) => {
                // Taken apart without a rest, so that a new field cannot be forgotten here.
                let SettledBatch { subscriber, items } = batch;
                Fact::Settled(SettledRuns::new(subscriber, items))
            }
            ControlFact::Cursor(cursor) => Fact::Cursor(CursorMessage::new(cursor)),
            // JSON is right for any fact, so a new one needs no number here.
            other => Fact::Json(serde_json::to_vec(other).expect("control facts have string keys only")),
        };
        Self { fact: Some(fact) }
    }

    pub(super) fn into_fact(self) -> Result<ControlFact, Fault> {
        match self.fact.ok_or(Fault::Record)? {
            Fact::Settled(runs) => {
                let (subscriber, items) = runs.into_items().ok_or(Fault::Record)?;
                Ok(ControlFact::Settled(SettledBatch { subscriber, items }))
            }
            Fact::Cursor(message) => message.into_cursor().map(ControlFact::Cursor),
            Fact::Json(bytes) => serde_json::from_slice(&bytes).map_err(|_| Fault::Record),
        }
    }
}

impl CursorMessage {
    fn new(cursor: &Cursor) -> Self {
        let Cursor { subscriber, epoch, watermark, done } = cursor;
        Self {
            subscriber: subscriber.to_string(),
            epoch: epoch.0,
            watermark: watermark.0,
            done: done.iter().flat_map(|(first, last)| [first.0, last.0]).collect(),
        }
    }

    fn into_cursor(self) -> Result<Cursor, Fault> {
        if !self.done.len().is_multiple_of(2) {
            return Err(Fault::Record);
        }
        Ok(Cursor {
            subscriber: SubscriberName::new(&self.subscriber).map_err(|_| Fault::Record)?,
            epoch: Epoch(self.epoch),
            watermark: Offset(self.watermark),
            done: self.done.chunks_exact(2).map(|range| (Offset(range[0]), Offset(range[1]))).collect(),
        })
    }
}
