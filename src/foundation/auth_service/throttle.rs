//! How guessing passwords is slowed down, without locking the right person out.
//!
//! Two counts are kept, of failures from an address and of failures on an account, each forgotten after a quiet time.
//! From the n-th failure on (5 unless configured) the wait doubles with each one, from 1 s up to the window (15 min).
//!
//! - An address waits by its own failures, whatever accounts they were on.
//! - On an account an address waits, after three attempts of its own, by that account's failures, counted **from its own
//!   last attempt on it**. So an address that has not just failed there is not kept waiting: somebody who keeps guessing
//!   from elsewhere can slow nobody but those who share their address. A guesser with many addresses gets three guesses
//!   from each, and then one in a window.
//!
//! Attempts are counted before they are looked at, so that many at a time gain nothing; a right one takes its count back.
//! Attempts that were refused here count for nothing. IPv6 addresses count as their /64, which is what one host is given.
//! Everything is in memory and bounded: a restart forgets, and only the owner or a fault can cause one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// Entries of each kind: far more than a LAN has addresses, some 500 KB in all.
const ENTRIES_MAX: usize = 4096;

/// Attempts of an address on an account before that account's failures elsewhere count: room to mistype a password while
/// somebody else is guessing it.
const PAIR_FREE: u32 = 3;

/// Counts are forgotten after this many windows without a further failure.
const QUIET_WINDOWS: u64 = 4;

/// The counts. Times are milliseconds of the monotonic clock.
pub(crate) struct Throttle {
    attempts_max: u32,
    window_ms: u64,
    addresses: HashMap<IpAddr, Count>,
    accounts: HashMap<String, Count>,
    /// Attempts of an address on an account.
    pairs: HashMap<(String, IpAddr), Count>,
}

/// Failures in a row, and when the last attempt was.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    last_ms: u64,
}

impl Throttle {
    /// Free attempts, and the longest wait.
    pub(crate) fn new(attempts_max: u32, window_s: u64) -> Self {
        let window_ms = window_s.saturating_mul(1000);
        let (addresses, accounts, pairs) = Default::default();
        Self { attempts_max, window_ms, addresses, accounts, pairs }
    }

    /// Counts an attempt as failed until [`Throttle::succeeded`] says otherwise; or gives the seconds to wait.
    pub(crate) fn begin(&mut self, name: &str, peer: IpAddr, now_ms: u64) -> Result<(), u64> {
        let (address, pair) = (network(peer), (name.to_owned(), network(peer)));
        let wait_ms = self.wait_ms(&pair, now_ms);
        if wait_ms > 0 {
            return Err(wait_ms.div_ceil(1000));
        }
        let quiet_ms = self.quiet_ms();
        count(&mut self.addresses, address, now_ms, quiet_ms);
        count(&mut self.accounts, name.to_owned(), now_ms, quiet_ms);
        count(&mut self.pairs, pair, now_ms, quiet_ms);
        Ok(())
    }

    /// Takes back the count of an attempt that was right; this address may come again at once.
    pub(crate) fn succeeded(&mut self, name: &str, peer: IpAddr) {
        let address = network(peer);
        take_back(&mut self.addresses, &address);
        take_back(&mut self.accounts, name);
        self.pairs.remove(&(name.to_owned(), address));
    }

    fn wait_ms(&self, pair: &(String, IpAddr), now_ms: u64) -> u64 {
        let address = self.current(self.addresses.get(&pair.1), now_ms);
        let account = self.current(self.accounts.get(&pair.0), now_ms);
        let pair = self.current(self.pairs.get(pair), now_ms);
        let on_account_ms = if pair.failures < PAIR_FREE { 0 } else { self.delay_ms(account.failures) };
        let until_ms = (address.last_ms + self.delay_ms(address.failures)).max(pair.last_ms + on_account_ms);
        until_ms.saturating_sub(now_ms)
    }

    /// A count, unless it is forgotten.
    fn current(&self, count: Option<&Count>, now_ms: u64) -> Count {
        count.filter(|count| now_ms.saturating_sub(count.last_ms) <= self.quiet_ms()).copied().unwrap_or_default()
    }

    fn quiet_ms(&self) -> u64 {
        self.window_ms.saturating_mul(QUIET_WINDOWS)
    }

    /// 0, 0, …, 1 s, 2 s, 4 s, … up to the window.
    fn delay_ms(&self, failures: u32) -> u64 {
        match failures.checked_sub(self.attempts_max) {
            None => 0,
            Some(doublings) => 1000u64.saturating_mul(1 << doublings.min(32)).min(self.window_ms),
        }
    }
}

/// One more failure of `key`; makes room by dropping what is quiet, or else what matters least.
fn count<K: Hash + Eq + Clone>(counts: &mut HashMap<K, Count>, key: K, now_ms: u64, quiet_ms: u64) {
    if counts.len() >= ENTRIES_MAX && !counts.contains_key(&key) {
        counts.retain(|_, count| now_ms.saturating_sub(count.last_ms) <= quiet_ms);
        let least = counts.iter().min_by_key(|(_, count)| (count.failures, count.last_ms)).map(|(key, _)| key.clone());
        if let Some(least) = least.filter(|_| counts.len() >= ENTRIES_MAX) {
            counts.remove(&least);
        }
    }
    let count = counts.entry(key).or_default();
    let failures = if now_ms.saturating_sub(count.last_ms) > quiet_ms { 0 } else { count.failures };
    *count = Count { failures: failures.saturating_add(1), last_ms: now_ms };
}

/// One failure less of `key`.
fn take_back<K, Q>(counts: &mut HashMap<K, Count>, key: &Q)
where
    K: Hash + Eq + std::borrow::Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    if let Some(count) = counts.get_mut(key) {
        count.failures = count.failures.saturating_sub(1);
    }
}

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 one.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests;
