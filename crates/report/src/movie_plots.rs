//! Plots of what a movie was found to do: rates by class, drift, lifetimes, correlation, displacements.

use atomlens_core::quantile::NORMAL_95;

use crate::colour::{Colour, from_hex};
use crate::estimate::Estimate;
use crate::plot::Plot;
use crate::series::Series;

/// What a count that errors of detection are still in is drawn in.
const NAIVE: Colour = from_hex(0x8c8c8c);
/// What the inferred number is drawn in.
const CORRECTED: Colour = from_hex(0x0072b2);

/// A count of so many times the corrected rates leaves no room for them on a linear axis.
const MUCH: f64 = 5.0;
/// The least rate on a logarithmic axis, as a share of the highest.
const LEAST_SHARE: f64 = 1e-4;

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
/// 95 %. Where the count is many times too high the axis is logarithmic.
pub fn rates_plot(classes: &[ClassRates], unit: RateUnit) -> Plot {
    let at = |index: usize, shift: f64| index as f64 + shift;
    let naive = classes.iter().enumerate().map(|(i, class)| (at(i, -0.12), class.naive_rate));
    let rates = classes.iter().enumerate().map(|(i, class)| (at(i, 0.12), class.switch_rate.value));
    let ends = classes.iter().map(|class| (class.switch_rate.low, class.switch_rate.high));
    let known = |of: fn(&ClassRates) -> f64| classes.iter().map(of).filter(|rate| *rate > 0.0 && rate.is_finite());
    let counted = known(|class| class.naive_rate).fold(0.0, f64::max);
    let highest = known(|class| class.switch_rate.value.max(class.switch_rate.high)).fold(0.0, f64::max);
    // Of a class that never switches the upper end is all that has a place on a logarithmic axis.
    let least = |class: &ClassRates| match class.switch_rate.value {
        value if value > 0.0 => value,
        _ => class.switch_rate.high,
    };
    let lowest = known(least).fold(f64::INFINITY, f64::min);
    let plot = Plot::new("", format!("switches per site and {}", unit.noun()))
        .x_categories(classes.iter().map(|class| class.class.clone()))
        .series(Series::points("corrected, with 95 % interval", rates).errors(ends).colour(CORRECTED))
        .series(Series::points("naive count", naive).colour(NAIVE));
    let most = counted.max(highest);
    if counted > MUCH * highest && lowest.is_finite() {
        return plot.y_log().y_range((0.3 * lowest).max(LEAST_SHARE * most), 2.0 * most);
    }
    plot.y_range(0.0, if most > 0.0 { 1.08 * most } else { 1.0 })
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

/// Where the specimen was, in both directions, against time, with bands of 95 %; frames that were not measured are left
/// out.
pub fn drift_plot(drift: &[DriftPoint]) -> Plot {
    let (times, label) = drift_axis(drift);
    let line = |name: &str, of: fn(&DriftPoint) -> f64| {
        let value = |point: &DriftPoint| if point.trusted { of(point) } else { f64::NAN };
        let half = |point: &DriftPoint| NORMAL_95 * point.sigma_nm;
        let ends = drift.iter().map(|point| (value(point) - half(point), value(point) + half(point)));
        Series::line(name, times.iter().zip(drift).map(|(time, point)| (*time, value(point)))).errors(ends)
    };
    Plot::new(label, "drift (nm)").series(line("x, to the right", |p| p.x_nm)).series(line("y, down", |p| p.y_nm))
}

/// How far the specimen has turned, against time.
pub fn rotation_plot(drift: &[DriftPoint]) -> Plot {
    let (times, label) = drift_axis(drift);
    let degrees = |point: &DriftPoint| if point.trusted { point.rotation_rad.to_degrees() } else { f64::NAN };
    Plot::new(label, "rotation (°)").curve("", times.iter().zip(drift).map(|(time, point)| (*time, degrees(point))))
}

/// The share of visits that last longer than a time, for filled and for empty sites, with bands of 95 %. Visits end as a
/// frame is taken, so that the curves fall in steps.
pub fn survival_plot(filled: &[SurvivalPoint], empty: &[SurvivalPoint], unit: RateUnit) -> Plot {
    let longest = filled.iter().chain(empty).map(|point| point.time).filter(|t| t.is_finite()).fold(0.0, f64::max);
    let mut plot = Plot::new(lag_label("time since filled or emptied", unit), "share still so").y_range(0.0, 1.03);
    if longest > 0.0 {
        plot = plot.x_range(0.0, longest);
    }
    for (label, points) in [("filled", filled), ("empty", empty)] {
        if !points.is_empty() {
            let steps = in_steps(points);
            let series = Series::line(label, steps.iter().map(|point| (point.time, point.share.value)));
            plot = plot.series(series.errors(steps.iter().map(|p| (p.share.low, p.share.high))));
        }
    }
    plot
}

/// Every share from its time on until the next; all visits last longer than no time.
fn in_steps(points: &[SurvivalPoint]) -> Vec<SurvivalPoint> {
    let mut before = Estimate::new(1.0, 1.0, 1.0);
    let mut steps = vec![SurvivalPoint { time: 0.0, share: before }];
    for point in points {
        steps.extend([SurvivalPoint { time: point.time, share: before }, *point]);
        before = point.share;
    }
    steps
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(class: &str, corrected: f64, naive: f64) -> ClassRates {
        ClassRates {
            class: class.to_owned(),
            switch_rate: Estimate::new(corrected, 0.8 * corrected, 1.3 * corrected),
            naive_rate: naive,
            ..ClassRates::default()
        }
    }

    #[test]
    fn rates_stand_over_their_class_and_fit_on_the_axis() {
        let names = ["interior", "a class of a name that has to be broken into several lines", "edge"];
        let classes: Vec<ClassRates> =
            names.iter().enumerate().map(|(i, name)| rates(name, 0.01 * i as f64, 0.05)).collect();
        let plot = rates_plot(&classes, RateUnit::PerSecond);
        let drawing = plot.drawing(560).unwrap();
        let svg = drawing.to_svg("rates");
        assert!(
            svg.contains("switches per site and second") && svg.contains(">interior<") && svg.contains("naive count")
        );
        assert!(!svg.contains("that has to be broken into several lines"), "a long name stands in lines");
        assert!(drawing.rasterise().is_ok());
        // The count is many times the rates: powers of ten along the axis.
        let far: Vec<ClassRates> = classes.iter().map(|c| ClassRates { naive_rate: 0.9, ..c.clone() }).collect();
        assert!(rates_plot(&far, RateUnit::PerFrame).drawing(560).unwrap().to_svg("").contains(">0.01<"));
        // Rates that are not known, and none at all.
        let unknown = [ClassRates { naive_rate: f64::NAN, ..ClassRates::default() }, rates("edge", 0.02, f64::NAN)];
        assert!(rates_plot(&unknown, RateUnit::PerFrame).drawing(560).is_ok());
        assert!(rates_plot(&[], RateUnit::PerFrame).drawing(560).is_err());
    }

    #[test]
    fn conditions_share_their_classes() {
        let conditions = [
            ("vacuum".to_owned(), vec![rates("edge", 0.02, 0.1)]),
            ("oxygen".to_owned(), vec![rates("corner", 0.05, 0.1), rates("edge", 0.04, 0.1)]),
        ];
        let classes = ["edge".to_owned(), "corner".to_owned()];
        let plot = conditions_plot(&conditions, &classes, RateUnit::PerFrame);
        let svg = plot.drawing(560).unwrap().to_svg("rates");
        assert!(svg.contains("vacuum") && svg.contains("oxygen") && svg.contains(">corner<"));
    }

    #[test]
    fn what_was_not_measured_is_a_gap() {
        let point = |frame: usize| DriftPoint {
            frame,
            time_s: (frame != 3).then_some(frame as f64),
            x_nm: 0.1 * frame as f64,
            y_nm: -0.1,
            rotation_rad: 0.0,
            sigma_nm: 0.01,
            trusted: frame != 4,
        };
        let drift: Vec<DriftPoint> = (0..9).map(point).collect();
        // A time is missing, so that frames are counted.
        let svg = drift_plot(&drift).drawing(560).unwrap().to_svg("drift");
        assert!(svg.contains(">frame<"));
        assert_eq!(svg.matches("<polygon").count(), 4, "two bands each, before and after the gap");
        let timed: Vec<DriftPoint> = drift.iter().map(|p| DriftPoint { time_s: Some(p.frame as f64), ..*p }).collect();
        assert!(drift_plot(&timed).drawing(560).unwrap().to_svg("drift").contains("time (s)"));
        assert!(rotation_plot(&timed).drawing(560).is_ok());
    }

    #[test]
    fn small_displacements_are_in_picometres() {
        let points = |scale: f64| -> Vec<DisplacementPoint> {
            let point = |lag: i32| {
                let value = scale * f64::from(lag);
                DisplacementPoint {
                    time: f64::from(lag),
                    mean_square_nm2: Estimate::new(value, 0.9 * value, 1.1 * value),
                }
            };
            (1..9).map(point).collect()
        };
        for (scale, unit) in [(2e-5, "(pm²)"), (0.3, "(nm²)")] {
            let svg = displacement_plot(&points(scale), RateUnit::PerFrame).drawing(560).unwrap().to_svg("");
            assert!(svg.contains(unit), "{unit}");
        }
        let survival =
            [1.0, 3.0].map(|time| SurvivalPoint { time, share: Estimate::new(1.0 / (1.0 + time), 0.0, 1.0) });
        let steps: Vec<(f64, f64)> = in_steps(&survival).iter().map(|p| (p.time, p.share.value)).collect();
        assert_eq!(steps, [(0.0, 1.0), (1.0, 1.0), (1.0, 0.5), (3.0, 0.5), (3.0, 0.25)]);
        assert!(survival_plot(&survival, &[], RateUnit::PerSecond).drawing(560).is_ok());
        assert!(autocorrelation_plot(&[(0.0, 1.0), (1.0, -0.2)], RateUnit::PerFrame).drawing(560).is_ok());
    }
}
