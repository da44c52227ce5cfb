//! The report of a series: what was found, as the page takes it.

use std::path::Path;

use atomlens_analysis::defects::{self, Defect, DefectKind, EdgeKind, SheetDefects, Sublattice};
use atomlens_core::DetectedColumn;
use atomlens_core::quantile::NORMAL_95;
use atomlens_report::html::{Confusion, DefectCount, FocalSeriesReport, SeriesFacts, SpeciesAccuracy, Warning};
use atomlens_report::{Defects, Edge, EdgeDirection, Estimate, GrainBoundary, RingDefect, SiteDefect, SiteKind};
use ndarray::Axis;

use super::{Found, conclusions};
use crate::WorkflowError;
use crate::model::{self, ModelCard};
use crate::series::place::Placed;

/// Writes the report.
///
/// # Errors
/// If it cannot be drawn or written.
pub(super) fn write(
    path: &Path,
    found: &Found<'_>,
    defects: &Defects,
    settings: serde_json::Value,
) -> Result<(), WorkflowError> {
    let placed = found.placed;
    let card = &found.choice.model.card;
    let reference = placed.facts[placed.reference].number;
    let place = |text: &String| Warning { place: placed.name.clone(), text: text.clone() };
    let summary = found.sheet.as_ref().map(|sheet| &sheet.summary);
    let mut series = facts(placed);
    let in_nm = |(value, sigma): (f64, f64)| (0.1 * value, Some(0.1 * sigma));
    let estimated: Option<Vec<(f64, Option<f64>)>> =
        placed.estimated_defocus_angstrom().map(|found| found.into_iter().map(in_nm).collect());
    series.facts.push(("Model".to_owned(), format!("{}, because {}", found.choice.name, found.choice.reason)));
    let report = FocalSeriesReport {
        title: format!("Species and defects: {}", placed.name),
        program: format!("atomlens {}", env!("CARGO_PKG_VERSION")),
        created: String::new(),
        series,
        images: placed.focus_images(estimated.as_deref()),
        background: placed.series.images.index_axis(Axis(0), placed.reference),
        background_name: format!("image {reference}"),
        columns: &found.columns,
        species: &card.species,
        defects,
        defect_counts: summary.map_or_else(Vec::new, |summary| summary.counts.iter().map(count).collect()),
        area_nm2: summary.map_or(0.0, |summary| summary.area_nm2),
        spacings: Vec::new(),
        accuracy: accuracy(card),
        spectra: Vec::new(),
        can_conclude: conclusions::can(found),
        cannot_conclude: conclusions::cannot(found),
        warnings: found.warnings.iter().map(place).collect(),
        settings,
        model: Some(model::page(card)),
    };
    Ok(report.write(path)?)
}

/// How well the model tells species apart, by its card.
fn accuracy(card: &ModelCard) -> Option<SpeciesAccuracy> {
    let of_card = card.species_accuracy.as_ref()?;
    let images: usize = card.accuracy.iter().filter(|accuracy| accuracy.is_of_all_doses()).map(|all| all.images).sum();
    Some(SpeciesAccuracy {
        measured_on: format!("{images} simulated series that the model was not trained on"),
        reliability: model::reliability_bins(&of_card.reliability),
        confusion: Some(Confusion {
            rows: of_card.confusion.species.clone(),
            columns: of_card.confusion.species.clone(),
            counts: of_card.confusion.counts.clone(),
        }),
    })
}

/// What a page says of a series besides its images.
pub(crate) fn facts(placed: &Placed) -> SeriesFacts {
    let acquisition = placed.source.acquisition();
    let mut facts = vec![
        ("Format".to_owned(), placed.source.format.to_owned()),
        ("Places".to_owned(), format!("on the pixels of image {}", placed.facts[placed.reference].number)),
    ];
    let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
    fact("Voltage", acquisition.voltage_kv.map(|value| format!("{value} kV")));
    fact("Dose of an image", acquisition.dose_e_per_a2.map(|value| format!("{value:.1} e/Å²")));
    fact("Instrument", acquisition.instrument.clone());
    let (_, ny, nx) = placed.series.images.dim();
    SeriesFacts {
        name: placed.name.clone(),
        size_px: (nx, ny),
        pixel_size_nm: 0.1 * placed.series.pixel_angstrom,
        pixel_size_source: placed.pixel_size.source(),
        focus_source: placed.focus_from.words().to_owned(),
        facts,
    }
}

fn count(count: &defects::KindCount) -> DefectCount {
    let half = NORMAL_95 * count.expected_sigma;
    let share = match (count.fraction, count.fraction_interval) {
        (Some(value), Some([low, high])) => Estimate::new(value, low, high),
        (Some(value), None) => Estimate::without_interval(value),
        _ => Estimate::UNKNOWN,
    };
    DefectCount {
        name: count.kind.label().to_owned(),
        listed: count.count,
        expected: Estimate::new(count.expected, (count.expected - half).max(0.0), count.expected + half),
        per_nm2: Estimate::new(count.per_nm2, count.per_nm2_low, count.per_nm2_high),
        share_of_sites: share,
    }
}

/// The defects of a sheet as maps and pages draw them.
pub(crate) fn drawn(sheet: &SheetDefects, columns: &[DetectedColumn], species: &[String]) -> Defects {
    let drawn = Drawn { sheet, columns, species };
    Defects {
        sites: sheet.defects.iter().filter_map(|defect| drawn.site(defect)).collect(),
        rings: drawn.rings(),
        edges: sheet.edges.iter().map(|edge| drawn.edge(edge)).collect(),
        boundaries: sheet.boundaries.iter().map(boundary).collect(),
    }
}

struct Drawn<'a> {
    sheet: &'a SheetDefects,
    columns: &'a [DetectedColumn],
    species: &'a [String],
}

impl Drawn<'_> {
    fn name_of(&self, species: Option<usize>) -> &str {
        species.and_then(|index| self.species.get(index)).map_or("another species", String::as_str)
    }

    fn site(&self, defect: &Defect) -> Option<SiteDefect> {
        let kind = site_kind(defect.kind)?;
        let (found, expected) = (self.name_of(defect.species), self.name_of(defect.expected_species));
        let name = match defect.kind {
            DefectKind::Substitution | DefectKind::Antisite => format!("{found} on {expected}"),
            DefectKind::ChalcogenVacancy => format!("{found} of {expected}"),
            _ => defect.kind.label().to_owned(),
        };
        let note = match defect.region {
            defects::Region::Interior => String::new(),
            defects::Region::Edge => "at an edge, not counted".to_owned(),
            defects::Region::Border => "at the border of the field, not counted".to_owned(),
        };
        Some(SiteDefect {
            kind,
            name,
            x_angstrom: defect.x_angstrom,
            y_angstrom: defect.y_angstrom,
            probability: defect.probability,
            note,
        })
    }

    /// Rings that belong to a defect of rings.
    fn rings(&self) -> Vec<RingDefect> {
        let of_rings: Vec<&Defect> =
            self.sheet.defects.iter().filter(|defect| site_kind(defect.kind).is_none()).collect();
        let belongs = |ring: &&defects::Ring| {
            ring.columns.len() != 6
                && of_rings.iter().any(|defect| ring.columns.iter().all(|column| defect.members.contains(column)))
        };
        let drawn = |ring: &defects::Ring| RingDefect {
            corners_angstrom: ring.columns.iter().filter_map(|column| self.place(*column)).collect(),
            probability: ring.probability,
            note: String::new(),
        };
        self.sheet.rings.iter().filter(belongs).map(drawn).collect()
    }

    fn place(&self, column: usize) -> Option<[f64; 2]> {
        self.columns.get(column).map(|column| [column.x_angstrom, column.y_angstrom])
    }

    fn edge(&self, edge: &defects::Edge) -> Edge {
        let hosts = self.sheet.summary.crystals.get(edge.crystal).map_or(&[][..], |crystal| &crystal.hosts);
        let host = |sublattice: Sublattice| hosts.iter().find(|(of, _)| *of == sublattice).map(|(_, host)| *host);
        let termination =
            edge.termination.and_then(host).and_then(|host| self.species.get(host).cloned()).unwrap_or_default();
        let mut points_angstrom: Vec<[f64; 2]> = edge.columns.iter().filter_map(|column| self.place(*column)).collect();
        if points_angstrom.len() < 2 {
            points_angstrom = vec![edge.start_angstrom, edge.end_angstrom];
        }
        let direction = match edge.kind {
            EdgeKind::Zigzag => EdgeDirection::Zigzag,
            EdgeKind::Armchair => EdgeDirection::Armchair,
            EdgeKind::Mixed => EdgeDirection::Mixed,
        };
        Edge { direction, termination, points_angstrom }
    }
}

fn boundary(boundary: &defects::Boundary) -> GrainBoundary {
    let angle = boundary.misorientation_rad.to_degrees();
    let half = NORMAL_95 * boundary.misorientation_sigma_rad.to_degrees();
    let mut note = match boundary.dislocations {
        0 => String::new(),
        1 => "one pair of five and seven".to_owned(),
        count => format!("{count} pairs of five and seven"),
    };
    if boundary.inversion {
        note = "sublattices exchanged".to_owned();
    }
    GrainBoundary {
        points_angstrom: boundary.path_angstrom.clone(),
        angle_deg: Estimate::new(angle, angle - half, angle + half),
        note,
    }
}

/// How a defect of a site is marked; none for those of rings.
fn site_kind(kind: DefectKind) -> Option<SiteKind> {
    Some(match kind {
        DefectKind::ChalcogenVacancy => SiteKind::PartialVacancy,
        DefectKind::DoubleChalcogenVacancy
        | DefectKind::CarbonVacancy
        | DefectKind::BoronVacancy
        | DefectKind::NitrogenVacancy
        | DefectKind::VacancyCluster => SiteKind::EmptySite,
        DefectKind::MetalVacancy => SiteKind::MetalVacancy,
        DefectKind::Substitution => SiteKind::Substitution,
        DefectKind::Antisite => SiteKind::Antisite,
        DefectKind::OffSite => SiteKind::Other,
        DefectKind::StoneWales
        | DefectKind::PentagonHeptagon
        | DefectKind::PentagonOctagonPentagon
        | DefectKind::SquareOctagon
        | DefectKind::Square
        | DefectKind::Pentagon
        | DefectKind::Heptagon
        | DefectKind::Octagon => return None,
    })
}
