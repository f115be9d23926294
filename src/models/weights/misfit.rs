//! Tensors of a file that cannot be loaded, told without reading them, and what to do about it.
use super::names::covers;
use crate::tensor_file::FileTensor;
use burn::store::burn_pack::Tensor as StoredTensor;
use std::collections::{BTreeMap, BTreeSet};

/// How alike two names must be to be taken for one another.
const ALIKE: f64 = 0.9;
/// How many pairs of names are compared, at most.
const COMPARED: usize = 200_000;
/// More parameters of another shape than this are another network.
const FEW: usize = 6;

/// A parameter of another shape in the file.
#[derive(Debug)]
pub(super) struct OtherShape {
    pub(super) name: String,
    found: Vec<usize>,
    wanted: Vec<usize>,
}

impl OtherShape {
    pub(super) fn of(name: &str, tensor: &FileTensor, target: &StoredTensor) -> Option<Self> {
        let wanted = target.shape.to_vec();
        (tensor.shape != wanted).then(|| Self { name: name.into(), found: tensor.shape.clone(), wanted })
    }

    pub(super) fn what(&self) -> String {
        format!("has shape {:?} in the file, {:?} in the model", self.found, self.wanted)
    }
}

/// Why numbers of this type cannot be loaded into `target`.
pub(super) fn other_type(tensor: &FileTensor, target: &StoredTensor) -> Option<String> {
    const TAKE: &str = "take the file whose numbers are f32, bf16 or f16";
    let (found, wanted) = (&tensor.type_name, target.dtype);
    match tensor.dtype() {
        None => Some(format!("is {found} in the file, which is not read: {TAKE}")),
        Some(dtype) if dtype.is_float() == wanted.is_float() => None,
        Some(_) if wanted.is_float() => Some(format!("is {found} in the file, {wanted:?} in the model: {TAKE}")),
        Some(_) => Some(format!("is {found} in the file, {wanted:?} in the model")),
    }
}

/// What can be done about parameters of other shapes.
pub(super) fn advice(misfits: &[OtherShape], expected: &BTreeMap<String, StoredTensor>) -> Vec<String> {
    if misfits.is_empty() {
        return Vec::new();
    }
    if misfits.len() > FEW {
        let of = misfits.len();
        return vec![format!(
            "{of} shapes differ: the network is of another size than the file; compare its width, depth, heads and patch size"
        )];
    }
    let mut advice = Vec::new();
    if let Some(classes) = misfits.iter().find(|misfit| misfit.name.ends_with("embedding_table.weight")) {
        let rows = |shape: &[usize]| shape.first().copied().unwrap_or_default();
        advice.push(format!(
            "the classes: the file has {} rows, the network {}, one for each class and one for none if `class_dropout_prob` is above 0; \
             `network.num_classes` may stay that of the file, and `data.classes` be smaller",
            rows(&classes.found),
            rows(&classes.wanted)
        ));
    }
    let is_position = |part: &str| part == "pos_embed" || part.ends_with("feat_rope");
    if misfits.iter().any(|misfit| misfit.name.split('.').any(is_position)) {
        advice.push("the positions: fresh ones are computed for the resolution of the network".into());
    }
    let names: BTreeSet<String> = misfits.iter().map(|misfit| entry(&misfit.name, misfits, expected)).collect();
    let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    advice.push(format!("to keep fresh values there, write beside \"file\": \"replace\": [{}]", names.join(", ")));
    advice
}

/// The shortest entry that covers `name` and nothing that fits.
fn entry(name: &str, misfits: &[OtherShape], expected: &BTreeMap<String, StoredTensor>) -> String {
    let shorter = name.match_indices('.').map(|(dot, _)| &name[..dot]);
    let fits = |other: &String| !misfits.iter().any(|misfit| misfit.name == *other);
    let mut narrow = shorter.filter(|entry| !expected.keys().any(|other| covers(entry, other) && fits(other)));
    narrow.next().unwrap_or(name).to_string()
}

/// The name of `others` that is most like `name`, if one is.
pub(super) fn most_like<'a>(name: &str, others: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let alike = others.take(COMPARED).map(|other| (strsim::jaro_winkler(name, other), other));
    let (alike, other) = alike.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (alike >= ALIKE).then_some(other)
}
