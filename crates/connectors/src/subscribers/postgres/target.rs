//! The database, and how a session with it is opened.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::TlsConnect;
use tokio_postgres::{Config, NoTls};
use writ_model::delivery::Fault;

use super::address::{Address, Protection};
use super::fault;
use super::link::Link;
use super::tls::Tls;
use crate::descriptor::ConfigError;
use crate::subscriber::Sender;

/// Where to connect.
pub(super) struct Target {
    address: Address,
    tls: Option<Tls>,
}

impl Target {
    pub(super) fn new(address: Address) -> Result<Self, ConfigError> {
        let tls = match &address.protection {
            Protection::None => None,
            Protection::Verified(roots) => Some(Tls::new(&address.host, roots.as_deref())?),
        };
        Ok(Self { address, tls })
    }

    /// The server's name for messages: no user, no password.
    pub(super) fn shown(&self) -> String {
        let Address { host, port, database, .. } = &self.address;
        format!("{host}:{port}/{database}")
    }

    /// Opens a session. The server gives an attempt up by itself when it takes longer than `longest`, so that
    /// what a lost connection left is gone before long.
    pub(super) async fn open(&self, sender: Sender, longest: Duration) -> Result<Link, Fault> {
        let Address { host, port, .. } = &self.address;
        if self.address.is_socket() {
            let socket = UnixStream::connect(format!("{host}/.s.PGSQL.{port}")).await;
            return self.enter(socket.map_err(|_| Fault::Connect)?, NoTls, sender, longest).await;
        }
        let stream =
            TcpStream::connect((host.as_str(), *port)).await.map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Fault::Resolve,
                _ => Fault::Connect,
            })?;
        stream.set_nodelay(true).map_err(|_| Fault::Connect)?;
        match &self.tls {
            None => self.enter(stream, NoTls, sender, longest).await,
            Some(tls) => self.enter(stream, tls.clone(), sender, longest).await,
        }
    }

    async fn enter<S, T>(&self, stream: S, tls: T, sender: Sender, longest: Duration) -> Result<Link, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: TlsConnect<S>,
        T::Stream: Send + 'static,
    {
        let mut config = Config::new();
        let Address { user, password, database, .. } = &self.address;
        config.user(user).password(password.expose_secret()).dbname(database).application_name("writ");
        config.ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let ms = longest.as_millis();
        config.options(format!(
            "-c statement_timeout={ms} -c lock_timeout={ms} -c idle_in_transaction_session_timeout={ms}"
        ));
        let (client, connection) =
            config.connect_raw(stream, tls).await.map_err(|error| fault::of_opening(&error))?;
        let driver = tokio::spawn(async move {
            // The client is told of the end, and tells the attempt.
            drop(connection.await);
        });
        let link = Link::new(client, driver, sender);
        // A commit that is answered must survive a crash of the server.
        let durable = "SELECT pg_catalog.set_config('synchronous_commit', 'on', false) \
                       WHERE pg_catalog.current_setting('synchronous_commit') = 'off'";
        link.client.batch_execute(durable).await.map_err(|error| fault::of_opening(&error))?;
        Ok(link)
    }
}
