//! Pictures of frames for a page, and how many of them a page holds.

use ndarray::ArrayView2;

use crate::calibrated_map::CalibratedMap;
use crate::canvas::Rectangle;
use crate::drawing::{Drawing, Layer, Shape};
use crate::overlay::Shown;
use crate::{ReportError, scale_bar};

/// A page shows at most this many frames, over all files, so that it can be sent and opened.
pub const MOST_PICTURES: usize = 48;

/// Every how many frames one is shown, so that a page holds no more than [`MOST_PICTURES`].
pub fn picture_step(frames: usize) -> usize {
    frames.div_ceil(MOST_PICTURES).max(1)
}

/// The longest side of a picture that suits a page with so many pictures, in pixels.
pub fn largest_side_px(pictures: usize) -> usize {
    match pictures {
        0..=2 => 2048,
        3..=12 => 1024,
        _ => 640,
    }
}

/// A frame as a grey picture.
#[derive(Debug, Clone, PartialEq)]
pub struct FramePicture {
    /// The picture as a PNG file.
    pub png: Vec<u8>,
    /// Width of what it shows, in nm.
    pub width_nm: f64,
    /// Height of what it shows, in nm.
    pub height_nm: f64,
    /// Size of a pixel of the frame itself, in nm; positions are measured from the centre of the first one.
    pub pixel_nm: f64,
}

impl FramePicture {
    /// A picture of a frame `[y, x]` with square pixels of `pixel_angstrom`, with robust contrast, reduced to a longest
    /// side of `largest_side_px` where it is larger.
    pub fn new(
        counts: ArrayView2<'_, f32>,
        pixel_angstrom: f64,
        largest_side_px: usize,
    ) -> Result<FramePicture, ReportError> {
        let shown = Shown::within(counts, pixel_angstrom, largest_side_px.max(1))?;
        let (ny, nx) = counts.dim();
        let pixel_nm = 0.1 * pixel_angstrom;
        let png = shown.pixels.png();
        Ok(FramePicture { png, width_nm: nx as f64 * pixel_nm, height_nm: ny as f64 * pixel_nm, pixel_nm })
    }

    /// A picture of a map, without its colour bar.
    pub(crate) fn of_map(
        map: &CalibratedMap<'_>,
        shape: (usize, usize),
        pixel_angstrom: f64,
    ) -> Result<FramePicture, ReportError> {
        let (ny, nx) = shape;
        let pixel_nm = 0.1 * pixel_angstrom;
        let png = map.shown()?.pixels.png();
        Ok(FramePicture { png, width_nm: nx as f64 * pixel_nm, height_nm: ny as f64 * pixel_nm, pixel_nm })
    }
}

/// A grey picture with a scale bar, for a figure among others.
pub(crate) fn small_picture(
    counts: ArrayView2<'_, f32>,
    pixel_angstrom: f64,
    largest_side_px: usize,
) -> Result<Drawing, ReportError> {
    let shown = Shown::within(counts, pixel_angstrom, largest_side_px)?;
    let area = Rectangle::new(0.0, 0.0, shown.width_px as f32, shown.height_px as f32);
    let size = (0.045 * area.width).max(9.0).round();
    Ok(Drawing {
        width_px: shown.width_px as u32,
        height_px: shown.height_px as u32,
        layers: vec![
            Layer::new("image", vec![Shape::Picture { pixels: shown.pixels, area }]),
            Layer::new("scale", scale_bar::shapes(area, shown.pixel_angstrom, size, false).to_vec()),
        ],
    })
}

/// The longest side that each of so many pictures may have, so that all of them together have about `pixels`, and none
/// is larger than a screen shows.
pub(crate) fn side_within(pixels: usize, pictures: usize) -> usize {
    ((pixels / pictures.max(1)) as f64).sqrt().clamp(200.0, 1024.0) as usize
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn a_picture_keeps_small_frames_and_reduces_large_ones() {
        for (side, limit, kept) in [(180, 1024, 180), (900, 640, 640)] {
            let array = Array2::from_shape_fn((side, side / 2), |(y, x)| ((x * 7 + y) % 31) as f32);
            let picture = FramePicture::new(array.view(), 0.2, limit).unwrap();
            let image = image::load_from_memory(&picture.png).unwrap();
            assert_eq!((image.height(), image.width()), (kept, kept / 2));
            assert_eq!(image.color(), image::ColorType::L8);
            assert!((picture.height_nm - 0.02 * side as f64).abs() < 1e-12);
        }
        assert!(FramePicture::new(Array2::zeros((0, 3)).view(), 0.2, 640).is_err());
    }

    #[test]
    fn no_number_of_frames_gives_too_many_pictures() {
        for frames in [0_usize, 1, 48, 49, 1000, 123_456] {
            assert!(frames.div_ceil(picture_step(frames)) <= MOST_PICTURES);
        }
        assert_eq!(picture_step(48), 1);
    }
}
