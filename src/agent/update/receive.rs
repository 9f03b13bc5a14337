//! A bundle on its way in: from its first byte to a slot that was written and read back.
//!
//! Promises: the header is verified before anything is changed, and each piece before it is decompressed; memory holds
//! two pieces, whatever comes; a transfer that breaks goes on where the last whole piece ended. Must never take a
//! second bundle while one comes in.

use std::io::{ErrorKind, Read};

use lucid_agent_protocol::update::Incoming;
use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_bundle::{BundleId, Header, Manifest, Piece, ReadError, Refused, open_piece, read_header};
use lucid_layout::{Digest, Slot};

use super::progress::{Candidate, Progress, Sector};
use super::write::{Filled, Job, SlotWriter, writing};
use super::{Live, Updates, Work, cut, failed, wrong_state};

/// What the supervisor can send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The first byte that it has.
    pub(crate) offset: u64,
    /// For an offset above 0: the bundle that it means.
    pub(crate) bundle: Option<Digest>,
    /// Nobody asked for it.
    pub(crate) automatic: bool,
}

/// A transfer that was agreed on.
pub(crate) struct Transfer<'updates> {
    updates: &'updates Updates,
    _work: Work<'updates>,
    automatic: bool,
    resumed: Option<(Header, u64)>,
}

/// A bundle that was accepted.
struct Accepted {
    header: Header,
    manifest: Manifest,
    slot: Slot,
    /// Pieces that are written already.
    whole: usize,
    first_sector: Option<Sector>,
}

/// Why no further piece came.
pub(super) enum Broken {
    /// What came is wrong.
    Refused(Refusal),
    /// Nothing came, or the writer ended.
    Ended,
}

impl Updates {
    /// Agrees on a transfer.
    pub(crate) fn begin(&self, wish: &Wish) -> Result<Transfer<'_>, Refusal> {
        let work = self.work()?;
        self.ready_for_change()?;
        if !matches!(self.progress(), Progress::Idle | Progress::Writing { .. } | Progress::Written { .. }) {
            return Err(wrong_state("a restart on trial is under way: wait for its end"));
        }
        let resumed = match wish.offset {
            0 => None,
            _ => Some(self.resume(wish)?),
        };
        Ok(Transfer { updates: self, _work: work, automatic: wish.automatic, resumed })
    }

    /// The header of the bundle that is resumed, and where.
    fn resume(&self, wish: &Wish) -> Result<(Header, u64), Refusal> {
        let Progress::Writing { incoming, offset, .. } = self.progress() else {
            return Err(wrong_state("no bundle was interrupted: send it from its beginning"));
        };
        if wish.bundle != Some(incoming.bundle) {
            return Err(wrong_state(
                "another bundle was interrupted: send this one from its beginning, or that one's rest",
            ));
        }
        if wish.offset > offset {
            return Err(wrong_state(&format!("the bundle is wanted from byte {offset} on: send it from there")));
        }
        let header = self.files.header().map_err(failed)?.and_then(|raw| Header::parse(&raw).ok());
        match header.filter(|header| header.id.digest() == incoming.bundle) {
            Some(header) => Ok((header, offset)),
            None => Err(wrong_state("the beginning of the bundle was lost: send it from its beginning")),
        }
    }

    /// Decides whether the bundle is taken, and changes nothing but whom to trust.
    fn accept(&self, header: Header, automatic: bool) -> Result<Accepted, Refusal> {
        let now_s = self.surroundings.now_ms() / 1000;
        let manifest = self.with_trust(|trust| trust.accept(&header, now_s))?.map_err(untrusted)?;
        let known = match self.progress() {
            Progress::Writing { incoming, offset, first_sector, .. } if incoming.bundle == header.id.digest() => {
                Some((offset, first_sector))
            }
            _ => None,
        };
        // One that goes on was counted when it began.
        let slot = self.suitable(&manifest, automatic && known.is_none())?;
        let (offset, first_sector) = known.unwrap_or((header.bytes, None));
        let whole = manifest.resume_point(&header, offset).whole;
        Ok(Accepted { header, manifest, slot, whole, first_sector })
    }

    /// Makes the idle slot ready to be written: from here on it holds nothing that can be booted.
    fn prepare(&self, accepted: &Accepted, automatic: bool) -> Result<SlotWriter, Refusal> {
        let Accepted { header, manifest, slot, whole, first_sector } = accepted;
        if *whole == 0 {
            self.begin_writing(header, manifest, *slot, automatic)?;
        }
        self.unfit(*slot, &format!("{} is not written whole", manifest.version))?;
        let idle = self.slots()?.write(*slot).map_err(failed)?;
        let writer = SlotWriter::new(idle, first_sector.clone());
        writer.disable().map_err(writing)?;
        Ok(writer)
    }

    fn begin_writing(&self, header: &Header, manifest: &Manifest, slot: Slot, automatic: bool) -> Result<(), Refusal> {
        let is_other = |progress: &Progress| match progress {
            Progress::Writing { incoming, .. } => incoming.bundle != header.id.digest(),
            other => *other != Progress::Idle,
        };
        if is_other(&self.progress()) {
            self.give_up("another bundle came in its place").map_err(failed)?;
        }
        if automatic {
            self.record(|history, now_ms| history.automatic_ms = Some(now_ms)).map_err(failed)?;
        }
        self.files.save_header(header.raw()).map_err(failed)?;
        self.keep(Progress::Writing {
            incoming: incoming(manifest, header.id, slot),
            bundle_bytes: manifest.bundle_bytes(header),
            offset: header.bytes,
            automatic,
            first_sector: None,
        })
        .map_err(failed)
    }

    /// Keeps that everything before `offset` is on the disk.
    pub(super) fn keep_offset(&self, durable: u64, sector: Option<&Sector>) -> Result<(), Refusal> {
        match self.progress() {
            Progress::Writing { incoming, bundle_bytes, automatic, .. } => {
                let first_sector = sector.cloned();
                self.keep(Progress::Writing { incoming, bundle_bytes, offset: durable, automatic, first_sector })
                    .map_err(failed)
            }
            _ => Err(failed("the update was given up while it came in: send it again")),
        }
    }

    /// What is shown of it.
    pub(super) fn show(&self, live: Option<Live>) {
        self.state().live = live;
    }
}

impl Transfer<'_> {
    /// The first byte that is wanted.
    pub(crate) fn offset(&self) -> u64 {
        self.resumed.as_ref().map_or(0, |(_, offset)| *offset)
    }

    /// Takes the bytes from there on, writes the slot and reads it back.
    pub(crate) fn run(mut self, data: &mut impl Read) -> Result<(), Refusal> {
        let (header, at) = match self.resumed.take() {
            Some(resumed) => resumed,
            None => {
                let header = read_header(data).map_err(unreadable)?;
                let at = header.bytes;
                (header, at)
            }
        };
        let accepted = self.accept(header)?;
        let outcome = self.receive(&accepted, at, data);
        self.updates.show(None);
        outcome
    }

    /// A bundle that went on, and is trusted no more, is given up.
    fn accept(&self, header: Header) -> Result<Accepted, Refusal> {
        let id = header.id.digest();
        let accepted = self.updates.accept(header, self.automatic);
        if let Err(refusal) = &accepted
            && refusal.code == RefusalCode::Untrusted
            && matches!(self.updates.progress(), Progress::Writing { incoming, .. } if incoming.bundle == id)
        {
            self.updates.give_up(&refusal.message).map_err(failed)?;
        }
        accepted
    }

    fn receive(&self, accepted: &Accepted, at: u64, data: &mut impl Read) -> Result<(), Refusal> {
        let updates = self.updates;
        updates.show(Some(Live::Receiving { offset: at }));
        let writer = updates.prepare(accepted, self.automatic)?;
        let filled = self.write(accepted, writer, at, data)?;
        end(data)?;
        filled.finish().map_err(writing)?;
        updates.check(&accepted.manifest, accepted.slot)?;
        let Accepted { manifest, header, slot, .. } = accepted;
        updates.unfit(*slot, &format!("{} is written, and was not tried yet", manifest.version))?;
        let what = Candidate {
            slot: *slot,
            version: manifest.version.clone(),
            build_id: manifest.build_id,
            incoming: Some(incoming(manifest, header.id, *slot)),
            epoch: manifest.epoch,
            data: manifest.data,
        };
        updates.keep(Progress::Written { what }).map_err(failed)?;
        updates.files.remove_header().map_err(failed)
    }

    /// Writes the pieces: this thread reads and checks the next one while another writes the last.
    fn write(&self, accepted: &Accepted, writer: SlotWriter, at: u64, data: &mut impl Read) -> Result<Filled, Refusal> {
        let (written, sent) = writer.fill(self.updates, |pieces| {
            let (mut end, mut compressed) = (accepted.header.bytes, Vec::new());
            for (number, (place, piece)) in accepted.manifest.pieces().enumerate() {
                end += u64::from(piece.compressed);
                if end <= at {
                    continue;
                }
                let mut plain = pieces.buffer();
                take(data, piece, &mut compressed, &mut plain).map_err(Broken::Refused)?;
                // One that is written already was sent once more: it is checked, and not written twice.
                if number >= accepted.whole {
                    pieces.write(Job { place, plain, end })?;
                }
            }
            Ok(())
        });
        // Why the writer failed says more than that it ended.
        let filled = written?;
        match sent {
            Ok(()) => Ok(filled),
            Err(Broken::Refused(refusal)) => Err(refusal),
            Err(Broken::Ended) => Err(failed("writing ended early: send the rest again")),
        }
    }
}

/// The next piece.
fn take(data: &mut impl Read, piece: &Piece, compressed: &mut Vec<u8>, plain: &mut Vec<u8>) -> Result<(), Refusal> {
    // Bounded by the manifest's own check.
    compressed.resize(piece.compressed as usize, 0);
    data.read_exact(compressed).map_err(|error| unreadable(ReadError::Io(error)))?;
    open_piece(piece, compressed, plain).map_err(|error| Refusal::new(RefusalCode::Untrusted, error.to_string()))
}

/// Nothing may follow.
fn end(data: &mut impl Read) -> Result<(), Refusal> {
    match data.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => {
            let message = "the bundle is followed by bytes that do not belong to it: get it again";
            Err(Refusal::new(RefusalCode::Malformed, message))
        }
        Err(error) => Err(unreadable(ReadError::Io(error))),
    }
}

fn unreadable(error: ReadError) -> Refusal {
    let refusal = |code, text: &dyn std::error::Error| Refusal::new(code, cut(&lucid_error::chain(text)));
    match &error {
        // Of the sender's making: where a connection broke, nobody waits for this answer.
        ReadError::Io(source) if source.kind() == ErrorKind::UnexpectedEof => {
            let message = "the bundle ended early: send the rest, from where the status says, or get it again";
            Refusal::new(RefusalCode::Malformed, message)
        }
        ReadError::Io(source) if source.kind() == ErrorKind::InvalidData => refusal(RefusalCode::Malformed, source),
        ReadError::Io(_) => refusal(RefusalCode::Failed, &error),
        ReadError::Layout(_) => refusal(RefusalCode::Malformed, &error),
    }
}

pub(super) fn untrusted(refused: Refused) -> Refusal {
    let code = match refused {
        Refused::Layout(_) | Refused::Malformed(_) => RefusalCode::Malformed,
        Refused::WrongCompatible { .. } => RefusalCode::Unsuitable,
        _ => RefusalCode::Untrusted,
    };
    Refusal::new(code, cut(&refused.to_string()))
}

/// What is shown of a bundle.
fn incoming(manifest: &Manifest, id: BundleId, slot: Slot) -> Incoming {
    let (version, build_id, notes) = (manifest.version.clone(), manifest.build_id, cut(&manifest.notes));
    Incoming { version, build_id, bundle: id.digest(), slot, notes }
}
