//! What a receiver keeps of what it took, by the mechanism that makes repeats one effect. Durable on its side,
//! whatever becomes of the engine. Each mechanism does as its connector's page says the receiver must.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ_model::delivery::{Answer, Branch, Fault, Presence, Resolution, Verdict};
use writ_model::guarantee::Mechanism;
use writ_model::id::{DeliveryId, Epoch, Offset, SubjectId};
use writ_model::time::Moment;

/// What a receiver is to the engine: by default it takes what it is sent, and forgets it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// Drops an id that it has seen, for a while.
    Keyed,
    /// An inbox row in its own transaction.
    Transactional,
    /// The same, prepared and then told how to end.
    TwoPhase,
    /// Can be looked at; takes no request that began before the last look.
    Probed,
}

impl Kind {
    pub(crate) fn mechanism(self) -> Option<Mechanism> {
        match self {
            Self::Plain => None,
            Self::Keyed => Some(Mechanism::IdempotencyKey),
            Self::Transactional => Some(Mechanism::Transactional),
            Self::TwoPhase => Some(Mechanism::TwoPhase),
            Self::Probed => Some(Mechanism::Probe),
        }
    }

    /// Keeps former owners of a lane away.
    pub(crate) fn fences(self) -> bool {
        matches!(self, Self::Transactional | Self::TwoPhase)
    }
}

/// One item of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) id: DeliveryId,
    pub(crate) offset: Offset,
    pub(crate) subject: SubjectId,
    pub(crate) is_refused: bool,
    /// Its first attempt by this lane.
    pub(crate) is_first: bool,
    /// It took effect after it was last looked for in vain: another lane sent it in between.
    pub(crate) is_passed: bool,
}

/// A row of the inbox.
#[derive(Debug, Clone, Copy)]
struct Row {
    offset: Offset,
    at: Moment,
}

/// What one request or verdict brought about, in order: each item that is there now, and whether that is new.
pub(crate) type Taken = Vec<(Item, bool)>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Inbox {
    /// Who may deliver.
    owner: Epoch,
    rows: BTreeMap<DeliveryId, Row>,
    prepared: BTreeMap<Branch, Taken>,
    /// When each event was last looked for in vain.
    looked: BTreeMap<DeliveryId, Moment>,
}

/// What the receiver was told with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) now: Moment,
    pub(crate) owner: Epoch,
    /// What it sends nothing below of any more.
    pub(crate) settled_below: Offset,
}

impl Inbox {
    /// One that drops the ids that it has seen within a time.
    pub(crate) fn keyed(&mut self, items: &[Item], now: Moment, remembers: Duration) -> Taken {
        let mut taken = Taken::default();
        for item in items {
            let is_known = self.rows.get(&item.id).is_some_and(|row| now.since(row.at) < remembers);
            if !is_known {
                self.rows.insert(item.id, Row { offset: item.offset, at: now });
            }
            taken.push((*item, !is_known));
        }
        taken
    }

    /// One that can be looked at: what began before the last look is refused, everything else takes effect.
    pub(crate) fn unless_late(&mut self, item: Item, began: Moment, now: Moment) -> Option<Taken> {
        let looked = self.looked.get(&item.id).copied();
        if looked.is_some_and(|looked| began < looked) {
            return None;
        }
        let before = self.rows.get(&item.id).map(|row| row.at);
        let is_passed = looked.zip(before).is_some_and(|(looked, at)| looked < at);
        let item = Item { is_passed, ..item };
        self.rows.insert(item.id, Row { offset: item.offset, at: now });
        Some(vec![(item, true)])
    }

    pub(crate) fn look(&mut self, id: DeliveryId, now: Moment) -> Presence {
        if self.rows.contains_key(&id) {
            return Presence::There;
        }
        self.looked.insert(id, now);
        Presence::Absent
    }

    /// One transaction, committed at once.
    pub(crate) fn transaction(&mut self, items: &[Item], told: Told) -> Result<(Answer, Taken), Fault> {
        self.claim(told.owner)?;
        let (answers, taken) = self.lay(items)?;
        self.commit(&taken, told.now);
        Ok((answer(answers), taken))
    }

    /// One transaction, prepared when there is something in it.
    pub(crate) fn prepare(&mut self, items: &[Item], branch: Branch, told: Told) -> Result<Answer, Fault> {
        self.claim(told.owner)?;
        let (answers, taken) = self.lay(items)?;
        if answers.contains(&Answer::Durable) {
            self.prepared.insert(branch, taken);
        }
        Ok(answer(answers))
    }

    pub(crate) fn branches(&self) -> Vec<Branch> {
        self.prepared.keys().copied().collect()
    }

    pub(crate) fn resolve(&mut self, branch: Branch, verdict: Verdict, now: Moment) -> (Resolution, Taken) {
        let Some(taken) = self.prepared.remove(&branch) else {
            return (Resolution::Unknown, Taken::default());
        };
        match verdict {
            Verdict::RollBack => (Resolution::Done, Taken::default()),
            Verdict::Commit => {
                self.commit(&taken, now);
                (Resolution::Done, taken)
            }
        }
    }

    /// Forgets rows that are older than the bound and that the lane has settled everything up to.
    pub(crate) fn prune(&mut self, now: Moment, older_than: Duration, settled_below: Offset) {
        self.rows.retain(|_, row| now.since(row.at) <= older_than || row.offset >= settled_below);
    }

    /// The lane is this owner's from now on. A prepared transaction holds it as it is.
    fn claim(&mut self, owner: Epoch) -> Result<(), Fault> {
        if owner < self.owner {
            return Err(Fault::Fenced);
        }
        if owner > self.owner && !self.prepared.is_empty() {
            return Err(Fault::Conflict);
        }
        self.owner = owner;
        Ok(())
    }

    /// Writes the items' rows. One that the receiver refuses is undone alone, and what follows it of its subject
    /// waits; one whose row a prepared transaction holds ends the whole.
    fn lay(&self, items: &[Item]) -> Result<(Vec<Answer>, Taken), Fault> {
        let (mut stopped, mut taken) = (BTreeSet::new(), Taken::default());
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            if stopped.contains(&item.subject) {
                answers.push(Answer::Failed(Fault::SendBroken));
            } else if self.is_held(item.id) {
                return Err(Fault::Conflict);
            } else if self.rows.contains_key(&item.id) {
                taken.push((*item, false));
                answers.push(Answer::Durable);
            } else if item.is_refused {
                stopped.insert(item.subject);
                answers.push(Answer::Failed(Fault::Refused));
            } else {
                taken.push((*item, true));
                answers.push(Answer::Durable);
            }
        }
        Ok((answers, taken))
    }

    fn is_held(&self, id: DeliveryId) -> bool {
        self.prepared.values().flatten().any(|(item, _)| item.id == id)
    }

    fn commit(&mut self, taken: &Taken, at: Moment) {
        // What is repeated is remembered anew.
        self.rows.extend(taken.iter().map(|(item, _)| (item.id, Row { offset: item.offset, at })));
    }
}

fn answer(answers: Vec<Answer>) -> Answer {
    if answers.iter().all(|answer| *answer == Answer::Durable) {
        Answer::Durable
    } else {
        Answer::PerItem(answers)
    }
}
