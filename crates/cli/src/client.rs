//! Asks the running engine over its HTTP API. Loopback HTTP with a bearer token where one is configured.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpStream;
use writ_connectors::secret::Secrets;
use writ_engine::config::{Scope, Token};
use writ_model::code;

use crate::config_file::Loaded;
use crate::exit::{Failure, UNAVAILABLE};

/// Where the engine listens and the token to show it.
#[derive(Debug)]
pub(crate) struct Client {
    address: String,
    token: Option<String>,
}

impl Client {
    /// From the configuration: its listening address and the first token with the scope.
    pub(crate) fn new(loaded: &Loaded, scope: Scope) -> Result<Self, Failure> {
        Self::with(loaded, loaded.config.api.tokens.iter().find(|token| token.scopes.contains(&scope)))
    }

    /// From the configuration, with the token of this name.
    pub(crate) fn holding(loaded: &Loaded, name: &str) -> Result<Self, Failure> {
        let token = loaded.config.api.tokens.iter().find(|token| token.name == name);
        let unknown =
            || Failure::plain(format!("no token in api.tokens is named {name:?}"), crate::exit::BAD_INPUT);
        Self::with(loaded, Some(token.ok_or_else(unknown)?))
    }

    fn with(loaded: &Loaded, token: Option<&Token>) -> Result<Self, Failure> {
        let api = &loaded.config.api;
        let secrets = Secrets { base: loaded.base.clone() };
        let token = token.map(|token| secrets.resolve(&token.name, &token.secret)).transpose();
        let token = token.map_err(|error| Failure::plain(error, crate::exit::BAD_INPUT))?;
        let token = token.map(|secret| secret.expose_secret().to_owned());
        Ok(Self { address: api.listen.clone(), token })
    }

    /// An engine at this address that asks for a token.
    pub(crate) fn with_token(address: &str, token: &str) -> Self {
        Self { address: address.to_owned(), token: Some(token.to_owned()) }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let (status, body) = self.ask(Method::GET, path, None).await?;
        accepted(status, body)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let (status, body) = self.ask(Method::POST, path, Some(body)).await?;
        accepted(status, body)
    }

    /// Posts under an idempotency key: the same again changes nothing more.
    pub(crate) async fn post_once(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Value, Failure> {
        let key = key.map(|key| ("idempotency-key", key));
        let (status, body) = self.send(Method::POST, path, Some(body), key).await?;
        accepted(status, body)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        let (status, body) = self.ask(Method::DELETE, path, None).await?;
        accepted(status, body)
    }

    /// One request, whatever the status.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure> {
        self.send(method, path, body, None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        header: Option<(&str, &str)>,
    ) -> Result<(StatusCode, Value), Failure> {
        let stream = TcpStream::connect(&self.address).await.map_err(|error| self.not_running(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.not_running(&error))?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(bytes)).map_err(|error| self.not_running(&error))?;
        let response = sender.send_request(request).await.map_err(|error| self.not_running(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.not_running(&error))?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    fn not_running(&self, error: &dyn std::fmt::Display) -> Failure {
        let text = format!("ask the engine at {}: {error}; start it with `writ run`", self.address);
        Failure::coded(code::NOT_RUNNING, text, UNAVAILABLE)
    }
}

fn accepted(status: StatusCode, body: Value) -> Result<Value, Failure> {
    if status.is_success() {
        return Ok(body);
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let message = format!("{} {}; {}", text("code"), text("detail"), text("remedy"));
    Err(Failure::plain(message, crate::exit::BAD_INPUT))
}
