//! How many of the true columns were found, how many of the found are true, and how far off they are.
//!
//! Detected and true columns are paired one to one within 0.05 nm ([`crate::matching`]). With h hits, m missed and f
//! false columns: precision h / (h + f), recall h / (h + m), F1 2 h / (2 h + m + f). What would be 0 / 0 is left open
//! (`None`) and left out of means over files: a frame without detections has no precision, but if it has columns its
//! recall and its F1 are 0; a frame with neither columns nor detections has no F1.

use std::fmt;

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use serde::{Deserialize, Serialize};

use crate::matching::{HIT_RADIUS_ANGSTROM, pair};

/// Picometres in an angstrom.
const PM_PER_ANGSTROM: f64 = 100.0;

/// The places of detected columns, in angstrom.
pub fn places(columns: &[DetectedColumn]) -> Vec<DVec2> {
    columns.iter().map(|column| DVec2::new(column.x_angstrom, column.y_angstrom)).collect()
}

/// What was found and missed in one or several frames; tallies of frames add up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Detected minus true place of each hit, in angstrom.
    pub errors_angstrom: Vec<DVec2>,
    /// Number of true columns that were not found.
    pub missed: usize,
    /// Number of detected columns that are not there.
    pub false_columns: usize,
}

impl Tally {
    /// Compares the detected with the true places of one frame, in angstrom.
    pub fn of(detected: &[DVec2], truth: &[DVec2]) -> Tally {
        let errors_angstrom: Vec<DVec2> =
            pair(detected, truth, HIT_RADIUS_ANGSTROM).into_iter().map(|pair| pair.error).collect();
        let hits = errors_angstrom.len();
        Tally { errors_angstrom, missed: truth.len() - hits, false_columns: detected.len() - hits }
    }

    /// Adds another frame's.
    pub fn add(&mut self, other: &Tally) {
        self.errors_angstrom.extend_from_slice(&other.errors_angstrom);
        self.missed += other.missed;
        self.false_columns += other.false_columns;
    }

    /// The figures.
    pub fn score(&self) -> Score {
        let (hits, missed, false_columns) = (self.errors_angstrom.len(), self.missed, self.false_columns);
        let ratio = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        Score {
            hits,
            missed,
            false_columns,
            precision: ratio(hits, hits + false_columns),
            recall: ratio(hits, hits + missed),
            f1: ratio(2 * hits, 2 * hits + missed + false_columns),
            position: PositionError::of(&self.errors_angstrom),
        }
    }
}

/// Precision, recall, F1 and position error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Number of true columns that were found.
    pub hits: usize,
    /// Number of true columns that were not found.
    pub missed: usize,
    /// Number of detected columns that are not there.
    #[serde(rename = "false")]
    pub false_columns: usize,
    /// Share of the detected columns that are there; `None` if nothing was detected.
    pub precision: Option<f64>,
    /// Share of the true columns that were found; `None` if there are none.
    pub recall: Option<f64>,
    /// Harmonic mean of the two; `None` if there was nothing to find and nothing was found.
    pub f1: Option<f64>,
    /// Of the hits; `None` if there are none.
    pub position: Option<PositionError>,
}

/// How far detected columns are from the true ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PositionError {
    /// Median distance in picometre.
    pub median_pm: f64,
    /// Root of the mean squared distance in picometre.
    pub rms_pm: f64,
    /// Mean of detected minus true x in picometre.
    pub bias_x_pm: f64,
    /// Mean of detected minus true y in picometre.
    pub bias_y_pm: f64,
}

impl PositionError {
    fn of(errors_angstrom: &[DVec2]) -> Option<PositionError> {
        let count = errors_angstrom.len() as f64;
        let mut distances: Vec<f64> = errors_angstrom.iter().map(|error| error.length()).collect();
        let bias = errors_angstrom.iter().sum::<DVec2>() / count * PM_PER_ANGSTROM;
        let square = errors_angstrom.iter().map(|error| error.length_squared()).sum::<f64>() / count;
        Some(PositionError {
            median_pm: median(&mut distances)? * PM_PER_ANGSTROM,
            rms_pm: square.sqrt() * PM_PER_ANGSTROM,
            bias_x_pm: bias.x,
            bias_y_pm: bias.y,
        })
    }
}

/// The median of values, which are sorted by this; `None` of none.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { 0.5 * (values[middle - 1] + upper) } else { upper })
}

/// Scores of several files and of all their columns together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreTable {
    /// By file, in the order given.
    pub files: Vec<FileScore>,
    /// Mean over the files that have one.
    pub mean_f1: Option<f64>,
    /// Mean over the files that have one.
    pub mean_precision: Option<f64>,
    /// Mean over the files that have one.
    pub mean_recall: Option<f64>,
    /// Of all columns of all files as if they were in one.
    pub total: Score,
}

/// The score of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileScore {
    /// Name of the file, or of the frame.
    pub file: String,
    /// Its score.
    #[serde(flatten)]
    pub score: Score,
}

impl ScoreTable {
    /// Gathers the tallies of named files.
    pub fn new<'a>(tallies: impl IntoIterator<Item = (String, &'a Tally)>) -> ScoreTable {
        let mut all = Tally::default();
        let mut files = Vec::new();
        for (file, tally) in tallies {
            all.add(tally);
            files.push(FileScore { file, score: tally.score() });
        }
        let mean = |of: fn(&Score) -> Option<f64>| {
            let values: Vec<f64> = files.iter().filter_map(|file| of(&file.score)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        ScoreTable {
            mean_f1: mean(|score| score.f1),
            mean_precision: mean(|score| score.precision),
            mean_recall: mean(|score| score.recall),
            total: all.score(),
            files,
        }
    }
}

impl fmt::Display for ScoreTable {
    /// A table for reading; what is undefined is shown as `-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            self.files.iter().map(|file| file.file.chars().count()).max().unwrap_or(0).max("mean of files".len());
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let pm = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        writeln!(
            f,
            "{:width$}  {:>6} {:>6} {:>6}  {:>9} {:>6} {:>6}  {:>9} {:>6} {:>13}",
            "file", "hits", "missed", "false", "precision", "recall", "F1", "median pm", "rms pm", "bias x, y pm"
        )?;
        let mut line = |name: &str, score: &Score| {
            let position = score.position;
            writeln!(
                f,
                "{name:width$}  {:>6} {:>6} {:>6}  {:>9} {:>6} {:>6}  {:>9} {:>6} {:>13}",
                score.hits,
                score.missed,
                score.false_columns,
                number(score.precision),
                number(score.recall),
                number(score.f1),
                pm(position.map(|position| position.median_pm)),
                pm(position.map(|position| position.rms_pm)),
                position.map_or("-".to_owned(), |p| format!("{:.1}, {:.1}", p.bias_x_pm, p.bias_y_pm)),
            )
        };
        for file in &self.files {
            line(&file.file, &file.score)?;
        }
        line("all columns", &self.total)?;
        writeln!(
            f,
            "{:width$}  {:>6} {:>6} {:>6}  {:>9} {:>6} {:>6}",
            "mean of files",
            "",
            "",
            "",
            number(self.mean_precision),
            number(self.mean_recall),
            number(self.mean_f1)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(places: &[(f64, f64)]) -> Vec<DVec2> {
        places.iter().map(|&(x, y)| DVec2::new(x, y)).collect()
    }

    #[test]
    fn a_case_counted_by_hand() {
        let truth = at(&[(0.0, 0.0), (3.0, 0.0), (6.0, 0.0), (9.0, 0.0)]);
        let detected = at(&[(0.03, 0.04), (3.0, -0.1), (6.0, 0.6), (20.0, 0.0), (0.1, 0.0)]);
        let score = Tally::of(&detected, &truth).score();
        assert_eq!((score.hits, score.missed, score.false_columns), (2, 2, 3));
        assert_eq!((score.precision, score.recall), (Some(0.4), Some(0.5)));
        assert!((score.f1.unwrap() - 4.0 / 9.0).abs() < 1e-12);
        let position = score.position.unwrap();
        assert!((position.median_pm - 7.5).abs() < 1e-9 && (position.rms_pm - 62.5_f64.sqrt()).abs() < 1e-9);
        assert!((position.bias_x_pm - 1.5).abs() < 1e-9 && (position.bias_y_pm + 3.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_prediction_is_no_success() {
        let missed = Tally::of(&[], &at(&[(0.0, 0.0)])).score();
        assert_eq!((missed.precision, missed.recall, missed.f1, missed.position), (None, Some(0.0), Some(0.0), None));
        let invented = Tally::of(&at(&[(0.0, 0.0)]), &[]).score();
        assert_eq!((invented.precision, invented.recall, invented.f1), (Some(0.0), None, Some(0.0)));
        assert_eq!(Tally::of(&[], &[]).score().f1, None);
    }

    #[test]
    fn files_add_up_and_the_table_reads_back() {
        let good = Tally::of(&at(&[(0.0, 0.0), (2.0, 0.0)]), &at(&[(0.0, 0.1), (2.0, 0.1)]));
        let bad = Tally::of(&[], &at(&[(0.0, 0.0)]));
        let empty = Tally::of(&[], &[]);
        let table = ScoreTable::new([
            ("good.csv".to_owned(), &good),
            ("bad.csv".to_owned(), &bad),
            ("empty frame.csv".to_owned(), &empty),
        ]);
        assert_eq!((table.mean_f1, table.total.f1, table.total.recall), (Some(0.5), Some(0.8), Some(2.0 / 3.0)));
        let json = serde_json::to_string(&table).unwrap();
        assert!(json.contains(r#""file":"bad.csv","hits":0,"missed":1,"false":0,"precision":null"#), "{json}");
        assert_eq!(serde_json::from_str::<ScoreTable>(&json).unwrap(), table);
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["good.csv", "2", "0", "0", "1.000", "1.000", "1.000", "10.0", "10.0", "0.0,", "-10.0"]
        );
        assert!(lines[..5].iter().all(|line| line.chars().count() == lines[0].chars().count()), "{text}");
    }
}
