//! What happens: sites that are emptied and filled, atoms that hop from one site to the next, how long states last.
//!
//! Events are the changes of each site's likeliest path; the probability of one is that a change of its kind happens
//! within a frame of it, given the whole movie. Numbers and rates are not counted from them: a switch there and back
//! between two frames leaves no event, and a doubtful one is here or not; `occupancy` sums over all paths instead.
//!
//! - [`find_events`]: losses, gains and hops.
//! - [`Lifetimes`]: how long sites stay filled or empty.
//! - [`autocorrelation`]: how long an occupancy remembers itself.
//! - [`naive_switches`]: what counting detections would have said.

mod lifetimes;

use serde::{Deserialize, Serialize};

pub use lifetimes::{Lifetimes, SurvivalStep, autocorrelation, lifetimes};

use super::occupancy::{Estimate, Occupancy};
use super::reading::SiteReadings;
use super::sites::Sites;
use crate::matching::assign;

/// What happened at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Filled before, empty from this frame on.
    Loss,
    /// Empty before, filled from this frame on.
    Gain,
}

impl EventKind {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Loss => "loss",
            EventKind::Gain => "gain",
        }
    }
}

/// A site's change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The first frame of the new state.
    pub frame: usize,
    /// Its time in seconds, if known.
    pub time_s: Option<f64>,
    /// Where.
    pub site: usize,
    /// What.
    pub kind: EventKind,
    /// Probability of such a change within a frame of it.
    pub probability: f64,
}

/// A loss and a gain at neighbouring sites within a window: an atom, or a column's last, may have hopped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// Index of the loss among the switches.
    pub loss: usize,
    /// Index of the gain.
    pub gain: usize,
    /// Probability that both happened. Whether one caused the other is another question: see
    /// [`Events::hops_by_chance`].
    pub probability: f64,
}

/// How events are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSettings {
    /// Events of a smaller probability are left out.
    pub least_probability: f64,
    /// Largest number of frames between the loss and the gain of a hop.
    pub hop_window_frames: usize,
}

impl Default for EventSettings {
    fn default() -> Self {
        EventSettings { least_probability: 0.0, hop_window_frames: 1 }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// Losses and gains, by frame, then site.
    pub switches: Vec<Event>,
    /// Hops, by frame of the loss.
    pub hops: Vec<Hop>,
    /// How many hops were to expect if all sites switched independently, each as often as it does.
    pub hops_by_chance: f64,
}

/// The events of a movie.
pub fn find_events(occupancy: &Occupancy, sites: &Sites, settings: &EventSettings) -> Events {
    let (count, frames) = occupancy.filled.dim();
    let mut switches = Vec::new();
    for frame in 1..frames {
        for site in 0..count {
            let (before, now) = (occupancy.filled[[site, frame - 1]], occupancy.filled[[site, frame]]);
            if before == now {
                continue;
            }
            let (kind, changes) =
                if now { (EventKind::Gain, &occupancy.gain) } else { (EventKind::Loss, &occupancy.loss) };
            let probability: f64 =
                (frame.saturating_sub(1)..(frame + 2).min(frames)).map(|at| f64::from(changes[[site, at]])).sum();
            let probability = probability.min(1.0);
            if probability >= settings.least_probability {
                let time_s = occupancy.intervals.time_s(frame);
                switches.push(Event { frame, time_s, site, kind, probability });
            }
        }
    }
    let (hops, hops_by_chance) = hops(&switches, sites, settings.hop_window_frames, frames);
    Events { switches, hops, hops_by_chance }
}

fn hops(switches: &[Event], sites: &Sites, window: usize, frames: usize) -> (Vec<Hop>, f64) {
    let of =
        |kind: EventKind| -> Vec<usize> { (0..switches.len()).filter(|event| switches[*event].kind == kind).collect() };
    let (losses, gains) = (of(EventKind::Loss), of(EventKind::Gain));
    let mut gains_at = vec![0.0; sites.len()];
    for gain in &gains {
        gains_at[switches[*gain].site] += 1.0;
    }
    let mut chance = 0.0;
    let candidates: Vec<Vec<(usize, f64)>> = losses
        .iter()
        .map(|loss| {
            let loss = &switches[*loss];
            let around = &sites.neighbours[loss.site];
            let open = (loss.frame + window).min(frames - 1) + 1 - loss.frame.saturating_sub(window).max(1);
            chance += around.iter().map(|site| gains_at[*site]).sum::<f64>() * open as f64 / (frames - 1) as f64;
            let first = gains.partition_point(|gain| switches[*gain].frame + window < loss.frame);
            (first..gains.len())
                .take_while(|gain| switches[gains[*gain]].frame <= loss.frame + window)
                .filter(|gain| around.binary_search(&switches[gains[*gain]].site).is_ok())
                .map(|gain| {
                    let place = |site: usize| sites.sites[site].place_angstrom;
                    let apart = place(switches[gains[gain]].site).distance(place(loss.site));
                    // Time first; of equal ones the nearer.
                    (gain, switches[gains[gain]].frame.abs_diff(loss.frame) as f64 + 1e-3 * apart)
                })
                .collect()
        })
        .collect();
    let alone = (losses.len().min(gains.len()) + 1) as f64 * (window as f64 + 1.0);
    let hops = assign(&candidates, gains.len(), alone)
        .into_iter()
        .enumerate()
        .filter_map(|(loss, gain)| {
            let (loss, gain) = (losses[loss], gains[gain?]);
            Some(Hop { loss, gain, probability: switches[loss].probability * switches[gain].probability })
        })
        .collect();
    (hops, chance)
}

/// What counting detections says: changes of "a column of at least this probability was found" from each frame to the
/// next one that there is, by site.
pub fn naive_switches(readings: &SiteReadings, least_probability: f64) -> Vec<usize> {
    (0..readings.sites())
        .map(|site| {
            let mut found = (0..readings.frames())
                .filter_map(|frame| readings.probability(site, frame))
                .map(|probability| probability >= least_probability);
            let Some(mut before) = found.next() else { return 0 };
            let mut switches = 0;
            for now in found {
                switches += usize::from(now != before);
                before = now;
            }
            switches
        })
        .collect()
}

/// How often a detector errs at the sites of a movie, as the movie itself tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DetectorErrors {
    /// Share of filled site-frames at which it found no column of at least the threshold's probability; NaN if no site
    /// was ever filled.
    pub missed_share: f64,
    /// Share of empty site-frames at which it found one; NaN if no site was ever empty.
    pub false_share: f64,
}

/// The errors of a detector that reports columns of at least `threshold` probability, each site-frame counting as filled
/// and as empty by its probability given the whole movie. Frames without readings do not count.
pub fn detector_errors(readings: &SiteReadings, occupancy: &Occupancy, threshold: f64) -> DetectorErrors {
    // Site-frames filled and empty; missed, falsely found.
    let (mut states, mut errors) = ([0.0; 2], [0.0; 2]);
    let (sites, frames) = occupancy.probability.dim();
    for frame in 0..frames.min(readings.frames()) {
        for site in 0..sites.min(readings.sites()) {
            let Some(found) = readings.probability(site, frame) else { continue };
            let filled = f64::from(occupancy.probability[[site, frame]]).clamp(0.0, 1.0);
            states[0] += filled;
            states[1] += 1.0 - filled;
            if found >= threshold {
                errors[1] += 1.0 - filled;
            } else {
                errors[0] += filled;
            }
        }
    }
    DetectorErrors { missed_share: errors[0] / states[0], false_share: errors[1] / states[1] }
}

/// An estimate per frame time, per second; `None` if times are not known.
pub fn per_second(per_frame: &Estimate, occupancy: &Occupancy) -> Option<Estimate> {
    occupancy.intervals.frame_time_s().map(|time| per_frame.scaled(1.0 / time))
}

#[cfg(test)]
mod tests;
