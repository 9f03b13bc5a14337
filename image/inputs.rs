//! What an image is made of.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use lucid_layout::Profile;

use crate::error::{Error, refuse};

/// Earliest time that FAT can hold, 1980-01-01, in seconds since 1970.
const EPOCH_S_MIN: u64 = 315_532_800;
/// Latest time that ext4's superblock and `erofs` agree on: 32 bits, signed.
const EPOCH_S_MAX: u64 = i32::MAX as u64;

/// Longest version in bytes: it is part of file names.
const VERSION_BYTES_MAX: usize = 64;

/// Everything that [`crate::build`] takes. It depends on nothing else.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The root file system's files.
    pub root_tree: PathBuf,
    /// arm64 kernel: an `Image`, or one compressed by gzip.
    pub kernel: PathBuf,
    /// Folder of device trees (`*.dtb`).
    pub dtb: PathBuf,
    /// Folder of device tree overlays.
    pub overlays: Option<PathBuf>,
    /// The firmware's settings.
    pub config_txt: PathBuf,
    /// The EEPROM's release that the image shall carry, for the firmware to install once the owner consents.
    pub eeprom: Option<PathBuf>,
    /// Folders whose files must have arrived in the root tree.
    pub overlay: Vec<Overlay>,
    /// The root keys that the image shall trust for updates, put at [`lucid_layout::paths::UPDATE_ROOT`]. None: what
    /// the root tree holds there counts, and if it holds nothing, no update is ever installed.
    pub update_root: Option<PathBuf>,
    /// Files of the root tree, from its `/`, that may carry privileges.
    pub allow_privileged: Vec<PathBuf>,
    /// The owner's settings, put on the image as [`crate::provision`] would: only for images that are not published.
    pub provisioning: Option<PathBuf>,
    /// List of the packages in the root tree.
    pub packages: Option<PathBuf>,
    /// The workspace's Cargo.toml, to list the crates in the binary.
    pub cargo_manifest: Option<PathBuf>,
    /// Where the image will be downloaded from; the file's name alone if absent.
    pub url: Option<String>,
    /// Where the results go.
    pub out: PathBuf,
    /// How large and how well compressed.
    pub quality: Quality,
    /// Time of every file, in seconds since 1970.
    pub epoch_s: u64,
    /// The release's version.
    pub version: String,
    /// Boxes that have committed this release install none of a lower number any more.
    pub security_epoch: u64,
}

/// What the image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// To be published: full size, compressed well, complete with lists of what is in it, nothing of this machine.
    Release,
    /// To be booted here: small and quick.
    Test,
}

/// A folder of files that belong at `prefix` of the root tree. As text: `DIR` or `DIR:/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// The folder.
    pub dir: PathBuf,
    /// Where its files are in the root tree, from its `/`.
    pub prefix: PathBuf,
}

impl FromStr for Overlay {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (dir, prefix) = text.rsplit_once(":/").unwrap_or((text, ""));
        Ok(Self { dir: dir.into(), prefix: prefix.into() })
    }
}

impl Quality {
    /// The sizes of the partitions.
    #[must_use]
    pub const fn profile(self) -> Profile {
        match self {
            Self::Release => Profile::RELEASE,
            Self::Test => Profile::TEST,
        }
    }

    /// How the root is compressed. Above 9, lz4hc takes six times as long for 0.3 % less.
    pub(crate) const fn erofs_compression(self) -> &'static str {
        match self {
            Self::Release => "lz4hc,9",
            Self::Test => "lz4",
        }
    }

    /// Level of zstd for the download. Most of the image is compressed already: higher ones gain nothing.
    pub(crate) const fn zstd_level(self) -> i32 {
        match self {
            Self::Release => 15,
            Self::Test => 1,
        }
    }
}

impl Inputs {
    /// What is wrong with them, apart from what the files hold.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        let is_version_char = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_~".contains(&byte);
        let version = self.version.as_bytes();
        let starts_well = version.first().is_some_and(u8::is_ascii_alphanumeric);
        if !starts_well || version.len() > VERSION_BYTES_MAX || !version.iter().all(|byte| is_version_char(*byte)) {
            problems.push(format!("version `{}`: 1 to 64 letters, digits and `.+-_~`", self.version.escape_debug()));
        }
        if !(EPOCH_S_MIN..=EPOCH_S_MAX).contains(&self.epoch_s) {
            let range = "seconds since 1970, of a time from 1980 to 2037";
            problems.push(format!("source date epoch `{}`: {range}", self.epoch_s));
        }
        if self.quality == Quality::Release {
            let lists = [("--packages", &self.packages), ("--cargo-manifest", &self.cargo_manifest)];
            let missing = lists.iter().filter(|(_, path)| path.is_none());
            problems.extend(missing.map(|(name, _)| format!("a release needs {name}, to say what is in it")));
        }
        let folders = [Some(&self.root_tree), Some(&self.dtb), self.overlays.as_ref()].into_iter().flatten();
        let no_folders = folders.filter(|folder| !folder.is_dir());
        problems.extend(no_folders.map(|folder| format!("`{}` is no folder", folder.display())));
        let no_overlays = self.overlay.iter().filter(|overlay| !overlay.dir.is_dir());
        problems.extend(no_overlays.map(|overlay| format!("overlay `{}` is no folder", overlay.dir.display())));
        refuse("the command line", problems)
    }

    /// Name of a result: `lucid-pi5-VERSION` and `ending`.
    pub(crate) fn name(&self, ending: &str) -> String {
        format!("lucid-pi5-{}{ending}", self.version)
    }

    /// Paths of this machine that must not be in an image: where inputs and results lie. Those with fewer than two
    /// parts are too common to look for.
    pub(crate) fn own_paths(&self) -> Vec<String> {
        let manifest = self.cargo_manifest.as_ref().and_then(|manifest| manifest.canonicalize().ok());
        let overlays = self.overlay.iter().map(|overlay| overlay.dir.as_path());
        let all = [self.root_tree.as_path(), &self.dtb, &self.out]
            .into_iter()
            .chain(manifest.as_deref().and_then(Path::parent))
            .chain(overlays);
        let absolute = all.filter_map(|path| path.canonicalize().ok());
        let telling = absolute.filter(|path| path.components().count() > 2);
        telling.filter_map(|path| path.to_str().map(str::to_owned)).collect()
    }
}
