//! Pictures of a measured quantity: its values as colours with a colour bar that has the unit, and a scale bar; alone or
//! beside others.
//!
//! A small map is enlarged by a whole factor, a large one is reduced by area weighting, as a micrograph is by
//! [`crate::Overlay`]. What lies beyond the ends of the colour bar has the colour of the end, and the bar says so.

use std::path::Path;

use image::GrayImage;
use ndarray::{Array2, ArrayView2};

use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::{ColourMap, INK};
use crate::colour_bar::{ColourBar, ColourRange};
use crate::drawing::{Drawing, Layer, Pixels, Shape};
use crate::overlay::{LARGEST_SIDE_PX, Shown};
use crate::panel::check_size;
use crate::text::{Paragraph, line_spacing};
use crate::{ReportError, raster, scale_bar};

/// Percentiles of the values that become the ends of the colour bar, unless limits are given.
///
/// Columns cover about a hundredth of a field, and their peaks are what there is to see: the upper end is beyond them.
pub const LIMITS_PERCENT: (f64, f64) = (0.1, 99.95);

/// A measured quantity over an area.
///
/// ```
/// use atomlens_report::{CalibratedMap, ColourMap};
/// let phase = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| 0.01 * (x * y % 17) as f32);
/// let map = CalibratedMap::new(phase.view(), 0.1, ColourMap::Viridis, "Phase (rad)");
/// assert!(map.drawing()?.to_svg("phase").contains("Phase (rad)"));
/// # Ok::<(), atomlens_report::ReportError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CalibratedMap<'a> {
    values: ArrayView2<'a, f32>,
    pixel_angstrom: f64,
    map: ColourMap,
    label: String,
    title: String,
    caption: String,
    limits: Option<(f32, f32)>,
    largest_px: usize,
}

impl<'a> CalibratedMap<'a> {
    /// A map of values `[y, x]` with square pixels of `pixel_angstrom`. The label is the quantity and its unit, such as
    /// `Phase (rad)`.
    pub fn new(
        values: ArrayView2<'a, f32>,
        pixel_angstrom: f64,
        map: ColourMap,
        label: impl Into<String>,
    ) -> CalibratedMap<'a> {
        CalibratedMap {
            values,
            pixel_angstrom,
            map,
            label: label.into(),
            title: String::new(),
            caption: String::new(),
            limits: None,
            largest_px: LARGEST_SIDE_PX,
        }
    }

    /// The values at the two ends of the colour bar. Without them they are two percentiles of the values,
    /// [`LIMITS_PERCENT`], on a diverging map equally far from zero.
    pub fn limits(mut self, low: f32, high: f32) -> CalibratedMap<'a> {
        self.limits = Some((low, high));
        self
    }

    /// What is written above the map.
    pub fn title(mut self, title: impl Into<String>) -> CalibratedMap<'a> {
        self.title = title.into();
        self
    }

    /// What is written below the map; long captions are wrapped.
    pub fn caption(mut self, caption: impl Into<String>) -> CalibratedMap<'a> {
        self.caption = caption.into();
        self
    }

    /// The longest side of the picture, in pixels; [`LARGEST_SIDE_PX`] without it.
    pub fn largest_side_px(mut self, largest_px: usize) -> CalibratedMap<'a> {
        self.largest_px = largest_px.max(32);
        self
    }

    /// The values at the ends of the colour bar.
    pub fn ends(&self) -> (f32, f32) {
        self.limits.unwrap_or_else(|| {
            let (low, high) =
                raster::percentiles(self.values, LIMITS_PERCENT.0, LIMITS_PERCENT.1).unwrap_or((0.0, 0.0));
            let (low, high) = if self.map == ColourMap::Diverging {
                let furthest = low.abs().max(high.abs());
                (-furthest, furthest)
            } else {
                (low, high)
            };
            // A flat map is as good as one value.
            if low < high { (low, high) } else { (low - 0.5, low + 0.5) }
        })
    }

    /// The range of the colour bar, which says whether there are values beyond.
    pub(crate) fn range(&self) -> ColourRange {
        let (low, high) = self.ends();
        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        ColourRange {
            low: f64::from(low),
            high: f64::from(high),
            clipped_low: finite().any(|value| value < low),
            clipped: finite().any(|value| value > high),
        }
    }

    /// The picture as shapes.
    pub fn drawing(&self) -> Result<Drawing, ReportError> {
        let shown = self.shown()?;
        let (width, height) = (shown.width_px as f32, shown.height_px as f32);
        let size = (0.5 * (width + height) / 40.0).clamp(14.0, 40.0).round();
        let title = Paragraph::fit(&self.title, 1.1 * size, width);
        let top = if title.lines.is_empty() { 0.0 } else { title.height_px() as f32 + 0.7 * size };
        let picture = Rectangle::new(0.0, top, width, height);
        let area = Rectangle::new(
            width + 0.6 * size,
            (top + 0.5 * size).round(),
            size.round(),
            (height - size).max(1.0).round(),
        );
        let bar = ColourBar::new(self.range(), self.map, &self.label, false, area, size);
        let caption = Paragraph::fit(&self.caption, size, bar.right);
        let gap = if caption.lines.is_empty() { 0.0 } else { 0.5 * size };
        // Half a line more than the picture, for the numbers at the ends of a low colour bar.
        let below = top + height.max(area.height + size) + gap;
        let height_px = (below + caption.height_px() as f32 + gap).ceil() as u32;
        let width_px = bar.right.ceil() as u32;
        check_size(width_px, height_px)?;
        let line = |paragraph: &Paragraph, index: usize, horizontal, x: f32, top: f32| {
            let at = Point::new(x, top + index as f32 * line_spacing(paragraph.size_px));
            Shape::text(&paragraph.lines[index], paragraph.size_px, INK, (horizontal, Vertical::Top), at)
        };
        let titles = (0..title.lines.len()).map(|i| line(&title, i, Horizontal::Centre, 0.5 * width, 0.3 * size));
        let captions = (0..caption.lines.len()).map(|i| line(&caption, i, Horizontal::Left, 0.0, below));
        let layers = vec![
            Layer::new("image", vec![Shape::Picture { pixels: shown.pixels, area: picture }]),
            Layer::new("scale", scale_bar::shapes(picture, shown.pixel_angstrom, size, false).to_vec()),
            Layer::new("legend", bar.shapes),
            Layer::new("words", titles.chain(captions).collect()),
        ];
        Ok(Drawing { width_px, height_px, layers })
    }

    /// The values as pixels.
    pub(crate) fn shown(&self) -> Result<Shown, ReportError> {
        let shade = |values: &Array2<f32>| levels(values, self.ends(), self.map);
        Shown::shaded(self.values, self.pixel_angstrom, self.largest_px, shade)
    }

    /// Writes the picture as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.drawing()?.write_png(path)
    }

    /// Writes the picture as an SVG file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        let what = if self.title.is_empty() { self.label.clone() } else { format!("{}: {}", self.title, self.label) };
        self.drawing()?.write_svg(path, &what)
    }
}

/// Values as steps of a colour map.
fn levels(values: &Array2<f32>, (low, high): (f32, f32), map: ColourMap) -> Pixels {
    let step = f32::from(Pixels::STEPS - 1) / (high - low);
    let levels = GrayImage::from_fn(values.ncols() as u32, values.nrows() as u32, |x, y| {
        let value = values[[y as usize, x as usize]];
        let level = ((value - low) * step).round().clamp(0.0, f32::from(Pixels::STEPS - 1));
        image::Luma([if value.is_finite() { level as u8 } else { Pixels::MISSING }])
    });
    Pixels::Mapped { levels, map }
}

/// Maps beside each other, each with its colour bar.
pub fn side_by_side(maps: &[CalibratedMap<'_>]) -> Result<Drawing, ReportError> {
    if maps.is_empty() {
        return Err(ReportError::Empty { what: "the list of maps" });
    }
    Drawing::beside(equally_wide(maps)?, 24)
}

/// Maps one by one with the same room for every colour bar, so that pictures of one size stay so when they are scaled to
/// one width.
pub(crate) fn equally_wide(maps: &[CalibratedMap<'_>]) -> Result<Vec<Drawing>, ReportError> {
    let mut drawings = maps.iter().map(CalibratedMap::drawing).collect::<Result<Vec<_>, _>>()?;
    let widest = drawings.iter().map(|drawing| drawing.width_px).max().unwrap_or(0);
    drawings.iter_mut().for_each(|drawing| drawing.width_px = widest);
    Ok(drawings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::NO_RESULT;

    fn ramp(side: usize) -> Array2<f32> {
        Array2::from_shape_fn((side, side), |(y, x)| (x + y) as f32 / side as f32)
    }

    #[test]
    fn a_value_has_the_colour_that_the_bar_gives_it() {
        let mut values = ramp(64);
        values[[3, 5]] = f32::NAN;
        let map = CalibratedMap::new(values.view(), 0.1, ColourMap::Viridis, "Phase (rad)").limits(0.5, 1.5);
        let drawing = map.drawing().unwrap();
        let image = drawing.rasterise().unwrap();
        let Some(Shape::Picture { area, .. }) = drawing.layers[0].shapes.first() else { panic!("no picture") };
        let scale = area.width as u32 / 64;
        for (x, y) in [(20, 30), (63, 63), (0, 0), (40, 10)] {
            let fraction = (values[[y as usize, x as usize]] - 0.5).clamp(0.0, 1.0);
            let found = image.get_pixel(scale * x + scale / 2, scale * y + scale / 2);
            let expected = ColourMap::Viridis.colour(fraction);
            assert!(found.0.iter().zip(expected.0).all(|(a, b)| a.abs_diff(b) <= 2), "{found:?} {expected:?}");
        }
        assert_eq!(*image.get_pixel(scale * 5 + 1, scale * 3 + 1), NO_RESULT);
        let range = map.range();
        assert!(range.clipped && range.clipped_low);
    }

    #[test]
    fn a_diverging_map_is_centred_on_zero_and_a_flat_one_is_drawn() {
        let values = ramp(32).mapv(|value| value - 0.3);
        let (low, high) = CalibratedMap::new(values.view(), 0.1, ColourMap::Diverging, "residual (σ)").ends();
        assert!(low == -high && high > 1.5, "{low} {high}");
        for value in [0.0, 2.5, f32::NAN] {
            let flat = Array2::from_elem((16, 16), value);
            let map = CalibratedMap::new(flat.view(), 0.1, ColourMap::Viridis, "Phase (rad)");
            assert!(map.drawing().unwrap().rasterise().is_ok());
        }
    }

    #[test]
    fn maps_stand_beside_each_other() {
        let values = ramp(48);
        let map = |label: &str| CalibratedMap::new(values.view(), 0.1, ColourMap::Grey, label).title(label);
        let [one, two] = ["Phase (rad)", "Amplitude"].map(|label| map(label).drawing().unwrap());
        let both = side_by_side(&[map("Phase (rad)"), map("Amplitude")]).unwrap();
        assert_eq!(both.width_px, 2 * one.width_px.max(two.width_px) + 24);
        let file = both.to_svg("a wave");
        assert!(file.contains("Amplitude") && file.contains("Phase (rad)"));
        assert!(roxmltree::Document::parse(&file).is_ok());
        assert!(matches!(side_by_side(&[]), Err(ReportError::Empty { .. })));
    }
}
