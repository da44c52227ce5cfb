//! Images and stacks with their pixel size, as the writers take them.

use std::path::Path;

use atomlens_core::Grid;
use ndarray::{ArrayView, ArrayView4, Axis, Dimension, Ix4};

use crate::FormatError;
use crate::npy::write_array;
use crate::whole_file::write_whole_file;

/// The pixels of an image or a stack, shape `[frame, focus, y, x]`, in the type that is written.
#[derive(Debug, Clone, Copy)]
pub enum PixelData<'a> {
    /// 8 bits a pixel.
    U8(ArrayView4<'a, u8>),
    /// 16 bits a pixel.
    U16(ArrayView4<'a, u16>),
    /// Single precision.
    F32(ArrayView4<'a, f32>),
}

/// An image, a movie, a focal series or a movie of focal series.
#[derive(Debug, Clone, Copy)]
pub struct Frames<'a> {
    /// Pixels, shape `[frame, focus, y, x]`.
    pub data: PixelData<'a>,
    /// Distance between pixels along x, in angstrom.
    pub pixel_x_angstrom: f64,
    /// Distance between pixels along y, in angstrom.
    pub pixel_y_angstrom: f64,
}

/// Formats of images and stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameFormat {
    /// NumPy's; has no pixel size.
    Npy,
    /// TIFF with the calibration that ImageJ and Fiji read.
    Tiff,
    /// MRC2014.
    Mrc,
}

impl FrameFormat {
    /// The ending of its files' names, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            FrameFormat::Npy => "npy",
            FrameFormat::Tiff => "tif",
            FrameFormat::Mrc => "mrc",
        }
    }

    /// The format of a file's name.
    pub fn of_path(path: &Path) -> Option<FrameFormat> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "npy" => Some(FrameFormat::Npy),
            "tif" | "tiff" => Some(FrameFormat::Tiff),
            "mrc" | "mrcs" => Some(FrameFormat::Mrc),
            _ => None,
        }
    }
}

/// Writes an image or a stack in the format of the name's ending.
///
/// An NPY file has the axes that the data need: `[y, x]`, `[frame, y, x]` or `[focus, y, x]`, and all
/// four where both are longer than 1.
///
/// # Errors
/// [`FormatError::UnknownKind`] for another ending than `.npy`, `.tif`, `.tiff`, `.mrc`, `.mrcs`;
/// [`FormatError::CannotHold`] for an empty image or a pixel size that is none; [`FormatError::Write`]
/// if the disk refuses.
pub fn write_frames(path: &Path, frames: &Frames<'_>) -> Result<(), FormatError> {
    match FrameFormat::of_path(path) {
        Some(FrameFormat::Npy) => write_frames_npy(path, frames),
        Some(FrameFormat::Tiff) => crate::tiff::write_tiff(path, frames),
        Some(FrameFormat::Mrc) => crate::mrc::write_mrc(path, frames),
        None => Err(FormatError::UnknownKind {
            path: path.to_owned(),
            what: "image file to write",
            expected: ".npy, .tif, .tiff, .mrc or .mrcs",
        }),
    }
}

fn write_frames_npy(path: &Path, frames: &Frames<'_>) -> Result<(), FormatError> {
    fn write<T: ndarray_npy::WritableElement + Clone>(
        file: &mut impl std::io::Write,
        data: ArrayView4<'_, T>,
    ) -> std::io::Result<()> {
        let mut data = data.into_dyn();
        for _ in 0..2 {
            // Axis 1 is the focus, and after its removal it is y, which stays.
            let unused = (0..data.ndim() - 2).find(|axis| data.shape()[*axis] == 1);
            if let Some(axis) = unused {
                data = data.index_axis_move(Axis(axis), 0);
            }
        }
        write_array(file, data)
    }
    frames.check(path)?;
    write_whole_file(path, |file| match frames.data {
        PixelData::U8(data) => write(file, data),
        PixelData::U16(data) => write(file, data),
        PixelData::F32(data) => write(file, data),
    })
}

impl<'a> Frames<'a> {
    /// Pixels on a grid: `[y, x]` for an image, `[frame, y, x]` for a movie, `[frame, focus, y, x]`.
    pub fn new(data: impl Into<PixelData<'a>>, grid: &Grid) -> Frames<'a> {
        Frames { data: data.into(), pixel_x_angstrom: grid.pixel_x_angstrom, pixel_y_angstrom: grid.pixel_y_angstrom }
    }

    /// Numbers of frames, focus values, rows and columns.
    pub fn shape(&self) -> [usize; 4] {
        let shape = match &self.data {
            PixelData::U8(data) => data.dim(),
            PixelData::U16(data) => data.dim(),
            PixelData::F32(data) => data.dim(),
        };
        shape.into()
    }

    /// What no format can hold.
    pub(crate) fn check(&self, path: &Path) -> Result<(), FormatError> {
        let shape = self.shape();
        if shape.contains(&0) {
            return Err(FormatError::cannot_hold(path, format!("the image is empty (shape {shape:?})")));
        }
        for size in [self.pixel_x_angstrom, self.pixel_y_angstrom] {
            if !(size.is_finite() && (1e-6..1e9).contains(&size)) {
                return Err(FormatError::cannot_hold(
                    path,
                    format!("the pixel size is {size} angstrom: expected from 1e-6 to 1e9"),
                ));
            }
        }
        Ok(())
    }
}

macro_rules! from_views {
    ($($variant:ident: $element:ty),*) => {$(
        impl<'a, D: Dimension> From<ArrayView<'a, $element, D>> for PixelData<'a>
        where
            ArrayView<'a, $element, D>: IntoFour<'a, $element>,
        {
            fn from(view: ArrayView<'a, $element, D>) -> PixelData<'a> {
                PixelData::$variant(view.into_four())
            }
        }
    )*};
}
from_views!(U8: u8, U16: u16, F32: f32);

/// Views that can be seen as `[frame, focus, y, x]`.
pub trait IntoFour<'a, T> {
    /// The same pixels with all four axes.
    fn into_four(self) -> ArrayView<'a, T, Ix4>;
}

impl<'a, T> IntoFour<'a, T> for ndarray::ArrayView2<'a, T> {
    fn into_four(self) -> ArrayView4<'a, T> {
        self.insert_axis(Axis(0)).insert_axis(Axis(0))
    }
}

impl<'a, T> IntoFour<'a, T> for ndarray::ArrayView3<'a, T> {
    fn into_four(self) -> ArrayView4<'a, T> {
        self.insert_axis(Axis(1))
    }
}

impl<'a, T> IntoFour<'a, T> for ArrayView4<'a, T> {
    fn into_four(self) -> ArrayView4<'a, T> {
        self
    }
}
