//! The test bench: a small server that speaks the API and misbehaves on request, and a console that remembers.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Client, Console, CredentialStore, Credentials, Patience, Server};

/// Waits that keep tests quick; the limits are far beyond what any test needs unless it says otherwise.
pub(crate) fn patience() -> Patience {
    Patience {
        no_progress_max: Duration::from_secs(60),
        pause_min: Duration::from_millis(1),
        pause_max: Duration::from_millis(10),
        poll: Duration::from_millis(5),
        silence_max: Duration::from_secs(30),
        standstill_max: Duration::from_secs(30),
    }
}

/// What a PATCH does instead of succeeding.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upset {
    /// Cuts the connection after this many bytes.
    CutAfter(usize),
    /// Takes everything, makes it durable, and cuts the connection before the answer.
    CutBeforeAnswer,
    /// Answers with this status without reading.
    Status(u16),
    /// Reads nothing and never answers.
    Hang,
}

/// One recording on the bench.
#[derive(Default)]
pub(crate) struct Recording {
    pub(crate) label: String,
    pub(crate) durable: Vec<u8>,
    pub(crate) complete: bool,
    pub(crate) state: Option<&'static str>,
    /// How many chunks it claims to have.
    pub(crate) chunks: u64,
}

/// What a GET of the content does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Serve {
    /// Cuts the reply after this many bytes.
    CutAfter(usize),
    /// Ends the reply, as if complete, after this many bytes.
    EndAfter(usize),
    /// Sends everything, whatever range was asked for.
    IgnoreRange,
    /// Answers with another range.
    WrongRange,
    /// Sends more than there is.
    TooMuch,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) id: Uuid,
    pub(crate) recording: Recording,
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) refreshes: usize,
    pub(crate) upsets: VecDeque<Upset>,
    pub(crate) serves: VecDeque<Serve>,
    /// Offsets of all PATCH requests that came with a good token.
    pub(crate) patches: Vec<u64>,
    /// `Range` of all requests for content.
    pub(crate) ranges: Vec<String>,
    /// Makes GET of a session fail with this status.
    pub(crate) session_status: Option<u16>,
    /// The archive of an export, and the checkpoint it was asked for with.
    pub(crate) archive: Vec<u8>,
    pub(crate) checkpoint: Option<String>,
    pub(crate) logged_out: bool,
    /// What a backup sends, piece by piece; an error cuts it.
    pub(crate) backup: Vec<Result<Vec<u8>, &'static str>>,
    /// The path of a consistency proof, and the query it was asked for with.
    pub(crate) path: Vec<String>,
    pub(crate) sizes: String,
}

/// Bytes become durable in steps of this size while they come, as in chunks.
pub(crate) const STEP: usize = 1000;

type Shared = Arc<Mutex<World>>;

pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) store: CredentialStore,
    pub(crate) folder: tempfile::TempDir,
    world: Shared,
    _serving: tokio_util::task::AbortOnDropHandle<()>,
}

impl Bench {
    /// A server with one empty recording, and a login to it.
    pub(crate) async fn new() -> Self {
        let world =
            World { id: Uuid::now_v7(), access: "access-0".into(), refresh: "refresh-0".into(), ..World::default() };
        let world = Arc::new(Mutex::new(world));
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let server: Server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = router(Arc::clone(&world));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let store = CredentialStore::new(folder.path().join("lucid"));
        store.save(&server, &credentials(&server)).unwrap();
        Self { server, store, folder, world, _serving: tokio_util::task::AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::open(self.store.clone(), self.server.clone()).unwrap()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn id(&self) -> Uuid {
        self.world().id
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Names in the folder besides the credentials.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lucid");
        names.sort();
        names
    }
}

pub(crate) fn credentials(server: &Server) -> Credentials {
    Credentials {
        server: server.to_string(),
        name: "ada".into(),
        role: "user".into(),
        pinned: None,
        access_token: String::from("access-0").into(),
        refresh_token: String::from("refresh-0").into(),
    }
}

fn router(world: Shared) -> Router {
    let guarded = Router::new()
        .route("/api/sessions", post(create).get(list))
        .route("/api/sessions/{id}", get(session).delete(delete))
        .route("/api/sessions/{id}/stream", axum::routing::patch(patch).head(head))
        .route("/api/sessions/{id}/content", get(content))
        .route("/api/sessions/{id}/export", get(export))
        .route("/api/chain/checkpoint", get(|| async { "checkpoint\n" }))
        .route("/api/chain/consistency", get(consistency))
        .route("/api/backup", get(backup))
        .route("/api/auth/logout", post(logout))
        .layer(from_fn_with_state(Arc::clone(&world), guard));
    let open = Router::new().route("/api/auth/login", post(login)).route("/api/auth/refresh", post(refresh));
    guarded.merge(open).with_state(world)
}

fn problem(status: u16, code: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let body =
        json!({ "title": "no", "status": status.as_u16(), "code": code, "detail": format!("because of {code}") });
    (status, [("content-type", "application/problem+json")], body.to_string()).into_response()
}

/// Ends the connection as a crash would, without a word in the test's output.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("cut"))
}

async fn guard(State(world): State<Shared>, request: Request, next: Next) -> Response {
    let expected = format!("Bearer {}", world.lock().unwrap().access);
    match request.headers().get("authorization") {
        Some(token) if *token == *expected => next.run(request).await,
        _ => problem(401, "token_invalid"),
    }
}

async fn login(State(world): State<Shared>, Json(body): Json<Value>) -> Response {
    if body != json!({ "name": "ada", "password": "correct horse" }) {
        return problem(401, "login_failed");
    }
    tokens(&world.lock().unwrap())
}

fn tokens(world: &World) -> Response {
    Json(json!({ "access_token": world.access, "refresh_token": world.refresh, "expires_in_s": 900, "role": "admin" }))
        .into_response()
}

async fn refresh(State(world): State<Shared>, Json(body): Json<Value>) -> Response {
    let mut world = world.lock().unwrap();
    if body["refresh_token"] != *world.refresh {
        return problem(401, "token_invalid");
    }
    world.refreshes += 1;
    world.access = format!("access-{}", world.refreshes);
    world.refresh = format!("refresh-{}", world.refreshes);
    tokens(&world)
}

async fn logout(State(world): State<Shared>) -> StatusCode {
    world.lock().unwrap().logged_out = true;
    StatusCode::NO_CONTENT
}

async fn create(State(world): State<Shared>, Json(body): Json<Value>) -> Response {
    let mut world = world.lock().unwrap();
    world.recording.label = body["label"].as_str().unwrap().to_owned();
    let location = format!("/api/sessions/{}", world.id);
    (StatusCode::CREATED, [("location", location), ("upload-offset", "0".to_owned())]).into_response()
}

fn describe(world: &World) -> Value {
    let recording = &world.recording;
    let state = recording.state.unwrap_or(if recording.complete { "anchored" } else { "recording" });
    let bytes = recording.durable.len();
    json!({ "id": world.id, "label": recording.label, "state": state, "bytes": bytes, "durable_bytes": bytes,
            "chunks": recording.chunks, "started_ms": 0, "ended_ms": null, "root": null, "block_height": 7, "later": 1 })
}

async fn session(State(world): State<Shared>, Path(id): Path<Uuid>) -> Response {
    let world = world.lock().unwrap();
    match world.session_status {
        Some(status) => problem(status, "upset"),
        None if id != world.id => problem(404, "session_unknown"),
        None => Json(describe(&world)).into_response(),
    }
}

/// Five recordings in pages of at most two, named by their place.
async fn list(State(world): State<Shared>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let value = |name: &str| query.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok());
    let from: usize = value("before").unwrap_or(0);
    let to = (from + value("limit").unwrap_or(2).min(2)).min(5);
    let mut page = Vec::new();
    for place in from..to {
        let mut session = describe(&world.lock().unwrap());
        session["label"] = json!(place.to_string());
        page.push(session);
    }
    Json(json!({ "sessions": page, "next": (to < 5).then(|| to.to_string()) })).into_response()
}

async fn delete(State(world): State<Shared>, Path(id): Path<Uuid>) -> Response {
    if id == world.lock().unwrap().id {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(404, "session_unknown")
    }
}

fn offset_headers(world: &World) -> [(&'static str, String); 2] {
    let complete = if world.recording.complete { "?1" } else { "?0" };
    [("upload-offset", world.recording.durable.len().to_string()), ("upload-complete", complete.to_owned())]
}

async fn head(State(world): State<Shared>, Path(id): Path<Uuid>) -> Response {
    let world = world.lock().unwrap();
    if id != world.id {
        return problem(404, "session_unknown");
    }
    (StatusCode::NO_CONTENT, offset_headers(&world)).into_response()
}

async fn patch(State(world): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    let offset: u64 = headers["upload-offset"].to_str().unwrap().parse().unwrap();
    let last = headers["upload-complete"] == "?1";
    assert!(last || headers["upload-complete"] == "?0");
    assert_eq!(headers["content-type"], "application/partial-upload");
    let upset = {
        let mut world = world.lock().unwrap();
        world.patches.push(offset);
        if offset != world.recording.durable.len() as u64 {
            return (offset_headers(&world), problem(409, "mismatching_upload_offset")).into_response();
        }
        world.upsets.pop_front()
    };
    match upset {
        Some(Upset::Status(status)) => return problem(status, "upset"),
        Some(Upset::Hang) => std::future::pending().await,
        _ => {}
    }
    let mut body = body.into_data_stream();
    let (mut pending, mut received) = (Vec::new(), 0);
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else { cut() };
        received += piece.len();
        pending.extend_from_slice(&piece);
        let whole = pending.len() / STEP * STEP;
        world.lock().unwrap().recording.durable.extend(pending.drain(..whole));
        if matches!(upset, Some(Upset::CutAfter(bytes)) if received >= bytes) {
            cut();
        }
    }
    let mut world = world.lock().unwrap();
    world.recording.durable.append(&mut pending);
    world.recording.complete = last;
    if matches!(upset, Some(Upset::CutBeforeAnswer)) {
        drop(world);
        cut();
    }
    (StatusCode::NO_CONTENT, offset_headers(&world)).into_response()
}

async fn content(State(world): State<Shared>, headers: HeaderMap) -> Response {
    let mut world = world.lock().unwrap();
    let range = headers["range"].to_str().unwrap().to_owned();
    let from: usize = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')).unwrap().parse().unwrap();
    world.ranges.push(range);
    let all = world.recording.durable.clone();
    let total = all.len();
    let content_range = |from: usize| [("content-range", format!("bytes {from}-{}/{total}", total - 1))];
    let partial = |body: Body| (StatusCode::PARTIAL_CONTENT, content_range(from), body).into_response();
    let cut_at = |bytes: usize| all[from..].iter().copied().take(bytes).collect::<Vec<u8>>();
    match world.serves.pop_front() {
        None => partial(Body::from(cut_at(total))),
        Some(Serve::CutAfter(bytes)) => {
            let pieces = [Ok(cut_at(bytes)), Err(std::io::Error::other("cut"))];
            partial(Body::from_stream(futures_util::stream::iter(pieces).then(|piece| async {
                // Lets the bytes reach the client before the cut.
                tokio::task::yield_now().await;
                piece
            })))
        }
        Some(Serve::EndAfter(bytes)) => partial(Body::from(cut_at(bytes))),
        Some(Serve::IgnoreRange) => all.into_response(),
        Some(Serve::WrongRange) => {
            (StatusCode::PARTIAL_CONTENT, content_range(from + 1), all[from + 1..].to_vec()).into_response()
        }
        Some(Serve::TooMuch) => partial(Body::from([&all[from..], b"more"].concat())),
    }
}

async fn export(State(world): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut world = world.lock().unwrap();
    world.checkpoint = query.get("checkpoint").cloned();
    world.archive.clone().into_response()
}

async fn backup(State(world): State<Shared>) -> Body {
    let pieces = world.lock().unwrap().backup.clone();
    Body::from_stream(futures_util::stream::iter(pieces).then(|piece| async {
        // Lets the bytes before a cut reach the client.
        tokio::task::yield_now().await;
        piece
    }))
}

async fn consistency(State(world): State<Shared>, RawQuery(query): RawQuery) -> Json<Value> {
    let mut world = world.lock().unwrap();
    world.sizes = query.unwrap_or_default();
    Json(json!({ "old": 3, "new": 8, "path": world.path }))
}

/// Remembers what was said, and answers as told.
#[derive(Default)]
pub(crate) struct Words {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) answer: Option<bool>,
    pub(crate) terminal: bool,
}

impl Words {
    pub(crate) fn all(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}

impl Console for Words {
    fn line(&self, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }

    fn is_terminal(&self) -> bool {
        self.terminal
    }

    fn confirm(&self, question: &str) -> Option<bool> {
        self.line(question);
        self.answer
    }
}
