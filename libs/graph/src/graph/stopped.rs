//! What was stopped and is no edge: malformed frames, spoofed addresses, guests inside. Kept for `trouble`.

use std::collections::BTreeMap;

use firewall_common::abi::PrincipalId;
use firewall_common::reason::{Reason, Verdict};

use super::Fact;
use crate::edge::Tally;
use crate::explain::Blocked;
use crate::operation::Verb;

/// Most entries per source; the oldest makes room.
const PER_SOURCE: usize = 64;

/// By source, and there by what was tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopped(BTreeMap<PrincipalId, BTreeMap<Key, Entry>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    dst: PrincipalId,
    verb: Option<Verb>,
    object: String,
    reason: Option<Reason>,
}

#[derive(Clone, Debug)]
struct Entry {
    at: i64,
    verdict: Option<Verdict>,
    count: u64,
    tallies: Vec<Tally>,
}

/// What was seen, as it was read.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) fact: &'a Fact,
    pub(super) at: i64,
    pub(super) src: PrincipalId,
    pub(super) dst: PrincipalId,
    pub(super) verb: Option<Verb>,
    pub(super) object: String,
}

impl Seen<'_> {
    pub(super) const fn verdict(&self) -> Option<Verdict> {
        Verdict::from_code(self.fact.value.verdict)
    }

    pub(super) const fn reason(&self) -> Option<Reason> {
        Reason::from_code(self.fact.value.reason)
    }
}

impl Stopped {
    /// Adds what is new in an entry of the kernel, and returns how much that is.
    pub(super) fn add(&mut self, seen: &Seen<'_>) -> u64 {
        let entries = self.0.entry(seen.src).or_default();
        let key = Key { dst: seen.dst, verb: seen.verb, object: seen.object.clone(), reason: seen.reason() };
        if !entries.contains_key(&key) && entries.len() == PER_SOURCE {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| entries.remove(&key));
        }
        let entry = entries.entry(key).or_insert_with(|| Entry {
            at: seen.at,
            verdict: seen.verdict(),
            count: 0,
            tallies: Vec::new(),
        });
        let new = Tally::update(&mut entry.tallies, seen.fact.key.object, &seen.fact.value);
        entry.at = entry.at.max(seen.at);
        entry.verdict = seen.verdict();
        entry.count += new;
        new
    }

    /// What was stopped since then, for a principal at either end.
    pub(super) fn since(&self, id: PrincipalId, unix: i64) -> impl Iterator<Item = Blocked> {
        self.0.iter().flat_map(move |(&src, entries)| {
            let concerned = entries.iter().filter(move |(key, entry)| {
                (src == id || key.dst == id) && entry.at >= unix && entry.verdict != Some(Verdict::Forwarded)
            });
            concerned.map(move |(key, entry)| Blocked {
                at: entry.at,
                verdict: entry.verdict,
                reason: key.reason,
                edge: None,
                src,
                dst: key.dst,
                verb: key.verb,
                object: key.object.clone(),
                count: entry.count,
            })
        })
    }

    pub(super) fn forget(&mut self, id: PrincipalId) {
        self.0.remove(&id);
        for entries in self.0.values_mut() {
            entries.retain(|key, _| key.dst != id);
        }
    }
}
