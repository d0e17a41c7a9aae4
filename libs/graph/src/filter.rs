//! MQTT topic filters: what one matches, contains and shares with another (MQTT 5, section 4.7).

use serde::{Deserialize, Serialize};

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

/// Not a topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("a topic cannot be empty")]
    Empty,
    #[error("a topic may have 256 bytes, not more")]
    TooLong,
    #[error("a topic cannot contain the character U+0000")]
    Nul,
    #[error("`+` and `#` must stand alone between slashes, and `#` at the end")]
    Wildcard,
}

impl TryFrom<String> for Filter {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > firewall_common::abi::OBJECT_CAP {
            return Err(FilterError::TooLong);
        }
        if text.contains('\0') {
            return Err(FilterError::Nul);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let alone = level == "+" || (level == "#" && levels.peek().is_none());
            if !alone && level.contains(['+', '#']) {
                return Err(FilterError::Wildcard);
            }
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
        self.parts().any(|part| part != Part::Literal("") && !matches!(part, Part::Literal(_)))
    }

    /// The filter behind `$share/group/`, if it is a shared subscription.
    pub fn shared(&self) -> Option<Self> {
        let (_group, filter) = self.0.strip_prefix("$share/")?.split_once('/')?;
        Self::try_from(filter).ok()
    }

    /// Whether every topic that `inner` matches is matched by this one too.
    pub fn contains(&self, inner: &Self) -> bool {
        let mut outer = self.parts();
        let mut inner = inner.parts();
        let mut root = true;
        loop {
            let pair = (outer.next(), inner.next());
            if root && reserved(pair.1) && !matches!(pair.0, Some(Part::Literal(_))) {
                return false;
            }
            root = false;
            match pair {
                (None | Some(Part::Hash), None) | (Some(Part::Hash), Some(_)) => return true,
                (None, Some(_)) | (Some(_), None | Some(Part::Hash)) => return false,
                (Some(Part::Plus), Some(_)) => {}
                (Some(outer @ Part::Literal(_)), Some(inner)) if outer == inner => {}
                (Some(Part::Literal(_)), Some(_)) => return false,
            }
        }
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
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(Part::Plus), Some(_)) | (Some(_), Some(Part::Plus)) => {}
                (Some(left), Some(right)) if left == right => {}
                (Some(Part::Literal(_)), Some(Part::Literal(_))) => return false,
            }
        }
    }
}

/// Whether a first level begins with `$`, which wildcards do not match.
fn reserved(part: Option<Part<'_>>) -> bool {
    matches!(part, Some(Part::Literal(level)) if level.starts_with('$'))
}
