//! An endless, seeded stream of samples, made in the background.
//!
//! A sample depends on its number alone, so the number of threads does not matter; samples come in order.
//!
//! Several specimens take turns, and each is renewed at another time, so that neighbouring samples show different
//! specimens and the cost of new waves is spread evenly.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::background::{Background, Source};
use crate::simulator::{Exposable, Simulator};
use crate::{DatasetError, Sample};

/// How a stream works; none of it but `rotation` changes what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSettings {
    /// Threads that work.
    pub threads: usize,
    /// Specimens that take turns; only matters where a wave serves several images. With 1, all images of a specimen come in a row.
    pub rotation: u64,
    /// Samples that may be ready or in work before they are asked for.
    pub look_ahead: u64,
    /// Number of the first sample: where a training goes on.
    pub first: u64,
    /// Number of the sample before which the stream ends, if it does.
    pub end: Option<u64>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        StreamSettings { threads, rotation: 8, look_ahead: 32, first: 0, end: None }
    }
}

impl Source for Simulator {
    type Specimen = Exposable;
    type Item = Sample;

    fn specimen_of(&self, index: u64, rotation: u64) -> u64 {
        Simulator::specimen_of(self, index, rotation)
    }

    fn ready(&self, specimen: u64) -> Result<Exposable, DatasetError> {
        self.expose_ready(specimen)
    }

    fn make(&self, specimen: &Exposable, index: u64, stop: &dyn Fn() -> bool) -> Result<Sample, DatasetError> {
        self.expose_frames(specimen, index, usize::MAX, stop)
    }
}

/// A stream of samples, in order, endless unless told where to end. Dropping it stops the workers.
///
/// A sample that cannot be made is an error in its place; the stream goes on.
///
/// ```no_run
/// # use atomlens_dataset::{Recipe, Resources, Simulator, SampleStream, StreamSettings};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let recipe = Recipe::parse("")?;
/// let simulator = Simulator::new(recipe, Resources::default(), 42)?;
/// for sample in SampleStream::new(simulator, StreamSettings::default()).take(1000) {
///     let sample = sample?;
///     println!("{} columns", sample.columns.len());
/// }
/// # Ok(()) }
/// ```
pub struct SampleStream(Background<Simulator>);

impl SampleStream {
    /// Starts the workers.
    pub fn new(simulator: Simulator, settings: StreamSettings) -> SampleStream {
        SampleStream::cancellable(simulator, settings, Arc::default())
    }

    /// Starts the workers; once `cancelled` is set, samples that are not ready come as [`DatasetError::Stopped`].
    pub fn cancellable(simulator: Simulator, settings: StreamSettings, cancelled: Arc<AtomicBool>) -> SampleStream {
        SampleStream(Background::new(simulator, settings, cancelled, "sample"))
    }

    /// Number of samples that are made and wait to be asked for.
    pub fn ready_count(&self) -> usize {
        self.0.ready_count()
    }
}

impl Iterator for SampleStream {
    type Item = Result<Sample, Arc<DatasetError>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
