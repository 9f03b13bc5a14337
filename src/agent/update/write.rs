//! Writing a slot, and reading it back.
//!
//! The boot partition's first sector is zeroed before anything else and written last: as long as it is zero no firmware
//! takes the partition for one that can be booted. Promises: what counts as durable was flushed before; what counts as
//! written was read back from the medium. Must never hold more than the piece that is being written and the next one.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_bundle::limits::PIECE_BYTES;
use lucid_bundle::{Kind, Manifest, Payload, Place};
use lucid_layout::disk::{MIB, SECTOR_BYTES};
use lucid_layout::{Digest, Slot};

use super::progress::Sector;
use super::receive::Broken;
use super::slots::{Aligned, Device, Idle};
use super::{Live, Updates, failed};

/// After so many bytes what was written is made durable: a cut costs no more, and the flush does not show. Tests have
/// smaller slots.
const DURABLE_BYTES: u64 = if cfg!(test) { 8 * MIB } else { 64 * MIB };

/// A sector, where memory is counted.
const SECTOR: usize = SECTOR_BYTES as usize;

/// A slot that is being written.
pub(super) struct SlotWriter {
    boot: Box<dyn Device>,
    root: Box<dyn Device>,
    /// The boot partition's, once its piece has come.
    first_sector: Option<Sector>,
}

/// A slot of which everything is written but the first sector.
pub(super) struct Filled(SlotWriter);

/// A piece to be written.
pub(super) struct Job {
    pub(super) place: Place,
    pub(super) plain: Vec<u8>,
    /// Where it ends in the bundle.
    pub(super) end: u64,
}

/// Hands pieces to the thread that writes them.
pub(super) struct Pieces {
    jobs: SyncSender<Job>,
    spare: Receiver<Vec<u8>>,
}

impl Pieces {
    /// Memory for a piece: that of one that is written, if there is any.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.spare.try_recv().unwrap_or_default()
    }

    /// Waits until the last piece but this is written.
    pub(super) fn write(&self, job: Job) -> Result<(), Broken> {
        self.jobs.send(job).map_err(|_| Broken::Ended)
    }
}

impl SlotWriter {
    /// One for the two partitions of a slot.
    pub(super) fn new(idle: Idle, first_sector: Option<Sector>) -> Self {
        Self { boot: idle.boot, root: idle.root, first_sector }
    }

    /// Makes the slot one that can't be booted.
    pub(super) fn disable(&self) -> io::Result<()> {
        self.boot.write_at(0, &Aligned::zeroed(SECTOR))?;
        self.boot.flush()
    }

    /// Writes what `feed` hands over, on another thread, and keeps how far it came; also says how `feed` ended.
    pub(super) fn fill(
        mut self,
        updates: &Updates,
        feed: impl FnOnce(&Pieces) -> Result<(), Broken>,
    ) -> (Result<Filled, Refusal>, Result<(), Broken>) {
        // No queue: one piece is written while the next one is fetched, and that is all.
        let ((jobs, queue), (spares, spare)) = (sync_channel(0), channel());
        thread::scope(|scope| {
            let writing = thread::Builder::new().name("lucid-slot".to_owned());
            let writing =
                writing.spawn_scoped(scope, move || self.drain(updates, &queue, &spares).map(|()| Filled(self)));
            let writing = match writing {
                Ok(writing) => writing,
                Err(error) => return (Err(failed(format!("no thread to write with ({error}): try again"))), Ok(())),
            };
            let pieces = Pieces { jobs, spare };
            let fed = feed(&pieces);
            // The thread makes durable what it has, and ends.
            drop(pieces);
            let written = writing.join().unwrap_or_else(|_| Err(failed("writing failed for a fault of this program")));
            (written, fed)
        })
    }

    fn drain(&mut self, updates: &Updates, jobs: &Receiver<Job>, spare: &Sender<Vec<u8>>) -> Result<(), Refusal> {
        let mut aligned = Aligned::zeroed(PIECE_BYTES as usize);
        let (mut reached, mut pending) = (None, 0);
        while let Ok(Job { place, plain, end }) = jobs.recv() {
            self.write(place, &plain, &mut aligned).map_err(writing)?;
            updates.show(Some(Live::Receiving { offset: end }));
            (reached, pending) = (Some(end), pending + plain.len() as u64);
            // Nobody needs it after the last piece.
            let _ = spare.send(plain);
            if pending >= DURABLE_BYTES {
                self.make_durable(updates, end)?;
                pending = 0;
            }
        }
        reached.filter(|_| pending > 0).map_or(Ok(()), |end| self.make_durable(updates, end))
    }

    fn write(&mut self, place: Place, plain: &[u8], aligned: &mut Aligned) -> io::Result<()> {
        let length = plain.len().next_multiple_of(SECTOR);
        let piece = aligned.get_mut(..length).ok_or(io::ErrorKind::InvalidInput)?;
        piece[..plain.len()].copy_from_slice(plain);
        // The rest of the last sector of a payload.
        piece[plain.len()..].fill(0);
        let device = match place.payload {
            Kind::Root => &self.root,
            Kind::Boot => &self.boot,
        };
        if place.payload == Kind::Root || place.offset_in_payload > 0 {
            return device.write_at(place.offset_in_payload, piece);
        }
        let (first, rest) = piece.split_at(SECTOR);
        self.first_sector = first.try_into().ok().map(|first| Sector(Box::new(first)));
        if rest.is_empty() { Ok(()) } else { device.write_at(SECTOR_BYTES, rest) }
    }

    /// Everything before `offset` is on the medium from here on.
    fn make_durable(&self, updates: &Updates, offset: u64) -> Result<(), Refusal> {
        self.root.flush().and_then(|()| self.boot.flush()).map_err(writing)?;
        updates.keep_offset(offset, self.first_sector.as_ref())
    }
}

impl Filled {
    /// Writes the first sector, after everything else is on the medium.
    pub(super) fn finish(self) -> io::Result<()> {
        let Self(SlotWriter { boot, root, first_sector }) = self;
        let Sector(sector) = first_sector.ok_or_else(|| io::Error::other("the first sector never came"))?;
        root.flush()?;
        boot.flush()?;
        boot.write_at(0, &Aligned::copied(&*sector))?;
        boot.flush()
    }
}

impl Updates {
    /// Reads both payloads back from the medium; a slot that is not as it should be is made one that can't be booted.
    pub(super) fn check(&self, manifest: &Manifest, slot: Slot) -> Result<(), Refusal> {
        let of_bytes = manifest.payloads.iter().map(|payload| payload.bytes).sum();
        let mut checked_bytes = 0;
        for payload in &manifest.payloads {
            let found = self.hash(payload, slot, &mut |bytes| {
                checked_bytes += bytes;
                self.show(Some(Live::Checking { checked_bytes, of_bytes }));
            })?;
            if found != payload.blake3 {
                return Err(
                    self.unusable(slot, &format!("the {} partition does not read as it was written", payload.kind))
                );
            }
        }
        Ok(())
    }

    /// BLAKE3 of what lies where a payload was written.
    fn hash(&self, payload: &Payload, slot: Slot, read: &mut dyn FnMut(u64)) -> Result<Digest, Refusal> {
        let partition = match payload.kind {
            Kind::Root => slot.root(),
            Kind::Boot => slot.boot(),
        };
        let device = self.slots()?.read(partition).map_err(failed)?;
        let mut buffer = Aligned::zeroed(PIECE_BYTES as usize);
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < payload.bytes {
            // At most a piece, which fits.
            let length = (payload.bytes - at).min(PIECE_BYTES.into()) as usize;
            let sectors = &mut buffer[..length.next_multiple_of(SECTOR)];
            device.read_exact_at(sectors, at).map_err(|error| self.unreadable_slot(slot, &error))?;
            hasher.update(&sectors[..length]);
            at += length as u64;
            read(length as u64);
        }
        Ok(Digest(*hasher.finalize().as_bytes()))
    }

    fn unreadable_slot(&self, slot: Slot, error: &io::Error) -> Refusal {
        self.unusable(slot, &format!("what was written can't be read back ({error})"))
    }

    /// Gives the update up: the medium does not keep it.
    fn unusable(&self, slot: Slot, why: &str) -> Refusal {
        let why = format!("{why}: flash another card or disk if that happens again");
        let disabled = self.slots().and_then(|slots| {
            let idle = slots.write(slot).map_err(failed)?;
            SlotWriter::new(idle, None).disable().map_err(writing)
        });
        if let Err(error) = disabled.and_then(|()| self.give_up(&why).map_err(failed)) {
            tracing::error!(%error, "a slot that does not read back could not be given up");
        }
        Refusal::new(RefusalCode::Failed, why)
    }
}

pub(super) fn writing(error: io::Error) -> Refusal {
    let what = match error.kind() {
        io::ErrorKind::StorageFull => "the slot's partition is too small",
        _ => "writing the slot failed",
    };
    failed(format!("{what} ({error}): send the rest again, and flash another card or disk if that happens again"))
}
