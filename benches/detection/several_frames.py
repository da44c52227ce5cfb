"""Judges a model of several frames against one of single frames on a movie of an independent simulator, with its true drift.

    python several_frames.py FOLDER LOOK_AT_MOVIE MODEL [MODEL ..]

FOLDER holds movie_NNN.npy, sites.csv, occupancy.csv, drift_A.csv, meta.json; LOOK_AT_MOVIE is the program of
crates/workflow/examples/look_at_movie.rs. Each dose, and 5 e/A^2 by keeping a third of the electrons of 15. F1 as in
judge.py (hits within 0.5 A). Then of the sites that ever switch, whether a column of at least the model's threshold lies
within 0.5 A of them in the frames where they are filled and where they are empty: all such frames, those next to a switch,
and those of states of a single frame, which is what a detector that smears over time gets wrong. The area under the curve is of the best
probability within 0.5 A. Needs numpy and scipy.
"""
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tomllib
from scipy.stats import rankdata

from judge import HIT_ANGSTROM, hits


def look(program, movie, model, pixel_nm, drift):
    """Rows frame, x, y in angstrom, probability."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "columns.csv"
        subprocess.run([program, str(movie), model, str(pixel_nm), str(drift), str(out)], check=True)
        with open(out, newline="") as table:
            rows = [[float(row["frame"]), 10 * float(row["x_nm"]), 10 * float(row["y_nm"]), float(row["probability"])] for row in csv.DictReader(table)]
    return np.array(rows).reshape(-1, 4)


def threshold(model):
    card = pathlib.Path(model) if pathlib.Path(model).is_dir() else pathlib.Path(__file__).parents[2] / "models" / model
    return tomllib.load(open(card / "card.toml", "rb"))["columns"]["probability_threshold"]


def area(values, truth):
    """Chance that a filled site's value is above an empty one's."""
    filled, empty = truth.sum(), (~truth).sum()
    if not filled or not empty:
        return float("nan")
    return (rankdata(values)[truth].sum() - filled * (filled + 1) / 2) / (filled * empty)


def thinned(movie, about, kept, seed):
    electrons = np.rint((np.load(movie).astype(float) - about["offset_counts"]) / about["gain_counts_per_electron"])
    fewer = np.random.default_rng(seed).binomial(np.maximum(electrons, 0).astype(int), kept)
    return (fewer * about["gain_counts_per_electron"] + about["offset_counts"]).astype(np.uint16)


def main(folder, program, models):
    about = json.load(open(folder / "meta.json"))
    sites = np.loadtxt(folder / "sites.csv", delimiter=",", skiprows=1)[:, 1:3]
    filled = np.loadtxt(folder / "occupancy.csv", delimiter=",", comments="#").astype(bool)
    drift = np.loadtxt(folder / "drift_A.csv", delimiter=",", comments="#")
    switches = filled[1:] != filled[:-1]
    before, after = np.zeros_like(filled), np.zeros_like(filled)
    before[1:], after[:-1] = switches, switches
    switching = np.broadcast_to(switches.any(axis=0), filled.shape)
    frames = {"all": switching, "by a switch": before | after, "single": before & after}
    with tempfile.TemporaryDirectory() as scratch:
        few = pathlib.Path(scratch) / "movie_005.npy"
        np.save(few, thinned(folder / "movie_015.npy", about, 1 / 3, 7))
        movies = [(f"{dose:.0f}", folder / f"movie_{dose:03.0f}.npy") for dose in about["dose_e_per_A2_per_frame"]]
        for dose, movie in [*movies, ("5", few)]:
            for model in models:
                rows = look(program, movie, model, about["sampling_A"] / 10, folder / "drift_A.csv")
                least = threshold(model)
                hit = found = there = 0
                best = np.zeros(filled.shape)
                for frame in range(len(filled)):
                    of_frame = rows[rows[:, 0] == frame]
                    sure = of_frame[of_frame[:, 3] >= least, 1:3]
                    places = sites + drift[frame]
                    hit, found = hit + len(hits(sure, places[filled[frame]])), found + len(sure)
                    there += filled[frame].sum()
                    near = np.linalg.norm(places[:, None] - of_frame[None, :, 1:3], axis=2) <= HIT_ANGSTROM
                    if len(of_frame):
                        best[frame] = np.where(near, of_frame[None, :, 3], 0).max(axis=1)
                line = [f"{dose} e/A^2, {pathlib.Path(model).name}: precision {hit / max(found, 1):.3f}, recall {hit / there:.3f}, F1 {2 * hit / (found + there):.3f}"]
                for name, which in frames.items():
                    seen = best >= least
                    full, bare = which & filled, which & ~filled
                    line.append(
                        f"{name}: filled seen {seen[full].mean():.3f} of {full.sum()}, empty not seen {1 - seen[bare].mean():.3f} of {bare.sum()}, area {area(best[which], filled[which]):.3f}"
                    )
                print("; ".join(line), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
