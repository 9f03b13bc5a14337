use std::fs;

use lucid_layout::autoboot::{AUTOBOOT_BYTES, committed, render};
use lucid_layout::files;
use lucid_layout::update::DataFormat;
use tempfile::TempDir;

use super::*;
use crate::tests::volume::Volume;

fn good(generation: u32, reads_from: u32) -> Standing {
    let build_id = serde_json::from_value(serde_json::json!("5a".repeat(32))).unwrap();
    Standing::Good { version: "1.2.0".to_owned(), build_id, data: DataFormat { generation, reads_from } }
}

fn unfit() -> Standing {
    Standing::Unfit { reason: "it was rolled back".to_owned() }
}

/// A book in which A is committed and B is `other`.
fn book(other: Standing) -> SlotBook {
    SlotBook { committed: Slot::A, a: good(3, 2), b: other, data_generation: 3 }
}

fn left(from: Slot, failed_boots: u32) -> Fallback {
    Fallback { from, failed_boots, boot_id: "old".to_owned() }
}

/// Slot A, which is committed, at its fourth boot, with a good slot B.
fn scene() -> Scene<'static> {
    Scene {
        slot: Some(Slot::A),
        boots: 4,
        book: Ok(Some(book(good(3, 2)))),
        fallback: Ok(None),
        committed: Some(Slot::A),
        boot_id: "now",
    }
}

fn leaves(failed_boots: u32) -> Decision {
    Decision::Leave(Fallback { from: Slot::A, failed_boots, boot_id: "now".to_owned() })
}

#[track_caller]
fn assert_rescue(scene: &Scene<'_>, words: &str) {
    match decide(scene) {
        Decision::Rescue(why) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?} of {scene:?}"),
    }
}

#[test]
fn the_fourth_boot_leaves_the_slot_and_no_earlier_one() {
    for boots in 0..=3 {
        assert_eq!(decide(&Scene { boots, ..scene() }), Decision::Stay, "{boots}");
    }
    for boots in [4, 5, 6, 9, u32::MAX] {
        assert_eq!(decide(&Scene { boots, ..scene() }), leaves(boots - 1));
    }
}

#[test]
fn only_a_good_slot_that_reads_the_data_takes_over() {
    assert_eq!(decide(&Scene { book: Ok(Some(book(good(4, 3)))), ..scene() }), leaves(3));
    let check = |other: Standing, words: &str| {
        assert_rescue(&Scene { book: Ok(Some(book(other))), ..scene() }, words);
    };
    check(good(2, 2), "can't read the data");
    check(good(9, 4), "can't read the data");
    check(unfit(), "it was rolled back");
    check(Standing::Unknown, "nothing is known of slot B");
    assert_rescue(&Scene { book: Ok(None), ..scene() }, "nothing is known of slot B");
    assert_rescue(&Scene { book: Err("it is damaged".to_owned()), ..scene() }, "it is damaged");
    assert_rescue(&Scene { slot: None, ..scene() }, "can't be told");
}

#[test]
fn nothing_goes_to_and_fro() {
    let with = |fallback, committed, boots| Scene { fallback: Ok(Some(fallback)), committed, boots, ..scene() };
    // The other slot was left for this one, and its standing does not say so yet.
    assert_rescue(&with(left(Slot::B, 3), Some(Slot::A), 4), "slot B was left for it after 3 failed boots");
    // It was cut between the note and autoboot.txt.
    for committed in [Some(Slot::A), None] {
        assert_eq!(decide(&with(left(Slot::A, 3), committed, 5)), leaves(4));
    }
    // Committed, and not booted: the firmware does not start it.
    assert_eq!(decide(&with(left(Slot::A, 3), Some(Slot::B), 5)), Decision::Stay, "a boot for itself");
    assert_rescue(&with(left(Slot::A, 3), Some(Slot::B), 6), "does not start");
    // A disk that forgets what was written to it.
    assert_rescue(&with(left(Slot::A, 3), Some(Slot::A), 6), "does not start");
    assert_rescue(&Scene { fallback: Err("damaged".to_owned()), ..scene() }, "damaged");
}

#[test]
fn the_boot_after_a_rescue_tries_the_slot_once_more() {
    let at = |boots| decide(&Scene { boots, book: Ok(None), ..scene() });
    for boots in [4, 6, 8] {
        assert!(matches!(at(boots), Decision::Rescue(_)), "{boots}");
        assert_eq!(at(boots + 1), Decision::Stay);
    }
}

/// A first partition and a state.
struct Bench {
    _dir: TempDir,
    root: Root,
    volume: Volume,
}

impl Bench {
    fn new(book: Option<&SlotBook>, autoboot: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::of_test(dir.path());
        fs::create_dir_all(root.at("/state/boot")).unwrap();
        if let Some(book) = book {
            fs::write(root.at(paths::SLOT_BOOK), serde_json::to_vec(book).unwrap()).unwrap();
        }
        let volume = Volume::with("first.txt", b"before");
        volume.put(files::AUTOBOOT_TXT, autoboot);
        volume.put(files::PROVISIONING, b"behind");
        Self { _dir: dir, root, volume }
    }

    fn settle(&self, boots: u32) -> Way {
        let slot = Some(Slot::A);
        let attempts = Attempts { boots_without_ready: boots, boot_id: "now".to_owned(), slot, trial: None };
        settle(&self.root, &attempts, Autoboot::open(&self.volume.image))
    }

    fn committed(&self) -> Option<Slot> {
        committed(&self.volume.get(files::AUTOBOOT_TXT)).ok()
    }

    fn fallback(&self) -> Option<Fallback> {
        fs::read(self.root.at(paths::FALLBACK)).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }
}

#[test]
fn leaving_changes_one_sector_and_notes_it_before() {
    let torn: Vec<u8> = [&render(Slot::A)[..40], &render(Slot::B)[40..]].concat();
    for autoboot in [&render(Slot::A)[..], &torn, &[b'x'; AUTOBOOT_BYTES]] {
        let bench = Bench::new(Some(&book(good(3, 2))), autoboot);
        let before = fs::read(&bench.volume.image).unwrap();
        assert!(matches!(bench.settle(4), Way::Restart(Slot::B)));
        assert_eq!(bench.committed(), Some(Slot::B));
        assert_eq!(bench.fallback(), Some(Fallback { boot_id: "now".to_owned(), ..left(Slot::A, 3) }));
        let after = fs::read(&bench.volume.image).unwrap();
        let changed: Vec<_> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
        let sectors: Vec<_> = changed.iter().map(|at| at / AUTOBOOT_BYTES).collect();
        assert!(!changed.is_empty() && sectors.iter().all(|sector| *sector == sectors[0]), "{sectors:?}");
    }
}

/// How much of a file the kernel holds in memory.
fn cached_bytes(path: &std::path::Path) -> u64 {
    let output = std::process::Command::new("fincore").args(["-bno", "RES"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// On a filesystem that keeps its files on a medium, as every one but those in memory.
#[test]
fn the_sector_goes_past_the_page_cache_and_so_does_reading_it_back() {
    let bench = Bench::new(Some(&book(good(3, 2))), &render(Slot::A));
    let autoboot = Autoboot::open(&bench.volume.image).unwrap();
    fs::File::open(&bench.volume.image).unwrap().sync_all().unwrap();
    fs::read(&bench.volume.image).unwrap();
    let before = cached_bytes(&bench.volume.image);
    autoboot.commit(Slot::B).unwrap();
    assert!(cached_bytes(&bench.volume.image) < before, "what was cached is void: {before} bytes before");
    assert_eq!(bench.committed(), Some(Slot::B));
}

#[test]
fn a_cut_between_note_and_sector_is_made_good() {
    let bench = Bench::new(Some(&book(good(3, 2))), &render(Slot::A));
    fs::write(bench.root.at(paths::FALLBACK), serde_json::to_vec(&left(Slot::A, 3)).unwrap()).unwrap();
    assert!(matches!(bench.settle(5), Way::Restart(Slot::B)));
    assert_eq!((bench.committed(), bench.fallback()), (Some(Slot::B), Some(left(Slot::A, 3))));
    assert!(matches!(bench.settle(6), Way::Rescue { .. }), "it did not help");
}

#[test]
fn what_can_not_be_written_ends_in_rescue() {
    let damaged = |bench: &Bench| fs::write(&bench.volume.image, [0; 4096]).unwrap();
    let missing = |bench: &Bench| bench.volume.remove(files::AUTOBOOT_TXT);
    let short = |bench: &Bench| bench.volume.put(files::AUTOBOOT_TXT, b"boot_partition=2\n");
    let no_state = |bench: &Bench| fs::remove_dir_all(bench.root.at("/state/boot")).unwrap();
    type Spoil<'a> = (&'a str, &'a dyn Fn(&Bench));
    let spoil: [Spoil<'_>; 4] = [("FAT", &damaged), ("file", &missing), ("sector", &short), ("state", &no_state)];
    for (what, spoil) in spoil {
        let bench = Bench::new(Some(&book(good(3, 2))), &render(Slot::A));
        spoil(&bench);
        let Way::Rescue { why, trouble } = bench.settle(4) else { panic!("without {what}") };
        // The book is on the state, too.
        assert_eq!(trouble.is_some(), what != "state", "{what}: {why}");
        assert!(why.contains("3 times in a row"), "{why}");
    }
}

#[test]
fn hostile_files_are_no_reason_to_leave() {
    let long = vec![b' '; UPDATE_FILE_BYTES_MAX as usize + 1];
    for bytes in [b"".as_slice(), b"{}", b"\xff", b"{\"committed\":\"c\"}", &long] {
        for path in [paths::SLOT_BOOK, paths::FALLBACK] {
            let bench = Bench::new(Some(&book(good(3, 2))), &render(Slot::A));
            fs::write(bench.root.at(path), bytes).unwrap();
            assert!(matches!(bench.settle(4), Way::Rescue { .. }), "{path}: {bytes:?}");
            assert_eq!(bench.committed(), Some(Slot::A));
        }
    }
}
