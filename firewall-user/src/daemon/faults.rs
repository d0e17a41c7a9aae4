//! What is wrong with the firewall itself and since when, so that whoever watches is told at once.

use std::mem;

use dashboard::view::{Fault, Wrong};
use graph::{Graph, Now, coverage::Coverage};

use super::{ports::Ports, tables::Tables};
use crate::kernel::{KernelError, MapUse};

/// Share of a table in percent above which it is a fault.
const FULL_PERCENT: u64 = 80;
/// Tables that are full by design and forget what was not used for longest.
const EVICTING: [&str; 1] = ["HALF_OPEN"];
/// Seconds between two counts of what is in the tables.
const COUNT_EVERY: u64 = 60;

/// What was found when it was last looked.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Until the next start.
    pub(super) lasting: Vec<Wrong>,
    /// Why the guard is not loaded.
    pub(super) guard: Option<String>,
    /// Why an interface has no programs.
    pub(super) attach: Option<String>,
    standing: Vec<Fault>,
    full: Vec<Wrong>,
    /// When the tables were counted, in nanoseconds since the start of the box.
    counted: Option<u64>,
    covered: Covered,
}

/// What else `status` says that changes by itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Covered {
    clock: bool,
    coverage: Coverage,
    /// Revision of the graph.
    rev: Option<u64>,
}

impl Faults {
    pub(super) fn standing(&self) -> &[Fault] {
        &self.standing
    }

    /// Looks again; whether something is other than it was.
    pub(super) fn look(
        &mut self,
        tables: &Tables,
        ports: &Ports,
        graph: &Graph,
        now: Now,
    ) -> Result<bool, KernelError> {
        if self.counted.is_none_or(|at| now.boot_ns.saturating_sub(at) >= COUNT_EVERY * 1_000_000_000) {
            self.full = full(&tables.maps.uses()?);
            self.counted = Some(now.boot_ns);
        }
        let gone = ports.standing().filter(|port| !port.exists);
        let gone: Vec<Wrong> =
            gone.map(|port| Wrong::InterfaceGone { interface: port.name.to_string() }).collect();
        Ok(self.note(gone, now) | self.note_coverage(graph, now))
    }

    fn note(&mut self, gone: Vec<Wrong>, now: Now) -> bool {
        let guard = self.guard.iter().map(|error| Wrong::GuardMissing { error: error.clone() });
        let attach = self.attach.iter().map(|error| Wrong::NotAttached { error: error.clone() });
        let found =
            self.lasting.iter().cloned().chain(guard).chain(attach).chain(gone).chain(self.full.clone());
        let found: Vec<Wrong> = found.collect();
        let before = mem::take(&mut self.standing);
        // What fails in another way fails since it began to.
        let since = |what: &Wrong| {
            let known = before.iter().find(|fault| is_same(&fault.what, what));
            known.map_or(now.unix, |fault| fault.since)
        };
        self.standing = found.into_iter().map(|what| Fault { since: since(&what), what }).collect();
        self.standing.sort_by_key(|fault| fault.since);
        self.standing != before
    }

    fn note_coverage(&mut self, graph: &Graph, now: Now) -> bool {
        let clock = now.synchronised;
        if self.covered.rev == Some(graph.rev()) && self.covered.clock == clock {
            return false;
        }
        let covered = Covered { clock, coverage: graph.coverage(), rev: Some(graph.rev()) };
        let before = mem::replace(&mut self.covered, covered);
        before.clock != clock || before.coverage != self.covered.coverage
    }
}

fn is_same(one: &Wrong, other: &Wrong) -> bool {
    match (one, other) {
        (Wrong::GuardMissing { .. }, Wrong::GuardMissing { .. })
        | (Wrong::NotAttached { .. }, Wrong::NotAttached { .. }) => true,
        _ => one == other,
    }
}

fn full(maps: &[MapUse]) -> Vec<Wrong> {
    let is_full =
        |map: &&MapUse| !EVICTING.contains(&map.name) && map.entries * 100 >= map.capacity * FULL_PERCENT;
    maps.iter().filter(is_full).map(|map| Wrong::TableFull { table: map.name.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use graph::{Settings, time::BootId};

    use super::*;

    fn at(unix: i64) -> Now {
        Now { boot: BootId([1; 16]), boot_ns: unix.unsigned_abs(), unix, synchronised: true }
    }

    #[test]
    fn a_fault_stands_since_it_began_whatever_it_says_meanwhile() {
        let mut faults = Faults::default();
        assert!(!faults.note(Vec::new(), at(100)));
        faults.attach = Some("no room".to_owned());
        assert!(faults.note(Vec::new(), at(200)));
        assert!(!faults.note(Vec::new(), at(201)), "nothing has changed");
        faults.attach = Some("no such file".to_owned());
        let gone = Wrong::InterfaceGone { interface: "lan0".to_owned() };
        assert!(faults.note(vec![gone.clone()], at(300)));
        let attach = Wrong::NotAttached { error: "no such file".to_owned() };
        let expected = [Fault { what: attach, since: 200 }, Fault { what: gone, since: 300 }];
        assert_eq!(faults.standing(), expected);
        faults.attach = None;
        assert!(faults.note(Vec::new(), at(400)));
        assert_eq!(faults.standing(), []);
    }

    #[test]
    fn a_clock_that_is_set_is_told_and_what_stays_is_not() {
        let graph = Graph::new(Settings::default(), at(100));
        let mut faults = Faults::default();
        let unset = Now { synchronised: false, ..at(100) };
        faults.note_coverage(&graph, unset);
        assert!(!faults.note_coverage(&graph, Now { synchronised: false, ..at(101) }));
        assert!(faults.note_coverage(&graph, at(102)));
        assert!(!faults.note_coverage(&graph, at(103)));
    }

    #[test]
    fn a_table_is_full_before_nothing_goes_in_any_more() {
        let map = |name, entries| MapUse { name, entries, capacity: 100, bytes: 0 };
        let found = full(&[map("EDGES", 79), map("RULES", 80), map("HALF_OPEN", 100)]);
        assert_eq!(found, [Wrong::TableFull { table: "RULES".to_owned() }]);
    }
}
