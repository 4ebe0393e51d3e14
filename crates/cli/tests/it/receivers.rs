//! Webhook receivers: real HTTP servers in the test's process that record what they acknowledge.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// 204, at once.
    Healthy,
    /// 204 after this long.
    Slow(Duration),
    /// 429 with `Retry-After: 1` for so many requests, then healthy.
    Throttling(u32),
    /// This status, for every request.
    Answering(u16),
    /// 200 with this body, which says that it took nothing.
    Saying(&'static str),
}

/// One event in one request that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// `webhook-id`: the delivery id; of a batch, the batch's id.
    pub(crate) webhook_id: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) subject: String,
    pub(crate) sequence: String,
    pub(crate) partition_key: String,
    pub(crate) after: Option<Map<String, Value>>,
    /// What is left of an erased event.
    pub(crate) is_tombstone: bool,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    subject: String,
    sequence: String,
    partitionkey: String,
    #[serde(default)]
    shredded: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    after: Option<Map<String, Value>>,
}

#[derive(Debug)]
struct Seen {
    behaviour: Behaviour,
    deliveries: Vec<Delivery>,
    /// Times that each event was acknowledged.
    counts: BTreeMap<String, u32>,
    refused: usize,
}

/// A receiver; stops listening when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    stop: watch::Sender<bool>,
}

impl Receiver {
    /// Listens on a free port and answers.
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let seen = Seen { behaviour, deliveries: Vec::new(), counts: BTreeMap::new(), refused: 0 };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let receiver = Self { address, seen: Arc::new(Mutex::new(seen)), stop: watch::Sender::new(false) };
        receiver.serve(listener);
        receiver
    }

    /// Has a port, refuses connections.
    pub(crate) async fn dead() -> Self {
        let receiver = Self::start(Behaviour::Healthy).await;
        receiver.stop.send_replace(true);
        receiver
    }

    /// Listens (again) on its port.
    pub(crate) async fn come_up(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("bind the receiver's port again");
        self.stop = watch::Sender::new(false);
        self.serve(listener);
    }

    /// Behaves differently from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Everything that was acknowledged, in order of arrival, with repeats.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// Different events that were acknowledged.
    pub(crate) fn events(&self) -> usize {
        self.lock().counts.len()
    }

    /// Requests that were not acknowledged.
    pub(crate) fn refused(&self) -> usize {
        self.lock().refused
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, listener: TcpListener) {
        let (seen, mut stop) = (Arc::clone(&self.seen), self.stop.subscribe());
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        tokio::spawn(connection(stream, Arc::clone(&seen), stopped.clone()));
                    }
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
        });
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn connection(stream: TcpStream, seen: Arc<Mutex<Seen>>, mut stop: watch::Receiver<bool>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A killed engine breaks its connections.
        _ = serving => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Seen>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let webhook_id = request.headers().get("webhook-id").and_then(|value| value.to_str().ok());
    let webhook_id = webhook_id.unwrap_or_default().to_owned();
    // A request that a kill cut short was not acknowledged and is sent again.
    let Ok(body) = request.into_body().collect().await else { return Ok(status(400)) };
    let behaviour = decide(&seen);
    if let Behaviour::Slow(wait) = behaviour {
        tokio::time::sleep(wait).await;
    }
    match behaviour {
        Behaviour::Healthy | Behaviour::Slow(_) => {}
        Behaviour::Throttling(_) => return Ok(status(429)),
        Behaviour::Answering(code) => return Ok(status(code)),
        Behaviour::Saying(text) => return Ok(Response::new(Full::from(text))),
    }
    record(&seen, &webhook_id, &body.to_bytes());
    Ok(status(204))
}

/// How this request is answered; a throttling receiver counts down.
fn decide(seen: &Mutex<Seen>) -> Behaviour {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let behaviour = seen.behaviour;
    match behaviour {
        Behaviour::Throttling(0) => return Behaviour::Healthy,
        Behaviour::Throttling(left) => seen.behaviour = Behaviour::Throttling(left - 1),
        Behaviour::Healthy | Behaviour::Slow(_) => return behaviour,
        Behaviour::Answering(_) | Behaviour::Saying(_) => {}
    }
    seen.refused += 1;
    behaviour
}

fn record(seen: &Mutex<Seen>, webhook_id: &str, body: &[u8]) {
    let events: Vec<Event> = if body.first() == Some(&b'[') {
        serde_json::from_slice(body).expect("a batch of events")
    } else {
        vec![serde_json::from_slice(body).expect("a structured event")]
    };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    for event in events {
        *seen.counts.entry(event.id.clone()).or_default() += 1;
        seen.deliveries.push(Delivery {
            webhook_id: webhook_id.to_owned(),
            event_id: event.id,
            event_type: event.event_type,
            subject: event.subject,
            sequence: event.sequence,
            partition_key: event.partitionkey,
            is_tombstone: event.shredded.as_deref() == Some("true") && event.data.is_none(),
            after: event.data.and_then(|data| data.after),
        });
    }
}

fn status(code: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(code).expect("a status code");
    if code == 429 {
        response.headers_mut().insert("retry-after", hyper::header::HeaderValue::from_static("1"));
    }
    response
}
