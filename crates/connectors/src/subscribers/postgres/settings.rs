//! The connector's keys in `writ.yaml`, checked and turned into a subscriber.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use writ_model::guarantee::Mechanism;

use super::Database;
use super::address::Address;
use super::inbox::Inbox;
use super::link::Pool;
use super::tables::{Column, Table, Upsert};
use super::target::Target;
use crate::descriptor::{ConfigError, Context};
use crate::settings::{self, invalid};
use crate::subscriber::Subscriber;

/// Commented example of the connector's own keys.
pub(super) const EXAMPLE: &str = "\
# postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem
url: env:WRIT_TARGET_URL
schema: writ            # where Writ's own tables are: inbox, owner, events
create: true            # create them when they are missing
events: true            # keep every event as a row of <schema>.events
table: crm.customers    # a table of yours that is kept up to date; optional
key: [id]               # its columns for the parts of the record's key, under a unique constraint
columns: {email: email, phone: phone}   # attribute: column
mechanism: transactional   # or two-phase: prepare, and commit when Writ's journal has decided
inbox_days: 30          # how long a delivery id is remembered
timeout_ms: 15000
batch_max: 100          # events in one transaction; delivery.batch_max may be lower
";

const TIMEOUT_MS_DEFAULT: u64 = 15_000;
const TIMEOUT_MS_MAX: u64 = 120_000;
const BATCH_MAX_DEFAULT: usize = 100;
const BATCH_MAX: usize = 1_000;
const INBOX_DAYS_DEFAULT: u32 = 30;
const INBOX_DAYS_MAX: u32 = 3_650;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    url: String,
    #[serde(default = "default_schema")]
    schema: String,
    #[serde(default = "yes")]
    create: bool,
    #[serde(default = "yes")]
    events: bool,
    table: Option<String>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    #[serde(default = "default_mechanism")]
    mechanism: Mechanism,
    inbox_days: Option<u32>,
    timeout_ms: Option<u64>,
    batch_max: Option<usize>,
}

fn default_mechanism() -> Mechanism {
    Mechanism::Transactional
}

fn default_schema() -> String {
    "writ".to_owned()
}

fn yes() -> bool {
    true
}

pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "description": "Secret reference to a postgres:// URL."},
            "schema": {"type": "string", "default": "writ", "description": "Where Writ's own tables are."},
            "create": {"type": "boolean", "default": true, "description": "Create them when they are missing."},
            "events": {"type": "boolean", "default": true, "description": "Keep every event as a row of <schema>.events."},
            "table": {"type": "string", "description": "A table that is kept up to date, as schema.table."},
            "key": {"type": "array", "items": {"type": "string"},
                "description": "Its columns for the parts of the record's key, under a unique constraint."},
            "columns": {"type": "object", "additionalProperties": {"type": "string"},
                "description": "Attributes to its columns."},
            "mechanism": {"enum": ["transactional", "two-phase"], "default": "transactional",
                "description": "What proves exactly-once effect."},
            "inbox_days": {"type": "integer", "minimum": 1, "maximum": INBOX_DAYS_MAX, "default": INBOX_DAYS_DEFAULT,
                "description": "How long a delivery id is remembered."},
            "timeout_ms": {"type": "integer", "minimum": 1, "maximum": TIMEOUT_MS_MAX, "default": TIMEOUT_MS_DEFAULT,
                "description": "Milliseconds for one attempt, connecting included."},
            "batch_max": {"type": "integer", "minimum": 1, "maximum": BATCH_MAX, "default": BATCH_MAX_DEFAULT,
                "description": "Most events in one transaction."}
        }
    })
}

pub(super) fn build(context: &Context<'_>, config: Value) -> Result<Box<dyn Subscriber>, ConfigError> {
    let keys: Keys = settings::read(config)?;
    let url = context.secrets.resolve("url", &keys.url)?;
    let within = |key: &str, value: u64, max: u64| {
        let cause = format!("{value} is not within 1 to {max}");
        if (1..=max).contains(&value) { Ok(value) } else { Err(invalid(key, cause, "choose a value within")) }
    };
    let timeout_ms = within("timeout_ms", keys.timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT), TIMEOUT_MS_MAX)?;
    let batch_max = keys.batch_max.unwrap_or(BATCH_MAX_DEFAULT);
    within("batch_max", batch_max as u64, BATCH_MAX as u64)?;
    let days = keys.inbox_days.unwrap_or(INBOX_DAYS_DEFAULT);
    within("inbox_days", u64::from(days), u64::from(INBOX_DAYS_MAX))?;
    if !matches!(keys.mechanism, Mechanism::Transactional | Mechanism::TwoPhase) {
        let cause = "this connector does not prove it";
        return Err(invalid("mechanism", cause, "use transactional or two-phase"));
    }
    let upsert = upsert(&keys)?;
    if upsert.is_none() && !keys.events {
        return Err(invalid(
            "events",
            "neither rows of events nor a table is kept",
            "set `table`, or `events: true`",
        ));
    }
    let schema = Column::new("schema", &keys.schema)?;
    Ok(Box::new(Database {
        name: context.name.to_owned(),
        target: Target::new(Address::parse(url.expose_secret())?)?,
        inbox: Inbox { schema, days, creates: keys.create, keeps_events: keys.events, upsert },
        mechanism: keys.mechanism,
        timeout: Duration::from_millis(timeout_ms),
        batch_max,
        pool: Pool::default(),
        attempts: AtomicU64::new(0),
    }))
}

fn upsert(keys: &Keys) -> Result<Option<Upsert>, ConfigError> {
    let Some(table) = &keys.table else {
        if keys.key.is_empty() && keys.columns.is_empty() {
            return Ok(None);
        }
        return Err(invalid(
            "table",
            "there are key or columns and no table",
            "name the table as schema.table",
        ));
    };
    if keys.key.is_empty() {
        return Err(invalid(
            "key",
            "no column takes the record's key",
            "name the columns of a unique constraint",
        ));
    }
    let table = Table::parse(table)?;
    let key: Vec<Column> =
        keys.key.iter().map(|column| Column::new("key", column)).collect::<Result<_, _>>()?;
    let mut columns = BTreeMap::new();
    for (attribute, column) in &keys.columns {
        let column = Column::new(&format!("columns.{attribute}"), column)?;
        if key.contains(&column) {
            return Err(invalid("columns", "a column is in key and in columns", "leave it in key only"));
        }
        columns.insert(attribute.clone(), column);
    }
    if columns.is_empty() {
        return Err(invalid(
            "columns",
            "no attribute goes into the table",
            "name attributes and their columns",
        ));
    }
    Ok(Some(Upsert { table, key, columns }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secrets;
    use writ_model::id::TenantId;
    use writ_model::mapping::Tables;

    fn check(config: Value, key: &str) {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("url"), "postgres://w:hunter2@127.0.0.1/s").expect("write");
        let secrets = Secrets { base: folder.path().to_owned() };
        let tenant = TenantId::new("t").expect("name");
        let context = Context { tenant: &tenant, name: "crm", tables: &Tables::new(), secrets: &secrets };
        let error = build(&context, config).err().expect("refused");
        assert_eq!(error.key, key, "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        check(json!({"url": "file:url", "timeout_ms": 0}), "timeout_ms");
        check(json!({"url": "file:url", "batch_max": 5000}), "batch_max");
        check(json!({"url": "file:url", "inbox_days": 0}), "inbox_days");
        check(json!({"url": "file:url", "events": false}), "events");
        check(json!({"url": "file:url", "mechanism": "probe"}), "mechanism");
        check(json!({"url": "file:url", "key": ["id"]}), "table");
        check(json!({"url": "file:url", "table": "a.b", "columns": {"a": "a"}}), "key");
        check(json!({"url": "file:url", "table": "b", "key": ["id"], "columns": {"a": "a"}}), "table");
        check(json!({"url": "file:url", "table": "a.b", "key": ["id"]}), "columns");
        check(json!({"url": "file:url", "table": "a.b", "key": ["id"], "columns": {"a": "id"}}), "columns");
    }
}
