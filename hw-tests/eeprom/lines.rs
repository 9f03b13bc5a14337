//! The format of autoboot.txt and config.txt: settings below filters (Raspberry Pi documentation, "Conditional
//! filters").
//!
//! Filters of different kinds add up until `[all]`; one of the same kind replaces the former. Below a filter that the
//! bootloader does not know, nothing counts.

/// Longest line in bytes; the firmware ignores what is beyond.
pub(super) const LINE_BYTES_MAX: usize = 98;

/// What filters ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Situation {
    /// Whether the one-shot flag was set.
    pub(super) tryboot: bool,
    /// The partition that is booted; only in config.txt, and only on an EEPROM that knows the filter.
    pub(super) boot_partition: Option<u32>,
    /// Whether model and serial number count; they do not in autoboot.txt.
    pub(super) board: Option<u64>,
}

/// What one filter says about the lines below it.
enum Filter {
    All,
    None,
    Model(bool),
    Serial(bool),
    Tryboot(bool),
    BootPartition(bool),
    Unknown,
}

impl Filter {
    fn read(name: &str, situation: &Situation) -> Self {
        match (name.split_once('='), situation) {
            (None, _) if name == "all" => Self::All,
            (None, _) if name == "none" => Self::None,
            (None, Situation { tryboot, .. }) if name == "tryboot" => Self::Tryboot(*tryboot),
            (None, Situation { board: Some(serial), .. }) => Self::of_board(name, *serial),
            (Some(("boot_partition", number)), Situation { boot_partition: Some(booted), .. }) => {
                number.parse().map_or(Self::Unknown, |number: u32| Self::BootPartition(number == *booted))
            }
            _ => Self::Unknown,
        }
    }

    fn of_board(name: &str, serial: u64) -> Self {
        if let Some(digits) = name.strip_prefix("0x") {
            return u64::from_str_radix(digits, 16).map_or(Self::Unknown, |wanted| Self::Serial(wanted == serial));
        }
        let is_model = name.starts_with("pi") || name.starts_with("cm");
        if is_model { Self::Model(name == "pi5") } else { Self::Unknown }
    }
}

/// Which kinds of filter hold at the moment.
struct Holding {
    known: bool,
    some: bool,
    model: bool,
    serial: bool,
    tryboot: bool,
    boot_partition: bool,
}

impl Holding {
    const ALL: Self = Self { known: true, some: true, model: true, serial: true, tryboot: true, boot_partition: true };

    fn apply(&mut self, filter: &Filter) {
        match filter {
            Filter::All => *self = Self::ALL,
            Filter::None => self.some = false,
            Filter::Model(holds) => self.model = *holds,
            Filter::Serial(holds) => self.serial = *holds,
            Filter::Tryboot(holds) => self.tryboot = *holds,
            Filter::BootPartition(holds) => self.boot_partition = *holds,
            Filter::Unknown => self.known = false,
        }
    }

    fn all(&self) -> bool {
        self.known && self.some && self.model && self.serial && self.tryboot && self.boot_partition
    }
}

/// The settings that count in `situation`, in order. A setting is split at its first `=`, or else at its first blank
/// (`initramfs NAME followkernel`); a line that is neither setting nor filter counts for nothing.
pub(super) fn settings(bytes: &[u8], situation: &Situation) -> Vec<(String, String)> {
    let mut holding = Holding::ALL;
    let mut settings = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            holding.apply(&Filter::read(name, situation));
        } else if let Some((key, value)) = line.split_once('=').or_else(|| line.split_once(' '))
            && holding.all()
        {
            settings.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    settings
}
