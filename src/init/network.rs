//! The network's configuration for systemd-networkd (systemd.network(5)), written anew at each boot.
//!
//! Must never write a value that was not parsed: a line break in one would be another setting.

use lucid_layout::paths;
use lucid_layout::provisioning::Network;

use crate::error::Error;
use crate::file;
use crate::root::Root;

/// Before anything that the root file system may have for the same interfaces.
const FILE: &str = "/run/systemd/network/10-lucid.network";

/// An address, a gateway and three servers have below 300 bytes.
const NETWORK_BYTES_MAX: u64 = 4096;

/// Every Ethernet interface that is a device: neither bridges nor the payments plane's namespace.
const MATCH: &str = "[Match]\nType=ether\nKind=!*\n";

/// An address of the router; link-local ones besides, so that a box on a bare cable is found by its name, too. The box
/// keeps its own name and gives it to the router. The clock comes from the configured servers or the router's.
const DYNAMIC: &str = "\n[Network]\nDHCP=yes\nLinkLocalAddressing=yes\nIPv6AcceptRA=yes\nMulticastDNS=yes\nLLMNR=no\n\
                       \n[DHCPv4]\nUseHostname=no\nUseTimezone=no\n";

/// The owner's address; IPv6 as the network offers it.
const STATIC: &str = "\n[Network]\nDHCP=no\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=yes\nMulticastDNS=yes\nLLMNR=no\n";

/// The network of the provisioning; `None` for DHCP.
pub(crate) fn provisioned(root: &Root) -> Result<Option<Network>, Error> {
    let path = root.at(paths::NETWORK);
    let Some(text) = file::read(&path, NETWORK_BYTES_MAX)? else { return Ok(None) };
    toml::from_str(&text).map(Some).map_err(|error| file::damaged(&path, error.message()))
}

/// Writes the file that networkd reads.
pub(crate) fn write(root: &Root, network: Option<&Network>) -> Result<(), Error> {
    file::write_volatile(&root.at(FILE), &render(network))
}

fn render(network: Option<&Network>) -> String {
    let Some(network) = network else { return format!("{MATCH}{DYNAMIC}") };
    let gateway = network.gateway.map(|ip| format!("Gateway={ip}\n")).unwrap_or_default();
    let dns: String = network.dns.iter().map(|ip| format!("DNS={ip}\n")).collect();
    format!("{MATCH}{STATIC}Address={}\n{gateway}{dns}", network.address)
}

#[cfg(test)]
mod tests;
