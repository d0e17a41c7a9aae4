//! JSON in which an object may have a key more than once, as tshark writes it: each message of a frame is a key `mqtt`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A value in tshark's output: everything is text, lists and trees.
#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    List(Vec<Self>),
    Tree(Vec<(String, Self)>),
    Nothing,
}

impl Node {
    /// The children with this key, in order.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children().iter().filter(move |(name, _)| name == key).map(|(_, node)| node)
    }

    /// The first child with this key.
    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        self.children().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The text of the first child with this key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.child(key)? {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Tree(_) | Self::Nothing => None,
        }
    }

    pub(crate) fn children(&self) -> &[(String, Self)] {
        match self {
            Self::Tree(children) => children,
            Self::Text(_) | Self::List(_) | Self::Nothing => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Text(_) | Self::Tree(_) | Self::Nothing => &[],
        }
    }

    /// Every text under this key, at any depth, in order.
    pub(crate) fn deep<'a>(&'a self, key: &str, found: &mut Vec<&'a str>) {
        for (name, node) in self.children() {
            match node {
                Self::Text(text) if name == key => found.push(text),
                _ => node.deep(key, found),
            }
        }
        for node in self.items() {
            match node {
                Self::Text(_) | Self::Nothing => {}
                Self::List(_) | Self::Tree(_) => node.deep(key, found),
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes;

        impl<'de> Visitor<'de> for Nodes {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("what tshark writes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
                Ok(Node::Text(number.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Nothing)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut children = Vec::new();
                while let Some(child) = map.next_entry()? {
                    children.push(child);
                }
                Ok(Node::Tree(children))
            }
        }

        deserializer.deserialize_any(Nodes)
    }
}

#[test]
fn a_key_may_come_twice() {
    let node: Node =
        serde_json::from_str(r#"{"a": "1", "b": {"a": "2", "c": [{"a": "3"}]}, "a": null}"#).unwrap();
    assert_eq!(node.all("a").count(), 2);
    assert_eq!((node.text("a"), node.child("b").and_then(|b| b.text("a"))), (Some("1"), Some("2")));
    let mut found = Vec::new();
    node.deep("a", &mut found);
    assert_eq!(found, ["1", "2", "3"]);
}
