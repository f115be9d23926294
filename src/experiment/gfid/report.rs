//! What was measured of samples against a reference, for programs and for people.
use crate::models::encoders::inception::FidConvention;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Samples of the published numbers.
const PUBLISHED: usize = 50_000;

/// One number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GfidFigure {
    /// The number.
    pub value: f64,
    /// Its interval of 95 % over draws of the samples, where it has one; [`GfidReport::markdown`] says of which kind.
    pub interval: Option<[f64; 2]>,
}

/// What samples were compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReferenceFacts {
    /// Where it was read from.
    pub path: PathBuf,
    /// The pictures that the statistics are of; none where a file of statistics does not say.
    pub count: Option<usize>,
    /// The pictures that precision, recall and KID compare with.
    pub pictures_for_pairs: usize,
}

/// Everything measured of samples against a reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GfidReport {
    /// Where the samples were read from; none if they came from memory.
    pub samples: Option<PathBuf>,
    /// How many there are.
    pub sample_count: usize,
    /// Their height and width.
    pub sides: Option<[usize; 2]>,
    /// What they were compared with.
    pub reference: ReferenceFacts,
    /// What was done to pictures before the network saw them.
    pub convention: FidConvention,
    /// 1 for the official network; another is for tests, and its numbers compare with none.
    pub width_divisor: usize,
    /// SHA-256 of the weights of the network.
    pub weights_hash: String,
    /// Fréchet distance of pooled features; lower is better.
    pub fid: GfidFigure,
    /// How much of it is due to the number of samples, to first order; none where samples are too few to tell.
    pub fid_bias: Option<f64>,
    /// Fréchet distance of spatial features; lower is better.
    pub sfid: Option<GfidFigure>,
    /// Inception Score; higher is better.
    pub inception_score: GfidFigure,
    /// The share of samples near the reference; higher is better.
    pub precision: Option<GfidFigure>,
    /// The share of the reference near the samples; higher is better.
    pub recall: Option<GfidFigure>,
    /// Kernel distance of pooled features; lower is better.
    pub kid: Option<GfidFigure>,
    /// Chose groups and subsets.
    pub seed: u64,
}

impl GfidReport {
    /// `FID-50k` for 50,000 samples, `FID-5k` for 5,000, `FID-1234` for 1,234: never a number that there are not.
    pub fn name(&self) -> String {
        let count = self.sample_count;
        if count.is_multiple_of(1000) { format!("FID-{}k", count / 1000) } else { format!("FID-{count}") }
    }

    /// The numbers as a table, what they are of, and how to read them.
    pub fn markdown(&self) -> String {
        let name = self.name();
        let mut text = String::new();
        let samples = self.samples.as_ref().map_or("samples".into(), |path| path.display().to_string());
        let size = self.sides.map_or(String::new(), |[height, width]| format!(" of {height}×{width}"));
        let statistics = match self.reference.count {
            Some(count) => format!("statistics of {count} pictures"),
            None => "statistics as the file has them".into(),
        };
        let _ = writeln!(
            text,
            "{name} of {samples} ({} pictures{size})\nagainst {} ({statistics}, {} pictures for pairs)\n",
            self.sample_count,
            self.reference.path.display(),
            self.reference.pictures_for_pairs,
        );
        text.push_str("| Measure | Better | Value | 95 % interval | of |\n|---|---|---|---|---|\n");
        let kid = |value: f64| format!("{value:.3e}");
        let (four, two) = (|value: f64| format!("{value:.4}"), |value: f64| format!("{value:.2}"));
        let jackknife = "draws of the samples: ten groups left out in turn";
        let ball = "draws of those counted, the balls held fixed";
        line(&mut text, &name, "lower", Some(&self.fid), four, jackknife);
        line(&mut text, &format!("s{name}"), "lower", self.sfid.as_ref(), four, jackknife);
        line(&mut text, "Inception Score", "higher", Some(&self.inception_score), two, "groups of 5000");
        line(&mut text, "Precision", "higher", self.precision.as_ref(), four, ball);
        line(&mut text, "Recall", "higher", self.recall.as_ref(), four, ball);
        line(&mut text, "KID", "lower", self.kid.as_ref(), kid, "draws of both sides: 100 subsets");
        text.push_str(&self.notes());
        text
    }

    fn notes(&self) -> String {
        let mut text = format!("\nConvention: {}.\n", self.convention);
        if self.sample_count < PUBLISHED {
            let due = self.fid_bias.map_or(String::new(), |bias| {
                format!(" About {bias:.3} of this one is due to their number, by the same ten groups.")
            });
            let _ = writeln!(
                text,
                "This is not FID-50k, which the papers give: fewer samples make FID and sFID larger.{due}"
            );
        }
        if self.sfid.is_none() || self.precision.is_none() {
            text.push_str(
                "The reference has not all that the other measures need: `mu_s` and `sigma_s`, or pictures.\n",
            );
        }
        if self.width_divisor != 1 {
            let _ = writeln!(
                text,
                "The network has 1/{} of the official width: these numbers compare with none that is published.",
                self.width_divisor
            );
        }
        let _ = writeln!(text, "Weights of the Inception network: SHA-256 {}. Seed: {}.", self.weights_hash, self.seed);
        text
    }
}

/// A row of the table; none where there is no number.
fn line(
    text: &mut String,
    name: &str,
    better: &str,
    figure: Option<&GfidFigure>,
    digits: impl Fn(f64) -> String,
    of: &str,
) {
    let Some(figure) = figure else { return };
    let interval = figure.interval.map(|[low, high]| format!("{} to {}", digits(low), digits(high)));
    let (interval, of) = interval.map_or((String::new(), ""), |interval| (interval, of));
    let _ = writeln!(text, "| {name} | {better} | {} | {interval} | {of} |", digits(figure.value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(samples: usize) -> GfidReport {
        let figure = |value: f64| GfidFigure { value, interval: Some([value - 0.5, value + 0.5]) };
        GfidReport {
            samples: Some("made".into()),
            sample_count: samples,
            sides: Some([256, 256]),
            reference: ReferenceFacts { path: "real.npz".into(), count: None, pictures_for_pairs: 10_000 },
            convention: FidConvention::TensorFlow,
            width_divisor: 1,
            weights_hash: "0af1".into(),
            fid: figure(3.94261),
            fid_bias: Some(1.5),
            sfid: Some(figure(6.1404)),
            inception_score: GfidFigure { value: 215.844, interval: None },
            precision: Some(figure(0.8265)),
            recall: None,
            kid: Some(figure(0.00123)),
            seed: 7,
        }
    }

    #[test]
    fn only_fifty_thousand_samples_are_fid_50k() {
        let names = [50_000, 5000, 49_999, 49_000, 1234].map(|count| report(count).name());
        assert_eq!(names, ["FID-50k", "FID-5k", "FID-49999", "FID-49k", "FID-1234"]);
        assert!(!report(50_000).markdown().contains("not FID-50k"));
        let few = report(5000).markdown();
        for says in [
            "FID-5k of made (5000 pictures of 256×256)",
            "against real.npz (statistics as the file has them, 10000 pictures for pairs)",
            "| FID-5k | lower | 3.9426 | 3.4426 to 4.4426 | draws of the samples: ten groups left out in turn |",
            "| sFID-5k | lower | 6.1404 |",
            "| Inception Score | higher | 215.84 |  |  |",
            "| KID | lower | 1.230e-3 |",
            "This is not FID-50k, which the papers give: fewer samples make FID and sFID larger. About 1.500 of",
            "TensorFlow graph (ADM's evaluator",
            "SHA-256 0af1. Seed: 7.",
        ] {
            assert!(few.contains(says), "{says}:\n{few}");
        }
        assert!(!few.contains("Recall") && !few.contains("official width"), "{few}");
    }

    #[test]
    fn what_compares_with_nothing_says_so() {
        let text = GfidReport { width_divisor: 16, sfid: None, ..report(50_000) }.markdown();
        assert!(text.contains("1/16 of the official width") && text.contains("`mu_s`"), "{text}");
        let json = serde_json::to_value(report(10)).unwrap();
        assert_eq!((&json["convention"], &json["fid"]["value"]), (&"tensor_flow".into(), &3.94261.into()));
    }
}
