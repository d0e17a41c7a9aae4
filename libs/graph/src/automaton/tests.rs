use super::*;
use crate::filter::Part;
use crate::filter::tests::{filters, matches, topics};
use proptest::prelude::*;

mod requests;

/// Runs an automaton as the kernel does.
fn run(automaton: &Automaton, levels: &[Level]) -> RuleId {
    let mut state = automaton.start;
    for (depth, level) in levels.iter().enumerate() {
        if state == 0 {
            return RuleId(0);
        }
        let step = automaton.steps.iter().find(|step| step.state == state && step.level == *level);
        let reserved = depth == 0 && matches!(level, Level::Literal(text) if text.starts_with('$'));
        state = match step {
            Some(step) => step.next,
            None if reserved => 0,
            None => automaton.states.iter().find(|entry| entry.state == state).map_or(0, |entry| entry.other),
        };
    }
    automaton.states.iter().find(|entry| entry.state == state).map_or(RuleId(0), |entry| entry.accept)
}

fn levels(topic: &str) -> Vec<Level> {
    topic.split('/').map(|level| Level::Literal(level.to_owned())).collect()
}

fn requested(filter: &Filter) -> Vec<Level> {
    filter
        .parts()
        .map(|part| match part {
            Part::Literal(level) => Level::Literal(level.to_owned()),
            Part::Plus => Level::Plus,
            Part::Hash => Level::Hash,
        })
        .collect()
}

fn rules(parts: Vec<(Filter, RuleState)>) -> Vec<TopicRule> {
    parts
        .into_iter()
        .zip(20..)
        .map(|((filter, state), id)| TopicRule { pattern: Pattern::Filter(filter), rule: RuleId(id), state })
        .collect()
}

fn some_rules() -> impl Strategy<Value = Vec<TopicRule>> {
    let state = prop_oneof![
        Just(RuleState::Learned),
        Just(RuleState::Allowed),
        Just(RuleState::Denied),
        Just(RuleState::Guarded)
    ];
    proptest::collection::vec((filters(), state), 0..6).prop_map(rules)
}

fn text(rule: &TopicRule) -> &str {
    match &rule.pattern {
        Pattern::Filter(filter) | Pattern::Sets(filter) => filter.as_str(),
        _ => unreachable!("the tests have filters only"),
    }
}

/// The set of topics of a rule is a proper part of that of another.
fn inside(inner: &TopicRule, outer: &TopicRule, topics: &[String]) -> bool {
    let subset = |a: &str, b: &str| topics.iter().all(|topic| !matches(a, topic) || matches(b, topic));
    subset(text(inner), text(outer)) && !subset(text(outer), text(inner))
}

/// The sentences of the design, for one topic.
fn verdict(rules: &[TopicRule], topic: &str, topics: &[String]) -> Option<RuleState> {
    let mut hits: Vec<&TopicRule> = rules.iter().filter(|rule| matches(text(rule), topic)).collect();
    let guarded = hits.iter().any(|rule| rule.state == RuleState::Guarded);
    hits.retain(|rule| rule.state != RuleState::Guarded && !(guarded && rule.state == RuleState::Learned));
    let best: Vec<RuleState> = hits
        .iter()
        .filter(|rule| !hits.iter().any(|other| inside(other, rule, topics)))
        .map(|rule| rule.state)
        .collect();
    [RuleState::Denied, RuleState::Allowed, RuleState::Learned]
        .into_iter()
        .find(|state| best.contains(state))
        .or(guarded.then_some(RuleState::Guarded))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn publish_says_what_a_naive_matcher_says(rules in some_rules(), first in 1..1_000_u32) {
        let all = Topics { publish: rules.clone(), ..Topics::default() };
        let automaton = all.compile(first).unwrap().publish;
        let topics: Vec<String> = topics().into_iter().filter(|topic| topic.split('/').count() <= 4).collect();
        for topic in topics.iter().filter(|topic| topic.split('/').count() <= 3) {
            let winner = run(&automaton, &levels(topic));
            let state = rules.iter().find(|rule| rule.rule == winner).map(|rule| rule.state);
            prop_assert_eq!(state, verdict(&rules, topic, &topics), "{} in {:?}", topic, rules);
            if let Some(rule) = rules.iter().find(|rule| rule.rule == winner) {
                prop_assert!(matches(text(rule), topic));
            }
        }
    }

    #[test]
    fn subscribe_needs_a_rule_that_covers_and_none_that_clashes(rules in some_rules(), request in filters()) {
        let all = Topics { subscribe: rules.clone(), ..Topics::default() };
        let automaton = all.compile(1).unwrap().subscribe;
        let topics = topics();
        let asked: Vec<&String> = topics.iter().filter(|topic| matches(request.as_str(), topic)).collect();
        let shares = |rule: &TopicRule, state| {
            rule.state == state && asked.iter().any(|topic| matches(text(rule), topic))
        };
        let covers = |rule: &TopicRule, state| {
            rule.state == state && asked.iter().all(|topic| matches(text(rule), topic))
        };
        let winner = run(&automaton, &requested(&request));
        let rule = rules.iter().find(|rule| rule.rule == winner);
        let holds = |test: &dyn Fn(&TopicRule) -> bool| {
            rules.iter().any(test).then(|| rule.is_some_and(test))
        };
        // Among those that allow, the more specific one decides, whoever said it; a guard leaves only persons' words.
        let guarded = rules.iter().any(|rule| shares(rule, RuleState::Guarded));
        let passes =
            |rule: &TopicRule| covers(rule, RuleState::Allowed) || (!guarded && covers(rule, RuleState::Learned));
        let expected = holds(&|rule| shares(rule, RuleState::Denied))
            .or_else(|| holds(&passes))
            .or_else(|| holds(&|rule| shares(rule, RuleState::Guarded)));
        prop_assert_eq!(expected.unwrap_or(rule.is_none()), true, "{:?}", rule);
    }
}

fn filter(text: &str) -> Filter {
    Filter::try_from(text).unwrap()
}

#[test]
fn a_shared_subscription_cannot_pass_a_denied_filter() {
    let rules =
        rules(vec![(filter("lock/#"), RuleState::Denied), (filter("$share/g/#"), RuleState::Allowed)]);
    let automaton = Topics { subscribe: rules, ..Topics::default() }.compile(1).unwrap().subscribe;
    for (request, winner) in [
        ("$share/g/lock/front", 20),
        ("$share/other/lock/#", 20),
        ("$share/g/#", 20),
        ("$share/g/light/set", 21),
        ("$share/h/light/set", 0),
        // What the group gets is delivered under its own topic.
        ("light/set", 21),
        ("lock/front", 20),
    ] {
        assert_eq!(run(&automaton, &requested(&filter(request))), RuleId(winner), "{request}");
    }
}

#[test]
fn a_client_id_of_the_model_stands_for_itself() {
    let client =
        |id: &str, state| TopicRule { pattern: Pattern::Client(id.to_owned()), rule: RuleId(9), state };
    let connect = vec![
        client("washer", RuleState::Learned),
        client("lock", RuleState::Denied),
        client("+", RuleState::Allowed),
        client("a/b", RuleState::Allowed),
        TopicRule { pattern: Pattern::AnyClient, rule: RuleId(8), state: RuleState::Allowed },
    ];
    let publish = rules(vec![
        (filter("dev/%c/state"), RuleState::Allowed),
        (filter("dev/%c/secret"), RuleState::Denied),
    ]);
    let subscribe = rules(vec![(filter("dev/%c/#"), RuleState::Allowed)]);
    let mut topics = Topics { connect, publish, subscribe, ..Topics::default() };
    topics.fill_client_ids();
    let compiled = topics.compile(1).unwrap();
    for (topic, winner) in [
        ("dev/washer/state", 20),
        ("dev/lock/state", 0),
        ("dev/%c/state", 0),
        ("dev/b/state", 0),
        ("dev/b/secret", 21),
    ] {
        assert_eq!(run(&compiled.publish, &levels(topic)), RuleId(winner), "{topic}");
    }
    for (request, winner) in [("dev/washer/set", 20), ("dev/+/set", 0), ("dev/lock/#", 0)] {
        assert_eq!(run(&compiled.subscribe, &requested(&filter(request))), RuleId(winner), "{request}");
    }
}

#[test]
fn a_guard_stops_what_was_learned_but_not_what_a_person_allowed() {
    let guarded = |state| {
        let rules = rules(vec![(filter("lock/+/set"), state), (filter("lock/front/#"), RuleState::Guarded)]);
        let automaton = Topics { publish: rules, ..Topics::default() }.compile(1).unwrap().publish;
        (run(&automaton, &levels("lock/front/set")), run(&automaton, &levels("lock/back/set")))
    };
    assert_eq!(guarded(RuleState::Learned), (RuleId(21), RuleId(20)));
    assert_eq!(guarded(RuleState::Allowed), (RuleId(20), RuleId(20)));
}

#[test]
fn client_ids_are_one_level() {
    let client = |pattern, id, state| TopicRule { pattern, rule: RuleId(id), state };
    let connect = vec![
        client(Pattern::AnyClient, 20, RuleState::Learned),
        client(Pattern::Client("lock/1".into()), 1, RuleState::Guarded),
        client(Pattern::Client("+".into()), 22, RuleState::Denied),
    ];
    let topics = Topics { connect, ..Topics::default() };
    let automaton = topics.compile(7).unwrap().connect;
    let id = |id: &str| run(&automaton, &[Level::Literal(id.to_owned())]);
    assert_eq!((id("x"), id("lock/1"), id("+")), (RuleId(20), RuleId(1), RuleId(22)));
    for text in ["x", "lock/1", "\\+", "$x", ""] {
        let (_, operation) = Operation::parse("packet", "connect", &format!("client:{text}"), 1883).unwrap();
        let said = topics.decisive(&operation).map_or(RuleId(0), |rule| rule.rule);
        assert_eq!(id(text.trim_start_matches('\\')), said, "{text}");
    }
    assert!(automaton.states.iter().all(|state| state.state >= 7));
}

#[test]
fn three_automata_share_no_state() {
    let some = rules(vec![(filter("a/+/#"), RuleState::Learned), (filter("a/b"), RuleState::Denied)]);
    let topics = Topics { publish: some.clone(), subscribe: some, ..Topics::default() };
    let compiled = topics.compile(100).unwrap();
    let mut numbers: Vec<u32> =
        compiled.publish.states.iter().chain(&compiled.subscribe.states).map(|state| state.state).collect();
    let count = numbers.len();
    numbers.dedup();
    assert_eq!((numbers.len(), numbers.first()), (count, Some(&100)));
    assert_eq!(compiled.connect.start, 0);
}

#[test]
fn rules_that_multiply_are_refused() {
    let hostile: Vec<(Filter, RuleState)> = (0..14)
        .map(|at| {
            let mut levels = vec!["+"; 15];
            levels[at] = "x";
            (filter(&levels.join("/")), RuleState::Learned)
        })
        .collect();
    let topics = Topics { publish: rules(hostile), ..Topics::default() };
    assert_eq!(topics.compile(1), Err(TooComplex));
}

/// A guard over what sets something, beside learned rules, against the words themselves.
#[test]
fn guards_over_set_words_stop_those_topics_only() {
    use crate::learning::SET_WORDS;
    let guard = |filter: &str| TopicRule {
        pattern: Pattern::Sets(Filter::try_from(filter).unwrap()),
        rule: RuleId(1),
        state: RuleState::Guarded,
    };
    let learned = rules(vec![(filter("a/#"), RuleState::Learned), (filter("set/+/set"), RuleState::Learned)]);
    for guarded in ["#", "a/#", "a/+", "+/b/#", "set/#"] {
        let publish = [learned.clone(), vec![guard(guarded)]].concat();
        let topics = Topics { publish, ..Topics::default() };
        let automaton = topics.compile(1).unwrap().publish;
        for topic in [
            "set",
            "a",
            "a/set",
            "a/b/set",
            "a/b/cmnd",
            "a/b/c/set",
            "set/x/set",
            "set/set",
            "a/set/b",
            "$a/set",
        ] {
            let last = topic.rsplit('/').next().unwrap_or_default();
            // Below a `#` there is at least one level more than above it.
            let deep = topic.split('/').count() >= guarded.split('/').count();
            let hit = matches(guarded, topic) && deep && SET_WORDS.contains(&last);
            let known =
                learned.iter().find(|rule| matches(text(rule), topic)).map_or(RuleId(0), |rule| rule.rule);
            let expected = if hit { RuleId(1) } else { known };
            assert_eq!(run(&automaton, &levels(topic)), expected, "{topic} guarded by {guarded}");
            let (_, operation) = Operation::parse("packet", "publish", topic, 1883).unwrap();
            let decisive = topics.decisive(&operation).map_or(RuleId(0), |rule| rule.rule);
            assert_eq!(decisive, expected, "{topic} guarded by {guarded}");
        }
    }
}

proptest! {
    #[test]
    fn what_the_graph_says_is_what_the_automata_say(rules in some_rules(), asked in filters()) {
        let topics = Topics { publish: rules.clone(), subscribe: rules, ..Topics::default() };
        let compiled = topics.compile(1).unwrap();
        let (plane, subscribe) = Operation::parse("packet", "subscribe", asked.as_str(), 1883).unwrap();
        let said = topics.decisive(&subscribe).map_or(RuleId(0), |rule| rule.rule);
        prop_assert_eq!(run(&compiled.subscribe, &requested(&asked)), said);
        if !asked.is_wild() {
            let publish = Operation { verb: Verb::Publish, ..subscribe };
            let said = topics.decisive(&publish).map_or(RuleId(0), |rule| rule.rule);
            prop_assert_eq!(run(&compiled.publish, &levels(asked.as_str())), said);
        }
        prop_assert_eq!(plane.as_str(), "packet");
        let states = compiled.publish.states.len() + compiled.subscribe.states.len();
        let levels: usize = topics.publish.iter().map(|rule| text(rule).split('/').count()).sum();
        let plus = topics.publish.iter().any(|rule| text(rule).split('/').any(|level| level == "+"));
        prop_assert!(topics.fit() && (plus || states <= 4 * (2 * levels + 2)));
    }
}
