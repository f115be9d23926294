//! The weights that a finished training leaves in its folder.
use crate::models::Network;
use crate::models::weights::not_finite_in;
use crate::{Error, Result, checkpoint, digest, storage};
use burn::module::Module;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The file of the averaged weights in a folder.
pub(super) fn weights_file(folder: &Path) -> PathBuf {
    folder.join("ema.bpk")
}

/// The folder that holds the averaged weights `ema.bpk` of an earlier run: its own, or the `post_train` below it.
pub fn folder_of_weights(run: &Path) -> Option<PathBuf> {
    [run.to_path_buf(), run.join("post_train")].into_iter().find(|folder| has_weights(folder))
}

/// The file of the averaged weights of an earlier run; where it would be if there is none.
pub(super) fn weights_of_run(run: &Path) -> PathBuf {
    weights_file(&folder_of_weights(run).unwrap_or_else(|| run.to_path_buf()))
}

/// Whether a folder holds finished weights.
pub(super) fn has_weights(folder: &Path) -> bool {
    weights_file(folder).exists()
}

/// Writes weights, if they are finite; the file is there whole or not at all.
pub(super) fn save(network: &Network, file: &Path) -> Result<()> {
    let bytes = network.clone().into_record().into_bytes().map_err(|e| Error::format(file, e.to_string()))?.shared();
    if let Some(tensor) = checkpoint::not_finite(file, bytes.clone())? {
        let message = format!("`{tensor}` holds a NaN or an infinity, so that the weights are not kept");
        return Err(Error::format(file, message));
    }
    // A checksum of other weights must not stand beside these, nor one of these beside others.
    let checksum = checksum_file(file);
    storage::remove_file(&checksum)?;
    storage::write(file, &bytes)?;
    storage::write(&checksum, digest::sha256(&bytes).as_bytes())
}

/// Where the checksum of a file of weights lies.
fn checksum_file(file: &Path) -> PathBuf {
    file.with_extension("bpk.sha256")
}

/// The contents of a file of weights, compared with its checksum if it has one.
fn contents(file: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    match std::fs::read_to_string(checksum_file(file)) {
        Ok(expected) if digest::sha256(&bytes) != expected.trim() => {
            let why = "its checksum is not the one that it was written with";
            Err(Error::format(file, format!("is cut off or damaged: {AGAIN} ({why})")))
        }
        _ => Ok(bytes),
    }
}

/// How many characters of Burn's own words an error tells.
const TOLD: usize = 300;
const AGAIN: &str =
    "remove it, and the command that made it makes it again (in the folder of a `mixflow post-train`, the same call)";

/// `network` with the weights of a file that [`save`] wrote.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened; [`Error::Format`] if it is damaged, of another network or not finite, and what to do.
pub(super) fn load(network: Network, file: &Path) -> Result<Network> {
    let bytes = Bytes::from_bytes_vec(contents(file)?);
    // Burn's reader trusts the types that a file claims, and panics where they are others than the module's.
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let loaded = network.try_load_record(ModuleRecord::from_bytes(bytes)?)?;
        let wrong = not_finite_in(&loaded).map_err(RecordError::Io)?;
        Ok((loaded, wrong))
    }));
    let wrong = |message: String| Err(Error::format(file, message));
    match loaded {
        Ok(Ok((network, bad))) if bad.is_empty() => Ok(network),
        Ok(Ok((_, bad))) => {
            let more = bad.len().saturating_sub(3);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            let bad = bad.into_iter().take(3).collect::<Vec<_>>().join(", ");
            wrong(format!(
                "its weights cannot be used: {bad}{more}; the training that made them had failed: train again in another folder"
            ))
        }
        Ok(Err(RecordError::Validation(why))) => wrong(format!(
            "holds the weights of another network than `network` describes; name a run of this network, or {AGAIN} ({})",
            why.chars().take(TOLD).collect::<String>()
        )),
        Ok(Err(RecordError::Io(why))) => wrong(format!("is cut off or damaged: {AGAIN} ({why})")),
        Err(_) => wrong(format!("is damaged: {AGAIN}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::NetworkConfig;
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::{Device, Tensor};

    fn network(width: usize) -> Network {
        let config = serde_json::json!({
            "kind": "residual_mlp", "channels": 1, "size": 2, "width": width, "depth": 1, "num_classes": 2
        });
        serde_json::from_value::<NetworkConfig>(config).unwrap().init(0, &Device::flex()).unwrap()
    }

    /// Bytes before the description in Burn's files, which end in its length.
    const HEAD: usize = 10;

    /// Saves without a checksum, as files of before had none: what is damaged reaches the reader.
    fn save_alone(network: &Network, file: &Path) {
        save(network, file).unwrap();
        std::fs::remove_file(checksum_file(file)).unwrap();
    }

    fn message(file: &Path) -> String {
        load(network(8), file).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn damage_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = weights_file(folder.path());
        assert!(matches!(load(network(8), &file), Err(Error::Io { .. })));
        save_alone(&network(8), &file);
        load(network(8), &file).unwrap();
        let whole = std::fs::read(&file).unwrap();
        for length in (0..HEAD + 10).chain((0..whole.len()).step_by(whole.len() / 50 + 1)) {
            std::fs::write(&file, &whole[..length]).unwrap();
            let text = message(&file);
            assert!(text.contains("ema.bpk: is cut off or damaged: remove it"), "{length}: {text}");
        }
        // A description that claims 4 GiB.
        let mut claims = whole.clone();
        claims[HEAD - 4..HEAD].copy_from_slice(&u32::MAX.to_le_bytes());
        std::fs::write(&file, claims).unwrap();
        assert!(message(&file).contains("is cut off or damaged"));
    }

    #[test]
    fn no_bit_of_the_description_makes_it_panic() {
        let folder = tempfile::tempdir().unwrap();
        let file = weights_file(folder.path());
        save_alone(&network(8), &file);
        let whole = std::fs::read(&file).unwrap();
        let described = usize::try_from(u32::from_le_bytes(whole[HEAD - 4..HEAD].try_into().unwrap())).unwrap();
        let mut refused = 0;
        for at in 0..HEAD + described {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&file, damaged).unwrap();
            refused += usize::from(load(network(8), &file).is_err());
        }
        // What is left are the identities of parameters, and spare bytes.
        assert!(2 * refused > HEAD + described, "{refused} of {}", HEAD + described);
    }

    #[test]
    fn another_network_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = weights_file(folder.path());
        save(&network(16), &file).unwrap();
        let text = message(&file);
        assert!(text.contains("holds the weights of another network than `network` describes"), "{text}");
        assert!(text.len() < 1000, "{text}");
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        struct Broken;
        impl ModuleMapper for Broken {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|tensor| if D == 1 { tensor / 0.0 } else { tensor })
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let file = weights_file(folder.path());
        let broken = network(8).map(&mut Broken);
        let refused = save(&broken, &file).unwrap_err().to_string();
        assert!(refused.contains("holds a NaN or an infinity, so that the weights are not kept"), "{refused}");
        assert!(!file.exists());
        std::fs::write(&file, &broken.into_record().into_bytes().unwrap()[..]).unwrap();
        let text = message(&file);
        assert!(text.contains("its weights cannot be used: `") && text.contains("has NaN or infinity in"), "{text}");
        assert!(text.contains("train again in another folder"), "{text}");
    }
}
