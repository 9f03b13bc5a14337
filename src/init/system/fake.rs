//! A kernel for tests on a directory: notes what it is asked, and fails or panics where it is told to.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::{Mount, System};

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Fails,
    Panics,
}

/// Notes calls, each as one line.
pub(crate) struct Fake {
    pub(crate) calls: RefCell<Vec<String>>,
    pub(crate) clock: Cell<SystemTime>,
    pub(crate) check_status: Cell<Option<i32>>,
    /// The call that goes wrong, by the beginning of its line, and how.
    pub(crate) doomed: RefCell<Vec<(String, Fate)>>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            calls: RefCell::default(),
            clock: Cell::new(SystemTime::now()),
            check_status: Cell::new(Some(0)),
            doomed: RefCell::default(),
        }
    }

    pub(crate) fn doom(&self, call: &str, fate: Fate) {
        self.doomed.borrow_mut().push((call.to_owned(), fate));
    }

    pub(crate) fn was_asked(&self, call: &str) -> bool {
        self.calls.borrow().iter().any(|line| line.starts_with(call))
    }

    fn note(&self, line: String) -> io::Result<()> {
        let fate = self.doomed.borrow().iter().find(|(call, _)| line.starts_with(call)).map(|(_, fate)| *fate);
        self.calls.borrow_mut().push(line.clone());
        match fate {
            Some(Fate::Panics) => panic!("planted: {line}"),
            Some(Fate::Fails) => Err(io::Error::other("planted")),
            None => Ok(()),
        }
    }
}

/// The last part of a path: tests have their trees anywhere.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl System for Fake {
    fn is_mount_point(&self, path: &Path) -> io::Result<bool> {
        self.note(format!("look {}", name(path))).map(|()| false)
    }

    fn mount(&self, mount: &Mount<'_>, target: &Path) -> io::Result<()> {
        self.note(format!("mount {} on {}", mount.kind, name(target)))
    }

    fn bind(&self, source: &Path, target: &Path) -> io::Result<()> {
        assert!(source.exists() && target.exists(), "{} or {} is missing", source.display(), target.display());
        self.note(format!("bind {} on {}", name(source), name(target)))
    }

    fn device_of(&self, _path: &Path) -> io::Result<(u32, u32)> {
        self.note("device".to_owned()).map(|()| (254, 0))
    }

    fn check(&self, _program: &Path, device: &Path, _output: Option<File>) -> io::Result<Option<i32>> {
        self.note(format!("check {}", name(device))).map(|()| self.check_status.get())
    }

    fn set_host_name(&self, name: &str) -> io::Result<()> {
        self.note(format!("name {name}"))
    }

    fn now(&self) -> SystemTime {
        self.clock.get()
    }

    fn set_clock(&self, time: SystemTime) -> io::Result<()> {
        self.clock.set(time);
        self.note("clock".to_owned())
    }

    fn restart(&self) -> io::Result<()> {
        self.note("restart".to_owned())
    }
}
