//! The document that a policy judges: `docs/reference/policy-input.md`, `policies/input.schema.json`.
//!
//! Ids are left out, so that a policy cannot depend on them and verdicts can be cached by what it reads.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use writ_model::envelope::{ClearHeader, EventData};
use writ_model::taxonomy::event_type;
use writ_model::value::Attributes;
use writ_model::verdict::{Checked, SchemaVerdict};

/// Goes up when a member changes its meaning or goes away; added members do not count.
pub const INPUT_VERSION: u32 = 1;

/// The input document of one event.
pub fn document(checked: &Checked) -> Value {
    let ClearHeader { tenant, source, change_type, operation, entity, location, locale, .. } =
        &checked.envelope.header;
    let header = &checked.envelope.header;
    let schema = match &checked.schema {
        SchemaVerdict::Valid { version } | SchemaVerdict::Invalid { version, .. } => version,
    };
    json!({
        "version": INPUT_VERSION,
        "tenant": tenant,
        "source": source,
        "type": event_type(*entity, *change_type, header.schema_major),
        "change_type": change_type,
        "operation": operation,
        "entity": entity,
        "class": change_type.default_class(),
        "generation": header.generation,
        "location": location,
        "locale": locale,
        "time": header.time,
        "recorded_at": header.recorded_at,
        "schema": schema,
        "table": checked.envelope.private.table,
        "changed": changed(&checked.envelope.private.data),
        "data": checked.envelope.private.data,
    })
}

/// Names of the attributes whose known values differ, in order.
fn changed(data: &EventData) -> Vec<&str> {
    let value = |side: &'_ Option<Attributes>, name: &str| side.as_ref().and_then(|s| s.get(name).cloned());
    let names = [&data.before, &data.after].into_iter().flatten().flat_map(BTreeMap::keys);
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
    names.into_iter().filter(|name| value(&data.before, name) != value(&data.after, name)).collect()
}
