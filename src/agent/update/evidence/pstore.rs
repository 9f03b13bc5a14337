//! Files of the kernel's persistent storage (kernel documentation, "Ramoops oops/panic logger"): `dmesg-*` holds the
//! log up to a panic, `console-*` the last lines of the boot before, however it ended.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lucid_agent_protocol::update::LOG_LINES_MAX;
use lucid_layout::Slot;

/// Most of one file that is read: the kernel's records are some ten KiB.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Most files that are looked at. systemd-pstore keeps those of the last failure, in a folder each for some kinds.
const FILES_MAX: usize = 64;
/// Folders in the folder.
const DEPTH_MAX: u32 = 2;
/// The last lines in which an orderly restart is looked for.
const END_LINES: usize = 20;
/// Of a panic's text, so many lines stand before the line that names it.
const LINES_BEFORE: usize = 3;

/// What the kernel says last before it restarts because somebody asked it to (`kernel/reboot.c`).
const RESTARTING: &str = "reboot: Restarting system";
/// The same before it switches the board off.
const POWER_DOWN: &str = "reboot: Power down";
/// Ends the line of a restart that asks for a trial: `reboot: Restarting system with command '0 tryboot'`.
const ASKS_FOR_TRIAL: &str = "tryboot'";
/// What it says when it panics (`kernel/panic.c`).
const PANIC: &str = "Kernel panic - not syncing: ";

/// The kernel's last lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LastWords {
    /// Those of a panic.
    pub(crate) panic: Option<Panic>,
    /// Those on its console.
    pub(super) console: Option<Vec<String>>,
}

/// A panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic {
    /// What the kernel calls it.
    pub(crate) message: String,
    /// The lines around.
    lines: Vec<String>,
}

impl LastWords {
    /// The lines that say most.
    pub(super) fn lines(&self) -> Vec<String> {
        let console = || self.console.iter().flatten();
        match &self.panic {
            Some(panic) => panic.lines.clone(),
            None => console().skip(console().count().saturating_sub(LOG_LINES_MAX)).cloned().collect(),
        }
    }

    /// Whether the boot ended because somebody asked for it; nothing if there is no record.
    pub(super) fn restarted_in_order(&self) -> Option<bool> {
        let console = self.console.as_ref()?;
        let end = &console[console.len().saturating_sub(END_LINES)..];
        Some(end.iter().any(|line| line.contains(RESTARTING) || line.contains(POWER_DOWN)))
    }
}

/// A file of pstore's.
struct Record {
    at: SystemTime,
    name: String,
    path: PathBuf,
}

/// What the files in `folders` that are no older than `since` say of a boot of `slot`; the newest of each kind.
pub(super) fn last_words(folders: &[PathBuf], since: SystemTime, slot: Slot) -> LastWords {
    let mut records = Vec::new();
    for folder in folders {
        if let Err(error) = collect(folder, DEPTH_MAX, &mut records) {
            tracing::warn!(%error, folder = %folder.display(), "what the kernel kept can't be read");
        }
    }
    records.retain(|record| record.at >= since);
    records.sort_by(|one, other| (other.at, &one.name).cmp(&(one.at, &other.name)));
    let texts = |kind: &'static str| {
        records.iter().filter(move |record| record.name.starts_with(kind)).filter_map(|record| text(&record.path))
    };
    LastWords {
        panic: texts("dmesg-").find_map(|text| panic(&text)),
        console: texts("console-").find(|text| is_of(text, slot)).map(|text| text.lines().map(clean).collect()),
    }
}

/// A folder that is not there holds nothing.
fn collect(folder: &Path, depth: u32, records: &mut Vec<Record>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, records)?;
        } else if about.is_file() && records.len() < FILES_MAX {
            let name = entry.file_name().to_string_lossy().into_owned();
            records.push(Record { at: about.modified()?, name, path: entry.path() });
        }
    }
    Ok(())
}

fn text(path: &Path) -> Option<String> {
    let read = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map(|_| bytes)
    });
    match read {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "what the kernel kept can't be read");
            None
        }
    }
}

/// An oops that was survived is no panic.
fn panic(text: &str) -> Option<Panic> {
    let lines: Vec<_> = text.lines().map(clean).collect();
    let at = lines.iter().rposition(|line| line.contains(PANIC))?;
    let message = lines[at].split_once(PANIC).map(|(_, message)| message.trim().to_owned())?;
    let around = lines.iter().skip(at.saturating_sub(LINES_BEFORE)).take(LOG_LINES_MAX);
    Some(Panic { message, lines: around.cloned().collect() })
}

/// A console's text may be another boot's: the kernel says its command line, if that is still among the lines. A text
/// that ends by asking for a trial is of the boot before: systemd-pstore keeps it on `/state` in the course of the
/// trial.
fn is_of(text: &str, slot: Slot) -> bool {
    let last = text.lines().rev().find(|line| line.contains(RESTARTING));
    if last.is_some_and(|line| line.trim_end().ends_with(ASKS_FOR_TRIAL)) {
        return false;
    }
    let named = text.rsplit_once("lucid.slot=").and_then(|(_, rest)| rest.chars().next());
    named.is_none_or(|letter| letter == slot.letter())
}

/// Without the kernel's level (`<6>`) and without what a terminal would obey.
fn clean(line: &str) -> String {
    let line = match line.strip_prefix('<').and_then(|line| line.split_once('>')) {
        Some((level, rest)) if level.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line,
    };
    line.trim_end().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
