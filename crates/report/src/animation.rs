//! A movie with its sites on it, as GIF: a ring on every site whose colour says whether it is filled, marks that flash
//! where one is emptied or filled, a scale bar, the number of the frame and its time.
//!
//! Frames are written as they come, one at a time, so that the memory does not grow with their number. All share one
//! palette of greys and a few colours, and one contrast. GIF shows at most 50 frames a second and keeps every grain of
//! a frame: a picture of 512 x 512 pixels takes about 0.2 MB, so that sides and frames are bounded.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use gif::{DisposalMethod, Encoder, EncodingError, Frame, Repeat};
use image::RgbImage;
use ndarray::{ArrayView2, s};

use crate::canvas::{Canvas, Horizontal, Point, Rectangle, Vertical};
use crate::colour::{BLACK, Colour, ColourMap, WHITE, from_hex, mix};
use crate::drawing::{Shape, draw};
use crate::neighbours::nearest_distances;
use crate::panel::CONTRAST_PERCENT;
use crate::scale_bar::short_number;
use crate::structure_view::Field;
use crate::text::width;
use crate::{ReportError, raster, scale_bar};

/// An animation has no more frames than this.
pub const MOST_FRAMES: usize = 300;
/// The picture of an animation is no narrower than this, so that its words have room.
const LEAST_WIDTH_PX: usize = 400;
/// Greys of the palette; the rest of it are colours on some of them. The noise of a frame hides the steps between them,
/// and half as many make a file a fifth smaller.
const GREYS: usize = 32;

/// A site that is filled.
const FILLED: Colour = from_hex(0x56b4e9);
/// A site that is empty.
const EMPTY: Colour = from_hex(0xf0c000);
/// A site that was emptied.
const LOSS: Colour = from_hex(0xff5a1f);
/// A site that was filled.
const GAIN: Colour = from_hex(0x2fe07a);

/// Every how many frames one is taken, so that an animation holds no more than [`MOST_FRAMES`].
pub fn frame_step(frames: usize) -> usize {
    frames.div_ceil(MOST_FRAMES).max(1)
}

/// How an animation looks.
#[derive(Debug, Clone, PartialEq)]
pub struct AnimationSettings {
    /// About the longest side of the picture, in pixels; at most 1024.
    pub largest_side_px: usize,
    /// How long a frame is shown, in ms; rounded to 10 ms, at least 20.
    pub frame_ms: u32,
    /// Counts that are black and white; without them, percentiles of the first frame.
    pub limits: Option<(f32, f32)>,
    /// The distance of nearest neighbours, which the size of the rings is taken from; without it, the median of the
    /// first frame's sites.
    pub neighbour_angstrom: Option<f64>,
    /// The part of a frame that is shown; without it all of it.
    pub field: Option<Field>,
}

impl Default for AnimationSettings {
    fn default() -> AnimationSettings {
        AnimationSettings { largest_side_px: 512, frame_ms: 120, limits: None, neighbour_angstrom: None, field: None }
    }
}

/// A site in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnimationSite {
    /// Place in this frame, from the centre of its first pixel to the right.
    pub x_angstrom: f64,
    /// Place in this frame, from the centre of its first pixel down.
    pub y_angstrom: f64,
    /// Probability that it is filled.
    pub probability: f32,
    /// Probability that it was emptied since the frame before that is shown.
    pub loss: f32,
    /// Probability that it was filled since the frame before that is shown.
    pub gain: f32,
}

/// One frame.
#[derive(Debug, Clone, Copy)]
pub struct AnimationFrame<'a> {
    /// The picture `[y, x]`; every frame has the same shape.
    pub counts: ArrayView2<'a, f32>,
    /// Its number in the movie.
    pub number: usize,
    /// When it was taken.
    pub time_s: Option<f64>,
    /// The sites, in the same order in every frame.
    pub sites: &'a [AnimationSite],
}

/// An animation that is being written.
///
/// ```
/// use atomlens_report::{Animation, AnimationFrame, AnimationSettings, AnimationSite};
/// let folder = tempfile::tempdir()?;
/// let counts = ndarray::Array2::from_shape_fn((48, 64), |(y, x)| ((x * y) % 23) as f32);
/// let mut animation = Animation::create(folder.path().join("movie.gif"), [48, 64], 0.2, AnimationSettings::default())?;
/// for number in 0..3 {
///     let sites = [AnimationSite { x_angstrom: 5.0, y_angstrom: 4.0, probability: 0.9, loss: 0.0, gain: 0.1 }];
///     animation.add(&AnimationFrame { counts: counts.view(), number, time_s: None, sites: &sites })?;
/// }
/// animation.finish()?;
/// assert!(folder.path().join("movie.gif").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Animation {
    path: PathBuf,
    encoder: Option<Encoder<BufWriter<File>>>,
    settings: AnimationSettings,
    view: View,
    palette: Palette,
    limits: Option<(f32, f32)>,
    radius_px: Option<f32>,
    /// How much of a loss and a gain of every site is still to be seen.
    flashes: Vec<[f32; 2]>,
    frames: usize,
}

impl std::fmt::Debug for Animation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Animation").field("path", &self.path).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Animation {
    /// Begins an animation of frames of `[ny, nx]` pixels of `pixel_angstrom`. The file takes its name when it is
    /// finished.
    pub fn create(
        path: impl AsRef<Path>,
        [ny, nx]: [usize; 2],
        pixel_angstrom: f64,
        settings: AnimationSettings,
    ) -> Result<Animation, ReportError> {
        let path = path.as_ref().to_owned();
        let view = View::new([ny, nx], pixel_angstrom, &settings)?;
        let palette = Palette::new();
        let write_error = |source| ReportError::Write { path: path.clone(), source };
        let file = File::create(partial(&path)).map_err(write_error)?;
        let [width, height] = [view.canvas_width as u16, view.canvas_height as u16];
        let encoder = Encoder::new(BufWriter::new(file), width, height, &palette.bytes());
        let mut encoder = encoder.map_err(|error| failure(&path, error))?;
        encoder.set_repeat(Repeat::Infinite).map_err(|error| failure(&path, error))?;
        let limits = settings.limits;
        Ok(Animation {
            path,
            encoder: Some(encoder),
            settings,
            view,
            palette,
            limits,
            radius_px: None,
            flashes: Vec::new(),
            frames: 0,
        })
    }

    /// Adds a frame.
    pub fn add(&mut self, frame: &AnimationFrame<'_>) -> Result<(), ReportError> {
        if self.frames == MOST_FRAMES {
            return Err(ReportError::TooManyFrames { most: MOST_FRAMES });
        }
        let (ny, nx) = frame.counts.dim();
        let [grid_ny, grid_nx] = self.view.shape;
        if (ny, nx) != (grid_ny, grid_nx) {
            return Err(ReportError::GridShape { ny, nx, grid_ny, grid_nx });
        }
        let picture = self.draw(frame);
        let pixels = self.palette.indices(&picture);
        let delay = ((self.settings.frame_ms + 5) / 10).clamp(2, 6000) as u16;
        let encoded = Frame {
            width: self.view.canvas_width as u16,
            height: self.view.canvas_height as u16,
            delay,
            dispose: DisposalMethod::Keep,
            buffer: pixels.into(),
            ..Frame::default()
        };
        if let Some(encoder) = &mut self.encoder {
            encoder.write_frame(&encoded).map_err(|error| failure(&self.path, error))?;
        }
        self.frames += 1;
        Ok(())
    }

    /// Ends the animation; an older file is replaced.
    pub fn finish(mut self) -> Result<(), ReportError> {
        if self.frames == 0 {
            return Err(ReportError::Empty { what: "the animation" });
        }
        let Some(encoder) = self.encoder.take() else { return Ok(()) };
        let mut file = encoder.into_inner().map_err(|error| failure(&self.path, error))?;
        let written = file.flush().and_then(|()| std::fs::rename(partial(&self.path), &self.path));
        written.map_err(|source| {
            let _ = std::fs::remove_file(partial(&self.path));
            ReportError::Write { path: self.path.clone(), source }
        })
    }

    /// The picture of a frame, before it is given the palette's colours.
    fn draw(&mut self, frame: &AnimationFrame<'_>) -> RgbImage {
        let view = &self.view;
        let part = frame.counts.slice(s![view.rows.clone(), view.columns.clone()]);
        let shown = raster::resample(part, view.height, view.width);
        let limits = *self.limits.get_or_insert_with(|| {
            let (low, high) = CONTRAST_PERCENT;
            raster::percentiles(shown.view(), low, high).unwrap_or((0.0, 1.0))
        });
        let mut painted = raster::paint(shown.view(), ColourMap::Grey, limits.0, limits.1);
        for pixel in painted.pixels_mut().filter(|pixel| pixel.0[0] != pixel.0[1]) {
            *pixel = BLACK;
        }
        let mut canvas = Canvas::new(view.canvas_width as u32, view.canvas_height as u32, BLACK);
        canvas.paste(&painted, view.left as u32, 0);
        let area = Rectangle::new(view.left as f32, 0.0, view.width as f32, view.height as f32);

        let radius = *self.radius_px.get_or_insert_with(|| view.radius(&self.settings, frame.sites));
        self.flashes.resize(frame.sites.len(), [0.0; 2]);
        canvas.clip_to(Some(area));
        for (site, flash) in frame.sites.iter().zip(&mut self.flashes) {
            let at = view.place(site);
            // A flash fades over a few frames, or the eye misses it.
            for (left, new) in flash.iter_mut().zip([site.loss, site.gain]) {
                *left = (0.55 * *left).max(if new.is_finite() { new.clamp(0.0, 1.0) } else { 0.0 });
            }
            if !(at.x.is_finite() && at.y.is_finite()) {
                continue;
            }
            let probability = if site.probability.is_finite() { site.probability.clamp(0.0, 1.0) } else { 0.5 };
            let thickness = (0.16 * radius).clamp(1.2, 2.5);
            let opacity = 0.95 - 0.35 * probability;
            canvas.soft_ring(at, radius, thickness, mix(EMPTY, FILLED, probability), opacity);
            for (strength, colour) in [(flash[0], LOSS), (flash[1], GAIN)] {
                if strength > 0.08 {
                    canvas.soft_ring(at, 1.3 * radius, 2.0 * thickness, colour, strength);
                }
            }
        }
        canvas.clip_to(None);
        for shape in scale_bar::shapes(area, view.pixel_shown, view.text, false) {
            draw(&mut canvas, &shape);
        }
        for shape in view.words(frame) {
            draw(&mut canvas, &shape);
        }
        canvas.into_image()
    }
}

impl Drop for Animation {
    fn drop(&mut self) {
        // One that was not finished leaves nothing behind.
        if let Some(encoder) = self.encoder.take() {
            drop(encoder);
            let _ = std::fs::remove_file(partial(&self.path));
        }
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn failure(path: &Path, error: EncodingError) -> ReportError {
    let source = match error {
        EncodingError::Io(source) => source,
        other => std::io::Error::other(other),
    };
    ReportError::Write { path: path.to_owned(), source }
}

/// Where things are on every picture.
#[derive(Debug)]
struct View {
    shape: [usize; 2],
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    pixel_angstrom: f64,
    /// Size of a pixel of the picture.
    pixel_shown: f64,
    width: usize,
    height: usize,
    left: usize,
    canvas_width: usize,
    canvas_height: usize,
    text: f32,
}

impl View {
    fn new([ny, nx]: [usize; 2], pixel_angstrom: f64, settings: &AnimationSettings) -> Result<View, ReportError> {
        if nx == 0 || ny == 0 {
            return Err(ReportError::NoPixels { ny, nx });
        }
        if !(pixel_angstrom.is_finite() && pixel_angstrom > 0.0) {
            return Err(ReportError::PixelSize { found_angstrom: pixel_angstrom });
        }
        let (mut rows, mut columns) = (0..ny, 0..nx);
        if let Some(field) = &settings.field {
            field.check()?;
            let range = |low: f64, high: f64, count: usize| {
                let first = (low / pixel_angstrom).round().clamp(0.0, (count - 1) as f64) as usize;
                let last = (high / pixel_angstrom).round().clamp(first as f64, (count - 1) as f64) as usize;
                first..last + 1
            };
            rows = range(field.y_low_angstrom, field.y_high_angstrom, ny);
            columns = range(field.x_low_angstrom, field.x_high_angstrom, nx);
        }
        let largest = settings.largest_side_px.clamp(64, 1024);
        let longest = rows.len().max(columns.len());
        // Whole factors keep pixels squares and make files that are several times smaller; the picture may then be a
        // fifth larger.
        let scale = match (largest as f64 / longest as f64).round() {
            factor if factor >= 1.0 && factor * longest as f64 <= 1.2 * largest as f64 => factor,
            factor if factor > 1.0 => factor - 1.0,
            _ => largest as f64 / longest as f64,
        };
        let [height, width] = [rows.len(), columns.len()].map(|n| ((n as f64 * scale).round() as usize).max(1));
        let canvas_width = width.max(LEAST_WIDTH_PX);
        let text = (canvas_width as f32 / 30.0).clamp(15.0, 24.0).round();
        Ok(View {
            shape: [ny, nx],
            pixel_shown: pixel_angstrom * columns.len() as f64 / width as f64,
            rows,
            columns,
            pixel_angstrom,
            width,
            height,
            left: (canvas_width - width) / 2,
            canvas_width,
            canvas_height: height + (1.7 * text) as usize,
            text,
        })
    }

    fn place(&self, site: &AnimationSite) -> Point {
        let along =
            |place: f64, first: usize| ((place + (0.5 - first as f64) * self.pixel_angstrom) / self.pixel_shown) as f32;
        let x = along(site.x_angstrom, self.columns.start);
        Point::new(self.left as f32 + x, along(site.y_angstrom, self.rows.start))
    }

    fn radius(&self, settings: &AnimationSettings, sites: &[AnimationSite]) -> f32 {
        let given = settings.neighbour_angstrom.filter(|distance| distance.is_finite() && *distance > 0.0);
        let places: Vec<[f64; 2]> = sites.iter().map(|site| [site.x_angstrom, site.y_angstrom]).collect();
        let own = || {
            let found: Vec<f64> = nearest_distances(&places).into_iter().flatten().filter(|d| *d > 0.0).collect();
            crate::html::median(&found)
        };
        let neighbour = given.or_else(own).unwrap_or(0.06 * self.width as f64 * self.pixel_shown);
        ((0.34 * neighbour / self.pixel_shown) as f32).clamp(2.0, 0.1 * self.width as f32)
    }

    /// The line below the picture: which frame, when, and what the rings mean.
    fn words(&self, frame: &AnimationFrame<'_>) -> Vec<Shape> {
        let middle = self.height as f32 + 0.85 * self.text;
        let time = frame.time_s.map_or(String::new(), |time| format!("   {} s", seconds(time)));
        let text = format!("frame {}{time}", frame.number);
        let size = 0.95 * self.text;
        let at = Point::new(0.4 * self.text, middle);
        let mut shapes = vec![Shape::text(&text, size, WHITE, (Horizontal::Left, Vertical::Middle), at)];
        let small = 0.8 * self.text;
        let mut right = self.canvas_width as f32 - 0.4 * self.text;
        for (label, colour, heavy) in
            [("filled again", GAIN, true), ("emptied", LOSS, true), ("empty", EMPTY, false), ("filled", FILLED, false)]
        {
            let left = right - width(label, small);
            if left - 1.2 * small < 0.8 * self.text + width(&text, size) {
                break;
            }
            let at = Point::new(left, middle);
            shapes.push(Shape::text(label, small, WHITE, (Horizontal::Left, Vertical::Middle), at));
            let centres = vec![Point::new(left - 0.65 * small, middle)];
            let thickness = if heavy { 3.0 } else { 1.6 };
            shapes.push(Shape::Rings { centres, radius: 0.36 * small, thickness, colour, opacity: 1.0 });
            right = left - 1.7 * small;
        }
        shapes
    }
}

/// A time of which neighbours differ.
fn seconds(time: f64) -> String {
    if time.abs() >= 0.01 || time == 0.0 { format!("{time:.2}") } else { short_number(time) }
}

/// The colours of an animation.
#[derive(Debug)]
struct Palette {
    colours: Vec<Colour>,
    /// The nearest colour of the palette to each colour with five bits a channel.
    nearest: Vec<u8>,
}

impl Palette {
    fn new() -> Palette {
        let grey = |level: usize| image::Rgb([level as u8; 3]);
        let mut colours: Vec<Colour> = (0..GREYS).map(|i| grey((i * 255 + (GREYS - 1) / 2) / (GREYS - 1))).collect();
        let between = [0.25, 0.5, 0.75].map(|fraction| mix(EMPTY, FILLED, fraction));
        let hues = [FILLED, EMPTY, LOSS, GAIN].into_iter().chain(between);
        for hue in hues {
            colours.push(hue);
            // Rings let the picture through and have soft edges.
            for opacity in [0.35, 0.7] {
                colours.extend([25, 95, 165, 235].map(|level| mix(grey(level), hue, opacity)));
            }
        }
        let nearest = (0..1_usize << 15)
            .map(|index| {
                let channel = |shift: usize| ((index >> shift) & 31) as i32 * 255 / 31;
                let wanted = [channel(10), channel(5), channel(0)];
                let distance = |colour: &Colour| -> i32 {
                    // The eye is most exact in green.
                    colour.0.iter().zip(wanted).zip([3, 6, 2]).map(|((a, b), w)| w * (i32::from(*a) - b).pow(2)).sum()
                };
                (0..colours.len()).min_by_key(|i| distance(&colours[*i])).unwrap_or(0) as u8
            })
            .collect();
        Palette { colours, nearest }
    }

    fn bytes(&self) -> Vec<u8> {
        self.colours.iter().flat_map(|colour| colour.0).collect()
    }

    fn indices(&self, picture: &RgbImage) -> Vec<u8> {
        let index = |pixel: &Colour| {
            let [r, g, b] = pixel.0.map(usize::from);
            if r == g && g == b {
                return ((r * (GREYS - 1) + 127) / 255) as u8;
            }
            self.nearest[(r >> 3) << 10 | (g >> 3) << 5 | b >> 3]
        };
        picture.pixels().map(index).collect()
    }
}
