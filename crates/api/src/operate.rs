//! What operators may do to a subscriber: pause, resume, redrive, discard. Replays are in `replays.rs`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};
use writ_model::code;
use writ_model::id::SubjectId;

use crate::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::read::parse;

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

fn done(is_found: bool, subscriber: &str) -> Result<Json<Value>, Problem> {
    if is_found {
        return Ok(Json(json!({ "done": true })));
    }
    let detail = format!("no subscriber {subscriber:?}");
    let remedy = "see GET /v1/status for the names";
    Err(Problem::new(StatusCode::NOT_FOUND, code::SUBSCRIBER_UNKNOWN, detail, remedy))
}
