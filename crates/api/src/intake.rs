//! `POST /v1/intake/{source}`: verify, decode, hand to the writer, answer when it is durable.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use writ_engine::config::Scope;
use writ_engine::handle::{Admitted, Intake, Submitted};
use writ_model::code;
use writ_model::time::Timestamp;
use writ_model::verdict::{Reason, WithheldAs};

use crate::problem::{Problem, shown};
use crate::serve::Patience;
use crate::{App, body, causality as tokens};

/// Takes one request of a push source. The answer comes after the sync.
pub(crate) async fn take(
    State(app): State<App>,
    Extension(patience): Extension<Patience>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Some((name, entry)) = app.engine.push_source(&name) else {
        return Err(Problem::not_found("there is no push source of this name"));
    };
    if !entry.source.is_self_authenticating() {
        app.tokens.require(&headers, Scope::Ingest)?;
    }
    let body = body::read(body, app.body_bytes_max, patience.body).await?;
    let plain = plain_headers(&headers);
    let request = Intake { headers: &plain, body: &body, received_at: received_at() };
    let changes = entry.source.decode(&request)?;
    let Submitted { admitted, causality } = app.engine.submit(name, changes).await?;
    let mut response = answer(&admitted, entry.source.is_self_authenticating())?;
    response.headers_mut().insert(tokens::GIVEN, tokens::header(causality));
    Ok(response)
}

fn plain_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn received_at() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// One change is answered by its own status; several by a list, under 207 when some were not taken. A sender
/// that repeats on every refusal (a self-authenticating webhook) gets a success once its changes are durable,
/// quarantine included.
fn answer(admitted: &[Admitted], is_webhook: bool) -> Result<Response, Problem> {
    match (admitted, is_webhook) {
        ([Admitted::Unmapped | Admitted::Misfit(_)], _) => return Err(unmapped()),
        ([Admitted::Conflict], false) => return Err(conflict()),
        ([Admitted::Ahead(ahead_ms)], _) => return Err(ahead(*ahead_ms)),
        ([Admitted::Kept(id, kept, reason)], false) => return kept_alone(id, *kept, reason),
        _ => {}
    }
    let results: Vec<_> = admitted.iter().map(result).collect();
    let status = if admitted.len() > 1 && admitted.iter().any(is_refused) {
        StatusCode::MULTI_STATUS
    } else if admitted.iter().any(is_new) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(json!({ "results": results }))).into_response())
}

fn is_refused(admitted: &Admitted) -> bool {
    match admitted {
        Admitted::Conflict | Admitted::Ahead(_) | Admitted::Unmapped | Admitted::Misfit(_) => true,
        Admitted::Kept(_, kept, _) => *kept != WithheldAs::Held,
        Admitted::Accepted(_) | Admitted::Duplicate | Admitted::Stale | Admitted::Unchanged => false,
    }
}

fn is_new(admitted: &Admitted) -> bool {
    match admitted {
        Admitted::Accepted(_) | Admitted::Kept(..) => true,
        Admitted::Duplicate
        | Admitted::Conflict
        | Admitted::Stale
        | Admitted::Ahead(_)
        | Admitted::Unchanged
        | Admitted::Unmapped
        | Admitted::Misfit(_) => false,
    }
}

fn conflict() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        code::INTAKE_CONFLICT,
        "this id was used before for other content; nothing was stored",
        "give each change an id of its own",
    )
}

fn ahead(ahead_ms: u64) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        code::INTAKE_AHEAD,
        format!("the event's clock is {ahead_ms} ms ahead of this machine's; nothing was stored"),
        "set both machines' clocks, then send it again",
    )
}

fn unmapped() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        code::MAPPING_UNFIT,
        "the change does not fit the mapping of its table; nothing was stored",
        "correct `tables` of this source in writ.yaml, or the sender, then send it again",
    )
}

fn kept_alone(id: &writ_model::id::EventId, kept: WithheldAs, reason: &Reason) -> Result<Response, Problem> {
    let (code, remedy) = match reason {
        Reason::Schema { .. } => (code::GATE_SCHEMA, "correct the data and send it under a new id"),
        Reason::CardNumber { .. } => {
            (code::GATE_CARD_NUMBER, "send a token from your card vault, never a card number")
        }
        Reason::Policy { .. } | Reason::PolicyTimeout | Reason::ErasedSubject => {
            (code::GATE_REFUSED, "see the reason; the policy bundle decides")
        }
    };
    if kept == WithheldAs::Held {
        let body = json!({ "results": [{ "result": "held", "event_id": id, "reason": shown(reason) }] });
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    let detail = format!("event {id} is {}", kept.as_str());
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, remedy).with_findings(shown(reason)))
}

fn result(admitted: &Admitted) -> serde_json::Value {
    match admitted {
        Admitted::Accepted(ids) => json!({ "result": "accepted", "event_ids": ids }),
        Admitted::Duplicate => json!({ "result": "duplicate" }),
        Admitted::Conflict => json!({ "result": "conflict" }),
        Admitted::Stale => json!({ "result": "stale" }),
        Admitted::Ahead(ahead_ms) => json!({ "result": "ahead", "ahead_ms": ahead_ms }),
        Admitted::Unchanged => json!({ "result": "unchanged" }),
        Admitted::Unmapped | Admitted::Misfit(_) => json!({ "result": "unmapped" }),
        Admitted::Kept(id, kept, reason) => {
            json!({ "result": kept.as_str(), "event_id": id, "reason": shown(reason) })
        }
    }
}
