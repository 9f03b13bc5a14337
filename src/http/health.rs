//! `GET /health`, the same on every HTTP port.
//!
//! 200 while healthy or starting, 503 otherwise. Anybody may ask, so the reply names the service and its status only;
//! the reasons (a missing disk, a failing neighbour) are for callers with a good token. Over plain HTTP from the LAN
//! no credential is looked at: [`crate::serve`] takes them off before.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;

use crate::{Json, MaybeCaller};

/// Path of the health route, the only one answered over plain HTTP from the LAN.
pub const HEALTH_PATH: &str = "/health";

/// How a service is, in the words of the health reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It does what it is for.
    Healthy,
    /// It has been started and is not ready yet.
    Starting,
    /// It waits for something outside, such as the SSD.
    Waiting,
    /// It fails.
    Unhealthy,
}

impl HealthStatus {
    /// The HTTP status of the reply.
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::Healthy | Self::Starting => StatusCode::OK,
            Self::Waiting | Self::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What a service says about itself when asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// How it is.
    pub status: HealthStatus,
    /// Why, one sentence each, for those who may see it. Empty when healthy.
    pub reasons: Vec<String>,
}

impl HealthReport {
    /// A healthy report without reasons.
    pub fn healthy() -> Self {
        Self { status: HealthStatus::Healthy, reasons: Vec::new() }
    }

    /// A report with one reason.
    pub fn because(status: HealthStatus, reason: impl Into<String>) -> Self {
        Self { status, reasons: vec![reason.into()] }
    }
}

/// The JSON form of the reply.
#[derive(Serialize)]
struct HealthBody {
    service: &'static str,
    status: HealthStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<String>>,
}

/// A router with `GET /health` of `service`; merge it into the service's own. `probe` is asked at each request: it must
/// read a value that is there already (a watch), never do I/O.
pub fn route<S>(service: &'static str, probe: impl Fn() -> HealthReport + Clone + Send + Sync + 'static) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let handler = move |MaybeCaller(caller): MaybeCaller| std::future::ready(reply(service, probe(), caller.is_some()));
    Router::new().route(HEALTH_PATH, get(handler))
}

/// The reply, with the reasons where they may be shown.
fn reply(service: &'static str, report: HealthReport, may_see_reasons: bool) -> Response {
    let reasons = may_see_reasons.then_some(report.reasons);
    (report.status.http_status(), Json(HealthBody { service, status: report.status, reasons })).into_response()
}

#[cfg(test)]
mod tests;
