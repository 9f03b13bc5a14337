//! A condition outside a service that it needs all the time, for example the data disk.

use std::{future::Future, pin::Pin};

use tokio::sync::watch;

type Changed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Open while a watched value says so. A service runs only while all its gates are open; when one closes it is
/// stopped, and it waits with the gate's reason.
pub struct Gate(Box<dyn Condition>);

trait Condition: Send {
    fn closed(&self) -> Option<String>;
    fn changed(&mut self) -> Changed<'_>;
}

struct Watched<T, F> {
    value: watch::Receiver<T>,
    closed: F,
}

impl<T, F> Condition for Watched<T, F>
where
    T: Send + Sync,
    F: Fn(&T) -> Option<String> + Send,
{
    fn closed(&self) -> Option<String> {
        (self.closed)(&self.value.borrow())
    }

    fn changed(&mut self) -> Changed<'_> {
        Box::pin(async {
            if self.value.changed().await.is_err() {
                // The publisher is gone for good: its last value stands, and there is nothing to wake for.
                std::future::pending::<()>().await;
            }
        })
    }
}

impl Gate {
    /// A gate on `value`: `closed` gives the reason why it is closed, or nothing while it is open.
    pub fn new<T: Send + Sync + 'static>(
        value: watch::Receiver<T>,
        closed: impl Fn(&T) -> Option<String> + Send + 'static,
    ) -> Self {
        Self(Box::new(Watched { value, closed }))
    }

    /// Why it is closed.
    pub(crate) fn closed(&self) -> Option<String> {
        self.0.closed()
    }

    /// Completes when the watched value has changed. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        self.0.changed().await;
    }
}
