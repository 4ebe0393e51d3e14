//! Mistakes as people make them, and what they are told.

use super::*;

const GOOD: &str = "\
tenant: acme
store: { path: data }
api:
  tokens:
    - { name: shop, secret: env:T, scopes: [ingest] }
sources:
  shop:
    kind: sqlite
    path: shop.db
    tables:
      public.customers:
        entity: customer
        key: [id]
        changes: { email: [email] }
subscribers:
  crm:
    kind: webhook
    url: http://127.0.0.1:1/x
    delivery:
      attempts_max: 3
";

fn all(text: &str) -> Vec<Mistake> {
    match parse(text, "writ.yaml") {
        Ok((config, places)) => mistakes(&Loaded { config, base: PathBuf::new(), places }),
        Err(mistake) => vec![mistake],
    }
}

/// Changes the good file in one place and expects one mistake with these words.
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from), "{from}");
    let found = all(&GOOD.replacen(from, to, 1));
    let [mistake] = found.as_slice() else { panic!("{to}: {found:?}") };
    let text = format!("{} {mistake}", mistake.code);
    for word in expected {
        assert!(text.contains(word), "{to}: {text}");
    }
}

#[test]
fn the_good_file_has_no_mistake() {
    assert_eq!(all(GOOD), []);
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_known_key() {
    check("subscribers:", "subscriber:", &["WRIT-1003", "writ.yaml:15:1", "\"subscribers\""]);
    check("store: { path: data }", "store: { paht: data }", &["WRIT-1003", "writ.yaml:2:10", "\"path\""]);
    check("attempts_max", "attempt_max", &["WRIT-1003", "writ.yaml:20:7", "\"attempts_max\""]);
    check("key: [id]", "kye: [id]", &["WRIT-1003", "writ.yaml:13:", "\"key\""]);
    check("secret: env:T", "secrte: env:T", &["WRIT-1003", "writ.yaml:5:", "\"secret\""]);
}

#[test]
fn an_unknown_key_of_a_connector_names_its_line_and_the_nearest_known_key() {
    check(
        "    path: shop.db",
        "    pth: shop.db",
        &["WRIT-1003", "writ.yaml:9:5", "sources.shop.pth", "\"path\""],
    );
    check(
        "    url: http",
        "    ulr: http",
        &["WRIT-1003", "writ.yaml:18:5", "subscribers.crm.ulr", "\"url\""],
    );
    check("    delivery:", "    delivry:", &["WRIT-1003", "writ.yaml:19:5", "\"delivery\""]);
    check("    tables:", "    table:", &["WRIT-1003", "writ.yaml:10:5", "\"tables\""]);
}

#[test]
fn a_value_of_the_wrong_kind_names_its_line_and_what_is_expected() {
    check("attempts_max: 3", "attempts_max: many", &["WRIT-1004", "writ.yaml:20:21"]);
    check("attempts_max: 3", "attempts_max: -3", &["WRIT-1004", "writ.yaml:20:"]);
    check("attempts_max: 3", "attempts_max: [3]", &["WRIT-1004", "writ.yaml:20:"]);
    check("{ path: data }", "data", &["WRIT-1004", "writ.yaml:2:"]);
    check("tenant: acme", "tenant: Not A Name", &["WRIT-1004", "writ.yaml:1:", "[a-z0-9]"]);
    check("tenant: acme", "tenant:", &["WRIT-1004", "writ.yaml:1:"]);
    check("tenant: acme\n", "", &["WRIT-1004", "tenant", "missing"]);
    check("[ingest]", "[ingets]", &["WRIT-1004", "writ.yaml:5:", "\"ingest\""]);
    check("entity: customer", "entity: custommer", &["WRIT-1004", "\"customer\""]);
    check("{ email:", "{ emial:", &["WRIT-1004", "\"email\""]);
}

#[test]
fn a_bad_length_of_time_says_how_to_write_one() {
    check("attempts_max: 3", "age_max: 3 fortnights", &["WRIT-1004", "writ.yaml:20:", "1h 30m"]);
    check("attempts_max: 3", "breaker_open: 30", &["WRIT-1004", "writ.yaml:20:", "1h 30m"]);
}

#[test]
fn a_value_out_of_range_names_its_line_and_the_range() {
    check("attempts_max: 3", "attempts_max: 0", &["WRIT-1004", "writ.yaml:20:7", "attempts_max", "1 to"]);
    check("attempts_max: 3", "in_flight_max: 0", &["WRIT-1004", "writ.yaml:20:7", "in_flight_max"]);
    check("attempts_max: 3", "retry_longest: 1ms", &["WRIT-1004", "retry_longest", "500ms"]);
    check("api:", "limits: { intake_changes: 0 }\napi:", &["WRIT-1004", "writ.yaml:3:", "intake_changes"]);
    check(
        "api:",
        "attest: { checkpoint_every: 0s }\napi:",
        &["WRIT-1004", "writ.yaml:3:", "checkpoint_every"],
    );
}

#[test]
fn a_rate_that_cannot_be_kept_names_its_line_and_why() {
    let rate = |text: &str| format!("rate: {{ {text} }}");
    let refused = |text: &str, words: &[&str]| check("attempts_max: 3", &rate(text), words);
    refused("bucket: { requests: 0, per: 1s }", &["WRIT-1013", "writ.yaml:20:15", "allows nothing"]);
    refused("cost: { points: 5, per: 1s, event: 9 }", &["WRIT-1013", "costs 9", "more than 5"]);
    refused("windows: [{ requests: 9, per: 1s }, { requests: 9, per: 1m }]", &["WRIT-1013", "never holds"]);
    refused("windows: [{ per: 1s }]", &["WRIT-1013", "either requests or events"]);
    refused("events_in_flight_max: 0", &["WRIT-1004", "events_in_flight_max"]);
    refused("bucket: { events: 1, per: 400h, burst: 3, x: 1 }", &["WRIT-1003", "\"x\""]);
    refused("windows: [{ events: 1, per: 4000h }]", &["WRIT-1004", "windows"]);
}

#[test]
fn an_address_that_nobody_can_listen_on_and_an_open_one_are_refused() {
    check("api:", "api:\n  listen: '8780'", &["WRIT-1004", "writ.yaml:4:3", "127.0.0.1:8780"]);
    check("api:", "api:\n  listen: localhost:http", &["WRIT-1004", "writ.yaml:4:3"]);
    let open = "api: { listen: '0.0.0.0:8780' }\nx:";
    let text =
        GOOD.replacen("api:\n  tokens:\n    - { name: shop, secret: env:T, scopes: [ingest] }\n", open, 1);
    let found = all(&text.replacen("\nx:", "\n", 1));
    assert!(found.len() == 1 && found[0].cause.contains("not loopback"), "{found:?}");
}

#[test]
fn tokens_have_names_of_their_own_and_open_something() {
    let token = "    - { name: shop, secret: env:T, scopes: [ingest] }\n";
    check(token, &token.repeat(2), &["WRIT-1004", "two tokens", "\"shop\""]);
    check("[ingest]", "[]", &["WRIT-1004", "opens nothing"]);
}

#[test]
fn a_consumers_token_is_for_one_subscriber_of_the_file_and_nothing_else() {
    let good = GOOD.replacen("scopes: [ingest]", "scopes: [consume], subscriber: crm", 1);
    assert_eq!(all(&good), []);
    check("[ingest]", "[consume]", &["WRIT-1004", "names no subscriber"]);
    check("[ingest]", "[consume, read], subscriber: crm", &["WRIT-1004", "has other scopes"]);
    check("[ingest]", "[ingest], subscriber: crm", &["WRIT-1004", "has other scopes"]);
    check("[ingest]", "[consume], subscriber: cmr", &["WRIT-1004", "is for cmr", "name a subscriber"]);
}

#[test]
fn a_key_that_stands_twice_names_both_the_key_and_the_line() {
    check(
        "tenant: acme",
        "tenant: acme\ntenant: other",
        &["WRIT-1002", "writ.yaml:2:", "\"tenant\"", "twice"],
    );
    check("    path: shop.db", "    path: a\n    path: b", &["WRIT-1002", "writ.yaml:10:", "\"path\""]);
}

#[test]
fn text_that_is_not_yaml_names_its_line() {
    check("{ path: data }", "{ path: data", &["WRIT-1002", "writ.yaml:"]);
    check("kind: sqlite", "kind: 'sqlite", &["WRIT-1002", "writ.yaml:"]);
    check("tenant: acme", "tenant: acme\n---\nx: 1", &["WRIT-100", "writ.yaml:"]);
}

#[test]
fn a_secret_in_the_wrong_place_is_never_printed() {
    let secret = "hunter2-hunter2";
    for (from, to) in [
        ("attempts_max: 3", format!("attempts_max: {secret}")),
        ("store: { path: data }", format!("store: {secret}")),
        ("scopes: [ingest]", format!("scopes: {secret}")),
        ("scopes: [ingest]", format!("scopes: [{secret}]")),
        ("attempts_max: 3", format!("age_max: {secret}")),
        ("listen", format!("listen: {secret}")),
        ("    - { name: shop", format!("    - {secret}\n    - {{ name: shop")),
    ] {
        for mistake in all(&GOOD.replacen(from, &to, 1)) {
            assert!(!format!("{mistake} {mistake:?}").contains(secret), "{mistake}");
        }
    }
}

#[test]
fn what_is_no_configuration_file_is_told_as_such() {
    let folder = tempfile::tempdir().expect("folder");
    let told = |path: &Path| read(path).map(|_| ()).expect_err("no configuration");
    let missing = told(&folder.path().join("absent.yaml"));
    assert!(missing.code == code::CONFIG_UNREADABLE && missing.remedy.contains("writ init"), "{missing}");
    let directory = told(folder.path());
    assert!(directory.code == code::CONFIG_UNREADABLE && directory.cause.contains("folder"), "{directory}");
    for (bytes, cause) in [(&b"tenant: acme\nx: \xff"[..], "UTF-8"), (b"", "empty"), (b"# only\n\n", "empty")]
    {
        let path = folder.path().join("writ.yaml");
        std::fs::write(&path, bytes).expect("write");
        let mistake = told(&path);
        assert!(mistake.code == code::CONFIG_MALFORMED && mistake.cause.contains(cause), "{mistake}");
    }
}

#[test]
fn a_place_below_the_last_known_key_is_that_keys() {
    let (_, places) = parse(GOOD, "writ.yaml").expect("parses");
    assert_eq!(
        places.of("sources.shop.tables.public.customers.key"),
        "writ.yaml:13:9 sources.shop.tables.public.customers.key"
    );
    assert_eq!(places.of("sources.shop.slot"), "writ.yaml:7:3 sources.shop.slot");
    assert_eq!(places.of("load policies"), "load policies");
}
