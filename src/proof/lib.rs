//! The formats that a third party checks, and the offline verifier.
//!
//! Owns every byte that leaves the appliance as evidence: Merkle trees, signed notes, checkpoints, transactions, blocks,
//! session manifests and export directories. `docs/formats.md` specifies the same bytes for those who write a verifier
//! of their own; the two must not differ.
//!
//! Promises: decoding is strict (one value has one encoding; what re-encodes differently is refused), bounded (every
//! count and size has a limit) and free of side effects. Must never read a clock, draw randomness, start a task or touch
//! the network; files are read only by [`export::Directory`].

pub mod block;
pub mod checkpoint;
pub mod export;
pub mod hash;
pub mod manifest;
pub mod merkle;
pub mod note;
pub mod time;
pub mod verify;
mod wire;

#[cfg(test)]
mod fixture;

pub use wire::DecodeError;
