//! What both readings are compared by.

use std::fmt;

/// A message with what a verdict depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    pub(crate) protocol: &'static str,
    /// The frame that holds its last byte.
    pub(crate) frame: u64,
    /// Type and objects, written by [`join`].
    pub(crate) text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {}", self.frame, self.protocol, self.text)
    }
}

/// Type and objects as one text, in which no object can look like two.
pub(crate) fn join<'a>(name: &str, objects: impl IntoIterator<Item = &'a str>) -> String {
    objects.into_iter().fold(name.to_owned(), |text, object| format!("{text} {object:?}"))
}
