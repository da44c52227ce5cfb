//! `atomlens image WAVE.npy`

use std::collections::BTreeSet;
use std::path::PathBuf;

use atomlens_simulate::camera::{Camera, TransferCurve};
use atomlens_simulate::optics::{Aperture, Coherence};
use atomlens_simulate::resample::Motion;
use atomlens_simulate::{Aberrations, AngularSpread, FocalSpread, Optics};
use atomlens_workflow::WorkflowError;
use atomlens_workflow::image::{ImageSettings, read_curve, run as image};
use clap::{Args, ValueEnum};

use super::{dose, finite, not_negative, positive, setting};
use crate::terminal::Terminal;

/// Options of `atomlens image`.
#[derive(Debug, Args)]
pub(crate) struct ImageArguments {
    /// Exit wave, NumPy, complex [y, x]; several are frozen-phonon configurations whose intensities are averaged.
    #[arg(required = true)]
    waves: Vec<PathBuf>,
    /// Kinetic energy of the electrons; known if `atomlens exit-wave` made the wave.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    energy_kev: Option<f64>,
    /// Distance between the wave's pixels, along x and along y if that differs; known if `atomlens exit-wave` made it.
    #[arg(long, value_parser = pixel_size, allow_negative_numbers = true, num_args = 1..=2, value_names = ["S", "S_Y"])]
    pixel_size_angstrom: Vec<f64>,
    /// Defocus, underfocus positive (C10 = -defocus).
    #[arg(long, value_parser = finite, allow_negative_numbers = true, default_value_t = 0.0)]
    defocus_angstrom: f64,
    /// Spherical aberration C30.
    #[arg(long, value_parser = finite, allow_negative_numbers = true, default_value_t = 0.0)]
    cs_angstrom: f64,
    /// Other aberrations in Krivanek's notation to fifth order: C12=20 phi12=0.7 C21=300 (angstrom, radian).
    #[arg(long, value_parser = aberration, allow_negative_numbers = true, num_args = 1.., value_name = "NAME=VALUE")]
    aberration: Vec<(String, f64)>,
    /// Spread of the focus; see --spread-convention.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true)]
    focal_spread_angstrom: Option<f64>,
    /// Spread of the angle of illumination; see --spread-convention.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true)]
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
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    aperture_mrad: Option<f64>,
    /// Width of the aperture's edge.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, default_value_t = 0.0)]
    aperture_edge_mrad: f64,
    /// Tilt of the beam against the lens along x and y.
    #[arg(long, value_parser = finite, allow_negative_numbers = true, num_args = 2, value_names = ["X", "Y"], default_values_t = [0.0, 0.0])]
    beam_tilt_mrad: Vec<f64>,
    /// Root-mean-square amplitude of vibration, alike along x and y.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, default_value_t = 0.0)]
    vibration_angstrom: f64,
    /// Drift during the exposure along x and y.
    #[arg(long, value_parser = finite, allow_negative_numbers = true, num_args = 2, value_names = ["X", "Y"], default_values_t = [0.0, 0.0])]
    drift_angstrom: Vec<f64>,
    /// Distance between the image's pixels; as the wave's if left out. Rounded so that a whole number fits the field.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    image_pixel_size_angstrom: Option<f64>,
    /// Electrons per square angstrom: gives counts with Poisson noise instead of the ideal intensity.
    #[arg(long, value_parser = dose, allow_negative_numbers = true)]
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
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, default_value_t = 0.0)]
    dark_noise_electrons: f64,
    /// Counts per electron.
    #[arg(long, value_parser = positive, allow_negative_numbers = true, default_value_t = 1.0)]
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

/// These options take several values, and so swallow a wave that follows them.
const WAVES_FIRST: &str = "name the waves before the options";

fn pixel_size(text: &str) -> Result<f64, String> {
    positive(text).map_err(|expected| format!("{expected}; {WAVES_FIRST}"))
}

fn aberration(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        format!("expected NAME=VALUE, such as C12=20 (angstrom) or phi12=0.7 (radian); {WAVES_FIRST}")
    })?;
    let value = finite(value)?;
    match Aberrations::default().set(name.trim(), value) {
        Ok(()) => Ok((name.trim().to_owned(), value)),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs `atomlens image`.
pub(crate) fn run(arguments: ImageArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    check(&arguments)?;
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

/// Refuses options that would do nothing without another one.
fn check(arguments: &ImageArguments) -> Result<(), WorkflowError> {
    let counting = arguments.mtf.is_some()
        || arguments.ntf.is_some()
        || arguments.binning != 1
        || arguments.dark_noise_electrons != 0.0
        || arguments.gain_counts_per_electron != 1.0;
    let pairs = [
        (
            "--focal-spread-angstrom",
            arguments.focal_spread_angstrom.is_none(),
            arguments.focus_samples.is_some(),
            "--focus-samples sums over it",
        ),
        (
            "--angular-spread-mrad",
            arguments.angular_spread_mrad.is_none(),
            arguments.angle_samples.is_some(),
            "--angle-samples sums over it",
        ),
        (
            "--aperture-mrad",
            arguments.aperture_mrad.is_none(),
            arguments.aperture_edge_mrad != 0.0,
            "--aperture-edge-mrad is the width of its edge",
        ),
        (
            "--dose-e-per-a2",
            arguments.dose_e_per_a2.is_none(),
            counting,
            "--mtf, --ntf, --binning, --dark-noise-electrons and --gain-counts-per-electron belong to a camera that counts",
        ),
    ];
    match pairs.into_iter().find(|(_, missing, needed, _)| *missing && *needed) {
        Some((option, _, _, reason)) => Err(setting(option, "not given", format!("a value, since {reason}"))),
        None => Ok(()),
    }
}

fn optics(arguments: &ImageArguments) -> Result<Optics, WorkflowError> {
    let mut optics = Optics {
        beam_tilt_rad: [arguments.beam_tilt_mrad[0] * 1e-3, arguments.beam_tilt_mrad[1] * 1e-3],
        ..Optics::default()
    };
    optics.aberrations.set_defocus_angstrom(arguments.defocus_angstrom);
    let wrong =
        |found: &str, error: atomlens_simulate::SimulateError| setting("--aberration", found, error.to_string());
    optics.aberrations.set("C30", arguments.cs_angstrom).map_err(|error| wrong("C30", error))?;
    let mut named = BTreeSet::new();
    for (name, value) in &arguments.aberration {
        let twice = match name.as_str() {
            _ if !named.insert(name) => Some("another --aberration"),
            "C10" if arguments.defocus_angstrom != 0.0 => Some("--defocus-angstrom"),
            "C30" if arguments.cs_angstrom != 0.0 => Some("--cs-angstrom"),
            _ => None,
        };
        if let Some(option) = twice {
            return Err(setting(
                "--aberration",
                format!("{name}={value}"),
                format!("{name} only once; {option} has set it"),
            ));
        }
        optics.aberrations.set(name, *value).map_err(|error| wrong(name, error))?;
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
    Ok(Camera {
        mtf: curve(&arguments.mtf)?.unwrap_or_default(),
        ntf: curve(&arguments.ntf)?,
        binning: arguments.binning,
        dark_noise_electrons: arguments.dark_noise_electrons,
        gain_counts_per_electron: arguments.gain_counts_per_electron,
        ..Camera::default()
    })
}
