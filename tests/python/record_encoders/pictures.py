"""Records what Pillow, NumPy and PyTorch make of pictures: ADM's crop, bytes of decoded values, headers of arrays.

    python tests/python/record_encoders/pictures.py tests/golden/encoders

Pillow 12.3.0, numpy 2.4.6, torch 2.15.0. Pillow 9.5 and 11.3 give the same bytes; Pillow 13 resizes some tall pictures
along columns first, which rounds differently. Patterns are formulas, which `tests/pictures.rs` computes alike; of results
only the SHA-256 is kept. The two photos are those of `data/`: they show by how much decoders of JPEG differ.
"""
import hashlib
import io
import json
import pathlib
import sys

import numpy as np
import PIL
import torch
from PIL import Image

CROPS = [
    # width, height, size
    (256, 256, 256), (257, 256, 256), (300, 200, 128), (512, 512, 256), (511, 513, 256), (1024, 768, 256),
    (1000, 700, 64), (37, 91, 32), (20, 30, 64), (1, 1, 8), (1, 50, 8), (500, 3, 16), (7, 1000, 8), (64, 64, 32),
    (63, 65, 32), (128, 129, 32), (2047, 1365, 256), (33, 32, 32), (45, 32, 32), (4, 5, 6), (4, 7, 6), (8, 9, 12),
    (11, 8, 12), (333, 500, 256), (500, 375, 256), (97, 61, 24), (640, 480, 512), (181, 1201, 45), (255, 255, 256),
]
PATTERNS = ["noise", "edges", "ramp"]


def pattern(name, width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    if name == "noise":
        with np.errstate(over="ignore"):
            z = ((y * width + x) * 3 + c + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            return ((z ^ (z >> np.uint64(31))) >> np.uint64(56)).astype(np.uint8)
    if name == "edges":
        return ((x // (3 + c) + y // 5) % 2 * 255).astype(np.uint8)
    return ((x * 255 // max(width - 1, 1) + 40 * c + y) % 256).astype(np.uint8)


def adm_crop(image, size):
    """Halve while the short side is at least twice the size, resize it to the size, cut the centre."""
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    array = np.asarray(image)
    top, left = (array.shape[0] - size) // 2, (array.shape[1] - size) // 2
    return np.ascontiguousarray(array[top:top + size, left:left + size])


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def rules():
    x = (torch.arange(65536, dtype=torch.float32) - 32768) / 16384
    return {
        "rounded": torch.clamp(127.5 * x + 128.0, 0, 255).to(torch.uint8),
        "truncated": torch.clamp(255.0 * ((x + 1) / 2.0), 0, 255).to(torch.uint8),
        "sd35": torch.from_numpy((255.0 * torch.clamp((x + 1.0) / 2.0, min=0.0, max=1.0).numpy()).astype(np.uint8)),
        "truncated_unit": x.clamp(0, 1).mul(255).to(torch.uint8),
    }


def header(shape, dtype):
    file = io.BytesIO()
    np.save(file, np.zeros(shape, dtype=dtype))
    return file.getvalue()[:128].hex()


def main(folder):
    if int(PIL.__version__.split(".")[0]) >= 13:
        sys.exit("Pillow 13 resizes some tall pictures along columns first: take Pillow 12.3.0")
    torch.set_num_threads(1)
    crops = []
    for width, height, size in CROPS:
        for name in PATTERNS:
            square = adm_crop(Image.fromarray(pattern(name, width, height)), size)
            crops.append({"pattern": name, "width": width, "height": height, "size": size, "sha256": digest(square)})
    data = pathlib.Path(__file__).resolve().parents[3] / "data"
    for photo in ["china", "flower"]:
        square = adm_crop(Image.open(data / f"{photo}.jpg").convert("RGB"), 64)
        Image.fromarray(square).save(folder / f"pictures-{photo}-64.png", optimize=True)
    # Colours at half the resolution, as in most files of ImageNet.
    small = Image.open(data / "china.jpg").convert("RGB").resize((120, 80), Image.Resampling.BOX)
    small.save(folder / "pictures-420.jpg", quality=75, subsampling=2)
    square = adm_crop(Image.open(folder / "pictures-420.jpg").convert("RGB"), 80)
    Image.fromarray(square).save(folder / "pictures-420-80.png", optimize=True)
    golden = {
        "versions": {"Pillow": PIL.__version__, "numpy": np.__version__, "torch": torch.__version__},
        "crops": crops,
        "rules": {name: digest(values.numpy()) for name, values in rules().items()},
        "headers": [
            {"shape": list(shape), "dtype": np.dtype(dtype).str, "hex": header(shape, dtype)}
            for shape, dtype in [((8, 2, 2), "<f4"), ((2, 3), "<f4"), ((3, 2, 3, 3), "|u1"), ((3,), "<i8")]
        ],
    }
    (folder / "pictures.json").write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
