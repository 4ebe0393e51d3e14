//! The receivers' process, as the benchmark that started it sees it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::process::Process;
use super::receiver::{Addresses, Latency, Received};
use super::wire::Wire;
use crate::exit::{Failure, UNAVAILABLE};

/// A running process of receivers; ends when dropped.
pub(super) struct Receivers {
    _child: Child,
    control: Wire,
    control_address: String,
    pub(super) addresses: Vec<String>,
    pub(super) process: Process,
}

impl Receivers {
    /// Starts the process and waits until it listens.
    pub(super) async fn start(listeners: usize) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", "receiver", "--listeners", &listeners.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().ok_or_else(|| not_there("it has no standard output"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).await?;
        let Addresses { control, receivers } =
            serde_json::from_str(&line).map_err(|error| not_there(&error))?;
        let process = Process(child.id().ok_or_else(|| not_there("it has ended"))?);
        let wire = Wire::connect(&control).await?;
        Ok(Self { _child: child, control: wire, control_address: control, addresses: receivers, process })
    }

    /// What arrived so far.
    pub(super) async fn received(&mut self) -> Result<Received, Failure> {
        received(&mut self.control).await
    }

    /// Another connection to ask over, for who watches while something else goes on.
    pub(super) async fn watcher(&self) -> Result<Wire, Failure> {
        Wire::connect(&self.control_address).await
    }

    /// Ends a phase and begins the next: the latency of the ended one, at all receivers but the first.
    pub(super) async fn phase(&mut self) -> Result<Latency, Failure> {
        let page = self.control.get("/phase").await?;
        serde_json::from_slice(&page).map_err(|error| not_there(&error))
    }

    /// From now on the first receiver breaks every connection off.
    pub(super) async fn kill_first(&mut self) -> Result<(), Failure> {
        self.control.get("/die").await.map(drop)
    }

    /// The first receiver answers again.
    pub(super) async fn revive_first(&mut self) -> Result<(), Failure> {
        self.control.get("/live").await.map(drop)
    }

    /// Bodies of requests, an even sample of all.
    pub(super) async fn samples(&mut self) -> Result<Vec<String>, Failure> {
        let page = self.control.get("/samples").await?;
        serde_json::from_slice(&page).map_err(|error| not_there(&error))
    }
}

/// What arrived so far, asked over a connection to the receivers' process.
pub(super) async fn received(control: &mut Wire) -> Result<Received, Failure> {
    let page = control.get("/received").await?;
    serde_json::from_slice(&page).map_err(|error| not_there(&error))
}

fn not_there(error: impl std::fmt::Display) -> Failure {
    Failure::plain(format!("talk to the receivers' process: {error}"), UNAVAILABLE)
}
