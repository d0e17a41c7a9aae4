//! What the graph wants done, in the order in which it must be done.
//!
//! To allow, what is stored comes before what the kernel does; to deny, the kernel comes first. The daemon executes
//! commands strictly in order and acknowledges a request when the queue is empty and the store is flushed.

use std::collections::BTreeSet;

use firewall_common::abi::{Action, Addr, EdgeKey, PrincipalId, Rule, RuleId};
use firewall_common::precedence::{Mode, RuleState};
use firewall_common::reason::{Reason, Verdict};

use crate::automaton::TopicRule;
use crate::edge::EdgeId;
use crate::host::HostName;
use crate::ledger::Entry;
use crate::operation::Verb;
use crate::record::{Record, RecordKey};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `PRINCIPALS[id]`.
    PutPrincipal {
        id: PrincipalId,
        mode: Mode,
        dangerous: bool,
        pause_until: u64,
        /// Boot-time seconds; 0 is not banned.
        banned_until: u32,
    },
    /// `PRINCIPALS[id]` becomes as new as one that was never registered.
    RemovePrincipal {
        id: PrincipalId,
    },
    /// `PRINCIPAL_BY_MAC`; the entry of `STRANGERS` can be removed.
    PutMac {
        mac: [u8; 6],
        vlan: u16,
        ifindex: u32,
        id: PrincipalId,
    },
    RemoveMac {
        mac: [u8; 6],
        vlan: u16,
    },
    /// `HOSTS`, with link 0.
    PutHost {
        addr: Addr,
        id: PrincipalId,
    },
    RemoveHost {
        addr: Addr,
    },
    /// What an address means for one device, at least until this point of the boot-time clock. The kernel finds it by
    /// itself for answers that come while it holds the name; this is for those that came before.
    PutName {
        device: PrincipalId,
        addr: Addr,
        id: PrincipalId,
        until: u64,
    },
    /// The address stands for no principal any more; the device may know its name all the same.
    RemoveName {
        device: PrincipalId,
        addr: Addr,
    },
    /// Who stands for a name, or for all names of a domain that have no principal of their own.
    PutNamed {
        name: HostName,
        id: PrincipalId,
    },
    /// Whatever any device has bound to the principal of this name is bound to nobody: its number will be another's.
    RemoveNamed {
        name: HostName,
    },
    /// `DOMAINS`: a principal may ask for a name, or for all names of a domain, until this point of the boot-time clock;
    /// 0 is without end.
    PutDomain {
        id: PrincipalId,
        name: HostName,
        until: u64,
    },
    RemoveDomain {
        id: PrincipalId,
        name: HostName,
    },
    /// `EDGES`; the start states are those of the last [`Command::PutTopics`] with this key, or 0.
    PutEdge {
        key: EdgeKey,
        rule: RuleSpec,
        /// [`Protocol::bit`](firewall_common::abi::Protocol::bit) of what its connections may speak; 0 is not known yet.
        speaks: u16,
    },
    /// Bytes a second that an edge may carry, over all its connections and both ways; without a number all passes. A
    /// later [`Command::PutEdge`] does not change it.
    PutLimit {
        key: EdgeKey,
        rate: Option<u64>,
    },
    /// Also forgets the automata of this key, and its limit.
    RemoveEdge {
        key: EdgeKey,
    },
    /// The whole set of message rules inside a transport. Comes before the first [`Command::PutEdge`] of its key.
    PutTopics {
        key: EdgeKey,
        topics: Topics,
    },
    /// `RULES[rule.id]`.
    PutRule {
        rule: RuleSpec,
    },
    RemoveRule {
        id: RuleId,
    },
    /// `USES[id]` becomes this number.
    PutUses {
        id: RuleId,
        uses: u32,
    },
    /// After a restart: `USES[id]` becomes this number unless the kernel holds a smaller one.
    LimitUses {
        id: RuleId,
        at_most: u32,
    },
    RemoveUses {
        id: RuleId,
    },
    /// `CONFIG.monitor` and `CONFIG.pause_until`.
    Site {
        monitor: bool,
        pause_until: u64,
    },

    Save(Box<Record>),
    Delete(RecordKey),
    /// Appends to the ledger.
    Ledger(Entry),

    /// Tells whoever watches.
    Notify(Event),
}

/// A rule as the kernel holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    pub id: RuleId,
    pub state: RuleState,
    /// Boot-time nanoseconds; 0 is never.
    pub deadline: u64,
    /// Whether each use takes one from `USES`.
    pub counted: bool,
    /// What becomes of a PUBLISH that it denies.
    pub action: Action,
    /// [`Rule::limits`](firewall_common::abi::Rule::limits).
    pub limits: u8,
}

impl RuleSpec {
    /// Without end, count or limit.
    pub(crate) const fn plain(id: RuleId, state: RuleState) -> Self {
        Self { id, state, deadline: 0, counted: false, action: Action::Reset, limits: Rule::UNLIMITED }
    }
}

/// The message rules inside a transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    /// Client ids and user names of MQTT.
    pub connect: Vec<TopicRule>,
    pub publish: Vec<TopicRule>,
    pub subscribe: Vec<TopicRule>,
    /// Requests of HTTP, CoAP and Modbus.
    pub requests: Vec<TopicRule>,
    /// Server names of TLS.
    pub names: Vec<TopicRule>,
    /// Rules that end by themselves.
    pub brief: BTreeSet<RuleId>,
}

/// A change that a page shows at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    EdgePending(EdgeId),
    EdgeChanged(EdgeId),
    EdgeDecided(EdgeId),
    EdgeExpired(EdgeId),
    EdgeRemoved(EdgeId),
    PrincipalAdded(PrincipalId),
    PrincipalChanged(PrincipalId),
    PrincipalRemoved(PrincipalId),
    Observation(Observation),
    Alarm {
        alarm: Alarm,
        principal: Option<PrincipalId>,
    },
    /// Mode, pause or confirmation of the site.
    Status,
}

/// Something that was seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Seconds since 1970.
    pub at: i64,
    pub verdict: Option<Verdict>,
    pub reason: Option<Reason>,
    pub edge: Option<EdgeId>,
    pub src: PrincipalId,
    pub dst: PrincipalId,
    pub verb: Option<Verb>,
    pub object: String,
    /// Since the last observation of the same.
    pub count: u64,
}

/// Something that a person should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// More ports or hosts tried than a device needs; a device that learned has stopped.
    Scan,
    /// Logins that a server refused, one after another.
    Bruteforce,
    /// Sessions that are open and say nothing.
    Slowite,
    /// Far more messages than were learned.
    Flood,
    /// Messages that no sound client sends.
    Malformed,
    /// A MAC that lives on another port.
    SpoofMac,
    /// A new device calls itself like an existing one.
    NameAlike,
    /// A device shows the client id of another one, at a broker or over DHCP.
    ClientTaken,
    /// The site has none of the networks that it had: the models stay, and somebody should look at them.
    Moved,
    /// A quota is used up; what came after was counted, not stored.
    Overflow,
    /// The message rules of one transport do not fit; it keeps those that it had.
    RulesTooComplex,
}

impl Alarm {
    /// The code in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Bruteforce => "bruteforce",
            Self::Slowite => "slowite",
            Self::Flood => "flood",
            Self::Malformed => "malformed",
            Self::SpoofMac => "spoof.mac",
            Self::NameAlike => "name.alike",
            Self::ClientTaken => "client.taken",
            Self::Moved => "site.moved",
            Self::Overflow => "overflow",
            Self::RulesTooComplex => "rules.too_complex",
        }
    }
}
