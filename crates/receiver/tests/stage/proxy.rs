//! A connection between two parties that carries everything, or loses acknowledgements and says so.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::PATIENCE;

/// Of a `POST`, what is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swallows {
    /// It never arrives.
    Requests,
    /// It arrives and is answered, but its sender does not hear of it.
    Answers,
}

#[derive(Debug, Clone, Copy)]
struct Way {
    to: SocketAddr,
    is_swallowing: bool,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    swallowed: mpsc::UnboundedReceiver<()>,
}

impl Proxy {
    pub(crate) async fn start(to: SocketAddr, swallows: Swallows) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, ways) = watch::channel(Way { to, is_swallowing: false });
        let (tell, swallowed) = mpsc::unbounded_channel();
        let tell = Arc::new(tell);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (way, tell) = (*ways.borrow(), Arc::clone(&tell));
                tokio::spawn(async move {
                    // A party that was killed breaks its connections.
                    drop(carry(stream, way, swallows, &tell).await);
                });
            }
        });
        Self { address, way, swallowed }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections there.
    pub(crate) fn lead_to(&self, to: SocketAddr) {
        self.way.send_modify(|way| way.to = to);
    }

    /// Loses what new connections acknowledge, or no longer.
    pub(crate) fn swallow(&mut self, is_swallowing: bool) {
        while self.swallowed.try_recv().is_ok() {}
        self.way.send_modify(|way| way.is_swallowing = is_swallowing);
    }

    /// Waits until something was lost.
    pub(crate) async fn swallowed(&mut self) {
        let lost = tokio::time::timeout(PATIENCE, self.swallowed.recv()).await;
        lost.expect("something is acknowledged").unwrap();
    }
}

async fn carry(
    mut from: TcpStream,
    way: Way,
    swallows: Swallows,
    swallowed: &mpsc::UnboundedSender<()>,
) -> std::io::Result<()> {
    let mut method = [0; 4];
    while from.peek(&mut method).await? < method.len() {
        tokio::task::yield_now().await;
    }
    let is_lost = way.is_swallowing && &method == b"POST";
    if is_lost && swallows == Swallows::Requests {
        swallowed.send(()).unwrap();
        // Until the sender is killed.
        let mut rest = Vec::new();
        from.read_to_end(&mut rest).await?;
        return Ok(());
    }
    let mut to = TcpStream::connect(way.to).await?;
    if !is_lost {
        copy_bidirectional(&mut from, &mut to).await?;
        return Ok(());
    }
    let (mut reading, _writing) = from.split();
    let (mut answer, mut request) = to.split();
    let mut first = [0; 1];
    tokio::select! {
        sent = copy(&mut reading, &mut request) => drop(sent?),
        answered = answer.read(&mut first) => {
            if answered? > 0 {
                swallowed.send(()).unwrap();
            }
        }
    }
    Ok(())
}
