//! Connections: dialling an allowed address, one exchange at a time, and a small pool of idle ones.
//!
//! A connection has no task of its own: whoever uses it drives it, and dropping that use closes it. Bytes are
//! counted where they leave for the socket, so that "nothing was sent" is a fact and not a guess.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use writ_model::delivery::Fault;

use super::address::{Network, is_allowed};

/// Most idle connections that are kept; more are closed after their exchange.
const IDLE_MAX: usize = 32;
/// How long an idle connection is kept: shorter than what common servers and balancers wait.
const IDLE_FOR: Duration = Duration::from_secs(25);
/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Most header lines in an answer.
const ANSWER_HEADERS_MAX: usize = 100;
/// Most bytes of an answer's head.
const ANSWER_HEAD_BYTES_MAX: usize = 32 * 1024;

/// Where to dial.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) allowed: Vec<Network>,
    /// Absent for plain HTTP.
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

type Driver = http1::Connection<TokioIo<Counted>, Full<Bytes>>;

/// One open connection that no exchange is using.
pub(super) struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    written: Arc<AtomicU64>,
    idle_since: Instant,
}

impl Link {
    /// Bytes that left for the socket since the connection was made.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes the request, once, and gives the answer's head and body to `read`, driving the connection
    /// meanwhile. `Err`: no answer came, or it broke off.
    pub(super) async fn exchange<T, F>(
        &mut self,
        request: Request<Full<Bytes>>,
        read: impl FnOnce(Response<Incoming>) -> F,
    ) -> Result<T, ()>
    where
        F: Future<Output = Result<T, ()>>,
    {
        let response = self.sender.send_request(request);
        let mut work = pin!(async move { read(response.await.map_err(|_| ())?).await });
        let driver = &mut self.driver;
        let mut is_open = true;
        std::future::poll_fn(|context| {
            if is_open && driver.as_mut().poll(context).is_ready() {
                is_open = false;
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// Looks once whether the other side has closed or spoken; then the connection is not used again.
    pub(super) async fn is_usable(&mut self) -> bool {
        let driver = &mut self.driver;
        let has_ended =
            std::future::poll_fn(|context| Poll::Ready(driver.as_mut().poll(context).is_ready())).await;
        !has_ended && self.sender.is_ready()
    }
}

/// Idle connections, the latest used last.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Link>>);

impl Pool {
    /// An idle connection that is open as far as can be seen.
    pub(super) async fn take(&self) -> Option<Link> {
        loop {
            let mut link = self.pop()?;
            if link.idle_since.elapsed() < IDLE_FOR && link.is_usable().await {
                return Some(link);
            }
        }
    }

    fn pop(&self) -> Option<Link> {
        self.0.lock().expect("no holder of the pool panics").pop()
    }

    /// Keeps a connection whose exchange has ended well.
    pub(super) fn put(&self, mut link: Link) {
        link.idle_since = Instant::now();
        let mut idle = self.0.lock().expect("no holder of the pool panics");
        if idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }
}

/// Opens a new connection to one of the target's allowed addresses. Nothing of a request is sent.
pub(super) async fn dial(target: &Target, deadline: Instant) -> Result<Link, Fault> {
    let addresses = addresses(target, deadline).await?;
    let stream = connect(&addresses, deadline).await?;
    // Requests are written whole: waiting to coalesce would only delay the last segment.
    stream.set_nodelay(true).map_err(|_| Fault::Connect)?;
    let wire: Box<dyn Wire> = match &target.tls {
        None => Box::new(stream),
        Some((connector, name)) => {
            let shaken = timeout_at(deadline, connector.connect(name.clone(), stream)).await;
            Box::new(shaken.map_err(|_| Fault::Tls)?.map_err(|_| Fault::Tls)?)
        }
    };
    let written = Arc::new(AtomicU64::new(0));
    let counted = Counted { wire, written: Arc::clone(&written) };
    let mut builder = http1::Builder::new();
    builder.max_headers(ANSWER_HEADERS_MAX).max_buf_size(ANSWER_HEAD_BYTES_MAX);
    let (sender, driver) = builder.handshake(TokioIo::new(counted)).await.map_err(|_| Fault::Connect)?;
    Ok(Link { sender, driver: Box::pin(driver), written, idle_since: Instant::now() })
}

async fn addresses(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, Fault> {
    let found: Vec<SocketAddr> = match target.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, target.port)],
        Err(_) => {
            let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
            timeout_at(deadline, lookup)
                .await
                .map_err(|_| Fault::Resolve)?
                .map_err(|_| Fault::Resolve)?
                .collect()
        }
    };
    if found.is_empty() {
        return Err(Fault::Resolve);
    }
    let allowed = found.into_iter().filter(|address| is_allowed(address.ip(), &target.allowed));
    let allowed: Vec<SocketAddr> = allowed.take(ADDRESSES_MAX).collect();
    if allowed.is_empty() { Err(Fault::AddressRefused) } else { Ok(allowed) }
}

/// Tries the addresses in turn; each gets an equal share of the time left.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Fault> {
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = Instant::now() + deadline.saturating_duration_since(Instant::now()) / left;
        if let Ok(Ok(stream)) = timeout_at(share, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    Err(Fault::Connect)
}

/// A wire that counts what is written to it.
struct Counted {
    wire: Box<dyn Wire>,
    written: Arc<AtomicU64>,
}

impl Counted {
    fn count(&self, done: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &done {
            self.written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        done
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let done = Pin::new(&mut self.wire).poll_write(context, bytes);
        self.count(done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let done = Pin::new(&mut self.wire).poll_write_vectored(context, slices);
        self.count(done)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
