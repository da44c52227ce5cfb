//! The page of a training that runs: curves of loss, scores, position error and learning rate over the steps. The page
//! is written anew every now and then, and renews itself in a browser as long as the training runs.

use std::path::Path;

use askama::Template;

use super::sections::figure;
use super::{Figure, STYLE, grouped};
use crate::plot::Plot;
use crate::scale_bar::short_number;
use crate::series::Series;
use crate::{ReportError, file};

/// A curve has at most so many points; more are averaged.
const MOST_POINTS: usize = 400;

/// Whether a training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainingState {
    /// It runs, and the page renews itself.
    #[default]
    Running,
    /// All steps are done.
    Finished,
    /// It ended before all steps were done, and can be resumed.
    Stopped,
}

/// What a page about a training is made of.
#[derive(Debug, Clone, Default)]
pub struct TrainingCurves {
    /// What the page is called.
    pub title: String,
    /// Whether the training goes on.
    pub state: TrainingState,
    /// Facts: name and value, such as the recipe, the network and the device.
    pub facts: Vec<(String, String)>,
    /// The steps so far, in their order.
    pub steps: Vec<TrainingStep>,
    /// The validations so far, in their order.
    pub validation: Vec<Validation>,
    /// How many steps there will be.
    pub total_steps: Option<u64>,
    /// Time of training so far.
    pub elapsed_s: f64,
    /// Time of training that is left.
    pub remaining_s: Option<f64>,
    /// How often the page renews itself while the training runs.
    pub refresh_s: u32,
}

/// One step of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingStep {
    /// Its number.
    pub step: u64,
    /// The loss on its images.
    pub loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// What a model reaches on images that it is never trained on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Validation {
    /// After which step.
    pub step: u64,
    /// The loss.
    pub loss: Option<f64>,
    /// F1 over all doses.
    pub f1: f64,
    /// Precision over all doses.
    pub precision: f64,
    /// Recall over all doses.
    pub recall: f64,
    /// The same by dose, in rising order.
    pub by_dose: Vec<DoseValidation>,
}

/// A validation on images of one dose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoseValidation {
    /// Dose in electrons per square angstrom.
    pub dose_e_per_a2: f64,
    /// F1.
    pub f1: f64,
    /// Precision.
    pub precision: f64,
    /// Recall.
    pub recall: f64,
    /// Median position error of what was found, in pm.
    pub median_position_error_pm: Option<f64>,
}

impl TrainingCurves {
    /// The page.
    pub fn to_html(&self) -> Result<String, ReportError> {
        let last = self.validation.last();
        let page = Page {
            title: &self.title,
            state: match self.state {
                TrainingState::Running => "Running",
                TrainingState::Finished => "Finished",
                TrainingState::Stopped => "Stopped",
            },
            refresh_s: if self.state == TrainingState::Running { self.refresh_s } else { 0 },
            summary: self.summary(),
            percent: self
                .total_steps
                .filter(|total| *total > 0)
                .map(|total| format!("{:.1}", (100.0 * self.last_step() as f64 / total as f64).min(100.0))),
            facts: &self.facts,
            figures: self.figures()?,
            rows: last.map(rows).unwrap_or_default(),
            last_step: last.map(|validation| grouped(validation.step as usize)).unwrap_or_default(),
            style: STYLE,
        };
        Ok(page.render()?)
    }

    /// Writes the page; an older one is replaced when the new one is complete.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        file::write(path.as_ref(), self.to_html()?.as_bytes())
    }

    fn last_step(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.step)
    }

    fn summary(&self) -> String {
        let Some(last) = self.steps.last() else {
            return "No step is done yet.".to_owned();
        };
        let done = grouped(last.step as usize);
        let mut text = match self.total_steps {
            Some(total) => format!("Step {done} of {}", grouped(total as usize)),
            None => format!("Step {done}"),
        };
        text.push_str(&format!(", {} of training", duration(self.elapsed_s)));
        if let (TrainingState::Running, Some(remaining)) = (self.state, self.remaining_s) {
            text.push_str(&format!(", about {} left", duration(remaining)));
        }
        let recent = &self.steps[self.steps.len().saturating_sub(50)..];
        let loss = recent.iter().map(|step| step.loss).sum::<f64>() / recent.len() as f64;
        text.push_str(&format!(". Loss {}", short_number(loss)));
        if let Some(validation) = self.validation.last() {
            text.push_str(&format!("; F1 {:.3} on images that are never trained on", validation.f1));
        }
        text + "."
    }

    fn figures(&self) -> Result<Vec<Figure>, ReportError> {
        let validated = |of: &dyn Fn(&Validation) -> Option<f64>| -> Vec<(f64, f64)> {
            self.validation.iter().filter_map(|v| Some((v.step as f64, of(v)?))).collect()
        };
        let loss = thinned(self.steps.iter().map(|s| (s.step as f64, s.loss)).collect());
        let validation_loss = validated(&|v| v.loss);
        // A loss that holds the logarithm of an uncertainty may fall below zero.
        let positive = loss.iter().chain(&validation_loss).all(|p| p.1 > 0.0);
        let mut plot = Plot::new("step", "loss").series(Series::line("training", loss));
        if !validation_loss.is_empty() {
            plot = plot.series(Series::points("validation", validation_loss).joined());
        }
        let plots = [
            (if positive { plot.y_log() } else { plot }, "Loss"),
            (
                self.by_dose(Plot::new("step", "F1"), ("all doses", validated(&|v| Some(v.f1))), |dose| Some(dose.f1)),
                "F1 in validation, over all doses and by dose",
            ),
            (
                Plot::new("step", "score")
                    .series(Series::points("precision", validated(&|v| Some(v.precision))).joined())
                    .series(Series::points("recall", validated(&|v| Some(v.recall))).joined()),
                "Precision and recall in validation, over all doses",
            ),
            (
                self.by_dose(Plot::new("step", "median position error (pm)").y_log(), ("", Vec::new()), |dose| {
                    dose.median_position_error_pm
                }),
                "Median position error in validation, by dose",
            ),
            (
                Plot::new("step", "learning rate").y_log().series(Series::line(
                    "",
                    thinned(self.steps.iter().map(|s| (s.step as f64, s.learning_rate)).collect()),
                )),
                "Learning rate",
            ),
        ];
        let mut figures = Vec::new();
        for (plot, caption) in plots {
            match figure(&plot, caption.to_owned()) {
                Ok(figure) => figures.push(figure),
                // At the start there is nothing to show of some.
                Err(ReportError::Empty { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(figures)
    }

    /// One curve for all doses and one for each dose that there is.
    fn by_dose(
        &self,
        plot: Plot,
        (all, points): (&str, Vec<(f64, f64)>),
        of: impl Fn(&DoseValidation) -> Option<f64>,
    ) -> Plot {
        let mut doses: Vec<f64> =
            self.validation.iter().flat_map(|v| v.by_dose.iter().map(|dose| dose.dose_e_per_a2)).collect();
        doses.sort_unstable_by(f64::total_cmp);
        doses.dedup();
        let plot =
            if points.is_empty() { plot } else { plot.series(Series::line(all, points).colour(crate::colour::INK)) };
        doses.into_iter().fold(plot, |plot, dose| {
            let points = self.validation.iter().filter_map(|validation| {
                let at = validation.by_dose.iter().find(|d| d.dose_e_per_a2 == dose)?;
                Some((validation.step as f64, of(at)?))
            });
            let points: Vec<(f64, f64)> = points.collect();
            plot.series(Series::points(format!("{} e/Å²", short_number(dose)), points).joined())
        })
    }
}

fn rows(validation: &Validation) -> Vec<Vec<String>> {
    let score = |value: f64| format!("{value:.3}");
    let mut rows: Vec<Vec<String>> = validation
        .by_dose
        .iter()
        .map(|dose| {
            let error = dose.median_position_error_pm.map_or("–".to_owned(), |error| format!("{error:.1}"));
            vec![short_number(dose.dose_e_per_a2), score(dose.f1), score(dose.precision), score(dose.recall), error]
        })
        .collect();
    let all = [validation.f1, validation.precision, validation.recall].map(score);
    rows.push(["all".to_owned()].into_iter().chain(all).chain(["–".to_owned()]).collect());
    rows
}

/// A curve of many points as the means of neighbouring ones.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(MOST_POINTS).max(1);
    points
        .chunks(size)
        .map(|chunk| {
            let mean = |of: fn(&(f64, f64)) -> f64| chunk.iter().map(of).sum::<f64>() / chunk.len() as f64;
            (mean(|p| p.0), mean(|p| p.1))
        })
        .collect()
}

/// A duration in the units that people use for it.
fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "an unknown time".to_owned();
    }
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min", (whole + 30) / 60),
        _ => format!("{} h {:02} min", (whole + 30) / 3600, (whole + 30) % 3600 / 60),
    }
}

/// What the template needs.
#[derive(Template)]
#[template(path = "training.html")]
struct Page<'a> {
    title: &'a str,
    state: &'static str,
    refresh_s: u32,
    summary: String,
    percent: Option<String>,
    facts: &'a [(String, String)],
    figures: Vec<Figure>,
    rows: Vec<Vec<String>>,
    last_step: String,
    style: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_do() {
        for (seconds, written) in
            [(0.2, "0 s"), (119.0, "119 s"), (150.0, "3 min"), (7_300.0, "2 h 02 min"), (f64::NAN, "an unknown time")]
        {
            assert_eq!(duration(seconds), written);
        }
    }

    #[test]
    fn a_long_curve_is_averaged() {
        let thin = thinned((0..100_000).map(|i| (f64::from(i), 1.0)).collect());
        assert!(thin.len() <= MOST_POINTS && thin.iter().all(|p| (p.1 - 1.0).abs() < 1e-12));
        assert!(thin.windows(2).all(|pair| pair[1].0 > pair[0].0));
        assert_eq!(thinned(vec![(1.0, 2.0)]), [(1.0, 2.0)]);
    }
}
