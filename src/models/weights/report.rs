//! What an import did, for people.
use super::WeightSource;
use std::fmt::{Display, Formatter};

/// How many names a message lists before it only counts.
const LISTED: usize = 20;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The set of weights that was found: [`WeightSource::Ema`] or [`WeightSource::Raw`].
    pub source: WeightSource,
    /// What was cut from the names in the file, such as `model.diffusion_model.`; empty if nothing.
    pub prefix: String,
    /// How many tensors were loaded.
    pub loaded: usize,
    /// Parameters the file did not have (allowed by the options); they keep their values.
    pub missing: Vec<String>,
    /// Tensors the model did not have (allowed by the options).
    pub unused: Vec<String>,
}

impl Display for ImportReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let source = if self.source == WeightSource::Ema { "EMA" } else { "raw" };
        write!(f, "{} tensors loaded from the {source} weights", self.loaded)?;
        if !self.prefix.is_empty() {
            write!(f, ", names without `{}`", self.prefix)?;
        }
        for (what, names) in [("missing in the file, kept", &self.missing), ("unused", &self.unused)] {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "\n{} {what}:{}", names.len(), lines(&names))?;
            }
        }
        Ok(())
    }
}

/// One indented line each, for the first few.
pub(super) fn lines(entries: &[String]) -> String {
    let mut text: String = entries.iter().take(LISTED).map(|entry| format!("\n  {entry}")).collect();
    if entries.len() > LISTED {
        text.push_str(&format!("\n  and {} more", entries.len() - LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_does_not_drown_the_reader() {
        let report = ImportReport {
            source: WeightSource::Ema,
            prefix: "module.".into(),
            loaded: 7,
            missing: vec!["a.b".into()],
            unused: (0..300).map(|i| format!("vae.{i}")).collect(),
        };
        let text = report.to_string();
        assert!(
            text.starts_with("7 tensors loaded from the EMA weights, names without `module.`\n1 missing"),
            "{text}"
        );
        assert!(text.contains("300 unused:\n  `vae.0`") && text.ends_with("`vae.19`\n  and 280 more"), "{text}");
    }
}
