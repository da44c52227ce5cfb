//! From frames to sites, occupancy and events, for a movie on disk and for a simulated one alike.
//!
//! Two passes over the frames: columns and drift, with the mean image on the way; then readings at the sites, which the
//! columns of all frames and of the mean show. What is in memory grows with the number of site-frames, by a few bytes
//! each, not with the size of the frames.

use std::collections::{BTreeMap, VecDeque};

use atomlens_analysis::movie::drift::{DriftSettings, DriftTracker, FramePose};
use atomlens_analysis::movie::events::{
    DetectorErrors, EventSettings, Events, detector_errors, find_events, naive_switches,
};
use atomlens_analysis::movie::mean_image::{MeanImage, in_frame};
use atomlens_analysis::movie::occupancy::{FrameIntervals, Occupancy, OccupancySettings, settle};
use atomlens_analysis::movie::reading::{MARGIN_ANGSTROM, SiteReadings};
use atomlens_analysis::movie::sites::{SiteDensity, SiteEvidence, SiteSettings, Sites};
use atomlens_core::glam::DVec2;
use atomlens_core::{DetectedColumn, SeedPath};
use ndarray::Array2;
use rayon::prelude::*;

use crate::detect::look::{Eye, Framed};
use crate::{Context, WorkflowError};

/// Columns less probable than this are not kept: they would say nothing of a site.
pub(crate) const LEAST_PROBABILITY: f64 = 0.02;

/// Poses at which it is looked whether a place can be seen.
const VIEWS: usize = 50;

/// The frames of a movie.
pub(crate) trait Frames {
    /// How many there are.
    fn count(&self) -> usize;
    /// A frame, or why it cannot be used.
    fn frame(&self, index: usize) -> Result<Result<Array2<f32>, String>, WorkflowError>;
}

/// Columns of a frame, and how it is unlike those of the training.
pub(crate) type Found = (Vec<DetectedColumn>, Vec<String>);

/// A frame with what was found in it, or why it cannot be used.
type Looked = Result<(Array2<f32>, Found), String>;

/// Of frames with no more pixels several are looked at at once.
const SMALL_FRAME_PX: usize = 512 * 512;

/// The columns of the frames, kept so that no frame is looked at twice.
pub(crate) trait Columns {
    /// The columns of a frame and how it is unlike the frames of the training, if it was looked at.
    fn of(&self, frame: usize) -> Result<Option<Found>, WorkflowError>;
    /// Keeps them.
    fn keep(&mut self, frame: usize, columns: &[DetectedColumn], warnings: &[String]) -> Result<(), WorkflowError>;
}

/// What an analysis is to do.
pub(crate) struct Job<'a> {
    pub(crate) eye: &'a Eye<'a>,
    pub(crate) intervals: FrameIntervals,
    /// Sites that are known beforehand, in angstrom in coordinates of their own.
    pub(crate) known_sites: Option<&'a [DVec2]>,
    pub(crate) seed: SeedPath,
    pub(crate) context: &'a Context,
}

/// Where the specimen was, frame by frame.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) poses: Vec<FramePose>,
    /// Frames that could not be used, and why.
    pub(crate) bad_frames: BTreeMap<usize, String>,
    /// How frames are unlike those of the training, and how many are.
    pub(crate) warnings: BTreeMap<String, usize>,
    /// Mean of the frames in the coordinates of the first.
    pub(crate) mean_image: Array2<f32>,
}

/// All that a movie says.
#[derive(Debug, Clone)]
pub(crate) struct Analysis {
    pub(crate) followed: Followed,
    pub(crate) sites: Sites,
    pub(crate) occupancy: Occupancy,
    pub(crate) events: Events,
    /// The detector's own errors, against the movie.
    pub(crate) detector: DetectorErrors,
    /// Changes of "found" and "not found", by site.
    pub(crate) naive_switches: Vec<usize>,
    /// Edge of the pixels of the mean image, in angstrom.
    pub(crate) pixel_angstrom: f64,
}

impl Job<'_> {
    /// The pixel edge of what drift and readings see: frames of uneven pixels are resampled to the smaller edge.
    pub(crate) fn pixel_angstrom(&self) -> f64 {
        let (x, y) = self.eye.pixel_angstrom;
        x.min(y)
    }

    /// Looks at every frame that was not looked at before, and follows the specimen.
    ///
    /// # Errors
    /// As they come from the disk; Ctrl-C.
    pub(crate) fn follow(&self, frames: &dyn Frames, columns: &mut dyn Columns) -> Result<Followed, WorkflowError> {
        let count = frames.count();
        self.context.progress.begin(count as u64, "frames");
        let mut tracker: Option<DriftTracker> = None;
        let mut followed = Followed {
            poses: Vec::with_capacity(count),
            bad_frames: BTreeMap::new(),
            warnings: BTreeMap::new(),
            mean_image: Array2::zeros((0, 0)),
        };
        let mut mean: Option<MeanImage> = None;
        let mut before = 0;
        let mut looked: VecDeque<Looked> = VecDeque::new();
        for index in 0..count {
            if self.context.is_cancelled() {
                return Err(WorkflowError::Cancelled { done: index as u64, total: count as u64, unit: "frames" });
            }
            if looked.is_empty() {
                looked = self.looked_at(frames, index, columns)?;
            }
            match looked.pop_front().expect("at least one frame is looked at") {
                Ok((frame, (found, warnings))) => {
                    for warning in warnings {
                        *followed.warnings.entry(warning).or_default() += 1;
                    }
                    let image = self.eye.on_even_pixels(frame);
                    let tracker = tracker.get_or_insert_with(|| {
                        let (ny, nx) = image.dim();
                        let mut tracker = DriftTracker::new([ny, nx], self.pixel_angstrom(), DriftSettings::default());
                        // Frames before the first good one have no pose of their own.
                        followed.poses = (0..before).map(|_| tracker.step(None, &[])).collect();
                        tracker
                    });
                    let pose = tracker.step(Some(image.view()), &found);
                    if pose.begins {
                        mean = None;
                    }
                    if pose.trusted {
                        let mean = mean.get_or_insert_with(|| MeanImage::new(image.dim()));
                        mean.add(image.view(), self.pixel_angstrom(), &pose.pose);
                    }
                    followed.poses.push(pose);
                }
                Err(reason) => {
                    followed.bad_frames.insert(index, reason);
                    match &mut tracker {
                        Some(tracker) => followed.poses.push(tracker.step(None, &[])),
                        None => before += 1,
                    }
                }
            }
            self.context.progress.done(index as u64 + 1);
        }
        let tracker = tracker.ok_or_else(|| WorkflowError::NoMovie {
            reason: format!("none of its {count} frames can be used: {}", first_reason(&followed.bad_frames)),
        })?;
        let origin = tracker.finish(&mut followed.poses);
        if let Some(mean) = mean {
            let mean = mean.finish();
            let moved = origin.drift_angstrom != DVec2::ZERO || origin.rotation_rad != 0.0;
            followed.mean_image = if moved {
                let level = mean.mean().unwrap_or(0.0);
                let moved = in_frame(mean.view(), self.pixel_angstrom(), &origin);
                moved.mapv(|value| if value.is_finite() { value } else { level })
            } else {
                mean
            };
        }
        Ok(followed)
    }

    /// Looks at some frames at once: of small ones a network alone does not keep all processors busy.
    fn looked_at(
        &self,
        frames: &dyn Frames,
        first: usize,
        columns: &mut dyn Columns,
    ) -> Result<VecDeque<Looked>, WorkflowError> {
        let one = frames.frame(first)?;
        let small = one.as_ref().is_ok_and(|frame| frame.len() <= SMALL_FRAME_PX);
        let many = if small { self.context.threads.clamp(1, 16) } else { 1 };
        let mut read = vec![one];
        for index in first + 1..(first + many).min(frames.count()) {
            read.push(frames.frame(index)?);
        }
        let known = (0..read.len()).map(|offset| columns.of(first + offset)).collect::<Result<Vec<_>, _>>()?;
        let looks: Vec<Result<Option<Found>, WorkflowError>> = read
            .par_iter()
            .zip(&known)
            .map(|(frame, known)| match (frame, known) {
                (Ok(frame), None) => self.eye.look(frame).map(|look| Some((look.columns, look.warnings))),
                _ => Ok(None),
            })
            .collect();
        let mut looked = VecDeque::new();
        for (offset, ((frame, known), look)) in read.into_iter().zip(known).zip(looks).enumerate() {
            looked.push_back(match (frame, known, look?) {
                (Ok(frame), Some(known), _) => Ok((frame, known)),
                (Ok(frame), None, look) => {
                    let (found, warnings) = look.unwrap_or_default();
                    columns.keep(first + offset, &found, &warnings)?;
                    Ok((frame, (found, warnings)))
                }
                (Err(reason), ..) => Err(reason),
            });
        }
        Ok(looked)
    }

    /// Looks at every frame together with those around it, by a model of several frames.
    ///
    /// # Errors
    /// As they come from the disk; Ctrl-C.
    pub(crate) fn look_again(
        &self,
        window_eye: &Eye<'_>,
        frames: &dyn Frames,
        followed: &Followed,
        columns: &mut dyn Columns,
    ) -> Result<(), WorkflowError> {
        let count = frames.count();
        let half = window_eye.model.card.frames / 2;
        self.context.progress.begin(count as u64, "frames with those around them");
        // Frames around the one that is looked at.
        let mut near: VecDeque<(usize, Option<Array2<f32>>)> = VecDeque::new();
        for index in 0..count {
            if self.context.is_cancelled() {
                return Err(WorkflowError::Cancelled { done: index as u64, total: count as u64, unit: "frames" });
            }
            near.retain(|(number, _)| number + half >= index);
            let next = near.back().map_or(index.saturating_sub(half), |(number, _)| number + 1);
            for number in next..(index + half + 1).min(count) {
                let trusted = followed.poses[number].trusted;
                near.push_back((number, if trusted { frames.frame(number)?.ok() } else { None }));
            }
            if followed.poses[index].trusted && columns.of(index)?.is_none() {
                let framed = |offset: usize| {
                    let number = (index + offset).checked_sub(half)?;
                    let (_, image) = near.iter().find(|(known, _)| *known == number)?;
                    Some(Framed { image: image.as_ref()?, pose: followed.poses[number].pose })
                };
                let window: Vec<Option<Framed<'_>>> = (0..=2 * half).map(framed).collect();
                if window[half].is_some() {
                    let look = window_eye.look_window(&window)?;
                    columns.keep(index, &look.columns, &[])?;
                }
            }
            self.context.progress.done(index as u64 + 1);
        }
        Ok(())
    }

    /// Finds sites, reads them in every frame, and infers what happened.
    ///
    /// # Errors
    /// As they come from the disk; Ctrl-C; a movie in which nothing stays.
    pub(crate) fn analyse(
        &self,
        frames: &dyn Frames,
        columns: &dyn Columns,
        followed: Followed,
    ) -> Result<Analysis, WorkflowError> {
        let mut sites = self.find_sites(columns, &followed)?;
        let mut readings = self.read(frames, columns, &followed, &sites)?;
        let no_movie = |error: &dyn std::fmt::Display| WorkflowError::NoMovie { reason: error.to_string() };
        let settings = OccupancySettings::default();
        let weighed = settle(&mut sites, &mut readings, &self.intervals, &settings, self.seed.child("occupancy"))
            .map_err(|error| no_movie(&error))?;
        let occupancy = weighed.occupancy;
        let events = find_events(&occupancy, &sites, &EventSettings::default());
        let threshold = self.eye.model.card.columns.probability_threshold;
        Ok(Analysis {
            naive_switches: naive_switches(&readings, threshold),
            detector: detector_errors(&readings, &occupancy, threshold),
            followed,
            sites,
            occupancy,
            events,
            pixel_angstrom: self.pixel_angstrom(),
        })
    }

    fn find_sites(&self, columns: &dyn Columns, followed: &Followed) -> Result<Sites, WorkflowError> {
        let mut density = SiteDensity::new();
        for (index, pose) in followed.poses.iter().enumerate().filter(|(_, pose)| pose.trusted) {
            if let Some((found, _)) = columns.of(index)? {
                density.add(&found, |place| pose.pose.to_reference(place));
            }
        }
        if density.frames() < 2 {
            let all = followed.poses.len();
            let reason = format!(
                "the specimen could be followed in {} of {all} frames; at least 2 are needed. Are these frames of one place, \
                 and is the pixel size right?",
                density.frames()
            );
            return Err(WorkflowError::NoMovie { reason });
        }
        let mean = &followed.mean_image;
        let pixel = self.pixel_angstrom();
        let in_mean = if mean.iter().any(|value| *value != mean[[0, 0]]) {
            let eye = Eye { pixel_angstrom: (pixel, pixel), ..self.eye.clone() };
            eye.look(mean)?.columns
        } else {
            Vec::new()
        };
        let (ny, nx) = mean.dim();
        let far = DVec2::new(nx as f64 - 1.0, ny as f64 - 1.0) * pixel;
        let trusted: Vec<&FramePose> = followed.poses.iter().filter(|pose| pose.trusted).collect();
        let some: Vec<&FramePose> = trusted.iter().step_by(trusted.len().div_ceil(VIEWS).max(1)).copied().collect();
        let in_view = |place: DVec2| {
            let seen = |pose: &&&FramePose| {
                let at = pose.pose.to_frame(place);
                at.min(far - at).min_element() >= MARGIN_ANGSTROM
            };
            2 * some.iter().filter(seen).count() >= some.len()
        };
        let evidence = SiteEvidence { density: &density, in_mean: &in_mean, in_view: &in_view };
        let found = Sites::find_all(&evidence, &SiteSettings::default())
            .map_err(|error| WorkflowError::NoMovie { reason: error.to_string() })?;
        match self.known_sites {
            None => Ok(found),
            Some(known) => super::reference::laid_on(known, found),
        }
    }

    /// What every frame says at the sites.
    fn read(
        &self,
        frames: &dyn Frames,
        columns: &dyn Columns,
        followed: &Followed,
        sites: &Sites,
    ) -> Result<SiteReadings, WorkflowError> {
        let count = frames.count();
        self.context.progress.begin(count as u64, "frames at their sites");
        let pixel = self.pixel_angstrom();
        let mut readings =
            SiteReadings::new(&sites.places_angstrom(), &sites.vacuum_angstrom, sites.neighbour_angstrom);
        for (index, pose) in followed.poses.iter().enumerate() {
            if self.context.is_cancelled() {
                return Err(WorkflowError::Cancelled { done: index as u64, total: count as u64, unit: "frames" });
            }
            let known = if pose.trusted { columns.of(index)? } else { None };
            match known {
                Some((found, _)) => match frames.frame(index)? {
                    Ok(frame) => {
                        let image = self.eye.on_even_pixels(frame);
                        readings.add(&found, Some((image.view(), pixel)), |place| pose.pose.to_frame(place));
                    }
                    Err(_) => readings.add_missing(),
                },
                None => readings.add_missing(),
            }
            self.context.progress.done(index as u64 + 1);
        }
        Ok(readings)
    }
}

fn first_reason(bad_frames: &BTreeMap<usize, String>) -> String {
    bad_frames.values().next().cloned().unwrap_or_else(|| "there are none".to_owned())
}
