//! Ports that answer from memory, and a browser that keeps cookies.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{Request, Response, header},
};
use http_body_util::BodyExt;
use lucid_device::{Device, FakeClock, Simulated};
use lucid_http::ConnectionInfo;
use lucid_observe::{Level, LevelFilter, Line, Value};
use lucid_ports::*;
use lucid_proof::{
    block::{Block, Genesis},
    hash::Hash,
    note::VerifierKey,
};
use tokio::sync::watch;
use tower::ServiceExt;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::{Logs, Pages, PaymentsPlane, View, routes};
use crate::{AgentLink, AgentView, Boot, UpdateStatus, Updates};

pub(super) const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
pub(super) const NOW_MS: u64 = 1_700_000_000_000;

/// What the fakes remember. A token is `kind:user:number`.
#[derive(Default)]
pub(super) struct World {
    pub(super) claimed: bool,
    pub(super) away: bool,
    pub(super) locked: Option<String>,
    pub(super) expired: Vec<String>,
    pub(super) revoked: Vec<Uuid>,
    pub(super) refreshed: Vec<String>,
    pub(super) accounts: Vec<Account>,
    pub(super) notes: Vec<AuditEntry>,
    pub(super) recordings: Vec<Recording>,
    pub(super) uploads: Vec<(String, Result<Vec<u8>, String>)>,
    pub(super) levels: Vec<(String, LevelFilter)>,
    pub(super) slow_chain: bool,
    /// The data disk is another appliance's.
    pub(super) foreign: Option<super::takeover::Foreign>,
    pub(super) issued: u64,
}

#[derive(Clone, Default)]
pub(super) struct Fakes(pub(super) Arc<Mutex<World>>);

impl Fakes {
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    fn tokens(&self, user: &str, role: Role) -> Tokens {
        let number = self.with(|world| {
            world.issued += 1;
            world.issued
        });
        let word = super::super::format::role(role);
        let token = |kind: &str| format!("{kind}:{user}:{word}:{number}");
        Tokens { access_token: token("access"), refresh_token: token("refresh"), expires_in_s: 900, role }
    }
}

fn parse(token: &str) -> Option<(&str, Role, u64)> {
    let mut parts = token.split(':').skip(1);
    Some((parts.next()?, super::super::format::parse_role(parts.next()?)?, parts.next()?.parse().ok()?))
}

impl Authenticator for Fakes {
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        let (user, role, number) = parse(bearer).filter(|_| bearer.starts_with("access:")).ok_or(AuthError::Invalid)?;
        let token_id = Uuid::from_u128(u128::from(number));
        self.with(|world| match world {
            World { away: true, .. } => Err(AuthError::Unavailable),
            World { revoked, .. } if revoked.contains(&token_id) => Err(AuthError::Revoked),
            World { expired, .. } if expired.iter().any(|token| token == bearer) => Err(AuthError::Expired),
            _ => Ok(Identity { account: account_of(user), user: user.to_owned(), role, token_id, auth_age_s: 0 }),
        })
    }
}

#[async_trait]
impl Accounts for Fakes {
    fn claimed(&self) -> Result<bool, AccountError> {
        self.with(|world| match &world.locked {
            _ if world.away => Err(AccountError::Unavailable),
            Some(reason) if !world.claimed => Err(AccountError::Locked { reason: reason.clone() }),
            _ => Ok(world.claimed),
        })
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed, AccountError> {
        if self.claimed()? {
            return Err(AccountError::AlreadyClaimed);
        }
        if *claim.code != "RIGHT-CODE" {
            return Err(AccountError::WrongCode { tries_left: 9 });
        }
        self.with(|world| world.claimed = true);
        let recovery_key = Zeroizing::new("AGE-SECRET-KEY-1EXAMPLE".to_owned());
        Ok(Claimed { tokens: self.tokens(&claim.name, Role::Admin), recovery_key })
    }

    async fn login(&self, login: Login) -> Result<Tokens, AccountError> {
        match (login.name.as_str(), login.password.as_str()) {
            (_, "throttle me") => Err(AccountError::Throttled { retry_after_s: 7 }),
            ("ada", "correct horse battery") => Ok(self.tokens("ada", Role::Admin)),
            ("dev", "correct horse battery") => Ok(self.tokens("dev", Role::Developer)),
            ("bob", "correct horse battery") => Ok(self.tokens("bob", Role::User)),
            _ => Err(AccountError::WrongCredentials),
        }
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Tokens, AccountError> {
        // Where several ask at once, the others are let in between.
        tokio::task::yield_now().await;
        let first = self.with(|world| {
            let first = !world.refreshed.iter().any(|token| token == refresh_token);
            world.refreshed.push(refresh_token.to_owned());
            first
        });
        match parse(refresh_token).filter(|_| first && refresh_token.starts_with("refresh:")) {
            Some((user, role, _)) => Ok(self.tokens(user, role)),
            None => Err(AccountError::SessionEnded),
        }
    }

    async fn logout(&self, token_id: Uuid) -> Result<(), AccountError> {
        self.with(|world| world.revoked.push(token_id));
        Ok(())
    }

    async fn accounts(&self) -> Result<Vec<Account>, AccountError> {
        Ok(self.with(|world| world.accounts.clone()))
    }

    async fn add(&self, _by: &str, name: String, _: Zeroizing<String>, role: Role) -> Result<(), AccountError> {
        if self.with(|world| world.accounts.iter().any(|account| account.name == name)) {
            return Err(AccountError::Exists { name });
        }
        self.with(|world| world.accounts.push(Account { id: account_of(&name), name, role, created_ms: NOW_MS }));
        Ok(())
    }

    async fn remove(&self, _by: &str, name: &str) -> Result<(), AccountError> {
        if name == "ada" {
            return Err(AccountError::LastAdmin { name: name.to_owned() });
        }
        self.with(|world| world.accounts.retain(|account| account.name != name));
        Ok(())
    }

    async fn set_role(&self, _by: &str, name: &str, role: Role) -> Result<(), AccountError> {
        self.with(|world| match world.accounts.iter_mut().find(|account| account.name == name) {
            Some(account) => {
                account.role = role;
                Ok(())
            }
            None => Err(AccountError::Unknown { name: name.to_owned() }),
        })
    }

    async fn change_password(&self, change: PasswordChange) -> Result<Tokens, AccountError> {
        if *change.old != "correct horse battery" {
            return Err(AccountError::WrongCredentials);
        }
        Ok(self.tokens(&change.name, Role::User))
    }

    async fn reset_password(&self, _: &str, _: &str, _: Zeroizing<String>) -> Result<(), AccountError> {
        Ok(())
    }

    async fn prove(&self, _action: &'static str, login: Login) -> Result<(), AccountError> {
        self.login(login).await.map(drop)
    }

    async fn new_recovery_key(&self, login: Login) -> Result<Zeroizing<String>, AccountError> {
        self.login(login).await.map(|_| Zeroizing::new("AGE-SECRET-KEY-1SECOND".to_owned()))
    }

    async fn audit(&self, _limit: usize) -> Result<Vec<AuditEntry>, AccountError> {
        Ok(self.with(|world| world.notes.clone()))
    }

    async fn note(&self, entry: AuditEntry) -> Result<(), AccountError> {
        self.with(|world| world.notes.push(entry));
        Ok(())
    }
}

#[async_trait]
impl Recordings for Fakes {
    async fn list(
        &self,
        caller: &Identity,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Recording>, RecordingsError> {
        let visible = |recording: &&Recording| {
            (caller.role > Role::User || recording.owner.id == caller.account)
                && before.is_none_or(|id| recording.id < id)
        };
        let mut recordings = self.with(|world| world.recordings.iter().filter(visible).cloned().collect::<Vec<_>>());
        recordings.sort_by_key(|recording| std::cmp::Reverse(recording.id));
        recordings.truncate(limit);
        Ok(recordings)
    }

    async fn get(&self, caller: &Identity, id: SessionId) -> Result<Recording, RecordingsError> {
        let all = self.list(caller, None, 1000).await?;
        all.into_iter().find(|recording| recording.id == id).ok_or(RecordingsError::NotFound(id))
    }

    async fn delete(&self, caller: &Identity, id: SessionId) -> Result<(), RecordingsError> {
        self.get(caller, id).await?;
        self.with(|world| world.recordings.retain(|recording| recording.id != id));
        Ok(())
    }
}

#[async_trait]
impl Chain for Fakes {
    fn head(&self) -> Option<Head> {
        None
    }
    async fn genesis(&self) -> Result<Genesis, ChainError> {
        Err(ChainError::Unavailable)
    }
    async fn key(&self) -> Result<VerifierKey, ChainError> {
        Err(ChainError::Unavailable)
    }
    async fn block(&self, _height: u64) -> Result<Option<Block>, ChainError> {
        Ok(None)
    }
    async fn latest(&self, _before: Option<u64>, _limit: usize) -> Result<Vec<BlockSummary>, ChainError> {
        if self.with(|world| world.slow_chain) {
            std::future::pending::<()>().await;
        }
        Err(ChainError::Unavailable)
    }
    async fn anchor(&self, _session: SessionId) -> Result<Option<(u64, u32)>, ChainError> {
        Err(ChainError::Unavailable)
    }
    async fn evidence(&self, _session: SessionId, _also: &[String]) -> Result<Option<Evidence>, ChainError> {
        Err(ChainError::Unavailable)
    }
    async fn checkpoint(&self) -> Result<String, ChainError> {
        Err(ChainError::Unavailable)
    }
    async fn consistency(&self, _old: u64, _new: u64) -> Result<Vec<Hash>, ChainError> {
        Err(ChainError::Unavailable)
    }
    fn validation(&self) -> Validation {
        Validation::default()
    }
    async fn validate(&self) -> Result<(), ChainError> {
        Ok(())
    }
}

impl Logs for Fakes {
    fn recent(&self, service: &str, _count: usize) -> Vec<Line> {
        let fields = vec![("peer".to_owned(), Value::Text(HOSTILE.to_owned()))];
        vec![Line {
            time: "2026-01-31T12:00:00.000Z".to_owned(),
            level: Level::Warn,
            service: service.to_owned(),
            target: "test".to_owned(),
            message: HOSTILE.to_owned(),
            fields,
        }]
    }

    fn level(&self, _service: &str) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn set_level(&self, service: &str, level: LevelFilter) {
        self.with(|world| world.levels.push((service.to_owned(), level)));
    }
}

/// The account that a name stands for: the beginning of its own bytes.
pub(super) fn account_of(name: &str) -> AccountId {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name.bytes()).for_each(|(byte, letter)| *byte = letter);
    AccountId::from_bytes(bytes)
}

pub(super) fn recording(label: &str, owner: &str) -> Recording {
    Recording {
        id: SessionId::generate(),
        label: label.to_owned(),
        owner: Owner { id: account_of(owner), name: owner.to_owned(), account: AccountState::Present },
        state: RecordingState::Anchored,
        durable_bytes: 12_345_678,
        stored_bytes: 2_345_678,
        chunks: 2,
        started_ms: NOW_MS,
        ended_ms: Some(NOW_MS + 5000),
        root: Some("ab".repeat(32)),
        block_height: Some(41),
    }
}

/// The dashboard over fakes.
pub(super) struct Bench {
    pub(super) fakes: Fakes,
    pub(super) view: watch::Sender<Arc<View>>,
    pub(super) router: Router,
    pub(super) agent_view: watch::Sender<AgentView>,
    pub(super) payments: watch::Sender<PaymentsPlane>,
    /// How updates are, unless the bench has the service.
    pub(super) updates: watch::Sender<Arc<UpdateStatus>>,
    _kept: (watch::Sender<Storage>, watch::Sender<Load>, watch::Sender<Arc<crate::thermal_watch::History>>),
}

pub(super) fn bench() -> Bench {
    bench_of(Boot::NotAnAppliance, AgentLink::new(None))
}

/// After a boot that went so.
pub(super) fn bench_after(boot: Boot) -> Bench {
    bench_of(boot, AgentLink::new(None))
}

/// With this agent, of which nothing is known yet.
pub(super) fn bench_of(boot: Boot, agent: AgentLink) -> Bench {
    bench_with(boot, agent, None)
}

/// With the service of updates; without it they are as [`Bench::updates`] has them.
pub(super) fn bench_with(boot: Boot, agent: AgentLink, service: Option<Updates>) -> Bench {
    let (updates, updates_out) = watch::channel(Arc::default());
    let updates_out = service.unwrap_or_else(|| Updates::over(lucid_kit::slot("update").1, updates_out));
    let boot = Arc::new(boot);
    let fakes = Fakes::default();
    fakes.with(|world| world.claimed = true);
    let clock = Arc::new(FakeClock::new(NOW_MS));
    let device = Simulated::new(1, "/data", clock.clone());
    let device = Some(Ok(device.snapshot()));
    let (view, view_out) =
        watch::channel(Arc::new(View { at: Some(tokio::time::Instant::now()), device, ..View::default() }));
    let (storage, storage_out) =
        watch::channel(Storage::Ready { root: "/data".into(), free_bytes: 5_000_000_000, low: false });
    let (load, load_out) = watch::channel(Load::Full);
    let mut history = crate::thermal_watch::History::default();
    history.add(48_200);
    let (temperatures, temperatures_out) = watch::channel(Arc::new(history));
    let (agent_view, agent_out) = watch::channel(AgentView::Absent);
    let (payments, payments_out) = watch::channel(PaymentsPlane::NotHere);
    let uploads = fakes.clone();
    let pages = Pages {
        view: view_out,
        board: lucid_kit::Board::default(),
        accounts: Arc::new(fakes.clone()),
        authenticator: Arc::new(fakes.clone()),
        recordings: Arc::new(fakes.clone()),
        chain: Arc::new(fakes.clone()),
        storage: storage_out,
        load: load_out,
        temperatures: temperatures_out,
        logs: Arc::new(fakes.clone()),
        clock,
        boot,
        agent,
        release: crate::Release::default(),
        takeover: Arc::new(fakes.clone()),
        agent_view: agent_out,
        updates: updates_out,
        notes: Vec::new(),
        payments: payments_out,
        upload: Arc::new(move |who, label, stream| Box::pin(take(uploads.clone(), who, label, stream))),
    };
    let router = routes(pages);
    Bench { fakes, view, agent_view, payments, updates, router, _kept: (storage, load, temperatures) }
}

async fn take(
    fakes: Fakes,
    who: Identity,
    label: String,
    mut stream: futures_util::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>,
) -> Result<SessionId, RecordingsError> {
    use futures_util::StreamExt;
    let mut received = Ok(Vec::new());
    while let Some(piece) = stream.next().await {
        match (&mut received, piece) {
            (Ok(received), Ok(piece)) => received.extend(piece),
            (_, Err(error)) => received = Err(error.to_string()),
            (Err(_), Ok(_)) => {}
        }
    }
    let recording = recording(&label, &who.user);
    let id = recording.id;
    let complete = received.is_ok();
    fakes.with(|world| world.uploads.push((label, received)));
    if complete {
        fakes.with(|world| world.recordings.push(recording));
        Ok(id)
    } else {
        Err(RecordingsError::Unavailable("the upload broke off".to_owned()))
    }
}

/// A browser: sends what it was given, keeps cookies.
#[derive(Clone)]
pub(super) struct Browser {
    router: Router,
    pub(super) cookies: Vec<(String, String)>,
    pub(super) tls: bool,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The token of the first form of the page.
    pub(super) fn csrf(&self) -> String {
        let start = self.body.find("name=\"csrf\" value=\"").expect("the page has a form") + 19;
        self.body[start..start + 64].to_owned()
    }
}

impl Bench {
    pub(super) fn browser(&self) -> Browser {
        Browser { router: self.router.clone(), cookies: Vec::new(), tls: true }
    }

    pub(super) async fn logged_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let reply = browser.post("/login", &[("name", name), ("password", "correct horse battery")]).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        browser
    }
}

impl Browser {
    pub(super) async fn get(&mut self, path: &str) -> Reply {
        let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        self.send(Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", super::super::format::query_value(value));
        let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(body));
        self.send(request.unwrap()).await
    }

    pub(super) async fn send(&mut self, request: Request<Body>) -> Reply {
        let response = self.exchange(request).await;
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request and keeps the cookies of the reply.
    pub(super) async fn exchange(&mut self, mut request: Request<Body>) -> Response<Body> {
        let peer: SocketAddr = "192.0.2.7:50000".parse().unwrap();
        request.extensions_mut().insert(ConnectionInfo { peer, tls: self.tls });
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        let response = self.router.clone().oneshot(request).await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(kept, _)| kept != name);
            if !text.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }
}
