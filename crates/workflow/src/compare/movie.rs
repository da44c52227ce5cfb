//! What is compared, read from a folder that `track` wrote.

use std::path::{Path, PathBuf};

use atomlens_analysis::movie::comparison::{Condition, Doubt};
use atomlens_analysis::movie::occupancy::Estimate;
use atomlens_formats::read_npy;
use ndarray::{Array2, Ix2};
use serde::Deserialize;

use super::columns::columns;
use crate::WorkflowError;

/// A site and what `track` says of it.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) x_nm: f64,
    pub(super) y_nm: f64,
    pub(super) class: String,
    pub(super) occupancy: Estimate,
    pub(super) switch_rate_per_frame: Estimate,
}

/// The parts of `movie.json` that are used; what is not known there is `null`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Summary {
    pub(super) frames: usize,
    #[serde(default)]
    pub(super) bad_frames: Vec<usize>,
    pub(super) frame_time_s: Option<f64>,
    pub(super) pixel_size_nm: f64,
    #[serde(default)]
    pub(super) image_px: [usize; 2],
    pub(super) model: String,
    #[serde(default)]
    pub(super) neighbour_nm: Option<f64>,
    pub(super) detector: Detector,
    pub(super) signal: Signal,
    pub(super) total: Rates,
    pub(super) classes: Vec<ClassRates>,
}

/// The detector's errors.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Detector {
    #[serde(default)]
    pub(super) missed_share: Option<f64>,
    #[serde(default)]
    pub(super) false_share: Option<f64>,
    #[serde(default)]
    pub(super) separation: Option<f64>,
}

/// What is known of the signal.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Signal {
    #[serde(default)]
    pub(super) mean_counts: Option<f64>,
    #[serde(default)]
    pub(super) dose_e_per_a2: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Value {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

/// The switching of some sites.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Rates {
    occupancy: Value,
    switches: Value,
    pub(super) naive_switches: Option<f64>,
    pub(super) losses: Option<f64>,
    pub(super) gains: Option<f64>,
}

/// The switching of a class.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ClassRates {
    pub(super) class: String,
    #[serde(flatten)]
    pub(super) rates: Rates,
}

impl Value {
    fn estimate(self) -> Estimate {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Estimate { value: number(self.value), low: number(self.low), high: number(self.high) }
    }
}

impl Rates {
    /// Number of switches in the movie.
    pub(super) fn switches(&self) -> Estimate {
        self.switches.estimate()
    }

    /// What the detector leaves open.
    pub(super) fn doubt(&self) -> Doubt {
        Doubt::of(&self.switches.estimate(), &self.occupancy.estimate())
    }
}

/// One condition.
#[derive(Debug, Clone)]
pub(super) struct Movie {
    pub(super) path: PathBuf,
    /// What it is called.
    pub(super) name: String,
    pub(super) summary: Summary,
    pub(super) sites: Vec<Site>,
    /// `[site, frame]`, as all three.
    probability: Array2<f32>,
    loss: Array2<f32>,
    gain: Array2<f32>,
    /// Frames from one to the next; 0 before the first.
    pub(super) steps_frames: Vec<f64>,
    /// The mean image, if it is there.
    pub(super) mean_image: Option<Array2<f32>>,
}

/// The files that are hashed for `settings.json`.
pub(super) const INPUTS: [&str; 3] = ["movie.json", "sites", "occupancy"];

impl Movie {
    /// Reads a folder.
    ///
    /// # Errors
    /// If it is none of `track`, or its tables are damaged or do not fit together.
    pub(super) fn read(path: &Path, name: String) -> Result<Movie, WorkflowError> {
        let summary = read_summary(path)?;
        let sites = read_sites(path)?;
        let rows = SiteFrames::read(path, sites.len(), &summary)?;
        let image = path.join("mean_image.npy");
        let mean_image = if image.is_file() {
            read_npy(&image)?.into_f32().and_then(|image| image.into_dimensionality::<Ix2>().ok())
        } else {
            None
        };
        let SiteFrames { probability, loss, gain, steps_frames } = rows;
        Ok(Movie { path: path.to_owned(), name, summary, sites, probability, loss, gain, steps_frames, mean_image })
    }

    /// For `atomlens_analysis`; the steps are in the unit of time that rates are to have.
    pub(super) fn condition<'a>(&'a self, steps: &'a [f64]) -> Condition<'a> {
        Condition { probability: self.probability.view(), loss: self.loss.view(), gain: self.gain.view(), steps }
    }

    /// The sites of a class.
    pub(super) fn members(&self, class: &str) -> Vec<usize> {
        (0..self.sites.len()).filter(|site| self.sites[*site].class == class).collect()
    }

    /// What `track` says of a class.
    pub(super) fn rates_of(&self, class: &str) -> Option<&Rates> {
        self.summary.classes.iter().find(|rates| rates.class == class).map(|class| &class.rates)
    }
}

fn read_summary(folder: &Path) -> Result<Summary, WorkflowError> {
    let path = folder.join("movie.json");
    let wrong = |reason: String| WorkflowError::Read {
        path: path.clone(),
        reason: format!("{reason}; expected a folder that `atomlens track` wrote"),
    };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

fn read_sites(folder: &Path) -> Result<Vec<Site>, WorkflowError> {
    const NUMBERS: [&str; 8] = [
        "x_nm",
        "y_nm",
        "occupancy",
        "occupancy_low",
        "occupancy_high",
        "switch_rate_per_frame",
        "switch_rate_low",
        "switch_rate_high",
    ];
    let numbers: Vec<Vec<f64>> =
        columns(folder, "sites", &NUMBERS)?.into_iter().map(|values| values.numbers()).collect();
    let classes = columns(folder, "sites", &["class"])?.into_iter().next().map(|values| values.words());
    let estimate = |first: usize, site: usize| Estimate {
        value: numbers[first][site],
        low: numbers[first + 1][site],
        high: numbers[first + 2][site],
    };
    let sites: Vec<Site> = classes
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(site, class)| Site {
            x_nm: numbers[0][site],
            y_nm: numbers[1][site],
            class,
            occupancy: estimate(2, site),
            switch_rate_per_frame: estimate(5, site),
        })
        .collect();
    if sites.is_empty() {
        let reason = "its table of sites has no rows: expected a movie in which sites were found".to_owned();
        return Err(WorkflowError::Read { path: folder.to_owned(), reason });
    }
    Ok(sites)
}

/// The table `occupancy` as arrays.
struct SiteFrames {
    probability: Array2<f32>,
    loss: Array2<f32>,
    gain: Array2<f32>,
    steps_frames: Vec<f64>,
}

impl SiteFrames {
    fn read(folder: &Path, sites: usize, summary: &Summary) -> Result<SiteFrames, WorkflowError> {
        const NAMES: [&str; 5] = ["frame", "site", "probability", "loss", "gain"];
        let wrong = |reason: String| WorkflowError::Read {
            path: folder.join("occupancy"),
            reason: format!(
                "{reason}; is the table that `atomlens track` wrote complete, and of the same run as sites and movie.json?"
            ),
        };
        let numbers: Vec<Vec<f64>> =
            columns(folder, "occupancy", &NAMES)?.into_iter().map(|values| values.numbers()).collect();
        let mut frames: Vec<usize> = numbers[0].iter().map(|frame| *frame as usize).collect();
        frames.dedup();
        let rows = numbers[0].len();
        // Frames that could not be used may have been left out.
        let expected = summary.frames.saturating_sub(summary.bad_frames.len())..=summary.frames;
        if !expected.contains(&frames.len()) || rows != frames.len() * sites {
            return Err(wrong(format!(
                "found {rows} rows of {} frames: expected {} frames with each of the {sites} sites",
                frames.len(),
                summary.frames
            )));
        }
        if frames.len() < 2 || frames.windows(2).any(|pair| pair[1] <= pair[0]) {
            return Err(wrong(format!("found {} frames: expected at least 2, in ascending order", frames.len())));
        }
        let array = |column: usize| {
            let mut array = Array2::<f32>::zeros((sites, frames.len()));
            for (row, value) in numbers[column].iter().enumerate() {
                let (frame, site) = (row / sites, row % sites);
                if numbers[1][row] != site as f64 || !(-1e-6..=1.0 + 1e-6).contains(value) {
                    let found = format!(
                        "row {} holds site {} and {} = {value}: expected site {site} and a probability",
                        row + 1,
                        numbers[1][row],
                        NAMES[column]
                    );
                    return Err(wrong(found));
                }
                array[[site, frame]] = value.clamp(0.0, 1.0) as f32;
            }
            Ok(array)
        };
        let (probability, loss, gain) = (array(2)?, array(3)?, array(4)?);
        let steps_frames =
            std::iter::once(0.0).chain(frames.windows(2).map(|pair| (pair[1] - pair[0]) as f64)).collect();
        Ok(SiteFrames { probability, loss, gain, steps_frames })
    }
}
