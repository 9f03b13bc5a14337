//! Writing a backup.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use lucid_kit::Unavailable;
use lucid_store::Store;
use lucid_vault::Vault;

use super::{FORMAT, HEAD, LEFT_OUT, SNAPSHOT, Sources};

type Archive<'a> = tar::Builder<&'a mut dyn Write>;

/// The stores of all services; fails while one does not run, because half a backup is none.
pub(super) fn open_stores(sources: &Sources) -> Result<Vec<(&'static str, Store)>, Unavailable> {
    sources.stores.iter().map(|source| Ok((source.place, (source.store)()?))).collect()
}

/// Writes the whole backup, encrypted. Blocking.
pub(super) fn save(
    sources: &Sources,
    stores: &[(&'static str, Store)],
    vault: &Vault,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let mut encrypted = vault.encrypt_to_recovery(writer).map_err(io::Error::other)?;
    {
        let mut archive: Archive<'_> = tar::Builder::new(&mut encrypted);
        head(sources, &mut archive)?;
        // Keys first, then the rows that need them, then the chunks that the rows count; deletions are held up meanwhile.
        for (place, store) in stores {
            snapshot(sources, place, store, &mut archive)?;
        }
        tree(&sources.state_dir, Path::new("state"), &mut archive)?;
        tree(&sources.data_root.join("data"), Path::new("data"), &mut archive)?;
        archive.finish()?;
    }
    encrypted.finish()?;
    Ok(())
}

fn head(sources: &Sources, archive: &mut Archive<'_>) -> io::Result<()> {
    let head = serde_json::json!({
        "format": FORMAT,
        "lucid": env!("CARGO_PKG_VERSION"),
        "created_ms": sources.clock.now().unix_ms,
    });
    let text = format!("{head:#}\n");
    append(archive, Path::new(HEAD), text.len() as u64, text.as_bytes())
}

/// A snapshot's length is known only when it is written: it takes the way over a file on the data disk.
fn snapshot(sources: &Sources, place: &str, store: &Store, archive: &mut Archive<'_>) -> io::Result<()> {
    let mut spool = tempfile::tempfile_in(sources.data_root.join("backup"))?;
    store.snapshot(&mut spool).map_err(io::Error::other)?;
    io::Seek::rewind(&mut spool)?;
    append(archive, Path::new(&format!("{place}.{SNAPSHOT}")), spool.metadata()?.len(), spool)
}

/// Every plain file below `dir`, in order, but for stores and what stays on its machine.
fn tree(dir: &Path, name: &Path, archive: &mut Archive<'_>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        let Some(file_name) = path.file_name() else { continue };
        let name = name.join(file_name);
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() {
            tree(&path, &name, archive)?;
        } else if kind.is_file() && is_saved(&path) {
            // A file that was replaced or removed since it was listed is not part of this moment.
            let Ok(file) = File::open(&path) else { continue };
            append(archive, &name, file.metadata()?.len(), file)?;
        }
    }
    Ok(())
}

fn is_saved(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_store = path.extension().is_some_and(|extension| extension == "redb");
    !is_store && !LEFT_OUT.contains(&name) && !name.starts_with('.')
}

fn append(archive: &mut Archive<'_>, name: &Path, bytes: u64, content: impl io::Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, content)
}
