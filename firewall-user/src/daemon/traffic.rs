//! What edges carry, hour by hour.
//!
//! What the running hour has carried since it was written last is here, and goes to the store every five minutes; what is
//! older is there only.

use std::{collections::HashMap, ops::Range};

use dashboard::{rpc::Refusal, view};
use firewall_common::abi::PrincipalId;
use graph::{Now, edge::EdgeId};

use super::answer::invalid;
use crate::store::{Change, EDGES_CAP, HOURS_CAP, Row, Store, StoreError};

const HOUR: i64 = 3_600;
/// How often the running hour is written.
const WRITE_EVERY_NS: u64 = 300_000_000_000;
/// Edges of one source that are kept of one hour.
const EDGES_PER_SOURCE: usize = 256;
/// The longest time that is asked about at once: a day on which clocks are set back.
const LONGEST_HOURS: u64 = 25;
const KILOBYTE: u64 = 1_000;

/// The running hour.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Counted from 1970.
    hour: u64,
    edges: HashMap<EdgeId, Carried>,
    per_source: HashMap<PrincipalId, usize>,
    is_cut: bool,
    /// The hour before, where it is not written yet.
    over: Option<(u64, Row)>,
    /// Boot-time nanoseconds at which it was written.
    written: u64,
}

/// What an edge has carried in the running hour.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    /// Bytes that are not written: of what is, less than a kilobyte is left.
    bytes: u64,
    /// Whether it has carried anything since it was written.
    is_new: bool,
}

impl Traffic {
    /// Adds what an edge has carried since it was last heard of.
    pub(super) fn note(&mut self, edge: EdgeId, source: PrincipalId, bytes: u64, now: Now) {
        let hour = hour_of(now.unix);
        if hour != self.hour {
            self.end_hour(hour);
        }
        if !self.edges.contains_key(&edge) {
            let of_source = self.per_source.entry(source).or_default();
            if *of_source >= EDGES_PER_SOURCE || self.edges.len() >= EDGES_CAP {
                self.is_cut = true;
                return;
            }
            *of_source += 1;
        }
        let carried = self.edges.entry(edge).or_default();
        carried.bytes = carried.bytes.saturating_add(bytes);
        carried.is_new = true;
    }

    fn end_hour(&mut self, next: u64) {
        if let Some(row) = self.unwritten() {
            self.over = Some((self.hour, row));
        }
        self.edges.clear();
        self.per_source.clear();
        self.is_cut = false;
        self.hour = next;
    }

    /// What the store shall have, if it is time.
    pub(super) fn changes(&mut self, now: Now) -> Vec<Change> {
        if now.boot_ns.saturating_sub(self.written) < WRITE_EVERY_NS {
            return Vec::new();
        }
        self.all_changes(now)
    }

    /// What the store shall have.
    pub(super) fn all_changes(&mut self, now: Now) -> Vec<Change> {
        self.written = now.boot_ns;
        let rows = self.rows();
        self.over = None;
        for carried in self.edges.values_mut().filter(|carried| carried.is_new) {
            carried.bytes %= KILOBYTE;
            carried.is_new = false;
        }
        rows.into_iter().map(|(hour, row)| Change::AddHour { hour, row }).collect()
    }

    /// What is not in the store, by hour.
    pub(super) fn rows(&self) -> Vec<(u64, Row)> {
        let running = self.unwritten().map(|row| (self.hour, row));
        self.over.clone().into_iter().chain(running).collect()
    }

    fn unwritten(&self) -> Option<Row> {
        let new = self.edges.iter().filter(|(_, carried)| carried.is_new);
        let cell = |(edge, carried): (&EdgeId, &Carried)| {
            (edge.0, u32::try_from(carried.bytes / KILOBYTE).unwrap_or(u32::MAX))
        };
        let row = Row { cells: new.map(cell).collect(), is_cut: self.is_cut };
        (!row.cells.is_empty()).then_some(row)
    }
}

/// What is asked about the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// How much each hour has carried.
    Hours(Range<u64>),
    /// What each edge has carried.
    Edges(Range<u64>),
}

impl Past {
    /// All hours that are kept.
    pub(super) fn all(now: Now) -> Self {
        let end = hour_of(now.unix).saturating_add(1);
        Self::Hours(end.saturating_sub(HOURS_CAP)..end)
    }

    /// The hours that begin in a time, at most a day of them.
    pub(super) fn between(from: i64, until: i64) -> Result<Self, Refusal> {
        let begin = |unix: i64| hour_of(unix.saturating_add(HOUR - 1));
        let hours = begin(from)..begin(until);
        if hours.is_empty() || hours.end - hours.start > LONGEST_HOURS {
            return Err(invalid("ask about one hour at least, and one day at most"));
        }
        Ok(Self::Edges(hours))
    }

    /// Reads the answer, with what is not in the store yet.
    pub(super) fn read(
        self,
        store: &Store,
        unwritten: &[(u64, Row)],
    ) -> Result<serde_json::Value, StoreError> {
        let (Self::Hours(hours) | Self::Edges(hours)) = &self;
        let mut rows: std::collections::BTreeMap<u64, Row> =
            store.hours(hours.start, hours.end)?.into_iter().collect();
        for (hour, row) in unwritten.iter().filter(|(hour, _)| hours.contains(hour)) {
            rows.entry(*hour).or_default().add(row);
        }
        Ok(match self {
            Self::Hours(_) => {
                let hours: Vec<view::Hour> = rows.iter().map(|(&hour, row)| hour_view(hour, row)).collect();
                super::answer::value(&hours)
            }
            Self::Edges(hours) => super::answer::value(&traffic_view(&hours, rows.values())),
        })
    }
}

fn hour_view(hour: u64, row: &Row) -> view::Hour {
    view::Hour {
        from: unix_of(hour),
        edges: row.cells.len() as u64,
        kilobytes: row.cells.values().copied().map(u64::from).sum(),
    }
}

fn traffic_view<'r>(hours: &Range<u64>, rows: impl Iterator<Item = &'r Row>) -> view::Traffic {
    let mut whole: HashMap<u32, u64> = HashMap::new();
    let mut complete = true;
    for row in rows {
        complete &= !row.is_cut;
        for (&edge, &kilobytes) in &row.cells {
            *whole.entry(edge).or_default() += u64::from(kilobytes);
        }
    }
    let mut edges: Vec<view::Carried> =
        whole.into_iter().map(|(edge, kilobytes)| view::Carried { edge, kilobytes }).collect();
    edges.sort_by_key(|carried| (std::cmp::Reverse(carried.kilobytes), carried.edge));
    view::Traffic { from: unix_of(hours.start), until: unix_of(hours.end), edges, complete }
}

/// Before 1970 there is nothing.
fn hour_of(unix: i64) -> u64 {
    u64::try_from(unix.div_euclid(HOUR)).unwrap_or(0)
}

fn unix_of(hour: u64) -> i64 {
    i64::try_from(hour).unwrap_or(i64::MAX).saturating_mul(HOUR)
}

#[cfg(test)]
mod tests;
