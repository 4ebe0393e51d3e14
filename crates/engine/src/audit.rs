//! The audit log's directory, fed with the log's leaves. After a restart it says which leaf it needs next, and
//! the log has it.

use std::path::Path;
use std::sync::Arc;

use writ_attest::note::NoteSigner;
use writ_model::code;
use writ_model::id::Offset;
use writ_store::audit::{self, AuditDir, AuditError};
use writ_store::disk::RealDisk;
use writ_store::log::{Log, LogReader, Record};
use writ_store::vault::TenantSecrets;

use crate::error::EngineError;

/// Bytes of log that are read at once.
const STEP_BYTES: usize = 4 << 20;

/// Where the public key lies, beside the audit log, for verifiers.
const KEY_FILE: &str = "vkey";

/// Feeds leaves to the directory and publishes checkpoints.
pub(crate) struct AuditWriter {
    dir: AuditDir,
    signer: NoteSigner,
}

impl AuditWriter {
    /// Opens the directory and feeds it what the log has and it lacks.
    pub(crate) fn open(
        store: &Path,
        origin: &str,
        secrets: &TenantSecrets,
        log: &dyn Log,
    ) -> Result<Self, EngineError> {
        let signer = NoteSigner::from_seed(origin, &secrets.attest_seed).map_err(|error| unusable(&error))?;
        let places = audit::places_in(store);
        let dir = AuditDir::open(Arc::new(RealDisk), &places, signer.verifier());
        let dir = dir.map_err(|error| unusable(&error))?;
        let key = places.tree.join(KEY_FILE);
        std::fs::write(&key, format!("{}\n", signer.verifier())).map_err(|error| unusable(&error))?;
        let mut writer = Self { dir, signer };
        writer.catch_up(log)?;
        Ok(writer)
    }

    fn catch_up(&mut self, log: &dyn Log) -> Result<(), EngineError> {
        if self.dir.size() >= log.leaf_count() {
            return Ok(());
        }
        let mut reader = log.reader();
        let mut from = locate(reader.as_mut(), self.dir.size(), log.start(), log.end())?;
        while from < log.end() {
            let records = read(reader.as_mut(), from, STEP_BYTES)?;
            let Some(last) = records.last().map(Record::offset) else { break };
            self.take(&records).map_err(|error| unusable(&error))?;
            from = last.next();
        }
        Ok(())
    }

    /// Adds the leaves among these records that the directory does not have yet.
    pub(crate) fn take(&mut self, records: &[Record]) -> Result<(), AuditError> {
        let size = self.dir.size();
        let leaves = records.iter().filter_map(|record| match record {
            Record::Leaf(_, index, bytes) if *index >= size => Some(bytes),
            Record::Leaf(..) | Record::Event(_) | Record::Fact(..) => None,
        });
        let leaves: Vec<&Vec<u8>> = leaves.collect();
        if leaves.is_empty() { Ok(()) } else { self.dir.integrate(size, &leaves) }
    }

    /// Signs and publishes a checkpoint of what was added since the last.
    pub(crate) fn publish(&mut self) -> Result<(), AuditError> {
        self.dir.publish(&self.signer).map(drop)
    }
}

/// An offset at or before that of the leaf with this index: leaves' indices rise with their offsets.
fn locate(log: &mut dyn LogReader, index: u64, start: Offset, end: Offset) -> Result<Offset, EngineError> {
    let (mut low, mut high) = (start.0, end.0);
    while low < high {
        let middle = low + (high - low) / 2;
        match first_leaf(log, Offset(middle), end)? {
            Some(found) if found < index => low = middle + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(Offset(low.saturating_sub(1).max(start.0)))
}

/// The index of the first leaf at or after an offset.
fn first_leaf(log: &mut dyn LogReader, from: Offset, end: Offset) -> Result<Option<u64>, EngineError> {
    const GLANCE_BYTES: usize = 4096;
    let mut at = from;
    while at < end {
        let records = read(log, at, GLANCE_BYTES)?;
        let leaf = records.iter().find_map(|record| match record {
            Record::Leaf(_, index, _) => Some(*index),
            Record::Event(_) | Record::Fact(..) => None,
        });
        if leaf.is_some() {
            return Ok(leaf);
        }
        let Some(last) = records.last() else { return Ok(None) };
        at = last.offset().next();
    }
    Ok(None)
}

fn read(log: &mut dyn LogReader, from: Offset, bytes_max: usize) -> Result<Vec<Record>, EngineError> {
    log.read(from, bytes_max).map_err(|error| unusable(&error))
}

fn unusable(error: &dyn std::fmt::Display) -> EngineError {
    let remedy = "run `writ audit verify`; restore the audit folder from its backup if it is damaged";
    EngineError::new(code::AUDIT_ROOT, "open the audit log", error, remedy)
}
