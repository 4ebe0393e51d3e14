//! Causality tokens over HTTP: the intake gives one with each answer, and a read that presents it is not answered
//! from before that write.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue};
use writ_engine::handle::Seen;
use writ_model::lineage::CausalityToken;

use crate::App;
use crate::problem::Problem;
use crate::read::bad;

/// The header that a write is answered with.
pub(crate) const GIVEN: &str = "writ-causality";

/// The header in which a read presents it.
const PRESENTED: &str = "writ-not-before";

/// A read waits at most so long for what it must show; derived state is a moment behind the log.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub(crate) fn header(token: CausalityToken) -> HeaderValue {
    HeaderValue::from_str(&token.to_string()).expect("a token is letters, digits and dashes")
}

/// Waits until reads show what the request must not be answered from before; a request without a token does not
/// wait.
pub(crate) async fn wait(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(presented) = headers.get(PRESENTED) else { return Ok(()) };
    let token = parse(presented.to_str().unwrap_or_default())?;
    Ok(app.engine.caught_up(token, LONGEST_WAIT).await?)
}

pub(crate) async fn seen(State(app): State<App>, Path(token): Path<String>) -> Result<Json<Seen>, Problem> {
    Ok(Json(app.engine.seen(parse(&token)?).await?))
}

fn parse(text: &str) -> Result<CausalityToken, Problem> {
    text.parse().map_err(|error: writ_model::lineage::LineageError| bad(&error.to_string()))
}
