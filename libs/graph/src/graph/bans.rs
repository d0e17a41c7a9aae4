//! Who is banned, and what follows from it.

use firewall_common::abi::{PrincipalId, Protocol};

use super::{Graph, may_speak};
use crate::ban::{BAN_SECONDS, BANS_CAP, Ban, BanId};
use crate::command::{Alarm, Command, Event};
use crate::decision::{Author, DecisionId, Refused, What};
use crate::edge::{Edge, EdgeId, Path, State, Stream};
use crate::operation::{Name, Object, Operation, Verb};
use crate::principal::{Principal, harmless};
use crate::record::{Record, RecordKey};
use crate::time::{Deadline, Now};

/// Longest client id in characters: as long as an object may be.
const CLIENT_CAP: usize = firewall_common::abi::OBJECT_CAP;
const SECOND: u64 = 1_000_000_000;

impl Graph {
    /// Who is banned, by number.
    pub fn bans(&self) -> impl Iterator<Item = &Ban> {
        self.bans.values()
    }

    /// Bans a principal, or its MQTT connections with one client id.
    pub fn ban(
        &mut self,
        principal: PrincipalId,
        client: Option<&str>,
        seconds: u32,
        why: &str,
        author: &Author,
        now: Now,
    ) -> Result<BanId, Refused> {
        if self.principals.get(&principal).is_none_or(Principal::is_builtin) {
            return Err(Refused::Invalid("A ban is for a device or an outside host".to_owned()));
        }
        if !BAN_SECONDS.contains(&seconds) {
            return Err(Refused::duration("A ban lasts at least a minute and at most 30 days"));
        }
        if client.is_some_and(|client| client.is_empty() || harmless(client, CLIENT_CAP) != client) {
            return Err(Refused::Invalid("This is no MQTT client id".to_owned()));
        }
        let known = self.bans().find(|ban| ban.principal == principal && ban.client.as_deref() == client);
        let id = known.map_or(BanId(self.next_ban), |ban| ban.id);
        if known.is_none() && self.bans.len() >= BANS_CAP {
            return Err(Refused::TooMany("Too many bans; lift one first".to_owned()));
        }
        self.next_ban = self.next_ban.max(id.0.saturating_add(1));
        let ban = Ban {
            id,
            principal,
            client: client.map(str::to_owned),
            until: Deadline::after(now, seconds.into()),
            by: author.clone(),
            why: harmless(why, 80),
        };
        self.bans.insert(id, ban.clone());
        self.enforce(&ban, now);
        self.push(Command::Save(Box::new(Record::Ban(ban))));
        let client = client.map(str::to_owned);
        self.record_decision(What::Ban { principal, client, seconds, why: harmless(why, 80) }, author, now);
        self.notify(Event::PrincipalChanged(principal));
        Ok(id)
    }

    /// Ends a ban before its time.
    pub fn lift_ban(&mut self, id: BanId, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        let ban = self.take_ban(id).ok_or_else(|| {
            Refused::NotFound(format!("There is no ban {}; `edgeward bans list` shows all", id.0))
        })?;
        let (principal, client) = (ban.principal, ban.client.clone());
        let decision = self.record_decision(What::Lift { principal, client }, author, now);
        self.enforce(&ban, now);
        self.notify(Event::PrincipalChanged(principal));
        Ok(decision)
    }

    /// After too many refused logins at a broker: the client id that failed is banned for its source, and for nobody else.
    /// Where it has no edge of its own, those are that the source may use there.
    pub(super) fn ban_pairs(
        &mut self,
        src: PrincipalId,
        dst: PrincipalId,
        at: u16,
        guilty: EdgeId,
        now: Now,
    ) {
        let client = |edge: &Edge| match &edge.path.operation.object {
            Object::Client { port, id: Name::Exact(id) }
                if (edge.path.dst, *port) == (dst, at) && edge.passes(now) =>
            {
                Some(id.clone())
            }
            _ => None,
        };
        let guilty = self.edges.get(&guilty).filter(|edge| edge.path.src == src).and_then(client);
        let clients = match guilty {
            Some(client) => vec![client],
            None => self.edges_from(src).filter_map(client).collect(),
        };
        for client in clients {
            if self.banned_client(src, &client).is_some() {
                continue;
            }
            let (seconds, why) = (self.settings.ban, Alarm::Bruteforce.as_str());
            let banned = self.ban(src, Some(&client), seconds, why, &Author::firewall(), now);
            if banned.is_err() {
                self.overflow(src, 1, now);
            }
        }
    }

    /// Boot-time seconds until which nothing of a principal passes.
    pub(super) fn banned_until(&self, id: PrincipalId, now: Now) -> u32 {
        let ban = self.bans().find(|ban| ban.principal == id && ban.client.is_none() && !ban.is_over(now));
        ban.map_or(0, |ban| match ban.deadline(now) {
            0 => u32::MAX,
            at => u32::try_from(at.div_ceil(SECOND)).unwrap_or(u32::MAX),
        })
    }

    /// Whether nothing of a principal passes.
    pub(super) fn is_banned(&self, id: PrincipalId, now: Now) -> bool {
        self.banned_until(id, now) != 0
    }

    /// The ban of an edge that stands for a client id.
    pub(super) fn ban_of(&self, edge: &Edge, now: Now) -> Option<&Ban> {
        match &edge.path.operation.object {
            Object::Client { id: Name::Exact(id), .. } => {
                self.banned_client(edge.path.src, id).filter(|ban| !ban.is_over(now))
            }
            _ => None,
        }
    }

    fn banned_client(&self, src: PrincipalId, client: &str) -> Option<&Ban> {
        self.bans().find(|ban| ban.principal == src && ban.client.as_deref() == Some(client))
    }

    /// Ends bans whose time is over.
    pub(super) fn expire_bans(&mut self, now: Now) {
        let over: Vec<BanId> = self.bans().filter(|ban| ban.is_over(now)).map(|ban| ban.id).collect();
        for ban in over {
            if let Some(ban) = self.take_ban(ban) {
                self.enforce(&ban, now);
                self.notify(Event::PrincipalChanged(ban.principal));
            }
        }
    }

    /// The bans of a principal that is gone, or becomes part of another one, go or come with it.
    pub(super) fn move_bans(&mut self, from: PrincipalId, into: Option<PrincipalId>, now: Now) {
        let ids: Vec<BanId> = self.bans().filter(|ban| ban.principal == from).map(|ban| ban.id).collect();
        for id in ids {
            let Some(ban) = self.take_ban(id) else { continue };
            if let Some(principal) = into {
                let ban = Ban { principal, ..ban };
                self.bans.insert(id, ban.clone());
                self.enforce(&ban, now);
                self.push(Command::Save(Box::new(Record::Ban(ban))));
            }
        }
    }

    fn take_ban(&mut self, id: BanId) -> Option<Ban> {
        let ban = self.bans.remove(&id)?;
        self.push(Command::Delete(RecordKey::Ban(id.0)));
        Some(ban)
    }

    /// Makes the kernel hold what a ban says, or says no more.
    fn enforce(&mut self, ban: &Ban, now: Now) {
        let Some(client) = &ban.client else { return self.tell_principal(ban.principal, now) };
        let holds = self.bans.contains_key(&ban.id);
        let streams: Vec<Stream> =
            self.edges_from(ban.principal).filter_map(|edge| edge.path.stream()).collect();
        for stream in streams {
            let speaks = self.speaks(stream, now);
            let object = Object::Client { port: stream.port, id: Name::Exact(client.clone()) };
            let operation = Operation { verb: Verb::Connect, object };
            let path = Path { operation, ..stream.path() };
            let known = self.index.edges.get(&path).copied();
            let id = match known {
                Some(id) => id,
                None if holds
                    && speaks != 0
                    && may_speak(speaks, Protocol::Mqtt)
                    && self.room_for_edge(now) =>
                {
                    let id = self.edge_at(path, now);
                    self.set_state(id, State::Lapsed, now);
                    self.save_edge(id, now);
                    id
                }
                None => continue,
            };
            self.tell_edge(id, now);
        }
        self.flush(now);
    }

    /// The edges of bans that stand alone, for a kernel that has none.
    pub(super) fn restore_ban(&mut self, ban: Ban) {
        self.next_ban = self.next_ban.max(ban.id.0.saturating_add(1));
        self.bans.insert(ban.id, ban);
    }
}
