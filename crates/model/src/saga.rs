//! Changes of several steps that cannot be one commit: what each step is and how far it is. What follows is decided
//! in `writ-kernel`'s `saga`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{EventId, Generation, SubjectId};
use crate::taxonomy::{ChangeType, UnknownWord, words};
use crate::time::Timestamp;

words! {
    /// What the steps bring about together.
    SagaKind {
        /// Two records are one person: every subscriber hears it first of the one that goes, then of the one that stays.
        Merge = "merge",
        /// One record was two people: first of the one that stays, then of the one that comes out of it.
        Split = "split",
        /// A person is erased: every subscriber is told, and when all have done it the keys are destroyed.
        Erasure = "erasure",
        /// A person is not to be written to: every subscriber is told.
        OptOut = "opt_out",
    }
}

/// A saga as it is since its last change. Names subjects by their internal ids only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saga {
    /// Names it.
    pub id: String,
    /// What for.
    pub kind: SagaKind,
    /// Why, in its orderer's words.
    pub reason: String,
    /// Who ordered it.
    pub actor: String,
    /// The privacy case that it carries out; keys are destroyed when that one says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// When the case said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// When it was ordered.
    pub at: Timestamp,
    /// In order; those that take back others come last.
    pub steps: Vec<Step>,
    /// Recipients that are not waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// How it stands.
    pub state: SagaState,
    /// Why it is stuck, or taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// How a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaState {
    /// Its next step is under way, or waits for its time.
    Running,
    /// A step does not get on without an operator.
    Stuck,
    /// What was done is being taken back.
    Compensating,
    /// Every step is done.
    Done,
    /// Everything that had been announced was taken back, everywhere.
    Compensated,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// How far it is.
    pub state: StepState,
    /// The event that announces it, once it is in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The number of the step that it takes back, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u32>,
    /// When it last changed.
    pub at: Timestamp,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Puts an event into the subject's stream, and waits until every subscriber that it goes to has taken it.
    Announce {
        /// Whose stream.
        subject: SubjectId,
        /// What it says.
        change_type: ChangeType,
        /// The other record that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<SubjectId>,
        /// It lifts what was announced before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_lifted: bool,
    },
    /// Destroys the content key of a subject's life: what is left of it in log and vault opens no longer. Cannot be
    /// taken back.
    Destroy {
        /// Whose.
        subject: SubjectId,
        /// Of which life.
        generation: Generation,
        /// How many seconds after the step before it: time to notice a mistake.
        after_seconds: u64,
    },
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Its event is in the log; not every subscriber has taken it.
    Announced,
    /// Done, or every recipient that has not done it is excepted.
    Done,
    /// The gate kept its event out of the stream.
    Kept,
    /// Not to be done any more.
    Dropped,
}

/// A recipient that a saga goes on without, until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Which subscriber.
    pub subscriber: String,
    /// Why.
    pub reason: String,
    /// From then on it counts no more.
    pub until: Timestamp,
    /// Who answers for it.
    pub actor: String,
    /// When it was recorded.
    pub at: Timestamp,
}
