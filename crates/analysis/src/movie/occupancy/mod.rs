//! Which sites are filled in which frame, and how often they switch, with the detector's own errors taken out.
//!
//! A detector misses columns and reports false ones; counted naively, each error is two switches. Here every site has a
//! hidden state, filled or empty, that changes at the site's own rates ([`chain`]); what is observed is the detector's
//! evidence, whose distribution for filled and for empty sites is estimated from the movie itself ([`emission`]):
//! from columns that are known to be filled (the interior), places that are known to be empty (the vacuum), and then
//! from all sites by expectation-maximisation. Rates are pooled by class of site. Intervals come from draws of
//! everything that is unknown: priors, rates, paths, what a site shows when filled and when empty.
//!
//! Arrays are `[site, frame]`; a change belongs to the frame by which it has happened; rates are probabilities per
//! nominal frame time.

pub mod chain;
pub mod discriminant;
pub mod emission;
mod expectation;
mod rates;
mod selection;

use atomlens_core::SeedPath;
use atomlens_core::quantile::NORMAL_95;
use ndarray::{Array2, ArrayView2};
use rand_distr::{Distribution, Gamma, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use chain::{DrawnPath, FrameIntervals, Switching};
use emission::Levels;
pub use emission::{Emission, Level};
use expectation::{Model, Moments, Observed};
use rates::SiteLikelihood;
pub use selection::{Weighed, settle, weigh};

/// Why occupancies cannot be inferred.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OccupancyError {
    /// Parts that do not fit together.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// What does not fit.
        what: &'static str,
        /// What was given.
        found: usize,
        /// What belongs there.
        expected: usize,
    },
    /// Too little.
    #[error(
        "{sites} sites in {frames} frames with {observed} observations cannot be analysed; at least 1 site, 2 frames \
         and 20 observations are needed"
    )]
    TooLittle {
        /// Number of sites.
        sites: usize,
        /// Number of frames.
        frames: usize,
        /// Number of site-frames with evidence.
        observed: usize,
    },
    /// Evidence that never differs.
    #[error("the evidence is the same at all sites in all frames, so filled and empty cannot be told apart")]
    NoContrast,
}

/// What a movie says of its sites.
#[derive(Debug, Clone)]
pub struct MovieEvidence<'a> {
    /// Evidence for a column at each site, `[site, frame]`, about the logarithm of a likelihood ratio or the logit of a
    /// probability; NaN where there is none.
    pub sites: ArrayView2<'a, f32>,
    /// The same at places that are known to be empty throughout, `[place, frame]`; may have no rows, and as many
    /// frames as it likes.
    pub vacuum: ArrayView2<'a, f32>,
    /// The class of each site, numbers from 0.
    pub class: &'a [usize],
    /// Sites that are surely filled most of the time.
    pub known_filled: &'a [bool],
    /// Frame times.
    pub intervals: &'a FrameIntervals,
}

/// How occupancies are inferred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OccupancySettings {
    /// Most turns of expectation-maximisation.
    pub turns: usize,
    /// Draws of rates for the intervals.
    pub rate_draws: usize,
    /// Most draws of paths. Fewer are made of long movies, whose sums are known better.
    pub path_draws: usize,
    /// Whether a site's evidence may be stronger or weaker than that of others.
    pub offsets_by_site: bool,
    /// Whether a frame may show all columns better or worse.
    pub offsets_by_frame: bool,
}

impl Default for OccupancySettings {
    fn default() -> Self {
        OccupancySettings {
            turns: 40,
            rate_draws: 1000,
            path_draws: 400,
            offsets_by_site: true,
            offsets_by_frame: true,
        }
    }
}

/// A value with its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// Mean and central 95 % of draws, sorted in place; of few draws by their spread.
    pub fn of_draws(draws: &mut [f64]) -> Estimate {
        const FEW: usize = 150;
        if draws.is_empty() {
            return Estimate { value: f64::NAN, low: f64::NAN, high: f64::NAN };
        }
        draws.sort_by(f64::total_cmp);
        let count = draws.len() as f64;
        let value = draws.iter().sum::<f64>() / count;
        if draws.len() < FEW {
            let square = draws.iter().map(|draw| (draw - value).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
            let half = NORMAL_95 * square.sqrt();
            return Estimate { value, low: (value - half).max(0.0), high: value + half };
        }
        let at = |share: f64| {
            let place = share * (count - 1.0);
            let below = place.floor() as usize;
            let next = draws[(below + 1).min(draws.len() - 1)];
            draws[below] + (next - draws[below]) * (place - below as f64)
        };
        Estimate { value, low: at(0.025), high: at(0.975) }
    }

    /// Whether a value lies in the interval.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// All three by a factor.
    pub fn scaled(&self, factor: f64) -> Estimate {
        Estimate { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }
}

/// What is known of the switching of a site, or of sites together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SwitchingEstimate {
    /// Share of frames in which filled.
    pub occupancy: Estimate,
    /// Probability per frame time that an empty site is filled; for several sites the mean over the time empty.
    pub fill_per_frame: Estimate,
    /// Probability per frame time that a filled site is emptied; for several sites the mean over the time filled.
    pub empty_per_frame: Estimate,
    /// Rate of the process: switches of either kind to expect per site and frame time, for the time that was spent
    /// filled and empty. A movie of the same sites under the same conditions has the same.
    pub switch_per_frame: Estimate,
    /// Number of switches from frame to frame that did happen in this movie.
    pub switches: Estimate,
    /// Expected number of these from filled to empty.
    pub losses: f64,
    /// Expected number of these from empty to filled.
    pub gains: f64,
}

/// A site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SiteOccupancy {
    /// Its class.
    pub class: usize,
    /// Its switching.
    pub switching: SwitchingEstimate,
    /// How strong its evidence is when filled: 1 as of all sites together, 0 as of an empty place.
    pub filled_strength: f64,
    /// How strong its evidence is when empty, on the same scale.
    pub empty_strength: f64,
}

/// The sites of a class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassOccupancy {
    /// Number of sites.
    pub sites: usize,
    /// Their switching together; `None` without sites.
    pub switching: Option<SwitchingEstimate>,
}

/// What was inferred of a movie.
#[derive(Debug, Clone)]
pub struct Occupancy {
    /// Probability that a site is filled, given the whole movie, `[site, frame]`.
    pub probability: Array2<f32>,
    /// The likeliest path of each site, `[site, frame]`.
    pub filled: Array2<bool>,
    /// Probability that a site has been emptied since the frame before, `[site, frame]`, 0 in the first frame.
    pub loss: Array2<f32>,
    /// Probability that a site has been filled since the frame before.
    pub gain: Array2<f32>,
    /// By site.
    pub sites: Vec<SiteOccupancy>,
    /// By class.
    pub classes: Vec<ClassOccupancy>,
    /// All sites together.
    pub total: SwitchingEstimate,
    /// Draws of all paths together, `[draw][site]`, given the whole movie.
    pub paths: Vec<Vec<DrawnPath>>,
    /// Draws of the rates of each site, `[site][draw]`; draws of one class belong together.
    pub rates: Vec<Vec<Switching>>,
    /// Expected time of each site empty and filled, in frame times.
    pub time_frames: Vec<[f64; 2]>,
    /// The distribution of the evidence, for filled and empty.
    pub emission: Emission,
    /// How much better or worse all columns are seen in each frame; changes of the strength when filled.
    pub frame_strength: Vec<f64>,
    /// Frame times.
    pub intervals: FrameIntervals,
    /// Turns that expectation-maximisation took.
    pub turns: usize,
}

impl MovieEvidence<'_> {
    fn check(&self) -> Result<(), OccupancyError> {
        let (sites, frames) = self.sites.dim();
        let shape = |what, found, expected| {
            if found == expected { Ok(()) } else { Err(OccupancyError::Shape { what, found, expected }) }
        };
        shape("number of classes given, one a site", self.class.len(), sites)?;
        shape("number of hints given, one a site", self.known_filled.len(), sites)?;
        shape("number of frames of the frame times", self.intervals.frames(), frames)?;
        let observed = self.sites.iter().filter(|value| value.is_finite()).count();
        if sites == 0 || frames < 2 || observed < 20 {
            return Err(OccupancyError::TooLittle { sites, frames, observed });
        }
        Ok(())
    }
}

/// Infers the occupancy of all sites.
///
/// The work is proportional to the number of site-frames; the answer does not depend on the number of threads.
///
/// # Errors
/// If the parts do not fit together, or there is nothing to learn from.
pub fn infer(
    evidence: &MovieEvidence<'_>,
    settings: &OccupancySettings,
    seed: SeedPath,
) -> Result<Occupancy, OccupancyError> {
    let observed = observed(evidence)?;
    let mut model = Model::initial(&observed)?;
    let turns = model.maximise(&observed, settings.turns, settings.offsets_by_site, settings.offsets_by_frame);
    Ok(conclude(model, &observed, settings, seed, turns))
}

/// The probability that sites are filled, `[site, frame]`, and the logarithm of that of each to be empty throughout, at
/// the most likely rates: all that learning needs.
///
/// # Errors
/// As [`infer`].
fn beliefs(
    evidence: &MovieEvidence<'_>,
    settings: &OccupancySettings,
) -> Result<(Array2<f32>, Vec<f64>), OccupancyError> {
    let observed = observed(evidence)?;
    let mut model = Model::initial(&observed)?;
    model.maximise(&observed, settings.turns / 2, settings.offsets_by_site, false);
    Ok(model.smoothed(&observed))
}

fn observed<'a>(evidence: &'a MovieEvidence<'_>) -> Result<Observed<'a>, OccupancyError> {
    evidence.check()?;
    Ok(Observed {
        evidence: evidence.sites,
        vacuum: Moments::of(evidence.vacuum.rows().into_iter()),
        class: evidence.class,
        classes: evidence.class.iter().max().map_or(0, |class| class + 1),
        known_filled: evidence.known_filled,
        intervals: evidence.intervals,
    })
}

/// Means of draws.
fn mean_switching(draws: &[Switching]) -> Switching {
    let count = draws.len().max(1) as f64;
    Switching {
        fill: draws.iter().map(|draw| draw.fill).sum::<f64>() / count,
        empty: draws.iter().map(|draw| draw.empty).sum::<f64>() / count,
    }
}

/// Work that draws of paths may cost, in site-frames.
const PATH_BUDGET: usize = 150_000_000;
/// Paths that are drawn at least, as many as tell a standard deviation.
const FEWEST_PATHS: usize = 24;
/// Switches that all drawn paths may hold together.
const SWITCH_BUDGET: f64 = 2.5e7;
/// Work that the average over rates and means may cost.
const SMOOTH_BUDGET: usize = 50_000_000;
/// Draws before the first one that counts.
const BURN_IN: usize = 4;

/// What the draws of one site add up to.
struct SiteResult {
    time: [f64; 2],
    events: [f64; 2],
    paths: Vec<DrawnPath>,
    /// Means of the draws.
    levels: Levels,
}

/// How much is drawn.
#[derive(Clone, Copy)]
struct Effort {
    paths: usize,
    /// Draws over which smoothing is averaged.
    averaged: usize,
    own_levels: bool,
}

fn conclude(
    mut model: Model,
    observed: &Observed<'_>,
    settings: &OccupancySettings,
    seed: SeedPath,
    turns: usize,
) -> Occupancy {
    let (sites, frames) = observed.evidence.dim();
    let likelihoods: Vec<SiteLikelihood> = (0..sites)
        .into_par_iter()
        .map(|site| {
            let ratio = model.ratios(observed, site, model.levels[site]);
            SiteLikelihood::of(&ratio, observed.intervals, model.initial[observed.class[site]])
        })
        .collect();
    let rate_draws = settings.rate_draws.max(50);
    let rates = rates::draws(&likelihoods, observed.class, &model.class_switching, rate_draws, seed.child("rates"));
    drop(likelihoods);
    for (switching, draws) in model.switching.iter_mut().zip(&rates) {
        *switching = mean_switching(draws);
    }
    // A site switches at most so often as if its state were always that of the faster rate.
    let switches: f64 = model.switching.iter().map(|s| 2.0 * frames as f64 * s.fill.min(s.empty)).sum();
    let affordable = (PATH_BUDGET / (sites * frames)).min((SWITCH_BUDGET / switches.max(1.0)) as usize);
    let effort = Effort {
        paths: affordable.clamp(FEWEST_PATHS, settings.path_draws.max(FEWEST_PATHS)).min(rate_draws),
        averaged: (SMOOTH_BUDGET / (sites * frames)).clamp(1, 16),
        own_levels: settings.offsets_by_site,
    };
    let mut arrays = SiteArrays::new(sites, frames);
    let results: Vec<SiteResult> = arrays
        .rows()
        .enumerate()
        .map(|(site, rows)| site_result(&model, observed, site, &rates[site], effort, rows, seed.child("path")))
        .collect();
    let path_draws = effort.paths;
    let duration = observed.intervals.duration_frames();
    let time: Vec<[f64; 2]> = results.iter().map(|result| result.time).collect();
    let events: Vec<[f64; 2]> = results.iter().map(|result| result.events).collect();
    let together = |members: &[usize]| {
        let path = |draw: usize, site: usize| &results[site].paths[draw];
        let of_draw =
            Drawn { draws: path_draws, path: &path, rates: &rates, time: &time, events: &events, frames, duration };
        of_draw.summarised(members)
    };
    let (from, difference) = (model.emission.empty.mean, model.emission.difference());
    let site_values = (0..sites)
        .map(|site| SiteOccupancy {
            class: observed.class[site],
            switching: together(&[site]),
            filled_strength: (results[site].levels.filled - from) / difference,
            empty_strength: (results[site].levels.empty - from) / difference,
        })
        .collect();
    let classes = (0..observed.classes)
        .map(|class| {
            let members: Vec<usize> = (0..sites).filter(|site| observed.class[*site] == class).collect();
            ClassOccupancy { sites: members.len(), switching: (!members.is_empty()).then(|| together(&members)) }
        })
        .collect();
    let total = together(&(0..sites).collect::<Vec<usize>>());
    let mut paths: Vec<Vec<DrawnPath>> = (0..path_draws).map(|_| Vec::with_capacity(sites)).collect();
    for result in results {
        for (draw, path) in paths.iter_mut().zip(result.paths) {
            draw.push(path);
        }
    }
    Occupancy {
        probability: arrays.probability,
        filled: arrays.filled,
        loss: arrays.loss,
        gain: arrays.gain,
        sites: site_values,
        classes,
        total,
        paths,
        rates,
        time_frames: time,
        emission: model.emission,
        frame_strength: model.frame_shift.iter().map(|shift| shift / difference).collect(),
        intervals: observed.intervals.clone(),
        turns,
    }
}

/// What is known of a site, draws of its rates, and its expected time empty and filled.
type OfSite = (SiteOccupancy, Vec<Switching>, [f64; 2]);

struct SiteArrays {
    probability: Array2<f32>,
    filled: Array2<bool>,
    loss: Array2<f32>,
    gain: Array2<f32>,
}

/// What is written of a site, by frame.
struct SiteRows<'a> {
    probability: &'a mut [f32],
    filled: &'a mut [bool],
    loss: &'a mut [f32],
    gain: &'a mut [f32],
}

impl SiteArrays {
    fn new(sites: usize, frames: usize) -> SiteArrays {
        let zeros = || Array2::zeros((sites, frames));
        SiteArrays {
            probability: zeros(),
            filled: Array2::from_elem((sites, frames), false),
            loss: zeros(),
            gain: zeros(),
        }
    }

    fn rows(&mut self) -> impl IndexedParallelIterator<Item = SiteRows<'_>> {
        fn of<T: Send>(array: &mut Array2<T>) -> impl IndexedParallelIterator<Item = &mut [T]> {
            let frames = array.ncols();
            array.as_slice_mut().expect("made in standard layout").par_chunks_mut(frames)
        }
        of(&mut self.probability)
            .zip(of(&mut self.filled))
            .zip(of(&mut self.loss).zip(of(&mut self.gain)))
            .map(|((probability, filled), (loss, gain))| SiteRows { probability, filled, loss, gain })
    }
}

/// Draws a site's paths and means in turn (Gibbs' sampler: A. E. Gelfand and A. F. M. Smith, *J. Am. Stat. Assoc.* 85,
/// 398 (1990), doi:10.1080/01621459.1990.10476213), each path at a draw of the rates, and averages over them.
fn site_result(
    model: &Model,
    observed: &Observed<'_>,
    site: usize,
    rates: &[Switching],
    effort: Effort,
    rows: SiteRows<'_>,
    seed: SeedPath,
) -> SiteResult {
    let mut levels = model.levels[site];
    let mut ratio = model.ratios(observed, site, levels);
    let chain = model.chain(observed, site);
    let mut average = SiteAverage::new(rows, effort.averaged);
    let mut sum = Levels { filled: 0.0, empty: 0.0 };
    // Of few draws none may be like the others; their mean is.
    if effort.averaged < 4 {
        average.share = 1.0;
        average.add(&chain, &ratio);
    }
    let mut random = seed.index(site as u64).stream();
    let mut scratch = Vec::new();
    let mut paths = Vec::with_capacity(effort.paths);
    for sweep in 0..BURN_IN + effort.paths {
        let draw = sweep.saturating_sub(BURN_IN);
        let switching = rates[draw * rates.len() / effort.paths];
        let drawn = chain::Chain { switching, ..chain };
        let path = drawn.draw(&ratio, &mut random, &mut scratch);
        if effort.own_levels {
            levels = model.draw_levels(observed, site, levels, &path, || StandardNormal.sample(&mut random));
            ratio = model.ratios(observed, site, levels);
        }
        if sweep >= BURN_IN {
            paths.push(path);
            sum = Levels { filled: sum.filled + levels.filled, empty: sum.empty + levels.empty };
            let due = draw * effort.averaged / effort.paths != (draw + 1) * effort.averaged / effort.paths;
            if effort.averaged >= 4 && due {
                average.add(&drawn, &ratio);
            }
        }
    }
    let count = effort.paths as f64;
    let levels = Levels { filled: sum.filled / count, empty: sum.empty / count };
    chain.likeliest(&model.ratios(observed, site, levels), average.rows.filled);
    SiteResult { time: average.time, events: average.events, paths, levels }
}

/// The mean of smoothings of one site.
struct SiteAverage<'a> {
    rows: SiteRows<'a>,
    share: f32,
    time: [f64; 2],
    events: [f64; 2],
    filled: Vec<f32>,
    loss: Vec<f32>,
    gain: Vec<f32>,
}

impl<'a> SiteAverage<'a> {
    fn new(rows: SiteRows<'a>, count: usize) -> SiteAverage<'a> {
        let zeros = || vec![0.0; rows.filled.len()];
        let (filled, loss, gain) = (zeros(), zeros(), zeros());
        SiteAverage { share: 1.0 / count as f32, time: [0.0; 2], events: [0.0; 2], filled, loss, gain, rows }
    }

    fn add(&mut self, chain: &chain::Chain<'_>, ratio: &[f64]) {
        let passed = chain.smooth(ratio, &mut self.filled, &mut self.loss, &mut self.gain);
        let SiteRows { probability, loss, gain, .. } = &mut self.rows;
        for (sum, part) in [(probability, &self.filled), (loss, &self.loss), (gain, &self.gain)] {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += self.share * part);
        }
        let share = f64::from(self.share);
        self.time[0] += share * passed.time_empty;
        self.time[1] += share * passed.time_filled;
        self.events[0] += share * passed.losses;
        self.events[1] += share * passed.gains;
    }
}

/// All draws, to be summed over sites.
struct Drawn<'a> {
    draws: usize,
    path: &'a dyn Fn(usize, usize) -> &'a DrawnPath,
    rates: &'a [Vec<Switching>],
    /// Expected time empty and filled, by site.
    time: &'a [[f64; 2]],
    /// Expected losses and gains, by site.
    events: &'a [[f64; 2]],
    frames: usize,
    duration: f64,
}

impl Drawn<'_> {
    /// The estimates of some sites together, of which there is at least one.
    fn summarised(&self, members: &[usize]) -> SwitchingEstimate {
        let sum = |of: &dyn Fn(usize) -> f64| members.iter().map(|site| of(*site)).sum::<f64>();
        let of_paths = |of: &dyn Fn(&DrawnPath) -> f64| {
            let mut sums: Vec<f64> = (0..self.draws).map(|draw| sum(&|site| of((self.path)(draw, site)))).collect();
            Estimate::of_draws(&mut sums)
        };
        let of_rates = |of: &dyn Fn(usize, Switching) -> f64| {
            let mut sums: Vec<f64> =
                (0..self.rates[members[0]].len()).map(|draw| sum(&|site| of(site, self.rates[site][draw]))).collect();
            Estimate::of_draws(&mut sums)
        };
        let (empty, filled) = (sum(&|site| self.time[site][0]), sum(&|site| self.time[site][1]));
        let many = members.len() as f64;
        // A site's own probability where there is one site; of several the mean over the time in the state.
        let weighted = |time: f64, of: &dyn Fn(usize, Switching) -> f64, alone: &dyn Fn(Switching) -> f64| {
            if members.len() == 1 || time <= 0.0 {
                of_rates(&|_, switching| alone(switching) / many)
            } else {
                of_rates(of).scaled(1.0 / time)
            }
        };
        SwitchingEstimate {
            occupancy: of_paths(&|path| path.filled_frames(self.frames) as f64)
                .scaled(1.0 / (many * self.frames as f64)),
            fill_per_frame: weighted(empty, &|site, rates| self.time[site][0] * rates.fill, &|rates| rates.fill),
            empty_per_frame: weighted(filled, &|site, rates| self.time[site][1] * rates.empty, &|rates| rates.empty),
            switch_per_frame: of_rates(&|site, rates| {
                self.time[site][0] * rates.fill + self.time[site][1] * rates.empty
            })
            .scaled(1.0 / (many * self.duration)),
            switches: of_paths(&|path| path.switches.len() as f64),
            losses: sum(&|site| self.events[site][0]),
            gains: sum(&|site| self.events[site][1]),
        }
    }
}

impl Occupancy {
    /// Parts that were inferred apart, each with the indices of its sites among all. What a part says of its evidence is
    /// that of the part of most sites.
    fn of_parts(parts: Vec<(Vec<usize>, Occupancy)>) -> Option<Occupancy> {
        let sites: usize = parts.iter().map(|(members, _)| members.len()).sum();
        let frames = parts.first()?.1.filled.ncols();
        let draws = parts.iter().map(|(_, part)| part.paths.len()).min()?;
        let largest = parts.iter().map(|(members, _)| members.len()).enumerate().max_by_key(|(_, count)| *count)?.0;
        let mut arrays = SiteArrays::new(sites, frames);
        let mut of_sites: Vec<Option<OfSite>> = vec![None; sites];
        let nowhere = DrawnPath { filled_at_first: false, switches: Vec::new() };
        let mut paths = vec![vec![nowhere; sites]; draws];
        let (mut classes, mut kept) = (0, None);
        for (index, (members, part)) in parts.into_iter().enumerate() {
            classes = classes.max(part.classes.len());
            let Occupancy { probability, filled, loss, gain, sites, paths: drawn, rates, time_frames, .. } = part;
            let values = sites.into_iter().zip(rates).zip(time_frames);
            for ((from, site), ((value, rates), time)) in members.iter().enumerate().zip(values) {
                arrays.probability.row_mut(*site).assign(&probability.row(from));
                arrays.filled.row_mut(*site).assign(&filled.row(from));
                arrays.loss.row_mut(*site).assign(&loss.row(from));
                arrays.gain.row_mut(*site).assign(&gain.row(from));
                of_sites[*site] = Some((value, rates, time));
            }
            for (all, drawn) in paths.iter_mut().zip(drawn) {
                for (site, path) in members.iter().zip(drawn) {
                    all[*site] = path;
                }
            }
            if index == largest {
                kept = Some((part.emission, part.frame_strength, part.intervals, part.turns, part.total));
            }
        }
        let (emission, frame_strength, intervals, turns, total) = kept?;
        let (mut site_values, mut rates, mut time_frames) = (Vec::new(), Vec::new(), Vec::new());
        for (value, drawn, time) in of_sites.into_iter().collect::<Option<Vec<_>>>()? {
            site_values.push(value);
            rates.push(drawn);
            time_frames.push(time);
        }
        let mut whole = Occupancy {
            probability: arrays.probability,
            filled: arrays.filled,
            loss: arrays.loss,
            gain: arrays.gain,
            sites: site_values,
            classes: Vec::new(),
            total,
            paths,
            rates,
            time_frames,
            emission,
            frame_strength,
            intervals,
            turns,
        };
        whole.total = whole.together(&(0..sites).collect::<Vec<usize>>())?;
        whole.classes = (0..classes)
            .map(|class| {
                let members: Vec<usize> = (0..sites).filter(|site| whole.sites[*site].class == class).collect();
                ClassOccupancy { sites: members.len(), switching: whole.together(&members) }
            })
            .collect();
        Some(whole)
    }

    /// The switching of some sites together; `None` without sites.
    pub fn together(&self, sites: &[usize]) -> Option<SwitchingEstimate> {
        let path = |draw: usize, site: usize| &self.paths[draw][site];
        let events: Vec<[f64; 2]> =
            self.sites.iter().map(|site| [site.switching.losses, site.switching.gains]).collect();
        let drawn = Drawn {
            draws: self.paths.len(),
            path: &path,
            rates: &self.rates,
            time: &self.time_frames,
            events: &events,
            frames: self.filled.ncols(),
            duration: self.intervals.duration_frames(),
        };
        (!sites.is_empty()).then(|| drawn.summarised(sites))
    }

    /// How many times as often the sites of one group switch as those of another, per site and frame time; `None` if
    /// one of the groups has no sites or does not switch.
    pub fn ratio(&self, of: &[usize], to: &[usize]) -> Option<Estimate> {
        let draws = self.rates.first().map_or(0, Vec::len);
        let mean = |group: &[usize], draw: usize| {
            let sum: f64 = group
                .iter()
                .map(|site| {
                    let ([empty, filled], rates) = (self.time_frames[*site], self.rates[*site][draw]);
                    empty * rates.fill + filled * rates.empty
                })
                .sum();
            sum / group.len() as f64
        };
        let mut ratios: Vec<f64> =
            (0..draws).map(|draw| mean(of, draw) / mean(to, draw)).filter(|ratio| ratio.is_finite()).collect();
        (!of.is_empty() && !to.is_empty() && !ratios.is_empty()).then(|| Estimate::of_draws(&mut ratios))
    }

    /// The same from the numbers of switches alone, for groups that cut through the classes: rates of a class borrow from
    /// each other, which would draw the ratio towards 1. Numbers are drawn with the paths, rates given a number by Poisson's
    /// law with Jeffreys' prior. `None` if one of the groups has no sites or likely does not switch.
    pub fn ratio_of_switches(&self, of: &[usize], to: &[usize], seed: SeedPath) -> Option<Estimate> {
        let mut random = seed.stream();
        let mut rate = |group: &[usize], paths: &[DrawnPath]| {
            let switches: usize = group.iter().map(|site| paths[*site].switches.len()).sum();
            let law = Gamma::new(switches as f64 + 0.5, 1.0).expect("the shape is above 0");
            law.sample(&mut random) / group.len() as f64
        };
        let mut ratios: Vec<f64> = self.paths.iter().map(|paths| rate(of, paths) / rate(to, paths)).collect();
        ratios.retain(|ratio| ratio.is_finite());
        let switches =
            |group: &[usize], paths: &[DrawnPath]| group.iter().any(|site| !paths[*site].switches.is_empty());
        let seen =
            |group: &[usize]| 2 * self.paths.iter().filter(|paths| switches(group, paths)).count() > self.paths.len();
        (seen(of) && seen(to) && !ratios.is_empty()).then(|| Estimate::of_draws(&mut ratios))
    }
}

#[cfg(test)]
mod tests;
