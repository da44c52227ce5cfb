//! Making the pairs of a mixture.

use std::sync::Arc;

use atomlens_analysis::cramer_rao::{Counting, column_bounds};
use atomlens_analysis::normalise::{Normalised, normalise_with_scale};
use atomlens_analysis::resample::{resample, resampled_length};
use atomlens_core::glam::DVec2;
use atomlens_core::grid::next_fast_length;
use atomlens_core::{Column, Grid, RandomStream, SeedPath};
use atomlens_simulate::ExitWave;
use atomlens_simulate::camera::TransferCurve;
use atomlens_specimen::{Specimen, SpecimenError};
use ndarray::{Array2, Array3, Axis, s};
use rand::RngExt;

use super::frames::{self, Placing, SwitchingColumn};
use super::mixture::{PartSettings, WindowSettings};
use super::target::{Target, TrueColumn};
use super::wave::PlaneWave;
use super::{Labels, Mixture, PIXEL_ANGSTROM, TrainingDrawn, TrainingPair, edge};
use crate::background::{self, Source};
use crate::simulator::Simulator;
use crate::simulator::lens::{Lens, polar};
use crate::simulator::view::View;
use crate::{DatasetError, Resources};

/// Specimens that are tried before a recipe is given up: a large particle may not fit its box.
const ATTEMPTS: u64 = 40;

/// Pixels of the camera that are counted beyond the image and cut away, so that what the camera's transfer takes over one
/// border to the other does not show.
const CAMERA_EDGE_PX: usize = 8;

/// How far outside an image a column still matters to its cells, in angstrom.
const BEYOND_ANGSTROM: f64 = 1.5;

/// What belongs to a column, for the bound of its place: about half the distance to its neighbours.
const COLUMN_REACH_ANGSTROM: f64 = 1.2;

/// Of the series that lack images, those that have one alone; the others lack one.
const ALONE_FRACTION: f64 = 0.4;

/// One recipe of the mixture.
struct Part {
    name: Arc<str>,
    simulator: Simulator,
    settings: PartSettings,
    pixel_size_angstrom: atomlens_core::Distribution,
}

/// What makes the pairs.
pub(super) struct Pairs {
    parts: Vec<Part>,
    seed: SeedPath,
    labels: Labels,
    field_px: usize,
    images_per_wave: u64,
    window: Option<WindowSettings>,
    missing_image_fraction: f64,
    wave: bool,
    with_bounds: bool,
}

/// A specimen with its waves.
pub(super) struct Exposed {
    number: u64,
    part: usize,
    /// None where there is nothing but vacuum.
    waves: Vec<ExitWave<f32>>,
    columns: Vec<Column>,
    /// Columns that come and go in a window of frames, and the waves without them.
    switching: Vec<SwitchingColumn>,
    waves_without: Vec<ExitWave<f32>>,
    /// The wave in the plane of the columns, where it is asked for.
    plane_wave: Option<PlaneWave>,
    view: View,
    energy_kev: f64,
    beam_tilt_mrad: [f64; 2],
}

impl Pairs {
    pub(super) fn new(mixture: &Mixture, seed: u64) -> Result<Pairs, DatasetError> {
        mixture.check()?;
        let seed = SeedPath::new(seed);
        let mut parts = Vec::new();
        for part in &mixture.parts {
            let recipe = part.recipe.clone();
            let [nx, ny] = recipe.image.pixels.each();
            let least = nx.min(ny) as f64 * recipe.image.pixel_size_angstrom.range().0;
            let pixel_size_angstrom = mixture.pixel_size_of(&part.settings).clone();
            let needed = mixture.field_px as f64 * PIXEL_ANGSTROM + 3.0 * pixel_size_angstrom.range().1;
            if least < needed {
                return Err(DatasetError::Value {
                    key: "image.pixels",
                    found: format!("{least:.1} angstrom across in {}", recipe.name),
                    expected: format!("at least {needed:.1}, from which the training images are cut"),
                });
            }
            let seed = seed.child(&part.settings.recipe);
            parts.push(Part {
                name: part.settings.recipe.as_str().into(),
                simulator: Simulator::seeded(recipe, Resources::default(), seed)?,
                settings: part.settings.clone(),
                pixel_size_angstrom,
            });
        }
        Ok(Pairs {
            parts,
            seed,
            labels: mixture.labels.clone(),
            field_px: mixture.field_px,
            images_per_wave: mixture.images_per_wave,
            window: mixture.window.clone(),
            missing_image_fraction: mixture.missing_image_fraction,
            wave: mixture.wave,
            with_bounds: mixture.with_bounds,
        })
    }

    fn part_of(&self, specimen: u64) -> usize {
        let total: f64 = self.parts.iter().map(|part| part.settings.weight).sum();
        let mut left = total * self.seed.child("choice of recipe").index(specimen).stream().random::<f64>();
        for (index, part) in self.parts.iter().enumerate() {
            left -= part.settings.weight;
            if left < 0.0 {
                return index;
            }
        }
        // Rounding alone leads here.
        self.parts.len() - 1
    }
}

impl Part {
    /// Draws a specimen that fits its box.
    fn specimen(&self, field_angstrom: [f64; 2], seed: SeedPath) -> Result<Specimen, DatasetError> {
        let recipe = self.simulator.recipe();
        let mut attempt = 0;
        loop {
            let structure = self.simulator.resources().structure.as_ref();
            match recipe.specimen.build(field_angstrom, structure, seed.index(attempt)) {
                Err(SpecimenError::TooLarge { .. } | SpecimenError::Empty { .. }) if attempt + 1 < ATTEMPTS => {
                    attempt += 1;
                }
                built => return Ok(built?),
            }
        }
    }

    fn exposed(&self, number: u64, part: usize, with_wave: bool) -> Result<Exposed, DatasetError> {
        let seed = self.simulator.seed().child("specimen").index(number);
        let recipe = self.simulator.recipe();
        let mut random = seed.child("view").stream();
        let view = View::draw(recipe, &mut random);
        let energy_kev = recipe.wave.energy_kev.sample(&mut random);
        let beam_tilt_mrad = polar(&recipe.optics.beam_tilt_mrad, &mut random);
        let is_blank = random.random::<f64>() < self.settings.blank_fraction;
        let field = [view.whole.field_x_angstrom(), view.whole.field_y_angstrom()];
        let mut specimen = self.specimen(field, seed.child("build"))?;
        if is_blank {
            specimen.structure.atoms.retain(|atom| atom.column.is_none());
            specimen.columns.clear();
        } else {
            edge::thin(&mut specimen, &self.settings.edge, seed.child("edge"));
        }
        let waves_of_some = |is_kept: &dyn Fn(usize) -> bool| {
            let seed = seed.child("thermal");
            self.simulator.waves_of_some(&specimen.structure, is_kept, energy_kev, beam_tilt_mrad, seed)
        };
        let waves = if specimen.structure.atoms.is_empty() { Vec::new() } else { waves_of_some(&|_| true)? };
        let (switching, stays) = frames::choose(&specimen, &self.settings.switching, seed.child("switching"));
        let waves_without = if switching.is_empty() { Vec::new() } else { waves_of_some(&|atom| stays[atom])? };
        let columns = specimen.columns;
        let thickness = specimen.structure.cell.map_or(0.0, |cell| cell.lengths_angstrom()[2]);
        let plane_wave = if with_wave { PlaneWave::of(&waves, &columns, thickness)? } else { None };
        Ok(Exposed {
            number,
            part,
            waves,
            columns,
            switching,
            waves_without,
            plane_wave,
            view,
            energy_kev,
            beam_tilt_mrad,
        })
    }
}

impl Pairs {
    /// Which images of a focal series are there: all, or all but one, or one alone.
    fn present(&self, images: usize, random: &mut RandomStream) -> Vec<bool> {
        let mut present = vec![true; images];
        if images > 1 && random.random::<f64>() < self.missing_image_fraction {
            let alone = random.random::<f64>() < ALONE_FRACTION;
            let chosen = random.random_range(0..images);
            present.iter_mut().enumerate().for_each(|(index, present)| *present = (index == chosen) == alone);
        }
        present
    }
}

/// The images of a series with zeros, which is the local mean, where one is missing.
fn with_gaps(normalised: Normalised, present: &[bool]) -> Array3<f32> {
    if present.iter().all(|present| *present) || present.len() == 1 {
        return normalised.images;
    }
    let (_, ny, nx) = normalised.images.dim();
    let mut images = Array3::zeros((present.len(), ny, nx));
    let places = (0..present.len()).filter(|&index| present[index]);
    for (place, image) in places.zip(normalised.images.outer_iter()) {
        images.index_axis_mut(Axis(0), place).assign(&image);
    }
    images
}

impl Source for Pairs {
    type Specimen = Exposed;
    type Item = TrainingPair;

    fn specimen_of(&self, index: u64, rotation: u64) -> u64 {
        background::specimen_of(index, rotation, self.images_per_wave)
    }

    fn ready(&self, specimen: u64) -> Result<Exposed, DatasetError> {
        let part = self.part_of(specimen);
        self.parts[part].exposed(specimen, part, self.wave)
    }

    fn make(&self, exposed: &Exposed, index: u64, _: &dyn Fn() -> bool) -> Result<TrainingPair, DatasetError> {
        let part = &self.parts[exposed.part];
        let recipe = part.simulator.recipe();
        let seed = part.simulator.seed().child("image").index(index);
        let lens = Lens::draw(&recipe.optics, exposed.beam_tilt_mrad, &mut seed.child("optics").stream())?;
        let mut random = seed.child("camera").stream();
        let mut camera = part.simulator.camera(&mut random)?;
        camera.mtf = tabulated(camera.mtf);
        camera.ntf = camera.ntf.map(tabulated);
        let dose_e_per_a2 = recipe.camera.dose_e_per_a2.sample(&mut random);
        let window =
            Window::draw(&exposed.view, part.pixel_size_angstrom.sample(&mut random), self.field_px, &mut random);
        let cut = Cut::draw(&window, self.field_px, &mut random);

        let binning = camera.binning;
        let [nx, ny] = window.box_px;
        let whole = exposed.view.whole;
        let detector = Grid::covering(whole.field_x_angstrom(), whole.field_y_angstrom(), nx * binning, ny * binning);
        let [outer_x, outer_y] = window.outer.map(|span| span.length * binning);
        let exposed_grid = Grid { nx: outer_x, ny: outer_y, ..detector };
        let hot = camera.hot_pixels(window.outer[0].length, window.outer[1].length, seed);
        let frames = self.window.as_ref().map_or(1, |window| window.frames);
        let middle = frames / 2;
        let mut random = seed.child("frames").stream();
        let gone = frames::states(exposed.switching.len(), frames, &part.settings.switching, &mut random);
        let placing = self.window.as_ref().map(|window| Placing::draw(window, &mut random));
        let present = self.present(lens.defocus_angstrom.len(), &mut seed.child("missing").stream());
        let inner = window.inner.map(|span| span.length);
        let shape = [1, 0].map(|axis| {
            let pixel = [window.pixel_angstrom.0, window.pixel_angstrom.1][axis];
            resampled_length(inner[axis], PIXEL_ANGSTROM / pixel)
        });
        let mut resampled = Vec::new();
        let mut bounds = vec![None; exposed.columns.len()];
        let mut last: Option<(&Vec<bool>, Array2<f32>)> = None;
        for image in 0..lens.defocus_angstrom.len() * frames {
            let (frame, focus) = if frames > 1 { (image, 0) } else { (0, image) };
            if placing.as_ref().is_some_and(|placing| !placing.has(frame)) {
                resampled.push(Array2::zeros(shape));
                continue;
            }
            if !present[focus] {
                continue;
            }
            let seen = match last.take() {
                Some((of, seen)) if frames > 1 && *of == gone[frame] => seen,
                _ => window.outer_part(&exposed.intensity(&gone[frame], &lens, focus, detector, binning)?, binning),
            };
            if self.with_bounds && frame == middle {
                let pixel_angstrom = window.pixel_angstrom.0 / binning as f64;
                let places: Vec<_> = exposed.columns.iter().map(|column| window.place_in_outer(column)).collect();
                let counting =
                    Counting { dose_e_per_a2, readout_sigma_e: camera.dark_noise_electrons / binning as f64 };
                let of_this = column_bounds(
                    seen.mapv(f64::from).view(),
                    pixel_angstrom,
                    counting,
                    &places,
                    COLUMN_REACH_ANGSTROM,
                );
                bounds.iter_mut().zip(of_this).for_each(|(bound, of_this)| *bound = together(*bound, of_this));
            }
            let counts = camera.expose(&seen, exposed_grid, dose_e_per_a2, &hot, seed.index(image as u64))?;
            let counts = window.inner_part(&counts);
            resampled.push(match &placing {
                Some(placing) => placing.laid(frame, counts, window.pixel_angstrom, shape.into()),
                None => resample(counts, window.pixel_angstrom, PIXEL_ANGSTROM),
            });
            last = Some((&gone[frame], seen));
        }
        let views: Vec<_> = resampled.iter().map(|image| image.view()).collect();
        let series: Array3<f32> = ndarray::stack(Axis(0), &views).expect("the images of a series are alike");
        let mut wave = None;
        let input = match &placing {
            Some(placing) => {
                let mut input = cut.image(&series);
                placing.uncover(&mut input);
                input
            }
            None => {
                let normalised = normalise_with_scale(series.view(), PIXEL_ANGSTROM);
                if self.wave {
                    let first = window.inner.map(|span| span.first as f64);
                    let first = DVec2::from_array(first) * DVec2::from(window.pixel_angstrom);
                    let asked = exposed.plane_wave.as_ref().map_or_else(
                        || Array3::zeros((2, normalised.mean.nrows(), normalised.mean.ncols())),
                        |wave| wave.asked_for(first, &normalised, camera.offset_counts as f32),
                    );
                    wave = Some(cut.image(&asked));
                }
                cut.image(&with_gaps(normalised, &present))
            }
        };

        let reach = -BEYOND_ANGSTROM..self.field_px as f64 * PIXEL_ANGSTROM + BEYOND_ANGSTROM;
        let columns = exposed
            .columns_of(&gone[middle])
            .zip(bounds)
            .filter_map(|(column, bound)| {
                let column = column?;
                let species = self.labels.species_of(column)?;
                let [x_angstrom, y_angstrom] = cut.place(window.place([column.x_angstrom, column.y_angstrom]));
                let near = reach.contains(&x_angstrom) && reach.contains(&y_angstrom);
                near.then(|| TrueColumn {
                    x_angstrom,
                    y_angstrom,
                    species,
                    atoms: column.atom_count(),
                    bound_angstrom: bound.map(DVec2::length),
                })
            })
            .collect();
        Ok(TrainingPair {
            input,
            wave,
            target: Target::new(columns, self.labels.species().len(), self.field_px),
            drawn: TrainingDrawn {
                index,
                specimen: exposed.number,
                recipe: part.name.clone(),
                native_pixel_angstrom: window.pixel_angstrom.0,
                energy_kev: exposed.energy_kev,
                defocus_angstrom: lens.defocus_angstrom,
                cs_angstrom: lens.cs_angstrom,
                dose_e_per_a2,
            },
        })
    }
}

impl Exposed {
    /// The intensity of a frame in which some of the columns that switch have gone.
    fn intensity(
        &self,
        gone: &[bool],
        lens: &Lens,
        focus: usize,
        detector: Grid,
        binning: usize,
    ) -> Result<Array2<f32>, DatasetError> {
        if !gone.contains(&true) {
            return lens.intensity(&self.waves, focus, detector, binning);
        }
        let place = |column: &SwitchingColumn| {
            let column = &self.columns[column.index];
            [column.x_angstrom, column.y_angstrom]
        };
        let places: Vec<[f64; 2]> = self.switching.iter().map(place).collect();
        let share = frames::share_of_gone(self.waves[0].grid(), &places, gone);
        let blended: Vec<ExitWave<f32>> = self
            .waves
            .iter()
            .zip(&self.waves_without)
            .map(|(with, without)| with.blended(without, &share))
            .collect::<Result<_, _>>()?;
        lens.intensity(&blended, focus, detector, binning)
    }

    /// The columns of such a frame, in the order of all; `None` for one that has gone altogether.
    fn columns_of<'a>(&'a self, gone: &'a [bool]) -> impl Iterator<Item = Option<&'a Column>> {
        let mut rests = vec![None; self.columns.len()];
        for (column, _) in self.switching.iter().zip(gone).filter(|(_, gone)| **gone) {
            rests[column.index] = Some(column.rest.as_ref());
        }
        self.columns.iter().zip(rests).map(|(column, rest)| rest.unwrap_or(Some(column)))
    }
}

/// The curve as a table, as that of a measured camera is: raising to powers for every pixel takes longer than all else.
fn tabulated(curve: TransferCurve) -> TransferCurve {
    const LAST: usize = 512;
    match curve {
        TransferCurve::Parametric { .. } => {
            TransferCurve::Table((0..=LAST).map(|index| curve.at(index as f64 / LAST as f64)).collect())
        }
        other => other,
    }
}

/// What two images say of a place together: their information adds up.
fn together(one: Option<DVec2>, other: Option<DVec2>) -> Option<DVec2> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(DVec2::new(one.x * other.x / one.x.hypot(other.x), one.y * other.y / one.y.hypot(other.y)))
        }
        (one, other) => one.or(other),
    }
}

/// Pixels along one direction.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The first; may be negative where the box is continued periodically.
    first: i64,
    length: usize,
}

/// The part of the box that the camera sees.
struct Window {
    /// Pixels of the camera across the box, x and y.
    box_px: [usize; 2],
    pixel_angstrom: (f64, f64),
    /// What is counted.
    outer: [Span; 2],
    /// What is kept.
    inner: [Span; 2],
}

impl Window {
    fn draw(view: &View, pixel_angstrom: f64, field_px: usize, random: &mut RandomStream) -> Window {
        let origin = view.origin_angstrom();
        let along = |field: f64, image: f64, origin: f64, random: &mut RandomStream| {
            let count = next_fast_length((field / pixel_angstrom).round() as usize);
            let pixel = field / count as f64;
            let (low, high) = ((origin / pixel).ceil() as usize, ((origin + image) / pixel).floor() as usize);
            let least = (field_px as f64 * PIXEL_ANGSTROM / pixel).ceil() as usize;
            let room = (high - low).saturating_sub(least);
            let length = least + random.random_range(0..=room);
            let first = (low + random.random_range(0..=least + room - length)) as i64;
            let outer_length = next_fast_length(length + 2 * CAMERA_EDGE_PX).min(count);
            let inner = Span { first, length };
            let outer = Span { first: first - ((outer_length - length) / 2) as i64, length: outer_length };
            (count, pixel, outer, inner)
        };
        let (image, whole) = (view.image, view.whole);
        let x = along(whole.field_x_angstrom(), image.field_x_angstrom(), origin[0], random);
        let y = along(whole.field_y_angstrom(), image.field_y_angstrom(), origin[1], random);
        Window { box_px: [x.0, y.0], pixel_angstrom: (x.1, y.1), outer: [x.2, y.2], inner: [x.3, y.3] }
    }

    /// The counted part of an intensity over the box, which is periodic.
    fn outer_part(&self, intensity: &Array2<f32>, binning: usize) -> Array2<f32> {
        let [x, y] = [0, 1].map(|axis| {
            let (span, count) = (self.outer[axis], (self.box_px[axis] * binning) as i64);
            let first = span.first * binning as i64;
            (0..(span.length * binning) as i64)
                .map(|index| (first + index).rem_euclid(count) as usize)
                .collect::<Vec<usize>>()
        });
        let mut part = Array2::zeros((y.len(), x.len()));
        for (mut to, from) in part.outer_iter_mut().zip(&y) {
            let row = intensity.row(*from);
            for (value, from) in to.iter_mut().zip(&x) {
                *value = row[*from];
            }
        }
        part
    }

    /// The kept part of the counts.
    fn inner_part<'a>(&self, counts: &'a Array2<f32>) -> ndarray::ArrayView2<'a, f32> {
        let [x, y] = [0, 1].map(|axis| {
            let first = (self.inner[axis].first - self.outer[axis].first) as usize;
            first..first + self.inner[axis].length
        });
        counts.slice(s![y, x])
    }

    /// A place in the box, in the coordinates of what is kept.
    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (pixel_x, pixel_y) = self.pixel_angstrom;
        [x - self.inner[0].first as f64 * pixel_x, y - self.inner[1].first as f64 * pixel_y]
    }

    /// The place of a column in the coordinates of what is counted.
    fn place_in_outer(&self, column: &Column) -> DVec2 {
        let first = DVec2::new(self.outer[0].first as f64, self.outer[1].first as f64);
        let pixel = DVec2::new(self.pixel_angstrom.0, self.pixel_angstrom.1);
        DVec2::new(column.x_angstrom, column.y_angstrom) - first * pixel
    }
}

/// The square that is cut from a normalised image, and how it is turned.
struct Cut {
    first_px: [usize; 2],
    field_px: usize,
    /// Mirrored along x, along y, and x and y exchanged after that: all eight orientations.
    mirrored: [bool; 2],
    exchanged: bool,
}

impl Cut {
    fn draw(window: &Window, field_px: usize, random: &mut RandomStream) -> Cut {
        let pixels = [window.pixel_angstrom.0, window.pixel_angstrom.1];
        let first_px = [0, 1].map(|axis| {
            let length = resampled_length(window.inner[axis].length, PIXEL_ANGSTROM / pixels[axis]);
            random.random_range(0..=length.saturating_sub(field_px))
        });
        Cut { first_px, field_px, mirrored: [random.random(), random.random()], exchanged: random.random() }
    }

    fn image(&self, series: &Array3<f32>) -> Array3<f32> {
        let ([x, y], n) = (self.first_px, self.field_px);
        let mut part = series.slice(s![.., y..y + n, x..x + n]);
        for (axis, mirrored) in [(Axis(2), self.mirrored[0]), (Axis(1), self.mirrored[1])] {
            if mirrored {
                part.invert_axis(axis);
            }
        }
        if self.exchanged {
            part.swap_axes(1, 2);
        }
        part.as_standard_layout().into_owned()
    }

    fn place(&self, place: [f64; 2]) -> [f64; 2] {
        let last = (self.field_px - 1) as f64 * PIXEL_ANGSTROM;
        let [x, y] = [0, 1].map(|axis| {
            let place = place[axis] - self.first_px[axis] as f64 * PIXEL_ANGSTROM;
            if self.mirrored[axis] { last - place } else { place }
        });
        if self.exchanged { [y, x] } else { [x, y] }
    }
}
