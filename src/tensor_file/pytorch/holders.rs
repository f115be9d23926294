//! Which nodes hold a tensor, at any depth. The others are never walked through, however they share or hold one another.
use super::heap::{Heap, Node, Value};
use super::tensors::is_tensor;

/// For each node, whether a tensor is in it. Takes a time and a memory that grow with the pickle alone.
pub(super) fn holders(heap: &Heap<'_>) -> Vec<bool> {
    let nodes = heap.nodes();
    // The holders of each node, one after another: those of node n begin at `starts[n]`.
    let mut starts = vec![0usize; nodes.len() + 1];
    for node in nodes {
        each(node, |inner| starts[inner as usize + 1] += 1);
    }
    for node in 0..nodes.len() {
        starts[node + 1] += starts[node];
    }
    let mut ends = starts.clone();
    let mut holding = vec![0u32; starts[nodes.len()]];
    for (number, node) in nodes.iter().enumerate() {
        each(node, |inner| {
            holding[ends[inner as usize]] = number as u32;
            ends[inner as usize] += 1;
        });
    }
    let mut holds = vec![false; nodes.len()];
    let is_one = |number: &u32| is_tensor(heap, Value::Node(*number));
    let mut new: Vec<u32> = (0..nodes.len() as u32).filter(is_one).collect();
    while let Some(number) = new.pop() {
        let number = number as usize;
        if !std::mem::replace(&mut holds[number], true) {
            new.extend(&holding[starts[number]..starts[number + 1]]);
        }
    }
    holds
}

/// Visits every node that a node names, keys left out.
fn each(node: &Node, mut visit: impl FnMut(u32)) {
    let mut see = |value: &Value| {
        if let Value::Node(number) = value {
            visit(*number);
        }
    };
    match node {
        Node::Tuple(values) | Node::List(values) => values.iter().for_each(see),
        Node::Dict(entries) => entries.iter().for_each(|(_, value)| see(value)),
        Node::Object(object) => {
            see(&object.arguments);
            object.items.iter().chain(&object.states).for_each(&mut see);
            object.entries.iter().for_each(|(_, value)| see(value));
        }
        Node::Class(..) | Node::Outside(_) => {}
    }
}
