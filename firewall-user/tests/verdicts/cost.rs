//! What a frame costs: the figures `prog_ns` of `cargo xtask bench`.
//!
//! A figure is the time of the entry program and the stages behind it, as the kernel measures it in
//! `BPF_PROG_TEST_RUN`. Every frame runs once, drawn at random from all connections and rules, and its connection goes on
//! behind it: the same frame again would be a retransmission, and a repeated one would carry the mark of its first run.
//! So nothing is skipped, and caches are as a system call and another connection leave them: these are upper bounds of
//! what a loaded firewall takes. All connections are in use: each had a frame from both ends a moment before, so what was
//! found about them holds; `opaque_in_full` is a frame behind a change of the model. Before each run the empty program
//! runs on the same frame, and the net time is the difference; xdp-filter is measured in the same way.
//!
//! `figures` prints one line of JSON behind [`MARK`]; it runs when it is asked for by name.

use std::{
    error::Error,
    fs,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use aya::{
    EbpfLoader,
    maps::{PerCpuHashMap, PerCpuValues},
    programs::Xdp,
    util::nr_cpus,
};
use edgeward::kernel::Hook;
use firewall_common::{
    abi::{EdgeKey, counter},
    precedence::{Mode, RuleState},
};
use graph::{automaton::TopicRule, command::Topics};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    connection::{
        Connection,
        Side::{self, Client, Server},
    },
    frame::{self, ACK, SYN},
    message::{self, CONNACK, V3_1_1, connect, publish},
    raw,
    site::{Host, MARK_JUDGED, MQTT_PORT, SKB_CONTEXT, SKB_MARK, Site, TC_PASS, site},
};

/// What stands before the figures in the output.
const MARK: &str = "figures: ";

const OPAQUE_PORT: u16 = 7000;
const DEVICES: usize = 16;
const BROKERS: usize = 4;
/// Devices with opaque connections; with the others' MQTT edges they make the first twenty.
const OPAQUE_DEVICES: usize = 4;
const XDP_PASS: u32 = 2;
/// A seed, so that every run draws the same keys.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// How much is measured.
struct Scale {
    /// Connections in the tables, inspected ones among them.
    flows: usize,
    inspected: usize,
    /// Numbers of edges and of topic rules.
    stages: [usize; 3],
    rounds: usize,
    /// Frames per round; of denied messages, which end their connections, a fifth.
    frames: usize,
}

const FULL: Scale =
    Scale { flows: 4096, inspected: 1024, stages: [20, 1000, 10_000], rounds: 5, frames: 1000 };

#[test]
#[ignore = "a measurement; `cargo xtask bench` runs it"]
fn figures() {
    let Some(mut site) = site() else { return };
    // An emulator takes its time.
    let frames = std::env::var("EDGEWARD_BENCH_FRAMES").ok().and_then(|frames| frames.parse().ok());
    let scale = Scale { frames: frames.unwrap_or(FULL.frames), ..FULL };
    println!("{MARK}{}", measure(&mut site, &scale));
}

#[test]
fn every_figure_can_be_measured() {
    let Some(mut site) = site() else { return };
    let scale = Scale { flows: 64, inspected: 32, stages: [20, 40, 80], rounds: 2, frames: 10 };
    let figures = measure(&mut site, &scale);
    let is_positive = |figure: &Value| figure["raw"].as_f64().is_some_and(|ns| ns > 0.0);
    for name in ["tc_empty", "xdp_pass", "opaque", "opaque_in_full", "egress_marked", "gate", "ack"] {
        assert!(is_positive(&figures[name]), "{name}: {figures}");
    }
    for name in ["edge", "publish_40", "publish_1400", "publish_deny", "publish_wildcard"] {
        for stage in scale.stages {
            assert!(is_positive(&figures[name][stage.to_string()]), "{name} {stage}: {figures}");
        }
    }
    assert!(figures["xdp_filter"].is_null() || is_positive(&figures["xdp_filter"]), "{figures}");
    assert!(figures["flags"]["flows"].is_u64() && figures["variant"].is_string());
}

fn measure(site: &mut Site, scale: &Scale) -> Value {
    stay_on_one_cpu();
    let mut yard = Yard::lay(site, scale);
    let mut figures = json!({
        "variant": "TC ingress as attached by default: who, binding, flow, edge, stream and automaton, in four stages; \
                    QoS 0, topic of 32 bytes with 4 levels",
        "flags": {
            "repeat": 1, "rounds": scale.rounds, "frames": scale.frames, "seed": SEED,
            "flows": scale.flows, "inspected": scale.inspected, "devices": DEVICES + BROKERS,
            "statistic": "mean of the middle half; best: lowest round",
        },
    });
    let mut stages = json!({ "edge": {}, "publish_40": {}, "publish_1400": {}, "publish_deny": {}, "publish_wildcard": {} });
    for count in scale.stages {
        yard.write_edges(site, count);
        yard.write_rules(site, count, Shape::Literal);
        let label = count.to_string();
        stages["edge"][&label] = yard.new_connections(site).json();
        stages["publish_40"][&label] = yard.publishes(40).json();
        stages["publish_1400"][&label] = yard.publishes(1400).json();
        stages["publish_deny"][&label] = yard.denied(site).json();
        yard.write_rules(site, count, Shape::Wildcard);
        stages["publish_wildcard"][&label] = yard.publishes(40).json();
    }
    figures["opaque"] = yard.opaque_frames(Program::Ingress).json();
    figures["opaque_in_full"] = yard.opaque_frames_in_full(site).json();
    figures["egress_marked"] = yard.opaque_frames(Program::Egress).json();
    figures["gate"] = yard.opaque_frames(Program::Gate).json();
    figures["ack"] = yard.acknowledgements().json();
    figures["tc_empty"] = yard.opaque_frames(Program::Empty).json();
    figures["xdp_pass"] = yard.opaque_frames(Program::Pass).json();
    for (name, filter) in [("xdp_filter", XdpFilter::Allow), ("xdp_filter_deny", XdpFilter::Deny)] {
        figures[name] = match filter.load(&yard) {
            Ok(Some(program)) => yard.opaque_frames(Program::Filter(&program)).json(),
            Ok(None) => Value::Null,
            Err(error) => panic!("{name}: {error}"),
        };
    }
    yard.stay_with_one();
    figures["one_flow"] = json!({
        "opaque": yard.opaque_frames(Program::Ingress).json(),
        "publish_40": yard.publishes(40).json(),
    });
    merge(&mut figures, stages);
    clear(site);
    figures
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { return };
    for (name, value) in from {
        into[name] = value;
    }
}

fn stay_on_one_cpu() {
    let here = Pid::from_raw(0);
    let allowed = sched_getaffinity(here).expect("every thread has a set of CPUs");
    let last = (0..CpuSet::count()).rev().find(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.expect("the set is not empty")).expect("it was in a set");
    sched_setaffinity(here, &one).expect("a thread may choose among its CPUs");
}

/// Devices, brokers and their connections.
struct Yard {
    devices: Vec<Host>,
    brokers: Vec<Host>,
    opaque: Vec<Connection>,
    /// Each with the index of its device.
    inspected: Vec<(usize, Connection)>,
    /// Every edge to which a new connection can be opened.
    edges: Vec<(Host, Host, u16)>,
    /// The inspected edge of each device.
    mqtt: Vec<EdgeKey>,
    topics: Vec<Vec<String>>,
    ingress: OwnedFd,
    egress: OwnedFd,
    gate: OwnedFd,
    empty: OwnedFd,
    pass: OwnedFd,
    dice: Dice,
    rounds: usize,
    frames: usize,
}

/// A frame to be timed, and what has to arrive before it.
struct Shot {
    before: Vec<Vec<u8>>,
    frame: Vec<u8>,
}

impl From<Vec<u8>> for Shot {
    fn from(frame: Vec<u8>) -> Self {
        Self { before: Vec::new(), frame }
    }
}

/// What runs on a frame of an opaque connection.
#[derive(Clone, Copy)]
enum Program<'a> {
    Ingress,
    /// Delivery of what a port has judged.
    Egress,
    Gate,
    Empty,
    Pass,
    Filter(&'a OwnedFd),
}

/// How the rules name topics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Literal,
    /// Two of the four levels are `+`.
    Wildcard,
}

impl Yard {
    fn lay(site: &mut Site, scale: &Scale) -> Self {
        let mut settle = |count| (0..count).map(|_| site.settled(Mode::Enforcing)).collect::<Vec<_>>();
        let (devices, brokers) = (settle(DEVICES), settle(BROKERS));
        let mut yard = Self {
            edges: Vec::new(),
            mqtt: Vec::new(),
            topics: Vec::new(),
            opaque: Vec::new(),
            inspected: Vec::new(),
            ingress: site.program(Hook::LanIngress),
            egress: site.program(Hook::LanEgress),
            gate: site.program(Hook::Xdp),
            empty: raw::load_empty(raw::Kind::Tc, TC_PASS).expect("an empty program loads"),
            pass: raw::load_empty(raw::Kind::Xdp, XDP_PASS).expect("an empty program loads"),
            dice: Dice(SEED),
            rounds: scale.rounds,
            frames: scale.frames,
            devices,
            brokers,
        };
        for (number, &device) in yard.devices.iter().enumerate() {
            let broker = yard.brokers[number % BROKERS];
            yard.mqtt.push(site.edge(&device, &broker, MQTT_PORT, RuleState::Allowed));
            yard.edges.push((device, broker, MQTT_PORT));
        }
        for (&device, &broker) in yard.devices.iter().zip(&yard.brokers).take(OPAQUE_DEVICES) {
            site.edge(&device, &broker, OPAQUE_PORT, RuleState::Allowed);
            yard.edges.push((device, broker, OPAQUE_PORT));
        }
        yard.write_rules(site, scale.stages[0], Shape::Literal);
        for number in 0..scale.inspected {
            let device = number % DEVICES;
            let (connection, frames) = yard.connecting(site, device);
            yard.pass_all(&frames);
            yard.inspected.push((device, connection));
        }
        for number in scale.inspected..scale.flows {
            let (device, broker, port) = yard.edges[DEVICES + number % OPAQUE_DEVICES];
            let mut connection = Connection::new(site, device, broker, port);
            yard.pass_all(&handshake(&mut connection));
            yard.opaque.push(connection);
        }
        yard
    }

    /// Adds edges until there are so many.
    fn write_edges(&mut self, site: &mut Site, count: usize) {
        for number in self.edges.len()..count {
            let device = self.devices[number % DEVICES];
            let broker = self.brokers[number / DEVICES % BROKERS];
            let port = 10_000 + (number / (DEVICES * BROKERS)) as u16;
            site.edge(&device, &broker, port, RuleState::Allowed);
            self.edges.push((device, broker, port));
        }
    }

    /// Replaces all message rules by so many, divided among the devices.
    fn write_rules(&mut self, site: &mut Site, count: usize, shape: Shape) {
        clear_rules(site);
        self.topics = vec![Vec::new(); DEVICES];
        let mut rules = vec![Vec::new(); DEVICES];
        for number in 0..count {
            let device = number % DEVICES;
            let at = number / DEVICES;
            self.topics[device].push(topic(device, at, 't'));
            let filter = match shape {
                Shape::Literal => topic(device, at, 't'),
                Shape::Wildcard => format!("site{device:04}/+/+/t{at:07}"),
            };
            rules[device].push(allow(site, |rule| message::topic(&filter, rule, RuleState::Allowed)));
        }
        for (device, publish) in rules.into_iter().enumerate() {
            let connect = vec![allow(site, |rule| message::client("washer", rule, RuleState::Allowed))];
            let topics = Topics { connect, publish, ..Topics::default() };
            site.inspect(self.mqtt[device], &topics);
        }
    }

    /// New connections, each over an edge drawn from all.
    fn new_connections(&mut self, site: &mut Site) -> Figure {
        self.sample(self.frames, |yard| {
            let (client, server, port) = yard.edges[yard.dice.below(yard.edges.len())];
            let connection = Connection::new(site, client, server, port);
            connection.frame(Client, connection.segment(Client, SYN), &[]).into()
        })
    }

    /// Messages with allowed topics, each over a connection drawn from all. The broker acknowledges what it got before
    /// the next one on this connection, so the firewall need not remember it.
    fn publishes(&mut self, payload_len: usize) -> Figure {
        let payload = vec![b'x'; payload_len];
        self.sample(self.frames, |yard| {
            let at = yard.dice.below(yard.inspected.len());
            let (device, connection) = yard.inspected[at];
            let before = vec![connection.frame(Server, connection.segment(Server, ACK), &[])];
            let topics = &yard.topics[device];
            let message = publish(&topics[yard.dice.below(topics.len())], &payload);
            let frame = connection.frame(Client, connection.segment(Client, ACK), &message);
            advance(&mut yard.inspected[at].1, Client, message.len());
            Shot { before, frame }
        })
    }

    /// Acknowledgements on inspected connections.
    fn acknowledgements(&mut self) -> Figure {
        self.sample(self.frames, |yard| {
            let (_, connection) = yard.inspected[yard.dice.below(yard.inspected.len())];
            connection.frame(Server, connection.segment(Server, ACK), &[]).into()
        })
    }

    /// Messages that no rule allows: each ends its connection at both ends.
    fn denied(&mut self, site: &mut Site) -> Figure {
        let frames = (self.frames / 5).max(1);
        let resets = |site: &Site| {
            site.maps.counters.balance(counter::HOOK_LAN_INGRESS).expect("the counters can be read").reset
        };
        let before = resets(site);
        let figure = self.sample(frames, |yard| {
            let device = yard.dice.below(DEVICES);
            let (connection, before) = yard.connecting(site, device);
            let message = publish(&topic(device, yard.dice.below(64), 'x'), &[b'x'; 40]);
            Shot { before, frame: connection.frame(Client, connection.segment(Client, ACK), &message) }
        });
        assert_eq!(resets(site) - before, (frames * self.rounds) as u64, "every one was denied");
        figure
    }

    /// Frames of opaque connections.
    fn opaque_frames(&mut self, program: Program<'_>) -> Figure {
        let mut context = [0; SKB_CONTEXT];
        let (measured, empty, action) = match program {
            Program::Ingress => (&self.ingress, &self.empty, TC_PASS),
            Program::Egress => {
                context[SKB_MARK..SKB_MARK + 4].copy_from_slice(&MARK_JUDGED.to_ne_bytes());
                (&self.egress, &self.empty, TC_PASS)
            }
            Program::Gate => (&self.gate, &self.pass, XDP_PASS),
            Program::Empty => (&self.empty, &self.empty, TC_PASS),
            Program::Pass => (&self.pass, &self.pass, XDP_PASS),
            Program::Filter(filter) => (filter, &self.pass, XDP_PASS),
        };
        let context = if matches!(program, Program::Egress) { &context[..] } else { &[] };
        let measured = measured.try_clone().expect("a descriptor can be doubled");
        let empty = empty.try_clone().expect("a descriptor can be doubled");
        let runs = Runs { measured, empty, context, action };
        let frames = self.frames;
        let next = |yard: &mut Self| {
            let at = yard.dice.below(yard.opaque.len());
            yard.opaque_frame(at).into()
        };
        self.sample_with(&runs, frames, next, || {})
    }

    /// As [`Yard::opaque_frames`], where the model changes before each frame: nothing that was found before holds.
    fn opaque_frames_in_full(&mut self, site: &mut Site) -> Figure {
        let next = |yard: &mut Self| {
            let at = yard.dice.below(yard.opaque.len());
            yard.opaque_frame(at).into()
        };
        let runs = self.ingress_runs();
        self.sample_with(&runs, self.frames, next, || site.change())
    }

    /// The next frame of an opaque connection.
    fn opaque_frame(&mut self, at: usize) -> Vec<u8> {
        let connection = self.opaque[at];
        advance(&mut self.opaque[at], Client, 40);
        connection.frame(Client, connection.segment(Client, ACK), &[b'x'; 40])
    }

    /// One frame from each end of each connection: all of them are in use.
    fn use_all(&self) {
        for connection in self.opaque.iter().chain(self.inspected.iter().map(|(_, connection)| connection)) {
            let from = |side| connection.frame(side, connection.segment(side, ACK), &[]);
            self.pass_all(&[from(Client), from(Server)]);
        }
    }

    /// Leaves one connection of each kind, and one topic.
    fn stay_with_one(&mut self) {
        self.opaque.truncate(1);
        self.inspected.truncate(1);
        for topics in &mut self.topics {
            topics.truncate(1);
        }
    }

    /// Times the program for frames from devices.
    fn sample(&mut self, frames: usize, next: impl FnMut(&mut Self) -> Shot) -> Figure {
        let runs = self.ingress_runs();
        self.sample_with(&runs, frames, next, || {})
    }

    /// The program for frames from devices.
    fn ingress_runs(&self) -> Runs<'static> {
        Runs {
            measured: self.ingress.try_clone().expect("a descriptor can be doubled"),
            empty: self.empty.try_clone().expect("a descriptor can be doubled"),
            context: &[],
            action: TC_PASS,
        }
    }

    fn sample_with(
        &mut self,
        runs: &Runs<'_>,
        frames: usize,
        mut next: impl FnMut(&mut Self) -> Shot,
        mut between: impl FnMut(),
    ) -> Figure {
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let mut round = Round::default();
            self.use_all();
            // Made first, so that making them does not push the programs out of the caches.
            let shots: Vec<Shot> = (0..frames).map(|_| next(self)).collect();
            for Shot { before, frame } in &shots {
                self.pass_all(before);
                between();
                round.empty.push(runs.time(&runs.empty, frame));
                round.measured.push(runs.time(&runs.measured, frame));
            }
            rounds.push(round);
        }
        Figure { rounds }
    }

    /// A connection on which CONNECT was answered, and the frames that make it so.
    fn connecting(&self, site: &mut Site, device: usize) -> (Connection, Vec<Vec<u8>>) {
        let broker = self.brokers[device % BROKERS];
        let mut connection = Connection::new(site, self.devices[device], broker, MQTT_PORT);
        let words = connect(V3_1_1, "washer");
        let mut frames = handshake(&mut connection);
        for (side, words) in [(Client, &words[..]), (Server, &CONNACK[..]), (Client, &[])] {
            frames.push(connection.frame(side, connection.segment(side, ACK), words));
            advance(&mut connection, side, words.len());
        }
        (connection, frames)
    }

    /// Lets frames arrive that belong to the setting and are not measured.
    fn pass_all(&self, frames: &[Vec<u8>]) {
        for frame in frames {
            let ran = raw::run(self.ingress.as_fd(), frame, &[], 1).expect("the program runs");
            assert_eq!(ran.action, TC_PASS, "{:?}", frame::read(frame));
        }
    }
}

/// Removes what would be in the way of other tests.
fn clear(site: &mut Site) {
    clear_rules(site);
    for key in site.maps.edges.keys().expect("edges can be read") {
        site.maps.edges.remove(&key).expect("an edge can be removed");
    }
}

/// What is run on each frame.
struct Runs<'a> {
    measured: OwnedFd,
    empty: OwnedFd,
    context: &'a [u8],
    /// What the program must say.
    action: u32,
}

impl Runs<'_> {
    fn time(&self, program: &OwnedFd, frame: &[u8]) -> f64 {
        let ran = raw::run(program.as_fd(), frame, self.context, 1).expect("the program runs");
        assert_eq!(ran.action, self.action, "{:?}", frame::read(frame));
        f64::from(ran.ns)
    }
}

/// The frames that open a connection.
fn handshake(connection: &mut Connection) -> Vec<Vec<u8>> {
    [(Client, SYN), (Server, SYN | ACK), (Client, ACK)]
        .into_iter()
        .map(|(side, flags)| {
            let frame = connection.frame(side, connection.segment(side, flags), &[]);
            advance(connection, side, usize::from(flags & SYN != 0));
            frame
        })
        .collect()
}

fn advance(connection: &mut Connection, side: Side, length: usize) {
    let seq = match side {
        Client => &mut connection.client_seq,
        Server => &mut connection.server_seq,
    };
    *seq = seq.wrapping_add(length as u32);
}

/// A topic of 32 bytes in 4 levels.
fn topic(device: usize, at: usize, mark: char) -> String {
    let topic = format!("site{device:04}/floor{:02}/room{:02}/{mark}{at:07}", device % 7, at % 8);
    debug_assert_eq!(topic.len(), 32);
    topic
}

fn allow(site: &mut Site, make: impl FnOnce(firewall_common::abi::RuleId) -> TopicRule) -> TopicRule {
    let rule = site.rule(RuleState::Allowed);
    site.maps.rules.put(&rule.id, &rule).expect("room for a rule");
    make(rule.id)
}

fn clear_rules(site: &mut Site) {
    let maps = &mut site.maps;
    for key in maps.automaton.keys().expect("steps can be read") {
        maps.automaton.remove(&key).expect("a step can be removed");
    }
    for key in maps.states.keys().expect("states can be read") {
        maps.states.remove(&key).expect("a state can be removed");
    }
    for key in maps.rules.keys().expect("rules can be read") {
        maps.rules.remove(&key).expect("a rule can be removed");
    }
}

/// The times of one figure, in rounds.
struct Figure {
    rounds: Vec<Round>,
}

/// The times of the program and of the empty one on the same frames.
#[derive(Default)]
struct Round {
    measured: Vec<f64>,
    empty: Vec<f64>,
}

impl Figure {
    fn json(&self) -> Value {
        let all =
            |pick: fn(&Round) -> &Vec<f64>| middle(self.rounds.iter().flat_map(pick).copied().collect());
        let (raw, floor) = (all(|round| &round.measured), all(|round| &round.empty));
        let best = self
            .rounds
            .iter()
            .map(|round| middle(round.measured.clone()) - middle(round.empty.clone()))
            .fold(f64::INFINITY, f64::min);
        let frames: usize = self.rounds.iter().map(|round| round.measured.len()).sum();
        let tenth = |ns: f64| (ns * 10.0).round() / 10.0;
        json!({
            "raw": tenth(raw), "floor": tenth(floor), "net": tenth(raw - floor), "best": tenth(best), "frames": frames,
        })
    }
}

/// The mean of the middle half: as robust as the median, and finer than the clock's ticks.
fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let quarter = times.len() / 4;
    let half = &times[quarter..times.len() - quarter];
    half.iter().sum::<f64>() / f64::from(half.len() as u32)
}

/// Numbers that look random (xorshift64, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// The distribution's xdp-filter, with all that it can look at.
#[derive(Clone, Copy)]
enum XdpFilter {
    /// What its `load` does: what no table names passes, after every table was asked.
    Allow,
    /// What no table names is dropped; the frame passes at the first table that names it.
    Deny,
}

impl XdpFilter {
    /// Bit of an entry for source addresses (`common_kern_user.h` of xdp-filter).
    const SOURCE: u64 = 1;
    /// Addresses in its table.
    const ADDRESSES: u32 = 1000;

    /// Nothing if it is not installed.
    fn load(self, yard: &Yard) -> Result<Option<OwnedFd>, Box<dyn Error>> {
        let name = match self {
            Self::Allow => "xdpfilt_alw_all.o",
            Self::Deny => "xdpfilt_dny_all.o",
        };
        let folders = ["/usr/lib/x86_64-linux-gnu/bpf", "/usr/lib/aarch64-linux-gnu/bpf", "/usr/lib/bpf"];
        let mut files = folders.iter().map(|folder| Path::new(folder).join(name));
        let Some(file) = files.find(|file| file.is_file()) else { return Ok(None) };
        // Its maps ask to be pinned, and are gone with this folder.
        let pins = Path::new("/sys/fs/bpf").join(format!("edgeward-cost-{}", std::process::id()));
        fs::create_dir(&pins)?;
        let program = self.start(yard, &file, &pins);
        fs::remove_dir_all(&pins)?;
        program.map(Some)
    }

    fn start(self, yard: &Yard, file: &Path, pins: &Path) -> Result<OwnedFd, Box<dyn Error>> {
        let mut ebpf = EbpfLoader::new().default_map_pin_directory(pins).load_file(file)?;
        let map = ebpf.map_mut("filter_ipv4").ok_or("it has no map of addresses")?;
        let mut addresses: PerCpuHashMap<_, [u8; 4], u64> = PerCpuHashMap::try_from(map)?;
        let cpus = nr_cpus().map_err(|(_, error)| error)?;
        let others = (0..Self::ADDRESSES).map(|number| {
            let [_, a, b, c] = number.to_be_bytes();
            [172, 16 + a, b, c]
        });
        let own = yard.devices.iter().map(|device| device.v4);
        let named: Vec<[u8; 4]> = match self {
            Self::Allow => others.collect(),
            Self::Deny => own.chain(others).take(Self::ADDRESSES as usize).collect(),
        };
        for address in named {
            addresses.insert(address, PerCpuValues::try_from(vec![Self::SOURCE; cpus])?, 0)?;
        }
        let name = ebpf.programs().map(|(name, _)| name.to_owned()).next().ok_or("it has no program")?;
        let program: &mut Xdp = ebpf.program_mut(&name).ok_or("it has no program")?.try_into()?;
        program.load()?;
        Ok(program.fd()?.as_fd().try_clone_to_owned()?)
    }
}
