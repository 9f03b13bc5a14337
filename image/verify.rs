//! Whether an image is whole: every block of both roots against the hash that their command line names.

use std::path::Path;

use lucid_layout::{Slot, files};

use crate::disk;
use crate::error::{Error, refuse};
use crate::inspect::{Inspection, inspect};
use crate::{eeprom, fat, verity};

/// Checks an image or device, and returns what it holds.
///
/// # Errors
/// With everything that is wrong: autoboot.txt, release and command line that name different roots, a byte of a root
/// or of a carried EEPROM that was changed.
pub fn verify(path: &Path) -> Result<Inspection, Error> {
    let inspection = inspect(path)?;
    let mut problems = Vec::new();
    if inspection.committed.is_none() {
        problems.push("autoboot.txt is neither of its two variants".to_owned());
    }
    for (slot, content) in &inspection.slots {
        if content.release.root_hash != content.verity.root_hash {
            problems.push(format!("slot {}: release and command line name different roots", slot.letter()));
        }
    }
    problems.extend(damaged_roots(path, &inspection)?);
    problems.extend(damaged_eeproms(path, &inspection)?);
    problems.extend(other_default(path)?);
    refuse("the image", problems)?;
    Ok(inspection)
}

fn damaged_roots(path: &Path, inspection: &Inspection) -> Result<Vec<String>, Error> {
    let table = disk::read_table(path)?;
    let folder = tempfile::tempdir().map_err(Error::file("make a folder beside", path))?;
    let copy = folder.path().join("root");
    let mut problems = Vec::new();
    for (slot, content) in &inspection.slots {
        disk::extract(path, table[&slot.root()], &copy)?;
        match verity::check(&copy, &content.verity) {
            Ok(()) => {}
            Err(Error::ToolFailed { output, .. }) => {
                problems.push(format!("slot {}: the root is not what its root hash says: {output}", slot.letter()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(problems)
}

fn damaged_eeproms(path: &Path, inspection: &Inspection) -> Result<Vec<String>, Error> {
    let table = disk::read_table(path)?;
    let mut problems = Vec::new();
    for (slot, content) in &inspection.slots {
        let Some(facts) = &content.eeprom else { continue };
        let found = eeprom::problems(path, table[&slot.boot()].start_bytes, facts)?;
        problems.extend(found.iter().map(|what| format!("slot {}: the EEPROM that it carries: {what}", slot.letter())));
    }
    Ok(problems)
}

/// `cmdline.txt`, for EEPROMs that know no slots, is slot A's line.
fn other_default(path: &Path) -> Result<Vec<String>, Error> {
    let table = disk::read_table(path)?;
    let mut problems = Vec::new();
    for slot in Slot::ALL {
        let start_bytes = table[&slot.boot()].start_bytes;
        let default = fat::read(path, start_bytes, files::CMDLINE_TXT)?;
        if default != fat::read(path, start_bytes, Slot::A.cmdline_file())? {
            problems.push(format!("slot {}: {} is not slot a's line", slot.letter(), files::CMDLINE_TXT));
        }
    }
    Ok(problems)
}
