//! Looks at a case's recipients: who had data of the subject, to whom the request's event goes, and how each took it.

use std::collections::BTreeSet;

use writ_kernel::case::recipient::Served;
use writ_kernel::case::{self, Fact, Seen};
use writ_model::case::{Case, CaseState, RecipientState, Right};
use writ_model::delivery::SettledAs;
use writ_model::id::{EventId, Offset, SubjectId};
use writ_model::saga::{Action, Saga};
use writ_model::taxonomy::ChangeType;

use crate::clock;
use crate::error::EngineError;
use crate::handle::{EngineHandle, Trace, state_failed};
use crate::recovery::failed;

/// So many of a subject's newest events are asked for who is still to get them.
const PENDING_LOOK: usize = 1024;

/// Offsets of the subject index read in one step.
const PAGE: usize = 1024;

impl EngineHandle {
    /// `None` while derived state has not come to the event.
    pub(super) async fn look_at_case(&self, case: &Case) -> Result<Option<Fact>, EngineError> {
        let saga = case.saga.as_ref().map(|id| self.saga(id)).transpose()?;
        let event_id = saga.as_ref().and_then(|saga| announced(saga, case.right)).or(case.event_id);
        let mut seen = Seen { event_id, ..Seen::default() };
        if let Some(event_id) = event_id {
            let Some(trace) = self.trace_event(event_id).await? else { return Ok(None) };
            seen.served = trace.routed_to.iter().map(|name| (name.clone(), served(&trace, name))).collect();
        }
        // The ledger costs a read for each of the subject's events: it is asked at the beginning, and once more when
        // nothing else is in the way of the case's end.
        if case.recipients.is_empty() || self.would_end(case, &seen) {
            seen.disclosed = self.disclosed_to(case.subject).await?;
            let passed_on = |name: &str| seen.disclosed.contains(name) || seen.served.contains_key(name);
            let behind: Vec<String> = self.shared.cases.behind(passed_on).cloned().collect();
            seen.disclosed.extend(behind);
        }
        if let Some(saga) = saga {
            self.pass_on_exceptions(case, &saga).await?;
        }
        Ok(Some(Fact::Looked(seen)))
    }

    fn would_end(&self, case: &Case, seen: &Seen) -> bool {
        let mut case = case.clone();
        let terms = |name: &str| self.shared.cases.terms(name);
        case::took(&mut case, Fact::Looked(seen.clone()), &terms, clock::wall());
        case.state != CaseState::Dispatched
    }

    /// What the case does not wait for, the saga does not wait for either.
    async fn pass_on_exceptions(&self, case: &Case, saga: &Saga) -> Result<(), EngineError> {
        if writ_kernel::saga::has_ended(saga) {
            return Ok(());
        }
        for (name, one) in &case.recipients {
            let Some(excuse) = one.exception.as_ref().filter(|_| one.state == RecipientState::Excepted)
            else {
                continue;
            };
            let is_known =
                saga.exceptions.iter().any(|known| known.subscriber == *name && known.until == excuse.until);
            if !is_known && self.subscribers().iter().any(|subscriber| subscriber.as_str() == name) {
                let because = (excuse.asked.note.as_str(), excuse.asked.actor.as_str());
                self.except_in_saga(&saga.id, (name, excuse.until), because).await?;
            }
        }
        Ok(())
    }

    /// Every subscriber to which data of a subject went, or is about to: the disclosure ledger, and the routes of its
    /// newest events. What replays sent under filters that are no longer configured is not in it.
    pub async fn disclosed_to(&self, subject: SubjectId) -> Result<BTreeSet<String>, EngineError> {
        let state = std::sync::Arc::clone(&self.shared.state);
        let read = move || {
            let names = state.disclosed(subject)?;
            let (mut newest, mut after) = (std::collections::VecDeque::new(), None);
            loop {
                let page: Vec<Offset> = state.events_of(subject, after, PAGE)?;
                let Some(last) = page.last() else { return Ok((names, newest)) };
                after = Some(*last);
                newest.extend(page);
                let too_many = newest.len().saturating_sub(PENDING_LOOK);
                newest.drain(..too_many);
            }
        };
        let read = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| failed("read the disclosure ledger", &error))?;
        let (names, newest) = read.map_err(state_failed)?;
        let mut names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        for offset in newest {
            let Some(trace) = self.trace_offset(offset).await? else { continue };
            let is_open = |name: &&String| !trace.acknowledgements.contains_key(*name);
            names.extend(trace.routed_to.iter().filter(is_open).cloned());
        }
        Ok(names)
    }
}

/// The event by which a saga tells recipients.
fn announced(saga: &Saga, right: Right) -> Option<EventId> {
    let wanted = if right == Right::Erasure { ChangeType::Erasure } else { ChangeType::Suppression };
    let of = |action: &Action| matches!(action, Action::Announce { change_type, is_lifted: false, .. } if *change_type == wanted);
    saga.steps.iter().find(|step| of(&step.action)).and_then(|step| step.event_id)
}

fn served(trace: &Trace, name: &str) -> Served {
    match trace.acknowledgements.get(name).map(|how| how.settled) {
        Some(SettledAs::Acknowledged) => Served::Acknowledged,
        Some(SettledAs::DeadLettered) => Served::DeadLettered,
        Some(SettledAs::Withheld) => Served::Withheld,
        Some(SettledAs::Attempted) => Served::Unknown,
        Some(SettledAs::Pending) | None => Served::Waits,
    }
}
