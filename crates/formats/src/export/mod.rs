//! Signals out, for other programs: TIFF, MRC, NPY and HSPY, one module a format.
//!
//! Pixels go from the source to the file a few megabytes at a time, so a movie may be larger than memory, and the file
//! takes its name only when it is complete ([`crate::whole_file`]). A signal that is made, not read, is written the same way:
//! give [`Signal::new`] an [`Elements`](crate::signal::Elements) of your own.
//!
//! | format | holds | calibration |
//! |---|---|---|
//! | TIFF | images and stacks; everything but complex numbers | x, y, depth, time, as ImageJ reads it; BigTIFF above 4 GB |
//! | MRC | images and stacks; what is no number of MRC's becomes single precision, if nothing is lost of whole numbers | x, y |
//! | NPY | everything; colours as a last axis | none |
//! | HSPY | everything, with metadata | every axis |

mod hdf5;
mod hspy;
mod mrc;
mod npy;
mod tiff;

use std::io::{self, Write};
use std::path::Path;

use crate::FormatError;
use crate::signal::Signal;

/// Formats that signals are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// TIFF with the calibration that ImageJ and Fiji read.
    Tiff,
    /// MRC2014.
    Mrc,
    /// NumPy's.
    Npy,
    /// HyperSpy's.
    Hspy,
}

impl ExportFormat {
    /// The ending of its files' names, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            ExportFormat::Tiff => "tif",
            ExportFormat::Mrc => "mrc",
            ExportFormat::Npy => "npy",
            ExportFormat::Hspy => "hspy",
        }
    }

    /// The format of a file's name.
    pub fn of_path(path: &Path) -> Option<ExportFormat> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "tif" | "tiff" => Some(ExportFormat::Tiff),
            "mrc" | "mrcs" => Some(ExportFormat::Mrc),
            "npy" => Some(ExportFormat::Npy),
            "hspy" => Some(ExportFormat::Hspy),
            _ => None,
        }
    }
}

/// Writes a signal.
///
/// # Errors
/// [`FormatError::CannotHold`] if the format has no way to say it (a spectrum in TIFF, complex numbers in TIFF,
/// colours in MRC); the errors of reading the signal; [`FormatError::Write`] if the disk refuses.
pub fn write_signal(path: &Path, signal: &Signal, format: ExportFormat) -> Result<(), FormatError> {
    if signal.elements() == 0 {
        return Err(FormatError::cannot_hold(path, format!("the signal is empty (shape {:?})", signal.shape())));
    }
    match format {
        ExportFormat::Tiff => tiff::write(path, signal),
        ExportFormat::Mrc => mrc::write(path, signal),
        ExportFormat::Npy => npy::write(path, signal),
        ExportFormat::Hspy => hspy::write(path, signal),
    }
}

/// Elements of a signal in pieces, as `convert` wants them. The error of a damaged source comes out as it is, though
/// writers speak [`io::Error`]: see [`unwrap_read`].
fn copy_elements(
    signal: &Signal,
    file: &mut impl Write,
    mut convert: impl FnMut(Vec<u8>) -> io::Result<Vec<u8>>,
) -> io::Result<()> {
    const PIECE_BYTES: usize = 1 << 22;
    let piece = (PIECE_BYTES / signal.pixel.bytes()) as u64;
    let (mut first, all) = (0, signal.elements());
    while first < all {
        let count = piece.min(all - first);
        let bytes = signal.read(first, count as usize).map_err(io::Error::other)?;
        file.write_all(&convert(bytes)?)?;
        first += count;
    }
    Ok(())
}

/// An error of the source that travelled through a writer, or of the format; otherwise the error of writing as it is.
fn unwrap_read(error: FormatError) -> FormatError {
    match error {
        FormatError::Write { path, error } => match error.downcast::<FormatError>() {
            Ok(cause) => cause,
            Err(error) => FormatError::Write { path, error },
        },
        other => other,
    }
}

/// The image axes, or why there is no writing it as images.
fn images_only<'a>(
    path: &Path,
    signal: &'a Signal,
    format: &str,
) -> Result<(&'a crate::signal::Axis, &'a crate::signal::Axis), FormatError> {
    signal.image_axes().ok_or_else(|| {
        let reason = format!("{format} holds images, and this is {}; take NPY or HSPY", signal.kind());
        FormatError::cannot_hold(path, reason)
    })
}
