//! The networks that are compared, and what both sides are told about one.
use crate::Outcome;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::models::{NetworkConfig, ResidualMlpConfig, SitConfig};
use burn_mixflow::post_train::{DeviceName, OptimizerConfig};
use burn_mixflow::train::{EmaConfig, Precision};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A network, its batch, and how it is trained.
#[derive(Debug, Clone)]
pub struct Size {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether it is compared without being named.
    pub by_default: bool,
    pub training: Training,
}

/// What is trained, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Training {
    pub network: NetworkConfig,
    pub batch: usize,
    /// The mixture range of MixFlow.
    pub gamma: f64,
    pub condition_dropout: f64,
    pub optimizer: OptimizerConfig,
    pub ema: EmaConfig,
}

impl Training {
    fn sit(batch: usize, network: SitConfig) -> Self {
        Self { condition_dropout: network.class_dropout_prob, ..Self::new(batch, NetworkConfig::Sit(network)) }
    }

    /// SiT's optimizer with a clipped gradient, and the paper's γ for SiT.
    fn new(batch: usize, network: NetworkConfig) -> Self {
        let optimizer = OptimizerConfig { clip: Some(1.0), ..Default::default() };
        Self { network, batch, gamma: 0.8, condition_dropout: 0.0, optimizer, ema: EmaConfig::default() }
    }

    /// One sample: channels, height, width.
    pub fn shape(&self) -> Outcome<[usize; 3]> {
        match &self.network {
            NetworkConfig::Sit(c) => Ok([c.in_channels, c.input_size, c.input_size]),
            NetworkConfig::ResidualMlp(c) => Ok([c.channels, c.size, c.size]),
            _ => {
                Err("only `sit` and `residual_mlp` are written in PyTorch here: see benches/compare/networks.py".into())
            }
        }
    }
}

/// What a process is told, in a file that both languages read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    #[serde(flatten)]
    pub training: Training,
    pub device: DeviceName,
    pub threads: usize,
    pub precision: Precision,
    /// Whether PyTorch compiles the network.
    pub compiled: bool,
    /// PyTorch's kind of AdamW; it tries which is the fastest if left out.
    pub adamw: Option<String>,
    /// Steps whose draws are in the file.
    pub losses: usize,
    /// Where weights and draws lie.
    pub folder: PathBuf,
}

/// Every size.
pub fn all() -> Outcome<Vec<Size>> {
    let size = |name, about, training| Size { name, about, by_default: true, training };
    let named = SitConfig::named;
    let when_named = |name, about, training| Size { by_default: false, ..size(name, about, training) };
    let for_update = "SiT-B/2, batch 8, only when named: for the share of the update";
    let [base, large] =
        ["SiT-B/2, batch 64, only when named: for a GPU", "SiT-XL/2, batch 32, only when named: for a GPU"];
    Ok(vec![
        size("main", "the SiT of configs/emoji/mixflow.json", main_job()?),
        size("small", "SiT, 16 tokens of 128, 4 blocks, batch 64", Training::sit(64, small())),
        size("mlp", "residual MLP, 1×16×16, batch 128", Training::new(128, residual_mlp())),
        size("wide", "SiT, 256 tokens of 384, 6 blocks, batch 8", Training::sit(8, wide())),
        size("sit-s2", "SiT-S/2, 4×32×32 latents, batch 8", Training::sit(8, named("SiT-S/2")?)),
        size("sit-b2", "SiT-B/2, 4×32×32 latents, batch 2", Training::sit(2, named("SiT-B/2")?)),
        when_named("sit-b2-8", for_update, Training::sit(8, named("SiT-B/2")?)),
        when_named("sit-b2-64", base, Training::sit(64, named("SiT-B/2")?)),
        when_named("sit-xl2-32", large, Training::sit(32, named("SiT-XL/2")?)),
    ])
}

/// The size called `name`.
pub fn named(name: &str) -> Outcome<Size> {
    let all = all()?;
    let names: Vec<_> = all.iter().map(|size| size.name).collect();
    let found = all.iter().find(|size| size.name == name).cloned();
    Ok(found.ok_or_else(|| format!("--size {name}: must be one of {}", names.join(", ")))?)
}

/// The network and training of the main job, from its own file.
fn main_job() -> Outcome<Training> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/emoji/mixflow.json");
    let ExperimentConfig { network, post_train: stage, .. } = ExperimentConfig::read(file)?;
    Ok(Training {
        network,
        batch: stage.batch_size,
        gamma: stage.strategy.gamma().ok_or("configs/emoji/mixflow.json: its strategy must have a γ")?,
        condition_dropout: stage.condition_dropout,
        optimizer: stage.optimizer,
        ema: stage.ema,
    })
}

fn small() -> SitConfig {
    SitConfig {
        input_size: 8,
        hidden_size: 128,
        depth: 4,
        num_heads: 4,
        num_classes: 10,
        learn_sigma: false,
        ..Default::default()
    }
}

fn wide() -> SitConfig {
    SitConfig { hidden_size: 384, depth: 6, num_heads: 6, ..Default::default() }
}

fn residual_mlp() -> NetworkConfig {
    NetworkConfig::ResidualMlp(ResidualMlpConfig::default())
}
