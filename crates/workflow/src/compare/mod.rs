//! Movies against one another: do sites switch more often under one condition than under another?
//!
//! Reads the folders that [`crate::track`] wrote; the first is the condition that the others are compared with. Rates are
//! per second where all frame times are known and per frame otherwise. The statistics are those of
//! [`atomlens_analysis::movie::comparison`].

mod caution;
mod columns;
mod movie;
mod pages;
mod rows;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use atomlens_core::SeedPath;
use serde::Serialize;

pub use caution::DetectorShare;
pub use rows::{ALL, ComparisonRow, SWITCHING, TimeUnit};

use self::movie::{INPUTS, Movie};
use self::pages::Maps;
use self::rows::Testing;
use crate::WorkflowError;
use crate::context::Context;
use crate::provenance::{Provenance, write_json};
use crate::table::write_tables;

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareSettings {
    /// Folders that `track` wrote, the condition that the others are compared with first.
    pub folders: Vec<PathBuf>,
    /// What the conditions are called; the names of their folders if left out.
    pub names: Vec<String>,
    /// Deals of a test.
    pub permutations: usize,
    /// Seed of these.
    pub seed: u64,
    /// Folder for the results.
    pub out: PathBuf,
}

impl CompareSettings {
    /// Deals of a test, unless asked for more or fewer: p-values of 0.05 to 0.002.
    pub const PERMUTATIONS: usize = 9999;
}

/// One of the movies, as the summary has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedMovie {
    /// What the condition is called.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// Number of sites.
    pub sites: usize,
    /// Number of frames.
    pub frames: usize,
    /// Time from frame to frame, if known.
    pub frame_time_s: Option<f64>,
    /// Whether its sites are those of the first movie, one by one.
    pub same_sites: bool,
}

/// What the job found: `comparison.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareSummary {
    /// The movies.
    pub conditions: Vec<ComparedMovie>,
    /// The unit of time that rates have.
    pub unit: TimeUnit,
    /// The paragraph that can be quoted; one for each condition but the first.
    pub paragraph: String,
    /// Why the comparison may be none.
    pub warnings: Vec<String>,
    /// What errors of detection would do, for each condition but the first.
    pub detector: Vec<DetectorShare>,
    /// The table.
    pub rows: Vec<ComparisonRow>,
}

impl fmt::Display for CompareSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.paragraph)?;
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

/// Runs the job.
///
/// # Errors
/// Fewer than two folders, folders that are none of `track`, damaged tables, a folder for the results that holds
/// something.
pub fn run(settings: &CompareSettings, context: &Context) -> Result<CompareSummary, WorkflowError> {
    check(settings)?;
    let names = names(settings);
    let mut movies = Vec::new();
    let mut provenance = Provenance::new("compare", settings.clone());
    context.progress.begin(settings.folders.len() as u64 + 1, "movies read and compared");
    for (folder, name) in settings.folders.iter().zip(names) {
        movies.push(Movie::read(folder, name)?);
        for input in INPUTS {
            provenance = provenance.input(&table_path(folder, input))?;
        }
        context.progress.done(movies.len() as u64);
        if context.is_cancelled() {
            return Err(WorkflowError::Cancelled {
                done: movies.len() as u64,
                total: settings.folders.len() as u64,
                unit: "movies",
            });
        }
    }
    provenance.enter(&settings.out, false)?;
    provenance.write(&settings.out.join("settings.json"))?;
    let summary = summarised(settings, &movies);
    let out = &settings.out;
    write_tables(out, "comparison", || Ok(Box::new(summary.rows.iter().cloned().map(Ok))))?;
    write_json(&out.join("comparison.json"), &summary)?;
    let paragraph = summary.to_string() + "\n";
    std::fs::write(out.join("paragraph.txt"), paragraph).map_err(|error| WorkflowError::write(out, &error))?;
    let maps = Maps::of(&movies, summary.unit)?;
    maps.write(out)?;
    pages::report(settings, &summary, &movies, maps)?.write(out.join("report.html"))?;
    Ok(summary)
}

fn check(settings: &CompareSettings) -> Result<(), WorkflowError> {
    let wrong = |what, found: usize, expected: &str| {
        Err(WorkflowError::Setting { what, found: found.to_string(), expected: expected.to_owned() })
    };
    if settings.folders.len() < 2 {
        return wrong(
            "the number of folders to compare",
            settings.folders.len(),
            "2 or more that `atomlens track` wrote",
        );
    }
    if !settings.names.is_empty() && settings.names.len() != settings.folders.len() {
        return wrong(
            "the number of names",
            settings.names.len(),
            &format!("{}, one a folder", settings.folders.len()),
        );
    }
    if settings.permutations < 99 {
        return wrong("the number of permutations", settings.permutations, "99 or more");
    }
    Ok(())
}

/// A name for every folder, no two alike.
fn names(settings: &CompareSettings) -> Vec<String> {
    let own = |folder: &Path| {
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned()
    };
    let wanted: Vec<String> = if settings.names.is_empty() {
        settings.folders.iter().map(|folder| own(folder)).collect()
    } else {
        settings.names.clone()
    };
    let mut names: Vec<String> = Vec::new();
    for name in wanted {
        let free = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name} ({number})")));
        names.extend(free.into_iter().find(|name| !names.contains(name)));
    }
    names
}

/// A file of a folder; of a table the one that is read.
fn table_path(folder: &Path, name: &str) -> PathBuf {
    let parquet = folder.join(format!("{name}.parquet"));
    if name.contains('.') {
        folder.join(name)
    } else if parquet.is_file() {
        parquet
    } else {
        folder.join(format!("{name}.csv"))
    }
}

fn summarised(settings: &CompareSettings, movies: &[Movie]) -> CompareSummary {
    let known = movies.iter().all(|movie| movie.summary.frame_time_s.is_some_and(|time| time > 0.0));
    let unit = if known { TimeUnit::Second } else { TimeUnit::Frame };
    let testing =
        Testing { unit, permutations: settings.permutations, seed: SeedPath::new(settings.seed).child("compare") };
    let mut warnings: Vec<String> = movies.iter().flat_map(caution::of_one).collect();
    let (mut rows, mut detector) = (Vec::new(), Vec::new());
    let first = &movies[0];
    for other in &movies[1..] {
        warnings.extend(caution::of_pair(first, other));
        let (found, notes) = rows::compare(first, other, testing);
        rows.extend(found);
        warnings.extend(notes);
    }
    // All sites, and those that switch: a family over the conditions.
    for (class, quantity) in [ALL, SWITCHING]
        .into_iter()
        .flat_map(|class| atomlens_analysis::movie::comparison::Quantity::ALL.map(|quantity| (class, quantity.name())))
    {
        let family: Vec<usize> =
            (0..rows.len()).filter(|row| rows[*row].class == class && rows[*row].quantity == quantity).collect();
        rows::adjust(&mut rows, &family);
    }
    let mut paragraphs = Vec::new();
    for other in &movies[1..] {
        let all =
            rows.iter().find(|row| row.class == ALL && row.quantity == "switch_rate" && row.condition_b == other.name);
        let share = all.and_then(|row| DetectorShare::of(first, other, row, unit));
        paragraphs.push(words::paragraph([first, other], &rows, share.as_ref(), unit, settings.permutations));
        detector.extend(share);
    }
    CompareSummary {
        conditions: movies
            .iter()
            .map(|movie| ComparedMovie {
                name: movie.name.clone(),
                folder: movie.path.clone(),
                sites: movie.sites.len(),
                frames: movie.summary.frames,
                frame_time_s: movie.summary.frame_time_s,
                same_sites: rows::same_sites(first, movie),
            })
            .collect(),
        unit,
        paragraph: paragraphs.join("\n\n"),
        warnings,
        detector,
        rows,
    }
}
