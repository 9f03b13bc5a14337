//! `/api/update`: updates over HTTP, for the command line and for other machines.
//!
//! Whoever is logged in sees how updates are. An administrator has the channel asked or discards; whoever sends a
//! bundle, installs one or goes back must have given the password within [`SIGN_IN_MAX_S`], because a token that was
//! left lying about must not change what the box runs. Every order is in the audit log, before it is carried out.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt as _, stream};
use lucid_agent_protocol::RefusalCode;
use lucid_device::Clock;
use lucid_http::middleware::streaming;
use lucid_http::{AdminCaller, Caller, ConnectionInfo, Json, Problem, Query};
use lucid_layout::Digest;
use lucid_ports::{Accounts, AuditEntry, Identity};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::error::UpdateError;
use super::restart::When;
use super::settings::UpdateUrl;
use super::status::UpdateStatus;
use super::updates::Updates;
use crate::agent_link::AgentError;

/// How long a log-in counts as just done.
const SIGN_IN_MAX_S: u64 = 300;
/// A stream speaks at least this often, so that whoever listens notices a connection that died.
const BEAT: Duration = Duration::from_secs(5);
/// Streams at a time: each holds a connection. A household has a few.
const STREAMS_MAX: usize = 64;
/// Longest body of an order.
const ORDER_BYTES_MAX: usize = 4 * 1024;
/// When to come again while the agent does not answer.
const RETRY_S: u64 = 10;

/// What the routes may use.
#[derive(Clone)]
pub struct ApiDeps {
    /// Updates.
    pub updates: Updates,
    /// The audit log.
    pub accounts: Arc<dyn Accounts>,
    /// Times in it.
    pub clock: Arc<dyn Clock>,
}

struct Api {
    deps: ApiDeps,
    streams: Arc<Semaphore>,
}

type Shared = State<Arc<Api>>;

/// The routes. Who is calling is proved by the layer that the listener adds ([`lucid_http::bearer`]).
pub fn routes(deps: ApiDeps) -> Router {
    let bundle = Router::new().route("/api/update/bundle", post(bundle)).layer(DefaultBodyLimit::disable());
    let orders = Router::new()
        .route("/api/update/status", get(status))
        .route("/api/update/pull", post(pull))
        .route("/api/update/check", post(check))
        .route("/api/update/install", post(install))
        .route("/api/update/discard", post(discard))
        .route("/api/update/rollback", post(rollback))
        .route("/api/update/selftest", post(selftest))
        .route("/api/update/eeprom", post(eeprom))
        .layer(DefaultBodyLimit::max(ORDER_BYTES_MAX));
    let api = Api { deps, streams: Arc::new(Semaphore::new(STREAMS_MAX)) };
    streaming(bundle).merge(orders).with_state(Arc::new(api))
}

/// An administrator who has just given the password. Refuses others with 403 `sign-in-again`.
struct RecentAdmin(Identity);

impl<S: Send + Sync> FromRequestParts<S> for RecentAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AdminCaller(identity) = AdminCaller::from_request_parts(parts, state).await?;
        if identity.auth_age_s < SIGN_IN_MAX_S {
            return Ok(Self(identity));
        }
        let detail = "log in again: this takes a password that was given within the last five minutes";
        Err(Problem::forbidden("sign-in-again", detail))
    }
}

async fn status(State(api): Shared, _caller: Caller, request: axum::extract::Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    if !wants_events(&parts.headers) {
        return Ok(Json(api.deps.updates.look().await.map_err(problem)?).into_response());
    }
    let permit = api.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Problem::unavailable("too_many_streams", "too many listen: close other pages"))?;
    let status = api.deps.updates.watch();
    let feed = Feed { status, parts, spoken: false, _permit: permit };
    Ok(Sse::new(feed.events()).into_response())
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/event-stream"))
}

/// One open stream.
struct Feed {
    status: watch::Receiver<Arc<UpdateStatus>>,
    /// What proved the caller, to be proved again.
    parts: Parts,
    spoken: bool,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut feed| async move { feed.next().await.map(|event| (Ok(event), feed)) })
    }

    /// The next event; nothing once the log-in does not hold any more.
    async fn next(&mut self) -> Option<Event> {
        if std::mem::replace(&mut self.spoken, true) {
            // Whether it changed or the time is over, the newest is told.
            let _ = tokio::time::timeout(BEAT, self.status.changed()).await;
        }
        <Caller as FromRequestParts<()>>::from_request_parts(&mut self.parts, &()).await.ok()?;
        let status = self.status.borrow_and_update().clone();
        Event::default().json_data(&*status).ok()
    }
}

/// Which part of which bundle a body is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    offset: u64,
    bundle: Option<Digest>,
}

async fn bundle(
    State(api): Shared,
    RecentAdmin(who): RecentAdmin,
    connection: ConnectionInfo,
    headers: HeaderMap,
    Query(part): Query<Part>,
    body: Body,
) -> Result<Json<UpdateStatus>, Problem> {
    let is_bytes = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    if !is_bytes {
        let detail = "send the bundle as it is, with `Content-Type: application/octet-stream`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    if part.offset > 0 && part.bundle.is_none() {
        let detail = "say by `bundle` which bundle goes on: the status has it as `phase.incoming.bundle`";
        return Err(Problem::unprocessable("bundle_missing", detail));
    }
    let bytes = body.into_data_stream().map(|piece| piece.map_err(io::Error::other)).boxed();
    let detail = format!("a bundle from byte {} on", part.offset);
    let work = api.deps.updates.upload(part.offset, part.bundle, bytes);
    api.carry_out(&who, &connection, "update sent", detail, work).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PullBody {
    url: String,
}

async fn pull(
    State(api): Shared,
    RecentAdmin(who): RecentAdmin,
    connection: ConnectionInfo,
    Json(body): Json<PullBody>,
) -> Result<(StatusCode, Json<UpdateStatus>), Problem> {
    let url: UpdateUrl = body.url.parse().map_err(|error| Problem::unprocessable("invalid_url", format!("{error}")))?;
    let detail = url.to_string();
    let begun = async { api.deps.updates.pull(url) };
    accepted(api.carry_out(&who, &connection, "update fetched", detail, begun).await)
}

async fn check(
    State(api): Shared,
    AdminCaller(who): AdminCaller,
    connection: ConnectionInfo,
) -> Result<(StatusCode, Json<UpdateStatus>), Problem> {
    let begun = async { api.deps.updates.check() };
    accepted(api.carry_out(&who, &connection, "update channel asked", String::new(), begun).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstallBody {
    when: When,
}

async fn install(
    State(api): Shared,
    RecentAdmin(who): RecentAdmin,
    connection: ConnectionInfo,
    Json(body): Json<InstallBody>,
) -> Result<(StatusCode, Json<UpdateStatus>), Problem> {
    let detail = match body.when {
        When::Now => "now",
        When::Quiet => "when nothing is recorded",
        When::Window => "in the window",
    };
    let work = api.deps.updates.install(body.when);
    accepted(api.carry_out(&who, &connection, "update installed", detail.to_owned(), work).await)
}

async fn discard(
    State(api): Shared,
    AdminCaller(who): AdminCaller,
    connection: ConnectionInfo,
) -> Result<Json<UpdateStatus>, Problem> {
    let work = api.deps.updates.discard();
    api.carry_out(&who, &connection, "update discarded", String::new(), work).await
}

async fn rollback(
    State(api): Shared,
    RecentAdmin(who): RecentAdmin,
    connection: ConnectionInfo,
) -> Result<(StatusCode, Json<UpdateStatus>), Problem> {
    let work = api.deps.updates.rollback();
    accepted(api.carry_out(&who, &connection, "update returned", "to the other slot".to_owned(), work).await)
}

async fn selftest(
    State(api): Shared,
    RecentAdmin(who): RecentAdmin,
    connection: ConnectionInfo,
) -> Result<(StatusCode, Json<UpdateStatus>), Problem> {
    let work = api.deps.updates.selftest();
    accepted(api.carry_out(&who, &connection, "update self-test", String::new(), work).await)
}

/// Naming the build is the consent: who does not know what the image carries can't order it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EepromBody {
    build_s: u64,
}

async fn eeprom(
    State(api): Shared,
    RecentAdmin(who): RecentAdmin,
    connection: ConnectionInfo,
    Json(body): Json<EepromBody>,
) -> Result<(StatusCode, Json<UpdateStatus>), Problem> {
    let work = api.deps.updates.install_eeprom(body.build_s);
    let detail = super::eeprom::release_of(body.build_s);
    accepted(api.carry_out(&who, &connection, "update EEPROM", detail, work).await)
}

/// It begins: how it goes, the status tells.
fn accepted(done: Result<Json<UpdateStatus>, Problem>) -> Result<(StatusCode, Json<UpdateStatus>), Problem> {
    done.map(|status| (StatusCode::ACCEPTED, status))
}

impl Api {
    /// Writes an order down, does it, and writes down where that failed.
    async fn carry_out(
        &self,
        who: &Identity,
        connection: &ConnectionInfo,
        action: &'static str,
        detail: String,
        work: impl Future<Output = Result<(), UpdateError>>,
    ) -> Result<Json<UpdateStatus>, Problem> {
        tracing::info!(user = who.user, action, detail, "ordered");
        // Before, because a box that restarts writes nothing afterwards.
        self.note(who, connection, action, detail.clone()).await;
        if let Err(error) = work.await {
            self.note(who, connection, action, format!("{detail}: not done: {error}")).await;
            return Err(problem(error));
        }
        self.deps.updates.look().await.map(Json).map_err(problem)
    }

    /// A failure must not undo the act, so it goes to the log.
    async fn note(&self, who: &Identity, connection: &ConnectionInfo, action: &str, detail: String) {
        let peer = connection.peer.ip().to_canonical().to_string();
        let (at_ms, user, action) = (self.deps.clock.now().unix_ms, who.user.clone(), action.to_owned());
        if let Err(error) = self.deps.accounts.note(AuditEntry { at_ms, user, peer, action, detail }).await {
            tracing::error!(user = who.user, %error, "an act is missing from the audit log");
        }
    }
}

/// The reply to an order that was not carried out. The texts are written for the owner.
pub(crate) fn problem(error: UpdateError) -> Problem {
    let detail = super::desk::described(&error);
    match error {
        UpdateError::Unavailable(_) => Problem::unavailable("update_unavailable", detail).with_retry_after_s(RETRY_S),
        UpdateError::Agent(AgentError::Refused(refusal)) => refused(refusal.code, detail),
        UpdateError::Agent(AgentError::Absent) => Problem::conflict("no_agent", detail),
        UpdateError::Agent(_) => Problem::unavailable("agent_unavailable", detail).with_retry_after_s(RETRY_S),
        UpdateError::Busy => Problem::conflict("busy", detail),
        UpdateError::WrongOffset { .. } => Problem::conflict("wrong_offset", detail),
        UpdateError::BrokenOff(_) => Problem::bad_request("broken_off", detail),
        UpdateError::TooLarge => Problem::payload_too_large("body_too_large", detail),
        UpdateError::NoChannel => Problem::conflict("no_channel", detail),
        UpdateError::NoWindow => Problem::conflict("no_window", detail),
        UpdateError::NothingWritten => Problem::conflict("nothing_written", detail),
        UpdateError::GivenUp => Problem::conflict("discarded", detail),
        UpdateError::Fetch(_) | UpdateError::NoBundle(_) => Problem::unprocessable("not_fetched", detail),
        UpdateError::Keep(_) | UpdateError::Failed(_) => Problem::internal(&error),
    }
}

/// What the agent refused, in its words.
fn refused(code: RefusalCode, detail: String) -> Problem {
    match code {
        RefusalCode::Busy => Problem::conflict("busy", detail),
        RefusalCode::WrongState => Problem::conflict("wrong_state", detail),
        RefusalCode::Untrusted => Problem::unprocessable("untrusted", detail),
        RefusalCode::Unsuitable => Problem::unprocessable("unsuitable", detail),
        RefusalCode::Malformed => Problem::unprocessable("malformed", detail),
        RefusalCode::Failed => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail),
        RefusalCode::NotFound | RefusalCode::NotUnique | RefusalCode::Foreign | RefusalCode::NotConfirmed => {
            Problem::conflict("refused", detail)
        }
    }
}

#[cfg(test)]
mod tests;
