//! View models of what people look at before they decide: profiles of makers, habits in groups, what would break. They
//! are those of the command line (`--json`); the page shows the habits.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::view::{Edge, End, UnixSeconds};

/// How a model is written (`edgeward graph export --format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// An object with `principals` and `edges`, which are those of their lists.
    Json,
    /// For Graphviz.
    Dot,
    /// What one device has learned, as a profile (RFC 8520).
    Mud,
}

/// What a maker declares beside what a device does and what was decided (`edgeward mud diff`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MudDiff {
    pub device: End,
    /// Where the maker keeps the profile, and what it says that it is about.
    pub url: String,
    pub about: String,
    pub rows: Vec<MudRow>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MudRow {
    /// `tcp/443 to cloud.example`.
    pub what: String,
    /// Whether the maker declares it.
    pub declared: bool,
    /// Whether the device was seen doing it.
    pub does: bool,
    /// `learned`, `allowed`, `denied` or `pending`, where there is an edge.
    pub state: Option<String>,
    pub edge: Option<u32>,
}

/// What became of a profile (`edgeward mud import`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MudImport {
    /// Edges that wait for a decision now.
    pub asked: Vec<Edge>,
    /// In the model or decided already.
    pub known: Vec<String>,
    /// What is no single connection to somebody who is known, or found no room.
    pub open: Vec<String>,
}

/// The habits of a device in groups (`edgeward learn review`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    pub device: End,
    pub habits: usize,
    /// The largest first.
    pub groups: Vec<Group>,
    /// Only of a device that learns.
    pub evidence: Option<Evidence>,
    pub update: Option<Update>,
}

/// What a device does with one other, or with hosts of one domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    pub with: String,
    pub newest: UnixSeconds,
    pub habits: Vec<Edge>,
}

/// What the model of a device rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Whole days that were covered.
    pub days: u64,
    /// Seconds since something new was learned.
    pub quiet: u64,
    /// What devices do now and then, and there was no time for yet.
    pub not_covered: Vec<String>,
    /// The same as codes: `day`, `weekend`, `working_day`, `week`.
    #[serde(default)]
    pub gaps: Vec<String>,
    /// What devices of its kind do now and then, and this one was not seen to do: `software`, `print`, `watch`, `set`,
    /// `play`.
    #[serde(default)]
    pub not_seen: Vec<String>,
    /// `low`, `medium` or `high`.
    pub confidence: String,
}

/// A time in which a device gets new software.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Update {
    pub from: UnixSeconds,
    pub until: UnixSeconds,
    pub over: bool,
    /// What it has added to the model.
    pub learned: Vec<Edge>,
}

/// A packet of an edge (`edgeward explain ID --pcap F`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Bytes that it had on the wire; there may be fewer of them here.
    pub length: u32,
    pub bytes: Vec<u8>,
}

/// Something that was seen, and would not pass (`edgeward mode enforce --dry-run`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    pub edge: u32,
    pub sentence: String,
    pub tries: u64,
    pub last_seen: Option<UnixSeconds>,
}
