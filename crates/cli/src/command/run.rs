//! `writ run`: the engine and its API until SIGTERM or SIGINT, then a graceful drain.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use writ_api::{App, Recorder, Tokens};
use writ_connectors::secret::Secrets;
use writ_engine::run::Running;
use writ_model::code;

use super::ConfigPath;
use crate::config_file::Loaded;
use crate::exit::{BAD_INPUT, Failure, UNAVAILABLE};

/// How long a drain may take before it is cut short. Nothing is lost by the cut: what was in flight is
/// delivered again under the same ids.
const DRAIN: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Log as JSON lines instead of text
    #[arg(long)]
    log_json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    // Before anything is opened or answers: a stop that is asked for in the middle of a start is an orderly one.
    let mut stops = Stops::listen()?;
    log_to_stderr(arguments.log_json);
    let loaded = arguments.config.load()?;
    let secrets = Secrets { base: loaded.base.clone() };
    let tokens = tokens(&loaded, &secrets)?;
    let recorder = Recorder::install();
    // The port first: a taken one must be told before a store is opened.
    let server = writ_api::bind(&loaded.config.api.listen, !tokens.is_empty())
        .await
        .map_err(|error| Failure::plain(error, UNAVAILABLE))?;
    let body_bytes_max = loaded.config.api.body_bytes_max;
    let starting = writ_engine::run::start(loaded.config, &secrets);
    let mut running = tokio::select! {
        started = starting => started?,
        // As safe as a crash at that point, and a supervisor that asks politely is not kept waiting.
        () = stops.told() => {
            tracing::info!("stopped before it had started");
            return Ok(ExitCode::SUCCESS);
        }
    };
    if let Some(address) = server.address() {
        tracing::info!(%address, "listening");
    }
    let app = App { engine: running.handle.clone(), tokens: Arc::new(tokens), body_bytes_max, recorder };
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(server.run(app, stopped));
    let failure = tokio::select! {
        failure = running.failed() => Some(failure),
        () = stops.told() => None,
    };
    // The API answers while the engine drains: `/readyz` and the intake say that it is stopping.
    let drained = drain(running).await;
    stop.send_replace(true);
    drop(tokio::time::timeout(Duration::from_secs(1), serving).await);
    match failure {
        Some(failure) => Err(failure.into()),
        None => drained,
    }
}

async fn drain(running: Running) -> Result<ExitCode, Failure> {
    tracing::info!("draining");
    match tokio::time::timeout(DRAIN, running.stop()).await {
        Ok(()) => {
            tracing::info!("drained");
            Ok(ExitCode::SUCCESS)
        }
        Err(_) => {
            let text =
                "stop: attempts were still in flight after 30 s; they are made again at the next start";
            Err(Failure::coded(code::DRAIN_EXPIRED, text, UNAVAILABLE))
        }
    }
}

fn tokens(loaded: &Loaded, secrets: &Secrets) -> Result<Tokens, Failure> {
    let mut tokens = Tokens::default();
    for token in &loaded.config.api.tokens {
        let secret = secrets.resolve(&format!("api.tokens.{}", token.name), &token.secret);
        let secret = secret.map_err(|error| Failure::plain(error, BAD_INPUT))?;
        match &token.subscriber {
            Some(subscriber) => tokens.add_consumer(&token.name, &secret, subscriber),
            None => tokens.add(&token.name, &secret, &token.scopes),
        }
    }
    Ok(tokens)
}

/// SIGTERM and SIGINT, listened for from the moment this is made.
struct Stops {
    term: Signal,
    interrupt: Signal,
}

impl Stops {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::plain(
                    format!("listen for signals: {error}; look at the process limits"),
                    UNAVAILABLE,
                )
            })
        };
        Ok(Self { term: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for either; returns at once when one came before.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Logs go to standard error; `RUST_LOG` chooses what, `info` if it does not say.
fn log_to_stderr(is_json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,fjall=warn,lsm_tree=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process (tests) keeps the first subscriber.
    if is_json {
        drop(builder.json().try_init());
    } else {
        drop(builder.with_ansi(std::io::stderr().is_terminal()).try_init());
    }
}
