//! `atomlens image WAVE.npy`

use std::path::PathBuf;

use atomlens_simulate::camera::{Camera, TransferCurve};
use atomlens_simulate::optics::{Aperture, Coherence};
use atomlens_simulate::resample::Motion;
use atomlens_simulate::{AngularSpread, FocalSpread, Optics};
use atomlens_workflow::WorkflowError;
use atomlens_workflow::image::{ImageSettings, read_curve, run as image};
use clap::{Args, ValueEnum};

use super::setting;
use crate::terminal::Terminal;

/// Options of `atomlens image`.
#[derive(Debug, Args)]
pub(crate) struct ImageArguments {
    /// Exit wave, NumPy, complex [y, x]; several are frozen-phonon configurations whose intensities are averaged.
    #[arg(required = true)]
    waves: Vec<PathBuf>,
    /// Kinetic energy of the electrons; known if `atomlens exit-wave` made the wave.
    #[arg(long)]
    energy_kev: Option<f64>,
    /// Distance between the wave's pixels, along x and along y if that differs; known if `atomlens exit-wave` made it.
    #[arg(long, num_args = 1..=2, value_names = ["S", "S_Y"])]
    pixel_size_angstrom: Vec<f64>,
    /// Defocus, underfocus positive (C10 = -defocus).
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0)]
    defocus_angstrom: f64,
    /// Spherical aberration C30.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0)]
    cs_angstrom: f64,
    /// Other aberrations in Krivanek's notation to fifth order: C12=20 phi12=0.7 C21=300 (angstrom, radian).
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    aberration: Vec<String>,
    /// Spread of the focus; see --spread-convention.
    #[arg(long)]
    focal_spread_angstrom: Option<f64>,
    /// Spread of the angle of illumination; see --spread-convention.
    #[arg(long)]
    angular_spread_mrad: Option<f64>,
    /// What the two spreads are: the half-width at 1/e of the maximum (as in abTEM and Dr. Probe), the standard
    /// deviation, or the full width at half maximum.
    #[arg(long, value_enum, default_value_t = Convention::OneOverE)]
    spread_convention: Convention,
    /// Sum over so many values of focus instead of using an envelope.
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=101))]
    focus_samples: Option<u16>,
    /// Sum over so many angles along each direction instead of using an envelope.
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=101))]
    angle_samples: Option<u16>,
    /// Radius of the objective aperture.
    #[arg(long)]
    aperture_mrad: Option<f64>,
    /// Width of the aperture's edge.
    #[arg(long, default_value_t = 0.0)]
    aperture_edge_mrad: f64,
    /// Tilt of the beam against the lens along x and y.
    #[arg(long, num_args = 2, value_names = ["X", "Y"], default_values_t = [0.0, 0.0], allow_negative_numbers = true)]
    beam_tilt_mrad: Vec<f64>,
    /// Root-mean-square amplitude of vibration, alike along x and y.
    #[arg(long, default_value_t = 0.0)]
    vibration_angstrom: f64,
    /// Drift during the exposure along x and y.
    #[arg(long, num_args = 2, value_names = ["X", "Y"], default_values_t = [0.0, 0.0], allow_negative_numbers = true)]
    drift_angstrom: Vec<f64>,
    /// Distance between the image's pixels; as the wave's if left out. Rounded so that a whole number fits the field.
    #[arg(long)]
    image_pixel_size_angstrom: Option<f64>,
    /// Electrons per square angstrom: gives counts with Poisson noise instead of the ideal intensity.
    #[arg(long)]
    dose_e_per_a2: Option<f64>,
    /// Seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A camera's measured modulation transfer function: the number of values, then one a line from frequency 0 to Nyquist's.
    #[arg(long)]
    mtf: Option<PathBuf>,
    /// A camera's measured noise transfer function; as the signal's if left out.
    #[arg(long)]
    ntf: Option<PathBuf>,
    /// Pixels of the detector along each direction in one of the image.
    #[arg(long, default_value_t = 1)]
    binning: usize,
    /// Standard deviation of readout and dark noise in electrons.
    #[arg(long, default_value_t = 0.0)]
    dark_noise_electrons: f64,
    /// Counts per electron.
    #[arg(long, default_value_t = 1.0)]
    gain_counts_per_electron: f64,
    /// Where the image goes: float32 [y, x]; .npy, .tif or .mrc.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Convention {
    /// Half-width at 1/e of the maximum.
    OneOverE,
    /// Standard deviation.
    StandardDeviation,
    /// Full width at half maximum.
    Fwhm,
}

/// Runs `atomlens image`.
pub(crate) fn run(arguments: ImageArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let settings = ImageSettings {
        optics: optics(&arguments)?,
        motion: Motion {
            vibration_rms_angstrom: [arguments.vibration_angstrom; 2],
            drift_angstrom: [arguments.drift_angstrom[0], arguments.drift_angstrom[1]],
        },
        camera: camera(&arguments)?,
        pixel_size_angstrom: match arguments.pixel_size_angstrom[..] {
            [] => None,
            [both] => Some([both; 2]),
            [x, y, ..] => Some([x, y]),
        },
        waves: arguments.waves,
        energy_kev: arguments.energy_kev,
        image_pixel_size_angstrom: arguments.image_pixel_size_angstrom,
        dose_e_per_a2: arguments.dose_e_per_a2,
        seed: arguments.seed,
        out: arguments.out,
    };
    let summary = image(&settings, terminal.context())?;
    terminal.answer(
        &format!(
            "{}: {} x {} pixels of {:.4} x {:.4} angstrom, mean {:.5}, standard deviation {:.5}",
            summary.image.display(),
            summary.grid.nx,
            summary.grid.ny,
            summary.grid.pixel_x_angstrom,
            summary.grid.pixel_y_angstrom,
            summary.mean,
            summary.standard_deviation,
        ),
        &summary,
    );
    Ok(())
}

fn optics(arguments: &ImageArguments) -> Result<Optics, WorkflowError> {
    let mut optics = Optics {
        beam_tilt_rad: [arguments.beam_tilt_mrad[0] * 1e-3, arguments.beam_tilt_mrad[1] * 1e-3],
        ..Optics::default()
    };
    optics.aberrations.set_defocus_angstrom(arguments.defocus_angstrom);
    let wrong =
        |found: &str, error: atomlens_simulate::SimulateError| setting("an aberration", found, error.to_string());
    optics.aberrations.set("C30", arguments.cs_angstrom).map_err(|error| wrong("--cs-angstrom", error))?;
    for text in &arguments.aberration {
        let (name, value) = text
            .split_once('=')
            .and_then(|(name, value)| Some((name.trim(), value.trim().parse::<f64>().ok()?)))
            .ok_or_else(|| {
                setting("--aberration", text.as_str(), "NAME=VALUE, such as C12=20 (angstrom) or phi12=0.7 (radian)")
            })?;
        let twice = match name {
            "C10" if arguments.defocus_angstrom != 0.0 => Some("--defocus-angstrom"),
            "C30" if arguments.cs_angstrom != 0.0 => Some("--cs-angstrom"),
            _ => None,
        };
        if let Some(option) = twice {
            return Err(setting("--aberration", text.as_str(), format!("{name} only once; {option} has set it")));
        }
        optics.aberrations.set(name, value).map_err(|error| wrong(text, error))?;
    }
    if let Some(width) = arguments.focal_spread_angstrom {
        let spread = match arguments.spread_convention {
            Convention::OneOverE => FocalSpread::from_one_over_e_half_width(width),
            Convention::StandardDeviation => FocalSpread::from_standard_deviation(width),
            Convention::Fwhm => FocalSpread::from_full_width_half_maximum(width),
        };
        optics.temporal = match arguments.focus_samples {
            Some(samples) => Coherence::Sum { spread, samples: samples.into() },
            None => Coherence::Envelope(spread),
        };
    }
    if let Some(width) = arguments.angular_spread_mrad {
        let width = width * 1e-3;
        let spread = match arguments.spread_convention {
            Convention::OneOverE => AngularSpread::from_one_over_e_half_width(width),
            Convention::StandardDeviation => AngularSpread::from_standard_deviation(width),
            Convention::Fwhm => AngularSpread::from_full_width_half_maximum(width),
        };
        optics.spatial = match arguments.angle_samples {
            Some(samples) => Coherence::Sum { spread, samples: samples.into() },
            None => Coherence::Envelope(spread),
        };
    }
    optics.aperture = arguments
        .aperture_mrad
        .map(|radius| Aperture { radius_rad: radius * 1e-3, edge_rad: arguments.aperture_edge_mrad * 1e-3 });
    Ok(optics)
}

fn camera(arguments: &ImageArguments) -> Result<Camera, WorkflowError> {
    let curve = |path: &Option<PathBuf>| -> Result<Option<TransferCurve>, WorkflowError> {
        path.as_deref().map(read_curve).transpose()
    };
    if arguments.dose_e_per_a2.is_none()
        && (arguments.mtf.is_some() || arguments.ntf.is_some() || arguments.binning != 1)
    {
        return Err(setting(
            "--dose-e-per-a2",
            "not given",
            "a dose, since --mtf, --ntf and --binning belong to a camera that counts",
        ));
    }
    Ok(Camera {
        mtf: curve(&arguments.mtf)?.unwrap_or_default(),
        ntf: curve(&arguments.ntf)?,
        binning: arguments.binning,
        dark_noise_electrons: arguments.dark_noise_electrons,
        gain_counts_per_electron: arguments.gain_counts_per_electron,
        ..Camera::default()
    })
}
