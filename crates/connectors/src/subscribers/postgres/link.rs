//! Sessions: one attempt uses one, dropping it closes the connection, a few idle ones are kept.

use std::sync::Mutex;

use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::subscriber::Sender;

/// Most idle sessions that are kept: as many as a lane sends at once by default.
const IDLE_MAX: usize = 8;

/// A session with its driver.
pub(super) struct Link {
    pub(super) client: Client,
    driver: JoinHandle<()>,
    /// Who opened it.
    sender: Sender,
    /// The lane was claimed for that owner, and the tables were seen.
    pub(super) is_claimed: bool,
}

impl Link {
    pub(super) fn new(client: Client, driver: JoinHandle<()>, sender: Sender) -> Self {
        Self { client, driver, sender, is_claimed: false }
    }

    fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.driver.is_finished()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The socket is closed at once, so that the server gives up what is under way on it.
        self.driver.abort();
    }
}

/// Idle sessions, the latest used last.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Link>>);

impl Pool {
    /// An idle session of this sender that is open as far as can be seen.
    pub(super) fn take(&self, sender: Sender) -> Option<Link> {
        let mut idle = self.0.lock().expect("no holder of the pool panics");
        while let Some(link) = idle.pop() {
            if link.is_usable() && link.sender == sender {
                return Some(link);
            }
        }
        None
    }

    /// Keeps a session whose attempt has ended well.
    pub(super) fn put(&self, link: Link) {
        let mut idle = self.0.lock().expect("no holder of the pool panics");
        if idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }
}
