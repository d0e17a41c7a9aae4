//! When a principal has learned enough, and how what it does becomes its model.

use serde::{Deserialize, Serialize};

use crate::edge::EdgeId;
use crate::filter::{Filter, Part};
use crate::operation::{Name, Object, Operation, Route};
use crate::settings::Settings;
use crate::time::{Deadline, Left, Now, Stamp};

/// How far the learning of a principal has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learning {
    pub since: Stamp,
    /// When it last learned an edge; the beginning, if never.
    pub last_new: Stamp,
    /// A person said how long.
    pub ends: Option<Deadline>,
    /// In mode ready: when it enforces.
    pub enforces: Option<Deadline>,
    /// A cap stopped it (`scan` alarm).
    pub capped: bool,
}

/// A time in which a device that enforces gets new software: new names of domains that it uses become part of its
/// model, everything else is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Its end; the time has passed once this is over.
    pub ends: Deadline,
    pub over: bool,
    /// What was learned in it.
    pub learned: Vec<EdgeId>,
}

/// What time says about the learning of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not enough seen; look again after so many seconds.
    More { seconds: u64 },
    /// Enough by evidence.
    Enough,
    /// A person said how long, and that has passed.
    Ended,
}

impl Learning {
    pub(crate) const fn begin(now: Now, ends: Option<Deadline>) -> Self {
        Self { since: now, last_new: now, ends, enforces: None, capped: false }
    }

    /// How it stands.
    pub fn progress(&self, settings: &Settings, now: Now) -> Progress {
        if let Some(ends) = self.ends {
            return match ends.left(now) {
                Left::At(at) => Progress::More { seconds: (at - now.boot_ns).div_ceil(1_000_000_000) },
                Left::Over => Progress::Ended,
                Left::Unknown => Progress::More { seconds: 60 },
            };
        }
        match self.at_least_seconds(settings, now) {
            0 => Progress::Enough,
            seconds => Progress::More { seconds },
        }
    }

    /// Earliest end, in seconds from now.
    pub fn at_least_seconds(&self, settings: &Settings, now: Now) -> u64 {
        let elapsed = now.seconds_since(&self.since);
        let quiet = now.seconds_since(&self.last_new);
        let by_evidence =
            settings.learn_min.saturating_sub(elapsed).max(settings.learn_quiet.saturating_sub(quiet));
        by_evidence.min(settings.learn_max.saturating_sub(elapsed))
    }

    /// 0 to 100, by the slower of the two conditions.
    pub fn percent(&self, settings: &Settings, now: Now) -> u8 {
        let share = |done: u64, of: u64| (done.min(of) * 100).checked_div(of).unwrap_or(100) as u8;
        if let Some(ends) = self.ends {
            return share(now.seconds_since(&ends.from), ends.seconds);
        }
        let elapsed = now.seconds_since(&self.since);
        let evidence = share(elapsed, settings.learn_min)
            .min(share(now.seconds_since(&self.last_new), settings.learn_quiet));
        if elapsed >= settings.learn_max { 100 } else { evidence }
    }
}

/// So many edges that differ in one number, id or date become one.
const SIBLINGS: usize = 3;

/// The operation with `+` in place of the one level in which its learned siblings differ, and the edges that it
/// replaces: if there are three and all of them have a number, an id or a date there. Addresses of Modbus that touch
/// become one range.
pub fn generalised(
    operation: &Operation,
    learned: &[(EdgeId, &Operation)],
) -> Option<(Operation, Vec<EdgeId>)> {
    let of = |object: Object| Operation { verb: operation.verb, object };
    let candidates: Vec<Operation> = match &operation.object {
        Object::Topic { port, filter } => (0..filter.parts().count())
            .filter_map(|at| Some(of(Object::Topic { port: *port, filter: with_plus(filter, at)? })))
            .collect(),
        Object::Http { port, route } => {
            routes(route).map(|route| of(Object::Http { port: *port, route })).collect()
        }
        Object::Coap { port, route } => {
            routes(route).map(|route| of(Object::Coap { port: *port, route })).collect()
        }
        Object::Client { port, id: Name::Exact(id) } if is_made_up(id) => {
            vec![of(Object::Client { port: *port, id: Name::Any })]
        }
        Object::Registers { port, registers } => {
            if let Some(joined) = joined(operation, learned) {
                return Some(joined);
            }
            let any = registers.any_unit();
            (any != *registers)
                .then(|| of(Object::Registers { port: *port, registers: any }))
                .into_iter()
                .collect()
        }
        // Server names, user names and what a connection speaks stay exact.
        Object::Client { .. }
        | Object::User { .. }
        | Object::ServerName { .. }
        | Object::Speaks { .. }
        | Object::Port { .. }
        | Object::Ethertype(_)
        | Object::Domain(_) => return None,
    };
    candidates.into_iter().find_map(|general| {
        let siblings = learned.iter().filter(|(_, other)| is_sibling(other, &general));
        let replaced: Vec<EdgeId> = siblings.map(|(id, _)| *id).collect();
        (replaced.len() >= SIBLINGS).then_some((general, replaced))
    })
}

/// Whether an operation is the general one but for a number, an id or a date.
fn is_sibling(operation: &Operation, general: &Operation) -> bool {
    let by_route = |route: &Route, general: &Route| routes(route).any(|route| route == *general);
    operation.verb == general.verb
        && match (&operation.object, &general.object) {
            (Object::Topic { port, filter }, Object::Topic { port: other, filter: general }) => {
                let levels = filter.parts().count();
                port == other && (0..levels).any(|at| with_plus(filter, at).as_ref() == Some(general))
            }
            (Object::Http { port, route }, Object::Http { port: other, route: general })
            | (Object::Coap { port, route }, Object::Coap { port: other, route: general }) => {
                port == other && by_route(route, general)
            }
            (Object::Client { port, id: Name::Exact(id) }, Object::Client { port: other, id: Name::Any }) => {
                port == other && is_made_up(id)
            }
            (
                Object::Registers { port, registers },
                Object::Registers { port: other, registers: general },
            ) => port == other && registers != general && registers.any_unit() == *general,
            (_, _) => false,
        }
}

/// The routes with `+` in place of one level of the path, if a number, an id or a date stands there.
fn routes(route: &Route) -> impl Iterator<Item = Route> {
    (0..route.levels()).filter_map(|at| route.with_plus(at, is_counted))
}

/// The range that this and a learned one make together, and both.
fn joined(operation: &Operation, learned: &[(EdgeId, &Operation)]) -> Option<(Operation, Vec<EdgeId>)> {
    let Object::Registers { port, registers } = &operation.object else { return None };
    let whole = learned.iter().find_map(|(_, other)| match &other.object {
        Object::Registers { port: at, registers: other_registers }
            if at == port && other.verb == operation.verb && other_registers != registers =>
        {
            registers.joined(other_registers)
        }
        _ => None,
    })?;
    let replaced = learned.iter().filter(|(_, other)| {
        other.verb == operation.verb
            && matches!(&other.object, Object::Registers { port: at, registers } if at == port && whole.contains(registers))
    });
    let replaced = replaced.map(|(id, _)| *id).collect();
    let object = Object::Registers { port: *port, registers: whole };
    Some((Operation { verb: operation.verb, object }, replaced))
}

/// The filter with `+` at this level, if a number, an id or a date stands there.
fn with_plus(filter: &Filter, at: usize) -> Option<Filter> {
    let mut varies = false;
    let levels: Vec<&str> = filter
        .parts()
        .enumerate()
        .map(|(index, part)| match part {
            Part::Literal(level) if index == at && is_counted(level) => {
                varies = true;
                "+"
            }
            Part::Literal(level) => level,
            Part::Plus => "+",
            Part::Hash => "#",
        })
        .collect();
    varies.then(|| Filter::try_from(levels.join("/")).ok()).flatten()
}

/// Whether a level is a number, a date or time, or an id: digits with separators, or at least eight hexadecimal digits
/// with a number among them.
fn is_counted(level: &str) -> bool {
    let digits = level.bytes().filter(u8::is_ascii_digit).count();
    let number =
        level.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'T' | b'Z'));
    let id = level.len() >= 8 && level.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    digits > 0 && (number || id)
}

/// Whether a client id looks as if its program made it up for one connection: a part of it is a number or mixes at
/// least six letters and digits.
fn is_made_up(id: &str) -> bool {
    id.split(|character: char| !character.is_ascii_alphanumeric()).any(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let mixed = word.len() >= 6 && digits > 0 && digits < word.len();
        mixed || (!word.is_empty() && digits == word.len())
    })
}

/// Last levels of topics that make a device do something.
pub(crate) const SET_WORDS: [&str; 8] =
    ["set", "cmd", "cmnd", "command", "commands", "control", "action", "unlock"];

/// What is asked about even while a source learns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// Everything that the filter matches.
    All(Filter),
    /// What of it, by its last word, sets something.
    Sets(Filter),
}

impl Guard {
    /// The guard of a subscription whose subscriber is unknown, and so dangerous as the target of what sets something.
    pub fn of_unknown(filter: Filter) -> Option<Self> {
        let (wild, sets) = match filter.parts().next_back()? {
            Part::Literal(word) => (false, SET_WORDS.contains(&word)),
            Part::Plus | Part::Hash => (true, true),
        };
        sets.then_some(if wild { Self::Sets(filter) } else { Self::All(filter) })
    }

    /// Whether it stops something of what the topic or filter matches.
    pub fn overlaps(&self, topic: &Filter) -> bool {
        match self {
            Self::All(filter) => filter.overlaps(topic),
            Self::Sets(filter) => {
                let sets = match topic.parts().next_back() {
                    Some(Part::Literal(_)) => sets_something(filter, topic),
                    Some(Part::Plus | Part::Hash) | None => true,
                };
                sets && filter.overlaps(topic)
            }
        }
    }
}

/// Whether the last level of a topic is a word that sets something, and a wildcard of the filter matches it.
pub(crate) fn sets_something(filter: &Filter, topic: &Filter) -> bool {
    let is_below = topic.parts().count() >= filter.parts().count();
    is_below && matches!(topic.parts().next_back(), Some(Part::Literal(word)) if SET_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    fn publish(topic: &str) -> Operation {
        let (_, operation) = Operation::parse("packet", "publish", topic, 1883).unwrap();
        operation
    }

    fn general(operations: &[Operation]) -> Option<String> {
        let learned: Vec<_> =
            operations.iter().zip(16..).map(|(operation, id)| (EdgeId(id), operation)).collect();
        let (operation, replaced) = generalised(operations.last()?, &learned)?;
        assert_eq!(operation.verb, operations[0].verb);
        Some(format!("{} for {}", operation.object_text(), replaced.len()))
    }

    #[test]
    fn numbers_ids_and_dates_become_a_wildcard_after_three() {
        let topics = |texts: &[&str]| general(&texts.iter().map(|text| publish(text)).collect::<Vec<_>>());
        assert_eq!(topics(&["m/1/w", "m/2/w", "m/30/w"]).as_deref(), Some("m/+/w for 3"));
        assert_eq!(topics(&["m/1/w", "m/2/w"]), None);
        assert_eq!(topics(&["m/1/w", "m/2/v", "m/3/w"]), None);
        assert_eq!(topics(&["a/x", "b/x", "c/x"]), None);
        assert_eq!(
            topics(&["log/2026-01-01", "log/2026-01-02", "log/2026-01-03"]).as_deref(),
            Some("log/+ for 3")
        );
        let ids = ["a/0011aabb", "a/deadbee1", "a/6ba7b810-9dad-11d1-80b4-00c04fd430c8"];
        assert_eq!(topics(&ids).as_deref(), Some("a/+ for 3"));
        assert_eq!(topics(&["door/set", "door/get", "door/state"]), None);
    }

    #[test]
    fn client_ids_that_are_made_up_become_any() {
        let clients = |ids: &[&str]| {
            let parse =
                |id: &&str| Operation::parse("packet", "connect", &format!("client:{id}"), 1883).unwrap().1;
            general(&ids.iter().map(parse).collect::<Vec<_>>())
        };
        assert_eq!(
            clients(&["mosq-1aB2c3", "mosq-9zY8x7", "mosq-Q1w2E3"]).as_deref(),
            Some("client:+ for 3")
        );
        assert_eq!(clients(&["lock", "hub", "washer"]), None);
        assert_eq!(clients(&["paho/17", "paho/18", "lock"]), None);
    }

    #[test]
    fn what_sets_something_ends_with_a_word_that_does() {
        let filter = |text: &str| Filter::try_from(text).unwrap();
        let guard = |text: &str| Guard::of_unknown(filter(text));
        assert_eq!(guard("light/1/set"), Some(Guard::All(filter("light/1/set"))));
        assert_eq!(guard("light/1/state"), None);
        let stops =
            |guarded: &str, topic: &str| guard(guarded).is_some_and(|guard| guard.overlaps(&filter(topic)));
        for (guarded, topic, expected) in [
            ("light/+", "light/cmnd", true),
            ("light/+", "light/state", false),
            ("light/+", "light/1/set", false),
            ("light/#", "light/1/2/set", true),
            ("light/#", "light/1/2/state", false),
            ("set/#", "set", false),
            ("#", "set", true),
            ("light/#", "light/+", true),
            ("light/#", "+/1/set", true),
            ("light/#", "heat/+", false),
        ] {
            assert_eq!(stops(guarded, topic), expected, "{guarded} {topic}");
        }
    }

    #[test]
    fn learning_ends_by_evidence_and_at_last_by_time() {
        let settings = Settings { learn_min: 100, learn_quiet: 40, learn_max: 200, ..Settings::default() };
        let at =
            |seconds: u64| Now { boot_ns: seconds * 1_000_000_000, synchronised: true, ..Now::default() };
        let mut learning = Learning::begin(at(0), None);
        assert_eq!(learning.progress(&settings, at(99)), Progress::More { seconds: 1 });
        assert_eq!(learning.progress(&settings, at(100)), Progress::Enough);
        learning.last_new = at(90);
        assert_eq!(learning.progress(&settings, at(100)), Progress::More { seconds: 30 });
        assert_eq!(learning.percent(&settings, at(100)), 25);
        learning.last_new = at(195);
        assert_eq!(learning.progress(&settings, at(200)), Progress::Enough);
        assert_eq!(learning.percent(&settings, at(200)), 100);
        let fixed = Learning::begin(at(0), Some(Deadline::after(at(0), 10)));
        assert_eq!(fixed.progress(&settings, at(9)), Progress::More { seconds: 1 });
        assert_eq!(fixed.progress(&settings, at(10)), Progress::Ended);
    }
}
