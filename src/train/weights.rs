//! What a training step records: its networks and its count, without what is frozen under adapters.
use super::MixFlowTrainStep;
use super::shards::Copies;
use crate::adapter::recorded;
use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param, ParamGroup,
};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Device, Int, Tensor};
use std::fmt::{Display, Formatter};

/// The network, its average, and how many updates were made.
#[derive(Module, Debug)]
pub(super) struct Weights<N: Module> {
    /// The raw network.
    pub network: N,
    /// Its average.
    pub ema: N,
    /// Optimizer steps done, saved with the weights.
    pub updates: Param<Tensor<1, Int>>,
}

impl<N: Module + ModuleDisplay> Weights<N> {
    /// What a record of them holds: all of them, or what is not frozen under adapters.
    pub fn recorded(&self) -> Option<ParamGroup> {
        recorded(self)
    }
}

/// As it would be derived, but for the record.
impl<N: Module + ModuleDisplay, const D: usize> Module for MixFlowTrainStep<N, D> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.weights.collect_devices(devices)
    }

    /// Spread over several devices, it stays: a step makes the copy that it needs.
    fn fork(self, device: &Device) -> Self {
        match self.settings.shards {
            Some(_) => self,
            None => Self { weights: self.weights.fork(device), ..self },
        }
    }

    fn to_device(self, device: &Device) -> Self {
        match self.settings.shards {
            Some(_) => self,
            None => Self { weights: self.weights.to_device(device), ..self },
        }
    }

    fn train(self) -> Self {
        Self { weights: self.weights.train(), ..self }
    }

    fn valid(&self) -> Self {
        let (settings, progress) = (self.settings.clone(), self.progress.clone());
        Self { weights: self.weights.valid(), settings, progress, copies: Copies::default() }
    }

    fn materialize(self) -> Self {
        Self { weights: self.weights.materialize(), ..self }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.weights.visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self { weights: self.weights.map(mapper), ..self }
    }

    fn into_record(self) -> ModuleRecord {
        let on_cpu = self.devices().iter().all(|device| device.clone().inner() == Device::flex());
        let record = match self.weights.recorded() {
            Some(group) => self.weights.into_record_group(group),
            None => self.weights.into_record(),
        };
        if on_cpu { record } else { read(record) }
    }

    fn try_load_record(self, record: ModuleRecord) -> Result<Self, RecordError> {
        let record = match self.weights.recorded() {
            None => record,
            Some(group) => {
                // What is not there is not missed by Burn then: it is counted here.
                let (found, expected) = (record.len(), self.weights.clone().into_record_group(group).len());
                if found != expected {
                    let message = format!("{found} tensors for the {expected} that are trained beside frozen weights");
                    return Err(RecordError::Validation(message));
                }
                record.allow_partial(true)
            }
        };
        let mut weights = self.weights.try_load_record(record)?;
        if let Some(shards) = &self.settings.shards {
            weights.network = shards.scattered(weights.network);
            weights.ema = shards.scattered(weights.ema);
        }
        Ok(Self { weights, ..self })
    }
}

/// The same record, in memory. Burn copies numbers from a GPU when they are first looked at, which may be in another thread and
/// after the next step has written over them.
fn read(record: ModuleRecord) -> ModuleRecord {
    let read = record.clone().into_bytes().and_then(ModuleRecord::from_bytes);
    read.unwrap_or(record)
}

impl<N: Module + ModuleDisplay, const D: usize> Clone for MixFlowTrainStep<N, D> {
    fn clone(&self) -> Self {
        let Self { weights, settings, progress, copies } = self;
        let (settings, progress, copies) = (settings.clone(), progress.clone(), copies.clone());
        Self { weights: weights.clone(), settings, progress, copies }
    }
}

impl<N: Module + ModuleDisplay, const D: usize> Display for MixFlowTrainStep<N, D> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ModuleDisplay::format(self, Default::default()))
    }
}

impl<N: Module + ModuleDisplay, const D: usize> ModuleDisplayDefault for MixFlowTrainStep<N, D> {
    fn content(&self, content: Content) -> Option<Content> {
        let Weights { network, ema, updates } = &self.weights;
        content
            .set_top_level_type("MixFlowTrainStep")
            .add("network", network)
            .add("ema", ema)
            .add("updates", updates)
            .add_debug_attribute("settings", &self.settings)
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<N: Module + ModuleDisplay, const D: usize> ModuleDisplay for MixFlowTrainStep<N, D> {}
