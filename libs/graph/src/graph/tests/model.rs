//! Random decisions and tries against a few lines that say what should pass.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Try(usize),
    Say(usize, bool, Lifetime),
    Remove(usize),
    UndoLast,
    Wait(u64),
    Restart,
    Reboot,
}

/// What someone said, as the reference keeps it.
#[derive(Clone, Copy, Debug)]
struct Said {
    allow: bool,
    /// Seconds on the wall.
    ends: Option<i64>,
    uses: Option<u32>,
    this_boot: bool,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let lifetime = prop_oneof![
        Just(Lifetime::Always),
        Just(Lifetime::Once),
        (1..4_u32).prop_map(Lifetime::Uses),
        (60..200_u32).prop_map(Lifetime::For),
        Just(Lifetime::UntilRestart),
    ];
    let act = prop_oneof![
        6 => (0..5_usize).prop_map(Act::Try),
        5 => (0..5_usize, any::<bool>(), lifetime).prop_map(|(at, allow, lifetime)| Act::Say(at, allow, lifetime)),
        1 => (0..5_usize).prop_map(Act::Remove),
        2 => Just(Act::UndoLast),
        2 => (1..150_u64).prop_map(Act::Wait),
        1 => Just(Act::Restart),
        1 => Just(Act::Reboot),
    ];
    proptest::collection::vec(act, 1..40)
}

/// Three ports and two topics of a device that enforces; the first port and topic are learned.
fn object(at: usize) -> (&'static str, &'static str) {
    [
        ("connect", "tcp/1883"),
        ("connect", "tcp/80"),
        ("connect", "tcp/443"),
        ("publish", "a/b"),
        ("publish", "c"),
    ][at]
}

fn attempt(site: &mut Site, src: PrincipalId, dst: PrincipalId, at: usize) -> bool {
    match at {
        3 | 4 => site.publish(src, dst, object(at).1),
        _ => {
            let port = [1883, 80, 443][at];
            site.attempt(&Try { src, dst: Ok(dst), kind: Kind::Transport, port, object: String::new() })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_passes_is_what_was_said(acts in acts()) {
        let mut site = Site::open();
        let (hub, washer) = (site.named(1, "Hub", "hub"), site.named(2, "Washer", "washer"));
        site.connect(washer, hub);
        site.publish(washer, hub, "a/b");
        site.finish(washer);
        let mut said: [Option<Said>; 5] = [None; 5];
        let mut learned = [true, false, false, true, false];
        // The last decision about each, with what was before.
        let mut last: Option<(DecisionId, usize, Option<Said>, bool)> = None;
        let mut boot = 1;
        for act in acts {
            match act {
                Act::Try(at) => {
                    let message = at >= 3;
                    let stands = |said: &Said| {
                        said.ends.is_none_or(|ends| ends > site.now.unix) && said.uses != Some(0)
                    };
                    let before = said[at];
                    let live = before.filter(stands);
                    let verdict = match (live, before) {
                        (Some(said), _) => said.allow,
                        (None, _) => learned[at],
                    };
                    let transport = match said[0].filter(stands) {
                        Some(said) => Some(said.allow),
                        None => learned[0].then_some(true),
                    };
                    // A message needs the rules of its connection to be in the kernel.
                    let expected = verdict && (!message || transport.is_some());
                    let judged = !message || transport.is_some();
                    if let (true, Some(said)) = (judged, said[at].as_mut().filter(|said| stands(said)))
                        && let Some(uses) = &mut said.uses
                    {
                        *uses -= 1;
                    }
                    prop_assert_eq!(attempt(&mut site, washer, hub, at), expected, "{:?}", object(at));
                    let (verb, text) = object(at);
                    let shown = site.state(washer, verb, text);
                    if !expected {
                        prop_assert!(matches!(shown, "pending" | "denied" | "none" | "allowed" | "learned"));
                    }
                    if !expected && judged && live.is_none() {
                        prop_assert_eq!(shown, "pending");
                    }
                }
                Act::Say(at, allow, lifetime) => {
                    let (verb, text) = object(at);
                    let answer = if allow { Answer::Allow } else { Answer::Deny };
                    let spec = Spec {
                        from: "Washer".into(),
                        to: "Hub".into(),
                        plane: "packet".into(),
                        verb: verb.into(),
                        object: text.into(),
                        terms: Terms::NONE,
                    };
                    let (decision, _) =
                        site.graph.decide_spec(&spec, answer, lifetime, &owner(), site.now).unwrap();
                    site.execute();
                    last = Some((decision, at, said[at], learned[at]));
                    learned[at] = false;
                    said[at] = Some(Said {
                        allow,
                        ends: match lifetime {
                            Lifetime::Once => Some(site.now.unix + 600),
                            Lifetime::For(seconds) => Some(site.now.unix + i64::from(seconds)),
                            _ => None,
                        },
                        uses: lifetime.uses(),
                        this_boot: lifetime == Lifetime::UntilRestart,
                    });
                }
                Act::Remove(at) => {
                    let (verb, text) = object(at);
                    if let Some(id) = site.edge(washer, verb, text).map(|edge| edge.id) {
                        site.graph.remove_edge(id, &owner(), site.now).unwrap();
                        site.execute();
                        said[at] = None;
                        learned[at] = false;
                        last = None;
                    }
                }
                Act::UndoLast => {
                    if let Some((decision, at, before, was_learned)) = last.take()
                        && site.graph.undo(decision, &owner(), site.now).is_ok()
                    {
                        site.execute();
                        said[at] = before;
                        learned[at] = was_learned;
                    }
                }
                Act::Wait(seconds) => site.pass(seconds),
                Act::Restart => site.restart(boot),
                Act::Reboot => {
                    boot += 1;
                    site.restart(boot);
                    for entry in &mut said {
                        *entry = entry.filter(|said| !said.this_boot);
                    }
                    if let Some((_, _, before, _)) = &mut last {
                        *before = before.filter(|said| !said.this_boot);
                    }
                }
            }
            site.graph.handle_timeout(site.now);
            site.execute();
            site.check();
            // Decisions that are over are gone for good: what was learned before them does not come back.
            for entry in &mut said {
                let over = |said: &Said| {
                    said.ends.is_some_and(|ends| ends <= site.now.unix) || said.uses == Some(0)
                };
                *entry = entry.filter(|said| !over(said));
            }
        }
        let (edges, principals) = (site.graph.edges.clone(), site.graph.principals.clone());
        let decisions = site.graph.decisions.clone();
        site.restart(boot);
        prop_assert_eq!(&site.graph.edges, &edges);
        prop_assert_eq!(&site.graph.principals, &principals);
        prop_assert_eq!(&site.graph.decisions, &decisions);
        let head = site.graph.site().ledger;
        prop_assert_eq!(crate::ledger::verify(site.ledger.iter(), Some(head)), Ok(head));
    }
}
