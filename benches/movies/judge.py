"""Judges what `atomlens track` says of movies whose truth is known.

    python benches/movies/judge.py RESULTS TRUTH

RESULTS is a folder that `atomlens track` wrote; TRUTH one with sites.csv (x_A, y_A), occupancy.csv (frames x sites) and
drift_A.csv. Sites within 0.6 A are the same. Needs numpy and scipy.
"""
import csv
import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def assign(cost, largest):
    """Pairs (i, j) of least summed cost, none above the largest."""
    big = 1e6
    rows, columns = linear_sum_assignment(np.where(cost <= largest, cost, big))
    return [(i, j) for i, j in zip(rows, columns) if cost[i, j] <= largest]


def switches(filled):
    """(frame, site, kind) of every change; filled is [frame, site]."""
    change = np.diff(filled.astype(int), axis=0)
    return [(frame + 1, site, change[frame, site]) for frame, site in zip(*np.nonzero(change))]


def judge(results, truth):
    true_sites = table(truth / "sites.csv")
    true_places = np.stack([column(true_sites, "x_A"), column(true_sites, "y_A")], axis=1)
    true_filled = np.loadtxt(truth / "occupancy.csv", delimiter=",", comments="#") > 0.5
    true_drift = np.loadtxt(truth / "drift_A.csv", delimiter=",", comments="#")
    frames = len(true_filled)

    drift_rows = table(results / "drift.csv")
    drift = 10 * np.stack([column(drift_rows, "x_nm"), column(drift_rows, "y_nm")], axis=1)
    off = (drift - drift.mean(0)) - (true_drift - true_drift.mean(0))
    print(f"drift: {np.sqrt((off ** 2).mean()):.4f} A RMS in one direction, largest {np.abs(off).max():.3f} A")

    site_rows = table(results / "sites.csv")
    places = 10 * np.stack([column(site_rows, "x_nm"), column(site_rows, "y_nm")], axis=1)
    # Coordinates are those of the first frame, whose own place is known no better than the drift.
    places_true = true_places + true_drift[0]
    pairs = assign(cdist(places, places_true), 0.6)
    print(f"sites: {len(places_true)} true, {len(pairs)} found, {len(places) - len(pairs)} others")

    filled = np.zeros((frames, len(places)), bool)
    for row in table(results / "occupancy.csv"):
        filled[int(row["frame"]), int(row["site"])] = row["filled"] == "1"
    right = sum((filled[:, i] == true_filled[:, j]).sum() for i, j in pairs) + sum(
        (~true_filled[:, j]).sum() for j in set(range(len(places_true))) - {j for _, j in pairs}
    )
    print(f"occupancy: right in {right / true_filled.size:.4f} of {true_filled.size} site-frames")

    summary = json.loads((results / "movie.json").read_text())
    total = summary["total"]
    true_events = switches(true_filled)
    count = total["switches"]
    rate = total["switch_rate_per_frame"]
    true_rate = len(true_events) / (frames - 1) / len(places_true)
    print(
        f"switches: {len(true_events)} true; corrected {count['value']:.1f} [{count['low']:.1f}, {count['high']:.1f}]"
        f" ({100 * (count['value'] / len(true_events) - 1):+.1f} %); naive {total['naive_switches']}"
    )
    print(
        f"rate a site and frame: {true_rate:.5f} counted in the truth; {rate['value']:.5f}"
        f" [{rate['low']:.5f}, {rate['high']:.5f}]"
    )

    of_site = {i: j for i, j in pairs}
    claimed = [
        (int(row["frame"]), of_site.get(int(row["site"]), -1), 1 if row["kind"] == "gain" else -1)
        for row in table(results / "events.csv")
    ]
    far = 1e3
    cost = np.array(
        [
            [abs(a[0] - b[0]) if a[1] == b[1] and a[2] == b[2] else far for b in true_events]
            for a in claimed
        ]
    ).reshape(len(claimed), len(true_events))
    hits = len(assign(cost, 1.0))
    print(f"events: precision {hits / max(len(claimed), 1):.3f}, recall {hits / len(true_events):.3f} of {len(claimed)} claimed")

    if "switch_probability_per_frame" in true_sites[0]:
        probability = column(true_sites, "switch_probability_per_frame")
        mobile = probability > 0
        middle = places_true[:, 0].mean()
        back = {j: i for i, j in pairs}
        by_site = column(site_rows, "switches")
        halves = []
        for side in (places_true[:, 0] > middle, places_true[:, 0] <= middle):
            members = [back[j] for j in np.nonzero(side & mobile)[0] if j in back]
            truth_count = sum(1 for _, site, _ in true_events if side[site] and mobile[site])
            halves.append((by_site[members].sum() / max(len(members), 1), truth_count / max((side & mobile).sum(), 1)))
        print(
            f"switches a site that can switch, right over left: {halves[0][0] / halves[1][0]:.2f} found,"
            f" {halves[0][1] / halves[1][1]:.2f} true"
        )
    for halves in summary["halves"]:
        ratio = halves["ratio"]
        print(f"{halves['half']} over {halves['other_half']}: {ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    judge(Path(sys.argv[1]), Path(sys.argv[2]))
