//! The innermost loops: blocks of a matrix product that stay in registers.
//!
//! A block is a few rows by 8, 16 or 24 columns: 12 accumulators of 8 lanes fill the 16 vector registers of AVX2 (and
//! the 32 of NEON, 4 lanes each) with what one step needs beside them. Written as plain loops over arrays of fixed
//! size, which the compiler turns into vector instructions, and compiled for several instruction sets.

use multiversion::{multiversion, target::target_cfg_f};

use super::window::{Reach, Windows};

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
/// `panel` is `[segment, value, column]` with `width` columns.
#[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
pub(super) fn accumulate(
    windows: &Windows<'_>,
    patch: Patch,
    gradients: Gradients<'_>,
    width: usize,
    panel: &mut [f32],
) {
    if target_cfg_f!(any(target_feature = "fma", target_feature = "neon")) {
        match width {
            8 => accumulate_blocks::<true, 8, 1>(windows, patch, gradients, panel),
            16 => accumulate_blocks::<true, 6, 2>(windows, patch, gradients, panel),
            _ => accumulate_blocks::<true, 3, 3>(windows, patch, gradients, panel),
        }
    } else {
        match width {
            8 => accumulate_blocks::<false, 4, 1>(windows, patch, gradients, panel),
            16 => accumulate_blocks::<false, 2, 2>(windows, patch, gradients, panel),
            _ => accumulate_blocks::<false, 2, 3>(windows, patch, gradients, panel),
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

/// The `length` values from each of the starts.
///
/// A plain loop: arrays mapped by closures are kept in memory, and every access to them is checked anew.
#[inline(always)]
fn runs_of<const ROWS: usize>(values: &[f32], starts: [usize; ROWS], length: usize) -> [&[f32]; ROWS] {
    let mut runs = [&values[..0]; ROWS];
    for row in 0..ROWS {
        runs[row] = &values[starts[row]..][..length];
    }
    runs
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
        match windows.reach {
            Reach::Runs { segments, length } => {
                for (segment, weights) in segments.iter().zip(panel.chunks_exact(length)) {
                    let runs = runs_of(&windows.values[*segment..], starts, length);
                    sums = add_products::<FUSED, ROWS, EIGHTS>(runs, weights, sums);
                }
            }
            Reach::Single { offsets, span } => {
                let runs = runs_of(windows.values, starts, span);
                sums = add_single_products::<FUSED, ROWS, EIGHTS>(runs, offsets, panel, sums);
            }
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
    // Four values at a time: one check of the bounds, and no more, for all four.
    let (fours, rest) = weights.as_chunks::<4>();
    for (k, weights) in fours.iter().enumerate() {
        let mut values = [[0.0_f32; 4]; ROWS];
        for row in 0..ROWS {
            values[row] = runs[row].as_chunks::<4>().0[k];
        }
        for part in 0..4 {
            for row in 0..ROWS {
                for eight in 0..EIGHTS {
                    sums[row][eight] = multiply_add::<FUSED>(values[row][part], weights[part][eight], sums[row][eight]);
                }
            }
        }
    }
    for (k, weight) in rest.iter().enumerate() {
        for row in 0..ROWS {
            let value = runs[row][4 * fours.len() + k];
            for eight in 0..EIGHTS {
                sums[row][eight] = multiply_add::<FUSED>(value, weight[eight], sums[row][eight]);
            }
        }
    }
    sums
}

/// [`add_products`] of values that do not lie side by side.
#[inline(always)]
fn add_single_products<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    runs: [&[f32]; ROWS],
    offsets: &[usize],
    weights: &[[Eight; EIGHTS]],
    mut sums: [[Eight; EIGHTS]; ROWS],
) -> [[Eight; EIGHTS]; ROWS] {
    for (&offset, weight) in offsets.iter().zip(weights) {
        for row in 0..ROWS {
            let value = runs[row][offset];
            for eight in 0..EIGHTS {
                sums[row][eight] = multiply_add::<FUSED>(value, weight[eight], sums[row][eight]);
            }
        }
    }
    sums
}

#[inline(always)]
fn store<const EIGHTS: usize>(mut sums: [Eight; EIGHTS], at: usize, count: usize, finish: Finish<'_>, out: &mut [f32]) {
    let bias = &rows_of::<EIGHTS>(finish.bias)[0];
    for eight in 0..EIGHTS {
        for lane in 0..8 {
            sums[eight][lane] += bias[eight][lane];
        }
    }
    if let Some(skip) = finish.skip {
        if count == 8 * EIGHTS {
            let skip = &rows_of::<EIGHTS>(&skip[at..at + 8 * EIGHTS])[0];
            for eight in 0..EIGHTS {
                for lane in 0..8 {
                    sums[eight][lane] += skip[eight][lane];
                }
            }
        } else {
            for (sum, skip) in sums.as_flattened_mut().iter_mut().zip(&skip[at..at + count]) {
                *sum += skip;
            }
        }
    }
    if finish.slope != 1.0 {
        for eight in &mut sums {
            for sum in eight {
                *sum = if *sum > 0.0 { *sum } else { *sum * finish.slope };
            }
        }
    }
    if count == 8 * EIGHTS {
        out[at..at + 8 * EIGHTS].copy_from_slice(sums.as_flattened());
    } else {
        for (out, sum) in out[at..at + count].iter_mut().zip(sums.as_flattened()) {
            *out = *sum;
        }
    }
}

/// The gradients that [`accumulate`] reads: of every pixel of a patch as many columns as the panel has.
#[derive(Clone, Copy)]
pub(super) struct Gradients<'a> {
    /// From the first pixel of the patch.
    pub values: &'a [f32],
    /// Floats from a pixel to its neighbour on the right.
    pub pitch_x: usize,
    /// Floats from a pixel to its neighbour below.
    pub pitch_y: usize,
}

#[inline(always)]
fn accumulate_blocks<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    windows: &Windows<'_>,
    patch: Patch,
    gradients: Gradients<'_>,
    panel: &mut [f32],
) {
    let (panel, _) = panel.as_chunks_mut::<8>().0.as_chunks_mut::<EIGHTS>();
    let start = patch.y * windows.pitch_y + patch.x * windows.pitch_x;
    match windows.reach {
        Reach::Runs { segments, length } => {
            for (segment, panel) in segments.iter().zip(panel.chunks_exact_mut(length)) {
                let mut done = 0;
                while done < length {
                    // The last block is moved back to end with the run; what it shares with the one before is not
                    // added twice.
                    let first = done.min(length - ROWS);
                    let values = &windows.values[start + segment + first..];
                    let pick = |window: &[f32]| *window.first_chunk::<ROWS>().expect("the run is longer");
                    let sums = sum_products::<FUSED, ROWS, EIGHTS>(values, pick, windows, patch, gradients);
                    let end = first + ROWS;
                    add_rows(&sums[done - first..], &mut panel[done..end]);
                    done = end;
                }
            }
        }
        Reach::Single { offsets, span } => {
            for (offsets, panel) in offsets.chunks(ROWS).zip(panel.chunks_mut(ROWS)) {
                let mut places = [offsets[0]; ROWS];
                places[..offsets.len()].copy_from_slice(offsets);
                let pick = |window: &[f32]| {
                    let window = &window[..span];
                    let mut picked = [0.0; ROWS];
                    for row in 0..ROWS {
                        picked[row] = window[places[row]];
                    }
                    picked
                };
                let values = &windows.values[start..];
                let sums = sum_products::<FUSED, ROWS, EIGHTS>(values, pick, windows, patch, gradients);
                add_rows(&sums, panel);
            }
        }
    }
}

#[inline(always)]
fn add_rows<const EIGHTS: usize>(sums: &[[Eight; EIGHTS]], into: &mut [[Eight; EIGHTS]]) {
    for (into, sums) in into.iter_mut().zip(sums) {
        for (into, sum) in into.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *into += sum;
        }
    }
}

/// Sums over the pixels of a patch of the products of a few values of the window with the gradients.
///
/// `pick` takes those values out of what begins with the window's first.
#[inline(always)]
fn sum_products<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    values: &[f32],
    pick: impl Fn(&[f32]) -> [f32; ROWS],
    windows: &Windows<'_>,
    patch: Patch,
    gradients: Gradients<'_>,
) -> [[Eight; EIGHTS]; ROWS] {
    let mut sums = [[[0.0_f32; 8]; EIGHTS]; ROWS];
    for y in 0..patch.rows {
        let values = &values[y * windows.pitch_y..];
        let gradients_of_row = &gradients.values[y * gradients.pitch_y..];
        let (mut at, mut gradient_at) = (0, 0);
        for _ in 0..patch.columns {
            let picked = pick(&values[at..]);
            let gradient = &rows_of::<EIGHTS>(&gradients_of_row[gradient_at..][..8 * EIGHTS])[0];
            at += windows.pitch_x;
            gradient_at += gradients.pitch_x;
            for row in 0..ROWS {
                for eight in 0..EIGHTS {
                    sums[row][eight] = multiply_add::<FUSED>(picked[row], gradient[eight], sums[row][eight]);
                }
            }
        }
    }
    sums
}
