//! Where in an integration a velocity is asked for.

/// One step of an integration with fixed steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Number of the step, from 0.
    pub index: usize,
    /// Steps of the whole integration.
    pub count: usize,
    /// The time at which the step starts.
    pub start: f64,
}

/// The time of one evaluation, with what guidance and corrections need to know about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct At<'a> {
    /// The time of the state: 0 noise, 1 data; an adaptive solver may look a little beyond either.
    pub time: f64,
    /// The step that the evaluation belongs to.
    pub step: Step,
    /// The time that the network is told for each sample, where it is not `time`.
    pub told: Option<&'a [f64]>,
}

impl At<'_> {
    /// An evaluation at `time` by itself, as if it were the only step.
    pub fn alone(time: f64) -> Self {
        Self::within(Step { index: 0, count: 1, start: time }, time)
    }

    /// An evaluation at `time` within `step`.
    pub fn within(step: Step, time: f64) -> Self {
        Self { time, step, told: None }
    }
}
