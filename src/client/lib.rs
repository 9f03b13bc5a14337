//! What works from another machine: log in, record, restore, export, list, delete, update, and pin the certificate.
//!
//! Owns the user's credentials on this machine and the client side of the HTTP API. Promises: nothing that the server
//! has not called durable is let go of while this program lives; a file appears under its name only when it is
//! complete; a secret goes to a server only after its certificate was checked against the pinned one.
//! Must never print: everything for people goes through the [`Console`] that the binary gives.

mod api;
mod backoff;
mod backup;
mod chain;
mod connection;
mod console;
mod credentials;
mod draft;
mod error;
mod export;
mod health;
mod login;
mod pin;
mod progress;
mod record;
mod restore;
mod secret;
mod server;
mod sessions;
pub mod update;

pub use api::{Owner, Session, SessionState};
pub use backoff::Patience;
pub use backup::backup;
pub use chain::{checkpoint, consistency, verifier_key};
pub use connection::Client;
pub use console::Console;
pub use credentials::{CredentialStore, Credentials, credential_folder};
pub use error::ClientError;
pub use export::export;
pub use health::{ServiceHealth, State, is_healthy, services, services_table};
pub use login::{Login, login, logout, trust};
pub use pin::{Fingerprint, FingerprintError};
pub use record::{RecordOptions, Source, record};
pub use restore::{Output, restore};
pub use secret::Secret;
pub use server::{Server, ServerError};
pub use sessions::{delete, list, session, table};

#[cfg(test)]
mod bench;
