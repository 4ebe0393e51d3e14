//! `writ run`: the engine and its API until SIGTERM or SIGINT, then a graceful drain.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
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
    let mut running = writ_engine::run::start(loaded.config, &secrets).await?;
    if let Some(address) = server.address() {
        tracing::info!(%address, "listening");
    }
    let app = App { engine: running.handle.clone(), tokens: Arc::new(tokens), body_bytes_max, recorder };
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(server.run(app, stopped));
    let failure = tokio::select! {
        failure = running.failed() => Some(failure),
        () = told_to_stop() => None,
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

async fn told_to_stop() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
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
