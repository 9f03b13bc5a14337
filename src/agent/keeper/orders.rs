//! Orders to the keeper, and their answers.
//!
//! Promises that an order whose answer nobody waits for any more is not carried out. Must never wait without end.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use lucid_agent_protocol::{DiskId, Refusal, RefusalCode, Reply};

/// Orders that wait at most. The keeper takes one a second while it is idle, and none while it works.
const ORDERS_MAX: usize = 4;
/// In this time the keeper begins with an order, or not at all.
pub(crate) const BEGIN_MAX: Duration = Duration::from_secs(5);
/// In this time it has answered: looking at a dying disk takes 20 s, unmounting as long as the last writes.
const ANSWER_MAX: Duration = Duration::from_secs(45);

/// What can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Adopt { disk: DiskId, confirmation: Option<DiskId> },
    Mount,
    Detach,
    Repair { confirmation: DiskId },
}

/// A command, until when it is wanted, and where the answer goes.
pub(crate) struct Order {
    pub(super) command: Command,
    pub(super) until: Instant,
    pub(super) answer: SyncSender<Reply>,
}

/// Where orders are placed.
#[derive(Clone)]
pub(crate) struct Orders {
    place: SyncSender<Order>,
    begin_max: Duration,
}

/// A queue of orders, each of which is begun within `begin_max` or not at all.
pub(crate) fn orders(begin_max: Duration) -> (Orders, Receiver<Order>) {
    let (place, orders) = sync_channel(ORDERS_MAX);
    (Orders { place, begin_max }, orders)
}

impl Orders {
    /// Places an order and waits for the answer.
    pub(crate) fn place(&self, command: Command) -> Reply {
        let (answer, answered) = sync_channel(1);
        let order = Order { command, until: Instant::now() + self.begin_max, answer };
        if self.place.try_send(order).is_err() {
            return busy("the agent works on a disk: wait until it is done");
        }
        let answer = answered.recv_timeout(ANSWER_MAX);
        answer
            .unwrap_or_else(|_| busy("the agent works on a disk that is slow to answer: see the status, and ask again"))
    }
}

impl Order {
    /// Answers; the one who asked may have gone.
    pub(super) fn answer(&self, reply: Reply) {
        if self.answer.send(reply).is_err() {
            tracing::warn!(command = ?self.command, "nobody waits for the answer");
        }
    }
}

fn busy(message: &str) -> Reply {
    Reply::Refused(Refusal::new(RefusalCode::Busy, message))
}
