//! Reads a request's body: never more than its bound, never for longer than the listener's patience.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use writ_model::code;

use crate::problem::Problem;
use crate::read::bad;

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

/// The whole body as JSON of this form; `what` it should be, and the page that says so. The parser's own words would quote
/// the body, and are left out.
pub(crate) async fn json<T: DeserializeOwned>(
    body: Body,
    (bytes_max, wait): (usize, Duration),
    (what, page): (&str, &str),
) -> Result<T, Problem> {
    let body = read(body, bytes_max, wait).await?;
    serde_json::from_slice(&body).map_err(|_| bad(&format!("the body is not {what}: see {page}")))
}

/// Longest text of an operator's: a reason, a note, a name.
pub(crate) const TEXT_MAX: usize = 255;

/// It says something, in 1 to 255 bytes.
pub(crate) fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= TEXT_MAX
}

fn incomplete(status: StatusCode, detail: String) -> Problem {
    Problem::new(status, code::INTAKE_INCOMPLETE, detail, "send the request again; nothing of it was stored")
}
