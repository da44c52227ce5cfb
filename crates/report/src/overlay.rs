//! A micrograph with the columns that were found in it, as PNG and as SVG.
//!
//! The micrograph is grey between two percentiles of its values. A small one is enlarged by a whole factor, so that
//! its pixels stay squares of one size; a large one is reduced by area weighting to at most
//! [`LARGEST_SIDE_PX`]. In the SVG the micrograph is an embedded PNG, marks are circles and text is text, each in a
//! layer of its own.

use std::collections::BTreeMap;
use std::path::Path;

use atomlens_core::DetectedColumn;
use image::{GrayImage, RgbImage};
use ndarray::{Array2, ArrayView2};

use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::{Colour, ColourMap, INK, NOT_A_NUMBER};
use crate::colour_bar::{ColourBar, ColourRange, LEVELS};
use crate::drawing::{Drawing, Layer, Pixels, Shape};
use crate::marks::{self, Entry, EntryList};
use crate::panel::{CONTRAST_PERCENT, check_size, ring_radius_px};
use crate::species_style::species_colour;
use crate::text::{Paragraph, line_spacing};
use crate::{ReportError, raster, scale_bar};

/// No picture of a micrograph has a longer side than this.
pub const LARGEST_SIDE_PX: usize = 2048;
/// What a micrograph with a shorter side is enlarged towards.
const SMALLEST_SIDE_PX: usize = 1100;

/// Which quantity of a column its colour shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourBy {
    /// Probability that there is a column.
    #[default]
    Probability,
    /// The likeliest species.
    Species,
    /// Number of atoms.
    Atoms,
    /// Standard deviation of the position, in pm.
    PositionSigma,
}

impl ColourBy {
    /// The quantity and its unit.
    pub fn label(self) -> &'static str {
        match self {
            ColourBy::Probability => "Probability",
            ColourBy::Species => "Species",
            ColourBy::Atoms => "Atoms in the column",
            ColourBy::PositionSigma => "Position σ (pm)",
        }
    }

    /// The quantity in its unit; for species their index.
    pub(crate) fn value(self, column: &DetectedColumn) -> f64 {
        match self {
            ColourBy::Probability => column.probability,
            ColourBy::Species => column.species as f64,
            ColourBy::Atoms => column.atoms,
            ColourBy::PositionSigma => 100.0 * column.position_sigma_angstrom,
        }
    }
}

/// How a column is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// A circle around it, through which the image is seen.
    #[default]
    Ring,
    /// A dot on it.
    Dot,
}

/// A micrograph with columns on it.
///
/// ```
/// use atomlens_core::DetectedColumn;
/// use atomlens_report::{ColourBy, Overlay};
/// let counts = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| ((x * y) % 17) as f32);
/// let column = DetectedColumn {
///     x_angstrom: 3.0, y_angstrom: 2.0, position_sigma_angstrom: 0.05, probability: 0.98,
///     species: 0, species_probability: 1.0, atoms: 5.0, atoms_sigma: 1.0,
/// };
/// let (columns, species) = ([column], ["Au".to_owned()]);
/// let overlay = Overlay::new(counts.view(), 0.1).columns(&columns, &species).colour_by(ColourBy::Atoms);
/// assert!(overlay.drawing()?.to_svg("one column").contains("<circle"));
/// # Ok::<(), atomlens_report::ReportError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Overlay<'a> {
    counts: ArrayView2<'a, f32>,
    pixel_angstrom: f64,
    columns: &'a [DetectedColumn],
    species: &'a [String],
    colour_by: ColourBy,
    mark: Mark,
    opacity: f32,
    caption: String,
}

impl<'a> Overlay<'a> {
    /// A micrograph `[y, x]` with square pixels of `pixel_angstrom`, without columns.
    pub fn new(counts: ArrayView2<'a, f32>, pixel_angstrom: f64) -> Overlay<'a> {
        Overlay {
            counts,
            pixel_angstrom,
            columns: &[],
            species: &[],
            colour_by: ColourBy::default(),
            mark: Mark::default(),
            opacity: 1.0,
            caption: String::new(),
        }
    }

    /// The columns to be marked, and the names of the species that they count by.
    pub fn columns(mut self, columns: &'a [DetectedColumn], species: &'a [String]) -> Overlay<'a> {
        (self.columns, self.species) = (columns, species);
        self
    }

    /// The quantity that the colour shows; the probability without it.
    pub fn colour_by(mut self, colour_by: ColourBy) -> Overlay<'a> {
        self.colour_by = colour_by;
        self
    }

    /// How columns are marked; rings without it.
    pub fn mark(mut self, mark: Mark) -> Overlay<'a> {
        self.mark = mark;
        self
    }

    /// How opaque the marks are, 0 for none to 1 for opaque, which they are without it.
    pub fn opacity(mut self, opacity: f32) -> Overlay<'a> {
        self.opacity = opacity.clamp(0.0, 1.0);
        self
    }

    /// What is written below the picture; long captions are wrapped.
    pub fn caption(mut self, caption: impl Into<String>) -> Overlay<'a> {
        self.caption = caption.into();
        self
    }

    /// Writes the picture as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.drawing()?.write_png(path)
    }

    /// Writes the picture as an SVG file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        let what = format!("{} columns, coloured by: {}", self.columns.len(), self.colour_by.label());
        let title = if self.caption.is_empty() { what } else { format!("{}. {what}", self.caption) };
        self.drawing()?.write_svg(path, &title)
    }

    /// The picture as shapes.
    pub fn drawing(&self) -> Result<Drawing, ReportError> {
        let shown = Shown::new(self.counts, self.pixel_angstrom)?;
        let picture = Rectangle::new(0.0, 0.0, shown.width_px as f32, shown.height_px as f32);
        let size = (0.5 * (picture.width + picture.height) / 44.0).clamp(16.0, 40.0).round();
        let places: Vec<Point> =
            self.columns.iter().map(|column| shown.place(column.x_angstrom, column.y_angstrom)).collect();
        let legend = self.legend(picture, size);

        let drawing_width = picture.width + legend.width_px;
        let caption = Paragraph::fit(&self.caption, size, drawing_width - size);
        let gap = if caption.lines.is_empty() { 0.0 } else { 0.5 * size };
        let pixel = shown.pixel_angstrom;
        let image = Shape::Picture { pixels: shown.pixels, area: picture };
        let height = picture.height.max(legend.height_px) + caption.height_px() as f32 + 2.0 * gap;
        let (width_px, height_px) = (drawing_width.ceil() as u32, height.ceil() as u32);
        check_size(width_px, height_px)?;

        let text_top = picture.height.max(legend.height_px) + gap;
        let words = caption.lines.iter().enumerate().map(|(index, line)| {
            let at = Point::new(0.5 * size, text_top + index as f32 * line_spacing(caption.size_px));
            Shape::text(line, caption.size_px, INK, (Horizontal::Left, Vertical::Top), at)
        });
        let layers = vec![
            Layer::new("image", vec![image]),
            Layer { name: "columns", clip: Some(picture), shapes: self.marks(&places, &legend, picture.width) },
            Layer::new("scale", scale_bar::shapes(picture, pixel, size, false).to_vec()),
            Layer::new("legend", legend.shapes),
            Layer::new("caption", words.collect()),
        ];
        Ok(Drawing { width_px, height_px, layers })
    }

    /// One set of circles a colour, the lowest values first, so that no mark of a rare high value is covered.
    fn marks(&self, places: &[Point], legend: &Legend, width_px: f32) -> Vec<Shape> {
        let finite: Vec<Point> = places.iter().copied().filter(|p| p.x.is_finite() && p.y.is_finite()).collect();
        let radius = ring_radius_px(&finite, width_px).max(2.0);
        let mut by_colour: BTreeMap<usize, Vec<Point>> = BTreeMap::new();
        for (column, place) in self.columns.iter().zip(places).filter(|(_, p)| p.x.is_finite() && p.y.is_finite()) {
            by_colour.entry(legend.level(self.colour_by.value(column))).or_default().push(*place);
        }
        let mut shapes = Vec::new();
        let opacity = self.opacity;
        for (level, centres) in by_colour {
            let colour = legend.colour(level);
            shapes.extend(match self.mark {
                Mark::Ring => marks::rings(centres, radius, colour, opacity),
                Mark::Dot => marks::dots(centres, (0.42 * radius).max(1.5), colour, opacity),
            });
        }
        shapes
    }

    /// What stands to the right of the picture: a colour bar, or the names of the species; nothing without columns.
    fn legend(&self, picture: Rectangle, size: f32) -> Legend {
        if self.columns.is_empty() {
            return Legend::none();
        }
        if self.colour_by == ColourBy::Species {
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            for column in self.columns {
                *counts.entry(column.species).or_default() += 1;
            }
            let entries = counts.into_iter().map(|(index, count)| (index, species_name(self.species, index), count));
            let entries: Vec<_> = entries.collect();
            return Legend::names(&entries, self.species, picture, size);
        }
        let values: Vec<f64> = self.columns.iter().map(|column| self.colour_by.value(column)).collect();
        let range = ColourRange::of(self.colour_by, &values);
        Legend::bar(range, self.colour_by, picture, size)
    }
}

/// The name of a species, and its number where it has none.
pub(crate) fn species_name(names: &[String], index: usize) -> String {
    names.get(index).cloned().unwrap_or_else(|| format!("species {index}"))
}

/// An array as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Its own pixels, or fewer where it is large.
    pub(crate) pixels: Pixels,
    /// Width of the picture.
    pub(crate) width_px: usize,
    /// Height of the picture.
    pub(crate) height_px: usize,
    /// Size of a pixel of the picture.
    pub(crate) pixel_angstrom: f64,
    original_pixel_angstrom: f64,
}

impl Shown {
    /// A grey micrograph.
    pub(crate) fn new(counts: ArrayView2<'_, f32>, pixel_angstrom: f64) -> Result<Shown, ReportError> {
        Shown::within(counts, pixel_angstrom, LARGEST_SIDE_PX)
    }

    /// A grey micrograph with a longer side of at most `largest_px`.
    pub(crate) fn within(
        counts: ArrayView2<'_, f32>,
        pixel_angstrom: f64,
        largest_px: usize,
    ) -> Result<Shown, ReportError> {
        Shown::shaded(counts, pixel_angstrom, largest_px, |values| Pixels::Grey(grey(values)))
    }

    /// An array with a longer side of at most `largest_px`, its values made pixels by `shade`.
    pub(crate) fn shaded(
        array: ArrayView2<'_, f32>,
        pixel_angstrom: f64,
        largest_px: usize,
        shade: impl Fn(&Array2<f32>) -> Pixels,
    ) -> Result<Shown, ReportError> {
        let (ny, nx) = array.dim();
        if nx == 0 || ny == 0 {
            return Err(ReportError::NoPixels { ny, nx });
        }
        if !(pixel_angstrom.is_finite() && pixel_angstrom > 0.0) {
            return Err(ReportError::PixelSize { found_angstrom: pixel_angstrom });
        }
        let longest = nx.max(ny);
        if longest > largest_px {
            let shrink = longest as f64 / largest_px as f64;
            let [height, width] = [ny, nx].map(|n| ((n as f64 / shrink).round() as usize).max(1));
            let pixels = shade(&raster::resample(array, height, width));
            let pixel_shown = pixel_angstrom * nx as f64 / width as f64;
            return Ok(Shown {
                pixels,
                width_px: width,
                height_px: height,
                pixel_angstrom: pixel_shown,
                original_pixel_angstrom: pixel_angstrom,
            });
        }
        let grow = (SMALLEST_SIDE_PX.min(largest_px) / longest).max(1);
        Ok(Shown {
            pixels: shade(&array.to_owned()),
            width_px: grow * nx,
            height_px: grow * ny,
            pixel_angstrom: pixel_angstrom / grow as f64,
            original_pixel_angstrom: pixel_angstrom,
        })
    }

    /// Where a place of the micrograph is in the picture; the centre of the first pixel is at 0.
    fn place(&self, x_angstrom: f64, y_angstrom: f64) -> Point {
        let half = 0.5 * self.original_pixel_angstrom;
        Point::new(
            ((x_angstrom + half) / self.pixel_angstrom) as f32,
            ((y_angstrom + half) / self.pixel_angstrom) as f32,
        )
    }
}

/// An array as grey levels between two percentiles; what is not a number is black.
pub(crate) fn grey(array: &Array2<f32>) -> GrayImage {
    let between = |low, high| raster::percentiles(array.view(), low, high).unwrap_or((0.0, 0.0));
    let (low, high) = match between(CONTRAST_PERCENT.0, CONTRAST_PERCENT.1) {
        // All but a few pixels alike, as in a picture of a few dots: those are what there is to see.
        (low, high) if low == high => between(0.0, 100.0),
        ends => ends,
    };
    let painted: RgbImage = raster::paint(array.view(), ColourMap::Grey, low, high);
    GrayImage::from_fn(painted.width(), painted.height(), |x, y| {
        let pixel = painted.get_pixel(x, y);
        image::Luma([if *pixel == NOT_A_NUMBER { 0 } else { pixel.0[0] }])
    })
}

impl ColourRange {
    /// Round ends that hold the values of a quantity.
    pub(crate) fn of(quantity: ColourBy, values: &[f64]) -> ColourRange {
        let lowest = values.iter().copied().filter(|value| value.is_finite()).reduce(f64::min);
        match (quantity, lowest) {
            // In tenths, and at least half of a unit wide so that small differences stay small.
            (ColourBy::Probability, Some(lowest)) => {
                let low = ((10.0 * lowest + 1e-9).floor() / 10.0).clamp(0.0, 0.5);
                ColourRange::new(low, 1.0)
            }
            _ => ColourRange::of_values(values, quantity == ColourBy::Atoms),
        }
    }
}

/// What explains the colours.
struct Legend {
    shapes: Vec<Shape>,
    width_px: f32,
    height_px: f32,
    scale: ColourScale,
}

/// How a value becomes a colour.
enum ColourScale {
    Range(ColourRange),
    /// One colour a species, with the names of all.
    Species(Vec<String>),
}

impl Legend {
    fn none() -> Legend {
        Legend { shapes: Vec::new(), width_px: 0.0, height_px: 0.0, scale: ColourScale::Species(Vec::new()) }
    }

    fn level(&self, value: f64) -> usize {
        match self.scale {
            ColourScale::Range(range) => range.level(value),
            ColourScale::Species(_) => value as usize,
        }
    }

    fn colour(&self, level: usize) -> Colour {
        match &self.scale {
            ColourScale::Range(_) => ColourMap::Viridis.colour(level as f32 / (LEVELS - 1) as f32),
            ColourScale::Species(names) => species_colour(names, level),
        }
    }

    fn bar(range: ColourRange, quantity: ColourBy, picture: Rectangle, size: f32) -> Legend {
        let room = picture.height.max(8.0 * size);
        let area = Rectangle::new(picture.width + 0.7 * size, 0.7 * size, size, room - 1.4 * size);
        let ColourBar { shapes, right } =
            ColourBar::new(range, ColourMap::Viridis, quantity.label(), quantity == ColourBy::Atoms, area, size);
        Legend { shapes, width_px: right - picture.width, height_px: room, scale: ColourScale::Range(range) }
    }

    fn names(entries: &[(usize, String, usize)], species: &[String], picture: Rectangle, size: f32) -> Legend {
        let entries: Vec<Entry<'_>> = entries
            .iter()
            .map(|(index, name, count)| {
                let colour = species_colour(species, *index);
                let symbol = move |at, size: f32| marks::dots(vec![at], 0.34 * size, colour, 1.0);
                Entry::new(format!("{name} ({count})"), symbol)
            })
            .collect();
        let corner = Point::new(picture.width + 0.8 * size, 0.25 * size);
        let EntryList { shapes, right, bottom } = EntryList::new(&entries, corner, size);
        let scale = ColourScale::Species(species.to_vec());
        Legend { shapes, width_px: right - picture.width, height_px: bottom, scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::WHITE;

    fn column(x: f64, y: f64, probability: f64) -> DetectedColumn {
        DetectedColumn {
            x_angstrom: x,
            y_angstrom: y,
            position_sigma_angstrom: 0.05,
            probability,
            species: usize::from(x > 5.0),
            species_probability: 0.9,
            atoms: 3.0 + x,
            atoms_sigma: 1.0,
        }
    }

    fn ramp(ny: usize, nx: usize) -> Array2<f32> {
        Array2::from_shape_fn((ny, nx), |(y, x)| (x + y) as f32)
    }

    #[test]
    fn a_mark_lies_on_the_pixel_of_its_column_whatever_the_size_of_the_picture() {
        for (side, pixel) in [(40, 0.25), (180, 0.1), (3000, 0.02)] {
            let mut array = Array2::<f32>::zeros((side, side));
            let (j, i) = (side / 4, side / 2);
            // A block that survives being reduced.
            array.slice_mut(ndarray::s![j - 3..j + 4, i - 3..i + 4]).fill(1.0);
            let columns = [column(i as f64 * pixel, j as f64 * pixel, 1.0)];
            let drawing = Overlay::new(array.view(), pixel).columns(&columns, &[]).mark(Mark::Dot).drawing().unwrap();
            let [image, marks] = [0, 1].map(|layer| &drawing.layers[layer].shapes);
            let Shape::Picture { pixels: Pixels::Grey(pixels), area } = &image[0] else { panic!("{image:?}") };
            let (mut sum, mut weight) = ([0.0_f64; 2], 0.0);
            for (x, y, value) in pixels.enumerate_pixels() {
                let value = f64::from(value.0[0]);
                sum = [sum[0] + (f64::from(x) + 0.5) * value, sum[1] + (f64::from(y) + 0.5) * value];
                weight += value;
            }
            let grow = f64::from(area.width) / f64::from(pixels.width());
            let Shape::Discs { centres, .. } = &marks[0] else { panic!("{marks:?}") };
            let found = [f64::from(centres[0].x), f64::from(centres[0].y)];
            for axis in 0..2 {
                let expected = sum[axis] / weight * grow;
                assert!((found[axis] - expected).abs() < 0.6, "{side}: {found:?}, expected {expected}");
            }
        }
    }

    #[test]
    fn small_images_grow_by_whole_factors_and_large_ones_shrink() {
        for (side, shown, kept) in [(180, 1080, 180), (512, 1024, 512), (1000, 1000, 1000), (4096, 2048, 2048)] {
            let found = Shown::new(ramp(side, side / 2).view(), 0.1).unwrap();
            assert_eq!((found.height_px, found.pixels.size().1), (shown, kept), "{side}");
            assert!((found.pixel_angstrom * shown as f64 - 0.1 * side as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn every_quantity_gives_a_picture_and_xml() {
        let columns: Vec<DetectedColumn> =
            (0..20).map(|i| column(0.5 * f64::from(i), 3.0, 0.5 + 0.025 * f64::from(i))).collect();
        let species = ["Au".to_owned(), "A<B&\"C\"".to_owned()];
        let array = ramp(60, 100);
        for quantity in [ColourBy::Probability, ColourBy::Species, ColourBy::Atoms, ColourBy::PositionSigma] {
            for mark in [Mark::Ring, Mark::Dot] {
                let overlay =
                    Overlay::new(array.view(), 0.1).columns(&columns, &species).colour_by(quantity).mark(mark);
                let drawing = overlay.caption("file <1> & others").drawing().unwrap();
                let svg = drawing.to_svg("title");
                let parsed = roxmltree::Document::parse(&svg).unwrap();
                let circles = parsed.descendants().filter(|n| n.tag_name().name() == "circle").count();
                // Every mark has its dark edge; the legend of species has circles of its own.
                let legend = if quantity == ColourBy::Species { 4 } else { 0 };
                assert_eq!(circles, 2 * columns.len() + legend);
                assert!(svg.contains("data:image/png;base64,"));
                assert_eq!(drawing.rasterise().unwrap().dimensions(), (drawing.width_px, drawing.height_px));
            }
        }
    }

    #[test]
    fn nothing_is_cut_off_at_the_right() {
        let columns = [column(1.0, 1.0, 0.7), column(7.0, 1.0, 0.9)];
        let species = ["a species of a rather long name".to_owned(), "Au".to_owned()];
        let array = ramp(40, 90);
        for quantity in [ColourBy::Probability, ColourBy::Species, ColourBy::Atoms, ColourBy::PositionSigma] {
            let overlay = Overlay::new(array.view(), 0.1).columns(&columns, &species).colour_by(quantity);
            let image = overlay.drawing().unwrap().rasterise().unwrap();
            for back in 1..8 {
                let x = image.width() - back;
                assert!((0..image.height()).all(|y| *image.get_pixel(x, y) == WHITE), "{quantity:?} at {back}");
            }
        }
    }

    #[test]
    fn no_columns_and_broken_columns_are_no_error() {
        let array = ramp(30, 30);
        let empty = Overlay::new(array.view(), 0.1).drawing().unwrap();
        assert!(!empty.to_svg("").contains("<circle"));
        let mut broken = column(f64::NAN, 1.0, f64::NAN);
        broken.atoms = f64::INFINITY;
        for quantity in [ColourBy::Probability, ColourBy::Species, ColourBy::Atoms, ColourBy::PositionSigma] {
            let columns = [broken.clone(), column(1.0, 1.0, 0.6)];
            let overlay = Overlay::new(array.view(), 0.1).columns(&columns, &[]).colour_by(quantity);
            assert!(overlay.drawing().unwrap().rasterise().is_ok());
        }
        let nothing = Array2::<f32>::zeros((0, 4));
        assert!(matches!(Overlay::new(nothing.view(), 0.1).drawing(), Err(ReportError::NoPixels { .. })));
        assert!(matches!(Overlay::new(array.view(), 0.0).drawing(), Err(ReportError::PixelSize { .. })));
        let flat = Array2::from_elem((30, 30), f32::NAN);
        assert!(Overlay::new(flat.view(), 0.1).drawing().is_ok());
    }

    #[test]
    fn ranges_are_round_and_a_stray_value_does_not_stretch_them() {
        let range = |quantity, values: &[f64]| ColourRange::of(quantity, values);
        assert_eq!(range(ColourBy::Probability, &[0.83, 0.99]), ColourRange::new(0.5, 1.0));
        assert_eq!(range(ColourBy::Probability, &[0.31, 0.99]).low, 0.3);
        let mut sigmas = vec![4.1; 99];
        sigmas.push(60.0);
        let found = range(ColourBy::PositionSigma, &sigmas);
        assert!(found.low == 0.0 && found.high >= 4.1 && found.high < 6.0 && found.clipped, "{found:?}");
        let atoms = range(ColourBy::Atoms, &[11.2, 14.8]);
        assert!(atoms.low == 11.0 && atoms.high == 15.0 && !atoms.clipped, "{atoms:?}");
        assert!(range(ColourBy::Atoms, &[]).high > range(ColourBy::Atoms, &[]).low);
    }

    #[test]
    fn a_hundred_thousand_columns_are_drawn_in_bounded_room() {
        let columns: Vec<DetectedColumn> = (0..100_000)
            .map(|i| column(f64::from(i % 316), f64::from(i / 316), 0.5 + f64::from(i % 50) / 100.0))
            .collect();
        let array = ramp(632, 632);
        let svg = Overlay::new(array.view(), 0.5).columns(&columns, &[]).drawing().unwrap().to_svg("many");
        assert!(svg.len() < 12_000_000, "{}", svg.len());
    }
}
