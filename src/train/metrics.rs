//! Numeric metrics of a run, for Burn's dashboard, its files and TensorBoard.
use super::FlowOutput;
use crate::monitor::TensorBoard;
use burn::tensor::TensorReadError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};
use std::sync::Arc;
use std::time::Instant;

type Read = dyn Fn(&FlowOutput) -> Result<(f64, usize), TensorReadError> + Send + Sync;

/// A named number read from a [`FlowOutput`], averaged over the epoch by the number of samples it covers.
#[derive(Clone)]
pub struct Gauge {
    name: MetricName,
    read: Arc<Read>,
    state: NumericMetricState,
}

impl Gauge {
    /// `read` returns a value and how many samples it covers; 0 leaves the epoch's mean untouched.
    pub fn new(
        name: impl Into<String>,
        read: impl Fn(&FlowOutput) -> Result<(f64, usize), TensorReadError> + Send + Sync + 'static,
    ) -> Self {
        Self { name: Arc::new(name.into()), read: Arc::new(read), state: NumericMetricState::new() }
    }
}

impl Metric for Gauge {
    type Input = FlowOutput;

    fn name(&self) -> MetricName {
        self.name.clone()
    }
    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }
    fn update(&mut self, item: &FlowOutput, _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let (value, count) = (self.read)(item)?;
        self.state.update(if count == 0 { f64::NAN } else { value }, count);
        Ok(self.state.compute_update(FormatOptions::new(self.name()).precision(4)))
    }
    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(FormatOptions::new(self.name()).precision(4)))
    }
    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for Gauge {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }
    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }
    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

/// The optimizer step. TensorBoard's horizontal axis; register it whenever TensorBoard is used.
pub fn step() -> Gauge {
    Gauge::new("Step", |o| Ok((o.step as f64, 1)))
}

/// Mean of the training timestep t.
pub fn mean_t() -> Gauge {
    mean_of("Mean t", |t| t.training)
}

/// Mean of how much the input was slowed, t − m.
pub fn mean_slowing() -> Gauge {
    mean_of("Mean t - m", |t| t.training - t.slowed)
}

/// The global gradient norm of the newest update before the step.
pub fn gradient_norm() -> Gauge {
    Gauge::new("Gradient norm", |o| Ok(optional(o.gradient_norm)))
}

/// The distance between EMA and network at the newest update at which it was measured.
pub fn ema_distance() -> Gauge {
    Gauge::new("EMA distance", |o| Ok(optional(o.ema_distance)))
}

/// Samples per second since the previous step.
pub fn samples_per_second() -> Gauge {
    let last = std::sync::Mutex::new(None::<Instant>);
    Gauge::new("Samples per second", move |o| {
        let now = Instant::now();
        let before = last.lock().unwrap_or_else(|e| e.into_inner()).replace(now);
        let n = o.timesteps.len();
        Ok(before.map_or((0.0, 0), |b| (n as f64 / now.duration_since(b).as_secs_f64().max(1e-9), n)))
    })
}

/// The loss of the samples whose t lies in each of `bins` equal bins of [0, 1].
pub fn loss_by_t(bins: usize) -> Vec<Gauge> {
    let edge = |i: usize| i as f32 / bins as f32;
    let bin = |i: usize| {
        let (low, high) = (edge(i), edge(i + 1));
        Gauge::new(format!("Loss t {low:.2} to {high:.2}"), move |o| {
            let losses = o.loss.clone().try_into_vec_as::<f32>()?;
            let inside = |t: f32| t >= low && (t < high || (high >= 1.0 && t <= 1.0));
            let chosen =
                losses.iter().zip(&o.timesteps).filter(|(_, t)| inside(t.training)).map(|(l, _)| f64::from(*l));
            let (sum, count) = chosen.fold((0.0, 0), |(s, n), l| (s + l, n + 1));
            Ok((sum / f64::from(count.max(1)), count as usize))
        })
    };
    (0..bins).map(bin).collect()
}

/// Writes a TensorBoard histogram of m/t every `every` steps; as a number, the mean of m/t.
pub fn slowing_histogram(board: TensorBoard, every: u64) -> Gauge {
    slowing_histogram_of(board, every, 1)
}

/// As [`slowing_histogram`], of steps that are made of several updates: devices × accumulated passes.
pub(crate) fn slowing_histogram_of(board: TensorBoard, every: u64, parts: usize) -> Gauge {
    let arrived = std::sync::Mutex::new((0, 0, Vec::new()));
    Gauge::new("Mean m over t", move |o| {
        let positive = o.timesteps.iter().filter(|t| t.training > 0.0);
        let ratios: Vec<f32> = positive.map(|t| t.slowed / t.training).collect();
        if every > 0 && o.step.is_multiple_of(every) {
            let mut arrived = arrived.lock().unwrap_or_else(|e| e.into_inner());
            if arrived.0 != o.step {
                *arrived = (o.step, 0, Vec::new());
            }
            arrived.1 += 1;
            arrived.2.extend_from_slice(&ratios);
            if arrived.1 >= parts {
                // In one order, whichever part was first: sums of floats depend on it.
                arrived.2.sort_by(f32::total_cmp);
                board.histogram("train/m_over_t", &arrived.2, 20, Some((0.0, 1.0)), o.step as i64);
                *arrived = (o.step, 0, Vec::new());
            }
        }
        let sum: f64 = ratios.iter().map(|&r| f64::from(r)).sum();
        Ok((sum / ratios.len().max(1) as f64, ratios.len()))
    })
}

fn optional(value: Option<f64>) -> (f64, usize) {
    value.map_or((0.0, 0), |v| (v, 1))
}

fn mean_of(name: &str, read: impl Fn(&crate::timestep::Timesteps) -> f32 + Send + Sync + 'static) -> Gauge {
    Gauge::new(name, move |o| {
        let sum: f64 = o.timesteps.iter().map(|t| f64::from(read(t))).sum();
        Ok((sum / o.timesteps.len().max(1) as f64, o.timesteps.len()))
    })
}
