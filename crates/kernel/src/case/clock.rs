//! What is due of a case, and what is late? A clock is met by what its duty asks for, and by nothing else: a person who was
//! answered is not erased yet, and the other way round.

use writ_model::case::{Case, CaseState, Clock, Due};
use writ_model::time::Timestamp;

/// How a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Met in time.
    Met,
    /// Met, and too late.
    MetLate,
    /// Runs, inside the operator's window.
    Runs,
    /// The operator's date is over.
    AtRisk,
    /// The law's date is over.
    Overdue,
}

impl Standing {
    /// The word in listings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::MetLate => "met_late",
            Self::Runs => "runs",
            Self::AtRisk => "at_risk",
            Self::Overdue => "overdue",
        }
    }
}

/// How one clock of a case stands.
pub fn standing(case: &Case, clock: &Clock, now: Timestamp) -> Standing {
    let is_over = |due: &Option<Due>, at: Timestamp| due.as_ref().is_some_and(|due| due.over <= at);
    match met_at(case, clock) {
        Some(at) if is_over(&clock.legal, at) => Standing::MetLate,
        Some(_) => Standing::Met,
        None if is_over(&clock.legal, now) => Standing::Overdue,
        None if is_over(&clock.safe, now) || is_over(&clock.policy, now) => Standing::AtRisk,
        None => Standing::Runs,
    }
}

/// The worst standing of a case's clocks; `None` when it has none.
pub fn worst(case: &Case, now: Timestamp) -> Option<Standing> {
    case.clocks.iter().map(|clock| standing(case, clock, now)).max()
}

/// What met a clock, and when.
fn met_at(case: &Case, clock: &Clock) -> Option<Timestamp> {
    let answered = case.answered.as_ref().map(|act| act.at);
    if matches!(case.state, CaseState::Withdrawn | CaseState::Denied) {
        return answered;
    }
    match clock.kind.as_str() {
        // Who was answered was told that the request was received.
        "acknowledge" => case.acknowledged.as_ref().map(|act| act.at).or(answered),
        "respond" | "refuse" => answered,
        _ => case.fulfilled_at,
    }
}

/// The moments at which a standing changes by itself; the next of them.
pub fn next_change(case: &Case, now: Timestamp) -> Option<Timestamp> {
    let open = case.clocks.iter().filter(|clock| met_at(case, clock).is_none());
    let dues = open.flat_map(|clock| [&clock.legal, &clock.safe, &clock.policy]);
    dues.flatten().map(|due| due.over).filter(|over| *over > now).min()
}
