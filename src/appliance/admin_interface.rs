//! admin-interface: the dashboard, for which the owner needs nothing but a browser.
//!
//! Owns the [`View`], collected every two seconds: device, services, head of the chain. The pages ([`routes`]) read it
//! and other watched values, so that none of them waits for hardware; what must be asked (accounts, recordings,
//! blocks) is waited for shortly, and a part that does not answer says so in its own place while the rest is there.
//!
//! Promises: every page works without JavaScript; whatever comes from outside is shown as text; nothing that changes
//! the box is done without a form of ours. Must never: hold a password or the recovery key beyond the one reply, keep
//! state that a restart would miss, or talk to a third party.
//! Degraded while the device does not answer.

mod account;
mod accounts;
mod app;
pub(crate) mod assets;
mod audit;
mod blocks;
mod chart;
mod claim;
mod cookies;
mod events;
mod fields;
pub(crate) mod format;
pub(crate) mod guard;
pub(crate) mod layout;
mod login;
mod logs;
mod notices;
mod orders;
mod overview;
mod refusal;
mod renewals;
mod services;
mod sessions;
mod storage;
mod system;
mod takeover;
pub(crate) mod update;
mod upload;
mod verify;

use std::{convert::Infallible, sync::Arc, time::Duration};

use lucid_device::{Device, Snapshot};
use lucid_kit::{Board, Ctx, Health, Service, ServiceReport};
use lucid_ports::{Chain, Head};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use crate::look::Looks;
pub use app::{Pages, PaymentsPlane, Upload, routes};
pub use logs::Logs;

/// A whole snapshot reads some fifty small files.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What the pages show, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// When it was collected; nothing before the first time.
    pub at: Option<Instant>,
    /// The device, or why it is not known.
    pub device: Option<Result<Snapshot, String>>,
    /// Every service, in the order of their start.
    pub services: Vec<ServiceReport>,
    /// The newest block, while the chain runs.
    pub head: Option<Head>,
}

/// Settings: none yet.
#[derive(Debug, Clone, Default)]
pub struct Config {}

/// What it may use.
pub struct Deps {
    /// Every service.
    pub board: Board,
    /// The hardware.
    pub device: Arc<dyn Device>,
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// Where it publishes. [`Pages::view`] is the other end.
    pub view: watch::Sender<Arc<View>>,
}

/// What it says about itself. The view is not part of it: that holds the status of every service, this one included.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Whether the hardware is simulated.
    pub simulated: bool,
    /// Why the device is not known.
    pub device_error: Option<String>,
}

/// The service.
pub struct AdminInterface {
    board: Board,
    device: Arc<dyn Device>,
    chain: Arc<dyn Chain>,
    view: watch::Sender<Arc<View>>,
    looks: Looks<Snapshot>,
}

impl Service for AdminInterface {
    const NAME: &'static str = "admin-interface";
    const PERIOD: Duration = Duration::from_secs(2);

    type Config = Config;
    type Deps = Deps;
    type Request = Infallible;
    type Status = Status;
    type Error = Infallible;

    async fn start(_config: &Config, deps: &Deps) -> Result<Self, Infallible> {
        Ok(Self {
            board: deps.board.clone(),
            device: deps.device.clone(),
            chain: deps.chain.clone(),
            view: deps.view.clone(),
            looks: Looks::new(LOOK_MAX),
        })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Infallible> {
        while ctx.ticked().await {
            ctx.publish(self.reconcile().await);
        }
        Ok(())
    }

    fn health(status: &Status) -> Health {
        match &status.device_error {
            Some(error) => Health::Degraded { reason: format!("the device can't be shown: {error}") },
            None => Health::Healthy,
        }
    }
}

impl AdminInterface {
    /// Collects everything anew and publishes it.
    async fn reconcile(&mut self) -> Status {
        let device = self.device.clone();
        let seen = self.looks.take(move || device.snapshot()).await.map_err(|error| error.to_string());
        let device_error = seen.as_ref().err().cloned();
        self.view.send_replace(Arc::new(View {
            at: Some(Instant::now()),
            device: Some(seen),
            services: self.board.snapshot(),
            head: self.chain.head(),
        }));
        Status { simulated: self.device.simulated(), device_error }
    }
}

#[cfg(test)]
mod tests;
