//! Writes `docs/reference/statutes.md` from the table, so that page and files cannot differ.

mod duties;

use crate::calendar::{Calendar, Moved};
use crate::law::{Bound, Law};
use crate::table::Table;

const HEAD: &str = "\
# Statutes

Written by `cargo xtask codegen` from the files under `statutes/`; change those. How dates follow from them is in the
[guide](../guide/deadlines.md). Engineering facts, not legal advice.

A row carries a legal date only when it is in force on the day its clock starts, has a number, and is of medium or high
confidence. Every other row informs. *High* means that the text was read or two sources agree; *medium* one report, or a
text that is known and was not opened again; *low* unconfirmed. `since` is the day from which the row can be used; where
it is the day of the act, earlier changes of the same figure were not researched.
";

/// The whole page.
pub fn page(table: &Table) -> String {
    let mut text = HEAD.to_owned();
    let (with, without): (Vec<&Law>, Vec<&Law>) = table.laws.values().partition(|law| !law.duties.is_empty());
    let duties: usize = table.laws.values().map(|law| law.duties.len()).sum();
    text += &format!(
        "\nHeld against its sources on {}, to be reviewed by {}: {} laws and standards, {duties} duties, {} calendars.\n",
        table.edition.as_of,
        table.edition.review_by,
        table.laws.len(),
        table.calendars.len()
    );
    text += "\n## Laws with duties\n";
    with.iter().for_each(|law| text += &duties::section(law));
    text += "\n## Laws and standards without duties\n\n| id | name | citation | what to know |\n|---|---|---|---|\n";
    without.iter().for_each(|law| {
        text += &row(&[&format!("`{}`", law.id), &law.name, &law.citation, &law.notes.join(" ")]);
    });
    text += &retention(table);
    text += &calendars(table);
    text += "\n## Rights\n\n| right | other words | means |\n|---|---|---|\n";
    for right in table.rights.values() {
        text += &row(&[&format!("`{}`", right.id), &right.aliases.join(", "), &right.means]);
    }
    text
}

/// One line of a Markdown table.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn retention(table: &Table) -> String {
    let mut text = "\n## Retention\n\nWhat the product's specification gives, beside what the law says. Only a minimum of a \
                    statute, a regulation or a rule of a self-regulatory organisation can hold back an erasure of the very \
                    records it is about; a policy never does.\n\n\
                    | law | records | specification | the law says | at least | at most | rests on | so | confidence |\n\
                    |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for law in table.laws.values() {
        for kept in &law.retention {
            let confidence = format!("{}, {}", kept.confidence, kept.verification);
            let basis = format!("{}: {}", kept.basis, kept.citation);
            text += &row(&[
                &format!("`{}`", law.id),
                &kept.record,
                kept.spec.as_deref().unwrap_or("-"),
                &kept.law,
                &bound(kept.floor.as_ref()),
                &bound(kept.ceiling.as_ref()),
                &basis,
                &kept.finding,
                &confidence,
            ]);
        }
    }
    text
}

fn bound(bound: Option<&Bound>) -> String {
    let Some(bound) = bound else { return "-".to_owned() };
    let number = bound.period.map(|period| period.to_string());
    let words = [number, bound.standard.clone(), bound.scope.as_ref().map(|scope| format!("({scope})"))];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn calendars(table: &Table) -> String {
    let mut text = "\n## Calendars\n".to_owned();
    for calendar in table.calendars.values() {
        text += &format!(
            "\n### `{}`: {}\n\n{}. Known for {} to {}. Confidence {}, {}.\n",
            calendar.id,
            calendar.name,
            calendar.authority.trim_end_matches('.'),
            calendar.valid.from,
            calendar.valid.to,
            calendar.confidence,
            calendar.verification
        );
        calendar.notes.iter().for_each(|note| text += &format!("{note}\n"));
        text += &holidays(calendar);
    }
    text
}

fn holidays(calendar: &Calendar) -> String {
    if calendar.holidays.is_empty() {
        return String::new();
    }
    let mut text = "\n| holiday | when | on a closed weekday |\n|---|---|---|\n".to_owned();
    for holiday in &calendar.holidays {
        let moved = match holiday.moved {
            Moved::Stays => "-",
            Moved::Nearest => "the nearest open weekday",
            Moved::NextFree => "the next open weekday that is no holiday",
        };
        let without: Vec<String> = holiday.except.iter().map(i16::to_string).collect();
        let limits = [
            holiday.from.map(|from| format!("since {from}")),
            holiday.to.map(|to| format!("until {to}")),
            (!without.is_empty()).then(|| format!("not in {}", without.join(", "))),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        let when = if limits.is_empty() {
            holiday.on.to_string()
        } else {
            format!("{} ({})", holiday.on, limits.join(", "))
        };
        text += &row(&[&holiday.name, &when, moved]);
    }
    text
}
