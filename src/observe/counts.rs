//! What is counted, for Prometheus.
//!
//! The recorder's clock (quanta) is measured against the system's before it is used, for a fifth of a second at full
//! load. So the recorder is made on a thread of its own, beside the rest of a start, and not at all in a process that
//! shows no metrics. What is counted before it is there is lost.

use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::ObserveError;

/// Upper bounds of the buckets of every `…_seconds` histogram, in seconds: from a cache hit to a disk that spins up.
const SECONDS_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The process's recorder, once there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(Arc<OnceLock<PrometheusHandle>>);

/// A recorder that is being made.
#[derive(Debug)]
#[must_use = "what is counted before the recorder is there is lost"]
pub struct Counting(JoinHandle<Result<(), BuildError>>);

impl Metrics {
    pub(crate) fn begin(&self) -> Result<Counting, ObserveError> {
        let metrics = self.0.clone();
        let make = move || {
            let handle = prometheus().install_recorder()?;
            metrics.get_or_init(|| handle);
            Ok(())
        };
        let thread = Builder::new().name("lucid-metrics".to_owned()).spawn(make);
        thread.map(Counting).map_err(|source| ObserveError::Thread { source })
    }

    /// What histograms have collected goes into their buckets.
    pub(crate) fn upkeep(&self) {
        if let Some(handle) = self.0.get() {
            handle.run_upkeep();
        }
    }

    /// In the Prometheus text format; nothing while nothing is counted.
    pub(crate) fn render(&self) -> String {
        self.0.get().map(PrometheusHandle::render).unwrap_or_default()
    }
}

impl Counting {
    /// Waits until everything is counted.
    ///
    /// # Errors
    /// Another recorder was installed in this process before.
    pub fn wait(self) -> Result<(), ObserveError> {
        let made = self.0.join().expect("making a recorder does not panic");
        made.map_err(|source| ObserveError::MetricsInstalled { source })
    }
}

/// The recorder: every `…_seconds` histogram gets the same buckets.
fn prometheus() -> PrometheusBuilder {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .expect("the list of buckets is not empty")
}
