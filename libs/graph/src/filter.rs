//! MQTT topic filters: what one matches, contains and shares with another (MQTT 5, section 4.7).

use firewall_common::abi::OBJECT_CAP;
use serde::{Deserialize, Serialize};

use crate::operation::Fault;

/// One level of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part<'a> {
    Literal(&'a str),
    /// `+`: any one level.
    Plus,
    /// `#`: the parent and everything below it; only at the end.
    Hash,
}

/// A topic or topic filter that keeps to the rules of MQTT and to [`OBJECT_CAP`](firewall_common::abi::OBJECT_CAP).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(String);

/// The level that stands for the client id.
const CLIENT: &str = "%c";

/// Most levels of a filter: each one may cost a state of an automaton.
pub const LEVELS_CAP: usize = 32;

/// Not a topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.fault().why)]
pub enum FilterError {
    Empty,
    TooLong,
    TooDeep,
    /// At this byte.
    Nul(usize),
    /// At this byte.
    Wildcard(usize),
}

impl FilterError {
    /// Where it is, and what.
    pub(crate) const fn fault(self) -> Fault {
        match self {
            Self::Empty => Fault::at(0, "a topic cannot be empty"),
            Self::TooLong => Fault::at(OBJECT_CAP, "a topic may have 256 bytes, not more"),
            Self::TooDeep => Fault::at(0, "a topic may have 32 levels, not more"),
            Self::Nul(at) => Fault::at(at, "a topic cannot contain the character U+0000"),
            Self::Wildcard(at) => {
                Fault::at(at, "`+` and `#` must stand alone between slashes, and `#` at the end")
            }
        }
    }
}

impl TryFrom<String> for Filter {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > OBJECT_CAP {
            return Err(FilterError::TooLong);
        }
        if let Some(at) = text.find('\0') {
            return Err(FilterError::Nul(at));
        }
        if text.split('/').count() > LEVELS_CAP {
            return Err(FilterError::TooDeep);
        }
        let mut levels = text.split('/').peekable();
        let mut before = 0;
        while let Some(level) = levels.next() {
            let alone = level == "+" || (level == "#" && levels.peek().is_none());
            if let Some(at) = level.find(['+', '#']).filter(|_| !alone) {
                return Err(FilterError::Wildcard(before + at));
            }
            before += level.len() + 1;
        }
        Ok(Self(text))
    }
}

impl TryFrom<&str> for Filter {
    type Error = FilterError;

    fn try_from(text: &str) -> Result<Self, FilterError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl Filter {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its levels.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = Part<'_>> + Clone {
        self.0.split('/').map(|level| match level {
            "+" => Part::Plus,
            "#" => Part::Hash,
            literal => Part::Literal(literal),
        })
    }

    /// Whether it has a wildcard: without one it is a topic.
    pub fn is_wild(&self) -> bool {
        self.parts().any(|part| !matches!(part, Part::Literal(_)))
    }

    /// Whether a level is `%c`, which stands for the client id of the connection.
    pub(crate) fn names_client(&self) -> bool {
        self.0.split('/').any(|level| level == CLIENT)
    }

    /// The filter with this client id in the place of `%c`; none if the id cannot be a level.
    pub(crate) fn of_client(&self, id: &str) -> Option<Self> {
        if id.is_empty() || id.starts_with('$') || id.contains(['/', '+', '#', '\0']) || id == CLIENT {
            return None;
        }
        let levels: Vec<&str> =
            self.0.split('/').map(|level| if level == CLIENT { id } else { level }).collect();
        Self::try_from(levels.join("/")).ok()
    }

    /// The filter with any level in the place of `%c`.
    pub(crate) fn of_any_client(&self) -> Self {
        let levels: Vec<&str> =
            self.0.split('/').map(|level| if level == CLIENT { "+" } else { level }).collect();
        Self(levels.join("/"))
    }

    /// The filter behind `$share/group/`, if it is a shared subscription.
    pub fn shared(&self) -> Option<Self> {
        let (_group, filter) = self.0.strip_prefix("$share/")?.split_once('/')?;
        Self::try_from(filter).ok()
    }

    /// What overlaps the shared subscriptions to this filter.
    pub(crate) fn behind_share(&self) -> Self {
        Self(format!("$share/+/{}", self.0))
    }

    /// `#`.
    pub(crate) fn everything() -> Self {
        Self("#".to_owned())
    }

    /// A filter that contains this one and only looks at the first level.
    pub(crate) fn first_level(&self) -> Self {
        match self.parts().next() {
            Some(Part::Literal(level)) => Self(format!("{level}/#")),
            Some(Part::Plus | Part::Hash) | None => Self::everything(),
        }
    }

    /// Whether every topic that `inner` matches is matched by this one too.
    pub fn contains(&self, inner: &Self) -> bool {
        let is_wild = !matches!(self.parts().next(), Some(Part::Literal(_)));
        !(is_wild && reserved(inner.parts().next())) && contains(self.parts(), inner.parts())
    }

    /// Whether some topic is matched by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut left = self.parts();
        let mut right = other.parts();
        let mut root = true;
        loop {
            let pair = (left.next(), right.next());
            if root {
                let wild = |part: Option<Part<'_>>| !matches!(part, Some(Part::Literal(_)));
                if (reserved(pair.0) && wild(pair.1)) || (reserved(pair.1) && wild(pair.0)) {
                    return false;
                }
                root = false;
            }
            match pair {
                (None, None) | (Some(Part::Hash), _) | (_, Some(Part::Hash)) => return true,
                (Some(Part::Plus), Some(_)) | (Some(_), Some(Part::Plus)) => {}
                (Some(left), Some(right)) if left == right => {}
                (Some(Part::Literal(_)), Some(Part::Literal(_))) | (None, Some(_)) | (Some(_), None) => {
                    return false;
                }
            }
        }
    }
}

/// Whether everything that the parts `inner` match is matched by `outer` too, level by level.
pub(crate) fn contains<'a>(
    mut outer: impl Iterator<Item = Part<'a>>,
    mut inner: impl Iterator<Item = Part<'a>>,
) -> bool {
    loop {
        match (outer.next(), inner.next()) {
            (None | Some(Part::Hash), None) | (Some(Part::Hash), Some(_)) => return true,
            (None, Some(_)) | (Some(_), None | Some(Part::Hash)) => return false,
            (Some(Part::Plus), Some(_)) => {}
            (Some(outer @ Part::Literal(_)), Some(inner)) if outer == inner => {}
            (Some(Part::Literal(_)), Some(_)) => return false,
        }
    }
}

/// Whether a first level begins with `$`, which wildcards do not match.
fn reserved(part: Option<Part<'_>>) -> bool {
    matches!(part, Some(Part::Literal(level)) if level.starts_with('$'))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Filters over few words, so that they often meet.
    pub(crate) fn filters() -> impl Strategy<Value = Filter> {
        let word = || prop_oneof![Just("a"), Just("b"), Just(""), Just("+")];
        let root = prop_oneof![4 => word(), 1 => Just("$s")];
        (root, proptest::collection::vec(word(), 0..3), any::<bool>()).prop_map(|(root, levels, hash)| {
            let mut text = root.to_owned();
            for level in levels.iter().copied().chain(hash.then_some("#")) {
                text.push('/');
                text.push_str(level);
            }
            match text.as_str() {
                "" => Filter("a".to_owned()),
                // It means the same as `+/#`, which `contains` does not know.
                "+/#" => Filter("#".to_owned()),
                _ => Filter(text),
            }
        })
    }

    /// Every topic of up to five levels over the words of [`filters`] and one that they do not have. The empty one is
    /// among them, which MQTT forbids: `/#` and `+` meet there.
    pub(crate) fn topics() -> Vec<String> {
        let words = ["a", "b", "", "z"];
        let mut all = Vec::new();
        let mut last: Vec<String> = ["a", "b", "", "z", "$s", "$t"].map(str::to_owned).to_vec();
        for _ in 0..5 {
            let longer = last.iter().flat_map(|topic| words.map(|word| format!("{topic}/{word}"))).collect();
            all.append(&mut last);
            last = longer;
        }
        all
    }

    /// MQTT 5, section 4.7, level by level.
    pub(crate) fn matches(filter: &str, topic: &str) -> bool {
        fn levels(filter: &[&str], topic: &[&str]) -> bool {
            match (filter.first(), topic.first()) {
                (Some(&"#"), _) | (None, None) => true,
                (Some(&"+"), Some(_)) => levels(&filter[1..], &topic[1..]),
                (Some(word), Some(level)) => word == level && levels(&filter[1..], &topic[1..]),
                (None, Some(_)) | (Some(_), None) => false,
            }
        }
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        levels(&filter.split('/').collect::<Vec<_>>(), &topic.split('/').collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn contains_and_overlaps_are_what_topics_say(left in filters(), right in filters()) {
            let topics = topics();
            let of = |filter: &Filter| {
                topics.iter().filter(|topic| matches(filter.as_str(), topic)).collect::<Vec<_>>()
            };
            let (of_left, of_right) = (of(&left), of(&right));
            prop_assert_eq!(left.overlaps(&right), of_left.iter().any(|topic| of_right.contains(topic)));
            prop_assert_eq!(left.contains(&right), of_right.iter().all(|topic| of_left.contains(topic)));
        }
    }

    #[test]
    fn a_filter_keeps_to_the_rules() {
        for right in ["a", "/", "a//b", "+", "#", "+/+/#", "$SYS/#", "a/ b"] {
            assert_eq!(Filter::try_from(right).map(String::from).as_deref(), Ok(right));
        }
        for (wrong, error) in [
            ("", FilterError::Empty),
            ("a/#/b", FilterError::Wildcard(2)),
            ("a#", FilterError::Wildcard(1)),
            ("a/b+", FilterError::Wildcard(3)),
            ("a\0", FilterError::Nul(1)),
        ] {
            assert_eq!(Filter::try_from(wrong), Err(error), "{wrong:?}");
        }
        assert_eq!(Filter::try_from("x".repeat(257)), Err(FilterError::TooLong));
        assert_eq!(Filter::try_from("/".repeat(LEVELS_CAP)), Err(FilterError::TooDeep));
    }

    #[test]
    fn a_shared_subscription_is_for_what_stands_behind_its_group() {
        let shared =
            |text| Filter::try_from(text).ok().and_then(|filter: Filter| filter.shared()).map(String::from);
        assert_eq!(shared("$share/g/lock/#").as_deref(), Some("lock/#"));
        assert_eq!(shared("$share/g"), None);
        assert_eq!(shared("a/share/g/x"), None);
    }
}
