//! The innermost loops: blocks of a matrix product that stay in registers.
//!
//! A block is a few rows by 8, 16 or 24 columns: 12 accumulators of 8 lanes fill the 16 vector registers of AVX2 (and
//! the 32 of NEON, 4 lanes each) with what one step needs beside them. Written as plain loops over arrays of fixed
//! size, which the compiler turns into vector instructions, and compiled for several instruction sets.

use multiversion::{multiversion, target::target_cfg_f};

use super::window::Windows;

/// What happens to a sum before it is stored.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    /// Added to every pixel, by column of the panel (zeros beyond the channels there are).
    pub bias: &'a [f32],
    /// Added to every pixel, laid out as the output.
    pub skip: Option<&'a [f32]>,
    /// The slope below zero; 1 for no activation.
    pub slope: f32,
}

/// The columns of the output that a panel makes.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    /// The first.
    pub first: usize,
    /// How many, at most the panel's width.
    pub count: usize,
    /// How many columns the output has.
    pub all: usize,
}

/// Multiplies the windows of the first `pixels` pixels with a panel of weights and writes its columns of `out`.
///
/// `panel` is `[segment, value, column]` with `width` (8, 16 or 24) columns.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
pub(super) fn multiply(
    windows: &Windows<'_>,
    pixels: usize,
    panel: &[f32],
    width: usize,
    columns: Columns,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    if target_cfg_f!(any(target_feature = "fma", target_feature = "neon")) {
        match width {
            8 => multiply_blocks::<true, 8, 8>(windows, pixels, panel, columns, finish, out),
            16 => multiply_blocks::<true, 6, 16>(windows, pixels, panel, columns, finish, out),
            _ => multiply_blocks::<true, 4, 24>(windows, pixels, panel, columns, finish, out),
        }
    } else {
        match width {
            8 => multiply_blocks::<false, 4, 8>(windows, pixels, panel, columns, finish, out),
            16 => multiply_blocks::<false, 2, 16>(windows, pixels, panel, columns, finish, out),
            _ => multiply_blocks::<false, 2, 24>(windows, pixels, panel, columns, finish, out),
        }
    }
}

/// Adds the products of windows and gradients, summed over the pixels of a patch, to a panel of weight gradients.
///
/// `gradient` is `[pixel of the patch, column]`, `panel` is `[segment, value, column]`, both with `width` columns.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
pub(super) fn accumulate(windows: &Windows<'_>, patch: Patch, gradient: &[f32], width: usize, panel: &mut [f32]) {
    if target_cfg_f!(any(target_feature = "fma", target_feature = "neon")) {
        match width {
            8 => accumulate_blocks::<true, 8, 8>(windows, patch, gradient, panel),
            16 => accumulate_blocks::<true, 6, 16>(windows, patch, gradient, panel),
            _ => accumulate_blocks::<true, 4, 24>(windows, patch, gradient, panel),
        }
    } else {
        match width {
            8 => accumulate_blocks::<false, 4, 8>(windows, patch, gradient, panel),
            16 => accumulate_blocks::<false, 2, 16>(windows, patch, gradient, panel),
            _ => accumulate_blocks::<false, 2, 24>(windows, patch, gradient, panel),
        }
    }
}

/// A rectangle of pixels among those that windows are there for.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    /// The first row.
    pub y: usize,
    /// The first column.
    pub x: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

/// `a b + c`, fused where the processor can: elsewhere the fused form is a slow call of a library.
#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn multiply_blocks<const FUSED: bool, const ROWS: usize, const WIDTH: usize>(
    windows: &Windows<'_>,
    pixels: usize,
    panel: &[f32],
    columns: Columns,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let (panel, _) = panel.as_chunks::<WIDTH>();
    let length = windows.length;
    let (mut x, mut row_start) = (0, 0);
    let mut pixel = 0;
    while pixel < pixels {
        let mut starts = [0; ROWS];
        let count = ROWS.min(pixels - pixel);
        // Where the pixels run out, the last rows of the block repeat the first: computed and not stored.
        for start in starts.iter_mut().take(count) {
            *start = row_start + x * windows.pitch_x;
            x += 1;
            if x == windows.width {
                x = 0;
                row_start += windows.pitch_y;
            }
        }
        for spare in count..ROWS {
            starts[spare] = starts[0];
        }
        let mut sums = [[0.0_f32; WIDTH]; ROWS];
        for (segment, weights) in windows.segments.iter().zip(panel.chunks_exact(length)) {
            let runs: [&[f32]; ROWS] =
                std::array::from_fn(|row| &windows.values[starts[row] + segment..starts[row] + segment + length]);
            for (k, weight) in weights.iter().enumerate() {
                for row in 0..ROWS {
                    let value = runs[row][k];
                    for column in 0..WIDTH {
                        sums[row][column] = multiply_add::<FUSED>(value, weight[column], sums[row][column]);
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate().take(count) {
            let at = (pixel + row) * columns.all + columns.first;
            store::<WIDTH>(sums, at, columns.count, finish, out);
        }
        pixel += count;
    }
}

#[inline(always)]
fn store<const WIDTH: usize>(sums: &[f32; WIDTH], at: usize, count: usize, finish: Finish<'_>, out: &mut [f32]) {
    let mut values = *sums;
    for (value, bias) in values.iter_mut().zip(finish.bias) {
        *value += bias;
    }
    if let Some(skip) = finish.skip {
        for (value, skip) in values.iter_mut().zip(&skip[at..at + count]) {
            *value += skip;
        }
    }
    if finish.slope != 1.0 {
        for value in &mut values {
            *value = if *value > 0.0 { *value } else { *value * finish.slope };
        }
    }
    if count == WIDTH {
        out[at..at + WIDTH].copy_from_slice(&values);
    } else {
        out[at..at + count].copy_from_slice(&values[..count]);
    }
}

#[inline(always)]
fn accumulate_blocks<const FUSED: bool, const ROWS: usize, const WIDTH: usize>(
    windows: &Windows<'_>,
    patch: Patch,
    gradient: &[f32],
    panel: &mut [f32],
) {
    let (gradient, _) = gradient.as_chunks::<WIDTH>();
    let (panel, _) = panel.as_chunks_mut::<WIDTH>();
    let start = patch.y * windows.pitch_y + patch.x * windows.pitch_x;
    for (segment, panel) in windows.segments.iter().zip(panel.chunks_exact_mut(windows.length)) {
        let mut done = 0;
        while done < windows.length {
            // The last block is moved back to end with the run; what it shares with the one before is not added twice.
            let first = done.min(windows.readable - ROWS);
            let mut sums = [[0.0_f32; WIDTH]; ROWS];
            for (y, gradient) in gradient.chunks_exact(patch.columns).enumerate() {
                let run = &windows.values[start + segment + first + y * windows.pitch_y..];
                let mut at = 0;
                for gradient in gradient {
                    let values: &[f32; ROWS] = run[at..at + ROWS].try_into().expect("the length of the array");
                    at += windows.pitch_x;
                    for row in 0..ROWS {
                        for column in 0..WIDTH {
                            sums[row][column] = multiply_add::<FUSED>(values[row], gradient[column], sums[row][column]);
                        }
                    }
                }
            }
            let end = (first + ROWS).min(windows.length);
            for (into, sums) in panel[done..end].iter_mut().zip(&sums[done - first..]) {
                for (into, sum) in into.iter_mut().zip(sums) {
                    *into += sum;
                }
            }
            done = end;
        }
    }
}
