//! Leases as a stream of server-sent events (WHATWG HTML, section 9.2): for each lease an event `lease`, then its
//! events, each under its delivery id. The next lease is sent when the one before has ended.
//!
//! The stream holds its lease: when the connection goes, what was not answered is given back at once.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use writ_engine::handle::{Consumer, Lease, LeaseId};

use crate::pull::{NO_STORE, encode};

/// What a client names in `accept`.
pub(crate) const MEDIA_TYPE: &str = "text/event-stream";

/// A comment is sent after so long a silence, as the standard advises (section 9.2.7), so that proxies keep the
/// connection and a dead one is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What the stream sends next, and what it goes on with.
type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Source)>> + Send>>;

/// One consumer, one lease at a time.
pub(crate) struct Source {
    consumer: Consumer,
    _place: OwnedSemaphorePermit,
    events_max: usize,
    lease: Option<LeaseId>,
}

impl Source {
    pub(crate) fn new(consumer: Consumer, place: OwnedSemaphorePermit, events_max: usize) -> Self {
        Self { consumer, _place: place, events_max, lease: None }
    }

    /// The next bytes; `None` when the engine stops.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(lease) = self.lease {
            if tokio::time::timeout(HEARTBEAT, self.consumer.ended(lease)).await.is_err() {
                return Some((heartbeat(), self));
            }
            self.lease = None;
        }
        match self.consumer.take(self.events_max, HEARTBEAT).await {
            Ok(Some(lease)) => {
                self.lease = Some(lease.id);
                Some((flush(&lease), self))
            }
            Ok(None) => Some((heartbeat(), self)),
            Err(_) => None,
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(lease) = self.lease {
            self.consumer.give_back(lease);
        }
    }
}

fn heartbeat() -> Bytes {
    Bytes::from_static(b":\n\n")
}

fn flush(lease: &Lease) -> Bytes {
    let head = json!({
        "lease": lease.id.to_string(),
        "epoch": lease.id.epoch.0,
        "lease_ms": u64::try_from(lease.time.as_millis()).unwrap_or(u64::MAX),
        "events": lease.items.len(),
    });
    let mut out = format!("event: lease\ndata: {head}\n\n").into_bytes();
    for item in &lease.items {
        out.extend_from_slice(format!("id: {}\ndata: ", item.delivery_id).as_bytes());
        let start = out.len();
        encode(item, &mut out);
        debug_assert!(!out[start..].contains(&b'\n'), "an event is encoded on one line");
        out.extend_from_slice(b"\n\n");
    }
    Bytes::from(out)
}

/// The endless answer.
pub(crate) fn respond(source: Source) -> Response {
    let kind = [(header::CONTENT_TYPE, MEDIA_TYPE)];
    let stream = Stream { next: Some(Box::pin(source.next())) };
    (NO_STORE, kind, Body::new(stream)).into_response()
}

struct Stream {
    next: Option<Next>,
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let Poll::Ready(done) = next.as_mut().poll(context) else { return Poll::Pending };
        let Some((bytes, source)) = done else {
            self.next = None;
            return Poll::Ready(None);
        };
        self.next = Some(Box::pin(source.next()));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
