//! An endless, seeded stream of samples, made in the background.
//!
//! Workers take sample numbers in order; whoever needs a specimen that is not ready computes its exit waves. A
//! sample depends on its number alone, so the order of work does not matter, and the stream hands samples out
//! by number. Workers run at most `look_ahead` samples before the consumer, which bounds the memory. Where fewer samples are
//! wanted than there are threads, the threads share the work on each.
//!
//! Several specimens take turns, and each is renewed at another time, so that neighbouring samples show different
//! specimens and the cost of new waves is spread evenly.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;

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

type Made = Result<Sample, Arc<DatasetError>>;
type Ready = Arc<OnceLock<Result<Exposable, Arc<DatasetError>>>>;

struct State {
    /// Next sample to be begun.
    next: u64,
    /// Next sample to be handed out.
    wanted: u64,
    done: BTreeMap<u64, Made>,
    specimens: BTreeMap<u64, Ready>,
    stopped: bool,
    lost: bool,
}

struct Shared {
    simulator: Simulator,
    settings: StreamSettings,
    state: Mutex<State>,
    changed: Condvar,
    /// The stream was dropped.
    stopping: AtomicBool,
    /// Set by whoever wants the stream to end early.
    cancelled: Arc<AtomicBool>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a thread that died holding it left it usable.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_over(&self, index: u64) -> bool {
        self.settings.end.is_some_and(|end| index >= end)
    }

    fn should_stop(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.cancelled.load(Ordering::Relaxed)
    }

    fn make(&self, ready: &OnceLock<Result<Exposable, Arc<DatasetError>>>, number: u64, index: u64) -> Made {
        if self.should_stop() {
            return Err(Arc::new(DatasetError::Stopped));
        }
        match ready.get_or_init(|| self.simulator.expose_ready(number).map_err(Arc::new)) {
            Ok(exposable) => {
                self.simulator.expose_frames(exposable, index, usize::MAX, &|| self.should_stop()).map_err(Arc::new)
            }
            Err(error) => Err(error.clone()),
        }
    }

    fn work(&self) {
        loop {
            let mut state = self.lock();
            while !state.stopped && !self.is_over(state.next) && state.next >= state.wanted + self.settings.look_ahead {
                state = self.wait(state);
            }
            if state.stopped || self.is_over(state.next) {
                return;
            }
            let index = state.next;
            state.next += 1;
            let number = self.simulator.specimen_of(index, self.settings.rotation);
            let ready = state.specimens.entry(number).or_default().clone();
            drop(state);

            let result = self.make(&ready, number, index);

            let mut state = self.lock();
            // The slot's next sample shows another specimen, so this one is not needed again.
            if self.simulator.specimen_of(index + self.settings.rotation, self.settings.rotation) != number {
                state.specimens.remove(&number);
            }
            state.done.insert(index, result);
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// Says so when a worker panics, so that the consumer does not wait for ever.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().lost = true;
            self.0.changed.notify_all();
        }
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
pub struct SampleStream {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl SampleStream {
    /// Starts the workers.
    pub fn new(simulator: Simulator, settings: StreamSettings) -> SampleStream {
        SampleStream::cancellable(simulator, settings, Arc::default())
    }

    /// Starts the workers; once `cancelled` is set, samples that are not ready come as [`DatasetError::Stopped`].
    pub fn cancellable(simulator: Simulator, settings: StreamSettings, cancelled: Arc<AtomicBool>) -> SampleStream {
        let settings = StreamSettings {
            threads: settings.threads.max(1),
            rotation: settings.rotation.max(1),
            look_ahead: settings.look_ahead.max(1),
            ..settings
        };
        let wanted = settings.end.map_or(u64::MAX, |end| end.saturating_sub(settings.first).max(1));
        let worker_count = (settings.threads as u64).min(wanted) as usize;
        let state = State {
            next: settings.first,
            wanted: settings.first,
            done: BTreeMap::new(),
            specimens: BTreeMap::new(),
            stopped: false,
            lost: false,
        };
        let shared = Arc::new(Shared {
            simulator,
            settings,
            state: Mutex::new(state),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            cancelled,
        });
        let workers = (0..worker_count)
            .filter_map(|number| {
                let shared = shared.clone();
                let share = settings.threads / worker_count + usize::from(number < settings.threads % worker_count);
                std::thread::Builder::new()
                    .name(format!("sample-{number}"))
                    .spawn(move || {
                        let _watch = Watch(&shared);
                        // Each worker makes whole samples on its own where there are enough: sharing one is slower.
                        let pool = rayon::ThreadPoolBuilder::new()
                            .num_threads(share)
                            .thread_name(move |thread| format!("sample-{number}-{thread}"));
                        match pool.build() {
                            Ok(pool) => pool.install(|| shared.work()),
                            Err(_) => shared.work(),
                        }
                    })
                    .ok()
            })
            .collect();
        SampleStream { shared, workers }
    }

    /// Number of samples that are made and wait to be asked for.
    pub fn ready_count(&self) -> usize {
        self.shared.lock().done.len()
    }
}

impl Iterator for SampleStream {
    type Item = Made;

    fn next(&mut self) -> Option<Self::Item> {
        if self.workers.is_empty() {
            return Some(Err(Arc::new(DatasetError::ThreadLost)));
        }
        let mut state = self.shared.lock();
        loop {
            let wanted = state.wanted;
            if self.shared.is_over(wanted) {
                return None;
            }
            if let Some(result) = state.done.remove(&wanted) {
                state.wanted += 1;
                drop(state);
                self.shared.changed.notify_all();
                return Some(result);
            }
            if state.lost {
                return Some(Err(Arc::new(DatasetError::ThreadLost)));
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for SampleStream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}
