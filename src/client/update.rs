//! Updates of an appliance from another machine: send a bundle, order what is done with it, and stay until it is known
//! what became of it.
//!
//! Promises: a bundle whose transfer broke goes on where the appliance has it durable, also from a later run of the
//! program; what is called kept is what the appliance itself calls committed. Must never say that an update succeeded
//! because the appliance answers again: the former release answers, too.

mod bundle;
mod eeprom;
mod error;
mod follow;
mod push;
mod show;
mod status;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::api::read_json;
use crate::connection::{CALL_TIMEOUT, Client, Transport};
use crate::credentials::CredentialStore;
use crate::error::ClientError;
use crate::login::{Login, login};
use crate::secret::Secret;
use crate::server::Server;
pub use eeprom::{carried_on, eeprom_text};
pub use error::UpdateError;
pub use follow::{Ending, FollowLimits, follow};
pub use push::push;
pub use show::update_text;
pub use status::{
    Agent, Attempt, Channel, ChannelReport, Eeprom, EepromAttempt, EepromRelease, Fact, Incoming, Offer, Outcome,
    Phase, Release, Selftest, Settings, SlotReport, Standing, Transfer, Trust, UpdateStatus,
};

/// The code of a refusal that a fresh log-in lifts.
const SIGN_IN_AGAIN: &str = "sign-in-again";

/// When a written release is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once, whatever is being recorded.
    Now,
    /// Once no recording runs.
    Quiet,
    /// In the maintenance window.
    Window,
}

/// What the appliance shall do with updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Look at the channel now.
    Check,
    /// Fetch a bundle from a web server.
    Pull {
        /// Where it is.
        url: String,
    },
    /// Restart into the release that is written, on trial.
    Install(When),
    /// Give up what is being written or is written.
    Discard,
    /// Restart into the other slot, on trial.
    Rollback,
    /// Show that a trial boot works.
    Selftest,
    /// Have the firmware install the EEPROM that the image carries.
    InstallEeprom {
        /// The release that the owner consents to: when it was built, in seconds since 1970.
        build_s: u64,
    },
}

impl Order {
    fn path(&self) -> &'static str {
        match self {
            Self::Check => "/api/update/check",
            Self::Pull { .. } => "/api/update/pull",
            Self::Install(_) => "/api/update/install",
            Self::Discard => "/api/update/discard",
            Self::Rollback => "/api/update/rollback",
            Self::Selftest => "/api/update/selftest",
            Self::InstallEeprom { .. } => "/api/update/eeprom",
        }
    }

    fn body(&self) -> Option<Value> {
        let when = |word: &str| Some(json!({ "when": word }));
        match self {
            Self::Pull { url } => Some(json!({ "url": url })),
            Self::InstallEeprom { build_s } => Some(json!({ "build_s": build_s })),
            Self::Install(When::Now) => when("now"),
            Self::Install(When::Quiet) => when("quiet"),
            Self::Install(When::Window) => when("window"),
            Self::Check | Self::Discard | Self::Rollback | Self::Selftest => None,
        }
    }

    fn attempted(&self) -> &'static str {
        match self {
            Self::Check => "ask for a look at the channel",
            Self::Pull { .. } => "have the appliance fetch a bundle",
            Self::Install(_) => "install the update",
            Self::Discard => "discard the update",
            Self::Rollback => "return to the other slot",
            Self::Selftest => "begin the self-test",
            Self::InstallEeprom { .. } => "have the EEPROM installed",
        }
    }
}

/// How updates are.
///
/// # Errors
/// The server can't be reached or refuses.
pub async fn update_status(client: &Client) -> Result<UpdateStatus, ClientError> {
    client.json("ask how updates are", |http| http.request(Method::GET, "/api/update/status")).await
}

/// Gives an order, and tells how updates are then.
///
/// # Errors
/// The server can't be reached, or refuses. See [`needs_sign_in`].
pub async fn update_order(client: &Client, order: &Order) -> Result<UpdateStatus, ClientError> {
    let body = order.body();
    let post = |http: &Transport| -> RequestBuilder {
        let request = http.request(Method::POST, order.path()).timeout(CALL_TIMEOUT);
        match &body {
            Some(body) => request.json(body),
            None => request,
        }
    };
    read_json(order.attempted(), client.send(order.attempted(), post).await?).await
}

/// Whether the server wants a log-in that is only minutes old, which [`sign_in_again`] makes.
pub fn needs_sign_in(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status: 403, code, .. } if code == SIGN_IN_AGAIN)
}

/// Logs in to `server` once more with the account that `store` has for it. Clients opened before keep their old tokens:
/// open a new one.
///
/// # Errors
/// There is no log-in, the password is wrong, or the server can't be reached.
pub async fn sign_in_again(store: &CredentialStore, server: &Server, password: Secret) -> Result<(), ClientError> {
    let kept = store.load(server)?.ok_or_else(|| ClientError::NotLoggedIn { server: server.to_string() })?;
    login(store, server, kept.pinned, &Login { name: kept.name, password }).await.map(drop)
}

#[cfg(test)]
mod tests;
