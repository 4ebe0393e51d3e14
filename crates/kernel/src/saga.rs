//! A change of several steps that cannot be one commit: what is done next, when is a step done, and what takes it
//! back?
//!
//! ```text
//! merge      announce identity_merge of the record that goes, then of the one that stays
//! split      announce identity_split of the record that stays, then of the one that comes out of it
//! erasure    [announce suppression,] announce erasure, then destroy the content key
//! opt_out    announce suppression
//! ```
//!
//! A step begins when every subscriber has taken the one before it. A suppression before an erasure is not waited
//! for: both are in one stream, so each subscriber takes them in this order, and one that is down delays nobody else. Each subscriber takes a subject's events in
//! order, so one that hears of a merge in the stream of the record that goes has taken all that came before of it:
//! nothing of that record can arrive after the other one's announcement. A key change is one commit and needs no
//! saga: the subject stays what it is, in the same slot.
//!
//! What was announced is taken back by announcing its opposite, the last first. An erasure that was announced
//! cannot be: a recipient may have done it.

use std::collections::BTreeMap;
use std::time::Duration;

use writ_model::id::{EventId, Generation, SubjectId};
use writ_model::saga::{Action, Exception, Saga, SagaKind, SagaState, Step, StepState};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;

#[cfg(test)]
mod tests;

/// What is to be brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// `absorbed` becomes part of `survivor`.
    Merge {
        /// The record that stays.
        survivor: SubjectId,
        /// The one that goes.
        absorbed: SubjectId,
    },
    /// `parted` comes out of `original`.
    Split {
        /// The record that stays.
        original: SubjectId,
        /// The one that comes out of it.
        parted: SubjectId,
    },
    /// A person is not to be written to.
    OptOut {
        /// Who.
        subject: SubjectId,
    },
    /// A person is erased.
    Erasure {
        /// Who.
        subject: SubjectId,
        /// Of which life.
        generation: Generation,
        /// Subscribers are told to suppress first: some of them forget at an erasure that they may not write.
        suppress_first: bool,
        /// How long the keys stay when all have erased, in whole seconds.
        keep_keys: Duration,
    },
}

/// Who orders it, and how it is told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Names the saga.
    pub id: String,
    /// What for.
    pub plan: Plan,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// The privacy case that it carries out.
    pub case: Option<String>,
}

/// The saga that an order begins; nothing of it is done.
pub fn begin(order: Order, now: Timestamp) -> Saga {
    let Order { id, plan, reason, actor, case } = order;
    let (kind, actions) = actions(&plan);
    let step = |action| Step { action, state: StepState::Waiting, event_id: None, undoes: None, at: now };
    Saga {
        id,
        kind,
        reason,
        actor,
        case,
        released_at: None,
        at: now,
        steps: actions.into_iter().map(step).collect(),
        exceptions: Vec::new(),
        state: SagaState::Running,
        why: None,
        changed_at: now,
    }
}

fn actions(plan: &Plan) -> (SagaKind, Vec<Action>) {
    use ChangeType::{Erasure, IdentityMerge, IdentitySplit, Suppression};
    let announce =
        |subject, change_type, other| Action::Announce { subject, change_type, other, is_lifted: false };
    match *plan {
        Plan::Merge { survivor, absorbed } => {
            let gone = announce(absorbed, IdentityMerge, Some(survivor));
            (SagaKind::Merge, vec![gone, announce(survivor, IdentityMerge, Some(absorbed))])
        }
        Plan::Split { original, parted } => {
            let stays = announce(original, IdentitySplit, Some(parted));
            (SagaKind::Split, vec![stays, announce(parted, IdentitySplit, Some(original))])
        }
        Plan::OptOut { subject } => (SagaKind::OptOut, vec![announce(subject, Suppression, None)]),
        Plan::Erasure { subject, generation, suppress_first, keep_keys } => {
            let first = suppress_first.then(|| announce(subject, Suppression, None));
            let destroy = Action::Destroy { subject, generation, after_seconds: keep_keys.as_secs() };
            let told = announce(subject, Erasure, None);
            (SagaKind::Erasure, first.into_iter().chain([told, destroy]).collect())
        }
    }
}

/// What is to be done now. Steps are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Put the step's event into the log. Done twice, it is stored once.
    Announce(usize),
    /// See who has taken the step's event.
    Look(usize),
    /// Destroy the keys. Done twice, it is done once.
    Destroy(usize),
    /// Nothing before this time.
    Wait(Timestamp),
    /// Nothing until somebody acts.
    Nothing,
}

/// What is to be done next for a saga.
pub fn next(saga: &Saga, now: Timestamp) -> Next {
    let is_open = |step: &Step| !matches!(step.state, StepState::Done | StepState::Dropped);
    let Some(first) = saga.steps.iter().position(is_open) else { return Next::Nothing };
    let at = if is_hurried(saga, first) { first + 1 } else { first };
    match (&saga.steps[at].action, saga.steps[at].state) {
        (_, StepState::Kept | StepState::Done | StepState::Dropped) => Next::Nothing,
        (_, StepState::Announced) => Next::Look(at),
        (Action::Announce { .. }, StepState::Waiting) => Next::Announce(at),
        (Action::Destroy { .. }, StepState::Waiting) if saga.case.is_some() && saga.released_at.is_none() => {
            Next::Nothing
        }
        (Action::Destroy { after_seconds, .. }, StepState::Waiting) => {
            let since = at.checked_sub(1).map_or(saga.at, |before| saga.steps[before].at);
            let since = saga.released_at.map_or(since, |released| since.max(released));
            match since.after(Duration::from_secs(*after_seconds)) {
                due if due <= now => Next::Destroy(at),
                due => Next::Wait(due),
            }
        }
    }
}

/// A suppression that is in the log, before an erasure of the same stream that is not: that one is announced at once.
fn is_hurried(saga: &Saga, at: usize) -> bool {
    let is_erasure = |step: &Step| {
        step.state == StepState::Waiting
            && matches!(step.action, Action::Announce { change_type: ChangeType::Erasure, .. })
    };
    saga.steps[at].state == StepState::Announced
        && saga.steps[at].undoes.is_none()
        && saga.steps.get(at + 1).is_some_and(is_erasure)
}

/// How far one subscriber is with a step's event that it has not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// It is to be sent, or under way.
    Waits,
    /// It is in the dead letters.
    DeadLettered,
    /// Policy withholds it from this subscriber.
    Withheld,
    /// It was sent at most once, and no acknowledgement is known.
    Unknown,
}

impl Lacking {
    fn words(self) -> &'static str {
        match self {
            Self::Waits => "has not taken it yet",
            Self::DeadLettered => "has it in the dead letters",
            Self::Withheld => "is denied it by policy",
            Self::Unknown => "may or may not have it",
        }
    }
}

/// What came of what was to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The step's event is in the log.
    Announced(usize, EventId),
    /// The gate kept the step's event out of the stream, as what.
    Kept(usize, String),
    /// Who of those that the step's event goes to has not acknowledged it.
    Looked(usize, BTreeMap<String, Lacking>),
    /// The keys are destroyed.
    Destroyed(usize),
    /// The keys may not be destroyed now, and why.
    Barred(String),
}

/// Moves a saga on; true when it changed, so that it is to be journaled.
pub fn took(saga: &mut Saga, fact: Fact, now: Timestamp) -> bool {
    let before = (saga.steps.clone(), saga.state, saga.why.clone());
    match fact {
        Fact::Announced(at, event_id) => {
            let step = &mut saga.steps[at];
            (step.state, step.event_id, step.at) = (StepState::Announced, Some(event_id), now);
            unstick(saga);
        }
        Fact::Kept(at, how) => {
            (saga.steps[at].state, saga.steps[at].at) = (StepState::Kept, now);
            stick(saga, format!("step {at}: its event was {how} by the gate"));
        }
        Fact::Looked(at, lacking) => looked(saga, at, &lacking, now),
        Fact::Destroyed(at) => done(saga, at, now),
        Fact::Barred(why) => stick(saga, why),
    }
    let is_changed = before != (saga.steps.clone(), saga.state, saga.why.clone());
    if is_changed {
        saga.changed_at = now;
    }
    is_changed
}

fn looked(saga: &mut Saga, at: usize, lacking: &BTreeMap<String, Lacking>, now: Timestamp) {
    let is_excepted = |name: &String| {
        saga.exceptions.iter().any(|exception| exception.subscriber == *name && now < exception.until)
    };
    let left: BTreeMap<_, _> = lacking.iter().filter(|(name, _)| !is_excepted(name)).collect();
    if left.is_empty() {
        return done(saga, at, now);
    }
    let stuck: Vec<String> = left
        .iter()
        .filter(|(_, how)| ***how != Lacking::Waits)
        .map(|(name, how)| format!("{name} {}", how.words()))
        .collect();
    match stuck.is_empty() {
        true => unstick(saga),
        false => stick(saga, format!("step {at}: {}", stuck.join(", "))),
    }
}

fn done(saga: &mut Saga, at: usize, now: Timestamp) {
    (saga.steps[at].state, saga.steps[at].at) = (StepState::Done, now);
    unstick(saga);
    if saga.steps.iter().all(|step| matches!(step.state, StepState::Done | StepState::Dropped)) {
        let is_undone = saga.steps.iter().any(|step| step.undoes.is_some());
        saga.state = if is_undone { SagaState::Compensated } else { SagaState::Done };
    }
}

fn stick(saga: &mut Saga, why: String) {
    (saga.state, saga.why) = (SagaState::Stuck, Some(why));
}

fn unstick(saga: &mut Saga) {
    if saga.state == SagaState::Stuck {
        let is_undone = saga.steps.iter().any(|step| step.undoes.is_some());
        saga.state = if is_undone { SagaState::Compensating } else { SagaState::Running };
        saga.why = None;
    }
}

/// The case that it carries out lets the keys be destroyed, when the time to notice a mistake is over. Done twice, it is
/// done once; true when it changed.
pub fn release(saga: &mut Saga, now: Timestamp) -> bool {
    let is_new = saga.released_at.is_none();
    saga.released_at.get_or_insert(now);
    is_new
}

/// An operator's act that a saga does not take, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has ended.
    #[error("it has ended")]
    Ended,
    /// It is being taken back already.
    #[error("it is being taken back already")]
    Compensating,
    /// The erasure was announced: a recipient may have done it.
    #[error("its erasure was announced, and what a recipient has erased cannot be brought back")]
    Irreversible,
    /// The exception ends before it begins.
    #[error("the exception ends before it begins")]
    Past,
}

/// Goes on without a recipient until a time; what it lacks is looked at again then, if the saga is not over.
pub fn except(saga: &mut Saga, exception: Exception, now: Timestamp) -> Result<(), Refused> {
    if has_ended(saga) {
        return Err(Refused::Ended);
    }
    if exception.until <= now {
        return Err(Refused::Past);
    }
    saga.exceptions.push(exception);
    saga.changed_at = now;
    Ok(())
}

/// Takes back what was announced, the last first; what was not begun is not done any more.
pub fn compensate(saga: &mut Saga, why: String, now: Timestamp) -> Result<(), Refused> {
    if has_ended(saga) {
        return Err(Refused::Ended);
    }
    if saga.steps.iter().any(|step| step.undoes.is_some()) {
        return Err(Refused::Compensating);
    }
    if saga.steps.iter().any(|step| step.event_id.is_some() && opposite(&step.action).is_none()) {
        return Err(Refused::Irreversible);
    }
    let mut undo = Vec::new();
    for (at, step) in saga.steps.iter_mut().enumerate() {
        match step.event_id.and(opposite(&step.action)) {
            Some(action) => {
                let undoes = u32::try_from(at).ok();
                undo.push(Step { action, state: StepState::Waiting, event_id: None, undoes, at: now });
                // Whoever has not taken it takes it before its opposite: a subject's events keep their order.
                step.state = StepState::Done;
            }
            None => step.state = StepState::Dropped,
        }
        step.at = now;
    }
    saga.state = if undo.is_empty() { SagaState::Compensated } else { SagaState::Compensating };
    saga.steps.extend(undo.into_iter().rev());
    (saga.why, saga.changed_at) = (Some(why), now);
    Ok(())
}

/// Nothing is done for it any more.
pub fn has_ended(saga: &Saga) -> bool {
    matches!(saga.state, SagaState::Done | SagaState::Compensated)
}

/// What takes an announcement back; `None` where nothing does.
fn opposite(action: &Action) -> Option<Action> {
    let Action::Announce { subject, change_type, other, .. } = *action else { return None };
    let (change_type, is_lifted) = match change_type {
        ChangeType::IdentityMerge => (ChangeType::IdentitySplit, false),
        ChangeType::IdentitySplit => (ChangeType::IdentityMerge, false),
        ChangeType::Suppression => (ChangeType::Suppression, true),
        _ => return None,
    };
    Some(Action::Announce { subject, change_type, other, is_lifted })
}
