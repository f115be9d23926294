//! Where the names in files differ from the paths in a module.

/// Renames runs of dotted segments: `("modulation", "adaLN_modulation.1")` maps `blocks.0.modulation.weight` to
/// `blocks.0.adaLN_modulation.1.weight` and back.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyMap<'a>(pub &'a [(&'a str, &'a str)]);

impl KeyMap<'_> {
    /// The name in files of the parameter at `path` in the module.
    pub fn to_file(&self, path: &str) -> String {
        self.0.iter().fold(path.to_string(), |name, (here, there)| rename(&name, here, there))
    }

    /// The path in the module of the tensor called `name` in files.
    pub fn to_module(&self, name: &str) -> String {
        self.0.iter().rev().fold(name.to_string(), |path, (here, there)| rename(&path, there, here))
    }
}

fn rename(name: &str, from: &str, to: &str) -> String {
    let dotted = format!(".{name}.").replace(&format!(".{from}."), &format!(".{to}."));
    dotted.trim_matches('.').to_string()
}

/// Whether `name` is `entry` or lies below it: `decoder` covers `decoder` and all `decoder.*`.
pub(super) fn covers(entry: &str, name: &str) -> bool {
    name.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let map = KeyMap(&[("t.first", "t.mlp.0"), ("modulation", "adaLN_modulation.1")]);
        for (here, there) in [
            ("t.first.weight", "t.mlp.0.weight"),
            ("blocks.0.modulation.bias", "blocks.0.adaLN_modulation.1.bias"),
            ("other.demodulation.bias", "other.demodulation.bias"),
        ] {
            assert_eq!(map.to_file(here), there);
            assert_eq!(map.to_module(there), here);
        }
    }
}
