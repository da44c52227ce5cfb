//! Plots of curves, measured points and histograms, such as contrast transfer functions, radial averages, scores by
//! dose and calibrations, as pixels or as SVG.

use std::path::Path;

use image::RgbImage;

use crate::ReportError;
use crate::axis::{Marks, Scale};
use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::{Colour, INK, SERIES, from_hex};
use crate::drawing::{Drawing, Layer, Shape};
use crate::panel::{check_size, text_size};
use crate::scale_bar::short_number;
use crate::series::{Series, Style, marker};
use crate::text::{Paragraph, line_spacing, width};

/// A plot of one or more series over common axes.
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
    title: String,
    x_label: String,
    y_label: String,
    series: Vec<Series>,
    x_range: Option<(f64, f64)>,
    y_range: Option<(f64, f64)>,
    x_scale: Scale,
    y_scale: Scale,
    x_whole: bool,
    /// What stands below the whole numbers of the x axis instead of them.
    x_categories: Vec<String>,
    /// Height over width of the frame, and 0.58 of the drawing's width without it.
    frame_ratio: Option<f32>,
}

/// Grey of the lines behind the curves.
const GRID: Colour = from_hex(0xe4e4e4);
/// Grey of lines between the numbers of a logarithmic scale.
const MINOR_GRID: Colour = from_hex(0xf2f2f2);
/// What a dashed line is drawn in without a colour of its own.
const REFERENCE: Colour = from_hex(0x606060);

impl Plot {
    /// A plot without series; the labels name the quantities and their units.
    pub fn new(x_label: impl Into<String>, y_label: impl Into<String>) -> Plot {
        Plot {
            title: String::new(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            series: Vec::new(),
            x_range: None,
            y_range: None,
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            x_whole: false,
            x_categories: Vec::new(),
            frame_ratio: None,
        }
    }

    /// What is written above the plot.
    pub fn title(mut self, title: impl Into<String>) -> Plot {
        self.title = title.into();
        self
    }

    /// Another label of the y axis.
    pub fn y_label(mut self, y_label: impl Into<String>) -> Plot {
        self.y_label = y_label.into();
        self
    }

    /// Adds a curve through points `(x, y)`; it is broken where a coordinate is not finite.
    pub fn curve(self, label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Plot {
        self.series(Series::line(label, points))
    }

    /// Adds a series; those without a label are not in the legend.
    pub fn series(mut self, series: Series) -> Plot {
        self.series.push(series);
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

    /// Makes the x axis logarithmic.
    pub fn x_log(mut self) -> Plot {
        self.x_scale = Scale::Logarithmic;
        self
    }

    /// Makes the y axis logarithmic.
    pub fn y_log(mut self) -> Plot {
        self.y_scale = Scale::Logarithmic;
        self
    }

    /// Writes whole numbers alone along the x axis, as for frames.
    pub fn x_whole(mut self) -> Plot {
        self.x_whole = true;
        self
    }

    /// Writes names along the x axis, that of the first at 0, of the second at 1 and so on; long ones are broken into
    /// lines.
    pub fn x_categories(mut self, names: impl IntoIterator<Item = String>) -> Plot {
        self.x_categories = names.into_iter().collect();
        self.x_range = Some((-0.5, self.x_categories.len().max(1) as f64 - 0.5));
        self
    }

    /// Makes the frame as high as it is wide, as for two quantities of one kind.
    pub fn square(mut self) -> Plot {
        self.frame_ratio = Some(1.0);
        self
    }

    /// The plot as pixels, `width_px` wide, with the legend below it.
    pub fn render(&self, width_px: u32) -> Result<RgbImage, ReportError> {
        self.drawing(width_px)?.rasterise()
    }

    /// Writes the plot as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>, width_px: u32) -> Result<(), ReportError> {
        self.drawing(width_px)?.write_png(path)
    }

    /// Writes the plot as an SVG file.
    pub fn write_svg(&self, path: impl AsRef<Path>, width_px: u32) -> Result<(), ReportError> {
        let what = if self.title.is_empty() {
            format!("{} against {}", self.y_label, self.x_label)
        } else {
            self.title.clone()
        };
        self.drawing(width_px)?.write_svg(path, &what)
    }

    fn ranges(&self) -> Result<[(f64, f64); 2], ReportError> {
        let has_place = |p: &(f64, f64)| self.x_scale.along(p.0).is_finite() && self.y_scale.along(p.1).is_finite();
        let points: Vec<(f64, f64)> = self.series.iter().flat_map(Series::extremes).filter(has_place).collect();
        if points.is_empty() {
            return Err(ReportError::Empty { what: "every curve of the plot" });
        }
        // Marks at the very edge would be cut in half.
        let marked = self.series.iter().any(|series| matches!(series.style, Style::Points { .. }));
        let margin = if marked { 0.04 } else { 0.0 };
        let x_range = self.x_range.unwrap_or_else(|| self.x_scale.extent(points.iter().map(|p| p.0), margin));
        let y_range = self.y_range.unwrap_or_else(|| {
            let (low, high) = self.y_scale.extent(points.iter().map(|p| p.1), 0.05);
            // Bars stand on the axis.
            let bars = self.series.iter().any(|series| series.style == Style::Bars);
            if bars && points.iter().all(|p| p.1 >= 0.0) { (0.0, high) } else { (low, high) }
        });
        for (scale, (low, high)) in [(self.x_scale, x_range), (self.y_scale, y_range)] {
            if !(scale.along(low).is_finite() && scale.along(high).is_finite() && low < high) {
                return Err(ReportError::Range { low, high });
            }
        }
        Ok([x_range, y_range])
    }

    /// The plot as shapes, `width_px` wide, with the legend below it.
    pub fn drawing(&self, width_px: u32) -> Result<Drawing, ReportError> {
        let [x_range, y_range] = self.ranges()?;
        let size = text_size(width_px);
        let small = 0.85 * size;
        let wanted = (width_px as f32 / (3.2 * size)) as usize;
        // Steps of one or more: no more numbers than the range is long.
        let wanted = if self.x_whole { wanted.min((x_range.1 - x_range.0) as usize) } else { wanted };
        let x_marks = if self.x_categories.is_empty() {
            self.x_scale.marks(x_range.0, x_range.1, wanted)
        } else {
            Marks { labelled: Vec::new(), minor: Vec::new() }
        };
        let y_marks = self.y_scale.marks(y_range.0, y_range.1, 6);
        let widest = y_marks.labelled.iter().map(|(_, label)| width(label, small)).fold(0.0, f32::max);

        let left = (1.9 * size + widest).round();
        // The last number of the x axis is centred on the frame's edge.
        let last = x_marks.labelled.last().map_or(0.0, |(_, label)| 0.5 * width(label, small) + 0.2 * size);
        let right = last.max(1.2 * size).min(3.0 * size);
        let inner_width = (width_px as f32 - left - right).max(1.0).round();
        let title_size = if self.title.is_empty() {
            0.0
        } else {
            size * ((width_px as f32 - size) / width(&self.title, size).max(1.0)).min(1.0)
        };
        let rows = self.series.iter().filter(|series| series.values).count() as f32;
        let top = (size + 1.4 * title_size + 1.1 * size * rows).round();
        let inner_height = self.frame_ratio.map_or(width_px as f32 * 0.58, |ratio| ratio * inner_width).round();
        let frame = Rectangle::new(left, top, inner_width, inner_height);
        let legend = self.legend_rows(small, width_px as f32 - left);
        let room = (inner_width / self.x_categories.len().max(1) as f32 - 0.3 * size).max(small);
        // A little smaller before a word is broken.
        let words = self.x_categories.iter().flat_map(|name| name.split_whitespace());
        let widest = words.map(|word| width(word, small)).fold(1.0, f32::max);
        let name_size = small * (0.95 * room / widest).clamp(0.65, 1.0);
        let names: Vec<Paragraph> =
            self.x_categories.iter().map(|name| Paragraph::fit(name, name_size, room)).collect();
        let foot = self.foot(&names, size);
        let height = top + inner_height + foot + legend.len() as f32 * line_spacing(small) + 0.3 * size;
        let height_px = check_size(width_px, height as u32)?;
        let layout = Layout { plot: self, frame, size, x_range, y_range, names };

        let mut title = Vec::new();
        if !self.title.is_empty() {
            let at = Point::new(0.5 * width_px as f32, 0.4 * size);
            title.push(Shape::text(&self.title, title_size, INK, (Horizontal::Centre, Vertical::Top), at));
        }
        let mut data = Layer { name: "data", clip: Some(frame), shapes: Vec::new() };
        let (mut marks, mut numbers) = (Vec::new(), Vec::new());
        let mut row_middle = frame.y + 0.35 * size;
        for (index, series) in self.series.iter().enumerate() {
            let (curves, points) = layout.series(series, index, self.colour(index));
            data.shapes.extend(curves);
            marks.extend(points);
            if series.values {
                row_middle -= 1.1 * size;
                numbers.extend(layout.values(series, self.colour(index), row_middle));
            }
        }
        let layers = vec![
            Layer::new("title", title),
            Layer::new("axes", layout.axes(&x_marks, &y_marks)),
            data,
            Layer::new("frame", vec![Shape::Frame { area: frame, thickness: 1.0, colour: INK }]),
            Layer::new("points", marks),
            Layer::new("values", numbers),
            Layer::new("legend", self.legend(&legend, frame, foot, size)),
        ];
        Ok(Drawing { width_px, height_px, layers })
    }

    /// The colour of a series: its own, grey for references, else those of the plot in turn.
    fn colour(&self, index: usize) -> Colour {
        let series = &self.series[index];
        let reference = |series: &Series| series.style == Style::Line { dashed: true };
        match series.colour {
            Some(colour) => colour,
            None if reference(series) => REFERENCE,
            None => curve_colour(self.series[..index].iter().filter(|s| s.colour.is_none() && !reference(s)).count()),
        }
    }

    /// Indices of the series, broken into rows of the legend that fit; no legend for series without labels.
    fn legend_rows(&self, size: f32, width_px: f32) -> Vec<Vec<usize>> {
        let mut rows: Vec<Vec<usize>> = Vec::new();
        let mut used = f32::INFINITY;
        for (index, series) in self.series.iter().enumerate().filter(|(_, series)| !series.label.is_empty()) {
            if used + entry_width(&series.label, size) > width_px {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += entry_width(&series.label, size);
            rows.last_mut().expect("a row was just opened").push(index);
        }
        rows
    }

    /// Height of what stands between the frame and the legend.
    fn foot(&self, names: &[Paragraph], size: f32) -> f32 {
        if names.is_empty() {
            return 2.9 * size;
        }
        let label = if self.x_label.is_empty() { 0.0 } else { 1.45 * size };
        names.iter().map(|name| name.height_px() as f32).fold(0.0, f32::max) + 0.9 * size + label
    }

    fn legend(&self, rows: &[Vec<usize>], frame: Rectangle, foot: f32, size: f32) -> Vec<Shape> {
        let small = 0.85 * size;
        let mut shapes = Vec::new();
        let mut row_middle = frame.y + frame.height + foot + 0.5 * line_spacing(small);
        for row in rows {
            let mut x = frame.x;
            for &index in row {
                let (series, colour) = (&self.series[index], self.colour(index));
                let (from, to) = (Point::new(x, row_middle), Point::new(x + 1.5 * small, row_middle));
                let thickness = (0.16 * size).max(2.0);
                match series.style {
                    Style::Line { dashed } => {
                        shapes.push(Shape::Line { points: vec![from, to], thickness, colour, dashed });
                    }
                    Style::Bars => {
                        let area = Rectangle::new(x, row_middle - 0.4 * small, 1.5 * small, 0.8 * small);
                        shapes.push(Shape::Rectangle { area, colour, opacity: 0.75 });
                    }
                    Style::Points { joined } => {
                        if joined {
                            shapes.push(Shape::line([from, to], 0.6 * thickness, colour));
                        }
                        let middle = Point::new(x + 0.75 * small, row_middle);
                        shapes.extend(marker(index, middle, 0.26 * size, colour));
                    }
                }
                let at = Point::new(x + 1.9 * small, row_middle);
                shapes.push(Shape::text(&series.label, small, INK, (Horizontal::Left, Vertical::Middle), at));
                x += entry_width(&series.label, small);
            }
            row_middle += line_spacing(small);
        }
        shapes
    }
}

/// Where things are on a plot of a given size.
struct Layout<'a> {
    plot: &'a Plot,
    frame: Rectangle,
    size: f32,
    x_range: (f64, f64),
    y_range: (f64, f64),
    /// Names along the x axis.
    names: Vec<Paragraph>,
}

impl Layout<'_> {
    fn x(&self, value: f64) -> f32 {
        self.frame.x + self.frame.width * fraction(self.plot.x_scale, value, self.x_range)
    }

    fn y(&self, value: f64) -> f32 {
        self.frame.y + self.frame.height * (1.0 - fraction(self.plot.y_scale, value, self.y_range))
    }

    /// The place of a point; not finite where it has none.
    fn place(&self, (x, y): (f64, f64)) -> Point {
        Point::new(self.x(x), self.y(y))
    }

    fn axes(&self, x_marks: &Marks, y_marks: &Marks) -> Vec<Shape> {
        let (frame, size) = (self.frame, self.size);
        let small = 0.85 * size;
        let below = frame.y + frame.height;
        let upright = |x: f32, colour| Shape::rectangle(Rectangle::new(x - 0.5, frame.y, 1.0, frame.height), colour);
        let level = |y: f32, colour| Shape::rectangle(Rectangle::new(frame.x, y - 0.5, frame.width, 1.0), colour);
        let mut shapes = Vec::new();
        shapes.extend(x_marks.minor.iter().map(|value| upright(self.x(*value), MINOR_GRID)));
        shapes.extend(y_marks.minor.iter().map(|value| level(self.y(*value), MINOR_GRID)));
        for (value, label) in &x_marks.labelled {
            let x = self.x(*value);
            shapes.push(upright(x, GRID));
            let at = Point::new(x, below + 0.35 * size);
            shapes.push(Shape::text(label, small, INK, (Horizontal::Centre, Vertical::Top), at));
        }
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                shapes.push(upright(self.x(index as f64 - 0.5), GRID));
            }
            let x = self.x(index as f64);
            for (number, line) in name.lines.iter().enumerate() {
                let at = Point::new(x, below + 0.45 * size + number as f32 * line_spacing(name.size_px));
                shapes.push(Shape::text(line, name.size_px, INK, (Horizontal::Centre, Vertical::Top), at));
            }
        }
        for (value, label) in &y_marks.labelled {
            let y = self.y(*value);
            shapes.push(level(y, GRID));
            let at = Point::new(frame.x - 0.4 * size, y);
            shapes.push(Shape::text(label, small, INK, (Horizontal::Right, Vertical::Middle), at));
        }
        if self.plot.y_scale == Scale::Linear && self.y_range.0 < 0.0 && self.y_range.1 > 0.0 {
            shapes.push(level(self.y(0.0), from_hex(0x909090)));
        }
        // Labels are set smaller where they would be longer than the axis has room.
        let fit = |label: &str, room: f32| size * (room / width(label, size).max(1.0)).min(1.0);
        let at = match self.names.is_empty() {
            true => Point::new(frame.x + 0.5 * frame.width, below + 1.45 * size),
            false => Point::new(frame.x + 0.5 * frame.width, below + self.plot.foot(&self.names, size) - 1.45 * size),
        };
        let label = &self.plot.x_label;
        shapes.push(Shape::text(label, fit(label, frame.width), INK, (Horizontal::Centre, Vertical::Top), at));
        let at = Point::new(0.75 * size, frame.y + 0.5 * frame.height);
        let label = &self.plot.y_label;
        let room = frame.height + 1.5 * size;
        shapes.push(Shape::text_upwards(label, fit(label, room), INK, (Horizontal::Centre, Vertical::Middle), at));
        shapes
    }

    /// What is drawn inside of the frame, and the marks above all.
    fn series(&self, series: &Series, index: usize, colour: Colour) -> (Vec<Shape>, Vec<Shape>) {
        let thickness = (0.13 * self.size).max(1.5);
        let (mut curves, mut marks) = (Vec::new(), Vec::new());
        match series.style {
            Style::Line { dashed } => {
                curves.extend(self.bands(series, colour));
                curves.extend(self.lines(&series.points, thickness, colour, dashed));
            }
            Style::Bars => {
                for pair in series.points.windows(2).filter(|pair| pair[1].1 > 0.0) {
                    let [left, right] = [0, 1].map(|i| self.x(pair[i].0));
                    let (top, foot) = (self.y(pair[1].1), self.frame.y + self.frame.height);
                    if left.is_finite() && right.is_finite() && top.is_finite() {
                        // A thin gap tells neighbours apart; a bar of one count has a height that is seen.
                        let gap = (0.06 * (right - left)).min(1.0);
                        let area = Rectangle::new(left + gap, top, right - left - 2.0 * gap, (foot - top).max(1.0));
                        curves.push(Shape::Rectangle { area, colour, opacity: 0.75 });
                    }
                }
            }
            Style::Points { joined } => {
                if joined {
                    curves.extend(self.lines(&series.points, 0.8 * thickness, colour, false));
                }
                for (point, error) in series.points.iter().zip(&series.errors) {
                    curves.extend(self.error_bar(point.0, *error, 0.6 * thickness, colour));
                }
                // A mark is whole or not there: what is outside of the frame is not shown at its edge.
                let margin = 0.5;
                let shown = |at: &Point| {
                    (self.frame.x - margin..=self.frame.x + self.frame.width + margin).contains(&at.x)
                        && (self.frame.y - margin..=self.frame.y + self.frame.height + margin).contains(&at.y)
                };
                for at in series.points.iter().map(|point| self.place(*point)).filter(shown) {
                    marks.extend(marker(index, at, 0.26 * self.size, colour));
                }
            }
        }
        (curves, marks)
    }

    /// A row of numbers over the points of a series, its name before them.
    fn values(&self, series: &Series, colour: Colour, middle: f32) -> Vec<Shape> {
        let frame = self.frame;
        let written = |value: f64| if value.abs() < 1.0 { format!("{value:.3}") } else { short_number(value) };
        let numbers: Vec<(f32, String)> = series
            .points
            .iter()
            .map(|point| (self.place(*point), written(point.1)))
            .filter(|(at, _)| at.y.is_finite() && (frame.x - 0.5..=frame.x + frame.width + 0.5).contains(&at.x))
            .map(|(at, number)| (at.x, number))
            .collect();
        // As small as half the size so that neighbours have room.
        let apart = numbers.windows(2).map(|pair| {
            let needed = 0.5 * (width(&pair[0].1, self.size) + width(&pair[1].1, self.size)) + 0.5 * self.size;
            (pair[1].0 - pair[0].0).abs() / needed
        });
        let small = self.size * apart.fold(0.8, f32::min).max(0.5);
        let mut shapes = Vec::new();
        let mut taken = f32::NEG_INFINITY;
        // The first number may reach out of the frame, over the label's usual place.
        let first = numbers.first().map_or(f32::INFINITY, |(x, number)| x - 0.5 * width(number, small));
        let right = (frame.x - 0.4 * self.size).min(first - 0.4 * self.size);
        for (x, number) in numbers {
            let half = 0.5 * width(&number, small);
            if x - half > taken {
                let at = Point::new(x, middle);
                shapes.push(Shape::text(&number, small, colour, (Horizontal::Centre, Vertical::Middle), at));
                taken = x + half + 0.2 * small;
            }
        }
        let room = right - 0.2 * self.size;
        let fit = (room / width(&series.label, 0.8 * self.size).max(1.0)).min(1.0);
        let at = Point::new(right, middle);
        let anchor = (Horizontal::Right, Vertical::Middle);
        shapes.push(Shape::text(&series.label, 0.8 * fit * self.size, colour, anchor, at));
        shapes
    }

    /// What lies between the lower and the upper ends of a line's intervals, broken where one is not known.
    fn bands(&self, series: &Series, colour: Colour) -> Vec<Shape> {
        let known = |((x, _), (low, high)): (&(f64, f64), &(f64, f64))| {
            let (x, low, high) = (self.x(*x), self.y(*low), self.y(*high));
            let foot = self.frame.y + self.frame.height + 10.0;
            let low = if low.is_finite() { low.min(foot) } else { foot };
            (x.is_finite() && high.is_finite())
                .then(|| (Point::new(x, high.max(self.frame.y - 10.0)), Point::new(x, low)))
        };
        let ends: Vec<Option<(Point, Point)>> = series.points.iter().zip(&series.errors).map(known).collect();
        let runs = ends.split(Option::is_none).filter(|run| run.len() > 1);
        let shape = |run: &[Option<(Point, Point)>]| {
            let upper = run.iter().flatten().map(|ends| ends.0);
            let points = upper.chain(run.iter().flatten().rev().map(|ends| ends.1)).collect();
            Shape::Area { points, colour, opacity: 0.22 }
        };
        runs.map(shape).collect()
    }

    fn error_bar(&self, x: f64, (low, high): (f64, f64), thickness: f32, colour: Colour) -> Vec<Shape> {
        let (x, foot, top) = (self.x(x), self.y(low), self.y(high));
        // On a logarithmic axis a bar that reaches to zero reaches to the frame.
        let foot = if foot.is_finite() { foot } else { self.frame.y + self.frame.height };
        if !(x.is_finite() && top.is_finite()) {
            return Vec::new();
        }
        let half = 0.25 * self.size;
        let end = |y: f32| Shape::line([Point::new(x - half, y), Point::new(x + half, y)], thickness, colour);
        vec![Shape::line([Point::new(x, foot), Point::new(x, top)], thickness, colour), end(foot), end(top)]
    }

    /// Lines through points, broken where a point has no place and cut off a little outside of the frame.
    fn lines(&self, points: &[(f64, f64)], thickness: f32, colour: Colour, dashed: bool) -> Vec<Shape> {
        let places: Vec<Point> = points.iter().map(|point| self.place(*point)).collect();
        let mut runs: Vec<Vec<Point>> = Vec::new();
        for pair in places.windows(2) {
            let finite = pair.iter().all(|p| p.x.is_finite() && p.y.is_finite());
            let Some((from, to)) = finite.then(|| within_rows(pair[0], pair[1], self.frame)).flatten() else {
                continue;
            };
            match runs.last_mut() {
                Some(run) if run.last() == Some(&from) => run.push(to),
                _ => runs.push(vec![from, to]),
            }
        }
        runs.into_iter().map(|points| Shape::Line { points, thickness, colour, dashed }).collect()
    }
}

/// How far along a range a value lies, from 0 to 1 inside of it.
fn fraction(scale: Scale, value: f64, (low, high): (f64, f64)) -> f32 {
    ((scale.along(value) - scale.along(low)) / (scale.along(high) - scale.along(low))) as f32
}

fn entry_width(label: &str, size: f32) -> f32 {
    width(label, size) + 3.4 * size
}

/// Curves are drawn on white, where the darkest of the series come first.
fn curve_colour(index: usize) -> Colour {
    const ORDER: [usize; 7] = [6, 5, 2, 3, 0, 1, 4];
    SERIES[ORDER[index % ORDER.len()]]
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_logarithmic_axis_spaces_ratios_evenly() {
        let points = [(1.0, 1.0), (10.0, 1.0), (100.0, 1.0)];
        let plot = Plot::new("x", "y").x_log().x_range(1.0, 100.0).series(Series::points("", points));
        let drawing = plot.drawing(600).unwrap();
        let layer = drawing.layers.iter().find(|layer| layer.name == "points").unwrap();
        let places: Vec<f32> = layer
            .shapes
            .iter()
            .filter_map(|shape| if let Shape::Discs { centres, .. } = shape { Some(centres[0].x) } else { None })
            .collect();
        assert_eq!(places.len(), 3);
        assert!((places[1] - 0.5 * (places[0] + places[2])).abs() < 0.01, "{places:?}");
        let nothing = Plot::new("x", "y").x_log().curve("", [(0.0, 1.0), (-2.0, 1.0)]);
        assert!(matches!(nothing.render(300), Err(ReportError::Empty { .. })));
    }

    #[test]
    fn pixels_and_svg_have_the_same_size_and_every_label_is_inside() {
        let bars = Series::bars("counted", [0.0, 1.0, 2.0, 5.0], [3.0, 12.0, 1.0]);
        let points = Series::points("expected", [(0.5, 2.5), (1.5, 11.0), (3.5, 1.0)])
            .errors([(1.0, 4.0), (8.0, 14.0), (0.0, 2.0)])
            .with_values();
        let plot = Plot::new("number of atoms", "columns").title("A title < of & words").series(bars).series(points);
        for width_px in [200, 480, 1600] {
            let drawing = plot.drawing(width_px).unwrap();
            assert_eq!(drawing.rasterise().unwrap().dimensions(), (width_px, drawing.height_px));
            assert!(roxmltree::Document::parse(&drawing.to_svg("plot")).is_ok());
            for shape in drawing.layers.iter().flat_map(|layer| &layer.shapes) {
                let Shape::Text { text, size_px, horizontal, at, upwards: false, .. } = shape else { continue };
                let length = width(text, *size_px);
                let left = match horizontal {
                    Horizontal::Left => at.x,
                    Horizontal::Centre => at.x - 0.5 * length,
                    Horizontal::Right => at.x - length,
                };
                assert!(left >= 0.0 && left + length <= width_px as f32 + 0.5, "{text:?} at {left} of {width_px}");
                assert!(at.y >= 0.0 && at.y + 0.5 * size_px <= drawing.height_px as f32, "{text:?}");
            }
        }
    }

    #[test]
    fn frames_are_numbered_in_whole_numbers() {
        for last in [1.0, 2.0, 3.0, 7.0, 199.0] {
            let plot = Plot::new("frame", "columns").x_whole().curve("", [(0.0, 3.0), (last, 5.0)]);
            let drawing = plot.drawing(560).unwrap();
            let below = drawing.layers.iter().flat_map(|layer| &layer.shapes).filter_map(|shape| match shape {
                Shape::Text { text, vertical: Vertical::Top, .. } if text != "frame" => Some(text.clone()),
                _ => None,
            });
            let numbers: Vec<String> = below.collect();
            assert!(numbers.len() > 1 && numbers.iter().all(|n| n.parse::<u32>().is_ok()), "{last}: {numbers:?}");
        }
    }
}
