"""Draws what stated probabilities and position errors are worth on the images of an independent simulator.

    python calibration_plot.py FOLDER PROGRAM MODEL PICTURE.png     FOLDER holds image_NNN.npy, columns_NNN.csv, meta.json

Left: of the detections of about one stated probability, the fraction that are columns, with Wilson's interval of 95 %. Right: the
fraction of places within so many stated standard deviations of the truth, beside 1 - exp(-k^2 / 2), that of a Gaussian error.
Needs numpy, scipy and matplotlib.
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from judge import detect, hits, places


def outcomes(folder, program, model):
    """Probabilities, whether each is a column, and the hits' errors divided by the stated standard deviation."""
    stated, is_column, ratios = [], [], []
    for about in json.load(open(folder / "meta.json")):
        name = f"{about['image']:03d}"
        truth = np.loadtxt(folder / f"columns_{name}.csv", delimiter=",", skiprows=1)[:, :2]
        rows = detect(program, folder / f"image_{name}.npy", model, about["sampling_A"] / 10, "--probability", "0.02")
        pairs = hits(places(rows), truth)
        good = {index for index, _ in pairs}
        stated += [float(row["probability"]) for row in rows]
        is_column += [index in good for index in range(len(rows))]
        # Only what is reported by default counts for the places.
        sure = [(i, d) for i, d in pairs if float(rows[i]["probability"]) >= 0.5]
        ratios += [distance / (10 * float(rows[index]["position_sigma_nm"])) for index, distance in sure]
    return np.array(stated), np.array(is_column), np.array(ratios)


def wilson(hit, count, z=1.96):
    value = hit / count
    centre = (value + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(value * (1 - value) / count + z * z / (4 * count**2))
    return centre - half, centre + half


def draw(stated, is_column, ratios, picture):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    left.plot([0, 1], [0, 1], color="0.6", label="as stated")
    for low in np.arange(0, 1, 0.1):
        inside = (stated >= low) & (stated < low + 0.1 if low < 0.85 else stated <= 1)
        if inside.sum() == 0:
            continue
        x, hit, count = stated[inside].mean(), is_column[inside].sum(), inside.sum()
        bottom, top = wilson(hit, count)
        left.plot([x, x], [bottom, top], color="C0")
        left.plot(x, hit / count, "o", color="C0")
        left.annotate(str(count), (x, top), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    left.set(xlabel="stated probability", ylabel="fraction that are columns", xlim=(0, 1.03), ylim=(0, 1.08))
    left.set_title("probabilities; numbers are detections", fontsize=10)
    left.legend(loc="upper left", frameon=False)
    k = np.linspace(0, 4, 200)
    right.plot(k, 1 - np.exp(-(k**2) / 2), color="0.6", label="Gaussian error as stated")
    right.plot(k, [(ratios <= value).mean() for value in k], color="C0", label=f"{len(ratios)} places")
    right.set(xlabel="error / stated standard deviation", ylabel="fraction within", xlim=(0, 4), ylim=(0, 1.03))
    right.set_title("places", fontsize=10)
    right.legend(loc="lower right", frameon=False)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    folder, program, model, picture = sys.argv[1:]
    stated, is_column, ratios = outcomes(pathlib.Path(folder), program, model)
    draw(stated, is_column, ratios, picture)
    print(f"within one standard deviation {(ratios <= 1).mean():.3f} (0.393 expected), within two {(ratios <= 2).mean():.3f} (0.865)")
