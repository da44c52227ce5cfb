//! From a recipe and a seed to an endless stream of (image or series or movie, truth).
//!
//! A [`Recipe`] says how specimens, optics and camera are drawn. A [`Simulator`] makes the sample of any number;
//! the same recipe, seed and number give the same sample, whatever was made before and on however many
//! threads. A [`SampleStream`] makes them in the background and hands them out in order.
//!
//! A [`TrainingStream`] mixes several recipes and makes of each image what a detector is trained with.
//!
//! Nothing here reads a file: what a recipe refers to is handed over as [`Resources`].

mod background;
pub mod error;
pub mod knobs;
pub mod recipe;
pub mod sample;
pub mod simulator;
pub mod stream;
pub mod training;

pub use error::DatasetError;
pub use recipe::Recipe;
pub use sample::{Drawn, MovieTruth, Sample};
pub use simulator::{Resources, Simulator};
pub use stream::{SampleStream, StreamSettings};
pub use training::{Mixture, Target, TrainingPair, TrainingStream};
