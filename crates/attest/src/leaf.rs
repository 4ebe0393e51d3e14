//! The records of the audit log. [`Leaf::to_canonical`] and [`Leaf::parse`] are inverse to each other; a
//! record that is not of its form is neither written nor read.
//!
//! Nothing in a leaf names a person or repeats from one event of a subject to the next, but for words of small
//! vocabularies and times. `supplement.v1`, `shard.sealed.v1` and `key.destroyed.v1` are reserved.

mod account;
mod event;

use crate::canonical::{self, CanonicalError, LEAF_BYTES_MAX, Value};
use crate::fields::{Fields, checked, is_name, require};

pub use crate::acks::{AckRoot, AckSet};
pub use crate::blind::{EventId, LinkedCommitment, RangeCommitment, StateCommitment, SubjectTag};
pub use crate::fields::FieldError;
pub use account::Accounting;
pub(crate) use event::FactsDigest;
pub use event::{
    AnchorRoot, Attestation, CustodyStep, EventFacts, Intent, SCHEMA_NONE, StepSignature, TimeAnchor,
    Withheld, WithheldAs,
};

/// Record names that this version knows as reserved and does not read.
pub const RESERVED: &[&str] = &["supplement.v1", "shard.sealed.v1", "key.destroyed.v1"];

/// Why bytes are not a leaf, or a record cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not in canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// A field is missing, unknown or of another form.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A record name that this version does not read.
    #[error("record {0:?} is not read by this version")]
    Record(String),
}

/// Which record a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Written with the event, before any delivery.
    Intent,
    /// The final leaf of an event.
    Attestation,
    /// What became of a range of source positions.
    Accounting,
    /// An event that did not enter the stream.
    Withheld,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Intent, Self::Attestation, Self::Accounting, Self::Withheld];

    /// Which record a leaf's bytes say they are, without the rest being read: for who wrote them a moment ago, and
    /// never for what may be damaged or somebody else's. In canonical bytes a quotation mark is never part of a
    /// text, so that the field's name stands for itself.
    pub fn of_own(bytes: &[u8]) -> Option<Self> {
        const NAME: &[u8] = br#""record":""#;
        let at = bytes.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
        let is_named =
            |kind: &Self| bytes[at..].strip_prefix(kind.as_str().as_bytes()).is_some_and(is_closed);
        Self::ALL.into_iter().find(is_named)
    }

    /// The value of the `record` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent.v1",
            Self::Attestation => "attestation.v1",
            Self::Accounting => "accounting.v1",
            Self::Withheld => "withheld.v1",
        }
    }
}

/// One record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// Written with the event, before any delivery.
    Intent(Box<Intent>),
    /// The final leaf of an event.
    Attestation(Box<Attestation>),
    /// What became of a range of source positions.
    Accounting(Box<Accounting>),
    /// An event that did not enter the stream.
    Withheld(Box<Withheld>),
}

impl Leaf {
    /// Which record it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Intent(_) => Kind::Intent,
            Self::Attestation(_) => Kind::Attestation,
            Self::Accounting(_) => Kind::Accounting,
            Self::Withheld(_) => Kind::Withheld,
        }
    }

    /// When it was made.
    pub fn timestamp(&self) -> crate::time::Time {
        match self {
            Self::Intent(intent) => intent.timestamp,
            Self::Attestation(attestation) => attestation.timestamp,
            Self::Accounting(accounting) => accounting.timestamp,
            Self::Withheld(withheld) => withheld.timestamp,
        }
    }

    /// The leaf's bytes. Refuses a record that [`Leaf::parse`] would refuse.
    pub fn to_canonical(&self) -> Result<Vec<u8>, LeafError> {
        let mut map = match self {
            Self::Intent(intent) => intent.to_map()?,
            Self::Attestation(attestation) => attestation.to_map()?,
            Self::Accounting(accounting) => accounting.to_map()?,
            Self::Withheld(withheld) => withheld.to_map()?,
        };
        map.push(("record", Value::text(self.kind().as_str())));
        Ok(canonical::encode(&Value::Map(map), LEAF_BYTES_MAX)?)
    }

    /// Reads a leaf's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let mut fields = Fields::of(canonical::parse(bytes, LEAF_BYTES_MAX)?, "leaf")?;
        let record = fields.read("record", |name| Some(name.to_owned()))?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == record);
        let leaf = match kind.ok_or(LeafError::Record(record))? {
            Kind::Intent => Self::Intent(Box::new(Intent::from_fields(&mut fields)?)),
            Kind::Attestation => Self::Attestation(Box::new(Attestation::from_fields(&mut fields)?)),
            Kind::Accounting => Self::Accounting(Box::new(Accounting::from_fields(&mut fields)?)),
            Kind::Withheld => Self::Withheld(Box::new(Withheld::from_fields(&mut fields)?)),
        };
        fields.finish()?;
        Ok(leaf)
    }
}

fn is_closed(rest: &[u8]) -> bool {
    rest.first() == Some(&b'"')
}

/// A record's fields on their way to the canonical writer.
type Map<'a> = Vec<(&'static str, Value<'a>)>;

/// The words that say where a leaf belongs; both are configured names.
fn require_place(source: &str, shard: &str) -> Result<(), FieldError> {
    require(is_name(source), "source")?;
    require(is_name(shard), "shard")
}

fn read_name(fields: &mut Fields<'_>, name: &'static str) -> Result<String, FieldError> {
    fields.read(name, checked(is_name))
}
