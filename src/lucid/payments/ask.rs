//! The supervisor's side: asks the payments plane how it is, again and again.

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use lucid_agent_protocol::{FrameError, Timed, receive, send};
use lucid_appliance::admin_interface::PaymentsPlane;
use tokio::sync::watch::{Receiver, channel};

use super::{PlaneStatus, Reply, Request};

/// The plane is asked this often; asked for the first time, systemd starts it.
const PERIOD: Duration = Duration::from_secs(10);
/// It answers from memory. Under a second on an idle box; some to spare for one that is being started.
const REPLY_MAX: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("it can't be reached at `{}` ({source})", socket.display())]
    Connect { socket: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Exchange(#[from] FrameError),
    #[error("it hung up without an answer")]
    HungUp,
}

/// How the plane behind `socket` is, kept up to date. Must be called on the runtime.
pub(crate) fn watch(socket: Option<PathBuf>) -> Receiver<PaymentsPlane> {
    let Some(socket) = socket else { return channel(PaymentsPlane::NotHere).1 };
    let (tell, plane) = channel(PaymentsPlane::Unknown { reason: "it was not asked yet".to_owned() });
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut is_first = true;
        while !tell.is_closed() {
            ticks.tick().await;
            let socket = socket.clone();
            let asked = tokio::task::spawn_blocking(move || ask(&socket)).await;
            let seen =
                asked.map_or_else(|error| unknown(&error), |asked| asked.map_or_else(|error| unknown(&error), told));
            // The plane starts after this process is ready, which may take longer than it is waited for.
            if std::mem::take(&mut is_first) && matches!(seen, PaymentsPlane::Unknown { .. }) {
                continue;
            }
            tell.send_if_modified(|known| {
                let changed = *known != seen;
                if let (true, PaymentsPlane::Unknown { reason }) = (changed, &seen) {
                    tracing::warn!(reason, "the payments plane does not answer");
                }
                *known = seen;
                changed
            });
        }
    });
    plane
}

fn unknown(error: &dyn std::error::Error) -> PaymentsPlane {
    PaymentsPlane::Unknown { reason: error.to_string() }
}

fn told(PlaneStatus { plane: _, state: _, version }: PlaneStatus) -> PaymentsPlane {
    PaymentsPlane::Idle { version }
}

/// Asks once. Blocking, for twice [`REPLY_MAX`] at most.
fn ask(socket: &Path) -> Result<PlaneStatus, AskError> {
    let connect = |source| AskError::Connect { socket: socket.to_owned(), source };
    let stream = UnixStream::connect(socket).map_err(connect)?;
    send(&mut Timed::new(&stream, REPLY_MAX), &Request::Status {})?;
    match receive(&mut Timed::new(&stream, REPLY_MAX))? {
        Some(Reply::Status(status)) => Ok(status),
        None => Err(AskError::HungUp),
    }
}
