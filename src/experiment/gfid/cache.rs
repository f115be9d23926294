//! Statistics of pictures in a folder of files, each named for what it is of and checked when it is read.
use super::law::Law;
use super::reference::PictureStatistics;
use crate::digest::hex;
use crate::{Result, storage};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The key of what is written beside the tensors: how many pictures, and a checksum. One key, as the order of several is left to
/// chance, and a file written again must be the same.
const NOTE: &str = "pictures and sha256";

/// The file of the statistics whose content has this hash.
pub(super) fn file(folder: &Path, hash: &str) -> PathBuf {
    folder.join(format!("gfid-{hash}.safetensors"))
}

/// What is in the file; none if there is no such file, or it is damaged.
pub(super) fn read(file: &Path) -> Option<PictureStatistics> {
    let bytes = std::fs::read(file).ok()?;
    let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
    let (count, sum) = header.metadata().as_ref()?.get(NOTE)?.split_once(' ')?;
    let stored = SafeTensors::deserialize(&bytes).ok()?;
    let parts: BTreeMap<String, &[u8]> = stored.iter().map(|(name, view)| (name.to_string(), view.data())).collect();
    if sum != checksum(count, &parts) {
        return None;
    }
    let law = |kind: &str| {
        let part = |name: &str| parts.get(&format!("{kind}.{name}"));
        match part("rows") {
            Some(rows) => Some(Law::Rows(singles(rows))),
            None => Some(Law::Gaussian { mean: doubles(part("mean")?), covariance: doubles(part("covariance")?) }),
        }
    };
    Some(PictureStatistics {
        count: count.parse().ok()?,
        pool: law("pool")?,
        spatial: law("spatial")?,
        kept: singles(parts.get("kept")?),
    })
}

/// Writes them, whole or not at all.
pub(super) fn write(file: &Path, statistics: &PictureStatistics) -> Result<()> {
    let mut parts: Vec<(String, Dtype, Vec<u8>)> = vec![("kept".into(), Dtype::F32, of_singles(&statistics.kept))];
    for (kind, law) in [("pool", &statistics.pool), ("spatial", &statistics.spatial)] {
        match law {
            Law::Rows(rows) => parts.push((format!("{kind}.rows"), Dtype::F32, of_singles(rows))),
            Law::Gaussian { mean, covariance } => {
                parts.push((format!("{kind}.mean"), Dtype::F64, of_doubles(mean)));
                parts.push((format!("{kind}.covariance"), Dtype::F64, of_doubles(covariance)));
            }
        }
    }
    let count = statistics.count.to_string();
    let checksum = checksum(&count, &parts.iter().map(|(name, _, bytes)| (name.clone(), &bytes[..])).collect());
    let notes = HashMap::from([(NOTE.to_string(), format!("{count} {checksum}"))]);
    let views = parts.iter().map(|(name, dtype, bytes)| {
        let size = if *dtype == Dtype::F64 { 8 } else { 4 };
        TensorView::new(*dtype, vec![bytes.len() / size], bytes).map(|view| (name.as_str(), view))
    });
    let unwritable = |e: safetensors::SafeTensorError| crate::Error::format(file, format!("cannot be written: {e}"));
    let views = views.collect::<Result<Vec<_>, _>>().map_err(unwritable)?;
    let bytes = serialize(views, Some(notes)).map_err(unwritable)?;
    if let Some(folder) = file.parent() {
        storage::create_folder(folder)?;
    }
    storage::write(file, &bytes)
}

fn checksum(count: &str, parts: &BTreeMap<String, &[u8]>) -> String {
    let mut hash = Sha256::new();
    hash.update(count.as_bytes());
    for (name, bytes) in parts {
        hash.update(name.as_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hex(hash.finalize(), 32)
}

fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
}

fn of_singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn of_doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_changed_byte_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder.path().join("new"), "0af1");
        let gaussian = Law::Gaussian { mean: vec![1.0, 2.0], covariance: vec![1.0, 0.5, 0.5, 2.0] };
        let statistics =
            PictureStatistics { count: 7, pool: gaussian, spatial: Law::Rows(vec![1.5, -2.0]), kept: vec![0.25; 6] };
        assert!(read(&file).is_none());
        write(&file, &statistics).unwrap();
        assert_eq!(read(&file).as_ref(), Some(&statistics));
        let whole = std::fs::read(&file).unwrap();
        for place in (0..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            std::fs::write(&file, &damaged).unwrap();
            assert!(read(&file).is_none_or(|read| read == statistics), "byte {place}");
        }
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        assert!(read(&file).is_none());
    }
}
