//! A consumer that takes its events from a pulled subscriber and applies each of them once.
//!
//! ```sh
//! CRM_TOKEN=... cargo run -p writ-receiver --example pull-consumer -- 127.0.0.1:8780 crm crm.db
//! ```
//!
//! It prints a line for each event: `applied`, `repeated`, `stale` or `fenced`, and the event's id.

#![expect(clippy::print_stdout, reason = "a program that says what it does")]

use std::error::Error;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use writ_receiver::{Arrival, Event, Receiver, Verdict};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longer than any replay that will be asked for.
const WINDOW: Duration = Duration::from_secs(90 * 24 * 3600);

/// What the events are for: the newest e-mail address of each customer, and every address that was applied.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS customers (subject TEXT PRIMARY KEY, email TEXT);
CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY, event TEXT, subject TEXT, email TEXT);";

struct Api {
    address: String,
    subscriber: String,
    token: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, subscriber, database] = arguments.as_slice() else {
        return Err("usage: pull-consumer ADDRESS:PORT SUBSCRIBER DATABASE".into());
    };
    let token = std::env::var("CRM_TOKEN")?;
    let api = Api { address: address.clone(), subscriber: subscriber.clone(), token };
    let mut database = Connection::open(database)?;
    database.execute_batch(TABLES)?;
    let receiver = Receiver::create(&database, WINDOW)?;
    loop {
        if let Err(error) = turn(&api, &receiver, &mut database).await {
            println!("waiting: {error}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// One lease: take it, apply every event in a transaction of its own, then acknowledge.
async fn turn(api: &Api, receiver: &Receiver, database: &mut Connection) -> Outcome<()> {
    let (head, body) = api.ask("GET", "events?wait=20s&max=100", String::new()).await?;
    if head.status() == StatusCode::NO_CONTENT {
        return Ok(());
    }
    if head.status() != StatusCode::OK {
        return Err(format!("the API answers {}", head.status()).into());
    }
    let header = |name: &str| head.headers().get(name).and_then(|value| value.to_str().ok());
    let lease = header("writ-lease").ok_or("no lease in the answer")?.to_owned();
    let epoch = header("writ-epoch").ok_or("no epoch in the answer")?.parse()?;
    for event in serde_json::from_slice::<Vec<Value>>(&body)? {
        if apply(receiver, database, &event, epoch)? == Verdict::First {
            println!("applied {}", event["id"]);
        }
    }
    // Everything is committed: should this be lost, the events come again and are known.
    let answer = json!({ "rest": { "answer": "acknowledged" } }).to_string();
    let (head, _) = api.ask("POST", &format!("leases/{lease}"), answer).await?;
    match head.status() {
        StatusCode::OK | StatusCode::CONFLICT => Ok(()),
        other => Err(format!("the API answers {other}").into()),
    }
}

/// The effect and the record of the delivery, in one transaction.
fn apply(receiver: &Receiver, database: &mut Connection, json: &Value, epoch: u64) -> Outcome<Verdict> {
    let event = Event::parse(json.to_string().as_bytes())?;
    let delivery = event.delivery.as_deref().ok_or("no delivery id in the event")?;
    // Immediate: two consumers of one database must not both read before either writes.
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let arrival = Arrival { delivery, event: &event, epoch: Some(epoch), now: SystemTime::now() };
    let verdict = receiver.judge(&transaction, &arrival)?;
    match verdict {
        Verdict::First => {
            let email = json["data"]["after"]["email"].as_str();
            transaction
                .execute("INSERT OR REPLACE INTO customers VALUES (?1, ?2)", (&event.subject, email))?;
            transaction.execute(
                "INSERT INTO effects (event, subject, email) VALUES (?1, ?2, ?3)",
                (&event.id, &event.subject, email),
            )?;
        }
        Verdict::Repeated => println!("repeated {}", json["id"]),
        Verdict::Stale => println!("stale {}", json["id"]),
        Verdict::Fenced { highest } => return Err(format!("epoch {epoch} is below {highest}").into()),
    }
    transaction.commit()?;
    Ok(verdict)
}

impl Api {
    /// One request over a connection of its own.
    async fn ask(&self, method: &str, path: &str, body: String) -> Outcome<(Response<()>, Bytes)> {
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/subscribers/{}/{path}", self.subscriber))
            .header("host", &self.address)
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(Bytes::from(body)))?;
        let driving = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        driving.abort();
        Ok((Response::from_parts(head, ()), body))
    }
}
