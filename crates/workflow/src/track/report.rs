//! Pictures and the page of a movie.

use std::path::{Path, PathBuf};

use atomlens_analysis::movie::events::{autocorrelation, lifetimes};
use atomlens_analysis::movie::mean_image::in_reference;
use atomlens_analysis::movie::occupancy;
use atomlens_analysis::movie::sites::SiteClass;
use atomlens_core::glam::DVec2;
use atomlens_report::html::FramePicture;
use atomlens_report::html::{
    Hops, MovieFacts, MovieFrame, MovieReport, MovieSite, SelfCheck, SelfCheckRow, Warning, largest_side_px,
    picture_step,
};
use atomlens_report::{
    Animation, AnimationFrame, AnimationSettings, AnimationSite, ClassRates, DisplacementPoint, DriftPoint, Estimate,
    EventRaster, Field, MapSite, RateUnit, SiteMap, SiteQuantity, SiteStates, SurvivalPoint, animation,
};
use ndarray::Array2;

use super::analysis::{Analysis, Frames, Job};
use super::conclusions::Conclusions;
use super::summary::{MovieSummary, Rates, Value};
use super::write::{Tracks, Writer};
use crate::WorkflowError;
use crate::model;
use crate::twin::TwinCheck;

/// Longest side of the animation: noise does not compress.
const ANIMATION_SIDE_PX: usize = 400;

/// Lags of the occupancy's autocorrelation, in frames, at most.
const LAGS: usize = 60;

impl From<Value> for Estimate {
    fn from(Value { value, low, high }: Value) -> Estimate {
        Estimate::new(value, low, high)
    }
}

fn estimate(found: occupancy::Estimate) -> Estimate {
    Estimate::new(found.value, found.low, found.high)
}

/// The pictures and the page of a movie.
pub(super) struct Pictures<'a> {
    pub(super) writer: &'a Writer<'a>,
    pub(super) job: &'a Job<'a>,
    pub(super) analysis: &'a Analysis,
    pub(super) summary: &'a MovieSummary,
    pub(super) warnings: &'a [String],
}

impl Pictures<'_> {
    /// A frame time in seconds, or 1 where rates are per frame.
    fn frame_time(&self) -> f64 {
        self.summary.frame_time_s.unwrap_or(1.0)
    }

    fn unit(&self) -> RateUnit {
        if self.summary.frame_time_s.is_some() { RateUnit::PerSecond } else { RateUnit::PerFrame }
    }

    fn times_s(&self) -> Vec<f64> {
        let intervals = &self.analysis.occupancy.intervals;
        (0..intervals.frames()).map_while(|frame| intervals.time_s(frame)).collect()
    }

    fn states(&self) -> SiteStates<'_> {
        let occupancy = &self.analysis.occupancy;
        SiteStates {
            probability: occupancy.probability.view(),
            loss: occupancy.loss.view(),
            gain: occupancy.gain.view(),
        }
    }

    fn map(&self, quantity: SiteQuantity, sites: &[MapSite]) -> Result<atomlens_report::Drawing, WorkflowError> {
        let analysis = self.analysis;
        let map = SiteMap::new(analysis.followed.mean_image.view(), analysis.pixel_angstrom, sites, quantity)
            .neighbour_angstrom(analysis.sites.neighbour_angstrom);
        Ok(map.drawing()?)
    }

    fn map_sites(&self, of: impl Fn(usize) -> Estimate) -> Vec<MapSite> {
        let site =
            |(site, place): (usize, DVec2)| MapSite { x_angstrom: place.x, y_angstrom: place.y, value: of(site) };
        self.analysis.sites.places_angstrom().into_iter().enumerate().map(site).collect()
    }

    /// Writes all pictures and the page; answers where the page is.
    pub(super) fn write(&self, tracks: &Tracks, twin: Option<&TwinCheck>) -> Result<PathBuf, WorkflowError> {
        let (out, analysis) = (&self.writer.settings.out, self.analysis);
        let of_site = |site: usize| analysis.occupancy.sites[site].switching;
        let filled = self.map_sites(|site| estimate(of_site(site).occupancy));
        let per_time = 1.0 / self.frame_time();
        let switching = self.map_sites(|site| estimate(of_site(site).switch_per_frame).scaled(per_time));
        let rate = match self.unit() {
            RateUnit::PerSecond => SiteQuantity::SwitchesPerSecond,
            RateUnit::PerFrame => SiteQuantity::SwitchesPerFrame,
        };
        let occupancy_map = self.map(SiteQuantity::Occupancy, &filled)?;
        let switching_map = self.map(rate, &switching)?;
        let class_names: Vec<String> = SiteClass::ALL.iter().map(|class| class.to_string()).collect();
        let class_of_site: Vec<usize> = analysis.sites.sites.iter().map(|site| site.class as usize).collect();
        let rates: Vec<f64> = switching.iter().map(|site| site.value.value).collect();
        let (times_s, bad_frames) = (self.times_s(), &self.summary.bad_frames);
        let raster = EventRaster::new(self.states(), &class_of_site, &class_names)
            .rates(&rates)
            .times_s(&times_s)
            .bad_frames(bad_frames)
            .drawing()?;
        for (name, drawing, title) in [
            ("occupancy_map", &occupancy_map, "Occupancy of the sites"),
            ("switching_map", &switching_map, "Switching of the sites"),
            ("event_raster", &raster, "Events"),
        ] {
            drawing.write_png(out.join(format!("{name}.png")))?;
            drawing.write_svg(out.join(format!("{name}.svg")), title)?;
        }
        let frames = self.frames(&out.join("movie.gif"))?;
        let (filled_survival, filled_lifetime) = self.survival(true);
        let (empty_survival, empty_lifetime) = self.survival(false);
        let conclusions = Conclusions::of(analysis, self.summary, twin);
        let report = MovieReport {
            title: format!("Events: {}", self.name()),
            program: format!("atomlens {}", env!("CARGO_PKG_VERSION")),
            created: String::new(),
            movie: self.facts(times_s.clone(), twin),
            class_names: class_names.clone(),
            sites: self.sites(),
            total: self.class_rates("all sites", analysis.sites.len(), &self.summary.total),
            classes: self.summary.classes.iter().map(|c| self.class_rates(&c.class, c.sites, &c.rates)).collect(),
            rate_unit: self.unit(),
            states: Some(self.states()),
            occupancy_map: Some(occupancy_map),
            switching_map: Some(switching_map),
            event_raster: Some(raster),
            frames,
            drift: self.drift(),
            filled_survival,
            empty_survival,
            filled_lifetime,
            empty_lifetime,
            autocorrelation: self.autocorrelation(),
            displacements: self.displacements(tracks),
            hops: Some(Hops { found: self.summary.hops as f64, by_chance: self.summary.hops_by_chance }),
            can_conclude: conclusions.can,
            cannot_conclude: conclusions.cannot,
            warnings: self.warnings.iter().map(|text| Warning { place: String::new(), text: text.clone() }).collect(),
            self_check: twin.map(self_check),
            settings: serde_json::to_value(self.writer.provenance).unwrap_or_default(),
            model: Some(model::page(&self.writer.choice.model.card)),
        };
        let path = out.join("report.html");
        report.write(&path)?;
        Ok(path)
    }

    fn name(&self) -> String {
        let named: &[PathBuf] = &self.writer.settings.movie;
        let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match named {
            [one] => name(one),
            several => format!("{} and {} more", name(&several[0]), several.len() - 1),
        }
    }

    fn facts(&self, times_s: Vec<f64>, twin: Option<&TwinCheck>) -> MovieFacts {
        let (writer, summary) = (self.writer, self.summary);
        let detector = &summary.detector;
        let mut facts = vec![
            ("Format".to_owned(), writer.source.format.to_owned()),
            ("Model".to_owned(), format!("{}, because {}", writer.choice.name, writer.choice.reason)),
            ("Distance between neighbours".to_owned(), format!("{:.4} nm", summary.neighbour_nm)),
        ];
        let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
        let acquisition = writer.source.acquisition();
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        fact("Frame time", summary.frame_time_s.map(|time| format!("{time} s")));
        fact("Voltage", acquisition.voltage_kv.map(|value| format!("{value} kV")));
        fact("Dose of a frame, as the file states it", acquisition.dose_e_per_a2.map(|dose| format!("{dose:.1} e/Å²")));
        let dose = twin.and_then(|twin| twin.dose_e_per_a2);
        fact("Dose of a frame, as the noise shows it", dose.map(|dose| format!("{dose:.0} e/Å²")));
        let gain = twin.and_then(|twin| twin.counts_per_electron);
        fact("Counts an electron, as the noise shows it", gain.map(|gain| format!("{gain:.3}")));
        fact("Filled sites that the detector misses in a frame", detector.missed_share.map(percent));
        fact("Empty sites at which it finds a column", detector.false_share.map(percent));
        let area = format!("{:.4} (area under the curve of hits against false alarms)", detector.separation);
        fact("Filled told from empty in a frame", Some(area));
        MovieFacts {
            name: self.name(),
            frames: summary.frames,
            bad_frames: summary.bad_frames.clone(),
            times_s,
            size_px: (summary.image_px[0], summary.image_px[1]),
            pixel_size_nm: summary.pixel_size_nm,
            pixel_size_source: writer.pixel_size.source(),
            facts,
        }
    }

    fn sites(&self) -> Vec<MovieSite> {
        let per_time = 1.0 / self.frame_time();
        let sites =
            self.analysis.sites.sites.iter().zip(&self.analysis.occupancy.sites).zip(&self.analysis.naive_switches);
        sites
            .map(|((site, found), naive)| MovieSite {
                x_nm: 0.1 * site.place_angstrom.x,
                y_nm: 0.1 * site.place_angstrom.y,
                class: site.class as usize,
                occupancy: estimate(found.switching.occupancy),
                switch_rate: estimate(found.switching.switch_per_frame).scaled(per_time),
                switches: estimate(found.switching.switches),
                naive_switches: *naive as f64,
            })
            .collect()
    }

    fn class_rates(&self, class: &str, sites: usize, rates: &Rates) -> ClassRates {
        let per_time = 1.0 / self.frame_time();
        let rate = |value: Value| Estimate::from(value).scaled(per_time);
        let duration = self.analysis.occupancy.intervals.duration_frames() * self.frame_time();
        ClassRates {
            class: class.to_owned(),
            sites,
            occupancy: rates.occupancy.into(),
            switch_rate: rate(rates.switch_rate_per_frame),
            fill_rate: rate(rates.fill_rate_per_frame),
            empty_rate: rate(rates.empty_rate_per_frame),
            switches: rates.switches.into(),
            losses: rates.losses,
            gains: rates.gains,
            naive_switches: rates.naive_switches as f64,
            naive_rate: rates.naive_switches as f64 / (sites.max(1) as f64 * duration),
        }
    }

    fn drift(&self) -> Vec<DriftPoint> {
        let intervals = &self.analysis.occupancy.intervals;
        let point = |(frame, found): (usize, &atomlens_analysis::movie::drift::FramePose)| DriftPoint {
            frame,
            time_s: intervals.time_s(frame),
            x_nm: 0.1 * found.pose.drift_angstrom.x,
            y_nm: 0.1 * found.pose.drift_angstrom.y,
            rotation_rad: found.pose.rotation_rad,
            sigma_nm: 0.1 * found.drift_sigma_angstrom,
            trusted: found.trusted,
        };
        self.analysis.followed.poses.iter().enumerate().map(point).collect()
    }

    fn all_sites(&self) -> Vec<usize> {
        (0..self.analysis.sites.len()).collect()
    }

    /// How long a state lasts: the share that lasts longer, and the mean.
    fn survival(&self, filled: bool) -> (Vec<SurvivalPoint>, Estimate) {
        let Some(found) = lifetimes(&self.analysis.occupancy, &self.all_sites(), filled) else {
            return (Vec::new(), Estimate::UNKNOWN);
        };
        let time = self.frame_time();
        let points = found
            .survival
            .iter()
            .map(|step| SurvivalPoint { time: step.frames as f64 * time, share: estimate(step.share) })
            .collect();
        (points, estimate(found.mean_frames).scaled(time))
    }

    fn autocorrelation(&self) -> Vec<(f64, f64)> {
        let most = LAGS.min(self.summary.frames / 2);
        let values = autocorrelation(&self.analysis.occupancy, &self.all_sites(), most);
        let points = values.into_iter().enumerate().map(|(lag, value)| (lag as f64 * self.frame_time(), value));
        points.filter(|(_, value)| value.is_finite()).collect()
    }

    fn displacements(&self, tracks: &Tracks) -> Vec<DisplacementPoint> {
        let Some(localisation) = tracks.localisation_angstrom() else { return Vec::new() };
        let curve = tracks.mean_square.curve(localisation);
        let point = |point: atomlens_analysis::movie::tracks::motion::MeanSquarePoint| DisplacementPoint {
            time: point.lag_frames as f64 * self.frame_time(),
            mean_square_nm2: Estimate::without_interval(0.01 * point.corrected_angstrom2),
        };
        curve.into_iter().map(point).collect()
    }

    /// The part of the image with sites, and a margin.
    fn field(&self) -> Option<Field> {
        let places = self.analysis.sites.places_angstrom();
        let margin = 2.0 * self.analysis.sites.neighbour_angstrom;
        let (ny, nx) = self.analysis.followed.mean_image.dim();
        let far = DVec2::new(nx as f64, ny as f64) * self.analysis.pixel_angstrom;
        let low = (places.iter().copied().reduce(DVec2::min)? - margin).max(DVec2::ZERO);
        let high = (places.iter().copied().reduce(DVec2::max)? + margin).min(far);
        (high - low).cmpgt(DVec2::splat(margin)).all().then(|| Field::new(low.x, high.x, low.y, high.y))
    }

    /// Frames for the page, and the animation on the way.
    fn frames(&self, gif: &Path) -> Result<Vec<MovieFrame>, WorkflowError> {
        let (analysis, poses) = (self.analysis, &self.analysis.followed.poses);
        let count = poses.len();
        let (page_step, gif_step) = (picture_step(count), animation::frame_step(count));
        let side = largest_side_px(count.div_ceil(page_step));
        let shape = analysis.followed.mean_image.dim();
        let settings = AnimationSettings {
            largest_side_px: ANIMATION_SIDE_PX,
            field: self.field(),
            neighbour_angstrom: Some(analysis.sites.neighbour_angstrom),
            ..AnimationSettings::default()
        };
        let level = analysis.followed.mean_image.mean().unwrap_or(0.0);
        let mut animation = Animation::create(gif, [shape.0, shape.1], analysis.pixel_angstrom, settings)?;
        let mut shown = Vec::new();
        let mut before = 0;
        self.job.context.progress.begin(count as u64, "frames for pictures");
        for (index, pose) in poses.iter().enumerate() {
            let (on_page, in_gif) = (index.is_multiple_of(page_step), index.is_multiple_of(gif_step));
            self.job.context.progress.done(index as u64 + 1);
            if !(on_page || in_gif) {
                continue;
            }
            let Ok(frame) = Frames::frame(self.writer.movie, index)? else { continue };
            let frame: Array2<f32> = self.job.eye.on_even_pixels(frame);
            if on_page {
                let place = |place: &DVec2| (0.1 * pose.pose.to_frame(*place)).to_array();
                shown.push(MovieFrame {
                    frame: index,
                    picture: FramePicture::new(frame.view(), analysis.pixel_angstrom, side)?,
                    places_nm: Some(analysis.sites.places_angstrom().iter().map(place).collect()),
                });
            }
            if in_gif {
                let moved = in_reference(frame.view(), analysis.pixel_angstrom, &pose.pose);
                let moved = moved.mapv(|value| if value.is_finite() { value } else { level });
                let occupancy = &analysis.occupancy;
                let since = |of: &Array2<f32>, site: usize| -> f32 {
                    (before + 1..=index).map(|frame| of[[site, frame]]).sum::<f32>().min(1.0)
                };
                let sites: Vec<AnimationSite> = analysis
                    .sites
                    .places_angstrom()
                    .into_iter()
                    .enumerate()
                    .map(|(site, place)| AnimationSite {
                        x_angstrom: place.x,
                        y_angstrom: place.y,
                        probability: occupancy.probability[[site, index]],
                        loss: since(&occupancy.loss, site),
                        gain: since(&occupancy.gain, site),
                    })
                    .collect();
                let time_s = occupancy.intervals.time_s(index);
                animation.add(&AnimationFrame { counts: moved.view(), number: index, time_s, sites: &sites })?;
                before = index;
            }
        }
        animation.finish()?;
        Ok(shown)
    }
}

fn self_check(check: &TwinCheck) -> SelfCheck {
    let movies =
        if check.movies == 1 { "1 simulated movie".to_owned() } else { format!("{} simulated movies", check.movies) };
    SelfCheck {
        description: format!(
            "{movies} of {} frames with the mean image, the sites, the drift, the rates and the noise of this one, and \
             occupancies that are known, through the same analysis",
            check.frames
        ),
        rows: check
            .rows
            .iter()
            .map(|row| SelfCheckRow {
                name: row.quantity.clone(),
                value: row.estimate().into(),
                unit: row.unit.clone(),
                meaning: row.meaning.clone(),
            })
            .collect(),
    }
}
