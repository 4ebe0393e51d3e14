//! Questions in a few words.

use std::sync::OnceLock;

use jiff::civil::Date;
use writ_statutes::deadline::{Acts, Answer, Question, Unanswerable, answer};
use writ_statutes::table::Table;
use writ_statutes::zone;

/// The table as it is shipped.
pub(crate) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::shipped().expect("the shipped files can be read"))
}

/// One duty of one law on one day.
#[derive(Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) law: &'a str,
    pub(crate) duty: &'a str,
    pub(crate) right: Option<&'a str>,
    pub(crate) received: &'a str,
    pub(crate) zone: Option<&'a str>,
    pub(crate) calendar: Option<&'a str>,
    pub(crate) acts: Acts,
}

/// Noon of a day in the law's own zone.
pub(crate) fn asked<'a>(law: &'a str, duty: &'a str, received: &'a str) -> Asked<'a> {
    Asked { law, duty, right: None, received, zone: None, calendar: None, acts: Acts::default() }
}

impl Asked<'_> {
    pub(crate) fn try_answer(&self, table: &'static Table) -> Result<Answer<'static>, Unanswerable> {
        let law = table.law(self.law).expect("the law is known");
        let duty = law.duty(self.duty).expect("the duty is known");
        let local = zone::find(self.zone.unwrap_or(&law.zone));
        let day: Date = self.received.parse().expect("a date");
        let start = match local {
            Some(zone) => day.at(12, 0, 0, 0).to_zoned(zone).expect("noon exists").timestamp(),
            None => day.at(12, 0, 0, 0).in_tz("UTC").expect("noon exists").timestamp(),
        };
        let question = Question {
            law,
            duty,
            right: self.right.map(|right| right.to_owned().leak() as &'static str),
            start,
            zone: self.zone.map(|zone| zone.to_owned().leak() as &'static str),
            calendar: self.calendar.map(|calendar| calendar.to_owned().leak() as &'static str),
            acts: self.acts.clone(),
        };
        answer(table, &question)
    }

    pub(crate) fn answer(&self) -> Answer<'static> {
        self.try_answer(table()).expect("the question has an answer")
    }

    /// Legal, safe and policy dates as text; `-` where there is none.
    pub(crate) fn days(&self) -> [String; 3] {
        let answer = self.answer();
        [&answer.legal, &answer.safe, &answer.policy]
            .map(|dated| dated.moment.as_ref().map_or("-".to_owned(), |moment| moment.day().to_string()))
    }
}
