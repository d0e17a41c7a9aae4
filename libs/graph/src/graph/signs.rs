//! Signs of an attack on edges that pass.

use firewall_common::abi::{Kind, PrincipalId};
use firewall_common::reason::Reason;

use super::{Fact, Graph};
use crate::command::Alarm;
use crate::edge::{EdgeId, Stream};
use crate::time::Now;
use crate::watch::{Sign, Watch};

impl Graph {
    /// Something unusual was seen of a source at a destination.
    ///
    /// The alarm that it completes, also where that was raised lately.
    pub fn handle_sign(&mut self, src: PrincipalId, dst: PrincipalId, sign: Sign, now: Now) -> Option<Alarm> {
        let alarm = self.watch.see(src, dst, sign, now.boot_ns)?;
        self.alarm(alarm, src, now);
        Some(alarm)
    }

    /// So many messages went through a stream.
    ///
    /// While its source learns, the most in ten seconds become a part of the edge; a flood does not.
    ///
    /// Whether they are a flood.
    pub fn handle_messages(&mut self, stream: Stream, messages: u64, now: Now) -> bool {
        let Some(id) = self.index.edges.get(&stream.path()).copied() else { return false };
        let (count, ended) = self.watch.count(stream, messages, now.boot_ns);
        let learns = self.learns(stream.src);
        let Some(edge) = self.edges.get_mut(&id) else { return false };
        if let Some(ended) = ended.filter(|ended| learns && !Watch::is_flood(*ended, edge.busiest)) {
            edge.busiest = edge.busiest.max(u32::try_from(ended).unwrap_or(u32::MAX));
        }
        let floods = Watch::is_flood(count, edge.busiest);
        if floods {
            self.alarm(Alarm::Flood, stream.src, now);
        }
        floods
    }

    /// What a fact of the kernel is a sign of; `new` is how much of it was not told before.
    pub(super) fn sign_of(&mut self, fact: &Fact, src: PrincipalId, dst: PrincipalId, new: u64, now: Now) {
        let sign = match (Kind::from_code(fact.key.edge.kind), Reason::from_code(fact.value.reason)) {
            _ if new == 0 => return,
            (Some(Kind::LoginFailed), _) => Sign::LoginRefused(new),
            (_, Some(Reason::RateExceeded)) => return self.hear_of_rate(fact, src, dst, now),
            (_, Some(reason)) if breaks_protocol(reason) => Sign::Malformed(new),
            // Who scans tries addresses, and resolves no names.
            (Some(Kind::Transport), _) if self.host_of(dst).is_none() => {
                Sign::Tried { addr: fact.key.addr, port: fact.key.edge.port }
            }
            (_, _) => return,
        };
        let alarm = self.handle_sign(src, dst, sign, now);
        if let Sign::LoginRefused(count) = sign {
            let client = u32::try_from(fact.key.object).unwrap_or_default();
            let guilty = self.watch.blame(src, dst, EdgeId(client), count);
            if alarm == Some(Alarm::Bruteforce) {
                self.ban_pairs(src, dst, fact.key.edge.port, guilty, now);
            }
        }
    }
}

/// Whether a message with this reason is one that no sound client sends.
pub const fn breaks_protocol(reason: Reason) -> bool {
    matches!(reason, Reason::Malformed | Reason::ObjectCap | Reason::WorkCap | Reason::AliasUnknown)
}
