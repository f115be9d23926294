"""Runs the networks between pictures and numbers in PyTorch: one JSON command a line in, one JSON answer a line out.

`python worker.py FOLDER THREADS DEVICE`: makes random weights and inputs in FOLDER first, in files that benches/encoders/main.rs
reads. Needs `diffusers` and `torch-fidelity`.
"""

import json
import platform
import sys
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

PICTURES = {"encode": (1, 256), "decode": (1, 32), "inception": (8, 32)}


def autoencoder() -> AutoencoderKL:
    """That of `sd-vae-ft-ema`, with random weights."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
    ).eval()


def inception(file: Path) -> FeatureExtractorInceptionV3:
    """The network of FID. Its constructor wants weights, and the shapes of weights come from the network."""
    shapes = {}
    original = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda self, _: shapes.update(self.state_dict())
    try:
        torch.save({}, file)
        FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(file))
    finally:
        torch.nn.Module.load_state_dict = original
    state = {}
    for name, tensor in shapes.items():
        if not tensor.is_floating_point():
            state[name] = torch.zeros_like(tensor)
        elif tensor.dim() > 1:
            state[name] = torch.randn_like(tensor) * (2 / tensor[0].numel()) ** 0.5
        else:
            state[name] = 0.5 + torch.rand_like(tensor)
    torch.save(state, file)
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(file)).eval()


class Networks:
    """The networks and what they are given."""

    def __init__(self, folder: Path, device: str):
        torch.manual_seed(0)
        self.device = torch.device(device)
        vae, features = autoencoder(), inception(folder / "inception.pth")
        save_file(vae.state_dict(), folder / "vae.safetensors")
        pictures, side = PICTURES["inception"]
        self.inputs = {
            "encode": torch.rand(PICTURES["encode"][0], 3, *[PICTURES["encode"][1]] * 2) * 2 - 1,
            "decode": torch.randn(PICTURES["decode"][0], 4, *[PICTURES["decode"][1]] * 2),
            "inception": torch.randint(0, 256, (pictures, 3, side, side), dtype=torch.uint8),
        }
        save_file({name: x.float() for name, x in self.inputs.items()}, folder / "inputs.safetensors")
        self.inputs = {name: x.to(self.device) for name, x in self.inputs.items()}
        self.vae, self.features = vae.to(self.device), features.to(self.device)

    @torch.inference_mode()
    def run(self, what: str) -> torch.Tensor:
        """What a network makes of its input."""
        x = self.inputs[what]
        match what:
            case "encode":
                return self.vae.encode(x).latent_dist.mean
            case "decode":
                return self.vae.decode(x).sample
            case "inception":
                return self.features(x)[0]
        raise ValueError(f"unknown network {what}")

    def timed(self, what: str, count: int) -> list[float]:
        """Milliseconds of each of `count` runs."""
        times = []
        for _ in range(count):
            started = time.perf_counter()
            self.run(what)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            times.append(1e3 * (time.perf_counter() - started))
        return times


def main() -> None:
    folder, threads, device = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(threads)
    # As Burn on an NVIDIA GPU: products of f32 in TF32. Convolutions of PyTorch are in TF32 by themselves.
    if device != "cpu":
        torch.set_float32_matmul_precision("high")
    networks = Networks(folder, device)
    print(json.dumps(f"PyTorch {torch.__version__}, Python {platform.python_version()}"), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "save" in command:
            what = command["save"]
            save_file({"output": networks.run(what).float().cpu().contiguous()}, folder / f"{what}.safetensors")
            reply = None
        else:
            reply = networks.timed(command["run"], command["count"])
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
