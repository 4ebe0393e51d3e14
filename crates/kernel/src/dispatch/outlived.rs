//! Receivers that drop the ids they have seen, for a time: an event that was tried and then waited, behind an open
//! breaker or a rate, is not sent when that time may be over. It would take effect a second time.

use writ_model::guarantee::Mechanism;
use writ_model::time::Moment;

use super::GivenUp;
use super::lane::Lane;
use super::line::Line;
use super::parent::Turn;

/// What the dead letter says.
const CAUSE: &str = "age_exhausted/waited";

impl Lane {
    /// The picked events without those that may be forgotten by the receiver; these go to the dead letters.
    pub(super) fn without_outlived(
        &mut self,
        turn: &mut Turn<'_>,
        picked: Vec<(Line, usize)>,
    ) -> Vec<(Line, usize)> {
        let mut left = Vec::with_capacity(picked.len());
        for (line, count) in picked {
            match self.before_outlived(line, count, turn.now.moment) {
                0 => {
                    let until = self.give_up(turn, line, GivenUp::Exhausted, CAUSE);
                    self.land(turn, line, until);
                    self.after_landing(turn, line, None);
                }
                count => left.push((line, count)),
            }
        }
        left
    }

    /// How many of a line's first events come before one that is tried no more.
    fn before_outlived(&mut self, line: Line, count: usize, now: Moment) -> usize {
        let Self { backlog, config, .. } = self;
        let within = config.retry.repeats_within();
        let mut picked = backlog.front_mut(line, count);
        let outlived = picked.position(|queued| {
            let promise = config.promises.of(queued.item.change_type);
            let is_keyed = promise.mechanism == Some(Mechanism::IdempotencyKey);
            is_keyed && queued.first_attempt.is_some_and(|first| now.since(first) > within)
        });
        outlived.unwrap_or(count)
    }
}
