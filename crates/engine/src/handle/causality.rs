//! Reading one's own writes: a read waits until what a causality token names is applied.

use std::time::Duration;

use serde::Serialize;
use writ_model::code;
use writ_model::id::Offset;
use writ_model::lineage::CausalityToken;

use super::EngineHandle;
use crate::error::EngineError;

/// How far one subscriber is with what a token names.
#[derive(Debug, Clone, Serialize)]
pub struct SeenBy {
    /// Who.
    pub subscriber: String,
    /// Everything up to the token is settled there: acknowledged, withheld, or in its dead letters.
    pub settled: bool,
    /// Everything below is settled.
    pub watermark: Offset,
    /// Its dead letters, which count as settled.
    pub dead_letters: u64,
}

/// How far everybody is with what a token names.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Everything below is meant.
    pub through: Offset,
    /// It is in derived state: reads show it.
    pub applied: bool,
    /// Every subscriber.
    pub subscribers: Vec<SeenBy>,
}

impl EngineHandle {
    /// Waits until reads show everything that the token names, at most so long (`WRIT-8007`). A token that this
    /// store never gave is refused (`WRIT-8006`).
    pub async fn caught_up(&self, token: CausalityToken, longest: Duration) -> Result<(), EngineError> {
        self.check(token)?;
        let mut applied = self.shared.applied.clone();
        let reached = applied.wait_for(|applied| *applied >= token.through);
        match tokio::time::timeout(longest, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(behind(token, *self.shared.applied.borrow())),
        }
    }

    /// How far derived state and every subscriber are with what the token names.
    pub async fn seen(&self, token: CausalityToken) -> Result<Seen, EngineError> {
        self.check(token)?;
        let applied = *self.shared.applied.borrow() >= token.through;
        let by = |lane: super::LaneStatus| SeenBy {
            settled: lane.watermark >= token.through,
            subscriber: lane.subscriber,
            watermark: lane.watermark,
            dead_letters: lane.dead_letters,
        };
        let subscribers = self.status().await.subscribers.into_iter().map(by).collect();
        Ok(Seen { through: token.through, applied, subscribers })
    }

    fn check(&self, token: CausalityToken) -> Result<(), EngineError> {
        let cause = if token.store != self.shared.store {
            "it was given by another store"
        } else if token.through > self.log_end() {
            "it names a place that this store's log has not reached; was the store restored from a backup?"
        } else {
            return Ok(());
        };
        let remedy = "read without it, or write again for a new one";
        Err(EngineError::new(code::TOKEN_FOREIGN, "read not before a write", cause, remedy))
    }
}

fn behind(token: CausalityToken, applied: Offset) -> EngineError {
    let cause = format!("reads show everything below offset {applied}, the token names {}", token.through);
    EngineError::new(code::NOT_CAUGHT_UP, "read not before a write", cause, "ask again in a moment")
}
