//! What a root tree must hold, and what it must not: checked before anything is made of it.
//!
//! Everything in the image belongs to root, is read-only, and gains no privileges when it is run.

mod content;
mod overlay;
mod update_root;

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use lucid_layout::paths;

use crate::elf;
use crate::error::{Error, refuse};
use crate::inputs::Inputs;
use crate::tool::read_file;

pub(crate) use update_root::complete;

/// Set-user-id and set-group-id.
const PRIVILEGED_BITS: u32 = 0o6000;

/// One file, folder or link of a tree.
pub(crate) struct Entry {
    /// From the tree's `/`, without it.
    pub(crate) path: PathBuf,
    /// Where it is on this machine.
    pub(crate) source: PathBuf,
    /// Of itself, not of what a link leads to.
    pub(crate) metadata: Metadata,
}

/// Refuses a tree that must not be shipped, with every reason.
pub(crate) fn check(inputs: &Inputs) -> Result<(), Error> {
    let entries = entries(&inputs.root_tree)?;
    let mut problems = privileges(&entries, inputs)?;
    problems.extend(frame(&inputs.root_tree)?);
    problems.extend(overlay::problems(inputs)?);
    problems.extend(content::problems(&entries, inputs)?);
    problems.extend(update_root::problems(inputs)?);
    refuse("the root tree", problems)
}

/// Every entry below `top`, sorted, without `top` itself.
pub(crate) fn entries(top: &Path) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let source = top.join(&folder);
        for entry in fs::read_dir(&source).map_err(Error::file("list", &source))? {
            let entry = entry.map_err(Error::file("list", &source))?;
            let (path, source) = (folder.join(entry.file_name()), entry.path());
            let metadata = source.symlink_metadata().map_err(Error::file("look at", &source))?;
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.push(Entry { path, source, metadata });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Devices, pipes, sockets, and files that lend their owner's rights.
fn privileges(entries: &[Entry], inputs: &Inputs) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    for entry in entries {
        let (path, kind) = (Path::new("/").join(&entry.path), entry.metadata.file_type());
        if kind.is_block_device() || kind.is_char_device() || kind.is_fifo() || kind.is_socket() {
            problems.push(format!("`{}` is a special file; the kernel makes those in /dev", path.display()));
        }
        if inputs.allow_privileged.contains(&path) {
            continue;
        }
        if entry.metadata.is_file() && entry.metadata.permissions().mode() & PRIVILEGED_BITS != 0 {
            problems.push(format!("`{}` is set-user-id or set-group-id and not on the list", path.display()));
        }
        if entry.metadata.is_file() && has_capabilities(&entry.source)? {
            problems.push(format!("`{}` carries capabilities, which the image leaves out", path.display()));
        }
    }
    Ok(problems)
}

fn has_capabilities(path: &Path) -> Result<bool, Error> {
    use rustix::io::Errno;
    match rustix::fs::lgetxattr(path, "security.capability", &mut [0_u8; 0][..]) {
        Ok(_) => Ok(true),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(Error::file("look at", path)(error.into())),
    }
}

/// The parts that the boot rests on.
fn frame(top: &Path) -> Result<Vec<String>, Error> {
    let at = |path: &str| top.join(path.trim_start_matches('/'));
    let mut problems = Vec::new();
    let mode = top.metadata().map_err(Error::file("look at", top))?.permissions().mode() & 0o7777;
    if mode != 0o755 {
        problems.push(format!("`/` has mode {mode:o}; only 755 lets everybody in and nobody write"));
    }
    for path in paths::MOUNT_POINTS {
        let folder = at(path);
        if folder.is_symlink() || !folder.is_dir() {
            problems.push(format!("`{path}` is no folder; something is mounted on it"));
        } else if fs::read_dir(&folder).map_err(Error::file("list", &folder))?.next().is_some() {
            problems.push(format!("`{path}` is not empty; what is mounted there would hide its files"));
        }
    }
    let machine_id = at(paths::ETC_MACHINE_ID);
    if !machine_id.symlink_metadata().is_ok_and(|file| file.is_file() && file.len() == 0) {
        problems.push(format!("`{}` is no empty file; each machine makes its own", paths::ETC_MACHINE_ID));
    }
    problems.extend(binary(&at(paths::BINARY), &at(paths::INIT))?);
    Ok(problems)
}

fn binary(binary: &Path, init: &Path) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    let metadata = binary.symlink_metadata();
    if !metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o555 == 0o555) {
        problems.push(format!("`{}` is missing, or not everybody may run it", paths::BINARY));
    } else if let Some(what) = elf::problem(&read_file(binary)?) {
        problems.push(format!("`{}` {what}", paths::BINARY));
    }
    let target = fs::read_link(init).ok();
    if !target.is_some_and(|target| [Path::new("lucid"), Path::new(paths::BINARY)].contains(&target.as_path())) {
        problems.push(format!("`{}` is no link to `lucid`; the kernel starts it", paths::INIT));
    }
    Ok(problems)
}
