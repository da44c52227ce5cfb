//! The folder of a reconstruction.
//!
//! `exit_wave.npy` (complex64 `[y, x]`, on the pixels of the reference image) with `exit_wave.json` beside it, as `atomlens image` reads
//! it; `phase_rad` and `amplitude` as NPY and calibrated TIFF, and as PNG with scale bar and colour bar; `residual_NNN` of
//! each image, in standard deviations of the noise, as NPY and PNG; `optics.json`.

use std::path::{Path, PathBuf};

use atomlens_core::Grid;
use atomlens_formats::{Frames, write_frames, write_npy};
use atomlens_report::wave::{amplitude_map, phase_map, residual_map};
use ndarray::{Array2, ArrayView2};
use num_complex::Complex32;
use serde::Serialize;

use super::optics_file::OpticsFile;
use crate::WorkflowError;
use crate::exit_wave::sidecar;
use crate::provenance::write_json;

/// A wave and what belongs to it.
#[derive(Debug)]
pub(super) struct WaveFolder<'a> {
    pub(super) folder: &'a Path,
    pub(super) grid: Grid,
    pub(super) wave: &'a Array2<Complex32>,
    /// In radian.
    pub(super) phase: &'a Array2<f32>,
    pub(super) amplitude: &'a Array2<f32>,
    /// Numbers of the images, and what is left over of each in standard deviations of the noise.
    pub(super) residuals: &'a [(usize, Array2<f32>)],
    pub(super) optics: &'a OpticsFile,
}

/// What `atomlens image` needs to know of a wave.
#[derive(Serialize)]
struct Beside<'a> {
    grid: Grid,
    energy_kev: f64,
    plane: &'a str,
}

impl WaveFolder<'_> {
    /// Writes everything; gives the wave's path.
    pub(super) fn write(&self) -> Result<PathBuf, WorkflowError> {
        let at = |name: &str| self.folder.join(name);
        write_json(&at("optics.json"), self.optics)?;
        self.array("phase_rad", self.phase)?;
        self.array("amplitude", self.amplitude)?;
        let pixel = self.grid.pixel_x_angstrom;
        phase_map(self.phase.view(), pixel).write_png(at("phase.png"))?;
        amplitude_map(self.amplitude.view(), pixel).write_png(at("amplitude.png"))?;
        for (number, residual) in self.residuals {
            let name = format!("residual_{number:03}");
            write_npy(&at(&format!("{name}.npy")), residual.view())?;
            residual_map(residual.view(), pixel).write_png(at(&format!("{name}.png")))?;
        }
        let path = at("exit_wave.npy");
        let beside = Beside { grid: self.grid, energy_kev: self.optics.energy_kev, plane: &self.optics.origin };
        write_json(&sidecar(&path), &beside)?;
        write_npy(&path, self.wave.view())?;
        Ok(path)
    }

    fn array(&self, name: &str, values: &Array2<f32>) -> Result<(), WorkflowError> {
        for ending in ["npy", "tif"] {
            write_frames(&self.folder.join(format!("{name}.{ending}")), &Frames::new(values.view(), &self.grid))?;
        }
        Ok(())
    }
}

/// The phase of a wave in radian, free of jumps where it stays within half a turn of its mean, and its amplitude.
pub(super) fn phase_and_amplitude(wave: ArrayView2<'_, Complex32>) -> (Array2<f32>, Array2<f32>) {
    let mean: num_complex::Complex64 =
        wave.iter().map(|value| num_complex::Complex64::new(f64::from(value.re), f64::from(value.im))).sum();
    let turn = if mean.norm() > 0.0 { (mean.conj() / mean.norm()).arg() as f32 } else { 0.0 };
    let back = Complex32::from_polar(1.0, turn);
    (wave.mapv(|value| (value * back).arg()), wave.mapv(Complex32::norm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_counts_from_that_of_the_mean() {
        let wave = Array2::from_shape_fn((4, 4), |(j, i)| {
            let bump = if (j, i) == (1, 2) { 0.8 } else { 0.0 };
            Complex32::from_polar(0.9, 3.1 + bump)
        });
        let (phase, amplitude) = phase_and_amplitude(wave.view());
        assert!((phase[[1, 2]] - phase[[0, 0]] - 0.8).abs() < 1e-5, "{phase}");
        assert!(phase.iter().all(|value| value.abs() < 1.0));
        assert!(amplitude.iter().all(|value| (value - 0.9).abs() < 1e-6));
    }
}
