//! Columns followed from frame to frame, and how far they move.
//!
//! Each frame's columns are assigned one-to-one to the open tracks so that the sum of distances is smallest, a track or
//! a column that stays alone counting as much as the farthest link allowed: no long link is made to save another column
//! from being alone. A track that finds nothing stays open for a few frames. Only open tracks are kept.
//!
//! [`Linker`] links; [`motion`] measures movement with the error of localisation taken out.

pub mod motion;

use atomlens_core::confidence::DetectedColumn;
use atomlens_core::glam::DVec2;
use serde::{Deserialize, Serialize};

use crate::matching::assign;
use crate::neighbours::Neighbours;
use motion::{Displacements, MeanSquare, Motion};

/// How columns are linked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackSettings {
    /// Largest distance between two frames, in angstrom. Less than half the distance between neighbours keeps a column
    /// from taking its neighbour's name.
    pub largest_step_angstrom: f64,
    /// Frames in which a track may be missed and still go on.
    pub largest_gap_frames: usize,
    /// Columns of a smaller probability are not followed.
    pub least_probability: f64,
    /// Lags up to this are in the mean-square displacement.
    pub lags: usize,
}

impl Default for TrackSettings {
    fn default() -> Self {
        TrackSettings { largest_step_angstrom: 0.9, largest_gap_frames: 2, least_probability: 0.5, lags: 20 }
    }
}

/// Where a track was in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrackPoint {
    /// Number of the track.
    pub track: u64,
    /// Number of the frame.
    pub frame: usize,
    /// Index of the column in that frame.
    pub column: usize,
    /// Place in the reference frame, in angstrom.
    pub place_angstrom: DVec2,
    /// Standard deviation in each direction, as the detector states it.
    pub sigma_angstrom: f64,
    /// From the mean of the track's places so far.
    pub displacement_angstrom: DVec2,
}

/// A track that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackSummary {
    /// Its number.
    pub track: u64,
    /// Its first frame.
    pub first_frame: usize,
    /// Its last frame.
    pub last_frame: usize,
    /// Frames in which it was found.
    pub points: usize,
    /// Mean place in the reference frame, weighed by the stated uncertainties, in angstrom.
    pub mean_angstrom: DVec2,
    /// Standard deviation of the places in each direction, in angstrom.
    pub spread_angstrom: f64,
    /// How it moves; `None` if it was too short.
    pub motion: Option<Motion>,
}

/// A track that may go on.
#[derive(Debug, Clone)]
struct OpenTrack {
    number: u64,
    first: usize,
    last: usize,
    place: DVec2,
    points: usize,
    weight: f64,
    sum: DVec2,
    square: f64,
    origin: DVec2,
    displacements: Displacements,
}

/// Links the columns of frame after frame.
#[derive(Debug, Clone)]
pub struct Linker {
    settings: TrackSettings,
    open: Vec<OpenTrack>,
    next: u64,
    mean_square: MeanSquare,
}

impl Linker {
    /// No tracks yet.
    pub fn new(settings: TrackSettings) -> Linker {
        let mean_square = MeanSquare::new(settings.lags);
        Linker { settings, open: Vec::new(), next: 0, mean_square }
    }

    /// Number of tracks that may go on.
    pub fn open_tracks(&self) -> usize {
        self.open.len()
    }

    /// Mean-square displacements of all tracks so far.
    pub fn mean_square(&self) -> &MeanSquare {
        &self.mean_square
    }

    /// Adds a frame; frames come in rising order, those left out count as gaps. `to_reference` takes places in the frame
    /// to the reference frame. Answers a point for every column that is followed, in their order, and the tracks that
    /// have ended.
    pub fn add(
        &mut self,
        frame: usize,
        columns: &[DetectedColumn],
        to_reference: impl Fn(DVec2) -> DVec2,
    ) -> (Vec<TrackPoint>, Vec<TrackSummary>) {
        let gap = self.settings.largest_gap_frames;
        let ended = self.close(|track| track.last + gap + 1 < frame);
        let followed: Vec<(usize, DVec2)> = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.probability >= self.settings.least_probability)
            .map(|(index, column)| (index, to_reference(DVec2::new(column.x_angstrom, column.y_angstrom))))
            .filter(|(_, place)| place.is_finite())
            .collect();
        let reach = self.settings.largest_step_angstrom;
        let places: Vec<DVec2> = self.open.iter().map(|track| track.place).collect();
        let near = Neighbours::new(&places, reach);
        let candidates: Vec<Vec<(usize, f64)>> = followed
            .iter()
            .map(|(_, place)| {
                let mut near: Vec<(usize, f64)> = near
                    .within(*place, reach)
                    .map(|(track, square)| {
                        // Of two tracks equally far the one seen last.
                        let missed = frame - self.open[track].last - 1;
                        (track, (square.sqrt() + 0.05 * reach * missed as f64).min(reach))
                    })
                    .collect();
                near.sort_unstable_by_key(|(track, _)| *track);
                near
            })
            .collect();
        let partners = assign(&candidates, self.open.len(), 1.000_001 * reach.max(f64::MIN_POSITIVE));
        let points = followed
            .iter()
            .zip(partners)
            .map(|(&(column, place), partner)| {
                let sigma = columns[column].position_sigma_angstrom;
                let index = partner.unwrap_or(self.open.len());
                if partner.is_none() {
                    self.open.push(OpenTrack::new(self.next, frame, place));
                    self.next += 1;
                }
                let track = &mut self.open[index];
                track.add(frame, place, sigma, &mut self.mean_square);
                TrackPoint {
                    track: track.number,
                    frame,
                    column,
                    place_angstrom: place,
                    sigma_angstrom: sigma,
                    displacement_angstrom: place - track.sum / track.weight,
                }
            })
            .collect();
        (points, ended)
    }

    /// Ends all tracks.
    pub fn finish(&mut self) -> Vec<TrackSummary> {
        self.close(|_| true)
    }

    fn close(&mut self, ends: impl Fn(&OpenTrack) -> bool) -> Vec<TrackSummary> {
        let mut ended = Vec::new();
        self.open.retain(|track| {
            let ends = ends(track);
            if ends {
                ended.push(track.summary());
            }
            !ends
        });
        ended
    }
}

impl OpenTrack {
    fn new(number: u64, frame: usize, place: DVec2) -> OpenTrack {
        OpenTrack {
            number,
            first: frame,
            last: frame,
            place,
            points: 0,
            weight: 0.0,
            sum: DVec2::ZERO,
            square: 0.0,
            origin: place,
            displacements: Displacements::default(),
        }
    }

    fn add(&mut self, frame: usize, place: DVec2, sigma: f64, mean_square: &mut MeanSquare) {
        let weight = if sigma.is_finite() { sigma.max(1e-3).powi(-2) } else { 1.0 };
        self.weight += weight;
        self.sum += weight * place;
        self.square += weight * (place - self.origin).length_squared();
        self.points += 1;
        self.displacements.add(frame, place, mean_square);
        self.place = place;
        self.last = frame;
    }

    fn summary(&self) -> TrackSummary {
        let mean = self.sum / self.weight;
        let variance = self.square / self.weight - (mean - self.origin).length_squared();
        TrackSummary {
            track: self.number,
            first_frame: self.first,
            last_frame: self.last,
            points: self.points,
            mean_angstrom: mean,
            spread_angstrom: (variance.max(0.0) / 2.0).sqrt(),
            motion: self.displacements.motion(),
        }
    }
}

#[cfg(test)]
mod tests;
