//! What the table looks like: curves of distances, curves by γ, and samples of every arm from the same noise.
use super::cell::{SHOWN, kept_samples};
use super::{Comparison, ComparisonResults, Job, ResultRow};
use crate::Result;
use crate::data::Form;
use crate::experiment::config::{Arm, ArmSampler, ArmWeights};
use crate::experiment::files::{slug, write, write_bytes};
use crate::experiment::plot::{
    ArmCurve, ArmRole, Block, BudgetPoint, Cell, Chart, GammaCurve, GammaPoint, Sheet, SheetRow, distance_curves,
    gamma_curves, grid,
};
use crate::experiment::statistics::number;
use crate::monitor::TensorBoard;
use std::path::Path;

/// Samples of one cell that are drawn, in two rows.
const DRAWN: usize = 8;

/// Budgets that are drawn side by side.
const COLUMNS: usize = 3;

impl Comparison {
    /// Draws curves and samples of all cells that are there.
    ///
    /// # Errors
    /// As [`results`](Self::results); [`Error::Io`](crate::Error::Io) if a file cannot be written.
    pub fn draw(&self, results: &ComparisonResults) -> Result<()> {
        for (name, chart) in charts(results, self.arms()) {
            save(&chart, &self.folder.join(name))?;
        }
        match self.sheet(results)?.filter(|_| self.config().data.form() == Form::Pictures) {
            Some(sheet) => write_bytes(&self.folder.join("samples.png"), &sheet.picture()?.to_png()?),
            None => Ok(()),
        }
    }

    /// Shows the samples of a trained arm in its TensorBoard, at the step after its training.
    pub(super) fn show(&self, job: Job) -> Result<()> {
        let (arm, shape) = (&self.arms()[job.arm], self.data.shape);
        if arm.weights != ArmWeights::PostTrained || self.config().data.form() != Form::Pictures {
            return Ok(());
        }
        let step = arm.stage.steps as i64;
        let board = TensorBoard::create(&self.job_folder(job).join("tensorboard"), step);
        for planned in self.plan(job) {
            let Some(samples) = kept_samples(&self.cell_file(job, &planned))? else { continue };
            let white = white(&samples);
            let picture = grid(&samples, shape, DRAWN, enlarged(shape), (-white, white))?;
            let tag = format!("samples/{}, {} steps", planned.sampler.name, planned.config.steps);
            picture.show(&board, &tag, step)?;
        }
        board.flush();
        Ok(())
    }

    /// Samples of the first seed: arms from top to bottom, budgets from left to right, samplers one below the other.
    fn sheet(&self, results: &ComparisonResults) -> Result<Option<Sheet>> {
        let compare = &self.config().compare;
        let Some(&seed) = compare.seeds.first() else { return Ok(None) };
        let shown: Vec<ArmSampler> = self.config().samplers();
        let shown: Vec<&ArmSampler> = match shown.iter().any(|sampler| sampler.only_pictures) {
            true => shown.iter().take(1).chain(shown.iter().filter(|sampler| sampler.only_pictures)).collect(),
            false => shown.iter().take(1).collect(),
        };
        let metric = results.floors.first().map_or("", |floor| floor.metric.as_str());
        let mut columns: Vec<String> = Vec::new();
        let mut blocks = Vec::new();
        for sampler in shown {
            let mut rows = Vec::new();
            let mut steps = Vec::new();
            for (index, arm) in self.arms().iter().enumerate().filter(|(_, arm)| sampler.samples(&arm.entry)) {
                let mut cells = Vec::new();
                steps.clear();
                let job = Job { arm: index, seed };
                for planned in
                    self.plan(job).iter().filter(|planned| planned.sampler.name == sampler.name).take(COLUMNS)
                {
                    let file = self.cell_file(job, planned);
                    let size: usize = self.data.shape.iter().product();
                    let mut samples = kept_samples(&file)?.unwrap_or_default();
                    samples.truncate(DRAWN.min(SHOWN) * size);
                    let row = results.row(metric, &sampler.name, &arm.name, planned.evaluations);
                    let caption = row.map_or(String::new(), |row| format!("distance {}", number(row.mean)));
                    cells.push(Cell { samples, caption });
                    steps.push(format!("{} steps", planned.config.steps));
                }
                rows.push(SheetRow { title: arm.name.clone(), cells });
            }
            // The first block names the columns; one with other steps says so itself.
            let named = columns.len();
            columns.extend(steps.iter().skip(named).cloned());
            let fits = steps.iter().zip(&columns).all(|(step, column)| step == column);
            let title = if fits { sampler.name.clone() } else { format!("{}: {}", sampler.name, steps.join(", ")) };
            blocks.push(Block { title, rows });
        }
        let filled = blocks.iter().flat_map(|block| &block.rows).flat_map(|row| &row.cells);
        if filled.clone().all(|cell| cell.samples.is_empty()) {
            return Ok(None);
        }
        let white = white(filled.flat_map(|cell| &cell.samples));
        Ok(Some(Sheet {
            title: String::new(),
            columns,
            blocks,
            shape: self.data.shape,
            black: -white,
            white,
            across: DRAWN / 2,
            enlarge: enlarged(self.data.shape),
        }))
    }
}

/// What is drawn white: pictures in [-1, 1] are drawn so; fainter ones are stretched, or they would be one grey.
fn white<'a>(values: impl IntoIterator<Item = &'a f32>) -> f32 {
    let top = values.into_iter().fold(0.0_f32, |top, value| top.max(value.abs()));
    if top > 0.6 { 1.0 } else { top.max(f32::EPSILON) }
}

/// The side of a pixel that makes pictures about 64 wide.
fn enlarged([_, height, width]: [usize; 3]) -> usize {
    (64 / height.max(width).max(1)).clamp(1, 8)
}

/// What files of samplers are called: names that differ only in signs or letters beyond ASCII get a number.
fn stems(samplers: &[&str]) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for sampler in samplers {
        let slug = Some(slug(sampler)).filter(|slug| !slug.is_empty()).unwrap_or_else(|| "sampler".into());
        let numbered = |number: usize| if number == 1 { slug.clone() } else { format!("{slug}-{number}") };
        stems.extend((1..).map(numbered).find(|stem| !stems.contains(stem)));
    }
    stems
}

/// Every chart of a table with the stem of its files.
fn charts(results: &ComparisonResults, arms: &[Arm]) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    let samplers = results.samplers();
    let stems = stems(&samplers);
    for floor in &results.floors {
        for (&sampler, stem) in samplers.iter().zip(&stems) {
            let fits = |row: &&ResultRow| row.metric == floor.metric && row.sampler == sampler;
            let rows: Vec<&ResultRow> = results.rows.iter().filter(fits).collect();
            let name = format!("{}-{stem}", floor.metric);
            let title = format!("{}, {sampler}", floor.title);
            if results.evaluations().len() > 1 && !rows.is_empty() {
                let curves = arm_curves(&rows, results, arms);
                let chart = distance_curves(&title, "distance", Some(floor.distance), &curves);
                charts.push((format!("curves-{name}"), chart));
            }
            let curves = curves_by_gamma(&rows);
            if curves.iter().any(|curve| curve.points.len() > 2) {
                charts.push((format!("gamma-{name}"), gamma_curves(&title, &curves)));
            }
        }
    }
    charts
}

fn arm_curves(rows: &[&ResultRow], results: &ComparisonResults, arms: &[Arm]) -> Vec<ArmCurve> {
    let curve = |name: &str| {
        let mine = rows.iter().filter(|row| row.arm == name);
        let point = |row: &&ResultRow| BudgetPoint {
            evaluations: row.evaluations,
            distance: row.mean,
            deviation: row.standard_error,
            change: row.paired_change,
            change_error: row.paired_standard_error,
        };
        let untrained = arms.iter().any(|arm| arm.name == name && arm.weights == ArmWeights::Start);
        let role = match name {
            _ if untrained => ArmRole::Untrained,
            _ if name == results.control => ArmRole::Control,
            _ => ArmRole::Other,
        };
        let gamma = mine.clone().find_map(|row| row.gamma);
        ArmCurve { name: name.into(), role, gamma, points: mine.map(point).collect() }
    };
    results.arms().into_iter().map(curve).filter(|curve| !curve.points.is_empty()).collect()
}

fn curves_by_gamma(rows: &[&ResultRow]) -> Vec<GammaCurve> {
    let mut curves: Vec<GammaCurve> = Vec::new();
    for row in rows {
        let Some((gamma, change)) = row.gamma.zip(row.paired_change) else { continue };
        let point = GammaPoint { gamma, change, error: row.paired_standard_error };
        match curves.iter_mut().find(|curve| curve.evaluations == row.evaluations) {
            Some(curve) => curve.points.push(point),
            None => curves.push(GammaCurve { evaluations: row.evaluations, points: vec![point] }),
        }
    }
    curves
}

/// Writes a chart as `.svg` and `.png`.
pub(in crate::experiment) fn save(chart: &Chart, stem: &Path) -> Result<()> {
    let named = |ending: &str| {
        let mut name = stem.as_os_str().to_owned();
        name.push(ending);
        std::path::PathBuf::from(name)
    };
    write(&named(".svg"), &chart.svg()?)?;
    write_bytes(&named(".png"), &chart.png()?.to_png()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_of_like_names_have_files_of_their_own() {
        assert_eq!(
            stems(&["DCW 0.1", "DCW -0.1", "dcw 0.1", "†"]),
            ["dcw-0.1", "dcw-0.1-2", "dcw-0.1-3", "sampler"].map(String::from)
        );
    }
}
