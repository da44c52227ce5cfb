//! MRC images and stacks.
//!
//! Defined in MRC2014 (A. Cheng et al., doi:10.1016/j.jsb.2015.04.002;
//! <https://www.ccpem.ac.uk/mrc-format/mrc2014/>). Written as image stacks (space group 0, `mz` = 1), little
//! endian, mode 2 for float and mode 6 for 16 bits; 8 bits a pixel go into mode 6 too, since mode 0 is
//! signed. The cell's lengths over `mx` and `my` are the pixel size in angstrom. Images follow one
//! another with the focus running faster than the frame, row 0 first; programs that count y upwards, such as
//! IMOD, draw row 0 at the bottom. Compatible with mrcfile.
//!
//! The header's layout comes from the crate `mrc`. Its writer is not used: it reads the whole file
//! back from the disk to gather the statistics, and it wants to own the file, which then could not be renamed
//! when complete.

use std::io::{self, Write};
use std::path::Path;

use ::mrc::Header;
use ndarray::ArrayView4;

use crate::whole_file::write_whole_file;
use crate::{FormatError, Frames, PixelData};

const MODE_F32: i32 = 2;
const MODE_U16: i32 = 6;

/// Writes an image or a stack as MRC.
///
/// # Errors
/// [`FormatError::CannotHold`] for an empty image, a pixel size that is none, or more than 2^31
/// pixels along an axis; [`FormatError::Write`] if the disk refuses.
pub fn write_mrc(path: &Path, frames: &Frames<'_>) -> Result<(), FormatError> {
    frames.check(path)?;
    let [frame_count, focus_count, ny, nx] = frames.shape();
    let axis = |length: usize| {
        i32::try_from(length)
            .map_err(|_| FormatError::cannot_hold(path, format!("{length} along an axis is too much for MRC")))
    };
    let mut header = Header::new();
    header.nx = axis(nx)?;
    header.ny = axis(ny)?;
    header.nz = axis(frame_count * focus_count)?;
    (header.mx, header.my) = (header.nx, header.ny);
    header.set_image_stack();
    header.xlen = (nx as f64 * frames.pixel_x_angstrom) as f32;
    header.ylen = (ny as f64 * frames.pixel_y_angstrom) as f32;
    // Images of a stack have no distance; a voxel as deep as it is wide is what viewers show best.
    header.zlen = frames.pixel_x_angstrom as f32;
    write_whole_file(path, |file| match frames.data {
        PixelData::U8(data) => write(file, header, MODE_U16, data, |value, out| {
            out.extend_from_slice(&u16::from(value).to_le_bytes());
        }),
        PixelData::U16(data) => {
            write(file, header, MODE_U16, data, |value, out| out.extend_from_slice(&value.to_le_bytes()))
        }
        PixelData::F32(data) => {
            write(file, header, MODE_F32, data, |value, out| out.extend_from_slice(&value.to_le_bytes()))
        }
    })
}

fn write<T: Copy + Into<f64>>(
    file: &mut impl Write,
    mut header: Header,
    mode: i32,
    data: ArrayView4<'_, T>,
    put: impl Fn(T, &mut Vec<u8>),
) -> io::Result<()> {
    header.mode = mode;
    set_statistics(&mut header, data);
    let mut bytes = [0; 1024];
    header.encode_to_bytes(&mut bytes);
    file.write_all(&bytes)?;
    let mut row_bytes = Vec::new();
    for row in data.rows() {
        row_bytes.clear();
        for value in row {
            put(*value, &mut row_bytes);
        }
        file.write_all(&row_bytes)?;
    }
    Ok(())
}

/// Lowest, highest and mean value, and the standard deviation, which the format calls RMS.
fn set_statistics<T: Copy + Into<f64>>(header: &mut Header, data: ArrayView4<'_, T>) {
    let values = || data.iter().map(|value| -> f64 { (*value).into() });
    let count = data.len() as f64;
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    if !variance.is_finite() {
        // Pixels that are no number: the header keeps its marks for "not determined".
        return;
    }
    header.dmin = values().fold(f64::INFINITY, f64::min) as f32;
    header.dmax = values().fold(f64::NEG_INFINITY, f64::max) as f32;
    header.dmean = mean as f32;
    header.rms = variance.sqrt() as f32;
}
