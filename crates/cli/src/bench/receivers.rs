//! The receivers' process, as the benchmark that started it sees it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::process::Process;
use super::receiver::{Addresses, Received};
use super::wire::Wire;
use crate::exit::{Failure, UNAVAILABLE};

/// A running process of receivers; ends when dropped.
pub(super) struct Receivers {
    _child: Child,
    control: Wire,
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
        let control = Wire::connect(&control).await?;
        Ok(Self { _child: child, control, addresses: receivers, process })
    }

    /// What arrived so far.
    pub(super) async fn received(&mut self) -> Result<Received, Failure> {
        let page = self.control.get("/received").await?;
        serde_json::from_slice(&page).map_err(|error| not_there(&error))
    }

    /// Bodies of requests, an even sample of all.
    pub(super) async fn samples(&mut self) -> Result<Vec<String>, Failure> {
        let page = self.control.get("/samples").await?;
        serde_json::from_slice(&page).map_err(|error| not_there(&error))
    }
}

fn not_there(error: impl std::fmt::Display) -> Failure {
    Failure::plain(format!("talk to the receivers' process: {error}"), UNAVAILABLE)
}
