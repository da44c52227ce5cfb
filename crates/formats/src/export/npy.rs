//! NPY: a header in Python's notation, then the elements. Colours become a last axis of 3 or 4, as
//! Python's imaging packages have it. <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::io::Write;
use std::path::Path;

use super::{copy_elements, unwrap_read};
use crate::FormatError;
use crate::signal::{PixelType, Signal};
use crate::whole_file::write_whole_file;

pub(super) fn write(path: &Path, signal: &Signal) -> Result<(), FormatError> {
    let mut shape = signal.shape();
    if matches!(signal.pixel, PixelType::Rgb8 | PixelType::Rgba8 | PixelType::Rgb16 | PixelType::Rgba16) {
        shape.push(signal.pixel.parts());
    }
    let header = header(signal.pixel, &shape);
    write_whole_file(path, |file| {
        file.write_all(&header)?;
        copy_elements(signal, file, Ok)
    })
    .map_err(unwrap_read)
}

fn header(pixel: PixelType, shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    // A tuple of one has a comma, others need none.
    let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({sizes}), }}", descriptor(pixel));
    // The elements start at a multiple of 64 bytes; 10 bytes stand before the text and a line feed ends it.
    let padding = 63 - (10 + text.len()) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn descriptor(pixel: PixelType) -> &'static str {
    match pixel {
        PixelType::Bool => "|b1",
        PixelType::U8 | PixelType::Rgb8 | PixelType::Rgba8 => "|u1",
        PixelType::I8 => "|i1",
        PixelType::U16 | PixelType::Rgb16 | PixelType::Rgba16 => "<u2",
        PixelType::I16 => "<i2",
        PixelType::U32 => "<u4",
        PixelType::I32 => "<i4",
        PixelType::U64 => "<u8",
        PixelType::I64 => "<i8",
        PixelType::F16 => "<f2",
        PixelType::F32 => "<f4",
        PixelType::F64 => "<f8",
        PixelType::Complex64 => "<c8",
        PixelType::Complex128 => "<c16",
    }
}
