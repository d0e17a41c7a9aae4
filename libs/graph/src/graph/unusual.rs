//! What is unusual on an edge that passes: it is measured, limited, flagged and asked about.

use std::time::Duration;

use firewall_common::abi::{Kind, PrincipalId, Protocol};
use firewall_common::precedence::Mode;

use super::{Fact, Graph};
use crate::command::{Command, Event};
use crate::decision::{Author, Refused, What};
use crate::edge::{Edge, EdgeId, Path, Property, State, Stream};
use crate::operation::{Operation, Plane};
use crate::principal;
use crate::time::Now;
use crate::usual::{Flag, Metered, Response, Usual};
use crate::watch::{SHORT_BYTES, Sign, is_for_logins};

/// What is usual is saved at most this often.
const SAVE_EVERY_NS: u64 = 300_000_000_000;

impl Graph {
    /// What a transport has carried in a window that has just ended.
    pub fn handle_metered(&mut self, id: EdgeId, metered: &Metered, elapsed: Duration, now: Now) {
        let Some(edge) = self.edges.get(&id).filter(|edge| edge.is_transport() && edge.passes(now)) else {
            return;
        };
        let (src, stream) = (edge.path.src, edge.path.stream());
        let floods = stream.is_some_and(|stream| {
            let is_read = self.speaks(stream, now) != 0;
            is_read && self.handle_messages(stream, metered.moved[0].messages, now)
        });
        if let Some(stream) = stream.filter(|_| metered.opened > 0) {
            self.sign_of_connections(stream, metered, now);
        }
        let running = self.watch.running(id);
        let gap = running.add(metered.bytes(), now);
        let running = *running;
        let learns = self.learns(src) || !self.knows_usual(id, now);
        if learns && !floods {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = metered.bytes().saturating_mul(1_000) / millis;
            if let Some(edge) = self.edges.get_mut(&id) {
                edge.usual.get_or_insert_with(|| Box::new(Usual::begin(now))).learn(rate, &running, gap, now);
            }
            self.save_usual(id, now);
        } else if !learns {
            self.look_at(id, metered, now);
        }
        // Also where time alone has made enough of what is known.
        self.tell_limit(id, now);
        self.flush(now);
    }

    /// What new connections are a sign of.
    fn sign_of_connections(&mut self, stream: Stream, metered: &Metered, now: Now) {
        let Stream { src, dst, port, .. } = stream;
        let opened = u64::from(metered.opened);
        if self.speaks(stream, now) & Protocol::Mqtt.bit() != 0 {
            let (said, open) = (metered.moved[0].messages, metered.open);
            self.handle_sign(src, dst, Sign::Sessions { opened, said, open }, now);
        }
        if is_for_logins(port) && metered.bytes() / opened < SHORT_BYTES {
            self.handle_sign(src, dst, Sign::Short(opened), now);
        }
    }

    fn look_at(&mut self, id: EdgeId, metered: &Metered, now: Now) {
        if metered.over > 0 {
            self.exceeds_rate(id, metered.over.into(), now);
        }
        let running = *self.watch.running(id);
        let usual = self.edges.get(&id).and_then(|edge| edge.usual.as_ref());
        if let Some((property, usual, seen)) = usual.and_then(|usual| usual.unusual(&running, now)) {
            self.flag(id, Flag { property, since: now.unix, last: now.unix, times: 1, usual, seen }, now);
        }
    }

    /// The kernel has dropped frames of an edge.
    fn exceeds_rate(&mut self, id: EdgeId, frames: u64, now: Now) {
        let Some(usual) = self.edges.get(&id).and_then(|edge| edge.usual.as_ref()) else { return };
        let (property, usual, seen) = (Property::RateExceeded, usual.rate, usual.limit());
        self.flag(id, Flag { property, since: now.unix, last: now.unix, times: frames, usual, seen }, now);
    }

    /// What the kernel tells of the first frame that it drops; how many there are is counted elsewhere.
    pub(super) fn hear_of_rate(&mut self, fact: &Fact, src: PrincipalId, dst: PrincipalId, now: Now) {
        let key = fact.key.edge;
        let operation = Kind::from_code(key.kind)
            .and_then(|kind| Operation::from_wire(kind, key.proto, key.port, &[]).ok().flatten());
        let Some(operation) = operation else { return };
        let id = self.index.edges.get(&Path { plane: Plane::Packet, src, dst, operation }).copied();
        let is_flagged =
            |edge: &Edge| edge.flag.as_ref().is_some_and(|flag| flag.property == Property::RateExceeded);
        if let Some(id) = id.filter(|id| self.edges.get(id).is_some_and(|edge| !is_flagged(edge))) {
            self.exceeds_rate(id, 1, now);
        }
    }

    /// Asks about an edge that flows on, or stops it where the owner has chosen so.
    fn flag(&mut self, id: EdgeId, found: Flag, now: Now) {
        let response = self.response(id);
        let Some(edge) = self.edges.get_mut(&id) else { return };
        if let Some(known) = edge.flag.as_mut().filter(|known| known.property == found.property) {
            known.last = found.last;
            known.times = known.times.saturating_add(found.times);
            known.seen = known.seen.max(found.seen);
            return;
        }
        // The first thing that is unusual is asked about; an answer makes room for the next.
        if edge.flag.is_some() {
            return;
        }
        let src = edge.path.src;
        if self.flagged_from(src) >= self.settings.pending_per_source {
            return self.overflow(src, 1, now);
        }
        let rev = self.touch();
        let Some(edge) = self.edges.get_mut(&id) else { return };
        edge.flag = Some(Box::new(found));
        edge.rev = rev;
        if response == Response::Block {
            edge.decided = true;
            return self.make_pending(id, now);
        }
        self.save_edge(id, now);
        self.notify(Event::EdgePending(id));
    }

    fn flagged_from(&self, src: PrincipalId) -> usize {
        self.edges_from(src).filter(|edge| edge.flag.is_some()).count()
    }

    /// What is done about something unusual on an edge: as is set for it, or for its source.
    pub fn response(&self, id: EdgeId) -> Response {
        let Some(edge) = self.edges.get(&id) else { return Response::Ask };
        let source = || self.principals.get(&edge.path.src).map(|principal| principal.response);
        edge.response.or_else(source).unwrap_or_default()
    }

    /// Sets what is done about something unusual on an edge; without a response, what is set for its source.
    pub fn set_edge_response(
        &mut self,
        id: EdgeId,
        response: Option<Response>,
        author: &Author,
        now: Now,
    ) -> Result<(), Refused> {
        let rev = self.touch();
        let edge = self.edges.get_mut(&id).filter(|edge| edge.state != State::Lapsed);
        let edge = edge.ok_or_else(|| {
            Refused::NotFound(format!("There is no edge {}; `edgeward edges list` shows all", id.0))
        })?;
        edge.response = response;
        edge.rev = rev;
        let word = response.map_or("as its source", Response::as_str);
        let detail = format!("unusual on edge {}: {word}", id.0);
        let what = What::Set { principal: edge.path.src, detail };
        self.save_edge(id, now);
        self.record_decision(what, author, now);
        self.notify(Event::EdgeChanged(id));
        Ok(())
    }

    /// Sets what is done about something unusual on all edges of a principal that have no setting of their own.
    pub fn set_response(
        &mut self,
        id: PrincipalId,
        response: Response,
        author: &Author,
        now: Now,
    ) -> Result<(), Refused> {
        let rev = self.touch();
        let principal = self.principals.get_mut(&id).filter(|principal| !principal.is_builtin());
        let principal = principal
            .ok_or_else(|| Refused::Invalid("This is set for devices and outside hosts".to_owned()))?;
        principal.response = response;
        principal.rev = rev;
        self.save_principal(id);
        let what = What::Set { principal: id, detail: format!("unusual: {}", response.as_str()) };
        self.record_decision(what, author, now);
        self.notify(Event::PrincipalChanged(id));
        Ok(())
    }

    fn save_usual(&mut self, id: EdgeId, now: Now) {
        let running = self.watch.running(id);
        if now.boot_ns.saturating_sub(running.saved) >= SAVE_EVERY_NS {
            running.saved = now.boot_ns;
            self.save_edge(id, now);
        }
    }

    fn knows_usual(&self, id: EdgeId, now: Now) -> bool {
        let usual = self.edges.get(&id).and_then(|edge| edge.usual.as_ref());
        usual.is_some_and(|usual| usual.is_known(self.settings.learn_min, now))
    }

    /// Makes the kernel hold back what is over the limit of an edge.
    pub(super) fn tell_limit(&mut self, id: EdgeId, now: Now) {
        let Some(edge) = self.edges.get(&id).filter(|edge| edge.is_transport()) else { return };
        let want = self.limit(edge, now);
        if self.told.is_held_back(id) != want {
            let key = edge.path.transport();
            self.told.hold_back(id, want);
            self.push(Command::PutLimit { key, rate: want });
        }
    }

    /// As [`Graph::tell_limit`], for all edges from a principal.
    pub(super) fn tell_limits(&mut self, src: PrincipalId, now: Now) {
        let ids: Vec<EdgeId> = self.edges_from(src).map(|edge| edge.id).collect();
        for id in ids {
            self.tell_limit(id, now);
        }
    }

    /// Bytes a second that an edge may carry, over all of its connections; none if all of it passes: while its source learns, as long as too little is
    /// known, for the box itself, and for laptops and phones on their way to the Internet.
    pub fn limit(&self, edge: &Edge, now: Now) -> Option<u64> {
        let (src, dst) = (self.principals.get(&edge.path.src)?, self.principals.get(&edge.path.dst)?);
        let is_free =
            matches!(src.kind, principal::Kind::Computer | principal::Kind::Phone) && dst.is_outside();
        if src.mode == Mode::System || is_free || src.learns() || !self.told.holds(edge.id) {
            return None;
        }
        edge.usual.as_ref().filter(|_| self.knows_usual(edge.id, now)).map(|usual| usual.limit())
    }
}
