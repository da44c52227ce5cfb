//! Running a trained network on a CPU.
//!
//! Images larger than a tile are computed tile by tile, each with a margin as wide as the network's reach, on borders
//! that every level of the network shares: a tile's inner part then has the very bits that the whole image would give.

use atomlens_core::{CellGrid, ConfidenceMap};
use ndarray::ArrayView3;

use crate::architecture::{Activation, Architecture, Step};
use crate::kernel::{self, ConvolutionShape};
use crate::output::{Answer, empty, read_row};
use crate::weights::Weights;

/// A network ready to look at images.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    architecture: Architecture,
    weights: Weights,
}

/// Rows or columns of cells: what is computed, and what of it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) keep_start: usize,
    pub(crate) keep_end: usize,
}

/// A part of an image that is computed at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) rows: Span,
    pub(crate) columns: Span,
}

impl Network {
    /// Edge of a tile without its margin, in cells, that keeps the memory of usual networks below a gigabyte.
    pub const TILE_CELLS: usize = 1024;

    /// Takes weights; an error says how they do not fit.
    pub fn new(architecture: Architecture, weights: Weights) -> Result<Network, String> {
        weights.check(&architecture)?;
        Ok(Network { architecture, weights })
    }

    /// What it computes.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its numbers.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Looks at a normalised image of shape `[channel, y, x]` and the model's pixel size. `species` names what it
    /// tells apart.
    ///
    /// # Panics
    /// If the image has another number of channels than the network, or there are more or fewer names than species.
    pub fn look(&self, image: ArrayView3<'_, f32>, pixel_angstrom: f64, species: &[String]) -> ConfidenceMap {
        self.answer(image, pixel_angstrom, species).map
    }

    /// The same with the wave, if the network gives it.
    ///
    /// # Panics
    /// As [`look`](Self::look).
    pub fn answer(&self, image: ArrayView3<'_, f32>, pixel_angstrom: f64, species: &[String]) -> Answer {
        self.answer_in_tiles(image, pixel_angstrom, species, Self::TILE_CELLS)
    }

    /// The same with tiles of another size.
    pub fn answer_in_tiles(
        &self,
        image: ArrayView3<'_, f32>,
        pixel_angstrom: f64,
        species: &[String],
        tile_cells: usize,
    ) -> Answer {
        let mut answer = answer_of(&self.architecture, image.dim(), pixel_angstrom, species);
        let (ny, nx) = (answer.map.grid.ny, answer.map.grid.nx);
        let outputs = self.architecture.outputs();
        let channels_out = outputs.channels();
        for Tile { rows, columns } in tiles(&self.architecture, (ny, nx), tile_cells) {
            let (height, width) = (rows.end - rows.start, columns.end - columns.start);
            let raw = self.run(folded(image, rows, columns), 1, height, width);
            for y in rows.keep_start..rows.keep_end.min(ny) {
                let from = (y - rows.start) * width + columns.keep_start - columns.start;
                let to = from + columns.keep_end.min(nx) - columns.keep_start;
                read_row(&raw[from * channels_out..to * channels_out], outputs, y, columns.keep_start, &mut answer);
            }
        }
        answer
    }

    /// The network's result, `[image, y, x, channel]`, for images folded two by two, `[image, y, x, 4 * channel]`.
    ///
    /// # Panics
    /// If the height or width is not a multiple of [`Architecture::cell_multiple`], or the input's length does not fit.
    pub fn run(&self, input: Vec<f32>, images: usize, height: usize, width: usize) -> Vec<f32> {
        let steps = &self.architecture.steps;
        let channels = self.architecture.channels();
        let levels = self.architecture.levels();
        let last_use = last_uses(steps);
        let mut convolutions = self.weights.0.iter();
        let mut results: Vec<Vec<f32>> = Vec::with_capacity(steps.len());
        let mut input = Some(input);
        for (index, step) in steps.iter().enumerate() {
            let (h, w) = (height >> levels[index], width >> levels[index]);
            let mut out = Vec::new();
            if !matches!(step, Step::Input { .. }) {
                out = vec![0.0; images * h * w * channels[index]];
            }
            match step {
                Step::Input { channels } => {
                    out = input.take().expect("the image comes in once");
                    assert_eq!(out.len(), images * height * width * channels, "length of the image");
                }
                Step::Convolution { from, channels: channels_out, kernel, dilation, activation, skip } => {
                    let weights = convolutions.next().expect("weights for every convolution");
                    let shape = ConvolutionShape {
                        batch: images,
                        height: h,
                        width: w,
                        channels_in: channels[*from],
                        channels_out: *channels_out,
                        kernel: *kernel,
                        dilation: *dilation,
                    };
                    let activation = match activation {
                        Activation::None => kernel::Activation::None,
                        Activation::Relu => kernel::Activation::Relu,
                    };
                    let skip = skip.map(|skip| &results[skip][..]);
                    kernel::forward(
                        &shape,
                        &results[*from],
                        &weights.weight,
                        &weights.bias,
                        skip,
                        activation,
                        &mut out,
                    );
                }
                Step::Pool { from } => {
                    kernel::average_pool2(2 * h, 2 * w, channels[index], &results[*from], &mut out);
                }
                Step::Upsample { from, skip } => {
                    kernel::upsample2_nearest(h, w, channels[index], &results[*from], &mut out);
                    out.iter_mut().zip(&results[*skip]).for_each(|(out, skip)| *out += skip);
                }
                Step::Concatenate { from } => {
                    let [a, b] = *from;
                    kernel::concatenate(&results[a], channels[a], &results[b], channels[b], &mut out);
                }
            }
            results.push(out);
            for (result, &last) in results.iter_mut().zip(&last_use) {
                if last == index {
                    *result = Vec::new();
                }
            }
        }
        results.pop().expect("a network has steps")
    }
}

/// The number of the last step that reads each step's result.
fn last_uses(steps: &[Step]) -> Vec<usize> {
    let mut last = vec![usize::MAX; steps.len()];
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Input { .. } => {}
            Step::Convolution { from, skip, .. } => {
                last[*from] = index;
                skip.iter().for_each(|&skip| last[skip] = index);
            }
            Step::Pool { from } => last[*from] = index,
            Step::Upsample { from, skip } => {
                last[*from] = index;
                last[*skip] = index;
            }
            Step::Concatenate { from } => from.iter().for_each(|&from| last[from] = index),
        }
    }
    last
}

/// An empty answer for an image of shape `[channel, y, x]`.
///
/// # Panics
/// If the image has another number of channels than the network, or there are more or fewer names than species.
pub(crate) fn answer_of(
    architecture: &Architecture,
    image: (usize, usize, usize),
    pixel_angstrom: f64,
    species: &[String],
) -> Answer {
    let (channels, height, width) = image;
    assert_eq!(channels, architecture.image_channels, "channels of the image");
    assert_eq!(species.len(), architecture.species, "names of species");
    let grid = CellGrid {
        nx: width.div_ceil(2),
        ny: height.div_ceil(2),
        cell_angstrom: 2.0 * pixel_angstrom,
        origin_angstrom: [0.5 * pixel_angstrom, 0.5 * pixel_angstrom],
    };
    empty(grid, species, architecture.wave.then_some((height, width)))
}

/// The tiles of so many rows and columns of cells. What they keep begins within the map and may end beyond it.
pub(crate) fn tiles(architecture: &Architecture, cells: (usize, usize), tile_cells: usize) -> Vec<Tile> {
    let multiple = architecture.cell_multiple();
    let tile = tile_cells.next_multiple_of(multiple);
    let reach = architecture.reach_cells();
    let along = |length: usize| {
        let mut spans = spans(length.next_multiple_of(multiple), tile, reach);
        spans.retain(|span| span.keep_start < length);
        spans
    };
    let columns = along(cells.1);
    along(cells.0).into_iter().flat_map(|rows| columns.iter().map(move |&columns| Tile { rows, columns })).collect()
}

/// Divides `length` cells into tiles; a rest of less than a quarter of a tile goes to the last one.
fn spans(length: usize, tile: usize, reach: usize) -> Vec<Span> {
    let count = ((length + 3 * tile / 4) / tile).max(1);
    (0..count)
        .map(|index| {
            let keep_start = index * tile;
            let keep_end = if index + 1 == count { length } else { keep_start + tile };
            Span { start: keep_start.saturating_sub(reach), end: (keep_end + reach).min(length), keep_start, keep_end }
        })
        .collect()
}

/// A part of an image folded two by two; zero where it goes beyond the image.
fn folded(image: ArrayView3<'_, f32>, rows: Span, columns: Span) -> Vec<f32> {
    let (channels, height, width) = image.dim();
    let mut out = vec![0.0; (rows.end - rows.start) * (columns.end - columns.start) * 4 * channels];
    let mut cells = out.chunks_exact_mut(4 * channels);
    for y in rows.start..rows.end {
        for x in columns.start..columns.end {
            let cell = cells.next().expect("a place for every cell");
            for (place, values) in cell.chunks_exact_mut(channels).enumerate() {
                let (j, i) = (2 * y + place / 2, 2 * x + place % 2);
                if j < height && i < width {
                    for (channel, value) in values.iter_mut().enumerate() {
                        *value = image[[channel, j, i]];
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use ndarray::{Array3, Axis};
    use rand::RngExt;

    use super::*;
    use crate::architecture::Family;
    use crate::learning::LearnerState;

    fn networks() -> Vec<Network> {
        let families = [
            Family::Ladder { channels: vec![8, 12, 16], pairs: 1 },
            Family::EncoderDecoder { channels: vec![8, 8] },
            Family::MixedScaleDense { layers: 6, width: 1, largest_dilation: 3 },
        ];
        let seed = SeedPath::new(5);
        let made = |family| {
            let architecture = Architecture::new(family, 2, 3).with_wave();
            let weights = LearnerState::draw(&architecture, seed).weights(&architecture);
            Network::new(architecture, weights).unwrap()
        };
        families.into_iter().map(made).collect()
    }

    fn image(height: usize, width: usize) -> Array3<f32> {
        let mut stream = SeedPath::new(9).stream();
        Array3::from_shape_simple_fn((2, height, width), || stream.random_range(-1.0..1.0))
    }

    #[test]
    fn tiles_give_the_bits_of_the_whole() {
        let species: Vec<String> = ["A", "B", "C"].map(str::to_owned).to_vec();
        let image = image(301, 250);
        for network in networks() {
            let whole = network.answer_in_tiles(image.view(), 0.2, &species, 4096);
            let tiled = network.answer_in_tiles(image.view(), 0.2, &species, 40);
            assert_eq!(whole, tiled, "{:?}", network.architecture().family);
            let wave = whole.wave.unwrap();
            assert_eq!(wave.dim(), (2, 301, 250));
            // Nothing is left unwritten. Of random weights the units of a cell may all be off in an encoder and decoder, but not along a
            // seam or a border.
            if !matches!(network.architecture().family, Family::EncoderDecoder { .. }) {
                assert!(wave.iter().all(|value| *value != 0.0));
            }
            for axis in [1, 2] {
                for line in wave.axis_iter(Axis(axis)) {
                    let zeros = line.iter().filter(|value| **value == 0.0).count();
                    assert!(zeros * 10 < line.len(), "{zeros} of {}", line.len());
                }
            }
            let whole = whole.map;
            assert_eq!((whole.grid.ny, whole.grid.nx), (151, 125));
            assert!(whole.share_of_any().iter().all(|share| (0.0..=1.0001).contains(share)));
            assert!(whole.share.iter().any(|&share| share > 0.0));
        }
    }

    #[test]
    fn a_change_outside_the_reach_changes_nothing() {
        let species: Vec<String> = ["A", "B", "C"].map(str::to_owned).to_vec();
        let network = &networks()[0];
        let first = image(320, 320);
        let mut second = first.clone();
        second[[0, 0, 0]] += 10.0;
        let (first, second) = (network.look(first.view(), 0.2, &species), network.look(second.view(), 0.2, &species));
        let reach = network.architecture().reach_cells();
        assert!(reach < 140);
        let far = ndarray::s![.., reach.., reach..];
        assert_eq!(first.share.slice(far), second.share.slice(far));
        assert_ne!(first.share, second.share);
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let network = networks().remove(0);
        let mut weights = network.weights().clone();
        weights.0[2].bias.pop();
        assert!(Network::new(network.architecture().clone(), weights).unwrap_err().contains("biases"));
    }
}
