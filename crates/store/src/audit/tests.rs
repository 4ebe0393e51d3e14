//! Exact files on a real directory; crashes and refusals at every operation on the simulated disk.

#[path = "../../../attest/tests/sample/mod.rs"]
mod sample;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use writ_attest::verify::{Expectations, Fetch, FetchError, Report, verify};
use writ_model::code;

use super::*;
use crate::disk::sim::Fault;
use crate::disk::{Disk, RealDisk, SimDisk};
use sample::{log, signer};

/// Enough for a second bundle and a second tile level.
static LOG: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| log(520));

fn open(files: &Arc<dyn Files>, places: &Places) -> Result<AuditDir, AuditError> {
    AuditDir::open(files.clone(), places, signer().verifier())
}

fn real() -> (tempfile::TempDir, Arc<dyn Files>, Places) {
    let dir = tempfile::tempdir().unwrap();
    let places = places_in(dir.path());
    (dir, Arc::new(RealDisk), places)
}

/// Feeds the log from where the directory is, and publishes at each of the sizes.
fn run(dir: &mut AuditDir, sizes: &[u64]) -> Result<(), AuditError> {
    for size in sizes.iter().filter(|size| **size >= dir.size()).copied().collect::<Vec<_>>() {
        let from = dir.size();
        dir.integrate(from, &LOG[from as usize..size as usize])?;
        dir.publish(&signer())?;
    }
    Ok(())
}

/// Files by their paths. Prints the paths only.
#[derive(Clone, PartialEq, Eq)]
struct Tree(BTreeMap<String, Vec<u8>>);

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(path, bytes)| (path, leaf_hash(bytes)))).finish()
    }
}

/// Every file below the tree but the lock.
fn files_below(root: &Path) -> Tree {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found.remove("lock");
    Tree(found)
}

fn published(sizes: &[u64]) -> Tree {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), sizes).unwrap();
    files_below(&places.tree)
}

fn check_sound(fetch: &dyn Fetch, size: u64) {
    let key = signer().verifier();
    let report: Report =
        verify(fetch, &Expectations::new(&key, sample::time(3_600_000)), &mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!(report.size, Some(size));
}

#[test]
fn the_files_of_one_publication_are_exactly_those_of_the_format() {
    for size in [0, 1, 5, 6, 255, 256, 257, 512, 520] {
        let expected = sample::published::publish(&LOG[..size as usize]);
        assert_eq!(published(&[size]), Tree(expected.0), "{size}");
    }
}

#[test]
fn a_directory_verifies_and_verification_leaves_it_as_it_was() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[520]).unwrap();
    let before = files_below(&places.tree);
    check_sound(&DirFetch::new(&places.tree), 520);
    assert_eq!(files_below(&places.tree), before);
}

#[test]
fn full_files_are_write_protected() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[520]).unwrap();
    for path in ["tile/0/000", "tile/0/001", "tile/entries/000", "acks/001"] {
        let mode = fs::metadata(places.tree.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444, "{path}");
    }
}

#[test]
fn partial_files_stay_until_their_full_form_is_published() {
    let early = published(&[3, 7]);
    for path in ["tile/0/000.p/3", "tile/0/000.p/7", "tile/entries/000.p/3", "tile/entries/000.p/7"] {
        assert!(early.0.contains_key(path), "{path}");
    }
    assert_eq!(
        published(&[3, 7, 260]).0.keys().filter(|path| path.contains("000.p/")).count(),
        1,
        "tile/1 only"
    );
}

#[test]
fn opening_again_goes_on_with_the_same_files() {
    let (_keep, files, places) = real();
    let sizes = [1, 6, 250, 256, 300, 520];
    for size in sizes {
        let mut dir = open(&files, &places).unwrap();
        run(&mut dir, &[size]).unwrap();
        assert_eq!(dir.published().map(|head| head.size), Some(size));
    }
    assert_eq!(files_below(&places.tree), published(&sizes));
}

#[test]
fn publishing_without_new_leaves_changes_nothing() {
    let (_keep, files, places) = real();
    let mut dir = open(&files, &places).unwrap();
    run(&mut dir, &[5]).unwrap();
    let before = files_below(&places.tree);
    assert_eq!(dir.publish(&signer()).unwrap(), *dir.published().unwrap());
    assert_eq!(files_below(&places.tree), before);
}

/// The simulated disk as the verifier sees it.
struct SimFetch(SimDisk, PathBuf);

impl Fetch for SimFetch {
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        Files::read(&self.0, &self.1.join(path))
            .map_err(|error| FetchError { path: path.to_owned(), cause: error.to_string() })
    }
}

const CRASH_SIZES: &[u64] = &[3, 250, 262];

static WITHOUT_CRASH: LazyLock<Tree> = LazyLock::new(|| published(CRASH_SIZES));

fn simulated() -> (SimDisk, Arc<dyn Files>, Places) {
    let disk = SimDisk::new();
    (disk.clone(), Arc::new(disk), places_in(Path::new("/data")))
}

fn operations_of_a_whole_run() -> u64 {
    let (disk, files, places) = simulated();
    run(&mut open(&files, &places).unwrap(), CRASH_SIZES).unwrap();
    disk.operations()
}

fn check_recovers(disk: &SimDisk, files: &Arc<dyn Files>, places: &Places, context: &str) {
    let mut dir = open(files, places).unwrap_or_else(|error| panic!("{context}: {error}"));
    run(&mut dir, CRASH_SIZES).unwrap_or_else(|error| panic!("{context}: {error}"));
    // The same files are a sound log: that is checked once, below.
    let fetch = SimFetch(disk.clone(), places.tree.clone());
    for (path, bytes) in &WITHOUT_CRASH.0 {
        assert!(fetch.get(path).unwrap().as_ref() == Some(bytes), "{context}: {path}");
    }
    for cleared in ["tile/0/000.p", "tile/entries/000.p", "acks/000.p"] {
        assert!(disk.list(&places.tree.join(cleared)).unwrap().is_empty(), "{context}: {cleared}");
    }
    assert!(disk.list(&places.tree).unwrap().iter().all(|name| name == "checkpoint" || name == "lock"));
}

#[test]
fn a_run_without_faults_on_the_simulated_disk_is_sound() {
    let (disk, files, places) = simulated();
    run(&mut open(&files, &places).unwrap(), CRASH_SIZES).unwrap();
    check_sound(&SimFetch(disk, places.tree), 262);
}

#[test]
fn a_power_cut_at_any_operation_is_recovered_from_to_the_same_files() {
    for at in 0..operations_of_a_whole_run() {
        for seed in 0..3 {
            let (disk, files, places) = simulated();
            disk.fail_after(at, Fault::PowerCut);
            let result = open(&files, &places).and_then(|mut dir| run(&mut dir, CRASH_SIZES));
            assert!(result.is_err(), "operation {at}");
            disk.crash(seed);
            check_recovers(&disk, &files, &places, &format!("power cut at operation {at}, seed {seed}"));
        }
    }
}

#[test]
fn a_refused_or_torn_operation_poisons_and_opening_again_recovers() {
    for at in 0..operations_of_a_whole_run() {
        for fault in [Fault::Refused, Fault::Torn] {
            let (disk, files, places) = simulated();
            disk.fail_after(at, fault);
            match open(&files, &places) {
                Err(_) => {}
                Ok(mut dir) => {
                    assert!(run(&mut dir, CRASH_SIZES).is_err(), "operation {at}");
                    let size = dir.size();
                    assert!(matches!(dir.integrate(size, &[] as &[Vec<u8>]), Err(AuditError::Poisoned)));
                    assert!(matches!(dir.publish(&signer()), Err(AuditError::Poisoned)));
                }
            }
            check_recovers(&disk, &files, &places, &format!("{fault:?} at operation {at}"));
        }
    }
}

#[test]
fn a_full_disk_is_named_and_recovered_from() {
    let (disk, files, places) = simulated();
    disk.set_capacity(Some(100_000));
    let error = open(&files, &places).and_then(|mut dir| run(&mut dir, CRASH_SIZES)).unwrap_err();
    assert_eq!(error.code(), code::DISK_FULL);
    disk.set_capacity(None);
    check_recovers(&disk, &files, &places, "full disk");
}

fn copy(from: &Tree, to: &Path) {
    let _ = fs::remove_dir_all(to);
    for (name, bytes) in &from.0 {
        fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
        fs::write(to.join(name), bytes).unwrap();
    }
}

#[test]
fn an_older_copy_of_the_tree_is_not_signed_on() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[200, 520]).unwrap();
    copy(&published(&[200]), &places.tree);
    let error = open(&files, &places).unwrap_err();
    assert!(matches!(error, AuditError::Behind { signed: 520, .. }), "{error}");
    assert_eq!(error.code(), code::AUDIT_ROLLBACK);
}

#[test]
fn another_history_is_not_signed_on() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[200]).unwrap();
    let mut other = LOG[..200].to_vec();
    other[7] = sample::attestation(8, 2, 2);
    copy(&Tree(sample::published::publish(&other).0), &places.tree);
    assert!(matches!(open(&files, &places), Err(AuditError::Fork { size: 200 })));
}

#[test]
fn a_lost_tree_is_rebuilt_from_the_log_to_the_same_files() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[300]).unwrap();
    let before = files_below(&places.tree);
    fs::remove_dir_all(&places.tree).unwrap();
    assert!(matches!(open(&files, &places), Err(AuditError::Behind { .. })));
    let mut dir = AuditDir::rebuild(files, &places, signer().verifier()).unwrap();
    dir.integrate(0, &LOG[..299]).unwrap();
    assert!(matches!(dir.publish(&signer()), Err(AuditError::Unreached { anchor: 300, size: 299 })));
    let mut dir = {
        drop(dir);
        AuditDir::rebuild(Arc::new(RealDisk), &places, signer().verifier()).unwrap()
    };
    dir.integrate(0, &LOG[..300]).unwrap();
    dir.publish(&signer()).unwrap();
    assert_eq!(files_below(&places.tree), before);
}

#[test]
fn a_rebuild_from_other_leaves_is_a_fork() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[100]).unwrap();
    fs::remove_dir_all(&places.tree).unwrap();
    let mut dir = AuditDir::rebuild(files, &places, signer().verifier()).unwrap();
    let mut other = LOG[..100].to_vec();
    other[7] = sample::attestation(8, 2, 2);
    assert!(matches!(dir.integrate(0, &other), Err(AuditError::Fork { size: 100 })));
}

#[test]
fn a_full_file_that_was_edited_is_not_written_over() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[300]).unwrap();
    let path = places.tree.join("tile/entries/000");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let mut dir = AuditDir::rebuild(files, &places, signer().verifier()).unwrap();
    let error = dir.integrate(0, &LOG[..300]).unwrap_err();
    assert!(matches!(&error, AuditError::Mismatch { path } if path == "tile/entries/000"), "{error}");
}

#[test]
fn a_damaged_right_edge_is_found_on_opening() {
    for name in ["tile/0/000.p/200", "tile/entries/000.p/200", "acks/000.p/200", "checkpoint"] {
        let (_keep, files, places) = real();
        run(&mut open(&files, &places).unwrap(), &[200]).unwrap();
        let path = places.tree.join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(open(&files, &places).is_err(), "{name}");
    }
}

#[test]
fn a_lost_record_of_what_was_signed_is_refused_and_an_older_one_caught_up() {
    let (_keep, files, places) = real();
    run(&mut open(&files, &places).unwrap(), &[200]).unwrap();
    let older = fs::read(&places.last_signed).unwrap();
    run(&mut open(&files, &places).unwrap(), &[300]).unwrap();
    let newer = fs::read(&places.last_signed).unwrap();
    fs::write(&places.last_signed, older).unwrap();
    assert_eq!(open(&files, &places).unwrap().size(), 300);
    assert_eq!(fs::read(&places.last_signed).unwrap(), newer);
    fs::remove_file(&places.last_signed).unwrap();
    assert!(matches!(open(&files, &places), Err(AuditError::LastSignedMissing { .. })));
}

#[test]
fn one_process_writes_and_a_second_signer_is_noticed() {
    let (_keep, files, places) = real();
    let mut dir = open(&files, &places).unwrap();
    assert!(matches!(open(&files, &places), Err(AuditError::Locked { .. })));
    run(&mut dir, &[5]).unwrap();
    let elsewhere = published(&[6]).0.remove("checkpoint").unwrap();
    fs::write(&places.last_signed, elsewhere).unwrap();
    dir.integrate(5, &LOG[5..7]).unwrap();
    assert!(matches!(dir.publish(&signer()), Err(AuditError::Fenced { .. })));
}

#[test]
fn leaves_out_of_order_are_refused_and_the_right_ones_may_follow() {
    let (_keep, files, places) = real();
    let mut dir = open(&files, &places).unwrap();
    assert!(matches!(dir.integrate(1, &LOG[1..2]), Err(AuditError::Order { expected: 0, given: 1 })));
    dir.integrate(0, &LOG[..1]).unwrap();
}

#[test]
fn what_the_verifier_would_refuse_is_not_integrated() {
    let refuse = |entry: Vec<u8>| {
        let (_keep, files, places) = real();
        open(&files, &places).unwrap().integrate(0, &[entry]).unwrap_err().code()
    };
    assert_eq!(refuse(b"{}".to_vec()), code::AUDIT_CANONICAL);
    assert_eq!(refuse([LOG[0].as_slice(), b"\n{}"].concat()), code::AUDIT_CANONICAL);
    let last = writ_attest::acks::split(&LOG[5]).0.to_vec();
    assert_eq!(refuse(last), code::AUDIT_CANONICAL, "a final without its records");
}

#[test]
fn another_key_neither_opens_nor_signs() {
    let (_keep, files, places) = real();
    let other = NoteSigner::from_seed(sample::ORIGIN, &[8; 32]).unwrap();
    let mut dir = open(&files, &places).unwrap();
    dir.integrate(0, &LOG[..1]).unwrap();
    assert!(matches!(dir.publish(&other), Err(AuditError::Key { .. })));
    drop(dir);
    run(&mut open(&files, &places).unwrap(), &[1]).unwrap();
    assert!(matches!(AuditDir::open(files, &places, other.verifier()), Err(AuditError::Signature { .. })));
}

#[test]
fn paths_outside_the_directory_are_not_fetched() {
    let (_keep, _, places) = real();
    assert!(DirFetch::new(&places.tree).get("../audit-last-signed").is_err());
    assert!(DirFetch::new(&places.tree).get("/etc/hostname").is_err());
}
