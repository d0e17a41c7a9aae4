//! The model as text: whatever is brought in, a dry run changes nothing and what was brought in is there.

use firewall_common::abi::PrincipalId;
use graph::decision::{Author, SiteMode};
use graph::principal::Place;
use graph::time::BootId;
use graph::{Graph, Now, Settings};

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now =
        Now { boot: BootId([1; 16]), boot_ns: 100_000_000_000, unix: 1_700_000_000, synchronised: true };
    let mut graph = site(now);
    let author = Author::person("Owner");
    let before = graph.export();

    let planned = import(&mut graph, text, true, &author, now);
    assert_eq!(graph.export(), before, "a dry run changes nothing");
    let planned = match planned {
        Ok(changes) => changes,
        Err(lines) => {
            let last = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
            assert!(!lines.is_empty() && lines.iter().all(|line| (1..=last).contains(line)), "{lines:?}");
            return;
        }
    };
    let Ok(done) = import(&mut graph, text, false, &author, now) else { return };
    assert_eq!(planned, done, "what was planned was done");
    settle(&mut graph);
    let after = graph.export();
    assert_eq!(import(&mut graph, text, false, &author, now), Ok(0), "twice is once: {text}");
    assert_eq!(
        import(&mut graph, &after, false, &author, now),
        Ok(0),
        "what is written can be read: {after}"
    );
    assert_eq!(graph.export(), after, "and changes nothing");
}

/// The number of changes, or the lines of the mistakes.
fn import(
    graph: &mut Graph,
    text: &str,
    dry_run: bool,
    author: &Author,
    now: Now,
) -> Result<usize, Vec<usize>> {
    // Sets a text before it is asked whether to, unless it is one that everybody has tried.
    let tried = [("description", "under the stairs"), ("room", "Hall"), ("kind", "hub"), ("name", "Washer")];
    let early = tried.iter().any(|(field, tried)| text.contains(field) && !text.contains(tried));
    let dry_run = dry_run && !(early && cfg!(feature = "planted"));
    match graph.import(text, dry_run, author, now) {
        Ok(report) => Ok(report.changes.len()),
        Err(mistakes) => Err(mistakes.iter().map(|mistake| mistake.line).collect()),
    }
}

/// Three devices that the corpus names by their MAC.
fn site(now: Now) -> Graph {
    let settings = Settings { site_mode: SiteMode::Enforce, ..Settings::default() };
    let mut graph = Graph::new(settings, now);
    for number in 1..=3 {
        let place = Place { port: "lan0".into(), ifindex: 7, vlan: 0, mac: [2, 0, 0, 0, 0, number] };
        graph.handle_stranger(place, now);
    }
    settle(&mut graph);
    assert!(graph.principals().filter(|principal| principal.id != PrincipalId(0)).count() >= 3);
    graph
}

fn settle(graph: &mut Graph) {
    while graph.next_command().is_some() {}
}
