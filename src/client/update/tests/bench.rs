//! A small appliance that takes bundles and misbehaves on request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bench::credentials;
use crate::{Client, CredentialStore, Server};

/// Bytes are safe in steps of this size, as in pieces.
pub(super) const STEP: usize = 100_000;

/// What a bundle's reception does instead of succeeding.
#[derive(Clone, Debug)]
pub(super) enum Upset {
    /// Cuts the connection after this many bytes.
    CutAfter(usize),
    /// The same, and tells in the status why.
    RefuseAfter(usize, &'static str),
    /// Answers with this status and code without reading.
    Status(u16, &'static str),
    /// Answers as if a former transfer of the same bundle went on, which then ends.
    StillBusy,
    /// Takes everything, and still misses bytes.
    Short,
}

#[derive(Default)]
pub(super) struct World {
    access: String,
    /// What names the bundle that is under way.
    pub(super) bundle: String,
    pub(super) safe: Vec<u8>,
    pub(super) phase: &'static str,
    pub(super) active: bool,
    pub(super) bundle_bytes: usize,
    pub(super) problem: Option<&'static str>,
    /// What is under way instead of ours.
    pub(super) other: Option<Value>,
    pub(super) no_agent: bool,
    pub(super) upsets: VecDeque<Upset>,
    /// Offsets of all bundles that came with a good token.
    pub(super) posts: Vec<u64>,
    pub(super) orders: Vec<(String, Value)>,
    pub(super) wants_sign_in: bool,
    /// What the next questions are answered with; none cuts the connection.
    pub(super) script: VecDeque<Option<Value>>,
    /// What the last one of them said is said for ever.
    pub(super) last: Option<Option<Value>>,
}

type Shared = Arc<Mutex<World>>;

pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) store: CredentialStore,
    folder: tempfile::TempDir,
    world: Shared,
    _serving: tokio_util::task::AbortOnDropHandle<()>,
}

impl Bench {
    /// One with nothing under way, and a log-in to it.
    pub(super) async fn new() -> Self {
        let world = Arc::new(Mutex::new(World { access: "access-0".into(), phase: "idle", ..World::default() }));
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let server: Server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = router(Arc::clone(&world));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let store = CredentialStore::new(folder.path().join("lucid"));
        store.save(&server, &credentials(&server)).unwrap();
        Self { server, store, folder, world, _serving: tokio_util::task::AbortOnDropHandle::new(serving) }
    }

    pub(super) fn client(&self) -> Client {
        Client::open(self.store.clone(), self.server.clone()).unwrap()
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn router(world: Shared) -> Router {
    let guarded = Router::new()
        .route("/api/update/status", get(status))
        .route("/api/update/bundle", post(bundle))
        .route("/api/update/{order}", post(order))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&world), guard));
    guarded.route("/api/auth/login", post(login)).with_state(world)
}

fn problem(status: u16, code: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let body = json!({ "title": "no", "code": code, "detail": format!("because of {code}") });
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
    let mut world = world.lock().unwrap();
    world.access = "access-fresh".into();
    world.wants_sign_in = false;
    Json(json!({ "access_token": world.access, "refresh_token": "r", "expires_in_s": 900, "role": "admin" }))
        .into_response()
}

fn told(world: &World) -> Value {
    if world.no_agent {
        return json!({ "agent": null, "agent_problem": "there is none" });
    }
    let incoming = json!({ "version": "1.3.0", "build_id": "", "bundle": world.bundle, "slot": "b", "notes": "" });
    let ours = json!({ "phase": world.phase, "incoming": incoming, "offset": world.safe.len(),
                       "bundle_bytes": world.bundle_bytes, "active": world.active, "checked_bytes": 1, "of_bytes": 2 });
    let transfer = world.problem.map(|problem| json!({ "source": "upload", "active": false, "problem": problem }));
    json!({ "agent": { "phase": world.other.clone().unwrap_or(ours) }, "transfer": transfer })
}

async fn status(State(world): State<Shared>) -> Response {
    let mut world = world.lock().unwrap();
    let next = world.script.pop_front().or_else(|| world.last.clone());
    match next {
        Some(Some(value)) => {
            world.last = Some(Some(value.clone()));
            Json(value).into_response()
        }
        Some(None) => {
            world.last = Some(None);
            drop(world);
            cut()
        }
        None => {
            let told = told(&world);
            // Reading back takes one look.
            if world.phase == "checking" {
                world.phase = "written";
            }
            Json(told).into_response()
        }
    }
}

async fn order(State(world): State<Shared>, Path(order): Path<String>, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    if world.wants_sign_in {
        return problem(403, "sign-in-again");
    }
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    world.orders.push((order, body));
    (StatusCode::ACCEPTED, Json(told(&world))).into_response()
}

#[derive(Deserialize)]
struct Part {
    offset: u64,
    bundle: String,
}

async fn bundle(State(world): State<Shared>, Query(part): Query<Part>, headers: HeaderMap, body: Body) -> Response {
    assert_eq!(headers["content-type"], "application/octet-stream");
    let upset = {
        let mut world = world.lock().unwrap();
        if world.wants_sign_in {
            return problem(403, "sign-in-again");
        }
        world.posts.push(part.offset);
        // Whoever sent before is dead by now.
        world.active = false;
        if world.bundle != part.bundle {
            world.safe.clear();
        }
        if part.offset != world.safe.len() as u64 {
            return problem(409, "wrong_offset");
        }
        world.bundle = part.bundle;
        world.problem = None;
        world.phase = "writing";
        world.upsets.pop_front()
    };
    match upset {
        Some(Upset::Status(status, code)) => return problem(status, code),
        Some(Upset::StillBusy) => {
            world.lock().unwrap().active = true;
            return problem(409, "busy");
        }
        _ => {}
    }
    receive(&world, body, upset.as_ref()).await;
    let mut world = world.lock().unwrap();
    world.phase = if matches!(upset, Some(Upset::Short)) { "writing" } else { "checking" };
    Json(told(&world)).into_response()
}

/// Takes the bytes; does not return where the connection is to be cut.
async fn receive(world: &Shared, body: Body, upset: Option<&Upset>) {
    let mut body = body.into_data_stream();
    let (mut pending, mut received) = (Vec::new(), 0);
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else { cut() };
        received += piece.len();
        pending.extend_from_slice(&piece);
        let whole = pending.len() / STEP * STEP;
        world.lock().unwrap().safe.extend(pending.drain(..whole));
        match upset {
            Some(Upset::CutAfter(bytes)) if received >= *bytes => cut(),
            Some(Upset::RefuseAfter(bytes, why)) if received >= *bytes => {
                let mut world = world.lock().unwrap();
                world.safe.clear();
                world.problem = Some(why);
                drop(world);
                cut()
            }
            _ => {}
        }
    }
    world.lock().unwrap().safe.append(&mut pending);
}
