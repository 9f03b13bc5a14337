//! A whole recording in one go, for a form that can't resume.

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use lucid_kit::Slot;
use lucid_ports::{Identity, RecordingsError, SessionId};

use crate::{ApiState, uploads::UploadError};

/// Records `bytes` as a new recording of `caller` and gives its id once every byte is durable. When the stream breaks,
/// what has come stays, unfinished, and can be resumed.
///
/// # Errors
/// When a service is missing, the disk is full or the stream breaks.
pub async fn upload_whole(
    api: Slot<ApiState>,
    caller: Identity,
    label: String,
    mut bytes: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
) -> Result<SessionId, RecordingsError> {
    let refused = |error: UploadError| RecordingsError::Unavailable(error.to_string());
    let api = api.get().map_err(|error| refused(error.into()))?;
    let uploads = api.uploads.get().map_err(|error| refused(error.into()))?;
    let id = uploads.begin(&caller, &label).await.map_err(refused)?;
    let attached = uploads.attach(id, 0, true).await.map_err(refused)?;
    attached.feed(&mut bytes).await.map_err(refused)?;
    Ok(id)
}
