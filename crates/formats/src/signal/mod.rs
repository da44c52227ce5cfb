//! Signals: what the files of microscopes hold, with calibration, units and the original metadata.
//!
//! [`open`] reads headers only and lists every signal of a file; pixels are read when asked for, a stretch of
//! elements or a frame at a time, so a movie may be larger than memory. One module a format, each of which
//! says where the format is defined and what it is compatible with.
//!
//! **Conventions.** Axes stand in C order, the slowest first: an image has the shape `[y, x]`, row 0 on top, a movie
//! `[frame, y, x]`. The place of element i along an axis is `offset + i scale`, in the axis' unit. A *frame* is one
//! image along the last two axes. Pixels leave in the file's own type as little-endian bytes in C order
//! ([`Signal::read`]) or in single precision ([`Signal::frame`]).
//!
//! **Files are not believed.** Every size that a header states is compared with the file's length before room is made
//! for it; a damaged file is an error that says what was found and what was expected.

mod acquisition;
mod axis;
mod bytes;
mod dm;
mod elements;
mod emd_berkeley;
mod emd_velox;
mod fields;
mod file;
mod hdf5;
mod hspy;
mod mrc;
mod npy;
mod picture;
mod pixel;
mod raw;
mod tia;
mod tiff;
mod tvips;
mod units;
mod xml;
mod zip;

pub use acquisition::Acquisition;
pub use axis::Axis;
pub use bytes::{Bytes, BytesReader};
pub use elements::{ByteOrder, Contiguous, Elements, InMemory};
pub use file::{Input, SignalFile, open, open_input};
pub use pixel::PixelType;
pub use raw::{RawDescription, open_raw};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array2;

use crate::{FormatError, Problem};

/// One signal of a file: an image, a stack, a spectrum, a cube.
#[derive(Clone)]
pub struct Signal {
    /// What the file calls it; the file's own name without its ending where it says nothing.
    pub title: String,
    /// Type of the elements.
    pub pixel: PixelType,
    /// Axes in C order, the slowest first.
    pub axes: Vec<Axis>,
    /// What was found out about the recording.
    pub acquisition: Acquisition,
    /// The original metadata, whole, in the file's own words.
    pub metadata: serde_json::Value,
    path: PathBuf,
    data: Arc<dyn Elements>,
}

/// Distance between pixels, in nm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelSize {
    /// Along x.
    pub x_nm: f64,
    /// Along y.
    pub y_nm: f64,
}

impl Signal {
    /// A signal without metadata; fill in `acquisition` and `metadata` afterwards.
    ///
    /// `data` must have as many elements as the axes say; whoever makes it has seen to it that the file holds them.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if there are more elements than can be counted in 2^63 bytes.
    pub fn new(
        path: &Path,
        title: impl Into<String>,
        pixel: PixelType,
        axes: Vec<Axis>,
        data: impl Elements + 'static,
    ) -> Result<Signal, FormatError> {
        count_bytes(axes.iter().map(|axis| axis.size), pixel).map_err(|problem| FormatError::in_file(path, problem))?;
        Ok(Signal {
            title: title.into(),
            pixel,
            axes,
            acquisition: Acquisition::default(),
            metadata: serde_json::Value::Null,
            path: path.to_owned(),
            data: Arc::new(data),
        })
    }

    /// Lengths along the axes, the slowest first.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.size).collect()
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.axes.iter().map(|axis| axis.size as u64).product()
    }

    /// `count` elements from `first` on, as little-endian bytes in C order. The caller chooses how many that are.
    ///
    /// # Errors
    /// [`FormatError::Read`] if the disk refuses, [`FormatError::Malformed`] if the data are damaged or the
    /// signal has fewer elements.
    pub fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let elements = self.elements();
        if first.checked_add(count as u64).is_none_or(|end| end > elements) {
            return Err(FormatError::in_file(
                &self.path,
                Problem::TooMany {
                    what: "the last element that was asked for",
                    found: u128::from(first) + count as u128,
                    limit: u128::from(elements),
                },
            ));
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.data.read(first, count)?;
        let expected = count * self.pixel.bytes();
        if bytes.len() != expected {
            let problem = Problem::CutShort { expected: expected as u128, found: bytes.len() as u64 };
            return Err(FormatError::in_file(&self.path, problem));
        }
        Ok(bytes)
    }

    /// Whether it has frames to look at: exactly its last two axes are axes of an image.
    pub fn is_image(&self) -> bool {
        let last = self.axes.len().saturating_sub(2);
        self.axes.len() >= 2
            && self.axes.iter().enumerate().all(|(place, axis)| axis.navigation == (place < last))
            && self.axes[last..].iter().all(|axis| axis.size > 0)
    }

    /// The axes of a frame, y and x; `None` if it is no image.
    pub fn image_axes(&self) -> Option<(&Axis, &Axis)> {
        let [.., y, x] = self.axes.as_slice() else { return None };
        self.is_image().then_some((y, x))
    }

    /// Number of frames: the product of the lengths of all axes but the last two.
    pub fn frames(&self) -> u64 {
        self.axes.iter().rev().skip(2).map(|axis| axis.size as u64).product()
    }

    /// Distance between pixels where the file has it; `None` for a diffraction pattern, for pixels without a unit and for
    /// a placeholder (zero or negative).
    pub fn pixel_size(&self) -> Option<PixelSize> {
        let (y, x) = self.image_axes()?;
        Some(PixelSize { x_nm: x.pitch_nm()?, y_nm: y.pitch_nm()? })
    }

    /// A frame, shape `[y, x]`, in single precision: complex numbers as their modulus, colours as their
    /// luminance (ITU-R BT.601), true as 1. The file's own rows, unscaled.
    ///
    /// Frames are counted over all axes but the last two, the fastest of them running fastest.
    ///
    /// # Errors
    /// [`FormatError::NotAnImage`] if it has no frames; otherwise as [`Signal::read`].
    pub fn frame(&self, index: u64) -> Result<Array2<f32>, FormatError> {
        /// Rows are read in bands, so that the file's bytes and the frame are not in memory together.
        const BAND_BYTES: usize = 1 << 22;
        let Some((y, x)) = self.image_axes() else {
            return Err(FormatError::NotAnImage { path: self.path.clone(), found: self.kind() });
        };
        let (ny, nx) = (y.size, x.size);
        let frames = self.frames();
        if index >= frames {
            let problem = Problem::TooMany {
                what: "the frame that was asked for, counted from 1",
                found: u128::from(index) + 1,
                limit: u128::from(frames),
            };
            return Err(FormatError::in_file(&self.path, problem));
        }
        let start = index * (ny as u64 * nx as u64);
        let band = (BAND_BYTES / (nx * self.pixel.bytes())).max(1);
        let mut values = Vec::with_capacity(ny * nx);
        for first_row in (0..ny).step_by(band) {
            let rows = band.min(ny - first_row);
            let bytes = self.read(start + first_row as u64 * nx as u64, rows * nx)?;
            self.pixel.append_as_f32(&bytes, &mut values);
        }
        // `read` answers with as many elements as it was asked for, so the shape fits.
        Ok(Array2::from_shape_vec((ny, nx), values).expect("as many values as pixels"))
    }

    /// What it is, in a few words, for messages: "a spectrum of 2048 values (Energy loss)".
    pub fn kind(&self) -> String {
        let shape = self.shape().iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        let signal: Vec<_> = self.axes.iter().filter(|axis| !axis.navigation).collect();
        let along = match signal.first() {
            Some(axis) if !axis.name.is_empty() => format!(" along {}", axis.name),
            _ => String::new(),
        };
        if self.is_image() {
            let what = if self.axes.len() == 2 { "an image" } else { "a stack of images" };
            return format!("{what} of {shape}");
        }
        match (self.axes.len(), signal.len()) {
            (0, _) => "a single value".to_owned(),
            (1, _) => format!("a spectrum or profile of {shape}{along}"),
            (_, 1) => format!("spectra, {shape}{along}"),
            _ => format!("an array of {shape}"),
        }
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signal({:?}: {} of {:?})", self.title, self.kind(), self.pixel)
    }
}

/// How many bytes so many elements take; an error if they cannot be counted.
pub(crate) fn count_bytes(sizes: impl IntoIterator<Item = usize>, pixel: PixelType) -> Result<u64, Problem> {
    let times = |product: u128, size: usize| product.checked_mul(size as u128);
    let mut sizes = sizes.into_iter().peekable();
    let bytes = sizes.try_fold(pixel.bytes() as u128, times).unwrap_or(u128::MAX);
    if bytes > i64::MAX as u128 {
        return Err(Problem::TooMany { what: "bytes of the pixels", found: bytes, limit: i64::MAX as u128 });
    }
    Ok(bytes as u64)
}
