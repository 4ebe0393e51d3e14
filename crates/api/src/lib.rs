//! What can be asked over HTTP: intake, status, traces, dead letters, replays, events to take, metrics.
//!
//! The table of routes says who may ask; each handler calls the engine's handle and shapes the answer. Errors
//! are RFC 9457 problems that carry Writ's code.

mod auth;
mod body;
mod cases;
mod causality;
mod intake;
mod metrics;
mod operate;
mod problem;
mod pull;
mod read;
mod replays;
mod retention;
mod routes;
mod sagas;
mod serve;
mod stream;

pub use auth::{Caller, Tokens};
pub use metrics::Recorder;
pub use routes::{Access, ROUTES, Route};
pub use serve::{BindError, Patience, Server, bind};

use std::sync::Arc;

use writ_engine::handle::EngineHandle;

/// What every handler may use.
#[derive(Clone)]
pub struct App {
    /// The engine.
    pub engine: EngineHandle,
    /// Who may ask what.
    pub tokens: Arc<Tokens>,
    /// Largest request body in bytes.
    pub body_bytes_max: usize,
    /// Renders the metrics page.
    pub recorder: Recorder,
}
