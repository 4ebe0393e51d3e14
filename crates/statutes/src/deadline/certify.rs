//! Which rows may carry a legal date. Every reason against it is given; one is enough.

use jiff::civil::Date;

use super::Moment;
use super::asked::Asked;
use super::span::Counted;
use crate::calendar::Calendar;
use crate::law::{Confidence, Row, Status};

/// Why the row, the calendar or the clock's own state cannot carry a legal date.
pub(super) fn obstacles(asked: &Asked<'_, '_>, counted: &Counted, is_stopped: bool) -> Vec<String> {
    let (row, day) = (asked.row, asked.day);
    let mut found = Vec::new();
    if row.from > day {
        found
            .push(format!("the duty begins on {} and does not reach a clock that starts on {day}", row.from));
    }
    found.extend(of_status(row));
    if row.confidence == Confidence::Low {
        let way = "counsel can confirm it in an overlay";
        found.push(format!("the table is not sure of the figure (low confidence); {way}"));
    }
    if let Some((from, to)) = counted.consulted {
        found.extend(of_calendar(asked.calendar, from, to));
    }
    if is_stopped {
        found.push("the clock stands still, and nobody has said that it runs again".to_owned());
    }
    match counted.legal {
        Moment::Day { .. } => found.extend(asked.doubt.clone()),
        Moment::At(_) => {}
    }
    found
}

fn of_calendar(calendar: &Calendar, from: Date, to: Date) -> Vec<String> {
    let mut found = Vec::new();
    if calendar.confidence == Confidence::Low {
        found.push(format!("the table is not sure of the calendar {}", calendar.id));
    }
    if !calendar.covers(from, to) {
        let years = calendar.valid;
        found.push(format!("the calendar {} is known for {} to {} only", calendar.id, years.from, years.to));
    }
    found
}

fn of_status(row: &Row) -> Option<String> {
    match row.status {
        Status::InForce => None,
        Status::Future => Some(format!(
            "when the table was made the duty was still to come, on {}; counsel can confirm it in an overlay",
            row.from
        )),
        Status::Proposed => Some("the rule is proposed and does not bind".to_owned()),
        Status::WaivedUntil => Some(format!(
            "the regulator has waived the rule until {}; counsel can confirm in an overlay that it binds since",
            row.from
        )),
        Status::PartlyEnjoined => Some("a court has stopped parts of the rule".to_owned()),
    }
}
