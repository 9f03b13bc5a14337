//! An export as a directory of this machine's file system.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::{CHUNKS, Files};
use crate::manifest::CHUNKS_MAX;

/// The most directory entries looked at; more than any export has, so that a hostile directory can't fill the memory.
pub const ENTRIES_MAX: usize = CHUNKS_MAX as usize + 1000;

/// An export directory. Symbolic links in it are never followed; the path to it may contain some.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Files for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for (name, is_directory) in entries(&self.0)? {
            if is_directory && name == CHUNKS {
                for (chunk, _) in entries(&self.0.join(CHUNKS))? {
                    names.push(format!("{CHUNKS}/{chunk}"));
                }
            } else {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` leads out of the export")));
        }
        let path = self.0.join(name);
        open_plain(&path).map(|file| Box::new(file) as Box<dyn Read>).map_err(|error| with_path(&path, &error))
    }
}

/// The names in a directory, each with whether it is itself a directory (a link to one is not).
fn entries(path: &Path) -> io::Result<Vec<(String, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| with_path(path, &error))? {
        let entry = entry.map_err(|error| with_path(path, &error))?;
        if entries.len() == ENTRIES_MAX {
            return Err(io::Error::other(format!("`{}` has more than {ENTRIES_MAX} entries", path.display())));
        }
        // A name that is not UTF-8 is none of ours; its printable form serves to report it.
        let is_directory = entry.file_type().map_err(|error| with_path(path, &error))?.is_dir();
        entries.push((entry.file_name().to_string_lossy().into_owned(), is_directory));
    }
    Ok(entries)
}

/// Opens a plain file, no link and no device: opening a pipe could block for ever.
fn open_plain(path: &Path) -> io::Result<File> {
    let before = fs::symlink_metadata(path)?;
    if !before.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a plain file; links are not followed"));
    }
    let file = File::open(path)?;
    if !same_file(&before, &file.metadata()?) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "replaced while it was opened"));
    }
    Ok(file)
}

#[cfg(unix)]
fn same_file(left: &fs::Metadata, right: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (left.dev(), left.ino()) == (right.dev(), right.ino())
}

#[cfg(not(unix))]
fn same_file(left: &fs::Metadata, right: &fs::Metadata) -> bool {
    (left.len(), left.modified().ok()) == (right.len(), right.modified().ok())
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}
