//! The manifest by which Raspberry Pi Imager offers the image (rpi-imager, doc/json-schema).

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::compress::Sum;
use crate::inputs::Inputs;

/// The list with this image as its one entry. `init_format` is none: Imager must not put settings of its own on it.
pub(crate) fn manifest(inputs: &Inputs, image: Sum, compressed: Sum) -> Value {
    let file = inputs.name(".img.zst");
    json!({ "os_list": [{
        "name": format!("Lucid {}", inputs.version),
        "description": "Records remote-desktop sessions so that they can be proven later. For Raspberry Pi 5.",
        "icon": "icons/use_custom.png",
        "url": inputs.url.clone().unwrap_or(file),
        "extract_size": image.bytes,
        "extract_sha256": image.sha256.to_string(),
        "image_download_size": compressed.bytes,
        "image_download_sha256": compressed.sha256.to_string(),
        "release_date": date(inputs.epoch_s),
        "devices": ["pi5-64bit"],
        "init_format": "none",
        "architecture": "armv8",
    }] })
}

/// The day of a time, as `2026-01-31`.
fn date(epoch_s: u64) -> String {
    moment(epoch_s).date().to_string()
}

/// A time that [`Inputs::check`] has accepted.
pub(crate) fn moment(epoch_s: u64) -> OffsetDateTime {
    let seconds = i64::try_from(epoch_s).ok();
    let moment = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.expect("the inputs' time lies between 1980 and 2037")
}
