//! What a plot shows: lines, points with error bars, bars of a histogram.

use crate::canvas::{Point, Rectangle};
use crate::colour::{Colour, WHITE};
use crate::drawing::Shape;

/// One series of numbers in a [`crate::Plot`].
///
/// ```
/// use atomlens_report::{Plot, Series};
/// let found = Series::points("found", [(100.0, 0.91), (1000.0, 0.98)]).errors([(0.89, 0.93), (0.97, 0.99)]).joined();
/// let plot = Plot::new("dose (e/Å²)", "recall").x_log().series(found);
/// assert!(plot.drawing(480).is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct Series {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Lower and upper end of each point's error bar; empty or as many as points.
    pub(crate) errors: Vec<(f64, f64)>,
    pub(crate) style: Style,
    pub(crate) colour: Option<Colour>,
    pub(crate) values: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Line {
        dashed: bool,
    },
    Points {
        joined: bool,
    },
    /// Each point is the right upper corner of a bar that begins where the one before ended.
    Bars,
}

impl Series {
    fn new(label: impl Into<String>, points: Vec<(f64, f64)>, style: Style) -> Series {
        Series { label: label.into(), points, errors: Vec::new(), style, colour: None, values: false }
    }

    /// A line through points `(x, y)`; it is broken where a coordinate is not finite.
    pub fn line(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series::new(label, points.into_iter().collect(), Style::Line { dashed: false })
    }

    /// A dashed line through points `(x, y)`, for what others are compared with.
    pub fn dashed(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series::new(label, points.into_iter().collect(), Style::Line { dashed: true })
    }

    /// Marks at points `(x, y)`.
    pub fn points(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series::new(label, points.into_iter().collect(), Style::Points { joined: false })
    }

    /// Bars that stand on zero: `n + 1` edges and `n` heights. What is left over on either side is not shown.
    pub fn bars(
        label: impl Into<String>,
        edges: impl IntoIterator<Item = f64>,
        heights: impl IntoIterator<Item = f64>,
    ) -> Series {
        let mut edges = edges.into_iter();
        let first = edges.next().map(|edge| (edge, f64::NAN));
        let points = first.into_iter().chain(edges.zip(heights)).collect();
        Series::new(label, points, Style::Bars)
    }

    /// Lower and upper end of the error bar of every point, in the order of the points; along a line, of a band.
    pub fn errors(mut self, errors: impl IntoIterator<Item = (f64, f64)>) -> Series {
        self.errors = errors.into_iter().collect();
        self
    }

    /// Joins the points by a line.
    pub fn joined(mut self) -> Series {
        if let Style::Points { joined } = &mut self.style {
            *joined = true;
        }
        self
    }

    /// Writes the numbers in a row above the plot, each over its point. A number that has no room beside the one before
    /// is left out.
    pub fn with_values(mut self) -> Series {
        self.values = true;
        self
    }

    /// A colour of its own; without it the plot's colours are taken in turn.
    pub fn colour(mut self, colour: Colour) -> Series {
        self.colour = Some(colour);
        self
    }

    /// All that has to fit on the axes.
    pub(crate) fn extremes(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let ends =
            self.points.iter().zip(&self.errors).flat_map(|(point, error)| [(point.0, error.0), (point.0, error.1)]);
        let floor = self.points.iter().filter(|_| self.style == Style::Bars).map(|point| (point.0, 0.0));
        self.points.iter().copied().chain(ends).chain(floor)
    }
}

/// A mark at a place; the shape goes by the series, so that series are told apart without colour too.
pub(crate) fn marker(kind: usize, at: Point, radius: f32, colour: Colour) -> Vec<Shape> {
    let disc = |radius, colour| Shape::Discs { centres: vec![at], radius, colour, opacity: 1.0 };
    let square =
        |half: f32, colour| Shape::rectangle(Rectangle::new(at.x - half, at.y - half, 2.0 * half, 2.0 * half), colour);
    let thin = 0.42 * radius;
    let stroke = |x: f32, y: f32| {
        Shape::line([Point::new(at.x - x, at.y - y), Point::new(at.x + x, at.y + y)], 2.0 * thin, colour)
    };
    match kind % 6 {
        0 => vec![disc(radius, colour)],
        1 => vec![square(0.9 * radius, colour)],
        2 => vec![disc(radius, colour), disc(radius - thin, WHITE)],
        3 => vec![stroke(0.8 * radius, 0.8 * radius), stroke(0.8 * radius, -0.8 * radius)],
        4 => vec![square(0.9 * radius, colour), square(0.9 * radius - thin, WHITE)],
        _ => vec![stroke(radius, 0.0), stroke(0.0, radius)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_begin_where_the_one_before_ended() {
        let bars = Series::bars("", [0.0, 1.0, 3.0], [5.0, 2.0]);
        assert!(bars.points[0].1.is_nan());
        assert_eq!(bars.points[1..], [(1.0, 5.0), (3.0, 2.0)]);
        assert!(Series::bars("", [], [1.0]).points.is_empty());
    }
}
