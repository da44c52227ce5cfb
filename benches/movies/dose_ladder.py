"""How far the switches that `atomlens track` infers, and those that a naive count gives, are from the truth, by dose; and how
often the intervals of 95 % hold.

    python benches/movies/dose_ladder.py PROGRAM MOVIES [DOSE ...]

Simulates MOVIES movies a dose (e/A^2 a frame; 5 to 1000 if left out) of small particles of several elements and zone axes by
the recipe gold-movie, with truth, tracks each knowing nothing, and prints a table of what happens at columns of LEAST_ATOMS
atoms and more: thinner ones are not to be seen at the lower doses, whatever looks at them. The interval of their sum is made of
those of the sites as if these were independent. Needs numpy and scipy.
"""
import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

DOSES = [5, 10, 20, 40, 100, 300, 1000]
# Element and zone axis of movie after movie.
KINDS = [("Au", [1, 1, 0]), ("Pt", [1, 1, 0]), ("Au", [1, 0, 0]), ("Pd", [1, 1, 0])]
FRAMES = 80
LEAST_ATOMS = 3


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def recipe(program, dose, element, zone):
    text = subprocess.run([program, "recipe", "show", "gold-movie"], check=True, capture_output=True, text=True).stdout
    changes = [
        (r"pixels = 256", "pixels = 168"),
        (r"radius_angstrom = \{[^}]*\}", "radius_angstrom = { uniform = [7.5, 9.5] }"),
        (r"frames = 60", f"frames = {FRAMES}"),
        (r"dose_e_per_a2 = \{[^}]*\}", f"dose_e_per_a2 = {dose}.0"),
        (r'element = "Au"', f'element = "{element}"'),
        (r"zone_axis = \[1, 1, 0\]", f"zone_axis = {zone}"),
        (r'name = "gold-movie"', 'name = "ladder"'),
    ]
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text)
        assert count == 1, pattern
    return text


def judged(program, dose, number):
    """True, inferred (value, low, high) and naive switches, sites found, missed and false; None if nothing was found."""
    element, zone = KINDS[number % len(KINDS)]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "ladder.toml").write_text(recipe(program, dose, element, zone))
        common = dict(check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        simulate = [program, "simulate", "ladder.toml", "--count", "1", "--seed", str(1000 + number), "--out", "movie"]
        subprocess.run(simulate, **common)
        track = [program, "track", "movie/image_0000.npy", "--pixel-size-nm", "0.021", "--twin-movies", "0", "--out", "out"]
        if subprocess.run(track, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            return None
        true_sites = table(folder / "movie/sites_0000.csv")
        places = np.array([[float(row["x_nm"]), float(row["y_nm"])] for row in true_sites])
        filled = np.zeros((FRAMES, len(places)), bool)
        for row in table(folder / "movie/occupancy_0000.csv"):
            filled[int(row["frame"]), int(row["site"])] = row["filled"] == "1"
        ever = filled.any(0)
        thick = ever & np.array([int(row["atoms"]) >= LEAST_ATOMS for row in true_sites])
        switches = np.abs(np.diff(filled.astype(int), axis=0)).sum(0)
        rows = table(folder / "out/sites.csv")
        found = np.array([[float(row["x_nm"]), float(row["y_nm"])] for row in rows])
        distance = cdist(found, places)
        i, j = linear_sum_assignment(np.where((distance < 0.06) & ever, distance, 1e3))
        pairs = [(a, b) for a, b in zip(i, j) if distance[a, b] < 0.06 and ever[b]]
        of_thick = [rows[a] for a, b in pairs if thick[b]]
        value = sum(float(row["switches"]) for row in of_thick)
        spread = sum(((float(row["switches_high"]) - float(row["switches_low"])) / 3.92) ** 2 for row in of_thick)
        half = 1.96 * np.sqrt(spread)
        naive = sum(int(row["naive_switches"]) for row in of_thick)
        inferred = (value, value - half - 0.5, value + half + 0.5)
        return switches[thick].sum(), inferred, naive, len(of_thick), thick.sum() - len(of_thick), len(found) - len(pairs)


def main(program, movies, doses):
    program = str(Path(program).resolve())
    print("| e/A^2 a frame | movies | sites found / missed / false | true switches | inferred | bias | naive count | bias | intervals that hold |")
    print("|---|---|---|---|---|---|---|---|---|")
    for dose in doses:
        results = [judged(program, dose, number) for number in range(movies)]
        failed = sum(result is None for result in results)
        results = [result for result in results if result is not None]
        if not results:
            print(f"| {dose} | {movies} | none could be analysed |")
            continue
        true, inferred, naive, hits, missed, false = (np.array([r[k] for r in results], float) for k in range(6))
        held = sum(low <= t <= high for t, (_, low, high) in zip(true, inferred))
        bias = inferred[:, 0].sum() / true.sum() - 1
        note = f" ({failed} not analysed)" if failed else ""
        print(
            f"| {dose} | {len(results)}{note} | {hits.sum():.0f} / {missed.sum():.0f} / {false.sum():.0f} | {true.sum():.0f} |"
            f" {inferred[:, 0].sum():.0f} | {100 * bias:+.0f} % | {naive.sum():.0f} | {100 * (naive.sum() / true.sum() - 1):+.0f} % |"
            f" {held} of {len(results)} |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), [int(dose) for dose in sys.argv[3:]] or DOSES)
