//! Drift and rotation from frame to frame, from the images and the columns together.
//!
//! A frame is first laid on a running mean of those before it by a matched filter (`registration`), and its columns are
//! laid on those before it by the displacements that many of them have in common: either finds jumps, but in a crystal
//! every vector of the lattice is nearly as good. Of their maxima that pose is taken which three witnesses agree on: the
//! image (the envelope of the particle, low frequencies), the columns (those at the edge have no partner one lattice
//! vector on), and the motion so far, whose steps follow a distribution with heavy tails (Student's with 2 degrees of
//! freedom and the scale of recent steps), so that a jump is unlikely, not impossible. The columns then give the pose and
//! its standard error by robust least squares (`reference`), which the image's own estimate joins with the weight of
//! its variance.
//!
//! A frame is trusted if its correlation or its columns stand out of what noise gives, and if no pose elsewhere is
//! nearly as likely. One that is not leaves the reference as it is and gets a prediction. When the movie is over
//! [`DriftTracker::finish`] lays the first frames on the reference once more, as two frames of low dose may agree best one
//! lattice vector off, and puts something better than predictions where no frame could be trusted. Memory is that of a few images and one list of columns, however long
//! the movie.
//!
//! Coordinates are those of the first frame that can be trusted. A frame's own error of position is therefore in all
//! poses alike.
//!
//! ```
//! use atomlens_analysis::movie::drift::{DriftSettings, DriftTracker};
//! use atomlens_core::DetectedColumn;
//! use ndarray::Array2;
//!
//! let mut tracker = DriftTracker::new([64, 64], 0.3, DriftSettings::default());
//! let frames: Vec<(Array2<f32>, Vec<DetectedColumn>)> = vec![(Array2::zeros((64, 64)), Vec::new())];
//! let mut path: Vec<_> = frames.iter().map(|(image, columns)| tracker.step(Some(image.view()), columns)).collect();
//! tracker.finish(&mut path);
//! assert!(!path[0].trusted);
//! ```

mod fourier;
mod pose;
mod reference;
mod registration;

use std::collections::VecDeque;

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use pose::{FramePose, Pose, interpolate_untrusted};
use reference::{Located, Observed, Reference};
use registration::{Correlation, Prepared, Registration, Shift};

/// How drift is followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftSettings {
    /// Whether the specimen may turn in the plane.
    pub rotation: bool,
    /// Columns less probable than this do not take part.
    pub probability: f64,
    /// Frames after which the reference image has forgotten.
    pub image_memory_frames: f64,
    /// Frames after which the reference columns have forgotten.
    pub column_memory_frames: f64,
    /// Least scale of the steps from frame to frame that are expected.
    pub least_step_angstrom: f64,
}

impl Default for DriftSettings {
    fn default() -> Self {
        DriftSettings {
            rotation: true,
            probability: 0.2,
            image_memory_frames: 60.0,
            column_memory_frames: 1000.0,
            least_step_angstrom: 0.3,
        }
    }
}

/// Maxima of the correlation, and common displacements of the columns, that are looked at.
const MOST_CANDIDATES: usize = 12;

/// Of these, how many are followed to the end.
const FINALISTS: usize = 3;

/// By how much a candidate may be worse than the best before the columns have moved it, to be one of them. A column that
/// is off by a tenth of the spacing costs half a nat.
const HOPELESS_NATS: f64 = 20.0;
const HOPELESS_NATS_A_COLUMN: f64 = 0.5;

/// Steps that the expectation of the next one is made of.
const RECENT: usize = 15;

/// The image's likelihood takes its noise for Gaussian and independent of the specimen; this much of it is believed, less
/// the noise of the mean. Beside columns, which come of the same electrons but know what is and what is not one, less.
const TEMPER: f64 = 0.6;
const TEMPER_BESIDE_COLUMNS: f64 = 0.2;

/// By how much the correlation must exceed the largest value that noise is expected to give, in standard deviations.
const IMAGE_MARGIN: f64 = 2.0;

/// A pose is not trusted if the others together are likelier than this.
const DOUBT: f64 = 0.2;

/// A position from an image is not believed to be better than this share of a pixel: interpolation, and a specimen
/// that changes.
const IMAGE_FLOOR_PX: f64 = 0.03;

/// Sum of the probabilities of the columns of a frame that can be the reference.
const FEWEST_TO_BEGIN: f64 = 4.0;

/// Frames after which a reference that none of them confirmed gives way to any that could be one.
const PATIENCE: usize = 5;

/// Frames that are laid on the reference once more when there is a good one.
const EARLY: usize = 16;

/// Scale of the rotation from frame to frame, before any was seen and at least, in radian.
const FIRST_TURN_RAD: f64 = 3e-3;
const LEAST_TURN_RAD: f64 = 2e-5;

/// How far a frame that fits nowhere is turned to look for it, at most in this many steps to either side, and the scale
/// of the chance of such a turn.
const FARTHEST_TURN_RAD: f64 = 0.2;
const MOST_TURNS: f64 = 24.0;
const JUMP_TURN_RAD: f64 = 0.02;

/// Displacement of the outermost columns between two such steps.
const TURN_STEP_ANGSTROM: f64 = 0.5;

/// A jump is looked for within half the frame, but no further.
const FARTHEST_JUMP_ANGSTROM: f64 = 60.0;

/// A position of a detector is not believed to be better than this, in angstrom.
const LEAST_SIGMA_ANGSTROM: f64 = 0.01;

/// Follows the specimen of a movie, frame by frame.
pub struct DriftTracker {
    settings: DriftSettings,
    shape: [usize; 2],
    pixel_angstrom: f64,
    registration: Registration,
    reference: Reference,
    last: Pose,
    /// Standard error of the last rotation, and mean square of what it changes by in a frame.
    rotation_sigma: f64,
    turn_square: f64,
    last_sigma: f64,
    steps: VecDeque<DVec2>,
    frame: usize,
    since_trusted: usize,
    /// Whether any frame was found to lie on the reference.
    confirmed: bool,
    /// The first frames from the one that began.
    early: Vec<Early>,
}

/// What is kept of a frame to lay it on a better reference at the end.
struct Early {
    frame: usize,
    prepared: Option<Prepared>,
    observed: Vec<Observed>,
}

impl std::fmt::Debug for DriftTracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DriftTracker").field("frame", &self.frame).field("last", &self.last).finish_non_exhaustive()
    }
}

/// A pose that was considered.
#[derive(Clone, Copy)]
struct Considered {
    /// Logarithm of its chance.
    score: f64,
    /// Where the search for it began.
    start: Pose,
    /// The shift that led there from the pose the image was compared at, in reference coordinates.
    shift: DVec2,
    /// Logarithm of the image's likelihood there.
    nats: f64,
    /// What the columns made of it.
    located: Option<Located>,
}

impl Considered {
    fn pose(&self) -> Pose {
        self.located.map_or(self.start, |located| located.pose)
    }
}

/// What a frame said of its pose.
struct Evidence {
    best: Considered,
    /// By columns that stand out.
    by_columns: Option<Located>,
    /// By an image that stands out.
    by_image: Option<Shift>,
    /// Height of the correlation over its noise.
    height: f64,
    /// Probability of all other poses.
    doubt: f64,
}

impl DriftTracker {
    /// For frames of `shape` `[ny, nx]` and square pixels.
    pub fn new(shape: [usize; 2], pixel_angstrom: f64, settings: DriftSettings) -> DriftTracker {
        let [ny, nx] = shape;
        let centre = 0.5 * pixel_angstrom * DVec2::new(nx as f64 - 1.0, ny as f64 - 1.0);
        DriftTracker {
            registration: Registration::new(nx, ny, pixel_angstrom, settings.image_memory_frames),
            reference: Reference::new(settings.column_memory_frames),
            last: Pose::at_rest(centre),
            rotation_sigma: 0.0,
            turn_square: FIRST_TURN_RAD * FIRST_TURN_RAD,
            last_sigma: 0.0,
            steps: VecDeque::new(),
            frame: 0,
            since_trusted: 0,
            confirmed: false,
            early: Vec::new(),
            settings,
            shape,
            pixel_angstrom,
        }
    }

    /// The pose of the next frame: its image, shape `[y, x]`, if there is one, and the columns found in it.
    ///
    /// A frame without columns, without contrast or of another shape than was announced is one that is not trusted.
    pub fn step(&mut self, image: Option<ArrayView2<'_, f32>>, columns: &[DetectedColumn]) -> FramePose {
        let observed = self.observed(columns);
        let (ny, nx) = (self.shape[0], self.shape[1]);
        let prepared = image.filter(|image| image.dim() == (ny, nx)).map(|image| self.registration.prepare(image));
        let frame = self.frame;
        self.frame += 1;
        let pose = self.placed(frame, prepared.as_ref(), &observed);
        if self.early.len() < EARLY {
            self.early.push(Early { frame, prepared, observed });
        }
        pose
    }

    fn placed(&mut self, frame: usize, prepared: Option<&Prepared>, observed: &[Observed]) -> FramePose {
        let expected = self.expected();
        let correlation = prepared.and_then(|prepared| self.registration.correlate(prepared, &expected));
        let evidence = self.evidence(observed, correlation.as_ref(), &expected);
        let seen = evidence.by_columns.is_some() || evidence.by_image.is_some();
        if !seen || evidence.doubt > DOUBT {
            if !seen && self.can_begin(prepared, observed) {
                return self.begin(frame, prepared, observed);
            }
            return self.predicted(frame, expected, &evidence);
        }
        let (pose, sigma, rotation_sigma) = self.joined(&evidence, &expected);
        self.learn(&pose, rotation_sigma, sigma);
        if let Some(prepared) = prepared {
            self.registration.add(prepared, &pose);
        }
        self.reference.add(observed, &pose, self.in_frame(pose));
        self.confirmed = true;
        FramePose {
            frame,
            pose,
            drift_sigma_angstrom: sigma,
            rotation_sigma_rad: rotation_sigma,
            trusted: true,
            begins: false,
            matched_columns: evidence.by_columns.map_or(0, |located| located.matched),
            image_significance: evidence.height,
        }
    }

    /// Ends a movie whose poses are `path`: lays the first frames, which had little to be laid on, on the reference again,
    /// gives those that are not trusted a pose between those that are ([`interpolate_untrusted`]), and expresses all in the
    /// coordinates of the first that is trusted.
    ///
    /// Returns where that frame turned out to be in the coordinates used so far: a reference place of before is now
    /// `returned.to_frame(place)`. If nothing moved it is a pose at rest.
    pub fn finish(mut self, path: &mut [FramePose]) -> Pose {
        self.since_trusted = 0;
        if self.confirmed {
            for early in std::mem::take(&mut self.early) {
                let Some(found) = path.iter_mut().find(|found| found.frame == early.frame) else { continue };
                let expected = found.pose;
                let prepared = early.prepared.as_ref();
                let correlation = prepared.and_then(|prepared| self.registration.correlate(prepared, &expected));
                let evidence = self.evidence(&early.observed, correlation.as_ref(), &expected);
                let seen = evidence.by_columns.is_some() || evidence.by_image.is_some();
                found.trusted = seen && evidence.doubt <= DOUBT;
                if found.trusted {
                    (found.pose, found.drift_sigma_angstrom, found.rotation_sigma_rad) =
                        self.joined(&evidence, &expected);
                    found.matched_columns = evidence.by_columns.map_or(0, |located| located.matched);
                    found.image_significance = evidence.height;
                }
            }
        }
        interpolate_untrusted(path);
        let rest = Pose::at_rest(self.last.centre_angstrom);
        let origin = path.iter().find(|found| found.trusted).map_or(rest, |found| found.pose);
        path.iter_mut().for_each(|found| found.pose = found.pose.seen_from(&origin));
        origin
    }

    fn observed(&self, columns: &[DetectedColumn]) -> Vec<Observed> {
        columns
            .iter()
            .filter(|column| column.probability >= self.settings.probability)
            .map(|column| Observed {
                place: DVec2::new(column.x_angstrom, column.y_angstrom),
                sigma: finite_or(column.position_sigma_angstrom, 1.0).max(LEAST_SIGMA_ANGSTROM),
                probability: column.probability.min(1.0),
            })
            .filter(|column| column.place.is_finite())
            .collect()
    }

    /// Whether a reference place lies in a frame at a pose.
    fn in_frame(&self, pose: Pose) -> impl Fn(DVec2) -> bool + use<> {
        let far = DVec2::new(self.shape[1] as f64, self.shape[0] as f64) * self.pixel_angstrom;
        move |reference| {
            let place = pose.to_frame(reference);
            place.cmpge(DVec2::ZERO).all() && place.cmple(far).all()
        }
    }

    /// Whether a frame that does not lie on the reference should be one.
    fn can_begin(&self, prepared: Option<&Prepared>, observed: &[Observed]) -> bool {
        if self.confirmed {
            return false;
        }
        let worth: f64 = observed.iter().map(|column| column.probability).sum();
        let enough = worth > FEWEST_TO_BEGIN;
        let shows = enough || prepared.is_some_and(Prepared::has_contrast);
        let first = self.reference.frames() == 0;
        // Of two frames that do not agree the one that shows much more is the better reference.
        let better = enough && worth > 2.0 * self.reference.evidence(|_| true) + 1.0;
        shows && (first || better || self.since_trusted >= PATIENCE)
    }

    /// Makes a frame the reference.
    fn begin(&mut self, frame: usize, prepared: Option<&Prepared>, observed: &[Observed]) -> FramePose {
        let pose = Pose::at_rest(self.last.centre_angstrom);
        self.registration.clear();
        self.reference = Reference::new(self.settings.column_memory_frames);
        if let Some(prepared) = prepared {
            self.registration.add(prepared, &pose);
        }
        self.reference.add(observed, &pose, |_| true);
        self.early.clear();
        (self.last, self.since_trusted) = (pose, 0);
        FramePose {
            frame,
            pose,
            // The coordinates are this frame's own.
            drift_sigma_angstrom: 0.0,
            rotation_sigma_rad: 0.0,
            trusted: true,
            begins: true,
            matched_columns: 0,
            image_significance: 0.0,
        }
    }

    /// What is said of a frame that did not show where it is.
    fn predicted(&mut self, frame: usize, pose: Pose, evidence: &Evidence) -> FramePose {
        let turn = self.turn();
        self.since_trusted += 1;
        let walk = self.step_scale() * (self.since_trusted as f64).sqrt();
        FramePose {
            frame,
            pose,
            drift_sigma_angstrom: self.last_sigma.hypot(walk),
            rotation_sigma_rad: turn,
            trusted: false,
            begins: false,
            matched_columns: evidence.best.located.map_or(0, |located| located.matched),
            image_significance: evidence.height,
        }
    }

    /// The last pose, moved on by the median of the recent steps.
    fn expected(&self) -> Pose {
        let frames = (self.since_trusted + 1) as f64;
        Pose { drift_angstrom: self.last.drift_angstrom + self.velocity() * frames, ..self.last }
    }

    fn velocity(&self) -> DVec2 {
        if self.steps.len() < 5 {
            return DVec2::ZERO;
        }
        let middle = |of: fn(&DVec2) -> f64| median(self.steps.iter().map(of).collect());
        DVec2::new(middle(|step| step.x), middle(|step| step.y))
    }

    /// Scale of the steps about the expected ones.
    fn step_scale(&self) -> f64 {
        if self.steps.len() < 5 {
            return 2.0 * self.settings.least_step_angstrom;
        }
        let velocity = self.velocity();
        let typical = median(self.steps.iter().map(|step| (*step - velocity).length()).collect());
        typical.max(self.settings.least_step_angstrom)
    }

    /// Standard deviation of the rotation about the last one.
    fn turn(&self) -> f64 {
        (self.turn_square * (self.since_trusted + 1) as f64 + self.rotation_sigma.powi(2)).sqrt()
    }

    /// Logarithm of the chance of being this far from the expected pose.
    fn prior(&self, shift: DVec2) -> f64 {
        let scale = self.step_scale() * ((self.since_trusted + 1) as f64).sqrt();
        -2.0 * (1.0 + shift.length_squared() / (2.0 * scale * scale)).ln()
    }

    /// What image, columns and the motion so far say together.
    fn evidence(&self, observed: &[Observed], correlation: Option<&Correlation>, expected: &Pose) -> Evidence {
        let mut considered = self.considered(observed, correlation, expected, FINALISTS);
        let worth: f64 = observed.iter().map(|column| column.probability).sum();
        let fits = |considered: &[Considered]| considered[0].located.is_some_and(|located| located.convincing);
        if self.settings.rotation && self.reference.frames() > 0 && worth > FEWEST_TO_BEGIN {
            let looked_for = |rotation_rad: f64, finalists: usize| {
                let turned = Pose { rotation_rad, ..*expected };
                let turn = (rotation_rad - expected.rotation_rad) / JUMP_TURN_RAD;
                let mut found = self.considered(observed, None, &turned, finalists);
                found.iter_mut().for_each(|found| found.score -= 2.0 * (1.0 + 0.5 * turn * turn).ln());
                found
            };
            let turns = self.turns(observed);
            let turned = if fits(&considered) {
                // The columns may have been led to a turn by themselves.
                let rotation = considered[0].pose().rotation_rad;
                let far = turns.first().is_some_and(|step| (rotation - expected.rotation_rad).abs() > 0.5 * step);
                far.then_some(rotation)
            } else {
                turns
                    .into_iter()
                    .map(|turn| looked_for(expected.rotation_rad + turn, 1))
                    .filter(|found| fits(found))
                    .max_by(|a, b| a[0].score.total_cmp(&b[0].score))
                    .map(|found| found[0].pose().rotation_rad)
            };
            // At a rotation that is only nearly right a neighbour in the lattice may have come out first.
            if let Some(again) = turned.map(|rotation| looked_for(rotation, FINALISTS)).filter(|again| fits(again)) {
                considered = again;
            }
        }
        let best = considered[0];
        let others: f64 = considered[1..].iter().map(|other| (other.score - best.score).exp()).sum();
        let straight = (best.start.rotation_rad - expected.rotation_rad).abs() < f64::EPSILON;
        let correlation = correlation.filter(|_| straight);
        let shift = correlation.and_then(|correlation| correlation.refined(best.shift));
        let height = shift.zip(correlation).map_or(0.0, |(shift, correlation)| shift.nats / correlation.noise);
        let needed = correlation.map_or(f64::INFINITY, |correlation| correlation.highest_of_noise() + IMAGE_MARGIN);
        Evidence {
            best,
            by_columns: best.located.filter(|located| located.convincing),
            by_image: shift.filter(|_| height > needed),
            height,
            doubt: others / (1.0 + others),
        }
    }

    /// Turns to try on a frame that fits nowhere.
    fn turns(&self, observed: &[Observed]) -> Vec<f64> {
        let centre = observed.iter().map(|column| column.place).sum::<DVec2>() / observed.len().max(1) as f64;
        let square = observed.iter().map(|column| column.place.distance_squared(centre)).sum::<f64>();
        let radius = (2.0 * square / observed.len().max(1) as f64).sqrt();
        let step = (TURN_STEP_ANGSTROM / radius.max(1.0)).max(FARTHEST_TURN_RAD / MOST_TURNS);
        let steps = (FARTHEST_TURN_RAD / step) as i32;
        (1..=steps).flat_map(|n| [f64::from(n) * step, -f64::from(n) * step]).collect()
    }

    /// Poses that are likely, the likeliest first; at least one.
    fn considered(
        &self,
        observed: &[Observed],
        correlation: Option<&Correlation>,
        expected: &Pose,
        finalists: usize,
    ) -> Vec<Considered> {
        let worth: f64 = observed.iter().map(|column| column.probability).sum();
        let temper = if worth > FEWEST_TO_BEGIN { TEMPER_BESIDE_COLUMNS } else { TEMPER };
        let temper = correlation.map_or(temper, |correlation| temper / correlation.variance_factor);
        // In the order of belief: the tops of the image's maxima stand for what lies next to them.
        let mut shifts: Vec<(DVec2, f64)> = Vec::new();
        if let Some(correlation) = correlation {
            let maxima = correlation.maxima(MOST_CANDIDATES, |shift| self.prior(shift) / temper);
            shifts.extend(maxima.iter().map(|shift| (shift.shift_angstrom, shift.nats)));
        }
        let tops = shifts.len();
        let half = 0.5 * self.pixel_angstrom * DVec2::new(self.shape[1] as f64, self.shape[0] as f64);
        let reach = half.min(DVec2::splat(FARTHEST_JUMP_ANGSTROM));
        let apart = 0.25 * self.reference.spacing;
        let votes = self.reference.votes(observed, expected, reach, MOST_CANDIDATES);
        for shift in [DVec2::ZERO].into_iter().chain(votes) {
            let top = shifts[..tops].iter().find(|(top, _)| top.distance(shift) < apart);
            let nats = || correlation.map_or(0.0, |correlation| correlation.nats(shift));
            shifts.push((shift, top.map_or_else(nats, |(_, nats)| *nats)));
        }
        let score = |pose: &Pose, shift: DVec2, nats: f64| {
            temper * nats + self.reference.score(observed, pose) + self.prior(shift)
        };
        let mut started: Vec<Considered> = shifts
            .into_iter()
            .map(|(shift, nats)| {
                let start = expected.shifted_in_reference(shift);
                Considered { score: score(&start, shift, nats), start, shift, nats, located: None }
            })
            .collect();
        started.sort_by(|a, b| b.score.total_cmp(&a.score));
        let hopeless = HOPELESS_NATS + HOPELESS_NATS_A_COLUMN * observed.len() as f64;
        let mut kept: Vec<Considered> = Vec::new();
        for candidate in started {
            let hopeless = kept.first().is_some_and(|best| candidate.score < best.score - hopeless);
            if hopeless || kept.len() == finalists {
                break;
            }
            if kept.iter().all(|other| other.shift.distance(candidate.shift) > apart) {
                kept.push(candidate);
            }
        }
        let turn = self.settings.rotation.then_some(self.turn());
        for candidate in &mut kept {
            let start = candidate.start;
            let Some(located) = self.reference.locate(observed, &start, turn, self.in_frame(start)) else { continue };
            let back = DVec2::from_angle(-expected.rotation_rad);
            let shift = back.rotate(located.pose.drift_angstrom - expected.drift_angstrom);
            if shift.distance(candidate.shift) < 0.5 * self.reference.spacing {
                candidate.score = candidate.score.max(score(&located.pose, shift, candidate.nats));
                candidate.located = Some(located);
            }
        }
        kept.sort_by(|a, b| b.score.total_cmp(&a.score));
        // Two that were led to the same pose are one.
        let mut distinct: Vec<Considered> = Vec::new();
        for candidate in kept {
            let same =
                |other: &Considered| other.pose().drift_angstrom.distance(candidate.pose().drift_angstrom) < apart;
            if !distinct.iter().any(same) {
                distinct.push(candidate);
            }
        }
        distinct
    }

    /// Image and columns, each with the weight of its variance.
    fn joined(&self, evidence: &Evidence, expected: &Pose) -> (Pose, f64, f64) {
        let floor = IMAGE_FLOOR_PX * self.registration.pixel_angstrom();
        let by_image = evidence
            .by_image
            .map(|shift| (expected.shifted_in_reference(shift.shift_angstrom), shift.sigma_angstrom.hypot(floor)));
        match (evidence.by_columns, by_image) {
            (Some(located), Some((image, image_sigma))) => {
                let apart = image.drift_angstrom - located.pose.drift_angstrom;
                let sigma = located.drift_sigma;
                // If they disagree it is the image that a changed specimen or a turned one misleads.
                if apart.length() > 3.0 * sigma.hypot(image_sigma) {
                    return (located.pose, sigma, located.rotation_sigma);
                }
                let share = sigma * sigma / (sigma * sigma + image_sigma * image_sigma);
                let drift_angstrom = located.pose.drift_angstrom + apart * share;
                // Both see the same electrons, so together they are no better than the better one.
                (Pose { drift_angstrom, ..located.pose }, sigma.min(image_sigma), located.rotation_sigma)
            }
            (Some(located), None) => (located.pose, located.drift_sigma, located.rotation_sigma),
            (None, Some((image, image_sigma))) => (image, image_sigma, self.turn()),
            (None, None) => (evidence.best.pose(), self.step_scale(), self.turn()),
        }
    }

    fn learn(&mut self, pose: &Pose, rotation_sigma: f64, sigma: f64) {
        let turn = self.turn();
        let frames = (self.since_trusted + 1) as f64;
        let step = (pose.drift_angstrom - self.last.drift_angstrom) / frames;
        if self.steps.len() == RECENT {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
        if self.settings.rotation && turn > 0.0 && rotation_sigma < turn {
            // The pose holds `gain` of what the columns alone said: undo it, and take the expected error out.
            let gain = 1.0 - (rotation_sigma / turn).powi(2);
            let innovation = (pose.rotation_rad - self.last.rotation_rad) / gain.max(0.05);
            let measured = turn * turn * (1.0 - gain) / gain.max(0.05);
            let square = (innovation * innovation - measured - self.rotation_sigma.powi(2)) / frames;
            self.turn_square += 0.1 * (square - self.turn_square);
            self.turn_square = self.turn_square.max(LEAST_TURN_RAD * LEAST_TURN_RAD);
        }
        (self.last, self.last_sigma, self.rotation_sigma) = (*pose, sigma, rotation_sigma);
        self.since_trusted = 0;
    }
}

fn finite_or(value: f64, otherwise: f64) -> f64 {
    if value.is_finite() { value } else { otherwise }
}

fn median(mut values: Vec<f64>) -> f64 {
    let half = values.len() / 2;
    *values.select_nth_unstable_by(half, f64::total_cmp).1
}

#[cfg(test)]
mod tests;
