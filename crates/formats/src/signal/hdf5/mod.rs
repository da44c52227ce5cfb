//! HDF5, the container of EMD and HSPY files: its tree of groups, attributes and arrays.
//!
//! Defined in the HDF5 File Format Specification, version 3.0 (The HDF Group). The crate `hdf5-pure` reads the structure:
//! superblocks, headers of objects, indices of chunks. The pixels are read here ([`elements`]), chunk by chunk, in whatever
//! order of axes a format wants them, so that a movie is not held in memory and no size that a header
//! states is made room for before the file has shown to hold so much.
//!
//! Not read: virtual and external storage, and the filters SZIP, N-bit, scale-offset, Blosc and others; they are refused by
//! name.

mod elements;
mod filter;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hdf5_pure::{AttrValue, Dataset, Datatype, DatatypeByteOrder, FileAccessProperties, Group, MetadataCacheConfig};
use hdf5_pure::{Source, VlenStringReadOptions};
use serde_json::{Map, Value};

pub(super) use elements::HdfElements;

use super::{ByteOrder, Bytes, Elements, Input, PixelType, SignalFile, count_bytes, emd_berkeley, emd_velox, hspy};
use crate::{FormatError, Problem};

/// More objects than this are not looked at: links of a damaged file can run in circles.
const MOST_OBJECTS: usize = 20_000;
const DEEPEST: usize = 24;
const MOST_TEXT_BYTES: u64 = 1 << 26;

/// Whether it is an HDF5 file: the signature stands at the start, or after a user block of 512, 1024, ... bytes.
pub(super) fn recognises(input: &Input) -> bool {
    const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
    let at = |offset: usize| input.head.get(offset..offset + 8) == Some(SIGNATURE);
    at(0) || at(512) || at(1024) || at(2048)
}

/// Opens an HDF5 file as the format that its content shows.
pub(super) fn open(input: &Input) -> Result<SignalFile, FormatError> {
    // `hdf5-pure` answers damaged files with errors; should one of its checks be missing, that must not end the program.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let file = Hdf5::open(input)?;
        if emd_velox::recognises(&file) {
            emd_velox::open(&file)
        } else if hspy::recognises(&file) {
            hspy::open(&file)
        } else if emd_berkeley::recognises(&file) {
            emd_berkeley::open(&file)
        } else {
            Err(file.other("an HDF5 file of Velox, of the Berkeley EMD kind or of HyperSpy", "another HDF5 file"))
        }
    }));
    opened.unwrap_or_else(|_| {
        Err(input.malformed(Problem::NotThisFormat {
            expected: "a sound HDF5 file; copy it again",
            found: "its structure is damaged".to_owned(),
        }))
    })
}

/// An HDF5 file.
pub(super) struct Hdf5<'a> {
    pub(super) input: &'a Input,
    file: hdf5_pure::File,
}

struct SourceOf(Arc<dyn Bytes>);

impl Source for SourceOf {
    fn len(&self) -> u64 {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), hdf5_pure::FormatError> {
        self.0.read_at(offset, buffer).map_err(|error| hdf5_pure::FormatError::Source(error.to_string()))
    }
}

impl<'a> Hdf5<'a> {
    fn open(input: &'a Input) -> Result<Hdf5<'a>, FormatError> {
        let access = FileAccessProperties::new().with_metadata_cache(MetadataCacheConfig::new(1 << 23));
        let file = hdf5_pure::File::from_source_with_options(SourceOf(input.bytes.clone()), access)
            .map_err(|error| input.malformed(broken(&error)))?;
        let (end, found) = (file.superblock().eof_address, input.bytes.length());
        if end > found {
            return Err(input.malformed(Problem::CutShort { expected: end.into(), found }));
        }
        Ok(Hdf5 { input, file })
    }

    pub(super) fn root(&self) -> Group {
        self.file.root()
    }

    pub(super) fn group(&self, path: &str) -> Option<Group> {
        self.file.group(path).ok()
    }

    pub(super) fn dataset(&self, path: &str) -> Option<Dataset> {
        self.file.dataset(path).ok()
    }

    /// The error of a file that is something else.
    pub(super) fn other(&self, expected: &'static str, found: impl Into<String>) -> FormatError {
        self.input.malformed(Problem::NotThisFormat { expected, found: found.into() })
    }

    /// What an array holds, without reading it: type, lengths, and its elements in the order of axes that
    /// `order` gives (`order[i]` is the stored axis that becomes axis i).
    pub(super) fn array(
        &self,
        dataset: &Dataset,
        order: impl FnOnce(usize) -> Vec<usize>,
    ) -> Result<(PixelType, Vec<usize>, HdfElements), FormatError> {
        let wrong = |error: hdf5_pure::Error| self.input.malformed(broken(&error));
        let datatype = dataset.datatype().map_err(wrong)?;
        let (pixel, byte_order) = pixel_of(&datatype).ok_or_else(|| {
            self.other("an array of numbers or colours", format!("an array of {}", type_name(&datatype)))
        })?;
        let shape = self.shape(dataset)?;
        count_bytes(shape.iter().copied(), pixel).map_err(|problem| self.input.malformed(problem))?;
        let order = order(shape.len());
        let elements = HdfElements::new(self.input, dataset, pixel, byte_order, &shape, &order)?;
        let shape = order.iter().map(|axis| shape[*axis]).collect();
        Ok((pixel, shape, elements))
    }

    pub(super) fn shape(&self, dataset: &Dataset) -> Result<Vec<usize>, FormatError> {
        let shape = dataset.shape().map_err(|error| self.input.malformed(broken(&error)))?;
        shape
            .iter()
            .map(|length| usize::try_from(*length))
            .collect::<Result<_, _>>()
            .map_err(|_| self.other("an array that fits the machine", format!("an array of shape {shape:?}")))
    }

    /// A short array of numbers, such as the places along an axis, in double precision; `None` if it is none.
    pub(super) fn numbers(&self, dataset: &Dataset) -> Option<Vec<f64>> {
        const MOST: u64 = 1 << 22;
        let (pixel, shape, elements) = self.array(dataset, |axes| (0..axes).collect()).ok()?;
        let count = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size as u64))?;
        if count > MOST || pixel.parts() > 1 {
            return None;
        }
        let bytes = elements.read(0, count as usize).ok()?;
        Some(as_f64(pixel, &bytes))
    }

    /// The first text of a dataset of texts, or bytes up to the first zero in one of bytes (`[byte, item]`, Velox's way).
    pub(super) fn text(&self, dataset: &Dataset) -> Option<String> {
        let shape = self.shape(dataset).ok()?;
        let count = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size as u64))?;
        let datatype = dataset.datatype().ok()?;
        match datatype {
            Datatype::VariableLength { is_string: true, .. } => {
                self.fits_memory(dataset, count)?;
                let options = VlenStringReadOptions::new()
                    .with_max_elements(4096)
                    .with_max_payload_bytes(MOST_TEXT_BYTES.min(self.input.bytes.length()) as usize);
                dataset.read_vlen_strings(options).ok()?.into_iter().next()
            }
            Datatype::String { .. } => {
                self.fits_memory(dataset, count)?;
                dataset.read_string().ok()?.into_iter().next()
            }
            _ => {
                let (pixel, shape, elements) = self.array(dataset, |axes| (0..axes).rev().collect()).ok()?;
                let length = *shape.last()?;
                if pixel != PixelType::U8 || length as u64 > MOST_TEXT_BYTES || count == 0 {
                    return None;
                }
                Some(super::fields::text_of(&elements.read(0, length).ok()?))
            }
        }
    }

    /// A JSON document in a dataset.
    pub(super) fn json(&self, dataset: &Dataset) -> Option<Value> {
        serde_json::from_str(&self.text(dataset)?).ok()
    }

    /// Whether a small dataset may be read as a whole by the crate, which makes room for what the headers announce.
    fn fits_memory(&self, dataset: &Dataset, count: u64) -> Option<()> {
        let limit = MOST_TEXT_BYTES.min(self.input.bytes.length().saturating_mul(4));
        let fits = |count: u64| Some(count.checked_mul(dataset.element_size().ok()?)? <= limit);
        let chunk = dataset.chunk_shape().ok()?.unwrap_or_default();
        let chunk = chunk.iter().try_fold(1u64, |product, size| product.checked_mul(*size))?;
        // Chunks of HDF5 programs that keep one text are sometimes larger than the text.
        (fits(count)? && chunk.checked_mul(dataset.element_size().ok()?)? <= MOST_TEXT_BYTES).then_some(())
    }

    /// A group as JSON: its attributes, its small arrays, and what is in its groups. Arrays larger than a
    /// line of text are named by their shape.
    pub(super) fn tree(&self, group: &Group) -> Value {
        let mut left = MOST_OBJECTS;
        self.branch(group, &mut left, 0)
    }

    fn branch(&self, group: &Group, left: &mut usize, depth: usize) -> Value {
        let mut map = attributes(group.attrs());
        if depth > DEEPEST {
            return Value::Object(map);
        }
        let (groups, datasets) = names(group);
        for name in datasets {
            let Some(rest) = left.checked_sub(1) else { break };
            *left = rest;
            if let Ok(dataset) = group.dataset(&name) {
                map.insert(name, self.leaf(&dataset));
            }
        }
        for name in groups {
            let Some(rest) = left.checked_sub(1) else { break };
            *left = rest;
            if let Ok(inside) = group.group(&name) {
                map.insert(name, self.branch(&inside, left, depth + 1));
            }
        }
        Value::Object(map)
    }

    fn leaf(&self, dataset: &Dataset) -> Value {
        const MOST_NUMBERS: usize = 64;
        let shape = self.shape(dataset).unwrap_or_default();
        let count = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size)).unwrap_or(usize::MAX);
        if count <= 1
            && let Some(text) = self.text(dataset)
        {
            return serde_json::from_str(&text).unwrap_or(Value::String(text));
        }
        if count <= MOST_NUMBERS
            && let Some(numbers) = self.numbers(dataset)
        {
            return match (shape.len(), numbers.as_slice()) {
                (0, [one]) => (*one).into(),
                _ => numbers.into(),
            };
        }
        let what = dataset.datatype().map_or("unknown".to_owned(), |datatype| type_name(&datatype));
        Value::String(format!("array of {what}, shape {shape:?}"))
    }
}

/// Names of the groups and of the arrays in a group, in alphabetical order.
pub(super) fn names(group: &Group) -> (Vec<String>, Vec<String>) {
    let sorted = |names: Result<Vec<String>, hdf5_pure::Error>| {
        let mut names = names.unwrap_or_default();
        names.sort();
        names.truncate(MOST_OBJECTS);
        names
    };
    (sorted(group.groups()), sorted(group.datasets()))
}

/// Attributes as JSON, in alphabetical order.
pub(super) fn attributes(
    read: Result<std::collections::HashMap<String, AttrValue>, hdf5_pure::Error>,
) -> Map<String, Value> {
    let sorted: BTreeMap<String, AttrValue> = read.unwrap_or_default().into_iter().collect();
    sorted.into_iter().filter_map(|(name, value)| Some((name, attribute(&value)?))).collect()
}

fn attribute(value: &AttrValue) -> Option<Value> {
    if let Some(text) = value.as_str() {
        return Some(text.into());
    }
    if let Some(texts) = value.as_strings() {
        return Some(match texts {
            [one] => one.as_str().into(),
            _ => texts.to_vec().into(),
        });
    }
    if let Some(number) = value.as_i64() {
        return Some(number.into());
    }
    if let Some(number) = value.as_u64() {
        return Some(number.into());
    }
    if let Some(number) = value.as_f64() {
        // JSON has no infinity.
        return Some(if number.is_finite() { number.into() } else { number.to_string().into() });
    }
    if let Some(numbers) = value.to_i64s() {
        return Some(numbers.into());
    }
    value.to_f64s().map(Value::from)
}

/// What `hdf5-pure` found wrong, as one line.
fn broken(error: &hdf5_pure::Error) -> Problem {
    Problem::NotThisFormat { expected: "a sound HDF5 file; copy it again", found: one_line(&error.to_string()) }
}

/// Text of others as messages show it.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 160;
    text.chars().take(LONGEST).map(|c| if c.is_control() || c == '\u{2028}' { ' ' } else { c }).collect()
}

/// The type of pixels that an HDF5 type is.
fn pixel_of(datatype: &Datatype) -> Option<(PixelType, ByteOrder)> {
    use PixelType::*;
    let order_of = |order: &DatatypeByteOrder| match order {
        DatatypeByteOrder::LittleEndian => Some(ByteOrder::Little),
        DatatypeByteOrder::BigEndian => Some(ByteOrder::Big),
        DatatypeByteOrder::Vax => None,
    };
    match datatype {
        Datatype::FixedPoint { size, byte_order, layout } => {
            let whole = layout.bit_offset == 0 && u32::from(layout.bit_precision) == size * 8;
            let pixel = match (size, layout.signed) {
                (1, false) => U8,
                (1, true) => I8,
                (2, false) => U16,
                (2, true) => I16,
                (4, false) => U32,
                (4, true) => I32,
                (8, false) => U64,
                (8, true) => I64,
                _ => return None,
            };
            whole.then_some((pixel, order_of(byte_order)?))
        }
        Datatype::FloatingPoint { size, byte_order, layout } => {
            // Exponents of IEEE 754; what differs (bfloat16, x87) is another type of the same size.
            let pixel = match (size, layout.exponent_size) {
                (2, 5) => F16,
                (4, 8) => F32,
                (8, 11) => F64,
                _ => return None,
            };
            Some((pixel, order_of(byte_order)?))
        }
        // h5py's way of booleans.
        Datatype::Enumeration { size: 1, base_type, members } if members.len() == 2 => {
            pixel_of(base_type).map(|(_, order)| (Bool, order))
        }
        Datatype::BitField { size: 1, .. } => Some((U8, ByteOrder::Little)),
        Datatype::Compound { size, members } => {
            let parts: Vec<_> = members.iter().map(|member| pixel_of(&member.datatype)).collect::<Option<_>>()?;
            let &(first, order) = parts.first()?;
            let packed = members.iter().zip(0u64..).all(|(m, i)| m.byte_offset == i * first.bytes() as u64)
                && *size as usize == members.len() * first.bytes();
            if !packed || parts.iter().any(|part| *part != (first, order)) {
                return None;
            }
            let names: Vec<String> = members.iter().map(|member| member.name.to_ascii_lowercase()).collect();
            let begins = |letters: &[&str]| names.iter().zip(letters).all(|(name, letter)| name.starts_with(letter));
            let pixel = match (first, members.len()) {
                (F32, 2) if begins(&["r", "i"]) => Complex64,
                (F64, 2) if begins(&["r", "i"]) => Complex128,
                (U8, 3) if begins(&["r", "g", "b"]) => Rgb8,
                (U8, 4) if begins(&["r", "g", "b", "a"]) => Rgba8,
                (U16, 3) if begins(&["r", "g", "b"]) => Rgb16,
                (U16, 4) if begins(&["r", "g", "b", "a"]) => Rgba16,
                _ => return None,
            };
            Some((pixel, order))
        }
        _ => None,
    }
}

/// A type for messages.
fn type_name(datatype: &Datatype) -> String {
    match datatype {
        Datatype::String { .. } | Datatype::VariableLength { is_string: true, .. } => "texts".to_owned(),
        Datatype::VariableLength { .. } => "lists of different lengths".to_owned(),
        Datatype::Compound { members, .. } => {
            let names: Vec<&str> = members.iter().take(6).map(|member| member.name.as_str()).collect();
            format!("records ({})", one_line(&names.join(", ")))
        }
        Datatype::Reference { .. } => "references".to_owned(),
        other => match pixel_of(other) {
            Some((pixel, _)) => pixel.name().to_owned(),
            None => "numbers of an unusual type".to_owned(),
        },
    }
}

/// Little-endian numbers in double precision.
fn as_f64(pixel: PixelType, bytes: &[u8]) -> Vec<f64> {
    macro_rules! each {
        ($type:ty) => {
            bytes.as_chunks().0.iter().map(|chunk| <$type>::from_le_bytes(*chunk) as f64).collect()
        };
    }
    match pixel {
        PixelType::I8 => each!(i8),
        PixelType::U16 => each!(u16),
        PixelType::I16 => each!(i16),
        PixelType::U32 => each!(u32),
        PixelType::I32 => each!(i32),
        PixelType::U64 => each!(u64),
        PixelType::I64 => each!(i64),
        PixelType::F32 => each!(f32),
        PixelType::F64 => each!(f64),
        _ => {
            let mut values = Vec::new();
            pixel.append_as_f32(bytes, &mut values);
            values.into_iter().map(f64::from).collect()
        }
    }
}
