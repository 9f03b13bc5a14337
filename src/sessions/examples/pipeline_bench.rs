//! How fast a recording becomes durable: each stage alone on one core, and the whole pipeline from a body in memory to the
//! disk, with the peak of memory by the length of the stream.
//!
//! `cargo run --release -p lucid-sessions --example pipeline_bench -- [--dir DIRECTORY] [MIB…]`
//!
//! Lengths are in MiB of plaintext, 10 and 100 without any. Without a directory the files lie in the system's temporary
//! one: choose one on the disk that is to be measured. All rates are of plaintext, so that they compare. The stages are
//! timed by the processor time of their thread, the file and the pipeline by the clock on the wall, so those two want a
//! quiet machine. Columns of the pipeline: its rate; that over the slowest stage alone; the same per core of the machine;
//! its rate by processor time; the peak of resident memory, 32 MiB of input included. No network is used, and the chain
//! takes every anchor without a word.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    error::Error,
    fs,
    hint::black_box,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use chacha20poly1305::{AeadInPlace, KeyInit, XChaCha20Poly1305, XNonce};
use futures_util::{Stream, stream};
use lucid_device::SystemClock;
use lucid_kit::{Board, Lender, Life, Pool, Service, Slot, Spec, slot, supervise, wire};
use lucid_ports::{
    AnchorError, AnchorState, Anchoring, BlockSummary, Chain, ChainError, Evidence, Head, Identity, Load, Recordings,
    Role, SessionId, Storage, Validation,
};
use lucid_proof::{
    block::{Anchor, Block, Genesis},
    hash::{Hash, LeafHasher},
    note::{Signer, VerifierKey},
};
use lucid_sessions::{
    ApiState, PipelineConfig, Progress, RecordingsPort, Repository, SessionApi, SessionApiDeps, SessionPipeline,
    SessionPipelineDeps, SessionStorage, SessionStorageDeps, Uploads, seal_chunk, upload_whole,
};
use lucid_store::Blobs;
use lucid_vault::Vault;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error>>;

const MIB: usize = 1024 * 1024;
/// As the appliance has them by default.
const CHUNK_BYTES: usize = 8 * MIB;
const LEVEL: i32 = 3;
/// What one read of a socket gives at most.
const PIECE_BYTES: usize = 64 * 1024;
/// Different chunks of each kind of input, so that no stage sees the same one twice in a row.
const CHUNKS: usize = 4;
/// How long each stage is timed.
const STAGE_NS: f64 = 1.5e9;

fn main() -> Outcome<()> {
    let (directory, lengths) = arguments()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let cores = std::thread::available_parallelism()?.get();
    println!("{cores} cores, chunks of {} MiB, zstd level {LEVEL}; rates in MB/s of plaintext", CHUNK_BYTES / MIB);
    // One input at a time: what lies in memory counts in the peak.
    for (name, make) in [("text", text as fn() -> Bytes), ("noise", noise)] {
        let input = make();
        println!("\n{name}");
        let slowest = stages(&directory, &input)?;
        println!(
            "  {:<34} {:>8} {:>8} {:>9} {:>9} {:>9}",
            "pipeline", "MB/s", "/slowest", "/core", "CPU MB/s", "peak MiB"
        );
        for mib in &lengths {
            runtime.block_on(pipeline(&directory, &input, *mib, (slowest, cores)))?;
        }
    }
    Ok(())
}

fn arguments() -> Outcome<(PathBuf, Vec<usize>)> {
    let (mut directory, mut lengths) = (std::env::temp_dir(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--dir" => directory = arguments.next().ok_or("--dir needs a directory")?.into(),
            mib => lengths.push(mib.parse().map_err(|_| format!("`{mib}` is no number of MiB"))?),
        }
    }
    Ok((directory, if lengths.is_empty() { vec![10, 100] } else { lengths }))
}

/// Words in a random order: compresses about as a screen of text does.
fn text() -> Bytes {
    const WORDS: [&str; 16] = [
        "session ",
        "window ",
        "the ",
        "of ",
        "draws ",
        "a line ",
        "scrolls ",
        "\n",
        "0x",
        "and ",
        "cursor ",
        "blinks ",
        "keyboard ",
        "pointer ",
        "moves ",
        "to ",
    ];
    let mut rng = fastrand::Rng::with_seed(1);
    let mut bytes = Vec::with_capacity(CHUNKS * CHUNK_BYTES + 16);
    while bytes.len() < CHUNKS * CHUNK_BYTES {
        match rng.u8(..4) {
            0 => bytes.extend(format!("{} ", rng.u32(..100_000)).into_bytes()),
            _ => bytes.extend(WORDS[rng.usize(..WORDS.len())].bytes()),
        }
    }
    bytes.truncate(CHUNKS * CHUNK_BYTES);
    bytes.into()
}

/// What no compressor makes smaller, as video is.
fn noise() -> Bytes {
    let mut bytes = vec![0; CHUNKS * CHUNK_BYTES];
    fastrand::Rng::with_seed(2).fill(&mut bytes);
    bytes.into()
}

/// Times every stage alone on this thread, and gives the rate of the slowest.
fn stages(directory: &Path, input: &Bytes) -> Outcome<f64> {
    let place = tempfile::tempdir_in(directory)?;
    let key = Vault::open(place.path(), place.path())?.new_session_key()?.0;
    let session = SessionId::generate();
    let chunk = |turn: usize| &input[turn % CHUNKS * CHUNK_BYTES..][..CHUNK_BYTES];
    let compressed: Vec<Vec<u8>> =
        (0..CHUNKS).map(|turn| zstd::bulk::compress(chunk(turn), LEVEL)).collect::<io::Result<_>>()?;
    println!("  compresses to {:.1} %", 100.0 * compressed[0].len() as f64 / CHUNK_BYTES as f64);
    let blobs = Blobs::open(&place.path().join("chunks"))?;
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let mut buffer = Vec::with_capacity(2 * CHUNK_BYTES);

    let compress = rate("zstd", cpu_ns, |turn| {
        black_box(zstd::bulk::compress(chunk(turn), LEVEL)?);
        Ok(())
    })?;
    let encrypt = rate("XChaCha20-Poly1305", cpu_ns, |turn| {
        buffer.clear();
        buffer.extend_from_slice(&compressed[turn % CHUNKS]);
        cipher.encrypt_in_place_detached(&XNonce::default(), b"", &mut buffer).map_err(|_| "not encrypted")?;
        Ok(())
    })?;
    let hash = rate("BLAKE3 leaf", cpu_ns, |turn| {
        black_box(leaf(&compressed[turn % CHUNKS]));
        Ok(())
    })?;
    let begun = Instant::now();
    let wall_ns = || Ok(begun.elapsed().as_nanos() as f64);
    let write =
        rate("durable chunk file", wall_ns, |turn| Ok(blobs.put("0", turn as u64, &compressed[turn % CHUNKS])?))?;
    rate("all but the file, one core", cpu_ns, |turn| {
        black_box(leaf(&seal_chunk(&key, session, turn as u64, LEVEL, chunk(turn))?));
        Ok(())
    })?;
    Ok(compress.min(encrypt).min(hash).min(write))
}

fn leaf(sealed: &[u8]) -> Hash {
    let mut leaf = LeafHasher::new();
    leaf.update(sealed);
    leaf.finish()
}

/// Repeats `work`, one chunk a turn, and prints its rate by a clock that counts nanoseconds.
fn rate(name: &str, clock: impl Fn() -> Outcome<f64>, mut work: impl FnMut(usize) -> Outcome<()>) -> Outcome<f64> {
    work(0)?;
    let (begun_ns, mut turns, mut elapsed_ns) = (clock()?, 0, 0.0);
    while elapsed_ns < STAGE_NS {
        turns += 1;
        work(turns)?;
        elapsed_ns = clock()? - begun_ns;
    }
    let rate = (turns * CHUNK_BYTES) as f64 / elapsed_ns * 1e3;
    println!("  {name:<34} {rate:>8.0}");
    Ok(rate)
}

/// Processor time of this thread: what else the machine does is not counted.
fn cpu_ns() -> Outcome<f64> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split_whitespace().next().ok_or("/proc/thread-self/schedstat has another form")?.parse()?)
}

/// Records `mib` of `input` through the services, and prints how fast that was.
async fn pipeline(directory: &Path, input: &Bytes, mib: usize, (slowest, cores): (f64, usize)) -> Outcome<()> {
    let place = tempfile::tempdir_in(directory)?;
    let services = Services::start(place.path()).await?;
    // The peak begins anew; where the kernel refuses that, it is the process's own.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (begun, cpu) = (Instant::now(), cpu_s()?);
    let caller = Identity { user: "bench".to_owned(), role: Role::Admin, token_id: uuid::Uuid::nil() };
    let id = upload_whole(services.api.clone(), caller.clone(), String::new(), body(input, mib * MIB)).await?;
    let (elapsed, cpu, peak) = (begun.elapsed().as_secs_f64(), cpu_s()? - cpu, peak_mib()?);
    let recorded = RecordingsPort(services.api.clone()).get(&caller, id).await?.durable_bytes;
    if recorded != (mib * MIB) as u64 {
        return Err(format!("{recorded} bytes are durable, and {} were sent", mib * MIB).into());
    }
    let megabytes = (mib * MIB) as f64 / 1e6;
    let rate = megabytes / elapsed;
    println!(
        "  {:<34} {rate:>8.0} {:>8.2} {:>9.2} {:>9.0} {peak:>9}",
        format!("{mib} MiB"),
        rate / slowest,
        rate / slowest / cores as f64,
        megabytes / cpu,
    );
    services.stop().await;
    Ok(())
}

/// A body of so many bytes, which takes no memory of its own.
fn body(input: &Bytes, bytes: usize) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + use<> {
    let input = input.clone();
    stream::iter((0..bytes).step_by(PIECE_BYTES).map(move |offset| {
        let begin = offset % input.len();
        Ok(input.slice(begin..begin + PIECE_BYTES.min(bytes - offset)))
    }))
}

/// Processor time of this process in seconds, from /proc/self/stat; a tick is a hundredth.
fn cpu_s() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// Peak of resident memory in MiB, the input's included.
fn peak_mib() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

/// The three services as the appliance wires them.
struct Services {
    api: Slot<ApiState>,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _conditions: (watch::Sender<bool>, watch::Sender<Storage>, watch::Sender<Load>),
}

type Slots<T> = (Lender<T>, Slot<T>);

impl Services {
    async fn start(place: &Path) -> Outcome<Self> {
        fs::create_dir_all(place.join("data/session-storage"))?;
        let (board, stop) = (Board::default(), CancellationToken::new());
        let (repository, uploads, api): (Slots<Repository>, Slots<Uploads>, Slots<ApiState>) =
            (slot("session-storage"), slot("session-pipeline"), slot("session-api"));
        let (background, allowed) = watch::channel(true);
        let ready = Storage::Ready { root: place.to_owned(), free_bytes: u64::MAX, low: false };
        let (storage, load) = (watch::channel(ready).0, watch::channel(Load::Full).0);
        let pool = Pool::new(allowed)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let progress = Progress::new(Arc::new(Signer::new("bench", key)?), Arc::new(Nowhere));
        let keeper =
            SessionStorageDeps { data_dir: place.join("data"), state_dir: place.to_owned(), repository: repository.0 };
        let pipeline = SessionPipelineDeps {
            repository: repository.1.clone(),
            uploads: uploads.0,
            pool: pool.clone(),
            clock: Arc::new(SystemClock::new(place)),
            storage: storage.subscribe(),
            progress,
        };
        let face = SessionApiDeps {
            repository: repository.1,
            uploads: uploads.1,
            chain: Arc::new(Nowhere),
            pool,
            load: load.subscribe(),
            api: api.0,
        };
        let config = PipelineConfig {
            chunk_bytes: CHUNK_BYTES,
            chunk_age: Duration::from_secs(5),
            level: LEVEL,
            uploads_max: 1,
            idle_max: Duration::from_secs(60),
        };
        let tasks = vec![
            run::<SessionStorage>((), keeper, &board, &stop),
            run::<SessionPipeline>(config, pipeline, &board, &stop),
            run::<SessionApi>((), face, &board, &stop),
        ];
        for name in [SessionStorage::NAME, SessionPipeline::NAME, SessionApi::NAME] {
            board.life(name).ok_or(name)?.wait_for(|life| *life == Life::Running).await?;
        }
        Ok(Self { api: api.1, stop, tasks, _conditions: (background, storage, load) })
    }

    async fn stop(self) {
        self.stop.cancel();
        futures_util::future::join_all(self.tasks).await;
    }
}

fn run<S: Service>(
    config: S::Config,
    deps: S::Deps,
    board: &Board,
    stop: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let spec =
        Spec { name: S::NAME, purpose: "a benchmark", needs: &[], critical: true, storage: true, stop_grace_s: 30 };
    supervise::<S>(spec, wire().1, config, deps, Vec::new(), board, stop.clone())
}

/// Takes anchors, and knows nothing.
struct Nowhere;

#[async_trait]
impl Anchoring for Nowhere {
    async fn submit(&self, _anchor: Anchor) -> Result<AnchorState, AnchorError> {
        Ok(AnchorState::Pending)
    }

    async fn state(&self, _session: SessionId) -> Result<AnchorState, AnchorError> {
        Ok(AnchorState::Pending)
    }
}

#[async_trait]
impl Chain for Nowhere {
    fn head(&self) -> Option<Head> {
        None
    }

    async fn genesis(&self) -> Result<Genesis, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn key(&self) -> Result<VerifierKey, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn block(&self, _height: u64) -> Result<Option<Block>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn latest(&self, _before: Option<u64>, _limit: usize) -> Result<Vec<BlockSummary>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn anchor(&self, _session: SessionId) -> Result<Option<(u64, u32)>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn evidence(&self, _session: SessionId, _also: &[String]) -> Result<Option<Evidence>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn checkpoint(&self) -> Result<String, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn consistency(&self, _old: u64, _new: u64) -> Result<Vec<Hash>, ChainError> {
        Err(ChainError::Unavailable)
    }

    fn validation(&self) -> Validation {
        Validation::default()
    }

    async fn validate(&self) -> Result<(), ChainError> {
        Err(ChainError::Unavailable)
    }
}
