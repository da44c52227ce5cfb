//! The values under the windows of a band of rows, as runs that lie side by side in memory.

use super::convolution::ConvolutionShape;

/// Scratch for one band, in floats (192 KiB): it stays in a core's second-level cache with the weights beside it.
const BAND_FLOATS: usize = 48 * 1024;
/// Fewer channels than this and the runs are too short for the innermost loop: windows are written out instead.
const SHORT_RUN: usize = 16;
/// The readable length of a run is at least this, the tallest block of a weight gradient.
const TALLEST_BLOCK: usize = 8;

/// Windows of a band: pixel `(y, x)` has the values `values[y pitch_y + x pitch_x + segment..][..length]`, one run
/// after the other, in the order of the weights.
pub(super) struct Windows<'a> {
    /// The band.
    pub values: &'a [f32],
    /// Pixels in a row.
    pub width: usize,
    /// Floats from a pixel to its neighbour on the right.
    pub pitch_x: usize,
    /// Floats from a pixel to its neighbour below.
    pub pitch_y: usize,
    /// Where the runs of a window start.
    pub segments: &'a [usize],
    /// Floats in a run.
    pub length: usize,
    /// Floats that can be read from the start of a run, at least the length.
    pub readable: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// The image itself: a kernel of one pixel.
    Image,
    /// A copy with a margin of zeros.
    Padded,
    /// Every window written out.
    Gathered,
}

/// How windows of an image are made, decided from the shape alone.
pub(super) struct Layout {
    shape: ConvolutionShape,
    source: Source,
    margin: usize,
    pitch_x: usize,
    pitch_y: usize,
    segments: Vec<usize>,
    length: usize,
    /// Rows of a band; the last of an image may have fewer.
    pub rows: usize,
}

impl Layout {
    pub(super) fn new(shape: &ConvolutionShape) -> Self {
        let ConvolutionShape { kernel, dilation, channels_in: channels, width, height, .. } = *shape;
        let margin = shape.margin();
        let source = match (kernel, channels * if dilation == 1 { kernel } else { 1 }) {
            (1, TALLEST_BLOCK..) => Source::Image,
            (1, _) => Source::Gathered,
            (_, SHORT_RUN..) => Source::Padded,
            _ => Source::Gathered,
        };
        let (pitch_x, pitch_y, segments, length) = match source {
            Source::Image => (channels, width * channels, vec![0], channels),
            Source::Gathered => {
                let length = kernel * kernel * channels;
                let pitch = length.max(TALLEST_BLOCK);
                (pitch, width * pitch, vec![0], length)
            }
            Source::Padded => {
                let pitch_y = (width + 2 * margin) * channels;
                if dilation == 1 {
                    (channels, pitch_y, (0..kernel).map(|ky| ky * pitch_y).collect(), kernel * channels)
                } else {
                    let taps = (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx)));
                    let segments = taps.map(|(ky, kx)| dilation * (ky * pitch_y + kx * channels)).collect();
                    (channels, pitch_y, segments, channels)
                }
            }
        };
        let fitting =
            (BAND_FLOATS / pitch_y.max(1)).saturating_sub(if source == Source::Padded { 2 * margin } else { 0 });
        // Sixteen bands or more give the cores something to share; not so low that the margins are most of the work.
        let shared = (shape.batch * height).div_ceil(16);
        let rows = fitting.min(shared).max(4).max(margin).min(height.max(1));
        Layout { shape: *shape, source, margin, pitch_x, pitch_y, segments, length, rows }
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
            Source::Gathered => self.gather(image, y, rows, scratch),
        };
        Windows {
            values,
            width: self.shape.width,
            pitch_x: self.pitch_x,
            pitch_y: self.pitch_y,
            segments: &self.segments,
            length: self.length,
            readable: self.length.max(TALLEST_BLOCK),
        }
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

    fn gather<'a>(&self, image: &[f32], y: usize, rows: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let ConvolutionShape { kernel, dilation, channels_in: channels, width, height, .. } = self.shape;
        let values = sized(scratch, rows * self.pitch_y);
        values.fill(0.0);
        for (row, into) in values.chunks_exact_mut(self.pitch_y).enumerate() {
            for ky in 0..kernel {
                let from = (y + row + ky * dilation).checked_sub(self.margin).filter(|&from| from < height);
                let Some(from) = from else { continue };
                let from = &image[from * width * channels..(from + 1) * width * channels];
                for kx in 0..kernel {
                    // Pixel x reads x + shift - margin.
                    let shift = kx * dilation;
                    let (first, end) = (self.margin.saturating_sub(shift), (width + self.margin).saturating_sub(shift));
                    let (first, end) = (first.min(width), end.min(width));
                    if first >= end {
                        continue;
                    }
                    let from = &from[(first + shift - self.margin) * channels..];
                    let into = &mut into[first * self.pitch_x..end * self.pitch_x];
                    let place = (ky * kernel + kx) * channels;
                    if channels == 1 {
                        for (into, from) in into.chunks_exact_mut(self.pitch_x).zip(from) {
                            into[place] = *from;
                        }
                    } else {
                        let windows = into.chunks_exact_mut(self.pitch_x);
                        for (into, from) in windows.zip(from.chunks_exact(channels)) {
                            for (into, from) in into[place..place + channels].iter_mut().zip(from) {
                                *into = *from;
                            }
                        }
                    }
                }
            }
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
