//! Sessions: from a stream of bytes to a sealed, anchored recording, and back.
//!
//! ```text
//!  session-api ── bytes ─▶ session-pipeline: chunker ─▶ encryptor ─▶ merkle-builder ─▶ orchestrator
//!      │                        (cuts)      (zstd, AEAD)  (leaves)       (commits, seals, anchors)
//!      └── reads ──────────▶ session-storage: one redb file, one directory of chunk files, the vault
//! ```
//!
//! Bulk data goes past the services' loops: session-storage lends a [`Repository`], session-pipeline lends
//! [`Uploads`]. A byte is acknowledged only when its chunk and the row that counts it are on disk.

mod api;
mod attachments;
mod ballast;
mod chunk;
mod chunk_cipher;
mod chunk_memory;
mod chunker;
mod content;
mod export;
mod form_upload;
mod progress;
mod readers;
mod repository;
mod repository_error;
mod restored;
mod rows;
mod session_api;
mod session_pipeline;
mod session_storage;
mod upload;
mod uploads;

pub use api::{ApiState, routes};
pub use chunk::{ChunkError, Sealer, open as open_chunk, sealed_bytes_max};
pub use chunk_cipher::encrypt as encrypt_chunk;
pub use export::Export;
pub use form_upload::upload_whole;
pub use progress::Progress;
pub use repository::Repository;
pub use repository_error::RepositoryError;
pub use restored::unanchor_above;
pub use rows::SCHEMA;
pub use session_api::{RecordingsPort, SessionApi, SessionApiDeps, SessionApiStatus};
pub use session_pipeline::{PipelineConfig, SessionPipeline, SessionPipelineDeps, SessionPipelineStatus};
pub use session_storage::{SessionStorage, SessionStorageDeps, SessionStorageStatus};
pub use upload::under_way_max;
pub use uploads::{UploadError, Uploads};

#[cfg(test)]
mod tests;
