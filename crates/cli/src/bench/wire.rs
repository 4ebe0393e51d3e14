//! A minimal HTTP/1.1 client: one connection, one request at a time, nothing else. It sends the load, asks
//! for reports, and is the floor that deliveries are compared with.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::exit::{Failure, UNAVAILABLE};

/// One kept connection.
pub(super) struct Wire {
    address: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Wire {
    pub(super) async fn connect(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await.map_err(|error| failed(address, &error))?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(address, &error))?;
        tokio::spawn(connection);
        Ok(Self { address: address.to_owned(), sender })
    }

    pub(super) async fn post(
        &mut self,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let request = Request::builder().method(Method::POST).uri(path).header("content-type", media_type);
        self.send(request, body).await
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Bytes, Failure> {
        let request = Request::builder().method(Method::GET).uri(path);
        self.send(request, Bytes::new()).await.map(|(_, body)| body)
    }

    async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let request = request.header("host", &self.address).body(Full::new(body));
        let request = request.map_err(|error| failed(&self.address, &error))?;
        self.sender.ready().await.map_err(|error| failed(&self.address, &error))?;
        let response =
            self.sender.send_request(request).await.map_err(|error| failed(&self.address, &error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| failed(&self.address, &error))?;
        Ok((status, body.to_bytes()))
    }
}

/// Asks the engine's API once, with a body where there is something to order; the answer is JSON.
pub(super) async fn ask(address: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let mut wire = Wire::connect(address).await?;
    let answer = match body {
        Some(body) => wire.post(path, "application/json", body.to_string().into()).await?.1,
        None => wire.get(path).await?,
    };
    serde_json::from_slice(&answer).map_err(|error| failed(address, &error))
}

fn failed(address: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::plain(format!("send a request to {address}: {error}"), UNAVAILABLE)
}
