//! Where each key of a configuration stands: the file read a second time, for its lines alone.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// Lines and columns by dotted key.
#[derive(Debug)]
pub(crate) struct Places {
    file: String,
    root: Node,
}

impl Places {
    pub(super) fn new(file: &str, root: Node) -> Self {
        Self { file: file.to_owned(), root }
    }

    /// `writ.yaml:12:5 sources.shop.url`: where this key stands, or the nearest key above it. What is no key
    /// of the file is given back as it is.
    pub(crate) fn of(&self, dotted: &str) -> String {
        match self.root.find(dotted) {
            Some(at) => format!("{}:{}:{} {dotted}", self.file, at.line(), at.column()),
            None => dotted.to_owned(),
        }
    }
}

/// A value's keys, in order.
#[derive(Debug, Default)]
pub(super) struct Node(Vec<(String, Location, Node)>);

impl Node {
    /// Keys may hold dots themselves (`public.customer`), so the longest key that fits is followed.
    fn find(&self, dotted: &str) -> Option<Location> {
        let fits =
            |key: &str| dotted.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with('.'));
        let entries = self.0.iter().filter_map(|(key, at, below)| fits(key).map(|rest| (rest, at, below)));
        let (rest, at, below) = entries.min_by_key(|(rest, ..)| rest.len())?;
        Some(rest.strip_prefix('.').and_then(|rest| below.find(rest)).unwrap_or(*at))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Keys)
    }
}

/// Takes the keys of mappings and forgets all values.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            node.0.push((key.value, key.referenced, map.next_value()?));
        }
        Ok(node)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }
}
