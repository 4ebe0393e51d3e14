//! Power cuts at any operation, under seeds: commits, truncations and openings in a row, each life ending in
//! a crash that keeps what the seed decides of what was not synced.

use proptest::prelude::*;

use super::*;
use crate::disk::sim::Fault;

/// What is known of the log across lives.
#[derive(Default)]
struct Known {
    /// Numbers of the events that are surely there.
    acknowledged: Vec<u64>,
    /// The one whose outcome the crash left open.
    unknown: Option<u64>,
    next: u64,
    epoch: u64,
}

impl Known {
    /// Settles the open outcome from what the log shows, and checks everything else.
    fn check(&mut self, opened: &Opened) -> Result<(), TestCaseError> {
        let log = &opened.log;
        prop_assert!(log.epoch().0 > self.epoch, "epochs only grow");
        self.epoch = log.epoch().0;
        let records = read_all(log);
        let found = numbers(&records);
        if self.unknown.is_some() && found.last() == self.unknown.as_ref() {
            self.acknowledged.extend(self.unknown);
        }
        self.unknown = None;
        prop_assert!(self.acknowledged.ends_with(&found), "{:?} became {found:?}", self.acknowledged);
        let is_cut = log.start() > Offset::ZERO;
        prop_assert!(is_cut || found == self.acknowledged, "{:?} became {found:?}", self.acknowledged);
        prop_assert_eq!(log.tail(Slot::new(3)).0, self.acknowledged.len() as u64);
        prop_assert_eq!(log.leaf_count(), self.acknowledged.len() as u64);
        prop_assert_eq!(log.end().0, log.start().0 + records.len() as u64);
        Ok(())
    }

    fn live(&mut self, log: &mut SegmentLog, sizes: &[usize], truncate_at: usize) {
        for (step, bytes) in sizes.iter().enumerate() {
            if step == truncate_at {
                let keep_from = Offset(log.start().0.midpoint(log.end().0));
                if log.truncate_before(keep_from).is_err() {
                    return;
                }
            }
            self.next += 1;
            match append(log, self.next, *bytes) {
                Ok(_) => self.acknowledged.push(self.next),
                Err(AppendError::Indeterminate { .. }) => {
                    self.unknown = Some(self.next);
                    return;
                }
                Err(other) => panic!("append: {other}"),
            }
        }
    }
}

fn lives(lives: &[(u64, u64, Vec<usize>, usize)]) -> Result<(), TestCaseError> {
    let disk = SimDisk::new();
    let mut known = Known::default();
    for (cut_after, seed, sizes, truncate_at) in lives {
        disk.fail_after(*cut_after, Fault::PowerCut);
        if let Ok(mut opened) = open(&disk) {
            known.check(&opened)?;
            known.live(&mut opened.log, sizes, *truncate_at);
        }
        disk.crash(*seed);
    }
    known.check(&open(&disk).expect("opens after the last crash"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_crash_loses_an_acknowledged_commit_or_keeps_half_of_another(
        plan in prop::collection::vec(
            (0_u64..60, any::<u64>(), prop::collection::vec(0_usize..3000, 0..12), 0_usize..16),
            1..6,
        )
    ) {
        lives(&plan)?;
    }
}
