"""Judges `atomlens detect` on the images of an independent simulator: one-to-one matching within 0.5 angstrom.

    python judge.py nanoparticles FOLDER PROGRAM MODEL     FOLDER holds image_NNN.npy, columns_NNN.csv, meta.json
    python judge.py movie FOLDER PROGRAM MODEL             FOLDER holds movie_NNN.npy, sites.csv, occupancy.csv, drift_A.csv
    python judge.py layers FOLDER PROGRAM MODEL            FOLDER holds series_NNN.npy, columns_NNN.csv, meta.json

Needs numpy and scipy.
"""
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from scipy.optimize import linear_sum_assignment

HIT_ANGSTROM = 0.5


def hits(found, truth):
    """Index in `found` and distance of each hit."""
    if not len(found) or not len(truth):
        return []
    distance = np.linalg.norm(found[:, None] - truth[None], axis=2)
    rows, columns = linear_sum_assignment(np.where(distance <= HIT_ANGSTROM, distance, 1e3))
    pairs = ((i, distance[i, j]) for i, j in zip(rows, columns))
    return [(i, d) for i, d in pairs if d <= HIT_ANGSTROM]


def detect(program, image, model, pixel_nm, *more):
    """Rows of columns.csv."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "detect", str(image), "--model", model, "--pixel-size-nm", str(pixel_nm), "--quiet"]
        subprocess.run([*command, "--out", folder, *more], check=True, stdout=subprocess.DEVNULL)
        with open(pathlib.Path(folder) / "columns.csv", newline="") as table:
            return list(csv.DictReader(table))


def places(rows):
    return np.array([[10 * float(row["x_nm"]), 10 * float(row["y_nm"])] for row in rows]).reshape(-1, 2)


def nanoparticles(folder, program, model):
    scores, bright, errors, outcomes = [], [], [], []
    for about in json.load(open(folder / "meta.json")):
        name, pixel = f"{about['image']:03d}", about["sampling_A"]
        truth = np.loadtxt(folder / f"columns_{name}.csv", delimiter=",", skiprows=1)[:, :2]
        found = places(detect(program, folder / f"image_{name}.npy", model, pixel / 10))
        matched = hits(found, truth)
        f1 = 2 * len(matched) / (len(found) + len(truth))
        scores.append(f1)
        errors += [100 * distance for _, distance in matched]
        if about["dose_e_per_A2"] >= 1000:
            bright.append(f1)
        doubtful = detect(program, folder / f"image_{name}.npy", model, pixel / 10, "--probability", "0.02")
        good = {index for index, _ in hits(places(doubtful), truth)}
        outcomes += [(float(row["probability"]), index in good) for index, row in enumerate(doubtful)]
        print(f"{name}: dose {about['dose_e_per_A2']:.0f}, {len(truth)} columns, {len(found)} found, F1 {f1:.3f}")
    print(f"mean F1 {np.mean(scores):.3f}, from 1000 e/A^2 {np.mean(bright):.3f}, median error {np.median(errors):.1f} pm")
    stated, observed = (np.array(values, float) for values in zip(*outcomes))
    for low in np.arange(0, 1, 0.1):
        inside = (stated >= low) & (stated < low + 0.1 if low < 0.85 else stated <= 1)
        if inside.any():
            print(f"stated {stated[inside].mean():.3f}: observed {observed[inside].mean():.3f} of {inside.sum()}")


def movie(folder, program, model):
    about = json.load(open(folder / "meta.json"))
    sites = np.loadtxt(folder / "sites.csv", delimiter=",", skiprows=1)[:, 1:3]
    filled = np.loadtxt(folder / "occupancy.csv", delimiter=",", comments="#").astype(bool)
    drift = np.loadtxt(folder / "drift_A.csv", delimiter=",", comments="#")
    for dose in about["dose_e_per_A2_per_frame"]:
        rows = detect(program, folder / f"movie_{dose:03.0f}.npy", model, about["sampling_A"] / 10)
        hit = found = there = 0
        for frame in range(len(filled)):
            truth = sites[filled[frame]] + drift[frame]
            columns = places([row for row in rows if int(row["frame"]) == frame])
            hit, found, there = hit + len(hits(columns, truth)), found + len(columns), there + len(truth)
        print(f"{dose} e/A^2: precision {hit / max(found, 1):.3f}, recall {hit / there:.3f}, F1 {2 * hit / (found + there):.3f}")


def layers(folder, program, model):
    """The middle image of each focal series alone."""
    scores = []
    with tempfile.TemporaryDirectory() as scratch:
        image = pathlib.Path(scratch) / "image.npy"
        for about in json.load(open(folder / "meta.json")):
            name, pixel = f"{about['series']:03d}", about["sampling_A"]
            series = np.load(folder / f"series_{name}.npy")
            np.save(image, series[len(series) // 2].astype("float32"))
            truth = np.loadtxt(folder / f"columns_{name}.csv", delimiter=",", skiprows=1, usecols=(0, 1), ndmin=2)
            found = places(detect(program, image, model, pixel / 10))
            scores.append(2 * len(hits(found, truth)) / (len(found) + len(truth)))
            print(f"{name}: dose {about['dose_e_per_A2']:.0f}, {len(truth)} columns, {len(found)} found, F1 {scores[-1]:.3f}")
    print(f"mean F1 {np.mean(scores):.3f}")


if __name__ == "__main__":
    what, folder, program, model = sys.argv[1:]
    {"nanoparticles": nanoparticles, "movie": movie, "layers": layers}[what](pathlib.Path(folder), program, model)
