//! One authenticated session with the server: queries first, the stream on the same session after. All
//! sessions, those that only ask included, are logical replication sessions: one transport, one TLS and
//! password implementation, and what is asked before the stream is true of the server that streams.

use std::sync::Once;
use std::time::Duration;

use pgwire_replication::{Lsn, PgWireError, ReplicationClient, ReplicationConfig};
use secrecy::ExposeSecret as _;
use writ_model::code::{self, Code};

use super::config::Settings;
use crate::source::SourceError;

/// Longest wait for the answer to a question; also bounds connecting.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Longest wait for a slot: its creation waits for every transaction that was running.
pub(super) const SLOT_WAIT: Duration = Duration::from_secs(600);
/// Longest message: one row change, or one snapshot row. A larger one stops the source with an error.
const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// Messages between the socket and the decoder. The socket's reader answers keepalives while they wait.
const MESSAGES_WAITING_MAX: usize = 512;
/// How often the confirmed position is told; well below any sensible `wal_sender_timeout`.
pub(super) const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// Fixes the text form of values for stream and snapshot alike. `row_security=off` turns rows hidden by a
/// policy into an error.
const SESSION_OPTIONS: &str = "-c DateStyle=ISO -c IntervalStyle=iso_8601 -c TimeZone=UTC \
    -c extra_float_digits=3 -c bytea_output=hex -c search_path=pg_catalog -c row_security=off \
    -c standard_conforming_strings=on -c statement_timeout=0 -c idle_in_transaction_session_timeout=0";

/// One row of an answer, as text.
pub(super) type Answer = Vec<Option<String>>;

/// A session. Dropping it closes the connection.
pub(super) struct Session {
    client: ReplicationClient,
    shown: String,
}

impl Session {
    /// Connects. The stream, if one is started on this session, begins at `start_lsn`, which must be durable.
    pub(super) async fn open(settings: &Settings, start_lsn: u64) -> Result<Self, SourceError> {
        install_crypto();
        let shown = settings.target.shown();
        let client = ReplicationClient::connect_gated(replication(settings, start_lsn))
            .await
            .map_err(|error| refusal(&format!("connect to {shown}"), &error))?;
        let mut session = Self { client, shown };
        session.ask("SELECT 1", ANSWER_WAIT).await.map_err(|error| {
            let tried = format!("connect to {}", session.shown);
            SourceError { tried, ..error }
        })?;
        Ok(session)
    }

    /// The rows of one statement.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Answer>, SourceError> {
        self.ask(sql, ANSWER_WAIT).await
    }

    /// As [`Session::rows`], for statements that may take long.
    pub(super) async fn ask(&mut self, sql: &str, wait: Duration) -> Result<Vec<Answer>, SourceError> {
        let tried = || format!("ask {}: {}", self.shown, first_words(sql));
        let answered = tokio::time::timeout(wait, self.client.simple_query(sql)).await;
        let rows =
            answered.map_err(|_| unanswered(tried(), wait))?.map_err(|error| refusal(&tried(), &error))?;
        rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect::<Option<_>>().ok_or_else(
            || {
                protocol(
                    tried(),
                    "an answer is not UTF-8: the database holds bytes outside its encoding".to_owned(),
                )
            },
        )
    }

    /// Starts the stream.
    pub(super) async fn stream(mut self, slot: &str) -> Result<ReplicationClient, SourceError> {
        let tried = format!("stream from slot {slot} of {}", self.shown);
        let started = async {
            self.client.start().await?;
            self.client.wait_started().await
        };
        match tokio::time::timeout(ANSWER_WAIT, started).await {
            Ok(Ok(())) => Ok(self.client),
            Ok(Err(error)) => Err(refusal(&tried, &error)),
            Err(_) => Err(unanswered(tried, ANSWER_WAIT)),
        }
    }
}

fn text(cell: Option<bytes::Bytes>) -> Option<Option<String>> {
    cell.map(|bytes| String::from_utf8(bytes.into())).transpose().ok()
}

/// The transport installs `ring` when nothing else is installed; every other part of Writ uses `aws-lc`.
fn install_crypto() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // Whoever installed one earlier chose it on purpose.
        let _kept = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

fn replication(settings: &Settings, start_lsn: u64) -> ReplicationConfig {
    let target = &settings.target;
    let password = target.password.expose_secret();
    let publication = settings.publication.as_str();
    ReplicationConfig::new(
        &target.host,
        &target.user,
        password,
        &target.database,
        &settings.slot,
        publication,
    )
    .with_port(target.port)
    .with_tls(target.tls.clone())
    .with_start_lsn(Lsn::from_u64(start_lsn))
    .with_ack_lsn(Lsn::from_u64(start_lsn))
    .with_status_interval(STATUS_INTERVAL)
    .with_wakeup_interval(STATUS_INTERVAL)
    .with_buffer_size(MESSAGES_WAITING_MAX)
    .with_max_message_size(MESSAGE_BYTES_MAX)
    .with_options(SESSION_OPTIONS)
    .with_application_name(format!("writ:{}", settings.source))
}

/// The statement's kind: enough to find it, without names and values.
fn first_words(sql: &str) -> String {
    sql.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn unanswered(tried: String, wait: Duration) -> SourceError {
    SourceError {
        code: code::SOURCE_UNREACHABLE,
        tried,
        cause: format!("no answer within {} s", wait.as_secs()),
        remedy: "see whether the server is overloaded or a long transaction is open (pg_stat_activity)"
            .to_owned(),
        is_passing: true,
    }
}

/// Something that cannot be decoded.
pub(super) fn protocol(tried: String, cause: String) -> SourceError {
    let remedy = "nothing was lost: the slot keeps the change; report this with the server's version";
    SourceError { code: code::SOURCE_PROTOCOL, tried, cause, remedy: remedy.to_owned(), is_passing: false }
}

/// What kind of refusal an SQLSTATE is: its code, whether waiting may help, what to do.
struct Verdict(Code, bool, &'static str);

/// Turns the transport's error into the source's.
pub(super) fn refusal(tried: &str, error: &PgWireError) -> SourceError {
    let cause = error.to_string();
    let Verdict(code, is_passing, remedy) = match error {
        PgWireError::Io(_) | PgWireError::Task(_) | PgWireError::Internal(_) => Verdict(
            code::SOURCE_UNREACHABLE,
            true,
            "see whether the server runs and can be reached from here",
        ),
        PgWireError::Server(text) => server_verdict(sqlstate(text), text),
        PgWireError::Auth(_) => Verdict(
            code::SOURCE_UNREACHABLE,
            false,
            "check user and password; passwords must be SCRAM-SHA-256",
        ),
        PgWireError::Tls(_) => Verdict(
            code::SOURCE_UNREACHABLE,
            false,
            "check sslmode, sslrootcert and the server's certificate",
        ),
        PgWireError::MessageTooLarge { .. } => Verdict(
            code::SOURCE_PROTOCOL,
            false,
            "one row is larger than Writ takes; exclude the column by a column list",
        ),
        _ => Verdict(code::SOURCE_PROTOCOL, false, "report this with the server's version"),
    };
    SourceError { code, tried: tried.to_owned(), cause, remedy: remedy.to_owned(), is_passing }
}

fn sqlstate(text: &str) -> &str {
    text.rsplit_once("(SQLSTATE ").and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or_default()
}

fn server_verdict(state: &str, text: &str) -> Verdict {
    let is_about_slot = text.contains("replication slot");
    match state {
        "42704" if is_about_slot => Verdict(code::SLOT_MISSING, false, super::identity::ANEW),
        "55000" if is_about_slot => Verdict(code::SLOT_INVALIDATED, false, super::identity::ANEW),
        "58P01" => Verdict(code::SLOT_INVALIDATED, false, super::identity::ANEW),
        "55006" => Verdict(
            code::SOURCE_UNREACHABLE,
            true,
            "another session holds the slot; it may be a former one of ours",
        ),
        "42704" => {
            Verdict(code::PUBLICATION_UNFIT, false, "create the publication, then start the source anew")
        }
        "42501" => Verdict(
            code::SOURCE_SETTINGS,
            false,
            "grant the role REPLICATION, SELECT on the mapped tables, and BYPASSRLS where row security is on",
        ),
        "28000" | "28P01" | "3D000" => {
            Verdict(code::SOURCE_UNREACHABLE, false, "check user, password and database")
        }
        _ if ["08", "53", "57", "40", "55"].iter().any(|class| state.starts_with(class)) => {
            Verdict(code::SOURCE_UNREACHABLE, true, "see the server's log")
        }
        _ => Verdict(code::SOURCE_SETTINGS, false, "see the server's log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: Code, is_passing: bool) {
        let error = refusal("try", &PgWireError::Server(text.to_owned()));
        assert_eq!((error.code, error.is_passing), (code, is_passing), "{text}");
    }

    #[test]
    fn the_servers_state_decides_what_an_error_is() {
        check("replication slot \"a\" does not exist (SQLSTATE 42704)", code::SLOT_MISSING, false);
        check(
            "cannot read from logical replication slot \"a\" (SQLSTATE 55000)",
            code::SLOT_INVALIDATED,
            false,
        );
        check(
            "requested WAL segment has already been removed (SQLSTATE 58P01)",
            code::SLOT_INVALIDATED,
            false,
        );
        check("publication \"p\" does not exist (SQLSTATE 42704)", code::PUBLICATION_UNFIT, false);
        check("replication slot \"a\" is active for PID 9 (SQLSTATE 55006)", code::SOURCE_UNREACHABLE, true);
        check(
            "terminating connection due to administrator command (SQLSTATE 57P01)",
            code::SOURCE_UNREACHABLE,
            true,
        );
        check("permission denied for table customer (SQLSTATE 42501)", code::SOURCE_SETTINGS, false);
    }
}
