//! Reading and writing tables within one transaction.
//!
//! Owns the step from typed rows to redb's byte tables. A transaction sees one consistent state; a write transaction
//! also sees its own writes. Every read that can return many rows takes a limit. Must never hand out a redb type.

use std::ops::{Bound, RangeBounds};
use std::path::Path;

use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, TableError};

use crate::error::StoreError;
use crate::key::{Key, decoded, encoded};
use crate::table::{Codec, Table};

/// Longest key in bytes: redb keeps keys in branch pages of 4 KiB, and longer ones make them degenerate.
pub const KEY_BYTES_MAX: usize = 2048;

/// Longest value in bytes: a row is read whole into memory; what is larger is a blob.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;

type Bytes = &'static [u8];
type Row<K, V> = (K, <V as Codec>::Item);
type ByteRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A table as the file has it.
pub(crate) const fn raw_table(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

mod sealed {
    use super::{Bytes, ReadableTable, ReadableTableMetadata, StoreError};

    /// What both kinds of transaction can do with a table, if it is there.
    pub trait Open {
        type Opened<'a>: ReadableTable<Bytes, Bytes> + ReadableTableMetadata
        where
            Self: 'a;
        fn open(&self, table: &str) -> Result<Option<Self::Opened<'_>>, StoreError>;
        fn failed(&self, error: redb::StorageError) -> StoreError;
    }
}
use sealed::Open;

/// Reading, the same in a [`ReadTx`] and a [`WriteTx`]. A table that was never written is empty.
///
/// # Errors
/// All methods: the engine's errors, and `BadKey` or `BadValue` for a row that is not of the table's type.
pub trait Reader: Open {
    /// The value under `key`.
    fn get<K: Key, V: Codec>(&self, table: &Table<K, V>, key: &K::Ref) -> Result<Option<V::Item>, StoreError> {
        let Some(opened) = self.open(table.name())? else { return Ok(None) };
        let found = opened.get(encoded::<K>(key).as_slice()).map_err(|error| self.failed(error))?;
        found.map(|guard| value_of(table, guard.value())).transpose()
    }

    /// Whether there is a row under `key`; its value is not decoded.
    fn contains<K: Key, V: Codec>(&self, table: &Table<K, V>, key: &K::Ref) -> Result<bool, StoreError> {
        let Some(opened) = self.open(table.name())? else { return Ok(false) };
        let found = opened.get(encoded::<K>(key).as_slice()).map_err(|error| self.failed(error))?;
        Ok(found.is_some())
    }

    /// The first `limit` rows of `range`, in the order of their keys.
    fn range<K: Key, V: Codec>(
        &self,
        table: &Table<K, V>,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<Row<K, V>>, StoreError> {
        let Some(bounds) = byte_range(&range) else { return Ok(Vec::new()) };
        let Some(opened) = self.open(table.name())? else { return Ok(Vec::new()) };
        let rows = opened.range::<&[u8]>(as_slices(&bounds)).map_err(|error| self.failed(error))?;
        rows.take(limit).map(|row| row_of(self, table, row)).collect()
    }

    /// The last `limit` rows of `range`, the last one first.
    fn range_rev<K: Key, V: Codec>(
        &self,
        table: &Table<K, V>,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<Row<K, V>>, StoreError> {
        let Some(bounds) = byte_range(&range) else { return Ok(Vec::new()) };
        let Some(opened) = self.open(table.name())? else { return Ok(Vec::new()) };
        let rows = opened.range::<&[u8]>(as_slices(&bounds)).map_err(|error| self.failed(error))?;
        rows.rev().take(limit).map(|row| row_of(self, table, row)).collect()
    }

    /// The row with the smallest key.
    fn first<K: Key, V: Codec>(&self, table: &Table<K, V>) -> Result<Option<Row<K, V>>, StoreError> {
        Ok(self.range(table, .., 1)?.pop())
    }

    /// The row with the largest key.
    fn last<K: Key, V: Codec>(&self, table: &Table<K, V>) -> Result<Option<Row<K, V>>, StoreError> {
        Ok(self.range_rev(table, .., 1)?.pop())
    }

    /// The number of rows. Constant time.
    fn len<K: Key, V: Codec>(&self, table: &Table<K, V>) -> Result<u64, StoreError> {
        let Some(opened) = self.open(table.name())? else { return Ok(0) };
        opened.len().map_err(|error| self.failed(error))
    }

    /// Whether the table has no row.
    fn is_empty<K: Key, V: Codec>(&self, table: &Table<K, V>) -> Result<bool, StoreError> {
        Ok(self.len(table)? == 0)
    }
}

/// One consistent state of the store, for reading.
pub struct ReadTx<'a> {
    pub(crate) tx: redb::ReadTransaction,
    pub(crate) path: &'a Path,
}

impl Open for ReadTx<'_> {
    type Opened<'a>
        = redb::ReadOnlyTable<Bytes, Bytes>
    where
        Self: 'a;

    fn open(&self, table: &str) -> Result<Option<Self::Opened<'_>>, StoreError> {
        match self.tx.open_table(raw_table(table)) {
            Ok(opened) => Ok(Some(opened)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(StoreError::engine("open a table of", self.path, error)),
        }
    }

    fn failed(&self, error: redb::StorageError) -> StoreError {
        StoreError::engine("read", self.path, error)
    }
}
impl Reader for ReadTx<'_> {}

/// A change to the store, kept whole or not at all.
pub struct WriteTx<'a> {
    pub(crate) tx: &'a redb::WriteTransaction,
    pub(crate) path: &'a Path,
    /// Puts and removes so far: the writer need not undo a closure that made none.
    pub(crate) writes: u64,
    /// The first failure of the engine itself, after which nothing may be committed.
    pub(crate) broken: std::cell::OnceCell<StoreError>,
}

impl<'a> WriteTx<'a> {
    pub(crate) fn new(tx: &'a redb::WriteTransaction, path: &'a Path) -> Self {
        Self { tx, path, writes: 0, broken: std::cell::OnceCell::new() }
    }

    /// Writes a row, in place of a former one under the same key.
    ///
    /// # Errors
    /// `BadValue` or `TooLong`; `DiskFull` and the engine's errors, after which the whole group fails.
    pub fn put<K: Key, V: Codec>(
        &mut self,
        table: &Table<K, V>,
        key: &K::Ref,
        item: &V::Item,
    ) -> Result<(), StoreError> {
        let name = table.name();
        let value = V::encode(item).map_err(|source| StoreError::BadValue { table: name, source })?;
        let key = encoded::<K>(key);
        check_length(name, "key", key.len(), KEY_BYTES_MAX)?;
        check_length(name, "value", value.len(), VALUE_BYTES_MAX)?;
        self.put_raw(name, &key, &value)
    }

    /// Removes a row; tells whether there was one.
    ///
    /// # Errors
    /// `DiskFull` and the engine's errors, after which the whole group fails.
    pub fn remove<K: Key, V: Codec>(&mut self, table: &Table<K, V>, key: &K::Ref) -> Result<bool, StoreError> {
        let mut opened = self.opened(table.name())?;
        let removed = opened.remove(encoded::<K>(key).as_slice()).map_err(|error| self.failed(error))?.is_some();
        self.writes += u64::from(removed);
        Ok(removed)
    }

    /// Removes all rows of `range`; gives their number.
    ///
    /// # Errors
    /// `DiskFull` and the engine's errors, after which the whole group fails.
    pub fn remove_range<K: Key, V: Codec>(
        &mut self,
        table: &Table<K, V>,
        range: impl RangeBounds<K>,
    ) -> Result<u64, StoreError> {
        self.writes += 1;
        let Some(bounds) = byte_range(&range) else { return Ok(0) };
        let mut opened = self.opened(table.name())?;
        let before = opened.len().map_err(|error| self.failed(error))?;
        opened.retain_in::<&[u8], _>(as_slices(&bounds), |_, _| false).map_err(|error| self.failed(error))?;
        Ok(before - opened.len().map_err(|error| self.failed(error))?)
    }

    /// Writes a row as bytes; lengths were checked.
    pub(crate) fn put_raw(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.writes += 1;
        let mut opened = self.opened(table)?;
        opened.insert(key, value).map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// Makes a table, so that an empty one is restored as such.
    pub(crate) fn make_table(&self, table: &str) -> Result<(), StoreError> {
        self.opened(table).map(drop)
    }

    fn opened(&self, table: &str) -> Result<redb::Table<'a, Bytes, Bytes>, StoreError> {
        self.tx
            .open_table(raw_table(table))
            .map_err(|error| self.broke(StoreError::engine("open a table of", self.path, error)))
    }

    /// Remembers the first failure of the engine.
    fn broke(&self, error: StoreError) -> StoreError {
        self.broken.get_or_init(|| error.clone());
        error
    }
}

impl Open for WriteTx<'_> {
    type Opened<'a>
        = redb::Table<'a, Bytes, Bytes>
    where
        Self: 'a;

    fn open(&self, table: &str) -> Result<Option<Self::Opened<'_>>, StoreError> {
        self.opened(table).map(Some)
    }

    fn failed(&self, error: redb::StorageError) -> StoreError {
        self.broke(StoreError::engine("read or write", self.path, error))
    }
}
impl Reader for WriteTx<'_> {}

fn check_length(table: &'static str, what: &'static str, bytes: usize, max_bytes: usize) -> Result<(), StoreError> {
    if bytes > max_bytes { Err(StoreError::TooLong { table, what, bytes, max_bytes }) } else { Ok(()) }
}

fn value_of<K: Key, V: Codec>(table: &Table<K, V>, bytes: &[u8]) -> Result<V::Item, StoreError> {
    V::decode(bytes).map_err(|source| StoreError::BadValue { table: table.name(), source })
}

type RawRow<'a> = Result<(redb::AccessGuard<'a, Bytes>, redb::AccessGuard<'a, Bytes>), redb::StorageError>;

fn row_of<T: Open + ?Sized, K: Key, V: Codec>(
    tx: &T,
    table: &Table<K, V>,
    row: RawRow<'_>,
) -> Result<Row<K, V>, StoreError> {
    let (key, value) = row.map_err(|error| tx.failed(error))?;
    let key = decoded(key.value()).ok_or_else(|| bad_key(table.name(), key.value()))?;
    Ok((key, value_of(table, value.value())?))
}

fn bad_key(table: &'static str, key: &[u8]) -> StoreError {
    let key_hex = key.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    StoreError::BadKey { table, key_hex }
}

/// The range in bytes; `None` if it is empty because its ends are the wrong way round, which redb would panic on.
fn byte_range<K: Key>(range: &impl RangeBounds<K>) -> Option<ByteRange> {
    let bounds = (bound(range.start_bound()), bound(range.end_bound()));
    let (start, end) = (key_of(&bounds.0), key_of(&bounds.1));
    let both_included = matches!(bounds, (Bound::Included(_), Bound::Included(_)));
    match (start, end) {
        (Some(start), Some(end)) if start > end || (start == end && !both_included) => None,
        _ => Some(bounds),
    }
}

fn bound<K: Key>(bound: Bound<&K>) -> Bound<Vec<u8>> {
    bound.map(|key| encoded::<K>(key.borrow()))
}

fn key_of(bound: &Bound<Vec<u8>>) -> Option<&Vec<u8>> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

fn as_slices(bounds: &ByteRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice))
}

#[cfg(test)]
mod tests;
