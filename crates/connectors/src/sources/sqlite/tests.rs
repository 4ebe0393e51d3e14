//! Capture against real database files; the writer is a second connection, as the application is.

use rusqlite::Connection;
use writ_model::change::{Change, RowChange};
use writ_model::id::{Incarnation, Position, RecordKey};
use writ_model::mapping::Tables;
use writ_model::value::Value;

use super::session::Batch;
use super::*;

pub(super) struct Shop {
    pub(super) folder: tempfile::TempDir,
    pub(super) writer: Connection,
    pub(super) tables: Tables,
}

pub(super) const CUSTOMERS: &str =
    "CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE, phone, extra TEXT);";

impl Shop {
    pub(super) fn new(schema: &str) -> Self {
        Self::mapped(
            schema,
            &serde_json::json!({"customers": {
                "entity": "customer", "key": ["id"], "changes": {"email": ["email"], "phone": ["phone"]},
            }}),
        )
    }

    fn mapped(schema: &str, tables: &serde_json::Value) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let writer = Connection::open(folder.path().join("shop.db")).expect("database");
        writer.execute_batch(schema).expect("schema");
        let tables = serde_json::from_value(tables.clone()).expect("mapping");
        Self { folder, writer, tables }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    fn plan(&self) -> Plan {
        Plan {
            source: SourceName::new("shop").expect("name"),
            path: self.path(),
            tables: self.tables.clone(),
            busy_timeout: Duration::from_millis(50),
            is_wal: true,
        }
    }

    fn open(&self, from: Option<&SourceProgress>) -> Result<Session, SourceError> {
        Session::open(self.plan(), from)
    }

    pub(super) fn write(&self, sql: &str) {
        self.writer.execute_batch(sql).expect(sql);
    }

    /// A session whose snapshot is read and acknowledged, and its progress.
    fn streaming(&self) -> (Session, SourceProgress) {
        let mut session = self.open(None).expect("opens");
        let progress = drain(&mut session).pop().expect("a snapshot").progress;
        session.acknowledge(progress.position).expect("acknowledged");
        (session, progress)
    }
}

fn drain(session: &mut Session) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Next::Batch(batch) = session.next().expect("reads") {
        assert!(batch.changes.iter().all(|change| change.position <= batch.progress.position));
        batches.push(batch);
    }
    batches
}

fn changes(session: &mut Session) -> Vec<Change> {
    drain(session).into_iter().flat_map(|batch| batch.changes).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn after<'c>(change: &'c Change, column: &str) -> Option<&'c Value> {
    change.after.as_ref().and_then(|image| image.get(column))
}

fn key(parts: &[&str]) -> RecordKey {
    RecordKey(parts.iter().map(|part| (*part).to_owned()).collect())
}

#[test]
fn a_new_source_reads_the_rows_there_are_and_then_every_change() {
    let shop = Shop::new(CUSTOMERS);
    shop.write("INSERT INTO customers(id, email) VALUES (1, 'ada@example.org'), (2, NULL)");
    let mut session = shop.open(None).expect("opens");
    let snapshot = changes(&mut session);
    assert_eq!(
        snapshot.iter().map(|c| (c.row, c.position.ordinal)).collect::<Vec<_>>(),
        [(RowChange::Upsert, 1), (RowChange::Upsert, 2),]
    );
    assert_eq!(after(&snapshot[0], "email"), Some(&text("ada@example.org")));
    assert_eq!(after(&snapshot[0], "extra"), None, "not mapped");
    assert_eq!(after(&snapshot[1], "email"), Some(&Value::Null));

    shop.write("INSERT INTO customers(id, email) VALUES (3, 'c@example.org'); UPDATE customers SET email = 'x@example.org' WHERE id = 1; DELETE FROM customers WHERE id = 2;");
    let seen = changes(&mut session);
    assert_eq!(
        seen.iter().map(|c| c.row).collect::<Vec<_>>(),
        [RowChange::Insert, RowChange::Update, RowChange::Delete,]
    );
    assert_eq!(seen[1].before.as_ref().and_then(|i| i.get("email")), Some(&text("ada@example.org")));
    assert_eq!(after(&seen[1], "email"), Some(&text("x@example.org")));
    assert_eq!((seen[2].key.clone(), seen[2].after.clone()), (key(&["2"]), None));
    assert!(matches!(session.next(), Ok(Next::Idle)));
}

#[test]
fn an_update_is_recorded_when_a_mapped_column_differs_in_any_byte() {
    let shop = Shop::new(CUSTOMERS);
    shop.write("INSERT INTO customers(id, email, phone, extra) VALUES (1, 'ada@example.org', '1', 'x')");
    let (mut session, _) = shop.streaming();
    shop.write("UPDATE customers SET extra = 'y'; UPDATE customers SET email = email;");
    assert_eq!(changes(&mut session), []);
    shop.write("UPDATE customers SET email = 'ADA@example.org'");
    assert_eq!(changes(&mut session).len(), 1, "the column's collation ignores case, the capture does not");
}

#[test]
fn values_read_the_same_from_a_snapshot_and_from_a_trigger() {
    let shop = Shop::mapped(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
        &serde_json::json!({"t": {"entity": "customer", "key": ["id"], "changes": {"phone": ["v"]}}}),
    );
    let (mut session, _) = shop.streaming();
    let values = [
        "NULL",
        "0",
        "9223372036854775807",
        "-9223372036854775808",
        "0.1",
        "1.0",
        "-2.5e-308",
        "1e300",
        "9e999",
        "123456789.123456789",
        "3.141592653589793",
        "''",
        "'tab\t \"quote\" ''s'",
        "'a' || char(0) || 'b'",
        "'\u{1f980} é'",
        "x''",
        "x'00ff10'",
        "'t'",
        "'null'",
        "'{\"a\":1}'",
    ];
    for (id, value) in values.iter().enumerate() {
        shop.write(&format!("INSERT INTO t VALUES ({id}, {value})"));
    }
    let by_trigger = changes(&mut session);
    let by_snapshot = changes(&mut shop.open(None).expect("opens"));
    assert_eq!(by_trigger.len(), values.len());
    for ((value, one), other) in values.iter().zip(&by_trigger).zip(&by_snapshot) {
        assert_eq!(after(one, "v"), after(other, "v"), "{value}");
    }
    assert_eq!(after(&by_trigger[2], "v"), Some(&Value::Int(i64::MAX)));
    assert_eq!(after(&by_trigger[4], "v"), Some(&text("0.1")));
    assert_eq!(after(&by_trigger[16], "v"), Some(&text("AP8Q")));
}

#[test]
fn tables_without_rowid_odd_names_and_compound_keys_are_captured() {
    let shop = Shop::mapped(
        "CREATE TABLE \"odd \"\"name's\"(rowid TEXT, \"a b\" TEXT, \"c'd\" TEXT, PRIMARY KEY(rowid, \"a b\")) WITHOUT ROWID;
         INSERT INTO \"odd \"\"name's\" VALUES ('1', 'x', 'old'), ('1', 'y/z', 'old');",
        &serde_json::json!({"main.odd \"name's": {
            "entity": "customer", "key": ["rowid", "a b"], "changes": {"email": ["c'd"]},
        }}),
    );
    let mut session = shop.open(None).expect("opens");
    let snapshot = changes(&mut session);
    assert_eq!(
        snapshot.iter().map(|c| c.key.clone()).collect::<Vec<_>>(),
        [key(&["1", "x"]), key(&["1", "y/z"])]
    );
    shop.write("UPDATE \"odd \"\"name's\" SET \"c'd\" = 'new' WHERE \"a b\" = 'x'");
    let seen = changes(&mut session);
    assert_eq!((seen[0].table.as_str(), after(&seen[0], "c'd")), ("main.odd \"name's", Some(&text("new"))));
}

#[test]
fn a_snapshot_larger_than_a_batch_reads_every_row_once() {
    for clause in ["", "WITHOUT ROWID"] {
        let shop =
            Shop::new(&format!("CREATE TABLE customers(id INTEGER PRIMARY KEY, email, phone) {clause}"));
        shop.write("WITH RECURSIVE n(i) AS (VALUES(-300) UNION ALL SELECT i + 1 FROM n WHERE i < 899) INSERT INTO customers(id) SELECT i FROM n");
        let mut session = shop.open(None).expect("opens");
        let batches = drain(&mut session);
        assert!(batches.iter().all(|batch| batch.changes.len() <= 256));
        let (last, former) = batches.split_last().expect("batches");
        assert_eq!(last.progress.snapshot, None);
        assert!(former.iter().all(|batch| batch.progress.snapshot.is_some()));
        let seen: Vec<&Change> = batches.iter().flat_map(|batch| &batch.changes).collect();
        let mut keys: Vec<i64> = seen.iter().map(|c| c.key.0[0].parse().expect("number")).collect();
        keys.dedup();
        assert_eq!(keys, (-300..900).collect::<Vec<_>>());
        assert!(seen.windows(2).all(|pair| pair[0].position < pair[1].position));
    }
}

#[test]
fn a_row_written_while_the_snapshot_is_read_comes_once_as_a_change() {
    let shop = Shop::new(CUSTOMERS);
    shop.write("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO customers(id) SELECT i FROM n");
    let mut session = shop.open(None).expect("opens");
    let Ok(Next::Batch(first)) = session.next() else { panic!("a batch") };
    shop.write(
        "UPDATE customers SET email = 'late@example.org' WHERE id = 400; DELETE FROM customers WHERE id = 1",
    );
    let rest = changes(&mut session);
    let at_400: Vec<&Change> = rest.iter().filter(|c| c.key == key(&["400"])).collect();
    assert_eq!(at_400.iter().map(|c| c.row).collect::<Vec<_>>(), [RowChange::Upsert, RowChange::Update]);
    assert_eq!(after(at_400[0], "email"), Some(&Value::Null), "the snapshot is one moment");
    assert_eq!(rest.last().map(|c| (c.row, c.key.clone())), Some((RowChange::Delete, key(&["1"]))));
    assert!(first.changes.iter().chain(&rest).is_sorted_by(|a, b| a.position < b.position));
}

#[test]
fn a_delete_between_a_broken_off_snapshot_and_its_repetition_is_not_lost() {
    let shop = Shop::new(CUSTOMERS);
    shop.write("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO customers(id) SELECT i FROM n");
    let mut session = shop.open(None).expect("opens");
    let Ok(Next::Batch(first)) = session.next() else { panic!("a batch") };
    assert!(first.progress.snapshot.is_some());
    drop(session);
    shop.write("DELETE FROM customers WHERE id = 1");
    let mut session = shop.open(Some(&first.progress)).expect("resumes");
    let seen = changes(&mut session);
    assert_eq!((seen[0].row, seen[0].key.clone()), (RowChange::Delete, key(&["1"])));
    assert!(seen[0].position > first.progress.position);
    assert_eq!(seen.len(), 1 + 399, "and every row is read again");
}

#[test]
fn it_resumes_from_any_recorded_progress_with_the_same_changes() {
    let shop = Shop::new(CUSTOMERS);
    let (mut session, start) = shop.streaming();
    shop.write("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO customers(id) SELECT i FROM n");
    let batches = drain(&mut session);
    assert!(batches.len() > 2);
    let all: Vec<Change> = batches.iter().flat_map(|b| b.changes.clone()).collect();
    for progress in std::iter::once(&start).chain(batches.iter().map(|b| &b.progress)) {
        let again = changes(&mut shop.open(Some(progress)).expect("resumes"));
        let rest: Vec<Change> = all.iter().filter(|c| c.position > progress.position).cloned().collect();
        assert_eq!(again, rest);
    }
}

#[test]
fn only_durable_changes_are_deleted_and_a_locked_database_is_left_for_later() {
    let shop = Shop::new(CUSTOMERS);
    let (mut session, _) = shop.streaming();
    let left = || shop.writer.query_row("SELECT count(*) FROM _writ_changes", [], |row| row.get::<_, i64>(0));
    shop.write("INSERT INTO customers(id) VALUES (1), (2), (3)");
    let seen = changes(&mut session);
    assert_eq!(left(), Ok(3));
    shop.write("BEGIN IMMEDIATE");
    session.acknowledge(seen[1].position).expect("not an error");
    shop.write("COMMIT");
    assert_eq!(left(), Ok(3));
    session.acknowledge(seen[1].position).expect("acknowledged");
    assert_eq!(left(), Ok(1));
}

#[test]
fn a_key_that_changes_carries_the_old_one() {
    let shop = Shop::new(CUSTOMERS);
    shop.write("INSERT INTO customers(id) VALUES (1)");
    let (mut session, _) = shop.streaming();
    shop.write("UPDATE customers SET id = 9");
    let seen = changes(&mut session);
    assert_eq!((seen[0].key.clone(), seen[0].old_key.clone()), (key(&["9"]), Some(key(&["1"]))));
}

#[test]
fn a_transaction_that_is_rolled_back_leaves_no_change() {
    let shop = Shop::new(CUSTOMERS);
    let (mut session, _) = shop.streaming();
    shop.write(
        "BEGIN; INSERT INTO customers(id) VALUES (1); ROLLBACK; INSERT INTO customers(id) VALUES (2);",
    );
    assert_eq!(changes(&mut session).iter().map(|c| c.key.clone()).collect::<Vec<_>>(), [key(&["2"])]);
}

#[test]
fn a_restored_database_is_refused_and_so_is_another_one() {
    let shop = Shop::new(CUSTOMERS);
    let (session, progress) = shop.streaming();
    drop(session);
    let ahead = SourceProgress { position: Position { commit: 7, ordinal: 0 }, ..progress.clone() };
    assert_eq!(shop.open(Some(&ahead)).expect_err("restored").code, code::SOURCE_POSITION);
    let other = SourceProgress { incarnation: Incarnation("another".into()), ..progress };
    let error = shop.open(Some(&other)).expect_err("another database");
    assert_eq!((error.code, error.is_passing), (code::SOURCE_IDENTITY, false));
}

#[test]
fn a_changed_mapping_renews_the_triggers_and_reads_the_table_again() {
    let mut shop = Shop::new(CUSTOMERS);
    shop.write("INSERT INTO customers(id, extra) VALUES (1, 'x')");
    let (session, progress) = shop.streaming();
    drop(session);
    let again = changes(&mut shop.open(Some(&progress)).expect("resumes"));
    assert_eq!(again, [], "nothing differs");
    shop.tables.get_mut("customers").expect("mapped").parent = Some("extra".into());
    let mut session = shop.open(Some(&progress)).expect("resumes");
    let seen = changes(&mut session);
    assert_eq!((seen[0].row, after(&seen[0], "extra")), (RowChange::Upsert, Some(&text("x"))));
    shop.write("UPDATE customers SET extra = 'y'");
    assert_eq!(changes(&mut session).len(), 1);
}

#[test]
fn rows_of_a_second_snapshot_never_stand_where_rows_of_the_first_did() {
    let mut shop = Shop::new(CUSTOMERS);
    shop.write("INSERT INTO customers(id, email) VALUES (1, 'a@b.example'), (2, 'c@d.example')");
    let (_, progress) = shop.streaming();
    shop.tables = serde_json::from_value(serde_json::json!({"customers": {
        "entity": "customer", "key": ["id"], "changes": {"email": ["email"], "segment": ["extra"]},
    }}))
    .expect("mapping");
    let again = changes(&mut shop.open(Some(&progress)).expect("opens"));
    assert_eq!(again.len(), 2);
    assert!(
        again.iter().all(|change| change.position > progress.position),
        "covered by the first: {again:?}"
    );
}

#[test]
fn a_table_that_a_migration_rebuilds_is_captured_again_while_running() {
    let shop = Shop::new(CUSTOMERS);
    shop.write("INSERT INTO customers(id, email) VALUES (1, 'ada@example.org')");
    let (mut session, _) = shop.streaming();
    shop.write(
        "CREATE TABLE new(id INTEGER PRIMARY KEY, email TEXT, phone TEXT); INSERT INTO new SELECT id, email, phone FROM customers;
         DROP TABLE customers; ALTER TABLE new RENAME TO customers; INSERT INTO customers(id) VALUES (2);",
    );
    let seen = changes(&mut session);
    assert_eq!(seen.iter().map(|c| c.row).collect::<Vec<_>>(), [RowChange::Upsert, RowChange::Upsert]);
    shop.write("DELETE FROM customers WHERE id = 1");
    assert_eq!(changes(&mut session).iter().map(|c| c.row).collect::<Vec<_>>(), [RowChange::Delete]);
}

#[test]
fn a_table_that_leaves_the_mapping_loses_its_triggers_and_stops_nothing() {
    let mut shop = Shop::mapped(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);",
        &serde_json::json!({
            "a": {"entity": "customer", "key": ["id"], "changes": {"email": ["v"]}},
            "b": {"entity": "customer", "key": ["id"], "changes": {"email": ["v"]}},
        }),
    );
    let (session, progress) = shop.streaming();
    drop(session);
    shop.write("INSERT INTO b VALUES (1, 1); INSERT INTO a VALUES (1, 1);");
    shop.tables.remove("b");
    let seen = changes(&mut shop.open(Some(&progress)).expect("resumes"));
    assert_eq!(seen.iter().map(|c| c.table.as_str()).collect::<Vec<_>>(), ["a"]);
    shop.write("INSERT INTO b VALUES (2, 2)");
    let recorded = "SELECT count(*) FROM _writ_changes WHERE tbl = 'b'";
    assert_eq!(shop.writer.query_row(recorded, [], |row| row.get::<_, i64>(0)), Ok(1));
}

#[test]
fn a_mapping_that_does_not_fit_names_table_and_column() {
    for schema in
        ["CREATE TABLE other(x)", "CREATE TABLE customers(id)", "CREATE VIEW customers AS SELECT 1 id"]
    {
        let error = Shop::new(schema).open(None).expect_err(schema);
        assert_eq!(error.code, code::MAPPING_UNFIT);
        assert!(error.cause.contains("customers"), "{error}");
    }
}

#[test]
fn a_missing_locked_or_foreign_file_is_told_apart() {
    let shop = Shop::new(CUSTOMERS);
    let with_path = |path: PathBuf| Session::open(Plan { path, ..shop.plan() }, None).expect_err("refused");
    let missing = with_path(shop.folder.path().join("absent.db"));
    assert_eq!((missing.code, missing.is_passing), (code::SOURCE_UNREACHABLE, true));
    let foreign = shop.folder.path().join("notes.txt");
    std::fs::write(
        &foreign,
        "this is not a database, and it is long enough to have a header of 100 bytes ".repeat(3),
    )
    .expect("write");
    let foreign = with_path(foreign);
    assert_eq!((foreign.code, foreign.is_passing), (code::SOURCE_PROTOCOL, false));
    shop.write("BEGIN IMMEDIATE");
    let locked = shop.open(None).expect_err("locked");
    assert_eq!((locked.code, locked.is_passing), (code::SOURCE_UNREACHABLE, true));
    assert!(!shop.folder.path().join("absent.db").exists(), "nothing is created");
}

#[test]
fn uninstalling_leaves_the_database_as_it_was() {
    let shop = Shop::new(CUSTOMERS);
    let objects = || -> Vec<String> {
        let mut names = shop.writer.prepare("SELECT name FROM sqlite_schema ORDER BY name").expect("prepare");
        let names = names.query_map([], |row| row.get(0)).expect("query");
        names.collect::<rusqlite::Result<_>>().expect("names")
    };
    let before = objects();
    let (session, _) = shop.streaming();
    drop(session);
    assert!(objects().len() > before.len());
    uninstall(&shop.path()).expect("removed");
    let left: Vec<String> = objects().into_iter().filter(|name| name != "sqlite_sequence").collect();
    assert_eq!(left, before);
    shop.write("INSERT INTO customers(id) VALUES (1)");
}

#[test]
fn the_check_warns_of_keys_that_are_not_unique_and_of_replaces_that_hide_deletes() {
    let shop = Shop::new("CREATE TABLE customers(id, email UNIQUE, phone)");
    let warnings = inspect(&shop.plan()).expect("looks");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("not unique") && warnings[1].contains("recursive_triggers"));
    let quiet = Shop::new(CUSTOMERS);
    assert_eq!(inspect(&quiet.plan()).expect("looks"), Vec::<String>::new());
    let installed = "SELECT count(*) FROM sqlite_schema WHERE name LIKE '!_writ%' ESCAPE '!'";
    assert_eq!(
        quiet.writer.query_row(installed, [], |row| row.get::<_, i64>(0)),
        Ok(0),
        "nothing was changed"
    );
}
