//! How this boot went, as the stage before systemd tells, and whether the appliance must stay locked for it.
//!
//! Must never guess: where a report should be and can't be read, the appliance may have lost its owner's accounts.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use lucid_layout::boot::{BOOT_FILE_BYTES_MAX, BootReport, StateCondition};

/// What is known of the boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// There is no such stage: a developer's machine.
    NotAnAppliance,
    /// Its report.
    Known(Box<BootReport>),
    /// There should be a report.
    Unknown {
        /// Why there is none.
        reason: String,
    },
}

/// What the owner of a locked appliance can do.
const WAYS_OUT: &str = "so that no stranger can take it over, nobody can claim it. If the card or disk that it was set up \
                        with is at hand, start the appliance from that one again. If not, write the image anew with \
                        flash.sh and a new provisioning: it then starts as a new appliance, and what is on its data disk \
                        opens with the recovery key.";

impl Boot {
    /// Reads the report. Blocking, for a few hundred bytes in memory.
    pub fn read(path: &Path) -> Self {
        match read(path) {
            Ok(report) => Self::Known(Box::new(report)),
            Err(error) => Self::Unknown { reason: format!("`{}`: {error}", path.display()) },
        }
    }

    /// The report.
    pub fn report(&self) -> Option<&BootReport> {
        match self {
            Self::Known(report) => Some(report),
            Self::NotAnAppliance | Self::Unknown { .. } => None,
        }
    }

    /// Why nobody may claim the appliance, in words for its owner; nothing where that is allowed.
    pub fn locked(&self) -> Option<String> {
        let why = match self {
            Self::NotAnAppliance => return None,
            Self::Unknown { reason } => format!(
                "How this start of the appliance went is not known ({reason}), so it may have an owner whose accounts \
                 are not there. Restart it; if that does not help:"
            ),
            Self::Known(report) => match report.state {
                StateCondition::Fresh | StateCondition::Kept => return None,
                StateCondition::Lost => {
                    "This appliance was set up before, and the accounts of its owner are lost:".to_owned()
                }
                StateCondition::Unmountable => {
                    "The accounts of this appliance are on a part of its card or disk that can't be read:".to_owned()
                }
            },
        };
        Some(format!("{why} {WAYS_OUT}"))
    }

    /// Whether data may be changed so that the former release can't read it any more: not while this one is on trial,
    /// because going back to the former one does not take the data back; and not while that is not known.
    pub fn may_migrate(&self) -> bool {
        match self {
            Self::NotAnAppliance => true,
            Self::Known(report) => !report.trial,
            Self::Unknown { .. } => false,
        }
    }

    /// What went wrong, each with what to do.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::NotAnAppliance => Vec::new(),
            Self::Known(report) => report.problems.iter().map(|problem| problem.text.clone()).collect(),
            Self::Unknown { reason } => {
                vec![format!("how this start went is not known ({reason}): restart the appliance")]
            }
        }
    }
}

fn read(path: &Path) -> io::Result<BootReport> {
    let mut text = String::new();
    File::open(path)?.take(BOOT_FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BOOT_FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {BOOT_FILE_BYTES_MAX} bytes")));
    }
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests;
