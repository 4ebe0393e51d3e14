//! `/metrics`: the Prometheus page.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Collects the process's metrics. One per process.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// Installs the recorder; a second call in one process gives a recorder of its own that stays empty.
    pub fn install() -> Self {
        let builder = PrometheusBuilder::new();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Another recorder is there already: in-process tests start several engines.
        drop(metrics::set_global_recorder(recorder));
        Self(handle)
    }

    pub(crate) fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}
