//! A small customer table, and one row change after another.

use serde_json::{Value as Json, json};
use writ_model::change::RowChange;
use writ_model::id::{Incarnation, Position, RecordKey, SourceName};
use writ_model::lineage::Claim;
use writ_model::time::Timestamp;
use writ_model::value::{Field, Image, Value};

use super::*;

/// E-mail and phone have a group each, an address has two columns, household names its column otherwise.
fn mapping() -> TableMapping {
    let mapping = json!({
        "entity": "customer",
        "key": ["id"],
        "changes": {
            "email": {"email": "mail_addr"},
            "address": ["street", "city"],
            "household": {"household": "household_id"},
        },
        "soft_delete": "deleted_at",
        "parent": "household_id",
        "location": "shop",
        "locale": "lang",
    });
    serde_json::from_value(mapping).expect("a mapping")
}

/// An image from JSON; the text `?` stands for a column that was not seen.
fn image(json: Json) -> Image {
    let Json::Object(columns) = json else { panic!("an image is an object") };
    let field = |v: &Json| if v == "?" { Field::Unseen } else { Field::Seen(Value::from_json(v)) };
    Image(columns.iter().map(|(column, v)| (column.clone(), field(v))).collect())
}

fn change(row: RowChange, before: Option<Json>, after: Option<Json>) -> Change {
    Change {
        source: SourceName::new("crm").expect("a name"),
        incarnation: Incarnation("one".into()),
        position: Position::default(),
        committed_at: Timestamp(0),
        transaction: None,
        producer_id: None,
        table: "customer".into(),
        row,
        declared: None,
        key: RecordKey(vec!["1".into()]),
        old_key: None,
        before: before.map(image),
        after: after.map(image),
        claim: Claim::default(),
    }
}

type State = BTreeMap<ChangeType, Attributes>;

/// What the engine does with the events: their `after` is the next last-known state.
fn remember(state: &mut State, events: &[Detected]) {
    for event in events {
        match &event.after {
            Some(after) => drop(state.insert(event.change_type, after.clone())),
            None => drop(state.remove(&event.change_type)),
        }
    }
}

fn known() -> State {
    let row = json!({"id": 1, "mail_addr": "a@x.example", "street": "Main", "city": "Graz",
                     "household_id": 7, "deleted_at": null});
    let mut state = State::new();
    remember(&mut state, &run(&change(RowChange::Insert, None, Some(row)), &State::new()));
    state
}

fn run(change: &Change, state: &State) -> Vec<Detected> {
    detect(&mapping(), change, state).expect("the change fits the mapping")
}

/// `(change type, operation, before, after)` of each event, as JSON.
fn told(events: &[Detected]) -> Json {
    let side = |side: &Option<Attributes>| serde_json::to_value(side).expect("attributes are JSON");
    let one = |e: &Detected| json!([e.change_type, e.operation, side(&e.before), side(&e.after)]);
    events.iter().map(one).collect()
}

fn check(state: &State, change: &Change, expected: Json) {
    assert_eq!(told(&run(change, state)), expected);
}

fn words(events: &[Detected]) -> Vec<(&str, &str)> {
    events.iter().map(|e| (e.change_type.as_str(), e.operation.as_str())).collect()
}

#[test]
fn an_insert_gives_one_event_per_group_that_has_a_value() {
    let row = json!({"id": 1, "mail_addr": "a@x.example", "street": null, "city": null, "deleted_at": null});
    check(
        &State::new(),
        &change(RowChange::Insert, None, Some(row)),
        json!([["email", "insert", null, {"email": "a@x.example", "deleted_at": null}]]),
    );
}

#[test]
fn an_update_of_two_groups_gives_two_events() {
    let row = json!({"id": 1, "mail_addr": "b@x.example", "street": "Main", "city": "Wien",
                     "household_id": 7, "deleted_at": null});
    check(
        &known(),
        &change(RowChange::Update, None, Some(row)),
        json!([
            ["email", "update", {"email": "a@x.example", "deleted_at": null}, {"email": "b@x.example", "deleted_at": null}],
            ["address", "update", {"street": "Main", "city": "Graz", "deleted_at": null}, {"street": "Main", "city": "Wien", "deleted_at": null}],
        ]),
    );
}

#[test]
fn an_update_of_unmapped_columns_gives_nothing() {
    let row = json!({"id": 1, "mail_addr": "a@x.example", "street": "Main", "city": "Graz",
                     "household_id": 7, "deleted_at": null, "last_login": "now"});
    check(&known(), &change(RowChange::Update, None, Some(row)), json!([]));
}

#[test]
fn what_was_before_is_what_the_last_event_said() {
    let row = |mail: &str| json!({"id": 1, "mail_addr": mail});
    let change = change(RowChange::Update, Some(row("missed@x.example")), Some(row("new@x.example")));
    let events = run(&change, &known());
    assert_eq!(words(&events), [("email", "update")]);
    let before = events[0].before.as_ref().and_then(|b| b.get("email"));
    assert_eq!(before, Some(&Value::Text("a@x.example".into())));
}

#[test]
fn a_value_that_was_kept_out_of_the_stream_does_not_come_back_as_the_past() {
    let mut without_mail = known();
    without_mail.remove(&ChangeType::Email);
    let row = |mail: &str| json!({"id": 1, "mail_addr": mail});
    let change = change(RowChange::Update, Some(row("kept-out")), Some(row("new@x.example")));
    let events = run(&change, &without_mail);
    assert_eq!(words(&events), [("email", "update")]);
    assert_eq!(events[0].before, None);
}

#[test]
fn the_source_s_past_counts_for_a_record_that_is_new_here() {
    let row = |mail: &str| json!({"id": 1, "mail_addr": mail});
    let change = change(RowChange::Update, Some(row("old@x.example")), Some(row("new@x.example")));
    let events = run(&change, &BTreeMap::new());
    assert!(events[0].before.is_some());
}

#[test]
fn null_is_a_value_and_unseen_is_not() {
    let nulled = change(RowChange::Update, None, Some(json!({"id": 1, "mail_addr": null})));
    check(
        &known(),
        &nulled,
        json!([["email", "update", {"email": "a@x.example", "deleted_at": null}, {"email": null, "deleted_at": null}]]),
    );
    check(&known(), &change(RowChange::Update, None, Some(json!({"id": 1, "mail_addr": "?"}))), json!([]));
}

#[test]
fn an_unchanged_toast_column_keeps_its_last_known_value() {
    let row = json!({"id": 1, "street": "?", "city": "Wien"});
    let events = run(&change(RowChange::Update, None, Some(row)), &known());
    assert_eq!(words(&events), [("address", "update")]);
    let street = events[0].after.as_ref().and_then(|a| a.get("street"));
    assert_eq!(street, Some(&Value::Text("Main".into())));
    assert_eq!(events[0].unseen, Vec::<String>::new());
}

#[test]
fn what_nobody_ever_showed_is_listed_and_not_invented() {
    let row = json!({"id": 1, "street": "?", "city": "Wien"});
    let events = run(&change(RowChange::Update, None, Some(row)), &State::new());
    assert_eq!(told(&events), json!([["address", "update", null, {"city": "Wien"}]]));
    assert_eq!(events[0].unseen, ["street"]);
}

#[test]
fn a_delete_without_a_before_image_tells_the_last_known_state() {
    let events = run(&change(RowChange::Delete, Some(json!({"id": 1})), None), &known());
    assert_eq!(words(&events), [("email", "delete"), ("address", "delete"), ("household", "delete")]);
    assert!(events.iter().all(|e| e.before.is_some() && e.after.is_none()));
    let mut state = known();
    remember(&mut state, &events);
    assert!(state.is_empty());
}

#[test]
fn a_delete_of_a_record_that_nobody_knew_says_so_for_every_group() {
    let events = run(&change(RowChange::Delete, Some(json!({"id": 1})), None), &State::new());
    assert_eq!(words(&events), [("email", "delete"), ("address", "delete"), ("household", "delete")]);
    assert!(events.iter().all(|e| e.before.is_none() && e.after.is_none()));
    assert_eq!(events[1].unseen, ["street", "city"]);
}

#[test]
fn a_deleted_record_that_comes_back_is_an_insert() {
    let mut state = known();
    let gone = run(&change(RowChange::Delete, None, None), &state);
    remember(&mut state, &gone);
    let back = change(RowChange::Upsert, None, Some(json!({"id": 1, "mail_addr": "a@x.example"})));
    assert_eq!(words(&run(&back, &state)), [("email", "insert")]);
}

#[test]
fn soft_delete_and_restore_give_one_event_per_group_that_exists() {
    let mut state = known();
    let row = |deleted: Json| Some(json!({"id": 1, "mail_addr": "a@x.example", "deleted_at": deleted}));
    let gone = run(&change(RowChange::Update, None, row(json!("2026-01-01"))), &state);
    let expected = [("email", "soft_delete"), ("address", "soft_delete"), ("household", "soft_delete")];
    assert_eq!(words(&gone), expected);
    remember(&mut state, &gone);
    check(&state, &change(RowChange::Update, None, row(json!("2026-01-02"))), json!([]));
    let back = run(&change(RowChange::Update, None, row(Json::Null)), &state);
    assert_eq!(words(&back), [("email", "restore"), ("address", "restore"), ("household", "restore")]);
}

#[test]
fn a_record_first_seen_as_soft_deleted_is_never_told_as_a_live_one() {
    for mark in [json!("2026-01-01"), json!(true), json!(1), json!("t")] {
        let row = json!({"id": 1, "mail_addr": "a@x.example", "street": null, "city": null,
                         "household_id": null, "deleted_at": mark});
        let events = run(&change(RowChange::Upsert, None, Some(row)), &State::new());
        assert_eq!(words(&events), [("email", "soft_delete")]);
    }
    for mark in [json!(null), json!(false), json!(0), json!("f"), json!("FALSE"), json!("")] {
        let row = json!({"id": 1, "mail_addr": "a@x.example", "street": null, "city": null,
                         "household_id": null, "deleted_at": mark});
        let events = run(&change(RowChange::Upsert, None, Some(row)), &State::new());
        assert_eq!(words(&events), [("email", "insert")]);
    }
}

#[test]
fn a_new_parent_alone_is_a_reparent_of_the_group_that_maps_it() {
    let moved = change(RowChange::Update, None, Some(json!({"id": 1, "household_id": 8})));
    check(
        &known(),
        &moved,
        json!([["household", "reparent", {"household": 7, "deleted_at": null}, {"household": 8, "deleted_at": null}]]),
    );
}

#[test]
fn a_parent_that_no_group_maps_moves_every_group() {
    let mut mapping = mapping();
    mapping.changes.remove(&ChangeType::Household);
    let row = |parent: u32| json!({"id": 1, "mail_addr": "a@x.example", "household_id": parent});
    let detect = |change: &Change, state: &State| detect(&mapping, change, state).expect("fits");
    let mut state = State::new();
    let first = detect(&change(RowChange::Insert, None, Some(row(7))), &state);
    remember(&mut state, &first);
    let moved = detect(&change(RowChange::Update, None, Some(row(8))), &state);
    assert_eq!(words(&moved), [("email", "reparent")]);
    remember(&mut state, &moved);
    assert_eq!(words(&detect(&change(RowChange::Update, None, Some(row(8))), &state)), []);
    let mut both = row(9);
    both["mail_addr"] = json!("b@x.example");
    assert_eq!(words(&detect(&change(RowChange::Update, None, Some(both)), &state)), [("email", "update")]);
}

#[test]
fn a_rekey_gives_one_event_per_group_that_exists() {
    let mut rekeyed = change(RowChange::Update, None, Some(json!({"id": 2, "mail_addr": "a@x.example"})));
    rekeyed.old_key = Some(RecordKey(vec!["1".into()]));
    rekeyed.key = RecordKey(vec!["2".into()]);
    let events = run(&rekeyed, &known());
    assert_eq!(words(&events), [("email", "rekey"), ("address", "rekey"), ("household", "rekey")]);
    assert!(events.iter().all(|e| e.before == e.after));
}

#[test]
fn a_snapshot_read_again_gives_nothing() {
    let row = || {
        Some(json!({"id": 1, "mail_addr": "a@x.example", "street": "Main", "city": "Graz",
                             "household_id": 7, "deleted_at": null}))
    };
    let mut state = State::new();
    let first = run(&change(RowChange::Upsert, None, row()), &state);
    assert_eq!(words(&first), [("email", "insert"), ("address", "insert"), ("household", "insert")]);
    remember(&mut state, &first);
    for row_change in [RowChange::Upsert, RowChange::Insert, RowChange::Update] {
        check(&state, &change(row_change, None, row()), json!([]));
    }
}

#[test]
fn an_upsert_is_an_update_of_what_is_known() {
    let row = json!({"id": 1, "mail_addr": "b@x.example"});
    let events = run(&change(RowChange::Upsert, None, Some(row)), &known());
    assert_eq!(words(&events), [("email", "update")]);
}

#[test]
fn a_declared_change_gives_exactly_that_type_whatever_differs() {
    let mut declared = change(RowChange::Upsert, None, Some(json!({"id": 1, "mail_addr": "a@x.example"})));
    declared.declared = Some(ChangeType::Email);
    assert_eq!(words(&run(&declared, &known())), [("email", "update")]);
    declared.declared = Some(ChangeType::Erasure);
    check(&known(), &declared, json!([["erasure", "insert", null, {"mail_addr": "a@x.example"}]]));
}

#[test]
fn location_and_locale_are_taken_only_where_they_are_plain_words() {
    let with = |shop: &str, lang: &str| {
        let row = json!({"id": 1, "mail_addr": "n@x.example", "shop": shop, "lang": lang});
        let events = run(&change(RowChange::Update, None, Some(row)), &known());
        (events[0].location.clone(), events[0].locale.clone())
    };
    assert_eq!(with("Graz-1", "de-AT"), (Some("Graz-1".into()), Some("de-AT".into())));
    assert_eq!(with("ada@example.org", "de AT"), (None, None));
    assert_eq!(with(&"x".repeat(65), ""), (None, None));
}

#[test]
fn a_key_of_another_width_is_an_error() {
    let mut wide = change(RowChange::Insert, None, None);
    wide.key.0.push("2".into());
    let error = detect(&mapping(), &wide, &State::new());
    assert_eq!(error, Err(DetectError::KeyWidth { given: 2, mapped: 1 }));
}
