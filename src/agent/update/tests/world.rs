//! What outlives a power cut: the disk and the files on `/state`, with a log of every write and flush.
//!
//! Simulated: a disk that keeps flushed sectors, and of the others any subset; a file system whose replaced files are
//! there once the call returned, and before that are the old or the new.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lucid_fat::ReadAt;
use lucid_layout::{Partition, Slot};

use crate::update::files::Keep;
use crate::update::slots::{Access, Device, Disk, SlotsError};

pub(super) const SECTOR: usize = 512;

/// What happened to what lasts.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Write { partition: Partition, offset: usize, bytes: Arc<[u8]> },
    Flush { partition: Partition },
    Replace { path: PathBuf, bytes: Arc<[u8]> },
    Remove { path: PathBuf },
}

/// Everything that lasts.
#[derive(Clone, Default)]
pub(super) struct Lasting {
    pub(super) partitions: BTreeMap<Partition, Vec<u8>>,
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// After so many writes to partitions each one fails.
    pub(super) writes: Option<usize>,
    /// After so many flushes of partitions each one fails.
    pub(super) flushes: Option<usize>,
    /// After so many replaced files `/state` is full.
    pub(super) files: Option<usize>,
    /// Reads of this partition give one bit that was not written.
    pub(super) flipped: Option<Partition>,
    /// Reads of this partition fail.
    pub(super) unreadable: Option<Partition>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) lasting: Lasting,
    pub(super) log: Vec<Event>,
    pub(super) faults: Faults,
    pub(super) mounted: Option<Slot>,
    pub(super) twin: Option<String>,
    /// Partitions that were opened for writing.
    pub(super) opened: Vec<Partition>,
}

/// The machine's disk, as all its parts see it.
#[derive(Clone, Default)]
pub(super) struct World(pub(super) Arc<Mutex<Inner>>);

impl World {
    pub(super) fn of(lasting: Lasting) -> Self {
        let world = Self::default();
        world.0.lock().unwrap().lasting = lasting;
        world
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(super) fn lasting(&self) -> Lasting {
        self.with(|inner| inner.lasting.clone())
    }
}

fn take(left: &mut Option<usize>, error: ErrorKind) -> io::Result<()> {
    match left {
        Some(0) => Err(error.into()),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

struct Opened {
    world: World,
    partition: Partition,
    access: Access,
}

impl ReadAt for Opened {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.world.with(|inner| {
            if inner.faults.unreadable == Some(self.partition) {
                return Err(io::Error::other("Input/output error"));
            }
            let content = &inner.lasting.partitions[&self.partition];
            let begin = usize::try_from(offset).unwrap();
            let found = content.get(begin..begin + bytes.len()).ok_or(ErrorKind::UnexpectedEof)?;
            bytes.copy_from_slice(found);
            if inner.faults.flipped == Some(self.partition) && bytes.len() > SECTOR {
                bytes[SECTOR] ^= 1;
            }
            Ok(())
        })
    }
}

impl Device for Opened {
    fn bytes(&self) -> u64 {
        self.world.with(|inner| inner.lasting.partitions[&self.partition].len() as u64)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert_eq!(self.access, Access::Write);
        let begin = usize::try_from(offset).unwrap();
        assert!(begin.is_multiple_of(SECTOR) && bytes.len().is_multiple_of(SECTOR), "whole sectors");
        assert!(bytes.as_ptr().addr().is_multiple_of(SECTOR), "memory that O_DIRECT takes");
        self.world.with(|inner| {
            take(&mut inner.faults.writes, ErrorKind::Other)?;
            let content = inner.lasting.partitions.get_mut(&self.partition).unwrap();
            let place = content.get_mut(begin..begin + bytes.len()).ok_or(ErrorKind::StorageFull)?;
            place.copy_from_slice(bytes);
            inner.log.push(Event::Write { partition: self.partition, offset: begin, bytes: bytes.into() });
            Ok(())
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.world.with(|inner| {
            take(&mut inner.faults.flushes, ErrorKind::Other)?;
            inner.log.push(Event::Flush { partition: self.partition });
            Ok(())
        })
    }
}

impl Disk for World {
    fn mounted(&self) -> Result<Slot, SlotsError> {
        self.with(|inner| inner.mounted).ok_or_else(|| SlotsError::Unknown("nothing is mounted".to_owned()))
    }

    fn open(&self, partition: Partition, access: Access) -> Result<Box<dyn Device>, SlotsError> {
        if access == Access::Write {
            self.with(|inner| inner.opened.push(partition));
        }
        Ok(Box::new(Opened { world: self.clone(), partition, access }))
    }

    fn twin(&self) -> Result<Option<String>, SlotsError> {
        Ok(self.with(|inner| inner.twin.clone()))
    }
}

impl Keep for World {
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let found = self.with(|inner| inner.lasting.files.get(path).cloned());
        match found {
            Some(bytes) if bytes.len() as u64 > bytes_max => Err(ErrorKind::FileTooLarge.into()),
            found => Ok(found),
        }
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.with(|inner| {
            take(&mut inner.faults.files, ErrorKind::StorageFull)?;
            inner.lasting.files.insert(path.to_owned(), bytes.to_vec());
            inner.log.push(Event::Replace { path: path.to_owned(), bytes: bytes.into() });
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|inner| {
            inner.lasting.files.remove(path);
            inner.log.push(Event::Remove { path: path.to_owned() });
            Ok(())
        })
    }
}
