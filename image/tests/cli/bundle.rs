//! Bundles of a test image: what a box makes of them, and what is refused.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lucid_bundle::{Kind, Manifest, Trust, Unpacker, read_header};
use lucid_layout::{Partition, Profile};

use crate::eeprom;
use crate::fixture::{EPOCH, Inputs, difference, fail, lucid_image, succeed};
use crate::keys::{Keys, NOT_AFTER};

/// A time at which all keys count, for those who look without a clock.
const NOW_S: u64 = 1_800_000_000;

/// An image that trusts `keys`, and a place for bundles of it.
struct Release {
    inputs: Inputs,
    keys: Keys,
    image: PathBuf,
}

impl Release {
    fn new() -> Self {
        Self::of(Inputs::new(), &[])
    }

    fn of(inputs: Inputs, more: &[&str]) -> Self {
        let keys = Keys::new("test");
        succeed(inputs.build_with(more.iter().copied().chain(["--update-root", &keys.at("update-root")])));
        let image = inputs.path("out/lucid-pi5-1.2.3.img");
        Self { inputs, keys, image }
    }

    /// `lucid-image bundle` of the image, signed by the key at work; later arguments count more.
    fn command(&self, mut program: Command, source: &[&str], out: &Path, key: &str, list: &str) -> Command {
        program
            .args(["bundle", "--profile", "test"])
            .args(source)
            .arg("--out")
            .arg(out)
            .args(["--source-date-epoch", EPOCH]);
        program.arg("--key").arg(self.keys.path(key)).arg("--keys").arg(self.keys.path(list));
        program.arg("--update-root").arg(self.keys.path("update-root"));
        program
    }

    fn output_by(&self, key: &str, list: &str, more: &[&str]) -> Output {
        let (image, out) = (self.image.to_str().unwrap(), self.keys.path("bundle"));
        self.command(lucid_image(), &["--image", image], &out, key, list).args(more).output().unwrap()
    }

    fn output(&self, more: &[&str]) -> Output {
        self.output_by("work.key", "keys", more)
    }

    #[track_caller]
    fn bundle(&self, more: &[&str]) -> PathBuf {
        succeed(self.output(more));
        self.keys.path("bundle")
    }

    /// Refused with these words, and nothing is left where the bundle would be.
    #[track_caller]
    fn refused(&self, output: Output, wanted: &[&str]) {
        let said = fail(output);
        for words in wanted {
            assert!(said.contains(words), "`{words}` is not in:\n{said}");
        }
        let left: Vec<_> = fs::read_dir(self.keys.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let ours = |name: &str| name == "bundle" || name == "signed" || name.starts_with('.');
        assert!(!left.iter().any(|name| ours(name.to_str().unwrap())), "{left:?}");
    }

    fn verify(&self, bundle: &Path, more: &[&str]) -> Output {
        let root = self.keys.path("update-root");
        lucid_image().arg("verify").arg(bundle).arg("--update-root").arg(root).args(more).output().unwrap()
    }
}

/// Both payloads of a bundle, as a box with this root set takes them.
fn payloads(bundle: &Path, update_root: &Path) -> (Manifest, Vec<u8>, Vec<u8>) {
    let mut file = File::open(bundle).unwrap();
    let header = read_header(&mut file).unwrap();
    let mut trust = Trust::from_image(&fs::read(update_root).unwrap()).unwrap();
    let manifest = trust.accept(&header, NOW_S).unwrap();
    let (mut root, mut boot, mut piece) = (vec![], vec![], vec![]);
    let mut unpacker = Unpacker::new(&manifest, file);
    while let Some(place) = unpacker.next(&mut piece).unwrap() {
        let payload = if place.payload == Kind::Root { &mut root } else { &mut boot };
        assert_eq!(place.offset_in_payload, payload.len() as u64);
        payload.extend_from_slice(&piece);
    }
    (manifest, root, boot)
}

fn partition(image: &Path, partition: Partition) -> Vec<u8> {
    let mut file = File::open(image).unwrap();
    file.seek(SeekFrom::Start(Profile::TEST.start_bytes(partition))).unwrap();
    let mut bytes = vec![];
    file.take(Profile::TEST.bytes(partition).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_box_takes_it_and_gets_both_partitions_byte_for_byte() {
    let release = Release::new();
    release.keys.write("notes", "Faster.\n\nAnd safer: ä.\n");
    let notes = release.keys.at("notes");
    let bundle = release.bundle(&["--notes", &notes, "--input", "linux=6.12", "--input", "a=b=c"]);
    let (manifest, root, boot) = payloads(&bundle, &release.keys.path("update-root"));
    for (slot, payload) in [(Partition::RootA, &root), (Partition::BootA, &boot)] {
        let whole = partition(&release.image, slot);
        assert!(payload.len() < whole.len() / 2, "what is free stays out");
        assert!(whole.starts_with(payload), "{slot:?}");
        assert!(whole[payload.len()..].iter().all(|byte| *byte == 0), "{slot:?}: and no byte is left out");
    }
    assert_eq!(boot.len() % 4096, 0);
    assert!(boot[boot.len() - 4096..].iter().any(|byte| *byte != 0), "cut behind the last block that is used");
    assert_eq!((manifest.version.as_str(), manifest.compatible.as_str(), manifest.epoch), ("1.2.3", "lucid-pi5", 1));
    assert_eq!((manifest.created, manifest.eeprom_min), (EPOCH.parse().unwrap(), 1_759_881_600));
    assert_eq!((manifest.notes.as_str(), manifest.data), ("Faster.\n\nAnd safer: ä.\n", lucid_layout::update::DATA));
    assert_eq!((manifest.inputs["linux"].as_str(), manifest.inputs["a"].as_str()), ("6.12", "b=c"));
    let said = succeed(lucid_image().arg("inspect").arg(&release.image).output().unwrap());
    assert!(said.contains(&manifest.build_id.to_string()), "{said}");
    let said = succeed(release.verify(&bundle, &[]));
    assert!(said.contains("a box with this root set takes it") && said.contains("TEST keys"), "{said}");
    let said = succeed(lucid_image().arg("inspect").arg(&bundle).output().unwrap());
    let signer = format!("signature by {}", release.keys.public("work"));
    for wanted in ["version 1.2.3 for lucid-pi5", "carries root set 1", "carries key list 1", &signer, "of itself"] {
        assert!(said.contains(wanted), "`{wanted}` is not in:\n{said}");
    }
}

#[test]
fn an_image_and_its_partitions_on_another_day_give_the_same_bytes() {
    let release = Release::new();
    let one = release.bundle(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (boot, root, other) = (folder.path().join("b"), folder.path().join("r"), folder.path().join("other"));
    fs::write(&boot, partition(&release.image, Partition::BootA)).unwrap();
    // The second slot's root, and from a disk: something else follows.
    let whole = partition(&release.image, Partition::RootB);
    fs::write(&root, [&whole, &b"what was there before"[..]].concat()).unwrap();
    let mut program = Command::new("faketime");
    program.args([
        "2027-12-24 17:00:00",
        "sh",
        "-c",
        "umask 077; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_lucid-image"),
    ]);
    program.env("TZ", "Asia/Tokyo").env("MTOOLSRC", "/etc/hosts");
    let source = ["--boot-image", boot.to_str().unwrap(), "--root-image", root.to_str().unwrap()];
    succeed(release.command(program, &source, &other, "work.key", "keys").output().unwrap());
    assert_eq!(difference(&one, &other), None);
    // A boot partition that is cut, as another bundle has it, is the same one.
    let (_, _, cut) = payloads(&one, &release.keys.path("update-root"));
    fs::write(&boot, cut).unwrap();
    succeed(release.command(lucid_image(), &source, &other, "work.key", "keys").output().unwrap());
    assert_eq!(difference(&one, &other), None);
}

#[test]
fn a_release_that_is_not_the_one_that_was_asked_for_or_does_not_fit_together() {
    let release = Release::new();
    release.refused(release.output(&["--version", "1.2.4"]), &["version 1.2.3", "not the one"]);
    release.refused(release.output(&["--security-epoch", "2"]), &["epoch 1", "not the one"]);
    release.refused(release.output_by("work.key", "none", &[]), &["can't open", "none"]);
    release.refused(release.output_by("none.key", "keys", &[]), &["none.key"]);
    let image = release.keys.path("image");
    fs::copy(&release.image, &image).unwrap();
    let damaged = Profile::TEST.start_bytes(Partition::RootA) + 5000;
    write_at(&image, damaged, b"damage");
    let by = |source: &[&str]| {
        release.command(lucid_image(), source, &release.keys.path("bundle"), "work.key", "keys").output().unwrap()
    };
    release.refused(by(&["--image", image.to_str().unwrap()]), &["veritysetup"]);
    let (boot, root) = (release.keys.at("b"), release.keys.at("r"));
    fs::write(&boot, partition(&release.image, Partition::BootA)).unwrap();
    fs::write(&root, b"no root").unwrap();
    release.refused(by(&["--boot-image", &boot, "--root-image", &root]), &["veritysetup"]);
    release.refused(by(&["--boot-image", &root, "--root-image", &root]), &["mtype"]);
    release.refused(by(&["--image", &root]), &["partition table"]);
    for source in
        [&["--boot-image", boot.as_str()][..], &[], &["--image", &root, "--boot-image", &boot, "--root-image", &root]]
    {
        assert_eq!(by(source).status.code(), Some(2), "{source:?}");
    }
}

fn write_at(path: &Path, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt as _;
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn a_manifest_whose_values_a_box_refuses() {
    let release = Release::new();
    let notes = release.keys.at("notes");
    for (bytes, wanted) in [
        (&b"a\x1b[2J"[..], "control characters"),
        (&[0xff], "UTF-8"),
        (&[b'x'; 16 * 1024 + 1], "more than 16384 bytes"),
    ] {
        fs::write(&notes, bytes).unwrap();
        release.refused(release.output(&["--notes", &notes]), &[wanted]);
    }
    release.refused(release.output(&["--input", "=x"]), &["an input"]);
    release.refused(release.output(&["--input", "a\nb=x"]), &["an input"]);
    let many: Vec<_> = (0..65).flat_map(|number| ["--input".to_owned(), format!("{number}=x")]).collect();
    release.refused(release.output(&many.iter().map(String::as_str).collect::<Vec<_>>()), &["too many inputs"]);
    for more in [
        ["--input", "x"],
        ["--eeprom-min", "yesterday"],
        ["--eeprom-min", "1960-01-01"],
        ["--at", "2027-01-01T00:00:00"],
    ] {
        assert_eq!(release.output(&more).status.code(), Some(2), "{more:?}");
    }
}

#[test]
fn a_bundle_of_a_release_with_an_eeprom_says_which_and_one_with_a_broken_eeprom_is_not_made() {
    let (inputs, arguments) = eeprom::with(&eeprom::sample::image());
    let release = Release::of(inputs, &arguments.each_ref().map(String::as_str));
    eeprom::flip(&release.image, Partition::BootA, b"BUILD_TIMESTAMP=177980768");
    release.refused(release.output(&[]), &["EEPROM.BIN is not the release", "build it anew"]);
    eeprom::flip(&release.image, Partition::BootA, b"BUILD_TIMESTAMP=177980768");
    let said = succeed(release.verify(&release.bundle(&[]), &[]));
    assert!(
        said.contains(&format!("carries the EEPROM of 2026-05-26T15:01:25Z, {}", eeprom::sample::VERSION)),
        "{said}"
    );
}

#[test]
fn keys_that_sign_no_bundle() {
    let release = Release::new();
    let keys = &release.keys;
    release.refused(release.output_by("other.key", "keys", &[]), &["is not trusted"]);
    release.refused(release.output_by("r1.key", "keys", &[]), &["root key signs no manifest"]);
    release.refused(release.output(&["--at", "2100-01-01T00:00:01Z"]), &["ended"]);
    keys.write(
        "2.toml",
        &keys.list_text(2, &[("work", NOT_AFTER, &["channel"]), ("other", NOT_AFTER, &["bundle"])], &[]),
    );
    keys.sign_keys("2.toml", "keys-2", &["r1", "r2"]);
    release.refused(release.output_by("work.key", "keys-2", &[]), &["`work` may not sign this"]);
    keys.write("3.toml", &keys.list_text(3, &[("work", NOT_AFTER, &["bundle"])], &["work"]));
    keys.sign_keys("3.toml", "keys-3", &["r1", "r3"]);
    release.refused(release.output_by("work.key", "keys-3", &[]), &["was revoked"]);
    keys.sign_keys("2.toml", "keys-half", &["r1"]);
    release.refused(release.output_by("other.key", "keys-half", &[]), &["have it signed by more root keys"]);
    let strangers = Keys::new("test");
    fs::copy(strangers.path("keys"), keys.path("keys-4")).unwrap();
    release.refused(release.output_by("work.key", "keys-4", &[]), &["which is not trusted"]);
    succeed(release.output_by("other.key", "keys-2", &[]));
}

#[test]
fn a_bundle_gets_another_signature_and_nothing_else_of_it_changes() {
    let release = Release::new();
    let keys = &release.keys;
    let bundle = release.bundle(&[]);
    let before = fs::read(&bundle).unwrap();
    keys.write("2.toml", &keys.list_text(2, &[("other", NOT_AFTER, &["bundle"])], &["work"]));
    keys.sign_keys("2.toml", "keys-2", &["r1", "r2"]);
    let (out, key) = (keys.at("signed"), keys.at("other.key"));
    let bundle_name = bundle.to_str().unwrap().to_owned();
    let sign = |more: &[&str]| {
        let args = ["sign", &bundle_name, "--key", &key, "--out", &out];
        keys.output(&args.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let said = fail(sign(&[]));
    assert!(said.contains("is not trusted") && !Path::new(&out).exists(), "{said}");
    let more = ["--update-root", &keys.at("update-root"), "--keys", &keys.at("keys-2")];
    succeed(sign(&more));
    assert_eq!(fs::read(&bundle).unwrap(), before, "what came in stays as it is");
    let (old, root, boot) = payloads(&bundle, &keys.path("update-root"));
    assert_eq!(payloads(Path::new(&out), &keys.path("update-root")), (old, root, boot));
    // By the first key again, and with the first list: what came out of the build, to the last byte.
    let back = keys.at("back");
    let first = keys.at("work.key");
    let list = ["--update-root", &keys.at("update-root"), "--keys", &keys.at("keys")];
    succeed(keys.output(&[&["sign", &out, "--key", &first, "--out", &back][..], &list].concat()));
    assert_eq!(fs::read(&back).unwrap(), before);
    // Whoever has seen the revocation takes the new one only.
    let mut trust = Trust::from_image(&fs::read(keys.path("update-root")).unwrap()).unwrap();
    let header = |path: &str| read_header(&mut File::open(path).unwrap()).unwrap();
    trust.accept(&header(&out), NOW_S).unwrap();
    assert!(trust.accept(&header(&back), NOW_S).is_err());
}

#[test]
fn a_bundle_that_was_changed_anywhere_is_refused() {
    let release = Release::new();
    let bundle = release.bundle(&[]);
    let good = fs::read(&bundle).unwrap();
    let header = read_header(&mut &good[..]).unwrap().bytes as usize;
    let bad = release.keys.path("bad");
    let check = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        fail(release.verify(&bad, &[]))
    };
    let places = [0, 8, 20, header / 2, header - 1, header, good.len() / 2, good.len() - 1];
    for at in places {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        check(&bytes);
    }
    for length in [0, 7, 12, header - 1, header, header + 1, good.len() - 1] {
        check(&good[..length]);
    }
    let said = check(&[&good[..], b"x"].concat());
    assert!(said.contains("do not belong to it"), "{said}");
    let strangers = Keys::new("test");
    let by = |root: String, more: &[&str]| {
        lucid_image().arg("verify").arg(&bundle).args(["--update-root", &root]).args(more).output().unwrap()
    };
    let said = fail(by(strangers.at("update-root"), &[]));
    assert!(said.contains("bundle` can't be used"), "{said}");
    let said = fail(by(release.keys.at("update-root"), &["--at", "2101-01-01"]));
    assert!(said.contains("ended"), "{said}");
    succeed(by(release.keys.at("update-root"), &["--at", "2099-01-01"]));
    // An image is none, and the other way.
    let said = fail(
        lucid_image()
            .arg("verify")
            .arg(&release.image)
            .args(["--update-root", &release.keys.at("update-root")])
            .output()
            .unwrap(),
    );
    assert!(said.contains("no bundle and no channel"), "{said}");
    fail(lucid_image().arg("verify").arg(&bundle).output().unwrap());
}

#[test]
fn a_manifest_that_says_another_version_than_the_release_in_it() {
    let release = Release::new();
    let bundle = release.bundle(&[]);
    let key = lucid_bundle::SecretKey::parse(&fs::read_to_string(release.keys.path("work.key")).unwrap()).unwrap();
    let (manifest, root, boot) = payloads(&bundle, &release.keys.path("update-root"));
    let authority = read_header(&mut File::open(&bundle).unwrap()).unwrap().authority().clone();
    let lie = |version: &str, epoch: u64| {
        let Manifest { compatible, build_id, eeprom_min, data, created, notes, inputs, .. } = manifest.clone();
        let version = version.to_owned();
        let draft =
            lucid_bundle::Draft { version, compatible, build_id, epoch, eeprom_min, data, created, notes, inputs };
        let sources =
            lucid_bundle::Sources { root: &mut &root[..], boot: &mut &boot[..], effort: lucid_bundle::Effort::Quick };
        let (mut spool, mut out) = (std::io::Cursor::new(vec![]), vec![]);
        lucid_bundle::build(draft, sources, authority.clone(), &key, &mut spool, &mut out).unwrap();
        let path = release.keys.path("lie");
        fs::write(&path, out).unwrap();
        release.verify(&path, &[])
    };
    let said = fail(lie("9.9.9", 1));
    assert!(said.contains("another version"), "{said}");
    let said = fail(lie("1.2.3", 9));
    assert!(said.contains("another epoch"), "{said}");
    succeed(lie("1.2.3", 1));
}

#[test]
fn new_root_keys_reach_a_box_in_a_bundle() {
    let release = Release::new();
    let keys = &release.keys;
    keys.run(&["keygen", "root", "--name", "r4", "--out", &keys.at("r4.key")]);
    keys.write("root-2.toml", &keys.root_text(2, "test", &["r3", "r4"]));
    succeed(keys.try_root("root-2.toml", "root-2", &["r1", "r2", "r3", "r4"], &["--former", &keys.at("update-root")]));
    let list = keys
        .list_text(1, &[("other", NOT_AFTER, &["bundle"])], &["work"])
        .replace("root_version = 1", "root_version = 2");
    keys.write("keys-2.toml", &list);
    let root_2 = keys.at("root-2");
    // The key list is signed by the new set's keys; the box's image knows the old one.
    let args =
        ["sign-keys", "--describe", &keys.at("keys-2.toml"), "--out", &keys.at("keys-2"), "--update-root", &root_2];
    keys.run(&[&args[..], &["--key", &keys.at("r3.key"), "--key", &keys.at("r4.key")]].concat());
    succeed(release.output_by("other.key", "keys-2", &["--update-root", &root_2]));
    let bundle = keys.path("bundle");
    let mut trust = Trust::from_image(&fs::read(keys.path("update-root")).unwrap()).unwrap();
    trust.accept(&read_header(&mut File::open(&bundle).unwrap()).unwrap(), NOW_S).unwrap();
    assert_eq!((trust.root_version(), trust.keys_version()), (2, Some(1)));
    // An image may begin with the new set: the signatures of the old one's keys stay out of it.
    succeed(release.inputs.build_with(["--update-root", &root_2]));
    succeed(release.verify(&bundle, &["--at", "2030-01-01"]));
}
