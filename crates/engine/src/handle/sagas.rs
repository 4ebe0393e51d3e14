//! Sagas and what is asked of them.

use std::sync::PoisonError;
use std::time::Duration;

use writ_kernel::saga::{self, Order, Plan};
use writ_model::code;
use writ_model::id::{Generation, SubjectId, hex};
use writ_model::saga::{Action, Exception, Saga, SagaKind};
use writ_model::time::Timestamp;
use writ_store::vault::Purpose;

use super::{EngineHandle, state_failed};
use crate::clock;
use crate::error::EngineError;
use crate::recovery::failed;
use crate::writer::random;

/// A saga to be ordered.
#[derive(Debug, Clone)]
pub struct SagaRequest {
    /// What is to be brought about.
    pub kind: SagaKind,
    /// Who is erased; or the record that stays.
    pub subject: SubjectId,
    /// The record that goes into it, or comes out of it.
    pub other: Option<SubjectId>,
    /// Of an erasure: subscribers are told to suppress before they are told to erase.
    pub suppress_first: bool,
    /// Of an erasure: how long the keys stay when all have erased.
    pub keep_keys: Duration,
    /// Why; no personal data.
    pub reason: String,
    /// Who asks.
    pub actor: String,
    /// The privacy case that orders it, and the id that the saga has then.
    pub case: Option<(String, String)>,
}

impl EngineHandle {
    /// The saga that an order would begin. Nothing is done and nothing is written.
    pub async fn plan_saga(&self, request: SagaRequest) -> Result<Saga, EngineError> {
        let plan = self.checked(&request).await?;
        let (case, id) = match request.case {
            Some((case, id)) => (Some(case), id),
            None => (None, format!("saga-{}", hex(&random::<6>()?))),
        };
        let order = Order { id, plan, reason: request.reason, actor: request.actor, case };
        Ok(saga::begin(order, clock::wall()))
    }

    /// A subject's present life; `None` for one that nobody knows.
    pub(crate) fn present_life(&self, subject: SubjectId) -> Result<Option<Generation>, EngineError> {
        let vault = self.shared.sagas.vault.lock().unwrap_or_else(PoisonError::into_inner);
        vault.generation(subject).map_err(|error| failed("read the vault", &error))
    }

    /// The content key of that life is destroyed.
    pub(crate) fn is_erased(&self, subject: SubjectId, life: Generation) -> Result<bool, EngineError> {
        let vault = self.shared.sagas.vault.lock().unwrap_or_else(PoisonError::into_inner);
        let key =
            vault.key(subject, life, Purpose::Content).map_err(|error| failed("read the vault", &error))?;
        Ok(key.is_none())
    }

    async fn checked(&self, request: &SagaRequest) -> Result<Plan, EngineError> {
        let subject = request.subject;
        self.place(subject).await?;
        let other = match (request.kind, request.other) {
            (SagaKind::Erasure | SagaKind::OptOut, None) => None,
            (SagaKind::Merge | SagaKind::Split, Some(other)) if other != subject => {
                self.place(other).await?;
                Some(other)
            }
            _ => {
                return Err(refused(
                    "order a saga",
                    "a merge or split is about two subjects, an erasure or opt-out about one",
                ));
            }
        };
        Ok(match (request.kind, other) {
            (SagaKind::Merge, Some(absorbed)) => Plan::Merge { survivor: subject, absorbed },
            (SagaKind::Split, Some(parted)) => Plan::Split { original: subject, parted },
            (SagaKind::OptOut, _) => Plan::OptOut { subject },
            _ => Plan::Erasure {
                subject,
                generation: self.present_life(subject)?.unwrap_or(Generation::FIRST),
                suppress_first: request.suppress_first,
                keep_keys: request.keep_keys,
            },
        })
    }

    /// Begins a saga. Its order is durable when this returns. One at a time is open of a subject (`WRIT-6031`).
    pub async fn begin_saga(&self, request: SagaRequest) -> Result<Saga, EngineError> {
        let begun = self.plan_saga(request).await?;
        let _turn = self.shared.sagas.open.turn.lock().await;
        let about = subjects(&begun);
        let open = self.shared.sagas.open.all();
        if let Some(other) = open.iter().find(|other| subjects(other).iter().any(|one| about.contains(one))) {
            let cause = format!("{} is open and about the same subject", other.id);
            return Err(refused("order a saga", &cause));
        }
        self.keep_saga(begun.clone()).await?;
        self.shared.sagas.open.wake.notify_one();
        Ok(begun)
    }

    /// Sagas by id, ended ones too: at most `limit`, from behind `after`.
    pub fn sagas(&self, after: Option<&str>, limit: usize) -> Result<Vec<Saga>, EngineError> {
        self.shared.state.sagas(after, limit).map_err(state_failed)
    }

    /// One saga.
    pub fn saga(&self, id: &str) -> Result<Saga, EngineError> {
        match self.shared.sagas.open.get(id) {
            Some(saga) => Ok(saga),
            None => self.shared.state.saga(id).map_err(state_failed)?.ok_or_else(|| unknown(id)),
        }
    }

    /// Goes on without a subscriber until a time. Durable when this returns.
    pub async fn except_in_saga(
        &self,
        id: &str,
        (subscriber, until): (&str, Timestamp),
        (reason, actor): (&str, &str),
    ) -> Result<Saga, EngineError> {
        let subscriber = self.known(subscriber)?.to_string();
        let now = clock::wall();
        let (reason, actor) = (reason.to_owned(), actor.to_owned());
        let exception = Exception { subscriber, reason, until, actor, at: now };
        self.change_saga(id, "except a subscriber from", |saga| saga::except(saga, exception, now)).await
    }

    /// Takes back what a saga has announced. Durable when this returns.
    pub async fn compensate_saga(&self, id: &str, reason: &str, actor: &str) -> Result<Saga, EngineError> {
        let why = format!("taken back by {actor}: {reason}");
        self.change_saga(id, "take back", |saga| saga::compensate(saga, why, clock::wall())).await
    }

    /// Lets a saga destroy the keys, for the case that it carries out. Durable when this returns; done twice, it is done
    /// once.
    pub(crate) async fn release_saga(&self, id: &str) -> Result<Saga, EngineError> {
        let _turn = self.shared.sagas.open.turn.lock().await;
        let mut saga = self.saga(id)?;
        if saga::release(&mut saga, clock::wall()) {
            self.keep_saga(saga.clone()).await?;
            self.shared.sagas.open.wake.notify_one();
        }
        Ok(saga)
    }

    async fn change_saga(
        &self,
        id: &str,
        what: &str,
        act: impl FnOnce(&mut Saga) -> Result<(), saga::Refused>,
    ) -> Result<Saga, EngineError> {
        let _turn = self.shared.sagas.open.turn.lock().await;
        let mut saga = self.saga(id)?;
        act(&mut saga).map_err(|why| refused(&format!("{what} {id}"), &why.to_string()))?;
        self.keep_saga(saga.clone()).await?;
        self.shared.sagas.open.wake.notify_one();
        Ok(saga)
    }
}

fn subjects(saga: &Saga) -> Vec<SubjectId> {
    let of = |action: &Action| match *action {
        Action::Announce { subject, .. } | Action::Destroy { subject, .. } => subject,
    };
    saga.steps.iter().map(|step| of(&step.action)).collect()
}

fn unknown(id: &str) -> EngineError {
    let tried = format!("find saga {id:?}");
    EngineError::new(code::SAGA_UNKNOWN, &tried, "there is none", "see `writ saga list`")
}

fn refused(tried: &str, cause: &str) -> EngineError {
    EngineError::new(
        code::SAGA_REFUSED,
        tried,
        cause,
        "see `writ saga list`, and `writ saga show` for its steps",
    )
}
