//! Every distance between two sets of samples, beside what chance alone gives.
use super::report::{Better, MeasuredSet, SetDistance, SetsReport};
use super::{MeasureOptions, SampleForm, SampleSet};
use crate::data::evenly;
use crate::evaluate::{
    FeatureExtractor, PairAverage, RandomConvolutions, energy_distance_with, frechet_distance_of_samples, kid,
    precision_recall,
};
use crate::random::{Purpose, SampleKey};
use crate::{Error, Result, host};
use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::index;

/// Samples decoded and turned into features together.
const BATCH: usize = 256;

/// Values of a set kept in memory, for the measures of pixels and vectors: a quarter of a gigabyte.
const MOST_VALUES: usize = 1 << 26;

/// Measures how far `second` (generated, B) is from `first` (real, A).
///
/// Pictures: Fréchet distances of random convolutions, texture and pixels, kernel distance, precision and recall of random
/// convolutions, energy distance of pixels. Vectors: energy, Fréchet and kernel distance, precision and recall. None is a
/// published FID. Pictures are decoded once, by batches; time grows with the square of the samples, at most
/// [`MeasureOptions::most_for_pairs`] of a set.
/// # Errors
/// [`Error::Config`] for options out of range; [`Error::Invalid`] naming both sets if their samples differ in form, or one
/// that holds too few; [`Error::Io`] or [`Error::Format`] for a picture that does not decode.
pub fn measure_sets(first: &SampleSet, second: &SampleSet, options: &MeasureOptions) -> Result<SetsReport> {
    options.check()?;
    let (form, other, least) = (first.form(), second.form(), options.least());
    if form != other {
        let (a, b) = (first.path().display(), second.path().display());
        return Err(Error::Invalid(format!("{a} holds {form}, {b} holds {other}: both must be of one form")));
    }
    for set in [first, second] {
        if set.len() < least {
            let (path, count) = (set.path().display(), set.len());
            return Err(Error::Invalid(format!("{path} holds {count} sample(s): must be at least {least}")));
        }
    }
    let distances = match form {
        SampleForm::Pictures { channels, .. } => {
            let bank = RandomConvolutions::with_texture(options.feature_seed, channels, &Device::flex())?;
            let measured = |set| Measured::new(set, Some(&bank), least);
            of_pictures(&measured(first)?, &measured(second)?, options)?
        }
        SampleForm::Vectors { .. } => {
            let measured = |set| Measured::new(set, None, least);
            of_vectors(&measured(first)?, &measured(second)?, options)?
        }
    };
    let (first, second) = (MeasuredSet::of(first), MeasuredSet::of(second));
    Ok(SetsReport { first, second, form, options: *options, distances })
}

fn of_pictures(a: &Measured, b: &Measured, options: &MeasureOptions) -> Result<Vec<SetDistance>> {
    let compare = |of: fn(&Measured) -> &Rows| Comparison::new(of(a), of(b), options.halves_seed);
    let (convolutions, texture, pixels) =
        (compare(|set| &set.plain), compare(|set| &set.texture), compare(|set| &set.values));
    let few = pixels.at_most(options.most_for_pairs);
    let convolutions_for_pairs = convolutions.at_most(options.most_for_pairs);
    let mut found = vec![
        convolutions.frechet("frechet_random_convolutions", "Fréchet distance, 64 random convolutions")?,
        texture.frechet("frechet_texture", "Fréchet distance, texture: the same filters, zero-mean")?,
        pixels.or_few(&few).frechet("frechet_pixels", "Fréchet distance, pixels")?,
        convolutions_for_pairs.kid("kid_random_convolutions", "Kernel distance, random convolutions")?,
        few.energy("energy_distance", "Energy distance, pixels")?,
    ];
    found.extend(convolutions_for_pairs.precision_recall(
        [("precision", "Precision, random convolutions"), ("recall", "Recall, random convolutions")],
        options.neighbours,
    )?);
    Ok(found)
}

fn of_vectors(a: &Measured, b: &Measured, options: &MeasureOptions) -> Result<Vec<SetDistance>> {
    let vectors = Comparison::new(&a.values, &b.values, options.halves_seed);
    let few = vectors.at_most(options.most_for_pairs);
    let mut found = vec![
        few.energy("energy_distance", "Energy distance")?,
        vectors.or_few(&few).frechet("frechet_vectors", "Fréchet distance")?,
        few.kid("kid_vectors", "Kernel distance")?,
    ];
    let names = [("precision", "Precision"), ("recall", "Recall")];
    found.extend(few.precision_recall(names, options.neighbours)?);
    Ok(found)
}

/// Vectors of `dim` values, one after the other.
#[derive(Debug, Clone, Default)]
struct Rows {
    dim: usize,
    values: Vec<f32>,
}

impl Rows {
    fn count(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    fn only(&self, places: impl IntoIterator<Item = usize>) -> Self {
        let row = |place: usize| &self.values[place * self.dim..][..self.dim];
        Self { dim: self.dim, values: places.into_iter().flat_map(row).copied().collect() }
    }

    /// At most `most` of them, evenly chosen.
    fn evenly(&self, most: usize) -> Self {
        self.only(evenly(self.count(), most))
    }
}

/// What of a set is compared.
#[derive(Debug, Default)]
struct Measured {
    /// Pixels or vectors, evenly chosen where all would fill the memory.
    values: Rows,
    /// Random convolutions of every picture.
    plain: Rows,
    /// The same of zero-mean filters.
    texture: Rows,
}

impl Measured {
    fn new(set: &SampleSet, bank: Option<&RandomConvolutions>, least: usize) -> Result<Self> {
        let ([channels, height, width], count) = (set.shape(), set.len());
        let (size, filters) = (channels * height * width, RandomConvolutions::FILTERS);
        let rows = |dim| Rows { dim, values: Vec::new() };
        let mut this = Self { values: rows(size), plain: rows(filters), texture: rows(filters) };
        let kept = (MOST_VALUES / size).clamp(least, count);
        let mut places = evenly(count, kept).into_iter().peekable();
        for start in (0..count).step_by(BATCH) {
            let end = count.min(start + BATCH);
            let values = set.values(start..end)?;
            while let Some(place) = places.next_if(|place| *place < end) {
                this.values.values.extend_from_slice(&values[(place - start) * size..][..size]);
            }
            let Some(bank) = bank else { continue };
            let images = TensorData::new(values, [end - start, channels, height, width]);
            let features = host::values(bank.extract(Tensor::from_data(images, &Device::flex()))?, "features")?;
            for row in features.chunks_exact(2 * filters) {
                this.plain.values.extend_from_slice(&row[..filters]);
                this.texture.values.extend_from_slice(&row[filters..]);
            }
        }
        Ok(this)
    }
}

/// Both sets, and the halves that show what chance gives.
struct Comparison {
    whole: [Rows; 2],
    halves: [Rows; 2],
    /// As many of the second set as a half holds.
    like_half: Rows,
}

impl Comparison {
    fn new(first: &Rows, second: &Rows, seed: u64) -> Self {
        let half = (first.count() / 2).min(second.count());
        let shuffled = |set: u64, rows: &Rows| {
            let mut rng = SampleKey { seed, epoch: 0, position: set }.rng(Purpose::Shuffle);
            index::sample(&mut rng, rows.count(), rows.count()).into_vec()
        };
        let (a, b) = (shuffled(0, first), shuffled(1, second));
        let halves = [&a[..half], &a[half..2 * half]].map(|places| first.only(places.iter().copied()));
        let like_half = second.only(b[..half].iter().copied());
        Self { whole: [first.clone(), second.clone()], halves, like_half }
    }

    fn at_most(&self, most: usize) -> Self {
        let few = |rows: &Rows| rows.evenly(most);
        Self {
            whole: self.whole.each_ref().map(few),
            halves: self.halves.each_ref().map(few),
            like_half: few(&self.like_half),
        }
    }

    fn dim(&self) -> usize {
        self.whole[0].dim
    }

    /// What a Fréchet distance is taken of: everything where covariances are of full rank and no larger than the products
    /// of `few`, else `few`.
    fn or_few<'a>(&'a self, few: &'a Self) -> &'a Self {
        let [all, most] = [self, few].map(|set| set.whole[0].count().min(set.whole[1].count()));
        if self.dim() <= most.min(all) { self } else { few }
    }

    /// The same measure of both sets, of two halves, and of a half and as many of the second.
    fn each<T>(&self, measure: impl Fn(&[f32], &[f32]) -> Result<T>) -> Result<[T; 3]> {
        let [half, other] = &self.halves;
        let of = |a: &Rows, b: &Rows| measure(&a.values, &b.values);
        Ok([of(&self.whole[0], &self.whole[1])?, of(half, other)?, of(half, &self.like_half)?])
    }

    fn distance(&self, name: &'static str, title: &'static str, better: Better, values: [f64; 3]) -> SetDistance {
        let ([value, floor, like_floor], [a, b]) = (values, &self.whole);
        let (samples, floor_samples) = ([a.count(), b.count()], self.like_half.count());
        SetDistance { name, title, better, value, standard_error: None, samples, floor, like_floor, floor_samples }
    }

    fn frechet(&self, name: &'static str, title: &'static str) -> Result<SetDistance> {
        let values = self.each(|a, b| frechet_distance_of_samples(a, b, self.dim()))?;
        Ok(self.distance(name, title, Better::Lower, values))
    }

    fn energy(&self, name: &'static str, title: &'static str) -> Result<SetDistance> {
        let values = self.each(|a, b| energy_distance_with(a, b, self.dim(), PairAverage::All))?;
        Ok(self.distance(name, title, Better::Lower, values))
    }

    fn kid(&self, name: &'static str, title: &'static str) -> Result<SetDistance> {
        let found = self.each(|a, b| kid(a, b, self.dim()))?;
        let distance = self.distance(name, title, Better::Lower, found.map(|one| one.value));
        Ok(SetDistance { standard_error: Some(found[0].standard_error), ..distance })
    }

    fn precision_recall(&self, names: [(&'static str, &'static str); 2], k: usize) -> Result<[SetDistance; 2]> {
        let found = self.each(|a, b| precision_recall(a, b, self.dim(), k))?;
        let [precision, recall] = names;
        Ok([
            self.distance(precision.0, precision.1, Better::Higher, found.map(|one| one.precision)),
            self.distance(recall.0, recall.1, Better::Higher, found.map(|one| one.recall)),
        ])
    }
}
