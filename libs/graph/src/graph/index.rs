//! Edges in and out of the collections.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use firewall_common::abi::PrincipalId;

use super::Graph;
use crate::command::{Command, Event};
use crate::decision::Lifetime;
use crate::edge::{Edge, EdgeId, Path, State, Stream};
use crate::host::HostName;
use crate::record::RecordKey;
use crate::time::Now;

/// Ways to find things.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Asked for with each fact, and never walked: its order is not that of anything.
    pub(super) edges: HashMap<Path, EdgeId>,
    pub(super) from: BTreeMap<PrincipalId, BTreeSet<EdgeId>>,
    pub(super) to: BTreeMap<PrincipalId, BTreeSet<EdgeId>>,
    /// Edges with a decision that can end by itself.
    pub(super) temporary: BTreeSet<EdgeId>,
    /// By MAC and VLAN.
    pub(super) macs: BTreeMap<([u8; 6], u16), PrincipalId>,
    /// Addresses that mean an outside host.
    pub(super) hosts: BTreeMap<[u8; 16], PrincipalId>,
    /// Outside hosts by name.
    pub(super) named: BTreeMap<HostName, PrincipalId>,
    /// Addresses that devices hold.
    pub(super) bound: BTreeMap<[u8; 16], PrincipalId>,
    /// By the owner's name, in small letters.
    owned: BTreeMap<String, PrincipalId>,
}

impl Index {
    /// The edges that lead to a principal.
    pub(super) fn to_ids(&self, id: PrincipalId) -> Vec<EdgeId> {
        self.to.get(&id).into_iter().flatten().copied().collect()
    }

    /// Who was given a name; capitals do not matter.
    pub(super) fn with_name(&self, name: &str) -> Option<PrincipalId> {
        self.owned.get(&name.to_lowercase()).copied()
    }

    /// A principal has another name than before.
    pub(super) fn rename(&mut self, id: PrincipalId, before: Option<&str>, after: Option<&str>) {
        let before = before.map(str::to_lowercase).filter(|name| self.owned.get(name) == Some(&id));
        if let Some(before) = before {
            self.owned.remove(&before);
        }
        if let Some(after) = after {
            self.owned.entry(after.to_lowercase()).or_insert(id);
        }
    }
}

impl Graph {
    pub(super) fn insert_edge(&mut self, edge: Edge) {
        let id = edge.id;
        self.index.edges.insert(edge.path.clone(), id);
        self.index.from.entry(edge.path.src).or_default().insert(id);
        self.index.to.entry(edge.path.dst).or_default().insert(id);
        self.edges.insert(id, edge);
    }

    pub(super) fn take_edge(&mut self, id: EdgeId) -> Option<Edge> {
        let edge = self.edges.remove(&id)?;
        self.index.edges.remove(&edge.path);
        for (index, end) in [(&mut self.index.from, edge.path.src), (&mut self.index.to, edge.path.dst)] {
            if let Some(ids) = index.get_mut(&end) {
                ids.remove(&id);
                if ids.is_empty() {
                    index.remove(&end);
                }
            }
        }
        self.index.temporary.remove(&id);
        self.serves_otherwise(&edge.path);
        Some(edge)
    }

    /// Removes an edge from kernel, disk and memory, and outside hosts that nothing leads to then.
    pub(super) fn drop_edge(&mut self, id: EdgeId, now: Now) {
        if let Some(edge) = self.erase_edge(id, now) {
            self.collect_outside(edge.path.src, now);
            self.collect_outside(edge.path.dst, now);
        }
    }

    /// Removes an edge from kernel, disk and memory.
    pub(super) fn erase_edge(&mut self, id: EdgeId, now: Now) -> Option<Edge> {
        let edge = self.take_edge(id)?;
        self.saved.remove(&id);
        self.asked_uses.remove(&id);
        if let Some(stream) = edge.path.stream().filter(|_| edge.is_transport()) {
            self.watch.forget_stream(stream);
        }
        self.watch.forget_edge(id);
        self.untell_edge(&edge, now);
        self.push(Command::Delete(RecordKey::Edge(id.0)));
        self.touch();
        self.notify(Event::EdgeRemoved(id));
        Some(edge)
    }

    /// Sets the state of an edge in memory only.
    pub(super) fn set_state(&mut self, id: EdgeId, state: State, now: Now) {
        let rev = self.touch();
        let Some(edge) = self.edges.get_mut(&id) else { return };
        let temporary = matches!(&state, State::Allowed(ruling) | State::Denied(ruling)
            if ruling.lifetime != Lifetime::Always);
        if let Some(flag) = edge.flag.take_if(|_| state != State::Pending)
            && let (State::Allowed(_), Some(usual)) = (&state, &mut edge.usual)
        {
            usual.widen(&flag);
        }
        edge.state = state;
        edge.since = now.unix;
        edge.rev = rev;
        let path = edge.path.clone();
        if temporary {
            self.index.temporary.insert(id);
        } else {
            self.index.temporary.remove(&id);
        }
        self.serves_otherwise(&path);
    }

    /// The edge with this path.
    pub(crate) fn edge_with(&self, path: &Path) -> Option<&Edge> {
        self.index.edges.get(path).and_then(|id| self.edges.get(id))
    }

    pub(crate) fn edges_from(&self, id: PrincipalId) -> impl Iterator<Item = &Edge> {
        self.index.from.get(&id).into_iter().flatten().filter_map(|id| self.edges.get(id))
    }

    pub(crate) fn edges_to(&self, id: PrincipalId) -> impl Iterator<Item = &Edge> {
        self.index.to.get(&id).into_iter().flatten().filter_map(|id| self.edges.get(id))
    }

    /// Edges of both directions.
    pub(super) fn edges_of(&self, id: PrincipalId) -> Vec<EdgeId> {
        let ids = [&self.index.from, &self.index.to].into_iter().filter_map(|index| index.get(&id));
        ids.flatten().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The message edges inside a stream.
    pub(super) fn messages(&self, stream: Stream) -> impl Iterator<Item = &Edge> {
        self.edges_from(stream.src).filter(move |edge| {
            edge.path.dst == stream.dst
                && edge.path.operation.is_message()
                && edge.path.stream() == Some(stream)
        })
    }
}
