//! The one step at which a training failed, done again.
use super::fault_report::FaultReport;
use super::sitting::Sitting;
use super::stage::Stage;
use crate::network::PredictionNetwork;
use crate::train::FlowBatch;
use crate::{Error, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::{Module, ModuleDisplay, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::train::TrainStep;
use std::collections::BTreeSet;

/// What was found in doing a step again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The step, counted from 0.
    pub step: usize,
    /// What the training had said.
    pub why: String,
    /// Its samples, in their order.
    pub samples: Vec<ReplayedSample>,
    /// Parameters whose gradient is not finite.
    pub parameters: Vec<String>,
}

/// One sample of a step that was done again.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedSample {
    /// The index of the training item.
    pub item: usize,
    /// What it is called; empty if it has no name.
    pub name: String,
    /// Its training timestep t.
    pub training: f32,
    /// Its slowed timestep m.
    pub slowed: f32,
    /// Whether its data are finite.
    pub is_finite: bool,
    /// The loss that the network makes of it.
    pub loss: f32,
}

impl Stage<'_> {
    /// Does the step again at which the training in the folder failed, with the weights and draws that it had. Nothing is
    /// written.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the training did not fail at a batch, or has gone on since; as [`run`](Self::run).
    pub fn replay<I, N, const D: usize>(
        &self,
        network: N,
        train: impl Dataset<I> + 'static,
        held_out: usize,
        batcher: impl Batcher<I, FlowBatch<D, N::Condition>>,
    ) -> Result<Replay>
    where
        I: Send + Sync + 'static,
        N: PredictionNetwork<D> + ModuleDisplay + 'static,
    {
        Error::if_any(self.problems())?;
        let folder = self.folder.display();
        let report = FaultReport::read(&self.folder)?
            .ok_or_else(|| Error::Invalid(format!("{folder}: no step failed here: there is nothing to do again")))?;
        let is_whole = !report.items.is_empty() && report.items.len() == report.keys.len();
        if !is_whole || report.items.iter().any(|item| *item >= train.len()) {
            let message = "damaged: its items and keys must be as many, and items of the training data; remove it";
            return Err(Error::format(self.folder.join(FaultReport::FILE), message));
        }
        let alone = Stage { devices: self.devices[..1].to_vec(), ..self.clone() };
        let sitting = Sitting { stage: &alone, rollbacks: Vec::new() };
        let step = sitting.step_at(network, [train.len(), held_out], report.step)?;
        let mut replay = Replay { step: report.step, why: report.why, samples: Vec::new(), parameters: Vec::new() };
        let mut parameters = BTreeSet::new();
        let size = (self.config.batch_size / self.config.accumulation.max(1)).max(1);
        for (place, (items, keys)) in report.items.chunks(size).zip(report.keys.chunks(size)).enumerate() {
            let loaded = train.get_many(items.to_vec()).map_err(|e| Error::Training(e.to_string()))?;
            let mut batch = batcher.batch(loaded, &self.devices[0].clone().autodiff());
            let finite = finite_samples(&batch.data)?;
            batch.keys = Some(keys.iter().map(|key| (*key).into()).collect());
            let done = TrainStep::step(&step, batch);
            if let Some(fault) = step.fault() {
                return Err(Error::Training(fault.to_string()));
            }
            let losses = done.item.loss.try_into_vec_as::<f32>().map_err(|e| Error::Training(e.to_string()))?;
            for (i, (item, loss)) in items.iter().zip(losses).enumerate() {
                let name = report.names.get(place * size + i).cloned().unwrap_or_default();
                let times = done.item.timesteps.get(i).copied();
                let (training, slowed) = times.map_or((f32::NAN, f32::NAN), |t| (t.training, t.slowed));
                let is_finite = finite.get(i).copied().unwrap_or_default();
                replay.samples.push(ReplayedSample { item: *item, name, training, slowed, is_finite, loss });
            }
            parameters.extend(not_finite(step.network(), &done.grads));
        }
        replay.parameters = parameters.into_iter().collect();
        Ok(replay)
    }
}

/// Whether each sample is finite.
fn finite_samples<const D: usize>(data: &Tensor<D>) -> Result<Vec<bool>> {
    let count = data.dims()[0].max(1);
    let values = data.clone().into_data().try_into_vec_as::<f32>().map_err(|e| Error::Training(e.to_string()))?;
    let size = (values.len() / count).max(1);
    Ok(values.chunks(size).map(|sample| sample.iter().all(|value| value.is_finite())).collect())
}

/// The paths of the parameters whose gradient is not finite.
fn not_finite<M: Module>(network: &M, gradients: &GradientsParams) -> Vec<String> {
    struct Visit<'a> {
        gradients: &'a GradientsParams,
        path: Vec<String>,
        found: Vec<String>,
    }
    impl ModuleVisitor for Visit<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.gradients.get::<D>(param.id);
            if gradient.is_some_and(|gradient| !gradient.abs().sum().into_scalar::<f32>().is_finite()) {
                self.found.push(self.path.join("."));
            }
        }
    }
    let mut visit = Visit { gradients, path: Vec::new(), found: Vec::new() };
    network.visit(&mut visit);
    visit.found
}
