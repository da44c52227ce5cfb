//! The directories of a TIFF file: lists of tags, one a page.
//!
//! TIFF 6.0 (Aldus, 1992) and BigTIFF (<http://bigtiff.org>). A tag's values are read when they are asked for; they stand in the
//! file, so there is never more of them than the file is long.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::fields::{Fields, text_of};
use super::super::{ByteOrder, Input};
use crate::{FormatError, Problem};

/// Where the values of a tag stand.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    offset: u64,
}

/// A page's tags.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    entries: Vec<Entry>,
    order: ByteOrder,
}

/// Bytes of a value of each kind; 0 for kinds that are not known.
fn size_of_kind(kind: u16) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}

/// Every directory of the file, in the order of their chain.
pub(super) fn read(input: &Input) -> Result<Vec<Directory>, FormatError> {
    let order = if input.head.starts_with(b"MM") { ByteOrder::Big } else { ByteOrder::Little };
    let mut fields = Fields::new(input, order);
    fields.go_to(2)?;
    let big = fields.u16()? == 43;
    if big {
        // Size of offsets, always 8, and a zero.
        fields.skip(4)?;
    }
    let mut next = if big { fields.u64()? } else { fields.u32()?.into() };
    let (mut seen, mut directories) = (HashSet::new(), Vec::new());
    while next != 0 {
        if !seen.insert(next) {
            break;
        }
        match page(&mut fields, next, big) {
            Ok((directory, following)) => {
                directories.push(directory);
                next = following;
            }
            // Programs that were stopped leave a chain that ends in nothing; the pages before it are sound.
            Err(_) if !directories.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    if directories.is_empty() {
        return Err(input.malformed(Problem::Missing {
            what: "the first page of the TIFF file".to_owned(),
            advice: "the recording was not finished, or the file was cut short; copy it again",
        }));
    }
    Ok(directories)
}

fn page(fields: &mut Fields<'_>, at: u64, big: bool) -> Result<(Directory, u64), FormatError> {
    fields.go_to(at)?;
    let count = if big { fields.u64()? } else { fields.u16()?.into() };
    let (entry_bytes, inline_bytes) = if big { (20, 8) } else { (12, 4) };
    let whole = count.checked_mul(entry_bytes).filter(|bytes| *bytes <= fields.rest());
    // A count past the end of the file is reported as such.
    let Some(whole) = whole else { return fields.skip(u64::MAX).map(|()| unreachable_page(fields.order)) };
    let start = fields.position();
    let mut entries = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (tag, kind) = (fields.u16()?, fields.u16()?);
        let count = if big { fields.u64()? } else { fields.u32()?.into() };
        let here = fields.position();
        let inside = if big { fields.u64()? } else { fields.u32()?.into() };
        // EM-MENU states a length of 1 for its header and puts the header's place where a value would stand.
        let inline = tag != super::makers::TVIPS && count.saturating_mul(size_of_kind(kind)) <= inline_bytes;
        entries.push(Entry { tag, kind, count, offset: if inline { here } else { inside } });
    }
    fields.go_to(start + whole)?;
    let next = if big { fields.u64() } else { fields.u32().map(u64::from) };
    Ok((Directory { entries, order: fields.order }, next.unwrap_or(0)))
}

fn unreachable_page(order: ByteOrder) -> (Directory, u64) {
    (Directory { entries: Vec::new(), order }, 0)
}

impl Directory {
    pub(super) fn order(&self) -> ByteOrder {
        self.order
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// Where the values of a tag begin.
    pub(super) fn place(&self, tag: u16) -> Option<u64> {
        self.entry(tag).map(|entry| entry.offset)
    }

    fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// Whole numbers; an error if the tag is there and its values are not in the file.
    pub(super) fn integers(&self, input: &Input, tag: u16) -> Result<Option<Vec<u64>>, FormatError> {
        let Some(entry) = self.entry(tag) else { return Ok(None) };
        let size = size_of_kind(entry.kind);
        if !matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18) {
            return Ok(None);
        }
        let mut bytes = self.raw(input, entry)?;
        self.order.to_little(&mut bytes, size as usize);
        let number = |chunk: &[u8]| chunk.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok(Some(bytes.chunks_exact(size as usize).map(number).collect()))
    }

    pub(super) fn integer(&self, input: &Input, tag: u16) -> Result<Option<u64>, FormatError> {
        Ok(self.integers(input, tag)?.and_then(|numbers| numbers.first().copied()))
    }

    /// Numbers of any kind, fractions worked out; `None` if it is no number.
    pub(super) fn numbers(&self, input: &Input, tag: u16) -> Option<Vec<f64>> {
        let entry = self.entry(tag)?;
        let mut bytes = self.raw(input, entry).ok()?;
        let part = match entry.kind {
            5 | 10 => 4,
            kind => size_of_kind(kind) as usize,
        };
        self.order.to_little(&mut bytes, part);
        macro_rules! each {
            ($type:ty) => {
                bytes.as_chunks().0.iter().map(|chunk| <$type>::from_le_bytes(*chunk) as f64).collect()
            };
        }
        let fractions = |numbers: Vec<f64>| numbers.chunks_exact(2).map(|pair| pair[0] / pair[1]).collect();
        Some(match entry.kind {
            1 => each!(u8),
            6 => each!(i8),
            3 => each!(u16),
            8 => each!(i16),
            4 | 13 => each!(u32),
            9 => each!(i32),
            16 | 18 => each!(u64),
            17 => each!(i64),
            5 => fractions(each!(u32)),
            10 => fractions(each!(i32)),
            11 => each!(f32),
            12 => each!(f64),
            _ => return None,
        })
    }

    pub(super) fn number(&self, input: &Input, tag: u16) -> Option<f64> {
        self.numbers(input, tag)?.first().copied().filter(|number| number.is_finite())
    }

    /// A text, or bytes taken for one.
    pub(super) fn text(&self, input: &Input, tag: u16) -> Option<String> {
        const LONGEST: u64 = 1 << 24;
        let entry = self.entry(tag)?;
        if !matches!(entry.kind, 1 | 2 | 6 | 7) {
            return None;
        }
        let short = Entry { count: entry.count.min(LONGEST), ..*entry };
        Some(text_of(&self.raw(input, &short).ok()?))
    }

    fn raw(&self, input: &Input, entry: &Entry) -> Result<Vec<u8>, FormatError> {
        let mut fields = Fields::new(input, self.order);
        fields.go_to(entry.offset)?;
        fields.bytes(entry.count.saturating_mul(size_of_kind(entry.kind)))
    }

    /// All tags that are numbers and texts of reasonable length, by name where the standard names them.
    pub(super) fn metadata(&self, input: &Input) -> Map<String, Value> {
        const MOST_NUMBERS: u64 = 64;
        let mut map = Map::new();
        for entry in &self.entries {
            let value = match entry.kind {
                2 => self.text(input, entry.tag).map(Value::String),
                1 | 7 if entry.count > MOST_NUMBERS => Some(format!("{} bytes", entry.count).into()),
                0 | 14 | 15 | 19.. => None,
                _ if entry.count > MOST_NUMBERS => Some(format!("{} numbers", entry.count).into()),
                _ => self.numbers(input, entry.tag).map(|numbers| match numbers.as_slice() {
                    [one] => Value::from(*one),
                    _ => numbers.into(),
                }),
            };
            let name = name_of(entry.tag).map_or_else(|| entry.tag.to_string(), str::to_owned);
            map.extend(value.map(|value| (name, value)));
        }
        map
    }
}

fn name_of(tag: u16) -> Option<&'static str> {
    Some(match tag {
        254 => "NewSubfileType",
        256 => "ImageWidth",
        257 => "ImageLength",
        258 => "BitsPerSample",
        259 => "Compression",
        262 => "PhotometricInterpretation",
        270 => "ImageDescription",
        271 => "Make",
        272 => "Model",
        273 => "StripOffsets",
        274 => "Orientation",
        277 => "SamplesPerPixel",
        278 => "RowsPerStrip",
        279 => "StripByteCounts",
        282 => "XResolution",
        283 => "YResolution",
        284 => "PlanarConfiguration",
        296 => "ResolutionUnit",
        297 => "PageNumber",
        305 => "Software",
        306 => "DateTime",
        315 => "Artist",
        316 => "HostComputer",
        317 => "Predictor",
        320 => "ColorMap",
        322 => "TileWidth",
        323 => "TileLength",
        324 => "TileOffsets",
        325 => "TileByteCounts",
        338 => "ExtraSamples",
        339 => "SampleFormat",
        _ => return None,
    })
}
