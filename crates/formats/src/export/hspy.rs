//! HSPY, version 3.3: HDF5 as HyperSpy opens it, with every axis and the original metadata.
//!
//! <https://hyperspy.org/rosettasciio/file_specification/hspy.html>. A chunk is a frame (or a spectrum), so that HyperSpy can open
//! a movie lazily. Metadata keep their tree: objects become groups, everything else attributes; lists that are not of
//! numbers are written as JSON. Texts above 60 000 bytes are cut, which the header of an object imposes.

use std::path::Path;

use serde_json::Value;

use super::hdf5::{self, Array, Attribute, Group};
use super::{copy_elements, unwrap_read};
use crate::FormatError;
use crate::signal::{Axis, Signal};
use crate::whole_file::write_whole_file;

/// Trees deeper than this are cut; HDF5 programs take paths, which have an end.
const DEEPEST: usize = 64;

pub(super) fn write(path: &Path, signal: &Signal) -> Result<(), FormatError> {
    let root = tree(path, signal)?;
    write_whole_file(path, |file| hdf5::write(file, &root, |file| copy_elements(signal, file, Ok))).map_err(unwrap_read)
}

fn tree(path: &Path, signal: &Signal) -> Result<Group, FormatError> {
    /// HDF5 has no arrays of more axes, and no chunks of more bytes.
    const MOST_AXES: usize = 32;
    const LARGEST_CHUNK: u64 = u32::MAX as u64;
    let cannot = |reason: String| FormatError::cannot_hold(path, reason);
    let shape: Vec<u64> = signal.shape().iter().map(|size| *size as u64).collect();
    let chunk: Vec<u64> = signal.axes.iter().map(|axis| if axis.navigation { 1 } else { axis.size as u64 }).collect();
    // The elements stream in C order, which is the order of chunks only if the axes of the signal come last.
    let ordered = signal.axes.windows(2).all(|pair| pair[0].navigation || !pair[1].navigation);
    let last = shape.len().saturating_sub(2);
    let chunk = match ordered {
        true => chunk,
        false => shape.iter().enumerate().map(|(axis, size)| if axis < last { 1 } else { *size }).collect(),
    };
    let chunk_bytes = chunk.iter().try_fold(signal.pixel.bytes() as u64, |product, size| product.checked_mul(*size));
    if shape.is_empty() || shape.len() > MOST_AXES || chunk_bytes.is_none_or(|bytes| bytes > LARGEST_CHUNK) {
        return Err(cannot(format!("HDF5 has no array of shape {shape:?} in pieces of shape {chunk:?}")));
    }
    let mut experiment =
        Group { array: Some(("data".to_owned(), Array { pixel: signal.pixel, shape, chunk })), ..Group::default() };
    for (number, axis) in signal.axes.iter().enumerate() {
        experiment.groups.push((format!("axis-{number}"), group_of_axis(axis)));
    }
    experiment.groups.push(("metadata".to_owned(), metadata(path, signal)));
    let mut original = Group::default();
    fill(&mut original, &signal.metadata, 0);
    experiment.groups.push(("original_metadata".to_owned(), original));
    let name = link_name(if signal.title.is_empty() { "__unnamed__" } else { &signal.title });
    Ok(Group {
        attributes: vec![
            ("file_format".to_owned(), Attribute::Text("HyperSpy".to_owned())),
            ("file_format_version".to_owned(), Attribute::Text("3.3".to_owned())),
        ],
        groups: vec![("Experiments".to_owned(), Group { groups: vec![(name, experiment)], ..Group::default() })],
        array: None,
    })
}

fn group_of_axis(axis: &Axis) -> Group {
    let mut attributes = vec![
        ("_type".to_owned(), Attribute::Text("UniformDataAxis".to_owned())),
        ("size".to_owned(), Attribute::Integer(axis.size as i64)),
        ("scale".to_owned(), Attribute::Real(axis.scale)),
        ("offset".to_owned(), Attribute::Real(axis.offset)),
        ("navigate".to_owned(), Attribute::Truth(axis.navigation)),
        ("is_binned".to_owned(), Attribute::Truth(false)),
    ];
    // What is not said is left out; HyperSpy shows it as undefined.
    for (key, text) in [("name", &axis.name), ("units", &axis.unit)] {
        if !text.is_empty() {
            attributes.push((key.to_owned(), Attribute::Text(text.clone())));
        }
    }
    Group { attributes, ..Group::default() }
}

/// The part of the metadata whose names HyperSpy defines.
fn metadata(path: &Path, signal: &Signal) -> Group {
    let leaf = |attributes: Vec<(&str, Option<Attribute>)>| {
        let there = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Group { attributes: there.collect(), ..Group::default() }
    };
    let text = |text: &str| Some(Attribute::Text(text.to_owned()));
    let found = &signal.acquisition;
    let number = |number: Option<f64>| number.map(Attribute::Real);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut tem = leaf(vec![
        ("beam_energy", number(found.voltage_kv)),
        ("magnification", number(found.magnification)),
        ("camera_length", number(found.camera_length_mm)),
        ("microscope", found.instrument.as_deref().and_then(text)),
    ]);
    if found.frame_time_s.is_some() {
        let camera =
            leaf(vec![("exposure", number(found.frame_time_s)), ("name", found.detector.as_deref().and_then(text))]);
        let detector = Group { groups: vec![("Camera".to_owned(), camera)], ..Group::default() };
        tem.groups.push(("Detector".to_owned(), detector));
    }
    let instrument = Group { groups: vec![("TEM".to_owned(), tem)], ..Group::default() };
    Group {
        groups: vec![
            ("General".to_owned(), leaf(vec![("title", text(&signal.title)), ("original_filename", text(&file))])),
            ("Signal".to_owned(), leaf(vec![("signal_type", text(""))])),
            ("Acquisition_instrument".to_owned(), instrument),
        ],
        ..Group::default()
    }
}

/// Puts a tree of JSON into a group.
fn fill(group: &mut Group, value: &Value, depth: usize) {
    let Value::Object(map) = value else {
        if !value.is_null() {
            group.attributes.push(("value".to_owned(), attribute(value)));
        }
        return;
    };
    for (key, value) in map {
        let mut name = link_name(key);
        match value {
            Value::Object(inside) if depth < DEEPEST && !inside.is_empty() => {
                // Two keys may become one name.
                while group.groups.iter().any(|(other, _)| *other == name) {
                    name.push('_');
                }
                let mut sub = Group::default();
                fill(&mut sub, value, depth + 1);
                group.groups.push((name, sub));
            }
            other => {
                while group.attributes.iter().any(|(known, _)| *known == name) {
                    name.push('_');
                }
                group.attributes.push((name, attribute(other)));
            }
        }
    }
}

fn attribute(value: &Value) -> Attribute {
    match value {
        Value::Null => Attribute::Text("_None_".to_owned()),
        Value::Bool(truth) => Attribute::Truth(*truth),
        Value::String(text) => Attribute::Text(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Attribute::Integer(integer),
            None => Attribute::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Array(list)
            if !list.is_empty() && list.len() * 8 <= hdf5::LONGEST_TEXT && list.iter().all(Value::is_number) =>
        {
            Attribute::Reals(list.iter().filter_map(Value::as_f64).collect())
        }
        other => Attribute::Text(other.to_string()),
    }
}

/// A name of a link: not empty, no slash, no zero, and not the point that stands for the group itself.
fn link_name(text: &str) -> String {
    let name: String = text.chars().map(|c| if c == '/' || c == '\0' { '_' } else { c }).take(1000).collect();
    if name.is_empty() || name == "." { "_".to_owned() } else { name }
}
