"""Records Stable Diffusion's autoencoder: python tests/python/record_encoders/autoencoder_kl.py tests/golden/encoders

Packages: torch 2.15.0, diffusers 0.42.1, numpy 2.4.6, safetensors (any).
Weights and inputs are the formula of formula.py; diffusers computes with them in float64, and the results are kept as float32.
Names in CompVis' layout and in diffusers' old one are put through diffusers' own conversion, which must give back its names.
"""
import json
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from formula import fill, weight
from safetensors.numpy import save_file

SD1 = dict(
    in_channels=3,
    latent_channels=4,
    block_out_channels=[128, 256, 512, 512],
    layers_per_block=2,
    norm_num_groups=32,
    use_quant_conv=True,
)
SD3 = SD1 | dict(latent_channels=16, use_quant_conv=False)
SMALL = SD1 | dict(block_out_channels=[32, 64], layers_per_block=1)
PLAIN = dict(
    in_channels=1,
    latent_channels=3,
    block_out_channels=[32, 16, 48],
    layers_per_block=2,
    norm_num_groups=16,
    use_quant_conv=False,
)
# The configuration, and batch, height and width of the latents.
CASES = {"sd1": (SD1, (1, 4, 6)), "sd3": (SD3, (1, 6, 4)), "small": (SMALL, (2, 6, 10)), "plain": (PLAIN, (1, 2, 3))}


def model(config):
    config = dict(config)
    levels, quant = len(config["block_out_channels"]), config.pop("use_quant_conv")
    network = AutoencoderKL(
        **config,
        out_channels=config["in_channels"],
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        use_quant_conv=quant,
        use_post_quant_conv=quant,
    )
    return network.eval()


def uniform(name, shape):
    """In [-1, 1)."""
    return torch.from_numpy(2 * weight(name, shape, tables=(name,)))


def old_name(name):
    for new, old in [("to_q.", "query."), ("to_k.", "key."), ("to_v.", "value."), ("to_out.0.", "proj_attn.")]:
        name = name.replace(f".attentions.0.{new}", f".attentions.0.{old}")
    return name


def compvis_name(name, levels):
    name = name.replace("conv_norm_out.", "norm_out.").replace("conv_shortcut.", "nin_shortcut.")
    for i in range(levels):
        name = name.replace(f".down_blocks.{i}.resnets.", f".down.{i}.block.")
        name = name.replace(f".down_blocks.{i}.downsamplers.0.", f".down.{i}.downsample.")
        name = name.replace(f".up_blocks.{i}.resnets.", f".up.{levels - 1 - i}.block.")
        name = name.replace(f".up_blocks.{i}.upsamplers.0.", f".up.{levels - 1 - i}.upsample.")
    for i in range(2):
        name = name.replace(f".mid_block.resnets.{i}.", f".mid.block_{i + 1}.")
    for new, old in [("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")]:
        name = name.replace(f".mid_block.attentions.0.{new}.", f".mid.attn_1.{old}.")
    return name


def check_names(network, levels):
    state = network.state_dict()
    old = network._fix_state_dict_keys_on_load({old_name(name): tensor for name, tensor in state.items()})
    assert old.keys() == state.keys()
    compvis = {}
    for name, tensor in state.items():
        kernel = tensor.dim() == 2
        compvis[f"first_stage_model.{compvis_name(name, levels)}"] = tensor[:, :, None, None] if kernel else tensor
    config = dict(down_block_types=[None] * levels, up_block_types=[None] * levels)
    converted = convert_ldm_vae_checkpoint(compvis, config)
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in state.items())


def main(folder):
    torch.set_num_threads(1)
    arrays, facts = {}, {"versions": {"torch": torch.__version__, "diffusers": diffusers.__version__}, "cases": {}}
    for case, (config, (batch, height, width)) in CASES.items():
        network = fill(model(config))
        levels = len(config["block_out_channels"])
        check_names(network, levels)
        shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
        count = sum(parameter.numel() for parameter in network.parameters())
        facts["cases"][case] = {"config": config, "latents": [batch, height, width], "parameters": count}
        if case == "sd1":
            names = [[name, shape, old_name(name), compvis_name(name, levels)] for name, shape in shapes.items()]
            facts["names"], sd1 = names, shapes
        if case == "sd3":
            facts["sd3"] = {
                "without": [name for name in sd1 if name not in shapes],
                "other": [[name, shape] for name, shape in shapes.items() if sd1[name] != shape],
            }
            assert [name for name in sd1 if name in shapes] == list(shapes)
        side = 2 ** (levels - 1)
        pixels = uniform("pixels", (batch, config["in_channels"], side * height, side * width))
        latents = uniform("latents", (batch, config["latent_channels"], height, width))
        network = network.double()
        with torch.no_grad():
            posterior = network.encode(pixels.double()).latent_dist
            image = network.decode(latents.double()).sample
        for name, result in [("mean", posterior.mean), ("std", posterior.std), ("image", image)]:
            arrays[f"{case}.{name}"] = result.float().contiguous().numpy()
            print(case, name, tuple(result.shape), float(result.abs().max()))
    save_file(arrays, folder / "autoencoder_kl.safetensors")
    (folder / "autoencoder_kl.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
