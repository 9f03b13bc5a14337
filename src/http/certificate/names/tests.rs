//! What gets into a certificate.

use super::*;

fn names(hostname: &str, addresses: &[&str]) -> CertificateNames {
    CertificateNames::new(hostname, addresses.iter().map(|address| address.parse().unwrap()))
}

#[test]
fn host_names() {
    let table: [(&str, &[&str], bool); 14] = [
        ("lucid", &["localhost", "lucid", "lucid.local"], true),
        ("LUCID.", &["localhost", "lucid", "lucid.local"], true),
        // A single word is no name the authority may vouch for; with mDNS behind it, it is.
        ("studio", &["localhost", "lucid.local", "studio.local"], false),
        ("studio.lan", &["localhost", "lucid.local", "studio.lan"], true),
        ("studio.home.arpa", &["localhost", "lucid.local", "studio.home.arpa"], true),
        ("lucid.example.com", &["localhost", "lucid.local"], false),
        ("evil-local", &["evil-local.local", "localhost", "lucid.local"], false),
        ("x.notlocal", &["localhost", "lucid.local"], false),
        ("", &["localhost", "lucid.local"], false),
        ("-bad", &["localhost", "lucid.local"], false),
        ("*.local", &["localhost", "lucid.local"], false),
        ("a..local", &["localhost", "lucid.local"], false),
        ("a b", &["localhost", "lucid.local"], false),
        ("müsli", &["localhost", "lucid.local"], false),
    ];
    for (hostname, expected, whole) in table {
        let names = names(hostname, &[]);
        assert_eq!(names.dns_names().into_iter().collect::<Vec<_>>(), expected, "{hostname}");
        assert_eq!(names.left_out().is_empty(), whole, "{hostname}: {:?}", names.left_out());
        assert!(names.alternative_names().is_ok());
    }
    assert_eq!(names(&"a".repeat(64), &[]).dns_names().len(), 2);
}

#[test]
fn addresses() {
    let table = [
        ("10.0.0.1", true),
        ("172.16.0.1", true),
        ("172.31.255.255", true),
        ("172.32.0.1", false),
        ("192.168.0.1", true),
        ("192.169.0.1", false),
        ("100.64.0.1", true),
        ("169.254.1.1", true),
        ("8.8.8.8", false),
        ("0.0.0.0", false),
        ("fd00::1", true),
        ("fe80::1", true),
        ("2001:db8::1", false),
        ("::2", false),
        ("::ffff:192.168.0.1", true),
        ("::ffff:8.8.8.8", false),
    ];
    for (address, allowed) in table {
        let names = names("lucid", &[address]);
        assert_eq!(names.left_out().is_empty(), allowed, "{address}");
        assert_eq!(names.ip_addresses().len(), if allowed { 3 } else { 2 }, "{address}");
    }
    let many = CertificateNames::new("lucid", (0..1000).map(|index| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + index))));
    assert_eq!(many.ip_addresses().len(), ADDRESSES_MAX + 2);
}
