//! A cell with a gFID, drawn in parts on all devices: of every sample its features are kept, and those samples that other
//! distances are measured by.
//!
//! Each part is a file until the cell is whole, so that a call that was killed goes on with the next part, and a table of 50,000
//! latents needs no more memory than their features.
use crate::experiment::cell_gfid::{CellGfid, FeatureMaker};
use crate::experiment::distances::Distances;
use crate::experiment::files::write_bytes;
use crate::experiment::generate::check_finite;
use crate::experiment::generator::Generator;
use crate::experiment::opened::Experiment;
use crate::experiment::progress::Task;
use crate::experiment::share::share;
use crate::models::Network;
use crate::sample::{SampleNoise, SamplerConfig};
use crate::{Result, digest, host, storage};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Samples of a part at least, whole batches: their features are 2 MB.
const PART: usize = 256;

/// What a cell is measured by.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Features of all samples, one after the other.
    pub features: Vec<f32>,
    /// The samples that have distances of their own.
    pub values: Vec<f32>,
}

impl Measured {
    /// Samples without features.
    pub fn of(values: Vec<f32>) -> Self {
        Self { values, features: Vec::new() }
    }
}

/// A cell to be drawn.
pub(super) struct Parts<'a> {
    pub experiment: &'a Experiment,
    pub distances: &'a Distances<'a>,
    pub gfid: &'a CellGfid,
    pub sampler: &'a SamplerConfig,
    pub seed: u64,
}

/// Where the parts of a cell are kept.
fn folder_of(cell: &Path) -> PathBuf {
    cell.with_extension("parts")
}

/// Removes the parts of all cells in a folder but of the `missing` ones: those of a process that was killed after it wrote a
/// cell, and of cells that nobody asks for any more.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if one cannot be removed.
pub(super) fn sweep(cells: &Path, missing: &[PathBuf]) -> Result<()> {
    let kept: Vec<PathBuf> = missing.iter().map(|cell| folder_of(cell)).collect();
    let entries = std::fs::read_dir(cells).into_iter().flatten().flatten().map(|entry| entry.path());
    let parts = entries.filter(|path| path.extension().is_some_and(|end| end == "parts") && !kept.contains(path));
    parts.into_iter().try_for_each(|path| storage::remove_folder(&path))
}

/// What draws and measures on one device.
struct Worker<'a> {
    generator: Generator,
    features: &'a FeatureMaker,
}

/// Numbers that threads write at their places.
struct Places(Mutex<Vec<f32>>);

impl Places {
    fn new(count: usize) -> Self {
        Self(Mutex::new(vec![0.0; count]))
    }

    fn put(&self, place: usize, values: &[f32]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all[place..place + values.len()].copy_from_slice(values);
    }

    fn into_inner(self) -> Vec<f32> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts<'_> {
    /// Draws the `count` samples of the file `cell` with `network`, but for parts that are there.
    ///
    /// # Errors
    /// As [`Sampler::sample_at`](crate::sample::Sampler::sample_at) and [`FeatureMaker::features`]; those of reading the
    /// weak network and the conditions; [`Error::Io`] if a part cannot be written.
    pub fn draw(&self, network: &Network, cell: &Path, count: usize) -> Result<Measured> {
        let (folder, batch) = (folder_of(cell), self.sampler.batch_size);
        storage::create_folder(&folder)?;
        let generators = Generator::on_each_device(self.experiment, network, self.sampler)?;
        let networks = generators.into_iter().zip(self.gfid.networks());
        let workers: Vec<Worker<'_>> = networks.map(|(generator, features)| Worker { generator, features }).collect();
        let task = Task::begin(self.experiment.progress(), "drawing for the gFID", count as u64);
        let (mut all, each) = (Measured::default(), (PART / batch).max(1) * batch);
        let own = self.distances.own_samples(count);
        for start in (0..count).step_by(each) {
            let end = count.min(start + each);
            let file = folder.join(format!("{start:08}-{end:08}.f32"));
            let own: Vec<usize> = own.iter().copied().filter(|i| (start..end).contains(i)).collect();
            let numbers = [(end - start) * self.gfid.dimensions(), own.len() * self.size()];
            let (features, values) = match kept(&file, numbers) {
                Some(part) => part,
                None => {
                    let part = self.part(&workers, [start, end], &own, &task)?;
                    keep(&file, &part.0, &part.1)?;
                    part
                }
            };
            all.features.extend(features);
            all.values.extend(values);
            task.at(end as u64);
        }
        Ok(all)
    }

    fn size(&self) -> usize {
        self.experiment.data().shape.iter().product()
    }

    /// Draws the samples from `start` to `end`, and keeps those at the positions `own`.
    fn part(
        &self,
        workers: &[Worker<'_>],
        [start, end]: [usize; 2],
        own: &[usize],
        task: &Task<'_>,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let (batch, shape, size) = (self.sampler.batch_size, self.experiment.data().shape, self.size());
        let dimensions = self.gfid.dimensions();
        let (features, values) = (Places::new((end - start) * dimensions), Places::new(own.len() * size));
        let groups: Vec<usize> = (start..end).step_by(batch).collect();
        let done = AtomicU64::new(start as u64);
        share(workers, &groups, |worker, first| {
            let last = end.min(first + batch);
            let condition = self.distances.conditions(self.seed, first..last)?;
            let positions: Vec<u64> = (first as u64..last as u64).collect();
            let noise = SampleNoise { seed: self.seed, positions: &positions };
            let drawn = worker.generator.draw(shape, condition, noise, &mut |_| ())?;
            check_finite(&drawn)?;
            let drawn = host::values(drawn, "samples")?;
            features.put((first - start) * dimensions, &worker.features.features(self.experiment, &drawn)?);
            for (i, position) in own.iter().enumerate().filter(|(_, position)| (first..last).contains(position)) {
                values.put(i * size, &drawn[(position - first) * size..][..size]);
            }
            let count = (last - first) as u64;
            task.at(done.fetch_add(count, Ordering::Relaxed) + count);
            Ok(())
        })?;
        Ok((features.into_inner(), values.into_inner()))
    }
}

/// A part that was kept whole: so many features, and so many values.
fn kept(file: &Path, [features, values]: [usize; 2]) -> Option<(Vec<f32>, Vec<f32>)> {
    let bytes = std::fs::read(file).ok()?;
    let (numbers, checksum) = bytes.split_at_checked(4 * (features + values))?;
    if digest::sha256(numbers).as_bytes() != checksum {
        return None;
    }
    let mut all: Vec<f32> = numbers.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let values = all.split_off(features);
    Some((all, values))
}

fn keep(file: &Path, features: &[f32], values: &[f32]) -> Result<()> {
    let mut bytes: Vec<u8> = features.iter().chain(values).flat_map(|value| value.to_le_bytes()).collect();
    let checksum = digest::sha256(&bytes);
    bytes.extend(checksum.as_bytes());
    write_bytes(file, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_it_was_kept_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.f32");
        assert_eq!(kept(&file, [0, 0]), None);
        let (features, values) = (vec![1.5, -0.0, f32::MIN_POSITIVE], vec![7.25]);
        keep(&file, &features, &values).unwrap();
        assert_eq!(kept(&file, [3, 1]), Some((features, values)));
        assert_eq!((kept(&file, [3, 0]), kept(&file, [3, 2])), (None, None));
        let whole = std::fs::read(&file).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(kept(&file, [3, 1]), None, "byte {place}");
        }
    }

    #[test]
    fn what_is_left_of_cells_that_are_whole_or_are_none_any_more_goes() {
        let folder = tempfile::tempdir().unwrap();
        let cell = |name: &str| folder.path().join(name);
        for name in ["a.json", "a.parts", "b.parts", "c.parts"] {
            std::fs::create_dir(cell(name)).unwrap();
        }
        sweep(folder.path(), &[cell("b.json")]).unwrap();
        let there = ["a.json", "a.parts", "b.parts", "c.parts"].map(|name| cell(name).exists());
        assert_eq!(there, [true, false, true, false]);
        sweep(&cell("nowhere"), &[]).unwrap();
    }
}
