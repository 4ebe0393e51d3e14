//! What a producer says of an event's place among others, in the extensions `sequence`, `versionvector`, `hlc`,
//! `lamport` and `correlationid`, and in `time`.

use writ_model::cloudevent::CloudEvent;
use writ_model::lineage::{Claim, Lamport, SourceVersion};
use writ_model::time::Timestamp;

use super::refusal;
use crate::source::IntakeError;

/// Longest correlation id and sequence in bytes: they are stored with every event and with its record.
const TEXT_BYTES_MAX: usize = 256;

/// Reads the claim. `time` counts as a version only where there is no `sequence`, and never as later than the
/// arrival: one event from a clock that runs ahead must not make all that follow it stale.
pub(super) fn claim(event: &CloudEvent, received_at: Timestamp) -> Result<Claim, IntakeError> {
    Ok(Claim {
        version: version(event, received_at)?,
        hlc: parsed(event, "hlc", "a hybrid clock as Writ writes it, `millis-counter-node`")?,
        lamport: lamport(event)?,
        vector: parsed(event, "versionvector", "`region=count`, comma-separated, at most 16 regions")?,
        correlation: text(event, "correlationid")?.map(ToOwned::to_owned),
    })
}

fn version(event: &CloudEvent, received_at: Timestamp) -> Result<Option<SourceVersion>, IntakeError> {
    if let Some(sequence) = text(event, "sequence")? {
        let value = match event.extensions.get("sequencetype").map(String::as_str) {
            Some("Integer") => padded(sequence)?,
            Some(_) | None => sequence.to_owned(),
        };
        // Writ's own sequences are ordered within a slot.
        let slot = event.extensions.get("slot").map(|slot| format!("#{slot}")).unwrap_or_default();
        return Ok(Some(SourceVersion::Sequence { source: format!("{}{slot}", event.source), value }));
    }
    let time = event.time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
    Ok(time.map(|time| SourceVersion::Time(time.min(received_at))))
}

/// CloudEvents' former `sequencetype` Integer counts from 1 without padding.
fn padded(sequence: &str) -> Result<String, IntakeError> {
    let number: u32 =
        sequence.parse().map_err(|_| refusal("extension sequence: not a positive integer of 32 bits"))?;
    Ok(format!("{number:010}"))
}

fn lamport(event: &CloudEvent) -> Result<Option<Lamport>, IntakeError> {
    let number = parsed::<u64>(event, "lamport", "a positive integer")?.map(Lamport);
    match number.filter(|number| *number > Lamport::CLAIMED_MAX) {
        Some(_) => Err(refusal("extension lamport: larger than any clock that counts events")),
        None => Ok(number),
    }
}

fn text<'a>(event: &'a CloudEvent, name: &str) -> Result<Option<&'a str>, IntakeError> {
    let text = event.extensions.get(name).map(String::as_str);
    match text.filter(|text| text.len() > TEXT_BYTES_MAX) {
        Some(_) => Err(refusal(format!("extension {name}: longer than {TEXT_BYTES_MAX} bytes"))),
        None => Ok(text),
    }
}

fn parsed<T: std::str::FromStr>(
    event: &CloudEvent,
    name: &str,
    form: &str,
) -> Result<Option<T>, IntakeError> {
    let text = event.extensions.get(name);
    text.map(|text| text.parse().map_err(|_| refusal(format!("extension {name}: expected {form}"))))
        .transpose()
}
