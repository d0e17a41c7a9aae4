//! Topic filters: what contains and what overlaps, against topics that match.

use graph::filter::{Filter, LEVELS_CAP};

/// Two filters and a word, in lines.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.splitn(3, '\n');
    let [left, right, word] = [lines.next(), lines.next(), lines.next()].map(Option::unwrap_or_default);
    let (Some(left), Some(right)) = (read(left), read(right)) else { return };

    assert_eq!(left.overlaps(&right), right.overlaps(&left), "{left:?} {right:?}");
    for (outer, inner) in [(&left, &right), (&right, &left)] {
        assert!(contains(outer, outer) && outer.overlaps(outer), "{outer:?}");
        let contained = contains(outer, inner);
        for topic in topics(inner, word) {
            assert!(matches(inner.as_str(), &topic), "{inner:?} {topic}");
            let both = matches(outer.as_str(), &topic);
            assert!(!contained || both, "{outer:?} contains {inner:?}, but not {topic}");
            assert!(!both || outer.overlaps(inner), "{outer:?} and {inner:?} share {topic}");
        }
        assert!(!contained || outer.overlaps(inner), "{outer:?} contains {inner:?} without sharing a topic");
    }
}

fn read(text: &str) -> Option<Filter> {
    let filter = Filter::try_from(text).ok()?;
    assert_eq!(filter.as_str(), text);
    assert!(text.len() <= 256 && filter.parts().count() <= LEVELS_CAP, "a filter keeps to its caps");
    Some(filter)
}

fn contains(outer: &Filter, inner: &Filter) -> bool {
    // Forgets that wildcards at the root match no `$`.
    if cfg!(feature = "planted")
        && outer.as_str().starts_with("+/")
        && let Some(Ok(plain)) = inner.as_str().strip_prefix('$').map(Filter::try_from)
    {
        return outer.contains(&plain);
    }
    outer.contains(inner)
}

/// Topics that the filter matches: each wildcard is a level with this word, or an empty one, or two levels.
fn topics(filter: &Filter, word: &str) -> Vec<String> {
    let word: String = word.chars().filter(|letter| !"+#/\0".contains(*letter)).take(8).collect();
    // A wildcard at the root stands for no `$`.
    let word = word.trim_start_matches('$');
    let fill = |plus: &str, hash: Option<&str>| {
        let levels = filter.as_str().split('/').filter_map(|level| match level {
            "+" => Some(plus),
            "#" => hash,
            literal => Some(literal),
        });
        levels.collect::<Vec<_>>().join("/")
    };
    let root = filter.as_str() == "#";
    let mut topics = vec![fill(word, Some(word)), fill("", Some("x/y"))];
    if !root {
        topics.push(fill(word, None));
    }
    topics
}

/// MQTT 5, section 4.7.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic = topic.split('/');
    for level in filter.split('/') {
        match (level, topic.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(other)) if level == other => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}
