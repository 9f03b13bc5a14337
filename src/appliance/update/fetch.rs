//! Fetching over HTTP from a server that nobody needs to trust: what comes is bounded in size and time, and the agent
//! checks every byte of it.
//!
//! Must never send anything that tells who asks: no cookie, no referrer, no identity of the box.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::StatusCode;
use http::header::{CONTENT_RANGE, RANGE};
use lucid_device::Clock;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response};
use tokio::time::Instant;

use super::settings::UpdateUrl;
use super::tls;

/// A server that is there answers the first packet within seconds, also over a mobile network.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// Longest silence, as the agent bears it too.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// In this time of waiting for the server at least [`PACE_BYTES`] come: 1.7 kB/s. Slower ones would take days.
pub(crate) const PACE_TIME: Duration = Duration::from_secs(600);
/// See [`PACE_TIME`].
pub(crate) const PACE_BYTES: u64 = 1024 * 1024;
/// Redirects that are followed: a download page, its mirror, and one to spare.
const REDIRECTS_MAX: usize = 5;
/// How large a bundle may be: both partitions, not compressed at all, and its header.
pub(crate) const BUNDLE_BYTES_MAX: u64 = 1100 * 1024 * 1024;

/// Why nothing could be fetched. [`FetchError::is_worth_a_retry`] tells what may pass.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The HTTP client can't be made.
    #[error("fetching can't be set up: restart the appliance")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection, or it broke.
    #[error("the server can't be reached: check the address, and the box's way to the internet")]
    Connection(#[source] reqwest::Error),
    /// The server refused.
    #[error("the server answered {status}: check the address")]
    Status {
        /// With this status.
        status: StatusCode,
    },
    /// Not the part that was asked for.
    #[error("the server answered with another part of the file than was asked for: serve it from another server")]
    Range,
    /// More bytes than there may be.
    #[error("the file is larger than the {bytes_max} bytes that it may have: check the address")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// Too slow to ever end.
    #[error("the server is too slow: under {PACE_BYTES} bytes in {} minutes", PACE_TIME.as_secs() / 60)]
    TooSlow,
}

impl FetchError {
    /// Whether the same may work later.
    pub(crate) fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Connection(_) | Self::TooSlow => true,
            Self::Status { status } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Setup(_) | Self::Range | Self::TooLarge { .. } => false,
        }
    }
}

/// A file, from some byte on.
pub(crate) struct Body {
    /// Where in the file [`Body::bytes`] begin: what was asked for, or 0 where the server knows no ranges.
    pub(crate) offset: u64,
    /// Size of the whole file, where the server tells.
    pub(crate) of_bytes: Option<u64>,
    /// The bytes from there on. An error ends them, and has a [`FetchError`] in it.
    pub(crate) bytes: BoxStream<'static, io::Result<Bytes>>,
}

/// Fetches. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher(Client);

impl Fetcher {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Result<Self, FetchError> {
        let tls = tls::client(tls::world(), clock).map_err(|error| FetchError::Setup(error.into()))?;
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(Policy::custom(follow))
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            .user_agent("lucid-update");
        builder.build().map(Self).map_err(|error| FetchError::Setup(error.into()))
    }

    /// A file from `offset` on, of at most `bytes_max` bytes in all.
    pub(crate) async fn open(&self, url: &UpdateUrl, offset: u64, bytes_max: u64) -> Result<Body, FetchError> {
        let mut request = self.0.get(url.url().clone());
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        let response = request.send().await.map_err(FetchError::Connection)?;
        let (offset, of_bytes) = part(&response, offset)?;
        if of_bytes.is_some_and(|bytes| bytes > bytes_max) {
            return Err(FetchError::TooLarge { bytes_max });
        }
        let left = bytes_max.saturating_sub(offset);
        let source = Source { response, left, bytes_max, pace: Pace::default() };
        let bytes = stream::try_unfold(source, |mut source| async move {
            let piece = source.next().await.map_err(io::Error::other)?;
            Ok(piece.map(|piece| (piece, source)))
        });
        Ok(Body { offset, of_bytes, bytes: bytes.boxed() })
    }

    /// A whole small file.
    pub(crate) async fn whole(&self, url: &UpdateUrl, bytes_max: u64) -> Result<Vec<u8>, FetchError> {
        let mut source = self.open_plain(url, bytes_max).await?;
        let mut file = Vec::new();
        while let Some(piece) = source.next().await? {
            file.extend_from_slice(&piece);
        }
        Ok(file)
    }

    async fn open_plain(&self, url: &UpdateUrl, bytes_max: u64) -> Result<Source, FetchError> {
        let response = self.0.get(url.url().clone()).send().await.map_err(FetchError::Connection)?;
        part(&response, 0)?;
        Ok(Source { response, left: bytes_max, bytes_max, pace: Pace::default() })
    }
}

/// To the same scheme or from `http` to `https`, a few times.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let former = attempt.previous().last().map(|url| url.scheme().to_owned());
    let is_as_safe = attempt.url().scheme() == "https" || former.as_deref() == Some(attempt.url().scheme());
    if attempt.previous().len() > REDIRECTS_MAX {
        attempt.error("the server redirects too often")
    } else if !is_as_safe {
        attempt.error("the server redirects from https to something less safe")
    } else {
        attempt.follow()
    }
}

/// Which part a reply holds: where it begins, and how large the whole is.
fn part(response: &Response, asked: u64) -> Result<(u64, Option<u64>), FetchError> {
    match response.status() {
        StatusCode::OK => Ok((0, response.content_length())),
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let (first, of_bytes) = range.and_then(content_range).ok_or(FetchError::Range)?;
            if first == asked { Ok((first, of_bytes)) } else { Err(FetchError::Range) }
        }
        status => Err(FetchError::Status { status }),
    }
}

/// `bytes FIRST-LAST/TOTAL` (RFC 9110, section 14.4); `*` for a total that is not known.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (first <= last && total.is_none_or(|total: u64| last < total)).then_some((first, total))
}

/// A reply that is being read.
struct Source {
    response: Response,
    left: u64,
    bytes_max: u64,
    pace: Pace,
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let began = Instant::now();
        let piece = self.response.chunk().await.map_err(FetchError::Connection)?;
        let Some(piece) = piece else { return Ok(None) };
        let bytes = piece.len() as u64;
        self.left = self.left.checked_sub(bytes).ok_or(FetchError::TooLarge { bytes_max: self.bytes_max })?;
        self.pace.add(began.elapsed(), bytes)?;
        Ok(Some(piece))
    }
}

/// How fast the other end is. The time in which we do not ask, because the disk is slow, is not counted.
#[derive(Default)]
pub(crate) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// So many bytes came after so long a wait.
    pub(crate) fn add(&mut self, waited: Duration, bytes: u64) -> Result<(), FetchError> {
        self.waited += waited;
        self.bytes += bytes;
        if self.bytes >= PACE_BYTES {
            *self = Self::default();
        }
        if self.waited > PACE_TIME { Err(FetchError::TooSlow) } else { Ok(()) }
    }

    /// How long may be waited for the next bytes.
    pub(crate) fn left(&self) -> Duration {
        PACE_TIME.saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests;
