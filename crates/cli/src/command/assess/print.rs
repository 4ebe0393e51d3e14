//! Gaps in words, as JSON, as CSV, and as a page.

use std::fmt::Write;

use serde_json::{Value, json};
use writ_model::finding::Severity;
use writ_report::gap::{Gap, Kind};

pub(super) fn words(gaps: &[Gap]) -> String {
    if gaps.is_empty() {
        return "no gaps".to_owned();
    }
    let mut lines = Vec::new();
    for (number, gap) in (1..).zip(gaps) {
        lines.push(format!("{number:>3}  {}  {:<20} {}", gap.severity, gap.kind.as_str(), gap.about));
        lines.push(format!("         {}", gap.found));
        lines.extend(gap.citation.as_ref().map(|citation| format!("         {citation}")));
        lines.push(format!("         -> {}", gap.remedy));
    }
    lines.push(format!("\n{}", count(gaps)));
    lines.join("\n")
}

pub(super) fn json(tenant: &str, gaps: &[Gap]) -> Value {
    json!({ "tenant": tenant, "gaps": gaps, "count": gaps.len() })
}

/// A gap as a row of a table.
fn cells(number: usize, gap: &Gap) -> [String; 7] {
    [
        number.to_string(),
        gap.severity.to_string(),
        gap.kind.as_str().to_owned(),
        gap.about.clone(),
        gap.found.clone(),
        gap.remedy.clone(),
        gap.citation.clone().unwrap_or_default(),
    ]
}

/// RFC 4180.
pub(super) fn csv(gaps: &[Gap]) -> String {
    let mut text = "order,severity,kind,about,found,remedy,citation\r\n".to_owned();
    for (number, gap) in (1..).zip(gaps) {
        let quoted: Vec<String> =
            cells(number, gap).iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
        text.push_str(&quoted.join(","));
        text.push_str("\r\n");
    }
    text
}

/// One page without scripts, that prints on paper as it is.
pub(super) fn html(tenant: &str, gaps: &[Gap]) -> String {
    let mut rows = String::new();
    for (number, gap) in (1..).zip(gaps) {
        let cells: String =
            cells(number, gap).iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
        let _ = writeln!(rows, "<tr>{cells}</tr>");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Gaps of {tenant}</title>\n<style>\n\
         body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; color: #111; background: #fff }}\n\
         table {{ border-collapse: collapse; width: 100% }}\n\
         th, td {{ border: 1px solid #767676; padding: .4rem .6rem; text-align: left; vertical-align: top }}\n\
         thead {{ display: table-header-group }}\ntr {{ break-inside: avoid }}\n\
         @media print {{ body {{ margin: 0; font-size: 9pt }} }}\n</style>\n</head>\n<body>\n\
         <h1>Gaps of {tenant}</h1>\n<p>{}</p>\n<table>\n<caption>In the order in which to close them</caption>\n<thead><tr>\
         <th scope=\"col\">Order</th><th scope=\"col\">Severity</th><th scope=\"col\">Kind</th>\
         <th scope=\"col\">About</th><th scope=\"col\">Found</th><th scope=\"col\">Remedy</th>\
         <th scope=\"col\">Law</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</body>\n</html>\n",
        escaped(&count(gaps)),
        tenant = escaped(tenant),
    )
}

fn count(gaps: &[Gap]) -> String {
    let of = |kind: &Kind| gaps.iter().filter(|gap| gap.kind == *kind).count();
    let kinds: Vec<String> = Kind::ALL
        .iter()
        .filter(|kind| of(kind) > 0)
        .map(|kind| format!("{} {}", of(kind), kind.as_str()))
        .collect();
    let grave = gaps.iter().filter(|gap| gap.severity <= Severity::P1).count();
    format!("{} gaps, {grave} of them to close within three days: {}", gaps.len(), kinds.join(", "))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
