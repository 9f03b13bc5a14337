//! The certificate while the box runs: addresses that come and go, a clock that is set.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use super::*;

/// Tests that set the addresses of the machine take turns.
static ADDRESSES: Mutex<(BTreeSet<IpAddr>, bool)> = Mutex::new((BTreeSet::new(), false));
static TURN: Mutex<()> = Mutex::new(());

/// What the machine says about its interfaces.
fn interfaces() -> io::Result<BTreeSet<IpAddr>> {
    let (addresses, fail) = &*ADDRESSES.lock().unwrap();
    if *fail { Err(io::Error::other("no answer")) } else { Ok(addresses.clone()) }
}

fn have(addresses: &[&str], fail: bool) {
    *ADDRESSES.lock().unwrap() = (addresses.iter().map(|address| address.parse().unwrap()).collect(), fail);
}

fn on(host: &str) -> Listening {
    Listening { host: host.parse().unwrap(), hostname: "lucid.local".to_owned(), interfaces }
}

struct Bench {
    dir: TempDir,
    renewal: Renewal,
    _turn: std::sync::MutexGuard<'static, ()>,
}

impl Bench {
    fn new(host: &str, addresses: &[&str], fail: bool) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        have(addresses, fail);
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::below(dir.path(), dir.path()));
        let certificate = on(host).certificate(&dir.path().join("tls"), &clock).unwrap();
        Self { renewal: Renewal::new(certificate, clock, on(host)), dir, _turn: turn }
    }

    fn leaf(&self) -> String {
        self.renewal.certificate.leaf_fingerprint_sha256()
    }

    fn leaf_file(&self) -> PathBuf {
        self.dir.path().join("tls/leaf.pem")
    }

    /// Whether a look issues a new leaf.
    fn renews(&mut self) -> bool {
        let former = self.leaf();
        self.renewal.look().unwrap();
        former != self.leaf()
    }
}

#[test]
fn a_listener_on_all_addresses_is_reached_under_those_of_the_interfaces() {
    let _bench = Bench::new("127.0.0.1", &["192.168.1.20", "fd00::1"], false);
    for (host, reached) in [
        ("0.0.0.0", vec!["192.168.1.20"]),
        ("::", vec!["192.168.1.20", "fd00::1"]),
        ("192.168.1.7", vec!["192.168.1.7"]),
        ("127.0.0.1", vec!["127.0.0.1"]),
    ] {
        let reached = reached.into_iter().map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(on(host).names().unwrap(), CertificateNames::new("lucid.local", reached), "{host}");
    }
}

#[test]
fn an_address_that_changes_is_in_the_certificate_at_the_next_look() {
    let mut bench = Bench::new("0.0.0.0", &["192.168.1.20"], false);
    assert!(!bench.renews() && !bench.renews());
    have(&["192.168.1.21"], false);
    assert!(bench.renews());
    assert!(!bench.renews());
}

#[test]
fn interfaces_that_do_not_answer_change_nothing_and_are_asked_again() {
    let mut bench = Bench::new("0.0.0.0", &[], true);
    let leaf = bench.leaf();
    assert!(matches!(bench.renewal.look(), Err(RenewalError::Interfaces(_))));
    assert_eq!(bench.leaf(), leaf);
    have(&["192.168.1.20"], false);
    assert!(bench.renews());
    have(&["192.168.1.20"], true);
    let leaf = bench.leaf();
    bench.renewal.look_logged();
    assert_eq!((bench.leaf(), bench.renewal.failing), (leaf, true));
}

#[test]
fn the_certificate_is_looked_at_when_the_clock_is_synchronized_and_after_hours() {
    let mut bench = Bench::new("0.0.0.0", &["192.168.1.20"], false);
    assert!(!bench.renews());
    // A leaf that does not do is the witness that it was looked at.
    fs::write(bench.leaf_file(), "rotten").unwrap();
    assert!(!bench.renews(), "nothing has changed since");
    let synchronized = bench.dir.path().join("run/systemd/timesync");
    fs::create_dir_all(&synchronized).unwrap();
    fs::write(synchronized.join("synchronized"), "").unwrap();
    assert!(bench.renews());
    fs::write(bench.leaf_file(), "rotten").unwrap();
    assert!(!bench.renews());
    bench.renewal.seen.as_mut().unwrap().1 = 0;
    assert!(bench.renews(), "the time has come");
}

#[test]
fn a_certificate_begins_no_later_than_the_earliest_time_that_it_can_be() {
    let bench = Bench::new("127.0.0.1", &[], false);
    let clock = &bench.renewal.clock;
    // The authority was made by a clock that was never set: it must be valid even if that was ahead.
    let earliest = time(clock.earliest_ms());
    assert!(clock.now().unix_ms > clock.earliest_ms());
    let opened =
        DeviceCertificate::open(&bench.dir.path().join("tls"), &on("127.0.0.1").names().unwrap(), earliest, earliest);
    assert_eq!(opened.unwrap().ca_fingerprint_sha256(), bench.renewal.certificate.ca_fingerprint_sha256());
}

#[tokio::test]
async fn while_the_box_runs_it_is_kept() {
    let bench = Bench::new("0.0.0.0", &["192.168.1.20"], false);
    let (certificate, leaf) = (bench.renewal.certificate.clone(), bench.leaf());
    have(&["10.0.0.7"], false);
    let keeping = tokio::spawn(bench.renewal.keep());
    while certificate.leaf_fingerprint_sha256() == leaf {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    keeping.abort();
}
