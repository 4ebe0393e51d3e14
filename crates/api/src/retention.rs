//! What would leave the log and why the rest stays, and legal holds. Each act names its actor, and is durable when
//! it is answered.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use writ_engine::handle::{HoldRequest, RetentionReport};
use writ_model::id::SubjectId;
use writ_model::replay::Selection;
use writ_model::retention::Hold;
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;

use crate::App;
use crate::auth::Caller;
use crate::body::{self, is_text};
use crate::problem::Problem;
use crate::read::bad;
use crate::serve::Patience;

/// Largest body of a hold: its largest part are the subjects.
const BYTES_MAX: usize = 64 * 1024;

/// Subjects in one hold at most: the index is asked for each, for every segment.
const SUBJECTS_MAX: usize = 256;

pub(crate) async fn report(State(app): State<App>) -> Result<Json<RetentionReport>, Problem> {
    Ok(Json(app.engine.retention().await?))
}

pub(crate) async fn holds(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "holds": app.engine.holds()? })))
}

/// The body of `POST /v1/holds`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    matter: String,
    reason: String,
    #[serde(default)]
    subjects: Vec<SubjectId>,
    #[serde(default)]
    change_types: Vec<ChangeType>,
    from_time: Option<Timestamp>,
    to_time: Option<Timestamp>,
}

pub(crate) async fn place(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    body: Body,
) -> Result<(StatusCode, Json<Hold>), Problem> {
    let body = body::read(body, BYTES_MAX, patience.body).await?;
    let asked: Asked = serde_json::from_slice(&body)
        .map_err(|_| bad("the body is not a hold: see docs/reference/http-api.md"))?;
    if !is_text(&asked.matter) || !is_text(&asked.reason) || asked.subjects.len() > SUBJECTS_MAX {
        return Err(bad("a hold has a matter and a reason of 1 to 255 bytes, and at most 256 subjects"));
    }
    let scope = Selection {
        subjects: asked.subjects,
        change_types: asked.change_types,
        from_time: asked.from_time,
        to_time: asked.to_time,
        ..Selection::default()
    };
    let (matter, reason) = (asked.matter, asked.reason);
    let hold = app.engine.place_hold(HoldRequest { matter, reason, scope, actor: caller.name }).await?;
    Ok((StatusCode::CREATED, Json(hold)))
}

/// The body of `POST /v1/holds/{id}/release`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    reason: String,
}

pub(crate) async fn release(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let body = body::read(body, BYTES_MAX, patience.body).await?;
    let release: Release =
        serde_json::from_slice(&body).map_err(|_| bad("the body is {\"reason\": \"...\"}"))?;
    if !is_text(&release.reason) {
        return Err(bad("a reason has 1 to 255 bytes"));
    }
    app.engine.release_hold(&id, &release.reason, &caller.name).await?;
    Ok(Json(json!({ "released": id })))
}
