//! What the vault's directory shows, and to whom it opens: copies, leftovers, foreign keys, raw bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use writ_model::code;
use writ_model::id::{Generation, Offset};

use super::*;
use crate::contract::vault::{email, key_hash, remember, subject};

pub(super) fn open(dir: &Path) -> FjallVault {
    FjallVault::open(dir, Open { master: Master::File }).unwrap()
}

fn refusal(dir: &Path, master: Master) -> VaultError {
    FjallVault::open(dir, Open { master }).err().expect("the opening is refused")
}

/// A copy as a backup, or a crash, would leave it.
pub(super) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holding(dir: &Path, secret: &[u8]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| fs::read(path).unwrap().windows(secret.len()).any(|window| window == secret);
    files(dir).into_iter().filter(holds).collect()
}

fn destroy_all(vault: &mut FjallVault, number: u32) {
    let purposes = [Purpose::Content, Purpose::Evidence];
    vault.destroy(subject(number).subject_id, Generation::FIRST, &purposes).unwrap();
}

#[test]
fn a_key_that_was_in_use_a_moment_ago_is_gone_when_it_is_destroyed() {
    let root = tempfile::tempdir().unwrap();
    let mut vault = open(root.path());
    vault.create(&[subject(1)]).unwrap();
    drop(vault.find(key_hash(1)).unwrap());
    let key = |vault: &FjallVault| vault.key(subject(1).subject_id, Generation::FIRST, Purpose::Evidence);
    assert_eq!(key(&vault).unwrap().map(|key| key.0), Some(subject(1).evidence.0));
    destroy_all(&mut vault, 1);
    assert!(key(&vault).unwrap().is_none());
}

#[test]
fn yesterdays_copy_with_todays_kek_file_opens_no_destroyed_key() {
    let root = tempfile::tempdir().unwrap();
    let (present, copy) = (root.path().join("vault"), root.path().join("copy"));
    let mut vault = open(&present);
    vault.create(&[subject(1), subject(2)]).unwrap();
    copy_dir(&present, &copy);
    destroy_all(&mut vault, 1);
    drop(vault);

    let both = open(&copy);
    assert!(
        both.find(key_hash(1)).unwrap().unwrap().content.is_some(),
        "the window that the backup rule closes"
    );
    drop(both);

    fs::copy(present.join("kek"), copy.join("kek")).unwrap();
    let mixed = open(&copy);
    for number in [1, 2] {
        let refused = mixed.find(key_hash(number)).unwrap_err();
        assert!(matches!(refused, VaultError::Bucket { bucket: 0 }), "{refused}");
        assert_eq!(refused.code(), code::VAULT_UNUSABLE);
        assert!(mixed.key(subject(number).subject_id, Generation::FIRST, Purpose::Content).is_err());
    }
}

#[test]
fn an_older_kek_file_does_not_open_a_newer_vault() {
    let root = tempfile::tempdir().unwrap();
    let mut vault = open(root.path());
    vault.create(&[subject(1), subject(2)]).unwrap();
    let old = fs::read(root.path().join("kek")).unwrap();
    destroy_all(&mut vault, 1);
    drop(vault);
    fs::write(root.path().join("kek"), old).unwrap();
    assert!(matches!(open(root.path()).find(key_hash(2)), Err(VaultError::Bucket { bucket: 0 })));
}

#[test]
fn the_former_kek_files_bytes_are_overwritten_where_they_lay() {
    let root = tempfile::tempdir().unwrap();
    let mut vault = open(root.path());
    vault.create(&[subject(1)]).unwrap();
    let former = root.path().join("another-name");
    fs::hard_link(root.path().join("kek"), &former).unwrap();
    destroy_all(&mut vault, 1);
    let bytes = fs::read(former).unwrap();
    assert!(bytes.len() > 100_000 && bytes.iter().all(|byte| *byte == 0));
    assert!(!root.path().join("kek.old").exists() && !root.path().join("kek.new").exists());
}

#[test]
fn a_replacement_cut_off_at_any_file_operation_leaves_a_whole_kek_file() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("vault");
    let mut vault = open(&dir);
    vault.create(&[subject(1), subject(2)]).unwrap();
    let before = fs::read(dir.join("kek")).unwrap();
    drop(vault);
    type Crash<'a> = (&'a str, &'a dyn Fn(&Path));
    let crashes: [Crash<'_>; 4] = [
        ("while kek.new was written", &|dir| fs::write(dir.join("kek.new"), &before[..999]).unwrap()),
        ("before kek was linked", &|dir| fs::write(dir.join("kek.new"), &before).unwrap()),
        ("before kek.new was renamed", &|dir| {
            fs::write(dir.join("kek.new"), &before).unwrap();
            fs::hard_link(dir.join("kek"), dir.join("kek.old")).unwrap();
        }),
        ("before kek.old was removed", &|dir| fs::write(dir.join("kek.old"), &before).unwrap()),
    ];
    for (name, crash) in crashes {
        let crashed = root.path().join(name);
        copy_dir(&dir, &crashed);
        crash(&crashed);
        let mut vault = open(&crashed);
        assert!(vault.find(key_hash(1)).unwrap().unwrap().content.is_some(), "{name}");
        assert!(!crashed.join("kek.new").exists() && !crashed.join("kek.old").exists(), "{name}");
        destroy_all(&mut vault, 1);
        drop(vault);
        assert!(open(&crashed).find(key_hash(2)).unwrap().unwrap().content.is_some(), "{name}");
    }
}

#[test]
fn no_key_and_no_attribute_is_in_any_file_in_the_clear() {
    let root = tempfile::tempdir().unwrap();
    let mut vault = open(root.path());
    vault.create(&[subject(1), subject(2)]).unwrap();
    vault.remember(&[remember(1, Some(email("ada@example.org")))], Offset(1)).unwrap();
    vault.sync().unwrap();
    destroy_all(&mut vault, 2);
    let secrets = vault.tenant_secrets().clone();
    let kek = vault.keks.current(kek::Bucket::of(subject(1).subject_id)).key;
    let TenantSecrets { tenant_key, event_id_key, slot_key, delivery_key, card_hash_key, attest_seed } =
        &secrets;
    for key in [tenant_key, event_id_key, slot_key, delivery_key, card_hash_key, attest_seed, &kek] {
        assert!(holding(root.path(), key).is_empty());
    }
    for number in [1, 2] {
        assert!(holding(root.path(), &subject(number).content.0).is_empty());
        assert!(holding(root.path(), &subject(number).evidence.0).is_empty());
    }
    assert!(holding(root.path(), b"example.org").is_empty());
    assert!(!holding(root.path(), &key_hash(1).0).is_empty(), "the search itself works");
    let master: [u8; 32] = fs::read(root.path().join("master.key")).unwrap().try_into().unwrap();
    assert_eq!(holding(root.path(), &master), [root.path().join("master.key")]);
}

#[test]
fn the_directory_and_its_keys_are_the_owners_alone() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("vault");
    let mut vault = open(&dir);
    vault.create(&[subject(1)]).unwrap();
    destroy_all(&mut vault, 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("kek")), mode(&dir.join("master.key"))), (0o700, 0o600, 0o600));
}

#[test]
fn a_second_opening_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path());
    let refused = refusal(root.path(), Master::File);
    assert_eq!(refused.code(), code::STORE_LOCKED);
    assert!(refused.to_string().contains(&root.path().display().to_string()), "{refused}");
    drop(first);
    open(root.path());
}

#[test]
fn tenant_secrets_are_independent_and_never_change() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).tenant_secrets().clone();
    let again = open(root.path()).tenant_secrets().clone();
    assert_eq!((first.tenant_key, first.attest_seed), (again.tenant_key, again.attest_seed));
    let TenantSecrets { tenant_key, event_id_key, slot_key, delivery_key, card_hash_key, attest_seed } =
        &first;
    let keys = [tenant_key, event_id_key, slot_key, delivery_key, card_hash_key, attest_seed];
    assert_eq!(std::collections::BTreeSet::from(keys).len(), keys.len());
}

#[test]
fn a_supplied_master_key_never_touches_the_disk_and_must_be_the_same_again() {
    let root = tempfile::tempdir().unwrap();
    let ours = Master::Supplied(MasterKey([0xab; 32]));
    let mut vault = FjallVault::open(root.path(), Open { master: ours.clone() }).unwrap();
    vault.create(&[subject(1)]).unwrap();
    drop(vault);
    assert!(holding(root.path(), &[0xab; 32]).is_empty());
    assert!(!root.path().join("master.key").exists());
    for other in [Master::File, Master::Supplied(MasterKey([0xcd; 32]))] {
        let refused = refusal(root.path(), other);
        assert!(matches!(refused, VaultError::MasterKey { .. }), "{refused}");
        assert_eq!(refused.code(), code::VAULT_UNUSABLE);
    }
    assert!(!root.path().join("master.key").exists(), "a refused opening leaves no key behind");
    let vault = FjallVault::open(root.path(), Open { master: ours }).unwrap();
    assert!(vault.find(key_hash(1)).unwrap().is_some());
}

#[test]
fn a_kek_file_that_is_missing_damaged_foreign_or_newer_is_named() {
    let root = tempfile::tempdir().unwrap();
    let (ours, other) = (root.path().join("ours"), root.path().join("other"));
    drop((open(&ours), open(&other)));
    let good = fs::read(ours.join("kek")).unwrap();
    fs::copy(ours.join("master.key"), other.join("master.key")).unwrap();
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut newer = good.clone();
    newer[7] = b'2';
    let foreign = fs::read(other.join("kek")).unwrap();
    let expect = |word: &str| {
        let refused = refusal(&ours, Master::File);
        assert!(
            matches!(refused, VaultError::KekFile { .. }) && refused.to_string().contains(word),
            "{refused}"
        );
    };
    for (bytes, word) in [
        (&damaged, "damaged"),
        (&newer, "another version"),
        (&foreign, "another vault"),
        (&vec![], "not a file"),
    ] {
        fs::write(ours.join("kek"), bytes).unwrap();
        expect(word);
    }
    fs::remove_file(ours.join("kek")).unwrap();
    expect("missing");
    fs::write(ours.join("kek"), &good).unwrap();
    open(&ours);
}

#[test]
fn a_kek_file_whose_vault_is_gone_is_not_overwritten() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    let kek = fs::read(root.path().join("kek")).unwrap();
    fs::remove_dir_all(root.path().join("db")).unwrap();
    assert!(matches!(refusal(root.path(), Master::File), VaultError::KekFile { .. }));
    assert_eq!(fs::read(root.path().join("kek")).unwrap(), kek);
}

#[test]
fn a_vault_cut_off_while_it_was_made_is_finished() {
    use crate::pairs::{Batch, Durability, Pairs};

    let root = tempfile::tempdir().unwrap();
    let vault = open(root.path());
    let secrets = vault.tenant_secrets().clone();
    let mut batch = Batch::default();
    batch.remove(disk::META, b"ready".to_vec());
    vault.pairs.write(batch, Durability::Synced).unwrap();
    drop(vault);
    fs::remove_file(root.path().join("kek")).unwrap();
    let mut vault = open(root.path());
    assert_eq!(vault.tenant_secrets().tenant_key, secrets.tenant_key);
    vault.create(&[subject(1)]).unwrap();
    drop(vault);
    assert!(open(root.path()).find(key_hash(1)).unwrap().is_some());
}

#[test]
fn the_residual_window_names_backups_and_the_master_key() {
    let root = tempfile::tempdir().unwrap();
    let words = open(root.path()).residual_window();
    assert!(words.contains("backup") && words.contains("master key") && words.contains("compacted"));
}

#[test]
fn nothing_secret_is_printed() {
    let printed =
        format!("{:?} {:?} {:?}", MasterKey([0xab; 32]), subject(1), TenantSecrets::draw().unwrap());
    assert!(!printed.contains("171") && !printed.contains("192"), "{printed}");
}
