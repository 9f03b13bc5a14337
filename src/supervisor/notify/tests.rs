//! The notifier before a manager that records, and its thread before one that refuses or hangs. What arrives at a real
//! socket is tested with the whole box.

use std::{
    io,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use sd_notify::NotifyState;

use super::{Message, Notifier, QUEUE_MAX, Queue, STATUS_BYTES_MAX, one_line};

/// A service manager that keeps what it hears, in the form in which it stands in the datagrams.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<String>>);

impl Recorder {
    /// A notifier that talks to it under a watchdog of `watchdog`.
    pub(crate) fn notifier(&self, watchdog: Option<Duration>) -> Notifier {
        let heard = self.0.clone();
        Notifier::new(watchdog, move |message| heard.lock().unwrap().push_str(&text(&message.states())))
    }

    /// Everything heard since this was last asked.
    pub(crate) fn heard(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn text(states: &[NotifyState<'_>]) -> String {
    states.iter().map(|state| format!("{state}\n")).collect()
}

#[test]
fn every_message_has_the_form_of_the_protocol() {
    let manager = Recorder::default();
    let notifier = manager.notifier(None);
    notifier.ready();
    assert_eq!(manager.heard(), "READY=1\n");
    notifier.alive();
    assert_eq!(manager.heard(), "WATCHDOG=1\n");
    notifier.stopping();
    assert_eq!(manager.heard(), "STOPPING=1\nSTATUS=stopping\n");
    notifier.status("3 of 3 healthy");
    assert_eq!(manager.heard(), "STATUS=3 of 3 healthy\n");
}

#[test]
fn a_reason_can_not_smuggle_in_a_message_or_grow_without_end() {
    let manager = Recorder::default();
    manager.notifier(None).status("disk\nREADY=1\r\nMAINPID=1");
    assert_eq!(manager.heard(), "STATUS=disk READY=1  MAINPID=1\n");
    let long = one_line(&"ä".repeat(STATUS_BYTES_MAX));
    assert_eq!(long.len(), STATUS_BYTES_MAX);
    assert!(one_line(&format!("a{long}")).len() < STATUS_BYTES_MAX, "a letter is not cut in two");
}

#[test]
fn a_watchdog_of_no_time_at_all_is_none() {
    let manager = Recorder::default();
    let period = Some(Duration::from_secs(15));
    for (given, expected) in [(None, None), (Some(Duration::ZERO), None), (period, period)] {
        assert_eq!(manager.notifier(given).watchdog(), expected);
    }
}

/// A queue before a manager that asks `answer` about every message, and what that manager has heard.
fn queue(mut answer: impl FnMut() -> io::Result<()> + Send + 'static) -> (Queue, mpsc::Receiver<String>) {
    let (hear, heard) = mpsc::channel();
    let send = move |states: &[NotifyState<'_>]| {
        hear.send(text(states)).unwrap();
        answer()
    };
    (Queue::start(send).unwrap(), heard)
}

#[test]
fn a_manager_that_does_not_read_does_not_block_us() {
    let (let_go, held) = mpsc::channel::<()>();
    let (queue, heard) = queue(move || {
        let _ = held.recv();
        Ok(())
    });
    queue.put(Message::Ready);
    assert_eq!(heard.recv().unwrap(), "READY=1\n");
    // The thread hangs in that one: the queue takes what it may hold, and everything else is dropped.
    for _ in 0..10_000 {
        queue.put(Message::Alive);
    }
    queue.put(Message::Stopping);
    drop((let_go, queue));
    let rest: Vec<_> = heard.iter().collect();
    assert_eq!(rest, vec!["WATCHDOG=1\n"; QUEUE_MAX]);
}

#[test]
fn a_manager_that_refuses_is_told_again_in_order() {
    let mut refusals = 2;
    let (queue, heard) = queue(move || {
        refusals -= 1;
        if refusals >= 0 { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
    });
    for message in [Message::Ready, Message::Status("a".into()), Message::Alive, Message::Status("b".into())] {
        queue.put(message);
    }
    drop(queue);
    assert_eq!(heard.iter().collect::<String>(), "READY=1\nSTATUS=a\nWATCHDOG=1\nSTATUS=b\n");
}
