//! The prompts of text-to-image benchmarks, and the scores that their own programs give: GenEval and T2I-CompBench.
//!
//! [`PromptSet::read`] takes the prompt file of either. [`SampleFolder`](super::sample_files::SampleFolder) writes the pictures
//! where the scorer looks for them. [`ScoredPictures::read`] takes what the scorer wrote, and [`PairedScores::new`] compares
//! two arms picture by picture: both drew the same noise for the same (prompt, number).
//!
//! | | Prompts | Scores |
//! |---|---|---|
//! | GenEval | `evaluation_metadata.jsonl`: `tag`, `include`, `prompt` | `results.jsonl`: `filename`, `tag`, `prompt`, `correct` |
//! | T2I-CompBench | `color_val.txt` and the like: a prompt a line | `vqa_result.json`: `question_id`, `answer` |
mod paired;
mod scores;
mod set;
#[cfg(test)]
mod tests;

pub use paired::{PairedScore, PairedScores};
pub use scores::{PictureScore, ScoredPictures};
pub use set::{Benchmark, Prompt, PromptSet};
