/// A FAT volume to read, as that crate's own tests have it.
#[path = "../fat/tests/volume.rs"]
pub(crate) mod volume;

use super::*;

fn called(arguments: &[&str]) -> bool {
    is_called(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
}

#[test]
fn it_is_called_by_its_name_and_as_a_command() {
    for arguments in [&["/usr/bin/lucid-init"][..], &["lucid-init", "single"], &["/usr/bin/lucid", "init"]] {
        assert!(called(arguments), "{arguments:?}");
    }
    for arguments in [&["lucid"][..], &["/usr/bin/lucid", "run"], &["lucid", "run", "init"], &[]] {
        assert!(!called(arguments), "{arguments:?}");
    }
}

#[test]
fn nobody_but_the_kernel_starts_it() {
    let error = main(&["lucid-init".into()]);
    assert!(matches!(error, InitError::NotTheFirst));
    assert!(error.to_string().contains("started by the kernel"));
}
