//! The wave behind a specimen, as what a network is asked for.
//!
//! The wave is taken at the middle plane of the columns, where that of a thin layer is nearly a phase alone, relative to the
//! incident wave: 1 in vacuum. What is asked for is `(psi - 1) / contrast`, `contrast` being the local standard deviation of the
//! images over their local mean, that normalising takes out of them ([`atomlens_analysis::normalise`]): to first order the
//! images of a thin specimen are linear in `psi - 1`, so that what a network sees and what it is asked for have one scale.

use atomlens_analysis::normalise::Normalised;
use atomlens_analysis::resample::resample_moved;
use atomlens_core::glam::{DAffine2, DVec2};
use atomlens_core::{Column, Grid};
use atomlens_simulate::ExitWave;
use atomlens_simulate::resample::resample;
use ndarray::{Array2, Array3, Axis};

use super::PIXEL_ANGSTROM;
use crate::DatasetError;

/// Contrast below this is taken for this, so that nothing is divided by zero.
const LEAST_CONTRAST: f32 = 0.02;

/// The deviation of a wave from 1 on a grid fine enough to be read anywhere.
pub(super) struct PlaneWave {
    real: Array2<f32>,
    imaginary: Array2<f32>,
    pixel_angstrom: (f64, f64),
}

impl PlaneWave {
    /// The mean of the waves behind a box of some thickness, taken back to the middle of its columns; `None` for vacuum.
    pub(super) fn of(
        waves: &[ExitWave<f32>],
        columns: &[Column],
        thickness_angstrom: f64,
    ) -> Result<Option<PlaneWave>, DatasetError> {
        let Some(first) = waves.first() else { return Ok(None) };
        let middles = columns.iter().map(|column| 0.5 * (column.z_low_angstrom + column.z_high_angstrom));
        let middle =
            if columns.is_empty() { 0.5 * thickness_angstrom } else { middles.sum::<f64>() / columns.len() as f64 };
        let grid = first.grid();
        let (mut real, mut imaginary) = (Array2::zeros((grid.ny, grid.nx)), Array2::zeros((grid.ny, grid.nx)));
        let share = 1.0 / waves.len() as f32;
        for wave in waves {
            let wave = wave.propagated(middle - thickness_angstrom).wave();
            real.zip_mut_with(&wave, |sum, value| *sum += share * (value.re - 1.0));
            imaginary.zip_mut_with(&wave, |sum, value| *sum += share * value.im);
        }
        let count = |field: f64| (2.0 * field / PIXEL_ANGSTROM).ceil() as usize;
        let (nx, ny) = (count(grid.field_x_angstrom()), count(grid.field_y_angstrom()));
        let fine = Grid::covering(grid.field_x_angstrom(), grid.field_y_angstrom(), nx, ny);
        Ok(Some(PlaneWave {
            real: resample(&real, grid, nx, ny, |_, _| 1.0)?,
            imaginary: resample(&imaginary, grid, nx, ny, |_, _| 1.0)?,
            pixel_angstrom: (fine.pixel_x_angstrom, fine.pixel_y_angstrom),
        }))
    }

    /// What is asked for on the pixels of a normalised image, shape `[2, y, x]`, real and imaginary part; its first pixel lies at
    /// `first_angstrom` of the box, and `offset_counts` are those that its camera adds to every pixel.
    pub(super) fn asked_for(&self, first_angstrom: DVec2, images: &Normalised, offset_counts: f32) -> Array3<f32> {
        let motion = DAffine2::from_translation(first_angstrom);
        let shape = images.mean.dim();
        let part = |part: &Array2<f32>| {
            let mut part = resample_moved(part.view(), self.pixel_angstrom, PIXEL_ANGSTROM, shape, motion);
            ndarray::Zip::from(&mut part).and(&images.mean).and(&images.deviation).for_each(
                |value, mean, deviation| {
                    *value /= (deviation / (mean - offset_counts).max(f32::MIN_POSITIVE)).clamp(LEAST_CONTRAST, 1.0);
                },
            );
            part
        };
        ndarray::stack(Axis(0), &[part(&self.real).view(), part(&self.imaginary).view()])
            .expect("both parts have one shape")
    }
}

#[cfg(test)]
mod tests {
    use atomlens_simulate::{ExitWave, Optics};
    use ndarray::{Array2, Axis, s};
    use num_complex::Complex;

    use super::*;
    use crate::StreamSettings;
    use crate::training::{Mixture, TrainingStream};

    /// MoS2 in a perfect lens at so much underfocus, as a pair of one image.
    fn pair(defocus_angstrom: f64) -> Result<crate::TrainingPair, DatasetError> {
        let recipe = format!(
            "name = 'sheet'
            description = 'MoS2'
            [image]
            pixels = 300
            pixel_size_angstrom = 0.1
            [wave]
            energy_kev = 80
            sampling_angstrom = 0.12
            slice_thickness_angstrom = 1.0
            [specimen.body]
            kind = 'layer'
            material = 'MoS2'
            single_vacancy_fraction = 0.1
            [specimen.body.edge]
            count = 1
            [optics]
            defocus_angstrom = {defocus_angstrom}
            [camera]
            dose_e_per_a2 = 1e8"
        );
        let mixture = "name = 'm'\ndescription = 'm'\nlabels = { columns = ['Mo', 'S2', 'S'] }\nwave = true\nfield_px = 96\n\
                       images_per_wave = 1\npixel_size_angstrom = 0.1\n[[part]]\nrecipe = 'sheet'\nweight = 1";
        let mixture = Mixture::parse(mixture, &|_| Some(recipe.clone()))?;
        let settings = StreamSettings { threads: 1, ..StreamSettings::default() };
        TrainingStream::new(&mixture, 4, settings)?.next().expect("a stream without end").map_err(|error| {
            DatasetError::Value { key: "pair", found: error.to_string(), expected: "a pair".to_owned() }
        })
    }

    #[test]
    fn the_wave_asked_for_belongs_to_the_image() {
        let pair = pair(15.0).unwrap();
        let wave = pair.wave.unwrap();
        let (_, ny, nx) = wave.dim();
        assert_eq!((ny, nx), (96, 96));
        // The phase stands out at the columns, most at the metal; vacuum and the holes have next to none.
        let at = |x: f64, y: f64| {
            let (i, j) = ((x / PIXEL_ANGSTROM).round() as usize, (y / PIXEL_ANGSTROM).round() as usize);
            wave[[1, j.min(ny - 1), i.min(nx - 1)]]
        };
        let mean = |species: usize| {
            let columns = pair.target.columns.iter().filter(|column| column.species == species);
            let phases: Vec<f32> = columns.map(|column| at(column.x_angstrom, column.y_angstrom)).collect();
            assert!(phases.len() > 3, "{} columns of species {species}", phases.len());
            phases.iter().sum::<f32>() / phases.len() as f32
        };
        let everywhere = wave.index_axis(Axis(0), 1).mean().unwrap();
        let (metal, pair_of_sulphur, sulphur) = (mean(0), mean(1), mean(2));
        assert!(metal > pair_of_sulphur && pair_of_sulphur > 1.4 * sulphur && sulphur > 1.3 * everywhere);
        // The wave asked for makes the image, from the plane of the columns: some angstrom before the exit plane.
        let grid = Grid::covering(nx as f64 * PIXEL_ANGSTROM, ny as f64 * PIXEL_ANGSTROM, nx, ny);
        let contrast = 0.15;
        let wave = Array2::from_shape_fn((ny, nx), |(j, i)| {
            Complex::new(1.0 + contrast * wave[[0, j, i]], contrast * wave[[1, j, i]])
        });
        let wave = ExitWave::from_wave(&wave, grid, 80e3).unwrap();
        let inner = s![12..ny - 12, 12..nx - 12];
        let seen = pair.input.index_axis(Axis(0), 0).slice(inner).mapv(f64::from);
        let likeness = |defocus_angstrom: f64| {
            let image = wave.image(&Optics::default().at_defocus_angstrom(defocus_angstrom)).unwrap();
            let image = image.slice(inner).mapv(f64::from);
            let (image, seen) = (&image - image.mean().unwrap(), &seen - seen.mean().unwrap());
            (&image * &seen).sum() / ((&image * &image).sum() * (&seen * &seen).sum()).sqrt()
        };
        assert!(likeness(11.0) > 0.98, "{}", likeness(11.0));
        assert!(likeness(-11.0) < -0.5, "{}", likeness(-11.0));
    }
}
