//! The crates of the binary, as cargo resolves them for the Pi.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId, TargetKind};
use serde::Deserialize;

use super::{Component, License};
use crate::error::{Error, refuse};
use crate::tool::read_file;

/// The crate of the binary.
const BINARY: &str = "lucid";

/// What it is built for.
const TARGET: &str = "aarch64-unknown-linux-musl";

/// Cargo.lock, as far as it is needed.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Every crate that is linked into the binary: neither build scripts' nor macros', which only run while it is built.
/// Features are those of the whole workspace, so that a few too many may be listed, and none too few.
pub(super) fn list(manifest: &Path) -> Result<Vec<Component>, Error> {
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).other_options(["--locked", "--filter-platform", TARGET].map(str::to_owned));
    let metadata = command.exec().map_err(|source| Error::Crates { path: manifest.to_owned(), source })?;
    let sums = checksums(&manifest.with_file_name("Cargo.lock"))?;
    let linked = linked(&metadata);
    if linked.is_empty() {
        let problem = format!("`{}` has no crate `{BINARY}`", manifest.display());
        refuse("the workspace", vec![problem])?;
    }
    Ok(linked.values().map(|(package, depends_on)| component(package, depends_on, &sums)).collect())
}

fn component(package: &Package, depends_on: &[&Package], sums: &BTreeMap<(String, String), String>) -> Component {
    let (name, version) = (package.name.to_string(), package.version.to_string());
    // Crates of years ago separate alternatives by a slash, which SPDX does not know.
    let license = package.license.as_deref().map(|license| License::Expression(license.replace('/', " OR ")));
    let sha256 = sums.get(&(name.clone(), version.clone())).cloned();
    let mut depends_on: Vec<_> = depends_on.iter().map(|package| purl(package)).collect();
    depends_on.sort();
    Component { purl: purl(package), name, version, license, sha256, depends_on }
}

fn purl(package: &Package) -> String {
    // A version's `+` must be escaped in a package URL.
    format!("pkg:cargo/{}@{}", package.name, package.version.to_string().replace('+', "%2B"))
}

/// The packages that are reached from the binary, each with those that it is linked with.
fn linked(metadata: &Metadata) -> BTreeMap<&PackageId, (&Package, Vec<&Package>)> {
    let packages: BTreeMap<_, _> = metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: BTreeMap<&PackageId, &Node> = nodes.map(|node| (&node.id, node)).collect();
    let binary = metadata.packages.iter().find(|package| package.name.as_str() == BINARY);
    let mut next: Vec<_> = binary.into_iter().map(|package| &package.id).collect();
    let mut found = BTreeMap::new();
    while let Some(id) = next.pop() {
        let (Some(package), Some(node)) = (packages.get(id), nodes.get(id)) else { continue };
        if found.contains_key(id) {
            continue;
        }
        let depends_on: BTreeSet<_> =
            normal(node).filter(|id| packages.get(id).is_some_and(|to| !is_macro(to))).collect();
        next.extend(&depends_on);
        found.insert(id, (*package, depends_on.iter().filter_map(|id| packages.get(id).copied()).collect()));
    }
    found
}

fn normal(node: &Node) -> impl Iterator<Item = &PackageId> {
    let is_normal = |kind: &cargo_metadata::DepKindInfo| kind.kind == DependencyKind::Normal;
    node.deps.iter().filter(move |dep| dep.dep_kinds.iter().any(is_normal)).map(|dep| &dep.pkg)
}

fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro))
}

fn checksums(lock: &Path) -> Result<BTreeMap<(String, String), String>, Error> {
    let text = String::from_utf8_lossy(&read_file(lock)?).into_owned();
    let parsed: Result<Lock, _> = toml::from_str(&text);
    let packages = parsed
        .map(|lock| lock.package)
        .map_err(|error| Error::Refused { what: "Cargo.lock", problems: vec![error.message().to_owned()] })?;
    let with_sum = packages.into_iter().filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)));
    Ok(with_sum.collect())
}
