//! What is recorded: bytes from a seed, half of them random, half of them like text.

use std::{
    io::{self, Write},
    path::Path,
};

/// A stretch of one kind.
const STRETCH_BYTES: usize = 192 * 1024;

/// The seed of this run: `LUCID_SEED`, else the process id. Printed, so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let given = std::env::vars().find(|(name, _)| name == "LUCID_SEED").and_then(|(_, value)| value.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("LUCID_SEED={seed}");
    seed
}

/// An endless source of such bytes.
pub(crate) struct Media {
    random: fastrand::Rng,
    stretches: u64,
}

impl Media {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), stretches: 0 }
    }

    /// The next stretch.
    pub(crate) fn stretch(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; STRETCH_BYTES];
        if self.stretches.is_multiple_of(2) {
            self.random.fill(&mut bytes);
        } else {
            let line = format!("frame {:>12} of the session, and nothing moved\n", self.stretches);
            bytes.iter_mut().zip(line.bytes().cycle()).for_each(|(byte, letter)| *byte = letter);
        }
        self.stretches += 1;
        bytes
    }

    /// Writes stretches to both until `enough`; gives how many bytes.
    pub(crate) fn pour(
        &mut self,
        into: &mut impl Write,
        copy: &mut impl Write,
        mut enough: impl FnMut(u64) -> bool,
    ) -> io::Result<u64> {
        let mut poured = 0;
        while !enough(poured) {
            let stretch = self.stretch();
            copy.write_all(&stretch)?;
            into.write_all(&stretch)?;
            poured += stretch.len() as u64;
        }
        Ok(poured)
    }
}

/// `bytes` bytes of media.
pub(crate) fn mix(seed: u64, bytes: usize) -> Vec<u8> {
    let mut media = Media::new(seed);
    let mut all = Vec::with_capacity(bytes + STRETCH_BYTES);
    while all.len() < bytes {
        all.extend(media.stretch());
    }
    all.truncate(bytes);
    all
}

/// Asserts that two files hold the same, without printing them.
#[track_caller]
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (std::fs::read(one).unwrap(), std::fs::read(other).unwrap());
    let differs = one.iter().zip(&other).position(|(a, b)| a != b);
    assert_eq!(differs, None, "the first byte that differs, of {} and {}", one.len(), other.len());
    assert_eq!(one.len(), other.len());
}
