//! `/api/auth`: accounts and log-in over HTTP, for the command line and for other machines.
//!
//! Handlers parse, ask and answer. Who is calling is proved by the box's [`Authenticator`], who may do what is in the
//! handlers' argument types. Replies carry tokens and must not be cached: `lucid_http` says so on every reply.
//!
//! A password change and a log-in answer with the same tokens object; a refused one of either kind with the same words.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use lucid_http::bearer::authenticate_with;
use lucid_http::{AdminCaller, Caller, ConnectionInfo, Json, Path, Problem, Query};
use lucid_ports::{
    Account, AccountError, Accounts, AuditEntry, AuthError, Authenticator, Claim, Identity, Login, PasswordChange,
    Role, Tokens,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Largest body: the longest password in the longest encoding of JSON fits.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Audit entries in a reply unless asked otherwise.
const AUDIT_LIMIT: usize = 100;

/// When to come again while auth-service does not run: it restarts within seconds.
const UNAVAILABLE_RETRY_S: u64 = 5;

type Shared = State<Arc<dyn Accounts>>;
type Reply<T> = Result<Json<T>, Problem>;

/// The routes under `/api/auth`, for the service's own port and for the dashboard's.
pub fn routes(accounts: Arc<dyn Accounts>, authenticator: Arc<dyn Authenticator>) -> Router {
    Router::new()
        .route("/api/auth/claim", get(claimed).post(claim))
        .route("/api/auth/login", post(login))
        .route("/api/auth/refresh", post(refresh))
        .route("/api/auth/logout", post(logout))
        .route("/api/auth/me", get(me))
        .route("/api/auth/password", post(change_password))
        .route("/api/auth/recovery-key", post(new_recovery_key))
        .route("/api/auth/accounts", get(list).post(add))
        .route("/api/auth/accounts/{name}", delete(remove).patch(change))
        .route("/api/auth/audit", get(audit))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(authenticate_with(authenticator))
        .with_state(accounts)
}

#[derive(Serialize)]
struct ClaimState {
    claimed: bool,
}

/// Whether the appliance is claimed: what a form has to ask before it is shown.
async fn claimed(State(accounts): Shared) -> Reply<ClaimState> {
    Ok(Json(ClaimState { claimed: accounts.claimed().map_err(problem)? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimBody {
    code: Zeroizing<String>,
    name: String,
    password: Zeroizing<String>,
}

/// Tokens and, this once, the recovery key.
#[derive(Serialize)]
struct ClaimReply {
    #[serde(flatten)]
    tokens: Tokens,
    recovery_key: Zeroizing<String>,
}

async fn claim(
    State(accounts): Shared,
    connection: ConnectionInfo,
    Json(body): Json<ClaimBody>,
) -> Result<(StatusCode, Json<ClaimReply>), Problem> {
    let peer = connection.peer.ip();
    let claim = Claim { code: body.code, name: body.name, password: body.password, peer };
    let claimed = accounts.claim(claim).await.map_err(problem)?;
    let reply = ClaimReply { tokens: claimed.tokens, recovery_key: claimed.recovery_key };
    Ok((StatusCode::CREATED, Json(reply)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    name: String,
    password: Zeroizing<String>,
}

async fn login(State(accounts): Shared, connection: ConnectionInfo, Json(body): Json<LoginBody>) -> Reply<Tokens> {
    let login = Login { name: body.name, password: body.password, peer: connection.peer.ip() };
    accounts.login(login).await.map(Json).map_err(problem)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    refresh_token: Zeroizing<String>,
}

async fn refresh(State(accounts): Shared, Json(body): Json<RefreshBody>) -> Reply<Tokens> {
    accounts.refresh(&body.refresh_token).await.map(Json).map_err(problem)
}

async fn logout(State(accounts): Shared, Caller(caller): Caller) -> Result<StatusCode, Problem> {
    accounts.logout(caller.token_id).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn me(Caller(caller): Caller) -> Json<Identity> {
    Json(caller)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    old: Zeroizing<String>,
    new: Zeroizing<String>,
}

async fn change_password(
    State(accounts): Shared,
    connection: ConnectionInfo,
    Caller(caller): Caller,
    Json(body): Json<PasswordBody>,
) -> Reply<Tokens> {
    let peer = connection.peer.ip();
    let change = PasswordChange { name: caller.user, old: body.old, new: body.new, peer };
    accounts.change_password(change).await.map(Json).map_err(problem)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoveryBody {
    password: Zeroizing<String>,
}

#[derive(Serialize)]
struct RecoveryReply {
    recovery_key: Zeroizing<String>,
}

async fn new_recovery_key(
    State(accounts): Shared,
    connection: ConnectionInfo,
    AdminCaller(caller): AdminCaller,
    Json(body): Json<RecoveryBody>,
) -> Reply<RecoveryReply> {
    let login = Login { name: caller.user, password: body.password, peer: connection.peer.ip() };
    let recovery_key = accounts.new_recovery_key(login).await.map_err(problem)?;
    Ok(Json(RecoveryReply { recovery_key }))
}

async fn list(State(accounts): Shared, _admin: AdminCaller) -> Reply<Vec<Account>> {
    accounts.accounts().await.map(Json).map_err(problem)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    name: String,
    password: Zeroizing<String>,
    role: Role,
}

async fn add(
    State(accounts): Shared,
    AdminCaller(caller): AdminCaller,
    Json(body): Json<AccountBody>,
) -> Result<StatusCode, Problem> {
    accounts.add(&caller.user, body.name, body.password, body.role).await.map_err(problem)?;
    Ok(StatusCode::CREATED)
}

async fn remove(
    State(accounts): Shared,
    AdminCaller(caller): AdminCaller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    accounts.remove(&caller.user, &name).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// One change at a time, so that a refused one leaves nothing half done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum AccountChange {
    Role(Role),
    Password(Zeroizing<String>),
}

async fn change(
    State(accounts): Shared,
    AdminCaller(caller): AdminCaller,
    Path(name): Path<String>,
    Json(change): Json<AccountChange>,
) -> Result<StatusCode, Problem> {
    let changed = match change {
        AccountChange::Role(role) => accounts.set_role(&caller.user, &name, role).await,
        AccountChange::Password(password) => accounts.reset_password(&caller.user, &name, password).await,
    };
    changed.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    limit: Option<usize>,
}

async fn audit(
    State(accounts): Shared,
    _admin: AdminCaller,
    Query(query): Query<AuditQuery>,
) -> Reply<Vec<AuditEntry>> {
    accounts.audit(query.limit.unwrap_or(AUDIT_LIMIT)).await.map(Json).map_err(problem)
}

/// The reply to a refused operation. The texts are written for the user; only that of a recovery error has a cause, and
/// that stays in the log.
fn problem(error: AccountError) -> Problem {
    let detail = error.to_string();
    match error {
        AccountError::AlreadyClaimed => Problem::conflict("already_claimed", detail),
        AccountError::Unclaimed => Problem::forbidden("unclaimed", AuthError::Unclaimed.to_string()),
        AccountError::Locked { .. } => Problem::new(StatusCode::LOCKED, "locked", detail),
        AccountError::WrongCode { .. } => Problem::forbidden("code_wrong", detail),
        AccountError::CodeVoid => Problem::forbidden("code_void", detail),
        AccountError::WrongCredentials => Problem::unauthorized("credentials_wrong", detail),
        AccountError::Throttled { retry_after_s } => Problem::too_many_requests("throttled", detail, retry_after_s),
        AccountError::Invalid { .. } => Problem::unprocessable("invalid_value", detail),
        AccountError::Exists { .. } => Problem::conflict("account_exists", detail),
        AccountError::Unknown { .. } => Problem::not_found("no_such_account", detail),
        AccountError::LastAdmin { .. } => Problem::conflict("last_admin", detail),
        AccountError::SessionEnded => Problem::invalid_token("session_ended", detail),
        AccountError::Recovery(_) => Problem::unavailable("recovery_failed", detail),
        AccountError::Unavailable => {
            Problem::unavailable("auth_unavailable", detail).with_retry_after_s(UNAVAILABLE_RETRY_S)
        }
    }
}

#[cfg(test)]
mod tests;
