//! What a twin is made of, read back from a folder that `track` wrote.

use std::path::{Path, PathBuf};

use atomlens_analysis::movie::drift::{FramePose, Pose};
use atomlens_analysis::movie::occupancy::Switching;
use atomlens_analysis::movie::twin::TwinSites;
use atomlens_core::glam::DVec2;
use atomlens_formats::read_npy;
use ndarray::{Array2, Ix2};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::TwinSource;
use crate::WorkflowError;
use crate::track::MovieSummary;

/// A folder's content.
pub(super) struct Results {
    pub(super) source: TwinSource,
    pub(super) movie: Vec<PathBuf>,
    pub(super) model: String,
    pub(super) pixel_angstrom: (f64, f64),
}

#[derive(Deserialize)]
struct Settings {
    job: String,
    settings: MovieSettings,
}

#[derive(Deserialize)]
struct MovieSettings {
    movie: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Site {
    x_nm: f64,
    y_nm: f64,
    fill_rate_per_frame: f64,
    empty_rate_per_frame: f64,
}

#[derive(Deserialize)]
struct Drift {
    x_nm: f64,
    y_nm: f64,
    rotation_rad: f64,
    sigma_nm: f64,
    trusted: i32,
}

#[derive(Deserialize)]
struct SiteFrame {
    frame: usize,
    site: usize,
    probability: f32,
}

pub(super) fn read(folder: &Path) -> Result<Results, WorkflowError> {
    let wrong = |name: &str, reason: String| WorkflowError::Read {
        path: folder.join(name),
        reason: format!("{reason}; expected a folder that `atomlens track` wrote"),
    };
    let settings: Settings = json(folder, "settings.json")?;
    if settings.job != "track" {
        return Err(wrong("settings.json", format!("it is of the job {:?}", settings.job)));
    }
    let summary: MovieSummary = json(folder, "movie.json")?;
    let sites: Vec<Site> = table(folder, "sites.csv")?;
    let drift: Vec<Drift> = table(folder, "drift.csv")?;
    let mean = read_npy(&folder.join("mean_image.npy"))?;
    let mean_image: Array2<f32> = mean
        .into_f32()
        .and_then(|mean| mean.into_dimensionality::<Ix2>().ok())
        .ok_or_else(|| wrong("mean_image.npy", "it is not an image of real numbers".to_owned()))?;
    let (x, y) = (10.0 * summary.pixel_size_nm, 10.0 * summary.pixel_size_y_nm);
    let pixel = x.min(y);
    let mut probability = Array2::zeros((sites.len(), drift.len()));
    for row in table::<SiteFrame>(folder, "occupancy.csv")? {
        match probability.get_mut((row.site, row.frame)) {
            Some(value) => *value = row.probability,
            None => {
                let reason = format!("site {} in frame {} is not in the other tables", row.site, row.frame);
                return Err(wrong("occupancy.csv", reason));
            }
        }
    }
    let (ny, nx) = mean_image.dim();
    let centre_angstrom = 0.5 * pixel * DVec2::new(nx as f64 - 1.0, ny as f64 - 1.0);
    let pose = |(frame, row): (usize, &Drift)| FramePose {
        frame,
        pose: Pose {
            drift_angstrom: 10.0 * DVec2::new(row.x_nm, row.y_nm),
            rotation_rad: row.rotation_rad,
            centre_angstrom,
        },
        drift_sigma_angstrom: 10.0 * row.sigma_nm,
        rotation_sigma_rad: 0.0,
        trusted: row.trusted != 0,
        begins: false,
        matched_columns: 0,
        image_significance: 0.0,
    };
    Ok(Results {
        source: TwinSource {
            sites: TwinSites {
                places_angstrom: sites.iter().map(|site| 10.0 * DVec2::new(site.x_nm, site.y_nm)).collect(),
                probability,
                neighbour_angstrom: 10.0 * summary.neighbour_nm,
            },
            rates: sites
                .iter()
                .map(|site| Switching { fill: site.fill_rate_per_frame, empty: site.empty_rate_per_frame })
                .collect(),
            poses: drift.iter().enumerate().map(pose).collect(),
            mean_image,
            pixel_angstrom: pixel,
            frame_time_s: summary.frame_time_s,
        },
        movie: settings.settings.movie,
        model: summary.model,
        pixel_angstrom: (x, y),
    })
}

fn json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, WorkflowError> {
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).map_err(|error| WorkflowError::Read {
        path: path.clone(),
        reason: format!("{error}; expected a folder that `atomlens track` wrote"),
    })?;
    serde_json::from_str(&text).map_err(|error| WorkflowError::Read { path, reason: error.to_string() })
}

fn table<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>, WorkflowError> {
    let path = folder.join(name);
    let wrong = |error: csv::Error| WorkflowError::Read { path: path.clone(), reason: error.to_string() };
    let mut reader = csv::Reader::from_path(&path).map_err(wrong)?;
    reader.deserialize().map(|row| row.map_err(wrong)).collect()
}
