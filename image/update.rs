//! Everything that an update needs outside the box: keys, signed documents, bundles, channels.
//!
//! Owns files and words; what the bytes mean, and what is refused, is `lucid-bundle`'s to say. Promises that equal
//! inputs give equal bytes, that what is written is read back by the same rules as the box's before it gets its name,
//! and that no secret is ever shown or overwritten. Must never sign what the person at the keyboard was not told.

mod bundle;
mod channel;
mod describe;
mod error;
mod files;
mod keys;
mod look;
mod quorum;
mod release;
pub(crate) mod trusted;

pub use bundle::{AuthorityFiles, BundleInputs, bundle, sign as sign_bundle};
pub use channel::channel;
pub(crate) use describe::date;
pub use describe::moment;
pub use error::UpdateError;
pub use keys::{keygen, read_key};
pub use look::{Checked, inspect as inspect_update, verify as verify_update};
pub use quorum::{Content, Quorum, Signing, add_to_keys, add_to_root, sign_keys, sign_root};
pub use release::Source;
