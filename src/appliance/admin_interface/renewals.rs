//! Renewing a log-in once, however many requests find it expired at the same time.
//!
//! A refresh token is used up by its first use, and a second use counts as theft and ends the log-in. A browser that
//! loads a page, opens a stream and uploads at once would do just that. So what a refresh token gave is kept for a
//! short while, and those who come with the same one get the same.

use std::{collections::HashMap, sync::Arc, time::Duration};

use lucid_ports::{AccountError, Accounts, Tokens};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Mutex, OnceCell},
    time::Instant,
};

/// How long the answer is kept: requests that were under way together are through by then.
const KEPT: Duration = Duration::from_secs(30);
/// Answers kept at most. Far above the browsers of a household; beyond it strangers send garbage.
const KEPT_MAX: usize = 256;

type Answer = Arc<OnceCell<Tokens>>;

/// The renewals of the last moments, by the hash of the refresh token.
#[derive(Default)]
pub(super) struct Renewals(Mutex<HashMap<[u8; 32], (Instant, Answer)>>);

impl Renewals {
    /// New tokens for a refresh token; nothing where it is not good any more, or auth-service does not answer.
    pub(super) async fn renew(&self, accounts: &dyn Accounts, refresh_token: &str) -> Option<Tokens> {
        let key = Sha256::digest(refresh_token).into();
        let answer = self.answer(key).await?;
        match answer.get_or_try_init(|| accounts.refresh(refresh_token)).await {
            Ok(tokens) => Some(tokens.clone()),
            Err(error) => {
                if !matches!(error, AccountError::SessionEnded) {
                    tracing::warn!(%error, "a log-in could not be renewed");
                }
                self.0.lock().await.remove(&key);
                None
            }
        }
    }

    async fn answer(&self, key: [u8; 32]) -> Option<Answer> {
        let mut kept = self.0.lock().await;
        kept.retain(|_, (at, _)| at.elapsed() < KEPT);
        if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
            tracing::warn!("too many log-ins are being renewed at once: one was refused");
            return None;
        }
        Some(kept.entry(key).or_insert_with(|| (Instant::now(), Answer::default())).1.clone())
    }
}
