//! Writing a backup.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use lucid_kit::Unavailable;
use lucid_store::Store;
use lucid_vault::{MASTER_FILE, Vault};

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
    let recipient = encrypted.recipient().to_owned();
    {
        let mut archive: Archive<'_> = tar::Builder::new(&mut encrypted);
        head(sources, &mut archive)?;
        // The state first: the head of the chain that it names must be in the chain's snapshot, or the restored chain
        // would count as an old copy. Then all snapshots, one right after the other, however slowly the reader takes
        // them; then the chunks that their rows count; deletions are held up meanwhile.
        tree(&sources.state_dir, Path::new("state"), &mut archive)?;
        let spooled = stores.iter().map(|(place, store)| Ok((*place, spool(sources, store)?)));
        for (place, file) in spooled.collect::<io::Result<Vec<_>>>()? {
            append(&mut archive, Path::new(&format!("{place}.{SNAPSHOT}")), file.metadata()?.len(), file)?;
        }
        tree(&sources.data_root.join("data"), Path::new("data"), &mut archive)?;
        master(vault, &recipient, &mut archive)?;
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

/// The sealed master key. The recovery key that opens the backup must open it, too, and must still be the one in force
/// when the backup ends: else its owner would find out only when everything else is lost.
fn master(vault: &Vault, recipient: &str, archive: &mut Archive<'_>) -> io::Result<()> {
    let (content, in_force) = vault.sealed_master();
    if in_force.as_deref() != Some(recipient) {
        return Err(io::Error::other("a new recovery key was issued while the backup was taken: take it again"));
    }
    append(archive, &Path::new("data").join(MASTER_FILE), content.len() as u64, content.as_slice())
}

/// A snapshot of now, in a file on the data disk that goes with its handle.
fn spool(sources: &Sources, store: &Store) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(sources.data_root.join("backup"))?;
    store.snapshot(&mut file).map_err(io::Error::other)?;
    io::Seek::rewind(&mut file)?;
    Ok(file)
}

/// Every plain file below `dir`, in order, but for stores, their markers, and what stays on its machine.
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
        } else if kind.is_file() && is_saved(&path) && name != Path::new("data").join(MASTER_FILE) {
            match File::open(&path) {
                // One that was removed since it was listed is not part of this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    let file = opened?;
                    append(archive, &name, file.metadata()?.len(), file)?;
                }
            }
        }
    }
    Ok(())
}

fn is_saved(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // Putting a snapshot back makes the store's marker, too.
    let is_store = name.ends_with(".redb") || name.ends_with(".redb.id");
    !is_store && !LEFT_OUT.contains(&name) && !name.starts_with('.')
}

fn append(archive: &mut Archive<'_>, name: &Path, bytes: u64, content: impl io::Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, content)
}
