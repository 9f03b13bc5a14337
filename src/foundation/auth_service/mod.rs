//! auth-service: accounts, log-in, tokens, and the claim of a new appliance.
//!
//! Owns the accounts, their log-ins, the secret that signs tokens, and the audit log, all in the state directory: the
//! appliance can be claimed, logged in to and helped without a data disk. Offers them through [`AccountsPort`]; proves
//! tokens for every listener through [`TokenAuthenticator`]; serves `/api/auth` by [`routes`].
//!
//! Promises: what is acknowledged is on disk; a log-out, a removal, a new role or password holds from its answer on and
//! over restarts; until an administrator exists nothing but the claim is answered; guessing is slowed down without
//! locking anybody out; nobody learns which accounts exist. Must never log or store a password, a token or a code.
//!
//! Degraded when: never. It works or it does not run; while it does not, everybody is told to try again in a moment.

mod accounts;
mod audit;
mod claim;
mod code;
mod core;
mod door;
mod failure;
mod handed_in;
mod password;
mod port;
mod request;
mod routes;
mod rows;
mod sessions;
mod throttle;
mod time;
mod token;

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use lucid_device::Clock;
use lucid_kit::{Ctx, Event, Health, Lease, Lender, Pool, Reply, Service};
use lucid_ports::{AccountError, Recovery};
use lucid_store::{Options, Reader as _, Store, StoreError};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use tokio::sync::Semaphore;

pub use door::TokenAuthenticator;
pub use port::AccountsPort;
pub use request::{Answer, Request};
pub use routes::routes;

use self::code::{Code, CodeHash, Origin};
use self::core::Core;
use self::door::Door;
use self::failure::Failure;
pub use self::rows::SCHEMA;
use self::rows::{AUDIT, CLAIM, CLAIM_KEY, SESSIONS};
use self::throttle::Throttle;
use self::time::Time;
use self::token::Keys;

/// The service's name.
pub const NAME: &str = "auth-service";

/// Most accounts: a household or an office, with room; the door keeps them all in memory.
pub(crate) const ACCOUNTS_MAX: usize = 256;

/// Most log-ins of one account at a time: more than anybody has devices. The one unused for longest makes room.
pub(crate) const SESSIONS_MAX: usize = 32;

/// Most operations that wait for a password hash. One takes about a tenth of a second on the appliance, so the last of
/// them waits two seconds, far less than callers do.
const HASHING_MAX: usize = 16;

/// When to come again if too many wait.
const BUSY_RETRY_S: u64 = 3;

/// Page cache of the store: all accounts and log-ins fit.
const CACHE_BYTES: usize = 1024 * 1024;

/// Settings.
pub struct Config {
    /// Life of an access token in seconds.
    pub access_token_s: u64,
    /// How long a log-in lasts without being refreshed, in seconds.
    pub refresh_token_s: u64,
    /// Wrong passwords in a row that cost no wait.
    pub login_attempts_max: u32,
    /// The longest wait between attempts, in seconds.
    pub login_window_s: u64,
    /// Why nobody may claim the appliance, in words for its owner: it has, or may have, one whose accounts are lost. No
    /// code is made or taken then. Without effect on an appliance that has accounts.
    pub locked: Option<String>,
    /// See [`Options::migrate`].
    pub migrate: bool,
}

/// What it may use.
pub struct Deps {
    /// Threads for password hashes.
    pub pool: Pool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes recovery keys.
    pub recovery: Arc<dyn Recovery>,
    /// The state directory; the service keeps to `auth-service/` in it. The one-time code of the provisioning lies
    /// beside that as `claim.code`, and is deleted once the appliance is claimed.
    pub state_dir: PathBuf,
    /// Shows the one-time code to the owner, for example on the terminal. Must never write it to a log.
    pub announce: Arc<dyn Fn(&str) + Send + Sync>,
    /// Where its store is lent, for backups.
    pub store: Lender<Store>,
}

/// What it publishes: whether the appliance is claimed, and how many accounts and log-ins there are.
#[derive(Clone, Default)]
pub struct Status {
    /// What [`TokenAuthenticator`] asks; nothing while the service does not run.
    pub(crate) door: Option<Arc<Door>>,
    /// See [`Config::locked`].
    pub(crate) locked: Option<String>,
}

impl Status {
    /// Why nobody may claim the appliance, where that is so.
    pub(crate) fn lock(&self) -> Option<&str> {
        let unclaimed = self.door.as_ref().is_some_and(|door| !door.is_claimed());
        self.locked.as_deref().filter(|_| unclaimed)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (accounts, sessions) = self.door.as_ref().map(|door| door.counts()).unwrap_or_default();
        let mut status = serializer.serialize_struct("Status", 4)?;
        status.serialize_field("claimed", &(accounts > 0))?;
        status.serialize_field("accounts", &accounts)?;
        status.serialize_field("sessions", &sessions)?;
        status.serialize_field("locked", &self.lock())?;
        status.end()
    }
}

/// The service.
pub struct AuthService {
    core: Arc<Core>,
    /// Bounds the operations that wait for a hash.
    hashing: Arc<Semaphore>,
    _lease: Lease<Store>,
}

impl Service for AuthService {
    const NAME: &'static str = NAME;
    /// Ended log-ins are dropped, and a void one-time code is replaced, this often.
    const PERIOD: Duration = Duration::from_secs(60);

    type Config = Config;
    type Deps = Deps;
    type Request = Request;
    type Status = Status;
    type Error = Error;

    async fn start(config: &Config, deps: &Deps) -> Result<Self, Error> {
        let (state_dir, clock, announce) = (deps.state_dir.clone(), deps.clock.clone(), deps.announce.clone());
        let is_locked = config.locked.is_some();
        let options = Options { cache_bytes: CACHE_BYTES, migrate: config.migrate };
        let open = move || open(&state_dir, clock, options, is_locked, &*announce);
        let (store, door, code) = tokio::task::spawn_blocking(open).await.map_err(Error::Start)??;
        if let (Some(reason), false) = (&config.locked, door.is_claimed()) {
            tracing::error!(reason, "locked: nobody can claim this appliance");
        }
        let lease = deps.store.lend(Arc::new(store.clone()));
        let core = Core {
            store,
            door,
            pool: deps.pool.clone(),
            recovery: deps.recovery.clone(),
            throttle: Mutex::new(Throttle::new(config.login_attempts_max, config.login_window_s)),
            code: Mutex::new(code),
            code_file: deps.state_dir.join(handed_in::FILE),
            locked: config.locked.clone(),
            announce: deps.announce.clone(),
            changing: tokio::sync::Mutex::default(),
            recovering: tokio::sync::Mutex::default(),
            fault: OnceLock::new(),
            access_token_s: config.access_token_s,
            refresh_token_s: config.refresh_token_s,
        };
        Ok(Self { core: Arc::new(core), hashing: Arc::new(Semaphore::new(HASHING_MAX)), _lease: lease })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Error> {
        ctx.publish(Status { door: Some(self.core.door.clone()), locked: self.core.locked.clone() });
        loop {
            match ctx.next().await {
                Event::Tick => {
                    self.core.sweep().await.map_err(Error::Store)?;
                    self.core.renew_code().await?;
                }
                Event::Request(request) => self.answer(request, ctx).await,
                Event::Stop => {
                    // What goes on beside ends with this incarnation. It is waited for: it holds the store open.
                    drop(self.hashing.acquire_many(HASHING_MAX as u32).await);
                    return Ok(());
                }
            }
            // After a failed commit the store takes no more writes: a new incarnation opens it afresh.
            if let Some(failure) = self.core.failure() {
                return Err(Error::Store(failure));
            }
        }
    }

    fn health(status: &Status) -> Health {
        match status.lock() {
            Some(reason) => Health::Waiting { reason: reason.to_owned() },
            None => Health::Healthy,
        }
    }
}

impl AuthService {
    /// What hashes a password goes on beside the service; the rest takes one commit and is answered at once.
    async fn answer(&self, request: Request, ctx: &Ctx<Self>) {
        let core = &self.core;
        match request {
            Request::Claim(claim, reply) => self.beside(ctx, "claim", reply, |core| core.claim(claim)),
            Request::Login(login, reply) => self.beside(ctx, "login", reply, |core| core.login(login)),
            Request::Refresh(token, reply) => reply.send(told("refresh", core.refresh(token).await)),
            Request::Logout(token_id, reply) => reply.send(told("logout", core.logout(token_id).await)),
            Request::Accounts(reply) => reply.send(told("list accounts", core.accounts())),
            Request::Add { by, name, password, role, reply } => {
                self.beside(ctx, "add account", reply, move |core| core.add(by, name, password, role));
            }
            Request::Remove { by, name, reply } => reply.send(told("remove account", core.remove(&by, name).await)),
            Request::SetRole { by, name, role, reply } => {
                reply.send(told("set role", core.set_role(&by, name, role).await));
            }
            Request::ChangePassword(change, reply) => {
                self.beside(ctx, "change password", reply, |core| core.change_password(change));
            }
            Request::ResetPassword { by, name, password, reply } => {
                self.beside(ctx, "reset password", reply, move |core| core.reset_password(by, name, password));
            }
            Request::Prove { action, login, reply } => {
                self.beside(ctx, "check a password", reply, async move |core: Arc<Core>| {
                    core.prove(action, &login.name, login.password, login.peer).await.map(drop)
                });
            }
            Request::NewRecoveryKey(login, reply) => {
                self.beside(ctx, "make recovery key", reply, |core| core.new_recovery_key(login));
            }
            Request::Audit(limit, reply) => reply.send(told("read audit log", core.audit(limit))),
            Request::Note(entry, reply) => reply.send(told("note", core.note_from_outside(entry).await)),
        }
    }

    /// Works on a request beside the service, unless too many are under way.
    fn beside<T, F>(
        &self,
        ctx: &Ctx<Self>,
        attempted: &'static str,
        reply: Reply<Answer<T>>,
        work: impl FnOnce(Arc<Core>) -> F,
    ) where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let Ok(permit) = self.hashing.clone().try_acquire_owned() else {
            return reply.send(Err(AccountError::Throttled { retry_after_s: BUSY_RETRY_S }));
        };
        let work = work(self.core.clone());
        ctx.spawn(async move {
            let _permit = permit;
            if !reply.is_abandoned() {
                reply.send(told(attempted, work.await));
            }
        });
    }
}

fn told<T>(attempted: &'static str, result: Result<T, Failure>) -> Answer<T> {
    result.map_err(|failure| failure.tell(attempted))
}

/// Opens everything on disk. Blocking.
fn open(
    state_dir: &Path,
    clock: Arc<dyn Clock>,
    options: Options,
    is_locked: bool,
    announce: &(dyn Fn(&str) + Send + Sync),
) -> Result<(Store, Arc<Door>, Option<Code>), Error> {
    let dir = state_dir.join(NAME);
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.map_err(|source| Error::Directory { path: dir.clone(), source })?;
    let store = Store::open(&dir.join("auth-service.redb"), &SCHEMA, options).map_err(Error::Store)?;
    let keys = Keys::open(&dir.join("jwt.secret"))?;
    let time = Time::new(clock, latest_ms(&store).map_err(Error::Store)?);
    let door = Arc::new(Door::new(keys, time));
    door.load(&store).map_err(Error::Store)?;
    let code_file = state_dir.join(handed_in::FILE);
    if door.is_claimed() {
        // A power cut between the claim and the end of the file leaves it behind.
        handed_in::destroy_logged(&code_file);
        return Ok((store, door, None));
    }
    let code = if is_locked { None } else { Some(current_code(&store, &door.keys, &code_file, announce)?) };
    Ok((store, door, code))
}

/// The latest time that the store has seen.
fn latest_ms(store: &Store) -> Result<u64, StoreError> {
    store.read(|tx| {
        let noted_ms = tx.last(&AUDIT)?.map_or(0, |(_, entry)| entry.at_ms);
        let sessions = tx.range(&SESSIONS, .., ACCOUNTS_MAX * SESSIONS_MAX)?;
        Ok(sessions.iter().map(|(_, row)| row.used_ms).fold(noted_ms, u64::max))
    })
}

/// The code handed in, unless it is void; else a new one, shown to the owner.
fn current_code(
    store: &Store,
    keys: &Keys,
    code_file: &Path,
    announce: &(dyn Fn(&str) + Send + Sync),
) -> Result<Code, Error> {
    let handed_in = handed_in::read(code_file);
    if let Some(code) = handed_in.map_err(|source| Error::CodeFile { path: code_file.to_owned(), source })? {
        code::check(&code)?;
        let row = store.read(|tx| tx.get(&CLAIM, &CLAIM_KEY)).map_err(Error::Store)?.unwrap_or_default();
        let hash = CodeHash::of(keys, &code);
        if !code::is_void(&row, &hash) {
            return Ok(Code::new(hash, Origin::Provisioned));
        }
        tracing::warn!("the one-time code of the provisioning is void after too many tries: showing a new one");
    }
    let code = code::generate()?;
    announce(&code);
    Ok(Code::new(CodeHash::of(keys, &code), Origin::Made))
}

/// Why the service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory could not be made.
    #[error("could not make the directory `{}`", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The store.
    #[error("the accounts could not be opened, read or written")]
    Store(#[source] StoreError),
    /// The secret that signs tokens could not be read.
    #[error("could not read the secret `{}`", path.display())]
    Secret {
        /// Its file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The secret that signs tokens is not as it was made.
    #[error("the secret `{}` is damaged: delete it to get a new one, which ends all log-ins", path.display())]
    DamagedSecret {
        /// Its file.
        path: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    Random(#[source] getrandom::Error),
    /// The code that the provisioning handed in can't be read.
    #[error(
        "the one-time code in `{}` can't be read: delete the file to be shown a new code, or write the image again with a \
         new provisioning",
        path.display()
    )]
    CodeFile {
        /// Its file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The code that the provisioning handed in can be guessed.
    #[error("the one-time code handed in has {chars} letters and digits: give one of at least {chars_min}, at random")]
    WeakCode {
        /// Characters that count.
        chars: usize,
        /// Fewest.
        chars_min: usize,
    },
    /// Showing a new one-time code was interrupted.
    #[error("showing a new one-time code was interrupted")]
    Announce(#[source] tokio::task::JoinError),
    /// Opening was interrupted.
    #[error("opening the accounts was interrupted")]
    Start(#[source] tokio::task::JoinError),
}

#[cfg(test)]
mod tests;
