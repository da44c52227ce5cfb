//! A series of images or spectra.

use serde_json::json;

use super::super::elements::BottomUp;
use super::super::fields::Fields;
use super::super::{Axis, ByteOrder, Contiguous, Elements, Input, PixelType, Signal};
use crate::{FormatError, Problem};

/// Kind of the elements: spectra or images.
const SPECTRA: u32 = 0x4120;
const IMAGES: u32 = 0x4122;
/// Kind of the tags: time, or time and place of the probe.
const TIME_AND_PLACE: u32 = 0x4142;
const LONGEST_WORD: u64 = 1 << 16;

/// A dimension over which the elements run, such as the probe's position.
struct Dimension {
    size: usize,
    offset: f64,
    delta: f64,
    description: String,
    unit: String,
}

/// The header of an element; those of a series are alike.
#[derive(PartialEq)]
struct Element {
    code: u16,
    /// The fastest axis first: number, offset, delta.
    axes: Vec<(usize, f64, f64)>,
    data_offset: u64,
}

pub(super) fn read(input: &Input, diffraction: bool, notes: &mut Vec<String>) -> Result<Signal, FormatError> {
    let invalid = |what, found: String, expected| input.malformed(Problem::Invalid { what, found, expected });
    let mut fields = Fields::new(input, ByteOrder::Little);
    fields.skip(4)?;
    let version = fields.u16()?;
    if !(0x0100..0x0300).contains(&version) {
        return Err(invalid("the version of the series", format!("{version:#06x}"), "0x0210 or 0x0220"));
    }
    let wide = version >= 0x0220;
    let kind = fields.u32()?;
    if kind != SPECTRA && kind != IMAGES {
        return Err(invalid("the kind of data", format!("{kind:#x}"), "0x4120 (spectra) or 0x4122 (images)"));
    }
    let tag_kind = fields.u32()?;
    let (total, valid) = (fields.u32()?, fields.u32()?);
    let table = if wide { fields.u64()? } else { fields.u32()?.into() };
    let dimensions = read_dimensions(input, &mut fields)?;
    let valid = valid.min(total) as usize;
    if valid == 0 {
        return Err(invalid("the number of recorded elements", "0".to_owned(), "at least one; nothing was recorded"));
    }
    fields.go_to(table)?;
    let width = if wide { 8 } else { 4 };
    // Both tables of places must be there before room is made for them.
    let announced = u64::from(total) * width * 2;
    if fields.rest() < announced {
        let expected = u128::from(table) + u128::from(announced);
        return Err(input.malformed(Problem::CutShort { expected, found: input.bytes.length() }));
    }
    let mut places = Vec::with_capacity(valid);
    for _ in 0..valid {
        places.push(if wide { fields.u64()? } else { fields.u32()?.into() });
    }
    let first = read_element(input, &mut fields, places[0], kind)?;
    let pixel = pixel_of_code(first.code).ok_or_else(|| {
        invalid("the type of the pixels", first.code.to_string(), "1 to 10, numbers and complex numbers")
    })?;
    let head_bytes = first.data_offset - places[0];
    let element_size: u64 = first.axes.iter().map(|(size, ..)| *size as u64).product();
    // Their headers are alike by the format's definition; the first and the last are compared, not a million.
    let last = read_element(input, &mut fields, places[valid - 1], kind)?;
    let sizes = |element: &Element| element.axes.iter().map(|axis| axis.0).collect::<Vec<_>>();
    if last.code != first.code || sizes(&last) != sizes(&first) {
        let found = format!("{:?} after {:?}", sizes(&last), sizes(&first));
        return Err(invalid("the size of the last element", found, "elements of one size and type"));
    }
    let pieces = places.iter().map(|place| place.saturating_add(head_bytes)).collect::<Vec<_>>();
    let mut axes = series_axes(&dimensions, valid, notes);
    let stored = Contiguous::in_pieces(input, pieces, element_size, pixel, ByteOrder::Little)?;
    let data: Box<dyn Elements> = match first.axes.as_slice() {
        [(columns, ..), (rows, ..)] => Box::new(BottomUp::new(stored, pixel, *rows, *columns)),
        _ => Box::new(stored),
    };
    axes.extend(element_axes(&first, kind, diffraction));
    let mut signal = Signal::new(&input.path, input.stem(), pixel, axes, data)?;
    let seconds = read_times(&mut fields, table + u64::from(total) * width, wide, valid).unwrap_or_default();
    signal.acquisition.recorded = seconds.0.map(|seconds| format!("{seconds} s since 1970-01-01"));
    let dimensions: Vec<_> = dimensions
        .iter()
        .map(|d| {
            json!({"size": d.size, "calibration_offset": d.offset, "calibration_delta": d.delta,
            "description": d.description, "units": d.unit})
        })
        .collect();
    signal.metadata = json!({"ser": {
        "version": format!("{version:#06x}"), "data_type": format!("{kind:#x}"), "tag_type": format!("{tag_kind:#x}"),
        "total_elements": total, "valid_elements": valid, "dimensions": dimensions,
        "time_and_place": tag_kind == TIME_AND_PLACE, "first_time": seconds.0, "last_time": seconds.1,
    }});
    Ok(signal)
}

fn read_dimensions(input: &Input, fields: &mut Fields<'_>) -> Result<Vec<Dimension>, FormatError> {
    let count = fields.u32()?;
    if count > 8 {
        return Err(input.malformed(Problem::TooMany { what: "dimensions", found: count.into(), limit: 8 }));
    }
    let mut dimensions = Vec::new();
    for _ in 0..count {
        let size = fields.u32()? as usize;
        let (offset, delta) = (fields.f64()?, fields.f64()?);
        fields.skip(4)?;
        let mut word = || -> Result<String, FormatError> {
            let length = u64::from(fields.u32()?);
            if length > LONGEST_WORD {
                let (found, limit) = (length.into(), LONGEST_WORD.into());
                return Err(input.malformed(Problem::TooMany { what: "letters of a dimension's name", found, limit }));
            }
            fields.text(length)
        };
        dimensions.push(Dimension { size, offset, delta, description: word()?, unit: word()? });
    }
    Ok(dimensions)
}

fn read_element(input: &Input, fields: &mut Fields<'_>, place: u64, kind: u32) -> Result<Element, FormatError> {
    fields.go_to(place)?;
    let mut calibrations = Vec::new();
    for _ in 0..if kind == IMAGES { 2 } else { 1 } {
        let (offset, delta, element) = (fields.f64()?, fields.f64()?, fields.u32()?);
        calibrations.push((offset - f64::from(element) * delta, delta));
    }
    let code = fields.u16()?;
    let mut axes = Vec::new();
    for (offset, delta) in calibrations {
        let size = fields.u32()? as usize;
        if size == 0 {
            let expected = "at least 1";
            return Err(input.malformed(Problem::OutOfRange {
                what: "a length of an element",
                found: "0".into(),
                expected,
            }));
        }
        axes.push((size, offset, delta));
    }
    Ok(Element { code, axes, data_offset: fields.position() })
}

/// Types of pixels by their number.
fn pixel_of_code(code: u16) -> Option<PixelType> {
    use PixelType::*;
    [U8, U16, U32, I8, I16, I32, F32, F64, Complex64, Complex128].get(usize::from(code).checked_sub(1)?).copied()
}

/// The axes over which the elements run, the slowest first: positions of the probe, or the number in the series.
fn series_axes(dimensions: &[Dimension], valid: usize, notes: &mut Vec<String>) -> Vec<Axis> {
    let announced: u128 = dimensions.iter().map(|dimension| dimension.size as u128).product();
    let count = |size: usize| Axis::navigation("", size);
    if announced != valid as u128 {
        notes.push(format!("recording was stopped: {valid} of {announced} elements were recorded"));
        // Whole rows of a map stay a map.
        if let [row, _] = dimensions
            && row.size > 0
            && valid.is_multiple_of(row.size)
        {
            return position_axes(dimensions, &[row.size, valid / row.size]);
        }
        return if valid == 1 { Vec::new() } else { vec![count(valid)] };
    }
    if dimensions.is_empty() {
        return Vec::new();
    }
    if let [only] = dimensions
        && !is_metres(&only.unit)
    {
        return if valid == 1 { Vec::new() } else { vec![count(valid)] };
    }
    let sizes: Vec<usize> = dimensions.iter().map(|dimension| dimension.size).collect();
    position_axes(dimensions, &sizes)
}

fn position_axes(dimensions: &[Dimension], sizes: &[usize]) -> Vec<Axis> {
    let names = ["x", "y", "z"];
    let axes = dimensions.iter().zip(sizes).enumerate().map(|(place, (dimension, size))| {
        let name = if is_metres(&dimension.unit) { names.get(place).copied().unwrap_or_default() } else { "" };
        let axis = Axis::navigation(name, *size);
        if is_metres(&dimension.unit) {
            axis.calibrated(dimension.delta * 1e9, dimension.offset, "nm")
        } else {
            axis.calibrated(dimension.delta, dimension.offset, dimension.unit.clone())
        }
    });
    let mut axes: Vec<Axis> = axes.collect();
    axes.reverse();
    axes
}

fn is_metres(unit: &str) -> bool {
    matches!(unit.trim(), "meters" | "metres" | "m")
}

/// The axes of an element, the slowest first.
fn element_axes(element: &Element, kind: u32, diffraction: bool) -> Vec<Axis> {
    let names: &[&str] = if kind == IMAGES { &["x", "y"] } else { &["Energy"] };
    let axes = element.axes.iter().zip(names).map(|((size, offset, delta), name)| {
        let (scale, unit) = match kind {
            SPECTRA => (*delta, "eV"),
            _ if diffraction => (delta * 1e-9, "1 / nm"),
            _ => (delta * 1e9, "nm"),
        };
        Axis::signal(*name, *size).calibrated(scale, *offset, unit)
    });
    let mut axes: Vec<Axis> = axes.collect();
    axes.reverse();
    axes
}

/// Seconds since 1970 of the first and of the last element; none where the places of the tags are wrong, as some
/// programs leave them.
fn read_times(fields: &mut Fields<'_>, table: u64, wide: bool, valid: usize) -> Option<(Option<u32>, Option<u32>)> {
    let mut time = |index: u64| -> Result<u32, FormatError> {
        fields.go_to(table + index * if wide { 8 } else { 4 })?;
        let place = if wide { fields.u64()? } else { fields.u32()?.into() };
        fields.go_to(place)?;
        fields.skip(4)?;
        fields.u32()
    };
    Some((time(0).ok(), time(valid as u64 - 1).ok()))
}
