//! A fixed address in the local network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::ProvisioningError;
use super::value::BadValue;

/// Most DNS servers: what resolvers of the C library look at, too.
const DNS_MAX: usize = 3;

/// A fixed address, with the way out and who knows names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawNetwork", into = "RawNetwork")]
pub struct Network {
    /// The appliance's own.
    pub address: Address,
    /// The router, in the same network.
    pub gateway: Option<IpAddr>,
    /// DNS servers, at most three.
    pub dns: Vec<IpAddr>,
}

/// An address with the length of its network's prefix, for example `192.168.1.20/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    ip: IpAddr,
    prefix_bits: u8,
}

/// The table `[network]` as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawNetwork {
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(default)]
    dns: Vec<String>,
}

impl TryFrom<RawNetwork> for Network {
    type Error = ProvisioningError;

    fn try_from(raw: RawNetwork) -> Result<Self, ProvisioningError> {
        let bad = |key| move |bad| ProvisioningError::Value { key, bad };
        let address: Address = raw.address.parse().map_err(bad("network.address"))?;
        let gateway = raw.gateway.map(|text| gateway(&text, &address)).transpose().map_err(bad("network.gateway"))?;
        if raw.dns.len() > DNS_MAX {
            let listed = raw.dns.join(", ");
            return Err(bad("network.dns")(BadValue::new(&listed, "at most three DNS servers are used")));
        }
        let dns = raw.dns.iter().map(|text| server(text)).collect::<Result<_, _>>().map_err(bad("network.dns"))?;
        Ok(Self { address, gateway, dns })
    }
}

impl From<Network> for RawNetwork {
    fn from(network: Network) -> Self {
        Self {
            address: network.address.to_string(),
            gateway: network.gateway.map(|ip| ip.to_string()),
            dns: network.dns.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Address {
    /// The address alone.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Length of the network's prefix in bits.
    #[must_use]
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// Whether `ip` is reached without a router.
    fn is_neighbour(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = mask(self.prefix_bits, 32);
                u128::from(own.to_bits()) & mask == u128::from(other.to_bits()) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = mask(self.prefix_bits, 128);
                other.is_unicast_link_local() || own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }

    /// Whether it is the network's own address or its broadcast, neither of which a host may have.
    fn is_reserved(&self) -> bool {
        let IpAddr::V4(ip) = self.ip else { return false };
        let host = u128::from(ip.to_bits()) & !mask(self.prefix_bits, 32) & u128::from(u32::MAX);
        // Networks of two have neither (RFC 3021).
        self.prefix_bits < 31 && (host == 0 || host == !mask(self.prefix_bits, 32) & u128::from(u32::MAX))
    }
}

/// The upper `prefix_bits` of `bits`.
fn mask(prefix_bits: u8, bits: u8) -> u128 {
    let host_bits = u32::from(bits - prefix_bits);
    let all = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
    all & u128::MAX.checked_shl(host_bits).unwrap_or(0)
}

impl FromStr for Address {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let rule = "an address of a host with the length of its network, like `192.168.1.20/24`";
        let bad = || BadValue::new(text, rule);
        let (ip, prefix) = text.split_once('/').ok_or_else(bad)?;
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let is_number = !prefix.is_empty() && prefix.bytes().all(|digit| digit.is_ascii_digit());
        let prefix_bits: u8 = prefix.parse().ok().filter(|_| is_number).ok_or_else(bad)?;
        let bits_max = if ip.is_ipv4() { 32 } else { 128 };
        if !(1..=bits_max).contains(&prefix_bits) {
            return Err(bad());
        }
        let address = Self { ip, prefix_bits };
        if is_host(ip) && !address.is_reserved() { Ok(address) } else { Err(bad()) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.ip, self.prefix_bits)
    }
}

/// Whether one machine of a network can have this address.
fn is_host(ip: IpAddr) -> bool {
    let is_odd = match ip {
        IpAddr::V4(ip) => ip == Ipv4Addr::BROADCAST || ip.octets()[0] == 0 || ip.octets()[0] >= 240,
        IpAddr::V6(ip) => ip == Ipv6Addr::UNSPECIFIED || ip.to_ipv4_mapped().is_some(),
    };
    !is_odd && !ip.is_loopback() && !ip.is_multicast()
}

fn gateway(text: &str, address: &Address) -> Result<IpAddr, BadValue> {
    let ip = server(text)?;
    if ip != address.ip && address.is_neighbour(ip) {
        return Ok(ip);
    }
    Err(BadValue::new(text, "the gateway is another machine in the network of `network.address`"))
}

fn server(text: &str) -> Result<IpAddr, BadValue> {
    let ip = text.parse().ok().filter(|ip| is_host(*ip));
    ip.ok_or_else(|| BadValue::new(text, "an IP address like `192.168.1.1`"))
}
