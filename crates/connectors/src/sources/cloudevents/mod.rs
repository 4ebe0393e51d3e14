//! Source `cloudevents`: producers push CloudEvents to Writ's HTTP intake.
//!
//! Two forms. *Typed*: `type` is `writ.<entity>.<change type>.v<major>`, `subject` is the record's key and the
//! data has `before` and `after`; the producer has decided what changed. *Mapped*: `type` is a table of the
//! mapping and the data is the row as it is now; Writ finds out what changed.

mod claim;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use writ_model::change::{Change, RowChange};
use writ_model::cloudevent::CloudEvent;
use writ_model::code::{self, Code};
use writ_model::id::{Incarnation, Position, RecordKey, SourceName};
use writ_model::mapping::{TableMapping, Tables};
use writ_model::taxonomy::{ChangeType, Entity};
use writ_model::time::Timestamp;
use writ_model::value::{Image, Value};
use writ_schema::cloudevents::{Mode, decode, mode_of};

use crate::descriptor::{Build, ConfigError, Context, Descriptor};
use crate::settings;
use crate::source::{Intake, IntakeError, PushSource};
use crate::sources::image;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "cloudevents",
    summary: "CloudEvents 1.0 pushed over HTTP, typed or mapped",
    stability: "stable",
    secrets: &[],
    example: "# This source has no keys of its own: producers send to /v1/intake/<name> with an ingest token.\n",
    mechanisms: &[],
    config_schema,
    build: Build::Push(build),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

fn config_schema() -> serde_json::Value {
    serde_json::json!({"type": "object", "additionalProperties": false, "properties": {}})
}

fn build(context: &Context<'_>, config: serde_json::Value) -> Result<Box<dyn PushSource>, ConfigError> {
    let Settings {} = settings::read(config)?;
    let source = SourceName::new(context.name)
        .map_err(|error| settings::invalid("name", error.to_string(), "choose another name"))?;
    Ok(Box::new(CloudEvents { source, tables: context.tables.clone() }))
}

struct CloudEvents {
    source: SourceName,
    tables: Tables,
}

impl PushSource for CloudEvents {
    fn decode(&self, request: &Intake<'_>) -> Result<Vec<Change>, IntakeError> {
        let events = decode(request.headers, request.body).map_err(|e| error(e.code(), e.to_string()))?;
        let data = exact_data(request, &events)?;
        let pairs = events.iter().zip(data);
        pairs.map(|(event, data)| self.change(event, &data, request.received_at)).collect()
    }

    fn tables(&self) -> Tables {
        self.tables.clone()
    }

    fn is_self_authenticating(&self) -> bool {
        false
    }
}

fn error(code: Code, cause: String) -> IntakeError {
    let remedy = "send CloudEvents 1.0 as described in docs/reference/sources/cloudevents.md".to_owned();
    IntakeError { code, cause, remedy }
}

fn refusal(cause: impl Into<String>) -> IntakeError {
    error(code::INTAKE_NOT_CLOUDEVENT, cause.into())
}

/// The data of each event, read once more from the body: the decoded event holds numbers as JSON libraries
/// do, and a price or an id beyond 64 bits would be rounded.
fn exact_data(request: &Intake<'_>, events: &[CloudEvent]) -> Result<Vec<Value>, IntakeError> {
    let body = || {
        let cause = "the data is not JSON, or nests too deep";
        image::parse(request.body).map_err(|_| error(code::INTAKE_JSON, cause.to_owned()))
    };
    let member = |event: Value| match event {
        Value::Map(mut members) => members.remove("data").unwrap_or(Value::Null),
        _ => Value::Null,
    };
    if events.iter().any(|event| event.is_base64) {
        return Err(refusal("`data_base64` is not taken: send the data as JSON"));
    }
    match mode_of(request.headers) {
        Some(Mode::Structured) => Ok(vec![member(body()?)]),
        Some(Mode::Batched) => match body()? {
            Value::List(items) => Ok(items.into_iter().map(member).collect()),
            _ => Ok(Vec::new()),
        },
        Some(Mode::Binary) | None if request.body.is_empty() => Ok(vec![Value::Null]),
        Some(Mode::Binary) | None => Ok(vec![body()?]),
    }
}

/// The part of a change that the two forms fill differently.
struct Told {
    table: String,
    row: RowChange,
    declared: Option<ChangeType>,
    key: RecordKey,
    before: Option<Image>,
    after: Option<Image>,
}

impl CloudEvents {
    fn change(
        &self,
        event: &CloudEvent,
        data: &Value,
        received_at: Timestamp,
    ) -> Result<Change, IntakeError> {
        let committed_at = match &event.time {
            Some(time) => time.parse().map_err(|_| refusal("attribute time: not an RFC 3339 time"))?,
            None => received_at,
        };
        let told = match self.tables.get(&event.event_type) {
            Some(mapping) => mapped(mapping, event, data)?,
            None => typed(event, data)?,
        };
        // The length keeps (`a`, `b/c`) and (`a/b`, `c`) apart.
        let producer_id = format!("{}:{}{}", event.source.len(), event.source, event.id);
        Ok(Change {
            source: self.source.clone(),
            incarnation: Incarnation(self.source.to_string()),
            position: Position::default(),
            committed_at,
            transaction: None,
            producer_id: Some(producer_id),
            table: told.table,
            row: told.row,
            declared: told.declared,
            key: told.key,
            old_key: None,
            before: told.before,
            after: told.after,
            claim: claim::claim(event, received_at)?,
        })
    }
}

/// The row as it is now; with the extension `operation: delete`, as it last was.
fn mapped(mapping: &TableMapping, event: &CloudEvent, data: &Value) -> Result<Told, IntakeError> {
    if !matches!(data, Value::Map(_)) {
        return Err(refusal("data: not a JSON object"));
    }
    let image = image::columns(data, mapping.columns());
    let part = |column: &String| match image.get(column) {
        None | Some(Value::Null) => Err(refusal(format!("data: lacks the key column `{column}`"))),
        Some(value) => Ok(value.to_key_text()),
    };
    let key = RecordKey(mapping.key.iter().map(part).collect::<Result<_, _>>()?);
    let table = event.event_type.clone();
    let told = Told { table, row: RowChange::Upsert, declared: None, key, before: None, after: None };
    match event.extensions.get("operation").map(String::as_str) {
        Some("delete") => Ok(Told { row: RowChange::Delete, before: Some(image), ..told }),
        _ => Ok(Told { after: Some(image), ..told }),
    }
}

/// A change that the producer has typed.
fn typed(event: &CloudEvent, data: &Value) -> Result<Told, IntakeError> {
    let (entity, change_type) = words(&event.event_type).ok_or_else(|| {
        refusal("attribute type: neither a table of the mapping nor `writ.<entity>.<change type>.v<major>`")
    })?;
    let Value::Map(data) = data else { return Err(refusal("data: not a JSON object")) };
    let side = |name: &str| match data.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Map(attributes)) => {
            let mut image = Image::default();
            attributes.iter().for_each(|(name, value)| image.set(name, value.clone()));
            Ok(Some(image))
        }
        Some(_) => Err(refusal(format!("data: `{name}` is not a JSON object"))),
    };
    let (before, after) = (side("before")?, side("after")?);
    let row = match (&before, &after) {
        (Some(_), None) => RowChange::Delete,
        _ => RowChange::Upsert,
    };
    let key = key_of(entity, event.subject.as_deref())?;
    Ok(Told { table: entity.to_string(), row, declared: Some(change_type), key, before, after })
}

fn words(kind: &str) -> Option<(Entity, ChangeType)> {
    let mut words = kind.strip_prefix("writ.")?.split('.');
    let entity = words.next()?.parse().ok()?;
    let change_type = words.next()?.parse().ok()?;
    words.next()?.strip_prefix('v')?.parse::<u32>().ok()?;
    words.next().is_none().then_some((entity, change_type))
}

/// The record key in a subject: `42`, or `customer/42` as Writ itself sends it; several key columns are joined
/// by `/`, with `/` and `%` inside a value percent-encoded.
fn key_of(entity: Entity, subject: Option<&str>) -> Result<RecordKey, IntakeError> {
    let subject = subject.unwrap_or_default();
    let own = subject.strip_prefix(entity.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let key = own.unwrap_or(subject);
    if key.is_empty() {
        return Err(refusal("attribute subject is missing: a typed event names its record there"));
    }
    let plain = |part: &str| part.replace("%2F", "/").replace("%2f", "/").replace("%25", "%");
    Ok(RecordKey(key.split('/').map(plain).collect()))
}
