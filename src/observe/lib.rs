//! Logs and metrics of the process: journald or terminal, JSON files and live levels per service, Prometheus.
//!
//! Code logs with `tracing` and counts with `metrics` as usual; this crate decides where that goes. A line belongs to
//! the service whose span `service{name=…}` encloses it, else to `lucid`. [`init`] is called once, by the binary.
//!
//! Promises: logging never blocks on a disk, never fails, and takes bounded memory; what had to be dropped is counted
//! in `lucid_log_lines_dropped_total{sink}`, in a process that counts. A full, failing or missing log disk is said once
//! and recovered from. Control characters in what is logged are escaped, so that a hostile value can't forge a line or
//! drive a terminal.
//!
//! Must never: open a port, read the environment, offer anything that formats HTTP headers or bodies.

mod collect;
mod counts;
mod files;
mod levels;
mod line;
mod ring;
mod terminal;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::BuildError;
use tracing::Subscriber;
pub use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use collect::Collect;
pub use counts::Counting;
use counts::Metrics;
use files::Files;
use levels::Levels;
pub use line::{Level, Line, Value};
use ring::Rings;
use terminal::Terminal;

/// The service that lines outside any service belong to.
pub const PROCESS: &str = "lucid";

/// Where logs go and how much of them.
#[derive(Debug, Clone)]
pub struct ObserveConfig {
    /// Folder of the JSON files; its parent must exist. None until the SSD is there.
    pub log_dir: Option<PathBuf>,
    /// Whether to log to journald in place of the terminal.
    pub journald: Journald,
    /// Level of services that have no level of their own.
    pub default_level: LevelFilter,
    /// How lines look on the terminal (standard error).
    pub terminal: TerminalFormat,
}

/// Whether to log to journald.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Journald {
    /// Where systemd connected standard error to the journal. Holds the value of the environment's `JOURNAL_STREAM`
    /// (`DEVICE:INODE`), which is compared with standard error as systemd.exec(5) asks for.
    Auto(Option<String>),
    /// Never.
    Off,
}

/// How lines look on the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalFormat {
    /// Coloured where standard error is a terminal.
    Auto,
    /// Without colours.
    Plain,
    /// With colours.
    Coloured,
    /// Nothing is written, for commands that own the terminal.
    Off,
}

/// Why logs and metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// [`init`] was called before in this process.
    #[error("logs are set up already in this process")]
    LogsInstalled {
        /// What tracing said.
        source: tracing::subscriber::SetGlobalDefaultError,
    },
    /// A recorder is installed already.
    #[error("metrics are set up already in this process")]
    MetricsInstalled {
        /// What the exporter said.
        source: BuildError,
    },
    /// A thread did not start.
    #[error("can't start a thread for logs or metrics")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// The running logs and metrics. Cheap to clone. Call [`Observe::flush`] before the process ends.
#[derive(Clone)]
pub struct Observe {
    levels: Arc<Levels>,
    rings: Arc<Rings>,
    files: Arc<Files>,
    metrics: Metrics,
}

/// Sets up logs for the whole process; metrics come with [`Observe::count`]. Call once, before anything logs.
pub fn init(config: ObserveConfig) -> Result<Observe, ObserveError> {
    let (subscriber, observe) = build(config)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|source| ObserveError::LogsInstalled { source })?;
    Ok(observe)
}

/// The subscriber and its handle, not installed yet.
fn build(config: ObserveConfig) -> Result<(impl Subscriber + Send + Sync, Observe), ObserveError> {
    let levels = Arc::new(Levels::new(config.default_level));
    let rings = Arc::new(Rings::default());
    let metrics = Metrics::default();
    let upkeep = metrics.clone();
    let files = Files::start(config.log_dir, move || upkeep.upkeep());
    let files = Arc::new(files.map_err(|source| ObserveError::Thread { source })?);
    let journal = journal_layer(&config.journald);
    let terminal = if journal.is_some() { None } else { Terminal::new(config.terminal) };
    let collect = Collect::new(Arc::clone(&rings), Arc::clone(&files), terminal);
    let subscriber = Registry::default().with(journal).with(collect).with(Arc::clone(&levels).layer());
    Ok((subscriber, Observe { levels, rings, files, metrics }))
}

impl Observe {
    /// Begins to count for the whole process. Call at most once, before anything is counted.
    ///
    /// # Errors
    /// The thread that makes the recorder did not start.
    pub fn count(&self) -> Result<Counting, ObserveError> {
        self.metrics.begin()
    }

    /// Where the JSON files go from now on; None closes them. Returns at once: [`Observe::flush`] waits until the
    /// old files are closed, which must be done before their file system is unmounted.
    pub fn set_log_dir(&self, log_dir: Option<PathBuf>) {
        self.files.set_dir(log_dir);
    }

    /// Waits until everything logged so far is in the files, at most `limit`. Whether it is. Blocks the thread.
    pub fn flush(&self, limit: Duration) -> bool {
        self.files.flush(limit)
    }

    /// Sets the level of one service, from now on.
    pub fn set_level(&self, service: &str, level: LevelFilter) {
        self.levels.set(service, level);
    }

    /// The level of each service that has logged or has a level of its own.
    pub fn levels(&self) -> BTreeMap<String, LevelFilter> {
        self.levels.all(self.rings.services())
    }

    /// The last `count` lines of `service`, oldest first; at most [`ring::LINES_MAX`].
    pub fn recent(&self, service: &str, count: usize) -> Vec<Line> {
        self.rings.recent(service, count)
    }

    /// All metrics in the Prometheus text format; nothing where nothing is counted.
    pub fn render(&self) -> String {
        self.metrics.render()
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Observe").field("levels", &self.levels).finish_non_exhaustive()
    }
}

/// The journald layer where standard error is the journal. Where journald does not answer, the terminal takes over:
/// systemd reads standard error too.
fn journal_layer(journald: &Journald) -> Option<tracing_journald::Layer> {
    let Journald::Auto(Some(stream)) = journald else { return None };
    if !terminal::is_standard_error(stream) {
        return None;
    }
    // No field prefix: `SERVICE=auth-service` is what one looks for with journalctl.
    tracing_journald::layer().ok().map(|layer| layer.with_syslog_identifier(PROCESS.to_owned()))
}

#[cfg(test)]
mod tests;
