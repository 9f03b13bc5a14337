//! How fast a recording becomes durable: each stage alone, and the whole pipeline from a body in memory to the disk,
//! with the peak of memory by the length of the stream.
//!
//! `cargo run --release -p lucid-sessions --example pipeline_bench -- [--dir DIRECTORY] [--only text|noise] [MIB…]`
//!
//! Lengths are in MiB of plaintext, 10 and 100 without any. Without a directory the files lie in the system's temporary
//! one: choose one on the disk that is to be measured. All rates are of plaintext, so that they compare.
//!
//! A stage that computes is bound by a core: it is rated on one, by the processor time of its thread. The durable file
//! is bound by the disk, which does not become faster with a second core: it is rated by the clock on the wall, writing
//! the same chunk files of a stream of the same length, as many at once as the pipeline has under way, in turns with
//! the pipeline, and the median of all rounds counts. So the pipeline is compared with the least of two: the slowest
//! computing stage times the cores, and the disk. The *bound* is what no arrangement of the stages could exceed: the
//! cores' time over what all stages, the file's system calls included, take of it in sum; or else the disk.
//!
//! Each recording has a process of its own, so that its peak of resident memory is not that of what the allocator kept
//! of the ones before; 32 MiB of input are in it. No network is used, and the chain takes every anchor without a word.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod input;
mod recording;
mod services;
mod stages;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use input::Kind;
use lucid_sessions::under_way_max;
use stages::{Computing, Device};

type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) const MIB: usize = 1024 * 1024;
/// Plaintext of all rounds of one length together, in MiB: short streams are repeated.
const ROUNDS_MIB: usize = 3000;
/// Most rounds of one length.
const ROUNDS_MAX: usize = 5;

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    if let Some(bytes) = arguments.record {
        return recording::record_here(&arguments, bytes);
    }
    let cores = std::thread::available_parallelism()?.get();
    let at_once = under_way_max(cores);
    println!(
        "{cores} cores, chunks of {} MiB, zstd level {}, {at_once} chunks under way; rates in MB/s of plaintext",
        input::CHUNK_BYTES / MIB,
        stages::LEVEL
    );
    for kind in Kind::ALL.into_iter().filter(|kind| arguments.only.is_none_or(|only| only == *kind)) {
        println!("\n{}, stages on one core", kind.name());
        let place = tempfile::tempdir_in(&arguments.directory)?;
        let computing = stages::computing(place.path(), &kind.input())?;
        println!(
            "  {:<12} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "stream", "MB/s", "disk", "ratio", "bound", "of bound", "CPU MB/s", "peak MiB"
        );
        let bench = Bench { directory: &arguments.directory, kind, computing: &computing, cores, at_once };
        arguments.lengths.iter().try_for_each(|mib| bench.compare(*mib))?;
    }
    Ok(())
}

struct Arguments {
    directory: PathBuf,
    only: Option<Kind>,
    /// This process is one of the benchmark's own, and records so many bytes.
    record: Option<usize>,
    lengths: Vec<usize>,
}

fn arguments() -> Outcome<Arguments> {
    let mut found = Arguments { directory: std::env::temp_dir(), only: None, record: None, lengths: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match &*argument {
            "--dir" => found.directory = value()?.into(),
            "--only" => found.only = Some(Kind::parse(&value()?)?),
            recording::ARGUMENT => found.record = Some(value()?.parse()?),
            mib => found.lengths.push(mib.parse().map_err(|_| format!("`{mib}` is no number of MiB"))?),
        }
    }
    if found.lengths.is_empty() {
        found.lengths = vec![10, 100];
    }
    Ok(found)
}

struct Bench<'a> {
    directory: &'a Path,
    kind: Kind,
    computing: &'a Computing,
    cores: usize,
    at_once: usize,
}

impl Bench<'_> {
    /// Measures disk and pipeline in turns, and prints how they compare.
    fn compare(&self, mib: usize) -> Outcome<()> {
        let (mut disks, mut recorded) = (Vec::new(), Vec::new());
        for _ in 0..(ROUNDS_MIB / mib).clamp(1, ROUNDS_MAX) {
            disks.push(stages::device(self.directory, &self.computing.sealed, mib * MIB, self.at_once)?);
            self.settle()?;
            recorded.push(recording::record(self.directory, self.kind, mib * MIB)?);
            self.settle()?;
        }
        let disk = median(disks.iter().map(|disk: &Device| disk.rate));
        let disk_cpu = median(disks.iter().map(|disk| disk.cpu_rate));
        let rate = median(recorded.iter().map(|recorded| recorded.rate));
        let cores = self.cores as f64;
        let slowest = (self.computing.slowest * cores).min(disk);
        let bound = (cores / (1.0 / self.computing.in_turn + 1.0 / disk_cpu)).min(disk);
        println!(
            "  {:<12} {rate:>8.0} {disk:>8.0} {:>8.2} {bound:>9.0} {:>9.2} {:>9.0} {:>9}",
            format!("{mib} MiB"),
            rate / slowest,
            rate / bound,
            median(recorded.iter().map(|recorded| recorded.cpu_rate)),
            recorded.iter().map(|recorded| recorded.peak_mib).max().unwrap_or_default(),
        );
        Ok(())
    }

    /// Lets the filesystem end what removing the last round's files began, so that the next round does not pay for it.
    fn settle(&self) -> Outcome<()> {
        Ok(lucid_store::sync_dir(self.directory)?)
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of this process in seconds, from /proc/self/stat; a tick is a hundredth.
pub(crate) fn cpu_s() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
