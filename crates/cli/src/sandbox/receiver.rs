//! One receiver: an HTTP/1.1 server on a loopback port of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::record::Delivery;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// 204, at once.
    Healthy,
    /// 429 with `Retry-After: 1` for so many requests, then healthy.
    Throttling(u32),
    /// 204, so long after the request.
    Slow(Duration),
    /// 202, at once: the request is taken, and no more is said.
    Accepting,
    /// 404 to a request with an erasure: there is nobody to erase.
    AlreadyGone,
    /// 409 to an erasure of somebody whom it was not told to suppress before.
    SuppressFirst,
}

#[derive(Debug)]
struct Seen {
    behaviour: Behaviour,
    deliveries: Vec<Delivery>,
    /// Events, those that were not kept included.
    arrived: u64,
    keeps: fn(&Delivery) -> bool,
    refusals: Vec<Instant>,
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
    pub(crate) async fn start(behaviour: Behaviour) -> std::io::Result<Self> {
        Self::keeping(behaviour, |_| true).await
    }

    /// The same, and remembers only some of the deliveries; the others are counted.
    pub(crate) async fn keeping(behaviour: Behaviour, keeps: fn(&Delivery) -> bool) -> std::io::Result<Self> {
        let seen = Seen { behaviour, deliveries: Vec::new(), arrived: 0, keeps, refusals: Vec::new() };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self {
            address: listener.local_addr()?,
            seen: Arc::new(Mutex::new(seen)),
            stop: watch::channel(false).0,
        };
        receiver.serve(listener);
        Ok(receiver)
    }

    /// Has a port, refuses connections.
    pub(crate) async fn down() -> std::io::Result<Self> {
        let receiver = Self::start(Behaviour::Healthy).await?;
        receiver.stop.send_replace(true);
        Ok(receiver)
    }

    /// Refuses connections from now on.
    pub(crate) fn go_down(&self) {
        self.stop.send_replace(true);
    }

    /// Listens again on its port.
    pub(crate) async fn come_up(&mut self) -> std::io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.stop = watch::channel(false).0;
        self.serve(listener);
        Ok(())
    }

    /// Behaves differently from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// How many events arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.lock().arrived
    }

    /// The first kept delivery that is like this.
    pub(crate) fn find(&self, is_it: impl Fn(&Delivery) -> bool) -> Option<Delivery> {
        self.lock().deliveries.iter().find(|one| is_it(one)).cloned()
    }

    /// When requests were refused with 429.
    pub(crate) fn refusals(&self) -> Vec<Instant> {
        self.lock().refusals.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    fn serve(&self, listener: TcpListener) {
        let (seen, mut stop) = (Arc::clone(&self.seen), self.stop.subscribe());
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        tokio::spawn(connection(TokioIo::new(stream), Arc::clone(&seen), stopped.clone()));
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

async fn connection(
    io: TokioIo<tokio::net::TcpStream>,
    seen: Arc<Mutex<Seen>>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    tokio::select! {
        _ = serving => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Seen>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let delivery_id = header(&request, "webhook-id");
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let behaviour = lock(&seen).behaviour;
    if let Behaviour::Slow(wait) = behaviour {
        tokio::time::sleep(wait).await;
    }
    Ok(response(lock(&seen).take(&body, &delivery_id)))
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// One request, and how it is answered.
    fn take(&mut self, body: &[u8], delivery_id: &str) -> StatusCode {
        if let Behaviour::Throttling(left @ 1..) = self.behaviour {
            self.behaviour = Behaviour::Throttling(left - 1);
            self.refusals.push(Instant::now());
            return StatusCode::TOO_MANY_REQUESTS;
        }
        let events = serde_json::from_slice(body).unwrap_or(serde_json::Value::Null);
        let events = events.as_array().cloned().unwrap_or_else(|| vec![events]);
        if let Some(refusal) = self.refusal(&events) {
            return refusal;
        }
        for event in events {
            self.arrived += 1;
            let delivery = Delivery::from_structured(&event, delivery_id, self.arrived);
            self.deliveries.extend((self.keeps)(&delivery).then_some(delivery));
        }
        if self.behaviour == Behaviour::Accepting { StatusCode::ACCEPTED } else { StatusCode::NO_CONTENT }
    }

    fn refusal(&self, events: &[serde_json::Value]) -> Option<StatusCode> {
        let is = |event: &serde_json::Value, kind: &str| {
            event["type"].as_str().is_some_and(|name| name.split('.').any(|part| part == kind))
        };
        let mut erasures = events.iter().filter(|event| is(event, "erasure"));
        let is_suppressed = |subject: &serde_json::Value| {
            let told = |one: &Delivery| one.event_type.contains(".suppression.") && *subject == one.subject;
            self.deliveries.iter().any(told)
        };
        match self.behaviour {
            Behaviour::AlreadyGone => erasures.next().map(|_| StatusCode::NOT_FOUND),
            Behaviour::SuppressFirst => {
                erasures.find(|event| !is_suppressed(&event["subject"])).map(|_| StatusCode::CONFLICT)
            }
            _ => None,
        }
    }
}

fn header(request: &Request<Incoming>, name: &str) -> String {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn response(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", hyper::header::HeaderValue::from_static("1"));
    }
    response
}
