//! What does an answer mean, item by item? The subscriber's own rules ([`super::answers`]), then a pure table; `docs/reference/delivery.md` is its public form.
//!
//! The rows follow the CloudEvents HTTP WebHook specification (410, 415, 429, no redirects) and Knative's
//! retry table (no response, 404, 408, 409, 429, 5xx). 401 and 403 retry: a wrong token is the operator's
//! trouble, and must not put every event into the dead letters while it lasts; the breaker holds the lane.

use std::time::Duration;

use writ_model::delivery::{Answer, Fault, HttpAnswer, Outcome, Word};
use writ_model::id::AnswerDigest;
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;

use super::answers::{Meaning, Rules, Seen};
use super::breaker::Health;
use super::http_date;

/// What an answer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The subscriber's own rules, before the table.
    pub rules: &'a Rules,
    /// Read against a `Retry-After` date when the answer has no `Date` of its own.
    pub wall: Timestamp,
}

/// One outcome per item of an attempt, and whether the subscriber told the items apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// In the order of the items.
    pub outcomes: Vec<Outcome>,
    /// Each item has an answer of its own.
    pub is_itemised: bool,
}

impl Verdict {
    /// Whether a batch was refused as a whole, so that one event of it may be to blame.
    pub fn is_whole_rejection(&self) -> bool {
        let all = self.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Rejected { .. }));
        !self.is_itemised && self.outcomes.len() > 1 && all
    }
}

impl Judge<'_> {
    /// What an answer to items of these change types means.
    pub fn verdict(self, answer: &Answer, items: &[ChangeType]) -> Verdict {
        match answer {
            Answer::PerItem(answers) if answers.len() == items.len() => {
                let pairs = answers.iter().zip(items);
                let outcomes = pairs.map(|(each, change_type)| self.outcome(each, *change_type)).collect();
                Verdict { outcomes, is_itemised: true }
            }
            Answer::Http(http) => self.http(http, items),
            Answer::PerItem(_) | Answer::Durable | Answer::Failed(_) | Answer::Consumer(_) => {
                let outcomes = items.iter().map(|change_type| self.outcome(answer, *change_type)).collect();
                Verdict { outcomes, is_itemised: false }
            }
        }
    }

    fn outcome(self, answer: &Answer, change_type: ChangeType) -> Outcome {
        match answer {
            Answer::Durable => Outcome::Acknowledged,
            Answer::Http(http) => {
                let body = self.rules.body(http);
                self.seen(Seen { status: http.status, http, body: body.as_ref(), change_type })
            }
            Answer::Failed(fault) => failed(*fault),
            Answer::Consumer(word) => said(*word),
            // Not one answer per item, so nobody knows which item it means.
            Answer::PerItem(_) => Outcome::Retry { cause: "answer_count".to_owned() },
        }
    }

    /// An answer whose body may hold a result for each item.
    fn http(self, http: &HttpAnswer, items: &[ChangeType]) -> Verdict {
        let body = self.rules.body(http);
        let Some(results) = self.rules.results(http, body.as_ref()) else {
            let whole = |change_type: &ChangeType| {
                let change_type = *change_type;
                self.seen(Seen { status: http.status, http, body: body.as_ref(), change_type })
            };
            return Verdict { outcomes: items.iter().map(whole).collect(), is_itemised: false };
        };
        if results.len() != items.len() {
            let outcome = Outcome::Retry { cause: "answer_count".to_owned() };
            return Verdict { outcomes: vec![outcome; items.len()], is_itemised: false };
        }
        let result = |((status, body), change_type): ((u16, _), &ChangeType)| {
            self.seen(Seen { status, http, body: Some(body), change_type: *change_type })
        };
        Verdict { outcomes: results.into_iter().zip(items).map(result).collect(), is_itemised: true }
    }

    /// The rules first, then the table.
    fn seen(self, seen: Seen<'_>) -> Outcome {
        let status = seen.status;
        let Some((number, meaning)) = self.rules.judge(seen) else {
            return table(status, seen.http, self.wall);
        };
        let cause = format!("http_{status}/rule_{number}");
        match meaning {
            Meaning::Acknowledged => Outcome::Acknowledged,
            Meaning::Retry => Outcome::Retry { cause },
            Meaning::Rejected => Outcome::Rejected { cause },
            Meaning::Throttled => Outcome::Throttled { cause, wait: retry_after(seen.http, self.wall) },
            Meaning::Gone => Outcome::SubscriberGone,
        }
    }
}

fn table(status: u16, http: &HttpAnswer, wall: Timestamp) -> Outcome {
    let cause = format!("http_{status}");
    match status {
        200..=299 => Outcome::Acknowledged,
        410 => Outcome::SubscriberGone,
        429 => Outcome::Throttled { cause, wait: retry_after(http, wall) },
        503 => match retry_after(http, wall) {
            Some(wait) => Outcome::Throttled { cause, wait: Some(wait) },
            None => Outcome::Retry { cause },
        },
        401 | 403 | 404 | 408 | 409 | 425 | 500..=599 => Outcome::Retry { cause },
        _ => Outcome::Rejected { cause },
    }
}

fn said(word: Word) -> Outcome {
    let cause = "consumer_retry".to_owned();
    match word {
        Word::Acknowledged => Outcome::Acknowledged,
        Word::Rejected(objection) => Outcome::Rejected { cause: objection.as_str().to_owned() },
        Word::Retry(None) => Outcome::Retry { cause },
        Word::Retry(wait @ Some(_)) => Outcome::Throttled { cause, wait },
    }
}

fn failed(fault: Fault) -> Outcome {
    let cause = fault.as_str().to_owned();
    match fault {
        Fault::Resolve
        | Fault::AddressRefused
        | Fault::Connect
        | Fault::Tls
        | Fault::SendBroken
        | Fault::AnswerBroken
        | Fault::Timeout
        | Fault::LocalSink
        | Fault::Conflict
        | Fault::Fenced
        | Fault::Unready
        | Fault::LeaseExpired => Outcome::Retry { cause },
        Fault::Unsendable | Fault::Refused => Outcome::Rejected { cause },
        Fault::NotTaken => Outcome::NotTaken,
    }
}

/// The wait in a `Retry-After`, in either form (RFC 9110 section 10.2.3). A date in the past
/// is no wait; what is neither form is ignored.
fn retry_after(http: &HttpAnswer, wall: Timestamp) -> Option<Duration> {
    let text = http.retry_after.as_deref()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a longer wait than any bound.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let until = http_date::parse(text)?;
    let base = http.date.as_deref().and_then(http_date::parse).unwrap_or(wall);
    Some(Duration::from_micros(u64::try_from(until.0.saturating_sub(base.0)).unwrap_or(0)))
}

/// What the outcomes of one attempt say about the subscriber. A rejection is a working subscriber's word; a
/// 429, a wait that it named, or a consumer that is not there says neither.
pub fn health(outcomes: &[Outcome]) -> Health {
    let mut health = Health::Unknown;
    for outcome in outcomes {
        match outcome {
            Outcome::Acknowledged | Outcome::Rejected { .. } | Outcome::SubscriberGone => {
                return Health::Works;
            }
            Outcome::Throttled { .. } | Outcome::NotTaken => {}
            Outcome::Retry { .. } => health = Health::Fails,
        }
    }
    health
}

/// The longest wait that the subscriber named.
pub fn wait(outcomes: &[Outcome]) -> Option<Duration> {
    outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Throttled { wait, .. } => *wait,
            Outcome::Acknowledged
            | Outcome::Retry { .. }
            | Outcome::Rejected { .. }
            | Outcome::NotTaken
            | Outcome::SubscriberGone => None,
        })
        .max()
}

/// SHA-256 of the response body of one item, where there was one.
pub fn answer_sha256(answer: &Answer, item: usize) -> Option<AnswerDigest> {
    match answer {
        Answer::Http(http) => http.body_sha256,
        Answer::PerItem(answers) => answers.get(item).and_then(|each| match each {
            Answer::Http(_) => answer_sha256(each, 0),
            Answer::Durable | Answer::Failed(_) | Answer::Consumer(_) | Answer::PerItem(_) => None,
        }),
        Answer::Durable | Answer::Failed(_) | Answer::Consumer(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use writ_model::delivery::{AnswerBody, Objection};

    use super::*;

    fn http(status: u16, retry_after: Option<&str>, date: Option<&str>) -> Answer {
        let [retry_after, date] = [retry_after, date].map(|text| text.map(str::to_owned));
        Answer::Http(HttpAnswer { status, retry_after, date, ..HttpAnswer::default() })
    }

    fn outcomes(answer: &Answer, items: usize, wall: Timestamp) -> Vec<Outcome> {
        Judge { rules: &Rules::default(), wall }.verdict(answer, &vec![ChangeType::Email; items]).outcomes
    }

    fn one(answer: &Answer) -> Outcome {
        outcomes(answer, 1, Timestamp(0)).remove(0)
    }

    #[test]
    fn every_status_has_the_row_that_the_reference_prints() {
        let retried = [401, 403, 404, 408, 409, 425];
        for status in 100..1000 {
            let got = one(&http(status, None, None));
            let cause = format!("http_{status}");
            let expected = match status {
                200..=299 => Outcome::Acknowledged,
                410 => Outcome::SubscriberGone,
                429 => Outcome::Throttled { cause, wait: None },
                500..=599 => Outcome::Retry { cause },
                s if retried.contains(&s) => Outcome::Retry { cause },
                _ => Outcome::Rejected { cause },
            };
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_consumers_word_is_taken_as_it_is_said() {
        let said = |word| one(&Answer::Consumer(word));
        let (wait, cause) = (Some(Duration::from_secs(7)), "consumer_retry".to_owned());
        assert_eq!(said(Word::Acknowledged), Outcome::Acknowledged);
        assert_eq!(said(Word::Retry(wait)), Outcome::Throttled { cause: cause.clone(), wait });
        assert_eq!(said(Word::Retry(None)), Outcome::Retry { cause });
        let rejected = Outcome::Rejected { cause: "rejected_conflict".into() };
        assert_eq!(said(Word::Rejected(Objection::Conflict)), rejected);
    }

    #[test]
    fn an_offer_to_nobody_says_nothing_of_the_subscriber_and_an_expired_lease_does() {
        assert_eq!(one(&Answer::Failed(Fault::NotTaken)), Outcome::NotTaken);
        assert_eq!(health(&[Outcome::NotTaken]), Health::Unknown);
        assert_eq!(health(&[one(&Answer::Failed(Fault::LeaseExpired))]), Health::Fails);
    }

    #[test]
    fn only_an_event_that_cannot_be_sent_is_a_rejecting_fault() {
        use Fault::*;
        for fault in [Resolve, AddressRefused, Connect, Tls, SendBroken, AnswerBroken, Timeout, LocalSink] {
            assert!(matches!(one(&Answer::Failed(fault)), Outcome::Retry { .. }));
        }
        assert!(matches!(one(&Answer::Failed(Unsendable)), Outcome::Rejected { .. }));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = "Fri, 06 Nov 2026 08:49:37 GMT";
        let later = "Fri, 06 Nov 2026 08:51:37 GMT";
        let waits = |answer: &Answer| wait(&[one(answer)]).map(|w| w.as_secs());
        assert_eq!(waits(&http(429, Some(" 120 "), None)), Some(120));
        assert_eq!(waits(&http(503, Some(later), Some(now))), Some(120));
        assert_eq!(waits(&http(503, Some(now), Some(later))), Some(0));
        assert_eq!(waits(&http(503, Some("99999999999999999999999"), None)), Some(u64::from(u32::MAX)));
        assert_eq!(waits(&http(503, Some("soon"), None)), None);
        assert_eq!(waits(&http(500, Some("120"), None)), None);
    }

    #[test]
    fn a_date_without_the_answers_own_date_is_read_against_the_wall_clock() {
        let wall: Timestamp = "2026-11-06T08:49:37Z".parse().expect("a time");
        let answer = http(429, Some("Fri, 06 Nov 2026 08:49:47 GMT"), None);
        assert_eq!(wait(&outcomes(&answer, 1, wall)), Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_batch_answer_holds_for_every_item_and_a_wrong_count_for_none() {
        assert_eq!(outcomes(&Answer::Durable, 3, Timestamp(0)), vec![Outcome::Acknowledged; 3]);
        let short = Answer::PerItem(vec![Answer::Durable]);
        let all = outcomes(&short, 2, Timestamp(0));
        assert!(all.iter().all(|o| matches!(o, Outcome::Retry { .. })) && all.len() == 2);
    }

    #[test]
    fn a_throttling_subscriber_is_not_a_failing_one() {
        assert_eq!(health(&[one(&http(429, None, None))]), Health::Unknown);
        assert_eq!(health(&[one(&http(503, Some("1"), None))]), Health::Unknown);
        assert_eq!(health(&[one(&http(503, None, None))]), Health::Fails);
        assert_eq!(health(&[one(&http(422, None, None))]), Health::Works);
    }

    fn rules(rules: serde_json::Value, items: Option<serde_json::Value>) -> Rules {
        let read = |items| serde_json::from_value(items).expect("items");
        Rules { rules: serde_json::from_value(rules).expect("rules"), items: items.map(read) }
    }

    fn judged(rules: &Rules, status: u16, body: &str, items: usize) -> Verdict {
        let body = Some(AnswerBody::new(body.as_bytes().to_vec()));
        let http = HttpAnswer { status, body, retry_after: Some("7".into()), ..HttpAnswer::default() };
        Judge { rules, wall: Timestamp(0) }.verdict(&Answer::Http(http), &vec![ChangeType::Email; items])
    }

    #[test]
    fn a_rule_stands_before_the_table_and_its_number_is_in_the_cause() {
        let failing = json!([{ "status": 200, "body": { "at": "/ok", "equals": false }, "then": "retry" }]);
        let failing = rules(failing, None);
        let bad = judged(&failing, 200, r#"{"ok": false}"#, 1).outcomes;
        assert_eq!(bad, [Outcome::Retry { cause: "http_200/rule_1".into() }]);
        assert_eq!(health(&bad), Health::Fails);
        assert_eq!(judged(&failing, 200, r#"{"ok": true}"#, 1).outcomes, [Outcome::Acknowledged]);
        let throttling = rules(json!([{ "status": 420, "then": "throttled" }]), None);
        let slow = judged(&throttling, 420, "", 1).outcomes;
        assert_eq!((wait(&slow), health(&slow)), (Some(Duration::from_secs(7)), Health::Unknown));
    }

    #[test]
    fn an_array_in_the_body_gives_each_item_its_own_outcome() {
        let duplicate = json!([{ "body": { "at": "/code", "equals": "DUPLICATE" }, "then": "acknowledged" }]);
        let rules = rules(duplicate, Some(json!({ "at": "/results", "status": "/status" })));
        let body = r#"{"results": [{"status": 200}, {"status": 400, "code": "DUPLICATE"}, {"status": 400}]}"#;
        let verdict = judged(&rules, 200, body, 3);
        let rejected = Outcome::Rejected { cause: "http_400".into() };
        assert_eq!(verdict.outcomes, [Outcome::Acknowledged, Outcome::Acknowledged, rejected]);
        let short = judged(&rules, 200, body, 2).outcomes;
        assert!(short.iter().all(|one| *one == Outcome::Retry { cause: "answer_count".into() }));
    }

    #[test]
    fn a_rule_for_an_erasure_leaves_what_is_beside_it_in_the_batch_to_the_table() {
        let gone = json!([{ "status": 410, "change_types": ["erasure"], "then": "acknowledged" }]);
        let rules = rules(gone, None);
        let answer = http(410, None, None);
        let types = [ChangeType::Erasure, ChangeType::Email];
        let verdict = Judge { rules: &rules, wall: Timestamp(0) }.verdict(&answer, &types);
        assert_eq!(verdict.outcomes, [Outcome::Acknowledged, Outcome::SubscriberGone]);
    }

    #[test]
    fn items_that_are_all_refused_one_by_one_are_no_refused_batch() {
        let rules = rules(json!([]), Some(json!({ "at": "", "status": "" })));
        assert!(!judged(&rules, 200, "[400, 422]", 2).is_whole_rejection());
        assert!(judged(&rules, 400, "[400, 422]", 2).is_whole_rejection());
    }
}
