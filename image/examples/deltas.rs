//! What an index of blocks would save: how much of a newer bundle's payloads an appliance that has the older one still
//! lacks, by blocks of 4 KiB and by content-defined chunks.
//!
//! `cargo run --release -p lucid-image --example deltas OLD.bundle NEW.bundle`. Nothing of it is in the format: this
//! measures whether it would be worth it. What is lacking is compressed in one stream, as well as a bundle is; the
//! index that says which blocks there are is counted apart, at 32 bytes a block.

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::ops::Range;

use fastcdc::v2020::FastCDC;
use lucid_bundle::{Kind, Manifest, Unpacker, read_header};

/// A block of the file systems and of the verity tree.
const BLOCK_BYTES: usize = 4096;

/// Average lengths of content-defined chunks; the least is a quarter, the most four times as much.
const CHUNK_BYTES: [usize; 2] = [8 * 1024, 64 * 1024];

/// Of a hash in an index.
const HASH_BYTES: usize = 32;

/// As releases are compressed.
const LEVEL: i32 = 19;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(old), Some(new), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: deltas OLD.bundle NEW.bundle".into());
    };
    let (old, new) = (Payloads::read(&old)?, Payloads::read(&new)?);
    let mut out = io::stdout().lock();
    writeln!(out, "| payload | cut into | blocks | lacking | compressed | index | of the whole payload's download |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for kind in Kind::ALL {
        compare(&mut out, kind, old.of(kind), new.of(kind))?;
    }
    Ok(())
}

/// The content of both partitions. What a bundle says of itself is enough here: nothing is installed.
struct Payloads {
    root: Vec<u8>,
    boot: Vec<u8>,
}

impl Payloads {
    fn read(path: &str) -> Result<Self, Box<dyn Error>> {
        let mut reader = BufReader::new(File::open(path)?);
        let manifest: Manifest = read_header(&mut reader)?.manifest_unverified()?;
        let mut unpacker = Unpacker::new(&manifest, reader);
        let (mut payloads, mut piece) = (Self { root: vec![], boot: vec![] }, vec![]);
        while let Some(place) = unpacker.next(&mut piece)? {
            match place.payload {
                Kind::Root => payloads.root.extend_from_slice(&piece),
                Kind::Boot => payloads.boot.extend_from_slice(&piece),
            }
        }
        Ok(payloads)
    }

    fn of(&self, kind: Kind) -> &[u8] {
        match kind {
            Kind::Root => &self.root,
            Kind::Boot => &self.boot,
        }
    }
}

fn compare(out: &mut impl io::Write, kind: Kind, old: &[u8], new: &[u8]) -> io::Result<()> {
    let whole = zstd::encode_all(new, LEVEL)?.len();
    let mib = |bytes: usize| format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20));
    writeln!(out, "| {kind} | whole | 1 | {} | {} | | 100 % |", mib(new.len()), mib(whole))?;
    let mut line = |name: &str, blocks: usize, lacking: &[u8], index: usize| -> io::Result<()> {
        let compressed = zstd::encode_all(lacking, LEVEL)?.len();
        let percent = 100.0 * (compressed + index) as f64 / whole as f64;
        let (lacking, compressed, index) = (mib(lacking.len()), mib(compressed), mib(index));
        writeln!(out, "| {kind} | {name} | {blocks} | {lacking} | {compressed} | {index} | {percent:.1} % |")
    };
    let (count, lacking) = in_place(old, new);
    line("4 KiB, at the same place", count, &lacking, count * HASH_BYTES)?;
    let (count, lacking) = anywhere(old, new, &fixed);
    line("4 KiB, anywhere", count, &lacking, count * HASH_BYTES)?;
    for average in CHUNK_BYTES {
        let (count, lacking) = anywhere(old, new, &|bytes| chunks(bytes, average));
        line(&format!("by content, about {} KiB", average / 1024), count, &lacking, count * HASH_BYTES)?;
    }
    Ok(())
}

/// Number of blocks, and the bytes of those that differ from the old one at their place.
fn in_place(old: &[u8], new: &[u8]) -> (usize, Vec<u8>) {
    let cuts = fixed(new);
    let differing = cuts.iter().filter(|cut| old.get((*cut).clone()) != new.get((*cut).clone()));
    (cuts.len(), differing.flat_map(|cut| new[cut.clone()].iter().copied()).collect())
}

/// Number of blocks, and the bytes of those that are nowhere in the old payload, each once.
fn anywhere(old: &[u8], new: &[u8], cut: &dyn Fn(&[u8]) -> Vec<Range<usize>>) -> (usize, Vec<u8>) {
    let mut known: HashSet<_> = cut(old).into_iter().map(|cut| blake3::hash(&old[cut])).collect();
    let cuts = cut(new);
    let count = cuts.len();
    let lacking = cuts.into_iter().filter(|cut| known.insert(blake3::hash(&new[cut.clone()])));
    (count, lacking.flat_map(|cut| new[cut].iter().copied()).collect())
}

fn fixed(bytes: &[u8]) -> Vec<Range<usize>> {
    (0..bytes.len()).step_by(BLOCK_BYTES).map(|at| at..(at + BLOCK_BYTES).min(bytes.len())).collect()
}

fn chunks(bytes: &[u8], average: usize) -> Vec<Range<usize>> {
    let cuts = FastCDC::new(bytes, average / 4, average, average * 4);
    cuts.map(|chunk| chunk.offset..chunk.offset + chunk.length).collect()
}
