use std::process::{Child, Command, Stdio};

use super::*;

/// A process that writes all the time, until this is dropped.
struct Writer(Child);

impl Writer {
    fn start(into: &Path) -> Self {
        let file = fs::File::create(into).unwrap();
        // Slowly: what it writes is nobody's.
        let script = "import time\nwhile True: print(flush=True); time.sleep(0.001)";
        Self(Command::new("python3").args(["-c", script]).stdout(Stdio::from(file)).spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn a_moment_is_taken_while_the_writer_stands_still_and_it_goes_on_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let writer = Writer::start(&path);
    while length(&path) == 0 {
        thread::yield_now();
    }
    let still = Standstill::of(writer.pid()).unwrap();
    let before = length(&path);
    for _ in 0..1000 {
        thread::yield_now();
        assert_eq!(length(&path), before);
    }
    drop(still);
    while length(&path) == before {
        thread::yield_now();
    }
    let moment = Moment::take(writer.pid(), std::slice::from_ref(&path)).unwrap();
    assert!(moment.lengths()[0] > before && moment.lengths()[0] <= length(&path), "{moment:?}");
    assert!(Moment::take(writer.pid(), &[folder.path().join("none")]).is_err());
}

#[test]
fn a_process_that_has_ended_has_no_moments() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    assert!(Moment::take(Pid::from_child(&child), &[]).is_err());
}
