//! Fetches a bundle from a web server for the agent, and goes on where it broke.

use std::sync::atomic::Ordering;

use lucid_agent_protocol::update::Phase;
use lucid_layout::Digest;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::desk::{Desk, Going, Turn, described};
use super::error::UpdateError;
use super::fetch::BUNDLE_BYTES_MAX;
use super::relay::{Part, Start, relay};
use super::schedule;
use super::settings::UpdateUrl;
use super::status::Source;

/// Breaks in a row, without a byte more in between, after which it is given up: some two hours.
const BREAKS_MAX: u32 = 10;

/// What is to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) url: UpdateUrl,
    pub(crate) source: Source,
    /// Size and BLAKE3 of its header, where the channel told.
    pub(crate) told: Option<(u64, Digest)>,
}

impl Pull {
    /// What somebody asked for.
    pub(crate) fn asked(url: UpdateUrl) -> Self {
        Self { url, source: Source::Pull, told: None }
    }

    fn bytes_max(&self) -> u64 {
        self.told.map_or(BUNDLE_BYTES_MAX, |(bytes, _)| bytes.min(BUNDLE_BYTES_MAX))
    }
}

impl Desk {
    /// Fetches until the agent has it all, refuses it, or it is given up.
    pub(crate) async fn fetch(&self, pull: Pull) -> Result<(), UpdateError> {
        let turn = self.turn()?;
        let going = self.begin(pull.source, Some(&pull.url), pull.told.map(|(bytes, _)| bytes));
        tracing::info!(url = %pull.url, "fetching a bundle");
        let fetched = going.stop.clone().run_until_cancelled(self.fetch_through_breaks(&pull, &going, &turn)).await;
        let fetched = fetched.unwrap_or(Err(UpdateError::GivenUp));
        self.ended(&fetched);
        fetched
    }

    async fn fetch_through_breaks(&self, pull: &Pull, going: &Going<'_>, turn: &Turn) -> Result<(), UpdateError> {
        let (mut breaks, mut reached) = (0, 0);
        loop {
            let Err(error) = self.fetch_once(pull, going, turn).await else { return Ok(()) };
            let done = going.done.load(Ordering::Relaxed);
            breaks = if done > reached { 1 } else { breaks + 1 };
            reached = reached.max(done);
            if !error.is_worth_a_retry() || breaks >= BREAKS_MAX {
                return Err(error);
            }
            let wait = schedule::after_break(breaks, fastrand::f64());
            let problem = format!("{}; tried again in {} s", described(&error), wait.as_secs());
            tracing::info!(problem, "fetching a bundle broke");
            self.change_transfer(|transfer| (transfer.active, transfer.problem) = (false, Some(problem)));
            tokio::time::sleep(wait).await;
            self.change_transfer(|transfer| (transfer.active, transfer.problem) = (true, None));
        }
    }

    async fn fetch_once(&self, pull: &Pull, going: &Going<'_>, turn: &Turn) -> Result<(), UpdateError> {
        let client = self.client()?;
        let resumed = self.resume_at(pull).await?;
        let offset = resumed.map_or(0, |(offset, _)| offset);
        let body = self.fetcher.open(&pull.url, offset, pull.bytes_max()).await?;
        if let Some(of_bytes) = body.of_bytes {
            self.change_transfer(|transfer| transfer.of_bytes = Some(of_bytes));
        }
        let start = Start {
            offset,
            bundle: resumed.map(|(_, bundle)| bundle),
            automatic: pull.source == Source::Automatic,
            skip: offset - body.offset,
        };
        relay(client, Part { start, bytes: body.bytes }, going.done.clone(), turn.clone()).await
    }

    /// Where to go on, if the agent has a part of this very bundle.
    async fn resume_at(&self, pull: &Pull) -> Result<Option<(u64, Digest)>, UpdateError> {
        let Phase::Writing { incoming, offset, .. } = self.report().await?.phase else { return Ok(None) };
        if offset == 0 {
            return Ok(None);
        }
        let bundle = match pull.told {
            Some((_, bundle)) => bundle,
            None => self.bundle_at(&pull.url).await?,
        };
        Ok((bundle == incoming.bundle).then_some((offset, bundle)))
    }

    /// Which bundle lies at `url`: its header is read, and nothing more.
    async fn bundle_at(&self, url: &UpdateUrl) -> Result<Digest, UpdateError> {
        let body = self.fetcher.open(url, 0, BUNDLE_BYTES_MAX).await?;
        let mut reader = SyncIoBridge::new(StreamReader::new(body.bytes));
        let reading = tokio::task::spawn_blocking(move || lucid_bundle::read_header(&mut reader));
        let header = reading.await.map_err(UpdateError::Failed)?.map_err(UpdateError::NoBundle)?;
        Ok(header.id.digest())
    }
}
