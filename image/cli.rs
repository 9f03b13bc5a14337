//! The subcommands of `lucid-image`: each reads its arguments, and returns what goes to standard output.

mod build;
mod bundle;
mod keys;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use lucid_image::Error;

/// Builds the appliance's disk image, looks into one, puts settings for the first boot on it, and makes updates.
#[derive(Parser)]
#[command(name = "lucid-image", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build an image; equal inputs give equal bytes
    Build(Box<build::Build>),
    /// Show what a file says of itself: an image or device, a bundle, a channel, a root set, a key list
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Check every block of an image's roots, or every byte of a bundle or channel file
    Verify(bundle::Verify),
    /// Put settings for the first boot into an image, or onto a disk that was flashed and not yet booted
    Provision {
        /// Image or device
        image: PathBuf,
        /// lucid.toml; `/dev/stdin` for standard input
        file: PathBuf,
    },
    /// Print the SHA-256 fingerprint of the certificate authority in a provisioning file
    Fingerprint {
        /// lucid.toml; `/dev/stdin` for standard input
        file: PathBuf,
    },
    /// Make a key for signing updates; its file is never overwritten
    Keygen(keys::Keygen),
    /// Sign a root set, or add signatures to one that was begun
    SignRoot(keys::SignRoot),
    /// Sign a list of release keys, or add signatures to one that was begun
    SignKeys(keys::SignKeys),
    /// Make an update bundle of a release; equal inputs give equal bytes
    Bundle(Box<bundle::Bundle>),
    /// Write a bundle with another signature: what a build machine made, signed by the key that boxes know
    Sign(bundle::Sign),
    /// Make a channel file: which releases there are, and for how many boxes
    Channel(bundle::Channel),
}

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<String, Error> {
    match cli.command {
        Command::Build(arguments) => arguments.run(),
        Command::Inspect { file } => match lucid_image::inspect_update(&file)? {
            Some(said) => Ok(said),
            None => Ok(lucid_image::inspect(&file)?.to_string()),
        },
        Command::Verify(arguments) => arguments.run(),
        Command::Provision { image, file } => {
            lucid_image::provision(&image, &lucid_image::read_provisioning(&file)?)?;
            Ok(format!("{} is provisioned\n", image.display()))
        }
        Command::Fingerprint { file } => {
            let fingerprint = lucid_image::fingerprint(&lucid_image::read_provisioning(&file)?)?;
            Ok(fingerprint.map_or_else(|| "no certificate authority\n".to_owned(), |text| format!("{text}\n")))
        }
        Command::Keygen(arguments) => arguments.run(),
        Command::SignRoot(arguments) => arguments.run(),
        Command::SignKeys(arguments) => arguments.run(),
        Command::Bundle(arguments) => arguments.run(),
        Command::Sign(arguments) => arguments.run(),
        Command::Channel(arguments) => arguments.run(),
    }
}

/// A time on the command line, in seconds since 1970: `2026-01-31T12:00:00Z`, or a day for its beginning in UTC.
fn moment(text: &str) -> Result<u64, String> {
    let whole = format!("{text}T00:00:00Z");
    let moment = lucid_image::moment(text).or_else(|| lucid_image::moment(&whole));
    moment.ok_or_else(|| "write `2026-01-31`, or `2026-01-31T12:00:00Z`".to_owned())
}

/// The machine's clock, in seconds since 1970: keys and channels end.
fn now_s() -> u64 {
    // Before 1970 everything is still to come.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
