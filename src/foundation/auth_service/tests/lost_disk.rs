//! A state disk that fails in the middle of an operation.

use std::io;
use std::sync::atomic::AtomicBool;

use lucid_ports::Role;
use lucid_store::StorageBackend;

use super::*;
use crate::auth_service::rows::{ACCOUNTS, AccountRow};

/// A disk in memory that refuses every write once it has failed.
#[derive(Debug, Clone, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    failed: Arc<AtomicBool>,
}

impl Disk {
    fn writable(&self) -> io::Result<std::sync::MutexGuard<'_, Vec<u8>>> {
        let failed = self.failed.load(Ordering::SeqCst);
        if failed { Err(io::Error::other("the disk has failed")) } else { Ok(self.bytes.lock().unwrap()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (bytes, start) = (self.bytes.lock().unwrap(), offset as usize);
        out.copy_from_slice(bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.writable().map(drop)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut bytes, start) = (self.writable()?, offset as usize);
        let end = start + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(data);
        Ok(())
    }
}

/// Makes a key, and with it the disk fails.
struct LastDeed(Disk);

impl Recovery for LastDeed {
    fn issue(&self) -> Result<Zeroizing<String>, RecoveryError> {
        self.0.failed.store(true, Ordering::SeqCst);
        Ok(Zeroizing::new("KEY-1".to_owned()))
    }
}

async fn core(disk: &Disk, state: &Path) -> Arc<Core> {
    let store = Store::open_with_backend(disk.clone(), &SCHEMA, Options::default()).unwrap();
    let time = Time::new(Arc::new(FakeClock::new(NOW_MS)), 0);
    let core = Arc::new(Core {
        door: Arc::new(Door::new(Keys::open(&state.join("jwt.secret")).unwrap(), time)),
        store,
        pool: Pool::new(watch::channel(true).1).unwrap(),
        recovery: Arc::new(LastDeed(disk.clone())),
        throttle: Mutex::new(Throttle::new(5, 900)),
        code: Mutex::default(),
        code_file: PathBuf::new(),
        locked: None,
        announce: Arc::new(|_| ()),
        changing: tokio::sync::Mutex::default(),
        recovering: tokio::sync::Mutex::default(),
        fault: OnceLock::new(),
        access_token_s: 900,
        refresh_token_s: 86_400,
    });
    let password = core.hash(secret(PASSWORD)).await.unwrap();
    let admin = AccountRow { id: lucid_ports::AccountId::generate(), role: Role::Admin, created_ms: NOW_MS, password };
    core.store.write(move |tx| tx.put(&ACCOUNTS, "admin", &admin)).await.unwrap();
    core.door.load(&core.store).unwrap();
    core
}

#[tokio::test]
async fn a_new_recovery_key_is_shown_even_if_the_audit_log_can_not_be_written() {
    let (disk, state) = (Disk::default(), TempDir::new().unwrap());
    let core = core(&disk, state.path()).await;
    let key = core.clone().new_recovery_key(login("admin", PASSWORD, "10.0.0.1")).await;
    assert_eq!(*key.ok().unwrap(), "KEY-1");
    assert!(core.failure().is_some(), "the disk did fail");
}
