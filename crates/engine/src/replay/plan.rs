//! What a replay would send: counted before anything is sent, by the very reads and questions of the replay.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde::Serialize;
use writ_kernel::gate::permit::PermitVerdict;
use writ_model::id::{Offset, SubscriberName};

use super::{Errand, Shared, find};
use crate::hub::reader::Unreadable;
use crate::payload::Stretch;

/// Counting ends after this; what it has come to by then is told as a part.
const LONGEST: Duration = Duration::from_secs(10);

/// Events that are looked at in one step.
const STEP: Stretch = Stretch { from: Offset::ZERO, items_max: 1024, bytes_max: 1 << 20 };

/// What a replay would send.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// To whom.
    pub subscriber: SubscriberName,
    /// First offset.
    pub from: Offset,
    /// First offset after the range.
    pub to: Offset,
    /// The oldest offset that the log holds: nothing before it can be replayed.
    pub log_start: Offset,
    /// Events that would be sent, tombstones included.
    pub events: u64,
    /// The same by change type.
    pub by_change_type: BTreeMap<&'static str, u64>,
    /// Events among them whose data was erased.
    pub tombstones: u64,
    /// Events that today's gate keeps back, by cause.
    pub withheld: BTreeMap<&'static str, u64>,
    /// Everything before this offset is counted: less than `to` when counting took too long.
    pub counted_to: Offset,
}

pub(super) fn count(shared: &Shared, errand: &Errand) -> Result<Plan, Unreadable> {
    let order = &errand.order;
    let mut plan = Plan {
        subscriber: order.subscriber.clone(),
        from: order.from,
        to: order.to,
        log_start: shared.cold.start(),
        events: 0,
        by_change_type: BTreeMap::new(),
        tombstones: 0,
        withheld: BTreeMap::new(),
        counted_to: order.from,
    };
    let began = Instant::now();
    while plan.counted_to < order.to && began.elapsed() < LONGEST {
        let found = match find::from(shared, errand, Stretch { from: plan.counted_to, ..STEP }) {
            Ok(found) => found,
            // Nothing but the index's lag is expected here, and a part is an answer too.
            Err(Unreadable) if plan.counted_to > order.from => break,
            Err(Unreadable) => return Err(Unreadable),
        };
        for stored in found.events {
            let event = shared.cold.open(stored)?;
            let change_type = event.header.change_type.as_str();
            let is_shredded = event.private.lock().unwrap_or_else(PoisonError::into_inner).is_none();
            match shared.permit(errand, &event)? {
                PermitVerdict::Granted(_) => {
                    plan.events += 1;
                    plan.tombstones += u64::from(is_shredded);
                    *plan.by_change_type.entry(change_type).or_default() += 1;
                }
                PermitVerdict::Denied(denial) => {
                    *plan.withheld.entry(denial.cause.as_str()).or_default() += 1;
                }
            }
        }
        plan.counted_to = found.next;
    }
    Ok(plan)
}
