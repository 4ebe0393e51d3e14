//! Privacy cases: over kills, with a recipient that is down, one that only receives, one that is excepted; and the person
//! who comes back.

use serde_json::Value;
use writ_testkit::postgres::Options;

use crate::faults::{Scene, config};
use crate::first_change::{HEAD, webhook};
use crate::receivers::Receiver;
use crate::stage::until;

/// Two persons, and what policy demands: `crm` and `late` answer with the outcome, `slow` only receives.
const RULES: &str = "  tokens:\n    - { name: ada, secret: \"env:WRIT_ADA\", scopes: [read, operate] }\n    \
                     - { name: grace, secret: \"env:WRIT_GRACE\", scopes: [read, operate] }\n\
                     compliance:\n  observe: 0s\n  recipients:\n    crm: { says: outcome }\n    late: { says: outcome }\n    \
                     warehouse: { behind: crm }\n";

const RECEIVED: &str = "2026-11-20T10:00:00+01:00";

/// The head of the configuration, with two tokens and the rules behind its API.
fn head() -> String {
    HEAD.replace("attest:", &format!("{RULES}attest:"))
}

struct Told {
    scene: Scene,
    late: Receiver,
    slow: Receiver,
}

impl Told {
    /// Two customers are known to crm and slow; late is down.
    async fn set() -> Option<Self> {
        let mut scene = Scene::set(&Options::default()).await?;
        let (late, slow) =
            (Receiver::dead().await, Receiver::start(crate::receivers::Behaviour::Healthy).await);
        let text = config(&head(), &scene.crm) + &webhook("late", &late) + &webhook("slow", &slow);
        scene.stage.environment("WRIT_ADA", "ada-4711-4711-4711");
        scene.stage.environment("WRIT_GRACE", "grace-4711-4711-4711");
        scene.stage.holds("ada-4711-4711-4711");
        scene.stage.reconfigure(text);
        let mut told = Self { scene, late, slow };
        told.start().await;
        told.scene.add(1..3).await;
        told.scene.arrived(2).await;
        until("slow has them too", async || (told.slow.events() == 4).then_some(())).await;
        Some(told)
    }

    async fn start(&mut self) {
        self.scene.stage.start().await;
        self.scene.stage.streams().await;
    }

    async fn kill(&mut self) {
        self.scene.stage.kill().await;
        // A source of which nothing is read says that it streams with the server's next word, which may take a while.
        self.scene.stage.start().await;
    }

    async fn requests(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = ["requests"].iter().chain(words).chain(&["--json"]).copied().collect();
        serde_json::from_str(&self.scene.stage.writ(&words).await.succeeded()).expect("JSON")
    }

    async fn refused(&self, words: &[&str]) -> String {
        let words: Vec<&str> = ["requests"].iter().chain(words).copied().collect();
        let answer = self.scene.stage.writ(&words).await;
        assert!(!answer.err.is_empty(), "it was taken: {answer:?}");
        answer.err
    }

    async fn open(&self, more: &[&str]) -> Value {
        let person = self.scene.subject(1);
        let words =
            ["open", "erasure", &person, "--law", "gdpr", "--received", RECEIVED, "--note", "by letter"];
        let words: Vec<&str> = words.into_iter().chain(more.iter().copied()).collect();
        self.requests(&words).await
    }

    async fn until(&self, case: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let look = async || Some(self.requests(&["show", case]).await).filter(|case| is_so(case));
        until(what, look).await
    }

    fn erasures(&self) -> usize {
        let told = self.scene.crm.deliveries();
        let ids: std::collections::BTreeSet<String> = told
            .into_iter()
            .filter(|one| one.event_type.contains(".erasure."))
            .map(|one| one.event_id)
            .collect();
        ids.len()
    }
}

fn id(case: &Value) -> String {
    case["id"].as_str().expect("an id").to_owned()
}

fn state<'a>(case: &'a Value, recipient: &str) -> &'a str {
    case["recipients"][recipient]["state"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_is_fulfilled_when_each_recipient_has_shown_it_or_is_excepted_through_kills() {
    let Some(mut told) = Told::set().await else { return };
    let planned = told.open(&[]).await;
    let cause = told.refused(&["show", &id(&planned)]).await;
    assert!(cause.contains("WRIT-9010"), "a dry run opens nothing: {cause}");
    let case = id(&told.open(&["--reference", "2026-118", "--yes"]).await);
    assert_eq!(id(&told.open(&["--reference", "2026-118", "--yes"]).await), case, "once");
    told.kill().await;
    let clocks = told.requests(&["show", &case]).await["clocks"].clone();
    let day = |duty: &str, which: &str| {
        let clock = clocks.as_array().into_iter().flatten().find(|one| one["duty"] == duty);
        clock.map(|clock| clock[which]["day"].clone()).unwrap_or_default()
    };
    assert_eq!(day("respond", "legal"), "2026-12-21", "a month later is a Sunday: {clocks:#}");
    assert!(clocks.as_array().is_some_and(|all| all.iter().any(|one| one["legal"].is_null())), "{clocks:#}");
    assert_eq!(told.erasures(), 0, "nothing is sent before who asks is verified");
    told.requests(&["act", "verify", &case, "--note", "answered the letter"]).await;
    told.until(&case, "crm has done it", |case| state(case, "crm") == "outcome_reported").await;
    told.kill().await;
    let shown = told
        .until(&case, "slow has it", |case| {
            state(case, "slow") == "received" && state(case, "late") == "sent"
        })
        .await;
    assert_eq!((&shown["state"], state(&shown, "warehouse")), (&"dispatched".into(), "sent"), "{shown:#}");
    told.scene.stage.writ(&["requests", "list"]).await.succeeded();
    let report = ["report", &case, "slow", "completed", "--note", "by telephone"];
    let reported = told.requests(&report).await;
    assert_eq!(
        (state(&reported, "slow"), &reported["recipients"]["slow"]["grade"]),
        ("outcome_reported", &"E1".into())
    );
    told.requests(&["except", &case, "warehouse", "--until", "2027-02-01T00:00:00Z", "--note", "30 days"])
        .await;
    let alone = told.refused(&["approve", &case, "warehouse", "--note", "agreed"]).await;
    assert!(alone.contains("WRIT-9011") && alone.contains("another person"), "{alone}");
    told.requests(&["approve", &case, "warehouse", "--note", "agreed", "--as", "grace"]).await;
    let waits = told.until(&case, "it waits for late alone", |case| case["settled"]["recipients"] == 3).await;
    assert_eq!(waits["why"], "late: sent", "{waits:#}");
    told.late.come_up().await;
    told.kill().await;
    told.until(&case, "it is fulfilled", |case| case["state"] == "fulfilled").await;
    told.requests(&["act", "answer", &case, "--note", "by letter"]).await;
    let closed = told.until(&case, "it is closed", |case| case["state"] == "closed").await;
    assert!(
        closed["clocks"].as_array().into_iter().flatten().all(|clock| clock["standing"] == "met"),
        "{closed:#}"
    );
    let saga = told.scene.stage.writ(&["saga", "show", &case.replace("case-", "saga-")]).await.succeeded();
    assert!(saga.contains("done"), "{saga}");
    assert_eq!(told.erasures(), 1, "one event, whatever happened in between");
    assert!(told.scene.stage.terminate().await.success(), "{}", told.scene.stage.log());
    assert!(told.scene.stage.verify().await.succeeded().contains("sound"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_who_comes_back_has_another_life_that_no_old_erasure_reaches() {
    let Some(mut told) = Told::set().await else { return };
    told.late.come_up().await;
    let person = told.scene.subject(1);
    let early =
        told.refused(&["readmit", &person, "--basis", "consent", "--evidence", "form 1", "--yes"]).await;
    assert!(early.contains("WRIT-9013"), "{early}");
    let case = id(&told.open(&["--yes"]).await);
    told.requests(&["act", "verify", &case, "--note", "by passport"]).await;
    told.until(&case, "all have it", |case| state(case, "slow") == "received").await;
    for who in ["slow", "warehouse"] {
        told.requests(&["report", &case, who, "not-found", "--note", "by telephone"]).await;
    }
    told.until(&case, "it is fulfilled", |case| case["state"] == "fulfilled").await;
    told.requests(&["act", "answer", &case, "--note", "by letter"]).await;
    told.until(&case, "it is closed", |case| case["state"] == "closed").await;
    let count = told.scene.crm.deliveries().len();
    told.scene.cluster.psql("UPDATE customer SET email = 'back@example.org' WHERE id = 1").await;
    told.scene.cluster.psql("UPDATE customer SET email = 'bea@example.org' WHERE id = 2").await;
    until("the other person's change arrives", async || {
        (told.scene.crm.deliveries().len() > count).then_some(())
    })
    .await;
    assert_eq!(
        told.scene.crm.deliveries().pop().map(|one| one.subject).as_deref(),
        Some("customer/2"),
        "hers is held"
    );
    let readmit = ["readmit", &person, "--basis", "consent", "--evidence", "form 4711", "--yes"];
    assert_eq!(told.requests(&readmit).await["generation"], 2);
    assert!(told.refused(&readmit).await.contains("WRIT-9013"), "once");
    told.kill().await;
    told.scene.cluster.psql("UPDATE customer SET email = 'again@example.org' WHERE id = 1").await;
    // Nothing of her was known any more: each of her attributes is new.
    let again = async || {
        let of_her = told.scene.crm.deliveries().into_iter().rev().take(2);
        of_her.filter(|one| one.subject == "customer/1" && !one.is_tombstone).nth(1).map(drop)
    };
    until("her changes are delivered again", again).await;
    let count = told.scene.crm.deliveries().len();
    let replay = ["replay", "start", "crm", "--subject", &person, "--yes", "--json"];
    let replay: Value =
        serde_json::from_str(&told.scene.stage.writ(&replay).await.succeeded()).expect("JSON");
    let name = id(&replay);
    let ended = until("the replay ends", async || {
        let shown = told.scene.stage.writ(&["replay", "show", &name, "--json"]).await;
        let shown: Value = serde_json::from_str(&shown.out).ok()?;
        (shown["state"] == "done").then_some(shown)
    })
    .await;
    let delivered = told.scene.crm.deliveries().len() - count;
    assert_eq!((&ended["delivered"], delivered), (&2.into(), 2), "{ended:#}");
    assert!(ended["withheld"].as_u64() >= Some(4), "the life before, its erasure too: {ended:#}");
    assert!(told.scene.stage.terminate().await.success(), "{}", told.scene.stage.log());
    assert!(told.scene.stage.verify().await.succeeded().contains("sound"));
}
