//! Arrays in NumPy's format.
//!
//! Defined in NEP 1, <https://numpy.org/neps/nep-0001-npy-format.html>; versions 1 to 3, both byte orders,
//! C and Fortran order. Compatible with `numpy.load` and `numpy.save`. Whatever order a file has,
//! arrays are handed out in C order; they are written in C order. Images are `[y, x]`, waves `[y, x]` in
//! complex64.
//!
//! The header is text that a careless program would believe: here the file's length is compared with
//! what the header announces before anything of that size is made room for.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use ndarray::{Array2, ArrayD, ArrayView, ArrayViewD, Dimension, Ix2};
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement, WritableElement, WriteNpyExt};
use num_complex::{Complex32, Complex64};

use crate::error::shown;
use crate::whole_file::write_whole_file;
use crate::{FormatError, ParseError, Problem};

/// An array of a file, in the type that the file has.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the variants are NumPy's types")]
pub enum NpyArray {
    Bool(ArrayD<bool>),
    I8(ArrayD<i8>),
    U8(ArrayD<u8>),
    I16(ArrayD<i16>),
    U16(ArrayD<u16>),
    I32(ArrayD<i32>),
    U32(ArrayD<u32>),
    I64(ArrayD<i64>),
    U64(ArrayD<u64>),
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
    C64(ArrayD<Complex32>),
    C128(ArrayD<Complex64>),
}

/// Evaluates an expression for the array of any variant.
macro_rules! for_any {
    ($value:expr, $array:ident => $result:expr) => {
        match $value {
            NpyArray::Bool($array) => $result,
            NpyArray::I8($array) => $result,
            NpyArray::U8($array) => $result,
            NpyArray::I16($array) => $result,
            NpyArray::U16($array) => $result,
            NpyArray::I32($array) => $result,
            NpyArray::U32($array) => $result,
            NpyArray::I64($array) => $result,
            NpyArray::U64($array) => $result,
            NpyArray::F32($array) => $result,
            NpyArray::F64($array) => $result,
            NpyArray::C64($array) => $result,
            NpyArray::C128($array) => $result,
        }
    };
}

impl NpyArray {
    /// Lengths along the axes, the slowest first.
    pub fn shape(&self) -> &[usize] {
        for_any!(self, array => array.shape())
    }

    /// The name of the element type as NumPy has it, such as `float32`.
    pub fn type_name(&self) -> &'static str {
        match self {
            NpyArray::Bool(_) => "bool",
            NpyArray::I8(_) => "int8",
            NpyArray::U8(_) => "uint8",
            NpyArray::I16(_) => "int16",
            NpyArray::U16(_) => "uint16",
            NpyArray::I32(_) => "int32",
            NpyArray::U32(_) => "uint32",
            NpyArray::I64(_) => "int64",
            NpyArray::U64(_) => "uint64",
            NpyArray::F32(_) => "float32",
            NpyArray::F64(_) => "float64",
            NpyArray::C64(_) => "complex64",
            NpyArray::C128(_) => "complex128",
        }
    }

    /// Real numbers in single precision; `None` if they are complex.
    pub fn into_f32(self) -> Option<ArrayD<f32>> {
        Some(match self {
            NpyArray::F32(array) => array,
            NpyArray::Bool(array) => array.mapv(|v| f32::from(u8::from(v))),
            NpyArray::I8(array) => array.mapv(f32::from),
            NpyArray::U8(array) => array.mapv(f32::from),
            NpyArray::I16(array) => array.mapv(f32::from),
            NpyArray::U16(array) => array.mapv(f32::from),
            NpyArray::I32(array) => array.mapv(|v| v as f32),
            NpyArray::U32(array) => array.mapv(|v| v as f32),
            NpyArray::I64(array) => array.mapv(|v| v as f32),
            NpyArray::U64(array) => array.mapv(|v| v as f32),
            NpyArray::F64(array) => array.mapv(|v| v as f32),
            NpyArray::C64(_) | NpyArray::C128(_) => return None,
        })
    }

    /// Complex numbers in single precision; `None` if they are real.
    pub fn into_complex32(self) -> Option<ArrayD<Complex32>> {
        match self {
            NpyArray::C64(array) => Some(array),
            NpyArray::C128(array) => Some(array.mapv(|v| Complex32::new(v.re as f32, v.im as f32))),
            _ => None,
        }
    }
}

/// Reads an array of any type and number of axes.
///
/// # Errors
/// [`FormatError::Read`] if there is no such file, [`FormatError::Malformed`] if it is no NPY file, is cut
/// short, or has elements that are no numbers.
pub fn read_npy(path: &Path) -> Result<NpyArray, FormatError> {
    let failed = |error| FormatError::Read { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    parse_npy(BufReader::with_capacity(1 << 18, file), length).map_err(|error| match error {
        NpyError::Io(error) => failed(error),
        NpyError::Malformed(problem) => FormatError::in_file(path, problem),
    })
}

/// Reads an array from the content of a file.
pub fn parse_npy_bytes(bytes: &[u8]) -> Result<NpyArray, ParseError> {
    parse_npy(bytes, bytes.len() as u64).map_err(|error| match error {
        NpyError::Io(error) => not_npy(error.to_string()).into(),
        NpyError::Malformed(problem) => problem.into(),
    })
}

/// Reads a complex wave, shape `[y, x]`, in single precision.
///
/// # Errors
/// As [`read_npy`], and [`FormatError::Malformed`] if the array is not complex or has not two axes.
pub fn read_wave(path: &Path) -> Result<Array2<Complex32>, FormatError> {
    let array = read_npy(path)?;
    let found = format!("{} of shape {:?}", array.type_name(), array.shape());
    let wrong = || {
        let expected = "a complex64 or complex128 array [y, x], as exit-wave writes it";
        FormatError::in_file(path, Problem::Invalid { what: "the array", found: found.clone(), expected })
    };
    let wave = array.into_complex32().ok_or_else(wrong)?;
    wave.into_dimensionality::<Ix2>().map_err(|_| wrong())
}

const MAGIC: &[u8] = b"\x93NUMPY";

enum NpyError {
    Io(io::Error),
    Malformed(Problem),
}

fn not_npy(found: String) -> Problem {
    Problem::NotThisFormat { expected: "an NPY file, as numpy.save writes it", found }
}

/// Reads from something that is known to be `length` bytes long.
fn parse_npy(mut reader: impl Read, length: u64) -> Result<NpyArray, NpyError> {
    let head = read_head(&mut reader, length)?;
    let (descriptor, _, shape) = Description::parse(&head).map_err(NpyError::Malformed)?;
    let source = Source { data_length: length - head.len() as u64, head, shape, reader };
    match descriptor.trim_start_matches(['<', '>', '|']) {
        "b1" => source.read().map(NpyArray::Bool),
        "i1" => source.read().map(NpyArray::I8),
        "u1" => source.read().map(NpyArray::U8),
        "i2" => source.read().map(NpyArray::I16),
        "u2" => source.read().map(NpyArray::U16),
        "i4" => source.read().map(NpyArray::I32),
        "u4" => source.read().map(NpyArray::U32),
        "i8" => source.read().map(NpyArray::I64),
        "u8" => source.read().map(NpyArray::U64),
        "f4" => source.read().map(NpyArray::F32),
        "f8" => source.read().map(NpyArray::F64),
        "c8" => source.read().map(NpyArray::C64),
        "c16" => source.read().map(NpyArray::C128),
        _ => Err(NpyError::Malformed(Problem::Invalid {
            what: "the type of the elements",
            found: shown(&descriptor),
            expected: "whole numbers of 1 to 8 bytes, or real or complex numbers of 4 or 8 bytes a part",
        })),
    }
}

/// What stands before the data of an NPY file.
pub(crate) struct NpyHead {
    /// Type of the elements as NumPy writes it, such as `<f4`.
    pub(crate) descriptor: String,
    /// Whether the first index runs fastest.
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<usize>,
    /// Where the data begin.
    pub(crate) data_offset: u64,
}

/// Reads what stands before the data of something `length` bytes long.
pub(crate) fn read_npy_head(reader: &mut impl Read, length: u64) -> Result<NpyHead, ParseError> {
    let head = read_head(reader, length).map_err(|error| match error {
        NpyError::Io(error) => not_npy(error.to_string()),
        NpyError::Malformed(problem) => problem,
    })?;
    let (descriptor, fortran_order, shape) = Description::parse(&head)?;
    Ok(NpyHead { descriptor, fortran_order, shape, data_offset: head.len() as u64 })
}

/// Reads all before the data: magic string, version, length of the description, description.
fn read_head(reader: &mut impl Read, length: u64) -> Result<Vec<u8>, NpyError> {
    /// NumPy itself refuses to read more.
    const LONGEST_DESCRIPTION: u64 = 10_000;
    let malformed = |found: &str| NpyError::Malformed(not_npy(found.to_owned()));
    if length == 0 {
        return Err(NpyError::Malformed(Problem::Empty));
    }
    let mut head = Vec::new();
    reader.take(8).read_to_end(&mut head).map_err(NpyError::Io)?;
    if !head.starts_with(MAGIC) {
        return Err(malformed("it does not begin with \\x93NUMPY"));
    }
    let size_bytes = match head.get(6) {
        Some(1) => 2,
        Some(2 | 3) => 4,
        Some(version) => return Err(malformed(&format!("version {version} is not known"))),
        None => return Err(NpyError::Malformed(Problem::CutShort { expected: 10, found: length })),
    };
    reader.take(size_bytes).read_to_end(&mut head).map_err(NpyError::Io)?;
    let size = head.get(8..).unwrap_or_default().iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    let total = 8 + size_bytes + size;
    if size > LONGEST_DESCRIPTION {
        return Err(malformed(&format!("its header is {size} bytes long")));
    }
    reader.take(size).read_to_end(&mut head).map_err(NpyError::Io)?;
    if (head.len() as u64) < total {
        return Err(NpyError::Malformed(Problem::CutShort { expected: u128::from(total), found: length }));
    }
    Ok(head)
}

/// The description of an array, a Python dictionary:
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
///
/// The crate that reads the elements parses it again, in full; it makes room for what the shape
/// announces and recurses into brackets, so what it gets must have been seen to be plain and true.
struct Description<'a> {
    rest: &'a str,
}

impl<'a> Description<'a> {
    /// The element type, whether the elements stand in Fortran order, and the shape.
    fn parse(head: &[u8]) -> Result<(String, bool, Vec<usize>), Problem> {
        let start = if head.get(6) == Some(&1) { 10 } else { 12 };
        let text = head.get(start..).and_then(|text| std::str::from_utf8(text).ok()).filter(|text| text.is_ascii());
        let text = text.ok_or_else(|| not_npy("its header is not text".to_owned()))?;
        let damaged = || not_npy(format!("its header says {}", shown(text.trim_end())));
        let mut parser = Description { rest: text };
        parser.entries().ok_or_else(damaged)
    }

    fn entries(&mut self) -> Option<(String, bool, Vec<usize>)> {
        let (mut descriptor, mut order, mut shape) = (None, None, None);
        self.take("{")?;
        while self.take("}").is_none() {
            let key = self.string()?;
            self.take(":")?;
            let first = match key {
                "descr" => descriptor.replace(self.string()?).is_none(),
                "fortran_order" => order.replace(self.truth()?).is_none(),
                "shape" => shape.replace(self.shape()?).is_none(),
                _ => false,
            };
            if !first {
                return None;
            }
            if self.take(",").is_none() {
                self.take("}")?;
                break;
            }
        }
        self.rest.trim().is_empty().then_some((descriptor?.to_owned(), order?, shape?))
    }

    fn truth(&mut self) -> Option<bool> {
        self.take("True").map(|()| true).or_else(|| self.take("False").map(|()| false))
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        let mut shape = Vec::new();
        self.take("(")?;
        while self.take(")").is_none() {
            self.skip_blanks();
            let digits = self.rest.find(|c: char| !c.is_ascii_digit())?;
            shape.push(self.rest[..digits].parse().ok()?);
            self.rest = &self.rest[digits..];
            if self.take(",").is_none() {
                self.take(")")?;
                break;
            }
        }
        Some(shape)
    }

    fn string(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        self.rest = rest;
        (!text.contains('\\')).then_some(text)
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.skip_blanks();
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

struct Source<R> {
    head: Vec<u8>,
    shape: Vec<usize>,
    data_length: u64,
    reader: R,
}

impl<R: Read> Source<R> {
    fn read<T: ReadableElement + Clone>(self) -> Result<ArrayD<T>, NpyError> {
        let times = |product: u128, axis: &usize| product.checked_mul(*axis as u128);
        let expected = self.shape.iter().try_fold(size_of::<T>() as u128, times).unwrap_or(u128::MAX);
        let found = self.data_length;
        if expected != u128::from(found) {
            return Err(NpyError::Malformed(if expected > u128::from(found) {
                Problem::CutShort { expected, found }
            } else {
                Problem::TooLong { expected, found }
            }));
        }
        // An axis of length 0 hides how long the others are; no array of such a shape can be made.
        let others = self.shape.iter().filter(|axis| **axis > 0).try_fold(size_of::<T>() as u128, times);
        if others.is_none_or(|bytes| bytes > isize::MAX as u128) {
            return Err(NpyError::Malformed(not_npy(format!("its shape is {:?}", self.shape))));
        }
        let array = ArrayD::read_npy(self.head.as_slice().chain(self.reader)).map_err(|error| match error {
            ReadNpyError::Io(error) => NpyError::Io(error),
            other => NpyError::Malformed(not_npy(shown(&other.to_string().replace('\n', " ")))),
        })?;
        Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
    }
}

/// Writes an array in C order, in its own type.
///
/// # Errors
/// [`FormatError::Write`] if the disk refuses.
pub fn write_npy<T, D>(path: &Path, array: ArrayView<'_, T, D>) -> Result<(), FormatError>
where
    T: WritableElement + Clone,
    D: Dimension,
{
    write_whole_file(path, |file| write_array(file, array.into_dyn()))
}

pub(crate) fn write_array<T: WritableElement + Clone>(
    file: &mut impl io::Write,
    array: ArrayViewD<'_, T>,
) -> io::Result<()> {
    // What is stored column by column would otherwise be written in Fortran order.
    array.as_standard_layout().write_npy(file).map_err(|error| match error {
        ndarray_npy::WriteNpyError::Io(error) => error,
        other => io::Error::other(other),
    })
}
