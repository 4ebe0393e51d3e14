//! Evidence keys that were in use a moment ago: an event's final leaf needs the key that its intent had, and finding
//! it anew takes two reads and an unwrapping. Bounded, in memory only, and forgotten whole when any key is destroyed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use writ_model::id::{Generation, SubjectId};

use super::SubjectKey;

/// Keys that are kept: about as many as events without a final leaf are in memory.
const KEPT_MAX: usize = 8192;

type Life = (SubjectId, Generation);

/// The keys.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    keys: BTreeMap<Life, SubjectKey>,
    /// The oldest first.
    order: VecDeque<Life>,
}

impl Recent {
    /// Keeps a key; the oldest makes room.
    pub(super) fn keep(&self, subject: SubjectId, generation: Generation, key: &SubjectKey) {
        let mut kept = self.lock();
        if kept.keys.insert((subject, generation), key.clone()).is_none() {
            kept.order.push_back((subject, generation));
        }
        if kept.order.len() > KEPT_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.keys.remove(&oldest);
        }
    }

    pub(super) fn get(&self, subject: SubjectId, generation: Generation) -> Option<SubjectKey> {
        self.lock().keys.get(&(subject, generation)).cloned()
    }

    /// Lets go of all of them.
    pub(super) fn forget(&self) {
        *self.lock() = Kept::default();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_are_kept_and_no_more_than_the_bound() {
        let recent = Recent::default();
        let subject = |number: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            SubjectId(bytes)
        };
        (0..=KEPT_MAX).for_each(|n| recent.keep(subject(n), Generation::FIRST, &SubjectKey([7; 32])));
        assert!(recent.get(subject(0), Generation::FIRST).is_none());
        assert!(recent.get(subject(KEPT_MAX), Generation::FIRST).is_some());
        assert_eq!(recent.lock().keys.len(), KEPT_MAX);
        recent.forget();
        assert!(recent.get(subject(KEPT_MAX), Generation::FIRST).is_none());
    }
}
