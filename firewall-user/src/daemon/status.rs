//! `edgeward status`: how the firewall stands, and what a person should do about it.

use std::collections::BTreeMap;

use dashboard::view;
use firewall_common::{abi::counter, reason::Reason};
use graph::{Graph, Now};

use super::{
    ports::Ports,
    tables::Tables,
    views::{Views, edge_counts},
};
use crate::kernel::{Balance, Hook, KernelError};

pub(super) fn status(
    tables: &Tables,
    ports: &Ports,
    graph: &Graph,
    faults: &[view::Fault],
    now: Now,
) -> Result<view::Status, KernelError> {
    let maps = tables.maps.uses()?;
    let mut packets = BTreeMap::new();
    let mut events = view::Events::default();
    for hook in Hook::ALL {
        let balance = tables.maps.counters.balance(number(hook))?;
        events.produced += balance.events_produced;
        events.suppressed += balance.events_suppressed;
        events.lost += balance.events_lost;
        packets.insert(hook.as_str().to_owned(), view_of(&balance));
    }
    // The kernel counts what it could not put into the ring; the rest is there for the daemon, also after a restart.
    events.delivered = events.produced.saturating_sub(events.suppressed + events.lost);

    let site = graph.site();
    let until = |deadline: Option<graph::time::Deadline>| {
        deadline.map(|deadline| deadline.unix()).filter(|&unix| unix > now.unix)
    };
    let paused_until = until(site.pause);
    let health = match (faults.is_empty(), paused_until) {
        (false, _) => "fault",
        (true, Some(_)) => "paused",
        (true, None) => "ok",
    };
    let uncovered = uncovered(graph, now);
    let mut principals = BTreeMap::new();
    for principal in graph.principals().filter(|principal| !principal.is_builtin()) {
        *principals.entry(principal.mode.as_str().to_owned()).or_insert(0) += 1;
    }
    Ok(view::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        interfaces: ports
            .standing()
            .filter_map(|port| {
                Some(view::Interface {
                    name: port.name.to_string(),
                    role: port.role.to_owned(),
                    attach: port.attach.to_owned(),
                    since: port.since?,
                })
            })
            .collect(),
        mode: site.mode.as_str().to_owned(),
        health: health.to_owned(),
        faults: faults.to_vec(),
        paused_until,
        confirm_until: until(site.confirm),
        moved_since: site.moved,
        packets,
        events,
        edges: edge_counts(graph.edge_counts(None)),
        principals,
        maps: maps
            .into_iter()
            .map(|map| view::MapUse {
                name: map.name.to_owned(),
                entries: map.entries,
                capacity: map.capacity,
                bytes: map.bytes,
            })
            .collect(),
        coverage: coverage(ports, &uncovered),
        uncovered,
        clock_synchronised: now.synchronised,
        rev: graph.rev(),
    })
}

/// What passes unseen, honestly.
fn coverage(ports: &Ports, uncovered: &view::Uncovered) -> Vec<String> {
    let mut gaps = vec![match (uncovered.pairs, uncovered.of) {
        (0, 0) => {
            "Devices behind the same switch or access point reach each other without passing a protected interface."
                .to_owned()
        }
        (pairs, of) => format!(
            "{pairs} of {of} pairs of devices reach each other without passing a protected interface, because they are \
             behind the same one."
        ),
    }];
    if !ports.has_uplink() {
        gaps.push("No uplink is configured: what comes from beyond is judged at delivery only.".to_owned());
    }
    gaps
}

/// Between which devices nothing need pass a hook.
fn uncovered(graph: &Graph, now: Now) -> view::Uncovered {
    let (views, found) = (Views { graph, now }, graph.coverage());
    let segment = |segment: graph::coverage::Segment| view::Segment {
        port: segment.port,
        vlan: segment.vlan,
        devices: segment.devices.into_iter().map(|id| views.end(id)).collect(),
    };
    view::Uncovered {
        pairs: found.uncovered,
        of: found.pairs,
        segments: found.segments.into_iter().map(segment).collect(),
    }
}

fn number(hook: Hook) -> u32 {
    match hook {
        Hook::LanIngress => counter::HOOK_LAN_INGRESS,
        Hook::LanEgress => counter::HOOK_LAN_EGRESS,
        Hook::Uplink => counter::HOOK_UPLINK,
        Hook::Xdp => counter::HOOK_XDP,
    }
}

fn view_of(balance: &Balance) -> view::Packets {
    view::Packets {
        seen: balance.seen,
        passed: balance.passed,
        neutralised: balance.neutralised,
        reset: balance.reset,
        audit: balance.audit,
        dropped: by_reason(&balance.dropped),
        resets: by_reason(&balance.resets),
    }
}

fn by_reason(counts: &[u64]) -> BTreeMap<String, u64> {
    counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(code, &count)| {
            let reason = u8::try_from(code).ok().and_then(Reason::from_code);
            // A number without a name is of a newer kernel program; it must not vanish from the balance.
            (reason.map_or_else(|| format!("reason {code}"), |reason| reason.as_str().to_owned()), count)
        })
        .collect()
}
