//! `atomlens score`: figures that were counted by hand, tables of every kind, and comparisons that make no sense.

mod common;

use common::Place;

/// As `atomlens detect` writes it; pixels of 0.02 nm.
const HEADER: &str = "file,frame,column_id,x_px,y_px,x_nm,y_nm,position_sigma_nm,probability,species,species_probability,\
                      atoms,atoms_sigma\n";

/// Rows at places in nm.
fn columns(rows: &[(&str, u32, f64, f64)]) -> String {
    let rows = rows.iter().enumerate().map(|(id, (file, frame, x, y))| {
        format!("{file},{frame},{id},{:.4},{:.4},{x:.6},{y:.6},0.004,0.97,Au,0.99,5.1,0.8\n", x / 0.02, y / 0.02)
    });
    HEADER.to_owned() + &rows.collect::<String>()
}

fn close(value: &serde_json::Value, expected: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

/// One exact, one 5 pm (3, 4) off, one 0.06 nm off, one far away: two hits of four detected and three true.
const ONE: [(&str, u32, f64, f64); 4] =
    [("a.dm4", 0, 1.0, 1.0), ("a.dm4", 0, 2.003, 1.004), ("a.dm4", 0, 3.0, 1.06), ("a.dm4", 0, 8.0, 8.0)];

#[test]
fn a_case_counted_by_hand_in_every_unit() {
    let place = Place::new();
    place.write("columns.csv", columns(&ONE));
    for (truth, options) in [
        ("x_nm,y_nm\n1,1\n2,1\n3,1\n", ""),
        ("x_nm,y_nm\n1,1\n2,1\n3,1\n", "--pixel-size-nm 0.02"),
        ("x_A,y_A,atoms\n10,10,5\n20,10,6\n30,10,7\n", ""),
        ("x_angstrom,y_angstrom\n10,10\n20,10\n30,10\n", "--pixel-size-nm 0.02"),
        ("x_px,y_px\n50,50\n100,50\n150,50\n", "--pixel-size-nm 0.02"),
        ("x,y\n50,50\n100,50\n150,50\n", "--pixel-size-nm 0.02"),
        ("x_px,y_px,x_nm,y_nm,species,atoms\n50,50,1,1,Au,5\n100,50,2,1,Au,6\n150,50,3,1,Au,7\n", ""),
        (
            "x_px,y_px,x_nm,y_nm,species,atoms\n50,50,1,1,Au,5\n100,50,2,1,Au,6\n150,50,3,1,Au,7\n",
            "--pixel-size-nm 0.02",
        ),
        ("file;frame;x (nm);y (nm)\na.tif;0;1,0;1,0\na.tif;0;2,0;1,0\na.tif;0;3,0;1,0\n", ""),
    ] {
        place.write("truth.csv", truth);
        let json = place.run(&format!("score columns.csv truth.csv {options} --json")).good().json();
        assert_eq!(json["files"].as_array().unwrap().len(), 1, "{truth}");
        for score in [&json["files"][0], &json["total"]] {
            assert_eq!(
                (&score["hits"], &score["missed"], &score["false"]),
                (&2.into(), &1.into(), &2.into()),
                "{truth}"
            );
            close(&score["precision"], 0.5);
            close(&score["recall"], 2.0 / 3.0);
            close(&score["f1"], 4.0 / 7.0);
            close(&score["position"]["median_pm"], 2.5);
            close(&score["position"]["rms_pm"], 12.5_f64.sqrt());
        }
        assert_eq!(json["files"][0]["file"], "a.dm4");
        close(&json["hit_radius_nm"], 0.05);
        let assumed = truth.starts_with("x,y");
        assert_eq!(json["notes"].as_array().unwrap().len(), usize::from(assumed), "{truth}: {}", json["notes"]);
    }
    let text = place.run("score columns.csv truth.csv").good().out;
    let line = text.lines().find(|line| line.starts_with("all columns")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[2..10], ["2", "1", "2", "0.500", "0.667", "0.571", "2.5", "3.5"], "{text}");
}

#[test]
fn files_and_frames_are_matched_by_name_and_number() {
    let place = Place::new();
    // File b: frame 0 right, frame 1 has one where nothing is, frame 2 has one that is not found. File c: nothing found.
    place.write(
        "columns.csv",
        columns(&[("data/b.mrc", 0, 1.0, 1.0), ("data/b.mrc", 1, 1.0, 1.0), ("a.dm4", 0, 2.0, 2.0)]),
    );
    place.write("truth.csv", "file,frame,x_nm,y_nm\nb,0,1,1\nb,2,1,1\na,0,2,2\nc,0,5,5\n");
    let json = place.run("score columns.csv truth.csv --json").good().json();
    let counts = |score: &serde_json::Value| {
        [&score["hits"], &score["missed"], &score["false"]].map(|count| count.as_u64().unwrap())
    };
    let files: Vec<_> =
        json["files"].as_array().unwrap().iter().map(|f| (f["file"].as_str().unwrap(), counts(f))).collect();
    assert_eq!(files, [("a.dm4", [1, 0, 0]), ("c", [0, 1, 0]), ("data/b.mrc", [1, 1, 1])]);
    assert_eq!(counts(&json["total"]), [2, 2, 1]);
    close(&json["mean_f1"], 0.5);
    let json = place.run("score columns.csv truth.csv --by-frame --json").good().json();
    let frames: Vec<_> =
        json["files"].as_array().unwrap().iter().map(|f| (f["file"].as_str().unwrap(), counts(f))).collect();
    let expected = [
        ("a.dm4, frame 0", [1, 0, 0]),
        ("c, frame 0", [0, 1, 0]),
        ("data/b.mrc, frame 0", [1, 0, 0]),
        ("data/b.mrc, frame 1", [0, 0, 1]),
        ("data/b.mrc, frame 2", [0, 1, 0]),
    ];
    assert_eq!(frames, expected);
    // A table of truth for each file, one of them of an image without a column.
    place.write("a.csv", "x_nm,y_nm\n2,2\n");
    place.write("b.csv", "x_nm,y_nm\n");
    place.write("columns.csv", columns(&[("a.dm4", 0, 2.0, 2.0), ("b.mrc", 0, 1.0, 1.0)]));
    let json = place.run("score columns.csv a.csv b.csv --json").good().json();
    assert_eq!((counts(&json["total"]), counts(&json["files"][1])), ([1, 0, 1], [0, 0, 1]));
    // Nothing found at all: no precision, and an F1 of 0.
    place.write("columns.csv", HEADER);
    let json = place.run("score columns.csv a.csv --json").good().json();
    assert!(json["total"]["precision"].is_null());
    assert_eq!((counts(&json["total"]), &json["total"]["f1"]), ([0, 1, 0], &0.0.into()));
}

#[test]
fn what_simulate_writes_is_a_truth() {
    let place = Place::new();
    place.run("simulate small.toml --count 2 --out out").good();
    let found: String = (0..2)
        .map(|image| {
            let table = std::fs::read_to_string(place.path(&format!("out/image_000{image}.csv"))).unwrap();
            let rows = table.lines().skip(1).enumerate().map(|(id, row)| {
                let fields: Vec<&str> = row.split(',').collect();
                format!(
                    "image_000{image}.npy,0,{id},{},{},{},{},0.01,0.9,Au,1,3,1\n",
                    fields[0], fields[1], fields[2], fields[3]
                )
            });
            rows.collect::<String>()
        })
        .collect();
    place.write("columns.csv", HEADER.to_owned() + &found);
    let json = place.run("score columns.csv out/image_0000.csv out/image_0001.csv --json").good().json();
    assert_eq!((&json["total"]["f1"], &json["mean_f1"]), (&1.0.into(), &1.0.into()));
    assert_eq!(json["total"]["hits"].as_u64().unwrap() as usize, found.lines().count());
    assert_eq!(json["files"][1]["file"], "image_0001.npy");
}

#[test]
fn doubtful_comparisons_are_noted() {
    let place = Place::new();
    place.write("columns.csv", columns(&ONE));
    place.write("truth.csv", "x_nm,y_nm\n1,1\n2,1\n3,1\n");
    let text = place.run("score columns.csv truth.csv --pixel-size-nm 0.021").good().out;
    assert!(text.contains("note: columns.csv was written with pixels of 0.02 nm, stated are 0.021 nm"), "{text}");
    place.write("truth.csv", "x_nm,y_nm\n0.1,0.1\n0.2,0.1\n");
    let text = place.run("score columns.csv truth.csv").good().out;
    assert!(text.contains("note: not a single column lies on a true one"), "{text}");
}

#[test]
fn tables_that_cannot_be_compared() {
    let place = Place::new();
    place.write("columns.csv", columns(&ONE));
    place.write("many.csv", columns(&[("a.dm4", 0, 1.0, 1.0), ("b.dm4", 0, 1.0, 1.0)]));
    place.write("movie.csv", columns(&[("a.dm4", 0, 1.0, 1.0), ("a.dm4", 1, 1.0, 1.0)]));
    place.write("good.csv", "x_nm,y_nm\n1,1\n");
    place.write("pixels.csv", "x_px,y_px\n1,1\n");
    place.write("other.csv", "file,x_nm,y_nm\nc.dm4,1,1\n");
    place.write("part.csv", "file,x_nm,y_nm\na.dm4,1,1\n");
    place.write("word.csv", "x_nm,y_nm\n1,1\n1,one\n");
    place.write("short.csv", "x_nm,y_nm\n1\n");
    place.write("names.csv", "a,b\n1,2\n");
    place.write("empty.csv", "");
    place.write("binary.csv", [0u8, 159, 146, 150]);
    for (arguments, code, words) in [
        ("none.csv good.csv", 3, &["none.csv", "No such file"][..]),
        ("columns.csv none.csv", 3, &["none.csv"]),
        ("columns.csv empty.csv", 3, &["empty.csv", "empty"]),
        ("columns.csv binary.csv", 3, &["binary.csv", "not a text file"]),
        ("columns.csv names.csv", 3, &["names.csv, line 1", "found: a,b", "x_nm,y_nm"]),
        ("columns.csv word.csv", 3, &["word.csv, line 3", "y", "one"]),
        ("columns.csv short.csv", 3, &["short.csv, line 2", "expected 2 columns"]),
        ("columns.csv pixels.csv", 3, &["pixels.csv", "in pixels only", "--pixel-size-nm"]),
        ("many.csv good.csv", 3, &["many.csv", "2 files (a.dm4, b.dm4)", "column `file`"]),
        ("movie.csv good.csv", 3, &["movie.csv", "2 frames of a.dm4", "column `frame`"]),
        ("columns.csv other.csv", 3, &["of no file", "found c.dm4", "expected a.dm4"]),
        ("many.csv part.csv", 3, &["not of every file", "expected b.dm4"]),
        ("columns.csv good.csv good.csv", 3, &["good.csv", "once more"]),
        ("columns.csv good.csv --pixel-size-nm 0", 2, &["above 0"]),
        ("columns.csv", 2, &["required"]),
    ] {
        place.run(&format!("score {arguments}")).fails(arguments, code, words);
    }
}
