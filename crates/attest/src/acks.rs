//! Acknowledgement records: how one event ended at each subscriber. A final leaf carries their counts and
//! Merkle root; the records lie in a companion object beside the entry bundle.
//!
//! In the engine's log a final leaf and its records travel as one: the leaf, then each record on a line of
//! its own ([`join`], [`split`]).

mod sealer;

use crate::canonical::{self, CanonicalError, Value};
use crate::fields::{FieldError, Fields, checked, is_name, prefixed, require};
use crate::time::Time;
use crate::tree::{Hash, empty_root, leaf_hash, root_of};

pub use sealer::Sealer;

/// Subscribers of one event.
pub const RECORDS_MAX: usize = 4096;

/// Bytes of one record.
pub const RECORD_BYTES_MAX: usize = 1024;

/// What a record of a short name takes.
const RECORD_BYTES_TYPICAL: usize = 128;

prefixed! {
    /// The RFC 6962 root over an event's acknowledgement records in ascending order of subscribers.
    AckRoot = "ar1:";
}

/// Acknowledgement records that do not belong to their leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcksError {
    /// A record is not canonical.
    #[error("acknowledgement record: {0}")]
    Canonical(#[from] CanonicalError),
    /// A record lacks a field or has one too many.
    #[error("acknowledgement record: {0}")]
    Field(#[from] FieldError),
    /// There are more than [`RECORDS_MAX`].
    #[error("{0} acknowledgement records; an event may have {RECORDS_MAX}")]
    TooMany(usize),
    /// They are not in strictly ascending order of subscribers.
    #[error("acknowledgement records are not in ascending order of subscribers")]
    Order,
    /// Their counts or root are not those of the leaf.
    #[error("acknowledgement records are not those that the leaf counts")]
    Mismatch,
    /// The companion object is cut short or names other leaves than the bundle has.
    #[error("acknowledgement object is damaged at byte {0}")]
    Framing(usize),
}

/// How an event ended at a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The subscriber acknowledged it.
    Acknowledged,
    /// It went to the dead letters.
    DeadLettered,
    /// Its time to settle passed first.
    Pending,
    /// Policy withholds it from this subscriber.
    Withheld,
    /// It was sent at most once and no acknowledgement is known.
    Attempted,
}

impl Settled {
    const ALL: [Self; 5] =
        [Self::Acknowledged, Self::DeadLettered, Self::Pending, Self::Withheld, Self::Attempted];

    /// The word in records and leaves.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::DeadLettered => "dead_lettered",
            Self::Pending => "pending",
            Self::Withheld => "withheld",
            Self::Attempted => "attempted",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|settled| settled.as_str() == word)
    }
}

/// One subscriber's part in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckRecord {
    /// The configured name.
    pub subscriber: String,
    /// How it ended.
    pub settled: Settled,
    /// When; for `pending`, when the time to settle passed.
    pub at: Time,
    /// How many attempts were made.
    pub attempts: u64,
}

/// One subscriber's part in an event, its name borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Ack<'a> {
    /// See [`AckRecord::subscriber`].
    pub subscriber: &'a str,
    /// See [`AckRecord::settled`].
    pub settled: Settled,
    /// See [`AckRecord::at`].
    pub at: Time,
    /// See [`AckRecord::attempts`].
    pub attempts: u64,
}

impl Ack<'_> {
    /// Appends the record's canonical bytes. There is one for every delivery, so they are written straight away;
    /// a test holds them against [`canonical::encode`].
    fn write(self, out: &mut Vec<u8>) -> Result<(), AcksError> {
        require(is_name(self.subscriber), "subscriber")?;
        require(self.attempts <= canonical::NUMBER_MAX, "attempts")?;
        let begin = out.len();
        out.extend_from_slice(br#"{"at":""#);
        out.extend_from_slice(&self.at.to_text());
        out.extend_from_slice(br#"","attempts":"#);
        canonical::write_number(self.attempts, out);
        for (key, word) in [("settled", self.settled.as_str()), ("subscriber", self.subscriber)] {
            for part in [",\"", key, "\":\"", word, "\""] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.push(b'}');
        if out.len() - begin > RECORD_BYTES_MAX {
            return Err(CanonicalError { at: RECORD_BYTES_MAX, what: "longer than allowed" }.into());
        }
        Ok(())
    }
}

impl AckRecord {
    fn as_ack(&self) -> Ack<'_> {
        let Self { subscriber, settled, at, attempts } = self;
        Ack { subscriber, settled: *settled, at: *at, attempts: *attempts }
    }

    /// The record's canonical bytes.
    pub fn to_canonical(&self) -> Result<Vec<u8>, AcksError> {
        let mut out = Vec::with_capacity(RECORD_BYTES_TYPICAL);
        self.as_ack().write(&mut out)?;
        Ok(out)
    }

    /// Reads canonical bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, AcksError> {
        let mut fields = Fields::of(canonical::parse(bytes, RECORD_BYTES_MAX)?, "record")?;
        let record = Self {
            subscriber: fields.read("subscriber", checked(is_name))?,
            settled: fields.read("settled", Settled::parse)?,
            at: fields.time("at")?,
            attempts: fields.number("attempts")?,
        };
        fields.finish()?;
        Ok(record)
    }
}

/// `subscriber_ack_set` of a final leaf: how many ended how, and the root over the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckSet {
    /// How many subscribers acknowledged.
    pub acknowledged: u64,
    /// At how many it is in the dead letters.
    pub dead_lettered: u64,
    /// At how many it had not settled in time.
    pub pending: u64,
    /// From how many policy withholds it.
    pub withheld: u64,
    /// To how many it was sent at most once without a known acknowledgement; absent from the leaf when 0.
    pub attempted: u64,
    /// Over the records.
    pub root: AckRoot,
}

impl AckSet {
    /// Counts and root of records in canonical form, which must be in strictly ascending order of
    /// subscribers.
    pub fn of<R: AsRef<[u8]>>(records: &[R]) -> Result<Self, AcksError> {
        bounded(records.len())?;
        let mut settled = Vec::with_capacity(records.len());
        let mut previous: Option<String> = None;
        for bytes in records {
            let record = AckRecord::parse(bytes.as_ref())?;
            if previous.is_some_and(|subscriber| subscriber >= record.subscriber) {
                return Err(AcksError::Order);
            }
            previous = Some(record.subscriber);
            settled.push(record.settled);
        }
        Self::counted(settled.into_iter(), records)
    }

    /// Counts and root of records whose order is known to be right.
    fn counted<R: AsRef<[u8]>>(
        settled: impl Iterator<Item = Settled>,
        records: &[R],
    ) -> Result<Self, AcksError> {
        bounded(records.len())?;
        let hashes: Vec<_> = records.iter().map(|bytes| leaf_hash(bytes.as_ref())).collect();
        let mut set = Self::none();
        settled.for_each(|how| set.count(how));
        set.root = root_over(&hashes);
        Ok(set)
    }

    fn none() -> Self {
        let root = AckRoot(empty_root().0);
        Self { acknowledged: 0, dead_lettered: 0, pending: 0, withheld: 0, attempted: 0, root }
    }

    fn count(&mut self, settled: Settled) {
        *match settled {
            Settled::Acknowledged => &mut self.acknowledged,
            Settled::DeadLettered => &mut self.dead_lettered,
            Settled::Pending => &mut self.pending,
            Settled::Withheld => &mut self.withheld,
            Settled::Attempted => &mut self.attempted,
        } += 1;
    }

    /// Refuses records that are not the ones counted here.
    pub fn check<R: AsRef<[u8]>>(&self, records: &[R]) -> Result<(), AcksError> {
        if Self::of(records)? == *self { Ok(()) } else { Err(AcksError::Mismatch) }
    }

    pub(crate) fn to_value(&self) -> Value<'static> {
        let mut map = vec![
            ("acknowledged", Value::Number(self.acknowledged)),
            ("dead_lettered", Value::Number(self.dead_lettered)),
            ("pending", Value::Number(self.pending)),
            ("root", Value::display(self.root)),
            ("withheld", Value::Number(self.withheld)),
        ];
        // Leaves from before this word keep their bytes.
        map.extend((self.attempted > 0).then_some(("attempted", Value::Number(self.attempted))));
        Value::Map(map)
    }

    pub(crate) fn from_value(value: Value<'_>) -> Result<Self, FieldError> {
        let mut fields = Fields::of(value, "subscriber_ack_set")?;
        let set = Self {
            acknowledged: fields.number("acknowledged")?,
            dead_lettered: fields.number("dead_lettered")?,
            pending: fields.number("pending")?,
            withheld: fields.number("withheld")?,
            attempted: read_attempted(&mut fields)?,
            root: fields.read("root", AckRoot::parse)?,
        };
        fields.finish()?;
        Ok(set)
    }
}

/// One form for each count: a present one is above 0.
fn read_attempted(fields: &mut Fields<'_>) -> Result<u64, FieldError> {
    match fields.take("attempted") {
        None => Ok(0),
        Some(Value::Number(count)) if count > 0 => Ok(count),
        Some(_) => Err(FieldError::Invalid("attempted")),
    }
}

fn root_over(hashes: &[Hash]) -> AckRoot {
    AckRoot(root_of(hashes).unwrap_or_else(empty_root).0)
}

fn bounded(count: usize) -> Result<(), AcksError> {
    if count > RECORDS_MAX { Err(AcksError::TooMany(count)) } else { Ok(()) }
}

/// Records in canonical form and the order that leaves need, with their counts and root.
pub fn seal(mut records: Vec<AckRecord>) -> Result<(AckSet, Vec<Vec<u8>>), AcksError> {
    records.sort_by(|a, b| a.subscriber.cmp(&b.subscriber));
    if records.windows(2).any(|pair| pair[0].subscriber >= pair[1].subscriber) {
        return Err(AcksError::Order);
    }
    let bytes = records.iter().map(AckRecord::to_canonical).collect::<Result<Vec<_>, _>>()?;
    Ok((AckSet::counted(records.iter().map(|record| record.settled), &bytes)?, bytes))
}

/// What the engine's log holds for a leaf: its bytes, then each record after a newline. Canonical bytes have
/// no newline, so a leaf without records is its own bytes.
pub fn join<R: AsRef<[u8]>>(leaf: &[u8], records: &[R]) -> Vec<u8> {
    let mut bytes = leaf.to_vec();
    for record in records {
        bytes.push(b'\n');
        bytes.extend_from_slice(record.as_ref());
    }
    bytes
}

/// The inverse of [`join`]: the leaf's bytes and its records.
pub fn split(bytes: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let leaf = lines.next().expect("a split has a first part");
    (leaf, lines.collect())
}

/// Adds one final leaf's records to a companion object: the leaf's place in its bundle (one byte), the
/// number of records (two bytes, big-endian), and each record after its length (two bytes, big-endian).
///
/// # Panics
/// When there are more records, or longer ones, than an [`AckSet`] accepts.
pub fn push_block<R: AsRef<[u8]>>(object: &mut Vec<u8>, place: u8, records: &[R]) {
    let two_bytes =
        |length: usize| u16::try_from(length).expect("checked by the acknowledgement set").to_be_bytes();
    object.push(place);
    object.extend_from_slice(&two_bytes(records.len()));
    for record in records {
        object.extend_from_slice(&two_bytes(record.as_ref().len()));
        object.extend_from_slice(record.as_ref());
    }
}

/// One final leaf's part of a companion object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    /// The leaf's place in its bundle.
    pub place: u8,
    /// Its records, canonical bytes.
    pub records: Vec<&'a [u8]>,
}

/// Takes a companion object apart. Places must ascend.
pub fn split_blocks(object: &[u8]) -> Result<Vec<Block<'_>>, AcksError> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut rest = object;
    while !rest.is_empty() {
        let at = object.len() - rest.len();
        let (block, after) = split_block(rest).ok_or(AcksError::Framing(at))?;
        if blocks.last().is_some_and(|previous| previous.place >= block.place) {
            return Err(AcksError::Framing(at));
        }
        blocks.push(block);
        rest = after;
    }
    Ok(blocks)
}

fn split_block(bytes: &[u8]) -> Option<(Block<'_>, &[u8])> {
    let (place, rest) = bytes.split_first()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let mut records = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (record, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        records.push(record);
        rest = after;
    }
    Some((Block { place: *place, records }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(subscriber: &str, settled: Settled) -> AckRecord {
        AckRecord { subscriber: subscriber.into(), settled, at: Time::from_micros(0), attempts: 1 }
    }

    #[test]
    fn a_record_has_exactly_these_bytes() {
        let bytes = record("crm", Settled::Acknowledged).to_canonical().unwrap();
        let text = r#"{"at":"1970-01-01T00:00:00.000000Z","attempts":1,"settled":"acknowledged","subscriber":"crm"}"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
        assert_eq!(AckRecord::parse(text.as_bytes()), Ok(record("crm", Settled::Acknowledged)));
    }

    proptest! {
        #[test]
        fn a_record_is_spelled_as_the_canonical_form_spells_it(
            name in "[a-z0-9_.-]{1,40}",
            settled in prop::sample::select(Settled::ALL.to_vec()),
            micros in any::<i64>(),
            attempts in 0..=canonical::NUMBER_MAX,
        ) {
            let record = AckRecord { subscriber: name, settled, at: Time::from_micros(micros), attempts };
            let Ok(written) = record.to_canonical() else {
                prop_assert!(!is_name(&record.subscriber));
                return Ok(());
            };
            let map = Value::Map(vec![
                ("subscriber", Value::text(&record.subscriber)),
                ("at", Value::display(record.at)),
                ("attempts", Value::Number(attempts)),
                ("settled", Value::text(settled.as_str())),
            ]);
            prop_assert_eq!(&written, &canonical::encode(&map, RECORD_BYTES_MAX).unwrap());
            prop_assert_eq!(AckRecord::parse(&written), Ok(record));
        }
    }

    #[test]
    fn records_are_counted_sorted_and_bound_by_the_root() {
        let (set, records) =
            seal(vec![record("mail", Settled::Pending), record("crm", Settled::Acknowledged)]).unwrap();
        assert_eq!((set.acknowledged, set.pending, set.dead_lettered, set.withheld), (1, 1, 0, 0));
        assert_eq!(set.check(&records), Ok(()));
        let swapped = [records[1].clone(), records[0].clone()];
        assert_eq!(set.check(&swapped), Err(AcksError::Order));
        assert_eq!(set.check(&records[..1]), Err(AcksError::Mismatch));
        assert!(seal(vec![record("crm", Settled::Pending), record("crm", Settled::Pending)]).is_err());
    }

    #[test]
    fn attempts_without_an_answer_are_counted_only_where_there_are_any() {
        let (set, _) =
            seal(vec![record("ads", Settled::Attempted), record("crm", Settled::Pending)]).unwrap();
        assert_eq!((set.attempted, set.pending), (1, 1));
        let none = AckSet { attempted: 0, ..set.clone() };
        let read = |bytes: &[u8]| AckSet::from_value(canonical::parse(bytes, RECORD_BYTES_MAX).unwrap());
        for set in [set, none] {
            let bytes = canonical::encode(&set.to_value(), RECORD_BYTES_MAX).unwrap();
            let is_named = String::from_utf8(bytes.clone()).unwrap().contains("attempted");
            assert_eq!(is_named, set.attempted > 0);
            assert_eq!(read(&bytes), Ok(set));
        }
    }

    #[test]
    fn an_event_without_subscribers_has_the_empty_root() {
        let (set, records) = seal(vec![]).unwrap();
        assert_eq!(set.root, AckRoot(empty_root().0));
        assert!(records.is_empty());
    }

    #[test]
    fn a_leaf_and_its_records_come_apart_as_they_were_joined() {
        let records = [b"{1}".to_vec(), b"{2}".to_vec()];
        let bytes = join(b"{}", &records);
        assert_eq!(bytes, b"{}\n{1}\n{2}");
        assert_eq!(split(&bytes), (b"{}".as_slice(), vec![b"{1}".as_slice(), b"{2}"]));
        assert_eq!(split(b"{}"), (b"{}".as_slice(), vec![]));
    }

    #[test]
    fn a_companion_object_comes_apart_as_it_was_put_together() {
        let mut object = Vec::new();
        push_block(&mut object, 3, &[b"ab".as_slice()]);
        push_block::<&[u8]>(&mut object, 9, &[]);
        assert_eq!(object, b"\x03\x00\x01\x00\x02ab\x09\x00\x00");
        let blocks = split_blocks(&object).unwrap();
        assert_eq!(blocks[0], Block { place: 3, records: vec![b"ab"] });
        assert_eq!(blocks[1], Block { place: 9, records: vec![] });
        assert!(split_blocks(&object[..6]).is_err());
        let mut again = object.clone();
        push_block::<&[u8]>(&mut again, 9, &[]);
        assert_eq!(split_blocks(&again), Err(AcksError::Framing(object.len())));
    }
}
