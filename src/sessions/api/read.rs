//! Bytes going out: plaintext, exports, verification.

use std::ops::Range;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use lucid_http::{Caller, Json, Path, Problem, Query};
use lucid_kit::Class;
use lucid_ports::{ChainError, Identity, Load, RecordingsError, SessionId};
use lucid_proof::{
    note::VerifierKey,
    verify::{Report, Trust, Verdict},
};
use serde::{Deserialize, Serialize};

use super::{Api, ApiState, problem, unavailable};
use crate::{
    content,
    export::{Export, ExportError},
    readers::Reading,
    session_api::Access,
};

/// `GET …/content`: the durable plaintext, whole or one range of it (RFC 9110, section 14).
pub(super) async fn content(
    State(api): Api,
    Caller(caller): Caller,
    Path(id): Path<SessionId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let api = api.get().map_err(unavailable)?;
    let recording = api.find(&caller, id, Access::Read).map_err(problem)?;
    require_room(&api)?;
    let place = reader(&api, &caller)?;
    let total = recording.durable_bytes;
    let asked =
        headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(|text| parse_range(text, total));
    let (status, range) = match asked {
        None => (StatusCode::OK, 0..total),
        Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(None) => return Err(unsatisfiable(total)),
    };
    let repository = api.repository.get().map_err(unavailable)?;
    let stream = content::read(repository, api.pool.clone(), &recording, range.clone());
    let stream = stream.map_err(|error| Problem::internal(&error))?;
    let stream = stream.inspect_err(move |error| {
        // The place is held for as long as the body lives.
        let _place = &place;
        let error: &dyn std::error::Error = error;
        tracing::error!(session = %id, error, "reading a recording failed in the middle");
    });
    let mut response = (status, Body::from_stream(stream)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&format!("{id}.bin"))?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{total}", range.start, range.end - 1);
        headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(text).map_err(|error| Problem::internal(&error))?);
    }
    Ok(response)
}

/// The range that a `Range` header asks for: `None` if the header is to be ignored, `Some(None)` if nothing of it is
/// there. Several ranges at once are ignored, as the RFC allows.
fn parse_range(text: &str, total: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let range = match (first, last) {
        ("", suffix) => total.saturating_sub(number(suffix)?)..total,
        (first, "") => number(first)?..total,
        (first, last) => number(first)?..number(last)?.checked_add(1)?.min(total),
    };
    if text.contains(',') { None } else { Some((range.start < range.end).then_some(range)) }
}

fn unsatisfiable(total: u64) -> Problem {
    let detail = format!("the recording has {total} bytes, and the range is beyond them");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail);
    match HeaderValue::try_from(format!("bytes */{total}")) {
        Ok(value) => problem.with_header(header::CONTENT_RANGE, value),
        Err(_) => problem,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// A signed checkpoint, handed out earlier, that the export is to be provable against, too.
    checkpoint: Option<String>,
}

/// `GET …/export`: the recording with its proof as a tar archive.
pub(super) async fn export(
    State(api): Api,
    Caller(caller): Caller,
    Path(id): Path<SessionId>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let api = api.get().map_err(unavailable)?;
    api.find(&caller, id, Access::Read).map_err(problem)?;
    require_room(&api)?;
    let also: Vec<String> = query.checkpoint.into_iter().collect();
    let place = reader(&api, &caller)?;
    let export = gather(&api, id, &also).await?;
    let body = lucid_http::written(move |writer| {
        let _place = place;
        export.write(writer)
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar")),
        (header::CONTENT_DISPOSITION, attachment(&format!("{id}.tar"))?),
    ];
    Ok((headers, body).into_response())
}

/// What a verification on the appliance itself found.
#[derive(Serialize)]
pub(super) struct Verification {
    /// `proven`, `wrong`, `unreadable` or `consistent-untrusted`.
    verdict: &'static str,
    /// What is wrong, and where.
    findings: Vec<String>,
}

/// `POST …/verify`: reads the whole recording and checks it against the appliance's own key. Whoever does not trust the
/// appliance exports it and verifies it elsewhere.
pub(super) async fn verify(
    State(api): Api,
    Caller(caller): Caller,
    Path(id): Path<SessionId>,
) -> Result<Json<Verification>, Problem> {
    let api = api.get().map_err(unavailable)?;
    api.find(&caller, id, Access::Read).map_err(problem)?;
    let _place = reader(&api, &caller)?;
    let export = gather(&api, id, &[]).await?;
    let key: VerifierKey =
        api.chain.key().await.map_err(|error| Problem::unavailable("chain_unavailable", error.to_string()))?;
    let work = move || export.verify(&Trust::Key(key));
    let report = api.pool.run(Class::Background, work).await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(verification(&report)))
}

fn verification(report: &Report) -> Verification {
    let findings = report.findings.iter().map(ToString::to_string).collect();
    let verdict = match report.verdict {
        Verdict::Proven => "proven",
        Verdict::Wrong => "wrong",
        Verdict::Unreadable => "unreadable",
        Verdict::ConsistentUntrusted => "consistent-untrusted",
    };
    Verification { verdict, findings }
}

async fn gather(api: &ApiState, id: SessionId, also: &[String]) -> Result<Export, Problem> {
    let repository = api.repository.get().map_err(unavailable)?;
    Export::gather(repository, &*api.chain, id, also).await.map_err(|error| match error {
        ExportError::NotAnchored(_) => Problem::conflict("not_anchored", error.to_string()),
        ExportError::Chain(ChainError::OutOfRange(text)) => Problem::bad_request("bad_checkpoint", text),
        ExportError::Chain(error) => Problem::unavailable("chain_unavailable", error.to_string()).with_retry_after_s(2),
        ExportError::Repository(crate::repository_error::RepositoryError::NotFound(id)) => {
            problem(RecordingsError::NotFound(id))
        }
        error => Problem::internal(&error),
    })
}

/// A place among those who read.
fn reader(api: &ApiState, caller: &Identity) -> Result<Reading, Problem> {
    let detail = "as many downloads run as allowed: try again when one has ended";
    let refused = || Problem::unavailable("too_many_readers", detail).with_retry_after_s(10);
    api.readers.enter(caller.account).ok_or_else(refused)
}

/// Large reads wait while the box sheds load; the recording goes on.
fn require_room(api: &ApiState) -> Result<(), Problem> {
    if *api.load.borrow() < Load::RecordingOnly {
        return Ok(());
    }
    let detail = "the appliance is hot and does nothing but record: try again in a minute";
    Err(Problem::unavailable("load_shed", detail).with_retry_after_s(60))
}

fn attachment(name: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(format!("attachment; filename=\"{name}\"")).map_err(|error| Problem::internal(&error))
}

#[cfg(test)]
mod tests;
