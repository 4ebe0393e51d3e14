//! The webhook's keys in `writ.yaml`, checked and turned into a subscriber.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio_rustls::TlsConnector;
use writ_model::delivery::Wants;
use writ_model::taxonomy::ChangeType;

use super::Webhook;
use super::address::Network;
use super::connection::{Pool, Target};
use super::read_back::ReadBack;
use super::request::{Mode, Template};
use super::signature::Key;
use crate::authorities;
use crate::descriptor::{ConfigError, Context};
use crate::settings::{self, invalid};
use crate::subscriber::Subscriber;

const TIMEOUT_MS_DEFAULT: u64 = 15_000;
const TIMEOUT_MS_MAX: u64 = 120_000;
const BATCH_MAX_DEFAULT: usize = 100;
const BATCH_MAX: usize = 1_000;
const SECRETS_MAX: usize = 3;
const HEADERS_MAX: usize = 32;
const RETENTION_HOURS_MAX: u32 = 10 * 365 * 24;

/// End in the same state however often they are done.
const REPEATABLE: [ChangeType; 2] = [ChangeType::Erasure, ChangeType::Suppression];

/// Written by Writ or by HTTP itself.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "writ-epoch",
];
/// Hold credentials, so their values must be references.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    #[serde(default = "default_mode")]
    mode: Mode,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    secret_headers: BTreeMap<String, String>,
    #[serde(default)]
    idempotency_key: Option<Idempotency>,
    #[serde(default)]
    probe: Option<Probe>,
    #[serde(default)]
    idempotent: Option<Idempotent>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    batch_max: Option<usize>,
    #[serde(default)]
    tls_roots: Option<PathBuf>,
    #[serde(default)]
    allow_addresses: Vec<String>,
}

/// What the operator states of the receiver: it drops a delivery id that it has seen, for so long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Idempotency {
    retention_hours: u32,
    source: String,
    #[serde(default)]
    header: Option<String>,
}

/// Where the receiver shows an event that it has, and what it documents of that.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    path: String,
    #[serde(default)]
    fenced: bool,
    #[serde(default)]
    reads_own_writes: bool,
    #[serde(default)]
    source: String,
}

/// What the receiver documents of repeats.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Idempotent {
    change_types: Vec<ChangeType>,
    generation_guarded: bool,
    source: String,
}

fn default_mode() -> Mode {
    Mode::Binary
}

pub(super) fn config_schema() -> serde_json::Value {
    let references = serde_json::json!({"type": "string", "pattern": "^(env|file):."});
    serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "pattern": "^https?://", "description": "Where events are posted."},
            "mode": {"enum": ["binary", "structured", "batch"], "default": "binary",
                "description": "Content mode of the CloudEvents HTTP binding."},
            "secrets": {"type": "array", "maxItems": SECRETS_MAX, "items": references,
                "description": "References to Standard Webhooks secrets (whsec_...); each signs every request."},
            "headers": {"type": "object", "maxProperties": HEADERS_MAX, "additionalProperties": {"type": "string"},
                "description": "Headers added to every request."},
            "secret_headers": {"type": "object", "maxProperties": HEADERS_MAX, "additionalProperties": references,
                "description": "Headers whose values are references, such as authorization."},
            "idempotency_key": {"type": "object", "additionalProperties": false,
                "required": ["retention_hours", "source"],
                "description": "The receiver drops repeated delivery ids: for how long, and where it says so.",
                "properties": {
                    "retention_hours": {"type": "integer", "minimum": 1, "maximum": RETENTION_HOURS_MAX},
                    "source": {"type": "string", "minLength": 1},
                    "header": {"type": "string"},
                }},
            "probe": {"type": "object", "additionalProperties": false, "required": ["path"],
                "description": "Where an event is looked for after an attempt without an answer.",
                "properties": {
                    "path": {"type": "string", "pattern": "^/"},
                    "fenced": {"type": "boolean", "default": false},
                    "reads_own_writes": {"type": "boolean", "default": false},
                    "source": {"type": "string"},
                }},
            "idempotent": {"type": "object", "additionalProperties": false,
                "required": ["change_types", "generation_guarded", "source"],
                "description": "What the receiver may be asked for again without another effect.",
                "properties": {
                    "change_types": {"type": "array", "minItems": 1, "items": {"enum": ["erasure", "suppression"]}},
                    "generation_guarded": {"const": true},
                    "source": {"type": "string", "minLength": 1},
                }},
            "timeout_ms": {"type": "integer", "minimum": 1, "maximum": TIMEOUT_MS_MAX, "default": TIMEOUT_MS_DEFAULT,
                "description": "Milliseconds from resolving the name to the end of the answer."},
            "batch_max": {"type": "integer", "minimum": 1, "maximum": BATCH_MAX, "default": BATCH_MAX_DEFAULT,
                "description": "Most events in one request; only with mode batch."},
            "tls_roots": {"type": "string",
                "description": "A PEM file of certificate authorities, used instead of the system's."},
            "allow_addresses": {"type": "array", "items": {"type": "string"},
                "description": "Networks that may be dialled although they are private or special."},
        },
    })
}

pub(super) fn build(
    context: &Context<'_>,
    config: serde_json::Value,
) -> Result<Box<dyn Subscriber>, ConfigError> {
    let given: Settings = settings::read(config)?;
    let url = Url::parse(&given.url)?;
    let keys = keys(context, &given.secrets)?;
    let allowed = networks(&given.allow_addresses)?;
    let tls = url.tls(given.tls_roots.as_deref().map(|path| context.secrets.base.join(path)).as_deref())?;
    let timeout_ms = given.timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT);
    if !(1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
        let cause = format!("{timeout_ms} is not within 1 to {TIMEOUT_MS_MAX}");
        return Err(invalid("timeout_ms", cause, "choose a value within"));
    }
    let batch_max = batch_max(given.mode, given.batch_max)?;
    let headers = headers(context, &given, &url)?;
    let (key_header, remembers) = idempotency(given.mode, given.idempotency_key.as_ref())?;
    let target = Target { host: url.host, port: url.port, allowed, tls };
    let probe = probe(given.mode, given.probe)?;
    let idempotent = idempotent(given.idempotent)?;
    let template = Template { mode: given.mode, target: url.path, headers, keys, key_header };
    let timeout = Duration::from_millis(timeout_ms);
    Ok(Box::new(Webhook {
        target,
        template,
        timeout,
        batch_max,
        remembers,
        idempotent,
        probe,
        pool: Pool::default(),
        wants: Wants::default(),
    }))
}

/// The header for the bare delivery id, where it is another one than ours, and how long the receiver remembers.
fn idempotency(
    mode: Mode,
    given: Option<&Idempotency>,
) -> Result<(Option<HeaderName>, Option<Duration>), ConfigError> {
    let Some(given) = given else { return Ok((None, None)) };
    if mode == Mode::Batch {
        let cause = "a batch that is put together anew has another key, so a repeat is not known by it";
        return Err(invalid("idempotency_key", cause, "use mode binary or structured, or remove it"));
    }
    if !(1..=RETENTION_HOURS_MAX).contains(&given.retention_hours) {
        let cause = format!("not within 1 to {RETENTION_HOURS_MAX}");
        return Err(invalid("idempotency_key.retention_hours", cause, "state what the receiver documents"));
    }
    if given.source.trim().is_empty() {
        let cause = "nothing says where the receiver documents it";
        return Err(invalid(
            "idempotency_key.source",
            cause,
            "give the page, or the person who answers for it",
        ));
    }
    let key = "idempotency_key.header";
    let header = given.header.as_deref().filter(|name| !name.eq_ignore_ascii_case("idempotency-key"));
    let header = header.map(|name| header_name(key, name)).transpose()?;
    Ok((header, Some(Duration::from_secs(u64::from(given.retention_hours) * 3600))))
}

fn probe(mode: Mode, given: Option<Probe>) -> Result<Option<ReadBack>, ConfigError> {
    let Some(given) = given else { return Ok(None) };
    if mode == Mode::Batch {
        return Err(invalid("probe", "a batch cannot be looked for", "use mode binary or structured"));
    }
    let names_it = given.path.contains("{delivery_id}") || given.path.contains("{event_id}");
    if !given.path.starts_with('/') || !names_it {
        let remedy = "write it as /deliveries/{delivery_id} or with {event_id}";
        return Err(invalid("probe.path", "this is no path that names the event", remedy));
    }
    let is_proof = given.fenced && given.reads_own_writes;
    if is_proof && given.source.trim().is_empty() {
        let cause = "nothing says where the receiver documents it";
        return Err(invalid("probe.source", cause, "give the page, or the person who answers for it"));
    }
    Ok(Some(ReadBack { path: given.path, is_proof }))
}

/// What the receiver may be asked for again: only what ends in the same state however often it is done.
fn idempotent(given: Option<Idempotent>) -> Result<Vec<ChangeType>, ConfigError> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if let Some(other) = given.change_types.iter().find(|one| !REPEATABLE.contains(one)) {
        let cause = format!("doing {other} again may change something");
        return Err(invalid("idempotent.change_types", cause, "name `erasure`, `suppression` or both"));
    }
    if given.change_types.is_empty() {
        return Err(invalid(
            "idempotent.change_types",
            "names none",
            "name `erasure`, `suppression` or both",
        ));
    }
    if !given.generation_guarded {
        let cause = "a repeat may meet a record that was created again since";
        let remedy = "say `generation_guarded: true` where the receiver keeps the event's `generation` and leaves a later one alone";
        return Err(invalid("idempotent.generation_guarded", cause, remedy));
    }
    if given.source.trim().is_empty() {
        let cause = "nothing says where the receiver documents it";
        return Err(invalid("idempotent.source", cause, "give the page, or the person who answers for it"));
    }
    Ok(given.change_types)
}

fn batch_max(mode: Mode, given: Option<usize>) -> Result<usize, ConfigError> {
    match (mode, given) {
        (Mode::Binary | Mode::Structured, None | Some(1)) => Ok(1),
        (Mode::Binary | Mode::Structured, Some(_)) => Err(invalid(
            "batch_max",
            "only mode batch takes several events",
            "set `mode: batch` or remove it",
        )),
        (Mode::Batch, None) => Ok(BATCH_MAX_DEFAULT),
        (Mode::Batch, Some(max)) if (1..=BATCH_MAX).contains(&max) => Ok(max),
        (Mode::Batch, Some(_)) => {
            Err(invalid("batch_max", format!("not within 1 to {BATCH_MAX}"), "choose a value within"))
        }
    }
}

fn keys(context: &Context<'_>, references: &[String]) -> Result<Vec<Key>, ConfigError> {
    if references.len() > SECRETS_MAX {
        return Err(invalid("secrets", "too many secrets", format!("give at most {SECRETS_MAX}")));
    }
    let key = |reference: &String| {
        let secret = context.secrets.resolve("secrets", reference)?;
        let form = "give whsec_ and the base64 of 24 to 64 random bytes";
        Key::parse(secret.expose_secret()).map_err(|cause| invalid("secrets", cause, form))
    };
    references.iter().map(key).collect()
}

fn networks(given: &[String]) -> Result<Vec<Network>, ConfigError> {
    let network = |text: &String| {
        let cause = format!("{text:?} is not a network");
        text.parse().map_err(|()| invalid("allow_addresses", cause, "write it as `10.20.0.0/16`"))
    };
    given.iter().map(network).collect()
}

fn headers(context: &Context<'_>, given: &Settings, url: &Url) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    let host = HeaderValue::from_str(&url.authority).map_err(|_| Url::refuse("the host is not valid"))?;
    headers.insert(header::HOST, host);
    let agent = HeaderValue::from_static(concat!("writ/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    if given.headers.len() + given.secret_headers.len() > HEADERS_MAX {
        return Err(invalid("headers", "too many headers", format!("give at most {HEADERS_MAX}")));
    }
    for (name, value) in &given.headers {
        let key = format!("headers.{name}");
        if CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
            let cause = "this header holds a credential";
            return Err(invalid(&key, cause, "move it to `secret_headers`, as env:NAME or file:PATH"));
        }
        headers.insert(header_name(&key, name)?, header_value(&key, value)?);
    }
    for (name, reference) in &given.secret_headers {
        let key = format!("secret_headers.{name}");
        let secret = context.secrets.resolve(&key, reference)?;
        let mut value = header_value(&key, secret.expose_secret())?;
        value.set_sensitive(true);
        headers.insert(header_name(&key, name)?, value);
    }
    Ok(headers)
}

fn header_name(key: &str, name: &str) -> Result<HeaderName, ConfigError> {
    let lower = name.to_ascii_lowercase();
    let is_reserved =
        RESERVED.contains(&lower.as_str()) || lower.starts_with("ce-") || lower.starts_with("webhook-");
    if is_reserved {
        return Err(invalid(key, "this header is set by Writ", "remove it"));
    }
    lower.parse().map_err(|_| invalid(key, "this is not a header name", "correct it"))
}

fn header_value(key: &str, value: &str) -> Result<HeaderValue, ConfigError> {
    value.parse().map_err(|_| invalid(key, "the value cannot stand in a header", "use printable ASCII"))
}

/// A URL's parts. User information and fragments are refused: the one is a secret, the other is never sent.
struct Url {
    host: String,
    port: u16,
    authority: String,
    path: Uri,
    is_tls: bool,
}

impl Url {
    fn refuse(cause: &str) -> ConfigError {
        invalid("url", cause, "write it as https://host/path")
    }

    fn parse(text: &str) -> Result<Self, ConfigError> {
        let uri: Uri = text.parse().map_err(|_| Self::refuse("this is not a URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Self::refuse("the scheme is neither https nor http")),
        };
        let authority = uri.authority().ok_or_else(|| Self::refuse("there is no host"))?;
        if authority.as_str().contains('@') || text.contains('#') {
            let remedy = "remove user name, password and fragment; credentials go to `secret_headers`";
            return Err(invalid("url", "it holds user information or a fragment", remedy));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(Self::refuse("there is no host"));
        }
        let port = match (authority.port(), authority.port_u16()) {
            (Some(_), None) => return Err(Self::refuse("the port is not a number")),
            (_, Some(port)) => port,
            (None, None) => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = path.parse().map_err(|_| Self::refuse("the path is not valid"))?;
        Ok(Self { host, port, authority: authority.to_string(), path, is_tls })
    }

    fn tls(&self, roots: Option<&Path>) -> Result<Option<(TlsConnector, ServerName<'static>)>, ConfigError> {
        if !self.is_tls {
            return Ok(None);
        }
        let name =
            ServerName::try_from(self.host.clone()).map_err(|_| Self::refuse("the host is not valid"))?;
        // Named here, because another library of this process may have installed its own for everybody.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default protocol versions")
            .with_root_certificates(trusted(roots)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some((TlsConnector::from(Arc::new(config)), name)))
    }
}

fn trusted(file: Option<&Path>) -> Result<RootCertStore, ConfigError> {
    authorities::trusted(file)
        .map_err(|cause| invalid("tls_roots", cause, "name a PEM file of certificate authorities"))
}
