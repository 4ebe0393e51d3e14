//! The URL of the database: where it is, who asks, and how the connection is protected.

use std::path::PathBuf;
use std::str::FromStr as _;

use secrecy::SecretString;
use tokio_postgres::config::Host;

use crate::descriptor::ConfigError;
use crate::settings::invalid;

/// PostgreSQL's port when the URL names none.
const PORT: u16 = 5432;

/// How the connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Protection {
    /// Not at all: the default for this machine, else only when the URL says `sslmode=disable`.
    None,
    /// TLS, with the server's certificate verified for its name, by these authorities or the system's.
    Verified(Option<PathBuf>),
}

/// The parts of the URL.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: SecretString,
    pub(super) database: String,
    pub(super) protection: Protection,
}

impl Address {
    /// Reads a URL. Its text may hold a password and is never shown.
    pub(super) fn parse(url: &str) -> Result<Self, ConfigError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad("what it refers to is not a postgres:// URL"));
        }
        let (plain, tls) = split_tls(url);
        let parsed = tokio_postgres::Config::from_str(&plain).map_err(|_| bad("the URL cannot be read"))?;
        let host = match parsed.get_hosts() {
            [Host::Tcp(host)] => host.clone(),
            [Host::Unix(folder)] => folder.display().to_string(),
            _ => return Err(bad("the URL does not name exactly one host")),
        };
        let password = parsed.get_password().unwrap_or_default();
        let password = std::str::from_utf8(password).map_err(|_| bad("the password is not UTF-8"))?;
        Ok(Self {
            port: parsed.get_ports().first().copied().unwrap_or(PORT),
            user: parsed.get_user().ok_or_else(|| bad("the URL names no user"))?.to_owned(),
            password: SecretString::from(password),
            database: parsed.get_dbname().ok_or_else(|| bad("the URL names no database"))?.to_owned(),
            protection: protection(&host, &tls)?,
            host,
        })
    }

    /// Whether the server is reached over a socket of this machine's file system.
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

fn bad(cause: &str) -> ConfigError {
    invalid("url", cause, "write postgres://user:password@host:5432/database?sslmode=verify-full")
}

/// The TLS parameters, which the URL parser does not know in full, and the URL without them.
fn split_tls(url: &str) -> (String, Vec<(String, String)>) {
    let Some((address, query)) = url.split_once('?') else { return (url.to_owned(), Vec::new()) };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (tls, rest): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name.starts_with("ssl"));
    let rest: Vec<String> = rest.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let tls = tls.into_iter().map(|(name, value)| (name.to_owned(), value.replace("%2F", "/"))).collect();
    let plain = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
    (plain, tls)
}

/// Customers' data crosses a network only to a server that is verified, or in the clear where the URL says so; a
/// mode that encrypts to whoever answers is refused.
fn protection(host: &str, parameters: &[(String, String)]) -> Result<Protection, ConfigError> {
    let get =
        |name: &str| parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let is_local = host.starts_with('/') || matches!(host, "localhost" | "127.0.0.1" | "::1");
    match get("sslmode") {
        None if is_local => Ok(Protection::None),
        Some("disable") => Ok(Protection::None),
        None | Some("verify-full") => Ok(Protection::Verified(get("sslrootcert").map(PathBuf::from))),
        Some(_) => Err(bad("its sslmode is neither verify-full nor disable")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, host: &str, protection: Protection) {
        let address = Address::parse(url).expect(url);
        assert_eq!((address.host.as_str(), &address.protection), (host, &protection));
        assert!(!format!("{address:?}").contains("hunter2"));
    }

    #[test]
    fn a_network_address_is_verified_unless_the_url_says_otherwise() {
        let roots = Some("/etc/ca.pem".into());
        check("postgres://w:hunter2@db.example.org/s", "db.example.org", Protection::Verified(None));
        check("postgres://w:hunter2@db/s?sslrootcert=/etc/ca.pem", "db", Protection::Verified(roots));
        check("postgres://w:hunter2@localhost/s", "localhost", Protection::None);
        check(
            "postgresql://w@10.0.0.1:6432/s?sslmode=disable&connect_timeout=5",
            "10.0.0.1",
            Protection::None,
        );
        check("postgres://w@%2Frun%2Fpg/s", "/run/pg", Protection::None);
    }

    #[test]
    fn a_bad_url_is_refused_without_being_shown() {
        for url in [
            "host=db password=hunter2",
            "postgres://w:hunter2@db",
            "postgres://db/hunter2",
            "postgres://w:hunter2@db,db2/s",
            "postgres://w:hunter2@db/s?sslmode=require",
        ] {
            let error = Address::parse(url).expect_err(url);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
