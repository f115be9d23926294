//! What statistics are of: pictures, network and convention as one hash.
use super::pictures::Pictures;
use crate::digest::{add_file, hex};
use crate::models::encoders::inception::Inception;
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::Path;

/// How statistics are made of pictures: to be raised whenever other numbers come out of the same pictures.
const VERSION: u32 = 1;

/// SHA-256 over the bytes of the pictures' files, in order, the weights of the network, its convention, [`VERSION`] and how
/// many vectors are kept, in hexadecimal digits.
pub(super) fn hash(pictures: &Pictures, network: &Inception, kept: usize) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("gfid {VERSION} {:?} {kept} {} ", network.convention(), network.weights_hash()));
    for file in pictures.files() {
        hash.update(of_file(file)?);
    }
    Ok(hex(hash.finalize(), 32))
}

fn of_file(file: &Path) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    add_file(&mut hash, file).map_err(|e| Error::io(file, e))?;
    Ok(hash.finalize().into())
}
