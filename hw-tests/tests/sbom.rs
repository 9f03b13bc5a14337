//! What the image says that it is made of: complete, and in the words of CycloneDX.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::bench::built;

fn document() -> PathBuf {
    let image = built("image/lucid.img").canonicalize().unwrap();
    let path = image.with_extension("sbom.json");
    assert!(path.exists(), "{} is missing: run hw-tests/image", path.display());
    path
}

/// CycloneDX' own validator, which refuses what the standard does not know.
fn validate(path: &Path) -> Output {
    let python = built("venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sbom/validate.py");
    Command::new(python).arg(script).arg(path).output().unwrap()
}

#[test]
fn the_image_says_what_it_is_made_of() {
    let path = document();
    let text = fs::read_to_string(&path).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let components = list["components"].as_array().unwrap();
    let purls: BTreeSet<&str> = components.iter().map(|component| component["purl"].as_str().unwrap()).collect();
    assert_eq!(purls.len(), components.len(), "each once");

    let packages = fs::read_to_string(built("root/PACKAGES")).unwrap();
    assert!(packages.lines().count() > 20, "{packages}");
    for line in packages.lines() {
        let name = line.split_whitespace().next().unwrap();
        let start = format!("pkg:deb/debian/{name}@");
        assert!(purls.iter().any(|purl| purl.starts_with(&start)), "{line}");
    }
    for name in ["lucid", "lucid-init", "lucid-agent", "tokio", "rustls", "redb", "blake3"] {
        let start = format!("pkg:cargo/{name}@");
        assert!(purls.iter().any(|purl| purl.starts_with(&start)), "{name}");
    }
    // What is downloaded has the sum that the lock file has.
    let downloaded = components.iter().filter(|component| {
        let (name, purl) = (component["name"].as_str().unwrap(), component["purl"].as_str().unwrap());
        purl.starts_with("pkg:cargo/") && name != "lucid" && !name.starts_with("lucid-")
    });
    for component in downloaded {
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{component}");
    }
    let sums = fs::read_to_string(path.with_extension("").with_extension("sha256")).unwrap();
    let image = sums.lines().find_map(|line| line.strip_suffix(".img")?.split_whitespace().next()).unwrap();
    assert_eq!(list["metadata"]["component"]["hashes"][0]["content"], image);
}

#[test]
fn the_list_is_as_cyclonedx_wants_it() {
    let path = document();
    let found = validate(&path);
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));

    let folder = tempfile::tempdir().unwrap();
    let mut list: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    list["components"][0]["colour"] = "red".into();
    let spoilt = folder.path().join("spoilt.json");
    fs::write(&spoilt, list.to_string()).unwrap();
    let found = validate(&spoilt);
    assert_eq!(found.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&found.stderr).contains("colour"), "{}", String::from_utf8_lossy(&found.stderr));
}
