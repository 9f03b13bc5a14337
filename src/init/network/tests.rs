use std::fs;

use super::*;

fn rendered(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::of_test(dir.path());
    file::write_volatile(&root.at(paths::NETWORK), text).unwrap();
    write(&root, provisioned(&root).unwrap().as_ref()).unwrap();
    fs::read_to_string(root.at(FILE)).unwrap()
}

#[test]
fn without_settings_the_router_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::of_test(dir.path());
    assert_eq!(provisioned(&root).unwrap(), None);
    write(&root, None).unwrap();
    let text = fs::read_to_string(root.at(FILE)).unwrap();
    assert!(
        ["DHCP=yes", "LinkLocalAddressing=yes", "IPv6AcceptRA=yes"].iter().all(|line| text.lines().any(|l| l == *line))
    );
    assert!(!text.contains("Address=") || text.contains("LinkLocalAddressing="));
}

#[test]
fn a_fixed_address_is_the_only_one() {
    let text =
        rendered("address = \"192.168.1.20/24\"\ngateway = \"192.168.1.1\"\ndns = [\"192.168.1.1\", \"9.9.9.9\"]\n");
    let settings: Vec<_> = text.lines().skip_while(|line| *line != "[Network]").collect();
    assert_eq!(
        settings,
        [
            "[Network]",
            "DHCP=no",
            "LinkLocalAddressing=ipv6",
            "IPv6AcceptRA=yes",
            "MulticastDNS=yes",
            "LLMNR=no",
            "Address=192.168.1.20/24",
            "Gateway=192.168.1.1",
            "DNS=192.168.1.1",
            "DNS=9.9.9.9",
        ]
    );
    let text = rendered("address = \"fd00::2/64\"\n");
    assert!(text.ends_with("Address=fd00::2/64\n"), "{text}");
}

#[test]
fn a_damaged_file_is_an_error_and_no_setting() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::of_test(dir.path());
    let long = format!("address = \"10.0.0.2/8\"\n#{}", "x".repeat(5000));
    let damages =
        ["", "address = 1", "address = \"10.0.0.2\"", "address = \"10.0.0.2/8\\n[Match]\"", "x = 1", "\u{0}", &long];
    for damage in damages {
        file::write_volatile(&root.at(paths::NETWORK), damage).unwrap();
        assert!(provisioned(&root).is_err(), "{damage:?}");
    }
}
