//! HSPY: HDF5 as HyperSpy writes it, versions 1.0 to 3.3.
//!
//! Defined by HyperSpy and RosettaSciIO, <https://hyperspy.org/rosettasciio/file_specification/hspy.html>. Each group in
//! `/Experiments` is a signal: `data` in C order, and for every axis a group `axis-0`, `axis-1`, ... (before version 2.0 in
//! some files `_list_2_axes`) with `name`, `size`, `scale`, `offset`, `units` and `navigate`. Metadata are groups
//! with attributes: `metadata` and `original_metadata`, up to version 1.1 `mapped_parameters` and `original_parameters`.
//! Axes that are not uniform hold their places in `axis`; their mean distance is given, and a note says so.

use hdf5_pure::Group;
use serde_json::{Map, Value, json};

use super::hdf5::{Hdf5, attributes, names};
use super::{Acquisition, Axis, Signal, SignalFile, acquisition::positive};
use crate::FormatError;

pub(super) fn recognises(file: &Hdf5<'_>) -> bool {
    attributes(file.root().attrs()).contains_key("file_format_version") || file.group("Experiments").is_some()
}

pub(super) fn open(file: &Hdf5<'_>) -> Result<SignalFile, FormatError> {
    let mut opened =
        SignalFile { path: file.input.path.clone(), format: "HSPY", signals: Vec::new(), notes: Vec::new() };
    let Some(experiments) = file.group("Experiments") else {
        return Err(file.other("a HyperSpy file with signals", "one without the group /Experiments"));
    };
    let mut failed = None;
    for name in names(&experiments).0 {
        let Ok(group) = experiments.group(&name) else { continue };
        match signal(file, &group, &name, &mut opened.notes) {
            Ok(Some(signal)) => opened.signals.push(signal),
            Ok(None) => {}
            Err(error) => {
                opened.notes.push(format!("{name} was left out: {error}"));
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) if opened.signals.is_empty() => Err(error),
        _ => Ok(opened),
    }
}

fn signal(file: &Hdf5<'_>, group: &Group, name: &str, notes: &mut Vec<String>) -> Result<Option<Signal>, FormatError> {
    let Ok(data) = group.dataset("data") else { return Ok(None) };
    let (pixel, shape, elements) = file.array(&data, |axes| (0..axes).collect())?;
    let part = |new: &str, old: &str| {
        let group = group.group(new).or_else(|_| group.group(old));
        group.map(|group| file.tree(&group)).unwrap_or_default()
    };
    let metadata = part("metadata", "mapped_parameters");
    let original = part("original_metadata", "original_parameters");
    let described = axes_of(file, group, shape.len());
    let dimensions = signal_dimensions(&metadata, shape.len());
    let mut axes = Vec::new();
    for (place, size) in shape.iter().enumerate() {
        let said = described.get(place).unwrap_or(&Value::Null);
        let (axis, even) = axis(said, *size, place + dimensions < shape.len());
        if !even {
            notes.push(format!("{name}: axis {place} ({}) is not uniform; its mean distance is given", axis.name));
        }
        axes.push(axis);
    }
    let title = metadata["General"]["title"].as_str().or_else(|| metadata["title"].as_str()).unwrap_or(name);
    let title = if matches!(title, "" | "__unnamed__") { file.input.stem() } else { title.to_owned() };
    let mut signal = Signal::new(&file.input.path, title, pixel, axes, elements)?;
    signal.acquisition = acquisition(&metadata);
    signal.metadata = json!({ "metadata": metadata, "original_metadata": original });
    Ok(Some(signal))
}

/// Descriptions of the axes, in whichever of the two places they stand.
fn axes_of(file: &Hdf5<'_>, group: &Group, count: usize) -> Vec<Value> {
    let numbered: Vec<Value> =
        (0..count).map_while(|axis| group.group(&format!("axis-{axis}")).ok()).map(|axis| file.tree(&axis)).collect();
    if numbered.len() == count {
        return numbered;
    }
    let Ok(list) = group.group(&format!("_list_{count}_axes")) else { return numbered };
    match file.tree(&list) {
        Value::Object(axes) => axes.into_iter().map(|(_, axis)| axis).filter(Value::is_object).collect(),
        _ => numbered,
    }
}

/// An axis, and whether its steps are all the same.
fn axis(said: &Value, size: usize, navigation: bool) -> (Axis, bool) {
    let text = |key: &str| {
        let text = said[key].as_str().unwrap_or_default();
        // How HyperSpy writes what Python calls None.
        if matches!(text, "_None_" | "<undefined>" | "t.Undefined") { String::new() } else { text.to_owned() }
    };
    let navigation = said["navigate"].as_i64().map_or(navigation, |yes| yes != 0);
    let navigation = said["navigate"].as_bool().unwrap_or(navigation);
    let places: Vec<f64> = said["axis"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let (scale, offset, even) = match places.as_slice() {
        [first, .., last] => ((last - first) / (places.len() - 1) as f64, *first, false),
        _ => (said["scale"].as_f64().unwrap_or(1.0), said["offset"].as_f64().unwrap_or(0.0), true),
    };
    let even = even && said["_type"].as_str().is_none_or(|kind| kind == "UniformDataAxis");
    let axis = Axis { navigation, ..Axis::signal(text("name"), size) }.calibrated(scale, offset, text("units"));
    (axis, even)
}

/// How many of the last axes are those of the signal, where the axes do not say: files before version 2.0.
fn signal_dimensions(metadata: &Value, axes: usize) -> usize {
    let record = metadata["Signal"]["record_by"].as_str().or_else(|| metadata["record_by"].as_str());
    match record {
        Some("spectrum") => 1,
        _ => axes.min(2),
    }
}

fn acquisition(metadata: &Value) -> Acquisition {
    let nothing = Map::new();
    let instrument = metadata["Acquisition_instrument"].as_object().unwrap_or(&nothing);
    let tem = instrument.get("TEM").or_else(|| instrument.get("SEM")).unwrap_or(&metadata["TEM"]);
    let detector = tem["Detector"].as_object().unwrap_or(&nothing);
    let exposure = detector
        .values()
        .find_map(|detector| detector["exposure"].as_f64().or_else(|| detector["exposure_time"].as_f64()));
    Acquisition {
        voltage_kv: tem["beam_energy"].as_f64().and_then(positive),
        magnification: tem["magnification"].as_f64().and_then(positive),
        camera_length_mm: tem["camera_length"].as_f64().and_then(positive),
        frame_time_s: exposure.and_then(positive),
        instrument: tem["microscope"].as_str().map(str::to_owned),
        recorded: metadata["General"]["date"].as_str().map(|date| {
            format!("{date} {}", metadata["General"]["time"].as_str().unwrap_or_default()).trim().to_owned()
        }),
        ..Acquisition::default()
    }
}
