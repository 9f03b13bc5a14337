//! What a service hears and says: requests, ticks, stop; status.

use std::{convert::Infallible, future::Future, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Interval, MissedTickBehavior},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{Event, Service, beat::Beat, beat::SLOW};

/// A service's side of its handle. Kept by kit over restarts, so that handles survive them.
pub struct Ctx<S: Service> {
    pub(crate) requests: mpsc::Receiver<S::Request>,
    pub(crate) pings: mpsc::Receiver<oneshot::Sender<()>>,
    pub(crate) status: watch::Sender<Arc<S::Status>>,
    pub(crate) beat: Arc<Beat>,
    pub(crate) stop: CancellationToken,
    pub(crate) children: TaskTracker,
    pub(crate) ticks: Interval,
    /// Requests served since the last tick; see [`Ctx::next`].
    pub(crate) streak: usize,
}

impl<S: Service> Ctx<S> {
    /// The next event. Returning here is the heartbeat: a service that stays away longer than
    /// [`Service::BUSY_MAX`] is restarted. Health checks are answered here, unseen by the service.
    pub async fn next(&mut self) -> Event<S::Request> {
        let took = self.beat.end();
        if took >= SLOW {
            tracing::warn!(took_ms = took.as_millis(), "an event took long");
        }
        let event = self.wait().await;
        self.beat.begin();
        event
    }

    /// Stop goes first; then requests and ticks take turns, so that neither a flood of requests starves the period nor
    /// the other way round.
    // select!: every arm is cancel-safe: recv, tick and cancelled lose nothing.
    async fn wait(&mut self) -> Event<S::Request> {
        loop {
            if self.streak >= S::QUEUE_MAX {
                self.streak = 0;
                if futures_util::FutureExt::now_or_never(self.ticks.tick()).is_some() {
                    return Event::Tick;
                }
            }
            let event = tokio::select! {
                biased;
                () = self.stop.cancelled() => Event::Stop,
                Some(pong) = self.pings.recv() => { let _ = pong.send(()); continue }
                Some(request) = self.requests.recv() => { self.streak += 1; Event::Request(request) }
                _ = self.ticks.tick() => { self.streak = 0; Event::Tick }
            };
            return event;
        }
    }

    /// Publishes a new status.
    pub fn publish(&self, status: S::Status) {
        self.status.send_replace(Arc::new(status));
    }

    /// The status as last published.
    pub fn status(&self) -> Arc<S::Status> {
        self.status.borrow().clone()
    }

    /// Cancelled when this incarnation is to end.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs `work` beside the service, in its log span, for this incarnation only: it is dropped when the incarnation
    /// ends. For work that outlasts one event, such as a scan.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.children.spawn(
            async move {
                stop.run_until_cancelled(work).await;
            }
            .in_current_span(),
        );
    }

    /// Begins a new incarnation: fresh status, fresh ticks, nothing left of the old one but the waiting requests.
    pub(crate) fn renew(&mut self, stop: CancellationToken) {
        self.stop = stop;
        self.children = TaskTracker::new();
        self.ticks = ticks::<S>();
        self.streak = 0;
        self.beat.end();
        self.publish(S::Status::default());
    }

    /// Ends an incarnation: nothing is busy any more, and who still waits for an answer is told that none comes.
    pub(crate) fn ended(&mut self) {
        self.beat.end();
        while self.requests.try_recv().is_ok() {}
    }
}

impl<S: Service<Request = Infallible>> Ctx<S> {
    /// What a service loops over of which nothing can be asked: true at each tick, at which it looks at the whole state
    /// and publishes; false once it is to stop. A heartbeat as [`Ctx::next`] is.
    pub async fn ticked(&mut self) -> bool {
        match self.next().await {
            Event::Tick => true,
            Event::Request(never) => match never {},
            Event::Stop => false,
        }
    }
}

/// Ticks from now on; a missed one is not made up for, since a tick looks at the whole state anyway.
pub(crate) fn ticks<S: Service>() -> Interval {
    let mut ticks = tokio::time::interval(S::PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
