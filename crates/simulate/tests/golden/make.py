#!/usr/bin/env python3
"""Writes the golden files beside this script: excerpts of reference data that abTEM 1.0.11 made.

    python3 make.py REFERENCE/physics

REFERENCE is the folder of reference data that lies beside a checkout (its README says how abTEM made it; nothing in it came
out of this project's code). Needs NumPy. Values are copied, thinned and never recomputed. Pixels are [y, x].
"""
import json
import sys
from pathlib import Path

import numpy as np

SOURCE = "abTEM 1.0.11 with ASE 3.29.0; excerpt made by make.py"
ELEMENTS = ["C", "O", "S", "Mo", "Au"]
PIXELS = 48


def write(name, content):
    text = json.dumps({"source": SOURCE, **content}, separators=(",", ":"))
    # A line for each entry, so that a change shows as one.
    text = text.replace('],"', '],\n"').replace('},"', '},\n"').replace(',["', ',\n["')
    (Path(__file__).parent / name).write_text(text + "\n")
    print(name, len(text), "bytes")


def digits(values, count=7):
    return [float(f"{v:.{count}g}") for v in values]


def atoms(folder):
    full = json.loads((folder / "atoms.json").read_text())
    radii = [i for i, r in enumerate(full["r_A"]) if r >= 0.1 - 1e-9][::4]
    frequencies = range(0, len(full["k_per_A"]), max(1, len(full["k_per_A"]) // 12))
    out = {
        "r_A": digits(full["r_A"][i] for i in radii),
        # The list called k_per_A was handed to functions of k squared; here it has the name of what it is.
        "k_squared_per_A2": digits(full["k_per_A"][i] for i in frequencies),
    }
    for parametrization in ("lobato", "kirkland"):
        for element in ELEMENTS:
            for quantity, kept in (("projected_potential_V_A", radii), ("scattering_factor_A", frequencies)):
                key = f"{parametrization}_{element}_{quantity}"
                out[key] = digits(full[key][i] for i in kept)
    write("atoms.json", out)


def ctf(folder):
    full = json.loads((folder / "ctf.json").read_text())
    # A step that shares no factor with ten, so that the kept angles are not all round ones.
    kept = range(0, len(full["alpha_mrad"]), 7)
    out = {"alpha_mrad": digits((full["alpha_mrad"][i] for i in kept), 12)}
    for name in ("ctf_0", "ctf_1", "ctf_2"):
        facts = {k: v for k, v in full[name].items() if isinstance(v, (int, float))}
        out[name] = {**facts, **{part: digits(full[name][part][i] for i in kept) for part in ("real", "imag")}}
    write("ctf.json", out)


def specimen(folder, name):
    facts = json.loads((folder / "facts.json").read_text())[name]
    lines = (folder / f"{name}.xyz").read_text().splitlines()[2:]
    fields = [line.split()[:4] for line in lines]
    wave = np.load(folder / f"{name}_exit_wave.npy")
    images = [np.load(folder / f"{name}_image_{i}.npy").astype(float) for i in range(4)]
    # Half of the pixels anywhere, half where the specimen changes the wave: vacuum alone proves nothing.
    rng = np.random.default_rng(1)
    change = np.abs(wave - 1).ravel()
    strong = np.flatnonzero(change > np.quantile(change, 0.9))
    kept = np.sort(np.concatenate([rng.choice(wave.size, PIXELS // 2, replace=False), rng.choice(strong, PIXELS // 2, replace=False)]))
    y, x = np.unravel_index(kept, wave.shape)
    out = {
        "energy_eV": facts["energy_eV"],
        "gpts_xy": facts["gpts_xy"],
        "cell_A": facts["cell_A"],
        "y": y.tolist(),
        "x": x.tolist(),
        "exit_wave_real": digits(wave[y, x].real.astype(float)),
        "exit_wave_imag": digits(wave[y, x].imag.astype(float)),
    }
    for i, image in enumerate(images):
        settings = {k: v for k, v in facts[f"image_{i}"].items() if isinstance(v, (int, float))}
        out[f"image_{i}"] = {**settings, "standard_deviation": float(image.std()), "values": digits(image[y, x])}
    out["atoms"] = [[f[0], *map(float, f[1:])] for f in fields]
    write(f"{name}.json", out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    atoms(folder)
    ctf(folder)
    specimen(folder, "au110")
    specimen(folder, "mos2")
