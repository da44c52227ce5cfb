//! Raw files: pixels without a header, of a type that the user states.

use std::path::Path;

use super::{Axis, ByteOrder, Contiguous, Input, PixelType, Signal, SignalFile, count_bytes};
use crate::{FormatError, Problem};

/// What a user says about a raw file.
#[derive(Debug, Clone, PartialEq)]
pub struct RawDescription {
    /// Type of the pixels.
    pub pixel: PixelType,
    /// Pixels of a row.
    pub width: usize,
    /// Rows of a frame.
    pub height: usize,
    /// Number of frames; `None` for as many as the file holds.
    pub frames: Option<usize>,
    /// Bytes before the first pixel.
    pub offset_bytes: u64,
    /// Bytes between the end of a frame and the start of the next.
    pub gap_bytes: u64,
    /// Order of the bytes of a number.
    pub byte_order: ByteOrder,
}

impl RawDescription {
    /// Frames from the first byte on, without gaps, little endian, as many as there are.
    pub fn new(pixel: PixelType, width: usize, height: usize) -> RawDescription {
        RawDescription {
            pixel,
            width,
            height,
            frames: None,
            offset_bytes: 0,
            gap_bytes: 0,
            byte_order: ByteOrder::Little,
        }
    }
}

/// Opens a raw file: one signal of shape `[frame, y, x]`, or `[y, x]` if it holds one frame and the number was
/// not stated.
///
/// # Errors
/// [`FormatError::Read`] if there is no such file; [`FormatError::Malformed`] if the file is too short, does not
/// hold a whole number of frames (where their number is not stated), or a size is zero.
pub fn open_raw(path: &Path, description: &RawDescription) -> Result<SignalFile, FormatError> {
    let input = Input::open(path)?;
    let RawDescription { pixel, width, height, frames, offset_bytes, gap_bytes, byte_order } = *description;
    let wrong = |problem| FormatError::in_file(path, problem);
    if width == 0 || height == 0 || frames == Some(0) {
        return Err(wrong(Problem::OutOfRange {
            what: "the size of the raw data",
            found: format!("{} frames of {height} x {width}", frames.map_or("all".to_owned(), |n| n.to_string())),
            expected: "at least 1 along every axis",
        }));
    }
    let frame_bytes = count_bytes([height, width], pixel).map_err(wrong)?;
    let length = input.bytes.length();
    let pitch = u128::from(frame_bytes) + u128::from(gap_bytes);
    let count = match frames {
        Some(count) => count,
        None => {
            // The gap after the last frame may be there or not.
            let content = u128::from(length.saturating_sub(offset_bytes));
            let count = (content + u128::from(gap_bytes)) / pitch;
            let whole = count * pitch;
            if count == 0 {
                let expected = u128::from(offset_bytes) + u128::from(frame_bytes);
                return Err(wrong(Problem::CutShort { expected, found: length }));
            }
            if content != whole && content + u128::from(gap_bytes) != whole {
                return Err(wrong(Problem::NotThisFormat {
                    expected: "a whole number of such frames; check width, height, type and offset, or state \
                        the number of frames",
                    found: format!(
                        "after {offset_bytes} bytes there are {content}, and a frame of {height} x {width} {} takes {pitch}",
                        pixel.name()
                    ),
                }));
            }
            count as usize
        }
    };
    let expected = u128::from(offset_bytes) + pitch * (count as u128 - 1) + u128::from(frame_bytes);
    if expected > u128::from(length) {
        return Err(wrong(Problem::CutShort { expected, found: length }));
    }
    let data = if gap_bytes == 0 {
        Contiguous::new(&input, offset_bytes, count as u64 * (height as u64 * width as u64), pixel, byte_order)?
    } else {
        let offsets = (0..count as u64).map(|frame| offset_bytes + frame * (frame_bytes + gap_bytes)).collect();
        Contiguous::in_pieces(&input, offsets, height as u64 * width as u64, pixel, byte_order)?
    };
    let mut axes = vec![Axis::signal("y", height), Axis::signal("x", width)];
    if count > 1 || frames.is_some() {
        axes.insert(0, Axis::navigation("frame", count));
    }
    let signal = Signal::new(path, input.stem(), pixel, axes, data)?;
    Ok(SignalFile { path: path.to_owned(), format: "raw", signals: vec![signal], notes: Vec::new() })
}
