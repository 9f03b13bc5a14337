//! What pages and API see of updates, and have done.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use lucid_kit::{Handle, Slot};
use lucid_layout::Digest;
use tokio::sync::watch;

use super::Update;
use super::desk::Desk;
use super::error::UpdateError;
use super::restart::When;
use super::settings::UpdateUrl;
use super::status::UpdateStatus;

/// Cheap to clone; survives restarts of the service. Who may ask for what, its callers have to know, and to write down.
#[derive(Clone)]
pub struct Updates {
    desk: Slot<Desk>,
    status: watch::Receiver<Arc<UpdateStatus>>,
}

impl Updates {
    /// Over what the service lends, and its handle.
    pub fn new(desk: Slot<Desk>, handle: &Handle<Update>) -> Self {
        Self { desk, status: handle.watch() }
    }

    /// The same without a service: for tests.
    #[cfg(test)]
    pub(crate) fn over(desk: Slot<Desk>, status: watch::Receiver<Arc<UpdateStatus>>) -> Self {
        Self { desk, status }
    }

    /// How updates are, as of a second ago.
    pub fn status(&self) -> Arc<UpdateStatus> {
        self.status.borrow().clone()
    }

    /// The same, to be watched.
    pub fn watch(&self) -> watch::Receiver<Arc<UpdateStatus>> {
        self.status.clone()
    }

    /// The same, asked now: for the reply to an order. Waits for the agent for some seconds at most.
    ///
    /// # Errors
    /// While the service does not run.
    pub async fn look(&self) -> Result<UpdateStatus, UpdateError> {
        Ok(self.desk()?.look().await)
    }

    /// Takes the bytes of a bundle from `offset` on; `bundle` names it where that is not 0. Returns once the agent has
    /// written and read back all of it, or why it has not: what it has safe, its report says. Dropping the future
    /// interrupts the transfer, and harms nothing.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub async fn upload(
        &self,
        offset: u64,
        bundle: Option<Digest>,
        bytes: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<(), UpdateError> {
        self.desk()?.upload(offset, bundle, bytes).await
    }

    /// Has a bundle fetched, beginning within a second. How it goes, the status tells.
    ///
    /// # Errors
    /// Where there is no agent, or another bundle is on its way.
    pub fn pull(&self, url: UpdateUrl) -> Result<(), UpdateError> {
        self.desk()?.pull(url)
    }

    /// Has the channel asked, beginning within a second. What it says, the status tells.
    ///
    /// # Errors
    /// Where there is no agent or no channel.
    pub fn check(&self) -> Result<(), UpdateError> {
        self.desk()?.check()
    }

    /// Installs the release that is written, on trial; [`When::Quiet`] and [`When::Window`] are kept until their time
    /// has come, and may be given before it is written whole.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub async fn install(&self, when: When) -> Result<(), UpdateError> {
        self.desk()?.install(when).await
    }

    /// Gives up the release that is on its way or written, and the order to install it.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub async fn discard(&self) -> Result<(), UpdateError> {
        self.desk()?.discard().await
    }

    /// Restarts into the other slot, on trial.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub async fn rollback(&self) -> Result<(), UpdateError> {
        self.desk()?.rollback().await
    }

    /// Shows that a trial boot works, by a restart there and back.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub async fn selftest(&self) -> Result<(), UpdateError> {
        self.desk()?.selftest().await
    }

    /// Has the firmware install the EEPROM's release that the running slot carries, by a restart there and back.
    /// Whoever orders it was told what a power cut does meanwhile, and consented to the release that was built at
    /// `build_s` (seconds since 1970).
    ///
    /// # Errors
    /// See [`UpdateError`]; the agent refuses where it carries another release.
    pub async fn install_eeprom(&self, build_s: u64) -> Result<(), UpdateError> {
        self.desk()?.install_eeprom(build_s).await
    }

    pub(super) fn desk(&self) -> Result<Arc<Desk>, UpdateError> {
        Ok(self.desk.get()?)
    }
}
