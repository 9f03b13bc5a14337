//! Schema versions: what a file holds, who may read it, how it becomes the next version.
//!
//! Owns the `_store` table with its one row. Promises: a release reads its own version N and N-1; a file that a release
//! can't read is refused with a clear error and left untouched; a migration happens in one transaction together with
//! the new version number, or not at all. A migration that the previous release can't read waits for
//! [`Options::migrate`], because rolling the system back does not roll data back. Must never guess a version.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::table::{Json, Table};
use crate::tx::{Reader, WriteTx};

/// What a release knows about one store.
#[derive(Debug)]
pub struct Schema {
    /// The service's name; a file of another name is refused.
    pub name: &'static str,
    /// The version that this release writes, from 1.
    pub version: u32,
    /// The way from `version - 1`; older ones may be left out.
    pub migrations: &'static [Migration],
    /// Whether the release before this one reads `version` too. If so, the migration needs no permission.
    pub readable_by_previous: bool,
}

/// One step from one version to the next.
#[derive(Debug)]
pub struct Migration {
    /// The version before.
    pub from: u32,
    /// The version after.
    pub to: u32,
    /// Changes the rows. Runs once, in one transaction with the version number.
    pub run: fn(&mut WriteTx<'_>) -> Result<(), StoreError>,
}

/// How to open a store.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether a migration may run after which the previous release can't read the file: false until the system's new
    /// slot is committed.
    pub migrate: bool,
    /// Memory for redb's page cache in bytes.
    pub cache_bytes: usize,
}

/// redb's own default is 1 GiB; the whole box has 150 MB when idle, shared by some ten stores.
pub const CACHE_BYTES_DEFAULT: usize = 8 * 1024 * 1024;

impl Default for Options {
    fn default() -> Self {
        Self { migrate: true, cache_bytes: CACHE_BYTES_DEFAULT }
    }
}

/// What the file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The schema's name.
    pub(crate) schema: String,
    /// The version of the rows.
    pub(crate) version: u32,
    /// The oldest release, by its schema version, that reads the rows.
    pub(crate) reader_min: u32,
}

/// The store's own table. Not part of a snapshot's rows: its content is the snapshot's header.
const STORE: Table<u8, Json<Stamp>> = Table::internal(STORE_TABLE);

/// Its name, which no service can choose.
pub(crate) const STORE_TABLE: &str = "_store";

/// The only key in it.
const STAMP: u8 = 0;

impl Schema {
    /// The stamp of a file that this release makes or migrates.
    pub(crate) fn stamp(&self) -> Stamp {
        let reader_min = if self.readable_by_previous { self.version.saturating_sub(1).max(1) } else { self.version };
        Stamp { schema: self.name.to_owned(), version: self.version, reader_min }
    }

    /// Refuses a file that this release can't read.
    pub(crate) fn check(&self, path: &Path, stamp: &Stamp) -> Result<(), StoreError> {
        let (path, found) = (path.to_path_buf(), stamp.version);
        let oldest = self.version.saturating_sub(1).max(1);
        if stamp.schema != self.name {
            let (expected, found) = (self.name.to_owned(), stamp.schema.clone());
            return Err(StoreError::WrongSchema { path, expected, found });
        }
        if stamp.reader_min > self.version {
            return Err(StoreError::TooNew { path, found, newest: self.version });
        }
        if found < oldest {
            return Err(StoreError::TooOld { path, found, oldest });
        }
        Ok(())
    }

    /// The migration that opening is to run, if one is due and allowed. One that is due and does not exist is an error
    /// also where it would have to wait: a release on trial must not seem to work on data that it can never take over.
    pub(crate) fn due(&self, stamp: &Stamp, options: Options) -> Result<Option<&'static Migration>, StoreError> {
        if stamp.version >= self.version {
            return Ok(None);
        }
        let found = self.migrations.iter().find(|step| (step.from, step.to) == (stamp.version, self.version));
        let missing =
            || StoreError::NoMigration { schema: self.name.to_owned(), from: stamp.version, to: self.version };
        let found = found.ok_or_else(missing)?;
        Ok((options.migrate || self.readable_by_previous).then_some(found))
    }
}

/// The stamp in the file, if it has one.
pub(crate) fn read_stamp(tx: &impl Reader) -> Result<Option<Stamp>, StoreError> {
    tx.get(&STORE, &STAMP)
}

/// Writes the stamp.
pub(crate) fn write_stamp(tx: &mut WriteTx<'_>, stamp: &Stamp) -> Result<(), StoreError> {
    tx.put(&STORE, &STAMP, stamp)
}
