//! What a service is, and the loop that keeps it running.
//!
//! A service is a type that implements [`Service`]. [`wire`] gives it a [`Handle`], by which others ask it, and a
//! [`Ctx`], by which it hears them; [`supervise`] starts it, restarts it with backoff, contains its panics, notices
//! when it no longer comes back, and stops it in a stated time. What all this comes to is on the [`Board`].
//!
//! kit knows no service, no store, no hardware and no protocol.
//!
//! What it does not isolate: memory, undefined behaviour, and a thread that never returns. A blocked thread is found
//! ([`Board::blocked`]) but only a restart of the process cures it: the watchdog chain is for that.

mod backoff;
mod beat;
mod board;
mod cpu;
mod ctx;
mod gate;
mod handle;
mod life;
mod service;
mod slot;
mod supervise;

pub use backoff::Backoff;
pub use board::{Board, ServiceReport, UnknownService};
pub use cpu::{Class, Pool, PoolError};
pub use ctx::Ctx;
pub use gate::Gate;
pub use handle::{Handle, Reply, Unavailable};
pub use life::{Health, Life};
pub use service::{Event, Service, Spec};
pub use slot::{Lease, Lender, Slot, slot};
pub use supervise::{Wired, supervise, wire};

#[cfg(test)]
mod tests;
