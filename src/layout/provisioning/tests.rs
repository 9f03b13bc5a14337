use proptest::prelude::*;

use super::*;

const CODE: &str = "K7QM-3XWT-9HBD-E2RS";

fn certificate() -> String {
    "-----BEGIN CERTIFICATE-----\nMIIB+w==\n-----END CERTIFICATE-----\n".to_owned()
}

fn key() -> String {
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAsecret==\n-----END PRIVATE KEY-----\n".to_owned()
}

fn full() -> String {
    format!(
        "version = 1\nhostname = \"Lucid-ab12\"\ntimezone = \"Europe/Berlin\"\n\
         [network]\naddress = \"192.168.1.20/24\"\ngateway = \"192.168.1.1\"\ndns = [\"192.168.1.1\", \"fd00::1\"]\n\
         [claim]\ncode = \"{CODE}\"\n[ssd]\nconsent = \"empty\"\nserial = \"S6XN 1\"\n\
         [tls]\nca_certificate = \"\"\"{}\"\"\"\nca_key = \"\"\"{}\"\"\"\n",
        certificate(),
        key()
    )
}

#[track_caller]
fn error(text: &str) -> String {
    Provisioning::parse(text.as_bytes()).err().unwrap_or_else(|| panic!("accepted: {text}")).to_string()
}

#[test]
fn everything_is_read() {
    let bytes = padded(full().as_bytes()).unwrap();
    let read = Provisioning::parse(&bytes).unwrap();
    assert!(!read.is_empty());
    assert_eq!(read.hostname.unwrap().as_str(), "lucid-ab12");
    assert_eq!(read.timezone.unwrap().as_str(), "Europe/Berlin");
    let network = read.network.unwrap();
    assert_eq!(network.address.to_string(), "192.168.1.20/24");
    assert_eq!(network.gateway, Some("192.168.1.1".parse().unwrap()));
    assert_eq!(network.dns.len(), 2);
    assert_eq!(read.claim_code.unwrap().expose(), CODE);
    assert_eq!(read.ssd, Ssd { consent: Consent::Empty, serial: Some("S6XN 1".parse().unwrap()) });
    let tls = read.tls.unwrap();
    assert_eq!((tls.ca_certificate, tls.ca_key.expose()), (certificate(), &*key()));
}

#[test]
fn what_editors_of_other_systems_write_is_read() {
    let windows = format!("\u{feff}{}", full().replace('\n', "\r\n"));
    let read = Provisioning::parse(windows.as_bytes()).unwrap();
    assert_eq!(read.hostname.unwrap().as_str(), "lucid-ab12");
    assert!(read.tls.is_some());
}

#[test]
fn the_template_asks_for_nothing_and_fills_the_area() {
    let bytes = template();
    assert_eq!(bytes.len(), AREA_BYTES);
    assert!(Provisioning::parse(&bytes).unwrap().is_empty());
    assert!(!is_consumed(&bytes));
}

/// The template with the `#` of every setting removed.
fn switched_on() -> String {
    let text = String::from_utf8(template()).unwrap();
    let on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    text.trim_end().lines().map(on).collect()
}

#[test]
fn the_template_explains_every_key_and_holds_no_secret_that_works() {
    let text = switched_on();
    assert!(error(&text).contains("claim.code"), "{}", error(&text));
    let text = text.replace("code = \"...\"", &format!("code = \"{CODE}\""));
    assert!(error(&text).contains("tls.ca_certificate"));
    let text = text.replace("\n...\n", "\nMIIB\n");
    let Provisioning { hostname, timezone, network, claim_code, ssd, tls } =
        Provisioning::parse(text.as_bytes()).unwrap();
    assert!(hostname.is_some() && timezone.is_some() && claim_code.is_some() && tls.is_some());
    assert!(network.is_some_and(|network| network.gateway.is_some() && !network.dns.is_empty()));
    assert!(ssd.serial.is_some() && ssd.consent == Consent::Labelled);
}

#[test]
fn a_bad_value_is_named_with_its_key_and_its_rule() {
    for (line, key, value) in [
        ("hostname = \"-x\"", "`hostname`", "`-x`"),
        ("hostname = \"a.b\"", "`hostname`", "`a.b`"),
        ("hostname = \"\"", "`hostname`", "``"),
        ("hostname = \"123\"", "`hostname`", "`123`"),
        ("hostname = \"LOCALHOST\"", "`hostname`", "`LOCALHOST`"),
        ("hostname = \"a\\n[x]\"", "`hostname`", "`a\\n[x]`"),
        ("timezone = \"../../etc/shadow\"", "`timezone`", "shadow"),
        ("timezone = \"/UTC\"", "`timezone`", "`/UTC`"),
        ("timezone = \"Europe//Berlin\"", "`timezone`", "Europe"),
        ("[network]\naddress = \"192.168.1.20\"", "`network.address`", "`192.168.1.20`"),
        ("[network]\naddress = \"192.168.1.20/33\"", "`network.address`", "/33"),
        ("[network]\naddress = \"192.168.1.20/+24\"", "`network.address`", "/+24"),
        ("[network]\naddress = \"192.168.1.0/24\"", "`network.address`", "`192.168.1.0/24`"),
        ("[network]\naddress = \"192.168.1.255/24\"", "`network.address`", "255/24"),
        ("[network]\naddress = \"127.0.0.1/8\"", "`network.address`", "127"),
        ("[network]\naddress = \"224.0.0.1/8\"", "`network.address`", "224"),
        ("[network]\naddress = \"::1/64\"", "`network.address`", "::1"),
        ("[network]\naddress = \"10.0.0.2/8\"\ngateway = \"11.0.0.1\"", "`network.gateway`", "`11.0.0.1`"),
        ("[network]\naddress = \"10.0.0.2/8\"\ngateway = \"10.0.0.2\"", "`network.gateway`", "`10.0.0.2`"),
        ("[network]\naddress = \"10.0.0.2/8\"\ngateway = \"fd00::1\"", "`network.gateway`", "`fd00::1`"),
        ("[network]\naddress = \"10.0.0.2/8\"\ndns = [\"example.org\"]", "`network.dns`", "`example.org`"),
        ("[ssd]\nconsent = \"yes\"", "`ssd.consent`", "`yes`"),
        ("[ssd]\nserial = \" \"", "`ssd.serial`", "` `"),
        ("[tls]\nca_key = \"x\"", "`tls.ca_certificate`", "missing"),
        ("[tls]\nca_certificate = \"x\"", "`tls.ca_key`", "missing"),
        ("[tls]\nca_certificate = \"x\"\nca_key = \"y\"", "`tls.ca_certificate`", "`x`"),
    ] {
        let error = error(&format!("version = 1\n{line}\n"));
        assert!(error.contains(key) && error.contains(value), "{line}: {error}");
    }
}

#[test]
fn an_unknown_key_is_an_error_with_its_line() {
    for line in
        ["hostnam = \"a\"", "[netwrk]\nx = 1", "[network]\naddress = \"10.0.0.2/8\"\nmtu = 1", "[claim]\npin = 1"]
    {
        let error = error(&format!("version = 1\n{line}\n"));
        assert!(error.contains("unknown field") && error.contains("line "), "{error}");
    }
    assert!(error("version = 1\nversion = 1\n").contains("line 2"));
    assert!(error("version = 1\n\nhostname = 5\n").contains("line 3"));
}

#[test]
fn other_versions_and_files_are_refused() {
    assert!(error("version = 2\n").contains("2 is not known"));
    assert!(error("hostname = \"a\"\n").contains("version"));
    assert!(error("").contains("version"));
    assert_eq!(Provisioning::parse(&[0xff, 0xfe, b'v', 0]).err(), Some(ProvisioningError::NotText));
    let large = vec![b'\n'; FILE_BYTES_MAX + 1];
    assert!(matches!(Provisioning::parse(&large).err(), Some(ProvisioningError::TooLarge { .. })));
    assert!(matches!(padded(&vec![b'\n'; AREA_BYTES + 1]).err(), Some(ProvisioningError::TooLarge { .. })));
}

#[test]
fn no_error_tells_a_secret() {
    let secret = "9137731998877";
    for text in [
        format!("[claim]\ncode = {secret}"),
        format!("[claim]\ncode = {secret}x"),
        format!("[claim]\ncode = \"{secret}"),
        format!("[claim]\ncode = \"\\q{secret}\""),
        format!("[claim]\ncode = [\"{secret}\"]"),
        format!("[claim]\ncode = \"{secret}!\""),
        format!("[claim]\ncode = \"{secret}\"\ncode = \"{secret}\""),
        format!("[claim]\ncode = \"{secret}\" {secret}"),
        format!("claim = {secret}"),
        format!("[tls]\nca_certificate = '''{}'''\nca_key = \"{secret}\"", certificate()),
        format!("[tls]\nca_certificate = '''{}'''\nca_key = {secret}.5", certificate()),
    ] {
        let error = error(&format!("version = 1\n{text}\n"));
        assert!(!error.contains(&secret[..6]), "{text}: {error}");
    }
}

#[test]
fn a_consumed_file_is_recognised_and_never_read_again() {
    let bytes = consumed(AREA_BYTES);
    assert_eq!(bytes.len(), AREA_BYTES);
    assert!(is_consumed(&bytes) && is_consumed(&consumed(512)));
    assert_eq!(Provisioning::parse(&bytes).err(), Some(ProvisioningError::Consumed));
    // Cut between two sectors of the overwrite: the stamp counts, whatever follows.
    let mut torn = padded(full().as_bytes()).unwrap();
    torn[..512].copy_from_slice(&consumed(512));
    assert_eq!(Provisioning::parse(&torn).err(), Some(ProvisioningError::Consumed));
}

#[test]
fn what_is_kept_on_the_state_partition_reads_back() {
    let read = Provisioning::parse(full().as_bytes()).unwrap();
    let network = read.network.unwrap();
    assert_eq!(toml::from_str::<Network>(&toml::to_string(&network).unwrap()).unwrap(), network);
    assert_eq!(toml::from_str::<Ssd>(&toml::to_string(&read.ssd).unwrap()).unwrap(), read.ssd);
    assert_eq!(toml::from_str::<Ssd>("").unwrap(), Ssd::default());
    assert!(toml::from_str::<Network>("address = \"10.0.0.2/8\"\ngateway = \"11.0.0.1\"\n").is_err());
    assert!(toml::from_str::<Ssd>("serial = \"\\n\"").is_err());
}

#[test]
fn addresses_of_both_kinds_and_small_networks_are_accepted() {
    for (address, gateway) in [
        ("10.0.0.2/8", "10.255.255.254"),
        ("10.0.0.0/31", "10.0.0.1"),
        ("fd00::2/64", "fd00::1"),
        ("fd00::2/64", "fe80::1"),
        ("2001:db8::2/1", "2001:db8::1"),
    ] {
        let text = format!("version = 1\n[network]\naddress = \"{address}\"\ngateway = \"{gateway}\"\n");
        let read = Provisioning::parse(text.as_bytes()).map_err(|error| error.to_string()).err();
        assert_eq!(read, None, "{address}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(Provisioning::parse(&bytes).is_err());
    }

    #[test]
    fn a_cut_file_is_an_error_or_asks_for_less(cut in 0_usize..700) {
        let text = full();
        // Without its last line break it is still whole.
        let cut = cut.min(text.len() - 2);
        if let Ok(read) = Provisioning::parse(&text.as_bytes()[..cut]) {
            prop_assert!(read.tls.is_none() && text.as_bytes()[cut - 1..=cut].contains(&b'\n'));
        }
    }

    #[test]
    fn every_hostname_keeps_to_the_rule(text in "\\PC{0,70}") {
        if let Ok(name) = text.parse::<Hostname>() {
            prop_assert!(name.as_str().len() <= 63 && !name.as_str().contains(['.', '/', '\n', ' ']));
        }
    }

    #[test]
    fn every_address_prints_as_it_was_read(a: [u8; 4], prefix in 0_u8..40) {
        let text = format!("{}.{}.{}.{}/{prefix}", a[0], a[1], a[2], a[3]);
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string(), text);
        }
    }
}
