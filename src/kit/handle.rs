//! How others ask a service.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{Life, Service};

/// No caller waits longer for an answer: past this the caller's own user has given up.
const ASK_MAX: Duration = Duration::from_secs(30);

/// The service did not answer. What was asked may or may not have been done: asking again must be harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not available: try again in a moment")]
pub struct Unavailable(pub &'static str);

/// Where the answer to one request goes. Dropping it tells the caller [`Unavailable`].
pub struct Reply<T>(pub(crate) oneshot::Sender<T>);

impl<T> Reply<T> {
    /// Answers. A caller that has gone away is no error.
    pub fn send(self, answer: T) {
        drop(self.0.send(answer));
    }

    /// Whether the caller has gone away, so that the work can be spared.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

/// Asks the service and watches it. Cheap to clone; survives restarts of the service.
pub struct Handle<S: Service> {
    pub(crate) requests: mpsc::Sender<S::Request>,
    pub(crate) status: watch::Receiver<Arc<S::Status>>,
    pub(crate) life: watch::Receiver<Life>,
}

impl<S: Service> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone(), status: self.status.clone(), life: self.life.clone() }
    }
}

impl<S: Service> Handle<S> {
    /// Sends the request that `make` builds around a reply, and waits for the answer, at most 30 s.
    ///
    /// A service that does not run answers at once; it never keeps its callers waiting for its next start.
    pub async fn ask<T>(&self, make: impl FnOnce(Reply<T>) -> S::Request) -> Result<T, Unavailable> {
        if *self.life.borrow() != Life::Running {
            return Err(Unavailable(S::NAME));
        }
        let (sender, answer) = oneshot::channel();
        let exchange = async {
            self.requests.send(make(Reply(sender))).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(ASK_MAX, exchange).await.ok().flatten().ok_or(Unavailable(S::NAME))
    }

    /// The newest status, or nothing while the service does not run.
    pub fn status(&self) -> Option<Arc<S::Status>> {
        (*self.life.borrow() == Life::Running).then(|| self.status.borrow().clone())
    }

    /// Watches the status; it keeps the last value while the service does not run.
    pub fn watch(&self) -> watch::Receiver<Arc<S::Status>> {
        self.status.clone()
    }

    /// Watches the service's life.
    pub fn life(&self) -> watch::Receiver<Life> {
        self.life.clone()
    }
}
