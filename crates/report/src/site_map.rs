//! Maps of the sites of a movie: its mean image with a disc on every site whose colour says how often the site is
//! filled, or how often it switches. Several movies are shown side by side on one colour scale and one scale of length.
//!
//! A disc is full where the value is well known. Where its interval of 95 % is wider than a quarter of the colour
//! scale, the disc is a pale one inside of a ring, so that no colour looks surer than it is.
//!
//! Pictures are laid out for a column of a journal: 85 mm wide for one map, 180 mm for two and more, at 300 dots per
//! inch, with letters of 7 points.

use std::collections::BTreeMap;
use std::path::Path;

use image::GrayImage;
use image::imageops::FilterType;
use ndarray::{Array2, ArrayView2, s};

use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::{Colour, ColourMap, INK, WHITE, mix};
use crate::colour_bar::{ColourBar, ColourRange, LEVELS};
use crate::drawing::{Drawing, Layer, Pixels, Shape};
use crate::estimate::Estimate;
use crate::html::median;
use crate::marks;
use crate::neighbours::nearest_distances;
use crate::overlay::grey;
use crate::panel::check_size;
use crate::scale_bar::short_number;
use crate::text::{Paragraph, line_spacing, width};
use crate::{ReportError, scale_bar};

/// Width of a drawing of one map, 85 mm at 300 dots per inch.
const ONE_COLUMN_PX: f32 = 1004.0;
/// Width of a drawing of several maps, 180 mm.
const TWO_COLUMNS_PX: f32 = 2126.0;
/// Height of a line of text, 7 points for the letters.
const TEXT_PX: f32 = 34.0;
/// An interval that covers more of the colour scale than this is drawn as unsure.
const UNSURE: f64 = 0.25;

/// Which quantity of a site its colour shows.
#[derive(Debug, Clone, PartialEq)]
pub enum SiteQuantity {
    /// Share of the frames in which the site is filled, given from 0 to 1 and shown in percent.
    Occupancy,
    /// Switches of the site a frame.
    SwitchesPerFrame,
    /// Switches of the site a second.
    SwitchesPerSecond,
    /// Any other: the words along the colour bar, with the unit. The scale begins at zero.
    Other(String),
}

impl SiteQuantity {
    /// The quantity and its unit.
    pub fn label(&self) -> &str {
        match self {
            SiteQuantity::Occupancy => "Occupancy (%)",
            SiteQuantity::SwitchesPerFrame => "Switches per frame",
            SiteQuantity::SwitchesPerSecond => "Switches per second",
            SiteQuantity::Other(label) => label,
        }
    }

    /// What a value is multiplied with to be shown.
    fn factor(&self) -> f64 {
        if *self == SiteQuantity::Occupancy { 100.0 } else { 1.0 }
    }

    fn range(&self, shown: &[f64]) -> ColourRange {
        match self {
            SiteQuantity::Occupancy => ColourRange::new(0.0, 100.0),
            _ => ColourRange::of_all(shown),
        }
    }
}

/// A site and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapSite {
    /// Place in the image, from the centre of its first pixel to the right.
    pub x_angstrom: f64,
    /// Place in the image, from the centre of its first pixel down.
    pub y_angstrom: f64,
    /// The value in the unit of the quantity; a site without one is an empty ring.
    pub value: Estimate,
}

/// The sites of one movie on an image of it.
///
/// ```
/// use atomlens_report::{Estimate, MapSite, SiteMap, SiteQuantity};
/// let mean = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| ((x * y) % 17) as f32);
/// let site = |x, value| MapSite { x_angstrom: x, y_angstrom: 3.0, value: Estimate::new(value, value - 0.02, value) };
/// let sites = [site(3.0, 0.99), site(5.9, 0.31)];
/// let map = SiteMap::new(mean.view(), 0.1, &sites, SiteQuantity::Occupancy).title("vacuum");
/// assert!(map.drawing()?.to_svg("occupancy").contains("Occupancy (%)"));
/// # Ok::<(), atomlens_report::ReportError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SiteMap<'a> {
    image: ArrayView2<'a, f32>,
    pixel_angstrom: f64,
    sites: &'a [MapSite],
    quantity: SiteQuantity,
    neighbour_angstrom: Option<f64>,
    title: String,
    whole: bool,
}

impl<'a> SiteMap<'a> {
    /// A map of sites on an image `[y, x]` with square pixels of `pixel_angstrom`, such as the mean over the frames of
    /// a movie with its drift taken out. Pixels that are not finite are shown in a middle grey.
    pub fn new(
        image: ArrayView2<'a, f32>,
        pixel_angstrom: f64,
        sites: &'a [MapSite],
        quantity: SiteQuantity,
    ) -> SiteMap<'a> {
        SiteMap { image, pixel_angstrom, sites, quantity, neighbour_angstrom: None, title: String::new(), whole: false }
    }

    /// The distance of nearest neighbours, which the size of the discs is taken from; without it, the median of the
    /// sites' own.
    pub fn neighbour_angstrom(mut self, neighbour_angstrom: f64) -> SiteMap<'a> {
        self.neighbour_angstrom = Some(neighbour_angstrom);
        self
    }

    /// What is written above the map.
    pub fn title(mut self, title: impl Into<String>) -> SiteMap<'a> {
        self.title = title.into();
        self
    }

    /// Shows the whole image; without it, the part with sites and a margin.
    pub fn whole_image(mut self) -> SiteMap<'a> {
        self.whole = true;
        self
    }

    /// The map as shapes.
    pub fn drawing(&self) -> Result<Drawing, ReportError> {
        side_by_side(std::slice::from_ref(self))
    }

    /// Writes the map as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.drawing()?.write_png(path)
    }

    /// Writes the map as an SVG file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.drawing()?.write_svg(path, &self.description())
    }

    /// What the map shows, in words.
    pub fn description(&self) -> String {
        let title = if self.title.is_empty() { String::new() } else { format!("{}. ", self.title) };
        format!("{title}{} of {} sites", self.quantity.label(), self.sites.len())
    }

    fn check(&self) -> Result<(), ReportError> {
        let (ny, nx) = self.image.dim();
        if nx == 0 || ny == 0 {
            return Err(ReportError::NoPixels { ny, nx });
        }
        if !(self.pixel_angstrom.is_finite() && self.pixel_angstrom > 0.0) {
            return Err(ReportError::PixelSize { found_angstrom: self.pixel_angstrom });
        }
        Ok(())
    }

    /// The distance of nearest neighbours; a tenth of the image where there are none.
    fn neighbour(&self) -> f64 {
        let given = self.neighbour_angstrom.filter(|distance| distance.is_finite() && *distance > 0.0);
        let places: Vec<[f64; 2]> = self.sites.iter().map(|site| [site.x_angstrom, site.y_angstrom]).collect();
        let own = || {
            let distances: Vec<f64> = nearest_distances(&places).into_iter().flatten().filter(|d| *d > 0.0).collect();
            median(&distances)
        };
        let (ny, nx) = self.image.dim();
        given.or_else(own).unwrap_or(0.1 * nx.max(ny) as f64 * self.pixel_angstrom)
    }

    /// Rows and columns of the image that are shown: all sites with a margin of one and a half neighbours.
    fn field(&self) -> [std::ops::Range<usize>; 2] {
        let (ny, nx) = self.image.dim();
        let margin = 1.5 * self.neighbour();
        let range = |place: fn(&MapSite) -> f64, count: usize| {
            let places = self.sites.iter().map(place).filter(|place| place.is_finite());
            let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p), h.max(p)));
            if self.whole || low > high {
                return 0..count;
            }
            let first = ((low - margin) / self.pixel_angstrom).floor().clamp(0.0, (count - 1) as f64) as usize;
            let last = ((high + margin) / self.pixel_angstrom).ceil().clamp(first as f64, (count - 1) as f64) as usize;
            first..last + 1
        };
        [range(|site| site.y_angstrom, ny), range(|site| site.x_angstrom, nx)]
    }
}

/// Maps beside each other, with one colour bar and one scale of length: the quantity is the first one's. More than
/// three are set in rows.
pub fn side_by_side(maps: &[SiteMap<'_>]) -> Result<Drawing, ReportError> {
    let first = maps.first().ok_or(ReportError::Empty { what: "the list of maps" })?;
    maps.iter().try_for_each(SiteMap::check)?;
    let quantity = &first.quantity;
    let factor = quantity.factor();
    let shown: Vec<f64> = maps.iter().flat_map(|map| map.sites).map(|site| factor * site.value.value).collect();
    let range = quantity.range(&shown);
    let size = TEXT_PX;

    // Cells of one size, so that lengths compare.
    let fields: Vec<Field<'_, '_>> = maps.iter().map(Field::new).collect();
    let widest = fields.iter().map(|field| field.width_angstrom).fold(0.0, f64::max);
    let highest = fields.iter().map(|field| field.height_angstrom).fold(0.0, f64::max);
    let columns = if maps.len() == 4 { 2 } else { maps.len().min(3) };
    let total = if maps.len() == 1 { ONE_COLUMN_PX } else { TWO_COLUMNS_PX };
    let gap = 0.7 * size;
    // The colour bar takes about this much; it is measured when it is drawn.
    let bar_room = 5.4 * size;
    let cell_width = ((total - bar_room - gap * (columns - 1) as f32) / columns as f32).floor();
    // A particle that is far higher than wide does not make a page of its own.
    let pixel_angstrom = (widest / f64::from(cell_width)).max(highest / f64::from(1.6 * cell_width));
    let cell_height = ((highest / pixel_angstrom) as f32).ceil().max(2.0);
    let cell_width = ((widest / pixel_angstrom) as f32).ceil().max(2.0);

    let bar_angstrom = scale_bar::round_length(0.2 * widest);
    let titles: Vec<Paragraph> = maps.iter().map(|map| Paragraph::fit(&map.title, size, cell_width)).collect();
    let mut images = Vec::new();
    let mut discs = Vec::new();
    let mut scales = Vec::new();
    let mut words = Vec::new();
    let mut unsure = false;
    let mut top = 0.0_f32;
    let mut grid = Rectangle::new(0.0, 0.0, columns as f32 * (cell_width + gap) - gap, 0.0);
    for (row, fields) in fields.chunks(columns).enumerate() {
        let titles = &titles[row * columns..row * columns + fields.len()];
        let lines = titles.iter().map(|title| title.lines.len()).max().unwrap_or(0) as f32;
        let title_height = if lines > 0.0 { lines * line_spacing(size) + 0.35 * size } else { 0.0 };
        top += title_height;
        if row == 0 {
            grid.y = top;
        }
        for (column, (field, title)) in fields.iter().zip(titles).enumerate() {
            let cell = Rectangle::new(column as f32 * (cell_width + gap), top, cell_width, cell_height);
            for (index, line) in title.lines.iter().enumerate() {
                let y = top - title_height + index as f32 * line_spacing(size);
                let at = Point::new(cell.x + 0.5 * cell_width, y);
                words.push(Shape::text(line, title.size_px, INK, (Horizontal::Centre, Vertical::Top), at));
            }
            let area = field.area(cell, pixel_angstrom);
            images.push(field.picture(area));
            let (shapes, some_unsure) = field.discs(area, pixel_angstrom, range, factor);
            unsure |= some_unsure;
            discs.push(Layer { name: "sites", clip: Some(area), shapes });
            scales.extend(scale_bar::shapes_of_length(area, pixel_angstrom, bar_angstrom, size, false));
        }
        top += cell_height + gap;
    }
    top -= gap;
    grid.height = top - grid.y;
    let bar_height = grid.height.min(1.1 * cell_height.max(12.0 * size));
    let bar_area = Rectangle::new(
        grid.width + 0.6 * size,
        (grid.y + 0.5 * (grid.height - bar_height) + 0.5 * size).round(),
        size.round(),
        (bar_height - size).max(1.0).round(),
    );
    let bar = ColourBar::new(range, ColourMap::Viridis, quantity.label(), false, bar_area, size);
    let width_px = bar.right.ceil() as u32;
    if unsure {
        let width = UNSURE * (range.high - range.low);
        let unit = if *quantity == SiteQuantity::Occupancy { " %" } else { "" };
        let text = format!("95 % interval wider than {}{unit}", short_number(width));
        top += 0.4 * size;
        words.extend(key(&text, top, width_px as f32, size));
        top += line_spacing(size) + 0.2 * size;
    }
    let height_px = check_size(width_px, top.ceil() as u32)?;
    let mut layers = vec![Layer::new("image", images)];
    layers.extend(discs);
    layers.extend([Layer::new("scale", scales), Layer::new("legend", bar.shapes), Layer::new("words", words)]);
    Ok(Drawing { width_px, height_px, layers })
}

/// What a ring stands for.
fn key(text: &str, top: f32, room: f32, size: f32) -> Vec<Shape> {
    let small = 0.85 * size * ((room - 2.0 * size) / width(text, 0.85 * size)).min(1.0);
    let middle = top + 0.5 * line_spacing(size);
    let at = Point::new(0.6 * size, middle);
    let mut shapes = disc(vec![at], 0.42 * size, ColourMap::Viridis.colour(0.5), false);
    let at = Point::new(1.5 * size, middle);
    shapes.push(Shape::text(text, small, INK, (Horizontal::Left, Vertical::Middle), at));
    shapes
}

/// The part of a map's image that is shown.
struct Field<'m, 'a> {
    map: &'m SiteMap<'a>,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    width_angstrom: f64,
    height_angstrom: f64,
}

impl<'m, 'a> Field<'m, 'a> {
    fn new(map: &'m SiteMap<'a>) -> Field<'m, 'a> {
        let [rows, columns] = map.field();
        let [height_angstrom, width_angstrom] = [&rows, &columns].map(|range| range.len() as f64 * map.pixel_angstrom);
        Field { map, rows, columns, width_angstrom, height_angstrom }
    }

    /// Where the field lies, in the middle of its cell.
    fn area(&self, cell: Rectangle, pixel_angstrom: f64) -> Rectangle {
        let [width, height] =
            [self.width_angstrom, self.height_angstrom].map(|length| (length / pixel_angstrom).round().max(1.0) as f32);
        let x = cell.x + (0.5 * (cell.width - width)).max(0.0).round();
        let y = cell.y + (0.5 * (cell.height - height)).max(0.0).round();
        Rectangle::new(x, y, width.min(cell.width), height.min(cell.height))
    }

    /// The image, enlarged smoothly: it stands behind the discs and is no measurement by itself.
    fn picture(&self, area: Rectangle) -> Shape {
        let part = self.map.image.slice(s![self.rows.clone(), self.columns.clone()]);
        let mut values: Array2<f32> = part.to_owned();
        let finite: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
        let middle = median(&finite).unwrap_or(0.0) as f32;
        values.mapv_inplace(|value| if value.is_finite() { value } else { middle });
        let pixels: GrayImage = grey(&values);
        let (width, height) = (area.width as u32, area.height as u32);
        let shown = image::imageops::resize(&pixels, width.max(1), height.max(1), FilterType::CatmullRom);
        Shape::Picture { pixels: Pixels::Grey(shown), area }
    }

    /// The discs, those of low values first, and whether one of them is unsure.
    fn discs(&self, area: Rectangle, pixel: f64, range: ColourRange, factor: f64) -> (Vec<Shape>, bool) {
        let map = self.map;
        let radius = ((0.33 * map.neighbour() / pixel) as f32).max(2.0);
        let place = |site: &MapSite| {
            let along =
                |place: f64, first: usize| (place / map.pixel_angstrom + 0.5 - first as f64) * map.pixel_angstrom;
            Point::new(
                area.x + (along(site.x_angstrom, self.columns.start) / pixel) as f32,
                area.y + (along(site.y_angstrom, self.rows.start) / pixel) as f32,
            )
        };
        // By level and by whether the value is sure; sites without a value have no level.
        let mut groups: BTreeMap<(Option<usize>, bool), Vec<Point>> = BTreeMap::new();
        for site in map.sites {
            let at = place(site);
            if !(at.x.is_finite() && at.y.is_finite()) {
                continue;
            }
            let value = site.value.scaled(factor);
            let level = value.value.is_finite().then(|| range.level(value.value));
            let wide = value.interval().is_some_and(|(low, high)| high - low > UNSURE * (range.high - range.low));
            groups.entry((level, !wide)).or_default().push(at);
        }
        let unsure = groups.keys().any(|(level, sure)| level.is_some() && !sure);
        let shapes = groups.into_iter().flat_map(|((level, sure), centres)| match level {
            Some(level) => disc(centres, radius, ColourMap::Viridis.colour(level as f32 / (LEVELS - 1) as f32), sure),
            None => vec![Shape::Rings { centres, radius, thickness: 0.12 * radius, colour: WHITE, opacity: 0.9 }],
        });
        (shapes.collect(), unsure)
    }
}

/// Discs, or pale ones inside of a ring.
fn disc(centres: Vec<Point>, radius: f32, colour: Colour, sure: bool) -> Vec<Shape> {
    let mut shapes = marks::under_discs(&centres, radius, 1.0);
    if sure {
        shapes.push(Shape::Discs { centres, radius, colour, opacity: 1.0 });
        return shapes;
    }
    let thickness = (0.3 * radius).max(1.5);
    let pale = mix(WHITE, colour, 0.25);
    shapes.push(Shape::Discs { centres: centres.clone(), radius, colour: pale, opacity: 1.0 });
    shapes.push(Shape::Rings { centres, radius: radius - 0.5 * thickness, thickness, colour, opacity: 1.0 });
    shapes
}
