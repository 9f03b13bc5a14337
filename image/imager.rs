//! The manifest by which Raspberry Pi Imager offers the image (rpi-imager, doc/json-schema).

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::compress::Sum;
use crate::inputs::Inputs;

/// The tag by which Imager matches images and boards.
const BOARD: &str = "pi5-64bit";

/// The list with this image as its one entry, and the one board that it is for: Imager's first step offers
/// the boards of the list, and nothing else. `init_format` is none: Imager must not put settings of
/// its own on it. `url` is an address only where one was given; a list with the file's bare name is to be completed by
/// whoever publishes it.
pub(crate) fn manifest(inputs: &Inputs, image: Sum, compressed: Sum) -> Value {
    let file = inputs.name(".img.zst");
    let board = json!({
        "name": "Raspberry Pi 5",
        "description": "Raspberry Pi 5",
        "tags": [BOARD],
        "matching_type": "exclusive",
        "default": true,
        "architecture": "armv8",
    });
    json!({ "imager": { "devices": [board] }, "os_list": [{
        "name": format!("Lucid {}", inputs.version),
        "description": "Records remote-desktop sessions so that they can be proven later. For Raspberry Pi 5.",
        "icon": "icons/use_custom.png",
        "url": inputs.url.clone().unwrap_or(file),
        "extract_size": image.bytes,
        "extract_sha256": image.sha256.to_string(),
        "image_download_size": compressed.bytes,
        "image_download_sha256": compressed.sha256.to_string(),
        "release_date": date(inputs.epoch_s),
        "devices": [BOARD],
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
