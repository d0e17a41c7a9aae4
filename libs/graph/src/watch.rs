//! What is unusual on edges that pass: signs add up to alarms.
//!
//! | alarm | threshold | counted for |
//! |---|---|---|
//! | `bruteforce` | [`REFUSED`] logins refused one after another, each within a minute of the one before; or [`SHORT`] connections in a minute to a port for logins that cannot be read, with less than [`SHORT_BYTES`] each | a principal at a server |
//! | `slowite` | [`QUIET`] sessions open that have said nothing since they were opened, all within a minute | a principal at a broker |
//! | `flood` | [`FLOOD_FACTOR`] times as many messages in ten seconds as were learned, at least [`FLOOD_FLOOR`] | an edge |
//! | `malformed` | [`MALFORMED`] messages that no sound client sends, within ten minutes | a principal at a server |
//! | `scan` | [`SCAN_PORTS`] ports of one host, or one port of [`SCAN_HOSTS`] hosts, tried within a minute | a principal |
//!
//! A sign is always about a principal, never about a client id or an address alone: those an attacker can borrow. What
//! is remembered is bounded per source.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::abi::{Addr, PrincipalId};

use crate::command::Alarm;
use crate::edge::{EdgeId, Stream};
use crate::usual::Running;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Logins that a server refuses: a device with an old password tries as often, and should be looked at too.
pub const REFUSED: u64 = 10;
/// Sessions that do nothing: a hub has a few, the attack (Vaccari et al., 2020) hundreds.
pub const QUIET: usize = 32;
/// Connections for a login that end soon: a program that logs in for a single command may do so now and then.
pub const SHORT: u64 = 20;
pub const SHORT_BYTES: u64 = 8_000;
/// Ports of FTP, SSH, Telnet, remote desktops.
const LOGIN_PORTS: [u16; 5] = [21, 22, 23, 3389, 5900];
/// Messages in which a session opens: client id and user name.
const OPENING: u64 = 2;
/// Messages that no sound client sends: one may be a bit that fell over.
pub const MALFORMED: u64 = 3;
const MALFORMED_NS: u64 = 10 * MINUTE;
/// Ports of one host, and hosts at one port. A phone at its start reaches a dozen hosts at one port.
pub const SCAN_PORTS: usize = 20;
pub const SCAN_HOSTS: usize = 40;
/// Messages in ten seconds.
pub const FLOOD_FACTOR: u64 = 4;
pub const FLOOD_FLOOR: u64 = 1_000;
const FLOOD_NS: u64 = 10 * SECOND;

/// Most servers that are remembered for one source; the one that was quiet the longest makes room.
const SERVERS_EACH: usize = 32;
/// Most client ids that are told apart at one of them.
const CLIENTS_EACH: usize = 64;

/// Something that was seen of a source at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A server refused a login so many times.
    LoginRefused(u64),
    LoginAccepted,
    /// A session was opened; the number tells the sessions of a source apart.
    Opened(u64),
    /// A session said something beyond its opening, or is over.
    Active(u64),
    /// So many sessions were opened lately, and so many messages said on these and others; `open` of them all are.
    Sessions {
        opened: u64,
        said: u64,
        open: u64,
    },
    /// So many connections for a login had hardly begun when they ended.
    Short(u64),
    /// So many messages that no sound client sends.
    Malformed(u64),
    /// A connection was tried: to this address, where the destination has no number.
    Tried {
        addr: Addr,
        port: u16,
    },
}

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    servers: BTreeMap<PrincipalId, BTreeMap<PrincipalId, Server>>,
    tries: BTreeMap<PrincipalId, Tries>,
    rates: BTreeMap<Stream, Rate>,
    running: BTreeMap<EdgeId, Running>,
}

/// A source at a server.
#[derive(Clone, Debug, Default)]
struct Server {
    last: u64,
    refused: u64,
    refused_at: u64,
    /// Of these, by the edge of the client id.
    refused_by: BTreeMap<EdgeId, u64>,
    quiet: BTreeMap<u64, u64>,
    /// Of the minute that is running: sessions that were opened, messages, short logins.
    opened: u64,
    said: u64,
    short: u64,
    minute_since: u64,
    malformed: u64,
    malformed_since: u64,
}

/// What a source has tried since a moment.
#[derive(Clone, Debug, Default)]
struct Tries {
    since: u64,
    tried: BTreeSet<(PrincipalId, Addr, u16)>,
}

#[derive(Clone, Debug)]
struct Rate {
    since: u64,
    messages: u64,
}

impl Watch {
    /// Takes a sign; the alarm that it completes.
    pub(crate) fn see(&mut self, src: PrincipalId, dst: PrincipalId, sign: Sign, now: u64) -> Option<Alarm> {
        if let Sign::Tried { addr, port } = sign {
            let from_outside = src == PrincipalId::UNKNOWN;
            return self.tries.entry(src).or_default().add((dst, addr, port), from_outside, now);
        }
        let servers = self.servers.entry(src).or_default();
        if servers.len() >= SERVERS_EACH && !servers.contains_key(&dst) {
            let oldest = servers.iter().min_by_key(|(_, server)| server.last).map(|(id, _)| *id);
            oldest.and_then(|id| servers.remove(&id));
        }
        servers.entry(dst).or_default().see(sign, now)
    }

    /// Counts refused logins for a client id; the one of which the most were refused in a row.
    pub(crate) fn blame(&mut self, src: PrincipalId, dst: PrincipalId, client: EdgeId, count: u64) -> EdgeId {
        let server = self.servers.get_mut(&src).and_then(|servers| servers.get_mut(&dst));
        let Some(server) = server else { return client };
        let by = &mut server.refused_by;
        if by.len() < CLIENTS_EACH || by.contains_key(&client) {
            let refused = by.entry(client).or_default();
            *refused = refused.saturating_add(count);
        }
        by.iter().max_by_key(|(_, count)| **count).map_or(client, |(client, _)| *client)
    }

    /// Counts messages of a stream: how many there were in the ten seconds that are running, and in those that have
    /// just ended.
    pub(crate) fn count(&mut self, stream: Stream, messages: u64, now: u64) -> (u64, Option<u64>) {
        let rate = self.rates.entry(stream).or_insert(Rate { since: now, messages: 0 });
        let mut ended = None;
        if now.saturating_sub(rate.since) >= FLOOD_NS {
            ended = Some(rate.messages);
            *rate = Rate { since: now, messages: 0 };
        }
        rate.messages = rate.messages.saturating_add(messages);
        (rate.messages, ended)
    }

    /// Whether so many messages in ten seconds are a flood, if that many were learned.
    pub(crate) fn is_flood(messages: u64, learned: u32) -> bool {
        messages > FLOOD_FLOOR.max(FLOOD_FACTOR * u64::from(learned))
    }

    /// What goes on on an edge.
    pub(crate) fn running(&mut self, edge: EdgeId) -> &mut Running {
        self.running.entry(edge).or_default()
    }

    pub(crate) fn forget_edge(&mut self, edge: EdgeId) {
        self.running.remove(&edge);
    }

    /// Forgets how much went through a stream.
    pub(crate) fn forget_stream(&mut self, stream: Stream) {
        self.rates.remove(&stream);
    }

    /// Forgets a principal at both ends.
    pub(crate) fn forget(&mut self, id: PrincipalId) {
        self.servers.remove(&id);
        self.tries.remove(&id);
        for servers in self.servers.values_mut() {
            servers.remove(&id);
        }
        self.rates.retain(|stream, _| stream.src != id && stream.dst != id);
    }
}

impl Server {
    fn begin_minute(&mut self, now: u64) {
        if now.saturating_sub(self.minute_since) > MINUTE {
            (self.opened, self.said, self.short, self.minute_since) = (0, 0, 0, now);
        }
    }

    fn see(&mut self, sign: Sign, now: u64) -> Option<Alarm> {
        self.last = now;
        match sign {
            Sign::LoginRefused(count) => {
                let in_a_row = now.saturating_sub(self.refused_at) <= MINUTE;
                if !in_a_row {
                    self.refused_by.clear();
                }
                self.refused = if in_a_row { self.refused.saturating_add(count) } else { count };
                self.refused_at = now;
                (self.refused >= REFUSED).then_some(Alarm::Bruteforce)
            }
            Sign::LoginAccepted => {
                self.refused = 0;
                self.refused_by.clear();
                None
            }
            Sign::Opened(session) => {
                self.quiet.retain(|_, opened| now.saturating_sub(*opened) <= MINUTE);
                if self.quiet.len() < QUIET {
                    self.quiet.insert(session, now);
                }
                (self.quiet.len() >= QUIET).then_some(Alarm::Slowite)
            }
            Sign::Active(session) => {
                self.quiet.remove(&session);
                None
            }
            Sign::Sessions { opened, said, open } => {
                self.begin_minute(now);
                self.opened = self.opened.saturating_add(opened);
                self.said = self.said.saturating_add(said);
                let beyond = self.said.saturating_sub(OPENING * self.opened);
                let quiet = self.opened.saturating_sub(beyond).min(open);
                (quiet >= QUIET as u64).then_some(Alarm::Slowite)
            }
            Sign::Short(count) => {
                self.begin_minute(now);
                self.short = self.short.saturating_add(count);
                (self.short >= SHORT).then_some(Alarm::Bruteforce)
            }
            Sign::Malformed(count) => {
                if now.saturating_sub(self.malformed_since) > MALFORMED_NS {
                    (self.malformed, self.malformed_since) = (0, now);
                }
                self.malformed = self.malformed.saturating_add(count);
                (self.malformed >= MALFORMED).then_some(Alarm::Malformed)
            }
            Sign::Tried { .. } => None,
        }
    }
}

/// Whether connections to a port are for logins that cannot be read on the way.
pub(crate) fn is_for_logins(port: u16) -> bool {
    LOGIN_PORTS.contains(&port)
}

impl Tries {
    /// All hosts outside are one source: each of them may have a reason to reach the same port.
    fn add(&mut self, tried: (PrincipalId, Addr, u16), from_outside: bool, now: u64) -> Option<Alarm> {
        if now.saturating_sub(self.since) > MINUTE {
            *self = Self { since: now, tried: BTreeSet::new() };
        }
        let (dst, addr, port) = tried;
        if self.tried.len() >= SCAN_PORTS * SCAN_HOSTS || !self.tried.insert(tried) {
            return None;
        }
        let at_host = self.tried.range((dst, addr, 0)..=(dst, addr, u16::MAX)).count();
        let at_port = self.tried.iter().filter(|(_, _, other)| *other == port).count();
        (at_host >= SCAN_PORTS || at_port >= SCAN_HOSTS && !from_outside).then_some(Alarm::Scan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRC: PrincipalId = PrincipalId(20);
    const DST: PrincipalId = PrincipalId(21);

    /// The alarms that signs raise, one each so many milliseconds.
    fn alarms(signs: impl IntoIterator<Item = (PrincipalId, Sign)>, every: u64) -> BTreeSet<&'static str> {
        let mut watch = Watch::default();
        let seen = (1..).zip(signs);
        let raised =
            seen.filter_map(|(at, (dst, sign))| watch.see(SRC, dst, sign, at * every * SECOND / 1_000));
        raised.map(Alarm::as_str).collect()
    }

    fn tried(host: u8, port: u16) -> (PrincipalId, Sign) {
        (PrincipalId::UNKNOWN, Sign::Tried { addr: Addr::from_v4([192, 0, 2, host]), port })
    }

    #[test]
    fn refused_logins_in_a_row() {
        let refused = |count: usize| vec![(DST, Sign::LoginRefused(1)); count];
        assert!(alarms(refused(9), 1_000).is_empty());
        assert!(alarms(refused(10), 1_000).contains("bruteforce"));
        assert!(alarms(refused(100), 61_000).is_empty(), "a client that tries now and then");
        let forgetful = [refused(9), vec![(DST, Sign::LoginAccepted)], refused(9)].concat();
        assert!(alarms(forgetful, 1_000).is_empty());
        let spread = (0..18).map(|at| (PrincipalId(30 + at % 2), Sign::LoginRefused(1)));
        assert!(alarms(spread, 1_000).is_empty());
    }

    #[test]
    fn sessions_that_say_nothing() {
        let opened = (0..32).map(|session| (DST, Sign::Opened(session)));
        assert!(alarms(opened.clone(), 10).contains("slowite"));
        assert!(alarms(opened.clone(), 3_000).is_empty(), "a session each three seconds");
        let busy = opened.flat_map(|(_, sign)| {
            let Sign::Opened(session) = sign else { unreachable!("only sessions are opened") };
            [(DST, sign), (DST, Sign::Active(session))]
        });
        assert!(alarms(busy, 10).is_empty());
    }

    #[test]
    fn sessions_of_which_only_numbers_are_known() {
        let sessions = |opened, said, open| (DST, Sign::Sessions { opened, said, open });
        assert!(alarms(vec![sessions(16, 16, 40); 2], 10_000).contains("slowite"));
        assert!(alarms(vec![sessions(16, 32, 8); 9], 10_000).is_empty(), "they end again");
        assert!(alarms(vec![sessions(16, 80, 40); 9], 10_000).is_empty(), "they say something");
        assert!(alarms(vec![sessions(3, 3, 40); 9], 10_000).is_empty(), "slowly");
    }

    #[test]
    fn short_logins() {
        assert!(alarms(vec![(DST, Sign::Short(4)); 4], 10_000).is_empty());
        assert!(alarms(vec![(DST, Sign::Short(4)); 5], 10_000).contains("bruteforce"));
        assert!(alarms(vec![(DST, Sign::Short(1)); 30], 10_000).is_empty(), "six in a minute");
    }

    #[test]
    fn malformed_messages() {
        assert!(alarms(vec![(DST, Sign::Malformed(1)); 2], 10).is_empty());
        assert!(alarms(vec![(DST, Sign::Malformed(1)); 3], 10).contains("malformed"));
        assert!(alarms(vec![(DST, Sign::Malformed(1)); 9], 400_000).is_empty());
    }

    #[test]
    fn scans_of_ports_and_of_hosts() {
        assert!(alarms((0..19).map(|port| tried(1, port)), 10).is_empty());
        assert!(alarms((0..20).map(|port| tried(1, port)), 10).contains("scan"));
        assert!(alarms((0..40).map(|host| tried(host, 80)), 10).contains("scan"));
        assert!(alarms((0..200).map(|_| tried(1, 80)), 10).is_empty());
        assert!(alarms((0..20).map(|port| tried(1, port)), 4_000).is_empty());
    }

    #[test]
    fn a_flood_is_much_more_than_was_learned() {
        let mut watch = Watch::default();
        let stream = Stream { src: SRC, dst: DST, proto: 6, port: 1883 };
        assert_eq!(watch.count(stream, 600, SECOND), (600, None));
        assert_eq!(watch.count(stream, 600, 10 * SECOND), (1_200, None));
        assert_eq!(watch.count(stream, 600, 11 * SECOND), (600, Some(1_200)));
        assert!(!Watch::is_flood(1_000, 0) && Watch::is_flood(1_001, 0));
        assert!(!Watch::is_flood(4_000, 1_000) && Watch::is_flood(4_001, 1_000));
    }
}
