//! Source `shopify`: Shopify's webhooks, authenticated by their signature over the body.
//!
//! The headers are not signed. The topic is held against the body's shape, and a repeat is known by topic,
//! event id *and* body together.

mod topic;

#[cfg(test)]
mod tests;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::Deserialize;
use writ_model::change::Change;
use writ_model::code::{self, Code};
use writ_model::id::{Incarnation, Position, RecordKey, SourceName};
use writ_model::lineage::{Claim, SourceVersion};
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;
use writ_model::value::{Image, Value};

use crate::descriptor::{Build, ConfigError, Context, Descriptor};
use crate::settings;
use crate::source::{Intake, IntakeError, PushSource};
use crate::sources::image;
use topic::Told;

/// Most app secrets at a time: the present one, the next one, and one more.
const SECRETS_MAX: usize = 3;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "shopify",
    summary: "Shopify webhooks: customers, consent, payment methods, companies, redaction",
    stability: "verified: docs",
    secrets: &["secrets"],
    example: "\
# The app's client secret; while it is rotated, the old and the new one.
secrets: [env:SHOPIFY_SECRET]
",
    mechanisms: &[],
    config_schema,
    build: Build::Push(build),
};

/// The mapping that is used where configuration gives none.
pub fn default_tables() -> Tables {
    serde_json::from_str(include_str!("tables.json")).expect("the built-in mapping is checked by a test")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    secrets: Vec<String>,
}

fn config_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["secrets"],
        "properties": {
            "secrets": {
                "type": "array", "minItems": 1, "maxItems": SECRETS_MAX,
                "items": {"type": "string", "pattern": "^(env|file):."},
                "description": "References to the app's client secrets; any of them may have signed.",
            },
        },
    })
}

fn build(context: &Context<'_>, config: serde_json::Value) -> Result<Box<dyn PushSource>, ConfigError> {
    let given: Settings = settings::read(config)?;
    let source = SourceName::new(context.name)
        .map_err(|error| settings::invalid("name", error.to_string(), "choose another name"))?;
    if given.secrets.is_empty() || given.secrets.len() > SECRETS_MAX {
        let cause = format!("{} secrets are given", given.secrets.len());
        return Err(settings::invalid("secrets", cause, format!("give 1 to {SECRETS_MAX}")));
    }
    let key = |reference: &String| {
        let secret = context.secrets.resolve("secrets", reference)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()))
    };
    let keys = given.secrets.iter().map(key).collect::<Result<_, ConfigError>>()?;
    let tables = if context.tables.is_empty() { default_tables() } else { context.tables.clone() };
    Ok(Box::new(Shopify { source, tables, keys }))
}

struct Shopify {
    source: SourceName,
    tables: Tables,
    keys: Vec<hmac::Key>,
}

impl PushSource for Shopify {
    fn decode(&self, request: &Intake<'_>) -> Result<Vec<Change>, IntakeError> {
        self.verify(request)?;
        let body = image::parse(request.body).map_err(|_| {
            refusal(code::INTAKE_JSON, "the signed body is not valid JSON", "report it: Shopify sends JSON")
        })?;
        let topic = header(request, "x-shopify-topic").unwrap_or_default();
        let signed_at = signed_at(&body).map(|at| at.min(request.received_at));
        let committed_at = committed_at(request, signed_at);
        // Headers are not signed: a repeated body under a later header must not pass for a newer change.
        let version = signed_at.map(SourceVersion::Time);
        match topic::read(topic, body) {
            Told::Noted => Ok(Vec::new()),
            Told::Unknown => Err(unmapped()),
            Told::Unlike => {
                let cause = "the body does not look like its topic, or has no id";
                Err(refusal(code::INTAKE_TOPIC, cause, "subscribe to webhooks with all fields, in JSON"))
            }
            Told::Record { table, row, declared, members } => {
                let mapping = self.tables.get(&table).ok_or_else(unmapped)?;
                let image = image::columns(&Value::Map(members), mapping.columns());
                let part = |column: &String| image.get(column).filter(|value| **value != Value::Null);
                let parts: Option<Vec<String>> =
                    mapping.key.iter().map(|column| part(column).map(Value::to_key_text)).collect();
                let key = RecordKey(parts.ok_or_else(|| {
                    refusal(code::INTAKE_TOPIC, "the body lacks a key column", "map `key: [id]`")
                })?);
                let has_row = declared.is_none();
                Ok(vec![Change {
                    source: self.source.clone(),
                    incarnation: Incarnation(self.source.to_string()),
                    position: Position::default(),
                    committed_at,
                    transaction: None,
                    producer_id: Some(producer_id(topic, request)),
                    table,
                    row,
                    declared,
                    key,
                    old_key: None,
                    before: None,
                    after: after(row, has_row, image),
                    claim: Claim { version, ..Claim::default() },
                }])
            }
        }
    }

    fn tables(&self) -> Tables {
        self.tables.clone()
    }

    fn is_self_authenticating(&self) -> bool {
        true
    }
}

/// A deleted record has no row, and neither has one whose change the topic declares.
fn after(row: writ_model::change::RowChange, has_row: bool, image: Image) -> Option<Image> {
    (has_row && row != writ_model::change::RowChange::Delete).then_some(image)
}

impl Shopify {
    /// Before anything is parsed, and in constant time for each secret.
    fn verify(&self, request: &Intake<'_>) -> Result<(), IntakeError> {
        let given = header(request, "x-shopify-hmac-sha256").and_then(|text| STANDARD.decode(text).ok());
        let is_signed =
            |given: &Vec<u8>| self.keys.iter().any(|key| hmac::verify(key, request.body, given).is_ok());
        if given.as_ref().is_some_and(is_signed) {
            return Ok(());
        }
        let cause = "the signature is missing or was made with another secret";
        Err(refusal(code::INTAKE_SIGNATURE, cause, "give the app's present client secret under `secrets`"))
    }
}

fn refusal(code: Code, cause: &str, remedy: &str) -> IntakeError {
    IntakeError { code, cause: cause.to_owned(), remedy: remedy.to_owned() }
}

/// Not a success: Shopify then repeats it for hours, in which the mapping can be added, and at worst removes
/// the subscription to this one topic. A success would drop the change unseen.
fn unmapped() -> IntakeError {
    let remedy = "map the topic's table under `tables`, or remove the subscription to it in Shopify";
    refusal(code::INTAKE_TOPIC, "no table of the mapping takes this topic", remedy)
}

fn header<'a>(request: &Intake<'a>, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The same for every repeat of one delivery. The body's hash is in it because the event id is not signed;
/// the event id is, because a record may go back to a former content.
fn producer_id(topic: &str, request: &Intake<'_>) -> String {
    let id = header(request, "x-shopify-event-id").or_else(|| header(request, "x-shopify-webhook-id"));
    let hash = digest::digest(&digest::SHA256, request.body);
    format!("{topic} {} {}", id.unwrap_or("-"), STANDARD.encode(hash))
}

/// When the record was changed, by its body.
fn signed_at(body: &Value) -> Option<Timestamp> {
    let paths = [
        "updated_at",
        "email_marketing_consent.consent_updated_at",
        "sms_marketing_consent.consent_updated_at",
    ];
    paths.iter().find_map(|path| match image::column(body, path) {
        Some(Value::Text(text)) => text.parse().ok(),
        _ => None,
    })
}

/// The time in the body, which is signed; else when Shopify says it was triggered; never after its arrival.
fn committed_at(request: &Intake<'_>, signed_at: Option<Timestamp>) -> Timestamp {
    let triggered = || header(request, "x-shopify-triggered-at").and_then(|text| text.parse().ok());
    signed_at.or_else(triggered).unwrap_or(request.received_at).min(request.received_at)
}
