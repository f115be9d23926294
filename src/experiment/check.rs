//! Opens everything that an experiment names, times one real step, and trains nothing.
use super::cell_gfid::CellGfid;
use super::compare::{Comparison, alike, too_few_held_out};
use super::config::{ExperimentConfig, PromptsConfig, StartConfig};
use super::distances::Distances;
use super::estimate::{SecondsRange, StepCost};
use super::footprint::Footprint;
use super::one_sided::one_sided;
use super::opened::{Experiment, Reading, not_there};
use super::progress::Progress;
use crate::adapter::{AdapterConfig, LoraConfig};
use crate::data::{DataSplit, Form, Inspection};
use crate::post_train::DeviceName;
use crate::{Error, Problem, Result};
use burn::module::Module;
use burn::tensor::Device;
use std::path::Path;
use std::sync::Arc;

/// What was found, part by part.
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// What post-training will hold in memory, where there is one to be.
    pub footprint: Option<Footprint>,
    /// What is as it should be, each with what was seen.
    pub seen: Vec<Seen>,
    /// Values of the configuration that violate a condition.
    pub problems: Vec<Problem>,
    /// What else is wrong, or looks wrong, in sentences that say what to do.
    pub wrong: Vec<String>,
    /// What may be meant, but is seldom.
    pub doubtful: Vec<String>,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What: data, start, a decoder, a step.
    pub what: String,
    /// What was seen.
    pub found: String,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_ready(&self) -> bool {
        self.problems.is_empty() && self.wrong.is_empty()
    }

    fn see(&mut self, what: &str, found: impl Into<String>) {
        self.seen.push(Seen { what: what.into(), found: found.into() });
    }

    /// Notes what `result` holds, or why it failed.
    fn note<T>(&mut self, what: &str, result: Result<T>, found: impl FnOnce(&T) -> String) -> Option<T> {
        match result {
            Ok(value) => {
                self.see(what, found(&value));
                Some(value)
            }
            Err(error) => {
                self.wrong.push(format!("{what}: {error}"));
                None
            }
        }
    }
}

/// Opens every file of the data and of the weights that `config` names, compares names, shapes and scales with what the
/// network expects, and times a step. Nothing is trained, and nothing written but caches: of decoded
/// pictures, and of what was found in the data.
///
/// It goes on where something cannot be opened: without a device that is not there nothing is timed, and without data the
/// weights are still compared with the network.
pub fn check(config: ExperimentConfig, cache: &Path, progress: Arc<dyn Progress>) -> CheckReport {
    let shape = config.data.declared().shape.filter(|_| !config.start.is_exact());
    let footprint = shape.map(|shape| Footprint::of(&config, shape));
    let mut report = CheckReport { footprint, ..CheckReport::default() };
    let mut config = config;
    let devices: Vec<Error> = config.devices.iter().filter_map(|device| device.open().err()).collect();
    let timed = devices.is_empty();
    if !timed {
        report.wrong.extend(devices.iter().map(|error| format!("devices: {error}; looked at on the CPU")));
        config.devices = vec![DeviceName::default()];
    }
    match Experiment::open_with(config.clone(), cache, progress) {
        Ok(experiment) => experiment.check(&mut report, timed),
        Err(Error::Config(problems)) => {
            report.problems = problems;
            // Weights are compared with a network that this machine can hold.
            if !report.problems.iter().any(|problem| problem.path.starts_with("network")) {
                check_weights(&config, &mut report);
            }
        }
        Err(error) => {
            report.wrong.push(error.to_string());
            check_weights(&config, &mut report);
        }
    }
    report
}

/// The official weights of `start` beside the network, where the rest cannot be opened.
fn check_weights(config: &ExperimentConfig, report: &mut CheckReport) {
    if let StartConfig::Weights(weights) = &config.start {
        // Before a network is made to compare with, which may be larger than this machine.
        let missing = not_there([("start.file".to_string(), weights.file.clone())]);
        if !missing.is_empty() {
            report
                .problems
                .extend(missing.into_iter().filter(|problem| !report.problems.contains(problem)).collect::<Vec<_>>());
            return;
        }
        let network = config.network.init(0, &Device::flex());
        let imported = network.and_then(|network| network.import(&weights.file, &weights.options()));
        report
            .note("start", imported, |(network, imported)| format!("{} parameters; {imported}", network.num_params()));
    }
}

/// Three decimals; digits and an exponent where those would be thirty.
fn short(value: f64) -> String {
    if value.abs() < 1e6 { format!("{value:.3}") } else { format!("{value:.3e}") }
}

impl Experiment {
    fn check(&self, report: &mut CheckReport, timed: bool) {
        if !self.config().start.is_exact() {
            report.footprint = Some(Footprint::of(self.config(), self.data().shape));
        }
        // What pilots are trained on and compared with.
        let pilots = self.config().gamma_is_auto().then(|| self.data().set_aside());
        self.check_data(report);
        self.check_start(report);
        self.check_adapter(report);
        report.footprint.clone().iter().for_each(|memory| report.see("memory", memory.to_string()));
        self.check_sampling(report);
        self.check_table(report);
        if let Some(pilots) = &pilots {
            self.check_pilots(pilots, report);
        }
        if timed {
            self.check_step(pilots.and_then(Result::ok).as_ref(), report);
        }
    }

    fn check_data(&self, report: &mut CheckReport) {
        let mut reading = Reading::of("reading the data", self.progress());
        let inspected = self.data().inspect_with(Some(self.cache()), &mut |read| reading.at(read));
        drop(reading);
        let Some(found) = report.note("data", inspected, data_text) else { return };
        let most = self.data().max_bad_items();
        let mut bad: Vec<String> =
            found.problems.iter().map(|problem| format!("data: {}: {}", problem.name, problem.message)).collect();
        let more = found.unusable.saturating_sub(found.problems.len());
        if more > 0 {
            bad.push(format!("data: {more} further items cannot be used"));
        }
        if found.unusable <= most {
            report.doubtful.extend(bad.into_iter().map(|bad| format!("{bad}; the next item takes its place")));
        } else {
            report.wrong.extend(bad);
        }
        let (mean, deviation) = (found.mean, found.deviation);
        let [least, most] = match self.config().data.form() {
            Form::Pictures => [0.1, 1.0],
            Form::Latents | Form::Vectors => [0.4, 2.5],
        };
        let far = found.farthest.as_ref().map_or(String::new(), |name| {
            let value = if found.least.abs() > found.largest.abs() { found.least } else { found.largest };
            format!(" (farthest from 0 is {value:?}, in {name})")
        });
        if !(least..=most).contains(&deviation) {
            report.doubtful.push(format!(
                "data: the deviation of what the network sees is {}{far}, expected is {least} to {most}; is `scale` right?",
                short(deviation)
            ));
        }
        if mean.is_nan() || mean.abs() > 1.0 {
            let mean = short(mean);
            report
                .doubtful
                .push(format!("data: the mean of what the network sees is {mean}{far}, expected is about 0"));
        }
        let (network, data) = (self.config().network.classes(), self.data().classes.max(1));
        if let Some(classes) = network.filter(|classes| *classes > data) {
            let told = if data == 1 {
                "every item is class 0".into()
            } else {
                format!("{} are never trained", classes - data)
            };
            report.doubtful.push(format!("data: has {data} class(es), the network {classes}: {told}"));
        }
        report.doubtful.extend(one_sided(&found.labels));
    }

    /// What `compare` and `choose-gamma` would refuse after training.
    fn check_table(&self, report: &mut CheckReport) {
        let config = self.config();
        let mut own = Vec::new();
        for sampler in config.samplers() {
            if sampler.with_steps(2, 1).evaluations().is_none() {
                let name = &sampler.name;
                report.doubtful.push(format!(
                    "compare: `{name}` has no fixed steps, so `compare` refuses it; name others in `compare.samplers`"
                ));
                continue;
            }
            let budgets = sampler.budgets(&config.compare.evaluations);
            let (fit, left): (Vec<_>, Vec<_>) =
                budgets.iter().map(|n| (*n, sampler.with_evaluations(*n, 1))).partition(|(_, config)| config.is_some());
            own.extend(fit.into_iter().filter_map(|(_, config)| Some((format!("compare: {}", sampler.name), config?))));
            if !left.is_empty() {
                let left: Vec<String> = left.iter().map(|(n, _)| n.to_string()).collect();
                let (name, left) = (&sampler.name, left.join(", "));
                report
                    .doubtful
                    .push(format!("compare: the steps of `{name}` do not make {left} evaluations: left out"));
            }
        }
        for (what, sampler) in own {
            if let Err(error) = self.sampler(sampler) {
                report.wrong.push(format!("{what}: {error}"));
            }
        }
        if let Some(gfid) = &config.compare.gfid {
            let missing = not_there(gfid.files());
            report.wrong.extend(missing.iter().map(ToString::to_string));
            if missing.is_empty()
                && let Err(error) = CellGfid::look(self, gfid)
            {
                report.wrong.push(format!("compare.gfid: {error}"));
            }
        }
        if let Some(problem) = too_few_held_out(self.data()) {
            report.wrong.push(problem.to_string());
        } else if let Err(error) = Distances::new(self, self.data()) {
            report.wrong.push(format!("compare: what samples are compared with: {error}"));
        }
        if let Some((one, other)) = alike(&config.arms()).filter(|_| !config.gamma_is_auto()) {
            report
                .doubtful
                .push(format!("compare: the arms `{one}` and `{other}` are the same, so `compare` refuses them"));
        }
    }

    /// Pilots train on what is left when some is set aside.
    fn check_pilots(&self, data: &Result<DataSplit>, report: &mut CheckReport) {
        let stage = self.config().gamma_search.pilot(&self.config().post_train);
        match data {
            Ok(data) => {
                let misfit = self.batch_misfit("post_train", &stage, data);
                report.wrong.extend(misfit.map(|problem| format!("pilots: {problem}")));
            }
            Err(error) => report.wrong.push(format!("pilots: {error}")),
        }
    }

    fn check_start(&self, report: &mut CheckReport) {
        match &self.config().start {
            StartConfig::Pretrain(stage) => {
                let found = |work: &f64| match *work > 0.0 {
                    true => format!("pretrained here first: {} steps of {}", stage.steps, stage.batch_size),
                    false => "pretrained weights are in the cache".into(),
                };
                report.note("start", self.start_work(), found);
            }
            StartConfig::Exact(_) => report.see("start", "the exact field of a ring, nothing to train"),
            StartConfig::Weights(_) | StartConfig::Run(_) => {
                report.note("start", self.start(), |(network, imported)| {
                    let parameters = network.num_params();
                    let imported = imported.as_ref().map_or(String::new(), |imported| format!("; {imported}"));
                    format!("{parameters} parameters{imported}")
                });
            }
        }
    }

    fn check_adapter(&self, report: &mut CheckReport) {
        let (network, stage) = (&self.config().network, &self.config().post_train);
        if let Some(adapter) = &stage.adapter {
            let AdapterConfig::Lora(LoraConfig { rank, .. }) = adapter;
            let (trained, all) = (network.adapter_count(adapter), network.parameter_count().all);
            let share = 100.0 * trained as f64 / all as f64;
            report.see("adapter", format!("rank {rank}: {trained} numbers are trained, {share:.2} % of the network's"));
        }
    }

    fn check_sampling(&self, report: &mut CheckReport) {
        let sample = &self.config().sample;
        if let Some(weak) = &sample.weak {
            let imported = weak
                .network
                .init(0, self.device())
                .and_then(|network| network.import(&weak.weights.file, &weak.weights.options()));
            report.note("sample.weak", imported, |(_, imported)| imported.to_string());
        }
        let of_prompts = not_there(sample.prompts.iter().flat_map(PromptsConfig::files));
        report.wrong.extend(of_prompts.iter().map(ToString::to_string));
        if let Some((key, loaded)) = self.pixel_decoder(self.device()) {
            report.note(key, loaded, |(_, imported)| imported.to_string());
        }
    }

    fn check_step(&self, pilots: Option<&DataSplit>, report: &mut CheckReport) {
        if self.config().start.is_exact() {
            return;
        }
        let Some(cost) = report.note("a step", self.time_steps(), |cost| self.step_text(cost)) else { return };
        if let Ok(Some(pretraining)) = cost.pretraining(self) {
            report.see("pretraining takes", range(pretraining));
        }
        let config = self.config();
        if config.gamma_is_auto() {
            let aside = pilots.map_or(0, |data| data.held_out.labels().len());
            report.see("choosing γ takes", range(cost.choice(config, aside)));
        }
        report.see("post-train takes", range(cost.post_training(self)));
        report.see(
            "compare takes",
            range(cost.table(&config.clone().with_gamma(0.0), self.data().held_out.labels().len())),
        );
    }

    fn step_text(&self, cost: &StepCost) -> String {
        let memory = peak_memory().map_or(String::new(), |bytes| {
            format!("; this process has used {:.0} MiB at most", bytes as f64 / f64::from(1 << 20))
        });
        let picture = match self.config().compare.gfid {
            Some(_) => format!(", {:.0} ms to decode one and for its Inception features", 1e3 * cost.picture),
            None => String::new(),
        };
        format!(
            "{:.0} ms for {} samples, {:.2} ms for one evaluation of one{picture}{memory}",
            1e3 * cost.step,
            cost.batch,
            1e3 * cost.evaluation
        )
    }
}

fn data_text(found: &Inspection) -> String {
    let [channels, height, width] = found.shape;
    let mut text =
        format!("{} items to train on, {} held out, {channels} × {height} × {width}", found.training, found.held_out);
    let stored: Vec<String> = found.stored.iter().map(|(stored, count)| format!("{count} as {stored}")).collect();
    if !stored.is_empty() {
        text += &format!("; stored: {}", stored.join(", "));
    }
    text += &format!(
        "; the network sees mean {:.3}, deviation {:.3}, {:.3} to {:.3}",
        found.mean, found.deviation, found.least, found.largest
    );
    if let Some(deviation) = found.posterior_deviation {
        text += &format!("; posteriors are {deviation:.3} wide");
    }
    if !found.labels.is_empty() {
        let counts: Vec<String> = found.labels.iter().take(20).map(|count| count.training.to_string()).collect();
        let more = if found.labels.len() > 20 { ", …" } else { "" };
        text += &format!("; items of each class: {}{more}", counts.join(", "));
    }
    found.notes.iter().for_each(|note| text += &format!("; {note}"));
    text
}

/// What is left of the comparison of an experiment, and of the pretraining before it.
pub fn comparison_takes(comparison: &Comparison, cost: &StepCost) -> String {
    after_pretraining(comparison.experiment(), cost, cost.comparison(comparison))
}

/// What the post-training of an experiment takes, and the pretraining before it.
pub fn post_training_takes(experiment: &Experiment, cost: &StepCost) -> String {
    after_pretraining(experiment, cost, cost.post_training(experiment))
}

fn after_pretraining(experiment: &Experiment, cost: &StepCost, then: SecondsRange) -> String {
    let SecondsRange { mut low, mut high } = then;
    if let Ok(Some(pretraining)) = cost.pretraining(experiment) {
        (low, high) = (low + pretraining.low, high + pretraining.high);
    }
    range(SecondsRange { low, high })
}

/// The most memory that this process ever held; none where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// `3 to 5 min`.
fn range(SecondsRange { low, high }: SecondsRange) -> String {
    match high {
        ..=1.0 => "about a second".into(),
        ..90.0 => format!("{:.0} to {:.0} s", low.ceil(), high.ceil()),
        90.0..5400.0 => format!("{:.0} to {:.0} min", (low / 60.0).floor().max(1.0), (high / 60.0).ceil()),
        _ => format!("{:.1} to {:.1} h", low / 3600.0, high / 3600.0),
    }
}
