//! The size of a pixel from the lattice in the image.
//!
//! Peaks at `k` (cycles per pixel) belong to reflections at `g` (1 / angstrom) of one crystal in one zone axis if
//! `k = p R g`, with a rotation (or reflection) `R` and the pixel size `p` in angstrom. Every pair of peaks is laid on
//! every pair of low reflections of every candidate whose ratio of lengths and angle fit; each such hypothesis is then
//! judged by all reflections that it predicts:
//!
//! - a reflection with power where it must be, beyond what is found by chance among the places searched, counts by that
//!   evidence (nats, at most 25, so that no single peak decides), less `(k - p R g)^2 / 2 sigma^2` for being off its
//!   place, where `sigma` holds the peak's own and 1.2 % of distortion;
//! - a reflection that is not seen, though it is strong and lower than the ones that are, costs 0.4 of what these gain on
//!   average: this is what a lattice pays that is denser than the one in the image. A peak counts for one reflection.
//!
//! The best hypothesis of each candidate and axis is kept, `p` and `R` by weighted least squares. Where other candidates
//! have their lattice in the same image at the same pixel size (a particle and its support), both count together; so do
//! single fringes with a spacing of a candidate (a grain off its axis), by how unlikely that is by chance.
//!
//! Nothing is estimated from fringes in one direction only: they have a spacing but no name.

use std::f64::consts::PI;

use atomlens_core::glam::DVec2;
use ndarray::ArrayView2;

use super::known::{KnownLattice, Zone};
use super::spectrum::{BraggPeak, Spectrum, SpectrumError};

/// Peaks that pairs are made of.
const SEEDS: usize = 18;

/// Chance of taking noise for a peak, below which a peak may start a hypothesis.
const SEED_FALSE_ALARM: f64 = 0.5;

/// The same for the peaks that a lattice must have in two directions: only then is there one.
const ANCHOR_FALSE_ALARM: f64 = 0.01;

/// Reflections of a zone that pairs are laid on: the low ones, which a micrograph shows.
const LOW_REFLECTIONS: usize = 9;

/// How far ratios of lengths and angles (radian) may be off.
const RATIO_TOLERANCE: f64 = 0.06;
const ANGLE_TOLERANCE_RAD: f64 = 0.06;

/// Distortion of the image, tilt and strain of the crystal: standard deviation of a peak's place, relative.
const DISTORTION: f64 = 0.012;

/// Standard error that stays however many peaks there are, relative: tabulated constants, tilt, strain, and what the shape of
/// a small crystal does to all its peaks at once. With it the errors over particles of 50 to 4000 atoms in images of an
/// independent simulator scatter as stated.
const COMMON_ERROR: f64 = 0.006;

/// Fewest peaks that tell how their power decays.
const FEWEST_FOR_DECAY: usize = 4;

/// The most that a reflection counts.
const LARGEST_EVIDENCE: f64 = 25.0;

/// What the absence of a strong reflection costs, in units of the mean gain of those that are seen, and at least.
const ABSENCE: f64 = 0.4;
const LEAST_ABSENCE: f64 = 3.0;

/// The most that a weak reflection pays for being weak.
const WEAKNESS: f64 = 3.0;

/// Evidence, in nats, that a lattice must have.
const LEAST_SCORE: f64 = 12.0;

/// Evidence by which the best must exceed another answer to be the only one.
const AMBIGUITY: f64 = 10.0;

/// Pixel sizes that agree this well are the same answer.
const SAME_ANSWER: f64 = 0.02;

/// A candidate laid on the peaks of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct LatticeMatch {
    /// Name of the candidate.
    pub lattice: String,
    /// Its zone axis.
    pub zone: String,
    /// Size of a pixel, in angstrom.
    pub pixel_angstrom: f64,
    /// Its standard error.
    pub pixel_sigma_angstrom: f64,
    /// Angle from the image's x axis to the zone's lowest reflection, from 0 to pi.
    pub rotation_rad: f64,
    /// Reflections seen, and those that should be (the seen ones and the strong ones below them).
    pub seen: usize,
    /// Reflections expected; see `seen`.
    pub expected: usize,
    /// Root mean square of the distance between peaks and predicted places, relative to their frequency.
    pub misfit: f64,
    /// Evidence for the candidate, in nats.
    pub score: f64,
    /// The peaks with the indices they were given.
    pub peaks: Vec<([i32; 3], BraggPeak)>,
}

impl LatticeMatch {
    /// Whether a peak is one of the match's.
    fn explains(&self, peak: &BraggPeak, reach_per_px: f64) -> bool {
        self.peaks.iter().any(|(_, known)| {
            let apart = (known.k_per_px - peak.k_per_px).length();
            apart.min((known.k_per_px + peak.k_per_px).length()) < reach_per_px
        })
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelSizeEstimate {
    /// Size of a pixel, in angstrom.
    pub pixel_angstrom: f64,
    /// Its standard error, if the candidate is what it is.
    pub pixel_sigma_angstrom: f64,
    /// The candidate and axis that the estimate assumes.
    pub best: LatticeMatch,
    /// Other candidates that show in the same image at the same pixel size, with peaks of their own.
    pub companions: Vec<LatticeMatch>,
    /// Other answers, best first: other candidates, axes or pixel sizes.
    pub alternatives: Vec<LatticeMatch>,
    /// Evidence of the best answer beyond that of the next with another pixel size, in nats; infinite without one.
    pub margin: f64,
}

impl PixelSizeEstimate {
    /// Whether another answer, with another pixel size, fits about as well.
    pub fn is_ambiguous(&self) -> bool {
        self.margin < AMBIGUITY
    }

    /// The estimate in words, as a report or warning quotes it.
    pub fn summary(&self) -> String {
        let percent = 100.0 * self.pixel_sigma_angstrom / self.pixel_angstrom;
        let mut text = format!(
            "{:.5} nm/px +- {percent:.1} %, assuming {} along {} ({} of {} reflections seen, off by {:.1} %)",
            0.1 * self.pixel_angstrom,
            self.best.lattice,
            self.best.zone,
            self.best.seen,
            self.best.expected,
            100.0 * self.best.misfit
        );
        for companion in &self.companions {
            text += &format!("; {} along {} agrees", companion.lattice, companion.zone);
        }
        if self.is_ambiguous()
            && let Some(other) = self.alternatives.iter().find(|other| !agree(other, &self.best))
        {
            text += &format!(
                "; {} along {} with {:.5} nm/px fits about as well",
                other.lattice,
                other.zone,
                0.1 * other.pixel_angstrom
            );
        }
        text
    }
}

/// Why there is no estimate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoLattice {
    /// Nothing stands out of the noise in two directions.
    #[error(
        "no lattice: {significant} Bragg peaks stand out of the noise (in {directions} directions), two directions are \
         needed; state the pixel size"
    )]
    TooFewPeaks {
        /// Peaks with a false-alarm probability below 1 %.
        significant: usize,
        /// Directions that they lie in: 0, 1 or more.
        directions: usize,
    },
    /// There are peaks, but not those of a candidate.
    #[error(
        "{significant} Bragg peaks, but none of the candidates ({candidates}) fits them with a pixel size of \
         {lowest_angstrom} to {highest_angstrom} angstrom; state the pixel size, or name the material"
    )]
    NoFit {
        /// Peaks with a false-alarm probability below 1 %.
        significant: usize,
        /// Names of the candidates.
        candidates: String,
        /// Range that was asked for.
        lowest_angstrom: f64,
        /// Its other end.
        highest_angstrom: f64,
    },
    /// No candidates were named, or the range is empty.
    #[error("candidates and a range of positive pixel sizes are needed, found {candidates} and {range:?} angstrom")]
    NothingAsked {
        /// Number of candidates.
        candidates: usize,
        /// The range.
        range: (f64, f64),
    },
    /// The image has no spectrum.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
}

/// Estimates the pixel size of an image, shape `[y, x]`, square pixels, that shows one of the candidates.
///
/// `range_angstrom` is what the pixel size may be, smallest and largest. The narrower it is and the fewer candidates
/// there are, the fewer other answers: one pattern of six spots is graphene at one pixel size and gold along `[111]` at
/// another.
///
/// # Errors
/// If no candidate's lattice is seen in two directions.
pub fn estimate_pixel_size(
    image: ArrayView2<'_, f32>,
    candidates: &[KnownLattice],
    range_angstrom: (f64, f64),
) -> Result<PixelSizeEstimate, NoLattice> {
    estimate_from_spectrum(&Spectrum::new(image)?, candidates, range_angstrom)
}

/// The same for a spectrum at hand.
///
/// # Errors
/// If no candidate's lattice is seen in two directions.
pub fn estimate_from_spectrum(
    spectrum: &Spectrum,
    candidates: &[KnownLattice],
    range_angstrom: (f64, f64),
) -> Result<PixelSizeEstimate, NoLattice> {
    if candidates.is_empty() || !(range_angstrom.0 > 0.0 && range_angstrom.1 > range_angstrom.0) {
        return Err(NoLattice::NothingAsked { candidates: candidates.len(), range: range_angstrom });
    }
    let seeds: Vec<&BraggPeak> = spectrum.significant(SEED_FALSE_ALARM).take(SEEDS).collect();
    let mut matches: Vec<LatticeMatch> = Vec::new();
    for lattice in candidates {
        for zone in &lattice.zones {
            matches.extend(fit_zone(spectrum, &seeds, lattice, zone, range_angstrom));
        }
    }
    matches.retain(|found| found.score >= LEAST_SCORE);
    matches.sort_by(|a, b| b.score.total_cmp(&a.score));
    if matches.is_empty() {
        let significant: Vec<DVec2> = spectrum.significant(ANCHOR_FALSE_ALARM).map(|peak| peak.k_per_px).collect();
        let directions = directions(&significant);
        return Err(if directions < 2 {
            NoLattice::TooFewPeaks { significant: significant.len(), directions }
        } else {
            NoLattice::NoFit {
                significant: significant.len(),
                candidates: candidates.iter().map(|lattice| lattice.name.as_str()).collect::<Vec<_>>().join(", "),
                lowest_angstrom: range_angstrom.0,
                highest_angstrom: range_angstrom.1,
            }
        });
    }
    Ok(ranked(matches, spectrum, candidates))
}

/// Number of directions that frequencies lie in, counted up to two.
fn directions(frequencies: &[DVec2]) -> usize {
    let Some(first) = frequencies.first() else { return 0 };
    let crossed = |k: &DVec2| (first.perp_dot(*k) / (first.length() * k.length())).abs() > 0.1;
    if frequencies.iter().any(crossed) { 2 } else { 1 }
}

fn agree(a: &LatticeMatch, b: &LatticeMatch) -> bool {
    (a.pixel_angstrom / b.pixel_angstrom).ln().abs() < SAME_ANSWER
}

/// Whether two matches may have the same pixel size: peaks of two crystals that overlap draw each other off their places.
fn compatible(a: &LatticeMatch, b: &LatticeMatch) -> bool {
    let sigma = (a.pixel_sigma_angstrom / a.pixel_angstrom).hypot(b.pixel_sigma_angstrom / b.pixel_angstrom);
    (a.pixel_angstrom / b.pixel_angstrom).ln().abs() < SAME_ANSWER.max(2.5 * sigma)
}

/// Puts matches that hold together into answers and takes the best answer.
fn ranked(matches: Vec<LatticeMatch>, spectrum: &Spectrum, candidates: &[KnownLattice]) -> PixelSizeEstimate {
    let resolution_per_px = spectrum.resolution_per_px();
    // Peaks that may belong to other crystals, and the spacings that crystals show first.
    let strong: Vec<&BraggPeak> = spectrum.significant(1e-3).take(SEEDS).collect();
    let mut fringes: Vec<f64> = candidates
        .iter()
        .flat_map(|lattice| &lattice.zones)
        .flat_map(|zone| zone.reflections.iter().take(3).filter(|reflection| reflection.strength > 0.2))
        .map(|reflection| reflection.g_per_angstrom.length())
        .collect();
    fringes.sort_by(f64::total_cmp);
    fringes.dedup_by(|a, b| (*a / *b - 1.0).abs() < 0.01);
    // A peak without a lattice falls on one of these spacings by chance about so often.
    let by_chance = (2.0 * SAME_ANSWER * fringes.len() as f64 / 10.0_f64.ln()).min(1.0);

    // An answer: a match with those of other lattices at the same pixel size, counted by the peaks that only they see.
    let answer = |first: usize| {
        let mut members = vec![first];
        let mut score = matches[first].score;
        for (index, other) in matches.iter().enumerate() {
            let fits =
                |&member: &usize| compatible(&matches[member], other) && matches[member].lattice != other.lattice;
            if index == first || !members.iter().all(fits) {
                continue;
            }
            let taken = |peak: &BraggPeak| {
                members.iter().any(|&member| matches[member].explains(peak, 1.2 * resolution_per_px))
            };
            let own: Vec<DVec2> =
                other.peaks.iter().filter(|(_, peak)| !taken(peak)).map(|(_, peak)| peak.k_per_px).collect();
            if directions(&own) == 2 {
                score += other.score * own.len() as f64 / other.peaks.len() as f64;
                members.push(index);
            }
        }
        let alone = strong
            .iter()
            .filter(|peak| !members.iter().any(|&member| matches[member].explains(peak, 2.0 * resolution_per_px)))
            .filter(|peak| {
                let g = peak.k_per_px.length() / matches[first].pixel_angstrom;
                fringes.iter().any(|fringe| (g / fringe).ln().abs() < SAME_ANSWER)
            });
        score -= by_chance.ln() * alone.count().min(3) as f64;
        (score, members)
    };
    let answers: Vec<(f64, Vec<usize>)> = (0..matches.len()).map(answer).collect();
    let best = (0..answers.len()).reduce(|best, next| if answers[next].0 > answers[best].0 { next } else { best });
    let best = best.expect("there is a match");
    let (score, members) = &answers[best];
    let pixel_sizes: Vec<(f64, f64)> =
        members.iter().map(|&member| (matches[member].pixel_angstrom, matches[member].pixel_sigma_angstrom)).collect();
    let weight: f64 = pixel_sizes.iter().map(|(_, sigma)| sigma.powi(-2)).sum();
    let pixel_angstrom = pixel_sizes.iter().map(|(size, sigma)| size * sigma.powi(-2)).sum::<f64>() / weight;
    let spread = pixel_sizes.iter().map(|(size, sigma)| ((size - pixel_angstrom) / sigma).powi(2)).sum::<f64>();
    let inflation = (spread / (pixel_sizes.len().max(2) - 1) as f64).max(1.0);
    let margin = (0..answers.len())
        .filter(|&other| !members.contains(&other) && !agree(&matches[other], &matches[best]))
        .map(|other| score - answers[other].0)
        .fold(f64::INFINITY, f64::min);
    let floor = COMMON_ERROR * pixel_angstrom;
    PixelSizeEstimate {
        pixel_angstrom,
        pixel_sigma_angstrom: (inflation / weight).sqrt().max(floor),
        best: matches[best].clone(),
        companions: members[1..].iter().map(|&member| matches[member].clone()).collect(),
        alternatives: (0..matches.len()).filter(|index| !members.contains(index)).map(|i| matches[i].clone()).collect(),
        margin,
    }
}

/// A similarity: `k = turn * g` as complex numbers, of the conjugate of `g` where the lattice is mirrored.
#[derive(Debug, Clone, Copy)]
struct Similarity {
    turn: DVec2,
    mirrored: bool,
}

impl Similarity {
    fn apply(&self, g: DVec2) -> DVec2 {
        self.turn.rotate(self.oriented(g))
    }

    fn oriented(&self, g: DVec2) -> DVec2 {
        if self.mirrored { DVec2::new(g.x, -g.y) } else { g }
    }

    /// Weighted least squares over pairs of `g`, `k` and weight.
    fn fitted(mirrored: bool, pairs: &[(DVec2, DVec2, f64)]) -> Similarity {
        let plain = Similarity { turn: DVec2::X, mirrored };
        let (mut sum, mut weight) = (DVec2::ZERO, 0.0);
        for (g, k, w) in pairs {
            let g = plain.oriented(*g);
            sum += DVec2::new(g.dot(*k), g.perp_dot(*k)) * *w;
            weight += w * g.length_squared();
        }
        Similarity { turn: sum / weight, mirrored }
    }
}

/// The matches of a zone: the best, and those with another pixel size that are not much worse.
fn fit_zone(
    spectrum: &Spectrum,
    seeds: &[&BraggPeak],
    lattice: &KnownLattice,
    zone: &Zone,
    range: (f64, f64),
) -> Vec<LatticeMatch> {
    let low = &zone.reflections[..zone.reflections.len().min(LOW_REFLECTIONS)];
    let mut tried: Vec<Similarity> = Vec::new();
    let mut found: Vec<LatticeMatch> = Vec::new();
    for (i, first) in seeds.iter().enumerate() {
        for second in &seeds[i + 1..] {
            for (a, ga) in low.iter().enumerate() {
                for (b, gb) in low.iter().enumerate() {
                    if a == b {
                        continue;
                    }
                    let pair = [ga.g_per_angstrom, gb.g_per_angstrom];
                    let Some(start) = laid_on(pair, [first.k_per_px, second.k_per_px], range) else { continue };
                    let known = |other: &Similarity| {
                        other.mirrored == start.mirrored
                            && (other.turn - start.turn).length() < 0.01 * start.turn.length()
                    };
                    if tried.iter().any(known) {
                        continue;
                    }
                    tried.push(start);
                    found.extend(judged(spectrum, start, lattice, zone, range));
                }
            }
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<LatticeMatch> = Vec::new();
    for candidate in found {
        if kept.len() < 4 && !kept.iter().any(|other| agree(other, &candidate)) {
            kept.push(candidate);
        }
    }
    kept
}

/// The similarity that lays two reflections on two peaks, if there is one.
fn laid_on(g: [DVec2; 2], k: [DVec2; 2], range: (f64, f64)) -> Option<Similarity> {
    let ratio = (k[1].length() / k[0].length()) / (g[1].length() / g[0].length());
    if ratio.ln().abs() > RATIO_TOLERANCE {
        return None;
    }
    // Peaks and reflections come without their Friedel mates: take the mates that make the angle acute.
    let acute = |pair: [DVec2; 2]| if pair[0].dot(pair[1]) < 0.0 { [pair[0], -pair[1]] } else { pair };
    let (mut g, k) = (acute(g), acute(k));
    let (angle_g, angle_k) = (g[0].angle_to(g[1]), k[0].angle_to(k[1]));
    if angle_g.abs() < 0.1 || angle_k.abs() < 0.1 {
        return None;
    }
    // Near a right angle the acute mate of one may be the obtuse one of the other.
    if PI - angle_g.abs() - angle_k.abs() < ANGLE_TOLERANCE_RAD
        && (angle_g.abs() - angle_k.abs()).abs() > ANGLE_TOLERANCE_RAD
    {
        g[1] = -g[1];
    }
    let (angle_g, angle_k) = (g[0].angle_to(g[1]), k[0].angle_to(k[1]));
    if (angle_g.abs() - angle_k.abs()).abs() > ANGLE_TOLERANCE_RAD {
        return None;
    }
    let weight = |g: DVec2| g.length_squared().recip();
    let pairs = [(g[0], k[0], weight(g[0])), (g[1], k[1], weight(g[1]))];
    let similarity = Similarity::fitted(angle_g * angle_k < 0.0, &pairs);
    let pixel = similarity.turn.length();
    (0.97 * range.0..=1.03 * range.1).contains(&pixel).then_some(similarity)
}

/// What the whole spectrum says to a hypothesis.
fn judged(
    spectrum: &Spectrum,
    start: Similarity,
    lattice: &KnownLattice,
    zone: &Zone,
    range: (f64, f64),
) -> Option<LatticeMatch> {
    let mut similarity = start;
    let mut best = None;
    for round in 0..3 {
        let verdict = seen(spectrum, similarity, zone)?;
        // Most hypotheses end here.
        if round == 0 && verdict.score < 0.5 * LEAST_SCORE {
            return None;
        }
        let decay = decay(&verdict.peaks);
        let pairs: Vec<(DVec2, DVec2, f64)> = verdict
            .peaks
            .iter()
            .map(|(index, peak)| {
                let sigma = sigma_per_px(peak);
                let k = peak.k_per_px * (1.0 + 2.0 * decay * peak.width_per_px.powi(2));
                (zone.reflections[*index].g_per_angstrom, k, sigma.powi(-2))
            })
            .collect();
        // A pattern of which most is missing is another one.
        if 2 * verdict.peaks.len() < verdict.expected {
            return None;
        }
        similarity = Similarity::fitted(similarity.mirrored, &pairs);
        best = Some((verdict, pairs));
    }
    let (verdict, pairs) = best?;
    let pixel = similarity.turn.length();
    if !(range.0..=range.1).contains(&pixel) {
        return None;
    }
    // Standard error of the similarity's length: each peak tells the scale along its own direction.
    let information: f64 = pairs.iter().map(|(g, _, weight)| weight * g.length_squared()).sum();
    let (mut chi_square, mut misfit) = (0.0, 0.0);
    for (g, k, weight) in &pairs {
        let off = (similarity.apply(*g) - *k).length_squared();
        chi_square += weight * off;
        misfit += off / k.length_squared();
    }
    let freedom = (2 * pairs.len()).saturating_sub(2).max(1) as f64;
    let sigma = (chi_square / freedom).max(1.0).sqrt() / information.sqrt();
    let first = similarity.apply(zone.reflections[0].g_per_angstrom);
    Some(LatticeMatch {
        lattice: lattice.name.clone(),
        zone: zone.label.clone(),
        pixel_angstrom: pixel,
        pixel_sigma_angstrom: sigma.hypot(COMMON_ERROR * pixel),
        rotation_rad: first.to_angle().rem_euclid(PI),
        seen: verdict.peaks.len(),
        expected: verdict.expected,
        misfit: (misfit / pairs.len() as f64).sqrt(),
        score: verdict.score,
        peaks: verdict.peaks.into_iter().map(|(index, peak)| (zone.reflections[index].hkl, peak)).collect(),
    })
}

fn sigma_per_px(peak: &BraggPeak) -> f64 {
    peak.sigma_per_px.hypot(DISTORTION * peak.k_per_px.length())
}

/// The decay `B` of the peaks' power, `exp(-B k^2)`, that atoms, lens and camera make, from the peaks themselves; 0 if
/// there are too few to tell.
///
/// A small crystal has wide peaks, and a decay draws the top of a wide peak inwards, by `2 B k w^2` for a Gaussian of
/// width `w`: up to 3 % for a particle of 50 atoms.
fn decay(peaks: &[(usize, BraggPeak)]) -> f64 {
    if peaks.len() < FEWEST_FOR_DECAY {
        return 0.0;
    }
    let n = peaks.len() as f64;
    let point = |peak: &BraggPeak| (peak.k_per_px.length_squared(), peak.ratio.max(1.0).ln());
    let sum = peaks.iter().map(|(_, peak)| point(peak)).fold((0.0, 0.0), |sum, at| (sum.0 + at.0, sum.1 + at.1));
    let mean = (sum.0 / n, sum.1 / n);
    let (mut square, mut product) = (0.0, 0.0);
    for (x, y) in peaks.iter().map(|(_, peak)| point(peak)) {
        square += (x - mean.0).powi(2);
        product += (x - mean.0) * (y - mean.1);
    }
    if square > 0.0 { (-product / square).max(0.0) } else { 0.0 }
}

struct Verdict {
    /// Index of the reflection, and the peak at its place.
    peaks: Vec<(usize, BraggPeak)>,
    expected: usize,
    score: f64,
}

/// Which reflections are seen; `None` unless they lie in two directions.
fn seen(spectrum: &Spectrum, similarity: Similarity, zone: &Zone) -> Option<Verdict> {
    let mut found: Vec<(usize, BraggPeak, f64)> = Vec::new();
    let mut absent: Vec<usize> = Vec::new();
    for (index, reflection) in zone.reflections.iter().enumerate() {
        let k = similarity.apply(reflection.g_per_angstrom);
        let reach = (0.025 * k.length()).max(1.5 * spectrum.resolution_per_px());
        let Some((peak, places)) = spectrum.strongest_near(k, reach) else { continue };
        let off = (peak.k_per_px - k).length() / sigma_per_px(&peak);
        // A weak reflection is the less likely reason for a peak.
        let weakness = (-0.5 * reflection.strength.ln()).min(WEAKNESS);
        let gain = (peak.evidence - places.ln() - 1.0).min(LARGEST_EVIDENCE) - 0.5 * off * off - weakness;
        if gain > 1.0 {
            found.push((index, peak, gain));
        } else {
            absent.push(index);
        }
    }
    // A peak has one reflection.
    found.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    let mut kept: Vec<(usize, BraggPeak, f64)> = Vec::new();
    for (index, peak, gain) in found {
        let same = |other: &(usize, BraggPeak, f64)| {
            let apart = other.1.k_per_px - peak.k_per_px;
            apart.length().min((other.1.k_per_px + peak.k_per_px).length()) < 0.5 * spectrum.resolution_per_px()
        };
        if kept.iter().any(same) {
            absent.push(index);
        } else {
            kept.push((index, peak, gain));
        }
    }
    // In two directions something must be seen that is not noise.
    let sure = kept.iter().filter(|(_, peak, _)| peak.false_alarm_probability <= ANCHOR_FALSE_ALARM);
    if directions(&sure.map(|(_, peak, _)| peak.k_per_px).collect::<Vec<_>>()) < 2 {
        return None;
    }
    // Up to the frequency that the evidence reaches on average, what is strong must be there; the more surely, the
    // more strongly the others are.
    let total: f64 = kept.iter().map(|(_, _, gain)| gain).sum();
    let reach = kept.iter().map(|(_, peak, gain)| gain * peak.k_per_px.length()).sum::<f64>() / total;
    let absence = (ABSENCE * total / kept.len() as f64).max(LEAST_ABSENCE);
    let pixel = similarity.turn.length();
    let missing: Vec<f64> = absent
        .iter()
        .map(|&index| &zone.reflections[index])
        .filter(|reflection| reflection.g_per_angstrom.length() * pixel < 1.1 * reach)
        .map(|reflection| (4.0 * reflection.strength).min(1.0))
        .collect();
    let expected = kept.len() + missing.iter().filter(|weight| **weight > 0.5).count();
    let score = total - absence * missing.iter().sum::<f64>();
    Some(Verdict { peaks: kept.into_iter().map(|(index, peak, _)| (index, peak)).collect(), expected, score })
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use ndarray::Array2;
    use rand_distr::{Distribution, Normal};

    use super::*;

    const RANGE: (f64, f64) = (0.03, 0.5);

    fn named(names: &[&str]) -> Vec<KnownLattice> {
        names.iter().map(|name| KnownLattice::named(name).unwrap()).collect()
    }

    fn noise(n: usize, sigma: f64, seed: u64) -> Array2<f32> {
        let mut random = SeedPath::new(seed).stream();
        let normal = Normal::new(0.0, sigma).unwrap();
        Array2::from_shape_simple_fn((n, n), || normal.sample(&mut random) as f32)
    }

    /// Gaussian atoms on a zone's lattice within a disc, in noise.
    fn image(zone: &Zone, n: usize, pixel: f64, turn_rad: f64, radius_px: f64, noise: f64, seed: u64) -> Array2<f32> {
        let mut image = self::noise(n, noise, seed);
        let charge = |site: &crate::lattice::Site| {
            site.elements.iter().map(|element| f64::from(element.atomic_number())).sum::<f64>()
        };
        let heaviest = zone.sites.iter().map(charge).fold(0.0, f64::max);
        let turn = DVec2::from_angle(turn_rad);
        let [a1, a2] = zone.cell_angstrom.map(|v| turn.rotate(v) / pixel);
        let centre = DVec2::splat(0.5 * n as f64);
        let sigma = 0.45 / pixel;
        let reach = (3.0 * sigma).ceil() as i64;
        let most = (1.5 * n as f64 / a1.length().min(a2.length())) as i32;
        for u in -most..=most {
            for v in -most..=most {
                for site in &zone.sites {
                    let height = charge(site) / heaviest;
                    let cell = site.fractional + DVec2::new(f64::from(u), f64::from(v));
                    let at = centre + a1 * cell.x + a2 * cell.y;
                    if (at - centre).length() > radius_px {
                        continue;
                    }
                    let (x, y) = (at.x.round() as i64, at.y.round() as i64);
                    for j in y - reach..=y + reach {
                        for i in x - reach..=x + reach {
                            if let Some(value) = image.get_mut([j.max(0) as usize, i.max(0) as usize]) {
                                let square = (i as f64 - at.x).powi(2) + (j as f64 - at.y).powi(2);
                                *value += (height * (-0.5 * square / (sigma * sigma)).exp()) as f32;
                            }
                        }
                    }
                }
            }
        }
        image
    }

    #[test]
    fn every_axis_is_told_with_its_scale() {
        for (name, turn) in [("Au", 0.3), ("Pt", 1.2), ("graphene", 0.8), ("MoS2", 2.0), ("CeO2", 0.1), ("SrTiO3", 0.5)]
        {
            let lattice = KnownLattice::named(name).unwrap();
            for zone in &lattice.zones {
                for (pixel, radius) in [(0.11, 400.0), (0.16, 90.0)] {
                    let image = image(zone, 384, pixel, turn, radius, 1.0, 17);
                    let found = match estimate_pixel_size(image.view(), std::slice::from_ref(&lattice), RANGE) {
                        Ok(found) => found,
                        // Atoms blurred beyond their distance show no lattice: 1.44 angstrom at a width of 0.45.
                        Err(NoLattice::TooFewPeaks { .. }) => continue,
                        Err(error) => panic!("{name} {}: {error}", zone.label),
                    };
                    let off = found.pixel_angstrom / pixel - 1.0;
                    assert!(off.abs() < 0.02 || found.is_ambiguous(), "{name} {}: {off:+.3} {found:?}", zone.label);
                    if radius > 384.0 && !found.is_ambiguous() {
                        assert!(off.abs() < 0.008, "{name} {}: {off:+.4}", zone.label);
                    }
                }
            }
        }
    }

    #[test]
    fn noise_is_refused() {
        let candidates = named(&["Au", "graphene", "MoS2", "CeO2"]);
        for seed in 0..60 {
            let noise = noise(192, 1.0, seed);
            let answer = estimate_pixel_size(noise.view(), &candidates, RANGE);
            assert!(matches!(answer, Err(NoLattice::TooFewPeaks { .. })), "{seed}: {answer:?}");
        }
    }

    #[test]
    fn fringes_in_one_direction_and_foreign_lattices_are_refused() {
        let fringes = Array2::from_shape_fn((256, 256), |(j, i)| (0.5 * i as f32 + 0.2 * j as f32).cos());
        let error = estimate_pixel_size(fringes.view(), &named(&["Au", "graphene"]), RANGE).unwrap_err();
        assert!(matches!(error, NoLattice::TooFewPeaks { directions: 1, .. }), "{error}");
        // A square lattice is no honeycomb; gold is not within a range that it is not in.
        let square = KnownLattice::named("Au").unwrap().zones[1].clone();
        let image = image(&square, 256, 0.1, 0.4, 999.0, 0.5, 2);
        let error = estimate_pixel_size(image.view(), &named(&["graphene"]), RANGE).unwrap_err();
        assert!(matches!(error, NoLattice::NoFit { .. }) && error.to_string().contains("graphene"), "{error}");
        assert!(estimate_pixel_size(image.view(), &named(&["Au"]), (0.2, 0.5)).is_err());
        assert!(matches!(
            estimate_pixel_size(image.view(), &[], RANGE),
            Err(NoLattice::NothingAsked { candidates: 0, .. })
        ));
    }

    #[test]
    fn six_spots_may_be_two_things() {
        // Six spots alone are graphene at one pixel size and gold along [111] at another, and the answer says so.
        let spots = Array2::from_shape_fn((256, 256), |(j, i)| {
            let (x, y) = (i as f64, j as f64);
            [0.1_f64, 0.1 + PI / 3.0, 0.1 + 2.0 * PI / 3.0]
                .iter()
                .map(|angle| (2.0 * PI * 0.06 * (x * angle.cos() + y * angle.sin())).cos() as f32)
                .sum::<f32>()
        });
        let spots = spots + noise(256, 1.0, 8);
        let found = estimate_pixel_size(spots.view(), &named(&["graphene", "Au"]), RANGE).unwrap();
        assert!(found.is_ambiguous() && found.summary().contains("fits about as well"), "{}", found.summary());
        let found = estimate_pixel_size(spots.view(), &named(&["graphene"]), RANGE).unwrap();
        assert!((found.pixel_angstrom / (0.06 * 2.1313) - 1.0).abs() < 0.003, "{}", found.summary());
    }
}
