//! Captures made by others, read by `edgeward replay` and by tshark: both must read the same messages.
//!
//! The captures are no part of this project: `EDGEWARD_CORPUS` names their folder. A message is compared by its type, its
//! objects and the frame of its last byte. Where ours stops a stream, what tshark reads behind that is *denied*: it is
//! counted, and no difference. Every such stop, and what ours alone reads, must be listed in `known.tsv` with the reason
//! why ours is right or the stricter, and whatever is listed there must still occur. What tshark alone reads, in what ours
//! lets pass, always fails.

mod compare;
mod known;
mod message;
mod node;
mod ours;
mod suricata;
mod tshark;

use std::{
    collections::BTreeMap,
    env, fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    compare::{Comparison, Counts, Difference, Side},
    known::Known,
    ours::Reading,
};

/// Where the captures are.
const CORPUS: &str = "EDGEWARD_CORPUS";
/// Set where every test is expected to run.
const EXPECTED: [&str; 2] = ["CI", "EDGEWARD_EXPECT_ALL"];
/// Of a hundred thousand messages at least so many are read alike.
const ALIKE: u64 = 99_500;

/// The folder of the captures, if this test can run; otherwise it says why not, and fails where it was expected to.
fn corpus() -> Option<PathBuf> {
    // A folder may be named as seen from the root of the project.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let missing = match env::var_os(CORPUS).map(|folder| root.join(folder)) {
        None => format!("{CORPUS} names no folder of captures"),
        Some(folder) if !folder.join("INVENTORY.tsv").is_file() => {
            // It was promised.
            panic!("{CORPUS} is {}, where no INVENTORY.tsv is", folder.display())
        }
        Some(_) if !tshark::is_installed() => "tshark is not installed".to_owned(),
        Some(folder) => return Some(folder),
    };
    println!("not run, because {missing}");
    let is_set = |name: &str| env::var(name).is_ok_and(|value| value == "true" || value == "1");
    assert!(!EXPECTED.into_iter().any(is_set), "everything is expected to run here");
    None
}

/// The captures of the inventory, as it names them.
fn captures(corpus: &Path) -> Vec<String> {
    let inventory = fs::read_to_string(corpus.join("INVENTORY.tsv")).expect("the inventory was just there");
    let names = inventory.lines().skip(1).filter_map(|line| line.split('\t').next());
    names.map(str::to_owned).collect()
}

#[test]
fn what_suricata_expects_of_mqtt_holds() {
    let Some(corpus) = corpus() else { return };
    let checked = suricata::check(&corpus.join("suricata-verify/tests"));
    println!("{checked} expectations hold");
    assert!(checked > 0, "no expectation was found");
}

/// Both readings of every capture, on every processor.
fn read_all(corpus: &Path, captures: &[String]) -> Vec<(Reading, Comparison)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, name)) = Some(next.fetch_add(1, Ordering::Relaxed))
            .and_then(|index| captures.get(index).map(|name| (index, name)))
        {
            let path = corpus.join(name);
            let ours = ours::read(&path);
            let comparison = compare::compare(&path, &ours);
            done.push((index, (ours, comparison)));
        }
        done
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut all: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().expect("a worker says itself why it ended"))
            .collect()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, readings)| readings).collect()
}

#[test]
fn tshark_reads_the_same() {
    let Some(corpus) = corpus() else { return };
    let mut known = Known::read();
    let mut totals: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut unknown = Vec::new();
    let (mut packets, mut slowest) = (0, u64::MAX);
    let captures = captures(&corpus);
    for (name, (ours, comparison)) in captures.iter().zip(read_all(&corpus, &captures)) {
        packets += ours.packets;
        if ours.packets > 1_000 {
            slowest = slowest.min(ours.packets_per_second);
        }
        let Comparison { counts, differences, denied } = comparison;
        for (protocol, counts) in counts {
            let total = totals.entry(protocol).or_default();
            total.equal += counts.equal;
            total.different += counts.different;
            total.denied += counts.denied;
        }
        for ((protocol, frame, reason), count) in denied {
            let why = known.take(name, frame, protocol, Side::Stop);
            println!("{name} #{frame} {protocol} {reason}, {count} denied: {}", why.unwrap_or("NOT KNOWN"));
            if why.is_none() {
                unknown.push(format!("{name} #{frame} {protocol} {reason}, {count} denied"));
            }
        }
        for Difference { side, message } in differences {
            // What tshark alone reads would have passed unread: no reason makes that right.
            let reason = match side {
                Side::Tshark => None,
                Side::Ours | Side::Stop => known.take(name, message.frame, message.protocol, side),
            };
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
