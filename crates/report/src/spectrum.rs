//! What the power spectrum of one image says of the optics: the spectrum as a picture with the rings that were fitted,
//! and its mean over circles beside the fitted curve.

use ndarray::{Array2, ArrayView2, s};

use crate::ReportError;
use crate::canvas::{Point, Rectangle};
use crate::colour::{WHITE, from_hex};
use crate::drawing::{Drawing, Layer, Pixels, Shape};
use crate::overlay::{Shown, grey};
use crate::panel::check_size;
use crate::plot::Plot;
use crate::scale_bar::{self, round_length, short_number};
use crate::series::Series;

/// Longest side of the picture of a spectrum.
const SIDE_PX: usize = 640;

/// The power spectrum of an image with a fit of its rings.
#[derive(Debug, Clone)]
pub struct SpectrumFigure<'a> {
    /// What it is of, such as `image 1`.
    pub name: String,
    /// The power `[ky, kx]`, any positive numbers, frequency zero in the middle (`[ny / 2, nx / 2]`).
    pub power: ArrayView2<'a, f32>,
    /// Frequency between two elements of the power, in 1/nm.
    pub step_per_nm: f64,
    /// The rings as they were fitted: lines through `[kx, ky]` in 1/nm, zeros of the transfer or its extremes.
    pub rings_per_nm: Vec<Vec<[f64; 2]>>,
    /// Mean over circles, or over the ellipses of the fit: frequency in 1/nm and power.
    pub profile: Vec<(f64, f64)>,
    /// What was fitted to it, at frequencies of its own.
    pub fitted: Vec<(f64, f64)>,
    /// What the rings say, such as `defocus 41.2 ± 0.6 nm, astigmatism 1.9 ± 0.3 nm at 34°`.
    pub caption: String,
}

impl SpectrumFigure<'_> {
    /// The logarithm of the power as a grey picture; on its right half the rings as they were fitted. It ends a little
    /// beyond the last ring or the end of the profile.
    pub fn drawing(&self) -> Result<Drawing, ReportError> {
        let (ny, nx) = self.power.dim();
        if nx == 0 || ny == 0 {
            return Err(ReportError::NoPixels { ny, nx });
        }
        if !(self.step_per_nm.is_finite() && self.step_per_nm > 0.0) {
            return Err(ReportError::PixelSize { found_angstrom: self.step_per_nm });
        }
        let reach = self.reach();
        let half = |count: usize| reach.min(count / 2);
        let (rows, columns) =
            (ny / 2 - half(ny)..(ny / 2 + half(ny) + 1).min(ny), nx / 2 - half(nx)..(nx / 2 + half(nx) + 1).min(nx));
        let part = self.power.slice(s![rows.clone(), columns.clone()]);
        // What is nought or less has no logarithm and stands for the least.
        let least = part.iter().copied().filter(|p| *p > 0.0).fold(f32::INFINITY, f32::min);
        let logarithm: Array2<f32> = part.mapv(|power| power.max(least).log10());
        // The picture's unit of length is 1/nm.
        let shade = |values: &Array2<f32>| Pixels::Grey(grey(values));
        let shown = Shown::shaded(logarithm.view(), self.step_per_nm, SIDE_PX, shade)?;
        let picture = Rectangle::new(0.0, 0.0, shown.width_px as f32, shown.height_px as f32);
        let (width_px, height_px) = (shown.width_px as u32, shown.height_px as u32);
        check_size(width_px, height_px)?;
        let zero = [nx / 2 - columns.start, ny / 2 - rows.start].map(|index| (index as f64 + 0.5) * self.step_per_nm);
        let place = |k: &[f64; 2]| {
            let [x, y] = [0, 1].map(|axis| ((zero[axis] + k[axis]) / shown.pixel_angstrom) as f32);
            Point::new(x, y)
        };
        let lines = self.rings_per_nm.iter().map(|ring| {
            let points: Vec<Point> = ring.iter().filter(|k| k.iter().all(|c| c.is_finite())).map(place).collect();
            Shape::line(points, 1.4, from_hex(0xffa52e))
        });
        let middle = place(&[0.0, 0.0]).x;
        let right = Rectangle::new(middle, 0.0, picture.width - middle, picture.height);
        let parting = Shape::Rectangle {
            area: Rectangle::new(middle - 0.5, 0.0, 1.0, picture.height),
            colour: WHITE,
            opacity: 0.4,
        };
        let length = round_length(0.2 * f64::from(picture.width) * shown.pixel_angstrom);
        let label = format!("{} nm⁻¹", short_number(length));
        let length_px = (length / shown.pixel_angstrom) as f32;
        let layers = vec![
            Layer::new("spectrum", vec![Shape::Picture { pixels: shown.pixels, area: picture }, parting]),
            Layer { name: "rings", clip: Some(right), shapes: lines.collect() },
            Layer::new("scale", scale_bar::labelled(picture, length_px, &label, 18.0, false).to_vec()),
        ];
        Ok(Drawing { width_px, height_px, layers })
    }

    /// How many elements from zero on are shown.
    fn reach(&self) -> usize {
        let rings = self.rings_per_nm.iter().flatten().map(|k| k[0].hypot(k[1]));
        let furthest = rings.chain(self.profile.iter().map(|point| point.0)).filter(|k| k.is_finite());
        let furthest = furthest.fold(0.0, f64::max);
        let elements = (1.1 * furthest / self.step_per_nm).ceil();
        if elements >= 8.0 { elements as usize } else { usize::MAX }
    }

    /// The mean over circles and the fitted curve.
    pub fn profile_plot(&self) -> Plot {
        let positive = |points: &[(f64, f64)]| points.iter().all(|point| point.1 > 0.0 || !point.1.is_finite());
        let plot = Plot::new("spatial frequency (1/nm)", "power")
            .series(Series::line("measured", self.profile.iter().copied()));
        let plot =
            if self.fitted.is_empty() { plot } else { plot.series(Series::line("fit", self.fitted.iter().copied())) };
        if positive(&self.profile) && positive(&self.fitted) { plot.y_log() } else { plot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_lies_on_the_ring_of_the_spectrum_and_on_the_right_alone() {
        // A bright ring at 3 1/nm, elements of 0.05 1/nm.
        let power = Array2::from_shape_fn((300, 300), |(y, x)| {
            let k = 0.05 * (x as f32 - 150.0).hypot(y as f32 - 150.0);
            1.0 + 100.0 * (-(k - 3.0).powi(2) / 0.02).exp()
        });
        let ring = |k: f64| (0..=90).map(|i| 0.07 * f64::from(i)).map(|a| [k * a.cos(), k * a.sin()]).collect();
        let figure = SpectrumFigure {
            name: "image 1".to_owned(),
            power: power.view(),
            step_per_nm: 0.05,
            rings_per_nm: vec![ring(3.0)],
            profile: (0..100).map(|i| (0.05 * f64::from(i), 1.0 + f64::from(i))).collect(),
            fitted: Vec::new(),
            caption: String::new(),
        };
        let drawing = figure.drawing().unwrap();
        let image = drawing.rasterise().unwrap();
        let coloured: Vec<(u32, u32)> =
            image.enumerate_pixels().filter(|(_, _, p)| p.0[0] > 240 && p.0[2] < 120).map(|(x, y, _)| (x, y)).collect();
        // To the profile's end at 4.95 and a tenth more: 109 elements either side of zero, each 2 pixels wide.
        assert_eq!(image.dimensions(), (438, 438));
        assert!(coloured.len() > 200);
        for (x, y) in coloured {
            let [dx, dy] = [x, y].map(|c| f64::from(c) + 0.5 - 219.0);
            assert!(dx > -1.0, "on the left at {x}, {y}");
            assert!((dx.hypot(dy) / 2.0 * 0.05 - 3.0).abs() < 0.06, "{x}, {y}");
        }
        assert!(figure.profile_plot().drawing(560).is_ok());
    }

    #[test]
    fn spectra_without_a_fit_or_without_elements() {
        let figure = |power| SpectrumFigure {
            name: String::new(),
            power,
            step_per_nm: 0.1,
            rings_per_nm: Vec::new(),
            profile: Vec::new(),
            fitted: Vec::new(),
            caption: String::new(),
        };
        let zeros = Array2::<f32>::zeros((64, 48));
        assert!(figure(zeros.view()).drawing().unwrap().rasterise().is_ok());
        let none = Array2::<f32>::zeros((0, 0));
        assert!(matches!(figure(none.view()).drawing(), Err(ReportError::NoPixels { .. })));
    }
}
