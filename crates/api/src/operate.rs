//! What operators may do: pause, resume, redrive, discard, replay. Each act names its actor.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use writ_engine::handle::ReplayRequest;
use writ_model::code;
use writ_model::id::{Offset, SubjectId};
use writ_model::time::Timestamp;

use crate::auth::Caller;
use crate::problem::Problem;
use crate::read::{bad, parse};
use crate::serve::Patience;
use crate::{App, body};

pub(crate) async fn pause(
    State(app): State<App>,
    Path(subscriber): Path<String>,
) -> Result<Json<Value>, Problem> {
    done(app.engine.pause(&subscriber, true).await, &subscriber)
}

pub(crate) async fn resume(
    State(app): State<App>,
    Path(subscriber): Path<String>,
) -> Result<Json<Value>, Problem> {
    done(app.engine.pause(&subscriber, false).await, &subscriber)
}

pub(crate) async fn redrive(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((subscriber, subject)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let subject: SubjectId = parse(&subject)?;
    done(app.engine.redrive(&subscriber, subject, &caller.name).await, &subscriber)
}

pub(crate) async fn discard(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((subscriber, subject)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let subject: SubjectId = parse(&subject)?;
    done(app.engine.discard(&subscriber, subject, &caller.name).await, &subscriber)
}

/// Largest body of a request for a replay.
const REPLAY_BYTES_MAX: usize = 64 * 1024;

/// The body of `POST /v1/subscribers/{name}/replays`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    from_offset: Option<u64>,
    from_time: Option<Timestamp>,
    to_offset: Option<u64>,
    rate_per_second: Option<u32>,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn replay(
    State(app): State<App>,
    Extension(patience): Extension<Patience>,
    Path(subscriber): Path<String>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    if !app.engine.subscribers().iter().any(|name| name.as_str() == subscriber) {
        return done(false, &subscriber);
    }
    let body = body::read(body, REPLAY_BYTES_MAX, patience.body).await?;
    let replay: Replay = serde_json::from_slice(&body)
        .map_err(|_| bad("the body is not a replay: see docs/reference/http-api.md"))?;
    let (from, to) = stretch(&app, &replay)?;
    let id = format!("{subscriber}-{from}-{to}");
    let plan =
        json!({ "id": id, "subscriber": subscriber, "from": from, "to": to, "dry_run": replay.dry_run });
    let request = ReplayRequest { id, subscriber, from, to, rate: replay.rate_per_second };
    if replay.dry_run || app.engine.replay(request).await {
        return Ok(Json(plan));
    }
    let detail = "this replay runs already, or as many as may run";
    let remedy = "see GET /v1/replays; wait for one or cancel one";
    Err(Problem::new(StatusCode::CONFLICT, code::REQUEST_INVALID, detail, remedy))
}

/// First offset, and first offset after.
fn stretch(app: &App, replay: &Replay) -> Result<(Offset, Offset), Problem> {
    let from = match (replay.from_offset, replay.from_time) {
        (Some(offset), None) => Offset(offset),
        (None, Some(time)) => app.engine.offset_at(time)?,
        (None, None) | (Some(_), Some(_)) => return Err(bad("give either from_offset or from_time")),
    };
    let end = app.engine.log_end();
    let to = replay.to_offset.map_or(end, Offset).min(end);
    if from >= to {
        return Err(bad(&format!("the stretch is empty: it begins at {from} and the log ends at {end}")));
    }
    Ok((from, to))
}

pub(crate) async fn cancel_replay(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    if app.engine.cancel_replay(&id).await {
        return Ok(Json(json!({ "cancelled": id })));
    }
    Err(Problem::not_found("no running replay of this id"))
}

fn done(is_found: bool, subscriber: &str) -> Result<Json<Value>, Problem> {
    if is_found {
        return Ok(Json(json!({ "done": true })));
    }
    let detail = format!("no subscriber {subscriber:?}");
    let remedy = "see GET /v1/status for the names";
    Err(Problem::new(StatusCode::NOT_FOUND, code::SUBSCRIBER_UNKNOWN, detail, remedy))
}
