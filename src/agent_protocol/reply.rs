//! What is answered.

use lucid_device::{BoardState, Reading, SmartState};
use lucid_layout::boot::BootReport;
use serde::{Deserialize, Serialize};

use crate::update::{ChannelReport, GateAnswer, Outcome, UpdateReport};
use crate::{Disk, FRAME_BYTES_MAX, SsdReport};

/// What a reply adds to what it carries: its name.
const REPLY_EXTRA_BYTES: usize = 64;

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// How things are.
    Status(Box<Status>),
    /// Every disk and what is on it, the system's own first.
    Disks {
        /// As many as fit into one message.
        disks: Vec<Disk>,
        /// How many did not fit.
        omitted: usize,
    },
    /// What a drive says of its own health.
    Smart {
        /// It, or why there is none.
        smart: Reading<SmartState>,
    },
    /// How this boot went until systemd took over.
    BootFacts {
        /// It, or why there is none.
        boot: Reading<BootReport>,
    },
    /// How updates are.
    Update(Box<UpdateReport>),
    /// Send the bundle's bytes from here on.
    Send {
        /// The first byte that is wanted.
        offset: u64,
    },
    /// What the agent makes of the supervisor's report.
    Gate {
        /// It.
        answer: GateAnswer,
    },
    /// The channel file is genuine and news.
    Channel(Box<ChannelReport>),
    /// It begins now, and may take minutes: [`Status::ssd`] tells how it goes.
    Accepted,
    /// It is done.
    Done,
    /// It was not done, and nothing was changed.
    Refused(Refusal),
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The data disk.
    pub ssd: SsdReport,
    /// How this boot went until systemd took over.
    pub boot: Reading<BootReport>,
    /// The board.
    pub board: BoardState,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For the owner: what is in the way, and what to do.
    pub message: String,
}

/// Kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The request is not one.
    Malformed,
    /// The agent works on the disk, or something else has it open.
    Busy,
    /// There is no such disk.
    NotFound,
    /// Two disks answer to the same id.
    NotUnique,
    /// There is something on the disk that is not the appliance's.
    Foreign,
    /// It would lose data, and was not confirmed, or with another disk's id.
    NotConfirmed,
    /// It can't be done in the present state.
    WrongState,
    /// No trusted key signed it, or it is not what was signed.
    Untrusted,
    /// It is genuine, and not for this box: older, of another kind, too large, or needs a newer EEPROM.
    Unsuitable,
    /// It was tried, and failed.
    Failed,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Reply {
    /// How things are; without the boot's report if that is too long for one message.
    #[must_use]
    pub fn status(mut status: Status) -> Self {
        if json_bytes(&status) > FRAME_BYTES_MAX / 2 && json_bytes(&status.boot) > FRAME_BYTES_MAX / 4 {
            status.boot = Reading::failed("the report is too long to be shown here: ask for the boot facts");
        }
        Self::Status(Box::new(status))
    }

    /// How updates are; without the logs of the oldest attempts, then without these attempts, if that is too long for
    /// one message.
    #[must_use]
    pub fn update(mut report: UpdateReport) -> Self {
        while json_bytes(&report) > FRAME_BYTES_MAX - REPLY_EXTRA_BYTES {
            let mut logs = report.history.iter_mut().rev().filter_map(|attempt| match &mut attempt.outcome {
                Outcome::RolledBack { log, .. } if !log.is_empty() => Some(log),
                _ => None,
            });
            if let Some(oldest) = logs.next() {
                oldest.clear();
                continue;
            }
            drop(logs);
            if report.history.pop().is_none() {
                break;
            }
        }
        Self::Update(Box::new(report))
    }

    /// As many of the disks as fit into one message. The last ones are left out.
    #[must_use]
    pub fn disks(mut disks: Vec<Disk>) -> Self {
        let all = disks.len();
        loop {
            let reply = Self::Disks { omitted: all - disks.len(), disks: disks.clone() };
            if json_bytes(&reply) <= FRAME_BYTES_MAX || disks.pop().is_none() {
                return reply;
            }
        }
    }
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests;
