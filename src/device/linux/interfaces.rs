//! The addresses of this machine's network interfaces (`getifaddrs(3)`).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

/// The addresses under which the LAN reaches this machine: of every interface that is up, without loopback and without
/// what is routed on the internet. Asks the kernel over netlink, so a sandbox must allow `AF_NETLINK`.
///
/// # Errors
/// What the kernel says.
pub fn interfaces() -> io::Result<BTreeSet<IpAddr>> {
    let up = |interface: &InterfaceAddress| interface.flags.contains(InterfaceFlags::IFF_UP);
    let addresses = getifaddrs()?.filter(up).filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Ok(addresses.filter(|address| is_lan(*address)).collect())
}

/// RFC 1918, RFC 3927 (a cable between two machines), RFC 6598 (overlay networks use it); RFC 4193. An IPv6 link-local
/// address can't be opened in a browser.
fn is_lan(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local() || is_shared(address),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// 100.64.0.0/10.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

#[cfg(test)]
mod tests;
