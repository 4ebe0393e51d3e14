//! How many events ended at one subscriber, in few bytes: offsets as gaps, and a run wherever neighbours ended
//! alike. One answer ends a whole batch, so a run is most often a request.
//!
//! The journal keeps what a lane tells at once in this form; derived state keeps it by pages of offsets.

use writ_model::delivery::{Acknowledgement, SettledAs};
use writ_model::id::{AnswerDigest, Offset, SubscriberName};
use writ_model::time::Timestamp;

/// Settlements of one subscriber in ascending order of offsets.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SettledRuns {
    #[prost(string, tag = "1")]
    subscriber: String,
    /// The first offset, then for every further one its distance from the one before.
    #[prost(uint64, repeated, tag = "2")]
    gaps: Vec<u64>,
    /// How they ended, in the same order.
    #[prost(message, repeated, tag = "3")]
    runs: Vec<Run>,
}

/// Neighbours that ended alike.
#[derive(Clone, PartialEq, prost::Message)]
struct Run {
    #[prost(uint32, tag = "1")]
    count: u32,
    #[prost(uint32, tag = "2")]
    settled: u32,
    #[prost(int64, tag = "3")]
    at: i64,
    #[prost(uint32, tag = "4")]
    attempts: u32,
    /// Of the answer's body: 32 bytes.
    #[prost(bytes = "vec", optional, tag = "5")]
    answer_sha256: Option<Vec<u8>>,
}

impl SettledRuns {
    /// Takes settlements in ascending order of offsets.
    pub(crate) fn new(subscriber: &SubscriberName, items: &[(Offset, Acknowledgement)]) -> Self {
        debug_assert!(items.is_sorted_by_key(|(offset, _)| *offset), "lanes tell in order");
        let mut before = 0;
        let gap = |(offset, _): &(Offset, Acknowledgement)| {
            let gap = offset.0 - before;
            before = offset.0;
            gap
        };
        let gaps = items.iter().map(gap).collect();
        let runs = items.chunk_by(|(_, a), (_, b)| a == b).map(Run::new).collect();
        Self { subscriber: subscriber.to_string(), gaps, runs }
    }

    /// The subscriber and its settlements; `None` when the counts do not fit or a field holds no such value.
    pub(crate) fn into_items(self) -> Option<(SubscriberName, Vec<(Offset, Acknowledgement)>)> {
        let mut items = Vec::with_capacity(self.gaps.len());
        let mut gaps = self.gaps.into_iter();
        let mut before = 0_u64;
        for run in self.runs {
            let (count, how) = run.into_parts()?;
            for _ in 0..count {
                before = before.checked_add(gaps.next()?)?;
                items.push((Offset(before), how));
            }
        }
        let subscriber = SubscriberName::new(&self.subscriber).ok()?;
        gaps.next().is_none().then_some((subscriber, items))
    }
}

impl Run {
    fn new(alike: &[(Offset, Acknowledgement)]) -> Self {
        // Taken apart without a rest, so that a new field cannot be forgotten here.
        let (_, Acknowledgement { settled, at, attempts, answer_sha256 }) = alike[0];
        Self {
            count: u32::try_from(alike.len()).expect("a lane tells far fewer at once"),
            settled: number(settled),
            at: at.0,
            attempts,
            answer_sha256: answer_sha256.map(|digest| digest.0.to_vec()),
        }
    }

    fn into_parts(self) -> Option<(u32, Acknowledgement)> {
        let answer_sha256 = match self.answer_sha256 {
            Some(bytes) => Some(AnswerDigest(bytes.try_into().ok()?)),
            None => None,
        };
        let (settled, at) = (settled_as(self.settled)?, Timestamp(self.at));
        Some((self.count, Acknowledgement { settled, at, attempts: self.attempts, answer_sha256 }))
    }
}

/// Numbers are promises to the disk: added, never changed.
fn number(settled: SettledAs) -> u32 {
    match settled {
        SettledAs::Acknowledged => 1,
        SettledAs::DeadLettered => 2,
        SettledAs::Withheld => 3,
        SettledAs::Pending => 4,
        SettledAs::Attempted => 5,
    }
}

fn settled_as(number: u32) -> Option<SettledAs> {
    match number {
        1 => Some(SettledAs::Acknowledged),
        2 => Some(SettledAs::DeadLettered),
        3 => Some(SettledAs::Withheld),
        4 => Some(SettledAs::Pending),
        5 => Some(SettledAs::Attempted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn erp() -> SubscriberName {
        SubscriberName::new("erp").expect("a name")
    }

    fn how(kind: u32, at: i64) -> Acknowledgement {
        let settled = settled_as(kind % 5 + 1).expect("one of five");
        let answer_sha256 = (at % 2 == 0).then_some(AnswerDigest([7; 32]));
        Acknowledgement { settled, at: Timestamp(at), attempts: kind, answer_sha256 }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            items in proptest::collection::btree_map(any::<u64>(), (0_u32..6, -3_i64..3), 0..80),
        ) {
            let items: Vec<_> =
                items.into_iter().map(|(offset, (kind, at))| (Offset(offset), how(kind, at))).collect();
            let bytes = SettledRuns::new(&erp(), &items).encode_to_vec();
            let read = SettledRuns::decode(bytes.as_slice()).expect("decodes").into_items();
            prop_assert_eq!(read, Some((erp(), items)));
        }
    }

    #[test]
    fn the_events_of_one_request_take_a_byte_or_two_each() {
        let items: Vec<_> = (0..500).map(|n| (Offset(1_000_000 + 3 * n), how(0, 4))).collect();
        let bytes = SettledRuns::new(&erp(), &items).encoded_len();
        assert!(bytes < 600, "{bytes}");
    }

    #[test]
    fn counts_that_do_not_fit_and_unknown_values_are_refused() {
        let good = SettledRuns::new(&erp(), &[(Offset(5), how(0, 1)), (Offset(6), how(0, 1))]);
        let with = |change: fn(&mut SettledRuns)| {
            let mut runs = good.clone();
            change(&mut runs);
            runs.into_items()
        };
        assert!(with(|_| {}).is_some());
        assert_eq!(with(|runs| runs.gaps.push(1)), None);
        assert_eq!(with(|runs| runs.gaps.truncate(1)), None);
        assert_eq!(with(|runs| runs.gaps[1] = u64::MAX), None);
        assert_eq!(with(|runs| runs.runs[0].settled = 9), None);
        assert_eq!(with(|runs| runs.runs[0].answer_sha256 = Some(vec![1])), None);
        assert_eq!(with(|runs| runs.subscriber = "No Name".to_owned()), None);
        assert_eq!(with(|runs| runs.runs[0].count = u32::MAX), None);
    }
}
