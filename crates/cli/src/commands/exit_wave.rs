//! `atomlens exit-wave STRUCTURE`

use std::path::PathBuf;
use std::str::FromStr;

use atomlens_simulate::Parametrization;
use atomlens_simulate::potential::{Placement, Projection};
use atomlens_workflow::WorkflowError;
use atomlens_workflow::exit_wave::{ExitWaveSettings, run as exit_wave};
use clap::{Args, ValueEnum};

use super::{finite, not_negative, positive, setting};
use crate::terminal::Terminal;

/// Options of `atomlens exit-wave`.
#[derive(Debug, Args)]
pub(crate) struct ExitWaveArguments {
    /// Structure: XYZ, extended XYZ, CIF or CEL, in a cell that is a box; the beam travels towards larger z.
    structure: PathBuf,
    /// Kinetic energy of the electrons, 30 to 1000.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    energy_kev: f64,
    /// Pixels of the wave along x and y, such as 512x512.
    #[arg(long, value_name = "NXxNY")]
    gpts: Gpts,
    /// Largest thickness of a slice; slices are made equally thick.
    #[arg(long, value_parser = positive, allow_negative_numbers = true, default_value_t = 1.0)]
    slice_thickness_angstrom: f64,
    /// Coefficients of the scattering factors.
    #[arg(long, value_enum, default_value_t = ParametrizationName::Lobato)]
    parametrization: ParametrizationName,
    /// Whether a slice holds all of its atoms' potential, or only what lies within it.
    #[arg(long, value_enum, default_value_t = ProjectionName::Infinite)]
    projection: ProjectionName,
    /// How atoms between pixels are put on the grid: shared among the four nearest, as abTEM does and as waves are compared, or
    /// exactly where they are, as recipes do (docs/conventions.md).
    #[arg(long, value_enum, default_value_t = PlacementName::Bilinear)]
    placement: PlacementName,
    /// Smear atoms by the displacements that the file gives (Debye-Waller factor).
    #[arg(long)]
    debye_waller: bool,
    /// Tilt of the beam along x and y.
    #[arg(long, value_parser = finite, allow_negative_numbers = true, num_args = 2, value_names = ["X", "Y"], default_values_t = [0.0, 0.0])]
    tilt_mrad: Vec<f64>,
    /// Vacuum added on all sides in the plane.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, default_value_t = 0.0)]
    pad_angstrom: f64,
    /// Fold atoms outside the cell back along x and y.
    #[arg(long)]
    wrap: bool,
    /// Precision of the computation; double writes complex128.
    #[arg(long, value_enum, default_value_t = PrecisionName::Single)]
    precision: PrecisionName,
    /// Where the wave goes: complex64 [y, x], NumPy.
    #[arg(long)]
    out: PathBuf,
    /// Where the projected potential goes, if anywhere: volt angstrom, float32 [y, x], NumPy.
    #[arg(long)]
    potential: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
struct Gpts([usize; 2]);

impl FromStr for Gpts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no size: expected pixels along x and y, such as 512x512");
        let (x, y) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
        let count = |text: &str| text.trim().parse::<usize>().ok().filter(|count| (4..=32_768).contains(count));
        match (count(x), count(y)) {
            (Some(x), Some(y)) => Ok(Gpts([x, y])),
            _ => Err(format!("{}, each 4 to 32768", wrong())),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ParametrizationName {
    /// Lobato and Van Dyck (2014).
    Lobato,
    /// Kirkland (2010).
    Kirkland,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProjectionName {
    /// All of it.
    Infinite,
    /// What lies within.
    Finite,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PlacementName {
    /// Shared among the four nearest pixels.
    Bilinear,
    /// Where they are.
    Exact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    /// 32 bit.
    Single,
    /// 64 bit, for checking.
    Double,
}

/// Runs `atomlens exit-wave`.
pub(crate) fn run(arguments: ExitWaveArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    if !(0.0..=1000.0).contains(&arguments.pad_angstrom) {
        return Err(setting("--pad-angstrom", arguments.pad_angstrom.to_string(), "0 to 1000 angstrom"));
    }
    for path in [Some(&arguments.out), arguments.potential.as_ref()].into_iter().flatten() {
        if path.extension().is_none_or(|ending| ending != "npy") {
            return Err(setting("the ending of an output", path.display().to_string(), ".npy"));
        }
    }
    let settings = ExitWaveSettings {
        structure: arguments.structure,
        energy_kev: arguments.energy_kev,
        gpts: arguments.gpts.0,
        slice_thickness_angstrom: arguments.slice_thickness_angstrom,
        parametrization: match arguments.parametrization {
            ParametrizationName::Lobato => Parametrization::Lobato,
            ParametrizationName::Kirkland => Parametrization::Kirkland,
        },
        projection: match arguments.projection {
            ProjectionName::Infinite => Projection::Infinite,
            ProjectionName::Finite => Projection::Finite,
        },
        placement: match arguments.placement {
            PlacementName::Bilinear => Placement::Bilinear,
            PlacementName::Exact => Placement::Exact,
        },
        debye_waller: arguments.debye_waller,
        tilt_mrad: [arguments.tilt_mrad[0], arguments.tilt_mrad[1]],
        pad_angstrom: arguments.pad_angstrom,
        wrap: arguments.wrap,
        double_precision: arguments.precision == PrecisionName::Double,
        out: arguments.out,
        potential: arguments.potential,
    };
    let summary = exit_wave(&settings, terminal.context())?;
    terminal.answer(
        &format!(
            "{}: {} x {} pixels of {:.4} x {:.4} angstrom, {} slices of {:.3} angstrom, {} atoms; carries {:.0} mrad, mean intensity {:.5}",
            summary.wave.display(),
            summary.grid.nx,
            summary.grid.ny,
            summary.grid.pixel_x_angstrom,
            summary.grid.pixel_y_angstrom,
            summary.slices,
            summary.slice_thickness_angstrom,
            summary.atoms,
            summary.largest_angle_mrad,
            summary.mean_intensity,
        ),
        &summary,
    );
    Ok(())
}
