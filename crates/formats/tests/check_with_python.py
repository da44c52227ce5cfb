"""Opens what atomlens-formats writes with ASE, NumPy, tifffile and mrcfile, and compares what it
reads with what ASE reads.

    pip install ase numpy tifffile mrcfile spglib
    python crates/formats/tests/check_with_python.py [STRUCTURE ..]

Further structure files, such as a folder of CIFs, are read by both and compared. Prints a table;
the exit status is 1 if anything differs.
"""

import io
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import ase.io
import mrcfile
import numpy as np
import spglib
import tifffile
from ase.spacegroup import Spacegroup, crystal

warnings.simplefilter("ignore")
ROOT = Path(__file__).resolve().parents[3]
FAILED = []


def run(example, *arguments):
    command = ["cargo", "run", "--release", "--quiet", "-p", "atomlens-formats", "--example", example, "--"]
    return subprocess.run([*command, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def check(name, good, note=""):
    if not good:
        FAILED.append(name)
    if not good or note:
        print(f"{'ok  ' if good else 'FAIL'} {name} {note}")


def dumped(paths):
    """What atomlens reads: path -> dict, or the error's text."""
    result = {}
    for start in range(0, len(paths), 200):
        for line in run("dump_structure", *paths[start : start + 200]).splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "file":
                current = result[rest] = {"atoms": [], "cell": None, "pbc": None, "error": None}
            elif kind == "error":
                current["error"] = rest
            elif kind == "cell":
                flags, numbers = rest.split(" [")
                current["pbc"] = [f == "1" for f in flags.split()]
                current["cell"] = np.array([float(v) for v in numbers.rstrip("]").split(",")]).reshape(3, 3)
            else:
                words = rest.split()
                current["atoms"].append((words[0], np.array([float(v) for v in words[1:4]]), *map(float, words[4:])))
    return result


def same_crystal(atoms, read, tolerance=1e-3):
    """Largest distance between equal atoms modulo the cell, or None if they cannot be paired.

    ASE keeps one atom of a mixed site: of ours at one place, one is compared.
    """
    cell = atoms.cell.array
    if read["cell"] is None or not np.allclose(cell, read["cell"], atol=1e-6):
        return None
    inverse = np.linalg.inv(cell)
    theirs = (atoms.positions @ inverse) % 1.0
    symbols = np.array(atoms.get_chemical_symbols())
    ours = np.array([a[1] for a in read["atoms"]]) @ inverse
    used = np.zeros(len(theirs), bool)
    worst = 0.0
    for (symbol, *_), place in zip(read["atoms"], ours):
        difference = theirs - place
        difference -= np.round(difference)
        distance = np.linalg.norm(difference @ cell, axis=1)
        nearest = int(np.argmin(distance))
        if distance[nearest] > tolerance:
            return None
        mixed = any(np.linalg.norm(((o := other - place) - np.round(o)) @ cell) < tolerance for other in ours if other is not place)
        if symbols[nearest] != symbol and not mixed:
            return None
        used[nearest] = True
        worst = max(worst, distance[nearest])
    return worst if used.all() else None


def structures(folder):
    full = ase.io.read(folder / "full.xyz")
    check("xyz symbols", full.get_chemical_symbols() == ["Sr", "Ti", "O"] * 20)
    check("xyz pbc", full.pbc.all())
    check("xyz cell", np.allclose(full.cell.cellpar(), [11.3, 12.7, 9.1, 81, 97, 112], atol=1e-9))
    check("xyz extra columns", (full.arrays["site"] == np.arange(60)).all() and np.allclose(full.arrays["height_angstrom"], full.positions[:, 2], atol=1e-7))
    expected = [-1 if i % 5 == 0 else i // 5 for i in range(60)]
    check("xyz column", list(full.arrays["column"]) == expected)
    cif = ase.io.read(folder / "full.cif")
    error = np.abs(cif.positions - full.positions).max()
    check("cif positions", error < 1e-6, f"largest difference from the xyz {error:.1e} A")
    check("cif symbols, pbc", cif.get_chemical_symbols() == full.get_chemical_symbols() and cif.pbc.all())
    check("cif cell", np.abs(cif.cell.array - full.cell.array).max() < 1e-8)

    mixed = ase.io.read(folder / "mixed.xyz")
    check("mixed xyz", list(mixed.pbc) == [True, True, False] and np.allclose(mixed.arrays["occupancy"], [0.75] * 60 + [0.25]))
    cif = ase.io.read(folder / "mixed.cif", fractional_occupancies=True)
    occupancies = [cif.info["occupancy"][str(kind)] for kind in cif.arrays["spacegroup_kinds"]]
    check("mixed cif", len(cif) == 60 and occupancies[0] == {"Sr": 0.75, "Zr": 0.25} and occupancies[1] == {"Ti": 0.75}, str(occupancies[0]))

    cluster = ase.io.read(folder / "cluster.xyz")
    check("cluster", not cluster.pbc.any() and not cluster.cell.any() and np.allclose(cluster.positions, full.positions))
    turned = ase.io.read(folder / "turned.xyz")
    c, s = np.cos(0.3), np.sin(0.3)
    check("turned cell", np.allclose(turned.cell.array, full.cell.array @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]), atol=1e-12))
    movie = ase.io.read(folder / "movie.xyz", index=":")
    check("xyz frames", [len(m) for m in movie] == [60] * 3 and np.allclose(movie[2].cell.array, turned.cell.array))


def arrays_and_images(folder):
    wave = np.load(folder / "wave.npy")
    y, x = np.mgrid[:3, :5]
    check("npy wave", wave.dtype == np.complex64 and (wave == y + 1j * (x + 0.5)).all())
    turned = np.load(folder / "turned.npy")
    check("npy C order", turned.flags.c_contiguous and turned.dtype == np.float32 and (turned == (y * 10 + x + 0.5).T).all())
    check("npy float64", np.load(folder / "double.npy").dtype == np.float64)
    for name, frames, focus in [("image", 1, 1), ("movie", 4, 1), ("series", 1, 3), ("both", 4, 3)]:
        t, f, y, x = np.mgrid[:frames, :focus, :37, :53]
        number = ((t * 3 + f) * 37 + y) * 53 + x
        pixels = {
            "u8": (number % 251).astype(np.uint8),
            "u16": (number + 30000).astype(np.uint16),
            "f32": number.astype(np.float32) * np.float32(0.37) - np.float32(100),
        }
        for kind, expected in pixels.items():
            label = f"{name} {kind}"
            squeezed = expected.reshape([n for n in expected.shape[:2] if n > 1] + [37, 53])
            array = np.load(folder / f"{name}_{kind}.npy")
            check(f"npy {label}", array.dtype == expected.dtype and array.shape == squeezed.shape and (array == squeezed).all())
            with tifffile.TiffFile(folder / f"{name}_{kind}.tif") as tif:
                array = tif.asarray()
                page = tif.pages[0]
                size = [page.tags[tag].value for tag in ("XResolution", "YResolution")]
                size = [d / n for n, d in size]
                meta = tif.imagej_metadata
                axes = tif.series[0].axes
                check(f"tiff {label}", tif.is_imagej and array.dtype == expected.dtype and array.shape == squeezed.shape and (array == squeezed).all())
                check(f"tiff pixel size {label}", np.allclose(size, [0.0123, 0.025], rtol=1e-12) and meta["unit"] == "nm", f"{size} {meta['unit']} axes {axes}" if kind == "f32" else "")
                check(f"tiff axes {label}", axes == {"image": "YX", "movie": "TYX", "series": "ZYX", "both": "TZYX"}[name])
            path = folder / f"{name}_{kind}.mrc"
            with mrcfile.open(path) as mrc:
                stored = expected.astype(np.uint16) if kind == "u8" else expected
                stored = stored.reshape(-1, 37, 53)
                check(f"mrc {label}", mrc.data.dtype == stored.dtype and (mrc.data.reshape(stored.shape) == stored).all())
                voxel = mrc.voxel_size
                check(f"mrc pixel size {label}", np.allclose([voxel.x, voxel.y], [0.123, 0.25], rtol=1e-6), f"{voxel}" if kind == "f32" else "")
                h = mrc.header
                check(f"mrc statistics {label}", np.allclose([h.dmin, h.dmax, h.dmean, h.rms], [stored.min(), stored.max(), stored.mean(dtype=np.float64), stored.std(dtype=np.float64)], rtol=1e-5))
            check(f"mrc valid {label}", mrcfile.validate(str(path), print_file=io.StringIO()))
    truth = (folder / "truth.csv").read_text()
    check("truth", truth == "x_px,y_px,x_nm,y_nm,species,atoms\n10.1235,2.5000,0.124519,0.030750,Au,7\n0.0000,2.5000,0.000000,0.030750,S2,7\n", "")


def space_groups(folder):
    """Every space group: operations from ASE's tables, a site on a special place and a general one."""
    cells = [(16, (5, 6, 7, 90, 90, 90)), (75, (5, 6, 7, 90, 90, 90)), (143, (5, 5, 7, 90, 90, 90)), (195, (5, 5, 7, 90, 90, 120)), (231, (6, 6, 6, 90, 90, 90))]
    paths, atoms = [], {}
    for number in range(1, 231):
        cell = (5, 6, 7, 80, 95, 107) if number < 3 else (5, 6, 7, 90, 101, 90) if number < 16 else next(c for end, c in cells if number < end)
        group = Spacegroup(number)
        operations = []
        for rotation, translation in group.get_symop():
            parts = []
            for row, shift in zip(rotation, translation):
                part = "".join(f"{'+' if v > 0 else '-'}{n}" for v, n in zip(row, "xyz") if v)
                parts.append(part + (f"+{round(shift * 24)}/24" if shift else ""))
            operations.append(f"'{','.join(parts)}'")
        sites = [("Sr", (0, 0, 0)), ("O", (0.123, 0.277, 0.391)), ("Ti", (0, 0, 0.31))]
        text = f"data_{number}\n_symmetry_space_group_name_H-M '{group.symbol}'\n"
        for tag, value in zip(("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"), cell):
            text += f"_cell_{tag} {value}(1)\n"
        text += "loop_\n_symmetry_equiv_pos_as_xyz\n" + "\n".join(operations) + "\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        text += "".join(f"{s}1 {p[0]} {p[1]} {p[2]}\n" for s, p in sites)
        path = folder / f"group_{number}.cif"
        path.write_text(text)
        paths.append(path)
        basis = [p for _, p in sites]
        atoms[path] = crystal([s for s, _ in sites], basis, spacegroup=number, cellpar=cell, onduplicates="error")
    read = dumped(paths)
    worst, compared = 0.0, 0
    for path in paths:
        found = read[str(path)]
        distance = same_crystal(atoms[path], found)
        check(path.stem, distance is not None and len(found["atoms"]) == len(atoms[path]))
        worst, compared = max(worst, distance or 0.0), compared + 1
    check("space groups", compared == 230, f"{compared} compared with ASE, largest distance {worst:.1e} A")


def hall_symbols(folder):
    """Every Hall symbol of the International Tables: a general site's orbit against spglib's operations."""
    cell = "".join(f"_cell_{tag} {value}\n" for tag, value in [("length_a", 10), ("length_b", 10), ("length_c", 10)])
    site = np.array([0.123, 0.277, 0.391])
    paths = []
    for number in range(1, 531):
        # spglib marks the quotes of axes with = and leaves no other sign.
        symbol = spglib.get_spacegroup_type(number).hall_symbol.replace("=", '"')
        path = folder / f"hall_{number}.cif"
        path.write_text(
            f"data_x\n{cell}_space_group_name_Hall\n;{symbol}\n;\nloop_\n_atom_site_label\n_atom_site_fract_x\n"
            f"_atom_site_fract_y\n_atom_site_fract_z\nAu1 {site[0]} {site[1]} {site[2]}\n"
        )
        paths.append(path)
    read = dumped(paths)
    good = 0
    for number, path in enumerate(paths, 1):
        found = read[str(path)]
        operations = spglib.get_symmetry_from_database(number)
        expected = (np.einsum("nij,j->ni", operations["rotations"], site) + operations["translations"]) % 1.0
        same = not found["error"] and len(found["atoms"]) == len(expected)
        for _, place, *_ in found["atoms"] if same else []:
            difference = expected - place / 10
            same &= np.abs(difference - np.round(difference)).max(axis=1).min() < 1e-9
        check(path.stem, same, "" if same else f"{path.read_text().splitlines()[5]} {found['error'] or len(found['atoms'])} {len(expected)}")
        good += same
    check("Hall symbols", good == 530, f"{good} of 530 give the operations of spglib")


def files(paths):
    read = dumped(paths)
    good = 0
    for path in paths:
        found = read[str(path)]
        try:
            atoms = ase.io.read(path, fractional_occupancies=True) if path.suffix == ".cif" else ase.io.read(path)
        except Exception as error:
            print(f"note {path.name}: ASE fails ({type(error).__name__}: {str(error)[:60]}); here: {found['error'] or str(len(found['atoms'])) + ' atoms'}")
            continue
        if "occupancy" in atoms.info and "spacegroup_kinds" in atoms.arrays:
            # Empty sites are left out here.
            atoms = atoms[[any(atoms.info["occupancy"][str(k)].values()) for k in atoms.arrays["spacegroup_kinds"]]]
        if found["error"]:
            check(path.name, False, found["error"])
            continue
        if found["cell"] is None:
            distance = np.abs(atoms.positions - [a[1] for a in found["atoms"]]).max()
        else:
            distance = same_crystal(atoms, found, 0.06)
        check(path.name, distance is not None, "" if distance is not None else f"{len(found['atoms'])} atoms here, {len(atoms)} in ASE")
        good += distance is not None
    print(f"{good} of {len(paths)} further files read as ASE reads them")


with tempfile.TemporaryDirectory() as name:
    run("write_samples", name)
    structures(Path(name))
    arrays_and_images(Path(name))
    space_groups(Path(name))
    hall_symbols(Path(name))
    if sys.argv[1:]:
        files([Path(p).resolve() for p in sys.argv[1:]])
print("all agree" if not FAILED else f"{len(FAILED)} differ: {', '.join(FAILED[:20])}")
sys.exit(bool(FAILED))
