"""Judges `atomlens detect` on a micrograph of graphene: which places of the honeycomb have a column, where the sheet is intact.

    python graphene.py IMAGE.tif PROGRAM MODEL

The lattice is followed from column to column: from a place of one sublattice three bonds lead to places of the other. A place
holds a column that is found within 0.5 angstrom of where its neighbours say that it is. Bonds bend with the sheet: they are
averaged over the neighbourhood. Needs numpy and scipy.
"""
import collections
import csv
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from scipy.spatial import cKDTree

BOND_ANGSTROM = 1.42
HIT_ANGSTROM = 0.5
# Where the sheet of graphene_80kV.tif is whole, drawn by eye along its edge, in pixels.
INTACT_PX = [(40, 0), (730, 0), (730, 560), (440, 560), (425, 430), (290, 420), (225, 380), (220, 230), (130, 185), (60, 165), (40, 110)]


def inside(points, polygon):
    """By the number of edges crossed on the way to the right."""
    x, y = np.asarray(points, float).T
    result = np.zeros(len(x), bool)
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1]):
        if y1 != y2:
            result ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return result


def first_bonds(columns, tree):
    """Three bonds of a column whose neighbours are where those of graphene are."""
    for index in np.argsort(np.linalg.norm(columns - columns.mean(0), axis=1)):
        near = [other for other in tree.query_ball_point(columns[index], 1.25 * BOND_ANGSTROM) if other != index]
        bonds = columns[near] - columns[index]
        if len(near) == 3 and np.all(abs(np.linalg.norm(bonds, axis=1) - BOND_ANGSTROM) < 0.12) and np.linalg.norm(bonds.sum(0)) < 0.3:
            return index, bonds
    raise SystemExit("no column has three neighbours at the distance of a bond: no honeycomb was found")


def follow(columns, region):
    """Places of the lattice: (position, index of its column or None)."""
    tree = cKDTree(columns)
    start, bonds = first_bonds(columns, tree)
    taken, places = {start}, {(0, 0, 0): (columns[start], start)}
    queue = collections.deque([((0, 0, 0), bonds, 0)])
    steps = [(0, 0), (-1, 0), (0, -1)]
    while queue:
        (n, m, sublattice), bonds, lost = queue.popleft()
        here, own = places[(n, m, sublattice)]
        sign = 1 - 2 * sublattice
        found = bonds.copy()
        for k, (dn, dm) in enumerate(steps):
            place = (n + sign * dn, m + sign * dm, 1 - sublattice)
            if place in places:
                if places[place][1] is not None and own is not None:
                    found[k] = sign * (places[place][0] - here)
                continue
            there = here + sign * bonds[k]
            if not region(there[None])[0]:
                continue
            near = [i for i in tree.query_ball_point(there, HIT_ANGSTROM) if i not in taken]
            column = min(near, key=lambda i: np.linalg.norm(columns[i] - there), default=None)
            if column is not None:
                taken.add(column)
                if own is not None:
                    found[k] = sign * (columns[column] - here)
            places[place] = (columns[column] if column is not None else there, column)
            smooth = 0.9 * bonds + 0.1 * found if own is not None else bonds
            if column is not None or lost < 2:
                queue.append((place, smooth, 0 if column is not None else lost + 1))
    return places, taken


def main(image, program, model):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "detect", image, "--model", model, "--quiet", "--out", folder], check=True, stdout=subprocess.DEVNULL)
        with open(pathlib.Path(folder) / "columns.csv", newline="") as table:
            rows = list(csv.DictReader(table))
    px = np.array([[float(row["x_px"]), float(row["y_px"])] for row in rows])
    columns = np.array([[10 * float(row["x_nm"]), 10 * float(row["y_nm"])] for row in rows])
    pixel = np.median(columns[:, 0] / np.maximum(px[:, 0], 1))
    polygon = [(x * pixel, y * pixel) for x, y in INTACT_PX]
    region = lambda points: inside(points, polygon)
    places, taken = follow(columns[region(columns)], region)
    filled = sum(column is not None for _, column in places.values())
    count = region(columns).sum()
    print(f"{len(columns)} columns, {count} where the sheet is intact: {filled} of {len(places)} places filled ({100 * filled / len(places):.1f} %), "
          f"{count - filled} columns without a place; the area holds {area(polygon) / (BOND_ANGSTROM ** 2 * 3 * 3 ** 0.5 / 4):.0f} atoms")


def area(polygon):
    x, y = np.array(polygon).T
    return 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))


if __name__ == "__main__":
    main(*sys.argv[1:])
