//! A folder with a `writ.yaml`, the engine as a child process, and the command line beside it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use writ_testkit::postgres::{Cluster, Options};

/// No wait is longer unless a test says so; a healthy one is far shorter.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that a command of the command line may take: verifying a large audit log in an unoptimised build.
const COMMAND_LONGEST: Duration = Duration::from_secs(120);

/// Between two looks at another process, where there is nothing to wait on.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Another process may take a free port between its choice and the engine's start.
const PORT_TRIES: usize = 5;

/// The `writ` under test: of this build, or the one that `WRIT_BIN` names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("WRIT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_writ").into(), PathBuf::from)
}

/// Polls until `probe` gives a value; panics with `what` after `longest`.
pub(crate) async fn within<T>(longest: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {longest:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Polls until `probe` gives a value; panics with `what` after [`PATIENCE`].
pub(crate) async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, probe).await
}

/// A port on loopback that nothing listens on.
pub(crate) async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Its output, when it ended well.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}

/// One folder, at most one engine.
pub(crate) struct Stage {
    folder: TempDir,
    template: String,
    port: u16,
    environment: Vec<(String, String)>,
    /// Shown with every request, where one is configured.
    token: Option<String>,
    engine: Option<Child>,
}

impl Stage {
    /// `template` is a `writ.yaml` in which `@PORT@` stands for the API's port.
    pub(crate) async fn new(template: impl Into<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("writ-it-").tempdir().expect("make a temporary folder");
        let stage = Self {
            folder,
            template: template.into(),
            port: free_port().await,
            environment: Vec::new(),
            token: None,
            engine: None,
        };
        stage.write_config();
        stage
    }

    /// Sets an environment variable for every command from now on.
    pub(crate) fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Asks with this token from now on.
    pub(crate) fn holds(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// Another configuration from the next start on.
    pub(crate) fn reconfigure(&mut self, template: impl Into<String>) {
        self.template = template.into();
        self.write_config();
    }

    fn write_config(&self) {
        let text = self.template.replace("@PORT@", &self.port.to_string());
        std::fs::write(self.path("writ.yaml"), text).expect("write writ.yaml");
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The engine's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.engine.as_ref().and_then(Child::id).expect("the engine runs")
    }

    /// Starts the engine and waits until its API answers.
    pub(crate) async fn start(&mut self) {
        for _ in 0..PORT_TRIES {
            self.spawn();
            if self.answers().await {
                return;
            }
            assert!(self.log().contains("WRIT-8001"), "the engine did not start: {}", self.log());
            self.port = free_port().await;
            self.write_config();
        }
        panic!("no free port in {PORT_TRIES} tries");
    }

    /// Starts the engine and waits for nothing.
    pub(crate) fn spawn(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("engine.log"));
        let child = self
            .command(binary())
            .args(["run"])
            .stdout(Stdio::null())
            .stderr(log.expect("open the engine's log"))
            .spawn()
            .expect("run writ");
        self.engine = Some(child);
    }

    /// True once the API answers, false when the engine has ended instead.
    async fn answers(&mut self) -> bool {
        until("the engine answers", async || {
            if self.status().await.is_some() {
                return Some(true);
            }
            self.ended().map(|_| false)
        })
        .await
    }

    /// How the engine ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.engine.as_mut().and_then(|engine| engine.try_wait().expect("look at the engine"))
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        let mut engine = self.engine.take().expect("the engine runs");
        engine.kill().await.expect("kill the engine");
    }

    /// SIGTERM; how the engine ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.expect("run kill");
        assert!(sent.success(), "SIGTERM was not sent");
        self.wait().await
    }

    /// Waits until the engine has ended by itself.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let mut engine = self.engine.take().expect("the engine was started");
        let ended = tokio::time::timeout(PATIENCE, engine.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("the engine did not end: {}", self.log()))
            .expect("wait for the engine")
    }

    /// What the engine has logged so far, over all its runs.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("engine.log")).unwrap_or_default()
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let variables = self.environment.iter().map(|(name, value)| (name, value));
        command.current_dir(self.folder.path()).envs(variables).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs `writ` with these arguments in the folder.
    pub(crate) async fn writ(&self, arguments: &[&str]) -> Ran {
        self.run(self.command(binary()).args(arguments)).await
    }

    /// Runs a shell script in the folder, with `writ` on its path.
    pub(crate) async fn shell(&self, script: &str) -> Ran {
        let mut command = self.command("bash");
        let binary = binary();
        let bin = binary.parent().expect("the binary is in a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        self.run(command.env("PATH", format!("{bin}:{path}")).args(["-euo", "pipefail", "-c", script])).await
    }

    async fn run(&self, command: &mut Command) -> Ran {
        let output = tokio::time::timeout(COMMAND_LONGEST, command.output()).await;
        let output = output.expect("the command ends in time").expect("the command can be run");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The engine's status; `None` while it does not answer.
    pub(crate) async fn status(&self) -> Option<Value> {
        let (status, body) = self.ask(Method::GET, "/v1/status").await?;
        (status == StatusCode::OK).then_some(body)
    }

    /// The first source in the status.
    pub(crate) async fn source(&self) -> Option<Value> {
        self.status().await.map(|status| status["sources"][0].clone())
    }

    /// One lane in the status.
    pub(crate) async fn lane(&self, name: &str) -> Option<Value> {
        let status = self.status().await?;
        status["subscribers"].as_array()?.iter().find(|lane| lane["subscriber"] == name).cloned()
    }

    /// Waits until the first source streams, its snapshot behind it.
    pub(crate) async fn streams(&self) {
        until("the source streams", async || {
            let source = self.source().await?;
            (source["phase"] == "streaming").then_some(())
        })
        .await;
    }

    /// Posts an operator's act.
    pub(crate) async fn post(&self, path: &str) -> StatusCode {
        self.ask(Method::POST, path).await.expect("the engine answers").0
    }

    /// Pushes one CloudEvent; the causality token that it is answered with.
    pub(crate) async fn push(&self, source: &str, event: &Value) -> Option<String> {
        let path = format!("/v1/intake/{source}");
        let request = Request::builder().method(Method::POST).uri(path).header("host", "writ");
        let request = request.header("content-type", "application/cloudevents+json");
        let body = Full::new(Bytes::from(event.to_string()));
        let response = self.send(request.body(body).expect("a well-formed request")).await?;
        assert!(response.status().is_success(), "{}", response.status());
        Some(response.headers().get("writ-causality")?.to_str().ok()?.to_owned())
    }

    async fn ask(&self, method: Method, path: &str) -> Option<(StatusCode, Value)> {
        let request = Request::builder().method(method).uri(path).header("host", "writ");
        let response =
            self.send(request.body(Full::new(Bytes::new())).expect("a well-formed request")).await?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Option<Response<Incoming>> {
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {token}").parse().expect("a token is a header's value");
            request.headers_mut().insert("authorization", bearer);
        }
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        sender.send_request(request).await.ok()
    }

    /// Runs `writ audit verify` on the store's audit folder.
    pub(crate) async fn verify(&self) -> Ran {
        self.writ(&["audit", "verify", "data/audit"]).await
    }
}

/// A cluster, or `None` where PostgreSQL is not installed.
pub(crate) fn cluster(options: &Options) -> Option<Cluster> {
    Cluster::start(options)
}
