"""Judges `atomlens detect` frame by frame on a movie of a particle that mostly stays: against the columns that the mean over frames shows.

    python platinum.py MOVIE.npy PROGRAM MODEL [PIXEL_NM]

What the mean shows is not the truth: columns come and go, and the mean's columns are the same model's. It tells what single frames miss,
and what they show in the vacuum, which is further than 4 angstrom from any column of the mean. Needs numpy and scipy.
"""
import pathlib
import sys
import tempfile

import numpy as np
from scipy.spatial import cKDTree

from judge import detect, hits, places

VACUUM_ANGSTROM = 4.0


def main(movie, program, model, pixel_nm="0.0198"):
    frames = np.load(movie)
    with tempfile.TemporaryDirectory() as folder:
        mean = pathlib.Path(folder) / "mean.npy"
        np.save(mean, frames.mean(0, dtype=np.float32))
        rows = detect(program, mean, model, pixel_nm)
    sites = places(rows)
    species = np.array([row["species"] for row in rows])
    found = detect(program, movie, model, pixel_nm)
    edge = 10 * float(pixel_nm) * np.array(frames.shape[:0:-1])
    grid = np.stack(np.meshgrid(*(np.arange(0, length, 0.5) for length in edge)), -1).reshape(-1, 2)
    tree = cKDTree(sites)
    vacuum_share = np.mean(tree.query(grid)[0] > VACUUM_ANGSTROM)
    hit, count, in_vacuum = np.zeros(len(sites)), 0, 0
    for frame in range(len(frames)):
        columns = places([row for row in found if int(row["frame"]) == frame])
        count += len(columns)
        in_vacuum += np.sum(tree.query(columns)[0] > VACUUM_ANGSTROM) if len(columns) else 0
        for index, _ in hits(sites, columns):
            hit[index] += 1
    print(f"mean over {len(frames)} frames: {len(sites)} columns")
    for name in sorted(set(species)):
        of = hit[species == name] / len(frames)
        print(f"  {name}: {len(of)}, found in {100 * of.mean():.0f} % of the frames")
    print(f"a frame: {count / len(frames):.1f} columns, {hit.sum() / len(frames):.1f} of them within 0.5 angstrom of one of the mean; "
          f"{in_vacuum / len(frames):.2f} in the vacuum, {100 * vacuum_share:.0f} % of the image")


if __name__ == "__main__":
    main(*sys.argv[1:])
