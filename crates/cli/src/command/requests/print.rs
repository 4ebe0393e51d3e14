//! Cases in words.

use serde_json::Value;

/// One case in a line.
pub(crate) fn line(case: &Value) -> String {
    let (id, right, law, state) =
        (text(case, "id"), text(case, "right"), text(case, "law"), text(case, "state"));
    let why = case["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{id}  {right} under {law}, received {}, {state}{why}", text(case, "received_at"))
}

pub(super) fn lines(listed: &Value) -> String {
    let cases = array(listed, "cases");
    if cases.is_empty() {
        return "no privacy cases".to_owned();
    }
    cases.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn whole(case: &Value) -> String {
    let mut lines = vec![line(case)];
    lines.push(format!("  subject {}, generation {}", text(case, "subject"), case["generation"]));
    lines.extend(array(case, "clocks").iter().map(clock));
    let recipients = case["recipients"].as_object().into_iter().flatten();
    lines.extend(recipients.flat_map(|(name, one)| recipient(name, one)));
    for (name, what) in [("verified", "verified"), ("acknowledged", "acknowledged"), ("answered", "answered")]
    {
        lines.extend(act(&case[name]).map(|by| format!("  {what} {by}")));
    }
    if let Some(saga) = case["saga"].as_str() {
        lines.push(format!("  carried out by {saga}; `writ saga show {saga}`"));
    }
    lines.join("\n")
}

pub(super) fn recipients(known: &Value) -> String {
    let names: Vec<&str> = array(known, "disclosed_to").iter().filter_map(Value::as_str).collect();
    match names.is_empty() {
        true => "data of this subject went to nobody, by this store's log".to_owned(),
        false => names.join("\n"),
    }
}

fn clock(clock: &Value) -> String {
    let day = |name: &str| clock[name]["day"].as_str().unwrap_or("none").to_owned();
    let standing = clock["standing"].as_str().map(|word| format!(", {}", word.replace('_', " ")));
    format!(
        "  {:<28} {:<12} legal {}, safe {}, policy {}  {}{}",
        text(clock, "duty"),
        text(clock, "kind"),
        day("legal"),
        day("safe"),
        day("policy"),
        text(clock, "citation"),
        standing.unwrap_or_default()
    )
}

fn recipient(name: &str, one: &Value) -> Vec<String> {
    let state = text(one, "state").replace('_', " ");
    let cause = one["cause"].as_str().map(|cause| format!(" ({cause})")).unwrap_or_default();
    let (grade, demand, basis) = (text(one, "grade"), text(one, "demand"), text(one, "basis"));
    let behind = one["behind"].as_str().map(|behind| format!(" behind {behind}")).unwrap_or_default();
    let mut lines = vec![format!("  {name:<28} {state}{cause}, {grade} of {demand}, {basis}{behind}")];
    let excuse = &one["exception"];
    lines.extend(act(&excuse["asked"]).map(|by| {
        let approved =
            act(&excuse["approved"]).map_or_else(|| "not approved".to_owned(), |by| format!("approved {by}"));
        format!("    excepted until {}, asked {by}; {approved}", text(excuse, "until"))
    }));
    lines.extend(array(one, "reports").iter().map(|report| {
        let by = act(&report["act"]).unwrap_or_default();
        format!("    said {} ({}) {by}", text(report, "outcome").replace('_', " "), text(report, "grade"))
    }));
    lines
}

fn act(act: &Value) -> Option<String> {
    let (actor, note, at) = (act["actor"].as_str()?, act["note"].as_str()?, act["at"].as_str()?);
    Some(format!("by {actor} at {at}: {note}"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
