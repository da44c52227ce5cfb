"""Lattice spacings in a simulated image, from the peaks of its power spectrum. Needs NumPy.

    python docs/gallery/spacings.py FOLDER INDEX LOWEST HIGHEST PEAKS [--species S] [--focus N]

FOLDER is what `atomlens simulate` made; spacings from LOWEST to HIGHEST (angstrom) are looked for. The image is weighted with a
Hann window or, with --species, with a disc around the columns of that species, so that a particle is measured alone.
"""

import argparse
import csv
import json
import pathlib

import numpy as np

PADDED = 4096  # the spectrum is sampled this finely, and a parabola finds the place between samples


def spacings(image, pixel, weight, lowest, highest, count):
    image = (image - (image * weight).sum() / weight.sum()) * weight
    power = np.abs(np.fft.rfft2(image, (PADDED, PADDED))) ** 2
    ky, kx = np.fft.fftfreq(PADDED, pixel)[:, None], np.fft.rfftfreq(PADDED, pixel)[None, :]
    k = np.hypot(kx, ky)
    left = np.where((k > 1 / highest) & (k < 1 / lowest), power, 0)
    between = lambda a, b, c: 0.5 * (a - c) / (a - 2 * b + c)
    found = []
    for _ in range(count):
        y, x = np.unravel_index(left.argmax(), left.shape)
        fy = ky[y, 0] + between(*(power[(y + d) % PADDED, x] for d in (-1, 0, 1))) / (PADDED * pixel)
        # The spectrum of a real image continues on the other side as power[-y, -x].
        side = lambda d: power[(y if x + d >= 0 else -y) % PADDED, abs(x + d)]
        fx = kx[0, x] + between(side(-1), side(0), side(1)) / (PADDED * pixel)
        found.append(1 / np.hypot(fx, fy))
        for sign in (1, -1):
            left[np.hypot(kx - sign * fx, ky - sign * fy) < 0.12] = 0
    return found


def disc(shape, places):
    centre = places.mean(0)
    radius = np.percentile(np.hypot(*(places - centre).T), 90)
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.minimum(np.hypot(x - centre[0], y - centre[1]) / radius, 1)
    return np.cos(0.5 * np.pi * away) ** 2


parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("index", type=int)
parser.add_argument("lowest", type=float)
parser.add_argument("highest", type=float)
parser.add_argument("peaks", type=int)
parser.add_argument("--species")
parser.add_argument("--focus", type=int, default=0)
arguments = parser.parse_args()
name = f"{arguments.index:04d}"
image = np.load(arguments.folder / f"image_{name}.npy").astype(float)
image = image[arguments.focus] if image.ndim == 3 else image
pixel = json.loads((arguments.folder / f"drawn_{name}.json").read_text())["grid"]["pixel_x_angstrom"]
weight = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
if arguments.species:
    with open(arguments.folder / f"image_{name}.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["species"] == arguments.species]
    weight = disc(image.shape, np.array([[float(row["x_px"]), float(row["y_px"])] for row in rows]))
found = spacings(image, pixel, weight, arguments.lowest, arguments.highest, arguments.peaks)
print(", ".join(f"{spacing:.3f}" for spacing in found), f"mean {np.mean(found):.3f} angstrom")
