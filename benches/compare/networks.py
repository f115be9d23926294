"""The two networks of the comparison in PyTorch.

Names and shapes of the parameters are those of the files that this crate exports, so that weights load strictly.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def make(config: dict) -> nn.Module:
    """The network of a job's `network`, which has the keys of this crate's JSON."""
    kinds = {"sit": Sit, "residual_mlp": ResidualMlp}
    kind = config["kind"]
    if kind not in kinds:
        raise ValueError(f"network.kind = {kind!r}: must be one of {sorted(kinds)}")
    return kinds[kind](config)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift."""
    return x * (1 + scale) + shift


def plain_norm(width: int) -> nn.LayerNorm:
    """A layer norm without weights of its own."""
    return nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)


class Sinusoids(nn.Module):
    """[cos(t f_i), sin(t f_i)] with f_i = 10000^(-i / half)."""

    def __init__(self, half: int):
        super().__init__()
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class TimestepEmbedder(nn.Module):
    """Linear(SiLU(Linear(sinusoids)))."""

    def __init__(self, width: int, half: int = 128):
        super().__init__()
        self.sinusoids = Sinusoids(half)
        self.mlp = nn.Sequential(nn.Linear(2 * half, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(self.sinusoids(t))


class LabelEmbedder(nn.Module):
    """One vector per label, and one for "no label"."""

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.embedding_table = nn.Embedding(rows, width)

    def forward(self, labels: Tensor) -> Tensor:
        return self.embedding_table(labels)


class PatchEmbedder(nn.Module):
    """An image as tokens, row by row."""

    def __init__(self, channels: int, patch: int, width: int):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """softmax(q k / sqrt(d)) v, by PyTorch's fused operation."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    """Linear(GELU(Linear(x)))."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """Attention, then the MLP, each modulated by the condition and added through a gate (adaLN-Zero)."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.norm1, self.norm2 = plain_norm(width), plain_norm(width)
        self.attn = Attention(width, heads)
        self.mlp = Mlp(width, hidden)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c)[:, None].chunk(6, dim=2)
        x = x + gate1 * self.attn(modulate(self.norm1(x), shift1, scale1))
        return x + gate2 * self.mlp(modulate(self.norm2(x), shift2, scale2))


class FinalLayer(nn.Module):
    """From tokens to the values of their patches."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.norm = plain_norm(width)
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c)[:, None].chunk(2, dim=2)
        return self.linear(modulate(self.norm(x), shift, scale))


class Sit(nn.Module):
    """SiT (arXiv 2401.08740): tokens = patches + position, condition = timestep + label."""

    def __init__(self, config: dict):
        super().__init__()
        width, self.patch, self.channels = config["hidden_size"], config["patch_size"], config["in_channels"]
        self.grid = config["input_size"] // self.patch
        self.outputs = self.channels * (2 if config["learn_sigma"] else 1)
        rows = config["num_classes"] + (1 if config["class_dropout_prob"] > 0 else 0)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2, width), requires_grad=False)
        self.x_embedder = PatchEmbedder(self.channels, self.patch, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(rows, width)
        hidden = int(width * config["mlp_ratio"])
        self.blocks = nn.ModuleList(Block(width, config["num_heads"], hidden) for _ in range(config["depth"]))
        self.final_layer = FinalLayer(width, self.patch**2 * self.outputs)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        tokens = self.x_embedder(x) + self.pos_embed
        condition = self.t_embedder(t) + self.y_embedder(labels)
        for block in self.blocks:
            tokens = block(tokens, condition)
        values = self.final_layer(tokens, condition).view(
            -1, self.grid, self.grid, self.patch, self.patch, self.outputs
        )
        side = self.grid * self.patch
        image = values.permute(0, 5, 1, 3, 2, 4).reshape(-1, self.outputs, side, side)
        return image[:, : self.channels]


class TimeLayers(nn.Module):
    """As TimestepEmbedder, under the names of the residual MLP."""

    def __init__(self, width: int):
        super().__init__()
        self.sinusoids = Sinusoids(width // 2)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        return self.second(F.silu(self.first(self.sinusoids(t))))


class ResidualBlock(nn.Module):
    """x + gate · Linear(GELU(Linear(modulated norm of x)))."""

    def __init__(self, width: int, hidden: int, embedding: int):
        super().__init__()
        self.norm = plain_norm(width)
        self.modulation = nn.Linear(embedding, 3 * width)
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, width)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(embedding).chunk(3, dim=1)
        inner = self.first(modulate(self.norm(x), shift, scale))
        return x + gate * self.second(F.gelu(inner, approximate="tanh"))


class ResidualMlp(nn.Module):
    """The small residual MLP over the flattened image; the output has a multiple of the input added to it."""

    def __init__(self, config: dict):
        super().__init__()
        if config["num_classes"] > 0:
            raise ValueError("network.num_classes must be 0: the MLP of the comparison has no labels")
        features = config["channels"] * config["size"] ** 2
        width, embedding = config["width"], config["embedding"]
        self.input = nn.Linear(features, width)
        self.time = TimeLayers(embedding)
        hidden = config["expansion"] * width
        self.blocks = nn.ModuleList(ResidualBlock(width, hidden, embedding) for _ in range(config["depth"]))
        self.norm = plain_norm(width)
        self.output = nn.Linear(width, features)
        self.skip = nn.Linear(embedding, 1)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        flat = x.flatten(1)
        embedding = F.silu(self.time(t * 1000))
        hidden = self.input(flat)
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return (self.output(self.norm(hidden)) + self.skip(embedding) * flat).view_as(x)
