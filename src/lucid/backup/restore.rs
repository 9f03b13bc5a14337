//! Putting a backup back, on this machine or on new hardware.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use lucid_chain::ChainStore;
use lucid_client::Console;
use lucid_store::{MODE_SECRET, Options, Schema, Store};
use lucid_vault::{OnOtherIdentity, Vault, VaultError, decrypt_with_recovery};

use super::{FORMAT, HEAD, SNAPSHOT};
use crate::{
    cli,
    command::terminal::{Terminal, read_secret},
    failure::Failure,
};

/// The head is a few lines of JSON.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// `lucid restore --backup`. Nothing is put in force before the whole backup was read and found whole.
pub(crate) fn restore(args: &cli::Restore) -> Result<ExitCode, Failure> {
    let (Some(backup), Some(data), Some(state)) = (&args.backup, &args.data_dir, &args.state_dir) else {
        return Err(Failure::Usage("give --backup, --data-dir and --state-dir".to_owned()));
    };
    let io = |attempted: String| move |source| Failure::Io { attempted, source };
    let key = read_secret("Recovery key").map_err(io("read the recovery key".to_owned()))?;
    for target in [data, state] {
        require_empty(target).map_err(io(format!("use `{}`: it must be empty or not there yet", target.display())))?;
    }
    let file = File::open(backup).map_err(io(format!("open the backup `{}`", backup.display())))?;
    let name = || format!("restore `{}`", backup.display());
    let reader =
        decrypt_with_recovery(io::BufReader::new(file), key.expose()).map_err(|error| Failure::other(name(), error))?;
    let (state_draft, data_draft) = (draft(state), draft(data));
    let unpacked = fill(reader, &state_draft, &data_draft, key.expose())
        .and_then(|()| std::fs::rename(&state_draft, state))
        .and_then(|()| std::fs::rename(&data_draft, data));
    if let Err(error) = unpacked {
        for leftover in [&state_draft, &data_draft] {
            // What can't be removed is named by the error below, and harms nobody.
            let _ = std::fs::remove_dir_all(leftover);
        }
        return Err(io(name())(error));
    }
    Terminal.line(&format!(
        "restored to `{}` and `{}`; start the appliance to use them",
        state.display(),
        data.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Makes both directories from a decrypted backup, ready to be started from.
pub(super) fn fill(reader: impl Read, state: &Path, data: &Path, recovery_key: &str) -> io::Result<()> {
    unpack(reader, state, data)?;
    take_over(state, data, recovery_key).map_err(io::Error::other)?;
    catch_up(data)
}

/// The recordings were copied after the chain: those that count as anchored in blocks that it does not have wait for
/// their anchor again.
fn catch_up(data: &Path) -> io::Result<()> {
    let chain = Store::open(&store_of(data, &lucid_chain::SCHEMA)?, &lucid_chain::SCHEMA, Options::default());
    let newest = chain.and_then(|chain| ChainStore::height_in(&chain)).map_err(io::Error::other)?;
    let path = store_of(data, &lucid_sessions::SCHEMA)?;
    let recordings = Store::open(&path, &lucid_sessions::SCHEMA, Options::default()).map_err(io::Error::other)?;
    let waiting = lucid_sessions::unanchor_above(&recordings, newest).map_err(io::Error::other)?;
    if waiting > 0 {
        Terminal.line(&format!(
            "{waiting} recordings were anchored while the backup was taken: they will be anchored anew"
        ));
    }
    Ok(())
}

/// The file of a service's store, which every backup has.
fn store_of(data: &Path, schema: &Schema) -> io::Result<PathBuf> {
    let path = data.join("data").join(schema.name).join(format!("{}.redb", schema.name));
    if path.exists() { Ok(path) } else { Err(wrong(&format!("it holds no store `{}`", schema.name))) }
}

/// The device secret stays on its machine, so this one gets its own. The identity is the one that the state brought.
fn take_over(state: &Path, data: &Path, recovery_key: &str) -> Result<(), VaultError> {
    Vault::recover(state, &data.join("data"), recovery_key, OnOtherIdentity::Keep).map(drop)
}

/// Where the backup is unpacked until it is known to be whole: beside its place, so that a rename puts it there.
fn draft(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".restoring");
    name.into()
}

fn require_empty(target: &Path) -> io::Result<()> {
    match std::fs::remove_dir(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Unpacks everything below the two directories.
fn unpack(reader: impl Read, state: &Path, data: &Path) -> io::Result<()> {
    for directory in [state.to_owned(), data.join("data"), data.join("logs"), data.join("backup")] {
        std::fs::create_dir_all(directory)?;
    }
    let mut archive = tar::Archive::new(reader);
    let mut entries = archive.entries()?;
    check_head(entries.next().ok_or_else(|| wrong("it is empty"))??)?;
    for entry in entries {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if !entry.header().entry_type().is_file() || !name.components().all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(wrong(&format!("`{}` is no plain file below it", name.display())));
        }
        let path = match (name.strip_prefix("state"), name.strip_prefix("data")) {
            (Ok(rest), _) => state.join(rest),
            (_, Ok(rest)) => data.join("data").join(rest),
            _ => return Err(wrong(&format!("`{}` has no place", name.display()))),
        };
        place(&mut entry, &path)
            .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))?;
    }
    // The archive ends before the encryption does; reading on proves that nothing was cut off.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

fn check_head(entry: tar::Entry<'_, impl Read>) -> io::Result<()> {
    let is_head = entry.path()?.as_ref() == Path::new(HEAD);
    let mut text = String::new();
    entry.take(HEAD_BYTES_MAX).read_to_string(&mut text)?;
    let head: serde_json::Value = serde_json::from_str(&text).map_err(|_| wrong("its head is not JSON"))?;
    if is_head && head["format"] == FORMAT { Ok(()) } else { Err(wrong("it is not a backup that this release reads")) }
}

fn place(entry: &mut impl Read, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if path.extension().is_some_and(|extension| extension == SNAPSHOT) {
        let store = path.with_extension("");
        let schema =
            schema(&store).ok_or_else(|| wrong(&format!("`{}` is no store of this release", store.display())))?;
        Store::restore_from(&store, entry, schema).map_err(io::Error::other)?;
        return Ok(());
    }
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(MODE_SECRET).open(path)?;
    io::copy(entry, &mut file)?;
    file.sync_all()
}

/// The schema of a store, by its file name.
fn schema(store: &Path) -> Option<&'static Schema> {
    let known = [&lucid_foundation::auth_service::SCHEMA, &lucid_chain::SCHEMA, &lucid_sessions::SCHEMA];
    let name = store.file_stem()?.to_str()?;
    known.into_iter().find(|schema| schema.name == name)
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the backup can't be used: {what}"))
}
