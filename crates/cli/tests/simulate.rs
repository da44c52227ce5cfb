//! `atomlens simulate`: what it writes, that it writes the same again, and what is left when it is stopped.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use atomlens_formats::{read_npy, read_structure, read_truth};
use common::{MOVIE, Place, SERIES};

#[test]
fn a_folder_holds_images_with_all_their_truth() {
    let place = Place::new();
    let run = place.run("simulate small.toml --count 2 --seed 5 --out out").good();
    assert!(run.out.contains("2 images in out") && run.err.is_empty(), "{} {}", run.out, run.err);
    let files = place.files("out");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "columns_0000.csv",
        "columns_0001.csv",
        "contact_sheet.png",
        "drawn_0000.json",
        "drawn_0001.json",
        "image_0000.csv",
        "image_0000.npy",
        "image_0001.csv",
        "image_0001.npy",
        "settings.json",
        "structure_0000.xyz",
        "structure_0001.xyz",
    ];
    assert_eq!(names, expected);

    let image = read_npy(&place.path("out/image_0000.npy")).unwrap();
    assert_eq!((image.shape(), image.type_name()), (&[60, 72][..], "float32"));
    let image = image.into_f32().unwrap();
    // Vacuum: 1000 electrons per square angstrom on pixels of 0.25 angstrom.
    let mean = image.mean().unwrap();
    assert!((55.0..65.0).contains(&mean), "{mean}");

    let truth = String::from_utf8(files["image_0000.csv"].clone()).unwrap();
    assert_eq!(truth.lines().next(), Some("x_px,y_px,x_nm,y_nm,species,atoms"));
    let rows = read_truth(&place.path("out/image_0000.csv")).unwrap();
    assert_eq!(rows.len(), truth.lines().count() - 1);
    assert!(rows.len() > 5);
    for row in &rows {
        assert_eq!(row.species, "Au");
        assert!((row.x_px * 0.025 - row.x_nm).abs() < 1e-5 && (row.y_px * 0.025 - row.y_nm).abs() < 1e-5);
        assert!((-0.5..71.5).contains(&row.x_px) && (-0.5..59.5).contains(&row.y_px));
    }
    let structure = read_structure(&place.path("out/structure_0000.xyz")).unwrap();
    assert_eq!(rows.iter().map(|row| row.atoms as usize).sum::<usize>(), structure.atoms.len());

    let settings: serde_json::Value = serde_json::from_slice(&files["settings.json"]).unwrap();
    assert_eq!(settings["settings"]["seed"], 5);
    assert_eq!(settings["settings"]["recipe"]["camera"]["gain_counts_per_electron"], 1.0, "defaults are filled in");
    assert_eq!(settings["inputs_sha256"]["small.toml"].as_str().unwrap().len(), 64);
    let drawn: serde_json::Value = serde_json::from_slice(&files["drawn_0001.json"]).unwrap();
    assert!((0.0..100.0).contains(&drawn["defocus_angstrom"][0].as_f64().unwrap()));
    assert_eq!(&files["contact_sheet.png"][..8], b"\x89PNG\r\n\x1a\n");
}

#[test]
fn formats_pixel_types_series_and_movies() {
    let place = Place::new();
    place.recipe("series.toml", &[("[camera]", SERIES)]);
    place.recipe("movie.toml", &[("[optics]", MOVIE), ("= 1000", "= 1000\npixel_type = \"u16\"")]);
    place.recipe("both.toml", &[("[optics]", MOVIE), ("[camera]", SERIES), ("= 1000", "= 1000\npixel_type = \"u8\"")]);
    for (recipe, shape, kind) in
        [("series", &[4, 60, 72][..], "float32"), ("movie", &[3, 60, 72], "uint16"), ("both", &[3, 4, 60, 72], "uint8")]
    {
        place.run(&format!("simulate {recipe}.toml --count 1 --out {recipe}")).good();
        let stack = read_npy(&place.path(&format!("{recipe}/image_0000.npy"))).unwrap();
        assert_eq!((stack.shape(), stack.type_name()), (shape, kind), "{recipe}");
    }
    let movie = place.files("movie");
    let header = |name: &str| String::from_utf8(movie[name].clone()).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(header("occupancy_0000.csv"), "frame,site,filled");
    assert_eq!(header("drift_0000.csv"), "frame,time_s,x_nm,y_nm,rotation_rad,centre_x_nm,centre_y_nm");
    assert!(header("sites_0000.csv").starts_with("site,x_px,y_px,x_nm,y_nm,kind,atoms"));
    assert_eq!(header("hops_0000.csv"), "frame,from_site,to_site");
    let lines = |name: &str| String::from_utf8(movie[name].clone()).unwrap().lines().count() - 1;
    assert_eq!(lines("drift_0000.csv"), 3);
    assert_eq!(lines("occupancy_0000.csv"), 3 * lines("sites_0000.csv"));

    for (format, ending, magic) in [("tiff", "tif", &b"II*\0"[..]), ("mrc", "mrc", b"")] {
        place.run(&format!("simulate series.toml --count 1 --out {format} --format {format}")).good();
        let bytes = fs::read(place.path(&format!("{format}/image_0000.{ending}"))).unwrap();
        assert!(bytes.starts_with(magic) && bytes.len() > 4 * 4 * 60 * 72, "{format}: {} bytes", bytes.len());
        if format == "mrc" {
            let word = |n: usize| i32::from_le_bytes(bytes[4 * n..4 * n + 4].try_into().unwrap());
            assert_eq!([word(0), word(1), word(2), word(3)], [72, 60, 4, 2], "columns, rows, sections, float32");
            assert_eq!(&bytes[208..211], b"MAP");
        }
    }
}

#[test]
fn same_seed_same_bytes_of_every_file() {
    let place = Place::new();
    place.recipe("movie.toml", &[("[optics]", MOVIE), ("energy_kev = 300", "energy_kev = 300\nimages_per_wave = 2")]);
    for (recipe, count) in [("small", 5), ("movie", 1), ("movie", 3)] {
        let run = |threads: u8, seed: u8| {
            let folder = format!("{recipe}_{count}_{threads}_{seed}");
            // From where the recipe is named must not matter either.
            let recipe = if threads == 1 {
                format!("{recipe}.toml")
            } else {
                place.path(recipe).display().to_string() + ".toml"
            };
            place
                .run(&format!("simulate {recipe} --count {count} --seed {seed} --threads {threads} --out {folder}"))
                .good();
            place.files(&folder)
        };
        let (one, three, other) = (run(1, 8), run(3, 8), run(2, 9));
        assert_eq!(one.keys().collect::<Vec<_>>(), three.keys().collect::<Vec<_>>());
        for (name, bytes) in &one {
            assert!(*bytes == three[name], "{recipe}: {name} differs");
            // Tables of few events may be alike by chance.
            if !name.starts_with("hops") && !name.starts_with("occupancy") {
                assert!(*bytes != other[name], "{recipe}: {name} is the same for another seed");
            }
        }
    }
}

#[test]
fn a_job_is_resumed_as_if_it_had_never_stopped() {
    let place = Place::new();
    let whole = place.run("--json simulate small.toml --count 14 --out whole").good().json();
    let expected = place.files("whole");
    for missing in [vec![13], vec![3, 9, 12, 13], (0..14).collect()] {
        let out = format!("after_{}", missing.len());
        place.run(&format!("simulate small.toml --count 14 --out {out}")).good();
        for index in &missing {
            fs::remove_file(place.path(&format!("{out}/image_{index:04}.npy"))).unwrap();
        }
        fs::remove_file(place.path(&format!("{out}/contact_sheet.png"))).unwrap();
        place.write(&format!("{out}/.image_0003.npy.x7.part"), "half");
        let again = place.run(&format!("--json simulate small.toml --count 14 --out {out} --resume")).good().json();
        assert_eq!((&again["images"], &again["columns"]), (&whole["images"], &whole["columns"]));
        assert!(place.files(&out) == expected, "{missing:?}");
    }
    // More of the same, and nothing to do.
    place.run("simulate small.toml --count 4 --out more").good();
    place.run("simulate small.toml --count 14 --out more --resume").good();
    assert!(place.files("more") == expected);
    place.run("simulate small.toml --count 14 --out more --resume").good();
    assert!(place.files("more") == expected);
}

#[test]
fn a_folder_with_files_is_left_alone() {
    let place = Place::new();
    place.run("simulate small.toml --count 1 --out out").good();
    let before = place.files("out");
    place.recipe("other.toml", &[("radius_angstrom = 5", "radius_angstrom = 4")]);
    for (arguments, advice) in [
        ("small.toml --out out", "--resume"),
        ("small.toml --out out --seed 1 --resume", "choose another --out"),
        ("small.toml --out out --format mrc --resume", "choose another --out"),
        ("other.toml --out out --resume", "choose another --out"),
        ("small.toml --out . --resume", "choose another --out"),
    ] {
        place.run(&format!("simulate {arguments} --count 3")).fails(arguments, 4, &["holds files", advice]);
    }
    assert!(place.files("out") == before);
    fs::create_dir(place.path("empty")).unwrap();
    place.run("simulate small.toml --count 1 --out empty").good();
    place.run("simulate small.toml --count 1 --out new/folders/deep").good();
}

#[test]
fn answers_in_json_and_quietly() {
    let place = Place::new();
    let run = place.run("simulate small.toml --count 2 --out a --json").good();
    let json = run.json();
    assert_eq!((json["images"].as_u64(), json["out"].as_str()), (Some(2), Some("a")));
    assert!(run.err.is_empty(), "{}", run.err);
    let run = place.run("simulate small.toml --count 2 --out b --quiet").good();
    assert!(run.err.is_empty(), "{}", run.err);
    let run = place.run("simulate small.toml --count 2 --out b --json");
    let error: serde_json::Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!((run.code, error["exit_code"].as_i64()), (4, Some(4)));
    assert!(run.out.is_empty());
}

/// Long enough to be stopped in the middle.
const LONG: usize = 4000;

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_whole_files_and_the_rest_can_follow() {
    let place = Place::new();
    let mut child =
        place.command(&format!("simulate small.toml --count {LONG} --out out --threads 2")).spawn().unwrap();
    let began = Instant::now();
    while !place.path("out/image_0002.npy").is_file() {
        assert!(began.elapsed() < Duration::from_secs(60), "no image in a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130));

    let stopped = place.files("out");
    assert!(stopped.keys().all(|name| !name.ends_with(".part")), "{:?}", stopped.keys());
    let images = stopped.keys().filter(|name| name.ends_with(".npy")).count();
    assert!((3..LONG).contains(&images), "{images}");
    assert!(stopped.contains_key("contact_sheet.png"));
    for index in 0..images {
        assert_eq!(read_npy(&place.path(&format!("out/image_{index:04}.npy"))).unwrap().shape(), [60, 72]);
        read_truth(&place.path(&format!("out/image_{index:04}.csv"))).unwrap();
        read_structure(&place.path(&format!("out/structure_{index:04}.xyz"))).unwrap();
    }
    let count = images + 3;
    place.run(&format!("simulate small.toml --count {count} --out out --resume")).good();
    place.run(&format!("simulate small.toml --count {count} --out whole")).good();
    assert!(place.files("out") == place.files("whole"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_does_not_wait_for_a_long_movie() {
    let place = Place::new();
    place.recipe("movie.toml", &[("[optics]", "[dynamics]\nframes = 100000\n[optics]")]);
    let child = place.command("simulate movie.toml --count 1 --out out").spawn().unwrap();
    let began = Instant::now();
    while !place.path("out/settings.json").is_file() {
        assert!(began.elapsed() < Duration::from_secs(60), "no settings in a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("0 of 1 images are complete"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let names: BTreeSet<String> = place.files("out").into_keys().collect();
    assert_eq!(names, BTreeSet::from(["settings.json".to_owned()]));
}
