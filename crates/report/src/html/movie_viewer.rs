//! The picture of a page on which the sites of a movie are seen frame by frame: its numbers, as a script reads them.

use serde::Serialize;
use serde_json::json;

use super::detection::MOST_PICTURE_BYTES;
use super::movie::{MovieFrame, MovieReport};
use super::picture::MOST_PICTURES;
use super::sections::nth;
use super::viewer::{Stage, address, ring_radius_nm, rounded};
use super::{counted, grouped};
use crate::colour_bar::ColourRange;
use crate::scale_bar::short_number;
use crate::site_states::SiteStates;

/// What the template needs of a viewer.
#[derive(Debug, Clone)]
pub(crate) struct MovieViewer {
    pub(crate) frames: usize,
    pub(crate) first_label: String,
    pub(crate) stage: Stage,
    /// Whether there is a state to show.
    pub(crate) states: bool,
    pub(crate) rate_label: String,
    /// Which frames are shown, where not all are.
    pub(crate) note: String,
}

/// One frame as the script reads it.
#[derive(Debug, Serialize)]
struct FrameData {
    label: String,
    alt: String,
    /// A data address; empty for the first, whose picture is in the page already.
    png: String,
    /// Places of the sites in this frame, where they are not those of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    places: Option<[Vec<f64>; 2]>,
    /// Probability that each site is filled, in percent; empty where unknown.
    filled: Vec<Option<u8>>,
    /// Sites that were emptied since the frame shown before, each with a probability in percent.
    losses: Vec<(usize, u8)>,
    gains: Vec<(usize, u8)>,
}

/// A viewer of the frames of a report; `None` if there are none.
pub(crate) fn movie_viewer(report: &MovieReport<'_>) -> Option<MovieViewer> {
    let step = shown_step(&report.frames);
    let shown: Vec<&MovieFrame> = report.frames.iter().step_by(step).collect();
    let first = *shown.first()?;
    let label = |frame: &MovieFrame| match report.movie.times_s.get(frame.frame) {
        Some(time) => format!("{} ({} s)", frame.frame, short_number(*time)),
        None => frame.frame.to_string(),
    };
    let alt = |frame: &MovieFrame| format!("Frame {} of the movie {}", frame.frame, report.movie.name);
    let mut before = None;
    let frames: Vec<FrameData> = shown
        .iter()
        .enumerate()
        .map(|(place, frame)| {
            let states = report.states.as_ref().filter(|states| frame.frame < states.frames());
            let since = before.map_or(frame.frame, |b: usize| b + 1).min(frame.frame);
            before = Some(frame.frame);
            let places = frame.places_nm.as_ref().map(|places| [0, 1].map(|axis| numbers(places, axis)));
            FrameData {
                label: label(frame),
                alt: alt(frame),
                png: if place == 0 { String::new() } else { address(&frame.picture.png) },
                places,
                filled: states.map_or(Vec::new(), |states| filled(states, frame.frame)),
                losses: states.map_or(Vec::new(), |states| switches(&states.loss, since..frame.frame + 1)),
                gains: states.map_or(Vec::new(), |states| switches(&states.gain, since..frame.frame + 1)),
            }
        })
        .collect();

    let sites = &report.sites;
    let places: Vec<[f64; 2]> = sites.iter().map(|site| [site.x_nm, site.y_nm]).collect();
    let rates: Vec<f64> = sites.iter().map(|site| site.switch_rate.value).collect();
    let range = ColourRange::of_all(&rates);
    let picture = &first.picture;
    let data = json!({
        "radius": rounded(ring_radius_nm(&places, picture.width_nm.max(picture.height_nm)), 5),
        "x": numbers(&places, 0),
        "y": numbers(&places, 1),
        "classes": report.class_names,
        "class": sites.iter().map(|site| site.class).collect::<Vec<_>>(),
        "occupancy": sites.iter().map(|site| rounded(site.occupancy.value, 4)).collect::<Vec<_>>(),
        "occupancyLabel": sites.iter().map(|s| s.occupancy.scaled(100.0).label_with(" %")).collect::<Vec<_>>(),
        "rate": rates.iter().map(|rate| significant(*rate)).collect::<Vec<_>>(),
        "rateLabel": sites.iter().map(|site| site.switch_rate.label()).collect::<Vec<_>>(),
        "unit": report.rate_unit.label(),
        "rateRange": { "high": range.high, "highLabel": short_number(range.high) },
        "frames": frames,
    });
    let without_script = "The sites on the frames need JavaScript; the maps above show them without.";
    Some(MovieViewer {
        frames: shown.len(),
        first_label: label(first),
        stage: Stage::new(picture, alt(first), without_script, data),
        states: report.states.is_some(),
        rate_label: format!("Switches {}", report.rate_unit.label()),
        note: note(&shown, report.movie.frames),
    })
}

/// Of the frames with pictures, every how many one is shown, so that the page stays within bounds.
fn shown_step(frames: &[MovieFrame]) -> usize {
    let fits = |step: &usize| {
        let shown = frames.iter().step_by(*step);
        let (count, bytes) = shown.fold((0, 0), |(n, b), frame| (n + 1, b + frame.picture.png.len()));
        count <= 1 || (count <= MOST_PICTURES && bytes <= MOST_PICTURE_BYTES)
    };
    (1..frames.len().max(1)).find(fits).unwrap_or(frames.len().max(1))
}

/// Says which frames are shown, where not all are.
fn note(shown: &[&MovieFrame], frames: usize) -> String {
    if shown.len() >= frames {
        return String::new();
    }
    let steps: Vec<usize> = shown.windows(2).map(|pair| pair[1].frame.saturating_sub(pair[0].frame)).collect();
    let which = match steps.first() {
        Some(step) if steps.iter().all(|other| other == step) && *step > 1 => {
            format!("Every {} frame is shown, {} of {}", nth(*step), shown.len(), grouped(frames))
        }
        _ => format!("{} of {} can be looked at", counted(shown.len(), "frame", "frames"), grouped(frames)),
    };
    format!("{which}; losses and gains are those since the frame shown before. The numbers are of all frames.")
}

fn filled(states: &SiteStates<'_>, frame: usize) -> Vec<Option<u8>> {
    states.probability.column(frame).iter().map(|p| p.is_finite().then(|| percent(*p))).collect()
}

/// Sites that switched in one of some frames, those that hardly did left out.
fn switches(probability: &ndarray::ArrayView2<'_, f32>, frames: std::ops::Range<usize>) -> Vec<(usize, u8)> {
    let rows = probability.outer_iter().enumerate().map(|(site, row)| {
        let known = frames.clone().map(|frame| row[frame]).filter(|p| p.is_finite());
        (site, percent(1.0 - known.map(|p| 1.0 - p.clamp(0.0, 1.0)).product::<f32>()))
    });
    rows.filter(|(_, p)| *p >= 5).collect()
}

fn percent(probability: f32) -> u8 {
    (100.0 * probability.clamp(0.0, 1.0)).round() as u8
}

/// Coordinates to a tenth of a picometre.
fn numbers(places: &[[f64; 2]], axis: usize) -> Vec<f64> {
    places.iter().map(|place| rounded(place[axis], 4)).collect()
}

/// Four digits that count.
fn significant(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    rounded(value, (3 - value.abs().log10().floor() as i32).clamp(0, 12))
}
