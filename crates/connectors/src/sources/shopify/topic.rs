//! What a Shopify topic says happened, and to which record. The topic stands in a header that Shopify does
//! not sign, so a body must also look like its topic: no forged header turns an update into an erasure.

use std::collections::BTreeMap;

use writ_model::change::RowChange;
use writ_model::taxonomy::ChangeType;
use writ_model::value::Value;

/// The table under which everything about a customer goes: one record, one subject.
const CUSTOMERS: &str = "customers";

/// A topic and body, told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// A change of a record. The row has its `id` in exact digits.
    Record {
        /// Table in the mapping.
        table: String,
        /// What happened.
        row: RowChange,
        /// The type, where the topic says it.
        declared: Option<ChangeType>,
        /// The row, as columns or paths.
        members: BTreeMap<String, Value>,
    },
    /// Nothing that changes a record; to be answered with success.
    Noted,
    /// No topic, or one of another form.
    Unknown,
    /// The body does not look like the topic.
    Unlike,
}

/// Reads a topic and its body.
pub(super) fn read(topic: &str, body: Value) -> Told {
    let Value::Map(members) = body else { return Told::Unlike };
    match topic {
        "customers/redact" => redact(members),
        // Nothing changes: the request is the operator's to answer, and Shopify asks for a success.
        "customers/data_request" if members.contains_key("orders_requested") => Told::Noted,
        "customers/data_request" => Told::Unlike,
        "customers/delete" => deleted(CUSTOMERS, members),
        "customers/create" | "customers/update" | "customers/enable" | "customers/disable" => {
            upserted(CUSTOMERS, members, "id", "admin_graphql_api_id")
        }
        "customers_email_marketing_consent/update" => {
            upserted(CUSTOMERS, members, "customer_id", "admin_graphql_api_customer_id")
        }
        "customers_marketing_consent/update" => upserted(CUSTOMERS, members, "id", "admin_graphql_api_id"),
        "customer_payment_methods/create" | "customer_payment_methods/update" => {
            payment_method(members, "active")
        }
        "customer_payment_methods/revoke" => payment_method(members, "revoked"),
        other => match other.split_once('/') {
            Some((table, "create" | "update")) => upserted(table, members, "id", "admin_graphql_api_id"),
            Some((table, "delete")) => deleted(table, members),
            _ => Told::Unknown,
        },
    }
}

/// The table that a topic's records belong to, for holding it against the mapping.
fn record(table: &str, row: RowChange, mut members: BTreeMap<String, Value>, id: &str, gid: &str) -> Told {
    let Some(id) = exact_id(&members, id, gid) else { return Told::Unlike };
    members.insert("id".to_owned(), id);
    Told::Record { table: table.to_owned(), row, declared: None, members }
}

fn upserted(table: &str, members: BTreeMap<String, Value>, id: &str, gid: &str) -> Told {
    record(table, RowChange::Upsert, members, id, gid)
}

/// A deleted resource comes as little more than its id; a whole resource under this topic is a forged header.
fn deleted(table: &str, members: BTreeMap<String, Value>) -> Told {
    if members.contains_key("updated_at") || members.contains_key("created_at") {
        return Told::Unlike;
    }
    record(table, RowChange::Delete, members, "id", "admin_graphql_api_id")
}

/// One customer's payment methods are columns of the customer: the same subject, so that an erasure covers
/// them. The columns show the method that changed last.
fn payment_method(mut members: BTreeMap<String, Value>, state: &str) -> Told {
    let Some(id) = exact_id(&members, "customer_id", "admin_graphql_api_customer_id") else {
        return Told::Unlike;
    };
    members.insert("state".to_owned(), Value::Text(state.to_owned()));
    let members = [("id".to_owned(), id), ("payment_method".to_owned(), Value::Map(members))].into();
    Told::Record { table: CUSTOMERS.to_owned(), row: RowChange::Upsert, declared: None, members }
}

fn redact(members: BTreeMap<String, Value>) -> Told {
    let (Some(Value::Map(customer)), true) =
        (members.get("customer"), members.contains_key("orders_to_redact"))
    else {
        return Told::Unlike;
    };
    let Some(id) = exact_id(customer, "id", "admin_graphql_api_id") else { return Told::Unlike };
    Told::Record {
        table: CUSTOMERS.to_owned(),
        row: RowChange::Upsert,
        declared: Some(ChangeType::Erasure),
        members: [("id".to_owned(), id)].into(),
    }
}

/// The number at the end of the global id, else the numeric id: producers in JavaScript round the latter.
fn exact_id(members: &BTreeMap<String, Value>, id: &str, gid: &str) -> Option<Value> {
    if let Some(Value::Text(gid)) = members.get(gid) {
        let number = gid.strip_prefix("gid://shopify/")?.rsplit('/').next()?;
        return Some(number.parse().map_or_else(|_| Value::Text(number.to_owned()), Value::Int));
    }
    match members.get(id) {
        Some(number @ Value::Int(_)) => Some(number.clone()),
        Some(Value::Text(text)) if !text.is_empty() => Some(Value::Text(text.clone())),
        _ => None,
    }
}
