//! The root keys that the image trusts for updates: in the root file system, which is verified block by block.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lucid_layout::paths;

use crate::error::Error;
use crate::inputs::{Inputs, Quality};
use crate::tool::{CP, read_file, write_file};
use crate::update::trusted;

/// Where the tree holds them, or would.
fn place(tree: &Path) -> PathBuf {
    tree.join(paths::UPDATE_ROOT.trim_start_matches('/'))
}

pub(super) fn problems(inputs: &Inputs) -> Result<Vec<String>, Error> {
    let place = place(&inputs.root_tree);
    let there = place.symlink_metadata().is_ok();
    let given = inputs.update_root.as_deref();
    let Some(path) = given.or(there.then_some(&place)) else {
        let needed = inputs.quality == Quality::Release;
        let what = "a release needs --update-root: without root keys it would never take an update".to_owned();
        return Ok(needed.then_some(what).into_iter().collect());
    };
    let trusted = trusted::read(path)?;
    let mut problems = Vec::new();
    if there && (place.is_symlink() || read_file(&place)? != trusted.bytes) {
        problems.push(format!("`{}` is not the root set that the image shall trust, alone", paths::UPDATE_ROOT));
    }
    if trusted.is_test && inputs.quality == Quality::Release {
        problems.push(format!("the root set in `{}` is for tests; no release may trust it", path.display()));
    }
    Ok(problems)
}

/// The tree that the image is made of: as it is, or a copy with the root set put into it.
pub(crate) fn complete(inputs: &Inputs, work: &Path) -> Result<PathBuf, Error> {
    let Some(given) = inputs.update_root.as_deref().filter(|_| !place(&inputs.root_tree).exists()) else {
        return Ok(inputs.root_tree.clone());
    };
    let tree = work.join("tree");
    // Links between files stay what they are.
    CP.args(["-a"]).arg(&inputs.root_tree).arg(&tree).bytes()?;
    let file = place(&tree);
    let folder = file.parent().expect("the constant's path has a folder");
    fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    write_file(&file, &trusted::read(given)?.bytes)?;
    // Whatever the mask of whoever builds this.
    let new = folder.ancestors().take_while(|folder| *folder != tree).filter(|folder| is_new(folder, &tree, inputs));
    for (path, mode) in new.map(|folder| (folder, 0o755)).chain([(&*file, 0o644)]) {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("set the mode of", path))?;
    }
    Ok(tree)
}

/// Whether a folder of the copy is not in the tree that it was made of.
fn is_new(folder: &Path, tree: &Path, inputs: &Inputs) -> bool {
    folder.strip_prefix(tree).is_ok_and(|path| !inputs.root_tree.join(path).exists())
}
