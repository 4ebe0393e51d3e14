//! Drives sagas: asks the kernel what is next, does it, and journals what came of it before it goes on. It works as a
//! client of the engine would, by pushed changes and traces, so a crash between any two of its acts leaves a saga
//! whose next act may only be done again: an announcement under the same producer id is stored once, destroyed keys
//! are destroyed once.

mod act;
mod announce;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use writ_kernel::identity::Key;
use writ_kernel::saga::{self, Fact, Next};
use writ_model::control::ControlFact;
use writ_model::saga::{Action, Saga, SagaState};
use writ_store::state::State;

use crate::clock;
use crate::error::EngineError;
use crate::handle::EngineHandle;
use crate::hub::reader::SharedVault;

/// Who has taken an announcement is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Sagas read in one step.
const PAGE: usize = 256;

/// The sagas that have not ended. Who changes one holds the lock until the change is durable.
pub(crate) struct Sagas {
    pub(crate) open: Mutex<BTreeMap<String, Saga>>,
    pub(crate) wake: Notify,
    pub(crate) vault: SharedVault,
    event_id_key: Key,
}

impl Sagas {
    /// What an earlier run left open.
    pub(crate) fn new(state: &dyn State, vault: SharedVault, event_id_key: Key) -> Result<Self, EngineError> {
        let read = |error| crate::recovery::failed("read the sagas", &error);
        let (mut open, mut after) = (BTreeMap::new(), None::<String>);
        loop {
            let page = state.sagas(after.as_deref(), PAGE).map_err(read)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            let left = page.into_iter().filter(|saga| !saga::has_ended(saga));
            open.extend(left.map(|saga| (saga.id.clone(), saga)));
        }
        Ok(Self { open: Mutex::new(open), wake: Notify::new(), vault, event_id_key })
    }
}

/// Until told to stop.
pub(crate) async fn drive(engine: EngineHandle, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let has_open = engine.turn_sagas().await;
        let look = async {
            match has_open {
                true => tokio::time::sleep(LOOK_EVERY).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            () = look => {}
            () = engine.shared.sagas.wake.notified() => {}
            _ = stop.changed() => {}
        }
    }
}

impl EngineHandle {
    /// Takes every open saga as far as it goes now; whether any is left open.
    async fn turn_sagas(&self) -> bool {
        let ids: Vec<String> = self.shared.sagas.open.lock().await.keys().cloned().collect();
        for id in ids {
            if let Err(error) = self.turn_saga(&id).await {
                tracing::warn!(saga = %id, code = error.code.id, error = %error, "a saga does not get on; it is tried again");
            }
        }
        !self.shared.sagas.open.lock().await.is_empty()
    }

    async fn turn_saga(&self, id: &str) -> Result<(), EngineError> {
        loop {
            let mut open = self.shared.sagas.open.lock().await;
            let Some(mut saga) = open.get(id).cloned() else { return Ok(()) };
            let Some(fact) = self.carry_out(&saga).await? else { return Ok(()) };
            if !saga::took(&mut saga, fact, clock::wall()) {
                return Ok(());
            }
            self.keep_saga(&mut open, saga).await?;
        }
    }

    /// Journals a saga as it is now; durable when this returns.
    pub(crate) async fn keep_saga(
        &self,
        open: &mut BTreeMap<String, Saga>,
        saga: Saga,
    ) -> Result<(), EngineError> {
        self.journal(ControlFact::Saga(Box::new(saga.clone()))).await?;
        let (id, kind, state) = (saga.id.clone(), saga.kind, saga.state);
        match state {
            SagaState::Stuck => {
                tracing::warn!(saga = %id, %kind, why = saga.why.as_deref(), "a saga waits for an operator");
            }
            _ => tracing::info!(saga = %id, %kind, ?state, "a saga got on"),
        }
        match saga::has_ended(&saga) {
            true => drop(open.remove(&id)),
            false => drop(open.insert(id, saga)),
        }
        Ok(())
    }

    /// Does what is next; `None` when there is nothing to do, or nothing can be said of it yet.
    async fn carry_out(&self, saga: &Saga) -> Result<Option<Fact>, EngineError> {
        match saga::next(saga, clock::wall()) {
            Next::Nothing | Next::Wait(_) => Ok(None),
            Next::Announce(at) => self.announce(saga, at).await.map(Some),
            Next::Look(at) => self.look(saga, at).await,
            Next::Destroy(at) => match saga.steps[at].action {
                Action::Destroy { subject, generation, .. } => {
                    self.destroy(at, subject, generation).await.map(Some)
                }
                Action::Announce { .. } => Ok(None),
            },
        }
    }
}
