//! What the analysis of a movie leaves behind.

use atomlens_analysis::movie::tracks::motion::MeanSquare;
use atomlens_analysis::movie::tracks::{Linker, TrackSettings as LinkSettings};
use atomlens_core::SeedPath;
use atomlens_formats::write_npy;

use super::analysis::{Analysis, Columns, Followed, Job};
use super::movie::Movie;
use super::report::Pictures;
use super::summary::{DetectorSummary, MovieSummary, SignalSummary};
use super::tables::{self, TrackRow, TrackSummaryRow};
use super::{TrackSettings, TrackSummary, summary};
use crate::WorkflowError;
use crate::detect::source::Source;
use crate::detect::tables::ColumnRow;
use crate::detect::{Choice, PixelSize};
use crate::provenance::{Provenance, write_json};
use crate::table::write_tables;
use crate::twin::{self, TwinCheck, TwinSource};

/// Writes the results of a movie.
pub(super) struct Writer<'a> {
    pub(super) settings: &'a TrackSettings,
    pub(super) provenance: &'a Provenance<TrackSettings>,
    pub(super) movie: &'a Movie,
    pub(super) source: &'a Source,
    pub(super) choice: &'a Choice,
    pub(super) pixel_size: &'a PixelSize,
}

/// Columns that were followed.
pub(super) struct Tracks {
    pub(super) mean_square: MeanSquare,
    tracks: Vec<TrackSummaryRow>,
}

impl Tracks {
    /// Error of localisation in each direction: the median over the tracks that were long enough to tell.
    pub(super) fn localisation_angstrom(&self) -> Option<f64> {
        let mut errors: Vec<f64> = self.tracks.iter().filter_map(|track| track.localisation_nm).collect();
        errors.sort_by(f64::total_cmp);
        errors.get(errors.len() / 2).map(|error| 10.0 * error)
    }
}

/// Rows on their way into a table.
type Rows<'a, Row> = Box<dyn Iterator<Item = Result<Row, WorkflowError>> + 'a>;

impl Writer<'_> {
    fn species(&self) -> &[String] {
        &self.choice.model.card.species
    }

    /// The columns of all frames that were looked at, as `detect` writes them.
    pub(super) fn columns(&self, stored: &dyn Columns) -> Result<(), WorkflowError> {
        let threshold = self.choice.model.card.columns.probability_threshold;
        let of_frame = |frame: usize| -> Vec<Result<ColumnRow, WorkflowError>> {
            let found = match stored.of(frame) {
                Ok(found) => found.unwrap_or_default().0,
                Err(error) => return vec![Err(error)],
            };
            let file = self.movie.file_of(frame);
            let (pixel, species) = (self.pixel_size.angstrom, self.species());
            let found = found.iter().filter(|column| column.probability >= threshold).enumerate();
            found
                .map(|(id, column)| Ok(ColumnRow::new(&file, frame as u64, id as u64, column, pixel, species)))
                .collect()
        };
        let rows = || Ok(Box::new((0..self.movie.frames()).flat_map(of_frame)) as Rows<'_, ColumnRow>);
        write_tables(&self.settings.out, "columns", rows)
    }

    pub(super) fn drift(&self, followed: &Followed) -> Result<(), WorkflowError> {
        self.table("drift", || tables::drift(&followed.poses))
    }

    /// Writes a table whose rows are at hand.
    fn table<Row, I: Iterator<Item = Row>>(&self, name: &str, rows: impl Fn() -> I) -> Result<(), WorkflowError>
    where
        Row: serde::Serialize,
        for<'r> &'r [Row]: parquet::record::RecordWriter<Row>,
    {
        write_tables(&self.settings.out, name, || Ok(Box::new(rows().map(Ok))))
    }

    /// Links columns, writing where each was.
    fn tracks(&self, analysis: &Analysis, stored: &dyn Columns) -> Result<Tracks, WorkflowError> {
        let settings = LinkSettings {
            largest_step_angstrom: 0.4 * analysis.sites.neighbour_angstrom,
            least_probability: self.choice.model.card.columns.probability_threshold,
            ..LinkSettings::default()
        };
        let poses = &analysis.followed.poses;
        let linked = |linker: &mut Linker, ended: &mut Vec<TrackSummaryRow>, frame: usize| {
            let Some((columns, _)) = (if poses[frame].trusted { stored.of(frame)? } else { None }) else {
                return Ok(Vec::new());
            };
            let pose = poses[frame].pose;
            let (points, over) = linker.add(frame, &columns, |place| pose.to_reference(place));
            ended.extend(over.iter().map(tables::track_summary));
            let time = analysis.occupancy.intervals.time_s(frame);
            let row = |point| -> TrackRow { tables::track(point, time, &columns[point.column], self.species()) };
            Ok(points.iter().map(row).collect())
        };
        let rows = || {
            let mut linker = Linker::new(settings.clone());
            let of_frame = move |frame: usize| -> Vec<Result<TrackRow, WorkflowError>> {
                match linked(&mut linker, &mut Vec::new(), frame) {
                    Ok(rows) => rows.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(error)],
                }
            };
            Ok(Box::new((0..poses.len()).flat_map(of_frame)) as Rows<'_, TrackRow>)
        };
        write_tables(&self.settings.out, "tracks", rows)?;
        let (mut linker, mut ended) = (Linker::new(settings.clone()), Vec::new());
        for frame in 0..poses.len() {
            linked(&mut linker, &mut ended, frame)?;
        }
        ended.extend(linker.finish().iter().map(tables::track_summary));
        ended.sort_by_key(|row| row.track);
        self.table("track_summaries", || ended.iter().cloned())?;
        Ok(Tracks { mean_square: linker.mean_square().clone(), tracks: ended })
    }

    /// Writes everything; the report comes last.
    pub(super) fn write(
        &self,
        job: &Job<'_>,
        analysis: &Analysis,
        stored: &dyn Columns,
    ) -> Result<TrackSummary, WorkflowError> {
        let out = &self.settings.out;
        let sites = tables::sites(analysis, self.pixel_size.angstrom, self.species());
        self.drift(&analysis.followed)?;
        self.table("sites", || sites.iter().cloned())?;
        self.table("occupancy", || tables::occupancy(analysis))?;
        self.table("events", || tables::events(analysis).into_iter())?;
        self.table("hops", || tables::hops(analysis).into_iter())?;
        let tracks = self.tracks(analysis, stored)?;
        write_npy(&out.join("mean_image.npy"), analysis.followed.mean_image.view())?;
        let movie = self.summary(analysis);
        write_json(&out.join("movie.json"), &movie)?;
        let warnings = self.warnings(analysis);
        let pictures = Pictures { writer: self, job, analysis, summary: &movie, warnings: &warnings };
        let twin = self.twin(job, analysis)?;
        let report = pictures.write(&tracks, twin.as_ref())?;
        Ok(TrackSummary {
            out: out.clone(),
            report,
            pixel_size_from: self.pixel_size.from,
            model_reason: self.choice.reason.clone(),
            movie,
            twin,
            warnings,
        })
    }

    /// The check by simulated movies; none if the user does not wait for it.
    fn twin(&self, job: &Job<'_>, analysis: &Analysis) -> Result<Option<TwinCheck>, WorkflowError> {
        let movies = self.settings.twin_movies;
        if movies == 0 {
            return Ok(None);
        }
        let source = TwinSource::of(analysis);
        match source.check(self.movie, job.eye, movies, twin::MOST_FRAMES, job.seed, job.context) {
            Ok(check) => {
                twin::write(&check, &self.settings.out)?;
                Ok(Some(check))
            }
            Err(WorkflowError::Cancelled { .. }) => {
                job.context.progress.note("stopped: the results are complete but for the check by simulated movies");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn summary(&self, analysis: &Analysis) -> MovieSummary {
        let (width, height) = self.movie.size_px();
        let known = |share: f64| share.is_finite().then_some(share);
        let mean = analysis.followed.mean_image.iter().map(|value| f64::from(*value)).sum::<f64>();
        MovieSummary {
            frames: self.movie.frames(),
            bad_frames: analysis.followed.bad_frames.keys().copied().collect(),
            untrusted_frames: analysis.followed.poses.iter().filter(|pose| !pose.trusted).count(),
            frame_time_s: analysis.occupancy.intervals.frame_time_s(),
            pixel_size_nm: 0.1 * self.pixel_size.angstrom.0,
            pixel_size_y_nm: 0.1 * self.pixel_size.angstrom.1,
            image_px: [width, height],
            model: self.choice.name.clone(),
            neighbour_nm: 0.1 * analysis.sites.neighbour_angstrom,
            sites: analysis.sites.len(),
            detector: DetectorSummary {
                missed_share: known(analysis.detector.missed_share),
                false_share: known(analysis.detector.false_share),
                separation: analysis.occupancy.emission.separation(),
                probability_threshold: self.choice.model.card.columns.probability_threshold,
            },
            signal: SignalSummary {
                mean_counts: mean / analysis.followed.mean_image.len().max(1) as f64,
                dose_e_per_a2: self.source.acquisition().dose_e_per_a2,
            },
            total: summary::total(analysis),
            classes: summary::classes(analysis),
            halves: summary::halves(analysis, SeedPath::new(self.settings.seed).child("halves")),
            hops: analysis.events.hops.len(),
            hops_by_chance: analysis.events.hops_by_chance,
        }
    }

    /// What the user should know.
    fn warnings(&self, analysis: &Analysis) -> Vec<String> {
        let mut warnings: Vec<String> = self.movie.notes.iter().chain(&self.pixel_size.warnings).cloned().collect();
        let all = self.movie.frames();
        for (warning, frames) in &analysis.followed.warnings {
            warnings.push(format!("{warning} (in {frames} of {all} frames)"));
        }
        let bad = &analysis.followed.bad_frames;
        if let Some((first, reason)) = bad.iter().next() {
            warnings.push(format!("{} of {all} frames could not be used; frame {first}: {reason}", bad.len()));
        }
        let lost = analysis.followed.poses.iter().filter(|pose| !pose.trusted).count() - bad.len();
        if lost > 0 {
            warnings.push(format!(
                "{lost} of {all} frames do not show where the specimen is; they say nothing of its sites"
            ));
        }
        warnings
    }
}
