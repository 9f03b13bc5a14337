use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use lucid_layout::provisioning::{AREA_BYTES, STAMP, consumed, padded, template};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::state;
use crate::tests::volume::Volume;

const CODE: &str = "ABCD-EFGH-JKMN-PQRS";

const FULL: &str = r#"
version = 1
hostname = "cellar"
timezone = "Europe/Berlin"
[network]
address = "192.168.1.20/24"
gateway = "192.168.1.1"
dns = ["192.168.1.1"]
[claim]
code = "ABCD-EFGH-JKMN-PQRS"
[ssd]
consent = "labelled"
serial = "S6XN"
[tls]
ca_certificate = """
-----BEGIN CERTIFICATE-----
AAAA
-----END CERTIFICATE-----
"""
ca_key = """
-----BEGIN PRIVATE KEY-----
BBBB
-----END PRIVATE KEY-----
"""
"#;

/// A box: a first partition and a mounted state.
struct Bench {
    dir: TempDir,
    root: Root,
    volume: Volume,
}

impl Bench {
    fn new(content: &[u8]) -> Self {
        Self::on(Volume::with(files::PROVISIONING, content))
    }

    fn on(volume: Volume) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::of_test(dir.path());
        state::make_directories(&root).unwrap();
        Self { dir, root, volume }
    }

    fn full() -> Self {
        Self::new(&padded(FULL.as_bytes()).unwrap())
    }

    fn boot(&self) -> Outcome {
        settle(&self.root, Ok(&self.volume.image))
    }

    fn area(&self) -> Area {
        Area::open(&self.volume.image, files::PROVISIONING).unwrap()
    }

    /// Everything on the state that the provisioning decides, with its mode.
    fn kept(&self) -> BTreeMap<String, (String, u32)> {
        let mut kept = BTreeMap::new();
        let mut next = vec![self.root.at(paths::STATE)];
        while let Some(directory) = next.pop() {
            for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    next.push(entry);
                    continue;
                }
                let name = entry.strip_prefix(self.dir.path()).unwrap().display().to_string();
                let mode = fs::metadata(&entry).unwrap().permissions().mode() & 0o777;
                kept.insert(name, (fs::read_to_string(entry).unwrap(), mode));
            }
        }
        kept
    }

    fn lose_state(&self) {
        fs::remove_dir_all(self.root.at(paths::STATE)).unwrap();
        state::make_directories(&self.root).unwrap();
    }

    fn claim(&self) {
        lucid_vault::issue_recovery(&self.root.at(paths::LUCID)).unwrap();
    }

    fn is_erased(&self) -> bool {
        self.volume.get(files::PROVISIONING) == consumed(self.volume.get(files::PROVISIONING).len())
    }
}

#[track_caller]
fn assert_outcome(outcome: &Outcome, state: StateCondition, is_done: bool) {
    assert_eq!((outcome.state, outcome.is_done), (state, is_done), "{outcome:?}");
}

#[test]
fn everything_is_copied_once_and_erased() {
    let bench = Bench::full();
    let outcome = bench.boot();
    assert_outcome(&outcome, StateCondition::Fresh, true);
    assert!(outcome.trouble.is_none(), "{outcome:?}");
    let kept = bench.kept();
    let expected = [
        ("state/hostname", "cellar\n", 0o644),
        ("state/lucid/claim.code", CODE, 0o600),
        ("state/lucid/tls/ca.key", "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n", 0o600),
        ("state/lucid/tls/ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644),
        (
            "state/network.toml",
            "address = \"192.168.1.20/24\"\ngateway = \"192.168.1.1\"\ndns = [\"192.168.1.1\"]\n",
            0o644,
        ),
        ("state/provisioned", "version = 1\n", 0o644),
        ("state/ssd.toml", "consent = \"labelled\"\nserial = \"S6XN\"\n", 0o644),
        ("state/timezone", "Europe/Berlin\n", 0o644),
    ];
    let expected = expected.map(|(name, text, mode)| (name.to_owned(), (text.to_owned(), mode)));
    assert_eq!(kept, BTreeMap::from(expected));
    assert_eq!(fs::metadata(bench.root.at("/state/lucid/tls")).unwrap().mode() & 0o777, 0o700);
    assert!(bench.is_erased());

    let again = bench.boot();
    assert_outcome(&again, StateCondition::Kept, true);
    assert!(again.trouble.is_none());
    assert_eq!(bench.kept(), kept);
}

/// The volume outside of the file.
fn around(volume: &Volume, place: &lucid_fat::Place) -> Vec<u8> {
    let mut bytes = fs::read(&volume.image).unwrap();
    for extent in &place.extents {
        bytes[extent.offset as usize..(extent.offset + extent.length) as usize].fill(0);
    }
    bytes
}

#[test]
fn no_byte_outside_of_the_file_changes_however_it_lies() {
    let fragmented = Volume::new();
    // The settings begin in the middle of the pieces.
    let comment = format!("#{}\n", "x".repeat(7000));
    fragmented.put_fragmented(files::PROVISIONING, (comment + FULL).as_bytes());
    assert!(lucid_fat::find(&fragmented.open(), files::PROVISIONING).unwrap().extents.len() > 10);
    let volumes = [
        Volume::with(files::PROVISIONING, &padded(FULL.as_bytes()).unwrap()),
        Volume::with(files::PROVISIONING, FULL.as_bytes()),
        Volume::with(files::PROVISIONING, b"version = 1\n"),
        fragmented,
    ];
    for volume in volumes {
        volume.put("autoboot.txt", &[b'\n'; 512]);
        let place = lucid_fat::find(&volume.open(), files::PROVISIONING).unwrap();
        let before = around(&volume, &place);
        let bench = Bench::on(volume);
        assert_outcome(&bench.boot(), StateCondition::Fresh, true);
        assert!(around(&bench.volume, &place) == before, "something else changed");
        assert!(bench.is_erased());
        // Tables, directory and the first clusters, which are all that is in use.
        let raw = bench.volume.read(0, 4 * 1024 * 1024);
        let secret = CODE.as_bytes();
        assert!(!raw.windows(secret.len()).any(|window| window == secret), "the code is still on the card");
    }
}

#[test]
fn a_cut_between_any_two_steps_is_made_good() {
    let expected = {
        let bench = Bench::full();
        bench.boot();
        bench.kept()
    };
    let count = plan::apply(&Bench::full().root, &Provisioning::parse(FULL.as_bytes()).unwrap()).unwrap().len();
    for done in 0..=count {
        let bench = Bench::full();
        let mut actions = plan::apply(&bench.root, &parse(&bench.area()).unwrap()).unwrap();
        actions.truncate(done);
        plan::run(&bench.root, None, &actions).unwrap();
        // What a cut within the next step leaves.
        fs::write(bench.root.at("/state/hostname.new"), "half").unwrap();
        fs::write(bench.root.at("/state/lucid/claim.code.new"), "half").unwrap();
        let outcome = bench.boot();
        let is_marked = done == count;
        let state = if is_marked { StateCondition::Kept } else { StateCondition::Fresh };
        assert_outcome(&outcome, state, true);
        assert!(outcome.trouble.is_none() && bench.is_erased(), "after {done} steps");
        let mut kept = bench.kept();
        if is_marked {
            kept.retain(|name, _| !name.ends_with(".new"));
        }
        assert_eq!(kept, expected, "after {done} steps");
    }
}

#[test]
fn a_cut_while_erasing_is_made_good_and_never_opens_the_box() {
    for sectors in [1, 2, 63, 64] {
        let bench = Bench::full();
        let written = bench.volume.get(files::PROVISIONING);
        bench.boot();
        let place = lucid_fat::find(&bench.volume.open(), files::PROVISIONING).unwrap();
        let rest = sectors * 512;
        bench.volume.write(place.extents[0].offset + rest as u64, &written[rest..]);
        let is_torn = sectors < 64 && written[rest..].iter().any(|byte| *byte != b'\n');
        assert_eq!(bench.area().usage(), if is_torn { Use::Stamped } else { Use::Erased });
        let outcome = bench.boot();
        assert_outcome(&outcome, StateCondition::Kept, true);
        assert!(bench.is_erased());

        bench.volume.write(place.extents[0].offset + rest as u64, &written[rest..]);
        bench.lose_state();
        assert_outcome(&bench.boot(), StateCondition::Lost, false);
    }
}

#[test]
fn what_a_cut_left_of_an_earlier_file_does_not_outlive_a_change() {
    let bench = Bench::full();
    let mut actions = plan::apply(&bench.root, &parse(&bench.area()).unwrap()).unwrap();
    actions.pop();
    plan::run(&bench.root, None, &actions).unwrap();
    assert_eq!(bench.kept().len(), 7);

    bench.volume.put(files::PROVISIONING, b"version = 1\nhostname = \"attic\"\n");
    assert_outcome(&bench.boot(), StateCondition::Fresh, true);
    let names: Vec<_> = bench.kept().into_keys().collect();
    assert_eq!(names, ["state/hostname", "state/provisioned", "state/ssd.toml"]);
}

#[test]
fn a_mistake_leaves_nothing_behind_and_can_be_corrected() {
    let bench = Bench::full();
    let mut actions = plan::apply(&bench.root, &parse(&bench.area()).unwrap()).unwrap();
    actions.pop();
    plan::run(&bench.root, None, &actions).unwrap();

    let wrong = FULL.replace("cellar", "no name").replace(CODE, "SECRET-BUT-OF-THE-RIGHT-KIND");
    bench.volume.put(files::PROVISIONING, wrong.as_bytes());
    let outcome = bench.boot();
    assert_outcome(&outcome, StateCondition::Fresh, false);
    let text = lucid_error::chain(&outcome.trouble.unwrap());
    assert!(text.contains("hostname") && !text.contains("SECRET"), "{text}");
    assert!(bench.kept().is_empty(), "{:?}", bench.kept());
    assert_eq!(bench.volume.get(files::PROVISIONING), wrong.as_bytes(), "not erased");

    bench.volume.put(files::PROVISIONING, FULL.as_bytes());
    assert_outcome(&bench.boot(), StateCondition::Fresh, true);
    assert_eq!(bench.kept().len(), 8);
}

#[test]
fn a_box_that_was_claimed_without_it_takes_nothing_from_it_any_more() {
    let bench = Bench::new(b"version = 2\n");
    assert_outcome(&bench.boot(), StateCondition::Fresh, false);
    bench.claim();
    bench.volume.put(files::PROVISIONING, FULL.as_bytes());
    assert_outcome(&bench.boot(), StateCondition::Kept, true);
    assert!(bench.is_erased());
    let names: Vec<_> = bench.kept().into_keys().collect();
    assert_eq!(names, ["state/lucid/recovery.pub", "state/provisioned"]);
}

#[test]
fn a_marked_box_erases_a_new_file_and_takes_nothing_from_it() {
    let bench = Bench::new(&template());
    assert_outcome(&bench.boot(), StateCondition::Fresh, true);
    let kept = bench.kept();
    bench.volume.put(files::PROVISIONING, FULL.as_bytes());
    assert_outcome(&bench.boot(), StateCondition::Kept, true);
    assert!(bench.is_erased());
    assert_eq!(bench.kept(), kept);
}

#[test]
fn an_untouched_file_is_used_up_as_well() {
    let bench = Bench::new(&template());
    assert_outcome(&bench.boot(), StateCondition::Fresh, true);
    assert!(bench.is_erased() && bench.volume.get(files::PROVISIONING).len() == AREA_BYTES);
    bench.lose_state();
    let lost = bench.boot();
    assert_outcome(&lost, StateCondition::Lost, false);
    assert!(matches!(lost.trouble, Some(Trouble::Lost)));
    assert!(bench.kept().is_empty(), "nothing makes a lost box look like a kept one");
    assert_outcome(&bench.boot(), StateCondition::Lost, false);
}

#[test]
fn whoever_takes_the_file_away_does_not_open_the_box() {
    let bench = Bench::full();
    bench.boot();
    bench.volume.remove(files::PROVISIONING);
    assert_outcome(&bench.boot(), StateCondition::Kept, true);
    bench.lose_state();
    assert_outcome(&bench.boot(), StateCondition::Lost, false);
    bench.volume.put(files::PROVISIONING, b"");
    assert_outcome(&bench.boot(), StateCondition::Lost, false);
    bench.volume.write(0, &[0; 512]);
    let outcome = bench.boot();
    assert_outcome(&outcome, StateCondition::Lost, false);
    assert!(matches!(outcome.trouble, Some(Trouble::Unknown(Error::Fat(_)))));
    let outcome = settle(&bench.root, Ok(&bench.dir.path().join("no device")));
    assert_outcome(&outcome, StateCondition::Lost, false);
}

#[test]
fn a_card_that_can_not_be_written_is_tried_again() {
    let bench = Bench::full();
    // A card that is gone by the time of the erasing.
    let card = bench.dir.path().join("card");
    fs::copy(&bench.volume.image, &card).unwrap();
    let area = Area::open(&card, files::PROVISIONING).unwrap();
    fs::remove_file(&card).unwrap();
    let outcome = apply(&bench.root, &area);
    assert_outcome(&outcome, StateCondition::Fresh, true);
    assert!(matches!(outcome.trouble, Some(Trouble::NotErased(_))));
    assert_outcome(&bench.boot(), StateCondition::Kept, true);
    assert!(bench.is_erased());
}

#[test]
fn a_state_that_can_not_be_written_leaves_nothing_half_done() {
    let bench = Bench::full();
    // A directory in the file's place.
    fs::create_dir_all(bench.root.at("/state/ssd.toml/in the way")).unwrap();
    let outcome = bench.boot();
    assert_outcome(&outcome, StateCondition::Fresh, false);
    assert!(matches!(outcome.trouble, Some(Trouble::NotApplied(_))), "{outcome:?}");
    assert!(!bench.is_erased());
    fs::remove_dir_all(bench.root.at("/state/ssd.toml")).unwrap();
    assert_outcome(&bench.boot(), StateCondition::Fresh, true);
    assert_eq!(bench.kept().len(), 8);
}

#[test]
fn nothing_is_erased_before_the_marker_is_written() {
    let bench = Bench::full();
    // In the way of the marker alone, which is written last.
    fs::create_dir_all(bench.root.at("/state/provisioned.new/in the way")).unwrap();
    let outcome = bench.boot();
    assert_outcome(&outcome, StateCondition::Fresh, false);
    assert!(matches!(outcome.trouble, Some(Trouble::NotApplied(_))), "{outcome:?}");
    assert_eq!(bench.volume.get(files::PROVISIONING), padded(FULL.as_bytes()).unwrap());
    assert!(bench.kept().is_empty(), "{:?}", bench.kept());
}

#[test]
fn an_authority_that_the_supervisor_uses_stays_unless_another_is_asked_for() {
    let bench = Bench::new(b"version = 1\n");
    fs::create_dir_all(bench.root.at("/state/lucid/tls")).unwrap();
    for name in ["ca.key", "ca.pem", "leaf.key", "leaf.pem"] {
        fs::write(bench.root.at("/state/lucid/tls").join(name), "made").unwrap();
    }
    bench.boot();
    assert_eq!(bench.kept().keys().filter(|name| name.contains("/tls/")).count(), 4);

    fs::remove_file(bench.root.at(paths::PROVISIONED)).unwrap();
    bench.volume.put(files::PROVISIONING, FULL.as_bytes());
    assert_outcome(&bench.boot(), StateCondition::Fresh, true);
    let names: Vec<_> = bench.kept().into_keys().filter(|name| name.contains("/tls/")).collect();
    assert_eq!(names, ["state/lucid/tls/ca.key", "state/lucid/tls/ca.pem"]);
}

#[test]
fn garbage_and_excess_are_mistakes() {
    let oversized = [FULL.as_bytes(), &vec![b'\n'; FILE_BYTES_MAX]].concat();
    let truncated = &FULL.as_bytes()[..FULL.len() - 30];
    let twice = FULL.repeat(2);
    let utf16: Vec<u8> = FULL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [b"\0\xff\xfe".as_slice(), &oversized, truncated, twice.as_bytes(), &utf16, &[0; 40_000]] {
        let bench = Bench::new(content);
        let outcome = bench.boot();
        assert_outcome(&outcome, StateCondition::Fresh, false);
        assert!(matches!(outcome.trouble, Some(Trouble::Mistake(_))));
        assert!(bench.kept().is_empty() && bench.volume.get(files::PROVISIONING) == content);
    }
    // The longest that is read.
    let longest = [FULL.as_bytes(), &vec![b'\n'; FILE_BYTES_MAX - FULL.len()]].concat();
    let bench = Bench::new(&longest);
    assert_outcome(&bench.boot(), StateCondition::Fresh, true);
    assert!(bench.is_erased());
}

#[test]
fn an_oversized_file_is_erased_to_its_end() {
    let bench = Bench::new(&vec![b'x'; 3 * 1024 * 1024]);
    assert_outcome(&bench.boot(), StateCondition::Fresh, false);
    bench.claim();
    assert_outcome(&bench.boot(), StateCondition::Kept, true);
    assert!(bench.is_erased());
}

#[test]
fn a_stamp_counts_in_a_file_that_is_shorter_than_it() {
    let bench = Bench::new(b"version = 1\n");
    bench.boot();
    assert_eq!(bench.volume.get(files::PROVISIONING), &STAMP.as_bytes()[..12]);
    bench.lose_state();
    assert_outcome(&bench.boot(), StateCondition::Lost, false);
}

#[test]
fn who_may_come_in() {
    use Decision::{Apply, Close, Erase, Keep, Lock};
    use Use::{Erased, Stamped, Unknown, Written};
    let check = |is_marked, is_claimed, expected: [Decision; 4]| {
        let decisions = [Unknown, Written, Stamped, Erased].map(|area| decide(is_marked, is_claimed, area));
        assert_eq!(decisions, expected);
    };
    check(false, false, [Lock, Apply, Lock, Lock]);
    check(false, true, [Close, Close, Close, Close]);
    check(true, false, [Keep, Erase, Erase, Keep]);
    check(true, true, [Keep, Erase, Erase, Keep]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in the file: all of it applies, or nothing does; and the second boot changes nothing.
    #[test]
    fn all_or_nothing(cut in 0..FULL.len(), garbage in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut content = FULL.as_bytes().to_vec();
        let end = (cut + garbage.len()).min(content.len());
        content.splice(cut..end, garbage);
        let bench = Bench::new(&content);
        let outcome = bench.boot();
        prop_assert_eq!(outcome.state, StateCondition::Fresh);
        prop_assert_eq!(outcome.is_done, bench.is_erased());
        prop_assert_eq!(outcome.is_done, outcome.trouble.is_none());
        let kept = bench.kept();
        prop_assert_eq!(outcome.is_done, kept.contains_key("state/provisioned"));
        prop_assert!(outcome.is_done || kept.is_empty());
        bench.boot();
        prop_assert_eq!(bench.kept(), kept);
    }
}
