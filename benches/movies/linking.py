"""Linking of columns from frame to frame beside trackpy, on the same columns, in one run.

    python benches/movies/linking.py PROGRAM

PROGRAM is the example `linking` of atomlens-analysis (target/release/examples/linking). Columns stand on a square lattice of
2.8 A, jitter by 0.15 A, diffuse, are missed in 5 % of the frames; 2 % are false. Needs numpy, pandas, scipy and trackpy; numba makes trackpy faster.
"""
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy

STEP = 1.1
GAP = 2


def movie(columns, frames, seed):
    """Rows frame, x, y, true track (-1 for false columns)."""
    random = np.random.default_rng(seed)
    edge = int(np.ceil(np.sqrt(columns)))
    at = 2.8 * np.stack(np.meshgrid(np.arange(edge), np.arange(edge)), -1).reshape(-1, 2)[:columns].astype(float)
    rows = []
    for frame in range(frames):
        at += random.normal(0, 0.03, at.shape)
        seen = random.random(columns) > 0.05
        places = at[seen] + random.normal(0, 0.15, (seen.sum(), 2))
        false = random.uniform(0, 2.8 * edge, (int(0.02 * columns), 2))
        x, y = np.concatenate([places, false]).T
        track = np.concatenate([np.nonzero(seen)[0], np.full(len(false), -1)])
        rows.append(pd.DataFrame({"frame": frame, "x": x, "y": y, "truth": track}))
    return pd.concat(rows, ignore_index=True)


def links(frame, truth):
    """Pairs of rows that follow each other in a track, over gaps of up to GAP frames."""
    table = pd.DataFrame({"frame": frame, "track": truth, "row": np.arange(len(frame))})
    table = table[table.track >= 0].sort_values(["track", "frame"])
    same = (table.track.values[1:] == table.track.values[:-1]) & (np.diff(table.frame.values) <= GAP + 1)
    return set(zip(table.row.values[:-1][same], table.row.values[1:][same]))


def main(program):
    print("| columns | frames | program | s | frames/s | true links found | false among found |")
    print("|---|---|---|---|---|---|---|")
    for columns, frames in [(100, 1000), (500, 1000), (2000, 200), (100_000, 2)]:
        table = movie(columns, frames, 1)
        truth = links(table.frame.values, table.truth.values)

        def row(name, seconds, track):
            found = links(table.frame.values, track)
            right = len(found & truth)
            print(
                f"| {columns} | {frames} | {name} | {seconds:.3f} | {frames / seconds:.0f} |"
                f" {right / len(truth):.4f} | {1 - right / len(found):.4f} |",
                flush=True,
            )

        with tempfile.TemporaryDirectory() as folder:
            columns_csv, linked_csv = Path(folder) / "columns.csv", Path(folder) / "linked.csv"
            table[["frame", "x", "y"]].to_csv(columns_csv, index=False, header=False)
            command = [program, columns_csv, linked_csv, str(STEP)]
            seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            row("atomlens", seconds, np.loadtxt(linked_csv, dtype=int))
        trackpy.quiet()
        if columns <= 2000:
            # Compiling is not counted.
            trackpy.link(table[table.frame < 3].copy(), STEP, memory=GAP)
        begun = time.perf_counter()
        linked = trackpy.link(table[["frame", "x", "y"]].copy(), STEP, memory=GAP)
        seconds = time.perf_counter() - begun
        row("trackpy", seconds, linked.particle.values)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
