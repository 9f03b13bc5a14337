//! The one-time code by which the first administrator claims the appliance.
//!
//! Either handed in by the provisioning, or made at each start while the appliance is unclaimed and shown to whoever
//! sees its terminal. It is good once and for ten wrong tries. Tries are on disk before they are answered.
//! Since anybody on the LAN can use them up, one that was made here is replaced a minute later; of all codes at most ten
//! tries a minute are looked at, so that neither this nor a restart gains a guesser anything.
//! Must never be in a log, and never on disk but as a keyed hash.

use lucid_ports::AccountError;
use lucid_store::{Reader as _, StoreError, WriteTx};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Error;
use super::failure::Failure;
use super::rows::{CLAIM, CLAIM_KEY, ClaimRow};
use super::token::Keys;

/// Wrong tries until a code is void.
pub(crate) const TRIES_MAX: u32 = 10;

/// Tries of any code that are looked at within [`RATE_WINDOW_MS`].
const RATE_MAX: usize = 10;
/// One minute: at ten tries in it, guessing one of 2^60 codes outlasts everything.
const RATE_WINDOW_MS: u64 = 60_000;

/// Crockford's base 32: neither I, L, O nor U, and what is typed for them is understood.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of a code made here: 80 bits, in groups of [`GROUP_CHARS`].
const CODE_CHARS: usize = 16;
const GROUP_CHARS: usize = 4;

/// Fewest characters of a code handed in: 60 bits if it is random.
const CODE_CHARS_MIN: usize = 12;

/// How long a code that was made here stays void before a new one is shown: the terminal of whoever reads it does not
/// scroll away under a guesser.
const VOID_MS: u64 = 60_000;

/// The code in force.
pub(crate) struct Code {
    pub(crate) hash: CodeHash,
    origin: Origin,
    /// Since when it is void, by the monotonic clock.
    void_since_ms: Option<u64>,
}

/// Where a code comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Handed in by the provisioning: who did so has it on paper, and gets no other before a restart.
    Provisioned,
    /// Made here.
    Made,
}

impl Code {
    pub(crate) fn new(hash: CodeHash, origin: Origin) -> Self {
        Self { hash, origin, void_since_ms: None }
    }

    /// What a try of `hash` at `now_ms` by the monotonic clock came to.
    pub(crate) fn tried(&mut self, hash: &CodeHash, outcome: Attempt, now_ms: u64) {
        if self.hash.is(hash) && matches!(outcome, Attempt::Void | Attempt::Wrong { tries_left: 0 }) {
            self.void_since_ms.get_or_insert(now_ms);
        }
    }

    /// Whether a new one is to take its place.
    pub(crate) fn is_over(&self, now_ms: u64) -> bool {
        let long_ago = |since_ms: u64| now_ms.saturating_sub(since_ms) >= VOID_MS;
        self.origin == Origin::Made && self.void_since_ms.is_some_and(long_ago)
    }
}

/// The hash of a code.
#[derive(Clone, Copy)]
pub(crate) struct CodeHash([u8; 32]);

impl CodeHash {
    /// The hash of a code as somebody typed it: case, blanks, dashes and confusable characters don't matter.
    pub(crate) fn of(keys: &Keys, typed: &str) -> Self {
        Self(keys.digest("claim code", &normal(typed)))
    }

    /// How it stands in the store.
    pub(crate) fn text(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// Whether both are of one code. In constant time.
    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A new code, for example `K7QM-3XWT-9HBD-E2RS`.
pub(crate) fn generate() -> Result<Zeroizing<String>, Error> {
    let mut random = Zeroizing::new([0u8; CODE_CHARS]);
    getrandom::fill(random.as_mut_slice()).map_err(Error::Random)?;
    let mut code = Zeroizing::new(String::with_capacity(CODE_CHARS + CODE_CHARS / GROUP_CHARS));
    for (index, byte) in random.iter().enumerate() {
        if index > 0 && index % GROUP_CHARS == 0 {
            code.push('-');
        }
        code.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Ok(code)
}

/// Refuses a code handed in that could be guessed.
pub(crate) fn check(code: &str) -> Result<(), Error> {
    let chars = normal(code).len();
    if chars < CODE_CHARS_MIN { Err(Error::WeakCode { chars, chars_min: CODE_CHARS_MIN }) } else { Ok(()) }
}

/// What counts of a code.
fn normal(typed: &str) -> Zeroizing<String> {
    let counts = typed.chars().filter(char::is_ascii_alphanumeric).map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    });
    // Ours and any handed in are far shorter: what lies beyond can't be right and need not be kept.
    Zeroizing::new(counts.take(256).collect())
}

/// Whether this code was tried too often already: one handed in is the same after a restart.
pub(crate) fn is_void(row: &ClaimRow, code: &CodeHash) -> bool {
    row.code == code.text() && row.wrong >= TRIES_MAX
}

/// Looks at one try and counts it, within a transaction whose commit comes before the answer.
pub(crate) fn attempt(
    tx: &mut WriteTx<'_>,
    code: &CodeHash,
    typed: &CodeHash,
    now_ms: u64,
) -> Result<Attempt, StoreError> {
    let mut row = tx.get(&CLAIM, &CLAIM_KEY)?.unwrap_or_default();
    if row.code != code.text() {
        row = ClaimRow { code: code.text(), wrong: 0, recent_ms: row.recent_ms };
    }
    if row.wrong >= TRIES_MAX {
        return Ok(Attempt::Void);
    }
    // A try in the future was made before the clock stepped back: it counts as one of now.
    row.recent_ms.iter_mut().for_each(|at_ms| *at_ms = (*at_ms).min(now_ms));
    row.recent_ms.retain(|at_ms| now_ms - at_ms < RATE_WINDOW_MS);
    if row.recent_ms.len() >= RATE_MAX {
        let wait_ms = row.recent_ms.iter().min().map_or(0, |first_ms| first_ms + RATE_WINDOW_MS - now_ms);
        return Ok(Attempt::TooFast { retry_after_s: wait_ms.div_ceil(1000).max(1) });
    }
    row.recent_ms.push(now_ms);
    let right = code.is(typed);
    if !right {
        row.wrong += 1;
    }
    tx.put(&CLAIM, &CLAIM_KEY, &row)?;
    Ok(if right { Attempt::Right } else { Attempt::Wrong { tries_left: TRIES_MAX - row.wrong } })
}

/// How one try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    Right,
    Wrong { tries_left: u32 },
    Void,
    TooFast { retry_after_s: u64 },
}

impl Attempt {
    /// Goes on only if it was right.
    pub(crate) fn check(self) -> Result<(), Failure> {
        Err(match self {
            Self::Right => return Ok(()),
            Self::Wrong { tries_left } => AccountError::WrongCode { tries_left },
            Self::Void => AccountError::CodeVoid,
            Self::TooFast { retry_after_s } => AccountError::Throttled { retry_after_s },
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
