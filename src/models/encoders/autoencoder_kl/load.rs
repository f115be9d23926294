//! Released weights in, whatever their layout.
use super::layouts::{Found, Layout};
use super::{AutoencoderKl, AutoencoderKlConfig, OFFICIAL_NAMES};
use crate::models::layers::Law;
use crate::models::weights::{ImportOptions, ImportReport, KeyMap, import_stored};
use crate::{Error, Result, tensor_file};
use burn::tensor::Device;
use std::path::Path;

/// What the training code of CompVis keeps beside an autoencoder: its discriminator.
const DISCRIMINATOR: &str = "loss";

impl AutoencoderKl {
    /// The autoencoder of `file`, in `f32`, whatever the type of numbers there.
    ///
    /// The layout of names is recognised: diffusers', diffusers' before version 0.17 (`query`, `key`, `value`, `proj_attn`), and
    /// that of CompVis and Stability, each alone or below a prefix such as `first_stage_model.` or `vae.` beside other networks,
    /// which are left alone. The report has diffusers' names. Options are as for [`import`](crate::models::weights::import).
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition of `config`; else as [`import`](crate::models::weights::import).
    pub fn load(
        config: &AutoencoderKlConfig,
        file: &Path,
        options: &ImportOptions,
        device: &Device,
    ) -> Result<(Self, ImportReport)> {
        let empty = config.build(Law::Zeros, device)?;
        let mut stored = tensor_file::open(file)?;
        let mut options = options.clone();
        let within =
            options.prefix.as_ref().map_or(String::new(), |prefix| format!("{}.", prefix.trim_end_matches('.')));
        let found = Found::among(stored.keys(), config, &within);
        if let Some(found) = &found {
            stored = found.official(stored, config);
            if let [prefix] = found.prefixes.as_slice() {
                let discriminator = format!("{prefix}{DISCRIMINATOR}.");
                if stored.keys().any(|name| name.starts_with(&discriminator)) {
                    options.allow_unused.push(DISCRIMINATOR.into());
                }
                options.prefix = (!prefix.is_empty()).then(|| prefix.clone());
            }
        }
        let loaded = import_stored(&empty, file, stored, &options, KeyMap(OFFICIAL_NAMES));
        loaded.map_err(|error| match (error, found) {
            (Error::Weights(message), Some(Found { layout, .. })) if layout != Layout::Diffusers => {
                let whose = layout.whose();
                Error::Weights(format!(
                    "{message}\nnames of the file are {whose}, and are told here as diffusers has them"
                ))
            }
            (error, _) => error,
        })
    }
}
