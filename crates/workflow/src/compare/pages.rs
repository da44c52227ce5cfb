//! Maps side by side, and the report.

use std::path::Path;

use atomlens_analysis::movie::comparison::Quantity;
use atomlens_report::html::{ComparisonReport, Condition, RateDifference};
use atomlens_report::site_map::side_by_side;
use atomlens_report::{ClassRates, Drawing, Estimate, MapSite, RateUnit, ReportError, SiteMap, SiteQuantity};
use ndarray::Array2;

use super::movie::{Movie, Rates, Site};
use super::rows::{self, ALL, ComparisonRow, TimeUnit, named};
use super::words::{methods, shown};
use super::{CompareSettings, CompareSummary};
use crate::WorkflowError;
use crate::info::rounded;

/// Occupancies and switching rates on one scale.
pub(super) struct Maps {
    pub(super) occupancy: Drawing,
    pub(super) switching: Drawing,
}

impl Maps {
    pub(super) fn of(movies: &[Movie], unit: TimeUnit) -> Result<Maps, ReportError> {
        let images: Vec<Array2<f32>> = movies
            .iter()
            .map(|movie| {
                let [width, height] = movie.summary.image_px;
                movie.mean_image.clone().unwrap_or_else(|| Array2::zeros((height.max(1), width.max(1))))
            })
            .collect();
        let map = |quantity: &SiteQuantity, value: &dyn Fn(&Movie, &Site) -> Estimate| {
            let sites: Vec<Vec<MapSite>> = movies
                .iter()
                .map(|movie| {
                    let site = |site: &Site| MapSite {
                        x_angstrom: 10.0 * site.x_nm,
                        y_angstrom: 10.0 * site.y_nm,
                        value: value(movie, site),
                    };
                    movie.sites.iter().map(site).collect()
                })
                .collect();
            let maps: Vec<SiteMap<'_>> = movies
                .iter()
                .zip(&images)
                .zip(&sites)
                .map(|((movie, image), sites)| {
                    let pixel = 10.0 * movie.summary.pixel_size_nm;
                    let map = SiteMap::new(image.view(), pixel, sites, quantity.clone()).title(&movie.name);
                    match movie.summary.neighbour_nm {
                        Some(neighbour) if neighbour > 0.0 => map.neighbour_angstrom(10.0 * neighbour),
                        _ => map,
                    }
                })
                .collect();
            side_by_side(&maps)
        };
        let switching = match unit {
            TimeUnit::Frame => SiteQuantity::SwitchesPerFrame,
            TimeUnit::Second => SiteQuantity::SwitchesPerSecond,
        };
        Ok(Maps {
            occupancy: map(&SiteQuantity::Occupancy, &|_, site| shown(site.occupancy))?,
            switching: map(&switching, &|movie, site| {
                shown(site.switch_rate_per_frame).scaled(1.0 / unit.frame(movie))
            })?,
        })
    }

    /// Writes `occupancy_maps` and `switching_maps` as PNG and SVG.
    pub(super) fn write(&self, out: &Path) -> Result<(), WorkflowError> {
        for (name, title, drawing) in [
            ("occupancy_maps", "Occupancy of sites", &self.occupancy),
            ("switching_maps", "Switching rates of sites", &self.switching),
        ] {
            drawing.write_png(out.join(format!("{name}.png")))?;
            drawing.write_svg(out.join(format!("{name}.svg")), title)?;
        }
        Ok(())
    }
}

fn class_rates(movie: &Movie, class: &str, rates: Option<&Rates>, unit: TimeUnit) -> ClassRates {
    let value = |quantity: Quantity| {
        rows::estimate(movie, class, quantity, unit).map_or(Estimate::UNKNOWN, |group| shown(group.value))
    };
    let sites = if class == ALL { movie.sites.len() } else { movie.members(class).len() };
    let naive = rates.and_then(|rates| rates.naive_switches).unwrap_or(f64::NAN);
    let exposure = sites as f64 * unit.steps(movie).iter().sum::<f64>();
    ClassRates {
        class: if class == ALL { named(ALL) } else { class.to_owned() },
        sites,
        occupancy: value(Quantity::Occupancy),
        switch_rate: value(Quantity::SwitchRate),
        fill_rate: value(Quantity::FillRate),
        empty_rate: value(Quantity::EmptyRate),
        switches: rates.map_or(Estimate::UNKNOWN, |rates| shown(rates.switches())),
        losses: rates.and_then(|rates| rates.losses).unwrap_or(f64::NAN),
        gains: rates.and_then(|rates| rates.gains).unwrap_or(f64::NAN),
        naive_switches: naive,
        naive_rate: naive / exposure,
    }
}

fn condition(movie: &Movie, unit: TimeUnit) -> Condition {
    let summary = &movie.summary;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let facts = [
        ("Folder", Some(movie.path.display().to_string())),
        ("Sites", Some(movie.sites.len().to_string())),
        ("Frames", Some(summary.frames.to_string())),
        ("Frames that could not be used", Some(summary.bad_frames.len().to_string())),
        ("Frame time", summary.frame_time_s.map(|time| format!("{} s", rounded(time)))),
        ("Dose a frame", summary.signal.dose_e_per_a2.map(|dose| format!("{} e/Å²", rounded(dose)))),
        ("Mean counts a pixel", summary.signal.mean_counts.map(|counts| rounded(counts).to_string())),
        ("Pixel size", Some(format!("{} nm", rounded(summary.pixel_size_nm)))),
        ("Model", Some(summary.model.clone())),
        ("Missed by the detector", summary.detector.missed_share.map(percent)),
        ("Reported in empty sites", summary.detector.false_share.map(percent)),
        ("Filled and empty told apart", summary.detector.separation.map(percent)),
    ];
    Condition {
        name: movie.name.clone(),
        facts: facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        total: class_rates(movie, ALL, Some(&summary.total), unit),
        classes: rows::classes(&[movie])
            .iter()
            .map(|class| class_rates(movie, class, movie.rates_of(class), unit))
            .collect(),
    }
}

fn difference(row: &ComparisonRow, movies: &[Movie]) -> RateDifference {
    let place = |name: &str| movies.iter().position(|movie| movie.name == name).unwrap_or(0);
    let per = match row.unit.as_str() {
        "per_second" => " per second",
        "per_frame" => " per frame",
        _ => "",
    };
    let quantity = match row.quantity.as_str() {
        "switch_rate" => "switches per site",
        "fill_rate" => "filled per empty site",
        "empty_rate" => "emptied per filled site",
        other => other,
    };
    RateDifference {
        class: named(&row.class).trim_end_matches(" sites").replace("all", "all sites"),
        quantity: format!("{quantity}{per}"),
        reference: place(&row.condition_a),
        compared: place(&row.condition_b),
        reference_value: shown(row.first()),
        compared_value: shown(row.second()),
        difference: shown(row.apart()),
        ratio: shown(row.times()),
        p_value: row.p_value.unwrap_or(f64::NAN),
        adjusted_p_value: row.p_value_adjusted.unwrap_or(f64::NAN),
    }
}

/// The page.
pub(super) fn report(
    settings: &CompareSettings,
    summary: &CompareSummary,
    movies: &[Movie],
    maps: Maps,
) -> Result<ComparisonReport, WorkflowError> {
    let names: Vec<&str> = movies.iter().map(|movie| movie.name.as_str()).collect();
    Ok(ComparisonReport {
        title: format!("Switching of sites: {}", names.join(", ")),
        program: format!("atomlens {}", env!("CARGO_PKG_VERSION")),
        created: String::new(),
        paragraph: summary.paragraph.clone(),
        warnings: summary.warnings.clone(),
        conditions: movies.iter().map(|movie| condition(movie, summary.unit)).collect(),
        rate_unit: match summary.unit {
            TimeUnit::Frame => RateUnit::PerFrame,
            TimeUnit::Second => RateUnit::PerSecond,
        },
        differences: summary.rows.iter().map(|row| difference(row, movies)).collect(),
        maps: vec![
            ("Share of the frames in which each site is filled".to_owned(), maps.occupancy),
            ("How often each site switches".to_owned(), maps.switching),
        ],
        methods: methods(settings.permutations),
        settings: serde_json::to_value(settings).unwrap_or_default(),
    })
}
