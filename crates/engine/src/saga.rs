//! Drives sagas: asks the kernel what is next, does it, and journals what came of it before it goes on. It works as a
//! client of the engine would, by pushed changes and traces, so a crash between any two of its acts leaves a saga
//! whose next act may only be done again: an announcement under the same producer id is stored once, destroyed keys
//! are destroyed once.

mod act;
mod announce;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use writ_kernel::identity::Key;
use writ_kernel::saga::{self, Fact, Next};
use writ_model::code;
use writ_model::control::ControlFact;
use writ_model::saga::{Action, Saga, SagaState};
use writ_model::time::Timestamp;
use writ_store::state::State;

use crate::clock;
use crate::error::EngineError;
use crate::handle::EngineHandle;
use crate::hub::reader::SharedVault;

/// Who has taken an announcement is looked at this often while a saga is fresh, and this seldom when it has waited for
/// long: for a subscriber that is down, or for an operator.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_SELDOM: Duration = Duration::from_secs(5);

/// A saga is looked at after this share of the time since it last changed.
const SHARE_OF_AGE: u32 = 8;

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
    while !*stop.borrow() {
        let pause = engine.turn_sagas().await;
        let look = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
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
    /// Takes every open saga as far as it goes now; when to look again, if any is left open.
    async fn turn_sagas(&self) -> Option<Duration> {
        let mut has_failed = false;
        for saga in self.shared.sagas.open() {
            if let Err(error) = self.turn_saga(&saga.id).await {
                has_failed = true;
                tracing::warn!(saga = %saga.id, code = error.code.id, error = %error, "a saga does not get on; it is tried again");
            }
        }
        let freshest = self.shared.sagas.open().iter().map(|saga| saga.changed_at).max()?;
        Some(if has_failed { LOOK_SELDOM } else { pause(freshest, clock::wall()) })
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

/// How long to wait before the next look, by when a saga last changed.
fn pause(changed_at: Timestamp, now: Timestamp) -> Duration {
    let age = u64::try_from(now.0.saturating_sub(changed_at.0)).unwrap_or_default();
    (Duration::from_micros(age) / SHARE_OF_AGE).clamp(LOOK_EVERY, LOOK_SELDOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_saga_is_looked_at_often_and_one_that_waits_seldom() {
        let after = |seconds: i64| pause(Timestamp(1_000_000), Timestamp(1_000_000 + seconds * 1_000_000));
        assert_eq!((after(0), after(1)), (LOOK_EVERY, LOOK_EVERY));
        assert_eq!(after(16), Duration::from_secs(2));
        assert_eq!(after(3600), LOOK_SELDOM);
        assert_eq!(after(-5), LOOK_EVERY, "a clock that went back");
    }
}
