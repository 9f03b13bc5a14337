//! Rules about what the image must hold.

use crate::tree::{File, files};

/// What both roots are checked for: Buildroot's and the virtual Pi's.
const NEEDED: &str = "buildroot/board/lucid/rpi5/needed.txt";

/// How the agent starts a program.
const STARTS: [&str; 2] = ["tool::run(\"", "tool::run_with_input(\""];

/// The programs that a text starts.
fn started(text: &str) -> impl Iterator<Item = &str> {
    let rests = STARTS.iter().flat_map(move |start| text.split(start).skip(1));
    rests.filter_map(|rest| rest.split('"').next())
}

#[test]
fn whatever_the_agent_starts_is_in_the_image() {
    let needed = files().iter().find(|file| file.path == NEEDED).expect("the list is there");
    let is_agent = |file: &&File| file.path.starts_with("src/agent/") && !file.is_test();
    let programs: Vec<_> = files().iter().filter(is_agent).flat_map(|file| started(&file.text)).collect();
    assert!(programs.contains(&"partx") && programs.contains(&"mke2fs"), "they are found: {programs:?}");
    for program in programs {
        let is_listed = needed.text.lines().any(|line| line == format!("bin/{program}"));
        assert!(is_listed, "the agent starts {program}: add it to {NEEDED}, and a package that brings it to the image");
    }
}

#[test]
fn started_programs_are_found() {
    let text = "tool::run(\"blkid\", &[])?; tool::run_with_input(\"sfdisk\", &[], line)?; run(\"true\")";
    assert_eq!(started(text).collect::<Vec<_>>(), ["blkid", "sfdisk"]);
}
