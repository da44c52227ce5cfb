"""PEWR (T. Ewalds and C. Ophus, https://github.com/tewalds/pewr) beside `atomlens reconstruct`, on the focal series of an independent simulator.

    python against_pewr.py FOLDER PROGRAM PEWR [--size PIXELS] [--iterations N]

FOLDER holds series_NNN.npy, exit_wave_NNN.npy and meta.json. PEWR, an iterative projection algorithm (L. Allen et al., Ultramicroscopy 100, 91
(2004), doi:10.1016/j.ultramic.2003.11.004) knows defocus alone, so it is given the true defocus, and the true spherical aberration and
astigmatism are taken out of its result, which nobody could do who does not know them. `atomlens reconstruct` is told the defocus and nothing
else. Errors are relative to the true wave, in the inner 80 % of the field, for the best constant phase and the best plane. With --size the images
are repeated to so many pixels, for the time alone.

PEWR is built with: g++ -O3 -march=native -ffast-math -fopenmp -include cstring pewr.cpp -o pewr -lfftw3 -lm. Needs numpy.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np


def wavelength(energy_ev):
    """In angstrom; relativistic (Kirkland, Advanced Computing in Electron Microscopy, equation 2.5)."""
    return 12.398 / np.sqrt((2 * 510.99906 + energy_ev / 1e3) * energy_ev / 1e3)


def frequencies(n, pixel):
    return np.fft.fftfreq(n, pixel)[None], np.fft.fftfreq(n, pixel)[:, None]


def common_aberrations(about, n):
    """exp(-i chi) of what all images share but the defocus."""
    kx, ky = frequencies(n, about["sampling_A"])
    length = wavelength(about["energy"])
    theta, azimuth = np.hypot(kx, ky) * length, np.arctan2(ky, kx)
    chi = about["Cs"] * theta**4 / 4 + about["C12"] * theta**2 / 2 * np.cos(2 * (azimuth - about["phi12"]))
    return np.exp(-2j * np.pi / length * chi)


def error(wave, truth, about):
    """Relative error and that of the phase in radian, in the inner 80 %, at the best of planes up to 15 angstrom before the exit plane."""
    n = len(truth)
    kx, ky = frequencies(n, about["sampling_A"])
    inner = slice(n // 10, n - n // 10)
    spectrum, best = np.fft.fft2(truth), (np.inf, np.inf)
    for distance in np.arange(-15, 15.1, 0.5):
        turned = np.exp(1j * np.pi * wavelength(about["energy"]) * distance * (kx**2 + ky**2))
        true = np.fft.ifft2(spectrum * turned)[inner, inner]
        ours = wave[inner, inner] * np.exp(1j * np.angle(np.vdot(wave[inner, inner], true)))
        relative = np.linalg.norm(true - ours) / np.linalg.norm(true)
        best = min(best, (relative, np.sqrt(np.mean(np.angle(true * ours.conj()) ** 2))))
    return best


def pewr(program, series, about, iterations, folder):
    n = series.shape[1]
    for index, image in enumerate(series):
        (image / image.mean()).astype(np.float64).tofile(folder / f"plane{index}.raw")
    names = " ".join(f"plane{index}.raw" for index in range(len(series)))
    focus = " ".join(f"{-value:.4f}" for value in about["defocus_A"])
    (folder / "config").write_text(
        f"size {n}\npadding {n}\npsize {about['sampling_A']}\nlambda {wavelength(about['energy'])}\nqmax 1.25\nthreads 2\n"
        f"type double\nnplanes {len(series)}\nplanes {names}\nfvals {focus}\niters {iterations}\noutput wave\n"
    )
    began = time.time()
    # Its first argument is not used; it takes the folder of a path with a slash for the name up to the first one.
    subprocess.run([pathlib.Path(program).resolve(), "-", "-c", "config"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    elapsed = time.time() - began
    wave = np.fromfile(folder / f"wave.{iterations}", np.complex128).reshape(n, n)
    return wave, elapsed


def atomlens(program, path, about, method, out):
    command = [program, "reconstruct", str(path), "--out", str(out), "--method", method, "--quiet"]
    command += ["--pixel-size-nm", str(about["sampling_A"] / 10), "--energy-kev", str(about["energy"] / 1e3)]
    command += ["--defocus-angstrom=" + ",".join(f"{value:.3f}" for value in about["defocus_A"])]
    began = time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return np.load(out / "exit_wave.npy"), time.time() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("program")
    parser.add_argument("pewr")
    parser.add_argument("--size", type=int)
    parser.add_argument("--iterations", type=int, default=100)
    options = parser.parse_args()
    for about in json.load(open(options.folder / "meta.json")):
        name = f"{about['series']:03d}"
        series = np.load(options.folder / f"series_{name}.npy")
        truth = np.load(options.folder / f"exit_wave_{name}.npy")
        if options.size:
            times = -(-options.size // series.shape[1])
            series = np.tile(series, (1, times, times))[:, : options.size, : options.size]
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            path = scratch / "series.npy"
            np.save(path, series)
            line = f"{name} {about['dose_e_per_A2']:7.0f} e/A2"
            wave, elapsed = pewr(options.pewr, series, about, options.iterations, scratch)
            runs = [("PEWR", wave, elapsed)]
            for method in ("network", "iterative", "both"):
                runs.append((method, *atomlens(options.program, path, about, method, scratch / method)))
        for method, wave, elapsed in runs:
            line += f"  {method}"
            if not options.size:
                if method == "PEWR":
                    wave = np.fft.ifft2(np.fft.fft2(wave) / common_aberrations(about, len(wave)))
                relative, phase = error(wave, truth, about)
                line += f" {relative:.3f} {phase:.3f} rad"
            line += f" {elapsed:.1f} s"
        print(line, flush=True)
        if options.size:
            break


if __name__ == "__main__":
    main()
