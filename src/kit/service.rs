//! The trait that every service implements.

use std::{future::Future, time::Duration};

use serde::Serialize;

use crate::{Ctx, Health};

/// A supervised task with one name.
///
/// State lives in the store or nowhere: kit makes a fresh value with [`Service::start`] for every incarnation, so that
/// start, restart and power loss are one path.
pub trait Service: Sized + Send + 'static {
    /// Log span, health key, configuration section, store name and route prefix, all in one.
    const NAME: &'static str;
    /// How often [`Event::Tick`] comes.
    const PERIOD: Duration;
    /// How long [`Service::start`] may take. Long, because a large store may have to be repaired after a power loss.
    const START_MAX: Duration = Duration::from_secs(300);
    /// How long one event may take before the service counts as stuck and is restarted.
    const BUSY_MAX: Duration = Duration::from_secs(30);
    /// Requests that may wait. A full queue makes callers wait, which is the back-pressure we want.
    const QUEUE_MAX: usize = 64;

    /// Settings, validated before anything starts.
    type Config: Send + Sync + 'static;
    /// Exactly the handles and ports that this service may use.
    type Deps: Send + Sync + 'static;
    /// What others may ask of it; [`std::convert::Infallible`] where that is nothing.
    type Request: Send + 'static;
    /// What it publishes about itself.
    type Status: Clone + Default + Serialize + Send + Sync + 'static;
    /// Why it could not go on.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Makes a fresh incarnation: opens its store, checks what it finds.
    fn start(config: &Self::Config, deps: &Self::Deps) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Works until [`Event::Stop`]. An error ends this incarnation; kit starts the next after a backoff. One loop over
    /// [`Ctx::next`], or over [`Ctx::ticked`] where nothing can be asked of the service.
    fn run(&mut self, ctx: &mut Ctx<Self>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether a start that failed so waits for the owner: a disk of another appliance, a key to be entered. The
    /// service then waits with that as its reason, is tried again as after any failure, and does not keep the box from
    /// being ready: restarting it would not help, and the dashboard is where the owner reads what to do.
    fn awaits_owner(_error: &Self::Error) -> bool {
        false
    }

    /// What a status says about the service's health. Pure; kit adds what it knows about its life.
    fn health(_status: &Self::Status) -> Health {
        Health::Healthy
    }
}

/// What a service wakes up for. All triggers of a service stand in its one `match` on this.
pub enum Event<R> {
    /// The period has passed: look at the whole state and act.
    Tick,
    /// Somebody asks.
    Request(R),
    /// Finish what is begun and return.
    Stop,
}

/// What the wiring decides about a service, as data. Printed by `lucid services`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spec {
    /// [`Service::NAME`].
    pub name: &'static str,
    /// One sentence for people.
    pub purpose: &'static str,
    /// Services that must run before this one starts. They may restart later without disturbing it.
    pub needs: &'static [&'static str],
    /// Whether it decides *ready* and *commitable*.
    pub critical: bool,
    /// Whether it waits for the data disk.
    pub storage: bool,
    /// How long a stop may take before it is forced, in seconds.
    pub stop_grace_s: u64,
}
