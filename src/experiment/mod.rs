//! Whole experiments from one file: does post-training help this model, on these data, at these budgets?
//!
//! [`config::ExperimentConfig`] is the file; [`Experiment`] opens it. [`Comparison`] fills the table of arms;
//! [`GammaSearch`] chooses γ by short trainings; [`slow_flow`] measures what MixFlow repairs.
//! [`Experiment::post_train`] and [`Experiment::sample`] do one training and its samples.
mod cell_gfid;
mod check;
mod claim;
mod compare;
mod condition;
pub mod config;
mod distances;
pub mod encode;
mod estimate;
mod files;
mod fits;
mod footprint;
mod gamma;
mod generate;
mod generator;
pub mod gfid;
mod kept_weights;
mod made_of;
mod memory;
mod metric;
mod network_misfits;
mod one_sided;
mod opened;
mod pixels;
pub mod plot;
mod post_train;
pub mod progress;
pub mod prompts;
pub mod sample_files;
mod sample_pictures;
mod samples;
pub mod sets;
mod share;
pub mod slow_flow;
mod start;
mod statistics;
pub mod status;

pub use check::{CheckReport, Seen, check, comparison_takes, post_training_takes};
pub use claim::check as check_folder;
pub use claim::folder as claim_folder;
pub use claim::gamma as gamma_of_folder;
pub use compare::{Comparison, ComparisonResults, Floor, Job, ResultRow, TrainingTime};
pub use distances::Distances;
pub use estimate::{SecondsRange, StepCost};
pub use footprint::Footprint;
pub use gamma::GammaSearch;
pub use kept_weights::folder_of_weights;
pub use metric::{Metric, metrics};
pub use opened::Experiment;
pub use sample_pictures::DrawnPictures;
pub use samples::Samples;
