"""Numbers of DINOv2 from timm and transformers, whose weights are a formula of their name.

    pip install torch==2.15.0 timm==1.0.31 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6
    python tests/python/record_encoders/dinov2.py tests/golden/encoders

Writes `dinov2.safetensors` (numbers) and `dinov2.json` (names, shapes, counts). Images are bytes by formula as well.
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.numpy import save_file
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from formula import fill, weight

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
# Tokens and positions, large enough to matter beside patches.
TABLES = ("cls_token", "pos_embed", "reg_token", "register_tokens", "embeddings.cls_token",
          "embeddings.position_embeddings", "embeddings.register_tokens")
# Sizes of the small networks.
SMALL = dict(embed_dim=24, depth=2, num_heads=2)


def numbers(name, shape):
    """Numbers in [-0.5, 0.5)."""
    return torch.from_numpy(weight(name, shape, tables=(name,)))


def images(name, shape):
    """Bytes: the first image a pattern, the others noise."""
    noise = np.minimum(255, np.floor((numbers(name, shape).double().numpy() + 0.5) * 256))
    _, channels, height, width = shape
    c, i, j = np.meshgrid(range(channels), range(height), range(width), indexing="ij")
    noise[0] = (7 * i + 13 * j + 29 * c) % 256
    return torch.from_numpy(noise.astype(np.uint8))


def official(name):
    """The name in transformers' files of a name in its module."""
    for here, there in [(".q_proj.", ".attention.query."), (".k_proj.", ".attention.key."),
                        (".v_proj.", ".attention.value."), (".o_proj.", ".output.dense.")]:
        name = name.replace(here, there)
    return name


def subset(values, steps):
    return values[tuple(slice(None, None, step) for step in steps)].contiguous().numpy()


def vit(img_size, **options):
    """timm's network with DINOv2's options."""
    options = {**dict(patch_size=14, init_values=1e-5, num_classes=0), **options}
    return fill(VisionTransformer(img_size=img_size, **options), tables=TABLES).eval()


def at_grid(model, side, **options):
    """The same weights with positions resampled once, as REPA does."""
    state = dict(model.state_dict())
    state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], [side, side])
    other = vit(14 * side, **options)
    other.load_state_dict(state)
    return other


def registers(**options):
    config = Dinov2WithRegistersConfig(patch_size=14, **options)
    return fill(Dinov2WithRegistersModel(config), official, TABLES).eval()


def repa_input(raw):
    """What REPA's network reads of raw bytes."""
    x = (raw / 255.0 - MEAN) / STD
    return F.interpolate(x, 224 * (raw.shape[-1] // 256), mode="bicubic")


def rae_latents(model, raw, side):
    """RAE's latents, whose last norm has neither weight nor bias."""
    x = raw / 255.0
    if x.shape[-2:] != (side, side):
        x = F.interpolate(x, size=(side, side), mode="bicubic", align_corners=False)
    model.layernorm = torch.nn.LayerNorm(model.config.hidden_size, eps=1e-6, elementwise_affine=False)
    tokens = model((x - MEAN) / STD).last_hidden_state[:, 5:]
    grid = side // 14
    return tokens.transpose(1, 2).reshape(len(raw), -1, grid, grid)


def resampling(found):
    for name, size, to in [("down", [256, 250], [224, 224]), ("up", [11, 13], [20, 17]), ("line", [1, 7], [3, 5])]:
        x = numbers(f"bicubic.{name}", [1, 2, *size])
        y = F.interpolate(x, size=to, mode="bicubic", align_corners=False)
        found[f"bicubic.{name}"] = subset(y, [1, 1, 16, 16] if name == "down" else [1, 1, 1, 1])
    for name, size, to in [("down", [37, 37], [16, 16]), ("near", [37, 37], [32, 32]), ("up", [16, 16], [37, 20]),
                           ("far", [97, 41], [5, 3]), ("line", [1, 7], [3, 5])]:
        x = numbers(f"antialiased.{name}", [1, 2, *size])
        y = F.interpolate(x, size=to, mode="bicubic", align_corners=False, antialias=True)
        found[f"antialiased.{name}"] = y.numpy()


def repa(found):
    base = dict(embed_dim=768, depth=2, num_heads=12)
    raw = images("repa.256", [2, 3, 256, 256])
    features = at_grid(vit(518, **base), 16, **base).forward_features(repa_input(raw))[:, 1:]
    found["repa.256"] = subset(features, [1, 17, 8])
    found["repa.256.of_tokens"] = features.mean(2).numpy()
    found["repa.256.of_channels"] = features.mean(1).numpy()
    raw = images("repa.512", [2, 3, 512, 512])[1:]
    features = at_grid(vit(518, **SMALL), 32, **SMALL).forward_features(repa_input(raw))[:, 1:]
    found["repa.512"] = subset(features, [1, 7, 1])
    found["repa.512.input"] = subset(repa_input(raw), [1, 1, 29, 31])


def rae(found):
    raw = images("rae.256", [2, 3, 256, 256])
    latents = rae_latents(registers(num_hidden_layers=2, image_size=518), raw, 224)
    found["rae.256"] = subset(latents, [1, 16, 3, 3])
    found["rae.256.of_channels"] = latents.mean((2, 3)).numpy()
    small = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=70)
    found["rae.oblong"] = rae_latents(registers(**small), images("rae.oblong", [2, 3, 61, 83]), 56).numpy()
    # The table's own size, and another without a resize.
    x = 4 * numbers("pixels.table", [1, 3, 70, 70])
    found["registers.table"] = registers(**small)(x).last_hidden_state[:, 5:].numpy()
    x = 4 * numbers("pixels.other", [1, 3, 28, 42])
    found["registers.other"] = registers(**small)(x).last_hidden_state[:, 5:].numpy()
    model = vit(70, reg_tokens=4, no_embed_class=True, dynamic_img_size=True, **SMALL)
    found["timm_registers.other"] = model.forward_features(x)[:, 5:].numpy()


def saved_names(model):
    """Names and shapes in a file that transformers writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safe_open(Path(folder) / "model.safetensors", "pt") as file:
            return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}


def shapes(model):
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


def facts():
    small = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=70, patch_size=14)
    with torch.device("meta"):
        whole = {
            "timm": timm.create_model("vit_base_patch14_dinov2", pretrained=False, num_classes=0),
            "timm_registers": timm.create_model("vit_base_patch14_reg4_dinov2", pretrained=False, num_classes=0),
            "transformers": Dinov2Model(Dinov2Config(image_size=518, patch_size=14)),
            "transformers_registers": Dinov2WithRegistersModel(Dinov2WithRegistersConfig(image_size=518, patch_size=14)),
        }
    return {
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
        "base_counts": {name: sum(p.numel() for p in model.parameters()) for name, model in whole.items()},
        "small": {
            "timm": shapes(vit(70, **SMALL)),
            "timm_registers": shapes(vit(70, reg_tokens=4, no_embed_class=True, **SMALL)),
            "transformers": saved_names(Dinov2Model(Dinov2Config(**small))),
            "transformers_registers": saved_names(Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**small))),
        },
    }


def main(folder):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    found = {}
    with torch.no_grad():
        resampling(found)
        repa(found)
        rae(found)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(values) for name, values in found.items()}, folder / "dinov2.safetensors")
    (folder / "dinov2.json").write_text(json.dumps(facts(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
