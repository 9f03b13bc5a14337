//! `lucid-image`: the command line of the image builder. Progress and errors go to standard error, results to standard
//! output.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lucid_image::{Built, Error, Inputs, Overlay, Quality};

/// Builds the appliance's disk image, looks into one, and puts settings for the first boot on it.
#[derive(Parser)]
#[command(name = "lucid-image", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build an image; equal inputs give equal bytes
    Build(Box<Build>),
    /// Show partitions, versions, root hashes and which slot boots
    Inspect {
        /// Image or device
        image: PathBuf,
    },
    /// Check every block of both roots against the root hash in the command line
    Verify {
        /// Image or device
        image: PathBuf,
    },
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
}

#[derive(Args)]
struct Build {
    /// Folder with the root file system's files
    #[arg(long)]
    root_tree: PathBuf,
    /// arm64 kernel (Image, or compressed by `gzip -n`)
    #[arg(long)]
    kernel: PathBuf,
    /// Folder of device trees (*.dtb)
    #[arg(long)]
    dtb: PathBuf,
    /// Folder of device tree overlays
    #[arg(long)]
    overlays: Option<PathBuf>,
    /// The firmware's config.txt
    #[arg(long)]
    config_txt: PathBuf,
    /// Refuse the root tree unless it holds this folder's files, at `/` or the given place; may be repeated
    #[arg(long, value_name = "DIR[:/PREFIX]")]
    overlay: Vec<Overlay>,
    /// Allow this file of the root tree to be set-user-id or to carry capabilities; may be repeated
    #[arg(long, value_name = "PATH")]
    allow_privileged: Vec<PathBuf>,
    /// Put these settings for the first boot on the image; for images that are not published
    #[arg(long, value_name = "FILE")]
    provision: Option<PathBuf>,
    /// List of packages in the root tree: dpkg's status, Buildroot's manifest.csv, or lines of name and version
    #[arg(long, value_name = "FILE")]
    packages: Option<PathBuf>,
    /// The workspace's Cargo.toml, to list the crates in the binary
    #[arg(long, value_name = "FILE")]
    cargo_manifest: Option<PathBuf>,
    /// Where the compressed image will be downloaded from, for the manifest
    #[arg(long)]
    url: Option<String>,
    /// Folder for the results
    #[arg(long)]
    out: PathBuf,
    /// `test` is smaller and quicker to build
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Time of every file in the image, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    source_date_epoch: u64,
    /// The release's version; part of the results' names
    #[arg(long)]
    version: String,
    /// Boxes that have committed this release install none of a lower number any more
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    security_epoch: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Profile {
    Release,
    Test,
}

impl Build {
    fn inputs(self) -> Inputs {
        Inputs {
            root_tree: self.root_tree,
            kernel: self.kernel,
            dtb: self.dtb,
            overlays: self.overlays,
            config_txt: self.config_txt,
            overlay: self.overlay,
            allow_privileged: self.allow_privileged,
            provisioning: self.provision,
            packages: self.packages,
            cargo_manifest: self.cargo_manifest,
            url: self.url,
            out: self.out,
            quality: match self.profile {
                Profile::Release => Quality::Release,
                Profile::Test => Quality::Test,
            },
            epoch_s: self.source_date_epoch,
            version: self.version,
            security_epoch: self.security_epoch,
        }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(text) => write(&mut io::stdout(), &text),
        Err(error) => {
            let mut text = format!("lucid-image: {error}\n");
            let mut source = error.source();
            while let Some(cause) = source {
                text += &format!("  because: {cause}\n");
                source = cause.source();
            }
            write(&mut io::stderr(), &text);
            ExitCode::FAILURE
        }
    }
}

/// Writes a text. Whoever closed the other end does not want it.
fn write(to: &mut impl io::Write, text: &str) -> ExitCode {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(command: Command) -> Result<String, Error> {
    match command {
        Command::Build(arguments) => build(&arguments.inputs()),
        Command::Inspect { image } => Ok(lucid_image::inspect(&image)?.to_string()),
        Command::Verify { image } => Ok(format!("{}every block is what it should be\n", lucid_image::verify(&image)?)),
        Command::Provision { image, file } => {
            lucid_image::provision(&image, &lucid_image::read_provisioning(&file)?)?;
            Ok(format!("{} is provisioned\n", image.display()))
        }
        Command::Fingerprint { file } => {
            let fingerprint = lucid_image::fingerprint(&lucid_image::read_provisioning(&file)?)?;
            Ok(fingerprint.map_or_else(|| "no certificate authority\n".to_owned(), |text| format!("{text}\n")))
        }
    }
}

fn build(inputs: &Inputs) -> Result<String, Error> {
    let begin = Instant::now();
    let mut progress = |what: &str| {
        write(&mut io::stderr(), &format!("{:>6.1} s  {what}\n", begin.elapsed().as_secs_f64()));
    };
    let built = lucid_image::build(inputs, &mut progress)?;
    progress("done");
    Ok(summary(&built))
}

fn summary(built: &Built) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (image, compressed, root) = built.bytes;
    format!(
        "{}\n  {:.1} MiB on the disk, {:.1} MiB to download, root {:.1} MiB\n  version {}, build {}\n  sha256 {}\n",
        built.image.display(),
        mib(image),
        mib(compressed),
        mib(root),
        built.release.version,
        built.release.build_id,
        built.sha256,
    )
}
