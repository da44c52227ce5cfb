//! Focal series: `atomlens reconstruct`, `atomlens detect --focal-series`, and what makes no series.

mod common;

use std::path::Path;

use atomlens_formats::{Frames, write_frames, write_npy};
use common::Place;
use ndarray::{Array2, Array3, Axis, s};

/// A layer of MoS2 in three images in focus, of 15 nm² and as many electrons that little is left to chance.
const LAYER: &str = r#"
name = "layer"
description = "a test"
[image]
pixels = 160
pixel_size_angstrom = 0.2
margin_angstrom = 5.0
[wave]
energy_kev = 80
sampling_angstrom = 0.1
slice_thickness_angstrom = 1.0
[specimen.body]
kind = "layer"
material = "MoS2"
single_vacancy_fraction = 0.05
[specimen.stage]
[optics]
defocus_angstrom = 40.0
cs_angstrom = -5e4
focal_spread = { one_over_e_angstrom = 10.0 }
[optics.focal_series]
images = 3
step_angstrom = 50.0
[camera]
dose_e_per_a2 = 10000
"#;

/// Simulates the series; gives its images, `[focus, y, x]`.
fn simulated(place: &Place) -> Array3<f32> {
    place.write("layer.toml", LAYER);
    place.run("simulate layer.toml --count 1 --seed 3 --out simulated").good();
    let array = atomlens_formats::read_npy(&place.path("simulated/image_0000.npy")).unwrap();
    array.into_f32().unwrap().into_dimensionality().unwrap()
}

fn write_stack(path: &Path, images: &Array3<f32>, pixel_angstrom: f64) {
    let (pixel_x_angstrom, pixel_y_angstrom) = (pixel_angstrom, pixel_angstrom);
    write_frames(path, &Frames { data: images.view().into(), pixel_x_angstrom, pixel_y_angstrom }).unwrap();
}

fn write_image(path: &Path, image: &Array2<f32>, pixel_angstrom: f64) {
    let (pixel_x_angstrom, pixel_y_angstrom) = (pixel_angstrom, pixel_angstrom);
    write_frames(path, &Frames { data: image.view().into(), pixel_x_angstrom, pixel_y_angstrom }).unwrap();
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_stack_gives_its_wave() {
    let place = Place::new();
    let images = simulated(&place);
    write_stack(&place.path("series.tif"), &images, 0.2);
    let arguments = "reconstruct series.tif --energy-kev 80 --method iterative --iterations 20";
    let run = place.run(&format!("{arguments} --defocus-angstrom 40,90,140 --cs-um -5 --out wave --json")).good();
    let names = ["exit_wave.npy", "exit_wave.json", "phase_rad.npy", "phase_rad.tif", "amplitude.npy", "amplitude.tif"];
    let pictures = ["phase.png", "amplitude.png", "residual_000.npy", "residual_002.png"];
    for name in names.into_iter().chain(pictures).chain(["optics.json", "settings.json", "report.html"]) {
        assert!(place.path("wave").join(name).is_file(), "{name}");
    }
    let wave = atomlens_formats::read_wave(&place.path("wave/exit_wave.npy")).unwrap();
    assert_eq!(wave.dim(), (160, 160));
    let amplitude = wave.iter().map(|value| f64::from(value.norm())).sum::<f64>() / wave.len() as f64;
    assert!((amplitude - 1.0).abs() < 0.05, "{amplitude}");
    let optics = json(&place.path("wave/optics.json"));
    for (image, nominal) in [(0, 4.0), (1, 9.0), (2, 14.0)] {
        let found = optics["images"][image]["defocus_nm"]["value"].as_f64().unwrap();
        // The wave is in the middle of the layer, a few angstrom above the plane that simulated defocus counts from.
        assert!((found - nominal).abs() < 1.5, "image {image}: {found} nm, not {nominal}");
    }
    assert_eq!(optics["cs_um"]["held"], true);
    assert_eq!(run.json()["series"][0]["images"], 3);

    // The wave can be imaged again.
    place.run("image wave/exit_wave.npy --defocus-angstrom 50 --out again.npy").good();
    // A folder with results is kept.
    let again = place.run(&format!("{arguments} --defocus-angstrom 40,90,140 --out wave"));
    again.fails("a folder that holds results", 4, &["holds files already"]);
}

#[test]
fn files_of_one_image_in_any_order_of_focus_and_one_of_them_damaged() {
    let place = Place::new();
    let images = simulated(&place);
    for index in 0..3 {
        write_image(&place.path(&format!("image_{index}.tif")), &images.index_axis(Axis(0), index).to_owned(), 0.2);
    }
    let arguments = "reconstruct image_2.tif image_1.tif image_0.tif --energy-kev 80 --cs-um -5 --method iterative \
                     --iterations 5 --defocus-angstrom=140,90,40";
    let run = place.run(&format!("{arguments} --out down --json")).good();
    assert_eq!(run.json()["series"][0]["images"], 3);
    let optics = json(&place.path("down/optics.json"));
    let numbers: Vec<u64> =
        optics["images"].as_array().unwrap().iter().map(|image| image["image"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [2, 1, 0], "by increasing underfocus, with the numbers of the files");
    assert_eq!(optics["images"][0]["file"], "image_0.tif");

    let whole = std::fs::read(place.path("image_1.tif")).unwrap();
    place.write("image_1.tif", &whole[..whole.len() / 2]);
    let run = place.run(&format!("{arguments} --out two --json")).good();
    let series = &run.json()["series"][0];
    assert_eq!(series["images"], 2);
    assert_eq!(series["left_out"][0]["image"], 1);
    assert!(series["left_out"][0]["reason"].as_str().unwrap().contains("image_1.tif"), "{series}");
}

#[test]
fn a_stack_gives_species_and_defects() {
    let place = Place::new();
    let images = simulated(&place);
    write_stack(&place.path("series.tif"), &images, 0.2);
    let run = place.run("detect series.tif --focal-series --defocus-step-angstrom 50 --out found --json").good();
    let tables = ["columns", "defects", "defect_counts", "edges", "boundaries"];
    for name in tables.iter().flat_map(|name| [format!("{name}.csv"), format!("{name}.parquet")]) {
        assert!(place.path("found").join(&name).is_file(), "{name}");
    }
    let pictures = ["species_map.png", "species_map.svg", "confidence.tif", "columns.xyz"];
    for name in pictures.into_iter().chain(["species.csv", "report.html", "settings.json", "summary.json"]) {
        assert!(place.path("found").join(name).is_file(), "{name}");
    }
    let columns = std::fs::read_to_string(place.path("found/columns.csv")).unwrap();
    let species = std::fs::read_to_string(place.path("found/species.csv")).unwrap();
    assert!(species.starts_with("file,frame,column_id,p_Mo,"), "{species}");
    assert_eq!(columns.lines().count(), species.lines().count());
    let summary = &run.json()["series"][0];
    assert_eq!(summary["images"], serde_json::json!([0, 1, 2]));
    assert_eq!(summary["reference_image"], 0);

    // As many of each species as there are, to a tenth of all.
    let truth = std::fs::read_to_string(place.path("simulated/image_0000.csv")).unwrap();
    let all = truth.lines().count() - 1;
    let count = |table: &str, name: &str| table.lines().filter(|line| line.split(',').any(|cell| cell == name)).count();
    for name in ["Mo", "S2", "S"] {
        let (found, there) = (count(&columns, name), count(&truth, name));
        assert!(10 * found.abs_diff(there) <= all, "{name}: {found} for {there} of {all}");
    }

    // A bad image is left out, as the model allows it.
    let mut bad = images.clone();
    bad.index_axis_mut(Axis(0), 2).fill(f32::NAN);
    write_stack(&place.path("bad.tif"), &bad, 0.2);
    let run = place.run("detect bad.tif --focal-series --defocus-step-angstrom 50 --out two --json").good();
    let summary = &run.json()["series"][0];
    assert_eq!(summary["left_out"][0]["image"], 2);
    assert!(summary["warnings"].to_string().contains("image 2 is left out"), "{summary}");

    write_stack(&place.path("two.tif"), &images.slice(s![..2, .., ..]).to_owned(), 0.2);
    for (arguments, code, words) in [
        (
            "two.tif --focal-series --defocus-step-angstrom 50",
            3,
            &["two.tif", "2 of 2 images", "3", "layer-series"][..],
        ),
        ("series.tif --focal-series", 3, &["series.tif", "no focus step"]),
        ("series.tif --defocus-step-angstrom 50", 2, &["--focal-series"]),
        ("series.tif --focal-series --defocus-step-angstrom 50 --resume", 2, &["--resume"]),
        ("series.tif --focal-series --defocus-step-angstrom 50 --model single-layers", 2, &["single-layers"]),
        ("series.tif --model layer-series", 2, &["layer-series", "focal series"]),
    ] {
        place.run(&format!("detect {arguments} --out out")).fails(arguments, code, words);
    }
}

#[test]
fn rings_of_a_spectrum_and_none() {
    let place = Place::new();
    let images = simulated(&place);
    write_image(&place.path("one.tif"), &images.index_axis(Axis(0), 0).to_owned(), 0.2);
    let run = place.run("optics one.tif --energy-kev 80 --out optics --json").good();
    assert_eq!(run.json()["images"].as_array().unwrap().len(), 1);
    for name in ["optics.csv", "optics.parquet", "optics.json", "spectrum_000.png", "settings.json"] {
        assert!(place.path("optics").join(name).is_file(), "{name}");
    }
    place.run("optics one.tif --out none").fails("no energy", 3, &["one.tif", "--energy-kev"]);
    write_npy(&place.path("plain.npy"), images.index_axis(Axis(0), 0)).unwrap();
    let run = place.run("optics plain.npy --energy-kev 80 --out none");
    run.fails("no pixel size", 3, &["plain.npy", "--pixel-size-nm"]);
}

#[test]
fn what_makes_no_series_is_refused_with_a_reason() {
    let place = Place::new();
    let images = simulated(&place);
    let write = |name: &str, images: &Array3<f32>| write_stack(&place.path(name), images, 0.2);
    write("good.tif", &images);
    write("two.tif", &images.slice(s![..2, .., ..]).to_owned());
    let one = images.index_axis(Axis(0), 0).to_owned();
    write_image(&place.path("one.tif"), &one, 0.2);
    write_image(&place.path("small.tif"), &one.slice(s![..120, ..]).to_owned(), 0.2);
    write_image(&place.path("coarse.tif"), &one, 0.25);
    write_npy(&place.path("plain.npy"), images.view()).unwrap();
    let with = |index: usize, change: &dyn Fn(&mut Array2<f32>)| {
        let mut changed = images.clone();
        let mut image = changed.index_axis(Axis(0), index).to_owned();
        change(&mut image);
        changed.index_axis_mut(Axis(0), index).assign(&image);
        changed
    };
    write("nan.tif", &with(1, &|image| image.fill(f32::NAN)).slice(s![..2, .., ..]).to_owned());
    write("flat.tif", &with(0, &|image| image.fill(7.0)).slice(s![..2, .., ..]).to_owned());
    let bytes = std::fs::read(place.path("good.tif")).unwrap();
    place.write("short.tif", &bytes[..bytes.len() / 2]);
    let step = "--defocus-step-angstrom 50";
    for (arguments, code, words) in [
        (format!("one.tif {step}"), 3, &["one.tif", "one image is no focal series"][..]),
        (format!("one.tif small.tif {step}"), 3, &["small.tif", "160 x 120", "160 x 160"]),
        (format!("one.tif coarse.tif {step}"), 3, &["coarse.tif", "0.02500", "0.02000", "--pixel-size-nm"]),
        (format!("one.tif good.tif {step}"), 3, &["one.tif", "good.tif", "either"]),
        ("good.tif".to_owned(), 3, &["good.tif", "no focus step", "--defocus-step-angstrom"]),
        ("good.tif --defocus-angstrom 40,90".to_owned(), 2, &["--defocus-angstrom", "2 values", "3"]),
        ("good.tif --defocus-angstrom 40,40,90".to_owned(), 2, &["--defocus-angstrom", "image 0", "image 1"]),
        ("good.tif --defocus-step-angstrom 0".to_owned(), 2, &["--defocus-step-angstrom"]),
        ("good.tif --defocus-step-angstrom fifty".to_owned(), 2, &["fifty"]),
        (format!("good.tif {step} --defocus-angstrom 1,2,3"), 2, &["cannot be used with"]),
        (format!("nan.tif {step}"), 3, &["nan.tif", "1 of 2 images", "image 1", "finite", "2"]),
        (format!("flat.tif {step}"), 3, &["flat.tif", "image 0", "value 7"]),
        (format!("short.tif {step}"), 3, &["short.tif"]),
        (format!("missing.tif {step}"), 3, &["missing.tif"]),
        (format!("plain.npy {step}"), 3, &["plain.npy", "no pixel size", "--pixel-size-nm"]),
        (format!("good.tif {step} --pixel-size-nm 0"), 2, &["above 0"]),
        ("good.tif --defocus-angstrom=-40,-90,-140".to_owned(), 3, &["good.tif", "wrong sign", "--defocus-angstrom"]),
    ] {
        let run = place.run(&format!("reconstruct {arguments} --energy-kev 80 --method iterative --out out"));
        run.fails(&arguments, code, words);
        assert!(!place.path("out").exists(), "{arguments}: nothing is written");
    }
    let run = place.run(&format!("reconstruct good.tif {step} --method iterative --out out"));
    run.fails("no energy", 3, &["good.tif", "--energy-kev"]);
    let run = place.run(&format!("reconstruct good.tif {step} --energy-kev 80 --astigmatism-angstrom 5 --out out"));
    run.fails("half an astigmatism", 2, &["required arguments"]);
    assert!(run.err.contains("--astigmatism-azimuth-degree"), "{}", run.err);
}

/// Series of another program (`shared/reference/mos2`, not in the repository) whose phase by itself leaves open which way the
/// focus runs.
#[test]
#[allow(clippy::print_stdout, reason = "what is skipped is said aloud")]
fn the_direction_of_focus_is_told_where_the_phase_leaves_it_open() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/mos2");
    if !folder.join("series_000.npy").exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let place = Place::new();
    for (series, pixel_nm) in [(0, 0.010_728), (2, 0.009_587)] {
        let name = format!("series_{series:03}.npy");
        std::fs::copy(folder.join(&name), place.path(&name)).unwrap();
        let rest = format!("--focal-series --pixel-size-nm {pixel_nm} --energy-kev 80");
        let step = |sign: &str| format!("--defocus-step-angstrom={sign}50");
        let (right, wrong) = (step(""), step("-"));
        place.run(&format!("detect {name} {rest} {right} --out right_{series}")).good();
        let run = place.run(&format!("detect {name} {rest} {wrong} --out wrong_{series}"));
        run.fails(&name, 3, &[&name, "wrong sign", "--defocus-step-angstrom=50"]);
        assert!(!place.path(&format!("wrong_{series}")).exists());
        let run = place.run(&format!(
            "reconstruct {name} --pixel-size-nm {pixel_nm} --energy-kev 80 {wrong} --method network --out wave"
        ));
        run.fails(&name, 3, &[&name, "wrong sign"]);
    }
}
