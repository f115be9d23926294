"""Checks an exported safetensors file without this crate: numpy and safetensors only.

    check_export.py MANIFEST FILE GOLDEN EXPORT [NUMBERS]

EXPORT must have the names (without the prefix of Stable Diffusion 3.5's files) and shapes that MANIFEST records of the
golden FILE, floats in f32, and, being an import of GOLDEN exported again, its numbers: a transposed weight would show.
With NUMBERS, one adaLN-Zero block is computed from the
weights below NUMBERS' prefix and compared with what NUMBERS says the crate computed.
"""
import json
import sys

try:
    import numpy as np
    from safetensors import safe_open
    from safetensors.numpy import load_file
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

# An f16 file is loaded into f32 weights, and these are written.
TYPES = {"float32": "F32", "float16": "F32", "float64": "F64", "int64": "I64"}
PREFIX = "model.diffusion_model."
TOLERANCE = 1e-5
problems = []


def check(holds, message):
    if not holds:
        problems.append(message)


def check_names(export, recorded, golden):
    with safe_open(export, framework="np") as file:
        found = {name: (file.get_slice(name).get_dtype(), list(file.get_slice(name).get_shape())) for name in file.keys()}
    expected = {name.removeprefix(PREFIX): (TYPES[dtype], shape) for name, (dtype, shape) in recorded.items()}
    for name in sorted(found.keys() | expected.keys()):
        check(found.get(name) == expected.get(name), f"{name}: {found.get(name)} instead of {expected.get(name)}")
    numbers, golden = load_file(export), {k.removeprefix(PREFIX): v for k, v in load_file(golden).items()}
    for name in sorted(numbers.keys() & golden.keys()):
        check(np.array_equal(numbers[name], golden[name]), f"{name}: other numbers than the official file")
    # PyTorch's Linear is [outputs, inputs], its convolutions begin with the outputs.
    for name in (n for n in numbers if n.endswith(".bias") and n.removesuffix("bias") + "weight" in numbers):
        weight, bias = numbers[name.removesuffix("bias") + "weight"], numbers[name]
        check(weight.shape[0] == bias.shape[0], f"{name}: the weight {weight.shape} does not begin with the outputs")
    return len(found)


def linear(weights, name, x):
    return x @ weights[name + ".weight"].astype(np.float64).T + weights[name + ".bias"]


def layer_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attention(weights, x, heads):
    batch, tokens, width = x.shape
    q, k, v = linear(weights, "attn.qkv", x).reshape(batch, tokens, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(width // heads)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v
    return linear(weights, "attn.proj", mixed.transpose(0, 2, 1, 3).reshape(batch, tokens, width))


def block(weights, x, condition, heads):
    active = condition / (1 + np.exp(-condition))
    parts = np.split(linear(weights, "adaLN_modulation.1", active)[:, None], 6, -1)
    shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = parts
    x = x + gate * attention(weights, layer_norm(x) * (1 + scale) + shift, heads)
    hidden = gelu(linear(weights, "mlp.fc1", layer_norm(x) * (1 + scale_mlp) + shift_mlp))
    return x + gate_mlp * linear(weights, "mlp.fc2", hidden)


def check_block(export, numbers):
    numbers = {name: array.astype(np.float64) for name, array in load_file(numbers).items()}
    weights = load_file(export)
    for index in range(len([name for name in numbers if name.startswith("output.")])):
        prefix = f"blocks.{index}."
        inner = {name[len(prefix) :]: array for name, array in weights.items() if name.startswith(prefix)}
        found = block(inner, numbers["input"], numbers["condition"], int(numbers["heads"][0]))
        expected = numbers[f"output.{index}"]
        error = np.abs(found - expected).max() / np.abs(expected).max()
        moved = np.abs(expected - numbers["input"]).max()
        check(moved > 0.01, f"{prefix} does nothing: {moved}")
        check(error < TOLERANCE, f"{prefix} differs by {error} of the largest entry")
        print(f"block {index}: {error:.2e}")


def main():
    manifest, file, golden, export, *numbers = sys.argv[1:]
    systems = json.load(open(manifest))["systems"]
    recorded = systems[file.split("/")[0]]["files"][file]["tensors"]
    print(f"{check_names(export, recorded, golden)} tensors")
    for file in numbers:
        check_block(export, file)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        sys.exit(1)


main()
