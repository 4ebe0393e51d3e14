//! Privacy cases: opened, verified, looked at, reported to, excepted, answered. Each act names its actor, and is durable
//! when it is answered.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use writ_engine::config::Period;
use writ_engine::handle::{CaseRequest, Said, Step};
use writ_model::case::{Case, Outcome, Right};
use writ_model::id::{EventId, SubjectId};
use writ_model::time::Timestamp;

use crate::App;
use crate::auth::Caller;
use crate::body::{self, is_text};
use crate::problem::Problem;
use crate::read::{Page, bad};
use crate::serve::Patience;

/// Largest body.
const BYTES_MAX: usize = 8 * 1024;

/// How a request came in that nobody says more of.
const INTAKE: &str = "api";

/// The body of `POST /v1/cases`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    right: Right,
    subject: SubjectId,
    law: String,
    statute_right: Option<String>,
    received_at: Timestamp,
    zone: Option<String>,
    calendar: Option<String>,
    intake: Option<String>,
    reference: Option<String>,
    event: Option<EventId>,
    suppress_first: Option<bool>,
    observe: Option<Period>,
    note: String,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn open(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    body: Body,
) -> Result<(StatusCode, Json<Case>), Problem> {
    let asked: Asked = read(body, patience, "a case").await?;
    let texts = [Some(&asked.note), asked.intake.as_ref(), asked.reference.as_ref()];
    if !texts.into_iter().flatten().all(|text| is_text(text)) {
        return Err(bad("note, intake and reference have 1 to 255 bytes"));
    }
    let request = CaseRequest {
        right: asked.right,
        subject: asked.subject,
        law: asked.law,
        statute_right: asked.statute_right,
        received_at: asked.received_at,
        zone: asked.zone,
        calendar: asked.calendar,
        intake: asked.intake.unwrap_or_else(|| INTAKE.to_owned()),
        reference: asked.reference,
        event_id: asked.event,
        suppress_first: asked.suppress_first,
        observe: asked.observe.map(|period| period.0),
        note: asked.note,
        actor: caller.name,
    };
    if asked.dry_run {
        return Ok((StatusCode::OK, Json(app.engine.plan_case(request).await?)));
    }
    Ok((StatusCode::CREATED, Json(app.engine.open_case(request).await?)))
}

pub(crate) async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<Value>, Problem> {
    let cases = app.engine.cases(page.after(), page.limit())?;
    let next = cases.last().map(|case| case.id.clone());
    Ok(Json(json!({ "cases": cases, "next": next })))
}

pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(app.engine.described_case(&id)?))
}

/// What a person does about a whole case.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Verify,
    Acknowledge,
    Answer,
    Extend,
    Withdraw,
    Deny,
}

/// The body of `POST /v1/cases/{id}/acts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acted {
    act: Word,
    note: String,
}

pub(crate) async fn act(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Case>, Problem> {
    let asked: Acted = noted(body, patience, "an act", |acted: &Acted| &acted.note).await?;
    let by = (caller.name.as_str(), asked.note.as_str());
    let step = match asked.act {
        Word::Verify => Step::Verify,
        Word::Acknowledge => Step::Acknowledge,
        Word::Answer => Step::Answer,
        Word::Withdraw => Step::Withdraw,
        Word::Deny => Step::Deny,
        Word::Extend => return Ok(Json(app.engine.extend_case(&id, by).await?)),
    };
    Ok(Json(app.engine.act_on_case(&id, step, by).await?))
}

/// The body of `POST /v1/cases/{id}/recipients/{name}/reports`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reported {
    outcome: Outcome,
    signature: Option<String>,
    #[serde(default)]
    checked: bool,
    note: String,
}

pub(crate) async fn report(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path((id, recipient)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Case>, Problem> {
    let asked: Reported = noted(body, patience, "a report", |asked: &Reported| &asked.note).await?;
    if !is_text(&recipient) {
        return Err(bad("a recipient's name has 1 to 255 bytes"));
    }
    let Reported { outcome, signature, checked, note } = asked;
    let said = Said { outcome, signature, is_own: false, is_checked: checked, note, actor: caller.name };
    Ok(Json(app.engine.report_to_case(&id, &recipient, said).await?))
}

/// The body of `POST /v1/subscribers/{name}/cases/{id}/report`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    outcome: Outcome,
    signature: Option<String>,
    note: String,
}

/// A subscriber's own word, under its own token. It is told how it stands itself, and nothing of others.
pub(crate) async fn report_own(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path((recipient, id)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let asked: Own = noted(body, patience, "a report", |asked: &Own| &asked.note).await?;
    let Own { outcome, signature, note } = asked;
    let said = Said { outcome, signature, is_own: true, is_checked: false, note, actor: caller.name };
    let case = app.engine.report_to_case(&id, &recipient, said).await?;
    let own = case.recipients.get(&recipient);
    Ok(Json(json!({ "case": case.id, "state": own.map(|one| one.state), "grade": own.map(|one| one.grade) })))
}

/// The query of `GET /v1/cases/{id}/recipients/{name}/statement`.
#[derive(Debug, Deserialize)]
pub(crate) struct Of {
    outcome: Outcome,
}

pub(crate) async fn statement(
    State(app): State<App>,
    Path((id, recipient)): Path<(String, String)>,
    Query(of): Query<Of>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "statement": app.engine.statement_of_case(&id, &recipient, of.outcome)? })))
}

/// The body of `POST /v1/cases/{id}/recipients/{name}/exception`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Excepted {
    until: Timestamp,
    note: String,
}

pub(crate) async fn except(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path((id, recipient)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Case>, Problem> {
    let asked: Excepted = noted(body, patience, "an exception", |asked: &Excepted| &asked.note).await?;
    let whom = (recipient.as_str(), asked.until);
    Ok(Json(app.engine.except_in_case(&id, whom, (&caller.name, &asked.note)).await?))
}

/// The body of `POST /v1/cases/{id}/recipients/{name}/exception/approve`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    note: String,
}

pub(crate) async fn approve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path((id, recipient)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Case>, Problem> {
    let asked: Noted = noted(body, patience, "{\"note\": \"...\"}", |asked: &Noted| &asked.note).await?;
    Ok(Json(app.engine.approve_in_case(&id, &recipient, (&caller.name, &asked.note)).await?))
}

pub(crate) async fn recipients(
    State(app): State<App>,
    Path(subject): Path<SubjectId>,
) -> Result<Json<Value>, Problem> {
    let names = app.engine.disclosed_to(subject).await?;
    Ok(Json(json!({ "subject": subject, "disclosed_to": names })))
}

/// The body of `POST /v1/subjects/{id}/readmit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    basis: String,
    evidence: String,
}

pub(crate) async fn readmit(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(patience): Extension<Patience>,
    Path(subject): Path<SubjectId>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let asked: Again = read(body, patience, "a basis with its evidence").await?;
    if !is_text(&asked.basis) || !is_text(&asked.evidence) {
        return Err(bad("basis and evidence have 1 to 255 bytes"));
    }
    let life = app.engine.readmit(subject, (&asked.basis, &asked.evidence), &caller.name).await?;
    Ok(Json(json!({ "subject": subject, "generation": life })))
}

/// A body whose note is a text.
async fn noted<T: DeserializeOwned>(
    body: Body,
    patience: Patience,
    what: &str,
    note: impl Fn(&T) -> &String,
) -> Result<T, Problem> {
    let asked: T = read(body, patience, what).await?;
    if is_text(note(&asked)) { Ok(asked) } else { Err(bad("a note has 1 to 255 bytes")) }
}

async fn read<T: DeserializeOwned>(body: Body, patience: Patience, what: &str) -> Result<T, Problem> {
    body::json(body, (BYTES_MAX, patience.body), (what, "docs/reference/cases.md")).await
}
