//! The count behind an accounting leaf: every change of a range has exactly one fate.

/// What became of one change. Where its events fared differently, the gravest counts: the order is that of
/// gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// No mapped attribute differed, or its table is not mapped: no event.
    Silent,
    /// It was taken before.
    Duplicate,
    /// It is older than what was applied, and no event came of it.
    Stale,
    /// All its events are in the stream.
    Accepted,
    /// An event of it is held.
    Held,
    /// An event of it is in quarantine.
    Quarantined,
    /// An event of it was refused.
    Refused,
}

/// Changes by fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Changes that gave no event.
    pub silent: u64,
    /// Changes that were taken before.
    pub duplicate: u64,
    /// Changes that are older than what was applied.
    pub stale: u64,
    /// Changes all of whose events are in the stream.
    pub accepted: u64,
    /// Changes with a held event.
    pub held: u64,
    /// Changes with an event in quarantine.
    pub quarantined: u64,
    /// Changes with a refused event.
    pub refused: u64,
}

impl Tally {
    /// Counts one change.
    pub fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Silent => &mut self.silent,
            Fate::Duplicate => &mut self.duplicate,
            Fate::Stale => &mut self.stale,
            Fate::Accepted => &mut self.accepted,
            Fate::Held => &mut self.held,
            Fate::Quarantined => &mut self.quarantined,
            Fate::Refused => &mut self.refused,
        } += 1;
    }

    /// How many changes were counted; must be the number of changes in the range.
    pub fn covered(&self) -> u64 {
        let Self { silent, duplicate, stale, accepted, held, quarantined, refused } = self;
        silent + duplicate + stale + accepted + held + quarantined + refused
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        self.silent += other.silent;
        self.duplicate += other.duplicate;
        self.stale += other.stale;
        self.accepted += other.accepted;
        self.held += other.held;
        self.quarantined += other.quarantined;
        self.refused += other.refused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fates_sum_to_the_changes_covered() {
        let fates = [
            Fate::Silent,
            Fate::Duplicate,
            Fate::Stale,
            Fate::Accepted,
            Fate::Accepted,
            Fate::Held,
            Fate::Quarantined,
            Fate::Refused,
        ];
        let mut tally = Tally::default();
        fates.iter().for_each(|fate| tally.count(*fate));
        assert_eq!((tally.covered(), tally.accepted), (8, 2));
        let mut twice = tally;
        twice.add(&tally);
        assert_eq!(twice.covered(), 16);
    }

    #[test]
    fn the_gravest_fate_of_several_events_is_the_change_s() {
        assert_eq!([Fate::Accepted, Fate::Held, Fate::Accepted].into_iter().max(), Some(Fate::Held));
    }
}
