//! `POST /v1/intake/{source}`: verify, decode, hand to the writer, answer when it is durable.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use writ_engine::config::Scope;
use writ_engine::handle::{Admitted, Intake};
use writ_model::code;
use writ_model::time::Timestamp;
use writ_model::verdict::{Reason, WithheldAs};

use crate::App;
use crate::problem::Problem;

/// Takes one request of a push source. The answer comes after the sync.
pub(crate) async fn take(
    State(app): State<App>,
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
    let body = read(body, app.body_bytes_max).await?;
    let plain = plain_headers(&headers);
    let request = Intake { headers: &plain, body: &body, received_at: received_at() };
    let changes = entry.source.decode(&request)?;
    let admitted = app.engine.submit(name, changes).await?;
    answer(&admitted, entry.source.is_self_authenticating())
}

async fn read(body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            code::INTAKE_TOO_LARGE,
            format!("the body is larger than {bytes_max} bytes"),
            "send smaller batches, or raise api.body_bytes_max in writ.yaml",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            code::INTAKE_JSON,
            "the body did not arrive whole",
            "send the request again",
        )),
    }
}

fn plain_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn received_at() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// One change is answered by its own status; several by a list. A sender that repeats on every refusal (a
/// self-authenticating webhook) gets 200 once its changes are durable, quarantine included.
fn answer(admitted: &[Admitted], is_webhook: bool) -> Result<Response, Problem> {
    if let ([Admitted::Conflict], false) = (admitted, is_webhook) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            code::INTAKE_CONFLICT,
            "this id was used before for other content; nothing was stored",
            "give each change an id of its own",
        ));
    }
    if let ([Admitted::Kept(id, kept, reason)], false) = (admitted, is_webhook) {
        return kept_alone(id, *kept, reason);
    }
    let results: Vec<_> = admitted.iter().map(result).collect();
    let is_new = admitted.iter().any(|one| matches!(one, Admitted::Accepted(_)));
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(json!({ "results": results }))).into_response())
}

fn kept_alone(
    id: &writ_model::id::EventId,
    kept: WithheldAs,
    reason: &Reason,
) -> Result<Response, Problem> {
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
        let body = json!({ "results": [{ "result": "held", "event_id": id, "reason": reason }] });
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    let detail = format!("event {id} is {}", kept.as_str());
    let findings = serde_json::to_value(reason).unwrap_or_default();
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, remedy).with_findings(findings))
}

fn result(admitted: &Admitted) -> serde_json::Value {
    match admitted {
        Admitted::Accepted(ids) => json!({ "result": "accepted", "event_ids": ids }),
        Admitted::Duplicate => json!({ "result": "duplicate" }),
        Admitted::Conflict => json!({ "result": "conflict" }),
        Admitted::Unchanged => json!({ "result": "unchanged" }),
        Admitted::Unmapped => json!({ "result": "unmapped" }),
        Admitted::Kept(id, kept, reason) => {
            json!({ "result": kept.as_str(), "event_id": id, "reason": reason })
        }
    }
}
