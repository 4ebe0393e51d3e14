//! Drives sagas: asks the kernel what is next, does it, and journals what came of it before it goes on. It works as a
//! client of the engine would, by pushed changes and traces, so a crash between any two of its acts leaves a saga
//! whose next act may only be done again: an announcement under the same producer id is stored once, destroyed keys
//! are destroyed once.

mod act;
mod announce;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};
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

/// Sagas read in one step.
const PAGE: usize = 256;

/// The sagas that have not ended.
pub(crate) struct Sagas {
    /// Held by who changes one, until the change is durable.
    pub(crate) turn: tokio::sync::Mutex<()>,
    open: Mutex<BTreeMap<String, Saga>>,
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
        let (turn, open) = (tokio::sync::Mutex::new(()), Mutex::new(open));
        Ok(Self { turn, open, wake: Notify::new(), vault, event_id_key })
    }

    /// Those that are open, as they were when last made durable.
    pub(crate) fn open(&self) -> Vec<Saga> {
        self.lock().values().cloned().collect()
    }

    /// One of them.
    pub(crate) fn get(&self, id: &str) -> Option<Saga> {
        self.lock().get(id).cloned()
    }

    fn put(&self, saga: Saga) {
        match saga::has_ended(&saga) {
            true => drop(self.lock().remove(&saga.id)),
            false => drop(self.lock().insert(saga.id.clone(), saga)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Saga>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until told to stop.
pub(crate) async fn drive(engine: EngineHandle, mut stop: watch::Receiver<bool>) {
    let mut looks = Looks::default();
    while !*stop.borrow() {
        engine.turn_sagas(&mut looks).await;
        let wait = looks.wait((Instant::now(), clock::wall()));
        let look = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
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
    /// Takes every open saga that is due as far as it goes now.
    async fn turn_sagas(&self, looks: &mut Looks) {
        let changed = |saga: Saga| (saga.id, saga.changed_at);
        let open: Vec<_> = self.shared.sagas.open().into_iter().map(changed).collect();
        for id in looks.due(&open, (Instant::now(), clock::wall())) {
            let turned = self.turn_saga(&id).await;
            if let Err(error) = &turned {
                tracing::warn!(saga = %id, code = error.code.id, error = %error, "a saga does not get on; it is tried again");
            }
            if let Some(saga) = self.shared.sagas.get(&id) {
                looks.looked(&id, Instant::now(), (saga.changed_at, turned.is_err()));
            }
        }
    }

    async fn turn_saga(&self, id: &str) -> Result<(), EngineError> {
        loop {
            let _turn = self.shared.sagas.turn.lock().await;
            let Some(mut saga) = self.shared.sagas.get(id) else { return Ok(()) };
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
        self.shared.sagas.put(saga);
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
