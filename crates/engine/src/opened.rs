//! Opens the store and catches it up with its log: the log is the truth, everything else follows it.

use std::path::Path;
use std::sync::Arc;

use writ_model::code;
use writ_store::disk::RealDisk;
use writ_store::log::{Log, Opened, Options, SegmentLog};
use writ_store::state::{FjallState, State};
use writ_store::vault::{FjallVault, Master, TenantSecrets};

use crate::config::Config;
use crate::error::EngineError;
use crate::recovery;

/// The opened store.
pub(crate) struct Store {
    pub(crate) log: SegmentLog,
    pub(crate) epoch: writ_model::id::Epoch,
    pub(crate) vault: FjallVault,
    pub(crate) secrets: TenantSecrets,
    pub(crate) state: Arc<dyn State>,
}

/// Opens everything that is durable. Blocking.
pub(crate) fn open(config: &Config) -> Result<Store, EngineError> {
    let path = &config.store.path;
    std::fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
    let options = Options { segment_bytes: u64::from(config.store.segment_mib) << 20, ..Options::default() };
    let opened = SegmentLog::open(Arc::new(RealDisk), &path.join("log"), options);
    let Opened { log, recovery } = opened.map_err(|error| EngineError::from_read(&error, path))?;
    if let Some(torn) = &recovery.torn {
        tracing::warn!(
            segment = torn.segment,
            at = torn.at,
            "a torn last commit was cut off; it was never acknowledged"
        );
    }
    let vault = FjallVault::open(&path.join("vault"), writ_store::vault::Open { master: Master::File });
    let mut vault = vault.map_err(|error| {
        EngineError::new(
            error.code(),
            "open the key vault",
            &error,
            "restore vault and master key from the same backup",
        )
    })?;
    let state = FjallState::open(&path.join("state")).map_err(|error| {
        EngineError::new(
            error.code(),
            "open derived state",
            &error,
            "stop the other engine, or remove the state folder: it is rebuilt",
        )
    })?;
    let secrets = vault.tenant_secrets().clone();
    let mut reader = log.reader();
    recovery::catch_up_state(&state, reader.as_mut())?;
    recovery::catch_up_vault(&mut vault, &secrets, reader.as_mut())?;
    Ok(Store { log, epoch: recovery.epoch, vault, secrets, state: Arc::new(state) })
}

fn unwritable(path: &Path, error: &std::io::Error) -> EngineError {
    let tried = format!("create {}", path.display());
    EngineError::new(code::STORE_READ_ONLY, &tried, error, "choose a folder that this user may write")
}
