//! What is due of a request, by the statute table: every duty of the law that serves the right, with the dates that the
//! table supports and no others.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use writ_model::case::{Act, Clock, Due};
use writ_model::code;
use writ_model::time::Timestamp as Wall;
use writ_statutes::deadline::{Acts, Dated, Moment, Question, Told, answer};
use writ_statutes::table::Table;
use writ_statutes::zone;

use crate::error::EngineError;
use crate::statutes;

/// What is asked of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) law: &'a str,
    pub(crate) right: &'a str,
    pub(crate) received_at: Wall,
    pub(crate) zone: Option<&'a str>,
    pub(crate) calendar: Option<&'a str>,
    pub(crate) extensions: &'a [Act],
}

/// The table that clocks are counted by.
pub(crate) fn table(overlay: Option<&Path>) -> Result<Table, EngineError> {
    statutes::table(overlay).map_err(|cause| {
        let remedy = "`writ deadline list --overlay FILE` says what is wrong with it";
        EngineError::new(code::OVERLAY_UNUSABLE, "compliance.statutes", cause.replace('\n', "; "), remedy)
    })
}

/// The clocks of a request. A minimum (a floor) is no clock: it says "not before".
pub(crate) fn clocks(table: &Table, asked: Asked<'_>) -> Result<Vec<Clock>, EngineError> {
    let law = table.law(asked.law).map_err(refused)?;
    let right = table.right(asked.right).map_err(refused)?.id.as_str();
    let start = Timestamp::from_microsecond(asked.received_at.0).map_err(refused)?;
    let mut clocks = Vec::new();
    for duty in table.duties(law, right).map_err(refused)?.into_iter().filter(|duty| !duty.is_floor()) {
        let acts = Acts {
            told: asked
                .extensions
                .iter()
                .filter_map(|act| told(act, asked.zone.unwrap_or(&law.zone)))
                .collect(),
            pauses: Vec::new(),
        };
        let question = Question {
            law,
            duty,
            right: Some(right),
            start,
            zone: asked.zone,
            calendar: asked.calendar,
            acts,
        };
        let answer = answer(table, &question).map_err(refused)?;
        clocks.push(Clock {
            duty: duty.id.clone(),
            kind: duty.kind.to_string(),
            citation: answer.row.citation.clone(),
            legal: due(&answer.legal),
            safe: due(&answer.safe),
            policy: due(&answer.policy),
        });
    }
    Ok(clocks)
}

/// An extension, told on the day that it was in the law's zone.
fn told(act: &Act, law_zone: &str) -> Option<Told> {
    let at = Timestamp::from_microsecond(act.at.0).ok()?;
    let on: Date = zone::day_of(at, &zone::find(law_zone)?);
    Some(Told { on, reason: act.note.clone() })
}

fn due(dated: &Dated) -> Option<Due> {
    let moment: &Moment = dated.moment.as_ref()?;
    let over = Wall(moment.over().timestamp().as_microsecond());
    Some(Due { day: moment.day().to_string(), over })
}

/// Why the table has no answer.
pub(crate) fn refused(cause: impl std::fmt::Display) -> EngineError {
    let remedy = "`writ deadline list` shows laws, duties and rights";
    EngineError::new(code::STATUTE_UNKNOWN, "find what is due of the request", cause, remedy)
}
