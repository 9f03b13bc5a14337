//! Opening, making and restoring the file of a store.
//!
//! A new file is made under a temporary name, complete with its stamp, and renamed into place; then a marker is written
//! beside it (`NAME.redb.id`). So a file under its own name is always a whole store, and a file that is missing while
//! its marker is there was lost: that is an error and never an empty store. Must never replace, truncate or delete a
//! store.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageBackend};

use crate::error::{StoreError, text_of_panic};
use crate::file::{parent, rename_to_free, sync_dir, write_file};
use crate::schema::{Migration, Options, Schema, Stamp, read_stamp, write_stamp};
use crate::tx::{ReadTx, WriteTx};

/// Largest file in bytes that opening checks whole: at about 500 MB/s from an NVMe drive half a second, which a start
/// can bear.
pub const CHECK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A database that is open, stamped, checked and migrated as far as allowed.
pub(crate) struct Opened {
    pub(crate) database: Database,
    /// The version of the rows: the schema's, or one less while a migration waits, or one more after a roll-back.
    pub(crate) version: u32,
}

/// Opens the store at `path`; makes it if neither it nor its marker is there.
pub(crate) fn open_file(path: &Path, schema: &Schema, options: Options) -> Result<Opened, StoreError> {
    let marker = marker_of(path);
    match (exists(path)?, exists(&marker)?) {
        (false, true) => return Err(StoreError::Missing { path: path.to_path_buf(), marker }),
        (false, false) => create_file(path, options, |database| stamp_new(database, path, &schema.stamp()))?,
        (true, _) => {}
    }
    let size_bytes = fs::metadata(path).map_err(|error| StoreError::io("read the size of", path, error))?.len();
    let opened = unpanicked(path, || {
        let database = builder(options).open(path).map_err(|error| open_error(path, error))?;
        settle(database, path, schema, options, size_bytes)
    })?;
    write_marker(&marker, schema)?;
    Ok(opened)
}

/// redb asserts its format while it reads: of some damaged files it panics before it comes to their checksums.
fn unpanicked<T>(path: &Path, open: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|panic| {
        let detail = format!("reading it failed: {}", text_of_panic(&*panic));
        Err(StoreError::Corrupt { path: path.to_path_buf(), detail })
    })
}

/// Opens a store on a storage backend, for tests: no marker, no rename, the same otherwise.
pub(crate) fn open_backend(
    backend: impl StorageBackend,
    path: &Path,
    schema: &Schema,
    options: Options,
) -> Result<Opened, StoreError> {
    let size_bytes = backend.len().map_err(|error| StoreError::io("read the size of", path, error))?;
    let database = builder(options).create_with_backend(backend).map_err(|error| open_error(path, error))?;
    if stamp_of(&database, path)?.is_none() {
        stamp_new(&database, path, &schema.stamp())?;
    }
    settle(database, path, schema, options, size_bytes)
}

/// Makes a whole new store file under a temporary name and renames it to `path`, which must be free.
pub(crate) fn create_file(
    path: &Path,
    options: Options,
    fill: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let temp = with_suffix(path, ".new");
    remove_leftover(&temp)?;
    let made = make(&temp, options, fill).and_then(|()| rename_to_free(&temp, path));
    if let Err(error) = made {
        remove_leftover(&temp)?;
        return Err(error);
    }
    sync_dir(parent(path))
}

/// Writes the marker that tells a lost store from a new one, if it is not there.
pub(crate) fn write_marker(marker: &Path, schema: &Schema) -> Result<(), StoreError> {
    if exists(marker)? {
        return Ok(());
    }
    let text =
        format!("The store `{}` was made beside this file. Delete this file only to start it empty.\n", schema.name);
    write_file(marker, text.as_bytes(), 0o600)
}

/// `NAME.redb` has the marker `NAME.redb.id`.
pub(crate) fn marker_of(path: &Path) -> PathBuf {
    with_suffix(path, ".id")
}

/// Whether something is at `path`; an error that is not "not there" is one.
pub(crate) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| StoreError::io("look for", path, error))
}

/// Checks the whole file: checksums of all pages, structure, allocator.
pub(crate) fn check(database: &mut Database, path: &Path) -> Result<(), StoreError> {
    let sound = database.check_integrity().map_err(|error| open_error(path, error))?;
    if !sound {
        tracing::warn!(path = %path.display(), "the store's integrity check failed and the store was repaired");
    }
    Ok(())
}

fn make(
    temp: &Path,
    options: Options,
    fill: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let database = builder(options).create(temp).map_err(|error| open_error(temp, error))?;
    fill(&database)?;
    drop(database);
    let file = fs::File::open(temp).map_err(|error| StoreError::io("open", temp, error))?;
    file.sync_all().map_err(|error| StoreError::io("sync", temp, error))
}

fn builder(options: Options) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    builder
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_leftover(temp: &Path) -> Result<(), StoreError> {
    match fs::remove_file(temp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", temp, error)),
        _ => Ok(()),
    }
}

/// Checks schema and integrity, and runs the migration that is due.
fn settle(
    mut database: Database,
    path: &Path,
    schema: &Schema,
    options: Options,
    size_bytes: u64,
) -> Result<Opened, StoreError> {
    let stamp = stamp_of(&database, path)?.ok_or_else(|| no_stamp(path))?;
    schema.check(path, &stamp)?;
    if size_bytes <= CHECK_BYTES_MAX {
        check(&mut database, path)?;
    }
    let version = match schema.due(&stamp, options)? {
        Some(migration) => migrate(&database, path, schema, migration)?,
        None => stamp.version,
    };
    Ok(Opened { database, version })
}

/// A file that redb takes and that has no stamp was not made here, or lost its roots.
fn no_stamp(path: &Path) -> StoreError {
    StoreError::Corrupt { path: path.to_path_buf(), detail: "it carries no schema version".to_owned() }
}

fn stamp_of(database: &Database, path: &Path) -> Result<Option<Stamp>, StoreError> {
    let tx = database.begin_read().map_err(|error| StoreError::engine("read", path, error))?;
    read_stamp(&ReadTx { tx, path }).map_err(|error| match error {
        StoreError::BadKey { .. } | StoreError::BadValue { .. } => {
            StoreError::Corrupt { path: path.to_path_buf(), detail: "its schema version is not readable".to_owned() }
        }
        error => error,
    })
}

fn stamp_new(database: &Database, path: &Path, stamp: &Stamp) -> Result<(), StoreError> {
    transact(database, path, |tx| write_stamp(tx, stamp))
}

fn migrate(database: &Database, path: &Path, schema: &Schema, migration: &Migration) -> Result<u32, StoreError> {
    transact(database, path, |tx| {
        (migration.run)(tx)?;
        write_stamp(tx, &schema.stamp())
    })?;
    tracing::info!(store = schema.name, from = migration.from, to = migration.to, "store migrated");
    Ok(schema.version)
}

/// One transaction outside of the group commit, before the store is handed out.
pub(crate) fn transact(
    database: &Database,
    path: &Path,
    run: impl FnOnce(&mut WriteTx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let tx = database.begin_write().map_err(|error| StoreError::engine("write to", path, error))?;
    run(&mut WriteTx::new(&tx, path))?;
    tx.commit().map_err(|error| StoreError::engine("commit to", path, error))
}

/// Whether an I/O error comes from what the file says, and not from the disk: redb reports a bad header as invalid
/// data, and follows garbled page numbers beyond the file's end or beyond what the system takes for an offset.
fn is_content(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput)
}

/// What redb says of a file that it does not take at all is a damaged file.
fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::Storage(redb::StorageError::Io(error)) if is_content(error.kind()) => {
            StoreError::Corrupt { path: path.to_path_buf(), detail: error.to_string() }
        }
        DatabaseError::UpgradeRequired(version) => StoreError::Corrupt {
            path: path.to_path_buf(),
            detail: format!("its file format {version} is not the one in use"),
        },
        error => StoreError::engine("open", path, error),
    }
}

#[cfg(test)]
mod tests;
