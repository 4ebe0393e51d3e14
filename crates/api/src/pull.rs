//! What consumers of a pulled subscriber ask: `GET …/events` takes a lease (long poll, or a stream of
//! server-sent events), `POST …/leases/{lease}` answers it, `…/extend` asks for more time.
//!
//! The lane behind it decides everything (ADR 0033); here requests are read and leases written.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use writ_engine::config::Period;
use writ_engine::handle::{Lease, LeaseId, ParcelItem, Refused, Words};
use writ_model::delivery::{Objection, Word};
use writ_model::id::DeliveryId;
use writ_schema::cloudevents;

use crate::problem::Problem;
use crate::read::{bad, parse};
use crate::routes::stopping;
use crate::serve::Patience;
use crate::{App, body, stream};

/// Polls and streams over all subscribers: half of the listener's connections, so that consumers who wait never
/// keep producers and operators out.
const WAITING_MAX: usize = 256;

/// Longest poll. Proxies commonly cut a silent request after a minute.
const WAIT_MAX: Duration = Duration::from_secs(60);
const WAIT_DEFAULT: Duration = Duration::from_secs(20);

/// Most events in one lease.
const EVENTS_MAX: usize = 1_000;

/// Largest body of answers: a thousand of them with room to spare.
const ANSWERS_BYTES_MAX: usize = 256 * 1024;

/// Places for polls and streams.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WAITING_MAX)))
    }
}

impl Room {
    fn enter(&self) -> Result<OwnedSemaphorePermit, Refused> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| Refused::Crowded(WAITING_MAX))
    }
}

/// The query of `GET /v1/subscribers/{name}/events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    wait: Option<Period>,
    max: Option<usize>,
}

impl Wanted {
    fn wait(&self) -> Result<Duration, Problem> {
        let wait = self.wait.map_or(WAIT_DEFAULT, |wait| wait.0);
        if wait <= WAIT_MAX { Ok(wait) } else { Err(bad("wait is longer than 60s")) }
    }

    fn max(&self) -> Result<usize, Problem> {
        let max = self.max.unwrap_or(EVENTS_MAX);
        if (1..=EVENTS_MAX).contains(&max) { Ok(max) } else { Err(bad("max is not within 1 to 1000")) }
    }
}

/// Leases events to the caller.
pub(crate) async fn events(
    State(app): State<App>,
    Extension(room): Extension<Room>,
    Path(subscriber): Path<String>,
    Query(wanted): Query<Wanted>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A lease is no safe thing to ask for in passing, and its events would be lost with the body.
    if method == Method::HEAD {
        return Ok((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response());
    }
    let (wait, max) = (wanted.wait()?, wanted.max()?);
    let mailbox = app.engine.mailbox(&subscriber)?;
    if !app.engine.is_running() {
        return Err(stopping());
    }
    let place = room.enter()?;
    let consumer = mailbox.enter()?;
    if wants_stream(&headers) {
        return Ok(stream::respond(stream::Source::new(consumer, place, max)));
    }
    Ok(match consumer.take(max, wait).await? {
        Some(lease) => batch(&lease),
        None => (StatusCode::NO_CONTENT, NO_STORE).into_response(),
    })
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(','));
    kinds.any(|kind| {
        let media_type = kind.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case(stream::MEDIA_TYPE)
    })
}

/// Leases are personal data and differ at every request.
pub(crate) const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

fn batch(lease: &Lease) -> Response {
    let mut body = vec![b'['];
    for (index, item) in lease.items.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        encode(item, &mut body);
    }
    body.push(b']');
    let named = [
        ("content-type", cloudevents::BATCH.to_owned()),
        ("writ-lease", lease.id.to_string()),
        ("writ-epoch", lease.id.epoch.0.to_string()),
        ("writ-lease-ms", lease.time.as_millis().to_string()),
    ];
    (NO_STORE, named, body).into_response()
}

/// The event as a JSON object with the extension `deliveryid`. Events are encoded once for all who see them so;
/// the id, which is this subscriber's own, is put in front.
pub(crate) fn encode(item: &ParcelItem, out: &mut Vec<u8>) {
    let event = item.view.structured();
    let members = event.strip_prefix(b"{").expect("a structured event is a JSON object with members");
    out.extend_from_slice(format!("{{\"deliveryid\":\"{}\",", item.delivery_id).as_bytes());
    out.extend_from_slice(members);
}

/// The body of `POST /v1/subscribers/{name}/leases/{lease}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    #[serde(default)]
    answers: Vec<Single>,
    rest: Option<Said>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Single {
    delivery: String,
    answer: Kind,
    cause: Option<Objection>,
    wait: Option<Period>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    answer: Kind,
    cause: Option<Objection>,
    wait: Option<Period>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Acknowledged,
    Rejected,
    Retry,
}

impl Said {
    fn word(&self) -> Result<Word, Problem> {
        match (self.answer, self.cause, self.wait) {
            (Kind::Acknowledged, None, None) => Ok(Word::Acknowledged),
            (Kind::Rejected, Some(cause), None) => Ok(Word::Rejected(cause)),
            (Kind::Retry, None, wait) => Ok(Word::Retry(wait.map(|wait| wait.0))),
            (Kind::Acknowledged | Kind::Rejected | Kind::Retry, _, _) => {
                Err(bad("rejected takes a cause, retry may take a wait, and nothing else takes either"))
            }
        }
    }
}

impl Single {
    fn word(&self) -> Result<(DeliveryId, Word), Problem> {
        let said = Said { answer: self.answer, cause: self.cause, wait: self.wait };
        Ok((parse(&self.delivery)?, said.word()?))
    }
}

impl Answers {
    fn words(&self) -> Result<Words, Problem> {
        if self.answers.is_empty() && self.rest.is_none() {
            return Err(bad("there is no answer in it"));
        }
        let items = self.answers.iter().map(Single::word).collect::<Result<_, _>>()?;
        Ok(Words { items, rest: self.rest.as_ref().map(Said::word).transpose()? })
    }
}

/// Takes a consumer's answers: all, or none.
pub(crate) async fn answer(
    State(app): State<App>,
    Extension(patience): Extension<Patience>,
    Path((subscriber, lease)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let mailbox = app.engine.mailbox(&subscriber)?;
    let lease: LeaseId = parse(&lease)?;
    let body = body::read(body, ANSWERS_BYTES_MAX, patience.body).await?;
    let answers: Answers = serde_json::from_slice(&body)
        .map_err(|_| bad("the body holds no answers: see docs/reference/subscribers/pull.md"))?;
    let left = mailbox.answer(lease, &answers.words()?)?;
    Ok(Json(json!({ "left": left })))
}

/// Begins the lease's time anew.
pub(crate) async fn extend(
    State(app): State<App>,
    Path((subscriber, lease)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let mailbox = app.engine.mailbox(&subscriber)?;
    let lease: LeaseId = parse(&lease)?;
    let left = mailbox.extend(lease)?;
    Ok(Json(json!({ "lease": lease.to_string(), "lease_ms": left.as_millis() })))
}
