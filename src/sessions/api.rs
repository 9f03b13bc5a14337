//! The HTTP face of recordings: `/api/sessions`.
//!
//! Uploads follow draft-ietf-httpbis-resumable-upload: `Upload-Offset`, `Upload-Complete`, `PATCH` with
//! `application/partial-upload`. The reply to a `PATCH` comes when every byte of it is durable; a `HEAD` ends a
//! connection that may hang half-dead, and tells where to go on.

mod append;
mod read;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::{get, patch, post},
};
use lucid_http::{Caller, Json, Path, Problem, Query, middleware};
use lucid_kit::{Pool, Slot, Unavailable};
use lucid_ports::{AccountLookup, Chain, Load, Recording, RecordingState, RecordingsError, SessionId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    readers::Readers,
    repository::Repository,
    repository_error::RepositoryError,
    session_api::{Access, SessionApiDeps},
    uploads::{UploadError, Uploads},
};

/// Where the upload goes on, in plaintext bytes.
pub(crate) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Whether the body's end is the recording's end: a boolean of RFC 9651, `?1` or `?0`.
pub(crate) const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
/// Recordings in one list, unless the caller asks for fewer.
const LIST_MAX: usize = 100;

/// What the routes work on. Lent by session-api while it runs.
pub struct ApiState {
    pub(crate) repository: Slot<Repository>,
    pub(crate) uploads: Slot<Uploads>,
    pub(crate) accounts: Arc<dyn AccountLookup>,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) pool: Pool,
    pub(crate) load: watch::Receiver<Load>,
    pub(crate) readers: Readers,
}

type Api = State<Slot<ApiState>>;

impl ApiState {
    pub(crate) fn new(deps: &SessionApiDeps) -> Self {
        Self {
            repository: deps.repository.clone(),
            uploads: deps.uploads.clone(),
            accounts: deps.accounts.clone(),
            chain: deps.chain.clone(),
            pool: deps.pool.clone(),
            load: deps.load.clone(),
            readers: Readers::default(),
        }
    }
}

/// The routes. An `Authenticator` must stand in an extension (`lucid_http::bearer::authenticate_with`).
pub fn routes(api: Slot<ApiState>) -> Router {
    let streams = Router::new()
        .route("/api/sessions/{id}/stream", patch(append::append).head(append::offset))
        .route("/api/sessions/{id}/content", get(read::content))
        .route("/api/sessions/{id}/export", get(read::export))
        .route("/api/sessions/{id}/verify", post(read::verify));
    Router::new()
        .route("/api/sessions", post(create).get(list))
        .route("/api/sessions/{id}", get(describe).delete(delete))
        .merge(middleware::streaming(streams))
        .with_state(api)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    #[serde(default)]
    label: String,
}

async fn create(
    State(api): Api,
    Caller(caller): Caller,
    Json(create): Json<Create>,
) -> Result<impl IntoResponse, Problem> {
    let api = api.get().map_err(unavailable)?;
    let uploads = api.uploads.get().map_err(unavailable)?;
    let id = uploads.begin(&caller, &create.label).await.map_err(upload_problem)?;
    let recording = api.find(&caller, id, Access::Read).map_err(problem)?;
    let location = HeaderValue::try_from(format!("/api/sessions/{id}")).map_err(|error| Problem::internal(&error))?;
    let mut headers = upload_headers(&recording);
    headers.insert(header::LOCATION, location);
    Ok((StatusCode::CREATED, headers, Json(recording)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    before: Option<SessionId>,
}

#[derive(Serialize)]
struct List {
    sessions: Vec<Recording>,
    /// Give it as `before` for the next page.
    next: Option<SessionId>,
}

async fn list(State(api): Api, Caller(caller): Caller, Query(page): Query<Page>) -> Result<Json<List>, Problem> {
    let limit = page.limit.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let sessions = api.get().map_err(unavailable)?.list(&caller, page.before, limit).map_err(problem)?;
    let next = if sessions.len() == limit { sessions.last().map(|last| last.id) } else { None };
    Ok(Json(List { sessions, next }))
}

async fn describe(
    State(api): Api,
    Caller(caller): Caller,
    Path(id): Path<SessionId>,
) -> Result<Json<Recording>, Problem> {
    let recording = api.get().map_err(unavailable)?.find(&caller, id, Access::Read);
    Ok(Json(recording.map_err(problem)?))
}

async fn delete(State(api): Api, Caller(caller): Caller, Path(id): Path<SessionId>) -> Result<StatusCode, Problem> {
    api.get().map_err(unavailable)?.delete(&caller, id).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far the recording is, in the draft's headers.
fn upload_headers(recording: &Recording) -> HeaderMap {
    let complete = if recording.state == RecordingState::Recording { "?0" } else { "?1" };
    HeaderMap::from_iter([
        (UPLOAD_OFFSET, HeaderValue::from(recording.durable_bytes)),
        (UPLOAD_COMPLETE, HeaderValue::from_static(complete)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ])
}

fn unavailable(error: Unavailable) -> Problem {
    Problem::unavailable("service_unavailable", error.to_string()).with_retry_after_s(2)
}

fn problem(error: RecordingsError) -> Problem {
    match error {
        RecordingsError::NotFound(_) => Problem::not_found("no_such_recording", error.to_string()),
        RecordingsError::StillRecording(_) => Problem::conflict("still_recording", error.to_string()),
        RecordingsError::Unavailable(text) => Problem::unavailable("service_unavailable", text).with_retry_after_s(2),
    }
}

pub(crate) fn upload_problem(error: UploadError) -> Problem {
    let text = error.to_string();
    match error {
        UploadError::Label => Problem::bad_request("bad_label", text),
        UploadError::WrongOffset { expected, .. } => {
            Problem::conflict("mismatching_upload_offset", text).with_header(UPLOAD_OFFSET, HeaderValue::from(expected))
        }
        UploadError::Complete(_) => Problem::conflict("completed_upload", text),
        // It was ended while it was attached.
        UploadError::Repository(RepositoryError::WrongState { id, .. }) => {
            Problem::conflict("completed_upload", UploadError::Complete(id).to_string())
        }
        UploadError::TooLong => Problem::payload_too_large("recording_too_long", text),
        UploadError::Superseded => Problem::conflict("superseded_upload", text),
        UploadError::TooMany(_) => Problem::unavailable("too_many_uploads", text).with_retry_after_s(10),
        UploadError::DiskFull => Problem::insufficient_storage("disk_full", text),
        UploadError::StorageGone(_) => Problem::unavailable("storage_not_usable", text).with_retry_after_s(10),
        UploadError::Unavailable(error) => unavailable(error),
        UploadError::Interrupted => Problem::unavailable("upload_interrupted", text).with_retry_after_s(1),
        UploadError::Repository(error) if error.is_disk_full() => {
            Problem::insufficient_storage("disk_full", UploadError::DiskFull.to_string())
        }
        UploadError::Repository(error @ RepositoryError::TooManyOpen) => {
            Problem::conflict("too_many_open", error.to_string())
        }
        UploadError::Repository(RepositoryError::NotFound(id)) => {
            Problem::not_found("no_such_recording", RecordingsError::NotFound(id).to_string())
        }
        UploadError::Chunk(_) | UploadError::Pool(_) | UploadError::Repository(_) => Problem::internal(&error),
    }
}
