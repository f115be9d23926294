//! What a pickle describes: values that point at nodes. Nodes may share others and hold themselves, as in Python.
use super::bytes::Span;
use std::borrow::Cow;

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A float, bytes, an integer of more than 64 bits: nothing that says where a tensor is.
    Other,
    Text(Span),
    /// A text of protocol 0, with `\u` and `\U` before other characters than Latin-1.
    Escaped(Span),
    /// The number of a node.
    Node(u32),
}

/// Something that holds values.
#[derive(Debug)]
pub(super) enum Node {
    Tuple(Vec<Value>),
    /// A list, a set or a frozen set.
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A class or a function, by the names of its module and itself. It is never looked for.
    Class(Value, Value),
    /// What stands outside of the pickle, by its id.
    Outside(Value),
    Object(Box<Object>),
}

/// An instance of a class, or what a function returned. Neither was ever called.
#[derive(Debug)]
pub(super) struct Object {
    /// The class or function.
    pub(super) class: Value,
    /// What it was called with: a tuple, if Python wrote it.
    pub(super) arguments: Value,
    /// Whether `arguments` went to a constructor and are what the object holds, as those of a named tuple.
    pub(super) is_new: bool,
    /// What was appended to it.
    pub(super) items: Vec<Value>,
    /// What was put into it under keys.
    pub(super) entries: Vec<(Value, Value)>,
    /// Its attributes, as a dictionary, or whatever its class wrote instead.
    pub(super) states: Vec<Value>,
}

/// All nodes of a pickle.
#[derive(Debug)]
pub(super) struct Heap<'a> {
    pickle: &'a [u8],
    nodes: Vec<Node>,
}

impl<'a> Heap<'a> {
    pub(super) fn new(pickle: &'a [u8]) -> Self {
        Self { pickle, nodes: Vec::new() }
    }

    pub(super) fn add(&mut self, node: Node) -> Value {
        self.nodes.push(node);
        // A node takes a byte of the pickle, which has fewer than 2³².
        Value::Node((self.nodes.len() - 1) as u32)
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(number) => self.nodes.get(number as usize),
            _ => None,
        }
    }

    pub(super) fn node_mut(&mut self, value: Value) -> Option<&mut Node> {
        match value {
            Value::Node(number) => self.nodes.get_mut(number as usize),
            _ => None,
        }
    }

    pub(super) fn object(&self, value: Value) -> Option<&Object> {
        match self.node(value) {
            Some(Node::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// The values of a tuple or list.
    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match self.node(value) {
            Some(Node::Tuple(values) | Node::List(values)) => Some(values),
            _ => None,
        }
    }

    /// Keys and values of a dictionary, or of an object that is one.
    pub(super) fn entries(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.node(value)? {
            Node::Dict(entries) => Some(entries),
            Node::Object(object) if self.is_dictionary(object) => Some(&object.entries),
            _ => None,
        }
    }

    /// Whether an object has entries, or is an empty one of Python's own dictionaries.
    pub(super) fn is_dictionary(&self, object: &Object) -> bool {
        let named = self.class(object.class);
        let is_known = matches!(named, Some(("collections", "OrderedDict" | "defaultdict" | "Counter")));
        is_known || !object.entries.is_empty()
    }

    /// The value under a text.
    pub(super) fn get(&self, entries: &[(Value, Value)], key: &str) -> Option<Value> {
        let found = entries.iter().rev().find(|(found, _)| self.text(*found).is_some_and(|text| text == key));
        found.map(|(_, value)| *value)
    }

    /// A text; what is no UTF-8 in it is replaced.
    pub(super) fn text(&self, value: Value) -> Option<Cow<'a, str>> {
        match value {
            Value::Text(span) => Some(String::from_utf8_lossy(span.of(self.pickle))),
            Value::Escaped(span) => Some(Cow::Owned(unescaped(span.of(self.pickle)))),
            _ => None,
        }
    }

    /// Module and name of a class or function, if they are plain text.
    pub(super) fn class(&self, value: Value) -> Option<(&'a str, &'a str)> {
        let plain = |value: Value| match value {
            Value::Text(span) => std::str::from_utf8(span.of(self.pickle)).ok(),
            _ => None,
        };
        match self.node(value)? {
            Node::Class(module, name) => Some((plain(*module)?, plain(*name)?)),
            _ => None,
        }
    }

    /// What a value is, for people.
    pub(super) fn kind(&self, value: Value) -> String {
        let named = |value: Value| self.class(value).map(|(module, name)| format!("{module}.{name}"));
        let kind = match value {
            Value::None => "None",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Other => "number or bytes",
            Value::Text(_) | Value::Escaped(_) => "text",
            Value::Node(_) => match self.node(value) {
                Some(Node::Tuple(_)) => "tuple",
                Some(Node::List(_)) => "list",
                Some(Node::Dict(_)) => "dict",
                Some(Node::Outside(_)) => "storage",
                Some(Node::Class(..)) => return named(value).unwrap_or("class".into()),
                Some(Node::Object(object)) => return named(object.class).unwrap_or("object".into()),
                None => "nothing",
            },
        };
        kind.into()
    }
}

/// Python's `raw-unicode-escape`: Latin-1 but for `\uXXXX` and `\UXXXXXXXX`.
fn unescaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let digits = match rest {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        let code = rest.get(2..2 + digits).filter(|_| digits > 0).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
            Some(character) => {
                text.push(character);
                rest = &rest[2 + digits..];
            }
            None => {
                text.push(char::from(*first));
                rest = after;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_of_protocol_0() {
        for (written, text) in [
            (&b"plain"[..], "plain"),
            (b"\xe4.b", "ä.b"),
            (b"\\u03b3\\U0001f600!", "γ😀!"),
            (b"\\u12", "\\u12"),
            (b"\\Uffffffff", "\\Uffffffff"),
            (b"a\\", "a\\"),
        ] {
            assert_eq!(unescaped(written), text);
        }
    }
}
