//! TVIPS recordings (EM-MENU, `.tvips`), read.
//!
//! The first file, `name_000.tvips`, begins with a header of 256 bytes: its size, version (1 or 2), columns, rows,
//! bits a pixel, offset and binning of the readout, pixel size, high tension in kV, magnification or camera length,
//! and the length of the record before each frame. A record has the time in seconds and milliseconds and, in version 2,
//! the state of the microscope, with the mode: 1 for images, 2 for diffraction. Long recordings go on in
//! `name_001.tvips` and so on, which have no header.
//!
//! **Calibration.** In diffraction the stated pixel size is taken as 1/nm, as other readers do. Of an image it is
//! the size of the camera's own pixels; over the magnification, where one is stated, it is that of the specimen.

use std::path::PathBuf;

use serde_json::json;

use super::acquisition::positive;
use super::fields::Fields;
use super::{Axis, ByteOrder, Contiguous, Elements, Input, PixelType, Signal, SignalFile};
use crate::{FormatError, Problem};

const HEADER_BYTES: u32 = 256;

pub(super) fn recognises(input: &Input) -> bool {
    let word = |place: usize| input.head.get(place..place + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    word(0) == Some(HEADER_BYTES)
        && matches!(word(4), Some(1 | 2))
        && matches!(word(16), Some(8 | 16 | 32))
        && (input.extension == "tvips" || word(48).is_some_and(|bytes| (12..4096).contains(&bytes)))
}

/// A later file of a recording: told by its name alone.
pub(super) fn recognises_part(input: &Input) -> bool {
    input.extension == "tvips" && part_number(&input.stem()).is_some_and(|number| number > 0)
}

pub(super) fn open_part(input: &Input) -> Result<SignalFile, FormatError> {
    let base = input.stem();
    Err(input.malformed(Problem::NotThisFormat {
        expected: "the first file of a recording; open the one whose name ends in _000.tvips, the others follow it",
        found: format!("{base} is a later part"),
    }))
}

pub(super) fn open(input: &Input) -> Result<SignalFile, FormatError> {
    let mut fields = Fields::new(input, ByteOrder::Little);
    fields.skip(4)?;
    let version = fields.u32()?;
    let (columns, rows, bits) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let readout = [fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?];
    let (pixel_size, tension, magnification, record) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
    let pixel = match bits {
        8 => PixelType::U8,
        16 => PixelType::U16,
        _ => PixelType::I32,
    };
    // Version 1 has a record of 12 bytes and no field for it.
    let record = if version == 1 { 12 } else { u64::from(record) };
    if columns == 0 || rows == 0 || record < 12 {
        return Err(input.malformed(Problem::Invalid {
            what: "the header of the recording",
            found: format!("{columns} x {rows} pixels, records of {record} bytes"),
            expected: "at least one pixel and records of at least 12 bytes",
        }));
    }
    let frame_pixels = u64::from(columns) * u64::from(rows);
    let pitch =
        (u128::from(frame_pixels) * pixel.bytes() as u128 + u128::from(record)).min(u128::from(u64::MAX)) as u64;
    let mut parts = Vec::new();
    let mut times = Times::default();
    let mut notes = Vec::new();
    let mut start = u64::from(HEADER_BYTES);
    for part in parts_of(input)? {
        let content = part.bytes.length().saturating_sub(start);
        let count = content / pitch;
        if content % pitch != 0 {
            let name = part.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            notes.push(format!("{name} ends within a frame, which is left out; the recording was cut short"));
        }
        let places: Vec<u64> = (0..count).map(|frame| start + frame * pitch + record).collect();
        // The first two and the last say what is needed; there may be a million.
        for place in places.iter().take(2).chain(places.last()) {
            times.read(&part, place - record)?;
        }
        let frames = Contiguous::in_pieces(&part, places, frame_pixels, pixel, ByteOrder::Little)?;
        parts.push((count * frame_pixels, frames));
        start = 0;
    }
    let frames: u64 = parts.iter().map(|(elements, _)| elements / frame_pixels).sum();
    if frames == 0 {
        let expected = u128::from(HEADER_BYTES) + u128::from(pitch);
        return Err(input.malformed(Problem::CutShort { expected, found: input.bytes.length() }));
    }
    let mode = if version == 1 { None } else { Some(first_mode(input)?) };
    let diffraction = mode == Some(2);
    let (scale, unit) = match (diffraction, magnification) {
        (true, _) => (f64::from(pixel_size), "1/nm"),
        (false, 0) => (f64::from(pixel_size), "nm"),
        (false, _) => (f64::from(pixel_size) / f64::from(magnification), "nm"),
    };
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let names = if diffraction { ["dy", "dx"] } else { ["y", "x"] };
    let axes = vec![
        Axis::navigation("time", frames as usize).calibrated(times.step(), times.first.unwrap_or(0.0), "s"),
        Axis::signal(names[0], rows as usize).calibrated(scale, 0.0, unit),
        Axis::signal(names[1], columns as usize).calibrated(scale, 0.0, unit),
    ];
    let files = parts.len();
    let mut signal = Signal::new(&input.path, input.stem(), pixel, axes, Parts { parts })?;
    signal.acquisition.voltage_kv = positive(f64::from(tension));
    signal.acquisition.frame_time_s = times.mean_step(frames).and_then(positive);
    let state = positive(f64::from(magnification));
    if diffraction {
        signal.acquisition.camera_length_mm = state;
    } else {
        signal.acquisition.magnification = state;
    }
    signal.acquisition.recorded = times.first.map(|seconds| format!("{seconds} s since 1970-01-01"));
    signal.metadata = json!({
        "version": version, "columns": columns, "rows": rows, "bits_per_pixel": bits, "offset_x": readout[0],
        "offset_y": readout[1], "binning_x": readout[2], "binning_y": readout[3], "pixel_size": pixel_size,
        "high_tension_kv": tension, "magnification": magnification, "record_bytes": record, "mode": mode, "files": files,
    });
    Ok(SignalFile { path: input.path.clone(), format: "TVIPS", signals: vec![signal], notes })
}

/// The mode in the record of the first frame.
fn first_mode(input: &Input) -> Result<u32, FormatError> {
    let mut fields = Fields::new(input, ByteOrder::Little);
    // Frame number, seconds, milliseconds, look-up table, Faraday cup, magnification.
    fields.go_to(u64::from(HEADER_BYTES) + 24)?;
    fields.u32()
}

/// Times of the frames, in seconds.
#[derive(Default)]
struct Times {
    first: Option<f64>,
    second: Option<f64>,
    last: f64,
}

impl Times {
    fn read(&mut self, part: &Input, record: u64) -> Result<(), FormatError> {
        let bytes = part.read(record, 12)?;
        let word = |place: usize| {
            f64::from(u32::from_le_bytes([bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]]))
        };
        let time = word(4) + word(8) / 1e3;
        if self.first.is_some() && self.second.is_none() {
            self.second = Some(time);
        }
        self.first.get_or_insert(time);
        self.last = time;
        Ok(())
    }

    /// From the first frame to the second.
    fn step(&self) -> f64 {
        self.first.zip(self.second).map_or(1.0, |(first, second)| second - first)
    }

    fn mean_step(&self, frames: u64) -> Option<f64> {
        (frames > 1).then(|| (self.last - self.first.unwrap_or(self.last)) / (frames - 1) as f64)
    }
}

/// N of a name that ends in `_N`.
fn part_number(stem: &str) -> Option<u32> {
    let (_, digits) = stem.rsplit_once('_')?;
    (digits.len() == 3).then(|| digits.parse().ok())?
}

/// The files of a recording, the first one first.
fn parts_of(input: &Input) -> Result<Vec<Input>, FormatError> {
    let copy = Input {
        path: input.path.clone(),
        bytes: input.bytes.clone(),
        head: Vec::new(),
        extension: input.extension.clone(),
        compressed: input.compressed,
    };
    let mut parts = vec![copy];
    let stem = input.stem();
    if part_number(&stem) == Some(0) {
        let base = &stem[..stem.len() - 3];
        for number in 1..1000 {
            let path: PathBuf = input.path.with_file_name(format!("{base}{number:03}.tvips"));
            if !path.is_file() {
                break;
            }
            parts.push(Input::open(&path)?);
        }
    }
    Ok(parts)
}

/// Elements of several files, one after the other.
struct Parts {
    parts: Vec<(u64, Contiguous)>,
}

impl Elements for Parts {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let (mut bytes, mut place, mut rest) = (Vec::new(), first, count);
        for (elements, part) in &self.parts {
            if place >= *elements {
                place -= elements;
                continue;
            }
            let here = rest.min((elements - place) as usize);
            bytes.extend(part.read(place, here)?);
            (place, rest) = (0, rest - here);
            if rest == 0 {
                break;
            }
        }
        Ok(bytes)
    }
}
