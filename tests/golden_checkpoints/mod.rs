//! Official checkpoints and folders as strangers' data: read whatever the model, refused when they do not fit.
mod damage;
mod folders;
mod pickles;
mod resolutions;
mod shapes;
mod systems;

pub use folders::rae_scaling;

/// The official checkpoints, their system and the file whose names and shapes they share.
const CHECKPOINTS: [(&str, &str, &str); 3] = [
    ("sit/ckpt.pt", "SiT", "sit/model_c.safetensors"),
    ("repa/ckpt.pt", "REPA", "repa/model.safetensors"),
    ("rae/ckpt.pt", "RAE", "rae/model.safetensors"),
];
