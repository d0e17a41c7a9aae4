//! Where a request of HTTP or CoAP goes: host and path, both with wildcards.

use firewall_common::abi::OBJECT_CAP;
use firewall_common::wire::object::REQUEST_LEVELS;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::filter::{Part, contains};

/// Most levels of a path: verb and host are levels too.
const PATH_LEVELS: usize = REQUEST_LEVELS - 2;

/// A host, or any, and a path: `/api/+/state`, `//hub.local/api/#`.
///
/// `+` is one level and `#`, at the end, everything below, as in MQTT filters; behind a backslash they stand for
/// themselves. `//+` before the path is any host too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Route {
    /// In lower case, without port.
    host: Option<String>,
    /// Begins with a slash.
    path: String,
}

impl Route {
    /// Reads what someone wrote.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (host, path, before) = match text.strip_prefix("//") {
            Some(rest) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (checked_host(host)?, path, 2 + host.len())
            }
            None => (None, text, 0),
        };
        if !path.starts_with('/') {
            return Err(Fault::at(before, "a path begins with a slash"));
        }
        if text.len() > OBJECT_CAP {
            return Err(Fault::at(OBJECT_CAP, "a host and its path may have 256 bytes, not more"));
        }
        check_path(path).map_err(|fault| fault.behind(before))?;
        Ok(Self { host, path: path.to_owned() })
    }

    /// Reads what the kernel saw: the path, and behind a space the host. Who names no host asks the destination itself;
    /// that is told by the edge already, so it is written as any host.
    pub(super) fn from_wire(text: &str) -> Result<Self, Fault> {
        let (path, host) = text.split_once(' ').unwrap_or((text, ""));
        let levels = path.strip_prefix('/').ok_or(Fault::at(0, "a path begins with a slash"))?.split('/');
        let escaped: Vec<String> = levels
            .map(|level| match level {
                "+" | "#" => format!("\\{level}"),
                level if level.starts_with('\\') => format!("\\{level}"),
                level => level.to_owned(),
            })
            .collect();
        let host = if host.is_empty() { None } else { checked_host(host)? };
        let path = format!("/{}", escaped.join("/"));
        check_path(&path)?;
        Ok(Self { host, path })
    }

    /// As someone writes it.
    pub fn text(&self) -> String {
        match &self.host {
            Some(host) => format!("//{host}{}", self.path),
            None => self.path.clone(),
        }
    }

    /// The host and then the levels of the path: `/` has none, `/a/` has `a` and an empty one.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = Part<'_>> + Clone {
        let host = self.host.as_deref().map_or(Part::Plus, Part::Literal);
        let path = self.path.strip_prefix('/').filter(|path| !path.is_empty());
        std::iter::once(host).chain(path.into_iter().flat_map(|path| path.split('/')).map(part))
    }

    /// Whether every request that `inner` matches is matched by this one too.
    pub fn contains(&self, inner: &Self) -> bool {
        contains(self.parts(), inner.parts())
    }

    /// The route with `+` in place of this level of the path, if a text stands there for which `varies` holds.
    pub(crate) fn with_plus(&self, at: usize, varies: impl Fn(&str) -> bool) -> Option<Self> {
        let mut levels: Vec<&str> = self.path.strip_prefix('/')?.split('/').collect();
        let level = levels.get_mut(at)?;
        let Part::Literal(text) = part(level) else { return None };
        if !varies(text) {
            return None;
        }
        *level = "+";
        Some(Self { host: self.host.clone(), path: format!("/{}", levels.join("/")) })
    }

    /// Levels of the path.
    pub(crate) fn levels(&self) -> usize {
        self.parts().count() - 1
    }
}

impl TryFrom<String> for Route {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        Self::parse(&text)
    }
}

impl From<Route> for String {
    fn from(route: Route) -> Self {
        route.text()
    }
}

fn part(level: &str) -> Part<'_> {
    match level {
        "+" => Part::Plus,
        "#" => Part::Hash,
        literal => Part::Literal(literal.strip_prefix('\\').unwrap_or(literal)),
    }
}

fn checked_host(host: &str) -> Result<Option<String>, Fault> {
    if host == "+" {
        return Ok(None);
    }
    if host.is_empty() {
        return Err(Fault::at(2, "a host is missing; without `//` any host is meant"));
    }
    let is_address = host.starts_with('[') && host.ends_with(']');
    let wrong = host.find(|character: char| {
        let ipv6 = is_address && matches!(character, ':' | '[' | ']');
        !(character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_') || ipv6)
    });
    match wrong {
        Some(at) if host[at..].starts_with(':') => {
            Err(Fault::at(2 + at, "the port stands before the host: `http:8080://host/path`"))
        }
        Some(at) => Err(Fault::at(2 + at, "this character is not part of a host name")),
        None => Ok(Some(host.to_ascii_lowercase())),
    }
}

/// What no request can have is no rule either.
fn check_path(path: &str) -> Result<(), Fault> {
    let levels: Vec<&str> = path[1..].split('/').collect();
    let mut at = 1;
    for (index, level) in levels.iter().enumerate() {
        if index == PATH_LEVELS && *level != "#" {
            return Err(Fault::at(at, "a path may have 14 levels, not more"));
        }
        let is_last = index + 1 == levels.len();
        if *level == "#" && !is_last {
            return Err(Fault::at(at, "`#` stands at the end of a path only"));
        }
        if level.is_empty() && !is_last {
            return Err(Fault::at(at, "a path with two slashes in a row is never passed on"));
        }
        check_level(level).map_err(|fault| fault.behind(at))?;
        at += level.len() + 1;
    }
    Ok(())
}

fn check_level(level: &str) -> Result<(), Fault> {
    if matches!(level, "." | "..") {
        return Err(Fault::at(0, "a path with `.` or `..` is never passed on; write the path that it means"));
    }
    let (literal, before) = match level.strip_prefix('\\') {
        Some(literal) => (literal, 1),
        None => (level, 0),
    };
    for (at, character) in literal.char_indices() {
        let why = match character {
            '?' => "a query is never part of an object",
            '\\' => "a backslash is only written before a level that begins with `+` or `#`",
            ' ' => "a path has no space",
            character if character.is_control() => "a path has no control characters",
            '%' => match percent(&literal[at..]) {
                Some(code) if hidden(code) => "this character is never percent-encoded here",
                Some(_) => continue,
                None => "`%` needs two hexadecimal digits",
            },
            _ => continue,
        };
        return Err(Fault::at(before + at, why));
    }
    Ok(())
}

fn percent(text: &str) -> Option<u8> {
    u8::from_str_radix(text.get(1..3)?, 16).ok()
}

/// What has another spelling, or would be taken for something else.
const fn hidden(code: u8) -> bool {
    code.is_ascii_alphanumeric()
        || code.is_ascii_control()
        || matches!(code, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\')
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Routes over few words, so that they often meet.
    pub(crate) fn routes() -> impl Strategy<Value = Route> {
        let host = prop_oneof![2 => Just(""), 1 => Just("//h"), 1 => Just("//k")];
        let word = prop_oneof![Just("a"), Just("$b"), Just("+"), Just("\\+")];
        (host, proptest::collection::vec(word, 0..3), any::<bool>()).prop_map(|(host, levels, hash)| {
            let path = levels.into_iter().chain(hash.then_some("#")).collect::<Vec<_>>().join("/");
            Route::parse(&format!("{host}/{path}")).unwrap()
        })
    }

    /// Hosts and paths of up to three levels over the words of [`routes`] and one that they do not have.
    pub(crate) fn requests() -> Vec<Vec<&'static str>> {
        let mut all = Vec::new();
        for host in ["", "h", "k"] {
            let mut last = vec![vec![host]];
            for _ in 0..=3 {
                let words = ["a", "$b", "+", "z"];
                let longer = last.iter().flat_map(|levels| words.map(|word| [&levels[..], &[word]].concat()));
                let longer = longer.collect();
                all.append(&mut last);
                last = longer;
            }
        }
        all
    }

    /// Level by level.
    pub(crate) fn matches(route: &Route, request: &[&str]) -> bool {
        fn levels(parts: &[Part<'_>], request: &[&str]) -> bool {
            match (parts.first(), request.first()) {
                (Some(Part::Hash), _) | (None, None) => true,
                (Some(Part::Plus), Some(_)) => levels(&parts[1..], &request[1..]),
                (Some(Part::Literal(word)), Some(level)) => {
                    word == level && levels(&parts[1..], &request[1..])
                }
                (None, Some(_)) | (Some(_), None) => false,
            }
        }
        levels(&route.parts().collect::<Vec<_>>(), request)
    }

    proptest! {
        #[test]
        fn contains_is_what_requests_say(outer in routes(), inner in routes()) {
            let requests = requests();
            let all = requests.iter().filter(|request| matches(&inner, request)).all(|request| matches(&outer, request));
            prop_assert_eq!(outer.contains(&inner), all);
        }

        #[test]
        fn what_is_shown_can_be_read(route in routes()) {
            prop_assert_eq!(Route::parse(&route.text()), Ok(route));
        }

        #[test]
        fn what_the_wire_shows_is_itself_and_nothing_else(path in "/[a-c+#/]{0,8}", host in "(h|k\\.local)?") {
            let text = if host.is_empty() { path.clone() } else { format!("{path} {host}") };
            if let Ok(route) = Route::from_wire(&text) {
                prop_assert!(route.parts().skip(1).all(|part| matches!(part, Part::Literal(_))));
                let levels: Vec<&str> = path[1..].split('/').filter(|_| path != "/").collect();
                let shown = route.parts().skip(1).map(|part| if let Part::Literal(text) = part { text } else { "" });
                prop_assert_eq!(shown.collect::<Vec<_>>(), levels);
                prop_assert_eq!(Route::parse(&route.text()), Ok(route));
            } else {
                prop_assert!(path[1..].contains("//") || path.starts_with("//"));
            }
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, at) in [
            ("api", 0),
            ("", 0),
            ("/a/#/b", 3),
            ("/a?b", 2),
            ("/a//b", 3),
            ("//h:80/a", 3),
            ("///a", 2),
            ("//h", 3),
            ("/a/../b", 3),
            ("/a b", 2),
            ("/%4", 1),
            ("/a%2Fb", 2),
            ("/x\\+", 2),
            ("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f", 29),
        ] {
            assert_eq!(Route::parse(text).map_err(|fault| fault.at), Err(at), "{text}");
        }
        for text in ["/", "/a+b", "/a/", "//[fe80::1]/x", "/\\#", "/%C3%A4", "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/#"]
        {
            assert_eq!(Route::parse(text).map(|route| route.text()).as_deref(), Ok(text));
        }
        assert_eq!(Route::parse("//HUB.local/").unwrap().text(), "//hub.local/");
    }
}
