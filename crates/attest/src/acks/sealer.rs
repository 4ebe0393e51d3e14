//! Sealing the records of many events, one event after the other, in memory that is used again.

use super::{Ack, AckSet, AcksError, bounded, root_over};
use crate::tree::{Hash, leaf_hash};

/// Seals one event's records straight into the form in which they travel, in memory that the next event's use
/// again. What it gives is what [`super::seal`] and [`super::join`] give.
#[derive(Debug, Default)]
pub struct Sealer {
    /// Each record after a newline.
    lines: Vec<u8>,
    hashes: Vec<Hash>,
}

impl Sealer {
    /// Begins anew with the records of one event, in strictly ascending order of subscribers.
    pub fn seal<'a>(&mut self, acks: impl IntoIterator<Item = Ack<'a>>) -> Result<AckSet, AcksError> {
        self.lines.clear();
        self.hashes.clear();
        let mut set = AckSet::none();
        let mut previous: Option<&str> = None;
        for ack in acks {
            if previous.is_some_and(|subscriber| subscriber >= ack.subscriber) {
                return Err(AcksError::Order);
            }
            previous = Some(ack.subscriber);
            self.lines.push(b'\n');
            let begin = self.lines.len();
            ack.write(&mut self.lines)?;
            self.hashes.push(leaf_hash(&self.lines[begin..]));
            set.count(ack.settled);
        }
        bounded(self.hashes.len())?;
        set.root = root_over(&self.hashes);
        Ok(set)
    }

    /// What the engine's log holds: the leaf, then the records that were sealed last.
    pub fn join(&self, leaf: &[u8]) -> Vec<u8> {
        [leaf, &self.lines].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AckRecord, Settled, join, seal};
    use super::*;
    use crate::time::Time;

    fn record(subscriber: &str, settled: Settled) -> AckRecord {
        AckRecord { subscriber: subscriber.into(), settled, at: Time::from_micros(0), attempts: 1 }
    }

    #[test]
    fn records_sealed_in_one_go_are_those_that_are_sealed_one_by_one() {
        let mut sealer = Sealer::default();
        for names in [&["ads", "crm", "mail"][..], &[], &["crm"]] {
            let all = || names.iter().zip(Settled::ALL).map(|(name, settled)| record(name, settled));
            let list: Vec<AckRecord> = all().collect();
            let (set, records) = seal(list.clone()).unwrap();
            assert_eq!(sealer.seal(list.iter().map(AckRecord::as_ack)), Ok(set));
            assert_eq!(sealer.join(b"{}"), join(b"{}", &records));
        }
        let twice = [record("crm", Settled::Pending), record("crm", Settled::Pending)];
        assert_eq!(sealer.seal(twice.iter().map(AckRecord::as_ack)), Err(AcksError::Order));
    }
}
