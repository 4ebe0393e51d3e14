//! Decodes messages of the `pgoutput` plugin, protocol version 1 (PostgreSQL manual, "Logical Replication
//! Message Formats"). Pure: bytes in, a message or an error out; no byte string panics.
//!
//! Nothing is skipped: an unknown message, a cell of an unknown kind or bytes left over are errors, because
//! what cannot be read may be a change.

use bytes::Bytes;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A transaction begins; it is sent only once it has committed.
    Begin(Begin),
    /// The transaction ends.
    Commit {
        /// Where the log goes on after the commit record.
        end_lsn: u64,
    },
    /// The transaction came to this server by replication.
    Origin,
    /// Describes a table; stands for the session or until it is sent again.
    Relation(Relation),
    /// Names a type that is not built in.
    Type,
    /// A new row.
    Insert {
        /// The table's id.
        relation: u32,
        /// The row.
        new: Tuple,
    },
    /// A changed row.
    Update {
        /// The table's id.
        relation: u32,
        /// The row before, as far as the replica identity has it logged.
        old: Option<Old>,
        /// The row after.
        new: Tuple,
    },
    /// A row that is gone.
    Delete {
        /// The table's id.
        relation: u32,
        /// The row before.
        old: Old,
    },
    /// Tables that were emptied.
    Truncate {
        /// Their ids.
        relations: Vec<u32>,
    },
    /// A logical message. Its content is not read.
    Logical {
        /// Whether it belongs to the transaction around it.
        is_transactional: bool,
    },
}

/// The beginning of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    /// Where the commit record begins: unique to the transaction, and rising from one to the next.
    pub(super) commit_lsn: u64,
    /// Commit time in microseconds since 2000-01-01T00:00:00Z.
    pub(super) committed_micros: i64,
    /// Transaction id.
    pub(super) xid: u32,
}

/// A table as the session knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) id: u32,
    /// Schema; `pg_catalog` is sent as an empty name.
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Object id of its type.
    pub(super) type_id: u32,
    /// Part of the replica identity; under `REPLICA IDENTITY FULL` every column is.
    pub(super) is_identity: bool,
}

/// A row before the change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Old {
    /// Only the identity's columns are meant; the others are sent as null without being so.
    Identity(Tuple),
    /// The whole row (`REPLICA IDENTITY FULL`).
    Full(Tuple),
}

/// One row's cells, in the order of the [`Relation`]'s columns.
pub(super) type Tuple = Vec<Cell>;

/// One cell.
#[derive(PartialEq, Eq, Clone)]
pub(super) enum Cell {
    /// SQL null.
    Null,
    /// An out-of-line value that the change did not touch and the server did not send.
    Unchanged,
    /// The value in its type's text form.
    Text(String),
}

impl std::fmt::Debug for Cell {
    /// Never the content: values are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Unchanged => "unchanged",
            Self::Text(_) => "<text>",
        })
    }
}

/// A message that cannot be read. Shows no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    /// It ends early.
    #[error("a message ends before its end")]
    Truncated,
    /// It goes on after its end.
    #[error("a message of type {0:?} has bytes left over")]
    LeftOver(char),
    /// Its first byte is not known.
    #[error("a message of unknown type {0:?}")]
    UnknownMessage(char),
    /// A row image is introduced by something else than `K`, `O` or `N`.
    #[error("a row image of unknown kind {0:?}")]
    UnknownImage(char),
    /// A cell is neither null, unchanged nor text.
    #[error("a cell of unknown kind {0:?}")]
    UnknownCell(char),
    /// A text is not UTF-8, although the session asks for it.
    #[error("a text is not UTF-8: the database holds bytes outside its encoding")]
    NotUtf8,
}

/// Decodes one message.
pub(super) fn decode(data: &Bytes) -> Result<Message, DecodeError> {
    let mut reader = Reader { rest: data };
    let tag = reader.u8()?;
    let message = match tag {
        b'B' => begin(&mut reader)?,
        b'C' => commit(&mut reader)?,
        b'O' => origin(&mut reader)?,
        b'R' => Message::Relation(relation(&mut reader)?),
        b'Y' => type_name(&mut reader)?,
        b'I' => insert(&mut reader)?,
        b'U' => update(&mut reader)?,
        b'D' => delete(&mut reader)?,
        b'T' => truncate(&mut reader)?,
        b'M' => logical(&mut reader)?,
        other => return Err(DecodeError::UnknownMessage(char::from(other))),
    };
    if reader.rest.is_empty() { Ok(message) } else { Err(DecodeError::LeftOver(char::from(tag))) }
}

fn begin(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let commit_lsn = reader.u64()?;
    let committed_micros = reader.u64()?.cast_signed();
    Ok(Message::Begin(Begin { commit_lsn, committed_micros, xid: reader.u32()? }))
}

fn commit(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let _flags = reader.u8()?;
    let _commit_lsn = reader.u64()?;
    let end_lsn = reader.u64()?;
    let _committed_micros = reader.u64()?;
    Ok(Message::Commit { end_lsn })
}

fn origin(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let _commit_lsn_there = reader.u64()?;
    let _name = reader.name()?;
    Ok(Message::Origin)
}

fn relation(reader: &mut Reader<'_>) -> Result<Relation, DecodeError> {
    let id = reader.u32()?;
    let schema = reader.name()?;
    let name = reader.name()?;
    let _replica_identity = reader.u8()?;
    let count = reader.u16()?;
    let columns = (0..count).map(|_| column(reader)).collect::<Result<_, _>>()?;
    Ok(Relation { id, schema, name, columns })
}

fn column(reader: &mut Reader<'_>) -> Result<Column, DecodeError> {
    let is_identity = reader.u8()? & 1 == 1;
    let name = reader.name()?;
    let type_id = reader.u32()?;
    let _modifier = reader.u32()?;
    Ok(Column { name, type_id, is_identity })
}

fn type_name(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let _id = reader.u32()?;
    let _schema = reader.name()?;
    let _name = reader.name()?;
    Ok(Message::Type)
}

fn insert(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let relation = reader.u32()?;
    match reader.u8()? {
        b'N' => Ok(Message::Insert { relation, new: tuple(reader)? }),
        other => Err(DecodeError::UnknownImage(char::from(other))),
    }
}

fn update(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let relation = reader.u32()?;
    let mut kind = reader.u8()?;
    let mut old = None;
    if kind != b'N' {
        old = Some(old_tuple(reader, kind)?);
        kind = reader.u8()?;
    }
    match kind {
        b'N' => Ok(Message::Update { relation, old, new: tuple(reader)? }),
        other => Err(DecodeError::UnknownImage(char::from(other))),
    }
}

fn delete(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let relation = reader.u32()?;
    let kind = reader.u8()?;
    Ok(Message::Delete { relation, old: old_tuple(reader, kind)? })
}

fn old_tuple(reader: &mut Reader<'_>, kind: u8) -> Result<Old, DecodeError> {
    match kind {
        b'K' => Ok(Old::Identity(tuple(reader)?)),
        b'O' => Ok(Old::Full(tuple(reader)?)),
        other => Err(DecodeError::UnknownImage(char::from(other))),
    }
}

fn tuple(reader: &mut Reader<'_>) -> Result<Tuple, DecodeError> {
    let count = reader.u16()?;
    (0..count).map(|_| cell(reader)).collect()
}

fn cell(reader: &mut Reader<'_>) -> Result<Cell, DecodeError> {
    match reader.u8()? {
        b'n' => Ok(Cell::Null),
        b'u' => Ok(Cell::Unchanged),
        b't' => {
            let length = usize::try_from(reader.u32()?).map_err(|_| DecodeError::Truncated)?;
            Ok(Cell::Text(text(reader.take(length)?)?))
        }
        other => Err(DecodeError::UnknownCell(char::from(other))),
    }
}

fn truncate(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let count = reader.u32()?;
    let _options = reader.u8()?;
    let relations = (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
    Ok(Message::Truncate { relations })
}

fn logical(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let is_transactional = reader.u8()? & 1 == 1;
    let _lsn = reader.u64()?;
    let _prefix = reader.name()?;
    let length = usize::try_from(reader.u32()?).map_err(|_| DecodeError::Truncated)?;
    let _content = reader.take(length)?;
    Ok(Message::Logical { is_transactional })
}

fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::NotUtf8)
}

/// What of a message is not read yet.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A text that ends with a zero byte.
    fn name(&mut self) -> Result<String, DecodeError> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or(DecodeError::Truncated)?;
        let name = text(self.take(end)?)?;
        self.take(1)?;
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RELATION: &[u8] = b"R\0\0\0\x07public\0customer\0d\0\x02\x01id\0\0\0\0\x17\xff\xff\xff\xff\0email\0\0\0\0\x19\xff\xff\xff\xff";
    const UPDATE: &[u8] = b"U\0\0\0\x07K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x012u";

    fn check(bytes: &[u8], expected: Result<Message, DecodeError>) {
        assert_eq!(decode(&Bytes::copy_from_slice(bytes)), expected);
    }

    fn text(value: &str) -> Cell {
        Cell::Text(value.to_owned())
    }

    #[test]
    fn a_relation_names_its_columns_and_its_identity() {
        let column = |name: &str, type_id, is_identity| Column { name: name.into(), type_id, is_identity };
        let columns = vec![column("id", 23, true), column("email", 25, false)];
        let relation = Relation { id: 7, schema: "public".into(), name: "customer".into(), columns };
        check(RELATION, Ok(Message::Relation(relation)));
    }

    #[test]
    fn unchanged_is_not_null_and_an_old_identity_comes_with_a_changed_key() {
        let old = Some(Old::Identity(vec![text("1"), Cell::Null]));
        check(UPDATE, Ok(Message::Update { relation: 7, old, new: vec![text("2"), Cell::Unchanged] }));
    }

    #[test]
    fn begin_and_commit_carry_the_commit_record_and_its_end() {
        let begin = [&b"B"[..], &16u64.to_be_bytes(), &(-5i64).to_be_bytes(), &9u32.to_be_bytes()].concat();
        check(&begin, Ok(Message::Begin(Begin { commit_lsn: 16, committed_micros: -5, xid: 9 })));
        let commit = [&b"C\0"[..], &16u64.to_be_bytes(), &64u64.to_be_bytes(), &0u64.to_be_bytes()].concat();
        check(&commit, Ok(Message::Commit { end_lsn: 64 }));
    }

    #[test]
    fn the_flag_of_a_logical_message_is_a_bit_not_a_letter() {
        let message = |flag: u8| [&[b'M', flag][..], &[0; 8], b"writ\0", &2u32.to_be_bytes(), b"hi"].concat();
        check(&message(1), Ok(Message::Logical { is_transactional: true }));
        check(&message(0), Ok(Message::Logical { is_transactional: false }));
    }

    #[test]
    fn truncate_origin_type_insert_and_delete_are_read() {
        check(b"T\0\0\0\x02\x01\0\0\0\x07\0\0\0\x08", Ok(Message::Truncate { relations: vec![7, 8] }));
        check(b"O\0\0\0\0\0\0\0\x01up\0", Ok(Message::Origin));
        check(b"Y\0\0\0\x09public\0mood\0", Ok(Message::Type));
        check(b"I\0\0\0\x07N\0\x01n", Ok(Message::Insert { relation: 7, new: vec![Cell::Null] }));
        let old = Old::Full(vec![text("a")]);
        check(b"D\0\0\0\x07O\0\x01t\0\0\0\x01a", Ok(Message::Delete { relation: 7, old }));
    }

    #[test]
    fn what_is_not_understood_is_an_error_never_dropped() {
        check(b"S\0\0\0\x01\x01", Err(DecodeError::UnknownMessage('S')));
        check(b"D\0\0\0\x07N\0\0", Err(DecodeError::UnknownImage('N')));
        check(b"I\0\0\0\x07N\0\x01b\0\0\0\x01a", Err(DecodeError::UnknownCell('b')));
        check(b"I\0\0\0\x07N\0\x01nX", Err(DecodeError::LeftOver('I')));
        check(b"I\0\0\0\x07N\0\x01t\0\0\0\x01\xff", Err(DecodeError::NotUtf8));
        check(b"", Err(DecodeError::Truncated));
    }

    #[test]
    fn every_prefix_of_a_message_is_truncated() {
        for whole in [RELATION, UPDATE] {
            for length in 0..whole.len() {
                check(&whole[..length], Err(DecodeError::Truncated));
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _result = decode(&Bytes::from(bytes));
        }

        #[test]
        fn no_damaged_message_panics(tag in "[BCORYIUDTM]", at in 0usize..60, byte in any::<u8>()) {
            let mut bytes = [tag.as_bytes(), &RELATION[1..]].concat();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _result = decode(&Bytes::from(bytes));
        }
    }
}
