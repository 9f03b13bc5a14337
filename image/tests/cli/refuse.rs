//! What must not be shipped.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use crate::fixture::{CONFIG_TXT, Inputs, copy, difference, fail, succeed};
use crate::keys::Keys;

/// Builds, and expects a refusal that says all of `wanted` and leaves nothing behind.
#[track_caller]
fn refused<'a>(inputs: &Inputs, more: impl IntoIterator<Item = &'a str>, wanted: &[&str]) {
    let said = fail(inputs.build_with(more));
    for words in wanted {
        assert!(said.contains(words), "`{words}` is not in:\n{said}");
    }
    let left = fs::read_dir(inputs.path("out")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "half an image is left behind");
}

#[test]
fn boot_files_that_do_not_boot() {
    let changes: [(&str, &[u8], &str); 9] = [
        ("Image", b"", "no arm64 kernel"),
        (
            "Image",
            b"\x7fELF and so on, which is a vmlinux of 64 bytes or more, so that offset 56 exists",
            "no arm64 kernel",
        ),
        ("Image", &[0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 0, 3], "gzip -n"),
        ("dtb/bcm2712-rpi-5-b.dtb", b"\xd0\x0d\xfe\xed\0\0\x10\0", "cut short"),
        ("dtb/bcm2712-rpi-5-b.dtb", b"", "no device tree"),
        ("config.txt", b"os_check=1\n", "boot_partition=2"),
        ("config.txt", &CONFIG_TXT.as_bytes()[11..], "os_check=1"),
        ("overlays/sub/x.dtbo", b"", "no plain file"),
        ("dtb/bcm2712-rpi-5-b.dtb", b"\xd0\x0d", "no device tree"),
    ];
    for (path, bytes, wanted) in changes {
        let inputs = Inputs::new();
        inputs.write(path, 0o644, bytes);
        refused(&inputs, [], &[wanted]);
    }
}

#[test]
fn boot_files_that_are_missing_or_too_large() {
    let inputs = Inputs::new();
    fs::remove_file(inputs.path("Image")).unwrap();
    refused(&inputs, [], &["Image", "missing"]);
    let mut kernel = vec![0; 32 << 20];
    kernel[56..60].copy_from_slice(b"ARM\x64");
    inputs.write("Image", 0o644, &kernel);
    refused(&inputs, [], &["less than 32 MiB"]);
    inputs.write("Image", 0o644, &kernel[..1000]);
    fs::remove_dir_all(inputs.path("dtb")).unwrap();
    fs::create_dir(inputs.path("dtb")).unwrap();
    refused(&inputs, [], &["no device tree"]);
    fs::remove_dir_all(inputs.path("dtb")).unwrap();
    refused(&inputs, [], &["no folder"]);
}

#[test]
fn a_release_without_its_lists_its_boards_or_with_a_home_in_it() {
    let mut inputs = Inputs::new();
    inputs.profile = "release";
    refused(&inputs, [], &["--packages", "--cargo-manifest"]);
    inputs.write("packages", 0o644, b"systemd 257\n");
    let packages = inputs.path("packages");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let lists = ["--packages", packages.to_str().unwrap(), "--cargo-manifest", manifest];
    inputs.write("root/usr/lib/panics", 0o644, b"no path/someone/.cargo/registry/src/x/lib.rs");
    refused(&inputs, lists, &["/usr/lib/panics", "/someone/.cargo/registry/src/", "--remap-path-prefix"]);
    fs::remove_file(inputs.path("root/usr/lib/panics")).unwrap();
    fs::remove_file(inputs.path("dtb/bcm2712d0-rpi-5-b.dtb")).unwrap();
    refused(&inputs, lists, &["bcm2712d0-rpi-5-b.dtb is missing"]);
}

#[test]
fn a_release_that_trusts_nobody_or_test_keys_or_a_root_set_that_too_few_have_signed() {
    let mut inputs = Inputs::new();
    inputs.profile = "release";
    inputs.write("packages", 0o644, b"systemd 257\n");
    let packages = inputs.path("packages");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let lists = ["--packages", packages.to_str().unwrap(), "--cargo-manifest", manifest];
    let with =
        |root: &str| [&lists[..], &["--update-root", root]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    refused(&inputs, lists, &["--update-root"]);
    let keys = Keys::new("test");
    let arguments = with(&keys.at("update-root"));
    refused(&inputs, arguments.iter().map(String::as_str), &["is for tests"]);
    // In the tree it counts just the same.
    inputs.write("root/usr/share/lucid/update-root", 0o644, &fs::read(keys.path("update-root")).unwrap());
    refused(&inputs, lists, &["is for tests"]);
    inputs.profile = "test";
    let others = Keys::new("test");
    refused(&inputs, ["--update-root", &others.at("update-root")], &["is not the root set that the image shall trust"]);
    others.sign_root("root.toml", "half", &["r1"]);
    inputs.write("root/usr/share/lucid/update-root", 0o644, &fs::read(others.path("half")).unwrap());
    refused(&inputs, [], &["update-root", "have it signed by more root keys"]);
    for bytes in [&b""[..], b"no root set", &[0xff; 4096], &[0; 1 << 20]] {
        inputs.write("root/usr/share/lucid/update-root", 0o644, bytes);
        refused(&inputs, [], &["update-root"]);
    }
}

#[test]
fn a_binary_that_would_not_run() {
    for (bytes, mode, wanted) in [
        (&b"#!/bin/sh\n"[..], 0o755, "no ELF"),
        (&[][..], 0o755, "no ELF"),
        (&fs::read("/proc/self/exe").unwrap(), 0o755, "/usr/bin/lucid` is not"),
        (&[][..], 0o700, "not everybody may run it"),
    ] {
        let inputs = Inputs::new();
        inputs.write("root/usr/bin/lucid", mode, bytes);
        refused(&inputs, [], &["/usr/bin/lucid", wanted]);
    }
    let inputs = Inputs::new();
    fs::remove_file(inputs.path("root/usr/bin/lucid-init")).unwrap();
    refused(&inputs, [], &["/usr/bin/lucid-init"]);
    symlink("../../bin/sh", inputs.path("root/usr/bin/lucid-init")).unwrap();
    refused(&inputs, [], &["/usr/bin/lucid-init"]);
}

#[test]
fn files_that_lend_rights_or_are_none() {
    let inputs = Inputs::new();
    inputs.write("root/usr/bin/su", 0o4755, b"x");
    inputs.write("root/usr/bin/wall", 0o2755, b"x");
    refused(&inputs, [], &["/usr/bin/su", "/usr/bin/wall"]);
    refused(&inputs, ["--allow-privileged", "/usr/bin/su"], &["/usr/bin/wall"]);
    let all = ["--allow-privileged", "/usr/bin/su", "--allow-privileged", "/usr/bin/wall"];
    let _socket = UnixListener::bind(inputs.path("root/etc/socket")).unwrap();
    refused(&inputs, all, &["/etc/socket", "special file"]);
    fs::remove_file(inputs.path("root/etc/socket")).unwrap();
    succeed(inputs.build_with(all));
}

#[test]
fn a_tree_whose_frame_is_wrong() {
    let inputs = Inputs::new();
    fs::remove_dir(inputs.path("root/state")).unwrap();
    inputs.write("root/var/log/dpkg.log", 0o644, b"x");
    inputs.write("root/etc/machine-id", 0o644, b"0123456789abcdef0123456789abcdef\n");
    fs::set_permissions(inputs.path("root"), fs::Permissions::from_mode(0o700)).unwrap();
    let wanted = ["`/state` is no folder", "`/var` is not empty", "/etc/machine-id", "`/` has mode 700"];
    refused(&inputs, [], &wanted);
}

#[test]
fn an_overlay_that_did_not_arrive() {
    let inputs = Inputs::new();
    inputs.write("overlay/etc/hosts", 0o644, b"127.0.0.1 localhost\n");
    inputs.write("overlay/etc/gone", 0o644, b"x");
    inputs.write("overlay/etc/changed", 0o644, b"x");
    inputs.write("root/etc/changed", 0o644, b"y");
    inputs.write("overlay/etc/tool", 0o755, b"x");
    inputs.write("root/etc/tool", 0o644, b"x");
    inputs.write("overlay/boot/config.txt", 0o644, b"x");
    inputs.write("units/a.service", 0o644, b"[Unit]\n");
    symlink("/dev/null", inputs.path("overlay/etc/link")).unwrap();
    let (overlay, units) = (inputs.path("overlay"), format!("{}:/usr/lib/systemd", inputs.path("units").display()));
    let more = ["--overlay", overlay.to_str().unwrap(), "--overlay", &units];
    refused(&inputs, more, &["etc/gone", "etc/changed", "etc/tool", "etc/link", "/usr/lib/systemd/a.service"]);
    for (path, mode, bytes) in [("gone", 0o644, b"x"), ("changed", 0o644, b"x"), ("tool", 0o755, b"x")] {
        inputs.write(&format!("root/etc/{path}"), mode, bytes);
    }
    symlink("/dev/null", inputs.path("root/etc/link")).unwrap();
    inputs.write("root/usr/lib/systemd/a.service", 0o644, b"[Unit]\n");
    let said = succeed(inputs.build_with(more));
    assert!(said.contains("sha256"), "{said}");
}

#[test]
fn paths_of_this_machine() {
    let inputs = Inputs::new();
    let own = inputs.path("root").canonicalize().unwrap();
    inputs.write("root/etc/leak", 0o644, format!("made in {}/usr", own.display()).as_bytes());
    symlink(own.join("usr/lib"), inputs.path("root/etc/link")).unwrap();
    refused(&inputs, [], &["`/etc/leak` holds the path", "`/etc/link` holds the path"]);
}

#[test]
fn versions_and_times_that_break_names_or_file_systems() {
    let mut inputs = Inputs::new();
    for version in ["", "1/2", "../x", "-1", "a b", "1\n", &"1".repeat(65)] {
        inputs.version = version.to_owned();
        refused(&inputs, [], &["version `"]);
    }
    inputs.version = "1.2.3".to_owned();
    for epoch in ["0", "315532799", "2147483648"] {
        inputs.epoch = epoch;
        refused(&inputs, [], &["source date epoch"]);
    }
}

#[test]
fn a_provisioning_file_that_is_wrong() {
    let inputs = Inputs::new();
    inputs.write("lucid.toml", 0o600, b"version = 1\nhostname = \"-\"\n");
    let file = inputs.path("lucid.toml");
    refused(&inputs, ["--provision", file.to_str().unwrap()], &["hostname", "`-`"]);
}

#[test]
fn an_older_image_survives_a_build_that_fails() {
    let inputs = Inputs::new();
    let image = inputs.build();
    let before = copy(&image);
    inputs.write("root/usr/bin/su", 0o4755, b"x");
    fail(inputs.build_with([]));
    assert_eq!(difference(&image, &before), None);
}
