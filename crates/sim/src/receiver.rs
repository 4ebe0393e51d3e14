//! One subscriber of the world, in whatever mood it is.

use std::time::Duration;

use serde_json::json;
use writ_model::delivery::{Answer, AnswerBody, Fault, HttpAnswer};

use crate::chance::Chance;

/// How a subscriber behaves for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Healthy,
    Slow,
    Throttling,
    Failing,
    Unauthorised,
    Hanging,
    Unreachable,
    /// Processes, then the connection breaks.
    Forgetful,
    /// Answers twice.
    Doubling,
    /// Answers 410 to everything.
    Gone,
    /// Refuses batches of more than two.
    Narrow,
    /// Answers item by item, each by chance.
    Itemised,
    /// Comes for one offer in ten: with one who never comes, the world would never rest.
    Absent,
}

pub(crate) const MOODS: [Mood; 13] = [
    Mood::Healthy,
    Mood::Slow,
    Mood::Throttling,
    Mood::Failing,
    Mood::Unauthorised,
    Mood::Hanging,
    Mood::Unreachable,
    Mood::Forgetful,
    Mood::Doubling,
    Mood::Gone,
    Mood::Narrow,
    Mood::Itemised,
    Mood::Absent,
];

/// What a subscriber does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reaction {
    pub(crate) answer: Answer,
    pub(crate) after: Duration,
    /// Which items it processed.
    pub(crate) processed: Vec<bool>,
    pub(crate) answers_twice: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) mood: Mood,
    /// One event in so many is refused; 0 for none.
    pub(crate) poison: u64,
    pub(crate) noise: u64,
    /// It says what it has to say in words of its own.
    pub(crate) speaks: bool,
}

impl Receiver {
    pub(crate) fn react(&self, chance: &mut Chance, numbers: &[u64]) -> Reaction {
        let mood = if chance.percent(self.noise) {
            *chance.pick(&MOODS[1..9]).unwrap_or(&self.mood)
        } else {
            self.mood
        };
        let after = match mood {
            Mood::Slow => chance.millis(500, 5_000),
            Mood::Hanging => Duration::from_secs(15),
            Mood::Absent => Duration::from_secs(30),
            _ => chance.millis(1, 80),
        };
        let (mut answer, mut processed) = self.judge(mood, chance, numbers);
        if self.speaks && !numbers.is_empty() {
            (answer, processed) = in_own_words(chance, answer, processed);
        }
        Reaction { answer, after, processed, answers_twice: mood == Mood::Doubling }
    }

    fn judge(&self, mood: Mood, chance: &mut Chance, numbers: &[u64]) -> (Answer, Vec<bool>) {
        let none = vec![false; numbers.len()];
        match mood {
            Mood::Throttling => (throttle(chance), none),
            Mood::Failing => (http(*chance.pick(&[500, 502, 503, 504, 404, 409]).unwrap_or(&500)), none),
            Mood::Unauthorised => (http(*chance.pick(&[401, 403]).unwrap_or(&401)), none),
            Mood::Hanging => (Answer::Failed(Fault::Timeout), none),
            Mood::Unreachable => {
                let faults = [Fault::Resolve, Fault::Connect, Fault::Tls, Fault::SendBroken];
                (Answer::Failed(*chance.pick(&faults).unwrap_or(&Fault::Connect)), none)
            }
            Mood::Absent if chance.percent(90) => (Answer::Failed(Fault::NotTaken), none),
            Mood::Gone => (http(410), none),
            Mood::Narrow if numbers.len() > 2 => (http(413), none),
            Mood::Itemised => self.judge_items(chance, numbers),
            Mood::Forgetful if !self.refuses(numbers) => {
                (Answer::Failed(Fault::AnswerBroken), vec![true; numbers.len()])
            }
            Mood::Healthy | Mood::Slow | Mood::Doubling | Mood::Narrow | Mood::Forgetful | Mood::Absent => {
                if self.refuses(numbers) {
                    (http(422), none)
                } else {
                    (http(204), vec![true; numbers.len()])
                }
            }
        }
    }

    fn judge_items(&self, chance: &mut Chance, numbers: &[u64]) -> (Answer, Vec<bool>) {
        let answers: Vec<Answer> = numbers
            .iter()
            .map(|number| match (self.refuses(&[*number]), chance.percent(70)) {
                (true, _) => http(422),
                (false, true) => http(200),
                (false, false) => http(500),
            })
            .collect();
        // An order-keeping receiver processes nothing behind an item that it did not take; whether it says
        // so per subject is not modelled, so such answers only come for single events.
        if numbers.len() == 1 {
            let processed = answers.iter().map(|answer| *answer == http(200)).collect();
            return (Answer::PerItem(answers), processed);
        }
        (http(500), vec![false; numbers.len()])
    }

    pub(crate) fn refuses(&self, numbers: &[u64]) -> bool {
        self.poison > 0 && numbers.iter().any(|number| number.is_multiple_of(self.poison))
    }
}

fn http(status: u16) -> Answer {
    Answer::Http(HttpAnswer { status, ..HttpAnswer::default() })
}

fn throttle(chance: &mut Chance) -> Answer {
    let forms = ["0", "2", "100000", "Tue, 24 Nov 2037 16:00:04 GMT", "nonsense"];
    let retry_after = chance.pick(&forms).map(|form| (*form).to_owned());
    let status = if chance.percent(50) { 429 } else { 503 };
    Answer::Http(HttpAnswer { status, retry_after, ..HttpAnswer::default() })
}

/// The same in words that the table would misunderstand, and the subscriber's rules do not.
fn in_own_words(chance: &mut Chance, answer: Answer, processed: Vec<bool>) -> (Answer, Vec<bool>) {
    let Answer::Http(HttpAnswer { status, .. }) = &answer else { return (answer, processed) };
    let (status, word) = (*status, chance.between(0, 2));
    let takes_all = processed.iter().all(|done| *done);
    match (status, word) {
        (200 | 204, 0) if takes_all => (with_header(409, "x-known", "yes"), processed),
        (200 | 204, 1) if takes_all => (with_body(200, &json!({"ok": true})), processed),
        (500..=504, 0) => (with_body(200, &json!({"ok": false})), processed),
        (500..=504, 1) => (with_header(202, "x-outcome", "later, please"), processed),
        // Takes the first few, in order.
        (500..=504, 2) if processed.len() > 1 => {
            let taken = chance.between(0, processed.len() as u64 - 1) as usize;
            let processed: Vec<bool> = (0..processed.len()).map(|at| at < taken).collect();
            let status = |done: &bool| json!({"status": if *done { 200 } else { 503 }});
            let results: Vec<_> = processed.iter().map(status).collect();
            (with_body(200, &json!({"results": results})), processed)
        }
        (422, 0) => (with_body(200, &json!({"ok": "never"})), processed),
        _ => (answer, processed),
    }
}

fn with_header(status: u16, name: &str, value: &str) -> Answer {
    let headers = vec![(name.to_owned(), value.to_owned())];
    Answer::Http(HttpAnswer { status, headers, ..HttpAnswer::default() })
}

fn with_body(status: u16, body: &serde_json::Value) -> Answer {
    let body = Some(AnswerBody::new(body.to_string().into_bytes()));
    Answer::Http(HttpAnswer { status, body, ..HttpAnswer::default() })
}
