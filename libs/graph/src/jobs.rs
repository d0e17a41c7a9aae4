//! Jobs that a kind of device is there for, or does now and then: what a model lacks as long as none was seen.
//!
//! A job counts as seen by what it looks like on the wire, so only jobs that show are in the table: a washing machine that
//! runs looks like one that says it does not.

use firewall_common::abi::PrincipalId;

use crate::edge::{Edge, State};
use crate::graph::Graph;
use crate::host::HostName;
use crate::learning::SET_WORDS;
use crate::operation::{Object, TCP, Verb};
use crate::principal::Kind;

/// Something that a device does now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Its maker's update of its software.
    Software,
    Print,
    /// Somebody looks through a camera.
    Watch,
    /// Somebody lets it open, switch or heat.
    Set,
    /// Somebody lets it play.
    Play,
}

/// How a job shows in a model.
enum Sign {
    /// Others reach the device at one of these TCP ports.
    Reached(&'static [u16]),
    /// It knows a host with one of these words in its name.
    Host(&'static [&'static str]),
    /// Something sends it what makes a device do something.
    Told,
}

impl Job {
    const ALL: [Self; 5] = [Self::Software, Self::Print, Self::Watch, Self::Set, Self::Play];

    /// The code in every output, from which the page makes its text.
    pub const fn as_str(self) -> &'static str {
        ["software", "print", "watch", "set", "play"][self as usize]
    }

    /// The job with this code.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|job| job.as_str() == name)
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        [
            "an update of its software",
            "something printed",
            "somebody who looks through it",
            "somebody who lets it do something",
            "something played",
        ][self as usize]
    }

    /// Whether a device of this kind does it.
    fn is_of(self, kind: Kind) -> bool {
        match self {
            // What people hold in their hands gets its software from anywhere.
            Self::Software => !matches!(kind, Kind::Unknown | Kind::Other | Kind::Phone | Kind::Computer),
            Self::Print => kind == Kind::Printer,
            Self::Watch => kind == Kind::Camera,
            Self::Set => matches!(
                kind,
                Kind::Lock
                    | Kind::Light
                    | Kind::Plug
                    | Kind::Blind
                    | Kind::Heating
                    | Kind::Fan
                    | Kind::Watering
            ),
            Self::Play => matches!(kind, Kind::Speaker | Kind::Media),
        }
    }

    const fn sign(self) -> Sign {
        match self {
            Self::Software => {
                Sign::Host(&["update", "updates", "upgrade", "ota", "fota", "firmware", "fw", "swupdate"])
            }
            Self::Print => Sign::Reached(&[515, 631, 9_100]),
            Self::Watch => Sign::Reached(&[80, 443, 554, 8_080, 8_554]),
            Self::Set => Sign::Told,
            Self::Play => Sign::Reached(&[1_400, 7_000, 8_008, 8_009]),
        }
    }
}

impl Graph {
    /// What a device of its kind, or of the kind that it seems to be, does now and then, and has not been seen to do.
    pub(crate) fn jobs_not_seen(&self, id: PrincipalId) -> Vec<Job> {
        let Some(principal) = self.principal(id) else { return Vec::new() };
        let (kind, _) = principal.shown_kind();
        let expected = Job::ALL.into_iter().filter(|job| job.is_of(kind));
        expected.filter(|job| !self.was_seen(id, &job.sign())).collect()
    }

    fn was_seen(&self, id: PrincipalId, sign: &Sign) -> bool {
        let settled = |edge: &&Edge| matches!(edge.state, State::Learned | State::Allowed(_));
        match sign {
            Sign::Reached(ports) => self.edges_to(id).filter(settled).any(|edge| {
                matches!(edge.path.operation.object, Object::Port { proto: TCP, port } if ports.contains(&port))
            }),
            Sign::Host(words) => self.edges_from(id).filter(settled).any(|edge| {
                let asked = match &edge.path.operation.object {
                    Object::Domain(name) => Some(name.as_str()),
                    _ => None,
                };
                let reached = self.principal(edge.path.dst).and_then(|host| host.host.as_ref());
                let names = asked.into_iter().chain(reached.map(HostName::as_str));
                names.flat_map(|name| name.split(['.', '-'])).any(|word| words.contains(&word))
            }),
            Sign::Told => {
                let at_it =
                    self.edges_to(id).filter(settled).any(|edge| edge.path.operation.verb == Verb::Set);
                at_it || self.is_told_by_broker(id)
            }
        }
    }

    /// Whether somebody publishes what makes a subscriber do something, and the device is one.
    fn is_told_by_broker(&self, id: PrincipalId) -> bool {
        let sets = |edge: &Edge| {
            let word = edge.path.operation.filter().and_then(|topic| topic.as_str().rsplit('/').next());
            word.is_some_and(|word| SET_WORDS.contains(&word))
        };
        let published = self.edges().filter(|edge| edge.path.operation.verb == Verb::Publish && sets(edge));
        published
            .filter(|edge| matches!(edge.state, State::Learned | State::Allowed(_)))
            .any(|edge| self.beneficiaries(&edge.path).contains(&id))
    }
}
