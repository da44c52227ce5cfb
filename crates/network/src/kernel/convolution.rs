//! Convolutions and their gradients, divided among threads.

use std::cell::RefCell;

use rayon::prelude::*;

use super::block::{self, Columns, Finish, Gradients, Patch};
use super::panel::Panels;
use super::window::{Layout, sized};

/// Pixels over which a block of a weight gradient is summed before it leaves the registers: long enough that leaving
/// costs little, short enough that the gradients stay in the first-level cache.
const PATCH_PIXELS: usize = 128;
/// Partial sums of a weight gradient: at most so many, and not more floats than these in all (16 MiB) beyond four.
const PARTS: usize = 32;
const PARTS_FLOATS: usize = 4 * 1024 * 1024;
/// Up to so many output channels a convolution is done tap by tap, see [`forward_by_taps`].
const FEW_CHANNELS: usize = 3;
/// The shape of a convolution of stride one that keeps the size of its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// Images.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Side of the kernel in taps: odd.
    pub kernel: usize,
    /// Pixels from one tap to the next: 1 or more.
    pub dilation: usize,
}

impl ConvolutionShape {
    /// Pixels that a window reaches beyond its centre.
    pub(super) fn margin(&self) -> usize {
        self.kernel / 2 * self.dilation
    }

    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    fn image_pixels(&self) -> usize {
        self.height * self.width
    }

    /// Floats of the input, `[batch, y, x, channel_in]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.image_pixels() * self.channels_in
    }

    /// Floats of the output, `[batch, y, x, channel_out]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.image_pixels() * self.channels_out
    }

    /// Floats of the weights, `[ky, kx, channel_in, channel_out]`.
    pub fn weight_len(&self) -> usize {
        self.taps() * self.channels_in * self.channels_out
    }

    /// Floating-point operations of one convolution, or of one of its two gradients: a product and a sum for every
    /// weight and pixel.
    pub fn operations(&self) -> usize {
        2 * self.batch * self.image_pixels() * self.weight_len()
    }

    fn transposed(&self) -> Self {
        ConvolutionShape { channels_in: self.channels_out, channels_out: self.channels_in, ..*self }
    }

    fn is_empty(&self) -> bool {
        self.batch * self.image_pixels() == 0
    }

    fn check(&self, input: usize, weight: usize, output: usize) {
        assert!(self.kernel % 2 == 1, "a kernel has an odd side, not {}", self.kernel);
        assert!(self.dilation >= 1, "a dilation is at least 1");
        assert!(self.channels_in >= 1 && self.channels_out >= 1, "a convolution has channels: {self:?}");
        assert_eq!(input, self.input_len(), "floats of the input of {self:?}");
        assert_eq!(weight, self.weight_len(), "floats of the weights of {self:?}");
        assert_eq!(output, self.output_len(), "floats of the output of {self:?}");
    }
}

/// What is done to a sum before it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// Values below zero become zero.
    Relu,
    /// Values below zero are multiplied by this slope.
    LeakyRelu(f32),
}

impl Activation {
    fn slope(self) -> f32 {
        match self {
            Activation::None => 1.0,
            Activation::Relu => 0.0,
            Activation::LeakyRelu(slope) => slope,
        }
    }
}

thread_local! {
    /// Kept from call to call: fresh memory costs as much as filling it several times over.
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Lends this thread's scratch buffers.
fn with_scratch<R>(work: impl FnOnce(&mut Vec<f32>, &mut Vec<f32>) -> R) -> R {
    let [mut first, mut second] = SCRATCH.take();
    let result = work(&mut first, &mut second);
    SCRATCH.set([first, second]);
    result
}

/// `out = activation(convolution(input, weight) + bias + skip)`.
///
/// `input` is `[batch, y, x, channel_in]`, `weight` `[ky, kx, channel_in, channel_out]`, `bias` `[channel_out]`, `skip`
/// and `out` `[batch, y, x, channel_out]`.
///
/// # Panics
/// If a slice does not have the length of its shape, the kernel's side is even, or the dilation is zero.
pub fn forward(
    shape: &ConvolutionShape,
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    skip: Option<&[f32]>,
    activation: Activation,
    out: &mut [f32],
) {
    shape.check(input.len(), weight.len(), out.len());
    assert_eq!(bias.len(), shape.channels_out, "floats of the bias of {shape:?}");
    if let Some(skip) = skip {
        assert_eq!(skip.len(), shape.output_len(), "floats of the skip of {shape:?}");
    }
    convolve(
        shape,
        input,
        |tap, i, o| weight[(tap * shape.channels_in + i) * shape.channels_out + o],
        bias,
        skip,
        activation,
        out,
    );
}

/// The gradient to the input, `[batch, y, x, channel_in]`, from the gradient `[batch, y, x, channel_out]` to the output
/// before its activation.
///
/// # Panics
/// As [`forward`].
pub fn backward_input(shape: &ConvolutionShape, grad_out: &[f32], weight: &[f32], grad_in: &mut [f32]) {
    shape.check(grad_in.len(), weight.len(), grad_out.len());
    let last = shape.taps() - 1;
    // The same convolution with the kernel turned by half a turn and the channels exchanged.
    let turned = |tap, o, i| weight[((last - tap) * shape.channels_in + i) * shape.channels_out + o];
    let bias = vec![0.0; shape.channels_in];
    convolve(&shape.transposed(), grad_out, turned, &bias, None, Activation::None, grad_in);
}

/// The gradients to the weights, `[ky, kx, channel_in, channel_out]`, and to the bias, `[channel_out]`, from the
/// gradient `[batch, y, x, channel_out]` to the output before its activation.
///
/// # Panics
/// As [`forward`].
pub fn backward_weight(
    shape: &ConvolutionShape,
    input: &[f32],
    grad_out: &[f32],
    grad_weight: &mut [f32],
    grad_bias: &mut [f32],
) {
    shape.check(input.len(), grad_weight.len(), grad_out.len());
    assert_eq!(grad_bias.len(), shape.channels_out, "floats of the bias of {shape:?}");
    sum_over_pixels(shape, grad_out, grad_bias);
    if shape.channels_out < 8 && shape.channels_out < shape.channels_in {
        // Lanes are columns: with the two images exchanged there are enough of them. What one image is shifted
        // against the other by changes its sign, hence the taps in reverse.
        let last = shape.taps() - 1;
        correlate(&shape.transposed(), grad_out, input, |tap, o, i, value| {
            grad_weight[((last - tap) * shape.channels_in + i) * shape.channels_out + o] = value;
        });
    } else {
        correlate(shape, input, grad_out, |tap, i, o, value| {
            grad_weight[(tap * shape.channels_in + i) * shape.channels_out + o] = value;
        });
    }
}

/// The convolution with the weights `weight(tap, channel_in, channel_out)`.
fn convolve(
    shape: &ConvolutionShape,
    input: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32,
    bias: &[f32],
    skip: Option<&[f32]>,
    activation: Activation,
    out: &mut [f32],
) {
    if shape.is_empty() {
        return;
    }
    if shape.channels_out <= FEW_CHANNELS && shape.channels_in >= 8 && shape.kernel > 1 {
        forward_by_taps(shape, input, weight, bias, skip, activation, out);
        return;
    }
    let channels_in = shape.channels_in;
    let panels = Panels::pack(shape.taps() * channels_in, shape.channels_out, |row, o| {
        weight(row / channels_in, row % channels_in, o)
    });
    let mut padded_bias = bias.to_vec();
    padded_bias.resize(bias.len() + 24, 0.0);
    let layout = Layout::new(shape);
    let image_in = shape.image_pixels() * channels_in;
    let row_out = shape.width * shape.channels_out;
    let bands = shape.height.div_ceil(layout.rows);
    let tasks = out.par_chunks_mut(shape.height * row_out).enumerate();
    let tasks = tasks.flat_map(|(image, out)| {
        out.par_chunks_mut(layout.rows * row_out).enumerate().map(move |(band, out)| (image, band, out))
    });
    debug_assert!(bands >= 1);
    tasks.for_each(|(image, band, out)| {
        let y = band * layout.rows;
        let rows = out.len() / row_out;
        let skip = skip.map(|skip| &skip[(image * shape.height + y) * row_out..][..rows * row_out]);
        with_scratch(|scratch, _| {
            let windows = layout.windows(&input[image * image_in..(image + 1) * image_in], y, rows, scratch);
            for panel in panels.iter() {
                let columns = Columns { first: panel.first, count: panel.count, all: shape.channels_out };
                let bias = &padded_bias[panel.first..panel.first + panel.width];
                let finish = Finish { bias, skip, slope: activation.slope() };
                block::multiply(&windows, rows * shape.width, panel.values, panel.width, columns, finish, out);
            }
        });
    });
}

/// A convolution to few channels, of which a panel of eight would be mostly empty: every tap of every output channel is
/// made a channel of a convolution with a kernel of one pixel, and the taps are added where they belong.
fn forward_by_taps(
    shape: &ConvolutionShape,
    input: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32,
    bias: &[f32],
    skip: Option<&[f32]>,
    activation: Activation,
    out: &mut [f32],
) {
    let ConvolutionShape { height, width, channels_in, channels_out, kernel, dilation, .. } = *shape;
    let products = shape.taps() * channels_out;
    let panels =
        Panels::pack(channels_in, products, |i, product| weight(product / channels_out, i, product % channels_out));
    let point = ConvolutionShape { channels_out: products, kernel: 1, dilation: 1, ..*shape };
    let layout = Layout::new(&point);
    let margin = shape.margin();
    let pitch = panels.width();
    let zeros = vec![0.0; pitch];
    let slope = activation.slope();
    let row_out = width * channels_out;
    let image_in = shape.image_pixels() * channels_in;
    // Sixteen bands or more to share, but the products in a band's margins are made twice.
    let band_rows = (shape.batch * height).div_ceil(16).max(6 * margin).min(height);
    let tasks = out.par_chunks_mut(height * row_out).enumerate();
    let tasks = tasks.flat_map(|(image, out)| {
        out.par_chunks_mut(band_rows * row_out).enumerate().map(move |(band, out)| (image, band, out))
    });
    tasks.for_each(|(image, band, out)| {
        let y = band * band_rows;
        let rows = out.len() / row_out;
        match skip {
            Some(skip) => out.copy_from_slice(&skip[(image * height + y) * row_out..][..rows * row_out]),
            None => out.fill(0.0),
        }
        let image_values = &input[image * image_in..(image + 1) * image_in];
        with_scratch(|scratch, unused| {
            let products = sized(scratch, width * pitch);
            for from in y.saturating_sub(margin)..(y + rows + margin).min(height) {
                let windows = layout.windows(image_values, from, 1, unused);
                for panel in panels.iter() {
                    let columns = Columns { first: panel.first, count: panel.width, all: pitch };
                    let finish = Finish { bias: &zeros[..panel.width], skip: None, slope: 1.0 };
                    block::multiply(&windows, width, panel.values, panel.width, columns, finish, products);
                }
                for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                    // The row that sees this one through its tap ky.
                    let row = (from + margin).checked_sub(ky * dilation + y).filter(|&row| row < rows);
                    let Some(row) = row else { continue };
                    let shift = kx * dilation;
                    let left = margin.saturating_sub(shift).min(width);
                    let right = (width + margin).saturating_sub(shift).min(width);
                    if left >= right {
                        continue;
                    }
                    let out = &mut out[row * row_out + left * channels_out..row * row_out + right * channels_out];
                    let products = &products[(left + shift - margin) * pitch..];
                    add_tap(out, channels_out, products, pitch, (ky * kernel + kx) * channels_out);
                }
            }
        });
        for out in out.chunks_exact_mut(channels_out) {
            for (out, bias) in out.iter_mut().zip(bias) {
                let value = *out + bias;
                *out = if value > 0.0 { value } else { value * slope };
            }
        }
    });
}

/// Adds the products at `place` of every pixel to the channels of its output.
fn add_tap(out: &mut [f32], channels: usize, products: &[f32], pitch: usize, place: usize) {
    if channels == 1 {
        for (out, products) in out.iter_mut().zip(products.chunks_exact(pitch)) {
            *out += products[place];
        }
    } else {
        for (out, products) in out.chunks_exact_mut(channels).zip(products.chunks_exact(pitch)) {
            for (out, product) in out.iter_mut().zip(&products[place..place + channels]) {
                *out += product;
            }
        }
    }
}

/// Correlates the windows of `input` with `gradient`, summed over all pixels, and calls `put(tap, channel_in,
/// channel_out, sum)` for every one.
fn correlate(shape: &ConvolutionShape, input: &[f32], gradient: &[f32], mut put: impl FnMut(usize, usize, usize, f32)) {
    let ConvolutionShape { batch, height, width, channels_in, channels_out, .. } = *shape;
    let rows = shape.taps() * channels_in;
    let mut sum = Panels::zeros(rows, channels_out);
    if !shape.is_empty() {
        let layout = Layout::new(shape);
        let bands_per_image = height.div_ceil(layout.rows);
        let bands = batch * bands_per_image;
        let parts = bands.min(PARTS).min((PARTS_FLOATS / sum.values_mut().len()).max(4));
        let partial: Vec<Panels> = (0..parts)
            .into_par_iter()
            .map(|part| {
                let mut sum = Panels::zeros(rows, channels_out);
                for band in part * bands / parts..(part + 1) * bands / parts {
                    let image = band / bands_per_image;
                    let y = band % bands_per_image * layout.rows;
                    let pixels = image * height * width;
                    let input = &input[pixels * channels_in..(pixels + height * width) * channels_in];
                    let gradient = &gradient[pixels * channels_out..(pixels + height * width) * channels_out];
                    correlate_band(shape, &layout, input, gradient, y, &mut sum);
                }
                sum
            })
            .collect();
        for partial in &partial {
            sum.add(partial);
        }
    }
    sum.unpack(|row, o, value| put(row / channels_in, row % channels_in, o, value));
}

/// Adds what the band of rows from `y` of one image contributes.
fn correlate_band(
    shape: &ConvolutionShape,
    layout: &Layout,
    input: &[f32],
    gradient: &[f32],
    y: usize,
    sum: &mut Panels,
) {
    let ConvolutionShape { height, width, channels_in, channels_out, .. } = *shape;
    let band_rows = layout.rows.min(height - y);
    let values_per_panel_column = shape.taps() * channels_in;
    let widths = super::panel::widths(channels_out);
    let patch_columns = width.min(PATCH_PIXELS);
    let patch_rows = (PATCH_PIXELS / patch_columns).min(band_rows);
    with_scratch(|scratch, packed| {
        let windows = layout.windows(input, y, band_rows, scratch);
        for top in (0..band_rows).step_by(patch_rows) {
            for left in (0..width).step_by(patch_columns) {
                let patch = Patch {
                    y: top,
                    x: left,
                    rows: patch_rows.min(band_rows - top),
                    columns: patch_columns.min(width - left),
                };
                let mut rest = sum.values_mut();
                let mut first = 0;
                for &panel_width in &widths {
                    let panel = rest
                        .split_off_mut(..values_per_panel_column * panel_width)
                        .expect("panels sized from the same widths");
                    let count = panel_width.min(channels_out - first);
                    let row_floats = width * channels_out;
                    let from = &gradient[((y + top) * width + left) * channels_out + first..];
                    let gradients = if count == panel_width && layout.is_single() {
                        Gradients { values: from, pitch_x: channels_out, pitch_y: row_floats }
                    } else {
                        // The last panel has fewer columns than are read; and at strides of many channels
                        // gradients would not stay in the first-level cache.
                        let pitch_y = patch.columns * panel_width;
                        let packed = sized(packed, patch.rows * pitch_y);
                        for (packed, from) in packed.chunks_exact_mut(pitch_y).zip(from.chunks(row_floats)) {
                            for (packed, from) in packed.chunks_exact_mut(panel_width).zip(from.chunks(channels_out)) {
                                packed[..count].copy_from_slice(&from[..count]);
                                packed[count..].fill(0.0);
                            }
                        }
                        Gradients { values: packed, pitch_x: panel_width, pitch_y }
                    };
                    block::accumulate(&windows, patch, gradients, panel_width, panel);
                    first += count;
                }
            }
        }
    });
}

/// Sums a gradient over all pixels, image by image and row by row.
fn sum_over_pixels(shape: &ConvolutionShape, gradient: &[f32], sum: &mut [f32]) {
    sum.fill(0.0);
    if shape.is_empty() {
        return;
    }
    let images: Vec<Vec<f32>> = gradient
        .par_chunks(shape.image_pixels() * shape.channels_out)
        .map(|image| {
            let mut of_image = vec![0.0; shape.channels_out];
            let mut of_row = vec![0.0; shape.channels_out];
            for row in image.chunks_exact(shape.width * shape.channels_out) {
                of_row.fill(0.0);
                for pixel in row.chunks_exact(shape.channels_out) {
                    for (sum, value) in of_row.iter_mut().zip(pixel) {
                        *sum += value;
                    }
                }
                for (sum, value) in of_image.iter_mut().zip(&of_row) {
                    *sum += value;
                }
            }
            of_image
        })
        .collect();
    for image in &images {
        for (sum, value) in sum.iter_mut().zip(image) {
            *sum += value;
        }
    }
}
