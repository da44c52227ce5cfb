//! The report of a movie: which sites are filled how often, where and how often they switch, with the detector's errors
//! taken out, and what can be concluded from it.

use std::path::Path;

use askama::Template;

use super::comparison::rate_rows;
use super::detection::{ModelCard, Warning};
use super::movie_viewer::{MovieViewer, movie_viewer};
use super::picture::FramePicture;
use super::sections::{ModelSection, figure};
use super::{Figure, Number, STYLE, counted, grouped};
use crate::drawing::Drawing;
use crate::estimate::{Estimate, Kind, fixed};
use crate::movie_plots::{
    ClassRates, DisplacementPoint, DriftPoint, RateUnit, SurvivalPoint, autocorrelation_plot, displacement_plot,
    drift_plot, rates_plot, rotation_plot, survival_plot,
};
use crate::scale_bar::short_number;
use crate::site_states::SiteStates;
use crate::{ReportError, file};

/// How many of the sites that switch most often are listed.
const LISTED_SITES: usize = 12;

/// What a report is made of. Places are in the first frame, from the centre of its first pixel, x to the right and y
/// down; what is not known is left empty or not finite.
#[derive(Debug, Clone, Default)]
pub struct MovieReport<'a> {
    /// What the page is called.
    pub title: String,
    /// The program's name and version.
    pub program: String,
    /// When the analysis was made, as it is to be written; may be empty.
    pub created: String,
    /// The movie.
    pub movie: MovieFacts,
    /// Names of the classes of sites, by which [`MovieSite::class`] counts.
    pub class_names: Vec<String>,
    /// The sites, in the order of the states.
    pub sites: Vec<MovieSite>,
    /// All sites together.
    pub total: ClassRates,
    /// The classes that have sites.
    pub classes: Vec<ClassRates>,
    /// The time that all rates are per.
    pub rate_unit: RateUnit,
    /// Probabilities of every site in every frame; without them the slider shows frames alone.
    pub states: Option<SiteStates<'a>>,
    /// How often sites are filled, by [`crate::SiteMap`].
    pub occupancy_map: Option<Drawing>,
    /// How often they switch.
    pub switching_map: Option<Drawing>,
    /// Which switches when, by [`crate::EventRaster`].
    pub event_raster: Option<Drawing>,
    /// Frames to look at, in order of time. A page holds at most [`super::MOST_PICTURES`] of them.
    pub frames: Vec<MovieFrame>,
    /// Where the specimen was in every frame.
    pub drift: Vec<DriftPoint>,
    /// How long sites stay filled, in the unit of the rates.
    pub filled_survival: Vec<SurvivalPoint>,
    /// How long sites stay empty.
    pub empty_survival: Vec<SurvivalPoint>,
    /// Mean time that a site stays filled, in frames or seconds as the rates are.
    pub filled_lifetime: Estimate,
    /// Mean time that it stays empty.
    pub empty_lifetime: Estimate,
    /// Time apart, in the unit of the rates, and correlation of the occupancy.
    pub autocorrelation: Vec<(f64, f64)>,
    /// Mean-square displacement of the columns that move.
    pub displacements: Vec<DisplacementPoint>,
    /// Number of hops from a site to one beside it, and how many of them chance alone would make.
    pub hops: Option<Hops>,
    /// What can be concluded, sentence by sentence.
    pub can_conclude: Vec<String>,
    /// What cannot.
    pub cannot_conclude: Vec<String>,
    /// Warnings that concern the whole movie or one frame of it.
    pub warnings: Vec<Warning>,
    /// The same analysis of simulated movies like this one, whose truth is known.
    pub self_check: Option<SelfCheck>,
    /// All settings of the run.
    pub settings: serde_json::Value,
    /// The model that was used.
    pub model: Option<ModelCard>,
}

/// What is known of a movie.
#[derive(Debug, Clone, Default)]
pub struct MovieFacts {
    /// Its name, as it is to be written.
    pub name: String,
    /// How many frames it has.
    pub frames: usize,
    /// Frames that were skipped.
    pub bad_frames: Vec<usize>,
    /// When each frame was taken, in s from the first; empty where unknown.
    pub times_s: Vec<f64>,
    /// Width and height of a frame, in pixels.
    pub size_px: (usize, usize),
    /// Size of a pixel, in nm.
    pub pixel_size_nm: f64,
    /// Where the pixel size is from, such as `from the file` or `estimated from the lattice`.
    pub pixel_size_source: String,
    /// More that is known, such as its dose and detector's errors: name and value with unit.
    pub facts: Vec<(String, String)>,
}

/// A site and what was found of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MovieSite {
    /// Place.
    pub x_nm: f64,
    /// Place.
    pub y_nm: f64,
    /// Its class.
    pub class: usize,
    /// Share of the frames in which it is filled, 0 to 1.
    pub occupancy: Estimate,
    /// Switches per time.
    pub switch_rate: Estimate,
    /// Number of switches in this movie.
    pub switches: Estimate,
    /// Number of switches in a naive count.
    pub naive_switches: f64,
}

/// A frame to look at.
#[derive(Debug, Clone)]
pub struct MovieFrame {
    /// Its number, which is its place in the states, too.
    pub frame: usize,
    /// Its picture, with the drift taken out or not.
    pub picture: FramePicture,
    /// Where the sites are in the picture, in nm from the centre of the frame's first pixel; without them, where they
    /// are in the first frame.
    pub places_nm: Option<Vec<[f64; 2]>>,
}

/// Hops from a site to one beside it: a loss and a gain shortly after each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hops {
    /// Expected number in this movie.
    pub found: f64,
    /// How many would be found if sites switched without regard to each other.
    pub by_chance: f64,
}

/// The analysis of simulated movies like the one analysed.
#[derive(Debug, Clone, Default)]
pub struct SelfCheck {
    /// How it was made, such as `20 simulated movies of the same lattice, dose and rates`.
    pub description: String,
    /// What was found.
    pub rows: Vec<SelfCheckRow>,
}

/// One number of a self-check, such as the precision of events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SelfCheckRow {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: Estimate,
    /// Its unit, such as `%` or `pm`; may be empty.
    pub unit: String,
    /// What it says; may be empty.
    pub meaning: String,
}

impl MovieReport<'_> {
    /// The page.
    pub fn to_html(&self) -> Result<String, ReportError> {
        if let Some(states) = &self.states {
            states.check()?;
            if states.sites() != self.sites.len() {
                let (found, expected) = (self.sites.len(), states.sites());
                return Err(ReportError::Count { what: "sites of the report", found, expected });
            }
        }
        let model = self.model.as_ref().map(ModelSection::new).transpose()?;
        let settings = if self.settings.is_null() { String::new() } else { format!("{:#}", self.settings) };
        let viewer = movie_viewer(self);
        let page = Page {
            title: &self.title,
            program: &self.program,
            created: &self.created,
            summary: self.summary(),
            warnings: &self.warnings,
            can_conclude: &self.can_conclude,
            cannot_conclude: &self.cannot_conclude,
            maps: self.maps(),
            raster: self.raster(),
            rates: rate_rows(&self.classes, &self.total),
            unit: self.rate_unit.label(),
            rates_figure: self.rates_figure()?,
            busiest: self.busiest(),
            shown: viewer.as_ref().map_or(String::new(), |viewer| viewer.note.clone()),
            viewer,
            figures: self.figures()?,
            times: self.times(),
            self_check: self.self_check.as_ref(),
            facts: self.facts(),
            model,
            settings,
            style: STYLE,
            script: concat!(include_str!("../../templates/viewer.js"), include_str!("../../templates/sites.js")),
        };
        Ok(page.render()?)
    }

    /// Writes the page; an older one is replaced when the new one is complete.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        file::write(path.as_ref(), self.to_html()?.as_bytes())
    }

    /// The answer in words.
    fn summary(&self) -> Vec<String> {
        let frames = counted(self.movie.frames, "frame", "frames");
        if self.sites.is_empty() {
            return vec![format!("No sites were found in {frames}.")];
        }
        let sites = counted(self.sites.len(), "site", "sites");
        let duration = self.duration_s().map_or(String::new(), |time| format!(" ({} s)", short_number(time)));
        let subject = if self.sites.len() == 1 { "It is" } else { "They are" };
        let total = &self.total;
        let mut first = format!("{sites} in {frames}{duration}.");
        if total.occupancy.value.is_finite() {
            let share = total.occupancy.scaled(100.0).phrase(Kind::Percent);
            first.push_str(&format!(" {subject} filled in {share} of the time; in brackets are intervals of 95 %."));
        }
        let still = self.sites.iter().filter(|site| site.switches.value < 0.5).count();
        if still > 0 && self.sites.len() > 1 {
            let verb = if still == 1 { "switches" } else { "switch" };
            first.push_str(&format!(" {} of them never {verb}.", grouped(still)));
        }
        let mut text = vec![first];
        let unit = self.rate_unit.noun();
        if total.switches.value.is_finite() {
            let mut switches =
                format!("With the detector's errors taken out, {} switches", total.switches.phrase(Kind::Count));
            if total.losses.is_finite() && total.gains.is_finite() {
                let [losses, gains] = [total.losses, total.gains].map(|n| grouped(n.round().max(0.0) as usize));
                switches.push_str(&format!(", {losses} from filled to empty and {gains} back"));
            }
            if total.switch_rate.value.is_finite() {
                switches.push_str(&format!(": {} per site and {unit}", total.switch_rate.phrase(Kind::Any)));
            }
            switches.push('.');
            if total.naive_switches.is_finite() {
                switches.push_str(&format!(
                    " A naive count of what the detector sees gives {}{}.",
                    grouped(total.naive_switches.round().max(0.0) as usize),
                    times_as_many(total.naive_switches, total.switches.value)
                ));
            }
            text.push(switches);
        }
        let by_class: Vec<String> = self
            .classes
            .iter()
            .filter(|class| class.switch_rate.value.is_finite())
            .map(|class| format!("{} {}", class.class, class.switch_rate.phrase(Kind::Any)))
            .collect();
        if by_class.len() > 1 {
            text.push(format!("Switches per site and {unit} by class: {}.", by_class.join("; ")));
        }
        text
    }

    /// Time from the first to the last frame.
    fn duration_s(&self) -> Option<f64> {
        let times = &self.movie.times_s;
        let duration = times.last()? - times.first()?;
        (duration.is_finite() && duration > 0.0).then_some(duration)
    }

    fn maps(&self) -> Vec<Figure> {
        let captions = [
            (&self.occupancy_map, "How often each site is filled, on the mean of the frames with the drift taken out"),
            (&self.switching_map, "How often each site switches, on the same image"),
        ];
        let drawn = captions.into_iter().filter_map(|(drawing, caption)| {
            drawing.as_ref().map(|d| Figure { svg: d.to_inline_svg(caption), caption: caption.to_owned() })
        });
        drawn.collect()
    }

    fn raster(&self) -> Option<Figure> {
        let caption = "Which site is filled when; above, the number of switches of all sites";
        let drawing = self.event_raster.as_ref()?;
        Some(Figure { svg: drawing.to_inline_svg(caption), caption: caption.to_owned() })
    }

    fn rates_figure(&self) -> Result<Option<Figure>, ReportError> {
        if !self.classes.iter().any(|class| class.switch_rate.value.is_finite()) {
            return Ok(None);
        }
        let plot = rates_plot(&self.classes, self.rate_unit);
        figure(&plot, "Switching rates by class, counted and corrected".to_owned()).map(Some)
    }

    fn figures(&self) -> Result<Vec<Figure>, ReportError> {
        let mut figures = Vec::new();
        let mut add = |plot: &crate::Plot, caption: &str| -> Result<(), ReportError> {
            figures.push(figure(plot, caption.to_owned())?);
            Ok(())
        };
        let unit = self.rate_unit;
        if self.filled_survival.len() + self.empty_survival.len() > 0 {
            let plot = survival_plot(&self.filled_survival, &self.empty_survival, unit);
            add(&plot, "How long sites stay filled or empty: share that has not switched after a time (Kaplan–Meier)")?;
        }
        if self.autocorrelation.len() > 1 {
            add(
                &autocorrelation_plot(&self.autocorrelation, unit),
                "Correlation of the occupancy of a site with itself",
            )?;
        }
        if !self.displacements.is_empty() {
            let caption = "Mean-square displacement of columns, without the error of localisation";
            add(&displacement_plot(&self.displacements, unit), caption)?;
        }
        if self.drift.iter().filter(|point| point.trusted).count() > 1 {
            add(&drift_plot(&self.drift), "Drift of the specimen, which is taken out")?;
            if self.drift.iter().any(|point| point.rotation_rad.abs() > 1e-4) {
                add(&rotation_plot(&self.drift), "Rotation of the specimen, which is taken out")?;
            }
        }
        Ok(figures)
    }

    /// Mean lifetimes and hops, in words.
    fn times(&self) -> Vec<(String, String)> {
        let unit = match self.rate_unit {
            RateUnit::PerFrame => " frames",
            RateUnit::PerSecond => " s",
        };
        let mut rows = Vec::new();
        for (name, lifetime) in [
            ("Mean time that a site stays filled", self.filled_lifetime),
            ("Mean time that a site stays empty", self.empty_lifetime),
        ] {
            if lifetime.value.is_finite() {
                rows.push((name.to_owned(), lifetime.label_with(unit)));
            }
        }
        if let Some(hops) = &self.hops {
            let text = format!("{} (by chance alone {})", fixed(hops.found, 1), fixed(hops.by_chance, 1));
            rows.push(("Hops between neighbouring sites".to_owned(), text));
        }
        rows
    }

    /// The sites that switch most often.
    fn busiest(&self) -> Vec<SiteRow> {
        let mut sites: Vec<(usize, &MovieSite)> = self
            .sites
            .iter()
            .enumerate()
            .filter(|(_, site)| site.switches.value >= 0.5 && site.switch_rate.value.is_finite())
            .collect();
        sites.sort_by(|a, b| b.1.switch_rate.value.total_cmp(&a.1.switch_rate.value).then(a.0.cmp(&b.0)));
        let rows = sites.into_iter().take(LISTED_SITES).map(|(index, site)| SiteRow {
            site: index,
            class: self.class_name(site.class),
            place: format!("{:.3}, {:.3}", site.x_nm, site.y_nm),
            occupancy: Number::percent(site.occupancy),
            rate: site.switch_rate.into(),
            switches: Number::count(site.switches),
            naive: Estimate::without_interval(site.naive_switches).label(),
        });
        rows.collect()
    }

    pub(crate) fn class_name(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    fn facts(&self) -> Vec<(String, String)> {
        let movie = &self.movie;
        let mut facts = Vec::new();
        let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
        if !movie.name.is_empty() {
            add("Movie", movie.name.clone());
        }
        let (width, height) = movie.size_px;
        if width > 0 && height > 0 {
            let [x, y] = [width, height].map(|n| short_number(n as f64 * movie.pixel_size_nm));
            let frames = counted(movie.frames, "frame", "frames");
            add("Size", format!("{width} × {height} pixels, {x} × {y} nm, {frames}"));
        }
        if let (Some(first), Some(last), true) = (movie.times_s.first(), movie.times_s.last(), movie.times_s.len() > 1)
        {
            let frame = (last - first) / (movie.times_s.len() - 1) as f64;
            add("Time", format!("{} s, {} s a frame in the mean", short_number(last - first), short_number(frame)));
        }
        if !movie.bad_frames.is_empty() {
            let shown: Vec<String> = movie.bad_frames.iter().take(20).map(usize::to_string).collect();
            let more = if movie.bad_frames.len() > 20 { ", …" } else { "" };
            add("Frames skipped", format!("{}: {}{more}", movie.bad_frames.len(), shown.join(", ")));
        }
        if movie.pixel_size_nm > 0.0 {
            add("Pixel size", format!("{} nm, {}", short_number(movie.pixel_size_nm), movie.pixel_size_source));
        }
        facts.extend(movie.facts.iter().cloned());
        facts
    }
}

/// `, 5.3 times as many`, where it is worth saying.
fn times_as_many(naive: f64, corrected: f64) -> String {
    let ratio = naive / corrected;
    if corrected < 1.0 || !ratio.is_finite() || ratio < 1.1 {
        return String::new();
    }
    format!(", {} times as many", fixed(ratio, usize::from(ratio < 10.0)))
}

/// One of the sites that switch most often.
#[derive(Debug)]
struct SiteRow {
    site: usize,
    class: String,
    place: String,
    occupancy: Number,
    rate: Number,
    switches: Number,
    naive: String,
}

/// What the template needs.
#[derive(Template)]
#[template(path = "movie.html")]
struct Page<'a> {
    title: &'a str,
    program: &'a str,
    created: &'a str,
    summary: Vec<String>,
    warnings: &'a [Warning],
    can_conclude: &'a [String],
    cannot_conclude: &'a [String],
    maps: Vec<Figure>,
    raster: Option<Figure>,
    rates: Vec<super::comparison::RateRow>,
    unit: &'static str,
    rates_figure: Option<Figure>,
    busiest: Vec<SiteRow>,
    viewer: Option<MovieViewer>,
    shown: String,
    figures: Vec<Figure>,
    times: Vec<(String, String)>,
    self_check: Option<&'a SelfCheck>,
    facts: Vec<(String, String)>,
    model: Option<ModelSection>,
    settings: String,
    style: &'static str,
    script: &'static str,
}
