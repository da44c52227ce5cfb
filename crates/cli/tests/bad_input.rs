//! Whatever is wrong is answered with one clear line and the documented exit code.

mod common;

use std::fs;

use atomlens_formats::write_npy;
use common::{BOX, Place};
use ndarray::{Array2, ArrayD};
use num_complex::Complex32;

#[test]
fn structures() {
    let place = Place::new();
    let cases = [
        ("Au 3", "Xx 3", 3, &["line 3", "Xx", "chemical symbol"][..]),
        ("Au 3", "Au three", 3, &["line 3", "three"]),
        ("2\n", "3\n", 3, &["3 atoms"]),
        ("Au 3 4 2", "Au 13 4 2", 5, &["outside the cell", "x = 13", "--wrap"]),
        ("Au 3 4 2", "Au 3 4 -1", 5, &["outside the cell", "z = -1"]),
        ("0 0 0 4\"", "0 0 0 0\"", 3, &["line 2", "volume"]),
        ("12 0 0 0", "12 0 0 5", 5, &["angles", "expected a box"]),
        ("Lattice=\"12 0 0 0 10 0 0 0 4\" ", "", 5, &["no cell", "center(vacuum"]),
        (BOX, "", 3, &["empty"]),
    ];
    for (from, to, code, words) in cases {
        assert!(BOX.contains(from), "{from}");
        place.write("bad.xyz", BOX.replacen(from, to, 1));
        let run = place.run("exit-wave bad.xyz --energy-kev 300 --gpts 96x80 --out w.npy");
        run.fails(to, code, &[&["bad.xyz"], words].concat());
    }
    assert!(!place.path("w.npy").exists());
}

#[test]
fn exit_waves() {
    let place = Place::new();
    place.write("text.txt", "hello");
    let wave = "exit-wave box.xyz --energy-kev 300 --gpts 96x80 --out w.npy";
    for (from, to, code, words) in [
        ("box.xyz", "none.xyz", 3, &["none.xyz", "No such file"][..]),
        ("box.xyz", "text.txt", 3, &["text.txt", ".xyz"]),
        ("box.xyz", ".", 3, &[]),
        ("300", "300000", 5, &["30 to 1000 keV"]),
        ("300", "-300", 2, &["above 0"]),
        ("300", "nan", 2, &["above 0"]),
        ("96x80", "0x0", 2, &["0x0"]),
        ("96x80", "96", 2, &["512x512"]),
        ("96x80", "99999x99999", 2, &["4 to 32768"]),
        ("96x80", "16x16", 5, &["undersampled", "at least 54 x 48"]),
        ("--out", "--slice-thickness-angstrom 0 --out", 2, &["above 0"]),
        ("--out", "--slice-thickness-angstrom -1 --out", 2, &["above 0"]),
        ("--out", "--pad-angstrom -1 --out", 2, &["0 or more"]),
        ("--out", "--pad-angstrom 1e9 --out", 2, &["0 to 1000"]),
        ("--out", "--tilt-mrad inf 0 --out", 2, &["finite"]),
        ("--out", "--parametrization doyle --out", 2, &["doyle"]),
        ("w.npy", "w.tif", 2, &[".npy"]),
        ("w.npy", "none/w.npy", 4, &["no folder none"]),
        ("w.npy", "w.npy --potential none/p.npy", 4, &["no folder none"]),
        ("--out w.npy", "", 2, &["required"]),
    ] {
        assert!(wave.contains(from));
        place.run(&wave.replace(from, to)).fails(to, code, words);
    }
    assert!(!place.path("w.npy").exists());
    // The grid that the message names is enough.
    place.run(&wave.replace("96x80", "54x48")).good();
}

#[test]
fn waves() {
    let place = Place::new();
    place.run("exit-wave box.xyz --energy-kev 300 --gpts 96x80 --out w.npy").good();
    let good = Array2::from_elem((8, 6), Complex32::new(1.0, 0.0));
    let mut nan = good.clone();
    nan[[2, 5]] = Complex32::new(f32::NAN, 0.0);
    write_npy(&place.path("nan.npy"), nan.view()).unwrap();
    write_npy(&place.path("real.npy"), good.mapv(|value| value.re).view()).unwrap();
    write_npy(&place.path("cube.npy"), ArrayD::from_elem(vec![2, 8, 6], Complex32::new(1.0, 0.0)).view()).unwrap();
    write_npy(&place.path("row.npy"), Array2::from_elem((1, 64), Complex32::new(1.0, 0.0)).view()).unwrap();
    write_npy(&place.path("small.npy"), good.view()).unwrap();
    let bytes = fs::read(place.path("w.npy")).unwrap();
    place.write("short.npy", &bytes[..1000]);
    place.write("stub.npy", &bytes[..20]);
    place.write("empty.npy", "");
    place.write("text.npy", "this is no array at all, but it is long enough for a header");
    for (name, code, words) in [
        ("nan.npy", 5, &["not finite", "[2, 5]"][..]),
        ("real.npy", 3, &["float32", "complex64"]),
        ("cube.npy", 3, &["[2, 8, 6]", "[y, x]"]),
        ("row.npy", 5, &["4 to 32768"]),
        ("short.npy", 3, &["cut short"]),
        ("stub.npy", 3, &["cut short"]),
        ("empty.npy", 3, &["empty"]),
        ("text.npy", 3, &[]),
        ("none.npy", 3, &["No such file"]),
    ] {
        let run = place.run(&format!("image {name} --energy-kev 300 --pixel-size-angstrom 0.2 --out i.npy"));
        run.fails(name, code, &[&[name], words].concat());
    }
    place.run("image small.npy --out i.npy").fails("energy", 2, &["--energy-kev", "small.json"]);
    place.run("image small.npy --energy-kev 300 --out i.npy").fails("pixel", 2, &["--pixel-size-angstrom"]);
    place.run("image w.npy small.npy --out i.npy").fails("sizes", 2, &["96 x 80", "6 x 8"]);
    assert!(!place.path("i.npy").exists());
}

#[test]
fn imaging() {
    let place = Place::new();
    place.run("exit-wave box.xyz --energy-kev 300 --gpts 96x80 --out w.npy").good();
    place.write("word.mtf", "hello\n");
    place.write("short.mtf", "5\n1.0\n0.5\n");
    place.write("nan.mtf", "2\n1.0\nnan\n");
    place.write("empty.mtf", "");
    for (options, code, words) in [
        ("--dose-e-per-a2 10 --mtf word.mtf", 3, &["word.mtf", "line 1"][..]),
        ("--dose-e-per-a2 10 --mtf short.mtf", 3, &["promises 5"]),
        ("--dose-e-per-a2 10 --mtf nan.mtf", 3, &["NaN"]),
        ("--dose-e-per-a2 10 --mtf empty.mtf", 3, &["empty.mtf"]),
        ("--dose-e-per-a2 10 --mtf none.mtf", 3, &["No such file"]),
        ("--mtf word.mtf", 2, &["--dose-e-per-a2"]),
        ("--gain-counts-per-electron 3", 2, &["--dose-e-per-a2"]),
        ("--focus-samples 5", 2, &["--focal-spread-angstrom"]),
        ("--angle-samples 5", 2, &["--angular-spread-mrad"]),
        ("--aperture-edge-mrad 5", 2, &["--aperture-mrad"]),
        ("--dose-e-per-a2 -5", 2, &["above 0"]),
        ("--dose-e-per-a2 0", 2, &["above 0"]),
        ("--dose-e-per-a2 1e30", 2, &["1e9"]),
        ("--dose-e-per-a2 10 --binning 0", 5, &["1 to 16"]),
        ("--dose-e-per-a2 10 --binning 7", 5, &["multiple of the binning"]),
        ("--energy-kev 300000", 5, &["30 to 1000"]),
        ("--pixel-size-angstrom 0", 2, &["above 0"]),
        ("--pixel-size-angstrom 0.1 w.npy", 2, &["name the waves before"]),
        ("--aberration C12=4 w.npy", 2, &["name the waves before"]),
        ("--aberration C13=4", 2, &["C13", "nearest"]),
        ("--aberration C12=four", 2, &["finite number"]),
        ("--aberration C12=4 C12=5", 2, &["C12 only once"]),
        ("--aberration C30=4 --cs-angstrom 4", 2, &["--cs-angstrom"]),
        ("--defocus-angstrom nan", 2, &["finite"]),
        ("--focal-spread-angstrom -5", 2, &["0 or more"]),
        ("--vibration-angstrom -5", 2, &["0 or more"]),
        ("--image-pixel-size-angstrom 1e-9", 2, &["0.000000001"]),
        ("--image-pixel-size-angstrom 100", 2, &["12.00 x 10.00"]),
    ] {
        place.run(&format!("image w.npy {options} --out i.npy")).fails(options, code, words);
    }
    place.run("image w.npy --out i.png").fails("ending", 2, &[".npy, .tif or .mrc"]);
    place.run("image w.npy --out none/i.npy").fails("folder", 4, &["no folder none"]);
    place.run("image --out i.npy").fails("no wave", 2, &["required"]);
    assert!(!place.path("i.npy").exists());
}

#[test]
fn recipes() {
    let place = Place::new();
    place.write("nocell.xyz", "1\n\nAu 0 0 0\n");
    place.write("word.mtf", "hello\n");
    let body = "kind = \"nanoparticle\"\nelement = \"Au\"\nradius_angstrom = 5";
    for (from, to, code, words) in [
        ("defocus_angstrom", "defocus_nm", 3, &["line 20", "defocus_nm", "nearest is defocus_angstrom"][..]),
        ("name = ", "nome = ", 3, &["nome", "nearest is name"]),
        ("name = \"small\"", "", 3, &["key name is missing"]),
        ("uniform", "unifrom", 3, &["unifrom", "nearest is uniform"]),
        ("{ one_over_e_angstrom = 30 }", "30", 3, &["no convention", "one_over_e_angstrom"]),
        ("one_over_e_angstrom", "sigma_angstrom", 3, &["unknown key sigma_angstrom", "standard_deviation_angstrom"]),
        ("one_over_e_angstrom = 30", "one_over_e_angstrom = -30", 3, &["optics.focal_spread", "-30"]),
        ("cs_angstrom = -1e5", "cs_angstrom = nan", 3, &["NaN"]),
        ("cs_angstrom = -1e5", "cs_angstrom = \"three\"", 3, &["three", "a number"]),
        ("cs_angstrom = -1e5", "vibration_angstrom = -1", 3, &["optics.vibration_angstrom"]),
        ("cs_angstrom = -1e5", "aperture_mrad = 0", 3, &["optics.aperture_mrad"]),
        ("[72, 60]", "72.5", 3, &["line 5", "whole number of pixels"]),
        ("[72, 60]", "0", 3, &["16 to 8192"]),
        ("energy_kev = 300", "energy_kev = 300000", 3, &["30 to 1000"]),
        ("slice_thickness_angstrom = 2", "slice_thickness_angstrom = 0", 3, &["0.05 to 20"]),
        ("sampling_angstrom = 0.2", "sampling_angstrom = 0.5", 3, &["0.22"]),
        ("\"Au\"", "\"Xx\"", 3, &["Xx"]),
        ("\"Au\"", "\"Fe\"", 5, &["lattice_constant_angstrom"]),
        ("radius_angstrom = 5", "radius_angstrom = 0", 5, &["radius_angstrom"]),
        ("radius_angstrom = 5", "radius_angstrom = 50", 5, &["enlarge the field"]),
        ("dose_e_per_a2 = 1000", "dose_e_per_a2 = { normal = [9, 5] }", 3, &["positive dose"]),
        ("dose_e_per_a2 = 1000", "dose_e_per_a2 = 1\nmtf = { table = \"none.mtf\" }", 3, &["none.mtf"]),
        ("dose_e_per_a2 = 1000", "dose_e_per_a2 = 1\nmtf = { table = \"word.mtf\" }", 3, &["word.mtf", "line 1"]),
        ("dose_e_per_a2 = 1000", "dose_e_per_a2 = 1\npixel_type = \"u12\"", 3, &["u12", "nearest is u16"]),
        ("dose_e_per_a2 = 1000", "dose_e_per_a2 = 1\ndark_noise_electrons = -1", 3, &["0 or more"]),
        (body, "kind = \"nanotube\"", 3, &["nanotube", "nearest is nanoparticle"]),
        (body, "kind = \"file\"\npath = \"none.xyz\"", 3, &["none.xyz"]),
        ("[optics]", "[optics", 3, &["line 19"]),
        ("[optics]", "[dynamics]\nframes = 0\n[optics]", 5, &["frames"]),
    ] {
        place.recipe("bad.toml", &[(from, to)]);
        place.run("simulate bad.toml --count 1 --out out").fails(to, code, words);
        place.run("recipe check bad.toml").fails(to, if code == 5 { 3 } else { code }, words);
        let _ = fs::remove_dir_all(place.path("out"));
    }
    place.write("file.txt", "");
    place.write("binary.toml", [0xff, 0xfe, 0x00]);
    place.write("empty.toml", "");
    for (arguments, code, words) in [
        ("none.toml --out out", 3, &["none.toml", "gold, platinum-on-ceria"][..]),
        (". --out out", 3, &["gold"]),
        ("binary.toml --out out", 3, &["UTF-8"]),
        ("empty.toml --out out", 3, &["missing"]),
        ("small.toml --out file.txt", 4, &["file of this name"]),
        ("small.toml --out /proc/none/out", 4, &["/proc/none/out"]),
        ("small.toml --out out --count 0", 2, &["0"]),
        ("small.toml --out out --count -3", 2, &["-3"]),
        ("small.toml --out out --seed x", 2, &["--seed"]),
        ("small.toml --out out --threads 0", 2, &["--threads"]),
        ("small.toml --out out --format png", 2, &["png"]),
        ("small.toml", 2, &["required"]),
    ] {
        place.run(&format!("simulate {arguments}")).fails(arguments, code, words);
    }
    assert!(!place.path("out").exists());
}
