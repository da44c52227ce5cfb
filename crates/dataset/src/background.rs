//! Work in the background, handed out in order.
//!
//! Workers take item numbers in order; whoever needs a specimen that is not ready makes it. An item depends on
//! its number alone, so the order of work does not matter, and items are handed out by number. Workers run at most
//! `look_ahead` items before the consumer, which bounds the memory. Where fewer items are wanted than there are threads,
//! the threads share the work on each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;

use crate::{DatasetError, StreamSettings};

/// What makes the items of a stream, each of a specimen that serves several.
pub(crate) trait Source: Send + Sync + 'static {
    /// A specimen with its waves: the slow part.
    type Specimen: Send + Sync + 'static;
    /// What the stream hands out.
    type Item: Send + 'static;

    /// The specimen of an item when `rotation` specimens take turns.
    fn specimen_of(&self, index: u64, rotation: u64) -> u64;

    /// Makes a specimen.
    fn ready(&self, specimen: u64) -> Result<Self::Specimen, DatasetError>;

    /// Makes an item of a specimen, unless told to stop.
    fn make(&self, specimen: &Self::Specimen, index: u64, stop: &dyn Fn() -> bool) -> Result<Self::Item, DatasetError>;
}

/// The specimen that an item shows, when `rotation` specimens take turns; each serves `uses` items, and they are
/// renewed one at a time.
pub(crate) fn specimen_of(index: u64, rotation: u64, uses: u64) -> u64 {
    let (turn, slot) = (index / rotation, index % rotation);
    // The slots' first renewals are `uses` items apart, and so are all that follow.
    let first_renewal = (slot * (uses - 1) + rotation / 2) / rotation;
    let head_start = (uses - first_renewal) % uses;
    (turn + head_start) / uses * rotation + slot
}

pub(crate) type Made<T> = Result<T, Arc<DatasetError>>;
type Ready<T> = Arc<OnceLock<Result<T, Arc<DatasetError>>>>;

struct State<S: Source> {
    /// Next item to be begun.
    next: u64,
    /// Next item to be handed out.
    wanted: u64,
    done: BTreeMap<u64, Made<S::Item>>,
    specimens: BTreeMap<u64, Ready<S::Specimen>>,
    stopped: bool,
    lost: bool,
}

struct Shared<S: Source> {
    source: S,
    settings: StreamSettings,
    state: Mutex<State<S>>,
    changed: Condvar,
    /// The stream was dropped.
    stopping: AtomicBool,
    /// Set by whoever wants the stream to end early.
    cancelled: Arc<AtomicBool>,
}

impl<S: Source> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // The state is whole between any two statements, so a thread that died holding it left it usable.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, State<S>>) -> MutexGuard<'a, State<S>> {
        self.changed.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_over(&self, index: u64) -> bool {
        self.settings.end.is_some_and(|end| index >= end)
    }

    fn should_stop(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.cancelled.load(Ordering::Relaxed)
    }

    fn make(&self, ready: &Ready<S::Specimen>, number: u64, index: u64) -> Made<S::Item> {
        if self.should_stop() {
            return Err(Arc::new(DatasetError::Stopped));
        }
        match ready.get_or_init(|| self.source.ready(number).map_err(Arc::new)) {
            Ok(specimen) => self.source.make(specimen, index, &|| self.should_stop()).map_err(Arc::new),
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
            let number = self.source.specimen_of(index, self.settings.rotation);
            let ready = state.specimens.entry(number).or_default().clone();
            drop(state);

            let result = self.make(&ready, number, index);

            let mut state = self.lock();
            // The slot's next item shows another specimen, so this one is not needed again.
            if self.source.specimen_of(index + self.settings.rotation, self.settings.rotation) != number {
                state.specimens.remove(&number);
            }
            state.done.insert(index, result);
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// Says so when a worker panics, so that the consumer does not wait for ever.
struct Watch<'a, S: Source>(&'a Shared<S>);

impl<S: Source> Drop for Watch<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().lost = true;
            self.0.changed.notify_all();
        }
    }
}

/// Items in order, endless unless told where to end. Dropping it stops the workers.
pub(crate) struct Background<S: Source> {
    shared: Arc<Shared<S>>,
    workers: Vec<JoinHandle<()>>,
}

impl<S: Source> Background<S> {
    /// Starts the workers, which bear a name; once `cancelled` is set, items that are not ready come as
    /// [`DatasetError::Stopped`].
    pub(crate) fn new(
        source: S,
        settings: StreamSettings,
        cancelled: Arc<AtomicBool>,
        name: &'static str,
    ) -> Background<S> {
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
            source,
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
                    .name(format!("{name}-{number}"))
                    .spawn(move || {
                        let _watch = Watch(&shared);
                        // Each worker makes whole items on its own where there are enough: sharing one is slower.
                        let pool = rayon::ThreadPoolBuilder::new()
                            .num_threads(share)
                            .thread_name(move |thread| format!("{name}-{number}-{thread}"));
                        match pool.build() {
                            Ok(pool) => pool.install(|| shared.work()),
                            Err(_) => shared.work(),
                        }
                    })
                    .ok()
            })
            .collect();
        Background { shared, workers }
    }

    /// Number of items that are made and wait to be asked for.
    pub(crate) fn ready_count(&self) -> usize {
        self.shared.lock().done.len()
    }
}

impl<S: Source> Iterator for Background<S> {
    type Item = Made<S::Item>;

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

impl<S: Source> Drop for Background<S> {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}
