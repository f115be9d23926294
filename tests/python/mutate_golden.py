"""Which golden arrays does no test depend on? Changes one array at a time and runs the golden tests on the copy.

    cargo test --release --test golden --no-run        # prints the path of the test program
    python tests/python/mutate_golden.py PROGRAM [PREFIX...]

Prints every array whose change no test notices, and fails if there are any but those listed below with their reason.
Weights of a model are changed all at once: one entry each. Needs numpy and safetensors.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

GOLDEN = Path(__file__).resolve().parents[2] / "tests/golden"

# file and start of the name of the array: why nothing depends on it
EXCEPTIONS = {
    ("repa/preproc", "dino_"): "what DINOv2 reads: tests/encoders/dinov2.rs compares it",
    ("rae/forward", "mid."): "activations inside of blocks, which have no public way out",
    ("sit/forward", "mid."): "activations inside of blocks, which have no public way out",
    ("sit/forward", "force_drop_out"): "label embeddings, which have no public way out; drop_out is asserted",
    ("rae/steps", "0.u"): "the steps take the recorded t; its map from u is tested with rae/losses",
    ("rae/steps", "1.u"): "the steps take the recorded t; its map from u is tested with rae/losses",
    ("fid/fid", "tf_resize"): "resizing for Inception, which is not part of the crate",
    ("fid/fid", "torch_bilinear"): "resizing for Inception, which is not part of the crate",
}


def notices(program, folder):
    env = {**os.environ, "MIXFLOW_GOLDEN": str(folder), "RUST_BACKTRACE": "0"}
    run = subprocess.run([program, "-q"], env=env, capture_output=True, cwd=GOLDEN.parents[1])
    return run.returncode != 0


def changed(name, array):
    if name.endswith("drop_rand"):
        return np.zeros_like(array)  # below every probability of dropping: all labels are dropped
    if array.dtype.kind in "iu":
        return np.asarray(array + 1)
    finite = array[np.isfinite(array)]
    size = float(np.abs(finite).max()) if finite.size else 1.0
    # Not the same everywhere: a layer norm does not see a constant.
    pattern = 1.5 + np.sin(np.arange(array.size)).reshape(array.shape)
    return np.asarray(array + 0.05 * (size or 1.0) * pattern).astype(array.dtype)


def main():
    program, prefixes = str(Path(sys.argv[1]).resolve()), sys.argv[2:]
    silent = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "golden"
        shutil.copytree(GOLDEN, copy)
        assert not notices(program, copy), "the tests fail before anything is changed"
        for file in sorted(GOLDEN.rglob("*.safetensors")):
            name = str(file.relative_to(GOLDEN).with_suffix(""))
            if prefixes and not any(name.startswith(p) for p in prefixes):
                continue
            arrays = load_file(file)
            weights = {k for k in arrays if k.endswith((".weight", ".bias")) and ".grad." not in k}
            groups = [[k] for k in arrays if k not in weights] + ([sorted(weights)] if weights else [])
            for group in groups:
                save_file({k: changed(k, v) if k in group else v for k, v in arrays.items()}, copy / file.relative_to(GOLDEN))
                if not notices(program, copy):
                    reason = next((r for (f, p), r in EXCEPTIONS.items() if name == f and group[0].startswith(p)), None)
                    print(f"{name}: {group[0]}: {reason or 'NOT ASSERTED'}", flush=True)
                    silent += [] if reason else [group[0]]
            shutil.copy(file, copy / file.relative_to(GOLDEN))
    print(f"{len(silent)} arrays that no test depends on")
    sys.exit(bool(silent))


main()
