//! Differences that are known, each with the reason why ours is right or the stricter.

use crate::compare::Side;

/// Lines of capture, frame, protocol, side and reason, divided by tabs. A frame of `*` is every frame, and a capture may
/// be the name of a folder, with `/` at its end.
const LIST: &str = include_str!("known.tsv");

pub(crate) struct Known {
    entries: Vec<Entry>,
}

struct Entry {
    capture: &'static str,
    frame: &'static str,
    protocol: &'static str,
    side: &'static str,
    reason: &'static str,
    occurred: bool,
}

impl Known {
    pub(crate) fn read() -> Self {
        let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entries = lines.map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [capture, frame, protocol, side, reason] = fields[..] else {
                panic!("not five fields: {line}");
            };
            Entry { capture, frame, protocol, side, reason, occurred: false }
        });
        Self { entries: entries.collect() }
    }

    /// The reason of a difference, if it is known.
    pub(crate) fn take(
        &mut self,
        capture: &str,
        frame: u64,
        protocol: &str,
        side: Side,
    ) -> Option<&'static str> {
        let frame = frame.to_string();
        let entry = self.entries.iter_mut().find(|entry| {
            (capture.ends_with(entry.capture)
                || entry.capture.ends_with('/') && capture.contains(entry.capture))
                && (entry.frame == "*" || entry.frame == frame)
                && entry.protocol == protocol
                && entry.side == side.as_str()
        })?;
        entry.occurred = true;
        Some(entry.reason)
    }

    /// What is listed and did not occur.
    pub(crate) fn left(&self) -> Vec<String> {
        let left = self.entries.iter().filter(|entry| !entry.occurred);
        left.map(|Entry { capture, frame, protocol, side, .. }| {
            format!("{capture} #{frame} {protocol} only {side}")
        })
        .collect()
    }
}
