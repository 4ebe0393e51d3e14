//! Subscriber `webhook`: CloudEvents over HTTP, signed as Standard Webhooks say (ADR 0014).
//!
//! Exactly one attempt: no retry, no redirect, no proxy from the environment. It asks for no delivery
//! permission first (the OPTIONS handshake of CloudEvents HTTP webhooks).

mod address;
mod connection;
mod read_back;
mod request;
mod settings;
mod signature;

#[cfg(test)]
mod proof_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use std::time::Duration;

use aws_lc_rs::digest;
use http::{HeaderMap, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};
use writ_model::delivery::{Answer, AnswerBody, Fault, HttpAnswer, Presence, Wants};
use writ_model::guarantee::{Mechanism, Proof};
use writ_model::id::AnswerDigest;
use writ_model::taxonomy::ChangeType;

use crate::descriptor::{Build, Descriptor, Provable};
use crate::source::BoxFuture;
use crate::subscriber::{Parcel, Subscriber};
use connection::{Link, Pool, Target, dial};
use read_back::ReadBack;
use request::{Ready, Template};

/// Most bytes of an answer's body that are read; of a longer one only the head counts.
const ANSWER_BODY_BYTES_MAX: usize = 64 * 1024;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "webhook",
    summary: "CloudEvents over HTTP, signed as Standard Webhooks",
    stability: "stable",
    secrets: &["secrets", "secret_headers"],
    example: "\
url: https://crm.example.com/hooks/writ
# binary (default), structured, or batch for receivers that take arrays.
mode: structured
# Standard Webhooks secrets (whsec_...); while one is rotated, each request is signed with both.
secrets: [env:CRM_WEBHOOK_SECRET]
headers: {x-shop: main}
# Only where the receiver documents that it drops repeated ids; proves exactly-once effect.
idempotency_key: {retention_hours: 720, source: https://crm.example.com/docs/idempotency}
timeout_ms: 15000
# Private addresses are refused unless their network is named here.
allow_addresses: [10.20.0.0/16]
",
    mechanisms: &[
        Provable {
            mechanism: Mechanism::IdempotencyKey,
            needs: "idempotency_key: how long the receiver drops repeated delivery ids, and where it says so",
        },
        Provable {
            mechanism: Mechanism::Probe,
            needs: "probe, with fenced and reads_own_writes where the receiver documents both",
        },
        Provable {
            mechanism: Mechanism::IdempotentOperation,
            needs: "idempotent: the change types that the receiver may be asked for again, guarded by generation",
        },
    ],
    config_schema: settings::config_schema,
    build: Build::Subscriber(settings::build),
};

/// One endpoint.
struct Webhook {
    target: Target,
    template: Template,
    timeout: Duration,
    batch_max: usize,
    /// How long the receiver drops a repeated delivery id, as the operator states it.
    remembers: Option<Duration>,
    /// Change types that it may be asked for again without another effect.
    idempotent: Vec<ChangeType>,
    /// How an event is looked for, where the receiver shows it.
    probe: Option<ReadBack>,
    pool: Pool,
    wants: Wants,
}

impl Subscriber for Webhook {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let deadline = Instant::now() + self.timeout;
            let ready = match self.template.fill(&parcel) {
                Ok(ready) => ready,
                Err(fault) => return Answer::Failed(fault),
            };
            match self.attempt(ready, deadline).await {
                Ok(answer) => Answer::Http(answer),
                Err(fault) => Answer::Failed(fault),
            }
        })
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn hand_over(&mut self, wants: Wants) -> bool {
        self.wants = wants;
        true
    }

    fn can_probe(&self) -> bool {
        self.probe.is_some()
    }

    fn probe(&self, parcel: Parcel) -> BoxFuture<'_, Presence> {
        Box::pin(async move {
            let (Some(probe), [item]) = (&self.probe, parcel.items.as_slice()) else {
                return Presence::Unknown(Fault::Unsendable);
            };
            let deadline = Instant::now() + self.timeout;
            match probe.request(item, &self.template.headers) {
                Ok(ready) => read_back::presence(&self.attempt(ready, deadline).await),
                Err(fault) => Presence::Unknown(fault),
            }
        })
    }

    fn proofs(&self) -> Vec<Proof> {
        let key = self.remembers.map(|_| Proof::of_all(Mechanism::IdempotencyKey, self.remembers));
        let probe = self.probe.as_ref().filter(|probe| probe.is_proof);
        let probe = probe.map(|_| Proof::of_all(Mechanism::Probe, None));
        let again = (!self.idempotent.is_empty()).then(|| Proof {
            change_types: self.idempotent.clone(),
            ..Proof::of_all(Mechanism::IdempotentOperation, None)
        });
        key.into_iter().chain(probe).chain(again).collect()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let dialled = dial(&self.target, Instant::now() + self.timeout).await;
            dialled.map(drop).map_err(|fault| explain(fault, &self.target))
        })
    }
}

fn explain(fault: Fault, target: &Target) -> String {
    let host = &target.host;
    match fault {
        Fault::Resolve => format!("{host} does not resolve"),
        Fault::AddressRefused => format!(
            "{}: every address of {host} is private or special; name its network in allow_addresses",
            writ_model::code::ADDRESS_REFUSED
        ),
        Fault::Tls => {
            format!("TLS with {host}:{} failed; check its certificate and `tls_roots`", target.port)
        }
        Fault::Connect
        | Fault::SendBroken
        | Fault::AnswerBroken
        | Fault::Timeout
        | Fault::LocalSink
        | Fault::Unsendable
        | Fault::Refused
        | Fault::Conflict
        | Fault::Fenced
        | Fault::Unready
        | Fault::NotTaken
        | Fault::LeaseExpired => format!("no connection to {host}:{}", target.port),
    }
}

impl Webhook {
    /// One attempt. An idle connection that turns out to be closed is replaced by a new one only when not a
    /// single byte of the request had left for it.
    async fn attempt(&self, ready: Ready, deadline: Instant) -> Result<HttpAnswer, Fault> {
        if let Some(link) = self.pool.take().await {
            let spare = ready.request.clone();
            match self.exchange(link, ready.request, ready.bytes_min, deadline).await {
                Err(Broken { fault: Fault::SendBroken, written: 0 }) => {
                    let ready = Ready { request: spare, bytes_min: ready.bytes_min };
                    return self.on_new_connection(ready, deadline).await;
                }
                done => return done.map_err(|broken| broken.fault),
            }
        }
        self.on_new_connection(ready, deadline).await
    }

    async fn on_new_connection(&self, ready: Ready, deadline: Instant) -> Result<HttpAnswer, Fault> {
        let link = dial(&self.target, deadline).await?;
        self.exchange(link, ready.request, ready.bytes_min, deadline).await.map_err(|broken| broken.fault)
    }

    /// Writes the request once and reads the answer. The connection is kept only when both ended well.
    async fn exchange(
        &self,
        mut link: Link,
        request: http::Request<http_body_util::Full<bytes::Bytes>>,
        bytes_min: u64,
        deadline: Instant,
    ) -> Result<HttpAnswer, Broken> {
        let before = link.written();
        let done = timeout_at(deadline, link.exchange(request, |response| read(response, &self.wants))).await;
        let written = link.written() - before;
        match done {
            Err(_elapsed) => Err(Broken { fault: Fault::Timeout, written }),
            Ok(Err(())) if written < bytes_min => Err(Broken { fault: Fault::SendBroken, written }),
            Ok(Err(())) => Err(Broken { fault: Fault::AnswerBroken, written }),
            Ok(Ok((answer, is_whole))) => {
                // The request must have been written whole too: an early answer leaves a half-sent one.
                if is_whole && written >= bytes_min && link.is_usable().await {
                    self.pool.put(link);
                }
                Ok(answer)
            }
        }
    }
}

/// An exchange without an answer.
struct Broken {
    fault: Fault,
    /// Bytes of this request that left for the socket.
    written: u64,
}

/// Reads an answer to its end, or to the bound, and keeps what is wanted of it; says whether it was read whole.
async fn read(response: Response<Incoming>, wants: &Wants) -> Result<(HttpAnswer, bool), ()> {
    let (head, mut body) = response.into_parts();
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut length = 0;
    let mut kept = Vec::new();
    let mut is_whole = true;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ())?.into_data() else { continue };
        length += data.len();
        if length > ANSWER_BODY_BYTES_MAX {
            is_whole = false;
            break;
        }
        hash.update(&data);
        if wants.body {
            kept.extend_from_slice(&data);
        }
    }
    let sha256 = is_whole.then(|| hash.finish()).and_then(|hash| hash.as_ref().try_into().ok());
    let sha256 = sha256.map(AnswerDigest);
    let answer = HttpAnswer {
        status: head.status.as_u16(),
        retry_after: text_of(&head.headers, header::RETRY_AFTER),
        date: text_of(&head.headers, header::DATE),
        body_sha256: sha256,
        headers: wanted(&head.headers, wants),
        body: (is_whole && wants.body).then(|| AnswerBody::new(kept)),
    };
    Ok((answer, is_whole))
}

/// The wanted headers; one that stands several times is there several times.
fn wanted(headers: &HeaderMap, wants: &Wants) -> Vec<(String, String)> {
    let all =
        wants.headers.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    all.filter_map(|(name, value)| Some((name.clone(), value.to_str().ok()?.to_owned()))).collect()
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
