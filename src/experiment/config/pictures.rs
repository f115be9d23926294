//! What samples look like as pictures: whether they are some, of which size, and how their values become bytes.
use super::{ExperimentConfig, add};
use crate::Problem;
use crate::data::{Form, PixelRule};
use crate::models::NetworkConfig;

impl ExperimentConfig {
    /// Whether samples become pictures: they are pictures, or something decodes them.
    pub fn makes_pictures(&self) -> bool {
        self.sample.decoder.is_some() || self.sample.autoencoder.is_some() || self.data.form() == Form::Pictures
    }

    /// Height and width of the pictures that samples of `shape` `[C, H, W]` become.
    pub fn picture_sides(&self, [_, height, width]: [usize; 3]) -> [usize; 2] {
        if let Some(decoder) = &self.sample.decoder {
            return [decoder.network.num_patches.isqrt() * decoder.network.patch_size; 2];
        }
        let enlarged = self.sample.autoencoder.as_ref().map_or(1, |part| part.network.pixels_per_latent());
        [height * enlarged, width * enlarged]
    }

    /// How values become bytes: as `sample.pixel_rule` says, or else as the official code of the network's system does.
    pub fn pixel_rule(&self) -> PixelRule {
        let of_system = || match self.network {
            _ if self.sample.decoder.is_some() => PixelRule::TruncatedUnit,
            NetworkConfig::Repa(_) | NetworkConfig::Mmdit(_) => PixelRule::Truncated,
            _ => PixelRule::Rounded,
        };
        self.sample.pixel_rule.unwrap_or_else(of_system)
    }

    pub(super) fn pixel_rule_problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Some(rule) = self.sample.pixel_rule else { return problems };
        let is_of_unit = rule == PixelRule::TruncatedUnit;
        if is_of_unit != self.sample.decoder.is_some() {
            let name = if is_of_unit { "truncated_unit" } else { "rounded and truncated" };
            let message = format!(": {name} is for values in {}", if is_of_unit { "[0, 1], RAE's" } else { "[-1, 1]" });
            add(&mut problems, format!("{path}.pixel_rule"), message);
        }
        problems
    }
}
