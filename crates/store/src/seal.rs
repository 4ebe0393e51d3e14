//! Sealing: from a cleared event to something that may touch a disk. AES-256-GCM under the subject's content
//! key; the clear header is bound in as associated data, so that no sealed part can be moved to another event.
//!
//! Nonces are random bytes that the caller draws. Where keys come from and how they die is the vault's.

pub mod rekey;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use writ_kernel::gate::Cleared;
use writ_model::envelope::{ClearHeader, PrivatePart};
use writ_model::id::{Generation, SubjectId};
use writ_model::lineage::{Lineage, Standing};
use writ_model::verdict::Decision;
use zeroize::Zeroize;

use crate::error::SealError;
use crate::vault::{Purpose, SubjectKey};

/// Bytes that a tag adds to what is sealed.
pub const TAG_BYTES: usize = 16;

/// Opens the associated data of every sealed part; another layout gets another tag.
const PART_CONTEXT: &[u8] = b"writ/seal/part/v1";

/// Stands for an absent field in associated data: no field is that long.
const ABSENT: u32 = u32::MAX;

/// One sealed part and the name of the key that opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPart {
    /// Whose key.
    pub subject_id: SubjectId,
    /// Of which life.
    pub generation: Generation,
    /// For which purpose.
    pub purpose: Purpose,
    /// Random, never reused under one key.
    pub nonce: [u8; 12],
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl std::fmt::Debug for SealedPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedPart({} bytes)", self.ciphertext.len())
    }
}

/// A cleared event ready for the log. Only [`seal`] makes one, and it takes a [`Cleared`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    header: ClearHeader,
    decision: Decision,
    parts: Vec<SealedPart>,
}

impl Sealed {
    /// The clear part.
    pub fn header(&self) -> &ClearHeader {
        &self.header
    }

    /// What the gate decided.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The sealed parts, each naming its key.
    pub fn parts(&self) -> &[SealedPart] {
        &self.parts
    }

    /// Taken apart, to be stored.
    pub(crate) fn into_parts(self) -> (ClearHeader, Decision, Vec<SealedPart>) {
        (self.header, self.decision, self.parts)
    }

    /// For the contract suites, which store events without a gate and give none of them away.
    pub(crate) fn from_parts(header: ClearHeader, decision: Decision, parts: Vec<SealedPart>) -> Self {
        Self { header, decision, parts }
    }
}

/// Seals a cleared event's private part under its subject's content key. `nonce` is fresh random bytes: a
/// nonce used twice under one key gives both plaintexts away (NIST SP 800-38D, section 8).
pub fn seal(cleared: Cleared, content: &SubjectKey, nonce: [u8; 12]) -> Result<Sealed, SealError> {
    let (envelope, decision) = cleared.into_parts();
    let part = seal_part(&envelope.header, &envelope.private, content, nonce)?;
    Ok(Sealed { header: envelope.header, decision, parts: vec![part] })
}

/// Opens one part of the event that `header` belongs to.
pub fn open(part: &SealedPart, header: &ClearHeader, key: &SubjectKey) -> Result<PrivatePart, SealError> {
    let context = part_context(header, part.subject_id, part.generation, part.purpose);
    let mut plain = open_bytes(key, part.nonce, &context, &part.ciphertext)?;
    let private = serde_json::from_slice(&plain).map_err(|_| SealError::Unreadable);
    plain.zeroize();
    private
}

/// Seals bytes that are not an event: a withheld payload, a last-known state. `context` says what and whose
/// they are, and must be given again to open them. Returns ciphertext and tag.
pub fn seal_bytes(
    key: &SubjectKey,
    nonce: [u8; 12],
    context: &[u8],
    mut plain: Vec<u8>,
) -> Result<Vec<u8>, SealError> {
    let sealed = aead(key).seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(context),
        &mut plain,
    );
    match sealed {
        Ok(()) => Ok(plain),
        Err(_) => {
            plain.zeroize();
            Err(SealError::DoesNotSeal)
        }
    }
}

/// Opens what [`seal_bytes`] sealed. The caller zeroes the plaintext when done with it.
pub fn open_bytes(
    key: &SubjectKey,
    nonce: [u8; 12],
    context: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut bytes = sealed.to_vec();
    let opened = aead(key)
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut bytes)
        .map(|plain| plain.len());
    let length = opened.map_err(|_| SealError::DoesNotOpen)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn aead(key: &SubjectKey) -> LessSafeKey {
    let unbound =
        UnboundKey::new(&AES_256_GCM, &key.0).expect("a subject key has the length of AES-256 keys");
    LessSafeKey::new(unbound)
}

fn seal_part(
    header: &ClearHeader,
    private: &PrivatePart,
    content: &SubjectKey,
    nonce: [u8; 12],
) -> Result<SealedPart, SealError> {
    let (subject_id, generation, purpose) = (header.subject_id, header.generation, Purpose::Content);
    let plain = serde_json::to_vec(private).map_err(|_| SealError::DoesNotSeal)?;
    let context = part_context(header, subject_id, generation, purpose);
    let ciphertext = seal_bytes(content, nonce, &context, plain)?;
    Ok(SealedPart { subject_id, generation, purpose, nonce, ciphertext })
}

/// The associated data of a part: tag, the key's name, then every header field in declaration order, each
/// as a big-endian length and its text; a lineage follows only where there is one. Length-prefixed, so that no two
/// headers give the same bytes.
fn part_context(
    header: &ClearHeader,
    subject_id: SubjectId,
    generation: Generation,
    purpose: Purpose,
) -> Vec<u8> {
    // Taken apart without a rest, so that a new header field cannot be forgotten here.
    let ClearHeader {
        event_id,
        tenant,
        source,
        change_type,
        operation,
        entity,
        subject_id: header_subject,
        generation: header_generation,
        slot,
        hlc,
        time,
        recorded_at,
        schema_major,
        location,
        locale,
        lineage,
    } = header;
    let mut context = Context(PART_CONTEXT.to_vec());
    context.push(&subject_id.0);
    context.push(&generation.0.to_be_bytes());
    context.push(&[purpose_number(purpose)]);
    context.push(event_id.0.as_bytes());
    context.push(tenant.as_str().as_bytes());
    context.push(source.as_str().as_bytes());
    context.push(change_type.as_str().as_bytes());
    context.push(operation.as_str().as_bytes());
    context.push(entity.as_str().as_bytes());
    context.push(&header_subject.0);
    context.push(&header_generation.0.to_be_bytes());
    context.push(&slot.number().to_be_bytes());
    context.push(hlc.to_string().as_bytes());
    context.push(&time.0.to_be_bytes());
    context.push(&recorded_at.0.to_be_bytes());
    context.push(&schema_major.to_be_bytes());
    context.push_optional(location.as_deref());
    context.push_optional(locale.as_deref());
    if let Some(Lineage { standing, vector }) = lineage {
        context.push_optional(standing.map(Standing::as_str));
        context.push(vector.to_string().as_bytes());
    }
    context.0
}

struct Context(Vec<u8>);

impl Context {
    fn push(&mut self, field: &[u8]) {
        let length = u32::try_from(field.len()).expect("header fields are far shorter than 4 GiB");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
    }

    fn push_optional(&mut self, field: Option<&str>) {
        match field {
            Some(text) => self.push(text.as_bytes()),
            None => self.0.extend_from_slice(&ABSENT.to_be_bytes()),
        }
    }
}

/// The purpose's number on disk; never changed, never reused.
pub(crate) fn purpose_number(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Content => 1,
        Purpose::Evidence => 2,
        Purpose::Suppression => 3,
        Purpose::Case => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;

    use writ_model::envelope::EventData;
    use writ_model::id::{Incarnation, Position, RecordKey};
    use writ_model::value::Value;

    const KEY: SubjectKey = SubjectKey([7; 32]);

    fn private(email: &str) -> PrivatePart {
        PrivatePart {
            key: RecordKey(vec!["17".to_owned()]),
            old_key: None,
            table: "customer".to_owned(),
            incarnation: Incarnation("pg-7".to_owned()),
            position: Position { commit: 9, ordinal: 1 },
            transaction: None,
            producer_id: None,
            causation_id: sample::event_id(0),
            correlation_id: None,
            version: None,
            data: EventData {
                key: vec!["17".to_owned()],
                before: None,
                after: Some([("email".to_owned(), Value::Text(email.to_owned()))].into()),
                unseen: Vec::new(),
            },
        }
    }

    fn sealed() -> (ClearHeader, PrivatePart, SealedPart) {
        let (header, private) = (sample::header(1), private("ada@example.org"));
        let part = seal_part(&header, &private, &KEY, [9; 12]).expect("seals");
        (header, private, part)
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_and_header() {
        let (header, private, part) = sealed();
        assert_eq!(open(&part, &header, &KEY), Ok(private));
    }

    #[test]
    fn ciphertext_does_not_hold_the_plaintext() {
        let (_, _, part) = sealed();
        assert!(!part.ciphertext.windows(3).any(|w| w == b"ada"));
    }

    #[test]
    fn another_key_does_not_open_it() {
        let (header, _, part) = sealed();
        assert_eq!(open(&part, &header, &SubjectKey([8; 32])), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn a_part_does_not_open_under_another_events_header() {
        let (header, _, part) = sealed();
        let moved: [fn(&mut ClearHeader); 17] = [
            |h| h.event_id = sample::header(2).event_id,
            |h| h.tenant = writ_model::id::TenantId::new("other").unwrap(),
            |h| h.source = writ_model::id::SourceName::new("other").unwrap(),
            |h| h.change_type = writ_model::taxonomy::ChangeType::Phone,
            |h| h.operation = writ_model::taxonomy::Operation::Delete,
            |h| h.entity = writ_model::taxonomy::Entity::Supplier,
            |h| h.subject_id.0[0] ^= 1,
            |h| h.generation.0 += 1,
            |h| h.slot = writ_model::id::Slot::new(h.slot.number() + 1),
            |h| h.hlc.counter += 1,
            |h| h.time.0 += 1,
            |h| h.recorded_at.0 += 1,
            |h| h.schema_major += 1,
            |h| h.location = Some("berlin".into()),
            |h| h.locale = None,
            |h| h.lineage = Some(Lineage { standing: Some(Standing::Stale), ..Lineage::default() }),
            |h| h.lineage = Some(Lineage::default()),
        ];
        for (field, change) in moved.into_iter().enumerate() {
            let mut other = header.clone();
            change(&mut other);
            assert_ne!(other, header, "field {field} was not changed");
            assert_eq!(open(&part, &other, &KEY), Err(SealError::DoesNotOpen), "field {field} is not bound");
        }
    }

    #[test]
    fn a_part_does_not_open_under_another_keys_name() {
        let (header, _, part) = sealed();
        let mut renamed = part.clone();
        renamed.purpose = Purpose::Evidence;
        assert_eq!(open(&renamed, &header, &KEY), Err(SealError::DoesNotOpen));
        let mut renamed = part;
        renamed.generation.0 += 1;
        assert_eq!(open(&renamed, &header, &KEY), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn an_absent_field_is_not_an_empty_one() {
        let (mut header, private) = (sample::header(1), private("ada"));
        header.location = None;
        let part = seal_part(&header, &private, &KEY, [9; 12]).expect("seals");
        header.location = Some(String::new());
        assert_eq!(open(&part, &header, &KEY), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let (header, _, part) = sealed();
        for bit in 0..part.ciphertext.len() * 8 {
            let mut altered = part.clone();
            altered.ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&altered, &header, &KEY), Err(SealError::DoesNotOpen), "bit {bit}");
        }
    }

    #[test]
    fn what_opens_but_is_not_a_private_part_is_unreadable() {
        let (header, _, mut part) = sealed();
        let context = part_context(&header, part.subject_id, part.generation, part.purpose);
        part.ciphertext = seal_bytes(&KEY, part.nonce, &context, b"{}".to_vec()).expect("seals");
        assert_eq!(open(&part, &header, &KEY), Err(SealError::Unreadable));
    }

    #[test]
    fn bytes_open_only_in_their_context() {
        let sealed = seal_bytes(&KEY, [1; 12], b"last-known 17", b"state".to_vec()).expect("seals");
        assert_eq!(sealed.len(), 5 + TAG_BYTES);
        assert_eq!(open_bytes(&KEY, [1; 12], b"last-known 17", &sealed), Ok(b"state".to_vec()));
        assert_eq!(open_bytes(&KEY, [1; 12], b"last-known 18", &sealed), Err(SealError::DoesNotOpen));
        assert_eq!(open_bytes(&KEY, [1; 12], b"last-known 17", b"short"), Err(SealError::DoesNotOpen));
    }
}
