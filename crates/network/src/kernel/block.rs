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
            8 => multiply_blocks::<true, 8, 1>(windows, pixels, panel, columns, finish, out),
            16 => multiply_blocks::<true, 6, 2>(windows, pixels, panel, columns, finish, out),
            _ => multiply_blocks::<true, 3, 3>(windows, pixels, panel, columns, finish, out),
        }
    } else {
        match width {
            8 => multiply_blocks::<false, 4, 1>(windows, pixels, panel, columns, finish, out),
            16 => multiply_blocks::<false, 2, 2>(windows, pixels, panel, columns, finish, out),
            _ => multiply_blocks::<false, 2, 3>(windows, pixels, panel, columns, finish, out),
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
            8 => accumulate_blocks::<true, 8, 1>(windows, patch, gradient, panel),
            16 => accumulate_blocks::<true, 6, 2>(windows, patch, gradient, panel),
            _ => accumulate_blocks::<true, 3, 3>(windows, patch, gradient, panel),
        }
    } else {
        match width {
            8 => accumulate_blocks::<false, 4, 1>(windows, patch, gradient, panel),
            16 => accumulate_blocks::<false, 2, 2>(windows, patch, gradient, panel),
            _ => accumulate_blocks::<false, 2, 3>(windows, patch, gradient, panel),
        }
    }
}

/// Columns that are worked on as one: a register of AVX2, two of NEON. Wider arrays of other widths than powers of two
/// are not recognised by the compiler.
type Eight = [f32; 8];

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

/// `sums += a b`, fused where the processor can: elsewhere the fused form is a slow call of a library.
#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: Eight, mut sums: Eight) -> Eight {
    for lane in 0..8 {
        sums[lane] = if FUSED { a.mul_add(b[lane], sums[lane]) } else { a * b[lane] + sums[lane] };
    }
    sums
}

/// The rows of a panel `EIGHTS` times eight columns wide.
#[inline(always)]
fn rows_of<const EIGHTS: usize>(panel: &[f32]) -> &[[Eight; EIGHTS]] {
    panel.as_chunks::<8>().0.as_chunks::<EIGHTS>().0
}

#[inline(always)]
fn multiply_blocks<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    windows: &Windows<'_>,
    pixels: usize,
    panel: &[f32],
    columns: Columns,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let panel = rows_of::<EIGHTS>(panel);
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
        let mut sums = [[[0.0_f32; 8]; EIGHTS]; ROWS];
        for (segment, weights) in windows.segments.iter().zip(panel.chunks_exact(length)) {
            let runs: [&[f32]; ROWS] =
                std::array::from_fn(|row| &windows.values[starts[row] + segment..starts[row] + segment + length]);
            sums = add_products::<FUSED, ROWS, EIGHTS>(runs, weights, sums);
        }
        for (row, sums) in sums.iter().enumerate().take(count) {
            let at = (pixel + row) * columns.all + columns.first;
            store::<EIGHTS>(*sums, at, columns.count, finish, out);
        }
        pixel += count;
    }
}

/// The sums with the products of the runs of a few pixels added.
///
/// By value: sums whose address is taken are kept in memory instead of registers.
#[inline(always)]
fn add_products<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    runs: [&[f32]; ROWS],
    weights: &[[Eight; EIGHTS]],
    mut sums: [[Eight; EIGHTS]; ROWS],
) -> [[Eight; EIGHTS]; ROWS] {
    let length = weights.len();
    let runs = runs.map(|run| &run[..length]);
    for k in 0..length {
        let weight = weights[k];
        for row in 0..ROWS {
            let value = runs[row][k];
            for eight in 0..EIGHTS {
                sums[row][eight] = multiply_add::<FUSED>(value, weight[eight], sums[row][eight]);
            }
        }
    }
    sums
}

#[inline(always)]
fn store<const EIGHTS: usize>(sums: [Eight; EIGHTS], at: usize, count: usize, finish: Finish<'_>, out: &mut [f32]) {
    let out = &mut out[at..at + count];
    for ((out, sum), bias) in out.iter_mut().zip(sums.as_flattened()).zip(finish.bias) {
        *out = sum + bias;
    }
    if let Some(skip) = finish.skip {
        for (out, skip) in out.iter_mut().zip(&skip[at..at + count]) {
            *out += skip;
        }
    }
    if finish.slope != 1.0 {
        for out in out {
            *out = if *out > 0.0 { *out } else { *out * finish.slope };
        }
    }
}

#[inline(always)]
fn accumulate_blocks<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    windows: &Windows<'_>,
    patch: Patch,
    gradient: &[f32],
    panel: &mut [f32],
) {
    let gradient = rows_of::<EIGHTS>(gradient);
    let (panel, _) = panel.as_chunks_mut::<8>().0.as_chunks_mut::<EIGHTS>();
    let start = patch.y * windows.pitch_y + patch.x * windows.pitch_x;
    for (segment, panel) in windows.segments.iter().zip(panel.chunks_exact_mut(windows.length)) {
        let mut done = 0;
        while done < windows.length {
            // The last block is moved back to end with the run; what it shares with the one before is not added twice.
            let first = done.min(windows.readable - ROWS);
            let mut sums = [[[0.0_f32; 8]; EIGHTS]; ROWS];
            for (y, gradient) in gradient.chunks_exact(patch.columns).enumerate() {
                let run = &windows.values[start + segment + first + y * windows.pitch_y..];
                let mut at = 0;
                for gradient in gradient {
                    let values: &[f32; ROWS] = run[at..at + ROWS].try_into().expect("the length of the array");
                    at += windows.pitch_x;
                    for row in 0..ROWS {
                        for eight in 0..EIGHTS {
                            sums[row][eight] = multiply_add::<FUSED>(values[row], gradient[eight], sums[row][eight]);
                        }
                    }
                }
            }
            let end = (first + ROWS).min(windows.length);
            let finished = sums;
            for (into, sums) in panel[done..end].iter_mut().zip(&finished[done - first..]) {
                for (into, sum) in into.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                    *into += sum;
                }
            }
            done = end;
        }
    }
}
