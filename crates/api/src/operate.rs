//! What operators may do: pause, resume, redrive, discard, replay. Each act names its actor.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use writ_engine::config::Scope;
use writ_engine::handle::ReplayRequest;
use writ_model::code;
use writ_model::id::{Offset, SubjectId};
use writ_model::time::Timestamp;

use crate::App;
use crate::problem::Problem;
use crate::read::{bad, parse};

pub(crate) async fn pause(
    State(app): State<App>,
    headers: HeaderMap,
    Path(subscriber): Path<String>,
) -> Result<Json<Value>, Problem> {
    app.tokens.require(&headers, Scope::Operate)?;
    done(app.engine.pause(&subscriber, true).await, &subscriber)
}

pub(crate) async fn resume(
    State(app): State<App>,
    headers: HeaderMap,
    Path(subscriber): Path<String>,
) -> Result<Json<Value>, Problem> {
    app.tokens.require(&headers, Scope::Operate)?;
    done(app.engine.pause(&subscriber, false).await, &subscriber)
}

pub(crate) async fn redrive(
    State(app): State<App>,
    headers: HeaderMap,
    Path((subscriber, subject)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let caller = app.tokens.require(&headers, Scope::Operate)?;
    let subject: SubjectId = parse(&subject)?;
    done(app.engine.redrive(&subscriber, subject, &caller.name).await, &subscriber)
}

pub(crate) async fn discard(
    State(app): State<App>,
    headers: HeaderMap,
    Path((subscriber, subject)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let caller = app.tokens.require(&headers, Scope::Operate)?;
    let subject: SubjectId = parse(&subject)?;
    done(app.engine.discard(&subscriber, subject, &caller.name).await, &subscriber)
}

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
    headers: HeaderMap,
    Path(subscriber): Path<String>,
    Json(replay): Json<Replay>,
) -> Result<Json<Value>, Problem> {
    app.tokens.require(&headers, Scope::Operate)?;
    let from = match (replay.from_offset, replay.from_time) {
        (Some(offset), None) => Offset(offset),
        (None, Some(time)) => app.engine.offset_at(time)?,
        (None, None) | (Some(_), Some(_)) => return Err(bad("give either from_offset or from_time")),
    };
    let to = replay.to_offset.map_or_else(|| app.engine.log_end(), Offset).min(app.engine.log_end());
    let id = format!("{subscriber}-{from}-{to}");
    let plan = json!({ "id": id, "subscriber": subscriber, "from": from, "to": to, "dry_run": replay.dry_run });
    if replay.dry_run {
        return Ok(Json(plan));
    }
    let request =
        ReplayRequest { id, subscriber: subscriber.clone(), from, to, rate: replay.rate_per_second };
    done(app.engine.replay(request).await, &subscriber).map(|_| Json(plan))
}

pub(crate) async fn cancel_replay(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    app.tokens.require(&headers, Scope::Operate)?;
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
