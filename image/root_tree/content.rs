//! What files must not tell: where they were made.

use memchr::memmem;

use super::Entry;
use crate::error::Error;
use crate::inputs::{Inputs, Quality};
use crate::tool::read_file;

/// Part of the path of every crate's source below somebody's home. Rust puts it into messages of panics.
const REGISTRY: &str = "/.cargo/registry/src/";

/// Most bytes of the home's path that are shown; texts stand in a program without anything between them.
const HOME_BYTES_MAX: usize = 40;

pub(super) fn problems(entries: &[Entry], inputs: &Inputs) -> Result<Vec<String>, Error> {
    let own_paths = inputs.own_paths();
    let mut problems = Vec::new();
    for entry in entries {
        let bytes = if entry.metadata.is_file() {
            read_file(&entry.source)?
        } else if entry.metadata.is_symlink() {
            let target = std::fs::read_link(&entry.source).map_err(Error::file("read", &entry.source))?;
            target.into_os_string().into_encoded_bytes()
        } else {
            continue;
        };
        let shown = entry.path.display();
        let leaks = own_paths.iter().filter(|path| memmem::find(&bytes, path.as_bytes()).is_some());
        problems.extend(leaks.map(|path| format!("`/{shown}` holds the path `{path}` of this machine")));
        if inputs.quality == Quality::Release
            && let Some(path) = registry_path(&bytes)
        {
            problems.push(format!("`/{shown}` holds the path `{path}`; build it with `--remap-path-prefix`"));
        }
    }
    Ok(problems)
}

/// The folder of a cargo registry in somebody's home, if the bytes name one.
fn registry_path(bytes: &[u8]) -> Option<String> {
    let at = memmem::find(bytes, REGISTRY.as_bytes())?;
    let is_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let home = bytes[..at].iter().rev().take(HOME_BYTES_MAX).take_while(|byte| is_path(byte)).count();
    Some(String::from_utf8_lossy(&bytes[at - home..at + REGISTRY.len()]).into_owned())
}
