//! What an operator writes under `kind: postgres`, and where it leads.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use pgwire_replication::{SslMode, TlsConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::config::Host;
use writ_model::code;
use writ_model::id::SourceName;

use crate::descriptor::{ConfigError, Context};
use crate::settings;

/// Commented example of the connector's own keys.
pub(super) const EXAMPLE: &str = "\
# postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem
url: env:WRIT_POSTGRES_URL
publication: writ          # the publication that covers the mapped tables
create_publication: true   # create it when it is missing
slot: writ_shop            # the replication slot; a new name starts anew with a snapshot
snapshot: initial          # initial: read all rows first; never: only changes from now on
heartbeat_s: 60            # write a message into an idle log so that the slot moves on; 0: never
";

/// PostgreSQL's port when the URL names none.
const PORT: u16 = 5432;
/// Longest name of a slot or a publication (`NAMEDATALEN` less one).
const NAME_BYTES_MAX: usize = 63;

/// The keys as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    url: String,
    #[serde(default = "default_publication")]
    publication: String,
    #[serde(default = "default_create_publication")]
    create_publication: bool,
    slot: Option<String>,
    #[serde(default)]
    snapshot: Snapshot,
    #[serde(default = "default_heartbeat_s")]
    heartbeat_s: u64,
}

fn default_publication() -> String {
    "writ".to_owned()
}

fn default_create_publication() -> bool {
    true
}

fn default_heartbeat_s() -> u64 {
    60
}

/// What a first start reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Snapshot {
    /// All rows of the mapped tables, then their changes.
    #[default]
    Initial,
    /// Only changes.
    Never,
}

/// The configuration in use.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) source: SourceName,
    pub(super) target: Target,
    pub(super) publication: String,
    pub(super) create_publication: bool,
    pub(super) slot: String,
    pub(super) snapshot: Snapshot,
    /// `None`: no heartbeat.
    pub(super) heartbeat: Option<Duration>,
}

/// The server, and how it is reached.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: SecretString,
    pub(super) database: String,
    pub(super) tls: TlsConfig,
}

impl Target {
    /// The server's name for messages: no user, no password.
    pub(super) fn shown(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }
}

/// JSON Schema of the keys.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "description": "secret reference to a postgres:// URL"},
            "publication": {"type": "string", "default": "writ"},
            "create_publication": {"type": "boolean", "default": true},
            "slot": {"type": "string", "description": "default: writ_<source name>"},
            "snapshot": {"enum": ["initial", "never"], "default": "initial"},
            "heartbeat_s": {"type": "integer", "minimum": 0, "default": 60}
        }
    })
}

/// Reads the configuration.
pub(super) fn read(context: &Context<'_>, config: Value) -> Result<Settings, ConfigError> {
    let keys: Keys = settings::read(config)?;
    let source = SourceName::new(context.name)
        .map_err(|error| settings::invalid("name", error.to_string(), "rename the source"))?;
    let slot = keys.slot.unwrap_or_else(|| format!("writ_{}", context.name.replace('-', "_")));
    let url = context.secrets.resolve("url", &keys.url)?;
    Ok(Settings {
        source,
        target: target(url.expose_secret())?,
        publication: plain_name("publication", keys.publication)?,
        create_publication: keys.create_publication,
        slot: plain_name("slot", slot)?,
        snapshot: keys.snapshot,
        heartbeat: (keys.heartbeat_s > 0).then(|| Duration::from_secs(keys.heartbeat_s)),
    })
}

/// Both names stand unquoted in replication commands, and the server allows a slot no other letters.
fn plain_name(key: &str, name: String) -> Result<String, ConfigError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_');
    if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_plain) {
        return Ok(name);
    }
    let remedy = "use 1 to 63 of a-z, 0-9 and _, not beginning with a digit";
    Err(settings::invalid(key, "the name would need quoting", remedy))
}

/// Reads the URL. Its text may hold a password and is never shown.
fn target(url: &str) -> Result<Target, ConfigError> {
    let bad = |cause: &str| ConfigError {
        code: code::CONFIG_INVALID,
        key: "url".to_owned(),
        cause: cause.to_owned(),
        remedy: "write postgres://user:password@host:5432/database?sslmode=verify-full".to_owned(),
    };
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
    let user = parsed.get_user().ok_or_else(|| bad("the URL names no user"))?.to_owned();
    let password = parsed.get_password().unwrap_or_default();
    let password = std::str::from_utf8(password).map_err(|_| bad("the password is not UTF-8"))?;
    let database = parsed.get_dbname().ok_or_else(|| bad("the URL names no database"))?.to_owned();
    Ok(Target {
        port: parsed.get_ports().first().copied().unwrap_or(PORT),
        tls: tls_config(&host, &tls).ok_or_else(|| bad("its sslmode is not known"))?,
        user,
        password: SecretString::from(password),
        database,
        host,
    })
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

/// Without `sslmode`, customers' data crosses a network only to a server whose certificate is verified.
fn tls_config(host: &str, parameters: &[(String, String)]) -> Option<TlsConfig> {
    let get =
        |name: &str| parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let is_local = host.starts_with('/') || matches!(host, "localhost" | "127.0.0.1" | "::1");
    let mode = match get("sslmode") {
        None if is_local => SslMode::Disable,
        None | Some("verify-full") => SslMode::VerifyFull,
        Some("disable") => SslMode::Disable,
        Some("prefer") => SslMode::Prefer,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some(_) => return None,
    };
    let path = |name: &str| get(name).map(PathBuf::from);
    Some(TlsConfig {
        mode,
        ca_pem_path: path("sslrootcert"),
        sni_hostname: None,
        client_cert_pem_path: path("sslcert"),
        client_key_pem_path: path("sslkey"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, host: &str, mode: SslMode) {
        let target = target(url).expect(url);
        assert_eq!((target.host.as_str(), target.tls.mode), (host, mode));
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn a_network_address_is_verified_unless_the_url_says_otherwise() {
        check("postgres://writ:hunter2@db.example.org/shop", "db.example.org", SslMode::VerifyFull);
        check("postgres://writ:hunter2@localhost/shop", "localhost", SslMode::Disable);
        check(
            "postgresql://writ@10.0.0.1:6432/shop?sslmode=require&connect_timeout=5",
            "10.0.0.1",
            SslMode::Require,
        );
        check("postgres://writ@%2Frun%2Fpg/shop", "/run/pg", SslMode::Disable);
    }

    #[test]
    fn certificates_come_from_the_url() {
        let url = "postgres://writ@db/shop?sslmode=verify-ca&sslrootcert=/etc/ca.pem";
        assert_eq!(target(url).expect("url").tls.ca_pem_path, Some("/etc/ca.pem".into()));
    }

    #[test]
    fn a_bad_url_is_refused_without_being_shown() {
        let urls = [
            "host=db password=hunter2",
            "postgres://writ:hunter2@db",
            "postgres://db/hunter2",
            "postgres://writ:hunter2@db,db2/shop",
            "postgres://writ:hunter2@db/shop?sslmode=maybe",
        ];
        for url in urls {
            let error = target(url).expect_err(url);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        assert!(plain_name("slot", "writ_shop".into()).is_ok());
        for bad in ["", "Writ", "a-b", "1a", "a,b", "a b", &"x".repeat(64)] {
            assert!(plain_name("slot", bad.into()).is_err(), "{bad}");
        }
    }
}
