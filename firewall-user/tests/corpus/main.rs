//! Captures made by others, read by `edgeward replay` and by tshark: both must read the same messages.
//!
//! The captures are no part of this project: `EDGEWARD_CORPUS` names their folder. A message is compared by its type, its
//! objects and the frame of its last byte. Where ours stops a stream, what tshark reads behind that is *denied*: it is
//! counted, and no difference. Every other difference must be listed in `known.tsv` with the reason why ours is right or
//! the stricter, and whatever is listed there must still occur.

mod compare;
mod known;
mod message;
mod node;
mod ours;
mod tshark;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    compare::{Comparison, Counts, Difference},
    known::Known,
};

/// Where the captures are.
const CORPUS: &str = "EDGEWARD_CORPUS";
/// Set where every test is expected to run.
const EXPECT_ALL: &str = "EDGEWARD_EXPECT_ALL";
/// Of a hundred thousand messages at least so many are read alike.
const ALIKE: u64 = 99_500;

/// The folder of the captures, if this test can run; otherwise it says why not, and fails where it was expected to.
fn corpus() -> Option<PathBuf> {
    let missing = match env::var_os(CORPUS).map(PathBuf::from) {
        None => format!("{CORPUS} names no folder of captures"),
        Some(folder) if !folder.join("INVENTORY.tsv").is_file() => {
            panic!("{CORPUS} is {}, where no INVENTORY.tsv is", folder.display())
        }
        Some(_) if !tshark::is_installed() => "tshark is not installed".to_owned(),
        Some(folder) => return Some(folder),
    };
    println!("not run, because {missing}");
    let promised = [EXPECT_ALL, "CI"].into_iter().any(|name| env::var_os(name).is_some());
    assert!(!promised, "not run, because {missing}");
    None
}

/// The captures of the inventory, as it names them.
fn captures(corpus: &Path) -> Vec<String> {
    let inventory = fs::read_to_string(corpus.join("INVENTORY.tsv")).expect("the inventory was just there");
    let names = inventory.lines().skip(1).filter_map(|line| line.split('\t').next());
    names.map(str::to_owned).collect()
}

#[test]
fn tshark_reads_the_same() {
    let Some(corpus) = corpus() else { return };
    let mut known = Known::read();
    let mut totals: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut unknown = Vec::new();
    let (mut packets, mut slowest) = (0, u64::MAX);
    let captures = captures(&corpus);
    for name in &captures {
        let path = corpus.join(name);
        let ours = ours::read(&path);
        packets += ours.packets;
        if ours.packets > 1_000 {
            slowest = slowest.min(ours.packets_per_second);
        }
        let Comparison { counts, differences, denied } = compare::compare(&path, &ours);
        for (protocol, counts) in counts {
            let total = totals.entry(protocol).or_default();
            total.equal += counts.equal;
            total.different += counts.different;
            total.denied += counts.denied;
        }
        for ((protocol, frame, reason), count) in denied {
            println!("{name} stop: #{frame} {protocol} {reason}: {count} messages denied");
        }
        for Difference { side, message } in differences {
            let reason = known.take(name, &message, side);
            println!("{name} only {}: {message}: {}", side.as_str(), reason.unwrap_or("NOT KNOWN"));
            if reason.is_none() {
                unknown.push(format!("{name} only {}: {message}", side.as_str()));
            }
        }
    }
    println!("{} captures, {packets} packets, at least {slowest} packets per second", captures.len());
    println!("{:10} {:>9} {:>9} {:>9} {:>9}", "protocol", "total", "equal", "different", "denied");
    for (protocol, Counts { equal, different, denied }) in &totals {
        let total = equal + different + denied;
        println!("{protocol:10} {total:9} {equal:9} {different:9} {denied:9}");
    }
    assert!(unknown.is_empty(), "{} differences that are not known:\n{}", unknown.len(), unknown.join("\n"));
    let gone = known.left();
    assert!(gone.is_empty(), "known differences that no longer occur:\n{}", gone.join("\n"));
    for (protocol, Counts { equal, different, .. }) in totals {
        let alike = equal * 100_000 / (equal + different).max(1);
        assert!(alike >= ALIKE, "{protocol}: of 100,000 messages {alike} are read alike");
    }
}
