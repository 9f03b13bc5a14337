//! Style sheet, scripts and icon: part of the binary, served under a name that changes with their content.
//!
//! So a browser may keep each for ever, and an update is seen at once. Must never serve anything from a file system.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use data_encoding::HEXLOWER;
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use sha2::{Digest, Sha256};

/// Bytes of the hash in a name: 64 bits tell apart what a handful of releases hold.
const HASH_BYTES: usize = 8;

/// One embedded file.
pub(super) struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
    hash: String,
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")));
pub(super) static LIVE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")));
pub(super) static UPLOAD: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("upload.js", "text/javascript; charset=utf-8", include_str!("assets/upload.js")));
pub(super) static UPDATE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("update.js", "text/javascript; charset=utf-8", include_str!("assets/update.js")));
pub(super) static BLAKE3: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("blake3.js", "text/javascript; charset=utf-8", include_str!("assets/blake3.js")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")));

impl Asset {
    fn new(name: &'static str, media_type: &'static str, content: &'static str) -> Self {
        let digest = Sha256::digest(content);
        Self { name, media_type, content, hash: HEXLOWER.encode(&digest[..HASH_BYTES]) }
    }

    /// Where pages find it.
    pub(super) fn path(&self) -> String {
        format!("/static/{}/{}", self.hash, self.name)
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }
}

pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/static/{hash}/{name}", get(serve))
}

async fn serve(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let all = [&STYLE, &LIVE, &UPLOAD, &UPDATE, &BLAKE3, &ICON];
    let Some(asset) = all.into_iter().find(|asset| asset.name == name && asset.hash == hash) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = asset.etag();
    let kept = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|kept| kept == etag);
    let headers = [(ETAG, etag), (CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned())];
    if kept {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, asset.media_type)], asset.content).into_response()
}
