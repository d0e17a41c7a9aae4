//! What devices say of themselves to everyone, for the graph's guesses.
//!
//! The kernel programs pass these frames as essentials or edges and tell nothing of their contents. A socket at each port
//! gives copies of them, before they are judged: so a frame is a clue about the device that has its MAC at this port, and of
//! nobody else. Once a second what waits is read, a few frames of each sender; the rest is left out, which loses hints and
//! nothing else.

use std::collections::{BTreeMap, HashMap};

use firewall_common::{
    abi::PrincipalId,
    wire::frame::{self, Frame},
};
use graph::{
    Graph, Now,
    inventory::{Clue, clues, is_worth_reading},
    principal::Principal,
};

use super::ports::Ports;
use crate::{
    makers::Makers,
    net::{InterfaceName, Listener},
};

/// Most frames that are read of a port in a second, and most of one sender.
const FRAMES: usize = 256;
const FRAMES_EACH: u32 = 8;

/// What listens, and who makes cards.
pub(super) struct Inventory {
    makers: Makers,
    listeners: BTreeMap<InterfaceName, (u32, Option<Listener>)>,
}

impl Inventory {
    pub(super) fn new(makers: Makers) -> Self {
        Self { makers, listeners: BTreeMap::new() }
    }

    /// Reads what waits at the ports, and names makers.
    pub(super) fn listen(&mut self, ports: &Ports, graph: &mut Graph, now: Now) {
        self.follow(ports);
        for (name, (_, listener)) in &mut self.listeners {
            let Some(open) = listener else { continue };
            if let Err(error) = hear(open, name, graph, now) {
                tracing::debug!(interface = %name, %error, "Nothing more is heard here");
                *listener = None;
            }
        }
        self.name_makers(graph, now);
    }

    /// One listener at each port that is there; an interface that was made again has another number.
    fn follow(&mut self, ports: &Ports) {
        let present: BTreeMap<InterfaceName, u32> =
            ports.present().map(|(name, ifindex)| (name.clone(), ifindex)).collect();
        self.listeners.retain(|name, (ifindex, _)| present.get(name) == Some(ifindex));
        for (name, ifindex) in present {
            self.listeners.entry(name).or_insert_with_key(|name| {
                let listener = Listener::new(ifindex);
                if let Err(error) = &listener {
                    tracing::warn!(interface = %name, %error, "What devices say of themselves is not heard here");
                }
                (ifindex, listener.ok())
            });
        }
    }

    fn name_makers(&self, graph: &mut Graph, now: Now) {
        let nameless = graph.principals().filter(|principal| principal.clues.maker.is_none());
        let maker = |principal: &Principal| {
            let mac = principal.places.first()?.mac;
            Some((principal.id, self.makers.of(mac)?.to_owned()))
        };
        let found: Vec<(PrincipalId, String)> = nameless.filter_map(maker).collect();
        for (id, maker) in found {
            graph.handle_clue(id, Clue::Maker(maker), now);
        }
    }
}

fn hear(listener: &mut Listener, port: &InterfaceName, graph: &mut Graph, now: Now) -> std::io::Result<()> {
    let mut heard: HashMap<[u8; 6], u32> = HashMap::new();
    for _ in 0..FRAMES {
        let Some(bytes) = listener.frame()? else { break };
        let mut headers = Frame::EMPTY;
        if frame::parse(&bytes, &mut headers).is_err() || !is_worth_reading(&headers) {
            continue;
        }
        let count = heard.entry(headers.src_mac).or_default();
        *count += 1;
        let Some(id) = device_at(port, headers.src_mac, graph).filter(|_| *count <= FRAMES_EACH) else {
            continue;
        };
        for clue in clues(&headers, bytes) {
            graph.handle_clue(id, clue, now);
        }
    }
    Ok(())
}

/// The device that has this MAC at this port; none if several have, in VLANs of their own: the copy does not say in which.
fn device_at(port: &InterfaceName, mac: [u8; 6], graph: &Graph) -> Option<PrincipalId> {
    let mut found = graph.with_mac(mac).filter(|principal| {
        principal.places.iter().any(|place| place.mac == mac && place.port == port.as_str())
    });
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one.id),
        (_, _) => None,
    }
}
