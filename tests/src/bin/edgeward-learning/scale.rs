//! A large site: how long it takes to classify a flow and to export the model, and what an edge takes of memory.

use std::{fs, time::Instant};

use firewall_common::{
    abi::{Addr, EdgeKey, Kind, OBJECT_CAP, Observed, ObservedKey, PrincipalId},
    reason::{Reason, Verdict},
};
use graph::{Command, Graph, Now, Settings, graph::Fact, principal::Place, settings::Room, time::BootId};
use serde_json::{Value, json};

const DEVICES: u32 = 10_000;
const EDGES_EACH: u32 = 10;
/// Flows that are classified.
const FLOWS: u32 = 200_000;

pub(crate) fn measure() -> Value {
    let before = resident();
    let (mut graph, ids) = site();
    let devices = resident();
    learn(&mut graph, &ids);
    let edges = graph.edges().count();
    let per_edge = resident().saturating_sub(devices) / edges.max(1) as u64;
    let per_principal = devices.saturating_sub(before) / u64::from(DEVICES);
    let classify_us = classify(&mut graph, &ids);
    let begun = Instant::now();
    let text = graph.export();
    json!({
        "classify_us": classify_us,
        "export_ms": begun.elapsed().as_millis() as u64,
        "export_bytes": text.len(),
        "scale": {
            "principals": graph.principals().count(),
            "edges": edges,
            "bytes_per_edge": per_edge,
            "bytes_per_principal": per_principal,
        },
    })
}

fn site() -> (Graph, Vec<PrincipalId>) {
    let room = Room { principals: 2 * DEVICES, edges: 200_000, hosts: 8_192 };
    let settings = Settings { principals_per_port: DEVICES as usize, room, ..Settings::default() };
    let mut graph = Graph::new(settings, now());
    let mut ids = Vec::new();
    for number in 0..DEVICES {
        let [_, a, b, c] = number.to_be_bytes();
        let place =
            Place { port: format!("lan{}", number % 64), ifindex: 1, vlan: 0, mac: [2, 0, 0, a, b, c] };
        graph.handle_stranger(place, now());
        while let Some(command) = graph.next_command() {
            if let Command::PutMac { id, .. } = command {
                ids.push(id);
            }
        }
    }
    (graph, ids)
}

fn learn(graph: &mut Graph, ids: &[PrincipalId]) {
    for (at, src) in ids.iter().enumerate() {
        for edge in 0..EDGES_EACH {
            let (dst, port) = target(ids, at, edge);
            graph.handle_observed(&fact(*src, dst, port, Reason::Learned), now());
        }
        while graph.next_command().is_some() {}
    }
}

/// Microseconds per flow, drawn from all over the graph.
fn classify(graph: &mut Graph, ids: &[PrincipalId]) -> f64 {
    let mut facts = Vec::new();
    let mut state = 1_u64;
    for _ in 0..FLOWS {
        // A linear congruential generator (Knuth): no two neighbours in a row.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) as usize % ids.len();
        let (dst, port) = target(ids, at, (state >> 20) as u32 % EDGES_EACH);
        facts.push(fact(ids[at], dst, port, Reason::InModel));
    }
    let begun = Instant::now();
    for fact in &facts {
        graph.handle_observed(fact, now());
        while graph.next_command().is_some() {}
    }
    let microseconds = begun.elapsed().as_secs_f64() * 1_000_000.0;
    (microseconds / f64::from(FLOWS) * 100.0).round() / 100.0
}

fn target(ids: &[PrincipalId], at: usize, edge: u32) -> (PrincipalId, u16) {
    let dst = (at + 1 + edge as usize * 997) % ids.len();
    (ids[dst], 1_000 + edge as u16)
}

fn fact(src: PrincipalId, dst: PrincipalId, port: u16, reason: Reason) -> Fact {
    let edge = EdgeKey { src, dst, port, proto: 6, kind: Kind::Transport as u8 };
    let key = ObservedKey { addr: Addr([0; 16]), object: 0, edge, _pad: 0 };
    let value = Observed {
        count: 1,
        first: now().boot_ns,
        last: now().boot_ns,
        verdict: Verdict::Forwarded as u8,
        reason: reason as u8,
        object_len: 0,
        ifindex: 1,
        object: [0; OBJECT_CAP],
    };
    Fact { key, value }
}

fn now() -> Now {
    Now { boot: BootId([1; 16]), boot_ns: 1_000_000_000, unix: 1_700_000_000, synchronised: true }
}

/// Bytes of memory that this process holds.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}
