//! The kernel programs on a bench: own maps, own network namespace, no traffic but the frames of the test.

use std::{
    env,
    fs::{self, File},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use edgeward::{
    automata::Automata,
    kernel::{Balance, Hook, Kernel, Maps, Pins, Plain, Prefix, Table, is_built_in},
};
use firewall_common::{
    abi::{
        Addr, AddrKey, Config, Edge, EdgeKey, HashKeyBytes, Inspect, Kind, MacHome, MacKey, NetworkKey,
        Observed, ObservedKey, Port, Principal, PrincipalId, Role, Rule, RuleId, Usage,
    },
    hash::HashKey,
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
};
use graph::command::Topics;
use nix::sched::{CloneFlags, setns, unshare};

use super::frames;

/// The loopback interface: XDP test runs have no other.
pub(crate) const LAN: u32 = 1;
pub(crate) const JUDGED: u32 = 0x4000_0000;
pub(crate) const GATED: u32 = 0x2000_0000;

pub(crate) const DEVICE: PrincipalId = PrincipalId(16);
pub(crate) const OTHER: PrincipalId = PrincipalId(17);

/// Offsets in `struct __sk_buff` and its size; `ifindex` in `struct xdp_md` is 0 here, which means loopback.
const SKB_MARK: usize = 8;
const SKB_IFINDEX: usize = 40;
const SKB_SIZE: usize = 192;
/// What a program returns for a frame that goes on.
const TC_ACT_UNSPEC: u32 = u32::MAX;
const XDP_PASS: u32 = 2;
/// Where the flags of TCP are in a frame without options.
const TCP_FLAGS: usize = 14 + 20 + 13;

/// Loading takes a second of the verifier's time, so there is one bench for all tests.
static BENCH: Mutex<Option<Loaded>> = Mutex::new(None);

/// The programs, and the namespace in which their interfaces are.
struct Loaded {
    bench: Bench,
    namespace: File,
}

/// The bench while a test has it.
pub(crate) struct Turn(MutexGuard<'static, Option<Loaded>>);

impl std::ops::Deref for Turn {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.0.as_ref().expect("loaded when the turn began").bench
    }
}

impl std::ops::DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.0.as_mut().expect("loaded when the turn began").bench
    }
}

pub(crate) struct Bench {
    kernel: Kernel,
    pub(crate) maps: Maps,
    config: Config,
    automata: Automata,
    /// A second protected port.
    pub(crate) other_port: u32,
    pub(crate) uplink: u32,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It went on with this mark.
    Passed {
        mark: u32,
    },
    Dropped(Reason),
    /// Both ends were reset.
    Reset(Reason),
}

impl Bench {
    /// A bench with nothing but the box on it. Without root or programs it says so, and fails where every test is
    /// expected to run.
    pub(crate) fn empty() -> Option<Turn> {
        let missing = if !nix::unistd::geteuid().is_root() {
            "it needs root; `cargo xtask test` runs it so"
        } else if !is_built_in() {
            "it was built without kernel programs; `cargo xtask build` makes them"
        } else {
            return Some(Self::turn());
        };
        println!("not run, because {missing}");
        let expected = ["CI", "EDGEWARD_EXPECT_ALL"]
            .iter()
            .any(|name| env::var(name).is_ok_and(|value| value == "true" || value == "1"));
        assert!(!expected, "everything is expected to run here");
        None
    }

    fn turn() -> Turn {
        // What another test left behind when it failed is cleared like everything else.
        let mut guard = BENCH.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = guard.get_or_insert_with(|| {
            // This thread's namespace: interfaces of the bench are nobody else's.
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            Loaded { namespace: File::open("/proc/thread-self/ns/net").unwrap(), bench: Self::load() }
        });
        setns(loaded.namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        loaded.bench.clear();
        Turn(guard)
    }

    fn load() -> Self {
        ip("link set lo up");
        ip("link add lan1 type veth peer name wan0");
        let folder = PathBuf::from(format!("/sys/fs/bpf/edgeward-bench-{}", std::process::id()));
        let (kernel, maps) = Kernel::load(Pins::open(&folder).unwrap()).unwrap();
        // The programs and maps are held by this process; pins would outlive it.
        remove(&folder);
        let config = Config {
            key: HashKeyBytes(HashKey::from_random([7; 16])),
            pause_until: 0,
            mark_judged: JUDGED,
            mark_gated: GATED,
            mqtt_ports: [1883, 0, 0, 0],
            monitor: 0,
            silent: 0,
            _pad: [0; 6],
        };
        let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap();
        Self {
            automata: Automata::after(&maps).unwrap(),
            kernel,
            maps,
            config,
            other_port: index("lan1"),
            uplink: index("wan0"),
        }
    }

    /// Brings the maps to the same state before each test.
    fn clear(&mut self) {
        let bench = self;
        bench.set_monitor(false);
        clear(&mut bench.maps.principal_by_mac);
        clear(&mut bench.maps.strangers);
        clear(&mut bench.maps.bindings);
        clear(&mut bench.maps.hosts);
        clear(&mut bench.maps.edges);
        clear(&mut bench.maps.rules);
        clear(&mut bench.maps.uses);
        clear(&mut bench.maps.half_open);
        clear(&mut bench.maps.flows);
        clear(&mut bench.maps.observed);
        let unused = Usage { flows: 0, addresses: 0, observed: 0, streams: 0 };
        for id in [DEVICE, OTHER] {
            bench.maps.usage.put(id.0, &unused).unwrap();
        }
        let port = |role: Role| Port { link: LAN, role: role as u8, dhcp_server: 0, _pad: [0; 2] };
        bench.maps.ports.put(&LAN, &port(Role::Lan)).unwrap();
        bench.maps.ports.put(&bench.other_port, &port(Role::Lan)).unwrap();
        bench.maps.ports.put(&bench.uplink, &port(Role::Uplink)).unwrap();
        for (id, mode) in [
            (PrincipalId::UNKNOWN, Mode::Outside),
            (PrincipalId::SELF, Mode::System),
            (PrincipalId::EVERYONE, Mode::System),
        ] {
            bench.principal(id, mode);
        }
        // 10.9.0.0/16 is the devices', 10.9.0.1 the box.
        let network = NetworkKey { link: LAN.to_be_bytes(), addr: Addr::from_v4([10, 9, 0, 0]) };
        bench.maps.networks.put(Prefix { bits: 32 + 96 + 16, key: network }).unwrap();
        let own = AddrKey { addr: Addr::from_v4([10, 9, 0, 1]), link: 0 };
        bench.maps.hosts.put(&own, &PrincipalId::SELF).unwrap();
    }

    /// Registers two devices in these modes and lets them announce their addresses.
    pub(crate) fn with_devices(device: Mode, other: Mode) -> Option<Turn> {
        let mut bench = Self::empty()?;
        for (mac, ip, id, mode) in [
            (frames::DEVICE, frames::DEVICE_IP, DEVICE, device),
            (frames::OTHER, frames::OTHER_IP, OTHER, other),
        ] {
            bench.device(mac, LAN, id);
            bench.principal(id, mode);
            let announced = bench.device_sends(&frames::arp(mac, ip, [10, 9, 0, 1]));
            assert_eq!(announced, Outcome::Passed { mark: JUDGED });
        }
        Some(bench)
    }

    pub(crate) fn device(&mut self, mac: [u8; 6], ifindex: u32, principal: PrincipalId) {
        self.maps.principal_by_mac.put(&MacKey { mac, vlan: 0 }, &MacHome { ifindex, principal }).unwrap();
    }

    pub(crate) fn principal(&mut self, id: PrincipalId, mode: Mode) {
        let entry = Principal { pause_until: 0, mode: mode as u8, dangerous: 0, _pad: [0; 6] };
        self.maps.principals.put(id.0, &entry).unwrap();
    }

    pub(crate) fn set_monitor(&mut self, monitor: bool) {
        self.config.monitor = u8::from(monitor);
        self.maps.config.put(0, &self.config).unwrap();
    }

    /// Writes an edge to a port that is not inspected.
    pub(crate) fn edge(&mut self, key: EdgeKey, rule: Rule) {
        let edge =
            Edge { rule, publish: 0, subscribe: 0, connect: 0, inspect: Inspect::Opaque as u8, _pad: [0; 3] };
        self.maps.edges.put(&key, &edge).unwrap();
    }

    /// Writes an edge to an MQTT broker, with its message rules.
    pub(crate) fn broker(&mut self, key: EdgeKey, rule: Rule, topics: &Topics) {
        let written = self.automata.write(&mut self.maps, &self.config.key, topics).unwrap().unwrap();
        for topic in topics.connect.iter().chain(&topics.publish).chain(&topics.subscribe) {
            self.maps.rules.put(&topic.rule, &rule_of(topic.rule.0, topic.state)).unwrap();
        }
        let edge = Edge {
            rule,
            publish: written.publish,
            subscribe: written.subscribe,
            connect: written.connect,
            inspect: Inspect::Mqtt as u8,
            _pad: [0; 3],
        };
        self.maps.edges.put(&key, &edge).unwrap();
    }

    pub(crate) fn device_sends(&mut self, frame: &[u8]) -> Outcome {
        self.run(Hook::LanIngress, LAN, frame)
    }

    pub(crate) fn device_gets(&mut self, frame: &[u8]) -> Outcome {
        self.run(Hook::LanEgress, LAN, frame)
    }

    /// Runs a hook at an interface.
    pub(crate) fn run(&mut self, hook: Hook, ifindex: u32, frame: &[u8]) -> Outcome {
        let before = self.balance(hook);
        let mut context = [0; SKB_SIZE];
        context[SKB_IFINDEX..SKB_IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
        let (action, out) = self.kernel.test_run(hook, frame, &mut context).unwrap();
        let mark = u32::from_ne_bytes(context[SKB_MARK..SKB_MARK + 4].try_into().unwrap());
        self.outcome(hook, &before, action == TC_ACT_UNSPEC, mark, &out)
    }

    /// Runs the XDP program at the loopback interface.
    pub(crate) fn run_xdp(&mut self, frame: &[u8]) -> Outcome {
        let before = self.balance(Hook::Xdp);
        let mut context = [0; 24];
        context[4..8].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
        let (action, out) = self.kernel.test_run(Hook::Xdp, frame, &mut context).unwrap();
        self.outcome(Hook::Xdp, &before, action == XDP_PASS, 0, &out)
    }

    /// One frame is counted once, and as what became of it.
    fn outcome(&self, hook: Hook, before: &Balance, passed: bool, mark: u32, out: &[u8]) -> Outcome {
        let after = self.balance(hook);
        let reason = |after: &[u64], before: &[u64]| {
            let code = after.iter().zip(before).position(|(after, before)| after > before).unwrap();
            Reason::from_code(code as u8).unwrap()
        };
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        let counted = [
            after.passed - before.passed,
            after.reset - before.reset,
            after.neutralised - before.neutralised,
            total(&after.dropped) - total(&before.dropped),
        ];
        assert_eq!(after.seen - before.seen, counted.iter().sum::<u64>(), "the balance of {hook:?}");
        assert_eq!(counted.iter().sum::<u64>(), 1, "{counted:?}");
        assert_eq!(after.reset, total(&after.resets), "every reset has a reason");
        match counted {
            [1, ..] => {
                assert!(passed);
                Outcome::Passed { mark }
            }
            [_, 1, ..] => {
                // The receiver's reset takes the frame's place, without anything of what the frame said.
                assert!(
                    passed && out[TCP_FLAGS] & frames::RST != 0 && out.len() == TCP_FLAGS + 7,
                    "{out:02x?}"
                );
                Outcome::Reset(reason(&after.resets, &before.resets))
            }
            _ => {
                assert!(!passed);
                Outcome::Dropped(reason(&after.dropped, &before.dropped))
            }
        }
    }

    pub(crate) fn balance(&self, hook: Hook) -> Balance {
        let number = Hook::ALL.iter().position(|other| *other == hook).unwrap();
        self.maps.counters.balance(number as u32).unwrap()
    }

    /// What was observed of this kind: edge, verdict, reason and object.
    pub(crate) fn observed(&self, kind: Kind) -> Vec<(EdgeKey, Option<Verdict>, Option<Reason>, String)> {
        let object = |value: &Observed| {
            String::from_utf8_lossy(&value.object[..usize::from(value.object_len)]).into_owned()
        };
        self.maps
            .observed
            .entries()
            .unwrap()
            .into_iter()
            .filter(|(key, _): &(ObservedKey, Observed)| key.edge.kind == kind as u8)
            .map(|(key, value)| {
                (key.edge, Verdict::from_code(value.verdict), Reason::from_code(value.reason), object(&value))
            })
            .collect()
    }
}

fn clear<K: Plain, V: Plain>(table: &mut Table<K, V>) {
    for key in table.keys().unwrap() {
        table.remove(&key).unwrap();
    }
}

fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            remove(&path);
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
    fs::remove_dir(folder).unwrap();
}

pub(crate) fn rule_of(id: u32, state: RuleState) -> Rule {
    Rule { deadline: 0, id: RuleId(id), state: state as u8, counted: 0, _pad: [0; 2] }
}

pub(crate) fn tcp_edge(src: PrincipalId, dst: PrincipalId, port: u16) -> EdgeKey {
    EdgeKey { src, dst, port, proto: frames::TCP, kind: Kind::Transport as u8 }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}
