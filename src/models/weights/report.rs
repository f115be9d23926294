//! What an import did, for people.
use super::WeightSource;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

/// How many lines a message lists before it only counts.
const LISTED: usize = 20;
/// How many keys one line names.
const NAMED: usize = 6;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// The set of weights that was found: [`WeightSource::Ema`] or [`WeightSource::Raw`].
    pub source: WeightSource,
    /// The dictionaries of the file that the set is in, such as `state_dict` or `checkpoint.ema`; empty if none.
    pub under: String,
    /// The keys of the file beside that set, which were not looked at.
    pub beside: Vec<String>,
    /// What was cut from the beginning of names in the file, such as `model.diffusion_model.`; empty if nothing.
    pub prefix: String,
    /// What was cut wherever it was in names, such as `_orig_mod`.
    pub inner: Vec<&'static str>,
    /// How many tensors were loaded.
    pub loaded: usize,
    /// Parameters the file did not have (allowed by the options); they keep their values.
    pub missing: Vec<String>,
    /// Parameters that keep their values as the options say, whatever the file has.
    pub replaced: Vec<String>,
    /// Tensors the model did not have (allowed by the options).
    pub unused: Vec<String>,
    /// How many tensors the file has of known parts that no network here has, such as `first_stage_model`.
    pub parts: BTreeMap<&'static str, usize>,
}

impl Display for ImportReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let source = if self.source == WeightSource::Ema { "EMA" } else { "raw" };
        write!(f, "{} tensors loaded from the {source} weights", self.loaded)?;
        if !self.under.is_empty() {
            write!(f, " under `{}`", self.under)?;
        }
        if !self.beside.is_empty() {
            write!(f, " ({} left alone)", named(&self.beside))?;
        }
        if !self.prefix.is_empty() {
            write!(f, ", names without `{}`", self.prefix)?;
        }
        for inner in &self.inner {
            write!(f, ", without `{inner}.` in names")?;
        }
        for (part, count) in &self.parts {
            write!(f, "; {count} tensors under `{part}` are not needed")?;
        }
        let lists = [
            ("missing in the file, kept", &self.missing),
            ("kept new, as the options say", &self.replaced),
            ("unused", &self.unused),
        ];
        for (what, names) in lists {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "\n{} {what}:{}", names.len(), lines(&names, LISTED))?;
            }
        }
        Ok(())
    }
}

/// `a`, `b`, and how many more.
fn named(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    if names.len() > NAMED {
        shown.push(format!("{} more", names.len() - NAMED));
    }
    shown.join(", ")
}

/// One indented line each, for the first few.
pub(super) fn lines(entries: &[String], most: usize) -> String {
    let mut text: String = entries.iter().take(most).map(|entry| format!("\n  {entry}")).collect();
    if entries.len() > most {
        text.push_str(&format!("\n  and {} more", entries.len() - most));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_does_not_drown_the_reader() {
        let mut report = ImportReport {
            source: WeightSource::Ema,
            under: String::new(),
            beside: Vec::new(),
            prefix: "module.".into(),
            inner: Vec::new(),
            loaded: 7,
            missing: vec!["a.b".into()],
            replaced: Vec::new(),
            unused: (0..300).map(|i| format!("vae.{i}")).collect(),
            parts: BTreeMap::new(),
        };
        let text = report.to_string();
        assert!(
            text.starts_with("7 tensors loaded from the EMA weights, names without `module.`\n1 missing"),
            "{text}"
        );
        assert!(text.contains("300 unused:\n  `vae.0`") && text.ends_with("`vae.19`\n  and 280 more"), "{text}");
        report.under = "state_dict.ema".into();
        report.beside = vec!["model".into(), "opt".into()];
        report.inner = vec!["_orig_mod"];
        report.parts = [("first_stage_model", 30)].into();
        report.replaced = vec!["pos_embed".into()];
        let text = report.to_string();
        let first = "7 tensors loaded from the EMA weights under `state_dict.ema` (`model`, `opt` left alone), \
                     names without `module.`, without `_orig_mod.` in names; 30 tensors under `first_stage_model` are not needed\n";
        assert!(text.starts_with(first) && text.contains("1 kept new, as the options say:\n  `pos_embed`\n"), "{text}");
    }
}
