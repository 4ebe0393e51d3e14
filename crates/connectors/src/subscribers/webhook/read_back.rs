//! Looking for an event at the receiver: one GET, whose status says whether it is there.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri, Version, header};
use http_body_util::Full;
use writ_model::delivery::{Fault, HttpAnswer, Presence};

use super::request::Ready;
use crate::subscriber::ParcelItem;

/// Where events are looked for.
#[derive(Debug)]
pub(super) struct ReadBack {
    /// With `{delivery_id}` or `{event_id}` in the event's place.
    pub(super) path: String,
    /// The receiver documents that a late request is fenced, and that what was taken is read at once.
    pub(super) is_proof: bool,
}

impl ReadBack {
    /// The request for one event, with the headers that every request has.
    pub(super) fn request(&self, item: &ParcelItem, headers: &HeaderMap) -> Result<Ready, Fault> {
        let path = self.path.replace("{delivery_id}", &item.delivery_id.to_string());
        let path = path.replace("{event_id}", &item.view.event().id);
        let target: Uri = path.parse().map_err(|_| Fault::Unsendable)?;
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = target;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers.clone();
        request.headers_mut().remove(header::CONTENT_TYPE);
        // Nothing hangs on how much of it left: it changes nothing at the receiver.
        Ok(Ready { request, bytes_min: 1 })
    }
}

/// 2xx: there. 404 and 410: not there. Anything else says neither.
pub(super) fn presence(answer: &Result<HttpAnswer, Fault>) -> Presence {
    match answer {
        Ok(answer) => match answer.status {
            200..=299 => Presence::There,
            404 | 410 => Presence::Absent,
            _ => Presence::Unknown(Fault::Unready),
        },
        Err(fault) => Presence::Unknown(*fault),
    }
}
