//! Rotation, torn lines, disks that are full or gone.

use std::os::unix::fs::symlink;

use super::*;
use crate::line::Level;

fn line(service: &str, message: &str) -> Line {
    let text = |text: &str| text.to_owned();
    let (time, target) = (text("2026-01-01T00:00:00.000Z"), text("lucid"));
    Line { time, level: Level::Info, service: text(service), target, message: text(message), fields: vec![] }
}

struct Bench {
    dir: tempfile::TempDir,
    writer: Writer,
}

impl Bench {
    /// A writer that tries again at once, with small files.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new();
        writer.retry = Duration::ZERO;
        writer.file_bytes_max = 1000;
        writer.set_dir(Some(dir.path().to_owned()));
        Self { dir, writer }
    }

    fn write(&mut self, message: &str) {
        self.writer.write(&line("vm", message));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("vm").join(name)
    }

    /// The messages of a file; every line must be whole.
    fn messages(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let parse = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines().map(|line| parse(line)["message"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn three_rotations_are_kept_and_the_newest_lines_with_them() {
    let mut bench = Bench::new();
    (0..100).for_each(|number| bench.write(&format!("{number:0200}")));
    let mut names: Vec<_> =
        fs::read_dir(bench.path("")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["vm.log", "vm.log.1", "vm.log.2", "vm.log.3"]);
    let all: Vec<_> =
        names.iter().rev().flat_map(|name| bench.messages(name)).map(|it| it.parse::<u32>().unwrap()).collect();
    let first = all[0];
    assert_eq!(all, (first..100).collect::<Vec<_>>());
    for name in names {
        assert!(fs::metadata(bench.path(&name)).unwrap().len() <= 1000);
    }
}

#[test]
fn a_line_larger_than_a_file_is_written_all_the_same() {
    let mut bench = Bench::new();
    bench.write(&"x".repeat(3000));
    bench.write("next");
    assert_eq!(bench.messages("vm.log"), ["next"]);
    assert_eq!(bench.messages("vm.log.1")[0].len(), 3000);
}

#[test]
fn a_file_is_continued_and_a_torn_line_ended() {
    let mut bench = Bench::new();
    bench.write("before");
    bench.writer.set_dir(Some(bench.dir.path().to_owned()));
    bench.write("after");
    assert_eq!(bench.messages("vm.log"), ["before", "after"]);
    fs::write(bench.path("vm.log"), "{\"torn").unwrap();
    bench.writer.set_dir(Some(bench.dir.path().to_owned()));
    bench.write("whole");
    let text = fs::read_to_string(bench.path("vm.log")).unwrap();
    assert!(text.starts_with("{\"torn\n{\"time\"") && text.ends_with("}\n"), "{text}");
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path("")).unwrap();
    symlink("/dev/full", bench.path("vm.log")).unwrap();
    bench.write("lost");
    bench.write("lost too");
    assert_eq!(bench.writer.failure.as_ref().unwrap().dropped, 2);
    fs::remove_file(bench.path("vm.log")).unwrap();
    bench.write("kept");
    assert!(bench.writer.failure.is_none());
    assert_eq!(bench.messages("vm.log"), ["kept"]);
}

#[test]
fn after_a_failure_the_disk_is_left_alone_for_a_while() {
    let mut bench = Bench::new();
    bench.writer.retry = RETRY;
    bench.writer.set_dir(Some(bench.dir.path().join("gone/logs")));
    bench.write("lost");
    fs::create_dir(bench.dir.path().join("gone")).unwrap();
    bench.write("lost: too early to try again");
    assert!(!bench.dir.path().join("gone/logs").exists());
    assert_eq!(bench.writer.failure.as_ref().unwrap().dropped, 2);
}

#[test]
fn the_parent_of_the_folder_is_never_made() {
    let mut bench = Bench::new();
    let mount = bench.dir.path().join("myssd");
    bench.writer.set_dir(Some(mount.join("logs")));
    bench.write("lost");
    assert!(!mount.exists() && bench.writer.failure.is_some());
    fs::create_dir(&mount).unwrap();
    bench.write("kept");
    assert!(mount.join("logs/vm/vm.log").exists());
}

#[test]
fn a_file_in_the_way_of_one_service_does_not_stop_another_for_long() {
    let mut bench = Bench::new();
    fs::write(bench.dir.path().join("ledger"), "not a folder").unwrap();
    bench.writer.write(&line("ledger", "lost"));
    bench.write("kept");
    assert_eq!(bench.messages("vm.log"), ["kept"]);
}

#[test]
fn failure_and_recovery_are_said_once_each() {
    crate::tests::with(crate::tests::config(None), |observe| {
        let mut bench = Bench::new();
        for _ in 0..2 {
            bench.writer.set_dir(Some(bench.dir.path().join("gone/logs")));
            (0..5).for_each(|_| bench.write("lost"));
            fs::create_dir(bench.dir.path().join("gone")).unwrap();
            (0..5).for_each(|_| bench.write("kept"));
            fs::remove_dir_all(bench.dir.path().join("gone")).unwrap();
        }
        let said = crate::tests::messages(observe, "lucid");
        let failed = "can't write log files; dropping lines until it works again";
        assert_eq!(said, [failed, "log files are written again"].repeat(2));
    });
}
