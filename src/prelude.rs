//! What a first program needs: `use burn_mixflow::prelude::*;` beside `use burn::prelude::*;`.
//!
//! No name here clashes with Burn's: the linear path is [`PathConfig::Linear`], for `burn::nn::Linear` is a layer.
//!
//! # Your network
//! It implements one method. The condition is `()`, class labels, or a type of your own.
//! ```
//! use burn::nn::Linear;
//! use burn::prelude::*;
//! use burn_mixflow::prelude::*;
//!
//! #[derive(Module, Debug)]
//! struct Mine {
//!     layer: Linear,
//! }
//!
//! impl PredictionNetwork<2> for Mine {
//!     type Condition = ();
//!     fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
//!         self.layer.forward(Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1)).into()
//!     }
//! }
//! ```
//!
//! # A stage of training
//! Data, average, checkpoints, metrics, TensorBoard and resume in one call.
//! ```no_run
//! # use burn::data::{dataloader::batcher::Batcher, dataset::Dataset};
//! # use burn_mixflow::prelude::*;
//! # fn train<N: PredictionNetwork<2> + burn::module::ModuleDisplay + 'static>(
//! #     network: N,
//! #     train: impl Dataset<f32> + 'static,
//! #     held_out: impl Dataset<f32> + 'static,
//! #     batcher: impl Batcher<f32, FlowBatch<2, N::Condition>> + Clone + 'static,
//! # ) -> burn_mixflow::Result<N> {
//! let config = StageConfig::parse(r#"{"strategy": {"kind": "mixflow", "gamma": 0.4}, "steps": 2000}"#)?;
//! let trained = Stage::new(&config, "runs/mine").run(network, train, held_out, batcher)?;
//! # Ok(trained.ema)
//! # }
//! ```
//!
//! # A loop of your own
//! Draw, interpolate, predict, compare, step, average.
//! ```
//! # use burn::nn::{Linear, LinearConfig};
//! use burn::optim::{AdamWConfig, GradientsParams};
//! # use burn::prelude::*;
//! use burn_mixflow::prelude::*;
//! # #[derive(Module, Debug)]
//! # struct Mine { layer: Linear }
//! # impl PredictionNetwork<2> for Mine {
//! #     type Condition = ();
//! #     fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
//! #         self.layer.forward(Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1)).into()
//! #     }
//! # }
//! # let device = Device::flex().autodiff();
//! # let mut network = Mine { layer: LinearConfig::new(3, 2).init(&device) };
//! # let batch = || Tensor::<2>::ones([64, 2], &device);
//!
//! let strategy = StrategyConfig::mixflow(0.4).build(None)?;
//! let objective = Objective::default();
//! let mut ema = Ema::new(&network, EmaConfig::default())?;
//! let mut optimizer = AdamWConfig::new().init();
//! for step in 0..10 {
//!     let data = batch();
//!     let draws = Draws::of(&SampleKey::batch(0, step, 64), &data, strategy.as_ref());
//!     let noisy = interpolate(&PathConfig::Linear, data.clone(), draws.noise.clone(), &draws.slowed());
//!     let output = network.predict(noisy, draws.training(&device), &()).output;
//!     let loss = objective.loss(output, data, draws.noise, &draws.timesteps).mean();
//!     let gradients = GradientsParams::from_grads(loss.backward(), &network);
//!     network = optimizer.step(1e-3, network, gradients);
//!     ema.update(&network);
//! }
//! # Ok::<(), burn_mixflow::Error>(())
//! ```
//!
//! # Samples
//! Sampling is as ever; without autodiff, which `valid()` takes off.
//! ```
//! # use burn::nn::{Linear, LinearConfig};
//! # use burn::prelude::*;
//! # use burn_mixflow::prelude::*;
//! # #[derive(Module, Debug)]
//! # struct Mine { layer: Linear }
//! # impl PredictionNetwork<2> for Mine {
//! #     type Condition = ();
//! #     fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
//! #         self.layer.forward(Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1)).into()
//! #     }
//! # }
//! # let device = Device::flex();
//! # let network = Mine { layer: LinearConfig::new(3, 2).init(&device) };
//! let sampler = Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Heun, 10, 256))?;
//! let samples = sampler.sample(&network, &(), [1000, 2], 0, &device, &mut |_| ())?;
//! assert_eq!(samples.dims(), [1000, 2]);
//! # Ok::<(), burn_mixflow::Error>(())
//! ```
pub use crate::network::{Condition, Prediction, PredictionNetwork};
pub use crate::path::{PathConfig, PredictionKind, Reversed, interpolate};
pub use crate::post_train::{Stage, StageConfig, TrialData, TrialMeasure, Trials};
pub use crate::random::SampleKey;
pub use crate::sample::{GuidanceConfig, Sampler, SamplerConfig, SolverConfig};
pub use crate::timestep::{StrategyConfig, TimestepStrategy, Timesteps};
pub use crate::train::{Draws, Ema, EmaConfig, EpochLoader, FlowBatch, MixFlowTrainStep, Objective};
