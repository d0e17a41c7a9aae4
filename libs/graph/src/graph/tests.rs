//! A site in memory: the graph, a kernel that does what the maps say, a disk and a clock.

use std::collections::BTreeMap;

use firewall_common::abi::{
    Addr, EdgeKey, Kind, OBJECT_CAP, Observed, ObservedKey, PrincipalId, Protocol, RuleId,
};
use firewall_common::precedence::{End, Mode, Outcome, RuleState, decide};
use firewall_common::reason::{Reason, Verdict};

use super::{Fact, Graph, Patch, Spec};
use crate::automaton::{Automaton, Compiled, Level};
use crate::command::{Alarm, Command, Event, RuleSpec};
use crate::decision::{Answer, Author, DecisionId, Lifetime, Refused, Terms};
use crate::edge::{Edge, EdgeId, State};
use crate::host::HostName;
use crate::operation::{Layer, Object};
use crate::principal::{Place, Principal};
use crate::record::{Record, RecordKey};
use crate::settings::Settings;
use crate::time::{BootId, Now};

mod bans;
mod decisions;
mod domains;
mod exchange;
mod guards;
mod hostile;
mod learning;
mod model;
mod mud;
mod names;
mod principals;
mod protocols;
mod restart;
mod review;
mod signs;
mod unusual;
mod update;

const SECOND: u64 = 1_000_000_000;
const MQTT: u16 = 1883;

/// What was tried on the wire.
#[derive(Clone, Debug)]
struct Try {
    src: PrincipalId,
    /// A principal, or the address of a host that the kernel does not know.
    dst: Result<PrincipalId, Addr>,
    kind: Kind,
    port: u16,
    object: String,
}

/// The maps, and the entries of `OBSERVED`.
#[derive(Debug, Default)]
struct Kernel {
    principals: BTreeMap<u32, (Mode, bool)>,
    macs: BTreeMap<([u8; 6], u16), (u32, PrincipalId)>,
    hosts: BTreeMap<[u8; 16], PrincipalId>,
    /// By principal and name: until when.
    domains: BTreeMap<(u32, HostName), u64>,
    named: BTreeMap<HostName, PrincipalId>,
    resolved: BTreeMap<(u32, [u8; 16]), PrincipalId>,
    edges: BTreeMap<[u32; 4], RuleSpec>,
    speaks: BTreeMap<[u32; 4], u16>,
    limits: BTreeMap<[u32; 4], u64>,
    /// By principal: until which second.
    banned: BTreeMap<u32, u32>,
    topics: BTreeMap<[u32; 4], Compiled>,
    rules: BTreeMap<u32, RuleSpec>,
    uses: BTreeMap<u32, u32>,
    monitor: bool,
    observed: BTreeMap<String, (ObservedKey, Observed)>,
}

struct Site {
    graph: Graph,
    settings: Settings,
    kernel: Kernel,
    disk: BTreeMap<RecordKey, Record>,
    ledger: Vec<Vec<u8>>,
    events: Vec<Event>,
    /// Names of the commands since the last look, to check their order.
    order: Vec<&'static str>,
    now: Now,
}

impl Site {
    fn new(settings: Settings) -> Self {
        let now =
            Now { boot: BootId([1; 16]), boot_ns: 100 * SECOND, unix: 1_700_000_000, synchronised: true };
        let mut site = Self {
            graph: Graph::new(settings.clone(), now),
            settings,
            kernel: Kernel::default(),
            disk: BTreeMap::new(),
            ledger: Vec::new(),
            events: Vec::new(),
            order: Vec::new(),
            now,
        };
        site.execute();
        site
    }

    /// A site in mode enforce whose first-run window is open for an hour.
    fn open() -> Self {
        let mut site = Self::new(Settings {
            site_mode: crate::decision::SiteMode::Enforce,
            first_run: 3_600,
            ..Settings::default()
        });
        site.order.clear();
        site
    }

    /// Does what the graph wants.
    fn execute(&mut self) {
        while let Some(command) = self.graph.next_command() {
            let name = self.kernel.carry_out(&command);
            let name = match command {
                Command::Save(record) => {
                    self.disk.insert(record.key(), *record);
                    "save"
                }
                Command::Delete(key) => {
                    self.disk.remove(&key);
                    "save"
                }
                Command::Ledger(entry) => {
                    assert_eq!(entry.number, self.ledger.len() as u64 + 1);
                    self.ledger.push(entry.bytes);
                    "ledger"
                }
                Command::Notify(event) => {
                    self.events.push(event);
                    continue;
                }
                _ => name,
            };
            self.order.push(name);
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now.boot_ns += seconds * SECOND;
        self.now.unix += seconds.cast_signed();
    }

    /// Lets time pass as the daemon does: it comes back when it was asked to.
    fn pass(&mut self, seconds: u64) {
        let end = self.now.boot_ns + seconds * SECOND;
        while let Some(at) = self.graph.poll_timeout(self.now).filter(|at| *at <= end) {
            let step = at.saturating_sub(self.now.boot_ns).div_ceil(SECOND).max(1);
            self.wait(step);
            self.graph.handle_timeout(self.now);
            self.execute();
        }
        self.wait(end.saturating_sub(self.now.boot_ns) / SECOND);
    }

    fn device(&mut self, number: u8) -> PrincipalId {
        let mac = [2, 0, 0, 0, 0, number];
        let place = Place { port: "lan0".into(), ifindex: 7, vlan: 0, mac };
        self.graph.handle_stranger(place, self.now);
        self.execute();
        self.kernel.macs.get(&(mac, 0)).expect("the device was registered").1
    }

    fn named(&mut self, number: u8, name: &str, kind: &str) -> PrincipalId {
        let id = self.device(number);
        let patch = Patch { name: Some(name.into()), kind: Some(kind.into()), ..Patch::default() };
        self.graph.set_principal(id, &patch, &owner(), self.now).unwrap();
        self.execute();
        id
    }

    /// Lets the kernel judge a try, and the graph hear of it; whether it passed.
    fn attempt(&mut self, attempt: &Try) -> bool {
        let verdict = self.kernel.judge(attempt, self.now);
        self.scan();
        !matches!(verdict, Verdict::Dropped | Verdict::Reset)
    }

    /// Hands all entries of `OBSERVED` and `USES` to the graph, as the daemon does now and then.
    fn scan(&mut self) {
        for (key, value) in self.kernel.observed.clone().into_values() {
            self.graph.handle_observed(&Fact { key, value }, self.now);
        }
        for (id, left) in self.kernel.uses.clone() {
            self.graph.handle_uses(EdgeId(id), left.into(), self.now);
        }
        self.execute();
    }

    fn connect(&mut self, src: PrincipalId, dst: PrincipalId) -> bool {
        self.attempt(&Try { src, dst: Ok(dst), kind: Kind::Transport, port: MQTT, object: String::new() })
    }

    fn client(&mut self, src: PrincipalId, dst: PrincipalId, id: &str) -> bool {
        self.attempt(&Try { src, dst: Ok(dst), kind: Kind::MqttConnect, port: MQTT, object: id.into() })
    }

    fn publish(&mut self, src: PrincipalId, dst: PrincipalId, topic: &str) -> bool {
        self.attempt(&Try { src, dst: Ok(dst), kind: Kind::MqttPublish, port: MQTT, object: topic.into() })
    }

    fn subscribe(&mut self, src: PrincipalId, dst: PrincipalId, filter: &str) -> bool {
        self.attempt(&Try { src, dst: Ok(dst), kind: Kind::MqttSubscribe, port: MQTT, object: filter.into() })
    }

    /// Whether the first bytes of a connection may be of this protocol.
    fn speak(&mut self, src: PrincipalId, dst: PrincipalId, port: u16, protocol: &str) -> bool {
        self.attempt(&Try { src, dst: Ok(dst), kind: Kind::Speaks, port, object: protocol.into() })
    }

    fn request(&mut self, src: PrincipalId, dst: PrincipalId, kind: Kind, port: u16, object: &str) -> bool {
        self.attempt(&Try { src, dst: Ok(dst), kind, port, object: object.into() })
    }

    fn open_port(&mut self, src: PrincipalId, dst: PrincipalId, port: u16) -> bool {
        self.attempt(&Try { src, dst: Ok(dst), kind: Kind::Transport, port, object: String::new() })
    }

    /// Whether a device may ask the site's resolver for a name.
    fn ask(&mut self, src: PrincipalId, name: &str) -> bool {
        let (dst, object) = (Ok(PrincipalId::SELF), name.to_owned());
        self.attempt(&Try { src, dst, kind: Kind::Resolve, port: 53, object })
    }

    fn reach(&mut self, src: PrincipalId, addr: [u8; 4], port: u16) -> bool {
        let addr = Addr::from_v4(addr);
        let named = self.kernel.resolved.get(&(src.0, addr.0));
        let dst = named.or_else(|| self.kernel.hosts.get(&addr.0)).copied().ok_or(addr);
        self.attempt(&Try { src, dst, kind: Kind::Transport, port, object: String::new() })
    }

    /// A device's resolver tells it an address: the kernel binds it, then the graph hears of it.
    fn resolve(&mut self, device: PrincipalId, name: &str, addr: [u8; 4]) {
        let (name, addr) = (HostName::parse(name).unwrap(), Addr::from_v4(addr));
        let exact = self.kernel.named.get(&name);
        match exact.or_else(|| self.kernel.named.get(&name.registrable()?)) {
            Some(id) => self.kernel.resolved.insert((device.0, addr.0), *id),
            None => self.kernel.resolved.remove(&(device.0, addr.0)),
        };
        self.graph.handle_resolved(device, &name, &[addr], self.now);
        self.execute();
    }

    /// The edge with this verb and object.
    fn edge(&self, src: PrincipalId, verb: &str, object: &str) -> Option<&Edge> {
        self.graph.edges().find(|edge| {
            let operation = &edge.path.operation;
            edge.path.src == src && operation.verb.as_str() == verb && operation.object_text() == object
        })
    }

    fn state(&self, src: PrincipalId, verb: &str, object: &str) -> &'static str {
        self.edge(src, verb, object).map_or("none", |edge| edge.state.as_str())
    }

    fn id(&self, src: PrincipalId, verb: &str, object: &str) -> EdgeId {
        self.edge(src, verb, object).expect("the edge is there").id
    }

    fn say(&mut self, edge: EdgeId, answer: Answer, lifetime: Lifetime) -> DecisionId {
        self.try_say(edge, answer, lifetime).unwrap()
    }

    fn try_say(&mut self, edge: EdgeId, answer: Answer, lifetime: Lifetime) -> Result<DecisionId, Refused> {
        let decision = self.graph.decide(edge, answer, lifetime, &owner(), None, self.now);
        self.execute();
        decision
    }

    fn write(&mut self, spec: [&str; 4], answer: Answer) -> Result<EdgeId, Refused> {
        let [from, to, verb, object] = spec.map(str::to_owned);
        let spec = Spec { from, to, plane: "packet".into(), verb, object, terms: Terms::NONE };
        let decided = self.graph.decide_spec(&spec, answer, Lifetime::Always, &owner(), self.now);
        self.execute();
        decided.map(|(_, edge)| edge)
    }

    fn mode(&self, id: PrincipalId) -> Mode {
        self.graph.principal(id).expect("the principal is there").mode
    }

    fn finish(&mut self, id: PrincipalId) {
        self.graph.learn_finish(Some(id), &owner(), self.now).unwrap();
        self.execute();
    }

    /// What holds at any time.
    fn check(&self) {
        let Graph { edges, principals, index, settings, .. } = &self.graph;
        assert!(edges.len() <= settings.room.edges && principals.len() <= settings.room.principals as usize);
        assert_eq!(index.edges.len(), edges.len());
        assert_eq!(index.from.values().map(std::collections::BTreeSet::len).sum::<usize>(), edges.len());
        assert_eq!(index.to.values().map(std::collections::BTreeSet::len).sum::<usize>(), edges.len());
        for edge in edges.values() {
            assert_eq!(index.edges.get(&edge.path), Some(&edge.id));
            assert!(
                index.from[&edge.path.src].contains(&edge.id) && index.to[&edge.path.dst].contains(&edge.id)
            );
            assert!(principals.contains_key(&edge.path.src) && principals.contains_key(&edge.path.dst));
            // The kernel holds what the model says, and nothing else.
            let key = edge_key(edge.path.transport());
            let held = match edge.path.operation.layer() {
                Layer::Transport => self.kernel.edges.get(&key),
                Layer::Message => self.kernel.rules.get(&edge.id.0),
                Layer::Name => {
                    let Object::Domain(name) = &edge.path.operation.object else { panic!("{edge:?}") };
                    let held = self.kernel.may_ask(edge.path.src, name, self.now);
                    assert!(edge.answer() != Some(Answer::Deny) || !held, "{edge:?}");
                    continue;
                }
                Layer::Protocol => {
                    let bit = edge.path.operation.protocol().map_or(0, Protocol::bit);
                    if let Some(speaks) = self.kernel.speaks.get(&key) {
                        assert!(!edge.passes(self.now) || speaks & bit != 0, "{edge:?}");
                        assert!(edge.answer() != Some(Answer::Deny) || speaks & bit == 0, "{edge:?}");
                    }
                    continue;
                }
            };
            let standing = self.graph.standing(edge, self.now).map(|standing| standing.state);
            let alive = held.filter(|rule| rule.deadline == 0 || rule.deadline > self.now.boot_ns);
            assert_eq!(alive.map(|rule| rule.state), standing, "{edge:?}");
        }
        for edge in edges.values().filter(|edge| edge.is_transport()) {
            // It is held back from the next window on at the latest, and never by another limit.
            let held = self.kernel.limits.get(&edge_key(edge.path.transport())).copied();
            let limit = self.graph.limit(edge, self.now);
            assert!(held.is_none() || held == limit, "{held:?} {limit:?} {edge:?}");
        }
        assert_eq!(self.kernel.limits.len(), self.graph.told.limited());
        for id in principals.keys() {
            let banned = self.kernel.banned.get(&id.0).copied().unwrap_or(0);
            assert_eq!(banned, self.graph.banned_until(*id, self.now), "{id:?}");
        }
        let rules = self.kernel.edges.len() + self.kernel.rules.len() - 1;
        assert!(rules <= edges.len());
        for id in principals.keys() {
            // What people undo may come on top.
            let of = |state: &crate::edge::State| {
                let own = edges.values().filter(|edge| edge.path.src == *id && !edge.decided);
                own.filter(|edge| edge.state == *state).count()
            };
            assert!(
                of(&crate::edge::State::Pending) <= settings.pending_per_source + self.graph.decisions.len()
            );
            assert!(of(&crate::edge::State::Learned) <= settings.learn_edges * 4);
        }
        for (addr, id) in &index.hosts {
            assert_eq!(self.kernel.hosts.get(addr), Some(id));
            assert!(principals.contains_key(id));
        }
        assert_eq!(self.kernel.hosts.len(), index.hosts.len());
        let mut domains = 0;
        for id in principals.keys() {
            for name in self.graph.domains(*id, self.now).into_keys() {
                assert!(self.kernel.may_ask(*id, &name, self.now), "{id:?} {name}");
                domains += 1;
            }
        }
        let alive = |until: &&u64| **until == 0 || **until > self.now.boot_ns;
        assert_eq!(self.kernel.domains.values().filter(alive).count(), domains);
        assert_eq!(self.kernel.named, index.named);
        assert!(index.named.values().all(|id| principals.contains_key(id)));
        assert_eq!(self.kernel.macs.len(), index.macs.len());
        for id in self.disk.keys() {
            match id {
                RecordKey::Edge(id) => assert!(edges.contains_key(&EdgeId(*id))),
                RecordKey::Principal(id) => assert!(principals.contains_key(&PrincipalId(*id))),
                RecordKey::Ban(id) => assert!(self.graph.bans().any(|ban| ban.id.0 == *id)),
                RecordKey::Site | RecordKey::Decision(_) => {}
            }
        }
    }

    fn alarms(&self) -> Vec<Alarm> {
        let alarm = |event: &Event| match event {
            Event::Alarm { alarm, .. } => Some(*alarm),
            _ => None,
        };
        self.events.iter().filter_map(alarm).collect()
    }

    /// The daemon ends, and starts again in the same run of the box or in the next.
    fn restart(&mut self, boot: u8) {
        self.graph.handle_shutdown(self.now);
        self.execute();
        if self.now.boot != BootId([boot; 16]) {
            self.now.boot = BootId([boot; 16]);
            self.now.boot_ns = 20 * SECOND;
            self.kernel = Kernel::default();
        }
        // What was stored as text comes back.
        let text: Vec<String> =
            self.disk.values().map(|record| serde_json::to_string(record).unwrap()).collect();
        let records = text.iter().map(|text| serde_json::from_str::<Record>(text).unwrap());
        self.graph = Graph::restore(self.settings.clone(), records, self.now).unwrap();
        self.graph.handle_port("lan0", 7, self.now);
        self.execute();
    }
}

fn owner() -> Author {
    Author::person("Owner")
}

fn edge_key(key: EdgeKey) -> [u32; 4] {
    [key.src.0, key.dst.0, u32::from(key.port) << 8 | u32::from(key.proto), u32::from(key.kind)]
}

impl Kernel {
    fn carry_out(&mut self, command: &Command) -> &'static str {
        match command {
            Command::PutPrincipal { id, mode, dangerous, banned_until, .. } => {
                self.banned.insert(id.0, *banned_until);
                self.principals.insert(id.0, (*mode, *dangerous));
            }
            Command::RemovePrincipal { id } => {
                self.banned.remove(&id.0);
                self.principals.remove(&id.0);
            }
            Command::PutMac { mac, vlan, ifindex, id } => {
                self.macs.insert((*mac, *vlan), (*ifindex, *id));
            }
            Command::RemoveMac { mac, vlan } => {
                self.macs.remove(&(*mac, *vlan)).expect("only what is there is removed");
            }
            Command::PutHost { addr, id } => {
                self.hosts.insert(addr.0, *id);
            }
            Command::RemoveHost { addr } => {
                self.hosts.remove(&addr.0).expect("only what is there is removed");
            }
            Command::PutName { device, addr, id, .. } => {
                self.resolved.insert((device.0, addr.0), *id);
            }
            Command::RemoveName { device, addr } => {
                self.resolved.remove(&(device.0, addr.0));
            }
            Command::PutNamed { name, id } => {
                self.named.insert(name.clone(), *id);
            }
            Command::RemoveNamed { name } => {
                self.named.remove(name).expect("only what is there is removed");
            }
            Command::PutDomain { id, name, until } => {
                self.domains.insert((id.0, name.clone()), *until);
            }
            Command::RemoveDomain { id, name } => {
                self.domains.remove(&(id.0, name.clone())).expect("only what is there is removed");
            }
            Command::PutEdge { key, rule, speaks } => {
                self.edges.insert(edge_key(*key), *rule);
                self.speaks.insert(edge_key(*key), *speaks);
            }
            Command::PutLimit { key, rate } => {
                assert!(self.edges.contains_key(&edge_key(*key)), "what is held back is there");
                match rate {
                    Some(rate) => self.limits.insert(edge_key(*key), *rate),
                    None => self.limits.remove(&edge_key(*key)),
                };
            }
            Command::RemoveEdge { key } => {
                self.limits.remove(&edge_key(*key));
                self.edges.remove(&edge_key(*key)).expect("only what is there is removed");
                self.topics.remove(&edge_key(*key));
                self.speaks.remove(&edge_key(*key));
            }
            Command::PutTopics { key, topics } => {
                self.topics.insert(edge_key(*key), topics.compile(1).unwrap());
            }
            Command::PutRule { rule } => {
                self.rules.insert(rule.id.0, *rule);
            }
            Command::RemoveRule { id } => {
                self.rules.remove(&id.0).expect("only what is there is removed");
            }
            Command::PutUses { id, uses } => {
                self.uses.insert(id.0, *uses);
            }
            Command::LimitUses { id, at_most } => {
                let held = self.uses.get(&id.0).copied().unwrap_or(u32::MAX);
                self.uses.insert(id.0, held.min(*at_most));
            }
            Command::RemoveUses { id } => {
                self.uses.remove(&id.0);
            }
            Command::Site { monitor, .. } => self.monitor = *monitor,
            Command::Save(_) | Command::Delete(_) | Command::Ledger(_) | Command::Notify(_) => return "",
        }
        "kernel"
    }

    fn end(&self, id: PrincipalId) -> End {
        let (mode, dangerous) = self.principals.get(&id.0).copied().unwrap_or((Mode::New, true));
        End { mode, dangerous }
    }

    /// The rule as it stands now; takes a use of it, if it lets something pass and uses are counted.
    fn hold(&mut self, rule: RuleSpec, now: Now) -> RuleState {
        if rule.deadline != 0 && rule.deadline <= now.boot_ns {
            return RuleState::Absent;
        }
        if rule.counted {
            match self.uses.get_mut(&rule.id.0) {
                Some(left) if *left > 0 => *left -= 1,
                Some(_) | None => return RuleState::Absent,
            }
        }
        rule.state
    }

    /// Whether the box lets this question pass.
    fn may_ask(&self, src: PrincipalId, name: &HostName, now: Now) -> bool {
        self.domains.iter().any(|((id, domain), until)| {
            *id == src.0 && (domain == name || domain.covers(name)) && (*until == 0 || *until > now.boot_ns)
        })
    }

    fn rule(&mut self, attempt: &Try, dst: PrincipalId, now: Now) -> RuleState {
        if attempt.kind == Kind::Resolve {
            let name = HostName::parse(&attempt.object).expect("a name");
            let known = self.may_ask(attempt.src, &name, now);
            return if known { RuleState::Learned } else { RuleState::Absent };
        }
        let transport = EdgeKey { kind: 0, ..attempt.key(dst) };
        if matches!(attempt.kind, Kind::Transport | Kind::Speaks) {
            let rule = self.edges.get(&edge_key(transport)).copied();
            return rule.map_or(RuleState::Absent, |rule| self.hold(rule, now));
        }
        let Some(compiled) = self.topics.get(&edge_key(transport)) else { return RuleState::Absent };
        let object = attempt.object.as_str();
        let (path, host) = object.split_once(' ').unwrap_or((object, ""));
        let request = |verb| {
            let levels = path[1..].split('/').filter(|_| path != "/");
            run_request(&compiled.publish, &[verb, host].into_iter().chain(levels).collect::<Vec<_>>())
        };
        let id = match attempt.kind {
            Kind::MqttConnect => run(&compiled.connect, &[attempt.object.as_str()], false),
            Kind::MqttPublish => run(&compiled.publish, &levels(&attempt.object), false),
            Kind::MqttSubscribe => run(&compiled.subscribe, &levels(&attempt.object), true),
            Kind::HttpGet | Kind::CoapGet => request("get"),
            Kind::HttpSet | Kind::CoapSet => request("set"),
            Kind::CoapObserve => request("subscribe"),
            Kind::TlsName => run_request(&compiled.connect, &[object]),
            Kind::ModbusRead => match run_range(&compiled.publish, object) {
                Some(rule) => rule,
                None => return RuleState::Guarded,
            },
            _ => RuleId(0),
        };
        let rule = self.rules.get(&id.0).copied();
        rule.map_or(RuleState::Absent, |rule| self.hold(rule, now))
    }

    /// What is told of the first bytes of a connection; nothing if they are as the edge says.
    fn hear(&self, attempt: &Try, dst: PrincipalId, state: RuleState) -> Option<(Verdict, Reason)> {
        if !matches!(state, RuleState::Learned | RuleState::Allowed) {
            return Some((Verdict::Dropped, Reason::EdgeUnknown));
        }
        let transport = EdgeKey { kind: 0, ..attempt.key(dst) };
        let bit = Protocol::from_name(&attempt.object).expect("a protocol").bit();
        match self.speaks.get(&edge_key(transport)).copied().unwrap_or(0) {
            0 => Some((Verdict::Forwarded, Reason::InModel)),
            speaks if speaks & bit != 0 => None,
            _ => match decide(self.end(attempt.src), self.end(dst), RuleState::Absent).outcome {
                Outcome::Learn => Some((Verdict::Forwarded, Reason::Learned)),
                Outcome::Pass | Outcome::Stop(_) => Some((Verdict::Reset, Reason::ProtoChanged)),
            },
        }
    }

    fn judge(&mut self, attempt: &Try, now: Now) -> Verdict {
        let (dst, addr) = match attempt.dst {
            Ok(dst) => (dst, Addr::default()),
            Err(addr) => (PrincipalId::UNKNOWN, addr),
        };
        let state = self.rule(attempt, dst, now);
        let (verdict, reason) = if attempt.kind == Kind::Speaks {
            match self.hear(attempt, dst, state) {
                Some(heard) => heard,
                None => return Verdict::Forwarded,
            }
        } else {
            match decide(self.end(attempt.src), self.end(dst), state).outcome {
                Outcome::Pass => return Verdict::Forwarded,
                Outcome::Learn => (Verdict::Forwarded, Reason::Learned),
                Outcome::Stop(reason) if self.monitor => (Verdict::Audit, reason),
                Outcome::Stop(reason) => (Verdict::Dropped, reason),
            }
        };
        let edge = attempt.key(dst);
        let mut object = [0; OBJECT_CAP];
        object[..attempt.object.len()].copy_from_slice(attempt.object.as_bytes());
        let entry = self.observed.entry(format!("{attempt:?}")).or_insert_with(|| {
            let hash =
                attempt.object.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
            let key = ObservedKey { addr, object: hash, edge, _pad: 0 };
            let value = Observed {
                count: 0,
                first: now.boot_ns,
                last: now.boot_ns,
                verdict: 0,
                reason: 0,
                object_len: attempt.object.len() as u16,
                ifindex: 7,
                object,
            };
            (key, value)
        });
        entry.1.count += 1;
        entry.1.last = now.boot_ns;
        entry.1.verdict = verdict as u8;
        entry.1.reason = reason as u8;
        verdict
    }
}

impl Try {
    fn key(&self, dst: PrincipalId) -> EdgeKey {
        let coap = matches!(self.kind, Kind::CoapGet | Kind::CoapSet | Kind::CoapObserve);
        let datagrams = self.kind == Kind::Speaks && matches!(&self.object[..], "dtls" | "quic");
        let proto = if coap || datagrams { 17 } else { 6 };
        EdgeKey { src: self.src, dst, port: self.port, proto, kind: self.kind as u8 }
    }
}

fn levels(topic: &str) -> Vec<&str> {
    topic.split('/').collect()
}

fn run(automaton: &Automaton, levels: &[&str], filter: bool) -> RuleId {
    let mut state = automaton.start;
    for (depth, level) in levels.iter().enumerate() {
        let named = match *level {
            "+" if filter => Level::Plus,
            "#" if filter => Level::Hash,
            literal => Level::Literal(literal.to_owned()),
        };
        let step = automaton.steps.iter().find(|step| step.state == state && step.level == named);
        let other = automaton.states.iter().find(|entry| entry.state == state).map_or(0, |entry| entry.other);
        let reserved = depth == 0 && level.starts_with('$');
        state = step.map_or(if reserved { 0 } else { other }, |step| step.next);
    }
    automaton.states.iter().find(|entry| entry.state == state).map_or(RuleId(0), |entry| entry.accept)
}

fn walk(automaton: &Automaton, levels: &[&str]) -> u32 {
    levels.iter().fold(automaton.start, |state, level| {
        let level = Level::Literal((*level).to_owned());
        let step = automaton.steps.iter().find(|step| step.state == state && step.level == level);
        let other = automaton.states.iter().find(|entry| entry.state == state).map_or(0, |entry| entry.other);
        step.map_or(other, |step| step.next)
    })
}

fn accept(automaton: &Automaton, state: u32) -> RuleId {
    automaton.states.iter().find(|entry| entry.state == state).map_or(RuleId(0), |entry| entry.accept)
}

fn run_request(automaton: &Automaton, levels: &[&str]) -> RuleId {
    accept(automaton, walk(automaton, levels))
}

/// `1/holding/3-5`; none if the ends lead apart.
fn run_range(automaton: &Automaton, object: &str) -> Option<RuleId> {
    let [unit, area, range] = levels(object)[..] else { panic!("not a range: {object}") };
    let (first, last) = range.split_once('-').expect("a range");
    let end = |address: &str| {
        let digits = format!("{:04x}", address.parse::<u16>().unwrap());
        let digits = (0..4).map(|at| &digits[at..=at]);
        walk(automaton, &["read", unit, area].into_iter().chain(digits).collect::<Vec<_>>())
    };
    (end(first) == end(last)).then(|| accept(automaton, end(first)))
}
