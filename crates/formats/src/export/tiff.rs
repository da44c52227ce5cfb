//! TIFF images and stacks with the calibration that ImageJ and Fiji read.
//!
//! The format as in [`crate::tiff`]; written by hand, because the places of all pages are known before the first pixel is: the
//! first directory, the pixels of all images one after the other (what ImageJ maps into memory as one piece), then the
//! other directories. Nothing is written twice, and no page has to be held.
//!
//! Lengths are written in nm. Of the axes in front of y and x, time becomes `frames` and another `slices`; of
//! three the fastest becomes `channels`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use super::{copy_elements, images_only, unwrap_read};
use crate::FormatError;
use crate::signal::{Axis, PixelType, Signal};
use crate::tiff::as_fraction;
use crate::whole_file::write_whole_file;

/// Beyond this the 32-bit offsets of a plain TIFF might not reach.
const LARGEST_PLAIN_BYTES: u64 = 4_200_000_000;

pub(super) fn write(path: &Path, signal: &Signal) -> Result<(), FormatError> {
    let (y, x) = images_only(path, signal, "TIFF")?;
    let cannot = |reason: String| FormatError::cannot_hold(path, reason);
    if u32::try_from(x.size).is_err() || u32::try_from(y.size).is_err() {
        return Err(cannot(format!("an image of {} x {} pixels is too large for TIFF", x.size, y.size)));
    }
    let (bits, format) = match signal.pixel {
        PixelType::Bool | PixelType::U8 | PixelType::Rgb8 | PixelType::Rgba8 => (8, 1),
        PixelType::I8 => (8, 2),
        PixelType::U16 | PixelType::Rgb16 | PixelType::Rgba16 => (16, 1),
        PixelType::I16 => (16, 2),
        PixelType::U32 => (32, 1),
        PixelType::I32 => (32, 2),
        PixelType::U64 => (64, 1),
        PixelType::I64 => (64, 2),
        PixelType::F16 | PixelType::F32 => (32, 3),
        PixelType::F64 => (64, 3),
        PixelType::Complex64 | PixelType::Complex128 => {
            return Err(cannot("few programs read complex numbers from TIFF; take NPY or HSPY".to_owned()));
        }
    };
    // Half precision is widened, since hardly any program reads it.
    let halves = signal.pixel == PixelType::F16;
    let samples = signal.pixel.parts() as u64;
    let frame_bytes = y.size as u64 * x.size as u64 * samples * (bits / 8);
    let pages = signal.frames();
    let bytes = frame_bytes.checked_mul(pages).and_then(|bytes| bytes.checked_add(pages * 512));
    let bytes = bytes.ok_or_else(|| cannot("more bytes than can be counted".to_owned()))?;
    let layout = Layout {
        big: bytes > LARGEST_PLAIN_BYTES,
        width: x.size as u64,
        height: y.size as u64,
        bits,
        format,
        samples,
        resolution: [pixels_a_unit(x), pixels_a_unit(y)],
        frame_bytes,
        pages,
    };
    let description = description(signal, x)?;
    write_whole_file(path, |file| layout.write(file, &description, signal, halves)).map_err(unwrap_read)
}

/// The calibration of an axis in the unit that is written.
fn in_unit(axis: &Axis) -> (f64, String) {
    match axis.pitch_nm() {
        Some(nm) => (nm, "nm".to_owned()),
        None => (axis.scale, axis.unit.clone()),
    }
}

fn pixels_a_unit(axis: &Axis) -> (u32, u32) {
    let (scale, _) = in_unit(axis);
    if scale.is_finite() && (1e-9..1e9).contains(&scale) { as_fraction(1.0 / scale) } else { (1, 1) }
}

/// What ImageJ reads about a stack.
fn description(signal: &Signal, x: &Axis) -> Result<String, FormatError> {
    let mut text = String::from("ImageJ=1.53k\n");
    let stack: Vec<&Axis> = signal.axes[..signal.axes.len() - 2].iter().filter(|axis| axis.size > 1).collect();
    let pages = signal.frames();
    // Writing to a string cannot fail.
    if pages > 1 {
        let _ = writeln!(text, "images={pages}");
        let names: Vec<(&str, &Axis)> = match stack.as_slice() {
            [one] if one.pitch_nm().is_some() => vec![("slices", one)],
            [one] => vec![("frames", one)],
            [slow, fast] => vec![("frames", slow), ("slices", fast)],
            [slow, middle, fast] => vec![("frames", slow), ("slices", middle), ("channels", fast)],
            _ => Vec::new(),
        };
        // ImageJ wants the fastest first.
        for (name, axis) in names.iter().rev() {
            let _ = writeln!(text, "{name}={}", axis.size);
        }
        if names.len() > 1 {
            let _ = writeln!(text, "hyperstack=true");
        }
        for (name, axis) in names {
            if let ("frames", Some(seconds)) = (name, axis.pitch_s()) {
                let _ = writeln!(text, "finterval={seconds}");
            }
            if let ("slices", Some(nm)) = (name, axis.pitch_nm()) {
                let _ = writeln!(text, "spacing={nm}");
            }
        }
        let _ = writeln!(text, "mode=grayscale\nloop=false");
    }
    let (_, unit) = in_unit(x);
    if !unit.is_empty() {
        let _ = writeln!(text, "unit={}", ascii(&unit));
    }
    if matches!(signal.pixel, PixelType::F16 | PixelType::F32 | PixelType::F64) {
        // ImageJ stretches the contrast of float images over the whole range of the type unless told one.
        let frame = signal.frame(0)?;
        let finite = frame.iter().copied().filter(|value| value.is_finite());
        let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low <= high {
            let _ = writeln!(text, "min={low}\nmax={high}");
        }
    }
    Ok(text)
}

/// Descriptions are ASCII; ImageJ writes other letters as Java does.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            let _ = write!(out, "\\u{:04X}", letter as u32);
        }
    }
    out
}

/// Where everything stands.
struct Layout {
    big: bool,
    width: u64,
    height: u64,
    bits: u64,
    format: u64,
    samples: u64,
    resolution: [(u32, u32); 2],
    frame_bytes: u64,
    pages: u64,
}

const SHORT: u16 = 3;
const LONG: u16 = 4;
const LONG8: u16 = 16;

impl Layout {
    fn header_bytes(&self) -> u64 {
        if self.big { 16 } else { 8 }
    }

    fn write(&self, file: &mut impl Write, description: &str, signal: &Signal, halves: bool) -> io::Result<()> {
        let header = self.header_bytes();
        let first_bytes = self.directory(header, 0, 0, Some(description)).len() as u64;
        // Every size is a multiple of 16, so offsets are even as the format wants them.
        let data = header + first_bytes;
        let others = (data + self.frame_bytes * self.pages).next_multiple_of(16);
        let other_bytes = self.directory(0, 0, 0, None).len() as u64;
        let place = |page: u64| others + (page - 1) * other_bytes;
        let next = |page: u64| if page + 1 < self.pages { place(page + 1) } else { 0 };
        if self.big {
            file.write_all(b"II+\0\x08\0\0\0")?;
            file.write_all(&header.to_le_bytes())?;
        } else {
            file.write_all(b"II*\0")?;
            file.write_all(&(header as u32).to_le_bytes())?;
        }
        file.write_all(&self.directory(header, data, next(0), Some(description)))?;
        copy_elements(signal, file, |bytes| {
            Ok(if halves {
                let mut values = Vec::new();
                signal.pixel.append_as_f32(&bytes, &mut values);
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            } else {
                bytes
            })
        })?;
        let end = data + self.frame_bytes * self.pages;
        file.write_all(&vec![0; (others - end) as usize])?;
        for page in 1..self.pages {
            file.write_all(&self.directory(place(page), data + page * self.frame_bytes, next(page), None))?;
        }
        Ok(())
    }

    /// The directory at `place` of the page whose pixels are at `data`, with what its tags refer to.
    fn directory(&self, place: u64, data: u64, next: u64, description: Option<&str>) -> Vec<u8> {
        let pointer = if self.big { LONG8 } else { LONG };
        let number = |value: u64, kind: u16| match kind {
            SHORT => (value as u16).to_le_bytes().to_vec(),
            LONG => (value as u32).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        let each = |value: u64| (0..self.samples).flat_map(|_| (value as u16).to_le_bytes()).collect::<Vec<u8>>();
        let fraction = |(n, d): (u32, u32)| [n.to_le_bytes(), d.to_le_bytes()].concat();
        let colours = if self.samples > 1 { 2 } else { 1 };
        let mut tags: Vec<(u16, u16, u64, Vec<u8>)> = vec![
            (256, LONG, 1, number(self.width, LONG)),
            (257, LONG, 1, number(self.height, LONG)),
            (258, SHORT, self.samples, each(self.bits)),
            (259, SHORT, 1, number(1, SHORT)),
            (262, SHORT, 1, number(colours, SHORT)),
        ];
        if let Some(text) = description {
            let mut bytes = text.as_bytes().to_vec();
            bytes.push(0);
            tags.push((270, 2, bytes.len() as u64, bytes));
        }
        tags.extend([
            (273, pointer, 1, number(data, pointer)),
            (277, SHORT, 1, number(self.samples, SHORT)),
            (278, LONG, 1, number(self.height, LONG)),
            (279, pointer, 1, number(self.frame_bytes, pointer)),
            (282, 5, 1, fraction(self.resolution[0])),
            (283, 5, 1, fraction(self.resolution[1])),
            // No unit of printing: the description has the unit.
            (296, SHORT, 1, number(1, SHORT)),
        ]);
        if self.samples == 4 {
            // Opacity that is not multiplied in.
            tags.push((338, SHORT, 1, number(2, SHORT)));
        }
        tags.push((339, SHORT, self.samples, each(self.format)));
        let (count_bytes, entry_bytes, inline) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let fixed = count_bytes + entry_bytes * tags.len() as u64 + inline;
        let outside = place + fixed.next_multiple_of(8);
        let mut bytes = if self.big {
            (tags.len() as u64).to_le_bytes().to_vec()
        } else {
            (tags.len() as u16).to_le_bytes().to_vec()
        };
        let mut referred: Vec<u8> = Vec::new();
        let put_offset = |bytes: &mut Vec<u8>, offset: u64| {
            if self.big { bytes.extend(offset.to_le_bytes()) } else { bytes.extend((offset as u32).to_le_bytes()) }
        };
        for (tag, kind, count, mut value) in tags {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            put_offset(&mut bytes, count);
            if value.len() as u64 <= inline {
                value.resize(inline as usize, 0);
                bytes.extend(value);
            } else {
                put_offset(&mut bytes, outside + referred.len() as u64);
                referred.extend(value);
                referred.resize(referred.len().next_multiple_of(8), 0);
            }
        }
        put_offset(&mut bytes, next);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(referred);
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        bytes
    }
}
