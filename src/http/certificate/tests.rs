//! Life of the certificate: first start, restart, changes, damage, clocks that are wrong.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A client that trusts the device's authority and nothing else.
pub(crate) fn client(certificate: &DeviceCertificate) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(builder.with_root_certificates(roots(certificate)).with_no_client_auth()))
}

fn roots(certificate: &DeviceCertificate) -> RootCertStore {
    use rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.ca_pem().as_bytes()).unwrap()).unwrap();
    roots
}

/// A state folder at a fixed time.
struct Bench {
    state: tempfile::TempDir,
    now: SystemTime,
    floor: SystemTime,
    names: CertificateNames,
}

impl Bench {
    fn new() -> Self {
        let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
        Self { state: tempfile::tempdir().unwrap(), now, floor: now - DAY, names: names("lucid", &["192.168.1.5"]) }
    }

    fn dir(&self) -> PathBuf {
        self.state.path().join("tls")
    }

    fn try_open(&self) -> Result<DeviceCertificate, CertificateError> {
        DeviceCertificate::open(&self.dir(), &self.names, self.now, self.floor)
    }

    fn open(&self) -> DeviceCertificate {
        self.try_open().unwrap()
    }

    fn leaf(&self, certificate: &DeviceCertificate) -> CertificateDer<'static> {
        certificate.resolver.current().cert[0].clone()
    }

    /// Whether a client at `now` accepts the leaf for `name`.
    fn accepts(&self, certificate: &DeviceCertificate, name: &str) -> bool {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots(certificate));
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots, provider).build().unwrap();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(self.now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        use rustls::client::danger::ServerCertVerifier;
        verifier.verify_server_cert(&self.leaf(certificate), &[], &name, &[], now).is_ok()
    }

    fn reconcile(&self, certificate: &DeviceCertificate) -> Option<ReissueReason> {
        certificate.reconcile(&self.names, self.now, self.floor).unwrap()
    }
}

fn names(hostname: &str, addresses: &[&str]) -> CertificateNames {
    CertificateNames::new(hostname, addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()))
}

fn days(certificate: &CertificateDer<'_>) -> i64 {
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    (parsed.validity().not_after.timestamp() - parsed.validity().not_before.timestamp()) / 86_400
}

#[test]
fn the_first_start_makes_authority_and_leaf_and_the_second_reads_them() {
    let bench = Bench::new();
    let first = bench.open();
    for name in ["lucid.local", "localhost", "lucid", "127.0.0.1", "::1", "192.168.1.5"] {
        assert!(bench.accepts(&first, name), "{name}");
    }
    assert!(!bench.accepts(&first, "192.168.1.6") && !bench.accepts(&first, "example.com"));
    assert_eq!(days(&bench.leaf(&first)), 397);
    for (name, mode) in [("ca.key", 0o600), ("leaf.key", 0o600), ("ca.pem", 0o644), ("leaf.pem", 0o644)] {
        assert_eq!(fs::metadata(bench.dir().join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    assert_eq!(fs::metadata(bench.dir()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(bench.dir()).unwrap().count(), 4);
    let second = bench.open();
    assert_eq!(first.ca_fingerprint_sha256(), second.ca_fingerprint_sha256());
    assert_eq!(first.leaf_fingerprint_sha256(), second.leaf_fingerprint_sha256());
    assert_eq!(bench.reconcile(&second), None);
    assert!(!format!("{second:?}").contains("PRIVATE"));
}

#[test]
fn a_fingerprint_is_what_browsers_show() {
    let fingerprint = Bench::new().open().ca_fingerprint_sha256().to_owned();
    assert_eq!(fingerprint.len(), 32 * 3 - 1);
    assert!(fingerprint.split(':').all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok()));
    let empty = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";
    assert_eq!(super::fingerprint(&CertificateDer::from(vec![])), empty);
}

#[test]
fn the_authority_may_vouch_for_local_names_only() {
    let bench = Bench::new();
    let certificate = bench.open();
    let authority = Authority::open(&bench.dir(), bench.floor).unwrap();
    for (name, allowed) in [("box.lan", true), ("example.com", false), ("8.8.8.8", false), ("10.9.8.7", true)] {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = bench.floor.into();
        params.not_after = (bench.now + DAY).into();
        let key = rcgen::KeyPair::generate().unwrap();
        let forged = params.signed_by(&key, authority.issuer()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let served = CertifiedKey::from_der(vec![forged.der().clone()], key, &provider).unwrap();
        certificate.resolver.replace(Arc::new(served));
        assert_eq!(bench.accepts(&certificate, name), allowed, "{name}");
    }
}

#[test]
fn the_leaf_follows_names_and_time_and_the_authority_stays() {
    let mut bench = Bench::new();
    let certificate = bench.open();
    let config = certificate.server_config();
    let ca = certificate.ca_fingerprint_sha256().to_owned();
    let mut last = certificate.leaf_fingerprint_sha256();
    let mut check = |bench: &Bench, expected: Option<ReissueReason>| {
        assert_eq!(bench.reconcile(&certificate), expected);
        let now = certificate.leaf_fingerprint_sha256();
        assert_eq!(now != last, expected.is_some());
        last = now;
        assert!(bench.accepts(&certificate, "lucid.local"));
    };
    check(&bench, None);
    bench.names = names("lucid", &["192.168.1.5", "fe80::1"]);
    check(&bench, Some(ReissueReason::NamesChanged));
    bench.names = names("lucid", &["fe80::1", "192.168.1.5", "192.168.1.5"]);
    check(&bench, None);
    bench.names = names("Studio.", &["10.0.0.2"]);
    check(&bench, Some(ReissueReason::NamesChanged));
    bench.now += DAY * 365;
    check(&bench, None);
    bench.now += DAY * 3;
    check(&bench, Some(ReissueReason::Expiring));
    bench.now += DAY * 1000;
    check(&bench, Some(ReissueReason::Expiring));
    assert_eq!(bench.open().ca_fingerprint_sha256(), ca);
    assert!(Arc::ptr_eq(&config, &certificate.server_config()));
}

#[test]
fn wrong_clocks_do_not_take_the_certificate_away() {
    let mut bench = Bench::new();
    let true_now = bench.now;
    // Behind the floor, as after a lost battery: the floor counts.
    bench.now = SystemTime::UNIX_EPOCH;
    let certificate = bench.open();
    bench.now = true_now;
    assert!(bench.accepts(&certificate, "lucid.local"));
    // Ahead by decades: it still serves, and recovers when the clock does.
    bench.now = true_now + DAY * 36_500;
    assert_eq!(bench.reconcile(&certificate), Some(ReissueReason::Expiring));
    bench.now = true_now;
    assert_eq!(bench.reconcile(&certificate), Some(ReissueReason::NotYetValid));
    assert!(bench.accepts(&certificate, "lucid.local"));
    // A floor that is years old, after a long time on the shelf.
    bench.floor = true_now - DAY * 2000;
    let shelf = Bench { now: true_now, ..bench };
    assert!(days(&shelf.leaf(&certificate)) <= 397);
    assert_eq!(shelf.reconcile(&certificate), None);
}

#[test]
fn damage_to_the_authority_is_an_error_and_changes_nothing() {
    let damage: [(&str, Option<&[u8]>, &str); 9] = [
        ("ca.pem", None, "is missing"),
        ("ca.key", None, "is missing"),
        ("ca.pem", Some(b""), "is damaged"),
        ("ca.key", Some(b""), "is damaged"),
        ("ca.pem", Some(b"\x00\xff garbage"), "is damaged"),
        ("ca.key", Some(b"\x00\xff garbage"), "is damaged"),
        ("ca.pem", Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "is damaged"),
        ("ca.key", Some(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "is damaged"),
        ("ca.pem", Some(b"leaf"), "is damaged"),
    ];
    for (name, content, expected) in damage {
        let bench = Bench::new();
        let certificate = bench.open();
        let path = bench.dir().join(name);
        match content {
            None => fs::remove_file(&path).unwrap(),
            Some(b"leaf") => drop(fs::copy(bench.dir().join("leaf.pem"), &path).unwrap()),
            Some(bytes) => fs::write(&path, bytes).unwrap(),
        }
        let before = snapshot(&bench.dir());
        let error = bench.try_open().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains(name) && text.contains("restore"), "{text}");
        assert!(certificate.reconcile(&bench.names, bench.now, bench.floor).is_err());
        assert_eq!(snapshot(&bench.dir()), before);
    }
}

/// All files of a folder with their contents.
fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn an_authority_of_another_key_or_device_is_refused() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench.open();
    other.open();
    fs::copy(other.dir().join("ca.key"), bench.dir().join("ca.key")).unwrap();
    assert!(bench.try_open().unwrap_err().to_string().contains("does not belong to the key"));
    fs::copy(other.dir().join("ca.pem"), bench.dir().join("ca.pem")).unwrap();
    // The authority of the other device, whole: the leaf of the old one is replaced.
    assert!(bench.accepts(&bench.open(), "lucid.local"));
}

#[test]
fn a_damaged_leaf_is_replaced_under_the_same_authority() {
    let damage: [(&str, Option<&[u8]>); 4] =
        [("leaf.pem", None), ("leaf.key", None), ("leaf.pem", Some(b"garbage")), ("leaf.key", Some(b""))];
    for (name, content) in damage {
        let bench = Bench::new();
        let first = bench.open();
        let path = bench.dir().join(name);
        content.map_or_else(|| fs::remove_file(&path), |bytes| fs::write(&path, bytes)).unwrap();
        let second = bench.open();
        assert_eq!(first.ca_fingerprint_sha256(), second.ca_fingerprint_sha256());
        assert_ne!(first.leaf_fingerprint_sha256(), second.leaf_fingerprint_sha256());
        assert!(bench.accepts(&second, "lucid.local"));
    }
}

#[test]
fn a_first_start_cut_short_is_begun_again() {
    let bench = Bench::new();
    bench.open();
    for name in ["ca.pem", "leaf.pem", "leaf.key"] {
        fs::remove_file(bench.dir().join(name)).unwrap();
    }
    fs::write(bench.dir().join("ca.new"), "half a certif").unwrap();
    assert!(bench.accepts(&bench.open(), "lucid.local"));
}

#[test]
fn a_key_that_others_can_read_is_closed_again() {
    let bench = Bench::new();
    bench.open();
    let path = bench.dir().join("ca.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    bench.open();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_folder_that_cannot_be_made_says_which() {
    let bench = Bench::new();
    let dir = bench.state.path().join("not-there/tls");
    let error = DeviceCertificate::open(&dir, &bench.names, bench.now, bench.floor).unwrap_err();
    assert_eq!(error.to_string(), format!("can't make {}", dir.display()));
}
