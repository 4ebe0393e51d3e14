//! Errors as RFC 9457 problem documents, with Writ's code and what to do.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use writ_engine::handle::IntakeError;
use writ_engine::error::EngineError;
use writ_model::code::{self, Code};

/// One problem document.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    remedy: String,
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    findings: serde_json::Value,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>, remedy: &str) -> Self {
        Self {
            kind: format!("urn:writ:error:{}", code.id),
            title: code.title,
            status: status.as_u16(),
            detail: detail.into(),
            code: code.id,
            remedy: remedy.to_owned(),
            findings: serde_json::Value::Null,
        }
    }

    pub(crate) fn with_findings(mut self, findings: serde_json::Value) -> Self {
        self.findings = findings;
        self
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code::NOT_FOUND, what, "check the path; GET /v1/status lists the names")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let status = if error.code == code::SUBSCRIBER_UNKNOWN {
            StatusCode::NOT_FOUND
        } else if error.code == code::DISK_FULL {
            StatusCode::INSUFFICIENT_STORAGE
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        Self::new(status, error.code, format!("{}: {}", error.tried, error.cause), &error.remedy)
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let status = if error.code == code::INTAKE_SIGNATURE || error.code == code::INTAKE_UNAUTHORISED {
            StatusCode::UNAUTHORIZED
        } else if error.code == code::INTAKE_TOO_LARGE {
            StatusCode::PAYLOAD_TOO_LARGE
        } else {
            StatusCode::BAD_REQUEST
        };
        Self::new(status, error.code, error.cause, &error.remedy)
    }
}
