//! Replays in the derived state: the running ones, the last that ended, what each was ordered to do, and under
//! which request.

use writ_model::control::ReplayProgress;
use writ_model::replay::ReplayOrder;

use super::derive::Draft;
use super::key::{self, CONTROL};
use super::row;
use crate::pairs::Fault;

/// So many ended replays are kept: for who asks how one went, and for requests that come again.
pub const ENDED_KEPT: usize = 1000;

impl Draft<'_> {
    pub(super) fn replay_ordered(&mut self, order: &ReplayOrder) -> Result<(), Fault> {
        let number = u64::from(order.number).to_be_bytes().to_vec();
        self.batch.put(CONTROL, key::REPLAY_NUMBER.to_vec(), number);
        if !order.request.is_empty() {
            self.put_json(CONTROL, key::request(&order.request), &order.id)?;
        }
        self.put_json(CONTROL, key::replay_order(&order.id), order)
    }

    pub(super) fn replay(&mut self, progress: &ReplayProgress) -> Result<(), Fault> {
        if !matches!(progress.state.as_str(), "done" | "cancelled") {
            return self.put_json(CONTROL, key::replay(&progress.id), progress);
        }
        self.batch.remove(CONTROL, key::replay(&progress.id));
        let Some(order) = self.order(&progress.id)? else { return Ok(()) };
        self.put_json(CONTROL, key::ended(order.number), progress)?;
        self.drop_oldest()
    }

    fn order(&self, id: &str) -> Result<Option<ReplayOrder>, Fault> {
        self.get(CONTROL, &key::replay_order(id))?.map(|bytes| row::from_json(&bytes)).transpose()
    }

    /// One for each that ends, so that the number kept stays as it is.
    fn drop_oldest(&mut self) -> Result<(), Fault> {
        let ended = self.pairs.scan(CONTROL, key::ENDED, &[], ENDED_KEPT)?;
        let Some((oldest, value)) = ended.first().filter(|_| ended.len() == ENDED_KEPT) else {
            return Ok(());
        };
        let progress: ReplayProgress = row::from_json(value)?;
        if let Some(order) = self.order(&progress.id)? {
            self.batch.remove(CONTROL, key::request(&order.request));
        }
        self.batch.remove(CONTROL, key::replay_order(&progress.id));
        self.batch.remove(CONTROL, oldest.clone());
        Ok(())
    }
}
