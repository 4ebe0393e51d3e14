//! Reading back: an event whose attempt may have arrived is looked for at the receiver before it is sent again.
//!
//! Suspect are events whose last attempt had no answer, those that an earlier run may have attempted, and those that
//! come from the dead letters. What is there is acknowledged; what is absent is sent; what nobody knows waits.

use writ_model::delivery::{Answer, AttemptId, Fault, Presence};
use writ_model::id::Offset;

use super::attempt::Delivery;
use super::breaker::{Health, Pass};
use super::lane::Lane;
use super::line::Line;
use super::parent::Turn;
use super::send::{Flight, Stage};
use super::{Attempt, Effect};
use crate::gate::permit::PermitVerdict;

impl Lane {
    /// Whether the receiver has to be looked at first. A lane that probes sends one event at a time.
    pub(super) fn is_suspect(&mut self, members: &[(Line, usize)]) -> bool {
        let first = members.first().and_then(|(line, _)| self.backlog.front_mut(*line, 1).next());
        first.is_some_and(|queued| queued.is_suspect)
    }

    /// Looks instead of sending.
    pub(super) fn probe(&mut self, turn: &mut Turn<'_>, members: Vec<(Line, usize)>, pass: Pass) {
        let mut deliveries = Vec::with_capacity(1);
        for (line, count) in &members {
            deliveries.extend(self.backlog.front_mut(*line, *count).filter_map(|queued| {
                let PermitVerdict::Granted(permit) = &queued.item.permit else { return None };
                Some(Delivery::new(permit.clone(), queued.delivery_id, queued.attempts))
            }));
        }
        self.linger_until = None;
        self.flying += deliveries.len();
        let (id, lane) = (turn.attempts.open(self.given.id), self.given.id);
        let sent_at = turn.now.moment;
        self.flights.insert(id, Flight { members, pass, sent_at, is_once: false, stage: Stage::Probing });
        turn.effects.push(Effect::Probe(Attempt { id, lane, deliveries, settled_below: Offset::ZERO }));
    }

    /// What the look showed. Not knowing of it changes nothing.
    pub(super) fn probed(&mut self, turn: &mut Turn<'_>, id: AttemptId, presence: Presence) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let Stage::Probing = flight.stage else { return };
        flight.stage = Stage::Sent;
        match presence {
            Presence::There => self.answered(turn, id, &Answer::Durable),
            Presence::Absent => self.absent(turn, id),
            Presence::Unknown(fault) => self.answered(turn, id, &Answer::Failed(fault)),
        }
    }

    /// It never arrived: it is sent now, as if nothing had been.
    fn absent(&mut self, turn: &mut Turn<'_>, id: AttemptId) {
        let Some(flight) = self.flights.remove(&id) else { return };
        self.flying -= flight.events();
        self.with_breaker(turn, |breaker, now| breaker.record(now, flight.pass, Health::Works));
        for (line, count) in &flight.members {
            self.backlog.front_mut(*line, *count).for_each(|queued| queued.is_suspect = false);
            self.land(turn, *line, None);
            self.after_landing(turn, *line, None);
        }
    }

    /// Marks the line's first event when its attempt may have arrived.
    pub(super) fn suspect_front(&mut self, line: Line, answer: &Answer) {
        let may_have_arrived = matches!(answer, Answer::Failed(Fault::Timeout | Fault::AnswerBroken));
        if let Some(queued) = self.backlog.front_mut(line, 1).next() {
            queued.is_suspect |= self.config.probes && may_have_arrived;
        }
    }
}
