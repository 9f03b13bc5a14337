//! Disks that remember the order in which everything was written to them, so that a power cut can be played back.
//!
//! A file is exported by `qemu-storage-daemon` over FUSE and mounted through a loop device; between them stands
//! `blklogwrites`, which logs every write and every flush in the format of dm-log-writes. What a disk holds after a cut
//! is everything written before the last flush, and of the rest whatever it pleased the disk to write first: none of
//! it, or some writes, or some sectors of each. Only the kernel of the machine and the program are real here; that a cut
//! tears writes at sectors of 512 bytes and never damages what was flushed is what is assumed of the hardware.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Mount, Place, SHORT, eventually, pause, require_success, text};

/// What to do where it does not work.
const HINT: &str = "run the tests as root where FUSE and loop devices are allowed, with e2fsprogs and \
                    qemu-storage-daemon installed (`make setup`)";
/// Between two moments: short beside the time in which a cache is flushed.
const BETWEEN_MOMENTS: Duration = Duration::from_millis(1);
/// Every write is a multiple of it, and it is never torn itself.
const SECTOR: u64 = 512;
/// The first bytes of a log.
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// An entry that is a flush: all writes that were complete before it are on the disk.
const FLUSH: u64 = 1;
/// A write that is on the disk once it is complete.
const DURABLE: u64 = 2;
/// Blocks that nobody needs any more; no data follows.
const DISCARD: u64 = 4;
/// Every flag that is known here.
const KNOWN: u64 = FLUSH | DURABLE | DISCARD;

/// Disks under one power cut.
pub(crate) struct LoggedDisks {
    daemon: Child,
    disks: Vec<Disk>,
}

/// One of them, by its files.
struct Disk {
    /// What it held before anything was logged.
    base: PathBuf,
    log: PathBuf,
    export: PathBuf,
}

/// How long the log of each disk was at one moment.
pub(crate) type Moment = Vec<u64>;

/// The moments of a run, in their order.
pub(crate) struct Moments {
    taken: Arc<Mutex<Vec<Moment>>>,
    ends: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Moments {
    fn start(daemon: Pid, logs: Vec<PathBuf>) -> Self {
        let (taken, ends): (Arc<Mutex<Vec<Moment>>>, Arc<AtomicBool>) = Default::default();
        let (into, until) = (taken.clone(), ends.clone());
        let work = move || {
            while !until.load(Ordering::Relaxed) {
                into.lock().unwrap().push(moment(daemon, &logs));
                pause(BETWEEN_MOMENTS);
            }
        };
        Self { taken, ends, task: Some(std::thread::spawn(work)) }
    }

    /// The number of the first moment that surely lies behind this call: the next may be under way.
    pub(crate) fn next(&self) -> usize {
        self.taken.lock().unwrap().len() + 1
    }

    /// Ends it, and gives all of them.
    pub(crate) fn end(mut self) -> Vec<Moment> {
        self.stop();
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    fn stop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.take() {
            task.join().expect("taking a moment does not fail");
        }
    }
}

impl Drop for Moments {
    fn drop(&mut self) {
        self.stop();
    }
}

/// This moment, the same for all disks: their one process stands still while the logs are looked at.
fn moment(daemon: Pid, logs: &[PathBuf]) -> Moment {
    kill_process(daemon, Signal::STOP).unwrap();
    let stat = format!("/proc/{}/stat", daemon.as_raw_nonzero());
    while !read(&stat).rsplit_once(") ").expect("the process is there").1.starts_with('T') {
        std::thread::yield_now();
    }
    let moment = logs.iter().map(|log| log.metadata().unwrap().len()).collect();
    kill_process(daemon, Signal::CONT).unwrap();
    moment
}

impl LoggedDisks {
    /// Empty ext4 disks of these names, each of `mebibytes`.
    pub(crate) fn start(place: &Place, names: &[&str], mebibytes: u64) -> Self {
        let disks: Vec<Disk> = names.iter().map(|name| Disk::make(place, name, mebibytes)).collect();
        let mut command = Command::new("qemu-storage-daemon");
        disks.iter().zip(names).for_each(|(disk, name)| disk.serve(&mut command, name));
        let said = File::create(place.path("storage-daemon.log")).unwrap();
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        let daemon = command.spawn().unwrap_or_else(|error| panic!("can't start qemu-storage-daemon: {error}: {HINT}"));
        let mut this = Self { daemon, disks };
        eventually("the exported disks", SHORT, || match this.daemon.try_wait().unwrap() {
            Some(status) => {
                panic!("qemu-storage-daemon: {status}: {}: {HINT}", read(place.path("storage-daemon.log")))
            }
            None if this.disks.iter().all(Disk::is_served) => Ok(()),
            None => Err("not there yet".to_owned()),
        });
        this
    }

    /// Mounts a disk.
    pub(crate) fn mount(&self, disk: usize, at: &Path) -> Mount {
        Mount::image(&self.disks[disk].export, at)
    }

    /// Takes moments again and again until the answer is dropped.
    pub(crate) fn watch(&self) -> Moments {
        let logs = self.disks.iter().map(|disk| disk.log.clone()).collect();
        Moments::start(Pid::from_raw(i32::try_from(self.daemon.id()).unwrap()).unwrap(), logs)
    }

    /// What was written to each disk, once nothing more is.
    pub(crate) fn logs(&self) -> Vec<Log> {
        self.disks.iter().map(|disk| Log::read(&disk.base, &disk.log)).collect()
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }
}

impl Drop for LoggedDisks {
    fn drop(&mut self) {
        // Asked to end, it takes its exports off; a test that failed may have left one in use.
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let began = std::time::Instant::now();
        while began.elapsed() < SHORT && matches!(self.daemon.try_wait(), Ok(None)) {
            pause(Duration::from_millis(25));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        for disk in &self.disks {
            disk.take_off();
        }
    }
}

impl Disk {
    fn make(place: &Place, name: &str, mebibytes: u64) -> Self {
        let path = |kind: &str| place.path(&format!("{name}.{kind}"));
        let disk = Self { base: path("base"), log: path("log"), export: path("export") };
        File::create(&disk.base).unwrap().set_len(mebibytes << 20).unwrap();
        // All of it is initialised now: what the kernel would do later in the background only makes the log longer.
        let options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        require_success("mkfs.ext4", &["-q", "-F", "-J", "size=4", "-E", options, text(&disk.base)], HINT);
        require_success("cp", &["--sparse=always", text(&disk.base), text(&path("now"))], HINT);
        File::create(&disk.log).unwrap();
        File::create(&disk.export).unwrap();
        disk
    }

    fn serve(&self, command: &mut Command, name: &str) {
        let now = self.base.with_extension("now");
        let block = |arguments: String| ["--blockdev".to_owned(), arguments];
        command.args(block(format!("driver=file,node-name={name}-now,filename={}", text(&now))));
        command.args(block(format!("driver=file,node-name={name}-log,filename={}", text(&self.log))));
        command.args(block(format!(
            "driver=blklogwrites,node-name={name},file={name}-now,log={name}-log,log-sector-size={SECTOR}"
        )));
        let mountpoint = text(&self.export);
        command.arg("--export");
        command.arg(format!("type=fuse,id={name}-export,node-name={name},mountpoint={mountpoint},writable=on"));
    }

    fn is_served(&self) -> bool {
        self.export.metadata().is_ok_and(|export| export.len() > 0)
    }

    fn take_off(&self) {
        let mut command = Command::new("umount");
        // One that went with the daemon need not be taken off.
        let _ = command.args(["-l", text(&self.export)]).stderr(Stdio::null()).status();
    }
}

/// Everything that was written to a disk, in its order.
pub(crate) struct Log {
    base: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Where on the disk, in bytes.
    offset: u64,
    bytes: u64,
    flags: u64,
    /// Where its data lie in the log.
    data: u64,
}

impl Entry {
    /// How long the log was with it.
    fn end(&self) -> u64 {
        self.data + self.bytes
    }
}

impl Log {
    /// Reads all entries. The first sector of a log is its super block.
    fn read(base: &Path, path: &Path) -> Self {
        let (mut file, mut sector) = (File::open(path).unwrap(), [0; SECTOR as usize]);
        let length = file.metadata().unwrap().len();
        file.read_exact(&mut sector).unwrap();
        assert_eq!(word(&sector, 0), MAGIC, "`{}` is no log of writes", path.display());
        let (mut entries, mut at) = (Vec::new(), SECTOR);
        while at + SECTOR <= length {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.read_exact(&mut sector).unwrap();
            let [start, sectors, flags] = [0, 1, 2].map(|index| word(&sector, index));
            assert_eq!(flags & !KNOWN, 0, "an entry of a kind that is not known here");
            let bytes = if flags & DISCARD == 0 { sectors * SECTOR } else { 0 };
            entries.push(Entry { offset: start * SECTOR, bytes, flags, data: at + SECTOR });
            at += SECTOR + bytes;
        }
        Self { base: base.to_owned(), file, entries }
    }

    /// The entries that were whole at `length`, and how many of them were flushed. An entry is logged once the disk has
    /// done it, and answered after that: what nobody has been told of may be missing, never the other way round.
    fn until(&self, length: u64) -> (&[Entry], usize) {
        let entries = &self.entries[..self.entries.partition_point(|entry| entry.end() <= length)];
        (entries, entries.iter().rposition(|entry| entry.flags & FLUSH != 0).map_or(0, |last| last + 1))
    }

    /// How many writes a cut at `length` may lose.
    pub(crate) fn unflushed(&self, length: u64) -> usize {
        let (entries, flushed) = self.until(length);
        entries[flushed..].iter().filter(|entry| entry.bytes > 0 && entry.flags & DURABLE == 0).count()
    }

    /// Makes `image` what the disk may hold after a cut at `length`; gives how many writes were lost or torn.
    pub(crate) fn cut(&self, length: u64, random: &mut fastrand::Rng, image: &Path) -> usize {
        require_success("cp", &["--sparse=always", text(&self.base), text(image)], HINT);
        let image = File::options().write(true).open(image).unwrap();
        let (entries, flushed) = self.until(length);
        // One disk writes everything late, one everything at once, and most are in between.
        let kept = *random.choice(&[0.0, 0.5, 0.5, 0.9]).expect("the list is not empty");
        let mut lost = 0;
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.bytes > 0) {
            if index < flushed || entry.flags & DURABLE != 0 {
                self.apply(entry, &image, || true);
                continue;
            }
            let (torn, whole, mut all) = (random.bool(), random.f64() < kept, true);
            self.apply(entry, &image, || {
                let written = if torn { random.f64() < kept } else { whole };
                all &= written;
                written
            });
            lost += usize::from(!all);
        }
        lost
    }

    fn apply(&self, entry: &Entry, image: &File, mut is_written: impl FnMut() -> bool) {
        let mut bytes = vec![0; usize::try_from(entry.bytes).unwrap()];
        self.file.read_exact_at(&mut bytes, entry.data).unwrap();
        for (number, sector) in (0..).zip(bytes.chunks(SECTOR as usize)) {
            if is_written() {
                image.write_all_at(sector, entry.offset + number * SECTOR).unwrap();
            }
        }
    }
}

/// The word of 64 bits, little-endian, at this place of a sector.
fn word(sector: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(sector[index * 8..][..8].try_into().unwrap())
}

fn read(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
