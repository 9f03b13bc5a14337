//! What all pages share, and the table of routes.

use std::{future::Future, io, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use http::StatusCode;
use lucid_device::Clock;
use lucid_kit::Board;
use lucid_ports::{
    Accounts, AuditEntry, Authenticator, Chain, Identity, Load, Recordings, RecordingsError, SessionId, Storage,
    Takeover,
};
use tokio::sync::{Semaphore, watch};

use super::{
    View, account, accounts, assets, audit, blocks, claim, events, fields::CsrfKey, guard, login, logs::Logs, overview,
    refusal, renewals::Renewals, services, sessions, storage, system, takeover, update, upload,
};
use crate::{AgentLink, AgentView, Boot, Release, thermal_watch::History, update::Updates};

/// A page waits this long for a service, then shows without it. A person waits two seconds without wondering.
const PATIENCE: Duration = Duration::from_secs(2);
/// Live streams at a time: each holds a connection and renders a page every two seconds. A household has a few.
const STREAMS_MAX: usize = 64;

/// Takes a recording for a caller: label and bytes in, the id of the complete recording out. An error in the stream
/// means that the rest will not come: what came before is then not complete.
pub type Upload = Arc<
    dyn Fn(
            Identity,
            String,
            BoxStream<'static, io::Result<Bytes>>,
        ) -> BoxFuture<'static, Result<SessionId, RecordingsError>>
        + Send
        + Sync,
>;

/// The payments plane, as the supervisor knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentsPlane {
    /// There is none: a developer's machine.
    NotHere,
    /// It runs, and does nothing yet.
    Idle {
        /// Of its release.
        version: String,
    },
    /// It should run, and did not answer.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// What the pages may use.
#[derive(Clone)]
pub struct Pages {
    /// What admin-interface collects.
    pub view: watch::Receiver<Arc<View>>,
    /// For the restart button.
    pub board: Board,
    /// Accounts, claim, audit.
    pub accounts: Arc<dyn Accounts>,
    /// Proves the cookie's token.
    pub authenticator: Arc<dyn Authenticator>,
    /// Recordings.
    pub recordings: Arc<dyn Recordings>,
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// The data disk.
    pub storage: watch::Receiver<Storage>,
    /// What the box has room for.
    pub load: watch::Receiver<Load>,
    /// Temperatures of the last hour.
    pub temperatures: watch::Receiver<Arc<History>>,
    /// Logs and their levels.
    pub logs: Arc<dyn Logs>,
    /// Times of audit entries.
    pub clock: Arc<dyn Clock>,
    /// How this boot went.
    pub boot: Arc<Boot>,
    /// The way to the agent.
    pub agent: AgentLink,
    /// By which services are made to let go of the data disk.
    pub release: Release,
    /// Takes over a data disk that another appliance wrote.
    pub takeover: Arc<dyn Takeover>,
    /// What the agent said last.
    pub agent_view: watch::Receiver<AgentView>,
    /// Updates.
    pub updates: Updates,
    /// What the owner should know of the start of the program.
    pub notes: Vec<String>,
    /// The payments plane.
    pub payments: watch::Receiver<PaymentsPlane>,
    /// Takes what a form without JavaScript uploads.
    pub upload: Upload,
}

/// Everything that handlers share.
pub(super) struct App {
    pub(super) pages: Pages,
    pub(super) csrf: CsrfKey,
    pub(super) renewals: Renewals,
    pub(super) streams: Arc<Semaphore>,
}

/// The state of every handler.
pub(super) type Shared = Arc<App>;

/// A service did not answer within [`PATIENCE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slow;

/// The dashboard. It has no `/health` and nothing below `/api`: those belong to the listener. Its fallback is a page
/// for browsers only; for others it leaves the reply empty, which the listener fills.
pub fn routes(pages: Pages) -> Router {
    let app = Arc::new(App {
        pages,
        csrf: CsrfKey::generate(),
        renewals: Renewals::default(),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
    });
    let uploads = Router::new()
        .route("/sessions/upload", post(upload::take))
        .route("/updates/bundle", post(update::take))
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .merge(everyday())
        .merge(administration())
        .merge(lucid_http::middleware::streaming(uploads))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(app.clone(), guard::identify))
        .layer(from_fn(guard::refuse_foreign_pages))
        .layer(from_fn_with_state(app.clone(), refusal::show))
        .merge(assets::routes())
        .layer(from_fn(guard::add_headers))
        .with_state(app)
}

/// What a user has.
fn everyday() -> Router<Shared> {
    Router::new()
        .route("/", get(overview::page))
        .route("/events", get(events::stream))
        .route("/claim", get(claim::page).post(claim::submit))
        .route("/login", get(login::page).post(login::submit))
        .route("/logout", post(login::logout))
        .route("/renew", get(login::renew))
        .route("/account", get(account::page))
        .route("/account/password", post(account::change_password))
        .route("/account/recovery-key", post(account::new_recovery_key))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", get(sessions::one))
        .route("/sessions/{id}/verify", post(sessions::verify))
        .route("/sessions/{id}/delete", get(sessions::confirm_delete).post(sessions::delete))
        .route("/sessions/{id}/content", get(sessions::content))
        .route("/sessions/{id}/export", get(sessions::export))
        .route("/blocks", get(blocks::list))
        .route("/blocks/validate", post(blocks::validate))
        .route("/blocks/{height}", get(blocks::one))
}

/// What developers and administrators have.
fn administration() -> Router<Shared> {
    Router::new()
        .route("/services", get(services::list))
        .route("/services/{name}", get(services::one))
        .route("/services/{name}/restart", post(services::restart))
        .route("/services/{name}/level", post(services::set_level))
        .route("/accounts", get(accounts::list).post(accounts::add))
        .route("/accounts/{name}/remove", get(accounts::confirm_remove).post(accounts::remove))
        .route("/accounts/{name}/role", post(accounts::set_role))
        .route("/accounts/{name}/password", post(accounts::reset_password))
        .route("/audit", get(audit::page))
        .route("/storage", get(storage::page))
        .route("/storage/adopt", post(storage::adopt))
        .route("/storage/detach", post(storage::detach))
        .route("/storage/mount", post(storage::mount))
        .route("/storage/take-over", post(takeover::submit))
        .route("/updates", get(update::page))
        .route("/updates/sign-in", post(update::sign_in))
        .route("/updates/install", post(update::install))
        .route("/updates/rollback", post(update::rollback))
        .route("/updates/selftest", post(update::selftest))
        .route("/updates/eeprom", post(update::install_eeprom))
        .route("/updates/pull", post(update::pull))
        .route("/updates/check", post(update::check))
        .route("/updates/discard", post(update::discard))
        .route("/system", get(system::page))
        .route("/system/restart", post(system::restart))
        .route("/system/power-off", post(system::power_off))
}

impl App {
    /// Waits for an answer, but not longer than a person would.
    pub(super) async fn patiently<T>(&self, answer: impl Future<Output = T>) -> Result<T, Slow> {
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| Slow)
    }

    /// Whether the values shown are made up.
    pub(super) fn is_simulated(&self) -> bool {
        matches!(&self.pages.view.borrow().device, Some(Ok(snapshot)) if snapshot.simulated)
    }

    /// Writes down what somebody did, and from where. A failure must not undo the act, so it goes to the log.
    pub(super) async fn note(&self, by: &Identity, from: IpAddr, action: &str, detail: String) {
        let entry = AuditEntry {
            at_ms: self.pages.clock.now().unix_ms,
            user: by.user.clone(),
            peer: from.to_canonical().to_string(),
            action: action.to_owned(),
            detail,
        };
        let outcome = self.patiently(self.pages.accounts.note(entry)).await;
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(user = by.user, action, %error, "an act is missing from the audit log"),
            Err(Slow) => tracing::error!(user = by.user, action, "an act may be missing from the audit log: no answer"),
        }
    }
}
