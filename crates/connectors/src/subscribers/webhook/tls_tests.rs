//! TLS against a server with a certificate of a test authority; both are in `testdata`, valid for a century.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use writ_model::delivery::{Answer, Fault};

use super::tests::{OK, http, parcel, try_build};

fn acceptor() -> TlsAcceptor {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("testdata/server.pem")).expect("certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/server.key")).expect("key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key fits the certificate");
    TlsAcceptor::from(Arc::new(config))
}

/// One attempt at `https://<host>` with these roots; the server answers whatever gets through the handshake.
async fn attempt(host: &str, roots: &str) -> Answer {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = listener.local_addr().expect("address").port();
    let config = serde_json::json!({
        "url": format!("https://{host}:{port}/hook"), "allow_addresses": ["127.0.0.0/8", "::1"],
        "tls_roots": "roots.pem", "timeout_ms": 5000,
    });
    let webhook = try_build(config, &[("roots.pem", roots)]).expect("builds");
    let serve = async {
        let (stream, _) = listener.accept().await.expect("accepts");
        if let Ok(mut stream) = acceptor().accept(stream).await {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"}") && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
            stream.write_all(OK.as_bytes()).await.expect("writes");
        }
    };
    tokio::join!(webhook.deliver(parcel(&[1])), serve).0
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_for_this_host_is_accepted() {
    let answer = http(attempt("localhost", include_str!("testdata/ca.pem")).await);
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_strangers_certificate_and_one_for_another_host_are_refused() {
    let stranger = attempt("localhost", include_str!("testdata/other.pem")).await;
    assert_eq!(stranger, Answer::Failed(Fault::Tls));
    let other_host = attempt("127.0.0.1", include_str!("testdata/ca.pem")).await;
    assert_eq!(other_host, Answer::Failed(Fault::Tls));
}
