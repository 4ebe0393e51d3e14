//! Numbers are the networks' published test numbers or computed from ranges; none was ever issued.

use serde_json::{Value as Json, json};
use writ_model::value::Value;

use super::*;
use crate::gate::fixtures::envelope;

mod corpus;

const KEY: Key = [9; 32];

fn findings(after: Json) -> Vec<CardFinding> {
    let mut envelope = envelope();
    let Value::Map(after) = Value::from_json(&after) else { panic!("attributes are an object") };
    envelope.private.data.after = Some(after);
    scan(&KEY, &envelope)
}

fn is_found(name: &str, value: impl Into<Json>) -> bool {
    !findings(json!({name: value.into()})).is_empty()
}

#[track_caller]
fn check(value: &str, expected: bool) {
    assert_eq!(is_found("note", value), expected, "{value}");
}

/// The digits and a check digit that makes them pass.
fn with_luhn(digits: &str) -> String {
    let passes = |last: &u32| {
        let all: Vec<u8> = format!("{digits}{last}").bytes().map(|b| b - b'0').collect();
        ranges::passes_luhn(&all)
    };
    format!("{digits}{}", (0..10).find(passes).expect("one of ten digits passes"))
}

#[test]
fn every_network_is_found_at_each_of_its_lengths() {
    let cases = [
        ("4", &[16, 19][..]),
        ("51", &[16]),
        ("55", &[16]),
        ("2221", &[16]),
        ("2720", &[16]),
        ("34", &[15]),
        ("37", &[15]),
        ("6011", &[16, 19]),
        ("644", &[16]),
        ("65", &[16, 19]),
        ("622126", &[16, 19]),
        ("3528", &[16, 19]),
        ("3589", &[16]),
        ("300", &[14, 19]),
        ("305", &[14]),
        ("3095", &[14]),
        ("36", &[14, 16]),
        ("38", &[14]),
        ("62", &[16, 18, 19]),
    ];
    for (prefix, lengths) in cases {
        for length in lengths {
            let body: String = prefix.chars().chain("0123456789012345678".chars()).take(length - 1).collect();
            check(&with_luhn(&body), true);
            check(&format!("card: {}.", with_luhn(&body)), true);
        }
    }
}

#[test]
fn numbers_just_outside_the_ranges_are_not_found() {
    for (prefix, length) in [
        ("2220", 16),
        ("2721", 16),
        ("50", 16),
        ("56", 16),
        ("3527", 16),
        ("3590", 16),
        ("306", 14),
        ("1", 16),
    ] {
        let body: String = prefix.chars().chain("9123456789012345678".chars()).take(length - 1).collect();
        check(&with_luhn(&body), false);
    }
}

#[test]
fn groups_are_read_through_every_usual_separator() {
    for separator in [" ", "-", "\u{A0}", "\u{2013}", "."] {
        check(&["4111", "1111", "1111", "1111"].join(separator), true);
        check(&["3782", "822463", "10005"].join(separator), true);
        check(&format!("pay with {} 12/27", ["5555", "5555", "5555", "4444"].join(separator)), true);
    }
    check("4111 1111 1111 1111 123", true);
    check("2026 4111 1111 1111 1111", true);
    check("4111 1111-1111 1111", false);
    check("411 11111 1111 1111", false);
}

#[test]
fn digits_of_other_scripts_count() {
    check("４１１１１１１１１１１１１１１１", true);
    check("٤١١١ ١١١١ ١١١١ ١١١١", true);
}

#[test]
fn a_failed_luhn_check_clears_unless_the_name_says_card() {
    check("4111111111111112", false);
    assert!(is_found("card_number", "4111111111111112"));
    assert!(is_found("cardNumber", "4111-1111-1111-1112"));
    assert!(is_found("PAN", json!(4_111_111_111_111_112_i64)));
    assert!(!is_found("loyalty_card_number", "4111111111111112"));
    assert!(!is_found("company", "4111111111111112"));
}

#[test]
fn what_only_looks_like_a_number_is_left_alone() {
    for text in [
        "1764000000123",
        "1764000000123456",
        "1764000000123456789",
        "550e8400-e29b-41d4-a716-446655440000",
        "a4111111111111111",
        "4111111111111111b",
        "9f4111111111111111",
        "41111111111111111111",
        "0.4111111111111111",
        "DE89 3704 0044 0532 0130 00",
        "DE02 5105 0015 0000 0000 00",
        "GB33 LOYD 3000 0012 3456 78",
        "+43 1 234 5678 9012",
        "4006381333931",
        "2026-11-21T05:30:00.000000Z",
        "0000000000000000",
        "4444444444444444",
        "192.168.100.200",
    ] {
        check(text, false);
    }
}

#[test]
fn what_stands_before_a_number_hides_it_only_where_it_is_part_of_a_longer_word_or_an_account() {
    check("AB12-4111111111111111", true);
    check("AB12/4111 1111 1111 1111", true);
    check("12/4111111111111111", true);
    check("see section 12. 4111111111111111", true);
    check("%B4111111111111111^DOE/JANE^2712101", true);
    check("B4111111111111111", false);
}

#[test]
fn an_account_is_left_alone_only_where_its_own_check_digits_hold() {
    // 411111...1111 passes the Luhn check; only one pair of check digits makes it an Austrian account.
    let accounts: Vec<String> = (2..99).map(|check| format!("AT{check:02} 4111 1111 1111 1111")).collect();
    let missed: Vec<&String> = accounts.iter().filter(|text| !is_found("note", text.as_str())).collect();
    assert_eq!(missed.len(), 1, "{missed:?}");
    check(&format!("{} 2026", missed[0]), false);
    check("AB12-4111-1111-1111-1111, thanks", true);
}

#[test]
fn dashes_may_stand_among_spaces_and_unseen_characters_part_nothing() {
    check("4111 - 1111 - 1111 - 1111", true);
    check("4111  1111  1111  1111", true);
    check("4111. 1111. 1111. 1111", false);
    check("4111    1111    1111    1111", false);
    check("41111111\u{200B}11111111", true);
    check("q=4111%C2%A01111%C2%A01111%C2%A01111", true);
}

#[test]
fn article_numbers_of_13_digits_need_a_name_or_groups() {
    let old_visa = with_luhn("400000000000");
    check(&old_visa, false);
    assert!(is_found("cc_number", old_visa));
}

#[test]
fn json_numbers_and_names_of_fields_are_read_too() {
    assert!(is_found("n", json!(4_111_111_111_111_111_i64)));
    assert!(is_found("n", json!(-4_111_111_111_111_111_i64)));
    let exact = with_luhn("622126123456789012");
    assert!(is_found("n", serde_json::from_str::<Json>(&exact).expect("a number")));
    let named = findings(json!({"m": {"4111111111111111": {"x": "4242424242424242"}}}));
    let paths: Vec<&str> = named.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["/after/m/(name)", "/after/m/(name)/x"]);
}

#[test]
fn percent_encoding_and_base64_do_not_hide_a_number() {
    check("q=4111%201111%201111%201111&x=1", true);
    check("q=%34%31%31%31%31%31%31%31%31%31%31%31%31%31%31%31", true);
    check("q=4111+1111+1111+1111", true);
    check("NDExMTExMTExMTExMTExMQ==", true);
    check("eyJuIjoiNDExMS0xMTExLTExMTEtMTExMSJ9", true);
    check("SW50ZXJuYXRpb25hbGl6YXRpb24=", false);
}

#[test]
fn a_finding_tells_the_place_and_both_ends_and_never_the_number() {
    let found = findings(json!({"notes": ["", "mine is 4111 1111 1111 1111, thanks"]}));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "/after/notes/1");
    assert_eq!((found[0].first6.as_str(), found[0].last4.as_str()), ("411111", "1111"));
    assert_eq!(found[0].keyed_hash, card_hash(&KEY, b"4111111111111111"));
    assert!(!format!("{found:?}").contains("4111111111"));
}

#[test]
fn keys_and_producer_ids_and_locations_are_read_too() {
    let mut event = envelope();
    event.private.key.0 = vec!["4111111111111111".into()];
    event.private.data.key = event.private.key.0.clone();
    event.private.producer_id = Some("5555555555554444".into());
    event.header.location = Some("3782 822463 10005".into());
    let paths: Vec<String> = scan(&KEY, &event).into_iter().map(|f| f.path).collect();
    assert_eq!(paths, ["/location", "/producer_id", "/key/0", "/subject/0"]);
}

#[test]
fn the_number_of_findings_is_bounded() {
    let many: Vec<Json> = (0..40).map(|n| with_luhn(&format!("4{n:014}")).into()).collect();
    assert_eq!(findings(json!({"m": many})).len(), FINDINGS_MAX);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_scanner_fail(text in "\\PC{0,200}") {
        is_found("note", text);
    }

    #[test]
    fn a_number_is_found_wherever_it_stands(before in "[a-z ,:]{0,20}[ ,:]", after in "[ ,;][a-z ,]{0,20}", body in "4[0-9]{14}") {
        let number = with_luhn(&body);
        let is_placeholder = number.bytes().all(|b| b == b'4');
        let text = [before, number, after].concat();
        proptest::prop_assert!(is_placeholder || is_found("note", text));
    }
}
