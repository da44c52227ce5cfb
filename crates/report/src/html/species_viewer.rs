//! The picture of a page on which a crystal's columns are seen by species, with its defects: its numbers, as a script
//! reads them.

use serde_json::{Value, json};

use super::focal_series::FocalSeriesReport;
use super::picture::{FramePicture, side_within};
use super::series_images;
use super::viewer::{Stage, address, rounded};
use crate::defects::{EdgeDirection, SiteKind};
use crate::overlay::species_name;
use crate::species_map::{
    OPACITY, SURE, SpeciesMap, boundary_colour, disc_radius, edge_colour, ring_colour, site_colour, site_radius,
};
use crate::species_style::species_colour;
use crate::{ReportError, svg};

/// Pixels of all pictures of a viewer together.
const PIXELS: usize = 1_500_000;

/// What the template needs of a viewer.
#[derive(Debug, Clone)]
pub(crate) struct SpeciesViewer {
    /// Names of the pictures that can be looked at.
    pub(crate) pictures: Vec<String>,
    /// Whether there are sites that are not as they should be.
    pub(crate) defects: bool,
    /// Whether there are edges, boundaries or rings.
    pub(crate) lines: bool,
    pub(crate) stage: Stage,
}

/// A viewer of a report's columns on what they are shown on and on the images.
pub(crate) fn species_viewer(report: &FocalSeriesReport<'_>) -> Result<SpeciesViewer, ReportError> {
    let same = |a: &ndarray::ArrayView2<'_, f32>| {
        a.as_ptr() == report.background.as_ptr() && a.dim() == report.background.dim()
    };
    let images = report.images.iter().enumerate().filter(|(_, i)| i.left_out.is_empty() && !same(&i.counts));
    let mut shown = vec![(series_images::capital(&report.background_name), report.background)];
    shown.extend(images.map(|(index, image)| (series_images::name(image, index), image.counts)));
    shown.truncate(6);
    let pixel_angstrom = 10.0 * report.series.pixel_size_nm;
    let side = side_within(PIXELS, shown.len());
    let pictures = shown
        .iter()
        .map(|(_, counts)| FramePicture::new(*counts, pixel_angstrom, side))
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = shown.into_iter().map(|(name, _)| name).collect();
    let frames: Vec<Value> = pictures
        .iter()
        .zip(&names)
        .enumerate()
        .map(|(place, (picture, name))| {
            let png = if place == 0 { String::new() } else { address(&picture.png) };
            json!({ "label": name, "alt": name, "png": png })
        })
        .collect();
    let data = data(report, frames);
    let without_script = "The columns on the image need JavaScript; species_map.png shows them without.";
    Ok(SpeciesViewer {
        defects: !report.defects.sites.is_empty(),
        lines: !(report.defects.rings.is_empty()
            && report.defects.edges.is_empty()
            && report.defects.boundaries.is_empty()),
        stage: Stage::new(&pictures[0], names[0].clone(), without_script, data),
        pictures: names,
    })
}

fn data(report: &FocalSeriesReport<'_>, frames: Vec<Value>) -> Value {
    let (columns, defects) = (report.columns, report.defects);
    let pixel_angstrom = 10.0 * report.series.pixel_size_nm;
    let map = SpeciesMap::new(report.background, pixel_angstrom, columns, report.species);
    let spacing = 0.1 * map.spacing_angstrom() as f32;
    let numbers = |of: &dyn Fn(&atomlens_core::DetectedColumn) -> f64, decimals| -> Vec<f64> {
        columns.iter().map(|column| rounded(of(column), decimals)).collect()
    };
    let most = columns.iter().map(|column| column.species + 1).max().unwrap_or(0).max(report.species.len());
    let species = (0..most).map(|index| {
        let name = species_name(report.species, index);
        let radius = rounded(f64::from(disc_radius(&name, spacing, 0.0)), 4);
        json!({ "name": name, "radius": radius, "colour": svg::hex(species_colour(report.species, index)) })
    });
    let sites = defects.sites.iter().map(|site| {
        json!({
            "x": rounded(0.1 * site.x_angstrom, 4), "y": rounded(0.1 * site.y_angstrom, 4),
            "mark": mark(site.kind), "colour": svg::hex(site_colour(site.kind)),
            "name": site.name, "note": site.note, "p": rounded(site.probability, 3),
        })
    });
    let path = |points: &[[f64; 2]]| -> Vec<[f64; 2]> {
        let finite = points.iter().filter(|p| p.iter().all(|c| c.is_finite()));
        finite.map(|p| p.map(|c| rounded(0.1 * c, 4))).collect()
    };
    let rings = defects.rings.iter().map(|ring| {
        let colour = ring_colour(ring.corners_angstrom.len());
        json!({ "line": path(&ring.corners_angstrom), "colour": svg::hex(colour) })
    });
    let line = |points: &[[f64; 2]], name: String, colour, width: f64, dashed: bool| json!({ "line": path(points), "name": name, "colour": svg::hex(colour), "width": width, "dashed": dashed });
    let edges = defects.edges.iter().map(|edge| {
        let dashed = edge.direction == EdgeDirection::Armchair;
        let name = format!("{} edge", edge.name());
        line(&edge.points_angstrom, name, edge_colour(&edge.termination), 3.5, dashed)
    });
    let boundaries = defects
        .boundaries
        .iter()
        .map(|b| line(&b.points_angstrom, "grain boundary".to_owned(), boundary_colour(), 4.5, false));
    let lines: Vec<Value> = edges.chain(boundaries).collect();
    let mut names: Vec<Value> = Vec::new();
    for line in &lines {
        if !names.iter().any(|known| known["name"] == line["name"]) {
            names.push(json!({ "name": line["name"], "colour": line["colour"], "dashed": line["dashed"] }));
        }
    }
    json!({
        "radius": rounded(0.3 * f64::from(spacing), 5),
        "mark": rounded(f64::from(site_radius(spacing, 0.0)), 5),
        // To a tenth of a picometre.
        "x": numbers(&|c| 0.1 * c.x_angstrom, 4),
        "y": numbers(&|c| 0.1 * c.y_angstrom, 4),
        "kind": columns.iter().map(|c| c.species).collect::<Vec<_>>(),
        "certainty": numbers(&|c| c.species_probability, 3),
        "probability": numbers(&|c| c.probability, 3),
        "sigma": numbers(&|c| 100.0 * c.position_sigma_angstrom, 1),
        "species": species.collect::<Vec<_>>(),
        "sureness": SURE,
        "opacities": OPACITY.map(|opacity| rounded(f64::from(opacity), 2)),
        "sites": sites.collect::<Vec<_>>(),
        "rings": rings.collect::<Vec<_>>(),
        "lines": lines,
        "lineNames": names,
        "frames": frames,
    })
}

/// What a kind's outline is called in the script.
fn mark(kind: SiteKind) -> &'static str {
    match kind {
        SiteKind::PartialVacancy => "partial",
        SiteKind::EmptySite => "empty",
        SiteKind::MetalVacancy => "metal",
        SiteKind::Substitution => "substitution",
        SiteKind::Antisite => "antisite",
        SiteKind::Other => "other",
    }
}
