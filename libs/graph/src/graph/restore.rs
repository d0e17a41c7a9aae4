//! From records back to a graph.

use std::collections::BTreeSet;

use firewall_common::abi::PrincipalId;

use super::Graph;
use crate::ban::Ban;
use crate::decision::Lifetime;
use crate::edge::{Edge, EdgeId, State};
use crate::principal::Principal;
use crate::record::{Record, RestoreError};
use crate::settings::Settings;
use crate::time::Now;

impl Graph {
    /// The site as it was stored. The commands that follow write the whole kernel state: what the maps hold beyond is
    /// to be removed. Places are written once [`Graph::handle_port`] names their interface.
    pub fn restore(
        settings: Settings,
        records: impl IntoIterator<Item = Record>,
        now: Now,
    ) -> Result<Self, RestoreError> {
        let mut site = None;
        let (mut principals, mut edges, mut decisions, mut bans) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut keys = BTreeSet::new();
        for record in records {
            if !keys.insert(record.key()) {
                return Err(RestoreError::Twice(record.key()));
            }
            match record {
                Record::Site(record) => site = Some(record),
                Record::Principal(record) => principals.push(record),
                Record::Edge(record) => edges.push(record),
                Record::Decision(record) => decisions.push(record),
                Record::Ban(record) => bans.push(record),
            }
        }
        let mut graph = Self::empty(settings, site.ok_or(RestoreError::NoSite)?);
        for principal in principals {
            graph.restore_principal(principal)?;
        }
        for edge in edges {
            graph.restore_edge(edge)?;
        }
        for decision in decisions {
            let edge = decision.what.edge().map_or(0, |edge| edge.id.0);
            graph.next_edge = graph.next_edge.max(edge.saturating_add(1));
            graph.decisions.insert(decision.id, decision);
        }
        let devices: Vec<PrincipalId> = graph.principals.keys().copied().collect();
        for id in devices {
            graph.guess_again(id);
        }
        graph.catch_up_on_names(now);
        // One of a principal that is gone is over.
        bans.retain(|ban: &Ban| graph.principals.contains_key(&ban.principal));
        for ban in bans {
            graph.restore_ban(ban);
        }
        graph.tell_everything(now);
        graph.handle_timeout(now);
        Ok(graph)
    }

    fn restore_principal(&mut self, principal: Principal) -> Result<(), RestoreError> {
        let id = principal.id;
        if !(PrincipalId::FIRST..self.settings.room.principals).contains(&id.0) {
            return Err(RestoreError::Number(crate::record::RecordKey::Principal(id.0)));
        }
        for place in &principal.places {
            if let Some(other) = self.index.macs.insert((place.mac, place.vlan), id) {
                return Err(RestoreError::SamePlace(other.0, id.0));
            }
        }
        for addr in &principal.addresses {
            if principal.is_device() {
                self.index.bound.insert(addr.0, id);
            } else if let Some(other) = self.index.hosts.insert(addr.0, id) {
                return Err(RestoreError::SamePlace(other.0, id.0));
            }
        }
        if let Some(name) = &principal.host
            && let Some(other) = self.index.named.insert(name.clone(), id)
        {
            return Err(RestoreError::SamePlace(other.0, id.0));
        }
        self.index.rename(id, None, principal.name.as_deref());
        self.rev = self.rev.max(principal.rev);
        self.principals.insert(id, principal);
        Ok(())
    }

    fn restore_edge(&mut self, edge: Edge) -> Result<(), RestoreError> {
        for end in [edge.path.src, edge.path.dst] {
            if !self.principals.contains_key(&end) {
                return Err(RestoreError::NoPrincipal { edge: edge.id.0, principal: end.0 });
            }
        }
        if edge.id.0 < EdgeId::FIRST || edge.id.0 == u32::MAX {
            return Err(RestoreError::Number(crate::record::RecordKey::Edge(edge.id.0)));
        }
        if let Some(other) = self.index.edges.get(&edge.path) {
            return Err(RestoreError::SameEdge(other.0, edge.id.0));
        }
        if let State::Allowed(ruling) | State::Denied(ruling) = &edge.state
            && ruling.lifetime != Lifetime::Always
        {
            self.index.temporary.insert(edge.id);
        }
        self.rev = self.rev.max(edge.rev);
        self.next_edge = self.next_edge.max(edge.id.0 + 1);
        self.saved.insert(edge.id, 0);
        self.insert_edge(edge);
        Ok(())
    }
}
