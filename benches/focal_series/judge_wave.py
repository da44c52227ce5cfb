#!/usr/bin/env python3
"""Compares reconstructed exit waves with the truth of the reference series.

    judge_wave.py REFERENCE RESULTS [--inner 0.8] [--only 0,9]

REFERENCE holds exit_wave_NNN.npy and meta.json; RESULTS holds exit_wave_NNN.npy, or NNN/exit_wave.npy (a folder for each series as
`atomlens reconstruct` writes it), or is such a folder itself if --only names one series. Waves are compared in the field's inner
part, up to a constant phase and the origin of focus: the wave is propagated and turned to where the relative L2 error is
smallest. Printed are that error, the root mean square of the phase difference in radian, and the distance propagated.
"""
import argparse
import json
import os

import numpy as np

REST_ENERGY_EV = 510998.95
HC_EV_ANGSTROM = 12398.41984


def wavelength_angstrom(energy_ev):
    return HC_EV_ANGSTROM / np.sqrt(energy_ev * (2 * REST_ENERGY_EV + energy_ev))


def compare(wave, truth, pixel_angstrom, energy_ev, inner=0.8, reach_angstrom=40.0):
    """Relative L2 error, phase RMS in radian, and distance in angstrom by which the wave had to be propagated."""
    if wave.shape != truth.shape:
        raise SystemExit(f"the wave has {wave.shape} pixels, the truth {truth.shape}")
    ny, nx = truth.shape
    ky = np.fft.fftfreq(ny, pixel_angstrom)[:, None]
    kx = np.fft.fftfreq(nx, pixel_angstrom)[None]
    propagator = -np.pi * wavelength_angstrom(energy_ev) * (kx**2 + ky**2)
    spectrum = np.fft.fft2(wave.astype(complex))
    top, left = round(ny * (1 - inner) / 2), round(nx * (1 - inner) / 2)
    part = (slice(top, ny - top), slice(left, nx - left))
    target = truth[part].astype(complex)
    norm = np.linalg.norm(target)

    def at(distance):
        found = np.fft.ifft2(spectrum * np.exp(1j * propagator * distance))[part]
        turn = np.vdot(found, target)
        found = found * turn / abs(turn)
        return np.linalg.norm(found - target) / norm, found

    # A coarse search, then golden section.
    places = np.arange(-reach_angstrom, reach_angstrom + 0.1, 2.0)
    best = places[np.argmin([at(place)[0] for place in places])]
    low, high = best - 2.0, best + 2.0
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > 0.05:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if at(a)[0] < at(b)[0]:
            high = b
        else:
            low = a
    distance = (low + high) / 2
    error, found = at(distance)
    phase = np.angle(target * found.conj())
    return error, np.sqrt(np.mean(phase**2)), distance


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("results")
    parser.add_argument("--inner", type=float, default=0.8, help="part of the field along each side that is compared")
    parser.add_argument("--only", help="series that are compared, such as 0,9")
    arguments = parser.parse_args()
    with open(os.path.join(arguments.reference, "meta.json")) as file:
        meta = json.load(file)
    only = {int(n) for n in arguments.only.split(",")} if arguments.only else None
    rows = []
    for entry in meta:
        index = entry["series"]
        if only is not None and index not in only:
            continue
        names = [f"exit_wave_{index:03d}.npy", f"{index:03d}/exit_wave.npy", f"series_{index:03d}/exit_wave.npy"]
        if only is not None and len(only) == 1:
            names.append("exit_wave.npy")
        paths = [path for path in (os.path.join(arguments.results, name) for name in names) if os.path.exists(path)]
        if not paths:
            continue
        truth = np.load(os.path.join(arguments.reference, f"exit_wave_{index:03d}.npy"))
        wave = np.load(paths[0])
        rows.append((entry["dose_e_per_A2"], index, *compare(wave, truth, entry["sampling_A"], entry["energy"], arguments.inner)))
    if not rows:
        raise SystemExit("no wave was found: expected exit_wave_NNN.npy or NNN/exit_wave.npy in RESULTS")
    rows.sort()
    print("dose e/A^2  series  relative L2  phase RMS rad  focus A")
    for dose, index, error, phase, distance in rows:
        print(f"{dose:10.0f}  {index:6d}  {error:11.4f}  {phase:13.4f}  {distance:7.1f}")
    for low, high in ((0, 1000), (1000, 10000), (10000, np.inf)):
        inside = [row for row in rows if low <= row[0] < high]
        if inside:
            name = f"{low:.0f} and more" if np.isinf(high) else f"{low:.0f} to {high:.0f}"
            print(
                f"{name} e/A^2: {len(inside)} series, relative L2 mean {np.mean([r[2] for r in inside]):.4f}, "
                f"worst {max(r[2] for r in inside):.4f}; phase RMS mean {np.mean([r[3] for r in inside]):.4f} rad"
            )


if __name__ == "__main__":
    main()
