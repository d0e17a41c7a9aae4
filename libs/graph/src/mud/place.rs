//! Where in a text a JSON value stands, for whoever has to mend it.

use serde_json::Value;

use super::{NotAProfile, Wrong};

/// A value and the way to it.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    value: &'a Value,
    text: &'a str,
    way: Vec<Step<'a>>,
}

/// From a value to one in it.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Key(&'a str),
    At(usize),
}

impl<'a> Node<'a> {
    /// The whole of a text.
    pub(super) const fn root(value: &'a Value, text: &'a str) -> Self {
        Self { value, text, way: Vec::new() }
    }

    /// The field of an object.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let (key, value) = self.value.as_object()?.get_key_value(key)?;
        Some(self.step(Step::Key(key), value))
    }

    /// A field that must be there.
    pub(super) fn need(&self, key: &'static str) -> Result<Self, NotAProfile> {
        self.get(key).ok_or_else(|| self.wrong(Wrong::Missing(key)))
    }

    /// The fields of an object, in the order of their names.
    pub(super) fn fields(&self) -> Result<impl Iterator<Item = (&'a str, Self)>, NotAProfile> {
        let object = self.value.as_object().ok_or_else(|| self.wrong(Wrong::Type("an object")))?;
        Ok(object.iter().map(|(key, value)| (key.as_str(), self.step(Step::Key(key), value))))
    }

    /// The entries of a list.
    pub(super) fn list(&self) -> Result<impl Iterator<Item = Self>, NotAProfile> {
        let list = self.value.as_array().ok_or_else(|| self.wrong(Wrong::Type("a list")))?;
        Ok(list.iter().enumerate().map(|(at, value)| self.step(Step::At(at), value)))
    }

    pub(super) fn text(&self) -> Result<&'a str, NotAProfile> {
        self.value.as_str().ok_or_else(|| self.wrong(Wrong::Type("a text")))
    }

    /// A number that fits, where `what` says what would.
    pub(super) fn number<T: TryFrom<u64>>(&self, what: &'static str) -> Result<T, NotAProfile> {
        let number = self.value.as_u64().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.wrong(Wrong::Type(what)))
    }

    /// Every field must be one of these, or of an extension where those are welcome.
    pub(super) fn knows(&self, known: &[&str], extensions: bool) -> Result<(), NotAProfile> {
        for (key, field) in self.fields()? {
            let extends = extensions && key.contains(':');
            if !known.contains(&key) && !extends {
                return Err(field.wrong(Wrong::Unknown));
            }
        }
        Ok(())
    }

    /// The value as JSON, for comparing.
    pub(super) fn json(&self) -> String {
        self.value.to_string()
    }

    /// What is wrong here.
    pub(super) fn wrong(&self, why: Wrong) -> NotAProfile {
        let at: String = self.way.iter().map(Step::shown).collect();
        NotAProfile { line: line(self.text, &self.way), at, why }
    }

    fn step(&self, step: Step<'a>, value: &'a Value) -> Self {
        let way = self.way.iter().copied().chain([step]).collect();
        Self { value, text: self.text, way }
    }
}

impl Step<'_> {
    /// As a part of a JSON pointer (RFC 6901), made harmless to show.
    fn shown(&self) -> String {
        match self {
            Self::Key(key) => format!("/{}", super::shown(&key.replace('~', "~0").replace('/', "~1"))),
            Self::At(at) => format!("/{at}"),
        }
    }
}

/// The line of the value at the end of a way, or of the last one on it that is found.
fn line(text: &str, way: &[Step<'_>]) -> usize {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.blank();
    for step in way {
        let before = reader.at;
        if !reader.enter(*step) {
            reader.at = before;
            break;
        }
    }
    1 + text.get(..reader.at).unwrap_or(text).matches('\n').count()
}

/// A place in a text that is known to be JSON.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Goes from the beginning of a value to that of one in it.
    fn enter(&mut self, step: Step<'_>) -> bool {
        let mut entry = 0;
        self.at += 1;
        self.blank();
        // A name that stands twice means the last one.
        let mut found = None;
        while let Some(byte) = self.peek().filter(|byte| !matches!(byte, b'}' | b']')) {
            let name = self.at;
            if matches!(step, Step::Key(_)) {
                if byte != b'"' {
                    return false;
                }
                self.string();
            }
            let is_it = match step {
                Step::Key(key) => self.bytes.get(name + 1..self.at - 1) == Some(key.as_bytes()),
                Step::At(at) => entry == at,
            };
            if matches!(step, Step::Key(_)) {
                self.blank();
                self.at += 1;
                self.blank();
            }
            if is_it {
                found = Some(self.at);
            }
            self.value();
            self.blank();
            if self.peek() == Some(b',') {
                self.at += 1;
                self.blank();
            }
            entry += 1;
        }
        self.at = found.unwrap_or(self.at);
        found.is_some()
    }

    /// Passes over a value.
    fn value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Passes over a text in quotes.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}
