//! The packages of the root tree, from the list of whoever made it.
//!
//! Three forms are known: dpkg's status (`Package:` and `Version:` in paragraphs), Buildroot's `manifest.csv` of
//! `make legal-info`, and lines of name, version and perhaps architecture, as `dpkg-query -W` writes them.

use std::path::Path;

use super::{Component, License};
use crate::error::{Error, refuse};
use crate::tool::read_file;

/// Reads the list; one without any package is refused, because no root has none.
pub(super) fn list(path: &Path) -> Result<Vec<Component>, Error> {
    let bytes = read_file(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let first = text.lines().next().unwrap_or_default();
    let read = if first.trim_start_matches('"').starts_with("PACKAGE") {
        from_buildroot(&text)
    } else if first.starts_with("Package:") {
        Ok(from_dpkg_status(&text))
    } else {
        from_lines(&text)
    };
    let problem = match &read {
        Err(problem) => Some(problem.clone()),
        Ok(packages) if packages.is_empty() => Some("it lists no package".to_owned()),
        Ok(_) => None,
    };
    let problems = problem.map(|problem| format!("`{}`: {problem}", path.display()));
    refuse("the list of packages", problems.into_iter().collect())?;
    Ok(read.unwrap_or_default())
}

fn debian(name: &str, version: &str, architecture: Option<&str>) -> Component {
    let architecture = architecture.map(|name| format!("?arch={name}")).unwrap_or_default();
    let purl = format!("pkg:deb/debian/{name}@{}{architecture}", escaped(version));
    Component { name: name.into(), version: version.into(), purl, license: None, sha256: None, depends_on: vec![] }
}

/// The characters of versions that a package URL knows another meaning of.
fn escaped(version: &str) -> String {
    version.replace('%', "%25").replace('+', "%2B").replace(':', "%3A").replace('@', "%40").replace('/', "%2F")
}

fn from_dpkg_status(text: &str) -> Vec<Component> {
    let package = |paragraph: &str| {
        let field =
            |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim);
        let is_there = field("Status").is_none_or(|status| status.ends_with(" installed"));
        is_there.then(|| Some(debian(field("Package")?, field("Version")?, field("Architecture")))).flatten()
    };
    text.split("\n\n").filter_map(package).collect()
}

fn from_lines(text: &str) -> Result<Vec<Component>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let package = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields[..] {
            // `name:arm64` is how dpkg-query names a package of several architectures.
            [name, version] => match name.split_once(':') {
                Some((name, architecture)) => Ok(debian(name, version, Some(architecture))),
                None => Ok(debian(name, version, None)),
            },
            [name, version, architecture] => Ok(debian(name, version, Some(architecture))),
            _ => Err(format!("`{}` is no line of name, version and perhaps architecture", line.escape_debug())),
        }
    };
    lines.map(package).collect()
}

fn from_buildroot(text: &str) -> Result<Vec<Component>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let column = |name: &str| header.iter().position(|title| title == name);
    let (Some(name), Some(version)) = (column("PACKAGE"), column("VERSION")) else {
        return Err("the columns PACKAGE and VERSION are missing".to_owned());
    };
    let license = column("LICENSE");
    let package = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.map_err(|error| error.to_string())?;
        let field = |column: usize| row.get(column).unwrap_or_default().to_owned();
        let (name, version) = (field(name), field(version));
        let purl = format!("pkg:generic/{name}@{}", escaped(&version));
        // Buildroot's are no SPDX expressions.
        let license = license.map(field).filter(|license| !license.is_empty()).map(License::Name);
        Ok(Component { name, version, purl, license, sha256: None, depends_on: vec![] })
    };
    reader.records().map(package).collect()
}

#[cfg(test)]
mod tests;
