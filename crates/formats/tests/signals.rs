//! What the readers find in files that microscopes and their programs wrote, against what an independent
//! reader found in them (`expected.tsv`: shape, type, axes, and the first half of the SHA-256 of the pixels).
//!
//! The files are not part of the repository; without them the test says so and passes.
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atomlens_formats::signal::{self, Axis, PixelType, Signal};
use sha2::{Digest, Sha256};

/// A row of the table.
struct Expected {
    file: String,
    reader: String,
    signal: usize,
    shape: Vec<usize>,
    dtype: String,
    axes: Vec<[String; 5]>,
    hash: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/formats")
}

fn expected() -> Option<Vec<Expected>> {
    let text = match std::fs::read_to_string(folder().join("expected.tsv")) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("SKIPPED: no files to compare with in {} ({error})", folder().display());
            return None;
        }
    };
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let numbers = cells[4].trim_matches(['(', ')']).split(',').filter(|n| !n.trim().is_empty());
        Expected {
            file: cells[0].to_owned(),
            reader: cells[2].to_owned(),
            signal: cells[3].parse().unwrap(),
            shape: numbers.map(|n| n.trim().parse().unwrap()).collect(),
            dtype: cells[5].to_owned(),
            axes: cells[6].split(" | ").filter(|axis| !axis.is_empty()).map(five).collect(),
            hash: cells.get(10).copied().unwrap_or_default().trim().to_owned(),
        }
    };
    Some(text.lines().skip(1).map(row).collect())
}

/// `name:size:scale:offset:unit`; `None` stands for nothing.
fn five(axis: &str) -> [String; 5] {
    let mut words: Vec<String> =
        axis.split(':').map(|word| if word == "None" { "" } else { word }.to_owned()).collect();
    // A name may hold a colon; the four others do not.
    while words.len() > 5 {
        let second = words.remove(1);
        words[0] = format!("{}:{second}", words[0]);
    }
    words.try_into().unwrap_or_else(|_| panic!("{axis}"))
}

fn equal(found: f64, expected: &str) -> bool {
    let expected: f64 = expected.parse().unwrap();
    found == expected || (found - expected).abs() <= 1e-9 * expected.abs()
}

fn same_axis(found: &Axis, expected: &[String; 5]) -> bool {
    let [name, size, scale, offset, unit] = expected;
    found.name == *name
        && found.size.to_string() == *size
        && equal(found.scale, scale)
        && equal(found.offset, offset)
        && found.unit == *unit
}

fn type_name(pixel: PixelType) -> String {
    let channels = |width: &str, letters: &[&str]| {
        let parts: Vec<String> = letters.iter().map(|letter| format!("('{letter}', '{width}')")).collect();
        format!("[{}]", parts.join(", "))
    };
    match pixel {
        PixelType::Rgb8 => channels("u1", &["R", "G", "B"]),
        PixelType::Rgba8 => channels("u1", &["R", "G", "B", "A"]),
        PixelType::Rgb16 => channels("<u2", &["R", "G", "B"]),
        PixelType::Rgba16 => channels("<u2", &["R", "G", "B", "A"]),
        other => other.name().to_owned(),
    }
}

/// Read in pieces that do not divide the whole evenly.
fn hash(signal: &Signal) -> String {
    let mut hasher = Sha256::new();
    let (mut place, elements) = (0, signal.elements());
    while place < elements {
        let count = (elements - place).min(65_521);
        hasher.update(signal.read(place, count as usize).unwrap());
        place += count;
    }
    short(&hasher.finalize())
}

fn short(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A difference that is the other reader's: of a packed transform of odd width it leaves out the last column, though its
/// axes count it. The others are compared.
fn packed_transform_of_odd_width(row: &Expected, signal: &Signal) -> bool {
    let [ny, nx] = row.shape.as_slice() else { return false };
    if !row.file.contains("fft_packed") || signal.shape() != [*ny, nx + 1] {
        return false;
    }
    let bytes = signal.read(0, ny * (nx + 1)).unwrap();
    let row_bytes = (nx + 1) * signal.pixel.bytes();
    let kept: Vec<u8> = bytes.chunks(row_bytes).flat_map(|line| &line[..nx * signal.pixel.bytes()]).copied().collect();
    short(&Sha256::digest(&kept)) == row.hash
}

/// What differs from the table; empty if nothing does.
fn differences(row: &Expected) -> String {
    let file = match signal::open(&folder().join(&row.file)) {
        Ok(file) => file,
        Err(error) => return format!("not read: {error}"),
    };
    if row.dtype == "object" {
        // Texts are no signal; the file says what it holds instead.
        return if file.notes.iter().any(|note| note.contains("texts")) { String::new() } else { "no note".to_owned() };
    }
    let Some(found) = file.signals.get(row.signal) else {
        return format!("{} signals, no number {}", file.signals.len(), row.signal);
    };
    let mut wrong = Vec::new();
    if type_name(found.pixel) != row.dtype {
        wrong.push(format!("type {} for {}", type_name(found.pixel), row.dtype));
    }
    if found.axes.len() != row.axes.len() || !found.axes.iter().zip(&row.axes).all(|(f, e)| same_axis(f, e)) {
        wrong.push(format!("axes {:?} for {:?}", found.axes, row.axes));
    }
    if packed_transform_of_odd_width(row, found) {
        return wrong.join("; ");
    }
    if found.shape() != row.shape {
        wrong.push(format!("shape {:?} for {:?}", found.shape(), row.shape));
    } else if !row.hash.is_empty() && hash(found) != row.hash {
        wrong.push("other pixels".to_owned());
    }
    wrong.join("; ")
}

fn check(readers: &[&str]) {
    let Some(rows) = expected() else { return };
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut failures = String::new();
    for row in rows.iter().filter(|row| readers.contains(&row.reader.as_str())) {
        let wrong = differences(row);
        let (passed, all) = counts.entry(&row.reader).or_default();
        *all += 1;
        if wrong.is_empty() {
            *passed += 1;
        } else {
            failures += &format!("{} [{}]: {wrong}\n", row.file, row.signal);
        }
    }
    eprintln!("passed of all: {counts:?}");
    assert!(failures.is_empty(), "{failures}");
    assert!(!counts.is_empty(), "the table has no row of {readers:?}");
}

#[test]
fn digital_micrograph() {
    check(&["DigitalMicrograph"]);
}

#[test]
fn tia() {
    check(&["TIA"]);
}

#[test]
fn tvips() {
    check(&["TVIPS"]);
}

#[test]
fn mrc() {
    check(&["MRC"]);
}

#[test]
fn emd() {
    check(&["EMD"]);
}

#[test]
fn hspy() {
    check(&["HSPY"]);
}

#[test]
fn tiff() {
    check(&["TIFF"]);
}
