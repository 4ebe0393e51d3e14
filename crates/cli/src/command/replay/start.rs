//! `writ replay start`: what would be sent is counted and shown first. On a terminal it asks; elsewhere only
//! `--yes` starts.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use writ_engine::config::Scope;
use writ_model::replay::Speed;

use super::{Common, follow, line};
use crate::client::Client;
use crate::exit::{BAD_INPUT, Failure};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The subscriber
    subscriber: String,
    #[command(flatten)]
    common: Common,
    /// First offset; the log's start if not given
    #[arg(long, conflicts_with = "from_time")]
    from_offset: Option<u64>,
    /// First offset after the range; the log's end if not given
    #[arg(long, conflicts_with = "to_time")]
    to_offset: Option<u64>,
    /// Events that Writ recorded at this time or later, RFC 3339
    #[arg(long)]
    from_time: Option<String>,
    /// Events that Writ recorded before this time, RFC 3339
    #[arg(long)]
    to_time: Option<String>,
    /// Events of this slot
    #[arg(long)]
    slot: Option<u16>,
    /// Events with this number in their slot or a later one
    #[arg(long)]
    from_sequence: Option<u64>,
    /// Events before this number in their slot
    #[arg(long)]
    to_sequence: Option<u64>,
    /// Events of this subject; may be given several times
    #[arg(long = "subject")]
    subjects: Vec<String>,
    /// Events of this change type; may be given several times
    #[arg(long = "change-type")]
    change_types: Vec<String>,
    /// Events that this filter matches, as JSON; may be given several times
    #[arg(long = "filter")]
    filters: Vec<String>,
    /// Events a second at most, or `max` for as fast as the subscriber takes them; `limits.replay_rate` if not given
    #[arg(long)]
    rate: Option<Speed>,
    /// Under which delivery ids
    #[arg(long, value_enum, default_value_t = Ids::SameId)]
    ids: Ids,
    /// New ids also where they break an exactly-once guarantee, for this reason, which is journaled
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
    /// What becomes of events whose data was erased
    #[arg(long, value_enum, default_value_t = Shredded::Tombstone)]
    shredded: Shredded,
    /// Starting it twice under one key starts it once
    #[arg(long)]
    idempotency_key: Option<String>,
    /// Only count what would be sent
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Start without asking
    #[arg(long)]
    yes: bool,
    /// Return at once, also on a terminal
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ids {
    /// Those of the first delivery: a receiver that remembers them does nothing twice
    SameId,
    /// New ones: a deliberate repetition
    NewId,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shredded {
    /// Delivered without data, marked as shredded
    Tombstone,
    /// Left out
    Skip,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.common.config.load()?, Scope::Operate)?;
    let as_json = arguments.common.json;
    if !arguments.yes {
        let plan = client.post("/v1/replays", &body(&arguments, true)?).await?;
        if as_json {
            println!("{plan:#}");
        } else {
            println!("{}", described(&plan));
        }
        if arguments.dry_run || !confirmed(as_json)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let key = arguments.idempotency_key.as_deref();
    let started = client.post_once("/v1/replays", &body(&arguments, false)?, key).await?;
    if as_json {
        println!("{started:#}");
    } else {
        println!("{}", line(&started));
        if !arguments.detach {
            follow::to_the_end(&client, &started).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn body(arguments: &Arguments, dry_run: bool) -> Result<Value, Failure> {
    let filter = |text: &String| {
        serde_json::from_str::<Value>(text).map_err(|error| {
            let text = format!("--filter is not JSON ({error}); see docs/reference/filters.md");
            Failure::plain(text, BAD_INPUT)
        })
    };
    let filters = arguments.filters.iter().map(filter).collect::<Result<Vec<_>, _>>()?;
    let ids = match arguments.ids {
        Ids::SameId => "same-id",
        Ids::NewId => "new-id",
    };
    let shredded = match arguments.shredded {
        Shredded::Tombstone => "tombstone",
        Shredded::Skip => "skip",
    };
    Ok(json!({
        "subscriber": arguments.subscriber,
        "from_offset": arguments.from_offset,
        "to_offset": arguments.to_offset,
        "from_time": arguments.from_time,
        "to_time": arguments.to_time,
        "slot": arguments.slot,
        "from_sequence": arguments.from_sequence,
        "to_sequence": arguments.to_sequence,
        "subjects": arguments.subjects,
        "change_types": arguments.change_types,
        "filters": filters,
        "rate_per_second": arguments.rate,
        "ids": ids,
        "force": arguments.force,
        "shredded": shredded,
        "dry_run": dry_run,
    }))
}

/// The plan, in words.
fn described(plan: &Value) -> String {
    let mut text = format!(
        "would send {} events to {}, from offset {} to {}",
        plan["events"],
        plan["subscriber"].as_str().unwrap_or_default(),
        plan["from"],
        plan["to"]
    );
    for (change_type, count) in plan["by_change_type"].as_object().into_iter().flatten() {
        text += &format!("\n  {change_type:<20} {count}");
    }
    if plan["tombstones"] != 0 {
        text += &format!("\n  {} of them without data: it was erased", plan["tombstones"]);
    }
    for (cause, count) in plan["withheld"].as_object().into_iter().flatten() {
        text += &format!("\n  {count} withheld: {cause}");
    }
    if plan["counted_to"] != plan["to"] {
        text += &format!("\n  counted up to offset {}; there may be more", plan["counted_to"]);
    }
    text
}

/// Whether to go on: asked on a terminal, never assumed elsewhere.
fn confirmed(as_json: bool) -> Result<bool, Failure> {
    if as_json || !std::io::stdin().is_terminal() {
        if !as_json {
            println!("nothing was sent; add --yes to start");
        }
        return Ok(false);
    }
    print!("start? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let is_yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if !is_yes {
        println!("nothing was sent");
    }
    Ok(is_yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_would_be_sent_and_what_is_kept_back() {
        let plan = json!({
            "subscriber": "crm", "from": 1, "to": 9, "events": 3, "by_change_type": { "email": 2, "phone": 1 },
            "tombstones": 1, "withheld": { "policy_subscriber": 4 }, "counted_to": 7,
        });
        let text = described(&plan);
        for expected in [
            "3 events to crm, from offset 1 to 9",
            "email",
            "1 of them without data",
            "4 withheld: policy_subscriber",
            "up to offset 7",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
