//! What was given on the command line, as moments, dates and acts.

use jiff::Timestamp;
use jiff::civil::Date;
use writ_model::code;
use writ_statutes::deadline::{Acts, Pause, Told};

use crate::exit::{BAD_INPUT, Failure};

pub(super) fn moment(text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|_| refused(&format!("{text:?} is no moment; write 2026-03-31T10:00:00+02:00")))
}

fn date(text: &str) -> Result<Date, Failure> {
    // The library would take a whole moment for a date and drop the rest.
    const DATE_BYTES: usize = "2026-03-31".len();
    let read = (text.len() == DATE_BYTES).then(|| text.parse().ok()).flatten();
    read.ok_or_else(|| refused(&format!("{text:?} is no date; write 2026-03-31")))
}

/// Pairs of a date and a reason, and pairs of dates, as clap hands them over: flat.
pub(super) fn acts(extend: &[String], pause: &[String]) -> Result<Acts, Failure> {
    let told = extend.chunks_exact(2).map(|pair| Ok(Told { on: date(&pair[0])?, reason: pair[1].clone() }));
    let pauses =
        pause.chunks_exact(2).map(|pair| Ok(Pause { from: date(&pair[0])?, to: Some(date(&pair[1])?) }));
    Ok(Acts { told: told.collect::<Result<_, Failure>>()?, pauses: pauses.collect::<Result<_, Failure>>()? })
}

fn refused(text: &str) -> Failure {
    Failure::coded(code::DEADLINE_UNANSWERABLE, text, BAD_INPUT)
}
