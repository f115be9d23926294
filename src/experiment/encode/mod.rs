//! From a folder of pictures to the latents, features and embedded captions that a training reads.
//!
//! Groups of pictures are shared between devices. Every file is there whole or not at all, and a call that was killed goes on
//! where it was, with the same bytes: a group is computed as a whole whenever one of its files is missing.
mod config;
mod networks;

pub use super::config::TextConfig;
pub use config::{EncodeConfig, FeaturesConfig, RaeEncoderConfig};

use self::networks::Networks;
use super::made_of;
use super::progress::{Progress, Task};
use super::share::share;
use crate::data::encoded::{EncodedFolder, EncodedPart, EncodingIdentity};
use crate::data::to_encode::{PictureSource, Skipped, SourcePicture};
use crate::models::encoders::autoencoder_kl::{SD1_SCALE, SD3_SCALE, SD3_SHIFT};
use crate::{Error, Result, storage};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The file with the `data` section, for `"extends"`.
const DATA: &str = "data.json";

/// What an encoding came to.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodingReport {
    /// Pictures that were encoded by this call.
    pub encoded: usize,
    /// Those that were there already.
    pub there: usize,
    /// Those that could not be read, and why.
    pub skipped: Vec<Skipped>,
    /// What is worth knowing of the pictures and the weights.
    pub notes: Vec<String>,
    /// The file with the `data` section of an experiment on them.
    pub data: PathBuf,
}

/// Encodes all pictures of `config` that are not encoded yet.
///
/// # Errors
/// Those of opening the pictures, the devices and the weights; [`Error::Invalid`] for a folder that holds another encoding;
/// [`Error::Io`] and [`Error::Format`] naming a file that cannot be written.
pub fn encode(config: &EncodeConfig, progress: &dyn Progress) -> Result<EncodingReport> {
    Error::if_any(config.problems())?;
    let source = PictureSource::open(config.pictures.clone())?;
    let mut networks = Vec::new();
    let mut notes = source.notes().to_vec();
    for (i, device) in config.devices.iter().enumerate() {
        let (loaded, said) = Networks::load(config, &device.open()?)?;
        notes.extend(said.into_iter().filter(|_| i == 0));
        networks.push(loaded);
    }
    let Some(first) = networks.first() else { return Err(Error::Invalid("no device".into())) };
    let parts = first.parts(config)?;
    let folder = EncodedFolder::open(&config.to, EncodingIdentity::new(&source, parts.clone(), made_by(config)?))?;
    first.write_null_text(&folder)?;

    let pending: BTreeSet<usize> = folder.pending()?.into_iter().collect();
    let groups: BTreeSet<usize> = pending.iter().map(|index| index / config.batch).collect();
    let groups: Vec<usize> = groups.into_iter().collect();
    let task = Task::begin(progress, "encoding pictures", pending.len() as u64);
    let (done, skipped) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    share(&networks, &groups, |networks, group| {
        let end = source.total().min((group + 1) * config.batch);
        let indices: Vec<usize> = (group * config.batch..end).collect();
        let read = source.read_many(&indices);
        let pictures: Vec<&SourcePicture> = read.iter().filter_map(|picture| picture.as_ref().ok()).collect();
        let captions = pictures.iter().map(|picture| source.caption(picture.index).map(str::to_string));
        let captions: Option<Vec<String>> = captions.collect();
        if !pictures.is_empty() {
            networks.write(&pictures, captions.as_deref(), &pending, config.keep_pictures, &folder)?;
        }
        let made = indices.iter().filter(|index| pending.contains(index)).count() as u64;
        let failed = read.iter().filter_map(|picture| picture.as_ref().err().cloned());
        skipped.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(failed);
        task.at(done.fetch_add(made, Ordering::Relaxed) + made);
        Ok(())
    })?;
    drop(task);
    let mut skipped: Vec<Skipped> = skipped.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    skipped.sort_by_key(|one| one.index);
    folder.finish(source.labels(), &skipped)?;
    let data = config.to.join(DATA);
    let section = serde_json::to_string_pretty(&json!({"data": data_section(config, &parts, &source)}));
    storage::write(&data, section.map_err(|e| Error::Invalid(e.to_string()))?.as_bytes())?;
    let encoded = pending.len() - skipped.iter().filter(|one| pending.contains(&one.index)).count();
    Ok(EncodingReport { encoded, there: source.total() - pending.len(), skipped, notes, data })
}

/// What decides the numbers beside the pictures: sizes and weights of each network, and how many are encoded at a time.
fn made_by(config: &EncodeConfig) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::from([("batch".to_string(), json!(config.batch))]);
    let mut add = |name: &str, made: Result<Value>| {
        found.insert(name.to_string(), made?);
        Ok::<_, Error>(())
    };
    if let Some(part) = &config.autoencoder {
        add("autoencoder", made_of::weighted(json!(part.network), &part.weights, None))?;
    }
    if let Some(part) = &config.rae {
        add("rae", made_of::network(json!([part.network, part.side]), &[&part.file], None))?;
    }
    if let Some(part) = &config.features {
        add("features", made_of::network(json!(part.network), &[&part.file], None))?;
    }
    if let Some(part) = &config.text {
        add("text", made_of::text(part, None))?;
    }
    Ok(found)
}

/// The `data` section of an experiment on what was encoded.
fn data_section(config: &EncodeConfig, parts: &[EncodedPart], source: &PictureSource) -> Value {
    let below = |name: &str| config.to.join(name);
    if let [EncodedPart::Pictures { size }] = parts {
        let folder = below(parts[0].folder());
        return json!({"kind": "images", "folder": folder, "size": size, "held_out": config.held_out});
    }
    let mut section = json!({"kind": "latents", "classes": source.classes(), "held_out": config.held_out});
    if source.total() > source.len() {
        section["mirrors_from"] = json!(source.len());
    }
    for part in parts {
        let folder = below(part.folder());
        match part {
            EncodedPart::Posterior { shape } => {
                let [scale, shift] = if shape[0] == 16 { [SD3_SCALE, SD3_SHIFT] } else { [SD1_SCALE, 0.0] };
                section["folder"] = json!(folder);
                section["shape"] = json!(shape);
                section["posterior"] = json!(true);
                section["scale"] = json!(scale);
                section["shift"] = json!(shift);
            }
            // RAE's latents are what is trained on, where both are made.
            EncodedPart::Latents { shape } => {
                section["folder"] = json!(folder);
                section["shape"] = json!(shape);
                section["posterior"] = json!(false);
                section["scale"] = json!(1.0);
                section["shift"] = json!(0.0);
            }
            EncodedPart::Features { .. } => section["features"] = json!([folder]),
            EncodedPart::Text { .. } => section["text"] = json!(folder),
            EncodedPart::Pictures { .. } => {}
        }
    }
    section
}
