//! The bench: a place for a box, the box running in it, its owner, and what they say.

mod handed_over;
mod http;
mod logged;
mod media;
mod mount;
mod owner;
mod place;
mod program;
mod running;
mod wait;

pub(crate) use handed_over::{Given, handing_over};
pub(crate) use http::{Method, Reply, send, try_send};
pub(crate) use logged::{Log, LoggedDisks, Moment, Moments};
pub(crate) use media::{Media, assert_same, mix, seed};
pub(crate) use mount::Mount;
pub(crate) use owner::{ANSWER_MAX, Owner, PASSWORD, login, wait_for_health};
pub(crate) use place::{NAMES, Place, free_port, text};
pub(crate) use program::{Outcome, Program, require_success};
pub(crate) use running::Running;
pub(crate) use wait::{LONG, SHORT, eventually, pause};
