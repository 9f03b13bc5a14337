//! Bundles that must not be installed: taken apart by docs/updates-format.md, changed, signed by whomever.
//!
//! OpenSSL signs, which knows nothing of ours; key lists and keys are made by `lucid-image`, as a release's are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench::built;

/// Before the header's documents: magic, length of the header, number of root sets.
const MAGIC: &[u8; 8] = b"LUCIDUP1";

/// One signature: a public key, and 64 bytes.
const SIGNATURE_BYTES: usize = 32 + 64;

/// RFC 8410: an Ed25519 key in PKCS #8 is these bytes and the seed.
const PKCS8: &str = "302e020100300506032b657004220420";

/// A signed document.
#[derive(Clone)]
pub(super) struct Document {
    pub(super) json: Vec<u8>,
    /// Their number and they.
    pub(super) signatures: Vec<u8>,
}

/// A bundle, taken apart.
#[derive(Clone)]
pub(super) struct Bundle {
    pub(super) roots: Vec<Document>,
    pub(super) keys: Document,
    pub(super) manifest: Document,
    pub(super) pieces: Vec<u8>,
}

impl Document {
    /// The next one of some bytes.
    fn take(bytes: &mut &[u8]) -> Self {
        let length = u32::from_le_bytes(cut(bytes, 4).try_into().unwrap());
        let json = cut(bytes, usize::try_from(length).unwrap());
        let signatures = cut(&mut &**bytes, 1 + SIGNATURE_BYTES * usize::from(bytes[0]));
        *bytes = &bytes[signatures.len()..];
        Self { json, signatures }
    }

    /// What a file holds, such as a key list.
    pub(super) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        let document = Self::take(&mut rest);
        assert!(rest.is_empty(), "{} is one document", path.display());
        document
    }

    fn to_bytes(&self) -> Vec<u8> {
        [&u32::try_from(self.json.len()).unwrap().to_le_bytes(), &*self.json, &*self.signatures].concat()
    }

    /// With another text in its JSON.
    pub(super) fn replace(&mut self, from: &str, to: &str) {
        let json = String::from_utf8(self.json.clone()).unwrap();
        assert_eq!(json.matches(from).count(), 1, "{from} in {json}");
        self.json = json.replace(from, to).into_bytes();
    }
}

fn cut(bytes: &mut &[u8], count: usize) -> Vec<u8> {
    let (first, rest) = bytes.split_at(count);
    *bytes = rest;
    first.to_vec()
}

impl Bundle {
    pub(super) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let rest = bytes.strip_prefix(MAGIC).expect("it is a bundle");
        let mut rest = &rest[4..];
        let roots = cut(&mut rest, 1)[0];
        let roots = (0..roots).map(|_| Document::take(&mut rest)).collect();
        let (keys, manifest) = (Document::take(&mut rest), Document::take(&mut rest));
        let bundle = Self { roots, keys, manifest, pieces: rest.to_vec() };
        assert!(bundle.to_bytes() == bytes, "taken apart and put together again it is the same");
        bundle
    }

    /// Everything before the pieces.
    pub(super) fn header(&self) -> Vec<u8> {
        let documents = self.roots.iter().chain([&self.keys, &self.manifest]).map(Document::to_bytes);
        let body: Vec<u8> = [u8::try_from(self.roots.len()).unwrap()].into_iter().chain(documents.flatten()).collect();
        [MAGIC, &u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [self.header(), self.pieces.clone()].concat()
    }

    /// The manifest.
    pub(super) fn manifest(&self) -> serde_json::Value {
        serde_json::from_slice(&self.manifest.json).unwrap()
    }

    /// Where a piece of the payload `payload` lies among the pieces, and its length.
    pub(super) fn piece(&self, payload: usize, number: usize) -> (usize, usize) {
        let manifest = self.manifest();
        let payloads = manifest["payloads"].as_array().unwrap().iter().enumerate();
        let pieces = payloads.flat_map(|(of, payload)| {
            payload["pieces"].as_array().unwrap().iter().enumerate().map(move |(number, piece)| (of, number, piece))
        });
        let mut start = 0;
        for (of, nth, piece) in pieces {
            let bytes = usize::try_from(piece["compressed"].as_u64().unwrap()).unwrap();
            if (of, nth) == (payload, number) {
                return (start, bytes);
            }
            start += bytes;
        }
        panic!("no piece {number} of payload {payload}: {manifest}");
    }

    /// The same with another manifest, if any, signed by `key`.
    pub(super) fn signed(&self, folder: &Path, key: &Path, change: &[(&str, &str)]) -> Self {
        let mut bundle = self.clone();
        change.iter().for_each(|(from, to)| bundle.manifest.replace(from, to));
        bundle.manifest.signatures = signature(folder, key, &bundle.manifest.json);
        bundle
    }

    /// The same with what `list` says of keys.
    pub(super) fn under(&self, list: &Path) -> Self {
        Self { keys: Document::read(list), ..self.clone() }
    }
}

/// One signature of a manifest, by a release key.
fn signature(folder: &Path, key: &Path, json: &[u8]) -> Vec<u8> {
    let text = fs::read_to_string(key).unwrap();
    let seed = text.trim().rsplit(' ').next().unwrap();
    let der = data_encoding::HEXLOWER.decode(format!("{PKCS8}{seed}").as_bytes()).unwrap();
    let place = |name: &str| folder.join(name);
    fs::write(place("sign.der"), der).unwrap();
    fs::write(place("sign.in"), [b"lucid-update-1\0manifest\0", json].concat()).unwrap();
    let openssl = |arguments: &str| {
        succeed(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
    };
    openssl("pkeyutl -sign -rawin -inkey sign.der -keyform DER -in sign.in -out sign.out");
    openssl("pkey -in sign.der -inform DER -pubout -outform DER -out sign.pub");
    let public = fs::read(place("sign.pub")).unwrap();
    let signed = [&[1], public.last_chunk::<32>().unwrap().as_slice(), &fs::read(place("sign.out")).unwrap()].concat();
    assert_eq!(signed.len(), 1 + SIGNATURE_BYTES);
    signed
}

/// Runs a program, which must succeed. What it prints.
fn succeed(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Runs `lucid-image`, which must succeed. What it prints.
fn lucid_image(arguments: &[&str]) -> String {
    succeed(Command::new(tool()).args(arguments)).trim().to_owned()
}

fn tool() -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/lucid-image");
    assert!(program.exists(), "{} is missing: run `cargo build -p lucid-image`", program.display());
    program
}

/// The release key that the image's key list names.
pub(super) fn release_key() -> PathBuf {
    built("keys/release.key")
}

/// A new release key: its file, and its public half.
pub(super) fn new_key(folder: &Path, name: &str) -> (PathBuf, String) {
    let path = folder.join(format!("{name}.key"));
    let public = lucid_image(&["keygen", "release", "--name", name, "--out", path.to_str().unwrap()]);
    (path, public)
}

/// A key list by the image's root keys: keys by name, with the day on which each ends, and those that are revoked.
pub(super) fn key_list(folder: &Path, version: u64, keys: &[(&str, &str, &str)], revoked: &[&str]) -> PathBuf {
    let mut text = format!("version = {version}\nroot_version = 1\nrevoked = {revoked:?}\n");
    for (name, public, day) in keys {
        text += &listed(name, public, day);
    }
    let (described, list) = (folder.join(format!("keys-{version}.toml")), folder.join(format!("keys-{version}")));
    fs::write(&described, text).unwrap();
    let built = |name: &str| built(&format!("keys/{name}")).to_str().unwrap().to_owned();
    let (root, one, two) = (built("update-root"), built("root-1.key"), built("root-2.key"));
    let (described, out) = (described.to_str().unwrap(), list.to_str().unwrap());
    let sign = ["sign-keys", "--describe", described, "--update-root", &root, "--out", out];
    lucid_image(&[&sign[..], &["--key", &one, "--key", &two]].concat());
    list
}

/// A key in the description of a list; it ends with that day's beginning.
fn listed(name: &str, public: &str, day: &str) -> String {
    format!(
        "\n[[keys]]\nkey = \"{public}\"\nname = \"{name}\"\nnot_after = {day}T00:00:00Z\n\
         uses = [\"bundle\", \"channel\"]\n"
    )
}

/// Root keys and a key list of somebody else's.
pub(super) fn foreign_authority(folder: &Path) -> (Vec<Document>, Document) {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let root = |name: &str| lucid_image(&["keygen", "root", "--name", name, "--out", &path(&format!("{name}.key"))]);
    let (one, two) = (root("mine-1"), root("mine-2"));
    let release = lucid_image(&["keygen", "release", "--name", "mine", "--out", &path("mine.key")]);
    let described = format!("version = 1\npurpose = \"test\"\nthreshold = 2\nkeys = [\"{one}\", \"{two}\"]\n");
    fs::write(path("root.toml"), described).unwrap();
    let described = format!("version = 1\nroot_version = 1\n{}", listed("mine", &release, "2099-12-31"));
    fs::write(path("mine.toml"), described).unwrap();
    let (one, two, set, list) = (path("mine-1.key"), path("mine-2.key"), path("mine-root"), path("mine-keys"));
    let keys = ["--key", one.as_str(), "--key", two.as_str()];
    lucid_image(&[&["sign-root", "--describe", &path("root.toml"), "--out", &set], &keys[..]].concat());
    let describe = ["sign-keys", "--describe", &path("mine.toml"), "--update-root", &set, "--out", &list];
    lucid_image(&[&describe[..], &keys].concat());
    (vec![Document::read(Path::new(&set))], Document::read(Path::new(&list)))
}

/// A channel file in base64, with a document that was never signed as one.
pub(super) fn channel(good: &Bundle, document: &Document) -> String {
    let documents = good.roots.iter().chain([&good.keys, document]).flat_map(Document::to_bytes);
    let file: Vec<u8> =
        b"LUCIDCH1".iter().copied().chain([u8::try_from(good.roots.len()).unwrap()]).chain(documents).collect();
    data_encoding::BASE64.encode(&file)
}

/// Bundles with damaged documents, and with signatures of those who may not: what each is, and a word of why it is
/// refused.
pub(super) fn untrusted(good: &Bundle, folder: &Path) -> Vec<(&'static str, Bundle, &'static str)> {
    let with = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle
    };
    let flip = |document: &mut Document| {
        let middle = document.json.len() / 2;
        document.json[middle] ^= 1;
    };
    let (stranger, _) = new_key(folder, "stranger");
    let signed = good.signed(folder, &stranger, &[]);
    let (roots, keys) = foreign_authority(folder);
    vec![
        ("flipped root set", with(&|bundle| flip(&mut bundle.roots[0])), "is not valid"),
        ("flipped key list", with(&|bundle| flip(&mut bundle.keys)), "is not valid"),
        ("flipped manifest", with(&|bundle| flip(&mut bundle.manifest)), "is not valid"),
        ("wrong signature", with(&|bundle| *bundle.manifest.signatures.last_mut().unwrap() ^= 1), "is not valid"),
        (
            "signatures of the key list",
            with(&|bundle| bundle.manifest.signatures.clone_from(&bundle.keys.signatures)),
            "is not valid",
        ),
        ("unknown key", signed.clone(), "not trusted"),
        ("foreign root keys", Bundle { roots, keys, ..signed }, "another root set"),
    ]
}

/// The control, without a board: what is put together and signed here is a bundle, and what is wrong with the others is
/// what it is said to be.
#[test]
fn what_is_made_here_is_what_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = Bundle::read(&crate::updater::release("good"));
    let bundle = folder.join("bundle");
    let verify = |made: &Bundle, day: &str| {
        fs::write(&bundle, made.to_bytes()).unwrap();
        let root = built("keys/update-root");
        let mut command = Command::new(tool());
        command.arg("verify").arg(&bundle).arg("--update-root").arg(root).args(["--at", day]);
        let done = command.output().unwrap();
        (done.status.success(), String::from_utf8(done.stderr).unwrap())
    };
    let signed = good.signed(folder, &release_key(), &[("\"notes\":\"\"", "\"notes\":\"other\"")]);
    assert!(signed.manifest.json != good.manifest.json);
    assert_eq!(verify(&signed, "2026-11-01T00:00:00Z"), (true, String::new()));
    for (name, bundle, word) in untrusted(&good, folder) {
        let (passed, why) = verify(&bundle, "2026-11-01T00:00:00Z");
        assert!(!passed && why.contains(word), "{name}: {why}");
    }
    let (key, public) = new_key(folder, "expired");
    let old: serde_json::Value = serde_json::from_slice(&good.keys.json).unwrap();
    let list = key_list(folder, 2, &[("expired", &public, "2020-01-01")], &[old["keys"][0]["key"].as_str().unwrap()]);
    let (revoked, expired) = (good.under(&list), good.under(&list).signed(folder, &key, &[]));
    assert!(verify(&revoked, "2019-11-01T00:00:00Z").1.contains("was revoked"));
    assert_eq!(verify(&expired, "2019-11-01T00:00:00Z"), (true, String::new()));
    assert!(verify(&expired, "2026-11-01T00:00:00Z").1.contains("ended at"));
    let (start, bytes) = good.piece(1, 1);
    let mut broken = good.clone();
    broken.pieces[start + bytes - 1] ^= 1;
    assert!(verify(&broken, "2026-11-01T00:00:00Z").1.contains("not the one that was signed"));
}
