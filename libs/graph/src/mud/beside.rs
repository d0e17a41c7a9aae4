//! A profile beside the model: compared, proposed, and made of what was learned.

use firewall_common::abi::{Addr, PrincipalId};
use serde_json::{Value, json};

use super::{Comparison, Declared, GATEWAY, Profile, Proposed, Row, Who};
use crate::decision::Refused;
use crate::edge::{Edge, Path, Property, State};
use crate::graph::{Graph, Network, NewHost};
use crate::operation::{Object, Operation, Plane, TCP, UDP};
use crate::principal::{Principal, show_address};
use crate::time::Now;

/// Most ports of a range that are proposed one by one.
const RANGE_CAP: u16 = 8;

impl Graph {
    /// What a maker declares beside what is in the model of a device.
    pub fn compare(&self, device: PrincipalId, profile: &Profile, now: Now) -> Comparison {
        let mut comparison = Comparison::default();
        let mut used = vec![false; profile.declared.len()];
        for edge in self.opened(device, now) {
            let mut declared = false;
            for (entry, used) in profile.declared.iter().zip(&mut used) {
                if self.declares(entry, edge) {
                    declared = true;
                    *used = true;
                }
            }
            let line = self.line(edge);
            if declared { comparison.agreed.push(line) } else { comparison.undeclared.push(line) }
        }
        let unseen = profile.declared.iter().zip(used).filter(|(_, used)| !used);
        comparison.unseen = unseen.map(|(entry, _)| entry.to_string()).collect();
        comparison
    }

    /// Every connection that the maker declares or the device has tried: which of the two, and what the model says.
    pub fn mud_rows(&self, device: PrincipalId, profile: &Profile) -> Vec<Row> {
        let mut used = vec![false; profile.declared.len()];
        let mut rows = Vec::new();
        for edge in self.edges_from(device).filter(|edge| is_connection(edge)) {
            let mut declared = false;
            for (entry, used) in profile.declared.iter().zip(&mut used) {
                if self.declares(entry, edge) {
                    declared = true;
                    *used = true;
                }
            }
            let does = edge.tries > 0 || edge.state == State::Learned;
            if does || declared || edge.state != State::Lapsed {
                rows.push(Row { what: self.line(edge), declared, does, edge: Some(edge.id) });
            }
        }
        let unseen = profile.declared.iter().zip(used).filter(|(_, used)| !used);
        let unseen =
            unseen.map(|(entry, _)| Row { what: entry.to_string(), declared: true, does: false, edge: None });
        rows.extend(unseen);
        rows
    }

    /// Makes edges that wait for a decision of what a maker declares; nothing of it passes before somebody allows it.
    pub fn propose(&mut self, device: PrincipalId, profile: &Profile, now: Now) -> Result<Proposed, Refused> {
        if !self.own(device)?.is_device() {
            return Err(Refused::Invalid("A profile is about a device of this site".to_owned()));
        }
        let mut proposed = Proposed::default();
        for entry in &profile.declared {
            match self.whom(entry, now) {
                Some((dst, operations)) => {
                    for operation in operations {
                        let path = Path { plane: Plane::Packet, src: device, dst, operation };
                        self.propose_path(path, entry, &mut proposed, now);
                    }
                    self.collect_outside(dst, now);
                }
                None => proposed.open.push(entry.to_string()),
            }
        }
        Ok(proposed)
    }

    fn propose_path(&mut self, path: Path, entry: &Declared, proposed: &mut Proposed, now: Now) {
        let (src, dst) = (path.src, path.dst);
        match self.edge_with(&path) {
            Some(edge) if edge.state == State::Pending => return proposed.asked.push(edge.id),
            Some(edge) if edge.state != State::Lapsed => return proposed.known.push(self.line(edge)),
            Some(_) | None => {}
        }
        if src == dst
            || self.pending_from(src) >= self.settings().pending_per_source
            || !self.room_for_edge(now)
        {
            return proposed.open.push(entry.to_string());
        }
        let id = self.edge_at(path, now);
        self.make_pending_as(id, Property::Declared, now);
        proposed.asked.push(id);
    }

    /// Whom an entry means, if that is one principal, and what it would do there.
    fn whom(&mut self, entry: &Declared, now: Now) -> Option<(PrincipalId, Vec<Operation>)> {
        let proto = entry.proto.filter(|proto| matches!(*proto, TCP | UDP))?;
        let (first, last) = entry.ports.filter(|(first, last)| last - first < RANGE_CAP)?;
        let dst = match &entry.to {
            Who::Box => PrincipalId::SELF,
            Who::Host(name) => match self.named(name) {
                Some(id) => id,
                None => self.add_outside(NewHost::Name(name.clone()), now)?,
            },
            Who::Network(addr, 128) => self.at_address(Addr(*addr), now)?,
            Who::Network(..) | Who::Anyone | Who::LocalNetworks | Who::Named(_) => return None,
        };
        Some((dst, (first..=last).map(|port| Operation::connect(proto, port)).collect()))
    }

    fn at_address(&mut self, addr: Addr, now: Now) -> Option<PrincipalId> {
        match self.find(&show_address(addr)) {
            Ok(known) => Some(known),
            Err(_) if addr.is_everyone() => Some(PrincipalId::EVERYONE),
            Err(_) if self.can_be_outside(addr) => self.add_outside(NewHost::Addr(addr), now),
            Err(_) => None,
        }
    }

    /// `tcp/443 to cloud.example`.
    fn line(&self, edge: &Edge) -> String {
        let to = self.principal(edge.path.dst).map_or_else(String::new, Principal::title);
        format!("{} to {to}", edge.path.operation.object_text())
    }

    /// What is in the model of a device, as a profile.
    pub fn export_mud(&self, device: PrincipalId, now: Now) -> String {
        let entries: Vec<Value> = self
            .opened(device, now)
            .filter_map(|edge| self.mud_matches(edge))
            .enumerate()
            .map(|(at, matches)| {
                json!({ "name": format!("from-{at}"), "matches": matches, "actions": { "forwarding": "accept" } })
            })
            .collect();
        let profile = json!({
            "ietf-mud:mud": {
                "mud-version": 1,
                "mud-url": "https://edgeward.invalid/learned",
                "cache-validity": 48,
                "is-supported": false,
                "systeminfo": self.principal(device).map_or_else(String::new, Principal::title),
                "from-device-policy": { "access-lists": { "access-list": [{ "name": "from" }] } },
            },
            "ietf-access-control-list:acls": {
                "acl": [{ "name": "from", "type": "ipv4-acl-type", "aces": { "ace": entries } }],
            },
        });
        serde_json::to_string_pretty(&profile).expect("texts and numbers are always JSON")
    }

    /// Connections that the model lets a device open.
    fn opened(&self, device: PrincipalId, now: Now) -> impl Iterator<Item = &Edge> {
        self.edges_from(device).filter(move |edge| edge.passes(now) && is_connection(edge))
    }

    fn declares(&self, entry: &Declared, edge: &Edge) -> bool {
        let (Some((proto, port)), Some(dst)) = (edge.path.operation.end(), self.principal(edge.path.dst))
        else {
            return false;
        };
        let is_port = entry.ports.is_none_or(|(first, last)| (first..=last).contains(&port));
        let is_there = match &entry.to {
            Who::Anyone => true,
            Who::Host(name) => dst.host.as_ref().is_some_and(|host| host.covers(name)),
            Who::Network(addr, prefix) => {
                let network = Network { addr: Addr(*addr), prefix: *prefix };
                dst.addresses.iter().any(|addr| network.contains(*addr))
            }
            Who::LocalNetworks => {
                dst.is_device() || dst.id == PrincipalId::EVERYONE || dst.id == PrincipalId::SELF
            }
            Who::Box => dst.id == PrincipalId::SELF,
            Who::Named(_) => false,
        };
        is_port && is_there && entry.proto.is_none_or(|wanted| wanted == proto)
    }

    /// How a profile would say it; a domain of which each name may be used has no words there.
    fn mud_matches(&self, edge: &Edge) -> Option<Value> {
        let (proto, port) = edge.path.operation.end()?;
        let dst = self.principal(edge.path.dst)?;
        let mut ip = json!({ "protocol": proto });
        let mut family = "ipv4";
        let mut matches = json!({});
        match (&dst.host, dst.addresses.first()) {
            (Some(host), _) if host.is_pattern() => return None,
            (Some(host), _) => ip["ietf-acldns:dst-dnsname"] = json!(host.as_str()),
            (None, _) if dst.id == PrincipalId::SELF => {
                matches["ietf-mud:mud"] = json!({ "controller": format!("{GATEWAY}gateway") });
            }
            (None, Some(addr)) if dst.is_outside() => {
                let is_v4 = addr.v4().is_some();
                family = if is_v4 { "ipv4" } else { "ipv6" };
                let network = format!("{}/{}", show_address(*addr), if is_v4 { 32 } else { 128 });
                ip[format!("destination-{family}-network")] = json!(network);
            }
            (None, _) => matches["ietf-mud:mud"] = json!({ "local-networks": [null] }),
        }
        matches[family] = ip;
        let transport = if proto == TCP { "tcp" } else { "udp" };
        matches[transport] = json!({ "destination-port": { "operator": "eq", "port": port } });
        Some(matches)
    }
}

const fn is_connection(edge: &Edge) -> bool {
    matches!(edge.path.operation.object, Object::Port { proto: TCP | UDP, .. })
}
