//! What the check finds, and what it says to do.

use writ_model::code::{self, Code};
use writ_testkit::postgres::Options;

use crate::rig::{Rig, text, value};

/// Expects the check to refuse with this code and to say this in its message.
async fn refused(rig: &Rig, code: Code, says: &str) {
    let error = rig.source().check().await.expect_err("refused");
    assert_eq!(error.code, code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_setup_passes_with_warnings() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let warnings = rig.source().check().await.expect("sound");
    assert!(warnings.iter().any(|warning| warning.contains("max_slot_wal_keep_size")), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("created at the first start")), "{warnings:?}");
    assert_eq!(
        rig.cluster.value("SELECT count(*) FROM pg_publication").await,
        "0",
        "a check changes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_no_logical_log_is_refused() {
    let Some(rig) = Rig::start(Options::default().with("wal_level", "replica")).await else { return };
    refused(&rig, code::SOURCE_SETTINGS, "wal_level").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_of_what_is_not_there_names_the_nearest() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.mapping["public.customer"]["changes"]["email"] = serde_json::json!(["emial"]);
    refused(&rig, code::MAPPING_UNFIT, "did you mean email?").await;
    rig.mapping = serde_json::json!({"public.custmer": {"entity": "customer", "key": ["id"], "changes": {}}});
    refused(&rig, code::MAPPING_UNFIT, "did you mean public.customer?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_column_cannot_be_mapped() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.cluster
        .psql("ALTER TABLE customer ADD COLUMN loud text GENERATED ALWAYS AS (upper(email)) STORED")
        .await;
    rig.mapping["public.customer"]["changes"]["email"] = serde_json::json!(["loud"]);
    refused(&rig, code::MAPPING_UNFIT, "generated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_changes_could_not_be_keyed_is_refused_before_it_is_published() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql("ALTER TABLE customer REPLICA IDENTITY NOTHING").await;
    refused(&rig, code::REPLICA_IDENTITY, "the application's own UPDATE and DELETE would fail").await;
    rig.cluster.psql("ALTER TABLE customer REPLICA IDENTITY DEFAULT; ALTER TABLE customer DROP CONSTRAINT customer_pkey").await;
    refused(&rig, code::REPLICA_IDENTITY, "the application's own UPDATE and DELETE would fail").await;
    rig.cluster.psql("ALTER TABLE customer ADD PRIMARY KEY (id)").await;
    rig.mapping["public.customer"]["key"] = serde_json::json!(["email"]);
    refused(&rig, code::REPLICA_IDENTITY, "lacks key columns").await;
    rig.cluster.psql("ALTER TABLE customer REPLICA IDENTITY FULL").await;
    assert!(rig.source().check().await.is_ok());
    assert_eq!(rig.cluster.value("SELECT count(*) FROM pg_publication").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_does_not_cover_the_mapping_is_refused_with_the_statement_that_mends_it() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.key("create_publication", false);
    refused(&rig, code::PUBLICATION_UNFIT, "CREATE PUBLICATION").await;
    rig.refuses(None, code::PUBLICATION_UNFIT).await;
    rig.cluster.psql("CREATE TABLE other (id int); CREATE PUBLICATION writ FOR TABLE other").await;
    refused(&rig, code::PUBLICATION_UNFIT, "ADD TABLE \"public\".\"customer\"").await;
    rig.cluster.psql("ALTER PUBLICATION writ SET TABLE customer (id, email)").await;
    refused(&rig, code::PUBLICATION_UNFIT, "leaves out note").await;
    rig.cluster
        .psql("ALTER PUBLICATION writ SET TABLE customer; ALTER PUBLICATION writ SET (publish = 'insert')")
        .await;
    refused(&rig, code::PUBLICATION_UNFIT, "leaves out inserts, updates or deletes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_must_be_published_by_its_root() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.cluster
        .psql(
            "CREATE TABLE member (id int PRIMARY KEY, email text) PARTITION BY HASH (id); \
             CREATE TABLE member_0 PARTITION OF member FOR VALUES WITH (MODULUS 1, REMAINDER 0); \
             CREATE PUBLICATION writ FOR TABLE member",
        )
        .await;
    rig.mapping =
        serde_json::json!({"member": {"entity": "customer", "key": ["id"], "changes": {"email": ["email"]}}});
    refused(&rig, code::PUBLICATION_UNFIT, "publish_via_partition_root").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_and_never_shown() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster
        .psql("SET password_encryption = 'scram-sha-256'; CREATE ROLE app LOGIN REPLICATION PASSWORD 'right'")
        .await;
    let host_rule = "host all app 127.0.0.1/32 scram-sha-256\n";
    let path = rig.cluster.folder().join("data/pg_hba.conf");
    let rules = std::fs::read_to_string(&path).expect("read pg_hba.conf");
    std::fs::write(&path, format!("{host_rule}{rules}")).expect("write pg_hba.conf");
    rig.cluster.psql("SELECT pg_reload_conf()").await;
    rig.url(&format!("postgres://app:hunter2@127.0.0.1:{}/postgres?sslmode=disable", rig.cluster.port()));
    refused(&rig, code::SOURCE_UNREACHABLE, "password").await;
    let error = rig.source().check().await.expect_err("refused");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    rig.url(&format!("postgres://app:right@127.0.0.1:{}/postgres?sslmode=disable", rig.cluster.port()));
    assert!(rig.source().check().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_read_a_table_is_told_what_it_needs() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql("CREATE ROLE app LOGIN REPLICATION; CREATE PUBLICATION writ FOR TABLE customer").await;
    rig.url(&format!("postgres://app@127.0.0.1:{}/postgres?sslmode=disable", rig.cluster.port()));
    let error = rig.refusal(None).await;
    assert_eq!(error.code, code::SOURCE_SETTINGS, "{error}");
    assert!(error.remedy.contains("SELECT on the mapped tables"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_hidden_by_row_security_are_an_error_not_a_gap() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster
        .psql(
            "INSERT INTO customer VALUES (1, 'hidden', ''); CREATE ROLE app LOGIN REPLICATION; \
             GRANT SELECT ON customer TO app; ALTER TABLE customer ENABLE ROW LEVEL SECURITY; \
             CREATE PUBLICATION writ FOR TABLE customer",
        )
        .await;
    rig.url(&format!("postgres://app@127.0.0.1:{}/postgres?sslmode=disable", rig.cluster.port()));
    let error = rig.refusal(None).await;
    assert_eq!(error.code, code::SOURCE_SETTINGS, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_runs_over_tls_to_a_verified_server() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    if !rig.serve_tls().await {
        return;
    }
    let url = |query: &str| format!("postgres://postgres@localhost:{}/postgres?{query}", rig.cluster.port());
    let certificate = rig.cluster.folder().join("data/server.crt").display().to_string();
    let verified = url(&format!("sslmode=verify-full&sslrootcert={certificate}"));
    let untrusted = url("sslmode=verify-full");
    let unverified = url("sslmode=require");
    rig.url(&untrusted);
    refused(&rig, code::SOURCE_UNREACHABLE, "certificate").await;
    rig.url(&unverified);
    assert!(rig.source().check().await.is_ok());
    rig.url(&verified);
    let mut running = rig.streaming().await;
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'sealed', '')").await;
    running.until_changes(1).await;
    assert_eq!(value(&running.changes[0], "email"), text("sealed"));
    let encrypted = rig
        .cluster
        .value("SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_replication r USING (pid)")
        .await;
    assert_eq!(encrypted, "t");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_mapped_while_writ_was_down_must_be_published_before_the_stream_goes_on() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    let recorded = rig.streaming().await.stop().await.recorded();
    rig.cluster.psql("CREATE TABLE member (id int PRIMARY KEY, email text)").await;
    rig.mapping["public.member"] =
        serde_json::json!({"entity": "customer", "key": ["id"], "changes": {"email": ["email"]}});
    let error = rig.refusal(Some(&recorded)).await;
    assert_eq!(error.code, code::PUBLICATION_UNFIT, "{error}");
    assert!(error.remedy.contains("ADD TABLE \"public\".\"member\""), "{error}");
    rig.cluster.psql("ALTER PUBLICATION writ ADD TABLE member; INSERT INTO member VALUES (1, 'told')").await;
    let mut resumed = rig.run(Some(&recorded));
    resumed.until_email("1", "told").await;
    resumed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_was_dropped_while_writ_was_down_is_named_and_not_made_anew() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let recorded = rig.streaming().await.stop().await.recorded();
    rig.cluster.psql("DROP PUBLICATION writ").await;
    let error = rig.refusal(Some(&recorded)).await;
    assert_eq!(error.code, code::PUBLICATION_UNFIT, "{error}");
    assert!(error.remedy.contains("new `slot` name"), "{error}");
    assert_eq!(rig.cluster.value("SELECT count(*) FROM pg_publication").await, "0");
}
