//! The root file system, by mkfs.erofs.

use std::path::Path;

use crate::error::Error;
use crate::inputs::Inputs;
use crate::tool::MKFS_EROFS;

/// Its UUID. Nothing looks for it; without it each build would have another.
const UUID: &str = "6c756369-6400-4000-8000-0000000000e0";

/// Largest piece that is compressed at once, in bytes: reads of small files cost no more than this.
const CLUSTER_BYTES: u32 = 64 * 1024;

/// Makes `image` of `tree`. Owners, times and extended attributes of this machine stay out.
pub(crate) fn make(inputs: &Inputs, tree: &Path, image: &Path) -> Result<(), Error> {
    let compression = format!("-z{}", inputs.quality.erofs_compression());
    let options = [
        compression,
        format!("-C{CLUSTER_BYTES}"),
        format!("-T{}", inputs.epoch_s),
        format!("-U{UUID}"),
        "--all-root".to_owned(),
        "-x-1".to_owned(),
        "--quiet".to_owned(),
    ];
    MKFS_EROFS.args(options).at(inputs.epoch_s).arg(image).arg(tree).bytes().map(drop)
}
