"""Adapters that this crate wrote, read by PEFT and diffusers; and one that PEFT wrote, for this crate to read.

check_adapter.py peft FOLDER       base.safetensors + adapter/ must merge to merged.safetensors
check_adapter.py diffusers FOLDER  the same with pytorch_lora_weights.safetensors, in diffusers' own transformer
check_adapter.py write FOLDER      base.safetensors -> peft/ and peft_merged.safetensors, made by PEFT
check_adapter.py diffusers_writes FOLDER  base.safetensors -> diffusers/ and diffusers_fused.safetensors, made by diffusers
check_adapter.py diffusers_fused FOLDER   found.safetensors must be diffusers_fused.safetensors
"""
import sys
from pathlib import Path

MISSING_PACKAGE = 77
try:
    import torch
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(MISSING_PACKAGE)


class Node(torch.nn.Module):
    """A module with whatever children it is given."""

    def forward(self, *_):
        raise NotImplementedError


def skeleton(weights):
    """A network with the linear layers of a file of weights, by their official names."""
    root = Node()
    for name, weight in weights.items():
        if not name.endswith(".weight") or weight.dim() != 2 or name[: -len("weight")] + "bias" not in weights:
            continue
        *path, last = name[: -len(".weight")].split(".")
        node = root
        for segment in path:
            if segment not in node._modules:
                node.add_module(segment, Node())
            node = node._modules[segment]
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data = weight.clone()
        layer.bias.data = weights[name[: -len("weight")] + "bias"].clone()
        node.add_module(last, layer)
    return root


def compare(found, expected, least):
    """Every tensor that both have must be equal; at least so many must."""
    shared = [name for name in expected if name in found]
    assert len(shared) >= least, f"only {len(shared)} tensors in common"
    largest = max((found[name] - expected[name]).abs().max().item() for name in shared)
    assert largest < 1e-5, f"differ by up to {largest}"
    print(f"{len(shared)} tensors, largest difference {largest:.1e}")


def peft(folder):
    from peft import PeftModel

    base, merged = load_file(folder / "base.safetensors"), load_file(folder / "merged.safetensors")
    model = PeftModel.from_pretrained(skeleton(base), folder / "adapter")
    found = model.merge_and_unload().state_dict()
    changed = [name for name in merged if not torch.equal(merged[name], base[name])]
    assert len(changed) > 3 and all(name in found for name in changed), changed
    compare(found, merged, len(changed))


def converted(weights):
    """Official names to those of diffusers, by its own converter."""
    from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers

    return convert_sd3_transformer_checkpoint_to_diffusers(dict(weights))


def transformer(base):
    """diffusers' network with official weights."""
    from diffusers import SD3Transformer2DModel

    depth = 1 + max(int(name.split(".")[1]) for name in base if name.startswith("joint_blocks."))
    patch = base["x_embedder.proj.weight"]
    dual = tuple(i for i in range(depth) if f"joint_blocks.{i}.x_block.attn2.qkv.weight" in base)
    model = SD3Transformer2DModel(
        sample_size=4,
        patch_size=patch.shape[-1],
        in_channels=patch.shape[1],
        num_layers=depth,
        attention_head_dim=64,
        num_attention_heads=depth,
        joint_attention_dim=base["context_embedder.weight"].shape[1],
        caption_projection_dim=64 * depth,
        pooled_projection_dim=base["y_embedder.mlp.0.weight"].shape[1],
        out_channels=patch.shape[1],
        pos_embed_max_size=int(base["pos_embed"].shape[1] ** 0.5),
        dual_attention_layers=dual,
        qk_norm="rms_norm",
    )
    missing, unexpected = model.load_state_dict(converted(base), strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    return model


def diffusers(folder):
    base, merged = (load_file(folder / f"{name}.safetensors") for name in ("base", "merged"))
    model = transformer(base)
    model.load_lora_adapter(folder / "adapter" / "pytorch_lora_weights.safetensors", prefix="transformer")
    model.fuse_lora()
    model.unload_lora()
    before, expected = converted(base), converted(merged)
    changed = [name for name in expected if not torch.equal(expected[name], before[name])]
    assert len(changed) > 10, changed
    compare(model.state_dict(), expected, len(expected))


def diffusers_writes(folder):
    from peft import LoraConfig

    torch.manual_seed(0)
    model = transformer(load_file(folder / "base.safetensors"))
    targets = ["attn.to_q", "attn.to_k", "attn.add_v_proj", "ff.net.0.proj", "norm_out.linear", "norm1_context.linear"]
    model.add_adapter(LoraConfig(r=2, lora_alpha=3, target_modules=targets))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_lora_adapter(folder / "diffusers")
    model.fuse_lora()
    model.unload_lora()
    fused = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(fused, folder / "diffusers_fused.safetensors")


def diffusers_fused(folder):
    found = converted(load_file(folder / "found.safetensors"))
    expected = load_file(folder / "diffusers_fused.safetensors")
    before = converted(load_file(folder / "base.safetensors"))
    changed = [name for name in expected if not torch.equal(expected[name], before[name])]
    assert len(changed) > 10, changed
    compare(found, expected, len(expected))


def write(folder):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base = load_file(folder / "base.safetensors")
    config = LoraConfig(r=2, lora_alpha=3, target_modules=["qkv", "fc1", "adaLN_modulation.1"])
    model = get_peft_model(skeleton(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder / "peft")
    merged = {name: tensor.contiguous() for name, tensor in model.merge_and_unload().state_dict().items()}
    save_file(merged, folder / "peft_merged.safetensors")


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]](Path(sys.argv[2]))
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING_PACKAGE)
