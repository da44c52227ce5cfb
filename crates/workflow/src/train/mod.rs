//! From a recipe to a trained network.
//!
//! Every step is trained on images that were never seen before. From time to time the network looks at a fixed set of
//! images that are not trained on; the state, the curves and the network so far are then written, so that a training
//! can be stopped at any time and goes on as if it had not been.

pub mod batches;
pub mod finish;
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
use atomlens_network::{
    Architecture, Device, Learner, LearnerState, Network, Weights, network_from_bytes, network_to_bytes,
};
use atomlens_report::html::{DoseValidation, TrainingCurves, TrainingState, TrainingStep, Validation};
use serde::Serialize;

use self::folder::{CurvePoint, Folder, Losses};
pub use self::recipe::{Schedule, TrainingRecipe};
use self::validation::judge;
use crate::model::Model;
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
    /// A model to begin with, by its name or folder; random weights if left out.
    pub from: Option<String>,
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
    /// A model to begin with.
    pub from: Option<String>,
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
            from: options.from,
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
    from: Option<String>,
}

/// Minutes between two checkpoints at most.
const CHECKPOINT_MINUTES: f64 = 3.0;

/// How much the frames beside the middle count, relative to it, when a network of several begins with one of single frames.
const BESIDE: f32 = 0.5;

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
    let start = || match &settings.from {
        None => Ok(LearnerState::draw(architecture, SeedPath::new(settings.seed).child("network"))),
        Some(name) => {
            let wrong = |reason: String| WorkflowError::Setting {
                what: "--from",
                found: format!("{name}, whose weights do not fit ({reason})"),
                expected: "a model of the recipe's own network, of as many images or of one".to_owned(),
            };
            let network = Model::find(name)?.network;
            let drawn = || SeedPath::new(settings.seed).child("network");
            let weights = begun(&network, architecture, settings.mixture.frames() > 1, drawn).map_err(wrong)?;
            LearnerState::from_weights(architecture, &weights).map_err(wrong)
        }
    };
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        if settings.resume {
            return folder.read_checkpoint(architecture)?.map_or_else(start, Ok);
        }
        let advice = "to go on with the training in it, add --resume".to_owned();
        return Err(WorkflowError::FolderNotEmpty { path: out.clone(), advice });
    }
    fs::create_dir_all(out).map_err(|error| WorkflowError::write(out, &error))?;
    let resolved = Resolved {
        recipe: settings.recipe.clone(),
        parameters: architecture.parameter_count(),
        seed: settings.seed,
        from: settings.from.clone(),
    };
    let state = start()?;
    Provenance::new("train", resolved).write(&out.join("settings.json"))?;
    Ok(state)
}

/// The weights of a network to begin with: those of a trained one, made to see as many images and to answer as much as is asked.
fn begun(
    network: &Network,
    architecture: &Architecture,
    frames_of_a_movie: bool,
    seed: impl FnOnce() -> SeedPath,
) -> Result<Weights, String> {
    let (own, weights) = (network.architecture(), network.weights());
    let answering_alike = if own.species == architecture.species && own.wave == architecture.wave {
        (own.clone(), weights.clone())
    } else {
        let mut other = Architecture::new(own.family.clone(), own.image_channels, architecture.species);
        if architecture.wave {
            other = other.with_wave();
        }
        let fresh = LearnerState::draw(&other, seed()).weights(&other);
        let weights = weights.with_outputs_of(own, &fresh, &other)?;
        (other, weights)
    };
    let (own, weights) = answering_alike;
    if own.image_channels == 1 && architecture.image_channels > 1 {
        // Images at another focus have another contrast: their mean says nothing.
        weights.expanded(&own, architecture, if frames_of_a_movie { BESIDE } else { 0.0 })
    } else {
        Ok(weights)
    }
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
        let minutes_before = state.minutes;
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
            let begins_trained = steps == 0 && self.settings.from.is_some();
            let looks =
                ends || begins_trained || (steps > state.steps && steps.is_multiple_of(schedule.validate_every));
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
                let mut state = learner.state();
                state.minutes = minutes();
                self.folder.write_checkpoint(&self.architecture, &state, &curve)?;
                self.write_page(&curve, if ends { TrainingState::Finished } else { TrainingState::Running }, part)?;
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
        let weights = learner.state().weights(&self.architecture);
        let network = Network::new(self.architecture.clone(), weights)
            .map_err(|reason| WorkflowError::TrainingFailed { steps, reason })?;
        // What is measured is what is stored, in half precision.
        let network = network_from_bytes(&network_to_bytes(&network))
            .map_err(|error| WorkflowError::TrainingFailed { steps, reason: error.to_string() })?;
        let model = finish::finish(self.settings, &self.mixture, network, minutes(), steps, self.context)?;
        model.write(&self.settings.out)?;
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
        let species = self.mixture.labels.species();
        let judged = judge(&network, &species, unseen, &ColumnSettings::default());
        [point.loss_share, point.loss_place, point.loss_atoms, point.loss_wave] = losses.mean();
        point.species_right = (species.len() > 1).then(|| finish::species_right(&judged)).flatten();
        point.accuracy = finish::accuracy(&judged);
        self.folder.write_network(&network)?;
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        self.context.progress.note(&format!(
            "step {}: loss {:.3}, place {:.3}; F1 {} on unseen images, species right {}, position error {} pm",
            point.step,
            point.loss_share,
            point.loss_place,
            shown(point.f1()),
            shown(point.species_right),
            shown(point.all().and_then(|all| all.median_position_error_pm))
        ));
        Ok(point)
    }
}

impl Training<'_> {
    /// Writes the page that shows how far the training is.
    fn write_page(&self, curve: &[CurvePoint], state: TrainingState, part: f64) -> Result<(), WorkflowError> {
        let Some(last) = curve.last() else { return Ok(()) };
        let recipe = &self.settings.recipe;
        let number = |value: Option<f64>| value.unwrap_or(0.0);
        let validation = curve.iter().filter_map(|point| {
            let all = point.all()?;
            let by_dose = point.accuracy.iter().filter(|accuracy| !accuracy.is_of_all_doses());
            Some(Validation {
                step: point.step,
                loss: None,
                f1: number(all.f1),
                precision: number(all.precision),
                recall: number(all.recall),
                by_dose: by_dose
                    .map(|accuracy| DoseValidation {
                        dose_e_per_a2: accuracy.dose_low_e_per_a2.max(1.0),
                        f1: number(accuracy.f1),
                        precision: number(accuracy.precision),
                        recall: number(accuracy.recall),
                        median_position_error_pm: accuracy.median_position_error_pm,
                    })
                    .collect(),
            })
        });
        let elapsed_s = 60.0 * last.minutes;
        let page = TrainingCurves {
            title: format!("Training of {}", recipe.name),
            state,
            facts: vec![
                ("Images".to_owned(), format!("mixture {}, {} pixels wide", recipe.mixture, self.mixture.field_px)),
                ("Network".to_owned(), format!("{} weights and biases", self.architecture.parameter_count())),
                ("Doses".to_owned(), "each the lower end of a range".to_owned()),
            ],
            steps: curve
                .iter()
                .filter(|point| point.loss_share > 0.0)
                .map(|point| TrainingStep {
                    step: point.step,
                    loss: point.loss_share,
                    learning_rate: point.learning_rate,
                })
                .collect(),
            validation: validation.collect(),
            total_steps: self.settings.minutes.is_none().then_some(recipe.schedule.steps),
            elapsed_s,
            remaining_s: (part > 0.0).then(|| elapsed_s * (1.0 / part - 1.0).max(0.0)),
            refresh_s: 20,
        };
        Ok(page.write(self.settings.out.join("training.html"))?)
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
    unseen_pairs_of_seed(mixture, UNSEEN_SEED, count, context)
}

/// The same, of another seed; that of a training would give images that its network knows.
pub fn unseen_pairs_of_seed(
    mixture: &Mixture,
    seed: u64,
    count: usize,
    context: &Context,
) -> Result<Vec<TrainingPair>, std::sync::Arc<atomlens_dataset::DatasetError>> {
    let settings = StreamSettings { end: Some(count as u64), ..StreamSettings::for_training(context.threads) };
    TrainingStream::cancellable(mixture, seed, settings, context.cancelled.clone())?.collect()
}
