//! Which objects of a pickle are tensors: what the functions would return that `torch.save` names for them.
//!
//! They are those of `torch/_utils.py` and `torch/_tensor.py`, and the ids of storages those of `torch/serialization.py`.
use super::elements::Element;
use super::heap::{Heap, Node, Object, Value};
use super::view::{MOST_DIMENSIONS, View};

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
    /// Where its numbers are; none if nobody reads them.
    pub(super) numbers: Option<Numbers>,
}

/// Where the numbers of a tensor are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    /// The name of the storage.
    pub(super) storage: String,
    pub(super) view: View,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Meaning {
    Tensor(Tensor),
    /// The same as another value.
    Is(Value),
    /// Something that may hold tensors.
    Other,
}

/// Calls that only say what a tensor is beside its numbers; more of them around one another than PyTorch writes.
const MOST_CALLS: usize = 8;

/// What `value` is.
///
/// # Errors
/// Why it is no tensor although it says so.
pub(super) fn meaning(heap: &Heap<'_>, value: Value) -> Result<Meaning, String> {
    let Some(object) = heap.object(value) else { return Ok(Meaning::Other) };
    let (mut function, mut arguments) = (object.class, object.arguments);
    for _ in 0..MOST_CALLS {
        let Some(name) = rebuilder(heap, function) else { break };
        let given = heap.sequence(arguments).unwrap_or_default();
        match (name, given) {
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => return Ok(Meaning::Is(*data)),
            // A function, the class that its result is of, and what the function was called with.
            ("_rebuild_from_type" | "_rebuild_from_type_v2", [of, _, with, ..]) => (function, arguments) = (*of, *with),
            _ => return rebuilt(heap, name, given).map(Meaning::Tensor).map_err(|what| format!("{name}: {what}")),
        }
    }
    // Whatever else is made of a tensor is one that nobody reads.
    let made_of = heap.sequence(object.arguments).unwrap_or_default();
    if !object.is_new && made_of.iter().any(|value| is_tensor(heap, *value)) {
        return Ok(Meaning::Tensor(unread(Vec::new(), &heap.kind(object.class))));
    }
    Ok(Meaning::Other)
}

/// Whether a value is a storage, or what a function of PyTorch returned that makes tensors.
pub(super) fn is_tensor(heap: &Heap<'_>, value: Value) -> bool {
    match heap.node(value) {
        Some(Node::Outside(_)) => true,
        Some(Node::Object(object)) => rebuilder(heap, object.class).is_some(),
        _ => false,
    }
}

/// The name of a function of PyTorch that makes tensors.
fn rebuilder<'a>(heap: &Heap<'a>, function: Value) -> Option<&'a str> {
    let (module, name) = heap.class(function)?;
    let is_one = matches!(module, "torch._utils" | "torch._tensor" | "torch.tensor") && name.starts_with("_rebuild");
    is_one.then_some(name)
}

fn unread(shape: Vec<usize>, name: &str) -> Tensor {
    Tensor { shape, element: Element::unread(name), numbers: None }
}

/// What the function `name` makes of `given`.
fn rebuilt(heap: &Heap<'_>, name: &str, given: &[Value]) -> Result<Tensor, String> {
    match (name, given) {
        ("_rebuild_tensor_v2" | "_rebuild_tensor_v3", [_, _, shape, ..]) if is_changed(heap, name, given) => {
            Ok(unread(shape_of(heap, *shape)?, "a negated or conjugated view"))
        }
        ("_rebuild_tensor" | "_rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
            let storage = Storage::of(heap, *storage)?;
            let element = storage.element.clone();
            strided(heap, storage, element, [*offset, *shape, *strides])
        }
        // Its storage has no type.
        ("_rebuild_tensor_v3", [storage, offset, shape, strides, _, _, dtype, ..]) => {
            strided(heap, Storage::of(heap, *storage)?, dtype_of(heap, *dtype), [*offset, *shape, *strides])
        }
        ("_rebuild_qtensor", [storage, _, shape, ..]) => {
            Ok(unread(shape_of(heap, *shape)?, &Storage::of(heap, *storage)?.element.name))
        }
        ("_rebuild_meta_tensor_no_storage", [_, shape, ..]) => Ok(unread(shape_of(heap, *shape)?, "meta")),
        ("_rebuild_wrapper_subclass", [_, dtype, shape, ..]) => {
            Ok(unread(shape_of(heap, *shape)?, &dtype_of(heap, *dtype).name))
        }
        ("_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor", [_, parts, ..]) => {
            let parts = heap.sequence(*parts).unwrap_or_default();
            // Indices and values come first, then the shape.
            let shape = parts.iter().skip(2).find_map(|part| shape_of(heap, *part).ok());
            Ok(unread(shape.unwrap_or_default(), "sparse"))
        }
        ("_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3", _) => Err("too few arguments".into()),
        _ => Ok(unread(Vec::new(), name)),
    }
}

/// Whether the numbers of a tensor are not those of its storage, but their negatives or conjugates, as its last argument
/// says.
fn is_changed(heap: &Heap<'_>, name: &str, given: &[Value]) -> bool {
    let place = if name == "_rebuild_tensor_v3" { 7 } else { 6 };
    let marks = given.get(place).and_then(|marks| heap.entries(*marks)).unwrap_or_default();
    ["neg", "conj"].iter().any(|mark| heap.get(marks, mark) == Some(Value::Bool(true)))
}

/// A tensor in a storage: its offset, shape and strides are `[offset, shape, strides]`.
fn strided(heap: &Heap<'_>, storage: Storage, element: Element, place: [Value; 3]) -> Result<Tensor, String> {
    let [offset, shape, strides] = place;
    let shape = shape_of(heap, shape)?;
    let Some(dtype) = element.dtype else { return Ok(unread(shape, &element.name)) };
    let offset = whole(offset)?;
    let view = View::new(&shape, &dimensions(heap, strides)?, offset, dtype.size())?;
    let (start, length) = view.window();
    if let Some(bytes) = storage.bytes
        && start + length > bytes
    {
        let storage = storage.key;
        return Err(format!("shape {shape:?} from {offset} is not within the {bytes} bytes of storage `{storage}`"));
    }
    Ok(Tensor { shape, element, numbers: Some(Numbers { storage: storage.key, view }) })
}

/// What an id says of a storage: `('storage', torch.FloatStorage, '0', 'cpu', 6)`.
struct Storage {
    element: Element,
    key: String,
    /// How long it says it is, if its numbers have a known size.
    bytes: Option<usize>,
}

impl Storage {
    fn of(heap: &Heap<'_>, value: Value) -> Result<Self, String> {
        let Some(Node::Outside(id)) = heap.node(value) else {
            return Err(format!("a {} is no storage", heap.kind(value)));
        };
        let [tag, class, key, _, numbers, ..] = heap.sequence(*id).unwrap_or_default() else {
            return Err("its storage has another id than PyTorch writes".into());
        };
        if heap.text(*tag).is_none_or(|tag| tag != "storage") {
            return Err("its id is not that of a storage".into());
        }
        let key = match key {
            Value::Int(number) => number.to_string(),
            key => heap.text(*key).ok_or("its storage has no name")?.into_owned(),
        };
        let (_, class) = heap.class(*class).ok_or("its storage has no type")?;
        let is_untyped = class == "UntypedStorage";
        let element = if is_untyped { Element::unread("untyped") } else { Element::of_storage(class) };
        let size = if is_untyped { Some(1) } else { element.dtype.map(|dtype| dtype.size()) };
        let bytes = whole(*numbers)?;
        let bytes = size.map(|size| bytes.checked_mul(size).ok_or(format!("storage `{key}` of {bytes} numbers")));
        Ok(Self { element, key, bytes: bytes.transpose()? })
    }
}

/// The type that `torch.float32` stands for.
fn dtype_of(heap: &Heap<'_>, value: Value) -> Element {
    heap.class(value).map_or_else(|| Element::unread(&heap.kind(value)), |(_, name)| Element::of_type(name))
}

/// A shape whose numbers can be counted.
fn shape_of(heap: &Heap<'_>, value: Value) -> Result<Vec<usize>, String> {
    let shape = dimensions(heap, value)?;
    let numbers = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
    numbers.map(|_| shape).ok_or("more numbers than any memory has".into())
}

/// A shape, or strides: a tuple, a list or a `torch.Size`.
fn dimensions(heap: &Heap<'_>, value: Value) -> Result<Vec<usize>, String> {
    let is_size = |object: &&Object| heap.class(object.class) == Some(("torch", "Size"));
    let inner = heap.object(value).filter(is_size).and_then(|size| heap.sequence(size.arguments)?.first().copied());
    let values = heap.sequence(inner.unwrap_or(value)).ok_or(format!("a {} is no shape", heap.kind(value)))?;
    if values.len() > MOST_DIMENSIONS {
        return Err(format!("{} dimensions, PyTorch has at most {MOST_DIMENSIONS}", values.len()));
    }
    values.iter().map(|value| whole(*value)).collect()
}

fn whole(value: Value) -> Result<usize, String> {
    match value {
        Value::Int(number) => usize::try_from(number).map_err(|_| format!("{number} is negative")),
        _ => Err("a number is missing".into()),
    }
}
