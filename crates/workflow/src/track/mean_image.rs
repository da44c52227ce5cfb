//! The mean of a movie's frames with the specimen's motion taken out.

use atomlens_analysis::movie::drift::Pose;
use atomlens_core::glam::DVec2;
use ndarray::{Array2, ArrayView2, Zip};
use rayon::prelude::*;

/// A mean in the making.
#[derive(Debug, Clone)]
pub(crate) struct MeanImage {
    sum: Array2<f64>,
    count: Array2<u32>,
}

impl MeanImage {
    /// For frames of a shape `(ny, nx)`.
    pub(crate) fn new(shape: (usize, usize)) -> MeanImage {
        MeanImage { sum: Array2::zeros(shape), count: Array2::zeros(shape) }
    }

    /// Adds a frame.
    pub(crate) fn add(&mut self, frame: ArrayView2<'_, f32>, pixel_angstrom: f64, pose: &Pose) {
        let moved = in_reference(frame, pixel_angstrom, pose);
        Zip::from(&mut self.sum).and(&mut self.count).and(&moved).for_each(|sum, count, value| {
            if value.is_finite() {
                *sum += f64::from(*value);
                *count += 1;
            }
        });
    }

    /// The mean; where no frame reaches, the mean of the rest.
    pub(crate) fn finish(self) -> Array2<f32> {
        let (sum, count) = (self.sum.sum(), self.count.iter().map(|count| u64::from(*count)).sum::<u64>());
        let rest = sum / count.max(1) as f64;
        Zip::from(&self.sum)
            .and(&self.count)
            .map_collect(|sum, count| (if *count > 0 { sum / f64::from(*count) } else { rest }) as f32)
    }
}

/// A frame seen in the coordinates of the first one, between pixels linearly; NaN where the frame does not reach.
pub(crate) fn in_reference(frame: ArrayView2<'_, f32>, pixel_angstrom: f64, pose: &Pose) -> Array2<f32> {
    let (ny, nx) = frame.dim();
    let place = |x: f64, y: f64| pose.to_frame(DVec2::new(x, y) * pixel_angstrom) / pixel_angstrom;
    // The motion is affine: an origin and two steps.
    let origin = place(0.0, 0.0);
    let (right, down) = (place(1.0, 0.0) - origin, place(0.0, 1.0) - origin);
    let mut moved = Array2::zeros((ny, nx));
    let rows = moved.as_slice_mut().expect("made in standard layout").par_chunks_mut(nx.max(1));
    rows.enumerate().for_each(|(y, row)| {
        for (x, value) in row.iter_mut().enumerate() {
            let at = origin + x as f64 * right + y as f64 * down;
            *value = between(frame, at);
        }
    });
    moved
}

fn between(frame: ArrayView2<'_, f32>, at: DVec2) -> f32 {
    let (ny, nx) = frame.dim();
    let far = DVec2::new((nx - 1) as f64, (ny - 1) as f64);
    // A hair outside is rounding.
    let inside = at.clamp(DVec2::ZERO, far);
    if !(at.distance_squared(inside) < 1e-12) {
        return f32::NAN;
    }
    let at = inside;
    let (x, y) = ((at.x as usize).min(nx - 1), (at.y as usize).min(ny - 1));
    let (right, below) = ((x + 1).min(nx - 1), (y + 1).min(ny - 1));
    let (fx, fy) = ((at.x - x as f64) as f32, (at.y - y as f64) as f32);
    let top = frame[[y, x]] * (1.0 - fx) + frame[[y, right]] * fx;
    let bottom = frame[[below, x]] * (1.0 - fx) + frame[[below, right]] * fx;
    top * (1.0 - fy) + bottom * fy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_ramp_comes_back() {
        let pixel = 0.2;
        let mut pose = Pose::at_rest(DVec2::new(3.0, 2.0));
        pose.drift_angstrom = DVec2::new(0.37, -0.23);
        pose.rotation_rad = 0.02;
        // Linear in the reference's coordinates, so that interpolation is exact.
        let value = |place: DVec2| (3.0 * place.x - 2.0 * place.y) as f32;
        let frame =
            Array2::from_shape_fn((24, 32), |(y, x)| value(pose.to_reference(DVec2::new(x as f64, y as f64) * pixel)));
        let mut mean = MeanImage::new(frame.dim());
        mean.add(frame.view(), pixel, &pose);
        mean.add(frame.view(), pixel, &pose);
        let moved = in_reference(frame.view(), pixel, &pose);
        let mean = mean.finish();
        let mut seen = 0;
        for ((y, x), found) in moved.indexed_iter().filter(|(_, found)| found.is_finite()) {
            let expected = value(DVec2::new(x as f64, y as f64) * pixel);
            assert!((found - expected).abs() < 1e-4 && (mean[[y, x]] - expected).abs() < 1e-4);
            seen += 1;
        }
        assert!(seen > 24 * 32 * 3 / 4 && seen < 24 * 32);
        // At rest nothing changes, borders included.
        assert_eq!(in_reference(frame.view(), pixel, &Pose::at_rest(DVec2::ZERO)), frame);
    }
}
