"""abTEM's side of benches/against_abtem/run.sh: makes the structure, times abTEM, prints the table."""

import json
import os
import statistics
import sys
import time

import numpy as np


def structure(path):
    """923 atoms of gold, [110] up the beam, in a box of 60 x 60 A with 2 A of vacuum before and after."""
    import ase.io
    from ase.cluster.cubic import FaceCenteredCubic

    cluster = FaceCenteredCubic("Au", [(1, 0, 0), (1, 1, 1)], [6, 6])
    atoms = ase.Atoms(cluster.get_chemical_symbols(), positions=cluster.positions)
    atoms.rotate(45, "x")
    atoms.positions -= atoms.positions.mean(0)
    atoms.positions[:, :2] += 30
    atoms.positions[:, 2] -= atoms.positions[:, 2].min() - 4
    # 43 slices of 1 A.
    atoms.set_cell([60, 60, 43])
    atoms.pbc = True
    ase.io.write(path, atoms, format="extxyz")


def repeat(times, work):
    work(-1)
    seconds = []
    for index in range(times):
        start = time.perf_counter()
        work(index)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def run(path):
    import abtem
    import ase.io

    abtem.config.set({"device": "cpu", "local_diagnostics.progress_bar": False})
    atoms = ase.io.read(path)

    def exit_wave(atoms, gpts):
        potential = abtem.Potential(atoms, gpts=gpts, slice_thickness=1.0, parametrization="lobato", projection="infinite")
        return abtem.PlaneWave(energy=300e3).multislice(potential).compute(progress_bar=False)

    def another(index):
        random = np.random.default_rng(index + 1)
        other = atoms.copy()
        other.rotate(random.uniform(0, 57), "z", center=(30, 30, 0))
        other.positions[:, :2] += random.uniform(-0.05, 0.05, (len(other), 2))
        return exit_wave(other, (1024, 1024))

    one = repeat(7, lambda index: exit_wave(atoms, (1024, 1024)))
    stream = repeat(7, another)
    wave = exit_wave(atoms, (512, 512))

    def image(index):
        ctf = abtem.CTF(energy=300e3, defocus=40.0 + index % 100, Cs=-1e5 - (index % 7) * 1e3, C12=20.0, focal_spread=30.0)
        wave.apply_ctf(ctf).intensity().compute(progress_bar=False)

    images = repeat(70, image)
    print(json.dumps(dict(version=abtem.__version__, threads=os.cpu_count(), atoms=len(atoms),
                          exit_wave_1024_s=one, stream_1024_s_per_wave=stream, image_512_s=images)))


def table(path, theirs, ours, wave):
    theirs, ours = (json.load(open(name)) for name in (theirs, ours))
    print(f"{ours['atoms']} atoms, 43 slices, {ours['threads']} threads; abTEM {theirs['version']}; medians\n")
    print("| | abTEM | atomlens | times as fast |")
    print("|---|---|---|---|")
    for key, name in (("exit_wave_1024_s", "exit wave, 1024 x 1024"),
                      ("stream_1024_s_per_wave", "stream of different exit waves, each"),
                      ("image_512_s", "image of new optics from a 512 x 512 wave")):
        print(f"| {name} | {theirs[key] * 1e3:.1f} ms | {ours[key] * 1e3:.1f} ms | {theirs[key] / ours[key]:.1f} |")
    # The two must have computed the same: compare the waves.
    import abtem
    import ase.io

    potential = abtem.Potential(ase.io.read(path), gpts=(1024, 1024), slice_thickness=1.0, parametrization="lobato", projection="infinite")
    reference = np.asarray(abtem.PlaneWave(energy=300e3).multislice(potential).compute(progress_bar=False).array).T
    found = np.load(wave)
    print(f"\nThe two exit waves differ by {np.linalg.norm(found - reference) / np.linalg.norm(reference):.1e} (relative L2).")


if __name__ == "__main__":
    {"structure": structure, "time": run, "table": table}[sys.argv[1]](*sys.argv[2:])
