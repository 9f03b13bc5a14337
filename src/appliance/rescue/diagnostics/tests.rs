use std::io::Write as _;

use super::*;

fn read(content: &[u8]) -> Vec<String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    let log = Mutex::new(file);
    let first = lines(&log).unwrap();
    assert_eq!(first, lines(&log).unwrap(), "it is read from its beginning each time");
    first.into()
}

#[test]
fn records_become_lines_and_what_is_none_stays_as_it_is() {
    let log = b"6,1,0,-;Booting Linux\n SUBSYSTEM=cpu\n3,2,12345678,-;mmc0: error; card gone\nno record\n\xff;x\n";
    let expected = ["[    0.000000] Booting Linux", "[   12.345678] mmc0: error; card gone", "no record", "\u{fffd};x"];
    assert_eq!(read(log), expected);
    assert!(read(b"").is_empty());
}

#[test]
fn of_a_long_log_the_newest_lines_are_shown() {
    let log: String = (0..5000).map(|number| format!("6,{number},{number},-;line {number}\n")).collect();
    let shown = read(log.as_bytes());
    assert_eq!(shown.len(), KERNEL_LINES_MAX);
    assert!(shown.last().unwrap().ends_with("line 4999"));
}

#[test]
fn a_log_that_can_not_be_read_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write_only = File::options().write(true).open(file.path()).unwrap();
    assert!(lines(&Mutex::new(write_only)).is_err());
}
