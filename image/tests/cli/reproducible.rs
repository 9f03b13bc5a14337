//! Equal inputs give equal bytes, whenever and wherever.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixture::{Inputs, Order, difference, lucid_image, succeed};

/// Names of everything that was built.
fn results(out: &Path) -> Vec<String> {
    let entries = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn another_folder_order_time_zone_user_mask_and_day_give_the_same_bytes() {
    let (one, other) = (Inputs::new(), Inputs::in_order(Order::Backward));
    one.build();
    // Two years later, under a shell with another mask, in Tokyo, with settings of a user.
    let mut program = Command::new("faketime");
    program.args(["2027-12-24 17:00:00", "sh", "-c", "umask 077; exec \"$@\"", "sh"]);
    program.arg(env!("CARGO_BIN_EXE_lucid-image")).arg("build");
    program
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "C.UTF-8")
        .env("SOURCE_DATE_EPOCH", "1")
        .env("MTOOLSRC", "/etc/hosts");
    succeed(other.command(program).output().unwrap());
    let (one, other) = (one.path("out"), other.path("out"));
    let names = results(&one);
    assert_eq!((names.len(), &names), (4, &results(&other)));
    for name in names {
        assert_eq!(difference(&one.join(&name), &other.join(&name)), None);
    }
}

#[test]
fn another_input_gives_another_build() {
    let inputs = Inputs::new();
    let build = |inputs: &Inputs| {
        let text = succeed(lucid_image().arg("inspect").arg(inputs.build()).output().unwrap());
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        (line("root hash"), line("build "))
    };
    let first = build(&inputs);
    inputs.write("config.txt", 0o644, format!("{}dtparam=pciex1\n", crate::fixture::CONFIG_TXT).as_bytes());
    let second = build(&inputs);
    assert_eq!(first.0, second.0, "the root is the same");
    assert_ne!(first.1, second.1);
    inputs.write("root/etc/hosts", 0o644, b"127.0.0.1 localhost lucid\n");
    let third = build(&inputs);
    assert_ne!(second.0, third.0);
}
