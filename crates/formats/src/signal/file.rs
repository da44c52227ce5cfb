//! Opening a file: which format it is, and what it holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::{of_file, read_exactly, unpacked};
use super::{Bytes, PixelType, Signal, dm, hdf5, mrc, npy, picture, tia, tiff, tvips};
use crate::{FormatError, Problem};

/// A file and the signals in it.
#[derive(Debug, Clone)]
pub struct SignalFile {
    /// The file.
    pub path: PathBuf,
    /// Name of its format, such as "DigitalMicrograph 4".
    pub format: &'static str,
    /// What it holds, in the file's order.
    pub signals: Vec<Signal>,
    /// What a user should know about how it was read: parts that were left out, doubtful calibrations.
    pub notes: Vec<String>,
}

impl SignalFile {
    /// The image or stack of images: the first of those whose pixels have a length, or else the first of numbers that
    /// are not complex, or else the first. Velox keeps transforms beside the images, in the order of random numbers.
    ///
    /// # Errors
    /// [`FormatError::NotAnImage`] if there is none; it says what there is instead.
    pub fn image(&self) -> Result<&Signal, FormatError> {
        let images = || self.signals.iter().filter(|signal| signal.is_image());
        let real = |signal: &&Signal| !matches!(signal.pixel, PixelType::Complex64 | PixelType::Complex128);
        let best = images().filter(real).find(|signal| signal.pixel_size().is_some());
        best.or_else(|| images().find(real)).or_else(|| images().next()).ok_or_else(|| {
            let found = match self.signals.as_slice() {
                [] => "no signal".to_owned(),
                signals => signals.iter().take(4).map(Signal::kind).collect::<Vec<_>>().join("; "),
            };
            FormatError::NotAnImage { path: self.path.clone(), found }
        })
    }
}

/// A file as the modules of the formats get it. What is inside gzip is unpacked on the way.
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Arc<dyn Bytes>,
    /// Its first bytes, at most 4096.
    pub head: Vec<u8>,
    /// Ending of its name in small letters, without the dot and without `.gz`.
    pub extension: String,
    /// Whether it is inside gzip.
    pub compressed: bool,
}

impl Input {
    /// Opens a file.
    ///
    /// # Errors
    /// [`FormatError::Read`] if there is none, or its gzip stream is damaged; [`FormatError::Malformed`] if it is empty.
    pub fn open(path: &Path) -> Result<Input, FormatError> {
        let bytes = of_file(path).map_err(|error| FormatError::Read { path: path.to_owned(), error })?;
        Input::of_bytes(path, bytes)
    }

    /// Takes bytes for the content of a file of that name.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub fn of_bytes(path: &Path, bytes: Arc<dyn Bytes>) -> Result<Input, FormatError> {
        const HEAD: u64 = 4096;
        let failed = |error| FormatError::Read { path: path.to_owned(), error };
        let (bytes, compressed) = unpacked(bytes).map_err(failed)?;
        let length = bytes.length();
        if length == 0 {
            return Err(FormatError::in_file(path, Problem::Empty));
        }
        let head = read_exactly(&*bytes, 0, length.min(HEAD) as usize).map_err(failed)?;
        let mut name = path.to_owned();
        if compressed && extension_of(&name) == "gz" {
            name.set_extension("");
        }
        Ok(Input { path: path.to_owned(), bytes, head, extension: extension_of(&name), compressed })
    }

    /// The file's name without folder and ending: the title where a file has none.
    pub fn stem(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
    }

    /// `count` bytes from `offset` on; nothing is made room for that the file does not hold.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if the file is shorter, [`FormatError::Read`] if the disk refuses.
    pub fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let (expected, found) = (u128::from(offset) + count as u128, self.bytes.length());
        if expected > u128::from(found) {
            return Err(FormatError::in_file(&self.path, Problem::CutShort { expected, found }));
        }
        read_exactly(&*self.bytes, offset, count).map_err(|error| FormatError::Read { path: self.path.clone(), error })
    }

    /// The error of a damaged file.
    pub(crate) fn malformed(&self, problem: Problem) -> FormatError {
        FormatError::in_file(&self.path, problem)
    }
}

fn extension_of(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// A format: how to tell it, and how to read it.
struct Format {
    recognises: fn(&Input) -> bool,
    open: fn(&Input) -> Result<SignalFile, FormatError>,
}

/// In the order in which they are tried: magic numbers that cannot be mistaken first, formats that are told by a
/// plausible header next, those that only the name's ending tells last.
const FORMATS: &[Format] = &[
    Format { recognises: dm::recognises, open: dm::open },
    Format { recognises: hdf5::recognises, open: hdf5::open },
    Format { recognises: tiff::recognises, open: tiff::open },
    Format { recognises: picture::recognises, open: picture::open },
    Format { recognises: tia::recognises_ser, open: tia::open_ser },
    Format { recognises: tia::recognises_emi, open: tia::open_emi },
    Format { recognises: npy::recognises, open: npy::open },
    Format { recognises: npy::recognises_archive, open: npy::open_archive },
    Format { recognises: mrc::recognises, open: mrc::open },
    Format { recognises: tvips::recognises, open: tvips::open },
    Format { recognises: tvips::recognises_part, open: tvips::open_part },
];

/// Opens a file of any known format; the content says which, and the name's ending where it does not.
///
/// Only headers are read. Files inside gzip are unpacked as they are read.
///
/// # Errors
/// [`FormatError::Read`] if there is no such file or the disk refuses, [`FormatError::UnknownKind`] if it is of no
/// known format, [`FormatError::Malformed`] if it is damaged.
pub fn open(path: &Path) -> Result<SignalFile, FormatError> {
    open_input(&Input::open(path)?)
}

/// Opens what is already in memory, or comes from elsewhere; see [`Input::of_bytes`] and [`open`].
///
/// # Errors
/// As [`open`].
pub fn open_input(input: &Input) -> Result<SignalFile, FormatError> {
    match FORMATS.iter().find(|format| (format.recognises)(input)) {
        Some(format) => (format.open)(input),
        None => Err(FormatError::UnknownKind {
            path: input.path.clone(),
            what: "image file",
            expected: "DM3, DM4, SER or EMI, EMD, HSPY, MRC, TIFF, TVIPS, PNG, JPEG, NPY or NPZ; \
                for raw data state type, width and height",
        }),
    }
}
