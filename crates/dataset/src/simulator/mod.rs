//! Makes samples: draws a specimen, computes its exit waves, images them, exposes the camera.

pub(crate) mod lens;
pub(crate) mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

use atomlens_core::glam::DVec3;
use atomlens_core::grid::next_fast_length;
use atomlens_core::{Grid, Micrograph, RandomStream, SeedPath, Structure};
use atomlens_simulate::camera::{Camera, HotPixels, TransferCurve};
use atomlens_simulate::{ExitWave, Multislice, PotentialSettings};
use atomlens_specimen::dynamics::Movie;
use atomlens_specimen::{Specimen, thermal};
use ndarray::{Array2, Array4, s};

use self::lens::{Lens, polar};
use self::view::View;
use crate::{DatasetError, Drawn, Recipe, Sample, background};

/// What a recipe refers to, read by whoever may read files.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// The structure of [`SpecimenSettings::structure_path`](atomlens_specimen::SpecimenSettings::structure_path).
    pub structure: Option<Structure>,
    /// The curves of [`Recipe::curve_paths`], by path.
    pub curves: BTreeMap<PathBuf, TransferCurve>,
}

/// Makes the samples of a recipe and a seed.
#[derive(Debug, Clone)]
pub struct Simulator {
    recipe: Recipe,
    resources: Resources,
    seed: SeedPath,
}

/// A specimen that is ready to be imaged.
#[derive(Debug, Clone)]
pub struct Exposable {
    specimen_number: u64,
    /// The specimen; of a movie, in its first frame.
    specimen: Specimen,
    /// Its exit waves, one for each frozen-phonon configuration; none for a movie, whose frames are computed one by one.
    waves: Vec<ExitWave<f32>>,
    movie: Option<Movie>,
    /// Size of the image in pixels and its sampling.
    view: View,
    energy_kev: f64,
    beam_tilt_mrad: [f64; 2],
}

impl Exposable {
    /// The specimen, in the box that is simulated.
    pub fn specimen(&self) -> &Specimen {
        &self.specimen
    }
}

impl Simulator {
    /// A simulator of a recipe.
    ///
    /// # Errors
    /// A recipe with impossible values, or whose files were not handed over.
    pub fn new(recipe: Recipe, resources: Resources, seed: u64) -> Result<Simulator, DatasetError> {
        Simulator::seeded(recipe, resources, SeedPath::new(seed))
    }

    /// A simulator whose draws are those of a part of a larger run.
    pub(crate) fn seeded(recipe: Recipe, resources: Resources, seed: SeedPath) -> Result<Simulator, DatasetError> {
        recipe.check()?;
        let missing = |path: &std::path::Path| DatasetError::MissingResource { path: path.display().to_string() };
        if let Some(path) = recipe.specimen.structure_path()
            && resources.structure.is_none()
        {
            return Err(missing(path));
        }
        if let Some(path) = recipe.curve_paths().iter().find(|path| !resources.curves.contains_key(*path)) {
            return Err(missing(path));
        }
        Ok(Simulator { recipe, resources, seed })
    }

    /// What all of its draws are derived from.
    pub(crate) fn seed(&self) -> SeedPath {
        self.seed
    }

    /// What the recipe refers to.
    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Makes one sample from nothing.
    ///
    /// # Errors
    /// If the specimen cannot be made or simulated as the recipe asks.
    pub fn sample(&self, index: u64) -> Result<Sample, DatasetError> {
        let exposable = self.expose_ready(self.specimen_of(index, 1))?;
        self.expose(&exposable, index)
    }

    /// The specimen that a sample shows, when `rotation` specimens take turns; each serves
    /// `images_per_wave` samples, and they are renewed one at a time.
    pub fn specimen_of(&self, index: u64, rotation: u64) -> u64 {
        background::specimen_of(index, rotation, self.recipe.wave.images_per_wave as u64)
    }

    /// Draws a specimen and computes its exit waves: the slow part.
    ///
    /// # Errors
    /// If the specimen cannot be made or simulated as the recipe asks.
    pub fn expose_ready(&self, specimen_number: u64) -> Result<Exposable, DatasetError> {
        let seed = self.seed.child("specimen").index(specimen_number);
        let mut random = seed.child("view").stream();
        let view = View::draw(&self.recipe, &mut random);
        let energy_kev = self.recipe.wave.energy_kev.sample(&mut random);
        let beam_tilt_mrad = polar(&self.recipe.optics.beam_tilt_mrad, &mut random);
        let field = [view.whole.field_x_angstrom(), view.whole.field_y_angstrom()];
        let mut specimen = self.recipe.specimen.build(field, self.resources.structure.as_ref(), seed.child("build"))?;
        let movie = match &self.recipe.dynamics {
            Some(dynamics) => Some(Movie::build(specimen.clone(), dynamics, seed.child("dynamics"))?),
            None => None,
        };
        let mut exposable = Exposable {
            specimen_number,
            specimen: specimen.clone(),
            waves: Vec::new(),
            movie,
            view,
            energy_kev,
            beam_tilt_mrad,
        };
        if let Some(movie) = &exposable.movie {
            specimen = movie.frame(0);
            exposable.specimen = specimen;
        } else {
            exposable.waves = self.waves(&specimen.structure, &exposable, 0)?;
        }
        Ok(exposable)
    }

    /// The exit waves of a structure, in one frame of a movie or in the only one.
    fn waves(&self, structure: &Structure, of: &Exposable, frame: usize) -> Result<Vec<ExitWave<f32>>, DatasetError> {
        let seed = self.seed.child("specimen").index(of.specimen_number).child("thermal").index(frame as u64);
        self.waves_at(structure, of.energy_kev, of.beam_tilt_mrad, seed)
    }

    /// The exit waves of a structure in its box, one for each frozen-phonon configuration.
    pub(crate) fn waves_at(
        &self,
        structure: &Structure,
        energy_kev: f64,
        beam_tilt_mrad: [f64; 2],
        seed: SeedPath,
    ) -> Result<Vec<ExitWave<f32>>, DatasetError> {
        self.waves_of_some(structure, &|_| true, energy_kev, beam_tilt_mrad, seed)
    }

    /// The same of some of its atoms, by their indices; those that are kept are displaced as they are in the whole.
    pub(crate) fn waves_of_some(
        &self,
        structure: &Structure,
        is_kept: &dyn Fn(usize) -> bool,
        energy_kev: f64,
        beam_tilt_mrad: [f64; 2],
        seed: SeedPath,
    ) -> Result<Vec<ExitWave<f32>>, DatasetError> {
        let settings = &self.recipe.wave;
        let multislice = Multislice {
            energy_ev: energy_kev * 1e3,
            potential: PotentialSettings {
                parametrization: settings.parametrization,
                projection: settings.projection,
                placement: settings.placement,
                slice_thickness_angstrom: settings.slice_thickness_angstrom,
                debye_waller: false,
            },
            tilt_rad: beam_tilt_mrad.map(|tilt| tilt * 1e-3),
        };
        let pixels = |field: f64| next_fast_length((field / settings.sampling_angstrom).ceil() as usize);
        let [field_x, field_y, _] = structure.cell.map_or([0.0; 3], |cell| cell.lengths_angstrom());
        let (nx, ny) = (pixels(field_x), pixels(field_y));
        thermal::configurations(structure, &self.recipe.specimen.thermal, seed)?
            .into_iter()
            .map(|mut structure| {
                let mut index = 0;
                structure.atoms.retain(|_| {
                    index += 1;
                    is_kept(index - 1)
                });
                Ok(multislice.exit_wave(&folded(&structure), nx, ny)?)
            })
            .collect()
    }

    /// Makes a sample of a specimen that is ready: new optics, a new exposure.
    ///
    /// # Errors
    /// If the optics or the camera cannot be as they were drawn.
    pub fn expose(&self, exposable: &Exposable, index: u64) -> Result<Sample, DatasetError> {
        self.expose_frames(exposable, index, usize::MAX, &|| false)
    }

    /// Makes a sample as [`sample`](Self::sample) does, but of a movie only the first frame; its truth is that of all frames.
    ///
    /// # Errors
    /// If the specimen cannot be made or simulated as the recipe asks.
    pub fn preview(&self, index: u64) -> Result<Sample, DatasetError> {
        let exposable = self.expose_ready(self.specimen_of(index, 1))?;
        self.expose_frames(&exposable, index, 1, &|| false)
    }

    /// Exposes at most so many frames, unless told to stop between two of them.
    pub(crate) fn expose_frames(
        &self,
        exposable: &Exposable,
        index: u64,
        most_frames: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Sample, DatasetError> {
        let seed = self.seed.child("image").index(index);
        let lens = Lens::draw(&self.recipe.optics, exposable.beam_tilt_mrad, &mut seed.child("optics").stream())?;
        let mut random = seed.child("camera").stream();
        let camera = self.camera(&mut random)?;
        let dose_e_per_a2 = self.recipe.camera.dose_e_per_a2.sample(&mut random);
        let view = &exposable.view;
        let detector = Grid::covering(
            view.whole.field_x_angstrom(),
            view.whole.field_y_angstrom(),
            view.whole.nx * camera.binning,
            view.whole.ny * camera.binning,
        );
        let hot = camera.hot_pixels(view.whole.nx, view.whole.ny, seed);
        let frames = exposable.movie.as_ref().map_or(1, Movie::frame_count).min(most_frames);
        let images = lens.defocus_angstrom.len();
        let mut counts = Array4::zeros((frames, images, view.image.ny, view.image.nx));
        let mut wave_grid = view.whole;
        for frame in 0..frames {
            if stop() {
                return Err(DatasetError::Stopped);
            }
            let moved = match &exposable.movie {
                Some(movie) => self.waves(&movie.frame(frame).structure, exposable, frame)?,
                None => Vec::new(),
            };
            let waves = if exposable.movie.is_some() { &moved } else { &exposable.waves };
            wave_grid = waves.first().map_or(view.whole, ExitWave::grid);
            for focus in 0..images {
                let seed = seed.index((frame * images + focus) as u64);
                let intensity = lens.intensity(waves, focus, detector, camera.binning)?;
                let counted = expose_one(&camera, &intensity, detector, dose_e_per_a2, &hot, view, seed)?;
                counts.slice_mut(s![frame, focus, .., ..]).assign(&counted);
            }
        }
        Ok(Sample {
            index,
            micrograph: Micrograph { counts, grid: view.image },
            pixel_type: camera.pixel_type,
            columns: view.columns(&exposable.specimen.columns),
            sheet: exposable.specimen.sheet,
            structure: exposable.specimen.structure.clone(),
            drawn: Drawn {
                index,
                specimen: exposable.specimen_number,
                grid: view.image,
                wave_grid,
                origin_angstrom: view.origin_angstrom(),
                energy_kev: exposable.energy_kev,
                defocus_angstrom: lens.defocus_angstrom,
                cs_angstrom: lens.cs_angstrom,
                aberrations: lens.aberrations,
                focal_spread_one_over_e_angstrom: lens.focal_spread_one_over_e_angstrom,
                angular_spread_one_over_e_mrad: lens.angular_spread_one_over_e_mrad,
                aperture_mrad: lens.optics.aperture.map(|aperture| aperture.radius_rad * 1e3),
                beam_tilt_mrad: exposable.beam_tilt_mrad,
                vibration_angstrom: lens.motion.vibration_rms_angstrom[0],
                exposure_drift_angstrom: lens.motion.drift_angstrom,
                series_shift_angstrom: lens.shift_angstrom,
                dose_e_per_a2,
                gain_counts_per_electron: camera.gain_counts_per_electron,
                offset_counts: camera.offset_counts,
                atoms: exposable.specimen.structure.atoms.len(),
                configurations: (self.recipe.specimen.thermal.configurations as usize).max(1),
            },
            movie: exposable.movie.as_ref().map(|movie| view.movie_truth(movie)),
        })
    }

    pub(crate) fn camera(&self, random: &mut RandomStream) -> Result<Camera, DatasetError> {
        let settings = &self.recipe.camera;
        let curves = &self.resources.curves;
        let mtf = settings.mtf.as_ref().map(|knob| knob.draw(curves, random)).transpose()?;
        let ntf = settings.ntf.as_ref().map(|knob| knob.draw(curves, random)).transpose()?;
        let camera = Camera {
            mtf: mtf.unwrap_or_default(),
            ntf,
            binning: settings.binning,
            dark_noise_electrons: settings.dark_noise_electrons.sample(random),
            gain_counts_per_electron: settings.gain_counts_per_electron.sample(random),
            offset_counts: settings.offset_counts.sample(random),
            hot_pixel_fraction: settings.hot_pixel_fraction.sample(random),
            hot_pixel_counts: settings.hot_pixel_counts.sample(random),
            saturation_counts: settings.saturation_counts.as_ref().map(|counts| counts.sample(random)),
            pixel_type: settings.pixel_type,
        };
        camera.check()?;
        Ok(camera)
    }
}

/// Exposes the whole box and keeps the image.
fn expose_one(
    camera: &Camera,
    intensity: &Array2<f32>,
    detector: Grid,
    dose_e_per_a2: f64,
    hot: &HotPixels,
    view: &View,
    seed: SeedPath,
) -> Result<Array2<f32>, DatasetError> {
    let whole = camera.expose(intensity, detector, dose_e_per_a2, hot, seed)?;
    let [x, y] = view.margin;
    Ok(whole.slice(s![y..y + view.image.ny, x..x + view.image.nx]).to_owned())
}

/// Atoms that thermal motion took over the edge of the periodic box come back on the other side.
fn folded(structure: &Structure) -> Structure {
    let mut structure = structure.clone();
    let Some(edges) = structure.cell.and_then(|cell| cell.as_orthorhombic()) else { return structure };
    for atom in &mut structure.atoms {
        let place = atom.position_angstrom;
        atom.position_angstrom = DVec3::new(
            place.x.rem_euclid(edges.x),
            place.y.rem_euclid(edges.y),
            // The box is not periodic along the beam.
            place.z.clamp(0.0, edges.z),
        );
    }
    structure
}
