//! A private PostgreSQL cluster from the installed server binaries: own data folder, own socket, a free
//! port, `wal_level=logical`. Stopped and removed on drop.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The superuser of every cluster; connections are trusted.
pub const USER: &str = "postgres";
/// The database that tests use.
pub const DATABASE: &str = "postgres";

/// Another process may take the free port between its choice and the server's start.
const START_TRIES: usize = 20;
/// After a kill, the server refuses to start until the last backend has let go of shared memory.
const START_AGAIN: Duration = Duration::from_millis(100);

/// How a cluster is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lines for `postgresql.conf` as (name, value); they stand over the defaults.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// Adds a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    bin: PathBuf,
    port: u16,
}

impl Cluster {
    /// Makes and starts a cluster; takes about half a second. `None`, with a loud line, when PostgreSQL is
    /// not installed.
    ///
    /// # Panics
    /// When PostgreSQL is missing and `WRIT_REQUIRE_SERVICES=1`, or when the cluster cannot be started.
    pub fn start(options: &Options) -> Option<Self> {
        let Some(bin) = binaries() else {
            crate::absence::report("PostgreSQL", "pg_config --bindir and /usr/lib/postgresql/*/bin");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("writ-pg-").tempdir().expect("make a temporary folder");
        hand_over(folder.path());
        let mut cluster = Self { folder, bin, port: 0 };
        let data = cluster.data();
        let made = cluster
            .run("initdb", &["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "-N", "-D", &data]);
        assert_ran("initdb", &made);
        cluster.configure(options);
        cluster.launch();
        Some(cluster)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that holds the data folder, the log and the socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection URL over TCP, without TLS.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{DATABASE}?sslmode=disable", self.port)
    }

    /// Opens a connection over the socket; its driver runs until the client is dropped.
    ///
    /// # Panics
    /// When the server does not accept it.
    pub async fn connect(&self) -> Client {
        let folder = self.folder.path().display();
        let target = format!("host={folder} port={} user={USER} dbname={DATABASE}", self.port);
        let (client, connection) =
            tokio_postgres::connect(&target, NoTls).await.expect("connect to the cluster");
        tokio::spawn(async move {
            // The server ends connections when a test stops it; the client then says so.
            let _ended = connection.await;
        });
        client
    }

    /// Runs statements on a connection of their own; gives the rows of all of them as text, nulls as empty.
    ///
    /// # Panics
    /// When a statement fails.
    pub async fn psql(&self, sql: &str) -> Vec<Vec<String>> {
        let client = self.connect().await;
        let answers = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let rows = answers.iter().filter_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect()).collect()
    }

    /// The first value of the first row, as text.
    ///
    /// # Panics
    /// When there is none.
    pub async fn value(&self, sql: &str) -> String {
        let rows = self.psql(sql).await;
        rows.first().and_then(|row| row.first()).cloned().unwrap_or_else(|| panic!("{sql}: no row"))
    }

    /// Stops the server in an orderly way and starts it again on the same port.
    pub fn restart(&mut self) {
        self.pg_ctl(&["-m", "fast", "-w", "stop"]);
        self.launch_on(self.port);
    }

    /// Stops the server without a checkpoint, as in a crash with the machine left running.
    pub fn stop_immediate(&mut self) {
        self.pg_ctl(&["-m", "immediate", "-w", "stop"]);
    }

    /// Kills the server (SIGKILL). [`Cluster::start_again`] recovers it.
    ///
    /// # Panics
    /// When its process id cannot be read.
    pub fn kill(&mut self) {
        let file = self.folder.path().join("data/postmaster.pid");
        let text = fs::read_to_string(file).expect("read postmaster.pid");
        let pid = text.lines().next().expect("postmaster.pid begins with the process id").to_owned();
        let killed = Command::new("kill").args(["-9", &pid]).output().expect("run kill");
        assert_ran("kill", &killed);
    }

    /// Starts a stopped or killed server on its port.
    pub fn start_again(&mut self) {
        self.launch_on(self.port);
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn configure(&self, options: &Options) {
        let socket = self.folder.path().display().to_string();
        let defaults = [
            ("wal_level", "logical"),
            ("fsync", "off"),
            ("max_wal_senders", "20"),
            ("max_replication_slots", "20"),
            ("max_prepared_transactions", "10"),
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", &socket),
            ("shared_buffers", "32MB"),
        ];
        let chosen = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let lines: Vec<String> =
            defaults.into_iter().chain(chosen).map(|(name, value)| format!("{name} = '{value}'\n")).collect();
        let path = self.folder.path().join("data/postgresql.conf");
        let mut file = fs::OpenOptions::new().append(true).open(path).expect("open postgresql.conf");
        file.write_all(lines.concat().as_bytes()).expect("write postgresql.conf");
    }

    fn launch(&mut self) {
        for _ in 0..START_TRIES {
            let free =
                TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("find a free port");
            if self.try_launch(free.port()) {
                self.port = free.port();
                return;
            }
        }
        panic!("the cluster does not start; its log: {}", self.log());
    }

    fn launch_on(&self, port: u16) {
        for _ in 0..START_TRIES {
            if self.try_launch(port) {
                return;
            }
            thread::sleep(START_AGAIN);
        }
        panic!("the cluster does not start on port {port}; its log: {}", self.log());
    }

    fn try_launch(&self, port: u16) -> bool {
        let log = self.log_path().display().to_string();
        let port = format!("-p {port}");
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-o", &port, "-w", "start"]).status.success()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        let data = self.data();
        let mut all = vec!["-D", data.as_str()];
        all.extend(arguments);
        assert_ran("pg_ctl", &self.run("pg_ctl", &all));
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = unprivileged(&self.bin.join(program));
        command.args(arguments).current_dir(self.folder.path()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.output().unwrap_or_else(|error| panic!("run {program}: {error}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test may have stopped it already; the folder goes away either way.
        let _stopped = self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }
}

fn binaries() -> Option<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told =
        told.and_then(|output| String::from_utf8(output.stdout).ok()).map(|text| PathBuf::from(text.trim()));
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    installed.sort();
    told.into_iter().chain(installed.into_iter().rev()).find(|bin| bin.join("initdb").exists())
}

fn is_root() -> bool {
    id_of(&["-u"]) == Some(0)
}

fn id_of(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The server refuses to run as root, so its folder must belong to the user that it runs as.
fn hand_over(folder: &Path) {
    if is_root() {
        let owner = id_of(&["-u", USER]).expect("the system user postgres exists beside the binaries");
        chown(folder, Some(owner), id_of(&["-g", USER])).expect("hand the folder to the user postgres");
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("open the folder to the test");
}

fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--init-groups", "--"]).arg(program);
    command
}

fn assert_ran(what: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed ({}): {said}", output.status);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_keeps_its_rows_over_a_kill_and_is_gone_after_drop() {
        let Some(mut cluster) = Cluster::start(&Options::default()) else { return };
        cluster.psql("create table t (a int); insert into t values (7)").await;
        cluster.kill();
        cluster.start_again();
        assert_eq!(cluster.value("select a from t").await, "7");
        assert_eq!(cluster.value("show wal_level").await, "logical");
        let folder = cluster.folder().to_owned();
        drop(cluster);
        assert!(!folder.exists());
    }
}
