//! Sagas: ordered, looked at, gone on with without a recipient, taken back. Each act names its actor, and is durable
//! when it is answered.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use writ_engine::config::Period;
use writ_engine::handle::SagaRequest;
use writ_model::id::SubjectId;
use writ_model::saga::{Saga, SagaKind};
use writ_model::time::Timestamp;

use crate::App;
use crate::auth::Caller;
use crate::body::{self, is_text};
use crate::problem::Problem;
use crate::read::{Page, bad};
use crate::serve::Patience;

/// Largest body.
const BYTES_MAX: usize = 8 * 1024;

/// How long the keys of an erased person stay when nothing else is said: a day.
const KEEP_KEYS: Duration = Duration::from_secs(24 * 3600);

/// The longest time for it: ten years.
const KEEP_KEYS_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

/// The body of `POST /v1/sagas`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: SagaKind,
    subject: SubjectId,
    other: Option<SubjectId>,
    #[serde(default)]
    suppress_first: bool,
    keep_keys: Option<Period>,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn order(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    body: Body,
) -> Result<(StatusCode, Json<Saga>), Problem> {
    let asked: Asked = read(body, patience, "a saga").await?;
    let keep_keys = asked.keep_keys.map_or(KEEP_KEYS, |period| period.0);
    if !is_text(&asked.reason) || keep_keys > KEEP_KEYS_MAX {
        return Err(bad("a saga has a reason of 1 to 255 bytes, and keeps keys for ten years at most"));
    }
    let request = SagaRequest {
        kind: asked.kind,
        subject: asked.subject,
        other: asked.other,
        suppress_first: asked.suppress_first,
        keep_keys,
        reason: asked.reason,
        actor: caller.name,
        case: None,
    };
    if asked.dry_run {
        return Ok((StatusCode::OK, Json(app.engine.plan_saga(request).await?)));
    }
    Ok((StatusCode::CREATED, Json(app.engine.begin_saga(request).await?)))
}

pub(crate) async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<Value>, Problem> {
    let sagas = app.engine.sagas(page.after(), page.limit())?;
    let next = sagas.last().map(|saga| saga.id.clone());
    Ok(Json(json!({ "sagas": sagas, "next": next })))
}

pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Saga>, Problem> {
    Ok(Json(app.engine.saga(&id)?))
}

/// The body of `POST /v1/sagas/{id}/except`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Excepted {
    subscriber: String,
    until: Timestamp,
    reason: String,
}

pub(crate) async fn except(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Saga>, Problem> {
    let asked: Excepted = read(body, patience, "an exception").await?;
    if !is_text(&asked.reason) {
        return Err(bad("a reason has 1 to 255 bytes"));
    }
    let who = (asked.subscriber.as_str(), asked.until);
    Ok(Json(app.engine.except_in_saga(&id, who, (&asked.reason, &caller.name)).await?))
}

/// The body of `POST /v1/sagas/{id}/compensate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TakenBack {
    reason: String,
}

pub(crate) async fn compensate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Saga>, Problem> {
    let asked: TakenBack = read(body, patience, "{\"reason\": \"...\"}").await?;
    if !is_text(&asked.reason) {
        return Err(bad("a reason has 1 to 255 bytes"));
    }
    Ok(Json(app.engine.compensate_saga(&id, &asked.reason, &caller.name).await?))
}

async fn read<T: DeserializeOwned>(body: Body, patience: Patience, what: &str) -> Result<T, Problem> {
    body::json(body, (BYTES_MAX, patience.body), (what, "docs/reference/sagas.md")).await
}
