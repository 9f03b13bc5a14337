//! The dashboard through its router, over ports that answer from memory.

mod agent;
mod boot;
mod fakes;
mod pages;
mod security;
mod service;
mod takeover;
mod units;
mod update;
mod verify;
