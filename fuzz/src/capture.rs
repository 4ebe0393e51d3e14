//! What sources decode: replication messages, CloudEvents, vendor webhooks.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use writ_connectors::descriptor::{Build, Context};
use writ_connectors::registry::{self, Side};
use writ_connectors::secret::Secrets;
use writ_connectors::source::{Intake, PushSource};
use writ_model::id::TenantId;
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;
use writ_schema::cloudevents;

/// The decoder is private to its connector, so its file is compiled here a second time.
#[allow(dead_code, reason = "only the decoder's entry is used here")]
#[path = "../../crates/connectors/src/sources/postgres/pgoutput.rs"]
mod pgoutput_file;

const SECRET: &[u8] = b"fuzz";

pub(crate) fn pgoutput(bytes: &[u8]) {
    let _ = pgoutput_file::decode(&Bytes::copy_from_slice(bytes));
}

/// One of each message kind, after the manual's "Logical Replication Message Formats".
pub(crate) fn pgoutput_seeds() -> Vec<Vec<u8>> {
    let column = |flags: u8, name: &str, oid: u32| {
        let mut bytes = vec![flags];
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(oid.to_be_bytes());
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    };
    let cell = |text: &str| [b"t".as_slice(), &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    let tuple = [&2_u16.to_be_bytes()[..], &cell("17"), b"n"].concat();
    let relation = [
        b"R".as_slice(),
        &1_u32.to_be_bytes(),
        b"public\0customers\0d",
        &2_u16.to_be_bytes(),
        &column(1, "id", 20),
        &column(0, "email", 25),
    ]
    .concat();
    vec![
        [b"B".as_slice(), &[0; 20]].concat(),
        [b"C".as_slice(), &[0; 25]].concat(),
        relation,
        [b"I".as_slice(), &1_u32.to_be_bytes(), b"N", &tuple].concat(),
        [b"U".as_slice(), &1_u32.to_be_bytes(), b"O", &tuple, b"N", &tuple].concat(),
        [b"D".as_slice(), &1_u32.to_be_bytes(), b"K", &tuple].concat(),
        [b"T".as_slice(), &1_u32.to_be_bytes(), &[0], &1_u32.to_be_bytes()].concat(),
        [b"O".as_slice(), &[0; 8], b"origin\0"].concat(),
        [b"M".as_slice(), &[1], &[0; 8], b"prefix\0", &3_u32.to_be_bytes(), b"abc"].concat(),
    ]
}

pub(crate) fn cloudevents(bytes: &[u8]) {
    let header = |value: &str| vec![("content-type".to_owned(), value.to_owned())];
    for kind in ["application/cloudevents+json", "application/cloudevents-batch+json"] {
        let _ = cloudevents::decode(&header(kind), bytes);
    }
    let lines = String::from_utf8_lossy(bytes);
    let headers: Vec<(String, String)> = lines
        .lines()
        .take(32)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .chain([("content-type".to_owned(), "application/json".to_owned())])
        .collect();
    let _ = cloudevents::decode(&headers, bytes);
}

pub(crate) fn cloudevents_seeds() -> Vec<Vec<u8>> {
    let one = r#"{"specversion":"1.0","id":"a-1","source":"/shop","type":"writ.customer.email.v1","subject":"customer/17","time":"2026-01-31T10:00:00.5+01:00","datacontenttype":"application/json","data":{"key":["17"],"before":null,"after":{"email":"a@example.com"}}}"#;
    vec![
        one.into(),
        format!("[{one},{one}]").into(),
        "ce-id: 1\nce-source: /s\nce-type: t\nce-specversion: 1.0\nce-time: 2026-01-31T10:00:00Z\nce-subject: a%20b\n".into(),
    ]
}

pub(crate) fn shopify(bytes: &[u8]) {
    static SOURCE: OnceLock<Box<dyn PushSource>> = OnceLock::new();
    let source = SOURCE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("secret"), SECRET).expect("the secret is written");
        source("shopify", folder.path(), serde_json::json!({"secrets": ["file:secret"]}))
    });
    let (topic, body) = split(bytes);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("HMAC takes keys of every length");
    mac.update(body);
    let header = |name: &str, value: String| (name.to_owned(), value);
    let headers = [
        header("x-shopify-topic", topic),
        header("x-shopify-webhook-id", "1".to_owned()),
        header("x-shopify-event-id", "1".to_owned()),
        header("x-shopify-triggered-at", "2026-01-31T10:00:00Z".to_owned()),
        header("x-shopify-hmac-sha256", STANDARD.encode(mac.finalize().into_bytes())),
    ];
    let _ = source.decode(&Intake { headers: &headers, body, received_at: Timestamp(0) });
}

pub(crate) fn shopify_seeds() -> Vec<Vec<u8>> {
    let body = r#"{"id":17,"email":"a@example.com","phone":"+15550100","updated_at":"2026-01-31T10:00:00-05:00","state":"enabled","default_address":{"city":"Bonn"},"email_marketing_consent":{"state":"subscribed","opt_in_level":"single_opt_in","consent_updated_at":null}}"#;
    [
        "customers/update",
        "customers/create",
        "customers/delete",
        "customers/redact",
        "customers_email_marketing_consent/update",
    ]
    .map(|topic| format!("{topic}\n{body}").into_bytes())
    .to_vec()
}

/// A topic line, then the body.
fn split(bytes: &[u8]) -> (String, &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (topic, body) = bytes.split_at(at);
    (String::from_utf8_lossy(topic).into_owned(), body.strip_prefix(b"\n").unwrap_or(body))
}

fn source(kind: &str, base: &std::path::Path, config: serde_json::Value) -> Box<dyn PushSource> {
    let descriptor = registry::find(kind, Side::Source).expect("the connector is in this build");
    let Build::Push(build) = descriptor.build else { panic!("{kind} is pushed") };
    let tenant = TenantId::new("fuzz").expect("a name");
    let (tables, secrets) = (Tables::new(), Secrets { base: base.to_owned() });
    let context = Context { tenant: &tenant, name: "fuzz", tables: &tables, secrets: &secrets };
    build(&context, config).expect("the configuration is valid")
}
