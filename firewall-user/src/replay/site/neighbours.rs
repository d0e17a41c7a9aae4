//! Who is who in a capture: devices by MAC, and the gateway that stands for the box.
//!
//! A capture does not say where it was made, so the box is who routes: whose frames come from addresses beyond the
//! link, or go there, or who leases addresses.

use std::collections::{HashMap, HashSet};

use firewall_common::{
    abi::{Addr, EdgeKey, Kind, PrincipalId},
    precedence::Mode,
    reason::{Reason, Verdict},
    wire::{
        dhcp,
        essential::Service,
        frame::{Frame, proto},
    },
};
use graph::{decision::Author, graph::Network, principal::Place};

use super::Site;

/// The one port of a capture.
const PORT: &str = "capture";
pub(super) const IFINDEX: u32 = 1;
/// Most servers that leases name.
const SERVERS: usize = 16;

/// Addresses that belong to some site, and never to a host beyond an uplink: RFC 1918, RFC 6598, RFC 3927, RFC 4193 and
/// RFC 4291.
const INSIDE: [([u8; 16], u8); 7] = [
    (v4(10, 0, 0), 96 + 8),
    (v4(172, 16, 0), 96 + 12),
    (v4(192, 168, 0), 96 + 16),
    (v4(100, 64, 0), 96 + 10),
    (v4(169, 254, 0), 96 + 16),
    ([0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 7),
    ([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 10),
];

const fn v4(a: u8, b: u8, c: u8) -> [u8; 16] {
    Addr::from_v4([a, b, c, 0]).0
}

/// What is known of the link.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    by_mac: HashMap<[u8; 6], PrincipalId>,
    gateway: Option<[u8; 6]>,
    /// Resolvers and time servers that the gateway's leases name.
    servers: HashSet<(Addr, Service)>,
    /// Addresses that the graph knows to be bound.
    bound: HashMap<Addr, PrincipalId>,
}

impl Neighbours {
    pub(super) fn registered(&mut self, mac: [u8; 6], id: PrincipalId) {
        self.by_mac.insert(mac, id);
    }

    pub(super) fn forgotten(&mut self, mac: [u8; 6]) {
        self.by_mac.remove(&mac);
    }

    pub(super) fn principal(&self, mac: [u8; 6]) -> Option<PrincipalId> {
        if self.gateway == Some(mac) {
            return Some(PrincipalId::SELF);
        }
        self.by_mac.get(&mac).copied()
    }

    /// Whether a datagram is for the box, or for a server that takes its place.
    pub(super) fn is_server(&self, frame: &Frame, service: Service) -> bool {
        let box_itself = self.gateway == Some(frame.dst_mac) && is_inside(frame.dst);
        box_itself || self.servers.contains(&(frame.dst, service))
    }

    /// Who routes in the next capture, if it shows that.
    pub(super) fn routed_by(&mut self, gateway: Option<[u8; 6]>) {
        self.gateway = gateway.or(self.gateway);
    }
}

/// Who routes: the first one whose frames come from beyond the link, or else go there, or else who leases addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    from_outside: Option<[u8; 6]>,
    to_outside: Option<[u8; 6]>,
    leases: Option<[u8; 6]>,
}

impl Gateway {
    /// Takes a frame of the capture.
    pub fn see(&mut self, frame: &Frame) {
        if frame.version == 0 || frame.is_group() {
            return;
        }
        if is_outside(frame.src) {
            self.from_outside.get_or_insert(frame.src_mac);
        }
        if is_outside(frame.dst) {
            self.to_outside.get_or_insert(frame.dst_mac);
        }
        let service = Service::of(frame.src_port, frame.dst_port).filter(|_| frame.proto == proto::UDP);
        if service == Some(Service::DhcpServer) {
            self.leases.get_or_insert(frame.src_mac);
        }
    }

    /// Its MAC.
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.from_outside.or(self.to_outside).or(self.leases)
    }
}

impl Site {
    /// Gets to know who sends a frame, and who it is for.
    pub(super) fn meet(&mut self, frame: &Frame, bytes: &[u8]) {
        for mac in [frame.src_mac, frame.dst_mac] {
            if mac[0] & 1 == 0 && self.neighbours.principal(mac).is_none() {
                let place = Place { port: PORT.to_owned(), ifindex: IFINDEX, vlan: frame.vlan, mac };
                self.graph.handle_stranger(place, self.now());
                self.carry_out();
                self.accept(mac);
            }
        }
        let Some(src) = self.neighbours.principal(frame.src_mac) else { return };
        let is_own = is_inside(frame.src) && !frame.src.is_unspecified() && !frame.src.is_everyone();
        if src != PrincipalId::SELF && frame.version != 0 && is_own {
            self.bind(src, frame.src);
        }
        self.lease(frame, bytes, src);
    }

    /// While a site learns, whoever is there belongs to it.
    fn accept(&mut self, mac: [u8; 6]) {
        if let Some(id) = self.neighbours.principal(mac).filter(|_| self.learns) {
            // Refused for none of the devices that were registered just now.
            let _decision = self.graph.set_mode(id, Mode::Learning, &Author::firewall(), self.now());
            self.carry_out();
        }
    }

    fn bind(&mut self, id: PrincipalId, addr: Addr) {
        if self.neighbours.bound.insert(addr, id) != Some(id) {
            self.graph.handle_bound(id, addr, self.now());
            self.carry_out();
        }
    }

    /// What DHCP says: the name that a client gives itself, and the servers that it is told to use.
    fn lease(&mut self, frame: &Frame, bytes: &[u8], src: PrincipalId) {
        if frame.proto != proto::UDP {
            return;
        }
        match Service::of(frame.src_port, frame.dst_port) {
            Some(Service::DhcpClient) if dhcp::is(&bytes, frame.payload, dhcp::Op::Request) => {
                let Some((at, length)) = dhcp::host_name(&bytes, frame.payload) else { return };
                let name = bytes.get(at as usize..at as usize + usize::from(length)).unwrap_or_default();
                let dst = PrincipalId::UNKNOWN;
                let edge = EdgeKey { src, dst, port: 0, proto: 0, kind: Kind::DhcpName as u8 };
                let name = name.to_vec();
                self.tell(edge, Addr([0; 16]), &name, Verdict::Forwarded, Reason::InModel);
            }
            Some(Service::DhcpServer)
                if src == PrincipalId::SELF && dhcp::is(&bytes, frame.payload, dhcp::Op::Reply) =>
            {
                for (service, list) in [
                    (Service::Dns, dhcp::resolvers(&bytes, frame.payload)),
                    (Service::Ntp, dhcp::time_servers(&bytes, frame.payload)),
                ] {
                    let Some((at, length)) = list else { continue };
                    let list = bytes.get(at as usize..at as usize + usize::from(length)).unwrap_or_default();
                    for &[a, b, c, d] in list.as_chunks::<4>().0 {
                        if self.neighbours.servers.len() < SERVERS {
                            self.neighbours.servers.insert((Addr::from_v4([a, b, c, d]), service));
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// The prefixes of every site.
pub(super) fn inside() -> Vec<Network> {
    INSIDE.iter().map(|&(addr, prefix)| Network { addr: Addr(addr), prefix }).collect()
}

pub(super) fn is_inside(addr: Addr) -> bool {
    INSIDE.iter().any(|&(network, prefix)| Network { addr: Addr(network), prefix }.contains(addr))
}

pub(super) fn is_outside(addr: Addr) -> bool {
    let is_limited = addr.is_everyone() || addr.is_unspecified() || addr.v4().is_some_and(|v4| v4[0] == 0);
    !is_limited && !is_inside(addr)
}
