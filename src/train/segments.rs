//! Where Burn's epochs end: at validations, at checkpoints and at stops.
//!
//! Burn validates, saves and stops between two of its epochs only. So a training is cut into epochs of its own: each ends
//! where something is to be done. What is drawn and logged does not depend on where the cuts are.
use super::run_state::RunState;
use crate::stop::Stop;
use burn::train::Interrupter;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// When a training is cut.
#[derive(Debug, Clone)]
pub(crate) struct Cuts {
    /// Steps done before this process.
    pub first: usize,
    /// The step after which it ends.
    pub last: usize,
    /// Steps between validations.
    pub validate_every: usize,
    /// Steps between checkpoints; at validations there is one in any case.
    pub save_every: Option<usize>,
    /// Time between checkpoints.
    pub save_after: Option<Duration>,
    /// Whether the validation that belongs to `first` was not made.
    pub owes_validation: bool,
}

/// The cuts of one process of a training, shared by its loaders, its step and what saves it.
#[derive(Clone)]
pub(crate) struct Segments {
    cuts: Cuts,
    run: RunState,
    stop: Stop,
    dashboard: Interrupter,
    state: Arc<Mutex<State>>,
}

struct State {
    /// The step at which the segment in work began.
    begun_at: usize,
    /// The step at which it ends, once that is known.
    end: Option<usize>,
    /// Whether the segment is only there for a validation that an earlier process owes.
    owed: bool,
    /// The steps at which segments ended, by Burn's number of the epoch.
    ends: BTreeMap<usize, usize>,
    epoch: usize,
    cut: Instant,
}

impl Segments {
    /// `dashboard` is the interrupter that only the dashboard has: a stop by its key is a stop like any other.
    pub fn new(cuts: Cuts, run: RunState, stop: Stop, dashboard: Interrupter) -> Self {
        let begun_at = cuts.first;
        let state = State { begun_at, end: None, owed: false, ends: BTreeMap::new(), epoch: 0, cut: Instant::now() };
        Self { cuts, run, stop, dashboard, state: Arc::new(Mutex::new(state)) }
    }

    /// The next of Burn's epochs begins.
    pub fn begin(&self) {
        let done = self.done();
        let mut state = self.lock();
        state.epoch += 1;
        (state.begun_at, state.end) = (done, None);
        state.owed = self.cuts.owes_validation && state.epoch == 1;
    }

    /// Whether the loader of `shard` may yield a batch of the update after `step`. The first shard decides, which is asked
    /// first.
    pub fn goes_on(&self, shard: usize, step: usize) -> bool {
        let must_end = shard == 0 && self.must_end(step);
        let mut state = self.lock();
        if must_end && state.end.is_none() {
            let (epoch, end) = (state.epoch, self.done());
            state.end = Some(end);
            state.ends.insert(epoch, end);
            state.cut = Instant::now();
        }
        state.end.is_none()
    }

    fn must_end(&self, step: usize) -> bool {
        let Cuts { last, validate_every, save_every, save_after, .. } = self.cuts;
        if self.is_ended_early() || step >= last {
            return true;
        }
        let state = self.lock();
        if state.owed {
            return true;
        }
        let every = |steps: usize| steps > 0 && step.is_multiple_of(steps);
        step > state.begun_at
            && (every(validate_every)
                || save_every.is_some_and(every)
                || save_after.is_some_and(|time| state.cut.elapsed() >= time))
    }

    /// Something asks for an end before the last step.
    fn is_ended_early(&self) -> bool {
        if self.dashboard.should_stop() {
            self.stop.request("asked for at the dashboard");
        }
        self.stop.reason().is_some() || self.run.fault().is_some()
    }

    /// Whether nothing has gone wrong.
    pub fn is_unhurt(&self) -> bool {
        self.run.fault().is_none()
    }

    /// The step after which this process ends.
    pub fn last(&self) -> usize {
        self.cuts.last
    }

    /// Whether the training is at its end, on its way or not.
    pub fn is_over(&self) -> bool {
        self.is_ended_early() || self.done() >= self.cuts.last
    }

    /// Whether the segment that ended last ends where a validation belongs.
    pub fn is_validated(&self) -> bool {
        let done = self.done();
        self.run.fault().is_none()
            && done > 0
            && done.is_multiple_of(self.cuts.validate_every.max(1))
            && self.has_moved()
    }

    /// Whether an update was made in the segment in work, or in the one that ended last, or a validation that was owed.
    pub fn has_moved(&self) -> bool {
        let done = self.done();
        let state = self.lock();
        done > state.begun_at || state.owed
    }

    /// Whether the segment that ended last is only there for a validation that was owed.
    pub fn is_owed(&self) -> bool {
        self.lock().owed
    }

    /// The step that Burn's epoch ended at; the newest one if it is not known.
    pub fn step_of(&self, epoch: usize) -> usize {
        self.lock().ends.get(&epoch).copied().unwrap_or_else(|| self.done())
    }

    /// Steps done.
    pub fn done(&self) -> usize {
        usize::try_from(self.run.done()).unwrap_or(usize::MAX)
    }

    /// Steps from one validation to the next.
    pub fn validate_every(&self) -> usize {
        self.cuts.validate_every
    }

    /// Reports that a batch could not be loaded: the segment ends before it.
    pub fn fail(&self, error: String) {
        self.run.report(super::Fault::Data(error));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(cuts: Cuts) -> (Segments, RunState, Stop) {
        let (run, stop) = (RunState::default(), Stop::new());
        run.set_done(cuts.first as u64);
        (Segments::new(cuts, run.clone(), stop.clone(), Interrupter::new()), run, stop)
    }

    fn cuts(first: usize, last: usize) -> Cuts {
        Cuts { first, last, validate_every: 5, save_every: None, save_after: None, owes_validation: false }
    }

    /// The steps at which segments end.
    fn ends(cuts: Cuts, mut at: impl FnMut(usize, &Stop, &RunState)) -> Vec<usize> {
        let (segments, run, stop) = segments(cuts);
        let mut ends = Vec::new();
        while !segments.is_over() {
            segments.begin();
            while segments.goes_on(0, segments.done()) {
                run.set_done(run.done() + 1);
                at(segments.done(), &stop, &run);
            }
            ends.push(segments.done());
            assert_eq!(segments.step_of(ends.len()), segments.done());
        }
        ends
    }

    #[test]
    fn a_training_is_cut_at_validations_and_checkpoints() {
        assert_eq!(ends(cuts(0, 12), |_, _, _| ()), [5, 10, 12]);
        assert_eq!(ends(cuts(3, 12), |_, _, _| ()), [5, 10, 12]);
        assert_eq!(ends(Cuts { save_every: Some(4), ..cuts(0, 12) }, |_, _, _| ()), [4, 5, 8, 10, 12]);
        let always = Cuts { save_after: Some(Duration::ZERO), ..cuts(0, 3) };
        assert_eq!(ends(always, |_, _, _| ()), [1, 2, 3]);
    }

    #[test]
    fn a_stop_and_a_fault_end_the_segment_at_once() {
        let stopped = ends(cuts(0, 12), |step, stop, _| {
            if step == 7 {
                stop.request("enough");
            }
        });
        assert_eq!(stopped, [5, 7]);
        let failed = ends(cuts(0, 12), |step, _, run| {
            if step == 3 {
                run.report(super::super::Fault::Data("gone".into()));
            }
        });
        assert_eq!(failed, [3]);
    }

    #[test]
    fn a_validation_that_is_owed_comes_first() {
        let (segments, run, _) = segments(Cuts { owes_validation: true, ..cuts(5, 12) });
        segments.begin();
        assert!(!segments.goes_on(0, 5) && segments.is_validated() && segments.has_moved());
        segments.begin();
        assert!(segments.goes_on(0, 5) && !segments.has_moved());
        run.set_done(6);
        assert!(segments.has_moved() && !segments.is_validated());
    }

    #[test]
    fn only_the_first_shard_decides_and_validations_have_their_place() {
        let (segments, run, stop) = segments(cuts(0, 12));
        segments.begin();
        stop.request("enough");
        assert!(segments.goes_on(1, 0), "the first shard was not asked yet");
        assert!(!segments.goes_on(0, 0) && !segments.goes_on(1, 0));
        assert!(!segments.has_moved() && !segments.is_validated());
        run.set_done(5);
        assert!(segments.is_validated());
        run.set_done(7);
        assert!(!segments.is_validated());
    }
}
