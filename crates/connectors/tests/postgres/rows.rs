//! What becomes of rows: identities, unseen values, keys, types, moving tables.

use writ_model::change::{Change, RowChange};
use writ_model::value::{Field, Value};
use writ_testkit::postgres::Options;

use crate::rig::{Rig, text, value};

/// A text that is stored out of line: long, and random enough not to compress.
const LONG: &str = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i)";

fn before(change: &Change, column: &str) -> Option<Value> {
    change.before.as_ref()?.get(column).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_identity_shows_old_keys_only_where_they_changed() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster
        .psql(
            "INSERT INTO customer VALUES (1, 'a', 'n'); UPDATE customer SET email = 'b'; \
             UPDATE customer SET id = 2; DELETE FROM customer",
        )
        .await;
    running.until_changes(4).await;
    let [inserted, updated, rekeyed, deleted] = running.changes.as_slice() else { panic!("four changes") };
    assert_eq!((inserted.row, value(inserted, "email")), (RowChange::Insert, text("a")));
    assert_eq!((updated.row, &updated.before, &updated.old_key), (RowChange::Update, &None, &None));
    assert_eq!(rekeyed.key.0, ["2"]);
    assert_eq!(rekeyed.old_key.as_ref().map(|key| key.0.clone()), Some(vec!["1".to_owned()]));
    assert_eq!(before(rekeyed, "email"), None, "a null outside the identity says nothing");
    assert_eq!((deleted.row, deleted.key.0.as_slice()), (RowChange::Delete, ["2".to_owned()].as_slice()));
    assert!(deleted.after.is_none());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_identity_shows_the_whole_old_row() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql("ALTER TABLE customer REPLICA IDENTITY FULL").await;
    let mut running = rig.streaming().await;
    rig.cluster
        .psql("INSERT INTO customer VALUES (1, 'a', NULL); UPDATE customer SET email = 'b'; DELETE FROM customer")
        .await;
    running.until_changes(3).await;
    let (updated, deleted) = (&running.changes[1], &running.changes[2]);
    assert_eq!((before(updated, "email"), value(updated, "email")), (text("a"), text("b")));
    assert_eq!(before(updated, "note"), Some(Value::Null));
    assert_eq!(updated.old_key, None, "the key did not change");
    assert_eq!(before(deleted, "email"), text("b"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_out_of_line_value_is_unseen_not_null() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster.psql(&format!("INSERT INTO customer VALUES (1, 'a', {LONG})")).await;
    rig.cluster.psql("UPDATE customer SET email = 'b'").await;
    running.until_changes(2).await;
    let after = running.changes[1].after.as_ref().expect("after");
    assert_eq!(after.0["note"], Field::Unseen);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_out_of_line_value_comes_from_the_old_row_where_that_is_logged() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql("ALTER TABLE customer REPLICA IDENTITY FULL").await;
    let mut running = rig.streaming().await;
    rig.cluster.psql(&format!("INSERT INTO customer VALUES (1, 'a', {LONG})")).await;
    rig.cluster.psql("UPDATE customer SET email = 'b'").await;
    running.until_changes(2).await;
    let whole = value(&running.changes[0], "note");
    assert!(whole.is_some() && value(&running.changes[1], "note") == whole);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_may_come_and_go_while_streaming() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster
        .psql(
            "BEGIN; INSERT INTO customer VALUES (1, 'a', 'n'); ALTER TABLE customer ADD COLUMN extra int DEFAULT 5; \
             INSERT INTO customer VALUES (2, 'b', 'n', 6); COMMIT",
        )
        .await;
    rig.cluster.psql("ALTER TABLE customer DROP COLUMN note").await;
    rig.cluster.psql("INSERT INTO customer VALUES (3, 'c', 7)").await;
    rig.cluster.psql("ALTER TABLE customer ADD COLUMN note text").await;
    rig.cluster.psql("INSERT INTO customer VALUES (4, 'd', 8, 'again')").await;
    running.until_changes(4).await;
    let notes: Vec<_> = running.changes.iter().map(|change| value(change, "note")).collect();
    assert_eq!(notes, [text("n"), text("n"), None, text("again")]);
    assert!(!running.changes[1].after.as_ref().expect("after").0.contains_key("extra"), "unmapped");
    assert_eq!(running.health.get("mapped_columns_gone"), Some(&1.0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_table_is_told_and_stops_nothing() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'a', ''); TRUNCATE customer").await;
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'b', '')").await;
    running.until_email("1", "b").await;
    assert_eq!(running.health.get("truncates_total"), Some(&1.0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_moves_between_partitions_stays_one_record() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.cluster
        .psql(
            "CREATE TABLE member (id int, region text, email text, PRIMARY KEY (id, region)) \
             PARTITION BY LIST (region); \
             CREATE TABLE member_eu PARTITION OF member FOR VALUES IN ('eu'); \
             CREATE TABLE member_us PARTITION OF member FOR VALUES IN ('us'); \
             ALTER TABLE member_eu REPLICA IDENTITY FULL; ALTER TABLE member_us REPLICA IDENTITY FULL; \
             ALTER TABLE member REPLICA IDENTITY FULL; INSERT INTO member VALUES (1, 'eu', 'snap')",
        )
        .await;
    rig.mapping = serde_json::json!({"public.member":
        {"entity": "customer", "key": ["id"], "changes": {"email": ["email", "region"]}}});
    let mut running = rig.streaming().await;
    assert_eq!(running.kinds(), [RowChange::Upsert]);
    rig.cluster.psql("UPDATE member SET region = 'us'").await;
    rig.cluster.psql("DELETE FROM member").await;
    running.until_changes(3).await;
    let moved = &running.changes[1];
    assert_eq!((moved.row, moved.table.as_str()), (RowChange::Update, "public.member"));
    assert_eq!((before(moved, "region"), value(moved, "region")), (text("eu"), text("us")));
    assert_eq!(running.changes[2].row, RowChange::Delete);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_one_name_in_two_schemas_are_two_tables() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.cluster
        .psql(
            "CREATE SCHEMA crm; CREATE TABLE crm.customer (id int PRIMARY KEY, phone text); \
             CREATE SCHEMA hr; CREATE TABLE hr.customer (id int PRIMARY KEY, email text); \
             CREATE PUBLICATION writ FOR ALL TABLES",
        )
        .await;
    rig.mapping["crm.customer"] =
        serde_json::json!({"entity": "customer", "key": ["id"], "changes": {"phone": ["phone"]}});
    let mut running = rig.streaming().await;
    rig.cluster
        .psql("INSERT INTO hr.customer VALUES (1, 'unmapped'); INSERT INTO crm.customer VALUES (1, 'p')")
        .await;
    rig.cluster.psql("INSERT INTO public.customer VALUES (1, 'e', '')").await;
    running.until_changes(2).await;
    let tables: Vec<_> = running.changes.iter().map(|change| change.table.as_str()).collect();
    assert_eq!(tables, ["crm.customer", "public.customer"]);
    running.stop().await;
}

/// Column type, literal, expected value. `None`: SQL null.
fn typed() -> Vec<(&'static str, &'static str, Value)> {
    let text = |value: &str| Value::Text(value.to_owned());
    vec![
        ("boolean", "true", Value::Bool(true)),
        ("smallint", "-32768", Value::Int(-32768)),
        ("bigint", "9223372036854775807", Value::Int(i64::MAX)),
        (
            "numeric",
            "'123456789012345678901234567890.0123456789'",
            text("123456789012345678901234567890.0123456789"),
        ),
        ("numeric", "'NaN'", text("NaN")),
        ("numeric", "'-Infinity'", text("-Infinity")),
        ("numeric(10,2)", "1.50", text("1.50")),
        ("real", "0.1", text("0.1")),
        ("double precision", "0.1::float8 + 0.2::float8", text("0.30000000000000004")),
        ("date", "'infinity'", text("infinity")),
        ("date", "'0044-03-15 BC'", text("0044-03-15 BC")),
        ("timestamp", "'20256-01-01 00:00:00.000001'", text("20256-01-01 00:00:00.000001")),
        ("timestamptz", "'2026-01-01 00:00:00+02'", text("2025-12-31 22:00:00+00")),
        ("timestamptz", "'-infinity'", text("-infinity")),
        ("interval", "'1 year 2 days'", text("P1Y2D")),
        ("time", "'24:00:00'", text("24:00:00")),
        ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("bytea", r"'\x00ff'", text("\\x00ff")),
        ("text", "'Zoë 小林 👩‍👩‍👧 ''\\'", text("Zoë 小林 👩‍👩‍👧 '\\")),
        ("text", "''", text("")),
        ("text", "NULL", Value::Null),
        ("char(4)", "'ab'", text("ab  ")),
        ("text[]", "ARRAY['a', NULL, 'b c']", text("{a,NULL,\"b c\"}")),
        ("jsonb", "'null'", text("null")),
        ("jsonb", "NULL", Value::Null),
        (
            "jsonb",
            "'{\"n\": 12345678901234567890.10}'",
            Value::Map([("n".into(), text("12345678901234567890.10"))].into()),
        ),
        ("json", "'[1, true]'", Value::List(vec![Value::Int(1), Value::Bool(true)])),
        ("inet", "'10.0.0.1/8'", text("10.0.0.1/8")),
        ("mood", "'very happy'", text("very happy")),
        ("hr.mood", "'sad'", text("sad")),
        ("positive", "7", text("7")),
        ("pair", "ROW(1, 'x')", text("(1,x)")),
        ("bit(3)", "B'101'", text("101")),
        ("int4range", "'[1,5)'", text("[1,5)")),
        ("oid", "4294967295", text("4294967295")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_gives_the_same_exact_value_by_snapshot_and_by_stream() {
    let Some(mut rig) =
        Rig::start(Options::default().with("datestyle", "SQL, DMY").with("timezone", "Asia/Tokyo")).await
    else {
        return;
    };
    rig.cluster
        .psql(
            "CREATE TYPE mood AS ENUM ('very happy'); CREATE SCHEMA hr; CREATE TYPE hr.mood AS ENUM ('sad'); \
             CREATE DOMAIN positive AS int CHECK (value > 0); CREATE TYPE pair AS (a int, b text)",
        )
        .await;
    let typed = typed();
    let columns: Vec<String> = (0..typed.len()).map(|at| format!("c{at}")).collect();
    let declared: Vec<String> =
        typed.iter().zip(&columns).map(|((kind, ..), name)| format!("{name} {kind}")).collect();
    let literals: Vec<&str> = typed.iter().map(|(_, literal, _)| *literal).collect();
    rig.cluster.psql(&format!("CREATE TABLE typed (id int PRIMARY KEY, {})", declared.join(", "))).await;
    let insert = |id: u32| format!("INSERT INTO typed VALUES ({id}, {})", literals.join(", "));
    rig.cluster.psql(&insert(1)).await;
    rig.mapping = serde_json::json!({"typed": {"entity": "customer", "key": ["id"], "changes": {"preference": columns}}});
    let mut running = rig.streaming().await;
    rig.cluster.psql(&insert(2)).await;
    running.until_changes(2).await;
    for change in &running.changes {
        for ((kind, literal, expected), column) in typed.iter().zip(&columns) {
            let seen = value(change, column).expect("seen");
            assert!(seen == *expected, "{:?} {kind} {literal}: {}", change.row, seen.to_json());
        }
    }
    running.stop().await;
}
