//! Subscriber `postgres`: events into the tables of a PostgreSQL database, one effect for each, however often they
//! are sent (ADR 0028).
//!
//! An attempt is one transaction: the fence, an inbox row for each delivery id, the effects. What is in the inbox
//! already has had its effect, and is acknowledged. Under two-phase the transaction is prepared instead, and ends as
//! the engine's journal decides.

mod address;
mod branch;
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
use writ_model::delivery::{Answer, Branch, Fault, Resolution, Verdict};
use writ_model::guarantee::{Mechanism, Proof};

use crate::descriptor::{Build, Descriptor, Provable};
use crate::source::BoxFuture;
use crate::subscriber::{Parcel, Sender, Subscriber};
use branch::Names;
use inbox::Inbox;
use link::{Link, Pool};
use target::Target;
use transaction::Ending;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "postgres",
    summary: "events into tables of a PostgreSQL database, with exactly-once effect",
    stability: "verified: live",
    secrets: &["url"],
    example: settings::EXAMPLE,
    mechanisms: &[
        Provable {
            mechanism: Mechanism::Transactional,
            needs: "nothing: every attempt is one transaction with its inbox rows",
        },
        Provable {
            mechanism: Mechanism::TwoPhase,
            needs: "mechanism: two-phase, and max_prepared_transactions above 0 on the server",
        },
    ],
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
    mechanism: Mechanism,
    timeout: Duration,
    batch_max: usize,
    pool: Pool,
    attempts: AtomicU64,
}

impl Subscriber for Database {
    fn forgets(&self) -> bool {
        true
    }

    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let deadline = Instant::now() + self.timeout;
            // Whatever is not known to have ended before the time is over may have been committed.
            let attempt = self.attempt(&parcel, Ending::Commit);
            timeout_at(deadline, attempt).await.unwrap_or(Answer::Failed(Fault::Timeout))
        })
    }

    fn prepare(&self, parcel: Parcel, branch: Branch) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let deadline = Instant::now() + self.timeout;
            let names = Names { store: parcel.sender.store, subscriber: &self.name };
            let attempt = self.attempt(&parcel, Ending::Prepare(names.gid(branch)));
            timeout_at(deadline, attempt).await.unwrap_or(Answer::Failed(Fault::Timeout))
        })
    }

    fn resolve(&self, sender: Sender, branch: Branch, verdict: Verdict) -> BoxFuture<'_, Resolution> {
        Box::pin(async move {
            let deadline = Instant::now() + self.timeout;
            let resolved = timeout_at(deadline, self.end(sender, branch, verdict)).await;
            resolved.unwrap_or(Resolution::Failed(Fault::Timeout))
        })
    }

    fn branches(&self, sender: Sender) -> BoxFuture<'_, Result<Vec<Branch>, Fault>> {
        Box::pin(async move {
            let deadline = Instant::now() + self.timeout;
            timeout_at(deadline, self.list(sender)).await.unwrap_or(Err(Fault::Timeout))
        })
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn proofs(&self) -> Vec<Proof> {
        let remembers = Some(self.inbox.days * DAY);
        vec![Proof::of_all(self.mechanism, remembers)]
    }

    fn check(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let looked = tokio::time::timeout(self.timeout, self.look()).await;
            looked.unwrap_or_else(|_| Err(format!("{} does not answer in time", self.target.shown())))
        })
    }
}

impl Database {
    async fn attempt(&self, parcel: &Parcel, ending: Ending) -> Answer {
        let mut link = match self.claimed(parcel.sender).await {
            Ok(link) => link,
            Err(fault) => return Answer::Failed(fault),
        };
        let prunes = self.attempts.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY);
        match transaction::take(&mut link, &self.name, &self.inbox, parcel, prunes, &ending).await {
            Ok(answers) => {
                self.pool.put(link);
                answer(answers)
            }
            // A connection that met an error is not used again: its state is not known.
            Err(fault) => Answer::Failed(fault),
        }
    }

    /// An idle connection, or a new one on which the tables were seen and the lane was claimed.
    async fn claimed(&self, sender: Sender) -> Result<Link, Fault> {
        let mut link = self.link(sender).await?;
        if link.is_claimed {
            return Ok(link);
        }
        let lane = self.inbox.lane(&self.name, sender.store);
        let ready = async {
            self.inbox.ready(&mut link).await?;
            self.inbox.claim(&link, &lane, sender.epoch).await
        };
        ready.await.inspect_err(|fault| self.explain(*fault))?;
        link.is_claimed = true;
        Ok(link)
    }

    async fn link(&self, sender: Sender) -> Result<Link, Fault> {
        match self.pool.take(sender) {
            Some(link) => Ok(link),
            None => self.target.open(sender, self.timeout).await,
        }
    }

    /// A claim waits for the branches of a former owner, so ending them comes before it.
    async fn end(&self, sender: Sender, branch: Branch, verdict: Verdict) -> Resolution {
        let link = match self.link(sender).await {
            Ok(link) => link,
            Err(fault) => return Resolution::Failed(fault),
        };
        let names = Names { store: sender.store, subscriber: &self.name };
        let resolution = names.end(&link, branch, verdict).await;
        match resolution {
            Resolution::Done | Resolution::Unknown => self.pool.put(link),
            Resolution::Failed(_) => {}
        }
        resolution
    }

    async fn list(&self, sender: Sender) -> Result<Vec<Branch>, Fault> {
        let link = self.link(sender).await?;
        let names = Names { store: sender.store, subscriber: &self.name };
        let found = names.list(&link).await?;
        self.pool.put(link);
        Ok(found)
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
        let sender = Sender { store: writ_model::id::StoreId([0; 8]), epoch: writ_model::id::Epoch(0) };
        let link = self.target.open(sender, self.timeout).await;
        let link = link.map_err(|fault| format!("no session with {shown}: {}", fault.as_str()))?;
        let missing = async {
            let mut missing = self.inbox.missing(&link).await?;
            if self.mechanism == Mechanism::TwoPhase && !branch::are_possible(&link).await? {
                missing.push("max_prepared_transactions is 0, so two-phase cannot work".to_owned());
            }
            Ok::<_, Fault>(missing)
        };
        match missing.await {
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
