use super::*;

#[test]
fn only_addresses_of_the_lan_count() {
    for (address, counts) in [
        ("192.168.1.20", true),
        ("10.0.0.1", true),
        ("172.16.0.1", true),
        ("172.32.0.1", false),
        ("169.254.3.4", true),
        ("100.64.0.1", true),
        ("100.128.0.1", false),
        ("127.0.0.1", false),
        ("0.0.0.0", false),
        ("8.8.8.8", false),
        ("fd12:3456::1", true),
        ("fe80::1", false),
        ("::1", false),
        ("2001:db8::1", false),
    ] {
        assert_eq!(is_lan(address.parse().unwrap()), counts, "{address}");
    }
}

/// Whatever machine this is: the kernel answers, and an address to be reached under can be listened on.
#[test]
fn the_addresses_are_those_of_this_machine() {
    for address in interfaces().unwrap() {
        assert!(is_lan(address));
        std::net::TcpListener::bind((address, 0)).unwrap();
    }
}
