"""Detection of gold columns by dose: the same kind of particle and lens at every dose, on images of this project's simulator.

    python dose_ladder.py PROGRAM MODEL [IMAGES]

Single crystals of gold along [110], bare, a corrected lens: the recipe `gold` narrowed to what a published ladder was made of
(J. Madsen et al., Adv. Theory Simul. 1, 1800037 (2018): columns found from 30 electrons per square angstrom on, all of them
from 200 on). Prints a Markdown table. Needs numpy and scipy.
"""
import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

from judge import detect, hits, places

DOSES = (10, 30, 100, 200, 300, 1000, 3000, 10000)
NARROWED = {
    "shape": "{ truncated = 1 }",
    "zone_axis": "[1, 1, 0]",
    "thickness_angstrom": "0.0",
    "tilt_degree": "{ uniform = [0.0, 1.0] }",
    "configurations": "1",
    "defocus_angstrom": "{ uniform = [0.0, 100.0] }",
    "cs_angstrom": "{ uniform = [-1.5e5, -0.5e5] }",
    "C12": "{ uniform = [0.0, 30.0] }",
    "C21": "{ uniform = [0.0, 100.0] }",
    "C23": "{ uniform = [0.0, 100.0] }",
}


def recipe(program, dose):
    text = subprocess.run([program, "recipe", "show", "gold"], check=True, capture_output=True, text=True).stdout
    for key, value in {**NARROWED, "dose_e_per_a2": str(float(dose))}.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, key
    return text


def at_dose(program, model, dose, images, folder):
    """Hits, columns found, true columns, errors in pm."""
    file, made = folder / f"gold_{dose}.toml", folder / f"images_{dose}"
    file.write_text(recipe(program, dose))
    # The same seed: the same particles and lenses at every dose.
    subprocess.run([program, "simulate", file, "--count", str(images), "--seed", "5", "--out", made, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    matched, found_in_all, true_in_all, errors = 0, 0, 0, []
    for image in sorted(made.glob("image_*.npy")):
        number = image.stem.split("_")[1]
        pixel_nm = 0.1 * json.load(open(made / f"drawn_{number}.json"))["grid"]["pixel_x_angstrom"]
        with open(image.with_suffix(".csv"), newline="") as table:
            truth = places(list(csv.DictReader(table)))
        found = places(detect(program, image, model, pixel_nm))
        pairs = hits(found, truth)
        matched, found_in_all, true_in_all = matched + len(pairs), found_in_all + len(found), true_in_all + len(truth)
        errors += [100 * distance for _, distance in pairs]
    return matched, found_in_all, true_in_all, errors


if __name__ == "__main__":
    program, model = sys.argv[1:3]
    images = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    print("| dose, e/A^2 | columns | recall | precision | F1 | median error, pm |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for dose in DOSES:
            matched, found, true, errors = at_dose(program, model, dose, images, pathlib.Path(folder))
            error = f"{np.median(errors):.1f}" if errors else ""
            precision = f"{matched / found:.3f}" if found else ""
            print(f"| {dose} | {true} | {matched / true:.3f} | {precision} | {2 * matched / (found + true):.3f} | {error} |", flush=True)
