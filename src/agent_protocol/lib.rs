//! What the supervisor may ask of the agent, the one process that is root, and how it is said.
//!
//! One message is a length of four bytes, big-endian, and as many bytes of JSON, at most [`FRAME_BYTES_MAX`]. A
//! connection over a Unix stream socket carries one [`Request`], its [`Reply`], the next request, and so on. Both ends
//! are the same release of the same binary, so a field that one does not know is an error.
//!
//! Promises: whatever the bytes are, reading them takes bounded memory and ends in a value or an error, never in a
//! panic. Must never do anything but talk: no mount, no disk, no program is touched from here.

mod client;
mod data;
mod disk;
mod frame;
mod reply;
mod request;
mod server;
mod ssd;
mod timed;
pub mod update;
mod value;

pub use client::{Client, ClientError, REPLY_MAX, Upload, VERDICT_MAX};
pub use data::DataReader;
pub use disk::{Adoption, Content, Disk, Partition};
pub use frame::{FRAME_BYTES_MAX, FrameError, MESSAGE_MAX, read_frame, receive, send};
pub use reply::{Refusal, RefusalCode, Reply, Status};
pub use request::Request;
pub use server::Server;
pub use ssd::{Adopted, Check, CheckOutcome, MountedSsd, SsdReport, SsdState, Work};
pub use timed::Timed;
pub use value::{BadText, DiskId, Reason};
