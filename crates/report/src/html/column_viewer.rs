//! The picture of a page on which columns can be switched, filtered and pointed at: its numbers, as a script reads
//! them.

use serde::Serialize;
use serde_json::json;

use super::detection::{FileReport, FrameReport};
use super::picture::FramePicture;
use super::viewer::{Stage, address, ring_radius_nm, rounded};
use crate::colour_bar::ColourRange;
use crate::overlay::ColourBy;
use crate::scale_bar::short_number;
use crate::species_style::species_colour;
use crate::svg;

/// What the template needs of a viewer.
#[derive(Debug, Clone)]
pub(crate) struct ColumnViewer {
    pub(crate) frames: usize,
    pub(crate) first_label: String,
    pub(crate) least: String,
    pub(crate) stage: Stage,
}

/// One frame as the script reads it.
#[derive(Debug, Serialize)]
struct FrameData {
    label: String,
    alt: String,
    /// A data address; empty for the first, whose picture is in the page already.
    png: String,
    x: Vec<f64>,
    y: Vec<f64>,
    probability: Vec<f64>,
    sigma: Vec<f64>,
    species: Vec<usize>,
    certainty: Vec<f64>,
    atoms: Vec<f64>,
    spread: Vec<f64>,
}

/// A viewer of those frames of a file that have pictures; `None` if there are none.
pub(crate) fn column_viewer(file: &FileReport, frames: &[(&FrameReport, &FramePicture)]) -> Option<ColumnViewer> {
    let (first_frame, first) = *frames.first()?;
    let label = |frame: &FrameReport| match frame.time_s {
        Some(time) => format!("{} ({} s)", frame.index, short_number(time)),
        None => frame.index.to_string(),
    };
    let alt = |frame: &FrameReport| match file.frames_in_file {
        0 | 1 => format!("Micrograph {}", file.name),
        _ => format!("Frame {} of micrograph {}", frame.index, file.name),
    };
    let data: Vec<FrameData> = frames
        .iter()
        .enumerate()
        .map(|(place, (frame, picture))| {
            let png = if place == 0 { String::new() } else { address(&picture.png) };
            frame_data(frame, label(frame), alt(frame), png)
        })
        .collect();

    let columns = || frames.iter().flat_map(|(frame, _)| &frame.columns);
    let range = |quantity: ColourBy| {
        let values: Vec<f64> = columns().map(|column| quantity.value(column)).collect();
        let ColourRange { low, high, clipped, .. } = ColourRange::of(quantity, &values);
        let mark = if clipped { "≥ " } else { "" };
        json!({ "low": low, "high": high, "lowLabel": short_number(low),
                "highLabel": format!("{mark}{}", short_number(high)) })
    };
    let least = columns().map(|column| column.probability).filter(|p| p.is_finite()).fold(1.0, f64::min);
    let fullest = frames.iter().map(|(frame, _)| &frame.columns).max_by_key(|columns| columns.len());
    let places: Vec<[f64; 2]> =
        fullest.into_iter().flatten().map(|c| [0.1 * c.x_angstrom, 0.1 * c.y_angstrom]).collect();
    let longest_nm = first.width_nm.max(first.height_nm);
    let colours = (0..file.species.len().max(7)).map(|index| svg::hex(species_colour(&file.species, index)));
    let data = json!({
        "radius": rounded(ring_radius_nm(&places, longest_nm), 5),
        "species": file.species,
        "speciesColours": colours.collect::<Vec<_>>(),
        "ranges": {
            "probability": range(ColourBy::Probability),
            "sigma": range(ColourBy::PositionSigma),
            "atoms": range(ColourBy::Atoms),
        },
        "frames": data,
    });
    let without_script = "The columns on the image need JavaScript; the picture of the overlay shows them without.";
    Some(ColumnViewer {
        frames: frames.len(),
        first_label: label(first_frame),
        least: format!("{:.2}", (100.0 * least).floor().clamp(0.0, 100.0) / 100.0),
        stage: Stage::new(first, alt(first_frame), without_script, data),
    })
}

fn frame_data(frame: &FrameReport, label: String, alt: String, png: String) -> FrameData {
    let columns: Vec<_> =
        frame.columns.iter().filter(|c| c.x_angstrom.is_finite() && c.y_angstrom.is_finite()).collect();
    let numbers = |of: &dyn Fn(&atomlens_core::DetectedColumn) -> f64, decimals| -> Vec<f64> {
        columns.iter().map(|column| rounded(of(column), decimals)).collect()
    };
    FrameData {
        label,
        alt,
        png,
        // To a tenth of a picometre.
        x: numbers(&|c| 0.1 * c.x_angstrom, 4),
        y: numbers(&|c| 0.1 * c.y_angstrom, 4),
        probability: numbers(&|c| c.probability, 4),
        sigma: numbers(&|c| 100.0 * c.position_sigma_angstrom, 2),
        species: columns.iter().map(|c| c.species).collect(),
        certainty: numbers(&|c| c.species_probability, 3),
        atoms: numbers(&|c| c.atoms, 2),
        spread: numbers(&|c| c.atoms_sigma, 2),
    }
}
