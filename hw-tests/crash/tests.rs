use std::io::Cursor;

use proptest::prelude::*;

use super::*;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FORCED: u64 = 2;
const DISCARD: u64 = 4;

/// A record, as QEMU writes it.
#[derive(Default)]
struct Tape {
    entries: Vec<u8>,
    count: u64,
}

impl Tape {
    fn entry(mut self, sector: u64, sectors: u64, flags: u64) -> Self {
        let numbers = [sector, sectors, flags, 0].map(u64::to_le_bytes).concat();
        self.entries.extend(numbers.iter().chain(&[0; SECTOR_BYTES - 32]));
        self.count += 1;
        self
    }

    /// Writes `byte` all over some sectors.
    fn write(self, sector: u64, sectors: u64, byte: u8, flags: u64) -> Self {
        let mut tape = self.entry(sector, sectors, flags);
        tape.entries.extend(vec![byte; usize::try_from(sectors).unwrap() * SECTOR_BYTES]);
        tape
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [MAGIC, 1, self.count, SECTOR_BYTES as u64].map(u64::to_le_bytes).concat();
        bytes.resize(SECTOR_BYTES, 0);
        bytes.extend(&self.entries);
        bytes
    }

    fn log(&self) -> WriteLog<Cursor<Vec<u8>>> {
        WriteLog::open(Cursor::new(self.bytes())).unwrap()
    }

    /// The first byte of each of the disk's 16 sectors after a cut; the disk was all 1 before.
    fn after(&self, records: usize, seed: u64) -> Vec<u8> {
        let mut disk = Cursor::new(vec![1; 16 * SECTOR_BYTES]);
        replay(&mut self.log(), &mut disk, Cut { records, seed }).unwrap();
        let sectors = disk.get_ref().chunks(SECTOR_BYTES);
        sectors.map(|sector| sector.iter().all(|byte| *byte == sector[0]).then_some(sector[0]).unwrap()).collect()
    }
}

/// Two sectors flushed, then four unflushed, then one forced.
fn tape() -> Tape {
    Tape::default().write(0, 2, 2, 0).entry(0, 0, FLUSH).write(0, 4, 3, 0).write(8, 1, 4, FORCED)
}

#[test]
fn what_was_flushed_or_forced_is_always_there() {
    for seed in 0..200 {
        let disk = tape().after(4, seed);
        assert!(disk[..2].iter().all(|byte| [2, 3].contains(byte)), "{seed}: {disk:?}");
        assert!(disk[2..4].iter().all(|byte| [1, 3].contains(byte)), "{seed}: {disk:?}");
        assert_eq!(disk[8], 4, "{seed}");
        assert_eq!(tape().after(4, seed), disk, "equal seeds give equal disks");
    }
}

#[test]
fn what_was_not_flushed_may_be_lost_kept_or_torn() {
    let disks: Vec<_> = (0..200).map(|seed| tape().after(4, seed)).collect();
    let fates = |wanted: &[u8]| disks.iter().filter(|disk| disk[..4] == *wanted).count();
    assert!(fates(&[2, 2, 1, 1]) > 20, "lost");
    assert!(fates(&[3, 3, 3, 3]) > 20, "kept");
    assert!(fates(&[2, 3, 1, 3]) > 0, "torn");
}

#[test]
fn nothing_after_the_cut_is_there() {
    for seed in 0..50 {
        assert_eq!(tape().after(0, seed), vec![1; 16]);
        assert_eq!(&tape().after(2, seed)[..3], [2, 2, 1]);
        assert_eq!(tape().after(3, seed)[8], 1);
        assert_eq!(tape().after(999, seed), tape().after(4, seed));
    }
}

#[test]
fn a_record_knows_what_a_cut_may_lose() {
    let log = tape().log();
    let unflushed: Vec<_> = (0..=5).map(|records| log.unflushed(records)).collect();
    assert_eq!(unflushed, [0, 1, 0, 1, 1, 1], "none of what was flushed, nor what was forced");
    let entry = SECTOR_BYTES as u64;
    let lengths = [0, entry, 2 * entry, 4 * entry - 1, 4 * entry, 5 * entry, 10 * entry, 12 * entry, u64::MAX];
    assert_eq!(lengths.map(|length| log.records_at(length)), [0, 0, 0, 0, 1, 2, 3, 4, 4]);
    let first = log.records()[0];
    assert!(first.touches(0, 1) && first.touches(2 * entry - 1, 9 * entry));
    assert!(!first.touches(2 * entry, 9 * entry) && !log.records()[1].touches(0, u64::MAX));
}

#[test]
fn what_was_damaged_is_counted() {
    let damaged = |records, seed| {
        replay(&mut tape().log(), &mut Cursor::new(vec![1; 16 * SECTOR_BYTES]), Cut { records, seed }).unwrap()
    };
    assert!((0..50).all(|seed| damaged(2, seed) == 0), "a flush covers everything");
    let after: Vec<_> = (0..50).map(|seed| damaged(4, seed)).collect();
    assert!(after.contains(&0) && after.contains(&1) && after.iter().all(|damaged| *damaged <= 1), "{after:?}");
}

#[test]
fn a_discard_leaves_zeroes() {
    let tape = Tape::default().write(0, 4, 2, 0).entry(1, 2, DISCARD).entry(0, 0, FLUSH);
    assert_eq!(&tape.after(3, 0)[..5], [2, 0, 0, 2, 1]);
}

#[test]
fn cuts_are_spread_over_the_record() {
    let all = cuts(1000, 10, 7);
    assert_eq!(all.iter().map(|cut| cut.records).collect::<Vec<_>>(), (1..=10).map(|n| n * 100).collect::<Vec<_>>());
    assert_eq!(all, cuts(1000, 10, 7));
    assert_ne!(all[0].seed, all[1].seed);
    assert!(cuts(1000, 0, 7).is_empty());
}

#[test]
fn what_is_no_record_is_refused() {
    let bytes = tape().bytes();
    let open = |bytes: &[u8]| WriteLog::open(Cursor::new(bytes.to_vec())).map(|log| log.records().len());
    assert_eq!(open(&bytes).unwrap(), 4);
    for end in 0..bytes.len() {
        assert!(open(&bytes[..end]).is_err(), "cut off at {end}");
    }
    for (position, what) in [(0, "magic"), (8, "version"), (24, "sector size")] {
        let mut wrong = bytes.clone();
        wrong[position] ^= 1;
        assert!(matches!(open(&wrong), Err(LogError::Foreign)), "{what}");
    }
    let mut huge = bytes;
    huge[SECTOR_BYTES + 8..SECTOR_BYTES + 16].fill(0xff);
    assert!(matches!(open(&huge), Err(LogError::Damaged { entry: 0 })));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_does_not_panic(noise: Vec<u8>, position in 0..4096_usize, byte: u8) {
        prop_assert!(WriteLog::open(Cursor::new(noise)).is_err());
        let mut bytes = tape().bytes();
        let position = position % bytes.len();
        bytes[position] = byte;
        if let Ok(mut log) = WriteLog::open(Cursor::new(bytes)) {
            let records = log.records().to_vec();
            for record in records {
                prop_assert!(log.data(record).unwrap().len() as u64 <= record.bytes());
            }
        }
    }
}
