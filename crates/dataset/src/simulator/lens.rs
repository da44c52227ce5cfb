//! The lenses of one sample, and the intensity that they make of its waves.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use atomlens_core::{Distribution, Grid, RandomStream};
use atomlens_simulate::optics::{Aperture, Coherence};
use atomlens_simulate::resample::{Motion, resample_shifted};
use atomlens_simulate::{ExitWave, Optics};
use ndarray::Array2;

use crate::DatasetError;
use crate::recipe::{FocalSeriesSettings, OpticsSettings};

/// A vector of random length at a free azimuth.
pub(crate) fn polar(length: &Distribution, random: &mut RandomStream) -> [f64; 2] {
    use rand::RngExt;
    let (sin, cos) = (TAU * random.random::<f64>()).sin_cos();
    let length = length.sample(random);
    [length * cos, length * sin]
}

/// The lenses as they were drawn for one sample.
pub(crate) struct Lens {
    pub(crate) optics: Optics,
    pub(crate) motion: Motion,
    pub(crate) defocus_angstrom: Vec<f64>,
    pub(crate) shift_angstrom: Vec<[f64; 2]>,
    pub(crate) cs_angstrom: f64,
    pub(crate) aberrations: BTreeMap<String, f64>,
    pub(crate) focal_spread_one_over_e_angstrom: f64,
    pub(crate) angular_spread_one_over_e_mrad: f64,
}

impl Lens {
    pub(crate) fn draw(
        settings: &OpticsSettings,
        beam_tilt_mrad: [f64; 2],
        random: &mut RandomStream,
    ) -> Result<Lens, DatasetError> {
        let mut optics = Optics { beam_tilt_rad: beam_tilt_mrad.map(|tilt| tilt * 1e-3), ..Optics::default() };
        let defocus = settings.defocus_angstrom.sample(random);
        optics.aberrations.set_defocus_angstrom(defocus);
        let cs_angstrom = settings.cs_angstrom.sample(random);
        optics.aberrations.set("C30", cs_angstrom)?;
        let mut aberrations = BTreeMap::new();
        for (name, knob) in &settings.aberrations {
            let value = knob.sample(random);
            optics.aberrations.set(name, value)?;
            aberrations.insert(name.clone(), value);
        }
        let mut focal_spread_one_over_e_angstrom = 0.0;
        if let Some(knob) = &settings.focal_spread {
            let spread = knob.draw(random);
            focal_spread_one_over_e_angstrom = spread.one_over_e_half_width();
            optics.temporal = match settings.focus_samples {
                Some(samples) => Coherence::Sum { spread, samples },
                None => Coherence::Envelope(spread),
            };
        }
        let mut angular_spread_one_over_e_mrad = 0.0;
        if let Some(knob) = &settings.angular_spread {
            let spread = knob.draw(random);
            angular_spread_one_over_e_mrad = spread.one_over_e_half_width() * 1e3;
            optics.spatial = match settings.angle_samples {
                Some(samples) => Coherence::Sum { spread, samples },
                None => Coherence::Envelope(spread),
            };
        }
        if let Some(radius) = &settings.aperture_mrad {
            optics.aperture = Some(Aperture {
                radius_rad: radius.sample(random) * 1e-3,
                edge_rad: settings.aperture_edge_mrad * 1e-3,
            });
        }
        let motion = Motion {
            vibration_rms_angstrom: [settings.vibration_angstrom.sample(random); 2],
            drift_angstrom: polar(&settings.exposure_drift_angstrom, random),
        };
        let (defocus_angstrom, shift_angstrom) = match &settings.focal_series {
            None => (vec![defocus], vec![[0.0; 2]]),
            Some(series) => draw_series(series, defocus, random),
        };
        Ok(Lens {
            optics,
            motion,
            defocus_angstrom,
            shift_angstrom,
            cs_angstrom,
            aberrations,
            focal_spread_one_over_e_angstrom,
            angular_spread_one_over_e_mrad,
        })
    }

    /// The intensity on the detector's pixels for one image of the series, averaged over the waves.
    ///
    /// The centre of a pixel of the image is the middle of the detector's pixels that are binned into it, so the detector's first
    /// pixel lies as far before the origin.
    pub(crate) fn intensity(
        &self,
        waves: &[ExitWave<f32>],
        focus: usize,
        detector: Grid,
        binning: usize,
    ) -> Result<Array2<f32>, DatasetError> {
        let optics = self.optics.at_defocus_angstrom(self.defocus_angstrom[focus]);
        let Some((first, rest)) = waves.split_first() else { return Ok(Array2::ones((detector.ny, detector.nx))) };
        let mut sum = first.image(&optics)?;
        for wave in rest {
            sum += &wave.image(&optics)?;
        }
        sum /= waves.len() as f32;
        let [shift_x, shift_y] = self.shift_angstrom[focus];
        let to_middle = 0.5 * (binning - 1) as f64;
        let shift = [shift_x + to_middle * detector.pixel_x_angstrom, shift_y + to_middle * detector.pixel_y_angstrom];
        self.blurred(&sum, first.grid(), detector, shift)
    }
}

impl Lens {
    /// The intensity on the detector's pixels, blurred by motion and shifted.
    fn blurred(
        &self,
        intensity: &Array2<f32>,
        grid: Grid,
        detector: Grid,
        shift: [f64; 2],
    ) -> Result<Array2<f32>, DatasetError> {
        let (nx, ny) = (detector.nx, detector.ny);
        if self.motion.drift_angstrom != [0.0; 2] {
            return Ok(resample_shifted(intensity, grid, nx, ny, shift, |kx, ky| self.motion.transfer(kx, ky))?);
        }
        // Vibration alone is a product of factors along x and along y, of which there are few: exponentials for
        // every frequency of the plane would take longer than its transform.
        let field = [detector.field_x_angstrom(), detector.field_y_angstrom()];
        let orders = nx.max(ny).max(grid.nx).max(grid.ny) / 2 + 1;
        let along_x: Vec<f64> = (0..=orders).map(|n| self.motion.transfer(n as f64 / field[0], 0.0)).collect();
        let along_y: Vec<f64> = (0..=orders).map(|n| self.motion.transfer(0.0, n as f64 / field[1])).collect();
        let order = |k: f64, field: f64| (k.abs() * field + 0.5) as usize;
        let blur = |kx: f64, ky: f64| along_x[order(kx, field[0])] * along_y[order(ky, field[1])];
        Ok(resample_shifted(intensity, grid, nx, ny, shift, blur)?)
    }
}

/// Defocus and shift of every image of a series; errors and shifts add up, as they do at the microscope.
fn draw_series(
    settings: &FocalSeriesSettings,
    first_defocus: f64,
    random: &mut RandomStream,
) -> (Vec<f64>, Vec<[f64; 2]>) {
    let step = settings.step_angstrom.sample(random);
    let mut shift = [0.0; 2];
    (0..settings.images)
        .map(|index| {
            if index > 0 {
                shift[0] += settings.shift_angstrom.sample(random);
                shift[1] += settings.shift_angstrom.sample(random);
            }
            (first_defocus + index as f64 * step + settings.jitter_angstrom.sample(random), shift)
        })
        .unzip()
}
