//! What the certificate is to be valid for, and what the authority may vouch for at all.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints, SanType};

/// The name announced by mDNS.
pub(super) const LOCAL_NAME: &str = "lucid.local";
/// Domains of home and office networks: mDNS (RFC 6762), RFC 8375, ICANN's `internal`, and what routers hand out.
const DOMAINS: [&str; 8] = ["local", "localhost", "home.arpa", "internal", "lan", "home", "localdomain", "lucid"];
/// Networks that are not routed on the internet: RFC 1918, RFC 6598, RFC 3927, loopback.
const NETWORKS_V4: [(Ipv4Addr, u8); 6] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
];
/// Unique local (RFC 4193), link-local, loopback.
const NETWORKS_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::LOCALHOST, 128),
];
/// Addresses in one certificate. A box has a handful; more is a mistake of the caller.
const ADDRESSES_MAX: usize = 64;

/// Names and addresses that the leaf is to be valid for, beside `lucid.local`, `localhost` and loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateNames {
    hostname: String,
    addresses: BTreeSet<IpAddr>,
}

impl CertificateNames {
    /// `hostname` with or without a domain, and the addresses of the LAN interfaces. What the authority may not vouch
    /// for (a public address, a name of the internet, one that is no host name) is left out of the certificate:
    /// [`CertificateNames::left_out`] lists it.
    pub fn new(hostname: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let hostname = hostname.trim_end_matches('.').to_ascii_lowercase();
        let addresses = addresses.into_iter().map(|address| address.to_canonical()).take(ADDRESSES_MAX).collect();
        Self { hostname, addresses }
    }

    /// What the certificate will not be valid for, although it was asked for.
    pub fn left_out(&self) -> Vec<String> {
        let addresses = self.addresses.iter().filter(|address| !is_allowed_address(**address)).map(IpAddr::to_string);
        let name = (!is_allowed_name(&self.hostname)).then(|| self.hostname.clone());
        addresses.chain(name).collect()
    }

    /// The DNS names of the certificate, without duplicates, in a fixed order.
    pub(super) fn dns_names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<_> = [LOCAL_NAME, "localhost"].map(str::to_owned).into();
        if !self.hostname.contains('.') {
            names.insert(format!("{}.local", self.hostname));
        }
        names.insert(self.hostname.clone());
        names.retain(|name| is_allowed_name(name));
        names
    }

    /// The addresses of the certificate, without duplicates, in a fixed order.
    pub(super) fn ip_addresses(&self) -> BTreeSet<IpAddr> {
        let mut addresses = self.addresses.clone();
        addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        addresses.retain(|address| is_allowed_address(*address));
        addresses
    }

    /// All of it in the form that a certificate takes.
    pub(super) fn alternative_names(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let names = self.dns_names().into_iter().map(|name| Ok(SanType::DnsName(name.try_into()?)));
        names.chain(self.ip_addresses().into_iter().map(|address| Ok(SanType::IpAddress(address)))).collect()
    }
}

/// The name constraint of the authority (RFC 5280, section 4.2.1.10).
pub(super) fn constraints() -> NameConstraints {
    let domains = DOMAINS.iter().map(|domain| GeneralSubtree::DnsName((*domain).to_owned()));
    let v4 = NETWORKS_V4.iter().map(|(net, prefix)| CidrSubnet::from_v4_prefix(net.octets(), *prefix));
    let v6 = NETWORKS_V6.iter().map(|(net, prefix)| CidrSubnet::from_v6_prefix(net.octets(), *prefix));
    let permitted_subtrees = domains.chain(v4.chain(v6).map(GeneralSubtree::IpAddress)).collect();
    NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() }
}

/// Whether the name is a host name (RFC 1123) at or below one of [`DOMAINS`].
fn is_allowed_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let inside = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    let below = |domain: &&str| name.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    name.len() <= 253 && name.split('.').all(is_label) && DOMAINS.iter().any(below)
}

/// Whether the address lies in one of the networks.
fn is_allowed_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => NETWORKS_V4
            .iter()
            .any(|(net, prefix)| (address.to_bits() ^ net.to_bits()).leading_zeros() >= u32::from(*prefix)),
        IpAddr::V6(address) => NETWORKS_V6
            .iter()
            .any(|(net, prefix)| (address.to_bits() ^ net.to_bits()).leading_zeros() >= u32::from(*prefix)),
    }
}

#[cfg(test)]
mod tests;
