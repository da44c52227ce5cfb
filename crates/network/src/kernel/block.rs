//! The innermost loops: blocks of a matrix product that stay in registers.
//!
//! A block is a few rows by 8, 16 or 24 columns: 12 accumulators of 8 lanes fill the 16 vector registers of AVX2 (and
//! the 32 of NEON, 4 lanes each) with what one step needs beside them. Written as plain loops over arrays of fixed
//! size, which the compiler turns into vector instructions, and compiled for several instruction sets.

#![allow(
    clippy::needless_range_loop,
    reason = "loops counted by constants are what the compiler unrolls into registers"
)]

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

/// Compiles a block of `$rows` by 8 `$eights` for several instruction sets: each in a function of its own, for the
/// compiler runs out of registers where many share one. Without fused multiply-add there are fewer registers, and
/// `$fewer_rows`.
macro_rules! compiled {
    ($name:ident = $block:ident($rows:literal or $fewer_rows:literal, $eights:literal); $($argument:ident: $kind:ty),*) => {
        #[multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
        fn $name($($argument: $kind),*) {
            if target_cfg_f!(any(target_feature = "fma", target_feature = "neon")) {
                $block::<true, $rows, $eights>($($argument),*);
            } else {
                $block::<false, $fewer_rows, $eights>($($argument),*);
            }
        }
    };
}

macro_rules! compiled_products {
    ($($name:ident = $block:ident($rows:literal or $fewer_rows:literal, $eights:literal);)*) => {
        $(compiled! {
            $name = $block($rows or $fewer_rows, $eights);
            windows: &Windows<'_>, pixels: usize, panel: &[f32], columns: Columns, finish: Finish<'_>, out: &mut [f32]
        })*
    };
}

macro_rules! compiled_sums {
    ($($name:ident = $block:ident($rows:literal or $fewer_rows:literal, $eights:literal);)*) => {
        $(compiled! {
            $name = $block($rows or $fewer_rows, $eights);
            windows: &Windows<'_>, patch: Patch, gradients: Gradients<'_>, panel: &mut [f32]
        })*
    };
}

compiled_products! {
    multiply_runs_8 = multiply_runs(8 or 4, 1);
    multiply_runs_16 = multiply_runs(6 or 2, 2);
    multiply_runs_24 = multiply_runs(3 or 2, 3);
    multiply_single_8 = multiply_single(8 or 4, 1);
    multiply_single_16 = multiply_single(6 or 2, 2);
    multiply_single_24 = multiply_single(3 or 2, 3);
}

compiled_sums! {
    accumulate_runs_8 = accumulate_runs(8 or 4, 1);
    accumulate_runs_16 = accumulate_runs(6 or 2, 2);
    accumulate_runs_24 = accumulate_runs(3 or 2, 3);
    accumulate_single_8 = accumulate_single(8 or 4, 1);
    accumulate_single_16 = accumulate_single(6 or 2, 2);
    accumulate_single_24 = accumulate_single(3 or 2, 3);
}

/// Multiplies the windows of the first `pixels` pixels with a panel of weights and writes its columns of `out`.
///
/// `panel` is `[value of the window, column]` with `width` (8, 16 or 24) columns.
pub(super) fn multiply(
    windows: &Windows<'_>,
    pixels: usize,
    panel: &[f32],
    width: usize,
    columns: Columns,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let work = match (windows.reach, width) {
        (Reach::Runs { .. }, 8) => multiply_runs_8,
        (Reach::Runs { .. }, 16) => multiply_runs_16,
        (Reach::Runs { .. }, _) => multiply_runs_24,
        (Reach::Single { .. }, 8) => multiply_single_8,
        (Reach::Single { .. }, 16) => multiply_single_16,
        (Reach::Single { .. }, _) => multiply_single_24,
    };
    work(windows, pixels, panel, columns, finish, out);
}

/// Adds the products of windows and gradients, summed over the pixels of a patch, to a panel of weight gradients.
///
/// `panel` is `[value of the window, column]` with `width` columns.
pub(super) fn accumulate(
    windows: &Windows<'_>,
    patch: Patch,
    gradients: Gradients<'_>,
    width: usize,
    panel: &mut [f32],
) {
    let work = match (windows.reach, width) {
        (Reach::Runs { .. }, 8) => accumulate_runs_8,
        (Reach::Runs { .. }, 16) => accumulate_runs_16,
        (Reach::Runs { .. }, _) => accumulate_runs_24,
        (Reach::Single { .. }, 8) => accumulate_single_8,
        (Reach::Single { .. }, 16) => accumulate_single_16,
        (Reach::Single { .. }, _) => accumulate_single_24,
    };
    work(windows, patch, gradients, panel);
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

/// Where the next pixels of a band start.
struct Pixels {
    x: usize,
    row_start: usize,
}

impl Pixels {
    /// The next `count` starts; the rest repeat the first, to be computed and not stored.
    #[inline(always)]
    fn next<const ROWS: usize>(&mut self, windows: &Windows<'_>, count: usize) -> [usize; ROWS] {
        let mut starts = [self.row_start + self.x * windows.pitch_x; ROWS];
        if self.x + ROWS < windows.width {
            for (row, start) in starts.iter_mut().enumerate() {
                *start += row * windows.pitch_x;
            }
            self.x += ROWS;
            return starts;
        }
        for start in starts.iter_mut().take(count) {
            *start = self.row_start + self.x * windows.pitch_x;
            self.x += 1;
            if self.x == windows.width {
                self.x = 0;
                self.row_start += windows.pitch_y;
            }
        }
        starts
    }
}

#[inline(always)]
fn multiply_runs<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    windows: &Windows<'_>,
    pixels: usize,
    panel: &[f32],
    columns: Columns,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let Reach::Runs { segments, length } = windows.reach else { return };
    let panel = rows_of::<EIGHTS>(panel);
    let mut next = Pixels { x: 0, row_start: 0 };
    for pixel in (0..pixels).step_by(ROWS) {
        let count = ROWS.min(pixels - pixel);
        let starts = next.next::<ROWS>(windows, count);
        let mut sums = [[[0.0_f32; 8]; EIGHTS]; ROWS];
        for (segment, weights) in segments.iter().zip(panel.chunks_exact(length)) {
            let runs = runs_of(&windows.values[*segment..], starts, length);
            sums = add_products::<FUSED, ROWS, EIGHTS>(runs, weights, sums);
        }
        store(sums, pixel, count, columns, finish, out);
    }
}

#[inline(always)]
fn multiply_single<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    windows: &Windows<'_>,
    pixels: usize,
    panel: &[f32],
    columns: Columns,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let Reach::Single { offsets, span } = windows.reach else { return };
    let panel = rows_of::<EIGHTS>(panel);
    let mut next = Pixels { x: 0, row_start: 0 };
    for pixel in (0..pixels).step_by(ROWS) {
        let count = ROWS.min(pixels - pixel);
        let starts = next.next::<ROWS>(windows, count);
        let runs = runs_of(windows.values, starts, span);
        let mut sums = [[[0.0_f32; 8]; EIGHTS]; ROWS];
        for (&offset, weight) in offsets.iter().zip(panel) {
            for row in 0..ROWS {
                let value = runs[row][offset];
                for eight in 0..EIGHTS {
                    sums[row][eight] = multiply_add::<FUSED>(value, weight[eight], sums[row][eight]);
                }
            }
        }
        store(sums, pixel, count, columns, finish, out);
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

/// Finishes the sums of the block's first `count` pixels, the first of which is `pixel`, and writes them.
#[inline(always)]
fn store<const ROWS: usize, const EIGHTS: usize>(
    sums: [[Eight; EIGHTS]; ROWS],
    pixel: usize,
    count: usize,
    columns: Columns,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let first = pixel * columns.all + columns.first;
    if count == ROWS && columns.count == 8 * EIGHTS {
        // Rows counted by a constant: the sums stay in registers.
        for row in 0..ROWS {
            let at = first + row * columns.all;
            let out = &mut out[at..at + 8 * EIGHTS];
            let skip = finish.skip.map(|skip| &skip[at..at + 8 * EIGHTS]);
            for eight in 0..EIGHTS {
                let bias = finish.bias.as_chunks::<8>().0[eight];
                let skip = skip.map(|skip| skip.as_chunks::<8>().0[eight]);
                out.as_chunks_mut::<8>().0[eight] = finished(sums[row][eight], bias, skip, finish.slope);
            }
        }
    } else {
        let kept = sums;
        for (row, sums) in kept.iter().enumerate().take(count) {
            let at = first + row * columns.all;
            for (eight, out) in out[at..at + columns.count].chunks_mut(8).enumerate() {
                let bias = finish.bias.as_chunks::<8>().0[eight];
                let skip = finish.skip.map(|skip| {
                    let mut values = [0.0; 8];
                    for (value, skip) in values.iter_mut().zip(&skip[at + 8 * eight..at + columns.count]) {
                        *value = *skip;
                    }
                    values
                });
                let values = finished(sums[eight], bias, skip, finish.slope);
                for (out, value) in out.iter_mut().zip(&values) {
                    *out = *value;
                }
            }
        }
    }
}

/// The sum with bias and skip added; what is below zero then, times the slope.
///
/// Into an array of its own: in place it would become masked stores, which some processors are very slow at.
#[inline(always)]
fn finished(sum: Eight, bias: Eight, skip: Option<Eight>, slope: f32) -> Eight {
    let mut values = [0.0; 8];
    for lane in 0..8 {
        values[lane] = sum[lane] + bias[lane];
    }
    if let Some(skip) = skip {
        for lane in 0..8 {
            values[lane] += skip[lane];
        }
    }
    if slope != 1.0 {
        let mut bent = [0.0; 8];
        for lane in 0..8 {
            bent[lane] = if values[lane] > 0.0 { values[lane] } else { values[lane] * slope };
        }
        values = bent;
    }
    values
}

/// The gradients that [`accumulate`] reads: of every pixel of a patch as many columns as the panel has; and no others in
/// between where the windows are runs.
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
fn accumulate_runs<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    windows: &Windows<'_>,
    patch: Patch,
    gradients: Gradients<'_>,
    panel: &mut [f32],
) {
    let Reach::Runs { segments, length } = windows.reach else { return };
    let (panel, _) = panel.as_chunks_mut::<8>().0.as_chunks_mut::<EIGHTS>();
    let start = patch.y * windows.pitch_y + patch.x * windows.pitch_x;
    for (segment, panel) in segments.iter().zip(panel.chunks_exact_mut(length)) {
        let mut done = 0;
        while done < length {
            // The last block is moved back to end with the run; what it shares with the one before is not added twice.
            let first = done.min(length - ROWS);
            let mut sums = [[[0.0_f32; 8]; EIGHTS]; ROWS];
            for y in 0..patch.rows {
                let values = &windows.values[start + segment + first + y * windows.pitch_y..];
                let gradients = &rows_of::<EIGHTS>(&gradients.values[y * gradients.pitch_y..])[..patch.columns];
                let mut at = 0;
                for gradient in gradients {
                    let values = values[at..].first_chunk::<ROWS>().expect("a run is longer than a block is high");
                    at += windows.pitch_x;
                    for row in 0..ROWS {
                        for eight in 0..EIGHTS {
                            sums[row][eight] = multiply_add::<FUSED>(values[row], gradient[eight], sums[row][eight]);
                        }
                    }
                }
            }
            let finished = sums;
            add_rows(&finished[done - first..], &mut panel[done..first + ROWS]);
            done = first + ROWS;
        }
    }
}

#[inline(always)]
fn accumulate_single<const FUSED: bool, const ROWS: usize, const EIGHTS: usize>(
    windows: &Windows<'_>,
    patch: Patch,
    gradients: Gradients<'_>,
    panel: &mut [f32],
) {
    let Reach::Single { offsets, span } = windows.reach else { return };
    let (panel, _) = panel.as_chunks_mut::<8>().0.as_chunks_mut::<EIGHTS>();
    let start = patch.y * windows.pitch_y + patch.x * windows.pitch_x;
    for (offsets, panel) in offsets.chunks(ROWS).zip(panel.chunks_mut(ROWS)) {
        let mut places = [offsets[0]; ROWS];
        places[..offsets.len()].copy_from_slice(offsets);
        let mut sums = [[[0.0_f32; 8]; EIGHTS]; ROWS];
        for y in 0..patch.rows {
            let values = &windows.values[start + y * windows.pitch_y..];
            let gradients_of_row = gradients.values[y * gradients.pitch_y..].chunks(gradients.pitch_x);
            let mut at = 0;
            for gradient in gradients_of_row.take(patch.columns) {
                let window = &values[at..at + span];
                let gradient = &rows_of::<EIGHTS>(&gradient[..8 * EIGHTS])[0];
                at += windows.pitch_x;
                for row in 0..ROWS {
                    let value = window[places[row]];
                    for eight in 0..EIGHTS {
                        sums[row][eight] = multiply_add::<FUSED>(value, gradient[eight], sums[row][eight]);
                    }
                }
            }
        }
        let finished = sums;
        add_rows(&finished, panel);
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
