//! How much a durable write to a store costs beside a bare durable write, on the same directory in the same run.
//!
//! `cargo run -p lucid-store --example store_bench [DIRECTORY]`. Prints the p50, p95 and p99 of single durable writes,
//! and the throughput of 64 writers, as ratios to `pwrite` and `fdatasync` of the same size: ratios compare between
//! machines, times do not.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lucid_store::{Options, Schema, Store, StoreError, Table};

static SCHEMA: Schema = Schema { name: "bench", version: 1, migrations: &[], readable_by_previous: true };
const ROWS: Table<u64, Vec<u8>> = Table::new("rows");

/// The size of a document with a few fields.
const ROW_BYTES: usize = 1024;

/// Single writes of each kind: enough for a p99 of ten samples.
const SINGLES: u64 = 1000;

/// Writers at once, and writes of each.
const WRITERS: u64 = 64;
const WRITES_EACH: u64 = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(parent)?;
    let (mut raw, mut store_times) = (Vec::new(), Vec::new());
    let store = Store::open(&dir.path().join("bench.redb"), &SCHEMA, Options::default())?;
    let file = preallocated(&dir.path().join("raw"))?;
    // In turns, so that both meet the same disk.
    for index in 0..SINGLES {
        raw.push(timed(|| write_raw(&file, index))?);
        store_times.push(timed(|| write_row(&store, index))?);
    }
    let grouped = timed(|| write_in_groups(&store))?;
    report(&mut raw, &mut store_times, grouped)?;
    Ok(())
}

fn preallocated(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    file.write_all_at(&vec![1; ROW_BYTES * usize::try_from(SINGLES).unwrap_or(usize::MAX)], 0)?;
    file.sync_all()?;
    Ok(file)
}

fn timed<E>(act: impl FnOnce() -> Result<(), E>) -> Result<Duration, E> {
    let started = Instant::now();
    act()?;
    Ok(started.elapsed())
}

fn write_raw(file: &File, index: u64) -> io::Result<()> {
    file.write_all_at(&[2; ROW_BYTES], index * ROW_BYTES as u64)?;
    file.sync_data()
}

fn write_row(store: &Store, index: u64) -> Result<(), StoreError> {
    store.write_blocking(move |tx| tx.put(&ROWS, &index, &vec![2; ROW_BYTES]))
}

fn write_in_groups(store: &Store) -> Result<(), StoreError> {
    let write_many = |writer: u64| {
        let first = SINGLES + writer * WRITES_EACH;
        (first..first + WRITES_EACH).try_for_each(|index| write_row(store, index))
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write_many(writer))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no writer panics"))
    })
}

fn report(raw: &mut [Duration], store: &mut [Duration], grouped: Duration) -> io::Result<()> {
    raw.sort_unstable();
    store.sort_unstable();
    let mut out = io::stdout().lock();
    writeln!(out, "{ROW_BYTES} bytes, durable      raw ms   store ms   store / raw")?;
    for (name, part) in [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)] {
        let (raw, store) = (quantile_ms(raw, part), quantile_ms(store, part));
        writeln!(out, "single write {name}     {raw:9.3}  {store:9.3}   {:9.2}", store / raw)?;
    }
    let raw_per_s = raw.len() as f64 / raw.iter().sum::<Duration>().as_secs_f64();
    let grouped_per_s = (WRITERS * WRITES_EACH) as f64 / grouped.as_secs_f64();
    let ratio = grouped_per_s / raw_per_s;
    writeln!(out, "{WRITERS} writers: {grouped_per_s:.0} writes/s, raw one by one: {raw_per_s:.0}/s, ratio {ratio:.2}")
}

fn quantile_ms(sorted: &[Duration], part: f64) -> f64 {
    let index = ((sorted.len() as f64 * part) as usize).min(sorted.len() - 1);
    sorted[index].as_secs_f64() * 1000.0
}
