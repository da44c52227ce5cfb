//! Pictures of an exit wave, and of what is left over of the images that it was found from.
//!
//! Phases are in rad on *viridis*, amplitudes grey, residuals in standard deviations of the noise on a map that is
//! centred on zero.

use atomlens_core::quantile::NORMAL_95;
use ndarray::ArrayView2;

use crate::ReportError;
use crate::calibrated_map::{CalibratedMap, side_by_side};
use crate::colour::ColourMap;
use crate::drawing::Drawing;
use crate::histogram::Histogram;
use crate::plot::Plot;
use crate::series::Series;

/// Residuals beyond this many standard deviations have the colour of the end.
const RESIDUAL_END: f32 = 4.0;
/// Longest side of a picture that stands beside another.
const PAIR_SIDE_PX: usize = 1200;

/// The phase of a wave `[y, x]`, in rad.
pub fn phase_map(phase_rad: ArrayView2<'_, f32>, pixel_angstrom: f64) -> CalibratedMap<'_> {
    CalibratedMap::new(phase_rad, pixel_angstrom, ColourMap::Viridis, "Phase (rad)")
}

/// The amplitude of a wave `[y, x]`; vacuum has one.
pub fn amplitude_map(amplitude: ArrayView2<'_, f32>, pixel_angstrom: f64) -> CalibratedMap<'_> {
    CalibratedMap::new(amplitude, pixel_angstrom, ColourMap::Grey, "Amplitude (vacuum 1)")
}

/// What is left over of an image `[y, x]`, in standard deviations of its noise.
pub fn residual_map(sigmas: ArrayView2<'_, f32>, pixel_angstrom: f64) -> CalibratedMap<'_> {
    CalibratedMap::new(sigmas, pixel_angstrom, ColourMap::Diverging, "Residual (σ of the noise)")
        .limits(-RESIDUAL_END, RESIDUAL_END)
}

/// Phase and amplitude of a wave beside each other.
pub fn wave_drawing(
    phase_rad: ArrayView2<'_, f32>,
    amplitude: ArrayView2<'_, f32>,
    pixel_angstrom: f64,
) -> Result<Drawing, ReportError> {
    let maps = [
        phase_map(phase_rad, pixel_angstrom).title("Phase").largest_side_px(PAIR_SIDE_PX),
        amplitude_map(amplitude, pixel_angstrom).title("Amplitude").largest_side_px(PAIR_SIDE_PX),
    ];
    side_by_side(&maps)
}

/// How often residuals of each size occur, beside the normal distribution that they have where nothing but noise is
/// left.
pub fn residual_plot(sigmas: ArrayView2<'_, f32>) -> Plot {
    const END: f64 = 5.0;
    const BINS: usize = 50;
    let histogram = Histogram::between(sigmas.iter().map(|value| f64::from(*value)), -END, END, BINS);
    let total = sigmas.iter().filter(|value| value.is_finite()).count().max(1) as f64;
    let width = 2.0 * END / BINS as f64;
    let heights = histogram.counts.iter().map(|count| *count as f64 / total / width);
    let normal = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let curve = (0..=200).map(|i| -END + 2.0 * END * f64::from(i) / 200.0).map(|x| (x, normal(x)));
    let highest = histogram.counts.iter().max().map_or(0.0, |most| *most as f64 / total / width).max(normal(0.0));
    Plot::new("residual (σ of the noise)", "density")
        .x_range(-END, END)
        .y_range(0.0, 1.06 * highest)
        .series(Series::bars("pixels", histogram.edges.iter().copied(), heights))
        .series(Series::dashed("noise alone", curve))
}

/// Iteration against residual.
pub fn convergence_plot(steps: &[(f64, f64)]) -> Plot {
    let plot = Plot::new("iteration", "residual (σ of the noise)").x_whole().curve("", steps.iter().copied());
    let (low, high) = steps.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), s| (l.min(s.1), h.max(s.1)));
    // From a factor of a few on the end of the curve would lie on the axis.
    if low > 0.0 && high > 4.0 * low { plot.y_log() } else { plot }
}

/// By how much the focus of each image differs from what was stated, in nm: stated focus, estimate and its standard
/// deviation.
pub fn focus_plot(images: &[(f64, f64, Option<f64>)]) -> Plot {
    let differences = images.iter().map(|(stated, found, _)| (*stated, found - stated));
    let errors = images.iter().map(|(stated, found, sigma)| {
        let half = NORMAL_95 * sigma.unwrap_or(0.0);
        (found - stated - half, found - stated + half)
    });
    let (low, high) =
        images.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), image| (l.min(image.0), h.max(image.0)));
    let margin = (0.1 * (high - low)).max(0.5);
    Plot::new("defocus as stated (nm)", "estimate less stated (nm)")
        .x_range(low - margin, high + margin)
        .series(Series::dashed("as stated", [(low - margin, 0.0), (high + margin, 0.0)]))
        .series(Series::points("estimate, 95 % interval", differences).errors(errors))
}

/// The modulation transfer of a camera against the frequency in units of the Nyquist frequency: the curve, the ends of
/// its interval at every point, and what was measured. The last two may be empty.
pub fn mtf_plot(curve: &[(f64, f64)], interval: &[(f64, f64)], measured: &[(f64, f64)]) -> Plot {
    let mut plot = Plot::new("spatial frequency (Nyquist frequencies)", "modulation transfer").y_range(0.0, 1.05);
    if !measured.is_empty() {
        plot = plot.series(Series::points("measured", measured.iter().copied()));
    }
    let mut line =
        Series::line(if interval.is_empty() { "curve" } else { "curve, 95 % interval" }, curve.iter().copied());
    if interval.len() == curve.len() {
        line = line.errors(interval.iter().copied());
    }
    plot.series(line)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn noise_alone_fills_the_normal_curve() {
        // Quantiles of the normal distribution, by bisection of its distribution function (Abramowitz 26.2.17 has an
        // error below 1e-7).
        let cdf = |x: f64| {
            let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
            let poly = t
                * (0.319_381_53
                    + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
            let tail = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt() * poly;
            if x > 0.0 { 1.0 - tail } else { tail }
        };
        let quantile = |p: f64| {
            let (mut low, mut high) = (-6.0, 6.0);
            for _ in 0..50 {
                let middle = 0.5 * (low + high);
                if cdf(middle) < p { low = middle } else { high = middle }
            }
            low
        };
        let sigmas = Array2::from_shape_fn((100, 100), |(y, x)| quantile((100 * y + x) as f64 / 1e4 + 5e-5) as f32);
        let drawing = residual_plot(sigmas.view()).drawing(560).unwrap();
        assert!(drawing.to_svg("residuals").contains("noise alone"));
        let histogram = Histogram::between(sigmas.iter().map(|v| f64::from(*v)), -5.0, 5.0, 50);
        // The bin from 0 to 0.2 holds 7.93 % (cdf(0.2) = 0.57926).
        assert!((histogram.counts[25] as f64 / 1e4 - 0.0793).abs() < 2e-4, "{}", histogram.counts[25]);
    }

    #[test]
    fn every_plot_is_drawn_with_little_and_with_much() {
        for plot in [
            convergence_plot(&[(0.0, 9.0), (1.0, 1.4), (2.0, 1.01)]),
            convergence_plot(&[(0.0, 1.4)]),
            focus_plot(&[(3.2, 3.4, Some(0.2))]),
            focus_plot(&[(3.2, 3.4, Some(0.2)), (8.2, 8.1, None), (13.2, 12.9, Some(0.1))]),
            mtf_plot(&[(0.0, 1.0), (1.0, 0.3)], &[], &[]),
            mtf_plot(&[(0.0, 1.0), (1.0, 0.3)], &[(0.9, 1.0), (0.2, 0.4)], &[(0.5, 0.7)]),
        ] {
            assert!(plot.drawing(560).is_ok());
        }
    }

    #[test]
    fn phase_and_amplitude_stand_beside_each_other() {
        let phase = Array2::from_shape_fn((40, 30), |(y, x)| (x * y) as f32 / 1000.0);
        let drawing = wave_drawing(phase.view(), phase.view(), 0.1).unwrap();
        let file = drawing.to_svg("wave");
        for words in ["Phase (rad)", "Amplitude (vacuum 1)", "50 pm"] {
            assert!(file.contains(words), "{words}");
        }
        assert!(residual_map(phase.view(), 0.1).ends() == (-4.0, 4.0));
    }
}
