//! The listener: bounded connections, each with bounded time and room for a request's head.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::{App, routes};

/// Connections at the same time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 512;
/// Bytes of a request's head, and of body read at once.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// After the system refused to give a connection (no more descriptors), before asking again.
const ACCEPT_WAIT: Duration = Duration::from_millis(500);
/// How long open requests may go on after the stop.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something else listens there.
    #[error(
        "WRIT-8001 listen on {address}: {source}; stop the other process or change api.listen in writ.yaml"
    )]
    Taken {
        /// Where.
        address: String,
        /// What came back.
        source: std::io::Error,
    },
    /// Beyond loopback without tokens.
    #[error(
        "WRIT-1004 api.listen: {address} is not loopback and api.tokens is empty; add a token or listen on 127.0.0.1"
    )]
    Open {
        /// Where.
        address: String,
    },
}

/// How long a request may take to arrive.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Its head; also how long an idle connection is kept.
    pub head: Duration,
    /// Its body.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), body: Duration::from_secs(30) }
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    patience: Patience,
}

/// Binds the listener. Beyond loopback it takes tokens.
pub async fn bind(address: &str, has_tokens: bool) -> Result<Server, BindError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| BindError::Taken { address: address.to_owned(), source })?;
    let server = Server { listener, patience: Patience::default() };
    let is_loopback = server.address().is_none_or(|address| address.ip().is_loopback());
    if !is_loopback && !has_tokens {
        return Err(BindError::Open { address: address.to_owned() });
    }
    Ok(server)
}

impl Server {
    /// Waits for requests so long and no longer.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until `stop` turns true, then ends open requests.
    pub async fn run(self, app: App, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
        let router = routes::router(app, self.patience);
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        let stopped = stop.clone();
        loop {
            tokio::select! {
                (stream, permit) = accept(&self.listener, &room) => {
                    let talk = converse(stream, router.clone(), self.patience, stopped.clone());
                    connections.spawn(async move {
                        talk.await;
                        drop(permit);
                    });
                }
                Some(_) = connections.join_next() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        drop(self.listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        drop(tokio::time::timeout(CLOSE_WAIT, ended).await);
        Ok(())
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(room).acquire_owned().await.expect("nobody closes this semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

/// Serves one connection; after the stop it ends with the request that is under way.
async fn converse(stream: TcpStream, router: Router, patience: Patience, mut stop: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}
