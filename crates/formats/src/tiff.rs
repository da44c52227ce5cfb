//! TIFF images and stacks with the calibration that ImageJ and Fiji read.
//!
//! Defined in TIFF, revision 6.0 (Aldus, 1992); above 4 GB the
//! file is a BigTIFF, which Fiji opens through Bio-Formats. Grey, 8 or 16 bits or 32-bit float, not
//! compressed, one page an image, the focus running faster than the frame. The pixel size is in
//! `XResolution` and `YResolution` (pixels a nm) with `unit=nm` in the description of the first page, and
//! the description's `slices` are the focus values, its `frames` the frames, as ImageJ's
//! `TiffDecoder` reads them. Compatible with tifffile.

use std::fmt::Write as _;
use std::io::{self, Seek, Write};
use std::path::Path;

use ::tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float};
use ::tiff::encoder::{Rational, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue};
use ::tiff::tags::{ResolutionUnit, Tag};
use ::tiff::{TiffError, TiffResult};
use ndarray::ArrayView4;

use crate::whole_file::write_whole_file;
use crate::{FormatError, Frames, PixelData};

const ANGSTROM_PER_NM: f64 = 10.0;
/// Beyond this the 32-bit offsets of a plain TIFF might not reach, tags included.
const LARGEST_PLAIN_BYTES: u64 = 4_200_000_000;

/// Writes an image or a stack as TIFF.
///
/// # Errors
/// [`FormatError::CannotHold`] for an empty image or a pixel size that is none; [`FormatError::Write`]
/// if the disk refuses.
pub fn write_tiff(path: &Path, frames: &Frames<'_>) -> Result<(), FormatError> {
    frames.check(path)?;
    let [_, _, ny, nx] = frames.shape();
    if u32::try_from(nx).is_err() || u32::try_from(ny).is_err() {
        return Err(FormatError::cannot_hold(path, format!("an image of {nx} x {ny} pixels is too large for TIFF")));
    }
    write_whole_file(path, |file| match frames.data {
        PixelData::U8(data) => write_pages::<Gray8, _>(file, data, frames, false),
        PixelData::U16(data) => write_pages::<Gray16, _>(file, data, frames, false),
        PixelData::F32(data) => write_pages::<Gray32Float, _>(file, data, frames, true),
    })
}

fn write_pages<C, W>(file: W, data: ArrayView4<'_, C::Inner>, frames: &Frames<'_>, find_range: bool) -> io::Result<()>
where
    C: ColorType,
    C::Inner: Copy + Into<f64>,
    [C::Inner]: TiffValue,
    W: Write + Seek,
{
    // ImageJ stretches the contrast of float images over the whole range of the type unless told one.
    let range = find_range.then(|| range(data.iter().map(|value| (*value).into()))).flatten();
    let description = description(frames.shape(), range);
    let bytes = data.len() as u64 * size_of::<C::Inner>() as u64 + data.len_of(ndarray::Axis(0)) as u64 * 1024;
    let written = if bytes <= LARGEST_PLAIN_BYTES {
        TiffEncoder::new(file).and_then(|encoder| encode::<C, _, TiffKindStandard>(encoder, data, frames, &description))
    } else {
        TiffEncoder::new_big(file).and_then(|encoder| encode::<C, _, TiffKindBig>(encoder, data, frames, &description))
    };
    written.map_err(|error| match error {
        TiffError::IoError(error) => error,
        other => io::Error::other(other),
    })
}

fn encode<C, W, K>(
    mut encoder: TiffEncoder<W, K>,
    data: ArrayView4<'_, C::Inner>,
    frames: &Frames<'_>,
    description: &str,
) -> TiffResult<()>
where
    C: ColorType,
    C::Inner: Copy,
    [C::Inner]: TiffValue,
    W: Write + Seek,
    K: TiffKind,
{
    let resolution = |pixel_angstrom: f64| {
        let (n, d) = as_fraction(ANGSTROM_PER_NM / pixel_angstrom);
        Rational { n, d }
    };
    let mut first = true;
    for frame in data.outer_iter() {
        for page in frame.outer_iter() {
            let (ny, nx) = page.dim();
            let mut image = encoder.new_image::<C>(nx as u32, ny as u32)?;
            image.resolution_unit(ResolutionUnit::None);
            image.x_resolution(resolution(frames.pixel_x_angstrom));
            image.y_resolution(resolution(frames.pixel_y_angstrom));
            if std::mem::take(&mut first) {
                image.encoder().write_tag(Tag::ImageDescription, description)?;
            }
            let page = page.as_standard_layout();
            image.write_data(page.as_slice().unwrap_or_default())?;
        }
    }
    Ok(())
}

/// What ImageJ reads about a stack.
fn description([frames, focus_values, _, _]: [usize; 4], range: Option<(f64, f64)>) -> String {
    let mut text = String::from("ImageJ=1.53k\n");
    if frames * focus_values > 1 {
        let _ = writeln!(text, "images={}", frames * focus_values);
        if focus_values > 1 {
            let _ = writeln!(text, "slices={focus_values}");
        }
        if frames > 1 {
            let _ = writeln!(text, "frames={frames}");
        }
        if frames > 1 && focus_values > 1 {
            let _ = writeln!(text, "hyperstack=true");
        }
        let _ = writeln!(text, "mode=grayscale\nloop=false");
    }
    let _ = writeln!(text, "unit=nm");
    if let Some((low, high)) = range {
        let _ = writeln!(text, "min={low}\nmax={high}");
    }
    text
}

/// Lowest and highest of the finite values.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// The nearest fraction of two 32-bit numbers, by continued fractions: round pixel sizes come out exactly.
pub(crate) fn as_fraction(value: f64) -> (u32, u32) {
    let largest = f64::from(u32::MAX);
    // Two successive convergents.
    let (mut before, mut now) = ((0.0, 1.0), (1.0, 0.0));
    let mut rest = value;
    for _ in 0..40 {
        let whole = rest.floor();
        let next: (f64, f64) = (whole * now.0 + before.0, whole * now.1 + before.1);
        if next.0 > largest || next.1 > largest {
            break;
        }
        (before, now) = (now, next);
        let remainder = rest - whole;
        if (now.0 / now.1 - value).abs() <= 1e-14 * value || remainder <= 0.0 {
            break;
        }
        rest = 1.0 / remainder;
    }
    (now.0 as u32, (now.1 as u32).max(1))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ::tiff::decoder::{Decoder, DecodingResult};
    use ndarray::Array4;

    use super::*;

    #[test]
    fn files_above_4_gb_hold_the_same_pages() {
        let data = Array4::from_shape_fn((2, 3, 4, 5), |(t, f, y, x)| (t * 60 + f * 20 + y * 5 + x) as u16);
        let frames = Frames { data: PixelData::U16(data.view()), pixel_x_angstrom: 0.1, pixel_y_angstrom: 0.1 };
        let mut file = Cursor::new(Vec::new());
        let encoder = TiffEncoder::new_big(&mut file).unwrap();
        encode::<Gray16, _, TiffKindBig>(encoder, data.view(), &frames, "big").unwrap();
        file.set_position(0);
        let mut decoder = Decoder::new(file).unwrap();
        for page in data.clone().into_shape_with_order((6, 20)).unwrap().outer_iter() {
            let DecodingResult::U16(found) = decoder.read_image().unwrap() else { panic!("another type") };
            assert_eq!(found, page.to_vec());
            if decoder.more_images() {
                decoder.next_image().unwrap();
            }
        }
        assert!(!decoder.more_images());
    }

    #[test]
    fn round_pixel_sizes_are_exact() {
        // 0.0123 nm, 0.025 nm, 1 nm a pixel.
        for (angstrom, fraction) in [(0.123, (10_000, 123)), (0.25, (40, 1)), (10.0, (1, 1))] {
            assert_eq!(as_fraction(ANGSTROM_PER_NM / angstrom), fraction);
        }
        for angstrom in [0.101_234_567_89, 1.0 / 3.0, std::f64::consts::PI, 1e-6, 1e8] {
            let (n, d) = as_fraction(ANGSTROM_PER_NM / angstrom);
            let found = ANGSTROM_PER_NM * f64::from(d) / f64::from(n);
            assert!((found / angstrom - 1.0).abs() < 1e-9, "{angstrom}: {found}");
        }
    }
}
