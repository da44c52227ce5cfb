//! Frames of a movie around the one that is asked about.
//!
//! Columns that switch do so at random and each on its own (a symmetric telegraph process, begun in the middle frame with even
//! chances), so that neither the neighbours in space nor those in time tell for sure what the middle frame has.

use atomlens_analysis::normalise::normalise;
use atomlens_analysis::resample::resample_moved;
use atomlens_core::glam::{DAffine2, DVec2};
use atomlens_core::{Column, ColumnRole, Distribution, Grid, RandomStream, SeedPath};
use atomlens_specimen::Specimen;
use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use rand::RngExt;

use super::PIXEL_ANGSTROM;
use super::edge::{FEW, edge_columns};
use super::mixture::{SwitchingSettings, WindowSettings};

/// Farthest that a frame is misplaced along x and along y, in angstrom.
const MISPLACED_ANGSTROM: f64 = 3.0;

/// Farthest that a specimen moves from one frame to the next along x and along y, in angstrom.
const MOVED_ANGSTROM: f64 = 2.0;

/// Columns share the plane by Gaussians of this standard deviation around them, in angstrom: nearly all of a place is the nearest one's.
const SHARING_ANGSTROM: f64 = 0.7;

/// Farther than this from a column its coming and going changes nothing, in angstrom.
const REACH_ANGSTROM: f64 = 4.0;

/// A column that comes and goes.
#[derive(Debug, Clone)]
pub(super) struct SwitchingColumn {
    /// Its index among the columns of the specimen, which has it in full.
    pub(super) index: usize,
    /// What is left when it has gone.
    pub(super) rest: Option<Column>,
}

/// Chooses the columns that switch and the atoms that go with them; the second answer tells of each atom whether it stays.
pub(super) fn choose(
    specimen: &Specimen,
    settings: &SwitchingSettings,
    seed: SeedPath,
) -> (Vec<SwitchingColumn>, Vec<bool>) {
    let mut random = seed.stream();
    let part = settings.columns_fraction.sample(&mut random);
    let thinned = settings.thinned_fraction.sample(&mut random);
    let atoms = &specimen.structure.atoms;
    let mut stays = vec![true; atoms.len()];
    let mut switching = Vec::new();
    if part <= 0.0 {
        return (switching, stays);
    }
    for index in edge_columns(&specimen.columns) {
        if random.random::<f64>() >= part {
            continue;
        }
        let mut members: Vec<usize> =
            (0..atoms.len()).filter(|&atom| atoms[atom].column == Some(index as u32)).collect();
        members.sort_by(|&a, &b| atoms[a].position_angstrom.z.total_cmp(&atoms[b].position_angstrom.z));
        let kept = if random.random::<f64>() < thinned { random.random_range(1..=FEW) } else { 0 };
        if kept >= members.len() {
            continue;
        }
        let first = random.random_range(0..=members.len() - kept);
        for (place, &atom) in members.iter().enumerate() {
            stays[atom] = (first..first + kept).contains(&place);
        }
        switching.push(SwitchingColumn { index, rest: rest(specimen, &members[first..first + kept]) });
    }
    (switching, stays)
}

/// The column that some atoms make.
fn rest(specimen: &Specimen, members: &[usize]) -> Option<Column> {
    let mut structure = specimen.structure.clone();
    structure.atoms = members.iter().map(|&atom| specimen.structure.atoms[atom]).collect();
    structure.atoms.iter_mut().for_each(|atom| atom.column = Some(0));
    Column::gather(&mut structure, &[ColumnRole::Specimen]).pop()
}

/// Which columns have gone in each frame, `[frame][column]`.
pub(super) fn states(
    columns: usize,
    frames: usize,
    settings: &SwitchingSettings,
    random: &mut RandomStream,
) -> Vec<Vec<bool>> {
    let mut gone = vec![vec![false; columns]; frames];
    let middle = frames / 2;
    (0..columns).for_each(|column| {
        let rate = settings.rate_per_frame.sample(random);
        gone[middle][column] = random.random();
        for frame in (0..middle).rev() {
            gone[frame][column] = gone[frame + 1][column] ^ (random.random::<f64>() < rate);
        }
        for frame in middle + 1..frames {
            gone[frame][column] = gone[frame - 1][column] ^ (random.random::<f64>() < rate);
        }
    });
    gone
}

/// How much of the wave without the columns there is in each place of a frame that lacks some of them.
pub(super) fn share_of_gone(grid: Grid, places: &[[f64; 2]], gone: &[bool]) -> Array2<f32> {
    let mut of_all = Array2::<f32>::zeros((grid.ny, grid.nx));
    let mut of_gone = Array2::<f32>::zeros((grid.ny, grid.nx));
    let pixel = [grid.pixel_x_angstrom, grid.pixel_y_angstrom];
    for (place, &gone) in places.iter().zip(gone) {
        let span = |axis: usize, count: usize| {
            let (low, high) = (place[axis] - REACH_ANGSTROM, place[axis] + REACH_ANGSTROM);
            // `as` of a negative number is 0.
            (low / pixel[axis]).ceil() as usize..((high / pixel[axis]).floor() as usize + 1).min(count)
        };
        for j in span(1, grid.ny) {
            for i in span(0, grid.nx) {
                let (dx, dy) = (i as f64 * pixel[0] - place[0], j as f64 * pixel[1] - place[1]);
                let near = (-0.5 * (dx * dx + dy * dy) / (SHARING_ANGSTROM * SHARING_ANGSTROM)).exp() as f32;
                of_all[[j, i]] += near;
                if gone {
                    of_gone[[j, i]] += near;
                }
            }
        }
    }
    of_gone.zip_mut_with(&of_all, |gone, all| *gone = if *all > 0.0 { *gone / all } else { 0.0 });
    of_gone
}

/// How the frames of a window come to lie on the one in its middle.
pub(super) struct Placing {
    /// What is wrong with each frame's place, in angstrom; `None` where it is missing.
    shift_angstrom: Vec<Option<DVec2>>,
    /// How far the specimen moves from one frame to the next, in pixels of a training image.
    moved_px: DVec2,
}

impl Placing {
    pub(super) fn draw(settings: &WindowSettings, random: &mut RandomStream) -> Placing {
        let frames = settings.frames;
        let middle = frames / 2;
        let sigma = settings.misalignment_angstrom.sample(random);
        let mut shift_angstrom: Vec<Option<DVec2>> = (0..frames)
            .map(|frame| {
                let mut drawn = |of: &Distribution| DVec2::new(of.sample(random), of.sample(random));
                let wrong = drawn(&Distribution::Normal(0.0, sigma));
                let misplaced = drawn(&Distribution::Uniform(-MISPLACED_ANGSTROM, MISPLACED_ANGSTROM));
                let is_misplaced = random.random::<f64>() < settings.misplaced_fraction;
                let is_missing = random.random::<f64>() < settings.missing_fraction;
                match frame == middle {
                    true => Some(DVec2::ZERO),
                    false => (!is_missing).then_some(if is_misplaced { misplaced } else { wrong }),
                }
            })
            .collect();
        if random.random::<f64>() < settings.cut_short_fraction {
            let lacking = random.random_range(1..=middle);
            let first = if random.random() { 0 } else { frames - lacking };
            shift_angstrom[first..first + lacking].fill(None);
        }
        let mut moved_px = DVec2::ZERO;
        if random.random::<f64>() < settings.moving_fraction {
            let farthest = MOVED_ANGSTROM / PIXEL_ANGSTROM;
            moved_px = DVec2::new(random.random_range(-farthest..=farthest), random.random_range(-farthest..=farthest));
        }
        Placing { shift_angstrom, moved_px }
    }

    /// Whether there is such a frame.
    pub(super) fn has(&self, frame: usize) -> bool {
        self.shift_angstrom[frame].is_some()
    }

    /// Resamples a frame's counts to `shape` pixels of a training image and normalises it by itself; zero if it is missing.
    pub(super) fn laid(
        &self,
        frame: usize,
        counts: ArrayView2<'_, f32>,
        pixel_angstrom: (f64, f64),
        shape: (usize, usize),
    ) -> Array2<f32> {
        let Some(shift) = self.shift_angstrom[frame] else { return Array2::zeros(shape) };
        let laid = resample_moved(counts, pixel_angstrom, PIXEL_ANGSTROM, shape, DAffine2::from_translation(shift));
        normalise(laid.insert_axis(Axis(0)).view(), PIXEL_ANGSTROM).remove_axis(Axis(0))
    }

    /// Takes out of a square that was cut from the window what frames do not cover, as if its borders were those of the frames.
    pub(super) fn uncover(&self, window: &mut Array3<f32>) {
        let (frames, ny, nx) = window.dim();
        for frame in 0..frames {
            let moved = self.moved_px * (frame as f64 - (frames / 2) as f64);
            for (axis, moved, length) in [(2, moved.x, nx), (1, moved.y, ny)] {
                let bare = (moved.abs().round() as usize).min(length);
                let span = if moved > 0.0 { 0..bare } else { length - bare..length };
                match axis {
                    2 => window.slice_mut(s![frame, .., span]).fill(0.0),
                    _ => window.slice_mut(s![frame, span, ..]).fill(0.0),
                }
            }
        }
    }
}
