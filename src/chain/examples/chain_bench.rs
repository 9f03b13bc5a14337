//! How fast the chain grows, proves and is validated, and whether that depends on its length.
//!
//! `cargo run --release -p lucid-chain --example chain_bench -- [--million] [DIRECTORY]`
//!
//! Grows one chain to 10^3, 10^4 and 10^5 blocks (10^6 with `--million`), one anchor in every tenth block, each block
//! durable by itself as on the appliance. At each length prints the pace of the last segment, the time of single appends
//! and proofs, the pace of a validation from the beginning, and the size of the file. Then the pace of full blocks. Without
//! a directory the file lies in the system's temporary one: choose one on the disk that is to be measured.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ed25519_dalek::SigningKey;
use lucid_chain::{ChainStore, Cursor, FILE_NAME, Producer, Step, step};
use lucid_proof::{
    block::{Anchor, SignedTransaction, Transaction},
    time::{TimeTrust, Timestamp},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Proofs timed at each length.
const PROOFS: u64 = 200;
/// Appends timed one by one at each length.
const APPENDS: u64 = 50;
/// Threads that submit at once, so that group commit has something to group.
const SUBMITTERS: u64 = 64;
/// Transactions of a full block.
const FULL: u64 = 1000;
/// Blocks between two with an anchor.
const ANCHOR_EVERY: u64 = 10;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let million = arguments.iter().any(|argument| argument == "--million");
    let directory = arguments.iter().find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let place = match directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let bench = Bench::begin(place.path())?;
    println!(
        "{:>9} {:>10} {:>12} {:>12} {:>12} {:>10}",
        "blocks", "made/s", "append p50", "proof p50", "checked/s", "file MB"
    );
    for length in [1_000, 10_000, 100_000, 1_000_000] {
        if length < 1_000_000 || million {
            bench.line(length)?;
        }
    }
    bench.full_blocks()
}

struct Bench {
    file: PathBuf,
    key: SigningKey,
    producer: Producer,
}

impl Bench {
    fn begin(place: &Path) -> Outcome<Self> {
        let file = place.join(FILE_NAME);
        let key = SigningKey::from_bytes(&[1; 32]);
        let producer = Producer::begin(ChainStore::open_store(&file)?, "bench/chain", time(0), &key)?;
        Ok(Self { file, key, producer })
    }

    fn chain(&self) -> &Arc<ChainStore> {
        self.producer.chain()
    }

    fn sign(&self, number: u64) -> SignedTransaction {
        let mut session = [0; 16];
        session[8..].copy_from_slice(&number.to_be_bytes());
        let (root, manifest) = ([1; 32], [2; 32]);
        let anchor = Anchor { session, root, manifest, chunks: 1, bytes: 1, started_ms: 0, ended_ms: 1 };
        SignedTransaction::sign(Transaction::Anchor(anchor), self.chain().chain_id(), &self.key)
    }

    /// Makes the next block.
    fn grow(&self, height: u64) -> Outcome<()> {
        if height.is_multiple_of(ANCHOR_EVERY) {
            self.chain().submit(self.sign(height))?;
        }
        self.producer.produce(time(height))?;
        Ok(())
    }

    /// Proves that the header at `height` is in the log.
    fn prove(&self, height: u64) -> Outcome<()> {
        self.chain().log_proof(height)?;
        Ok(())
    }

    /// Grows to `length` blocks and prints what that was like.
    fn line(&self, length: u64) -> Outcome<()> {
        let from = self.chain().head()?.height + 1;
        let started = Instant::now();
        for height in from..length - APPENDS {
            self.grow(height)?;
        }
        let made = pace(length - APPENDS - from, started.elapsed());
        let append = median(length - APPENDS..length, |height| self.grow(height))?;
        // Heights spread over the whole chain by a step that is coprime to its length.
        let proof = median(0..PROOFS, |index| self.prove(index * 7919 % length))?;
        let checked = self.validate()?;
        let megabytes = std::fs::metadata(&self.file)?.len() as f64 / 1e6;
        let (append, proof) = (format!("{append:.1?}"), format!("{proof:.1?}"));
        println!("{length:>9} {made:>10.0} {append:>12} {proof:>12} {checked:>12.0} {megabytes:>10.1}");
        Ok(())
    }

    /// Blocks a second of a validation from the beginning.
    fn validate(&self) -> Outcome<f64> {
        let started = Instant::now();
        let mut cursor = Cursor::new();
        loop {
            match step(self.chain(), cursor, 128)? {
                Step::More(next) => cursor = next,
                Step::Valid { blocks } => return Ok(pace(blocks, started.elapsed())),
            }
        }
    }

    /// Fills and makes a full block, and checks the chain again.
    fn full_blocks(&self) -> Outcome<()> {
        let height = self.chain().head()?.height + 1;
        let transactions: Vec<_> = (0..FULL).map(|number| self.sign(u64::MAX - number)).collect();
        let started = Instant::now();
        std::thread::scope(|scope| {
            let submitter = |part: Vec<SignedTransaction>| {
                scope.spawn(move || part.into_iter().try_for_each(|one| self.chain().submit(one).map(|_| ())))
            };
            let parts = transactions.chunks(FULL.div_ceil(SUBMITTERS) as usize).map(<[_]>::to_vec);
            let threads: Vec<_> = parts.map(submitter).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("submitting does not panic"))
        })?;
        let submitted = pace(FULL, started.elapsed());
        let started = Instant::now();
        let produced = self.producer.produce(time(height))?;
        let made = started.elapsed();
        println!("{SUBMITTERS} submitters: {submitted:.0} durable transactions/s");
        println!("a block of {} transactions: {made:.1?}", produced.transactions);
        Ok(())
    }
}

fn time(height: u64) -> Timestamp {
    Timestamp { unix_ms: 1_767_225_600_000 + height * 10_000, trust: TimeTrust::Synchronized }
}

fn pace(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// The median time of one call.
fn median(range: std::ops::Range<u64>, call: impl Fn(u64) -> Outcome<()>) -> Outcome<Duration> {
    let mut times = Vec::new();
    for index in range {
        let started = Instant::now();
        call(index)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
