//! The source's end of the channels to the engine: emits, and hears the engine stop.

use tokio::sync::{mpsc, watch};
use writ_model::change::Change;
use writ_model::control::SourceProgress;
use writ_model::id::{Incarnation, Position, SourceName};

use crate::source::{Durable, Emit, Feed, SourceError};

/// Why the source ends.
#[derive(Debug)]
pub(super) enum Halt {
    /// The engine drains or is gone: an orderly end.
    Stopped,
    /// The source cannot go on.
    Failed(SourceError),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// The channels.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) emit: mpsc::Sender<Emit>,
    pub(super) durable: watch::Receiver<Durable>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Outlet {
    pub(super) fn new(feed: Feed) -> Self {
        Self { emit: feed.emit, durable: feed.durable, stop: feed.stop }
    }

    /// Emits, waiting for room.
    pub(super) async fn send(&mut self, emit: Emit) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => Err(Halt::Stopped),
            sent = self.emit.send(emit) => sent.map_err(|_| Halt::Stopped),
        }
    }

    /// Waits until `position` is durable.
    pub(super) async fn until_durable(&mut self, wanted: (Incarnation, Position)) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => Err(Halt::Stopped),
            reached = self.durable.wait_for(|durable| durable.through.as_ref() == Some(&wanted)) => {
                reached.map(|_| ()).map_err(|_| Halt::Stopped)
            }
        }
    }
}

/// Ends when the engine drains or is gone.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An engine that went away has stopped, too.
    let _gone = stop.wait_for(|stop| *stop).await;
}

/// Changes with the progress that they bring.
pub(super) fn changes(
    changes: Vec<Change>,
    source: &SourceName,
    incarnation: &Incarnation,
    position: Position,
    snapshot: Option<String>,
) -> Emit {
    let (source, incarnation) = (source.clone(), incarnation.clone());
    Emit::Changes { changes, progress: SourceProgress { source, incarnation, position, snapshot } }
}
