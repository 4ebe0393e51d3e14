//! Watches the slot beside the stream: how much log it holds back, whether the server is about to give it up,
//! and, in a quiet database, a heartbeat that lets it move on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::config::Settings;
use super::identity::{self, cell};
use super::relations::quote_text;
use super::session::{Answer, Session};
use crate::source::{Emit, SourceError};

/// How often the slot is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The heartbeat's prefix; other consumers of logical messages tell it by this.
const HEARTBEAT_PREFIX: &str = "writ.heartbeat";

/// Watches until the slot is lost or the session breaks.
pub(super) async fn watch(
    session: &mut Session,
    settings: &Settings,
    emit: &mpsc::Sender<Emit>,
    transactions: &Arc<AtomicU64>,
) -> SourceError {
    let mut heart = Heart { seen: transactions.load(Ordering::Relaxed), last: Instant::now() };
    let every = settings.heartbeat.map_or(LOOK_EVERY, |beat| beat.min(LOOK_EVERY));
    let mut is_warned = false;
    loop {
        match look(session, settings, emit).await {
            Ok(is_at_risk) => {
                if is_at_risk && !is_warned {
                    tracing::warn!(slot = %settings.slot, "the server may soon give up the log that the slot needs");
                }
                is_warned = is_at_risk;
            }
            Err(error) => return error,
        }
        if let Err(error) = heart.beat(session, settings, transactions).await {
            return error;
        }
        tokio::time::sleep(every).await;
    }
}

/// Emits the slot's figures; tells whether it is at risk.
async fn look(
    session: &mut Session,
    settings: &Settings,
    emit: &mpsc::Sender<Emit>,
) -> Result<bool, SourceError> {
    let sql = format!(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), \
         pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), \
         pg_wal_lsn_diff(confirmed_flush_lsn, '0/0'), safe_wal_size, wal_status \
         FROM pg_replication_slots WHERE slot_name = {}",
        quote_text(&settings.slot)
    );
    let rows = session.rows(&sql).await?;
    if rows.first().is_none_or(|row| cell(row, 4).is_none_or(|status| status == "lost"))
        && let Some(verdict) = identity::slot_verdict(session, settings).await
    {
        return Err(verdict);
    }
    let Some(row) = rows.first() else { return Ok(false) };
    const FIGURES: [&str; 4] =
        ["retained_wal_bytes", "unconfirmed_wal_bytes", "confirmed_position", "slot_wal_bytes_left"];
    for (at, name) in FIGURES.into_iter().enumerate() {
        if let Some(value) = figure(row, at) {
            // A full channel has changes to carry; the next look comes soon.
            let _dropped = emit.try_send(Emit::Health { name, value });
        }
    }
    Ok(cell(row, 4) == Some("unreserved"))
}

fn figure(row: &Answer, at: usize) -> Option<f64> {
    cell(row, at)?.parse().ok()
}

/// Writes a message when nothing else came through the slot for one interval.
///
/// The message is transactional: only a transaction in our own database, with its commit, moves a slot whose
/// server is busy elsewhere (another database, or a managed service's own writes).
struct Heart {
    seen: u64,
    last: Instant,
}

impl Heart {
    async fn beat(
        &mut self,
        session: &mut Session,
        settings: &Settings,
        transactions: &AtomicU64,
    ) -> Result<(), SourceError> {
        let Some(interval) = settings.heartbeat else { return Ok(()) };
        if self.last.elapsed() < interval {
            return Ok(());
        }
        let seen = transactions.load(Ordering::Relaxed);
        // The last heartbeat's own transaction is one.
        if seen.saturating_sub(self.seen) <= 1 {
            let sql = format!("SELECT pg_logical_emit_message(true, {}, '')", quote_text(HEARTBEAT_PREFIX));
            session.rows(&sql).await?;
        }
        self.seen = seen;
        self.last = Instant::now();
        Ok(())
    }
}
