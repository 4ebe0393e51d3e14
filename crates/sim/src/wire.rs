//! Requests to receivers that remember: when each arrives, what it brings about there, and what the sender hears
//! of it. Also what must hold of it: one effect, and no request of a former owner after one of a later.

use writ_kernel::dispatch::{Attempt, Fact};
use writ_model::delivery::{Answer, Branch, Fault, HttpAnswer, Presence};
use writ_model::id::{Epoch, Offset};
use writ_model::time::Moment;

use crate::agenda::Happening;
use crate::bug::Bug;
use crate::inbox::{Item, Kind, Taken, Told};
use crate::options::{INBOX_KEEPS, KEYS_KEEP};
use crate::world::World;

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Deliver,
    Prepare,
    Look,
}

/// What becomes of a request on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Course {
    /// It arrives, and so does the answer.
    Whole,
    /// It arrives; the sender sees this.
    Lost(Fault),
    /// It arrives, and the receiver takes the first few items of it and says so.
    Part(usize, Answer),
    /// It never arrives, or is turned away at the door; the sender sees this.
    Never(Answer),
}

/// A request on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    attempt: Attempt,
    from: From,
    way: Way,
    course: Course,
    began: Moment,
    answers_twice: bool,
}

/// Who sends to whom, and in what circumstances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From {
    pub(crate) subscriber: usize,
    pub(crate) owner: Epoch,
    pub(crate) is_replay: bool,
    /// How often what is remembered was put to the test by then.
    pub(crate) interruptions: u64,
}

/// Percent of requests to a receiver that hangs which it takes all the same.
const HANGS_AND_TAKES: u64 = 50;

/// Percent of looks that see something whatever else is wrong.
pub(crate) const LOOKS_THROUGH: u64 = 10;

/// Percent of requests that still arrive when nobody waits for their answer any more.
const ARRIVES_LATE: u64 = 40;

impl World {
    /// Puts a request on its way to a receiver that remembers.
    pub(crate) fn call(&mut self, attempt: Attempt, way: Way) {
        let subscriber = self.subscriber_of(attempt.lane);
        let numbers = self.numbers(&attempt);
        // A database refuses items one by one, when the request is there.
        let fences = self.options.kind(subscriber).fences();
        let judged = if fences || way == Way::Look { &[][..] } else { &numbers };
        let reaction = self.receivers[subscriber].react(&mut self.chance, judged);
        let taken = reaction.processed.iter().take_while(|done| **done).count();
        let takes_all = taken > 0 && taken == judged.len();
        let course = match reaction.answer {
            // A look may find its way however the receiver is: else nobody could tell why it waits.
            _ if way == Way::Look && self.chance.percent(LOOKS_THROUGH) => Course::Whole,
            Answer::Failed(Fault::AnswerBroken) => Course::Lost(Fault::AnswerBroken),
            Answer::Failed(Fault::Timeout) if self.chance.percent(HANGS_AND_TAKES) => {
                Course::Lost(Fault::Timeout)
            }
            // Nobody comes for what is sent.
            Answer::Failed(Fault::NotTaken) => Course::Never(Answer::Failed(Fault::Connect)),
            Answer::Http(HttpAnswer { status: 200..=299, .. }) if judged.is_empty() => Course::Whole,
            _ if takes_all => Course::Whole,
            other if taken > 0 => Course::Part(taken, other),
            other => Course::Never(other),
        };
        let (owner, began, answers_twice) = (self.acting, self.now.moment, reaction.answers_twice);
        let is_replay = self.replay_of.contains_key(&attempt.lane);
        let interruptions = self.interruptions(subscriber);
        self.flying.insert(attempt.id, attempt.clone());
        let from = From { subscriber, owner, is_replay, interruptions };
        let call = Call { attempt, from, way, course, began, answers_twice };
        self.plan(reaction.after, Happening::Arrive(call));
    }

    /// The request arrives, and the sender hears of it.
    pub(crate) fn arrive(&mut self, call: Call) -> Result<(), String> {
        let id = call.attempt.id;
        if self.flying.remove(&id).is_none() {
            return Ok(());
        }
        if call.way == Way::Look {
            let presence = self.look(&call);
            self.facts.push_back(Fact::Probed(id, presence));
            return Ok(());
        }
        let answer = self.brought_about(&call)?;
        self.note(&answer);
        if call.answers_twice {
            self.facts.push_back(Fact::Answered(id, answer.clone()));
        }
        self.facts.push_back(Fact::Answered(id, answer));
        Ok(())
    }

    /// A request of a process that has ended may still arrive; nobody hears of it.
    pub(crate) fn arrive_late(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrive(call) if call.way != Way::Look && self.chance.percent(ARRIVES_LATE) => {
                self.brought_about(&call).map(drop)
            }
            Happening::Verdict { lane, branch, verdict, is_reached: true }
                if self.chance.percent(ARRIVES_LATE) =>
            {
                self.end_branch(lane, branch, verdict).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, call: &Call) -> Presence {
        self.truth.looks += 1;
        let subscriber = call.from.subscriber;
        match (&call.course, call.attempt.deliveries.first()) {
            (Course::Whole, Some(_)) if self.bug == Some(Bug::LookMisread) => Presence::There,
            (Course::Whole, Some(delivery)) => {
                self.inboxes[subscriber].look(delivery.delivery_id(), self.now.moment)
            }
            (Course::Lost(fault) | Course::Never(Answer::Failed(fault)), _) => Presence::Unknown(*fault),
            (Course::Whole | Course::Part(..) | Course::Never(_), _) => Presence::Unknown(Fault::Unready),
        }
    }

    /// What the receiver does, and what the sender is to see of it.
    fn brought_about(&mut self, call: &Call) -> Result<Answer, String> {
        if let Course::Never(answer) = &call.course {
            return Ok(answer.clone());
        }
        let answer = self.taken(call)?.unwrap_or_else(Answer::Failed);
        Ok(match &call.course {
            Course::Lost(fault) => Answer::Failed(*fault),
            Course::Part(_, said) => said.clone(),
            Course::Whole | Course::Never(_) => answer,
        })
    }

    fn taken(&mut self, call: &Call) -> Result<Result<Answer, Fault>, String> {
        let subscriber = call.from.subscriber;
        let (kind, now) = (self.options.kind(subscriber), self.now.moment);
        let mut items = self.items(&call.attempt, subscriber);
        if let Course::Part(first, _) = call.course {
            items.truncate(first);
        }
        let durable = self.reference.cursors.get(self.names[subscriber].as_str());
        let durable = durable.map_or(Offset::ZERO, |cursor| cursor.watermark);
        let settled_below = call.attempt.settled_below.min(durable);
        let told = Told { now, owner: self.owner_told(call), settled_below };
        let inbox = &mut self.inboxes[subscriber];
        let (answer, taken) = match (kind, call.way) {
            (Kind::Plain | Kind::Keyed, _) | (Kind::Probed, Way::Prepare | Way::Look) => {
                (ok(), inbox.keyed(&items, now, KEYS_KEEP))
            }
            (Kind::Probed, Way::Deliver) => match inbox.unless_late(items[0], call.began, now) {
                Some(taken) => (ok(), taken),
                None => return Ok(Ok(status(409))),
            },
            (Kind::TwoPhase, Way::Prepare) => {
                let branch = Branch { epoch: call.from.owner, attempt: call.attempt.id };
                let prepared = inbox.prepare(&items, branch, told);
                self.truth.branches += u64::from(prepared.is_ok());
                if prepared.is_ok() {
                    self.check_fenced(subscriber, call.from.owner)?;
                }
                return Ok(prepared);
            }
            (Kind::Transactional | Kind::TwoPhase, _) => match inbox.transaction(&items, told) {
                Ok(taken) => taken,
                Err(fault) => return Ok(Err(fault)),
            },
        };
        if kind.fences() {
            self.check_fenced(subscriber, call.from.owner)?;
            self.prune(subscriber, told);
        }
        self.effects(&taken, call.from)?;
        Ok(Ok(answer))
    }

    fn owner_told(&self, call: &Call) -> Epoch {
        if self.bug == Some(Bug::FormerTaken) { Epoch(u64::MAX) } else { call.from.owner }
    }

    fn prune(&mut self, subscriber: usize, told: Told) {
        let (inbox, now) = (&mut self.inboxes[subscriber], told.now);
        if self.bug == Some(Bug::InboxForgets) {
            return inbox.prune(now, std::time::Duration::ZERO, Offset(u64::MAX));
        }
        inbox.prune(now, INBOX_KEEPS, told.settled_below);
    }

    /// A receiver that keeps owners apart never takes anything of one after it took something of a later one.
    fn check_fenced(&mut self, subscriber: usize, owner: Epoch) -> Result<(), String> {
        let claimed = self.truth.claimed.entry(subscriber).or_default();
        if owner < *claimed {
            return Err(format!(
                "s{subscriber} took a request of owner {} after one of {}",
                owner.0, claimed.0
            ));
        }
        *claimed = owner;
        Ok(())
    }

    /// What took effect does so once. Excused is what no mechanism of the kind promises: who forgets may be made
    /// to repeat by an operator, and who remembers a key for a time by a restart or a pause that outlasts it; a
    /// look says nothing of what another owner sends after it, nor of what the live lane sends beside a replay.
    pub(crate) fn effects(&mut self, taken: &Taken, from: From) -> Result<(), String> {
        let From { subscriber, is_replay, owner, interruptions } = from;
        for (item, _) in taken.iter().filter(|(_, is_new)| *is_new) {
            let before = self.truth.effects.insert(item.id, (interruptions, is_replay));
            let is_parked = self.truth.parked.contains(&(subscriber, item.offset));
            let (was_interrupted, was_replayed) =
                before.map_or((false, false), |(before, by_replay)| (before != interruptions, by_replay));
            let is_excused = match self.options.kind(subscriber) {
                Kind::Plain | Kind::Keyed => is_replay || was_replayed || is_parked || was_interrupted,
                Kind::Transactional | Kind::TwoPhase => is_replay || was_replayed || is_parked,
                Kind::Probed => {
                    let is_beside = is_replay && (!item.is_first || item.is_passed);
                    self.truth.takeovers > 0 || was_replayed || is_beside
                }
            };
            if before.is_some() && !is_excused {
                return Err(format!("the event at {} took effect twice at s{subscriber}", item.offset));
            }
        }
        // A looked-at receiver cannot tell owners apart, nor can one that only knows ids: what a former owner
        // sends there keeps no order with what its successor does.
        let is_ordered = self.options.kind(subscriber).fences() || owner == self.tape.epoch();
        let done = taken.iter().map(|(item, _)| item.offset).collect();
        self.processed(subscriber, done, !is_replay && is_ordered)
    }

    /// Which process it is that sends, and how often an operator paused the lane: what a receiver's memory need not
    /// outlast.
    pub(crate) fn interruptions(&self, subscriber: usize) -> u64 {
        self.acting.0 + self.truth.pauses.get(&subscriber).copied().unwrap_or_default()
    }

    fn items(&self, attempt: &Attempt, subscriber: usize) -> Vec<Item> {
        let item = |delivery: &writ_kernel::dispatch::attempt::Delivery| {
            let event = self.reference.events.get(&delivery.offset())?;
            Some(Item {
                id: delivery.delivery_id(),
                offset: delivery.offset(),
                subject: event.subject(),
                is_refused: self.receivers[subscriber].refuses(&[event.number()]),
                is_first: delivery.number() == 1,
                is_passed: false,
            })
        };
        attempt.deliveries.iter().filter_map(item).collect()
    }
}

fn ok() -> Answer {
    status(204)
}

fn status(status: u16) -> Answer {
    Answer::Http(HttpAnswer { status, ..HttpAnswer::default() })
}
