//! The values under the windows of a band of rows, as runs that lie side by side in memory.

use super::convolution::ConvolutionShape;

/// Scratch for one band, in floats (192 KiB): it stays in a core's second-level cache with the weights beside it.
const BAND_FLOATS: usize = 48 * 1024;
/// Runs shorter than this are read value by value.
const SHORT_RUN: usize = 16;
/// Windows of a band: the first value of pixel `(y, x)` is `values[y pitch_y + x pitch_x]`.
pub(super) struct Windows<'a> {
    /// The band.
    pub values: &'a [f32],
    /// Pixels in a row.
    pub width: usize,
    /// Floats from a pixel to its neighbour on the right.
    pub pitch_x: usize,
    /// Floats from a pixel to its neighbour below.
    pub pitch_y: usize,
    /// Where the values of a window are.
    pub reach: Reach<'a>,
}

/// Where the values of a window are, in the order of the weights, from its first value.
#[derive(Clone, Copy)]
pub(super) enum Reach<'a> {
    /// Runs side by side.
    Runs {
        /// Where they start.
        segments: &'a [usize],
        /// Floats in each, at least 16.
        length: usize,
    },
    /// Single values.
    Single {
        /// Where they are.
        offsets: &'a [usize],
        /// One more than the last offset.
        span: usize,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// The image itself: a kernel of one pixel.
    Image,
    /// A copy with a margin of zeros.
    Padded,
}

/// How windows of an image are made, decided from the shape alone.
pub(super) struct Layout {
    shape: ConvolutionShape,
    source: Source,
    margin: usize,
    pitch_x: usize,
    pitch_y: usize,
    /// Where the runs of a window, or its single values, start.
    starts: Vec<usize>,
    length: usize,
    /// Rows of a band; the last of an image may have fewer.
    pub rows: usize,
}

impl Layout {
    pub(super) fn new(shape: &ConvolutionShape) -> Self {
        let ConvolutionShape { kernel, dilation, channels_in: channels, width, height, .. } = *shape;
        let margin = shape.margin();
        let source = if kernel == 1 { Source::Image } else { Source::Padded };
        let pitch_y = (width + 2 * margin) * channels;
        let length = channels * if dilation == 1 { kernel } else { 1 };
        let taps = (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| dilation * (ky * pitch_y + kx * channels)));
        let (starts, length) = if length < SHORT_RUN {
            (taps.flat_map(|tap| tap..tap + channels).collect(), 1)
        } else if dilation == 1 {
            ((0..kernel).map(|ky| ky * pitch_y).collect(), length)
        } else {
            (taps.collect(), length)
        };
        let fitting = (BAND_FLOATS / pitch_y.max(1)).saturating_sub(2 * margin);
        // Sixteen bands or more give the cores something to share; not so low that the margins are most of the work.
        let shared = (shape.batch * height).div_ceil(16);
        let rows = fitting.min(shared).max(4).max(margin).min(height.max(1));
        Layout { shape: *shape, source, margin, pitch_x: channels, pitch_y, starts, length, rows }
    }

    /// Windows of the rows `y .. y + rows` of an image `[y, x, channel]`, written to `scratch` where they must be.
    pub(super) fn windows<'a>(
        &'a self,
        image: &'a [f32],
        y: usize,
        rows: usize,
        scratch: &'a mut Vec<f32>,
    ) -> Windows<'a> {
        let values = match self.source {
            Source::Image => &image[y * self.pitch_y..(y + rows) * self.pitch_y],
            Source::Padded => self.pad(image, y, rows, scratch),
        };
        let reach = if self.is_single() {
            Reach::Single { offsets: &self.starts, span: self.starts.last().map_or(0, |last| last + 1) }
        } else {
            Reach::Runs { segments: &self.starts, length: self.length }
        };
        Windows { values, width: self.shape.width, pitch_x: self.pitch_x, pitch_y: self.pitch_y, reach }
    }

    /// Whether the values of a window are read one by one.
    pub(super) fn is_single(&self) -> bool {
        self.length == 1
    }

    fn pad<'a>(&self, image: &[f32], y: usize, rows: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let row_floats = self.shape.width * self.shape.channels_in;
        let side = self.margin * self.shape.channels_in;
        let values = sized(scratch, (rows + 2 * self.margin) * self.pitch_y);
        for (row, into) in values.chunks_exact_mut(self.pitch_y).enumerate() {
            let from = (y + row).checked_sub(self.margin).filter(|&from| from < self.shape.height);
            let Some(from) = from else {
                into.fill(0.0);
                continue;
            };
            into[..side].fill(0.0);
            into[side..side + row_floats].copy_from_slice(&image[from * row_floats..(from + 1) * row_floats]);
            into[side + row_floats..].fill(0.0);
        }
        values
    }
}

/// The first `length` floats of `scratch`, whatever they hold, enlarged if need be.
pub(super) fn sized(scratch: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if scratch.len() < length {
        scratch.resize(length, 0.0);
    }
    &mut scratch[..length]
}
