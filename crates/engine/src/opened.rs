//! Opens the store and catches it up with its log: the log is the truth, everything else follows it.

use std::path::Path;
use std::sync::Arc;

use writ_model::code;
use writ_store::disk::RealDisk;
use writ_store::log::{Log, Opened, Options, SegmentLog};
use writ_store::state::{FjallState, State};
use writ_store::vault::{FjallVault, Master, TenantSecrets};

use crate::audit::AuditWriter;
use crate::config::Config;
use crate::error::EngineError;
use crate::launch::origin;
use crate::recovery;

/// The opened store.
pub(crate) struct Store {
    pub(crate) log: SegmentLog,
    pub(crate) epoch: writ_model::id::Epoch,
    pub(crate) vault: FjallVault,
    pub(crate) secrets: TenantSecrets,
    pub(crate) state: Arc<dyn State>,
    pub(crate) audit: AuditWriter,
}

/// Opens everything that is durable. Each part has files of its own, and derived state takes longest: the others
/// are opened beside it. Blocking.
pub(crate) fn open(config: &Config) -> Result<Store, EngineError> {
    let path = &config.store.path;
    std::fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
    std::thread::scope(|scope| {
        let state = scope.spawn(|| open_state(path));
        let vault = scope.spawn(|| open_vault(path));
        let log = open_log(config);
        let (Opened { log, recovery }, mut vault) = (log?, joined(vault)?);
        let secrets = vault.tenant_secrets().clone();
        recovery::catch_up_vault(&mut vault, &secrets, log.reader().as_mut())?;
        let audit = AuditWriter::open(path, &origin(&config.tenant), &secrets, &log)?;
        let state = joined(state)?;
        recovery::catch_up_state(&state, log.reader().as_mut())?;
        Ok(Store { log, epoch: recovery.epoch, vault, secrets, state: Arc::new(state), audit })
    })
}

/// What a thread came to; a panic goes on here.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn open_log(config: &Config) -> Result<Opened, EngineError> {
    let path = &config.store.path;
    let options = Options { segment_bytes: u64::from(config.store.segment_mib) << 20, ..Options::default() };
    let opened = SegmentLog::open(Arc::new(RealDisk), &path.join("log"), options);
    let opened = opened.map_err(|error| EngineError::from_read(&error, path))?;
    if let Some(torn) = &opened.recovery.torn {
        tracing::warn!(
            segment = torn.segment,
            at = torn.at,
            "a torn last commit was cut off; it was never acknowledged"
        );
    }
    Ok(opened)
}

fn open_vault(path: &Path) -> Result<FjallVault, EngineError> {
    let vault = FjallVault::open(&path.join("vault"), writ_store::vault::Open { master: Master::File });
    vault.map_err(|error| {
        let remedy = "restore vault and master key from the same backup";
        EngineError::new(error.code(), "open the key vault", &error, remedy)
    })
}

fn open_state(path: &Path) -> Result<FjallState, EngineError> {
    FjallState::open(&path.join("state")).map_err(|error| {
        let remedy = "stop the other engine, or remove the state folder: it is rebuilt";
        EngineError::new(error.code(), "open derived state", &error, remedy)
    })
}

fn unwritable(path: &Path, error: &std::io::Error) -> EngineError {
    let tried = format!("create {}", path.display());
    EngineError::new(code::STORE_READ_ONLY, &tried, error, "choose a folder that this user may write")
}
