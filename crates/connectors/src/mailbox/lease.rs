//! What a consumer is given and may say: leases, their names, words on them, and why a word is refused.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use writ_model::code::{self, Code};
use writ_model::delivery::Word;
use writ_model::id::{DeliveryId, Epoch};

use crate::subscriber::ParcelItem;

/// Names one lease: the epoch of the engine that gave it, and a number that never comes twice within it, so
/// that a word on a former lease can never be taken for one on a later lease of the same events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseId {
    /// Whose.
    pub epoch: Epoch,
    /// Which.
    pub number: u64,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.number)
    }
}

/// The text is not `<epoch>.<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lease is named <epoch>.<number>")]
pub struct NotALease;

impl FromStr for LeaseId {
    type Err = NotALease;

    fn from_str(text: &str) -> Result<Self, NotALease> {
        let number = |text: &str| match text.as_bytes() {
            // One form only: no sign, no leading zero.
            [b'1'..=b'9', ..] | b"0" => text.parse().map_err(|_| NotALease),
            _ => Err(NotALease),
        };
        let (epoch, count) = text.split_once('.').ok_or(NotALease)?;
        Ok(Self { epoch: Epoch(number(epoch)?), number: number(count)? })
    }
}

/// How a mailbox lends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a consumer has for what it took.
    pub lease: Duration,
    /// Consumers that may wait or stream at the same time.
    pub consumers_max: usize,
}

/// Events that one consumer has for a while, and nobody else.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// In order.
    pub items: Vec<ParcelItem>,
    /// How long.
    pub time: Duration,
}

/// A consumer's words on one lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// On single events.
    pub items: Vec<(DeliveryId, Word)>,
    /// On all events that no word was said on, here or before.
    pub rest: Option<Word>,
}

/// A consumer is not given what it asks for. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was answered in full, ran out, was given back or never given.
    #[error("lease {0} has ended; what it did not answer comes again under the same delivery ids")]
    Ended(LeaseId),
    /// Another run of the engine gave it.
    #[error("lease {lease} is not of this engine's epoch {epoch}; its events come again", epoch = epoch.0)]
    Fenced {
        /// Which.
        lease: LeaseId,
        /// This engine's.
        epoch: Epoch,
    },
    /// The lease holds no such delivery.
    #[error("delivery {0} is not in this lease")]
    NotLeased(DeliveryId),
    /// Another word was said on it.
    #[error("delivery {0} was answered by another word")]
    Answered(DeliveryId),
    /// No place for another consumer.
    #[error("{0} consumers are waiting, as many as may")]
    Crowded(usize),
    /// The engine stops.
    #[error("the engine is stopping")]
    Closed,
}

impl Refused {
    /// The code under which it is reported.
    pub fn code(&self) -> Code {
        match self {
            Self::Ended(_) => code::LEASE_ENDED,
            Self::Fenced { .. } => code::LEASE_FENCED,
            Self::NotLeased(_) | Self::Answered(_) => code::LEASE_WORD,
            Self::Crowded(_) => code::CONSUMERS_FULL,
            Self::Closed => code::NOT_RUNNING,
        }
    }
}
