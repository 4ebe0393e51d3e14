//! Is this the server, and is this the slot, that the recorded position belongs to? Asked on the session that
//! streams, because the server moves the start silently up to what the slot has confirmed: a gap there would
//! never be told by the server.

use std::str::FromStr;
use std::time::Duration;

use pgwire_replication::Lsn;
use tokio::time::Instant;
use writ_model::code::{self, Code};
use writ_model::control::SourceProgress;
use writ_model::id::Incarnation;

use super::config::Settings;
use super::relations::quote_text;
use super::session::{Answer, Session, protocol};
use crate::source::SourceError;

/// The way out of a position that cannot be resumed.
pub(super) const ANEW: &str = "changes since the recorded position may be lost: give the source a new `slot` name, and it reads all rows again";

/// Longest wait for a former session of ours; the server may take longer only when it does not see us gone.
const LET_GO_WAIT: Duration = Duration::from_secs(5);
/// Between two looks meanwhile.
const LET_GO_LOOK: Duration = Duration::from_millis(50);
/// The first word of an incarnation's text.
const KIND: &str = "postgres";

/// An incarnation in its parts: `postgres/<system identifier>/<timeline>/<slot>/<creation point>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) system: String,
    pub(super) timeline: u32,
    pub(super) slot: String,
    /// Where the slot became consistent; 0 while it is only reserved.
    pub(super) created: u64,
}

impl Life {
    /// As text.
    pub(super) fn incarnation(&self) -> Incarnation {
        let Self { system, timeline, slot, created } = self;
        Incarnation(format!("{KIND}/{system}/{timeline}/{slot}/{created:X}"))
    }
}

impl FromStr for Life {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split('/').collect();
        let &[KIND, system, timeline, slot, created] = parts.as_slice() else { return Err(()) };
        Ok(Self {
            system: system.to_owned(),
            timeline: timeline.parse().map_err(|_| ())?,
            slot: slot.to_owned(),
            created: u64::from_str_radix(created, 16).map_err(|_| ())?,
        })
    }
}

/// The server as it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) system: String,
    pub(super) timeline: u32,
    /// How far its log is written.
    pub(super) flushed: u64,
    pub(super) database: String,
}

/// A slot as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) plugin: String,
    pub(super) database: String,
    pub(super) confirmed: u64,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub(super) wal_status: String,
    pub(super) is_active: bool,
}

/// Asks the server who it is.
pub(super) async fn server(session: &mut Session) -> Result<Server, SourceError> {
    let rows = session.rows("IDENTIFY_SYSTEM").await?;
    let read = |row: &Answer| {
        Some(Server {
            system: cell(row, 0)?.to_owned(),
            timeline: cell(row, 1)?.parse().ok()?,
            flushed: lsn(cell(row, 2)?)?,
            database: cell(row, 3)?.to_owned(),
        })
    };
    rows.first().and_then(read).ok_or_else(|| unreadable("IDENTIFY_SYSTEM"))
}

/// Asks for a slot; `None` when there is none of this name.
pub(super) async fn slot(session: &mut Session, name: &str) -> Result<Option<Slot>, SourceError> {
    let sql = format!(
        "SELECT plugin, database, coalesce(confirmed_flush_lsn, restart_lsn, '0/0'), coalesce(wal_status, 'lost'), \
         active FROM pg_replication_slots WHERE slot_name = {}",
        quote_text(name)
    );
    let rows = session.rows(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = |row: &Answer| {
        Some(Slot {
            // Physical slots have neither.
            plugin: cell(row, 0).unwrap_or_default().to_owned(),
            database: cell(row, 1).unwrap_or_default().to_owned(),
            confirmed: lsn(cell(row, 2)?)?,
            wal_status: cell(row, 3)?.to_owned(),
            is_active: cell(row, 4)? == "t",
        })
    };
    read(row).map(Some).ok_or_else(|| unreadable("pg_replication_slots"))
}

/// As [`slot`], after waiting a little for it to be let go: the server takes a moment to see that a former
/// session of ours has ended.
pub(super) async fn free_slot(session: &mut Session, name: &str) -> Result<Option<Slot>, SourceError> {
    let deadline = Instant::now() + LET_GO_WAIT;
    loop {
        let found = slot(session, name).await?;
        if found.as_ref().is_none_or(|slot| !slot.is_active) || Instant::now() >= deadline {
            return Ok(found);
        }
        tokio::time::sleep(LET_GO_LOOK).await;
    }
}

/// A cell that is not null.
pub(super) fn cell(row: &Answer, at: usize) -> Option<&str> {
    row.get(at)?.as_deref()
}

/// A log position in the server's form.
pub(super) fn lsn(text: &str) -> Option<u64> {
    Lsn::parse(text).ok().map(Lsn::as_u64)
}

/// A log position in the server's form, for messages and statements.
pub(super) fn show(lsn: u64) -> String {
    Lsn::from_u64(lsn).to_string()
}

fn unreadable(what: &str) -> SourceError {
    protocol(format!("ask {what}"), "the answer has another form than expected".to_owned())
}

/// How a source starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// From the beginning.
    Anew {
        /// The slot of this name is ours, from a start that did not finish.
        owns_slot: bool,
    },
    /// From a recorded position.
    Resume {
        /// The life that it belongs to.
        life: Life,
        /// Every commit record before it is durable here.
        from: u64,
    },
}

/// Reads the recorded progress.
pub(super) fn plan(from: Option<&SourceProgress>, slot: &str, server: &Server) -> Result<Start, SourceError> {
    let Some(from) = from else { return Ok(Start::Anew { owns_slot: false }) };
    let recorded = &from.incarnation.0;
    let life: Life = recorded.parse().map_err(|()| {
        refuse(code::SOURCE_IDENTITY, slot, format!("the record {recorded} is not of this kind"))
    })?;
    if life.slot != slot {
        tracing::warn!(old_slot = %life.slot, slot, "starting anew under a new slot; drop the old one");
        return Ok(Start::Anew { owns_slot: false });
    }
    if from.snapshot.is_some() {
        return Ok(Start::Anew { owns_slot: life.system == server.system });
    }
    Ok(Start::Resume { life, from: from.position.commit })
}

/// Whether `from`, recorded in `life`, can be resumed without a gap.
pub(super) fn admit(life: &Life, from: u64, server: &Server, slot: Option<&Slot>) -> Result<(), SourceError> {
    let refuse = |code, cause| Err(refuse(code, &life.slot, cause));
    if life.system != server.system {
        let cause = format!("this is cluster {}, the recorded one is {}", server.system, life.system);
        return refuse(code::SOURCE_IDENTITY, cause);
    }
    if life.timeline != server.timeline {
        let cause = format!(
            "the cluster is on timeline {}, the recorded one was {}: it was promoted or restored",
            server.timeline, life.timeline
        );
        return refuse(code::SOURCE_IDENTITY, cause);
    }
    if server.flushed < from {
        let cause = format!(
            "the server's log ends at {}, before the recorded position {}: this is an older copy",
            show(server.flushed),
            show(from)
        );
        return refuse(code::SOURCE_POSITION, cause);
    }
    let Some(slot) = slot else {
        return refuse(code::SLOT_MISSING, "the server has no slot of this name: it was dropped".to_owned());
    };
    admit_slot(life, from, server, slot)
}

fn admit_slot(life: &Life, from: u64, server: &Server, slot: &Slot) -> Result<(), SourceError> {
    if slot.plugin != "pgoutput" || slot.database != server.database {
        let cause = format!("the slot is of plugin {:?} in database {:?}", slot.plugin, slot.database);
        return Err(refuse(code::SOURCE_IDENTITY, &life.slot, cause));
    }
    if slot.wal_status == "lost" {
        let cause = "the server gave up the log that the slot held (max_slot_wal_keep_size)".to_owned();
        return Err(refuse(code::SLOT_INVALIDATED, &life.slot, cause));
    }
    if slot.confirmed > from {
        let cause = format!(
            "the slot has confirmed {}, beyond the recorded position {}: it was made anew, moved, or used by another \
             consumer",
            show(slot.confirmed),
            show(from)
        );
        return Err(refuse(code::SOURCE_POSITION, &life.slot, cause));
    }
    Ok(())
}

fn refuse(code: Code, slot: &str, cause: String) -> SourceError {
    let tried = format!("resume slot {slot}");
    SourceError { code, tried, cause, remedy: ANEW.to_owned(), is_passing: false }
}

/// The slot's own verdict, when it has one: it says more than the error that the stream ended with.
pub(super) async fn slot_verdict(session: &mut Session, settings: &Settings) -> Option<SourceError> {
    let name = &settings.slot;
    match slot(session, name).await {
        Ok(None) => Some(refuse(code::SLOT_MISSING, name, "the slot was dropped".to_owned())),
        Ok(Some(slot)) if slot.wal_status == "lost" => {
            let cause = "the server gave up the log that the slot held (max_slot_wal_keep_size)".to_owned();
            Some(refuse(code::SLOT_INVALIDATED, name, cause))
        }
        Ok(Some(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use writ_model::id::{Position, SourceName};

    use super::*;

    fn life() -> Life {
        Life { system: "7001".into(), timeline: 1, slot: "writ".into(), created: 0xAB }
    }

    fn server() -> Server {
        Server { system: "7001".into(), timeline: 1, flushed: 1000, database: "shop".into() }
    }

    fn slot() -> Slot {
        Slot {
            plugin: "pgoutput".into(),
            database: "shop".into(),
            confirmed: 500,
            wal_status: "reserved".into(),
            is_active: false,
        }
    }

    fn check(server: &Server, slot: Option<&Slot>, expected: Option<Code>) {
        assert_eq!(admit(&life(), 600, server, slot).err().map(|error| error.code), expected);
    }

    #[test]
    fn the_same_server_and_slot_are_admitted() {
        check(&server(), Some(&slot()), None);
    }

    #[test]
    fn another_server_is_refused_by_name() {
        check(&Server { system: "7002".into(), ..server() }, Some(&slot()), Some(code::SOURCE_IDENTITY));
        check(&Server { timeline: 2, ..server() }, Some(&slot()), Some(code::SOURCE_IDENTITY));
        check(&Server { flushed: 599, ..server() }, Some(&slot()), Some(code::SOURCE_POSITION));
    }

    #[test]
    fn a_slot_that_cannot_give_every_change_is_refused_by_name() {
        check(&server(), None, Some(code::SLOT_MISSING));
        let lost = Slot { wal_status: "lost".into(), ..slot() };
        check(&server(), Some(&lost), Some(code::SLOT_INVALIDATED));
        check(&server(), Some(&Slot { confirmed: 601, ..slot() }), Some(code::SOURCE_POSITION));
        check(&server(), Some(&Slot { plugin: "wal2json".into(), ..slot() }), Some(code::SOURCE_IDENTITY));
        check(&server(), Some(&Slot { database: "other".into(), ..slot() }), Some(code::SOURCE_IDENTITY));
    }

    #[test]
    fn an_incarnation_reads_back() {
        assert_eq!(life().incarnation().0.parse(), Ok(life()));
        assert_eq!("sqlite/1".parse::<Life>(), Err(()));
    }

    #[test]
    fn a_new_slot_name_starts_anew_and_an_unfinished_snapshot_owns_its_slot() {
        let progress = |snapshot: Option<&str>| SourceProgress {
            source: SourceName::new("shop").expect("name"),
            incarnation: life().incarnation(),
            position: Position { commit: 600, ordinal: 0 },
            snapshot: snapshot.map(str::to_owned),
        };
        let plan = |from: &SourceProgress, slot| plan(Some(from), slot, &server()).expect("a plan");
        assert_eq!(plan(&progress(None), "writ"), Start::Resume { life: life(), from: 600 });
        assert_eq!(plan(&progress(None), "writ_2"), Start::Anew { owns_slot: false });
        assert_eq!(plan(&progress(Some("x")), "writ"), Start::Anew { owns_slot: true });
    }
}
