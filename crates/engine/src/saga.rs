//! Drives sagas: asks the kernel what is next, does it, and journals what came of it before it goes on. It works as a
//! client of the engine would, by pushed changes and traces, so a crash between any two of its acts leaves a saga
//! whose next act may only be done again: an announcement under the same producer id is stored once, destroyed keys
//! are destroyed once.

mod act;
mod announce;

use std::time::Instant;

use tokio::sync::watch;
use writ_kernel::identity::Key;
use writ_kernel::saga::{self, Fact, Next};
use writ_model::code;
use writ_model::control::ControlFact;
use writ_model::saga::{Action, Saga, SagaState};
use writ_store::state::State;

use crate::clock;
use crate::error::EngineError;
use crate::handle::EngineHandle;
use crate::hub::reader::SharedVault;
use crate::looks::Looks;
use crate::open::Open;

/// The sagas that have not ended, and what carrying them out takes.
pub(crate) struct Sagas {
    pub(crate) open: Open<Saga>,
    pub(crate) vault: SharedVault,
    event_id_key: Key,
}

impl Sagas {
    /// What an earlier run left open.
    pub(crate) fn new(state: &dyn State, vault: SharedVault, event_id_key: Key) -> Result<Self, EngineError> {
        let open = Open::read(|after, limit| state.sagas(after, limit));
        let open = open.map_err(|error| crate::recovery::failed("read the sagas", &error))?;
        Ok(Self { open, vault, event_id_key })
    }
}

/// Until told to stop.
pub(crate) async fn drive(engine: EngineHandle, mut stop: watch::Receiver<bool>) {
    let mut looks = Looks::default();
    while !*stop.borrow() {
        engine.turn_sagas(&mut looks).await;
        looks.rest(&engine.shared.sagas.open.wake, &mut stop).await;
    }
}

impl EngineHandle {
    /// Takes every open saga that is due as far as it goes now.
    async fn turn_sagas(&self, looks: &mut Looks) {
        for id in looks.due(&self.shared.sagas.open.changes(), (Instant::now(), clock::wall())) {
            let turned = self.turn_saga(&id).await;
            if let Err(error) = &turned {
                tracing::warn!(saga = %id, code = error.code.id, error = %error, "a saga does not get on; it is tried again");
            }
            if let Some(saga) = self.shared.sagas.open.get(&id) {
                looks.looked(&id, Instant::now(), (saga.changed_at, turned.is_err()));
            }
        }
    }

    async fn turn_saga(&self, id: &str) -> Result<(), EngineError> {
        loop {
            let _turn = self.shared.sagas.open.turn.lock().await;
            let Some(mut saga) = self.shared.sagas.open.get(id) else { return Ok(()) };
            let Some(fact) = self.carry_out(&saga).await? else { return Ok(()) };
            if !saga::took(&mut saga, fact, clock::wall()) {
                return Ok(());
            }
            self.keep_saga(saga).await?;
        }
    }

    /// Journals a saga as it is now; durable when this returns. The caller has the turn.
    pub(crate) async fn keep_saga(&self, saga: Saga) -> Result<(), EngineError> {
        self.journal(ControlFact::Saga(Box::new(saga.clone()))).await?;
        let Saga { id, kind, state, why, .. } = &saga;
        match state {
            SagaState::Stuck => tracing::warn!(saga = %id, %kind, why, "a saga waits for an operator"),
            _ => tracing::info!(saga = %id, %kind, ?state, "a saga got on"),
        }
        self.shared.sagas.open.put(saga);
        Ok(())
    }

    /// Does what is next; `None` when there is nothing to do, or nothing can be said of it yet.
    async fn carry_out(&self, saga: &Saga) -> Result<Option<Fact>, EngineError> {
        match saga::next(saga, clock::wall()) {
            Next::Nothing | Next::Wait(_) => Ok(None),
            Next::Announce(at) => match self.announce(saga, at).await {
                // Its record is not known any more: nothing that is tried again mends that.
                Err(error) if error.code == code::SAGA_REFUSED => Ok(Some(Fact::Barred(error.to_string()))),
                announced => announced.map(Some),
            },
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
