//! Errors as RFC 9457 problem documents, with Writ's code and what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use writ_engine::error::EngineError;
use writ_engine::handle::{IntakeError, Refused};
use writ_model::code::{self, Code};
use writ_model::verdict::{CardFinding, Reason};

/// One problem document.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
    remedy: String,
    findings: Value,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>, remedy: &str) -> Self {
        Self { status, code, detail: detail.into(), remedy: remedy.to_owned(), findings: Value::Null }
    }

    pub(crate) fn with_findings(mut self, findings: Value) -> Self {
        self.findings = findings;
        self
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code::NOT_FOUND,
            what,
            "check the path; GET /v1/status lists the names",
        )
    }
}

/// The media type of RFC 9457.
const MEDIA_TYPE: &str = "application/problem+json";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, detail, remedy, findings } = self;
        let mut body = json!({
            "type": format!("urn:writ:error:{}", code.id),
            "title": code.title,
            "status": status.as_u16(),
            "detail": detail,
            "code": code.id,
            "remedy": remedy,
        });
        if !findings.is_null() {
            body["findings"] = findings;
        }
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Gives the framework's own refusals (a method that is not the path's, a query that does not parse) the form
/// of all others. Their text may quote the request, so it is not passed on.
pub(crate) async fn unify(response: Response) -> Response {
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == MEDIA_TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let detail = status.canonical_reason().unwrap_or("refused").to_lowercase();
    let remedy = "see docs/reference/http-api.md for what this path takes";
    let mut problem = Problem::new(status, code::REQUEST_INVALID, detail, remedy).into_response();
    if let Some(methods) = response.headers().get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, methods.clone());
    }
    problem
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let status = match error.code {
            code::SUBSCRIBER_UNKNOWN
            | code::REPLAY_UNKNOWN
            | code::HOLD_UNKNOWN
            | code::SAGA_UNKNOWN
            | code::CASE_UNKNOWN => StatusCode::NOT_FOUND,
            code::REQUEST_INVALID | code::FILTER_INVALID | code::STATUTE_UNKNOWN | code::REPORT_SIGNATURE => {
                StatusCode::BAD_REQUEST
            }
            code::REPLAY_REFUSED
            | code::SAGA_REFUSED
            | code::CASE_REFUSED
            | code::NOT_ERASED
            | code::REISSUE_REFUSED
            | code::NOT_PULLED
            | code::TOKEN_FOREIGN => StatusCode::CONFLICT,
            code::REQUEST_REUSED => StatusCode::UNPROCESSABLE_ENTITY,
            code::DISK_FULL => StatusCode::INSUFFICIENT_STORAGE,
            code::INTAKE_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.code, format!("{}: {}", error.tried, error.cause), &error.remedy)
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let status = match error.code {
            code::INTAKE_SIGNATURE | code::INTAKE_UNAUTHORISED => StatusCode::UNAUTHORIZED,
            code::INTAKE_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
            // Authentic and well formed, and yet nobody has said what to do with it.
            code::INTAKE_TOPIC => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.code, error.cause, &error.remedy)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (status, remedy) = match refused {
            Refused::Ended(_) | Refused::Fenced { .. } => (
                StatusCode::CONFLICT,
                "drop it and take the next lease; a remembered delivery id skips repeats",
            ),
            Refused::NotLeased(_) => (StatusCode::CONFLICT, "answer only deliveries of this lease"),
            Refused::Answered(_) => (StatusCode::CONFLICT, "the first word counts; leave it at that"),
            Refused::Crowded(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "stop a consumer, or raise consumers_max in writ.yaml")
            }
            Refused::Closed => (StatusCode::SERVICE_UNAVAILABLE, "wait for the next start"),
        };
        Self::new(status, refused.code(), refused.to_string(), remedy)
    }
}

/// A reason as it may leave: of a card finding, the path and the digits that PCI DSS 3.4.1 lets be shown. Its
/// keyed hash correlates numbers and stays inside.
pub(crate) fn shown(reason: &Reason) -> Value {
    let Reason::CardNumber { findings } = reason else {
        return serde_json::to_value(reason).unwrap_or_default();
    };
    let finding = |one: &CardFinding| json!({ "path": one.path, "first6": one.first6, "last4": one.last4 });
    json!({ "card_number": { "findings": findings.iter().map(finding).collect::<Vec<_>>() } })
}
