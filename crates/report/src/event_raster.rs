//! Event rasters: every site that switches in a row of its own, against time; above it, how many switches there are.
//!
//! A row is coloured where its site is filled and pale where it is empty, between the two by the probability. Losses and
//! gains are marks as opaque as they are probable. Rows are sorted by class and, in a class, by how often they switch.
//! Of more than [`MOST_ROWS`] rows several share a line of pixels, and of more frames than there is room for several a
//! column of them; both show means of the states, and the likeliest of the marks.

use std::path::Path;

use image::RgbImage;

use crate::ReportError;
use crate::axis::{tick_label, ticks};
use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::{Colour, INK, from_hex, mix};
use crate::drawing::{Drawing, Layer, Pixels, Shape};
use crate::html::grouped;
use crate::panel::check_size;
use crate::site_states::SiteStates;
use crate::text::{Paragraph, line_spacing, width};

/// A raster has no more lines of pixels than this.
pub const MOST_ROWS: usize = 1200;
/// Width of the drawing, 180 mm at 300 dots per inch.
const WIDTH_PX: f32 = 2126.0;
/// Height of a line of text, 7 points for the letters.
const TEXT_PX: f32 = 34.0;
/// A site of which fewer switches are expected over the whole movie counts as one that never switches.
const FEWEST_SWITCHES: f64 = 0.5;
/// Share of a row that marks may cover before they are let through.
const MARKED_SHARE: f32 = 0.3;
/// A site that is filled.
const FILLED: Colour = from_hex(0x8ab6d6);
/// A site that is empty.
const EMPTY: Colour = from_hex(0xf1f1ee);
/// A site was emptied.
const LOSS: Colour = from_hex(0xd55e00);
/// A site was filled.
const GAIN: Colour = from_hex(0x00664b);
/// Frames that could not be read.
const BAD: Colour = from_hex(0xa8a8a8);

/// When which site is filled, emptied and filled again.
///
/// ```
/// use atomlens_report::{EventRaster, SiteStates};
/// use ndarray::array;
/// let (filled, loss) = (array![[1.0_f32, 0.1], [1.0, 1.0]], array![[0.0_f32, 0.9], [0.0, 0.0]]);
/// let gain = array![[0.0_f32, 0.0], [0.0, 0.0]];
/// let states = SiteStates { probability: filled.view(), loss: loss.view(), gain: gain.view() };
/// let (names, times_s) = (["edge".to_owned()], [0.0, 0.4]);
/// let raster = EventRaster::new(states, &[0, 0], &names).times_s(&times_s);
/// assert!(raster.drawing()?.to_svg("events").contains("edge"));
/// # Ok::<(), atomlens_report::ReportError>(())
/// ```
#[derive(Debug, Clone)]
pub struct EventRaster<'a> {
    states: SiteStates<'a>,
    class_of_site: &'a [usize],
    class_names: &'a [String],
    rates: &'a [f64],
    times_s: &'a [f64],
    bad_frames: &'a [usize],
    title: String,
}

impl<'a> EventRaster<'a> {
    /// A raster of the states of sites, each of a class.
    pub fn new(states: SiteStates<'a>, class_of_site: &'a [usize], class_names: &'a [String]) -> EventRaster<'a> {
        EventRaster {
            states,
            class_of_site,
            class_names,
            rates: &[],
            times_s: &[],
            bad_frames: &[],
            title: String::new(),
        }
    }

    /// How often each site switches, by which the rows of a class are sorted; without it, the expected number of its
    /// switches.
    pub fn rates(mut self, rates: &'a [f64]) -> EventRaster<'a> {
        self.rates = rates;
        self
    }

    /// When each frame was taken; without it the axis counts frames.
    pub fn times_s(mut self, times_s: &'a [f64]) -> EventRaster<'a> {
        self.times_s = times_s;
        self
    }

    /// Frames in which nothing was seen; they are marked.
    pub fn bad_frames(mut self, bad_frames: &'a [usize]) -> EventRaster<'a> {
        self.bad_frames = bad_frames;
        self
    }

    /// What is written above the raster.
    pub fn title(mut self, title: impl Into<String>) -> EventRaster<'a> {
        self.title = title.into();
        self
    }

    /// Writes the raster as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.drawing()?.write_png(path)
    }

    /// Writes the raster as an SVG file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        let what = format!("Losses and gains of {} sites in {} frames", self.states.sites(), self.states.frames());
        let title = if self.title.is_empty() { what } else { format!("{}. {what}", self.title) };
        self.drawing()?.write_svg(path, &title)
    }

    fn check(&self) -> Result<(), ReportError> {
        self.states.check()?;
        let (sites, frames) = (self.states.sites(), self.states.frames());
        for (what, found, expected) in [
            ("classes of sites", self.class_of_site.len(), sites),
            ("rates of sites", if self.rates.is_empty() { sites } else { self.rates.len() }, sites),
            ("times of frames", if self.times_s.is_empty() { frames } else { self.times_s.len() }, frames),
        ] {
            if found != expected {
                return Err(ReportError::Count { what, found, expected });
            }
        }
        Ok(())
    }

    /// The sites that have a row, in the order of the rows.
    fn rows(&self) -> Vec<usize> {
        let switches: Vec<f64> = (0..self.states.sites()).map(|site| self.states.switches(site)).collect();
        let mut rows: Vec<usize> = (0..switches.len()).filter(|site| switches[*site] >= FEWEST_SWITCHES).collect();
        let rate = |site: usize| self.rates.get(site).copied().filter(|r| r.is_finite()).unwrap_or(switches[site]);
        rows.sort_by(|a, b| {
            let by_class = self.class_of_site[*a].cmp(&self.class_of_site[*b]);
            by_class.then(rate(*b).total_cmp(&rate(*a))).then(a.cmp(b))
        });
        rows
    }

    /// The raster as shapes.
    pub fn drawing(&self) -> Result<Drawing, ReportError> {
        self.check()?;
        let size = TEXT_PX;
        let small = 0.85 * size;
        let frames = self.states.frames();
        let rows = self.rows();
        let bands = self.bands(&rows);

        let labels: Vec<Paragraph> =
            bands.iter().map(|band| Paragraph::fit(&band.label, small, 0.2 * WIDTH_PX)).collect();
        let widest =
            labels.iter().flat_map(|l| l.lines.iter().map(|line| width(line, l.size_px))).fold(3.0 * size, f32::max);
        let left = (1.9 * size).max(widest + 1.4 * size).round();
        let room = (WIDTH_PX - left - 1.5 * size).floor();
        let columns = Columns::new(frames, room as usize);
        let inner_width = (columns.width_px * columns.count) as f32;

        let title = Paragraph::fit(&self.title, size, WIDTH_PX - 2.0 * size);
        let mut top = 0.5 * size;
        let mut words = Vec::new();
        for line in &title.lines {
            let at = Point::new(left, top);
            words.push(Shape::text(line, title.size_px, INK, (Horizontal::Left, Vertical::Top), at));
            top += line_spacing(title.size_px);
        }
        // What the histogram counts is written above it.
        top += 1.2 * size;
        let histogram_area = Rectangle::new(left, top.round(), inner_width, 6.0 * size);
        let histogram = self.histogram(histogram_area, &columns, size);
        top = histogram_area.y + histogram_area.height + 0.9 * size;

        let lines = Lines::new(&rows, &bands);
        let area = Rectangle::new(left, top.round(), inner_width, lines.height_px as f32);
        let picture = self.picture(&rows, &lines, &columns);
        let mut raster = Vec::new();
        if let Some(pixels) = picture {
            raster.push(Shape::Picture { pixels: Pixels::Colour(pixels), area });
        } else {
            let at = Point::new(left + 0.5 * inner_width, area.y + 0.5 * area.height);
            raster.push(Shape::text("no site switches", size, INK, (Horizontal::Centre, Vertical::Middle), at));
        }
        raster.push(Shape::Frame { area, thickness: 1.5, colour: INK });
        words.extend(band_labels(&bands, &labels, &lines, area, size));
        words.extend(self.time_axis(area, &columns, size));
        top = area.y + area.height + 3.1 * size;

        for (shapes, height) in [key(left, top, size), self.note(&rows, left, top + 1.3 * size, small)] {
            words.extend(shapes);
            top += height;
        }
        let height_px = check_size(WIDTH_PX as u32, (top + 0.4 * size).ceil() as u32)?;
        let layers = vec![Layer::new("raster", raster), Layer::new("switches", histogram), Layer::new("words", words)];
        Ok(Drawing { width_px: WIDTH_PX as u32, height_px, layers })
    }

    /// Rows of one class, which lie together.
    fn bands(&self, rows: &[usize]) -> Vec<Band> {
        let mut bands: Vec<Band> = Vec::new();
        for (row, site) in rows.iter().enumerate() {
            let class = self.class_of_site[*site];
            match bands.last_mut() {
                Some(band) if band.class == class => band.rows.end = row + 1,
                _ => bands.push(Band { class, rows: row..row + 1, label: String::new() }),
            }
        }
        for band in &mut bands {
            let of = self.class_of_site.iter().filter(|class| **class == band.class).count();
            let name = self.class_names.get(band.class).cloned().unwrap_or_else(|| format!("class {}", band.class));
            band.label = format!("{name}\n{} of {}", grouped(band.rows.len()), grouped(of));
        }
        bands
    }

    /// The states as a picture; `None` without rows.
    fn picture(&self, rows: &[usize], lines: &Lines, columns: &Columns) -> Option<RgbImage> {
        if rows.is_empty() {
            return None;
        }
        let (width, height) = ((columns.width_px * columns.count) as u32, lines.height_px as u32);
        let mut picture = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
        let mut bad = vec![false; self.states.frames()];
        for frame in self.bad_frames.iter().filter(|frame| **frame < self.states.frames()) {
            bad[*frame] = true;
        }
        let mut cells: Vec<Cell> = Vec::new();
        for line in &lines.lines {
            let sites = &rows[line.rows.clone()];
            cells.clear();
            cells.extend((0..columns.count).map(|column| self.cell(sites, columns.frames_of(column), &bad)));
            let fill = |picture: &mut RgbImage, x: std::ops::Range<usize>, colour: Colour, opacity: f32| {
                for y in line.top..line.top + line.height {
                    for x in x.clone() {
                        let pixel = picture.get_pixel_mut(x as u32, y as u32);
                        *pixel = mix(*pixel, colour, opacity);
                    }
                }
            };
            let start = |column: usize| column * columns.width_px;
            for (column, cell) in cells.iter().enumerate() {
                fill(&mut picture, start(column)..start(column + 1), cell.colour, 1.0);
            }
            // Marks lie where one frame ends and the next begins, and are wide enough to be seen.
            let mark = (columns.width_px / 3).clamp(3, 7);
            // Where a row is nearly nothing but marks they are let through, so that its states are seen.
            let marked = cells.iter().filter(|cell| cell.loss.max(cell.gain) > 0.5).count() * mark;
            let most = (MARKED_SHARE * width as f32 / marked.max(1) as f32).min(1.0);
            for (column, cell) in cells.iter().enumerate() {
                let from = start(column).saturating_sub(mark / 2);
                let to = (from + mark).min(width as usize);
                let mut marks = [(cell.loss, LOSS), (cell.gain, GAIN)];
                marks.sort_by(|a, b| a.0.total_cmp(&b.0));
                for (opacity, colour) in marks.into_iter().filter(|mark| mark.0 > 0.02) {
                    fill(&mut picture, from..to, colour, most * opacity);
                }
            }
        }
        for rule in &lines.rules {
            for y in rule.clone() {
                for x in 0..width {
                    picture.put_pixel(x, y as u32, INK);
                }
            }
        }
        Some(picture)
    }

    /// Some sites over some frames.
    fn cell(&self, sites: &[usize], frames: std::ops::Range<usize>, bad: &[bool]) -> Cell {
        let (mut filled, mut known, mut seen) = (0.0_f32, 0, 0);
        let (mut loss, mut gain) = (0.0_f32, 0.0_f32);
        for frame in frames {
            seen += usize::from(!bad[frame]);
            for site in sites {
                let probability = self.states.probability[[*site, frame]];
                if probability.is_finite() {
                    filled += probability.clamp(0.0, 1.0);
                    known += 1;
                }
                loss = loss.max(self.states.loss[[*site, frame]]);
                gain = gain.max(self.states.gain[[*site, frame]]);
            }
        }
        let colour = if seen == 0 || known == 0 { BAD } else { mix(EMPTY, FILLED, filled / known as f32) };
        Cell { colour, loss: loss.min(1.0), gain: gain.min(1.0) }
    }

    /// Switches of all sites over time, losses and gains on top of each other.
    fn histogram(&self, area: Rectangle, columns: &Columns, size: f32) -> Vec<Shape> {
        let frames = self.states.frames();
        let per_bin = columns.frames_per_bin();
        let bins = frames.div_ceil(per_bin);
        let mut counts = vec![[0.0_f64; 2]; bins];
        for site in 0..self.states.sites() {
            for frame in 0..frames {
                for (kind, array) in [self.states.loss, self.states.gain].iter().enumerate() {
                    let probability = array[[site, frame]];
                    if probability.is_finite() {
                        counts[frame / per_bin][kind] += f64::from(probability);
                    }
                }
            }
        }
        let most = counts.iter().map(|count| count[0] + count[1]).fold(0.0, f64::max).max(1.0);
        let y = |count: f64| area.y + area.height * (1.0 - (count / (1.05 * most)) as f32);
        let mut shapes = Vec::new();
        let (values, step) = ticks(0.0, 1.05 * most, 3);
        let small = 0.85 * size;
        for value in values.iter().filter(|value| step >= 1.0 || (**value - value.round()).abs() < 1e-6) {
            let rule = Rectangle::new(area.x, y(*value) - 0.5, area.width, 1.0);
            shapes.push(Shape::rectangle(rule, from_hex(0xdcdcdc)));
            let at = Point::new(area.x - 0.4 * size, y(*value));
            let text = tick_label(*value, step.max(1.0));
            shapes.push(Shape::text(&text, small, INK, (Horizontal::Right, Vertical::Middle), at));
        }
        let x = |frame: usize| area.x + columns.place(frame as f64);
        for (bin, [losses, gains]) in counts.into_iter().enumerate() {
            let (from, to) = (x(bin * per_bin), x(((bin + 1) * per_bin).min(frames)));
            let gap = (0.08 * (to - from)).min(1.5);
            let mut foot = 0.0;
            for (count, colour) in [(losses, LOSS), (gains, GAIN)] {
                if count > 0.0 {
                    let (top, bottom) = (y(foot + count), y(foot));
                    let bar = Rectangle::new(from + gap, top, (to - from - 2.0 * gap).max(0.5), bottom - top);
                    shapes.push(Shape::rectangle(bar, colour));
                    foot += count;
                }
            }
        }
        shapes.push(Shape::rectangle(Rectangle::new(area.x, area.y + area.height - 1.0, area.width, 2.0), INK));
        let label = match per_bin {
            1 => "Switches per frame".to_owned(),
            frames => format!("Switches per {frames} frames"),
        };
        let at = Point::new(area.x + 0.3 * size, area.y - 0.2 * size);
        shapes.push(Shape::text(&label, small, INK, (Horizontal::Left, Vertical::Baseline), at));
        shapes
    }

    fn time_axis(&self, area: Rectangle, columns: &Columns, size: f32) -> Vec<Shape> {
        let frames = self.states.frames();
        let times = rising(self.times_s);
        // A frame is as long as the next one is away.
        let ends = times.map(|times| {
            let last = times[times.len() - 1];
            (times[0], last + (last - times[times.len() - 2]))
        });
        let (low, high) = ends.unwrap_or((0.0, frames as f64));
        let wanted = (area.width / (4.5 * size)) as usize;
        let wanted = if times.is_none() { wanted.min(frames) } else { wanted };
        let (values, step) = ticks(low, high, wanted.max(1));
        let below = area.y + area.height;
        let mut shapes = Vec::new();
        for value in values {
            let frame = times.map_or(value, |times| frame_at(times, value));
            let x = area.x + columns.place(frame);
            shapes.push(Shape::rectangle(Rectangle::new(x - 0.75, below, 1.5, 0.25 * size), INK));
            let at = Point::new(x, below + 0.4 * size);
            let text = tick_label(value, step);
            shapes.push(Shape::text(&text, 0.85 * size, INK, (Horizontal::Centre, Vertical::Top), at));
        }
        let label = if times.is_some() { "time (s)" } else { "frame" };
        let at = Point::new(area.x + 0.5 * area.width, below + 1.5 * size);
        shapes.push(Shape::text(label, size, INK, (Horizontal::Centre, Vertical::Top), at));
        shapes
    }

    /// Which sites are not shown.
    fn note(&self, rows: &[usize], left: f32, top: f32, size: f32) -> (Vec<Shape>, f32) {
        let sites = self.states.sites();
        let still = sites - rows.len();
        if still == 0 {
            return (Vec::new(), 1.3 * TEXT_PX);
        }
        let which = match (still, sites) {
            (1, 1) => "the only site, which never switches".to_owned(),
            (1, _) => format!("1 of {} sites, which never switches", grouped(sites)),
            _ => format!("{} of {} sites, which never switch", grouped(still), grouped(sites)),
        };
        let text = format!("Not shown: {which} (fewer than {FEWEST_SWITCHES} switches expected).");
        let at = Point::new(left, top);
        let shapes = vec![Shape::text(&text, size, INK, (Horizontal::Left, Vertical::Top), at)];
        (shapes, 1.3 * TEXT_PX + line_spacing(size))
    }
}

/// Times, if there are at least two and they rise.
fn rising(times: &[f64]) -> Option<&[f64]> {
    (times.len() > 1 && times.windows(2).all(|pair| pair[1] > pair[0])).then_some(times)
}

/// The frame, as a number with a fraction, at a time; beyond the ends as the nearest two frames say.
fn frame_at(times: &[f64], time: f64) -> f64 {
    let next = times.partition_point(|t| *t <= time).clamp(1, times.len() - 1);
    (next - 1) as f64 + (time - times[next - 1]) / (times[next] - times[next - 1])
}

/// What the colours and marks stand for.
fn key(left: f32, top: f32, size: f32) -> (Vec<Shape>, f32) {
    let small = 0.85 * size;
    let middle = top + 0.5 * size;
    let mut x = left;
    let mut shapes = Vec::new();
    for (label, colour, swatch) in [
        ("filled", FILLED, 1.4),
        ("empty", EMPTY, 1.4),
        ("loss: filled → empty", LOSS, 0.22),
        ("gain: empty → filled", GAIN, 0.22),
    ] {
        let area = Rectangle::new(x, middle - 0.4 * size, swatch * size, 0.8 * size);
        shapes.push(Shape::rectangle(area, colour));
        if swatch > 1.0 {
            shapes.push(Shape::Frame { area, thickness: 1.0, colour: from_hex(0x909090) });
        }
        x += (swatch + 0.4) * size;
        shapes.push(Shape::text(label, small, INK, (Horizontal::Left, Vertical::Middle), Point::new(x, middle)));
        x += width(label, small) + 1.3 * size;
    }
    let note = "(as opaque as probable)";
    shapes.push(Shape::text(
        note,
        small,
        INK,
        (Horizontal::Left, Vertical::Middle),
        Point::new(x - 0.8 * size, middle),
    ));
    (shapes, 0.0)
}

/// One rectangle of the raster.
struct Cell {
    colour: Colour,
    loss: f32,
    gain: f32,
}

struct Band {
    class: usize,
    rows: std::ops::Range<usize>,
    label: String,
}

/// How frames become columns of pixels.
struct Columns {
    frames: usize,
    count: usize,
    width_px: usize,
}

impl Columns {
    fn new(frames: usize, room_px: usize) -> Columns {
        let count = frames.min(room_px.max(1));
        Columns { frames, count, width_px: (room_px / count).max(1) }
    }

    fn frames_of(&self, column: usize) -> std::ops::Range<usize> {
        column * self.frames / self.count..(column + 1) * self.frames / self.count
    }

    /// How far from the left the beginning of a frame lies.
    fn place(&self, frame: f64) -> f32 {
        (frame / self.frames as f64 * (self.count * self.width_px) as f64) as f32
    }

    /// A round number of frames that makes at most 200 bars.
    fn frames_per_bin(&self) -> usize {
        let least = self.frames.div_ceil(200);
        let mut power = 1;
        loop {
            if let Some(step) = [1, 2, 5].map(|digit| digit * power).into_iter().find(|step| *step >= least) {
                return step;
            }
            power *= 10;
        }
    }
}

/// How rows become lines of pixels.
struct Lines {
    lines: Vec<PixelLine>,
    /// Lines of pixels between bands.
    rules: Vec<std::ops::Range<usize>>,
    /// Top and height of each band.
    bands: Vec<(usize, usize)>,
    height_px: usize,
}

struct PixelLine {
    rows: std::ops::Range<usize>,
    top: usize,
    height: usize,
}

impl Lines {
    fn new(rows: &[usize], bands: &[Band]) -> Lines {
        const RULE: usize = 3;
        let together = rows.len().div_ceil(MOST_ROWS).max(1);
        let pitch = (MOST_ROWS / rows.len().max(1)).clamp(1, 30);
        let gap = if pitch >= 12 { 3 } else { usize::from(pitch >= 5) };
        let mut found = Lines { lines: Vec::new(), rules: Vec::new(), bands: Vec::new(), height_px: 0 };
        let mut top = gap;
        for (index, band) in bands.iter().enumerate() {
            if index > 0 {
                found.rules.push(top..top + RULE);
                top += RULE + gap;
            }
            let start = top;
            let mut row = band.rows.start;
            while row < band.rows.end {
                let end = (row + together).min(band.rows.end);
                found.lines.push(PixelLine { rows: row..end, top, height: pitch - gap });
                top += pitch;
                row = end;
            }
            found.bands.push((start, top - start));
        }
        found.height_px = top.max(60);
        found
    }
}

/// Names of the classes beside their bands, moved apart where they would lie on each other.
fn band_labels(bands: &[Band], labels: &[Paragraph], lines: &Lines, area: Rectangle, size: f32) -> Vec<Shape> {
    let heights: Vec<f32> =
        labels.iter().map(|label| label.lines.len() as f32 * line_spacing(label.size_px) + 0.2 * size).collect();
    let wanted: Vec<f32> =
        lines.bands.iter().map(|(top, height)| area.y + *top as f32 + 0.5 * *height as f32).collect();
    let middles = spread(&wanted, &heights);
    let mut shapes = Vec::new();
    for (index, label) in labels.iter().enumerate().take(bands.len()) {
        let top = middles[index] - 0.5 * heights[index];
        for (number, line) in label.lines.iter().enumerate() {
            let y = top + 0.1 * size + (number as f32 + 0.5) * line_spacing(label.size_px);
            let at = Point::new(area.x - 0.9 * size, y);
            shapes.push(Shape::text(line, label.size_px, INK, (Horizontal::Right, Vertical::Middle), at));
        }
        let ends = [Point::new(area.x - 0.7 * size, middles[index]), Point::new(area.x - 0.1 * size, wanted[index])];
        shapes.push(Shape::line(ends, 1.5, INK));
    }
    shapes
}

/// Places as near to the wanted ones as it goes with things of these heights, none of which lies on another.
fn spread(wanted: &[f32], heights: &[f32]) -> Vec<f32> {
    // Groups that touch are centred on what their members want together.
    let mut groups: Vec<(Vec<usize>, f32, f32)> = Vec::new();
    for index in 0..wanted.len() {
        groups.push((vec![index], wanted[index], heights[index]));
        while groups.len() > 1 {
            let (last, before) = (&groups[groups.len() - 1], &groups[groups.len() - 2]);
            if before.1 + 0.5 * before.2 <= last.1 - 0.5 * last.2 {
                break;
            }
            let (Some(last), Some(before)) = (groups.pop(), groups.pop()) else { break };
            let members: Vec<usize> = before.0.into_iter().chain(last.0).collect();
            let height: f32 = members.iter().map(|m| heights[*m]).sum();
            let mut above = 0.0;
            let mut middle = 0.0;
            for member in &members {
                middle += wanted[*member] - (above + 0.5 * heights[*member] - 0.5 * height);
                above += heights[*member];
            }
            groups.push((members.clone(), middle / members.len() as f32, height));
        }
    }
    let mut places = vec![0.0; wanted.len()];
    for (members, middle, height) in groups {
        let mut top = middle - 0.5 * height;
        for member in members {
            places[member] = top + 0.5 * heights[member];
            top += heights[member];
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_where_there_is_room_and_else_move_apart() {
        assert_eq!(spread(&[10.0, 50.0], &[20.0, 20.0]), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 52.0], &[20.0, 20.0]), [41.0, 61.0]);
        let wanted = [5.0, 6.0, 7.0, 100.0, 101.0];
        let heights = [10.0, 30.0, 10.0, 8.0, 8.0];
        let found = spread(&wanted, &heights);
        for pair in 0..4 {
            let apart = 0.5 * (heights[pair] + heights[pair + 1]);
            assert!(found[pair + 1] - found[pair] > apart - 1e-3, "{found:?}");
        }
        assert!((found[1] - 6.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn frames_are_found_at_their_times() {
        let times = [0.0, 1.0, 3.0, 4.0];
        for (time, frame) in [(0.0, 0.0), (2.0, 1.5), (4.0, 3.0), (5.0, 4.0), (-1.0, -1.0)] {
            assert!((frame_at(&times, time) - frame).abs() < 1e-12, "{time}");
        }
        assert!(rising(&[0.0, 1.0, 1.0]).is_none() && rising(&[0.0]).is_none() && rising(&times).is_some());
    }

    #[test]
    fn every_frame_is_in_one_column_and_bins_are_round() {
        for (frames, room) in [(1, 500), (120, 1700), (1700, 1700), (10_000, 1701), (300, 7)] {
            let columns = Columns::new(frames, room);
            let covered: Vec<usize> = (0..columns.count).flat_map(|column| columns.frames_of(column)).collect();
            assert_eq!(covered, (0..frames).collect::<Vec<_>>());
            assert!(columns.count * columns.width_px <= room);
        }
        let per_bin = |frames| Columns::new(frames, 1000).frames_per_bin();
        assert_eq!([10, 200, 201, 900, 10_000].map(per_bin), [1, 1, 2, 5, 50]);
    }
}
