//! From a recipe to a trained network.
//!
//! Every step is trained on images that were never seen before. From time to time the network looks at a fixed set of
//! images that are not trained on; the state, the curves and the network so far are then written, so that a training
//! can be stopped at any time and goes on as if it had not been.

pub mod batches;
pub mod folder;
pub mod recipe;
pub mod validation;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use atomlens_analysis::columns::ColumnSettings;
use atomlens_core::SeedPath;
use atomlens_dataset::StreamSettings;
use atomlens_dataset::training::{Mixture, TrainingPair, TrainingStream};
use atomlens_network::{Architecture, Device, Learner, LearnerState, Network};
use serde::Serialize;

use self::folder::{CurvePoint, Folder, Losses};
pub use self::recipe::{Schedule, TrainingRecipe};
use self::validation::{DOSE_BORDERS, judge, tally};
use crate::provenance::Provenance;
use crate::{Context, WorkflowError};

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSettings {
    /// The recipe.
    pub recipe: TrainingRecipe,
    /// Its images.
    pub mixture: Mixture,
    /// Seed.
    pub seed: u64,
    /// The folder.
    pub out: PathBuf,
    /// Whether to go on with what the folder holds.
    pub resume: bool,
    /// Where it is computed.
    pub device: Device,
    /// Ends the training after so many minutes, the learning rate falling in time.
    pub minutes: Option<f64>,
}

/// What was typed.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// A recipe's file or the name of one that comes with the program.
    pub recipe: String,
    /// The folder.
    pub out: PathBuf,
    /// Whether to go on.
    pub resume: bool,
    /// Where it is computed.
    pub device: TrainingDevice,
    /// Minutes.
    pub minutes: Option<f64>,
    /// Steps, if others than the recipe's.
    pub steps: Option<u64>,
    /// Seed.
    pub seed: u64,
}

/// Where a training is asked to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingDevice {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

impl TrainSettings {
    /// Finds the recipe and its mixture, and checks what was typed.
    ///
    /// # Errors
    /// A recipe or mixture that is not there or wrong, or a device that this program was not built for.
    pub fn resolve(options: TrainOptions) -> Result<TrainSettings, WorkflowError> {
        let device = match options.device {
            TrainingDevice::Cpu => Device::Cpu,
            #[cfg(feature = "cuda")]
            TrainingDevice::Cuda => Device::Cuda,
            #[cfg(not(feature = "cuda"))]
            TrainingDevice::Cuda => {
                return Err(WorkflowError::Setting {
                    what: "--device",
                    found: "cuda".to_owned(),
                    expected: "cpu: this program was built without its feature `cuda`".to_owned(),
                });
            }
        };
        if let Some(minutes) = options.minutes.filter(|minutes| !(*minutes > 0.0 && minutes.is_finite())) {
            return Err(WorkflowError::Setting {
                what: "--minutes",
                found: minutes.to_string(),
                expected: "more than 0".to_owned(),
            });
        }
        let (mut recipe, mixture) = recipe::find(&options.recipe)?;
        recipe.schedule.steps = options.steps.unwrap_or(recipe.schedule.steps).max(1);
        Ok(TrainSettings {
            recipe,
            mixture,
            seed: options.seed,
            out: options.out,
            resume: options.resume,
            device,
            minutes: options.minutes,
        })
    }
}

/// What the job made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainSummary {
    /// The folder.
    pub out: PathBuf,
    /// Steps done.
    pub steps: u64,
    /// The last look at images that are not trained on.
    pub last: Option<CurvePoint>,
}

/// What `settings.json` says.
#[derive(Debug, Clone, Serialize)]
struct Resolved {
    recipe: TrainingRecipe,
    parameters: usize,
    seed: u64,
}

/// Minutes between two checkpoints at most.
const CHECKPOINT_MINUTES: f64 = 3.0;

/// Runs the job.
///
/// # Errors
/// A mixture that cannot be followed, a folder that holds another training, Ctrl-C.
pub fn run(settings: &TrainSettings, context: &Context) -> Result<TrainSummary, WorkflowError> {
    let mut mixture = settings.mixture.clone();
    mixture.field_px = settings.recipe.schedule.field_px.unwrap_or(mixture.field_px);
    let architecture = settings.recipe.architecture(&mixture);
    let multiple = 2 * architecture.cell_multiple();
    if !mixture.field_px.is_multiple_of(multiple) {
        return Err(WorkflowError::Setting {
            what: "schedule.field_px",
            found: mixture.field_px.to_string(),
            expected: format!("a multiple of {multiple}, since the network halves its images"),
        });
    }
    let folder = Folder { path: settings.out.clone() };
    let state = prepare(settings, &architecture, &folder)?;
    Training { settings, mixture, architecture, folder, context }.run(state)
}

/// Makes the folder, or takes up what it holds.
fn prepare(
    settings: &TrainSettings,
    architecture: &Architecture,
    folder: &Folder,
) -> Result<LearnerState, WorkflowError> {
    let out = &settings.out;
    let start = || LearnerState::draw(architecture, SeedPath::new(settings.seed).child("network"));
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        if settings.resume {
            return Ok(folder.read_checkpoint(architecture)?.unwrap_or_else(start));
        }
        let advice = "to go on with the training in it, add --resume".to_owned();
        return Err(WorkflowError::FolderNotEmpty { path: out.clone(), advice });
    }
    fs::create_dir_all(out).map_err(|error| WorkflowError::write(out, &error))?;
    let resolved =
        Resolved { recipe: settings.recipe.clone(), parameters: architecture.parameter_count(), seed: settings.seed };
    Provenance::new("train", resolved).write(&out.join("settings.json"))?;
    Ok(start())
}

struct Training<'a> {
    settings: &'a TrainSettings,
    mixture: Mixture,
    architecture: Architecture,
    folder: Folder,
    context: &'a Context,
}

impl Training<'_> {
    fn run(&self, state: LearnerState) -> Result<TrainSummary, WorkflowError> {
        let schedule = &self.settings.recipe.schedule;
        let batch = schedule.batch as u64;
        let mut curve = self.folder.read_curve(state.steps)?;
        let minutes_before = curve.last().map_or(0.0, |point| point.minutes);
        let began = Instant::now();
        let minutes = || minutes_before + began.elapsed().as_secs_f64() / 60.0;

        self.context.progress.begin(schedule.steps, "steps");
        let unseen = self.unseen()?;
        let first = state.steps * batch;
        let stream = self.stream(self.settings.seed, first, None)?;
        let mut pairs = stream.map(|pair| pair.map_err(|source| self.failed(source)));
        let mut learner = Learner::new(self.architecture.clone(), self.settings.device, &state);
        let mut steps = state.steps;
        let mut losses = Losses::default();
        let mut checkpoint_minutes = minutes();
        loop {
            let part =
                self.settings.minutes.map_or(0.0, |all| minutes() / all).max(steps as f64 / schedule.steps as f64);
            let ends = part >= 1.0 || self.context.is_cancelled();
            let looks = ends || (steps > state.steps && steps.is_multiple_of(schedule.validate_every));
            if looks {
                let rate = schedule.learning_rate(steps, part);
                let point = self.look(
                    &learner,
                    &unseen,
                    &losses,
                    CurvePoint { step: steps, minutes: minutes(), learning_rate: rate, ..CurvePoint::default() },
                )?;
                losses = Losses::default();
                curve.push(point);
            }
            if looks || minutes() - checkpoint_minutes > CHECKPOINT_MINUTES {
                self.folder.write_checkpoint(&self.architecture, &learner.state(), &curve)?;
                checkpoint_minutes = minutes();
            }
            if ends {
                break;
            }
            let rate = schedule.learning_rate(steps, part);
            let taken: Vec<TrainingPair> = pairs.by_ref().take(schedule.batch).collect::<Result<_, WorkflowError>>()?;
            let report = learner.step(&batches::batch(&taken), rate);
            losses.add(&report);
            steps += 1;
            self.context.progress.done(steps);
        }
        if self.context.is_cancelled() {
            return Err(WorkflowError::Cancelled { done: steps, total: schedule.steps, unit: "steps" });
        }
        Ok(TrainSummary { out: self.settings.out.clone(), steps, last: curve.pop() })
    }

    /// Images that are not trained on: the same for every training of this mixture, whatever its seed.
    fn unseen(&self) -> Result<Vec<TrainingPair>, WorkflowError> {
        let count = self.settings.recipe.schedule.validation_images;
        unseen_pairs(&self.mixture, count, self.context).map_err(|source| self.failed(source))
    }

    fn stream(&self, seed: u64, first: u64, end: Option<u64>) -> Result<TrainingStream, WorkflowError> {
        let settings = StreamSettings { first, end, ..StreamSettings::for_training(self.context.threads) };
        TrainingStream::new(&self.mixture, seed, settings).map_err(|source| self.failed(source.into()))
    }

    fn failed(&self, source: std::sync::Arc<atomlens_dataset::DatasetError>) -> WorkflowError {
        WorkflowError::Stream { path: self.settings.recipe.mixture.clone(), source }
    }

    fn look(
        &self,
        learner: &Learner,
        unseen: &[TrainingPair],
        losses: &Losses,
        mut point: CurvePoint,
    ) -> Result<CurvePoint, WorkflowError> {
        let weights = learner.state().weights(&self.architecture);
        let network = Network::new(self.architecture.clone(), weights)
            .map_err(|reason| WorkflowError::TrainingFailed { steps: point.step, reason })?;
        let species: Vec<String> = self.mixture.labels.species().iter().map(|&name| name.to_owned()).collect();
        let judged = judge(&network, &species, unseen, &ColumnSettings::default());
        let score = tally(&judged, 0.0, f64::INFINITY).score();
        [point.loss_share, point.loss_place, point.loss_atoms] = losses.mean();
        (point.precision, point.recall, point.f1) = (score.precision, score.recall, score.f1);
        point.median_position_error_pm = score.position.map(|position| position.median_pm);
        point.set_f1_by_dose(std::array::from_fn(|index| {
            let highest = DOSE_BORDERS.get(index + 1).copied().unwrap_or(f64::INFINITY);
            tally(&judged, DOSE_BORDERS[index], highest).score().f1
        }));
        self.folder.write_network(&network)?;
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        self.context.progress.note(&format!(
            "step {}: loss {:.3}, place {:.3}; F1 {} on unseen images, position error {} pm",
            point.step,
            point.loss_share,
            point.loss_place,
            shown(point.f1),
            shown(point.median_position_error_pm)
        ));
        Ok(point)
    }
}

/// Seed of images that no network is trained on.
const UNSEEN_SEED: u64 = 0x756e_7365_656e;

/// Images of a mixture that no network is trained on.
pub fn unseen_pairs(
    mixture: &Mixture,
    count: usize,
    context: &Context,
) -> Result<Vec<TrainingPair>, std::sync::Arc<atomlens_dataset::DatasetError>> {
    let settings = StreamSettings { end: Some(count as u64), ..StreamSettings::for_training(context.threads) };
    TrainingStream::cancellable(mixture, UNSEEN_SEED, settings, context.cancelled.clone())?.collect()
}
