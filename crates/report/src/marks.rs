//! Marks on micrographs, with edges that keep every colour legible on every grey, and lists that explain them.

use crate::canvas::{Horizontal, Point, Vertical};
use crate::colour::{BLACK, Colour, INK, WHITE};
use crate::drawing::Shape;
use crate::text::width;

/// Circles of one colour, through which the image is seen.
pub(crate) fn rings(centres: Vec<Point>, radius: f32, colour: Colour, opacity: f32) -> Vec<Shape> {
    let thickness = (0.22 * radius).clamp(1.2, 4.0);
    let edge = thickness + (0.12 * radius).clamp(0.8, 2.2);
    let under =
        Shape::Rings { centres: centres.clone(), radius, thickness: edge, colour: BLACK, opacity: 0.55 * opacity };
    vec![under, Shape::Rings { centres, radius, thickness, colour, opacity }]
}

/// Dots of one colour.
pub(crate) fn dots(centres: Vec<Point>, radius: f32, colour: Colour, opacity: f32) -> Vec<Shape> {
    let edge = radius + (0.25 * radius).clamp(0.5, 2.0);
    let under = Shape::Discs { centres: centres.clone(), radius: edge, colour: BLACK, opacity: 0.55 * opacity };
    vec![under, Shape::Discs { centres, radius, colour, opacity }]
}

/// What lies under discs that are as large as there is room: a dark edge keeps bright ones apart from a bright image, a
/// light one around it dark ones from a dark image.
pub(crate) fn under_discs(centres: &[Point], radius: f32, opacity: f32) -> Vec<Shape> {
    let edge = (0.08 * radius).clamp(0.8, 2.5);
    let under = |reach: f32, colour: Colour, opacity: f32| Shape::Discs {
        centres: centres.to_vec(),
        radius: radius + reach,
        colour,
        opacity,
    };
    vec![under(2.0 * edge, WHITE, 0.55 * opacity), under(edge, BLACK, 0.7 * opacity)]
}

/// A line with a dark edge.
pub(crate) fn line(points: Vec<Point>, thickness: f32, colour: Colour, dashed: bool) -> Vec<Shape> {
    let edge = thickness + (0.5 * thickness).clamp(1.5, 4.0);
    let under = Shape::line(points.clone(), edge, BLACK);
    vec![under, Shape::Line { points, thickness, colour, dashed }]
}

/// One line of a list that explains marks.
pub(crate) struct Entry<'a> {
    pub(crate) label: String,
    /// The mark, about a place and inside of a square of a given width.
    pub(crate) symbol: Box<dyn Fn(Point, f32) -> Vec<Shape> + 'a>,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(label: impl Into<String>, symbol: impl Fn(Point, f32) -> Vec<Shape> + 'a) -> Entry<'a> {
        Entry { label: label.into(), symbol: Box::new(symbol) }
    }
}

/// A list of marks one below the other.
pub(crate) struct EntryList {
    pub(crate) shapes: Vec<Shape>,
    /// Its right edge, with a margin.
    pub(crate) right: f32,
    /// Its lower edge.
    pub(crate) bottom: f32,
}

impl EntryList {
    /// The list with its left upper corner at a place, with letters of a size.
    pub(crate) fn new(entries: &[Entry<'_>], corner: Point, size: f32) -> EntryList {
        let mut shapes = Vec::new();
        let mut widest = 0.0_f32;
        let mut middle = corner.y + 0.75 * size;
        for entry in entries {
            shapes.extend((entry.symbol)(Point::new(corner.x + 0.5 * size, middle), size));
            let at = Point::new(corner.x + 1.35 * size, middle);
            shapes.push(Shape::text(&entry.label, size, INK, (Horizontal::Left, Vertical::Middle), at));
            widest = widest.max(width(&entry.label, size));
            middle += 1.5 * size;
        }
        let right = if entries.is_empty() { corner.x } else { corner.x + 1.35 * size + widest + 0.8 * size };
        EntryList { shapes, right, bottom: middle - 0.75 * size }
    }
}
