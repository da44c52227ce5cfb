//! A surface to draw on, with anti-aliased shapes and text.
//!
//! Coordinates are continuous, x to the right and y down: the top-left corner of the top-left pixel is (0, 0), its
//! centre (0.5, 0.5). A pixel is covered by a shape as far as the distance of its centre from the shape's edge says,
//! and shapes are blended in sRGB. What lies outside of the surface is left out.

use image::RgbImage;

use crate::colour::{BLACK, Colour, WHITE, mix};
use crate::text;

/// A place on a canvas, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Distance from the left edge.
    pub x: f32,
    /// Distance from the top edge.
    pub y: f32,
}

impl Point {
    /// A place from its coordinates.
    pub const fn new(x: f32, y: f32) -> Point {
        Point { x, y }
    }

    fn distance(self, other: Point) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// A rectangle with its sides along the canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rectangle {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Rectangle {
    /// A rectangle from its top-left corner and size.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Rectangle {
        Rectangle { x, y, width, height }
    }

    /// Whether a place lies inside.
    pub fn contains(&self, place: Point) -> bool {
        (self.x..self.x + self.width).contains(&place.x) && (self.y..self.y + self.height).contains(&place.y)
    }
}

/// Which part of a line of text its place refers to, left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizontal {
    /// The text begins there.
    Left,
    /// The text is centred there.
    Centre,
    /// The text ends there.
    Right,
}

/// Which part of a line of text its place refers to, top to bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vertical {
    /// The top of the line.
    Top,
    /// The middle of the capitals.
    Middle,
    /// The line that letters stand on.
    Baseline,
}

/// A line of text to be written.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// What it says; one line.
    pub text: &'a str,
    /// Height of the line, in pixels.
    pub size_px: f32,
    /// Colour of the letters.
    pub colour: Colour,
    /// What the place refers to, left to right.
    pub horizontal: Horizontal,
    /// What the place refers to, top to bottom.
    pub vertical: Vertical,
}

/// A surface to draw on.
#[derive(Debug, Clone)]
pub struct Canvas {
    pixels: RgbImage,
    clip: Rectangle,
}

impl Canvas {
    /// A surface of one colour.
    pub fn new(width_px: u32, height_px: u32, background: Colour) -> Canvas {
        Canvas::from_image(RgbImage::from_pixel(width_px, height_px, background))
    }

    /// A surface that starts as a picture.
    pub fn from_image(pixels: RgbImage) -> Canvas {
        let clip = Rectangle::new(0.0, 0.0, pixels.width() as f32, pixels.height() as f32);
        Canvas { pixels, clip }
    }

    /// The picture.
    pub fn into_image(self) -> RgbImage {
        self.pixels
    }

    /// Width in pixels.
    pub fn width_px(&self) -> u32 {
        self.pixels.width()
    }

    /// Height in pixels.
    pub fn height_px(&self) -> u32 {
        self.pixels.height()
    }

    /// Keeps what is drawn from now on inside a rectangle; `None` opens the whole surface again.
    pub fn clip_to(&mut self, clip: Option<Rectangle>) {
        self.clip = clip.unwrap_or(Rectangle::new(0.0, 0.0, self.width_px() as f32, self.height_px() as f32));
    }

    /// Blends a colour into one pixel; `coverage` is 0 for none to 1 for all of it.
    fn blend(&mut self, x: i64, y: i64, colour: Colour, coverage: f32) {
        let inside = x >= 0
            && y >= 0
            && x < i64::from(self.width_px())
            && y < i64::from(self.height_px())
            && self.clip.contains(Point::new(x as f32 + 0.5, y as f32 + 0.5));
        if inside && coverage > 0.0 {
            let pixel = self.pixels.get_pixel_mut(x as u32, y as u32);
            *pixel = mix(*pixel, colour, coverage.min(1.0));
        }
    }

    /// Paints every pixel of a box with the colour and coverage that `shade` gives its centre.
    fn shade(&mut self, bounds: Rectangle, shade: impl Fn(Point) -> (Colour, f32)) {
        let clamp = |value: f32, end: u32| value.clamp(0.0, end as f32) as u32;
        let (width, height) = (self.width_px(), self.height_px());
        let columns = clamp(bounds.x.floor(), width)..clamp((bounds.x + bounds.width).ceil(), width);
        for y in clamp(bounds.y.floor(), height)..clamp((bounds.y + bounds.height).ceil(), height) {
            for x in columns.clone() {
                let (colour, coverage) = shade(Point::new(x as f32 + 0.5, y as f32 + 0.5));
                self.blend(i64::from(x), i64::from(y), colour, coverage);
            }
        }
    }

    /// Fills a rectangle; `opacity` is 0 for none to 1 for opaque.
    pub fn rectangle(&mut self, rectangle: Rectangle, colour: Colour, opacity: f32) {
        let overlap = |centre: f32, low: f32, length: f32| {
            ((centre + 0.5).min(low + length) - (centre - 0.5).max(low)).clamp(0.0, 1.0)
        };
        self.shade(rectangle, |p| {
            let covered = overlap(p.x, rectangle.x, rectangle.width) * overlap(p.y, rectangle.y, rectangle.height);
            (colour, opacity * covered)
        });
    }

    /// Draws the outline of a rectangle, `thickness` wide and inside of it.
    pub fn frame(&mut self, r: Rectangle, thickness: f32, colour: Colour) {
        let inner = (r.height - 2.0 * thickness).max(0.0);
        self.rectangle(Rectangle::new(r.x, r.y, r.width, thickness), colour, 1.0);
        self.rectangle(Rectangle::new(r.x, r.y + r.height - thickness, r.width, thickness), colour, 1.0);
        self.rectangle(Rectangle::new(r.x, r.y + thickness, thickness, inner), colour, 1.0);
        self.rectangle(Rectangle::new(r.x + r.width - thickness, r.y + thickness, thickness, inner), colour, 1.0);
    }

    /// Fills a disc.
    pub fn disc(&mut self, centre: Point, radius: f32, colour: Colour) {
        self.soft_disc(centre, radius, colour, 1.0);
    }

    /// Fills a disc through which the picture is seen; `opacity` is 0 for none to 1 for opaque.
    pub fn soft_disc(&mut self, centre: Point, radius: f32, colour: Colour, opacity: f32) {
        self.shade(around(centre, radius + 1.0), |p| (colour, opacity * edge(radius - p.distance(centre))));
    }

    /// Draws a circle of a given thickness, half of it on either side of the radius.
    pub fn ring(&mut self, centre: Point, radius: f32, thickness: f32, colour: Colour) {
        self.soft_ring(centre, radius, thickness, colour, 1.0);
    }

    /// Draws a circle through which the picture is seen; `opacity` is 0 for none to 1 for opaque.
    pub fn soft_ring(&mut self, centre: Point, radius: f32, thickness: f32, colour: Colour, opacity: f32) {
        self.shade(around(centre, radius + thickness), |p| {
            (colour, opacity * edge(0.5 * thickness - (p.distance(centre) - radius).abs()))
        });
    }

    /// Draws a ball lit from the upper left, with a dark rim so that neighbours of one colour stay apart.
    pub fn ball(&mut self, centre: Point, radius: f32, colour: Colour) {
        // Unit vectors of the light and of the highlight, the viewer being at +z.
        const LIGHT: [f32; 3] = [-0.45, -0.55, 0.70];
        let rim_width = (0.10 * radius).clamp(0.5, 2.0);
        // On balls of a few pixels the rim would be all there is.
        let rim = 0.8 * (radius / 5.0).min(1.0);
        self.shade(around(centre, radius + 1.0), |p| {
            let (x, y) = ((p.x - centre.x) / radius, (p.y - centre.y) / radius);
            let z = (1.0 - x * x - y * y).max(0.0).sqrt();
            let facing = (x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]).max(0.0);
            let lit = mix(mix(BLACK, colour, 0.45 + 0.55 * facing), WHITE, 0.45 * facing.powi(8));
            let inside = radius - p.distance(centre);
            let shaded = mix(lit, mix(BLACK, colour, 0.25), rim * edge(rim_width - inside));
            (shaded, edge(inside))
        });
    }

    /// Draws a straight line with round ends.
    pub fn line(&mut self, from: Point, to: Point, thickness: f32, colour: Colour) {
        let bounds = Rectangle::new(
            from.x.min(to.x) - thickness,
            from.y.min(to.y) - thickness,
            (to.x - from.x).abs() + 2.0 * thickness,
            (to.y - from.y).abs() + 2.0 * thickness,
        );
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let length_squared = dx * dx + dy * dy;
        self.shade(bounds, |p| {
            let along = ((p.x - from.x) * dx + (p.y - from.y) * dy) / length_squared.max(1e-12);
            let along = along.clamp(0.0, 1.0);
            let nearest = Point::new(from.x + along * dx, from.y + along * dy);
            (colour, edge(0.5 * thickness - p.distance(nearest)))
        });
    }

    /// Fills what lies inside of a line through points that ends where it began; where it crosses itself, what it goes
    /// around an odd number of times. `opacity` is 0 for none to 1 for opaque.
    pub fn area(&mut self, points: &[Point], colour: Colour, opacity: f32) {
        /// Lines that are looked at in each row of pixels.
        const LINES: usize = 4;
        if points.len() < 3 || points.iter().any(|point| !(point.x.is_finite() && point.y.is_finite())) {
            return;
        }
        let (top, bottom) = points.iter().fold((f32::MAX, f32::MIN), |(l, h), p| (l.min(p.y), h.max(p.y)));
        let rows = top.floor().clamp(0.0, self.height_px() as f32) as u32
            ..bottom.ceil().clamp(0.0, self.height_px() as f32) as u32;
        let width = self.width_px() as f32;
        let mut covered = vec![0.0_f32; self.width_px() as usize];
        let mut crossings = Vec::new();
        for row in rows {
            covered.fill(0.0);
            for line in 0..LINES {
                let y = row as f32 + (line as f32 + 0.5) / LINES as f32;
                crossings.clear();
                for (index, from) in points.iter().enumerate() {
                    let to = points[(index + 1) % points.len()];
                    if (from.y <= y) != (to.y <= y) {
                        crossings.push(from.x + (to.x - from.x) * (y - from.y) / (to.y - from.y));
                    }
                }
                crossings.sort_unstable_by(f32::total_cmp);
                for pair in crossings.chunks_exact(2) {
                    let (left, right) = (pair[0].clamp(0.0, width), pair[1].clamp(0.0, width));
                    for x in left.floor() as usize..(right.ceil() as usize).min(covered.len()) {
                        let part = right.min(x as f32 + 1.0) - left.max(x as f32);
                        covered[x] += part.max(0.0) / LINES as f32;
                    }
                }
            }
            for (x, coverage) in covered.iter().enumerate().filter(|(_, coverage)| **coverage > 0.0) {
                self.blend(x as i64, i64::from(row), colour, opacity * coverage);
            }
        }
    }

    /// Writes a line of text.
    pub fn text(&mut self, text: Text<'_>, at: Point) {
        let (left, baseline) = origin(&text);
        for pixel in text::raster(text.text, text.size_px, Point::new(at.x + left, at.y + baseline)) {
            self.blend(pixel.x, pixel.y, text.colour, pixel.coverage);
        }
    }

    /// Writes a line of text that reads upwards, as the label of a vertical axis does. The place refers to the text as
    /// if it were turned by a quarter about it.
    pub fn text_upwards(&mut self, text: Text<'_>, at: Point) {
        let (left, baseline) = origin(&text);
        for pixel in text::raster(text.text, text.size_px, Point::new(left, baseline)) {
            let (x, y) = (at.x.round() as i64 + pixel.y, at.y.round() as i64 - 1 - pixel.x);
            self.blend(x, y, text.colour, pixel.coverage);
        }
    }

    /// Copies a picture onto the surface with its top-left corner at a pixel.
    pub fn paste(&mut self, picture: &RgbImage, x: u32, y: u32) {
        image::imageops::replace(&mut self.pixels, picture, i64::from(x), i64::from(y));
    }
}

/// Where a line of text starts, relative to the place it is anchored to: the left end and the baseline.
fn origin(text: &Text<'_>) -> (f32, f32) {
    let width = text::width(text.text, text.size_px);
    let left = match text.horizontal {
        Horizontal::Left => 0.0,
        Horizontal::Centre => -0.5 * width,
        Horizontal::Right => -width,
    };
    let baseline = match text.vertical {
        Vertical::Top => text::ascent(text.size_px),
        Vertical::Middle => 0.5 * text::capital_height(text.size_px),
        Vertical::Baseline => 0.0,
    };
    (left, baseline)
}

/// How much of a pixel is covered whose centre lies `depth` pixels inside of an edge.
fn edge(depth: f32) -> f32 {
    (depth + 0.5).clamp(0.0, 1.0)
}

fn around(centre: Point, radius: f32) -> Rectangle {
    Rectangle::new(centre.x - radius, centre.y - radius, 2.0 * radius, 2.0 * radius)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sum of what was painted black on white, in pixels.
    fn ink(canvas: &Canvas) -> f32 {
        canvas.pixels.pixels().map(|p| 1.0 - f32::from(p.0[0]) / 255.0).sum()
    }

    #[test]
    fn an_area_covers_what_is_inside_of_its_line() {
        let mut canvas = Canvas::new(64, 64, WHITE);
        let triangle = [Point::new(5.5, 8.0), Point::new(50.5, 8.0), Point::new(5.5, 48.0)];
        canvas.area(&triangle, BLACK, 1.0);
        assert!((ink(&canvas) - 0.5 * 45.0 * 40.0).abs() < 3.0, "{}", ink(&canvas));
        // Half of it lies outside.
        let mut canvas = Canvas::new(64, 64, WHITE);
        let square = [Point::new(-20.0, 10.0), Point::new(20.0, 10.0), Point::new(20.0, 30.0), Point::new(-20.0, 30.0)];
        canvas.area(&square, BLACK, 0.5);
        assert!((ink(&canvas) - 0.5 * 400.0).abs() < 3.0, "{}", ink(&canvas));
        canvas.area(&[Point::new(f32::NAN, 0.0); 3], BLACK, 1.0);
    }

    #[test]
    fn shapes_cover_their_area() {
        let mut canvas = Canvas::new(64, 64, WHITE);
        canvas.disc(Point::new(31.3, 30.8), 12.5, BLACK);
        assert!((ink(&canvas) - std::f32::consts::PI * 12.5 * 12.5).abs() < 3.0, "{}", ink(&canvas));

        let mut canvas = Canvas::new(64, 64, WHITE);
        canvas.rectangle(Rectangle::new(10.25, 20.5, 20.5, 3.25), BLACK, 1.0);
        assert!((ink(&canvas) - 20.5 * 3.25).abs() < 0.5, "{}", ink(&canvas));

        let mut canvas = Canvas::new(64, 64, WHITE);
        canvas.line(Point::new(10.0, 10.0), Point::new(40.0, 50.0), 3.0, BLACK);
        let expected = 50.0 * 3.0 + std::f32::consts::PI * 1.5 * 1.5;
        assert!((ink(&canvas) - expected).abs() < 3.0, "{}, expected {expected}", ink(&canvas));
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let mut canvas = Canvas::new(16, 16, WHITE);
        canvas.disc(Point::new(-50.0, 8.0), 20.0, BLACK);
        canvas.line(Point::new(-9.0, -9.0), Point::new(-1.5, 30.0), 1.0, BLACK);
        canvas.clip_to(Some(Rectangle::new(0.0, 0.0, 8.0, 16.0)));
        canvas.rectangle(Rectangle::new(8.0, 0.0, 8.0, 16.0), BLACK, 1.0);
        assert_eq!(ink(&canvas), 0.0);
    }

    #[test]
    fn text_sits_where_its_anchor_says() {
        let extent = |horizontal, vertical| {
            let mut canvas = Canvas::new(120, 60, WHITE);
            let text = Text { text: "HEH", size_px: 20.0, colour: BLACK, horizontal, vertical };
            canvas.text(text, Point::new(60.0, 30.0));
            let dark: Vec<(f32, f32)> = canvas
                .pixels
                .enumerate_pixels()
                .filter(|(_, _, p)| p.0[0] < 128)
                .map(|(x, y, _)| (x as f32 + 0.5, y as f32 + 0.5))
                .collect();
            let fold = |f: fn(f32, f32) -> f32, start| {
                dark.iter().fold((start, start), |a: (f32, f32), b| (f(a.0, b.0), f(a.1, b.1)))
            };
            (fold(f32::min, f32::INFINITY), fold(f32::max, f32::NEG_INFINITY))
        };
        let (low, high) = extent(Horizontal::Centre, Vertical::Middle);
        assert!((0.5 * (low.0 + high.0) - 60.0).abs() < 1.5, "{low:?} {high:?}");
        assert!((0.5 * (low.1 + high.1) - 30.0).abs() < 1.5, "{low:?} {high:?}");
        assert!(extent(Horizontal::Left, Vertical::Top).0.0 >= 60.0);
        assert!(extent(Horizontal::Left, Vertical::Top).0.1 >= 30.0);
        assert!(extent(Horizontal::Right, Vertical::Baseline).1.0 <= 60.0);
        assert!((extent(Horizontal::Right, Vertical::Baseline).1.1 - 29.5).abs() <= 1.0);
    }

    #[test]
    fn text_upwards_is_text_turned_by_a_quarter() {
        let text = Text {
            text: "Ag",
            size_px: 18.0,
            colour: BLACK,
            horizontal: Horizontal::Centre,
            vertical: Vertical::Middle,
        };
        let (mut level, mut upwards) = (Canvas::new(60, 60, WHITE), Canvas::new(60, 60, WHITE));
        level.text(text, Point::new(30.0, 30.0));
        upwards.text_upwards(text, Point::new(30.0, 30.0));
        assert!(ink(&level) > 20.0);
        assert_eq!(image::imageops::rotate270(&level.pixels), upwards.pixels);
    }
}
