//! The gate asked again: may an event that is in the log go to this subscriber today?
//!
//! For replays. What admission withheld stays withheld, whatever today's policy says; what today's policy
//! withholds is withheld on top. An event of a former life of its subject never goes out. The policy engine is
//! asked between [`Question::ask`] and [`Question::answer`], by the caller.

use std::collections::BTreeSet;

use writ_model::envelope::{ClearHeader, Envelope, EventData, PrivatePart};
use writ_model::id::{Generation, Offset, RecordKey};
use writ_model::replay::Shredded;
use writ_model::verdict::{Checked, Decision, PolicyAnswer, PolicyVerdict, PolicyVersion, SchemaVerdict};

use super::permit::{Cause, Denial, Permit, PermitVerdict};
use super::{card, input};
use crate::identity::Key;

/// A stored event and what is known of it now.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Where it is.
    pub offset: Offset,
    /// Its clear part.
    pub header: &'a ClearHeader,
    /// Its private part; `None` when the content key was destroyed.
    pub private: Option<&'a PrivatePart>,
    /// What admission decided.
    pub decision: &'a Decision,
    /// The subject's present life; `None` when the vault does not know the subject.
    pub present: Option<Generation>,
}

/// For whom, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// To whom it would be sent.
    pub subscriber: &'a str,
    /// What becomes of shredded events.
    pub shredded: Shredded,
    /// The policy in force.
    pub policy: &'a PolicyVersion,
    /// For the card scan.
    pub card_hash_key: &'a Key,
}

/// An event on which only the policy has still to be heard.
#[derive(Debug)]
pub struct Question<'a> {
    stored: Stored<'a>,
    asking: Asking<'a>,
    document: serde_json::Value,
}

impl<'a> Question<'a> {
    /// What can be decided without the policy engine is; else the question to it. A shredded event is asked
    /// about with empty data: a policy that decides by what is gone keeps it back.
    pub fn ask(stored: Stored<'a>, asking: Asking<'a>) -> Result<Self, PermitVerdict> {
        let denied = |cause| Err(PermitVerdict::Denied(Denial { cause, policy: asking.policy.clone() }));
        if stored.decision.deny_subscribers.iter().any(|denied| denied == asking.subscriber) {
            return denied(Cause::Admission);
        }
        if stored.present.is_some_and(|present| present != stored.header.generation) {
            return denied(Cause::StaleGeneration);
        }
        let envelope = match (stored.private, asking.shredded) {
            (Some(private), _) => Envelope { header: stored.header.clone(), private: private.clone() },
            (None, Shredded::Tombstone) => empty(stored.header),
            (None, Shredded::Skip) => return denied(Cause::Shredded),
        };
        if !card::scan(asking.card_hash_key, &envelope).is_empty() {
            return denied(Cause::CardNumber);
        }
        let schema = SchemaVerdict::Valid { version: stored.decision.schema.clone() };
        let document = input::document(&Checked { envelope, schema });
        Ok(Self { stored, asking, document })
    }

    /// The policy's input document.
    pub fn document(&self) -> &serde_json::Value {
        &self.document
    }

    /// The policy has answered.
    pub fn answer(self, verdict: PolicyVerdict) -> PermitVerdict {
        let PolicyVerdict { answer, deny_subscribers, withhold, version, class: _ } = verdict;
        let is_denied = deny_subscribers.iter().any(|denied| denied == self.asking.subscriber);
        let cause = match answer {
            PolicyAnswer::Hold(_) => Cause::PolicyHeld,
            PolicyAnswer::Refuse(_) => Cause::PolicyRefused,
            PolicyAnswer::Clear if is_denied => Cause::PolicySubscriber,
            PolicyAnswer::Clear => {
                let both: BTreeSet<String> =
                    self.stored.decision.withhold.iter().cloned().chain(withhold).collect();
                let both = both.into_iter().collect();
                let permit = Permit::again(self.stored.offset, version, both, self.asking.shredded);
                return PermitVerdict::Granted(permit);
            }
        };
        PermitVerdict::Denied(Denial { cause, policy: version })
    }
}

/// What a shredded event looks like to a policy.
fn empty(header: &ClearHeader) -> Envelope {
    let private = PrivatePart {
        key: RecordKey(Vec::new()),
        old_key: None,
        table: String::new(),
        incarnation: writ_model::id::Incarnation(String::new()),
        position: writ_model::id::Position::default(),
        transaction: None,
        producer_id: None,
        causation_id: header.event_id,
        correlation_id: None,
        version: None,
        data: EventData { key: Vec::new(), before: None, after: None, unseen: Vec::new() },
    };
    Envelope { header: header.clone(), private }
}

#[cfg(test)]
mod tests {
    use writ_model::taxonomy::PriorityClass;
    use writ_model::value::{Attributes, Value};

    use super::*;
    use crate::gate::fixtures::envelope;

    struct Case {
        envelope: Envelope,
        decision: Decision,
        present: Option<Generation>,
        is_shredded: bool,
        shredded: Shredded,
        verdict: PolicyVerdict,
    }

    fn version() -> PolicyVersion {
        PolicyVersion("today@sha256:11".into())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn case() -> Case {
        let decision = Decision {
            class: PriorityClass::Standard,
            policy: PolicyVersion("then@sha256:00".into()),
            schema: "email.v1+sha256:22".to_owned(),
            deny_subscribers: Vec::new(),
            withhold: names(&["birthday"]),
        };
        let verdict = PolicyVerdict {
            answer: PolicyAnswer::Clear,
            class: None,
            deny_subscribers: Vec::new(),
            withhold: Vec::new(),
            version: version(),
        };
        let present = Some(Generation::FIRST);
        let shredded = Shredded::Tombstone;
        Case { envelope: envelope(), decision, present, is_shredded: false, shredded, verdict }
    }

    fn ask(case: &Case) -> PermitVerdict {
        let stored = Stored {
            offset: Offset(7),
            header: &case.envelope.header,
            private: (!case.is_shredded).then_some(&case.envelope.private),
            decision: &case.decision,
            present: case.present,
        };
        let (policy, shredded) = (version(), case.shredded);
        let asking = Asking { subscriber: "crm", shredded, policy: &policy, card_hash_key: &[3; 32] };
        Question::ask(stored, asking).map_or_else(|decided| decided, |q| q.answer(case.verdict.clone()))
    }

    #[track_caller]
    fn denied(case: &Case, cause: Cause) {
        assert_eq!(ask(case), PermitVerdict::Denied(Denial { cause, policy: version() }));
    }

    #[track_caller]
    fn granted(case: &Case) -> Permit {
        let PermitVerdict::Granted(permit) = ask(case) else { panic!("denied: {:?}", ask(case)) };
        permit
    }

    #[test]
    fn what_admission_withheld_stays_withheld_and_todays_policy_only_adds() {
        let mut case = case();
        case.verdict.withhold = names(&["phone"]);
        let permit = granted(&case);
        assert_eq!(
            (permit.offset(), permit.withhold()),
            (Offset(7), names(&["birthday", "phone"]).as_slice())
        );
        assert_eq!((permit.policy(), permit.replayed()), (&version(), Some(Shredded::Tombstone)));
        case.decision.deny_subscribers = names(&["crm"]);
        denied(&case, Cause::Admission);
    }

    #[test]
    fn a_permission_revoked_since_stops_the_event() {
        let with = |answer: PolicyAnswer, deny: &[&str]| {
            let mut case = case();
            case.verdict = PolicyVerdict { answer, deny_subscribers: names(deny), ..case.verdict };
            case
        };
        denied(&with(PolicyAnswer::Refuse("no".into()), &[]), Cause::PolicyRefused);
        denied(&with(PolicyAnswer::Hold("wait".into()), &[]), Cause::PolicyHeld);
        denied(&with(PolicyAnswer::Clear, &["ads", "crm"]), Cause::PolicySubscriber);
        granted(&with(PolicyAnswer::Clear, &["ads"]));
    }

    #[test]
    fn a_card_number_is_found_before_the_policy_sees_anything() {
        let mut case = case();
        let card = Value::Text("4111111111111111".into());
        case.envelope.private.data.after = Some(Attributes::from([("note".to_owned(), card)]));
        denied(&case, Cause::CardNumber);
    }

    #[test]
    fn an_event_of_a_former_life_never_goes_out_not_even_as_a_tombstone() {
        let mut case = case();
        case.present = Some(Generation(2));
        denied(&case, Cause::StaleGeneration);
        case.is_shredded = true;
        denied(&case, Cause::StaleGeneration);
        case.envelope.header.change_type = writ_model::taxonomy::ChangeType::Erasure;
        denied(&case, Cause::StaleGeneration);
        case.envelope.header.generation = Generation(2);
        granted(&case);
    }

    #[test]
    fn a_shredded_event_comes_out_as_a_tombstone_or_is_left_out_by_choice() {
        let mut case = case();
        case.is_shredded = true;
        assert_eq!(granted(&case).replayed(), Some(Shredded::Tombstone));
        case.shredded = Shredded::Skip;
        denied(&case, Cause::Shredded);
    }

    #[test]
    fn the_policy_hears_of_a_shredded_event_without_its_data() {
        let case = case();
        let stored = Stored {
            offset: Offset(7),
            header: &case.envelope.header,
            private: None,
            decision: &case.decision,
            present: None,
        };
        let policy = version();
        let asking = Asking {
            subscriber: "crm",
            shredded: Shredded::Tombstone,
            policy: &policy,
            card_hash_key: &[3; 32],
        };
        let question = Question::ask(stored, asking).expect("the policy is asked");
        assert!(question.document()["data"]["after"].is_null());
        assert_eq!(question.document()["change_type"], "email");
    }
}
