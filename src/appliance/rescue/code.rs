//! The one-time code that is shown on the console: whoever knows it stands at the box.
//!
//! Promises: good once and for [`TRIES_MAX`] wrong tries; compared in constant time. One that was used is replaced at
//! once, one that was tried too often [`VOID_FOR`] later, so that guessing gains nothing and nobody is locked out for
//! good. Must never be in a log, nor on disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Shows a code. May take as long as a serial line does.
pub type Announce = Arc<dyn Fn(&str) + Send + Sync>;

/// Wrong tries until a code is void.
pub(super) const TRIES_MAX: u32 = 10;

/// How long there is no code then. At ten tries a minute, guessing one of 2^80 codes outlasts everything.
pub(super) const VOID_FOR: Duration = Duration::from_secs(60);

/// Crockford's base 32: neither I, L, O nor U, and what is typed for them is understood.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 80 bits, in groups that can be read aloud.
const CODE_CHARS: usize = 16;
const GROUP_CHARS: usize = 4;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotLetIn {
    /// Another code.
    #[error("the code is wrong; {tries_left} tries are left: read it again from the console of the appliance")]
    Wrong { tries_left: u32 },
    /// There is none at this moment.
    #[error("the code is void after too many wrong tries: a new one is shown on the console within a minute")]
    Void,
}

impl NotLetIn {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Wrong { .. } => StatusCode::FORBIDDEN,
            Self::Void => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// Lets in whoever has the code.
pub(super) struct Door {
    state: Mutex<Code>,
    announce: Announce,
}

/// The code in force, without its dashes.
struct Code {
    code: Zeroizing<String>,
    wrong: u32,
}

impl Code {
    fn make() -> Self {
        let mut random = Zeroizing::new([0u8; CODE_CHARS]);
        getrandom::fill(random.as_mut_slice()).expect("the kernel has random numbers once it has booted this far");
        let letters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        let mut code = Zeroizing::new(String::with_capacity(CODE_CHARS));
        code.extend(letters);
        Self { code, wrong: 0 }
    }

    fn is_void(&self) -> bool {
        self.wrong >= TRIES_MAX
    }

    /// As it is shown: `K7QM-3XWT-9HBD-E2RS`.
    fn shown(&self) -> Zeroizing<String> {
        let mut shown = Zeroizing::new(String::with_capacity(CODE_CHARS + CODE_CHARS / GROUP_CHARS));
        for (index, letter) in self.code.chars().enumerate() {
            if index > 0 && index % GROUP_CHARS == 0 {
                shown.push('-');
            }
            shown.push(letter);
        }
        shown
    }
}

impl Door {
    /// Makes a code and shows it. Must be called inside a runtime.
    pub(super) fn open(announce: Announce) -> Arc<Self> {
        let door = Arc::new(Self { state: Mutex::new(Code::make()), announce });
        door.show();
        door
    }

    /// Lets through if `typed` is the code; case, blanks and dashes don't matter.
    pub(super) fn try_code(self: &Arc<Self>, typed: &str) -> Result<(), NotLetIn> {
        let mut state = self.state();
        if state.is_void() {
            return Err(NotLetIn::Void);
        }
        if normal(typed).as_bytes().ct_eq(state.code.as_bytes()).into() {
            *state = Code::make();
            drop(state);
            self.show();
            return Ok(());
        }
        state.wrong += 1;
        let (tries_left, is_void) = (TRIES_MAX - state.wrong, state.is_void());
        drop(state);
        tracing::warn!(tries_left, "somebody typed a wrong one-time code");
        if is_void {
            self.clone().replace_later();
        }
        Err(if is_void { NotLetIn::Void } else { NotLetIn::Wrong { tries_left } })
    }

    fn replace_later(self: Arc<Self>) {
        tokio::spawn(async move {
            tokio::time::sleep(VOID_FOR).await;
            *self.state() = Code::make();
            self.show();
        });
    }

    /// On a thread that may wait for the console.
    fn show(self: &Arc<Self>) {
        let (door, shown) = (self.clone(), self.state().shown());
        tokio::task::spawn_blocking(move || (door.announce)(&shown));
    }

    fn state(&self) -> MutexGuard<'_, Code> {
        // Every change is one assignment: a poisoned lock leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts of a code.
fn normal(typed: &str) -> Zeroizing<String> {
    let counts = typed.chars().filter(char::is_ascii_alphanumeric).map(|letter| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    });
    // What is longer can't be right and need not be kept.
    let mut normal = Zeroizing::new(String::with_capacity(2 * CODE_CHARS));
    normal.extend(counts.take(2 * CODE_CHARS));
    normal
}

#[cfg(test)]
mod tests;
