//! The picture of a page on which columns can be switched, filtered and pointed at: its numbers, as a script reads
//! them.

use serde::Serialize;
use serde_json::{Value, json};

use super::detection::{FileReport, FrameReport};
use super::picture::FramePicture;
use super::statistics::median;
use crate::colour::ColourMap;
use crate::colour_bar::ColourRange;
use crate::neighbours::nearest_distances;
use crate::overlay::{ColourBy, species_colour};
use crate::scale_bar::{length_label, round_length, short_number};
use crate::{base64, svg};

/// What the template needs of a viewer.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) frames: usize,
    pub(crate) first_label: String,
    pub(crate) least: String,
    pub(crate) aspect: String,
    pub(crate) width_nm: f64,
    pub(crate) height_nm: f64,
    pub(crate) alt: String,
    /// The first picture, in base64.
    pub(crate) png: String,
    pub(crate) scale_percent: String,
    pub(crate) scale_label: String,
    /// JSON that may stand inside of a script element.
    pub(crate) data: String,
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
pub(crate) fn viewer(file: &FileReport, frames: &[(&FrameReport, &FramePicture)]) -> Option<Viewer> {
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
        let ColourRange { low, high, clipped } = ColourRange::of(quantity, &values);
        let mark = if clipped { "≥ " } else { "" };
        json!({ "low": low, "high": high, "lowLabel": short_number(low),
                "highLabel": format!("{mark}{}", short_number(high)) })
    };
    let least = columns().map(|column| column.probability).filter(|p| p.is_finite()).fold(1.0, f64::min);
    let ramp: Vec<String> = (0..=16).map(|i| svg::hex(ColourMap::Viridis.colour(i as f32 / 16.0))).collect();
    let data = json!({
        "width": first.width_nm,
        "height": first.height_nm,
        "half": 0.5 * first.pixel_nm,
        "radius": rounded(radius_nm(frames, first), 5),
        "species": file.species,
        "speciesColours": (0..7).map(|index| svg::hex(species_colour(index))).collect::<Vec<_>>(),
        "ramp": ramp,
        "ranges": {
            "probability": range(ColourBy::Probability),
            "sigma": range(ColourBy::PositionSigma),
            "atoms": range(ColourBy::Atoms),
        },
        "frames": data,
    });
    let scale_nm = round_length(0.2 * first.width_nm);
    Some(Viewer {
        frames: frames.len(),
        first_label: label(first_frame),
        least: format!("{:.2}", (100.0 * least).floor().clamp(0.0, 100.0) / 100.0),
        aspect: format!("{:.5}", first.width_nm / first.height_nm),
        width_nm: first.width_nm,
        height_nm: first.height_nm,
        alt: alt(first_frame),
        png: base64::encode(&first.png),
        scale_percent: format!("{:.4}", 100.0 * scale_nm / first.width_nm),
        scale_label: length_label(10.0 * scale_nm),
        data: in_script(&data),
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

/// A third of the usual distance to the nearest neighbour, so that circles of neighbours do not touch.
fn radius_nm(frames: &[(&FrameReport, &FramePicture)], picture: &FramePicture) -> f64 {
    let fullest = frames.iter().map(|(frame, _)| &frame.columns).max_by_key(|columns| columns.len());
    let places: Vec<[f64; 2]> =
        fullest.into_iter().flatten().map(|c| [0.1 * c.x_angstrom, 0.1 * c.y_angstrom]).collect();
    let distances: Vec<f64> = nearest_distances(&places).into_iter().flatten().collect();
    let largest = 0.03 * picture.width_nm.max(picture.height_nm);
    median(&distances).map_or(largest, |distance| (distance / 3.0).clamp(0.002 * picture.width_nm, largest))
}

pub(crate) fn address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64::encode(png))
}

/// Rounded to decimals; what is not finite stays so and is written as `null`.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10.0_f64.powi(decimals);
    (value * scale).round() / scale
}

/// JSON in which nothing can end the script element that it stands in.
pub(crate) fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_the_script() {
        let value = json!({ "name": "</script><!-- & -->" });
        let written = in_script(&value);
        assert!(!written.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    }

    #[test]
    fn numbers_are_short_and_what_is_none_is_null() {
        assert_eq!(json!([rounded(0.123_456, 4), rounded(f64::NAN, 2)]).to_string(), "[0.1235,null]");
    }
}
