//! A disk in memory that loses its power, or fills up. Tests only.
//!
//! Writes between two syncs are kept apart. At the chosen sync the power goes: of the pending writes a random subset
//! reaches the disk, some of them torn at sectors of 512 bytes, in any combination; all later calls fail. What is then
//! on the disk is the image from which a test opens the store again.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use redb::StorageBackend;

/// What a drive writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// The disk; clones are the same disk, so that a test keeps one while a store owns the other.
#[derive(Clone)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
}

struct State {
    /// What is surely on the disk.
    durable: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
    /// What was done since the last sync.
    pending: Vec<Change>,
    syncs: u64,
    cut_at_sync: Option<u64>,
    size_max: u64,
    dead: bool,
    rng: Rng,
}

enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

impl Disk {
    /// A disk with this content.
    pub(crate) fn new(image: Vec<u8>, seed: u64) -> Self {
        let state = State {
            durable: image.clone(),
            seen: image,
            pending: Vec::new(),
            syncs: 0,
            cut_at_sync: None,
            size_max: u64::MAX,
            dead: false,
            rng: Rng::with_seed(seed),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The power goes at the n-th sync from now, counted from 1.
    pub(crate) fn cut_at_sync(self, sync: u64) -> Self {
        let mut state = self.state.lock().unwrap();
        state.cut_at_sync = Some(state.syncs + sync);
        drop(state);
        self
    }

    /// The disk has no room beyond this many bytes.
    pub(crate) fn limit(&self, size_max: u64) {
        self.state.lock().unwrap().size_max = size_max;
    }

    /// How often the disk was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.state.lock().unwrap().syncs
    }

    /// Whether the power went.
    pub(crate) fn is_dead(&self) -> bool {
        self.state.lock().unwrap().dead
    }

    /// What is on the disk: after a cut what survived, before one what a reader sees.
    pub(crate) fn image(&self) -> Vec<u8> {
        let state = self.state.lock().unwrap();
        if state.dead { state.durable.clone() } else { state.seen.clone() }
    }

    fn alive<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap();
        if state.dead { Err(io::Error::other("the power is off")) } else { act(&mut state) }
    }
}

impl State {
    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.cut_at_sync == Some(self.syncs) {
            self.cut();
            return Err(io::Error::other("the power went"));
        }
        self.durable.clone_from(&self.seen);
        self.pending.clear();
        Ok(())
    }

    /// Lets a random part of what is pending reach the disk.
    fn cut(&mut self) {
        self.dead = true;
        let kept_percent = *self.rng.choice(&[0, 20, 50, 80, 100]).unwrap();
        for change in std::mem::take(&mut self.pending) {
            let lucky = self.rng.u8(0..100) < kept_percent;
            match change {
                Change::Length(length) if lucky => self.durable.resize(length as usize, 0),
                Change::Length(_) => {}
                Change::Write { offset, bytes } if lucky => put(&mut self.durable, offset, &bytes),
                Change::Write { offset, bytes } => self.tear(offset, &bytes, kept_percent),
            }
        }
    }

    /// Writes some of the sectors of a write.
    fn tear(&mut self, offset: u64, bytes: &[u8], kept_percent: u8) {
        let mut at = offset;
        let end = offset + bytes.len() as u64;
        while at < end {
            let next = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
            if self.rng.u8(0..100) < kept_percent {
                put(&mut self.durable, at, &bytes[(at - offset) as usize..(next - offset) as usize]);
            }
            at = next;
        }
    }
}

/// Writes into an image, which grows as a file does.
fn put(image: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if image.len() < end {
        image.resize(end, 0);
    }
    image[start..end].copy_from_slice(bytes);
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.alive(|state| Ok(state.seen.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.alive(|state| {
            let range = offset as usize..offset as usize + out.len();
            let bytes = state.seen.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.alive(|state| {
            if len > state.size_max {
                return Err(full());
            }
            state.seen.resize(len as usize, 0);
            state.pending.push(Change::Length(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.alive(State::sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.alive(|state| {
            if offset + data.len() as u64 > state.size_max {
                return Err(full());
            }
            put(&mut state.seen, offset, data);
            state.pending.push(Change::Write { offset, bytes: data.to_vec() });
            Ok(())
        })
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Disk")
    }
}

mod tests;
