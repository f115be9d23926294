//! What statistics are of: pictures, network and convention as one hash.
use super::pictures::Pictures;
use crate::Result;
use crate::digest::{hex, of_file};
use crate::models::encoders::inception::Inception;
use sha2::{Digest, Sha256};

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
