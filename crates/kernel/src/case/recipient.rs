//! Who is a recipient of a case, how far is it, and is that enough?
//!
//! What a recipient said stands over what its transport said: a success on the wire shows that the request arrived,
//! and means that it was done only where the operator says that this recipient answers so.

use writ_model::case::{Act, Basis, Case, CaseState, Excuse, Grade, Outcome};
use writ_model::case::{Recipient, RecipientState, Report, Says};
use writ_model::time::Timestamp;

use super::{Refused, Terms, has_ended};

/// At most so many reports of one recipient are kept.
pub const REPORTS_MAX: usize = 32;

/// How a subscriber took the request's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It is to be sent, or under way.
    Waits,
    /// It was acknowledged.
    Acknowledged,
    /// The subscriber refused it, or tries are used up: it is in the dead letters.
    DeadLettered,
    /// Policy withholds it from this subscriber.
    Withheld,
    /// It was sent at most once, and no acknowledgement is known.
    Unknown,
}

/// Makes somebody a recipient; one that is already stays as it is.
pub fn join(case: &mut Case, name: &str, basis: Basis, terms: Terms, now: Timestamp) {
    let Terms { says, demand, behind } = terms;
    case.recipients.entry(name.to_owned()).or_insert_with(|| Recipient {
        basis: if behind.is_some() { Basis::Declared } else { basis },
        behind,
        says,
        demand,
        state: RecipientState::Planned,
        grade: Grade::E0,
        at: now,
        cause: None,
        reports: Vec::new(),
        exception: None,
    });
}

/// How far a recipient is, by what was seen and what it said.
pub(super) fn stand(one: &mut Recipient, served: Option<Served>, is_announced: bool, now: Timestamp) {
    let (mut state, mut grade, mut cause) = by_wire(one, served, is_announced);
    if let Some(said) = one.reports.last() {
        let best = one.reports.iter().filter(|report| report.outcome == said.outcome);
        grade = best.map(|report| report.grade).max().unwrap_or(grade).max(grade);
        (state, cause) = by_word(said.outcome, grade);
    }
    let before = (one.state, one.grade);
    (one.state, one.grade, one.cause) = (state, grade, cause);
    if !is_done(one) && is_excused(one, now) {
        one.state = RecipientState::Excepted;
    }
    if before != (one.state, one.grade) {
        one.at = now;
    }
}

fn by_wire(
    one: &Recipient,
    served: Option<Served>,
    is_announced: bool,
) -> (RecipientState, Grade, Option<String>) {
    use RecipientState::{OutcomeReported, Planned, Received, Refused, Sent, Unreachable};
    let because = |text: &str| Some(text.to_owned());
    match served {
        // What stands behind a subscriber is told by that one; only its own word says that it knows.
        Some(Served::Acknowledged) if one.behind.is_some() => (Sent, Grade::E0, None),
        Some(Served::Acknowledged) if one.says == Says::Outcome => (OutcomeReported, Grade::E1, None),
        Some(Served::Acknowledged) => (Received, Grade::E1, None),
        Some(Served::Waits) => (Sent, Grade::E0, None),
        Some(Served::DeadLettered) => (Refused, Grade::E0, because("it is in the dead letters")),
        Some(Served::Withheld) => (Unreachable, Grade::E0, because("policy denies it the event")),
        Some(Served::Unknown) => (Unreachable, Grade::E0, because("it may or may not have the event")),
        None if is_announced => (Unreachable, Grade::E0, because("no subscriber of the event reaches it")),
        None => (Planned, Grade::E0, None),
    }
}

fn by_word(outcome: Outcome, grade: Grade) -> (RecipientState, Option<String>) {
    use RecipientState::{Accepted, OutcomeEvidenced, OutcomeReported, Refused};
    match outcome {
        Outcome::Accepted => (Accepted, None),
        Outcome::Completed | Outcome::NotFound if grade >= Grade::E4 => (OutcomeEvidenced, None),
        Outcome::Completed | Outcome::NotFound => (OutcomeReported, None),
        Outcome::Partially | Outcome::Exempt | Outcome::Rejected => (Refused, Some(outcome.to_string())),
    }
}

fn is_done(one: &Recipient) -> bool {
    matches!(one.state, RecipientState::OutcomeReported | RecipientState::OutcomeEvidenced)
        && one.grade >= one.demand
}

fn is_excused(one: &Recipient, now: Timestamp) -> bool {
    one.exception.as_ref().is_some_and(|excuse| excuse.approved.is_some() && now < excuse.until)
}

/// It is where policy demands, or excepted.
pub fn is_settled(one: &Recipient, now: Timestamp) -> bool {
    is_done(one) || is_excused(one, now)
}

/// What is still wanted of a recipient, in words.
pub(super) fn wants(name: &str, one: &Recipient) -> String {
    let cause = one.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    match (one.state, one.exception.as_ref()) {
        (_, Some(excuse)) if excuse.approved.is_none() => format!("{name}: its exception is to be approved"),
        (RecipientState::OutcomeReported | RecipientState::OutcomeEvidenced, _) => {
            format!("{name}: {} is shown, {} is demanded", one.grade, one.demand)
        }
        (state, _) => format!("{name}: {}{cause}", state.as_str().replace('_', " ")),
    }
}

/// Takes a recipient's word, or what somebody saw there. One that was none yet joins: who says that it had the data is
/// a recipient.
pub fn report(case: &mut Case, name: &str, terms: Terms, report: Report) -> Result<(), Refused> {
    ready(case)?;
    let now = report.act.at;
    join(case, name, Basis::Declared, terms, now);
    let one = case.recipients.get_mut(name).expect("joined above");
    if one.reports.len() >= REPORTS_MAX {
        return Err(Refused::TooMany(REPORTS_MAX));
    }
    one.reports.push(report);
    stand_again(case, name, now);
    Ok(())
}

/// Asks that a recipient is not waited for; an approved exception is replaced by the new one.
pub fn except(case: &mut Case, name: &str, until: Timestamp, asked: Act) -> Result<(), Refused> {
    ready(case)?;
    let now = asked.at;
    if until <= now {
        return Err(Refused::Past);
    }
    let one = case.recipients.get_mut(name).ok_or_else(|| Refused::NoRecipient(name.to_owned()))?;
    one.exception = Some(Excuse { asked, until, approved: None });
    stand_again(case, name, now);
    Ok(())
}

/// Approves an exception; `alone`: the person who asked for it may.
pub fn approve(case: &mut Case, name: &str, alone: bool, act: Act) -> Result<(), Refused> {
    ready(case)?;
    let now = act.at;
    let one = case.recipients.get_mut(name).ok_or_else(|| Refused::NoRecipient(name.to_owned()))?;
    let excuse = one.exception.as_mut().ok_or_else(|| Refused::NothingAsked(name.to_owned()))?;
    if excuse.approved.is_some() {
        return Err(Refused::Already);
    }
    if excuse.asked.actor == act.actor && !alone {
        return Err(Refused::SamePerson(act.actor));
    }
    excuse.approved = Some(act);
    stand_again(case, name, now);
    Ok(())
}

fn ready(case: &Case) -> Result<(), Refused> {
    match case.state {
        _ if has_ended(case) => Err(Refused::Ended),
        CaseState::Received => Err(Refused::Unverified),
        _ => Ok(()),
    }
}

/// A recipient is where it was seen last, but for its own word and its exception.
fn stand_again(case: &mut Case, name: &str, now: Timestamp) {
    let Some(one) = case.recipients.get_mut(name) else { return };
    let seen = (one.state, one.grade, one.cause.clone());
    stand(one, None, true, now);
    if one.reports.is_empty() && one.state != RecipientState::Excepted {
        (one.state, one.grade, one.cause) = seen;
    }
    case.changed_at = now;
}
