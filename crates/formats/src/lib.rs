//! Files in and out: one module a format, each of which says what it is compatible with and where
//! the format is defined.
//!
//! | what | read | written | module |
//! |---|---|---|---|
//! | structures | XYZ, extended XYZ, CIF, Dr. Probe cells | extended XYZ, CIF | [`xyz`], [`cif`], [`cel`] |
//! | arrays | NPY | NPY | [`npy`] |
//! | images and stacks | | NPY, TIFF, MRC | [`frames`], [`tiff`], [`mrc`] |
//! | what microscopes write | see there | TIFF, MRC, NPY, HSPY | [`signal`], [`export`] |
//! | truth tables | CSV | CSV | [`truth`] |
//!
//! Readers take files as they come from instruments, programs and editors (byte order marks, CRLF,
//! blank lines) and never trust a size that a header states before the file has shown to hold it.
//! Writers put a file under its name only when it is complete ([`whole_file`]).
//!
//! Code counts in angstrom; files keep to the unit of their format, and tables that people read are in nm.

pub mod cel;
pub mod cif;
pub mod error;
pub mod export;
pub mod frames;
pub mod mrc;
pub mod npy;
pub mod signal;
pub mod structure;
mod text;
pub mod tiff;
pub mod truth;
pub mod whole_file;
pub mod xyz;

pub use error::{FormatError, ParseError, Problem};
pub use export::{ExportFormat, write_signal};
pub use frames::{FrameFormat, Frames, PixelData, write_frames};
pub use ndarray_npy::WritableElement;
pub use npy::{NpyArray, read_npy, read_wave, write_npy};
pub use structure::{read_structure, write_structure};
pub use truth::{TruthRow, read_truth, write_truth};
