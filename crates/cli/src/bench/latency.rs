//! A histogram of microseconds in fixed memory: 64 buckets per power of two, so a quantile is exact to 1.6 %.

/// Buckets per power of two, as a power of two.
const BITS: u32 = 6;
const BUCKETS: usize = (64 - BITS as usize + 1) << BITS;

/// Counts of values by bucket.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
    }

    /// The upper end of the bucket that holds the quantile, in microseconds; zero when nothing was added.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts stay below 2^53"
    )]
    pub(super) fn quantile(&self, quantile: f64) -> u64 {
        let rank = (self.total as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index);
            }
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    let shift = (63 - (value | 1).leading_zeros()).saturating_sub(BITS);
    let offset = usize::try_from(value >> shift).expect("at most 7 bits are left");
    (usize::try_from(shift).expect("at most 57") << BITS) + offset
}

fn upper(index: usize) -> u64 {
    let shift = (index >> BITS).saturating_sub(1);
    let offset = index - (shift << BITS);
    u64::try_from(offset + 1).map_or(u64::MAX, |end| (end << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for index in 0..2000 {
            assert_eq!(bucket(upper(index)), index);
            assert_eq!(bucket(upper(index) + 1), index + 1);
        }
        assert_eq!(bucket(0), 0);
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn a_quantile_is_within_two_percent() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|value| histogram.add(value));
        for (quantile, exact) in [(0.5, 50_000_u64), (0.99, 99_000)] {
            let found = histogram.quantile(quantile);
            assert!(found >= exact && found <= exact + exact / 50, "{quantile}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
