//! A lane that the log waits for no longer: what it has not settled before an offset is dropped, loudly, and it goes
//! on there. What is in flight ends; nothing of the stretch is tried again.

use writ_model::control::{BehindRetention, ControlFact};
use writ_model::delivery::SettledAs;
use writ_model::id::Offset;

use super::lane::Lane;
use super::parent::Turn;
use super::{Effect, Note};

impl Lane {
    /// The log is about to lose what is before `to`. The cursor behind it is told at once: the log does not go before
    /// that is durable.
    pub(super) fn fall_behind(&mut self, turn: &mut Turn<'_>, to: Offset) {
        let from = self.position.watermark();
        if from >= to || self.replay.is_some() {
            return;
        }
        self.floor = self.floor.max(to);
        for queued in self.backlog.take_below(to) {
            self.settle(turn, queued.item.offset, SettledAs::Pending, queued.attempts, None);
        }
        self.position.give_up_below(to);
        let (subscriber, at) = (self.config.subscriber.clone(), turn.now.wall);
        turn.journal(ControlFact::BehindRetention(BehindRetention { subscriber, from, to, at }));
        turn.effects.push(Effect::Note(self.given.id, Note::Behind { from, to }));
        self.tell(turn);
    }
}
