//! Pictures as items: in memory where they are few, else from the file of decoded ones or from their own files.
use super::cache::{self, Cache, Writer};
use super::decode::Target;
use super::{Decoded, ImageLabels, ImagesConfig, labels};
use crate::data::classes::Classes;
use crate::data::listing::{Listing, PICTURES, first};
use crate::data::memory::Names;
use crate::data::set::Source;
use crate::data::{DataSet, DataSplit, HeldOut, Item, hold_out};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pictures that cannot be read here; to leave them out silently would be to train on other data than there are.
pub(in crate::data) const FOREIGN: [&str; 9] = ["avif", "bmp", "gif", "heic", "heif", "jxl", "svg", "tif", "tiff"];

/// How large a set may be to be kept.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Bytes of f32 values up to which all pictures are kept in memory.
    memory: usize,
    /// Bytes up to which decoded pictures are kept in a file.
    cache: usize,
}

const LIMITS: Limits = Limits { memory: 1 << 30, cache: 16 << 30 };
/// Pictures decoded between two reports.
const CHUNK: usize = 256;

/// Some files of a folder.
#[derive(Debug)]
struct Pictures {
    folder: PathBuf,
    names: Vec<String>,
    labels: Vec<i64>,
    target: Target,
    /// Decoded before, in the order of the names.
    cache: Option<Cache>,
}

impl Pictures {
    fn bytes(&self, place: usize) -> Result<Vec<u8>> {
        let file = self.folder.join(&self.names[place]);
        match &self.cache {
            Some(cache) if cache.bad.binary_search(&place).is_err() => cache.read(place),
            _ => self.target.decode(&file).map_err(|message| Error::format(file, message)),
        }
    }

    /// Decodes everything into the file `path`.
    ///
    /// # Errors
    /// [`Error::Format`] naming every picture that cannot be read, if they are more than `most`.
    fn decode_all(&self, path: &Path, key: [u8; 32], most: usize, said: &mut dyn FnMut(Decoded)) -> Result<()> {
        let mut writer = Writer::create(path, key)?;
        let (mut wrong, mut bad, mut done, total) = (Vec::new(), Vec::new(), 0, self.names.len());
        said(Decoded { done, total });
        for names in self.names.chunks(CHUNK) {
            let decoded: Vec<_> = names.par_iter().map(|name| self.target.decode(&self.folder.join(name))).collect();
            for (place, (name, picture)) in names.iter().zip(decoded).enumerate() {
                let bytes = picture.unwrap_or_else(|message| {
                    wrong.push(format!("{name}: {message}"));
                    bad.push(done + place);
                    vec![0; self.target.bytes()]
                });
                writer.push(&bytes)?;
            }
            done += names.len();
            said(Decoded { done, total });
        }
        if wrong.len() <= most {
            return writer.finish(&bad);
        }
        let message = format!("{} of {total} pictures cannot be read:{}", wrong.len(), first(&wrong));
        Err(Error::format(&self.folder, message))
    }

    /// The decoded pictures in `path`, unless one that could not be decoded now can.
    fn decoded(&self, path: &Path, key: &[u8; 32], most: usize) -> Option<Cache> {
        let cache = Cache::open(path, key, self.names.len(), self.target.bytes())?;
        let still_bad = |place: &usize| self.target.decode(&self.folder.join(&self.names[*place])).is_err();
        (cache.bad.len() <= most && cache.bad.iter().all(still_bad)).then_some(cache)
    }

    /// All values of the items at `places`.
    fn values(&self, places: &[usize]) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(places.len() * self.target.bytes());
        for place in places {
            values.extend(self.bytes(*place)?.into_iter().map(value));
        }
        Ok(values)
    }
}

/// The names of pictures in memory.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    names: Vec<String>,
}

impl Names for Files {
    fn name(&self, number: usize) -> String {
        self.names[number].clone()
    }

    fn stored(&self, number: usize) -> String {
        extension(&self.names[number])
    }

    fn files(&self, number: usize) -> Vec<PathBuf> {
        vec![self.folder.join(&self.names[number])]
    }
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map_or("", |(_, extension)| extension).to_lowercase()
}

fn value(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

impl Source for Pictures {
    fn read(&self, place: usize) -> Result<Item> {
        let data = self.bytes(place)?.into_iter().map(value).collect();
        Ok(Item { data, label: self.labels[place], ..Item::default() })
    }

    /// Pictures are decoded on all cores.
    fn read_many(&self, places: &[usize]) -> Vec<Result<Item>> {
        places.par_iter().map(|place| self.read(*place)).collect()
    }

    fn files(&self, place: usize) -> Vec<PathBuf> {
        vec![self.folder.join(&self.names[place])]
    }

    fn is_kept(&self, place: usize) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.bad.binary_search(&place).is_err())
    }

    fn expects(&self) -> String {
        format!("{:?}", self.target)
    }

    fn name(&self, place: usize) -> String {
        self.names[place].clone()
    }

    fn stored(&self, place: usize) -> Result<String> {
        Ok(extension(&self.names[place]))
    }
}

/// The names of the pictures, the classes, and what a person should know.
fn listed(config: &ImagesConfig) -> Result<(Vec<String>, Classes, Vec<String>)> {
    let Listing { mut names, others } = Listing::of(&config.folder, &PICTURES)?;
    let foreign: Vec<String> = others
        .iter()
        .filter(|(extension, _)| FOREIGN.contains(&extension.as_str()))
        .map(|(extension, count)| format!("{count} .{extension}"))
        .collect();
    if !foreign.is_empty() {
        let message = "which cannot be read: convert them to PNG, JPEG or WebP, or move them elsewhere";
        return Err(Error::format(&config.folder, format!("holds pictures {}, {message}", foreign.join(", "))));
    }
    if names.len() < 2 {
        let listing = Listing { names: names.clone(), others };
        let (count, found) = (names.len(), listing.found_instead());
        let message =
            format!("holds {count} .png, .jpg, .jpeg or .webp file(s): there must be two; found beside them: {found}");
        return Err(Error::format(&config.folder, message));
    }
    let mut classes = labels::of(&config.labels, &config.folder, &names)?;
    let mut notes: Vec<String> = classes.note().into_iter().collect();
    if let Some(limit) = config.limit.filter(|limit| *limit < names.len()) {
        notes.push(format!("{limit} of {} pictures are taken", names.len()));
        // Another seed than that of the held-out items, which would otherwise be those that were taken first.
        let marks = hold_out::by_hash(&names, &classes.labels, HeldOut::Count(limit), !config.seed);
        let mut mark = marks.iter();
        names.retain(|_| *mark.next().unwrap_or(&false));
        let mut mark = marks.iter();
        classes.labels.retain(|_| *mark.next().unwrap_or(&false));
    }
    Ok((names, classes, notes))
}

/// Lists, decodes and splits the pictures. `config` has no problems.
pub(super) fn open(config: &ImagesConfig, said: &mut dyn FnMut(Decoded)) -> Result<DataSplit> {
    open_within(LIMITS, config, said)
}

fn open_within(limits: Limits, config: &ImagesConfig, said: &mut dyn FnMut(Decoded)) -> Result<DataSplit> {
    let (names, classes, notes) = listed(config)?;
    let [stay, out] = hold_out::parts(&names, &classes.labels, config.held_out, config.seed, &config.folder)?;
    let target = Target { size: config.size, channels: config.channels };
    let (shape, count) = ([config.channels, config.size, config.size], names.len());
    let (labels, folder) = (classes.labels, config.folder.clone());
    let most = config.max_bad_items;
    let mut pictures = Pictures { folder, names, labels, target, cache: None };
    if count.saturating_mul(target.bytes()) <= limits.cache {
        let key = cache::key(&pictures.folder, &pictures.names, target)?;
        let path = cache::file(config.cache.as_deref(), &key);
        pictures.cache = match pictures.decoded(&path, &key, most) {
            Some(cache) => Some(cache),
            None => {
                pictures.decode_all(&path, key, most, said)?;
                pictures.decoded(&path, &key, most)
            }
        };
    } else if most == 0 {
        // Before anything long begins.
        pictures.bytes(0)?;
    }
    let all_good = pictures.cache.as_ref().is_none_or(|cache| cache.bad.is_empty());
    let (train, held_out) = if all_good && count.saturating_mul(4 * target.bytes()) <= limits.memory {
        let names = Arc::new(Files { folder: pictures.folder.clone(), names: pictures.names.clone() });
        let part = |places: Vec<usize>| {
            let labels = places.iter().map(|place| pictures.labels[*place]).collect();
            DataSet::named(shape, pictures.values(&places)?, labels, places, names.clone())
        };
        (part(stay)?, part(out)?)
    } else {
        let labels = pictures.labels.clone();
        let all = DataSet::new(Arc::new(pictures), shape, labels).with_bad_items(most);
        (all.only(&stay), all.only(&out))
    };
    let classes = if config.labels == ImageLabels::None { 0 } else { classes.names.len() };
    let split = DataSplit::new(train.with_mirror(config.flip), held_out, classes);
    Ok(DataSplit { notes, ..split })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::Dataset;

    #[test]
    fn large_sets_give_the_same_items_from_the_cache_and_from_their_files() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..10u8 {
            let picture = image::RgbImage::from_fn(9, 12, |x, y| image::Rgb([i, x as u8, y as u8]));
            picture.save(folder.path().join(format!("{i}.png"))).unwrap();
        }
        let config = ImagesConfig {
            cache: Some(folder.path().join(".cache")),
            flip: true,
            ..ImagesConfig::new(folder.path(), 4)
        };
        let open = |memory, cache| {
            let mut decoded = 0;
            let split =
                open_within(Limits { memory, cache }, &config, &mut |progress| decoded = progress.done).unwrap();
            (split, decoded)
        };
        let (files, none) = open(0, 0);
        let (cached, all) = open(0, usize::MAX);
        let (kept, again) = open(usize::MAX, usize::MAX);
        assert_eq!((none, all, again), (0, 10, 0));
        let sets = |split: &DataSplit| [split.train.clone(), split.held_out.clone()];
        for (kept, others) in sets(&kept).iter().zip(sets(&files).into_iter().zip(sets(&cached))) {
            for other in [others.0, others.1] {
                let places: Vec<usize> = (0..kept.len()).rev().collect();
                assert_eq!((other.in_memory(), other.len(), other.labels()), (None, kept.len(), kept.labels()));
                assert_eq!(other.get_many(places.clone()).unwrap(), kept.get_many(places.clone()).unwrap());
                assert_eq!(other.values(&places).unwrap(), kept.values(&places).unwrap());
                assert_eq!((other.name(0), other.stored(0)), (kept.name(0), "png".to_string()));
            }
        }
        let aside = cached.set_aside();
        assert!(aside.is_err_and(|e| e.to_string().contains("9 training item(s)")));
        std::fs::write(folder.path().join(files.train.name(3)), b"broken").unwrap();
        let error = files.train.get_many((0..9).collect()).unwrap_err().to_string();
        assert!(error.contains(&files.train.name(3)), "{error}");
    }
}
