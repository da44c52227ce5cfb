//! The images of a focal series, with what is known of them.

use atomlens_core::Grid;
use atomlens_simulate::electron::{check_energy_ev, wavelength_angstrom};
use ndarray::{Array2, Array3, Axis};

use crate::ReconstructError;

/// Fewest images that tell a wave.
pub const FEWEST_IMAGES: usize = 2;

/// Fewest pixels along a side.
pub const SMALLEST_SIDE: usize = 32;

/// Images of one field at different focus.
#[derive(Debug, Clone, PartialEq)]
pub struct FocalSeries {
    /// Counts, shape `[focus, y, x]`; any gain, no offset (an image of no electrons is 0).
    pub images: Array3<f32>,
    /// Edge of the square pixels, in angstrom.
    pub pixel_angstrom: f64,
    /// Energy of the electrons in electronvolt.
    pub energy_ev: f64,
    /// Nominal defocus of every image in angstrom, underfocus positive, in the order of the images.
    pub defocus_angstrom: Vec<f64>,
    /// Whether the nominal defocus counts from Gaussian focus. If not, only its differences mean anything.
    pub defocus_is_absolute: bool,
}

impl FocalSeries {
    /// A series of images that were read one by one.
    ///
    /// # Errors
    /// Images of different sizes, and all that [`check`](Self::check) refuses.
    pub fn from_images(
        images: &[Array2<f32>],
        pixel_angstrom: f64,
        energy_ev: f64,
        defocus_angstrom: Vec<f64>,
        defocus_is_absolute: bool,
    ) -> Result<FocalSeries, ReconstructError> {
        let (ny, nx) = images.first().map_or((0, 0), Array2::dim);
        if let Some((image, other)) = images.iter().enumerate().find(|(_, other)| other.dim() != (ny, nx)) {
            let (found_y, found_x) = other.dim();
            return Err(ReconstructError::DifferentSizes { image, found_y, found_x, expected_y: ny, expected_x: nx });
        }
        let values = images.iter().flat_map(|image| image.iter().copied()).collect();
        let images =
            Array3::from_shape_vec((images.len(), ny, nx), values).expect("all images have the first one's size");
        let series = FocalSeries { images, pixel_angstrom, energy_ev, defocus_angstrom, defocus_is_absolute };
        series.check()?;
        Ok(series)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len_of(Axis(0))
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sampling of the images.
    pub fn grid(&self) -> Grid {
        let (_, ny, nx) = self.images.dim();
        Grid { nx, ny, pixel_x_angstrom: self.pixel_angstrom, pixel_y_angstrom: self.pixel_angstrom }
    }

    /// Wavelength of the electrons in angstrom.
    pub fn wavelength_angstrom(&self) -> f64 {
        wavelength_angstrom(self.energy_ev)
    }

    /// Refuses what nothing can be learnt from.
    ///
    /// # Errors
    /// Fewer than two images, images that are too small, have values that are not finite or have no contrast; no focus
    /// values, or not one an image, equal ones, ones that are not finite; a pixel size or an energy out of range.
    pub fn check(&self) -> Result<(), ReconstructError> {
        let (count, ny, nx) = self.images.dim();
        if count < FEWEST_IMAGES {
            return Err(ReconstructError::TooFewImages { found: count, expected: FEWEST_IMAGES });
        }
        if ny < SMALLEST_SIDE || nx < SMALLEST_SIDE {
            return Err(ReconstructError::TooSmall { found_y: ny, found_x: nx, expected: SMALLEST_SIDE });
        }
        ReconstructError::positive("pixel size in angstrom", self.pixel_angstrom)?;
        check_energy_ev(self.energy_ev)?;
        self.check_focus()?;
        for (image, values) in self.images.outer_iter().enumerate() {
            let bad = values.iter().filter(|value| !value.is_finite()).count();
            if bad > 0 {
                let ((y, x), _) = values.indexed_iter().find(|(_, value)| !value.is_finite()).expect("one was counted");
                return Err(ReconstructError::NotFinite { image, count: bad, y, x });
            }
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / (ny * nx) as f64;
            let variance =
                values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / (ny * nx) as f64;
            let deviation = variance.sqrt();
            if !(mean > 0.0 && deviation > 1e-6 * mean) {
                return Err(ReconstructError::NoSignal { image, mean, deviation });
            }
        }
        Ok(())
    }

    fn check_focus(&self) -> Result<(), ReconstructError> {
        let defocus = &self.defocus_angstrom;
        if defocus.is_empty() {
            return Err(ReconstructError::NoSteps { images: self.len() });
        }
        if defocus.len() != self.len() {
            return Err(ReconstructError::FocusCount { found: defocus.len(), expected: self.len() });
        }
        if let Some((image, found)) = defocus.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(ReconstructError::FocusNotFinite { image, found: *found });
        }
        for (second, value) in defocus.iter().enumerate() {
            if let Some(first) = defocus[..second].iter().position(|other| (other - value).abs() < 1e-3) {
                return Err(ReconstructError::EqualFocus { first, second, defocus_angstrom: *value });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> FocalSeries {
        FocalSeries {
            images: Array3::from_shape_fn((3, 40, 48), |(j, y, x)| 10.0 + ((j + 3 * y + 7 * x) % 5) as f32),
            pixel_angstrom: 0.1,
            energy_ev: 80e3,
            defocus_angstrom: vec![20.0, 70.0, 120.0],
            defocus_is_absolute: true,
        }
    }

    fn message(change: impl Fn(&mut FocalSeries)) -> String {
        let mut series = series();
        change(&mut series);
        series.check().unwrap_err().to_string()
    }

    #[test]
    fn a_sound_series_passes() {
        series().check().unwrap();
    }

    #[test]
    fn each_fault_has_a_message_of_its_own() {
        let one = message(|s| s.images = s.images.slice(ndarray::s![..1, .., ..]).to_owned());
        assert!(one.contains("1 image(s)") && one.contains("at least 2"), "{one}");
        assert!(message(|s| s.images[[1, 3, 5]] = f32::NAN).contains("image 1 has 1 value(s)"));
        assert!(message(|s| s.images.index_axis_mut(Axis(0), 2).fill(3.0)).contains("image 2 has a mean of 3"));
        assert!(message(|s| s.images = s.images.slice(ndarray::s![.., ..20, ..]).to_owned()).contains("20 x 48"));
        assert!(message(|s| s.defocus_angstrom.clear()).contains("no focus values"));
        assert!(message(|s| s.defocus_angstrom.truncate(2)).contains("2 focus value(s) for 3 images"));
        assert!(message(|s| s.defocus_angstrom[2] = 20.0).contains("images 0 and 2 both have a defocus of 20"));
        assert!(message(|s| s.defocus_angstrom[1] = f64::NAN).contains("image 1 is NaN"));
        assert!(message(|s| s.pixel_angstrom = 0.0).contains("pixel size"));
        assert!(message(|s| s.energy_ev = 80.0).contains("30 to 1000 keV"));
    }

    #[test]
    fn images_of_different_sizes_are_refused() {
        let series = series();
        let mut images: Vec<Array2<f32>> = series.images.outer_iter().map(|image| image.to_owned()).collect();
        let same = FocalSeries::from_images(&images, 0.1, 80e3, vec![20.0, 70.0, 120.0], true).unwrap();
        assert_eq!(same, series);
        images[2] = images[2].slice(ndarray::s![.., ..40]).to_owned();
        let error = FocalSeries::from_images(&images, 0.1, 80e3, vec![20.0, 70.0, 120.0], true).unwrap_err();
        assert!(error.to_string().contains("image 2 has 40 x 40"), "{error}");
    }
}
