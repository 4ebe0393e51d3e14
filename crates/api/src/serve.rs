//! The listener and its routes.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use writ_engine::config::Scope;

use crate::problem::Problem;
use crate::{App, intake, operate, read};

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something else listens there.
    #[error("WRIT-8001 listen on {address}: {source}; stop the other process or change api.listen in writ.yaml")]
    Taken {
        /// Where.
        address: String,
        /// What came back.
        source: std::io::Error,
    },
    /// Beyond loopback without tokens.
    #[error("WRIT-1004 api.listen: {address} is not loopback and api.tokens is empty; add a token or listen on 127.0.0.1")]
    Open {
        /// Where.
        address: String,
    },
}

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

/// Binds the listener. Beyond loopback it takes tokens.
pub async fn bind(address: &str, has_tokens: bool) -> Result<Server, BindError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| BindError::Taken { address: address.to_owned(), source })?;
    let server = Server { listener };
    let is_loopback = server.address().is_none_or(|address| address.ip().is_loopback());
    if !is_loopback && !has_tokens {
        return Err(BindError::Open { address: address.to_owned() });
    }
    Ok(server)
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until `stop` turns true, then ends open requests.
    pub async fn run(self, app: App, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        axum::serve(self.listener, routes(app)).with_graceful_shutdown(stopped).await
    }
}

fn routes(app: App) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .route("/metrics", get(metrics))
        .route("/v1/intake/{source}", post(intake::take))
        .route("/v1/status", get(read::status))
        .route("/v1/events/{id}", get(read::event))
        .route("/v1/subjects/{id}/events", get(read::subject))
        .route("/v1/withheld", get(read::withheld))
        .route("/v1/replays", get(read::replays))
        .route("/v1/replays/{id}", delete(operate::cancel_replay))
        .route("/v1/subscribers/{name}/dead-letters", get(read::dead_letters))
        .route("/v1/subscribers/{name}/dead-letters/{subject}/redrive", post(operate::redrive))
        .route("/v1/subscribers/{name}/dead-letters/{subject}/discard", post(operate::discard))
        .route("/v1/subscribers/{name}/pause", post(operate::pause))
        .route("/v1/subscribers/{name}/resume", post(operate::resume))
        .route("/v1/subscribers/{name}/replays", post(operate::replay))
        .fallback(|| async { Problem::not_found("there is nothing at this path") })
        .with_state(app)
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<impl IntoResponse, Problem> {
    app.tokens.require(&headers, Scope::Read)?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((StatusCode::OK, kind, app.recorder.render()))
}
