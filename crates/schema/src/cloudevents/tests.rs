//! Vectors for the rules of CloudEvents 1.0.2, and round trips.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event() -> CloudEvent {
    CloudEvent {
        id: "1".into(),
        source: "/writ/shop/crm".into(),
        event_type: "writ.customer.email.v1".into(),
        subject: Some("customer/17".into()),
        time: Some("2026-11-21T05:30:00.000000Z".into()),
        data_content_type: Some("application/json".into()),
        data_schema: Some("urn:writ:schema:email:v1".into()),
        extensions: BTreeMap::from([("tenant".to_owned(), "shop".to_owned())]),
        data: Some(json!({"after": {"email": "a@x.example"}})),
        is_base64: false,
    }
}

/// A valid structured event with these members set over it; null takes a member away.
fn structured(members: Value) -> Vec<u8> {
    let mut object = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"});
    let members = members.as_object().expect("an object");
    for (name, value) in members {
        object[name] = value.clone();
    }
    object.as_object_mut().expect("an object").retain(|name, v| !v.is_null() || !members.contains_key(name));
    object.to_string().into_bytes()
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let base = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
    let all = base.iter().filter(|(name, _)| !pairs.iter().any(|(n, _)| n == name)).chain(pairs);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn refused(members: Value, expected: &str) {
    let error = decode_structured(&structured(members)).expect_err("the event is refused");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn the_structured_form_matches_the_golden() {
    let expected = json!({
        "specversion": "1.0", "id": "1", "source": "/writ/shop/crm", "type": "writ.customer.email.v1",
        "subject": "customer/17", "time": "2026-11-21T05:30:00.000000Z", "datacontenttype": "application/json",
        "dataschema": "urn:writ:schema:email:v1", "tenant": "shop", "data": {"after": {"email": "a@x.example"}},
    });
    let view = View::new(&event());
    assert_eq!(serde_json::from_slice::<Value>(view.structured()).ok(), Some(expected));
    assert_eq!(view.structured().as_ptr(), view.structured().as_ptr());
}

#[test]
fn a_batch_holds_the_views_in_order() {
    let views = [View::new(&event()), View::new(&CloudEvent { id: "2".into(), ..event() })];
    let decoded = decode_batch(&batch(&views)).expect("a batch");
    assert_eq!(decoded.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(decode_batch(&batch(&[])), Ok(vec![]));
}

#[test]
fn binary_headers_are_percent_encoded_as_the_binding_says() {
    // HTTP protocol binding, section 3.1.3.2.
    let mut event = event();
    event.subject = Some("Euro \u{20AC} \u{1F600} 100%\"x\"".into());
    let view = View::new(&event);
    let value = |name: &str| view.binary().headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(value("ce-subject"), Some("Euro%20%E2%82%AC%20%F0%9F%98%80%20100%25%22x%22"));
    assert_eq!(value("content-type"), Some("application/json"));
    assert_eq!(value("ce-datacontenttype"), None);
    assert_eq!(view.binary().body, br#"{"after":{"email":"a@x.example"}}"#);
}

#[test]
fn a_key_that_no_reader_would_accept_is_still_sent_as_it_is() {
    let odd = CloudEvent { subject: Some("customer/a\nb\u{0}".into()), ..event() };
    let view = View::new(&odd);
    assert_eq!(view.event(), odd);
    assert!(view.binary().headers.contains(&("ce-subject".to_owned(), "customer/a%0Ab%00".to_owned())));
}

#[test]
fn binary_values_of_other_senders_are_read() {
    let read = |value: &str| decode(&headers(&[("ce-subject", value)]), b"").map(|e| e[0].subject.clone());
    let text = |t: &str| Ok(Some(t.to_owned()));
    assert_eq!(read("Euro%20%e2%82%ac"), text("Euro \u{20AC}"));
    assert_eq!(read("\"Euro \u{20AC}\""), text("Euro \u{20AC}"));
    assert_eq!(read(r#""a \"quoted\" \\ word""#), text(r#"a "quoted" \ word"#));
    assert_eq!(read("%2525"), text("%25"));
    for bad in ["%C0%A0", "%F0%9F", "%G0", "%4", "%", "\"open", "\"a\"b", "%00", "%EF%BF%BF"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn header_names_are_read_in_any_case_and_never_twice() {
    let mut mixed = headers(&[("Content-Type", "text/plain")]);
    mixed[0].0 = "CE-SpecVersion".into();
    let events = decode(&mixed, b"hello").expect("an event");
    assert_eq!((events[0].data.clone(), events[0].is_base64), (Some(json!("hello")), false));
    mixed.push(("ce-ID".into(), "2".into()));
    assert_eq!(decode(&mixed, b"").map_err(|e| e.to_string()), Err("attribute id: given twice".into()));
}

#[test]
fn binary_data_follow_their_media_type() {
    let data = |media: &str, body: &[u8]| {
        decode(&headers(&[("content-type", media)]), body).map(|e| (e[0].data.clone(), e[0].is_base64))
    };
    assert_eq!(
        data("application/vnd.x+json; charset=utf-8", b"{\"a\":1}"),
        Ok((Some(json!({"a": 1})), false))
    );
    assert_eq!(data("application/octet-stream", b"\xff\x00"), Ok((Some(json!("/wA=")), true)));
    assert_eq!(data("text/plain; charset=iso-8859-1", b"\xe9"), Ok((Some(json!("6Q==")), true)));
    assert_eq!(data("application/json", b""), Ok((None, false)));
    assert!(data("application/json", b"{").is_err());
    assert!(data("nonsense", b"x").is_err());
}

#[test]
fn the_mode_is_read_from_the_headers() {
    let mode = |content_type: &str| mode_of(&[("Content-Type".to_owned(), content_type.to_owned())]);
    assert_eq!(mode("application/cloudevents+json; charset=UTF-8"), Some(Mode::Structured));
    assert_eq!(mode("Application/CloudEvents-Batch+JSON"), Some(Mode::Batched));
    assert_eq!(mode("application/cloudevents+avro"), None);
    assert_eq!(mode("application/json"), None);
    assert_eq!(mode_of(&headers(&[])), Some(Mode::Binary));
    assert_eq!(decode(&[], b"{}"), Err(WireError::NoEvent));
}

#[test]
fn a_null_attribute_is_an_absent_one() {
    let body = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":null,"ext":null,"data":null,"data_base64":"AQ=="}"#;
    let event = decode_structured(body).expect("an event");
    assert_eq!((event.subject, event.extensions.len(), event.is_base64), (None, 0, true));
    let body = br#"{"specversion":"1.0","id":null,"source":"/s","type":"t"}"#;
    assert_eq!(decode_structured(body), Err(WireError::Missing { name: "id" }));
}

#[test]
fn required_attributes_are_required() {
    for name in ["specversion", "id", "source", "type"] {
        refused(json!({name: null}), &format!("attribute {name} is missing"));
        refused(json!({name: ""}), name);
        refused(json!({name: 1}), "must be a string");
    }
    refused(json!({"specversion": "0.3"}), "must be 1.0");
}

#[test]
fn attribute_values_keep_their_types() {
    refused(json!({"time": "yesterday"}), "RFC 3339");
    refused(json!({"time": "2026-11-21"}), "RFC 3339");
    refused(json!({"time": "2026-11-21 05:30:00Z"}), "RFC 3339");
    refused(json!({"time": "2026-11-21T05:30:00"}), "RFC 3339");
    refused(json!({"time": "2026-13-21T05:30:00Z"}), "RFC 3339");
    refused(json!({"time": "2026-11-21T05:30:00.Z"}), "RFC 3339");
    refused(json!({"source": "a b"}), "URI reference");
    refused(json!({"source": "a%zz"}), "URI reference");
    refused(json!({"dataschema": "relative/only"}), "absolute URI");
    refused(json!({"subject": ""}), "must not be empty");
    refused(json!({"datacontenttype": "json"}), "media type");
    refused(json!({"subject": "a\u{7}b"}), "control characters");
    refused(json!({"ext": "\u{FDD0}"}), "noncharacters");
    for time in ["2026-11-21T05:30:00Z", "2026-11-21t05:30:00.123456789+14:00", "2016-12-31T23:59:60Z"] {
        assert!(decode_structured(&structured(json!({"time": time}))).is_ok(), "{time}");
    }
}

#[test]
fn extension_names_and_values_keep_the_rules() {
    for name in ["iodebeziumtxId", "ext-name", "ext_name", "\u{e9}xt", ""] {
        refused(json!({name: "x"}), "names are 1 to 64 of a-z and 0-9");
    }
    refused(json!({"a".repeat(65): "x"}), "names are 1 to 64");
    refused(json!({"ext": 1.5}), "integers of 32 bits");
    refused(json!({"ext": 2_147_483_648_u32}), "integers of 32 bits");
    refused(json!({"ext": {}}), "must be a string, a boolean or an integer");
    refused(json!({"ext": []}), "must be a string, a boolean or an integer");
    let event = decode_structured(&structured(json!({"a": true, "b": -7, "averylongextensionname": "x"})));
    let extensions = event.expect("an event").extensions;
    assert_eq!((extensions["a"].as_str(), extensions["b"].as_str()), ("true", "-7"));
    let many: serde_json::Map<_, _> = (0..=EXTENSIONS_MAX).map(|n| (format!("e{n}"), json!("x"))).collect();
    refused(many.into(), "more than 64 extension attributes");
}

#[test]
fn data_come_in_one_form_only_and_members_once() {
    refused(json!({"data": 1, "data_base64": "AQ=="}), "both data and data_base64");
    refused(json!({"data_base64": "not base64!"}), "base64");
    refused(json!({"data_base64": 1}), "base64");
    refused(json!({"datacontenttype": "text/xml", "data": {"a": 1}}), "must be a string");
    let twice = br#"{"specversion":"1.0","id":"1","id":"1","source":"/s","type":"t"}"#;
    assert_eq!(decode_structured(twice).map_err(|e| e.to_string()), Err("attribute id: given twice".into()));
    let twice = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data":2}"#;
    assert!(decode_structured(twice).is_err());
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let good = String::from_utf8(structured(json!({}))).expect("text");
    let error =
        decode_batch(format!("[{good},{{\"id\":\"2\"}}]").as_bytes()).expect_err("the batch is refused");
    assert_eq!(error.to_string(), "event 1 of the batch: attribute specversion is missing");
    for (body, expected) in [("{}", "a JSON array"), ("[1]", "a JSON object"), ("\"x\"", "a JSON array")] {
        let error = decode_batch(body.as_bytes()).expect_err("the batch is refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let many = format!("[{}]", vec!["{}"; BATCH_EVENTS_MAX + 1].join(","));
    assert!(matches!(decode_batch(many.as_bytes()), Err(WireError::TooMany { .. })));
}

#[test]
fn errors_say_where_and_never_quote_the_body() {
    let error = decode_structured(b"{\"id\": \"ada@example.org\", }").expect_err("not JSON");
    assert_eq!(error.to_string(), "the body is not valid JSON: line 1, column 27");
    assert_eq!(error.code(), code::INTAKE_JSON);
    let error = decode_structured(&structured(json!({"ada lovelace": "x"}))).expect_err("a bad name");
    assert_eq!(error.to_string(), "attribute (unprintable): names are 1 to 64 of a-z and 0-9");
    assert_eq!(error.code(), code::INTAKE_NOT_CLOUDEVENT);
}

fn text() -> impl Strategy<Value = String> {
    "[^\\p{C}\u{FFFE}\u{FFFF}]{1,12}"
}

fn data() -> impl Strategy<Value = (Option<Value>, bool, Option<String>)> {
    prop_oneof![
        Just((None, false, None)),
        text().prop_map(|t| (
            Some(json!({"t": t, "n": [1, null, true]})),
            false,
            Some("application/json".into())
        )),
        text().prop_map(|t| (Some(json!(t)), false, Some("text/plain".into()))),
        Just((Some(json!("AQID")), true, Some("application/octet-stream".into()))),
    ]
}

prop_compose! {
    fn any_event()(
        id in text(),
        subject in prop::option::of(text()),
        extensions in prop::collection::btree_map("[a-z][a-z0-9]{0,19}x", text(), 0..4),
        (data, is_base64, data_content_type) in data(),
    ) -> CloudEvent {
        CloudEvent { id, subject, extensions, data, is_base64, data_content_type, data_schema: None, ..event() }
    }
}

proptest! {
    #[test]
    fn events_survive_each_mode(event in any_event()) {
        let view = View::new(&event);
        prop_assert_eq!(&view.event(), &event);
        let structured = decode_structured(view.structured());
        prop_assert_eq!(structured.as_ref(), Ok(&event));
        let batched = decode_batch(&batch([&view]));
        prop_assert_eq!(batched, Ok(vec![event.clone()]));
        let Binary { headers, body } = view.binary();
        prop_assert!(headers.iter().all(|(n, v)| n.is_ascii() && v.bytes().all(|b| b.is_ascii_graphic())));
        prop_assert_eq!(decode(headers, body), Ok(vec![event]));
    }

    #[test]
    fn no_bytes_make_a_decoder_fail_other_than_by_an_error(body in prop::collection::vec(any::<u8>(), 0..200), value in "\\PC{0,40}") {
        drop(decode_structured(&body));
        drop(decode_batch(&body));
        drop(decode(&headers(&[("ce-subject", &value), ("content-type", &value)]), &body));
    }
}
