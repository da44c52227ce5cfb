//! The tables of a movie: sites, occupancy, events, hops, tracks and drift.
//!
//! Places are those of the first frame that could be followed, `(0, 0)` being the centre of its first pixel.

use atomlens_analysis::movie::drift::FramePose;
use atomlens_analysis::movie::events::{Event, Hop};
use atomlens_analysis::movie::tracks::{TrackPoint, TrackSummary};
use parquet_derive::ParquetRecordWriter;
use serde::Serialize;

use super::analysis::Analysis;
use crate::table::rounded;

/// A row of `sites`.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
#[expect(missing_docs, reason = "docs/movies.md has the table")]
pub struct SiteRow {
    pub site: u64,
    pub x_nm: f64,
    pub y_nm: f64,
    pub x_px: f64,
    pub y_px: f64,
    pub class: String,
    pub occupancy: f64,
    pub switch_rate_per_frame: f64,
    pub switch_rate_low: f64,
    pub switch_rate_high: f64,
    pub occupancy_low: f64,
    pub occupancy_high: f64,
    pub fill_rate_per_frame: f64,
    pub fill_rate_low: f64,
    pub fill_rate_high: f64,
    pub empty_rate_per_frame: f64,
    pub empty_rate_low: f64,
    pub empty_rate_high: f64,
    pub switches: f64,
    pub switches_low: f64,
    pub switches_high: f64,
    pub naive_switches: u64,
    pub coordination: f64,
    pub edge_distance_nm: f64,
    pub spread_nm: f64,
    pub species: String,
}

/// Rows of `sites`; `pixel_angstrom` is that of the file, along x and y.
pub(super) fn sites(analysis: &Analysis, pixel_angstrom: (f64, f64), species: &[String]) -> Vec<SiteRow> {
    let of_site = |site: usize| {
        let place = analysis.sites.sites[site].place_angstrom;
        let facts = &analysis.sites.sites[site];
        let known = &analysis.occupancy.sites[site].switching;
        let rate = |value: f64| rounded(value, 7);
        SiteRow {
            site: site as u64,
            x_nm: rounded(0.1 * place.x, 6),
            y_nm: rounded(0.1 * place.y, 6),
            x_px: rounded(place.x / pixel_angstrom.0, 4),
            y_px: rounded(place.y / pixel_angstrom.1, 4),
            class: facts.class.to_string(),
            occupancy: rounded(known.occupancy.value, 5),
            occupancy_low: rounded(known.occupancy.low, 5),
            occupancy_high: rounded(known.occupancy.high, 5),
            switch_rate_per_frame: rate(known.switch_per_frame.value),
            switch_rate_low: rate(known.switch_per_frame.low),
            switch_rate_high: rate(known.switch_per_frame.high),
            fill_rate_per_frame: rate(known.fill_per_frame.value),
            fill_rate_low: rate(known.fill_per_frame.low),
            fill_rate_high: rate(known.fill_per_frame.high),
            empty_rate_per_frame: rate(known.empty_per_frame.value),
            empty_rate_low: rate(known.empty_per_frame.low),
            empty_rate_high: rate(known.empty_per_frame.high),
            switches: rounded(known.switches.value, 3),
            switches_low: rounded(known.switches.low, 3),
            switches_high: rounded(known.switches.high, 3),
            naive_switches: analysis.naive_switches[site] as u64,
            coordination: rounded(facts.coordination, 3),
            edge_distance_nm: rounded(0.1 * facts.edge_distance_angstrom, 4),
            spread_nm: rounded(0.1 * facts.spread_angstrom, 5),
            species: species.get(facts.species).cloned().unwrap_or_default(),
        }
    };
    (0..analysis.sites.len()).map(of_site).collect()
}

/// A row of `occupancy`: every site in every frame.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct OccupancyRow {
    /// Number of the frame, from 0.
    pub frame: u64,
    /// Number of the site, as in `sites`.
    pub site: u64,
    /// Probability that it is filled, given the whole movie.
    pub probability: f64,
    /// 1 if it is on the likeliest path.
    pub filled: i32,
    /// Probability that it was emptied since the frame before.
    pub loss: f64,
    /// Probability that it was filled since the frame before.
    pub gain: f64,
}

pub(super) fn occupancy(analysis: &Analysis) -> impl Iterator<Item = OccupancyRow> + use<'_> {
    let occupancy = &analysis.occupancy;
    let (sites, frames) = occupancy.filled.dim();
    let short = |value: f32| rounded(f64::from(value), 6);
    (0..frames).flat_map(move |frame| {
        (0..sites).map(move |site| OccupancyRow {
            frame: frame as u64,
            site: site as u64,
            probability: short(occupancy.probability[[site, frame]]),
            filled: i32::from(occupancy.filled[[site, frame]]),
            loss: short(occupancy.loss[[site, frame]]),
            gain: short(occupancy.gain[[site, frame]]),
        })
    })
}

/// A row of `events`.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct EventRow {
    /// First frame of the new state.
    pub frame: u64,
    /// Its time, if known.
    pub time_s: Option<f64>,
    /// Number of the site.
    pub site: u64,
    /// `loss` or `gain`.
    pub kind: String,
    /// That such a change happened within a frame of it.
    pub probability: f64,
    /// The other site, if this may be half of a hop.
    pub partner_site: Option<u64>,
}

pub(super) fn events(analysis: &Analysis) -> Vec<EventRow> {
    let (switches, hops) = (&analysis.events.switches, &analysis.events.hops);
    let mut partner = vec![None; switches.len()];
    for Hop { loss, gain, .. } in hops {
        partner[*loss] = Some(switches[*gain].site as u64);
        partner[*gain] = Some(switches[*loss].site as u64);
    }
    let row = |(event, partner_site): (&Event, Option<u64>)| EventRow {
        frame: event.frame as u64,
        time_s: event.time_s.map(|time| rounded(time, 6)),
        site: event.site as u64,
        kind: event.kind.name().to_owned(),
        probability: rounded(event.probability, 5),
        partner_site,
    };
    switches.iter().zip(partner).map(row).collect()
}

/// A row of `hops`.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct HopRow {
    /// First frame in which the one site is empty.
    pub frame: u64,
    /// Its time, if known.
    pub time_s: Option<f64>,
    /// The site that was emptied.
    pub from_site: u64,
    /// The site that was filled.
    pub to_site: u64,
    /// That both happened; whether one caused the other is not said.
    pub probability: f64,
}

pub(super) fn hops(analysis: &Analysis) -> Vec<HopRow> {
    let switches = &analysis.events.switches;
    let row = |hop: &Hop| HopRow {
        frame: switches[hop.loss].frame as u64,
        time_s: switches[hop.loss].time_s.map(|time| rounded(time, 6)),
        from_site: switches[hop.loss].site as u64,
        to_site: switches[hop.gain].site as u64,
        probability: rounded(hop.probability, 5),
    };
    analysis.events.hops.iter().map(row).collect()
}

/// A row of `drift`: where the specimen is in a frame.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct DriftRow {
    /// Number of the frame.
    pub frame: u64,
    /// How far the specimen has moved since the first frame, at the centre of the image.
    pub x_nm: f64,
    /// Likewise.
    pub y_nm: f64,
    /// How far it has turned about that centre, from x towards y.
    pub rotation_rad: f64,
    /// Standard error of the drift in each direction.
    pub sigma_nm: f64,
    /// 1 if the frame itself showed where it is, 0 if its neighbours did.
    pub trusted: i32,
}

pub(super) fn drift(poses: &[FramePose]) -> impl Iterator<Item = DriftRow> + use<'_> {
    poses.iter().enumerate().map(|(frame, found)| DriftRow {
        frame: frame as u64,
        x_nm: rounded(0.1 * found.pose.drift_angstrom.x, 6),
        y_nm: rounded(0.1 * found.pose.drift_angstrom.y, 6),
        rotation_rad: rounded(found.pose.rotation_rad, 8),
        sigma_nm: rounded(0.1 * found.drift_sigma_angstrom, 6),
        trusted: i32::from(found.trusted),
    })
}

/// A row of `tracks`: a column that is followed.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct TrackRow {
    /// Number of the track.
    pub track: u64,
    /// Number of the frame.
    pub frame: u64,
    /// Its time, if known.
    pub time_s: Option<f64>,
    /// Place in the first frame's coordinates.
    pub x_nm: f64,
    /// Likewise.
    pub y_nm: f64,
    /// Standard deviation in each direction.
    pub position_sigma_nm: f64,
    /// Of the column.
    pub probability: f64,
    /// Of the column.
    pub species: String,
}

pub(super) fn track(
    point: &TrackPoint,
    time_s: Option<f64>,
    column: &atomlens_core::DetectedColumn,
    species: &[String],
) -> TrackRow {
    TrackRow {
        track: point.track,
        frame: point.frame as u64,
        time_s: time_s.map(|time| rounded(time, 6)),
        x_nm: rounded(0.1 * point.place_angstrom.x, 6),
        y_nm: rounded(0.1 * point.place_angstrom.y, 6),
        position_sigma_nm: rounded(0.1 * point.sigma_angstrom, 6),
        probability: rounded(column.probability, 4),
        species: species.get(column.species).cloned().unwrap_or_default(),
    }
}

/// A row of `track_summaries`.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct TrackSummaryRow {
    /// Number of the track.
    pub track: u64,
    /// Its first frame.
    pub first_frame: u64,
    /// Its last frame.
    pub last_frame: u64,
    /// Frames in which it was found.
    pub points: u64,
    /// Mean place in the first frame's coordinates.
    pub x_nm: f64,
    /// Likewise.
    pub y_nm: f64,
    /// Standard deviation of its places in each direction.
    pub spread_nm: f64,
    /// Diffusion coefficient with the error of localisation taken out; by chance below 0 where there is none.
    pub diffusion_nm2_per_frame: Option<f64>,
    /// Its standard error.
    pub diffusion_sigma_nm2_per_frame: Option<f64>,
    /// Error of localisation in each direction, as the places themselves show it.
    pub localisation_nm: Option<f64>,
}

pub(super) fn track_summary(summary: &TrackSummary) -> TrackSummaryRow {
    TrackSummaryRow {
        track: summary.track,
        first_frame: summary.first_frame as u64,
        last_frame: summary.last_frame as u64,
        points: summary.points as u64,
        x_nm: rounded(0.1 * summary.mean_angstrom.x, 6),
        y_nm: rounded(0.1 * summary.mean_angstrom.y, 6),
        spread_nm: rounded(0.1 * summary.spread_angstrom, 6),
        diffusion_nm2_per_frame: summary.motion.map(|motion| rounded(0.01 * motion.diffusion_angstrom2, 9)),
        diffusion_sigma_nm2_per_frame: summary.motion.map(|motion| rounded(0.01 * motion.diffusion_sigma_angstrom2, 9)),
        localisation_nm: summary.motion.map(|motion| rounded(0.1 * motion.localisation_angstrom, 6)),
    }
}
