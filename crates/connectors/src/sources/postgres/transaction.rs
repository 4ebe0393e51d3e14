//! Turns messages into changes with positions. Pure.
//!
//! ```text
//! log:       ... BEGIN(T, commit record at C) row row row COMMIT(goes on at E) ...
//! positions:                                  C.1 C.2 C.3
//! progress:                                                E.0  = every commit record before E is read
//! ```
//!
//! A change's place is its transaction's commit record, which is known when the transaction begins, and its
//! number among the row messages of that transaction, from 1. The next commit record may begin exactly where
//! the last one ends; progress has ordinal 0, so it never covers a change of that next transaction. Rows of
//! unmapped tables count too, so that a changed mapping does not renumber the others.

use writ_model::change::{Change, RowChange};
use writ_model::id::{Incarnation, Position, SourceName};
use writ_model::lineage::Claim;
use writ_model::time::Timestamp;

use super::pgoutput::{Begin, DecodeError, Message};
use super::relations::{Fit, KeyGone, Layout, Relations};
use super::rows::{self, Row, RowError};

/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's clock starts.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A time on PostgreSQL's clock.
pub(super) fn timestamp(postgres_micros: i64) -> Timestamp {
    Timestamp(postgres_micros.saturating_add(POSTGRES_EPOCH_MICROS))
}

/// Where a message leaves the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Between or inside transactions, as before.
    On,
    /// A transaction ended: every commit record before `end_lsn` is read.
    Committed {
        /// Where the log goes on.
        end_lsn: u64,
    },
}

/// What an operator should know of the stream although no change says it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// A mapped table was emptied; which rows it held is not in the stream.
    Truncated {
        /// The table.
        table: String,
    },
    /// Mapped columns are gone from a table.
    ColumnsGone {
        /// The table.
        table: String,
        /// The columns.
        columns: Vec<String>,
    },
}

/// A message that cannot be turned into a change; the stream must stop before it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its rows do not fit.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The table lost its key.
    #[error(transparent)]
    Key(#[from] KeyGone),
    /// It comes where it cannot: a row outside a transaction, a table that was never described.
    #[error("{0}")]
    Order(&'static str),
}

#[derive(Debug)]
struct Open {
    begin: Begin,
    ordinal: u64,
}

/// Collects the changes of a stream.
#[derive(Debug)]
pub(super) struct Assembler {
    source: SourceName,
    incarnation: Incarnation,
    relations: Relations,
    open: Option<Open>,
    /// A deleted row waits one message: when the same key is inserted next, the row only moved between
    /// partitions (or was replaced), and the record never went away.
    held: Option<Change>,
    ready: Vec<Change>,
    notices: Vec<Notice>,
}

impl Assembler {
    pub(super) fn new(source: SourceName, incarnation: Incarnation, relations: Relations) -> Self {
        let (ready, notices) = (Vec::new(), Vec::new());
        Self { source, incarnation, relations, open: None, held: None, ready, notices }
    }

    /// Whether a transaction is being read.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// How many changes are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The ready changes, in order.
    pub(super) fn drain(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.ready)
    }

    /// The notices since the last call.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Takes one message.
    pub(super) fn take(&mut self, message: Message) -> Result<Step, Fault> {
        match message {
            Message::Begin(begin) => self.begin(begin)?,
            Message::Commit { end_lsn } => return self.commit(end_lsn),
            Message::Relation(relation) => self.describe(&relation)?,
            Message::Insert { relation, new } => {
                self.row(relation, |layout| rows::appeared(layout, RowChange::Insert, new))?;
            }
            Message::Update { relation, old, new } => {
                self.row(relation, |layout| rows::updated(layout, old, new))?;
            }
            Message::Delete { relation, old } => self.row(relation, |layout| rows::deleted(layout, old))?,
            Message::Truncate { relations } => self.truncate(&relations)?,
            Message::Origin | Message::Type | Message::Logical { .. } => {}
        }
        Ok(Step::On)
    }

    fn begin(&mut self, begin: Begin) -> Result<(), Fault> {
        if self.open.is_some() {
            return Err(Fault::Order("a transaction begins inside another one"));
        }
        self.open = Some(Open { begin, ordinal: 0 });
        Ok(())
    }

    fn commit(&mut self, end_lsn: u64) -> Result<Step, Fault> {
        let open = self.open.take().ok_or(Fault::Order("a commit outside a transaction"))?;
        if end_lsn <= open.begin.commit_lsn {
            return Err(Fault::Order("a commit that ends before it begins"));
        }
        self.ready.extend(self.held.take());
        Ok(Step::Committed { end_lsn })
    }

    fn describe(&mut self, relation: &super::pgoutput::Relation) -> Result<(), Fault> {
        match self.relations.describe(relation)? {
            Fit::Whole => {}
            Fit::Lacks { table, columns } => self.notices.push(Notice::ColumnsGone { table, columns }),
        }
        Ok(())
    }

    fn row(
        &mut self,
        relation: u32,
        read: impl FnOnce(&Layout) -> Result<Row, RowError>,
    ) -> Result<(), Fault> {
        let layout = self.relations.layout(relation).ok_or(Fault::Order("a row of an undescribed table"))?;
        let open = self.open.as_mut().ok_or(Fault::Order("a row outside a transaction"))?;
        open.ordinal += 1;
        let Some(layout) = layout else { return Ok(()) };
        let place = Place {
            source: self.source.clone(),
            incarnation: self.incarnation.clone(),
            position: Position { commit: open.begin.commit_lsn, ordinal: open.ordinal },
            committed_at: timestamp(open.begin.committed_micros),
            transaction: Some(open.begin.xid.to_string()),
            table: layout.table.clone(),
        };
        let change = placed(read(layout)?, place);
        self.hand_on(change);
        Ok(())
    }

    /// Hands a change on, or holds it back, or joins it with the one held back.
    fn hand_on(&mut self, mut change: Change) {
        if let Some(gone) = self.held.take() {
            let is_same =
                change.row == RowChange::Insert && change.table == gone.table && change.key == gone.key;
            if is_same {
                change.row = RowChange::Update;
                change.before = gone.before;
            } else {
                self.ready.push(gone);
            }
        }
        match change.row {
            RowChange::Delete => self.held = Some(change),
            RowChange::Insert | RowChange::Update | RowChange::Upsert => self.ready.push(change),
        }
    }

    fn truncate(&mut self, relations: &[u32]) -> Result<(), Fault> {
        for &relation in relations {
            let layout =
                self.relations.layout(relation).ok_or(Fault::Order("an undescribed table was emptied"))?;
            self.notices.extend(layout.map(|layout| Notice::Truncated { table: layout.table.clone() }));
        }
        Ok(())
    }
}

/// Where a row stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) source: SourceName,
    pub(super) incarnation: Incarnation,
    pub(super) position: Position,
    pub(super) committed_at: Timestamp,
    pub(super) transaction: Option<String>,
    pub(super) table: String,
}

/// A row as a change at its place.
pub(super) fn placed(row: Row, place: Place) -> Change {
    Change {
        source: place.source,
        incarnation: place.incarnation,
        position: place.position,
        committed_at: place.committed_at,
        transaction: place.transaction,
        producer_id: None,
        table: place.table,
        row: row.row,
        declared: None,
        key: row.key,
        old_key: row.old_key,
        before: row.before,
        after: row.after,
        claim: Claim::default(),
    }
}

#[cfg(test)]
mod tests {
    use writ_model::value::Value;

    use super::super::pgoutput::{Cell, Column, Old, Relation};
    use super::*;

    fn assembler() -> Assembler {
        let mapping =
            r#"{"customer": {"entity": "customer", "key": ["id"], "changes": {"email": ["email"]}}}"#;
        let tables = serde_json::from_str(mapping).expect("mapping");
        let source = SourceName::new("shop").expect("name");
        let mut assembler = Assembler::new(source, Incarnation("one".into()), Relations::new(&tables));
        for (id, name) in [(1, "customer"), (2, "audit")] {
            let column = |name: &str, is_identity| Column { name: name.into(), type_id: 25, is_identity };
            let columns = vec![column("id", true), column("email", false)];
            let relation = Relation { id, schema: "public".into(), name: name.into(), columns };
            assembler.take(Message::Relation(relation)).expect("described");
        }
        assembler
    }

    fn begin(commit_lsn: u64) -> Message {
        Message::Begin(Begin { commit_lsn, committed_micros: 0, xid: 9 })
    }

    fn row(id: &str, email: &str) -> Vec<Cell> {
        vec![Cell::Text(id.into()), Cell::Text(email.into())]
    }

    fn insert(relation: u32, id: &str) -> Message {
        Message::Insert { relation, new: row(id, "new") }
    }

    fn delete(id: &str) -> Message {
        Message::Delete { relation: 1, old: Old::Full(row(id, "old")) }
    }

    fn check(messages: Vec<Message>, expected: &[(RowChange, u64, u64)]) -> Vec<Change> {
        let mut assembler = assembler();
        for message in messages {
            assembler.take(message).expect("taken");
        }
        let changes = assembler.drain();
        let seen: Vec<_> = changes.iter().map(|c| (c.row, c.position.commit, c.position.ordinal)).collect();
        assert_eq!(seen, expected);
        changes
    }

    #[test]
    fn rows_that_share_one_log_record_have_places_of_their_own() {
        let messages = vec![begin(16), insert(1, "a"), insert(1, "b"), Message::Commit { end_lsn: 64 }];
        check(messages, &[(RowChange::Insert, 16, 1), (RowChange::Insert, 16, 2)]);
    }

    #[test]
    fn progress_never_covers_the_transaction_that_begins_where_the_last_ended() {
        let mut assembler = assembler();
        assembler.take(begin(16)).expect("begin");
        assert_eq!(assembler.take(Message::Commit { end_lsn: 64 }), Ok(Step::Committed { end_lsn: 64 }));
        for message in [begin(64), insert(1, "a")] {
            assembler.take(message).expect("taken");
        }
        assert!(assembler.drain()[0].position > Position { commit: 64, ordinal: 0 });
    }

    #[test]
    fn rows_of_unmapped_tables_are_not_taken_in_but_counted() {
        let messages = vec![begin(16), insert(2, "x"), insert(1, "a")];
        check(messages, &[(RowChange::Insert, 16, 2)]);
    }

    #[test]
    fn a_row_that_moves_between_partitions_is_one_update() {
        let messages = vec![begin(16), delete("a"), insert(1, "a"), Message::Commit { end_lsn: 64 }];
        let changes = check(messages, &[(RowChange::Update, 16, 2)]);
        let before = changes[0].before.as_ref().expect("before");
        assert!(before.get("email") == Some(&Value::Text("old".into())));
    }

    #[test]
    fn a_deleted_row_is_handed_on_when_something_else_follows() {
        let messages =
            vec![begin(16), delete("a"), insert(1, "b"), delete("c"), Message::Commit { end_lsn: 64 }];
        check(
            messages,
            &[(RowChange::Delete, 16, 1), (RowChange::Insert, 16, 2), (RowChange::Delete, 16, 3)],
        );
    }

    #[test]
    fn an_emptied_mapped_table_is_told() {
        let mut assembler = assembler();
        assembler.take(begin(16)).expect("begin");
        assembler.take(Message::Truncate { relations: vec![2, 1] }).expect("taken");
        assert_eq!(assembler.notices(), [Notice::Truncated { table: "customer".into() }]);
        assert!(assembler.notices().is_empty());
    }

    #[test]
    fn messages_out_of_order_stop_the_stream() {
        let fault = |message| assembler().take(message);
        assert!(matches!(fault(insert(1, "a")), Err(Fault::Order(_))));
        assert!(matches!(fault(insert(77, "a")), Err(Fault::Order(_))));
        assert!(matches!(fault(Message::Commit { end_lsn: 1 }), Err(Fault::Order(_))));
    }
}
