//! `lucid-image keygen`, `sign-root` and `sign-keys`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lucid_bundle::{Role, SecretKey};
use lucid_image::{Error, Signing, add_to_keys, add_to_root, sign_keys, sign_root};

#[derive(Args)]
pub(super) struct Keygen {
    /// `root` keys stay offline and sign root sets and key lists; `release` keys sign bundles and channels
    role: RoleArgument,
    /// Whose it is, or where it is kept: letters, digits and `-_.@`
    #[arg(long)]
    name: String,
    /// Where the secret goes; readable by you alone
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleArgument {
    Root,
    Release,
}

impl Keygen {
    pub(super) fn run(self) -> Result<String, Error> {
        let role = match self.role {
            RoleArgument::Root => Role::Root,
            RoleArgument::Release => Role::Release,
        };
        let public = lucid_image::keygen(role, &self.name, &self.out)?;
        Ok(format!("{public}\n"))
    }
}

/// What all signing of documents by root keys has in common.
#[derive(Args)]
struct Signers {
    /// Sign what this TOML file describes, as a new file
    #[arg(long, value_name = "TOML", requires = "out", conflicts_with = "add", required_unless_present = "add")]
    describe: Option<PathBuf>,
    /// The new file
    #[arg(long, value_name = "FILE", conflicts_with = "add")]
    out: Option<PathBuf>,
    /// Add signatures to this file
    #[arg(long, value_name = "FILE")]
    add: Option<PathBuf>,
    /// Key file of a root key; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
}

impl Signers {
    fn keys(&self) -> Result<Vec<SecretKey>, Error> {
        self.key.iter().map(|path| lucid_image::read_key(path)).collect()
    }

    fn task(&self) -> Task<'_> {
        match (&self.describe, &self.out, &self.add) {
            (Some(description), Some(out), None) => Task::Begin { description, out },
            (None, None, Some(file)) => Task::Add { file },
            _ => unreachable!("the arguments above exclude each other"),
        }
    }
}

enum Task<'a> {
    Begin { description: &'a PathBuf, out: &'a PathBuf },
    Add { file: &'a PathBuf },
}

#[derive(Args)]
pub(super) struct SignRoot {
    #[command(flatten)]
    signers: Signers,
    /// The root set before this one, whose keys have to agree as well; the first has none
    #[arg(long, value_name = "FILE")]
    former: Option<PathBuf>,
}

impl SignRoot {
    pub(super) fn run(self) -> Result<String, Error> {
        let (keys, former) = (self.signers.keys()?, self.former.as_deref());
        told(match self.signers.task() {
            Task::Begin { description, out } => sign_root(description, former, &keys, out),
            Task::Add { file } => add_to_root(file, former, &keys),
        })
    }
}

#[derive(Args)]
pub(super) struct SignKeys {
    #[command(flatten)]
    signers: Signers,
    /// The root set whose keys sign
    #[arg(long, value_name = "FILE")]
    update_root: PathBuf,
}

impl SignKeys {
    pub(super) fn run(self) -> Result<String, Error> {
        let keys = self.signers.keys()?;
        told(match self.signers.task() {
            Task::Begin { description, out } => sign_keys(description, &self.update_root, &keys, out),
            Task::Add { file } => add_to_keys(file, &self.update_root, &keys),
        })
    }
}

fn told(signing: Result<Signing, Error>) -> Result<String, Error> {
    signing.map(|signing| signing.to_string())
}
