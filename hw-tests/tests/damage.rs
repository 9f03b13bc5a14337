//! A byte of the root file system that changed on the disk: noticed when it is read, and nothing of it runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use lucid_hw_tests::disk::DiskImage;
use lucid_hw_tests::machine::Ending;
use lucid_layout::Partition;

use crate::bench::{Bench, ready};

/// Changes one byte of a file of the first slot's root, on the disk.
fn flip(bench: &Bench, file: &str) {
    let (start, bytes) = DiskImage::open(&bench.disk()).unwrap().place(Partition::RootA.number()).unwrap();
    let disk = File::options().read(true).write(true).open(bench.disk()).unwrap();
    let mut partition = vec![0; usize::try_from(bytes).unwrap()];
    disk.read_exact_at(&mut partition, start).unwrap();
    let root = bench.path("root.img");
    std::fs::write(&root, &partition).unwrap();
    let shown = Command::new("dump.erofs").args(["-e", &format!("--path={file}")]).arg(&root).output().unwrap();
    std::fs::remove_file(&root).unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let at = first_extent(&shown).unwrap_or_else(|| panic!("dump.erofs shows where {file} lies: {shown}"));
    // In the middle of the first block of it.
    let at = start + at + 100;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, at).unwrap();
    disk.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// The offset of a file's first extent: ` 0:  0.. 4096 | 4096 : 8192.. 12288 | 4096`.
fn first_extent(shown: &str) -> Option<u64> {
    let line = shown.lines().find(|line| line.trim_start().starts_with("0:"))?;
    line.split('|').nth(1)?.split(':').nth(1)?.split("..").next()?.trim().parse().ok()
}

#[test]
fn a_changed_byte_of_the_root_is_an_error_and_is_not_run() {
    let mut bench = Bench::new("damage");
    // A program that the boot does not need: the box comes up, and says what is wrong when it is touched.
    let file = "/usr/bin/networkctl";
    flip(&bench, file);
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    let refused = probe.read(file).unwrap_err().to_string();
    assert!(refused.contains("os error 5"), "an I/O error: {refused}");
    let ran = probe.run(file, &["--version"]);
    assert!(ran.as_ref().is_err_and(|error| error.to_string().contains("os error 5")), "it does not run: {ran:?}");
    assert!(probe.read("/usr/bin/systemctl").is_ok(), "whatever was not changed can be read");
    let log = probe.run("/usr/bin/journalctl", &["--dmesg", "--output=cat", "--grep=verity"]).unwrap();
    assert!(log.stdout.contains("is corrupted"), "the kernel tells: {log:?}");
    let _ = run.cut_power();

    // Our own binary, which is also the first process.
    flip(&bench, "/usr/bin/lucid");
    let run = bench.pi.power_on().unwrap();
    let log = run.log().to_owned();
    assert_eq!(run.wait_end().unwrap(), Ending::Panic, "nothing comes up");
    let console = std::fs::read_to_string(log).unwrap();
    assert!(console.contains("is corrupted"), "{console}");
}
