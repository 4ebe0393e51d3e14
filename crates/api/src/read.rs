//! What can be read: status, events, subjects, dead letters, withheld events.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use writ_engine::handle::{Report, Trace};
use writ_model::code;
use writ_model::control::Withheld;
use writ_model::id::{EventId, Offset, SubjectId};

use crate::App;
use crate::problem::{Problem, shown};

/// Rows in one page at most.
const PAGE_MAX: usize = 1000;

/// Where a page begins and how long it is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

impl Page {
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, PAGE_MAX)
    }

    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

pub(crate) async fn status(State(app): State<App>) -> Json<Report> {
    Json(app.engine.status().await)
}

pub(crate) async fn event(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Trace>, Problem> {
    let id: EventId = parse(&id)?;
    app.engine
        .trace_event(id)
        .await?
        .map(Json)
        .ok_or_else(|| unknown(&format!("no event {id} in this store")))
}

pub(crate) async fn subject(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let id: SubjectId = parse(&id)?;
    let after = page.after.as_deref().map(parse::<u64>).transpose()?.map(Offset);
    let events = app.engine.trace_subject(id, after, page.limit()).await?;
    if events.is_empty() && after.is_none() {
        return Err(unknown(&format!("no events of subject {id} in this store")));
    }
    let next = events.last().map(|event| event.offset.to_string());
    Ok(Json(json!({ "events": events, "next": next })))
}

pub(crate) async fn dead_letters(
    State(app): State<App>,
    Path(subscriber): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let after = page.after.as_deref().map(place).transpose()?;
    let letters = app.engine.dead_letters(&subscriber, after, page.limit())?;
    let next = letters.last().map(|letter| format!("{}.{}", letter.subject_id, letter.offset));
    Ok(Json(json!({ "dead_letters": letters, "next": next })))
}

pub(crate) async fn withheld(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let after = page.after.as_deref().map(parse::<EventId>).transpose()?;
    let events = app.engine.withheld(after, page.limit())?;
    let next = events.last().map(|event| event.event_id);
    Ok(Json(json!({ "withheld": events.iter().map(outside).collect::<Vec<_>>(), "next": next })))
}

/// An event outside the stream, without its sealed payload: it is nobody's business here.
fn outside(event: &Withheld) -> Value {
    json!({
        "event_id": event.event_id,
        "withheld": event.withheld,
        "reason": shown(&event.reason),
        "source": event.source,
        "change_type": event.change_type,
        "subject_id": event.subject_id,
        "policy": event.policy,
        "at": event.at,
    })
}

pub(crate) async fn findings(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "findings": app.engine.findings()? })))
}

fn place(text: &str) -> Result<(SubjectId, Offset), Problem> {
    let (subject, offset) = text.split_once('.').ok_or_else(|| bad("after is <subject>.<offset>"))?;
    Ok((parse(subject)?, Offset(parse(offset)?)))
}

pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| bad("not an id of this kind"))
}

pub(crate) fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code::REQUEST_INVALID, detail, "correct the request")
}

fn unknown(detail: &str) -> Problem {
    let remedy = "ids are printed by `writ trace`, in the webhook's ce-id header and in the audit log";
    Problem::new(StatusCode::NOT_FOUND, code::TRACE_UNKNOWN, detail, remedy)
}
