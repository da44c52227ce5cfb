"""Judges `atomlens detect --focal-series` on the focal series of an independent simulator: places within 0.5 angstrom, one to one, and species.

    python judge_species.py FOLDER PROGRAM [--model MODEL] [--jitter] [--one-image] [--keep DIR]

FOLDER holds series_NNN.npy, columns_NNN.csv (x_A, y_A, species) and meta.json. With --jitter the images of every series are shifted
against each other by up to 1 angstrom along x and y, and the steps of the focus are stated 10 % wrong. With --one-image the middle image
alone is looked at, with a model of single images (single-layers; M, X2 and X are then Mo, S2 and S). A column counts for a species if both its
place and its species are right. A vacancy of sulphur is a column S. Sites without any column (double vacancies of sulphur, vacancies of molybdenum) are
taken from the true columns of the other kind, and a vacancy that is listed within 0.8 angstrom of one is right.

Needs numpy and scipy.
"""
import argparse
import csv
import itertools
import json
import pathlib
import subprocess
import tempfile

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

HIT_ANGSTROM = 0.5
SPECIES = ["Mo", "S2", "S"]
GENERAL = {"M": "Mo", "X2": "S2", "X": "S"}
DOSES = [0, 3000, 10000, np.inf]


def shifted(image, shift_px):
    """The periodic image moved by any distance in pixels, x and y."""
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]
    phase = np.exp(-2j * np.pi * (kx * shift_px[0] + ky * shift_px[1]))
    return np.fft.ifft2(np.fft.fft2(image) * phase).real.astype(np.float32)


def table(path):
    with open(path, newline="") as rows:
        return list(csv.DictReader(rows))


def detect(options, about, folder, out):
    """What is found in one series: places in angstrom and species; probabilities of species where there are any."""
    name, pixel = f"{about['series']:03d}", about["sampling_A"]
    series = np.load(folder / f"series_{name}.npy")
    defocus = np.array(about["defocus_A"])
    if options.jitter:
        random = np.random.default_rng([7, about["series"]])
        for index in range(1, len(series)):
            series[index] = shifted(series[index], random.uniform(-1, 1, 2) / pixel)
        defocus = defocus[0] + (defocus - defocus[0]) * (1 + 0.1 * random.choice([-1, 1]))
    path = out / f"series_{name}.npy"
    result = out / name
    command = [options.program, "detect", str(path), "--pixel-size-nm", str(pixel / 10), "--quiet", "--out", str(result)]
    if options.one_image:
        np.save(path, series[1])
        command += ["--model", options.model or "single-layers"]
    else:
        np.save(path, series)
        command += ["--focal-series", "--defocus-angstrom=" + ",".join(f"{value:.3f}" for value in defocus)]
        command += ["--energy-kev", str(about["energy"] / 1000)]
        command += ["--model", options.model] if options.model else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = table(result / "columns.csv")
    places = np.array([[10 * float(row["x_nm"]), 10 * float(row["y_nm"])] for row in rows]).reshape(-1, 2)
    found = np.array([GENERAL.get(row["species"], row["species"]) for row in rows])
    stated = np.array([float(row["species_probability"]) for row in rows])
    return places, found, stated


def pairs(places, truth):
    distance = np.linalg.norm(places[:, None] - truth[None], axis=2)
    rows, columns = linear_sum_assignment(np.where(distance <= HIT_ANGSTROM, distance, 1e3))
    hit = distance[rows, columns] <= HIT_ANGSTROM
    return rows[hit], columns[hit]


def empty_sites(others, own):
    """Centres of triangles of one kind of column at which there should be one of the other kind and is none."""
    tree, triangles = cKDTree(others), set()
    for corner, near in enumerate(tree.query_ball_point(others, 3.6)):
        for a, b in itertools.combinations([n for n in near if n != corner], 2):
            if np.linalg.norm(others[a] - others[b]) < 3.6:
                triangles.add(tuple(sorted((corner, a, b))))
    corners = others[np.array(sorted(triangles))]
    centres = corners.mean(axis=1)
    # Triangles that hold the other kind all point one way.
    arms = corners[:, 0] - centres
    turned = np.exp(3j * np.arctan2(arms[:, 1], arms[:, 0]))
    filled = cKDTree(own).query(centres)[0] < 0.7
    return centres[((turned / turned[filled].mean()).real > 0) & ~filled]


def vacancies(result, true_places, true_species):
    """By kind: sites that are empty, those of them that are listed, and what is listed besides."""
    rows = table(result / "defects.csv") if (result / "defects.csv").exists() else []
    is_metal = true_species == "Mo"
    out = {}
    for kind, others, own in [
        ("double_chalcogen_vacancy", true_places[is_metal], true_places[~is_metal]),
        ("metal_vacancy", true_places[~is_metal], true_places[is_metal]),
    ]:
        empty = empty_sites(others, own)
        listed = [[10 * float(row["x_nm"]), 10 * float(row["y_nm"])] for row in rows if row["kind"] == kind]
        listed = np.array(listed).reshape(-1, 2)
        near = lambda some, places: cKDTree(places).query(some)[0] < 0.8 if len(places) and len(some) else np.zeros(len(some), bool)
        out[kind] = np.array([len(empty), near(empty, listed).sum(), (~near(listed, empty)).sum()])
    return out


def f1(right, called, there):
    return 2 * right / (called + there) if called + there else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("program")
    parser.add_argument("--model")
    parser.add_argument("--jitter", action="store_true")
    parser.add_argument("--one-image", action="store_true")
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    counts = {}
    outcomes, confusion, sites = [], {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        out = options.keep or pathlib.Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        for about in json.load(open(options.folder / "meta.json")):
            dose, pixel = about["dose_e_per_A2"], about["sampling_A"]
            truth = table(options.folder / f"columns_{about['series']:03d}.csv")
            true_places = np.array([[float(row["x_A"]), float(row["y_A"])] for row in truth])
            true_species = np.array([row["species"] for row in truth])
            places, found, stated = detect(options, about, options.folder, out)
            area_nm2 = (0.1 * pixel * np.load(options.folder / f"series_{about['series']:03d}.npy", mmap_mode="r").shape[1]) ** 2
            for kind, found_sites in vacancies(out / f"{about['series']:03d}", true_places, true_species).items():
                sites[kind] = sites.get(kind, 0) + found_sites
            i, j = pairs(places, true_places)
            line = f"{about['series']:3d} {dose:7.0f} e/A2  all {f1(len(i), len(places), len(truth)):.3f}"
            for species in SPECIES:
                right = np.sum((found[i] == species) & (true_species[j] == species))
                called, there = np.sum(found == species), np.sum(true_species == species)
                line += f"  {species} {f1(right, called, there):.3f}"
                for low, high in zip(DOSES, DOSES[1:]):
                    if low <= dose < high:
                        entry = counts.setdefault((low, species), np.zeros(4))
                        entry += [right, called, there, area_nm2]
            print(line, flush=True)
            if dose >= 3000:
                outcomes += [(stated[a], found[a] == true_species[b]) for a, b in zip(i, j)]
                for a, b in zip(i, j):
                    confusion.setdefault(true_species[b], {}).setdefault(found[a], 0)
                    confusion[true_species[b]][found[a]] += 1
    print("\nF1 by species; single vacancies: recall and false calls per nm^2")
    for low, high in [(3000, np.inf), *zip(DOSES, DOSES[1:])]:
        inside = {s: sum((v for (d, t), v in counts.items() if t == s and low <= d < high), np.zeros(4)) for s in SPECIES}
        if not inside["Mo"][2]:
            continue
        line = "  ".join(f"{s} {f1(*inside[s][:3]):.3f}" for s in SPECIES)
        right, called, there, area = inside["S"]
        print(f"{low:6.0f} to {high:6.0f} e/A2: {line}   S: recall {right / there:.3f}, {(called - right) / area:.3f} false per nm^2")
    print("\nSites without a column, all doses: " + "; ".join(
        f"{kind} {listed} of {empty} listed, {besides} besides" for kind, (empty, listed, besides) in sites.items()))
    print("\nFrom 3000 e/A2, true (rows) taken for:")
    names = SPECIES + sorted({name for row in confusion.values() for name in row} - set(SPECIES))
    print("      " + "".join(f"{name:>6}" for name in names))
    for species in SPECIES:
        print(f"{species:>6}" + "".join(f"{confusion.get(species, {}).get(name, 0):6d}" for name in names))
    stated, right = (np.array(values, float) for values in zip(*outcomes))
    for low in np.arange(0.3, 1, 0.1):
        inside = (stated >= low) & (stated < low + 0.1 if low < 0.85 else stated <= 1)
        if inside.any():
            print(f"species stated {stated[inside].mean():.3f}: right {right[inside].mean():.3f} of {inside.sum()}")


if __name__ == "__main__":
    main()
