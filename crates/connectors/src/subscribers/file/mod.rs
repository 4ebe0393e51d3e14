//! Subscriber `file`: appends CloudEvents to a file, one JSON object per line, synced before it is acknowledged.

mod sink;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use writ_model::delivery::{Answer, Fault};

use crate::descriptor::{Build, ConfigError, Context, Descriptor};
use crate::settings::{self, invalid};
use crate::source::BoxFuture;
use crate::subscriber::{Parcel, Subscriber};
use sink::Sink;

/// Most events in one write and sync.
const BATCH_MAX: usize = 256;
/// Smallest `rotate_bytes`: below it a file would hold hardly an event.
const ROTATE_BYTES_MIN: u64 = 64 * 1024;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "file",
    summary: "a file of structured CloudEvents, one per line",
    stability: "stable",
    secrets: &[],
    example: "\
# Relative paths start at the folder of writ.yaml.
path: events.jsonl
# At this size the file is renamed to events.jsonl.1, .2 and so on; without it, it grows.
rotate_bytes: 1073741824
",
    mechanisms: &[],
    config_schema,
    build: Build::Subscriber(build),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    path: PathBuf,
    #[serde(default)]
    rotate_bytes: Option<u64>,
}

fn config_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["path"],
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "The file that is appended to."},
            "rotate_bytes": {"type": "integer", "minimum": ROTATE_BYTES_MIN,
                "description": "Size at which the file is renamed and a new one begun."},
        },
    })
}

fn build(context: &Context<'_>, config: serde_json::Value) -> Result<Box<dyn Subscriber>, ConfigError> {
    let given: Settings = settings::read(config)?;
    if given.path.file_name().is_none() {
        return Err(invalid("path", "this names no file", "name a file"));
    }
    if given.rotate_bytes.is_some_and(|bytes| bytes < ROTATE_BYTES_MIN) {
        return Err(invalid("rotate_bytes", format!("below {ROTATE_BYTES_MIN}"), "choose a larger size"));
    }
    let sink = Sink::new(context.secrets.base.join(given.path), given.rotate_bytes);
    Ok(Box::new(Lines { sink: Arc::new(Mutex::new(sink)) }))
}

struct Lines {
    sink: Arc<Mutex<Sink>>,
}

impl Subscriber for Lines {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let mut lines = Vec::new();
            for item in &parcel.items {
                lines.extend_from_slice(item.view.structured());
                lines.push(b'\n');
            }
            match self.on_sink(move |sink| sink.append(&lines)).await {
                Ok(()) => Answer::Durable,
                Err(cause) => {
                    tracing::warn!(cause, "file subscriber could not write");
                    Answer::Failed(Fault::LocalSink)
                }
            }
        })
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn check(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.on_sink(Sink::open))
    }
}

impl Lines {
    /// The write goes on when the caller is dropped; the next one waits for it.
    async fn on_sink(
        &self,
        work: impl FnOnce(&mut Sink) -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let sink = Arc::clone(&self.sink);
        let done = tokio::task::spawn_blocking(move || {
            // A panic in between leaves a sink that is closed or whole: both can be gone on with.
            let mut sink = sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            work(&mut sink)
        });
        done.await.unwrap_or_else(|_| Err("the writing task ended early".to_owned()))
    }
}
