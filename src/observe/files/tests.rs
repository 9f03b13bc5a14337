//! The queue in front of the writer.

use super::*;
use crate::line::Level;

fn line(message: &str) -> Arc<Line> {
    let text = |text: &str| text.to_owned();
    let (time, target) = (text("2026-01-01T00:00:00.000Z"), text("lucid"));
    Arc::new(Line { time, level: Level::Info, service: text("vm"), target, message: text(message), fields: vec![] })
}

#[test]
fn dropping_writes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::start(Some(dir.path().to_owned()), || {}).unwrap();
    (0..1000).for_each(|number| files.push(line(&number.to_string())));
    drop(files);
    let text = std::fs::read_to_string(dir.path().join("vm/vm.log")).unwrap();
    assert_eq!(text.lines().count(), 1000);
}

#[test]
fn a_full_queue_drops_without_waiting_and_a_flush_ends_in_time() {
    // No thread takes from this queue: the disk hangs.
    let state = State { jobs: VecDeque::new(), has_dir: true, closing: false, submitted: 0, finished: 0 };
    let queue = Arc::new(Queue { state: Mutex::new(state), work: Condvar::new(), progress: Condvar::new() });
    let files = Files { queue, thread: None };
    (0..QUEUE_MAX + 100).for_each(|number| files.push(line(&number.to_string())));
    assert_eq!(files.queue.lock().jobs.len(), QUEUE_MAX);
    assert_eq!(files.queue.lock().submitted, QUEUE_MAX as u64);
    assert!(!files.flush(Duration::from_millis(10)));
}

#[test]
fn lines_without_a_folder_are_not_queued() {
    let files = Files::start(None, || {}).unwrap();
    assert!(files.flush(Duration::from_secs(30)));
    files.push(line("to ring and terminal only"));
    assert_eq!(files.queue.lock().submitted, 1);
}
