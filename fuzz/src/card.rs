//! The scan for card numbers: no text makes it panic, a planted number is found whatever surrounds it in
//! its own words, and no finding holds the number.

use std::collections::BTreeMap;

use serde_json::json;
use writ_kernel::gate::card;
use writ_model::envelope::Envelope;
use writ_model::value::Value;

/// A published test number.
const TEST_CARD: &str = "4111 1111 1111 1111";

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = card::scan(&[1; 32], &envelope(&text));
    let planted = format!("{} {TEST_CARD} .", text.replace(|c: char| c.is_numeric(), "x"));
    let findings = card::scan(&[1; 32], &envelope(&planted));
    assert!(findings.iter().any(|finding| finding.last4 == "1111"), "a planted number is not found");
    assert!(!format!("{findings:?}").contains("41111111"), "a finding holds the number");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "call me",
        "4111-1111-1111-1111",
        "card=5555555555554444;",
        "378282246310005",
        "\u{0664}\u{0661}\u{0661}",
        "%34%31",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn envelope(text: &str) -> Envelope {
    let header = json!({
        "event_id": "01890a5d-ac96-774b-bcce-b302099a8057", "tenant": "fuzz", "source": "fuzz",
        "change_type": "preference", "operation": "update", "entity": "customer",
        "subject_id": "00".repeat(16), "generation": 1, "slot": 0, "hlc": hlc(),
        "time": time(), "recorded_at": time(), "schema_major": 1,
    });
    let private = json!({
        "key": ["k"], "table": "t", "incarnation": "i", "position": {"commit": 0, "ordinal": 0},
        "causation_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "data": {"key": ["k"], "before": null, "after": null},
    });
    let mut envelope = Envelope {
        header: serde_json::from_value(header).expect("a valid header"),
        private: serde_json::from_value(private).expect("a valid private part"),
    };
    let value = Value::Text(text.to_owned());
    envelope.private.data.after = Some(BTreeMap::from([("note".to_owned(), value)]));
    envelope
}

fn time() -> serde_json::Value {
    serde_json::to_value(writ_model::time::Timestamp(0)).expect("a time is JSON")
}

fn hlc() -> serde_json::Value {
    serde_json::to_value(writ_model::time::Hlc { millis: 0, counter: 0, node: 0 })
        .expect("a clock value is JSON")
}
