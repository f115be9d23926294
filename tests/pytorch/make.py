"""Makes the `.pt` files of this folder with PyTorch, and `expected.json`: what must be read of them.

    python tests/pytorch/make.py

Needs torch and numpy. Numbers are the same in each run; bytes may differ between versions of PyTorch.
"""
import argparse
import collections
import json
import sys
import types as types_of_python
from pathlib import Path

import numpy
import torch
from torch import nn

HERE = Path(__file__).resolve().parent


class AttributeDict(dict):
    """As `lightning_fabric.utilities.data.AttributeDict`: a class of its own that is a dictionary."""

    def __getattr__(self, name):
        return self[name]


# Pickled by the name of Lightning's, which need not be there.
LIGHTNING = "lightning_fabric.utilities.data"
for part in ["lightning_fabric", "lightning_fabric.utilities", LIGHTNING]:
    sys.modules[part] = types_of_python.ModuleType(part)
AttributeDict.__module__ = LIGHTNING
sys.modules[LIGHTNING].AttributeDict = AttributeDict


class Settings:
    """An object beside the weights, with a tensor in it."""

    def __init__(self):
        self.rate = 1e-4
        self.history = [torch.arange(2.0), {"best": torch.tensor(3.0)}]


class Hook:
    """Names a function that PyTorch would run."""

    def __reduce__(self):
        import os
        return os.system, ("touch /tmp/mixflow-pickle-was-run",)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.register_buffer("cache", torch.zeros(2), persistent=False)
        self.register_buffer("none", None)
        self.constant = torch.ones(3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(2), Block(2)])
        self.head = nn.Linear(2, 3, bias=False)
        self.tail = nn.Linear(2, 3, bias=False)
        self.tail.weight = self.head.weight
        self.shared = self.blocks[0]
        self.scales = nn.ParameterList([nn.Parameter(torch.arange(2.0)), nn.Parameter(torch.arange(3.0))])
        self.root = [self]


class Scale(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(numbered(width))
        self.register_buffer("count", torch.tensor(7))

    def forward(self, x):
        return x * self.scale


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.shift = Scale(3), nn.Parameter(numbered(1))

    def forward(self, x):
        return self.first(x) + self.shift


def numbered(*shape, dtype=torch.float32):
    count = int(numpy.prod(shape))
    return (torch.arange(count, dtype=torch.float64) / 4 - 1).reshape(shape).to(dtype)


def lightning():
    state = {"model.weight": numbered(2, 3), "model.bias": numbered(2)}
    optimizer = {"state": {0: {"step": torch.tensor(5.0), "exp_avg": numbered(2, 3)}},
                 "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}]}
    return {"epoch": 3, "global_step": 12, "pytorch-lightning_version": "2.5.0", "state_dict": state,
            "hyper_parameters": AttributeDict(lr=1e-3, inner=AttributeDict(width=3)),
            "optimizer_states": [optimizer], "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": numpy.float64(2)}},
            "args": argparse.Namespace(name="run", sizes=torch.Size([2, 3])), "device": torch.device("cpu"),
            "type": torch.bfloat16, "counts": collections.Counter("abca"), "array": numpy.arange(3), "seed": 2**70,
            "default": collections.defaultdict(list, {"a": [numbered(1)]}), "hook": Hook()}


def types():
    readable = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool]
    all = {str(dtype)[6:]: numbered(2, 2).abs().mul(4).to(dtype) for dtype in readable}
    for dtype in [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.complex128]:
        all[str(dtype)[6:]] = numbered(2, 2).to(dtype)
    all["qint8"] = torch.quantize_per_tensor(numbered(2, 2), 0.1, 0, torch.qint8)
    all["sparse"] = torch.eye(3).to_sparse()
    all["sparse_csr"] = torch.eye(3).to_sparse_csr()
    all["meta"] = torch.empty(2, 5, device="meta")
    return all


def views():
    whole = numbered(4, 6)
    return {"whole": whole, "row": whole[2], "column": whole[:, 1], "block": whole[1:3, 2:5], "transposed": whole.t(),
            "stepped": whole[::2, ::3], "expanded": numbered(3, 1).expand(3, 4), "scalar": whole[3, 5],
            "empty": torch.zeros(0, 3), "none": whole[:0], "tied": whole, "parameter": nn.Parameter(whole[1]),
            "permuted": numbered(2, 3, 4).permute(2, 0, 1)}


def nested():
    keys = {("a", 1): numbered(1), 2.5: numbered(2), True: numbered(3), None: numbered(4), 7: numbered(5)}
    a = {"list": [numbered(1), (numbered(2), [numbered(3)])], "keys": keys, "settings": Settings()}
    a["itself"] = a
    a["ordered"] = collections.OrderedDict(x=numbered(2))
    a["umlaut ä.b"] = numbered(1)
    return a


def plain(value):
    """What must be read of a tensor: type, shape, numbers."""
    unread = value.is_quantized or value.layout != torch.strided or value.device.type == "meta"
    name = str(value.dtype)[6:]
    if unread or name.startswith(("float8", "complex")):
        return {"dtype": name, "shape": list(value.shape), "numbers": None}
    numbers = value.detach().to(torch.float64).reshape(-1).tolist()
    return {"dtype": name, "shape": list(value.shape), "numbers": numbers}


def walked(value, name, found):
    if isinstance(value, torch.Tensor):
        found[name] = plain(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            walked(inner, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            walked(inner, f"{name}.{place}", found)
    return found


def main():
    torch.manual_seed(0)
    net, expected = Net(), {}

    def save(name, value, found, **how):
        torch.save(value, HERE / name, **how)
        expected[name] = found

    save("lightning.pt", lightning(), walked(lightning(), "", {}))
    save("types.pt", types(), walked(types(), "", {}))
    save("views.pt", views(), walked(views(), "", {}))
    for protocol in [1, 4, 5]:
        save(f"views-protocol-{protocol}.pt", views(), walked(views(), "", {}), pickle_protocol=protocol)
    whole = {name: plain(value) for name, value in net.state_dict().items()}
    save("module.pt", net, whole)
    save("module-beside.pt", {"ema": net, "step": 1}, {f"ema.{name}": value for name, value in whole.items()})
    made = nested()
    del made["itself"]
    keys = made["keys"]
    made["keys"] = {"<0>": keys["a", 1], "<1>": keys[2.5], "True": keys[True], "None": keys[None], "7": keys[7]}
    made["settings"] = {"history": made["settings"].history}
    save("nested.pt", nested(), walked(made, "", {}))
    scripted = torch.jit.script(Outer())
    torch.jit.save(scripted, str(HERE / "script.pt"))
    expected["script.pt"] = {name: plain(value) for name, value in scripted.state_dict().items()}
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
