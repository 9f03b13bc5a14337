//! `lucid-image build`

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use lucid_image::{Built, Error, Inputs, Overlay, Quality};

#[derive(Args)]
pub(super) struct Build {
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
    /// Carry this release of the EEPROM (pieeprom-….bin for a Pi 5), which the owner can then have installed
    #[arg(long, value_name = "FILE")]
    eeprom: Option<PathBuf>,
    /// Refuse the root tree unless it holds this folder's files, at `/` or the given place; may be repeated
    #[arg(long, value_name = "DIR[:/PREFIX]")]
    overlay: Vec<Overlay>,
    /// The root set that the image shall trust for updates, put at /usr/share/lucid/update-root; a release needs one
    #[arg(long, value_name = "FILE")]
    update_root: Option<PathBuf>,
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
pub(super) enum Profile {
    Release,
    Test,
}

impl Build {
    pub(super) fn run(self) -> Result<String, Error> {
        build(&self.inputs())
    }

    fn inputs(self) -> Inputs {
        Inputs {
            root_tree: self.root_tree,
            kernel: self.kernel,
            dtb: self.dtb,
            overlays: self.overlays,
            config_txt: self.config_txt,
            eeprom: self.eeprom,
            overlay: self.overlay,
            update_root: self.update_root,
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

fn build(inputs: &Inputs) -> Result<String, Error> {
    let begin = Instant::now();
    let mut progress = |what: &str| {
        // Whoever closed the other end does not want to know; the image is wanted all the same.
        let _ = writeln!(io::stderr(), "{:>6.1} s  {what}", begin.elapsed().as_secs_f64());
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
