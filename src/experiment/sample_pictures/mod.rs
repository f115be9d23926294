//! Samples as pictures on disk, some at a time on every device: as many as anyone asks for, whatever the memory.
//!
//! A picture is a function of the weights, the seed and its own index, and neither of those drawn with it nor of the device. A
//! call that was killed goes on with what is missing: a batch is drawn as a whole whenever one of its pictures is missing, so
//! that the bytes are those of a call that was not.
mod conditions;
mod prompts;

use self::conditions::Conditions;
use super::Experiment;
use super::config::PromptsConfig;
use super::generate::check_finite;
use super::generator::Generator;
use super::kept_weights::weights_file;
use super::opened::not_there;
use super::pixels::PictureMaker;
use super::progress::Task;
use super::prompts::{Benchmark, PromptSet};
use super::sample_files::{SampleFolder, SampleLayout};
use super::share::share;
use super::{files, kept_hash, made_of};
use crate::sample::{SampleNoise, WeakGuidanceConfig};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a call drew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnPictures {
    /// Pictures that this call drew.
    pub drawn: usize,
    /// Those that were there already.
    pub there: usize,
    /// The archive of all of them, if it was asked for.
    pub archive: Option<PathBuf>,
}

impl Experiment {
    /// Draws what is missing in `to` of the pictures that the section `sample` asks for, with the average that a finished
    /// training left in the folder `weights`, or with the weights of `start` where there is none: `sample.count` of them, numbered, or those of its prompts. `archive` adds one
    /// `.npz` of all, as ADM's evaluator reads it.
    ///
    /// # Errors
    /// [`Error::Config`] for files of prompts that are not there; [`Error::Invalid`] if samples are no pictures, naming every prompt that cannot be the name of a file, for an archive of
    /// prompts, and for samples that are not finite; as [`SampleFolder::open`], [`trained`](Self::trained) and [`start`](Self::start); those of
    /// reading the decoder, the weak network and the text encoders; [`Error::Io`].
    pub fn sample_pictures(&self, weights: Option<&Path>, to: &Path, archive: bool) -> Result<DrawnPictures> {
        let (config, sample) = (self.config(), &self.config().sample);
        self.are_pictures()?;
        if archive && sample.prompts.is_some() {
            let message = "sample.prompts: their scorers read single pictures, and no archive";
            return Err(Error::Invalid(message.into()));
        }
        Error::if_any(not_there(sample.prompts.iter().flat_map(PromptsConfig::files)))?;
        let layout = self.layout()?;
        let sides = config.picture_sides(self.data().shape);
        let folder = SampleFolder::open(to, layout, sides, &self.pictures_made_of(weights)?)?;
        let pending: BTreeSet<usize> = folder.pending()?.into_iter().collect();
        if !pending.is_empty() {
            self.draw(weights, &folder, &pending)?;
        }
        folder.finish()?;
        let total = folder.layout().total();
        let archive = archive.then(|| {
            let labels: Option<Vec<i64>> =
                (!config.network.reads_text()).then(|| (0..total as u64).map(|index| self.label(index)).collect());
            folder.write_npz(labels.as_deref())
        });
        let drawn = pending.len();
        Ok(DrawnPictures { drawn, there: total - drawn, archive: archive.transpose()? })
    }

    fn layout(&self) -> Result<SampleLayout> {
        let sample = &self.config().sample;
        let Some(prompts) = &sample.prompts else { return Ok(SampleLayout::Numbered { count: sample.count }) };
        let set = PromptSet::read(&prompts.file)?;
        let asked = if set.benchmark() == Benchmark::GenEval { 4 } else { 10 };
        Ok(SampleLayout::Prompts { set, per_prompt: prompts.per_prompt.unwrap_or(asked) })
    }

    /// What decides the pictures beside their index. A batch is none of it.
    fn pictures_made_of(&self, weights: Option<&Path>) -> Result<Value> {
        let (config, sample, cache) = (self.config(), &self.config().sample, Some(self.cache()));
        let mut sampler = json!(sample.sampler);
        if let Some(keys) = sampler.as_object_mut() {
            keys.remove("batch_size");
        }
        let weights = match weights {
            Some(folder) => kept_hash::of_path(&weights_file(folder), cache)?,
            None => files::hash(&self.start_made_of()?),
        };
        let mut found = json!({
            "weights": weights,
            "network": config.network,
            "flow": config.flow,
            "sampler": sampler,
            "seed": sample.seed,
            "scaling": files::hash(&format!("{:?}", self.data().scaling)),
            "pixel_rule": config.pixel_rule(),
        });
        if let Some(decoder) = &sample.decoder {
            found["decoder"] = made_of::weighted(json!(decoder.network), &decoder.weights, cache)?;
        }
        if let Some(autoencoder) = &sample.autoencoder {
            found["decoder"] = made_of::weighted(json!(autoencoder.network), &autoencoder.weights, cache)?;
        }
        match (&sample.sampler.weak_guidance, &sample.weak) {
            (Some(WeakGuidanceConfig::Autoguidance { .. }), Some(weak)) => {
                found["weak"] = made_of::weighted(json!(weak.network), &weak.weights, cache)?;
            }
            (Some(WeakGuidanceConfig::SkipLayer { .. }), _) => found["skipped_layers"] = json!(sample.skipped_layers),
            _ => {}
        }
        match &sample.prompts {
            Some(prompts) => found["text"] = made_of::text(&prompts.text, cache)?,
            None if config.network.reads_text() => found["held_out"] = json!(self.data_fingerprint()?),
            None => found["labels"] = json!([sample.labels, self.data().classes]),
        }
        Ok(found)
    }

    fn draw(&self, weights: Option<&Path>, folder: &SampleFolder, pending: &BTreeSet<usize>) -> Result<()> {
        let batch = self.config().sample.sampler.batch_size;
        let groups: BTreeSet<usize> = pending.iter().map(|index| index / batch).collect();
        let groups: Vec<usize> = groups.into_iter().collect();
        // First, so that the text encoders are gone before the network comes.
        let conditions = Conditions::new(self, folder.layout(), &groups, batch)?;
        let network = weights.map_or_else(|| Ok(self.start()?.0), |folder| self.trained(folder))?;
        let generators = Generator::on_each_device(self, &network, &self.config().sample.sampler)?;
        drop(network);
        let worker = |generator: Generator| {
            let maker = self.picture_maker(generator.device())?;
            Ok(Worker { generator, maker })
        };
        let workers = generators.into_iter().map(worker).collect::<Result<Vec<_>>>()?;
        let task = Task::begin(self.progress(), "drawing pictures", pending.len() as u64);
        let done = AtomicU64::new(0);
        share(&workers, &groups, |worker, group| {
            let total = folder.layout().total();
            let indices: Vec<usize> = (group * batch..total.min((group + 1) * batch)).collect();
            let pictures = worker.pictures(self, folder.layout(), &conditions, &indices)?;
            for (index, rgb) in indices.iter().zip(&pictures).filter(|(index, _)| pending.contains(index)) {
                folder.write(*index, rgb)?;
                task.at(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Ok(())
        })
    }
}

/// What draws on one device.
struct Worker {
    generator: Generator,
    maker: PictureMaker,
}

impl Worker {
    /// The bytes of some pictures.
    fn pictures(
        &self,
        experiment: &Experiment,
        layout: &SampleLayout,
        conditions: &Conditions,
        indices: &[usize],
    ) -> Result<Vec<Vec<u8>>> {
        let condition = conditions.of(experiment, indices, self.generator.device())?;
        let positions: Vec<u64> = indices.iter().map(|index| layout.noise_position(*index)).collect();
        let noise = SampleNoise { seed: experiment.config().sample.seed, positions: &positions };
        let samples = self.generator.draw(experiment.data().shape, condition, noise, &mut |_| ())?;
        check_finite(&samples)?;
        self.maker.bytes(&samples)
    }
}
