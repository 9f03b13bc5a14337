//! What the tests of this crate share: disks that outlive their owner, a chain that really proves, and the routes.

mod chain;
mod crashes;
mod memory;
mod proving;
mod reading;
mod refusals;
mod services;
mod shredding;
mod sockets;
mod uploading;

use std::{fs, io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use lucid_device::FakeClock;
use lucid_kit::{Lease, Pool, slot};
use lucid_ports::{
    AccountId, AccountLookup, AccountState, AuthError, Authenticator, Identity, Load, Recording, RecordingState, Role,
    SessionId, Storage,
};
use lucid_vault::Vault;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) use chain::TestChain;

use crate::{
    ApiState, PipelineConfig, Progress, Repository, RepositoryError, SessionApiDeps, Uploads, routes, session_api,
};

/// 2026-01-31T12:00:00Z.
pub(crate) const NOON_MS: u64 = 1_769_860_800_000;
/// Chunks are small here, so that a few kilobytes are a recording of many.
pub(crate) const CHUNK: usize = 1000;
/// What has not come by then never comes: a test that waits in vain fails here and not in some runner's time-out.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The boot disk and the data disk of one appliance.
pub(crate) struct Disks {
    pub(crate) dir: TempDir,
}

impl Disks {
    pub(crate) fn new() -> Self {
        let disks = Self { dir: tempfile::tempdir().unwrap() };
        for dir in [disks.state(), disks.data().join("session-storage")] {
            fs::create_dir_all(dir).unwrap();
        }
        disks
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn vault(&self) -> Vault {
        Vault::open(&self.state(), &self.data()).unwrap()
    }

    pub(crate) fn open(&self) -> Result<Repository, RepositoryError> {
        Repository::open(&self.data().join("session-storage"), self.vault())
    }

    pub(crate) fn chunk_dir(&self, id: SessionId) -> PathBuf {
        self.data().join("session-storage/chunks").join(id.to_string())
    }

    /// The file of one chunk.
    pub(crate) fn chunk_file(&self, id: SessionId, index: u64) -> PathBuf {
        self.chunk_dir(id).join(format!("{index:020}.blob"))
    }

    /// How many chunk files a recording has.
    pub(crate) fn chunk_files(&self, id: SessionId) -> u64 {
        fs::read_dir(self.chunk_dir(id)).map_or(0, Iterator::count) as u64
    }
}

/// All files below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Whether some file below `dir` holds these bytes anywhere.
pub(crate) fn on_disk(dir: &Path, needle: &[u8]) -> bool {
    files(dir).iter().any(|path| fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle))
}

/// What is around the sessions of one appliance; outlives their services.
pub(crate) struct World {
    pub(crate) disks: Disks,
    pub(crate) chain: Arc<TestChain>,
    pub(crate) removed: Removed,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) storage: watch::Sender<Storage>,
    pub(crate) load: watch::Sender<Load>,
    pub(crate) pool: Pool,
    pub(crate) config: PipelineConfig,
    _background_allowed: watch::Sender<bool>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (background_allowed, allowed) = watch::channel(true);
        Self {
            disks: Disks::new(),
            chain: Arc::new(TestChain::new()),
            removed: Removed::default(),
            clock: Arc::new(FakeClock::new(NOON_MS)),
            storage: watch::channel(ready(false)).0,
            load: watch::channel(Load::Full).0,
            pool: Pool::new(allowed).unwrap(),
            config: PipelineConfig {
                chunk_bytes: CHUNK,
                // No test waits for it; those about it set it.
                chunk_age: Duration::from_secs(3600),
                level: 3,
                uploads_max: 4,
                idle_max: Duration::from_secs(60),
            },
            _background_allowed: background_allowed,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress::new(Arc::new(self.chain.signer()), self.chain.clone())
    }

    /// Opens the repository and lends it, without services around it.
    pub(crate) fn start(&self) -> Running {
        self.start_on(Arc::new(self.disks.open().unwrap()))
    }

    pub(crate) fn start_on(&self, repository: Arc<Repository>) -> Running {
        let (repository_lender, repository_slot) = slot("session-storage");
        let (uploads_lender, uploads_slot) = slot("session-pipeline");
        let (api_lender, api_slot) = slot("session-api");
        let uploads = Arc::new(Uploads::new(
            self.config,
            repository_slot.clone(),
            self.pool.clone(),
            self.clock.clone(),
            self.storage.subscribe(),
            self.progress(),
            CancellationToken::new(),
        ));
        let deps = SessionApiDeps {
            repository: repository_slot,
            uploads: uploads_slot,
            accounts: Arc::new(self.removed.clone()),
            chain: self.chain.clone(),
            pool: self.pool.clone(),
            load: self.load.subscribe(),
            api: api_lender.clone(),
        };
        let api = Arc::new(ApiState::new(&deps));
        let leases = (
            repository_lender.lend(repository.clone()),
            uploads_lender.lend(uploads.clone()),
            api_lender.lend(api.clone()),
        );
        Running { client: Client(app(routes(api_slot))), repository, uploads, api, leases }
    }
}

/// A data disk that can be used.
pub(crate) fn ready(low: bool) -> Storage {
    Storage::Ready { root: PathBuf::from("/"), free_bytes: 1 << 40, low }
}

/// `routes` behind an authenticator that takes `NAME.ROLE` for a token.
pub(crate) fn app(routes: Router) -> Router {
    routes.layer(lucid_http::bearer::authenticate_with(Arc::new(Names)))
}

struct Names;

impl Authenticator for Names {
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        let (user, role) = bearer.split_once('.').ok_or(AuthError::Invalid)?;
        let role = match role {
            "user" => Role::User,
            "developer" => Role::Developer,
            "admin" => Role::Admin,
            _ => return Err(AuthError::Invalid),
        };
        Ok(identity(user, role))
    }
}

/// The accounts that were removed.
#[derive(Clone, Default)]
pub(crate) struct Removed(pub(crate) Arc<std::sync::Mutex<Vec<AccountId>>>);

impl AccountLookup for Removed {
    fn account_state(&self, account: AccountId) -> AccountState {
        if self.0.lock().unwrap().contains(&account) { AccountState::Removed } else { AccountState::Present }
    }
}

/// The repository, the uploads and the routes of one start.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) repository: Arc<Repository>,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) api: Arc<ApiState>,
    leases: (Lease<Repository>, Lease<Uploads>, Lease<ApiState>),
}

impl Running {
    /// Ends all in order, so that the disks can be opened again.
    pub(crate) async fn stop(self) {
        self.uploads.close().await;
        let repository = self.repository;
        drop((self.leases, self.uploads, self.api, self.client));
        until("the repository is let go of", || Arc::strong_count(&repository) == 1).await;
    }

    /// A recording of alice with these bytes, uploaded whole.
    pub(crate) async fn recorded(&self, bytes: &[u8]) -> SessionId {
        let id = self.client.create("alice.user", "a label").await;
        let reply = self.client.append("alice.user", id, 0, "?1", bytes.to_vec()).await;
        assert_eq!((reply.status, reply.header("upload-complete")), (StatusCode::NO_CONTENT, "?1"), "{reply:?}");
        id
    }

    /// As [`Running::recorded`], and anchored in a block.
    pub(crate) async fn anchored(&self, world: &World, bytes: &[u8]) -> SessionId {
        let id = self.recorded(bytes).await;
        let progress = world.progress();
        while progress.advance(&self.repository, id).await.unwrap() != RecordingState::Anchored {
            world.chain.produce();
        }
        id
    }

    /// Waits until so many bytes of a recording are durable.
    pub(crate) async fn durable(&self, id: SessionId, bytes: u64) {
        until("the bytes are durable", || self.repository.get(id).unwrap().durable_bytes == bytes).await;
    }

    /// A recording as the repository tells it.
    pub(crate) fn row(&self, id: SessionId) -> Recording {
        self.repository.get(id).unwrap()
    }
}

/// Waits for a state that others bring about.
pub(crate) async fn until(what: &str, right: impl Fn() -> bool) {
    let waiting = async {
        while !right() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(WAIT_MAX, waiting).await.is_ok(), "waited in vain until {what}");
}

/// Calls the routes without a socket.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) Router);

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The status and the code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        (self.status.as_u16(), self.json()["code"].as_str().unwrap().to_owned())
    }
}

impl Client {
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let reply = async {
            let (parts, body) = self.0.clone().oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Reply { status: parts.status, headers: parts.headers, body }
        };
        tokio::time::timeout(WAIT_MAX, reply).await.expect("a reply")
    }

    /// A request without a body.
    pub(crate) async fn call(&self, who: &str, method: Method, path: &str) -> Reply {
        self.send(request(who, method, path, &[], Body::empty())).await
    }

    pub(crate) async fn get(&self, who: &str, path: &str) -> Reply {
        self.call(who, Method::GET, path).await
    }

    pub(crate) async fn try_create(&self, who: &str, json: &str) -> Reply {
        let headers = [("content-type", "application/json")];
        self.send(request(who, Method::POST, "/api/sessions", &headers, Body::from(json.to_owned()))).await
    }

    pub(crate) async fn create(&self, who: &str, label: &str) -> SessionId {
        let reply = self.try_create(who, &serde_json::json!({ "label": label }).to_string()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// Appends `body` at `offset`; `complete` is the value of `Upload-Complete`.
    pub(crate) async fn append(
        &self,
        who: &str,
        id: SessionId,
        offset: u64,
        complete: &str,
        body: impl Into<Body>,
    ) -> Reply {
        self.send(append(who, id, offset, complete, body.into())).await
    }

    /// What `HEAD` says: the durable bytes, and whether the recording is complete.
    pub(crate) async fn offset(&self, who: &str, id: SessionId) -> (u64, String) {
        let reply = self.call(who, Method::HEAD, &format!("/api/sessions/{id}/stream")).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
        (reply.header("upload-offset").parse().unwrap(), reply.header("upload-complete").to_owned())
    }

    pub(crate) async fn content(&self, who: &str, id: SessionId) -> Reply {
        self.get(who, &format!("/api/sessions/{id}/content")).await
    }
}

/// A request with a token.
pub(crate) fn request(who: &str, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {who}"));
    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(body).unwrap()
}

pub(crate) fn append(who: &str, id: SessionId, offset: u64, complete: &str, body: Body) -> Request<Body> {
    let headers = [
        ("content-type", "application/partial-upload"),
        ("upload-offset", &offset.to_string()),
        ("upload-complete", complete),
    ];
    request(who, Method::PATCH, &format!("/api/sessions/{id}/stream"), &headers, body)
}

/// A body that a test feeds by hand. Dropping the sender ends it; sending an error breaks it.
pub(crate) fn live_body() -> (mpsc::Sender<io::Result<Bytes>>, Body) {
    let (sender, mut pieces) = mpsc::channel(1);
    (sender, Body::from_stream(futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx))))
}

/// Starts an upload by alice that a test feeds by hand.
pub(crate) fn attach(client: &Client, id: SessionId, offset: u64) -> (mpsc::Sender<io::Result<Bytes>>, Uploading) {
    let (sender, body) = live_body();
    let (client, request) = (client.clone(), append("alice.user", id, offset, "?0", body));
    (sender, tokio::spawn(async move { client.send(request).await }))
}

pub(crate) type Uploading = tokio::task::JoinHandle<Reply>;

/// A connection that has broken.
pub(crate) fn broken() -> io::Result<Bytes> {
    Err(io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke"))
}

/// Bytes that look like the screen of a session: some repetition, no two kilobytes alike.
pub(crate) fn stream_of(seed: u64, bytes: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut stream = Vec::with_capacity(bytes + 64);
    while stream.len() < bytes {
        let length = rng.usize(1..64);
        match rng.bool() {
            true => stream.extend(std::iter::repeat_n(rng.u8(..), length)),
            false => stream.extend(std::iter::repeat_with(|| rng.u8(..)).take(length)),
        }
    }
    stream.truncate(bytes);
    stream
}

/// The account that a name stands for: its own bytes. `alice+2` is a later account that is called alice, too.
pub(crate) fn account(name: &str) -> AccountId {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    AccountId::from_bytes(bytes)
}

/// Somebody.
pub(crate) fn identity(name: &str, role: Role) -> Identity {
    let user = name.split('+').next().unwrap().to_owned();
    Identity { account: account(name), user, role, token_id: uuid::Uuid::nil(), auth_age_s: 0 }
}

#[test]
fn who_may_do_what() {
    use session_api::{Access, allowed};
    let cases = [
        ("alice", Role::User, true, true),
        ("bob", Role::User, false, false),
        ("bob", Role::Developer, true, false),
        ("bob", Role::Admin, true, true),
        ("Alice", Role::User, false, false),
        ("alice+2", Role::User, false, false),
        ("alice+2", Role::Developer, true, false),
        ("", Role::User, false, false),
    ];
    for (user, role, reads, writes) in cases {
        let caller = identity(user, role);
        let found =
            (allowed(&caller, account("alice"), Access::Read), allowed(&caller, account("alice"), Access::Write));
        assert_eq!(found, (reads, writes), "{user} {role:?}");
    }
}
