//! Where the images of a focal series lie against each other, though their contrast changes and reverses with focus.
//!
//! Plain cross-correlation fails where one image shows atoms dark and the next one bright. Here the images are taken for those of one
//! thin object of phase `phi` under transfers `s_j = sin(chi_j)`: weights `s_i s_j` bring both contrasts to one sign before they are
//! correlated (R. R. Meyer, A. I. Kirkland and W. O. Saxton, Ultramicroscopy 92, 89 (2002), doi:10.1016/S0304-3991(02)00071-2: the phase compensated
//! cross-correlation function). Focus and spherical aberration are not known well enough for that, so they are searched for at the same time: the
//! right ones explain most of the power of all images together. All pairs count, and what is not periodic as much as
//! what is, so that a lattice does not make an image slip by one of its vectors.
//!
//! The images of a wave under a lens are those of the complex conjugate wave under the opposite lens. What tells both apart, and so the
//! sign of the focus steps, is that atoms attract electrons: the phase has peaks, not holes.
//!
//! Displacements are those of the image's content: `image_j(r) = image_reference(r - shift_j)` but for focus.

mod lens;
mod moved;
mod refine;
mod search;
mod spectra;

use atomlens_core::grid::next_fast_length;
use num_complex::Complex;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::lens::{Lens, natural_units};
use self::refine::{Beliefs, Refinement};
use self::search::{Candidate, Reach, Search, back};
use self::spectra::{Field, Spectra};
use crate::fourier::Fourier;
use crate::{CameraEstimate, FocalSeries, ReconstructError};

pub use self::moved::{Moved, aligned};

/// Resolution of the search, in angstrom; only the climb uses all of [`AlignSettings::resolution_angstrom`].
const COARSE_ANGSTROM: f64 = 1.25;

/// Extent of the search over the mean focus, and the step, in units that change `chi` by 1 at the coarse resolution.
const FOCUS_UNITS: f64 = 25.0;

/// Largest step of the search over spherical aberration, in such units.
const CS_UNITS: f64 = 3.5;

/// Lenses that are looked at more closely, and those that are climbed from.
const THOROUGH: usize = 16;
const CLIMBED: usize = 10;

/// Those that are climbed from with astigmatism.
const ASTIGMATIC: usize = 2;

/// Fields whose images lie this near to each other, in pixels, are taken for one.
const NEAR_PIXELS: usize = 3;

/// Extent of the field that lenses and places are searched on, and of the one that lenses are told apart on, in angstrom: more would take longer
/// and say no more.
const SEARCH_FIELD_ANGSTROM: f64 = 60.0;
const LENS_FIELD_ANGSTROM: f64 = 45.0;

/// Extent of the field on which the places are found in the end.
const PLACE_FIELD_ANGSTROM: f64 = 80.0;

/// Standard deviation of the focus of each image that no step is too small for, in angstrom.
const STEADY_ANGSTROM: f64 = 3.0;

/// Lenses for which the places are found on the larger field.
const FINISHED: usize = 4;

/// Change of displacement that matters, as a part of the coarse resolution.
const SHIFT_UNIT: f64 = 0.1;

/// Transfer, squared, of which a phase is worth nothing.
const REGULAR: f64 = 0.2;

/// How much a skewness of 1 of the phase counts against a part of explained power.
const SKEWNESS_WORTH: f64 = 0.05;

/// Skewness beyond which nothing more is learnt.
const MOST_SKEWNESS: f64 = 1.5;

/// By how much the reversed order of focus must score higher than the given one to contradict it.
const CONTRADICTION: f64 = 0.06;

/// Part of the best image's score below which an image does not belong.
const FOREIGN: f64 = 0.3;

/// Least standard deviation of a shift that is stated, in angstrom: what the model of a thin object leaves.
const MODEL_SIGMA_ANGSTROM: f64 = 0.012;

/// What is known before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignSettings {
    /// Largest shift against the reference image.
    pub largest_shift_angstrom: f64,
    /// Standard deviation of the shifts that are expected.
    pub likely_shift_angstrom: f64,
    /// Standard deviation of each step of focus, as a part of it.
    pub step_error: f64,
    /// Finest detail that is compared.
    pub resolution_angstrom: f64,
    /// Spherical aberration, if known.
    pub cs_angstrom: Option<f64>,
    /// Largest spherical aberration of either sign if it is not known: that of a corrected microscope.
    pub largest_cs_angstrom: f64,
    /// Standard deviation of the absolute focus of a series that has it.
    pub defocus_sigma_angstrom: f64,
    /// Standard deviation of each part of the twofold astigmatism.
    pub astigmatism_sigma_angstrom: f64,
}

impl Default for AlignSettings {
    fn default() -> AlignSettings {
        AlignSettings {
            largest_shift_angstrom: 6.0,
            likely_shift_angstrom: 3.0,
            step_error: 0.1,
            resolution_angstrom: 0.9,
            cs_angstrom: None,
            largest_cs_angstrom: 2e5,
            defocus_sigma_angstrom: 20.0,
            astigmatism_sigma_angstrom: 15.0,
        }
    }
}

/// A lens under which the images agree: a first estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LensHypothesis {
    /// Defocus of each image, underfocus positive.
    pub defocus_angstrom: Vec<f64>,
    /// Standard deviations, as far as noise is concerned; infinite if the images do not tell.
    pub defocus_sigma_angstrom: Vec<f64>,
    /// Spherical aberration.
    pub cs_angstrom: f64,
    /// Twofold astigmatism.
    pub c12_angstrom: f64,
    /// Its azimuth.
    pub phi12_rad: f64,
    /// Displacement of each image's content against the reference, [x, y].
    pub shift_angstrom: Vec<[f64; 2]>,
    /// Part of the images' weighted power that one phase under this lens explains.
    pub explained: f64,
    /// Skewness of that phase: positive if it has peaks, as atoms make them.
    pub skewness: f64,
    /// Both together; what hypotheses are ranked by.
    pub score: f64,
}

/// Where the images lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// The image that the others are compared with: that of the middle focus.
    pub reference: usize,
    /// Displacement of each image's content against the reference, [x, y].
    pub shift_angstrom: Vec<[f64; 2]>,
    /// Standard deviation along either direction; 0 for the reference.
    pub sigma_angstrom: Vec<f64>,
    /// How well each image agrees with the one that it agrees with best: a correlation coefficient, contrast made alike.
    pub image_score: Vec<f64>,
    /// Whether each image shows what the others show. With two images both do or neither.
    pub belongs: Vec<bool>,
    /// Lenses that were found, best first, of different focus.
    pub hypotheses: Vec<LensHypothesis>,
    /// Score of the reversed steps less that of the given ones.
    pub reversal: f64,
    /// Whether the images say that the steps have the other sign.
    pub steps_contradicted: bool,
}

/// Finds displacements, and a first estimate of focus and spherical aberration. The camera says how much noise there is; without it
/// rings of the images' spectra do.
///
/// # Errors
/// What [`FocalSeries::check`] refuses, and settings out of range.
pub fn align(
    series: &FocalSeries,
    camera: Option<&CameraEstimate>,
    settings: &AlignSettings,
) -> Result<Alignment, ReconstructError> {
    series.check()?;
    settings.check()?;
    Ok(Aligner::new(series, camera, settings).run())
}

impl AlignSettings {
    fn check(&self) -> Result<(), ReconstructError> {
        for (name, value) in [
            ("largest shift in angstrom", self.largest_shift_angstrom),
            ("likely shift in angstrom", self.likely_shift_angstrom),
            ("error of the focus steps", self.step_error),
            ("resolution in angstrom", self.resolution_angstrom),
            ("largest spherical aberration in angstrom", self.largest_cs_angstrom),
            ("standard deviation of the defocus in angstrom", self.defocus_sigma_angstrom),
            ("standard deviation of the astigmatism in angstrom", self.astigmatism_sigma_angstrom),
        ] {
            ReconstructError::positive(name, value)?;
        }
        match self.cs_angstrom {
            Some(cs) if !cs.is_finite() => Err(ReconstructError::OutOfRange {
                name: "spherical aberration in angstrom",
                found: cs,
                expected: "a finite number",
            }),
            _ => Ok(()),
        }
    }
}

struct Aligner<'a> {
    series: &'a FocalSeries,
    camera: Option<&'a CameraEstimate>,
    settings: &'a AlignSettings,
    /// Images by how near their focus is to the middle one.
    order: Vec<usize>,
    reach: Reach,
    /// Highest frequencies of the search and of the climb, in 1 / angstrom.
    coarse: f64,
    fine: f64,
    /// Units of focus and spherical aberration at the coarse frequency.
    units: [f64; 2],
    /// Nominal focus less its mean, and the mean if it is known.
    steps: Vec<f64>,
    mean: Option<f64>,
}

/// A candidate after the climb.
struct Climbed {
    /// Displacements are those of the images.
    candidate: Candidate,
    ground: usize,
    /// Score under the better sign of the phase.
    score: f64,
    skewness: f64,
}

impl<'a> Aligner<'a> {
    fn new(series: &'a FocalSeries, camera: Option<&'a CameraEstimate>, settings: &'a AlignSettings) -> Aligner<'a> {
        let count = series.len();
        let mut by_focus: Vec<usize> = (0..count).collect();
        by_focus.sort_by(|a, b| series.defocus_angstrom[*a].total_cmp(&series.defocus_angstrom[*b]));
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|rank| rank.abs_diff(count / 2));
        let order: Vec<usize> = order.into_iter().map(|rank| by_focus[rank]).collect();
        let (_, ny, nx) = series.images.dim();
        let extent = nx.min(ny) as f64 * series.pixel_angstrom;
        let reach = Reach {
            largest_angstrom: settings.largest_shift_angstrom.min(0.25 * extent),
            likely_angstrom: settings.likely_shift_angstrom,
        };
        let wavelength = series.wavelength_angstrom();
        let mut fine = (1.0 / settings.resolution_angstrom).min(0.98 * 0.5 / series.pixel_angstrom);
        if let Some(cs) = settings.cs_angstrom {
            // Beyond, beams are displaced by half of the field, and neighbouring frequencies have transfers of either sign.
            fine = fine.min((0.5 * extent / (cs.abs().max(1.0) * wavelength.powi(3))).cbrt());
        }
        let coarse = fine.min(1.0 / COARSE_ANGSTROM);
        let mean = series.defocus_angstrom.iter().sum::<f64>() / count as f64;
        Aligner {
            series,
            camera,
            settings,
            order,
            reach,
            coarse,
            fine,
            units: natural_units(wavelength, coarse),
            steps: series.defocus_angstrom.iter().map(|f| f - mean).collect(),
            mean: series.defocus_is_absolute.then_some(mean),
        }
    }

    fn reference(&self) -> usize {
        self.order[0]
    }

    /// Standard deviation of the nominal mean focus, if it is known.
    fn mean_sigma(&self) -> f64 {
        self.mean
            .map_or(f64::INFINITY, |mean| self.settings.defocus_sigma_angstrom + self.settings.step_error * mean.abs())
    }

    /// Whether a mean focus is possible, with some room.
    fn is_possible(&self, found: f64) -> bool {
        self.mean.is_none_or(|mean| (found - mean).abs() <= 3.0 * self.mean_sigma())
    }

    /// The lenses that are searched: for absolute focus those that are possible, and their mirror images.
    fn lenses(&self) -> Vec<Lens> {
        let wavelength = self.series.wavelength_angstrom();
        let [focus, cs] = self.units;
        let spherical: Vec<f64> = match self.settings.cs_angstrom {
            Some(known) => vec![known],
            None => {
                let side = (self.settings.largest_cs_angstrom / (CS_UNITS * cs)).ceil().max(1.0);
                let step = self.settings.largest_cs_angstrom / side;
                (-side as i64..=side as i64).map(|i| i as f64 * step).collect()
            }
        };
        let compensating = 2.0 * (1.5 * self.settings.cs_angstrom.unwrap_or(0.0).abs() * wavelength).sqrt();
        let known = self.mean.map_or(0.0, |mean| mean.abs() + 3.0 * self.mean_sigma());
        let largest = (FOCUS_UNITS * focus).max(compensating).max(known);
        let count = (largest / focus).ceil() as i64;
        let mut out = Vec::new();
        for cs_angstrom in spherical {
            for index in -count..=count {
                let mean = index as f64 * focus;
                if self.is_possible(mean) || self.is_possible(-mean) {
                    out.push(Lens {
                        defocus_angstrom: self.steps.iter().map(|step| mean + step).collect(),
                        cs_angstrom,
                        astigmatism_angstrom: [0.0; 2],
                    });
                }
            }
        }
        out
    }

    /// The best candidates of different focus or different places.
    fn distinct(&self, mut candidates: Vec<Candidate>, most: usize) -> Vec<Candidate> {
        candidates.sort_by(|a, b| b.explained.total_cmp(&a.explained));
        let mut out: Vec<Candidate> = Vec::new();
        for candidate in candidates {
            let is_known = out.iter().any(|other| {
                let apart = candidate.lens.defocus_angstrom[0] - other.lens.defocus_angstrom[0];
                let moved = candidate.shift_angstrom.iter().zip(&other.shift_angstrom);
                apart.abs() < 0.8 * self.units[0]
                    && (candidate.lens.cs_angstrom - other.lens.cs_angstrom).abs() < 0.8 * CS_UNITS * self.units[1]
                    && moved.clone().all(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]) < 1.0)
            });
            if !is_known {
                out.push(candidate);
                if out.len() == most {
                    break;
                }
            }
        }
        out
    }

    fn run(&self) -> Alignment {
        let (_, ny, nx) = self.series.images.dim();
        let still = vec![[0.0; 2]; self.series.len()];
        let smallest = nx.min(ny) / 3;
        let whole = Field::common(self.series, &still, smallest)
            .unwrap_or_else(|| Field { first: vec![[0; 2]; self.series.len()], size: [nx, ny] });
        let pixels = |extent_angstrom: f64| (extent_angstrom / self.series.pixel_angstrom) as usize;
        let searched = whole.clone().middle(pixels(SEARCH_FIELD_ANGSTROM));
        let spectra = Spectra::new(self.series, &searched, self.camera, self.coarse);
        let search = Search::new(&spectra, self.coarse, self.order.clone(), self.reach);
        let quick = self.distinct(search.quick(&self.lenses()), THOROUGH);
        let lenses: Vec<Lens> = quick.into_iter().map(|candidate| candidate.lens).collect();
        let found = self.distinct(search.thorough(&lenses), CLIMBED);
        let part = pixels(LENS_FIELD_ANGSTROM);
        let grounds = self.grounds(&found, smallest, &whole, part);
        let mut climbed = self.climb(&grounds, &found);
        climbed.sort_by(|a, b| b.score.total_cmp(&a.score));
        // Astigmatism bends the climb: from the best ones again, with some along each direction.
        let again: Vec<Candidate> = climbed.iter().take(ASTIGMATIC).flat_map(|best| self.astigmatic(best)).collect();
        climbed.extend(self.climb(&grounds, &again));
        climbed.sort_by(|a, b| b.score.total_cmp(&a.score));
        if nx.max(ny) > part {
            // The places once more, on more of what the images have in common, for the lens that the part has told.
            let best: Vec<Candidate> = climbed.iter().take(FINISHED).map(|one| one.candidate.clone()).collect();
            let grounds = self.grounds(&best, smallest, &whole, pixels(PLACE_FIELD_ANGSTROM));
            let mut finished = self.climb(&grounds, &best);
            finished.sort_by(|a, b| b.score.total_cmp(&a.score));
            return self.conclude(&grounds, &finished);
        }
        self.conclude(&grounds, &climbed)
    }

    /// The fields that all images have in common if they lie as the candidates say.
    /// `most` limits width and height, in pixels.
    fn grounds(&self, found: &[Candidate], smallest: usize, whole: &Field, most: usize) -> Vec<Ground> {
        let mut fields: Vec<Field> = Vec::new();
        for candidate in found {
            let field = Field::common(self.series, &candidate.shift_angstrom, smallest);
            let field = field.unwrap_or_else(|| whole.clone()).middle(most);
            if !fields.iter().any(|known| known.is_near(&field, NEAR_PIXELS)) {
                fields.push(field);
            }
        }
        let pixel = self.series.pixel_angstrom;
        let ground = |field: Field| {
            let first = field.first[self.reference()];
            let offset_angstrom = field
                .first
                .iter()
                .map(|at| [0, 1].map(|axis| (at[axis] as f64 - first[axis] as f64) * pixel))
                .collect();
            let spectra = Spectra::new(self.series, &field, self.camera, self.fine);
            Ground { spectra, offset_angstrom }
        };
        fields.into_iter().map(ground).collect()
    }

    fn beliefs(&self) -> Beliefs {
        let mean = self.mean.unwrap_or(0.0);
        let (cs_angstrom, cs_sigma_angstrom) = match self.settings.cs_angstrom {
            Some(known) => (known, 2e3 + 0.05 * known.abs()),
            None => (0.0, self.settings.largest_cs_angstrom),
        };
        Beliefs {
            defocus_angstrom: self.steps.iter().map(|step| mean + step).collect(),
            step_sigma_angstrom: self
                .steps
                .iter()
                .map(|step| STEADY_ANGSTROM + self.settings.step_error * step.abs())
                .collect(),
            mean_sigma_angstrom: self.mean_sigma(),
            cs_angstrom,
            cs_sigma_angstrom,
            astigmatism_sigma_angstrom: self.settings.astigmatism_sigma_angstrom,
        }
    }

    /// Climbs from every candidate on the ground that suits it best.
    fn climb(&self, grounds: &[Ground], found: &[Candidate]) -> Vec<Climbed> {
        let beliefs = self.beliefs();
        let one = |start: &Candidate| {
            let far = |ground: &Ground| -> f64 {
                let apart = ground.offset_angstrom.iter().zip(&start.shift_angstrom);
                apart.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum()
            };
            let ground = (0..grounds.len()).min_by(|a, b| far(&grounds[*a]).total_cmp(&far(&grounds[*b]))).unwrap_or(0);
            let mut beliefs = beliefs.clone();
            let mean = start.lens.defocus_angstrom.iter().sum::<f64>() / self.steps.len() as f64;
            if self.mean.is_some() && !self.is_possible(mean) {
                // Stands for its mirror image, of which the opposite is known.
                beliefs.defocus_angstrom = self.steps.iter().map(|step| step - self.mean.unwrap_or(0.0)).collect();
            }
            self.climb_on(grounds, ground, &beliefs, start)
        };
        found.par_iter().map(one).collect()
    }

    fn refinement<'b>(&self, ground: &'b Ground, beliefs: &'b Beliefs) -> Refinement<'b> {
        Refinement {
            spectra: &ground.spectra,
            beliefs,
            reference: self.reference(),
            units: [SHIFT_UNIT * COARSE_ANGSTROM, self.units[0], self.units[1]],
        }
    }

    fn climb_on(&self, grounds: &[Ground], ground: usize, beliefs: &Beliefs, start: &Candidate) -> Climbed {
        let here = &grounds[ground];
        let start = here.there(start, -1.0);
        let found = self.refinement(here, beliefs).climb(&start);
        let skewness = skewness(&here.spectra, &found);
        let score = found.explained + SKEWNESS_WORTH * skewness.abs().min(MOST_SKEWNESS);
        Climbed { candidate: here.there(&found, 1.0), ground, skewness, score }
    }

    fn astigmatic(&self, from: &Climbed) -> Vec<Candidate> {
        let amount = self.units[0];
        [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
            .into_iter()
            .map(|direction| {
                let mut candidate = from.candidate.clone();
                candidate.lens.astigmatism_angstrom = direction.map(|part: f64| part * amount);
                candidate
            })
            .collect()
    }

    fn conclude(&self, grounds: &[Ground], climbed: &[Climbed]) -> Alignment {
        let score = |one: &Climbed, sign: f64| {
            let mean = one.candidate.lens.defocus_angstrom.iter().sum::<f64>() / self.steps.len() as f64;
            let possible = self.is_possible(sign * mean);
            let skewness = (sign * one.skewness).clamp(-MOST_SKEWNESS, MOST_SKEWNESS);
            if possible { one.candidate.explained + SKEWNESS_WORTH * skewness } else { f64::NEG_INFINITY }
        };
        let best = |sign: f64| {
            climbed.iter().max_by(|a, b| score(a, sign).total_cmp(&score(b, sign))).map(|one| (score(one, sign), one))
        };
        let count = self.series.len();
        let nothing = Alignment {
            reference: self.reference(),
            shift_angstrom: vec![[0.0; 2]; count],
            sigma_angstrom: vec![f64::INFINITY; count],
            image_score: vec![0.0; count],
            belongs: vec![false; count],
            hypotheses: Vec::new(),
            reversal: 0.0,
            steps_contradicted: false,
        };
        let (Some((given, forward)), Some((reversed, _))) = (best(1.0), best(-1.0)) else { return nothing };
        let reversal = if given.is_finite() && reversed.is_finite() { reversed - given } else { 0.0 };
        let beliefs = self.beliefs();
        let sigmas = |one: &Climbed| {
            let ground = &grounds[one.ground];
            self.refinement(ground, &beliefs).sigmas(&ground.there(&one.candidate, -1.0))
        };
        let ground = &grounds[forward.ground];
        let (of_place, _) = sigmas(forward);
        let mut ranked: Vec<&Climbed> = climbed.iter().filter(|one| score(one, 1.0).is_finite()).collect();
        ranked.sort_by(|a, b| score(b, 1.0).total_cmp(&score(a, 1.0)));
        let mut distinct: Vec<&Climbed> = Vec::new();
        for one in ranked {
            let lens = &one.candidate.lens;
            let is_known = distinct.iter().any(|other| {
                let other = &other.candidate.lens;
                (other.defocus_angstrom[0] - lens.defocus_angstrom[0]).abs() < 0.5 * self.units[0]
                    && (other.cs_angstrom - lens.cs_angstrom).abs() < self.units[1]
            });
            if !is_known {
                distinct.push(one);
            }
        }
        let hypothesis = |one: &&Climbed| {
            let lens = &one.candidate.lens;
            let [a, b] = lens.astigmatism_angstrom;
            LensHypothesis {
                defocus_angstrom: lens.defocus_angstrom.clone(),
                defocus_sigma_angstrom: sigmas(one).1,
                cs_angstrom: lens.cs_angstrom,
                c12_angstrom: a.hypot(b),
                phi12_rad: 0.5 * b.atan2(a),
                shift_angstrom: one.candidate.shift_angstrom.clone(),
                explained: one.candidate.explained,
                skewness: one.skewness,
                score: score(one, 1.0),
            }
        };
        let hypotheses: Vec<LensHypothesis> = distinct.par_iter().map(hypothesis).collect();
        let image_score = agreement(&ground.spectra, &ground.there(&forward.candidate, -1.0));
        let highest = image_score.iter().copied().fold(0.0, f64::max);
        Alignment {
            reference: self.reference(),
            shift_angstrom: forward.candidate.shift_angstrom.clone(),
            sigma_angstrom: (0..count)
                .map(|image| if image == self.reference() { 0.0 } else { of_place[image].hypot(MODEL_SIGMA_ANGSTROM) })
                .collect(),
            belongs: image_score.iter().map(|score| *score > FOREIGN * highest && *score > 0.0).collect(),
            image_score,
            hypotheses,
            reversal,
            steps_contradicted: reversal > CONTRADICTION,
        }
    }
}

/// The spectra of a field, and how far each image's field lies from that of the reference.
struct Ground {
    spectra: Spectra,
    offset_angstrom: Vec<[f64; 2]>,
}

impl Ground {
    /// A candidate's places as seen from this field (`sign` -1) or from the images (`sign` 1).
    fn there(&self, candidate: &Candidate, sign: f64) -> Candidate {
        let mut out = candidate.clone();
        for (place, offset) in out.shift_angstrom.iter_mut().zip(&self.offset_angstrom) {
            place[0] += sign * offset[0];
            place[1] += sign * offset[1];
        }
        out
    }
}

/// Skewness of the phase that explains the images best.
fn skewness(spectra: &Spectra, found: &Candidate) -> f64 {
    let [nx, ny] = spectra.reach().map(|index| next_fast_length(2 * index + 2));
    let zero = Complex::new(0.0_f32, 0.0);
    let (mut spectrum, mut phase) = (vec![zero; nx * ny], vec![zero; nx * ny]);
    for (index, frequency) in spectra.frequencies.iter().enumerate() {
        let (mut sum, mut squares) = (Complex::new(0.0, 0.0), REGULAR);
        for (image, place) in found.shift_angstrom.iter().enumerate() {
            let transfer = found.lens.chi(image, frequency.k, spectra.wavelength_angstrom).sin();
            sum += spectra.values[image][index] * back(frequency.k, *place) * transfer;
            squares += transfer * transfer;
        }
        let value = sum / squares;
        let [x, y] = frequency.index;
        spectrum[x as usize * ny + y.rem_euclid(ny as i32) as usize] = Complex::new(value.re as f32, value.im as f32);
    }
    Fourier::new(ny, nx).inverse(&mut spectrum, &mut phase);
    let count = phase.len() as f64;
    let mean = phase.iter().map(|value| f64::from(value.re)).sum::<f64>() / count;
    let moment = |power: i32| phase.iter().map(|value| (f64::from(value.re) - mean).powi(power)).sum::<f64>() / count;
    let variance = moment(2);
    if variance > 0.0 { moment(3) / variance.powf(1.5) } else { 0.0 }
}

/// The highest correlation of each image with another one, the contrast of both brought to that of the other.
fn agreement(spectra: &Spectra, found: &Candidate) -> Vec<f64> {
    let images = spectra.values.len();
    let mut best = vec![0.0_f64; images];
    for one in 0..images {
        for other in 0..one {
            let (mut product, mut squares) = (0.0, [0.0; 2]);
            for (index, frequency) in spectra.frequencies.iter().enumerate() {
                let transfer = |image: usize| found.lens.chi(image, frequency.k, spectra.wavelength_angstrom).sin();
                let value =
                    |image: usize| spectra.values[image][index] * back(frequency.k, found.shift_angstrom[image]);
                let (first, second) = (value(one) * transfer(other), value(other) * transfer(one));
                product += frequency.weight * (first * second.conj()).re;
                squares[0] += frequency.weight * first.norm_sqr();
                squares[1] += frequency.weight * second.norm_sqr();
            }
            let score = product / (squares[0] * squares[1]).sqrt().max(1e-300);
            best[one] = best[one].max(score);
            best[other] = best[other].max(score);
        }
    }
    best
}

#[cfg(test)]
mod tests;
