//! EMD as Berkeley defined it, with the files of Prismatic and py4DSTEM, which follow it.
//!
//! Defined by the National Center for Electron Microscopy, <https://emdatasets.com/format/>: a group with the attribute
//! `emd_group_type` holds an array (`data`, and in later versions `datacube`, `realslice` and others) and a vector
//! `dim1`, `dim2`, ... with the places along each axis, with `name` and `units` as attributes.
//!
//! **Order of axes.** Files that count from `dim1` keep x as the slowest axis; their axes are given out in reverse, so that the
//! last is the fastest of the picture, as HyperSpy does it. Data cubes, and files that count from `dim0`, stand as
//! they are. Prismatic writes the levels of a specimen as groups `name0000`, `name0001`, ...; they become one signal with the
//! depth as its first axis.

use std::sync::Arc;

use hdf5_pure::{DType, Dataset, Group};
use serde_json::{Map, Value, json};

use super::hdf5::{Hdf5, HdfElements, attributes, names};
use super::units::tidy;
use super::{Acquisition, Axis, Elements, PixelType, Signal, SignalFile, acquisition::positive};
use crate::FormatError;

const DEEPEST: usize = 12;
const MOST_GROUPS: usize = 20_000;
const ARRAYS: [&str; 5] = ["data", "counted_datacube", "datacube", "diffractionslice", "realslice"];

pub(super) fn recognises(file: &Hdf5<'_>) -> bool {
    let versioned = |group: &Group| attributes(group.attrs()).contains_key("version_major");
    let root = file.root();
    versioned(&root) || names(&root).0.iter().any(|name| root.group(name).is_ok_and(|group| versioned(&group)))
}

pub(super) fn open(file: &Hdf5<'_>) -> Result<SignalFile, FormatError> {
    let mut opened =
        SignalFile { path: file.input.path.clone(), format: "Berkeley EMD", signals: Vec::new(), notes: Vec::new() };
    let mut found = Vec::new();
    find(&file.root(), "", &mut found, DEEPEST, &mut MOST_GROUPS.clone());
    let prismatic = file.group("4DSTEM_simulation").is_some();
    let metadata = metadata(file);
    let mut first_error = None;
    let mut rest = found.as_slice();
    while let Some((path, name)) = rest.first() {
        // What Prismatic numbers is one series; otherwise each array stands for itself.
        let base =
            if prismatic && path.len() > 4 && path.is_char_boundary(path.len() - 4) && !path.contains("ppotential") {
                &path[..path.len() - 4]
            } else {
                path.as_str()
            };
        let levels = rest.iter().take_while(|(other, n)| n == name && (other == path || is_level(other, base))).count();
        let paths: Vec<&str> = rest[..levels].iter().map(|(path, _)| path.as_str()).collect();
        let stem = if levels > 1 || prismatic { base } else { path };
        match signal(file, &paths, name, stem, &metadata) {
            Ok(signal) => opened.signals.push(signal),
            Err(error) => {
                opened.notes.push(format!("{path}/{name} was left out: {error}"));
                first_error.get_or_insert(error);
            }
        }
        rest = &rest[levels..];
    }
    match first_error {
        // A file of texts is a sound file without an image; any other failure of all that there is, is an error.
        Some(error) if opened.signals.is_empty() && !error.to_string().contains("an array of texts") => Err(error),
        _ => Ok(opened),
    }
}

fn is_level(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|number| number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Paths of the groups with an array, and the array's name, in alphabetical order.
fn find(group: &Group, path: &str, found: &mut Vec<(String, String)>, depth: usize, left: &mut usize) {
    let (groups, datasets) = names(group);
    let typed = |value: &Value| match value {
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        _ => false,
    };
    if attributes(group.attrs()).get("emd_group_type").is_some_and(typed) {
        let arrays = datasets.into_iter().filter(|name| ARRAYS.iter().any(|array| name.starts_with(array)));
        found.extend(arrays.map(|name| (path.to_owned(), name)));
    }
    for name in groups {
        if depth == 0 || *left == 0 {
            return;
        }
        *left -= 1;
        if let Ok(inside) = group.group(&name) {
            find(&inside, &format!("{path}/{name}"), found, depth - 1, left);
        }
    }
}

/// Arrays of the same shape, one after the other.
struct Levels {
    levels: Vec<HdfElements>,
    each: u64,
    pixel: PixelType,
}

impl Elements for Levels {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::with_capacity(count * self.pixel.bytes());
        let (mut place, mut left) = (first, count as u64);
        while left > 0 {
            let here = (self.each - place % self.each).min(left);
            // `Signal` asks only for what the axes announce, and they announce so many levels.
            let Some(level) = self.levels.get((place / self.each) as usize) else { break };
            bytes.extend(level.read(place % self.each, here as usize)?);
            (place, left) = (place + here, left - here);
        }
        Ok(bytes)
    }
}

fn signal(
    file: &Hdf5<'_>,
    paths: &[&str],
    name: &str,
    stem: &str,

    metadata: &Arc<Map<String, Value>>,
) -> Result<Signal, FormatError> {
    let group_path = paths[0];
    let from_zero = file.dataset(&format!("{group_path}/dim0")).is_some();
    let reversed = name != "datacube" && !from_zero;
    let order = |axes: usize| if reversed { (0..axes).rev().collect() } else { (0..axes).collect::<Vec<_>>() };
    let mut levels = Vec::new();
    let mut first: Option<(PixelType, Vec<usize>)> = None;
    for path in paths {
        let dataset = file
            .dataset(&format!("{path}/{name}"))
            .ok_or_else(|| file.other("an array", format!("none at {path}/{name}")))?;
        let (pixel, shape, elements) = file.array(&dataset, order)?;
        let expected = first.get_or_insert((pixel, shape.clone()));
        if *expected != (pixel, shape.clone()) {
            return Err(file.other("levels of one shape and type", format!("{shape:?} of {pixel:?} at {path}")));
        }
        levels.push(elements);
    }
    let (pixel, shape) = first.unwrap_or((PixelType::U8, Vec::new()));
    let count = shape.len();
    let mut axes = Vec::new();
    for (place, size) in shape.iter().enumerate() {
        let stored = if reversed { count - 1 - place } else { place };
        let dim = file.dataset(&format!("{group_path}/dim{}", stored + usize::from(!from_zero)));
        let mut axis = axis(file, dim.as_ref(), *size);
        axis.navigation = count > 2 && place + 2 < count;
        axes.push(axis);
    }
    let title = stem.rsplit('/').next().unwrap_or_default().to_owned();
    let mut each: u64 = shape.iter().map(|size| *size as u64).product();
    if levels.len() > 1 {
        let depth = depth_axis(metadata, title.clone(), levels.len());
        axes.insert(0, depth);
        // One axis of a single element more would be none in other programs; here it stays.
        each = each.max(1);
    }
    let path = &file.input.path;
    let title = title.replace("_depth", "");
    let mut signal = match levels.len() {
        1 => Signal::new(path, title, pixel, axes, levels.remove(0))?,
        _ => Signal::new(path, title, pixel, axes, Levels { levels, each, pixel })?,
    };
    signal.acquisition = acquisition(metadata);
    signal.metadata = Value::Object(Map::clone(metadata));
    Ok(signal)
}

/// Places along an axis are written one by one; the first and the mean distance are kept.
fn axis(file: &Hdf5<'_>, dim: Option<&Dataset>, size: usize) -> Axis {
    let Some(dim) = dim else { return Axis::signal("", size) };
    let said = attributes(dim.attrs());
    let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let single = dim.dtype().is_ok_and(|kind| kind == DType::F32);
    let (scale, offset) = match file.numbers(dim).as_deref() {
        Some(places @ [first, _, ..]) => (mean_step(places, single), *first),
        Some([first]) => (1.0, *first),
        _ => (1.0, 0.0),
    };
    Axis::signal(text("name"), size).calibrated(scale, offset, unit(&text("units")))
}

/// Mean distance of places. Those in single precision are summed in it, pair by pair as NumPy does: their steps differ in the
/// eighth digit, and whoever compares with a program in Python should find the same number.
fn mean_step(places: &[f64], single: bool) -> f64 {
    if !single {
        return (places[places.len() - 1] - places[0]) / (places.len() - 1) as f64;
    }
    let steps: Vec<f32> = places.windows(2).map(|pair| pair[1] as f32 - pair[0] as f32).collect();
    (sum_in_pairs(&steps) / steps.len() as f32).into()
}

fn sum_in_pairs(values: &[f32]) -> f32 {
    const BLOCK: usize = 128;
    if values.len() > BLOCK {
        let half = values.len() / 2;
        let (first, second) = values.split_at(half - half % 8);
        return sum_in_pairs(first) + sum_in_pairs(second);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let Some((first, others)) = eights.split_first() else { return values.iter().sum() };
    let mut sums = *first;
    for eight in others {
        sums.iter_mut().zip(eight).for_each(|(sum, value)| *sum += value);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
}

/// `[n_m]`, `n_m`, `A^-1`: brackets and underscores inside of them are the notation of the early files.
fn unit(written: &str) -> String {
    let bracketed: Vec<String> = written
        .split('[')
        .skip(1)
        .filter_map(|part| part.split_once(']'))
        .filter(|(inside, _)| !inside.is_empty())
        .map(|(inside, _)| inside.replace('_', ""))
        .collect();
    tidy(&if bracketed.is_empty() { written.to_owned() } else { bracketed.join(" * ") })
}

/// The levels of a simulation: Prismatic notes how thick a slice is and how many lie between two levels.
fn depth_axis(metadata: &Map<String, Value>, name: String, levels: usize) -> Axis {
    let plain = Axis::navigation(name, levels).calibrated(1.0, 0.0, "");
    let Some(simulation) = metadata.get("simulation_parameters") else { return plain };
    let number = |key: &str| simulation[key].as_f64();
    let Some(step) = number("ns").map(|slices| slices * number("s").unwrap_or(1.0)) else { return plain };
    let offset = number("zs").filter(|start| *start != 0.0).unwrap_or(step);
    let thickness = simulation["t"][2].as_f64().zip(simulation["c"][0].as_f64()).map(|(tiles, cell)| tiles * cell);
    let even = thickness.is_some_and(|total| (total - levels as f64 * step).abs() <= 1e-4 * total);
    if even { plain.calibrated(step, offset, "Å") } else { plain }
}

fn metadata(file: &Hdf5<'_>) -> Arc<Map<String, Value>> {
    let mut all = Map::new();
    let root = file.root();
    all.insert("attributes".to_owned(), Value::Object(attributes(root.attrs())));
    for name in ["microscope", "sample", "user", "comments", "stage"] {
        if let Some(group) = file.group(name) {
            all.insert(name.to_owned(), file.tree(&group));
        }
    }
    if let Some(group) = file.group("4DSTEM_simulation/metadata/metadata_0/original/simulation_parameters") {
        all.insert("simulation_parameters".to_owned(), Value::Object(attributes(group.attrs())));
    }
    for name in names(&root).0 {
        if let Some(group) = file.group(&format!("{name}/metadatabundle")) {
            all.insert("metadatabundle".to_owned(), file.tree(&group));
        }
    }
    Arc::new(all)
}

fn acquisition(metadata: &Map<String, Value>) -> Acquisition {
    let microscope = metadata.get("microscope").cloned().unwrap_or(json!({}));
    let number = |key: &str| microscope[key].as_f64();
    // Version 0.2 has volts, metres and seconds; some programs wrote kilovolts.
    let voltage = number("high tension").or_else(|| number("voltage")).map(|v| if v > 2000.0 { v / 1000.0 } else { v });
    let simulated = || metadata.get("simulation_parameters").and_then(|parameters| parameters["E"].as_f64());
    Acquisition {
        voltage_kv: voltage.or_else(simulated).and_then(positive),
        magnification: number("magnification").and_then(positive),
        camera_length_mm: number("camera length").map(|length| length * 1e3).and_then(positive),
        defocus_nm: number("defocus").map(|defocus| defocus * 1e9),
        instrument: microscope["name"].as_str().map(str::to_owned),
        ..Acquisition::default()
    }
}
