//! What is directly inside a node, and under which key.
use super::heap::{Heap, Node, Object, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// The tables of an `nn.Module`, in the order of its `state_dict()`.
const TABLES: [&str; 3] = ["_parameters", "_buffers", "_modules"];
/// The names of the buffers that are not in it.
const NOT_KEPT: &str = "_non_persistent_buffers_set";

/// A part of a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// None: what is inside this value is inside what holds it.
    Same,
    /// The place in a list.
    Place(usize),
    /// A key of a dictionary, and its place there.
    Of(Value, usize),
}

impl Key {
    /// The part of the name; none for [`Key::Same`].
    pub(super) fn text<'a>(self, heap: &Heap<'a>) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Same => return None,
            Self::Place(place) => place.to_string().into(),
            Self::Of(Value::Int(number), _) => number.to_string().into(),
            Self::Of(Value::Bool(true), _) => "True".into(),
            Self::Of(Value::Bool(false), _) => "False".into(),
            Self::Of(Value::None, _) => "None".into(),
            // A tuple, a float: another key of the same dictionary may be called alike.
            Self::Of(key, place) => heap.text(key).unwrap_or_else(|| format!("<{place}>").into()),
        })
    }
}

/// The values of `node`, and of an object also what it was made of, what was put into it and its attributes.
pub(super) fn inside(heap: &Heap<'_>, node: &Node) -> Vec<(Key, Value)> {
    match node {
        Node::Tuple(values) | Node::List(values) => places(values).collect(),
        Node::Dict(entries) => keys(entries).collect(),
        Node::Object(object) => match tables(heap, object) {
            Some(tables) => tables,
            None => made_of(heap, object),
        },
        Node::Class(..) | Node::Outside(_) => Vec::new(),
    }
}

fn places(values: &[Value]) -> impl Iterator<Item = (Key, Value)> {
    values.iter().enumerate().map(|(place, value)| (Key::Place(place), *value))
}

fn keys(entries: &[(Value, Value)]) -> impl Iterator<Item = (Key, Value)> {
    entries.iter().enumerate().map(|(place, (key, value))| (Key::Of(*key, place), *value))
}

fn made_of(heap: &Heap<'_>, object: &Object) -> Vec<(Key, Value)> {
    let arguments = heap.sequence(object.arguments).unwrap_or_default();
    let mut all: Vec<(Key, Value)> = match (heap.class(object.class), arguments) {
        // Python 2 wrote its pairs as an argument.
        (Some(("collections", "OrderedDict")), [pairs]) => {
            let pairs = heap.sequence(*pairs).unwrap_or_default().iter();
            let pair = |(place, pair): (usize, &Value)| match heap.sequence(*pair) {
                Some([key, value]) => Some((Key::Of(*key, place), *value)),
                _ => None,
            };
            pairs.enumerate().filter_map(pair).collect()
        }
        // Class, its first base, and the base's own value, as protocols 0 and 1 have it.
        (Some(("copyreg" | "copy_reg", "_reconstructor")), [_, _, value]) => vec![(Key::Same, *value)],
        // A set, a dictionary: called with all that is in it.
        (_, [value]) if !object.is_new => vec![(Key::Same, *value)],
        _ => places(arguments).collect(),
    };
    all.extend(places(&object.items));
    all.extend(keys(&object.entries));
    for state in &object.states {
        let is_attributes = |value: &Value| *value == Value::None || heap.entries(*value).is_some();
        match heap.sequence(*state) {
            // Attributes by their dictionary, and those by slots.
            Some([of_dictionary, of_slots]) if is_attributes(of_dictionary) && is_attributes(of_slots) => {
                all.extend([(Key::Same, *of_dictionary), (Key::Same, *of_slots)]);
            }
            _ => all.push((Key::Same, *state)),
        }
    }
    all
}

/// What the `state_dict()` of an `nn.Module` has: its parameters, its buffers, what is in the modules within it. None if it is
/// no module.
fn tables(heap: &Heap<'_>, object: &Object) -> Option<Vec<(Key, Value)>> {
    let attributes = heap.entries(*object.states.last()?)?;
    let [parameters, buffers, modules] = TABLES.map(|table| heap.entries(heap.get(attributes, table)?));
    let (parameters, buffers, modules) = (parameters?, buffers?, modules?);
    let names = heap.get(attributes, NOT_KEPT).and_then(|set| match heap.object(set) {
        Some(set) => heap.sequence(*heap.sequence(set.arguments)?.first()?),
        None => heap.sequence(set),
    });
    let not_kept: HashSet<Cow<'_, str>> =
        names.unwrap_or_default().iter().filter_map(|name| heap.text(*name)).collect();
    let is_kept = |key: &Value| heap.text(*key).is_none_or(|name| !not_kept.contains(&name));
    let buffers = keys(buffers).filter(|(key, _)| matches!(key, Key::Of(key, _) if is_kept(key)));
    Some(keys(parameters).chain(buffers).chain(keys(modules)).collect())
}
