//! Where the specimen is in a frame.

use atomlens_core::glam::DVec2;
use serde::{Deserialize, Serialize};

/// A rigid motion from reference places to places in a frame, `R(rotation) (reference - centre) + centre + drift`.
///
/// Lengths in angstrom from the centre of the first pixel; a positive rotation turns x towards y, which on a screen
/// with y down is clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// How far the specimen has moved, at the centre of rotation.
    pub drift_angstrom: DVec2,
    /// How far it has turned.
    pub rotation_rad: f64,
    /// About which place of the reference it turns.
    pub centre_angstrom: DVec2,
}

impl Pose {
    /// The pose of the reference itself.
    pub fn at_rest(centre_angstrom: DVec2) -> Pose {
        Pose { drift_angstrom: DVec2::ZERO, rotation_rad: 0.0, centre_angstrom }
    }

    /// Where a reference place is in the frame.
    pub fn to_frame(&self, reference_angstrom: DVec2) -> DVec2 {
        let turned = DVec2::from_angle(self.rotation_rad).rotate(reference_angstrom - self.centre_angstrom);
        turned + self.centre_angstrom + self.drift_angstrom
    }

    /// The inverse of [`Pose::to_frame`].
    pub fn to_reference(&self, frame_angstrom: DVec2) -> DVec2 {
        let from_centre = frame_angstrom - self.centre_angstrom - self.drift_angstrom;
        DVec2::from_angle(-self.rotation_rad).rotate(from_centre) + self.centre_angstrom
    }

    /// The same motion for reference places that are told by where they are at `origin`.
    pub(super) fn seen_from(&self, origin: &Pose) -> Pose {
        let centre_angstrom = self.centre_angstrom;
        Pose {
            drift_angstrom: self.to_frame(origin.to_reference(centre_angstrom)) - centre_angstrom,
            rotation_rad: self.rotation_rad - origin.rotation_rad,
            centre_angstrom,
        }
    }

    /// Moved by a shift in reference coordinates first.
    pub(super) fn shifted_in_reference(&self, shift_angstrom: DVec2) -> Pose {
        let drift_angstrom = self.drift_angstrom + DVec2::from_angle(self.rotation_rad).rotate(shift_angstrom);
        Pose { drift_angstrom, ..*self }
    }
}

/// What was learned of one frame's pose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FramePose {
    /// Number of the frame, as it was given.
    pub frame: usize,
    /// Its pose; a prediction or an interpolation if it is not trusted.
    pub pose: Pose,
    /// Standard error of the drift in each direction.
    pub drift_sigma_angstrom: f64,
    /// Standard error of the rotation.
    pub rotation_sigma_rad: f64,
    /// Whether the frame itself showed where it is.
    pub trusted: bool,
    /// Whether it is the reference that the frames after it are laid on. If a later one begins again, nothing confirmed
    /// this one, and what came before has no pose in common with what follows.
    pub begins: bool,
    /// Columns that were found again.
    pub matched_columns: usize,
    /// Height of the correlation with the reference image over its noise; 0 without an image.
    pub image_significance: f64,
}

/// Gives frames that are not trusted a pose between those that are.
///
/// A reference that no later frame confirmed is no longer trusted, nor is anything before the last one that begins.
/// Linear between the trusted frames before and after, held before the first and behind the last. The standard error is
/// that of a random walk tied at both ends, with the steps that trusted neighbours show (a Brownian bridge).
pub fn interpolate_untrusted(poses: &mut [FramePose]) {
    if let Some(begin) = poses.iter().rposition(|pose| pose.begins) {
        poses[..begin].iter_mut().for_each(|pose| pose.trusted = false);
        let confirmed = poses[begin + 1..].iter().any(|pose| pose.trusted);
        poses[begin].trusted &= confirmed || poses.len() == 1;
    }
    let trusted: Vec<usize> = (0..poses.len()).filter(|&index| poses[index].trusted).collect();
    let (Some(&first), Some(&last)) = (trusted.first(), trusted.last()) else { return };
    let mut steps: Vec<(f64, f64)> = trusted
        .windows(2)
        .map(|pair| {
            let (a, b) = (&poses[pair[0]], &poses[pair[1]]);
            let root = ((pair[1] - pair[0]) as f64).sqrt();
            let moved = (b.pose.drift_angstrom - a.pose.drift_angstrom).length() / root;
            (moved / std::f64::consts::SQRT_2, (b.pose.rotation_rad - a.pose.rotation_rad).abs() / root)
        })
        .collect();
    let mut middle = |of: fn(&(f64, f64)) -> f64| {
        steps.sort_by(|a, b| of(a).total_cmp(&of(b)));
        steps.get(steps.len() / 2).map_or(0.0, of)
    };
    let (walk, turn) = (middle(|step| step.0), middle(|step| step.1));
    for index in 0..poses.len() {
        if poses[index].trusted {
            continue;
        }
        let before = trusted.partition_point(|&other| other < index).checked_sub(1).map(|at| trusted[at]);
        let after = trusted.get(trusted.partition_point(|&other| other < index)).copied();
        let (a, b) = (poses[before.unwrap_or(first)], poses[after.unwrap_or(last)]);
        let (share, frames) = match (before, after) {
            (Some(before), Some(after)) => {
                let (from, length) = ((index - before) as f64, (after - before) as f64);
                (from / length, from * (length - from) / length)
            }
            (None, Some(after)) => (1.0, (after - index) as f64),
            (Some(before), None) => (0.0, (index - before) as f64),
            (None, None) => (0.0, 0.0),
        };
        let between = |a: f64, b: f64| (1.0 - share) * a + share * b;
        let pose = &mut poses[index];
        pose.pose = Pose {
            drift_angstrom: a.pose.drift_angstrom.lerp(b.pose.drift_angstrom, share),
            rotation_rad: between(a.pose.rotation_rad, b.pose.rotation_rad),
            centre_angstrom: a.pose.centre_angstrom,
        };
        pose.drift_sigma_angstrom = between(a.drift_sigma_angstrom, b.drift_sigma_angstrom).hypot(walk * frames.sqrt());
        pose.rotation_sigma_rad = between(a.rotation_sigma_rad, b.rotation_sigma_rad).hypot(turn * frames.sqrt());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(frame: usize, x: f64, trusted: bool) -> FramePose {
        let mut pose = Pose::at_rest(DVec2::splat(20.0));
        pose.drift_angstrom.x = x;
        pose.rotation_rad = 0.01 * x;
        FramePose {
            frame,
            pose,
            drift_sigma_angstrom: 0.01,
            rotation_sigma_rad: 1e-3,
            trusted,
            begins: false,
            matched_columns: 0,
            image_significance: 0.0,
        }
    }

    #[test]
    fn there_and_back() {
        let mut pose = Pose::at_rest(DVec2::new(20.0, 10.0));
        pose.drift_angstrom = DVec2::new(1.0, -2.0);
        pose.rotation_rad = std::f64::consts::FRAC_PI_2;
        // A quarter turn takes what is to the right of the centre to below it.
        assert!((pose.to_frame(DVec2::new(23.0, 10.0)) - DVec2::new(21.0, 11.0)).length() < 1e-12);
        let place = DVec2::new(3.3, 4.4);
        assert!((pose.to_reference(pose.to_frame(place)) - place).length() < 1e-12);
        let origin = Pose { drift_angstrom: DVec2::new(0.3, 0.7), rotation_rad: 0.2, ..pose };
        let seen = pose.seen_from(&origin).to_frame(origin.to_frame(place));
        assert!((seen - pose.to_frame(place)).length() < 1e-12);
        let shifted = pose.shifted_in_reference(DVec2::new(0.5, 0.0));
        assert!((shifted.to_frame(place) - pose.to_frame(place + DVec2::new(0.5, 0.0))).length() < 1e-12);
    }

    #[test]
    fn untrusted_frames_lie_between_and_are_less_certain() {
        let mut poses = vec![
            frame(0, 9.0, false),
            frame(1, 1.0, true),
            frame(2, 9.0, false),
            frame(3, 9.0, false),
            frame(4, 4.0, true),
            frame(5, 5.0, true),
            frame(6, 9.0, false),
        ];
        interpolate_untrusted(&mut poses);
        let x: Vec<f64> = poses.iter().map(|pose| pose.pose.drift_angstrom.x).collect();
        for (found, expected) in x.iter().zip([1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0]) {
            assert!((found - expected).abs() < 1e-12, "{x:?}");
        }
        assert!((poses[3].pose.rotation_rad - 0.03).abs() < 1e-12);
        assert!(poses[2].drift_sigma_angstrom > 0.3 && poses[1].drift_sigma_angstrom == 0.01);
        // A frame that nothing confirmed gives way to the next that does better.
        let mut again: Vec<FramePose> = (0..5).map(|n| frame(n, n as f64, n != 1)).collect();
        (again[0].begins, again[2].begins) = (true, true);
        interpolate_untrusted(&mut again);
        assert!(!again[0].trusted && again[2].trusted);
        assert_eq!(again[0].pose.drift_angstrom.x, 2.0);
        let mut alone: Vec<FramePose> = (0..3).map(|n| frame(n, n as f64, n == 0)).collect();
        alone[0].begins = true;
        interpolate_untrusted(&mut alone);
        assert!(!alone[0].trusted);
        let mut none = vec![frame(0, 2.0, false)];
        interpolate_untrusted(&mut none);
        assert_eq!(none[0].pose.drift_angstrom.x, 2.0);
    }
}
