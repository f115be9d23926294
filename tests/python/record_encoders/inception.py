"""Records the Inception v3 of FID and the numbers made of its features, from torch-fidelity.

    python tests/python/record_encoders/inception.py tests/golden/encoders

Needs torch-fidelity==0.4.0, torch==2.15.0, numpy==2.4.6, safetensors and pillow; two minutes on two cores. Weights and pictures are
formulas of their names (formula.py), so nothing is downloaded and nothing large is stored. It writes inception.safetensors
(features of a few pictures of odd sizes) and inception.json (numbers of 64 pictures against 64 others, and of features).
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from formula import uniform, weight
from safetensors.numpy import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

torch.set_num_threads(1)

# Height and width of the pictures whose features are stored.
SIZES = [(7, 9), (32, 32), (301, 300)]
# Of the 64 pictures on either side, and how many there are.
SIDES, COUNT = (40, 48), 64
# Factors of the formula's weights: a ReLU halves the mean square, and classes have to differ.
CONVOLUTION, CLASSES = np.sqrt(2), 16


def pictures(name, count, sides, contrast):
    """Bytes [count, height, width, 3]: colours of blocks of 8 × 8 pixels and noise, in [0, 256 · contrast)."""
    height, width = sides
    rows, columns = -(-height // 8), -(-width // 8)
    blocks = uniform(f"{name}.blocks", count * rows * columns * 3).reshape(count, rows, columns, 3)
    blocks = blocks.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    noise = uniform(f"{name}.noise", count * height * width * 3).reshape(count, height, width, 3)
    return np.floor(256 * contrast * (0.75 * blocks + 0.25 * noise)).astype(np.uint8)


def network(features):
    """torch-fidelity's network with weights by formula, through a file as a user gives it."""
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        # Its constructor wants weights; the shapes come from the module itself.
        shapes = {}
        original = torch.nn.Module.load_state_dict
        torch.nn.Module.load_state_dict = lambda self, _: shapes.update(self.state_dict())
        try:
            torch.save({}, file.name)
            FeatureExtractorInceptionV3("inception", features, feature_extractor_weights_path=file.name)
        finally:
            torch.nn.Module.load_state_dict = original
        state = {}
        for key, tensor in shapes.items():
            if not tensor.is_floating_point():
                state[key] = torch.zeros_like(tensor)
                continue
            values = weight(key, tensor.shape).astype(np.float64)
            factor = CONVOLUTION if key.endswith("conv.weight") else CLASSES if key == "fc.weight" else 1
            state[key] = torch.from_numpy((values * factor).astype(np.float32))
        torch.save(state, file.name)
        return FeatureExtractorInceptionV3("inception", features, feature_extractor_weights_path=file.name)


def run(extractor, images):
    """pool, logits without bias and the channels of sFID of bytes [count, height, width, 3]."""
    spatial = []
    hook = extractor.Mixed_6d.branch1x1.register_forward_hook(
        lambda _module, _inputs, output: spatial.append(output[:, :7].permute(0, 2, 3, 1).flatten(1).clone())
    )
    outputs = []
    for start in range(0, len(images), 8):
        batch = torch.from_numpy(images[start : start + 8]).permute(0, 3, 1, 2).contiguous()
        outputs.append(extractor(batch))
    hook.remove()
    named = {name: torch.cat(parts) for name, parts in zip(extractor.features_list, zip(*outputs))}
    named["spatial"] = torch.cat(spatial)
    return named


def numbers(samples, reference, dimension, logits):
    """All figures of features, f32 [count, dimension]."""
    fid = fid_statistics_to_metric(fid_features_to_statistics(samples), fid_features_to_statistics(reference), False)
    kid = kid_features_to_metric(
        samples, reference, kid_subsets=2, kid_subset_size=len(samples), rng_seed=0, verbose=False,
        kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1,
    )
    prc = prc_features_to_metric(
        samples, reference, prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False
    )
    return {
        "fid": fid["frechet_inception_distance"],
        "fid_by_singular_values": by_singular_values(samples, reference),
        "kid": kid["kernel_inception_distance_mean"],
        "precision": prc["precision"],
        "recall": prc["recall"],
        "isc_1": isc_features_to_metric(logits, splits=1, shuffle=False)["inception_score_mean"],
        "isc_4": isc_features_to_metric(logits, splits=4, shuffle=False)["inception_score_mean"],
    }


def by_singular_values(a, b):
    """The same Fréchet distance without a root of a singular covariance's rounding errors."""
    a, b = a.double().numpy(), b.double().numpy()
    means, (x, y) = a.mean(0) - b.mean(0), (a - a.mean(0), b - b.mean(0))
    trace = (x**2).sum() / (len(x) - 1) + (y**2).sum() / (len(y) - 1)
    cross = np.linalg.svd(x @ y.T, compute_uv=False).sum() / np.sqrt((len(x) - 1) * (len(y) - 1))
    return float(means @ means + trace - 2 * cross)


def given(name, count, dimension, shift):
    """Features by formula: correlated, at least 0."""
    values = uniform(name, count * dimension).reshape(count, dimension)
    return torch.from_numpy((values + np.roll(values, 1, axis=1) * shift).astype(np.float32))


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    extractor = network(["768", "2048", "logits_unbiased"])
    arrays = {}
    for height, width in SIZES:
        name = f"{height}x{width}"
        found = run(extractor, pictures(f"odd.{name}", 1, (height, width), 1.0))
        arrays[f"{name}.pool"] = found["2048"].numpy()
        arrays[f"{name}.logits"] = found["logits_unbiased"].numpy()
        arrays[f"{name}.spatial"] = found["spatial"].numpy()
        for key in ("pool", "logits", "spatial"):
            values = arrays[f"{name}.{key}"]
            print(name, key, "mean", values.mean(), "std", values.std(), "max", np.abs(values).max())
    save_file(arrays, folder / "inception.safetensors")

    sides = [run(extractor, pictures(*side)) for side in (("samples", COUNT, SIDES, 1.0), ("reference", COUNT, SIDES, 0.8))]
    recorded = {
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "torch_fidelity": "0.4.0"},
        "pictures": numbers(sides[0]["2048"], sides[1]["2048"], 2048, sides[0]["logits_unbiased"]),
        "sfid": by_singular_values(sides[0]["spatial"], sides[1]["spatial"]),
        # More vectors than dimensions, and fewer.
        "full_rank": numbers(given("a", 300, 32, 0.5), given("b", 300, 32, 0.8), 32, given("logits", 300, 32, 4.0)),
        "singular": numbers(given("c", 64, 2048, 0.5), given("d", 64, 2048, 0.8), 2048, given("logits", 64, 32, 4.0)),
    }
    (folder / "inception.json").write_text(json.dumps(recorded, indent=1) + "\n")
    print(json.dumps(recorded, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
