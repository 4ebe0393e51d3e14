//! The section of one law with its duties.

use super::row;
use crate::law::{Due, Duty, Law, Recipients, Row};

pub(super) fn section(law: &Law) -> String {
    let mut text = format!("\n### `{}`: {}\n\n{}", law.id, law.name, facts(law));
    law.notes.iter().for_each(|note| text += &format!("{note}\n"));
    text += "\n| duty | rights | kind | since | status | clock starts at | due | extension | confidence | citation |\n\
             |---|---|---|---|---|---|---|---|---|---|\n";
    for duty in &law.duties {
        duty.rows.iter().for_each(|held| text += &line(duty, held));
    }
    let remarks: Vec<String> =
        law.duties.iter().flat_map(|duty| duty.rows.iter().flat_map(|held| remarks(duty, held))).collect();
    if !remarks.is_empty() {
        text += &format!("\n{}\n", remarks.join("\n"));
    }
    text
}

fn facts(law: &Law) -> String {
    let aliases =
        if law.aliases.is_empty() { String::new() } else { format!("Also `{}`. ", law.aliases.join("`, `")) };
    let span = if law.span.is_empty() { String::new() } else { format!(" ({})", law.span.join(" to ")) };
    let since = law.effective.map(|day| format!(", since {day}")).unwrap_or_default();
    let mut text = format!(
        "{aliases}{}. {}, anchor {}{since}. Days of {}{span}, calendar `{}`, counted by: {}. Enforced by {}; private action: {}.\n",
        law.citation.trim_end_matches('.'),
        law.jurisdiction,
        law.anchor,
        law.zone,
        law.calendar,
        law.counting,
        law.enforced_by.trim_end_matches('.'),
        law.private_action.trim_end_matches('.')
    );
    if !law.grants.is_empty() {
        text += &format!("Grants {}.\n", law.grants.join(", "));
    }
    if let Some(signal) = &law.signal {
        let since = signal.since.map(|day| format!(" since {day}")).unwrap_or_default();
        let must =
            if signal.required { format!("must be honoured{since}") } else { "is not required".to_owned() };
        text += &format!("An opt-out signal {must}. {}\n", signal.note.as_deref().unwrap_or_default());
    }
    text += &law.cure.as_ref().map(|cure| format!("Cure: {cure}.\n")).unwrap_or_default();
    text +=
        &law.third_parties.as_ref().map(|what| format!("About third parties: {what}.\n")).unwrap_or_default();
    let dates: Vec<String> =
        law.milestones.iter().map(|one| format!("{} ({})", one.date, one.what)).collect();
    if !dates.is_empty() {
        text += &format!("Dates: {}.\n", dates.join("; "));
    }
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn line(duty: &Duty, held: &Row) -> String {
    let extension = held.extension.as_ref().map_or_else(
        || "-".to_owned(),
        |more| {
            let condition = more.condition.as_ref().map(|when| format!(", if {when}")).unwrap_or_default();
            format!("{} {}s{condition}", more.n, more.unit)
        },
    );
    row(&[
        &format!("`{}`", duty.id),
        &duty.rights.join(", "),
        &duty.kind.to_string(),
        &held.from.to_string(),
        &held.status.to_string(),
        &held.clock.to_string(),
        &said(&held.due),
        &extension,
        &format!("{}, {}", held.confidence, held.verification),
        &held.citation,
    ])
}

/// A due in words.
pub(super) fn said(due: &Due) -> String {
    let number = due.period.map(|period| period.to_string());
    [number, due.also.clone(), due.standard.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn remarks(duty: &Duty, held: &Row) -> Vec<String> {
    let name = if duty.rows.len() > 1 {
        format!("`{}` since {}", duty.id, held.from)
    } else {
        format!("`{}`", duty.id)
    };
    let pause = held
        .pause
        .as_ref()
        .map(|pause| format!("the clock stops for {}: {}", pause.rights.join(", "), pause.when));
    let told = held.recipients.as_ref().map(recipients);
    let notes = (!held.notes.is_empty()).then(|| held.notes.join(" "));
    [told, pause, notes].into_iter().flatten().map(|what| format!("- {name}: {what}")).collect()
}

fn recipients(to: &Recipients) -> String {
    let more = [
        to.standard.clone(),
        to.exception.as_ref().map(|when| format!("except: {when}")),
        to.onward.as_ref().map(|what| format!("in turn: {what}")),
        to.citation.clone(),
    ];
    let more: Vec<String> = more.into_iter().flatten().collect();
    let who = format!("to be told: {}", to.who.join(", "));
    if more.is_empty() { who } else { format!("{who}; {}", more.join("; ")) }
}
