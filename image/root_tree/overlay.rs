//! Whether what the project adds to the root has arrived: builders of root trees drop files silently.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lucid_layout::paths;

use super::{Entry, entries};
use crate::error::Error;
use crate::inputs::{Inputs, Overlay};
use crate::tool::read_file;

/// The folder of an overlay whose files belong on the boot partitions: config.txt, which is an input of its own.
const BOOT: &str = "boot";

pub(super) fn problems(inputs: &Inputs) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    for overlay in &inputs.overlay {
        for entry in entries(&overlay.dir)?.iter().filter(|entry| !entry.path.starts_with(BOOT)) {
            problems.extend(problem(entry, overlay, &inputs.root_tree)?);
        }
    }
    Ok(problems)
}

fn problem(entry: &Entry, overlay: &Overlay, root_tree: &Path) -> Result<Option<String>, Error> {
    let path = overlay.prefix.join(&entry.path);
    let arrived = root_tree.join(&path);
    let is_same = match arrived.symlink_metadata() {
        Err(_) => false,
        Ok(there) if entry.metadata.is_dir() => there.is_dir(),
        Ok(there) if entry.metadata.is_symlink() => {
            there.is_symlink() && fs::read_link(&arrived).ok() == fs::read_link(&entry.source).ok()
        }
        // Emptied by every builder, whatever the overlay holds; that it is empty is checked elsewhere.
        Ok(there) if Path::new("/").join(&path) == Path::new(paths::ETC_MACHINE_ID) => there.is_file(),
        Ok(there) => {
            let runs = |file: &fs::Metadata| file.permissions().mode() & 0o100 != 0;
            there.is_file()
                && runs(&there) == runs(&entry.metadata)
                && read_file(&arrived)? == read_file(&entry.source)?
        }
    };
    Ok((!is_same)
        .then(|| format!("`{}` did not arrive in the root as it is at `/{}`", entry.source.display(), path.display())))
}
