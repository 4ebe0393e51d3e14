//! A webhook receiver that verifies each request's signature and applies each event once.
//!
//! ```sh
//! CRM_WEBHOOK_SECRET=whsec_... cargo run -p writ-receiver --example webhook-receiver -- 127.0.0.1:9000 crm.db
//! ```
//!
//! It takes the binary mode, which is the webhook's default, and prints where it listens.

#![expect(clippy::print_stdout, reason = "a program that says what it does")]

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::Value;
use tokio::net::TcpListener;
use writ_receiver::{Arrival, Event, Receiver, Signed, Verdict, Verifier};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Longer than any replay that will be asked for.
const WINDOW: Duration = Duration::from_secs(90 * 24 * 3600);
/// As the specification's own libraries have it.
const TOLERANCE: Duration = Duration::from_secs(300);

/// What the events are for: the newest e-mail address of each customer, and every address that was applied.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS customers (subject TEXT PRIMARY KEY, email TEXT);
CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY, event TEXT, subject TEXT, email TEXT);";

struct Desk {
    verifier: Verifier,
    receiver: Receiver,
    database: Mutex<Connection>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, database] = arguments.as_slice() else {
        return Err("usage: webhook-receiver ADDRESS:PORT DATABASE".into());
    };
    let secret = std::env::var("CRM_WEBHOOK_SECRET")?;
    let database = Connection::open(database)?;
    database.execute_batch(TABLES)?;
    let receiver = Receiver::create(&database, WINDOW)?;
    let verifier = Verifier::new([secret.as_str()], TOLERANCE)?;
    let desk = Arc::new(Desk { verifier, receiver, database: Mutex::new(database) });
    let router = Router::new().route("/events", post(take)).with_state(desk);
    let listener = TcpListener::bind(address).await?;
    println!("listening {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(router.clone());
        let server = hyper::server::conn::http1::Builder::new();
        tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
    }
}

/// 204 once everything is committed; 401 for a request that is not from Writ; 500, so that it comes again, when
/// this side failed.
async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    if let Err(refused) = desk.verifier.verify(&signed, &body, SystemTime::now()) {
        println!("refused: {refused}");
        return StatusCode::UNAUTHORIZED;
    }
    match apply(&desk, &headers, signed.id, &body) {
        // A former owner: it keeps the event, and its successor sends it, too.
        Ok(Verdict::Fenced { .. }) => StatusCode::CONFLICT,
        Ok(verdict) => {
            println!("{verdict:?} {}", header("ce-id"));
            StatusCode::NO_CONTENT
        }
        Err(error) => {
            println!("failed: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The effect and the record of the delivery, in one transaction.
fn apply(desk: &Desk, headers: &HeaderMap, delivery: &str, body: &[u8]) -> Outcome<Verdict> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let event = Event::from_headers(text)?;
    let data: Value = serde_json::from_slice(body)?;
    let mut database = desk.database.lock().unwrap_or_else(PoisonError::into_inner);
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let epoch = text("writ-epoch").and_then(|epoch| epoch.parse().ok());
    let arrival = Arrival { delivery, event: &event, epoch, now: SystemTime::now() };
    let verdict = desk.receiver.judge(&transaction, &arrival)?;
    if verdict == Verdict::First {
        let email = data["after"]["email"].as_str();
        let row = (&event.subject, email);
        transaction.execute("INSERT OR REPLACE INTO customers VALUES (?1, ?2)", row)?;
        let row = (&event.id, &event.subject, email);
        transaction.execute("INSERT INTO effects (event, subject, email) VALUES (?1, ?2, ?3)", row)?;
    }
    transaction.commit()?;
    Ok(verdict)
}
