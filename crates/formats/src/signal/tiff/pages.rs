//! Pixels of pages in strips or tiles.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::bytes::read_exactly;
use super::super::{ByteOrder, Bytes, Elements, Input, PixelType};
use super::codec::{Packing, Predictor, undo_predictor};
use super::directory::Directory;
use crate::{FormatError, Problem};

const LARGEST_PACKED_BYTES: u64 = 1 << 30;
const KEPT_BYTES: usize = 1 << 26;

/// What pages of a stack have in common.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Geometry {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Numbers of a pixel.
    pub(super) samples: usize,
    pub(super) pixel: PixelType,
    /// Bits of a number in the file, where they are fewer than 8.
    bits: u32,
    pub(super) photometric: u64,
    packing: Packing,
    predictor: Predictor,
    order: ByteOrder,
    /// Samples stand in planes of their own.
    planar: bool,
    segment_width: usize,
    segment_height: usize,
    tiled: bool,
}

/// A page: what it looks like and where its strips or tiles are.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) geometry: Geometry,
    offsets: Vec<u64>,
    lengths: Vec<u64>,
}

impl Page {
    pub(super) fn read(input: &Input, directory: &Directory) -> Result<Page, FormatError> {
        let one = |tag, otherwise| directory.integer(input, tag).map(|value| value.unwrap_or(otherwise));
        let refused = |expected, found: String| input.malformed(Problem::NotThisFormat { expected, found });
        let (width, height) = (one(256, 0)?, one(257, 0)?);
        if width == 0 || height == 0 || width > u32::MAX.into() || height > u32::MAX.into() {
            return Err(refused("a TIFF image of a size", format!("one of {width} x {height} pixels")));
        }
        let samples = one(277, 1)?;
        let bits = directory.integers(input, 258)?.unwrap_or_else(|| vec![1]);
        let depth = bits.first().copied().unwrap_or(1);
        let formats = directory.integers(input, 339)?.unwrap_or_default();
        let format = formats.first().copied().unwrap_or(1);
        if bits.iter().any(|other| *other != depth) || formats.iter().any(|other| *other != format) {
            return Err(refused(
                "samples of one type",
                format!("samples of {:?} bits, formats {:?}", first_of(&bits), first_of(&formats)),
            ));
        }
        let photometric = one(262, 1)?;
        let (pixel, samples) = pixel_of(depth, format, samples, photometric).ok_or_else(|| {
            refused("8, 16, 32 or 64 bits", format!("{samples} samples of {depth} bits, format {format}"))
        })?;
        let packing = Packing::of(one(259, 1)?)
            .map_err(|name| refused("pixels that are plain, or packed with LZW, deflate or PackBits", name))?;
        let predictor = match (one(317, 1)?, packing) {
            (_, Packing::None) | (1, _) => Predictor::None,
            (2, _) => Predictor::Horizontal,
            (3, _) => Predictor::FloatingPoint,
            (other, _) => return Err(refused("predictor 1, 2 or 3", format!("predictor {other}"))),
        };
        let tiled = directory.has(324) || directory.has(322);
        let (segment_width, segment_height) = if tiled {
            (one(322, width)?.max(1), one(323, height)?.max(1))
        } else {
            (width, one(278, height)?.clamp(1, height))
        };
        if segment_width > u32::MAX.into() || segment_height > u32::MAX.into() {
            return Err(refused("tiles that fit", format!("tiles of {segment_width} x {segment_height}")));
        }
        let geometry = Geometry {
            width: width as usize,
            height: height as usize,
            samples,
            pixel,
            bits: if depth < 8 { depth as u32 } else { 8 },
            photometric,
            packing,
            predictor,
            order: directory.order(),
            planar: one(284, 1)? == 2 && samples * pixel.parts() > 1,
            segment_width: segment_width as usize,
            segment_height: segment_height as usize,
            tiled,
        };
        let (offset_tag, length_tag) = if directory.has(324) { (324, 325) } else { (273, 279) };
        let offsets = directory.integers(input, offset_tag)?.unwrap_or_default();
        let lengths = directory.integers(input, length_tag)?;
        let page = geometry.page(input, offsets, lengths)?;
        Ok(page)
    }

    /// Where the first pixel is, if all of them follow one another in the file without packing.
    pub(super) fn contiguous_start(&self) -> Option<u64> {
        let geometry = &self.geometry;
        if geometry.packing != Packing::None || geometry.tiled || geometry.planar || geometry.bits < 8 {
            return None;
        }
        let strip = (geometry.segment_height * geometry.row_bytes()) as u64;
        let follow = self.offsets.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(strip));
        follow.then(|| self.offsets.first().copied()).flatten()
    }

    pub(super) fn order(&self) -> ByteOrder {
        self.geometry.order
    }
}

/// So many as a message can show.
fn first_of(numbers: &[u64]) -> &[u64] {
    &numbers[..numbers.len().min(8)]
}

/// The type of a pixel, and how many such make up what the page calls one.
fn pixel_of(bits: u64, format: u64, samples: u64, photometric: u64) -> Option<(PixelType, usize)> {
    use PixelType::*;
    const COLOURS: u64 = 2;
    let colours = photometric == COLOURS;
    let single = match (bits, format) {
        (1, 1 | 4) => Bool,
        (2 | 4 | 8, 1 | 4) => U8,
        (8, 2) => I8,
        (16, 1 | 4) => U16,
        (16, 2) => I16,
        (16, 3) => F16,
        (32, 1 | 4) => U32,
        (32, 2) => I32,
        (32, 3) => F32,
        (64, 1 | 4) => U64,
        (64, 2) => I64,
        (64, 3) => F64,
        (64, 6) => Complex64,
        (128, 6) => Complex128,
        _ => return None,
    };
    Some(match (colours, bits, single, samples) {
        (true, 8, U8, 3) => (Rgb8, 1),
        (true, 8, U8, 4) => (Rgba8, 1),
        (true, 16, U16, 3) => (Rgb16, 1),
        (true, 16, U16, 4) => (Rgba16, 1),
        (_, _, _, 1..=64) if bits >= 8 || samples == 1 => (single, samples as usize),
        _ => return None,
    })
}

impl Geometry {
    fn planes(&self) -> usize {
        if self.planar { self.samples * self.pixel.parts() } else { 1 }
    }

    /// Numbers of a pixel that stand together in a strip.
    fn together(&self) -> usize {
        if self.planar { 1 } else { self.samples * self.pixel.parts() }
    }

    /// Bytes of a pixel as it is given out.
    fn pixel_bytes(&self) -> usize {
        self.samples * self.pixel.bytes()
    }

    fn row_bytes(&self) -> usize {
        self.width * self.pixel_bytes()
    }

    /// Bytes of so many rows of a strip or tile once unpacked, in the file's own bits.
    fn unpacked_bytes(&self, rows: u64) -> u64 {
        let numbers = self.segment_width as u64 * self.together() as u64;
        // Rows of few bits end at a whole byte.
        let row = if self.bits < 8 {
            (numbers * u64::from(self.bits)).div_ceil(8)
        } else {
            numbers * self.part_bytes() as u64
        };
        row.saturating_mul(rows)
    }

    fn part_bytes(&self) -> usize {
        self.pixel.part_bytes()
    }

    fn across(&self) -> usize {
        self.width.div_ceil(self.segment_width)
    }

    fn down(&self) -> usize {
        self.height.div_ceil(self.segment_height)
    }

    /// Rows that a strip or tile holds: the last strip may be shorter, a tile is whole.
    fn rows_of(&self, down: usize) -> u64 {
        if self.tiled {
            self.segment_height as u64
        } else {
            self.segment_height.min(self.height - down * self.segment_height) as u64
        }
    }

    fn page(self, input: &Input, offsets: Vec<u64>, lengths: Option<Vec<u64>>) -> Result<Page, FormatError> {
        let length = input.bytes.length();
        let wanted = (self.across() as u128) * (self.down() as u128) * (self.planes() as u128);
        if offsets.len() as u128 != wanted {
            // Some writers list more than there are; fewer is damage.
            if (offsets.len() as u128) < wanted {
                let problem = Problem::Missing {
                    what: format!("{} of {wanted} strips or tiles", wanted - offsets.len() as u128),
                    advice: "the file is damaged; copy it again",
                };
                return Err(input.malformed(problem));
            }
        }
        let mut lengths = lengths.unwrap_or_default();
        let (across, down) = (self.across(), self.down());
        let whole = self.unpacked_bytes(self.segment_height as u64);
        if self.packing != Packing::None && whole > LARGEST_PACKED_BYTES {
            let problem = Problem::TooMany {
                what: "bytes of a packed strip",
                found: whole.into(),
                limit: LARGEST_PACKED_BYTES.into(),
            };
            return Err(input.malformed(problem));
        }
        let mut total = 0u64;
        for (place, offset) in offsets.iter().enumerate().take(wanted as usize) {
            let need = self.unpacked_bytes(self.rows_of(place / across % down));
            // What is not packed is as long as it is, whatever the tag says; an offset of 0 is a tile that was never written.
            let bytes = if self.packing == Packing::None { need } else { lengths.get(place).copied().unwrap_or(0) };
            if *offset != 0 && offset.checked_add(bytes).is_none_or(|end| end > length) {
                let expected = u128::from(*offset) + u128::from(bytes);
                return Err(input.malformed(Problem::CutShort { expected, found: length }));
            }
            total = total.saturating_add(bytes);
            match lengths.get_mut(place) {
                Some(length) => *length = bytes,
                None => lengths.push(bytes),
            }
        }
        let expected = self.unpacked_bytes(self.height as u64).saturating_mul(across as u64);
        if expected > total.min(length).saturating_mul(Packing::MOST_EXPANSION) {
            return Err(input.malformed(Problem::CutShort { expected: expected.into(), found: total }));
        }
        Ok(Page { geometry: self, offsets, lengths })
    }
}

/// Pages of one geometry, one after the other.
pub(super) struct Pages {
    path: PathBuf,
    bytes: Arc<dyn Bytes>,
    geometry: Geometry,
    pages: Vec<(Vec<u64>, Vec<u64>)>,
    kept: Mutex<VecDeque<Kept>>,
}

/// Page and number of a strip or tile, and its pixels.
type Kept = ((usize, usize), Arc<Vec<u8>>);

impl Pages {
    /// `pages` is not empty.
    pub(super) fn new(input: &Input, geometry: Geometry, pages: Vec<Page>) -> Pages {
        let pages = pages.into_iter().map(|page| (page.offsets, page.lengths)).collect();
        Pages {
            path: input.path.clone(),
            bytes: input.bytes.clone(),
            geometry,
            pages,
            kept: Mutex::new(VecDeque::new()),
        }
    }

    fn damaged(&self, found: String) -> FormatError {
        FormatError::in_file(
            &self.path,
            Problem::NotThisFormat { expected: "undamaged pixels; copy the file again", found },
        )
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), FormatError> {
        self.bytes.read_at(offset, out).map_err(|error| FormatError::Read { path: self.path.clone(), error })
    }

    /// A strip or tile, unpacked: whole pixels, little endian.
    fn segment(&self, page: usize, place: usize) -> Result<Arc<Vec<u8>>, FormatError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = kept.iter().find(|(key, _)| *key == (page, place)) {
            return Ok(bytes.clone());
        }
        let geometry = &self.geometry;
        let rows = geometry.rows_of(place / geometry.across() % geometry.down());
        let planes: Vec<Vec<u8>> = (0..geometry.planes())
            .map(|plane| self.plane(page, place + plane * geometry.across() * geometry.down(), rows))
            .collect::<Result<_, _>>()?;
        let bytes = match <[Vec<u8>; 1]>::try_from(planes) {
            Ok([one]) => one,
            Err(planes) => {
                let size = geometry.part_bytes();
                let mut together = Vec::with_capacity(planes.iter().map(Vec::len).sum());
                for at in (0..planes.iter().map(Vec::len).min().unwrap_or(0)).step_by(size) {
                    planes.iter().for_each(|plane| together.extend_from_slice(&plane[at..at + size]));
                }
                together
            }
        };
        let bytes = Arc::new(bytes);
        kept.push_back(((page, place), bytes.clone()));
        let mut total: usize = kept.iter().map(|(_, bytes)| bytes.len()).sum();
        while kept.len() > 1 && total > KEPT_BYTES {
            total -= kept.pop_front().map_or(0, |(_, bytes)| bytes.len());
        }
        Ok(bytes)
    }

    fn plane(&self, page: usize, place: usize, rows: u64) -> Result<Vec<u8>, FormatError> {
        let geometry = &self.geometry;
        let expected = geometry.unpacked_bytes(rows) as usize;
        let (offsets, lengths) = &self.pages[page];
        let (Some(&offset), Some(&length)) = (offsets.get(place), lengths.get(place)) else {
            return Err(self.damaged("a strip that is missing".to_owned()));
        };
        let mut bytes = if offset == 0 {
            Vec::new()
        } else {
            let stored = read_exactly(&*self.bytes, offset, length as usize)
                .map_err(|error| FormatError::Read { path: self.path.clone(), error })?;
            geometry.packing.unpack(stored, expected).map_err(|found| self.damaged(found))?
        };
        // Strips that end early are filled up with zeros, as other readers do it.
        bytes.resize(expected, 0);
        if geometry.bits < 8 {
            return Ok(widen(&bytes, geometry.bits, geometry.segment_width * geometry.together()));
        }
        let (width, together) = (geometry.segment_width, geometry.together());
        undo_predictor(geometry.predictor, &mut bytes, width, together, geometry.part_bytes(), geometry.order);
        Ok(bytes)
    }
}

/// Numbers of 1, 2 or 4 bits become bytes; the first stands in the highest bits, and rows start at a whole byte.
fn widen(bytes: &[u8], bits: u32, width: usize) -> Vec<u8> {
    let row_bytes = (width * bits as usize).div_ceil(8).max(1);
    let mask = (1u16 << bits) - 1;
    let number = |row: &[u8], at: usize| {
        let bit = at * bits as usize;
        (u16::from(row[bit / 8]) >> (8 - bits as usize - bit % 8) & mask) as u8
    };
    bytes.chunks_exact(row_bytes).flat_map(|row| (0..width).map(move |at| number(row, at))).collect()
}

impl Elements for Pages {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let geometry = &self.geometry;
        let samples = geometry.samples;
        let size = geometry.pixel.bytes();
        let mut buffer = vec![0; count * size];
        let row_elements = (geometry.width * samples) as u64;
        let direct = geometry.packing == Packing::None && !geometry.tiled && !geometry.planar && geometry.bits == 8;
        let (mut place, mut out) = (first, buffer.as_mut_slice());
        while !out.is_empty() {
            let (row_of_all, inside_row) = (place / row_elements, (place % row_elements) as usize);
            let (page, row) =
                ((row_of_all / geometry.height as u64) as usize, (row_of_all % geometry.height as u64) as usize);
            let (down, inside) = (row / geometry.segment_height, row % geometry.segment_height);
            let left = out.len() / size;
            if direct {
                // The rest of the strip at once, without unpacking.
                let strip = (geometry.rows_of(down) as usize - inside) * geometry.width * samples - inside_row;
                let run = strip.min(left);
                let (part, others) = out.split_at_mut(run * size);
                let offset = self.pages.get(page).and_then(|(offsets, _)| offsets.get(down).copied()).unwrap_or(0);
                if offset != 0 {
                    let skipped = (inside * geometry.width * samples + inside_row) * size;
                    self.read_at(offset + skipped as u64, part)?;
                    geometry.order.to_little(part, geometry.part_bytes());
                }
                (place, out) = (place + run as u64, others);
                continue;
            }
            if page >= self.pages.len() {
                return Err(self.damaged("a page that is missing".to_owned()));
            }
            let segment_elements = geometry.segment_width * samples;
            let across = inside_row / segment_elements;
            let in_segment = inside_row % segment_elements;
            let run = (segment_elements - in_segment).min(geometry.width * samples - inside_row).min(left);
            let bytes = self.segment(page, down * geometry.across() + across)?;
            let from = (inside * segment_elements + in_segment) * size;
            let (part, others) = out.split_at_mut(run * size);
            let found = bytes.get(from..from + part.len());
            part.copy_from_slice(found.ok_or_else(|| self.damaged("a strip that is too short".to_owned()))?);
            (place, out) = (place + run as u64, others);
        }
        Ok(buffer)
    }
}
