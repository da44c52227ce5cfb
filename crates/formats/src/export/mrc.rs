//! MRC images and stacks; the format as in [`crate::mrc`].
//!
//! Whole numbers of 8 and 16 bits, half and single precision and single precision complex keep their type; unsigned bytes become
//! 16 bits, since mode 0 is signed. Others become single precision, which is refused where whole numbers would
//! change. The statistics in the header are gathered while the pixels pass.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use ::mrc::Header;

use super::{copy_elements, images_only, unwrap_read};
use crate::FormatError;
use crate::signal::{PixelType, Signal};
use crate::whole_file::write_whole_file;

/// Beyond this, single precision has gaps between whole numbers.
const EXACT_IN_F32: f64 = 16_777_216.0;

pub(super) fn write(path: &Path, signal: &Signal) -> Result<(), FormatError> {
    let (y, x) = images_only(path, signal, "MRC")?;
    let axis = |length: u64| {
        i32::try_from(length)
            .map_err(|_| FormatError::cannot_hold(path, format!("{length} along an axis is too much for MRC")))
    };
    let mode = match signal.pixel {
        PixelType::I8 => 0,
        PixelType::I16 => 1,
        PixelType::Complex64 => 4,
        PixelType::Bool | PixelType::U8 | PixelType::U16 => 6,
        PixelType::F16 => 12,
        PixelType::U32 | PixelType::I32 | PixelType::U64 | PixelType::I64 | PixelType::F32 | PixelType::F64 => 2,
        _ => {
            let reason = format!("MRC has no mode for {}; take TIFF, NPY or HSPY", signal.pixel.name());
            return Err(FormatError::cannot_hold(path, reason));
        }
    };
    let mut header = Header::new();
    (header.nx, header.ny, header.nz) = (axis(x.size as u64)?, axis(y.size as u64)?, axis(signal.frames())?);
    (header.mx, header.my) = (header.nx, header.ny);
    header.set_image_stack();
    header.mode = mode;
    // Without a length of a pixel the cell has none: zero is how MRC says so.
    let pixel = signal.pixel_size();
    let angstrom = |nm: Option<f64>, count: usize| nm.map_or(0.0, |nm| (nm * 10.0 * count as f64) as f32);
    header.xlen = angstrom(pixel.map(|size| size.x_nm), x.size);
    header.ylen = angstrom(pixel.map(|size| size.y_nm), y.size);
    header.zlen = angstrom(pixel.map(|size| size.x_nm), 1);
    write_whole_file(path, |file| {
        let mut statistics = Statistics::default();
        file.write_all(&[0; 1024])?;
        copy_elements(signal, file, |bytes| {
            let mut values = Vec::with_capacity(bytes.len() / signal.pixel.bytes());
            signal.pixel.append_as_f32(&bytes, &mut values);
            // Of complex numbers the format asks for none.
            if signal.pixel != PixelType::Complex64 {
                statistics.add(&values);
            }
            Ok(match signal.pixel {
                PixelType::Bool | PixelType::U8 => bytes.iter().flat_map(|value| [*value, 0]).collect(),
                PixelType::U32 | PixelType::I32 | PixelType::U64 | PixelType::I64 => {
                    if let Some(value) = values.iter().find(|value| f64::from(value.abs()) > EXACT_IN_F32) {
                        let reason = format!("MRC's single precision would round {value}; take TIFF, NPY or HSPY");
                        return Err(io::Error::other(FormatError::cannot_hold(path, reason)));
                    }
                    values.iter().flat_map(|value| value.to_le_bytes()).collect()
                }
                PixelType::F64 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                _ => bytes,
            })
        })?;
        statistics.fill(&mut header);
        let mut bytes = [0; 1024];
        header.encode_to_bytes(&mut bytes);
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&bytes)?;
        file.seek(SeekFrom::End(0)).map(drop)
    })
    .map_err(unwrap_read)
}

/// Lowest, highest, mean and standard deviation, in one pass (B. P. Welford, doi:10.1080/00401706.1962.10490022).
#[derive(Default)]
struct Statistics {
    count: f64,
    mean: f64,
    squares: f64,
    range: Option<(f32, f32)>,
}

impl Statistics {
    fn add(&mut self, values: &[f32]) {
        for value in values {
            self.count += 1.0;
            let difference = f64::from(*value) - self.mean;
            self.mean += difference / self.count;
            self.squares += difference * (f64::from(*value) - self.mean);
            let (low, high) = self.range.unwrap_or((*value, *value));
            self.range = Some((low.min(*value), high.max(*value)));
        }
    }

    fn fill(&self, header: &mut Header) {
        let variance = self.squares / self.count;
        // Pixels that are no number: the header keeps its marks for "not determined".
        if let (Some((low, high)), true) = (self.range, variance.is_finite()) {
            (header.dmin, header.dmax) = (low, high);
            header.dmean = self.mean as f32;
            header.rms = variance.sqrt() as f32;
        }
    }
}
