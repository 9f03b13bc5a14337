//! Commands that need no appliance: verify, recover, the settings.

use std::{fmt::Write, io::IsTerminal, path::PathBuf, process::ExitCode};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lucid_client::Console;
use lucid_proof::{
    export::Directory,
    time::rfc3339,
    verify::{Report, Trust, Verdict, verify},
};
use lucid_vault::{OnOtherIdentity, RecoveredIdentity, Vault};

use super::{
    evidence,
    terminal::{Terminal, print, read_secret},
};
use crate::{
    cli,
    config::{ConfigErrors, Settings},
    failure::Failure,
};

/// `lucid verify`.
pub(crate) fn verify_export(args: &cli::Verify) -> Result<ExitCode, Failure> {
    let trust = match &args.trust {
        Some(path) => match evidence::read_trust(path) {
            Ok(trust) => trust,
            Err(failure) => {
                Terminal.line(&failure.to_string());
                return Ok(ExitCode::from(Verdict::Unreadable.exit_code()));
            }
        },
        None => Trust::None,
    };
    let bar = progress_bar();
    let report = verify(&Directory(args.dir.clone()), &trust, &mut |progress| {
        if let Some(total) = progress.chunks_total {
            bar.set_length(total);
        }
        bar.set_position(progress.chunks_done);
    });
    bar.finish_and_clear();
    print(&render(args, &report))?;
    Ok(ExitCode::from(report.verdict.exit_code()))
}

fn progress_bar() -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} chunks {elapsed}");
    ProgressBar::with_draw_target(None, target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn render(args: &cli::Verify, report: &Report) -> String {
    let mut text = String::new();
    let verdict = match report.verdict {
        Verdict::Proven => "PROVEN: the recording is what the chain put on record",
        Verdict::Wrong => "WRONG: this is not what the chain put on record",
        Verdict::Unreadable => "UNREADABLE: not enough could be read to say",
        Verdict::ConsistentUntrusted => {
            "CONSISTENT, signer not trusted: it fits together, but anybody could have made it"
        }
    };
    // Writing to a string can't fail.
    let _ = writeln!(text, "{}: {verdict}", args.dir.display());
    if let Some(manifest) = &report.manifest {
        let time = |ms| rfc3339(ms).unwrap_or_else(|_| format!("{ms} ms"));
        let _ = writeln!(
            text,
            "  session {}, {} bytes in {} chunks, {} to {} (clock {})",
            uuid::Uuid::from_bytes(manifest.id).hyphenated(),
            manifest.bytes,
            manifest.chunks,
            time(manifest.started_ms),
            time(manifest.ended_ms),
            manifest.time_trust.as_str(),
        );
    }
    if let Some(header) = &report.header {
        let _ = writeln!(text, "  anchored in the block at height {}", header.height);
    }
    for finding in &report.findings {
        let _ = writeln!(text, "  - {finding}");
    }
    if report.omitted > 0 {
        let _ = writeln!(text, "  - and {} more", report.omitted);
    }
    if let Some(doubt) = report.doubt {
        let _ = writeln!(text, "  {doubt}\n{}", evidence::advice(doubt, &args.dir, args.trust.as_deref()));
    }
    text
}

/// `lucid recover`.
pub(crate) fn recover(args: &cli::Recover) -> Result<ExitCode, Failure> {
    let key = read_secret("Recovery key")
        .map_err(|source| Failure::Io { attempted: "read the recovery key".to_owned(), source })?;
    let data = args.data_dir.join("data");
    crate::run::make_state_dir(&args.state_dir)?;
    let on_other = if args.replace_identity { OnOtherIdentity::Replace } else { OnOtherIdentity::Refuse };
    let recovered = Vault::recover(&args.state_dir, &data, key.expose(), on_other)
        .map_err(|source| Failure::other(format!("recover `{}`", args.data_dir.display()), source))?;
    Terminal.line(&identity_line(&recovered.identity));
    Terminal.line("The data directory opens with this appliance now. Start the appliance to use it.");
    Terminal.line("The recovery key that you entered stays in force: keep it.");
    Ok(ExitCode::SUCCESS)
}

/// What the owner should know about the identity after a recovery.
fn identity_line(identity: &RecoveredIdentity) -> String {
    match identity {
        RecoveredIdentity::NotOnDisk => {
            "warning: the data directory holds no copy of the old appliance's identity: this \
                                         one signs with its own, and can't go on with the old one's chain."
                .to_owned()
        }
        RecoveredIdentity::Replaced { former: Some(former) } => format!(
            "This appliance signs as the old one now. Its own identity was kept as `{}`: guard that file as a key, or \
             delete it.",
            former.display()
        ),
        RecoveredIdentity::Restored | RecoveredIdentity::Replaced { former: None } => {
            "This appliance signs as the old one now.".to_owned()
        }
        RecoveredIdentity::Same | RecoveredIdentity::Kept => "This appliance's identity is as it was.".to_owned(),
    }
}

/// `lucid config`.
pub(crate) fn config(command: &cli::Config) -> Result<ExitCode, Failure> {
    match command {
        cli::Config::Reference => print(&crate::config::reference())?,
        cli::Config::Check(args) => {
            let (_, owners) = load(args.config.as_ref())?;
            owners.map_or(Ok(()), Err)?;
            Terminal.line("The settings are in order.");
        }
        cli::Config::Show(args) => print(&load(args.config.as_ref())?.0.show())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Loads the settings and says what the owner should know about them; with what is wrong with the owner's own file,
/// which then has no effect.
pub(crate) fn load(file: Option<&PathBuf>) -> Result<(Settings, Option<ConfigErrors>), Failure> {
    let loaded = Settings::load_with_owners(file.map(PathBuf::as_path), crate::config::process_environment())?;
    for warning in loaded.0.warnings() {
        Terminal.line(&format!("warning: {warning}"));
    }
    for error in loaded.1.iter().flat_map(ConfigErrors::each) {
        Terminal.line(&format!("warning: the owner's settings have no effect: {error}"));
    }
    Ok(loaded)
}
