//! `atomlens track` and `atomlens twin`, from files to tables, pictures and the report, with a model that comes with the
//! program.

mod common;

use std::path::Path;

use common::Place;
use ndarray::{Array2, Array3, Axis};
use rand::RngExt;

const PIXEL: f64 = 0.2;
const PIXELS: usize = 150;
/// Columns are a square lattice of 9 x 9.
const SPACING: f64 = 2.04;
const ROW: i32 = 9;

/// Whether a site is filled: those of the right edge come and go, each in its own time.
fn filled(row: i32, column: i32, frame: usize) -> bool {
    column < ROW - 1 || ((frame as i32 + 5 * row) / 7 + row) % 2 == 0
}

/// Where the crystal is in a frame.
fn drift(frame: usize) -> [f64; 2] {
    [0.05 * frame as f64, 0.8 * (0.3 * frame as f64).sin()]
}

fn frame(number: usize, noise: f32) -> Array2<f32> {
    let mut random = atomlens_core::SeedPath::new(7).index(number as u64).stream();
    let [dx, dy] = drift(number);
    let middle = 0.5 * (PIXELS as f64 - 1.0) * PIXEL;
    let edge = |place: f64| place / SPACING + 0.5 * f64::from(ROW - 1);
    Array2::from_shape_fn((PIXELS, PIXELS), |(j, i)| {
        let (x, y) = (edge(i as f64 * PIXEL - middle - dx), edge(j as f64 * PIXEL - middle - dy));
        let (column, row) = (x.round() as i32, y.round() as i32);
        let mut value = 1000.0 + noise * random.random_range(-1.0..1.0_f32);
        if (0..ROW).contains(&column) && (0..ROW).contains(&row) && filled(row, column, number) {
            let square = ((x - f64::from(column)).powi(2) + (y - f64::from(row)).powi(2)) * SPACING * SPACING;
            value += 300.0 * (-0.5 * square / 0.45_f64.powi(2)).exp() as f32;
        }
        value
    })
}

fn movie(frames: usize, noise: f32) -> Array3<f32> {
    let frames: Vec<Array2<f32>> = (0..frames).map(|number| frame(number, noise)).collect();
    let views: Vec<_> = frames.iter().map(|frame| frame.view()).collect();
    ndarray::stack(Axis(0), &views).unwrap()
}

fn write(path: &Path, movie: &Array3<f32>) {
    atomlens_formats::write_npy(path, movie.view()).unwrap();
}

/// A table's columns of the names, as numbers.
fn table<const N: usize>(path: &Path, names: [&str; N]) -> Vec<[f64; N]> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = names.map(|name| header.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{name}")));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            at.map(|at| fields[at].parse().unwrap_or(f64::NAN))
        })
        .collect()
}

const TRACK: &str = "--model metal-particles --pixel-size-nm 0.02 --twin-movies 0";

#[test]
fn a_folder_of_frames_gives_sites_occupancy_events_and_a_report() {
    let place = Place::new();
    std::fs::create_dir(place.path("frames")).unwrap();
    let frames = 40;
    for number in 0..frames {
        let path = place.path("frames").join(format!("frame_{number}.npy"));
        atomlens_formats::write_npy(&path, frame(number, 150.0).view()).unwrap();
    }
    // One that was cut off, and what lies beside the frames.
    std::fs::write(place.path("frames/frame_7.npy"), b"\x93NUMPY\x01\x00").unwrap();
    std::fs::write(place.path("frames/log.txt"), "sample 3").unwrap();
    let summary = place.run(&format!("track frames {TRACK} --frame-time-s 0.5 --out out --json")).good().json();
    assert_eq!(summary["movie"]["frames"], frames);
    assert_eq!(summary["movie"]["bad_frames"], serde_json::json!([7]));
    assert_eq!(summary["movie"]["sites"], ROW * ROW);
    let tables = ["sites", "occupancy", "events", "hops", "tracks", "track_summaries", "drift", "columns"];
    for name in tables.iter().flat_map(|name| [format!("{name}.csv"), format!("{name}.parquet")]) {
        assert!(place.path("out").join(&name).is_file(), "{name}");
    }
    let pictures = ["occupancy_map", "switching_map", "event_raster"];
    for name in pictures.iter().flat_map(|name| [format!("{name}.png"), format!("{name}.svg")]) {
        assert!(place.path("out").join(&name).is_file(), "{name}");
    }
    for name in ["movie.gif", "movie.json", "mean_image.npy", "settings.json"] {
        assert!(place.path("out").join(name).is_file(), "{name}");
    }
    let report = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(report.contains("frame 7") && report.contains("log.txt"), "warnings are in the report");

    // The path of the crystal, in nm from the first frame.
    for (number, [x, y]) in table(&place.path("out/drift.csv"), ["x_nm", "y_nm"]).into_iter().enumerate() {
        let off = (10.0 * x - drift(number)[0]).hypot(10.0 * y - drift(number)[1]);
        assert!(off < if number == 7 { 0.5 } else { 0.15 }, "frame {number}: {off}");
    }
    // The sites, and which of them are filled when.
    let middle = 0.5 * (PIXELS as f64 - 1.0);
    let number = |pixels: f64| (pixels - middle) * PIXEL / SPACING + 0.5 * f64::from(ROW - 1);
    let sites: Vec<(i32, i32)> = table(&place.path("out/sites.csv"), ["x_px", "y_px"])
        .into_iter()
        .map(|[x, y]| {
            let (column, row) = (number(x), number(y));
            assert!((column - column.round()).abs() < 0.15 && (row - row.round()).abs() < 0.15, "{column} {row}");
            (row.round() as i32, column.round() as i32)
        })
        .collect();
    let states = table(&place.path("out/occupancy.csv"), ["frame", "site", "filled"]);
    assert_eq!(states.len(), frames * sites.len());
    let wrong = states
        .iter()
        .filter(|[frame, site, state]| {
            let (row, column) = sites[*site as usize];
            *frame != 7.0 && filled(row, column, *frame as usize) != (*state == 1.0)
        })
        .count();
    assert!(wrong * 200 < states.len(), "{wrong} of {} site-frames", states.len());
    let switches: usize = (1..frames)
        .flat_map(|frame| (0..ROW).map(move |row| (frame, row)))
        .filter(|(frame, row)| filled(*row, ROW - 1, frame - 1) != filled(*row, ROW - 1, *frame))
        .count();
    let found = summary["movie"]["total"]["switches"]["value"].as_f64().unwrap();
    assert!((found / switches as f64 - 1.0).abs() < 0.1, "{found} of {switches}");
    let events = table(&place.path("out/events.csv"), ["frame", "time_s", "site"]);
    assert!(events.iter().all(|[frame, time, _]| (time - 0.5 * frame).abs() < 1e-9));

    // The same files by a pattern, and the sites of the first run given: the same occupancies.
    place.run(&format!("track frames/frame_*.npy {TRACK} --reference out --out known")).good();
    let known = table(&place.path("known/occupancy.csv"), ["frame", "site", "filled"]);
    let differ = states.iter().zip(&known).filter(|(a, b)| a != b).count();
    assert!(differ * 500 < states.len(), "{differ}");
}

#[test]
fn a_result_does_not_depend_on_threads_and_is_checked_by_its_twin() {
    let place = Place::new();
    write(&place.path("movie.npy"), &movie(24, 250.0));
    place.run(&format!("track movie.npy {TRACK} --threads 1 --out one")).good();
    place.run(&format!("track movie.npy {TRACK} --threads 3 --out three")).good();
    place.same_results("one", "three");
    let check = place.run("twin one --movies 1 --json").good().json();
    let row = |name: &str| {
        let rows = check["check"]["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["quantity"] == name).unwrap_or_else(|| panic!("{name} in {rows:?}"));
        row["value"].as_f64().unwrap()
    };
    assert!(row("recall of sites") > 95.0 && row("precision of sites") > 95.0);
    assert!(row("occupancy right") > 97.0);
    for name in ["twin.json", "twin.csv", "twin.parquet", "settings.json"] {
        assert!(place.path("one/twin").join(name).is_file(), "{name}");
    }
    place.run("twin one").fails("a check that is there", 4, &["holds files already"]);
    place.run("twin .").fails("a folder of something else", 3, &["settings.json", "atomlens track"]);
    std::fs::remove_file(place.path("movie.npy")).unwrap();
    place.run("twin three").fails("a movie that is gone", 3, &["movie.npy"]);
}

#[test]
fn what_is_no_movie_is_refused() {
    let place = Place::new();
    write(&place.path("movie.npy"), &movie(3, 150.0));
    atomlens_formats::write_npy(&place.path("image.npy"), frame(0, 150.0).view()).unwrap();
    let mut random = atomlens_core::SeedPath::new(2).stream();
    let noise = Array3::from_shape_fn((12, 96, 96), |_| random.random_range(90.0..110.0_f32));
    write(&place.path("noise.npy"), &noise);
    place.write("sites.csv", "a,b\n1,2\n");
    place.write("elsewhere.csv", "x_nm,y_nm\n1,1\n1.3,1\n1.7,1.1\n");
    let size = "--pixel-size-nm 0.02 --model metal-particles";
    for (arguments, code, words) in [
        ("missing.npy".to_owned(), 3, &["missing.npy"][..]),
        ("nothing_*.tif".to_owned(), 3, &["no file"]),
        (format!("image.npy {size}"), 3, &["one frame", "atomlens detect"]),
        (format!("noise.npy {size}"), 3, &["cannot be analysed"]),
        ("movie.npy --pixel-size-nm 0".to_owned(), 2, &["--pixel-size-nm"]),
        ("movie.npy --frame-time-s=-1".to_owned(), 2, &["--frame-time-s"]),
        (format!("movie.npy {size} --reference sites.csv"), 3, &["sites.csv", "x_nm"]),
        (format!("movie.npy {size} --reference elsewhere.csv"), 3, &["--reference"]),
        ("movie.npy --pixel-size-nm 0.9".to_owned(), 3, &["trained on"]),
    ] {
        place.run(&format!("track {arguments} --out out")).fails(&arguments, code, words);
        let _ = std::fs::remove_dir_all(place.path("out"));
    }
}

#[cfg(unix)]
#[test]
fn a_job_that_was_stopped_goes_on_where_it_was() {
    let place = Place::new();
    write(&place.path("movie.npy"), &movie(40, 150.0));
    place.stop(&format!("track movie.npy {TRACK} --out out"), 40);
    assert!(place.path("out/columns.csv").is_file());
    let again = place.run(&format!("track movie.npy {TRACK} --out out"));
    again.fails("a folder of a run that was stopped", 4, &["--resume"]);
    place.run(&format!("track movie.npy {TRACK} --out out --resume")).good();
    place.run(&format!("track movie.npy {TRACK} --out whole")).good();
    place.same_results("out", "whole");
    place.run(&format!("track movie.npy {TRACK} --out out --resume")).fails("a complete run", 4, &["is complete"]);
}
