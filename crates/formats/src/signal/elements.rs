//! Where the elements of a signal come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Bytes, Input, PixelType};
use crate::{FormatError, Problem};

/// A source of elements, in little-endian bytes and C order.
pub trait Elements: Send + Sync {
    /// `count` elements from `first` on. [`Signal`](super::Signal) asks only for elements that its axes announce.
    ///
    /// # Errors
    /// [`FormatError::Read`] if the disk refuses, [`FormatError::Malformed`] if the data are damaged.
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError>;
}

impl<T: Elements + ?Sized> Elements for Box<T> {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        (**self).read(first, count)
    }
}

/// Order of the bytes of a number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ByteOrder {
    /// The least significant byte first.
    #[default]
    Little,
    /// The most significant byte first.
    Big,
}

impl ByteOrder {
    /// Turns numbers of `part_bytes` bytes into little endian.
    pub(crate) fn to_little(self, bytes: &mut [u8], part_bytes: usize) {
        if self == ByteOrder::Big && part_bytes > 1 {
            bytes.chunks_exact_mut(part_bytes).for_each(<[u8]>::reverse);
        }
    }
}

/// Elements that stand in a file one after the other, in one piece or in pieces of equal length.
pub struct Contiguous {
    path: PathBuf,
    bytes: Arc<dyn Bytes>,
    pieces: Vec<u64>,
    piece_elements: u64,
    pixel: PixelType,
    order: ByteOrder,
}

impl Contiguous {
    /// `elements` elements from `offset` on.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if the file is too short to hold them.
    pub fn new(
        input: &Input,
        offset: u64,
        elements: u64,
        pixel: PixelType,
        order: ByteOrder,
    ) -> Result<Contiguous, FormatError> {
        Contiguous::in_pieces(input, vec![offset], elements, pixel, order)
    }

    /// A piece of `piece_elements` elements at each of the offsets.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if the file is too short to hold them.
    pub fn in_pieces(
        input: &Input,
        offsets: Vec<u64>,
        piece_elements: u64,
        pixel: PixelType,
        order: ByteOrder,
    ) -> Result<Contiguous, FormatError> {
        let piece = u128::from(piece_elements) * pixel.bytes() as u128;
        let expected = offsets.iter().max().map_or(0, |last| u128::from(*last) + piece);
        let found = input.bytes.length();
        if expected > u128::from(found) {
            return Err(FormatError::in_file(&input.path, Problem::CutShort { expected, found }));
        }
        let path = input.path.clone();
        Ok(Contiguous { path, bytes: input.bytes.clone(), pieces: offsets, piece_elements, pixel, order })
    }
}

impl Elements for Contiguous {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let size = self.pixel.bytes();
        let mut buffer = vec![0; count * size];
        let (mut place, mut rest) = (first, buffer.as_mut_slice());
        while !rest.is_empty() {
            let (piece, inside) = (place / self.piece_elements, place % self.piece_elements);
            let here = (self.piece_elements - inside).min((rest.len() / size) as u64);
            let (part, others) = rest.split_at_mut(here as usize * size);
            let offset = self.pieces.get(piece as usize).map(|start| start + inside * size as u64);
            let done = offset.ok_or(std::io::ErrorKind::UnexpectedEof.into());
            done.and_then(|offset| self.bytes.read_at(offset, part))
                .map_err(|error| FormatError::Read { path: self.path.clone(), error })?;
            (place, rest) = (place + here, others);
        }
        self.order.to_little(&mut buffer, self.pixel.part_bytes());
        Ok(buffer)
    }
}

/// Images that a format stores with the lowest row first, handed out with the highest first.
pub(crate) struct BottomUp<E> {
    stored: E,
    pixel_bytes: usize,
    columns: u64,
    rows: u64,
}

impl<E: Elements> BottomUp<E> {
    /// Images of so many rows and columns, one after the other.
    pub(crate) fn new(stored: E, pixel: PixelType, rows: usize, columns: usize) -> BottomUp<E> {
        BottomUp { stored, pixel_bytes: pixel.bytes(), columns: columns as u64, rows: rows as u64 }
    }
}

impl<E: Elements> Elements for BottomUp<E> {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let (columns, rows) = (self.columns, self.rows);
        let mut bytes = Vec::with_capacity(count * self.pixel_bytes);
        let (mut place, end) = (first, first + count as u64);
        while place < end {
            // The whole rows of one image that hold what is wanted of it, from `top` on.
            let (top, left) = (place / columns, place % columns);
            let (image, row) = (top / rows, top % rows);
            let wanted = (end - place).min((rows - row) * columns - left);
            let band = (left + wanted).div_ceil(columns);
            let stored = self.stored.read((image * rows + rows - row - band) * columns, (band * columns) as usize)?;
            let (start, length) = (left as usize * self.pixel_bytes, wanted as usize * self.pixel_bytes);
            let filled = bytes.len();
            for (number, line) in stored.chunks_exact(columns as usize * self.pixel_bytes).rev().enumerate() {
                let line = if number == 0 { &line[start..] } else { line };
                let missing = length - (bytes.len() - filled);
                bytes.extend_from_slice(&line[..line.len().min(missing)]);
            }
            place += wanted;
        }
        Ok(bytes)
    }
}

/// Elements that are already in memory, for what a format stores in a form that has to be worked out as a whole.
pub struct InMemory {
    bytes: Vec<u8>,
    size: usize,
}

impl InMemory {
    /// Little-endian bytes in C order.
    pub fn new(bytes: Vec<u8>, pixel: PixelType) -> InMemory {
        InMemory { bytes, size: pixel.bytes() }
    }
}

impl Elements for InMemory {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let piece = usize::try_from(first)
            .ok()
            .and_then(|first| first.checked_mul(self.size))
            .and_then(|start| self.bytes.get(start..start.checked_add(count.checked_mul(self.size)?)?));
        piece.map(<[u8]>::to_vec).ok_or_else(|| {
            let found = self.bytes.len() as u64;
            let expected = (u128::from(first) + count as u128) * self.size as u128;
            FormatError::in_file(Path::new("data in memory"), Problem::CutShort { expected, found })
        })
    }
}
