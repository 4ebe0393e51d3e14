//! Replays: order one or see what it would send, look at it, pause, resume, slow and cancel it. Each act names
//! its actor, and is durable when it is answered.

use aws_lc_rs::digest;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use writ_engine::handle::{Act, ReplayRequest, ReplayStatus};
use writ_model::code;
use writ_model::id::{Offset, Sequence, Slot, SubjectId, SubscriberName, hex};
use writ_model::replay::{DeliveryIds, Selection, Shredded, Speed};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;

use crate::auth::Caller;
use crate::problem::Problem;
use crate::read::bad;
use crate::serve::Patience;
use crate::{App, body};

/// Largest body of a request for a replay: its largest part are the subjects.
const BYTES_MAX: usize = 64 * 1024;

/// Longest `Idempotency-Key`, and longest reason of a forced reissue.
const TEXT_MAX: usize = 255;

/// The body of `POST /v1/replays`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    subscriber: String,
    from_offset: Option<u64>,
    to_offset: Option<u64>,
    from_time: Option<Timestamp>,
    to_time: Option<Timestamp>,
    slot: Option<u16>,
    from_sequence: Option<u64>,
    to_sequence: Option<u64>,
    #[serde(default)]
    subjects: Vec<SubjectId>,
    #[serde(default)]
    change_types: Vec<ChangeType>,
    #[serde(default)]
    filters: Vec<Value>,
    #[serde(default)]
    rate_per_second: Speed,
    #[serde(default)]
    ids: DeliveryIds,
    #[serde(default)]
    shredded: Shredded,
    force: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn order(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(body, BYTES_MAX, patience.body).await?;
    let document: Value = serde_json::from_slice(&body).map_err(|_| not_a_replay())?;
    let written = document.to_string();
    let asked: Asked = serde_json::from_value(document).map_err(|_| not_a_replay())?;
    check(&asked)?;
    let is_dry = asked.dry_run;
    let request = request(&app, asked, &caller, &headers, &written)?;
    if is_dry {
        return Ok(Json(app.engine.plan_replay(request).await?).into_response());
    }
    let ordered = app.engine.order_replay(request).await?;
    let status = if ordered.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(ordered.status)).into_response())
}

fn not_a_replay() -> Problem {
    bad("the body is not a replay: see docs/reference/http-api.md")
}

fn check(asked: &Asked) -> Result<(), Problem> {
    let is_reissue = asked.ids == DeliveryIds::NewId;
    let is_reason = |text: &String| !text.trim().is_empty() && text.len() <= TEXT_MAX;
    if asked.from_offset.is_some() && asked.from_time.is_some() {
        return Err(bad("give either from_offset or from_time"));
    }
    if asked.to_offset.is_some() && asked.to_time.is_some() {
        return Err(bad("give either to_offset or to_time"));
    }
    if asked.slot.is_some_and(|slot| slot >= Slot::COUNT) {
        return Err(bad("slot is a number below 4096"));
    }
    if asked.force.as_ref().is_some_and(|reason| !is_reissue || !is_reason(reason)) {
        return Err(bad("force is the reason, in at most 255 bytes, for new-id where it would be refused"));
    }
    Ok(())
}

fn request(
    app: &App,
    asked: Asked,
    caller: &Caller,
    headers: &HeaderMap,
    written: &str,
) -> Result<ReplayRequest, Problem> {
    let unknown = || {
        let remedy = "see GET /v1/status for the names";
        Problem::new(StatusCode::NOT_FOUND, code::SUBSCRIBER_UNKNOWN, "no such subscriber", remedy)
    };
    let subscriber = SubscriberName::new(&asked.subscriber).map_err(|_| unknown())?;
    let (from, to) = range(app, &asked)?;
    Ok(ReplayRequest {
        subscriber,
        from,
        to,
        selection: Selection {
            subjects: asked.subjects,
            change_types: asked.change_types,
            from_time: asked.from_time,
            to_time: asked.to_time,
            slot: asked.slot.map(Slot::new),
            from_sequence: asked.from_sequence.map(Sequence),
            to_sequence: asked.to_sequence.map(Sequence),
            filters: asked.filters,
        },
        ids: asked.ids,
        shredded: asked.shredded,
        rate_per_second: app.engine.replay_rate(asked.rate_per_second),
        forced: asked.force,
        request: idempotency_key(headers)?.map_or_else(String::new, |key| sha256(&[&caller.name, key])),
        asked: sha256(&[written]),
        actor: caller.name.clone(),
    })
}

/// Times are made offsets by the index, a little too wide; the selection then compares them exactly.
fn range(app: &App, asked: &Asked) -> Result<(Offset, Option<Offset>), Problem> {
    let from = match (asked.from_offset, asked.from_time) {
        (Some(offset), _) => Offset(offset),
        (None, Some(time)) => app.engine.offset_at(time)?,
        (None, None) => Offset::ZERO,
    };
    let to = match (asked.to_offset, asked.to_time) {
        (Some(offset), _) => Some(Offset(offset)),
        (None, Some(time)) => app.engine.offset_before(time)?,
        (None, None) => None,
    };
    Ok((from, to))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= TEXT_MAX);
    key.map(Some).ok_or_else(|| bad("Idempotency-Key is 1 to 255 printable characters"))
}

/// Of these texts, each with its length before it.
fn sha256(texts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    hex(context.finish().as_ref())
}

pub(crate) async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "replays": app.engine.replays().await? })))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<ReplayStatus>, Problem> {
    Ok(Json(app.engine.replay(&id).await?))
}

type Acted = Result<Json<ReplayStatus>, Problem>;

pub(crate) async fn pause(state: State<App>, caller: Extension<Caller>, id: Path<String>) -> Acted {
    act(state, caller, id, Act::Pause).await
}

pub(crate) async fn resume(state: State<App>, caller: Extension<Caller>, id: Path<String>) -> Acted {
    act(state, caller, id, Act::Resume).await
}

pub(crate) async fn cancel(state: State<App>, caller: Extension<Caller>, id: Path<String>) -> Acted {
    act(state, caller, id, Act::Cancel).await
}

/// The body of `POST /v1/replays/{id}/rate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    rate_per_second: Speed,
}

pub(crate) async fn rate(
    state: State<App>,
    caller: Extension<Caller>,
    Extension(patience): Extension<Patience>,
    id: Path<String>,
    body: Body,
) -> Acted {
    let wrong =
        || bad("the body is {\"rate_per_second\": N}, at least 1, or \"max\", or null for the usual rate");
    let body = body::read(body, BYTES_MAX, patience.body).await?;
    let Rate { rate_per_second } = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let rate = state.0.engine.replay_rate(rate_per_second);
    act(state, caller, id, Act::Rate(rate)).await
}

async fn act(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    act: Act,
) -> Acted {
    Ok(Json(app.engine.act_on_replay(&id, act, &caller.name).await?))
}
