#!/usr/bin/env python3
"""What a user would do without atomlens: classical finders of atomic columns, scored on images of known truth.

    finders.py DATA [--out RESULTS.json] [--skip-atomap] [--quick]

DATA holds image_NNN.npy ([y, x], electrons per pixel), columns_NNN.csv (x_A, y_A, atoms; angstrom from the centre of the
first pixel) and meta.json (image, sampling_A, dose_e_per_A2). Needs numpy, scipy, scikit-image and, for the second
finder, atomap (all on PyPI).

Finders:
  LoG      scale-normalised Laplacian of a Gaussian (scipy) on the image with its local mean and contrast taken out,
           local maxima (skimage.feature.peak_local_max), a two-dimensional Gaussian on a plane fitted to each.
  atomap   atomap.api.get_atom_positions and refinement by centre of mass and by Gaussians, as its
           documentation has it, on the same image. It finds bright columns only, so the image is inverted by sign.

Settings (width, threshold, separation, how the sign is told, whether a particle mask is used) are chosen in three ways:
  fair     the one set with the best mean F1 on half of the images, scored on the other half, and the halves exchanged;
           bright or dark columns are told by a rule, since the user does not know.
  sign     the same, but the sign of each image is told with the truth in hand.
  oracle   all settings, per image, with the truth in hand: what no user has.

A hit is a detection within 0.5 angstrom of a true column, in an optimal one-to-one assignment (most pairs, then least
distance). Median errors are over all hits of all images. Times are of one image on one thread, fit included.
"""

import argparse
import itertools
import json
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy
import scipy.sparse
import scipy.spatial
import skimage
from scipy import ndimage, optimize
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial.distance import cdist
from skimage.feature import peak_local_max

HIT_A = 0.5
SIGMAS_A = (0.3, 0.4, 0.5, 0.6, 0.75, 0.9)
SEPARATIONS_A = (1.2, 1.6, 2.0)
THRESHOLDS = np.array([0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0])
# Whether detections are kept only where the local contrast stands out of the frame's (a particle in vacuum or on carbon),
# and by how much.
MASKS = (0.0, 1.1, 1.25, 1.5, 2.0)
SIGN_RULES = ("response_skewness", "image_skewness", "strongest_peaks", "bright", "dark")


def normalised(image, pixel_a):
    """Local mean and contrast taken out over 12 angstrom, the map of the contrast beside it."""
    sigma = 12.0 / pixel_a
    flat = image - ndimage.gaussian_filter(image, sigma)
    deviation = np.sqrt(np.maximum(ndimage.gaussian_filter(flat**2, sigma), 1e-12))
    return flat / deviation


def match(found, truth):
    """Distances of the optimal one-to-one assignment within the radius."""
    if len(found) == 0 or len(truth) == 0:
        return np.zeros(0)
    far = cdist(found, truth)
    cost = np.where(far <= HIT_A, far, 1e4)
    rows, columns = optimize.linear_sum_assignment(cost)
    kept = far[rows, columns]
    return kept[kept <= HIT_A]


def near(found, truth):
    """Which detections lie within the radius of which true columns, as a sparse matrix."""
    if len(found) == 0:
        return scipy.sparse.csr_array((0, len(truth)))
    rows = scipy.spatial.cKDTree(truth).query_ball_point(found, HIT_A)
    at = [(row, column) for row, columns in enumerate(rows) for column in columns]
    row, column = np.array(at, int).reshape(-1, 2).T
    return scipy.sparse.csr_array((np.ones(len(at)), (row, column)), shape=(len(found), len(truth)))


def f1_of(candidates):
    """F1 needs only the largest number of pairs, which takes far less time than their least distance."""
    detected, true = candidates.shape
    hits = 0
    if candidates.nnz:
        hits = int((maximum_bipartite_matching(scipy.sparse.csr_matrix(candidates), perm_type="column") >= 0).sum())
    return 2 * hits / max(detected + true, 1)


class Candidates:
    """Peaks of one image at one width and sign, with what the thresholds need."""

    def __init__(self, places, strengths, contrast):
        self.places, self.strengths, self.contrast = places, strengths, contrast


def log_candidates(image, pixel_a):
    """All peaks for every width, separation and sign, and what each rule says of the sign."""
    flat = normalised(image, pixel_a)
    candidates, rules = {}, {}
    for sigma_a in SIGMAS_A:
        sigma = sigma_a / pixel_a
        response = -(sigma**2) * ndimage.gaussian_laplace(flat, sigma)
        power = ndimage.gaussian_filter(response**2, 4.0 / pixel_a)
        contrast = np.sqrt(power / np.median(power))
        third = (response**3).mean()
        best = {sign: np.sort((sign * response).ravel())[-image.size // 500 :].mean() for sign in (1, -1)}
        rules[sigma_a] = {
            "response_skewness": 1 if third > 0 else -1,
            "image_skewness": 1 if (ndimage.gaussian_filter(flat, sigma) ** 3).mean() > 0 else -1,
            "strongest_peaks": 1 if best[1] >= best[-1] else -1,
            "bright": 1,
            "dark": -1,
        }
        for separation_a, sign in itertools.product(SEPARATIONS_A, (1, -1)):
            signed = sign * response
            at = peak_local_max(
                signed, min_distance=max(1, round(separation_a / pixel_a / 2)), threshold_abs=THRESHOLDS[0],
                exclude_border=False, p_norm=2,
            )
            strengths = signed[tuple(at.T)]
            # peak_local_max compares pixels within min_distance; a true separation needs the weaker of two to go.
            keep = thinned(at, strengths, separation_a / pixel_a)
            at, strengths = at[keep], strengths[keep]
            candidates[sigma_a, separation_a, sign] = Candidates(
                quadratic(signed, at) * pixel_a, strengths, contrast[tuple(at.T)]
            )
    return candidates, rules


def thinned(at, strengths, separation):
    order = np.argsort(-strengths, kind="stable")
    tree = scipy.spatial.cKDTree(at) if len(at) else None
    kept = np.zeros(len(at), bool)
    for index in order:
        near = tree.query_ball_point(at[index], separation)
        kept[index] = not any(kept[other] for other in near)
    return kept


def quadratic(image, at):
    """Peaks refined by parabolas along x and y; (x, y) in pixels."""
    places = []
    for j, i in at:
        shift = [0.0, 0.0]
        for axis, (index, n) in enumerate(((i, image.shape[1]), (j, image.shape[0]))):
            if 0 < index < n - 1:
                low, high = (image[j, i - 1], image[j, i + 1]) if axis == 0 else (image[j - 1, i], image[j + 1, i])
                bend = low + high - 2 * image[j, i]
                if bend < 0:
                    shift[axis] = np.clip(0.5 * (low - high) / bend, -0.5, 0.5)
        places.append((i + shift[0], j + shift[1]))
    return np.array(places).reshape(-1, 2)


def gaussian_fit(image, places, pixel_a, sigma_a, sign):
    """Each place refined by least squares of a round Gaussian on a plane, in a window of 1.2 angstrom around it."""
    smooth = sign * image
    reach = max(3, round(1.2 / pixel_a))
    refined = []
    for x, y in places / pixel_a:
        i, j = int(round(x)), int(round(y))
        ys = slice(max(j - reach, 0), min(j + reach + 1, image.shape[0]))
        xs = slice(max(i - reach, 0), min(i + reach + 1, image.shape[1]))
        window = smooth[ys, xs]
        yy, xx = np.mgrid[ys, xs]

        def model(p):
            bell = np.exp(-((xx - p[0]) ** 2 + (yy - p[1]) ** 2) / (2 * p[3] ** 2))
            return (p[2] * bell + p[4] + p[5] * (xx - x) + p[6] * (yy - y) - window).ravel()

        start = [x, y, np.ptp(window) / 2, sigma_a / pixel_a * 1.2, np.median(window), 0, 0]
        low = [x - 0.4 / pixel_a, y - 0.4 / pixel_a, 0, 0.15 / pixel_a, -np.inf, -np.inf, -np.inf]
        high = [x + 0.4 / pixel_a, y + 0.4 / pixel_a, np.inf, 1.5 / pixel_a, np.inf, np.inf, np.inf]
        try:
            fit = optimize.least_squares(model, start, bounds=(low, high), max_nfev=30)
            refined.append(fit.x[:2])
        except ValueError:
            refined.append((x, y))
    return np.array(refined).reshape(-1, 2) * pixel_a


class Tuned:
    """F1 of each image for every setting, before the fit (which moves places little and takes long)."""

    def __init__(self, data):
        shape = (len(data), len(SIGMAS_A), len(SEPARATIONS_A), len(THRESHOLDS), len(MASKS), 2)
        self.f1 = np.zeros(shape)
        self.signs = np.zeros((len(data), len(SIGMAS_A), len(SIGN_RULES)), int)
        for n, item in enumerate(data):
            candidates, rules = item["candidates"], item["rules"]
            for a, sigma in enumerate(SIGMAS_A):
                self.signs[n, a] = [0 if rules[sigma][rule] == 1 else 1 for rule in SIGN_RULES]
                for b, separation in enumerate(SEPARATIONS_A):
                    for s, sign in enumerate((1, -1)):
                        peaks = candidates[sigma, separation, sign]
                        pairs = near(peaks.places, item["truth"])
                        for c, threshold in enumerate(THRESHOLDS):
                            for d, mask in enumerate(MASKS):
                                kept = (peaks.strengths >= threshold) & (peaks.contrast >= mask)
                                self.f1[n, a, b, c, d, s] = f1_of(pairs[np.flatnonzero(kept)])

    def with_rule(self):
        """[image, sigma, separation, threshold, mask, rule]"""
        n = np.arange(self.f1.shape[0])[:, None, None]
        a = np.arange(len(SIGMAS_A))[None, :, None]
        # Advanced indices apart from each other come first: [n, a, rule, separation, threshold, mask].
        return np.moveaxis(self.f1[n, a, :, :, :, self.signs], 2, -1)


def index_of_best(table):
    return np.unravel_index(np.argmax(table), table.shape)


def choose_log(tuned, data):
    """Settings of each image, three ways: {way: [(sigma, separation, sign, threshold, mask)]}."""
    count = len(data)
    halves = [np.arange(count) % 2 == half for half in (0, 1)]
    ruled, best_sign = tuned.with_rule(), tuned.f1.max(-1)
    ways = {"fair": [None] * count, "sign": [None] * count, "oracle": [None] * count}
    chosen = {"fair": [], "sign": []}
    for tune_on in halves:
        fair = index_of_best(ruled[tune_on].mean(0))
        told = index_of_best(best_sign[tune_on].mean(0))
        chosen["fair"].append([float(v) if not isinstance(v, str) else v for v in named(fair[:4])] + [SIGN_RULES[fair[4]]])
        chosen["sign"].append([float(v) for v in named(told)])
        for n in np.flatnonzero(~tune_on):
            a, b, c, d, rule = fair
            ways["fair"][n] = (*named((a, b, c, d)), 1 - 2 * tuned.signs[n, a, rule])
            ways["sign"][n] = (*named(told), 1 - 2 * int(np.argmax(tuned.f1[(n, *told)])))
    for n in range(count):
        a, b, c, d, s = index_of_best(tuned.f1[n])
        ways["oracle"][n] = (*named((a, b, c, d)), 1 - 2 * s)
    return ways, chosen


def named(index):
    a, b, c, d = index
    return SIGMAS_A[a], SEPARATIONS_A[b], THRESHOLDS[c], MASKS[d]


def atomap_positions(image, pixel_a, separation_a, threshold, sign, smooth_a):
    """The first step of atomap alone, for tuning."""
    import atomap.api as am
    import hyperspy.api as hs

    flat = sign * ndimage.gaussian_filter(normalised(image, pixel_a), smooth_a / pixel_a)
    signal = hs.signals.Signal2D(flat - flat.min())
    at = am.get_atom_positions(
        signal, separation=max(2, round(separation_a / pixel_a)), threshold_rel=threshold, pca=False
    )
    return np.array(at, float).reshape(-1, 2) * pixel_a, signal


def atomap_refined(at_a, signal, pixel_a):
    import atomap.api as am

    if len(at_a) < 10:
        return at_a
    lattice = am.Sublattice(at_a / pixel_a, image=signal.data)
    lattice.find_nearest_neighbors(nearest_neighbors=9)
    lattice.refine_atom_positions_using_center_of_mass(show_progressbar=False)
    lattice.refine_atom_positions_using_2d_gaussian(show_progressbar=False)
    places = np.array(lattice.atom_positions, float).reshape(-1, 2)
    return np.where(np.isfinite(places), places, at_a / pixel_a) * pixel_a


def run_atomap(data, signs_by_rule, quick):
    """atomap, its separation, threshold and smoothing tuned as above."""
    grid = list(itertools.product((1.6, 2.0, 2.4), (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8), (0.2, 0.4, 0.6)))
    if quick:
        grid = grid[::7]
    rules = list(SIGN_RULES)
    f1 = np.zeros((len(data), len(grid), 2))
    for n, item in enumerate(data):
        for g, (separation, threshold, smooth) in enumerate(grid):
            for s, sign in enumerate((1, -1)):
                at, _ = atomap_positions(item["image"], item["pixel"], separation, threshold, sign, smooth)
                f1[n, g, s] = f1_of(near(at, item["truth"]))
    count = len(data)
    ways = {"fair": [None] * count, "sign": [None] * count, "oracle": [None] * count}
    chosen = {"fair": [], "sign": []}
    ruled = np.stack([np.take_along_axis(f1, signs_by_rule[:, None, None, r], 2)[..., 0] for r in range(len(rules))], -1)
    for half in (0, 1):
        tune_on = np.arange(count) % 2 == half
        g, r = index_of_best(ruled[tune_on].mean(0))
        (told,) = index_of_best(f1[tune_on].max(-1).mean(0))
        chosen["fair"].append([*grid[g], rules[r]])
        chosen["sign"].append(list(grid[told]))
        for n in np.flatnonzero(~tune_on):
            ways["fair"][n] = (*grid[g], 1 - 2 * signs_by_rule[n, r])
            ways["sign"][n] = (*grid[told], 1 - 2 * int(np.argmax(f1[n, told])))
    for n in range(count):
        g, s = index_of_best(f1[n])
        ways["oracle"][n] = (*grid[g], 1 - 2 * s)

    def find(item, way):
        separation, threshold, smooth, sign = way
        at, signal = atomap_positions(item["image"], item["pixel"], separation, threshold, sign, smooth)
        return atomap_refined(at, signal, item["pixel"])

    return ways, chosen, find


def find_log(item, way):
    sigma_a, separation_a, threshold, mask, sign = way
    image, pixel_a = item["image"], item["pixel"]
    flat = normalised(image, pixel_a)
    sigma = sigma_a / pixel_a
    response = -(sigma**2) * ndimage.gaussian_laplace(flat, sigma)
    signed = sign * response
    at = peak_local_max(
        signed, min_distance=max(1, round(separation_a / pixel_a / 2)), threshold_abs=threshold,
        exclude_border=False, p_norm=2,
    )
    strengths = signed[tuple(at.T)]
    at = at[thinned(at, strengths, separation_a / pixel_a)]
    if mask > 0:
        power = ndimage.gaussian_filter(response**2, 4.0 / pixel_a)
        at = at[np.sqrt(power / np.median(power))[tuple(at.T)] >= mask]
    places = quadratic(signed, at) * pixel_a
    return places, gaussian_fit(flat, places, pixel_a, sigma_a, sign)


def summary(data, found, seconds):
    """Means over images, over those of at least 1000 e/A^2, and the median error of all hits."""
    rows, errors = [], []
    for item, places in zip(data, found):
        hits = match(places, item["truth"])
        errors.append(hits)
        rows.append(
            dict(
                image=item["image_number"], dose=item["dose"], columns=len(item["truth"]), detected=len(places),
                precision=len(hits) / len(places) if len(places) else None, recall=len(hits) / len(item["truth"]),
                f1=2 * len(hits) / (len(places) + len(item["truth"])),
                median_pm=float(100 * np.median(hits)) if len(hits) else None,
            )
        )
    mean = lambda key, select=rows: float(np.mean([row[key] for row in select if row[key] is not None]))
    bright = [row for row in rows if row["dose"] >= 1000]
    return dict(
        f1=mean("f1"), f1_from_1000=mean("f1", bright) if bright else None, precision=mean("precision"),
        recall=mean("recall"), median_pm=float(100 * np.median(np.concatenate(errors))),
        seconds=float(np.median(seconds)), worst=min(row["f1"] for row in rows), images=rows,
    )


HEADER = """| finder | F1 | F1 from 1000 e/A^2 | precision | recall | worst F1 | median error (pm) | seconds an image |
|---|---|---|---|---|---|---|---|"""


def report(name, r):
    """A row of the table, as soon as it is known."""
    cells = (r["f1"], r["f1_from_1000"], r["precision"], r["recall"], r["worst"])
    numbers = " | ".join("-" if cell is None else f"{cell:.3f}" for cell in cells)
    print(f"| {name} | {numbers} | {r['median_pm']:.1f} | {r['seconds']:.2f} |", flush=True)


def load(folder, quick):
    data = []
    for entry in json.load(open(f"{folder}/meta.json"))[: 6 if quick else None]:
        number = entry["image"]
        truth = np.loadtxt(f"{folder}/columns_{number:03d}.csv", delimiter=",", skiprows=1, ndmin=2)[:, :2]
        data.append(
            dict(
                image=np.load(f"{folder}/image_{number:03d}.npy").astype(float), truth=truth,
                pixel=entry["sampling_A"], dose=entry["dose_e_per_A2"], image_number=number,
            )
        )
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--out", help="all figures as JSON")
    parser.add_argument("--skip-atomap", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a few images and settings, to try the script")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    data = load(options.data, options.quick)
    for item in data:
        item["candidates"], item["rules"] = log_candidates(item["image"], item["pixel"])
    tuned = Tuned(data)
    ways, chosen = choose_log(tuned, data)
    results = {"versions": dict(numpy=np.__version__, scipy=scipy.__version__, skimage=skimage.__version__)}
    print(HEADER, flush=True)
    for way, settings in ways.items():
        found, fitted, seconds = [], [], []
        for item, setting in zip(data, settings):
            start = time.perf_counter()
            places, fit = find_log(item, setting)
            seconds.append(time.perf_counter() - start)
            found.append(places)
            fitted.append(fit)
        name = f"LoG + Gaussian fit, {way}"
        results[name] = summary(data, fitted, seconds)
        results[name]["settings"] = chosen.get(way)
        results[name]["without_fit"] = {k: v for k, v in summary(data, found, seconds).items() if k != "images"}
        report(name, results[name])
    # As an oracle without mask that chooses width, sign and threshold alone: separation 1.6 angstrom.
    plain = tuned.f1[:, :, SEPARATIONS_A.index(1.6), :, 0, :].max((1, 2, 3))
    from_1000 = np.array([item["dose"] >= 1000 for item in data])
    results["oracle_without_mask"] = dict(f1=float(plain.mean()), f1_from_1000=float(plain[from_1000].mean()))
    middle = SIGMAS_A.index(0.5)
    rights = np.array([1 - 2 * int(np.argmax(tuned.f1[n].max((0, 1, 2, 3)))) for n in range(len(data))])
    results["sign_right"] = {
        rule: float(np.mean(1 - 2 * tuned.signs[:, middle, r] == rights)) for r, rule in enumerate(SIGN_RULES)
    }
    if not options.skip_atomap:
        import importlib.metadata

        results["versions"]["atomap"] = importlib.metadata.version("atomap")
        ways, chosen, find = run_atomap(data, tuned.signs[:, middle], options.quick)
        for way, settings in ways.items():
            found, seconds = [], []
            for item, setting in zip(data, settings):
                start = time.perf_counter()
                found.append(find(item, setting))
                seconds.append(time.perf_counter() - start)
            name = f"atomap, {way}"
            results[name] = summary(data, found, seconds)
            results[name]["settings"] = chosen.get(way)
            report(name, results[name])
    print("versions", results["versions"])
    print("share of images whose sign the rule tells rightly (width 0.5 angstrom)", results["sign_right"])
    print("oracle of width, sign and threshold alone, no mask, no fit", results["oracle_without_mask"])
    for name, result in results.items():
        if result.get("settings"):
            print(name, "settings of the two halves:", result["settings"])
        if "without_fit" in result:
            print(name, "before the fit:", {k: round(v, 3) for k, v in result["without_fit"].items()})
    if options.out:
        with open(options.out, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
