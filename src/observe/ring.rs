//! The last lines of each service, in memory, for the dashboard.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::line::Line;

/// Lines kept per service.
pub(crate) const LINES_MAX: usize = 300;
/// Memory per service, in bytes, about: 50 services at their limit take 12 MiB of the box's 150 MB.
const BYTES_MAX: usize = 256 * 1024;
/// Services with lines of their own. There are about fifty; more means names are made up, which must not take memory.
const SERVICES_MAX: usize = 128;

/// The last lines of all services.
#[derive(Debug, Default)]
pub(crate) struct Rings(Mutex<BTreeMap<String, Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
}

impl Rings {
    /// Adds a line, dropping the oldest of its service where there is no room.
    pub(crate) fn push(&self, line: Arc<Line>) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = rings.get_mut(&line.service) {
            ring.push(line);
        } else if rings.len() < SERVICES_MAX {
            rings.entry(line.service.clone()).or_default().push(line);
        }
    }

    /// The last `count` lines of `service`, oldest first.
    pub(crate) fn recent(&self, service: &str, count: usize) -> Vec<Line> {
        let lines: Vec<Arc<Line>> = {
            let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(ring) = rings.get(service) else { return Vec::new() };
            ring.lines.iter().skip(ring.lines.len().saturating_sub(count)).map(Arc::clone).collect()
        };
        // Copied outside the lock: everything that logs would wait for it.
        lines.iter().map(|line| Line::clone(line)).collect()
    }

    /// The services that have logged.
    pub(crate) fn services(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl Ring {
    fn push(&mut self, line: Arc<Line>) {
        self.bytes += line.size_bytes();
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.size_bytes();
        }
    }
}

#[cfg(test)]
mod tests;
