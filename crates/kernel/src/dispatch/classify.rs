//! What does an answer mean, item by item? A pure table; `docs/reference/delivery.md` is its public form.
//!
//! The rows follow the CloudEvents HTTP WebHook specification (410, 415, 429, no redirects) and Knative's
//! retry table (no response, 404, 408, 409, 429, 5xx). 401 and 403 retry: a wrong token is the operator's
//! trouble, and must not put every event into the dead letters while it lasts; the breaker holds the lane.

use std::time::Duration;

use writ_model::delivery::{Answer, Fault, HttpAnswer, Outcome};
use writ_model::id::AnswerDigest;
use writ_model::time::Timestamp;

use super::breaker::Health;
use super::http_date;

/// One outcome per item of the attempt. `wall` is read against a `Retry-After` date when the answer has no
/// `Date` of its own.
pub fn outcomes(answer: &Answer, items: usize, wall: Timestamp) -> Vec<Outcome> {
    match answer {
        Answer::PerItem(answers) if answers.len() == items => {
            answers.iter().map(|each| outcome(each, wall)).collect()
        }
        Answer::PerItem(_) | Answer::Http(_) | Answer::Durable | Answer::Failed(_) => {
            vec![outcome(answer, wall); items]
        }
    }
}

fn outcome(answer: &Answer, wall: Timestamp) -> Outcome {
    match answer {
        Answer::Durable => Outcome::Acknowledged,
        Answer::Http(http) => status(http, wall),
        Answer::Failed(fault) => failed(*fault),
        // Not one answer per item, so nobody knows which item it means.
        Answer::PerItem(_) => Outcome::Retry { cause: "answer_count".to_owned(), wait: None },
    }
}

fn status(http: &HttpAnswer, wall: Timestamp) -> Outcome {
    let cause = format!("http_{}", http.status);
    match http.status {
        200..=299 => Outcome::Acknowledged,
        410 => Outcome::SubscriberGone,
        401 | 403 | 404 | 408 | 409 | 425 | 429 | 500..=599 => {
            Outcome::Retry { cause, wait: retry_after(http, wall) }
        }
        _ => Outcome::Rejected { cause },
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
        | Fault::Unready => Outcome::Retry { cause, wait: None },
        Fault::Unsendable | Fault::Refused => Outcome::Rejected { cause },
    }
}

/// The wait in a `Retry-After` of 429 or 503, in either form (RFC 9110 section 10.2.3). A date in the past
/// is no wait; what is neither form is ignored.
fn retry_after(http: &HttpAnswer, wall: Timestamp) -> Option<Duration> {
    if http.status != 429 && http.status != 503 {
        return None;
    }
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
/// 429, or a wait that it named, says neither.
pub fn health(outcomes: &[Outcome]) -> Health {
    let mut health = Health::Unknown;
    for outcome in outcomes {
        match outcome {
            Outcome::Acknowledged | Outcome::Rejected { .. } | Outcome::SubscriberGone => {
                return Health::Works;
            }
            Outcome::Retry { wait: Some(_), .. } => {}
            Outcome::Retry { cause, wait: None } if cause == "http_429" => {}
            Outcome::Retry { wait: None, .. } => health = Health::Fails,
        }
    }
    health
}

/// The longest wait that the subscriber named.
pub fn wait(outcomes: &[Outcome]) -> Option<Duration> {
    outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Retry { wait, .. } => *wait,
            Outcome::Acknowledged | Outcome::Rejected { .. } | Outcome::SubscriberGone => None,
        })
        .max()
}

/// Whether a batch was refused as a whole, so that one event of it may be to blame.
pub fn is_whole_rejection(answer: &Answer, outcomes: &[Outcome]) -> bool {
    let per_item = matches!(answer, Answer::PerItem(_));
    !per_item && outcomes.len() > 1 && outcomes.iter().all(|o| matches!(o, Outcome::Rejected { .. }))
}

/// SHA-256 of the response body of one item, where there was one.
pub fn answer_sha256(answer: &Answer, item: usize) -> Option<AnswerDigest> {
    match answer {
        Answer::Http(http) => http.body_sha256,
        Answer::PerItem(answers) => answers.get(item).and_then(|each| match each {
            Answer::Http(_) => answer_sha256(each, 0),
            Answer::Durable | Answer::Failed(_) | Answer::PerItem(_) => None,
        }),
        Answer::Durable | Answer::Failed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16, retry_after: Option<&str>, date: Option<&str>) -> Answer {
        let [retry_after, date] = [retry_after, date].map(|text| text.map(str::to_owned));
        Answer::Http(HttpAnswer { status, retry_after, date, body_sha256: None })
    }

    fn one(answer: &Answer) -> Outcome {
        outcomes(answer, 1, Timestamp(0)).remove(0)
    }

    #[test]
    fn every_status_has_the_row_that_the_reference_prints() {
        let retried = [401, 403, 404, 408, 409, 425, 429];
        for status in 100..1000 {
            let got = one(&http(status, None, None));
            let cause = format!("http_{status}");
            let expected = match status {
                200..=299 => Outcome::Acknowledged,
                410 => Outcome::SubscriberGone,
                500..=599 => Outcome::Retry { cause, wait: None },
                s if retried.contains(&s) => Outcome::Retry { cause, wait: None },
                _ => Outcome::Rejected { cause },
            };
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn only_an_event_that_cannot_be_sent_is_a_rejecting_fault() {
        use Fault::*;
        for fault in [Resolve, AddressRefused, Connect, Tls, SendBroken, AnswerBroken, Timeout, LocalSink] {
            assert!(matches!(one(&Answer::Failed(fault)), Outcome::Retry { wait: None, .. }));
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
}
