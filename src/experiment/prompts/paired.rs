//! Two arms compared picture by picture: the mean of `second − first`, and its standard error over prompts.
//!
//! Pictures of one prompt go right or wrong together, so that prompts are what is drawn: with n pictures, G prompts, and the
//! sum sₚ over the nₚ pictures of prompt p of `difference − mean`, the error is `√(G/(G−1)·Σ sₚ²)/n`.
use super::{PictureScore, ScoredPictures};
use crate::data::listing;
use crate::{Error, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

/// How two arms differ in one category.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedScore {
    /// GenEval's tag; `overall` for the mean of all.
    pub category: String,
    /// Number of prompts.
    pub prompts: usize,
    /// Number of pictures of either arm.
    pub pictures: usize,
    /// The mean score of the first arm, in [0, 1].
    pub first: f64,
    /// The mean score of the second arm.
    pub second: f64,
    /// `second − first`.
    pub difference: f64,
    /// The standard error of the difference over draws of prompts; none of a single one.
    pub standard_error: Option<f64>,
}

/// How two arms differ, by category and overall.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedScores {
    /// The file of the first arm.
    pub first: PathBuf,
    /// The file of the second arm.
    pub second: PathBuf,
    /// In the order of the prompts.
    pub categories: Vec<PairedScore>,
    /// The mean over categories, whatever their sizes, as GenEval's `summary_scores.py` takes it.
    pub overall: PairedScore,
}

impl PairedScores {
    /// Compares the scores of two arms.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the pictures that only one arm has, or whose prompt or category differ.
    pub fn new(first: &ScoredPictures, second: &ScoredPictures) -> Result<Self> {
        let pairs = pairs(first, second)?;
        let mut names: Vec<&str> = Vec::new();
        for (a, _) in &pairs {
            if !names.contains(&a.category.as_str()) {
                names.push(&a.category);
            }
        }
        let of = |name: &&str| pairs.iter().filter(|(a, _)| a.category == *name).copied().collect::<Vec<_>>();
        let categories: Vec<PairedScore> = names.iter().map(|name| compared(name, &of(name))).collect();
        let overall = overall(&categories);
        Ok(Self { first: first.path().into(), second: second.path().into(), categories, overall })
    }

    /// A table, and how to read it.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "A: {}\nB: {}\n\n| Category | Prompts | Pictures | A | B | B − A |\n|---|---|---|---|---|---|\n",
            self.first.display(),
            self.second.display()
        );
        for one in self.categories.iter().chain([&self.overall]) {
            let PairedScore { category, prompts, pictures, first, second, difference, standard_error } = one;
            let error = standard_error.map_or(String::new(), |error| format!(" ± {error:.4}"));
            let _ = writeln!(
                text,
                "| {category} | {prompts} | {pictures} | {first:.4} | {second:.4} | {difference:+.4}{error} |"
            );
        }
        text.push_str(
            "\n± is the standard error over prompts. Both arms drew the same noise for the same picture, so that it is smaller\n\
             than that of two means.\n",
        );
        text
    }
}

type Pair<'a> = (&'a PictureScore, &'a PictureScore);

fn pairs<'a>(first: &'a ScoredPictures, second: &'a ScoredPictures) -> Result<Vec<Pair<'a>>> {
    let keys = |set: &'a ScoredPictures| set.scores().iter().map(|one| one.picture.as_str()).collect::<BTreeSet<_>>();
    let (a, b) = (keys(first), keys(second));
    let mut wrong = Vec::new();
    for (only, set) in [(&a - &b, first), (&b - &a, second)] {
        wrong.extend(only.iter().map(|picture| format!("{picture} is only in {}", set.path().display())));
    }
    let mut pairs = Vec::with_capacity(a.len());
    if wrong.is_empty() {
        for (a, b) in first.scores().iter().zip(second.scores()) {
            if (&a.prompt, &a.category) != (&b.prompt, &b.category) {
                wrong.push(format!(
                    "{} is of `{}` ({}) and of `{}` ({})",
                    a.picture, a.prompt, a.category, b.prompt, b.category
                ));
            }
            pairs.push((a, b));
        }
    }
    match wrong.is_empty() {
        true => Ok(pairs),
        false => Err(Error::Invalid(format!("the arms must score the same pictures:{}", listing::first(&wrong)))),
    }
}

fn compared(category: &str, pairs: &[Pair<'_>]) -> PairedScore {
    let count = pairs.len() as f64;
    let [first, second] = [|pair: &Pair<'_>| pair.0.score, |pair: &Pair<'_>| pair.1.score]
        .map(|score| pairs.iter().map(score).sum::<f64>() / count);
    let difference = second - first;
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (a, b) in pairs {
        *sums.entry(&a.prompt).or_default() += b.score - a.score - difference;
    }
    let prompts = sums.len();
    let squares: f64 = sums.values().map(|sum| sum * sum).sum();
    let of_prompts = |g: f64| (g / (g - 1.0) * squares).sqrt() / count;
    let standard_error = (prompts > 1).then(|| of_prompts(prompts as f64));
    PairedScore { category: category.into(), prompts, pictures: pairs.len(), first, second, difference, standard_error }
}

/// The mean over categories; they share no prompt, so that their errors add up in squares.
fn overall(categories: &[PairedScore]) -> PairedScore {
    let count = categories.len() as f64;
    let mean = |value: fn(&PairedScore) -> f64| categories.iter().map(value).sum::<f64>() / count;
    let squares = categories.iter().map(|one| one.standard_error.map(|error| error * error)).sum::<Option<f64>>();
    PairedScore {
        category: "overall".into(),
        prompts: categories.iter().map(|one| one.prompts).sum(),
        pictures: categories.iter().map(|one| one.pictures).sum(),
        first: mean(|one| one.first),
        second: mean(|one| one.second),
        difference: mean(|one| one.difference),
        standard_error: squares.map(|squares| squares.sqrt() / count),
    }
}
