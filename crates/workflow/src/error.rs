//! What can go wrong in a job, sorted by what the user can do about it.

use std::path::{Path, PathBuf};

use atomlens_dataset::DatasetError;
use atomlens_formats::FormatError;
use atomlens_report::ReportError;
use atomlens_simulate::SimulateError;

use crate::series::SeriesError;

/// A job that ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// A file is not as it should be, or cannot be read or written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The recipe is wrong.
    #[error("{path}: {source}")]
    Recipe {
        /// The recipe's file or name.
        path: String,
        /// What is wrong with it.
        source: Box<DatasetError>,
    },
    /// A training's recipe is wrong.
    #[error("{path}: {reason}")]
    TrainingRecipe {
        /// The recipe's file or name.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Training led nowhere.
    #[error("training failed after {steps} steps: {reason}; try a lower learning rate")]
    TrainingFailed {
        /// Steps done.
        steps: u64,
        /// What was found.
        reason: String,
    },
    /// A file holds no network, or another one.
    #[error("{}: {source}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: atomlens_network::NetworkFileError,
    },
    /// A library of onnxruntime that cannot be used.
    #[error(transparent)]
    OnnxRuntime(#[from] atomlens_network::OnnxRuntimeError),
    /// A frame that cannot be used.
    #[error("{}, frame {frame}: {reason}", path.display())]
    BadFrame {
        /// The file.
        path: PathBuf,
        /// The frame's number, from 0.
        frame: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody knows the pixel size.
    #[error("{}: the file states no pixel size, and it cannot be told from the image: {reason}; give it with --pixel-size-nm, or what the image shows with --lattice", path.display())]
    NoPixelSize {
        /// The file.
        path: PathBuf,
        /// Why the image does not tell.
        reason: String,
    },
    /// A model was not trained on such an image.
    #[error(transparent)]
    OutsideRange(Box<OutsideRange>),
    /// An image that is too small to show anything.
    #[error("{}: the image of {width} x {height} pixels is smaller than {smallest_nm:.1} nm: expected a larger one", path.display())]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// What is expected at least.
        smallest_nm: f64,
    },
    /// None of several files could be analysed.
    #[error("none of the {files} files could be analysed; the reasons are above")]
    NothingDetected {
        /// How many there were.
        files: usize,
    },
    /// Frames that make no movie that can be analysed.
    #[error("the movie cannot be analysed: {reason}")]
    NoMovie {
        /// What was found, what was expected, what to do.
        reason: String,
    },
    /// Images that make no focal series, or none that can be used.
    #[error(transparent)]
    Series(Box<SeriesError>),
    /// A model's card is wrong.
    #[error("{}: {reason}", path.display())]
    Card {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such model.
    #[error(
        "there is no folder and no model called {found:?}: expected a folder that `atomlens train` wrote or one of {known}"
    )]
    UnknownModel {
        /// What was asked for.
        found: String,
        /// Names of the models that come with the program.
        known: String,
    },
    /// The recipe cannot be followed.
    #[error("{path}: {source}")]
    Stream {
        /// The recipe's file or name.
        path: String,
        /// Why not.
        source: std::sync::Arc<DatasetError>,
    },
    /// There is no such recipe.
    #[error("there is no file and no recipe called {found:?}: expected a file or one of {known}")]
    UnknownRecipe {
        /// What was asked for.
        found: String,
        /// Names of the recipes that come with the program.
        known: String,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A camera's measured curve is not one.
    #[error("{}: {reason}", path.display())]
    Curve {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The output folder holds something already.
    #[error("{}: the folder holds files already: expected an empty or new one, so that nothing is lost; {advice}", path.display())]
    FolderNotEmpty {
        /// The folder.
        path: PathBuf,
        /// What to do.
        advice: String,
    },
    /// There is no such signal.
    #[error("{} holds {found}: asked for was signal {asked}; `atomlens info` lists them, counted from 1", path.display())]
    NoSignal {
        /// The file.
        path: PathBuf,
        /// How many there are.
        found: String,
        /// The number that was asked for.
        asked: usize,
    },
    /// Of several files some were not converted.
    #[error("{failed} of {total} files were not converted: {reasons}")]
    SomeFailed {
        /// Files that were not.
        failed: usize,
        /// Files in all.
        total: usize,
        /// What was wrong with them.
        reasons: String,
        /// The exit code of the first.
        exit_code: u8,
    },
    /// Detected and true columns that cannot be compared.
    #[error("{reason}")]
    Unscorable {
        /// What was found, what was expected, what to do.
        reason: String,
    },
    /// Places in pixels that have to become lengths.
    #[error("{} has places in pixels only: expected --pixel-size-nm beside them, or x_nm and y_nm in the table", path.display())]
    PixelSizeNeeded {
        /// The table.
        path: PathBuf,
    },
    /// What was asked for cannot be simulated.
    #[error("{path}: {source}")]
    Simulate {
        /// The file that it was asked of.
        path: String,
        /// Why not.
        source: SimulateError,
    },
    /// A setting makes no sense.
    #[error("{what} is {found}: expected {expected}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What was given.
        found: String,
        /// What is possible.
        expected: String,
    },
    /// A picture cannot be drawn.
    #[error("the picture cannot be drawn: {0}")]
    Report(#[from] ReportError),
    /// The user stopped the job.
    #[error("stopped; {done} of {total} {unit} are complete and valid")]
    Cancelled {
        /// Steps done.
        done: u64,
        /// Steps asked for.
        total: u64,
        /// What a step is.
        unit: &'static str,
    },
}

/// A pixel size that a model was not trained on.
#[derive(Debug, thiserror::Error)]
#[error(
        "{}: a pixel is {found_nm:.5} nm ({source_of}), and the model {model:?} was trained on {low_nm:.4} to {high_nm:.4} nm; {estimate}. \
         Give the right pixel size with --pixel-size-nm, bin the image, or choose another model",
        path.display()
    )]
pub struct OutsideRange {
    /// The file.
    pub path: PathBuf,
    /// The model.
    pub model: String,
    /// The image's pixel size.
    pub found_nm: f64,
    /// Who says so.
    pub source_of: String,
    /// The model's range.
    pub low_nm: f64,
    /// Its upper end.
    pub high_nm: f64,
    /// What the lattice says.
    pub estimate: String,
}

impl From<SeriesError> for WorkflowError {
    fn from(error: SeriesError) -> WorkflowError {
        WorkflowError::Series(Box::new(error))
    }
}

impl WorkflowError {
    /// The exit code of the program, as the README documents them.
    pub fn exit_code(&self) -> u8 {
        match self {
            WorkflowError::Setting { .. } => 2,
            WorkflowError::Format(FormatError::Write { .. })
            | WorkflowError::Write { .. }
            | WorkflowError::FolderNotEmpty { .. }
            | WorkflowError::Report(_) => 4,
            WorkflowError::SomeFailed { exit_code, .. } => *exit_code,
            WorkflowError::Format(_)
            | WorkflowError::NoSignal { .. }
            | WorkflowError::Unscorable { .. }
            | WorkflowError::PixelSizeNeeded { .. }
            | WorkflowError::Recipe { .. }
            | WorkflowError::TrainingRecipe { .. }
            | WorkflowError::Network { .. }
            | WorkflowError::Card { .. }
            | WorkflowError::OnnxRuntime(_)
            | WorkflowError::BadFrame { .. }
            | WorkflowError::NoPixelSize { .. }
            | WorkflowError::OutsideRange(_)
            | WorkflowError::TooSmall { .. }
            | WorkflowError::NothingDetected { .. }
            | WorkflowError::NoMovie { .. }
            | WorkflowError::Series(_)
            | WorkflowError::UnknownModel { .. }
            | WorkflowError::UnknownRecipe { .. }
            | WorkflowError::Read { .. }
            | WorkflowError::Curve { .. } => 3,
            WorkflowError::Simulate { .. } | WorkflowError::Stream { .. } | WorkflowError::TrainingFailed { .. } => 5,
            WorkflowError::Cancelled { .. } => 130,
        }
    }

    pub(crate) fn read(path: &Path, error: &std::io::Error) -> WorkflowError {
        WorkflowError::Read { path: path.to_owned(), reason: error.to_string() }
    }

    pub(crate) fn write(path: &Path, error: &std::io::Error) -> WorkflowError {
        WorkflowError::Write { path: path.to_owned(), reason: error.to_string() }
    }

    /// Finds out before a long computation whether there is a folder for what it gives.
    pub(crate) fn check_folder_of(path: &Path) -> Result<(), WorkflowError> {
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(WorkflowError::Write {
                path: path.to_owned(),
                reason: format!("there is no folder {}", folder.display()),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn simulate(path: &Path, source: SimulateError) -> WorkflowError {
        WorkflowError::Simulate { path: path.display().to_string(), source }
    }
}
