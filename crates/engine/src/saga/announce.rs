//! The change that a saga's step puts into the log, as if the subject's source had pushed it.

use std::collections::BTreeMap;

use writ_kernel::identity::{self, Origin};
use writ_kernel::saga::Fact;
use writ_model::change::{Change, RowChange};
use writ_model::code;
use writ_model::id::{Incarnation, Offset, Position, RecordKey, SourceName, SubjectId};
use writ_model::lineage::Claim;
use writ_model::saga::{Action, Saga, SagaKind};
use writ_model::taxonomy::ChangeType;
use writ_model::value::{Field, Image, Value};
use writ_store::log::{Record, StoredEvent};
use writ_store::seal;
use writ_store::vault::Purpose;

use crate::error::EngineError;
use crate::handle::EngineHandle;
use crate::hub::reader::{SharedVault, Unreadable};
use crate::writer::Admitted;

/// Offsets that are looked through for a subject's last event at first; then eight times as many, and so on.
const FIRST_LOOK: u64 = 4096;
/// Rows of the subject index read in one step.
const PAGE: usize = 1024;
/// Parts of a key with several columns, in an attribute that holds it in one.
const KEY_JOINT: &str = "/";

/// Where a subject's record is, as its last event says. Personal data: never printed, never journaled.
pub(crate) struct Place {
    source: SourceName,
    table: String,
    key: RecordKey,
}

impl Place {
    fn text(&self) -> Value {
        Value::Text(self.key.0.join(KEY_JOINT))
    }
}

impl EngineHandle {
    /// Puts a step's event into the log; once, however often it is called.
    pub(super) async fn announce(&self, saga: &Saga, at: usize) -> Result<Fact, EngineError> {
        let (change, change_type) = self.announcement(saga, at).await?;
        let origin = Origin::of(&self.shared.tenant, &change);
        let key = &self.shared.sagas.event_id_key;
        let event_id = identity::event_id(key, &origin, change_type, change.committed_at);
        let source = change.source.clone();
        let submitted = self.submit(source, vec![change]).await?;
        Ok(match submitted.admitted.into_iter().next() {
            Some(Admitted::Accepted(_) | Admitted::Duplicate) => Fact::Announced(at, event_id),
            Some(Admitted::Kept(_, how, _)) => Fact::Kept(at, how.as_str().to_owned()),
            Some(_) | None => Fact::Kept(at, "refused".to_owned()),
        })
    }

    async fn announcement(&self, saga: &Saga, at: usize) -> Result<(Change, ChangeType), EngineError> {
        let Action::Announce { subject, change_type, other, is_lifted } = saga.steps[at].action else {
            unreachable!("the kernel asks to announce announcements only")
        };
        let place = self.place(subject).await?;
        let other = match other {
            Some(other) => Some(self.place(other).await?),
            None => None,
        };
        let said = match (change_type, other) {
            (ChangeType::IdentityMerge, Some(other)) if stays(saga, subject) => {
                vec![("merged_key", Value::List(vec![other.text()]))]
            }
            (ChangeType::IdentityMerge, Some(other)) => vec![("merged_into", other.text())],
            (ChangeType::IdentitySplit, Some(other)) if stays(saga, subject) => {
                vec![("split_keys", Value::List(vec![other.text()]))]
            }
            (ChangeType::IdentitySplit, Some(other)) => vec![("split_from", other.text())],
            (ChangeType::Suppression, _) => vec![
                ("suppressed", Value::Bool(!is_lifted)),
                ("channel", Value::Text("any".to_owned())),
                ("reason", Value::Text(if is_lifted { "other" } else { "erasure" }.to_owned())),
            ],
            _ => vec![
                ("request_id", Value::Text(saga.id.clone())),
                ("requested_at", Value::Text(saga.at.to_string())),
            ],
        };
        let seen = |(name, value): (&str, Value)| (name.to_owned(), Field::Seen(value));
        let after: BTreeMap<String, Field> = said.into_iter().map(seen).collect();
        let Place { source, table, key } = place;
        let change = Change {
            incarnation: Incarnation(source.to_string()),
            source,
            position: Position::default(),
            // When the step was planned: the same each time it is announced, and so the event's id.
            committed_at: saga.steps[at].at,
            transaction: None,
            producer_id: Some(format!("writ/saga/{}/{at}", saga.id)),
            table,
            row: RowChange::Upsert,
            declared: Some(change_type),
            key,
            old_key: None,
            before: None,
            after: Some(Image(after)),
            claim: Claim::default(),
        };
        Ok((change, change_type))
    }

    /// Where a subject's record is.
    pub(crate) async fn place(&self, subject: SubjectId) -> Result<Place, EngineError> {
        let engine = self.clone();
        let find = move || engine.find_place(subject);
        let failed = |_| unplaced(subject, "the disk did not answer; ask again");
        tokio::task::spawn_blocking(find).await.map_err(failed)?
    }

    fn find_place(&self, subject: SubjectId) -> Result<Place, EngineError> {
        let Some(offset) = self.last_of(subject)? else {
            return Err(unplaced(subject, "the log holds no event of it"));
        };
        let read = self.shared.cold.reader().read(offset, 1);
        let records = read.map_err(|error| crate::recovery::failed("read the log", &error))?;
        let event = records.into_iter().find_map(|record| match record {
            Record::Event(event) if event.offset == offset => Some(event),
            Record::Event(_) | Record::Fact(..) | Record::Leaf(..) => None,
        });
        let placed = event.map(|event| opened(&event, &self.shared.sagas.vault)).transpose();
        let placed = placed.map_err(|Unreadable| unplaced(subject, "its last event does not open"))?;
        placed.flatten().ok_or_else(|| unplaced(subject, "its keys are destroyed"))
    }

    fn last_of(&self, subject: SubjectId) -> Result<Option<Offset>, EngineError> {
        let (start, end) = (self.shared.cold.start().0, self.log_end().0);
        let mut back = FIRST_LOOK;
        loop {
            let from = end.saturating_sub(back).max(start);
            let (mut last, mut after) = (None, from.checked_sub(1).map(Offset));
            loop {
                let page = self.shared.state.events_of(subject, after, PAGE);
                let page =
                    page.map_err(|error| crate::recovery::failed("list a subject's events", &error))?;
                let Some(newest) = page.last() else { break };
                (last, after) = (Some(*newest), Some(*newest));
            }
            if last.is_some() || from == start {
                return Ok(last);
            }
            back = back.saturating_mul(8);
        }
    }
}

/// `None` when the key is destroyed.
fn opened(event: &StoredEvent, vault: &SharedVault) -> Result<Option<Place>, Unreadable> {
    let Some(part) = event.parts.first() else { return Ok(None) };
    let vault = vault.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let key = vault.key(part.subject_id, part.generation, Purpose::Content).map_err(|_| Unreadable)?;
    drop(vault);
    let Some(key) = key else { return Ok(None) };
    let private = seal::open(part, &event.header, &key).map_err(|_| Unreadable)?;
    Ok(Some(Place { source: event.header.source.clone(), table: private.table, key: private.key }))
}

/// The subject is the one that stays, of the two that a merge or split is about.
fn stays(saga: &Saga, subject: SubjectId) -> bool {
    let of = |at: usize| match saga.steps.get(at).map(|step| &step.action) {
        Some(Action::Announce { subject, .. }) => Some(*subject),
        Some(Action::Destroy { .. }) | None => None,
    };
    of(if saga.kind == SagaKind::Merge { 1 } else { 0 }) == Some(subject)
}

fn unplaced(subject: SubjectId, cause: &str) -> EngineError {
    let tried = format!("find the record of subject {subject}");
    EngineError::new(code::SAGA_REFUSED, &tried, cause, "see `writ trace` for the subject's events")
}
