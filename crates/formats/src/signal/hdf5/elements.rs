//! Elements of an HDF5 array in any order of its axes, read chunk by chunk.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_pure::{ChunkIndex, Dataset, Filter, Layout};

use super::super::bytes::read_exactly;
use super::super::{ByteOrder, Bytes, Elements, Input, PixelType};
use super::{broken, filter};
use crate::{FormatError, Problem};

/// A chunk that has to be unpacked as a whole may not be larger; programs make chunks of a few MB.
const LARGEST_CHUNK_BYTES: u64 = 1 << 30;
/// Unpacked chunks that are kept: those that the next rows need again.
const KEPT_BYTES: usize = 1 << 26;
/// Chunks up to here are read as a whole even where a row of them would do.
const SMALL_BYTES: u64 = 1 << 22;

/// Where a chunk stands in the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Number of the chunk in the grid of chunks, in C order.
    number: u64,
    offset: u64,
    bytes: u64,
    filter_mask: u32,
}

/// An array in chunks; one that is stored in one piece is one chunk. Chunks that were never written read as zeros.
pub(crate) struct HdfElements {
    path: PathBuf,
    bytes: Arc<dyn Bytes>,
    pixel: PixelType,
    byte_order: ByteOrder,
    /// Lengths of the array, as stored.
    stored: Vec<u64>,
    /// Lengths of a chunk, as stored.
    chunk: Vec<u64>,
    /// Number of chunks along each axis.
    grid: Vec<u64>,
    /// The stored axis that is axis i of what is given out.
    order: Vec<usize>,
    filters: Vec<Filter>,
    places: Vec<Place>,
    kept: Mutex<VecDeque<(u64, Arc<Vec<u8>>)>>,
}

impl HdfElements {
    /// Finds the chunks of an array. `order` holds every axis once.
    pub(super) fn new(
        input: &Input,
        dataset: &Dataset,
        pixel: PixelType,
        byte_order: ByteOrder,
        shape: &[usize],
        order: &[usize],
    ) -> Result<HdfElements, FormatError> {
        let wrong = |error: hdf5_pure::Error| input.malformed(broken(&error));
        let file_bytes = input.bytes.length();
        let stored: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
        let count: u64 = stored.iter().product();
        let total = count * pixel.bytes() as u64;
        let mut elements = HdfElements {
            path: input.path.clone(),
            bytes: input.bytes.clone(),
            pixel,
            byte_order,
            chunk: stored.iter().map(|size| (*size).max(1)).collect(),
            grid: vec![1; stored.len()],
            stored,
            order: order.to_vec(),
            filters: Vec::new(),
            places: Vec::new(),
            kept: Mutex::new(VecDeque::new()),
        };
        match dataset.layout().map_err(wrong)? {
            Layout::Contiguous { address, size } => {
                if let Some(offset) = address {
                    if size < total {
                        let problem = Problem::CutShort { expected: total.into(), found: size };
                        return Err(input.malformed(problem));
                    }
                    elements.places.push(Place { number: 0, offset, bytes: total, filter_mask: 0 });
                }
            }
            Layout::Compact { size } => {
                // Inside of the header, which is at most 64 kB.
                if size != total || total > 1 << 16 {
                    let problem = Problem::CutShort { expected: total.into(), found: size };
                    return Err(input.malformed(problem));
                }
                let data = dataset.read_raw().map_err(wrong)?;
                let problem = Problem::CutShort { expected: total.into(), found: data.len() as u64 };
                if data.len() as u64 != total {
                    return Err(input.malformed(problem));
                }
                elements.bytes = Arc::new(data);
                elements.places.push(Place { number: 0, offset: 0, bytes: total, filter_mask: 0 });
            }
            Layout::Chunked { chunk_shape, index } => elements.find_chunks(input, dataset, &chunk_shape, index)?,
            other => {
                let found = format!("an array whose storage is {other}");
                return Err(input.malformed(Problem::NotThisFormat { expected: "an array inside of the file", found }));
            }
        }
        let length = elements.bytes.length();
        for place in &elements.places {
            if place.offset.checked_add(place.bytes).is_none_or(|end| end > length) {
                let expected = u128::from(place.offset) + u128::from(place.bytes);
                return Err(input.malformed(Problem::CutShort { expected, found: length }));
            }
        }
        let there: u64 = elements.places.iter().map(|place| place.bytes).fold(0, u64::saturating_add).min(file_bytes);
        if total > there.saturating_mul(filter::MOST_EXPANSION).max(1 << 16) {
            return Err(input.malformed(Problem::CutShort { expected: total.into(), found: there }));
        }
        Ok(elements)
    }

    fn find_chunks(
        &mut self,
        input: &Input,
        dataset: &Dataset,
        chunk_shape: &[u64],
        index: ChunkIndex,
    ) -> Result<(), FormatError> {
        let refused = |found: String| {
            input.malformed(Problem::NotThisFormat { expected: "chunks that this reader can unpack", found })
        };
        self.filters = dataset.filter_pipeline();
        if let Some(name) = filter::unknown(&self.filters) {
            return Err(refused(format!("an array behind the HDF5 filter {name}")));
        }
        if index == ChunkIndex::BTreeV2 {
            return Err(refused("chunks in a version 2 B-tree (an array that can grow along several axes)".to_owned()));
        }
        if chunk_shape.len() != self.stored.len() || chunk_shape.contains(&0) {
            return Err(refused(format!("chunks of shape {chunk_shape:?} for an array of shape {:?}", self.stored)));
        }
        self.chunk = chunk_shape.to_vec();
        self.grid = self.stored.iter().zip(chunk_shape).map(|(size, chunk)| size.div_ceil(*chunk)).collect();
        let chunk_bytes = chunk_shape
            .iter()
            .try_fold(self.pixel.bytes() as u64, |product, size| product.checked_mul(*size))
            .ok_or_else(|| refused(format!("chunks of shape {chunk_shape:?}")))?;
        if !self.filters.is_empty() && chunk_bytes > LARGEST_CHUNK_BYTES {
            return Err(refused(format!("packed chunks of {chunk_bytes} bytes, more than {LARGEST_CHUNK_BYTES}")));
        }
        // These indices have a place for every chunk, so there cannot be more chunks than bytes.
        let chunks = self.grid.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        if index != ChunkIndex::BTreeV1 && chunks.is_none_or(|chunks| chunks > input.bytes.length()) {
            return Err(refused(format!("an array of shape {:?} in chunks of shape {chunk_shape:?}", self.stored)));
        }
        let chunks = dataset.chunks().map_err(|error| input.malformed(broken(&error)))?;
        for chunk in chunks {
            let inside = chunk.offset.len() == self.stored.len()
                && chunk.offset.iter().zip(&self.stored).all(|(offset, size)| offset < size);
            if !inside {
                // Chunks that an array has outgrown when it was made shorter.
                continue;
            }
            if self.filters.is_empty() && chunk.storage_size != chunk_bytes {
                return Err(refused(format!("a chunk of {} bytes where {chunk_bytes} belong", chunk.storage_size)));
            }
            let number = chunk
                .offset
                .iter()
                .zip(&self.chunk)
                .zip(&self.grid)
                .fold(0, |number, ((offset, size), grid)| number * grid + offset / size);
            let (offset, bytes) = (chunk.address, chunk.storage_size);
            self.places.push(Place { number, offset, bytes, filter_mask: chunk.filter_mask });
        }
        self.places.sort_by_key(|place| place.number);
        self.places.dedup_by_key(|place| place.number);
        Ok(())
    }

    fn failed(&self, found: String) -> FormatError {
        FormatError::in_file(
            &self.path,
            Problem::NotThisFormat { expected: "an undamaged array; copy the file again", found },
        )
    }

    /// The chunk of a number in the grid; `None` if it was never written.
    fn place(&self, number: u64) -> Option<&Place> {
        self.places.binary_search_by_key(&number, |place| place.number).ok().map(|at| &self.places[at])
    }

    /// Bytes of a chunk, unpacked.
    fn unpacked(&self, place: &Place) -> Result<Arc<Vec<u8>>, FormatError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(number, _)| *number == place.number) {
            let entry = kept.remove(at).ok_or_else(|| self.failed("a lost chunk".to_owned()))?;
            let bytes = entry.1.clone();
            kept.push_back(entry);
            return Ok(bytes);
        }
        let expected: u64 = self.chunk.iter().product::<u64>() * self.pixel.bytes() as u64;
        let stored = read_exactly(&*self.bytes, place.offset, place.bytes as usize)
            .map_err(|error| FormatError::Read { path: self.path.clone(), error })?;
        let bytes = filter::undo(stored, &self.filters, place.filter_mask, self.pixel.bytes(), expected as usize)
            .map_err(|found| self.failed(found))?;
        let bytes = Arc::new(bytes);
        kept.push_back((place.number, bytes.clone()));
        let mut total: usize = kept.iter().map(|(_, bytes)| bytes.len()).sum();
        while kept.len() > 1 && total > KEPT_BYTES {
            total -= kept.pop_front().map_or(0, |(_, bytes)| bytes.len());
        }
        Ok(bytes)
    }

    /// Copies `out.len()` bytes of elements that stand `stride` elements apart in a chunk, from `start` on.
    fn copy(&self, number: u64, start: u64, stride: u64, out: &mut [u8]) -> Result<(), FormatError> {
        let size = self.pixel.bytes();
        let Some(place) = self.place(number) else { return Ok(()) };
        // What is not packed need not be in memory as a whole: long stretches are read where they are wanted.
        let large = if stride == 1 { SMALL_BYTES } else { KEPT_BYTES as u64 };
        if self.filters.is_empty() && place.bytes > large {
            let read = |at: u64, out: &mut [u8]| {
                let offset = place.offset + at * size as u64;
                self.bytes.read_at(offset, out).map_err(|error| FormatError::Read { path: self.path.clone(), error })
            };
            if stride == 1 {
                return read(start, out);
            }
            return out.chunks_exact_mut(size).zip(0..).try_for_each(|(element, i)| read(start + i * stride, element));
        }
        let bytes = self.unpacked(place)?;
        let (start, stride) = (start as usize * size, stride as usize * size);
        let damaged = || self.failed("a chunk that is too short".to_owned());
        if stride == size {
            out.copy_from_slice(bytes.get(start..start + out.len()).ok_or_else(damaged)?);
            return Ok(());
        }
        for (element, from) in out.chunks_exact_mut(size).zip((start..).step_by(stride)) {
            element.copy_from_slice(bytes.get(from..from + size).ok_or_else(damaged)?);
        }
        Ok(())
    }
}

impl Elements for HdfElements {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let size = self.pixel.bytes();
        let mut buffer = vec![0; count * size];
        // The place along each stored axis, from the number of the element in the order in which it is given out.
        let mut place = vec![0u64; self.order.len()];
        let mut rest = first;
        for axis in self.order.iter().rev() {
            let length = self.stored[*axis].max(1);
            place[*axis] = rest % length;
            rest /= length;
        }
        let Some(&fast) = self.order.last() else {
            self.copy(0, 0, 1, &mut buffer)?;
            self.byte_order.to_little(&mut buffer, self.pixel.part_bytes());
            return Ok(buffer);
        };
        let stride: u64 = self.chunk[fast + 1..].iter().product();
        let mut out = buffer.as_mut_slice();
        while !out.is_empty() {
            let (mut number, mut start) = (0, 0);
            for ((place, chunk), grid) in place.iter().zip(&self.chunk).zip(&self.grid) {
                number = number * grid + place / chunk;
                start = start * chunk + place % chunk;
            }
            let to_chunk_end = self.chunk[fast] - place[fast] % self.chunk[fast];
            let run = to_chunk_end.min(self.stored[fast] - place[fast]).min((out.len() / size) as u64);
            let (part, others) = out.split_at_mut(run as usize * size);
            self.copy(number, start, stride, part)?;
            out = others;
            place[fast] += run;
            for axis in self.order.iter().rev() {
                if place[*axis] < self.stored[*axis] {
                    break;
                }
                place[*axis] = 0;
                if let Some(slower) = self.order.iter().rev().skip_while(|a| *a != axis).nth(1) {
                    place[*slower] += 1;
                }
            }
        }
        self.byte_order.to_little(&mut buffer, self.pixel.part_bytes());
        Ok(buffer)
    }
}
