//! Which names of a file are those of the model: what stands around them and before them is recognised and cut.
use super::WeightSource;
use super::names::covers;
use crate::tensor_file::Stored;
use std::collections::{BTreeMap, BTreeSet};

/// The prefix of the diffusion model in a file that also holds its autoencoder or text encoders.
const COMPONENT: &str = "model.diffusion_model.";
/// Prefixes of every name: of PyTorch's distributed wrapper, and of a compiled module.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];
/// Segments that wrappers of single blocks leave anywhere in a name.
const INNER: [&str; 3] = ["_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"];
/// Where averages are kept.
const EMA: [&str; 6] = ["ema", "ema_state_dict", "ema_model", "ema_model_state_dict", "model_ema", "state_dict_ema"];
/// Where the weights themselves are kept.
const RAW: [&str; 3] = ["model", "state_dict", "model_state_dict"];
/// The count that PyTorch's `AveragedModel` keeps beside its average, which is under `module`.
const AVERAGED: &str = "n_averaged";
/// More dictionaries and wrappers around a model than anyone writes.
const DEEPEST: usize = 8;

/// The set that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The average or the weights themselves.
    pub(super) source: WeightSource,
    /// Where the names are, if that is told.
    pub(super) prefix: Option<&'a str>,
}

/// The official names of a model; none if it is not known.
#[derive(Debug)]
pub(super) struct Model<'a>(BTreeSet<&'a str>);

impl<'a> Model<'a> {
    pub(super) fn of(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().collect())
    }

    pub(super) fn unknown() -> Self {
        Self(BTreeSet::new())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether a name of the model begins with `prefix`, which is then nothing around it.
    fn owns(&self, prefix: &str) -> bool {
        self.0.range(prefix..).next().is_some_and(|name| name.starts_with(prefix))
    }

    /// How many names of the model stand under each prefix of the `names`.
    fn found_under<'n>(&self, names: impl Iterator<Item = &'n String>) -> BTreeMap<&'n str, usize> {
        let mut found = BTreeMap::new();
        for name in names {
            for (dot, _) in name.match_indices('.') {
                if self.has(&name[dot + 1..]) {
                    *found.entry(&name[..=dot]).or_insert(0) += 1;
                }
            }
        }
        found
    }
}

/// One set of weights, under the names of the model.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) source: WeightSource,
    /// The dictionaries around it, `state_dict.ema`; empty if none.
    pub(super) under: String,
    /// What stands beside it under other keys, and was not looked at.
    pub(super) beside: Vec<String>,
    /// What was cut from the beginning of names.
    pub(super) prefix: String,
    /// What was cut within names.
    pub(super) inner: Vec<&'static str>,
    pub(super) tensors: Stored,
}

impl Set {
    /// Finds the set `wanted` of a file.
    ///
    /// # Errors
    /// Why there is none, or between which it cannot choose.
    pub(super) fn of(stored: Stored, wanted: Wanted<'_>, model: &Model<'_>) -> Result<Self, String> {
        let mut set = Self {
            source: WeightSource::Raw,
            under: String::new(),
            beside: Vec::new(),
            prefix: String::new(),
            inner: Vec::new(),
            tensors: stored,
        };
        if let Some(prefix) = wanted.prefix {
            let key = prefix.trim_end_matches('.');
            if !set.tensors.keys().any(|name| covers(key, name)) {
                return Err(format!("prefix: no name in it begins with `{key}.`"));
            }
            set.descend(&format!("{key}."), is_average(key));
        }
        for _ in 0..DEEPEST {
            if !set.step(wanted, model)? {
                break;
            }
        }
        if wanted.source == WeightSource::Raw && set.source != WeightSource::Raw && wanted.prefix.is_none() {
            return Err("it has only averaged weights; say \"source\": \"ema\", or leave it out".into());
        }
        if wanted.source == WeightSource::Ema && set.source != WeightSource::Ema {
            return Err(format!("it has no weights under `ema` (nor under {})", listed(&EMA[1..])));
        }
        Ok(set)
    }

    /// Takes away one layer around the model; whether there was one.
    fn step(&mut self, wanted: Wanted<'_>, model: &Model<'_>) -> Result<bool, String> {
        let names = || self.tensors.keys();
        if names().any(|name| name.starts_with(COMPONENT)) && !model.owns(COMPONENT) {
            self.cut(COMPONENT)?;
            return Ok(true);
        }
        if let Some(dictionary) = self.dictionary(wanted, model)? {
            self.descend(&format!("{}.", dictionary.key), dictionary.is_average);
            return Ok(true);
        }
        if let Some(wrapper) = self.wrapper(model) {
            if self.tensors.remove(AVERAGED).is_some() {
                self.source = WeightSource::Ema;
            }
            self.cut(wrapper)?;
            return Ok(true);
        }
        if self.cut_inner(model)? {
            return Ok(true);
        }
        let Some(common) = self.common(wanted, model)? else { return Ok(false) };
        let average = is_average(&common.prefix);
        self.tensors.retain(|name, _| !common.others.iter().any(|other| name.starts_with(other)));
        self.beside.extend(common.others.iter().map(|other| other.trim_end_matches('.').to_string()));
        if average {
            self.source = WeightSource::Ema;
        }
        self.cut(&common.prefix)?;
        Ok(true)
    }

    /// The dictionary around the set that is wanted.
    fn dictionary(&self, wanted: Wanted<'_>, model: &Model<'_>) -> Result<Option<Dictionary>, String> {
        if wanted.prefix.is_some() || self.prefix.contains(COMPONENT) {
            return Ok(None);
        }
        let is_one = |key: &&&str| {
            let inside = format!("{key}.");
            !model.owns(&inside) && self.tensors.keys().any(|name| name.starts_with(&inside))
        };
        let averages: Vec<&str> = EMA.iter().filter(is_one).copied().collect();
        let raw: Vec<&str> = RAW.iter().filter(is_one).copied().collect();
        let of_model = |keys: &[&'static str]| -> Vec<&'static str> {
            keys.iter().filter(|key| self.holds(key, model)).copied().collect()
        };
        let (averages_of_model, raw_of_model) = (of_model(&averages), of_model(&raw));
        if averages_of_model.is_empty()
            && !raw_of_model.is_empty()
            && wanted.source != WeightSource::Raw
            && let Some(key) = self.other_average(model)?
        {
            return Ok(Some(Dictionary { key, is_average: true }));
        }
        // An `ema` without a name of the model is another thing, if there is a model elsewhere.
        let is_other = averages_of_model.is_empty() && !raw_of_model.is_empty() && wanted.source == WeightSource::Auto;
        let (keys, keys_of_model, is_average) =
            match averages.is_empty() || wanted.source == WeightSource::Raw || is_other {
                true => (raw, raw_of_model, false),
                false => (averages, averages_of_model, true),
            };
        let key = match (keys.as_slice(), keys_of_model.as_slice()) {
            ([], _) => return Ok(None),
            (_, [one]) | ([one, ..], []) => one,
            (_, several) => return Err(self.ambiguous(several.iter().map(|key| (*key).to_string()))),
        };
        Ok(Some(Dictionary { key: (*key).into(), is_average }))
    }

    /// The key of an average of the whole model beside the raw weights, whose name nobody has agreed on: `net_ema`,
    /// `ema_0.9999`, `swa`.
    fn other_average(&self, model: &Model<'_>) -> Result<Option<String>, String> {
        let found = model.found_under(self.tensors.keys());
        let most = found.values().copied().max().unwrap_or(0);
        let is_raw = |prefix: &str| RAW.iter().any(|raw| covers(raw, prefix.trim_end_matches('.')));
        let is_one = |(prefix, count): &(&str, usize)| *count == most && may_be_average(prefix) && !is_raw(prefix);
        let keys: Vec<&str> =
            found.into_iter().filter(is_one).map(|(prefix, _)| prefix.trim_end_matches('.')).collect();
        match keys.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).into())),
            several => Err(self.ambiguous(several.iter().map(|key| (*key).to_string()))),
        }
    }

    /// Whether a name of the model stands anywhere below `key`.
    fn holds(&self, key: &str, model: &Model<'_>) -> bool {
        let inside = format!("{key}.");
        !model.found_under(self.tensors.keys().filter(|name| name.starts_with(&inside))).is_empty()
    }

    /// A prefix that wraps every name.
    fn wrapper(&self, model: &Model<'_>) -> Option<&'static str> {
        let is_one = |prefix: &&str| {
            let mut names = self.tensors.keys().filter(|name| *name != AVERAGED).peekable();
            !model.owns(prefix) && names.peek().is_some() && names.all(|name| name.starts_with(*prefix))
        };
        WRAPPERS.into_iter().find(is_one)
    }

    /// The only prefix under which most of the model is, where none of its names is there without.
    fn common(&self, wanted: Wanted<'_>, model: &Model<'_>) -> Result<Option<Common>, String> {
        if self.tensors.keys().any(|name| model.has(name)) {
            return Ok(None);
        }
        let found = model.found_under(self.tensors.keys());
        let most = found.values().copied().max().unwrap_or(0);
        if most == 0 || 2 * most < model.0.len() {
            return Ok(None);
        }
        let best: Vec<String> =
            found.into_iter().filter(|(_, n)| *n == most).map(|(prefix, _)| prefix.into()).collect();
        if let [one] = best.as_slice() {
            return Ok(Some(Common { prefix: one.clone(), others: Vec::new() }));
        }
        let (averages, raw): (Vec<_>, Vec<_>) = best.into_iter().partition(|prefix| is_average(prefix));
        let (kept, others) = match averages.is_empty() || wanted.source == WeightSource::Raw {
            true => (raw, averages),
            false => (averages, raw),
        };
        match kept.as_slice() {
            [one] => Ok(Some(Common { prefix: one.clone(), others })),
            several => Err(self.ambiguous(several.iter().map(|prefix| prefix.trim_end_matches('.').to_string()))),
        }
    }

    /// Several sets fit: a person must choose.
    fn ambiguous(&self, keys: impl Iterator<Item = String>) -> String {
        let around = if self.under.is_empty() { String::new() } else { format!("{}.", self.under) };
        let keys: Vec<String> = keys.map(|key| format!("{around}{key}")).collect();
        let first = keys.first().cloned().unwrap_or_default();
        format!(
            "weights of this model are in it under {}: say which, for example \"prefix\": \"{first}\"",
            listed(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        )
    }

    /// Goes into the dictionary whose names begin with `inside`, and remembers what is beside it.
    fn descend(&mut self, inside: &str, is_average: bool) {
        let mut beside = BTreeSet::new();
        let mut within = Stored::new();
        for (name, tensor) in std::mem::take(&mut self.tensors) {
            match name.strip_prefix(inside) {
                Some(rest) => drop(within.insert(rest.to_string(), tensor)),
                None => drop(beside.insert(name.split('.').next().unwrap_or_default().to_string())),
            }
        }
        self.tensors = within;
        self.beside.extend(beside);
        if !self.under.is_empty() {
            self.under.push('.');
        }
        self.under.push_str(inside.trim_end_matches('.'));
        if is_average {
            self.source = WeightSource::Ema;
        }
    }

    /// Cuts `prefix` where it is.
    fn cut(&mut self, prefix: &str) -> Result<(), String> {
        self.prefix.push_str(prefix);
        self.rename(prefix, |name| name.strip_prefix(prefix).unwrap_or(name).to_string())
    }

    /// Cuts what wrappers of blocks left within names; whether there was any.
    fn cut_inner(&mut self, model: &Model<'_>) -> Result<bool, String> {
        let is_there = |segment: &&str| self.tensors.keys().any(|name| name.split('.').any(|part| part == *segment));
        let of_model = |segment: &&str| model.0.iter().any(|name| name.split('.').any(|part| part == *segment));
        let found: Vec<&'static str> = INNER.into_iter().filter(|part| is_there(part) && !of_model(part)).collect();
        if found.is_empty() {
            return Ok(false);
        }
        self.inner.extend(&found);
        let without = |name: &str| -> String {
            let kept: Vec<&str> = name.split('.').filter(|part| !found.contains(part)).collect();
            kept.join(".")
        };
        self.rename(&found.join(".` and `"), without)?;
        Ok(true)
    }

    /// Gives every tensor another name; a name that then occurs twice is an error.
    fn rename(&mut self, cut: &str, to: impl Fn(&str) -> String) -> Result<(), String> {
        let mut tensors = Stored::new();
        for (name, tensor) in std::mem::take(&mut self.tensors) {
            let new = to(&name);
            if tensors.contains_key(&new) {
                return Err(format!("`{new}` is there with and without the prefix `{cut}`"));
            }
            tensors.insert(new, tensor);
        }
        self.tensors = tensors;
        Ok(())
    }
}

/// A key of the file under which a set is.
struct Dictionary {
    key: String,
    is_average: bool,
}

/// A prefix of the names, and others that fit as well and were not chosen.
struct Common {
    prefix: String,
    others: Vec<String>,
}

/// Whether a prefix says that an average is under it: `ema.`, `net_ema.`, `EMA.`.
fn is_average(prefix: &str) -> bool {
    has_word(prefix, &["ema"])
}

/// Whether it says so beside raw weights, where other names can hardly be of anything else: `swa.`.
fn may_be_average(prefix: &str) -> bool {
    has_word(prefix, &["ema", "swa", "averaged"])
}

fn has_word(prefix: &str, words: &[&str]) -> bool {
    prefix.split(['.', '_']).any(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)))
}

fn listed(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
