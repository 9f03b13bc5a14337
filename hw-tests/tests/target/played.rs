//! The same, with a virtual Pi that plays the real one: `lucid-pi run` is the board, a port of this machine its
//! network, and a pseudo-terminal its serial line, on which this bench says what a real EEPROM says. And boards to be
//! refused.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use lucid_hw_tests::machine::Board;
use lucid_hw_tests::real::target::words;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::*;
use crate::appliance::NO_THERMOMETER;
use crate::bench::Bench;
use crate::flash::flash;

const HOST_NAME: &str = "lucid-target";

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A virtual board that was switched on by `lucid-pi run`; switched off when it is dropped.
struct Played {
    board: Child,
    speaker: Option<JoinHandle<()>>,
    tty: PathBuf,
    /// Keeps the line open while nobody reads it.
    _line: File,
}

impl Played {
    fn switch_on(bench: &Bench, port: u16) -> Self {
        let (line, spoken, tty) = serial_line();
        let mut board = Command::new(env!("CARGO_BIN_EXE_lucid-pi"))
            .arg("run")
            .arg(bench.disk())
            .args(["--port", &port.to_string(), "--ssd"])
            .arg(bench.path("ssd.img"))
            .arg("--logs")
            .arg(bench.path("logs"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(board.stderr.take().unwrap());
        Self { board, speaker: Some(thread::spawn(move || speak(said, spoken))), tty, _line: line }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        // Both fail only where it has ended before.
        let _ = self.board.kill();
        let _ = self.board.wait();
        if let Some(speaker) = self.speaker.take() {
            assert!(speaker.join().is_ok() || thread::panicking(), "the serial line broke");
        }
    }
}

/// A pseudo-terminal that changes nothing: the end that tests read, the end that the board speaks into, its name.
fn serial_line() -> (File, File, PathBuf) {
    let board: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&board).unwrap();
    unlockpt(&board).unwrap();
    let tty = PathBuf::from(ptsname(&board, Vec::new()).unwrap().into_string().unwrap());
    let line = File::options().read(true).write(true).open(&tty).unwrap();
    let mut settings = tcgetattr(&line).unwrap();
    settings.make_raw();
    tcsetattr(&line, OptionalActions::Now, &settings).unwrap();
    (line, File::from(board), tty)
}

/// What `lucid-pi run` says, and at each start what a real EEPROM prints before.
fn speak(mut said: impl BufRead, mut line: File) {
    let serial = Board::new("").serial & 0xffff_ffff;
    let mut text = String::new();
    let mut is_starting = false;
    while said.read_line(&mut text).unwrap() > 0 {
        let is_eeprom = text.starts_with("EEPROM:");
        if is_eeprom && !is_starting {
            writeln!(line, "BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1741600000 serial {serial:08x} boardrev d04170 stc 4")
                .unwrap();
        }
        is_starting = is_eeprom;
        line.write_all(text.as_bytes()).unwrap();
        text.clear();
    }
}

/// The file of the board, with changes.
fn told(bench: &Bench, file: &str, changes: &[(&str, &str)]) -> Target {
    let path = bench.path("board.toml");
    let text = changes.iter().fold(file.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} in {text}");
        text.replace(from, to)
    });
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    Target::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_board_in_the_network_is_tested_if_it_is_the_one_that_was_told() {
    let bench = Bench::new("target");
    let flashed = flash(&bench, HOST_NAME);
    let port = free_port();
    let played = Played::switch_on(&bench, port);
    let serial = format!("{:016x}", Board::new("").serial);
    let line = format!("serial_line = \"{}\"\n", played.tty.display());
    let file = format!(
        "board = \"{serial}\"\naddress = \"127.0.0.1\"\nhost_name = \"{HOST_NAME}.local\"\nfingerprint = \"{}\"\n\
         {line}code = \"{}\"\naccount = \"bench\"\npassword = \"heron-Quince-71-lantern\"\nforwarded = [[443, {port}]]\n",
        flashed.fingerprint, flashed.code
    );
    let all = words("claim,restart").unwrap();
    let proven = |target: &Target, words: &BTreeSet<Word>| prove(target, words, NO_THERMOMETER, &bench.path(""));

    let other = ["00"; 32].join(":");
    let stranger = told(&bench, &file, &[(&line, ""), (&flashed.fingerprint, &other)]);
    assert!(matches!(proven(&stranger, &all), Err(RealError::Certificate { .. })));
    let unclaimed = told(&bench, &file, &[(&line, "")]);
    assert!(matches!(proven(&unclaimed, &words("restart").unwrap()), Err(RealError::NotAllowed(_, "claim"))));

    let target = told(&bench, &file, &[]);
    // The first start has been on the line since.
    proven(&target, &all).unwrap_or_else(|error| panic!("{error}"));
    assert!(fs::read_to_string(bench.path("board.recovery-key")).unwrap().len() > 20);

    let moved = told(&bench, &file, &[(&line, ""), (&serial, "1000000011111111")]);
    assert!(matches!(proven(&moved, &all), Err(RealError::Moved { told: 0x1000_0000_1111_1111, .. })));
}

/// A TLS server that is none of ours; switched off when it is dropped.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stranger_at_the_address_is_asked_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=stranger",
        ])
        .arg("-keyout")
        .args([&key, &PathBuf::from("-out"), &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let port = free_port();
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-key"])
        .args([&key, &PathBuf::from("-cert"), &certificate, &PathBuf::from("-cert_chain"), &certificate])
        // At the end of its input it would end its connections, and print nothing of them.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Stranger(server);
    let path = folder.path().join("board.toml");
    let fingerprint = ["00"; 32].join(":");
    let text = format!(
        "board = \"1\"\naddress = \"127.0.0.1\"\nhost_name = \"lucid.local\"\nfingerprint = \"{fingerprint}\"\n\
         code = \"AAAA-AAAA-AAAA-AAAA\"\naccount = \"bench\"\npassword = \"secret\"\nforwarded = [[443, {port}]]\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let target = Target::read(&path).unwrap_or_else(|error| panic!("{error}"));
    let refused = prove(&target, &words("claim,restart").unwrap(), &[], folder.path());
    assert!(matches!(refused, Err(RealError::Certificate { .. })));
    // The first that it is ever sent comes from here.
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(b"control\n").unwrap();
    let mut first = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(first, "control\n", "what it was sent");
}
