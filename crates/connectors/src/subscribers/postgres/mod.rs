//! Subscriber `postgres`: events into the tables of a PostgreSQL database, one effect for each, however often they
//! are sent (ADR 0028).
//!
//! An attempt is one transaction: the fence, an inbox row for each delivery id, the effects. What is in the inbox
//! already has had its effect, and is acknowledged.

mod address;
mod fault;
mod inbox;
mod link;
mod settings;
mod tables;
mod target;
mod tls;
mod transaction;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use writ_model::delivery::{Answer, Fault};
use writ_model::guarantee::{Mechanism, Proof};

use crate::descriptor::{Build, Descriptor, Provable};
use crate::source::BoxFuture;
use crate::subscriber::{Parcel, Subscriber};
use inbox::Inbox;
use link::{Link, Pool};
use target::Target;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "postgres",
    summary: "events into tables of a PostgreSQL database, with exactly-once effect",
    stability: "verified: live",
    secrets: &["url"],
    example: settings::EXAMPLE,
    mechanisms: &[Provable {
        mechanism: Mechanism::Transactional,
        needs: "nothing: every attempt is one transaction with its inbox rows",
    }],
    config_schema: settings::schema,
    build: Build::Subscriber(settings::build),
};

/// The inbox is pruned with every so many attempts.
const PRUNE_EVERY: u64 = 256;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// One database.
struct Database {
    /// The subscriber's name, for logs and as a part of the inbox's key.
    name: String,
    target: Target,
    inbox: Inbox,
    timeout: Duration,
    batch_max: usize,
    pool: Pool,
    attempts: AtomicU64,
}

impl Subscriber for Database {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let deadline = Instant::now() + self.timeout;
            // Whatever is not known to have ended before the time is over may have been committed.
            match timeout_at(deadline, self.attempt(&parcel)).await {
                Ok(answer) => answer,
                Err(_elapsed) => Answer::Failed(Fault::Timeout),
            }
        })
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn proofs(&self) -> Vec<Proof> {
        let remembers = Some(self.inbox.days * DAY);
        vec![Proof { mechanism: Mechanism::Transactional, remembers }]
    }

    fn check(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let looked = tokio::time::timeout(self.timeout, self.look()).await;
            looked.unwrap_or_else(|_| Err(format!("{} does not answer in time", self.target.shown())))
        })
    }
}

impl Database {
    async fn attempt(&self, parcel: &Parcel) -> Answer {
        let mut link = match self.link(parcel).await {
            Ok(link) => link,
            Err(fault) => return Answer::Failed(fault),
        };
        let prunes = self.attempts.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY);
        match transaction::take(&mut link, &self.name, &self.inbox, parcel, prunes).await {
            Ok(answers) => {
                self.pool.put(link);
                answer(answers)
            }
            // A connection that met an error is not used again: its state is not known.
            Err(fault) => Answer::Failed(fault),
        }
    }

    /// An idle connection, or a new one on which the tables were seen and the lane was claimed.
    async fn link(&self, parcel: &Parcel) -> Result<Link, Fault> {
        if let Some(link) = self.pool.take(parcel.sender) {
            return Ok(link);
        }
        let mut link = self.target.open(parcel.sender, self.timeout).await?;
        let lane = self.inbox.lane(&self.name, parcel.sender.store);
        let ready = async {
            self.inbox.ready(&mut link).await?;
            self.inbox.claim(&link, &lane, parcel.sender.epoch).await
        };
        ready.await.inspect_err(|fault| self.explain(*fault))?;
        Ok(link)
    }

    fn explain(&self, fault: Fault) {
        let (subscriber, database) = (self.name.as_str(), self.target.shown());
        match fault {
            Fault::Fenced => tracing::error!(
                subscriber,
                database,
                code = writ_model::code::RECEIVER_FENCED.id,
                "a newer engine delivers here"
            ),
            other => tracing::warn!(
                subscriber,
                database,
                code = writ_model::code::RECEIVER_UNREADY.id,
                cause = other.as_str(),
                "the database is not ready to take events"
            ),
        }
    }

    /// Connects and says what is missing; changes nothing.
    async fn look(&self) -> Result<(), String> {
        let shown = self.target.shown();
        let sender = crate::subscriber::Sender {
            store: writ_model::id::StoreId([0; 8]),
            epoch: writ_model::id::Epoch(0),
        };
        let link = self.target.open(sender, self.timeout).await;
        let link = link.map_err(|fault| format!("no session with {shown}: {}", fault.as_str()))?;
        let missing = self.inbox.missing(&link).await;
        match missing {
            Ok(missing) if missing.is_empty() => Ok(()),
            Ok(missing) => Err(format!("{shown}: {}", missing.join("; "))),
            Err(fault) => Err(format!("{shown} cannot be looked at: {}", fault.as_str())),
        }
    }
}

fn answer(answers: Vec<Answer>) -> Answer {
    if answers.iter().all(|answer| *answer == Answer::Durable) {
        Answer::Durable
    } else {
        Answer::PerItem(answers)
    }
}
