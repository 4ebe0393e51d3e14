//! Reads a request's body: never more than its bound, never for longer than the listener's patience.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use writ_model::code;

use crate::problem::Problem;

/// The whole body.
pub(crate) async fn read(body: Body, bytes_max: usize, wait: Duration) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(wait, Limited::new(body, bytes_max).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            code::INTAKE_TOO_LARGE,
            format!("the body is larger than {bytes_max} bytes"),
            "send smaller batches, or raise api.body_bytes_max in writ.yaml",
        )),
        Ok(Err(_)) => Err(incomplete(StatusCode::BAD_REQUEST, "the body broke off".to_owned())),
        Err(_) => {
            let detail = format!("the body did not arrive within {} ms", wait.as_millis());
            Err(incomplete(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}

fn incomplete(status: StatusCode, detail: String) -> Problem {
    Problem::new(status, code::INTAKE_INCOMPLETE, detail, "send the request again; nothing of it was stored")
}
