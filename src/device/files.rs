//! Small kernel files as readings: the only place that opens sysfs and procfs.
//!
//! Promises: bounded reads; absence told apart from failure by the error number.
//! Must never follow a path out of the root it was given by an absolute name: callers join with [`Root::at`].

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::io::Errno;

use crate::Reading;

/// sysfs files hold one page at most; `/proc/stat` and mountinfo of a small appliance stay far below this. A bound,
/// so that no file can fill the memory.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// How much of an unexpected content is shown in a reason.
const SHOWN_CHARS_MAX: usize = 40;

/// Where the kernel's trees hang: `/`, or a recorded tree in a test.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

impl Root {
    /// Resolves the directory, so that resolved paths below it can be compared with it.
    pub(crate) fn new(root: &Path) -> Self {
        Self(root.canonicalize().unwrap_or_else(|_| root.to_owned()))
    }

    /// The place of an absolute path below this root.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The absolute path that a place below this root has inside it.
    pub(crate) fn inside(&self, place: &Path) -> PathBuf {
        Path::new("/").join(place.strip_prefix(&self.0).unwrap_or(place))
    }

    /// Whether this is the running system rather than a recorded tree.
    pub(crate) fn is_running_system(&self) -> bool {
        self.0 == Path::new("/")
    }
}

/// The content of a file.
pub(crate) fn bytes(path: &Path) -> Reading<Vec<u8>> {
    match read_bounded(path) {
        Ok(content) if content.len() as u64 > FILE_BYTES_MAX => {
            Reading::failed(format!("`{}` is longer than {FILE_BYTES_MAX} bytes", path.display()))
        }
        Ok(content) => Reading::Present(content),
        Err(error) => refused(path, &error),
    }
}

/// The content of a text file without surrounding white space and the NUL that ends device tree strings.
pub(crate) fn text(path: &Path) -> Reading<String> {
    bytes(path).map(|content| {
        String::from_utf8_lossy(&content).trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
    })
}

/// Like [`text`], but an empty file counts as absent: drives leave fields blank.
pub(crate) fn label(path: &Path) -> Reading<String> {
    text(path).and_then(|text| match text.is_empty() {
        true => Reading::absent(format!("`{}` is empty", path.display())),
        false => Reading::Present(text),
    })
}

/// The number in a file.
pub(crate) fn number<T>(path: &Path) -> Reading<T>
where
    T: FromStr,
    T::Err: Display,
{
    text(path).and_then(|text| match text.parse() {
        Ok(number) => Reading::Present(number),
        Err(error) => malformed(path, &text, error),
    })
}

/// The 0 or 1 in a file.
pub(crate) fn flag(path: &Path) -> Reading<bool> {
    text(path).and_then(|text| match text.as_str() {
        "0" => Reading::Present(false),
        "1" => Reading::Present(true),
        _ => malformed(path, &text, "expected 0 or 1"),
    })
}

/// A content that makes no sense.
pub(crate) fn malformed<T>(path: &Path, content: &str, problem: impl Display) -> Reading<T> {
    let shown: String = content.chars().take(SHOWN_CHARS_MAX).collect();
    Reading::failed(format!("`{}` holds {shown:?}: {problem}", path.display()))
}

/// The entries of a directory whose name begins with `prefix`, in the order of their names.
pub(crate) fn prefixed(dir: &Path, prefix: &str) -> Reading<Vec<PathBuf>> {
    names(dir).map(|names| {
        let mut found: Vec<_> = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        found.sort();
        found.into_iter().map(|name| dir.join(name)).collect()
    })
}

/// The entries of a directory whose name is `prefix` and a number, in the order of the numbers.
pub(crate) fn numbered(dir: &Path, prefix: &str) -> Reading<Vec<PathBuf>> {
    names(dir).map(|names| {
        let number = |name: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
        let mut found: Vec<_> = names.iter().filter_map(|name| Some((number(name)?, dir.join(name)))).collect();
        found.sort();
        found.into_iter().map(|(_, path)| path).collect()
    })
}

/// The first of the directories in which `file` says `wanted`; this is how hwmon and thermal devices are told apart.
pub(crate) fn labelled(dirs: Reading<Vec<PathBuf>>, file: &str, wanted: &str) -> Reading<PathBuf> {
    dirs.and_then(|dirs| {
        let mut result = Reading::absent(format!("no device of this system calls itself `{wanted}`"));
        for dir in dirs {
            match text(&dir.join(file)) {
                Reading::Present(name) if name == wanted => return Reading::Present(dir),
                Reading::Failed { reason } => result = Reading::failed(reason),
                Reading::Present(_) | Reading::Absent { .. } => {}
            }
        }
        result
    })
}

/// Names in a directory. The kernel's are all UTF-8; others can't be one that is looked for.
fn names(dir: &Path) -> Reading<Vec<String>> {
    let names: io::Result<Vec<_>> =
        dir.read_dir().and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect());
    match names {
        Ok(names) => Reading::Present(names.into_iter().filter_map(|name| name.into_string().ok()).collect()),
        Err(error) => refused(dir, &error),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Sorts an error into absence (no such thing, or not for us) and failure.
fn refused<T>(path: &Path, error: &io::Error) -> Reading<T> {
    let path = path.display();
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) => Reading::absent(format!("`{path}` does not exist")),
        // sysfs answers so when the driver is unbound or the device was pulled out between opening and reading.
        Some(Errno::NODEV | Errno::NXIO) => Reading::absent(format!("the device behind `{path}` is gone")),
        Some(Errno::NODATA | Errno::OPNOTSUPP) => Reading::absent(format!("the driver behind `{path}` has no value")),
        Some(Errno::ACCESS | Errno::PERM) => Reading::absent(format!("`{path}` may not be read by this process")),
        _ => Reading::failed(format!("reading `{path}`: {error}")),
    }
}

#[cfg(test)]
mod tests;
