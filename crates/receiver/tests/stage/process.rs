//! The example under test, as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::{CONSUMER_TOKEN, PATIENCE, Stage, WEBHOOK_SECRET};

pub(crate) struct Process {
    child: Child,
    address: Option<SocketAddr>,
}

impl Process {
    /// The consumer, which takes the API to be at `address`.
    pub(crate) fn consumer(stage: &Stage, address: SocketAddr) -> Self {
        let database = stage.path("crm.db");
        let mut command = Command::new(example("pull-consumer"));
        command.args([&address.to_string(), "crm"]).arg(database).env("CRM_TOKEN", CONSUMER_TOKEN);
        Self { child: spawn(stage, &mut command), address: None }
    }

    /// The receiver, listening on a free port.
    pub(crate) async fn webhook_receiver(stage: &Stage) -> Self {
        let before = stage.log().len();
        let mut command = Command::new(example("webhook-receiver"));
        command.arg("127.0.0.1:0").arg(stage.path("crm.db")).env("CRM_WEBHOOK_SECRET", WEBHOOK_SECRET);
        let child = spawn(stage, &mut command);
        let listening = async {
            loop {
                let log = stage.log();
                let line = log[before..].lines().find_map(|line| line.strip_prefix("listening "));
                if let Some(address) = line.and_then(|address| address.parse().ok()) {
                    return address;
                }
                tokio::time::sleep(super::LOOK_EVERY).await;
            }
        };
        let address = tokio::time::timeout(PATIENCE, listening).await.expect("the receiver listens");
        Self { child, address: Some(address) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

fn spawn(stage: &Stage, command: &mut Command) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(stage.path("example.log")).unwrap();
    let errors = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(errors).kill_on_drop(true).spawn().unwrap()
}

/// Beside this test's own binary: `cargo test` builds a package's examples with its tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built: run `cargo build -p writ-receiver --examples`", path.display());
    path
}
