//! Ids and hashes that must come out the same whenever the same thing is seen again: keyed pseudo-random
//! functions (HMAC-SHA256) over length-prefixed fields. ADR 0001 says why ids survive a rewind.
//!
//! Every function has a label of its own in its input, so that one key may serve several of them. Keys are
//! 32 secret bytes; who may hold them is `writ-store`'s business.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;
use writ_model::change::{Change, RowChange};
use writ_model::id::{
    EventId, Incarnation, KeyHash, Position, RecordKey, Slot, SourceName, SubjectId, TenantId,
};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;
use writ_model::value::{Field, Image, Value};

/// A key of 256 bits.
pub type Key = [u8; 32];

/// In the input of every event id. A change of what goes into an id needs another number, so that ids of
/// both schemes can never meet.
pub const ID_SCHEME: u8 = 1;

/// What makes a change that change and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// Through which configured source.
    pub source: &'a SourceName,
    /// By what it is told apart there.
    pub place: Place<'a>,
}

/// By what a source tells its changes apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// By where it was read.
    Read(&'a Incarnation, Position),
    /// By the id under which its producer sent it. Where it was numbered on arrival does not count: a
    /// producer that sends again gets another number.
    Pushed(&'a str),
}

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(incarnation, position) => write!(f, "{incarnation:?}@{position}"),
            Self::Pushed(_) => f.write_str("<producer id>"),
        }
    }
}

impl<'a> Origin<'a> {
    /// The origin of a change.
    pub fn of(tenant: &'a TenantId, change: &'a Change) -> Self {
        let place = match &change.producer_id {
            Some(id) => Place::Pushed(id),
            None => Place::Read(&change.incarnation, change.position),
        };
        Self { tenant, source: &change.source, place }
    }

    fn feed(&self, prf: Prf) -> Prf {
        let prf = prf.text(self.tenant.as_str()).text(self.source.as_str());
        match self.place {
            Place::Read(incarnation, Position { commit, ordinal }) => {
                prf.text("read").text(&incarnation.0).number(commit).number(ordinal)
            }
            Place::Pushed(id) => prf.text("pushed").text(id),
        }
    }
}

/// A pseudo-random function over fields. Each field goes in with its length, so that no two lists of fields
/// give the same input.
struct Prf(Hmac<Sha256>);

impl Prf {
    fn new(key: &Key, label: &str) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length")).text(label)
    }

    fn bytes(mut self, field: &[u8]) -> Self {
        self.0.update(&(field.len() as u64).to_be_bytes());
        self.0.update(field);
        self
    }

    fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    fn number(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

/// Finds a subject without storing its natural key. Keys are a source's own: customer 17 of two shops is two
/// people, though their tables have the same name.
pub fn key_hash(
    key: &Key,
    tenant: &TenantId,
    source: &SourceName,
    table: &str,
    record: &RecordKey,
) -> KeyHash {
    let prf = Prf::new(key, "writ/record-key").text(tenant.as_str()).text(source.as_str()).text(table);
    KeyHash(record.0.iter().fold(prf, |prf, part| prf.text(part)).finish())
}

/// The id of the event that a change gives for one change type: UUIDv7 layout (RFC 9562, section 5.7), time
/// from the source's commit, random bits from the PRF. The same change read again gives the same id.
pub fn event_id(key: &Key, origin: &Origin<'_>, change_type: ChangeType, committed_at: Timestamp) -> EventId {
    let prf = origin.feed(Prf::new(key, "writ/event-id").bytes(&[ID_SCHEME])).text(change_type.as_str());
    EventId(with_time(committed_at, prf.finish()))
}

/// The id shared by all events of one change, and for a pushed change the key of its dedup entry.
///
/// A pushed change's is UUIDv8 (RFC 9562, section 5.8), all of it from the PRF: a producer that sends again
/// may state another time, and must still be recognised.
pub fn causation_id(key: &Key, origin: &Origin<'_>, committed_at: Timestamp) -> EventId {
    let bits = origin.feed(Prf::new(key, "writ/causation-id").bytes(&[ID_SCHEME])).finish();
    EventId(match origin.place {
        Place::Read(..) => with_time(committed_at, bits),
        Place::Pushed(_) => without_time(bits),
    })
}

/// The slot of a subject. For the life of a store it never changes.
pub fn slot(key: &Key, subject: SubjectId) -> Slot {
    let bits = Prf::new(key, "writ/slot").bytes(&subject.0).finish();
    // 4,096 divides 65,536, so wrapping keeps the slots equally likely.
    Slot::new(u16::from_be_bytes([bits[0], bits[1]]))
}

/// Correlates repeats of one card number without storing it (PCI DSS 3.5.1.1). `digits` are ASCII digits.
pub fn card_hash(key: &Key, digits: &[u8]) -> String {
    hex(&Prf::new(key, "writ/card-number").bytes(digits).finish())
}

/// Tells a duplicate from a conflict when a producer uses an id again. Covers what the record is said to be,
/// not when it was said. The key is the subject's content key: destroyed with it, the hash says nothing.
pub fn content_hash(key: &Key, change: &Change) -> String {
    let row = match change.row {
        RowChange::Insert => "insert",
        RowChange::Update => "update",
        RowChange::Delete => "delete",
        RowChange::Upsert => "upsert",
    };
    let prf = Prf::new(key, "writ/content").text(&change.table).text(row);
    let prf = prf.text(change.declared.map_or("", ChangeType::as_str));
    let prf = feed_key(prf, Some(&change.key));
    let prf = feed_key(prf, change.old_key.as_ref());
    let prf = feed_image(prf, change.before.as_ref());
    hex(&feed_image(prf, change.after.as_ref()).finish())
}

fn feed_key(prf: Prf, key: Option<&RecordKey>) -> Prf {
    let Some(RecordKey(parts)) = key else { return prf.text("none") };
    parts.iter().fold(prf.text("key").number(parts.len() as u64), |prf, part| prf.text(part))
}

fn feed_image(prf: Prf, image: Option<&Image>) -> Prf {
    let Some(Image(fields)) = image else { return prf.text("none") };
    let prf = prf.text("image").number(fields.len() as u64);
    fields.iter().fold(prf, |prf, (column, field)| match field {
        Field::Seen(value) => feed_value(prf.text(column), value),
        Field::Unseen => prf.text(column).text("unseen"),
    })
}

fn feed_value(prf: Prf, value: &Value) -> Prf {
    match value {
        Value::Null => prf.text("null"),
        Value::Bool(truth) => prf.text("bool").number(u64::from(*truth)),
        Value::Int(number) => prf.text("int").bytes(&number.to_be_bytes()),
        Value::Text(text) => prf.text("text").text(text),
        Value::List(items) => items.iter().fold(prf.text("list").number(items.len() as u64), feed_value),
        Value::Map(map) => map
            .iter()
            .fold(prf.text("map").number(map.len() as u64), |prf, (name, v)| feed_value(prf.text(name), v)),
    }
}

/// UUIDv7: 48 bits of milliseconds, version, 12 bits, variant, 62 bits.
fn with_time(at: Timestamp, bits: [u8; 32]) -> Uuid {
    const LATEST: i64 = (1 << 48) - 1;
    let millis = at.as_millis().clamp(0, LATEST).to_be_bytes();
    let mut bytes: [u8; 16] = bits[..16].try_into().expect("16 of 32 bytes");
    bytes[..6].copy_from_slice(&millis[2..]);
    marked(bytes, 7)
}

/// UUIDv8: 122 bits of our own between version and variant.
fn without_time(bits: [u8; 32]) -> Uuid {
    marked(bits[..16].try_into().expect("16 of 32 bytes"), 8)
}

fn marked(mut bytes: [u8; 16], version: u8) -> Uuid {
    bytes[6] = bytes[6] & 0x0F | version << 4;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    Uuid::from_bytes(bytes)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string cannot fail");
        out
    })
}

#[cfg(test)]
mod tests {
    use writ_model::lineage::Claim;

    use super::*;

    const KEY: Key = [7; 32];

    fn tenant() -> TenantId {
        TenantId::new("shop").expect("a name")
    }

    fn change() -> Change {
        Change {
            source: SourceName::new("crm").expect("a name"),
            incarnation: Incarnation("sys-1".into()),
            position: Position { commit: 10, ordinal: 2 },
            committed_at: Timestamp(1_764_000_000_123_456),
            transaction: None,
            producer_id: None,
            table: "public.customer".into(),
            row: RowChange::Update,
            declared: None,
            key: RecordKey(vec!["17".into()]),
            old_key: None,
            before: None,
            after: Some(Image([("email".to_owned(), Field::Seen(Value::Text("a@b.example".into())))].into())),
            claim: Claim::default(),
        }
    }

    fn id(change: &Change, change_type: ChangeType) -> EventId {
        event_id(&KEY, &Origin::of(&tenant(), change), change_type, change.committed_at)
    }

    #[test]
    fn the_layout_is_that_of_the_rfc_example() {
        // RFC 9562, appendix A.6.
        let mut bits = [0; 32];
        bits[6..16].copy_from_slice(&[0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F]);
        let at = Timestamp(0x017F_22E2_79B0 * 1000);
        assert_eq!(with_time(at, bits).to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(with_time(at, bits).get_version_num(), 7);
        assert_eq!(without_time(bits).get_version_num(), 8);
    }

    #[test]
    fn times_outside_the_layout_are_clamped() {
        assert_eq!(with_time(Timestamp(-1), [0; 32]).to_string(), "00000000-0000-7000-8000-000000000000");
        let latest = Timestamp(i64::MAX).as_millis().min((1 << 48) - 1);
        let text = with_time(Timestamp(i64::MAX), [0; 32]).simple().to_string();
        assert_eq!(i64::from_str_radix(&text[..12], 16), Ok(latest));
    }

    #[test]
    fn a_change_read_again_gives_the_same_ids() {
        assert_eq!(id(&change(), ChangeType::Email), id(&change(), ChangeType::Email));
    }

    #[test]
    fn ids_differ_by_everything_that_names_a_change() {
        let mut later = change();
        later.position.ordinal += 1;
        let mut reborn = change();
        reborn.incarnation = Incarnation("sys-2".into());
        let mut elsewhere = change();
        elsewhere.source = SourceName::new("erp").expect("a name");
        let mut all = vec![id(&change(), ChangeType::Email), id(&change(), ChangeType::Phone)];
        all.extend([later, reborn, elsewhere].iter().map(|c| id(c, ChangeType::Email)));
        let other = TenantId::new("other").expect("a name");
        all.push(event_id(&KEY, &Origin::of(&other, &change()), ChangeType::Email, change().committed_at));
        all.push(event_id(
            &[8; 32],
            &Origin::of(&tenant(), &change()),
            ChangeType::Email,
            change().committed_at,
        ));
        all.push(causation_id(&KEY, &Origin::of(&tenant(), &change()), change().committed_at));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_producer_that_sends_again_is_recognised_whatever_time_and_number_it_gets() {
        let mut first = change();
        first.producer_id = Some("evt_1".into());
        let mut again = first.clone();
        again.position.commit += 99;
        again.committed_at = Timestamp(1);
        let of = |c: &Change| causation_id(&KEY, &Origin::of(&tenant(), c), c.committed_at);
        assert_eq!(of(&first), of(&again));
        assert_eq!(content_hash(&KEY, &first), content_hash(&KEY, &again));
    }

    #[test]
    fn content_hashes_tell_null_unseen_and_text_apart() {
        let with = |field: Option<Field>| {
            let mut change = change();
            let fields = field.map(|f| ("email".to_owned(), f));
            change.after = Some(Image(fields.into_iter().collect()));
            content_hash(&KEY, &change)
        };
        let text = |t: &str| Some(Field::Seen(Value::Text(t.into())));
        let mut all = vec![with(None), with(Some(Field::Unseen)), with(Some(Field::Seen(Value::Null)))];
        all.extend([with(text("")), with(text("null")), with(Some(Field::Seen(Value::Int(0))))]);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn record_keys_are_hashed_by_column() {
        let hash = |parts: &[&str]| {
            let record = RecordKey(parts.iter().map(|p| (*p).to_owned()).collect());
            key_hash(&KEY, &tenant(), &SourceName::new("crm").expect("a name"), "t", &record)
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["ab"]), hash(&["ab", ""]));
    }

    #[test]
    fn the_same_key_in_tables_of_the_same_name_is_another_record_in_another_source() {
        let hash = |name| {
            key_hash(
                &KEY,
                &tenant(),
                &SourceName::new(name).expect("a name"),
                "customers",
                &RecordKey(vec!["17".into()]),
            )
        };
        assert_ne!(hash("shop-a"), hash("shop-b"));
    }

    #[test]
    fn slots_are_spread_evenly() {
        let mut counts = vec![0_u32; usize::from(Slot::COUNT)];
        for number in 0..40_960_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            counts[usize::from(slot(&KEY, SubjectId(id)).number())] += 1;
        }
        // Ten are expected in each; a Poisson share above 35 has a probability below 1e-9.
        assert!(counts.iter().all(|&n| n <= 35), "{:?}", counts.iter().max());
    }
}
