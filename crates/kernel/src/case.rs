//! A privacy request: what is done next about it, when has a recipient done its part, when is the case fulfilled, and
//! what is late?
//!
//! ```text
//! received -> verified -> dispatched -> fulfilled -> closed
//!                 \            \-> withdrawn (while nobody can have acted)
//!                  \-> denied
//! ```
//!
//! A case tells nobody anything itself, and what people do about it is seen at the next look: it orders a saga ([`crate::saga`]), or follows an event that the master record
//! gave, and looks how each recipient takes it. Who is one is [`recipient`]'s; what is due is [`clock`]'s.

use std::collections::{BTreeMap, BTreeSet};

use writ_model::case::{Act, Basis, Case, CaseState, Clock, Right, Says};
use writ_model::case::{Grade, Recipient, RecipientState};
use writ_model::id::{EventId, Generation, SubjectId};
use writ_model::time::Timestamp;

pub mod clock;
pub mod recipient;

#[cfg(test)]
mod tests;

use recipient::Served;

/// What policy demands of a recipient, and what its answers mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What its success means.
    pub says: Says,
    /// The grade that it has to reach.
    pub demand: Grade,
    /// It is reached through this subscriber.
    pub behind: Option<String>,
}

/// A case to be opened.
#[derive(Debug, Clone)]
pub struct Order {
    /// Names it.
    pub id: String,
    /// What is asked for.
    pub right: Right,
    /// Whose data.
    pub subject: SubjectId,
    /// Of which life.
    pub generation: Generation,
    /// Under which law.
    pub law: String,
    /// The right in the statute table's words.
    pub statute_right: String,
    /// Whose days are counted.
    pub zone: Option<String>,
    /// Whose holidays are counted.
    pub calendar: Option<String>,
    /// How it came in.
    pub intake: String,
    /// Its id there.
    pub reference: Option<String>,
    /// When the person asked.
    pub received_at: Timestamp,
    /// What is due.
    pub clocks: Vec<Clock>,
    /// How long keys stay when it is fulfilled, in seconds.
    pub observe_seconds: u64,
    /// Suppress before erase.
    pub suppress_first: bool,
    /// Of a rectification: the correction's event.
    pub event_id: Option<EventId>,
    /// Who opens it, and why.
    pub opened: Act,
}

/// The case that an order opens; nothing of it is done.
pub fn open(order: Order) -> Case {
    let changed_at = order.opened.at;
    Case {
        id: order.id,
        right: order.right,
        subject: order.subject,
        generation: order.generation,
        law: order.law,
        statute_right: order.statute_right,
        zone: order.zone,
        calendar: order.calendar,
        intake: order.intake,
        reference: order.reference,
        received_at: order.received_at,
        opened: order.opened,
        verified: None,
        acknowledged: None,
        answered: None,
        clocks: order.clocks,
        extensions: Vec::new(),
        observe_seconds: order.observe_seconds,
        suppress_first: order.suppress_first,
        saga: None,
        event_id: order.event_id,
        recipients: BTreeMap::new(),
        state: CaseState::Received,
        why: None,
        fulfilled_at: None,
        changed_at,
    }
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Order the saga that carries it out. Done twice, it is ordered once.
    Order,
    /// See who are recipients and how far each is.
    Look,
    /// Let the saga destroy the keys when the time of observation is over. Done twice, it is done once.
    Release,
    /// Nothing until somebody acts.
    Nothing,
}

/// What is to be done next for a case.
pub fn next(case: &Case) -> Next {
    match (case.state, case.right) {
        (CaseState::Verified, Right::Erasure | Right::OptOut) => Next::Order,
        (CaseState::Verified | CaseState::Dispatched, _) => Next::Look,
        (CaseState::Fulfilled, Right::Erasure) => Next::Release,
        (
            CaseState::Received
            | CaseState::Fulfilled
            | CaseState::Closed
            | CaseState::Withdrawn
            | CaseState::Denied,
            _,
        ) => Next::Nothing,
    }
}

/// What was seen of a case's recipients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The request's event, once it is in the log.
    pub event_id: Option<EventId>,
    /// How each subscriber that it goes to took it.
    pub served: BTreeMap<String, Served>,
    /// Those to whom the ledger says that data of the subject went.
    pub disclosed: BTreeSet<String>,
}

/// What came of what was to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The saga that carries it out is ordered.
    Ordered(String),
    /// It cannot be ordered now, and why.
    Barred(String),
    /// Recipients were looked at.
    Looked(Seen),
    /// The saga has ended: keys are destroyed, where they were to be.
    Ended,
}

/// Moves a case on; true when it changed, so that it is to be journaled. `terms` are the operator's, by recipient.
pub fn took(case: &mut Case, fact: Fact, terms: &dyn Fn(&str) -> Terms, now: Timestamp) -> bool {
    let before = case.clone();
    match fact {
        Fact::Ordered(saga) => {
            (case.saga, case.state, case.why) = (Some(saga), CaseState::Dispatched, None);
        }
        Fact::Barred(why) => case.why = Some(why),
        Fact::Looked(seen) => looked(case, &seen, terms, now),
        Fact::Ended => case.state = CaseState::Closed,
    }
    close_if_told(case);
    let is_changed = *case != before;
    if is_changed {
        case.changed_at = now;
    }
    is_changed
}

fn looked(case: &mut Case, seen: &Seen, terms: &dyn Fn(&str) -> Terms, now: Timestamp) {
    if has_ended(case) || case.state == CaseState::Fulfilled {
        return;
    }
    case.state = CaseState::Dispatched;
    case.event_id = seen.event_id.or(case.event_id);
    for name in &seen.disclosed {
        recipient::join(case, name, Basis::Disclosed, terms(name), now);
    }
    for name in seen.served.keys() {
        recipient::join(case, name, Basis::Routed, terms(name), now);
    }
    let is_announced = case.event_id.is_some();
    for (name, one) in &mut case.recipients {
        let served = seen.served.get(one.behind.as_deref().unwrap_or(name)).copied();
        recipient::stand(one, served, is_announced, now);
    }
    settle(case, now);
}

/// Whether all recipients are where they have to be; the case is fulfilled then.
fn settle(case: &mut Case, now: Timestamp) {
    if case.state != CaseState::Dispatched {
        return;
    }
    if is_told_only(case.right) {
        return fulfil_when_answered(case, now);
    }
    let left: Vec<String> = case
        .recipients
        .iter()
        .filter(|(_, one)| !recipient::is_settled(one, now))
        .map(|(name, one)| recipient::wants(name, one))
        .collect();
    case.why = (!left.is_empty()).then(|| left.join("; "));
    if left.is_empty() && case.event_id.is_some() {
        (case.state, case.fulfilled_at) = (CaseState::Fulfilled, Some(now));
    }
}

/// Nothing is sent out for these: the operator answers the person.
fn is_told_only(right: Right) -> bool {
    matches!(right, Right::Access | Right::Restriction)
}

fn fulfil_when_answered(case: &mut Case, now: Timestamp) {
    if case.answered.is_some() {
        (case.state, case.fulfilled_at, case.why) = (CaseState::Fulfilled, Some(now), None);
    } else {
        case.why = Some("the person is to be answered".to_owned());
    }
}

/// A case that is fulfilled ends when the person was told, and an erasure not before its keys are destroyed.
fn close_if_told(case: &mut Case) {
    match (case.state, case.answered.is_some()) {
        (CaseState::Fulfilled, true) if case.right != Right::Erasure => case.state = CaseState::Closed,
        (CaseState::Closed, false) => {
            (case.state, case.why) = (CaseState::Fulfilled, Some("the person is to be answered".to_owned()));
        }
        _ => {}
    }
}

/// Nothing is done for it any more.
pub fn has_ended(case: &Case) -> bool {
    matches!(case.state, CaseState::Closed | CaseState::Withdrawn | CaseState::Denied)
}

/// A person's act that a case does not take, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has ended.
    #[error("it has ended")]
    Ended,
    /// It was done before.
    #[error("that is recorded already")]
    Already,
    /// Who asks has to be verified first.
    #[error("who asks is not verified yet")]
    Unverified,
    /// The request's event is in the log.
    #[error("its event is announced, and what a recipient did cannot be brought back")]
    Irreversible,
    /// There is no such recipient.
    #[error("{0} is not one of its recipients")]
    NoRecipient(String),
    /// No exception was asked for.
    #[error("no exception is asked for {0}")]
    NothingAsked(String),
    /// The same person asks and approves.
    #[error("{0} asked for it: another person has to approve it")]
    SamePerson(String),
    /// The exception ends before it begins.
    #[error("the exception ends before it begins")]
    Past,
    /// A recipient has said more than a case keeps.
    #[error("it holds {0} reports of this recipient already")]
    TooMany(usize),
}

/// A person's act about a whole case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Who asks was verified, how.
    Verify,
    /// The person was told that the request was received.
    Acknowledge,
    /// The person was told what came of it.
    Answer,
    /// The person was told that it takes longer: the clocks as they are with that.
    Extend(Vec<Clock>),
    /// The person took it back.
    Withdraw,
    /// It is refused.
    Deny,
}

/// Takes a person's act.
pub fn act(case: &mut Case, step: Step, act: Act) -> Result<(), Refused> {
    if has_ended(case) {
        return Err(Refused::Ended);
    }
    let now = act.at;
    match step {
        Step::Verify => verify(case, act)?,
        Step::Acknowledge => once(&mut case.acknowledged, act)?,
        Step::Answer => once(&mut case.answered, act)?,
        Step::Extend(clocks) => {
            case.clocks = clocks;
            case.extensions.push(act);
        }
        Step::Withdraw => end(case, CaseState::Withdrawn, act)?,
        Step::Deny => end(case, CaseState::Denied, act)?,
    }
    close_if_told(case);
    case.changed_at = now;
    Ok(())
}

fn verify(case: &mut Case, act: Act) -> Result<(), Refused> {
    once(&mut case.verified, act)?;
    case.state = CaseState::Verified;
    Ok(())
}

fn once(slot: &mut Option<Act>, act: Act) -> Result<(), Refused> {
    if slot.is_some() {
        return Err(Refused::Already);
    }
    *slot = Some(act);
    Ok(())
}

fn end(case: &mut Case, state: CaseState, act: Act) -> Result<(), Refused> {
    if case.saga.is_some() || case.state == CaseState::Fulfilled {
        return Err(Refused::Irreversible);
    }
    (case.state, case.why) = (state, Some(act.note.clone()));
    case.answered.get_or_insert(act);
    Ok(())
}

/// Recipients that are where they have to be, and all of them.
pub fn count(case: &Case, now: Timestamp) -> (usize, usize) {
    let settled = case.recipients.values().filter(|one| recipient::is_settled(one, now)).count();
    (settled, case.recipients.len())
}

/// The least grade among the recipients that are not excepted: what may be said of the case as a whole.
pub fn grade(case: &Case) -> Grade {
    let told = case.recipients.values().filter(|one: &&Recipient| one.state != RecipientState::Excepted);
    told.map(|one| one.grade).min().unwrap_or(Grade::E0)
}
