use std::io::Write;
use std::os::unix::net::UnixStream;

use super::*;

const START: &str =
    "BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP=1717598511 serial 1c4d3b62 boardrev c04170 stc 4";

fn met(lines: &str, board: u64) -> Result<(), RealError> {
    let (mut line, bench) = UnixStream::pair().unwrap();
    line.write_all(lines.as_bytes()).unwrap();
    drop(line);
    let log = tempfile::tempfile().unwrap();
    let (console, _) = Console::read(bench, log);
    recognise(&console, 0, board, Duration::from_secs(60))
}

#[test]
fn a_board_is_recognised_by_what_its_eeprom_says() {
    let start = format!("noise\r\n{START}\r\nmore\r\n");
    met(&start, 0x1c4d_3b62).unwrap();
    met(&start, 0xabcd_0000_1c4d_3b62).unwrap();
}

#[test]
fn any_other_board_is_refused() {
    for board in [0, 0x1c4d_3b63, 0x1c4d_3b62 << 32] {
        assert!(matches!(met(START, board), Err(RealError::Stranger { found: 0x1c4d_3b62, .. })), "{board:x}");
    }
    for lines in ["", "Linux version 6.12", "x serial  boardrev c04170", "x serial 1c4d3b6g boardrev c04170"] {
        assert!(matches!(met(lines, 0), Err(RealError::Silent(_))), "{lines}");
    }
}

#[test]
fn a_board_that_was_exchanged_is_refused_at_its_next_start() {
    let (mut line, bench) = UnixStream::pair().unwrap();
    line.write_all(format!("{START}\n{}\n", START.replace("1c4d3b62", "1c4d3b63")).as_bytes()).unwrap();
    drop(line);
    let (console, _) = Console::read(bench, tempfile::tempfile().unwrap());
    let pi = RealPi { console };
    let limit = Duration::from_secs(60);
    recognise(pi.console(), 0, 0x1c4d_3b62, limit).unwrap();
    let again = pi.meet_again(1, 0x1c4d_3b62, limit);
    assert!(matches!(again, Err(RealError::Stranger { found: 0x1c4d_3b63, .. })));
    assert!(matches!(pi.meet_again(2, 0x1c4d_3b62, limit), Err(RealError::Silent(_))));
}

#[test]
fn a_line_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let met = RealPi::meet(&folder.path().join("tty"), 1, &folder.path().join("log"), Duration::ZERO);
    assert!(matches!(met.err(), Some(RealError::Line { .. })));
}
