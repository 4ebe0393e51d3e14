//! A source that commits transactions over one table, streams them, resumes at transaction boundaries, and
//! forgets what was acknowledged. It outlives every crash of the engine.

use std::collections::BTreeMap;

use writ_model::change::{Change, RowChange};
use writ_model::control::SourceProgress;
use writ_model::id::Position;
use writ_model::lineage::Claim;
use writ_model::time::Timestamp;
use writ_model::value::{Field, Image, Value};

use crate::chance::Chance;
use crate::options::Options;
use crate::tenant::{TABLE, Tenant, record_key};

#[derive(Debug, Clone, PartialEq)]
struct Row {
    email: Value,
    phone: Value,
    city: Value,
    is_deleted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Upstream {
    rows: BTreeMap<u64, Row>,
    changes: Vec<Change>,
    /// How many changes each transaction ended at.
    ends: Vec<usize>,
    /// How many were handed over in this session.
    sent: usize,
    acknowledged: Position,
}

/// What the source hands over at once.
pub(crate) struct Handed {
    pub(crate) changes: Vec<Change>,
    /// The last whole transaction that was handed over.
    pub(crate) progress: Option<SourceProgress>,
}

impl Upstream {
    /// Somebody commits a transaction.
    pub(crate) fn transaction(
        &mut self,
        chance: &mut Chance,
        options: &Options,
        tenant: &Tenant,
        at: Timestamp,
    ) {
        let commit = self.ends.len() as u64 + 1;
        for ordinal in 1..=chance.between(1, 4) {
            let change = Change {
                source: tenant.source.clone(),
                incarnation: tenant.incarnation.clone(),
                position: Position { commit, ordinal },
                committed_at: at,
                transaction: Some(commit.to_string()),
                producer_id: None,
                table: TABLE.to_owned(),
                row: RowChange::Insert,
                declared: None,
                key: record_key(0),
                old_key: None,
                before: None,
                after: None,
                claim: Claim::default(),
            };
            let change = self.edit(chance, options, change);
            self.changes.push(change);
        }
        self.ends.push(self.changes.len());
    }

    /// Changes one row, and the change with it.
    fn edit(&mut self, chance: &mut Chance, options: &Options, mut change: Change) -> Change {
        let number = chance.between(1, options.subjects);
        change.key = record_key(number);
        let Some(old) = self.rows.get(&number).cloned() else {
            let row = draw(chance, options);
            change.after = Some(image(chance, 0, &row, &row));
            self.rows.insert(number, row);
            return change;
        };
        change.before = options.has_before.then(|| image(chance, 0, &old, &old));
        let what = chance.between(0, 99);
        if what < 10 {
            self.rows.remove(&number);
            return Change { row: RowChange::Delete, ..change };
        }
        let mut row = old.clone();
        let place = match what {
            10..25 => self.rekey(chance, options, number, &mut change),
            25..33 => {
                row.is_deleted = !row.is_deleted;
                number
            }
            _ => {
                redraw(chance, options, &mut row);
                number
            }
        };
        change.row = if what >= 90 { RowChange::Upsert } else { RowChange::Update };
        change.after = Some(image(chance, options.unseen, &row, &old));
        self.rows.remove(&number);
        self.rows.insert(place, row);
        change
    }

    /// Gives the row another key, one that no row has at present.
    fn rekey(&self, chance: &mut Chance, options: &Options, number: u64, change: &mut Change) -> u64 {
        let to = chance.between(1, options.subjects + 2);
        if self.rows.contains_key(&to) {
            return number;
        }
        change.old_key = Some(record_key(number));
        change.key = record_key(to);
        to
    }

    /// The next changes of the stream.
    pub(crate) fn next(&mut self, most: usize, tenant: &Tenant) -> Option<Handed> {
        let end = self.changes.len().min(self.sent + most);
        let changes = self.changes.get(self.sent..end).filter(|changes| !changes.is_empty())?.to_vec();
        self.sent = end;
        let whole = self.ends.partition_point(|at| *at <= end);
        let progress = whole.checked_sub(1).map(|last| SourceProgress {
            source: tenant.source.clone(),
            incarnation: tenant.incarnation.clone(),
            position: self.changes[self.ends[last] - 1].position,
            snapshot: None,
        });
        Some(Handed { changes, progress })
    }

    pub(crate) fn acknowledge(&mut self, position: Position) {
        self.acknowledged = self.acknowledged.max(position);
    }

    pub(crate) fn acknowledged(&self) -> Position {
        self.acknowledged
    }

    /// Begins the stream again behind what was acknowledged: everything after comes a second time.
    pub(crate) fn rewind(&mut self) {
        self.rewind_to(self.acknowledged);
    }

    /// Begins again behind this change, which the engine says it has; not before what it acknowledged.
    pub(crate) fn rewind_to(&mut self, position: Position) {
        let from = position.max(self.acknowledged);
        self.sent = self.changes.partition_point(|change| change.position <= from);
    }

    /// Everything that was ever committed.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }
}

fn draw(chance: &mut Chance, options: &Options) -> Row {
    let (email, phone) = (email(chance, options), phone(chance, options));
    Row { email, phone, city: city(chance, options), is_deleted: false }
}

/// Sets some of the columns, some of them to what they are.
fn redraw(chance: &mut Chance, options: &Options, row: &mut Row) {
    match chance.between(0, 5) {
        0 | 1 => row.email = email(chance, options),
        2 => row.phone = phone(chance, options),
        3 => row.city = city(chance, options),
        4 => (row.email, row.phone) = (email(chance, options), phone(chance, options)),
        _ => *row = Row { is_deleted: row.is_deleted, ..draw(chance, options) },
    }
}

fn email(chance: &mut Chance, options: &Options) -> Value {
    match chance.between(0, 99) {
        n if n < options.bad => Value::Text("no address".to_owned()),
        n if n >= 90 => Value::Null,
        n => Value::Text(format!("u{}@example.org", n % 7)),
    }
}

fn phone(chance: &mut Chance, options: &Options) -> Value {
    match chance.between(0, 99) {
        n if n < options.bad => Value::Text("no number".to_owned()),
        n if n >= 70 => Value::Null,
        n => Value::Text(format!("+43 316 {}", 10 + n % 5)),
    }
}

fn city(chance: &mut Chance, options: &Options) -> Value {
    match chance.between(0, 99) {
        // A payment network's published test number, where somebody put it into the wrong field.
        n if n < options.bad => Value::Text("4111 1111 1111 1111".to_owned()),
        n if n >= 70 => Value::Null,
        n => Value::Text(format!("Graz {}", n % 5)),
    }
}

/// The row as the source shows it: of what did not change, some is not shown.
fn image(chance: &mut Chance, unseen: u64, row: &Row, old: &Row) -> Image {
    let columns = [
        ("email", &row.email, &old.email),
        ("phone", &row.phone, &old.phone),
        ("city", &row.city, &old.city),
    ];
    let mut image = Image(BTreeMap::new());
    for (column, value, before) in columns {
        let is_hidden = value == before && chance.percent(unseen);
        let field = if is_hidden { Field::Unseen } else { Field::Seen(value.clone()) };
        image.0.insert(column.to_owned(), field);
    }
    image.set("is_deleted", Value::Bool(row.is_deleted));
    image
}
