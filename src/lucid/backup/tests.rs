//! Backups of what changes while it is copied.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use lucid_chain::{ChainStore, Producer};
use lucid_device::FakeClock;
use lucid_foundation::auth_service::{AccountsPort, AuthService};
use lucid_kit::slot;
use lucid_proof::time::{TimeTrust, Timestamp};
use lucid_store::{Json, Options, Reader as _, Store, Table};
use lucid_vault::{Vault, decrypt_with_recovery};
use serde_json::json;
use tempfile::TempDir;

use super::{Sources, StoreSource, restore::fill, save};

const NOON_MS: u64 = 1_769_860_800_000;
const SESSIONS: Table<[u8; 16], Json<serde_json::Value>> = Table::new("sessions");
const UNFINISHED: Table<[u8; 16], Json<()>> = Table::new("unfinished");
const CHAIN: &str = "data/blockchain-engine/blockchain-engine.redb";
const RECORDINGS: &str = "data/session-storage/session-storage.redb";
/// More than the encryption holds back: while so much goes through, the reader sees something.
const MUCH: usize = 300_000;

/// What a backup is made of: both disks, with an empty chain and no recordings.
struct Bench {
    dir: TempDir,
    vault: Vault,
    recovery_key: String,
    chain: Store,
    recordings: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["state", "root/data/blockchain-engine", "root/data/session-storage", "root/backup"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let (state, root) = (dir.path().join("state"), dir.path().join("root"));
        let vault = Vault::open(&state, &root.join("data")).unwrap();
        let recovery_key = vault.issue_recovery().unwrap().expose().to_owned();
        let chain = ChainStore::open_store(&root.join(CHAIN)).unwrap();
        let (noon, key) = (Timestamp { unix_ms: NOON_MS, trust: TimeTrust::Synchronized }, vault.signing_key("chain"));
        Producer::begin(chain.clone(), "test/chain", noon, &key).unwrap();
        let recordings = Store::open(&root.join(RECORDINGS), &lucid_sessions::SCHEMA, Options::default()).unwrap();
        Self { dir, vault, recovery_key, chain, recordings }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn save(&self, writer: &mut dyn Write) -> io::Result<()> {
        let store = |place, store: &Store| {
            let store = store.clone();
            StoreSource { place, store: Arc::new(move || Ok(store.clone())) }
        };
        let sources = Sources {
            state_dir: self.state(),
            data_root: self.root(),
            stores: vec![store(CHAIN, &self.chain), store(RECORDINGS, &self.recordings)],
            repository: slot("session-storage").1,
            accounts: accounts(),
            clock: Arc::new(FakeClock::new(NOON_MS)),
        };
        let stores = save::open_stores(&sources).unwrap();
        save::save(&sources, &stores, &self.vault, writer)
    }

    /// The disks that `saved` brings back.
    fn put_back(&self, saved: &[u8]) -> io::Result<(PathBuf, PathBuf)> {
        let (state, root) = (self.dir.path().join("state-2"), self.dir.path().join("root-2"));
        let reader = decrypt_with_recovery(saved, &self.recovery_key).map_err(io::Error::other)?;
        fill(reader, &state, &root, &self.recovery_key).map(|()| (state, root))
    }
}

/// Of a service that does not run.
fn accounts() -> Arc<AccountsPort> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    Arc::new(AccountsPort::new(lucid_kit::wire::<AuthService>().0))
}

/// A reader of a backup that does something as soon as the first byte behind the encryption's head comes.
struct Meddler<'a> {
    saved: Vec<u8>,
    deed: Option<Box<dyn FnOnce() + 'a>>,
}

impl<'a> Meddler<'a> {
    fn new(deed: impl FnOnce() + 'a) -> Self {
        Self { saved: Vec::new(), deed: Some(Box::new(deed)) }
    }
}

impl Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The head of an age file comes in small pieces.
        if bytes.len() > 4096
            && let Some(deed) = self.deed.take()
        {
            deed();
        }
        self.saved.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn noise(bytes: usize) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    (0..bytes).map(|_| random.alphanumeric()).collect()
}

fn recording(height: Option<u64>) -> serde_json::Value {
    json!({
        "label": "", "owner": "07070707-0707-0707-0707-070707070707", "owner_name": "alice",
        "state": if height.is_some() { "anchored" } else { "anchoring" },
        "durable_bytes": 0, "stored_bytes": 0, "chunks": 0, "started_ms": NOON_MS, "last_ms": NOON_MS,
        "ended_ms": NOON_MS, "time_trust": 2, "manifest": "note", "root": null, "block_height": height,
    })
}

fn restored(root: &Path) -> Store {
    Store::open(&root.join(RECORDINGS), &lucid_sessions::SCHEMA, Options::default()).unwrap()
}

#[test]
fn a_recording_anchored_after_the_chain_was_copied_waits_for_its_anchor_again() {
    let bench = Bench::new();
    let put = |tx: &mut lucid_store::WriteTx<'_>| {
        tx.put(&SESSIONS, &[1; 16], &recording(Some(0)))?;
        tx.put(&SESSIONS, &[2; 16], &recording(Some(1)))
    };
    bench.recordings.write_blocking::<_, lucid_store::StoreError, _>(put).unwrap();
    let mut saved = Vec::new();
    bench.save(&mut saved).unwrap();
    let (_, root) = bench.put_back(&saved).unwrap();
    let store = restored(&root);
    let row = |id: u8| store.read(|tx| tx.get(&SESSIONS, &[id; 16])).unwrap().unwrap();
    assert_eq!((row(1), row(2)), (recording(Some(0)), recording(None)));
    let unfinished = store.read(|tx| tx.range(&UNFINISHED, .., 10)).unwrap();
    assert_eq!(unfinished, [([2; 16], ())]);
}

#[test]
fn what_the_state_may_name_is_in_the_snapshots() {
    let bench = Bench::new();
    fs::write(bench.state().join("a-file"), noise(MUCH)).unwrap();
    let grown = |tx: &mut lucid_store::WriteTx<'_>| tx.put(&SESSIONS, &[9; 16], &recording(Some(0)));
    let mut meddler = Meddler::new(|| {
        bench.recordings.write_blocking::<_, lucid_store::StoreError, _>(grown).unwrap();
        fs::write(bench.state().join("chain-head"), "names it").unwrap();
    });
    bench.save(&mut meddler).unwrap();
    assert!(meddler.deed.is_none(), "the file is long enough to be seen on its way");
    let (_, root) = bench.put_back(&meddler.saved).unwrap();
    assert!(restored(&root).read(|tx| tx.get(&SESSIONS, &[9; 16])).unwrap().is_some());
}

#[test]
fn all_snapshots_are_of_the_moment_before_the_first_is_sent() {
    let bench = Bench::new();
    let long = |tx: &mut lucid_store::WriteTx<'_>| {
        const NOTES: Table<u64, Json<String>> = Table::new("zzz-notes");
        tx.put(&NOTES, &0, &noise(MUCH))
    };
    bench.chain.write_blocking::<_, lucid_store::StoreError, _>(long).unwrap();
    let late = |tx: &mut lucid_store::WriteTx<'_>| tx.put(&SESSIONS, &[9; 16], &recording(Some(0)));
    let mut meddler = Meddler::new(|| {
        bench.recordings.write_blocking::<_, lucid_store::StoreError, _>(late).unwrap();
    });
    bench.save(&mut meddler).unwrap();
    assert!(meddler.deed.is_none(), "the chain is long enough to be seen on its way");
    let (_, root) = bench.put_back(&meddler.saved).unwrap();
    assert_eq!(restored(&root).read(|tx| tx.get(&SESSIONS, &[9; 16])).unwrap(), None);
}

#[test]
fn a_backup_to_a_recovery_key_that_is_replaced_meanwhile_ends_in_an_error() {
    let bench = Bench::new();
    fs::write(bench.state().join("a-file"), noise(MUCH)).unwrap();
    let mut meddler = Meddler::new(|| drop(bench.vault.issue_recovery().unwrap()));
    let error = bench.save(&mut meddler).unwrap_err().to_string();
    assert!(error.contains("a new recovery key was issued"), "{error}");
    assert!(bench.put_back(&meddler.saved).is_err(), "what was written until then is not a backup");
}

#[test]
fn a_key_file_that_never_was_in_force_is_not_in_the_backup() {
    let bench = Bench::new();
    let path = bench.root().join("data").join(lucid_vault::MASTER_FILE);
    let content = fs::read(&path).unwrap();
    assert_eq!(bench.vault.sealed_master().0, content);
    // As it lies there while a new recovery key is being issued, which may yet fail.
    fs::write(&path, "{}").unwrap();
    let mut saved = Vec::new();
    bench.save(&mut saved).unwrap();
    let (_, root) = bench.put_back(&saved).unwrap();
    let restored = fs::read_to_string(root.join("data").join(lucid_vault::MASTER_FILE)).unwrap();
    assert!(restored.contains(&bench.vault.recovery_recipient().unwrap()), "{restored}");
}
