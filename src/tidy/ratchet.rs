//! What may become less and never more: `ratchet.txt` holds how much there is.

use std::collections::BTreeMap;

use crate::{golden, source, text, tree};

/// A function that is worth a hard look.
const FUNCTION_LINES: usize = 40;
/// A file that is worth a hard look.
const FILE_LINES: usize = 300;
/// The longest file.
const FILE_MAX: usize = 500;

/// What there is, by name.
type Counts = BTreeMap<String, usize>;

fn counts() -> Counts {
    let rust = || tree::files().iter().filter(|file| file.is_rust());
    let code = || rust().filter(|file| !file.is_test());
    let long_lines = rust().map(|file| text::long_lines(&file.text).len()).sum();
    let functions = code().flat_map(|file| source::functions(&file.text));
    let long_functions = functions.filter(|(_, _, length)| *length > FUNCTION_LINES).count();
    let mut counts = Counts::from([
        (format!("lines over {} columns", text::COLUMNS_MAX), long_lines),
        (format!("functions over {FUNCTION_LINES} lines"), long_functions),
    ]);
    // One for each, so that a long file that grows a little is no news, and another long file is.
    let long_files = code().filter(|file| file.text.lines().count() > FILE_LINES);
    counts.extend(long_files.map(|file| (format!("over {FILE_LINES} lines: {}", file.path), 1)));
    counts
}

fn render(counts: &Counts) -> String {
    counts.iter().map(|(name, count)| format!("{count:>4}  {name}\n")).collect()
}

fn parse(text: &str) -> Counts {
    let entry = |line: &str| {
        let (count, name) = line.trim().split_once("  ").expect("a count, two blanks, a name");
        (name.to_owned(), count.parse().expect("a count"))
    };
    text.lines().map(entry).collect()
}

/// What is more than it was.
fn grown(was: &Counts, is: &Counts) -> Vec<String> {
    let more = is.iter().filter(|(name, count)| **count > was.get(*name).copied().unwrap_or(0));
    more.map(|(name, count)| format!("{name}: {count}, was {}", was.get(name).copied().unwrap_or(0))).collect()
}

#[test]
fn nothing_grows_that_should_shrink() {
    let is = counts();
    if golden::blesses() {
        golden::assert_golden("ratchet.txt", &render(&is));
    }
    let grown = grown(&parse(&golden::read("ratchet.txt")), &is);
    assert!(grown.is_empty(), "{grown:#?}\nif there is no better way: LUCID_BLESS=1 cargo test -p lucid-tidy");
}

#[test]
fn the_ratchet_turns_one_way() {
    let counts = |pairs: &[(&str, usize)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let was: Counts = counts(&[("long lines", 5), ("long file: a.rs", 1)]);
    assert_eq!(parse(&render(&was)), was);
    assert!(grown(&was, &counts(&[("long lines", 4)])).is_empty());
    assert_eq!(grown(&was, &counts(&[("long lines", 6)])), ["long lines: 6, was 5"]);
    assert_eq!(grown(&was, &counts(&[("long file: b.rs", 1)])), ["long file: b.rs: 1, was 0"]);
}

fn too_long(text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines > FILE_MAX { vec![format!("{lines}: lines, at most {FILE_MAX}")] } else { vec![] }
}

#[test]
fn no_file_is_longer_than_anyone_reads() {
    tree::holds(|file| file.is_rust() && !file.is_test(), too_long);
    tree::finds(too_long, &[&"\n".repeat(FILE_MAX + 1)], &[&"\n".repeat(FILE_MAX)]);
}
