//! From an exit wave's file to an image.

use std::path::{Path, PathBuf};

use atomlens_core::{Grid, SeedPath};
use atomlens_formats::{FrameFormat, Frames, read_wave, write_frames};
use atomlens_simulate::camera::{Camera, HotPixels, TransferCurve};
use atomlens_simulate::resample::{Motion, resample, shift};
use atomlens_simulate::{ExitWave, Optics};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::exit_wave::sidecar;
use crate::{Context, WorkflowError};

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSettings {
    /// Files of waves; several are configurations of a frozen-phonon series, whose intensities are averaged.
    pub waves: Vec<PathBuf>,
    /// Kinetic energy in keV; from the file beside the wave if `None`.
    pub energy_kev: Option<f64>,
    /// Distance between the wave's pixels along x and y; from the file beside the wave if `None`.
    pub pixel_size_angstrom: Option<[f64; 2]>,
    /// The lenses.
    pub optics: Optics,
    /// Vibration and drift.
    pub motion: Motion,
    /// Distance between the image's pixels; that of the wave if `None`.
    pub image_pixel_size_angstrom: Option<f64>,
    /// Electrons per square angstrom; the ideal intensity if `None`.
    pub dose_e_per_a2: Option<f64>,
    /// The camera, where there is a dose.
    pub camera: Camera,
    /// Seed of the noise.
    pub seed: u64,
    /// Where the image goes.
    pub out: PathBuf,
}

/// What the job made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageSummary {
    /// Sampling of the image.
    pub grid: Grid,
    /// Kinetic energy in keV.
    pub energy_kev: f64,
    /// Mean of the image.
    pub mean: f64,
    /// Standard deviation of the image.
    pub standard_deviation: f64,
    /// The image's file.
    pub image: PathBuf,
}

/// What is read of the file beside a wave.
#[derive(Deserialize)]
struct WaveFacts {
    grid: Grid,
    energy_kev: f64,
}

/// Runs the job.
///
/// # Errors
/// Files that cannot be read or written, a wave whose energy or pixel size is not known, optics that cannot be.
pub fn run(settings: &ImageSettings, context: &Context) -> Result<ImageSummary, WorkflowError> {
    if FrameFormat::of_path(&settings.out).is_none() {
        return Err(WorkflowError::Setting {
            what: "the ending of --out",
            found: settings.out.display().to_string(),
            expected: ".npy, .tif or .mrc".to_owned(),
        });
    }
    WorkflowError::check_folder_of(&settings.out)?;
    let first = settings.waves.first().ok_or_else(|| WorkflowError::Setting {
        what: "the number of waves",
        found: "0".to_owned(),
        expected: "at least one".to_owned(),
    })?;
    let facts = std::fs::read(sidecar(first)).ok().and_then(|text| serde_json::from_slice::<WaveFacts>(&text).ok());
    let unknown = |what, option: &str| WorkflowError::Setting {
        what,
        found: format!("not given, and there is no {} that says it", sidecar(first).display()),
        expected: format!("{option}, since a wave's file does not carry it"),
    };
    let energy_kev = settings
        .energy_kev
        .or(facts.as_ref().map(|facts| facts.energy_kev))
        .ok_or_else(|| unknown("the energy", "--energy-kev"))?;
    let pixel = settings
        .pixel_size_angstrom
        .or(facts.as_ref().map(|facts| [facts.grid.pixel_x_angstrom, facts.grid.pixel_y_angstrom]))
        .ok_or_else(|| unknown("the wave's pixel size", "--pixel-size-angstrom"))?;

    context.progress.begin(settings.waves.len() as u64, "waves");
    let mut sum: Option<(Array2<f32>, Grid)> = None;
    for (index, path) in settings.waves.iter().enumerate() {
        if context.is_cancelled() {
            return Err(WorkflowError::Cancelled {
                done: index as u64,
                total: settings.waves.len() as u64,
                unit: "waves",
            });
        }
        let (image, grid) = image_of(path, pixel, energy_kev, &settings.optics)?;
        sum = match sum {
            None => Some((image, grid)),
            Some((_, known)) if known != grid => {
                return Err(WorkflowError::Setting {
                    what: "the size of the waves",
                    found: format!(
                        "{} x {} in {} and {} x {} before",
                        grid.nx,
                        grid.ny,
                        path.display(),
                        known.nx,
                        known.ny
                    ),
                    expected: "the same for all".to_owned(),
                });
            }
            Some((sum, grid)) => Some((sum + image, grid)),
        };
        context.progress.done(index as u64 + 1);
    }
    let (mut intensity, grid) = sum.ok_or_else(|| unknown("the wave", "a file"))?;
    intensity /= settings.waves.len() as f32;
    let (image, grid) = finish(settings, first, intensity, grid)?;
    write_frames(&settings.out, &Frames::new(image.view(), &grid))?;
    let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / image.len() as f64;
    let variance = image.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / image.len() as f64;
    Ok(ImageSummary { grid, energy_kev, mean, standard_deviation: variance.sqrt(), image: settings.out.clone() })
}

fn image_of(
    path: &Path,
    pixel: [f64; 2],
    energy_kev: f64,
    optics: &Optics,
) -> Result<(Array2<f32>, Grid), WorkflowError> {
    let wave = read_wave(path)?;
    let (ny, nx) = wave.dim();
    let grid = Grid { nx, ny, pixel_x_angstrom: pixel[0], pixel_y_angstrom: pixel[1] };
    let failed = |error| WorkflowError::simulate(path, error);
    let wave = ExitWave::from_wave(&wave, grid, energy_kev * 1e3).map_err(failed)?;
    Ok((wave.image(optics).map_err(failed)?, grid))
}

/// Motion, pixel size and camera.
fn finish(
    settings: &ImageSettings,
    wave: &Path,
    mut intensity: Array2<f32>,
    mut grid: Grid,
) -> Result<(Array2<f32>, Grid), WorkflowError> {
    let failed = |error| WorkflowError::simulate(wave, error);
    let binning = settings.camera.binning.max(1);
    let (nx, ny) = match settings.image_pixel_size_angstrom {
        None => (grid.nx, grid.ny),
        Some(pixel) => {
            let count = |field: f64| (field / pixel).round() as usize;
            let (nx, ny) = (count(grid.field_x_angstrom()), count(grid.field_y_angstrom()));
            if !(pixel > 0.0 && nx > 0 && ny > 0 && nx <= 1 << 15 && ny <= 1 << 15) {
                return Err(WorkflowError::Setting {
                    what: "the image's pixel size in angstrom",
                    found: pixel.to_string(),
                    expected: format!(
                        "a length that divides {:.2} x {:.2} angstrom",
                        grid.field_x_angstrom(),
                        grid.field_y_angstrom()
                    ),
                });
            }
            (nx * binning, ny * binning)
        }
    };
    let still = settings.motion == Motion::default();
    if (nx, ny) != (grid.nx, grid.ny) || !still {
        intensity = resample(&intensity, grid, nx, ny, |kx, ky| settings.motion.transfer(kx, ky)).map_err(failed)?;
        grid = Grid::covering(grid.field_x_angstrom(), grid.field_y_angstrom(), nx, ny);
    }
    if settings.dose_e_per_a2.is_some() && binning > 1 {
        // The centre of the image's first pixel is the origin: the middle of the detector's pixels that are binned into it.
        let middle = 0.5 * (binning - 1) as f64;
        intensity = shift(&intensity, grid, [middle * grid.pixel_x_angstrom, middle * grid.pixel_y_angstrom])
            .map_err(failed)?;
    }
    let Some(dose_e_per_a2) = settings.dose_e_per_a2 else { return Ok((intensity, grid)) };
    let seed = SeedPath::new(settings.seed).child("image");
    let camera = &settings.camera;
    camera.check().map_err(failed)?;
    let hot = if camera.hot_pixel_fraction > 0.0 {
        camera.hot_pixels(nx / binning, ny / binning, seed)
    } else {
        HotPixels::default()
    };
    let frame = camera.expose(&intensity, grid, dose_e_per_a2, &hot, seed).map_err(failed)?;
    let (frame_ny, frame_nx) = frame.dim();
    Ok((frame, Grid::covering(grid.field_x_angstrom(), grid.field_y_angstrom(), frame_nx, frame_ny)))
}

/// Reads a camera's measured curve.
///
/// # Errors
/// If the file cannot be read or is not such a curve.
pub fn read_curve(path: &Path) -> Result<TransferCurve, WorkflowError> {
    let text = std::fs::read_to_string(path).map_err(|error| WorkflowError::read(path, &error))?;
    crate::recipes::parse_curve(path, &text)
}
