//! Which existing name was probably meant. Pure; must never be used to accept a value, only to word a message.

use super::keys::KEYS;

/// How alike two names must be, 0 to 1: one letter in three may differ.
const LIKENESS_MIN: f64 = 0.66;
/// Letters by which a mistyped environment variable may differ.
const TYPOS_MAX: usize = 2;
/// Shorter variable names resemble too many foreign ones.
const VARIABLE_BYTES_MIN: usize = 8;

/// The key or section most like `written`. A right name in the wrong section is found, too.
pub(crate) fn key(written: &str) -> Option<String> {
    let paths = KEYS.iter().map(|key| key.about().path);
    let sections = paths.clone().filter_map(|path| path.split_once('.')).map(|(section, _)| section);
    paths
        .map(|path| (path, likeness_of_path(written, path)))
        .chain(sections.map(|section| (section, strsim::normalized_damerau_levenshtein(written, section))))
        .filter(|(_, likeness)| *likeness >= LIKENESS_MIN)
        .max_by(|left, right| left.1.total_cmp(&right.1))
        .map(|(name, _)| name.to_owned())
}

fn likeness_of_path(written: &str, path: &str) -> f64 {
    let name = |path: &str| path.rsplit('.').next().map(str::to_owned).unwrap_or_default();
    let whole = strsim::normalized_damerau_levenshtein(written, path);
    // The name alone counts a little less, so that the same name in the right section wins.
    whole.max(0.95 * strsim::normalized_damerau_levenshtein(&name(written), &name(path)))
}

/// The environment variable of a setting that `written` is a slip of the keyboard away from.
pub(crate) fn variable(written: &str) -> Option<&'static str> {
    if written.len() < VARIABLE_BYTES_MIN {
        return None;
    }
    let known = KEYS.iter().filter_map(|key| key.about().env);
    let (distance, name) = known.map(|name| (strsim::damerau_levenshtein(written, name), name)).min()?;
    (1..=TYPOS_MAX).contains(&distance).then_some(name)
}
