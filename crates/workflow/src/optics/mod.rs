//! Defocus and twofold astigmatism of images from the rings of their power spectra.
//!
//! Every image by itself ([`atomlens_reconstruct::thon`]): a table (`optics.csv`, `optics.parquet`, `optics.json`) and pictures of the
//! spectra with the rings that were fitted (`spectrum_NNN.png`). An image without rings has a row that says so.

mod figure;

use std::path::PathBuf;

use atomlens_reconstruct::thon::{ThonEstimate, ThonSettings, estimate_optics};
use ndarray::Array2;
use parquet_derive::ParquetRecordWriter;
use serde::Serialize;

use self::figure::Spectrum;
use crate::detect::source::{Source, is_of_a_frame};
use crate::model::Model;
use crate::provenance::{Provenance, write_json};
use crate::series::SeriesError;
use crate::table::{rounded, write_tables};
use crate::{Context, WorkflowError};

/// Spectra that are drawn, at most.
const MOST_PICTURES: usize = 24;

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpticsSettings {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Energy; from the file if left out.
    pub energy_kev: Option<f64>,
    /// Pixel size; from the file if left out.
    pub pixel_size_nm: Option<f64>,
    /// Spherical aberration; fitted if left out.
    pub cs_um: Option<f64>,
    /// The folder.
    pub out: PathBuf,
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpticsSummary {
    /// The folder.
    pub out: PathBuf,
    /// The table.
    pub table: PathBuf,
    /// A row an image.
    pub images: Vec<OpticsRow>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What was found of an image. Underfocus is positive, angles run from x towards y.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct OpticsRow {
    /// The file's name.
    pub file: String,
    /// Number of the image in it, from 0.
    pub frame: u64,
    /// Whether there are rings; without them nothing is known.
    pub has_rings: bool,
    /// How far rings explain the spectrum better than a smooth curve, in standard deviations.
    pub significance: f64,
    /// Defocus.
    pub defocus_nm: Option<f64>,
    /// Its standard deviation, if the rings are counted rightly.
    pub defocus_sigma_nm: Option<f64>,
    /// The next likely defocus.
    pub other_defocus_nm: Option<f64>,
    /// How much less likely that is: difference of the logarithms of the likelihood.
    pub other_log_likelihood_less: Option<f64>,
    /// Twofold astigmatism.
    pub astigmatism_nm: Option<f64>,
    /// Standard deviation of each of its parts.
    pub astigmatism_sigma_nm: Option<f64>,
    /// Its azimuth.
    pub azimuth_degree: Option<f64>,
    /// Spherical aberration, as given or as fitted.
    pub cs_um: Option<f64>,
    /// Its standard deviation; 0 if it was given.
    pub cs_sigma_um: Option<f64>,
}

impl OpticsRow {
    fn new(file: &str, frame: u64, found: &ThonEstimate) -> OpticsRow {
        let known =
            |value: f64, digits: i32| found.has_rings.then(|| rounded(value, digits)).filter(|value| value.is_finite());
        let other = found.others.first();
        OpticsRow {
            file: file.to_owned(),
            frame,
            has_rings: found.has_rings,
            significance: rounded(found.significance, 2),
            defocus_nm: known(0.1 * found.defocus_angstrom, 3),
            defocus_sigma_nm: known(0.1 * found.defocus_sigma_angstrom, 3),
            other_defocus_nm: other.and_then(|other| known(0.1 * other.defocus_angstrom, 3)),
            other_log_likelihood_less: other.and_then(|other| known(other.log_likelihood_less, 2)),
            astigmatism_nm: known(0.1 * found.c12_angstrom, 3),
            astigmatism_sigma_nm: known(0.1 * found.c12_sigma_angstrom, 3),
            azimuth_degree: known(found.phi12_rad.to_degrees().rem_euclid(180.0), 2),
            cs_um: known(1e-4 * found.cs_angstrom, 3),
            cs_sigma_um: known(1e-4 * found.cs_sigma_angstrom, 3),
        }
    }

    /// The row in words.
    pub fn says(&self) -> String {
        let (Some(defocus), Some(sigma), Some(astigmatism), Some(azimuth)) =
            (self.defocus_nm, self.defocus_sigma_nm, self.astigmatism_nm, self.azimuth_degree)
        else {
            return "no rings: something amorphous must be in the field".to_owned();
        };
        let of_astigmatism = self.astigmatism_sigma_nm.map_or_else(String::new, |sigma| format!(" ± {sigma:.2}"));
        format!(
            "defocus {defocus:.2} ± {sigma:.2} nm, astigmatism {astigmatism:.2}{of_astigmatism} nm at {azimuth:.0}°"
        )
    }
}

/// Runs the job.
///
/// # Errors
/// Files that cannot be read, an energy or pixel size that nobody knows, Ctrl-C; what was found by then is written.
pub fn run(settings: &OpticsSettings, context: &Context) -> Result<OpticsSummary, WorkflowError> {
    let sources = settings.files.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>, _>>()?;
    let of_sources = sources.iter().map(|source| settings.of(source)).collect::<Result<Vec<_>, _>>()?;
    let mut provenance = Provenance::new("optics", settings.clone());
    for source in &sources {
        provenance = provenance.input(&source.path)?;
    }
    provenance.enter(&settings.out, false)?;
    provenance.write(&settings.out.join("settings.json"))?;
    let total: u64 = sources.iter().map(Source::frames).sum();
    context.progress.begin(total, "images");
    let table = settings.out.join("optics.csv");
    let mut found = OpticsSummary { out: settings.out.clone(), table, images: Vec::new(), warnings: Vec::new() };
    let ranges = trained_ranges()?;
    let mut done = 0;
    let mut stopped = false;
    'files: for (source, (pixel_angstrom, energy_kev)) in sources.iter().zip(of_sources) {
        for frame in 0..source.frames() {
            if context.is_cancelled() {
                stopped = true;
                break 'files;
            }
            match settings.image(source, frame, pixel_angstrom, energy_kev) {
                Ok((counts, estimate)) => {
                    let row = OpticsRow::new(&source.name, frame, &estimate);
                    found.warnings.extend(outside_ranges(&row, &ranges));
                    if found.images.len() < MOST_PICTURES {
                        let path = settings.out.join(format!("spectrum_{:03}.png", found.images.len()));
                        Spectrum::of(&counts, pixel_angstrom, energy_kev, &estimate).write(&path, row.says())?;
                    }
                    found.images.push(row);
                }
                Err(error) if total > 1 && is_of_an_image(&error) => {
                    found.warnings.push(format!("{}, image {frame}, is left out: {error}", source.name));
                }
                Err(error) => return Err(error),
            }
            done += 1;
            context.progress.done(done);
        }
    }
    write_tables(&settings.out, "optics", || Ok(Box::new(found.images.iter().cloned().map(Ok))))?;
    write_json(&settings.out.join("optics.json"), &found)?;
    if stopped {
        return Err(WorkflowError::Cancelled { done, total, unit: "images" });
    }
    if found.images.is_empty() {
        return Err(WorkflowError::NothingDetected { files: sources.len() });
    }
    Ok(found)
}

/// Names of the models that come with the program, with the lowest and highest defocus that they were trained on, in nm.
fn trained_ranges() -> Result<Vec<(&'static str, [f64; 2])>, WorkflowError> {
    let range = |name| Ok((name, Model::find(name)?.card.range.defocus_angstrom.map(|value| 0.1 * value)));
    Model::names().into_iter().map(range).collect()
}

/// A warning if a defocus lies outside what models were trained on, by more than it may be off.
fn outside_ranges(row: &OpticsRow, ranges: &[(&'static str, [f64; 2])]) -> Option<String> {
    let (defocus, sigma) = (row.defocus_nm?, row.defocus_sigma_nm?);
    let is_outside = |[low, high]: [f64; 2]| defocus + 2.0 * sigma < low || defocus - 2.0 * sigma > high;
    let outside: Vec<String> = ranges
        .iter()
        .filter(|(_, range)| is_outside(*range))
        .map(|(name, [low, high])| format!("{name} ({low:.0} to {high:.0} nm)"))
        .collect();
    (!outside.is_empty()).then(|| {
        format!(
            "{}, image {}: the defocus of {defocus:.1} nm lies outside what was trained on: {}; columns that are found there may be wrong",
            row.file,
            row.frame,
            outside.join(", ")
        )
    })
}

fn is_of_an_image(error: &WorkflowError) -> bool {
    is_of_a_frame(error) || matches!(error, WorkflowError::Series(_))
}

impl OpticsSettings {
    /// Pixel size in angstrom and energy in keV of a file's images.
    fn of(&self, source: &Source) -> Result<(f64, f64), WorkflowError> {
        let stated = self.pixel_size_nm.map(|nm| (10.0 * nm, 10.0 * nm)).or(source.pixel_angstrom());
        let (x, y) = stated.ok_or_else(|| WorkflowError::NoPixelSize {
            path: source.path.clone(),
            reason: "what is amorphous has no lattice".to_owned(),
        })?;
        if (x / y - 1.0).abs() > 0.01 {
            return Err(SeriesError::Unusable {
                name: source.name.clone(),
                reason: format!(
                    "pixels are {:.5} x {:.5} nm: expected even ones; bin or resample the image",
                    0.1 * x,
                    0.1 * y
                ),
            }
            .into());
        }
        let energy = self.energy_kev.or(source.acquisition().voltage_kv);
        let energy_kev = energy.ok_or_else(|| SeriesError::NoEnergy { name: source.name.clone() })?;
        Ok((x, energy_kev))
    }

    fn image(
        &self,
        source: &Source,
        frame: u64,
        pixel_angstrom: f64,
        energy_kev: f64,
    ) -> Result<(Array2<f32>, ThonEstimate), WorkflowError> {
        let (counts, _) = source.frame(frame)?;
        let cs_angstrom = self.cs_um.map(|cs| 1e4 * cs);
        let estimate =
            estimate_optics(counts.view(), pixel_angstrom, 1e3 * energy_kev, cs_angstrom, &ThonSettings::default());
        let estimate = estimate.map_err(|source_error| SeriesError::Unusable {
            name: format!("{}, image {frame}", source.name),
            reason: source_error.to_string(),
        })?;
        Ok((counts, estimate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(defocus_nm: Option<f64>, defocus_sigma_nm: Option<f64>) -> OpticsRow {
        OpticsRow {
            file: "a.tif".to_owned(),
            frame: 3,
            has_rings: defocus_nm.is_some(),
            significance: 9.0,
            defocus_nm,
            defocus_sigma_nm,
            other_defocus_nm: None,
            other_log_likelihood_less: None,
            astigmatism_nm: None,
            astigmatism_sigma_nm: None,
            azimuth_degree: None,
            cs_um: None,
            cs_sigma_um: None,
        }
    }

    #[test]
    fn a_defocus_that_no_model_knows_is_named_with_the_models() {
        let ranges = [("near", [-10.0, 15.0]), ("far", [-20.0, 30.0])];
        assert_eq!(outside_ranges(&row(Some(12.0), Some(0.1)), &ranges), None);
        assert_eq!(outside_ranges(&row(None, None), &ranges), None);
        // It may be off by so much.
        assert_eq!(outside_ranges(&row(Some(15.5), Some(0.3)), &ranges), None);
        let one = outside_ranges(&row(Some(25.0), Some(0.3)), &ranges).unwrap();
        assert!(one.contains("a.tif, image 3") && one.contains("near (-10 to 15 nm)") && !one.contains("far"), "{one}");
        let both = outside_ranges(&row(Some(-40.0), Some(0.3)), &ranges).unwrap();
        assert!(both.contains("near") && both.contains("far"), "{both}");
        assert!(trained_ranges().unwrap().len() >= 3);
    }
}
