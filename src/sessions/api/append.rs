//! Bytes coming in.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use futures_util::TryStreamExt;
use lucid_http::{Caller, Path, Problem};
use lucid_ports::SessionId;

use super::{Api, UPLOAD_COMPLETE, UPLOAD_OFFSET, problem, unavailable, upload_headers, upload_problem};
use crate::session_api::Access;

/// Media type of a body that is part of an upload.
const PARTIAL_UPLOAD: &str = "application/partial-upload";

/// `HEAD`: ends what may still be attached, and tells how many bytes are durable.
pub(super) async fn offset(
    State(api): Api,
    Caller(caller): Caller,
    Path(id): Path<SessionId>,
) -> Result<impl IntoResponse, Problem> {
    let api = api.get().map_err(unavailable)?;
    api.find(&caller, id, Access::Write).map_err(problem)?;
    let recording = api.uploads.get().map_err(unavailable)?.settle(id).await.map_err(upload_problem)?;
    Ok((StatusCode::NO_CONTENT, upload_headers(&recording)))
}

/// `PATCH`: appends the body. The reply says how far the recording is durable.
pub(super) async fn append(
    State(api): Api,
    Caller(caller): Caller,
    Path(id): Path<SessionId>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let api = api.get().map_err(unavailable)?;
    api.find(&caller, id, Access::Write).map_err(problem)?;
    let (offset, last) = terms(&headers)?;
    let uploads = api.uploads.get().map_err(unavailable)?;
    let attached = uploads.attach(id, offset, last).await.map_err(upload_problem)?;
    let mut bytes = body.into_data_stream().map_err(std::io::Error::other);
    let recording = attached.feed(&mut bytes).await.map_err(upload_problem)?;
    Ok((StatusCode::NO_CONTENT, upload_headers(&recording)))
}

/// Offset and completeness as the headers give them.
fn terms(headers: &HeaderMap) -> Result<(u64, bool), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if text(header::CONTENT_TYPE) != Some(PARTIAL_UPLOAD) {
        let detail = format!("the body of an upload has the media type {PARTIAL_UPLOAD}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_a_partial_upload", detail));
    }
    let digits = text(UPLOAD_OFFSET).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let offset = digits.and_then(|text| text.parse().ok());
    let offset = offset.ok_or_else(|| {
        Problem::bad_request("bad_upload_offset", "Upload-Offset must be given: the number of durable bytes")
    })?;
    match text(UPLOAD_COMPLETE) {
        Some("?1") => Ok((offset, true)),
        Some("?0") => Ok((offset, false)),
        _ => Err(Problem::bad_request("bad_upload_complete", "Upload-Complete must be given: ?1 or ?0")),
    }
}
