//! The disclosure ledger: to whom data of a subject went, of events that the log holds no longer. Of those that it
//! still holds, their settlements say so; when they leave, what those said is kept here. Names of subscribers under the
//! subject's internal id, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use writ_model::delivery::{Acknowledgement, SettledAs};
use writ_model::id::{SubjectId, SubscriberName};

use super::key::{self, CONTROL};
use super::{derived, row};
use crate::log::StoredEvent;
use crate::pairs::{Batch, Fault, Pairs};

/// Those to whom data of one subject went.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct DisclosedRow {
    #[prost(string, repeated, tag = "1")]
    subscribers: Vec<String>,
}

/// Whether an event that settled so went out, or may have gone: whatever was tried once may have arrived. What policy
/// withheld, or what waited behind another event in the dead letters, was never tried.
pub(super) fn went(how: Acknowledgement) -> bool {
    match how.settled {
        SettledAs::Acknowledged | SettledAs::Attempted => true,
        SettledAs::Withheld | SettledAs::DeadLettered | SettledAs::Pending => how.attempts > 0,
    }
}

/// What the ledger holds of a subject.
pub(super) fn recorded(pairs: &dyn Pairs, subject: SubjectId) -> Result<BTreeSet<SubscriberName>, Fault> {
    let Some(bytes) = pairs.get(CONTROL, &key::disclosed(subject))? else { return Ok(BTreeSet::new()) };
    let row: DisclosedRow = row::from_proto(&bytes)?;
    let name = |name: &String| SubscriberName::new(name).map_err(|_| row::unreadable("subscriber's name"));
    row.subscribers.iter().map(name).collect()
}

/// Puts into the ledger what the settlements of events say that are about to leave the log.
pub(super) fn record<'a>(
    pairs: &dyn Pairs,
    batch: &mut Batch,
    events: impl Iterator<Item = &'a StoredEvent>,
) -> Result<(), Fault> {
    let mut page = None;
    let mut to: BTreeMap<SubjectId, BTreeSet<SubscriberName>> = BTreeMap::new();
    for event in events {
        let number = key::page(event.offset);
        if page.as_ref().is_none_or(|(known, _)| *known != number) {
            page = Some((number, derived::settled(pairs, number)?));
        }
        let settled = page.as_ref().and_then(|(_, settled)| settled.get(&event.offset));
        let names =
            settled.into_iter().flatten().filter(|(_, how)| went(**how)).map(|(name, _)| name.clone());
        to.entry(event.header.subject_id).or_default().extend(names);
    }
    for (subject, mut names) in to {
        let known = recorded(pairs, subject)?;
        if names.is_subset(&known) {
            continue;
        }
        names.extend(known);
        let row = DisclosedRow { subscribers: names.iter().map(ToString::to_string).collect() };
        batch.put(CONTROL, key::disclosed(subject), prost::Message::encode_to_vec(&row));
    }
    Ok(())
}
