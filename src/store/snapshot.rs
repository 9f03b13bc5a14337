//! Backup of a running store as a stream, and a new store from such a stream.
//!
//! The stream depends on neither redb nor this crate's file layout. All numbers are big-endian:
//!
//! ```text
//! 8 bytes   "LUCIDSN1"
//! u32, JSON {"schema": name, "version": u32, "reader_min": u32}
//! then, table by table in the order of their names, row by row in the order of their keys:
//!   0x01  u32 length, name in UTF-8                        a table begins
//!   0x02  u32 length, u32 length, key, value               a row of it
//! 0x03  u64   number of rows                               the end
//! 32 bytes    BLAKE3 of all bytes before
//! ```
//!
//! Promises: one consistent state, taken while writes go on; memory does not grow with the store; restoring makes a new
//! file, complete or not at all. What is truncated, garbled, out of order or followed by anything is refused. The
//! trailer finds damage, not malice: a backup that leaves the box is encrypted, which authenticates it. Must never
//! overwrite a store.

use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use redb::{Database, Durability, TableHandle as _};

use crate::Store;
use crate::error::StoreError;
use crate::open::{create_file, exists, marker_of, write_marker};
use crate::schema::{Options, STORE_TABLE, Schema, Stamp, read_stamp, write_stamp};
use crate::table::TABLE_NAME_BYTES_MAX;
use crate::tx::{KEY_BYTES_MAX, ReadTx, VALUE_BYTES_MAX, WriteTx, raw_table};

const MAGIC: &[u8; 8] = b"LUCIDSN1";
const TABLE: u8 = 1;
const ROW: u8 = 2;
const END: u8 = 3;

/// Longest header in bytes: three short fields.
const HEADER_BYTES_MAX: usize = 1024;

/// Restored bytes per transaction: bounds the dirty pages in memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes per call of the outer reader or writer.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Rows in all tables.
    pub rows: u64,
    /// Length of the stream in bytes.
    pub bytes: u64,
}

impl Store {
    /// Writes one consistent state of all tables to `writer`, and flushes it. Blocking; writes to the store go on, and
    /// the file grows by what they replace in the meantime.
    ///
    /// # Errors
    /// The writer's as `Io` or `DiskFull`, and the engine's. The stream is then incomplete and will be refused.
    pub fn snapshot(&self, writer: &mut dyn Write) -> Result<SnapshotSize, StoreError> {
        self.read(|tx| {
            let mut out =
                Out { writer: BufWriter::with_capacity(BUFFER_BYTES, writer), hasher: Hash::default(), path: tx.path };
            let rows = dump(tx, &mut out)?;
            out.finish(rows)
        })
    }

    /// Makes a new store at `path` from a snapshot. The marker of a lost store is no obstacle, the store itself is.
    ///
    /// # Errors
    /// `Exists`; `BadSnapshot`; `WrongSchema`, `TooNew`, `TooOld` by the snapshot's header; `DiskFull`, `Io`. There is
    /// then no file at `path`.
    pub fn restore_from(path: &Path, reader: &mut dyn Read, schema: &Schema) -> Result<SnapshotSize, StoreError> {
        if exists(path)? {
            return Err(StoreError::Exists { path: path.to_path_buf() });
        }
        let mut stream = In { reader: BufReader::with_capacity(BUFFER_BYTES, reader), hasher: Hash::default(), path };
        let stamp = read_header(&mut stream)?;
        schema.check(path, &stamp)?;
        let mut size = None;
        create_file(path, Options::default(), |database| {
            size = Some(load(database, &mut stream, &stamp)?);
            Ok(())
        })?;
        write_marker(&marker_of(path), schema)?;
        Ok(size.expect("a file that was made was filled"))
    }
}

fn dump(tx: &ReadTx<'_>, out: &mut Out<'_>) -> Result<u64, StoreError> {
    let stamp = read_stamp(tx)?.expect("opening refuses a store without a stamp");
    let header = serde_json::to_vec(&stamp).expect("a stamp is always JSON");
    out.put(MAGIC)?;
    out.put_length(header.len())?;
    out.put(&header)?;
    let failed = |error| StoreError::engine("read", tx.path, error);
    let tables = tx.tx.list_tables().map_err(|error| failed(redb::Error::from(error)))?;
    let mut names: Vec<String> =
        tables.map(|table| table.name().to_owned()).filter(|name| name != STORE_TABLE).collect();
    names.sort_unstable();
    let mut rows = 0;
    for name in names {
        out.put(&[TABLE])?;
        out.put_length(name.len())?;
        out.put(name.as_bytes())?;
        let table = tx.tx.open_table(raw_table(&name)).map_err(|error| failed(error.into()))?;
        for row in table.range::<&[u8]>(..).map_err(|error| failed(error.into()))? {
            let (key, value) = row.map_err(|error| failed(error.into()))?;
            out.put_row(key.value(), value.value())?;
            rows += 1;
        }
    }
    Ok(rows)
}

fn read_header(stream: &mut In<'_>) -> Result<Stamp, StoreError> {
    let mut magic = [0; MAGIC.len()];
    stream.take(&mut magic, "its first bytes")?;
    if magic != *MAGIC {
        return Err(bad("it does not begin as one"));
    }
    let header = stream.take_counted(HEADER_BYTES_MAX, "its header")?;
    serde_json::from_slice(&header).map_err(|error| bad(format!("its header is not readable: {error}")))
}

/// Fills a new database, transaction by transaction, and stamps it once the trailer fits.
fn load(database: &Database, stream: &mut In<'_>, stamp: &Stamp) -> Result<SnapshotSize, StoreError> {
    let path = stream.path;
    let mut place = Place::default();
    loop {
        let mut tx = database.begin_write().map_err(|error| StoreError::engine("write to", path, error))?;
        // Nothing of it counts before the last transaction, which syncs all.
        tx.set_durability(Durability::None).map_err(|error| StoreError::engine("write to", path, error))?;
        let ended = load_batch(&mut WriteTx::new(&tx, path), stream, &mut place)?;
        tx.commit().map_err(|error| StoreError::engine("commit to", path, error))?;
        if ended {
            break;
        }
    }
    let size = stream.finish(place.rows)?;
    crate::open::transact(database, path, |tx| write_stamp(tx, stamp))?;
    Ok(size)
}

/// Where in the stream loading is; the order of tables and keys is checked against it.
#[derive(Default)]
struct Place {
    table: Option<String>,
    key: Option<Vec<u8>>,
    rows: u64,
}

/// Loads about [`BATCH_BYTES`]; true at the end of the rows.
fn load_batch(tx: &mut WriteTx<'_>, stream: &mut In<'_>, place: &mut Place) -> Result<bool, StoreError> {
    let mut bytes = 0;
    while bytes < BATCH_BYTES {
        let mut tag = [0];
        stream.take(&mut tag, "its rows")?;
        match tag[0] {
            TABLE => begin_table(tx, stream, place)?,
            ROW => bytes += load_row(tx, stream, place)?,
            END => return Ok(true),
            other => return Err(bad(format!("after row {} comes the unknown mark {other}", place.rows))),
        }
    }
    Ok(false)
}

fn begin_table(tx: &WriteTx<'_>, stream: &mut In<'_>, place: &mut Place) -> Result<(), StoreError> {
    let name = String::from_utf8(stream.take_counted(TABLE_NAME_BYTES_MAX, "a table's name")?);
    let name = name.map_err(|_| bad("a table's name is not text"))?;
    let in_order = place.table.as_ref().is_none_or(|former| *former < name);
    if !in_order || name.is_empty() || name.starts_with('_') {
        return Err(bad(format!("table `{name}` is out of order or not allowed")));
    }
    tx.make_table(&name)?;
    (place.table, place.key) = (Some(name), None);
    Ok(())
}

fn load_row(tx: &mut WriteTx<'_>, stream: &mut In<'_>, place: &mut Place) -> Result<usize, StoreError> {
    let key_bytes = stream.take_length(KEY_BYTES_MAX, "a key")?;
    let value_bytes = stream.take_length(VALUE_BYTES_MAX, "a value")?;
    let (mut key, mut value) = (vec![0; key_bytes], vec![0; value_bytes]);
    stream.take(&mut key, "a key")?;
    stream.take(&mut value, "a value")?;
    let Some(table) = &place.table else { return Err(bad("a row comes before any table")) };
    if place.key.as_ref().is_some_and(|former| *former >= key) {
        return Err(bad(format!("row {} of the stream is out of order", place.rows)));
    }
    tx.put_raw(table, &key, &value)?;
    (place.key, place.rows) = (Some(key), place.rows + 1);
    Ok(key_bytes + value_bytes)
}

fn bad(detail: impl Into<String>) -> StoreError {
    StoreError::BadSnapshot { detail: detail.into() }
}

/// BLAKE3 and length of what went through.
#[derive(Default)]
struct Hash {
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

struct Out<'a> {
    writer: BufWriter<&'a mut dyn Write>,
    hasher: Hash,
    path: &'a Path,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.add(bytes);
        self.writer.write_all(bytes).map_err(|error| StoreError::io("write the snapshot of", self.path, error))
    }

    fn put_length(&mut self, length: usize) -> Result<(), StoreError> {
        let length = u32::try_from(length).expect("tables limit keys and values to far below 4 GiB");
        self.put(&length.to_be_bytes())
    }

    fn put_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.put(&[ROW])?;
        self.put_length(key.len())?;
        self.put_length(value.len())?;
        self.put(key)?;
        self.put(value)
    }

    fn finish(mut self, rows: u64) -> Result<SnapshotSize, StoreError> {
        self.put(&[END])?;
        self.put(&rows.to_be_bytes())?;
        let hash = self.hasher.hasher.finalize();
        self.put(hash.as_bytes())?;
        self.writer.flush().map_err(|error| StoreError::io("write the snapshot of", self.path, error))?;
        Ok(SnapshotSize { rows, bytes: self.hasher.bytes })
    }
}

struct In<'a> {
    reader: BufReader<&'a mut dyn Read>,
    hasher: Hash,
    path: &'a Path,
}

impl In<'_> {
    fn take(&mut self, bytes: &mut [u8], what: &str) -> Result<(), StoreError> {
        self.reader.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => bad(format!("it ends within {what}, after byte {}", self.hasher.bytes)),
            _ => StoreError::io("read the snapshot for", self.path, error),
        })?;
        self.hasher.add(bytes);
        Ok(())
    }

    /// A length, refused before anything of it is allocated.
    fn take_length(&mut self, max: usize, what: &str) -> Result<usize, StoreError> {
        let mut length = [0; 4];
        self.take(&mut length, what)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > max {
            Err(bad(format!("{what} of {length} bytes is above the limit of {max}")))
        } else {
            Ok(length)
        }
    }

    fn take_counted(&mut self, max: usize, what: &str) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; self.take_length(max, what)?];
        self.take(&mut bytes, what)?;
        Ok(bytes)
    }

    /// Compares count and hash, and that nothing follows.
    fn finish(&mut self, rows: u64) -> Result<SnapshotSize, StoreError> {
        let (mut count, mut trailer, mut beyond) = ([0; 8], [0; 32], [0]);
        self.take(&mut count, "its row count")?;
        let hash = self.hasher.hasher.finalize();
        self.take(&mut trailer, "its trailer")?;
        if u64::from_be_bytes(count) != rows || hash != blake3::Hash::from(trailer) {
            return Err(bad("its trailer does not fit its content"));
        }
        let follows =
            self.reader.read(&mut beyond).map_err(|error| StoreError::io("read the snapshot for", self.path, error))?;
        if follows > 0 {
            Err(bad("something follows its end"))
        } else {
            Ok(SnapshotSize { rows, bytes: self.hasher.bytes })
        }
    }
}

#[cfg(test)]
mod tests;
