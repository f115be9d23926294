//! The tensors of a pickle and their names: the keys on the way to them, with dots between.
//!
//! Lists count from 0, attributes are keys, and a whole `nn.Module` has the names of its `state_dict()`. What is reached in
//! two ways has two names.
use super::ALONE;
use super::heap::{Heap, Node, Value};
use super::holders::holders;
use super::inside::{Key, inside};
use super::tensors::{Meaning, Tensor, is_tensor, meaning};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Deeper than anyone nests what holds tensors.
const DEEPEST: usize = 1000;
/// What the naming may cost: so much for any pickle, and so much more for each of its bytes. Files of PyTorch need less than
/// a fifth. A few bytes can share others so often that no machine would ever name them all.
const COST: usize = 16 << 20;
const COST_OF_BYTE: usize = 32;
/// About the bytes that looking at a value takes, and a tensor beside its name.
const COST_OF_VALUE: usize = 16;
const COST_OF_TENSOR: usize = 512;
/// Parameters of parameters, as nobody writes them.
const MOST_PARAMETERS: usize = 8;

/// The tensors of the value `root` by their names; `length` is that of the pickle.
///
/// # Errors
/// What the root is instead of a dictionary, what is wrong with a tensor, that the pickle is built to have no end.
pub(super) fn tensors(heap: &Heap<'_>, root: Value, length: usize) -> Result<BTreeMap<String, Tensor>, String> {
    let holders = holders(heap);
    let holds = |value: Value| matches!(value, Value::Node(node) if holders[node as usize]);
    let is_dictionary = match heap.node(root) {
        Some(Node::Tuple(_) | Node::List(_) | Node::Dict(_)) => true,
        Some(Node::Object(object)) => !is_tensor(heap, root) && (heap.is_dictionary(object) || holds(root)),
        _ => false,
    };
    if !is_dictionary {
        return Err(format!("is a `{}` as a whole, not a dictionary of tensors: {ALONE}", heap.kind(root)));
    }
    let mut walk = Walk {
        heap,
        found: BTreeMap::new(),
        name: String::new(),
        ways: Vec::new(),
        is_on_the_way: vec![false; heap.nodes().len()],
        left: COST.saturating_add(COST_OF_BYTE.saturating_mul(length)),
    };
    walk.enter(root, 0)?;
    while let Some(way) = walk.ways.last_mut() {
        match way.inside.next() {
            None => walk.leave(),
            Some((_, value)) if !holds(value) => {}
            Some((key, value)) => {
                walk.name.truncate(way.length);
                let mut keys = way.keys;
                if let Some(key) = key.text(heap) {
                    walk.name.push_str(if keys == 0 { "" } else { "." });
                    walk.name.push_str(&key);
                    keys += 1;
                }
                walk.enter(value, keys)?;
            }
        }
    }
    Ok(walk.found)
}

struct Walk<'a, 'p> {
    heap: &'a Heap<'p>,
    found: BTreeMap<String, Tensor>,
    /// The keys to where the walk is.
    name: String,
    ways: Vec<Way>,
    is_on_the_way: Vec<bool>,
    /// What it may still cost.
    left: usize,
}

/// A node that the walk is within.
struct Way {
    node: u32,
    /// How long its name is, and of how many keys.
    length: usize,
    keys: usize,
    /// What is left in it.
    inside: std::vec::IntoIter<(Key, Value)>,
}

impl Walk<'_, '_> {
    /// Notes a tensor, or goes into what may hold some.
    fn enter(&mut self, value: Value, keys: usize) -> Result<(), String> {
        let wrong =
            |name: &str, what: &str| format!("`{name}` cannot be a tensor ({what}): it is damaged, get it again");
        let mut value = value;
        for _ in 0..MOST_PARAMETERS {
            match meaning(self.heap, value).map_err(|what| wrong(&self.name, &what))? {
                Meaning::Is(other) => value = other,
                Meaning::Tensor(tensor) => return self.note(tensor),
                Meaning::Other => return self.go_into(value, keys),
            }
        }
        Err(wrong(&self.name, "a parameter of itself"))
    }

    fn note(&mut self, tensor: Tensor) -> Result<(), String> {
        self.pay(COST_OF_TENSOR + 3 * self.name.len() + COST_OF_VALUE * tensor.shape.len())?;
        match self.found.entry(self.name.clone()) {
            Entry::Vacant(free) => drop(free.insert(tensor)),
            // As an attribute and as an item, in some classes.
            Entry::Occupied(same) if *same.get() == tensor => {}
            Entry::Occupied(other) => return Err(format!("holds two tensors called `{}`: {ALONE}", other.key())),
        }
        Ok(())
    }

    fn go_into(&mut self, value: Value, keys: usize) -> Result<(), String> {
        let (Value::Node(number), Some(node)) = (value, self.heap.node(value)) else { return Ok(()) };
        // What holds itself has no more tensors the second time.
        if self.is_on_the_way[number as usize] {
            return Ok(());
        }
        if self.ways.len() == DEEPEST {
            return Err(format!("nests its tensors more than {DEEPEST} deep: it is damaged, get it again; or {ALONE}"));
        }
        let inside = inside(self.heap, node);
        self.pay(COST_OF_VALUE * (1 + inside.len()))?;
        self.is_on_the_way[number as usize] = true;
        self.ways.push(Way { node: number, length: self.name.len(), keys, inside: inside.into_iter() });
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(way) = self.ways.pop() {
            self.is_on_the_way[way.node as usize] = false;
        }
    }

    fn pay(&mut self, cost: usize) -> Result<(), String> {
        let left = self.left.checked_sub(cost);
        self.left = left.ok_or(format!(
            "names the same tensors again and again, as no checkpoint does: it is damaged, get it again; or {ALONE}"
        ))?;
        Ok(())
    }
}
