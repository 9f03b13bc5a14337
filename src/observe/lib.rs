//! Logs and metrics: journald or terminal, JSON files and live levels per service, Prometheus.
