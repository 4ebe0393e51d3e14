//! Prepared transactions at receivers: they are listed, and told how to end; never against the journal's word.

use std::time::Duration;

use writ_kernel::dispatch::{Fact, LaneId};
use writ_model::delivery::{Answer, Branch, Fault, HttpAnswer, Resolution, Verdict};

use crate::agenda::Happening;
use crate::bug::Bug;
use crate::wire::{From, LOOKS_THROUGH};
use crate::world::World;

impl World {
    pub(crate) fn list_branches(&mut self, lane: LaneId) {
        let (is_reached, wait) = self.reaches(lane);
        self.plan(wait, Happening::List { lane, is_reached });
    }

    pub(crate) fn serve_list(&mut self, lane: LaneId, is_reached: bool) {
        let subscriber = self.subscriber_of(lane);
        let found = match self.bug {
            _ if !is_reached => Err(Fault::Connect),
            Some(Bug::OrphansLeft) => Ok(Vec::new()),
            _ => Ok(self.inboxes[subscriber].branches()),
        };
        self.facts.push_back(Fact::Branches(lane, found));
    }

    pub(crate) fn tell(&mut self, lane: LaneId, branch: Branch, verdict: Verdict) {
        let (is_reached, wait) = self.reaches(lane);
        self.plan(wait, Happening::Verdict { lane, branch, verdict, is_reached });
    }

    pub(crate) fn serve_verdict(
        &mut self,
        lane: LaneId,
        branch: Branch,
        verdict: Verdict,
        is_reached: bool,
    ) -> Result<(), String> {
        let resolution = if is_reached {
            let ended = self.end_branch(lane, branch, verdict)?;
            // Now and then the answer is lost.
            let noise = self.receivers[self.subscriber_of(lane)].noise;
            if self.chance.percent(noise) { Resolution::Failed(Fault::AnswerBroken) } else { ended }
        } else {
            Resolution::Failed(Fault::Connect)
        };
        let wait = self.chance.millis(0, 20);
        self.plan(wait, Happening::Resolved { lane, branch, resolution });
        Ok(())
    }

    /// The journal's word stands: what it decided is committed, and nothing else is.
    pub(crate) fn end_branch(
        &mut self,
        lane: LaneId,
        branch: Branch,
        verdict: Verdict,
    ) -> Result<Resolution, String> {
        let subscriber = usize::from(lane.0);
        let name = self.names[subscriber].to_string();
        let (resolution, taken) = self.inboxes[subscriber].resolve(branch, verdict, self.now.moment);
        let is_decided = self.reference.decided.contains(&(name, branch));
        match (verdict, resolution) {
            (Verdict::Commit, Resolution::Done) if !is_decided => {
                return Err(format!("{branch:?} was committed at s{subscriber}, and no journal decided it"));
            }
            (Verdict::RollBack, Resolution::Done) if is_decided => {
                return Err(format!(
                    "{branch:?} was rolled back at s{subscriber}, and the journal decided it"
                ));
            }
            _ => {}
        }
        let interruptions = self.interruptions(subscriber);
        self.effects(&taken, From { subscriber, is_replay: false, owner: branch.epoch, interruptions })?;
        Ok(resolution)
    }

    fn reaches(&mut self, lane: LaneId) -> (bool, Duration) {
        let subscriber = self.subscriber_of(lane);
        let reaction = self.receivers[subscriber].react(&mut self.chance, &[]);
        let is_reached = matches!(
            reaction.answer,
            Answer::Http(HttpAnswer { status: 200..=299, .. }) | Answer::Failed(Fault::AnswerBroken)
        );
        (is_reached || self.chance.percent(LOOKS_THROUGH), reaction.after)
    }
}
