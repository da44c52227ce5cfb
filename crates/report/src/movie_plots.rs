//! Plots of what a movie was found to do: rates by class, drift, lifetimes, correlation, displacements.

use crate::colour::{Colour, from_hex};
use crate::estimate::Estimate;
use crate::plot::Plot;
use crate::series::Series;

/// What a count that errors of detection are still in is drawn in.
const NAIVE: Colour = from_hex(0x8c8c8c);
/// What the inferred number is drawn in.
const CORRECTED: Colour = from_hex(0x0072b2);

/// The time that a rate is per.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateUnit {
    /// Per frame.
    #[default]
    PerFrame,
    /// Per second.
    PerSecond,
}

impl RateUnit {
    /// `per frame` or `per second`.
    pub fn label(self) -> &'static str {
        match self {
            RateUnit::PerFrame => "per frame",
            RateUnit::PerSecond => "per second",
        }
    }

    /// `frame` or `second`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            RateUnit::PerFrame => "frame",
            RateUnit::PerSecond => "second",
        }
    }
}

/// How the sites of a class, or all of them, switch. Rates are in the unit of the report that they stand in, switches of
/// either kind per site; the number that was counted without taking errors of detection out stands beside them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClassRates {
    /// What the sites are called, such as `edge`.
    pub class: String,
    /// How many there are.
    pub sites: usize,
    /// Share of the frames in which they are filled, 0 to 1.
    pub occupancy: Estimate,
    /// Switches per site and time.
    pub switch_rate: Estimate,
    /// Gains per empty site and time.
    pub fill_rate: Estimate,
    /// Losses per filled site and time.
    pub empty_rate: Estimate,
    /// Number of switches in this movie.
    pub switches: Estimate,
    /// How many of them are losses.
    pub losses: f64,
    /// How many are gains.
    pub gains: f64,
    /// Number of switches in a naive count: of every change of what the detector sees from frame to frame.
    pub naive_switches: f64,
    /// The naive count per site and time.
    pub naive_rate: f64,
}

/// The specimen's place in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftPoint {
    /// The frame's number.
    pub frame: usize,
    /// When it was taken.
    pub time_s: Option<f64>,
    /// How far the specimen has moved to the right since the first frame.
    pub x_nm: f64,
    /// How far it has moved down.
    pub y_nm: f64,
    /// How far it has turned; positive turns x towards y.
    pub rotation_rad: f64,
    /// Standard deviation of the place in each direction.
    pub sigma_nm: f64,
    /// Whether it was measured; what is not is interpolated.
    pub trusted: bool,
}

/// What is left of the visits after a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurvivalPoint {
    /// Time since a visit began, in frames or seconds.
    pub time: f64,
    /// Share of the visits that last longer, 0 to 1.
    pub share: Estimate,
}

/// Mean-square displacement after a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DisplacementPoint {
    /// The time, in frames or seconds.
    pub time: f64,
    /// The mean square of the displacement in the plane, with the error of localisation taken out.
    pub mean_square_nm2: Estimate,
}

/// Switching rates by class: as counted from frame to frame, and with the detector's errors taken out, with intervals of
/// 95 %.
pub fn rates_plot(classes: &[ClassRates], unit: RateUnit) -> Plot {
    let at = |index: usize, shift: f64| index as f64 + shift;
    let naive = classes.iter().enumerate().map(|(i, class)| (at(i, -0.12), class.naive_rate));
    let rates = classes.iter().enumerate().map(|(i, class)| (at(i, 0.12), class.switch_rate.value));
    let ends = classes.iter().map(|class| (class.switch_rate.low, class.switch_rate.high));
    let most = classes
        .iter()
        .flat_map(|class| [class.naive_rate, class.switch_rate.value, class.switch_rate.high])
        .filter(|rate| rate.is_finite())
        .fold(0.0, f64::max);
    Plot::new("", format!("switches per site and {}", unit.noun()))
        .x_categories(classes.iter().map(|class| class.class.clone()))
        .y_range(0.0, if most > 0.0 { 1.08 * most } else { 1.0 })
        .series(Series::points("corrected, with 95 % interval", rates).errors(ends).colour(CORRECTED))
        .series(Series::points("naive count", naive).colour(NAIVE))
}

/// Rates by class in several conditions, with intervals of 95 %.
pub fn conditions_plot(conditions: &[(String, Vec<ClassRates>)], classes: &[String], unit: RateUnit) -> Plot {
    let count = conditions.len().max(1) as f64;
    let mut plot =
        Plot::new("", format!("switches per site and {}", unit.noun())).x_categories(classes.iter().cloned());
    let mut most = 0.0_f64;
    for (index, (name, rates)) in conditions.iter().enumerate() {
        let shift = if count > 1.0 { 0.5 * (index as f64 / (count - 1.0) - 0.5) } else { 0.0 };
        let (mut points, mut ends) = (Vec::new(), Vec::new());
        for rate in rates {
            if let Some(class) = classes.iter().position(|class| *class == rate.class) {
                points.push((class as f64 + shift, rate.switch_rate.value));
                ends.push((rate.switch_rate.low, rate.switch_rate.high));
                most = [most, rate.switch_rate.value, rate.switch_rate.high].into_iter().fold(0.0, f64::max);
            }
        }
        plot = plot.series(Series::points(name.clone(), points).errors(ends));
    }
    plot.y_range(0.0, if most > 0.0 { 1.08 * most } else { 1.0 })
}

/// The time of a point of the drift and the words along the axis: seconds where all are known.
fn drift_axis(drift: &[DriftPoint]) -> (Vec<f64>, &'static str) {
    let times: Option<Vec<f64>> = drift.iter().map(|point| point.time_s.filter(|t| t.is_finite())).collect();
    times.map_or_else(|| (drift.iter().map(|p| p.frame as f64).collect(), "frame"), |times| (times, "time (s)"))
}

/// Where the specimen was, in both directions, against time; frames that were not measured are left out.
pub fn drift_plot(drift: &[DriftPoint]) -> Plot {
    let (times, label) = drift_axis(drift);
    let line = |of: fn(&DriftPoint) -> f64| -> Vec<(f64, f64)> {
        let value = |point: &DriftPoint| if point.trusted { of(point) } else { f64::NAN };
        times.iter().zip(drift).map(|(time, point)| (*time, value(point))).collect()
    };
    Plot::new(label, "drift (nm)").curve("x, to the right", line(|p| p.x_nm)).curve("y, down", line(|p| p.y_nm))
}

/// How far the specimen has turned, against time.
pub fn rotation_plot(drift: &[DriftPoint]) -> Plot {
    let (times, label) = drift_axis(drift);
    let degrees = |point: &DriftPoint| if point.trusted { point.rotation_rad.to_degrees() } else { f64::NAN };
    Plot::new(label, "rotation (°)").curve("", times.iter().zip(drift).map(|(time, point)| (*time, degrees(point))))
}

/// The share of visits that last longer than a time, for filled and for empty sites, with bands of 95 %.
pub fn survival_plot(filled: &[SurvivalPoint], empty: &[SurvivalPoint], unit: RateUnit) -> Plot {
    let mut plot = Plot::new(lag_label("time since filled or emptied", unit), "share still so").y_range(0.0, 1.03);
    for (label, points) in [("filled", filled), ("empty", empty)] {
        if !points.is_empty() {
            let series = Series::line(label, points.iter().map(|point| (point.time, point.share.value)));
            plot = plot.series(series.errors(points.iter().map(|p| (p.share.low, p.share.high))));
        }
    }
    plot
}

/// How far a site's state is still the one of a time before; `correlation` at the times, 1 for as filled as before and 0
/// for no relation.
pub fn autocorrelation_plot(points: &[(f64, f64)], unit: RateUnit) -> Plot {
    let low = points.iter().map(|point| point.1).filter(|value| value.is_finite()).fold(0.0, f64::min);
    Plot::new(lag_label("time apart", unit), "correlation of the occupancy")
        .y_range(1.05 * low, 1.05)
        .series(Series::line("", points.iter().copied()))
}

/// Mean-square displacement of columns against time, in pm² where it is small.
pub fn displacement_plot(points: &[DisplacementPoint], unit: RateUnit) -> Plot {
    let most = points.iter().map(|point| point.mean_square_nm2.value).filter(|v| v.is_finite()).fold(0.0, f64::max);
    let (name, factor) = if most < 0.01 { ("pm²", 1e6) } else { ("nm²", 1.0) };
    let scaled = |point: &DisplacementPoint| point.mean_square_nm2.scaled(factor);
    let values = points.iter().map(|point| (point.time, scaled(point).value));
    let ends = points.iter().map(|point| (scaled(point).low, scaled(point).high));
    Plot::new(lag_label("time apart", unit), format!("mean-square displacement ({name})"))
        .series(Series::points("", values).errors(ends).joined())
}

fn lag_label(words: &str, unit: RateUnit) -> String {
    match unit {
        RateUnit::PerFrame => format!("{words} (frames)"),
        RateUnit::PerSecond => format!("{words} (s)"),
    }
}
