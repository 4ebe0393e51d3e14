//! Express events for a lane that is behind: looks for them far along the log, and finds what their subjects have
//! before them. Which of them goes when is said by the kernel's lane (`dispatch/ahead.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use writ_kernel::dispatch::{Item, LaneId};
use writ_model::envelope::ClearHeader;
use writ_model::id::{Offset, SubjectId};
use writ_store::state::State;

use super::reader::{ColdReader, Shared, Unreadable};

/// Events of one subject before an express one, it included, at most: with more, it is read in its turn.
const COMPANY_MAX: usize = 64;

/// A look that failed is made again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An express event and whose it is.
pub(crate) type Sight = (Offset, SubjectId);

/// What a lane looks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// What is before it the lane has read.
    pub(crate) behind: Offset,
    pub(crate) from: Offset,
    pub(crate) items_max: usize,
    pub(crate) bytes_max: usize,
}

/// What memory can say to it.
#[derive(Debug)]
pub(crate) enum Sighted {
    /// Nothing past `from` may be shown yet.
    AtHead,
    /// `from` is before what memory holds.
    Cold,
    /// Matching express events, and where to look on.
    Found(Vec<Sight>, Offset),
}

/// Sights of express events, so many at most, and where to look on: at the first that is too many, or at `end`.
pub(crate) fn sights<'a>(
    express: impl Iterator<Item = (Offset, &'a ClearHeader)>,
    limit: usize,
    end: Offset,
) -> (Vec<Sight>, Offset) {
    let mut sights = Vec::new();
    for (offset, header) in express {
        if sights.len() == limit {
            return (sights, offset);
        }
        sights.push((offset, header.subject_id));
    }
    (sights, end)
}

/// For whom a look is made.
#[derive(Debug, Clone)]
pub(crate) struct Looker {
    pub(crate) lane: LaneId,
    pub(crate) subscriber: String,
}

/// Looks for express events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lookout {
    pub(crate) cold: ColdReader,
    pub(crate) state: Arc<dyn State>,
    /// What derived state has reached: the index of subjects is part of it.
    pub(crate) applied: watch::Receiver<Offset>,
}

impl Lookout {
    /// Items and where to look on; nothing looked on, after a while, when disk or index does not give them.
    pub(crate) async fn offer(
        mut self,
        looker: Looker,
        look: Look,
        sighted: Option<(Vec<Sight>, Offset)>,
    ) -> (Vec<Item>, Offset) {
        if let Ok(offered) = self.look(looker, look, sighted).await {
            return offered;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        (Vec::new(), look.from)
    }

    async fn look(
        &mut self,
        looker: Looker,
        look: Look,
        sighted: Option<(Vec<Sight>, Offset)>,
    ) -> Result<(Vec<Item>, Offset), Unreadable> {
        let (lane, limit) = (looker.lane, look.items_max);
        let (sights, next) = match sighted {
            Some(sighted) => sighted,
            // One step at a time, so that other reads have their turns.
            None => self.cold.blocking(move |shared| shared.express(lane, look.from, limit)).await?,
        };
        let Some((last, _)) = sights.last().copied() else { return Ok((Vec::new(), next)) };
        self.applied.wait_for(|applied| *applied > last).await.map_err(|_| Unreadable)?;
        let state = Arc::clone(&self.state);
        let gather = move |shared: &Shared| {
            let mut basket = Basket { looker, look, items: BTreeMap::new(), bytes: 0 };
            for sight in sights {
                let company = company(state.as_ref(), look.behind, sight)?;
                if !basket.takes(shared, company)? {
                    return Ok((basket.into_items(), sight.0));
                }
            }
            Ok((basket.into_items(), next))
        };
        self.cold.blocking(gather).await
    }
}

/// Offsets of the subject's events that the lane has not read, up to the sighted one; empty when there are too many.
fn company(state: &dyn State, behind: Offset, (at, subject): Sight) -> Result<Vec<Offset>, Unreadable> {
    let after = behind.0.checked_sub(1).map(Offset);
    let found = state.events_of(subject, after, COMPANY_MAX + 1).map_err(|error| {
        tracing::error!(error = %error, "the index of subjects cannot be read");
        Unreadable
    })?;
    let company: Vec<Offset> = found.into_iter().take_while(|offset| *offset <= at).collect();
    Ok(if company.len() > COMPANY_MAX { Vec::new() } else { company })
}

/// What is gathered for one look.
struct Basket {
    looker: Looker,
    look: Look,
    items: BTreeMap<Offset, Item>,
    bytes: usize,
}

impl Basket {
    /// False when there is no room left for them; what alone is too much is passed over.
    fn takes(&mut self, shared: &Shared, offsets: Vec<Offset>) -> Result<bool, Unreadable> {
        let mut company = Vec::new();
        for offset in offsets.into_iter().filter(|offset| !self.items.contains_key(offset)) {
            company.extend(shared.item(&self.looker, offset)?);
        }
        let bytes: usize = company.iter().map(|item| item.bytes as usize).sum();
        let is_full = self.items.len() + company.len() > self.look.items_max
            || self.bytes + bytes > self.look.bytes_max;
        if !is_full {
            self.bytes += bytes;
            self.items.extend(company.into_iter().map(|item| (item.offset, item)));
        }
        Ok(!is_full || self.items.is_empty())
    }

    fn into_items(self) -> Vec<Item> {
        self.items.into_values().collect()
    }
}
