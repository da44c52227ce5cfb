//! Files of other programs against what an independent reader (RosettaSciIO) found in them: EMD, HSPY, TIFF and zspy.
//!
//! The files are not part of the repository; without them the test says so and ends.

use std::path::{Path, PathBuf};

use atomlens_formats::signal::{Signal, open};
use sha2::{Digest, Sha256};

/// A line of the table.
struct Expected {
    file: String,
    signal: usize,
    shape: Vec<usize>,
    pixel: String,
    axes: Vec<(String, f64, f64, String)>,
    hash: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/formats")
}

fn expected(families: &[&str]) -> Option<Vec<Expected>> {
    let table = folder().join("expected.tsv");
    let Ok(text) = std::fs::read_to_string(&table) else {
        println!("skipped: there is no {}", table.display());
        return None;
    };
    let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let rows =
        rows.filter(|row| families.iter().any(|family| row[0].starts_with(family)) && row[2] != "DigitalMicrograph");
    Some(rows.map(|row| row_of(&row)).collect())
}

fn row_of(row: &[&str]) -> Expected {
    let shape = row[4].trim_matches(['(', ')']).split(',').filter_map(|size| size.trim().parse().ok()).collect();
    let none = |text: &str| if text == "None" { String::new() } else { text.to_owned() };
    let axes = row[6]
        .split(" | ")
        .map(|axis| {
            let mut parts = axis.splitn(5, ':');
            let mut next = || parts.next().unwrap_or_default();
            let (name, _size, scale, offset, unit) = (next(), next(), next(), next(), next());
            (none(name), scale.parse().unwrap(), offset.parse().unwrap(), none(unit))
        })
        .collect();
    let pixel = if row[5].contains("('A'") {
        "rgba8".to_owned()
    } else if row[5].contains("('R'") {
        "rgb8".to_owned()
    } else {
        row[5].to_owned()
    };
    let hash = row.get(10).map_or(String::new(), |hash| (*hash).to_owned());
    Expected { file: row[0].to_owned(), signal: row[3].parse().unwrap(), shape, pixel, axes, hash }
}

fn hash(signal: &Signal) -> String {
    // In pieces that divide neither rows nor frames.
    let (mut first, all) = (0, signal.elements());
    let mut hasher = Sha256::new();
    while first < all {
        let count = (all - first).min(100_003);
        hasher.update(signal.read(first, count as usize).unwrap());
        first += count;
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// What differs; empty if nothing does.
fn differences(row: &Expected, signal: &Signal) -> Vec<String> {
    let mut found = Vec::new();
    if signal.shape() != row.shape {
        found.push(format!("shape {:?}, expected {:?}", signal.shape(), row.shape));
    }
    if signal.pixel.name() != row.pixel {
        found.push(format!("type {}, expected {}", signal.pixel.name(), row.pixel));
    }
    for (axis, (name, scale, offset, unit)) in signal.axes.iter().zip(&row.axes) {
        if axis.name != *name || !near(axis.scale, *scale) || !near(axis.offset, *offset) || axis.unit != *unit {
            found.push(format!("axis {axis:?}, expected {name:?} {scale} {offset} {unit:?}"));
        }
    }
    if !row.hash.is_empty() && hash(signal) != row.hash {
        found.push("other pixels".to_owned());
    }
    found
}

fn compare(families: &[&str]) {
    let Some(rows) = expected(families) else { return };
    assert!(!rows.is_empty(), "{families:?}");
    let mut wrong = Vec::new();
    let mut good = 0;
    for row in &rows {
        let opened = open(&folder().join(&row.file));
        if row.pixel == "object" {
            // Texts are no signal; the file says what it holds instead.
            let opened = opened.unwrap();
            let said = opened.image().unwrap_err().to_string() + &opened.notes.join("; ");
            assert!(said.contains("texts"), "{}: {said}", row.file);
            good += 1;
            continue;
        }
        let differing = match &opened {
            Err(error) => vec![error.to_string()],
            Ok(opened) => match opened.signals.get(row.signal) {
                Some(signal) => differences(row, signal),
                None => vec![format!("{} signals, {:?}", opened.signals.len(), opened.notes)],
            },
        };
        if differing.is_empty() {
            good += 1;
        }
        wrong.extend(differing.into_iter().map(|what| format!("{} #{}: {what}", row.file, row.signal)));
    }
    println!("{families:?}: {good} of {} signals as expected", rows.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn emd() {
    compare(&["emd/"]);
}

#[test]
fn hspy() {
    compare(&["hspy/"]);
}

#[test]
fn tiff() {
    compare(&["tiff/"]);
}
