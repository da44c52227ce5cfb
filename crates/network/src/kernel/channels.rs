//! Channels of two images put side by side, and taken apart again.

use rayon::prelude::*;

/// Pixels that one task handles.
const PIXELS: usize = 4096;

/// Puts the channels of `second` behind those of `first`, pixel by pixel: `[.., first_channels + second_channels]`.
///
/// # Panics
/// If the three slices are not of as many pixels.
pub fn concatenate(first: &[f32], first_channels: usize, second: &[f32], second_channels: usize, out: &mut [f32]) {
    let all = check(first.len(), first_channels, second.len(), second_channels, out.len());
    out.par_chunks_mut(PIXELS * all)
        .zip(first.par_chunks(PIXELS * first_channels))
        .zip(second.par_chunks(PIXELS * second_channels))
        .for_each(|((out, first), second)| {
            let pixels = first.chunks_exact(first_channels).zip(second.chunks_exact(second_channels));
            for (out, (first, second)) in out.chunks_exact_mut(all).zip(pixels) {
                out[..first_channels].copy_from_slice(first);
                out[first_channels..].copy_from_slice(second);
            }
        });
}

/// Takes apart what [`concatenate`] put together; also the gradient to its inputs from that to its output.
///
/// # Panics
/// If the three slices are not of as many pixels.
pub fn split(joined: &[f32], first: &mut [f32], first_channels: usize, second: &mut [f32], second_channels: usize) {
    let all = check(first.len(), first_channels, second.len(), second_channels, joined.len());
    joined
        .par_chunks(PIXELS * all)
        .zip(first.par_chunks_mut(PIXELS * first_channels))
        .zip(second.par_chunks_mut(PIXELS * second_channels))
        .for_each(|((joined, first), second)| {
            let pixels = first.chunks_exact_mut(first_channels).zip(second.chunks_exact_mut(second_channels));
            for (joined, (first, second)) in joined.chunks_exact(all).zip(pixels) {
                first.copy_from_slice(&joined[..first_channels]);
                second.copy_from_slice(&joined[first_channels..]);
            }
        });
}

fn check(first: usize, first_channels: usize, second: usize, second_channels: usize, joined: usize) -> usize {
    assert!(first_channels >= 1 && second_channels >= 1, "both images have channels");
    let pixels = first / first_channels;
    assert_eq!(first, pixels * first_channels, "floats of the first image of {first_channels} channels");
    assert_eq!(second, pixels * second_channels, "floats of the second image of {pixels} pixels");
    assert_eq!(joined, first + second, "floats of the joined image of {pixels} pixels");
    first_channels + second_channels
}
