//! A TensorBoard event file: `length, crc(length), Event, crc(Event)`, again and again.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protobuf::{Message, RepeatedField};
use tensorboard_proto::event::{Event, SessionLog, SessionLog_SessionStatus};
use tensorboard_proto::summary::{
    HistogramProto, Summary, Summary_Image, Summary_Value, SummaryMetadata, SummaryMetadata_PluginData,
};
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::tensor_shape::{TensorShapeProto, TensorShapeProto_Dim};
use tensorboard_proto::types::DataType;

use super::records::RecordWriter;
use crate::storage::{self, Appended};

/// A running TensorBoard sees values at most this late.
const FLUSH_AFTER: Duration = Duration::from_secs(5);

/// One TensorBoard event file; every I/O error is returned, none panics.
///
/// An event is kept although writing it failed, and is written with what follows, once that is possible: do not write it
/// a second time. Dropped, the writer tries a last time.
pub struct EventWriter {
    records: RecordWriter<Appended>,
    folder: PathBuf,
    flushed: Instant,
}

impl EventWriter {
    /// Creates a new event file in `dir`, which is created if missing; never overwrites another one.
    ///
    /// # Errors
    /// Whatever the operating system says about the folder or the file.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let mut this = Self::waiting(dir);
        this.flush()?;
        Ok(this)
    }

    /// The same, with the file to be created by the first [`flush`](Self::flush) that can.
    pub(super) fn waiting(dir: &Path) -> Self {
        let folder = dir.to_path_buf();
        Self::start(dir, Appended::new(move || create(&folder)))
    }

    fn start(dir: &Path, file: Appended) -> Self {
        let mut this = Self { records: RecordWriter::new(file), folder: dir.to_path_buf(), flushed: Instant::now() };
        let mut event = Event::new();
        event.set_file_version("brain.Event:2".to_string());
        this.event(event, 0).expect("nothing is written yet");
        this
    }

    /// The event file, or its folder while it could not be made.
    pub fn path(&self) -> &Path {
        self.records.out().path().unwrap_or(&self.folder)
    }

    /// Tells TensorBoard that what follows replaces everything at `step` or later, as after a resume.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn restart_at(&mut self, step: i64) -> io::Result<()> {
        let mut session = SessionLog::new();
        session.set_status(SessionLog_SessionStatus::START);
        let mut event = Event::new();
        event.set_session_log(session);
        self.event(event, step)
    }

    /// One point of a curve; NaN and infinities are kept, TensorBoard marks them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn scalar(&mut self, tag: &str, value: f64, step: i64) -> io::Result<()> {
        let mut point = named(tag);
        point.set_simple_value(value as f32);
        self.value(point, step)
    }

    /// Counts of `values` in `bins` equal bins over `range`, or over their own range if it is absent or empty.
    ///
    /// Non-finite values are left out; finite ones outside `range` count in the outermost bins.
    /// Writes nothing if no finite value is left.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn histogram(
        &mut self,
        tag: &str,
        values: &[f32],
        bins: usize,
        range: Option<(f32, f32)>,
        step: i64,
    ) -> io::Result<()> {
        let finite = || values.iter().copied().filter(|v| v.is_finite()).map(f64::from);
        let (min, max) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if min > max {
            return Ok(());
        }
        let bins = bins.max(1);
        let (low, high) = match range {
            Some((low, high)) if low.is_finite() && high.is_finite() && low < high => (low.into(), high.into()),
            _ => (min, max),
        };
        // Bin limits must increase even when all values are equal.
        let width = ((high - low) / bins as f64).max(1e-12 * low.abs().max(1.0));
        let limits: Vec<f64> = (1..=bins).map(|i| low + width * i as f64).collect();
        let mut counts = vec![0.0; bins];
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for value in finite() {
            // A float cast saturates, so a value below the range lands in bin 0.
            counts[(((value - low) / width) as usize).min(bins - 1)] += 1.0;
            count += 1.0;
            sum += value;
            squares += value * value;
        }
        let mut histogram = HistogramProto::new();
        histogram.set_min(min);
        histogram.set_max(max);
        histogram.set_num(count);
        histogram.set_sum(sum);
        histogram.set_sum_squares(squares);
        histogram.set_bucket_limit(limits);
        histogram.set_bucket(counts);
        let mut value = named(tag);
        value.set_histo(histogram);
        self.value(value, step)
    }

    /// A picture encoded as PNG, `width` by `height` pixels.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if `png` is no PNG of this size, else the file cannot be written.
    pub fn picture(&mut self, tag: &str, width: u32, height: u32, png: &[u8], step: i64) -> io::Result<()> {
        let wrong = match png_size(png) {
            Some(found) if found == (width, height) => None,
            Some((w, h)) => Some(format!("picture `{tag}`: the PNG is {w} x {h}, must be {width} x {height}")),
            None => Some(format!("picture `{tag}`: {} bytes that are no PNG; encode it as PNG first", png.len())),
        };
        if let Some(message) = wrong {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut picture = Summary_Image::new();
        picture.set_width(width as i32);
        picture.set_height(height as i32);
        picture.set_colorspace(3);
        picture.set_encoded_image_string(png.to_vec());
        let mut value = named(tag);
        value.set_image(picture);
        self.value(value, step)
    }

    /// A text, shown as Markdown.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn text(&mut self, tag: &str, text: &str, step: i64) -> io::Result<()> {
        let mut plugin = SummaryMetadata_PluginData::new();
        plugin.set_plugin_name("text".to_string());
        let mut metadata = SummaryMetadata::new();
        metadata.set_plugin_data(plugin);
        let mut one = TensorShapeProto_Dim::new();
        one.set_size(1);
        let mut shape = TensorShapeProto::new();
        shape.set_dim(RepeatedField::from(vec![one]));
        let mut tensor = TensorProto::new();
        tensor.set_dtype(DataType::DT_STRING);
        tensor.set_tensor_shape(shape);
        tensor.set_string_val(RepeatedField::from(vec![text.as_bytes().to_vec()]));
        let mut value = named(tag);
        value.set_metadata(metadata);
        value.set_tensor(tensor);
        self.value(value, step)
    }

    /// Whether events wait that could not be written.
    pub(super) fn is_waiting(&self) -> bool {
        self.records.out().is_waiting()
    }

    /// Whether events were lost, as too many waited.
    pub(super) fn is_hopeless(&self) -> bool {
        self.records.out().is_hopeless()
    }

    /// Hands everything written so far to the operating system.
    ///
    /// # Errors
    /// The file cannot be written; the next call tries it again.
    pub fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.records.flush()
    }

    #[cfg(test)]
    pub(super) fn redirect(&mut self, file: impl FnMut() -> io::Result<(File, PathBuf)> + Send + 'static) {
        self.records = RecordWriter::new(Appended::new(file));
    }

    fn value(&mut self, value: Summary_Value, step: i64) -> io::Result<()> {
        let mut event = Event::new();
        event.set_summary(summary(value));
        self.event(event, step)
    }

    fn event(&mut self, mut event: Event, step: i64) -> io::Result<()> {
        event.set_wall_time(since_epoch().as_secs_f64());
        event.set_step(step);
        let bytes = event.write_to_bytes().map_err(io::Error::other)?;
        self.records.write(&bytes)?;
        if self.flushed.elapsed() >= FLUSH_AFTER { self.flush() } else { Ok(()) }
    }
}

/// A new file in `dir` with a name that no other has.
fn create(dir: &Path) -> io::Result<(File, PathBuf)> {
    storage::operation(dir)?;
    std::fs::create_dir_all(dir)?;
    let mut collision = 0;
    loop {
        let now = since_epoch();
        let (seconds, nanos, process) = (now.as_secs(), now.subsec_nanos(), std::process::id());
        // TensorBoard reads files in the order of their names: time goes first.
        let path = dir.join(format!("events.out.tfevents.{seconds:010}.{nanos:09}.{process}.{collision}"));
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && collision < 1000 => collision += 1,
            Err(error) => return Err(error),
        }
    }
}

/// A value that stands under `tag`.
fn named(tag: &str) -> Summary_Value {
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_string());
    value
}

fn summary(value: Summary_Value) -> Summary {
    let mut summary = Summary::new();
    summary.set_value(RepeatedField::from(vec![value]));
    summary
}

/// Width and height in the header of a PNG.
fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    let number = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(0)?, number(4)?)).filter(|(width, height)| *width > 0 && *height > 0)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::monitor::records::masked_crc;

    /// Parses every event file of `dir`, in the order of their names, checking both checksums of every record.
    pub(crate) fn read_events(dir: &Path) -> Vec<Event> {
        let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        let mut events = Vec::new();
        for file in files {
            let bytes = std::fs::read(file).unwrap();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                assert_eq!(masked_crc(&rest[..8]).to_le_bytes(), rest[8..12]);
                let data = &rest[12..12 + length];
                assert_eq!(masked_crc(data).to_le_bytes(), rest[12 + length..16 + length]);
                events.push(Event::parse_from_bytes(data).unwrap());
                rest = &rest[16 + length..];
            }
        }
        events
    }

    fn first_value(events: &[Event]) -> &Summary_Value {
        &events[1].get_summary().value[0]
    }

    fn written(write: impl FnOnce(&mut EventWriter) -> io::Result<()>) -> Vec<Event> {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path()).unwrap();
        write(&mut writer).unwrap();
        writer.flush().unwrap();
        read_events(dir.path())
    }

    #[test]
    fn a_file_starts_with_its_version_and_holds_scalars() {
        let events = written(|w| w.scalar("train/loss", 0.25, 7));
        assert_eq!(events[0].get_file_version(), "brain.Event:2");
        assert_eq!((events[1].step, events.len()), (7, 2));
        assert_eq!((first_value(&events).get_tag(), first_value(&events).get_simple_value()), ("train/loss", 0.25));
    }

    #[test]
    fn a_writer_that_is_dropped_has_written_all() {
        let dir = tempfile::tempdir().unwrap();
        EventWriter::create(dir.path()).unwrap().scalar("a", 1.0, 3).unwrap();
        assert_eq!(read_events(dir.path()).len(), 2);
    }

    #[test]
    fn two_writers_in_one_folder_get_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (EventWriter::create(dir.path()).unwrap(), EventWriter::create(dir.path()).unwrap());
        assert_ne!(a.path(), b.path());
    }

    #[test]
    fn histogram_counts_finite_values_in_the_range() {
        let values = [0.1, 0.2, 0.6, f32::NAN, 2.0, -1.0, f32::INFINITY];
        let events = written(|w| w.histogram("t", &values, 2, Some((0.0, 1.0)), 3));
        let histogram = first_value(&events).get_histo();
        assert_eq!(histogram.get_bucket(), [3.0, 2.0]);
        assert_eq!(histogram.get_bucket_limit(), [0.5, 1.0]);
        assert_eq!((histogram.min, histogram.max, histogram.num), (-1.0, 2.0, 5.0));
        assert!((histogram.sum - 1.9).abs() < 1e-6 && (histogram.sum_squares - 5.41).abs() < 1e-6);
    }

    #[test]
    fn histogram_is_safe_on_odd_input() {
        assert_eq!(written(|w| w.histogram("t", &[], 8, None, 0)).len(), 1);
        assert_eq!(written(|w| w.histogram("t", &[f32::NAN; 3], 8, Some((0.0, 1.0)), 0)).len(), 1);
        for (values, bins, range) in [
            ([5e8_f32; 4], 8, None),
            ([0.0; 4], 0, None),
            ([0.5; 4], 3, Some((1.0, 0.0))),
            ([0.5; 4], 3, Some((f32::NAN, 1.0))),
            ([f32::MAX, f32::MIN, 0.0, 1.0], 3, None),
        ] {
            let events = written(|w| w.histogram("t", &values, bins, range, 0));
            let histogram = first_value(&events).get_histo();
            assert_eq!(histogram.get_bucket().iter().sum::<f64>(), 4.0);
            assert!(histogram.get_bucket_limit().is_sorted_by(|a, b| a < b));
        }
    }

    /// The head of a PNG, which is all that is looked at.
    pub(in crate::monitor) fn png(width: u32, height: u32) -> Vec<u8> {
        let head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        [&head[..], &width.to_be_bytes(), &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat()
    }

    #[test]
    fn a_picture_keeps_its_size_and_its_bytes() {
        let events = written(|w| w.picture("samples", 3, 2, &png(3, 2), 1));
        let picture = first_value(&events).get_image();
        assert_eq!((picture.width, picture.height, picture.colorspace), (3, 2, 3));
        assert_eq!(picture.get_encoded_image_string(), png(3, 2));
    }

    #[test]
    fn a_picture_of_another_size_or_kind_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path()).unwrap();
        for (png, part) in [(png(2, 3), "the PNG is 2 x 3, must be 3 x 2"), (vec![0; 18], "18 bytes that are no PNG")] {
            let error = writer.picture("i", 3, 2, &png, 0).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(writer.picture("i", 0, 0, &png(0, 0), 0).is_err());
    }

    fn hex(value: Summary_Value) -> String {
        summary(value).write_to_bytes().unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn summaries_keep_their_bytes() {
        let event = |write: &dyn Fn(&mut EventWriter) -> io::Result<()>| {
            written(|w| write(w))[1].get_summary().value[0].clone()
        };
        let scalar = event(&|w| w.scalar("train/loss", 0.25, 7));
        assert_eq!(hex(scalar), "0a110a0a747261696e2f6c6f7373150000803e");
        let histogram = event(&|w| w.histogram("t", &[0.25, 0.5, 0.75], 2, Some((0.0, 1.0)), 3));
        assert_eq!(
            hex(histogram),
            "0a560a01742a5109000000000000d03f11000000000000e83f19000000000000084021000000000000f83f29000000000000ec3f3210000000000000e03f000000000000f03f3a10000000000000f03f0000000000000040"
        );
    }

    #[test]
    fn text_is_a_string_tensor_of_the_text_plugin() {
        let events = written(|w| w.text("config", "{\"γ\": 0.8}", 0));
        let value = first_value(&events);
        assert_eq!(value.get_metadata().get_plugin_data().get_plugin_name(), "text");
        assert_eq!(value.get_tensor().get_dtype(), DataType::DT_STRING);
        assert_eq!(value.get_tensor().get_string_val(), ["{\"γ\": 0.8}".as_bytes()]);
    }
}
