//! What the tests of power cuts share: how many cuts, by which seed, and the disk that one leaves.

use std::fs::File;
use std::path::{Path, PathBuf};

use lucid_hw_tests::crash::{self, Cut, WriteLog};

use crate::bench::copy;

/// How many cuts: `LUCID_CUTS`, or else `default`.
pub(crate) fn cuts(default: usize) -> usize {
    number("LUCID_CUTS").map_or(default, |cuts| usize::try_from(cuts).expect("LUCID_CUTS is not that large"))
}

/// Where everything random comes from: `LUCID_SEED`, or else another each time. Printed, to repeat a failure by.
pub(crate) fn random() -> fastrand::Rng {
    let seed = number("LUCID_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("LUCID_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration; more of it is asked for by hand")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// A disk whose writes were recorded.
pub(crate) struct Recorded {
    /// What it held before.
    base: PathBuf,
    /// Its writes.
    pub(crate) log: WriteLog<File>,
}

impl Recorded {
    pub(crate) fn read(base: &Path, record: &Path) -> Self {
        Self { base: base.to_owned(), log: WriteLog::open(File::open(record).unwrap()).unwrap() }
    }

    /// Makes `disk` what it may hold after `cut`. How many writes were lost or torn.
    pub(crate) fn cut(&mut self, cut: Cut, disk: &Path) -> usize {
        copy(&self.base, disk);
        let mut disk = File::options().write(true).open(disk).unwrap();
        crash::replay(&mut self.log, &mut disk, cut).unwrap()
    }
}
