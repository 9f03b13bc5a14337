//! The update bundle: what an appliance installs, who may sign it, and how both are read and written.
//!
//! ```text
//! root set ─ thresholds of the old and the new ─▶ next root set      offline, in several hands
//!    └─ threshold ─▶ key list ─ one key ─▶ manifest ─ hashes ─▶ pieces of root and boot partition
//!                                └─ one key ─▶ channel
//! ```
//!
//! Owns the format that `docs/updates-format.md` describes, and [`Trust`]: which keys an appliance believes. Promises
//! that nothing is parsed as JSON before its signatures are valid, nothing decompressed before its hash is right, that
//! no length is believed before it is bounded, and that hostile bytes are an error and never a panic. Must never open a
//! file, read a clock, or hold a key of its own: bytes, the time and keys come from the caller.

mod authority;
mod channel;
mod document;
mod header;
mod key;
mod key_list;
pub mod limits;
mod manifest;
mod pack;
mod piece;
mod refused;
mod root_set;
mod signed;
mod target;
mod trust;
mod unpack;
mod wire;

#[cfg(test)]
mod fixture;

pub use authority::Authority;
pub use channel::{Channel, ChannelFile, ChannelRelease};
pub use document::{Document, Malformed};
pub use header::{BundleId, Header, ReadError, read_header};
pub use key::{KeyError, PublicKey, Role, SecretKey, Signature};
pub use key_list::{KeyInfo, KeyList, ReleaseKey, Use};
pub use manifest::{Draft, Index, Kind, Manifest, Payload, Piece, Place, ResumePoint};
pub use pack::{Effort, PackError, Sources, build, pack};
pub use piece::{PieceError, open_piece};
pub use refused::{Expiring, Refused};
pub use root_set::{Purpose, RootSet};
pub use signed::{BadSignature, DocumentKind, Signed, sign};
pub use target::COMPATIBLE;
pub use trust::{KeptError, Trust, TrustError};
pub use unpack::{UnpackError, Unpacker};
pub use wire::LayoutError;

/// The time at which something ends or was made: whole seconds since 1970, UTC, as all times of this format.
pub type UnixSeconds = u64;
