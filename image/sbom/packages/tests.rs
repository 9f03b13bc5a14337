use super::*;

fn listed(text: &str) -> Result<Vec<(String, String)>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let packages = list(file.path()).map_err(|error| error.to_string())?;
    Ok(packages.into_iter().map(|package| (package.purl, package.version)).collect())
}

#[test]
fn all_three_forms_are_read() {
    let systemd = |arch: &str| vec![(format!("pkg:deb/debian/systemd@257.7-1%2Bb1{arch}"), "257.7-1+b1".to_owned())];
    let status = "Package: systemd\nStatus: install ok installed\nArchitecture: arm64\nVersion: 257.7-1+b1\n\n\
                  Package: gone\nStatus: deinstall ok config-files\nArchitecture: arm64\nVersion: 1\n";
    assert_eq!(listed(status).unwrap(), systemd("?arch=arm64"));
    assert_eq!(listed("# packages\nsystemd\t257.7-1+b1\n").unwrap(), systemd(""));
    assert_eq!(listed("systemd:arm64 257.7-1+b1\n").unwrap(), systemd("?arch=arm64"));
    assert_eq!(listed("systemd 257.7-1+b1 arm64\n").unwrap(), systemd("?arch=arm64"));
    let manifest = "\"PACKAGE\",\"VERSION\",\"LICENSE\",\"LICENSE FILES\"\n\
                    \"zlib\",\"1.3\",\"Zlib\",\"LICENSE\"\n\"a\",\"2\",\"GPL-2.0, LGPL\",\"x, y\"\n";
    assert_eq!(
        listed(manifest).unwrap(),
        [("pkg:generic/zlib@1.3".into(), "1.3".into()), ("pkg:generic/a@2".into(), "2".into())]
    );
}

#[test]
fn a_list_that_is_none_is_refused() {
    for text in ["", "# nothing\n", "one\n", "a b c d\n", "\"PACKAGE\",\"X\"\n\"a\",\"b\"\n", "Package: x\n"] {
        assert!(listed(text).is_err(), "{text:?}");
    }
}
