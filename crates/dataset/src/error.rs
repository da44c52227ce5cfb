//! What can be wrong with a recipe.

use atomlens_simulate::SimulateError;
use atomlens_specimen::SpecimenError;

/// A recipe that cannot be read or cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The recipe's text is not as it should be.
    #[error("{place}{message}")]
    Recipe {
        /// `line 7: `, or nothing where the line is not known.
        place: String,
        /// What was found, what was expected, what to do.
        message: String,
    },
    /// A value that makes no sense.
    #[error("{key} = {found}: expected {expected}")]
    Value {
        /// The recipe's key.
        key: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The file that a recipe names was not handed over.
    #[error("the recipe needs the file {path:?}, which was not read")]
    MissingResource {
        /// The file's name in the recipe.
        path: String,
    },
    /// The specimen cannot be made.
    #[error(transparent)]
    Specimen(#[from] SpecimenError),
    /// The image cannot be simulated.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// Whoever asked for the sample does not want it any more.
    #[error("stopped before the sample was complete")]
    Stopped,
    /// A background thread ended early.
    #[error("a thread of the stream ended unexpectedly; this is a defect of the program")]
    ThreadLost,
}
