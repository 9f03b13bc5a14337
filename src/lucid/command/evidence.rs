//! Commands about what proves a recording elsewhere: exports, checkpoints, and the ways between them.
//!
//! What an appliance says here is checked before it is printed: two checkpoints are one log's only where a consistency
//! path shows it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use lucid_client::{Client, Console};
use lucid_proof::{
    checkpoint::{Checkpoint, compare},
    export,
    note::{Unverified, VerifierKey},
    verify::{Doubt, Trust, TrustedCheckpoint},
};

use super::terminal::{Terminal, print};
use crate::{cli, failure::Failure};

/// A trust file is a key or a note; anything larger is the wrong file.
const TRUST_BYTES_MAX: u64 = 1_000_000;

/// What a file says that is trusted.
pub(super) fn read_trust(path: &Path) -> Result<Trust, Failure> {
    let text = read(path)?;
    Trust::parse(&text)
        .map_err(|source| Failure::other(format!("read what to trust from `{}`", path.display()), source))
}

fn read(path: &Path) -> Result<String, Failure> {
    let io = |source| Failure::Io { attempted: format!("read what to trust from `{}`", path.display()), source };
    if std::fs::metadata(path).map_err(io)?.len() > TRUST_BYTES_MAX {
        return Err(Failure::Usage(format!("`{}` is too large to be a key or a checkpoint", path.display())));
    }
    std::fs::read_to_string(path).map_err(io)
}

fn read_checkpoint(path: &Path) -> Result<TrustedCheckpoint, Failure> {
    match read_trust(path)? {
        Trust::Checkpoint(trusted) => Ok(trusted),
        Trust::Key(_) | Trust::None => Err(Failure::Usage(format!(
            "`{}` is a key: give a checkpoint here, or verify with `--trust` and the key, which needs nothing else",
            path.display()
        ))),
    }
}

/// `lucid export`.
pub(super) async fn export(client: &Client, args: &cli::Export) -> Result<(), Failure> {
    let also = args.checkpoint.as_deref().map(read_checkpoint).transpose()?;
    if let (Some(path), Some(also)) = (&args.checkpoint, &also) {
        require_newer(client, args, path, also.checkpoint.size).await?;
    }
    let note = also.as_ref().map(TrustedCheckpoint::note);
    let bytes = lucid_client::export(client, &Terminal, args.id, &args.dir, note).await?;
    let trust = args.checkpoint.as_ref().map_or_else(|| "KEY".into(), |path| path.to_string_lossy());
    let dir = args.dir.display();
    Terminal.line(&format!("exported {bytes} bytes to `{dir}`; next: lucid verify {dir} --trust {trust}"));
    Ok(())
}

/// The appliance leaves a checkpoint that does not reach the block out of the proof: this must not pass unseen.
async fn require_newer(client: &Client, args: &cli::Export, path: &Path, trusted: u64) -> Result<(), Failure> {
    match lucid_client::session(client, args.id).await?.block_height {
        Some(height) if height >= trusted => Err(Failure::Usage(format!(
            "can't export for `{0}`: {1}; take a checkpoint that goes on from yours, and export for that one:\n    \
             lucid checkpoint --extends {0} > newer\n    \
             lucid export {2} {3} --checkpoint newer",
            path.display(),
            Doubt::TooOld { trusted, height },
            args.id,
            args.dir.display()
        ))),
        _ => Ok(()),
    }
}

/// `lucid checkpoint`: prints the head of the chain. With `--extends`, only once it is shown to go on from an earlier
/// one: by the same key, and by a consistency path. Else the exit status is 1.
pub(super) async fn checkpoint(client: &Client, extends: Option<&PathBuf>) -> Result<ExitCode, Failure> {
    let head = lucid_client::checkpoint(client).await?;
    let Some(path) = extends else {
        print(&head)?;
        return Ok(ExitCode::SUCCESS);
    };
    let earlier = read_checkpoint(path)?;
    let key = VerifierKey::parse(lucid_client::verifier_key(client).await?.trim_end())
        .map_err(|source| Failure::other("read the appliance's verifier key", source))?;
    let open = |note: &str, what: String| match Checkpoint::open(note, std::slice::from_ref(&key)) {
        Ok((checkpoint, _)) => Ok(checkpoint),
        Err(source) => Err(Failure::other(format!("find the key of this appliance on {what}"), source)),
    };
    let (old, new) =
        (open(earlier.note(), format!("`{}`", path.display()))?, open(&head, "its checkpoint".to_owned())?);
    if new.size < old.size {
        return Ok(fork(&format!("it has {} blocks, and had {}", new.size, old.size)));
    }
    let consistency = lucid_client::consistency(client, old.size, new.size).await?;
    if let Err(error) = compare(&old, &new, &consistency) {
        return Ok(fork(&error.to_string()));
    }
    Terminal.line(&format!("the chain of {} blocks extends the one of {}", new.size, old.size));
    print(&head)?;
    Ok(ExitCode::SUCCESS)
}

/// `lucid consistency`: prints the trusted checkpoint with the path that connects it with an export's.
pub(super) async fn consistency(client: &Client, args: &cli::Consistency) -> Result<ExitCode, Failure> {
    let trusted = read_checkpoint(&args.checkpoint)?;
    let exported = exported_checkpoint(&args.dir)?;
    let (old, new) = if trusted.checkpoint.size < exported.size {
        (&trusted.checkpoint, &exported)
    } else {
        (&exported, &trusted.checkpoint)
    };
    let path = lucid_client::consistency(client, old.size, new.size).await?;
    if let Err(error) = compare(old, new, &path) {
        return Ok(fork(&error.to_string()));
    }
    print(&trusted.with_consistency(&path))?;
    Ok(ExitCode::SUCCESS)
}

/// What the checkpoint of an export says. Its signatures are the verifier's business.
fn exported_checkpoint(dir: &Path) -> Result<Checkpoint, Failure> {
    let path = dir.join(export::CHECKPOINT);
    let text = read(&path)?;
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| {
        Failure::other(format!("read the export's checkpoint `{}`", path.display()), source)
    };
    let note = Unverified::parse(&text).map_err(|error| refused(error.into()))?;
    Checkpoint::parse(note.text).map_err(|error| refused(error.into()))
}

fn fork(problem: &str) -> ExitCode {
    Terminal.line(&format!("NOT the same chain: {problem}"));
    ExitCode::FAILURE
}

/// The commands that lead on where nothing trusted vouches for the export in `dir` yet.
pub(super) fn advice(doubt: Doubt, dir: &Path, trust: Option<&Path>) -> String {
    let (dir, trust) = (dir.display(), trust.map_or_else(|| "FILE".into(), Path::to_string_lossy));
    match doubt {
        Doubt::NothingTrusted => format!(
            "  next: lucid verify {dir} --trust FILE, where FILE is the appliance's key (`lucid key`) or\n  \
             a checkpoint (`lucid checkpoint`), got from elsewhere or kept from before"
        ),
        Doubt::TooOld { .. } => format!(
            "  next, with the appliance at hand: a checkpoint that goes on from yours, and its way to the export\n    \
             lucid checkpoint --extends {trust} > newer\n    \
             lucid consistency newer {dir} > connected\n    \
             lucid verify {dir} --trust connected"
        ),
        Doubt::NotConnected { .. } => format!(
            "  next, with the appliance at hand: the way from your checkpoint to the export\n    \
             lucid consistency {trust} {dir} > connected\n    \
             lucid verify {dir} --trust connected\n  \
             or a new export for your checkpoint: lucid export ID DIR --checkpoint {trust}"
        ),
    }
}
