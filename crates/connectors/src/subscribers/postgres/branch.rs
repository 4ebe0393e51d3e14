//! Prepared transactions: their names at the server, ending one, listing those of one store and subscriber.
//!
//! ```text
//! writ:<store>:<subscriber>:<epoch>:<attempt>
//! ```
//!
//! Whatever has another name belongs to somebody else, and is never touched.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use writ_model::delivery::{AttemptId, Branch, Fault, Resolution, Verdict};
use writ_model::id::{Epoch, StoreId};

use super::fault::{self, Phase};
use super::link::Link;
use super::transaction::quoted;

/// Whose branches.
pub(super) struct Names<'a> {
    pub(super) store: StoreId,
    pub(super) subscriber: &'a str,
}

impl Names<'_> {
    fn prefix(&self) -> String {
        format!("writ:{}:{}:", self.store, self.subscriber)
    }

    /// The branch's name; at most 128 bytes, of the 199 that a server takes.
    pub(super) fn gid(&self, branch: Branch) -> String {
        format!("{}{}:{}", self.prefix(), branch.epoch.0, branch.attempt.0)
    }

    /// The branch of that name, when it is one of these.
    fn parse(&self, gid: &str) -> Option<Branch> {
        let (epoch, attempt) = gid.strip_prefix(&self.prefix())?.split_once(':')?;
        let branch = Branch { epoch: Epoch(epoch.parse().ok()?), attempt: AttemptId(attempt.parse().ok()?) };
        // One form for each: what is written otherwise was not written by Writ.
        (self.gid(branch) == gid).then_some(branch)
    }

    /// Ends one branch.
    pub(super) async fn end(&self, link: &Link, branch: Branch, verdict: Verdict) -> Resolution {
        let how = match verdict {
            Verdict::Commit => "COMMIT",
            Verdict::RollBack => "ROLLBACK",
        };
        let sql = format!("{how} PREPARED {}", quoted(&self.gid(branch)));
        match link.client.batch_execute(&sql).await {
            Ok(()) => Resolution::Done,
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Resolution::Unknown,
            Err(error) => Resolution::Failed(fault::of(&error, Phase::Commit)),
        }
    }

    /// All that are prepared in this database.
    pub(super) async fn list(&self, link: &Link) -> Result<Vec<Branch>, Fault> {
        let sql = "SELECT gid FROM pg_catalog.pg_prepared_xacts \
                   WHERE database = pg_catalog.current_database() AND pg_catalog.starts_with(gid, $1)";
        let rows = link.client.query_typed(sql, &[(&self.prefix(), Type::TEXT)]).await;
        let rows = rows.map_err(|error| fault::of(&error, Phase::Before))?;
        Ok(rows.iter().filter_map(|row| self.parse(row.get(0))).collect())
    }
}

/// Whether the server keeps prepared transactions at all.
pub(super) async fn are_possible(link: &Link) -> Result<bool, Fault> {
    let sql = "SELECT pg_catalog.current_setting('max_prepared_transactions')::int > 0";
    let rows = link.client.query_typed(sql, &[]).await;
    let rows = rows.map_err(|error| fault::of(&error, Phase::Before))?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_store_and_subscriber_are_read() {
        let names = Names { store: StoreId([7; 8]), subscriber: "crm" };
        let branch = Branch { epoch: Epoch(3), attempt: AttemptId(17) };
        assert_eq!(names.gid(branch), "writ:0707070707070707:crm:3:17");
        assert_eq!(names.parse(&names.gid(branch)), Some(branch));
        for other in [
            "writ:0707070707070707:crm2:3:17",
            "writ:0807070707070707:crm:3:17",
            "writ:0707070707070707:crm:3",
            "writ:0707070707070707:crm:03:17",
            "writ:0707070707070707:crm:3:17:1",
            "somebody's",
        ] {
            assert_eq!(names.parse(other), None, "{other}");
        }
    }
}
