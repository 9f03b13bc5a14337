use std::fs;

use tempfile::TempDir;

use super::*;

/// A state, and a kernel that boots anew at each call.
struct Bench {
    _dir: TempDir,
    root: Root,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::of_test(dir.path());
        fs::create_dir_all(root.at("/state/boot")).unwrap();
        Self { _dir: dir, root }
    }

    fn boot(&self, id: &str, slot: Slot) -> (u32, bool) {
        file::write_volatile(&self.root.at(BOOT_ID), &format!("{id}\n")).unwrap();
        let (attempts, damage) = count(&self.root, Boot::Plain(Some(slot))).unwrap();
        (attempts.boots_without_ready, damage.is_some())
    }

    fn file(&self) -> std::path::PathBuf {
        self.root.at(paths::BOOT_ATTEMPTS)
    }
}

#[test]
fn boots_are_counted_until_one_is_ready() {
    let bench = Bench::new();
    assert_eq!([bench.boot("1", Slot::A), bench.boot("2", Slot::A)], [(1, false), (2, false)]);
    let kept = fs::read_to_string(bench.file()).unwrap();
    assert_eq!(kept, r#"{"boots_without_ready":2,"boot_id":"2","slot":"a"}"#);
    let ready = serde_json::from_str::<Attempts>(&kept).unwrap().ready();
    fs::write(bench.file(), serde_json::to_vec(&ready).unwrap()).unwrap();
    assert_eq!(bench.boot("3", Slot::A), (1, false));
    assert_eq!(bench.boot("4", Slot::B), (1, false));
}

#[test]
fn a_damaged_count_is_reported_and_begins_anew() {
    let bench = Bench::new();
    let long = vec![b' '; BOOT_FILE_BYTES_MAX as usize + 1];
    for damage in [b"".as_slice(), b"{", b"\xff", br#"{"boots_without_ready":-1,"boot_id":"","slot":"a"}"#, &long] {
        fs::write(bench.file(), damage).unwrap();
        assert_eq!(bench.boot("1", Slot::A), (1, true), "{damage:?}");
        assert_eq!(bench.boot("2", Slot::A), (2, false));
    }
}

#[test]
fn a_cut_while_counting_leaves_the_former_count() {
    let bench = Bench::new();
    bench.boot("1", Slot::A);
    fs::write(bench.file().with_added_extension("new"), "{\"boots").unwrap();
    assert_eq!(bench.boot("2", Slot::A), (2, false));
    assert!(!bench.file().with_added_extension("new").exists());
}

#[test]
fn a_state_that_can_not_be_written_is_an_error() {
    let bench = Bench::new();
    bench.boot("1", Slot::A);
    fs::remove_dir_all(bench.root.at("/state/boot")).unwrap();
    assert!(count(&bench.root, Boot::Plain(Some(Slot::A))).is_err());
}

#[test]
fn a_trial_is_kept_over_the_boots_after_it() {
    let bench = Bench::new();
    bench.boot("1", Slot::A);
    file::write_volatile(&bench.root.at(BOOT_ID), "2\n").unwrap();
    count(&bench.root, Boot::Trial(Slot::B)).unwrap();
    bench.boot("3", Slot::A);
    let kept: Attempts = serde_json::from_slice(&fs::read(bench.file()).unwrap()).unwrap();
    let trial = kept.trial.expect("the trial");
    assert_eq!((trial.slot, &*trial.boot_id, trial.after.as_deref()), (Slot::B, "2", Some("1")));
}
