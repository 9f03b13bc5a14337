//! Everything that can go wrong between this machine and the appliance, and what to do next.

use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use crate::pin::Fingerprint;

/// Why something did not work. The text says what was attempted, and what to do where the user can do something.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No credentials for this server.
    #[error("not logged in to {server}: run `lucid login --server {server}`")]
    NotLoggedIn {
        /// The server.
        server: String,
    },
    /// The refresh token is no longer accepted.
    #[error("the login to {server} has expired: run `lucid login --server {server}`")]
    LoginExpired {
        /// The server.
        server: String,
    },
    /// The server shows another certificate than the pinned one.
    #[error(
        "{server} shows another certificate ({found}) than the one pinned at login ({pinned}): somebody may be \
         between you and it. Nothing was sent. If the appliance was reset, compare the new fingerprint with the one on \
         its dashboard, then run `lucid logout --server {server}` and `lucid login --server {server}`"
    )]
    CertificateChanged {
        /// The server.
        server: String,
        /// What was pinned.
        pinned: Fingerprint,
        /// What it shows now.
        found: Fingerprint,
    },
    /// The server does not show the certificate whose fingerprint was given.
    #[error("{server} shows the certificate {found}, not the expected {expected}; nothing was sent")]
    CertificateUnexpected {
        /// The server.
        server: String,
        /// What was asked for.
        expected: Fingerprint,
        /// What it shows.
        found: Fingerprint,
    },
    /// The person did not trust the certificate.
    #[error("the certificate of {server} was not trusted; nothing was sent")]
    CertificateDeclined {
        /// The server.
        server: String,
    },
    /// TLS could not be set up on this machine.
    #[error("can't set up TLS")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// The HTTP client could not be made.
    #[error("can't set up the HTTP client")]
    Setup {
        /// Why.
        source: reqwest::Error,
    },
    /// No connection, or it broke.
    #[error("can't {attempted}: no connection to the server, or it broke")]
    Connection {
        /// What was attempted.
        attempted: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The stream of a reply broke or stalled.
    #[error("can't {attempted}: the reply broke off")]
    Broken {
        /// What was attempted.
        attempted: String,
        /// Why.
        source: io::Error,
    },
    /// The server does not answer.
    #[error("can't {attempted}: no sign of progress from the server for {after_s} s")]
    Stalled {
        /// What was attempted.
        attempted: String,
        /// How long nothing came.
        after_s: u64,
    },
    /// The server answered with an error.
    #[error("can't {attempted}: {detail} (status {status}, {code})")]
    Refused {
        /// What was attempted.
        attempted: String,
        /// HTTP status.
        status: u16,
        /// Stable code of the problem; `-` if the server gave none.
        code: String,
        /// The server's words.
        detail: String,
    },
    /// The reply is not what the API promises.
    #[error("can't {attempted}: the server's reply is not understood: {problem}")]
    Reply {
        /// What was attempted.
        attempted: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A credential file can't be read, written or locked.
    #[error("can't {action} `{}`", path.display())]
    Credentials {
        /// "read", "write", "lock" or "remove".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A credential file holds something else.
    #[error("`{}` is not a credential file: remove it and log in again", path.display())]
    CredentialsGarbled {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Others may read the credential file.
    #[error("others may read `{0}`: log in again after `chmod 600 {0}`, because the tokens may be known", path.display())]
    CredentialsExposed {
        /// The file.
        path: PathBuf,
    },
    /// What is recorded can't be read.
    #[error(
        "can't read {name}; recording {id} keeps what is durable; `lucid record --resume {id} FILE` continues a file"
    )]
    Source {
        /// The file or "standard input".
        name: String,
        /// The recording.
        id: Uuid,
        /// Why.
        source: io::Error,
    },
    /// What is to be recorded can't be opened.
    #[error("can't open {name}")]
    SourceOpen {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The file to resume from is not the one that was recorded.
    #[error("{name} has {bytes} bytes, but {durable_bytes} of recording {id} are already durable: it is another file")]
    SourceShorter {
        /// The file.
        name: String,
        /// The recording.
        id: Uuid,
        /// Length of the file.
        bytes: u64,
        /// What the server has.
        durable_bytes: u64,
    },
    /// Only a file can be read again from where the server stands.
    #[error("recording {id} can be resumed from a file only: `lucid record --resume {id} FILE`")]
    ResumeNeedsFile {
        /// The recording.
        id: Uuid,
    },
    /// No progress for too long.
    #[error(
        "recording {id}: no progress for {after_s} s, giving up; {durable_bytes} bytes are durable; \
         `lucid record --resume {id} FILE` continues a file from there"
    )]
    GaveUp {
        /// The recording.
        id: Uuid,
        /// The limit that was reached.
        after_s: u64,
        /// What is safe.
        durable_bytes: u64,
        /// The last failure.
        source: Box<ClientError>,
    },
    /// The server stands where this client can't be.
    #[error("recording {id}: the server stands at byte {at}, this program holds {from} to {to}: {reason}")]
    OutOfStep {
        /// The recording.
        id: Uuid,
        /// Where the server stands.
        at: u64,
        /// First byte still held.
        from: u64,
        /// End of what was read.
        to: u64,
        /// What that means.
        reason: &'static str,
    },
    /// The recording is durable, its anchor is late.
    #[error("recording {id} is durable but not anchored after {after_s} s; `lucid sessions` shows when it is")]
    NotAnchored {
        /// The recording.
        id: Uuid,
        /// How long was waited.
        after_s: u64,
    },
    /// The appliance gave the recording up.
    #[error("recording {id} failed on the appliance; its log tells why")]
    RecordingFailed {
        /// The recording.
        id: Uuid,
    },
    /// The recording still runs.
    #[error("recording {id} is not finished: end it first, or wait")]
    StillRecording {
        /// The recording.
        id: Uuid,
    },
    /// The output exists.
    #[error("`{}` exists already: choose another name or remove it", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// The output can't be written.
    #[error("can't write `{}`", path.display())]
    Output {
        /// The output.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More or fewer bytes came than the recording has.
    #[error("recording {id} has {expected} bytes, but {got} came; nothing was kept")]
    Length {
        /// The recording.
        id: Uuid,
        /// What it has.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// The export holds what an export must not hold, or lacks what it must.
    #[error("the export of {id} is not acceptable: {problem}; nothing was kept")]
    Export {
        /// The recording.
        id: Uuid,
        /// What is wrong.
        problem: String,
    },
}

impl ClientError {
    /// Whether the same attempt may work a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Broken { .. } | Self::Stalled { .. } => true,
            // Too slow, too many, and everything that is the server's fault; no space may be made, too.
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// The status the server answered with, if it did.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
