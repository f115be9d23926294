//! The pictures of a folder on their way to an encoder: listed once, then read one by one, cropped as ADM crops.
//!
//! | Layout | Classes | Captions |
//! |---|---|---|
//! | ImageNet: a folder for each class | `"labels": "folders"`: numbered in the order of the folders' names, as torchvision and REPA number them | |
//! | flat, or anything else | `"labels": "none"`, or a CSV or JSON file that names them all, as REPA's `dataset.json` | |
//! | with captions | | `"captions": "txt"`: `a.txt` beside `a.jpg`; or a JSONL file with `file_name` and `text` |
//!
//! The index of a picture is its place in the sorted list of names. A picture that cannot be read keeps its index and is
//! reported by name. ImageNet's folders are called by WordNet numbers (`n01440764`), and sorted they are the classes 0 to 999
//! of every published checkpoint: if some of the thousand are missing, the numbers are others, and a note says so.
mod captions;
mod config;
mod source;

pub use config::{Captions, Flips, PictureReading, PictureSourceConfig};
pub use source::{PictureSource, Skipped, SourcePicture};
