//! NumPy's arrays (`.npy`) and archives of them (`.npz`), as signals.
//!
//! The format is that of [`crate::npy`]; here the elements stay in the file. All numbers, complex numbers and truth
//! values, both byte orders, C and Fortran order. The last two axes of an array are taken for y and x; there is no
//! calibration.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::bytes::read_exactly;
use super::{
    Axis, ByteOrder, Bytes, BytesReader, Contiguous, Elements, Input, PixelType, Signal, SignalFile, count_bytes, zip,
};
use crate::npy::read_npy_head;
use crate::{FormatError, Problem};

pub(super) fn recognises(input: &Input) -> bool {
    input.head.starts_with(b"\x93NUMPY")
}

pub(super) fn recognises_archive(input: &Input) -> bool {
    input.head.starts_with(b"PK") && input.extension == "npz"
}

pub(super) fn open(input: &Input) -> Result<SignalFile, FormatError> {
    let signal = array(input, input.stem())?;
    Ok(SignalFile { path: input.path.clone(), format: "NumPy array", signals: vec![signal], notes: Vec::new() })
}

pub(super) fn open_archive(input: &Input) -> Result<SignalFile, FormatError> {
    const MOST_ARRAYS: usize = 10_000;
    let (mut signals, mut notes) = (Vec::new(), Vec::new());
    let members = zip::members(input)?;
    if members.len() > MOST_ARRAYS {
        let (found, limit) = (members.len() as u128, MOST_ARRAYS as u128);
        return Err(input.malformed(Problem::TooMany { what: "arrays of an archive", found, limit }));
    }
    for member in members {
        let Some(name) = member.name.strip_suffix(".npy") else {
            notes.push(format!("{} is no array and was left out", member.name));
            continue;
        };
        let bytes = zip::content(input, &member)?;
        let part =
            Input { path: input.path.clone(), bytes, head: Vec::new(), extension: "npy".into(), compressed: true };
        match array(&part, name.to_owned()) {
            Ok(signal) => signals.push(signal),
            // Texts and settings often lie beside the images.
            Err(error) => notes.push(format!("{name} was left out: {error}")),
        }
    }
    Ok(SignalFile { path: input.path.clone(), format: "NumPy archive", signals, notes })
}

fn array(input: &Input, title: String) -> Result<Signal, FormatError> {
    let length = input.bytes.length();
    let mut reader = BytesReader::new(input.bytes.clone());
    let head = read_npy_head(&mut reader, length).map_err(|error| FormatError::in_file(&input.path, error))?;
    let order = if head.descriptor.starts_with('>') { ByteOrder::Big } else { ByteOrder::Little };
    let pixel = match head.descriptor.trim_start_matches(['<', '>', '|', '=']) {
        "b1" => PixelType::Bool,
        "i1" => PixelType::I8,
        "u1" => PixelType::U8,
        "i2" => PixelType::I16,
        "u2" => PixelType::U16,
        "i4" => PixelType::I32,
        "u4" => PixelType::U32,
        "i8" => PixelType::I64,
        "u8" => PixelType::U64,
        "f2" => PixelType::F16,
        "f4" => PixelType::F32,
        "f8" => PixelType::F64,
        "c8" => PixelType::Complex64,
        "c16" => PixelType::Complex128,
        _ => {
            return Err(input.malformed(Problem::Invalid {
                what: "the type of the elements",
                found: crate::error::shown(&head.descriptor),
                expected: "numbers, complex numbers or truth values",
            }));
        }
    };
    let bytes = count_bytes(head.shape.iter().copied(), pixel).map_err(|problem| input.malformed(problem))?;
    let found = length - head.data_offset;
    if bytes < found {
        return Err(input.malformed(Problem::TooLong { expected: bytes.into(), found }));
    }
    let count = head.shape.len();
    let axes = head.shape.iter().enumerate().map(|(place, size)| match count - place {
        1 => Axis::signal("x", *size),
        2 => Axis::signal("y", *size),
        3 => Axis::navigation("frame", *size),
        _ => Axis::navigation("", *size),
    });
    let axes: Vec<Axis> = axes.collect();
    let elements = bytes / pixel.bytes() as u64;
    let plain = Contiguous::new(input, head.data_offset, elements, pixel, order)?;
    let data: Box<dyn Elements> = if head.fortran_order && count > 1 {
        Box::new(FortranOrder::new(input, head.data_offset, head.shape.clone(), pixel, order))
    } else {
        Box::new(plain)
    };
    let mut signal = Signal::new(&input.path, title, pixel, axes, data)?;
    signal.metadata = json!({"descr": head.descriptor, "fortran_order": head.fortran_order, "shape": head.shape});
    Ok(signal)
}

/// Elements whose first index runs fastest in the file. Pages of the file are kept, so that neighbours in the
/// other order do not fetch each its own.
struct FortranOrder {
    path: PathBuf,
    bytes: Arc<dyn Bytes>,
    offset: u64,
    shape: Vec<usize>,
    pixel: PixelType,
    order: ByteOrder,
    pages: Mutex<HashMap<u64, Vec<u8>>>,
}

/// Bytes of a page, a multiple of every element's size, and pages that are kept: 64 MiB.
const PAGE: u64 = 1 << 14;
const PAGES: usize = 1 << 12;

impl FortranOrder {
    fn new(input: &Input, offset: u64, shape: Vec<usize>, pixel: PixelType, order: ByteOrder) -> FortranOrder {
        let (path, bytes) = (input.path.clone(), input.bytes.clone());
        FortranOrder { path, bytes, offset, shape, pixel, order, pages: Mutex::default() }
    }

    /// Where an element is in the file's order.
    fn place(&self, element: u64) -> u64 {
        // The last index runs fastest in `element`, the first one in the file.
        let mut indices = vec![0; self.shape.len()];
        let mut rest = element;
        for (index, size) in indices.iter_mut().zip(&self.shape).rev() {
            (*index, rest) = (rest % *size as u64, rest / *size as u64);
        }
        indices.iter().zip(&self.shape).rev().fold(0, |place, (index, size)| place * *size as u64 + index)
    }
}

impl Elements for FortranOrder {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let size = self.pixel.bytes() as u64;
        let data_end = self.bytes.length() - self.offset;
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = Vec::with_capacity(count * size as usize);
        for element in first..first + count as u64 {
            let start = self.place(element) * size;
            let number = start / PAGE;
            if !pages.contains_key(&number) {
                if pages.len() >= PAGES {
                    // All are dropped at once: which are still needed is not known, and order must not depend on chance.
                    pages.clear();
                }
                let length = PAGE.min(data_end - number * PAGE) as usize;
                let page = read_exactly(&*self.bytes, self.offset + number * PAGE, length)
                    .map_err(|error| FormatError::Read { path: self.path.clone(), error })?;
                pages.insert(number, page);
            }
            let inside = (start % PAGE) as usize;
            buffer.extend_from_slice(&pages[&number][inside..inside + size as usize]);
        }
        self.order.to_little(&mut buffer, self.pixel.part_bytes());
        Ok(buffer)
    }
}
