//! Drawings that become pixels or SVG: one description of a figure, so that the picture on the screen and the one for a
//! publication show the same.
//!
//! Coordinates are those of [`crate::canvas`]: continuous, x to the right and y down, the top-left corner of the
//! drawing at (0, 0).

use std::borrow::Cow;
use std::path::Path;

use image::{GrayImage, RgbImage};

use crate::canvas::{Canvas, Horizontal, Point, Rectangle, Text, Vertical};
use crate::colour::{Colour, ColourMap, NO_RESULT, WHITE};
use crate::panel::check_size;
use crate::{ReportError, png, svg};

/// One thing in a drawing.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A filled rectangle.
    Rectangle {
        /// Where it is.
        area: Rectangle,
        /// Its colour.
        colour: Colour,
        /// 0 for none to 1 for opaque.
        opacity: f32,
    },
    /// The outline of a rectangle, inside of it.
    Frame {
        /// Where it is.
        area: Rectangle,
        /// Width of the line.
        thickness: f32,
        /// Its colour.
        colour: Colour,
    },
    /// Filled discs that look the same.
    Discs {
        /// Where they are.
        centres: Vec<Point>,
        /// Their radius.
        radius: f32,
        /// Their colour.
        colour: Colour,
        /// 0 for none to 1 for opaque.
        opacity: f32,
    },
    /// Circles that look the same.
    Rings {
        /// Where they are.
        centres: Vec<Point>,
        /// Radius of the middle of the line.
        radius: f32,
        /// Width of the line.
        thickness: f32,
        /// Their colour.
        colour: Colour,
        /// 0 for none to 1 for opaque.
        opacity: f32,
    },
    /// A line through points, with round ends.
    Line {
        /// The points.
        points: Vec<Point>,
        /// Width of the line.
        thickness: f32,
        /// Its colour.
        colour: Colour,
        /// Whether it is broken into dashes.
        dashed: bool,
    },
    /// What lies inside of a line through points that ends where it began.
    Area {
        /// The points.
        points: Vec<Point>,
        /// Its colour.
        colour: Colour,
        /// 0 for none to 1 for opaque.
        opacity: f32,
    },
    /// A line of text.
    Text {
        /// What it says.
        text: String,
        /// Height of the line.
        size_px: f32,
        /// Colour of the letters.
        colour: Colour,
        /// What the place refers to, left to right.
        horizontal: Horizontal,
        /// What the place refers to, top to bottom.
        vertical: Vertical,
        /// Where it is.
        at: Point,
        /// Whether it reads upwards.
        upwards: bool,
    },
    /// A picture, its pixels shown as they are.
    Picture {
        /// Its pixels.
        pixels: Pixels,
        /// Where it is.
        area: Rectangle,
    },
}

impl Shape {
    /// A line of text on the level.
    pub fn text(text: &str, size_px: f32, colour: Colour, anchor: (Horizontal, Vertical), at: Point) -> Shape {
        let (horizontal, vertical) = anchor;
        Shape::Text { text: text.to_owned(), size_px, colour, horizontal, vertical, at, upwards: false }
    }

    /// A line of text that reads upwards.
    pub fn text_upwards(text: &str, size_px: f32, colour: Colour, anchor: (Horizontal, Vertical), at: Point) -> Shape {
        let (horizontal, vertical) = anchor;
        Shape::Text { text: text.to_owned(), size_px, colour, horizontal, vertical, at, upwards: true }
    }

    /// An unbroken line through points.
    pub fn line(points: impl Into<Vec<Point>>, thickness: f32, colour: Colour) -> Shape {
        Shape::Line { points: points.into(), thickness, colour, dashed: false }
    }

    /// The shape at another place.
    fn moved(mut self, dx: f32, dy: f32) -> Shape {
        let shift = |point: &mut Point| *point = Point::new(point.x + dx, point.y + dy);
        match &mut self {
            Shape::Rectangle { area, .. } | Shape::Frame { area, .. } | Shape::Picture { area, .. } => {
                (area.x, area.y) = (area.x + dx, area.y + dy);
            }
            Shape::Discs { centres: points, .. }
            | Shape::Rings { centres: points, .. }
            | Shape::Line { points, .. }
            | Shape::Area { points, .. } => points.iter_mut().for_each(shift),
            Shape::Text { at, .. } => shift(at),
        }
        self
    }

    /// An opaque rectangle.
    pub fn rectangle(area: Rectangle, colour: Colour) -> Shape {
        Shape::Rectangle { area, colour, opacity: 1.0 }
    }
}

/// The pixels of a picture in a drawing.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// Without colour, which takes a third of the room.
    Grey(GrayImage),
    /// With colour.
    Colour(RgbImage),
    /// Steps of a colour map, from 0 to [`Pixels::STEPS`] - 1, or [`Pixels::MISSING`] where there is no value.
    Mapped {
        /// The steps.
        levels: GrayImage,
        /// What they stand for.
        map: ColourMap,
    },
}

impl Pixels {
    /// How many steps of a colour map there are.
    pub const STEPS: u8 = 255;
    /// The step of a pixel without a value.
    pub const MISSING: u8 = 255;

    /// The colour of every step.
    fn palette(map: ColourMap) -> [Colour; 256] {
        std::array::from_fn(|level| match level {
            255 => NO_RESULT,
            _ => map.colour(level as f32 / f32::from(Pixels::STEPS - 1)),
        })
    }

    /// Width and height.
    pub(crate) fn size(&self) -> (u32, u32) {
        match self {
            Pixels::Grey(image) | Pixels::Mapped { levels: image, .. } => image.dimensions(),
            Pixels::Colour(image) => image.dimensions(),
        }
    }

    /// The pixels as colours.
    fn colours(&self) -> Cow<'_, RgbImage> {
        let painted = |image: &GrayImage, colour: &dyn Fn(u8) -> Colour| {
            Cow::Owned(RgbImage::from_fn(image.width(), image.height(), |x, y| colour(image.get_pixel(x, y).0[0])))
        };
        match self {
            Pixels::Grey(image) => painted(image, &|level| image::Rgb([level; 3])),
            Pixels::Colour(image) => Cow::Borrowed(image),
            Pixels::Mapped { levels, map } => {
                let palette = Pixels::palette(*map);
                painted(levels, &|level| palette[usize::from(level)])
            }
        }
    }

    /// The pixels as a PNG file.
    pub(crate) fn png(&self) -> Vec<u8> {
        match self {
            Pixels::Grey(image) => png::encode(image),
            Pixels::Colour(image) => png::encode(image),
            Pixels::Mapped { levels, map } => png::encode_with_palette(levels, &Pixels::palette(*map)),
        }
    }
}

/// Shapes that belong together, a layer of its own in an editor of SVG.
#[derive(Debug, Clone)]
pub struct Layer {
    /// What the layer is called; letters alone.
    pub name: &'static str,
    /// What is outside of this rectangle is not shown.
    pub clip: Option<Rectangle>,
    /// From the lowest to the uppermost.
    pub shapes: Vec<Shape>,
}

impl Layer {
    /// A layer that is not clipped.
    pub fn new(name: &'static str, shapes: Vec<Shape>) -> Layer {
        Layer { name, clip: None, shapes }
    }

    /// The layer at another place.
    fn moved(self, dx: f32, dy: f32) -> Layer {
        let area = |area: Rectangle| Rectangle { x: area.x + dx, y: area.y + dy, ..area };
        Layer {
            clip: self.clip.map(area),
            shapes: self.shapes.into_iter().map(|shape| shape.moved(dx, dy)).collect(),
            ..self
        }
    }
}

/// A figure, as shapes on white.
///
/// ```
/// use atomlens_report::Plot;
/// let drawing = Plot::new("dose (e/Å²)", "F1").curve("", [(10.0, 0.7), (100.0, 0.95)]).drawing(480)?;
/// assert!(drawing.to_svg("F1 against dose").starts_with("<?xml"));
/// assert_eq!(drawing.rasterise()?.width(), 480);
/// # Ok::<(), atomlens_report::ReportError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Drawing {
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// From the lowest to the uppermost.
    pub layers: Vec<Layer>,
}

impl Drawing {
    /// Drawings beside each other, their upper edges in one line.
    pub fn beside(drawings: Vec<Drawing>, gap_px: u32) -> Result<Drawing, ReportError> {
        let mut joined = Drawing { width_px: 0, height_px: 0, layers: Vec::new() };
        for drawing in drawings {
            let left = if joined.layers.is_empty() { 0 } else { joined.width_px.saturating_add(gap_px) };
            let moved = drawing.layers.into_iter().map(|layer| layer.moved(left as f32, 0.0));
            joined.layers.extend(moved);
            joined.width_px = left.saturating_add(drawing.width_px);
            joined.height_px = joined.height_px.max(drawing.height_px);
        }
        check_size(joined.width_px, joined.height_px)?;
        Ok(joined)
    }

    /// The drawing as an SVG file of its own; `title` says what it shows, for those who cannot see it.
    pub fn to_svg(&self, title: &str) -> String {
        svg::document(self, title)
    }

    /// The drawing as an element that stands in an HTML page.
    pub fn to_inline_svg(&self, title: &str) -> String {
        svg::element(self, title)
    }

    /// The drawing as pixels.
    pub fn rasterise(&self) -> Result<RgbImage, ReportError> {
        check_size(self.width_px, self.height_px)?;
        let mut canvas = Canvas::new(self.width_px, self.height_px, WHITE);
        for layer in &self.layers {
            canvas.clip_to(layer.clip);
            for shape in &layer.shapes {
                draw(&mut canvas, shape);
            }
        }
        Ok(canvas.into_image())
    }

    /// Writes the drawing as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        png::write(&self.rasterise()?, path.as_ref())
    }

    /// Writes the drawing as an SVG file.
    pub fn write_svg(&self, path: impl AsRef<Path>, title: &str) -> Result<(), ReportError> {
        crate::file::write(path.as_ref(), self.to_svg(title).as_bytes())
    }
}

/// Draws one shape.
pub(crate) fn draw(canvas: &mut Canvas, shape: &Shape) {
    match shape {
        Shape::Rectangle { area, colour, opacity } => canvas.rectangle(*area, *colour, *opacity),
        Shape::Frame { area, thickness, colour } => canvas.frame(*area, *thickness, *colour),
        Shape::Discs { centres, radius, colour, opacity } => {
            for &centre in centres {
                canvas.soft_disc(centre, *radius, *colour, *opacity);
            }
        }
        Shape::Rings { centres, radius, thickness, colour, opacity } => {
            for &centre in centres {
                canvas.soft_ring(centre, *radius, *thickness, *colour, *opacity);
            }
        }
        Shape::Area { points, colour, opacity } => canvas.area(points, *colour, *opacity),
        Shape::Line { points, thickness, colour, dashed: false } => {
            for pair in points.windows(2) {
                canvas.line(pair[0], pair[1], *thickness, *colour);
            }
        }
        Shape::Line { points, thickness, colour, dashed: true } => {
            let [on, off] = dash_px(*thickness);
            for [from, to] in dashes(points, on, off) {
                canvas.line(from, to, *thickness, *colour);
            }
        }
        Shape::Text { text, size_px, colour, horizontal, vertical, at, upwards } => {
            let (size_px, colour, horizontal, vertical) = (*size_px, *colour, *horizontal, *vertical);
            let text = Text { text, size_px, colour, horizontal, vertical };
            if *upwards { canvas.text_upwards(text, *at) } else { canvas.text(text, *at) }
        }
        Shape::Picture { pixels, area } => {
            let (nx, ny) = pixels.size();
            let nearest = |place: f32, low: f32, length: f32, count: u32| {
                (((place + 0.5 - low) / length * count as f32) as u32).min(count - 1)
            };
            let (width, height) = (area.width.round().max(1.0) as u32, area.height.round().max(1.0) as u32);
            if nx == 0 || ny == 0 {
                return;
            }
            let colours = pixels.colours();
            let shown = RgbImage::from_fn(width, height, |x, y| {
                *colours.get_pixel(nearest(x as f32, 0.0, width as f32, nx), nearest(y as f32, 0.0, height as f32, ny))
            });
            canvas.paste(&shown, area.x.round() as u32, area.y.round() as u32);
        }
    }
}

/// Lengths of a dash and of the gap after it.
pub(crate) fn dash_px(thickness: f32) -> [f32; 2] {
    [3.5 * thickness, 3.0 * thickness]
}

/// The dashes along a line.
fn dashes(points: &[Point], on: f32, off: f32) -> Vec<[Point; 2]> {
    let mut pieces = Vec::new();
    let period = on + off;
    let mut travelled = 0.0_f32;
    for pair in points.windows(2) {
        let (dx, dy) = (pair[1].x - pair[0].x, pair[1].y - pair[0].y);
        let length = dx.hypot(dy);
        if !(length > 0.0 && length.is_finite() && period > 0.0) {
            continue;
        }
        let at = |along: f32| Point::new(pair[0].x + dx * along / length, pair[0].y + dy * along / length);
        let mut start = -(travelled % period);
        while start < length {
            let (from, to) = (start.max(0.0), (start + on).min(length));
            if from < to {
                pieces.push([at(from), at(to)]);
            }
            start += period;
        }
        travelled += length;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::BLACK;

    #[test]
    fn dashes_cover_their_part_of_a_line_around_corners() {
        let corner = [Point::new(0.0, 0.0), Point::new(50.0, 0.0), Point::new(50.0, 90.0)];
        let length: f32 = dashes(&corner, 6.0, 4.0).iter().map(|[a, b]| (a.x - b.x).hypot(a.y - b.y)).sum();
        assert!((length - 0.6 * 140.0).abs() < 1e-3, "{length}");
    }

    #[test]
    fn a_picture_keeps_its_pixels_when_it_grows() {
        let pixels = Pixels::Grey(GrayImage::from_fn(16, 12, |x, y| image::Luma([(x * 13 + y * 7) as u8])));
        let area = Rectangle::new(3.0, 5.0, 48.0, 36.0);
        let shapes = vec![Shape::Picture { pixels: pixels.clone(), area }];
        let drawing = Drawing { width_px: 64, height_px: 64, layers: vec![Layer::new("image", shapes)] };
        let image = drawing.rasterise().unwrap();
        for (x, y) in [(0, 0), (15, 11), (7, 3)] {
            for (dx, dy) in [(0, 0), (2, 2)] {
                assert_eq!(*image.get_pixel(3 + 3 * x + dx, 5 + 3 * y + dy), *pixels.colours().get_pixel(x, y));
            }
        }
        assert_eq!(*image.get_pixel(2, 5), WHITE);
        assert_ne!(WHITE, BLACK);
    }

    #[test]
    fn a_layer_is_clipped() {
        let shapes = vec![Shape::rectangle(Rectangle::new(0.0, 0.0, 64.0, 64.0), BLACK)];
        let clip = Some(Rectangle::new(0.0, 0.0, 10.0, 64.0));
        let layers = vec![Layer { name: "half", clip, shapes }];
        let image = Drawing { width_px: 64, height_px: 64, layers }.rasterise().unwrap();
        assert_eq!((*image.get_pixel(9, 30), *image.get_pixel(10, 30)), (BLACK, WHITE));
    }
}
