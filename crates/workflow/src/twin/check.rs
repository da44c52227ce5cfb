//! What the analysis made of a twin, against what is true in it.

use atomlens_analysis::matching::{assign, pair};
use atomlens_analysis::movie::events::EventKind;
use atomlens_analysis::reliability::Fraction;
use atomlens_core::glam::DVec2;
use atomlens_core::quantile::NORMAL_95;

use super::{RATE_BIAS, TwinMovie, TwinRow};
use crate::WorkflowError;
use crate::track::analysis::{Analysis, Columns};

/// Places that are the same lie within this distance, in angstrom; columns within the other.
const SITE_REACH_ANGSTROM: f64 = 0.6;
const COLUMN_REACH_ANGSTROM: f64 = 0.5;

/// Sums over twins.
#[derive(Debug, Default)]
pub(super) struct Tally {
    threshold: f64,
    columns: Counts,
    square_error: f64,
    sites: Counts,
    site_frames_right: usize,
    site_frames: usize,
    events: Counts,
    true_switches: usize,
    naive_switches: usize,
    /// Found switches, with their intervals, beside the true ones.
    switches: Vec<([f64; 3], usize)>,
    drift_square: f64,
    drift_frames: usize,
    failures: Vec<String>,
}

/// Hits, what was claimed and what is true.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    hits: usize,
    claimed: usize,
    truth: usize,
}

impl Tally {
    pub(super) fn new(threshold: f64) -> Tally {
        Tally { threshold, ..Tally::default() }
    }

    pub(super) fn failed(&mut self, reason: String) {
        self.failures.push(reason);
    }

    pub(super) fn add(
        &mut self,
        movie: &TwinMovie<'_>,
        analysis: &Analysis,
        columns: &dyn Columns,
    ) -> Result<(), WorkflowError> {
        let (true_sites, frames) = movie.filled.dim();
        let place = |site: usize| movie.twin.places_angstrom[site];
        for frame in 0..frames {
            let found = columns.of(frame)?.unwrap_or_default().0;
            let found: Vec<DVec2> = found
                .iter()
                .filter(|column| column.probability >= self.threshold)
                .map(|column| DVec2::new(column.x_angstrom, column.y_angstrom))
                .collect();
            let pose = movie.poses[frame].pose;
            let truth: Vec<DVec2> = (0..true_sites)
                .filter(|site| movie.filled[[*site, frame]])
                .map(|site| pose.to_frame(place(site)))
                .collect();
            let pairs = pair(&found, &truth, COLUMN_REACH_ANGSTROM);
            self.columns.hits += pairs.len();
            self.columns.claimed += found.len();
            self.columns.truth += truth.len();
            self.square_error += pairs.iter().map(|pair| pair.error.length_squared()).sum::<f64>();
        }
        // The analysis tells places by its first frame that can be trusted.
        let poses = &analysis.followed.poses;
        let first = poses.iter().position(|pose| pose.trusted).unwrap_or(0);
        let origin = movie.poses[first].pose;
        let truth: Vec<DVec2> = (0..true_sites).map(|site| origin.to_frame(place(site))).collect();
        let ever: Vec<usize> = (0..true_sites).filter(|site| movie.filled.row(*site).iter().any(|f| *f)).collect();
        let ever_places: Vec<DVec2> = ever.iter().map(|site| truth[*site]).collect();
        let pairs = pair(&analysis.sites.places_angstrom(), &ever_places, SITE_REACH_ANGSTROM);
        self.sites.hits += pairs.len();
        self.sites.claimed += analysis.sites.len();
        self.sites.truth += ever.len();
        let mut found_of = vec![None; true_sites];
        for pair in &pairs {
            found_of[ever[pair.truth]] = Some(pair.detected);
        }
        let filled = &analysis.occupancy.filled;
        for (site, found) in found_of.iter().enumerate() {
            for frame in 0..frames {
                let says = found.is_some_and(|found| filled[[found, frame]]);
                self.site_frames_right += usize::from(says == movie.filled[[site, frame]]);
                self.site_frames += 1;
            }
        }
        self.add_events(movie, analysis, &found_of);
        for (found, truth) in poses.iter().zip(movie.poses).filter(|(found, _)| found.trusted) {
            let centre = found.pose.centre_angstrom;
            let known = truth.pose.to_frame(origin.to_reference(centre));
            self.drift_square += found.pose.to_frame(centre).distance_squared(known) / 2.0;
            self.drift_frames += 1;
        }
        Ok(())
    }

    fn add_events(&mut self, movie: &TwinMovie<'_>, analysis: &Analysis, found_of: &[Option<usize>]) {
        let (true_sites, frames) = movie.filled.dim();
        let mut truth: Vec<(usize, Option<usize>, EventKind)> = Vec::new();
        for (frame, site) in (1..frames).flat_map(|frame| (0..true_sites).map(move |site| (frame, site))) {
            let (before, now) = (movie.filled[[site, frame - 1]], movie.filled[[site, frame]]);
            if before != now {
                let kind = if now { EventKind::Gain } else { EventKind::Loss };
                truth.push((frame, found_of[site], kind));
            }
        }
        let claimed = &analysis.events.switches;
        let candidates: Vec<Vec<(usize, f64)>> = claimed
            .iter()
            .map(|event| {
                let first = truth.partition_point(|other| other.0 + 1 < event.frame);
                truth[first..]
                    .iter()
                    .enumerate()
                    .take_while(|(_, other)| other.0 <= event.frame + 1)
                    .filter(|(_, other)| other.1 == Some(event.site) && other.2 == event.kind)
                    .map(|(index, other)| (first + index, other.0.abs_diff(event.frame) as f64))
                    .collect()
            })
            .collect();
        self.events.hits += assign(&candidates, truth.len(), 10.0).into_iter().flatten().count();
        self.events.claimed += claimed.len();
        self.events.truth += truth.len();
        self.true_switches += truth.len();
        self.naive_switches += analysis.naive_switches.iter().sum::<usize>();
        let total = analysis.occupancy.total.switches;
        self.switches.push(([total.value, total.low, total.high], truth.len()));
    }

    /// The rows of the table.
    pub(super) fn rows(&self) -> Vec<TwinRow> {
        let mut rows = Vec::new();
        let mut share = |quantity: &str, hits: usize, count: usize, meaning: &str| {
            if let Some(fraction) = Fraction::of(hits, count) {
                rows.push(TwinRow {
                    quantity: quantity.to_owned(),
                    value: 100.0 * fraction.value,
                    low: Some(100.0 * fraction.low),
                    high: Some(100.0 * fraction.high),
                    unit: "%".to_owned(),
                    meaning: meaning.to_owned(),
                });
            }
        };
        let of_columns = "of the columns that single frames show";
        share(
            "precision of columns",
            self.columns.hits,
            self.columns.claimed,
            &format!("{of_columns}, these are true"),
        );
        share(
            "recall of columns",
            self.columns.hits,
            self.columns.truth,
            "of the true columns, single frames show these",
        );
        share("precision of sites", self.sites.hits, self.sites.claimed, "of the sites found, these are true");
        share("recall of sites", self.sites.hits, self.sites.truth, "of the sites ever filled, these were found");
        let meaning = "site-frames called filled or empty that are";
        share("occupancy right", self.site_frames_right, self.site_frames, meaning);
        let meaning = "of the events found, these happened within a frame";
        share("precision of events", self.events.hits, self.events.claimed, meaning);
        let meaning = "of the events that happened, these were found within a frame";
        share("recall of events", self.events.hits, self.events.truth, meaning);
        let mut number = |quantity: &str, value: f64, ends: Option<(f64, f64)>, unit: &str, meaning: &str| {
            rows.push(TwinRow {
                quantity: quantity.to_owned(),
                value,
                low: ends.map(|ends| ends.0),
                high: ends.map(|ends| ends.1),
                unit: unit.to_owned(),
                meaning: meaning.to_owned(),
            });
        };
        if self.columns.hits > 0 {
            let rms = (self.square_error / (2.0 * self.columns.hits as f64)).sqrt();
            number("error of columns' places", 100.0 * rms, None, "pm", "root mean square in one direction");
        }
        if self.drift_frames > 0 {
            let rms = (self.drift_square / self.drift_frames as f64).sqrt();
            number("error of the drift", 100.0 * rms, None, "pm", "root mean square in one direction");
        }
        if self.true_switches > 0 {
            let (bias, ends) = self.bias();
            let meaning = "switches found less those that happened, by the latter";
            number(RATE_BIAS, bias, ends, "%", meaning);
            let naive = 100.0 * (self.naive_switches as f64 / self.true_switches as f64 - 1.0);
            number("bias of counting detections", naive, None, "%", "what a naive count makes of the same frames");
            let held = self.switches.iter().filter(|([_, low, high], truth)| (*low..=*high).contains(&(*truth as f64)));
            let meaning = "of the movies, the interval of 95 % of their switches held the truth in these";
            number("intervals that hold", held.count() as f64, None, &format!("of {}", self.switches.len()), meaning);
        }
        if let Some(reason) = self.failures.first() {
            number("movies that could not be analysed", self.failures.len() as f64, None, "", reason);
        }
        rows
    }

    /// Relative bias of the switches in percent: of one movie with the interval that it states, of several with the
    /// interval of their mean.
    fn bias(&self) -> (f64, Option<(f64, f64)>) {
        let relative = |found: f64, truth: f64| 100.0 * (found / truth - 1.0);
        let truth = self.true_switches as f64;
        let found: f64 = self.switches.iter().map(|([value, ..], _)| value).sum();
        let bias = relative(found, truth);
        let many = self.switches.len() as f64;
        let ends = if let [([_, low, high], truth)] = self.switches.as_slice() {
            let truth = *truth as f64;
            (truth > 0.0).then(|| (relative(*low, truth), relative(*high, truth)))
        } else {
            let ratio = found / truth;
            let square: f64 = self.switches.iter().map(|([value, ..], n)| (value - ratio * *n as f64).powi(2)).sum();
            let error = 100.0 * (square * many / (many - 1.0)).sqrt() / truth;
            Some((bias - NORMAL_95 * error, bias + NORMAL_95 * error))
        };
        (bias, ends)
    }
}
