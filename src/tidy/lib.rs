//! Style and architecture as tests; no production code.
//!
//! What is a rule here is checked; what is not checked is not a rule. Each rule is a pure function from a text, or from
//! the graph of crates, to what is wrong with it, so that each also has a control: a planted violation that it must
//! find. What the compiler and clippy can check is left to them.
//!
//! `LUCID_BLESS=1` rewrites `edges.txt` and `ratchet.txt` after a change that is meant.
//!
//! Must never: judge by taste, or need anything but the files of the repository and cargo.

#[cfg(test)]
mod crates;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod image;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod ratchet;
#[cfg(test)]
mod source;
#[cfg(test)]
mod text;
#[cfg(test)]
mod tree;
