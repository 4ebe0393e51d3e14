//! The one tenant of the world: its names, its keys, its schemas and how its source's columns are mapped.

use std::sync::OnceLock;

use writ_kernel::route::{Filter, Router};
use writ_model::id::{Incarnation, RecordKey, SourceName, TenantId};
use writ_model::mapping::{ColumnSet, TableMapping};
use writ_model::taxonomy::{ChangeType, Entity};
use writ_model::verdict::PolicyVersion;
use writ_schema::registry::Registry;
use writ_store::vault::TenantSecrets;

/// The audit log's name.
pub(crate) const ORIGIN: &str = "audit.example/sim";

/// The source's only table.
pub(crate) const TABLE: &str = "public.customer";

/// Everything that stays the same over crashes.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) source: SourceName,
    pub(crate) incarnation: Incarnation,
    pub(crate) secrets: TenantSecrets,
    pub(crate) mapping: TableMapping,
    pub(crate) policy: PolicyVersion,
}

impl Tenant {
    pub(crate) fn new() -> Self {
        Self {
            id: TenantId::new("shop").expect("a name"),
            source: SourceName::new("upstream").expect("a name"),
            incarnation: Incarnation("one".to_owned()),
            secrets: TenantSecrets {
                tenant_key: [1; 32],
                event_id_key: [2; 32],
                slot_key: [3; 32],
                delivery_key: [4; 32],
                card_hash_key: [5; 32],
                attest_seed: [6; 32],
            },
            mapping: mapping(),
            policy: PolicyVersion(format!("sim@sha256:{}", "0".repeat(64)).into()),
        }
    }
}

fn mapping() -> TableMapping {
    let same = |column: &str| ColumnSet::Same(vec![column.to_owned()]);
    TableMapping {
        entity: Entity::Customer,
        key: vec!["id".to_owned()],
        changes: [
            (ChangeType::Email, same("email")),
            (ChangeType::Phone, same("phone")),
            (ChangeType::Address, same("city")),
        ]
        .into(),
        soft_delete: Some("is_deleted".to_owned()),
        parent: None,
        location: None,
        locale: None,
    }
}

/// The record with this number.
pub(crate) fn record_key(number: u64) -> RecordKey {
    RecordKey(vec![format!("c{number}")])
}

/// The built-in schemas, compiled once for all worlds.
pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(Registry::built_in)
}

/// Subscribers' filters, by number: everything, e-mail addresses, all but phone numbers, express only.
pub(crate) fn router(subscribers: usize) -> Router {
    let filters = [
        serde_json::json!([]),
        serde_json::json!([{"exact": {"changetype": "email"}}]),
        serde_json::json!([{"not": {"exact": {"changetype": "phone"}}}]),
        serde_json::json!([{"exact": {"priorityclass": "express"}}]),
    ];
    let compile = |n: usize| {
        let filter = filters[n % filters.len()].as_array().map_or(&[][..], Vec::as_slice);
        Filter::compile(filter).expect("a fixed filter")
    };
    Router::new((0..subscribers).map(compile).collect())
}
