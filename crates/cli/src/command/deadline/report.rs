//! An answer in words and as JSON.

use serde_json::{Value, json};
use writ_statutes::deadline::{Answer, Dated, Moment};
use writ_statutes::law::{Due, Duty, Law, Period};
use writ_statutes::table::Table;
use writ_statutes::zone;

/// Local time with its offset.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%:z";

pub(super) fn head(table: &Table, law: &Law, right: Option<&str>) -> String {
    let asked = right.map(|right| format!(", {right}")).unwrap_or_default();
    let overlay = table.overlay.as_ref().map(|name| format!(" under the overlay {name}")).unwrap_or_default();
    format!(
        "{} ({}){asked}\nstatute table of {}{overlay}, time zones of {}; not legal advice",
        law.name,
        law.id,
        table.edition.as_of,
        zone::release()
    )
}

pub(super) fn words(duty: &Duty, answer: &Answer<'_>) -> String {
    let row = answer.row;
    let mut lines = vec![
        format!("{}  ({}, {})", duty.id, duty.kind, said(&row.due)),
        format!(
            "  the law     {}; {}, confidence {}, {}",
            row.citation, row.status, row.confidence, row.verification
        ),
        format!(
            "  the clock   starts at {}; counted from {} in {}",
            row.clock,
            answer.start.strftime(LOCAL),
            answer.zone
        ),
    ];
    let is_floor = duty.is_floor();
    for (name, dated) in [("legal", &answer.legal), ("safe", &answer.safe), ("policy", &answer.policy)] {
        lines.push(format!("  {name:<12}{}", moment(dated, is_floor)));
        lines.extend(dated.reasons.iter().map(|reason| format!("              {reason}")));
    }
    lines.extend(answer.acts.iter().map(|act| format!("  act         {act}")));
    if let (Some(by), Some(more)) = (answer.extension_by, &row.extension) {
        let condition = more.condition.as_ref().map(|when| format!(", if {when}")).unwrap_or_default();
        lines.push(format!(
            "  extension   {}, told by {by}{condition}",
            Period { n: more.n, unit: more.unit }
        ));
    }
    if let Some(to) = &row.recipients {
        lines.push(format!("  recipients  {}", to.who.join(", ")));
        let more = [("except", &to.exception), ("in turn", &to.onward), ("how soon", &to.standard)];
        let more = more.into_iter().filter_map(|(name, words)| Some((name, words.as_ref()?)));
        lines.extend(more.map(|(name, words)| format!("              {name}: {words}")));
    }
    lines.extend(row.notes.iter().map(|note| format!("  note        {note}")));
    lines.extend(answer.warnings.iter().map(|warning| format!("  warning     {warning}")));
    lines.join("\n")
}

fn moment(dated: &Dated, is_floor: bool) -> String {
    let (until, at) = if is_floor { ("not before the end of ", "not before ") } else { ("", "") };
    match &dated.moment {
        None => "no date".to_owned(),
        Some(Moment::Day { day, .. }) => format!("{until}{day}, a {}", day.strftime("%A")),
        Some(Moment::At(moment)) => format!("{at}{}", moment.strftime(LOCAL)),
    }
}

/// A due in words: its number, what holds beside it, what it means.
pub(super) fn said(due: &Due) -> String {
    let number = due.period.map(|period| period.to_string());
    [number, due.also.clone(), due.standard.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

pub(super) fn json(duty: &Duty, answer: &Answer<'_>) -> Value {
    let row = answer.row;
    json!({
        "duty": duty.id,
        "kind": duty.kind,
        "direction": if duty.is_floor() { "not_before" } else { "not_after" },
        "clock": row.clock,
        "started": answer.start.strftime(LOCAL).to_string(),
        "zone": answer.zone,
        "calendar": answer.calendar.id,
        "due": { "period": row.due.period, "also": row.due.also, "standard": row.due.standard },
        "row": {
            "from": row.from.to_string(),
            "status": row.status,
            "citation": row.citation,
            "confidence": row.confidence,
            "verification": row.verification,
            "sources": row.sources,
            "notes": row.notes,
        },
        "recipients": row.recipients.as_ref().map(|to| json!({
            "who": to.who, "except": to.exception, "in_turn": to.onward, "standard": to.standard,
        })),
        "legal_due": dated(&answer.legal),
        "safe_due": dated(&answer.safe),
        "policy_due": dated(&answer.policy),
        "acts": answer.acts,
        "extension": row.extension.as_ref().map(|more| json!({
            "n": more.n, "unit": more.unit, "if": more.condition,
            "told_by": answer.extension_by.map(|day| day.to_string()),
        })),
        "pause": row.pause.as_ref().map(|pause| json!({ "rights": pause.rights, "when": pause.when })),
        "warnings": answer.warnings,
    })
}

/// `day` is the last day; from `over` on it is too late (for a minimum: no longer too early).
fn dated(dated: &Dated) -> Value {
    let day = dated.moment.as_ref().map(|moment| moment.day().to_string());
    let over = dated.moment.as_ref().map(|moment| moment.over().strftime(LOCAL).to_string());
    json!({ "day": day, "over": over, "reasons": dated.reasons })
}
