//! Ripples and strain: smooth fields by which a flat sheet is deformed.
//!
//! Both are sums of a few plane waves of random direction and phase about a given wavelength. A ripple of height
//! `h(x, y)` moves an atom that lies `d` above the middle of its layer to `z + h`, and sideways by `-d grad h`, as
//! a thin plate does that stays perpendicular to its middle (Kirchhoff); so the two chalcogens of a column part where the
//! sheet is inclined. The strain is homogeneous (the symmetric part, `x' = (1 + e) x`) plus a displacement field whose
//! gradient has the stated root mean square (of its Frobenius norm).

use std::f64::consts::TAU;

use atomlens_core::Distribution;
use atomlens_core::glam::{DMat2, DVec2, DVec3};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::check;
use crate::SpecimenError;

const MODES: usize = 6;

/// Out-of-plane waves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RippleSettings {
    /// Root-mean-square height, in angstrom.
    pub rms_angstrom: Distribution,
    /// Wavelength, in angstrom; each wave is up to 30 % longer or shorter.
    pub wavelength_angstrom: Distribution,
}

impl Default for RippleSettings {
    fn default() -> Self {
        RippleSettings { rms_angstrom: 0.0.into(), wavelength_angstrom: 60.0.into() }
    }
}

/// Strain in the plane, each component a fraction (0.01 is 1 %).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StrainSettings {
    /// Homogeneous strain along x, which is a zigzag direction.
    pub xx: Distribution,
    /// Homogeneous strain along y, which is an armchair direction.
    pub yy: Distribution,
    /// Homogeneous shear strain (half of the shear angle).
    pub xy: Distribution,
    /// Root mean square of the gradient of the displacement field.
    pub field_rms: Distribution,
    /// Wavelength of the displacement field, in angstrom; each wave is up to 30 % longer or shorter.
    pub field_wavelength_angstrom: Distribution,
}

impl Default for StrainSettings {
    fn default() -> Self {
        StrainSettings {
            xx: 0.0.into(),
            yy: 0.0.into(),
            xy: 0.0.into(),
            field_rms: 0.0.into(),
            field_wavelength_angstrom: 60.0.into(),
        }
    }
}

struct Wave {
    /// In radian per angstrom.
    wave_vector: DVec2,
    phase_rad: f64,
    height_angstrom: f64,
    displacement_angstrom: DVec2,
}

/// The deformation of one sheet.
pub(crate) struct Deformation {
    stretch: DMat2,
    ripples: Vec<Wave>,
    strains: Vec<Wave>,
}

impl Deformation {
    pub(crate) fn sample(
        ripple: &RippleSettings,
        strain: &StrainSettings,
        random: &mut impl Rng,
    ) -> Result<Deformation, SpecimenError> {
        check("ripple.rms_angstrom", &ripple.rms_angstrom, [0.0, 100.0], "0 to 100 angstrom")?;
        let wavelengths = &ripple.wavelength_angstrom;
        check("ripple.wavelength_angstrom", wavelengths, [5.0, 1e5], "5 to 100000 angstrom")?;
        for (key, knob) in [("strain.xx", &strain.xx), ("strain.yy", &strain.yy), ("strain.xy", &strain.xy)] {
            check(key, knob, [-0.2, 0.2], "-0.2 to 0.2")?;
        }
        check("strain.field_rms", &strain.field_rms, [0.0, 0.3], "0 to 0.3")?;
        let wavelengths = &strain.field_wavelength_angstrom;
        check("strain.field_wavelength_angstrom", wavelengths, [5.0, 1e5], "5 to 100000 angstrom")?;

        let [xx, yy, xy] = [&strain.xx, &strain.yy, &strain.xy].map(|knob| knob.sample(random));
        let stretch = DMat2::from_cols(DVec2::new(1.0 + xx, xy), DVec2::new(xy, 1.0 + yy));
        let rms = ripple.rms_angstrom.sample(random);
        let ripples = waves(ripple.wavelength_angstrom.sample(random), random, |_| rms, |_| 0.0);
        let rms = strain.field_rms.sample(random);
        let wavelength = strain.field_wavelength_angstrom.sample(random);
        let strains = waves(wavelength, random, |_| 0.0, |wave_number| rms / wave_number);
        Ok(Deformation { stretch, ripples, strains })
    }

    /// Radius of the flat disc that covers a disc of the given radius once it is deformed, in angstrom.
    pub(crate) fn flat_radius_angstrom(&self, radius_angstrom: f64) -> f64 {
        let change = self.stretch - DMat2::IDENTITY;
        // The largest row sum bounds the strain along any direction; at the limits of the knobs it is 0.4.
        let most = (change.x_axis.abs() + change.y_axis.abs()).max_element();
        let moved: f64 = self.strains.iter().map(|wave| wave.displacement_angstrom.length()).sum();
        (radius_angstrom + moved) / (1.0 - most)
    }

    /// Where an atom goes that lies at `place` and `above_middle_angstrom` above the middle of its layer.
    pub(crate) fn apply(&self, place: DVec3, above_middle_angstrom: f64) -> DVec3 {
        let flat = place.truncate();
        let mut moved = self.stretch * flat;
        for wave in &self.strains {
            moved += wave.displacement_angstrom * (wave.wave_vector.dot(flat) + wave.phase_rad).cos();
        }
        let mut height = place.z;
        for wave in &self.ripples {
            let (sine, cosine) = (wave.wave_vector.dot(flat) + wave.phase_rad).sin_cos();
            height += wave.height_angstrom * cosine;
            moved += above_middle_angstrom * wave.height_angstrom * sine * wave.wave_vector;
        }
        moved.extend(height)
    }
}

/// Waves whose heights and displacements have the stated root mean square all together.
fn waves(
    wavelength: f64,
    random: &mut impl Rng,
    height: impl Fn(f64) -> f64,
    displacement: impl Fn(f64) -> f64,
) -> Vec<Wave> {
    // The mean square of a cosine is a half.
    let share = (2.0 / MODES as f64).sqrt();
    (0..MODES)
        .map(|_| {
            let wave_number = TAU / (wavelength * (0.7 + 0.6 * random.random::<f64>()));
            Wave {
                wave_vector: wave_number * DVec2::from_angle(TAU * random.random::<f64>()),
                phase_rad: TAU * random.random::<f64>(),
                height_angstrom: share * height(wave_number),
                displacement_angstrom: share
                    * displacement(wave_number)
                    * DVec2::from_angle(TAU * random.random::<f64>()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;

    use super::*;

    #[test]
    fn heights_and_gradients_have_the_stated_root_mean_square() {
        let ripple = RippleSettings { rms_angstrom: 1.5.into(), wavelength_angstrom: 30.0.into() };
        let strain =
            StrainSettings { field_rms: 0.02.into(), field_wavelength_angstrom: 30.0.into(), ..Default::default() };
        let field = Deformation::sample(&ripple, &strain, &mut SeedPath::new(8).stream()).unwrap();
        let (mut heights, mut gradients, mut count) = (0.0, 0.0, 0.0);
        let step = 1e-4;
        for i in 0..400 {
            for j in 0..400 {
                let place = DVec3::new(5.0 * f64::from(i), 5.0 * f64::from(j), 0.0);
                let [at, x, y] = [DVec3::ZERO, DVec3::X * step, DVec3::Y * step].map(|d| field.apply(place + d, 0.0));
                heights += at.z * at.z;
                let along_x = (x - at).truncate() / step - DVec2::X;
                let along_y = (y - at).truncate() / step - DVec2::Y;
                gradients += along_x.length_squared() + along_y.length_squared();
                count += 1.0;
            }
        }
        assert!(((heights / count).sqrt() / 1.5 - 1.0).abs() < 0.05);
        assert!(((gradients / count).sqrt() / 0.02 - 1.0).abs() < 0.05);
    }

    #[test]
    fn a_bent_plate_keeps_its_thickness() {
        let ripple = RippleSettings { rms_angstrom: 1.0.into(), wavelength_angstrom: 80.0.into() };
        let field = Deformation::sample(&ripple, &StrainSettings::default(), &mut SeedPath::new(1).stream()).unwrap();
        for i in 0..100 {
            let place = DVec3::new(3.7 * f64::from(i), 1.3 * f64::from(i), 0.0);
            let top = field.apply(place + DVec3::Z * 1.6, 1.6);
            let bottom = field.apply(place - DVec3::Z * 1.6, -1.6);
            // Second order in the slope, which stays below 0.3.
            assert!((top.distance(bottom) - 3.2).abs() < 0.15);
        }
    }
}
