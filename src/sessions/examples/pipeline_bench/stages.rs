//! Each stage of the pipeline alone.

use std::{
    error::Error,
    fs,
    hint::black_box,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use bytes::Bytes;
use lucid_ports::SessionId;
use lucid_proof::hash::{Hash, LeafHasher};
use lucid_sessions::{Sealer, encrypt_chunk, sealed_bytes_max};
use lucid_store::{BlobBuffer, Blobs};
use lucid_vault::{SessionKey, Vault};

use crate::{
    Outcome, cpu_s,
    input::{CHUNK_BYTES, CHUNKS},
};

/// As the appliance has it by default.
pub(crate) const LEVEL: i32 = 3;
/// How long each stage is timed, in nanoseconds.
const STAGE_NS: f64 = 1.5e9;

/// What the computing stages reach on one core, in MB of plaintext per second of processor time.
pub(crate) struct Computing {
    /// The slowest of them, alone.
    pub(crate) slowest: f64,
    /// All of them, one after the other.
    pub(crate) in_turn: f64,
    /// The chunks as they lie on disk.
    pub(crate) sealed: Vec<BlobBuffer>,
}

/// What the disk reaches.
pub(crate) struct Device {
    /// MB of plaintext per second on the wall.
    pub(crate) rate: f64,
    /// MB of plaintext per second of processor time.
    pub(crate) cpu_rate: f64,
}

/// Times every computing stage alone on this thread.
pub(crate) fn computing(place: &Path, input: &Bytes) -> Outcome<Computing> {
    let key = Vault::open(place, place)?.new_session_key()?.0;
    let chunk = |turn: usize| &input[turn % CHUNKS * CHUNK_BYTES..][..CHUNK_BYTES];
    let sealed = (0..CHUNKS).map(|turn| seal(&key, chunk(turn))).collect::<Outcome<Vec<_>>>()?;
    println!("  lies on the disk as {:.1} %", 100.0 * sealed[0].len() as f64 / CHUNK_BYTES as f64);
    let mut buffer = sealed[0].to_vec();
    let (mut compressor, mut frame) = (zstd::bulk::Compressor::new(LEVEL)?, vec![0; sealed_bytes_max(CHUNK_BYTES)]);
    let compress = rate("zstd", |turn| {
        black_box(compressor.compress_to_buffer(chunk(turn), &mut frame)?);
        Ok(())
    })?;
    let encrypt = rate("XChaCha20-Poly1305", |_| {
        black_box(encrypt_chunk(&key, &[0; 24], b"", &mut buffer)?);
        Ok(())
    })?;
    let hash = rate("BLAKE3 leaf", |turn| {
        black_box(leaf(&sealed[turn % CHUNKS]));
        Ok(())
    })?;
    let (mut sealer, mut buffer) = (Sealer::new(LEVEL)?, BlobBuffer::with_capacity(sealed_bytes_max(CHUNK_BYTES)));
    let in_turn = rate("these three, one after the other", |turn| {
        sealer.seal(&key, SessionId::generate(), turn as u64, chunk(turn), &mut buffer)?;
        black_box(leaf(&buffer));
        Ok(())
    })?;
    Ok(Computing { slowest: compress.min(encrypt).min(hash), in_turn, sealed })
}

fn seal(key: &SessionKey, chunk: &[u8]) -> Outcome<BlobBuffer> {
    let mut sealed = BlobBuffer::with_capacity(sealed_bytes_max(chunk.len()));
    Sealer::new(LEVEL)?.seal(key, SessionId::generate(), 0, chunk, &mut sealed)?;
    Ok(sealed)
}

fn leaf(sealed: &[u8]) -> Hash {
    let mut leaf = LeafHasher::new();
    leaf.update(sealed);
    leaf.finish()
}

/// Repeats `work`, one chunk a turn, and prints and gives its rate by the processor time of this thread: what else the
/// machine does is not counted.
fn rate(name: &str, mut work: impl FnMut(usize) -> Outcome<()>) -> Outcome<f64> {
    work(0)?;
    let (begun_ns, mut turns, mut elapsed_ns) = (thread_cpu_ns()?, 0, 0.0);
    while elapsed_ns < STAGE_NS {
        turns += 1;
        work(turns)?;
        elapsed_ns = thread_cpu_ns()? - begun_ns;
    }
    let rate = (turns * CHUNK_BYTES) as f64 / elapsed_ns * 1e3;
    println!("  {name:<34} {rate:>8.0}");
    Ok(rate)
}

fn thread_cpu_ns() -> Outcome<f64> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split_whitespace().next().ok_or("/proc/thread-self/schedstat has another form")?.parse()?)
}

/// Makes the chunk files of `bytes` of plaintext durable, `at_once` at a time, as the pipeline does.
pub(crate) fn device(directory: &Path, sealed: &[BlobBuffer], bytes: usize, at_once: usize) -> Outcome<Device> {
    let place = tempfile::tempdir_in(directory)?;
    let blobs = Blobs::open(&place.path().join("chunks"))?;
    let (files, next) = (bytes.div_ceil(CHUNK_BYTES), AtomicU64::new(0));
    let (begun, cpu) = (Instant::now(), cpu_s()?);
    let write = || -> Result<(), Box<dyn Error + Send + Sync>> {
        loop {
            let file = next.fetch_add(1, Ordering::Relaxed);
            if file >= files as u64 {
                return Ok(());
            }
            let chunk = &sealed[file as usize % CHUNKS];
            // Of the last chunk as much as the stream has.
            let part = (bytes - file as usize * CHUNK_BYTES).min(CHUNK_BYTES) as f64 / CHUNK_BYTES as f64;
            blobs.put("0", file, &chunk[..(chunk.len() as f64 * part) as usize])?;
        }
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..at_once).map(|_| scope.spawn(write)).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("a writer does not panic"))
    })
    .map_err(|error| error as Box<dyn Error>)?;
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), cpu_s()? - cpu);
    let megabytes = bytes as f64 / 1e6;
    Ok(Device { rate: megabytes / elapsed, cpu_rate: megabytes / cpu })
}
