//! What edges have carried, one row for each hour.
//!
//! A row holds an edge's number and its kilobytes, eight bytes for each edge. Rows are added to, never replaced, so that who
//! writes need not know what is there already: neither after a restart nor after the clock was set back. What is farthest
//! from the hour that was written last goes first, because a clock that was wrong for a while must not cost a month.

use std::collections::BTreeMap;

use redb::{ReadableTable, ReadableTableMetadata as _, StorageError, Table, TableDefinition};

use super::{Store, StoreError};

pub(super) const HOURS: TableDefinition<u64, &[u8]> = TableDefinition::new("hours");

/// Hours that are kept: 30 days.
pub const HOURS_CAP: u64 = 720;
/// Edges that are kept of one hour.
pub const EDGES_CAP: usize = 16_384;
/// Edges that are kept of all hours together.
const CELLS_CAP: u64 = 1 << 20;

const CELL: usize = 8;

/// What edges have carried in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Kilobytes by the number of the edge; 0 is less than one.
    pub cells: BTreeMap<u32, u32>,
    /// Whether there was more than is kept.
    pub is_cut: bool,
}

impl Row {
    /// Adds what else was carried in the same hour.
    pub fn add(&mut self, other: &Self) {
        self.is_cut |= other.is_cut;
        for (&edge, &kilobytes) in &other.cells {
            if self.cells.len() >= EDGES_CAP && !self.cells.contains_key(&edge) {
                self.is_cut = true;
                continue;
            }
            let known = self.cells.entry(edge).or_default();
            *known = known.saturating_add(kilobytes);
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.cells.len() * CELL);
        bytes.push(u8::from(self.is_cut));
        for (edge, kilobytes) in &self.cells {
            bytes.extend(edge.to_le_bytes());
            bytes.extend(kilobytes.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Row::to_bytes`] wrote; `None` for anything else.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&flag, cells) = bytes.split_first()?;
        let (cells, []) = cells.as_chunks::<CELL>() else { return None };
        let cell = |&[a, b, c, d, e, f, g, h]: &[u8; CELL]| {
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
        };
        let is_cut = match flag {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self { cells: cells.iter().map(cell).collect(), is_cut })
    }
}

/// Adds to the row of an hour, counted from 1970, and lets go of what is over the caps.
pub(super) fn add(table: &mut Table<'_, u64, &[u8]>, hour: u64, row: &Row) -> Result<(), StorageError> {
    // A row that cannot be read is one that was not written.
    let known = table.get(hour)?.and_then(|bytes| Row::from_bytes(bytes.value()));
    let mut whole = known.unwrap_or_default();
    whole.add(row);
    table.insert(hour, whole.to_bytes().as_slice())?;
    trim(table, hour)
}

fn trim(table: &mut Table<'_, u64, &[u8]>, newest: u64) -> Result<(), StorageError> {
    let mut rows = table.len()?;
    let mut cells = 0;
    for entry in table.iter()? {
        cells += cells_of(entry?.1.value());
    }
    while rows > HOURS_CAP || (cells > CELLS_CAP && rows > 1) {
        let (first, last) = (hour_of(table.first()?), hour_of(table.last()?));
        let Some(farthest) = first.into_iter().chain(last).max_by_key(|hour| hour.abs_diff(newest)) else {
            return Ok(());
        };
        if let Some(removed) = table.remove(farthest)? {
            cells -= cells_of(removed.value());
        }
        rows -= 1;
    }
    Ok(())
}

type Entry<'t> = (redb::AccessGuard<'t, u64>, redb::AccessGuard<'t, &'static [u8]>);

fn hour_of(entry: Option<Entry<'_>>) -> Option<u64> {
    entry.map(|(hour, _)| hour.value())
}

const fn cells_of(row: &[u8]) -> u64 {
    (row.len() / CELL) as u64
}

impl Store {
    /// The rows of hours from the first to before the second, counted from 1970, oldest first.
    pub fn hours(&self, from: u64, until: u64) -> Result<Vec<(u64, Row)>, StoreError> {
        use redb::ReadableDatabase as _;

        let transaction = self.database.begin_read().map_err(redb::Error::from)?;
        let table = transaction.open_table(HOURS)?;
        let mut rows = Vec::new();
        for entry in table.range(from..until)? {
            let (hour, bytes) = entry?;
            rows.extend(Row::from_bytes(bytes.value()).map(|row| (hour.value(), row)));
        }
        Ok(rows)
    }
}
