//! Every HTTP listener of the box: TLS by the first byte, connection limits, `problem+json`, health, bearer tokens.
//!
//! A service builds an axum [`Router`](axum::Router) and hands it to [`serve`]; everything that must be the same on
//! every port is added there, once: limits and time-outs per connection, request ids, security headers, metrics,
//! and one form for errors. Only HTTP/1.1 is spoken.
//!
//! This crate owns no state of the box but the device certificate ([`certificate`]). It must never log a header or a
//! body, and never send the text of an internal error to a client.

pub mod bearer;
pub mod certificate;
mod extract;
pub mod health;
mod listen;
pub mod middleware;
mod problem;
mod written;

pub use bearer::{AdminCaller, Caller, DeveloperCaller, MaybeCaller};
pub use certificate::{CertificateError, CertificateNames, DeviceCertificate};
pub use extract::{Json, Path, Query};
pub use health::{HealthReport, HealthStatus};
pub use listen::{BindError, ConnectionInfo, Limits, ListenPolicy, Listener, PlainPolicy, serve};
pub use problem::Problem;
pub use written::written;
