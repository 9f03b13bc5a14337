//! `lucid-image bundle`, `sign`, `channel` and `verify`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use lucid_bundle::Effort;
use lucid_image::{AuthorityFiles, BundleInputs, Error, Source};

use super::build::Profile;
use super::{moment, now_s};

#[derive(Args)]
pub(super) struct Bundle {
    /// Take the release out of this image
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["boot_image", "root_image"],
        required_unless_present_all = ["boot_image", "root_image"])]
    image: Option<PathBuf>,
    /// The boot partition's content
    #[arg(long, value_name = "FILE", requires = "root_image")]
    boot_image: Option<PathBuf>,
    /// The root partition's content
    #[arg(long, value_name = "FILE", requires = "boot_image")]
    root_image: Option<PathBuf>,
    #[command(flatten)]
    signed: Signed,
    /// A root set that the bundle carries, in ascending order; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    update_root: Vec<PathBuf>,
    /// The list of release keys
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Refuse a release of another version
    #[arg(long)]
    version: Option<String>,
    /// Refuse a release of another epoch
    #[arg(long, value_name = "NUMBER")]
    security_epoch: Option<u64>,
    /// Build date of the oldest EEPROM release that can boot it
    // The first release of the EEPROM in which tryboot with two slots works as updates need it.
    #[arg(long, value_name = "DATE", value_parser = moment, default_value = "2025-10-08")]
    eeprom_min: u64,
    /// When the release was built, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    source_date_epoch: u64,
    /// What is new, for the owner: a text file
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
    /// `test` is larger and quicker to build
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// What it was built from: a name, and a version or SHA-256; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = input)]
    input: Vec<(String, String)>,
}

/// What every signing by a release key takes.
#[derive(Args)]
struct Signed {
    /// Key file of a release key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the result goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
struct At {
    /// Take this for the time at which a box looks at it, instead of the clock's
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<u64>,
}

impl At {
    fn time_s(&self) -> u64 {
        self.at.unwrap_or_else(now_s)
    }
}

fn input(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Bundle {
    pub(super) fn run(self) -> Result<String, Error> {
        let source = match (self.image, self.boot_image, self.root_image) {
            (Some(image), None, None) => Source::Image(image),
            (None, Some(boot), Some(root)) => Source::Partitions { boot, root },
            _ => unreachable!("the arguments above exclude each other"),
        };
        let key = lucid_image::read_key(&self.signed.key)?;
        let inputs = BundleInputs {
            source,
            authority: AuthorityFiles { update_roots: self.update_root, keys: self.keys },
            version: self.version,
            security_epoch: self.security_epoch,
            eeprom_min_s: self.eeprom_min,
            created_s: self.source_date_epoch,
            notes: self.notes,
            inputs: self.input.into_iter().collect::<BTreeMap<_, _>>(),
            effort: match self.profile {
                Profile::Release => Effort::Release,
                Profile::Test => Effort::Quick,
            },
            out: self.signed.out,
        };
        Ok(lucid_image::bundle(&inputs, &key, self.signed.at.time_s())?.to_string())
    }
}

#[derive(Args)]
pub(super) struct Sign {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    signed: Signed,
    /// Put these root sets into it instead of those that it carries, in ascending order; may be repeated
    #[arg(long, value_name = "FILE", requires = "keys")]
    update_root: Vec<PathBuf>,
    /// Put this key list into it
    #[arg(long, value_name = "FILE", requires = "update_root")]
    keys: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(self) -> Result<String, Error> {
        let Self { bundle, signed, update_root, keys } = self;
        let key = lucid_image::read_key(&signed.key)?;
        let authority = keys.map(|keys| AuthorityFiles { update_roots: update_root, keys });
        let time_s = signed.at.time_s();
        Ok(lucid_image::sign_bundle(&bundle, &key, authority.as_ref(), time_s, &signed.out)?.to_string())
    }
}

#[derive(Args)]
pub(super) struct Channel {
    /// What the channel offers
    #[arg(long, value_name = "TOML")]
    describe: PathBuf,
    #[command(flatten)]
    signed: Signed,
    /// A root set that the channel carries, in ascending order; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    update_root: Vec<PathBuf>,
    /// The list of release keys
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
}

impl Channel {
    pub(super) fn run(self) -> Result<String, Error> {
        let Self { describe, signed, update_root, keys } = self;
        let key = lucid_image::read_key(&signed.key)?;
        let authority = AuthorityFiles { update_roots: update_root, keys };
        let time_s = signed.at.time_s();
        let channel = lucid_image::channel(&describe, &authority, &key, time_s, &signed.out)?;
        let (sequence, count) = (channel.sequence, channel.releases.len());
        Ok(format!("channel {sequence} with {count} releases; `lucid-image inspect` shows them\n"))
    }
}

#[derive(Args)]
pub(super) struct Verify {
    /// An image or device; with `--update-root`, a bundle or a channel file
    file: PathBuf,
    /// The root set that the box's image carries
    #[arg(long, value_name = "FILE")]
    update_root: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

impl Verify {
    pub(super) fn run(self) -> Result<String, Error> {
        match &self.update_root {
            Some(root) => lucid_image::verify_update(&self.file, root, self.at.time_s()),
            None => Ok(format!("{}every block is what it should be\n", lucid_image::verify(&self.file)?)),
        }
    }
}
