//! Root sets and key lists, which several people sign one after the other, each on a machine of their own.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use lucid_bundle::{Document, DocumentKind, KeyList, PublicKey, RootSet, SecretKey, Signed};

use super::error::{need, of};
use super::{describe, files};
use crate::error::Error;

/// How far the signing of a document has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// What it says.
    pub content: Content,
    /// Who has signed it.
    pub signers: BTreeSet<PublicKey>,
    /// Whose agreement it needs.
    pub quorums: Vec<Quorum>,
}

/// What root keys sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A root set.
    Root(RootSet),
    /// A key list.
    Keys(KeyList),
}

/// Keys of which so many must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The root set whose keys they are.
    pub root: RootSet,
}

impl Quorum {
    /// How many of its keys are among `signers`.
    #[must_use]
    pub fn agreeing(&self, signers: &BTreeSet<PublicKey>) -> usize {
        self.root.keys.iter().filter(|key| signers.contains(key)).count()
    }

    fn is_met(&self, signers: &BTreeSet<PublicKey>) -> bool {
        self.agreeing(signers) >= usize::from(self.root.threshold)
    }
}

impl Signing {
    /// Whether enough have signed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.quorums.iter().all(|quorum| quorum.is_met(&self.signers))
    }
}

/// Signs the root set that `description` describes, with `keys`, as the new file `out`. `former` is the root set before
/// it, whose keys must agree as well; the first has none.
///
/// # Errors
/// If the description or `former` is wrong, a key belongs to neither, or `out` is there already.
pub fn sign_root(description: &Path, former: Option<&Path>, keys: &[SecretKey], out: &Path) -> Result<Signing, Error> {
    let set = describe::root_set(description)?;
    set.check().map_err(of(description))?;
    let quorums = root_quorums(&set, former, description)?;
    begin(&set, Content::Root(set.clone()), quorums, keys, description, out)
}

/// Adds the signatures of `keys` to the root set in `file`.
///
/// # Errors
/// If one of the signatures there is not valid, or a key belongs neither to it nor to `former`.
pub fn add_to_root(file: &Path, former: Option<&Path>, keys: &[SecretKey]) -> Result<Signing, Error> {
    let (signed, set) = read::<RootSet>(file)?;
    let quorums = root_quorums(&set, former, file)?;
    add(signed, Content::Root(set), quorums, keys, file)
}

/// Signs the key list that `description` describes, with `keys` of the root set in `root`, as the new file `out`.
///
/// # Errors
/// As [`sign_root`].
pub fn sign_keys(description: &Path, root: &Path, keys: &[SecretKey], out: &Path) -> Result<Signing, Error> {
    let list = describe::key_list(description)?;
    list.check().map_err(of(description))?;
    let quorums = keys_quorums(&list, root, description)?;
    begin(&list, Content::Keys(list.clone()), quorums, keys, description, out)
}

/// Adds the signatures of `keys` to the key list in `file`.
///
/// # Errors
/// As [`add_to_root`].
pub fn add_to_keys(file: &Path, root: &Path, keys: &[SecretKey]) -> Result<Signing, Error> {
    let (signed, list) = read::<KeyList>(file)?;
    let quorums = keys_quorums(&list, root, file)?;
    add(signed, Content::Keys(list), quorums, keys, file)
}

/// Reads a file that holds one document, signed or half signed.
pub(super) fn read<T: Document>(path: &Path) -> Result<(Signed, T), Error> {
    let bytes = files::read(path, FILE_BYTES_MAX)?;
    let signed = Signed::from_bytes(T::KIND, &bytes).map_err(of(path))?;
    let document = T::decode(&signed.bytes).map_err(of(path))?;
    Ok((signed, document))
}

/// Longest file of one document: the longest document, and room for its signatures.
pub(super) const FILE_BYTES_MAX: usize = 512 * 1024;

/// Reads a root set that is in force: signed by its own threshold.
fn read_root(path: &Path) -> Result<RootSet, Error> {
    let (signed, root) = read::<RootSet>(path)?;
    let signers = signed.signers(DocumentKind::Root).map_err(of(path))?;
    let quorum = Quorum { root };
    need(quorum.is_met(&signers), path, || {
        "too few of its own keys have signed the root set; have it signed first".to_owned()
    })?;
    Ok(quorum.root)
}

fn root_quorums(set: &RootSet, former: Option<&Path>, of_file: &Path) -> Result<Vec<Quorum>, Error> {
    let mut quorums = vec![Quorum { root: set.clone() }];
    match former {
        None => need(set.version == 1, of_file, || {
            format!(
                "root set {} needs signatures by the keys of root set {}; give that one, too",
                set.version,
                set.version - 1
            )
        })?,
        Some(path) => {
            let root = read_root(path)?;
            need(root.version.checked_add(1) == Some(set.version), of_file, || {
                format!("root set {} does not follow root set {}; correct the version", set.version, root.version)
            })?;
            need(set.purpose == root.purpose, of_file, || {
                "a root set keeps the purpose of the one before it; correct the purpose".to_owned()
            })?;
            quorums.push(Quorum { root });
        }
    }
    Ok(quorums)
}

fn keys_quorums(list: &KeyList, root: &Path, of_file: &Path) -> Result<Vec<Quorum>, Error> {
    let root = read_root(root)?;
    need(list.root_version == root.version, of_file, || {
        format!("the key list is for root set {}, not {}; correct `root_version`", list.root_version, root.version)
    })?;
    Ok(vec![Quorum { root }])
}

fn begin<T: Document>(
    document: &T,
    content: Content,
    quorums: Vec<Quorum>,
    keys: &[SecretKey],
    description: &Path,
    out: &Path,
) -> Result<Signing, Error> {
    let mut signed = document.to_unsigned().map_err(of(description))?;
    let signing = append(&mut signed, content, quorums, keys, description)?;
    let bytes = signed.to_bytes(T::KIND).map_err(of(description))?;
    files::create(out, 0o644, &bytes)?;
    Ok(signing)
}

fn add(
    mut signed: Signed,
    content: Content,
    quorums: Vec<Quorum>,
    keys: &[SecretKey],
    file: &Path,
) -> Result<Signing, Error> {
    let signing = append(&mut signed, content, quorums, keys, file)?;
    let bytes = signed.to_bytes(signing.content.kind()).map_err(of(file))?;
    files::replace(file, &bytes)?;
    Ok(signing)
}

/// Appends a signature for each key that has not signed yet.
fn append(
    signed: &mut Signed,
    content: Content,
    quorums: Vec<Quorum>,
    keys: &[SecretKey],
    path: &Path,
) -> Result<Signing, Error> {
    let kind = content.kind();
    for key in keys {
        let public = key.public();
        let is_asked = quorums.iter().any(|quorum| quorum.root.keys.contains(&public));
        let signature = key.sign(kind, &signed.bytes).map_err(of(path))?;
        need(is_asked, path, || {
            let name = key.name();
            format!("the key `{name}` ({public}) is none of those that sign this {kind}; take one that is")
        })?;
        if signed.signatures.iter().all(|made| made.key != public) {
            signed.signatures.push(signature);
        }
    }
    // Equal signers give equal bytes, whoever was asked first.
    signed.signatures.sort_by_key(|signature| signature.key);
    let signers = signed.signers(kind).map_err(of(path))?;
    Ok(Signing { content, signers, quorums })
}

impl Content {
    /// Which kind of document it is.
    #[must_use]
    pub const fn kind(&self) -> DocumentKind {
        match self {
            Self::Root(_) => DocumentKind::Root,
            Self::Keys(_) => DocumentKind::Keys,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(set) => super::look::write_root(f, set),
            Self::Keys(list) => super::look::write_keys(f, list),
        }
    }
}

impl fmt::Display for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.content)?;
        for signer in &self.signers {
            writeln!(f, "signed by {signer}")?;
        }
        for quorum in &self.quorums {
            let (have, root) = (quorum.agreeing(&self.signers), &quorum.root);
            writeln!(f, "{have} of the {} signatures that root set {} asks for", root.threshold, root.version)?;
        }
        writeln!(f, "{}", if self.is_complete() { "complete" } else { "not complete: have further keys added" })
    }
}
