//! QEMU's monitor (QMP): commands, answers and events as JSON lines.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest that an answer may take: the monitor waits for the emulated processors, which a busy host delays.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Something that QEMU reports by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name, such as `SHUTDOWN`.
    pub name: String,
    /// What belongs to it.
    pub data: Value,
}

/// Why the monitor is of no use.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU has ended.
    #[error("QEMU has closed its monitor")]
    Closed,
    /// It did not answer.
    #[error("QEMU did not answer `{command}` within {} s", ANSWER_MAX.as_secs())]
    Silent {
        /// What was asked.
        command: String,
    },
    /// It answered with an error.
    #[error("QEMU refused `{command}`: {reason}")]
    Refused {
        /// What was asked.
        command: String,
        /// Its answer.
        reason: String,
    },
    /// The connection broke.
    #[error("cannot write to QEMU's monitor")]
    Write(#[from] io::Error),
}

/// A connection to the monitor. Events are kept until they are asked for.
pub struct Qmp {
    stream: UnixStream,
    lines: Receiver<Value>,
    events: Vec<Event>,
}

impl Qmp {
    /// Takes the connection and leaves negotiation mode.
    ///
    /// # Errors
    /// If QEMU does not answer.
    pub(super) fn open(stream: UnixStream) -> Result<Self, QmpError> {
        let (sender, lines) = channel();
        let reader = BufReader::new(stream.try_clone()?);
        thread::spawn(move || {
            let parsed = reader.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            // Ends with the connection, or when nobody listens any more.
            for value in parsed {
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let mut qmp = Self { stream, lines, events: vec![] };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and gives its answer.
    ///
    /// # Errors
    /// If QEMU refuses it, has ended, or does not answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut line = json!({"execute": command, "arguments": arguments}).to_string();
        line.push('\n');
        self.stream.write_all(line.as_bytes())?;
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(Value::Object(mut answer)) => {
                    if let Some(value) = answer.remove("return") {
                        return Ok(value);
                    }
                    if let Some(error) = answer.remove("error") {
                        return Err(QmpError::Refused { command: command.to_owned(), reason: error.to_string() });
                    }
                    self.keep(&Value::Object(answer));
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Err(QmpError::Silent { command: command.to_owned() }),
                Err(RecvTimeoutError::Disconnected) => return Err(QmpError::Closed),
            }
        }
    }

    fn keep(&mut self, value: &Value) {
        if let Some(name) = value.get("event").and_then(Value::as_str) {
            self.events.push(Event { name: name.to_owned(), data: value.get("data").cloned().unwrap_or(Value::Null) });
        }
    }

    /// Waits until an event named `name` is there, or QEMU has ended, for at most `limit`. Whether it is there.
    pub fn wait_event(&mut self, name: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.events.iter().any(|event| event.name == name) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(value) => self.keep(&value),
                Err(_) => return false,
            }
        }
        true
    }

    /// Every event so far, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}
