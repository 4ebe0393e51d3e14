//! What a saga's steps do beside announcing: looking who has taken an event, and destroying keys.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use writ_kernel::saga::{Fact, Lacking};
use writ_model::delivery::SettledAs;
use writ_model::id::{Generation, SubjectId};
use writ_model::saga::{Saga, SagaKind};

use crate::error::EngineError;
use crate::handle::EngineHandle;
use crate::handle::replays::stopping;
use crate::writer::Work;

impl EngineHandle {
    /// Who has not taken a step's event; `None` while derived state has not come to it.
    pub(super) async fn look(&self, saga: &Saga, at: usize) -> Result<Option<Fact>, EngineError> {
        let Some(event_id) = saga.steps[at].event_id else { return Ok(None) };
        let Some(trace) = self.trace_event(event_id).await? else { return Ok(None) };
        let lacking = |name: &String| match trace.acknowledgements.get(name).map(|how| how.settled) {
            Some(SettledAs::Acknowledged) => None,
            // It was promised no more than one attempt. That is enough to be told of a merge, not to be erased.
            Some(SettledAs::Attempted) if saga.kind != SagaKind::Erasure => None,
            Some(SettledAs::Attempted) => Some(Lacking::Unknown),
            Some(SettledAs::DeadLettered) => Some(Lacking::DeadLettered),
            Some(SettledAs::Withheld) => Some(Lacking::Withheld),
            Some(SettledAs::Pending) | None => Some(Lacking::Waits),
        };
        let lacking: BTreeMap<String, Lacking> =
            trace.routed_to.iter().filter_map(|name| lacking(name).map(|how| (name.clone(), how))).collect();
        Ok(Some(Fact::Looked(at, lacking)))
    }

    /// Destroys a subject's content key, unless a legal hold is on it: what is held must stay readable.
    pub(super) async fn destroy(
        &self,
        at: usize,
        subject: SubjectId,
        generation: Generation,
    ) -> Result<Fact, EngineError> {
        let holds = self.holds()?;
        let on_subject = |subjects: &[SubjectId]| subjects.is_empty() || subjects.contains(&subject);
        if let Some(hold) = holds.iter().find(|hold| on_subject(&hold.scope.subjects)) {
            return Ok(Fact::Barred(format!(
                "step {at}: legal hold {} may need what the keys open",
                hold.id
            )));
        }
        let (done, answer) = oneshot::channel();
        self.shared.writer.send(Work::Destroy { subject, generation, done });
        answer.await.map_err(|_| stopping())?;
        Ok(Fact::Destroyed(at))
    }
}
