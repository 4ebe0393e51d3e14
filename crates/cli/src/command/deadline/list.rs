//! `writ deadline list`: laws and duties, and what each row is good for.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use writ_statutes::law::{Confidence, Duty, Law, Row, Status};

use super::{Common, report, table, unknown};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this law
    #[arg(long)]
    law: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let table = table(arguments.common.overlay.as_deref())?;
    let laws: Vec<&Law> = match &arguments.law {
        Some(word) => vec![table.law(word).map_err(unknown)?],
        None => table.laws.values().collect(),
    };
    if arguments.common.json {
        let laws: Vec<Value> = laws.into_iter().map(json).collect();
        println!("{:#}", json!({ "table": table.edition.as_of.to_string(), "laws": laws }));
    } else {
        let lines: Vec<String> = laws.into_iter().map(words).collect();
        println!("{}", lines.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn words(law: &Law) -> String {
    let mut lines = vec![format!("{}  {}", law.id, law.name)];
    if law.duties.is_empty() {
        lines.push("  no duties; see its notes".to_owned());
    }
    for duty in &law.duties {
        for row in &duty.rows {
            let use_of = if can_certify(row) { "legal date" } else { "informs" };
            let due = report::said(&row.due);
            lines.push(format!("  {:<28}{use_of:<12}since {}  {due}", duty.id, row.from));
            lines.push(format!("  {:<28}for {}", "", duty.rights.join(", ")));
        }
    }
    lines.join("\n")
}

fn json(law: &Law) -> Value {
    let duties: Vec<Value> =
        law.duties.iter().flat_map(|duty| duty.rows.iter().map(move |row| one(duty, row))).collect();
    json!({
        "law": law.id,
        "aliases": law.aliases,
        "name": law.name,
        "jurisdiction": law.jurisdiction,
        "anchor": law.anchor,
        "notes": law.notes,
        "duties": duties,
    })
}

fn one(duty: &Duty, row: &Row) -> Value {
    json!({
        "duty": duty.id,
        "kind": duty.kind,
        "rights": duty.rights,
        "from": row.from.to_string(),
        "status": row.status,
        "confidence": row.confidence,
        "due": { "period": row.due.period, "also": row.due.also, "standard": row.due.standard },
        "citation": row.citation,
        "can_certify": can_certify(row),
    })
}

/// A clock under this row has a legal date, unless its calendar does not reach so far.
fn can_certify(row: &Row) -> bool {
    row.status == Status::InForce && row.confidence > Confidence::Low && row.due.period.is_some()
}
