"""Makes the tiny folders of data/tiny from data/digits.csv.gz: the layouts of the official tools, at toy sizes.

    python tests/python/make_tiny.py [FOLDER]

Deterministic: a second run writes the same bytes. Needs numpy and safetensors.
"""
import csv
import gzip
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
ITEMS = 24


def digits():
    with gzip.open(ROOT / "data/digits.csv.gz", "rt") as file:
        rows = np.array([[float(v) for v in row] for row in csv.reader(file)][:ITEMS], np.float32)
    return rows[:, :64].reshape(-1, 8, 8) / 8 - 1, rows[:, 64].astype(int)


def blur(x):
    return (x + np.roll(x, 1, -1) + np.roll(x, 1, -2) + np.roll(x, (1, 1), (-1, -2))) / 4


def differences(x):
    return np.diff(x, axis=-1, append=x[..., -1:]), np.diff(x, axis=-2, append=x[..., -1:, :])


def waves(rows, columns):
    """A fixed matrix with entries in [-1, 1]; no generator whose stream could change."""
    return np.sin(1 + np.arange(rows * columns, dtype=np.float64) * 1.7).reshape(rows, columns)


def unit(x, scale, shift=0.0):
    """Values whose (x - shift) * scale have mean 0 and deviation 1 in every channel."""
    x = (x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True)
    return (x / scale + shift).astype(np.float32)


def write_latents(folder, latents, labels, name):
    entries = []
    for i, (latent, label) in enumerate(zip(latents, labels)):
        file = f"{i:08d}"[:5] + f"/{name}-{i:08d}.npy"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / file, np.ascontiguousarray(latent))
        entries.append([file, int(label)])
    (folder / "dataset.json").write_text(json.dumps({"labels": entries}))


def moments(images):
    """[items, 8, 8, 8]: mean and deviation of a posterior over four channels."""
    mean = unit(np.stack([images, *differences(images), blur(images)], 1), 0.18215)
    deviation = 0.05 + 0.1 * (blur(images)[:, None] + 1) / 2
    return np.concatenate([mean, np.broadcast_to(deviation, mean.shape)], 1).astype(np.float32)


def tokens(images, width):
    """[items, 16, width]: each 2x2 patch through a fixed projection."""
    patches = images.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)
    return np.tanh(patches @ waves(4, width))


def unshuffle(x):
    """[items, 8, 8] to [items, 4, 4, 4]."""
    return x.reshape(-1, 4, 2, 4, 2).transpose(0, 2, 4, 1, 3).reshape(-1, 4, 4, 4)


def sit(folder, images, labels):
    write_latents(folder / "vae-sd", moments(images), labels, "img-mean-std")


def repa(folder, images, labels):
    sit(folder, images, labels)
    write_latents(folder / "features", tokens(images, 12).astype(np.float16), labels, "img-feature")
    (folder / "features/dataset.json").unlink()


def rae(folder, images, labels):
    across, down = differences(images)
    latents = np.concatenate([unshuffle(images), unshuffle(across + down)], 1).astype(np.float32)
    write_latents(folder / "latents", latents, labels, "img-latent")
    # Some pixels are blank in every digit: their own variance would be 0.
    mean, var = latents.mean(0), np.broadcast_to(latents.var((0, 2, 3))[:, None, None], latents.shape[1:])
    save_file({"mean": mean, "var": np.ascontiguousarray(var)}, folder / "stat.safetensors")


def sd35(folder, images, labels):
    channels = np.concatenate([images[:, None] ** k for k in (1, 2, 3)] + [blur(images)[:, None]], 1)
    mixed = np.einsum("oc,nchw->nohw", waves(16, 8), np.concatenate([channels, np.roll(channels, 1, -1)], 1))
    write_latents(folder / "latents", unit(mixed, 1.5305, 0.0609).astype(np.float16), labels, "img-latent")
    context, pooled = waves(11, 7 * 40).reshape(11, 7, 40), waves(11, 24) * 0.5
    prompt = lambda i: {"context": context[i].astype(np.float16), "pooled": pooled[i].astype(np.float16)}
    for i, label in enumerate(labels):
        file = folder / "text" / f"{i:08d}"[:5] / f"img-text-{i:08d}.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(prompt(label), file)
    save_file(prompt(10), folder / "text/null.safetensors")


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "data/tiny"
    images, labels = digits()
    for make in (sit, repa, rae, sd35):
        folder = target / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, images, labels)


main()
