//! Images at half and at twice the size.
//!
//! All take the `height` and `width` of the larger image, which must be even, and work on `[batch, y, x, channel]`.
//! The batch follows from the length of the slices.

use rayon::prelude::*;

/// Means of squares of two by two pixels: `[batch, height, width, c]` to `[batch, height / 2, width / 2, c]`.
///
/// # Panics
/// If the height or width is odd or a slice does not have the length of its shape.
pub fn average_pool2(height: usize, width: usize, channels: usize, large: &[f32], small: &mut [f32]) {
    check(height, width, channels, large.len(), small.len(), channels);
    gather(width, channels, large, small, channels, |upper, lower, out| {
        sum_of_four(channels, 0.25, upper, lower, out);
    });
}

/// The gradient to the input of [`average_pool2`]: a quarter of every value to each of its four pixels.
///
/// # Panics
/// As [`average_pool2`].
pub fn average_pool2_backward(height: usize, width: usize, channels: usize, small: &[f32], large: &mut [f32]) {
    check(height, width, channels, large.len(), small.len(), channels);
    scatter(width, channels, small, large, channels, |from, upper, lower| {
        spread_to_four(channels, 0.25, from, upper, lower);
    });
}

/// Every pixel repeated two by two times: `[batch, height / 2, width / 2, c]` to `[batch, height, width, c]`.
///
/// # Panics
/// As [`average_pool2`].
pub fn upsample2_nearest(height: usize, width: usize, channels: usize, small: &[f32], large: &mut [f32]) {
    check(height, width, channels, large.len(), small.len(), channels);
    scatter(width, channels, small, large, channels, |from, upper, lower| {
        spread_to_four(channels, 1.0, from, upper, lower);
    });
}

/// The gradient to the input of [`upsample2_nearest`]: sums of squares of two by two pixels.
///
/// # Panics
/// As [`average_pool2`].
pub fn upsample2_nearest_backward(height: usize, width: usize, channels: usize, large: &[f32], small: &mut [f32]) {
    check(height, width, channels, large.len(), small.len(), channels);
    gather(width, channels, large, small, channels, |upper, lower, out| {
        sum_of_four(channels, 1.0, upper, lower, out);
    });
}

/// Squares of two by two pixels become pixels of four times the channels, in the order `[dy, dx, channel]`:
/// `[batch, height, width, c]` to `[batch, height / 2, width / 2, 4 c]`. Its gradient is [`depth_to_space2`].
///
/// # Panics
/// As [`average_pool2`].
pub fn space_to_depth2(height: usize, width: usize, channels: usize, large: &[f32], small: &mut [f32]) {
    check(height, width, channels, large.len(), small.len(), 4 * channels);
    gather(width, channels, large, small, 4 * channels, |upper, lower, out| {
        let pairs = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
        for (out, (upper, lower)) in out.chunks_exact_mut(4 * channels).zip(pairs) {
            out[..2 * channels].copy_from_slice(upper);
            out[2 * channels..].copy_from_slice(lower);
        }
    });
}

/// Turns [`space_to_depth2`] back: `[batch, height / 2, width / 2, 4 c]` to `[batch, height, width, c]`, `channels`
/// being those of the large image. Its gradient is [`space_to_depth2`].
///
/// # Panics
/// As [`average_pool2`].
pub fn depth_to_space2(height: usize, width: usize, channels: usize, small: &[f32], large: &mut [f32]) {
    check(height, width, channels, large.len(), small.len(), 4 * channels);
    scatter(width, channels, small, large, 4 * channels, |from, upper, lower| {
        let pairs = upper.chunks_exact_mut(2 * channels).zip(lower.chunks_exact_mut(2 * channels));
        for (from, (upper, lower)) in from.chunks_exact(4 * channels).zip(pairs) {
            upper.copy_from_slice(&from[..2 * channels]);
            lower.copy_from_slice(&from[2 * channels..]);
        }
    });
}

fn check(height: usize, width: usize, channels: usize, large: usize, small: usize, small_channels: usize) {
    assert!(height >= 2 && width >= 2 && channels >= 1, "an image of {height} by {width} by {channels} has no half");
    assert!(height.is_multiple_of(2) && width.is_multiple_of(2), "{height} by {width} pixels: both must be even");
    let image = height * width * channels;
    assert!(large.is_multiple_of(image), "{large} floats are no whole number of images of {image}");
    assert_eq!(small, large / image * (height / 2) * (width / 2) * small_channels, "floats of the small image");
}

/// Calls `row(upper, lower, out)` for every pair of rows of the large image and its row of the small one.
fn gather(
    width: usize,
    channels: usize,
    large: &[f32],
    small: &mut [f32],
    small_channels: usize,
    row: impl Fn(&[f32], &[f32], &mut [f32]) + Sync,
) {
    small
        .par_chunks_mut(width / 2 * small_channels)
        .zip(large.par_chunks(2 * width * channels))
        .with_min_len(8)
        .for_each(|(out, pair)| {
            let (upper, lower) = pair.split_at(width * channels);
            row(upper, lower, out);
        });
}

/// Calls `row(from, upper, lower)` for every row of the small image and its pair of rows of the large one.
fn scatter(
    width: usize,
    channels: usize,
    small: &[f32],
    large: &mut [f32],
    small_channels: usize,
    row: impl Fn(&[f32], &mut [f32], &mut [f32]) + Sync,
) {
    large
        .par_chunks_mut(2 * width * channels)
        .zip(small.par_chunks(width / 2 * small_channels))
        .with_min_len(8)
        .for_each(|(pair, from)| {
            let (upper, lower) = pair.split_at_mut(width * channels);
            row(from, upper, lower);
        });
}

fn sum_of_four(channels: usize, factor: f32, upper: &[f32], lower: &[f32], out: &mut [f32]) {
    let pairs = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
    for (out, (upper, lower)) in out.chunks_exact_mut(channels).zip(pairs) {
        let (upper_left, upper_right) = upper.split_at(channels);
        let (lower_left, lower_right) = lower.split_at(channels);
        for c in 0..channels {
            out[c] = ((upper_left[c] + upper_right[c]) + (lower_left[c] + lower_right[c])) * factor;
        }
    }
}

fn spread_to_four(channels: usize, factor: f32, from: &[f32], upper: &mut [f32], lower: &mut [f32]) {
    let pairs = upper.chunks_exact_mut(2 * channels).zip(lower.chunks_exact_mut(2 * channels));
    for (from, (upper, lower)) in from.chunks_exact(channels).zip(pairs) {
        for (c, value) in from.iter().enumerate() {
            let value = value * factor;
            upper[c] = value;
            upper[channels + c] = value;
            lower[c] = value;
            lower[channels + c] = value;
        }
    }
}
