//! What can be wrong with the rows of one duty.

use super::{is_plain, unlisted, unsourced};
use crate::law::{Duty, Extension, Kind, Law, Period, Row, Status, Unit};
use crate::table::Table;

pub(super) fn of_duty(table: &Table, law: &Law, duty: &Duty) -> Vec<String> {
    let mut found: Vec<String> = duty.rights.iter().filter_map(|right| unlisted(table, right)).collect();
    if !is_plain(&duty.id) {
        found.push("its id is no plain lower-case name".to_owned());
    }
    if duty.rights.is_empty() {
        found.push("it serves no right".to_owned());
    }
    if duty.rows.is_empty() {
        found.push("it has no rows".to_owned());
    }
    let unordered = duty.rows.windows(2).filter(|pair| pair[0].from >= pair[1].from);
    found.extend(
        unordered.map(|pair| format!("the row from {} does not follow the one before it", pair[1].from)),
    );
    for row in &duty.rows {
        let wrong = of_row(table, law, duty, row);
        found.extend(wrong.into_iter().map(|what| format!("row from {}: {what}", row.from)));
    }
    found
}

fn of_row(table: &Table, law: &Law, duty: &Duty, row: &Row) -> Vec<String> {
    let mut found = unsourced(table, &row.sources, row.confidence, row.verification);
    if law.effective.is_some_and(|effective| row.from < effective) {
        found.push("it begins before the law".to_owned());
    }
    found.extend(against_the_date(table, row));
    if row.citation.trim().is_empty() {
        found.push("the citation is empty".to_owned());
    }
    found.extend(row.due.period.and_then(out_of_bounds));
    if let Some(extension) = &row.extension {
        found.extend(of_extension(row.due.period, extension));
    }
    found.extend(of_pause(duty, row));
    if duty.kind == Kind::Propagate && row.recipients.as_ref().is_none_or(|to| to.who.is_empty()) {
        found.push("a duty to propagate names its recipients".to_owned());
    }
    found
}

/// A row in force began before the table was made; one that was to come, after it.
fn against_the_date(table: &Table, row: &Row) -> Option<String> {
    let as_of = table.edition.as_of;
    match row.status {
        Status::InForce if row.from > as_of => {
            Some(format!("in force, but it begins after the table of {as_of}"))
        }
        Status::Future | Status::WaivedUntil if row.from <= as_of => {
            Some(format!("{}, but it begins before the table of {as_of}", row.status))
        }
        Status::InForce
        | Status::Future
        | Status::WaivedUntil
        | Status::Proposed
        | Status::PartlyEnjoined => None,
    }
}

pub(super) fn out_of_bounds(period: Period) -> Option<String> {
    let most = period.unit.most();
    let is_bounded = (1..=most).contains(&period.n);
    (!is_bounded).then(|| format!("{period} is no period of a law: from 1 to {most}"))
}

fn of_extension(period: Option<Period>, extension: &Extension) -> Vec<String> {
    let mut found: Vec<String> =
        out_of_bounds(Period { n: extension.n, unit: extension.unit }).into_iter().collect();
    match period {
        None => found.push("an extension of a period without a number".to_owned()),
        Some(period) if period.unit != extension.unit => {
            found.push(format!("{} are extended by {}s", period, extension.unit));
        }
        Some(_) => {}
    }
    found
}

fn of_pause(duty: &Duty, row: &Row) -> Vec<String> {
    let Some(pause) = &row.pause else { return Vec::new() };
    let strangers = pause.rights.iter().filter(|right| !duty.serves(right));
    let mut found: Vec<String> =
        strangers.map(|right| format!("a pause for {right}, which the duty does not serve")).collect();
    if pause.rights.is_empty() {
        found.push("a pause for no right".to_owned());
    }
    match row.due.period.map(|period| period.unit) {
        Some(Unit::CalendarDay | Unit::Month | Unit::Year) => {}
        Some(Unit::Minute | Unit::Hour | Unit::BusinessDay) | None => {
            found.push("a pause needs a period in calendar days, months or years".to_owned());
        }
    }
    found
}
