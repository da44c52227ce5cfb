//! One image, series or movie with its truth.

use atomlens_core::{Column, Grid, Micrograph, Structure};
use atomlens_simulate::camera::PixelType;
use atomlens_specimen::dynamics::{Drift, Hop, Site};
use serde::Serialize;

/// What a recipe and a number gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The number of the sample in its stream, from 0.
    pub index: u64,
    /// The frames that the camera counted.
    pub micrograph: Micrograph,
    /// What the frames should be stored as.
    pub pixel_type: PixelType,
    /// The specimen's columns within the image, in angstrom from the centre of the image's first pixel. In a movie: of the first frame.
    pub columns: Vec<Column>,
    /// Whether species carry counts; see [`Column::species`].
    pub sheet: bool,
    /// The atoms in the box that was simulated. In a movie: of the first frame.
    pub structure: Structure,
    /// What was drawn.
    pub drawn: Drawn,
    /// Sites, occupancies and drift of a movie.
    pub movie: Option<MovieTruth>,
}

/// The truth of a movie.
#[derive(Debug, Clone, PartialEq)]
pub struct MovieTruth {
    /// Places and kinds of the sites, in the first frame: angstrom from the centre of the image's first pixel.
    pub sites: Vec<Site>,
    /// Whether each site is filled, `[frame][site]`.
    pub occupancy: Vec<Vec<bool>>,
    /// Where the specimen is in each frame.
    pub drift: Vec<Drift>,
    /// What the specimen turns about, x and y: angstrom from the centre of the image's first pixel.
    pub rotation_centre_angstrom: [f64; 2],
    /// Moves of adatoms from one site to another.
    pub hops: Vec<Hop>,
    /// Time from one frame to the next in seconds.
    pub frame_time_s: f64,
}

impl MovieTruth {
    /// Where a site is in a frame: x and y in angstrom from the centre of the image's first pixel. Not folded back
    /// into the simulated box where it drifts out of it.
    ///
    /// # Panics
    /// If there is no such frame or site.
    pub fn site_place_angstrom(&self, frame: usize, site: usize) -> [f64; 2] {
        let (drift, site) = (&self.drift[frame], &self.sites[site]);
        let [centre_x, centre_y] = self.rotation_centre_angstrom;
        let (sin, cos) = drift.rotation_rad.sin_cos();
        let (x, y) = (site.x_angstrom - centre_x, site.y_angstrom - centre_y);
        [centre_x + cos * x - sin * y + drift.x_angstrom, centre_y + sin * x + cos * y + drift.y_angstrom]
    }
}

/// The numbers drawn for a sample, as they are written beside it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drawn {
    /// Number of the sample.
    pub index: u64,
    /// Number of the specimen that it shows.
    pub specimen: u64,
    /// Sampling of the image.
    pub grid: Grid,
    /// Sampling of the exit wave.
    pub wave_grid: Grid,
    /// Where the image's first pixel lies in the box of the structure, x and y in angstrom.
    pub origin_angstrom: [f64; 2],
    /// Kinetic energy in keV.
    pub energy_kev: f64,
    /// Defocus of each image of the series, underfocus positive.
    pub defocus_angstrom: Vec<f64>,
    /// Spherical aberration.
    pub cs_angstrom: f64,
    /// Other aberrations by name: angstrom, and radian for azimuths.
    pub aberrations: std::collections::BTreeMap<String, f64>,
    /// Spread of focus by its 1 / e half-width.
    pub focal_spread_one_over_e_angstrom: f64,
    /// Spread of angle by its 1 / e half-width.
    pub angular_spread_one_over_e_mrad: f64,
    /// Radius of the objective aperture.
    pub aperture_mrad: Option<f64>,
    /// Tilt of the beam along x and y.
    pub beam_tilt_mrad: [f64; 2],
    /// Root-mean-square amplitude of vibration.
    pub vibration_angstrom: f64,
    /// Drift during an exposure along x and y.
    pub exposure_drift_angstrom: [f64; 2],
    /// Shift of each image of the series against the first, along x and y.
    pub series_shift_angstrom: Vec<[f64; 2]>,
    /// Dose of each image.
    pub dose_e_per_a2: f64,
    /// Counts per electron.
    pub gain_counts_per_electron: f64,
    /// Counts without any electron.
    pub offset_counts: f64,
    /// Number of atoms in the box.
    pub atoms: usize,
    /// Frozen-phonon configurations averaged; 1 for atoms at rest.
    pub configurations: usize,
}
