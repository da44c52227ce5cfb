//! From a structure file to an exit wave.

use std::path::{Path, PathBuf};

use atomlens_core::glam::DVec3;
use atomlens_core::{Cell, Grid, Structure};
use atomlens_formats::{WritableElement, read_structure, write_npy};
use atomlens_simulate::potential::{Placement, PotentialBuilder, Projection, SlicedStructure};
use atomlens_simulate::{ExitWave, Multislice, Parametrization, PotentialSettings, Real, SimulateError};
use serde::Serialize;

use crate::provenance::{Provenance, write_json};
use crate::{Context, WorkflowError};

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExitWaveSettings {
    /// The structure's file.
    pub structure: PathBuf,
    /// Kinetic energy in keV.
    pub energy_kev: f64,
    /// Pixels along x and along y.
    pub gpts: [usize; 2],
    /// Largest thickness of a slice.
    pub slice_thickness_angstrom: f64,
    /// Coefficients of the scattering factors.
    pub parametrization: Parametrization,
    /// Infinite or finite projection.
    pub projection: Projection,
    /// How atoms between pixels are put on the grid.
    pub placement: Placement,
    /// Whether displacements in the file smear the atoms.
    pub debye_waller: bool,
    /// Tilt of the beam along x and y.
    pub tilt_mrad: [f64; 2],
    /// Vacuum added around the structure in the plane.
    pub pad_angstrom: f64,
    /// Whether atoms outside the cell are folded back along x and y.
    pub wrap: bool,
    /// Whether to compute in double precision.
    pub double_precision: bool,
    /// Where the wave goes.
    pub out: PathBuf,
    /// Where the projected potential goes.
    pub potential: Option<PathBuf>,
}

/// What the job found, as it is printed and written beside the wave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExitWaveSummary {
    /// Sampling of the wave.
    pub grid: Grid,
    /// Kinetic energy in keV.
    pub energy_kev: f64,
    /// Number of atoms.
    pub atoms: usize,
    /// Number of slices.
    pub slices: usize,
    /// Thickness of each.
    pub slice_thickness_angstrom: f64,
    /// Largest scattering angle that the grid carries.
    pub largest_angle_mrad: f64,
    /// Mean intensity: what is missing to 1 was scattered beyond that angle.
    pub mean_intensity: f64,
    /// The wave's file.
    pub wave: PathBuf,
    /// The potential's file.
    pub potential: Option<PathBuf>,
}

/// Runs the job.
///
/// Beside the wave `WAVE.npy` a file `WAVE.json` says how it was made; `atomlens image` takes energy and pixel size
/// from there.
///
/// # Errors
/// Files that cannot be read or written, structures that cannot be simulated, Ctrl-C.
pub fn run(settings: &ExitWaveSettings, context: &Context) -> Result<ExitWaveSummary, WorkflowError> {
    for path in [Some(&settings.out), settings.potential.as_ref()].into_iter().flatten() {
        WorkflowError::check_folder_of(path)?;
    }
    let mut structure = read_structure(&settings.structure)?;
    if settings.wrap {
        wrap(&mut structure);
    }
    if settings.pad_angstrom > 0.0 {
        pad(&mut structure, settings.pad_angstrom);
    }
    let provenance = Provenance::new("exit-wave", settings.clone()).input(&settings.structure)?;
    let summary = if settings.double_precision {
        compute::<f64>(settings, &structure, context)?
    } else {
        compute::<f32>(settings, &structure, context)?
    };
    #[derive(Serialize)]
    struct Sidecar<'a> {
        #[serde(flatten)]
        summary: &'a ExitWaveSummary,
        provenance: Provenance<ExitWaveSettings>,
    }
    write_json(&sidecar(&settings.out), &Sidecar { summary: &summary, provenance })?;
    Ok(summary)
}

/// The file beside a wave that says how it was made.
pub fn sidecar(wave: &Path) -> PathBuf {
    wave.with_extension("json")
}

fn compute<T>(
    settings: &ExitWaveSettings,
    structure: &Structure,
    context: &Context,
) -> Result<ExitWaveSummary, WorkflowError>
where
    T: Real + WritableElement,
    num_complex::Complex<T>: WritableElement,
{
    let failed = |error: SimulateError| WorkflowError::simulate(&settings.structure, error);
    let multislice = Multislice {
        energy_ev: settings.energy_kev * 1e3,
        potential: PotentialSettings {
            parametrization: settings.parametrization,
            projection: settings.projection,
            placement: settings.placement,
            slice_thickness_angstrom: settings.slice_thickness_angstrom,
            debye_waller: settings.debye_waller,
        },
        tilt_rad: settings.tilt_mrad.map(|tilt| tilt * 1e-3),
    };
    let sliced = SlicedStructure::new(structure, multislice.potential).map_err(failed)?;
    let [nx, ny] = settings.gpts;
    let slices = sliced.slice_count();
    context.progress.begin(slices as u64, "slices");
    let mut reached = 0;
    let wave = multislice
        .exit_wave_of_slices::<T>(&sliced, nx, ny, &mut |done| {
            reached = done;
            context.progress.done(done as u64);
            !context.is_cancelled()
        })
        .map_err(failed)?;
    let Some(wave) = wave else {
        return Err(WorkflowError::Cancelled { done: reached as u64, total: slices as u64, unit: "slices" });
    };
    write(&settings.out, &wave)?;
    if let Some(path) = &settings.potential {
        let potential = PotentialBuilder::<T>::new(&sliced, nx, ny).projected();
        if settings.double_precision {
            write_npy(path, potential.view())?;
        } else {
            write_npy(path, potential.mapv(|value| value as f32).view())?;
        }
    }
    Ok(ExitWaveSummary {
        grid: wave.grid(),
        energy_kev: settings.energy_kev,
        atoms: structure.atoms.len(),
        slices,
        slice_thickness_angstrom: sliced.slice_thickness_angstrom(),
        largest_angle_mrad: wave.largest_angle_rad() * 1e3,
        mean_intensity: wave.mean_intensity(),
        wave: settings.out.clone(),
        potential: settings.potential.clone(),
    })
}

fn write<T>(path: &Path, wave: &ExitWave<T>) -> Result<(), WorkflowError>
where
    T: Real,
    num_complex::Complex<T>: WritableElement,
{
    Ok(write_npy(path, wave.wave().view())?)
}

/// Folds atoms back along x and y; the beam's direction is left alone, since a slab is not periodic along it.
fn wrap(structure: &mut Structure) {
    let Some(edges) = structure.cell.and_then(|cell| cell.as_orthorhombic()) else { return };
    for atom in &mut structure.atoms {
        let place = &mut atom.position_angstrom;
        place.x = place.x.rem_euclid(edges.x);
        place.y = place.y.rem_euclid(edges.y);
    }
}

/// Makes a periodic cell into a padded one: vacuum on all sides in the plane.
fn pad(structure: &mut Structure, pad_angstrom: f64) {
    let Some(edges) = structure.cell.and_then(|cell| cell.as_orthorhombic()) else { return };
    structure.translate(DVec3::new(pad_angstrom, pad_angstrom, 0.0));
    let periodic = structure.cell.map_or([true; 3], |cell| cell.periodic);
    let padded = Cell::orthorhombic(edges + DVec3::new(2.0 * pad_angstrom, 2.0 * pad_angstrom, 0.0));
    structure.cell = Some(Cell { periodic, ..padded });
}
