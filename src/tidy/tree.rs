//! The files of the repository, read once.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = ["target", ".git", "node_modules", "var", "__pycache__"];

/// One text file.
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it holds nothing but tests, benches or examples.
    pub(crate) fn is_test(&self) -> bool {
        let folders = ["/tests/", "/examples/", "/benches/", "/tidy/"];
        self.path.ends_with("/tests.rs") || folders.iter().any(|folder| self.path.contains(folder))
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate lies in src/tidy")
}

/// Every text file. What is not UTF-8 is a picture, and has no style.
pub(crate) fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let root = root();
        let mut files = Vec::new();
        read(&root, &root, &mut files);
        assert!(files.len() > 100, "only {} files below {}", files.len(), root.display());
        files
    })
}

fn read(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !SKIPPED.contains(&name.as_str()) {
                read(root, &path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap().to_str().expect("file names are UTF-8").to_owned();
            files.push(File { path, text });
        }
    }
}

/// A rule about one text: what is wrong, each as `line: what`.
pub(crate) type Rule = fn(&str) -> Vec<String>;

/// Asserts that `rule` holds in every file that `applies`.
#[track_caller]
pub(crate) fn holds(applies: impl Fn(&File) -> bool, rule: Rule) {
    let chosen = files().iter().filter(|file| applies(file));
    let found: Vec<_> = chosen
        .flat_map(|file| rule(&file.text).into_iter().map(move |finding| format!("{}:{finding}", file.path)))
        .collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

/// The control: `rule` finds something in each of `bad` and nothing in any of `good`.
#[track_caller]
pub(crate) fn finds(rule: Rule, bad: &[&str], good: &[&str]) {
    for text in bad {
        assert!(!rule(text).is_empty(), "not found in: {text}");
    }
    for text in good {
        assert_eq!(rule(text), Vec::<String>::new(), "in: {text}");
    }
}

/// The numbered lines of `text` that `wrong` gives a reason for.
pub(crate) fn lines(text: &str, wrong: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(index, line)| Some(format!("{}: {}", index + 1, wrong(line)?))).collect()
}
