//! The report of a reconstruction: what was found, as the page takes it.

use std::path::Path;

use atomlens_reconstruct::CameraEstimate;
use atomlens_report::html::{CameraFacts, OpticsValue, ReconstructionReport, Residual, Warning};
use ndarray::Array2;

use super::optics_file::{Found, OpticsFile};
use super::{Method, Solution};
use crate::WorkflowError;
use crate::detect::choose::Choice;
use crate::model;
use crate::series::Placed;
use crate::series::detect::facts;

/// Writes the report.
///
/// # Errors
/// If it cannot be drawn or written.
pub(super) fn write(
    path: &Path,
    placed: &Placed,
    solution: &Solution,
    parts: (&Array2<f32>, &Array2<f32>),
    choice: Option<&Choice>,
    settings: serde_json::Value,
) -> Result<(), WorkflowError> {
    let place = |text: &String| Warning { place: placed.name.clone(), text: text.clone() };
    let (phase, amplitude) = parts;
    let optics = &solution.optics;
    let focus: Vec<(f64, Option<f64>)> =
        optics.images.iter().map(|image| (image.defocus_nm.value, image.defocus_nm.sigma)).collect();
    let residuals = solution
        .residuals
        .iter()
        .zip(&optics.images)
        .filter_map(|((_, sigmas), image)| Some(Residual { sigmas: sigmas.view(), rms: image.residual_rms? }));
    let report = ReconstructionReport {
        title: format!("Exit wave: {}", placed.name),
        program: format!("atomlens {}", env!("CARGO_PKG_VERSION")),
        created: String::new(),
        series: facts(placed),
        images: placed.focus_images(Some(&focus)),
        phase_rad: phase.view(),
        amplitude: amplitude.view(),
        phase_sigma_rad: optics.phase_sigma_rad,
        // Counting noise is known for the phase alone.
        amplitude_sigma: None,
        residuals: residuals.collect(),
        optics: values(optics),
        camera: solution.camera.as_ref().map(camera),
        method: method(solution, optics),
        convergence: Vec::new(),
        spectra: Vec::new(),
        can_conclude: can(optics),
        cannot_conclude: cannot(placed, optics),
        warnings: solution.warnings.iter().map(place).collect(),
        settings,
        model: choice.filter(|_| optics.method != Method::Iterative).map(|choice| model::page(&choice.model.card)),
    };
    Ok(report.write(path)?)
}

fn values(optics: &OpticsFile) -> Vec<OpticsValue> {
    let value = |name: &str, found: Found, unit: &str| OpticsValue {
        name: name.to_owned(),
        value: found.value,
        sigma: found.sigma,
        unit: unit.to_owned(),
        source: if found.held { "held" } else { "refined" }.to_owned(),
    };
    let mut values: Vec<OpticsValue> = optics
        .images
        .iter()
        .map(|image| value(&format!("Defocus of image {}", image.image), image.defocus_nm, "nm"))
        .collect();
    values.push(value("Twofold astigmatism", optics.astigmatism_nm, "nm"));
    values.push(value("Its azimuth", optics.astigmatism_azimuth_degree, "°"));
    values.push(value("Spherical aberration", optics.cs_um, "µm"));
    let spreads = [("Focal spread", optics.focal_spread_nm), ("Blur before counting", optics.blur_nm)];
    values.extend(
        spreads
            .into_iter()
            .filter_map(|(name, found)| Some(value(&format!("{name} (standard deviation)"), found?, "nm"))),
    );
    values
}

fn camera(camera: &CameraEstimate) -> CameraFacts {
    let uncertain = |value: f64, sigma: f64| format!("{value:.3} ± {sigma:.3}");
    CameraFacts {
        facts: vec![
            ("Counts an electron".to_owned(), uncertain(camera.gain_counts_per_electron, camera.gain_sigma)),
            (
                "Transfer".to_owned(),
                format!(
                    "1 / (1 + (q / 2 c3)^c4) with c3 {} and c4 {}",
                    uncertain(camera.c3, camera.c3_sigma),
                    uncertain(camera.c4, camera.c4_sigma)
                ),
            ),
        ],
        mtf_measured: camera
            .rings
            .iter()
            .filter(|ring| ring.is_noise && ring.power > 0.0)
            .map(|ring| (ring.q, (ring.power / camera.gain_counts_per_electron).sqrt()))
            .collect(),
        mtf: (0..=50).map(|index| 0.02 * f64::from(index)).map(|q| (q, camera.mtf(q))).collect(),
        ..CameraFacts::default()
    }
}

fn method(solution: &Solution, optics: &OpticsFile) -> Vec<String> {
    let images = optics.images.len();
    let by_network = format!("The network {} saw three images.", solution.network);
    let iterated = format!(
        "The wave, the focus of {images} images and the lens that make the images likeliest were found in {} iterations{}.",
        optics.iterations,
        match (optics.stopped, optics.converged) {
            (true, _) => ", when they were stopped",
            (_, true) => "",
            _ => "; the solution had not settled",
        }
    );
    let origin = format!("The defocus counts from {}.", optics.origin);
    match optics.method {
        Method::Network => vec![by_network, origin],
        Method::Iterative => vec![iterated, origin],
        Method::Both => vec![by_network, iterated, origin],
    }
}

fn can(optics: &OpticsFile) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(sigma) = optics.phase_sigma_rad {
        sentences.push(format!(
            "Differences of phase of {:.3} rad and more between pixels stand out of the noise.",
            3.0 * sigma
        ));
    }
    let residuals: Vec<f64> = optics.images.iter().filter_map(|image| image.residual_rms).collect();
    if let Some(worst) = residuals.iter().copied().reduce(f64::max) {
        let verdict = if worst < 1.1 {
            "the wave and the lens explain the images to within their noise"
        } else {
            "something that the model of the images lacks is left over"
        };
        sentences.push(format!("What is left over of the images is {worst:.2} of their noise at most: {verdict}."));
    }
    sentences
}

fn cannot(placed: &Placed, optics: &OpticsFile) -> Vec<String> {
    let mut sentences = vec!["The constant phase of the wave is not known: its mean was made real.".to_owned()];
    if !placed.focus_from.is_absolute() {
        sentences.push(
            "The origin of the focus comes from the images alone: a wave further along the beam, with all foci moved, explains \
             them as well."
                .to_owned(),
        );
    }
    if optics.method == Method::Network {
        sentences.push(
            "A network knows layers like those that it was trained on, and may see them where there is another."
                .to_owned(),
        );
    }
    sentences
}
