//! The JSON of an encoding: which pictures, what becomes of them, and where it goes.
use crate::data::HeldOut;
use crate::data::to_encode::{Captions, Flips, PictureSourceConfig};
use crate::experiment::config::{AutoencoderConfig, TextConfig};
use crate::models::encoders::dinov2::DinoV2Config;
use crate::post_train::{DeviceName, misfit};
use crate::{Error, Problem, Result, json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An encoding. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncodeConfig {
    /// What an editor checks this file with.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Where networks run: groups of pictures are shared between devices.
    #[serde(default = "cpu")]
    pub devices: Vec<DeviceName>,
    /// The pictures.
    pub pictures: PictureSourceConfig,
    /// The folder of what they become.
    pub to: PathBuf,
    /// Latents of Stable Diffusion's autoencoder, for SiT, REPA and Stable Diffusion 3.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoencoder: Option<AutoencoderConfig>,
    /// Latents of RAE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rae: Option<RaeEncoderConfig>,
    /// Features that REPA's projectors are aligned with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeaturesConfig>,
    /// Embedded captions, for Stable Diffusion 3.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// Whether the cropped pictures are kept as well, as REPA's preprocessing does.
    #[serde(default)]
    pub keep_pictures: bool,
    /// Pictures that are encoded at a time. What a picture becomes may differ by it in last digits.
    #[serde(default = "batch")]
    pub batch: usize,
    /// What the `data` section that is written at the end holds out.
    #[serde(default = "held_out")]
    pub held_out: HeldOut,
}

fn cpu() -> Vec<DeviceName> {
    vec![DeviceName::default()]
}

fn batch() -> usize {
    8
}

fn held_out() -> HeldOut {
    HeldOut::Share(0.05)
}

/// DINOv2 with registers, as RAE reads pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RaeEncoderConfig {
    /// Its sizes; those of DINOv2-B with 4 registers if left out.
    #[serde(default = "DinoV2Config::base_with_registers")]
    pub network: DinoV2Config,
    /// Its weights.
    pub file: PathBuf,
    /// The side to which pictures are resized: 224 for pictures of 256, 448 for 512.
    #[serde(default = "rae_side")]
    pub side: usize,
}

fn rae_side() -> usize {
    224
}

/// DINOv2, as REPA aligns with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Its sizes; those of DINOv2-B if left out.
    #[serde(default = "DinoV2Config::base")]
    pub network: DinoV2Config,
    /// Its weights.
    pub file: PathBuf,
}

impl EncodeConfig {
    /// The encoding of a JSON file, whose values are in range.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`], and [`Error::ConfigFile`] with every problem.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
        let json = json::parse(&bytes).map_err(|message| Error::format(file, message))?;
        let config = misfit::read::<Self>(&json, "the encoding").and_then(|config| {
            Error::if_any(config.problems())?;
            Ok(config)
        });
        config.map_err(|error| match error {
            Error::Config(problems) => Error::ConfigFile { path: file.to_path_buf(), problems },
            other => other,
        })
    }

    /// The JSON schema of the file, for editors.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Every value out of its range.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.pictures.problems("pictures");
        let mut must = |holds: bool, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut problems, holds, "", key, value, condition);
        };
        must(self.batch > 0, "batch", &self.batch, "must be at least 1");
        must(!self.to.as_os_str().is_empty(), "to", &"\"\"", "must name a folder");
        must(!self.devices.is_empty(), "devices", &"[]", "must name at least one device");
        let parts = [
            self.autoencoder.is_some(),
            self.rae.is_some(),
            self.features.is_some(),
            self.text.is_some(),
            self.keep_pictures,
        ];
        let what = "must not all be left out: nothing would be made of the pictures";
        let any = parts.iter().any(|part| *part);
        must(any, "autoencoder, rae, features, text, keep_pictures", &"absent", what);
        let only_pictures = parts == [false, false, false, false, true];
        let mirrored = only_pictures && self.pictures.flips == Flips::Both;
        let must = "must be \"none\" where pictures alone are kept: `data.flip` mirrors them in training";
        Problem::unless(&mut problems, !mirrored, "pictures", "flips", "\"both\"", must);
        if let Some(autoencoder) = &self.autoencoder {
            problems.extend(autoencoder.network.problems("autoencoder.network"));
            let side = autoencoder.network.pixels_per_latent();
            let size = self.pictures.size;
            let must = format!("must be a multiple of {side}, the pixels of a latent");
            Problem::unless(&mut problems, size.is_multiple_of(side.max(1)), "pictures", "size", size, must);
        }
        if let Some(rae) = &self.rae {
            problems.extend(rae.network.problems("rae.network"));
        }
        if let Some(features) = &self.features {
            problems.extend(features.network.problems("features.network"));
            let must = "must be a multiple of 256, as REPA's features are of such pictures";
            let size = self.pictures.size;
            Problem::unless(&mut problems, size.is_multiple_of(256), "pictures", "size", size, must);
        }
        if let Some(text) = &self.text {
            problems.extend(text.problems("text"));
            let captions = self.pictures.captions != Captions::None;
            let must = "must name captions, as `text` embeds them";
            Problem::unless(&mut problems, captions, "pictures", "captions", "none", must);
        }
        problems.extend(self.held_out.problems(""));
        problems
    }
}
