//! `optics.json`: the lens, the focus and the place of each image, as they were found or held. Lengths in nm, angles in degrees
//! from x towards y (clockwise on the screen), underfocus positive, spreads by their standard deviation.

use atomlens_reconstruct::{Estimate, Reconstruction};
use serde::Serialize;

use super::{Lens, Method};
use crate::series::{LeftOut, Placed};

/// Nanometres in an angstrom, and micrometres.
const NM: f64 = 0.1;
const UM: f64 = 1e-4;

/// A number, its standard deviation where it was found, and whether it was held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Found {
    /// The value.
    pub value: f64,
    /// Its standard deviation; none for a value that was held.
    pub sigma: Option<f64>,
    /// Whether it was held at what the user said.
    pub held: bool,
}

impl Found {
    /// A value that the images gave, in another unit.
    pub fn refined(value: f64, sigma: f64, factor: f64) -> Found {
        let sigma = (factor * sigma).abs();
        Found { value: factor * value, sigma: sigma.is_finite().then_some(sigma), held: false }
    }

    /// What the iterative solution found or held.
    fn of(estimate: Estimate, factor: f64) -> Found {
        if estimate.sigma == 0.0 {
            Found::held(estimate.value, factor)
        } else {
            Found::refined(estimate.value, estimate.sigma, factor)
        }
    }

    /// A value that was held, in another unit.
    pub fn held(value: f64, factor: f64) -> Found {
        Found { value: factor * value, sigma: None, held: true }
    }
}

/// What was found of one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageOptics {
    /// Its number in the series, from 0.
    pub image: usize,
    /// Where it is.
    pub file: String,
    /// Its defocus as it was stated, in nm.
    pub nominal_defocus_nm: f64,
    /// Its defocus, in nm, from the plane that `origin` says.
    pub defocus_nm: Found,
    /// Place of the specimen in it less that in the reference image, along x.
    pub shift_x_nm: f64,
    /// Likewise along y.
    pub shift_y_nm: f64,
    /// Standard deviation of both.
    pub shift_sigma_nm: Option<f64>,
    /// Root mean square of image less model in standard deviations of the noise: 1 where nothing but noise is left.
    pub residual_rms: Option<f64>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpticsFile {
    /// The series.
    pub series: String,
    /// How the wave was found.
    pub method: Method,
    /// Energy of the electrons.
    pub energy_kev: f64,
    /// Distance between pixels of images and wave.
    pub pixel_size_nm: f64,
    /// What the defocus counts from.
    pub origin: String,
    /// The images that were used, by increasing underfocus.
    pub images: Vec<ImageOptics>,
    /// Those that were not.
    pub left_out: Vec<LeftOut>,
    /// The image on whose pixels the wave is.
    pub reference_image: usize,
    /// Twofold astigmatism.
    pub astigmatism_nm: Found,
    /// Its azimuth: the direction of strongest underfocus less 90 degrees, modulo 180.
    pub astigmatism_azimuth_degree: Found,
    /// Spherical aberration.
    pub cs_um: Found,
    /// Spread of the focus, standard deviation; none if it was not looked for.
    pub focal_spread_nm: Option<Found>,
    /// Blur of the images before they were counted (vibration, drift), standard deviation; none if it was not looked for.
    pub blur_nm: Option<Found>,
    /// Standard deviation of the phase of a pixel from the noise of the images.
    pub phase_sigma_rad: Option<f64>,
    /// Iterations that were made.
    pub iterations: usize,
    /// Whether the solution had settled.
    pub converged: bool,
    /// Whether the user stopped it before.
    pub stopped: bool,
}

impl ImageOptics {
    /// Its focus in words.
    pub fn says(&self) -> String {
        let sigma = self.defocus_nm.sigma.map_or_else(String::new, |sigma| format!(" ± {sigma:.2}"));
        let residual = self.residual_rms.map_or_else(String::new, |rms| format!(", residual {rms:.2} of the noise"));
        format!("image {} ({}): defocus {:.2}{sigma} nm{residual}", self.image, self.file, self.defocus_nm.value)
    }
}

impl OpticsFile {
    /// How the wave was found, in words.
    pub fn how(&self, network: &str) -> String {
        let iterations = format!("{} iterations", self.iterations);
        match self.method {
            Method::Network => format!("by the network {network}"),
            Method::Iterative => format!("iteratively, {iterations}"),
            Method::Both => format!("by the network {network}, then {iterations}"),
        }
    }
}

fn images(
    placed: &Placed,
    defocus: impl Fn(usize) -> Found,
    residual_rms: impl Fn(usize) -> Option<f64>,
) -> Vec<ImageOptics> {
    let alignment = &placed.alignment;
    let of_image = |(index, facts): (usize, &crate::series::ImageFacts)| ImageOptics {
        image: facts.number,
        file: facts.label.clone(),
        nominal_defocus_nm: NM * placed.series.defocus_angstrom[index],
        defocus_nm: defocus(index),
        shift_x_nm: NM * alignment.shift_angstrom[index][0],
        shift_y_nm: NM * alignment.shift_angstrom[index][1],
        shift_sigma_nm: Some(NM * alignment.sigma_angstrom[index]).filter(|sigma| sigma.is_finite()),
        residual_rms: residual_rms(index),
    };
    placed.facts.iter().enumerate().map(of_image).collect()
}

/// What the alignment found of the lens on its way: all that there is where a network gave the wave.
pub(super) fn first_estimate(placed: &Placed, energy_kev: f64) -> OpticsFile {
    let unknown = Found { value: 0.0, sigma: None, held: true };
    let best = placed.alignment.hypotheses.first();
    let defocus = |index: usize| match best {
        Some(best) => Found::refined(best.defocus_angstrom[index], best.defocus_sigma_angstrom[index], NM),
        None => Found::held(placed.series.defocus_angstrom[index], NM),
    };
    OpticsFile {
        series: placed.name.clone(),
        method: Method::Network,
        energy_kev,
        pixel_size_nm: NM * placed.series.pixel_angstrom,
        origin: "the middle of the specimen, roughly: only the alignment looked for it".to_owned(),
        images: images(placed, defocus, |_| None),
        left_out: placed.left_out.clone(),
        reference_image: placed.facts[placed.reference].number,
        astigmatism_nm: best.map_or(unknown, |best| Found::refined(best.c12_angstrom, f64::INFINITY, NM)),
        astigmatism_azimuth_degree: best
            .map_or(unknown, |best| Found::refined(best.phi12_rad.to_degrees(), f64::INFINITY, 1.0)),
        cs_um: best.map_or(unknown, |best| Found::refined(best.cs_angstrom, f64::INFINITY, UM)),
        focal_spread_nm: None,
        blur_nm: None,
        phase_sigma_rad: None,
        iterations: 0,
        converged: true,
        stopped: false,
    }
}

/// What the iterative solution found.
pub(super) fn refined(
    placed: &Placed,
    found: &Reconstruction,
    method: Method,
    energy_kev: f64,
    known: &Lens,
) -> OpticsFile {
    let lens = &found.lens;
    let rms = |index: usize| found.residual_rms.get(index).copied();
    let mut images = images(placed, |index| Found::of(lens.defocus_angstrom[index], NM), rms);
    for (image, [x, y]) in images.iter_mut().zip(&found.shift_angstrom) {
        (image.shift_x_nm, image.shift_y_nm) = (NM * x.value, NM * y.value);
        image.shift_sigma_nm = Some(NM * x.sigma.max(y.sigma));
    }
    let azimuth = lens.phi12_rad;
    let azimuth = Estimate::new(azimuth.value.to_degrees(), azimuth.sigma.to_degrees());
    let held_azimuth = known.astigmatism_azimuth_degree.map(|azimuth| Found::held(azimuth, 1.0));
    OpticsFile {
        series: placed.name.clone(),
        method,
        energy_kev,
        pixel_size_nm: NM * placed.series.pixel_angstrom,
        origin: "the middle of the specimen, where its amplitude is flattest".to_owned(),
        images,
        left_out: placed.left_out.clone(),
        reference_image: placed.facts[placed.reference].number,
        astigmatism_nm: Found::of(lens.c12_angstrom, NM),
        astigmatism_azimuth_degree: held_azimuth.unwrap_or_else(|| Found::of(azimuth, 1.0)),
        cs_um: Found::of(lens.c30_angstrom, UM),
        focal_spread_nm: Some(Found::of(lens.focal_spread_angstrom, NM)),
        blur_nm: Some(Found::of(lens.blur_angstrom, NM)),
        phase_sigma_rad: Some(found.phase_sigma_rad),
        iterations: found.iterations,
        converged: found.converged,
        stopped: found.stopped,
    }
}
