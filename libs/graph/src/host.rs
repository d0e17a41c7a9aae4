//! Names of hosts beyond the uplink: what an outside principal stands for, instead of an address.
//!
//! A name is what a device asked its resolver for. Which addresses it means is known for that device alone
//! ([`Graph::handle_resolved`](crate::Graph::handle_resolved)).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name in bytes, and longest label (RFC 1035, section 2.3.4).
const NAME_CAP: usize = 253;
const LABEL_CAP: usize = 63;

/// What stands before a name where an address or a device could be meant too.
pub const PREFIX: &str = "name:";

/// A host name in lower case: letters, digits, hyphens and underscores in labels; or [all names below a
/// domain](Self::below).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// Not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    #[error("a host name has 1 to 253 characters")]
    Length,
    #[error("each part between the dots of a host name has 1 to 63 characters")]
    Label,
    #[error("a host name is made of letters, digits, `-`, `_` and dots")]
    Character,
    #[error("this is an address, not a name")]
    Address,
}

impl HostName {
    /// Reads one name; capitals become small, and a dot at the end is left out.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() || text.len() > NAME_CAP {
            return Err(NotAName::Length);
        }
        for label in text.split('.') {
            if label.is_empty() || label.len() > LABEL_CAP {
                return Err(NotAName::Label);
            }
            if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                return Err(NotAName::Character);
            }
        }
        // No top-level domain is a number (RFC 3696, section 2): who reads it would take it for an address.
        if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(NotAName::Address);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Reads one name, or a domain behind `*.` for all names below it.
    pub fn parse_pattern(text: &str) -> Result<Self, NotAName> {
        match text.strip_prefix("*.") {
            Some(domain) => Self::parse(domain).map(|domain| domain.below()),
            None => Self::parse(text),
        }
    }

    /// As people write it; a pattern begins with `*.`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain of a pattern: every name below it is meant, itself included.
    pub fn domain(&self) -> Option<&str> {
        self.0.strip_prefix("*.")
    }

    /// Whether it stands for all names below a domain.
    pub fn is_pattern(&self) -> bool {
        self.domain().is_some()
    }

    /// All names below this one, and this one.
    #[must_use]
    pub fn below(&self) -> Self {
        Self(format!("*.{}", self.0))
    }

    /// The pattern of the domain that its owner registered, by the public suffix list; none for a name that is a public
    /// suffix itself or whose suffix is not on the list (`lan`, `local`): nobody knows who owns its neighbours.
    pub fn registrable(&self) -> Option<Self> {
        let domain = psl::domain(self.domain().unwrap_or(&self.0).as_bytes())?;
        let known = domain.suffix().is_known();
        let text = std::str::from_utf8(domain.as_bytes()).ok()?;
        known.then(|| Self(format!("*.{text}")))
    }

    /// Whether a name is this one, or below the domain of this pattern.
    pub fn covers(&self, name: &Self) -> bool {
        match self.domain() {
            Some(domain) => name
                .0
                .strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.') && rest != "*."),
            None => self == name,
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for HostName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        Self::parse_pattern(&text)
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        HostName::parse_pattern(text).unwrap()
    }

    #[test]
    fn a_name_cannot_deceive() {
        assert_eq!(HostName::parse("API.Example.com.").unwrap().as_str(), "api.example.com");
        assert_eq!(
            HostName::parse("_mqtt.xn--bcher-kva.example").unwrap().as_str(),
            "_mqtt.xn--bcher-kva.example"
        );
        let long = format!("{}.com", "a.".repeat(130));
        for (text, error) in [
            ("", NotAName::Length),
            (".", NotAName::Length),
            (long.as_str(), NotAName::Length),
            ("a..b", NotAName::Label),
            (".a", NotAName::Label),
            (&"a".repeat(64), NotAName::Label),
            ("a b", NotAName::Character),
            ("a\u{202e}.com", NotAName::Character),
            ("a\0.com", NotAName::Character),
            ("*.com", NotAName::Character),
            ("192.0.2.1", NotAName::Address),
            ("2130706433", NotAName::Address),
        ] {
            assert_eq!(HostName::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_registrable_domain_is_that_of_one_owner() {
        let of = |text: &str| name(text).registrable().map(String::from);
        assert_eq!(of("a.b.example.com").as_deref(), Some("*.example.com"));
        assert_eq!(of("example.co.uk").as_deref(), Some("*.example.co.uk"));
        // Customers of one provider are neighbours, not one owner.
        assert_eq!(of("x.alice.github.io").as_deref(), Some("*.alice.github.io"));
        for text in ["co.uk", "com", "printer", "hub.lan", "tv.local", "github.io"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_what_is_below_it() {
        let pattern = name("*.example.com");
        for (text, expected) in [
            ("a.example.com", true),
            ("b.a.example.com", true),
            ("example.com", true),
            ("anexample.com", false),
            ("example.com.evil.net", false),
            ("com", false),
        ] {
            assert_eq!(pattern.covers(&name(text)), expected, "{text}");
        }
        assert!(name("a.example.com").covers(&name("A.example.com")));
        assert!(!name("a.example.com").covers(&name("b.a.example.com")));
    }
}
