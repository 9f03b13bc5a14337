//! auth-service as a whole, driven through its handle on a state directory of its own.
//!
//! The clock is set by hand; nothing here waits for time to pass.

mod accounts;
mod claim;
mod guessing;
mod lost_disk;
mod sessions;
mod state;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use lucid_device::FakeClock;
use lucid_kit::{Board, Handle, Life, Pool, Spec, supervise, wire};
use lucid_ports::{
    AccountError, Accounts as _, AuthError, Authenticator as _, Claim, Claimed, Identity, Login, Recovery,
    RecoveryError, Tokens,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::*;

/// 2025-06-01, a moment like any other.
const NOW_MS: u64 = 1_748_736_000_000;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
pub(crate) const PASSWORD: &str = "correct horse battery";

const SPEC: Spec = Spec { name: NAME, purpose: "tests", needs: &[], critical: true, storage: false, stop_grace_s: 5 };

/// One appliance: its state directory, its clock, its vault.
pub(crate) struct Appliance {
    state: TempDir,
    clock: Arc<FakeClock>,
    recovery: Arc<FakeRecovery>,
    pool: Pool,
    shown: Arc<Mutex<Vec<String>>>,
}

/// auth-service running on an appliance.
pub(crate) struct Running {
    pub(crate) accounts: AccountsPort,
    door: TokenAuthenticator,
    handle: Handle<AuthService>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _board: Board,
}

/// Counts the recovery keys it makes, and fails when told to.
#[derive(Default)]
struct FakeRecovery {
    issued: AtomicU32,
    failures_left: AtomicU32,
}

impl Recovery for FakeRecovery {
    fn issue(&self) -> Result<Zeroizing<String>, RecoveryError> {
        let fail = |left: u32| left.checked_sub(1);
        if self.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail).is_ok() {
            return Err(RecoveryError("the vault is away".into()));
        }
        Ok(Zeroizing::new(format!("KEY-{}", self.issued.fetch_add(1, Ordering::SeqCst) + 1)))
    }
}

impl Appliance {
    pub(crate) fn new() -> Self {
        Self {
            state: TempDir::new().unwrap(),
            clock: Arc::new(FakeClock::new(NOW_MS)),
            recovery: Arc::default(),
            pool: Pool::new(watch::channel(true).1).unwrap(),
            shown: Arc::default(),
        }
    }

    fn config() -> Config {
        Config {
            access_token_s: 900,
            refresh_token_s: 7 * 86_400,
            login_attempts_max: 5,
            login_window_s: 900,
            locked: None,
            migrate: true,
        }
    }

    /// An appliance whose provisioning handed in `code`.
    fn provisioned(code: &str) -> Self {
        let appliance = Self::new();
        std::fs::write(appliance.code_file(), code).unwrap();
        appliance
    }

    fn code_file(&self) -> PathBuf {
        self.state.path().join("claim.code")
    }

    /// Starts the service without waiting for it.
    fn launch(&self, config: Config) -> Running {
        let (handle, wired) = wire::<AuthService>();
        let (board, stop) = (Board::default(), CancellationToken::new());
        let shown = self.shown.clone();
        let deps = Deps {
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            recovery: self.recovery.clone(),
            state_dir: self.state.path().to_path_buf(),
            store: lucid_kit::slot(NAME).0,
            announce: Arc::new(move |code| shown.lock().unwrap().push(code.to_owned())),
        };
        let task = supervise(SPEC, wired, config, deps, Vec::new(), &board, stop.clone());
        let (accounts, door) = (AccountsPort::new(handle.clone()), TokenAuthenticator::new(handle.clone()));
        Running { accounts, door, handle, stop, task, _board: board }
    }

    async fn start_with(&self, config: Config) -> Running {
        let running = self.launch(config);
        running.handle.life().wait_for(|life| *life == Life::Running).await.unwrap();
        running.handle.watch().wait_for(|status| status.door.is_some()).await.unwrap();
        running
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(Self::config()).await
    }

    /// A claimed appliance with the administrator `admin` logged in.
    async fn start_claimed(&self) -> (Running, Tokens) {
        let running = self.start().await;
        let claimed = running.claim(&self.code()).await.unwrap();
        (running, claimed.tokens)
    }

    /// The code shown last.
    pub(crate) fn code(&self) -> String {
        self.shown.lock().unwrap().last().expect("a code was shown").clone()
    }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    pub(crate) fn authenticator(&self) -> TokenAuthenticator {
        TokenAuthenticator::new(self.handle.clone())
    }

    async fn claim(&self, code: &str) -> Result<Claimed, AccountError> {
        self.accounts.claim(claim_with(code)).await
    }

    async fn login(&self, name: &str, password: &str) -> Result<Tokens, AccountError> {
        self.login_from(name, password, "192.168.1.20").await
    }

    async fn login_from(&self, name: &str, password: &str, peer: &str) -> Result<Tokens, AccountError> {
        self.accounts.login(login(name, password, peer)).await
    }

    fn who(&self, tokens: &Tokens) -> Result<Identity, AuthError> {
        self.door.authenticate(&tokens.access_token)
    }

    /// Actions and details of the audit log, newest first.
    async fn audited(&self) -> Vec<String> {
        let entries = self.accounts.audit(100).await.unwrap();
        entries.into_iter().map(|entry| format!("{} {}: {}", entry.user, entry.action, entry.detail)).collect()
    }
}

fn claim_with(code: &str) -> Claim {
    Claim {
        code: Zeroizing::new(code.to_owned()),
        name: "admin".to_owned(),
        password: Zeroizing::new(PASSWORD.to_owned()),
        peer: peer("192.168.1.10"),
    }
}

fn login(name: &str, password: &str, from: &str) -> Login {
    Login { name: name.to_owned(), password: Zeroizing::new(password.to_owned()), peer: peer(from) }
}

fn peer(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

/// What an operation was refused with, in words.
fn refusal<T>(result: Result<T, AccountError>) -> String {
    result.err().expect("it was to be refused").to_string()
}
