//! What every form of [`Vault`] must do, sentence by sentence of its contract.

#![expect(clippy::unwrap_used, reason = "a suite panics on a breach, and an error is one")]

use writ_model::id::{Generation, KeyHash, Offset, SubjectId};
use writ_model::lineage::{Applied, SourceVersion, SubjectSequence};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;
use writ_model::value::{Attributes, Value};

use crate::error::VaultError;
use crate::vault::{Group, NewLife, NewSubject, Purpose, Remember, SubjectKey, Vault};

/// Runs every clause. `fresh` makes an empty vault; `reopen` closes one and opens it again, as after a crash
/// that spared what was synced.
pub fn all<V: Vault>(fresh: impl Fn() -> V, reopen: impl Fn(V) -> V) {
    a_created_subject_is_found_with_its_keys(fresh());
    created_subjects_survive_a_crash(fresh(), &reopen);
    creating_a_subject_again_leaves_it_as_it_is(fresh());
    a_key_hash_that_names_another_subject_is_refused(fresh());
    last_known_state_is_kept_per_change_type(fresh());
    every_kind_of_value_comes_back_as_it_was(fresh());
    a_batch_with_an_unknown_subject_changes_nothing(fresh());
    a_rekeyed_subject_is_found_under_its_new_key_only(fresh());
    a_rekey_without_an_event_moves_the_subject_and_what_is_known_of_it(fresh());
    a_subject_whose_key_was_taken_keeps_its_keys(fresh());
    remembering_again_from_the_remembered_offset_changes_nothing(fresh());
    how_new_a_group_is_outlives_it_and_goes_with_the_content_key(fresh(), &reopen);
    numbers_of_a_subject_are_never_given_twice(fresh(), &reopen);
    synced_state_survives_a_crash_and_unsynced_state_is_applied_again(fresh(), &reopen);
    destroyed_keys_are_gone_for_good(fresh(), &reopen);
    destroying_one_purpose_leaves_the_others(fresh(), &reopen);
    destroying_content_leaves_the_subject_recognisable(fresh(), &reopen);
    destroying_what_is_not_there_is_no_error(fresh());
    an_erased_subject_begins_another_life_with_nothing_of_the_former(fresh(), &reopen);
    no_life_begins_that_does_not_follow_an_erased_one(fresh());
    the_other_subjects_of_a_bucket_survive(fresh(), &reopen);
}

/// A key hash made of a number.
pub(crate) fn key_hash(number: u32) -> KeyHash {
    let mut hash = [0x77; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    KeyHash(hash)
}

/// A subject made of a number. Numbers that differ below 2^20 share a bucket.
pub(crate) fn subject(number: u32) -> NewSubject {
    let mut id = [0x5a; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let mut content = [0xc0; 32];
    content[..4].copy_from_slice(&number.to_be_bytes());
    let mut evidence = [0xe0; 32];
    evidence[..4].copy_from_slice(&number.to_be_bytes());
    NewSubject {
        key_hash: key_hash(number),
        subject_id: SubjectId(id),
        content: SubjectKey(content),
        evidence: SubjectKey(evidence),
    }
}

/// One attribute.
pub(crate) fn email(address: &str) -> Attributes {
    [("email".to_owned(), Value::Text(address.to_owned()))].into()
}

/// A change of a subject's e-mail attributes.
pub(crate) fn remember(number: u32, attributes: Option<Attributes>) -> Remember {
    remember_as(number, ChangeType::Email, attributes)
}

fn remember_as(number: u32, change_type: ChangeType, attributes: Option<Attributes>) -> Remember {
    let group = Group { change_type, attributes, applied: Applied::default(), is_whole: false };
    let sequence = SubjectSequence::default();
    Remember { key_hash: key_hash(number), old_key_hash: None, group: Some(group), sequence }
}

fn rekey(old: u32, new: u32, attributes: Attributes) -> Remember {
    Remember { old_key_hash: Some(key_hash(old)), ..remember(new, Some(attributes)) }
}

fn known(vault: &impl Vault, number: u32) -> Option<Attributes> {
    let subject = vault.find(key_hash(number)).unwrap().expect("the subject is there");
    subject.last_known.get(&ChangeType::Email).cloned()
}

/// The bytes of a key, for comparing; keys themselves compare with nothing.
fn key(vault: &impl Vault, number: u32, purpose: Purpose) -> Option<[u8; 32]> {
    let id = subject(number).subject_id;
    vault.key(id, Generation::FIRST, purpose).unwrap().map(|key| key.0)
}

fn a_created_subject_is_found_with_its_keys(mut vault: impl Vault) {
    assert!(vault.find(key_hash(1)).unwrap().is_none());
    vault.create(&[subject(1), subject(2)]).unwrap();
    let found = vault.find(key_hash(2)).unwrap().expect("created");
    assert_eq!((found.subject_id, found.generation), (subject(2).subject_id, Generation::FIRST));
    assert_eq!(found.content.map(|key| key.0), Some(subject(2).content.0));
    assert_eq!(found.evidence.map(|key| key.0), Some(subject(2).evidence.0));
    assert!(!found.is_erased && found.last_known.is_empty());
    assert_eq!(vault.locate(subject(1).subject_id).unwrap(), Some(key_hash(1)));
    assert_eq!(vault.locate(subject(3).subject_id).unwrap(), None);
    assert_eq!(vault.generation(subject(1).subject_id).unwrap(), Some(Generation::FIRST));
    assert_eq!(vault.generation(subject(3).subject_id).unwrap(), None);
    assert_eq!(key(&vault, 1, Purpose::Content), Some(subject(1).content.0));
    assert_eq!(key(&vault, 1, Purpose::Evidence), Some(subject(1).evidence.0));
    assert_eq!(key(&vault, 1, Purpose::Case), None);
    let other_life = vault.key(subject(1).subject_id, Generation(2), Purpose::Content);
    assert!(other_life.unwrap().is_none());
}

fn created_subjects_survive_a_crash<V: Vault>(mut vault: V, reopen: &impl Fn(V) -> V) {
    vault.create(&[subject(1)]).unwrap();
    let vault = reopen(vault);
    assert_eq!(key(&vault, 1, Purpose::Content), Some(subject(1).content.0));
    assert_eq!(vault.locate(subject(1).subject_id).unwrap(), Some(key_hash(1)));
}

fn creating_a_subject_again_leaves_it_as_it_is(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    vault.remember(&[remember(1, Some(email("ada")))], Offset(1)).unwrap();
    let again = NewSubject { content: SubjectKey([1; 32]), ..subject(1) };
    vault.create(&[again.clone(), again]).unwrap();
    assert_eq!(key(&vault, 1, Purpose::Content), Some(subject(1).content.0));
    assert_eq!(known(&vault, 1), Some(email("ada")));
}

fn a_key_hash_that_names_another_subject_is_refused(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    let thief = NewSubject { key_hash: key_hash(1), ..subject(2) };
    let refused = vault.create(&[subject(3), thief]).unwrap_err();
    assert!(matches!(refused, VaultError::KeyHashTaken { subject: id } if id == subject(2).subject_id));
    assert!(vault.find(key_hash(3)).unwrap().is_none(), "all or none");
    let twin = NewSubject { key_hash: key_hash(4), ..subject(5) };
    assert!(vault.create(&[subject(4), twin]).is_err(), "also within one batch");
}

fn last_known_state_is_kept_per_change_type(mut vault: impl Vault) {
    vault.create(&[subject(1), subject(2)]).unwrap();
    let phone = remember_as(1, ChangeType::Phone, Some(email("phone")));
    let first =
        [remember(1, Some(email("a"))), phone, remember(2, Some(email("b"))), remember(1, Some(email("c")))];
    vault.remember(&first, Offset(4)).unwrap();
    assert_eq!((known(&vault, 1), known(&vault, 2)), (Some(email("c")), Some(email("b"))));
    vault.remember(&[remember(1, None)], Offset(5)).unwrap();
    let left = vault.find(key_hash(1)).unwrap().expect("still there").last_known;
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [ChangeType::Phone]);
    assert_eq!(vault.remembered(), Offset(5));
}

fn every_kind_of_value_comes_back_as_it_was(mut vault: impl Vault) {
    let values = [
        Value::Null,
        Value::Bool(false),
        Value::Int(i64::MIN),
        Value::Text("18446744073709551616".to_owned()),
        Value::List(vec![Value::Null, Value::Int(1), Value::Text("1".to_owned())]),
        Value::Map([("a".to_owned(), Value::List(Vec::new()))].into()),
    ];
    let attributes: Attributes = (0..).map(|at: u32| at.to_string()).zip(values).collect();
    vault.create(&[subject(1)]).unwrap();
    vault.remember(&[remember(1, Some(attributes.clone()))], Offset(1)).unwrap();
    assert_eq!(known(&vault, 1), Some(attributes));
}

fn a_batch_with_an_unknown_subject_changes_nothing(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    let changes = [remember(1, Some(email("a"))), remember(9, Some(email("b")))];
    let refused = vault.remember(&changes, Offset(2)).unwrap_err();
    assert!(matches!(refused, VaultError::UnknownSubject { change: 2, changes: 2 }));
    assert_eq!((known(&vault, 1), vault.remembered()), (None, Offset(0)));
}

fn a_rekeyed_subject_is_found_under_its_new_key_only(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    let phone = Remember {
        old_key_hash: Some(key_hash(1)),
        ..remember_as(7, ChangeType::Phone, Some(email("phone")))
    };
    // One event per change type, each naming both keys; then one more of the renamed subject.
    let changes = [rekey(1, 7, email("a")), phone, remember(7, Some(email("b")))];
    vault.remember(&changes, Offset(3)).unwrap();
    assert!(vault.find(key_hash(1)).unwrap().is_none());
    assert_eq!(vault.locate(subject(1).subject_id).unwrap(), Some(key_hash(7)));
    assert_eq!(known(&vault, 7), Some(email("b")));
    assert_eq!(key(&vault, 1, Purpose::Content), Some(subject(1).content.0));
    vault.create(&[NewSubject { key_hash: key_hash(1), ..subject(2) }]).expect("the old key is free");
}

fn a_rekey_without_an_event_moves_the_subject_and_what_is_known_of_it(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    vault.remember(&[remember(1, Some(email("a")))], Offset(1)).unwrap();
    let moved = Remember { group: None, ..rekey(1, 7, email("unused")) };
    vault.remember(std::slice::from_ref(&moved), Offset(2)).unwrap();
    assert!(vault.find(key_hash(1)).unwrap().is_none());
    assert_eq!(known(&vault, 7), Some(email("a")));
    vault.remember(&[moved], Offset(2)).expect("told again, it changes nothing");
    assert_eq!(known(&vault, 7), Some(email("a")));
}

/// An e-mail change that its producer made at a time.
fn remember_at(number: u32, attributes: Option<Attributes>, at: i64) -> Remember {
    let mut change = remember(number, attributes);
    let group = change.group.as_mut().unwrap();
    group.applied.version = Some(SourceVersion::Time(Timestamp(at)));
    change
}

fn how_new_a_group_is_outlives_it_and_goes_with_the_content_key<V: Vault>(
    mut vault: V,
    reopen: &impl Fn(V) -> V,
) {
    vault.create(&[subject(1)]).unwrap();
    let changes = [remember_at(1, Some(email("a")), 5), remember_at(1, None, 7)];
    vault.remember(&changes, Offset(2)).unwrap();
    vault.sync().unwrap();
    let mut vault = reopen(vault);
    let versions = |vault: &V| vault.find(key_hash(1)).unwrap().unwrap().versions;
    let newest = versions(&vault).groups[&ChangeType::Email].version.clone();
    assert_eq!(newest, Some(SourceVersion::Time(Timestamp(7))));
    vault.destroy(subject(1).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    assert!(versions(&vault).is_empty());
}

fn numbers_of_a_subject_are_never_given_twice<V: Vault>(mut vault: V, reopen: &impl Fn(V) -> V) {
    vault.create(&[subject(1)]).unwrap();
    let numbered = |number| Remember { sequence: SubjectSequence(number), ..remember(1, Some(email("a"))) };
    let last = |vault: &V| vault.find(key_hash(1)).unwrap().unwrap().sequence;
    vault.remember(&[numbered(1), numbered(2)], Offset(2)).unwrap();
    vault.remember(&[numbered(1)], Offset(2)).expect("told again");
    assert_eq!(last(&vault), SubjectSequence(2));
    let stale = Remember { group: None, ..numbered(3) };
    vault.remember(&[stale], Offset(3)).unwrap();
    vault.destroy(subject(1).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    vault.sync().unwrap();
    assert_eq!(last(&reopen(vault)), SubjectSequence(3));
}

fn a_subject_whose_key_was_taken_keeps_its_keys(mut vault: impl Vault) {
    vault.create(&[subject(1), subject(2)]).unwrap();
    vault.remember(&[rekey(1, 2, email("a"))], Offset(1)).unwrap();
    assert_eq!(vault.find(key_hash(2)).unwrap().map(|found| found.subject_id), Some(subject(1).subject_id));
    assert_eq!(vault.locate(subject(2).subject_id).unwrap(), None);
    assert_eq!(key(&vault, 2, Purpose::Content), Some(subject(2).content.0));
    vault.destroy(subject(2).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    assert_eq!(key(&vault, 2, Purpose::Content), None);
    assert_eq!(known(&vault, 2), Some(email("a")));
}

fn remembering_again_from_the_remembered_offset_changes_nothing(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    let changes = [rekey(1, 7, email("a"))];
    vault.remember(&changes, Offset(1)).unwrap();
    vault.remember(&changes, Offset(1)).unwrap();
    vault.remember(&[remember(7, Some(email("b")))], Offset(2)).unwrap();
    vault.remember(&changes, Offset(1)).unwrap();
    assert_eq!((known(&vault, 7), vault.remembered()), (Some(email("b")), Offset(2)));
}

fn synced_state_survives_a_crash_and_unsynced_state_is_applied_again<V: Vault>(
    mut vault: V,
    reopen: &impl Fn(V) -> V,
) {
    vault.create(&[subject(1)]).unwrap();
    vault.remember(&[remember(1, Some(email("a")))], Offset(1)).unwrap();
    vault.sync().unwrap();
    vault.remember(&[rekey(1, 7, email("b"))], Offset(2)).unwrap();
    let mut vault = reopen(vault);
    match vault.remembered() {
        Offset(1) => assert_eq!(known(&vault, 1), Some(email("a"))),
        Offset(2) => assert_eq!(known(&vault, 7), Some(email("b"))),
        other => panic!("remembered {other}"),
    }
    vault.remember(&[rekey(1, 7, email("b"))], Offset(2)).unwrap();
    assert_eq!((known(&vault, 7), vault.remembered()), (Some(email("b")), Offset(2)));
    assert!(vault.find(key_hash(1)).unwrap().is_none());
}

fn destroyed_keys_are_gone_for_good<V: Vault>(mut vault: V, reopen: &impl Fn(V) -> V) {
    vault.create(&[subject(1)]).unwrap();
    vault.destroy(subject(1).subject_id, Generation::FIRST, &[Purpose::Content, Purpose::Evidence]).unwrap();
    assert_eq!((key(&vault, 1, Purpose::Content), key(&vault, 1, Purpose::Evidence)), (None, None));
    let vault = reopen(vault);
    assert_eq!((key(&vault, 1, Purpose::Content), key(&vault, 1, Purpose::Evidence)), (None, None));
}

fn destroying_one_purpose_leaves_the_others<V: Vault>(mut vault: V, reopen: &impl Fn(V) -> V) {
    vault.create(&[subject(1), subject(2)]).unwrap();
    vault.remember(&[remember(2, Some(email("b")))], Offset(1)).unwrap();
    vault.destroy(subject(1).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    vault.destroy(subject(2).subject_id, Generation::FIRST, &[Purpose::Evidence]).unwrap();
    let vault = reopen(vault);
    assert_eq!(key(&vault, 1, Purpose::Evidence), Some(subject(1).evidence.0));
    assert_eq!(key(&vault, 2, Purpose::Content), Some(subject(2).content.0));
    assert!(!vault.find(key_hash(2)).unwrap().expect("still there").is_erased);
    assert_eq!(known(&vault, 2), Some(email("b")), "last-known state dies with content only");
}

fn destroying_content_leaves_the_subject_recognisable<V: Vault>(mut vault: V, reopen: &impl Fn(V) -> V) {
    vault.create(&[subject(1)]).unwrap();
    vault.remember(&[remember(1, Some(email("a")))], Offset(1)).unwrap();
    vault.destroy(subject(1).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    let mut vault = reopen(vault);
    // A late change, and a rekey, of the erased subject.
    vault.remember(&[remember(1, Some(email("late"))), rekey(1, 7, email("later"))], Offset(3)).unwrap();
    let found = vault.find(key_hash(7)).unwrap().expect("recognised");
    assert_eq!((found.subject_id, found.generation), (subject(1).subject_id, Generation::FIRST));
    assert!(found.is_erased && found.content.is_none() && found.last_known.is_empty());
    vault.create(&[NewSubject { key_hash: key_hash(1), ..subject(2) }]).expect("the old key is free");
    assert!(vault.find(key_hash(7)).unwrap().expect("still there").is_erased);
}

/// The second life of a subject made of a number.
fn second_life(number: u32) -> NewLife {
    NewLife {
        subject_id: subject(number).subject_id,
        generation: Generation(2),
        content: SubjectKey([0xc2; 32]),
        evidence: SubjectKey([0xe2; 32]),
    }
}

fn an_erased_subject_begins_another_life_with_nothing_of_the_former<V: Vault>(
    mut vault: V,
    reopen: &impl Fn(V) -> V,
) {
    vault.create(&[subject(1), subject(2)]).unwrap();
    let counted = Remember { sequence: SubjectSequence(5), ..remember(1, Some(email("ada"))) };
    vault.remember(&[counted], Offset(1)).unwrap();
    vault.destroy(subject(1).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    assert!(vault.begin_life(&second_life(1)).unwrap());
    let mut vault = reopen(vault);
    let found = vault.find(key_hash(1)).unwrap().expect("the same subject");
    assert_eq!((found.subject_id, found.generation), (subject(1).subject_id, Generation(2)));
    assert!(!found.is_erased && found.last_known.is_empty());
    assert_eq!((found.sequence, found.content.map(|key| key.0)), (SubjectSequence(5), Some([0xc2; 32])));
    assert_eq!(vault.generation(subject(1).subject_id).unwrap(), Some(Generation(2)));
    assert_eq!(key(&vault, 1, Purpose::Content), None, "what was erased stays so");
    assert_eq!(key(&vault, 1, Purpose::Evidence), Some(subject(1).evidence.0), "and can still be shown");
    vault.remember(&[remember(1, Some(email("new")))], Offset(2)).unwrap();
    assert_eq!(known(&vault, 1), Some(email("new")));
    // Keys of both lives are wrapped anew with their bucket.
    vault.destroy(subject(2).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    assert_eq!(key(&vault, 1, Purpose::Evidence), Some(subject(1).evidence.0));
    assert_eq!(known(&vault, 1), Some(email("new")));
    vault.destroy(subject(1).subject_id, Generation(2), &[Purpose::Content]).unwrap();
    assert!(vault.find(key_hash(1)).unwrap().expect("still there").is_erased);
    assert_eq!(key(&vault, 1, Purpose::Evidence), Some(subject(1).evidence.0));
}

fn no_life_begins_that_does_not_follow_an_erased_one(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    assert!(!vault.begin_life(&second_life(1)).unwrap(), "it is not erased");
    assert!(!vault.begin_life(&second_life(2)).unwrap(), "nobody knows it");
    vault.destroy(subject(1).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    let third = NewLife { generation: Generation(3), ..second_life(1) };
    assert!(!vault.begin_life(&third).unwrap(), "a life is left out");
    assert!(vault.begin_life(&second_life(1)).unwrap());
    assert!(!vault.begin_life(&second_life(1)).unwrap(), "it has begun");
}

fn destroying_what_is_not_there_is_no_error(mut vault: impl Vault) {
    vault.create(&[subject(1)]).unwrap();
    let (first, second) = (Generation::FIRST, Generation(2));
    vault.destroy(subject(9).subject_id, first, &[Purpose::Content]).unwrap();
    vault.destroy(subject(1).subject_id, second, &[Purpose::Content]).unwrap();
    vault.destroy(subject(1).subject_id, first, &[Purpose::Case]).unwrap();
    assert_eq!(key(&vault, 1, Purpose::Content), Some(subject(1).content.0));
    vault.destroy(subject(1).subject_id, first, &[Purpose::Content]).unwrap();
    vault.destroy(subject(1).subject_id, first, &[Purpose::Content]).unwrap();
    assert!(vault.find(key_hash(1)).unwrap().expect("still there").is_erased);
}

fn the_other_subjects_of_a_bucket_survive<V: Vault>(mut vault: V, reopen: &impl Fn(V) -> V) {
    const SUBJECTS: u32 = 600;
    let other_bucket = 1 << 28;
    let mut subjects: Vec<_> = (0..SUBJECTS).map(subject).collect();
    subjects.push(subject(other_bucket));
    vault.create(&subjects).unwrap();
    vault.remember(&[remember(5, Some(email("five")))], Offset(1)).unwrap();
    for number in [3, 300, 599] {
        vault.destroy(subject(number).subject_id, Generation::FIRST, &[Purpose::Content]).unwrap();
    }
    let vault = reopen(vault);
    for number in (0..SUBJECTS).chain([other_bucket]) {
        let expected = (![3, 300, 599].contains(&number)).then_some(subject(number).content.0);
        assert_eq!(key(&vault, number, Purpose::Content), expected, "subject {number}");
        assert_eq!(key(&vault, number, Purpose::Evidence), Some(subject(number).evidence.0));
    }
    assert_eq!(known(&vault, 5), Some(email("five")));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::vault::{FjallVault, Master, MemoryVault, Open};

    #[test]
    fn the_vault_in_memory_keeps_the_contract() {
        all(MemoryVault::new, |mut vault| {
            vault.crash();
            vault
        });
    }

    #[test]
    fn the_vault_on_disk_keeps_the_contract() {
        let root = tempfile::tempdir().unwrap();
        let made = Cell::new(0);
        let open = || {
            let dir = root.path().join(made.get().to_string());
            FjallVault::open(&dir, Open { master: Master::File }).unwrap()
        };
        let fresh = || {
            made.set(made.get() + 1);
            open()
        };
        all(fresh, |vault| {
            drop(vault);
            open()
        });
    }
}
