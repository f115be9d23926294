//! What statistics are of: pictures, network and convention as one hash.
use super::pictures::Pictures;
use crate::digest::hex;
use crate::models::encoders::inception::Inception;
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How statistics are made of pictures: to be raised whenever other numbers come out of the same pictures.
const VERSION: u32 = 1;
/// Bytes read together.
const PIECE: usize = 1 << 20;

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
    let failed = |e| Error::io(file, e);
    let (mut opened, mut hash) = (File::open(file).map_err(failed)?, Sha256::new());
    let mut piece = vec![0; PIECE];
    loop {
        let read = opened.read(&mut piece).map_err(failed)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&piece[..read]);
    }
}
