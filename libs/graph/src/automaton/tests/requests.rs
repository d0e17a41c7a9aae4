//! Requests of HTTP, CoAP and Modbus, server names and user names, against matchers without automata.

use super::*;
use crate::operation::route::tests::{matches, requests, routes};

/// Where levels lead; `$` means nothing.
fn walk(automaton: &Automaton, from: u32, levels: &[&str]) -> u32 {
    levels.iter().fold(from, |state, level| {
        let level = Level::Literal((*level).to_owned());
        let step = automaton.steps.iter().find(|step| step.state == state && step.level == level);
        let other = automaton.states.iter().find(|entry| entry.state == state).map_or(0, |entry| entry.other);
        step.map_or(other, |step| step.next)
    })
}

fn accept(automaton: &Automaton, state: u32) -> RuleId {
    automaton.states.iter().find(|entry| entry.state == state).map_or(RuleId(0), |entry| entry.accept)
}

fn states() -> impl Strategy<Value = RuleState> {
    prop_oneof![
        2 => Just(RuleState::Learned),
        1 => Just(RuleState::Allowed),
        1 => Just(RuleState::Denied),
        1 => Just(RuleState::Guarded)
    ]
}

/// The sentences of the design for the rules that match something, given which of two is about less.
fn verdict(hits: &[(usize, RuleState)], is_less: impl Fn(usize, usize) -> bool) -> Option<RuleState> {
    let guarded = hits.iter().any(|(_, state)| *state == RuleState::Guarded);
    let counts = |state: RuleState| state != RuleState::Guarded && !(guarded && state == RuleState::Learned);
    let hits: Vec<_> = hits.iter().filter(|(_, state)| counts(*state)).collect();
    let best: Vec<RuleState> = hits
        .iter()
        .filter(|(rule, _)| !hits.iter().any(|(other, _)| is_less(*other, *rule)))
        .map(|(_, state)| *state)
        .collect();
    [RuleState::Denied, RuleState::Allowed, RuleState::Learned]
        .into_iter()
        .find(|state| best.contains(state))
        .or(guarded.then_some(RuleState::Guarded))
}

fn some_requests() -> impl Strategy<Value = Vec<(Verb, Route, RuleState)>> {
    let verb = prop_oneof![3 => Just(Verb::Get), 1 => Just(Verb::Set)];
    proptest::collection::vec((verb, routes(), states()), 0..6)
}

fn topics_of(rules: &[(Verb, Route, RuleState)]) -> Topics {
    let mut topics = Topics::default();
    for ((verb, route, state), id) in rules.iter().zip(20..) {
        let operation = Operation { verb: *verb, object: Object::Http { port: 80, route: route.clone() } };
        topics.add(&operation, RuleId(id), *state, false);
    }
    topics
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_request_gets_what_a_naive_matcher_says(rules in some_requests(), first in 1..1_000_u32) {
        let topics = topics_of(&rules);
        let automaton = topics.compile(first).unwrap().publish;
        let all = requests();
        let about: Vec<Vec<bool>> = rules
            .iter()
            .map(|(_, route, _)| all.iter().map(|request| matches(route, request)).collect())
            .collect();
        let subset = |a: usize, b: usize| about[a].iter().zip(&about[b]).all(|(a, b)| !a || *b);
        let is_less = |inner: usize, outer: usize| subset(inner, outer) && !subset(outer, inner);
        for (at, request) in all.iter().enumerate() {
            for verb in [Verb::Get, Verb::Set] {
                let hits: Vec<(usize, RuleState)> = rules
                    .iter()
                    .enumerate()
                    .filter(|(rule, (known, ..))| *known == verb && about[*rule][at])
                    .map(|(rule, (_, _, state))| (rule, *state))
                    .collect();
                let state = walk(&automaton, walk(&automaton, automaton.start, &[verb.as_str()]), request);
                let winner = accept(&automaton, state);
                let found = topics.requests.iter().find(|rule| rule.rule == winner);
                prop_assert_eq!(found.map(|rule| rule.state), verdict(&hits, is_less), "{:?}", request);
                let is_about = |rule: &TopicRule| matches!(&rule.pattern, Pattern::Request { verb: known, route }
                    if *known == verb && matches(route, request));
                prop_assert!(found.is_none_or(is_about), "{:?}", found);
            }
        }
    }

    #[test]
    fn what_the_graph_says_about_a_request_is_what_the_automata_say(rules in some_requests(), asked in routes()) {
        let topics = topics_of(&rules);
        let automaton = topics.compile(1).unwrap().publish;
        let levels: Option<Vec<&str>> =
            asked.parts().map(|part| if let Part::Literal(text) = part { Some(text) } else { None }).collect();
        if let Some(levels) = levels {
            let object = Object::Coap { port: 80, route: asked.clone() };
            let said = topics.decisive(&Operation { verb: Verb::Get, object }).map_or(RuleId(0), |rule| rule.rule);
            let state = walk(&automaton, walk(&automaton, automaton.start, &["get"]), &levels);
            prop_assert_eq!(accept(&automaton, state), said);
        }
        prop_assert!(topics.fit());
    }
}

/// Where ranges begin and end: on both sides of every digit.
const MARKS: [u16; 16] = [0, 1, 9, 14, 15, 16, 17, 31, 32, 255, 256, 257, 4_095, 4_096, 65_534, 65_535];

#[derive(Clone, Debug)]
struct Register {
    verb: Verb,
    text: String,
    state: RuleState,
    is_brief: bool,
}

fn some_registers() -> impl Strategy<Value = Vec<Register>> {
    let mark = || proptest::sample::select(&MARKS[..]);
    let range = prop_oneof![
        1 => Just("#".to_owned()),
        6 => (mark(), mark()).prop_map(|(one, two)| format!("{}-{}", one.min(two), one.max(two))),
    ];
    let rule = (
        prop_oneof![4 => Just(Verb::Read), 1 => Just(Verb::Write)],
        proptest::sample::select(&["1", "1", "2", "+"][..]),
        proptest::sample::select(&["holding", "holding", "coils"][..]),
        range,
        states(),
        proptest::bool::weighted(0.2),
    );
    let rule = rule.prop_map(|(verb, unit, area, range, state, is_brief)| Register {
        verb,
        text: format!("{unit}/{area}/{range}"),
        state,
        is_brief,
    });
    proptest::collection::vec(rule, 0..7)
}

fn read(verb: Verb, text: &str) -> Operation {
    let object = Object::Registers { port: 502, registers: Registers::parse(text).unwrap() };
    Operation { verb, object }
}

/// Where an address leads.
fn end(automaton: &Automaton, unit: &str, area: &str, address: u16) -> u32 {
    let digits = format!("{address:04x}");
    let digits: Vec<&str> = (0..4).map(|at| &digits[at..=at]).collect();
    walk(automaton, automaton.start, &[&["read", unit, area], &digits[..]].concat())
}

/// The rule that the kernel finds; none if the ends of the range lead apart.
fn judge(automaton: &Automaton, first: u32, last: u32) -> Option<RuleId> {
    (first == last).then(|| accept(automaton, first))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn addresses_pass_together_if_each_of_them_passes(rules in some_registers()) {
        let mut topics = Topics::default();
        for (rule, id) in rules.iter().zip(20..) {
            topics.add(&read(rule.verb, &rule.text), RuleId(id), rule.state, rule.is_brief);
        }
        let automaton = topics.compile(1).unwrap().publish;
        prop_assert!(topics.fit());
        let about: Vec<Registers> = rules.iter().map(|rule| Registers::parse(&rule.text).unwrap()).collect();
        let is_less = |inner: usize, outer: usize| {
            about[outer].contains(&about[inner]) && !about[inner].contains(&about[outer])
        };
        let passes = |state| matches!(state, Some(RuleState::Learned | RuleState::Allowed));
        for (unit, area) in [("1", "holding"), ("2", "holding"), ("1", "coils"), ("7", "input")] {
            // One address stands for all between two marks.
            let at = |address: u16| {
                let one = Registers::parse(&format!("{unit}/{area}/{address}")).unwrap();
                let hits: Vec<(usize, RuleState)> = rules
                    .iter()
                    .enumerate()
                    .filter(|(at, rule)| rule.verb == Verb::Read && about[*at].contains(&one))
                    .map(|(at, rule)| (at, rule.state))
                    .collect();
                (verdict(&hits, is_less), hits.iter().any(|(at, _)| rules[*at].is_brief))
            };
            let mut addresses: Vec<u16> = MARKS.iter().flat_map(|mark| [*mark, mark.saturating_add(1)]).collect();
            addresses.dedup();
            let states: Vec<_> = addresses.iter().map(|address| at(*address)).collect();
            let ends: Vec<u32> =
                addresses.iter().map(|address| end(&automaton, unit, area, *address)).collect();
            for first in 0..addresses.len() {
                for last in first..addresses.len() {
                    let asked = &states[first..=last];
                    let each = asked.iter().all(|(state, _)| passes(*state));
                    let found = judge(&automaton, ends[first], ends[last]);
                    let state = found.and_then(|found| {
                        topics.requests.iter().find(|rule| rule.rule == found).map(|rule| rule.state)
                    });
                    let text = format!("{unit}/{area}/{}-{}", addresses[first], addresses[last]);
                    prop_assert!(!passes(state) || each, "{} passes", text);
                    let lasting = asked.iter().all(|(_, is_brief)| !is_brief);
                    prop_assert!(!lasting || passes(state) == each, "{} does not pass", text);
                    if first == last && !passes(state) {
                        prop_assert_eq!(state, asked[0].0, "{}", text);
                    }
                    let said = topics.decisive(&read(Verb::Read, &text)).map(|rule| (rule.rule, rule.state));
                    match found.filter(|found| *found != RuleId(0)) {
                        Some(found) => prop_assert_eq!(said.map(|(rule, _)| rule), Some(found), "{}", text),
                        None => prop_assert!(said.is_none_or(|(_, state)| state == RuleState::Denied), "{}", text),
                    }
                }
            }
        }
    }
}

#[test]
fn a_hole_in_a_range_is_not_read_across() {
    let mut topics = Topics::default();
    topics.add(&read(Verb::Read, "1/holding/0-99"), RuleId(20), RuleState::Allowed, false);
    topics.add(&read(Verb::Read, "1/holding/40-49"), RuleId(21), RuleState::Denied, false);
    let automaton = topics.compile(1).unwrap().publish;
    let end = |address| end(&automaton, "1", "holding", address);
    let judge = |first, last| judge(&automaton, end(first), end(last)).map(|rule| rule.0);
    assert_eq!((judge(0, 39), judge(50, 99), judge(42, 45)), (Some(20), Some(20), Some(21)));
    assert_eq!((judge(0, 50), judge(39, 40), judge(0, 100)), (None, None, None));
    assert_eq!(judge(100, 200), Some(0));
    let denied = topics.decisive(&read(Verb::Read, "1/holding/0-99")).map(|rule| rule.rule);
    assert_eq!(denied, Some(RuleId(21)), "the graph tells why");
}

#[test]
fn a_user_name_is_no_client_id() {
    let connect = |text: &str| Operation::parse("packet", "connect", text, 1883).unwrap().1;
    let mut topics = Topics::default();
    for (text, id) in [("client:+", 20), ("client:hub", 21), ("user:hub", 22)] {
        topics.add(&connect(text), RuleId(id), RuleState::Learned, false);
    }
    let automaton = topics.compile(1).unwrap().connect;
    let user = |name: &str| run(&automaton, &[Level::User, Level::Literal(name.to_owned())]);
    let client = |id: &str| run(&automaton, &[Level::Literal(id.to_owned())]);
    assert_eq!((client("x"), client("hub"), client("$x")), (RuleId(20), RuleId(21), RuleId(0)));
    assert_eq!((user("hub"), user("x"), user("")), (RuleId(22), RuleId(0), RuleId(0)));
    assert_eq!(topics.decisive(&connect("user:x")), None);
    topics.add(&connect("user:+"), RuleId(23), RuleState::Allowed, false);
    let automaton = topics.compile(1).unwrap().connect;
    assert_eq!(run(&automaton, &[Level::User, Level::Literal("$x".to_owned())]), RuleId(23));
    // Without any rule about users, none is taken for a client.
    topics.connect.retain(|rule| rule.pattern == Pattern::AnyClient);
    let automaton = topics.compile(1).unwrap().connect;
    assert_eq!(run(&automaton, &[Level::User, Level::Literal("x".to_owned())]), RuleId(0));
}

#[test]
fn server_names_are_one_level_without_a_reserved_letter() {
    let connect = |text: &str| Operation::parse("packet", "connect", text, 1883).unwrap().1;
    let mut topics = Topics::default();
    topics.add(&connect("tls:+"), RuleId(20), RuleState::Learned, false);
    topics.add(&connect("tls:bad.example"), RuleId(21), RuleState::Denied, false);
    topics.add(&connect("tls:"), RuleId(22), RuleState::Denied, false);
    let automaton = topics.compile(1).unwrap().connect;
    for (name, rule) in [("cloud.example", 20), ("$x", 20), ("bad.example", 21), ("", 22)] {
        assert_eq!(accept(&automaton, walk(&automaton, automaton.start, &[name])), RuleId(rule), "{name}");
        let said = topics.decisive(&connect(&format!("tls:{name}"))).map(|rule| rule.rule);
        assert_eq!(said, Some(RuleId(rule)), "{name}");
    }
}

#[test]
fn requests_that_multiply_are_refused() {
    let mut topics = Topics::default();
    for at in 0..12 {
        let mut levels = ["+"; 13];
        levels[at] = "x";
        let route = Route::parse(&format!("/{}", levels.join("/"))).unwrap();
        let operation = Operation { verb: Verb::Get, object: Object::Http { port: 80, route } };
        topics.add(&operation, RuleId(20 + at as u32), RuleState::Learned, false);
    }
    assert_eq!(topics.compile(1), Err(TooComplex));
    assert!(!topics.fit());
}
