//! The self-check that goes with a result: movies like the one analysed, with known truth, through the same analysis.
//!
//! From a folder that `track` wrote and the movie that it was written of, a [`Twin`] is learned; its sites switch at the
//! rates that were found. What the analysis makes of it, against what is true in it (`check`), says what to expect of the
//! result: precision and recall of columns and events, error of position, bias of the rates.

mod check;
mod folder;

use std::path::PathBuf;

use atomlens_analysis::columns::ColumnSettings;
use atomlens_analysis::movie::drift::FramePose;
use atomlens_analysis::movie::occupancy::{FrameIntervals, Switching};
use atomlens_analysis::movie::twin::{Twin, TwinLearner, TwinSites, states};
use atomlens_core::{DetectedColumn, SeedPath};
use ndarray::Array2;
use parquet_derive::ParquetRecordWriter;
use serde::{Deserialize, Serialize};

use self::check::Tally;
use crate::detect::look::Eye;
use crate::model::Model;
use crate::provenance::{Provenance, write_json};
use crate::table::write_tables;
use crate::track::analysis::{Analysis, Columns, Found, Frames, Job, LEAST_PROBABILITY};
use crate::track::movie::Movie;
use crate::track::summary::Value;
use crate::{Context, WorkflowError};

/// Frames that a twin is learned from, at most; more say no more.
const MOST_LEARNED: usize = 300;

/// What the bias of the number of switches is called in the rows.
pub(crate) const RATE_BIAS: &str = "bias of the switching rate";

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TwinSettings {
    /// The folder that `track` wrote.
    pub results: PathBuf,
    /// Number of simulated movies.
    pub movies: u32,
    /// Frames of each; as many as the movie has, but no more than 200, if left out.
    pub frames: Option<usize>,
    /// Seed.
    pub seed: u64,
    /// The folder.
    pub out: PathBuf,
}

/// What to expect of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TwinCheck {
    /// Simulated movies.
    pub movies: u32,
    /// Frames of each.
    pub frames: usize,
    /// Counts that an electron gives, as the noise shows it.
    pub counts_per_electron: Option<f64>,
    /// Dose of a frame by that gain.
    pub dose_e_per_a2: Option<f64>,
    /// What was measured.
    pub rows: Vec<TwinRow>,
}

/// A number of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ParquetRecordWriter)]
pub struct TwinRow {
    /// What it is.
    pub quantity: String,
    /// The number.
    pub value: f64,
    /// Its interval of 95 %, where known.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// What it says.
    pub meaning: String,
}

impl TwinRow {
    /// The number with its interval.
    pub fn estimate(&self) -> Value {
        Value { value: self.value, low: self.low.unwrap_or(f64::NAN), high: self.high.unwrap_or(f64::NAN) }
    }
}

/// What a twin is made of.
#[derive(Debug, Clone)]
pub(crate) struct TwinSource {
    pub(crate) sites: TwinSites,
    pub(crate) rates: Vec<Switching>,
    pub(crate) poses: Vec<FramePose>,
    pub(crate) mean_image: Array2<f32>,
    pub(crate) pixel_angstrom: f64,
    pub(crate) frame_time_s: Option<f64>,
}

impl TwinSource {
    /// Of an analysis that was just made.
    pub(crate) fn of(analysis: &Analysis) -> TwinSource {
        let rates = analysis.occupancy.sites.iter().map(|site| Switching {
            fill: site.switching.fill_per_frame.value,
            empty: site.switching.empty_per_frame.value,
        });
        TwinSource {
            sites: TwinSites {
                places_angstrom: analysis.sites.places_angstrom(),
                probability: analysis.occupancy.probability.clone(),
                neighbour_angstrom: analysis.sites.neighbour_angstrom,
            },
            rates: rates.collect(),
            poses: analysis.followed.poses.clone(),
            mean_image: analysis.followed.mean_image.clone(),
            pixel_angstrom: analysis.pixel_angstrom,
            frame_time_s: analysis.occupancy.intervals.frame_time_s(),
        }
    }

    /// Learns how the frames are made.
    fn learned(&self, frames: &dyn Frames, eye: &Eye<'_>, context: &Context) -> Result<Twin, WorkflowError> {
        let mut learner = TwinLearner::new(self.mean_image.clone(), self.pixel_angstrom, self.sites.clone());
        let step = frames.count().div_ceil(MOST_LEARNED).max(1);
        let total = frames.count().div_ceil(step) as u64;
        context.progress.begin(total, "frames for the twin");
        for (done, index) in (0..frames.count()).step_by(step).enumerate() {
            if context.is_cancelled() {
                return Err(WorkflowError::Cancelled { done: done as u64, total, unit: "frames" });
            }
            let pose = &self.poses[index];
            if pose.trusted
                && let Ok(frame) = frames.frame(index)?
            {
                learner.add(index, eye.on_even_pixels(frame).view(), &pose.pose);
            }
            context.progress.done(done as u64 + 1);
        }
        Ok(learner.finish())
    }

    fn intervals(&self, frames: usize) -> FrameIntervals {
        self.frame_time_s
            .and_then(|time| FrameIntervals::at_seconds(&(0..frames).map(|n| time * n as f64).collect::<Vec<_>>()))
            .unwrap_or_else(|| FrameIntervals::even(frames))
    }

    /// Simulates and analyses twins.
    ///
    /// # Errors
    /// As they come from the disk; Ctrl-C.
    pub(crate) fn check(
        &self,
        frames: &dyn Frames,
        eye: &Eye<'_>,
        movies: u32,
        most_frames: usize,
        seed: SeedPath,
        context: &Context,
    ) -> Result<TwinCheck, WorkflowError> {
        let twin = self.learned(frames, eye, context)?;
        let count = frames.count().min(most_frames);
        let initial: Vec<f64> =
            self.sites.probability.rows().into_iter().map(|row| row.first().map_or(0.5, |p| f64::from(*p))).collect();
        let mut tally = Tally::new(eye.model.card.columns.probability_threshold);
        for movie in 0..movies {
            let seed = seed.child("twin").index(u64::from(movie));
            let intervals = self.intervals(count);
            let simulated = TwinMovie {
                twin: &twin,
                filled: states(&self.rates, &initial, &intervals, seed.child("states")),
                poses: &self.poses,
                seed: seed.child("frames"),
            };
            let mut columns = InMemory(vec![None; count]);
            // Frames of a twin have even pixels.
            let eye = Eye { pixel_angstrom: (self.pixel_angstrom, self.pixel_angstrom), ..eye.clone() };
            let job = Job { eye: &eye, intervals, known_sites: None, seed: seed.child("analysis"), context };
            let analysis =
                job.follow(&simulated, &mut columns).and_then(|followed| job.analyse(&simulated, &columns, followed));
            match analysis {
                Ok(analysis) => tally.add(&simulated, &analysis, &columns)?,
                Err(WorkflowError::NoMovie { reason }) => tally.failed(reason),
                Err(error) => return Err(error),
            }
        }
        let level = f64::from(self.mean_image.mean().unwrap_or(0.0));
        let gain = twin.noise.gain;
        Ok(TwinCheck {
            movies,
            frames: count,
            counts_per_electron: (gain > 0.0).then_some(gain),
            dose_e_per_a2: twin.noise.electrons_at(level).map(|electrons| electrons / self.pixel_angstrom.powi(2)),
            rows: tally.rows(),
        })
    }
}

/// A simulated movie; its frames are made when they are asked for.
pub(crate) struct TwinMovie<'a> {
    twin: &'a Twin,
    /// `[site, frame]`.
    filled: Array2<bool>,
    poses: &'a [FramePose],
    seed: SeedPath,
}

impl Frames for TwinMovie<'_> {
    fn count(&self) -> usize {
        self.filled.ncols()
    }

    fn frame(&self, index: usize) -> Result<Result<Array2<f32>, String>, WorkflowError> {
        let filled = self.filled.column(index).to_vec();
        Ok(Ok(self.twin.frame(&filled, &self.poses[index].pose, self.seed.index(index as u64))))
    }
}

/// Columns of a short movie.
struct InMemory(Vec<Option<Found>>);

impl Columns for InMemory {
    fn of(&self, frame: usize) -> Result<Option<Found>, WorkflowError> {
        Ok(self.0[frame].clone())
    }

    fn keep(&mut self, frame: usize, columns: &[DetectedColumn], warnings: &[String]) -> Result<(), WorkflowError> {
        self.0[frame] = Some((columns.to_vec(), warnings.to_vec()));
        Ok(())
    }
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TwinSummary {
    /// The folder.
    pub out: PathBuf,
    /// What to expect of the result.
    pub check: TwinCheck,
}

/// Frames of a twin if nobody says how many.
pub(crate) const MOST_FRAMES: usize = 200;

/// Runs the job.
///
/// # Errors
/// A folder that `track` did not write, a movie that is no longer there, Ctrl-C.
pub fn run(settings: &TwinSettings, context: &Context) -> Result<TwinSummary, WorkflowError> {
    if settings.movies == 0 {
        let expected = "1 or more".to_owned();
        return Err(WorkflowError::Setting { what: "--movies", found: "0".to_owned(), expected });
    }
    if let Some(frames) = settings.frames.filter(|frames| *frames < 2) {
        let expected = "2 or more".to_owned();
        return Err(WorkflowError::Setting { what: "--frames", found: frames.to_string(), expected });
    }
    let results = folder::read(&settings.results)?;
    let movie = Movie::open(&results.movie)?;
    if movie.frames() != results.source.poses.len() {
        let reason = format!(
            "the movie has {} frames, the results in {} are of {}: expected the movie that they were written of",
            movie.frames(),
            settings.results.display(),
            results.source.poses.len()
        );
        return Err(WorkflowError::NoMovie { reason });
    }
    let provenance = Provenance::new("twin", settings.clone()).input(&settings.results.join("sites.csv"))?;
    provenance.enter(&settings.out, false)?;
    provenance.write(&settings.out.join("settings.json"))?;
    let model = Model::find(&results.model)?;
    let eye = Eye {
        model: &model,
        onnx: None,
        pixel_angstrom: results.pixel_angstrom,
        columns: ColumnSettings { probability_threshold: LEAST_PROBABILITY, ..model.card.columns.clone() },
    };
    let frames = settings.frames.unwrap_or(MOST_FRAMES);
    let seed = SeedPath::new(settings.seed);
    let check = results.source.check(&movie, &eye, settings.movies, frames, seed, context)?;
    write(&check, &settings.out)?;
    Ok(TwinSummary { out: settings.out.clone(), check })
}

/// Writes `twin.json`, `twin.csv` and `twin.parquet`.
pub(crate) fn write(check: &TwinCheck, out: &std::path::Path) -> Result<(), WorkflowError> {
    write_json(&out.join("twin.json"), check)?;
    write_tables(out, "twin", || Ok(Box::new(check.rows.iter().cloned().map(Ok))))
}
