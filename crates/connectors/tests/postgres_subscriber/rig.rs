//! A private server, a subscriber of it, parcels, and a proxy that cuts a connection where a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use writ_connectors::descriptor::{Build, Context};
use writ_connectors::registry::{Side, find};
use writ_connectors::secret::Secrets;
use writ_connectors::subscriber::{Parcel, ParcelItem, Sender, Subscriber};
use writ_model::cloudevent::CloudEvent;
use writ_model::id::{DeliveryId, Epoch, Offset, StoreId, SubjectId, TenantId};
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;
use writ_schema::cloudevents::View;
use writ_testkit::postgres::{Cluster, Options};

/// No wait is longer; a healthy one is far shorter.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A table of the operator's.
pub(crate) const CUSTOMERS: &str =
    "CREATE SCHEMA crm; CREATE TABLE crm.customers (id bigint PRIMARY KEY, email text NOT NULL, age int);";

pub(crate) fn cluster() -> Option<Cluster> {
    Cluster::start(&Options::default().with("deadlock_timeout", "2s"))
}

/// A subscriber of the database at `url`.
pub(crate) fn subscriber(url: &str, more: Value) -> Arc<dyn Subscriber> {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("url"), url).expect("write");
    let mut config = json!({"url": "file:url", "timeout_ms": 10_000});
    let keys = config.as_object_mut().expect("an object");
    keys.extend(more.as_object().cloned().unwrap_or_default());
    let secrets = Secrets { base: folder.path().to_owned() };
    let tenant = TenantId::new("t").expect("name");
    let context = Context { tenant: &tenant, name: "crm", tables: &Tables::new(), secrets: &secrets };
    let Some(Build::Subscriber(build)) = find("postgres", Side::Subscriber).map(|d| d.build) else {
        panic!("registered")
    };
    build(&context, config).expect("builds").into()
}

/// One that keeps the operator's table too.
pub(crate) fn upserting(url: &str) -> Arc<dyn Subscriber> {
    subscriber(
        url,
        json!({"table": "crm.customers", "key": ["id"], "columns": {"email": "email", "age": "age"}}),
    )
}

/// The event `number` of the subject `key`.
pub(crate) fn item(number: u64, key: u8, after: Value) -> ParcelItem {
    let event = CloudEvent {
        id: format!("event-{number}"),
        source: "/writ/t/s".into(),
        event_type: "writ.customer.email.v1".into(),
        subject: Some(format!("customer/{key}")),
        time: None,
        data_content_type: None,
        data_schema: None,
        extensions: Default::default(),
        data: Some(json!({"key": [key.to_string()], "before": {"email": "x"}, "after": after})),
        is_base64: false,
    };
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    ParcelItem {
        view: Arc::new(View::new(&event)),
        delivery_id: DeliveryId(id),
        attempt: 1,
        offset: Offset(number),
        subject_id: SubjectId([key; 16]),
    }
}

/// The event `number` of the subject of the same number.
pub(crate) fn plain(number: u64) -> ParcelItem {
    let key = u8::try_from(number).expect("a small number");
    item(number, key, json!({"email": format!("{number}@example.org")}))
}

pub(crate) fn parcel_of(epoch: u64, items: Vec<ParcelItem>) -> Parcel {
    Parcel {
        items,
        at: Timestamp(0),
        sender: Sender { store: StoreId([7; 8]), epoch: Epoch(epoch) },
        settled_below: Offset::ZERO,
    }
}

pub(crate) fn parcel(items: Vec<ParcelItem>) -> Parcel {
    parcel_of(1, items)
}

/// The event ids in the order of their effect.
pub(crate) async fn events(cluster: &Cluster) -> Vec<String> {
    let rows = cluster.psql("SELECT event_id FROM writ.events ORDER BY number").await;
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

/// Polls the server until the statement gives `t`.
pub(crate) async fn until(cluster: &Cluster, sql: &str) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while cluster.value(sql).await != "t" {
        assert!(std::time::Instant::now() < deadline, "not in time: {sql}");
        tokio::task::yield_now().await;
    }
}

/// A proxy that, once armed, lets a commit reach the server and be carried out, and cuts the client off before
/// it hears of it.
pub(crate) struct Proxy {
    pub(crate) url: String,
    armed: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn before(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let port = listener.local_addr().expect("address").port();
        let armed = Arc::new(AtomicBool::new(false));
        let (server, is_armed) = (cluster.port(), Arc::clone(&armed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, Arc::clone(&is_armed)));
            }
        });
        Self { url: format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"), armed }
    }

    /// The next commit's answer is lost.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

async fn relay(mut client: TcpStream, server: u16, armed: Arc<AtomicBool>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let bytes = &from_client[..count];
                let is_commit = bytes.windows(7).any(|seven| seven == b"COMMIT\0");
                if server.write_all(bytes).await.is_err() {
                    return;
                }
                if is_commit && armed.swap(false, Ordering::SeqCst) {
                    // The server answers when it has committed.
                    let _answered = server.read(&mut from_server).await;
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
