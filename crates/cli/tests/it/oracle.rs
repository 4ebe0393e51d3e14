//! The workload of the capture test and what must come of it: a model of the customer table that says, for
//! every statement, which events subscribers are owed. It knows the documented rules (`docs/reference`), not
//! the engine's code.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What a subscriber is owed of one subject and one change type: the states after each change, in order;
/// `None` where the record went away.
pub(crate) type Owed = BTreeMap<(String, String), Vec<Option<Map<String, Value>>>>;

/// The change types of the customer table and their columns.
pub(crate) const GROUPS: [(&str, &[&str]); 4] = [
    ("email", &["email"]),
    ("phone", &["phone"]),
    ("address", &["street", "city", "postal_code"]),
    ("preference", &["value"]),
];

type Columns = BTreeMap<&'static str, Option<String>>;

/// One row as the table has it, and what subscribers were told of it.
#[derive(Debug, Clone, Default)]
struct Customer {
    columns: Columns,
    told: BTreeMap<&'static str, Map<String, Value>>,
}

/// The model: rows by id, events owed so far, row changes so far.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    rows: BTreeMap<i64, Customer>,
    pub(crate) owed: Owed,
    pub(crate) events: usize,
    pub(crate) changes: usize,
}

impl Oracle {
    /// A row appears. Columns that are not named are null.
    pub(crate) fn insert(&mut self, id: i64, columns: &[(&'static str, String)]) {
        let mut customer = Customer::default();
        customer.columns.extend(columns.iter().map(|(name, value)| (*name, Some(value.clone()))));
        assert!(self.rows.insert(id, customer).is_none(), "the workload inserts {id} twice");
        self.changes += 1;
        self.tell(id);
    }

    /// Columns of a row change; `None` is null.
    pub(crate) fn update(&mut self, id: i64, columns: &[(&'static str, Option<String>)]) {
        let customer = self.rows.get_mut(&id).expect("the workload updates a row that is there");
        customer.columns.extend(columns.iter().map(|(name, value)| (*name, value.clone())));
        self.changes += 1;
        self.tell(id);
    }

    /// A row goes away: every change type that was told of is told of its end.
    pub(crate) fn delete(&mut self, id: i64) {
        let customer = self.rows.remove(&id).expect("the workload deletes a row that is there");
        self.changes += 1;
        for group in customer.told.keys() {
            self.owe(id, group, None);
        }
    }

    /// A row's key changes: every change type that has a value is told of under the new key.
    pub(crate) fn rekey(&mut self, from: i64, to: i64) {
        let customer = self.rows.remove(&from).expect("the workload rekeys a row that is there");
        self.changes += 1;
        let valued = customer.told.iter().filter(|(_, after)| after.values().any(|value| !value.is_null()));
        let valued: Vec<_> = valued.map(|(group, after)| (*group, after.clone())).collect();
        self.rows.insert(to, customer);
        for (group, after) in valued {
            self.owe(to, group, Some(after));
        }
    }

    /// Tells of every change type whose columns differ from what was told; a change type of nothing but nulls
    /// is not told of before it had a value.
    fn tell(&mut self, id: i64) {
        let customer = self.rows.get_mut(&id).expect("the row was just changed");
        let mut news = Vec::new();
        for (group, names) in GROUPS {
            let value =
                |name: &&str| customer.columns.get(name).cloned().flatten().map_or(Value::Null, Value::from);
            let after: Map<String, Value> =
                names.iter().map(|name| ((*name).to_owned(), value(name))).collect();
            let told = customer.told.get(group);
            let is_empty = after.values().all(Value::is_null);
            let was_empty = told.is_none_or(|told| told.values().all(Value::is_null));
            if told != Some(&after) && !(is_empty && was_empty) {
                customer.told.insert(group, after.clone());
                news.push((group, after));
            }
        }
        for (group, after) in news {
            self.owe(id, group, Some(after));
        }
    }

    fn owe(&mut self, id: i64, group: &str, after: Option<Map<String, Value>>) {
        let place = (format!("customer/{id}"), format!("writ.customer.{group}.v1"));
        self.owed.entry(place).or_default().push(after);
        self.events += 1;
    }
}

#[test]
fn a_row_owes_one_event_for_each_change_type_that_differs() {
    let mut oracle = Oracle::default();
    oracle.insert(1, &[("email", "a@example.org".into()), ("city", "Graz".into())]);
    oracle.update(1, &[("email", Some("b@example.org".into()))]);
    oracle.update(1, &[("email", Some("b@example.org".into()))]);
    oracle.rekey(1, 2);
    oracle.delete(2);
    assert_eq!((oracle.changes, oracle.events), (5, 2 + 1 + 2 + 2));
    let email = |id: i64| oracle.owed[&(format!("customer/{id}"), "writ.customer.email.v1".to_owned())].len();
    assert_eq!((email(1), email(2)), (2, 2));
}
