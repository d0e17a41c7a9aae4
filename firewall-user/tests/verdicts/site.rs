//! A small site on one port, judged by the real programs.

use std::{
    fs::File,
    os::fd::{AsRawFd, OwnedFd},
    process::Command,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use edgeward::{
    automata::{Automata, Written},
    kernel::{self, Balance, Hook, Kernel, KernelError, Maps, Pins, Prefix},
};
use firewall_common::{
    abi::{
        Addr, AddrKey, Config, Edge, EdgeKey, HashKeyBytes, Kind, Limit, LinkKey, MacHome, MacKey, Meter,
        NameKey, NetworkKey, Observed, ObservedKey, Port, Principal, PrincipalId, Protocol, Role, Rule,
        RuleId, State, capacity, counter,
    },
    hash::{HashKey, hash},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::frame::proto,
};
use graph::command::Topics;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket,
            sockopt::ReceiveTimeout,
        },
        time::{TimeVal, TimeValLike},
    },
    time::{ClockId, clock_gettime},
    unistd::geteuid,
};

use zerocopy::IntoBytes;

use crate::frame::{self, NETWORK};

/// The only port: the loopback device, on which `BPF_PROG_TEST_RUN` lets frames arrive.
pub(crate) const PORT: u32 = 1;
/// A port that none of the frames arrives on.
pub(crate) const OTHER_PORT: u32 = 7;
pub(crate) const MARK_JUDGED: u32 = 0x100;
pub(crate) const MARK_GATED: u32 = 0x200;
pub(crate) const MQTT_PORT: u16 = 1883;

/// Actions of a TC program.
pub(crate) const TC_PASS: u32 = u32::MAX;
pub(crate) const TC_SHOT: u32 = 2;
pub(crate) const TC_REDIRECT: u32 = 7;

/// `struct __sk_buff` and `struct xdp_md`, as far as these tests look into them.
pub(crate) const SKB_CONTEXT: usize = 192;
pub(crate) const SKB_MARK: usize = 8;
const SKB_GSO_SIZE: usize = 176;
const XDP_CONTEXT: usize = 24;
const XDP_DATA_END: usize = 4;

/// States by number, and where each step leads.
pub(crate) type MessageRules = (Vec<(u32, State)>, Vec<(Vec<u8>, u32)>);

/// Whoever has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) id: PrincipalId,
    pub(crate) mac: [u8; 6],
    pub(crate) v4: [u8; 4],
    pub(crate) v6: [u8; 16],
    /// Whether its frames come from a device port.
    pub(crate) is_device: bool,
}

impl Host {
    pub(crate) const fn v4(&self) -> Addr {
        Addr::from_v4(self.v4)
    }

    pub(crate) const fn v6(&self) -> Addr {
        Addr(self.v6)
    }
}

/// The firewall itself, which also routes.
pub(crate) const BOX: Host = Host {
    id: PrincipalId::SELF,
    mac: [2, 0xed, 0, 0, 0, 1],
    v4: [10, 0, 0, 1],
    v6: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    is_device: false,
};

/// What became of a frame, as the counters of its hook say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Forwarded,
    Neutralised,
    Audit,
    Reset(Reason),
    Dropped(Reason),
}

/// A frame after it was judged.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) fate: Fate,
    /// What the gate at XDP said before; only for frames from devices.
    pub(crate) gate: Option<Fate>,
    /// What the program told the kernel to do.
    pub(crate) action: u32,
    pub(crate) mark: u32,
    pub(crate) frame: Vec<u8>,
}

impl Judged {
    /// Whether the frame went on, with the mark that lets it be delivered.
    pub(crate) fn is_delivered(&self) -> bool {
        matches!(self.fate, Fate::Forwarded | Fate::Neutralised | Fate::Audit)
            && self.action == TC_PASS
            && self.mark & MARK_JUDGED != 0
    }
}

/// The loaded programs and their maps.
pub(crate) struct Site {
    kernel: Kernel,
    pub(crate) maps: Maps,
    automata: Automata,
    config: Config,
    namespace: File,
    tap: OwnedFd,
    last_principal: u32,
    last_rule: u32,
    last_meter: u16,
    last_port: u16,
    /// Of the frames that arrive: above 0, each was put together from segments of this length.
    pub(crate) gso_size: u32,
}

/// The site as every test finds it. `None` where the programs cannot run, which is said; it is a failure where they were
/// expected to.
pub(crate) fn site() -> Option<MutexGuard<'static, Site>> {
    static SITE: OnceLock<Mutex<Site>> = OnceLock::new();
    if let Some(reason) = missing() {
        println!("not run, because {reason}");
        assert!(!everything_is_expected(), "everything is expected to run here");
        return None;
    }
    let site = SITE.get_or_init(|| {
        // A thread of its own: it moves to namespaces of its own.
        Mutex::new(thread::spawn(Site::load).join().expect("loading does not panic"))
    });
    // A test that failed leaves nothing that another one relies on.
    let mut site = site.lock().unwrap_or_else(PoisonError::into_inner);
    setns(&site.namespace, CloneFlags::CLONE_NEWNET).expect("the namespace is there");
    site.start_over();
    Some(site)
}

fn missing() -> Option<&'static str> {
    if !geteuid().is_root() {
        Some("it needs root; `cargo xtask test` runs it so")
    } else if !kernel::is_built_in() {
        Some("this was built without kernel programs; `cargo xtask build` makes them")
    } else {
        None
    }
}

fn everything_is_expected() -> bool {
    ["CI", "EDGEWARD_EXPECT_ALL"]
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|value| value == "true" || value == "1"))
}

impl Site {
    /// Loads the programs in the calling thread, which is in its own mount and network namespace afterwards.
    fn load() -> Self {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).expect("root may make namespaces");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            .expect("root may change its own mounts");
        let namespace = File::open("/proc/thread-self/ns/net").expect("/proc is mounted");
        // Answers are sent for real, so the port must be up.
        let up =
            Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("iproute2 is installed");
        assert!(up.success(), "the port does not come up");
        let tap = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll)
            .expect("root may open a packet socket");
        setsockopt(&tap, ReceiveTimeout, &TimeVal::seconds(5)).expect("a socket takes a deadline");

        // The lock on the folder keeps the BPF filesystem, and with it the pins, after this thread has gone.
        let folder = tempfile::tempdir().expect("a folder for the pins");
        let pins = Pins::open(&folder.path().join("bpf")).expect("a BPF filesystem for the pins");
        let (kernel, maps) = Kernel::load(pins).unwrap_or_else(|error| panic!("{}", chain(&error)));
        let automata = Automata::after(&maps).expect("the maps can be read");
        let config = Config {
            key: HashKeyBytes(HashKey::from_random([7; 16])),
            pause_until: 0,
            mark_judged: MARK_JUDGED,
            mark_gated: MARK_GATED,
            mqtt_ports: [MQTT_PORT, 0, 0, 0],
            monitor: 0,
            silent: 0,
            _pad: [0; 6],
        };
        Self {
            kernel,
            maps,
            automata,
            config,
            namespace,
            tap,
            last_principal: PrincipalId::FIRST,
            last_rule: 0,
            last_meter: 0,
            last_port: 20_000,
            gso_size: 0,
        }
    }

    /// Undoes what a test may have changed beyond its own devices and edges.
    fn start_over(&mut self) {
        self.hear_out();
        self.config.monitor = 0;
        self.config.silent = 0;
        self.config.pause_until = 0;
        self.write_config();
        self.set_port(Role::Lan, false);
        for id in [PrincipalId::SELF, PrincipalId::EVERYONE] {
            self.set_mode(id, Mode::System, false);
        }
        let home = AddrKey { addr: BOX.v4(), link: 0 };
        self.maps.hosts.put(&home, &BOX.id).expect("room for the box");
        self.maps.hosts.put(&AddrKey { addr: BOX.v6(), link: 0 }, &BOX.id).expect("room for the box");
        let mut prefix6 = [0; 16];
        prefix6[0] = 0xfd;
        for (bits, addr) in [(32 + 96 + 8, Addr::from_v4([10, 0, 0, 0])), (32 + 64, Addr(prefix6))] {
            // On the port's link, and as the site's own on whatever link.
            for link in [PORT, 0] {
                let key = NetworkKey { link: link.to_be_bytes(), addr };
                self.maps.networks.put(Prefix { bits, key }).expect("room for a network");
            }
        }
    }

    fn write_config(&mut self) {
        self.maps.config.put(0, &self.config).expect("the configuration can be written");
    }

    /// A change of the model that changes nothing for anybody: what was found before does not hold any more.
    pub(crate) fn change(&mut self) {
        self.set_mode(PrincipalId::EVERYONE, Mode::System, false);
    }

    /// Whether nothing is dropped.
    pub(crate) fn monitor(&mut self, on: bool) {
        self.config.monitor = u8::from(on);
        self.write_config();
    }

    /// Whether refused connections get no answer.
    pub(crate) fn silent(&mut self, on: bool) {
        self.config.silent = u8::from(on);
        self.write_config();
    }

    pub(crate) fn set_port(&mut self, role: Role, dhcp_server: bool) {
        let port = Port { link: PORT, role: role as u8, dhcp_server: u8::from(dhcp_server), _pad: [0; 2] };
        self.maps.ports.put(&PORT, &port).expect("room for the port");
    }

    pub(crate) fn set_mode(&mut self, id: PrincipalId, mode: Mode, dangerous: bool) {
        self.put_principal(id, Principal { dangerous: u8::from(dangerous), ..principal(mode) });
    }

    pub(crate) fn pause(&mut self, id: PrincipalId, mode: Mode) {
        self.put_principal(id, Principal { pause_until: u64::MAX, ..principal(mode) });
    }

    /// Bans a principal until this second of the boot-time clock.
    pub(crate) fn ban(&mut self, id: PrincipalId, mode: Mode, until: u32) {
        self.put_principal(id, Principal { banned_until: until, ..principal(mode) });
    }

    fn put_principal(&mut self, id: PrincipalId, entry: Principal) {
        self.maps.principals.put(id.0, &entry).expect("a principal can be written");
    }

    /// A device that nobody has registered.
    pub(crate) fn stranger(&mut self) -> Host {
        self.last_principal += 1;
        let [_, _, high, low] = self.last_principal.to_be_bytes();
        let mut v6 = BOX.v6;
        v6[14..].copy_from_slice(&[0x10 + high, low]);
        Host {
            id: PrincipalId(self.last_principal),
            mac: [2, 0, 0, 0, high, low],
            v4: [10, 1, high, low],
            v6,
            is_device: true,
        }
    }

    /// A device of the site, in this mode.
    pub(crate) fn device(&mut self, mode: Mode) -> Host {
        let device = self.stranger();
        self.set_mode(device.id, mode, false);
        self.set_home(&device, 0, PORT);
        device
    }

    pub(crate) fn set_home(&mut self, device: &Host, vlan: u16, ifindex: u32) {
        let key = MacKey { mac: device.mac, vlan };
        let home = MacHome { ifindex, principal: device.id };
        self.maps.principal_by_mac.put(&key, &home).expect("room for a device");
    }

    /// A device whose addresses the site knows, because it announced them.
    pub(crate) fn settled(&mut self, mode: Mode) -> Host {
        let device = self.device(Mode::Enforcing);
        let announcement = frame::arp(&device, device.mac, device.v4, device.v4);
        assert_eq!(self.device_sends(&announcement).fate, Fate::Forwarded);
        let announcement = frame::neighbour(&device, &BOX, 136, 255, device.v6, Some((2, device.mac)));
        assert_eq!(self.device_sends(&announcement).fate, Fate::Forwarded);
        self.set_mode(device.id, mode, false);
        device
    }

    /// A host beyond the uplink, with a number if the daemon gave it one.
    pub(crate) fn outside(&mut self, numbered: bool) -> Host {
        let mut host = self.stranger();
        host.is_device = false;
        host.mac = BOX.mac;
        host.v4 = [203, 0, 113, host.v4[3]];
        host.v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        if numbered {
            self.set_mode(host.id, Mode::Outside, false);
            for addr in [host.v4(), host.v6()] {
                self.maps.hosts.put(&AddrKey { addr, link: 0 }, &host.id).expect("room for a host");
            }
        } else {
            host.id = PrincipalId::UNKNOWN;
        }
        host
    }

    /// A principal of a name, or of all names below a domain (`*.example`), at no address of its own.
    pub(crate) fn named(&mut self, name: &str) -> Host {
        let key = self.hash(name.strip_prefix('*').unwrap_or(name));
        let mut host = self.outside(false);
        if let Some(known) = self.maps.named.get(&key).expect("names can be read") {
            return Host { id: known, ..host };
        }
        self.last_principal += 1;
        host.id = PrincipalId(self.last_principal);
        self.set_mode(host.id, Mode::Outside, false);
        self.maps.named.put(&key, &host.id).expect("room for a name");
        host
    }

    /// Lets a device ask for a domain and all names below it.
    pub(crate) fn may_ask(&mut self, device: &Host, domain: &str) {
        self.may_ask_until(device, domain, 0);
    }

    /// Lets a device ask for this name.
    pub(crate) fn may_ask_for(&mut self, device: &Host, name: &str) {
        let key = NameKey { name: self.hash(name), principal: device.id, _pad: 0 };
        self.maps.domains.put(&key, &0).expect("room for a name");
    }

    pub(crate) fn may_ask_until(&mut self, device: &Host, domain: &str, deadline: u64) {
        let key = NameKey { name: self.hash(&format!(".{domain}")), principal: device.id, _pad: 0 };
        self.maps.domains.put(&key, &deadline).expect("room for a domain");
    }

    /// As after a restart of the box: nothing was resolved.
    pub(crate) fn forget_names(&mut self) {
        for key in self.maps.resolved.keys().expect("what was resolved can be read") {
            self.maps.resolved.remove(&key).expect("what was resolved can be removed");
        }
    }

    fn hash(&self, text: &str) -> u64 {
        hash(text.as_bytes(), &self.config.key.0)
    }

    /// Lets every device ask this host for a service (`server::…`).
    pub(crate) fn name_server(&mut self, host: &Host, service: u32) {
        self.maps.servers.put(&AddrKey { addr: host.v4(), link: 0 }, &service).expect("room for a server");
    }

    /// A port number that no connection has used.
    pub(crate) fn fresh_port(&mut self) -> u16 {
        self.last_port += 1;
        self.last_port
    }

    pub(crate) fn fresh_rule(&mut self) -> RuleId {
        self.last_rule += 1;
        RuleId(self.last_rule)
    }

    /// A rule of an edge that lasts.
    pub(crate) fn rule(&mut self, state: RuleState) -> Rule {
        let (id, limits) = (self.fresh_rule(), Rule::UNLIMITED);
        Rule { deadline: 0, id, state: state as u8, counted: 0, action: 0, limits }
    }

    /// Writes the rule of a TCP edge.
    pub(crate) fn edge(&mut self, src: &Host, dst: &Host, port: u16, state: RuleState) -> EdgeKey {
        let rule = self.rule(state);
        self.put_edge(tcp_edge(src, dst, port), rule)
    }

    pub(crate) fn put_edge(&mut self, key: EdgeKey, rule: Rule) -> EdgeKey {
        let edge = Edge {
            rule,
            publish: 0,
            subscribe: 0,
            connect: 0,
            speaks: Protocol::Opaque.bit(),
            _pad: [0; 2],
            limit: Limit { meter: self.fresh_meter(), ..Limit::NONE },
        };
        self.maps.edges.put(&key, &edge).expect("room for an edge");
        key
    }

    /// Lets no more pass on an edge than so many bytes a second, and at once what comes in so many milliseconds; without a
    /// rate, all.
    pub(crate) fn limit(&mut self, key: EdgeKey, rate: Option<u64>, burst: u16) {
        let mut edge = self.maps.edges.get(&key).expect("edges can be read").expect("the edge is there");
        let meter = edge.limit.meter;
        edge.limit = rate.map_or(Limit { meter, ..Limit::NONE }, |rate| Limit::of(rate, burst, meter));
        self.maps.edges.put(&key, &edge).expect("room for an edge");
    }

    /// A place where nothing was counted, as long as there is one.
    fn fresh_meter(&mut self) -> u16 {
        self.last_meter =
            if u32::from(self.last_meter) + 1 < capacity::METERS { self.last_meter + 1 } else { 1 };
        self.last_meter
    }

    /// What an edge has carried.
    pub(crate) fn meter(&self, key: EdgeKey) -> Meter {
        let edge = self.maps.edges.get(&key).expect("edges can be read").expect("the edge is there");
        self.maps.meters.get(u32::from(edge.limit.meter)).expect("meters can be read")
    }

    /// Makes an edge one for MQTT, with these rules for what is said on it.
    pub(crate) fn inspect(&mut self, key: EdgeKey, topics: &Topics) {
        let written: Written = self
            .automata
            .write(&mut self.maps, &self.config.key, topics)
            .expect("room for the states")
            .expect("the rules are not too complex");
        let mut edge = self.maps.edges.get(&key).expect("edges can be read").expect("the edge is there");
        edge.publish = written.publish;
        edge.subscribe = written.subscribe;
        edge.connect = written.connect;
        edge.speaks = Protocol::Mqtt.bit();
        self.maps.edges.put(&key, &edge).expect("room for an edge");
    }

    /// Writes message rules that belong to no edge.
    pub(crate) fn write_topics(&mut self, topics: &Topics) -> Result<Option<Written>, KernelError> {
        self.automata.write(&mut self.maps, &self.config.key, topics)
    }

    /// All states and steps of message rules, in order.
    pub(crate) fn message_rules(&self) -> MessageRules {
        let mut states = self.maps.states.entries().expect("states can be read");
        states.sort_by_key(|(state, _)| *state);
        let steps = self.maps.automaton.entries().expect("steps can be read");
        let mut steps: Vec<_> =
            steps.into_iter().map(|(key, step)| (key.as_bytes().to_vec(), step.next)).collect();
        steps.sort();
        (states, steps)
    }

    /// Lets a frame arrive from a device: at the gate first, then at TC.
    pub(crate) fn device_sends(&mut self, frame: &[u8]) -> Judged {
        let gate = self.run(Hook::Xdp, counter::HOOK_XDP, frame, 0).fate;
        let mut judged = self.run(Hook::LanIngress, counter::HOOK_LAN_INGRESS, frame, 0);
        match gate {
            Fate::Dropped(_) | Fate::Audit => assert_eq!(gate, judged.fate, "gate and TC differ"),
            // What the gate lets through is judged at TC alone.
            Fate::Forwarded => {}
            Fate::Reset(_) | Fate::Neutralised => panic!("the gate sees no connections"),
        }
        judged.gate = Some(gate);
        judged
    }

    /// Lets a frame leave for a device that no port has judged.
    pub(crate) fn device_gets(&mut self, frame: &[u8]) -> Judged {
        self.device_gets_marked(frame, 0)
    }

    pub(crate) fn device_gets_marked(&mut self, frame: &[u8], mark: u32) -> Judged {
        self.run(Hook::LanEgress, counter::HOOK_LAN_EGRESS, frame, mark)
    }

    pub(crate) fn uplink_sends(&mut self, frame: &[u8]) -> Judged {
        self.set_port(Role::Uplink, false);
        let judged = self.run(Hook::Uplink, counter::HOOK_UPLINK, frame, 0);
        self.set_port(Role::Lan, false);
        judged
    }

    /// Lets a frame arrive at the side where its sender lives.
    pub(crate) fn host_sends(&mut self, host: &Host, frame: &[u8]) -> Judged {
        if host.is_device { self.device_sends(frame) } else { self.device_gets(frame) }
    }

    /// Lets a frame arrive from a device at TC without looking at what becomes of it.
    pub(crate) fn flood(&mut self, frame: &[u8]) {
        self.kernel
            .test_run(Hook::LanIngress, frame, &mut [0; SKB_CONTEXT])
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
    }

    /// The entry program of a hook, to measure it.
    pub(crate) fn program(&mut self, hook: Hook) -> OwnedFd {
        self.kernel.program(hook).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// Lets a frame arrive at the gate only: `BPF_PROG_TEST_RUN` makes no socket buffer of a cut IP header.
    pub(crate) fn at_the_gate(&mut self, frame: &[u8]) -> Fate {
        self.run(Hook::Xdp, counter::HOOK_XDP, frame, 0).fate
    }

    fn run(&mut self, hook: Hook, counters: u32, frame: &[u8], mark: u32) -> Judged {
        let before = self.balance(counters);
        let mut context = match hook {
            Hook::Xdp => vec![0; XDP_CONTEXT],
            Hook::LanIngress | Hook::LanEgress | Hook::Uplink => vec![0; SKB_CONTEXT],
        };
        match hook {
            Hook::Xdp => {
                let end = (frame.len() as u32).to_ne_bytes();
                context[XDP_DATA_END..XDP_DATA_END + 4].copy_from_slice(&end);
            }
            Hook::LanIngress | Hook::LanEgress | Hook::Uplink => {
                context[SKB_MARK..SKB_MARK + 4].copy_from_slice(&mark.to_ne_bytes());
                context[SKB_GSO_SIZE..SKB_GSO_SIZE + 4].copy_from_slice(&self.gso_size.to_ne_bytes());
            }
        }
        let (action, frame) = self
            .kernel
            .test_run(hook, frame, &mut context)
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        let mark = match hook {
            Hook::Xdp => 0,
            Hook::LanIngress | Hook::LanEgress | Hook::Uplink => {
                u32::from_ne_bytes([context[SKB_MARK], context[9], context[10], context[11]])
            }
        };
        let after = self.balance(counters);
        Judged { fate: fate(&before, &after), gate: None, action, mark, frame }
    }

    /// The balance of a hook, which is even at rest.
    fn balance(&self, hook: u32) -> Balance {
        let balance = self.maps.counters.balance(hook).expect("the counters can be read");
        let Balance { seen, passed, neutralised, reset, .. } = balance;
        let dropped: u64 = balance.dropped.iter().sum();
        assert_eq!(seen, passed + neutralised + reset + dropped, "{balance:?}");
        assert_eq!(reset, balance.resets.iter().sum::<u64>(), "{balance:?}");
        balance
    }

    /// How many frames from devices were dropped for this reason.
    pub(crate) fn dropped(&self, reason: Reason) -> u64 {
        self.balance(counter::HOOK_LAN_INGRESS).dropped[reason as usize]
    }

    /// What was noted about a source: kind, verdict, reason, count and object, in any order.
    pub(crate) fn observed(&self, src: PrincipalId) -> Vec<Noted> {
        let entries = self.maps.observed.entries().expect("what was observed can be read");
        entries.into_iter().filter(|(key, _)| key.edge.src == src).map(Noted::from).collect()
    }

    /// The only thing that was noted about a source.
    pub(crate) fn only_observed(&self, src: PrincipalId) -> Noted {
        let mut noted = self.observed(src);
        assert_eq!(noted.len(), 1, "{noted:?}");
        noted.remove(0)
    }

    pub(crate) fn frames_of_stranger(&self, mac: [u8; 6], vlan: u16) -> Option<u64> {
        let key = LinkKey { ifindex: PORT, mac, vlan };
        self.maps.strangers.get(&key).expect("strangers can be read").map(|stranger| stranger.frames)
    }

    /// Forgets what the programs have sent: the socket's buffer has an end.
    pub(crate) fn hear_out(&self) {
        while recv(self.tap.as_raw_fd(), &mut [0; 1], MsgFlags::MSG_DONTWAIT).is_ok() {}
    }

    /// The next frame that the programs themselves sent to this host.
    pub(crate) fn heard_by(&self, host: &Host) -> Vec<u8> {
        let mut frame = vec![0; 2048];
        loop {
            let length = recv(self.tap.as_raw_fd(), &mut frame, MsgFlags::empty())
                .expect("the programs send something in time");
            let to = |at: usize, addr: &[u8]| frame[..length].get(at..at + addr.len()) == Some(addr);
            if to(NETWORK + 16, &host.v4) || to(NETWORK + 24, &host.v6) {
                frame.truncate(length);
                return frame;
            }
        }
    }
}

/// An entry of `OBSERVED`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) edge: EdgeKey,
    pub(crate) kind: Kind,
    pub(crate) addr: Addr,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) count: u64,
    pub(crate) object: String,
}

impl From<(ObservedKey, Observed)> for Noted {
    fn from((key, observed): (ObservedKey, Observed)) -> Self {
        let object = &observed.object[..usize::from(observed.object_len)];
        Self {
            edge: key.edge,
            kind: Kind::from_code(key.edge.kind).expect("the kernel writes known kinds"),
            addr: key.addr,
            verdict: Verdict::from_code(observed.verdict).expect("the kernel writes known verdicts"),
            reason: Reason::from_code(observed.reason).expect("the kernel writes known reasons"),
            count: observed.count,
            object: String::from_utf8(object.to_vec()).expect("the kernel checks the text"),
        }
    }
}

const fn principal(mode: Mode) -> Principal {
    Principal { pause_until: 0, mode: mode as u8, dangerous: 0, _pad: [0; 2], banned_until: 0 }
}

/// Boot-time nanoseconds.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every kernel has this clock");
    (time.tv_sec() * 1_000_000_000 + time.tv_nsec()).cast_unsigned()
}

pub(crate) fn tcp_edge(src: &Host, dst: &Host, port: u16) -> EdgeKey {
    transport_edge(src, dst, port, proto::TCP)
}

pub(crate) fn transport_edge(src: &Host, dst: &Host, port: u16, proto: u8) -> EdgeKey {
    EdgeKey { src: src.id, dst: dst.id, port, proto, kind: Kind::Transport as u8 }
}

/// What one frame changed in the counters: seen once, and one fate.
fn fate(before: &Balance, after: &Balance) -> Fate {
    assert_eq!(after.seen, before.seen + 1);
    if after.audit > before.audit {
        assert_eq!(after.passed, before.passed + 1);
        return Fate::Audit;
    }
    if after.passed > before.passed {
        return Fate::Forwarded;
    }
    if after.neutralised > before.neutralised {
        return Fate::Neutralised;
    }
    let more = |before: &[u64], after: &[u64]| {
        Reason::ALL.iter().copied().find(|&reason| after[reason as usize] > before[reason as usize])
    };
    if after.reset > before.reset {
        return Fate::Reset(more(&before.resets, &after.resets).expect("a reset has a reason"));
    }
    Fate::Dropped(more(&before.dropped, &after.dropped).expect("a balance that is even names a reason"))
}

fn chain(error: &KernelError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
