//! What would leave the log, and legal holds.

use std::sync::Arc;

use tokio::sync::oneshot;
use writ_model::code;
use writ_model::control::ControlFact;
use writ_model::id::hex;
use writ_model::replay::Selection;
use writ_model::retention::{Hold, HoldReleased};

use super::replays::stopping;
use super::{EngineHandle, state_failed};
use crate::clock;
use crate::error::EngineError;
use crate::retention::RetentionReport;
use crate::writer::{Work, random};

/// A hold to be placed.
#[derive(Debug, Clone)]
pub struct HoldRequest {
    /// The matter's number.
    pub matter: String,
    /// Why.
    pub reason: String,
    /// Subjects, change types, times.
    pub scope: Selection,
    /// Who asks.
    pub actor: String,
}

impl EngineHandle {
    /// What would leave the log now, and why the rest stays. Drops nothing.
    pub async fn retention(&self) -> Result<RetentionReport, EngineError> {
        let shared = Arc::clone(&self.shared);
        let report = move || {
            let mut log = shared.cold.reader();
            shared.keeper.report(log.as_mut(), shared.state.as_ref(), clock::wall())
        };
        let failed = |error: &dyn std::fmt::Display| {
            let remedy = "check the disk; the log is kept until this works";
            EngineError::new(code::RETENTION_FAILED, "judge the log's segments", error, remedy)
        };
        let report = tokio::task::spawn_blocking(report).await.map_err(|error| failed(&error))?;
        report.map_err(|error| failed(&error))
    }

    /// Legal holds that are not released.
    pub fn holds(&self) -> Result<Vec<Hold>, EngineError> {
        self.shared.state.holds().map_err(state_failed)
    }

    /// Places a legal hold. Durable when this returns; what had been journaled as leaving before goes.
    pub async fn place_hold(&self, request: HoldRequest) -> Result<Hold, EngineError> {
        let HoldRequest { matter, reason, scope, actor } = request;
        let id = format!("hold-{}", hex(&random::<6>()?));
        let hold = Hold { id, matter, reason, scope, actor, at: clock::wall() };
        self.journal(ControlFact::HoldPlaced(Box::new(hold.clone()))).await?;
        Ok(hold)
    }

    /// Releases a legal hold. Durable when this returns.
    pub async fn release_hold(&self, id: &str, reason: &str, actor: &str) -> Result<(), EngineError> {
        if !self.holds()?.iter().any(|hold| hold.id == id) {
            let tried = format!("release hold {id:?}");
            let remedy = "see `writ hold list`";
            return Err(EngineError::new(code::HOLD_UNKNOWN, &tried, "there is none", remedy));
        }
        let (id, reason, actor) = (id.to_owned(), reason.to_owned(), actor.to_owned());
        let released = HoldReleased { id, reason, actor, at: clock::wall() };
        self.journal(ControlFact::HoldReleased(released)).await
    }

    pub(crate) async fn journal(&self, fact: ControlFact) -> Result<(), EngineError> {
        let (durable, is_durable) = oneshot::channel();
        self.shared.writer.send(Work::Facts(vec![fact]));
        self.shared.writer.send(Work::Durable(durable));
        is_durable.await.map_err(|_| stopping())
    }
}
