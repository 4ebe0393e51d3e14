//! Privacy cases over HTTP: what each right asks for, and what is refused.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::rig::{OPERATE, Rig, TILL, email};

const RECEIVED: &str = "2026-11-02T10:00:00+01:00";

async fn post(rig: &Rig, path: &str, body: &Value) -> Answer {
    rig.ask("POST", path).token(OPERATE).body(body.to_string()).send().await
}

/// The subject of a customer, and the event that made it known.
async fn known(rig: &Rig, id: &str, key: &str) -> (String, String) {
    let event = rig.push(&email(id, key, "ada@example.org")).await.event_id();
    let path = format!("/v1/events/{event}");
    let trace = rig.get_until(&path, |answer| answer.status == 200).await.json();
    (trace["subject_id"].as_str().unwrap().to_owned(), event)
}

fn request(right: &str, subject: &str) -> Value {
    json!({ "right": right, "subject": subject, "law": "gdpr", "received_at": RECEIVED, "note": "by letter" })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

async fn opened(rig: &Rig, body: &Value) -> String {
    let answer = post(rig, "/v1/cases", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    format!("/v1/cases/{}", answer.json()["id"].as_str().unwrap())
}

async fn act(rig: &Rig, case: &str, act: &str) -> Answer {
    post(rig, &format!("{case}/acts"), &json!({ "act": act, "note": "done" })).await
}

async fn until(rig: &Rig, case: &str, state: &str) -> Value {
    rig.get_until(case, |answer| answer.json()["state"] == state).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_access_sends_nothing_and_ends_with_the_answer() {
    let rig = Rig::start().await;
    let (subject, _) = known(&rig, "1", "17").await;
    let end = rig.log_end().await;
    let case = opened(&rig, &request("access", &subject)).await;
    act(&rig, &case, "answer").await;
    act(&rig, &case, "verify").await.json();
    let closed = until(&rig, &case, "closed").await;
    assert_eq!(
        closed["recipients"]["archive"]["state"], "planned",
        "it says who has the data, and tells nobody"
    );
    let leaves = rig.get("/v1/status").await.json();
    assert!(rig.log_end().await > end, "journaled: {leaves}");
    let events = rig.get(&format!("/v1/subjects/{subject}/events")).await.json();
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_tells_every_recipient_to_suppress_and_waits_for_their_word() {
    let rig = Rig::start().await;
    let (subject, _) = known(&rig, "1", "17").await;
    let body = with(request("opt_out", &subject), "law", json!("ccpa"));
    let case = opened(&rig, &body).await;
    act(&rig, &case, "verify").await;
    let received = |answer: &Answer| answer.json()["recipients"]["archive"]["state"] == "received";
    let seen = rig.get_until(&case, received).await.json();
    assert_eq!((&seen["state"], &seen["grade"]), (&json!("dispatched"), &json!("E1")), "{seen:#}");
    let report = json!({ "outcome": "completed", "note": "seen in the file" });
    let told = post(&rig, &format!("{case}/recipients/archive/reports"), &report).await;
    assert_eq!(told.json()["recipients"]["archive"]["state"], "outcome_reported");
    until(&rig, &case, "fulfilled").await;
    act(&rig, &case, "answer").await;
    until(&rig, &case, "closed").await;
    act(&rig, &case, "answer").await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscribers_own_word_counts_more_than_one_that_an_operator_brings() {
    let rig = Rig::start_pulled().await;
    let (subject, _) = known(&rig, "1", "17").await;
    let case = opened(&rig, &request("erasure", &subject)).await;
    act(&rig, &case, "verify").await;
    rig.get_until(&case, |answer| answer.json()["recipients"]["till"]["state"] == "sent").await;
    let id = case.rsplit('/').next().unwrap();
    let path = format!("/v1/subscribers/till/cases/{id}/report");
    let word = json!({ "outcome": "completed", "note": "done" });
    let told = rig.ask("POST", &path).token(TILL).body(word.to_string()).send().await;
    assert_eq!(told.status, 200, "{}", told.text);
    assert_eq!(
        told.json(),
        json!({ "case": id, "state": "outcome_reported", "grade": "E2" }),
        "nothing of others"
    );
    let of_another = path.replace("till", "desk");
    let refused = rig.ask("POST", &of_another).token(TILL).body(word.to_string()).send().await;
    refused.expect_problem(StatusCode::FORBIDDEN, "WRIT-3001");
    let brought = format!("{case}/recipients/desk/reports");
    let brought = post(&rig, &brought, &word).await.json();
    assert_eq!(brought["recipients"]["desk"]["grade"], "E1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rectification_follows_the_event_that_corrects_and_no_other_persons() {
    let rig = Rig::start().await;
    let (subject, event) = known(&rig, "1", "17").await;
    let (_, others) = known(&rig, "2", "18").await;
    let body = request("rectification", &subject);
    post(&rig, "/v1/cases", &body).await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    let wrong = with(body.clone(), "event", json!(others));
    post(&rig, "/v1/cases", &wrong).await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    let case = opened(&rig, &with(body, "event", json!(event))).await;
    act(&rig, &case, "verify").await;
    let received = |answer: &Answer| answer.json()["recipients"]["archive"]["state"] == "received";
    rig.get_until(&case, received).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_an_act_that_the_dates_are_counted_anew_with() {
    let rig = Rig::start().await;
    let (subject, _) = known(&rig, "1", "17").await;
    let case = opened(&rig, &with(request("erasure", &subject), "zone", json!("Europe/Vienna"))).await;
    let legal = |case: &Value| {
        let clocks = case["clocks"].as_array().unwrap().clone();
        clocks.into_iter().find(|clock| clock["duty"] == "respond").unwrap()["legal"]["day"].clone()
    };
    assert_eq!(legal(&rig.get(&case).await.json()), "2026-12-02");
    let extended = act(&rig, &case, "extend").await.json();
    assert_eq!(extended["extensions"].as_array().map(Vec::len), Some(1));
    let day = legal(&extended);
    assert!(day == "2027-02-02" || day == "2026-12-02", "told in time, or not any more: {day}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_opened_is_refused_with_its_reason_and_writes_nothing() {
    let rig = Rig::start().await;
    let (subject, event) = known(&rig, "1", "17").await;
    let good = request("erasure", &subject);
    let refused = [
        (with(good.clone(), "law", json!("gdqr")), StatusCode::BAD_REQUEST, "WRIT-9001"),
        (with(good.clone(), "statute_right", json!("unsubscribe")), StatusCode::BAD_REQUEST, "WRIT-9001"),
        (with(good.clone(), "received_at", json!("2999-01-01T00:00:00Z")), StatusCode::CONFLICT, "WRIT-9011"),
        (with(good.clone(), "subject", json!("00".repeat(16))), StatusCode::CONFLICT, "WRIT-9011"),
        (with(good.clone(), "event", json!(event)), StatusCode::CONFLICT, "WRIT-9011"),
        (with(good.clone(), "note", json!(" ")), StatusCode::BAD_REQUEST, "WRIT-8005"),
        (with(good.clone(), "nothing", json!(1)), StatusCode::BAD_REQUEST, "WRIT-8005"),
    ];
    for (body, status, code) in refused {
        post(&rig, "/v1/cases", &body).await.expect_problem(status, code);
    }
    let planned = post(&rig, "/v1/cases", &with(good, "dry_run", json!(true))).await;
    assert_eq!(planned.status, 200);
    assert_eq!(rig.get("/v1/cases").await.json()["cases"], json!([]), "a dry run opens nothing");
    let path = format!("/v1/cases/{}", planned.json()["id"].as_str().unwrap());
    rig.get(&path).await.expect_problem(StatusCode::NOT_FOUND, "WRIT-9010");
    act(&rig, &path, "verify").await.expect_problem(StatusCode::NOT_FOUND, "WRIT-9010");
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_that_do_not_fit_how_a_case_stands_are_refused() {
    let rig = Rig::start().await;
    let (subject, _) = known(&rig, "1", "17").await;
    let case = opened(&rig, &request("erasure", &subject)).await;
    let until_then = json!({ "until": "2999-01-01T00:00:00Z", "note": "x" });
    let except = format!("{case}/recipients/archive/exception");
    post(&rig, &except, &until_then).await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    act(&rig, &case, "verify").await;
    act(&rig, &case, "verify").await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    let received = |answer: &Answer| answer.json()["recipients"]["archive"]["state"] == "received";
    rig.get_until(&case, received).await;
    act(&rig, &case, "withdraw").await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    let nobody = format!("{case}/recipients/nobody/exception");
    post(&rig, &nobody, &until_then).await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    let asked = post(&rig, &except, &until_then).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    let approve = format!("{except}/approve");
    post(&rig, &approve, &json!({ "note": "x" })).await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    let signed = json!({ "outcome": "completed", "signature": "AAAA", "note": "x" });
    let report = format!("{case}/recipients/archive/reports");
    post(&rig, &report, &signed).await.expect_problem(StatusCode::BAD_REQUEST, "WRIT-9012");
    let unknown = format!("{case}/recipients/nobody/reports");
    let word = json!({ "outcome": "completed", "note": "x" });
    post(&rig, &unknown, &word).await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
    let again = json!({ "basis": "consent", "evidence": "form" });
    let readmit = format!("/v1/subjects/{subject}/readmit");
    post(&rig, &readmit, &again).await.expect_problem(StatusCode::CONFLICT, "WRIT-9011");
}
