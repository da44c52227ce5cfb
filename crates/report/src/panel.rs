//! One picture of a report: a micrograph, a map, a structure or a plot, with its scale bar and caption.

use std::collections::BTreeMap;
use std::path::Path;

use atomlens_core::{Column, Grid, Image, Micrograph, Structure};
use image::RgbImage;
use ndarray::{Array2, ArrayView2, s};

use crate::canvas::{Canvas, Horizontal, Point, Rectangle, Text, Vertical};
use crate::colour::{Colour, ColourMap, INK, SERIES, WHITE};
use crate::colour_bar::{ColourBar, ColourRange};
use crate::plot::Plot;
use crate::structure_view::{self, Ball, Direction, Field};
use crate::text::{Paragraph, line_spacing, width};
use crate::{ReportError, drawing, element_style, png, raster, scale_bar};

/// Percentiles of the picture as shown that become black and white, unless a panel says otherwise.
pub const CONTRAST_PERCENT: (f64, f64) = (0.5, 99.5);

/// One picture of a report.
///
/// ```
/// use atomlens_report::Panel;
/// let image = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| (x as f32 * 0.3).sin() + (y as f32 * 0.2).cos());
/// let picture = Panel::micrograph(image.view(), 0.1).caption("defocus 5 nm").render(256).unwrap();
/// assert!(picture.width() == 256 && picture.height() > 256);
/// ```
#[derive(Debug, Clone)]
pub struct Panel {
    content: Content,
    caption: String,
    marks: Vec<Marks>,
    scale: Scale,
}

#[derive(Debug, Clone)]
enum Content {
    Array { values: Array2<f32>, grid: Grid, map: ColourMap, label: Option<String> },
    Structure { balls: Vec<Ball>, field: Field },
    Plot(Plot),
    Failed(fn(usize, usize) -> ReportError, usize, usize),
}

/// Which values become the ends of the scale.
#[derive(Debug, Clone, Copy)]
enum Scale {
    Percent(f64, f64),
    Values(f32, f32),
}

/// Places that are marked with rings of one colour.
#[derive(Debug, Clone)]
struct Marks {
    label: String,
    places_angstrom: Vec<(f64, f64)>,
}

impl Panel {
    fn new(content: Content) -> Panel {
        let (low, high) = CONTRAST_PERCENT;
        Panel { content, caption: String::new(), marks: Vec::new(), scale: Scale::Percent(low, high) }
    }

    /// A grey picture of an array `[y, x]` with square pixels of `pixel_angstrom`.
    pub fn micrograph(array: ArrayView2<'_, f32>, pixel_angstrom: f64) -> Panel {
        let (ny, nx) = array.dim();
        let grid = Grid { nx, ny, pixel_x_angstrom: pixel_angstrom, pixel_y_angstrom: pixel_angstrom };
        Panel::on_grid(array, &grid)
    }

    /// A grey picture of an array `[y, x]` whose pixels are as the grid says, square or not.
    pub fn on_grid(array: ArrayView2<'_, f32>, grid: &Grid) -> Panel {
        Panel::new(Content::Array { values: array.to_owned(), grid: *grid, map: ColourMap::Grey, label: None })
    }

    /// A grey picture of an ideal image.
    pub fn image(image: &Image) -> Panel {
        Panel::on_grid(image.intensity.view(), &image.grid)
    }

    /// A grey picture of one frame at one focus value of what a camera counted, both counted from 0. An index that the
    /// micrograph does not have is an error when the panel is drawn.
    pub fn frame(micrograph: &Micrograph, frame: usize, focus: usize) -> Panel {
        let (frames, foci, _, _) = micrograph.counts.dim();
        if frame >= frames {
            let error = |found, count| ReportError::NoSuchFrame { axis: "frame", found, count };
            return Panel::new(Content::Failed(error, frame, frames));
        }
        if focus >= foci {
            let error = |found, count| ReportError::NoSuchFrame { axis: "focus value", found, count };
            return Panel::new(Content::Failed(error, focus, foci));
        }
        Panel::on_grid(micrograph.counts.slice(s![frame, focus, .., ..]), &micrograph.grid)
    }

    /// A coloured picture of an array `[y, x]` with a colour bar, which is labelled with the quantity and its unit,
    /// such as `Projected potential (V Å)`.
    pub fn map(array: ArrayView2<'_, f32>, grid: &Grid, map: ColourMap, label: &str) -> Panel {
        Panel::new(Content::Array { values: array.to_owned(), grid: *grid, map, label: Some(label.to_owned()) })
    }

    /// The atoms as the beam meets them, the first ones on top: x to the right, y down, as in the image.
    pub fn structure(structure: &Structure, field: Field) -> Panel {
        Panel::structure_from(structure, Direction::AlongBeam, field)
    }

    /// The atoms seen from a given direction; the field is in the coordinates of that view.
    pub fn structure_from(structure: &Structure, direction: Direction, field: Field) -> Panel {
        Panel::new(Content::Structure { balls: structure_view::balls(structure, direction), field })
    }

    /// A plot of curves.
    pub fn plot(plot: Plot) -> Panel {
        Panel::new(Content::Plot(plot))
    }

    /// What is written below the picture; long captions are wrapped.
    pub fn caption(mut self, caption: impl Into<String>) -> Panel {
        self.caption = caption.into();
        self
    }

    /// The values that become the two ends of the scale, for pictures that are to be compared with each other.
    pub fn limits(mut self, low: f32, high: f32) -> Panel {
        self.scale = Scale::Values(low, high);
        self
    }

    /// The percentiles (0 to 100) of the picture as shown that become the two ends of the scale.
    pub fn percentiles(mut self, low: f64, high: f64) -> Panel {
        self.scale = Scale::Percent(low, high);
        self
    }

    /// Rings around places on a micrograph, a map or a structure seen along the beam. Each call takes the next colour
    /// and adds its label to the legend.
    pub fn marks(mut self, label: impl Into<String>, places_angstrom: impl IntoIterator<Item = (f64, f64)>) -> Panel {
        self.marks.push(Marks { label: label.into(), places_angstrom: places_angstrom.into_iter().collect() });
        self
    }

    /// Rings around columns.
    pub fn columns(self, columns: &[Column]) -> Panel {
        self.marks("columns", columns.iter().map(|column| (column.x_angstrom, column.y_angstrom)))
    }

    /// Rings around columns, one colour a species; `sheet` as in [`Column::species`].
    pub fn columns_by_species(self, columns: &[Column], sheet: bool) -> Panel {
        let mut species: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for column in columns {
            species.entry(column.species(sheet)).or_default().push((column.x_angstrom, column.y_angstrom));
        }
        species.into_iter().fold(self, |panel, (label, places)| panel.marks(label, places))
    }

    /// Whether the panel's grey or colour scale was set by percentiles, and which.
    pub(crate) fn percent(&self) -> Option<(f64, f64)> {
        match (&self.content, self.scale) {
            (Content::Array { label: None, .. }, Scale::Percent(low, high)) => Some((low, high)),
            _ => None,
        }
    }

    /// The panel with its caption, `width_px` wide and as high as it needs to be.
    pub fn render(&self, width_px: u32) -> Result<RgbImage, ReportError> {
        let picture = self.picture(width_px)?;
        let size = text_size(width_px);
        let caption = Paragraph::fit(&self.caption, size, width_px as f32 - size);
        if caption.lines.is_empty() {
            return Ok(picture);
        }
        let gap = (0.5 * size).ceil() as u32;
        let mut canvas = Canvas::new(width_px, picture.height() + caption.height_px() + 2 * gap, WHITE);
        canvas.paste(&picture, 0, 0);
        write_centred(&mut canvas, &caption, 0.5 * width_px as f32, (picture.height() + gap) as f32, INK);
        Ok(canvas.into_image())
    }

    /// Writes the panel with its caption as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>, width_px: u32) -> Result<(), ReportError> {
        png::write(&self.render(width_px)?, path.as_ref())
    }

    /// The caption's text.
    pub(crate) fn caption_text(&self) -> &str {
        &self.caption
    }

    /// The panel without its caption, `width_px` wide.
    pub(crate) fn picture(&self, width_px: u32) -> Result<RgbImage, ReportError> {
        check_size(width_px, 32)?;
        let size = text_size(width_px);
        match &self.content {
            Content::Failed(error, found, count) => Err(error(*found, *count)),
            Content::Plot(plot) => plot.render(width_px),
            Content::Array { values, grid, map, label } => {
                check_grid(grid, values)?;
                let bar = |(low, high): (f32, f32), left: f32, height: f32| {
                    let range = ColourRange::new(f64::from(low), f64::from(high));
                    // Half a line of text must fit above and below the ends.
                    let area = Rectangle::new(left + 0.5 * size, 0.5 * size, 0.9 * size, (height - size).max(1.0));
                    label.as_ref().map(|label| ColourBar::new(range, *map, label, false, area, size))
                };
                // A bar of the panel's own width is higher than the one that is left room for, and has more numbers.
                let widest = width_px as f32 * (grid.field_y_angstrom() / grid.field_x_angstrom()) as f32;
                let room = bar(self.ends(values, *map), 0.0, widest).map_or(0, |bar| bar.right.ceil() as u32);
                let shown = width_px.saturating_sub(room).max(32);
                let pixel = grid.field_x_angstrom() / f64::from(shown);
                let height = check_size(shown, (grid.field_y_angstrom() / pixel).round().max(1.0) as u32)?;
                let array = raster::resample(values.view(), height as usize, shown as usize);
                let (low, high) = self.ends(&array, *map);
                let picture = Rectangle::new(0.0, 0.0, shown as f32, height as f32);
                let mut canvas = Canvas::new(width_px, height, WHITE);
                canvas.paste(&raster::paint(array.view(), *map, low, high), 0, 0);
                // The centre of the first pixel is at 0, its edge half a pixel before.
                let place = |x: f64, y: f64| {
                    let (dx, dy) = (0.5 * grid.pixel_x_angstrom, 0.5 * grid.pixel_y_angstrom);
                    Point::new(((x + dx) / pixel) as f32, ((y + dy) / pixel) as f32)
                };
                self.draw_marks(&mut canvas, picture, place);
                scale_bar::draw(&mut canvas, picture, pixel, size, false);
                for shape in bar((low, high), picture.width, picture.height).iter().flat_map(|bar| &bar.shapes) {
                    drawing::draw(&mut canvas, shape);
                }
                Ok(self.with_legend(canvas, Vec::new()))
            }
            Content::Structure { balls, field } => {
                field.check()?;
                let pixel = field.width_angstrom() / f64::from(width_px);
                let height = check_size(width_px, (field.height_angstrom() / pixel).round().max(1.0) as u32)?;
                let picture = Rectangle::new(0.0, 0.0, width_px as f32, height as f32);
                let mut canvas = Canvas::new(width_px, height, WHITE);
                let elements = structure_view::draw(&mut canvas, balls, field, pixel);
                let place = |x: f64, y: f64| {
                    Point::new(((x - field.x_low_angstrom) / pixel) as f32, ((y - field.y_low_angstrom) / pixel) as f32)
                };
                self.draw_marks(&mut canvas, picture, place);
                scale_bar::draw(&mut canvas, picture, pixel, size, true);
                canvas.frame(picture, 1.0, crate::colour::from_hex(0xb0b0b0));
                let entries = elements
                    .into_iter()
                    .map(|element| (element.symbol().to_owned(), Symbol::Ball(element_style::colour(element))))
                    .collect();
                Ok(self.with_legend(canvas, entries))
            }
        }
    }

    /// The values at the two ends of the scale.
    fn ends(&self, shown: &Array2<f32>, map: ColourMap) -> (f32, f32) {
        match self.scale {
            Scale::Values(low, high) => (low, high),
            Scale::Percent(low, high) => {
                let (low, high) = raster::percentiles(shown.view(), low, high).unwrap_or((0.0, 0.0));
                // A diverging map has its middle at zero.
                let furthest = low.abs().max(high.abs());
                if map == ColourMap::Diverging { (-furthest, furthest) } else { (low, high) }
            }
        }
    }

    fn draw_marks(&self, canvas: &mut Canvas, picture: Rectangle, place: impl Fn(f64, f64) -> Point) {
        let series: Vec<Vec<Point>> =
            self.marks.iter().map(|marks| marks.places_angstrom.iter().map(|&(x, y)| place(x, y)).collect()).collect();
        let all: Vec<Point> = series.iter().flatten().copied().collect();
        let radius = ring_radius_px(&all, picture.width);
        canvas.clip_to(Some(picture));
        for (index, places) in series.iter().enumerate() {
            for &at in places {
                canvas.ring(at, radius, (0.35 * radius).clamp(1.2, 2.5), SERIES[index % SERIES.len()]);
            }
        }
        canvas.clip_to(None);
    }

    /// The picture with a strip below it that names the elements and the marks; no strip without either.
    fn with_legend(&self, canvas: Canvas, mut entries: Vec<(String, Symbol)>) -> RgbImage {
        let marks = self.marks.iter().enumerate();
        entries.extend(marks.map(|(i, marks)| (marks.label.clone(), Symbol::Ring(SERIES[i % SERIES.len()]))));
        let picture = canvas.into_image();
        if entries.is_empty() {
            return picture;
        }
        let size = 0.9 * text_size(picture.width());
        let row_height = line_spacing(size);
        let rows = legend_rows(&entries, size, picture.width() as f32);
        let height = (rows.len() as f32 * row_height + 0.5 * size) as u32;
        let mut canvas = Canvas::new(picture.width(), picture.height() + height, WHITE);
        canvas.paste(&picture, 0, 0);
        let mut middle = picture.height() as f32 + 0.35 * size + 0.5 * row_height;
        for row in rows {
            let row_width: f32 = row.iter().map(|(label, _)| entry_width(label, size)).sum();
            let mut x = 0.5 * (picture.width() as f32 - row_width);
            for (label, symbol) in row {
                let at = Point::new(x + 0.5 * size, middle);
                match symbol {
                    Symbol::Ball(colour) => canvas.ball(at, 0.42 * size, *colour),
                    Symbol::Ring(colour) => canvas.ring(at, 0.32 * size, (0.12 * size).max(1.5), *colour),
                }
                let (horizontal, vertical) = (Horizontal::Left, Vertical::Middle);
                let text = Text { text: label, size_px: size, colour: INK, horizontal, vertical };
                canvas.text(text, Point::new(x + 1.25 * size, middle));
                x += entry_width(label, size);
            }
            middle += row_height;
        }
        canvas.into_image()
    }
}

/// What stands before a label of the legend.
#[derive(Debug, Clone, Copy)]
enum Symbol {
    Ball(Colour),
    Ring(Colour),
}

fn entry_width(label: &str, size: f32) -> f32 {
    width(label, size) + 2.25 * size
}

/// The entries, broken into rows that fit.
fn legend_rows(entries: &[(String, Symbol)], size: f32, width_px: f32) -> Vec<Vec<(&str, &Symbol)>> {
    let mut rows: Vec<Vec<(&str, &Symbol)>> = Vec::new();
    let mut used = f32::INFINITY;
    for (label, symbol) in entries {
        if used + entry_width(label, size) > width_px {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += entry_width(label, size);
        rows.last_mut().expect("a row was just opened").push((label, symbol));
    }
    rows
}

/// Height of the text on a panel, in pixels.
pub(crate) fn text_size(width_px: u32) -> f32 {
    (width_px as f32 / 22.0).clamp(12.0, 30.0).round()
}

/// Writes a paragraph, every line centred on `middle`, from `top` down.
pub(crate) fn write_centred(canvas: &mut Canvas, text: &Paragraph, middle: f32, top: f32, colour: Colour) {
    for (index, line) in text.lines.iter().enumerate() {
        let (horizontal, vertical) = (Horizontal::Centre, Vertical::Top);
        let set = Text { text: line, size_px: text.size_px, colour, horizontal, vertical };
        canvas.text(set, Point::new(middle, top + index as f32 * line_spacing(text.size_px)));
    }
}

/// A third of the usual distance to the nearest neighbour, so that rings of neighbours do not touch.
pub(crate) fn ring_radius_px(places: &[Point], width_px: f32) -> f32 {
    // The median over at most 200 of them is near enough, and quick for any number.
    let stride = places.len().div_ceil(200).max(1);
    let mut nearest: Vec<f32> = places
        .iter()
        .step_by(stride)
        .map(|a| {
            places
                .iter()
                .map(|b| (a.x - b.x).hypot(a.y - b.y))
                .filter(|distance| *distance > 0.5)
                .fold(f32::INFINITY, f32::min)
        })
        .filter(|distance| distance.is_finite())
        .collect();
    nearest.sort_unstable_by(f32::total_cmp);
    let typical = nearest.get(nearest.len() / 2).map_or(0.03 * width_px, |distance| distance / 3.0);
    typical.clamp(3.0, 0.03 * width_px.max(100.0))
}

fn check_grid(grid: &Grid, values: &Array2<f32>) -> Result<(), ReportError> {
    let (ny, nx) = values.dim();
    if nx == 0 || ny == 0 {
        return Err(ReportError::NoPixels { ny, nx });
    }
    // A grid of another shape than the array would give a wrong scale bar.
    if (grid.ny, grid.nx) != (ny, nx) {
        return Err(ReportError::GridShape { ny, nx, grid_ny: grid.ny, grid_nx: grid.nx });
    }
    for found_angstrom in [grid.pixel_x_angstrom, grid.pixel_y_angstrom] {
        if !(found_angstrom.is_finite() && found_angstrom > 0.0) {
            return Err(ReportError::PixelSize { found_angstrom });
        }
    }
    Ok(())
}

/// The height, if a picture of this width and height can be made. A height below 32 is fine for a picture inside of
/// another; one above is not.
pub(crate) fn check_size(width_px: u32, height_px: u32) -> Result<u32, ReportError> {
    const SMALLEST: u32 = 32;
    const LARGEST: u32 = 32_768;
    if !(SMALLEST..=LARGEST).contains(&width_px) || !(1..=LARGEST).contains(&height_px) {
        return Err(ReportError::PictureSize { width_px, height_px });
    }
    Ok(height_px)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::colour::BLACK;

    fn spot(ny: usize, nx: usize, at: (usize, usize)) -> Array2<f32> {
        Array2::from_shape_fn((ny, nx), |place| if place == at { 1.0 } else { 0.0 })
    }

    #[test]
    fn a_ring_lies_around_the_pixel_that_it_marks() {
        let array = spot(40, 60, (10, 45));
        let panel = Panel::micrograph(array.view(), 0.25).limits(0.0, 1.0).marks("spot", [(45.0 * 0.25, 10.0 * 0.25)]);
        let picture = panel.render(600).unwrap();
        let centre = |colour: Colour| {
            let places: Vec<(f64, f64)> = picture
                .enumerate_pixels()
                .filter(|(_, y, pixel)| *y < 250 && **pixel == colour)
                .map(|(x, y, _)| (f64::from(x) + 0.5, f64::from(y) + 0.5))
                .collect();
            assert!(places.len() > 20, "{colour:?}");
            let n = places.len() as f64;
            (places.iter().map(|p| p.0).sum::<f64>() / n, places.iter().map(|p| p.1).sum::<f64>() / n)
        };
        let (spot, ring) = (centre(WHITE), centre(SERIES[0]));
        assert!((spot.0 - ring.0).abs() < 0.5 && (spot.1 - ring.1).abs() < 0.5, "{spot:?} {ring:?}");
        assert!((spot.0 - 455.0).abs() < 0.5 && (spot.1 - 105.0).abs() < 0.5, "{spot:?}");
    }

    #[test]
    fn pixels_that_are_not_square_keep_the_shape_of_the_field() {
        let grid = Grid { nx: 100, ny: 100, pixel_x_angstrom: 0.2, pixel_y_angstrom: 0.1 };
        let picture = Panel::on_grid(spot(100, 100, (0, 0)).view(), &grid).render(400).unwrap();
        assert_eq!(picture.dimensions(), (400, 200));
    }

    #[test]
    fn a_structure_is_seen_from_where_the_beam_comes() {
        use atomlens_core::{Atom, glam::DVec3};
        let atom = |symbol: &str, z| Atom::new(symbol.parse().unwrap(), DVec3::new(5.0, 5.0, z));
        let field = Field::new(0.0, 10.0, 0.0, 10.0);
        let colour_on_top = |atoms: Vec<Atom>| {
            let panel = Panel::structure(&Structure { atoms, cell: None }, field);
            *panel.render(200).unwrap().get_pixel(100, 100)
        };
        // Gold is yellow, sulphur too, so that copper over gold is told by its blue channel.
        let (copper, oxygen) = (atom("Cu", 0.0), atom("O", 4.0));
        let alone = colour_on_top(vec![copper]);
        assert_eq!(colour_on_top(vec![oxygen, copper]), alone);
        assert_eq!(colour_on_top(vec![copper, oxygen]), alone);
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let empty = Array2::<f32>::zeros((0, 5));
        assert!(matches!(
            Panel::micrograph(empty.view(), 0.1).render(200),
            Err(ReportError::NoPixels { ny: 0, nx: 5 })
        ));
        let array = spot(8, 8, (1, 1));
        for pixel in [0.0, -1.0, f64::NAN] {
            let error = Panel::micrograph(array.view(), pixel).render(200).unwrap_err();
            assert!(matches!(error, ReportError::PixelSize { .. }), "{error}");
        }
        let grid = Grid { nx: 4, ny: 8, pixel_x_angstrom: 0.1, pixel_y_angstrom: 0.1 };
        let error = Panel::on_grid(array.view(), &grid).render(200).unwrap_err();
        assert!(error.to_string().contains("8 x 8") && error.to_string().contains("8 x 4"), "{error}");
        let micrograph = Micrograph { counts: Array4::zeros((3, 2, 8, 8)), grid: Grid { nx: 8, ..grid } };
        assert!(Panel::frame(&micrograph, 2, 1).render(200).is_ok());
        let error = Panel::frame(&micrograph, 1, 2).render(200).unwrap_err();
        assert!(error.to_string().contains("focus value 2"), "{error}");
        let field = Field::new(0.0, 0.0, 0.0, 5.0);
        assert!(matches!(Panel::structure(&Structure::default(), field).render(200), Err(ReportError::Field { .. })));
        assert!(matches!(Panel::micrograph(array.view(), 0.1).render(5), Err(ReportError::PictureSize { .. })));
    }

    #[test]
    fn a_flat_or_broken_image_is_drawn_all_the_same() {
        for value in [0.0, 7.0, f32::NAN] {
            let array = Array2::from_elem((16, 16), value);
            assert_eq!(Panel::micrograph(array.view(), 1.0).render(64).unwrap().dimensions(), (64, 64));
        }
    }

    #[test]
    fn nothing_of_a_long_caption_is_cut_off() {
        let array = spot(16, 16, (3, 3));
        let caption =
            "a caption of many words that no panel of this width could hold on a single line of text, ".repeat(3);
        let picture = Panel::micrograph(array.view(), 1.0).caption(caption).render(200).unwrap();
        let ink = |x: u32, y: u32| picture.get_pixel(x, y).0[0] < 128;
        assert!(picture.height() > 200 + 60);
        for y in 200..picture.height() {
            assert!(!ink(0, y) && !ink(199, y), "text reaches the edge in row {y}");
        }
        assert!((0..200).all(|x| !ink(x, picture.height() - 1)));
        assert_ne!(WHITE, BLACK);
    }
}
