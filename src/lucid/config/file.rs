//! Reads the configuration file: TOML to checked values, with the line of each.
//!
//! Must never write the file, and never repeat the value of a key it does not know.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::errors::{ConfigError, Place, shown};
use super::keys::KEYS;
use super::kind::{Key, Value};
use super::nearest;

/// Largest file read, in bytes: a hundred times what all keys with comments take.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A value that was set, and where.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    /// The checked value.
    pub(crate) value: Value,
    /// Where it was written.
    pub(crate) place: Place,
}

/// What one reading found: values by path, and everything that was wrong.
#[derive(Default)]
pub(crate) struct Found {
    /// Good values.
    pub(crate) values: Vec<(&'static str, Set)>,
    /// Everything else.
    pub(crate) errors: Vec<ConfigError>,
}

impl Found {
    /// The same, where `key` can't be set.
    pub(crate) fn without(mut self, key: &'static str) -> Self {
        for (_, set) in self.values.extract_if(.., |(path, _)| *path == key) {
            self.errors.push(ConfigError::Misplaced { place: set.place, key });
        }
        self
    }
}

/// Reads and checks `path` whole.
pub(crate) fn read(path: &Path) -> Found {
    match read_text(path) {
        Ok(text) => Reader { path, text: &text, found: Found::default() }.read(),
        Err(error) => Found { values: Vec::new(), errors: vec![error] },
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(read)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
        let place = Place::File { path: path.to_owned(), line };
        ConfigError::Syntax { place, message: "the file is not UTF-8".to_owned() }
    })
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    found: Found,
}

impl Reader<'_> {
    fn read(mut self) -> Found {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let place = self.place(error.span().unwrap_or(0..0));
            self.found.errors.push(ConfigError::Syntax { place, message: error.message().replace('\n', " ") });
        }
        // What the parser makes up behind a syntax error would only raise follow-up errors.
        if errors.is_empty() {
            self.top_level(table.get_ref());
        }
        self.found
    }

    fn top_level(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let prefix = format!("{}.", name.get_ref());
            let is_section = KEYS.iter().any(|key| key.about().path.starts_with(&prefix));
            match value.get_ref() {
                DeValue::Table(section) if is_section => {
                    for (key, value) in section {
                        self.entry(&format!("{prefix}{}", key.get_ref()), key.span(), value);
                    }
                }
                _ => self.entry(name.get_ref(), name.span(), value),
            }
        }
    }

    fn entry(&mut self, path: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let place = self.place(span);
        let Some(key) = KEYS.iter().find(|key| key.about().path == path) else {
            let nearest = nearest::key(path);
            self.found.errors.push(ConfigError::Unknown { place, key: shown(path), nearest });
            return;
        };
        match key.accept_toml(value.get_ref()) {
            Some(value) => self.found.values.push((key.about().path, Set { value, place })),
            None => self.found.errors.push(invalid(key, place, self.text.get(value.span()).unwrap_or_default())),
        }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Place::File { path: self.path.to_owned(), line }
    }
}

/// The error of a value that breaks its key's rule.
pub(crate) fn invalid(key: &Key, place: Place, value: &str) -> ConfigError {
    ConfigError::Invalid { place, key: key.about().path, value: shown(value), rule: key.rule() }
}
