//! The graph for Graphviz: who does what to whom, as a directed graph in the language DOT.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use firewall_common::abi::PrincipalId;

use crate::edge::{Edge, State};
use crate::graph::Graph;
use crate::principal::Principal;

/// Most operations that are written at one arrow; the rest is a number.
const OPERATIONS: usize = 6;

impl Graph {
    /// The graph in DOT, in stable order. Devices are grouped by room; one arrow stands for all that is alike between two.
    pub fn export_dot(&self) -> String {
        let mut arrows: BTreeMap<(PrincipalId, PrincipalId, &str), Vec<&Edge>> = BTreeMap::new();
        for edge in self.edges() {
            arrows.entry((edge.path.src, edge.path.dst, edge.state.as_str())).or_default().push(edge);
        }
        let ends: BTreeSet<PrincipalId> = arrows.keys().flat_map(|(src, dst, _)| [*src, *dst]).collect();
        let mut rooms: BTreeMap<Option<&str>, Vec<&Principal>> = BTreeMap::new();
        for principal in self.principals() {
            if principal.is_device() || ends.contains(&principal.id) {
                rooms.entry(principal.room.as_deref()).or_default().push(principal);
            }
        }
        let mut text = "digraph edgeward {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n".to_owned();
        for (number, (room, principals)) in rooms.iter().enumerate() {
            let indent = if room.is_some() { "    " } else { "  " };
            if let Some(room) = room {
                let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(room));
            }
            for principal in principals {
                let _ = writeln!(text, "{indent}p{} [{}];", principal.id.0, node(principal));
            }
            if room.is_some() {
                text.push_str("  }\n");
            }
        }
        for ((src, dst, _), edges) in &arrows {
            let _ = writeln!(text, "  p{} -> p{} [{}];", src.0, dst.0, arrow(edges));
        }
        text.push_str("}\n");
        text
    }
}

fn node(principal: &Principal) -> String {
    let title = principal.title();
    // What nobody has confirmed stands in quotes, as everywhere.
    let title =
        if principal.name.is_some() || principal.hint.is_none() { title } else { format!("“{title}”") };
    let label = quoted(&title);
    let shape = if principal.is_outside() { ", shape=ellipse" } else { "" };
    format!("label={label}{shape}")
}

fn arrow(edges: &[&Edge]) -> String {
    let told = |edge: &&Edge| {
        let operation = &edge.path.operation;
        format!("{} {}", operation.verb.as_str(), operation.object_text())
    };
    let mut lines: Vec<String> = edges.iter().take(OPERATIONS).map(told).collect();
    if edges.len() > OPERATIONS {
        lines.push(format!("and {} more", edges.len() - OPERATIONS));
    }
    let style = match edges.first().map(|edge| &edge.state) {
        Some(State::Denied(_)) => "color=firebrick, style=dashed",
        Some(State::Pending | State::Lapsed) => "color=darkorange, style=dotted",
        Some(State::Allowed(_)) => "style=bold",
        Some(State::Learned) | None => "style=solid",
    };
    format!("label={}, {style}", quoted(&lines.join("\n")))
}

/// A text as DOT takes it: nothing in it ends the quotes or is an escape of Graphviz.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
