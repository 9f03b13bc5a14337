//! Bytes that were read but are not yet durable on the server, kept so that they can be sent again.
//!
//! Bounded: when it is full the source is not read, so that back-pressure reaches whoever writes the stream. One
//! reader pushes, one upload reads at its own cursor, and what the server calls durable is released.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use tokio::sync::watch;

/// Most bytes kept. Twelve chunks of the default size: a server has up to seven on their way to the disk, and the rest
/// is what flows until the next poll tells how many of them are there.
pub(crate) const REPLAY_BYTES_MAX: usize = 96 << 20;

/// The bytes from `base` to `end` of the stream.
pub(crate) struct Replay {
    state: watch::Sender<State>,
    bytes_max: usize,
}

struct State {
    /// Pieces with the offset of their first byte, without gaps, in order.
    pieces: VecDeque<(u64, Bytes)>,
    /// Sum of their lengths.
    held: usize,
    /// Everything before is durable. Lies in the first piece, or at `end`.
    base: u64,
    /// Offset behind the last byte read.
    end: u64,
    source: SourceState,
}

enum SourceState {
    Open,
    Ended,
    Failed(Option<io::Error>),
}

/// What an upload finds at its cursor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// These bytes; never empty.
    Piece(Bytes),
    /// The stream ended here.
    End,
    /// The source can't be read any further.
    Failed,
}

impl Replay {
    /// Empty, for a stream whose first `base` bytes are durable already.
    pub(crate) fn new(base: u64, bytes_max: usize) -> Self {
        let state = State { pieces: VecDeque::new(), held: 0, base, end: base, source: SourceState::Open };
        Self { state: watch::Sender::new(state), bytes_max }
    }

    /// Takes in the next bytes of the source, once there is room. A piece larger than the bound waits until all
    /// others are gone.
    pub(crate) async fn push(&self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let has_room = |state: &State| state.pieces.is_empty() || state.held + piece.len() <= self.bytes_max;
        let mut receiver = self.state.subscribe();
        // Fails only when the sender is gone, and that is in `self`.
        drop(receiver.wait_for(has_room).await.expect("the sender lives as long as `self`"));
        self.state.send_modify(|state| {
            state.held += piece.len();
            state.pieces.push_back((state.end, piece.clone()));
            state.end += piece.len() as u64;
        });
    }

    /// Waits until more than half of the bound is kept.
    pub(crate) async fn half_full(&self) {
        let mut receiver = self.state.subscribe();
        let is_half_full = |state: &State| state.held > self.bytes_max / 2;
        drop(receiver.wait_for(is_half_full).await.expect("the sender lives as long as `self`"));
    }

    /// The source came to its end, or broke.
    pub(crate) fn close(&self, result: io::Result<()>) {
        self.state.send_modify(|state| {
            state.source = match result {
                Ok(()) => SourceState::Ended,
                Err(error) => SourceState::Failed(Some(error)),
            };
        });
    }

    /// The bytes at `cursor`, which must lie between base and end. Waits for the source.
    pub(crate) async fn next(&self, cursor: u64) -> Next {
        let mut receiver = self.state.subscribe();
        let settled = |state: &State| cursor < state.end || !matches!(state.source, SourceState::Open);
        let state = receiver.wait_for(settled).await.expect("the sender lives as long as `self`");
        if let Some(piece) = state.at(cursor) {
            return Next::Piece(piece);
        }
        match state.source {
            SourceState::Failed(_) => Next::Failed,
            _ => Next::End,
        }
    }

    /// Everything before `durable` need not be sent again. Older news than what is known changes nothing.
    pub(crate) fn release(&self, durable: u64) {
        self.state.send_if_modified(|state| {
            let advances = durable > state.base && durable <= state.end;
            while advances && state.pieces.front().is_some_and(|(from, piece)| from + piece.len() as u64 <= durable) {
                state.held -= state.pieces.pop_front().map_or(0, |(_, piece)| piece.len());
            }
            if advances {
                state.base = durable;
            }
            advances
        });
    }

    /// First byte held, and the byte behind the last.
    pub(crate) fn span(&self) -> (u64, u64) {
        let state = self.state.borrow();
        (state.base, state.end)
    }

    /// The end of the stream, once the source has come to it.
    pub(crate) fn total(&self) -> Option<u64> {
        let state = self.state.borrow();
        matches!(state.source, SourceState::Ended).then_some(state.end)
    }

    /// Why the source broke, if it did. Told once.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        let mut failure = None;
        self.state.send_if_modified(|state| {
            if let SourceState::Failed(error) = &mut state.source {
                failure = error.take();
            }
            false
        });
        failure
    }
}

impl State {
    fn at(&self, cursor: u64) -> Option<Bytes> {
        let behind = self.pieces.partition_point(|(from, _)| *from <= cursor);
        let (from, piece) = self.pieces.get(behind.checked_sub(1)?)?;
        let skip = usize::try_from(cursor - from).ok()?;
        (skip < piece.len()).then(|| piece.slice(skip..))
    }
}

#[cfg(test)]
mod tests;
