//! Sending a bundle, over as many connections as it takes.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::future::{Either, select};
use lucid_error::chain;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::bundle::Bundle;
use super::error::UpdateError;
use super::status::{Outcome, Phase, UpdateStatus};
use super::update_status;
use crate::api::{escaped, read_json};
use crate::backoff::{Backoff, Patience};
use crate::connection::{Client, Transport};
use crate::console::Console;
use crate::error::ClientError;
use crate::progress::Progress;

/// Attempts in a row that achieved nothing, each with a reason that the appliance gave, after which it is believed. One
/// may be the echo of the attempt before.
const FRUITLESS_MAX: u32 = 2;

/// What is attempted, in messages.
const ATTEMPTED: &str = "send the bundle";

/// Sends the bundle in the file at `path`, from where the appliance has it; returns how updates are once it is written
/// and read back there.
///
/// # Errors
/// The file is no bundle, the appliance refuses it or is busy with another one, or there was no progress for as long as
/// `patience` allows. What is durable by then need not be sent again.
pub async fn push(
    client: &Client,
    console: &dyn Console,
    path: &Path,
    patience: &Patience,
) -> Result<UpdateStatus, UpdateError> {
    let owned = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || Bundle::open(&owned)).await;
    let bundle = opened.expect("opening a bundle does not panic")?;
    let status = update_status(client).await?;
    let backoff = Backoff::new(patience.clone());
    let progress = Progress::new(console, "sending", Some(bundle.bytes));
    let sender = Sender { client, bundle, patience, backoff, progress, offset: None, is_sent: false, fruitless: 0 };
    sender.run(status).await
}

/// Where the appliance stands with a bundle.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// It wants it from here on.
    Wants(u64),
    /// It reads back what it has, or still takes what came in.
    Works,
    /// It is there.
    Has,
}

/// One bundle on its way.
struct Sender<'a> {
    client: &'a Client,
    bundle: Bundle,
    patience: &'a Patience,
    backoff: Backoff,
    progress: Progress<'a>,
    /// Where the last attempt began; none before the first.
    offset: Option<u64>,
    /// Whether every byte was sent and answered.
    is_sent: bool,
    fruitless: u32,
}

impl Sender<'_> {
    async fn run(mut self, mut status: UpdateStatus) -> Result<UpdateStatus, UpdateError> {
        let (mut phase, mut moved) = (Phase::Unknown, Instant::now());
        loop {
            status = match self.place(&status)? {
                Place::Has => return Ok(status),
                Place::Wants(_) if self.is_sent => {
                    return Err(UpdateError::NotTaken { why: why_not(&status, &self.bundle) });
                }
                Place::Wants(wanted) => self.send(&status, wanted).await?,
                Place::Works => {
                    let now = status.agent.map_or(Phase::Unknown, |agent| agent.phase);
                    if now != phase {
                        (phase, moved) = (now, Instant::now());
                    } else if moved.elapsed() >= self.patience.no_progress_max {
                        return Err(stalled(moved).into());
                    }
                    self.next_status().await?
                }
            };
        }
    }

    /// Where to go on, as the appliance says.
    fn place(&self, status: &UpdateStatus) -> Result<Place, UpdateError> {
        let Some(agent) = &status.agent else {
            let problem = status.agent_problem.as_deref().unwrap_or("its agent can't be asked: restart it");
            return Err(UpdateError::NoAgent { problem: escaped(problem) });
        };
        let is_this = |bundle: &str| bundle == self.bundle.id;
        match &agent.phase {
            Phase::Writing { incoming, active: true, .. } if is_this(&incoming.bundle) && self.is_sent => {
                Ok(Place::Works)
            }
            Phase::Writing { incoming, offset, .. } if is_this(&incoming.bundle) => {
                Ok(Place::Wants((*offset).min(self.bundle.bytes)))
            }
            Phase::Checking { incoming, .. } if is_this(&incoming.bundle) => Ok(Place::Works),
            Phase::Written { incoming }
            | Phase::Armed { incoming: Some(incoming) }
            | Phase::Trying { incoming: Some(incoming), .. }
                if is_this(&incoming.bundle) =>
            {
                Ok(Place::Has)
            }
            Phase::Writing { incoming, active: true, .. } | Phase::Checking { incoming, .. } => {
                Err(busy(&format!("{} is coming in", escaped(&incoming.version))))
            }
            Phase::Armed { .. } => Err(busy("the appliance restarts for an update")),
            Phase::Trying { .. } => Err(busy("a release is on trial")),
            Phase::Idle {} | Phase::Writing { .. } | Phase::Written { .. } | Phase::Unknown => Ok(Place::Wants(0)),
        }
    }

    /// One attempt from `wanted` on; returns how updates are after it.
    async fn send(&mut self, status: &UpdateStatus, wanted: u64) -> Result<UpdateStatus, UpdateError> {
        match (self.offset, wanted) {
            (None, 0) => self.progress.line(&format!("sending {}", escaped(&self.bundle.version))),
            (None, _) => self.progress.line(&format!("the appliance has {wanted} bytes of it: going on from there")),
            (Some(_), _) => {}
        }
        self.weigh(status, wanted)?;
        self.offset = Some(wanted);
        match self.attempt(wanted).await {
            Ok(status) => {
                self.is_sent = true;
                self.progress.line("sent; the appliance reads it back");
                Ok(status)
            }
            Err(error) => self.recover(error).await,
        }
    }

    /// A bundle that the appliance refuses while it is being sent can look like a broken connection: its answer is lost
    /// behind the bytes. What it says of the transfer settles it.
    fn weigh(&mut self, status: &UpdateStatus, wanted: u64) -> Result<(), UpdateError> {
        if self.offset.is_none_or(|last| wanted > last) {
            self.backoff.progressed();
            self.fruitless = 0;
            return Ok(());
        }
        self.fruitless += 1;
        match problem(status) {
            Some(why) if self.fruitless >= FRUITLESS_MAX => Err(UpdateError::NotTaken { why }),
            _ => Ok(()),
        }
    }

    /// One connection's worth.
    async fn attempt(&mut self, offset: u64) -> Result<UpdateStatus, ClientError> {
        let sent = Arc::new(AtomicU64::new(offset));
        let post = pin!(post(self.client, &self.bundle, offset, &sent));
        let watch = pin!(watch(self.client, self.patience, &sent, &mut self.progress));
        match select(post, watch).await {
            Either::Left((status, _)) => status,
            Either::Right((error, _)) => Err(error),
        }
    }

    /// After a break: how updates are, as soon as the appliance can be asked.
    async fn recover(&mut self, error: ClientError) -> Result<UpdateStatus, UpdateError> {
        self.bundle.check()?;
        if error.status() == Some(409) {
            return self.after_conflict(error).await;
        }
        if !error.is_transient() {
            return Err(error.into());
        }
        self.progress.line(&format!("{}; trying again", chain(&error)));
        self.pause(error).await?;
        self.next_status().await
    }

    /// A former transfer of the same bundle may not have been noticed to be dead, or has gone on: then there is hope.
    async fn after_conflict(&mut self, refused: ClientError) -> Result<UpdateStatus, UpdateError> {
        let status = self.next_status().await?;
        let is_ours = |bundle: &str| bundle == self.bundle.id;
        let has_hope = match status.agent.as_ref().map(|agent| &agent.phase) {
            Some(Phase::Writing { incoming, active, offset, .. }) => {
                is_ours(&incoming.bundle) && (*active || Some(*offset) != self.offset)
            }
            Some(Phase::Checking { incoming, .. } | Phase::Written { incoming }) => is_ours(&incoming.bundle),
            _ => false,
        };
        if !has_hope {
            return Err(refused.into());
        }
        self.pause(refused).await?;
        Ok(status)
    }

    /// How updates are; asks again while that can't be heard.
    async fn next_status(&mut self) -> Result<UpdateStatus, UpdateError> {
        tokio::time::sleep(self.patience.poll).await;
        loop {
            match update_status(self.client).await {
                Ok(status) => return Ok(status),
                Err(error) if error.is_transient() => self.pause(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn pause(&mut self, error: ClientError) -> Result<(), UpdateError> {
        if self.backoff.wait().await {
            return Ok(());
        }
        let (after_s, durable_bytes) = (self.patience.no_progress_max.as_secs(), self.offset.unwrap_or_default());
        Err(UpdateError::GaveUp { after_s, durable_bytes, source: Box::new(error) })
    }
}

fn stalled(since: Instant) -> ClientError {
    ClientError::Stalled { attempted: ATTEMPTED.to_owned(), after_s: since.elapsed().as_secs() }
}

fn busy(what: &str) -> UpdateError {
    UpdateError::Busy { what: what.to_owned() }
}

fn problem(status: &UpdateStatus) -> Option<String> {
    let transfer = status.transfer.as_ref().filter(|transfer| !transfer.active)?;
    transfer.problem.as_deref().map(escaped)
}

/// Why a bundle that was sent to its end is not there, as far as the appliance tells.
fn why_not(status: &UpdateStatus, bundle: &Bundle) -> String {
    let discarded = || match &status.agent.as_ref()?.history.first()?.outcome {
        Outcome::Discarded { why } => Some(escaped(why)),
        _ => None,
    };
    let short = || match &status.agent.as_ref()?.phase {
        Phase::Writing { bundle_bytes, .. } if *bundle_bytes > bundle.bytes => Some(format!(
            "it has {bundle_bytes} bytes and the file only {}: get the whole file and send it again",
            bundle.bytes
        )),
        _ => None,
    };
    let silent = || "it does not say why: look at its log, then send it again".to_owned();
    problem(status).or_else(short).or_else(discarded).unwrap_or_else(silent)
}

async fn post(
    client: &Client,
    bundle: &Bundle,
    offset: u64,
    sent: &Arc<AtomicU64>,
) -> Result<UpdateStatus, ClientError> {
    let path = format!("/api/update/bundle?offset={offset}&bundle={}", bundle.id);
    let post = |http: &Transport| {
        http.request(Method::POST, &path)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, bundle.bytes - offset)
            .body(bundle.body(offset, sent))
    };
    read_json(ATTEMPTED, client.send(ATTEMPTED, post).await?).await
}

/// Shows how far it is. Ends only with trouble: when the appliance is silent or nothing moves.
async fn watch(client: &Client, patience: &Patience, sent: &AtomicU64, progress: &mut Progress<'_>) -> ClientError {
    let (mut heard, mut moved) = (Instant::now(), Instant::now());
    let mut last = (sent.load(Ordering::Relaxed), Phase::Unknown);
    loop {
        tokio::time::sleep(patience.poll).await;
        let mut now = (sent.load(Ordering::Relaxed), last.1.clone());
        match tokio::time::timeout(patience.silence_max, update_status(client)).await {
            Ok(Ok(status)) => {
                heard = Instant::now();
                now.1 = status.agent.map_or(Phase::Unknown, |agent| agent.phase);
            }
            Ok(Err(error)) if !error.is_transient() => return error,
            Ok(Err(_)) | Err(_) => {}
        }
        progress.at(now.0);
        if now != last {
            moved = Instant::now();
            last = now;
        }
        for (since, limit) in [(heard, patience.silence_max), (moved, patience.standstill_max)] {
            if since.elapsed() >= limit {
                return stalled(since);
            }
        }
    }
}
