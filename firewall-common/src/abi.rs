//! Keys and values of every map, and the events of the ring buffer.
//!
//! Each map has one writer, named at its key type: a kernel program or the daemon, never both. Where the daemon removes
//! what the kernel wrote, or the kernel takes a use that the daemon wrote, the line says so. Sizes are asserted below:
//! they are part of the pinned state, and a change needs a new [`SCHEMA`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::hash::HashKey;

/// Bits of a value of `SERVERS`, by [`AddrKey`]: whose name or time service every device may use. Written by the daemon.
pub mod server {
    /// DNS on port 53.
    pub const DNS: u32 = 1;
    /// NTP on port 123.
    pub const NTP: u32 = 2;
}

/// Version of the pinned state. A kernel object and pinned maps fit together only if it is equal.
pub const SCHEMA: u32 = 2;

/// Longest object (topic, filter, client id, host name) in bytes that is judged and reported; a longer one is
/// [`Reason::ObjectCap`](crate::reason::Reason::ObjectCap).
pub const OBJECT_CAP: usize = 256;

/// Most addresses that one principal may hold; one more takes the place of the oldest.
pub const ADDRESSES_EACH: usize = 16;

/// Most addresses whose names are remembered for one device; after so many newer ones a binding holds no more.
pub const RESOLVED_EACH: u64 = 256;

/// Names that one address has for one device beside the latest one, before the oldest is forgotten.
pub const OTHER_NAMES: usize = 12;

macro_rules! wire_type {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($body:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        $vis struct $name { $($body)* }
    };
}

/// Number of a principal: index into `PRINCIPALS`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(transparent)]
pub struct PrincipalId(pub u32);

impl PrincipalId {
    /// Nobody that the daemon has registered.
    pub const UNKNOWN: Self = Self(0);
    /// The box itself.
    pub const SELF: Self = Self(1);
    /// Everyone on the link: broadcast and multicast.
    pub const EVERYONE: Self = Self(2);
    /// The first number for devices and outside hosts.
    pub const FIRST: u32 = 16;
    /// One more than the last number.
    pub const LIMIT: u32 = 4096;
}

/// Number of a rule: an edge of the graph, as the kernel refers to it. Zero is none.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(transparent)]
pub struct RuleId(pub u32);

impl RuleId {
    /// The rule that lets nothing be learned: always in `RULES`.
    pub const GUARD: Self = Self(1);
}

/// An IPv4 (mapped as `::ffff:a.b.c.d`) or IPv6 address, network order. Aligned, so that kernel programs copy words.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(C, align(4))]
pub struct Addr(pub [u8; 16]);

impl Addr {
    /// Maps an IPv4 address (RFC 4291, section 2.5.5.2).
    pub const fn from_v4(v4: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]])
    }

    /// Makes an unspecified address the one that [`Addr::from_v4`] gives: kernel programs write no more than they must.
    #[inline(always)]
    pub const fn map_v4(&mut self, v4: [u8; 4]) {
        let mut i = 0;
        while i < 4 {
            self.0[12 + i] = v4[i];
            i += 1;
        }
        self.0[10] = 0xff;
        self.0[11] = 0xff;
    }

    /// The IPv4 address, if it is one.
    pub const fn v4(self) -> Option<[u8; 4]> {
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Some([a, b, c, d]),
            _ => None,
        }
    }

    /// Whether the address only has a meaning on its link (`fe80::/10`, `169.254.0.0/16`).
    pub const fn is_link_local(self) -> bool {
        match self.v4() {
            Some([169, 254, ..]) => true,
            Some(_) => false,
            None => self.0[0] == 0xfe && self.0[1] & 0xc0 == 0x80,
        }
    }

    /// Whether the address names everyone: IPv4 multicast and limited broadcast, IPv6 multicast. Directed broadcasts
    /// are entries of `HOSTS`.
    pub const fn is_everyone(self) -> bool {
        match self.v4() {
            Some([255, 255, 255, 255]) => true,
            Some([first, ..]) => first & 0xf0 == 0xe0,
            None => self.0[0] == 0xff,
        }
    }

    /// Whether no bit is set, in either family.
    pub const fn is_unspecified(self) -> bool {
        match self.v4() {
            Some(v4) => matches!(v4, [0, 0, 0, 0]),
            None => matches!(self.0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        }
    }
}

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Devices live there: both directions are judged.
    Lan = 1,
    /// The way out: the gate only.
    Uplink = 2,
}

/// What a connection speaks. It is part of its edge: another one is `proto.changed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Nothing that is recognised; not looked at further.
    Opaque = 0,
    Mqtt = 1,
    /// HTTP/1.0 and HTTP/1.1.
    Http = 2,
    Tls = 3,
    /// Modbus/TCP.
    Modbus = 4,
    Coap = 5,
    Dns = 6,
    Ntp = 7,
    Ssdp = 8,
    Dtls = 9,
    Quic = 10,
    /// An HTTP connection that became a `WebSocket`.
    Websocket = 11,
}

impl Protocol {
    /// Every protocol, in the order of its number.
    pub const ALL: &[Self] = &[
        Self::Opaque,
        Self::Mqtt,
        Self::Http,
        Self::Tls,
        Self::Modbus,
        Self::Coap,
        Self::Dns,
        Self::Ntp,
        Self::Ssdp,
        Self::Dtls,
        Self::Quic,
        Self::Websocket,
    ];

    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Mqtt => "mqtt",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Modbus => "modbus",
            Self::Coap => "coap",
            Self::Dns => "dns",
            Self::Ntp => "ntp",
            Self::Ssdp => "ssdp",
            Self::Dtls => "dtls",
            Self::Quic => "quic",
            Self::Websocket => "websocket",
        }
    }

    /// The protocol with this number, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Opaque),
            1 => Some(Self::Mqtt),
            2 => Some(Self::Http),
            3 => Some(Self::Tls),
            4 => Some(Self::Modbus),
            5 => Some(Self::Coap),
            6 => Some(Self::Dns),
            7 => Some(Self::Ntp),
            8 => Some(Self::Ssdp),
            9 => Some(Self::Dtls),
            10 => Some(Self::Quic),
            11 => Some(Self::Websocket),
            _ => None,
        }
    }

    /// The protocol with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|protocol| protocol.as_str() == name)
    }

    /// Its bit in [`Edge::speaks`].
    pub const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// What an [`EdgeKey`] or [`ObservedKey`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// TCP or UDP to a port, or ICMP of a type.
    Transport = 0,
    /// A frame that is not IP; `port` is the ethertype.
    Link = 1,
    /// MQTT CONNECT; the object is the client id.
    MqttConnect = 2,
    /// MQTT PUBLISH; the object is the topic.
    MqttPublish = 3,
    /// MQTT SUBSCRIBE; the object is the filter.
    MqttSubscribe = 4,
    /// Not an edge: the host name in a DHCP request of `src`. The object is the name.
    DhcpName = 5,
    /// Not an edge: what came over the quota of `src`.
    Overflow = 6,
    /// What a connection to the port was found to speak; the object is [`Protocol::as_str`].
    Speaks = 7,
    /// HTTP request that reads; the object is the path, a space and the host: `/api/light hub.local`.
    HttpGet = 8,
    /// HTTP request that changes something.
    HttpSet = 9,
    HttpDelete = 10,
    /// CoAP request; the object is as that of HTTP.
    CoapGet = 11,
    CoapSet = 12,
    CoapDelete = 13,
    /// CoAP GET with the option Observe (RFC 7641).
    CoapObserve = 14,
    /// Modbus function that reads; the object is unit, area and addresses: `1/holding/100-109`. Where the first and the
    /// last address lead to different states, no rule is about all of them: such a request is judged as
    /// [`RuleState::Guarded`](crate::precedence::RuleState::Guarded), so it is never learned by the kernel.
    ModbusRead = 15,
    /// Modbus function that writes.
    ModbusWrite = 16,
    /// TLS `ClientHello`; the object is the server name, in lower case.
    TlsName = 17,
    /// User name in an MQTT CONNECT; the object is the name.
    MqttUser = 18,
    /// Not an edge: a server refused the login of a connection's client; the object is the rule of its MQTT client id.
    LoginFailed = 19,
    /// A name that `src` asks the site's resolver for; the object is the name, in lower case.
    Resolve = 20,
}

impl Kind {
    /// The kind with this number, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Transport),
            1 => Some(Self::Link),
            2 => Some(Self::MqttConnect),
            3 => Some(Self::MqttPublish),
            4 => Some(Self::MqttSubscribe),
            5 => Some(Self::DhcpName),
            6 => Some(Self::Overflow),
            7 => Some(Self::Speaks),
            8 => Some(Self::HttpGet),
            9 => Some(Self::HttpSet),
            10 => Some(Self::HttpDelete),
            11 => Some(Self::CoapGet),
            12 => Some(Self::CoapSet),
            13 => Some(Self::CoapDelete),
            14 => Some(Self::CoapObserve),
            15 => Some(Self::ModbusRead),
            16 => Some(Self::ModbusWrite),
            17 => Some(Self::TlsName),
            18 => Some(Self::MqttUser),
            19 => Some(Self::LoginFailed),
            20 => Some(Self::Resolve),
            _ => None,
        }
    }
}

/// Slots of `COUNTERS`, a per-CPU array of `u64` written by the kernel: `hook * SLOTS + slot`.
pub mod counter {
    /// Frames that a LAN port received from devices.
    pub const HOOK_LAN_INGRESS: u32 = 0;
    /// Frames about to be delivered to devices.
    pub const HOOK_LAN_EGRESS: u32 = 1;
    /// Frames that the uplink received.
    pub const HOOK_UPLINK: u32 = 2;
    /// Frames seen by XDP, before any of the others.
    pub const HOOK_XDP: u32 = 3;
    /// Number of hooks.
    pub const HOOKS: u32 = 4;

    /// Every frame that reached the hook.
    pub const SEEN: u32 = 0;
    /// Frames that went on (also those of verdict AUDIT).
    pub const PASSED: u32 = 1;
    /// Frames that went on in a harmless form.
    pub const NEUTRALISED: u32 = 2;
    /// Frames that ended a connection at both ends.
    pub const RESET: u32 = 3;
    /// Frames of verdict AUDIT; part of [`PASSED`].
    pub const AUDIT: u32 = 4;
    /// Events that there was a reason to send.
    pub const EVENTS_PRODUCED: u32 = 5;
    /// Events not sent because the daemon was told already.
    pub const EVENTS_SUPPRESSED: u32 = 6;
    /// Events for which the ring buffer had no room.
    pub const EVENTS_LOST: u32 = 7;
    /// First slot of `dropped[reason]`.
    pub const DROPPED: u32 = 16;
    /// Room for reasons.
    pub const REASONS: u32 = 48;
    /// First slot of `resets[reason]`, whose sum is [`RESET`].
    pub const RESETS: u32 = DROPPED + REASONS;
    /// Slots per hook.
    pub const SLOTS: u32 = RESETS + REASONS;
}

wire_type! {
    /// `PORTS`: interface index → [`Port`]. Written by the daemon.
    pub struct Port {
        /// Frames between ports of one link need no router: the bridge's index, or the port's own.
        pub link: u32,
        /// [`Role`] as a number.
        pub role: u8,
        /// 1 where a DHCP server is expected.
        pub dhcp_server: u8,
        pub _pad: [u8; 2],
    }
}

wire_type! {
    /// `CONFIG`: one entry. Written by the daemon.
    pub struct Config {
        /// Secret of this boot's hashes; kept as long as the maps are pinned.
        pub key: HashKeyBytes,
        /// Boot-time nanoseconds until which nothing is dropped at the whole site; 0 is not paused.
        pub pause_until: u64,
        /// Mark bit of a judged frame.
        pub mark_judged: u32,
        /// Mark bit of a frame that passed the uplink's gate.
        pub mark_gated: u32,
        /// Ports whose streams are looked at for MQTT, host order; 0 is none.
        pub mqtt_ports: [u16; 4],
        /// 1: nothing is dropped, everything is judged.
        pub monitor: u8,
        /// 1: denied connections are not answered.
        pub silent: u8,
        pub _pad: [u8; 6],
    }
}

/// [`HashKey`] without a `Debug` that would print it.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct HashKeyBytes(pub HashKey);

impl core::fmt::Debug for HashKeyBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashKeyBytes(…)")
    }
}

wire_type! {
    /// `PRINCIPALS`: array by [`PrincipalId`]. Written by the daemon.
    pub struct Principal {
        /// Boot-time nanoseconds until which nothing of it is dropped; 0 is not paused.
        pub pause_until: u64,
        /// [`Mode`](crate::precedence::Mode) as a number.
        pub mode: u8,
        /// 1: locks, alarms, cameras, gas, or unknown.
        pub dangerous: u8,
        pub _pad: [u8; 2],
        /// Boot-time seconds until which none of its edges passes; 0 is not banned.
        pub banned_until: u32,
    }
}

wire_type! {
    /// Key of `PRINCIPAL_BY_MAC`: who has this MAC in this VLAN.
    pub struct MacKey {
        pub mac: [u8; 6],
        /// VLAN id, host order; 0 is untagged.
        pub vlan: u16,
    }
}

wire_type! {
    /// `PRINCIPAL_BY_MAC`: [`MacKey`] → [`MacHome`]. Written by the daemon.
    pub struct MacHome {
        /// The interface where the MAC lives; elsewhere it is `spoof.mac`.
        pub ifindex: u32,
        pub principal: PrincipalId,
    }
}

wire_type! {
    /// Key of `STRANGERS`: a sender that the daemon has not registered.
    pub struct LinkKey {
        pub ifindex: u32,
        pub mac: [u8; 6],
        pub vlan: u16,
    }
}

wire_type! {
    /// `STRANGERS`: [`LinkKey`] → [`Stranger`]. Written by the kernel, removed by the daemon.
    pub struct Stranger {
        /// Boot-time nanoseconds.
        pub first: u64,
        pub last: u64,
        pub frames: u64,
    }
}

wire_type! {
    /// Key of `BINDINGS` and `HOSTS`: an address, and the link if it only has a meaning there.
    pub struct AddrKey {
        pub addr: Addr,
        /// [`Port::link`] for link-local addresses, else 0.
        pub link: u32,
    }
}

wire_type! {
    /// `BINDINGS`: [`AddrKey`] → [`Binding`]. Written by the kernel.
    pub struct Binding {
        /// Boot-time nanoseconds of the last frame that used it.
        pub seen: u64,
        pub owner: MacKey,
        /// 1: given by a DHCP server; 0: claimed by ARP, ND or use.
        pub leased: u8,
        pub _pad: [u8; 7],
    }
}

wire_type! {
    /// `ADDRESSES`: array by [`PrincipalId`]: what it has bound, the newest at `Usage::addresses - 1`, modulo the length.
    /// Written by the kernel.
    pub struct Addresses {
        pub keys: [AddrKey; ADDRESSES_EACH],
    }
}

wire_type! {
    /// Key of `NETWORKS`, a longest-prefix trie: addresses that devices of a link may hold. Written by the daemon;
    /// the value is 1. The prefix length counts the 32 bits of `link`.
    pub struct NetworkKey {
        /// [`Port::link`], network order; 0 for networks of devices on whatever link.
        pub link: [u8; 4],
        pub addr: Addr,
    }
}

wire_type! {
    /// Key of `EDGES`: an edge down to the port.
    pub struct EdgeKey {
        pub src: PrincipalId,
        pub dst: PrincipalId,
        /// Destination port, ICMP type or ethertype, host order.
        pub port: u16,
        /// IP protocol; 0 for [`Kind::Link`].
        pub proto: u8,
        /// [`Kind`] as a number.
        pub kind: u8,
    }
}

wire_type! {
    /// What the model holds for an edge. Shared by `EDGES` (by [`EdgeKey`]) and `RULES` (by [`RuleId`]).
    pub struct Rule {
        /// Boot-time nanoseconds at which it ends; 0 is never.
        pub deadline: u64,
        pub id: RuleId,
        /// [`RuleState`](crate::precedence::RuleState) as a number.
        pub state: u8,
        /// 1: each use takes one from `USES`, and without one left the rule is absent.
        pub counted: u8,
        /// What becomes of a PUBLISH that it denies: [`Action`] as a number.
        pub action: u8,
        /// What a PUBLISH that it lets pass may ask for: [`Rule::QOS`] and [`Rule::NO_RETAIN`].
        pub limits: u8,
    }
}

impl Rule {
    /// In [`Rule::limits`]: the highest quality of service.
    pub const QOS: u8 = 0b011;
    /// In [`Rule::limits`]: the message must not be retained.
    pub const NO_RETAIN: u8 = 0b100;
    /// No limit: 3 is above every quality of service.
    pub const UNLIMITED: u8 = Self::QOS;
}

/// What becomes of a denied message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Action {
    /// The connection ends at both ends.
    #[default]
    Reset = 0,
    /// A PUBLISH goes on as a message that nobody has subscribed to, where that is possible; else as [`Action::Reset`].
    Neutralise = 1,
}

impl Action {
    /// Every action.
    pub const ALL: &[Self] = &[Self::Reset, Self::Neutralise];

    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Neutralise => "neutralise",
        }
    }

    /// The action with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

wire_type! {
    /// `EDGES`: [`EdgeKey`] → [`Edge`]. Written by the daemon.
    pub struct Edge {
        pub rule: Rule,
        /// Start state of the automaton over MQTT topics, or over requests of HTTP, CoAP and Modbus; 0 matches nothing.
        pub publish: u32,
        /// Over MQTT filters.
        pub subscribe: u32,
        /// Over MQTT client ids and, behind [`LEVEL_USER`], user names; or over TLS server names.
        pub connect: u32,
        /// [`Protocol::bit`] of each protocol that connections may speak; 0: the first one that is recognised is noted
        /// ([`Kind::Speaks`]) and becomes part of the edge.
        pub speaks: u16,
        pub _pad: [u8; 2],
        pub limit: Limit,
    }
}

wire_type! {
    /// In [`Edge`] and [`Flow`]: how much an edge may carry, and where that is counted.
    ///
    /// A bucket has room for any frame: that of the slowest pace in use (10 kB a second) holds ten seconds' worth.
    pub struct Limit {
        /// Nanoseconds for 1,024 bytes; 0: as much as comes.
        pub pace: u32,
        /// Milliseconds' worth of bytes that may come at once.
        pub burst: u16,
        /// Index into `METERS`; 0: nothing is counted.
        pub meter: u16,
    }
}

impl Limit {
    /// Nothing is counted, and all of it passes.
    pub const NONE: Self = Self { pace: 0, burst: 0, meter: 0 };

    /// A bucket that fills at so many bytes a second, counted there.
    pub const fn of(rate: u64, burst: u16, meter: u16) -> Self {
        let pace = match (1_024 * 1_000_000_000_u64).checked_div(rate) {
            Some(0) => 1,
            Some(pace) if pace <= u32::MAX as u64 => pace as u32,
            Some(_) | None => u32::MAX,
        };
        Self { pace, burst, meter }
    }

    /// When the bucket will be full again once so many bytes are taken from it, or 0 if they are not in it. `full` is when
    /// it would have been full without that; all are nanoseconds of one clock.
    #[inline(always)]
    pub const fn take(self, full: u64, now: u64, bytes: u64) -> u64 {
        let from = if full > now { full } else { now };
        let next = from.wrapping_add(bytes.wrapping_mul(self.pace as u64) >> 10);
        if next.wrapping_sub(now) > self.burst as u64 * 1_000_000 { 0 } else { next }
    }
}

wire_type! {
    /// `METERS`: array by [`Limit::meter`]: what an edge has carried. Written by the kernel.
    pub struct Meter {
        /// From its source, to its source: see [`Moved`].
        pub moved: [u64; 2],
        /// Nanoseconds of the coarse monotonic clock at which its bucket is full again.
        pub full: u64,
        /// Frames that were over its limit.
        pub over: u32,
        /// Connections that both ends have spoken on.
        pub opened: u32,
    }
}

/// Messages and bytes that went one way, in one word: whoever subtracts two readings gets both differences right, also
/// when a part has run over in between.
///
/// A message is what a machine has read in an inspected stream; elsewhere a frame that carries something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub messages: u64,
    pub bytes: u64,
}

impl Moved {
    const SHIFT: u32 = 40;

    /// As it is added to [`Meter::moved`].
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.messages << Self::SHIFT | self.bytes
    }

    /// What was added between two readings.
    pub const fn between(before: u64, after: u64) -> Self {
        let word = after.wrapping_sub(before);
        Self { messages: word >> Self::SHIFT, bytes: word & ((1 << Self::SHIFT) - 1) }
    }
}

wire_type! {
    /// Key of `AUTOMATON`: a state and the keyed hash of the next level.
    pub struct StepKey {
        pub level: u64,
        pub state: u32,
        pub _pad: u32,
    }
}

wire_type! {
    /// `AUTOMATON`: [`StepKey`] → where the level leads.
    pub struct Step {
        /// 0 matches nothing more.
        pub next: u32,
        /// [`State::accept`] of `next`, so that who ends there need not ask.
        pub accept: RuleId,
    }
}

/// Stands for the level `+` of a SUBSCRIBE filter in a [`StepKey`]; no hash has this value.
pub const LEVEL_PLUS: u64 = u64::MAX;
/// Stands for the level `#` of a SUBSCRIBE filter in a [`StepKey`]; no hash has this value.
pub const LEVEL_HASH: u64 = u64::MAX - 1;
/// Leads from the start of [`Edge::connect`] to the user names: one is walked over this step and the hash of the name.
/// No hash has this value.
pub const LEVEL_USER: u64 = u64::MAX - 2;

wire_type! {
    /// `STATES`: automaton state → [`State`]. `AUTOMATON` and `STATES` are written by the daemon: new states first,
    /// then the start state in [`Edge`], then the old ones are removed.
    pub struct State {
        /// Next state for a level that `AUTOMATON` does not list; 0 matches nothing more.
        pub other: u32,
        /// The rule that decides if the object ends here; 0 is none.
        pub accept: RuleId,
    }
}

wire_type! {
    /// Key of `FLOWS` and `HALF_OPEN`: both ends in the order of their bytes, so both directions have one key.
    pub struct FlowKey {
        pub low: Addr,
        pub high: Addr,
        /// Host order. For ICMP echo: the identifier on both sides.
        pub low_port: u16,
        pub high_port: u16,
        pub proto: u8,
        pub _pad: [u8; 3],
    }
}

wire_type! {
    /// `FLOWS` and `HALF_OPEN`: [`FlowKey`] → [`Flow`]. Written by the kernel.
    pub struct Flow {
        /// Number of this connection since boot; keys its streams and aliases.
        pub id: u64,
        /// Boot-time nanoseconds of the last frame from the low end, from the high end.
        pub seen: [u64; 2],
        /// The edge, from the initiator to the responder.
        pub edge: EdgeKey,
        /// Next sequence number expected from the low end, from the high end (TCP). Of an essential over UDP: questions
        /// that wait for an answer, and how many bytes of an answer repeat its question; 0: the answers are not counted.
        pub next: [u32; 2],
        /// Boot-time seconds of creation.
        pub created: u32,
        /// Port where the initiator lives, or 0 beyond the uplink.
        pub ifindex: u32,
        /// 0: the low end opened it; 1: the high end.
        pub initiator: u8,
        /// [`FlowState`] as a number.
        pub state: u8,
        /// [`Protocol`] as a number, or [`Flow::UNDECIDED`].
        pub protocol: u8,
        /// 1: opened by an essential, so no edge is asked for.
        pub essential: u8,
        /// What was found about frames from the low end, from the high end.
        pub passes: [Pass; 2],
        /// That of its edge, as long as a pass holds.
        pub limit: Limit,
    }
}

wire_type! {
    /// In [`Flow`]: which frames of one direction pass without asking again who sends them and whether they may.
    ///
    /// It holds as long as nothing has changed that was asked for: `GENERATION`, written by the daemon with each change of
    /// its tables, and `CHANGES`, written by the kernel with each new binding, are one number together.
    pub struct Pass {
        /// Nanoseconds of the coarse monotonic clock; 0 is none.
        pub until: u64,
        /// The low half of `GENERATION` plus `CHANGES` before anything was asked for.
        pub generation: u32,
        /// Where they are judged: interface, hook and whether they came gated.
        pub place: u32,
        pub sender: MacKey,
    }
}

impl Pass {
    /// No frame passes without asking.
    pub const NONE: Self =
        Self { until: 0, generation: 0, place: 0, sender: MacKey { mac: [0; 6], vlan: 0 } };
}

impl Flow {
    /// In [`Flow::protocol`]: the first bytes of the initiator are still to come.
    pub const UNDECIDED: u8 = 0xff;
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowState {
    /// The initiator spoke.
    Opening = 0,
    /// The responder answered.
    Answered = 1,
    /// Both have spoken in order.
    Established = 2,
    /// One end has said that it is done.
    Closing = 3,
    /// Joined in the middle while nothing was dropped.
    Unsynced = 4,
    /// Datagrams that follow from what was said on the edge, at a port that is another one each time.
    Related = 5,
}

wire_type! {
    /// Key of `EXPECTED`: one of the few places of a device. Written by the kernel.
    pub struct ExpectedKey {
        pub device: PrincipalId,
        /// [`Expected::place`].
        pub place: u32,
    }
}

wire_type! {
    /// `EXPECTED`: [`ExpectedKey`] → datagrams that follow from what the device has said.
    pub struct Expected {
        /// Boot-time nanoseconds at which it was said.
        pub at: u64,
        /// Who has said it.
        pub addr: Addr,
        /// To whom; of a question to everyone: unspecified.
        pub peer: Addr,
        /// On which edge; of a question to everyone, that which whoever answers must have, without its source.
        pub edge: EdgeKey,
        /// Where `addr` awaits the datagrams, host order.
        pub port: u16,
        /// Where `peer` sends them from; 0: wherever the first one comes from.
        pub peer_port: u16,
        /// Port of `addr` in the connection that named the ports, or 0.
        pub control: u16,
        /// [`Expects`] as a number.
        pub kind: u8,
        pub _pad: [u8; 5],
    }
}

/// What an [`Expected`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Expects {
    /// Answers of whoever takes part in the group that was asked.
    Answers = 1,
    /// A file, from a port that the server chooses (TFTP).
    Transfer = 2,
    /// A medium to a port that the client has named (RTSP) and the server has not agreed to yet.
    Setup = 3,
    /// A medium between two ports that both have named.
    Media = 4,
}

wire_type! {
    /// Key of `ALIASES`: an MQTT 5 topic alias of a connection and direction. Written by the kernel.
    pub struct AliasKey {
        pub flow: u64,
        pub alias: u16,
        pub dir: u16,
        pub _pad: u32,
    }
}

wire_type! {
    /// `ALIASES`: [`AliasKey`] → what its topic is judged by.
    pub struct Alias {
        pub object: u64,
        pub rule: RuleId,
        /// 1: what the receiver knows under this alias is a harmless topic.
        pub neutralised: u32,
    }
}

wire_type! {
    /// Key of `OBSERVED`: an edge or fact that the model does not hold. Written by the kernel, removed by the daemon
    /// once it is stored.
    pub struct ObservedKey {
        /// The other end's address where `dst` (or `src`) is unknown or outside; else unspecified.
        pub addr: Addr,
        /// Keyed hash of the object; 0 without an object.
        pub object: u64,
        pub edge: EdgeKey,
        pub _pad: u32,
    }
}

wire_type! {
    /// `OBSERVED`: [`ObservedKey`] → the facts.
    pub struct Observed {
        pub count: u64,
        /// Boot-time nanoseconds.
        pub first: u64,
        pub last: u64,
        /// [`Verdict`](crate::reason::Verdict) as a number, of the last one.
        pub verdict: u8,
        /// [`Reason`](crate::reason::Reason) as a number, of the last one.
        pub reason: u8,
        /// Length of the object in bytes.
        pub object_len: u16,
        /// Interface where the last one was judged.
        pub ifindex: u32,
        pub object: [u8; OBJECT_CAP],
    }
}

/// What a [`Bell`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ring {
    /// A new entry of `OBSERVED`.
    Observed = 1,
    /// A new entry of `STRANGERS`; `edge.src` is the interface index, `addr` begins with the MAC, `edge.port` is the
    /// VLAN.
    Stranger = 2,
    /// A new entry of `BINDINGS`: `addr` is bound to `edge.src`.
    Bound = 3,
}

wire_type! {
    /// An event of the ring buffer. It only wakes the daemon: the facts are in the maps.
    pub struct Bell {
        pub key: ObservedKey,
        /// Boot-time nanoseconds.
        pub at: u64,
        /// [`Ring`] as a number.
        pub ring: u8,
        pub verdict: u8,
        pub reason: u8,
        pub _pad: [u8; 5],
    }
}

/// Bytes of a frame that are shown: all headers, and what a protocol says first.
pub const SHOWN: usize = 256;

wire_type! {
    /// An event of the ring buffer, behind a [`Bell`] with the same key: the frame that rang it, where it was stopped.
    pub struct Shown {
        pub key: ObservedKey,
        /// Boot-time nanoseconds.
        pub at: u64,
        /// Bytes of the frame, and how many of them are here.
        pub length: u32,
        pub kept: u32,
        pub bytes: [u8; SHOWN],
    }
}

wire_type! {
    /// Key of `BUDGETS`: who uses which essential, or says how much in its own words. Written by the kernel.
    pub struct BudgetKey {
        pub principal: PrincipalId,
        /// The port, for senders that are not registered; else 0.
        pub ifindex: u32,
        /// [`Essential`](crate::wire::essential::Essential) or [`Trickle`](crate::wire::essential::Trickle) as a number.
        pub essential: u32,
    }
}

wire_type! {
    /// `BUDGETS`: [`BudgetKey`] → a token bucket in bytes.
    pub struct Budget {
        /// Of a trickle: 0.
        pub tokens: u64,
        /// Boot-time nanoseconds of the last refill; of a trickle: when it is full again.
        pub at: u64,
    }
}

wire_type! {
    /// Key of `NAMES`: who has asked for which name. Written by the kernel.
    pub struct NameKey {
        /// Keyed hash of the name, in lower case with dots between labels.
        pub name: u64,
        /// [`PrincipalId::UNKNOWN`] for all senders that are not registered.
        pub principal: PrincipalId,
        pub _pad: u32,
    }
}

wire_type! {
    /// `NAMES`: [`NameKey`] → a name that was asked for.
    pub struct AskedName {
        /// Where `NAMED` has it, as in [`KnownName`].
        pub via: u64,
        /// 1: while its principal learned. Such a name was not chosen by who has taken the device over since.
        pub learned: u32,
        pub _pad: u32,
    }
}

wire_type! {
    /// Key of `QUESTIONS`: what a device has asked a resolver and was not answered yet. Written by the kernel.
    pub struct QuestionKey {
        /// Keyed hash of the name, as in [`NameKey`].
        pub name: u64,
        pub device: PrincipalId,
        /// Source port and number of the question, host order.
        pub port: u16,
        pub id: u16,
    }
}

wire_type! {
    /// A name and where `NAMED` has it; in `QUESTIONS` by [`QuestionKey`].
    ///
    /// `NAMED` and `DOMAINS` are written by the daemon. `NAMED`: keyed hash of a name, or of a dot and the domain below which all names are meant →
    /// [`PrincipalId`].
    pub struct KnownName {
        pub name: u64,
        /// Key of the entry that was the closest when the name was asked for; that of the name itself if there was none.
        pub via: u64,
    }
}

wire_type! {
    /// Key of `RESOLVED`: an address as one device knows it.
    pub struct ResolvedKey {
        pub addr: Addr,
        pub device: PrincipalId,
    }
}

wire_type! {
    /// `RESOLVED`: [`ResolvedKey`] → the names that led the device to the address. Written by the kernel; by the daemon
    /// before it attaches the programs, after a restart of the box.
    pub struct Resolved {
        /// The one that was asked for last.
        pub latest: KnownName,
        /// Boot-time nanoseconds until which it holds; each use puts that off.
        pub until: u64,
        /// How many addresses the device had resolved before: see [`RESOLVED_EACH`].
        pub born: u64,
        /// Low halves of the hashes of other names, in no order.
        pub others: [u32; OTHER_NAMES],
    }
}

impl Resolved {
    /// What stands for a name in [`Resolved::others`].
    #[inline(always)]
    pub const fn tag(name: u64) -> u32 {
        name as u32
    }
}

wire_type! {
    /// `USAGE`: array by [`PrincipalId`]: what it holds of the shared tables. Written by the kernel.
    pub struct Usage {
        pub flows: u64,
        /// Bindings ever made.
        pub addresses: u64,
        /// Entries of `OBSERVED` ever made; what the daemon removed is in `DRAINED`, an array of `u64` that the daemon
        /// writes.
        pub observed: u64,
        pub streams: u64,
        /// Addresses ever resolved, see [`Resolved::born`].
        pub resolved: u64,
    }
}

macro_rules! sizes {
    ($($name:ident = $size:literal,)*) => { $(const _: () = assert!(size_of::<$name>() == $size);)* };
}
sizes! {
    Port = 8, Config = 48, Principal = 16, MacKey = 8, MacHome = 8, LinkKey = 12, Stranger = 24, AddrKey = 20,
    Binding = 24, Addresses = 320, NetworkKey = 20, EdgeKey = 12, Rule = 16, Edge = 40, Limit = 8, Meter = 32, StepKey = 16, Step = 8, State = 8, FlowKey = 40,
    Flow = 112, Pass = 24, AliasKey = 16, Alias = 16, ObservedKey = 40, Observed = 288, Bell = 56,
    BudgetKey = 12, Budget = 16, NameKey = 16, AskedName = 16, Usage = 40, QuestionKey = 16, KnownName = 16,
    ResolvedKey = 20, Resolved = 80, ExpectedKey = 8, Expected = 64,
}

/// Defines [`capacity`] from one table.
macro_rules! capacities {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $key:ty => $value:ty, $entries:literal;)*) => {
        /// Entries of each map in the Pi profile, for the kernel programs.
        pub mod capacity {
            $($(#[$doc])* pub const $name: u32 = $entries;)*
        }

        /// Name, bytes of a key, bytes of a value and entries of each map in the Pi profile.
        pub const MAPS: &[(&str, u32, u32, u32)] =
            &[$(($text, size_of::<$key>() as u32, size_of::<$value>() as u32, $entries)),*];
    };
}
capacities! {
    /// Interfaces.
    PORTS = "PORTS": u32 => Port, 64;
    /// One entry.
    CONFIG = "CONFIG": u32 => Config, 1;
    /// By number.
    PRINCIPALS = "PRINCIPALS": u32 => Principal, 4096;
    /// Registered senders.
    PRINCIPAL_BY_MAC = "PRINCIPAL_BY_MAC": MacKey => MacHome, 4096;
    /// Senders to register.
    STRANGERS = "STRANGERS": LinkKey => Stranger, 1024;
    /// Addresses held by devices.
    BINDINGS = "BINDINGS": AddrKey => Binding, 4096;
    /// By number.
    ADDRESSES = "ADDRESSES": u32 => Addresses, 4096;
    /// The box's own addresses and those of outside hosts.
    HOSTS = "HOSTS": AddrKey => PrincipalId, 4096;
    /// Named servers of DNS and NTP.
    SERVERS = "SERVERS": AddrKey => u32, 64;
    /// On-link prefixes.
    NETWORKS = "NETWORKS": (u32, NetworkKey) => u32, 256;
    /// Edges down to the port.
    EDGES = "EDGES": EdgeKey => Edge, 16384;
    /// What edges carry, by number; none has the number 0.
    METERS = "METERS": u32 => Meter, 16384;
    /// Edges down to the object.
    RULES = "RULES": RuleId => Rule, 16384;
    /// Uses left of counted rules.
    USES = "USES": RuleId => u64, 1024;
    /// Steps of the automata.
    AUTOMATON = "AUTOMATON": StepKey => Step, 16384;
    /// States of the automata.
    STATES = "STATES": u32 => State, 16384;
    /// Connections that only one end has spoken on.
    HALF_OPEN = "HALF_OPEN": FlowKey => Flow, 4096;
    /// Connections.
    FLOWS = "FLOWS": FlowKey => Flow, 8192;
    /// Inspected connections, by [`Flow::id`].
    STREAMS = "STREAMS": u64 => crate::wire::stream::Streams, 2048;
    /// Topic aliases.
    ALIASES = "ALIASES": AliasKey => Alias, 3584;
    /// Datagrams that follow from others.
    EXPECTED = "EXPECTED": ExpectedKey => Expected, 256;
    /// What the model does not hold.
    OBSERVED = "OBSERVED": ObservedKey => Observed, 4096;
    /// Token buckets of the essentials.
    BUDGETS = "BUDGETS": BudgetKey => Budget, 4096;
    /// Names that devices have asked for.
    NAMES = "NAMES": NameKey => AskedName, 4096;
    /// Questions to resolvers that wait for an answer.
    QUESTIONS = "QUESTIONS": QuestionKey => KnownName, 512;
    /// Addresses that devices know by name.
    RESOLVED = "RESOLVED": ResolvedKey => Resolved, 4096;
    /// Names and domains that a principal stands for.
    NAMED = "NAMED": u64 => PrincipalId, 2048;
    /// Names and domains that principals may ask for, keyed as in `NAMED`: when that ends, in boot-time nanoseconds, or 0.
    DOMAINS = "DOMAINS": NameKey => u64, 2048;
    /// By number.
    USAGE = "USAGE": u32 => Usage, 4096;
    /// By number.
    DRAINED = "DRAINED": u32 => u64, 4096;
    /// One entry, written by the daemon: how often it has changed what verdicts rest on.
    GENERATION = "GENERATION": u32 => u64, 1;
    /// One entry, written by the kernel: how often an address has found a holder or lost it.
    CHANGES = "CHANGES": u32 => u64, 1;
}

/// Maps that are arrays: the kernel makes every entry, and nothing beside it.
pub const ARRAYS: &[&str] =
    &["CONFIG", "PRINCIPALS", "ADDRESSES", "METERS", "USAGE", "DRAINED", "GENERATION", "CHANGES"];

/// `STAGES`, a program array written by the daemon: the steps of a hook behind its entry. Slot: `hook * STAGES + stage`.
pub mod stage {
    /// Connections and edges.
    pub const FLOW: u32 = 0;
    /// Segments of inspected streams: order, checksum, what was judged before.
    pub const SEGMENT: u32 = 1;
    /// What the ends of a stopped frame are told.
    pub const ANSWER: u32 = 2;
    /// What is said in a stream or a datagram, by protocol.
    pub const MQTT: u32 = 3;
    pub const TLS: u32 = 4;
    pub const HTTP: u32 = 5;
    pub const MODBUS: u32 = 6;
    pub const COAP: u32 = 7;
    /// What a datagram speaks.
    pub const DATAGRAM: u32 = 8;
    /// What a resolver answers.
    pub const NAMES: u32 = 9;
    /// Who sends, who is meant, and what a link needs.
    pub const WHO: u32 = 10;
    /// How much the edge carries.
    pub const METER: u32 = 11;
    /// The first frame of something new, for people.
    pub const SHOW: u32 = 12;
    /// What follows from others, and what others follow from.
    pub const RELATED: u32 = 13;
    /// Stages per hook.
    pub const STAGES: u32 = 14;

    /// Program and slot of each stage.
    pub const PROGRAMS: &[(&str, u32)] = &[
        ("edgeward_ingress_who", WHO),
        ("edgeward_ingress_flow", FLOW),
        ("edgeward_ingress_meter", METER),
        ("edgeward_ingress_segment", SEGMENT),
        ("edgeward_ingress_show", SHOW),
        ("edgeward_ingress_answer", ANSWER),
        ("edgeward_ingress_mqtt", MQTT),
        ("edgeward_ingress_tls", TLS),
        ("edgeward_ingress_http", HTTP),
        ("edgeward_ingress_modbus", MODBUS),
        ("edgeward_ingress_coap", COAP),
        ("edgeward_ingress_datagram", DATAGRAM),
        ("edgeward_ingress_names", NAMES),
        ("edgeward_ingress_related", RELATED),
        ("edgeward_egress_who", STAGES + WHO),
        ("edgeward_egress_flow", STAGES + FLOW),
        ("edgeward_egress_meter", STAGES + METER),
        ("edgeward_egress_segment", STAGES + SEGMENT),
        ("edgeward_egress_show", STAGES + SHOW),
        ("edgeward_egress_answer", STAGES + ANSWER),
        ("edgeward_egress_mqtt", STAGES + MQTT),
        ("edgeward_egress_tls", STAGES + TLS),
        ("edgeward_egress_http", STAGES + HTTP),
        ("edgeward_egress_modbus", STAGES + MODBUS),
        ("edgeward_egress_coap", STAGES + COAP),
        ("edgeward_egress_datagram", STAGES + DATAGRAM),
        ("edgeward_egress_names", STAGES + NAMES),
        ("edgeward_egress_related", STAGES + RELATED),
    ];
}

/// Bytes of the ring buffer: a multiple of every page size in use (16 KiB on a Pi 5).
pub const RING_BYTES: u32 = 256 * 1024;

/// Most entries of `OBSERVED` that one source may hold at a time; one more is folded into [`Kind::Overflow`].
pub const OBSERVED_PER_SOURCE: u64 = 128;
/// Most flows that one source may hold at a time.
pub const FLOWS_PER_SOURCE: u64 = 1024;
/// Most inspected connections that one source may hold at a time.
pub const STREAMS_PER_SOURCE: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pi_profile_fits_into_24_mb() {
        // 64 bytes per entry are the kernel's element and bucket of a preallocated hash table; an array has neither key
        // nor bucket.
        let bytes: u64 = MAPS
            .iter()
            .map(|&(name, key, value, entries)| {
                let beside = u64::from(key).next_multiple_of(8) + 64;
                let beside = if ARRAYS.contains(&name) { 0 } else { beside };
                (beside + u64::from(value).next_multiple_of(8)) * u64::from(entries)
            })
            .sum();
        assert!(bytes + u64::from(RING_BYTES) <= 24_000_000, "{bytes} bytes");
    }

    #[test]
    fn every_short_length_is_refused() {
        let bytes = [7_u8; size_of::<Bell>()];
        for length in 0..bytes.len() {
            assert!(Bell::read_from_bytes(&bytes[..length]).is_err());
        }
        assert!(Bell::read_from_bytes(&bytes).is_ok());
    }

    #[test]
    fn a_bucket_lets_its_rate_pass_and_no_more() {
        const SECOND: u64 = 1_000_000_000;
        let limit = Limit::of(10_000, 10_000, 1);
        let (mut full, mut passed) = (0, 0);
        // 100,000 bytes a second for a minute.
        for frame in 0..6_000_u64 {
            let next = limit.take(full, SECOND + frame * SECOND / 100, 1_000);
            if next != 0 {
                (full, passed) = (next, passed + 1_000);
            }
        }
        let expected = 100_000 + 60 * 10_000;
        assert!((expected - 1_000..=expected + 1_000).contains(&passed), "{passed}");
        assert_ne!(limit.take(full, full, 65_549), 0, "when it is full, the largest frame passes");
        let idle = limit.take(full, full + SECOND, 100_000);
        assert!(idle != 0 && limit.take(idle, full + SECOND, 1_000) == 0, "it never holds more");
        assert_eq!(Limit::of(u64::MAX, 1, 1).pace, 1, "none is without a limit");
    }

    #[test]
    fn what_has_run_over_is_still_counted() {
        let before = Moved { messages: (1 << 24) - 1, bytes: (1 << 40) - 10 }.word();
        let moved = Moved { messages: 3, bytes: 1_500 };
        assert_eq!(Moved::between(before, before.wrapping_add(moved.word())), moved);
    }

    #[test]
    fn addresses_say_what_they_are() {
        assert_eq!(Addr::from_v4([10, 0, 0, 1]).v4(), Some([10, 0, 0, 1]));
        assert!(Addr::from_v4([169, 254, 1, 1]).is_link_local());
        assert!(Addr::from_v4([239, 255, 255, 250]).is_everyone());
        assert!(Addr::from_v4([0; 4]).is_unspecified());
        let mut link_local = [0; 16];
        link_local[..2].copy_from_slice(&[0xfe, 0x80]);
        assert!(Addr(link_local).is_link_local());
    }
}
