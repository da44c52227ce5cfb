//! Plots of curves, such as contrast transfer functions and radial averages.

use image::RgbImage;

use crate::ReportError;
use crate::canvas::{Canvas, Horizontal, Point, Rectangle, Text, Vertical};
use crate::colour::{Colour, INK, SERIES, WHITE, from_hex};
use crate::panel::{check_size, text_size};
use crate::text::{line_spacing, width};

/// A plot of one or more curves over a common axis.
///
/// ```
/// use atomlens_report::{Panel, Plot};
/// let plot = Plot::new("spatial frequency (1/nm)", "transfer")
///     .curve("without envelope", (0..200).map(|i| (0.05 * i as f64, (0.002 * (i * i) as f64).sin())))
///     .y_range(-1.0, 1.0);
/// assert_eq!(Panel::plot(plot).render(480).unwrap().width(), 480);
/// ```
#[derive(Debug, Clone)]
pub struct Plot {
    x_label: String,
    y_label: String,
    curves: Vec<Curve>,
    x_range: Option<(f64, f64)>,
    y_range: Option<(f64, f64)>,
}

#[derive(Debug, Clone)]
struct Curve {
    label: String,
    points: Vec<(f64, f64)>,
}

impl Plot {
    /// A plot without curves; the labels name the quantities and their units.
    pub fn new(x_label: impl Into<String>, y_label: impl Into<String>) -> Plot {
        let (x_label, y_label) = (x_label.into(), y_label.into());
        Plot { x_label, y_label, curves: Vec::new(), x_range: None, y_range: None }
    }

    /// Adds a curve through points `(x, y)`; it is broken where a coordinate is not finite.
    pub fn curve(mut self, label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Plot {
        self.curves.push(Curve { label: label.into(), points: points.into_iter().collect() });
        self
    }

    /// The range of the x axis; without it, that of the points.
    pub fn x_range(mut self, low: f64, high: f64) -> Plot {
        self.x_range = Some((low, high));
        self
    }

    /// The range of the y axis; without it, that of the points and a little more.
    pub fn y_range(mut self, low: f64, high: f64) -> Plot {
        self.y_range = Some((low, high));
        self
    }

    /// The plot, `width_px` wide and two thirds as high, with the legend below it.
    pub(crate) fn render(&self, width_px: u32) -> Result<RgbImage, ReportError> {
        let points: Vec<(f64, f64)> =
            self.curves.iter().flat_map(|curve| &curve.points).copied().filter(finite).collect();
        if points.is_empty() {
            return Err(ReportError::Empty { what: "every curve of the plot" });
        }
        let (x_low, x_high) = self.x_range.unwrap_or_else(|| extent(points.iter().map(|p| p.0), 0.0));
        let (y_low, y_high) = self.y_range.unwrap_or_else(|| extent(points.iter().map(|p| p.1), 0.05));
        for (low, high) in [(x_low, x_high), (y_low, y_high)] {
            if !(low.is_finite() && high.is_finite() && low < high) {
                return Err(ReportError::Range { low, high });
            }
        }

        let size = text_size(width_px);
        let small = 0.85 * size;
        let (x_ticks, x_step) = ticks(x_low, x_high, (width_px as f32 / (3.2 * size)) as usize);
        let (y_ticks, y_step) = ticks(y_low, y_high, 6);
        let y_labels: Vec<String> = y_ticks.iter().map(|value| tick_label(*value, y_step)).collect();
        let widest = y_labels.iter().map(|label| width(label, small)).fold(0.0, f32::max);

        let left = (1.9 * size + widest).round();
        let inner_width = width_px as f32 - left - 1.2 * size;
        let top = size;
        let inner_height = (width_px as f32 * 0.58).round();
        let frame = Rectangle::new(left, top, inner_width.max(1.0).round(), inner_height);
        let below = frame.y + frame.height;
        let legend = self.legend_rows(small, frame.width);
        let height = below + 2.9 * size + legend.len() as f32 * line_spacing(small) + 0.3 * size;
        let mut canvas = Canvas::new(width_px, check_size(width_px, height as u32)?, WHITE);
        let place = |x: f64, y: f64| {
            Point::new(
                frame.x + frame.width * ((x - x_low) / (x_high - x_low)) as f32,
                below - frame.height * ((y - y_low) / (y_high - y_low)) as f32,
            )
        };

        let grid = from_hex(0xe4e4e4);
        let write = |canvas: &mut Canvas, text: &str, size_px, horizontal, vertical, at| {
            canvas.text(Text { text, size_px, colour: INK, horizontal, vertical }, at);
        };
        for value in &x_ticks {
            let at = place(*value, y_low);
            canvas.rectangle(Rectangle::new(at.x - 0.5, frame.y, 1.0, frame.height), grid, 1.0);
            let label = tick_label(*value, x_step);
            let below_axis = Point::new(at.x, below + 0.35 * size);
            write(&mut canvas, &label, small, Horizontal::Centre, Vertical::Top, below_axis);
        }
        for (value, label) in y_ticks.iter().zip(&y_labels) {
            let at = place(x_low, *value);
            canvas.rectangle(Rectangle::new(frame.x, at.y - 0.5, frame.width, 1.0), grid, 1.0);
            let before_axis = Point::new(at.x - 0.4 * size, at.y);
            write(&mut canvas, label, small, Horizontal::Right, Vertical::Middle, before_axis);
        }
        if y_low < 0.0 && y_high > 0.0 {
            let zero = place(x_low, 0.0).y;
            canvas.rectangle(Rectangle::new(frame.x, zero - 0.5, frame.width, 1.0), from_hex(0x909090), 1.0);
        }
        canvas.clip_to(Some(frame));
        for (index, curve) in self.curves.iter().enumerate() {
            for pair in curve.points.windows(2).filter(|pair| pair.iter().all(finite)) {
                let [from, to] = [0, 1].map(|i| place(pair[i].0, pair[i].1));
                if let Some((from, to)) = within_rows(from, to, frame) {
                    canvas.line(from, to, (0.13 * size).max(1.5), curve_colour(index));
                }
            }
        }
        canvas.clip_to(None);
        canvas.frame(frame, 1.0, INK);

        let middle = Point::new(frame.x + 0.5 * frame.width, below + 1.45 * size);
        write(&mut canvas, &self.x_label, size, Horizontal::Centre, Vertical::Top, middle);
        let (horizontal, vertical) = (Horizontal::Centre, Vertical::Middle);
        let label = Text { text: &self.y_label, size_px: size, colour: INK, horizontal, vertical };
        canvas.text_upwards(label, Point::new(0.75 * size, frame.y + 0.5 * frame.height));
        let mut row_middle = below + 2.9 * size + 0.5 * line_spacing(small);
        for row in legend {
            let mut x = frame.x;
            for index in row {
                let label = &self.curves[index].label;
                let (from, to) = (Point::new(x, row_middle), Point::new(x + 1.5 * small, row_middle));
                canvas.line(from, to, (0.16 * size).max(2.0), curve_colour(index));
                let at = Point::new(x + 1.9 * small, row_middle);
                write(&mut canvas, label, small, Horizontal::Left, Vertical::Middle, at);
                x += entry_width(label, small);
            }
            row_middle += line_spacing(small);
        }
        Ok(canvas.into_image())
    }

    /// Indices of the curves, broken into rows of the legend that fit; no legend for curves without labels.
    fn legend_rows(&self, size: f32, width_px: f32) -> Vec<Vec<usize>> {
        let mut rows: Vec<Vec<usize>> = Vec::new();
        let mut used = f32::INFINITY;
        for (index, curve) in self.curves.iter().enumerate().filter(|(_, curve)| !curve.label.is_empty()) {
            if used + entry_width(&curve.label, size) > width_px {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += entry_width(&curve.label, size);
            rows.last_mut().expect("a row was just opened").push(index);
        }
        rows
    }
}

fn finite((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

fn entry_width(label: &str, size: f32) -> f32 {
    width(label, size) + 3.4 * size
}

/// Curves are drawn on white, where the darkest of the series come first.
fn curve_colour(index: usize) -> Colour {
    const ORDER: [usize; 7] = [6, 5, 2, 3, 0, 1, 4];
    SERIES[ORDER[index % ORDER.len()]]
}

/// Lowest and highest value, widened by a part of their distance; a single value is widened to a range.
fn extent(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low == high {
        let half = if low == 0.0 { 1.0 } else { 0.5 * low.abs() };
        return (low - half, high + half);
    }
    (low - margin * (high - low), high + margin * (high - low))
}

/// Cuts a line off a little above and below the frame, so that a value far outside of it costs nothing to draw.
fn within_rows(from: Point, to: Point, frame: Rectangle) -> Option<(Point, Point)> {
    let (top, bottom) = (frame.y - 10.0, frame.y + frame.height + 10.0);
    if from.y.max(to.y) < top || from.y.min(to.y) > bottom {
        return None;
    }
    let cut = |a: Point, b: Point| {
        let y = a.y.clamp(top, bottom);
        if y == a.y { a } else { Point::new(a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y)), y) }
    };
    Some((cut(from, to), cut(to, from)))
}

/// Round numbers between two values, about as many as wanted, and their distance. None where the range is empty.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize) -> (Vec<f64>, f64) {
    if !(low.is_finite() && high.is_finite() && high > low) {
        return (Vec::new(), 1.0);
    }
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10.0_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= 0.999 * rough).unwrap_or(power);
    // A small margin, so that rounding does not lose a tick at an end.
    let (first, last) = ((low / step - 1e-6).ceil() as i64, (high / step + 1e-6).floor() as i64);
    ((first..=last).map(|index| index as f64 * step).collect(), step)
}

/// A tick's number with as many decimals as the distance between ticks asks for.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    let largest = value.abs().max(step);
    if !(1e-4..1e6).contains(&largest) {
        return format!("{:e}", (value / step).round() * step).replace('e', "·10^");
    }
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
    let written = format!("{value:.decimals$}");
    if written.trim_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { written.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1.0, 5).0, [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(-3.0, 17.0, 4).0, [0.0, 5.0, 10.0, 15.0]);
        assert!(ticks(1.0, 1.0, 4).0.is_empty());
        for (value, step, label) in [(0.6000000000000001, 0.2, "0.6"), (-0.0, 0.5, "0"), (-15.0, 5.0, "−15")] {
            assert_eq!(tick_label(value, step), label);
        }
    }

    #[test]
    fn a_curve_passes_through_its_points() {
        let plot = Plot::new("x", "y").curve("", [(0.0, 0.0), (1.0, 1.0)]).x_range(0.0, 1.0).y_range(0.0, 1.0);
        let image = plot.render(600).unwrap();
        let coloured: Vec<(u32, u32)> = image
            .enumerate_pixels()
            .filter(|(_, _, pixel)| **pixel == curve_colour(0))
            .map(|(x, y, _)| (x, y))
            .collect();
        // From corner to corner: the diagonal rises by the same amount in every step.
        let (first, last) = (coloured.iter().min().unwrap(), coloured.iter().max().unwrap());
        assert!(first.1 > last.1 + 300 && last.0 > first.0 + 400, "{first:?} {last:?}");
        let slope = f64::from(first.1 - last.1) / f64::from(last.0 - first.0);
        for (x, y) in &coloured {
            let expected = f64::from(first.1) - slope * f64::from(x - first.0);
            assert!((f64::from(*y) - expected).abs() < 4.0, "({x}, {y}), expected {expected}");
        }
    }

    #[test]
    fn what_cannot_be_plotted_is_said() {
        let nothing = Plot::new("x", "y").curve("a", [(f64::NAN, 1.0)]);
        assert!(matches!(nothing.render(300), Err(ReportError::Empty { .. })));
        let backwards = Plot::new("x", "y").curve("a", [(0.0, 1.0)]).x_range(1.0, 0.0);
        assert!(matches!(backwards.render(300), Err(ReportError::Range { .. })));
        let spike = Plot::new("x", "y").curve("a", [(0.0, 0.0), (0.5, 1e30), (1.0, f64::NAN)]).y_range(0.0, 1.0);
        assert!(spike.render(300).is_ok());
    }
}
