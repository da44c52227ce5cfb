//! Drift and rotation of the whole specimen from frame to frame: a constant velocity and a random walk.

use atomlens_core::glam::DVec2;
use atomlens_core::{Distribution, SeedPath};
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::SpecimenError;
use crate::layer::check;

/// How a specimen drifts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSettings {
    /// Constant velocity along x, in angstrom per frame.
    pub x_angstrom_per_frame: Distribution,
    /// Constant velocity along y, in angstrom per frame.
    pub y_angstrom_per_frame: Distribution,
    /// Standard deviation of the random step along x and along y, in angstrom per frame.
    pub walk_angstrom_per_frame: Distribution,
    /// Constant rotation about the beam, from x towards y, in degree per frame.
    pub rotation_degree_per_frame: Distribution,
    /// Standard deviation of the random rotation, in degree per frame.
    pub rotation_walk_degree_per_frame: Distribution,
}

impl Default for DriftSettings {
    fn default() -> Self {
        DriftSettings {
            x_angstrom_per_frame: 0.0.into(),
            y_angstrom_per_frame: 0.0.into(),
            walk_angstrom_per_frame: 0.15.into(),
            rotation_degree_per_frame: 0.0.into(),
            rotation_walk_degree_per_frame: 0.0.into(),
        }
    }
}

/// Where a specimen is, from where it started.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Drift {
    /// Shift along x, in angstrom.
    pub x_angstrom: f64,
    /// Shift along y, in angstrom.
    pub y_angstrom: f64,
    /// Rotation about the middle of the box, from x towards y, in radian; done before the shift.
    pub rotation_rad: f64,
}

impl Drift {
    /// Where a place goes.
    pub(super) fn apply(&self, place: DVec2, middle: DVec2) -> DVec2 {
        DVec2::from_angle(self.rotation_rad).rotate(place - middle)
            + middle
            + DVec2::new(self.x_angstrom, self.y_angstrom)
    }
}

impl DriftSettings {
    /// Draws the drift of every frame; the first is at rest.
    pub(super) fn sample(&self, frames: usize, seed: SeedPath) -> Result<Vec<Drift>, SpecimenError> {
        let spread = "a standard deviation that is not negative";
        check("walk_angstrom_per_frame", &self.walk_angstrom_per_frame, [0.0, 1e3], spread)?;
        check("rotation_walk_degree_per_frame", &self.rotation_walk_degree_per_frame, [0.0, 360.0], spread)?;
        let mut random = seed.stream();
        let velocity_x = self.x_angstrom_per_frame.sample(&mut random);
        let velocity_y = self.y_angstrom_per_frame.sample(&mut random);
        let walk = self.walk_angstrom_per_frame.sample(&mut random);
        let turn = self.rotation_degree_per_frame.sample(&mut random).to_radians();
        let turn_walk = self.rotation_walk_degree_per_frame.sample(&mut random).to_radians();
        let mut drift = Drift::default();
        Ok((0..frames)
            .map(|frame| {
                if frame > 0 {
                    let [x, y, rotation]: [f64; 3] = std::array::from_fn(|_| StandardNormal.sample(&mut random));
                    drift.x_angstrom += velocity_x + walk * x;
                    drift.y_angstrom += velocity_y + walk * y;
                    drift.rotation_rad += turn + turn_walk * rotation;
                }
                drift
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_stated_mean_and_spread() {
        let settings: DriftSettings = toml::from_str(
            "x_angstrom_per_frame = 0.3\nwalk_angstrom_per_frame = 0.2\nrotation_degree_per_frame = -0.5",
        )
        .unwrap();
        let drift = settings.sample(4001, SeedPath::new(1)).unwrap();
        assert_eq!(drift[0], Drift::default());
        let steps: Vec<f64> = drift.windows(2).map(|pair| pair[1].x_angstrom - pair[0].x_angstrom).collect();
        let mean = steps.iter().sum::<f64>() / 4000.0;
        let spread = (steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        // Three standard errors.
        assert!((mean - 0.3).abs() < 3.0 * 0.2 / 4000.0_f64.sqrt(), "{mean}");
        assert!((spread - 0.2).abs() < 3.0 * 0.2 / 8000.0_f64.sqrt(), "{spread}");
        assert!((drift[10].rotation_rad + 5.0_f64.to_radians()).abs() < 1e-12);
    }

    #[test]
    fn rotation_comes_before_the_shift() {
        let drift = Drift { x_angstrom: 1.0, y_angstrom: 0.0, rotation_rad: std::f64::consts::FRAC_PI_2 };
        let moved = drift.apply(DVec2::new(7.0, 5.0), DVec2::splat(5.0));
        assert!(moved.distance(DVec2::new(6.0, 7.0)) < 1e-12);
    }
}
