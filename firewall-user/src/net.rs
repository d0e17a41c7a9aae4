//! Interfaces and addresses of this box, as the kernel tells them over netlink.
//!
//! `/sys/class/net` is not asked: it shows the network namespace in which it was mounted, not ours.

mod listen;
pub mod multicast;
mod netlink;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use firewall_common::abi::{Addr, AddrKey, NetworkKey};
use graph::principal::parse_mac;

pub use self::{listen::Listener, netlink::Changes};
use crate::kernel::Prefix;

/// Name of a network interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a name that the kernel would give to an interface.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interface name has 1 to 15 letters, digits, '-', '_', '.' or '@'")]
pub struct BadInterfaceName;

impl FromStr for InterfaceName {
    type Err = BadInterfaceName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fits = matches!(name.len(), 1..=15) && name != "." && name != "..";
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
        // The name also becomes part of the guard's rules, so it is narrower than what the kernel takes.
        if fits && name.bytes().all(plain) { Ok(Self(name.to_owned())) } else { Err(BadInterfaceName) }
    }
}

/// MAC of the router to the IPv4 Internet, if this box has spoken with it lately.
pub fn router() -> Option<[u8; 6]> {
    let table = |name| std::fs::read_to_string(format!("/proc/self/net/{name}")).ok();
    router_in(&table("route")?, &table("arp")?)
}

/// The same, of the tables of routes and of neighbours (proc(5)).
fn router_in(routes: &str, neighbours: &str) -> Option<[u8; 6]> {
    let rows =
        |table| str::lines(table).skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let gateway = rows(routes).find_map(|route| match route[..] {
        [_, "00000000", gateway, ..] if gateway != "00000000" => u32::from_str_radix(gateway, 16).ok(),
        _ => None,
    })?;
    // The kernel shows the four octets as one number of this machine.
    let gateway = Ipv4Addr::from(gateway.to_ne_bytes()).to_string();
    rows(neighbours).find_map(|neighbour| match neighbour[..] {
        [address, _, flags, mac, ..] if address == gateway && flags != "0x0" => parse_mac(mac),
        _ => None,
    })
}

/// An interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub ifindex: u32,
    pub name: String,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub ifindex: u32,
    pub ip: IpAddr,
    pub prefix_length: u8,
}

/// Stands for every protected link in [`NetworkKey`](firewall_common::abi::NetworkKey): networks whose addresses are
/// devices wherever they are.
const ANY_LINK: u32 = 0;

/// Interfaces and addresses at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub links: Vec<Link>,
    pub addresses: Vec<Address>,
}

impl Snapshot {
    /// Asks the kernel.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self { links: netlink::links()?, addresses: netlink::addresses()? })
    }

    /// The interface of this name, if it exists.
    pub fn link(&self, name: &InterfaceName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name.as_str())
    }

    /// What the kernel programs must know of addresses at these protected interfaces; `beyond` is the bridge that the
    /// uplink is a port of.
    pub fn facts(&self, lan: &[&Link], beyond: Option<u32>) -> Facts {
        let mut facts = Facts::default();
        for address in &self.addresses {
            let links =
                lan.iter().filter(|link| link.owner() == address.ifindex || link.ifindex == address.ifindex);
            let addr = mapped(address.ip);
            if addr.is_link_local() {
                for link in links {
                    facts.own.push(AddrKey { addr, link: link.owner() });
                }
                continue;
            }
            facts.own.push(AddrKey { addr, link: 0 });
            for link in links {
                facts.networks.push(prefix(link.owner(), address.ip, address.prefix_length));
                // A bridge of which the uplink is a port may have anyone in its network.
                if Some(link.owner()) != beyond {
                    facts.networks.push(prefix(ANY_LINK, address.ip, address.prefix_length));
                }
                facts.everyone.extend(directed_broadcast(address).map(|addr| AddrKey { addr, link: 0 }));
            }
        }
        for link in lan {
            let owner = link.owner();
            if !facts.networks.iter().any(|network| network.key.link == owner.to_be_bytes()) {
                facts.networks.extend(PRIVATE.iter().map(|&(ip, length)| prefix(owner, ip, length)));
            }
            facts.networks.extend(LINK_LOCAL.iter().map(|&(ip, length)| prefix(owner, ip, length)));
        }
        facts.normalise();
        facts
    }
}

impl Link {
    /// The link that this port is part of: its bridge, or itself.
    pub fn owner(&self) -> u32 {
        self.master.unwrap_or(self.ifindex)
    }
}

/// What devices may hold where the box has no address of its own, as on a bridge between two switches.
const PRIVATE: [(IpAddr, u8); 4] = [
    (v4([10, 0, 0, 0]), 8),
    (v4([172, 16, 0, 0]), 12),
    (v4([192, 168, 0, 0]), 16),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7),
];

const LINK_LOCAL: [(IpAddr, u8); 2] = [(v4([169, 254, 0, 0]), 16), (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10)];

const fn v4(octets: [u8; 4]) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
}

const fn v6(s: [u16; 8]) -> IpAddr {
    IpAddr::V6(std::net::Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]))
}

/// Addresses for `HOSTS` and prefixes for `NETWORKS`, sorted and without doubles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Addresses of the box.
    pub own: Vec<AddrKey>,
    /// Directed broadcasts.
    pub everyone: Vec<AddrKey>,
    /// What devices of each link may hold.
    pub networks: Vec<Prefix>,
}

impl Facts {
    fn normalise(&mut self) {
        for keys in [&mut self.own, &mut self.everyone] {
            keys.sort_by_key(|key| (key.addr, key.link));
            keys.dedup();
        }
        self.networks.sort_by_key(|prefix| (prefix.key.link, prefix.key.addr, prefix.bits));
        self.networks.dedup();
    }
}

/// An address as the kernel programs have it.
pub fn mapped(ip: IpAddr) -> Addr {
    match ip {
        IpAddr::V4(v4) => Addr::from_v4(v4.octets()),
        IpAddr::V6(v6) => Addr(v6.octets()),
    }
}

/// An address as people read it.
pub fn readable(addr: Addr) -> IpAddr {
    addr.v4().map_or_else(|| IpAddr::from(addr.0), IpAddr::from)
}

/// The prefix of a link: 32 bits of link, then the address with its host bits cleared.
fn prefix(link: u32, ip: IpAddr, length: u8) -> Prefix {
    let mapped_length = match ip {
        IpAddr::V4(_) => 96 + u32::from(length.min(32)),
        IpAddr::V6(_) => u32::from(length.min(128)),
    };
    let bits = u128::from_be_bytes(mapped(ip).0);
    let host = u128::MAX.checked_shr(mapped_length).unwrap_or(0);
    Prefix {
        bits: 32 + mapped_length,
        key: NetworkKey { link: link.to_be_bytes(), addr: Addr((bits & !host).to_be_bytes()) },
    }
}

fn directed_broadcast(address: &Address) -> Option<Addr> {
    match address.ip {
        // A /31 or /32 has no broadcast (RFC 3021).
        IpAddr::V4(ip) if address.prefix_length < 31 => {
            let host = u32::MAX.checked_shr(u32::from(address.prefix_length)).unwrap_or(0);
            Some(Addr::from_v4((u32::from(ip) | host).to_be_bytes()))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_the_neighbour_that_the_default_route_names() {
        let gateway = u32::from_ne_bytes([192, 0, 2, 1]);
        let routes = |gateway: u32| {
            format!(
                "Iface\tDestination\tGateway \tFlags\nlan0\t0002000A\t00000000\t0001\nwan0\t00000000\t{gateway:08X}\t0003\n"
            )
        };
        let neighbours = |flags: &str| {
            format!(
                "IP address HW type Flags HW address Mask Device\n192.0.2.10 0x1 0x2 02:00:00:00:00:0a * wan0\n\
                 192.0.2.1  0x1 {flags} 02:00:00:00:00:01 * wan0\n"
            )
        };
        assert_eq!(router_in(&routes(gateway), &neighbours("0x2")), Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(router_in(&routes(gateway), &neighbours("0x0")), None, "it did not answer");
        assert_eq!(router_in(&routes(0), &neighbours("0x2")), None, "a link without a router");
        assert_eq!(router_in("", "nonsense\n1 2"), None);
    }

    fn port(ifindex: u32, master: Option<u32>) -> Link {
        Link { ifindex, name: format!("lan{ifindex}"), master }
    }

    fn address(ifindex: u32, ip: &str, prefix_length: u8) -> Address {
        Address { ifindex, ip: ip.parse().expect("the test's own"), prefix_length }
    }

    fn facts(addresses: Vec<Address>, lan: &[Link]) -> Facts {
        let snapshot = Snapshot { links: lan.to_vec(), addresses };
        snapshot.facts(&lan.iter().collect::<Vec<_>>(), None)
    }

    fn has(facts: &Facts, link: u32, ip: &str, length: u8) -> bool {
        facts.networks.contains(&prefix(link, ip.parse().expect("the test's own"), length))
    }

    #[test]
    fn a_routed_port_has_its_own_networks() {
        let facts = facts(
            vec![address(3, "10.1.2.1", 24), address(3, "fe80::1", 64), address(9, "203.0.113.7", 24)],
            &[port(3, None)],
        );
        assert!(has(&facts, 3, "10.1.2.0", 24));
        assert!(has(&facts, 3, "169.254.0.0", 16));
        assert!(!has(&facts, 3, "192.168.0.0", 16));
        assert!(!has(&facts, 3, "203.0.113.0", 24), "the uplink's network is no device's");
        let own = |ip: &str, link| facts.own.contains(&AddrKey { addr: mapped(ip.parse().unwrap()), link });
        assert!(own("10.1.2.1", 0) && own("203.0.113.7", 0) && own("fe80::1", 3));
        assert_eq!(facts.everyone, [AddrKey { addr: Addr::from_v4([10, 1, 2, 255]), link: 0 }]);
    }

    #[test]
    fn ports_of_a_bridge_share_what_the_bridge_has() {
        let facts = facts(vec![address(7, "192.168.5.1", 22)], &[port(3, Some(7)), port(4, Some(7))]);
        assert!(has(&facts, 7, "192.168.4.0", 22));
        assert_eq!(facts.everyone, [AddrKey { addr: Addr::from_v4([192, 168, 7, 255]), link: 0 }]);
        assert!(has(&facts, ANY_LINK, "192.168.4.0", 22));
        let links = [7, ANY_LINK].map(u32::to_be_bytes);
        assert!(facts.networks.iter().all(|network| links.contains(&network.key.link)));
    }

    #[test]
    fn without_an_address_private_ranges_are_expected() {
        let facts = facts(vec![], &[port(3, Some(7))]);
        assert!(has(&facts, 7, "10.0.0.0", 8) && has(&facts, 7, "fd00::", 7) && has(&facts, 7, "fe80::", 10));
        assert_eq!(facts.own, []);
    }

    #[test]
    fn a_prefix_counts_the_link() {
        let ip = "2001:db8:1:2:3::4".parse().unwrap();
        let network = prefix(1, ip, 64);
        assert_eq!(network.bits, 96);
        assert_eq!(readable(network.key.addr).to_string(), "2001:db8:1:2::");
        assert_eq!(prefix(1, ip, 128).key.addr, mapped(ip));
        assert_eq!(prefix(1, "10.9.8.7".parse().unwrap(), 0).bits, 128);
    }

    #[test]
    fn names_that_could_break_out_of_a_rule_are_refused() {
        for bad in ["", "a/b", "lan0\"; drop", "sixteen-letters-", "..", "lan 0"] {
            assert_eq!(bad.parse::<InterfaceName>(), Err(BadInterfaceName), "{bad:?}");
        }
        assert!("br-lan.10@x".parse::<InterfaceName>().is_ok());
    }
}
