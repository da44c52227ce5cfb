//! DigitalMicrograph 3 and 4 (`.dm3`, `.dm4`), read.
//!
//! The format is not published by its maker; the layout of the tree of tags was worked out by its users
//! (<https://www.er-c.org/cbb/info/dmformat/>, <https://imagej.net/plugins/dm3-reader>). Images are members of the group
//! `ImageList`, each with `ImageData` (pixels, their type, lengths and calibrations by axis, the fastest first),
//! `ImageTags` and `Name`; those that the group `Thumbnails` names are previews and are left out. The place of
//! element i is `(i - Origin) Scale`.
//!
//! The transform of a real image may be stored as its independent half ("packed complex"); it is unfolded to
//! all frequencies, zero in the middle, as DigitalMicrograph shows it.

mod packed;
mod tags;

use serde_json::json;

use self::tags::{Kind, Tag, TagReader};
use super::acquisition::positive;
use super::{
    Acquisition, Axis, ByteOrder, Contiguous, Elements, InMemory, Input, PixelType, Signal, SignalFile, count_bytes,
};
use crate::{FormatError, Problem};

pub(super) fn recognises(input: &Input) -> bool {
    let word = |place: usize| {
        input.head.get(place..place + 4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap_or([0; 4])))
    };
    match word(0) {
        Some(3) => matches!(word(8), Some(0 | 1)),
        Some(4) => matches!(word(12), Some(0 | 1)),
        _ => false,
    }
}

pub(super) fn open(input: &Input) -> Result<SignalFile, FormatError> {
    let (root, order) = TagReader::read(input)?;
    let thumbnails: Vec<u64> = root.members(&["Thumbnails"]).filter_map(|tag| tag.whole(&["ImageIndex"])).collect();
    let mut signals = Vec::new();
    let mut notes = Vec::new();
    for (index, image) in root.members(&["ImageList"]).enumerate() {
        if thumbnails.contains(&(index as u64)) || image.at(&["ImageData", "Data"]).is_none() {
            continue;
        }
        let mut signal = read_image(input, image, order)?;
        signal.metadata = image.to_json();
        signals.push(signal);
    }
    // What belongs to the file rather than to an image: windows, annotations, thumbnails.
    if let (Some(first), Tag::Group(tags)) = (signals.first_mut(), &root) {
        let rest = tags.iter().filter(|(name, _)| name != "ImageList");
        let rest: serde_json::Map<_, _> = rest.map(|(name, tag)| (name.clone(), tag.to_json())).collect();
        if let Some(map) = first.metadata.as_object_mut() {
            map.insert("(file)".to_owned(), json!(rest));
        }
    }
    if !thumbnails.is_empty() {
        notes.push(format!("{} preview left out", thumbnails.len()));
    }
    let format = if input.head[3] == 4 { "DigitalMicrograph 4" } else { "DigitalMicrograph 3" };
    Ok(SignalFile { path: input.path.clone(), format, signals, notes })
}

/// How pixels stand in the file.
enum Layout {
    Plain,
    /// Blue, green, red, opacity.
    Bgra,
    /// The independent half of the transform of a real image, in place or by rows.
    Packed {
        in_place: bool,
    },
}

/// Types of pixels by the number in `DataType`.
fn pixel_of_code(code: u64) -> Option<(PixelType, Layout)> {
    use Layout::{Bgra, Packed, Plain};
    Some(match code {
        1 => (PixelType::I16, Plain),
        2 => (PixelType::F32, Plain),
        3 => (PixelType::Complex64, Plain),
        5 => (PixelType::Complex64, Packed { in_place: true }),
        6 => (PixelType::U8, Plain),
        7 => (PixelType::I32, Plain),
        8 | 23 => (PixelType::Rgba8, Bgra),
        9 => (PixelType::I8, Plain),
        10 => (PixelType::U16, Plain),
        11 => (PixelType::U32, Plain),
        12 => (PixelType::F64, Plain),
        13 => (PixelType::Complex128, Plain),
        14 => (PixelType::Bool, Plain),
        27 => (PixelType::Complex64, Packed { in_place: false }),
        28 => (PixelType::Complex128, Packed { in_place: false }),
        39 => (PixelType::I64, Plain),
        40 => (PixelType::U64, Plain),
        _ => return None,
    })
}

fn read_image(input: &Input, image: &Tag, order: ByteOrder) -> Result<Signal, FormatError> {
    let invalid = |what, found: String, expected| input.malformed(Problem::Invalid { what, found, expected });
    let code = image.whole(&["ImageData", "DataType"]);
    let (pixel, layout) = code.and_then(pixel_of_code).ok_or_else(|| {
        let found = code.map_or("missing".to_owned(), |code| code.to_string());
        invalid("the type of the pixels (ImageData.DataType)", found, "a number, complex number or colour type")
    })?;
    let mut sizes = Vec::new();
    for dimension in image.members(&["ImageData", "Dimensions"]) {
        let size = dimension.whole(&[]).and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        sizes.push(size.ok_or_else(|| {
            invalid("a length in ImageData.Dimensions", dimension.to_json().to_string(), "a whole number above 0")
        })?);
    }
    let Some(Tag::Array { element, count, offset, .. }) = image.at(&["ImageData", "Data"]) else {
        return Err(invalid("ImageData.Data", "a tag".to_owned(), "an array"));
    };
    if sizes.is_empty() || sizes.len() > 8 {
        return Err(invalid("the number of ImageData.Dimensions", sizes.len().to_string(), "1 to 8"));
    }
    // The array in the file need not be of the pixels' type (colours are 32-bit numbers), but it has their bytes.
    let stored = element.bytes().saturating_mul(*count);
    let bytes = count_bytes(sizes.iter().copied(), pixel).map_err(|problem| input.malformed(problem))?;
    let bytes_in_file = match layout {
        Layout::Packed { in_place } => packed::stored_bytes(&sizes, pixel, in_place),
        _ => bytes,
    };
    if bytes_in_file > stored {
        return Err(input.malformed(Problem::CutShort { expected: u128::from(bytes_in_file), found: stored }));
    }
    let elements = bytes / pixel.bytes() as u64;
    let data: Box<dyn Elements> = match layout {
        Layout::Packed { in_place } => {
            Box::new(InMemory::new(packed::unfold(input, *offset, &sizes, pixel, order, in_place)?, pixel))
        }
        Layout::Plain => Box::new(Contiguous::new(input, *offset, elements, pixel, order)?),
        Layout::Bgra => {
            // As 32-bit numbers the bytes are opacity, red, green, blue from the highest to the lowest.
            let four_bytes = matches!(element, Kind::I32 | Kind::U32);
            let order = if four_bytes { order } else { ByteOrder::Little };
            Box::new(Colours(Contiguous::new(input, *offset, elements, PixelType::U32, order)?))
        }
    };
    let name = image.text(&["Name"]).filter(|name| !name.is_empty()).map_or_else(|| input.stem(), str::to_owned);
    let mut signal = Signal::new(&input.path, name, pixel, axes(image, &sizes), data)?;
    signal.acquisition = acquisition(image);
    Ok(signal)
}

/// Colours whose bytes are stored blue first.
struct Colours(Contiguous);

impl Elements for Colours {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let mut bytes = self.0.read(first, count)?;
        bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|colour| colour.swap(0, 2));
        Ok(bytes)
    }
}

/// Axes in C order with their calibration. An axis of energy or wavelength is that of a spectrum; else the last two
/// are those of an image.
fn axes(image: &Tag, sizes: &[usize]) -> Vec<Axis> {
    let calibrations: Vec<&Tag> = image.members(&["ImageData", "Calibrations", "Dimension"]).collect();
    let mut axes: Vec<Axis> = sizes
        .iter()
        .enumerate()
        .map(|(place, size)| {
            let of = |key: &str| calibrations.get(place).and_then(|calibration| calibration.number(&[key]));
            let scale = of("Scale").unwrap_or(1.0);
            let unit = calibrations.get(place).and_then(|calibration| calibration.text(&["Units"])).unwrap_or_default();
            Axis::signal("", *size).calibrated(scale, -of("Origin").unwrap_or(0.0) * scale, unit)
        })
        .collect();
    let spectral = spectral_axis(image, &axes);
    let mut names = ["x", "y", "z", "t"].into_iter();
    for (place, axis) in axes.iter_mut().enumerate() {
        axis.name = match spectral {
            Some((spectral, name)) if spectral == place => name,
            _ => names.next().unwrap_or_default(),
        }
        .to_owned();
        axis.navigation = match spectral {
            Some((spectral, _)) => spectral != place,
            None => place >= 2,
        };
    }
    axes.reverse();
    axes
}

/// The axis along which a spectrum runs, and its name, from what the file says of its kind.
fn spectral_axis(image: &Tag, axes: &[Axis]) -> Option<(usize, &'static str)> {
    let with_unit = |unit: &str| axes.iter().position(|axis| axis.unit == unit);
    let signal = match image.text(&["ImageTags", "Meta Data", "Signal"]) {
        Some(signal) => signal,
        None if image.at(&["ImageTags", "spim", "eels"]).is_some() => "EELS",
        None if image.at(&["ImageTags", "CL"]).is_some() => "CL",
        None => "",
    };
    match signal {
        "EELS" => with_unit("eV").map(|place| (place, "Energy loss")),
        "CL" => with_unit("nm").map(|place| (place, "Wavelength")),
        _ => None,
    }
}

fn acquisition(image: &Tag) -> Acquisition {
    let number = |path: &[&str]| image.number(&[&["ImageTags"], path].concat()).and_then(positive);
    let text =
        |path: &[&str]| image.text(&[&["ImageTags"], path].concat()).filter(|text| !text.is_empty()).map(str::to_owned);
    let microscope = |key: &str| number(&["Microscope Info", key]);
    let exposure = number(&["Acquisition", "Parameters", "High Level", "Exposure (s)"])
        .or_else(|| number(&["DataBar", "Exposure Time (s)"]))
        .or_else(|| number(&["Exposure Time (s)"]));
    let day = text(&["DataBar", "Acquisition Date"]);
    let time = text(&["DataBar", "Acquisition Time"]);
    Acquisition {
        voltage_kv: microscope("Voltage").map(|volts| volts / 1e3),
        frame_time_s: exposure,
        magnification: microscope("Indicated Magnification").or_else(|| microscope("Actual Magnification")),
        camera_length_mm: microscope("STEM Camera Length"),
        instrument: text(&["Microscope Info", "Microscope"]).or_else(|| text(&["Microscope Info", "Name"])),
        detector: text(&["Acquisition", "Device", "Name"])
            .or_else(|| text(&["DataBar", "Device Name"]))
            .or_else(|| text(&["DataBar", "Signal Name"])),
        recorded: match (day, time) {
            (Some(day), Some(time)) => Some(format!("{day} {time}")),
            (day, time) => day.or(time),
        },
        ..Acquisition::default()
    }
}
