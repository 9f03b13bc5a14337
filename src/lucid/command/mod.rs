//! The commands. Each gives an exit status; errors go up to `main`, which prints their whole chain.

mod evidence;
pub(crate) mod offline;
pub(crate) mod remote;
pub(crate) mod terminal;
mod update;
