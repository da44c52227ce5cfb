//! Defocus and twofold astigmatism of a single image, from the rings of its power spectrum.
//!
//! An amorphous film scatters everywhere, and its image has the power `noise + A(k) sin^2 chi(k)`: rings, named after F. Thon (Z. Naturforsch. 21a, 476
//! (1966)). As other programs do (A. Rohou and N. Grigorieff, J. Struct. Biol. 192, 216 (2015), doi:10.1016/j.jsb.2015.08.008), the spectrum less its smooth
//! part is first correlated with that of many lenses. The best ones, and all of small defocus, where there is no whole ring, are then fitted by likelihood: each
//! value of a power spectrum is distributed exponentially about its mean (P. Whittle, Bull. Inst. Internat. Statist. 39, 105 (1962)), the noise is that of the
//! camera, and `A` is a smooth curve that is fitted as well.
//!
//! The defocus is that of the middle of the film. Of a lens and its opposite (`-defocus`, `-Cs`) the rings are the same: only a known `Cs` tells
//! over- from underfocus, and only as far as it bends the rings.

mod fit;
mod spectrum;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::fit::{Fitted, Model};
use self::spectrum::{Polar, Samples};
use crate::{ReconstructError, estimate_camera_of_image};
use atomlens_simulate::electron::{check_energy_ev, wavelength_angstrom};

/// Frequency, in 1 / angstrom, up to which steps of the search are chosen to change `chi` by 1 at most.
const SEARCH_PER_ANGSTROM: f64 = 0.7;

/// Best lenses of the search that are fitted.
const FITTED: usize = 6;

/// Steps of a fit after which the best are chosen, how many they are, and most steps of these.
const FIRST_STEPS: usize = 15;
const FINISHED: usize = 20;
const MOST_STEPS: usize = 80;

/// Lenses of small defocus that are fitted besides, each side of zero, and their distance in steps of the search.
const SMALL: i32 = 5;
const SMALL_STEPS: f64 = 4.0;

/// Significance from which an image has rings.
const SIGNIFICANT: f64 = 6.0;

/// Spherical aberrations that are tried if it is not known, in angstrom: of corrected microscopes and of others.
const TRIED_CS_ANGSTROM: [f64; 5] = [0.0, -1.2e5, 1.2e5, 6e6, 1.2e7];

/// Modes of a spectrum that the window makes one of.
pub(super) const MODES_IN_ONE: f64 = 2.25;

/// What is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThonSettings {
    /// Lowest defocus, underfocus positive.
    pub lowest_defocus_angstrom: f64,
    /// Highest defocus.
    pub highest_defocus_angstrom: f64,
    /// Largest twofold astigmatism.
    pub largest_c12_angstrom: f64,
    /// Longest period that is looked at.
    pub longest_period_angstrom: f64,
}

impl Default for ThonSettings {
    fn default() -> ThonSettings {
        ThonSettings {
            lowest_defocus_angstrom: -500.0,
            highest_defocus_angstrom: 2000.0,
            largest_c12_angstrom: 100.0,
            longest_period_angstrom: 12.5,
        }
    }
}

/// Another defocus that the rings allow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OtherDefocus {
    /// Underfocus positive.
    pub defocus_angstrom: f64,
    /// How much less likely: the difference of the logarithms of the likelihood.
    pub log_likelihood_less: f64,
}

/// What the rings tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThonEstimate {
    /// Defocus of the middle of what scatters, underfocus positive.
    pub defocus_angstrom: f64,
    /// Its standard deviation, if the rings are counted rightly.
    pub defocus_sigma_angstrom: f64,
    /// Twofold astigmatism.
    pub c12_angstrom: f64,
    /// Standard deviation of each of its parts `C12 cos(2 phi12)` and `C12 sin(2 phi12)`.
    pub c12_sigma_angstrom: f64,
    /// Azimuth of the astigmatism.
    pub phi12_rad: f64,
    /// Spherical aberration, as given or as fitted.
    pub cs_angstrom: f64,
    /// Its standard deviation; 0 if it was given.
    pub cs_sigma_angstrom: f64,
    /// How far rings explain the spectrum better than a smooth curve does, as standard deviations of a normal distribution.
    pub significance: f64,
    /// Whether there are rings at all. If not, nothing else here means anything.
    pub has_rings: bool,
    /// Other values, likeliest first.
    pub others: Vec<OtherDefocus>,
    /// Highest frequency that was used, in 1 / angstrom.
    pub highest_per_angstrom: f64,
}

/// Estimates defocus and astigmatism of one image, shape `[y, x]` in counts without offset; `cs_angstrom` is the spherical aberration,
/// if known.
///
/// # Errors
/// Images that are too small, have no beam, or whose noise is not that of a camera; a pixel size, an energy or settings out of range.
pub fn estimate_optics(
    image: ArrayView2<'_, f32>,
    pixel_angstrom: f64,
    energy_ev: f64,
    cs_angstrom: Option<f64>,
    settings: &ThonSettings,
) -> Result<ThonEstimate, ReconstructError> {
    ReconstructError::positive("pixel size in angstrom", pixel_angstrom)?;
    check_energy_ev(energy_ev)?;
    settings.check()?;
    if let Some(cs) = cs_angstrom
        && !cs.is_finite()
    {
        let name = "spherical aberration in angstrom";
        return Err(ReconstructError::OutOfRange { name, found: cs, expected: "a finite number" });
    }
    let camera = estimate_camera_of_image(image)?;
    let samples = Samples::new(image, pixel_angstrom, &camera, 1.0 / settings.longest_period_angstrom);
    let wavelength = wavelength_angstrom(energy_ev);
    let unit_at = samples.highest_per_angstrom.min(SEARCH_PER_ANGSTROM);
    let unit = 1.0 / (std::f64::consts::PI * wavelength * unit_at * unit_at);
    let polar = Polar::new(&samples);

    let astigmatisms = astigmatisms(settings.largest_c12_angstrom);
    let count = ((settings.highest_defocus_angstrom - settings.lowest_defocus_angstrom) / unit).ceil() as usize;
    let tried: Vec<f64> = cs_angstrom.map_or(TRIED_CS_ANGSTROM.to_vec(), |known| vec![known]);
    let mut starts: Vec<Start> = Vec::new();
    for cs in &tried {
        let mut of_cs: Vec<Start> = astigmatisms
            .par_iter()
            .flat_map_iter(|parts| {
                let first =
                    Start { score: 0.0, defocus: settings.lowest_defocus_angstrom, astigmatism: *parts, cs: *cs };
                let scores = polar.correlations(&first, unit, count + 1, wavelength);
                let start =
                    move |(index, score)| Start { score, defocus: first.defocus + index as f64 * unit, ..first };
                scores.into_iter().enumerate().map(start)
            })
            .collect();
        of_cs.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut chosen: Vec<Start> = Vec::new();
        for start in of_cs {
            if chosen.iter().all(|other| (other.defocus - start.defocus).abs() > 1.5 * unit) {
                chosen.push(start);
                if chosen.len() == FITTED {
                    break;
                }
            }
        }
        starts.extend(chosen);
        starts.extend((-SMALL..=SMALL).map(|index| Start {
            score: 0.0,
            defocus: f64::from(index) * SMALL_STEPS * unit,
            astigmatism: [0.0; 2],
            cs: *cs,
        }));
    }
    let binned = polar.samples();
    let model = |samples| Model { samples, wavelength, unit, fit_cs: cs_angstrom.is_none() };
    let begun = starts
        .par_iter()
        .map(|start| model(&binned).fit(start.defocus, start.astigmatism, start.cs, start.cs, FIRST_STEPS));
    let mut begun: Vec<Fitted> = begun.collect();
    begun.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    begun.truncate(FINISHED);
    let mut fits: Vec<Fitted> = begun.into_par_iter().map(|fit| model(&binned).further(&fit, MOST_STEPS)).collect();
    fits.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    // On single frequencies, what bins blur is sharp.
    let mut last: Vec<Fitted> = Vec::new();
    for fit in &fits {
        if last.len() < 3 && last.iter().all(|other| (other.defocus - fit.defocus).abs() > unit) {
            last.push(model(&samples).further(fit, MOST_STEPS));
        }
    }
    last.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    if cs_angstrom.is_none() {
        // Both signs fit alike; underfocus is what people work at.
        let lowest = last[0].cost;
        let near = |fit: &Fitted| fit.defocus > 0.0 && fit.cost < lowest + MODES_IN_ONE;
        if let Some(index) = last.iter().position(near) {
            last.swap(0, index);
        }
    }
    let best = &last[0];
    let smooth = model(&samples).smooth_cost();
    let significance = (2.0 * (smooth - best.cost).max(0.0) / MODES_IN_ONE).sqrt();
    let sigma = model(&samples).sigmas(best);
    let mut others: Vec<OtherDefocus> = Vec::new();
    let lowest_binned = fits.iter().map(|fit| fit.cost).fold(f64::INFINITY, f64::min);
    let rivals = last.iter().skip(1).map(|fit| (fit, best.cost)).chain(fits.iter().map(|fit| (fit, lowest_binned)));
    for (fit, lowest) in rivals {
        let is_known = (fit.defocus - best.defocus).abs() < 2.0 * unit
            || others.iter().any(|other| (other.defocus_angstrom - fit.defocus).abs() < 2.0 * unit);
        if !is_known {
            let log_likelihood_less = ((fit.cost - lowest) / MODES_IN_ONE).max(0.0);
            others.push(OtherDefocus { defocus_angstrom: fit.defocus, log_likelihood_less });
        }
    }
    others.sort_by(|a, b| a.log_likelihood_less.total_cmp(&b.log_likelihood_less));
    others.truncate(5);
    let [a, b] = best.astigmatism;
    Ok(ThonEstimate {
        defocus_angstrom: best.defocus,
        defocus_sigma_angstrom: sigma[0],
        c12_angstrom: a.hypot(b),
        c12_sigma_angstrom: (0.5 * (sigma[1] * sigma[1] + sigma[2] * sigma[2])).sqrt(),
        phi12_rad: 0.5 * b.atan2(a),
        cs_angstrom: best.cs,
        cs_sigma_angstrom: sigma[3],
        significance,
        has_rings: significance > SIGNIFICANT && sigma[0].is_finite(),
        others,
        highest_per_angstrom: samples.highest_per_angstrom,
    })
}

/// A lens to begin from.
#[derive(Debug, Clone, Copy)]
struct Start {
    score: f64,
    defocus: f64,
    astigmatism: [f64; 2],
    cs: f64,
}

/// Parts `C12 cos(2 phi12)` and `C12 sin(2 phi12)` that are tried.
fn astigmatisms(largest_angstrom: f64) -> Vec<[f64; 2]> {
    let mut out = vec![[0.0; 2]];
    for (part, directions) in [(0.3, 8), (0.6, 12), (0.9, 12)] {
        for direction in 0..directions {
            let (sin, cos) = (std::f64::consts::TAU * f64::from(direction) / f64::from(directions)).sin_cos();
            out.push([part * largest_angstrom * cos, part * largest_angstrom * sin]);
        }
    }
    out
}

impl ThonSettings {
    fn check(&self) -> Result<(), ReconstructError> {
        ReconstructError::positive("largest astigmatism in angstrom", self.largest_c12_angstrom)?;
        ReconstructError::positive("longest period in angstrom", self.longest_period_angstrom)?;
        let range = self.highest_defocus_angstrom - self.lowest_defocus_angstrom;
        if !(range > 0.0 && range <= 1e5) {
            return Err(ReconstructError::OutOfRange {
                name: "range of defocus in angstrom",
                found: range,
                expected: "a highest defocus above the lowest one, by 1e5 angstrom at most",
            });
        }
        Ok(())
    }
}
