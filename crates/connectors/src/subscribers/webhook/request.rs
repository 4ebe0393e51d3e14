//! A parcel as one HTTP request: mode, headers, signature. No connection is touched here.

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use http_body_util::Full;
use serde::Deserialize;
use writ_model::delivery::Fault;
use writ_schema::cloudevents::{self, Binary};

use super::signature::{self, Key};
use crate::subscriber::{Parcel, ParcelItem};

/// Most bytes of a request's body; what is larger can never be sent.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Content mode of the CloudEvents HTTP binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Attributes as `ce-` headers, the data as body.
    Binary,
    /// One event as a JSON object.
    Structured,
    /// Several events as a JSON array. The receiver must have asked for it (HTTP binding, section 3.3).
    Batch,
}

/// What is the same in every request.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) mode: Mode,
    /// The path and query; the authority goes into `host`.
    pub(super) target: Uri,
    /// `host`, `user-agent` and the operator's own headers.
    pub(super) headers: HeaderMap,
    pub(super) keys: Vec<Key>,
    /// Takes the bare delivery id too, where the receiver reads it from a header of its own.
    pub(super) key_header: Option<HeaderName>,
}

/// A request ready to be written.
#[derive(Debug)]
pub(super) struct Ready {
    /// What is written.
    pub(super) request: Request<Full<Bytes>>,
    /// At least so many bytes are written before the request is whole.
    pub(super) bytes_min: u64,
}

impl Template {
    /// Makes the request of one attempt. The same parcel gives the same request, but for the time signed.
    pub(super) fn fill(&self, parcel: &Parcel) -> Result<Ready, Fault> {
        let Binary { headers: content, body } = self.content(parcel)?;
        if body.len() > BODY_BYTES_MAX {
            return Err(Fault::Unsendable);
        }
        let mut headers = self.headers.clone();
        for (name, value) in content {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault::Unsendable)?;
            headers.insert(name, HeaderValue::from_str(&value).map_err(|_| Fault::Unsendable)?);
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        self.identify(parcel, &body, &mut headers)?;
        let bytes_min = bytes_min(&self.target, &headers, body.len());
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        Ok(Ready { request, bytes_min })
    }

    fn content(&self, parcel: &Parcel) -> Result<Binary, Fault> {
        let typed = |media_type: &str, body| {
            let headers = vec![("content-type".to_owned(), media_type.to_owned())];
            Ok(Binary { headers, body })
        };
        match (self.mode, parcel.items.as_slice()) {
            (_, []) => Err(Fault::Unsendable),
            (Mode::Binary, [item]) => Ok(item.view.binary().clone()),
            (Mode::Structured, [item]) => typed(cloudevents::STRUCTURED, item.view.structured().to_vec()),
            (Mode::Binary | Mode::Structured, _) => Err(Fault::Unsendable),
            (Mode::Batch, items) => {
                typed(cloudevents::BATCH, cloudevents::batch(items.iter().map(|item| item.view.as_ref())))
            }
        }
    }

    /// Standard Webhooks headers, and `Idempotency-Key` as a structured-field string.
    fn identify(&self, parcel: &Parcel, body: &[u8], headers: &mut HeaderMap) -> Result<(), Fault> {
        let id = delivery_id(&parcel.items);
        let seconds = parcel.at.0.div_euclid(1_000_000);
        if let Some(name) = &self.key_header {
            let bare = HeaderValue::from_str(&id).map_err(|_| Fault::Unsendable)?;
            headers.insert(name.clone(), bare);
        }
        let mut set = |name: &'static str, value: String| {
            let value = HeaderValue::from_str(&value).map_err(|_| Fault::Unsendable)?;
            headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        set("idempotency-key", format!("\"{id}\""))?;
        set("webhook-timestamp", seconds.to_string())?;
        set("writ-epoch", parcel.sender.epoch.0.to_string())?;
        if !self.keys.is_empty() {
            set("webhook-signature", signature::header(&self.keys, &id, seconds, body))?;
        }
        set("webhook-id", id)
    }
}

/// The item's delivery id; for a batch, a hash of the items' ids in their order: a batch that is repeated as
/// it was has the same id, one that was put together anew has another. Never holds a dot, which the signed
/// content is joined with.
fn delivery_id(items: &[ParcelItem]) -> String {
    if let [item] = items {
        return item.delivery_id.to_string();
    }
    let mut hash = digest::Context::new(&digest::SHA256);
    items.iter().for_each(|item| hash.update(&item.delivery_id.0));
    let hash = hash.finish();
    writ_model::id::hex(&hash.as_ref()[..16])
}

/// A lower bound of the request's size: what is counted here is written for certain, and a client may add to
/// it. Fewer bytes written than this is proof that the other side never had the whole request.
fn bytes_min(target: &Uri, headers: &HeaderMap, body: usize) -> u64 {
    let line = "POST  HTTP/1.1\r\n".len() + target.path_and_query().map_or(1, |path| path.as_str().len());
    let headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (line + headers + 2 + body) as u64
}
