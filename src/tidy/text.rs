//! Rules about text, whatever the language.

use crate::tree::{File, files, finds, holds, lines};

/// Longest line of Rust, as in rustfmt.toml, which leaves comments, strings and macros alone.
pub(crate) const COLUMNS_MAX: usize = 120;

/// Marks of work left undone. Put together here, so that this file may be searched as well.
const UNDONE: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Words of a comment that speaks of the change instead of the code, or excuses it.
const EXCUSES: [&str; 6] = ["legacy", "for now", "hack", "kludge", "temporary fix", "no longer needed"];

/// Homes and work folders of somebody's machine.
const HOMES: [&str; 3] = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/")];

/// Where lock files may point: the public defaults, which every client replaces by what its machine is set to.
const REGISTRIES: [&str; 2] = [
    concat!("registry+https://github.com/rust-lang/", "crates", ".io-index"),
    concat!("https://registry.", "npmjs", ".org/"),
];

/// Hosts of registries and mirrors. Only lock files name one: everybody else asks their machine's settings.
const REGISTRY_HOSTS: [&str; 9] = [
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("deb.", "debian", ".org"),
    concat!("ftp.", "debian", ".org"),
    concat!("security.", "debian", ".org"),
    concat!("snapshot.", "debian", ".org"),
];

fn undone(text: &str) -> Vec<String> {
    lines(text, |line| {
        let words = line.split(|letter: char| !letter.is_alphanumeric());
        words.into_iter().find(|word| UNDONE.contains(word)).map(|word| format!("says {word}"))
    })
}

#[test]
fn nothing_is_left_undone() {
    holds(|file| !is_lock(file), undone);
    let planted = format!("// {}: later", UNDONE[0]);
    finds(undone, &[&planted, &format!("x // {}(me)", UNDONE[1])], &["// the mastodon", "todo = \"deny\"", "0xXXXX"]);
}

fn excuses(text: &str) -> Vec<String> {
    lines(text, |line| {
        let comment = line.split_once("//")?.1.to_lowercase();
        let spaced = format!(" {} ", comment.replace(|letter: char| !letter.is_alphanumeric(), " "));
        EXCUSES.iter().find(|word| spaced.contains(&format!(" {word} "))).map(|word| format!("a comment says `{word}`"))
    })
}

#[test]
fn comments_speak_of_what_is() {
    holds(|file| file.is_rust() && !file.path.contains("/tidy/"), excuses);
    finds(excuses, &["let x = 1; // Hack.", "/// For now, one."], &["// it is shackled", "let hack = 1;", "// so far"]);
}

fn homes(text: &str) -> Vec<String> {
    // Where a name stands before it, it is a folder somewhere else.
    let begins = |before: &str| !before.ends_with(|last: char| last.is_alphanumeric() || "._-".contains(last));
    let names = |line: &str, home: &str| line.match_indices(home).any(|(at, _)| begins(&line[..at]));
    lines(text, |line| HOMES.iter().find(|home| names(line, home)).map(|home| format!("names a path below {home}")))
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    holds(|_| true, homes);
    let planted = format!("cd {}me/src", HOMES[1]);
    let (quoted, elsewhere) = (format!("\"{}.cargo\"", HOMES[0]), format!("tests{}build", HOMES[0]));
    finds(homes, &[&planted, &quoted], &["/etc/passwd", "HOME", &elsewhere]);
}

fn is_lock(file: &File) -> bool {
    file.path.ends_with("Cargo.lock") || file.path.ends_with("package-lock.json")
}

fn foreign_registries(text: &str) -> Vec<String> {
    lines(text, |line| {
        let (key, value) = line.trim().split_once(['=', ':'])?;
        let value = value.trim().trim_end_matches(',').trim_matches('"');
        let is_source =
            matches!(key.trim().trim_matches('"'), "source" | "resolved" | "registry" | "index-url" | "index");
        let is_known = REGISTRIES.iter().any(|known| value.starts_with(known));
        (is_source && !is_known).then(|| format!("points to {value}"))
    })
}

#[test]
fn no_lock_file_and_no_setting_points_to_a_registry_of_its_own() {
    let settings = [".npmrc", "pip.conf", "config.toml", "requirements.txt"];
    holds(|file| is_lock(file) || settings.iter().any(|name| file.path.ends_with(name)), foreign_registries);
    finds(
        foreign_registries,
        &["source = \"registry+https://mirror.example/index\"", "\"resolved\": \"https://mirror.example/a.tgz\","],
        &[&format!("source = \"{}\"", REGISTRIES[0]), &format!("\"resolved\": \"{}a/-/a.tgz\",", REGISTRIES[1])],
    );
}

fn registry_hosts(text: &str) -> Vec<String> {
    lines(text, |line| REGISTRY_HOSTS.iter().find(|host| line.contains(*host)).map(|host| format!("names {host}")))
}

#[test]
fn no_file_but_a_lock_file_names_the_host_of_a_registry() {
    holds(|file| !is_lock(file), registry_hosts);
    let planted: Vec<String> = REGISTRY_HOSTS.iter().map(|host| format!("curl https://{host}/x")).collect();
    finds(registry_hosts, &planted.iter().map(String::as_str).collect::<Vec<_>>(), &["crates", "debian", "npm ci"]);
}

/// Lines of Rust that are too long.
pub(crate) fn long_lines(text: &str) -> Vec<String> {
    lines(text, |line| {
        let columns = line.chars().count();
        (columns > COLUMNS_MAX).then(|| format!("{columns} columns"))
    })
}

#[test]
fn long_lines_are_found() {
    finds(long_lines, &[&"x".repeat(COLUMNS_MAX + 1)], &[&"ä".repeat(COLUMNS_MAX), "short\nlines"]);
}

fn untidy_ends(text: &str) -> Vec<String> {
    // Not `lines`, which takes a carriage return for part of the line break.
    let numbered = text.split('\n').enumerate().filter(|(_, line)| line.ends_with([' ', '\t', '\r']));
    let mut found: Vec<_> = numbered.map(|(index, _)| format!("{}: ends in white space", index + 1)).collect();
    if !text.is_empty() && !text.ends_with('\n') {
        found.push("does not end with a line break".to_owned());
    }
    found
}

#[test]
fn lines_and_files_end_properly() {
    let kinds = [".rs", ".toml", ".md", ".py", ".js", ".mjs", ".css", "Makefile"];
    holds(|file| kinds.iter().any(|kind| file.path.ends_with(kind)), untidy_ends);
    finds(untidy_ends, &["a \n", "a\r\n", "a"], &["a\n", "", "a\n\nb\n"]);
}

#[test]
fn scripts_fail_loudly() {
    let strict = |text: &str| text.lines().any(|line| line == "set -euo pipefail");
    let scripts =
        files().iter().filter(|file| file.text.starts_with("#!") && file.text.lines().next().unwrap().contains("sh"));
    for script in scripts {
        assert!(strict(&script.text), "{} must `set -euo pipefail`", script.path);
    }
    assert!(!strict("#!/bin/bash\nset -e\n"));
}

/// Pipes into a reader that may leave early: the writer then dies of SIGPIPE, and `pipefail` makes a failure of what
/// was found, or, behind `!`, an absence.
fn torn_pipes(text: &str) -> Vec<String> {
    let is_torn = |line: &str| line.replace("||", "").contains("| grep -q");
    lines(text, |line| is_torn(line).then(|| "write `grep -q … <<<\"$(…)\"`".to_owned()))
}

#[test]
fn no_script_takes_a_torn_pipe_for_an_answer() {
    holds(|file| file.text.starts_with("#!"), torn_pipes);
    let good = ["a | grep x", "grep -q x <<<\"$(a)\"", "a || grep -q x b"];
    finds(torn_pipes, &["! readelf -d x | grep -q NEEDED"], &good);
}
